package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

// onboard puts the tenants' documents and shows the profile each was given.
func (s *story) onboard(ctx context.Context) error {
	began := time.Now().Add(-s.History)
	for _, t := range s.world.tenants {
		in := map[string]any{
			"name": t.Name, "features": []string{}, "services": []string{"payments"}, "countries": names(t.Countries),
			"integrations": names(t.Acquirers), "timezone": t.Zone, "currency": t.Currency, "expected_tpm": t.TPS * 60,
			"value_per_transaction": t.Value, "priority": t.Priority, "labels": map[string]string{},
			"onboarded_at": began.UTC().Format(time.RFC3339),
		}
		var out tenantDoc
		if err := s.api.do(ctx, http.MethodPut, "/api/v1/tenants/"+t.ID, in, http.StatusCreated, &out); err != nil {
			return err
		}
		p := out.Profile
		if out.ID != t.ID || p.Revision.Number < 1 || len(p.Rules) == 0 {
			return fmt.Errorf("tenant %s was onboarded without a profile", t.ID)
		}
		rules := make([]string, len(p.Rules))
		for i, r := range p.Rules {
			rules[i] = r.Name + " (" + r.Severity + ")"
		}
		s.print.step(StepOnboard, "%-18s profile revision %d: %s", t.Name, p.Revision.Number, strings.Join(rules, ", "))
		if t.ID == s.world.tenants[0].ID {
			s.print.more("why", strings.Join(append(p.Reasons, p.Revision.Cause), "; "))
			s.print.more("watches", strings.Join(p.Watches, "; "))
		}
	}
	return nil
}

func names(in []simulate.Share) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = s.Name
	}
	return out
}

// history makes the gateway and sends what it did until now through the
// backfill path, with a sender's token of its own.
func (s *story) history(ctx context.Context) error {
	end := time.Now().UTC().Truncate(historyStep)
	start := end.Add(-s.History)
	g, err := s.world.gateway(s.Seed, start)
	if err != nil {
		return err
	}
	s.gateway = g
	if err := s.createSender(ctx); err != nil {
		return err
	}
	w := s.sender()
	began := time.Now()
	s.print.step(StepHistory, "%.0f hours of %d tenants through remote write, a scrape a minute, the last %.0f minutes every %.0f s", s.History.Hours(), len(s.world.tenants), recentHistory.Minutes(), liveStep.Seconds())
	recent := end.Add(-min(s.History, recentHistory)) // as dense as what follows, so that the picture shows no seam
	if err := w.Backfill(ctx, g, start, recent, historyStep, nil); err != nil {
		return err
	}
	if err := w.Backfill(ctx, g, recent, end, liveStep, nil); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	s.print.more("sent", fmt.Sprintf("%d samples in %d requests, %.0f a second; %d transactions of which %d failed",
		w.Samples, w.Requests, float64(w.Samples)/took, g.Total("", ""), g.Total("", simulate.Failed)))
	return nil
}

// createSender makes a token that may send for every tenant and nothing else.
func (s *story) createSender(ctx context.Context) error {
	var token struct {
		Token string `json:"token"`
	}
	in := map[string]any{"name": "simulated gateway", "role": "sender", "tenants": []string{"*"}}
	if err := s.api.do(ctx, http.MethodPost, "/api/v1/tokens", in, http.StatusCreated, &token); err != nil {
		return err
	}
	if token.Token == "" {
		return errors.New("a sender's token was created and not shown")
	}
	s.senderToken = token.Token
	return nil
}

func (s *story) sender() *simulate.RemoteWrite {
	return &simulate.RemoteWrite{URL: s.Server + "/api/v1/push", Token: s.senderToken, Version: 2, MaxAttempts: 20,
		Client: &http.Client{Timeout: 30 * time.Second}}
}

// live goes on where history ended, until ctx ends; a sender that is refused
// ends the story. The channel is closed when it has stopped.
func (s *story) live(ctx context.Context, stop context.CancelCauseFunc) chan struct{} {
	done := make(chan struct{})
	after := s.gateway.Now()
	go func() {
		defer close(done)
		if err := s.sender().Live(ctx, s.gateway, after, liveStep, time.Now, nil); err != nil {
			stop(fmt.Errorf("live traffic: %w", err))
		}
	}()
	return done
}

// caughtUp waits until the traffic is live.
func (s *story) caughtUp(ctx context.Context) error {
	err := s.until(ctx, time.Now().Add(30*time.Second), "live traffic to catch up with the clock", func() error {
		if time.Since(s.gateway.Now()) > liveStep+time.Second {
			return errNotYet
		}
		return nil
	})
	if err != nil {
		return err
	}
	var tps float64
	for _, t := range s.world.tenants {
		tps += t.TPS
	}
	s.print.step(StepLive, "a scrape every %.0f s, about %.0f transactions a second over all tenants", liveStep.Seconds(), tps)
	alerts, err := s.alerts(ctx)
	if err != nil {
		return err
	}
	if len(alerts) > 0 {
		return fmt.Errorf("%d alerts before anything broke, the first: %s", len(alerts), alerts[0].Reason)
	}
	s.print.more("quiet", fmt.Sprintf("no alert from %.0f hours of healthy traffic", s.History.Hours()))
	return nil
}

// breakAcquirer breaks it at the next step boundary, unless it is to be left whole.
func (s *story) breakAcquirer(ctx context.Context) error {
	s.brokenAt = boundary(s.gateway.Now())
	if !s.Break {
		s.print.step(StepBreak, "acquirer %s is left whole: nothing should ring", acquirer)
		return nil
	}
	var err error
	s.fault, err = s.gateway.Break(simulate.Fault{Kind: simulate.AcquirerDown, Acquirer: acquirer, From: s.brokenAt, Size: 0.95})
	if err != nil { // the traffic has just passed the boundary
		s.brokenAt = s.brokenAt.Add(judgedStep)
		s.fault, err = s.gateway.Break(simulate.Fault{Kind: simulate.AcquirerDown, Acquirer: acquirer, From: s.brokenAt, Size: 0.95})
	}
	if err != nil {
		return err
	}
	s.print.step(StepBreak, "acquirer %s fails from %s on; %d of %d tenants use it", acquirer, clock(s.brokenAt), len(s.world.touched()), len(s.world.tenants))
	return ctx.Err()
}

// mend makes the acquirer whole again at the next boundary.
func (s *story) mend(context.Context) error {
	at := boundary(s.gateway.Now())
	if err := s.gateway.Mend(s.fault, at); err != nil {
		at = at.Add(judgedStep)
		if err := s.gateway.Mend(s.fault, at); err != nil {
			return err
		}
	}
	s.print.step(StepMend, "acquirer %s answers again from %s on", acquirer, clock(at))
	return nil
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }
