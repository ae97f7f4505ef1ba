package embedded

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

// Versions of what this package encodes itself.
const (
	inputVersion  = 1
	timerVersion  = 1
	ledgerVersion = 1
	metaVersion   = 1
)

func formatKey() []byte { return []byte("\x00format") }

// prefix starts every key of a partition's kind of thing; there is room for more.
func prefix(p store.Partition, tag byte, room int) []byte {
	k := make([]byte, 3, 3+room)
	k[0], k[1], k[2] = 1, byte(p), tag
	return k
}

func numKey(p store.Partition, tag byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(prefix(p, tag, 8), n)
}

func idKey(p store.Partition, tag byte, id string) []byte {
	return append(prefix(p, tag, len(id)), id...)
}

func recordKey(p store.Partition, collection, key string) []byte {
	return append(appendName(prefix(p, 'r', len(collection)+len(key)+4), collection), key...)
}

func subjectKey(p store.Partition, subject string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(appendName(prefix(p, 'x', len(subject)+12), subject), seq)
}

// timeKey orders timers by time: seconds with the sign turned round, then nanoseconds.
func timeKey(p store.Partition, at time.Time, id string) []byte {
	k := binary.BigEndian.AppendUint64(prefix(p, 'u', 12+len(id)), uint64(at.Unix())^1<<63)
	k = binary.BigEndian.AppendUint32(k, uint32(at.Nanosecond()))
	return append(k, id...)
}

// appendName ends s with 0 1 and writes a 0 inside it as 0 255.
func appendName(k []byte, s string) []byte {
	for i := range len(s) {
		k = append(k, s[i])
		if s[i] == 0 {
			k = append(k, 0xff)
		}
	}
	return append(k, 0, 1)
}

// after is the first key behind all that start with k.
func after(k []byte) []byte {
	end := append([]byte(nil), k...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

var errCell = errors.New("it is cut off or damaged")

func encodeCell(kind string, version int, data []byte) []byte {
	c := make([]byte, 0, len(kind)+len(data)+6)
	c = binary.AppendVarint(c, int64(version))
	c = binary.AppendUvarint(c, uint64(len(kind)))
	return append(append(c, kind...), data...)
}

// decodeCell gives the parts of c; data aliases it.
func decodeCell(c []byte) (kind string, version int, data []byte, err error) {
	v, n := binary.Varint(c)
	if n <= 0 {
		return "", 0, nil, errCell
	}
	size, m := binary.Uvarint(c[n:])
	if m <= 0 || size > uint64(len(c)-n-m) {
		return "", 0, nil, errCell
	}
	c = c[n+m:]
	return string(c[:size]), int(v), c[size:], nil
}

func encodeJSON(kind string, version int, v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the payload of a %s is not JSON or its time cannot be written", kind)
	}
	return encodeCell(kind, version, raw), nil
}

func decodeJSON(c []byte, kind string, version int, v any) error {
	k, ver, data, err := decodeCell(c)
	if err == nil && (k != kind || ver > version) {
		err = errors.New("it was written by a newer version")
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return problem.Wrap(err, problem.Internal, "a stored %s cannot be read", kind)
	}
	return nil
}

// storedInput tells an input without payload from one that is null.
type storedInput struct {
	store.Input
	Payload json.RawMessage `json:"payload,omitempty"`
}

func encodeInput(in store.Input) ([]byte, error) {
	in.At = in.At.UTC()
	return encodeJSON("input", inputVersion, storedInput{Input: in, Payload: in.Payload})
}

func decodeInput(c []byte) (store.Input, error) {
	var in storedInput
	err := decodeJSON(c, "input", inputVersion, &in)
	in.Input.Payload = in.Payload
	return in.Input, err
}

// meta is what a partition counts.
type meta struct {
	Seq      uint64 // of the last input
	Consumed uint64 // inputs ever consumed: the number of the next
	Oldest   uint64 // number of the oldest consumed input still remembered
	Head     ledger.Head
}

func (m *meta) encode() []byte {
	c := append(make([]byte, 0, 1+4*8+64), metaVersion)
	for _, n := range []uint64{m.Seq, m.Consumed, m.Oldest, m.Head.Seq} {
		c = binary.BigEndian.AppendUint64(c, n)
	}
	return append(c, m.Head.Hash...)
}

func decodeMeta(c []byte) (m meta, err error) {
	if len(c) < 33 || c[0] != metaVersion {
		return m, problem.Wrap(errCell, problem.Internal, "the state of a partition cannot be read")
	}
	for i, n := range []*uint64{&m.Seq, &m.Consumed, &m.Oldest, &m.Head.Seq} {
		*n = binary.BigEndian.Uint64(c[1+8*i:])
	}
	m.Head.Hash = string(c[33:])
	return m, nil
}

// What is known of an input's id: a state and a number.
const (
	idHeld     = 0 // the number is its seq
	idConsumed = 1 // the number is its place among the consumed
)

func encodeID(state byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{state}, n)
}

func decodeID(c []byte) (state byte, n uint64, err error) {
	if len(c) != 9 {
		return 0, 0, problem.Wrap(errCell, problem.Internal, "what is known of an input cannot be read")
	}
	return c[0], binary.BigEndian.Uint64(c[1:]), nil
}

func encodeConsumed(at time.Time, id string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(at.Unix())), id...)
}

func decodeConsumed(c []byte) (at time.Time, id string, err error) {
	if len(c) < 8 {
		return at, "", problem.Wrap(errCell, problem.Internal, "what is known of an input cannot be read")
	}
	return time.Unix(int64(binary.BigEndian.Uint64(c)), 0), string(c[8:]), nil
}
