// Package cell is how the store's durable homes write values down: each carries
// its kind and version before its data.
//
// It knows bytes; which keys they lie under is each home's own.
package cell

import (
	"encoding/binary"
	"encoding/json"
	"errors"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

// Versions of what the homes encode themselves.
const (
	InputVersion  = 1
	TimerVersion  = 1
	LedgerVersion = 1
)

// ErrDamaged: the bytes are no cell.
var ErrDamaged = errors.New("it is cut off or damaged")

// Encode makes a cell of version, kind and data.
func Encode(kind string, version int, data []byte) []byte {
	c := make([]byte, 0, len(kind)+len(data)+6)
	c = binary.AppendVarint(c, int64(version))
	c = binary.AppendUvarint(c, uint64(len(kind)))
	return append(append(c, kind...), data...)
}

// Decode gives the parts of c; data aliases it.
func Decode(c []byte) (kind string, version int, data []byte, err error) {
	v, n := binary.Varint(c)
	if n <= 0 {
		return "", 0, nil, ErrDamaged
	}
	size, m := binary.Uvarint(c[n:])
	if m <= 0 || size > uint64(len(c)-n-m) {
		return "", 0, nil, ErrDamaged
	}
	c = c[n+m:]
	return string(c[:size]), int(v), c[size:], nil
}

// EncodeJSON is Encode of v as JSON; Invalid when it has none.
func EncodeJSON(kind string, version int, v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the payload of a %s is not JSON or its time cannot be written", kind)
	}
	return Encode(kind, version, raw), nil
}

// DecodeJSON reads a cell of the kind, up to the version, into v.
func DecodeJSON(c []byte, kind string, version int, v any) error {
	k, ver, data, err := Decode(c)
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

// EncodeInput makes an input's cell.
func EncodeInput(in store.Input) ([]byte, error) {
	in.At = in.At.UTC()
	return EncodeJSON("input", InputVersion, storedInput{Input: in, Payload: in.Payload})
}

// DecodeInput reads what EncodeInput made.
func DecodeInput(c []byte) (store.Input, error) {
	var in storedInput
	err := DecodeJSON(c, "input", InputVersion, &in)
	in.Input.Payload = in.Payload
	return in.Input, err
}

// EncodeRecord makes a record's cell; collection and key are not in it.
func EncodeRecord(r store.Record) []byte { return Encode(r.Kind, r.Version, r.Value) }

// DecodeRecord reads what EncodeRecord made; the value aliases c.
func DecodeRecord(collection, key string, c []byte) (store.Record, error) {
	kind, version, data, err := Decode(c)
	if err != nil {
		return store.Record{}, problem.Wrap(err, problem.Internal, "record %s/%s cannot be read", collection, key)
	}
	return store.Record{Collection: collection, Key: key, Kind: kind, Version: version, Value: data}, nil
}

// AppendName ends s with 0 1 and writes a 0 inside it as 0 255, so that no name
// is another's prefix and names keep their order.
func AppendName(k []byte, s string) []byte {
	for i := range len(s) {
		k = append(k, s[i])
		if s[i] == 0 {
			k = append(k, 0xff)
		}
	}
	return append(k, 0, 1)
}
