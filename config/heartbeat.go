package config

import (
	"net/url"
	"time"
)

// Heartbeat is where tocsin says that it works. Whoever listens there calls
// somebody once it falls silent, because nothing here can.
type Heartbeat struct {
	URL     string        `yaml:"url"`      // an http or https address that is posted to; empty: no heartbeat
	URLFile string        `yaml:"url_file"` // instead of url, when the address is a secret
	Every   time.Duration `yaml:"every"`    // default 1m
}

// On says whether there is a heartbeat.
func (h Heartbeat) On() bool { return h.URL != "" || h.URLFile != "" }

const leastBeat = time.Second

func (h Heartbeat) check(fault func(format string, args ...any)) {
	if h.URL != "" && h.URLFile != "" {
		fault("heartbeat: url and url_file stand for the same; leave one out")
	}
	if u, err := url.Parse(h.URL); h.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		fault("heartbeat: url must be an http or https address")
	}
	if h.Every < leastBeat {
		fault("heartbeat: every must be at least %s", leastBeat)
	}
}
