package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api"
	"github.com/tocsin-alerting/tocsin/cluster"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/web"
)

// How long one replica waits for another.
const (
	askTimeout     = 12 * time.Second // to answer a request, decisions included
	journalTimeout = 5 * time.Second  // to make a batch durable
	blobTimeout    = 3 * time.Second
)

// keep makes a batch durable before it is acknowledged: here, and at every other
// replica that lives. So each has the whole history, and whoever takes over a
// partition has in its own journal what came since the state was last written.
func (a *App) keep(ctx context.Context, r journal.Record, b any) error {
	if !a.replicated() || len(a.replicas.peers.Others()) == 0 {
		return a.append(ctx, r, b)
	}
	raw := cluster.Received{Kind: r.Kind, Version: r.Version, At: r.At, Header: r.Header, Body: r.Body}.Encode()
	var theirs error
	var wg sync.WaitGroup
	wg.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, journalTimeout)
		defer cancel()
		theirs = a.replicas.peers.Everyone(ctx, http.MethodPost, "/internal/v1/journal", raw)
	})
	ours := a.append(ctx, r, b)
	wg.Wait()
	if ours != nil {
		return ours
	}
	if theirs != nil { // the sender tries again; samples that are there already are known by their times
		return problem.Wrap(theirs, problem.Unavailable, "another replica did not keep the samples").WithHint("they must be sent again; a replica that died is forgotten within %s", memberTime).WithRetryAfter(time.Second)
	}
	return nil
}

func (a *App) append(ctx context.Context, r journal.Record, b any) error {
	if a.intake.waiting.Load() > int64(a.o.Config.Limits.WaitingSamples) {
		return problem.New(problem.Unavailable, "what evaluates the samples lags behind").WithHint("try again later; if it lasts, give tocsin more CPU").WithRetryAfter(time.Second)
	}
	return a.appendTraced(ctx, r, b)
}

// Journal implements api.Cluster.
func (r *replicas) Journal(ctx context.Context, received []byte) error {
	in, err := cluster.DecodeReceived(received)
	if err != nil {
		return err
	}
	rec := journal.Record{Kind: in.Kind, Version: in.Version, At: in.At, Header: in.Header, Body: in.Body}
	b, err := r.a.decode(rec)
	if err != nil {
		return err
	}
	return r.a.append(ctx, rec, b)
}

// Elsewhere says which replica serves a partition, for state.State.
func (r *replicas) Elsewhere(ctx context.Context, p store.Partition) error {
	none := problem.New(problem.Unavailable, "this part of the store is being taken over").WithRetryAfter(time.Second)
	id, err := r.members.Holder(ctx, p)
	if err != nil {
		return err
	}
	m, ok := r.peers.Member(id)
	if !ok || id == r.self.ID || r.alone {
		return none
	}
	return &web.Elsewhere{Replica: m.ID, URL: m.URL}
}

// forwards passes requests on to the replica that must answer them; nil when
// there are none.
func (r *replicas) forwards() web.Forward {
	if r == nil || r.alone {
		return nil
	}
	return r.forward
}

func (r *replicas) forward(w http.ResponseWriter, in *http.Request, body []byte, to *web.Elsewhere) error {
	if in.Header.Get(cluster.Forwarded) != "" { // who passed it on knew an owner that is none any more
		return problem.New(problem.Unavailable, "this part of the store is changing hands").WithRetryAfter(time.Second)
	}
	ctx, cancel := context.WithTimeout(in.Context(), askTimeout)
	defer cancel()
	out, err := http.NewRequestWithContext(ctx, in.Method, strings.TrimSuffix(to.URL, "/")+in.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return problem.Wrap(err, problem.Internal, "the request cannot be passed on")
	}
	out.Header = in.Header.Clone()
	for _, h := range []string{"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Authorization"} {
		out.Header.Del(h)
	}
	out.Header.Set(cluster.Forwarded, r.self.ID)
	out.Host = in.Host
	res, err := r.peers.Client.Do(out)
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the replica that serves this does not answer").WithRetryAfter(time.Second)
	}
	defer func() { _ = res.Body.Close() }()
	for k, v := range res.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, res.Body) // the client or the replica may be gone
	return nil
}

// contribution waits to be handed to a pool at another replica.
type contribution struct {
	subject string
	list    []exchange.Contribution
}

// contribute hands contributions to a pool at another replica, without waiting.
func (r *replicas) contribute(subject string, list []exchange.Contribution) {
	select {
	case r.queue <- contribution{subject, list}:
	default:
		r.metrics.dropped.Inc()
	}
}

// carry hands contributions over. One that cannot be, for as long as a takeover
// lasts, is dropped and counted: the pool misses a part of a step.
func (r *replicas) carry(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-r.queue:
			raw, err := json.Marshal(api.ContributionsJob{Subject: c.subject, Contributions: c.list})
			for try := 0; err == nil && !r.hand(ctx, c, raw); try++ {
				if try == 20 {
					r.metrics.dropped.Inc()
					break
				}
				select {
				case <-ctx.Done():
					return
				case <-time.After(lookEvery):
				}
			}
		}
	}
}

func (r *replicas) hand(ctx context.Context, c contribution, raw []byte) bool {
	if r.a.shared.Pooled(c.subject, c.list) {
		return true
	}
	id, err := r.members.Holder(ctx, store.PartitionOf(c.subject))
	if err != nil {
		return false
	}
	m, ok := r.peers.Member(id)
	if !ok || id == r.self.ID {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, journalTimeout)
	defer cancel()
	_, err = r.peers.Do(ctx, m, http.MethodPost, "/internal/v1/contributions", raw)
	return err == nil
}

// glances asks the other replicas for the tenants that they serve.
func (r *replicas) glances(ctx context.Context) ([]evaluate.Glance, error) {
	var out []evaluate.Glance
	for _, m := range r.peers.Others() {
		raw, err := r.peers.Do(ctx, m, http.MethodGet, "/internal/v1/glances", nil)
		if err != nil {
			return nil, err
		}
		var part []evaluate.Glance
		if err := json.Unmarshal(raw, &part); err != nil {
			return nil, problem.Wrap(err, problem.Internal, "the answer of replica %s cannot be read", m.ID)
		}
		out = append(out, part...)
	}
	return out, nil
}

// ask has the replica that serves a partition do something.
func (r *replicas) ask(ctx context.Context, p store.Partition, path string) error {
	err := r.Elsewhere(ctx, p)
	var to *web.Elsewhere
	if !errors.As(err, &to) {
		return err
	}
	_, err = r.peers.Do(ctx, store.Member{ID: to.Replica, URL: to.URL}, http.MethodPost, path, nil)
	return err
}

// findBlob looks for a picture at the other replicas.
func (r *replicas) findBlob(id string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), blobTimeout)
	defer cancel()
	for _, m := range r.peers.Others() {
		b, err := r.peers.Do(ctx, m, http.MethodGet, "/internal/v1/blobs/"+url.PathEscape(id), nil)
		if err == nil {
			return b, nil
		}
	}
	return nil, problem.New(problem.NotFound, "no such picture").WithHint("pictures are kept for the time given by retention.blobs")
}

// shareBlob gives a picture to the other replicas, so that it outlives this one.
// A replica that does not answer fetches it when it is asked for.
func (r *replicas) shareBlob(id string, content []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), blobTimeout)
	defer cancel()
	if err := r.peers.Everyone(ctx, http.MethodPut, "/internal/v1/blobs/"+url.PathEscape(id), content); err != nil && !errors.Is(err, context.Canceled) {
		r.a.log.Warn("a picture is not at every replica", "error", err)
	}
}

var _ api.Cluster = (*replicas)(nil)
