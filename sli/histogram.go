package sli

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Le is the label of a classic histogram's bucket edges.
const Le = "le"

// Buckets names the series of a classic histogram.
func Buckets(histogram string) string { return histogram + "_bucket" }

// ParseEdge reads a bucket edge: "0.5", "1", "1.0", "+Inf".
func ParseEdge(le string) (edge float64, ok bool) {
	v, err := strconv.ParseFloat(le, 64)
	if err != nil || math.IsNaN(v) || v < 0 {
		return 0, false
	}
	return v, true
}

// At is the SLI with events that took longer than the edge as the bad ones, for the
// PromQL form: which edge a tenant is judged by is learned, not declared.
func (s Spec) At(edge float64) Spec {
	s.Edge = edge
	return s
}

// Judges says whether the PromQL form can tell bad events from good ones.
func (s Spec) Judges() bool { return len(s.Bad) > 0 || s.Histogram != "" && s.Edge > 0 }

// Quantile is the duration that a share q of the events does not exceed, as PromQL; one
// line for each value of label when that is not empty.
func (s Spec) Quantile(q float64, label string, window time.Duration, sel Selection, slice Slice) string {
	by := " by (" + Le + ") "
	if label != "" {
		by = " by (" + Le + "," + label + ") "
	}
	return fmt.Sprintf("histogram_quantile(%g, %s)", q, s.sum(window, "", by, sel, slice))
}

// edgeMatcher is the condition on le. Senders write whole edges as 1 and as 1.0.
func edgeMatcher(edge float64) string {
	if math.IsInf(edge, 1) {
		return Le + `="+Inf"`
	}
	text := strconv.FormatFloat(edge, 'g', -1, 64)
	if strings.ContainsAny(text, ".e") {
		return fmt.Sprintf("%s=%q", Le, text)
	}
	return fmt.Sprintf("%s=~%q", Le, text+"|"+regexp.QuoteMeta(text+".0"))
}
