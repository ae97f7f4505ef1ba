package rt

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/problem"
)

// overlap is how many transactions before the newest are asked for again: ids
// are given before they are committed, so a lower one may appear later.
const overlap = 200

// pagesPerPoll bounds one call of Changes; the next goes on from there.
const pagesPerPoll = 10

// cursor is where Changes stands, in RT's transaction ids.
type cursor struct {
	Floor int64   `json:"floor"` // nothing up to here is of interest
	Max   int64   `json:"max"`   // the newest seen
	Seen  []int64 `json:"seen"`  // those in between that were reported
}

// transaction is one entry of RT's history.
type transaction struct {
	ID       word      `json:"id"`
	Record   string    `json:"type"` // always "transaction"; named here because "Type" would take it otherwise
	Type     string    `json:"Type"`
	Field    string    `json:"Field"`
	NewValue string    `json:"NewValue"`
	ObjectID word      `json:"ObjectId"`
	Creator  link      `json:"Creator"`
	Created  time.Time `json:"Created"`
}

// transactions runs TransactionSQL. A user who does not see all gets no totals.
func (c *Client) transactions(ctx context.Context, sql, order string, limit int) ([]transaction, error) {
	var page struct {
		Items []transaction `json:"items"`
	}
	_, err := c.call(ctx, request{method: http.MethodGet, path: "/transactions", what: "history", query: url.Values{
		"query": {sql}, "orderby": {"id"}, "order": {order}, "per_page": {strconv.Itoa(limit)},
		"fields": {"Type,Field,NewValue,ObjectId,Creator,Created"},
	}}, &page)
	return page.Items, err
}

// Changes implements itsm.System. It reads the history of the queues in the
// options, and of those that Sync was sent to since the start.
func (c *Client) Changes(ctx context.Context, from string) ([]itsm.Observed, string, error) {
	self, err := c.self(ctx)
	if err != nil {
		return nil, from, err
	}
	queues := c.inQueues()
	if from == "" {
		return c.begin(ctx, queues)
	}
	var at cursor
	if err := json.Unmarshal([]byte(from), &at); err != nil || at.Max < 0 || at.Floor < 0 {
		return nil, from, problem.New(problem.Invalid, "the cursor is not one of %s", c.opt.Name).WithHint("start with an empty one")
	}
	fresh, done, err := c.since(ctx, at, queues)
	if err != nil {
		return nil, from, err
	}
	out, err := c.observe(ctx, self, fresh)
	if err != nil {
		return nil, from, err
	}
	next, err := json.Marshal(at.advance(fresh, done))
	if err != nil {
		return nil, from, problem.Wrap(err, problem.Internal, "the cursor cannot be written")
	}
	c.handedOut(max(at.Max, done))
	return out, string(next), nil
}

func (c *Client) begin(ctx context.Context, queues string) ([]itsm.Observed, string, error) {
	// Of kinds the user may see: what is hidden makes the page empty.
	newest, err := c.transactions(ctx, queues+" AND (Type = 'Create' OR Type = 'Status' OR Field = 'Owner')", "DESC", 1)
	if err != nil {
		return nil, "", err
	}
	at := cursor{Seen: []int64{}}
	if len(newest) > 0 {
		at.Floor = newest[0].ID.number()
		at.Max = at.Floor
	}
	b, err := json.Marshal(at)
	if err != nil {
		return nil, "", problem.Wrap(err, problem.Internal, "the cursor cannot be written")
	}
	c.handedOut(at.Max)
	return []itsm.Observed{}, string(b), nil
}

func (c *Client) handedOut(id int64) {
	c.mu.Lock()
	c.reported = max(c.reported, id)
	c.mu.Unlock()
}

// fieldChanged is the type of a transaction that sets a custom field.
const fieldChanged = "CustomField"

// kinds selects the transactions that Changes reports.
func (c *Client) kinds() string {
	if c.opt.ResolutionField == "" {
		return "Type = 'Status' OR Field = 'Owner'"
	}
	return "Type = 'Status' OR Field = 'Owner' OR Type = '" + fieldChanged + "'"
}

func (c *Client) inQueues() string {
	var b strings.Builder
	for i, q := range c.watched() {
		if i > 0 {
			b.WriteString(" OR ")
		}
		b.WriteString("TicketQueue = '" + q + "'")
	}
	return "(" + b.String() + ")"
}

// since lists what the cursor has not seen, in order; newest is the highest id
// that was looked at.
func (c *Client) since(ctx context.Context, at cursor, queues string) (fresh []transaction, newest int64, err error) {
	after := max(at.Floor, at.Max-overlap)
	newest = at.Max
	for range pagesPerPoll {
		list, err := c.transactions(ctx, queues+" AND id > "+strconv.FormatInt(after, 10)+
			" AND ("+c.kinds()+")", "ASC", partsPerPage)
		if err != nil {
			return nil, 0, err
		}
		for _, t := range list {
			if t.ID.number() > after && !slices.Contains(at.Seen, t.ID.number()) {
				fresh = append(fresh, t)
			}
		}
		if len(list) == 0 {
			break
		}
		last := list[len(list)-1].ID.number()
		if last <= after {
			break
		}
		after = last
		newest = max(newest, last)
	}
	return fresh, newest, nil
}

// advance moves the cursor past fresh.
func (at cursor) advance(fresh []transaction, newest int64) cursor {
	next := cursor{Floor: at.Floor, Max: max(at.Max, newest), Seen: []int64{}}
	for _, t := range fresh {
		at.Seen = append(at.Seen, t.ID.number())
	}
	for _, id := range at.Seen {
		if id > next.Max-overlap {
			next.Seen = append(next.Seen, id)
		}
	}
	return next
}

// observe turns other people's transactions into what each ticket came to.
func (c *Client) observe(ctx context.Context, self string, list []transaction) ([]itsm.Observed, error) {
	type last struct {
		status, any transaction
		moved       bool     // or taken; not only fields were filled in
		filled      []string // ids of those fields
	}
	var order []word
	byTicket := map[word]*last{}
	for _, t := range list {
		if strings.EqualFold(string(t.Creator.ID), self) {
			continue
		}
		l := byTicket[t.ObjectID]
		if l == nil {
			l = &last{}
			byTicket[t.ObjectID] = l
			order = append(order, t.ObjectID)
		}
		l.any = t
		if t.Type == "Status" {
			l.status = t
		}
		if t.Type == fieldChanged {
			l.filled = append(l.filled, t.Field)
		} else {
			l.moved = true
		}
	}
	out := []itsm.Observed{}
	for _, id := range order {
		d, err := c.read(ctx, string(id))
		if problem.Is(err, problem.NotFound) || problem.Is(err, problem.Forbidden) {
			continue
		}
		if err != nil {
			return nil, err
		}
		key, _ := d.field(c.opt.CorrelationField)
		if key == "" {
			continue // not one of ours
		}
		l := byTicket[id]
		// The state is what they made of it, not what we may have made of it since.
		state := d.state()
		switch {
		case !l.moved:
			state = ""
		case l.status.Type != "":
			state = stateOf(l.status.NewValue)
			if state == itsm.Open && d.owner() != "" {
				state = itsm.Acknowledged
			}
		case d.owner() != "":
			state = itsm.Acknowledged
		}
		resolution := c.resolution(d, l.filled, state)
		if !l.moved && resolution == "" {
			continue // some other field
		}
		out = append(out, itsm.Observed{Key: key, Ref: c.ref(d.ID), State: state, Owner: d.owner(), Resolution: resolution,
			Actor: string(l.any.Creator.ID), At: l.any.Created.UTC()})
	}
	return out, nil
}

// resolution is what people said of how a ticket was resolved: when they filled the field
// in, or resolved the ticket. What stands there of an earlier life is not said again.
func (c *Client) resolution(d document, filled []string, state itsm.State) string {
	f, ok := d.custom(c.opt.ResolutionField)
	if !ok || len(f.Values) == 0 || state != itsm.Resolved && !slices.Contains(filled, string(f.ID)) {
		return ""
	}
	return f.Values[0]
}
