package embedded

import (
	"encoding/binary"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

const metaVersion = 1 // of what a partition counts

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
	return append(cell.AppendName(prefix(p, 'r', len(collection)+len(key)+4), collection), key...)
}

func subjectKey(p store.Partition, subject string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(cell.AppendName(prefix(p, 'x', len(subject)+12), subject), seq)
}

// timeKey orders timers by time: seconds with the sign turned round, then nanoseconds.
func timeKey(p store.Partition, at time.Time, id string) []byte {
	k := binary.BigEndian.AppendUint64(prefix(p, 'u', 12+len(id)), uint64(at.Unix())^1<<63)
	k = binary.BigEndian.AppendUint32(k, uint32(at.Nanosecond()))
	return append(k, id...)
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
		return m, problem.Wrap(cell.ErrDamaged, problem.Internal, "the state of a partition cannot be read")
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
		return 0, 0, problem.Wrap(cell.ErrDamaged, problem.Internal, "what is known of an input cannot be read")
	}
	return c[0], binary.BigEndian.Uint64(c[1:]), nil
}

func encodeConsumed(at time.Time, id string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(at.Unix())), id...)
}

func decodeConsumed(c []byte) (at time.Time, id string, err error) {
	if len(c) < 8 {
		return at, "", problem.Wrap(cell.ErrDamaged, problem.Internal, "what is known of an input cannot be read")
	}
	return time.Unix(int64(binary.BigEndian.Uint64(c)), 0), string(c[8:]), nil
}
