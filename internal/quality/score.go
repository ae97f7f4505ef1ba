package quality

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/internal/quality/world"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Alert is one thing a detector raised.
type Alert struct {
	Tenant   string // tenant.Product: over all tenants
	Rule     string
	Slice    map[string]string
	At, End  time.Time
	Critical bool
	Paged    time.Time // somebody was called for it then; zero: nobody was
	Incident int       // 0: it knows none
	Reason   string
	Unheard  string // why it called nobody when it fired; empty: it did, or nobody was to be called
}

func (a Alert) product() bool { return a.Tenant == string(tenant.Product) }

// source says whether it is about a sender of samples, not about payments.
func (a Alert) source() bool { return a.Slice["source"] != "" }

// Wrong is an alert that is about no fault.
type Wrong struct {
	Alert
	Cause string  // what was going on
	TPS   float64 // of the tenant; 0: all of them
}

const (
	again       = 15 * time.Minute // re-firing within this is the same
	countsAfter = 10 * time.Minute
	month       = 30 * 24 * time.Hour
)

// merged makes one alert of those of one tenant that follow each other, whatever
// their rules. Over all tenants it is the slice that keeps them apart.
func merged(all []Alert) []Alert {
	return mergedBy(all, func(a Alert) string {
		if a.product() {
			return a.Tenant + "\xff" + key(a.Slice)
		}
		return a.Tenant
	})
}

// apart makes one alert of those of one rule and slice that follow each other.
func apart(all []Alert) []Alert {
	return mergedBy(all, func(a Alert) string { return a.Tenant + "\xff" + a.Rule + "\xff" + key(a.Slice) })
}

// mergedBy makes one alert of those of a group that follow each other.
func mergedBy(all []Alert, group func(Alert) string) []Alert {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b Alert) int { return cmp.Or(cmp.Compare(group(a), group(b)), a.At.Compare(b.At)) })
	var out []Alert
	for _, a := range all {
		n := len(out)
		if n == 0 || group(out[n-1]) != group(a) || a.At.Sub(out[n-1].End) > again {
			out = append(out, a)
			continue
		}
		last := &out[n-1]
		last.Critical = last.Critical || a.Critical
		if last.Paged.IsZero() || !a.Paged.IsZero() && a.Paged.Before(last.Paged) {
			last.Paged = a.Paged
		}
		if a.End.After(last.End) {
			last.End = a.End
		}
	}
	slices.SortStableFunc(out, func(a, b Alert) int { return a.At.Compare(b.At) })
	return out
}

// shows says whether an alert that begins while others of its tenant ring can only be about
// that fault: its rule is of what the fault does, and its slice is what the fault touches.
func (a Alert) shows(f *world.Fault) bool {
	of := func(kinds ...string) bool {
		return slices.ContainsFunc(kinds, func(k string) bool { return strings.HasSuffix(a.Rule, k) })
	}
	return agrees(f, a.Slice) && (f.Errors > 0 && of("_errors", "_declines") || f.Slower > 0 && of("_latency") || f.Lost > 0 && of("_traffic", "_absent"))
}

func key(slice map[string]string) string {
	s := make(sli.Slice, 0, len(slice))
	for l, v := range slice {
		s = append(s, sli.Dim{Label: l, Value: v})
	}
	slices.SortFunc(s, func(a, b sli.Dim) int { return cmp.Compare(a.Label, b.Label) })
	return s.Key()
}

// court knows the truth of a world that has passed.
type court struct {
	w       *world.World
	tenants map[string]*world.Tenant
	benign  map[string][]*world.Fault // by tenant
	own     map[string][]*world.Fault // true ones
	single  []*world.Fault            // of one tenant, all of them
	shared  []*world.Fault
}

func newCourt(w *world.World) *court {
	c := &court{w: w, tenants: map[string]*world.Tenant{}, benign: map[string][]*world.Fault{}, own: map[string][]*world.Fault{}}
	for _, t := range w.Tenants {
		c.tenants[t.ID] = t
	}
	for _, f := range w.Benign {
		c.benign[f.Tenant] = append(c.benign[f.Tenant], f)
	}
	for _, f := range w.Faults {
		if f.Shared() {
			c.shared = append(c.shared, f)
		} else {
			c.own[f.Tenant] = append(c.own[f.Tenant], f)
			c.single = append(c.single, f)
		}
	}
	return c
}

// about lists the faults that an alert may be about, the tenant's own first.
func (c *court) about(a Alert) (out []*world.Fault) {
	if a.source() {
		return nil
	}
	during := func(f *world.Fault) bool { return !a.At.Before(f.From) && !a.At.After(f.To.Add(countsAfter)) }
	product := a.product()
	own := c.own[a.Tenant]
	if product {
		own = c.single
	}
	for _, f := range own {
		if during(f) && (!product || agrees(f, a.Slice) && c.weighs(f.Tenant, a.Slice)) {
			out = append(out, f)
		}
	}
	for _, f := range c.shared {
		_, touched := f.Evidence[a.Tenant]
		if during(f) && (touched || product && agrees(f, a.Slice)) {
			out = append(out, f)
		}
	}
	return out
}

// agrees says whether what is said of all tenants may be about the fault: of another
// acquirer it is not.
func agrees(f *world.Fault, slice map[string]string) bool {
	other := func(label, is string) bool { v, ok := slice[label]; return ok && is != "" && v != is }
	return !other("acquirer", f.Acquirer) && !other("country", f.Country)
}

// weighs says whether a tenant is so large a part of a slice over all tenants that what
// happens to it happens to the slice: a tenth.
func (c *court) weighs(id string, slice map[string]string) bool {
	all, its := 0.0, 0.0
	for _, t := range c.w.Tenants {
		for _, x := range t.Cells {
			if in(x, slice) {
				all += t.TPS * x.Share()
				if t.ID == id {
					its += t.TPS * x.Share()
				}
			}
		}
	}
	return its > all/10
}

func in(x *world.Cell, slice map[string]string) bool {
	is := func(label, v string) bool { want, ok := slice[label]; return !ok || want == v }
	return is("acquirer", x.Acquirer) && is("country", x.Country) && is("method", x.Method)
}

// aftermath is how long after a fault its end may still raise something.
const aftermath = 6 * time.Hour

// cause files a false alert under what was going on. What is short and rare comes
// first: that something happened to be going on as well proves little.
func (c *court) cause(a Alert) string {
	if a.product() {
		return c.pooledCause(a)
	}
	for _, name := range []string{"retries", "blip", "dead_source", "gap", "restart", "opt_in"} {
		for _, f := range c.benign[a.Tenant] {
			if f.Name == name && !a.At.Before(f.From) && !a.At.After(f.To.Add(countsAfter)) {
				return name
			}
		}
	}
	for _, f := range append(slices.Clone(c.own[a.Tenant]), c.shared...) {
		_, touched := f.Evidence[a.Tenant]
		if touched && a.At.After(f.To) && a.At.Before(f.To.Add(aftermath)) {
			return "after a fault"
		}
	}
	t := c.tenants[a.Tenant]
	switch {
	case t == nil:
		return "nothing"
	case c.w.Batch(t, a.At) || c.w.Batch(t, a.At.Add(-15*time.Minute)) || c.w.Batch(t, a.At.Add(-7*time.Minute)):
		return "batch"
	case t.Ramps(a.At):
		return "ramp"
	case c.w.Holiday(t, a.At) || c.w.Holiday(t, a.At.AddDate(0, 0, -1)):
		return "holiday"
	case world.ClocksChange(a.At):
		return "clocks"
	}
	return "nothing"
}

// pooledCause is the same of an alert over all tenants, in which something is always
// going on: only what has just begun at one that weighs.
func (c *court) pooledCause(a Alert) string {
	for _, f := range c.w.Benign {
		if (f.Name == "blip" || f.Name == "dead_source") && !a.At.Before(f.From) && a.At.Before(f.To.Add(2*time.Minute)) && c.weighs(f.Tenant, a.Slice) {
			return "pooled " + f.Name
		}
	}
	for _, f := range c.shared {
		if a.At.After(f.To) && a.At.Before(f.To.Add(aftermath)) && agrees(f, a.Slice) {
			return "pooled after a fault"
		}
	}
	return "pooled nothing"
}

func band(tps float64) string {
	switch {
	case tps < 0.1:
		return "under 0.1 tps"
	case tps < 10:
		return "0.1 to 10 tps"
	}
	return "over 10 tps"
}
