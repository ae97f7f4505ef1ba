package rt

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/problem"
)

// fields are what differs between a ticket and what is wanted, by RT's name.
type fields struct {
	core   map[string]string
	custom map[string]string
}

func (f fields) names() []string {
	return append(slices.Sorted(maps.Keys(f.core)), slices.Sorted(maps.Keys(f.custom))...)
}

// difference is pure: what must be written so that d equals want. An empty
// owner is no wish.
func (c *Client) difference(d document, want itsm.Ticket) fields {
	f := fields{core: map[string]string{}, custom: map[string]string{}}
	if d.Subject != want.Title {
		f.core["Subject"] = want.Title
	}
	if stateOf(d.Status) != want.State {
		f.core["Status"] = statusOf(want.State)
	}
	if want.Owner != "" && !strings.EqualFold(d.owner(), want.Owner) {
		f.core["Owner"] = want.Owner
	}
	for name, value := range map[string]string{
		c.opt.VersionField:  strconv.FormatUint(want.Version, 10),
		c.opt.SeverityField: string(want.Severity),
	} {
		if have, has := d.field(name); has && value != "" && have != value {
			f.custom[name] = value
		}
	}
	if have, _ := d.field(c.opt.CorrelationField); have != want.Key {
		f.custom[c.opt.CorrelationField] = want.Key
	}
	return f
}

// update writes what differs and reads it back.
func (c *Client) update(ctx context.Context, d document, want itsm.Ticket) (document, error) {
	if len(c.difference(d, want).names()) == 0 {
		return d, nil
	}
	want, err := c.respect(ctx, d, want)
	if err != nil {
		return d, err
	}
	change := c.difference(d, want)
	if len(change.names()) == 0 {
		return d, nil
	}
	body := map[string]any{}
	for k, v := range change.core {
		body[k] = v
	}
	if len(change.custom) > 0 {
		body["CustomFields"] = change.custom
	}
	r := request{method: http.MethodPut, path: "/ticket/" + string(d.ID), body: body, ifMatch: d.etag, what: "ticket"}
	if _, err := c.call(ctx, r, nil); err != nil {
		return d, err
	}
	after, err := c.read(ctx, string(d.ID))
	if err != nil {
		return d, err
	}
	if rest := c.difference(after, want).names(); len(rest) > 0 {
		return after, c.untaken(nil, rest...)
	}
	return after, nil
}

// respect takes out of want what must not be written: an owner RT does not
// know, and what would undo a person's change that Changes has yet to report.
func (c *Client) respect(ctx context.Context, d document, want itsm.Ticket) (itsm.Ticket, error) {
	diff := c.difference(d, want)
	_, owner := diff.core["Owner"]
	if owner {
		known, err := c.knowsUser(ctx, want.Owner)
		if err != nil {
			return want, err
		}
		if !known {
			c.log.Warn("owner is not a user of the ticket system, left out", "ticket", string(d.ID))
			want.Owner, owner = "", false
		}
	}
	_, status := diff.core["Status"]
	back := status && rank(want.State) < rank(stateOf(d.Status))
	taken := owner && d.owner() != ""
	if !back && !taken {
		return want, nil
	}
	fresh, err := c.unreported(ctx, d)
	if err != nil {
		return want, err
	}
	if back && fresh.status {
		want.State = stateOf(d.Status)
	}
	if taken && fresh.owner {
		want.Owner = ""
	}
	return want, nil
}

func (c *Client) knowsUser(ctx context.Context, name string) (bool, error) {
	if digits(name) || strings.ContainsAny(name, "/\\") {
		return false, nil // RT would read it as an id, or not route it
	}
	_, err := c.call(ctx, request{method: http.MethodGet, path: "/user/" + url.PathEscape(name), what: "user"}, nil)
	if problem.Is(err, problem.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// foreign tells which parts of a ticket somebody else changed last, unknown to
// whoever reads Changes.
type foreign struct{ status, owner bool }

func (c *Client) unreported(ctx context.Context, d document) (foreign, error) {
	self, err := c.self(ctx)
	if err != nil {
		return foreign{}, err
	}
	list, err := c.transactions(ctx, "TicketId = "+string(d.ID)+" AND (Type = 'Status' OR Field = 'Owner')", "DESC", 100)
	if err != nil {
		return foreign{}, err
	}
	c.mu.Lock()
	reported := c.reported
	c.mu.Unlock()
	var f foreign
	var status, owner bool // whether the newest of its kind was seen
	for _, t := range list {
		theirs := !strings.EqualFold(string(t.Creator.ID), self) && t.ID.number() > reported
		switch {
		case t.Type == "Status" && !status:
			f.status, status = theirs, true
		case t.Field == "Owner" && !owner:
			f.owner, owner = theirs, true
		}
	}
	return f, nil
}
