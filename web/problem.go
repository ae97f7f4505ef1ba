package web

import (
	"encoding/json"
	"net/http"

	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Problem is how an error is answered, as RFC 9457 has it.
type Problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Kind      problem.Kind `json:"kind"`
	Detail    string       `json:"detail"` // what is wrong
	Hint      string       `json:"hint"`   // what to do about it
	Retryable bool         `json:"retryable"`
	// Faults are what is wrong in a text that was sent or read, such as a policy, each with
	// its place; detail has the first of them too.
	Faults fault.List `json:"faults,omitempty"`
}

// WriteProblem prints a problem as RFC 9457; of are the faults that it is about.
func WriteProblem(w http.ResponseWriter, p *problem.Error, of fault.List) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Kind.Status())
	_ = json.NewEncoder(w).Encode(Problem{Type: "about:blank", Title: http.StatusText(p.Kind.Status()), Status: p.Kind.Status(),
		Kind: p.Kind, Detail: p.Message, Hint: p.Hint, Retryable: p.Retryable, Faults: of})
}
