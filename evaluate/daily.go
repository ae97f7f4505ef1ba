package evaluate

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/detect/crowd"
)

// An attribute that names the merchant, or everybody by one name, would make an outage one
// customer's retries. It shows in the failures of usual days: they are all of the same.

const (
	fewHours     = 6 // of a day, in which something failed, from which that is clear
	fewCustomers = 2 // all of those hours' failures are of no more
)

// daily is of whom the failures of a day (UTC, as long as customers have one name) were.
type daily struct {
	number int64        // of days since the epoch
	hours  int64        // of the clock, in which something failed
	last   int64        // the newest of them
	marks  []crowd.Mark // the first of them that differ, one more than are few
	was    bool         // the day before they were few
}

// add takes those who failed in an hour.
func (d *daily) add(hour int64, whose *crowd.Crowd) {
	if day := hour / 24; day > d.number {
		*d = daily{number: day, marks: d.marks[:0], was: d.few()}
	} else if day < d.number {
		return
	}
	if hour > d.last {
		d.hours, d.last = d.hours+1, hour
	}
	for _, m := range whose.Marks() {
		if len(d.marks) > fewCustomers {
			return
		}
		if !slices.Contains(d.marks, m) {
			d.marks = append(d.marks, m)
		}
	}
}

// few says whether all that fails is of one or two: nothing tells retries apart then.
func (d *daily) few() bool {
	return len(d.marks) <= fewCustomers && (d.hours >= fewHours || d.was)
}

func (c *coder) daily(d *daily) {
	c.Ints(&d.number, &d.hours, &d.last)
	c.Bools(&d.was)
	checkpoint.List(c.Coder, &d.marks, func(m *crowd.Mark) {
		v := int64(*m)
		c.Int(&v)
		*m = crowd.Mark(v)
	})
}
