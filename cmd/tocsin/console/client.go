// Package console is what every command shares: the daemon's public API as its client sees
// it, and how answers are printed.
//
// It knows no command.
package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

// Terminal is where a command writes.
type Terminal struct {
	Out, Err io.Writer
}

// Client talks to the daemon over its public API.
type Client struct {
	Terminal
	Server    string
	TokenFile string // empty: admin.token of ./tocsin-data
	JSON      bool   // print documents, not tables
}

const defaultTokenFile = "tocsin-data/admin.token"

func (c *Client) token() (string, error) {
	file := c.TokenFile
	if file == "" {
		file = defaultTokenFile
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", problem.Wrap(err, problem.Unauthenticated, "the token's file cannot be read").
			WithHint("name it with --token-file; the daemon writes the administrator's to admin.token below its --storage.path")
	}
	return strings.TrimSpace(string(raw)), nil
}

// Call sends one request and decodes the answer into out, which may be nil.
func (c *Client) Call(ctx context.Context, method, path string, body, out any) error {
	return c.CallIf(ctx, method, path, 0, body, out)
}

// CallIf is Call with the revision that must not have changed; 0: any.
func (c *Client) CallIf(ctx context.Context, method, path string, revision int, body, out any) error {
	token, err := c.token()
	if err != nil {
		return err
	}
	var rd io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		rd = bytes.NewReader(raw)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.Server, "/")+path, rd)
	if err != nil {
		return problem.Wrap(err, problem.Invalid, "--server is not an address")
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if revision > 0 {
		req.Header.Set("If-Match", web.ETag(revision))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the daemon does not answer").WithHint("is tocsin serve running, and is --server its address?")
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the daemon's answer was cut short")
	}
	if res.StatusCode >= 400 {
		return refusal(res.StatusCode, raw)
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return problem.Wrap(err, problem.Unavailable, "the daemon's answer is not understood")
	}
	return nil
}

func refusal(status int, raw []byte) error {
	var p web.Problem
	if json.Unmarshal(raw, &p) != nil || p.Detail == "" {
		return problem.New(problem.Unavailable, "the daemon answered %d", status)
	}
	out := &problem.Error{Kind: p.Kind, Message: p.Detail, Hint: p.Hint}
	if len(p.Faults) > 0 {
		return &fault.Refused{Problem: out, Faults: p.Faults}
	}
	return out
}

// All reads every part of a list.
func All[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	out := []T{}
	for cursor := ""; ; {
		var page struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		if err := c.Call(ctx, http.MethodGet, path+sep+url.Values{"limit": {"1000"}, "cursor": {cursor}}.Encode(), nil, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if page.Next == "" {
			return out, nil
		}
		cursor = page.Next
	}
}

// Print shows v as JSON, or the rows as a table.
func (c *Client) Print(v any, header []string, rows [][]string) error {
	if c.JSON {
		enc := json.NewEncoder(c.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	w := tabwriter.NewWriter(c.Out, 0, 4, 2, ' ', 0)
	if len(header) > 0 {
		fmt.Fprintln(w, strings.Join(header, "\t"))
	}
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	return w.Flush()
}

// Say prints an answer for programs, or a sentence for people.
func (c *Client) Say(v any, format string, args ...any) error {
	if c.JSON {
		return c.Print(v, nil, nil)
	}
	_, err := fmt.Fprintf(c.Out, format+"\n", args...)
	return err
}

// Read reads a file that a flag names; - is standard input. unreadable says what could not
// be read.
func Read(file, unreadable string) (text []byte, err error) {
	if file == "-" {
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "%s", unreadable)
	}
	return text, nil
}

// ErrMisuse makes a command exit as for wrong use.
var ErrMisuse = errors.New("wrong use")

// Misused is an error of wrong use.
func Misused(err error) error { return errors.Join(ErrMisuse, err) }

// ErrSaid makes a command fail without another word: all was printed.
var ErrSaid = errors.New("said")

// Refused says of samples that were refused how many, by reason.
func Refused(refused map[string]int64) string {
	if len(refused) == 0 {
		return "; nothing refused"
	}
	reasons := make([]string, 0, len(refused))
	for r, n := range refused {
		reasons = append(reasons, fmt.Sprintf("%s %d", r, n))
	}
	slices.Sort(reasons)
	return "; refused since the start: " + strings.Join(reasons, ", ")
}
