package journal

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Position is a place between two records. The zero Position is the start of
// whatever the journal still holds.
type Position struct {
	Segment uint64
	Offset  int64
}

// Before says whether p lies before q.
func (p Position) Before(q Position) bool {
	return cmp.Or(cmp.Compare(p.Segment, q.Segment), cmp.Compare(p.Offset, q.Offset)) < 0
}

// IsZero says whether p is the start.
func (p Position) IsZero() bool { return p == Position{} }

// String is the text form.
func (p Position) String() string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], p.Segment)
	binary.BigEndian.PutUint64(raw[8:], uint64(p.Offset))
	return hex.EncodeToString(raw[:8]) + "-" + hex.EncodeToString(raw[8:])
}

// MarshalText gives a form that sorts as positions do.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText gives; anything else is Malformed.
func (p *Position) UnmarshalText(text []byte) error {
	var raw [16]byte
	bad := problem.New(problem.Malformed, "a position in the journal is two 16-digit hex numbers with a dash between")
	if len(text) != 33 || text[16] != '-' {
		return bad
	}
	if _, err := hex.Decode(raw[:8], text[:16]); err != nil {
		return bad
	}
	if _, err := hex.Decode(raw[8:], text[17:]); err != nil {
		return bad
	}
	q := Position{Segment: binary.BigEndian.Uint64(raw[:8]), Offset: int64(binary.BigEndian.Uint64(raw[8:]))}
	if q.Offset < 0 || q.String() != string(text) { // upper case would not sort
		return bad
	}
	*p = q
	return nil
}
