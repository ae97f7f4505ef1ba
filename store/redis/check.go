package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

// Format is the version of the key layout that this package writes. A newer one
// is refused by Open.
const Format = 1

// connect makes the client and checks every server behind it.
func connect(ctx context.Context, o Options) (goredis.UniversalClient, error) {
	if len(o.Addresses) == 0 {
		return nil, problem.New(problem.Invalid, "no Redis server is named").WithHint("store.addresses lists host:port of the server, or of some nodes of the cluster")
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	cluster, err := isCluster(ctx, o)
	if err != nil {
		return nil, err
	}
	if !cluster && len(o.Addresses) > 1 {
		return nil, problem.New(problem.Invalid, "several Redis servers are named, and they are no cluster").WithHint("name one server, or nodes of one cluster")
	}
	u := universal(o)
	u.IsClusterMode = cluster
	c := goredis.NewUniversalClient(u)
	weak, err := inspect(ctx, c)
	if err == nil && len(weak) > 0 && !o.Relaxed {
		err = problem.New(problem.Invalid, "Redis would not keep what tocsin promises to keep: %s", strings.Join(weak, "; ")).
			WithHint("change that on the server, or start with --store.relaxed and accept the loss")
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	for _, w := range weak {
		o.Logger.Warn("Redis promises less than it should, and --store.relaxed accepts that", "what", w)
	}
	return c, nil
}

// universal are the client's options.
func universal(o Options) *goredis.UniversalOptions {
	u := &goredis.UniversalOptions{
		Addrs: o.Addresses, Username: o.Username, TLSConfig: o.TLS, ClientName: "tocsin",
		ContextTimeoutEnabled: true, DialTimeout: 2 * time.Second, ReadTimeout: 3 * time.Second, WriteTimeout: 3 * time.Second,
		MaxRetries: -1, MaxRedirects: 3, DisableIdentity: true, PoolSize: 32,
	}
	if o.Password != nil {
		u.CredentialsProviderContext = func(context.Context) (string, string, error) {
			password, err := o.Password()
			return o.Username, password, err
		}
	}
	return u
}

// isCluster asks the first server that answers.
func isCluster(ctx context.Context, o Options) (bool, error) {
	var errs []error
	for _, address := range o.Addresses {
		one := universal(o)
		one.Addrs = []string{address}
		c := goredis.NewClient(one.Simple())
		info, err := c.Info(ctx, "cluster").Result()
		_ = c.Close()
		if err == nil {
			return fields(info)["cluster_enabled"] == "1", nil
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	if isReply(errs[0]) {
		return false, refusal(err)
	}
	return false, unreachable(err)
}

// inspect lists in what the servers fall short. A version that cannot work is an
// error.
func inspect(ctx context.Context, c goredis.UniversalClient) (weak []string, err error) {
	switch c := c.(type) {
	case *goredis.ClusterClient:
		info, err := c.ClusterInfo(ctx).Result()
		if err != nil {
			return nil, unreachable(err)
		}
		if f := fields(info); f["cluster_state"] != "ok" {
			return nil, problem.New(problem.Unavailable, "the Redis cluster is not in order: its state is not ok, %s of 16384 slots have a server", f["cluster_slots_ok"]).
				WithHint("redis-cli --cluster check ADDRESS tells more")
		}
		var mu sync.Mutex
		err = c.ForEachMaster(ctx, func(ctx context.Context, m *goredis.Client) error {
			w, err := inspectServer(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			weak = append(weak, w...)
			return err
		})
		return weak, err
	case *goredis.Client:
		return inspectServer(ctx, c)
	}
	return nil, problem.New(problem.Internal, "an unknown kind of Redis client")
}

func inspectServer(ctx context.Context, c *goredis.Client) (weak []string, err error) {
	text, err := c.Info(ctx, "server", "persistence", "memory", "replication").Result()
	if err != nil {
		if isReply(err) && !passing(err) {
			return nil, refusal(err)
		}
		return nil, unreachable(err)
	}
	info, where := fields(text), c.Options().Addr
	if major, _, _ := strings.Cut(info["redis_version"], "."); atoi(major) < 7 {
		return nil, problem.New(problem.Invalid, "the Redis server %s has version %s, and tocsin needs 7.0 or later", where, info["redis_version"]).WithHint("upgrade the server")
	}
	short := func(format string, args ...any) { weak = append(weak, where+": "+fmt.Sprintf(format, args...)) }
	if info["aof_enabled"] != "1" {
		short("appendonly is not yes, so that a restart of the server loses what it accepted")
	} else if fsync, err := c.ConfigGet(ctx, "appendfsync").Result(); err != nil || fsync["appendfsync"] == "" {
		short("appendfsync cannot be asked for; it must be always or everysec")
	} else if v := fsync["appendfsync"]; v != "always" && v != "everysec" {
		short("appendfsync is %s, so that a power cut loses what the operating system had not written yet", v)
	}
	if info["aof_last_write_status"] == "err" {
		short("the append-only file cannot be written")
	}
	if v := info["maxmemory_policy"]; v != "noeviction" {
		short("maxmemory-policy is %s, so that a full server throws away what it accepted; it must be noeviction", v)
	}
	if info["role"] != "master" {
		return nil, problem.New(problem.Invalid, "the Redis server %s is a replica, which takes no writes", where).WithHint("store.addresses must name the master")
	}
	return weak, nil
}

// checkFormat refuses data of a newer format and marks a new store with ours.
func (s *Store) checkFormat(ctx context.Context) error {
	if err := s.c.SetNX(ctx, keyFormat, cell.Encode("store", Format, nil), 0).Err(); err != nil {
		if isReply(err) {
			return refusal(err)
		}
		return unreachable(err)
	}
	c, err := s.c.Get(ctx, keyFormat).Bytes()
	if err != nil {
		return unreachable(err)
	}
	kind, version, _, err := cell.Decode(c)
	if err != nil || kind != "store" {
		return damaged("the store's format", err)
	}
	if version > Format {
		return problem.New(problem.Invalid, "the store in Redis has format %d; this version of tocsin reads up to %d", version, Format).
			WithHint("run the newer tocsin that wrote it, or restore the backup made before the upgrade; nothing was changed")
	}
	return nil
}

// fields reads the lines "name:value" of INFO.
func fields(text string) map[string]string {
	out := map[string]string{}
	for sc := bufio.NewScanner(strings.NewReader(text)); sc.Scan(); {
		if name, value, ok := strings.Cut(sc.Text(), ":"); ok {
			out[name] = value
		}
	}
	return out
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
