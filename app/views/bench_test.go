package views

import (
	"fmt"
	"io"
	"net/http/httptest"
	"testing"

	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// BenchmarkWall is what drawing the tenants of the start page costs, without
// asking the partitions.
func BenchmarkWall(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			pages, err := view.New()
			if err != nil {
				b.Fatal(err)
			}
			v := New(nil, nil)
			var l look
			for i := range n {
				t := tenant.Tenant{ID: tenant.ID(fmt.Sprintf("shop-%05d", i)), Name: "Shop", State: tenant.Live}
				s := judge(t, evaluate.Glance{LastReceivedAt: &noon, Blind: i%50 == 0, Young: i%10 == 0}, nil)
				l.standing = append(l.standing, s)
			}
			r := httptest.NewRequest("GET", "/", nil)
			for b.Loop() {
				w := v.wall(l, web.Principal{Role: web.Admin, Any: true})
				tone, verdict, detail := verdict(nil, w)
				if err := pages.Overview(io.Discard, view.OverviewPage{Wall: w, Tone: tone, Verdict: verdict, Detail: detail, Frame: view.Frame{Viewer: r.URL.Path}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
