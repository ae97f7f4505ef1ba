package rt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/problem"
)

// word is a JSON string or number as text: RT sends ids as either.
type word string

func (w *word) UnmarshalJSON(b []byte) error {
	var s string
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*w = word(s)
		return nil
	}
	if string(b) == "null" {
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	*w = word(n)
	return nil
}

// link points to another record; a user's id is the login name.
type link struct {
	ID word `json:"id"`
}

// number is the id as one; 0 when it is none.
func (w word) number() int64 {
	n, _ := strconv.ParseInt(string(w), 10, 64)
	return n
}

type customField struct {
	ID     word     `json:"id"`
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// document is a ticket as RT shows it.
type document struct {
	ID           word          `json:"id"`
	Subject      string        `json:"Subject"`
	Status       string        `json:"Status"`
	Owner        link          `json:"Owner"`
	Creator      link          `json:"Creator"`
	CustomFields []customField `json:"CustomFields"`

	etag  string
	asked string // the id that was asked for; differs after a merge
}

// nobody owns what no person owns.
const nobody = "Nobody"

// field is the custom field's first value; has is false when the ticket's queue
// does not have it.
func (d document) field(name string) (value string, has bool) {
	f, has := d.custom(name)
	if len(f.Values) == 0 {
		return "", has
	}
	return f.Values[0], true
}

func (d document) custom(name string) (customField, bool) {
	i := slices.IndexFunc(d.CustomFields, func(f customField) bool { return strings.EqualFold(f.Name, name) })
	if i < 0 {
		return customField{}, false
	}
	return d.CustomFields[i], true
}

func (d document) owner() string {
	if o := string(d.Owner.ID); o != nobody {
		return o
	}
	return ""
}

// state is what the ticket stands for: in RT, taking a ticket acknowledges it.
func (d document) state() itsm.State {
	if s := stateOf(d.Status); s != itsm.Open || d.owner() == "" {
		return s
	}
	return itsm.Acknowledged
}

// statusOf and stateOf map to RT's default lifecycle. A status of another
// lifecycle counts as being worked on.
func statusOf(s itsm.State) string {
	switch s {
	case itsm.Acknowledged:
		return "open"
	case itsm.Resolved:
		return "resolved"
	default:
		return "new"
	}
}

func stateOf(status string) itsm.State {
	switch strings.ToLower(status) {
	case "new":
		return itsm.Open
	case "resolved", "rejected", "deleted":
		return itsm.Resolved
	default:
		return itsm.Acknowledged
	}
}

// rank orders states by how far they have come.
func rank(s itsm.State) int {
	return slices.Index([]itsm.State{itsm.Open, itsm.Acknowledged, itsm.Resolved}, s)
}

// read loads a ticket. NotFound when there is none or it was deleted.
func (c *Client) read(ctx context.Context, id string) (document, error) {
	var d document
	h, err := c.call(ctx, request{method: http.MethodGet, path: "/ticket/" + url.PathEscape(id), what: "ticket"}, &d)
	if err != nil {
		return d, err
	}
	if d.ID.number() == 0 || d.Status == "" {
		return d, problem.New(problem.Unavailable, "%s shows a ticket without id or status", c.opt.Name)
	}
	if d.Status == "deleted" {
		return d, problem.New(problem.NotFound, "the ticket in %s was deleted", c.opt.Name)
	}
	d.etag, d.asked = h.Get("ETag"), id
	return d, nil
}

func (c *Client) ref(id word) itsm.Ref {
	return itsm.Ref{ID: string(id), Number: "#" + string(id), URL: strings.TrimSuffix(c.opt.URL, "/") + "/Ticket/Display.html?id=" + string(id)}
}

// queueInfo is what is asked of a queue before a ticket is made in it.
type queueInfo struct {
	fields    []string
	mayCreate bool
	disabled  bool
	until     time.Time // ask again after this
}

const queueFresh = 5 * time.Minute

func (c *Client) queue(ctx context.Context, name string) (queueInfo, error) {
	now := c.opt.Now()
	c.mu.Lock()
	info, ok := c.queues[name]
	c.mu.Unlock()
	if ok && now.Before(info.until) {
		return info, nil
	}
	return c.askQueue(ctx, name, now)
}

func (c *Client) askQueue(ctx context.Context, name string, now time.Time) (queueInfo, error) {
	var q struct {
		Disabled           word                    `json:"Disabled"`
		TicketCustomFields []struct{ Name string } `json:"TicketCustomFields"`
		Hyperlinks         []struct{ Ref string }  `json:"_hyperlinks"`
	}
	if _, err := c.call(ctx, request{method: http.MethodGet, path: "/queue/" + url.PathEscape(name), what: "queue"}, &q); err != nil {
		return queueInfo{}, err
	}
	info := queueInfo{disabled: q.Disabled == "1", until: now.Add(queueFresh)}
	for _, f := range q.TicketCustomFields {
		info.fields = append(info.fields, f.Name)
	}
	for _, l := range q.Hyperlinks {
		info.mayCreate = info.mayCreate || l.Ref == "create"
	}
	c.mu.Lock()
	remember(c.queues, name, info)
	c.mu.Unlock()
	return info, nil
}

func (q queueInfo) has(field string) bool {
	return slices.ContainsFunc(q.fields, func(f string) bool { return strings.EqualFold(f, field) })
}

// Marks make our comments recognisable. They start a subject and are ASCII. The
// ticket's key is part of them, since a merge brings the notes of two together.
const (
	markStart     = "[tocsin "
	textMarkStart = markStart + "text "
)

var plainKey = regexp.MustCompile(`^[0-9A-Za-z._:@/+-]{1,150}$`)

func noteMark(ticket, note string) string {
	key := ticket + "/" + note
	if !plainKey.MatchString(key) {
		key = digest(key)
	}
	return markStart + "note " + key + "]"
}

func textMark(text string) string { return textMarkStart + digest(text) + "]" }

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:24]
}

// plain is a text as RT keeps it: ends of lines and outer white space are RT's.
func plain(s string) string {
	return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n"))
}

// maxSubject is the width of RT's column, which it cuts to in bytes.
const maxSubject = 200

// oneLine is a subject.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	for len(s) > maxSubject {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return strings.TrimSpace(s)
}
