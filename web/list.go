package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Listing is the part of a list that is asked for: ?limit= and ?cursor=.
type Listing struct {
	Limit  int    // from 1 to 1000; default 100
	Cursor string // key of the last item of the part before; empty: from the start
}

// ParseListing reads which part of a list is asked for.
func ParseListing(r *http.Request) (Listing, error) {
	l := Listing{Limit: 100, Cursor: r.URL.Query().Get("cursor")}
	if v := r.URL.Query().Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 1000 {
			return l, problem.New(problem.Malformed, "limit must be a number from 1 to 1000")
		}
		l.Limit = n
	}
	return l, nil
}

// List is the shape of every list.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"` // cursor of the next part; empty: this was the last
}

// Cut gives the part of items, which are ordered by key, that l asks for.
func Cut[T any](items []T, key func(T) string, l Listing) List[T] {
	out := List[T]{Items: []T{}}
	for _, v := range items {
		if k := key(v); k <= l.Cursor && l.Cursor != "" {
			continue
		}
		if len(out.Items) == l.Limit {
			out.Next = key(out.Items[l.Limit-1])
			return out
		}
		out.Items = append(out.Items, v)
	}
	return out
}

// ParseTime reads the RFC 3339 time of a parameter or field; zero when it is empty.
func ParseTime(text, field string) (t time.Time, err error) {
	if text == "" {
		return t, nil
	}
	if t, err = time.Parse(time.RFC3339, text); err != nil {
		return t, problem.New(problem.Invalid, "%s is not an RFC 3339 time", field)
	}
	return t, nil
}

// ReasonRequest says why.
type ReasonRequest struct {
	Reason string `json:"reason"`
}
