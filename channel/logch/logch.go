// Package logch is the channel that writes pages to the daemon's log: the way a
// person is reached before anything is configured.
//
// A log is read by many and kept for long. So no address of the page is
// written: those of incidents and acknowledgements carry capabilities, and a
// log line cannot tell them from the others.
package logch

import (
	"context"
	"log/slog"
	"regexp"
	"strings"

	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Log writes pages to a logger. Safe for concurrent use.
type Log struct{ to *slog.Logger }

// New makes the channel.
func New(to *slog.Logger) *Log { return &Log{to: to} }

// Send writes the page; it succeeds unless ctx is over.
func (l *Log) Send(ctx context.Context, p channel.Page) (channel.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return channel.Receipt{}, problem.Wrap(err, problem.Unavailable, "the page was not written to the log in time")
	}
	l.to.WarnContext(ctx, "page", slog.String("page", p.ID), slog.String("person", p.Name),
		slog.String("subject", withoutLinks(p, p.Subject)), slog.String("text", withoutLinks(p, p.Text)))
	return channel.Receipt{Detail: "written to the log"}, nil
}

var address = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s<>"]+`)

const leftOut = "(link left out of the log)"

// withoutLinks removes every address: those the page names, word for word, and
// whatever else looks like one.
func withoutLinks(p channel.Page, s string) string {
	if p.AckURL != "" {
		s = strings.ReplaceAll(s, p.AckURL, leftOut)
	}
	for _, k := range p.Links {
		if k.URL != "" {
			s = strings.ReplaceAll(s, k.URL, leftOut)
		}
	}
	return address.ReplaceAllString(s, leftOut)
}
