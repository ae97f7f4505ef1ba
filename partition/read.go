package partition

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

// All reads a whole collection of a partition, page by page.
func All(ctx context.Context, s store.Store, p store.Partition, collection string) ([]store.Record, error) {
	return allAfter(ctx, s, p, collection, "")
}

// allAfter reads what of a collection has a key beyond after.
func allAfter(ctx context.Context, s store.Store, p store.Partition, collection, after string) ([]store.Record, error) {
	var out []store.Record
	for {
		page, err := s.Records(ctx, p, collection, after, 1000)
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
		if len(page) < 1000 {
			return out, nil
		}
		after = page[len(page)-1].Key
	}
}

// Decode reads a record's value.
func Decode[T any](r store.Record) (v T, err error) {
	err = decode(r, &v)
	return v, err
}

func decode(r store.Record, v any) error {
	if err := json.Unmarshal(r.Value, v); err != nil {
		return problem.Wrap(err, problem.Internal, "record %s/%s (%s version %d) cannot be read", r.Collection, r.Key, r.Kind, r.Version)
	}
	return nil
}

// DecodeVersion reads a record of a kind at a version or the one before it.
func DecodeVersion[T any](r store.Record, kind string, version int) (v T, err error) {
	if r.Kind != kind || r.Version < version-1 || r.Version > version {
		return v, problem.New(problem.Internal, "record %s/%s of kind %s version %d cannot be read by this release", r.Collection, r.Key, r.Kind, r.Version)
	}
	return Decode[T](r)
}

// DecodeInput reads an input's payload; all kinds are at version 1.
func DecodeInput[T any](in store.Input) (v T, err error) {
	if in.Version != 1 {
		return v, problem.New(problem.Internal, "an input of kind %s has version %d, which this release does not read", in.Kind, in.Version)
	}
	if err := json.Unmarshal(in.Payload, &v); err != nil {
		return v, problem.Wrap(err, problem.Internal, "an input of kind %s cannot be read", in.Kind)
	}
	return v, nil
}

// Values reads the values of what All, or a Tx's List or ListPrefix, has just given.
func Values[T any](records []store.Record, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(records))
	for _, r := range records {
		v, err := Decode[T](r)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// AllOf reads the values of a whole collection of a subject's partition.
func AllOf[T any](ctx context.Context, s store.Store, subject, collection string) ([]T, error) {
	return AllOfAfter[T](ctx, s, subject, collection, "")
}

// AllOfAfter is AllOf for what has a key beyond after.
func AllOfAfter[T any](ctx context.Context, s store.Store, subject, collection, after string) ([]T, error) {
	records, err := allAfter(ctx, s, store.PartitionOf(subject), collection, after)
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	return Values[T](records, nil)
}

// Await asks again and again whether something has come to pass, for as long as a
// partition may be without an owner.
func Await(ctx context.Context, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return problem.Wrap(ctx.Err(), problem.Unavailable, "no replica serves this part of the store").WithHint("tocsin cluster status shows who lives").WithRetryAfter(time.Second)
		}
	}
}
