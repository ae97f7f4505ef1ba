package partition

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
)

// piece is posted work.
type piece struct {
	f  func(*Tx) error
	at time.Time // when it was posted
}

// Post hands work to the owner's goroutine in order and does not wait. Work
// posted after the owner has stopped is dropped and Post says false.
func (w *Owner) Post(f func(*Tx) error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return false
	}
	w.posted = append(w.posted, piece{f, w.o.Now()})
	select {
	case w.notify <- struct{}{}:
	default:
	}
	return true
}

// Call hands work to the owner and waits until it is committed, or gives f's
// error, after which nothing was written.
func (w *Owner) Call(ctx context.Context, f func(*Tx) error) error {
	done := make(chan error, 1)
	ok := w.Post(func(tx *Tx) error {
		if err := ctx.Err(); err != nil {
			done <- err
			return nil //nolint:nilerr // the caller has it
		}
		if err := f(tx); err != nil {
			done <- err
			return errDiscard
		}
		tx.After(func() { done <- nil })
		return nil
	})
	notServed := problem.New(problem.Unavailable, "this part of the store is not served at the moment").WithRetryAfter(time.Second)
	if !ok {
		return notServed
	}
	select {
	case err := <-done:
		return err
	case <-w.ended:
		select {
		case err := <-done: // it was decided before the end
			return err
		default:
			return notServed
		}
	case <-ctx.Done():
		return problem.Wrap(ctx.Err(), problem.Unavailable, "the decision was not committed in time").WithRetryAfter(time.Second)
	}
}

// Pending is how many posted pieces of work are not yet done, and when the oldest
// of them was posted; zero when there are none.
func (w *Owner) Pending() (n int, oldest time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.posted) > 0 {
		oldest = w.posted[0].at
	}
	return len(w.posted), oldest
}

var errDiscard = errors.New("discard")

func (w *Owner) drainPosted(ctx context.Context) error {
	for {
		f := w.first()
		if f == nil {
			return nil
		}
		if err := w.Keep(ctx); err != nil { // there may be much of it, and none that commits
			return err
		}
		err := w.decide(ctx, nil, f)
		w.did()
		if err != nil {
			return err
		}
	}
}

// first is the oldest posted work, nil when there is none. It counts as pending
// until did: work that cannot be committed is what keeps the others waiting.
func (w *Owner) first() func(*Tx) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.posted) == 0 {
		return nil
	}
	return w.posted[0].f
}

func (w *Owner) did() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.posted[0] = piece{}
	if w.posted = w.posted[1:]; len(w.posted) == 0 {
		w.posted = nil // so that what a peak needed is given back
	}
}
