// Package itsmtest holds every implementation of itsm.System to what the port
// says, against the real ticket system behind it.
//
// It knows the port and, through Other, what a person sees and does there. It
// must not know how a system is spoken to.
package itsmtest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
)

// Other is the ticket system as people use it, past the System under test.
type Other interface {
	// Acknowledge takes the ticket as user.
	Acknowledge(t testing.TB, ref itsm.Ref, user string)
	// Resolve closes it as user.
	Resolve(t testing.TB, ref itsm.Ref, user string)
	// See reads what stands there.
	See(t testing.TB, ref itsm.Ref) Seen
	// Count is how many tickets carry the key.
	Count(t testing.TB, key string) int
}

// Seen is a ticket as a person sees it.
type Seen struct {
	Title       string
	Texts       []string // description and notes, oldest first
	Attachments [][]byte // those of notes, oldest first
	State       itsm.State
	Owner       string
}

// Broken is a system that cannot be used, and a word its Check must say.
type Broken struct {
	Name    string
	System  itsm.System
	Kind    problem.Kind
	Mention string
}

// Fixture is one ticket system under test.
type Fixture struct {
	// Open makes a client of the same ticket system, each time a new one, as
	// after a restart.
	Open func(t testing.TB) itsm.System
	// Pair makes clients that may work on the same ticket at once; empty when
	// the system has one client only.
	Pair   func(t testing.TB) []itsm.System
	Other  Other
	People [2]string // users of the ticket system
	Broken []Broken
}

var keys atomic.Int64

// newTicket is an open ticket with a key no other test uses.
func newTicket() itsm.Ticket {
	n := keys.Add(1)
	return itsm.Ticket{
		Key: fmt.Sprintf("inc_%d_%d", time.Now().UnixNano(), n), Version: 1, State: itsm.Open, Severity: rule.Critical,
		Title:       fmt.Sprintf("payments of acme fail with “do not honour” (%d)", n),
		Description: "43 of 60 payments failed since 10:02.\n\nZweite Zeile: größer 40 % — ☎\n",
		URL:         "https://tocsin.example.com/incidents/1", Dashboard: "https://grafana.example.com/d/1",
		Notes: []itsm.Note{},
	}
}

func note(key, text string) itsm.Note {
	return itsm.Note{Key: key, At: time.Date(2026, 11, 23, 10, 4, 0, 0, time.UTC), Text: text}
}

// Run runs the suite.
func Run(t *testing.T, f Fixture) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"creates once":                         createsOnce,
		"creates once when called at once":     createsOnceConcurrently,
		"finds its ticket after a lost answer": findsAfterLoss,
		"writes the title and description":     writesText,
		"newest version wins":                  newestWins,
		"notes are idempotent":                 notesOnce,
		"attachments keep their bytes":         attachmentsWhole,
		"acknowledges and resolves":            ownStates,
		"sees others acknowledge":              othersAcknowledge,
		"sees others resolve":                  othersResolve,
		"does not echo":                        noEcho,
		"does not undo what is unreported":     respectsOthers,
		"reopens":                              reopens,
		"refuses bad input":                    refusesBadInput,
		"refuses a foreign cursor":             refusesCursor,
		"check passes":                         func(t *testing.T, f Fixture) { require.NoError(t, f.Open(t).Check(t.Context())) },
		"check finds faults":                   checkFinds,
		"obeys its context":                    obeysContext,
	} {
		t.Run(name, func(t *testing.T) { test(t, f) })
	}
}

func sync1(t testing.TB, s itsm.System, want itsm.Ticket, known itsm.Ref) itsm.Result {
	t.Helper()
	res, err := s.Sync(t.Context(), want, known)
	require.NoError(t, err)
	require.NotEmpty(t, res.Ref.ID)
	require.NotEmpty(t, res.Ref.Number)
	return res
}

func createsOnce(t *testing.T, f Fixture) {
	s, want := f.Open(t), newTicket()
	first := sync1(t, s, want, itsm.Ref{})
	require.True(t, first.Created)
	require.Equal(t, want.Version, first.Version)
	require.Equal(t, itsm.Open, first.State)
	again := sync1(t, s, want, first.Ref)
	require.False(t, again.Created)
	require.Equal(t, first.Ref, again.Ref)
	require.Equal(t, 1, f.Other.Count(t, want.Key))
}

func createsOnceConcurrently(t *testing.T, f Fixture) {
	one := f.Open(t)
	for name, systems := range map[string][]itsm.System{"one client": {one, one, one, one}, "two clients": f.Pair(t)} {
		want := newTicket()
		want.Notes = []itsm.Note{note("n1", "only once please")}
		if len(systems) == 0 {
			continue
		}
		refs := make([]itsm.Ref, len(systems))
		errs := make([]error, len(systems))
		var wg sync.WaitGroup
		for i, s := range systems {
			wg.Go(func() {
				res, err := s.Sync(t.Context(), want, itsm.Ref{})
				refs[i], errs[i] = res.Ref, err
			})
		}
		wg.Wait()
		for i := range systems {
			if errs[i] != nil { // two processes may get into each other's way; then trying again must help
				require.True(t, problem.From(errs[i]).Retryable, "%s: %v", name, errs[i])
			}
			refs[i] = sync1(t, systems[i], want, refs[i]).Ref
		}
		for _, r := range refs {
			require.Equal(t, refs[0].ID, r.ID, name)
		}
		require.Equal(t, 1, f.Other.Count(t, want.Key), name)
	}
}

func findsAfterLoss(t *testing.T, f Fixture) {
	want := newTicket()
	want.Notes = []itsm.Note{note("n1", "written before the answer was lost")}
	first := sync1(t, f.Open(t), want, itsm.Ref{})
	again := sync1(t, f.Open(t), want, itsm.Ref{}) // nothing known, as after a crash
	require.False(t, again.Created)
	require.Equal(t, first.Ref.ID, again.Ref.ID)
	require.Equal(t, 1, f.Other.Count(t, want.Key))
	require.Equal(t, 1, occurrences(f.Other.See(t, first.Ref), "before the answer was lost"))
}

func occurrences(s Seen, text string) int {
	n := 0
	for _, x := range s.Texts {
		n += strings.Count(x, text)
	}
	return n
}

func writesText(t *testing.T, f Fixture) {
	s, want := f.Open(t), newTicket()
	want.Title = "  two\nlines \t" + strings.Repeat("ü", 190) // 200 characters
	res := sync1(t, s, want, itsm.Ref{})
	seen := f.Other.See(t, res.Ref)
	require.True(t, strings.HasPrefix("two lines "+strings.Repeat("ü", 190), seen.Title), "whole, or cut to what the system holds: %q", seen.Title)
	require.Greater(t, utf8.RuneCountInString(seen.Title), 90)
	require.Equal(t, 1, occurrences(seen, "Zweite Zeile: größer 40 % — ☎"))
	want.Version, want.Title, want.Description = 2, "now it is worse", "44 of 60, <b>plain</b> text"
	sync1(t, s, want, res.Ref)
	sync1(t, f.Open(t), want, res.Ref)
	seen = f.Other.See(t, res.Ref)
	require.Equal(t, "now it is worse", seen.Title)
	require.Equal(t, 1, occurrences(seen, "44 of 60, <b>plain</b> text"))
}

func newestWins(t *testing.T, f Fixture) {
	s, want := f.Open(t), newTicket()
	want.Version, want.Title = 5, "the fifth"
	res := sync1(t, s, want, itsm.Ref{})
	old := want
	old.Version, old.Title, old.State = 4, "the fourth", itsm.Resolved
	for _, client := range []itsm.System{s, f.Open(t)} {
		got := sync1(t, client, old, res.Ref)
		require.Equal(t, uint64(5), got.Version)
		require.Equal(t, itsm.Open, got.State)
	}
	seen := f.Other.See(t, res.Ref)
	require.Equal(t, "the fifth", seen.Title)
	require.Equal(t, itsm.Open, seen.State)
	want.Version, want.Title = 6, "the sixth"
	require.Equal(t, uint64(6), sync1(t, s, want, res.Ref).Version)
	require.Equal(t, "the sixth", f.Other.See(t, res.Ref).Title)
}

func notesOnce(t *testing.T, f Fixture) {
	s, want := f.Open(t), newTicket()
	want.Notes = []itsm.Note{note("first", "alpha note"), note("a key] with (odd) characters ü", "beta note\nof two lines")}
	res := sync1(t, s, want, itsm.Ref{})
	sync1(t, s, want, res.Ref)
	want.Version++
	want.Notes = append(want.Notes, note("third", "gamma note"))
	sync1(t, f.Open(t), want, res.Ref)
	sync1(t, f.Open(t), want, itsm.Ref{})
	seen := f.Other.See(t, res.Ref)
	at := -1
	for _, text := range []string{"alpha note", "beta note\nof two lines", "gamma note"} {
		require.Equal(t, 1, occurrences(seen, text), "%q in %q", text, seen.Texts)
		where := indexOf(seen.Texts, text)
		require.Greater(t, where, at, "notes are in order")
		at = where
	}
}

func indexOf(texts []string, s string) int {
	for i, x := range texts {
		if strings.Contains(x, s) {
			return i
		}
	}
	return -1
}

func attachmentsWhole(t *testing.T, f Fixture) {
	s, want := f.Open(t), newTicket()
	picture := make([]byte, 70_001) // every byte, and no multiple of three
	for i := range picture {
		picture[i] = byte(i * 7 / 3)
	}
	text := []byte("a;b\r\nü;\xff\n\n")
	for i, a := range []itsm.Attachment{
		{Name: "chart ü \"1\".png", ContentType: "image/png", Content: picture},
		{Name: "rows.csv", ContentType: "text/csv; charset=utf-8", Content: text},
	} {
		n := note(fmt.Sprintf("file%d", i), "with a file")
		n.Attachment = &a
		want.Notes = append(want.Notes, n)
	}
	res := sync1(t, s, want, itsm.Ref{})
	sync1(t, s, want, res.Ref)
	require.Equal(t, [][]byte{picture, text}, f.Other.See(t, res.Ref).Attachments)
}

func refusesBadInput(t *testing.T, f Fixture) {
	s := f.Open(t)
	for name, spoil := range map[string]func(*itsm.Ticket){
		"no key":   func(w *itsm.Ticket) { w.Key = "" },
		"no title": func(w *itsm.Ticket) { w.Title = " \n" },
		"no state": func(w *itsm.Ticket) { w.State = "closed" },
	} {
		want := newTicket()
		spoil(&want)
		_, err := s.Sync(t.Context(), want, itsm.Ref{})
		require.True(t, problem.Is(err, problem.Invalid), "%s: %v", name, err)
		require.False(t, problem.From(err).Retryable, name)
	}
}

func refusesCursor(t *testing.T, f Fixture) {
	_, cursor, err := f.Open(t).Changes(t.Context(), "yesterday")
	require.True(t, problem.Is(err, problem.Invalid), "%v", err)
	require.Equal(t, http.StatusUnprocessableEntity, problem.From(err).Kind.Status())
	require.Equal(t, "yesterday", cursor, "the cursor does not move with an error")
}

func checkFinds(t *testing.T, f Fixture) {
	for _, b := range f.Broken {
		t.Run(b.Name, func(t *testing.T) {
			err := b.System.Check(t.Context())
			require.True(t, problem.Is(err, b.Kind), "%v", err)
			require.Contains(t, err.Error(), b.Mention)
			require.NotEmpty(t, problem.From(err).Hint)
		})
	}
}

func obeysContext(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	want := newTicket()
	_, err := f.Open(t).Sync(ctx, want, itsm.Ref{})
	require.Error(t, err)
	require.True(t, problem.From(err).Retryable, "%v", err)
	require.Zero(t, f.Other.Count(t, want.Key))
}
