package flow_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/senders"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// plant is one Prometheus that carries many tenants: counters and histograms, scraped
// every 15 s, each scrape one batch of the journal.
type plant struct {
	*life
	source string
	shops  []*merchant
	end    journal.Position
	kept   []*samples.Batch // scraped while it could not send
}

// merchant has 60 payments a minute and acquirer.
type merchant struct {
	id     tenant.ID
	series map[string]*float64
	batch  func(m *merchant) // what a quarter of a minute brings
	absent bool              // not scraped any more
}

var acquirers = []string{"alpha", "beta"}

func usualQuarter(m *merchant) {
	for _, a := range acquirers {
		m.pays(a, 15, 0)
	}
}

// pays counts n payments, of which slow take longer than a second.
func (m *merchant) pays(acquirer string, n, slow float64) {
	*m.at("payment_transactions_total", "acquirer", acquirer, "result", "success") += n
	for le, part := range map[string]float64{"0.25": .5 * (n - slow), "0.5": n - slow, "1": n - slow, "+Inf": n} {
		*m.at("payment_duration_seconds_bucket", "acquirer", acquirer, "le", le) += part
	}
}

func (m *merchant) at(name string, pairs ...string) *float64 {
	key := name + "," + strings.Join(pairs, ",")
	if m.series[key] == nil {
		m.series[key] = new(float64)
	}
	return m.series[key]
}

func (l *life) plant(t *testing.T, source string, tenants int) *plant {
	p := &plant{life: l, source: source}
	for i := range tenants {
		m := &merchant{id: tenant.ID(fmt.Sprintf("shop-%02d", i)), series: map[string]*float64{}, batch: usualQuarter}
		p.shops = append(p.shops, m)
		subject := m.id.Subject()
		require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
			_, _, _, err := l.shared.PutTenant(tx, l.shared.HandlerOf(subject), tenant.Tenant{ID: m.id, Timezone: "Asia/Tokyo", ExpectedTPM: 120}, 0, "test")
			return err
		}))
	}
	synctest.Wait()
	return p
}

// scrape is what the source reads now.
func (p *plant) scrape() *samples.Batch {
	now := time.Now()
	b := &samples.Batch{ReceivedAt: now}
	for _, m := range p.shops {
		m.batch(m)
		for key, v := range m.series {
			if m.absent {
				continue
			}
			f := strings.Split(key, ",")
			ls := append([]string{"__name__", f[0], "cluster", p.source, "environment", env, "tenant", string(m.id), "job", "gw", "instance", "gw-1"}, f[1:]...)
			b.Series = append(b.Series, samples.Series{Tenant: m.id, Source: p.source, Labels: labels.FromStrings(ls...), Samples: []samples.Sample{{T: now.UnixMilli(), V: *v}}})
		}
	}
	return b
}

// send hands a batch on as the journal's reader does.
func (p *plant) send(b *samples.Batch) {
	b.ReceivedAt = time.Now()
	p.end = journal.Position{Segment: 1, Offset: p.end.Offset + 1}
	at := p.end
	for n, heard := range senders.BySource(b, func(s samples.Series) string { return s.Labels.Get("environment") }) {
		seat, _ := p.shared.Seat(n)
		seat.Owner.Post(func(tx *partition.Tx) error { return seat.Handler.Hear(tx, heard, at) })
	}
	parts := map[store.Partition][]samples.Series{}
	for _, s := range b.Series {
		n := store.PartitionOf(s.Tenant.Subject())
		parts[n] = append(parts[n], s)
	}
	for n, series := range parts {
		seat, _ := p.shared.Seat(n)
		seat.Owner.Post(func(tx *partition.Tx) error { return seat.Handler.Ingest(tx, b, series, at) })
	}
	synctest.Wait()
}

func (p *plant) runs(d time.Duration) {
	for range int(d / (15 * time.Second)) {
		after(15 * time.Second)
		p.send(p.scrape())
	}
	after(3 * time.Second)
}

// cutOff lets time pass in which it scrapes and cannot send; back sends what it kept.
func (p *plant) cutOff(d time.Duration) {
	for range int(d / (15 * time.Second)) {
		after(15 * time.Second)
		p.kept = append(p.kept, p.scrape())
	}
}

func (p *plant) back() {
	for _, b := range p.kept {
		p.send(b)
		after(20 * time.Millisecond)
	}
	p.kept = nil
}

func (p *plant) alerts(t *testing.T) (out []alert.Alert) {
	for n := range store.Partitions {
		out = append(out, readAt[alert.Alert](t, p.store, store.Partition(n), "alert")...)
	}
	return out
}

func (p *plant) sources(t *testing.T) []sources.Status {
	t.Helper()
	list, err := p.shared.Sources(t.Context(), time.Now())
	require.NoError(t, err)
	return list
}

func TestADeadSourceIsOneIncidentAndItsBacklogPagesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		p := l.plant(t, "prom-eu", 50)
		p.runs(16 * time.Minute)
		list := p.sources(t)
		require.Len(t, list, 1)
		require.Equal(t, "prom-eu", list[0].Name)
		require.Equal(t, 50, list[0].Tenants)
		require.Equal(t, 500, list[0].Series)
		require.InDelta(t, 500./15, list[0].SamplesPerSecond, 5)
		require.Nil(t, list[0].DeadSince)
		require.Contains(t, list[0].OwnerReason, "the first team listed takes it")

		// The source dies. Behind its back half of one tenant's payments stop, and come back.
		died := time.Now()
		shop := p.shops[7]
		shop.batch = func(m *merchant) { m.pays("alpha", 15, 0) }
		p.cutOff(3 * time.Minute)
		shop.batch = usualQuarter
		p.cutOff(12 * time.Minute)

		incidents := l.incidents(t)
		require.Len(t, incidents, 1)
		i := incidents[0]
		require.Equal(t, "source prom-eu is silent: 50 tenants are not watched", i.Title)
		require.Equal(t, rule.Source, i.Kind())
		require.WithinDuration(t, died, i.OnsetAt, 20*time.Second)
		require.Len(t, l.pages(t), 1, "its owner is called, once")
		require.Contains(t, l.mail.carried()[0].Text, "source prom-eu is silent")
		require.Len(t, l.tickets(t), 1)
		require.NotNil(t, p.sources(t)[0].DeadSince)
		require.Equal(t, 50, l.kinds(t)["tenant.blind"], "all its tenants are shown blind")
		for _, m := range p.shops[:3] {
			st := l.status(t, m.id)
			require.True(t, st.Blind)
		}

		p.back()
		p.runs(3 * time.Minute)
		incidents = l.incidents(t)
		require.Len(t, incidents, 1, "its backlog opens nothing")
		require.Equal(t, incident.StateResolved, incidents[0].State)
		require.Equal(t, "source prom-eu was silent: 50 tenants were not watched", incidents[0].Title)
		require.Len(t, l.pages(t), 1)
		for _, a := range p.alerts(t) {
			require.Equal(t, rule.Source, a.Kind, a.Reason)
		}
		require.Nil(t, p.sources(t)[0].DeadSince)
		require.Positive(t, p.sources(t)[0].Late)

		// A restart forgets nothing of it.
		l.end()
		l = l.begin(t)
		p.life = l
		require.Equal(t, 50, p.sources(t)[0].Tenants)
		p.runs(time.Minute)
		require.Len(t, l.pages(t), 1)
		l.end()
	})
}

func (l *life) status(t *testing.T, id tenant.ID) (st struct{ Blind bool }) {
	t.Helper()
	subject := id.Subject()
	require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
		st.Blind = l.shared.HandlerOf(subject).Status(id, tx.Now()).Blind
		return nil
	}))
	return st
}

func TestAnAbsentTenantIsATicketAndNoPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		p := l.plant(t, "prom-eu", 3)
		p.runs(5 * time.Minute)
		p.shops[1].absent = true
		p.runs(13 * time.Minute)
		incidents := l.incidents(t)
		require.Len(t, incidents, 1)
		require.Equal(t, "payments are not reported for shop-01", incidents[0].Title)
		require.Equal(t, rule.Warning, incidents[0].Severity)
		require.Empty(t, l.pages(t))
		require.Len(t, l.tickets(t), 1)
		require.Contains(t, incidents[0].Alerts[0].Reason, "although source prom-eu sends others")

		p.shops[1].absent = false
		p.runs(2 * time.Minute)
		require.Equal(t, incident.StateResolved, l.incidents(t)[0].State)
		l.end()
	})
}

func TestASlowAcquirerThatFailsLaterIsOneIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		p := l.plant(t, "prom-eu", 1)
		p.runs(20 * time.Minute)
		require.Empty(t, l.incidents(t))
		p.shops[0].batch = func(m *merchant) { m.pays("alpha", 15, 14); m.pays("beta", 15, 0) }
		p.runs(3 * time.Minute)
		incidents := l.incidents(t)
		require.Len(t, incidents, 1)
		i := incidents[0]
		require.Regexp(t, `^payments through acquirer alpha are slow for shop-00: \d\d% take longer than 500 ms, 50% of its volume$`, i.Title)
		require.Equal(t, "acquirer=alpha", i.Slice.Key())
		require.Len(t, l.pages(t), 1, "a young tenant's hard fault")
		require.Regexp(t, `(?m)^\d+ of \d+ attempts took longer than 500 ms$`, l.mail.carried()[0].Text)

		p.shops[0].batch = func(m *merchant) {
			m.pays("beta", 15, 0)
			*m.at("payment_transactions_total", "acquirer", "alpha", "result", "error") += 15
		}
		p.runs(4 * time.Minute)
		incidents = l.incidents(t)
		require.Len(t, incidents, 1, "the same slice fails within a quarter of an hour: the same fault")
		kinds := map[rule.Kind]bool{}
		for _, a := range incidents[0].Alerts {
			kinds[a.Kind] = true
		}
		require.True(t, kinds[rule.Errors] && kinds[rule.Latency], strconv.Itoa(len(kinds)))
		require.Contains(t, incidents[0].Title, "payments through acquirer alpha fail for shop-00", "it speaks of the failures now")
		require.Len(t, l.pages(t), 1)
		l.end()
	})
}

func TestLostTrafficWithFreshFlatCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWorld(t).begin(t)
		p := l.plant(t, "prom-eu", 2)
		p.runs(40 * time.Minute)
		require.Empty(t, l.incidents(t))
		p.shops[0].batch = func(*merchant) {}
		p.runs(16 * time.Minute)
		incidents := l.incidents(t)
		require.Len(t, incidents, 1)
		require.Regexp(t, `^payments are missing for shop-00: 0 instead of \d+$`, incidents[0].Title)
		require.Len(t, l.pages(t), 1)
		require.Regexp(t, `(?m)^0 payments in \d+ (seconds|minutes)$`, l.mail.carried()[0].Text)
		p.shops[0].batch = usualQuarter
		p.runs(3 * time.Minute)
		require.Equal(t, incident.StateResolved, l.incidents(t)[0].State)
		l.end()
	})
}
