package samples

import (
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
)

// kid is one of the series that a histogram or a summary stands for.
type kid struct {
	key  kidKey
	info *info
}

// kidKey has the bits of the edge: a quantile may be NaN, and that is nobody's
// equal.
type kidKey struct {
	kind    remotewrite.PartKind
	edge    uint64
	derived bool
}

// maxKids bounds the series of one histogram. A sender that changes its bounds all
// the time starts anew.
const maxKids = 1000

// parts gives the entry of each part of a series. Derived ones have their edges
// written as Prometheus writes those it scrapes, the others as it writes OTLP's.
func (c *cache) parts(in *info, parts []remotewrite.Part, derived bool) []*info {
	out := make([]*info, len(parts))
	missing := false
	c.mu.RLock()
	for i, p := range parts {
		out[i] = in.kid(i, kidKey{p.Kind, math.Float64bits(p.Edge), derived})
		missing = missing || out[i] == nil
	}
	c.mu.RUnlock()
	if !missing {
		return out
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range parts {
		key := kidKey{p.Kind, math.Float64bits(p.Edge), derived}
		if out[i] = in.kid(i, key); out[i] == nil {
			out[i] = c.addKid(in, key, p.Edge)
		}
	}
	return out
}

// kid finds a part; it usually stands where it stood the last time.
func (in *info) kid(at int, key kidKey) *info {
	if at < len(in.kids) && in.kids[at].key == key {
		return in.kids[at].info
	}
	for _, k := range in.kids {
		if k.key == key {
			return k.info
		}
	}
	return nil
}

// addKid makes a part's entry; the caller holds the lock.
func (c *cache) addKid(in *info, key kidKey, edge float64) *info {
	if len(in.kids) >= maxKids {
		if !in.gone {
			c.size -= len(in.kids)
		}
		in.kids = nil
	}
	if c.added >= c.quarter() {
		c.turn()
	}
	b := labels.NewBuilder(in.labels)
	switch key.kind {
	case remotewrite.PartBucket:
		b.Set(labels.MetricName, in.name+"_bucket").Set(labels.BucketLabel, edgeText(edge, key.derived))
	case remotewrite.PartCount:
		b.Set(labels.MetricName, in.name+"_count")
	case remotewrite.PartSum:
		b.Set(labels.MetricName, in.name+"_sum")
	case remotewrite.PartQuantile:
		b.Set("quantile", edgeText(edge, key.derived))
	}
	c.nextID++
	k := &info{id: c.nextID, tenant: in.tenant, labels: b.Labels(), name: in.name}
	in.kids = append(in.kids, kid{key, k})
	if !in.gone {
		c.size++
		c.added++
	}
	return k
}

func edgeText(edge float64, derived bool) string {
	if derived {
		return labels.FormatOpenMetricsFloat(edge)
	}
	return strconv.FormatFloat(edge, 'f', -1, 64)
}
