package profiles

import (
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/fault"
)

// Stored reads a policy that this release or an earlier one took. What that one took and
// this one refuses keeps nobody from using it: it means what it meant, and Mend tells it.
func Stored(name string, text []byte) (*Policy, error) {
	p, faults := Lenient(name, text)
	if err := faults.Problem(name, "compare with docs/examples/policy.yaml"); err != nil {
		return nil, err
	}
	return p, nil
}

// Lenient is Check for what an earlier release may have taken: what that took is a warning.
func Lenient(name string, text []byte) (*Policy, fault.List) {
	p, faults := Check(name, text)
	if p == nil {
		return nil, faults
	}
	for i := range faults {
		if p.once[faults[i].Field] {
			faults[i].Level = fault.Warning
			p.mend = append(p.mend, faults[i])
		}
	}
	if faults.Errors() == 0 && len(p.mend) > 0 {
		p.calendar, _ = calendar.New(signed(p.Announced))
	}
	return p, faults
}

// Mend is what is refused of a new policy and was taken of this one.
func (p *Policy) Mend() fault.List { return slices.Clone(p.mend) }

// taken are the fields of faults that earlier releases did not have: they cut decimals
// off, took a blank for a word and a 0 for nothing. A check that comes later belongs here,
// or keeps a daemon from its own policy.
func (p *Policy) taken(faults fault.List, zeros []string) map[string]bool {
	out := map[string]bool{}
	for _, f := range faults {
		key := f.Field[strings.LastIndexByte(f.Field, '.')+1:]
		blank := slices.Contains([]string{"reason", "by", "why", "summary", "service"}, key) && p.doc.Blank(f.Field)
		if blank || p.doc.Cut(f.Field) || slices.Contains(zeros, f.Message) {
			out[f.Field] = true
		}
	}
	return out
}

// signed are entries with a word where a blank stands.
func signed(entries []calendar.Entry) []calendar.Entry {
	out := slices.Clone(entries)
	for i := range out {
		for _, s := range []*string{&out[i].Why, &out[i].By} {
			if *s != "" && strings.TrimSpace(*s) == "" {
				*s = "not said"
			}
		}
	}
	return out
}
