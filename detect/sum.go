package detect

// Sum is how many events the baseline rests on and how many of them failed, older
// ones counting less.
func (b *Baseline) Sum() (events, failed float64) {
	if b == nil {
		return 0, 0
	}
	sum := b.learned()
	return sum.n, sum.k
}

// Version is another one when what was learned is.
func (b *Baseline) Version() int32 { return b.version }
