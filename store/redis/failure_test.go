package redis_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/redis"
)

func TestServersThatPromiseTooLittleAreRefused(t *testing.T) {
	server := peer.StartRedis(t)
	refused := func(o redis.Options, kind problem.Kind, words ...string) {
		t.Helper()
		o.Addresses = append(o.Addresses, server.Addr)
		_, err := redis.Open(t.Context(), o)
		require.True(t, problem.Is(err, kind), "%v", err)
		require.NotEmpty(t, problem.From(err).Hint)
		for _, w := range words {
			require.ErrorContains(t, err, w)
		}
	}
	for setting, bad := range map[string]string{"appendonly": "no", "appendfsync": "no", "maxmemory-policy": "allkeys-lru"} {
		good := map[string]string{"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}[setting]
		require.Equal(t, "OK", server.Command("CONFIG", "SET", setting, bad))
		refused(redis.Options{}, problem.Invalid, setting, server.Addr)
		open(t, redis.Options{Relaxed: true}, server)
		require.Equal(t, "OK", server.Command("CONFIG", "SET", setting, good))
	}
	open(t, redis.Options{}, server)

	require.Equal(t, "OK", server.Command("CONFIG", "SET", "requirepass", "sesame"))
	refused(redis.Options{}, problem.Unavailable, "does not let tocsin in")
	password := func() (string, error) { return "sesame", nil }
	open(t, redis.Options{Password: password}, server)
	wrong := func() (string, error) { return "open", nil }
	refused(redis.Options{Password: wrong}, problem.Unavailable, "does not let tocsin in")

	other := peer.StartRedis(t)
	refused(redis.Options{Addresses: []string{other.Addr}, Password: password}, problem.Invalid, "no cluster")
	other.Kill()
	_, err := redis.Open(t.Context(), redis.Options{Addresses: []string{other.Addr}})
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
	require.True(t, problem.From(err).Retryable)
}

func TestANewerFormatIsRefused(t *testing.T) {
	server := peer.StartRedis(t)
	require.NoError(t, open(t, redis.Options{}, server).Close())
	require.NotEmpty(t, server.Command("SETRANGE", "tocsin:{p000}:format", "0", "\x04")) // the version comes first, as a signed varint
	_, err := redis.Open(t.Context(), redis.Options{Addresses: []string{server.Addr}})
	require.True(t, problem.Is(err, problem.Invalid), "%v", err)
	require.ErrorContains(t, err, "format 2")
	require.Contains(t, problem.From(err).Hint, "newer tocsin")
}

// commit is a batch that leaves its number in a record, the ledger, the own inbox
// and another partition's.
func commit(n int) store.Batch {
	return store.Batch{
		Puts:     []store.Record{{Collection: "count", Key: "n", Kind: "n", Version: 1, Value: []byte(strconv.Itoa(n))}},
		Messages: []store.Message{{To: 200, Input: store.Input{ID: strconv.Itoa(n), Payload: json.RawMessage(`{}`)}}},
		Ledger:   []ledger.Entry{{Subject: "test", Reason: strconv.Itoa(n)}},
	}
}

// counted checks that partition p holds exactly the commits 0..n-1, each once,
// and that each one's message arrived.
func counted(t *testing.T, s *redis.Store, p store.Partition, n int) {
	t.Helper()
	entries, err := s.Ledger(t.Context(), p, "", 0, 1<<20)
	require.NoError(t, err)
	require.Len(t, entries, n)
	_, err = ledger.Verify(ledger.Head{}, entries)
	require.NoError(t, err)
	for i, e := range entries {
		require.Equal(t, strconv.Itoa(i), e.Reason)
	}
	r, ok, err := s.Record(t.Context(), p, "count", "n")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, strconv.Itoa(n-1), string(r.Value))
}

// acquire waits until the lease of an earlier life is over.
func acquire(t *testing.T, s *redis.Store, p store.Partition) (l store.Lease) {
	t.Helper()
	require.Eventually(t, func() (ok bool) {
		var err error
		l, err = s.Acquire(t.Context(), p)
		return err == nil
	}, 20*time.Second, 20*time.Millisecond)
	return l
}

// A process that was started again has the name it had, and counts from one again:
// what it asks for first is not taken for what it asked for in its earlier life.
func TestTheSameNameAgainIsAnotherOwner(t *testing.T) {
	server := peer.StartRedis(t)
	o := redis.Options{Name: "rep_a", LeaseTime: 5 * time.Second}
	before := open(t, o, server)
	l := acquire(t, before, 7)
	for n := range 3 {
		require.NoError(t, l.Commit(t.Context(), commit(n)))
	}
	require.NoError(t, before.Close()) // gives the lease up

	after := open(t, o, server)
	l = acquire(t, after, 7)
	require.NoError(t, l.Commit(t.Context(), commit(3)))
	counted(t, after, 7, 4)

	third := open(t, o, server) // while the second holds it, as after a kill
	_, err := third.Acquire(t.Context(), 7)
	require.ErrorIs(t, err, store.ErrHeld)
	require.NoError(t, l.Commit(t.Context(), commit(4)))
	counted(t, after, 7, 5)
}

// Committers go on while the server is killed and started again, twice: every
// commit that was acknowledged is there, none twice, none is missing between.
func TestAcknowledgedCommitsSurviveAKillOfTheServer(t *testing.T) {
	server := peer.StartRedis(t, "--appendfsync", "always")
	s := open(t, redis.Options{LeaseTime: 2 * time.Second}, server)
	const owners = 8
	var acked [owners]atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for p := range store.Partition(owners) {
		wg.Go(func() {
			n := 0
			for !stop.Load() {
				l, err := s.Acquire(t.Context(), p)
				if err != nil {
					continue // the server is away, or the lease before has not ended
				}
				if r, ok, err := s.Record(t.Context(), p, "count", "n"); err != nil {
					continue
				} else if ok { // what came of a commit whose outcome was not known
					last, _ := strconv.Atoi(string(r.Value))
					n = last + 1
				}
				for !stop.Load() {
					b := commit(n)
					b.Messages[0].Input.ID = fmt.Sprintf("%d/%d", p, n)
					if l.Commit(t.Context(), b) != nil {
						break
					}
					n++
					acked[p].Store(int64(n))
				}
			}
		})
	}
	progress := func() (sum int64) {
		for i := range acked {
			sum += acked[i].Load()
		}
		return sum
	}
	for range 2 {
		was := progress()
		require.Eventually(t, func() bool { return progress() > was+300 }, 30*time.Second, time.Millisecond)
		server.Kill()
		server.Start(t)
	}
	was := progress()
	require.Eventually(t, func() bool { return progress() > was+300 }, 30*time.Second, time.Millisecond)
	stop.Store(true)
	wg.Wait()

	total := 0
	for p := range store.Partition(owners) {
		entries, err := s.Ledger(t.Context(), p, "", 0, 1<<20)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(entries), int(acked[p].Load()))
		counted(t, s, p, len(entries))
		total += len(entries)
	}
	l := acquire(t, s, 200)
	require.Eventually(t, func() bool {
		in, err := l.Inputs(t.Context(), 1<<20)
		if err != nil {
			l = acquire(t, s, 200)
			return false
		}
		ids := map[string]bool{}
		for _, i := range in {
			ids[i.ID] = true
		}
		return len(in) == total && len(ids) == total
	}, 20*time.Second, 50*time.Millisecond, "every message arrives once")
}

// proxy stands between a store and its server and can cut the line after a
// request was carried out and before its answer came back.
type proxy struct {
	listener net.Listener
	server   string
	cut      atomic.Pointer[string] // a request that holds this is done, its answer is lost
	cuts     atomic.Int64
	deaf     atomic.Bool // from then on nothing is answered
}

func newProxy(t *testing.T, server string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, server: server}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var lose atomic.Bool
	go func() {
		defer func() { _ = client.Close() }()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || lose.Load() {
				return
			}
			if p.deaf.Load() {
				continue
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if what := p.cut.Load(); what != nil && strings.Contains(string(buf[:n]), *what) && p.cut.CompareAndSwap(what, nil) {
			p.cuts.Add(1)
			lose.Store(true)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

func TestACommitWhoseAnswerIsLostIsAppliedOnce(t *testing.T) {
	server := peer.StartRedis(t)
	p := newProxy(t, server.Addr)
	s, err := redis.Open(t.Context(), redis.Options{Addresses: []string{p.listener.Addr().String()}, LeaseTime: 3 * time.Second})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	l := acquire(t, s, 7)
	for n := range 20 {
		mark := fmt.Sprintf(`"reason":"%d"`, n)
		if n%2 == 1 {
			p.cut.Store(&mark)
		}
		require.NoError(t, l.Commit(t.Context(), commit(n)))
	}
	require.EqualValues(t, 10, p.cuts.Load())
	counted(t, s, 7, 20)
	in, err := acquire(t, s, 200).Inputs(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, in, 20, "each message arrived once, also of those whose answer was lost")

	// An acquisition whose answer is lost is not refused because of itself.
	acquiring := "tocsin:{p009}:m"
	p.cut.Store(&acquiring)
	acquired, err := s.Acquire(t.Context(), 9)
	require.NoError(t, err)
	require.NoError(t, acquired.Commit(t.Context(), commit(0)))

	// An outcome that cannot be learned takes the lease away.
	p.deaf.Store(true)
	err = l.Commit(t.Context(), commit(20))
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
	require.ErrorIs(t, l.Commit(t.Context(), commit(20)), store.ErrLeaseLost)
	p.deaf.Store(false)
	l = acquire(t, s, 7)
	counted(t, s, 7, 21)
	require.NoError(t, l.Commit(t.Context(), commit(21)))
	counted(t, s, 7, 22)
}

// Two processes: one that slept through the end of its lease commits nothing.
func TestAnOwnerThatSleptCommitsNothing(t *testing.T) {
	server := peer.StartRedis(t)
	a, b := open(t, redis.Options{Name: "a", LeaseTime: 400 * time.Millisecond}, server), open(t, redis.Options{Name: "b", LeaseTime: 10 * time.Second}, server)
	old := acquire(t, a, 7)
	require.NoError(t, old.Commit(t.Context(), commit(0)))
	_, err := b.Acquire(t.Context(), 7)
	require.ErrorIs(t, err, store.ErrHeld)
	young := acquire(t, b, 7) // once a's lease has ended
	require.ErrorIs(t, old.Commit(t.Context(), commit(1)), store.ErrLeaseLost)
	require.NoError(t, young.Commit(t.Context(), commit(1)))
	require.ErrorIs(t, old.Renew(t.Context()), store.ErrLeaseLost)
	require.NoError(t, old.Release(t.Context()))
	_, err = a.Acquire(t.Context(), 7)
	require.ErrorIs(t, err, store.ErrHeld)
	counted(t, a, 7, 2)

	// What one offers wakes the owner in the other.
	select {
	case <-young.Wake():
	default:
	}
	require.NoError(t, a.Offer(t.Context(), 7, store.Input{ID: "from a"}))
	select {
	case <-young.Wake():
	case <-time.After(10 * time.Second):
		require.Fail(t, "the owner in the other process was not woken")
	}
	require.NoError(t, b.Close()) // gives the lease up at once
	_, err = a.Acquire(t.Context(), 7)
	require.NoError(t, err)
}

// A node of the cluster hangs: commits elsewhere go on, and what they send to it
// arrives in order once it is back.
func TestMessagesWaitForANodeThatHangs(t *testing.T) {
	nodes := peer.StartRedisCluster(t)
	s := open(t, redis.Options{LeaseTime: 5 * time.Second}, nodes...)
	home := func(p store.Partition) *peer.Redis { // who answers for its slot
		for _, n := range nodes {
			if !strings.HasPrefix(n.Command("EXISTS", fmt.Sprintf("tocsin:{p%03d}:m", p)), "MOVED") {
				return n
			}
		}
		require.Fail(t, "no node has the slot")
		return nil
	}
	from, to := store.Partition(0), store.Partition(1)
	for home(to) == home(from) {
		to++
	}
	l := acquire(t, s, from)
	send := func(n int) {
		require.NoError(t, l.Commit(t.Context(), store.Batch{Messages: []store.Message{{To: to, Input: store.Input{ID: strconv.Itoa(n)}}}}))
	}
	send(0)
	target := home(to)
	target.Signal(syscall.SIGSTOP)
	defer target.Signal(syscall.SIGCONT)
	for n := 1; n < 6; n++ {
		send(n)
	}
	target.Signal(syscall.SIGCONT)
	send(6)
	var in []store.Input
	require.Eventually(t, func() bool {
		target, err := s.Acquire(t.Context(), to)
		if err != nil {
			return false
		}
		defer func() { require.NoError(t, target.Release(t.Context())) }()
		in, err = target.Inputs(t.Context(), 0)
		return err == nil && len(in) == 7
	}, 30*time.Second, 50*time.Millisecond)
	for n, i := range in {
		require.Equal(t, strconv.Itoa(n), i.ID)
	}
}
