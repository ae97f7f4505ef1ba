package evaluate

// desk is what a step is worked out on. All meters of an engine share it, one step after the
// other: what no step leaves behind need not lie with every tenant.
type desk struct {
	judgement judgement
	n, k      []float64   // of the newest step, by cell
	mixed     []explained // of that, by cell
	pending   []owed      // by cell, while it is settled
	moved     int         // steps of cells that went through a whole detector, so far
}
