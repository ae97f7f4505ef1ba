package app_test

import (
	"encoding/binary"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/api/tenants"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

const counted = "payment_transactions_total"

// tenantStatus reads what is known of a tenant.
func (r *rig) tenantStatus(t *testing.T, id string) (st tenants.TenantStatus) {
	t.Helper()
	r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/"+id+"/status", "").into(t, &st)
	return st
}

// metric reads one of tocsin's own metrics; 0 when it is not there.
func (r *rig) metric(t *testing.T, name string) string {
	t.Helper()
	for line := range strings.SplitSeq(r.do(t, call{Method: http.MethodGet, Path: "/metrics"}).Body, "\n") {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			return v
		}
	}
	return "0"
}

// raw posts a body as it is.
func (r *rig) raw(t *testing.T, token, body string, header ...string) reply {
	t.Helper()
	h := map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
	for i := 0; i < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return r.do(t, call{Method: http.MethodPost, Path: "/api/v1/push", Token: token, Header: h, Body: body})
}

// TestBadInput: each kind of bad input gets a clear error, or is dropped, counted
// and shown; what was accepted is there, and the neighbour bolt notices nothing.
func TestBadInput(t *testing.T) {
	r := start(t, t.TempDir())
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
	}
	begin := time.Now().Add(-10 * time.Minute).Truncate(15 * time.Second)
	neighbour := 0
	// beside sends a neighbour's sample in the same request as the bad ones.
	beside := func(bad ...simulate.Sample) reply {
		neighbour++
		good := series(begin.Add(time.Duration(neighbour)*time.Second), float64(neighbour), counted, "tenant", "bolt", "result", "success")
		return r.push(t, r.admin, "", append(bad, good)...)
	}
	acme := func(at time.Time, v float64, pairs ...string) simulate.Sample {
		return series(at, v, counted, append([]string{"tenant", "acme"}, pairs...)...)
	}
	_, foreign := r.token(t, "sender", time.Time{}, "acme")
	_, reader := r.token(t, "tenant", time.Time{}, "acme")
	_, old := r.token(t, "sender", time.Now().Add(-time.Hour), "*")
	good, err := simulate.EncodeV1([]simulate.Sample{acme(begin, 1, "result", "success")})
	require.NoError(t, err)
	plain, err := snappy.Decode(nil, good)
	require.NoError(t, err)
	packed := func(b []byte) string { return string(snappy.Encode(nil, b)) }

	for name, c := range map[string]struct {
		got    func() reply
		status int
		says   string
	}{
		"no token":                {func() reply { return r.raw(t, "", string(good)) }, 401, "token"},
		"a token nobody made":     {func() reply { return r.raw(t, "tsn_000000000000_secret", string(good)) }, 401, "not known"},
		"an expired token":        {func() reply { return r.raw(t, old, string(good)) }, 401, "expired"},
		"a token that may not":    {func() reply { return r.raw(t, reader, string(good)) }, 403, "role"},
		"another tenant's header": {func() reply { return r.raw(t, foreign, string(good), "X-Scope-OrgID", "bolt") }, 403, "X-Scope-OrgID"},
		"a header with no tenant": {func() reply { return r.raw(t, r.admin, string(good), "X-Scope-OrgID", "a|b") }, 400, "X-Scope-OrgID"},
		"not snappy":              {func() reply { return r.raw(t, r.admin, "hello") }, 400, "snappy"},
		"cut short":               {func() reply { return r.raw(t, r.admin, packed(plain[:len(plain)-3])) }, 400, "cannot be read"},
		"no protobuf":             {func() reply { return r.raw(t, r.admin, packed([]byte("\x0a\x7fno protobuf"))) }, 400, "cannot be read"},
		"a bomb that says its size": {func() reply {
			return r.raw(t, r.admin, string(binary.AppendUvarint(nil, 1<<31))+strings.Repeat("\xff", 1000))
		}, 413, "limit"},
		"a bomb that hides its size": {func() reply {
			return r.raw(t, r.admin, string(binary.AppendUvarint(nil, 60<<20))+"\x00a")
		}, 400, "claims more"},
		"zeros without end": {func() reply { return r.raw(t, r.admin, packed(make([]byte, 65<<20))) }, 413, "limit"},
		"a body too large":  {func() reply { return r.raw(t, r.admin, strings.Repeat("x", 17<<20)) }, 413, "limit"},
		"another format":    {func() reply { return r.raw(t, r.admin, string(good), "Content-Type", "application/json") }, 415, "application/x-protobuf"},
		"another encoding":  {func() reply { return r.raw(t, r.admin, string(good), "Content-Encoding", "gzip") }, 415, "snappy"},
		"a query by a sender": {func() reply {
			return r.do(t, call{Method: http.MethodGet, Path: "/prometheus/api/v1/query?query=up", Token: foreign})
		}, 403, ""},
		"another tenant's series": {func() reply {
			return r.push(t, foreign, "", acme(begin, 1, "result", "declined"), series(begin, 99, counted, "tenant", "bolt", "result", "error"))
		}, 400, "1 samples stored; refused: 1 samples of a tenant the token"},
		"huge labels": {func() reply { return beside(acme(begin, 1, "result", strings.Repeat("x", 5000))) }, 400, "1 samples stored; refused: 1 samples of series with too many or too long labels"},
		"a label twice": {func() reply {
			body, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{Samples: []prompb.Sample{{Value: 1, Timestamp: begin.UnixMilli()}},
				Labels: []prompb.Label{{Name: "__name__", Value: counted}, {Name: "tenant", Value: "acme"}, {Name: "tenant", Value: "bolt"}}}}}).Marshal()
			require.NoError(t, err)
			return r.raw(t, r.admin, packed(body))
		}, 400, "0 samples stored; refused: 1 samples of series with invalid labels"},
		"a day ahead":   {func() reply { return beside(acme(time.Now().Add(24*time.Hour), 1, "result", "success")) }, 400, "1 samples stored; refused: 1 samples too far ahead of now (check the sender's clock)"},
		"a day behind":  {func() reply { return beside(acme(time.Now().Add(-24*time.Hour), 1, "result", "late")) }, 204, ""},
		"not a number":  {func() reply { return beside(acme(begin, math.NaN(), "result", "success", "acquirer", "nan")) }, 204, ""},
		"below nothing": {func() reply { return beside(acme(begin, -5, "result", "success", "acquirer", "negative")) }, 204, ""},
		"a stale marker": {func() reply {
			return beside(acme(begin, math.Float64frombits(value.StaleNaN), "result", "success", "acquirer", "stale"))
		}, 204, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.got()
			require.Equal(t, c.status, got.Status, got.Body)
			require.Contains(t, got.Body, c.says)
		})
	}

	whole := r.query(t, r.admin, "", `sum by (tenant) (count_over_time({__name__="`+counted+`"}[2h]))`)
	require.Equal(t, strconv.Itoa(neighbour), whole["bolt"], "every sample of the neighbour's that was accepted is there: %v", whole)
	require.Equal(t, map[string]string{"bolt": strconv.Itoa(neighbour)}, r.query(t, r.admin, "bolt", "last_over_time("+counted+`{result="success"}[1h])`))
	require.Empty(t, r.query(t, r.admin, "", "last_over_time("+counted+`{tenant="bolt",result="error"}[1h])`))
	st := r.tenantStatus(t, "acme")
	require.Equal(t, int64(2), st.RefusedSamples, "not a number, below nothing: stored and not judged")
	require.Equal(t, int64(1), st.Usage.Refused["too_far_ahead"])
	require.Empty(t, r.tenantStatus(t, "bolt").Usage.Refused)
	require.Equal(t, "1", r.metric(t, `tocsin_samples_refused_samples_total{reason="labels_over_limit"}`))
	require.Equal(t, "1", r.metric(t, `tocsin_samples_refused_samples_total{reason="other_tenant"}`))
	require.Empty(t, r.query(t, r.admin, "", counted+`{result="late"}`), "what is a day old is history")
	require.Len(t, r.query(t, r.admin, "", `count_over_time(`+counted+`{result="late"}[2d])`), 1)
	for _, secret := range []string{"tsn_000000000000_secret", foreign, strings.Repeat("x", 100)} {
		require.NotContains(t, r.log.String(), secret)
	}
}

// TestSamplesThatContradict: out of order, twice, reset and written by two: the
// history keeps what can be kept, and what is not judged is counted.
func TestSamplesThatContradict(t *testing.T) {
	r := start(t, t.TempDir())
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
	}
	begin := time.Now().Add(-9 * time.Minute).Truncate(15 * time.Second)
	at := func(i int) time.Time { return begin.Add(time.Duration(15*i) * time.Second) }
	send := func(i int, v float64, result string) {
		t.Helper()
		got := r.push(t, r.admin, "", series(at(i), v, counted, "tenant", "acme", "result", result), series(at(i), float64(i), counted, "tenant", "bolt", "result", result))
		require.Equal(t, http.StatusNoContent, got.Status, got.Body)
	}
	for i := range 10 {
		send(i, float64(100*i), "success")
	}
	send(3, 300, "success") // again
	send(4, 401, "success") // again, and something else
	for i := range 10 {
		send(10+i, float64(10*i), "success") // the process was restarted
	}
	for i := range 10 { // a second sender of the same series
		send(20+i, float64(100+10*i), "success")
		got := r.push(t, r.admin, "", series(at(20+i).Add(5*time.Second), 5_000_000+float64(i), counted, "tenant", "acme", "result", "success"))
		require.Equal(t, http.StatusNoContent, got.Status, got.Body)
	}
	for _, v := range []float64{5_000_009, 1} { // its last moment again: the same, and something else
		got := r.push(t, r.admin, "", series(at(29).Add(5*time.Second), v, counted, "tenant", "acme", "result", "success"))
		require.Equal(t, http.StatusNoContent, got.Status, got.Body)
	}
	var st tenants.TenantStatus
	require.Eventually(t, func() bool {
		st = r.tenantStatus(t, "acme")
		return st.LastSampleAt != nil && st.LastSampleAt.Equal(at(29).Add(5*time.Second)) && st.LateSamples == 4
	}, 10*time.Second, 20*time.Millisecond)
	require.NotZero(t, st.RivalSamples)
	require.Equal(t, map[string]string{"acme": "40", "bolt": "30"}, r.query(t, r.admin, "", `sum by (tenant) (count_over_time(`+counted+`[1h]))`))
	require.Equal(t, "1", r.metric(t, `tocsin_samples_history_dropped_total{reason="conflicting_value"}`), "two values of one moment: the first one stays")
	require.Equal(t, "1", r.metric(t, `tocsin_samples_history_dropped_total{reason="duplicate"}`))
	require.Equal(t, "4", r.metric(t, "tocsin_samples_history_late_total"), "out of order: to the history, not to the rules")
	require.Zero(t, r.tenantStatus(t, "bolt").RivalSamples)
	require.NotContains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/alerts", "").Body, "firing", "nobody is called for it")
}

// TestAPolicyWithErrorsStartsNothing: every fault is said at once and the data stays
// as it was.
func TestAPolicyWithErrorsStartsNothing(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{"features":["refunds"]}`)
	require.NoError(t, r.Stop(t.Context()))
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(policy, []byte("version: 1\nenvironments: [production]\nvolume: {sli: none}\nslis: [{name: A, total: {}, bad: {}}]\nfeatures: {Refunds: {}, x.*: {}}\n"), 0o600))
	err := tryStart(t, dir, func(c *config.Config) { c.PolicyFiles = []string{policy} })
	for _, says := range []string{"volume.sli", "total.metric", "bad.match", "features.Refunds", "features.x.*"} {
		require.ErrorContains(t, err, says)
	}
	r = start(t, dir)
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tenants/acme", "").Body, "refund_errors")
}
