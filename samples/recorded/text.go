package recorded

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/tsdb/fileutil"

	"github.com/tocsin-alerting/tocsin/problem"
)

// text is a file of OpenMetrics text. Exposition groups by metric and series, not
// by time: the samples are first sorted into files of one stretch each.
type text struct {
	dir      string
	series   []*Series
	from, to int64
	files    map[int64]string // by the start of the stretch
}

// Bytes of a spooled sample: series, time, value.
const spooled = 4 + 8 + 8

func openText(path string) (_ Source, err error) {
	m, err := fileutil.OpenMmapFile(path)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the file of recorded data cannot be read")
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	folder, err := os.MkdirTemp("", "tocsin-read-")
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "no temporary folder can be made")
	}
	t := &text{dir: folder, from: math.MaxInt64, to: math.MinInt64, files: map[int64]string{}}
	if err := t.spool(m.Bytes()); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	if t.to < t.from {
		return nil, errors.Join(problem.New(problem.Invalid, "the file holds no sample"), t.Close())
	}
	return t, nil
}

// Close implements Source.
func (t *text) Close() error { return os.RemoveAll(t.dir) }

// Span implements Source.
func (t *text) Span(context.Context) (from, to time.Time, err error) {
	return time.UnixMilli(t.from).UTC(), time.UnixMilli(t.to).UTC(), nil
}

// spool parses the text and writes every sample to the file of its stretch.
func (t *text) spool(raw []byte) (err error) {
	files := map[int64]*spoolFile{}
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.close())
		}
	}()
	ids := map[string]uint32{}
	p := textparse.NewOpenMetricsParser(raw, labels.NewSymbolTable())
	var record [spooled]byte
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return problem.Wrap(err, problem.Invalid, "the file is not OpenMetrics text").WithHint("promtool tsdb dump-openmetrics writes it; it ends with # EOF")
		}
		if entry != textparse.EntrySeries {
			continue
		}
		name, at, v := p.Series()
		if at == nil {
			return problem.New(problem.Invalid, "series number %d of the file has a sample without a time", len(ids)+1).WithHint("recorded samples carry their time in seconds")
		}
		id, ok := ids[string(name)]
		if !ok {
			var ls labels.Labels
			p.Labels(&ls)
			id = uint32(len(t.series))
			ids[string(bytes.Clone(name))] = id
			t.series = append(t.series, &Series{Labels: ls, Index: int(id)})
		}
		t.from, t.to = min(t.from, *at), max(t.to, *at)
		start := time.UnixMilli(*at).Truncate(stretch).UnixMilli()
		f := files[start]
		if f == nil {
			if f, err = newSpoolFile(t.dir, start); err != nil {
				return err
			}
			files[start], t.files[start] = f, f.Name()
		}
		binary.LittleEndian.PutUint32(record[0:], id)
		binary.LittleEndian.PutUint64(record[4:], uint64(*at))
		binary.LittleEndian.PutUint64(record[12:], math.Float64bits(v))
		if _, err := f.w.Write(record[:]); err != nil {
			return problem.Wrap(err, problem.Unavailable, "the temporary folder cannot be written")
		}
	}
}

type spoolFile struct {
	*os.File
	w *bufio.Writer
}

func newSpoolFile(dir string, start int64) (*spoolFile, error) {
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.samples", start))) //nolint:gosec // our own temporary folder
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "the temporary folder cannot be written")
	}
	return &spoolFile{f, bufio.NewWriterSize(f, 32<<10)}, nil
}

func (f *spoolFile) close() error { return errors.Join(f.w.Flush(), f.Close()) }

// Read implements Source.
func (t *text) Read(ctx context.Context, q Query, take func(Stretch) error) error {
	wanted := make([]bool, len(t.series))
	for i, s := range t.series {
		wanted[i] = len(q.Metrics) == 0 || slices.Contains(q.Metrics, s.Labels.Get(labels.MetricName))
	}
	return q.stretches(ctx, stretch, func(from, to int64) error {
		file, ok := t.files[time.UnixMilli(from).Truncate(stretch).UnixMilli()]
		if !ok {
			return take(Stretch{From: from, To: to})
		}
		runs, err := t.load(file, wanted, from)
		if err != nil {
			return err
		}
		return take(Stretch{from, to, runs})
	})
}

type spooledSample struct {
	id uint32
	Sample
}

// load reads one stretch and sorts it by series and time.
func (t *text) load(file string, wanted []bool, from int64) ([]*Run, error) {
	raw, err := os.ReadFile(file) //nolint:gosec // our own temporary folder
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "the temporary folder cannot be read")
	}
	all := make([]spooledSample, 0, len(raw)/spooled)
	for ; len(raw) >= spooled; raw = raw[spooled:] {
		id, at := binary.LittleEndian.Uint32(raw), int64(binary.LittleEndian.Uint64(raw[4:]))
		if wanted[id] && at >= from {
			all = append(all, spooledSample{id, Sample{at, math.Float64frombits(binary.LittleEndian.Uint64(raw[12:]))}})
		}
	}
	order := func(a, b spooledSample) int { return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.T, b.T)) }
	if !slices.IsSortedFunc(all, order) {
		slices.SortStableFunc(all, order)
	}
	var runs []*Run
	samples := make([]Sample, len(all))
	for len(all) > 0 {
		n := 0
		for ; n < len(all) && all[n].id == all[0].id; n++ {
			samples[n] = all[n].Sample
		}
		runs = append(runs, &Run{t.series[all[0].id], &listed{rest: samples[:n:n], last: math.MinInt64}})
		all, samples = all[n:], samples[n:]
	}
	return runs, nil
}
