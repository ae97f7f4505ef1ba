package evaluate

import "github.com/tocsin-alerting/tocsin/rule"

// Beside is a pool that judges by other rules what this one sees, from where this one
// stands: it knows the same tenants and suspects what this one suspects, and has raised
// nothing. Its rules must count what this one's of the same name do.
func (p *Pool) Beside(rules []rule.Rule) (*Pool, error) {
	state, err := p.Checkpoint()
	if err != nil {
		return nil, err
	}
	n := NewPool(p.o, p.environment, p.service)
	n.SetRules(rules)
	if err := n.Restore(state); err != nil {
		return nil, err
	}
	for _, s := range n.streams {
		s.w.raised = nil
	}
	return n, nil
}
