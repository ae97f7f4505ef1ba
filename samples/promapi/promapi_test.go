package promapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/samples/history/historytest"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// to has the endpoints under test.
var to = API{Now: func() time.Time { return historytest.Noon }, Logger: slog.New(slog.DiscardHandler), Version: "test"}

type answer struct {
	Status, ErrorType, Error string
	Data                     json.RawMessage
}

func ask(t *testing.T, q *query.Querier, h Handler, f query.Fence, form url.Values) (int, answer) {
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
	s := historytest.Town(t)
	q := query.New(s.Queryable(), query.Options{MaxSamples: 100})
	f := query.Fence{Tenants: []tenant.ID{"bolt"}}
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
			code, a := ask(t, q, to.Instant, f, form)
			require.Equal(t, 200, code, a.Error)
			require.Equal(t, "success", a.Status)
			require.JSONEq(t, c.want, string(a.Data))
		})
	}
	code, a := ask(t, q, to.Range, f, url.Values{"query": {"m"}, "start": {"1772625570"}, "end": {"1772625600"}, "step": {"15s"}})
	require.Equal(t, 200, code)
	require.JSONEq(t, `{"resultType":"matrix","result":[{"metric":{"__name__":"m","environment":"production","tenant":"bolt"},"values":[[1772625570,"1"],[1772625585,"2"],[1772625600,"3"]]}]}`, string(a.Data))
	code, a = ask(t, q, to.Range, f, url.Values{"query": {"nothing"}, "start": {"0"}, "end": {"10999"}, "step": {"1"}})
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
		code, a := ask(t, q, to.Range, f, values)
		require.Equal(t, want, code, "%s %s", form, a.Error)
		require.Equal(t, "error", a.Status)
		require.Equal(t, map[int]string{400: "bad_data", 422: "execution", 503: "timeout"}[want], a.ErrorType)
		require.NotEmpty(t, a.Error)
	}
}

func TestTheFenceHoldsForLists(t *testing.T) {
	s := historytest.Town(t)
	historytest.PutSecrets(t, s)
	var said query.Metadata
	said.Note(tenant.Product, "m", query.Meta{Type: "gauge", Help: "for all"})
	said.Note("bolt", "m", query.Meta{Type: "counter", Help: "bolt's"})
	said.Note(tenant.Product, "only_bolt", query.Meta{Type: "gauge"})
	said.Note(tenant.Product, "up", query.Meta{Type: "counter"})
	q := query.New(s.Queryable(), query.Options{Metadata: &said})
	acme := query.Fence{Tenants: []tenant.ID{"acme"}}

	for form, want := range map[string]string{
		"series match[]={__name__=~\".%2B\"}": `acme`, "series match[]=only_bolt": ``, "series match[]=m&match[]={tenant=\"bolt\"}": `acme`,
		"labels ": `acme`, "labels match[]=only_bolt": ``, "values ": `acme`, "values match[]={tenant=~\".%2B\"}": `acme`, "values match[]=only_bolt&match[]={tenant=\"bolt\"}": ``,
	} {
		what, params, _ := strings.Cut(form, " ")
		values, err := url.ParseQuery(params)
		require.NoError(t, err)
		h := map[string]Handler{"series": to.Series, "labels": to.Labels, "values": func(q *query.Querier, w http.ResponseWriter, r *http.Request, f query.Fence) {
			r.SetPathValue("name", "tenant")
			to.LabelValues(q, w, r, f)
		}}[what]
		code, a := ask(t, q, h, acme, values)
		require.Equal(t, 200, code, "%s: %s", form, a.Error)
		require.NotContains(t, string(a.Data), "bolt", form)
		if want == "" {
			require.JSONEq(t, "[]", string(a.Data), form)
		} else if what != "labels" {
			require.Contains(t, string(a.Data), want, form)
		}
		code, a = ask(t, q, h, query.Fence{}, values)
		require.Equal(t, 200, code)
		require.JSONEq(t, "[]", string(a.Data), "no tenant, nothing to see: %s", form)
	}
	code, a := ask(t, q, to.Describe, acme, url.Values{})
	require.Equal(t, 200, code)
	require.JSONEq(t, `{"m":[{"type":"gauge","help":"for all","unit":""}],"up":[{"type":"counter","help":"","unit":""}]}`, string(a.Data), "neither bolt's words nor that bolt has a metric")
	_, a = ask(t, q, to.Describe, query.Fence{Any: true}, url.Values{"metric": {"m"}, "limit_per_metric": {"1"}})
	require.JSONEq(t, `{"m":[{"type":"counter","help":"bolt's","unit":""}]}`, string(a.Data))
	_, a = ask(t, q, to.Describe, query.Fence{Any: true}, url.Values{"limit": {"1"}})
	require.JSONEq(t, `{"m":[{"type":"counter","help":"bolt's","unit":""},{"type":"gauge","help":"for all","unit":""}]}`, string(a.Data))
}

func TestListsHaveABound(t *testing.T) {
	s := historytest.Town(t)
	held, busy := make(chan struct{}), false
	q := query.New(s.Queryable(), query.Options{MaxItems: 3, Concurrent: 1, Timeout: time.Minute, Settle: func(context.Context) error {
		if busy {
			held <- struct{}{}
			<-held
		}
		return nil
	}})
	code, a := ask(t, q, to.Series, query.Fence{Any: true}, url.Values{"match[]": {`{tenant=~".+"}`}})
	require.Equal(t, 422, code)
	require.Equal(t, "execution", a.ErrorType)
	require.Contains(t, a.Error, "more than 3 results")
	code, a = ask(t, q, to.Labels, query.Fence{Any: true}, url.Values{})
	require.Equal(t, 200, code, a.Error)
	code, _ = ask(t, q, to.Series, query.Fence{Any: true}, url.Values{"match[]": {`{tenant=~".+"}`}, "limit": {"2"}})
	require.Equal(t, 200, code)

	busy = true
	over := make(chan error)
	go func() { // somebody else's query
		_, err := q.Instant(t.Context(), query.Fence{Any: true}, query.Ask{Query: "m"}, historytest.Noon)
		over <- err
	}()
	<-held
	code, a = ask(t, q, to.Instant, query.Fence{Any: true}, url.Values{"query": {"m"}, "timeout": {"10ms"}})
	require.Equal(t, 503, code)
	require.Equal(t, "timeout", a.ErrorType)
	require.Contains(t, a.Error, "more than 1 queries at once")
	held <- struct{}{}
	require.NoError(t, <-over)
}

func TestExemplars(t *testing.T) {
	s := historytest.Open(t)
	b := historytest.Series("acme", "n_total", historytest.Noon, time.Second, 1)
	b.Series[0].Exemplars = []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", "t1"), Value: 1.5, Ts: historytest.Noon.UnixMilli() - 500, HasTs: true}}
	historytest.Put(t, s, b)
	q := query.New(s.Queryable(), query.Options{Exemplars: s.Exemplars()})
	form := url.Values{"query": {"rate(n_total[1m])"}, "start": {"1772625540"}, "end": {"1772625600"}}
	code, a := ask(t, q, to.Exemplars, query.Fence{Any: true}, form)
	require.Equal(t, 200, code, a.Error)
	require.JSONEq(t, `[{"seriesLabels":{"__name__":"n_total","environment":"production","tenant":"acme"},"exemplars":[{"labels":{"trace_id":"t1"},"value":"1.5","timestamp":1772625599.5}]}]`, string(a.Data))
	code, a = ask(t, q, to.Exemplars, query.Fence{Tenants: []tenant.ID{"bolt"}}, form)
	require.Equal(t, 200, code, a.Error)
	require.JSONEq(t, "[]", string(a.Data))
	form.Set("query", ")")
	code, a = ask(t, q, to.Exemplars, query.Fence{Any: true}, form)
	require.Equal(t, 400, code)
	require.Equal(t, "bad_data", a.ErrorType)
}
