package redis

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

// prefixes of the partitions; the braces keep all keys of one in one slot.
var prefixes = func() (out [store.Partitions]string) {
	for p := range out {
		out[p] = fmt.Sprintf("tocsin:{p%03d}:", p)
	}
	return out
}()

const (
	keyFormat   = "tocsin:{p000}:format"
	keyMembers  = "tocsin:{members}:cards"
	keyBeats    = "tocsin:{members}:beats"
	wakeChannel = "tocsin:wake"
)

// keys names things of p, e.g. keys(p, "m", "c").
func keys(p store.Partition, names ...string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefixes[p] + n
	}
	return out
}

// digest stands for a consumed id: sixteen bytes instead of any number.
func digest(id string) []byte {
	sum := sha256.Sum256([]byte(id))
	return sum[:16]
}

// timeKey orders by time: seconds with the sign turned round, then nanoseconds.
func timeKey(at time.Time) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 12), uint64(at.Unix())^1<<63)
	return binary.BigEndian.AppendUint32(k, uint32(at.Nanosecond()))
}

func timeOf(k []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(k)^1<<63), int64(binary.BigEndian.Uint32(k[8:]))).UTC()
}

// subjectKey is a member of the ledger's index.
func subjectKey(subject string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(cell.AppendName(nil, subject), seq)
}

// encodeSent is what the outbox holds: the target and the input's cell.
func encodeSent(to store.Partition, c []byte) []byte { return append([]byte{byte(to)}, c...) }

func decodeSent(c []byte) (store.Message, error) {
	if len(c) == 0 {
		return store.Message{}, damaged("a message in an outbox", cell.ErrDamaged)
	}
	in, err := cell.DecodeInput(c[1:])
	return store.Message{To: store.Partition(c[0]), Input: in}, err
}

// entryCell skips the time and index members before a ledger entry's cell.
func entryCell(c []byte) ([]byte, error) {
	if len(c) < 12 {
		return nil, damaged("a ledger entry", cell.ErrDamaged)
	}
	n := binary.BigEndian.Uint32(c[8:])
	c = c[12:]
	for range n {
		if len(c) < 4 || uint64(len(c)-4) < uint64(binary.BigEndian.Uint32(c)) {
			return nil, damaged("a ledger entry", cell.ErrDamaged)
		}
		c = c[4+binary.BigEndian.Uint32(c):]
	}
	return c, nil
}

func damaged(what string, err error) error {
	return problem.Wrap(err, problem.Internal, "%s in Redis cannot be read", what).
		WithHint("the keys tocsin:* belong to tocsin alone; restore them from a backup")
}
