//go:build race

package detect

// slowdown divides what simulations run: under the race detector they take many times as long.
const slowdown = 15
