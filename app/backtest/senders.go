package backtest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// sender is a source of samples. A recording knows no requests: what it holds of a
// source in 15 seconds counts as one.
type sender struct {
	name        string
	environment string
	source      *sources.Source
	parts       []*part // of the request that is being put together
	of          map[tenant.ID]*part
	samples     int
	heard       []sources.Part // room for those of a request
}

// part is what a source sends of one tenant.
type part struct {
	sources.Part
	later []sent // by request: what the windows of a cut hold, while it is read
}

type sent struct{ series, samples int32 }

const (
	request  = 15 * time.Second
	recorder = "recording" // a source that its samples do not name
	// sourceOf is the service of a source that the catalog does not name.
	sourceOf = "sources"
)

// senders are all of them, by environment and name.
type senders struct {
	clusters []string
	list     []*sender
	next     time.Time // when the request is complete
}

// part finds what a series adds to.
func (s *senders) part(ls labels.Labels, environment string, id tenant.ID) (*sender, *part) {
	var names []string
	for _, l := range s.clusters {
		if v := ls.Get(l); v != "" {
			names = append(names, v)
		}
	}
	name := cmp.Or(strings.Join(names, "/"), recorder)
	environment = cmp.Or(ls.Get("environment"), environment)
	i := slices.IndexFunc(s.list, func(x *sender) bool { return x.name == name && x.environment == environment })
	if i < 0 {
		i = len(s.list)
		s.list = append(s.list, &sender{name: name, environment: environment, source: sources.New(sources.Options{}, environment, name), of: map[tenant.ID]*part{}})
	}
	x := s.list[i]
	p := x.of[id]
	if p == nil {
		p = &part{Part: sources.Part{Tenant: id}}
		x.of[id] = p
		x.parts = append(x.parts, p)
	}
	return x, p
}

func following(now time.Time) time.Time { return now.Truncate(request).Add(request) }

// requests lists the windows of a cut, by their ends (ms), in which a request is complete.
// What a window itself holds comes with the next one.
func (s *senders) requests(ends []int64, list []int) []int {
	next := s.next
	for i, end := range ends {
		if now := time.UnixMilli(end); !now.Before(next) {
			list, next = append(list, i), following(now)
		}
	}
	return list
}

// count notes which requests an owner's samples of a cut will come with. Different owners
// may be counted at the same time.
func (r *Replay) count(o *owner, c *cut) {
	for i := range o.sheets {
		s := &o.sheets[i]
		for n, run := 0, 0; run < len(s.runs); run += n {
			p := r.heard[s.runs[run]].part
			for n = 1; run+n < len(s.runs) && r.heard[s.runs[run+n]].part == p; n++ {
			}
			p.count(c.ends, r.requests, s.times(), int32(n))
		}
	}
}

// count notes which requests n series' samples of a cut, at these times, will come with.
func (p *part) count(ends []int64, requests []int, times []int64, n int32) {
	for len(p.later) <= len(requests) {
		p.later = append(p.later, sent{})
	}
	window, request, counted := 0, 0, -1
	for _, t := range times {
		for ends[window] <= t {
			window++
		}
		for request < len(requests) && requests[request] <= window {
			request++
		}
		x := &p.later[request]
		if x.samples += n; counted != window {
			counted = window
			x.series += n
		}
	}
}

// complete puts together what was counted for a request.
func (s *senders) complete(request int) {
	for _, x := range s.list {
		for _, p := range x.parts {
			if request < len(p.later) {
				n := &p.later[request]
				p.Series, p.Samples, x.samples = p.Series+int(n.series), p.Samples+int(n.samples), x.samples+int(n.samples)
				*n = sent{}
			}
		}
	}
}

// hear lets the sources know what came, and looks at those that sent nothing. silent
// is told of tenants of whom nothing comes while their source sends.
func (s *senders) hear(now time.Time, c *catalog.Catalog, known func(tenant.ID) bool, silent func(source string, x sources.Silence)) (out []alert.Alert) {
	if now.Before(s.next) {
		return nil
	}
	s.next = following(now)
	for _, x := range s.list {
		if x.samples > 0 {
			h := sources.Heard{At: now, Samples: x.samples, Parts: x.heard[:0]}
			for _, p := range x.parts {
				if p.Samples > 0 && known(p.Tenant) {
					h.Parts = append(h.Parts, p.Part)
				}
				p.Samples, p.Series = 0, 0
			}
			x.samples, x.heard = 0, h.Parts
			if over := x.source.Hear(h); over != nil {
				out = append(out, *over)
			}
		}
		_, service, _ := c.SourceOwner(x.name)
		dead, quiet := x.source.Advance(now, string(cmp.Or(service, sourceOf)), known)
		if dead != nil {
			out = append(out, *dead)
		}
		for _, q := range quiet {
			silent(x.name, q)
		}
	}
	return out
}
