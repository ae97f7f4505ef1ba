package config

import (
	"net"
	"net/url"
	"strings"
)

// Tracing is where traces of tocsin itself go: the way from a request to a page.
type Tracing struct {
	Endpoint string  `yaml:"endpoint"` // host:port of OTLP over gRPC, or an http or https address of OTLP over HTTP; empty: no traces
	Sample   float64 `yaml:"sample"`   // part of the requests that are traced, above 0 to 1; default 1
	Insecure bool    `yaml:"insecure"` // gRPC without TLS
}

func (t Tracing) check(fault func(format string, args ...any)) {
	if t.Sample <= 0 || t.Sample > 1 {
		fault("tracing: sample must be above 0 and at most 1")
	}
	if t.Endpoint == "" {
		return
	}
	if strings.Contains(t.Endpoint, "://") {
		if u, err := url.Parse(t.Endpoint); err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			fault("tracing: endpoint must be host:port, or an http or https address without a password")
		}
	} else if host, port, err := net.SplitHostPort(t.Endpoint); err != nil || host == "" || port == "" {
		fault("tracing: endpoint must be host:port, or an http or https address without a password")
	}
}
