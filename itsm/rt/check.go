package rt

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Check implements itsm.System. All faults of all queues are reported at once.
func (c *Client) Check(ctx context.Context) error {
	var version struct{ Version string }
	if _, err := c.call(ctx, request{method: http.MethodGet, path: "/rt", what: "front page"}, &version); err != nil {
		if problem.Is(err, problem.NotFound) {
			return problem.Wrap(err, problem.NotFound, "there is no REST2 interface at the address of %s", c.opt.Name).
				WithHint("url is the address of the front page of Request Tracker 5, with its path if it has one")
		}
		return err
	}
	if !strings.HasPrefix(version.Version, "5.") && !strings.HasPrefix(version.Version, "6.") {
		return problem.New(problem.Invalid, "%s is not Request Tracker 5", c.opt.Name).WithHint("REST2 came with version 5")
	}
	if _, err := c.self(ctx); err != nil {
		return err
	}
	var faults []*problem.Error
	for _, name := range c.watched() {
		found, err := c.checkQueue(ctx, name)
		if err != nil {
			return err
		}
		faults = append(faults, found...)
	}
	return joined(faults)
}

// checkQueue lists what is wrong with the queue; err is only set when that
// cannot be known.
func (c *Client) checkQueue(ctx context.Context, name string) ([]*problem.Error, error) {
	info, err := c.askQueue(ctx, name, c.opt.Now())
	if problem.Is(err, problem.Forbidden) || problem.Is(err, problem.NotFound) {
		return []*problem.Error{problem.Wrap(err, problem.NotFound, "%s has no queue %s that the service user can see", c.opt.Name, name).
			WithHint("make the queue, or give the user SeeQueue on it")}, nil
	}
	if err != nil {
		return nil, err
	}
	var faults []*problem.Error
	if info.disabled {
		faults = append(faults, problem.New(problem.Invalid, "the queue %s in %s is disabled", name, c.opt.Name).WithHint("enable it, or name another"))
	}
	if !info.mayCreate {
		faults = append(faults, problem.New(problem.Forbidden, "the service user may not create tickets in the queue %s of %s", name, c.opt.Name).
			WithHint("give it CreateTicket on the queue"))
	}
	if !info.has(c.opt.CorrelationField) {
		faults = append(faults, c.noField(name))
	}
	if f := c.opt.ResolutionField; f != "" && !info.has(f) {
		faults = append(faults, problem.New(problem.Invalid, "the queue %s in %s has no custom field %s, by which a resolution is told", name, c.opt.Name, f).
			WithHint("make the field and let it apply to the queue, let the service user see it, or take resolution_field and verdicts out"))
	}
	if !info.has(c.opt.VersionField) {
		c.log.Warn("queue has no version field: versions are remembered only until restart", "queue", name, "field", c.opt.VersionField)
	}
	return faults, nil
}

// joined makes one problem of several.
func joined(faults []*problem.Error) error {
	if len(faults) == 0 {
		return nil
	}
	first := *faults[0]
	var causes []error
	for i, f := range faults {
		if i > 0 {
			first.Message += "; " + f.Message
			first.Hint += "; " + f.Hint
		}
		causes = append(causes, f.Err)
	}
	first.Err = errors.Join(causes...)
	return &first
}
