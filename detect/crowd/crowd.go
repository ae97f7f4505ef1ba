// Package crowd counts who is there, each once, in bounded room. It knows people only
// by marks, which say nothing of them, and reads no clock.
//
// It is exact up to [Room]. Beyond, it keeps those whose marks end in a zero, then in
// two, and so on: each of them stands for twice as many. Which are kept follows from
// the marks alone, so that crowds met in any order, in pieces or twice, are the same.
package crowd

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Room is how many are told apart one by one.
const Room = 256

// mostLevel leaves a mark eight bits to be told from others by.
const mostLevel = 24

// Mark stands for somebody: bits of a hash.
type Mark uint32

// Of makes a mark of a name that is stored anyway. A name that must not be stored takes
// a hash under a key instead.
func Of(name string) Mark {
	sum := sha256.Sum256([]byte(name))
	return Mark(binary.BigEndian.Uint32(sum[:]))
}

// Crowd is those who were met. The zero value is empty.
type Crowd struct {
	level int    // marks kept end in so many zero bits
	marks []Mark // sorted
}

// New makes a crowd of what [Crowd.Level] and [Crowd.Marks] said; problem.Malformed when
// no crowd can have said it.
func New(level int, marks []Mark) (Crowd, error) {
	c := Crowd{level: level, marks: marks}
	fits := level >= 0 && level <= mostLevel && len(marks) <= Room
	for i, m := range marks {
		fits = fits && c.keeps(m) && (i == 0 || marks[i-1] < m)
	}
	if !fits {
		return Crowd{}, problem.New(problem.Malformed, "these marks make no crowd")
	}
	return c, nil
}

// Level is how often the crowd was thinned: each of its marks stands for 1<<Level.
func (c *Crowd) Level() int { return c.level }

// Marks are those told apart, sorted; not to be changed.
func (c *Crowd) Marks() []Mark { return c.marks }

// Size is how many were met: exact at level 0, else within some 6% mostly.
func (c *Crowd) Size() float64 { return float64(len(c.marks)) * c.each() }

func (c *Crowd) each() float64 { return float64(uint64(1) << c.level) }

func (c *Crowd) keeps(m Mark) bool { return bits.TrailingZeros32(uint32(m)) >= c.level }

// Meet adds somebody and says for how many newly met that counts: 0 when they were met
// before, or are none of those that are told apart.
func (c *Crowd) Meet(m Mark) float64 {
	if !c.keeps(m) {
		return 0
	}
	i, known := slices.BinarySearch(c.marks, m)
	if known {
		return 0
	}
	news := c.each() // as it was when it came: thinning does not make it stand for more
	c.marks = slices.Insert(c.marks, i, m)
	for len(c.marks) > Room && c.level < mostLevel {
		c.thin(c.level + 1)
	}
	if len(c.marks) > Room { // nobody sends so many: marks that are no hashes
		c.marks = slices.Delete(c.marks, i, i+1)
		return 0
	}
	return news
}

// Join meets all of another crowd.
func (c *Crowd) Join(o *Crowd) (news float64) {
	if o.level > c.level {
		c.thin(o.level)
	}
	for _, m := range o.marks {
		news += c.Meet(m)
	}
	return news
}

func (c *Crowd) thin(level int) {
	c.level = level
	c.marks = slices.DeleteFunc(c.marks, func(m Mark) bool { return !c.keeps(m) })
}
