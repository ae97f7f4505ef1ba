package tracing

import (
	"bytes"
	"math"
	"strconv"

	"github.com/tocsin-alerting/tocsin/tracing/otlp"
)

// weight is how many calls a span stands for: the inverse of the probability
// that its trace was kept.
func weight(s *otlp.Span) float64 {
	if p, ok := s.Attributes[keyProbability].Float(); ok && p > 0 && p <= 1 {
		return math.Min(1/p, mostWeight)
	}
	if len(s.TraceState) == 0 {
		return 1
	}
	return math.Min(threshold(s.TraceState), mostWeight)
}

// threshold reads the rejection threshold of OpenTelemetry's consistent sampling
// from a trace state: ot=th:c0 says that three in four traces were left out.
func threshold(state []byte) float64 {
	const all = 1 << 56
	for len(state) > 0 {
		var member []byte
		member, state, _ = bytes.Cut(state, []byte(","))
		ot, ok := bytes.CutPrefix(bytes.TrimSpace(member), []byte("ot="))
		for ok && len(ot) > 0 {
			var field []byte
			field, ot, _ = bytes.Cut(ot, []byte(";"))
			hex, ok := bytes.CutPrefix(field, []byte("th:"))
			if !ok || len(hex) == 0 || len(hex) > 14 {
				continue
			}
			n, err := strconv.ParseUint(string(hex), 16, 64)
			if err != nil {
				return 1
			}
			return all / (all - float64(n<<(4*(14-len(hex)))))
		}
	}
	return 1
}
