package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

// promptly is how long a commit or an acquisition waits for messages to arrive;
// then they go on in the background and the owner is not held up.
const promptly = time.Second

// Offer implements store.Store.
func (s *Store) Offer(ctx context.Context, p store.Partition, in store.Input) error {
	err := in.Check()
	if err == nil {
		err = s.enter(ctx)
	}
	if err != nil {
		return s.metrics.Outcome(err)
	}
	known, err := s.offer(ctx, p, in)
	if err == nil {
		s.metrics.Offered(known)
	}
	return s.metrics.Outcome(err)
}

// offer appends inputs to p's inbox, in order; known says that none was new.
func (s *Store) offer(ctx context.Context, p store.Partition, in ...store.Input) (known bool, err error) {
	args := []any{s.o.Name, wakeChannel, int(p)}
	for _, i := range in {
		c, err := cell.EncodeInput(i)
		if err != nil {
			return false, err
		}
		args = append(args, i.ID, digest(i.ID), c)
	}
	answer, _, err := s.run(ctx, scriptOffer, keys(p, "m", "q", "i", "d"), args...)
	if err != nil {
		return false, err
	}
	if n, _ := answer.(int64); n == 0 {
		return true, nil
	}
	s.awake(p)
	return false, nil
}

// awake tells the owner, if it is in this process.
func (s *Store) awake(p store.Partition) {
	pt := &s.parts[p]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if pt.lease == nil {
		return
	}
	select {
	case pt.lease.wake <- struct{}{}:
	default:
	}
}

// send offers what a commit put into p's outbox from number first on, unless
// older messages wait there: order is kept.
func (s *Store) send(ctx context.Context, p store.Partition, first string, sent []store.Message) {
	pt := &s.parts[p]
	if !pt.out.TryLock() { // older ones are on their way: the owner does not wait for them
		s.later(p)
		return
	}
	defer pt.out.Unlock()
	n, err := strconv.ParseUint(first, 10, 64)
	if err != nil || pt.late.Load() {
		s.later(p)
		return
	}
	numbers := make([]uint64, len(sent))
	for i := range sent {
		numbers[i] = n + uint64(i)
	}
	if err := s.move(ctx, p, numbers, sent); err != nil {
		s.o.Logger.Warn("messages to another partition wait; they are sent again", "partition", p, "error", err)
		s.later(p)
	}
}

// later has p's outbox emptied in the background.
func (s *Store) later(p store.Partition) {
	if s.parts[p].late.Swap(true) {
		return
	}
	s.behind <- p // has room for every partition
}

// move offers messages to their targets, each target's in order, and takes out of
// the outbox what has arrived.
func (s *Store) move(ctx context.Context, p store.Partition, numbers []uint64, sent []store.Message) error {
	ctx, cancel := context.WithTimeout(ctx, promptly)
	defer cancel()
	inputs, of := map[store.Partition][]store.Input{}, map[store.Partition][]string{}
	for i, m := range sent {
		inputs[m.To] = append(inputs[m.To], m.Input)
		of[m.To] = append(of[m.To], strconv.FormatUint(numbers[i], 10))
	}
	var wg sync.WaitGroup
	errs := make([]error, 0, len(inputs))
	var mu sync.Mutex
	slots := make(chan struct{}, 16)
	for to, in := range inputs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			var err error
			for part := range slices.Chunk(in, 1000) {
				if _, err = s.offer(ctx, to, part...); err != nil {
					break
				}
			}
			if err == nil {
				err = s.c.HDel(ctx, prefixes[p]+"o", of[to]...).Err()
			}
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// empty moves everything in p's outbox, the oldest first; taken says that this is
// what later asked for.
func (s *Store) empty(ctx context.Context, p store.Partition, taken bool) (err error) {
	pt := &s.parts[p]
	pt.out.Lock()
	defer pt.out.Unlock()
	if taken {
		pt.late.Store(false) // under the lock: no commit's messages overtake what is read now
		defer func() {
			if err != nil && pt.late.Swap(true) { // nor what stays
				err = nil // a commit asked for it again meanwhile
			}
		}()
	}
	held, err := s.c.HGetAll(ctx, prefixes[p]+"o").Result()
	if err != nil {
		return unreachable(err)
	}
	numbers := make([]uint64, 0, len(held))
	for k := range held {
		n, err := strconv.ParseUint(k, 10, 64)
		if err != nil {
			return damaged("an outbox", err)
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	sent := make([]store.Message, len(numbers))
	for i, n := range numbers {
		if sent[i], err = decodeSent([]byte(held[strconv.FormatUint(n, 10)])); err != nil {
			return err
		}
	}
	if len(sent) == 0 {
		return nil
	}
	return s.move(ctx, p, numbers, sent)
}

// carry empties outboxes that a commit could not.
func (s *Store) carry() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case p := <-s.behind:
			if s.empty(s.ctx, p, true) == nil {
				continue
			}
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(200 * time.Millisecond):
				s.behind <- p // late stands: nobody else has put it there
			}
		}
	}
}

// sweeps looks now and then into all outboxes: whoever filled one may be gone,
// and nobody may own the partition yet.
func (s *Store) sweeps() {
	tick := time.NewTicker(5 * s.o.LeaseTime)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			s.sweep()
		}
	}
}

func (s *Store) sweep() {
	pipe := s.c.Pipeline()
	for p := range store.Partitions {
		pipe.HLen(s.ctx, prefixes[p]+"o")
	}
	sizes, err := pipe.Exec(s.ctx)
	if err != nil {
		return // the next sweep looks again
	}
	for p, c := range sizes {
		if n, ok := c.(interface{ Val() int64 }); ok && n.Val() > 0 {
			s.later(store.Partition(p))
		}
	}
}

// listen wakes owners in this process for what other processes offered. While
// the connection is away, the owners' own ticks stand in for it.
func (s *Store) listen() {
	sub := s.c.Subscribe(s.ctx, wakeChannel)
	defer func() { _ = sub.Close() }()
	woken := sub.Channel()
	for {
		select {
		case <-s.ctx.Done():
			return
		case m, ok := <-woken:
			if !ok {
				return
			}
			if p, err := strconv.ParseUint(m.Payload, 10, 8); err == nil {
				s.awake(store.Partition(p))
			}
		}
	}
}
