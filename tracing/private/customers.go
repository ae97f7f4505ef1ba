package private

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Customers replaces who was served by a name that is the same for one day and
// says nothing: an HMAC under a random key of the day. The key of a day that is
// over is overwritten, so that names of different days cannot be joined any more.
// It is safe for use by several goroutines.
type Customers struct {
	file string
	mu   sync.Mutex
	key  dayKey
}

type dayKey struct {
	Day string `json:"day"` // UTC
	Key []byte `json:"key"`
}

// OpenCustomers reads the key of the day from dir, if there is one.
func OpenCustomers(dir string) (*Customers, error) {
	c := &Customers{file: filepath.Join(dir, "customers.key")}
	raw, err := os.ReadFile(c.file)
	switch {
	case os.IsNotExist(err):
		return c, nil
	case err != nil:
		return nil, problem.Wrap(err, problem.Unavailable, "the key that customers' ids are replaced with cannot be read").WithHint("check the rights below --storage.path")
	}
	if json.Unmarshal(raw, &c.key) != nil {
		c.key = dayKey{} // torn while it was written: a new one is made
	}
	return c, nil
}

// Name replaces a customer's id at a time.
func (c *Customers) Name(id []byte, at time.Time) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if day := at.UTC().Format(time.DateOnly); c.key.Day != day || len(c.key.Key) != sha256.Size {
		if err := c.turn(day); err != nil {
			return "", err
		}
	}
	h := hmac.New(sha256.New, c.key.Key)
	h.Write(id)
	return "cus_" + hex.EncodeToString(h.Sum(nil)[:10]), nil
}

// turn makes the key of a day and puts it in the place of the last one's.
func (c *Customers) turn(day string) error {
	k := dayKey{Day: day, Key: make([]byte, sha256.Size)}
	if _, err := rand.Read(k.Key); err != nil {
		return err
	}
	raw, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.file+".new", raw, 0o600); err == nil {
		err = os.Rename(c.file+".new", c.file)
		if err == nil {
			c.key = k
			return nil
		}
	}
	return problem.New(problem.Unavailable, "the key of the day cannot be written").WithHint("check the rights below --storage.path")
}
