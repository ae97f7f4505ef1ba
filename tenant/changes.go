package tenant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Same says whether two documents are the same, their revisions too.
func (t Tenant) Same(o Tenant) bool {
	x, err1 := json.Marshal(t)
	y, err2 := json.Marshal(o)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// Changes says in words how a document differs from the one before: features and state as
// they are, other fields by name.
func (t Tenant) Changes(before Tenant) string {
	var out []string
	less := func(x, y []string) []string {
		return slices.DeleteFunc(slices.Clone(x), func(s string) bool { return slices.Contains(y, s) })
	}
	if in := less(t.Features, before.Features); len(in) > 0 {
		out = append(out, "the tenant opted in to "+strings.Join(in, ", "))
	}
	if gone := less(before.Features, t.Features); len(gone) > 0 {
		out = append(out, "the tenant opted out of "+strings.Join(gone, ", "))
	}
	if before.State != t.State {
		out = append(out, fmt.Sprintf("the tenant is %s, before: %s", t.State, before.State))
	}
	var fields []string
	x, y := before.fields(), t.fields()
	for f := range y {
		if !bytes.Equal(x[f], y[f]) && !slices.Contains([]string{"features", "opt_ins", "state", "revision"}, f) {
			fields = append(fields, f)
		}
	}
	if slices.Sort(fields); len(fields) > 0 {
		out = append(out, "the tenant's document changed: "+strings.Join(fields, ", "))
	}
	if len(out) == 0 { // only the times of its opt-ins
		return "the tenant's document changed: opt_ins"
	}
	return strings.Join(out, "; ")
}

// fields are those of the document as it is kept.
func (t Tenant) fields() map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	if raw, err := json.Marshal(t); err == nil {
		_ = json.Unmarshal(raw, &out)
	}
	return out
}
