package pool

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/sli"
)

// TestContributionsFindTheirSeats: each is added where it belongs, whether it follows the one
// that it followed before or not, and whether or not it shares its origin and slice with it.
func TestContributionsFindTheirSeats(t *testing.T) {
	p, beta := newPool(), sli.Slice{{Label: "acquirer", Value: "beta"}}
	ours := exchange.Origin{Environment: "production", Service: "payments", Rule: "PaymentsFailing", Tenant: "shop"}
	another, staging, refunds := ours, ours, ours
	another.Tenant, staging.Environment, refunds.Service = "mall", "staging", "refunds"
	end := epoch.UnixMilli()
	for _, read := range []bool{false, true} {
		for _, told := range [][]exchange.Contribution{
			{{Origin: &ours, Slice: alpha}, {Origin: &ours, Slice: beta}, {Origin: &another, Slice: alpha}},
			{{Origin: &ours, Slice: alpha}, {Origin: &ours, Slice: beta}, {Origin: &another, Slice: alpha}},
			{{Origin: &ours, Slice: alpha}, {Origin: &another, Slice: beta}, {Origin: &ours, Slice: beta}},
			{{Origin: &ours, Slice: alpha}, {Origin: &another, Slice: alpha}, {Origin: &ours, Slice: beta}},
			{{Origin: &staging, Slice: alpha}, {Origin: &refunds, Slice: beta}, {Origin: &staging, Slice: beta}},
			{{Origin: &ours, Slice: beta}, {Origin: &refunds, Slice: alpha}, {Origin: &ours, Slice: alpha}},
		} {
			start := end
			end += 15_000
			want := map[exchange.Origin]float64{}
			for i := range told {
				c := &told[i]
				c.Step, c.Live = detect.Step{Start: start, End: end, N: float64(i + 1), Coverage: 1}, true
				if *c.Origin == ours || *c.Origin == another {
					o := *c.Origin
					o.Rule = c.Slice[0].Value // of each slice
					want[o] += c.Step.N
				}
				if read { // as from a journal
					o := *c.Origin
					c.Origin, c.Slice = &o, sli.Slice{c.Slice[0]}
				}
				p.Contribute(c)
			}
			got := map[exchange.Origin]float64{}
			for _, s := range p.streams {
				for _, b := range s.open {
					for _, x := range b.parts {
						if b.end == end {
							o := ours
							o.Tenant, o.Rule = x.id, s.slice[0].Value
							got[o] += x.n
						}
					}
				}
			}
			require.Equal(t, want, got)
		}
	}
}
