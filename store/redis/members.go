package redis

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

var _ store.Members = (*Store)(nil)

// Beat implements store.Members.
func (s *Store) Beat(ctx context.Context, m store.Member, ttl time.Duration) ([]store.Member, error) {
	card, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return s.beat(ctx, m.ID, string(card), ttl)
}

// Leave implements store.Members.
func (s *Store) Leave(ctx context.Context, id string) error {
	_, err := s.beat(ctx, id, "", time.Hour)
	return err
}

func (s *Store) beat(ctx context.Context, id, card string, ttl time.Duration) ([]store.Member, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	answer, _, err := s.run(ctx, scriptBeat, []string{keyMembers, keyBeats}, id, card, ttl.Microseconds())
	if err != nil {
		return nil, err
	}
	out := []store.Member{}
	for _, text := range texts(answer) {
		var m store.Member
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return nil, damaged("a member's card", err)
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b store.Member) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// Holder implements store.Members.
func (s *Store) Holder(ctx context.Context, p store.Partition) (string, error) {
	h, err := s.hold(ctx, p)
	return h.Holder, err
}

// Holders implements store.Members.
func (s *Store) Holders(ctx context.Context) (out [store.Partitions]store.Hold, err error) {
	var wg sync.WaitGroup
	var errs [16]error
	for part := range errs {
		wg.Go(func() {
			for p := part; p < store.Partitions && errs[part] == nil; p += len(errs) {
				out[p], errs[part] = s.hold(ctx, store.Partition(p))
			}
		})
	}
	wg.Wait()
	return out, errors.Join(errs[:]...)
}

func (s *Store) hold(ctx context.Context, p store.Partition) (h store.Hold, err error) {
	if err := s.enter(ctx); err != nil {
		return h, err
	}
	answer, _, err := s.run(ctx, scriptHolder, keys(p, "m", "q", "i"), s.clock())
	if err != nil {
		return h, err
	}
	a := texts(answer)
	if len(a) != 3 {
		return h, damaged("the state of a partition", cell.ErrDamaged)
	}
	h.Holder = a[0]
	if h.Waiting, err = strconv.Atoi(a[1]); err != nil || a[2] == "" {
		return h, err
	}
	first, err := cell.DecodeInput([]byte(a[2]))
	h.Oldest = first.At
	return h, err
}
