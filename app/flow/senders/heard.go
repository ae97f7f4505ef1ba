package senders

import (
	"cmp"
	"time"

	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	lateAfter = 10 * time.Minute
	unnamed   = "unnamed"
)

// Heard is what a batch says of one source.
type Heard struct {
	subject string
	heard   sources.Heard
}

// BySource sums a batch up by its sources and their partitions; environment reads
// it from a series.
func BySource(b *samples.Batch, environment func(samples.Series) string) map[store.Partition][]Heard {
	type key struct{ environment, name string }
	heard := map[key]*sources.Heard{}
	places := map[key]map[tenant.ID]int{} // of a tenant among a source's parts
	var last key
	var h *sources.Heard
	var at map[tenant.ID]int
	edge := b.ReceivedAt.Add(-lateAfter).UnixMilli()
	for i := range b.Series {
		x := &b.Series[i]
		if x.Derived {
			continue
		}
		k := key{environment(*x), cmp.Or(x.Source, b.Sender, unnamed)}
		if h == nil || k != last {
			if h = heard[k]; h == nil {
				h = &sources.Heard{At: b.ReceivedAt}
				heard[k], places[k] = h, map[tenant.ID]int{}
			}
			last, at = k, places[k]
		}
		count(h, at, x, edge)
	}
	if h != nil {
		h.Refused = b.Refused // which of several sent them nobody can say
	}
	out := make(map[store.Partition][]Heard, len(heard))
	for k, h := range heard {
		subject := store.NamedSubject("source", k.environment, k.name)
		p := store.PartitionOf(subject)
		out[p] = append(out[p], Heard{subject, *h})
	}
	return out
}

func count(h *sources.Heard, places map[tenant.ID]int, x *samples.Series, edge int64) {
	n := len(x.Samples) + len(x.Histograms)
	h.Samples += n
	for _, v := range x.Samples {
		if v.T < edge {
			h.Late++
		}
	}
	if x.Unknown || x.Tenant == tenant.Product {
		return
	}
	i := len(h.Parts) - 1 // a tenant's series usually stand together
	if i < 0 || h.Parts[i].Tenant != x.Tenant {
		known := false
		if i, known = places[x.Tenant]; !known {
			i = len(h.Parts)
			places[x.Tenant] = i
			h.Parts = append(h.Parts, sources.Part{Tenant: x.Tenant})
		}
	}
	p := &h.Parts[i]
	p.Series, p.Samples = p.Series+1, p.Samples+n
}
