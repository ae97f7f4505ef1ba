package app_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheCalendarSaysWhatHolds(t *testing.T) {
	r, write := reloadRig(t)
	require.JSONEq(t, `{"items":[],"next":""}`, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/calendar", "").Body)
	write("policy.yaml", reloadPolicy+`calendar:
  - {name: always, effect: deny_changes, weekly: {}, why: nobody is there, by: ada}
  - {name: past, effect: hold_pages, starts_at: 2020-01-01T00:00:00Z, ends_at: 2020-01-02T00:00:00Z, why: over, by: ada}
  - {name: later, effect: widen, factor: 2, countries: [de], starts_at: 2090-01-01T00:00:00Z, ends_at: 2090-01-02T00:00:00Z, why: sale, by: bo}
`)
	r.reload(t, http.StatusOK)
	var got struct {
		Items []struct {
			Name      string
			Holds     bool
			ChangesAt *string `json:"changes_at"`
			Factor    float64
			Countries []string
			Why, By   string
		}
	}
	r.want(t, http.StatusOK, http.MethodGet, "/api/v1/calendar", "").into(t, &got)
	require.Len(t, got.Items, 3)
	require.True(t, got.Items[0].Holds)
	require.False(t, got.Items[1].Holds)
	require.Nil(t, got.Items[1].ChangesAt)
	require.False(t, got.Items[2].Holds)
	require.Equal(t, "2090-01-01T00:00:00Z", *got.Items[2].ChangesAt)
	require.Equal(t, "bo", got.Items[2].By)
}
