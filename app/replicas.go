package app

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/app/api"
	"github.com/tocsin-alerting/tocsin/app/links"
	"github.com/tocsin-alerting/tocsin/cluster"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// How fast a replica's death is noticed: its leases and its beats end within six
// seconds, and the others look every half second.
const (
	leaseTime  = 6 * time.Second
	memberTime = 4 * time.Second
	beatEvery  = time.Second
	lookEvery  = 500 * time.Millisecond
	// gently is how many partitions are given to a replica that joined, at each look.
	gently = 8
)

// replicas is this process among those that share the store.
type replicas struct {
	a       *App
	members store.Members
	peers   *cluster.Peers
	self    store.Member
	leaving atomic.Bool
	alone   bool           // no secret: others are refused
	stable  map[string]int // beats since each member was first seen; by the look's goroutine
	queue   chan contribution
	metrics replicaMetrics
}

type replicaMetrics struct {
	members, partitions prometheus.Gauge
	taken, dropped      prometheus.Counter
}

// replicated says whether other processes may share the store.
func (a *App) replicated() bool { return a.replicas != nil }

// replicaID is this installation's name among the replicas, made once.
func replicaID(dir string) (string, error) {
	path := filepath.Join(dir, "replica.id")
	raw, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(raw))) > 0 {
		return strings.TrimSpace(string(raw)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", problem.Wrap(err, problem.Unavailable, "the replica's name cannot be read").WithHint("check the rights on replica.id below --storage.path")
	}
	u, err := ulid.New(ulid.Now(), rand.Reader)
	if err != nil {
		return "", problem.Wrap(err, problem.Internal, "no random numbers")
	}
	id := "rep_" + strings.ToLower(u.String())
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", problem.Wrap(err, problem.Unavailable, "the replica's name cannot be written")
	}
	return id, nil
}

func (a *App) buildReplicas(m store.Members, id string) error {
	c := a.o.Config.Cluster
	address := c.Advertise
	if address == "" {
		if host, _, err := net.SplitHostPort(a.listener.Addr().String()); err == nil && net.ParseIP(host).IsUnspecified() && c.SecretFile != "" {
			return problem.New(problem.Invalid, "the other replicas cannot reach this one at the address it listens on").WithHint("say with --cluster.advertise http://HOST:PORT how they do")
		}
		address = "http://" + a.listener.Addr().String()
	}
	secret := func() (string, error) { return cluster.Secret(a.o.Config.Path(c.SecretFile)) }
	if c.SecretFile != "" {
		if _, err := secret(); err != nil {
			return err
		}
	}
	r := &replicas{a: a, members: m, peers: cluster.NewPeers(id, secret), alone: c.SecretFile == "", stable: map[string]int{}, queue: make(chan contribution, 4096),
		self: store.Member{ID: id, URL: address, Started: a.o.Now().UTC(), Version: a.o.Version},
		metrics: replicaMetrics{
			members:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_cluster_members", Help: "Replicas that live, as this one sees it."}),
			partitions: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_cluster_partitions", Help: "Partitions that this replica serves."}),
			taken:      prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_cluster_partitions_taken_total", Help: "Partitions that this replica took."}),
			dropped:    prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_cluster_contributions_dropped_total", Help: "Contributions to pools of other replicas that could not be handed over."}),
		}}
	a.replicas = r
	a.registry.MustRegister(r.metrics.members, r.metrics.partitions, r.metrics.taken, r.metrics.dropped)
	return nil
}

// join serves this replica's share of the partitions.
func (a *App) join(ctx context.Context) error {
	r := a.replicas
	if err := a.shared.LoadDirectory(ctx); err != nil {
		return err
	}
	a.settle()
	a.attend(journal.Position{}) // whoever else has been serving, this journal is this history's
	a.blobs.Missing, a.blobs.Share = r.findBlob, r.shareBlob
	if err := r.beat(ctx); err != nil {
		return err
	}
	if others := r.peers.Others(); r.alone && len(others) > 0 {
		return problem.New(problem.Conflict, "another tocsin uses the same Redis: %s", others[0].URL).WithHint("to run replicas, give each the same --cluster.secret-file; a replica that was killed is forgotten after %s", memberTime)
	}
	a.serveHTTP()
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){r.beats, r.carry, r.reload} {
		loops.Go(func() { loop(run) })
	}
	looking, stopLooking := context.WithCancel(run)
	var looks sync.WaitGroup
	if err := r.look(ctx); err != nil {
		cancel()
		loops.Wait()
		stopLooking()
		return err
	}
	looks.Go(func() { r.looks(looking) })
	a.undo.push("replica", func(ctx context.Context) error {
		r.leaving.Store(true) // the others no longer count on this one
		err := r.beat(ctx)
		stopLooking()
		looks.Wait()
		err = errors.Join(err, a.sender.Stop(ctx)) // attempts under way end before who else serves would repeat them
		a.leave(a.seats.list())
		cancel()
		loops.Wait()
		return errors.Join(err, r.members.Leave(ctx, r.self.ID))
	})
	return nil
}

// beat says that this replica lives and learns who else does.
func (r *replicas) beat(ctx context.Context) error {
	me := r.self
	me.Leaving = r.leaving.Load()
	members, err := r.members.Beat(ctx, me, memberTime)
	if err != nil {
		return err
	}
	r.peers.Set(members)
	r.metrics.members.Set(float64(len(members)))
	return nil
}

func (r *replicas) beats(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := r.beat(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			r.a.log.Error("this replica cannot say that it lives", "error", err)
		}
		failing = err != nil
		if r.alone && len(r.peers.Others()) > 0 && !failing {
			r.a.log.Error("another tocsin shares this Redis, and no cluster secret is set: requests for what it serves fail", "hint", "give each replica the same --cluster.secret-file")
		}
	}
}

// looks compares again and again what is served here with what should be.
func (r *replicas) looks(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := r.look(ctx); err != nil && ctx.Err() == nil {
				r.a.log.Error("partitions could not be taken; it is tried again", "error", err)
			}
		}
	}
}

// look gives back a few partitions that another replica should serve, and takes
// those that this one should.
func (r *replicas) look(ctx context.Context) error {
	members := r.peers.Members()
	seen := map[string]int{}
	for _, m := range members {
		seen[m.ID] = r.stable[m.ID] + 1
	}
	r.stable = seen
	var give []*seat
	for _, s := range r.a.seats.list() {
		to := cluster.Preferred(s.p, members)
		if to != "" && to != r.self.ID && seen[to] > 4 && len(give) < gently { // one that has been there for a while
			give = append(give, s)
		}
	}
	r.a.leave(give)
	var want []store.Partition
	for _, p := range cluster.Share(r.self.ID, members) {
		if r.a.seats.at(p) == nil {
			want = append(want, p)
		}
	}
	n, err := r.a.take(ctx, want)
	r.metrics.taken.Add(float64(n))
	r.metrics.partitions.Set(float64(len(r.a.seats.list())))
	return err
}

// reload reads again what other replicas may have changed: tokens, who is on call
// and the policy every two seconds, tenants as often as it costs a twentieth of the time.
func (r *replicas) reload(ctx context.Context) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	var next time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := errors.Join(r.a.access.Load(ctx), r.a.shared.Duty().Load(ctx), r.a.shared.Policy().Follow(ctx, nil))
		if began := r.a.o.Now(); !began.Before(next) {
			err = errors.Join(err, r.a.shared.LoadDirectory(ctx))
			ended := r.a.o.Now()
			next = ended.Add(20 * ended.Sub(began))
		}
		if err != nil && ctx.Err() == nil {
			r.a.log.Warn("what other replicas changed cannot be read; it is tried again", "error", err)
		}
	}
}

// linkKey signs links and sessions: the same on every replica, or this folder's.
func (a *App) linkKey() ([]byte, error) {
	if !a.replicated() || a.replicas.alone {
		return links.Key(a.o.StoragePath)
	}
	secret, err := a.replicas.peers.Secret()
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("links and sessions"))
	return mac.Sum(nil), nil
}

// knows checks the secret of another replica; nil when there are none.
func (r *replicas) knows() func(string) bool {
	if r == nil || r.alone {
		return nil
	}
	return func(given string) bool {
		secret, err := r.peers.Secret()
		return err == nil && subtle.ConstantTimeCompare([]byte(secret), []byte(given)) == 1
	}
}

// mine says whether a destination is still served here, by this process's clock.
func (a *App) mine() func(string) bool {
	if !a.replicated() {
		return nil
	}
	return func(destination string) bool {
		seat, ok := a.shared.SeatOf(store.DestinationSubject(destination))
		return ok && a.o.Now().Sub(seat.Owner.Alive()) < leaseTime
	}
}

// asksPerSecond bounds how often the store is asked for tenants that are unknown.
const asksPerSecond = 100

// known says whether a tenant was onboarded, here or by another replica a moment
// ago: what the door says of a series is said to every replica, for good.
func (a *App) known() func(tenant.ID) bool {
	if !a.replicated() {
		return a.shared.Directory().Known
	}
	var mu sync.Mutex
	var second int64
	asked := map[tenant.ID]bool{} // in this second
	ask := func(id tenant.ID) bool {
		mu.Lock()
		defer mu.Unlock()
		if now := a.o.Now().Unix(); now != second {
			second = now
			clear(asked)
		}
		if asked[id] || len(asked) >= asksPerSecond {
			return false
		}
		asked[id] = true
		return true
	}
	return func(id tenant.ID) bool {
		if a.shared.Directory().Known(id) {
			return true
		}
		if !ask(id) {
			return false
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return a.shared.Known(ctx, id)
	}
}

// Status implements api.Cluster.
func (r *replicas) Status(ctx context.Context) (api.ClusterAnswer, error) {
	holds, err := r.members.Holders(ctx)
	if err != nil {
		return api.ClusterAnswer{}, err
	}
	a := api.ClusterAnswer{Store: r.a.o.Config.Store.Kind, Partitions: store.Partitions, Members: []api.MemberAnswer{}}
	for _, m := range r.peers.Members() {
		a.Members = append(a.Members, api.MemberAnswer{Member: m, Self: m.ID == r.self.ID})
	}
	now := r.a.o.Now()
	for _, h := range holds {
		lag := 0.0
		if !h.Oldest.IsZero() {
			lag = max(0, now.Sub(h.Oldest).Seconds())
		}
		a.Waiting += h.Waiting
		a.LagSeconds = max(a.LagSeconds, lag)
		i := slices.IndexFunc(a.Members, func(m api.MemberAnswer) bool { return m.ID == h.Holder })
		if i < 0 { // nobody, or one that is dead and whose lease has not ended
			a.Unserved++
			continue
		}
		a.Members[i].Partitions++
		a.Members[i].Waiting += h.Waiting
		a.Members[i].LagSeconds = max(a.Members[i].LagSeconds, lag)
	}
	return a, nil
}
