package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

// client talks to the daemon over its public API.
type client struct {
	server    string
	tokenFile string
	json      bool
	out       io.Writer
}

const defaultTokenFile = "tocsin-data/admin.token"

func (c *client) token() (string, error) {
	file := c.tokenFile
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

// call sends one request and decodes the answer into out, which may be nil.
func (c *client) call(ctx context.Context, method, path string, body, out any) error {
	return c.callIf(ctx, method, path, 0, body, out)
}

// callIf is call with the revision that must not have changed; 0: any.
func (c *client) callIf(ctx context.Context, method, path string, revision int, body, out any) error {
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
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.server, "/")+path, rd)
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
	var p struct {
		Kind   problem.Kind `json:"kind"`
		Detail string       `json:"detail"`
		Hint   string       `json:"hint"`
	}
	if json.Unmarshal(raw, &p) != nil || p.Detail == "" {
		return problem.New(problem.Unavailable, "the daemon answered %d", status)
	}
	return &problem.Error{Kind: p.Kind, Message: p.Detail, Hint: p.Hint}
}

// all reads every part of a list.
func all[T any](ctx context.Context, c *client, path string) ([]T, error) {
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
		if err := c.call(ctx, http.MethodGet, path+sep+url.Values{"limit": {"1000"}, "cursor": {cursor}}.Encode(), nil, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if page.Next == "" {
			return out, nil
		}
		cursor = page.Next
	}
}

// print shows v as JSON, or the rows as a table.
func (c *client) print(v any, header []string, rows [][]string) error {
	if c.json {
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	if len(header) > 0 {
		fmt.Fprintln(w, strings.Join(header, "\t"))
	}
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	return w.Flush()
}
