package rt

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/problem"
)

// bodySeparator ends the description in a ticket's first text; what follows are
// links, which may differ from one document to the next.
const bodySeparator = "\n\n-- \n"

// Sync implements itsm.System. The Ref is also returned with an error, as soon
// as the ticket is known.
func (c *Client) Sync(ctx context.Context, want itsm.Ticket, known itsm.Ref) (itsm.Result, error) {
	want.Title, want.Queue = oneLine(want.Title), orElse(want.Queue, c.opt.Queue)
	if err := c.check(want, known); err != nil {
		return itsm.Result{Ref: known}, err
	}
	unlock, err := c.keys.lock(ctx, want.Key)
	if err != nil {
		return itsm.Result{Ref: known}, err
	}
	defer unlock()
	c.mu.Lock()
	remember(c.seen, want.Queue, struct{}{})
	if known.ID == "" {
		known.ID = c.made[want.Key]
	}
	c.mu.Unlock()
	created := false
	for attempt := 1; ; attempt++ {
		res, err := c.sync(ctx, want, known)
		created = created || res.Created
		res.Created = created
		if !isPrecondition(err) || attempt == 3 {
			return res, err
		}
		known = res.Ref
	}
}

func (c *Client) check(want itsm.Ticket, known itsm.Ref) error {
	if !keyPattern.MatchString(want.Key) {
		return problem.New(problem.Invalid, "the ticket's key is not usable").WithHint("1 to 200 of 0-9 a-z A-Z . _ : @ / + -")
	}
	if want.Title == "" {
		return problem.New(problem.Invalid, "the ticket has no title")
	}
	if rank(want.State) < 0 {
		return problem.New(problem.Invalid, "the ticket's state is not one of open, acknowledged, resolved")
	}
	if !namePattern.MatchString(want.Queue) {
		return problem.New(problem.Invalid, "the ticket's queue is not usable").WithHint("no quotes, backslashes and braces")
	}
	if known.ID != "" && !digits(known.ID) {
		return problem.New(problem.Invalid, "the known ticket id is not one of Request Tracker")
	}
	return nil
}

func (c *Client) sync(ctx context.Context, want itsm.Ticket, known itsm.Ref) (itsm.Result, error) {
	res := itsm.Result{Ref: known}
	d, found, err := c.find(ctx, want, known)
	if err != nil {
		return res, err
	}
	if !found {
		if d, err = c.create(ctx, want); err != nil {
			return res, err
		}
		res.Created = true
	}
	key, _ := d.field(c.opt.CorrelationField)
	own := key == "" || key == want.Key // else it was merged into another incident's ticket: that gets the notes alone
	res.Ref, res.State, res.Version = c.ref(d.ID), d.state(), c.version(want.Key, d, own)
	if res.Version > want.Version {
		return res, nil // a newer document stands there
	}
	if own {
		if d, err = c.update(ctx, d, want); err != nil {
			return res, err
		}
		res.State = d.state()
		if err := c.describe(ctx, d, want); err != nil {
			return res, err
		}
	}
	if err := c.notes(ctx, d, want); err != nil {
		return res, err
	}
	c.mu.Lock()
	remember(c.versions, want.Key, want.Version)
	delete(c.made, want.Key)
	c.mu.Unlock()
	res.Version = want.Version
	return res, nil
}

// version is that of the document that stands in the ticket: from the version
// field, else what this client wrote last.
func (c *Client) version(key string, d document, own bool) uint64 {
	if s, has := d.field(c.opt.VersionField); has && own {
		v, _ := strconv.ParseUint(s, 10, 64)
		return v
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.versions[key]
}

// find loads the ticket by its known id or by the key. A known id that leads to
// another incident's ticket without a merge is not believed.
func (c *Client) find(ctx context.Context, want itsm.Ticket, known itsm.Ref) (document, bool, error) {
	if known.ID != "" {
		d, err := c.read(ctx, known.ID)
		if err == nil {
			key, _ := d.field(c.opt.CorrelationField)
			merged := string(d.ID) != known.ID
			c.mu.Lock()
			ours := c.made[want.Key] == string(d.ID)
			c.mu.Unlock()
			if key == want.Key || merged || (key == "" && ours) {
				return d, true, nil
			}
		} else if !problem.Is(err, problem.NotFound) {
			return d, false, err
		}
	}
	id, err := c.lookUp(ctx, want.Key)
	if err != nil || id == "" {
		return document{}, false, err
	}
	d, err := c.read(ctx, id)
	return d, err == nil, err
}

// lookUp finds the eldest ticket that carries the key; empty when there is none.
// What RT's search returns is compared again: it ignores case, and an unknown
// field in a query is no error to it.
func (c *Client) lookUp(ctx context.Context, key string) (string, error) {
	var page struct {
		Items []document `json:"items"`
	}
	_, err := c.call(ctx, request{method: http.MethodGet, path: "/tickets", what: "search", query: url.Values{
		"query":    {"'CF.{" + c.opt.CorrelationField + "}' = '" + key + "' AND Status != 'deleted'"},
		"fields":   {"Status,CustomFields"},
		"per_page": {"100"}, "orderby": {"id"}, "order": {"ASC"},
	}}, &page)
	if err != nil {
		return "", err
	}
	for _, d := range page.Items {
		if v, _ := d.field(c.opt.CorrelationField); v == key {
			return string(d.ID), nil
		}
	}
	return "", nil
}

// create makes the ticket and sees that it carries the key; a second one that
// another process made at the same time is merged into the elder.
func (c *Client) create(ctx context.Context, want itsm.Ticket) (document, error) {
	q, err := c.queue(ctx, want.Queue)
	if err != nil {
		return document{}, err
	}
	if !q.has(c.opt.CorrelationField) {
		return document{}, c.noField(want.Queue).WithRetryAfter(operatorDelay)
	}
	fields := map[string]string{c.opt.CorrelationField: want.Key}
	if q.has(c.opt.VersionField) {
		fields[c.opt.VersionField] = strconv.FormatUint(want.Version, 10)
	}
	if q.has(c.opt.SeverityField) && want.Severity != "" {
		fields[c.opt.SeverityField] = string(want.Severity)
	}
	body := map[string]any{"Queue": want.Queue, "Subject": want.Title, "ContentType": "text/plain", "Content": content(want), "CustomFields": fields}
	if want.Requestor != "" {
		body["Requestor"] = want.Requestor
	}
	var made link
	if _, err := c.call(ctx, request{method: http.MethodPost, path: "/ticket", what: "queue", body: body}, &made); err != nil {
		return document{}, err
	}
	d, err := c.read(ctx, string(made.ID))
	if problem.Is(err, problem.NotFound) || problem.Is(err, problem.Forbidden) {
		return d, c.untaken(err, "the new ticket")
	}
	if err != nil {
		return d, err
	}
	key, _ := d.field(c.opt.CorrelationField)
	if string(d.ID) != string(made.ID) || d.Subject != want.Title || (key != want.Key && key != "") {
		return d, c.untaken(nil, "the new ticket")
	}
	if key == "" { // update will try again and say so; until then it must be found by its id
		c.mu.Lock()
		remember(c.made, want.Key, string(d.ID))
		c.mu.Unlock()
		return d, nil
	}
	return c.joinElder(ctx, want.Key, d)
}

func (c *Client) joinElder(ctx context.Context, key string, d document) (document, error) {
	elder, err := c.lookUp(ctx, key)
	if err != nil || elder == "" || elder == string(d.ID) {
		return d, err
	}
	if _, err := c.call(ctx, request{method: http.MethodPut, path: "/ticket/" + string(d.ID), what: "ticket",
		body: map[string]any{"MergeInto": link{ID: word(elder)}.ID.number()}}, nil); err != nil {
		return d, err
	}
	joined, err := c.read(ctx, string(d.ID))
	if err == nil && string(joined.ID) != elder {
		return d, c.untaken(nil, "MergeInto")
	}
	return joined, err
}

// content is the ticket's first text.
func content(t itsm.Ticket) string {
	var b strings.Builder
	b.WriteString(orElse(plain(t.Description), t.Title))
	if t.URL != "" || t.Dashboard != "" {
		b.WriteString(bodySeparator)
	}
	if t.URL != "" {
		b.WriteString("Incident: " + t.URL + "\n")
	}
	if t.Dashboard != "" {
		b.WriteString("Dashboard: " + t.Dashboard + "\n")
	}
	return b.String()
}

func (c *Client) noField(queue string) *problem.Error {
	return problem.New(problem.Invalid, "the queue %s in %s has no custom field %s that the service user can see", queue, c.opt.Name, c.opt.CorrelationField).
		WithHint("add a ticket custom field %s (enter one value) to the queue, with SeeCustomField and ModifyCustomField for the service user", c.opt.CorrelationField)
}
