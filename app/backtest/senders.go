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
	parts       []*sources.Part // of the request that is being put together
	of          map[tenant.ID]*sources.Part
	samples     int
}

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
func (s *senders) part(ls labels.Labels, environment string, id tenant.ID) (*sender, *sources.Part) {
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
		s.list = append(s.list, &sender{name: name, environment: environment, source: sources.New(sources.Options{}, environment, name), of: map[tenant.ID]*sources.Part{}})
	}
	x := s.list[i]
	p := x.of[id]
	if p == nil {
		p = &sources.Part{Tenant: id}
		x.of[id] = p
		x.parts = append(x.parts, p)
	}
	return x, p
}

// hear lets the sources know what came, and looks at those that sent nothing. silent
// is told of tenants of whom nothing comes while their source sends.
func (s *senders) hear(now time.Time, c *catalog.Catalog, known func(tenant.ID) bool, silent func(source string, x sources.Silence)) (out []alert.Alert) {
	if now.Before(s.next) {
		return nil
	}
	s.next = now.Truncate(request).Add(request)
	for _, x := range s.list {
		if x.samples > 0 {
			h := sources.Heard{At: now, Samples: x.samples}
			for _, p := range x.parts {
				if p.Samples > 0 && known(p.Tenant) {
					h.Parts = append(h.Parts, *p)
				}
				p.Samples, p.Series = 0, 0
			}
			x.samples = 0
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
