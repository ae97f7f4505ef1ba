//go:build !race

package detect

// slowdown divides what simulations run.
const slowdown = 1
