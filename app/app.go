// Package app builds tocsin out of its parts and gives it a life: New, Start,
// Stop. It is embeddable: listeners bind in New, so that tests use port 0 and
// two apps live in one process.
//
// What flows from part to part is in app/flow; what each route does is in
// app/api; what leaves the process goes through app/send.
package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc"

	"github.com/tocsin-alerting/tocsin/app/access"
	"github.com/tocsin-alerting/tocsin/app/api"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/app/views"
	"github.com/tocsin-alerting/tocsin/app/views/entry"
	"github.com/tocsin-alerting/tocsin/blob"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/samples/history"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/selfobs"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/web"
)

// Options of an App. Only StoragePath is required.
type Options struct {
	Config        *config.Config // nil: the defaults
	StoragePath   string
	ListenAddress string // host:port; default 127.0.0.1:9480
	OTLPAddress   string // host:port of OTLP over gRPC; empty or Off: not served
	Now           func() time.Time
	Logger        *slog.Logger
	Version       string
	// Load reads the configuration anew for a reload; nil: Config stays, and what it
	// names is read anew.
	Load func() (*config.Config, error)
	// StopTimeout bounds a drain; default 20 s.
	StopTimeout time.Duration
}

// App is the daemon.
type App struct {
	o        Options
	log      *slog.Logger
	registry *prometheus.Registry
	listener net.Listener
	base     *url.URL
	undo     cleanup

	store    store.Store
	journal  *journal.Journal
	tracer   *selfobs.Tracer // nil: no traces of our own
	blobs    *blob.Dir
	shared   *flow.Shared
	sender   *send.Sender
	access   *access.Keeper
	server   *api.Server
	entry    *entry.Entry
	views    *views.Views
	door     *samples.Door
	history  atomic.Pointer[history.Store]
	querier  atomic.Pointer[query.Querier] // for clients
	drawing  atomic.Pointer[query.Querier] // for own pictures
	metadata query.Metadata
	targets  atomic.Pointer[targets]
	reload   *reloading
	http     *http.Server
	otlp     struct {
		listener net.Listener // nil: off
		server   *grpc.Server
	}

	intake   intake
	spans    intakeOfSpans
	seats    seats
	replicas *replicas // nil: the store is ours alone
	failed   chan error
	ready    atomic.Bool
	started  time.Time
	stopOnce sync.Once
	stopErr  error
}

// New builds everything that can fail and binds the listener. After an error
// nothing is left behind.
func New(ctx context.Context, o Options) (_ *App, err error) {
	o = o.withDefaults()
	a := &App{o: o, log: o.Logger, seats: seats{held: map[store.Partition]*seat{}}, registry: prometheus.NewRegistry(), failed: make(chan error, 1), started: o.Now().UTC()}
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(o.Version))
	a.reload = newReloading(a.registry, o.Now())
	defer func() {
		if err != nil {
			err = errors.Join(err, a.undo.run(context.WithoutCancel(ctx)))
		}
	}()
	for _, build := range []func(context.Context) error{a.buildTracing, a.listen, a.listenOTLP, a.openStorage, a.buildRules, a.buildAccess, a.buildDoor, a.buildSpans, a.buildEffects, a.buildFlow, a.buildEdge} {
		if err := build(ctx); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (o Options) withDefaults() Options {
	if o.Config == nil {
		o.Config = config.Default()
	}
	if o.ListenAddress == "" {
		o.ListenAddress = "127.0.0.1:9480"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.StopTimeout == 0 {
		o.StopTimeout = 20 * time.Second
	}
	return o
}

func buildInfo(version string) prometheus.Collector {
	if version == "" {
		version = "devel"
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_app_build_info", Help: "What runs.", ConstLabels: prometheus.Labels{"version": version}})
	g.Set(1)
	return g
}

func (a *App) listen(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.o.ListenAddress)
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "cannot listen on %s", a.o.ListenAddress).WithHint("another program has it, or it is not an address of this machine: choose another with --web.listen-address")
	}
	a.listener = l
	a.undo.push("listener", func(context.Context) error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	base := a.o.Config.ExternalURL
	if base == "" {
		base = "http://" + l.Addr().String()
	}
	if a.base, err = url.Parse(base); err != nil {
		return problem.Wrap(err, problem.Invalid, "external_url is not an address")
	}
	return nil
}

// Addr is where the app listens.
func (a *App) Addr() string { return a.listener.Addr().String() }

// URL is what every link starts with.
func (a *App) URL() string { return a.base.String() }

// Handler is the whole HTTP edge, for tests that need no network.
func (a *App) Handler() http.Handler { return a.http.Handler }

// Start acquires the partitions, replays the journal's tail, and serves.
func (a *App) Start(ctx context.Context) error {
	begin := a.begin
	if a.replicated() {
		begin = a.join
	}
	if err := begin(ctx); err != nil {
		return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	path, made, err := a.access.EnsureAdmin(ctx, a.shared.Owner(access.Subject), a.o.StoragePath)
	if err != nil {
		return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	if made {
		a.log.Info("the administrator's token was written", "file", path)
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){a.checkpoints, a.keepUse, a.watchTickets, a.expire, a.adopt, a.spanSeries, a.askQueries, a.shareKeys} {
		loops.Go(func() { loop(run) })
	}
	a.undo.push("loops", func(context.Context) error { cancel(); loops.Wait(); return nil })
	a.serveOTLP()
	a.ready.Store(true)
	a.startHeartbeat()
	a.log.Info("tocsin serves", "address", a.Addr(), "url", a.URL(), "storage", a.o.StoragePath)
	return nil
}

// Failed tells of what ends the app from inside.
func (a *App) Failed() <-chan error { return a.failed }

func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default:
	}
}

// Stop drains: no new requests, deliveries under way finish, every partition
// writes its state and gives up its lease. It is bounded by ctx and by
// StopTimeout, idempotent, and joins the errors.
func (a *App) Stop(ctx context.Context) error {
	a.stopOnce.Do(func() {
		a.ready.Store(false)
		ctx, cancel := context.WithTimeout(ctx, a.o.StopTimeout)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- a.undo.run(ctx) }()
		select {
		case a.stopErr = <-done:
		case <-ctx.Done():
			a.stopErr = problem.Wrap(ctx.Err(), problem.Unavailable, "not everything stopped in time; what was accepted is durable and is taken up at the next start")
		}
	})
	return a.stopErr
}

func (a *App) stopHTTP(ctx context.Context) error {
	if err := a.http.Shutdown(ctx); err != nil {
		return a.http.Close()
	}
	return nil
}

func (a *App) openStorage(ctx context.Context) error {
	dir := a.o.StoragePath
	if dir == "" {
		return problem.New(problem.Invalid, "no storage path is given").WithHint("--storage.path names the folder for tocsin's data")
	}
	if err := makeDir(dir); err != nil {
		return err
	}
	err := a.openStore(ctx)
	if err != nil {
		return err
	}
	if a.blobs, err = blob.Open(dir + "/blobs"); err != nil {
		return err
	}
	j, err := journal.Open(dir+"/journal", journal.Options{MaxBytes: a.o.Config.Limits.JournalBytes, MinFreeBytes: uint64(a.o.Config.Limits.MinFreeBytes), MinFreeRatio: a.o.Config.Limits.MinFreeRatio, OnCommit: a.ingest, Now: a.o.Now, Logger: a.log, Registerer: a.registry})
	if err != nil {
		return err
	}
	a.journal = j
	a.undo.push("journal", func(context.Context) error { return j.Close() })
	return nil
}

// begin serves every partition of a store that is ours alone.
func (a *App) begin(ctx context.Context) error {
	if err := a.shared.LoadDirectory(ctx); err != nil {
		return err
	}
	a.settle()
	all := make([]store.Partition, store.Partitions)
	for p := range all {
		all[p] = store.Partition(p)
	}
	if _, err := a.take(ctx, all); err != nil {
		return err
	}
	from, ok := oldest(a.seats.list())
	if !ok {
		from = a.journal.End()
	}
	a.attend(from)
	a.serveHTTP()
	return nil
}

// settle prepares for serving partitions.
func (a *App) settle() {
	end := a.journal.End()
	a.intake.at.Store(&end)
	a.undo.push("partitions", func(context.Context) error {
		a.intake.close()
		a.leave(a.seats.list())
		a.seats.wg.Wait()
		return nil
	})
}

// attend opens the history, written from the journal since from, behind the
// partitions.
func (a *App) attend(from journal.Position) {
	run, stop := context.WithCancel(context.Background())
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		if err := a.openHistory(from); err != nil {
			a.fail(err)
			return
		}
		a.finishPurges(run)
	}()
	// Closed when nothing writes to it nor draws from it any more.
	a.undo.push("history", func(context.Context) error {
		stop()
		<-opened
		if db := a.history.Load(); db != nil {
			return db.Close()
		}
		return nil
	})
	a.undo.push("deliveries", a.sender.Stop)
}

func (a *App) serveHTTP() {
	a.undo.push("http", a.stopHTTP)
	go func() {
		if err := a.http.Serve(a.listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			a.fail(problem.Wrap(err, problem.Unavailable, "the listener failed"))
		}
	}()
}

func (a *App) readiness() error {
	if !a.ready.Load() {
		return problem.New(problem.Unavailable, "tocsin is starting or stopping").WithRetryAfter(time.Second)
	}
	return nil
}

func (a *App) observe(method, pattern string, status int, took time.Duration) {
	a.intake.requests.WithLabelValues(method, pattern, statusClass(status)).Observe(took.Seconds())
}

func statusClass(status int) string {
	return map[int]string{2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}[status/100]
}

func (a *App) buildAccess(ctx context.Context) (err error) {
	if a.access, err = access.New(ctx, a.store, a.o.Now); err == nil {
		a.access.Shared = a.replicated()
		a.access.Catalog = func() *catalog.Catalog { return a.shared.Rules().Catalog }
	}
	return err
}

// routes is the one table: the API, its doors and the views.
func (a *App) routes() []web.Route {
	return slices.Concat(a.server.Routes(), a.entry.Routes(), a.views.Routes())
}

func (a *App) buildEdge(context.Context) error {
	edge := web.Edge{Replica: a.replicas.knows(), Forward: a.replicas.forwards(), Auth: a.access, Signer: a.server.Signer, Now: a.o.Now, Logger: a.log, Fail: a.entry.Fail, Observe: a.observe, BodyTime: a.o.Config.Limits.RequestTime}
	routes := a.traced(a.routes())
	a.otlp.server = edge.RPC(routes, int(a.o.Config.Limits.BodyBytes))
	a.http = &http.Server{Handler: edge.Mux(routes), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelWarn)}
	return nil
}
