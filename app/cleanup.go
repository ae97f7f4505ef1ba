package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// cleanup is a stack of named steps, undone last in, first out.
type cleanup struct {
	mu    sync.Mutex
	steps []step
}

type step struct {
	name string
	undo func(context.Context) error
}

// push adds what must be undone; call it as soon as the thing is acquired.
func (c *cleanup) push(name string, undo func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = append(c.steps, step{name, undo})
}

// run undoes everything, the newest first, also what is pushed meanwhile; later
// calls find nothing to do.
func (c *cleanup) run(ctx context.Context) error {
	var errs []error
	for {
		s, ok := c.pop()
		if !ok {
			return errors.Join(errs...)
		}
		if err := s.undo(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
	}
}

func (c *cleanup) pop() (step, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.steps) == 0 {
		return step{}, false
	}
	last := c.steps[len(c.steps)-1]
	c.steps = c.steps[:len(c.steps)-1]
	return last, true
}
