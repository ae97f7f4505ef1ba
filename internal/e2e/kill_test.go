package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

// TestKillNine tells the story from onboarding to the mended fault while the
// daemon is killed by SIGKILL and started again on the same storage and port:
// right after each step became visible, and at random moments. What was
// accepted must be there; what was decided must have been decided once.
func TestKillNine(t *testing.T) {
	long(t)
	t.Run("after each step, tickets in Request Tracker", func(t *testing.T) {
		t.Parallel()
		killStory(t, true, false)
	})
	t.Run("at random moments, tickets in the register", func(t *testing.T) {
		if os.Getenv("TOCSIN_LONG") == "" {
			t.Skip("set TOCSIN_LONG=1 (make chaos); the steps above are always killed")
		}
		t.Parallel()
		killStory(t, false, true)
	})
}

const (
	killHistory  = 25 * time.Hour
	killScrape   = 5 * time.Second
	killAcquirer = "alpha"
)

// killTale is one story and what is known to be true in it.
type killTale struct {
	d       *killable
	api     *killClient
	sender  *simulate.RemoteWrite
	gateway *simulate.Gateway
	mail    peer.Mailpit
	rt      *peer.RT
	random  bool
	began   time.Time

	from  time.Time // of the history
	truth map[string]killTruth
	born  map[string]uint64 // events of each tenant before its first scrape
	last  time.Time         // the newest scrape that was acknowledged

	incident killIncident
}

// killTruth is what was acknowledged of one series.
type killTruth struct {
	samples   int
	sum, last float64
}

type killIncident struct {
	ID             string
	Number         int
	State          string
	AcknowledgedBy struct{ Person, Name string } `json:"acknowledged_by"`
	Ticket         struct {
		Ref struct{ ID, Number, URL string }
	}
	Dashboard struct{ URL, Blob string }
	Pages     []string
}

func killStory(t *testing.T, withRT, random bool) {
	s := &killTale{mail: peer.StartMailpit(t), random: random, began: time.Now(), truth: map[string]killTruth{}}
	dir := t.TempDir()
	if withRT {
		rt := peer.StartRT(t)
		s.rt = &rt
	}
	s.d = newKillable(t, dir, "--config.file", s.configure(t, dir))
	token, err := os.ReadFile(filepath.Join(s.d.storage(), "admin.token"))
	require.NoError(t, err)
	s.api = &killClient{base: s.d.url(), token: strings.TrimSpace(string(token)), http: &http.Client{Timeout: 10 * time.Second}}

	s.onboard(t)
	s.killed(t, "1 onboarded")
	s.tenantsAreThere(t)

	s.history(t)
	ctx, stop := context.WithCancel(t.Context())
	live := make(chan error, 1)
	go func() { live <- s.live(ctx) }()
	stopped := false
	defer func() {
		if stop(); !stopped {
			<-live
		}
	}()
	s.killed(t, "2 samples acknowledged")
	require.Empty(t, killList[killAlert](t, s.api, "/api/v1/alerts", nil), "nothing rang before anything broke")

	fault := s.breaks(t)
	if random {
		s.atRandom(t, ctx, func() { s.rings(t, fault) })
	} else {
		s.rings(t, fault)
	}
	stop()
	require.NoError(t, <-live)
	stopped = true
	s.nothingLost(t)
	s.decidedOnce(t)
	s.d.stop(t)
	s.chainHolds(t)
	t.Logf("killed %d times; ready again after %v", len(s.d.kills), s.d.down)
}

// configure writes tocsin.yaml with a catalog of one team and two people.
func (s *killTale) configure(t *testing.T, dir string) string {
	t.Helper()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	itsm := "register"
	systems := ""
	if s.rt != nil {
		itsm = "rt-main"
		write("rt.token", s.rt.Token)
		systems = "\n  systems:\n    - {name: rt-main, kind: rt, url: " + s.rt.URL + ", token_file: rt.token, queue: Incidents, mode: live, poll: 1s}"
	}
	write("catalog.yaml", `
teams: [{id: payments, name: Payments, kind: product, oncall: [ada]}]
services: [{id: payments, team: payments, kind: digital, runbook: "https://wiki.example.com/payments"}]
people:
  - {id: ada, name: Ada Lindqvist, time_zone: Europe/Stockholm, itsm_user: ada, contacts: [{channel: mail, to: ada@example.com}]}
`)
	return write("tocsin.yaml", `
catalog_files: [catalog.yaml]
live_teams: [payments]
channels: [{name: mail, kind: smtp, address: "`+s.mail.SMTPAddr+`", from: tocsin@example.com, tls: none}]
itsm:
  default: `+itsm+systems+"\n")
}

// killed kills the daemon after a step, unless it is killed at random.
func (s *killTale) killed(t *testing.T, step string) {
	t.Helper()
	t.Logf("%5.1f s: %s", time.Since(s.began).Seconds(), step)
	if s.random {
		return
	}
	require.NoError(t, s.d.kill(t.Context()), "start again after %s", step)
}

type killAlert struct {
	ID, State, Tenant, Incident, Reason string
}

func (s *killTale) breaks(t *testing.T) int {
	killEventually(t, time.Minute, "the traffic to be live", func() error {
		if d := time.Since(s.gateway.Now()); d > killScrape+time.Second {
			return fmt.Errorf("%s behind", d)
		}
		return nil
	})
	n := 0
	at := s.nextStep(t, func(at time.Time) (err error) {
		n, err = s.gateway.Break(simulate.Fault{Kind: simulate.AcquirerDown, Acquirer: killAcquirer, From: at, Size: .95})
		return err
	})
	t.Logf("%5.1f s: broken", at.Sub(s.began).Seconds())
	return n
}

// nextStep does something at the next boundary of the steps that are judged, or
// at the one after when the traffic has just passed it.
func (s *killTale) nextStep(t *testing.T, do func(at time.Time) error) time.Time {
	t.Helper()
	at := s.gateway.Now().Truncate(15 * time.Second).Add(15 * time.Second)
	if do(at) != nil {
		at = at.Add(15 * time.Second)
		require.NoError(t, do(at))
	}
	return at
}

// rings tells the part of the story from the fault to its end.
func (s *killTale) rings(t *testing.T, fault int) {
	killEventually(t, 2*time.Minute, "an alert", func() error {
		if len(killList[killAlert](t, s.api, "/api/v1/alerts", nil)) == 0 {
			return errors.New("none")
		}
		return nil
	})
	s.killed(t, "3 alert")
	s.until(t, "the ticket", func(i killIncident) bool { return i.Ticket.Ref.Number != "" })
	number := s.incident.Ticket.Ref
	s.killed(t, "4 incident and ticket")
	s.until(t, "the picture", func(i killIncident) bool { return i.Dashboard.Blob != "" })
	s.killed(t, "5 dashboard attached")
	status, png, err := s.api.send(t.Context(), http.MethodGet, "/api/v1/incidents/"+s.incident.ID+"/picture", "", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "\x89PNG", string(png[:4]))
	killEventually(t, time.Minute, "the page", func() error {
		pages := killList[killPage](t, s.api, "/api/v1/pages", url.Values{"incident": {s.incident.ID}})
		if len(pages) != 1 || pages[0].State != "sent" {
			return fmt.Errorf("%+v", pages)
		}
		return nil
	})
	s.killed(t, "6 page sent")
	s.acknowledge(t)
	s.killed(t, "7 acknowledged")
	s.until(t, "the acknowledgement", func(i killIncident) bool { return i.State == "acknowledged" && i.AcknowledgedBy.Person == "ada" })

	at := s.nextStep(t, func(at time.Time) error { return s.gateway.Mend(fault, at) })
	t.Logf("%5.1f s: mended", at.Sub(s.began).Seconds())
	s.until(t, "the end", func(i killIncident) bool { return i.State == "resolved" })
	require.Equal(t, "ada", s.incident.AcknowledgedBy.Person, "whose it was is kept")
	require.Equal(t, number, s.incident.Ticket.Ref, "the ticket is the first one")
	s.ticketResolved(t)
}

// until waits for the only incident there is; a second one is an error.
func (s *killTale) until(t *testing.T, what string, holds func(killIncident) bool) {
	t.Helper()
	killEventually(t, 150*time.Second, what, func() error {
		list := killList[killIncident](t, s.api, "/api/v1/incidents", nil)
		if len(list) > 1 {
			t.Fatalf("one fault made %d incidents: %+v", len(list), list)
		}
		if len(list) == 1 {
			s.incident = list[0]
		}
		if len(list) == 0 || !holds(list[0]) {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
}

type killPage struct {
	ID, State, Person string
	Attempts          int
}

var (
	killLink = regexp.MustCompile(`http://\S+/p/\S+`)
	killCSRF = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
)

// acknowledge opens the mail's link and presses the button, as its reader would.
func (s *killTale) acknowledge(t *testing.T) {
	t.Helper()
	mails := s.mail.Messages(t)
	require.NotEmpty(t, mails)
	link := killLink.FindString(s.mail.Message(t, mails[0].ID).Text)
	require.NotEmpty(t, link, "the mail has the link that acknowledges")
	person := &killClient{http: &http.Client{Timeout: 10 * time.Second}}
	status, text, err := person.send(t.Context(), http.MethodGet, link, "", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	field := killCSRF.FindSubmatch(text)
	require.NotNil(t, field, "%s", text)
	status, text, err = person.send(t.Context(), http.MethodPost, link, "application/x-www-form-urlencoded", []byte(url.Values{"csrf": {string(field[1])}}.Encode()))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(text), "You have it")
}

// atRandom kills the daemon again and again while the story goes on.
func (s *killTale) atRandom(t *testing.T, ctx context.Context, tell func()) {
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv("TOCSIN_KILL_SEED"); v != "" {
		require.NoError(t, json.Unmarshal([]byte(v), &seed))
	}
	t.Logf("the moments are drawn from TOCSIN_KILL_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 9))
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		for {
			// Mostly seconds, sometimes while it is still starting to work.
			wait := time.Duration(rng.ExpFloat64() * float64(8*time.Second))
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				done <- nil
				return
			}
			if err := s.d.kill(context.WithoutCancel(ctx)); err != nil {
				done <- err
				return
			}
		}
	}()
	finished := false
	defer func() {
		if stop(); !finished {
			<-done
		}
	}()
	tell()
	stop()
	finished = true
	require.NoError(t, <-done)
	require.GreaterOrEqual(t, len(s.d.kills), 3)
}
