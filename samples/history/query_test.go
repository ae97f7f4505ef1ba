package history

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// town is a store with three tenants; acme's name is a prefix, and part of a
// regular expression that would match bolt.
func town(t testing.TB) *Store {
	s := open(t)
	for i, id := range []tenant.ID{"acme", "acme2", "b.lt", "bolt"} {
		put(t, s, one(id, "m", noon, 15*time.Second, 1, 2, float64(i)), one(id, "only_"+strings.ReplaceAll(string(id), ".", "_"), noon, 15*time.Second, 1))
	}
	return s
}

func TestFenceHoldsWhateverTheQuerySays(t *testing.T) {
	s := town(t)
	q := NewQuerier(s.Queryable(), QueryOptions{Now: func() time.Time { return noon }})
	for _, f := range []Fence{{Tenants: []tenant.ID{"acme"}}, {Tenants: []tenant.ID{"acme", "b.lt"}}, {}} {
		for _, query := range []string{
			`m`, `m{tenant="bolt"}`, `m{tenant=~".+"}`, `m{tenant!="acme"}`, `m{tenant="acme"} or m{tenant="bolt"}`, `m or {__name__=~"only_.+"}`,
			`{__name__=~".+"}`, `{tenant=~"bolt|acme2"}`, `m{tenant=~"acme|bolt|b.lt"} offset 1s`, `last_over_time(m[5m])`,
			`label_replace(m, "x", "$1", "tenant", "(.*)")`, `max by (tenant) (max_over_time(m[2m:15s]))`, `m and on() only_bolt`, `m unless on(tenant) m{tenant="acme"}`,
			`m * on(tenant) group_left m`, `topk(10, m)`, `count by (tenant) ({__name__!=""})`, `only_bolt`, `only_acme2 @ 1772625600`,
		} {
			for _, run := range []func() (*Result, error){
				func() (*Result, error) { return q.Instant(t.Context(), f, query, noon) },
				func() (*Result, error) {
					return q.Range(t.Context(), f, query, noon.Add(-time.Minute), noon, 15*time.Second)
				},
			} {
				res, err := run()
				require.NoError(t, err, query)
				for _, ls := range seen(res) {
					require.Contains(t, f.Tenants, tenant.ID(ls.Get("tenant")), query)
				}
				if query == "m" {
					require.Len(t, seen(res), len(f.Tenants))
				}
			}
		}
		// What is not seen does not show by its effect on a sum or on absent either.
		res, err := q.Instant(t.Context(), f, `count({__name__=~".+"}) or vector(0)`, noon)
		require.NoError(t, err)
		require.Equal(t, float64(2*len(f.Tenants)), res.Value.(promql.Vector)[0].F)
		res, err = q.Instant(t.Context(), f, `absent(only_bolt{tenant="bolt"})`, noon)
		require.NoError(t, err)
		require.Len(t, res.Value, 1, "absent does not tell that it exists")
	}
	res, err := q.Instant(t.Context(), everything(), "m", noon)
	require.NoError(t, err)
	require.Len(t, res.Value, 4)

	fq, err := Fence{Tenants: []tenant.ID{"acme"}}.Around(s.Queryable(), "tenant").Querier(0, noon.UnixMilli())
	require.NoError(t, err)
	defer func() { require.NoError(t, fq.Close()) }()
	values, _, err := fq.LabelValues(t.Context(), "tenant", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"acme"}, values)
	names, _, err := fq.LabelValues(t.Context(), "__name__", nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", "only.*"))
	require.NoError(t, err)
	require.Equal(t, []string{"only_acme"}, names)
	all, _, err := fq.LabelNames(t.Context(), nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "only_bolt"))
	require.NoError(t, err)
	require.Empty(t, all)
}

func seen(r *Result) []labels.Labels {
	out := []labels.Labels{}
	switch v := r.Value.(type) {
	case promql.Vector:
		for _, s := range v {
			out = append(out, s.Metric)
		}
	case promql.Matrix:
		for _, s := range v {
			out = append(out, s.Metric)
		}
	}
	return out
}

func TestAnchoredCountsTheFirstEvents(t *testing.T) {
	s := open(t)
	put(t, s, one("acme", "c", noon, 15*time.Second, 5, 5, 9, 10)) // born with 5, and 5 more
	q := NewQuerier(s.Queryable(), QueryOptions{})
	res, err := q.Instant(t.Context(), everything(), `sum(increase(c[40s] anchored))`, noon)
	require.NoError(t, err)
	require.Equal(t, 5.0, res.Value.(promql.Vector)[0].F)
}

func TestCounts(t *testing.T) {
	s := open(t)
	add := func(id tenant.ID, method, result string, values ...float64) {
		b := one(id, "payment_transactions_total", noon, time.Minute, values...)
		lb := labels.NewBuilder(b.Series[0].Labels)
		b.Series[0].Labels = lb.Set("method", method).Set("result", result).Labels()
		put(t, s, b)
	}
	add("acme", "card", "success", 0, 10, 20, 40)
	add("acme", "card", "error", 0, 1, 1, 4)
	add("acme", "sepa", "error", 0, 0, 7, 7)
	add("bolt", "card", "error", 0, 100, 200, 300)
	spec := sli.Spec{Name: "payments", Metric: "payment_transactions_total", Bad: []sli.Match{{Label: "result", Values: []string{"error"}}}}
	sel := sli.Selection{"tenant": "acme", "environment": "production"}
	q := NewQuerier(s.Queryable(), QueryOptions{})
	at := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }

	got, err := q.Counts(t.Context(), everything(), spec, sel, nil, at(-3), noon, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []Count{{at(-2), 11, 1}, {at(-1), 17, 7}, {at(0), 23, 3}}, got)
	got, err = q.Counts(t.Context(), everything(), spec, sel, sli.Slice{{Label: "method", Value: "card"}}, at(-3), noon, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []Count{{at(-2), 11, 1}, {at(-1), 10, 0}, {at(0), 23, 3}}, got)
	got, err = q.Counts(t.Context(), Fence{Tenants: []tenant.ID{"bolt"}}, spec, sel, nil, at(-3), noon, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []Count{}, got)
	got, err = q.Counts(t.Context(), everything(), spec, sel, nil, at(-60), at(-30), time.Minute)
	require.NoError(t, err)
	require.Equal(t, []Count{}, got, "no data is not no traffic")
}

type answer struct {
	Status, ErrorType, Error string
	Data                     json.RawMessage
}

func ask(t *testing.T, q *Querier, h Handler, f Fence, form url.Values) (int, answer) {
	t.Helper()
	w := httptest.NewRecorder()
	h(q, w, httptest.NewRequest(http.MethodGet, "/?"+form.Encode(), nil), f)
	p := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	h(q, p, r, f)
	require.Equal(t, w.Code, p.Code)
	require.Equal(t, w.Body.String(), p.Body.String(), "GET and POST agree")
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var a answer
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
	return w.Code, a
}

func TestQueryAPI(t *testing.T) {
	s := town(t)
	q := NewQuerier(s.Queryable(), QueryOptions{Now: func() time.Time { return noon }, MaxSamples: 100})
	f := Fence{Tenants: []tenant.ID{"bolt"}}
	for _, c := range []struct {
		name, form, want string
	}{
		{"vector", "query=m", `{"resultType":"vector","result":[{"metric":{"__name__":"m","environment":"production","tenant":"bolt"},"value":[1772625600,"3"]}]}`},
		{"at a time", "query=m&time=2026-03-04T11:59:50Z", `{"resultType":"vector","result":[{"metric":{"__name__":"m","environment":"production","tenant":"bolt"},"value":[1772625590,"2"]}]}`},
		{"nothing", "query=nothing", `{"resultType":"vector","result":[]}`},
		{"scalar", "query=Inf", `{"resultType":"scalar","result":[1772625600,"+Inf"]}`},
		{"string", "query=\"x\"&time=1.5", `{"resultType":"string","result":[1.5,"x"]}`},
		{"matrix", "query=m[20s]", `{"resultType":"matrix","result":[{"metric":{"__name__":"m","environment":"production","tenant":"bolt"},"values":[[1772625585,"2"],[1772625600,"3"]]}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			form, err := url.ParseQuery(c.form)
			require.NoError(t, err)
			code, a := ask(t, q, Instant, f, form)
			require.Equal(t, 200, code, a.Error)
			require.Equal(t, "success", a.Status)
			require.JSONEq(t, c.want, string(a.Data))
		})
	}
	code, a := ask(t, q, Range, f, url.Values{"query": {"m"}, "start": {"1772625570"}, "end": {"1772625600"}, "step": {"15s"}})
	require.Equal(t, 200, code)
	require.JSONEq(t, `{"resultType":"matrix","result":[{"metric":{"__name__":"m","environment":"production","tenant":"bolt"},"values":[[1772625570,"1"],[1772625585,"2"],[1772625600,"3"]]}]}`, string(a.Data))
	code, a = ask(t, q, Range, f, url.Values{"query": {"nothing"}, "start": {"0"}, "end": {"10999"}, "step": {"1"}})
	require.Equal(t, 200, code, a.Error)
	require.JSONEq(t, `{"resultType":"matrix","result":[]}`, string(a.Data))

	for form, want := range map[string]int{
		"query=m&start=0&end=11001&step=1":           400, // one step too many, as in Prometheus
		"query=m&start=0&end=10&step=0":              400,
		"query=m&start=0&end=10&step=soon":           400,
		"query=m&start=10&end=0&step=1":              400,
		"query=m&end=10&step=1":                      400,
		"query=m&start=x&end=10&step=1":              400,
		"query=m{&start=0&end=10&step=1":             400,
		"query=m&start=0&end=10&step=1&timeout=-1":   400,
		"query=vector(1)&start=0&end=5000&step=1":    422, // over the samples allowed
		"query=m[5m]&start=0&end=10&step=1":          400,
		"query=m&start=0&end=10&step=1&timeout=1e-9": 503,
	} {
		values, err := url.ParseQuery(form)
		require.NoError(t, err)
		code, a := ask(t, q, Range, f, values)
		require.Equal(t, want, code, "%s %s", form, a.Error)
		require.Equal(t, "error", a.Status)
		require.Equal(t, map[int]string{400: "bad_data", 422: "execution", 503: "timeout"}[want], a.ErrorType)
		require.NotEmpty(t, a.Error)
	}
}

func TestRangeResultOutlivesTheQuery(t *testing.T) {
	s := town(t)
	q := NewQuerier(s.Queryable(), QueryOptions{})
	ask := func(query string) promql.Matrix {
		res, err := q.Range(t.Context(), everything(), query, noon.Add(-30*time.Second), noon, 15*time.Second)
		require.NoError(t, err)
		return res.Value.(promql.Matrix)
	}
	first := ask(`m{tenant="bolt"}`)
	for range 50 {
		ask(`m{tenant="acme"} + 1000`)
	}
	require.Equal(t, []promql.FPoint{{T: noon.UnixMilli() - 30_000, F: 1}, {T: noon.UnixMilli() - 15_000, F: 2}, {T: noon.UnixMilli(), F: 3}}, first[0].Floats)
}

func TestCountsRefusesNoStep(t *testing.T) {
	q := NewQuerier(open(t).Queryable(), QueryOptions{})
	_, err := q.Counts(t.Context(), everything(), sli.Spec{Metric: "m"}, nil, nil, noon, noon, 0)
	require.True(t, problem.Is(err, problem.Malformed))
}

// BenchmarkAppend is the writer's cost of 24,000 series, one sample each.
func BenchmarkAppend(b *testing.B) {
	now := noon
	s := open(b, func(o *Options) {
		o.Now = func() time.Time { return now.Add(1000 * time.Hour) }
		o.Retention = 2000 * time.Hour
	})
	batch := &samples.Batch{Samples: 24_000}
	for i := range 24_000 {
		batch.Series = append(batch.Series, samples.Series{ID: uint64(i + 1), Labels: labels.FromStrings("__name__", "m", "i", time.Duration(i).String()), Samples: make([]samples.Sample, 1)})
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(15 * time.Second)
		for i := range batch.Series {
			batch.Series[i].Samples[0] = samples.Sample{T: now.UnixMilli(), V: float64(n)}
		}
		n++
		put(b, s, batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/24_000, "ns/sample")
}

func TestAQueryWaitsForWhatWasAccepted(t *testing.T) {
	s := open(t)
	q := NewQuerier(s.Queryable(), QueryOptions{Settle: s.Flush, Now: func() time.Time { return noon }})
	for i := range 50 { // without settling the writer loses some of these races
		at := noon.Add(time.Duration(i) * time.Second)
		require.NoError(t, s.Append(t.Context(), one("acme", "m", at, 0, float64(i)), nil))
		res, err := q.Instant(t.Context(), everything(), "m", at)
		require.NoError(t, err)
		require.Len(t, res.Value, 1)
		require.Equal(t, float64(i), res.Value.(promql.Vector)[0].F)
	}
	stuck := NewQuerier(s.Queryable(), QueryOptions{Settle: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, Timeout: time.Millisecond})
	_, err := stuck.Instant(t.Context(), everything(), "m", noon)
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
}

func TestTheFenceHoldsForListsAndInfo(t *testing.T) {
	s := town(t)
	for _, id := range []tenant.ID{"acme", "bolt"} { // same instance and job: info() would join them
		for _, name := range []string{"target_info", "up_total"} {
			b := one(id, name, noon, 15*time.Second, 1, 1)
			lb := labels.NewBuilder(b.Series[0].Labels).Set("instance", "i").Set("job", "j")
			if name == "target_info" {
				lb.Set("secret", "of "+string(id))
			}
			b.Series[0].Labels = lb.Labels()
			put(t, s, b)
		}
	}
	var said Metadata
	said.Note(tenant.Product, "m", Meta{Type: "gauge", Help: "for all"})
	said.Note("bolt", "m", Meta{Type: "counter", Help: "bolt's"})
	said.Note(tenant.Product, "only_bolt", Meta{Type: "gauge"})
	said.Note(tenant.Product, "up", Meta{Type: "counter"})
	q := NewQuerier(s.Queryable(), QueryOptions{Now: func() time.Time { return noon }, Metadata: &said})
	acme := Fence{Tenants: []tenant.ID{"acme"}}

	res, err := q.Instant(t.Context(), acme, `info(up_total)`, noon)
	require.NoError(t, err)
	require.Equal(t, "of acme", res.Value.(promql.Vector)[0].Metric.Get("secret"))
	_, err = q.Instant(t.Context(), everything(), `info(up_total{tenant="acme"}, {secret=~".+"})`, noon)
	require.Error(t, err, "without the fence info looks at both")
	res, err = q.Instant(t.Context(), acme, `info(up_total, {secret="of bolt"})`, noon)
	require.NoError(t, err)
	require.Empty(t, res.Value)

	for form, want := range map[string]string{
		"series match[]={__name__=~\".%2B\"}": `acme`, "series match[]=only_bolt": ``, "series match[]=m&match[]={tenant=\"bolt\"}": `acme`,
		"labels ": `acme`, "labels match[]=only_bolt": ``, "values ": `acme`, "values match[]={tenant=~\".%2B\"}": `acme`, "values match[]=only_bolt&match[]={tenant=\"bolt\"}": ``,
	} {
		what, params, _ := strings.Cut(form, " ")
		values, err := url.ParseQuery(params)
		require.NoError(t, err)
		h := map[string]Handler{"series": Series, "labels": Labels, "values": func(q *Querier, w http.ResponseWriter, r *http.Request, f Fence) {
			r.SetPathValue("name", "tenant")
			LabelValues(q, w, r, f)
		}}[what]
		code, a := ask(t, q, h, acme, values)
		require.Equal(t, 200, code, "%s: %s", form, a.Error)
		require.NotContains(t, string(a.Data), "bolt", form)
		if want == "" {
			require.JSONEq(t, "[]", string(a.Data), form)
		} else if what != "labels" {
			require.Contains(t, string(a.Data), want, form)
		}
		code, a = ask(t, q, h, Fence{}, values)
		require.Equal(t, 200, code)
		require.JSONEq(t, "[]", string(a.Data), "no tenant, nothing to see: %s", form)
	}
	code, a := ask(t, q, Describe, acme, url.Values{})
	require.Equal(t, 200, code)
	require.JSONEq(t, `{"m":[{"type":"gauge","help":"for all","unit":""}],"up":[{"type":"counter","help":"","unit":""}]}`, string(a.Data), "neither bolt's words nor that bolt has a metric")
	_, a = ask(t, q, Describe, everything(), url.Values{"metric": {"m"}, "limit_per_metric": {"1"}})
	require.JSONEq(t, `{"m":[{"type":"counter","help":"bolt's","unit":""}]}`, string(a.Data))
	_, a = ask(t, q, Describe, everything(), url.Values{"limit": {"1"}})
	require.JSONEq(t, `{"m":[{"type":"counter","help":"bolt's","unit":""},{"type":"gauge","help":"for all","unit":""}]}`, string(a.Data))
}

func TestListsHaveABound(t *testing.T) {
	s := town(t)
	q := NewQuerier(s.Queryable(), QueryOptions{MaxItems: 3, Concurrent: 1, Timeout: time.Minute})
	code, a := ask(t, q, Series, everything(), url.Values{"match[]": {`{tenant=~".+"}`}})
	require.Equal(t, 422, code)
	require.Equal(t, "execution", a.ErrorType)
	require.Contains(t, a.Error, "more than 3 results")
	code, a = ask(t, q, Labels, everything(), url.Values{})
	require.Equal(t, 200, code, a.Error)
	code, _ = ask(t, q, Series, everything(), url.Values{"match[]": {`{tenant=~".+"}`}, "limit": {"2"}})
	require.Equal(t, 200, code)

	q.slots <- struct{}{} // somebody else's query
	code, a = ask(t, q, Instant, everything(), url.Values{"query": {"m"}, "timeout": {"10ms"}})
	require.Equal(t, 503, code)
	require.Equal(t, "timeout", a.ErrorType)
	require.Contains(t, a.Error, "more than 1 queries at once")
}
