package redis

import (
	"context"
	"embed"
	"errors"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

//go:embed lua/*.lua
var sources embed.FS

// The scripts, by what they do.
var (
	scriptAcquire = script("acquire")
	scriptRenew   = script("renew")
	scriptCommit  = script("commit")
	scriptOffer   = script("offer")
	scriptInputs  = script("inputs")
	scriptTimers  = script("timers")
	scriptRecords = script("records")
	scriptLedger  = script("ledger")
	scriptBeat    = script("beat")
	scriptHolder  = script("holder")
)

func script(name string) *goredis.Script {
	prelude, err := sources.ReadFile("lua/prelude.lua")
	if err != nil {
		panic(err) // embedded above
	}
	body, err := sources.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err)
	}
	return goredis.NewScript(string(prelude) + string(body))
}

// run calls a script until it has an answer, ctx ends or CommitTimeout passes;
// every script may be called again. unknown says that one of the calls may have
// been carried out without an answer.
func (s *Store) run(ctx context.Context, sc *goredis.Script, keys []string, args ...any) (answer any, unknown bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.CommitTimeout)
	defer cancel()
	wait := 10 * time.Millisecond
	for {
		answer, err = sc.Run(ctx, s.c, keys, args...).Result()
		switch {
		case err == nil || errors.Is(err, goredis.Nil):
			return answer, false, nil
		case isReply(err):
			if !passing(err) {
				return nil, unknown, refusal(err)
			}
		default:
			unknown = true
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, unknown, unreachable(err)
		}
		wait = min(2*wait, 500*time.Millisecond)
	}
}

// isReply says whether a server answered: then it did not do what was asked.
func isReply(err error) bool {
	var e goredis.Error
	return errors.As(err, &e)
}

// passing says whether a refusal ends by itself: the server starts, a slot
// moves, a master is being replaced.
func passing(err error) bool {
	for _, p := range []string{"LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "READONLY", "BUSY", "MOVED", "ASK", "ERR max number of clients"} {
		if strings.HasPrefix(err.Error(), p) {
			return true
		}
	}
	return false
}

// refusal says what a server's refusal means.
func refusal(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "OOM "):
		return problem.Wrap(errors.Join(store.ErrNoSpace, err), problem.NoSpace, "Redis has no memory left").
			WithHint("raise maxmemory of the Redis server, or give it fewer tenants").WithRetryAfter(10 * time.Second)
	case strings.HasPrefix(text, "MISCONF"):
		return problem.Wrap(errors.Join(store.ErrNoSpace, err), problem.NoSpace, "Redis cannot write its append-only file").
			WithHint("look at the Redis server's disk and log").WithRetryAfter(10 * time.Second)
	case strings.HasPrefix(text, "NOAUTH"), strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, "NOPERM"):
		return problem.Wrap(err, problem.Unavailable, "Redis does not let tocsin in").
			WithHint("check store.username and store.password_file; tocsin needs scripts, and every command on the keys and channels tocsin:*")
	}
	return problem.Wrap(err, problem.Unavailable, "Redis refused a step of the store").WithHint("see the log of tocsin and of Redis")
}

func unreachable(err error) error {
	return problem.Wrap(err, problem.Unavailable, "Redis does not answer").
		WithHint("check store.addresses and the Redis servers").WithRetryAfter(time.Second)
}
