package register

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Sync implements itsm.System.
func (r *Register) Sync(ctx context.Context, want itsm.Ticket, _ itsm.Ref) (itsm.Result, error) {
	want.Title = strings.Join(strings.Fields(want.Title), " ")
	if err := check(want); err != nil {
		return itsm.Result{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e, found, err := r.load(ctx, want.Key)
	if err != nil {
		return itsm.Result{}, err
	}
	if !found {
		now := r.opt.Now().UTC()
		e = Entry{Number: number(r.last + 1), Key: want.Key, OpenedAt: now, Notes: []itsm.Note{}, History: []Change{}}
	}
	res := itsm.Result{Ref: r.ref(e), Version: e.Version, State: e.State, Created: !found}
	if e.Version > want.Version {
		return res, nil
	}
	before, err := json.Marshal(e)
	if err != nil {
		return res, problem.Wrap(err, problem.Internal, "a ticket cannot be written")
	}
	if err := r.apply(ctx, &e, want); err != nil {
		return res, err
	}
	after, err := json.Marshal(e)
	if err != nil {
		return res, problem.Wrap(err, problem.Internal, "a ticket cannot be written")
	}
	res.Version, res.State = e.Version, e.State
	if found && string(before) == string(after) {
		return res, nil
	}
	r.record(&e, Self)
	return res, r.save(ctx, e)
}

func check(want itsm.Ticket) error {
	if want.Key == "" || len(want.Key) > 200 {
		return problem.New(problem.Invalid, "the ticket's key is not usable").WithHint("1 to 200 characters")
	}
	if want.Title == "" {
		return problem.New(problem.Invalid, "the ticket has no title")
	}
	if rank(want.State) < 0 {
		return problem.New(problem.Invalid, "the ticket's state is not one of open, acknowledged, resolved")
	}
	return nil
}

// apply makes e equal to want. A state or owner that a person set and Changes
// has yet to report stays.
func (r *Register) apply(ctx context.Context, e *Entry, want itsm.Ticket) error {
	unreported := r.byKey[e.Key].foreign > r.reported
	e.Version, e.Title, e.Description, e.Severity = want.Version, want.Title, want.Description, want.Severity
	e.Requestor, e.Queue, e.URL, e.Dashboard = want.Requestor, want.Queue, want.URL, want.Dashboard
	if rank(want.State) > rank(e.State) || !unreported {
		e.State = want.State
	}
	if want.Owner != "" && (e.Owner == "" || !unreported) {
		e.Owner = want.Owner
	}
	if e.State == itsm.Open && e.Owner != "" && want.Owner == "" && !unreported {
		e.Owner = "" // back to nobody
	}
	for _, n := range want.Notes {
		if slices.ContainsFunc(e.Notes, func(have itsm.Note) bool { return have.Key == n.Key }) {
			continue
		}
		if err := r.keep(ctx, e.Key, n); err != nil {
			return err
		}
		e.Notes = append(e.Notes, n)
	}
	return nil
}

// attachmentRecord is an attachment that is in no blob store.
type attachmentRecord struct {
	Content []byte `json:"content"`
}

func attachmentKey(ticket, note string) string {
	return "attachment/" + strconv.Itoa(len(ticket)) + "/" + ticket + "/" + note
}

// keep stores a note's attachment unless the blob store has it.
func (r *Register) keep(ctx context.Context, key string, n itsm.Note) error {
	if n.Attachment == nil || (n.Attachment.Blob != "" && r.opt.Blob != nil) {
		return nil
	}
	b, err := json.Marshal(attachmentRecord{Content: n.Attachment.Content})
	if err != nil {
		return problem.Wrap(err, problem.Internal, "an attachment cannot be written")
	}
	if err := r.opt.Records.Put(ctx, attachmentKey(key, n.Key), b); err != nil {
		return problem.Wrap(err, problem.Unavailable, "the register cannot be written")
	}
	return nil
}

// cursorPrefix makes the register's cursors recognisable.
const cursorPrefix = "register:"

// Changes implements itsm.System.
func (r *Register) Changes(ctx context.Context, cursor string) ([]itsm.Observed, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []itsm.Observed{}
	if cursor == "" {
		r.reported = r.seq
		return out, cursorPrefix + strconv.FormatUint(r.seq, 10), nil
	}
	after, err := strconv.ParseUint(strings.TrimPrefix(cursor, cursorPrefix), 10, 64)
	if err != nil || !strings.HasPrefix(cursor, cursorPrefix) {
		return nil, cursor, problem.New(problem.Invalid, "the cursor is not one of the register").WithHint("start with an empty one")
	}
	type seen struct {
		seq uint64
		o   itsm.Observed
	}
	var found []seen
	for key, s := range r.byKey {
		if s.foreign <= after {
			continue
		}
		e, ok, err := r.load(ctx, key)
		if err != nil {
			return nil, cursor, err
		}
		if !ok {
			continue
		}
		for _, h := range slices.Backward(e.History) {
			if h.Actor != Self {
				found = append(found, seen{h.Seq, itsm.Observed{Key: key, Ref: r.ref(e), State: h.State, Owner: h.Owner, Actor: h.Actor, At: h.At}})
				break
			}
		}
	}
	slices.SortFunc(found, func(a, b seen) int { return int(a.seq) - int(b.seq) })
	for _, f := range found {
		out = append(out, f.o)
	}
	r.reported = max(r.reported, r.seq)
	return out, cursorPrefix + strconv.FormatUint(max(after, r.seq), 10), nil
}

// Check implements itsm.System: the records can be read.
func (r *Register) Check(ctx context.Context) error {
	if _, err := r.opt.Records.List(ctx, ticketPrefix, "", 1); err != nil {
		return unreadable(err)
	}
	return nil
}

func rank(s itsm.State) int {
	return slices.Index([]itsm.State{itsm.Open, itsm.Acknowledged, itsm.Resolved}, s)
}
