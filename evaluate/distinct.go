package evaluate

// streams is how many streams of a rule may raise false alarms apart from each other. A
// slice by a dimension of which only one value was ever seen has the total's events: it is
// wrong when that is.
func (m *meter) streams(ri int) (n int) {
	values := map[string]int{}
	for _, c := range m.cells {
		if c.other != "" {
			values[c.other]++
		} else if len(c.slice) == 1 {
			values[c.slice[0].Label]++
		}
	}
	for _, ci := range m.judgedCells() {
		c := m.cells[ci]
		if c.watches[ri] != nil && (len(c.slice) == 0 || values[c.slice[0].Label] > 1) {
			n++
		}
	}
	return n
}
