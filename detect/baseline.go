package detect

import "math"

const (
	hour       = 3_600_000 // ms
	keptHours  = 24        // hours that can be taken back one by one
	forgetting = 168.0     // hours after which an hour counts 1/e: seven days
	upperShare = 0.975     // share of the posterior below the upper bound
	swingSigma = 2.0       // the indifference zone in standard deviations of the hours' own ratios
	leastZone  = 0.1       // the zone is at least this share of the mean
	priorSwing = 0.2       // the swing of what was not seen yet, as a share of the mean
	swingHours = 48.0      // hours that this is worth: slow swings take days to show
	plainFrom  = 24.0      // hours that must be known before one far beyond them is bounded:
	mostTimes  = 3.0       // it is learned with at most so many times the usual failures,
	mostBeyond = 5.0       // and so many more
)

// hourSum is what one hour counted. Hours are closed once and then only read or
// taken back, so that 24 bits of mantissa are enough for them.
type hourSum struct{ n, k, seconds float32 }

// olderSum is what hours that are no longer kept one by one have left behind,
// each hour with its weight w: forgetting takes the same share from every field.
type olderSum struct {
	n, k, seconds float64
	hours         float64 // sum of w
	squares       float64 // sum of w k²/n, for the swings between hours
	sizes         float64 // sum of w n²
}

// Baseline is what one cell has learned of its usual failure ratio and volume:
// hourly sums of clean steps, forgotten over seven days, used from the second
// full hour on. The zero value has learned nothing.
type Baseline struct {
	newest  int64 // hour number (unix ms / hour) of current; 0 before the first step
	n, k    float64
	seconds float64
	version int32              // another one when what was learned is
	summed  bool               // sum, what is at least an hour old, is made
	ring    [keptHours]hourSum // closed hours, by hour number modulo keptHours
	older   olderSum
	aside   *aside // what was not learned; nil: nothing

	known usual // derived; zero when it must be made again
	sum   olderSum
}

// usual is what the tests need of a baseline.
type usual struct {
	mean, upper float64
	zoned       float64 // mean plus the indifference zone
	strength    float64 // events behind the mean, the prior's included

	prior, weight float64 // of the parameters it was made with
}

// Observe adds a step to its hour. Steps of less than half coverage are left out,
// and so is what is older than the hours kept.
func (b *Baseline) Observe(s Step) {
	if !s.teaches() {
		return
	}
	at := s.Start / hour
	b.advance(at)
	seconds := s.Coverage * float64(s.End-s.Start) / 1000
	if at == b.newest {
		b.n, b.k, b.seconds = b.n+s.N, b.k+s.K, b.seconds+seconds
		return
	}
	if b.newest-at < keptHours {
		h := &b.ring[at%keptHours]
		h.n, h.k, h.seconds = h.n+float32(s.N), h.k+float32(s.K), h.seconds+float32(seconds)
		b.moved()
	}
}

// teaches says whether a step can be learned, and makes sense of its counts.
func (s *Step) teaches() bool {
	if s.Coverage < minCoverage || s.Start < 0 || s.End <= s.Start || s.N < 0 || math.IsNaN(s.N) || math.IsInf(s.N, 0) {
		return false
	}
	if !(s.K > 0) {
		s.K = 0
	}
	s.K = min(s.K, s.N)
	return true
}

// sum is a step's part of its hour.
func (s *Step) sum() hourSum {
	return hourSum{float32(s.N), float32(s.K), float32(s.Coverage * float64(s.End-s.Start) / 1000)}
}

// advance closes hours until at is the current one.
func (b *Baseline) advance(at int64) {
	if at <= b.newest {
		return
	}
	if b.newest == 0 {
		b.newest = at
		return
	}
	current := b.plain(hourSum{float32(b.n), float32(b.k), float32(b.seconds)})
	b.n, b.k, b.seconds = 0, 0, 0
	b.moved()
	steps := min(at-b.newest, keptHours)
	for i := int64(0); i < steps; i++ {
		slot := (b.newest + i) % keptHours
		b.older.forget(1)
		b.older.add(b.ring[slot])
		b.ring[slot] = hourSum{}
		if i == 0 {
			b.ring[slot] = current
		}
	}
	if more := at - b.newest - steps; more > 0 { // a gap of more than a day: nothing is left in the ring
		b.older.add(current)
		b.ring[b.newest%keptHours] = hourSum{}
		b.older.forget(float64(more))
	}
	b.newest = at
	if b.aside != nil {
		if b.aside.drop(at); len(b.aside.hours) == 0 {
			b.aside = nil
		}
	}
}

func (o *olderSum) forget(hours float64) {
	w := math.Exp(-hours / forgetting)
	o.n, o.k, o.seconds = o.n*w, o.k*w, o.seconds*w
	o.hours, o.squares, o.sizes = o.hours*w, o.squares*w, o.sizes*w
}

func (o *olderSum) add(h hourSum) {
	n, k := float64(h.n), float64(h.k)
	o.n, o.k, o.seconds = o.n+n, o.k+k, o.seconds+float64(h.seconds)
	if n > 0 {
		o.hours++
		o.squares += k * k / n
		o.sizes += n * n
	}
}

// plain is the current hour as it is learned: what fails far beyond the usual without
// being a fault, as one customer's retries do of a tenant with a payment a minute, says
// nothing of the ratio of tomorrow. What lasts, or comes at the same hour each day, raises the
// usual day by day.
func (b *Baseline) plain(h hourSum) hourSum {
	sum := b.learned()
	if sum.hours < plainFrom || sum.n <= 0 || b.aside.toldAt(b.newest) > 0 { // or somebody said that it is no fault
		return h
	}
	usual := sum.k / max(sum.n-sum.k, 1)          // for each success
	if y := b.ring[b.newest%keptHours]; y.n > 0 { // the same hour of yesterday
		usual = max(usual, float64(y.k/max(y.n-y.k, 1)))
	}
	if more := h.k - float32(mostTimes*usual*float64(h.n-h.k)+mostBeyond); more > 0 {
		h.n, h.k = h.n-more, h.k-more
	}
	return h
}

// moved has what is derived made again.
func (b *Baseline) moved() {
	b.known.strength, b.summed = 0, false
	b.version++
}

// learned sums what is at least an hour old.
func (b *Baseline) learned() *olderSum {
	if !b.summed {
		b.sum, b.summed = b.addUp(), true
	}
	return &b.sum
}

func (b *Baseline) addUp() olderSum {
	sum := b.older
	for i := int64(2); i <= keptHours; i++ {
		if at := b.newest - i; at >= 0 {
			sum.add(b.ring[at%keptHours])
		}
	}
	return sum
}

// Retract takes the hours that touch [from, to] (unix ms) back out, as far as
// they are kept one by one (24 h) or were put back by Return; it returns how many of
// them held something. They are kept aside.
func (b *Baseline) Retract(from, to int64) int {
	taken := b.Remove(from, min(to, (b.newest-keptHours)*hour-1))
	for at := max(from/hour, b.newest-keptHours); at <= min(to/hour, b.newest); at++ {
		if at == b.newest {
			h := hourSum{float32(b.n), float32(b.k), float32(b.seconds)}
			b.n, b.k, b.seconds = 0, 0, 0
			taken += b.taken(at, h)
			continue
		}
		if at < 0 {
			continue
		}
		h := b.ring[at%keptHours]
		b.ring[at%keptHours] = hourSum{}
		taken += b.taken(at, h)
	}
	b.moved()
	return taken
}

// taken keeps a whole hour aside; what had been put back of it is part of that.
func (b *Baseline) taken(at int64, h hourSum) int {
	if h.seconds <= 0 {
		return 0
	}
	if b.aside == nil {
		b.aside = &aside{}
	}
	if x := b.aside.hour(at); x.back {
		x.hourSum, x.back = hourSum{}, false
	}
	b.setAside(at, h)
	return 1
}

// Accept forgets everything and starts from a new level: n events of which k
// failed in the seconds up to at (unix ms). For a lasting change that somebody, or
// policy, declares to be normal.
func (b *Baseline) Accept(at int64, n, k, seconds float64) {
	*b = Baseline{newest: at / hour, version: b.version + 1}
	if n > 0 {
		b.older.add(hourSum{float32(n), float32(min(max(k, 0), n)), float32(max(seconds, 0))})
	}
}

// Ratio is the usual ratio and its upper bound, which the tests use as p0. The mean
// is drawn towards the prior while events are few; the bound adds what is not known
// of the mean (beta posterior) and an indifference zone: two standard deviations of
// how far the hours swing beyond chance, at least a tenth of the mean. Hours less
// than an hour old do not count. A nil baseline is the prior alone.
func (b *Baseline) Ratio(p Parameters) (mean, upper float64) {
	p.fill()
	if b == nil {
		u := estimate(olderSum{}, &p)
		return u.mean, u.upper
	}
	u := b.usual(&p)
	return u.mean, u.upper
}

// Mean is the usual ratio alone, as Ratio has it, which is far cheaper where the bound
// is not wanted.
func (b *Baseline) Mean(p Parameters) float64 {
	p.fill()
	return b.learned().mean(&p)
}

// mean is the ratio drawn to the prior.
func (o *olderSum) mean(p *Parameters) float64 {
	a, c := o.shape(p)
	return a / (a + c)
}

// shape are the parameters of the posterior.
func (o *olderSum) shape(p *Parameters) (a, c float64) {
	return o.k + p.Prior*p.PriorWeight, o.n - o.k + (1-p.Prior)*p.PriorWeight
}

// Rate is the usual number of events a minute; 0 until something is learned.
func (b *Baseline) Rate() float64 {
	if b == nil {
		return 0
	}
	sum := b.learned()
	if sum.seconds <= 0 {
		return 0
	}
	return sum.n / sum.seconds * 60
}

// Events is how many events the baseline rests on, older ones counting less.
func (b *Baseline) Events() float64 {
	if b == nil {
		return 0
	}
	return b.learned().n
}

// usual is what the parameters make of what was learned, until another hour closes.
func (b *Baseline) usual(p *Parameters) *usual {
	if u := &b.known; u.strength == 0 || u.prior != p.Prior || u.weight != p.PriorWeight {
		*u = estimate(*b.learned(), p)
		u.widen(b.aside.toldAt(b.newest))
	}
	return &b.known
}

func estimate(sum olderSum, p *Parameters) usual {
	a, c := sum.shape(p)
	u := usual{mean: a / (a + c), strength: a + c, prior: p.Prior, weight: p.PriorWeight}
	zone := max(leastZone*u.mean, swingSigma*sum.likelySwing(u.mean))
	u.zoned = clampRatio(u.mean + zone)
	u.upper = clampRatio(betaUpper(a, c) + zone)
	return u
}

// widen has the indifference zone reach so far at least.
func (u *usual) widen(zone float64) {
	if more := zone - (u.zoned - u.mean); more > 0 && zone > 0 {
		u.zoned, u.upper = clampRatio(u.zoned+more), clampRatio(u.upper+more)
	}
}

// likelySwing is swing, drawn to what is usual of cells like this while hours are few.
func (o olderSum) likelySwing(mean float64) float64 {
	seen, prior := o.swing(), priorSwing*mean
	return math.Sqrt((o.hours*seen*seen + swingHours*prior*prior) / (o.hours + swingHours))
}

// swing is the standard deviation of the hours' true ratios: what their scatter
// has beyond chance (method of moments), at most the mean itself.
func (o olderSum) swing() float64 {
	if o.hours < 6 || o.n <= 0 || o.k <= 0 {
		return 0
	}
	mean := o.k / o.n
	scatter := o.squares - mean*o.k
	spread := o.n - o.sizes/o.n
	if spread <= 0 {
		return 0
	}
	variance := (scatter - (o.hours-1)*mean*(1-mean)) / spread
	return min(mean, math.Sqrt(max(0, variance)))
}

func clampRatio(r float64) float64 { return min(max(r, leastRatio), mostRatio) }
