package register

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Filter narrows List; the zero value takes all.
type Filter struct {
	States []itsm.State // empty: any
	After  string       // numbers below this one; the cursor
	Limit  int          // <= 0: 100, at most 1000
}

// List gives tickets, the newest number first, and the cursor of the next page
// (empty at the end).
func (r *Register) List(ctx context.Context, f Filter) ([]Entry, string, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	r.mu.Lock()
	defer r.mu.Unlock()
	numbers := make([]string, 0, len(r.byNumber))
	for n, key := range r.byNumber {
		if (len(f.States) == 0 || slices.Contains(f.States, r.byKey[key].state)) && (f.After == "" || compare(n, f.After) < 0) {
			numbers = append(numbers, n)
		}
	}
	slices.SortFunc(numbers, func(a, b string) int { return compare(b, a) })
	next := ""
	if len(numbers) > limit {
		numbers = numbers[:limit]
		next = numbers[limit-1]
	}
	out := make([]Entry, 0, len(numbers))
	for _, n := range numbers {
		e, ok, err := r.load(ctx, r.byNumber[n])
		if err != nil {
			return nil, "", err
		}
		if ok {
			out = append(out, e)
		}
	}
	return out, next, nil
}

// compare orders numbers, also past seven digits.
func compare(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// Get reads a ticket by number or key; NotFound.
func (r *Register) Get(ctx context.Context, id string) (Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.get(ctx, id)
}

func (r *Register) get(ctx context.Context, id string) (Entry, error) {
	key, ok := r.byNumber[id]
	if !ok {
		key = id
	}
	e, ok, err := r.load(ctx, key)
	if err == nil && !ok {
		err = problem.New(problem.NotFound, "the register has no such ticket")
	}
	return e, err
}

// Attachment reads the attachment of a ticket's note; NotFound.
func (r *Register) Attachment(ctx context.Context, id, noteKey string) (itsm.Attachment, error) {
	e, err := r.Get(ctx, id)
	if err != nil {
		return itsm.Attachment{}, err
	}
	i := slices.IndexFunc(e.Notes, func(n itsm.Note) bool { return n.Key == noteKey })
	if i < 0 || e.Notes[i].Attachment == nil {
		return itsm.Attachment{}, problem.New(problem.NotFound, "the ticket has no such attachment")
	}
	a := *e.Notes[i].Attachment
	if a.Blob != "" && r.opt.Blob != nil {
		a.Content, err = r.opt.Blob(ctx, a.Blob)
		return a, err
	}
	b, ok, err := r.opt.Records.Get(ctx, attachmentKey(e.Key, noteKey))
	if err != nil {
		return a, unreadable(err)
	}
	var rec attachmentRecord
	if !ok || json.Unmarshal(b, &rec) != nil {
		return a, problem.New(problem.NotFound, "the ticket has no such attachment")
	}
	a.Content = rec.Content
	return a, nil
}

// Acknowledge makes user the ticket's owner. Conflict when it is resolved.
func (r *Register) Acknowledge(ctx context.Context, id, user string) (Entry, error) {
	return r.act(ctx, id, user, func(e *Entry) error {
		if e.State == itsm.Resolved {
			return problem.New(problem.Conflict, "the ticket is resolved").WithHint("reopen it first")
		}
		e.State, e.Owner = itsm.Acknowledged, user
		return nil
	})
}

// Resolve closes the ticket; note says how, and may be empty. Resolving a
// resolved ticket changes nothing.
func (r *Register) Resolve(ctx context.Context, id, user, note string) (Entry, error) {
	return r.act(ctx, id, user, func(e *Entry) error {
		if e.State == itsm.Resolved {
			return nil
		}
		e.State = itsm.Resolved
		if note != "" {
			e.Notes = append(e.Notes, itsm.Note{Key: fmt.Sprintf("%s/%d", user, r.seq+1), At: r.opt.Now().UTC(), Text: user + ": " + note})
		}
		return nil
	})
}

// Reopen puts a resolved ticket back to work by user.
func (r *Register) Reopen(ctx context.Context, id, user string) (Entry, error) {
	return r.act(ctx, id, user, func(e *Entry) error {
		if e.State == itsm.Resolved {
			e.State, e.Owner = itsm.Acknowledged, user
		}
		return nil
	})
}

// act changes a ticket for a person and records it.
func (r *Register) act(ctx context.Context, id, user string, change func(*Entry) error) (Entry, error) {
	if user == "" || user == Self || len(user) > 200 {
		return Entry{}, problem.New(problem.Invalid, "the user's name is not usable").WithHint("1 to 200 characters, not %s", Self)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e, err := r.get(ctx, id)
	if err != nil {
		return e, err
	}
	was := e
	if err := change(&e); err != nil {
		return was, err
	}
	if e.State == was.State && e.Owner == was.Owner {
		return was, nil
	}
	r.record(&e, user)
	if err := r.save(ctx, e); err != nil {
		return was, err
	}
	return e, nil
}
