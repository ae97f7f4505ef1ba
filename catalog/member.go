package catalog

import "slices"

// TeamsOf lists the teams that may call a person: through oncall, a schedule, an
// escalation step or as their last resort, in the catalog's order.
func (c *Catalog) TeamsOf(id PersonID) []TeamID {
	var out []TeamID
	for _, t := range c.Teams {
		if c.member(t, id) {
			out = append(out, t.ID)
		}
	}
	return out
}

func (c *Catalog) member(t Team, id PersonID) bool {
	return slices.Contains(t.OnCall, id) || t.LastResort.Person == id || c.rotates(t.Schedule, id) ||
		slices.ContainsFunc(t.Escalation, func(s Step) bool { return s.Person == id || c.rotates(s.Schedule, id) })
}

// rotates says whether a schedule ever puts the person on call.
func (c *Catalog) rotates(schedule ScheduleID, id PersonID) bool {
	s, ok := c.Schedule(schedule)
	return ok && (slices.ContainsFunc(s.Layers, func(l Layer) bool { return slices.Contains(l.Members, id) }) ||
		slices.ContainsFunc(s.Overrides, func(o Override) bool { return o.Person == id }))
}
