package detect

import "math"

// Scene is what went on in a product's combinations of dimensions (card through alpha
// in DE) while failures may have been one customer's. One customer is in exactly one
// combination, and his failures come on top of what usually comes; a fault is in every
// combination of its slice, as much as each has of the volume, and those who fail are
// missing from the successes.
type Scene struct {
	Parts    []Part    // at most 32
	Slices   []uint32  // what a fault may be of, each a set of parts by their bits; the whole may be one
	Among    uint32    // the parts of the cell that is suspected: the customer is in one of them
	Minutes  float64   // that it lasts
	Active   float64   // minutes of it until the newest bad step
	Blocks   []float64 // Minutes in pieces, by time; nil: nobody kept them
	Expected float64   // successes of all parts that usually come in Minutes
	Size     float64   // of the negative binomial of their number: the reciprocal of the expectation's relative variance
	Sharing  float64   // events after which the parts' shares are no better known: the reciprocal of theirs
}

// Part is one combination.
type Part struct {
	Successes float64 // that came
	Failures  float64
	Run       []float64 // of Failures, by block
	Usual     float64   // failures that this many events usually bring
	Share     float64   // of all parts' successes that are usually its
}

const (
	swingSize  = 25.0 // usual failures swing by a fifth
	spreadSize = 50.0 // and how a fault's are spread over its parts by a seventh
	boutPrior  = 1.0  // nats that begin and end of a bout take to be fitted
	lonelyPart = 0.15 // chance that a fault is of one combination only
)

// fault is how many nats speak for a fault rather than for one customer's retries.
func (x *Scene) fault() float64 { return x.likeliestFault() - x.likeliestRetries() + retriesPrior }

// gaveUp is how many nats speak against one customer who still tries after so many
// minutes: half have given up after a quarter of an hour, hardly any go on after an hour.
func gaveUp(minutes float64) float64 {
	return math.Ln2 * math.Pow(math.Max(minutes, 0)/15, 1.5)
}

// likeliestRetries is the logarithm of the likelihood of one customer in the part that
// explains most.
func (x *Scene) likeliestRetries() float64 {
	best, all, quiet := math.Inf(-1), 0.0, 0.0
	for i, p := range x.Parts {
		if x.Among>>i&1 != 0 {
			all += p.Share
		}
		quiet += p.failures(0, 0)
	}
	for i := range x.Parts {
		p := &x.Parts[i]
		if x.Among>>i&1 == 0 || !(p.Share > 0) || !(p.Failures > p.Usual) {
			continue
		}
		best = math.Max(best, math.Log(p.Share/all)+quiet-p.failures(0, 0)+x.bout(p))
	}
	return best + x.volume(0, 0)
}

// bout is the logarithm of the likelihood of one customer's retries in a part. They may
// have begun after the suspicion did, and be over.
func (x *Scene) bout(p *Part) float64 {
	if len(p.Run) == 0 || len(p.Run) != len(x.Blocks) {
		return p.bout(p.Failures, x.Active, 1)
	}
	total := 0.0
	for _, m := range x.Blocks {
		total += m
	}
	best := math.Inf(-1)
	for from, first := range p.Run {
		if first <= 0 {
			continue
		}
		k, minutes := 0.0, 0.0
		for to := from; to < len(p.Run); to++ {
			k, minutes = k+p.Run[to], minutes+x.Blocks[to]
			if p.Run[to] > 0 {
				best = math.Max(best, p.bout(k, minutes, minutes/total))
			}
		}
	}
	return best
}

// bout is the same where k of the failures are of the bout's minutes, a share of the time.
func (p *Part) bout(k, minutes, share float64) float64 {
	usual := p.Usual * share
	tried := math.Min(math.Max(k-usual, leastRetries*minutes), mostRetries*math.Max(minutes, 1))
	in := Part{Failures: k, Usual: usual}
	out := Part{Failures: p.Failures - k, Usual: p.Usual - usual}
	l := in.failures(tried, 0) - gaveUp(minutes)
	if share < 1 {
		l += out.failures(0, 0) - boutPrior
	}
	return l
}

// likeliestFault is the same of a fault of the slice that explains most.
func (x *Scene) likeliestFault() float64 {
	best := math.Inf(-1)
	for _, s := range x.Slices {
		if s&x.Among != 0 {
			best = math.Max(best, x.faultOf(s)-math.Log(float64(len(x.Slices))))
		}
	}
	for i, p := range x.Parts {
		if x.Among>>i&1 != 0 && p.Share > 0 {
			best = math.Max(best, x.faultOf(1<<i)+math.Log(lonelyPart*p.Share))
		}
	}
	return best
}

// faultOf is the logarithm of the likelihood of a fault of some parts.
func (x *Scene) faultOf(of uint32) float64 {
	failed, came, share := 0.0, 0.0, 0.0
	for i, p := range x.Parts {
		if of>>i&1 != 0 {
			failed += p.Failures - p.Usual
			came += p.Successes
			share += p.Share
		}
	}
	if !(failed > 0) || !(share > 0) {
		return math.Inf(-1)
	}
	// As many are missing as fail, or, where people try again, some fewer.
	ratio := failed / (failed + came)
	most := againRatio * ratio * x.Expected * share
	failed = math.Min(failed, most)
	l := x.volume(of, ratio)
	for i, p := range x.Parts {
		if of>>i&1 != 0 && x.tireless(&x.Parts[i]) {
			l += p.failures(p.Failures-p.Usual, spreadSize)
		} else if of>>i&1 != 0 {
			l += p.failures(failed*p.Share/share, spreadSize)
		} else {
			l += p.failures(0, 0)
		}
	}
	return l
}

// tireless says whether more fails in a part than any customer tries: a machine tries there
// again and again, and how often says nothing of how many payments are missing.
func (x *Scene) tireless(p *Part) bool {
	return p.Failures-p.Usual > mostRetries*math.Max(x.Active, surelyMany)
}

// failures is the logarithm of the chance of a part's failures where more come than
// usual, spread as that size says; 0: exactly so many are expected.
func (p *Part) failures(more, size float64) float64 {
	mean := math.Max(p.Usual+more, 1e-3)
	variance := p.Usual * p.Usual / swingSize
	if size > 0 {
		variance += more * more / size
	}
	return countLog(p.Failures, mean, mean*mean/math.Max(variance, 1e-9))
}

// volume is the logarithm of the chance of the successes that came, where a share of
// what comes to some parts fails: of their number, and of how the parts share it.
func (x *Scene) volume(of uint32, ratio float64) float64 {
	came, left := 0.0, 0.0
	for i, p := range x.Parts {
		came += p.Successes
		left += x.left(i, of, ratio)
	}
	l := countLog(came, x.Expected*left, x.Size)
	known := 1 / (1 + came/x.Sharing)
	for i, p := range x.Parts {
		if s := x.left(i, of, ratio); s > 0 && p.Successes > 0 {
			l += known * p.Successes * math.Log(s/left)
		}
	}
	return l
}

// left is the part of all successes that a part has left.
func (x *Scene) left(i int, of uint32, ratio float64) float64 {
	share := math.Max(x.Parts[i].Share, 1e-6)
	if of>>i&1 != 0 {
		share *= math.Max(1-ratio, 1e-3)
	}
	return share
}

// Burst says with which of consecutive blocks failures became more than the usual number
// a minute: the one from which on what came is least likely to be that.
func Burst(failures, minutes []float64, usual float64) (at int) {
	best, k, time := 0.0, 0.0, 0.0
	for i := len(failures) - 1; i >= 0; i-- {
		k, time = k+failures[i], time+minutes[i]
		expected := math.Max(usual*time, 1e-6)
		if k > expected {
			if nats := k*math.Log(k/expected) - (k - expected); nats > best {
				best, at = nats, i
			}
		}
	}
	return at
}

// countLog is the logarithm of the chance of n events where mean are expected, which
// is known as well as a size of the negative binomial says.
func countLog(n, mean, size float64) float64 {
	mean = math.Max(mean, 1e-3)
	if size > 1e6 {
		return poissonLog(n, mean)
	}
	return logGamma(n+size) - logGamma(size) - logGamma(n+1) + size*math.Log(size/(size+mean)) + n*math.Log(mean/(size+mean))
}
