package checkpoint_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/sli"
)

// record has a field of every sort.
type record struct {
	n, m   int64
	small  int
	on     bool
	v      float64
	text   string
	list   []string
	test   detect.Change
	burn   *detect.Burn
	absent *detect.Burn
	slice  sli.Slice
	maybe  *int64
	never  *int64
	newer  int64
}

func (r *record) code(c *checkpoint.Coder) {
	c.Ints(&r.n, &r.m)
	c.Small(&r.small)
	c.Bools(&r.on)
	c.Floats(&r.v)
	c.Text(&r.text)
	checkpoint.List(c, &r.list, c.Text)
	c.State(&r.test)
	checkpoint.Optional(c, &r.burn)
	checkpoint.Optional(c, &r.absent)
	c.Slice(&r.slice)
	checkpoint.Maybe(c, &r.maybe, c.Int)
	checkpoint.Maybe(c, &r.never, c.Int)
	if c.Since(3) {
		c.Int(&r.newer)
	}
}

func written(t *testing.T, r record, version byte) []byte {
	t.Helper()
	c := checkpoint.Write('R', version)
	require.False(t, c.Reading())
	r.code(c)
	data, err := c.Written()
	require.NoError(t, err)
	return data
}

func read(data []byte) (r record, err error) {
	c, err := checkpoint.Read(data, 'R')
	if err != nil {
		return r, err
	}
	r.list = []string{"of before"}
	r.code(c)
	return r, c.End()
}

func TestFieldsAreReadAsTheyWereWritten(t *testing.T) {
	whole := record{n: math.MinInt64, m: math.MaxInt64, small: -3, on: true, v: -0.1, text: "zwölf", list: []string{"", "b"}, burn: &detect.Burn{}, newer: 7,
		slice: sli.Slice{{Label: "acquirer", Value: "alpha"}}, maybe: new(int64)}
	*whole.maybe = 5
	data := written(t, whole, checkpoint.Version)
	require.Equal(t, []byte{'R', checkpoint.Version}, data[:2])
	got, err := read(data)
	require.NoError(t, err)
	require.Equal(t, written(t, whole, checkpoint.Version), written(t, got, checkpoint.Version))
	require.Equal(t, whole.list, got.list)
	require.Nil(t, got.absent)
	require.Equal(t, whole.slice, got.slice)
	require.Equal(t, whole.maybe, got.maybe)
	require.Nil(t, got.never)
	require.EqualValues(t, 7, got.newer)

	got, err = read(written(t, whole, 2))
	require.NoError(t, err)
	require.Zero(t, got.newer, "version 2 did not have it")

	empty, err := read(written(t, record{}, checkpoint.Version))
	require.NoError(t, err)
	require.Empty(t, empty.list, "what was there before is gone")
}

func TestDamagedRecordsAreRefused(t *testing.T) {
	data := written(t, record{text: "text", list: []string{"a", "b"}, burn: &detect.Burn{}}, checkpoint.Version)
	for n := range data {
		_, err := read(data[:n])
		require.True(t, problem.Is(err, problem.Malformed), "cut to %d of %d bytes", n, len(data))
	}
	_, err := read(append(data[:len(data):len(data)], 0))
	require.True(t, problem.Is(err, problem.Malformed), "something is left")
	_, err = checkpoint.Read(data, 'S')
	require.True(t, problem.Is(err, problem.Malformed), "another kind")
	for _, version := range []byte{0, checkpoint.Version + 1} {
		_, err = checkpoint.Read([]byte{'R', version}, 'R')
		require.True(t, problem.Is(err, problem.Invalid))
	}
	c, err := checkpoint.Read([]byte{'R', checkpoint.Version, 0xff, 0xff, 0xff, 0xff, 0x0f}, 'R')
	require.NoError(t, err)
	var long []string
	checkpoint.List(c, &long, c.Text)
	require.Error(t, c.Err())
	require.Empty(t, long, "no room is made for what cannot be there")
}
