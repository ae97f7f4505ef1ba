// Package register is the register of incidents that tocsin brings along: an
// ITSM for those who have none, and the one a first start uses.
//
// It keeps tickets with numbers, notes, attachments and the history of their
// states in records, durable before a call returns. It knows tickets as package
// itsm does and must not know incidents, the store or who may do what: that is
// checked where the request came in.
package register

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
)

// Records is where the register keeps its JSON. Safe for concurrent use. The
// register is the only writer.
type Records interface {
	// Get reads one record; ok is false when there is none. The caller owns value.
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)
	// Put writes one record, whole or not at all, and returns once it is durable.
	Put(ctx context.Context, key string, value []byte) error
	// List gives records in order of key, those with the prefix and key > after,
	// at most limit.
	List(ctx context.Context, prefix, after string, limit int) ([]Record, error)
}

// Record is one stored value.
type Record struct {
	Key   string
	Value []byte
}

// Options configure a Register.
type Options struct {
	Records Records                                              // required
	Blob    func(ctx context.Context, id string) ([]byte, error) // reads attachments by blob id; nil: their bytes go into records
	URL     func(number string) string                           // a ticket's view; nil: none
	Now     func() time.Time                                     // time.Now when nil
}

// Entry is one ticket as people see it.
type Entry struct {
	Number      string        `json:"number"` // INC0000001
	Key         string        `json:"key"`
	Version     uint64        `json:"version"`
	Title       string        `json:"title"`
	Description string        `json:"description"`
	Severity    rule.Severity `json:"severity"`
	State       itsm.State    `json:"state"`
	Owner       string        `json:"owner"`
	Requestor   string        `json:"requestor"`
	Queue       string        `json:"queue"`
	URL         string        `json:"url"`
	Dashboard   string        `json:"dashboard"`
	OpenedAt    time.Time     `json:"opened_at"`
	UpdatedAt   time.Time     `json:"updated_at"`
	Notes       []itsm.Note   `json:"notes"`   // oldest first
	History     []Change      `json:"history"` // oldest first, at most maxHistory
}

// Change is one step in a ticket's life.
type Change struct {
	Seq   uint64     `json:"seq"` // grows over all tickets
	At    time.Time  `json:"at"`
	Actor string     `json:"actor"` // Self for tocsin
	State itsm.State `json:"state"` // after the change
	Owner string     `json:"owner"` // after the change
}

// Self is the actor of changes made by Sync.
const Self = "tocsin"

// maxHistory bounds a ticket's history; the first change stays.
const maxHistory = 500

// Register is the built-in ticket system. It implements itsm.System.
type Register struct {
	opt Options

	mu       sync.Mutex
	byKey    map[string]summary
	byNumber map[string]string // number -> key
	last     uint64            // newest number given
	seq      uint64            // newest change
	reported uint64            // newest change that Changes has handed out
}

// summary is what is kept in memory of a ticket.
type summary struct {
	number  string
	state   itsm.State
	foreign uint64 // Seq of the newest change by somebody else; 0: none
}

var _ itsm.System = (*Register)(nil)

const ticketPrefix = "ticket/"

// New reads what there is. Calls are answered from then on.
func New(ctx context.Context, opt Options) (*Register, error) {
	if opt.Records == nil {
		return nil, problem.New(problem.Internal, "the register has no records")
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.URL == nil {
		opt.URL = func(string) string { return "" }
	}
	r := &Register{opt: opt}
	return r, r.Reload(ctx)
}

// Reload reads anew what there is: another process may have been the writer.
func (r *Register) Reload(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byKey, r.byNumber, r.last, r.seq, r.reported = map[string]summary{}, map[string]string{}, 0, 0, 0
	for after := ""; ; {
		list, err := r.opt.Records.List(ctx, ticketPrefix, after, 500)
		if err != nil {
			return unreadable(err)
		}
		for _, rec := range list {
			var e Entry
			if err := json.Unmarshal(rec.Value, &e); err != nil {
				return problem.Wrap(err, problem.Internal, "a ticket of the register is damaged").WithHint("restore the store from a backup")
			}
			r.note(e)
			after = rec.Key
		}
		if len(list) == 0 {
			return nil
		}
	}
}

// note takes an entry into the summaries.
func (r *Register) note(e Entry) {
	s := summary{number: e.Number, state: e.State}
	for _, h := range e.History {
		r.seq = max(r.seq, h.Seq)
		if h.Actor != Self {
			s.foreign = h.Seq
		}
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(e.Number, "INC"), 10, 64); err == nil {
		r.last = max(r.last, n)
	}
	r.byKey[e.Key] = s
	r.byNumber[e.Number] = e.Key
}

func unreadable(err error) error {
	return problem.Wrap(err, problem.Unavailable, "the register cannot be read")
}

// load reads a ticket by key; the caller holds the lock.
func (r *Register) load(ctx context.Context, key string) (Entry, bool, error) {
	b, ok, err := r.opt.Records.Get(ctx, ticketPrefix+key)
	if err != nil {
		return Entry{}, false, unreadable(err)
	}
	if !ok {
		return Entry{}, false, nil
	}
	var e Entry
	if err := json.Unmarshal(b, &e); err != nil {
		return Entry{}, false, problem.Wrap(err, problem.Internal, "a ticket of the register is damaged")
	}
	return e, true, nil
}

// save writes a ticket and then takes it into the summaries; the caller holds
// the lock.
func (r *Register) save(ctx context.Context, e Entry) error {
	b, err := json.Marshal(e)
	if err != nil {
		return problem.Wrap(err, problem.Internal, "a ticket cannot be written")
	}
	if err := r.opt.Records.Put(ctx, ticketPrefix+e.Key, b); err != nil {
		p := problem.Wrap(err, problem.Unavailable, "the register cannot be written")
		if inner := problem.From(err); inner.Kind == problem.NoSpace {
			p.Kind, p.Hint = inner.Kind, inner.Hint
		}
		return p
	}
	r.note(e)
	return nil
}

// record appends to the history what e has become.
func (r *Register) record(e *Entry, actor string) {
	e.UpdatedAt = r.opt.Now().UTC()
	if n := len(e.History); n > 0 && e.History[n-1].State == e.State && e.History[n-1].Owner == e.Owner {
		return
	}
	e.History = append(e.History, Change{Seq: r.seq + 1, At: e.UpdatedAt, Actor: actor, State: e.State, Owner: e.Owner})
	if len(e.History) > maxHistory {
		e.History = slices.Delete(e.History, 1, 1+len(e.History)-maxHistory)
	}
}

func (r *Register) ref(e Entry) itsm.Ref {
	return itsm.Ref{ID: e.Number, Number: e.Number, URL: r.opt.URL(e.Number)}
}

func number(n uint64) string { return fmt.Sprintf("INC%07d", n) }
