package config

import "time"

// Limits bound what may come in. docs/limits.md has each with its answer.
type Limits struct {
	JournalBytes   int64         `yaml:"journal_bytes"`   // default 4 GiB
	MinFreeBytes   int64         `yaml:"min_free_bytes"`  // of the disk; default 256 MiB
	MinFreeRatio   float64       `yaml:"min_free_ratio"`  // of the disk; default 0.02
	BodyBytes      int64         `yaml:"body_bytes"`      // of a request of samples, as received; default 16 MiB
	UnpackedBytes  int64         `yaml:"unpacked_bytes"`  // of the same after decompression; default 64 MiB
	WaitingSamples int           `yaml:"waiting_samples"` // durable, in memory until they are evaluated, about 100 bytes each; default 2,000,000
	RequestTime    time.Duration `yaml:"request_time"`    // for a request's body to arrive, and then to be durable; default 30s

	SeriesPerRequest  int `yaml:"series_per_request"`  // default 100,000
	SamplesPerRequest int `yaml:"samples_per_request"` // default 1,000,000
	LabelsPerSeries   int `yaml:"labels_per_series"`   // default 64
	LabelNameBytes    int `yaml:"label_name_bytes"`    // default 256
	LabelValueBytes   int `yaml:"label_value_bytes"`   // default 4,096

	Tenants          int     `yaml:"tenants"`            // onboarded at a time; default 100,000
	SeriesPerTenant  int     `yaml:"series_per_tenant"`  // sending at a time; default 100,000
	OtherSeries      int     `yaml:"other_series"`       // of the product and of tenants nobody onboarded, together; default 1,000,000
	SamplesPerSecond float64 `yaml:"samples_per_second"` // of one tenant; default 200,000

	Query Query `yaml:"query"`
}

func (l *Limits) fill() {
	for _, d := range []struct {
		field *int64
		value int64
	}{{&l.JournalBytes, 4 << 30}, {&l.MinFreeBytes, 256 << 20}, {&l.BodyBytes, 16 << 20}, {&l.UnpackedBytes, 64 << 20}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&l.SeriesPerRequest, 100_000}, {&l.SamplesPerRequest, 1_000_000}, {&l.LabelsPerSeries, 64}, {&l.LabelNameBytes, 256}, {&l.LabelValueBytes, 4096},
		{&l.WaitingSamples, 2_000_000}, {&l.Tenants, 100_000}, {&l.SeriesPerTenant, 100_000}, {&l.OtherSeries, 1_000_000}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.MinFreeRatio == 0 {
		l.MinFreeRatio = 0.02
	}
	if l.SamplesPerSecond == 0 {
		l.SamplesPerSecond = 200_000
	}
	if l.RequestTime == 0 {
		l.RequestTime = 30 * time.Second
	}
	l.Query.fill()
}

func (l *Limits) check() (faults []string) {
	for _, n := range []struct {
		key   string
		value float64
	}{{"journal_bytes", float64(l.JournalBytes)}, {"min_free_bytes", float64(l.MinFreeBytes)}, {"body_bytes", float64(l.BodyBytes)}, {"unpacked_bytes", float64(l.UnpackedBytes)},
		{"series_per_request", float64(l.SeriesPerRequest)}, {"samples_per_request", float64(l.SamplesPerRequest)}, {"labels_per_series", float64(l.LabelsPerSeries)},
		{"label_name_bytes", float64(l.LabelNameBytes)}, {"label_value_bytes", float64(l.LabelValueBytes)}, {"waiting_samples", float64(l.WaitingSamples)}, {"tenants", float64(l.Tenants)},
		{"series_per_tenant", float64(l.SeriesPerTenant)}, {"other_series", float64(l.OtherSeries)}, {"samples_per_second", l.SamplesPerSecond}} {
		if !(n.value > 0) {
			faults = append(faults, "limits."+n.key+" must be positive")
		}
	}
	if !(l.MinFreeRatio > 0 && l.MinFreeRatio < 0.5) {
		faults = append(faults, "limits.min_free_ratio must be above 0 and below 0.5")
	}
	if l.RequestTime < time.Second || l.RequestTime > 10*time.Minute {
		faults = append(faults, "limits.request_time must be from 1s to 10m")
	}
	if l.BodyBytes > 200<<20 {
		faults = append(faults, "limits.body_bytes must be at most 209715200: the journal keeps a request in one piece")
	}
	return faults
}
