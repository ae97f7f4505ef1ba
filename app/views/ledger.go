package views

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// Bounds of one search without a subject: it reads every partition.
const (
	defaultSpan = 24 * time.Hour
	maxRead     = 200_000 // entries
)

// wanted is what is looked for in the ledger.
type wanted struct {
	subject, kind, text string
	from, to            time.Time // zero with a subject: its whole life
}

// parse reads the form. What cannot be used is said, and left out.
func (v *Views) parse(r *http.Request, p web.Principal) (q wanted, fault string) {
	q = wanted{subject: search(r, "subject"), kind: search(r, "kind"), text: search(r, "text")}
	for name, into := range map[string]*time.Time{"from": &q.from, "to": &q.to} {
		s := search(r, name)
		if s == "" {
			continue
		}
		t, err := time.Parse(typed, s)
		if err != nil {
			t, err = time.Parse(time.RFC3339, s)
		}
		if err != nil {
			fault = "A time cannot be read: write it like 2026-03-01T09:00, in UTC."
			continue
		}
		*into = t
	}
	if number, ok := strings.CutPrefix(q.subject, "incident/"); ok { // people know it by its number
		if i, err := v.api.Incidents.One(r.Context(), number, p); err == nil {
			q.subject = i.ID.Subject()
		}
	}
	if q.subject != "" {
		return q, fault
	}
	now := v.api.Now()
	switch {
	case q.from.IsZero() && q.to.IsZero():
		q.from, q.to = now.Add(-defaultSpan), now
	case q.from.IsZero():
		q.from = q.to.Add(-defaultSpan)
	case q.to.IsZero():
		q.to = now
	}
	if !q.from.Before(q.to) {
		fault = "The start must lie before the end."
	}
	return q, fault
}

func (q wanted) takes(e ledger.Entry) bool {
	return (q.from.IsZero() || !e.At.Before(q.from)) && (q.to.IsZero() || !e.At.After(q.to)) && strings.HasPrefix(e.Kind, q.kind) &&
		matches(q.text, e.Reason, e.Subject, e.Actor, strings.Join(e.Refs, " "), string(e.Data))
}

func (v *Views) ledger(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	q, fault := v.parse(r, p)
	page := view.LedgerPage{Frame: v.frame(r, p), Subject: search(r, "subject"), Kind: q.kind, Text: q.text, Error: fault}
	page.Live = false // somebody reads here; new decisions would push the lines away
	if !q.from.IsZero() {
		page.From = q.from.UTC().Format(typed)
	}
	if !q.to.IsZero() && search(r, "to") != "" { // else it stays open: a typed minute would leave out the one under way
		page.To = q.to.UTC().Format(typed)
	}
	if fault != "" {
		return v.entry.Pages.Ledger(web.HTML(w, http.StatusUnprocessableEntity), page)
	}
	entries, whole, err := v.read(r.Context(), q)
	if err != nil {
		return err
	}
	kinds := map[string]bool{}
	var found []ledger.Entry
	for _, e := range entries {
		if kinds[e.Kind] = true; q.takes(e) {
			found = append(found, e)
		}
	}
	for k := range kinds {
		page.Kinds = append(page.Kinds, k)
	}
	slices.Sort(page.Kinds)
	slices.SortStableFunc(found, func(a, b ledger.Entry) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Seq, a.Seq)) })
	page.Note = number(len(found), "decision", "decisions")
	if q.subject == "" {
		page.Note += " from " + q.from.UTC().Format("2 Jan 15:04") + " to " + q.to.UTC().Format("2 Jan 15:04") + " UTC"
	}
	page.Note += "."
	if !whole {
		page.Note += fmt.Sprintf(" More than %d were looked through, so that some may be missing: choose a shorter span, or a subject.", maxRead)
	}
	skip, _ := strconv.Atoi(r.URL.Query().Get("skip"))
	if skip = max(skip, 0); skip < len(found) {
		found = found[skip:]
	} else {
		found = nil
	}
	if len(found) > listLength {
		found, page.Next = found[:listLength], q.further(r, skip+listLength)
	}
	for n, e := range found {
		page.Rows = append(page.Rows, v.entryRow(n, e, p))
	}
	return v.entry.Pages.Ledger(web.HTML(w, http.StatusOK), page)
}

// further leads to the next part of what was found, as of the same moment.
func (q wanted) further(r *http.Request, skip int) string {
	u := &url.URL{Path: r.URL.Path}
	next := r.URL.Query()
	next.Set("skip", strconv.Itoa(skip))
	if !q.to.IsZero() {
		next.Set("to", q.to.UTC().Format(time.RFC3339Nano))
	}
	u.RawQuery = next.Encode()
	return u.String()
}

func (v *Views) entryRow(n int, e ledger.Entry, p web.Principal) view.EntryRow {
	row := view.EntryRow{ID: strconv.Itoa(n), At: e.At, Kind: e.Kind, Subject: e.Subject, Actor: v.actorName(e.Actor), Reason: e.Reason, Hash: e.Hash}
	kind, id, _ := strings.Cut(e.Subject, "/")
	switch kind {
	case "tenant":
		row.SubjectURL = v.tenantURL(p, id)
	case "incident":
		row.SubjectURL = v.to(p, "/incidents/{id}", "/incidents/"+id, nil)
	default:
		row.SubjectURL = v.to(p, "/ledger", "/ledger", url.Values{"subject": {e.Subject}})
	}
	var text bytes.Buffer
	if len(e.Data) > 0 && json.Indent(&text, e.Data, "", "  ") == nil {
		row.Data = text.String()
	}
	return row
}

// read gives the entries of a subject, or of everything in the span; whole is
// false when there were too many.
func (v *Views) read(ctx context.Context, q wanted) (out []ledger.Entry, whole bool, err error) {
	if q.subject != "" {
		out, err = v.api.Records.Entries(ctx, q.subject)
		return out, true, err
	}
	for p := range store.Partitions {
		if out, whole, err = v.readPart(ctx, store.Partition(p), q, out); err != nil || !whole {
			return out, whole, err
		}
	}
	return out, true, nil
}

func (v *Views) readPart(ctx context.Context, p store.Partition, q wanted, out []ledger.Entry) ([]ledger.Entry, bool, error) {
	after, err := v.begin(ctx, p, q.from)
	if err != nil {
		return out, false, err
	}
	for {
		page, err := v.api.Store.Ledger(ctx, p, "", after, 1000)
		if err != nil {
			return out, false, problem.Wrap(err, problem.Unavailable, "the ledger cannot be read")
		}
		for _, e := range page {
			if e.At.After(q.to) {
				return out, true, nil
			}
			out = append(out, e)
		}
		if len(page) < 1000 {
			return out, true, nil
		}
		if len(out) > maxRead {
			return out, false, nil
		}
		after = page[len(page)-1].Seq
	}
}

// begin finds by halving the number after which a partition's entries are of
// the time from or later: they stand in order of time.
func (v *Views) begin(ctx context.Context, p store.Partition, from time.Time) (uint64, error) {
	early := func(after uint64) (bool, error) { // whether the entry after it is too early
		page, err := v.api.Store.Ledger(ctx, p, "", after, 1)
		if err != nil {
			return false, problem.Wrap(err, problem.Unavailable, "the ledger cannot be read")
		}
		return len(page) == 1 && page[0].At.Before(from), nil
	}
	low, high := uint64(0), uint64(1) // the entry after low is early, that after high is not
	if is, err := early(0); err != nil || !is {
		return 0, err
	}
	for {
		is, err := early(high)
		if err != nil {
			return 0, err
		}
		if !is {
			break
		}
		low, high = high, high*2
	}
	for high-low > 1 {
		middle := low + (high-low)/2
		is, err := early(middle)
		if err != nil {
			return 0, err
		}
		if is {
			low = middle
		} else {
			high = middle
		}
	}
	return high, nil
}
