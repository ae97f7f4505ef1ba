//go:build unix

package evaluate

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// BenchmarkTenantMinute is a minute of a tenant with 18 streams (the total, 4 methods,
// 5 acquirers, 8 countries) in steps of 15 s, from 24 counters scraped every 15 s: 96
// samples taken and 72 decisions. Adding is what taking the samples costs, deciding
// what closing the steps does. Its hours change: what a baseline makes of an hour
// that is over is in it.
// The medians are of single scrapes, by the clock on the wall: what else runs on the machine
// moves them least, and closing hours is not in them.
func BenchmarkTenantMinute(b *testing.B) {
	for _, w := range []struct {
		name    string
		tenants int
		tps     float64
	}{{"busy", 20, 10}, {"usual", 20, .5}, {"quiet", 20, .02}, {"usual", 5000, .5}} {
		b.Run(fmt.Sprintf("%s/tenants=%d", w.name, w.tenants), func(b *testing.B) { benchMinute(b, w.tenants, w.tps) })
	}
}

// spent is what the process has used of the processors: what else runs on the machine
// is not in it.
func spent() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// held is the memory in use.
func held() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func benchMinute(b *testing.B, tenants int, tps float64) {
	r := failing()
	r.SLI.Slices = []string{"acquirer", "country", "method"}
	rng := rand.New(rand.NewPCG(1, 1))
	var drawn [2][4096]float64 // what a counter of successes and one of failures grows by
	for i := range drawn[0] {
		drawn[0][i], drawn[1][i] = poisson(rng, tps/12*.99*15), poisson(rng, tps/12*.01*15)
	}
	e := New(Options{YoungFor: 2 * time.Hour})
	before := held()
	type counted struct {
		ref *Ref
		v   float64
		bad int
	}
	all := make([]counted, 0, 24*tenants)
	for t := range tenants {
		id := tenant.ID(fmt.Sprintf("t%05d", t))
		e.SetTenant(tenant.Tenant{ID: id, State: tenant.Live}, []rule.Rule{r}, epoch)
		for i := range 12 {
			for bad, result := range []string{"success", "error"} {
				all = append(all, counted{bad: bad, ref: e.Resolve(id, counter("tenant", string(id), "result", result, "method", fmt.Sprint("m", i%4),
					"acquirer", fmt.Sprint("a", i%5), "country", fmt.Sprint("c", i%8)))})
			}
		}
	}
	now, at := epoch, 0
	var adding, deciding time.Duration // of the processor
	var adds, decides []time.Duration  // by the clock
	scrape := func() {
		now = now.Add(15 * time.Second)
		began, clock := spent(), time.Now()
		e.Advance(now)
		decides = append(decides, time.Since(clock))
		deciding += spent() - began
		began, clock = spent(), time.Now()
		sm := []Sample{{T: now.UnixMilli() - 3000}}
		for i := range all {
			c := &all[i]
			c.v += drawn[c.bad][at%4096]
			at++
			sm[0].V = c.v
			e.Append(now, c.ref, sm)
		}
		adds = append(adds, time.Since(clock))
		adding += spent() - began
	}
	for range 4 * 60 * 3 {
		scrape()
	}
	status := e.Status("t00000", now)
	streams := 0
	for _, s := range status.SLIs {
		streams += len(s.Slices)
	}
	if streams != 18 || status.Young {
		b.Fatal(streams, status.Young)
	}
	bytes := float64(held()-before) / float64(tenants)
	adding, deciding, adds, decides = 0, 0, nil, nil
	moved := e.o.desk.moved
	b.ReportAllocs()
	for b.Loop() {
		for range 4 {
			scrape()
		}
	}
	minutes := float64(b.N * tenants)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bytes, "bytes/tenant")
	b.ReportMetric(float64(adding.Nanoseconds())/minutes, "ns-adding/tenant-minute")
	b.ReportMetric(float64(deciding.Nanoseconds())/minutes, "ns-deciding/tenant-minute")
	b.ReportMetric(float64((adding+deciding).Nanoseconds())/minutes, "ns/tenant-minute")
	b.ReportMetric(float64(e.o.desk.moved-moved)/minutes, "judgements/tenant-minute")
	slices.Sort(adds)
	slices.Sort(decides)
	b.ReportMetric(4*float64(adds[len(adds)/2].Nanoseconds())/float64(tenants), "ns-adding-median/tenant-minute")
	b.ReportMetric(4*float64(decides[len(decides)/2].Nanoseconds())/float64(tenants), "ns-deciding-median/tenant-minute")
}

// A step that brings nothing new costs no memory; choosing the slices anew, every five
// minutes, may.
func TestAStepAllocatesNothing(t *testing.T) {
	r := failing()
	r.SLI.Slices = []string{"acquirer", "country"}
	e := New(Options{YoungFor: time.Hour})
	e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live}, []rule.Rule{r}, epoch)
	var refs []*Ref
	for i := range 24 {
		refs = append(refs, e.Resolve("shop", counter("result", []string{"success", "error"}[i%2], "acquirer", fmt.Sprint("a", i/2%4), "country", fmt.Sprint("c", i/2%3))))
	}
	now, sm := epoch, make([]Sample, 1)
	scrape := func() {
		now = now.Add(15 * time.Second)
		e.Advance(now)
		for i, ref := range refs {
			sm[0] = Sample{T: now.UnixMilli() - 3000, V: float64(now.Sub(epoch)/time.Second) * []float64{1, .01}[i%2]}
			e.Append(now, ref, sm)
		}
	}
	for range 4*60*3 + 2 { // three hours, and not the step that chooses
		scrape()
	}
	require.Zero(t, testing.AllocsPerRun(10, scrape))
}
