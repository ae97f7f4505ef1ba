package router

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func TestKindsThatBelongTogether(t *testing.T) {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	acquirer := sli.Slice{{Label: "acquirer", Value: "alpha"}}
	of := func(kind rule.Kind, id tenant.ID, s sli.Slice, after time.Duration) alert.Alert {
		key := alert.Key{Environment: "production", Tenant: id, Service: "payments", Rule: string(kind), Slice: s}
		return alert.Alert{ID: key.ID(), Key: key, Kind: kind, State: alert.Firing, OnsetAt: at.Add(after)}
	}
	failing := Candidate{Incident: "failing", Service: "payments", Slice: acquirer, OnsetAt: at, Open: true, Tenants: []tenant.ID{"acme"}}
	absent := Candidate{Incident: "absent", Service: "payments", Slice: sli.Slice{}, OnsetAt: at, Open: true, Tenants: []tenant.ID{"acme"}, Absent: true}
	silent := Candidate{Incident: "silent", Service: "payments", Slice: sli.Slice{{Label: "source", Value: "eu"}}, OnsetAt: at, Open: true, Tenants: []tenant.ID{tenant.Product}, Source: true}
	for name, c := range map[string]struct {
		open []Candidate
		a    alert.Alert
		want string
	}{
		"slow and failing are one":               {[]Candidate{failing}, of(rule.Latency, "acme", acquirer, 14*time.Minute), "failing"},
		"so is the lost total":                   {[]Candidate{failing}, of(rule.Traffic, "acme", sli.Slice{}, 2*time.Minute), "failing"},
		"but not half an hour later":             {[]Candidate{failing}, of(rule.Latency, "acme", acquirer, 30*time.Minute), ""},
		"another tenant's absence is its own":    {[]Candidate{failing}, of(rule.Absent, "bolt", sli.Slice{}, time.Minute), ""},
		"a tenant's absence is part of its own":  {[]Candidate{failing}, of(rule.Absent, "acme", sli.Slice{}, time.Minute), "failing"},
		"several absent at once are one":         {[]Candidate{absent}, of(rule.Absent, "bolt", sli.Slice{}, time.Minute), "absent"},
		"failures do not join another's absence": {[]Candidate{absent}, of(rule.Errors, "bolt", sli.Slice{}, time.Minute), ""},
		"nothing joins a silent source":          {[]Candidate{silent}, of(rule.Errors, "acme", sli.Slice{}, time.Minute), ""},
		"nor crosses it":                         {[]Candidate{silent}, of(rule.Errors, tenant.Product, acquirer, time.Minute), ""},
		"another source is another incident":     {[]Candidate{silent}, of(rule.Source, tenant.Product, sli.Slice{{Label: "source", Value: "us"}}, time.Minute), ""},
		"a silent source joins no failure":       {[]Candidate{failing}, of(rule.Source, tenant.Product, sli.Slice{{Label: "source", Value: "us"}}, time.Minute), ""},
	} {
		require.Equal(t, c.want, Route(c.open, c.a, at.Add(time.Hour)).Incident, name)
	}
}
