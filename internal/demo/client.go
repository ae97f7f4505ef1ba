package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// client speaks the API as anyone outside would.
type client struct {
	base, token string
	http        *http.Client
}

const maxBody = 16 << 20

// The parts of the API's documents that the story reads.
type (
	tenantDoc struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		Profile struct {
			Revision struct {
				Number int    `json:"number"`
				Cause  string `json:"cause"`
			} `json:"revision"`
			Rules []struct {
				Name     string `json:"name"`
				Severity string `json:"severity"`
			} `json:"rules"`
			Reasons []string `json:"reasons"`
			Watches []string `json:"watches"`
		} `json:"profile"`
	}
	alertDoc struct {
		Tenant   string            `json:"tenant"`
		Rule     string            `json:"rule"`
		Slice    map[string]string `json:"slice"`
		Severity string            `json:"severity"`
		State    string            `json:"state"`
		OnsetAt  time.Time         `json:"onset_at"`
		StartsAt time.Time         `json:"starts_at"`
		Reason   string            `json:"reason"`
		Incident string            `json:"incident"`
	}
	incidentDoc struct {
		ID             string            `json:"id"`
		Number         int               `json:"number"`
		Title          string            `json:"title"`
		State          string            `json:"state"`
		Team           string            `json:"team"`
		OwnerReason    string            `json:"owner_reason"`
		Slice          map[string]string `json:"slice"`
		AcknowledgedBy struct {
			Person string `json:"person"`
			Name   string `json:"name"`
		} `json:"acknowledged_by"`
		Tenants []struct {
			ID string `json:"id"`
		} `json:"tenants"`
		ResolutionReason string `json:"resolution_reason"`
		Ticket           struct {
			Ref struct {
				Number string `json:"number"`
				URL    string `json:"url"`
			} `json:"ref"`
			Error string `json:"error"`
		} `json:"ticket"`
		Dashboard struct {
			URL   string `json:"url"`
			Error string `json:"error"`
		} `json:"dashboard"`
	}
	pageDoc struct {
		ID         string     `json:"id"`
		Person     string     `json:"person"`
		PersonName string     `json:"person_name"`
		Why        string     `json:"why"`
		Channel    string     `json:"channel"`
		To         string     `json:"to"`
		State      string     `json:"state"`
		SentAt     *time.Time `json:"sent_at"`
		AckURL     string     `json:"ack_url"`
	}
	ticketDoc struct {
		State     string `json:"state"`
		Dashboard string `json:"dashboard"`
		Notes     []struct {
			Attachment *struct {
				Name        string `json:"name"`
				ContentType string `json:"content_type"`
			} `json:"attachment"`
		} `json:"notes"`
	}
)

// do sends in (nil: nothing) and decodes the answer into out (nil: not).
// A status other than want is an error with what the API says about it.
func (c *client) do(ctx context.Context, method, path string, in any, want int, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	raw, _, err := c.raw(ctx, method, path, body, want)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s %s: the answer cannot be read: %w", method, path, err)
	}
	return nil
}

func (c *client) raw(ctx context.Context, method, path string, body io.Reader, want int) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode != want {
		return nil, nil, fmt.Errorf("%s %s: %d instead of %d%s", method, path, res.StatusCode, want, said(raw))
	}
	return raw, res.Header, nil
}

// said is what an RFC 9457 document says, or nothing.
func said(raw []byte) string {
	var p struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Hint   string `json:"hint"`
	}
	if json.Unmarshal(raw, &p) != nil {
		return ""
	}
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	if text != "" {
		text = ": " + text
	}
	return text
}

// all reads a list to its end.
func all[T any](ctx context.Context, c *client, path string, query url.Values) ([]T, error) {
	var out []T
	q := url.Values{}
	for k, v := range query {
		q[k] = v
	}
	for {
		var part struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}
		target := path
		if len(q) > 0 {
			target += "?" + q.Encode()
		}
		if err := c.do(ctx, http.MethodGet, target, nil, http.StatusOK, &part); err != nil {
			return nil, err
		}
		out = append(out, part.Items...)
		if part.Next == "" {
			return out, nil
		}
		q.Set("cursor", part.Next)
	}
}

func slice(dims map[string]string) string {
	parts := make([]string, 0, len(dims))
	for label, value := range dims {
		parts = append(parts, label+"="+value)
	}
	if len(parts) == 0 {
		return "all"
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}
