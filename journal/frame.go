package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// A segment starts with magic, its number and a checksum. Frames follow, each a
// header and a payload, numbers little-endian:
//
//	 0  marker
//	 4  length of the payload
//	 8  offset of the frame in its segment
//	16  durable: all before this offset was on disk when the frame was written
//	24  checksum of the payload
//	28  checksum of the 28 bytes above
//
// Offset makes a frame that lies inside a body recognisable as no frame, and
// durable tells a record torn by a crash, which nobody was promised, from
// damage to one that was: a later frame swears to what lay before it.
const (
	segmentHead = 20
	frameHead   = 32
	maxPayload  = MaxRecordBytes + 1024
)

// The first byte of a payload.
const (
	payloadMark   = 0 // nothing: the journal was closed here
	payloadRecord = 1
)

var (
	errFrame  = errors.New("no whole frame")
	errRecord = errors.New("the record's fields do not fit its length")
)

func magic() []byte       { return []byte("TOCSINJ\x01") }
func marker() []byte      { return []byte{0xc5, 'T', 'J', 0x9a} }
func sum(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

func segmentName(number uint64) string { return fmt.Sprintf("%016x.journal", number) }

func encodeSegmentHead(number uint64) []byte {
	h := binary.LittleEndian.AppendUint64(magic(), number)
	return binary.LittleEndian.AppendUint32(h, sum(h))
}

func checkSegmentHead(h []byte, number uint64) bool {
	return bytes.Equal(h, encodeSegmentHead(number))
}

// encodeFrame gives a frame whose place is not known yet; place completes it.
func encodeFrame(r Record) []byte {
	f := make([]byte, frameHead, frameHead+64+len(r.Kind)+len(r.Header)+len(r.Body))
	f = append(f, payloadRecord)
	f = binary.AppendVarint(f, int64(r.Version))
	f = binary.LittleEndian.AppendUint64(f, uint64(r.At.Unix()))
	f = binary.LittleEndian.AppendUint32(f, uint32(r.At.Nanosecond()))
	f = binary.AppendUvarint(f, uint64(len(r.Kind)))
	f = append(f, r.Kind...)
	f = binary.AppendUvarint(f, uint64(len(r.Header)))
	f = append(f, r.Header...)
	f = append(f, r.Body...)
	return seal(f)
}

func markFrame() []byte { return seal(append(make([]byte, frameHead), payloadMark)) }

// seal fills in what does not depend on the frame's place.
func seal(f []byte) []byte {
	copy(f, marker())
	binary.LittleEndian.PutUint32(f[4:], uint32(len(f)-frameHead))
	binary.LittleEndian.PutUint32(f[24:], sum(f[frameHead:]))
	return f
}

func place(f []byte, offset, durable int64) {
	binary.LittleEndian.PutUint64(f[8:], uint64(offset))
	binary.LittleEndian.PutUint64(f[16:], uint64(durable))
	binary.LittleEndian.PutUint32(f[28:], sum(f[:28]))
}

type frameHeader struct {
	length  int
	durable int64
	sum     uint32
}

// decodeHeader reads the header of the frame at offset.
func decodeHeader(h []byte, offset int64) (frameHeader, error) {
	if len(h) < frameHead || !bytes.Equal(h[:4], marker()) || binary.LittleEndian.Uint32(h[28:]) != sum(h[:28]) ||
		binary.LittleEndian.Uint64(h[8:]) != uint64(offset) {
		return frameHeader{}, errFrame
	}
	out := frameHeader{
		length:  int(binary.LittleEndian.Uint32(h[4:])),
		durable: int64(binary.LittleEndian.Uint64(h[16:])),
		sum:     binary.LittleEndian.Uint32(h[24:]),
	}
	if out.length < 1 || out.length > maxPayload {
		return frameHeader{}, errFrame
	}
	return out, nil
}

// decodePayload reads a record; ok is false for a mark. Header and Body alias p.
func decodePayload(p []byte) (r Record, ok bool, err error) {
	if len(p) == 0 || p[0] > payloadRecord {
		return r, false, errRecord
	}
	if p[0] == payloadMark {
		return r, false, nil
	}
	version, n := binary.Varint(p[1:])
	if n <= 0 || len(p) < 1+n+12 {
		return r, false, errRecord
	}
	p = p[1+n:]
	r.Version = int(version)
	r.At = time.Unix(int64(binary.LittleEndian.Uint64(p)), int64(binary.LittleEndian.Uint32(p[8:]))).UTC()
	p = p[12:]
	kind, p, err := cut(p)
	if err != nil {
		return Record{}, false, err
	}
	header, p, err := cut(p)
	if err != nil {
		return Record{}, false, err
	}
	r.Kind, r.Header, r.Body = string(kind), header, p
	return r, true, nil
}

// cut takes a length-prefixed part off p.
func cut(p []byte) (part, rest []byte, err error) {
	size, n := binary.Uvarint(p)
	if n <= 0 || size > uint64(len(p)-n) {
		return nil, nil, errRecord
	}
	p = p[n:]
	return p[:size:size], p[size:], nil
}
