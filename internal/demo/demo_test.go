package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

func TestTheFormAPersonWouldPress(t *testing.T) {
	at, err := url.Parse("http://tocsin.test/p/abc")
	require.NoError(t, err)
	f, err := findForm(`<html><body>
		<form method="get" action="/search"><input name="q"><button>Search</button></form>
		<form method="post" action="/login"><input type="hidden" name="csrf" value="no"><input type="password" name="token"><button>Sign in</button></form>
		<form method="POST" action="?take=1"><input type="hidden" name="csrf" value="a&amp;b"><input type="hidden" name="page" value="pg_1"><button name="do" value="take">I have it</button></form>
		</body></html>`, at)
	require.NoError(t, err)
	require.Equal(t, "http://tocsin.test/p/abc?take=1", f.action)
	require.Equal(t, url.Values{"csrf": {"a&b"}, "page": {"pg_1"}, "do": {"take"}}, f.fields)

	_, err = findForm(`<p>Kim has it since 10:00.</p>`, at)
	require.ErrorContains(t, err, "no button")
}

func TestListsAreReadToTheEnd(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "Bearer key", r.Header.Get("Authorization"))
		require.Equal(t, "inc_1", r.URL.Query().Get("incident"))
		if r.URL.Query().Get("cursor") == "" {
			fmt.Fprint(w, `{"items":[{"id":"pg_1"}],"next":"c"}`)
			return
		}
		fmt.Fprint(w, `{"items":[{"id":"pg_2"}],"next":""}`)
	}))
	defer srv.Close()
	c := &client{base: srv.URL, token: "key", http: srv.Client()}
	pages, err := all[pageDoc](t.Context(), c, "/api/v1/pages", url.Values{"incident": {"inc_1"}})
	require.NoError(t, err)
	require.Len(t, pages, 2)
	require.Equal(t, "pg_2", pages[1].ID)
}

func TestRefusalsSayWhatTheAPISays(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(map[string]string{"title": "Unprocessable Entity", "detail": "timezone is not an IANA zone", "hint": "for example Europe/Berlin"})
	}))
	defer srv.Close()
	err := Run(t.Context(), Options{Server: srv.URL, Token: "key", Out: &bytes.Buffer{}})
	var step *StepError
	require.ErrorAs(t, err, &step)
	require.Equal(t, StepOnboard, step.Step)
	require.ErrorContains(t, err, "422 instead of 201: timezone is not an IANA zone (for example Europe/Berlin)")
}

func TestTheWorldIsWhatTheStorySays(t *testing.T) {
	w := payments()
	require.Len(t, w.tenants, 6)
	require.Equal(t, []string{"marigold", "tidewater", "lumen", "orchard"}, w.touched())
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	g, err := w.gateway(1, start)
	require.NoError(t, err)
	g.Advance(start.Add(time.Hour))
	from := boundary(g.Now().Add(time.Second))
	require.Equal(t, start.Add(time.Hour+15*time.Second), from)
	require.Equal(t, from, boundary(from))
	_, err = g.Break(simulate.Fault{Kind: simulate.AcquirerDown, Acquirer: acquirer, From: from, Size: 0.95})
	require.NoError(t, err)
	g.Advance(from.Add(30 * time.Second))
	truth := g.Truth()[0]
	require.Greater(t, truth.Events, uint64(300), "two steps bring hundreds of failures over all tenants")
	require.InDelta(t, 0.95, float64(truth.Injected)/float64(truth.Events), 0.05)
}

// A minute of a dashboard, which begins at any second, shows a minute's payments, as far back
// as dashboards are cut into minutes.
func TestNoMinuteOfTheHistoryShowsTwo(t *testing.T) {
	sum, seen := map[int64]float64{}, 0 // all counters by time in milliseconds
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/tokens" {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"token":"sender"}`)
			return
		}
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		req, err := decoded(body.Bytes())
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, ts := range req.Timeseries {
			for _, v := range ts.Samples {
				sum[v.Timestamp] += v.Value
				seen++
			}
		}
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", fmt.Sprint(written(body.Bytes())))
	}))
	defer srv.Close()
	s := &story{Options: Options{Server: srv.URL, Out: io.Discard, History: 5 * time.Hour}.withDefaults(), api: &client{base: srv.URL, http: srv.Client()},
		print: &printer{out: io.Discard}, world: payments()}
	require.NoError(t, s.history(t.Context()))

	times := slices.Sorted(maps.Keys(sum))
	require.Len(t, s.gateway.Snapshot(s.gateway.Now()), seen/len(times), "every series once at a time")
	last := func(at time.Time) float64 { // what was counted by then, as a dashboard reads it
		i, _ := slices.BinarySearch(times, at.UnixMilli()+1)
		return sum[times[i-1]]
	}
	for phase := range 60 {
		end := s.gateway.Now().Add(time.Duration(phase-60) * time.Second)
		usual := (last(end) - last(end.Add(-time.Hour))) / 60
		for ago := range 180 {
			at := end.Add(-time.Duration(ago) * time.Minute)
			require.InEpsilon(t, usual, last(at)-last(at.Add(-time.Minute)), 0.25, "%s before the end", s.gateway.Now().Sub(at))
		}
	}
}

func decoded(body []byte) (req writev2.Request, err error) {
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		return req, err
	}
	return req, req.Unmarshal(raw)
}

// written counts the samples of a remote write 2.0 body.
func written(body []byte) int {
	req, err := decoded(body)
	if err != nil {
		return -1
	}
	n := 0
	for _, ts := range req.Timeseries {
		n += len(ts.Samples)
	}
	return n
}
