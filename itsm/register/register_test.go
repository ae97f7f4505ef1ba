package register_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/itsm/itsmtest"
	"github.com/tocsin-alerting/tocsin/itsm/register"
	"github.com/tocsin-alerting/tocsin/problem"
)

// memory is Records in memory.
type memory struct {
	mu   sync.Mutex
	m    map[string][]byte
	puts int
	fail error
}

func (m *memory) Get(ctx context.Context, key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.m[key]
	return slices.Clone(b), ok, ctx.Err()
}

func (m *memory) Put(ctx context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.puts++
	m.m[key] = slices.Clone(value)
	return nil
}

func (m *memory) List(_ context.Context, prefix, after string, limit int) ([]register.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []register.Record
	for k, v := range m.m {
		if strings.HasPrefix(k, prefix) && k > after {
			out = append(out, register.Record{Key: k, Value: slices.Clone(v)})
		}
	}
	slices.SortFunc(out, func(a, b register.Record) int { return strings.Compare(a.Key, b.Key) })
	return out[:min(limit, len(out))], nil
}

func open(t testing.TB, records register.Records) *register.Register {
	t.Helper()
	r, err := register.New(context.Background(), register.Options{Records: records,
		URL: func(number string) string { return "https://tocsin.example.com/register/" + number }})
	require.NoError(t, err)
	return r
}

// people uses the register's own operations. The suite opens the register anew
// now and then; the newest one is current.
type people struct{ current *register.Register }

func (p *people) Acknowledge(t testing.TB, ref itsm.Ref, user string) {
	_, err := p.current.Acknowledge(context.Background(), ref.ID, user)
	require.NoError(t, err)
}

func (p *people) Resolve(t testing.TB, ref itsm.Ref, user string) {
	_, err := p.current.Resolve(context.Background(), ref.ID, user, "restarted the acquirer's connection")
	require.NoError(t, err)
}

func (p *people) See(t testing.TB, ref itsm.Ref) itsmtest.Seen {
	e, err := p.current.Get(context.Background(), ref.ID)
	require.NoError(t, err)
	s := itsmtest.Seen{Title: e.Title, Texts: []string{e.Description}, State: e.State, Owner: e.Owner}
	for _, n := range e.Notes {
		s.Texts = append(s.Texts, n.Text)
		if n.Attachment != nil {
			a, err := p.current.Attachment(context.Background(), ref.ID, n.Key)
			require.NoError(t, err)
			s.Attachments = append(s.Attachments, a.Content)
		}
	}
	return s
}

func (p *people) Count(t testing.TB, key string) int {
	list, _, err := p.current.List(context.Background(), register.Filter{Limit: 1000})
	require.NoError(t, err)
	n := 0
	for _, e := range list {
		if e.Key == key {
			n++
		}
	}
	return n
}

func TestConformance(t *testing.T) {
	records := &memory{m: map[string][]byte{}}
	p := &people{}
	itsmtest.Run(t, itsmtest.Fixture{
		Open: func(t testing.TB) itsm.System {
			p.current = open(t, records)
			return p.current
		},
		Pair:   func(testing.TB) []itsm.System { return nil },
		Other:  p,
		People: [2]string{"ada", "bo"},
	})
}

func ticket(key string) itsm.Ticket {
	return itsm.Ticket{Key: key, Version: 1, Title: "t " + key, State: itsm.Open, Severity: "warning", Notes: []itsm.Note{}}
}

func TestNumbersGoOnAfterRestart(t *testing.T) {
	records := &memory{m: map[string][]byte{}}
	r := open(t, records)
	for _, key := range []string{"inc_a", "inc_b"} {
		_, err := r.Sync(t.Context(), ticket(key), itsm.Ref{})
		require.NoError(t, err)
	}
	r = open(t, records)
	res, err := r.Sync(t.Context(), ticket("inc_c"), itsm.Ref{})
	require.NoError(t, err)
	require.Equal(t, itsm.Ref{ID: "INC0000003", Number: "INC0000003", URL: "https://tocsin.example.com/register/INC0000003"}, res.Ref)

	page, next, err := r.List(t.Context(), register.Filter{Limit: 2})
	require.NoError(t, err)
	require.Equal(t, []string{"INC0000003", "INC0000002"}, []string{page[0].Number, page[1].Number})
	page, next, err = r.List(t.Context(), register.Filter{Limit: 2, After: next})
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Equal(t, "INC0000001", page[0].Number)
	require.Empty(t, next)
	page, _, err = r.List(t.Context(), register.Filter{States: []itsm.State{itsm.Resolved}})
	require.NoError(t, err)
	require.NotNil(t, page)
	require.Empty(t, page)
}

func TestNothingIsWrittenWhenNothingChanged(t *testing.T) {
	records := &memory{m: map[string][]byte{}}
	r := open(t, records)
	_, err := r.Sync(t.Context(), ticket("inc_a"), itsm.Ref{})
	require.NoError(t, err)
	_, err = r.Acknowledge(t.Context(), "INC0000001", "ada")
	require.NoError(t, err)
	before := records.puts
	_, err = r.Acknowledge(t.Context(), "inc_a", "ada")
	require.NoError(t, err)
	_, err = r.Sync(t.Context(), ticket("inc_a"), itsm.Ref{})
	require.NoError(t, err)
	require.Equal(t, before, records.puts)
}

func TestAFailedWriteChangesNothing(t *testing.T) {
	records := &memory{m: map[string][]byte{}}
	r := open(t, records)
	_, err := r.Sync(t.Context(), ticket("inc_a"), itsm.Ref{})
	require.NoError(t, err)
	records.fail = problem.Wrap(errors.New("disk"), problem.NoSpace, "the disk is full")
	_, err = r.Sync(t.Context(), ticket("inc_b"), itsm.Ref{})
	require.True(t, problem.Is(err, problem.NoSpace), "%v", err)
	require.True(t, problem.From(err).Retryable)
	_, err = r.Resolve(t.Context(), "inc_a", "ada", "")
	require.Error(t, err)
	records.fail = nil
	e, err := r.Get(t.Context(), "inc_a")
	require.NoError(t, err)
	require.Equal(t, itsm.Open, e.State)
	res, err := r.Sync(t.Context(), ticket("inc_b"), itsm.Ref{})
	require.NoError(t, err)
	require.Equal(t, "INC0000002", res.Ref.Number)
}

func TestPeople(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	r, err := register.New(t.Context(), register.Options{Records: &memory{m: map[string][]byte{}}, Now: func() time.Time { return now }})
	require.NoError(t, err)
	_, err = r.Sync(t.Context(), ticket("inc_a"), itsm.Ref{})
	require.NoError(t, err)
	_, err = r.Acknowledge(t.Context(), "INC0000001", register.Self)
	require.True(t, problem.Is(err, problem.Invalid), "%v", err)
	_, err = r.Acknowledge(t.Context(), "INC0000009", "ada")
	require.True(t, problem.Is(err, problem.NotFound), "%v", err)
	e, err := r.Resolve(t.Context(), "INC0000001", "ada", "mended")
	require.NoError(t, err)
	require.Equal(t, itsm.Resolved, e.State)
	require.Equal(t, "ada: mended", e.Notes[0].Text)
	_, err = r.Acknowledge(t.Context(), "INC0000001", "bo")
	require.True(t, problem.Is(err, problem.Conflict), "%v", err)
	e, err = r.Reopen(t.Context(), "INC0000001", "bo")
	require.NoError(t, err)
	require.Equal(t, []register.Change{
		{Seq: 1, At: now, Actor: register.Self, State: itsm.Open},
		{Seq: 2, At: now, Actor: "ada", State: itsm.Resolved},
		{Seq: 3, At: now, Actor: "bo", State: itsm.Acknowledged, Owner: "bo"},
	}, e.History)
}

func TestBlobsAreReadFromTheirStore(t *testing.T) {
	records := &memory{m: map[string][]byte{}}
	r, err := register.New(t.Context(), register.Options{Records: records,
		Blob: func(_ context.Context, id string) ([]byte, error) { return []byte("bytes of " + id), nil }})
	require.NoError(t, err)
	want := ticket("inc_a")
	want.Notes = []itsm.Note{{Key: "n", Text: "x", Attachment: &itsm.Attachment{Name: "a.png", Blob: "b1", Content: []byte("zzz")}}}
	_, err = r.Sync(t.Context(), want, itsm.Ref{})
	require.NoError(t, err)
	a, err := r.Attachment(t.Context(), "inc_a", "n")
	require.NoError(t, err)
	require.Equal(t, "bytes of b1", string(a.Content))
	require.Equal(t, 1, records.puts)
}
