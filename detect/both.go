package detect

// changeShare is the part of a stream's budget that the test against its last hour has,
// where there is one.
const changeShare = 1.0 / 4

// UsualShare is the part of a stream's budget for what is judged by the usual ratio. It
// must be shared where the stream is held against its last hour as well (looksBack).
func UsualShare(looksBack bool) float64 {
	if looksBack {
		return 1 - changeShare
	}
	return 1
}

// ForChange turns the parameters by which a stream is judged by its usual ratio into those
// for the test against its last hour.
func (p Parameters) ForChange() Parameters {
	p.Budget *= changeShare / (1 - changeShare)
	return p
}

// Either is what both tests of a stream say together: what fires, else what is nearer to
// it. was says that the stream fired before.
func Either(usual, lately Decision, was bool) Decision {
	d := usual
	if !usual.Firing && (lately.Firing || lately.Score*usual.Needed > usual.Score*lately.Needed) {
		d = lately
	}
	ended := was && !usual.Firing && !lately.Firing
	if ended && lately.Changed {
		d = lately
	}
	d.Firing = usual.Firing || lately.Firing
	d.Changed = d.Firing != was
	return d
}
