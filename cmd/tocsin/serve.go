package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tocsin-alerting/tocsin/app"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/config"
)

type serveCmd struct {
	Config       string `name:"config.file" aliases:"config" help:"Configuration file; without one the defaults." placeholder:"FILE"`
	Storage      string `name:"storage.path" aliases:"data-dir" help:"Folder for tocsin's data." default:"./tocsin-data" placeholder:"DIR"`
	Listen       string `name:"web.listen-address" aliases:"listen" help:"Address of the API and the views." default:"127.0.0.1:9480" placeholder:"HOST:PORT"`
	OTLPListen   string `name:"otlp.listen-address" aliases:"otlp.listen" help:"Address of OTLP over gRPC, or off." default:"127.0.0.1:4317" placeholder:"HOST:PORT"`
	StoreURL     string `name:"store.url" help:"Redis that holds the state, redis://HOST:PORT or rediss:// for TLS, several hosts by commas; overrides store.kind, addresses and tls.enabled. No password: store.password_file." placeholder:"URL"`
	StoreRelaxed bool   `name:"store.relaxed" help:"Accept a Redis that promises less than it should."`
	SecretFile   string `name:"cluster.secret-file" help:"What replicas know each other by; overrides cluster.secret_file." placeholder:"FILE"`
	Advertise    string `name:"cluster.advertise" help:"Address at which other replicas reach this one; overrides cluster.advertise." placeholder:"URL"`
	ExternalURL  string `name:"web.external-url" help:"Address that links are made from; overrides external_url." placeholder:"URL"`
	LogFormat    string `name:"log.format" help:"Form of the log." enum:"text,json" default:"text"`
	LogLevel     string `name:"log.level" help:"Least severe message that is logged." enum:"debug,info,warn,error" default:"info"`
}

// load reads the configuration as the flags say, at the start and at a reload.
func (s serveCmd) load() (*config.Config, error) {
	c := config.Default()
	if s.Config != "" {
		var err error
		if c, err = config.Load(s.Config); err != nil {
			return nil, err
		}
	}
	if s.ExternalURL != "" {
		c.ExternalURL = s.ExternalURL
	}
	return c, s.share(c)
}

// Run serves until the first signal, which drains; a second one cuts short.
func (s serveCmd) Run(ctx context.Context, t console.Terminal) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return err
	}
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(t.Err, o)
	if s.LogFormat == "json" {
		h = slog.NewJSONHandler(t.Err, o)
	}
	c, err := s.load()
	if err != nil {
		return err
	}
	log := slog.New(h)
	a, err := app.New(ctx, app.Options{Config: c, StoragePath: s.Storage, ListenAddress: s.Listen, OTLPAddress: s.OTLPListen, Load: s.load, Logger: log, Version: version})
	if err != nil {
		return err
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	if err := a.Start(ctx); err != nil {
		return err
	}
	go func() {
		for {
			select {
			case <-hangups:
				_, _ = a.Reload(ctx, "signal:SIGHUP") // it is logged
			case <-ctx.Done():
				return
			}
		}
	}()
	var failed error
	select {
	case <-ctx.Done():
		log.Info("draining; a second signal cuts short")
	case failed = <-a.Failed():
		log.Error("stopping because a part failed", "error", failed)
	}
	second, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	began := time.Now()
	err = errors.Join(failed, a.Stop(second))
	if err == nil {
		log.Info("stopped", "took", fmt.Sprint(time.Since(began).Round(time.Millisecond)))
	}
	return err
}

// share puts the flags about store and replicas over the file's keys.
func (s serveCmd) share(c *config.Config) error {
	if s.StoreURL != "" {
		if err := c.Store.SetURL(s.StoreURL); err != nil {
			return err
		}
	}
	c.Store.Relaxed = c.Store.Relaxed || s.StoreRelaxed
	if s.Advertise != "" {
		c.Cluster.Advertise = s.Advertise
	}
	if s.SecretFile != "" { // a flag's path is relative to where the command runs
		path, err := filepath.Abs(s.SecretFile)
		if err != nil {
			return err
		}
		c.Cluster.SecretFile = path
	}
	return c.Check()
}
