package world

import "math"

// Edges are the upper bounds of the duration histogram, in seconds; above the last
// there is the bucket without a bound.
var Edges = [...]float64{0.25, 0.5, 1, 2, 5}

// Buckets is how many there are.
const Buckets = len(Edges) + 1

// duration is how long a cell's payments take: log-normal, with a middle that swings.
type duration struct {
	middle, sigma float64 // of the logarithm of seconds
	swing         walk
	usual         [Buckets]float64 // shares of the buckets as they are now
}

// shares of the buckets when everything takes times as long as it does now.
func (d *duration) shares(times float64) (out [Buckets]float64) {
	middle := d.middle + d.swing.x + math.Log(times)
	below := 0.0
	for i, edge := range Edges {
		p := 0.5 * math.Erfc((middle-math.Log(edge))/(d.sigma*math.Sqrt2))
		out[i] = max(p-below, 0)
		below = p
	}
	out[Buckets-1] = max(1-below, 0)
	return out
}

// slow draws how long the payments of one step took, by bucket.
func (w *World) slow(c *Cell, shares [Buckets]float64) {
	left, n := 1.0, c.N
	for i := range Buckets - 1 {
		k := uint64(0)
		if n > 0 && left > 0 {
			k = binomial(w.src, n, min(1, shares[i]/left))
		}
		c.Took[i] = k
		n -= k
		left -= shares[i]
	}
	c.Took[Buckets-1] = n
}

// apart is how many nats one event tells a distribution of buckets from the usual one.
func apart(usual, now [Buckets]float64) (nats float64) {
	const least = 1e-4 // nobody knows a rarer bucket's share
	for i, p := range now {
		if p > 0 {
			nats += p * math.Log(max(p, least)/max(usual[i], least))
		}
	}
	return max(nats, 0)
}
