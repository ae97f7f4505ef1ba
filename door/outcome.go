package door

// What became of a request: values of the outcome label of a door's metrics.
const (
	Stored    = "stored"
	Partly    = "partly"  // some of it was refused
	Replica   = "replica" // it came from a replica that is not the elected one
	Empty     = "empty"
	Refused   = "refused"
	Malformed = "malformed"
	Failed    = "failed" // it could not be made durable
)

// Seconds are the buckets of how long it took until a request was durable.
var Seconds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
