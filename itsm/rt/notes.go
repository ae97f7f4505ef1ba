package rt

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/problem"
)

// part is one stored piece of a ticket's messages. RT calls all of them
// attachments, texts too.
type part struct {
	ID            word   `json:"id"`
	Subject       string `json:"Subject"`
	Filename      string `json:"Filename"`
	Creator       link   `json:"Creator"`
	TransactionID word   `json:"TransactionId"`
}

const (
	partsPerPage = 100 // RT's largest page
	maxPages     = 200
)

// marked lists our own comments of a ticket, the eldest first. It asks for
// those alone, by id and not by page: RT takes what the user may not see out of
// a page after it has counted it, so a short page of all pieces proves nothing.
func (c *Client) marked(ctx context.Context, id word, self string) ([]part, error) {
	var out []part
	after := int64(0)
	for range maxPages {
		filter, err := json.Marshal([]map[string]string{
			{"field": "Subject", "operator": "STARTSWITH", "value": markStart},
			{"field": "id", "operator": ">", "value": strconv.FormatInt(after, 10)},
		})
		if err != nil {
			return nil, problem.Wrap(err, problem.Internal, "a request to %s cannot be written", c.opt.Name)
		}
		list, err := c.parts(ctx, "/ticket/"+string(id), url.Values{"query": {string(filter)}, "per_page": {strconv.Itoa(partsPerPage)}})
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			if p.ID.number() > after && strings.HasPrefix(p.Subject, markStart) && strings.EqualFold(string(p.Creator.ID), self) {
				out = append(out, p)
			}
		}
		if len(list) < partsPerPage {
			break
		}
		after = max(after+1, list[len(list)-1].ID.number())
	}
	return out, nil
}

// parts lists pieces of a ticket or transaction in the order of their ids.
func (c *Client) parts(ctx context.Context, of string, query url.Values) ([]part, error) {
	var page struct {
		Items []part `json:"items"`
	}
	query.Set("fields", "Subject,Filename,Creator,TransactionId")
	query.Set("orderby", "id")
	_, err := c.call(ctx, request{method: http.MethodGet, path: of + "/attachments", what: "ticket", query: query}, &page)
	return page.Items, err
}

// partContent reads a piece's bytes.
func (c *Client) partContent(ctx context.Context, id word) ([]byte, error) {
	var a struct{ Content string }
	if _, err := c.call(ctx, request{method: http.MethodGet, path: "/attachment/" + string(id), what: "attachment"}, &a); err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(a.Content), ""))
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "the answer of %s about an attachment is not base64", c.opt.Name)
	}
	return b, nil
}

// describe sees that the wanted description stands in the ticket: the first
// text cannot be changed, so a later description becomes a comment.
func (c *Client) describe(ctx context.Context, d document, want itsm.Ticket) error {
	text := orElse(plain(want.Description), want.Title)
	if plain(want.Description) == "" || c.described(d.ID) == digest(text) {
		return nil
	}
	self, err := c.self(ctx)
	if err != nil {
		return err
	}
	list, err := c.marked(ctx, d.ID, self)
	if err != nil {
		return err
	}
	current := ""
	for _, p := range list {
		if strings.HasPrefix(p.Subject, textMarkStart) {
			current = p.Subject
		}
	}
	same := strings.HasPrefix(current, textMark(text))
	if current == "" {
		if same, err = c.beginsWith(ctx, d.ID, text); err != nil {
			return err
		}
	}
	if !same {
		err = c.comment(ctx, d, self, comment{mark: textMark(text), subject: "the description changed", text: text})
	}
	if err == nil {
		c.mu.Lock()
		remember(c.texts, string(d.ID), digest(text))
		c.mu.Unlock()
	}
	return err
}

// beginsWith compares the text the ticket was made with, up to the links.
func (c *Client) beginsWith(ctx context.Context, id word, text string) (bool, error) {
	list, err := c.parts(ctx, "/ticket/"+string(id), url.Values{"per_page": {"1"}})
	if err != nil || len(list) == 0 {
		return false, err
	}
	first, err := c.partContent(ctx, list[0].ID)
	if err != nil {
		return false, err
	}
	head, _, _ := strings.Cut(plain(string(first))+"\n", strings.TrimSuffix(bodySeparator, " \n"))
	return plain(head) == text, nil
}

func (c *Client) described(id word) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.texts[string(id)]
}

// notes writes those that are not there yet, in order.
func (c *Client) notes(ctx context.Context, d document, want itsm.Ticket) error {
	if len(want.Notes) == 0 {
		return nil
	}
	self, err := c.self(ctx)
	if err != nil {
		return err
	}
	list, err := c.marked(ctx, d.ID, self)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, p := range list {
		if end := strings.IndexByte(p.Subject, ']'); end > 0 {
			there[p.Subject[:end+1]] = true
		}
	}
	for _, n := range want.Notes {
		mark := noteMark(want.Key, n.Key)
		if there[mark] {
			continue
		}
		if err := c.comment(ctx, d, self, commentOf(mark, n)); err != nil {
			return err
		}
		there[mark] = true
	}
	return nil
}

// comment is one message to be written.
type comment struct {
	mark, subject, text string
	name, contentType   string // of the attachment; empty: none
	content             []byte
}

func commentOf(mark string, n itsm.Note) comment {
	m := comment{mark: mark, text: n.Text}
	if !n.At.IsZero() {
		m.subject = n.At.UTC().Format(time.RFC3339)
	}
	if a := n.Attachment; a != nil {
		m.name, m.contentType, m.content = fileName(a.Name), contentType(a.ContentType), a.Content
		if len(m.content) == 0 {
			m.text += "\n\n(" + m.name + " is no longer kept)"
			m.name = ""
		}
	}
	m.text = orElse(plain(m.text), orElse(m.name, "(no text)"))
	return m
}

// comment writes the message and reads it back, the attachment byte for byte.
func (c *Client) comment(ctx context.Context, d document, self string, m comment) error {
	body := map[string]any{"Subject": strings.TrimSpace(m.mark + " " + m.subject), "Content": m.text, "ContentType": "text/plain"}
	if m.name != "" {
		body["Attachments"] = []map[string]string{{"FileName": m.name, "FileType": m.contentType,
			"FileContent": base64.StdEncoding.EncodeToString(m.content)}}
	}
	r := request{method: http.MethodPost, path: "/ticket/" + string(d.ID) + "/comment", what: "comment", body: body}
	if _, err := c.call(ctx, r, nil); err != nil {
		return err
	}
	list, err := c.marked(ctx, d.ID, self)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(p part) bool { return strings.HasPrefix(p.Subject, m.mark) })
	if at < 0 {
		return c.untaken(nil, "comment")
	}
	if m.name == "" {
		return nil
	}
	return c.attached(ctx, list[at].TransactionID, m)
}

func (c *Client) attached(ctx context.Context, transaction word, m comment) error {
	list, err := c.parts(ctx, "/transaction/"+string(transaction), url.Values{"per_page": {strconv.Itoa(partsPerPage)}})
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(p part) bool { return p.Filename == m.name })
	if at < 0 {
		return c.shortened(nil)
	}
	stored, err := c.partContent(ctx, list[at].ID)
	if err != nil {
		return err
	}
	if !bytes.Equal(stored, m.content) {
		return c.shortened(nil)
	}
	return nil
}

// shortened is not retryable: the comment stands, and writing it again would
// double it.
func (c *Client) shortened(cause error) error {
	return problem.Wrap(cause, problem.TooLarge, "%s kept a note but not its attachment as it was sent", c.opt.Name).
		WithHint("raise MaxAttachmentSize in its configuration, or see its log")
}

// fileName keeps what RT stores without loss.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune(`"\/:;<>|*?`, r) {
			return '_'
		}
		return r
	}, s)
	return orElse(s[:min(len(s), 100)], "attachment")
}

// contentType leaves pictures and the like as they are; a text would be changed
// by RT to its own character set and ends of lines.
func contentType(s string) string {
	kind, _, err := mime.ParseMediaType(s)
	if err != nil || strings.HasPrefix(kind, "text/") || strings.HasPrefix(kind, "message/") || strings.HasPrefix(kind, "multipart/") {
		return "application/octet-stream"
	}
	return kind
}
