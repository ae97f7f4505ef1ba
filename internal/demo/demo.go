// Package demo tells tocsin's main job as a story and asserts it: tenants are
// onboarded, an acquirer fails, one incident and one ticket with a picture come
// of it, one person is called, acknowledges, and all is closed when the fault
// is over.
//
// It is an outsider: it knows the public API, the page's link and the simulated
// gateway, and must import nothing of the daemon. What it reads it reads over
// HTTP, as a user would.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"time"

	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

// Options of a run. Server, Token and Out are needed.
type Options struct {
	Server string // base address of the daemon, e.g. http://127.0.0.1:9480
	Token  string // of an administrator
	Out    io.Writer
	Color  bool // the output is a terminal that shows it

	Break      bool      // false: the acquirer is left whole, and the story must fail at StepAlert
	Keep       bool      // after the story leave the traffic on until the context ends
	Started    time.Time // when the daemon was started: what the times count from; default: now
	Seed       uint64    // of the gateway; default 1
	PictureDir string    // where the incident's picture is saved; it must exist
	TokenFile  string    // named when the daemon is left up

	History     time.Duration // sent before live traffic; default 26 h
	AlertWithin time.Duration // of the acquirer's break; default 75 s
	PageWithin  time.Duration // of Started; default 60 s
	StoryWithin time.Duration // of Started; default 3 min
	Patience    time.Duration // with what should follow at once: incident, ticket, picture, acknowledgement; default 20 s
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&o.History, 26*time.Hour)
	set(&o.AlertWithin, 75*time.Second)
	set(&o.PageWithin, time.Minute)
	set(&o.StoryWithin, 3*time.Minute)
	set(&o.Patience, 20*time.Second)
	if o.Started.IsZero() {
		o.Started = time.Now()
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	return o
}

// Step names a part of the story.
type Step string

// The steps, in the order of the story.
const (
	StepOnboard     Step = "onboard"
	StepHistory     Step = "history"
	StepLive        Step = "live"
	StepRetry       Step = "retry"
	StepBreak       Step = "break"
	StepAlert       Step = "alert"
	StepIncident    Step = "incident"
	StepTicket      Step = "ticket"
	StepDashboard   Step = "dashboard"
	StepPage        Step = "page"
	StepAcknowledge Step = "acknowledge"
	StepMend        Step = "mend"
	StepResolve     Step = "resolve"
)

// StepError says at which step the story did not go on.
type StepError struct {
	Step Step
	Err  error
}

// Error names the step first.
func (e *StepError) Error() string { return fmt.Sprintf("step %q: %v", e.Step, e.Err) }

// Unwrap gives the cause.
func (e *StepError) Unwrap() error { return e.Err }

// errNotYet is what a condition says while it may still come true.
var errNotYet = errors.New("not yet")

// story is one run.
type story struct {
	Options
	api     *client
	person  *http.Client // a browser that is not signed in
	print   *printer
	gateway *simulate.Gateway
	world   world

	senderToken string
	kiosk       kiosk

	fault    int
	brokenAt time.Time
	incident incidentDoc
	page     pageDoc
}

// Run tells the story and gives nil when all of it was true. A failure is a
// *StepError. With Keep it then goes on sending until ctx ends.
func Run(ctx context.Context, o Options) error {
	o = o.withDefaults()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	s := &story{
		Options: o,
		api:     &client{base: o.Server, token: o.Token, http: &http.Client{Timeout: 30 * time.Second}},
		person:  &http.Client{Timeout: 30 * time.Second, Jar: jar},
		print:   &printer{out: o.Out, color: o.Color, from: o.Started},
		world:   payments(),
	}
	ctx, stop := context.WithCancelCause(ctx)
	live, retrying := make(chan struct{}), make(chan struct{})
	close(live)
	close(retrying)
	defer func() {
		stop(nil)
		<-live
		<-retrying
	}()
	s.print.title(s.world)
	for _, step := range []struct {
		name Step
		tell func(context.Context) error
	}{
		{StepOnboard, s.onboard},
		{StepHistory, s.history},
		{StepLive, func(ctx context.Context) error { live = s.live(ctx, stop); return s.caughtUp(ctx) }},
		{StepRetry, func(ctx context.Context) error {
			done, err := s.retries(ctx, stop)
			if err == nil {
				retrying = done
			}
			return err
		}},
		{StepBreak, s.breakAcquirer},
		{StepAlert, s.alert},
		{StepIncident, s.incidentOpened},
		{StepTicket, s.ticketWritten},
		{StepDashboard, s.dashboard},
		{StepPage, s.paged},
		{StepAcknowledge, s.acknowledge},
		{StepMend, s.mend},
		{StepResolve, s.resolved},
	} {
		if err := step.tell(ctx); err != nil {
			if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
				err = cause
			}
			return &StepError{Step: step.name, Err: err}
		}
	}
	s.print.done(time.Since(o.Started))
	if !o.Keep {
		return nil
	}
	s.print.kept(o, s.incident.ID)
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return &StepError{Step: StepLive, Err: cause}
	}
	return nil
}

// until asks again until the condition is true, gives another error, or the
// time is over; then the error says what was waited for.
func (s *story) until(ctx context.Context, deadline time.Time, what string, condition func() error) error {
	const every = 200 * time.Millisecond
	for {
		err := condition()
		if !errors.Is(err, errNotYet) {
			return err
		}
		if !time.Now().Before(deadline) {
			return fmt.Errorf("waited in vain for %s", what)
		}
		t := time.NewTimer(every)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

// soon is when what should follow at once must have happened.
func (s *story) soon() time.Time { return time.Now().Add(s.Patience) }

// end is when the whole story must be over.
func (s *story) end() time.Time { return s.Started.Add(s.StoryWithin) }
