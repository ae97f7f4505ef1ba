package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// kiosk is a tenant that sends spans and no metric. Five in six of its payments fail, all of
// one customer, who tries again and again: nothing is to ring.
type kiosk struct {
	sent atomic.Int64 // failures that were taken
}

const (
	kioskID    = "kiosk"
	kioskName  = "Corner Kiosk"
	kioskEvery = 2 * time.Second
	kioskFails = 5 // of one customer in that time, beside one payment of somebody else that succeeds
)

// retries onboards the kiosk and lets it sell until ctx ends.
func (s *story) retries(ctx context.Context, stop context.CancelCauseFunc) (chan struct{}, error) {
	in := map[string]any{"name": kioskName, "services": []string{"payments"}, "currency": "EUR", "expected_tpm": 30, "value_per_transaction": 4}
	if err := s.api.do(ctx, http.MethodPut, "/api/v1/tenants/"+kioskID, in, http.StatusCreated, nil); err != nil {
		return nil, err
	}
	s.print.step(StepRetry, "%s sends spans: five payments in six fail, all of one customer who tries again and again", kioskName)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(kioskEvery)
		defer tick.Stop()
		for {
			if err := s.kiosk.sell(ctx, s.Server, s.senderToken); err != nil && ctx.Err() == nil {
				stop(fmt.Errorf("spans of %s: %w", kioskName, err))
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return done, nil
}

// sell sends what happened in one tick.
func (k *kiosk) sell(ctx context.Context, server, token string) error {
	now := time.Now()
	spans := []string{kioskSpan(now, fmt.Sprintf("visitor-%d", now.UnixNano()), "")}
	for range kioskFails {
		spans = append(spans, kioskSpan(now, "jo", `,"status":{"code":2}`))
	}
	body := fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"payments"}},{"key":"tenant.id","value":{"stringValue":%q}}]},"scopeSpans":[{"spans":[%s]}]}]}`,
		kioskID, strings.Join(spans, ","))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/v1/traces", bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err == nil && (res.StatusCode != http.StatusOK || strings.Contains(string(answer), "rejectedSpans")) {
		err = fmt.Errorf("they were answered with %s %s", res.Status, answer)
	}
	if err == nil {
		k.sent.Add(kioskFails)
	}
	return err
}

func kioskSpan(end time.Time, customer, status string) string {
	return fmt.Sprintf(`{"traceId":"%016x%016x","spanId":"%016x","name":"POST /payments","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[{"key":"customer.id","value":{"stringValue":%q}}]%s}`,
		rand.Uint64(), rand.Uint64()|1, rand.Uint64()|1, end.Add(-80*time.Millisecond).UnixNano(), end.UnixNano(), customer, status)
}

// stillQuiet checks that the kiosk's failures arrived, and that they are known to be of
// one customer. That no alert is its own is checked with all others.
func (s *story) stillQuiet(ctx context.Context) error {
	var status struct {
		SLIs []struct {
			Source    string `json:"source"`
			Customers *struct {
				ThisHour float64 `json:"this_hour"`
			} `json:"customers"`
		} `json:"slis"`
	}
	err := s.until(ctx, s.soon(), "the one customer of "+kioskName, func() error {
		if err := s.api.do(ctx, http.MethodGet, "/api/v1/tenants/"+kioskID+"/status", nil, http.StatusOK, &status); err != nil {
			return err
		}
		for _, x := range status.SLIs {
			switch {
			case x.Source != "spans" || x.Customers == nil || x.Customers.ThisHour == 0:
			case x.Customers.ThisHour > 1:
				return errors.New("one customer's failures count as several customers'")
			default:
				return nil
			}
		}
		return errNotYet
	})
	if err == nil {
		s.print.more("quiet", fmt.Sprintf("%d failed payments of one customer at %s opened nothing", s.kiosk.sent.Load(), kioskName))
	}
	return err
}
