package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"

	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store/embedded"
	"github.com/tocsin-alerting/tocsin/store/redis"
)

// openStore opens the home that the configuration names.
func (a *App) openStore(ctx context.Context) error {
	if a.o.Config.Store.Kind == config.Redis {
		return a.openRedis(ctx)
	}
	st, err := embedded.Open(a.o.StoragePath+"/store", embedded.Options{MinFreeBytes: uint64(a.o.Config.Limits.MinFreeBytes), MinFreeRatio: a.o.Config.Limits.MinFreeRatio, Now: a.o.Now, Logger: a.log, Registerer: a.registry})
	if err != nil {
		return err
	}
	a.store = st
	closed := make(chan struct{})
	go func() {
		select {
		case <-st.Failed():
			a.fail(problem.New(problem.Unavailable, "the disk below --storage.path failed: nothing more can be made durable").WithHint("see the log; once the disk is mended, start tocsin again: everything that was acknowledged is there"))
		case <-closed:
		}
	}()
	a.undo.push("watching the disk", func(context.Context) error { close(closed); return nil })
	a.undo.push("store", func(context.Context) error { return st.Close() })
	return nil
}

func (a *App) openRedis(ctx context.Context) error {
	c := a.o.Config.Store
	id, err := replicaID(a.o.StoragePath)
	if err != nil {
		return err
	}
	o := redis.Options{Addresses: c.Addresses, Username: c.Username, Name: id, LeaseTime: leaseTime, KeepLedger: a.o.Config.Retention.Ledger,
		Relaxed: c.Relaxed, Logger: a.log, Registerer: a.registry}
	if c.PasswordFile != "" {
		o.Password = secretFile(a.o.Config.Path(c.PasswordFile), "store.password_file")
	}
	if o.TLS, err = a.storeTLS(c.TLS); err != nil {
		return err
	}
	st, err := redis.Open(ctx, o)
	if err != nil {
		return err
	}
	a.store = st
	a.undo.push("store", func(context.Context) error { return st.Close() })
	return a.buildReplicas(st, id)
}

// storeTLS reads the files that secure the connection to the store.
func (a *App) storeTLS(c config.StoreTLS) (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		pem, err := os.ReadFile(a.o.Config.Path(c.CAFile))
		if err != nil {
			return nil, problem.Wrap(err, problem.Invalid, "the store's CA cannot be read").WithHint("check store.tls.ca_file")
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, problem.New(problem.Invalid, "store.tls.ca_file holds no certificate in PEM")
		}
	}
	if c.CertFile == "" {
		return out, nil
	}
	out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // anew, so that it can be rotated
		pair, err := tls.LoadX509KeyPair(a.o.Config.Path(c.CertFile), a.o.Config.Path(c.KeyFile))
		return &pair, err
	}
	return out, nil
}
