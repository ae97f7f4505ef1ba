package quota

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/tenant"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestSeriesOfATenantAreBounded(t *testing.T) {
	b := New(Limits{Series: 3})
	acme, bolt := b.Account("acme", false, noon), b.Account("bolt", false, noon)
	for h := range uint64(3) {
		require.True(t, acme.Series(h, noon))
	}
	require.False(t, acme.Series(3, noon))
	require.True(t, acme.Series(2, noon.Add(time.Second)), "what is known goes on")
	require.True(t, bolt.Series(3, noon), "a neighbour has its own")
	require.Equal(t, 3, b.Usage("acme", noon).Series)
	later := noon.Add(Active + time.Minute)
	require.True(t, acme.Series(2, later))
	require.True(t, acme.Series(7, later), "what is not sent any more gives way")
	require.Equal(t, 2, b.Usage("acme", later).Series)
}

func TestThoseNobodyOnboardedShareABound(t *testing.T) {
	b := New(Limits{Series: 10, OtherSeries: 4})
	for i := range 4 {
		require.True(t, b.Account(tenant.ID(fmt.Sprint("stranger-", i)), true, noon).Series(1, noon))
	}
	require.False(t, b.Account("one-more", true, noon).Series(1, noon))
	require.True(t, b.Account("acme", false, noon).Series(1, noon), "whoever was onboarded is not harmed")
	require.Equal(t, 4, b.Usage("stranger-1", noon).SeriesLimit)
	b.Account("stranger-1", false, noon) // adopted
	require.Equal(t, 10, b.Usage("stranger-1", noon).SeriesLimit)
	require.True(t, b.Account("one-more", true, noon.Add(2*time.Minute)).Series(1, noon.Add(2*time.Minute)), "its room is free again")
	later := noon.Add(2*Active + time.Hour)
	b.Account("acme", false, later)
	require.Equal(t, 1, b.Accounts(), "idle accounts are closed")
	require.Zero(t, b.others.n)
}

// A label that holds an order's number instead of a tenant's is a new tenant with
// every series.
func TestStrangersBeyondTheBoundTakeNoMemory(t *testing.T) {
	b := New(Limits{OtherSeries: 4})
	for i := range 1000 {
		a := b.Account(tenant.ID(fmt.Sprint("order-", i)), true, noon)
		ok, _ := a.Open(noon)
		require.True(t, ok)
		require.Equal(t, i < 4, a.Series(uint64(i), noon))
	}
	require.Equal(t, 4, b.Accounts())
	require.True(t, b.Account("acme", false, noon).Series(1, noon))
	later := noon.Add(2*Active + time.Hour)
	require.True(t, b.Account("order-9", true, later).Series(9, later), "when the others are gone there is room")
}

func TestTheRateIsBounded(t *testing.T) {
	b := New(Limits{SamplesPerSecond: 100})
	a := b.Account("acme", false, noon)
	ok, _ := a.Open(noon)
	require.True(t, ok)
	a.Took(3500, noon) // one request on credit
	ok, wait := a.Open(noon)
	require.False(t, ok)
	require.InDelta(t, 5.01, wait.Seconds(), 0.001, "when the debt is paid")
	ok, _ = a.Open(noon.Add(wait))
	require.True(t, ok)
	ok, _ = b.Account("bolt", false, noon).Open(noon)
	require.True(t, ok)
	a.Refused("rate", 7)
	u := b.Usage("acme", noon.Add(30*time.Second))
	require.Equal(t, int64(3500), u.Accepted)
	require.Equal(t, map[string]int64{"rate": 7}, u.Refused)
	require.InDelta(t, 116, u.SamplesPerSecond, 1)
	for s := range 600 {
		a.Took(100, noon.Add(time.Duration(s)*time.Second))
	}
	require.InDelta(t, 100, b.Usage("acme", noon.Add(600*time.Second)).SamplesPerSecond, 3)
	require.Zero(t, b.Usage("acme", noon.Add(time.Hour)).SamplesPerSecond)
}
