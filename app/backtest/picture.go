package backtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Course is how much each tenant did over the time that is replayed, and how much of
// it failed: the lines of the picture. Memory is bounded by its width.
type Course struct {
	total, bad profiles.Selector
	label      string
	from       time.Time
	step       time.Duration
	series     []*drawn // by the index of the recorded series
	tenants    map[string][]dashboards.Point
}

// drawn is a recorded series as the picture counts it.
type drawn struct {
	tenant string
	counts bool
	fails  bool
	last   float64
	known  bool
}

const columns = 360 // of the picture

// NewCourse follows what the policy calls volume. label names the tenant.
func NewCourse(p *profiles.Policy, label string, from, to time.Time) *Course {
	c := &Course{label: cmp.Or(label, "tenant"), from: from, step: max(to.Sub(from)/columns, time.Second), tenants: map[string][]dashboards.Point{}}
	for _, s := range p.SLIs {
		if s.Name == p.Volume.SLI && s.Source != string(sli.Spans) && s.Histogram == "" {
			c.total, c.bad = s.Total, s.Bad
		}
	}
	return c
}

func (c *Course) take(s *recorded.Series, xs *recorded.Columns) {
	for len(c.series) <= s.Index {
		c.series = append(c.series, nil)
	}
	k := c.series[s.Index]
	if k == nil {
		k = &drawn{tenant: s.Labels.Get(c.label), counts: c.total.Metric != "" && s.Labels.Get("__name__") == c.total.Metric && picks(c.total, s)}
		k.fails = k.counts && picks(c.bad, s)
		c.series[s.Index] = k
	}
	if !k.counts {
		return
	}
	for i, v := range xs.V {
		by := v - k.last
		if by < 0 {
			by = v
		}
		if !k.known {
			by = 0
		}
		k.last, k.known = v, true
		c.add(k, time.UnixMilli(xs.T[i]), by)
	}
}

func (c *Course) add(k *drawn, at time.Time, by float64) {
	i := int(at.Sub(c.from) / c.step)
	if i < 0 || i > columns {
		return
	}
	points := c.tenants[k.tenant]
	if points == nil {
		points = make([]dashboards.Point, columns+1)
		for n := range points {
			points[n].T = c.from.Add(time.Duration(n) * c.step)
		}
		c.tenants[k.tenant] = points
	}
	points[i].N += by
	if k.fails {
		points[i].K += by
	}
}

// Keep has a picture show those tenants only.
func (c *Course) Keep(ids []string) {
	maps.DeleteFunc(c.tenants, func(id string, _ []dashboards.Point) bool { return !slices.Contains(ids, id) })
}

// picks says whether a selector takes a series.
func picks(sel profiles.Selector, s *recorded.Series) bool {
	for label, values := range sel.Match {
		if !slices.Contains(values, s.Labels.Get(label)) {
			return false
		}
	}
	for label, values := range sel.Not {
		if slices.Contains(values, s.Labels.Get(label)) {
			return false
		}
	}
	return true
}

// Picture is what is drawn. Others are the pages of what it is compared with.
type Picture struct {
	Course    *Course
	Lines     []Line
	Others    []Page
	Incidents []Incident
	Title     string
	From, To  time.Time
	SVG       bool
}

const mostLanes = 40

// Draw draws a lane for each tenant where anything rang or was known to be wrong, the
// most first, one for all tenants together, and others while there is room.
func (p Picture) Draw() ([]byte, error) {
	product := string(tenant.Product)
	lanes := map[string]*dashboards.Lane{}
	lane := func(id string) *dashboards.Lane {
		id = cmp.Or(id, product)
		if lanes[id] == nil {
			lanes[id] = &dashboards.Lane{Name: id}
		}
		return lanes[id]
	}
	used := map[dashboards.Sign]bool{}
	mark := func(l *dashboards.Lane, from, to time.Time, sign dashboards.Sign) {
		used[sign] = true
		l.Spans = append(l.Spans, dashboards.MarkedSpan{From: from, To: to, Sign: sign})
	}
	for _, in := range p.Incidents {
		mark(lane(in.Tenant), in.From, in.To, dashboards.KnownFault)
	}
	for _, l := range p.Lines {
		sign, end := dashboards.WarningAlert, p.To
		if l.Severity == "critical" {
			sign = dashboards.CriticalAlert
		}
		if l.EndsAt != nil {
			end = *l.EndsAt
		}
		mark(lane(l.Tenant), l.StartsAt, end, sign)
		if l.Pages {
			mark(lane(l.Tenant), l.PagedAt, l.PagedAt, dashboards.Call)
		}
	}
	for _, o := range p.Others {
		mark(lane(o.Tenant), o.At, o.At, dashboards.OtherCall)
	}
	all := p.volumes(lane)
	total := len(lanes)
	list := p.order(lanes)
	o := dashboards.Overview{Title: p.Title, From: p.From, To: p.To, Step: p.Course.step, SVG: p.SVG, Lanes: list}
	for sign := range used {
		o.Marks = append(o.Marks, sign)
	}
	slices.Sort(o.Marks)
	o.Subtitle = fmt.Sprintf("%d alerts, %d pages of %d tenants", len(p.Lines), len(Pages(p.Lines)), all)
	if total > len(list) {
		o.Subtitle += fmt.Sprintf("; the %d with most are shown", len(list))
	}
	for i := range o.Lanes {
		if o.Lanes[i].Name == product {
			o.Lanes[i].Name = "all tenants"
		}
	}
	return o.Draw()
}

// volumes gives every lane its line, all tenants the sum, and says how many there are.
func (p Picture) volumes(lane func(string) *dashboards.Lane) int {
	var sum []dashboards.Point
	for id, points := range p.Course.tenants {
		lane(id).Points = points
		if sum == nil {
			sum = slices.Clone(points)
			continue
		}
		for i, x := range points {
			sum[i].N, sum[i].K = sum[i].N+x.N, sum[i].K+x.K
		}
	}
	lane(string(tenant.Product)).Points = sum
	return len(p.Course.tenants)
}

// order puts all tenants first, then those where most happened.
func (p Picture) order(lanes map[string]*dashboards.Lane) []dashboards.Lane {
	var out []dashboards.Lane
	for _, l := range lanes {
		out = append(out, *l)
	}
	rank := func(l dashboards.Lane) int {
		if l.Name == string(tenant.Product) {
			return -1 << 30
		}
		return -len(l.Spans)
	}
	slices.SortFunc(out, func(a, b dashboards.Lane) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	})
	return out[:min(len(out), mostLanes)]
}
