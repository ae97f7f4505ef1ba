package demo

import (
	"time"

	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

// acquirer is the one that fails.
const acquirer = "alpha"

const (
	historyStep = time.Minute
	liveStep    = 5 * time.Second
	judgedStep  = 15 * time.Second // the fault begins and ends at its boundaries

	// recentHistory is sent at liveStep too. A minute that begins between two scrapes of a
	// minute and ends between two of liveStep shows nearly two minutes' payments: there is
	// none in what dashboards cut into minutes, which is three hours before the fault.
	recentHistory = 200 * time.Minute
)

type world struct {
	tenants []merchant
}

// merchant is a tenant of the gateway and what the onboarding document says of it.
type merchant struct {
	simulate.Tenant
	Currency string
	Value    float64 // of a transaction
	Priority bool
}

// touched lists the tenants that use the acquirer that fails.
func (w world) touched() []string {
	var out []string
	for _, t := range w.tenants {
		for _, a := range t.Acquirers {
			if a.Name == acquirer {
				out = append(out, t.ID)
			}
		}
	}
	return out
}

func (w world) name(id string) string {
	for _, t := range w.tenants {
		if t.ID == id {
			return t.Name
		}
	}
	return id
}

// payments are six tenants of three acquirers; four of them use alpha. Their
// volumes are such that half a minute shows a total failure in every slice, and
// two minutes show that it is over: to rule out three points more failures takes
// some 400 events.
func payments() world {
	type shares = []simulate.Share
	cards := shares{{Name: "card", Weight: 2}, {Name: "wallet", Weight: 1}}
	return world{tenants: []merchant{
		{Tenant: simulate.Tenant{ID: "marigold", Name: "Marigold Travel", TPS: 30, Zone: "Europe/Berlin", Season: 0.25, Methods: cards,
			Countries: shares{{Name: "de", Weight: 2}, {Name: "at", Weight: 1}}, Acquirers: shares{{Name: "alpha", Weight: 3}, {Name: "beta", Weight: 2}}},
			Currency: "EUR", Value: 240, Priority: true},
		{Tenant: simulate.Tenant{ID: "tidewater", Name: "Tidewater Grocery", TPS: 36, Zone: "Europe/Paris", Season: 0.25, Methods: cards,
			Countries: shares{{Name: "fr", Weight: 1}}, Acquirers: shares{{Name: "alpha", Weight: 1}, {Name: "gamma", Weight: 1}}},
			Currency: "EUR", Value: 35},
		{Tenant: simulate.Tenant{ID: "lumen", Name: "Lumen Tickets", TPS: 16, Zone: "Europe/London", Season: 0.25, Methods: cards,
			Countries: shares{{Name: "gb", Weight: 1}}, Acquirers: shares{{Name: "alpha", Weight: 7}, {Name: "beta", Weight: 3}}},
			Currency: "GBP", Value: 60},
		{Tenant: simulate.Tenant{ID: "orchard", Name: "Orchard Pharmacy", TPS: 24, Zone: "Europe/Madrid", Season: 0.25, Methods: cards,
			Countries: shares{{Name: "es", Weight: 2}, {Name: "pt", Weight: 1}}, Acquirers: shares{{Name: "alpha", Weight: 3}, {Name: "gamma", Weight: 7}}},
			Currency: "EUR", Value: 22},
		{Tenant: simulate.Tenant{ID: "arcade", Name: "Pixel Arcade", TPS: 40, Zone: "America/New_York", Season: 0.25, Methods: cards,
			Countries: shares{{Name: "us", Weight: 1}}, Acquirers: shares{{Name: "beta", Weight: 3}, {Name: "gamma", Weight: 2}}},
			Currency: "USD", Value: 8},
		{Tenant: simulate.Tenant{ID: "kestrel", Name: "Kestrel Books", TPS: 3, Zone: "Europe/Dublin", Season: 0.25, Methods: shares{{Name: "card", Weight: 1}},
			Countries: shares{{Name: "ie", Weight: 1}}, Acquirers: shares{{Name: "gamma", Weight: 1}}},
			Currency: "EUR", Value: 28},
	}}
}

func (w world) gateway(seed uint64, start time.Time) (*simulate.Gateway, error) {
	o := simulate.Options{Seed: seed, Start: start, Tick: liveStep, Base: simulate.Rates{Error: 0.008, Declined: 0.07, Abandoned: 0.02},
		Rates: map[string]simulate.Rates{"gamma": {Error: 0.02, Declined: 0.05, Abandoned: 0.02}}}
	for _, t := range w.tenants {
		o.Tenants = append(o.Tenants, t.Tenant)
	}
	return simulate.New(o)
}

// boundary is the first step boundary that is not before t.
func boundary(t time.Time) time.Time {
	b := t.Truncate(judgedStep)
	if b.Before(t) {
		b = b.Add(judgedStep)
	}
	return b
}
