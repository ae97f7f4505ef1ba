package replay

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
)

// moment is a time as people write it: a day, or a time in RFC 3339.
type moment struct{ time.Time }

func (m *moment) UnmarshalText(text []byte) error {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(form, string(text)); err == nil {
			m.Time = at.UTC()
			return nil
		}
	}
	return errors.New("no day and no time; write 2026-03-02 or 2026-03-02T18:00:00+01:00")
}

// span is what is replayed of what was recorded.
func (b Backtest) span(ctx context.Context, src recorded.Source) (from, to time.Time, err error) {
	from, to = b.From.Time, b.To.Time
	if !from.IsZero() && !to.IsZero() && from.Before(to) {
		return from, to, nil
	}
	first, last, err := src.Span(ctx)
	if err != nil {
		return from, to, err
	}
	if from.IsZero() {
		from = first
	}
	if to.IsZero() {
		to = last.Add(time.Millisecond)
	}
	if !from.Before(to) {
		return from, to, problem.New(problem.Invalid, "there is nothing between the beginning and the end").
			WithHint("check --from and --to; recorded is from %s to %s", first.Format(time.RFC3339), last.Format(time.RFC3339))
	}
	return from, to, nil
}
