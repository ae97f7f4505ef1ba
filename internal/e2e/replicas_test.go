package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/redis"
)

// balancer hands each connection to the next of the replicas that takes it.
type balancer struct {
	listener net.Listener
	replicas []string
	next     atomic.Uint64
}

func newBalancer(t *testing.T, replicas ...string) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	b := &balancer{listener: l, replicas: replicas}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(c)
		}
	}()
	return b
}

func (b *balancer) url() string { return "http://" + b.listener.Addr().String() }

func (b *balancer) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	first := b.next.Add(1)
	for i := range b.replicas {
		server, err := net.DialTimeout("tcp", b.replicas[(first+uint64(i))%uint64(len(b.replicas))], time.Second)
		if err != nil {
			continue
		}
		defer func() { _ = server.Close() }()
		go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
		_, _ = io.Copy(client, server)
		return
	}
}

// pair is two replicas on one Redis.
type pair struct {
	server *peer.Redis
	lb     *balancer
	each   [2]*killable
	api    *killClient // of whichever replica the balancer chooses
}

type clusterDoc struct {
	Unserved int
	Members  []struct {
		ID, URL    string
		Partitions int
	}
}

// startPair starts two replicas with the same tocsin.yaml, and waits until they
// share the work.
func startPair(t *testing.T, config func(dir string) string) *pair {
	t.Helper()
	p := &pair{server: peer.StartRedis(t, "--appendfsync", "always")}
	addresses := []string{killFree(t), killFree(t)}
	p.lb = newBalancer(t, addresses...)
	root := t.TempDir()
	secret := filepath.Join(root, "cluster.secret")
	require.NoError(t, os.WriteFile(secret, []byte(strings.Repeat("s3cret", 8)), 0o600))
	for i, address := range addresses {
		dir := filepath.Join(root, fmt.Sprint(i))
		require.NoError(t, os.Mkdir(dir, 0o700))
		args := []string{"--config.file", config(dir), "--store.url", "redis://" + p.server.Addr, "--cluster.secret-file", secret, "--web.external-url", p.lb.url()}
		p.each[i] = newKillableAt(t, dir, address, args...)
	}
	token, err := os.ReadFile(filepath.Join(p.each[0].storage(), "admin.token"))
	require.NoError(t, err)
	p.api = &killClient{base: p.lb.url(), token: strings.TrimSpace(string(token)), http: &http.Client{Timeout: 15 * time.Second}}
	p.shared(t, 2, 60*time.Second)
	return p
}

// shared waits until so many members serve every partition, and none too few.
func (p *pair) shared(t *testing.T, members int, within time.Duration) {
	t.Helper()
	killEventually(t, within, fmt.Sprintf("%d members to serve everything", members), func() error {
		var c clusterDoc
		p.api.do(t, http.MethodGet, "/api/v1/cluster", nil, &c)
		if len(c.Members) != members || c.Unserved > 0 {
			return fmt.Errorf("%+v", c)
		}
		for _, m := range c.Members {
			if m.Partitions < 256/members*7/10 {
				return fmt.Errorf("%+v", c)
			}
		}
		return nil
	})
}

// holder is which of the pair serves a subject.
func (p *pair) holder(t *testing.T, subject string) int {
	t.Helper()
	id := p.server.Command("HGET", fmt.Sprintf("tocsin:{p%03d}:m", store.PartitionOf(subject)), "holder")
	if strings.HasPrefix(id, "rep_") {
		return p.index(t, id)
	}
	t.Fatalf("nobody serves %s: %q", subject, id)
	return 0
}

func (p *pair) index(t *testing.T, id string) int {
	t.Helper()
	for i, k := range p.each {
		raw, err := os.ReadFile(filepath.Join(k.storage(), "replica.id"))
		require.NoError(t, err)
		if strings.TrimSpace(string(raw)) == id {
			return i
		}
	}
	t.Fatalf("no replica is %s", id)
	return 0
}

// TestReplicasTellTheStory is the demo's story on two replicas, and the one that
// decides the incidents is killed as soon as there is an alert: one ticket, one
// page, and the other takes over within ten seconds.
func TestReplicasTellTheStory(t *testing.T) {
	long(t)
	s := &killTale{mail: peer.StartMailpit(t), random: true, began: time.Now(), truth: map[string]killTruth{}}
	p := startPair(t, func(dir string) string { return s.configure(t, dir) })
	s.d, s.api = p.each[0], p.api
	s.onboard(t)
	s.history(t)
	s.sender.URL = p.lb.url() + "/api/v1/push"
	ctx, stop := context.WithCancel(t.Context())
	live := make(chan error, 1)
	go func() { live <- s.live(ctx) }()
	stopped := false
	defer func() {
		if stop(); !stopped {
			<-live
		}
	}()
	fault := s.breaks(t)
	killEventually(t, 2*time.Minute, "an alert", func() error {
		if len(killList[killAlert](t, s.api, "/api/v1/alerts", nil)) == 0 {
			return errors.New("none")
		}
		return nil
	})
	dead := p.holder(t, "incidents/production")
	require.NoError(t, p.each[dead].cmd.Process.Kill())
	<-p.each[dead].ended
	killed := time.Now()
	s.killed(t, "alert; its incidents' replica was killed")
	s.d = p.each[1-dead]
	p.shared(t, 1, 10*time.Second)
	t.Logf("the other serves everything %s after the kill", time.Since(killed).Round(time.Millisecond))

	s.until(t, "the ticket and the picture", func(i killIncident) bool { return i.Ticket.Ref.Number != "" && i.Dashboard.Blob != "" })
	status, _, err := s.api.send(t.Context(), http.MethodGet, "/api/v1/incidents/"+s.incident.ID+"/picture", "", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	killEventually(t, time.Minute, "the page", func() error {
		pages := killList[killPage](t, s.api, "/api/v1/pages", url.Values{"incident": {s.incident.ID}})
		if len(pages) != 1 || pages[0].State != "sent" {
			return fmt.Errorf("%+v", pages)
		}
		return nil
	})
	s.acknowledge(t)
	s.until(t, "the acknowledgement", func(i killIncident) bool { return i.State == "acknowledged" && i.AcknowledgedBy.Person == "ada" })
	if os.Getenv("TOCSIN_LONG") != "" { // the proof that a fault is over takes more than a minute; TestKillNine has it always
		s.nextStep(t, func(at time.Time) error { return s.gateway.Mend(fault, at) })
		s.until(t, "the end", func(i killIncident) bool { return i.State == "resolved" })
		s.ticketResolved(t)
	} else {
		tickets := killList[struct{ Number, Key string }](t, s.api, "/api/v1/tickets", nil)
		require.Len(t, tickets, 1, "one ticket")
		require.Equal(t, s.incident.ID, tickets[0].Key)
	}
	mails := map[string]bool{}
	for _, m := range s.mail.Messages(t) {
		mails[s.mail.Message(t, m.ID).MessageID] = true
	}
	require.Len(t, mails, 1, "one page")
	stop()
	require.NoError(t, <-live)
	stopped = true
	s.nothingLost(t) // whoever took over replayed its own journal: no gap, and the whole history
	t.Logf("%5.1f s in all", time.Since(s.began).Seconds())
}

// TestAReplicaThatSleptCommitsNothing stops one of two replicas and lets the
// other change what it served; when it wakes it changes nothing back, and takes a
// share again.
func TestAReplicaThatSleptCommitsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for leases to end")
	}
	t.Parallel()
	p := startPair(t, func(dir string) string {
		file := filepath.Join(dir, "tocsin.yaml")
		require.NoError(t, os.WriteFile(file, []byte("environment: production\n"), 0o600))
		return file
	})
	put := func(api *killClient, name string) {
		for n := range 16 {
			api.do(t, http.MethodPut, fmt.Sprintf("/api/v1/tenants/tenant-%d", n), map[string]any{"name": name}, nil)
		}
	}
	put(p.api, "before")
	asleep := p.each[0]
	awake := &killClient{base: p.each[1].url(), token: p.api.token, http: p.api.http}
	// Requests that the sleeper accepted and has not decided on when it falls asleep.
	for n := range 16 {
		go func() {
			body := strings.NewReader(`{"name":"from the sleeper"}`)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, fmt.Sprintf("%s/api/v1/tenants/sleeper-%d", asleep.url(), n), body)
			if err != nil {
				return
			}
			req.Header.Set("Authorization", "Bearer "+p.api.token)
			if res, err := http.DefaultClient.Do(req); err == nil {
				_ = res.Body.Close()
			}
		}()
	}
	require.NoError(t, asleep.cmd.Process.Signal(syscall.SIGSTOP))
	began := time.Now()
	killEventually(t, 10*time.Second, "the other to serve everything", func() error {
		var c clusterDoc
		awake.do(t, http.MethodGet, "/api/v1/cluster", nil, &c)
		if len(c.Members) != 1 || c.Unserved > 0 {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	t.Logf("taken over %s after the stop", time.Since(began).Round(time.Millisecond))
	put(awake, "meanwhile")
	require.NoError(t, asleep.cmd.Process.Signal(syscall.SIGCONT))
	p.shared(t, 2, 30*time.Second)
	for n := range 16 {
		var doc struct{ Name string }
		p.api.do(t, http.MethodGet, fmt.Sprintf("/api/v1/tenants/tenant-%d", n), nil, &doc)
		require.Equal(t, "meanwhile", doc.Name)
	}
	raw, err := os.ReadFile(asleep.log.Name())
	require.NoError(t, err)
	require.Contains(t, string(raw), "a partition is not served here any more")
	for _, k := range p.each {
		k.stop(t)
	}

	// Every partition's ledger is one chain: nobody wrote beside the owner.
	home, err := redis.Open(t.Context(), redis.Options{Addresses: []string{p.server.Addr}})
	require.NoError(t, err)
	defer func() { require.NoError(t, home.Close()) }()
	entries := 0
	for p := range store.Partitions {
		list, err := home.Ledger(t.Context(), store.Partition(p), "", 0, 1<<20)
		require.NoError(t, err)
		_, err = ledger.Verify(ledger.Head{}, list)
		require.NoError(t, err, "partition %d", p)
		entries += len(list)
	}
	require.Greater(t, entries, 64)
}
