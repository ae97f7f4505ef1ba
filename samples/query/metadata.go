package query

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// Meta is what a sender says of a metric: its type by Prometheus' name, what it
// means, its unit.
type Meta struct {
	Type string `json:"type"`
	Help string `json:"help"`
	Unit string `json:"unit"`
}

// Bounds of what is kept: senders repeat it every minute, so that it need not
// outlive the process, and must not fill its memory.
const (
	maxMeta     = 20_000 // metrics over all tenants
	maxMetaOne  = 2_000  // metrics of one tenant: it must not take its neighbours' room
	maxMetaText = 1_024  // bytes of a help
)

// Metadata is the latest that was said of each metric, by whose it is: senders
// of the whole product say it once for all tenants. The zero value is empty and
// ready; safe for concurrent use.
type Metadata struct {
	mu    sync.RWMutex
	known map[tenant.ID]map[string]Meta
	size  int
}

// Note remembers what was said of a metric family for a tenant, or the product.
// It copies nothing: the strings must not change.
func (m *Metadata) Note(t tenant.ID, family string, meta Meta) {
	if family == "" || len(meta.Help) > maxMetaText {
		return
	}
	m.mu.RLock()
	same := m.known[t][family] == meta
	m.mu.RUnlock()
	if same {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[tenant.ID]map[string]Meta{}
	}
	of := m.known[t]
	if _, ok := of[family]; !ok {
		if m.size >= maxMeta || t != tenant.Product && len(of) >= maxMetaOne {
			return
		}
		m.size++
	}
	if of == nil {
		of = map[string]Meta{}
		m.known[t] = of
	}
	of[family] = meta
}

// visible is what is said to whoever is behind the fence, each text once.
func (m *Metadata) visible(f Fence) map[string][]Meta {
	out := map[string][]Meta{}
	if m == nil {
		return out
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for t, of := range m.known {
		if !f.Any && t != tenant.Product && !slices.Contains(f.Tenants, t) {
			continue
		}
		for family, meta := range of {
			if !slices.Contains(out[family], meta) {
				out[family] = append(out[family], meta)
			}
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b Meta) int {
			return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Help, b.Help), strings.Compare(a.Unit, b.Unit))
		})
	}
	return out
}

// suffixes of the series that one family makes.
var suffixes = []string{"", "_total", "_bucket", "_count", "_sum", "_info", "_created"}

// Describe gives what senders said of the metrics that have series behind the
// fence; metric names one, or is empty.
func (q *Querier) Describe(ctx context.Context, f Fence, metric string) (map[string][]Meta, error) {
	said := q.opts.Metadata.visible(f)
	if metric != "" {
		one := map[string][]Meta{}
		if list, ok := said[metric]; ok {
			one[metric] = list
		}
		said = one
	}
	if f.Any || len(said) == 0 {
		return said, nil
	}
	names, err := q.LabelValues(ctx, f, "__name__", Question{})
	if err != nil {
		return nil, err
	}
	for family := range said {
		if !slices.ContainsFunc(suffixes, func(s string) bool { _, ok := slices.BinarySearch(names.Items, family+s); return ok }) {
			delete(said, family)
		}
	}
	return said, nil
}
