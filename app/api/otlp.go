package api

import (
	"net/http"

	"github.com/tocsin-alerting/tocsin/web"
)

// otlp is each signal's door: over HTTP, also below /otlp as Prometheus and
// Mimir have it, and over gRPC.
func (s *Server) otlp() []web.Route {
	var out []web.Route
	for _, d := range s.OTLP {
		path := "/v1/" + string(d.Signal)
		out = append(out,
			web.Route{Method: http.MethodPost, Path: path, Summary: "OTLP " + string(d.Signal), Kind: web.RPC, Roles: web.Senders, Handle: d.HTTP},
			web.Route{Method: http.MethodPost, Path: "/otlp" + path, Summary: "OTLP " + string(d.Signal), Kind: web.RPC, Roles: web.Senders, Handle: d.HTTP},
			web.Route{Method: web.GRPC, Path: d.Signal.Method(), Summary: "OTLP " + string(d.Signal), Kind: web.RPC, Roles: web.Senders, Call: d.Call})
	}
	return out
}
