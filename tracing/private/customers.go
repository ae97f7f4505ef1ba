package private

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/detect/crowd"
	"github.com/tocsin-alerting/tocsin/problem"
)

// KeySize is how long the key of a day is, in bytes.
const KeySize = sha256.Size

// Alias stands for a customer of a tenant during one day.
type Alias [10]byte

// Name is the alias as people see it.
func (a Alias) Name() string { return "cus_" + hex.EncodeToString(a[:]) }

// Mark is what customers are counted by.
func (a Alias) Mark() crowd.Mark { return crowd.Mark(binary.BigEndian.Uint32(a[:])) }

// Keys gives the key of a day, such as 2026-11-25; the same to everybody who asks. It is
// asked by one goroutine at a time.
type Keys func(day string) ([]byte, error)

// Customers replaces who was served by an alias that is the same for one day (UTC) and
// says nothing: an HMAC under the random key of that day, over tenant and id. Aliases of
// different days or tenants cannot be joined. It is safe for use by several goroutines.
type Customers struct {
	keys Keys
	mu   sync.Mutex
	from int64 // unix s: the day's begin
	mac  hash.Hash
	sum  []byte
}

// NewCustomers makes one of a source of keys.
func NewCustomers(keys Keys) *Customers { return &Customers{keys: keys} }

const (
	secondsOfDay = 86_400
	// late is how long (s) before the day's begin a request may have come that is named
	// under the day's key: one that others overtook at midnight must not have the key of
	// the day before made anew, and then this day's once more.
	late = 60
)

// Alias replaces a customer's id at a time. An error is that of the keys.
func (c *Customers) Alias(tenant string, id []byte, at time.Time) (a Alias, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := at.Unix() - c.from; c.mac == nil || s < -late || s >= secondsOfDay {
		if err := c.turn(at.UTC()); err != nil {
			return a, err
		}
	}
	c.mac.Reset()
	c.mac.Write([]byte(tenant))
	c.mac.Write([]byte{0})
	c.mac.Write(id)
	c.sum = c.mac.Sum(c.sum[:0])
	copy(a[:], c.sum)
	return a, nil
}

func (c *Customers) turn(at time.Time) error {
	key, err := c.keys(at.Format(time.DateOnly))
	if err != nil {
		return err
	}
	c.mac, c.from = hmac.New(sha256.New, key), at.Unix()/secondsOfDay*secondsOfDay
	return nil
}

// dayKey is the file with the key of a day.
type dayKey struct {
	Day string `json:"day"` // UTC
	Key []byte `json:"key"`
}

// OpenCustomers keeps the key of the day in dir. The key of a day that is over is
// overwritten.
func OpenCustomers(dir string) (*Customers, error) {
	file := keyFile(dir)
	raw, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return nil, problem.Wrap(err, problem.Unavailable, "the key that customers' ids are replaced with cannot be read").WithHint("check the rights below --storage.path")
	}
	var k dayKey
	if json.Unmarshal(raw, &k) != nil { // none yet, or torn while it was written: a new one is made
		k = dayKey{}
	}
	return NewCustomers(func(day string) ([]byte, error) {
		if k.Day == day && len(k.Key) == KeySize {
			return k.Key, nil
		}
		next := dayKey{Day: day, Key: NewKey()}
		if err := next.write(file); err != nil {
			return nil, problem.Wrap(err, problem.Unavailable, "the key of the day cannot be written").WithHint("check the rights below --storage.path")
		}
		k = next
		return k.Key, nil
	}), nil
}

// Forget removes the key from dir, where another source has taken over.
func Forget(dir string) error {
	if err := os.Remove(keyFile(dir)); err != nil && !os.IsNotExist(err) {
		return problem.Wrap(err, problem.Unavailable, "an old key that customers' ids were replaced with cannot be removed").WithHint("check the rights below --storage.path")
	}
	return nil
}

func keyFile(dir string) string { return filepath.Join(dir, "customers.key") }

// NewKey makes the key of a day.
func NewKey() []byte {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // it ends the program rather than fail
	return key
}

// write puts the key in the place of the last one's.
func (k dayKey) write(file string) error {
	raw, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
