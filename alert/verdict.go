package alert

import (
	"strings"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Verdict is what a person says of what rang.
type Verdict string

// The verdicts. What rang falsely is learned after all; what was real, was to be expected
// or was part of something else stays out of what is usual.
const (
	VerdictReal      Verdict = "real"
	VerdictFalse     Verdict = "false"
	VerdictExpected  Verdict = "expected"  // announced work, a promotion: no fault, and not usual either
	VerdictDuplicate Verdict = "duplicate" // of another incident
)

// Words say what it was.
func (v Verdict) Words() string {
	switch v {
	case VerdictFalse:
		return "a false alarm"
	case VerdictDuplicate:
		return "a duplicate"
	}
	return string(v)
}

// Verdicts lists them.
func Verdicts() []Verdict {
	return []Verdict{VerdictReal, VerdictFalse, VerdictExpected, VerdictDuplicate}
}

// ParseVerdict reads a verdict.
func ParseVerdict(text string) (Verdict, error) {
	for _, v := range Verdicts() {
		if string(v) == text {
			return v, nil
		}
	}
	var known []string
	for _, v := range Verdicts() {
		known = append(known, string(v))
	}
	return "", problem.New(problem.Invalid, "the verdict must be one of %s", strings.Join(known, ", "))
}
