package samples

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/otelmetrics"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// info is what is known of a series before its samples are looked at.
type info struct {
	id      uint64
	tenant  tenant.ID
	labels  labels.Labels
	sender  string // what its replicas have in common; empty replica: no election
	replica string
	refused string // reason that no credential can mend; empty when it may come in
	name    string // of the metric
	source  string // what its samples call their cluster
	kids    []kid  // the series it stands for; under the cache's lock
	gone    bool   // not in the cache any more; under its lock
	used    atomic.Uint32
	listed  atomic.Bool // counted once in the list of unknown tenants
	hash    uint64
	counted atomic.Int64 // when the series was last counted in its tenant's account, unix seconds
}

const (
	keptGenerations = 3
	maxKey          = 16 << 10 // bytes of a series' labels together
)

// cache remembers series by the bytes of their labels and by the tenant that
// applies when they name none. A generation lasts for a quarter of the bound in
// new entries; what was not used in three of them goes. Half of the bound is the
// number of live series it serves without giving any of them up.
type cache struct {
	opts Options
	max  int

	mu         sync.RWMutex
	byFallback map[tenant.ID]map[string]*info
	size       int
	nextID     uint64
	generation uint32
	added      int // entries in this generation
}

func newCache(o Options) *cache {
	return &cache{opts: o, max: o.MaxSeries, byFallback: map[tenant.ID]map[string]*info{}, generation: keptGenerations}
}

// find gives the entry of every series; those over a limit or not readable get an
// entry that refuses them.
func (c *cache) find(fallback tenant.ID, series []remotewrite.Series) []*info {
	out := make([]*info, len(series))
	missing := 0
	c.mu.RLock()
	known, gen := c.byFallback[fallback], c.generation
	for i := range series {
		in := known[string(series[i].Key)]
		if in == nil {
			missing++
		} else if in.used.Load() != gen {
			in.used.Store(gen)
		}
		out[i] = in
	}
	c.mu.RUnlock()
	if missing == 0 {
		return out
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range series {
		if out[i] == nil {
			out[i] = c.add(fallback, &series[i])
		}
	}
	return out
}

// add makes the entry; the caller holds the lock.
func (c *cache) add(fallback tenant.ID, s *remotewrite.Series) *info {
	if s.Err != nil || len(s.Key) > maxKey {
		return &info{refused: refusedLabels}
	}
	if in := c.byFallback[fallback][string(s.Key)]; in != nil { // another request was faster
		return in
	}
	in := c.read(fallback, s.Key)
	if in.refused != "" {
		return in // not worth remembering
	}
	if c.added >= c.quarter() {
		c.turn()
	}
	in.used.Store(c.generation)
	c.nextID++
	in.id = c.nextID
	m := c.byFallback[fallback]
	if m == nil {
		m = map[string]*info{}
		c.byFallback[fallback] = m
	}
	m[string(s.Key)] = in
	c.size++
	c.added++
	return in
}

func (c *cache) quarter() int { return max(c.max/4, 1) }

// turn begins a generation and lets go what the last ones did not use. Where too
// much was used, everything goes: it is a cache, and its bound is kept.
func (c *cache) turn() {
	c.generation++
	c.added = 0
	for fb, m := range c.byFallback {
		for k, in := range m {
			if c.generation-in.used.Load() >= keptGenerations {
				delete(m, k)
				c.size -= 1 + len(in.kids)
				in.gone = true
			}
		}
		if len(m) == 0 {
			delete(c.byFallback, fb)
		}
	}
	if c.size+c.quarter() > c.max {
		for _, m := range c.byFallback {
			for _, in := range m {
				in.gone = true
			}
		}
		c.byFallback, c.size = map[tenant.ID]map[string]*info{}, 0
	}
}

// labels reads those of a key, whichever protocol it came by.
func (c *cache) labels(key []byte, yield func(name, value []byte)) error {
	if !otelmetrics.IsKey(key) {
		return remotewrite.Labels(key, c.opts.Limits, yield)
	}
	ls, err := otelmetrics.Labels(key, c.opts.attributes())
	if err != nil {
		return err
	}
	lim := c.opts.Limits
	if len(ls) > lim.Labels {
		return problem.New(problem.TooLarge, "a series has more labels than the limit of %d", lim.Labels)
	}
	for _, l := range ls {
		if len(l.Name) > lim.LabelName || len(l.Value) > lim.LabelValue {
			return problem.New(problem.TooLarge, "a series has a label that is longer than the limit")
		}
		yield([]byte(l.Name), []byte(l.Value))
	}
	return nil
}

// read parses the labels of a key and applies the names of the options.
func (c *cache) read(fallback tenant.ID, key []byte) *info {
	b := labels.NewScratchBuilder(16)
	var id, environment, name string
	in := &info{}
	clusters := make([]string, len(c.opts.ClusterLabels))
	valid := true
	err := c.labels(key, func(n, v []byte) {
		if len(n) == 0 || !utf8.Valid(n) || !utf8.Valid(v) {
			valid = false
			return
		}
		if len(v) == 0 {
			return // the same as no label
		}
		ln, lv := string(n), string(v)
		if i := slices.Index(c.opts.ClusterLabels, ln); i >= 0 {
			clusters[i] = lv
		}
		switch {
		case ln == c.opts.TenantLabel:
			id = lv
		case ln == c.opts.EnvironmentLabel:
			environment = lv
		case slices.Contains(c.opts.ReplicaLabels, ln):
			in.replica = lv
			return
		case ln == labels.MetricName:
			name = lv
		}
		b.Add(ln, lv)
	})
	switch {
	case problem.Is(err, problem.TooLarge):
		return &info{refused: refusedLabels}
	case err != nil, !valid, name == "":
		return &info{refused: refusedInvalid}
	}
	if in.tenant = tenant.ID(id); id == "" {
		in.tenant = tenant.Product
		if fallback != "" {
			in.tenant = fallback
		}
		b.Add(c.opts.TenantLabel, string(in.tenant))
	} else if _, err := tenant.ParseID(id); err != nil && in.tenant != tenant.Product {
		return &info{refused: refusedInvalid}
	}
	if environment == "" {
		b.Add(c.opts.EnvironmentLabel, c.opts.Environment)
	}
	b.Sort()
	in.labels, in.name = b.Labels(), name
	in.hash = in.labels.Hash()
	if _, twice := in.labels.HasDuplicateLabelNames(); twice {
		return &info{refused: refusedInvalid}
	}
	in.source = strings.Join(slices.DeleteFunc(slices.Clone(clusters), func(s string) bool { return s == "" }), "/")
	if in.replica != "" {
		in.sender = senderKey(fallback, clusters)
	}
	return in
}
