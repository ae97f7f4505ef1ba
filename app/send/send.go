// Package send does what deliveries ask for: it writes tickets, draws pictures
// and sends pages. It is the only place that calls the effect adapters.
//
// It decides nothing: whether, when and how often is delivery's. Just before a
// page is sent it asks on-call whether the call still makes sense.
package send

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/sync/singleflight"

	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/blob"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/logkey"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/selfobs"
	"github.com/tocsin-alerting/tocsin/store"
)

// Links makes the addresses that stand in tickets and pages.
type Links interface {
	Incident(id string) string
	Dashboard(i incident.Incident) string
	Acknowledge(p oncall.Page) string
}

// Pictures draws an incident's chart; it may ask the history.
type Pictures interface {
	Draw(ctx context.Context, i incident.Incident) ([]byte, error)
}

// Options of a Sender.
type Options struct {
	Tracer   *selfobs.Tracer // nil: no traces
	Store    store.Store
	Blobs    *blob.Dir
	Systems  map[string]itsm.System     // until Serve names others
	Channels map[string]channel.Channel // as well
	Links    Links
	Pictures Pictures
	// Live says whether a team is paged for real at this moment; nil: every one.
	Live    func(catalog.TeamID) bool
	Now     func() time.Time
	Logger  *slog.Logger
	Timeout time.Duration // of one attempt; default 30 s
	// Mine says whether this process still serves a destination: an attempt that
	// waited or slept is not made by who lost it meanwhile. Nil: always.
	Mine func(destination string) bool
	// PerDestination bounds attempts under way at one destination; default 4.
	PerDestination int
}

// Sender makes attempts, each in a goroutine of its own, a few at a time for
// each destination, so that a slow one delays no other.
type Sender struct {
	o     Options
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup
	mu    sync.Mutex
	slots map[string]chan struct{}
	done  bool

	targets atomic.Pointer[targets]
	drawing singleflight.Group // by blob
}

// targets are where deliveries go.
type targets struct {
	systems  map[string]itsm.System
	channels map[string]channel.Channel
}

// Serve puts other systems and channels in force, for attempts from now on. The
// maps are the Sender's then.
func (s *Sender) Serve(systems map[string]itsm.System, channels map[string]channel.Channel) {
	s.targets.Store(&targets{systems, channels})
}

// Channel is one of those in force; nil: there is none of this name.
func (s *Sender) Channel(name string) channel.Channel { return s.targets.Load().channels[name] }

// New makes a Sender.
func New(o Options) *Sender {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.PerDestination == 0 {
		o.PerDestination = 4
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sender{o: o, ctx: ctx, stop: cancel, slots: map[string]chan struct{}{}}
	s.Serve(o.Systems, o.Channels)
	return s
}

// Send implements outbox.Sender. After Stop nothing is attempted: the delivery
// stays as it is and is taken up at the next start.
func (s *Sender) Send(d delivery.Delivery, done func(delivery.Result)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return
	}
	slot := s.slots[d.Destination]
	if slot == nil {
		slot = make(chan struct{}, s.o.PerDestination)
		s.slots[d.Destination] = slot
	}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		select {
		case slot <- struct{}{}:
			defer func() { <-slot }()
		case <-s.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(s.ctx, s.o.Timeout)
		defer cancel()
		span := s.span(d)
		defer span.End()
		r, ok := s.attempt(ctx, d)
		span.Set(attribute.Bool("ok", r.OK), attribute.Bool("withdrawn", r.Withdrawn))
		if ok {
			done(r)
		}
	}()
}

// span is the stage of an attempt, when a trace led to it. No person is named in it.
func (s *Sender) span(d delivery.Delivery) selfobs.Span {
	if d.Trace == "" {
		return selfobs.Span{}
	}
	return s.o.Tracer.After(d.Trace, "deliver "+d.Verb, time.Now(), attribute.Int(logkey.Incident, d.Incident), attribute.Int("attempt", d.Attempts))
}

// Stop lets attempts under way finish until ctx ends, then cuts them short.
func (s *Sender) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.done = true
	s.mu.Unlock()
	finished := make(chan struct{})
	go func() { s.wg.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-ctx.Done():
	}
	s.stop()
	<-finished
	return ctx.Err()
}

// attempt makes one attempt; ok is false when the process is stopping and the
// outcome is not known.
func (s *Sender) attempt(ctx context.Context, d delivery.Delivery) (r delivery.Result, ok bool) {
	if s.o.Mine != nil && !s.o.Mine(d.Destination) {
		return r, false // whoever serves it takes it up
	}
	var data any
	var err error
	switch d.Verb {
	case outbox.Ticket:
		data, err = s.ticket(ctx, d)
	case outbox.Picture:
		data, err = s.picture(ctx, d)
	case outbox.Page:
		var withheld string
		data, withheld, err = s.page(ctx, d)
		if withheld != "" {
			return delivery.Result{Withdrawn: true, Error: withheld}, true
		}
	default:
		err = problem.New(problem.Internal, "nothing here can deliver this")
	}
	raw, encErr := json.Marshal(data)
	if err == nil {
		err = encErr
	}
	if err == nil {
		return delivery.Result{OK: true, Data: raw}, true
	}
	if s.ctx.Err() != nil {
		return r, false
	}
	p := problem.From(err)
	text := p.Message
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	s.o.Logger.Warn("a delivery failed", logkey.Incident, d.Incident, "verb", d.Verb, logkey.Destination, d.Destination, "ref", d.Ref, "attempt", d.Attempts, "retryable", p.Retryable, "error", err)
	return delivery.Result{Error: text, Retryable: p.Retryable || p.Kind == problem.Internal, RetryAfter: p.RetryAfter, Data: raw}, true
}

func (s *Sender) ticket(ctx context.Context, d delivery.Delivery) (any, error) {
	job, err := read[outbox.TicketJob](d)
	if err != nil {
		return nil, err
	}
	system, ok := s.targets.Load().systems[job.System]
	if !ok {
		return nil, problem.New(problem.Invalid, "the ticket system %s is not configured", job.System).WithHint("add it under itsm.systems in tocsin.yaml")
	}
	for i := range job.Ticket.Notes {
		a := job.Ticket.Notes[i].Attachment
		if a == nil {
			continue
		}
		if a.Content, err = s.o.Blobs.Get(a.Blob); problem.Is(err, problem.NotFound) {
			job.Ticket.Notes[i].Attachment = nil // it has expired; the note's text stays
		} else if err != nil {
			return nil, err
		}
	}
	known := job.Known
	if i, err := s.incident(ctx, d.Subject, d.Ref); err == nil && i.Mirror.Ref.ID != "" {
		known = i.Mirror.Ref // it may have become known since the document was made
	}
	return system.Sync(ctx, job.Ticket, known)
}

func (s *Sender) picture(ctx context.Context, d delivery.Delivery) (any, error) {
	job, err := read[outbox.PictureJob](d)
	if err != nil {
		return nil, err
	}
	i, err := s.incident(ctx, d.Subject, job.Incident)
	if err != nil {
		return nil, err
	}
	out := incident.Dashboard{URL: s.o.Links.Dashboard(i)}
	if _, err := s.draw(ctx, i); err != nil {
		return out, err
	}
	out.Blob = BlobID(i)
	return out, nil
}

// BlobID names the picture of an incident's present opening.
func BlobID(i incident.Incident) string { return response.Picture(i.ID, i.Openings) }

// draw gives the opening's picture, drawn once: ticket and page ask for it at the
// same time, and a second drawing, made a moment later, would differ from what the
// ticket has.
func (s *Sender) draw(ctx context.Context, i incident.Incident) ([]byte, error) {
	png, err, _ := s.drawing.Do(BlobID(i), func() (any, error) {
		if png, err := s.o.Blobs.Get(BlobID(i)); err == nil {
			return png, nil
		}
		png, err := s.o.Pictures.Draw(ctx, i)
		if err != nil {
			return nil, err
		}
		return png, s.o.Blobs.Put(BlobID(i), png)
	})
	if err != nil {
		return nil, err
	}
	return png.([]byte), nil
}

// page sends one page. withheld says why it was not sent. The picture may take
// seconds: what the page says, and whether it is still wanted, is read again after
// it.
func (s *Sender) page(ctx context.Context, d delivery.Delivery) (receipt any, withheld string, err error) {
	job, err := read[outbox.PageJob](d)
	if err != nil {
		return nil, "", err
	}
	p, i, withheld, err := s.wanted(ctx, d, job)
	if err != nil || withheld != "" {
		return nil, withheld, err
	}
	if p.Place.Drill != "" {
		return s.carry(ctx, job.Call, oncall.DrillText(p, s.o.Links.Acknowledge(p)))
	}
	picture := s.pagePicture(ctx, i)
	if p, i, withheld, err = s.wanted(ctx, d, job); err != nil || withheld != "" {
		return nil, withheld, err
	}
	return s.carry(ctx, job.Call, oncall.Text(p, oncall.Facts(i.Facts()), oncall.Links{
		Incident: s.o.Links.Incident(string(i.ID)), Dashboard: s.o.Links.Dashboard(i),
		Ticket: i.Mirror.Ref.URL, TicketNumber: i.Mirror.Ref.Number, Acknowledge: s.o.Links.Acknowledge(p),
	}, picture))
}

// wanted reads a page and, unless it is a drill, its incident; withheld says why
// the page is not to be sent as they now stand.
func (s *Sender) wanted(ctx context.Context, d delivery.Delivery, job outbox.PageJob) (p oncall.Page, i incident.Incident, withheld string, err error) {
	if err := s.record(ctx, d.Subject, response.Pages, string(job.Call.Page), &p); err != nil {
		return p, i, "", err
	}
	open := false
	if p.Place.Drill == "" {
		if i, err = s.incident(ctx, d.Subject, job.Call.Incident); err != nil {
			return p, i, "", err
		}
		open = i.State == incident.StateOpen
	}
	if may, why := oncall.MaySend(p, job.Call, open, s.o.Now()); !may {
		return p, i, why, nil
	}
	if p.Place.Drill == "" && s.o.Live != nil && !s.o.Live(p.Team) {
		return p, i, "team " + string(p.Team) + " is observed since the page was asked for, nothing leaves", nil
	}
	return p, i, "", nil
}

func (s *Sender) carry(ctx context.Context, c oncall.Call, p channel.Page) (receipt any, withheld string, err error) {
	ch, ok := s.targets.Load().channels[c.Channel]
	if !ok {
		return nil, "", problem.New(problem.Invalid, "the channel %s is not configured", c.Channel).WithHint("add it under channels in tocsin.yaml")
	}
	sent, err := ch.Send(ctx, p)
	return sent.Detail, "", err
}

// pagePicture waits a moment for the picture; a page is worth more than it.
func (s *Sender) pagePicture(ctx context.Context, i incident.Incident) *channel.Picture {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	png, err := s.draw(ctx, i)
	if err != nil {
		s.o.Logger.Warn("a page goes out without its picture", logkey.Incident, i.Number, "error", err)
		return nil
	}
	return &channel.Picture{Name: fmt.Sprintf("incident-%d.png", i.Number), Content: png, Alt: i.Headline()}
}

func (s *Sender) incident(ctx context.Context, subject, id string) (i incident.Incident, err error) {
	return i, s.record(ctx, subject, response.Incidents, id, &i)
}

func (s *Sender) record(ctx context.Context, subject, collection, key string, v any) error {
	r, ok, err := s.o.Store.Record(ctx, store.PartitionOf(subject), collection, key)
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	if !ok {
		return problem.New(problem.Internal, "%s %s is not in the store", collection, key)
	}
	return json.Unmarshal(r.Value, v)
}

func read[T any](d delivery.Delivery) (T, error) {
	var v T
	if err := json.Unmarshal(d.Payload, &v); err != nil {
		return v, problem.Wrap(err, problem.Invalid, "the payload of a delivery cannot be read")
	}
	return v, nil
}

var _ outbox.Sender = (*Sender)(nil)
