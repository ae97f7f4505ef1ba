// Package fault is what is wrong in a file that a person wrote: where it
// stands, in which field, and what to do. It reads YAML strictly and keeps the
// place of everything, so that a check that comes later can still name the line.
//
// It knows YAML and Go's types. What a field means is known by who owns the
// type. A rejected value never stands in a fault; the name of a key may.
package fault

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Level says how bad it is.
type Level string

// An Error keeps the file from being used; a Warning is legal and unwise.
const (
	Error   Level = "error"
	Warning Level = "warning"
)

// Fault is one thing that is wrong.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`  // from 1; 0: the file as a whole
	Field   string `json:"field"` // itsm.systems[0].mode; empty: none in particular
	Level   Level  `json:"level"`
	Message string `json:"message"` // what is wrong and what to do
}

// String is the fault as compilers print theirs; of no file, the field says where.
func (f Fault) String() string {
	where := f.File
	switch {
	case f.Line > 0:
		where = fmt.Sprintf("%s:%d", f.File, f.Line)
	case where == "":
		where = f.Field
	}
	if where != "" {
		where += ": "
	}
	if f.Level == Warning {
		where += "warning: "
	}
	return where + f.Message
}

// List is all that is wrong at once.
type List []Fault

// Errors counts what keeps the files from being used.
func (l List) Errors() int {
	n := 0
	for _, f := range l {
		if f.Level != Warning {
			n++
		}
	}
	return n
}

// maxShown faults stand in an error's message and maxTold beside it; a file of another
// kind has thousands.
const (
	maxShown = 50
	maxTold  = 1000
)

// Refused is an error with the faults that it is about, one by one.
type Refused struct {
	Problem *problem.Error // its message has the errors too
	Faults  List           // warnings too
}

// Error is the problem's.
func (r *Refused) Error() string { return r.Problem.Error() }

// Head is what the problem says without the faults.
func (r *Refused) Head() string {
	const end = " fault(s)"
	if head, _, ok := strings.Cut(r.Problem.Message, end+": "); ok {
		return head + end
	}
	return r.Problem.Message
}

// Unwrap gives the problem.
func (r *Refused) Unwrap() error { return r.Problem }

// Of are the faults that an error is about; nil: of none in particular.
func Of(err error) List {
	var r *Refused
	if !errors.As(err, &r) {
		return nil
	}
	return r.Faults
}

// Problem is the errors of the list as one error, all of them in its message, the list
// beside it as a Refused; nil when there are none.
func (l List) Problem(what, hint string) error {
	var texts []string
	for _, f := range l {
		if f.Level != Warning {
			texts = append(texts, f.String())
		}
	}
	if len(texts) == 0 {
		return nil
	}
	if more := len(texts) - maxShown; more > 0 {
		texts = append(texts[:maxShown], fmt.Sprintf("and %d more", more))
	}
	p := problem.New(problem.Invalid, "%s has %d fault(s): %s", what, l.Errors(), strings.Join(texts, "; ")).WithHint("%s", hint)
	return &Refused{p, l[:min(len(l), maxTold)]}
}
