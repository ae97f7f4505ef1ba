package flow_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// shop is one tenant's traffic: counters that are scraped every 15 s.
type shop struct {
	*life
	id    tenant.ID
	end   journal.Position
	lines []*line
}

// line is what one kind of event does: 600 a minute, of which share fails.
type line struct {
	labels       []string
	perStep      float64
	share        float64
	good, failed float64
}

// newMarket is a world in which acme and bolt trade; only their partitions and those
// of what follows are owned.
func newMarket(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.only = append([]string{tenant.ID("acme").Subject(), tenant.ID("bolt").Subject(), "pool/" + env + "/payments"}, storied...)
	return w
}

func (l *life) shop(id tenant.ID) *shop { return &shop{life: l, id: id} }

func (s *shop) line(perStep float64, pairs ...string) *line {
	x := &line{labels: pairs, perStep: perStep}
	s.lines = append(s.lines, x)
	return x
}

func (s *shop) put(t *testing.T, doc tenant.Tenant, match int) (p profiles.Profile, stored tenant.Tenant, err error) {
	t.Helper()
	doc.ID = s.id
	subject := s.id.Subject()
	err = s.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) (err error) {
		p, stored, _, err = s.shared.PutTenant(tx, s.shared.HandlerOf(subject), doc, match, "test")
		return err
	})
	synctest.Wait()
	return p, stored, err
}

func (s *shop) optIn(t *testing.T, feature string, in bool) (p profiles.Profile) {
	t.Helper()
	return s.opt(t, feature, in, "")
}

func (s *shop) opt(t *testing.T, feature string, in bool, reason string) (p profiles.Profile) {
	t.Helper()
	subject := s.id.Subject()
	require.NoError(t, s.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) (err error) {
		p, _, err = s.shared.OptIn(tx, s.shared.HandlerOf(subject), s.id, feature, in, 0, "test", reason)
		return err
	}))
	synctest.Wait()
	return p
}

func (s *shop) delete(t *testing.T, match int) error {
	t.Helper()
	subject := s.id.Subject()
	err := s.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
		return s.shared.DeleteTenant(tx, s.shared.HandlerOf(subject), s.id, match, "test")
	})
	synctest.Wait()
	return err
}

// trade lets the lines run for a time; every step is one batch of the journal.
func (s *shop) trade(t *testing.T, d time.Duration) {
	t.Helper()
	trade(t, d, s)
}

func trade(t *testing.T, d time.Duration, shops ...*shop) {
	t.Helper()
	for range int(d / (15 * time.Second)) {
		after(15 * time.Second)
		for _, s := range shops {
			s.scrape(t)
		}
	}
	after(2 * time.Second)
}

func (s *shop) scrape(t *testing.T) {
	t.Helper()
	now := time.Now()
	b := &samples.Batch{ReceivedAt: now}
	for _, x := range s.lines {
		x.failed += x.perStep * x.share
		x.good += x.perStep * (1 - x.share)
		for result, v := range map[string]float64{"success": x.good, "error": x.failed} {
			ls := append([]string{"__name__", "payment_transactions_total", "environment", env, "tenant", string(s.id), "result", result, "job", "gw", "instance", "gw-1"}, x.labels...)
			b.Series = append(b.Series, samples.Series{Tenant: s.id, Labels: labels.FromStrings(ls...), Samples: []samples.Sample{{T: now.UnixMilli(), V: v}}})
		}
	}
	s.end = journal.Position{Segment: 1, Offset: s.end.Offset + 1}
	subject := s.id.Subject()
	require.NoError(t, s.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
		return s.shared.HandlerOf(subject).Ingest(tx, b, b.Series, s.end)
	}))
}

func (s *shop) alerts(t *testing.T) map[string]alert.Alert {
	t.Helper()
	out := map[string]alert.Alert{}
	for _, a := range readAt[alert.Alert](t, s.store, store.PartitionOf(s.id.Subject()), "alert") {
		if a.Tenant == s.id {
			out[a.Rule+" "+a.Slice.Key()] = a
		}
	}
	return out
}

func (s *shop) firing(t *testing.T) (out []string) {
	t.Helper()
	for k, a := range s.alerts(t) {
		if a.State == alert.Firing && len(a.Slice) == 0 {
			out = append(out, k)
		}
	}
	return out
}

func (s *shop) status(t *testing.T) (st evaluate.Status) {
	t.Helper()
	subject := s.id.Subject()
	require.NoError(t, s.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
		st = s.shared.HandlerOf(subject).Status(s.id, tx.Now())
		return nil
	}))
	return st
}

func (s *shop) revisions(t *testing.T) (out []profiles.Revision) {
	t.Helper()
	var list []profiles.Triple
	require.NoError(t, s.shared.Owner(s.id.Subject()).Call(t.Context(), func(tx *partition.Tx) (err error) {
		list, err = course.Revisions(tx, s.id)
		return err
	}))
	return s.shared.Profiles().Explain(t.Context(), list)
}

func (l *life) entries(t *testing.T, subject string) []ledger.Entry {
	t.Helper()
	list, err := l.store.Ledger(t.Context(), store.PartitionOf(subject), subject, 0, 1000)
	require.NoError(t, err)
	return list
}
