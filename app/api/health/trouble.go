package health

import (
	"fmt"
	"time"
)

// judge says what of a status somebody should look at, the worst first.
func (a *StatusAnswer) judge(now time.Time) {
	say := func(format string, args ...any) { a.Troubles = append(a.Troubles, fmt.Sprintf(format, args...)) }
	switch {
	case !a.Disk.Commits:
		say("the disk is full: nothing can be made durable, not even an acknowledgement; free space")
	case !a.Disk.TakesIn:
		say("the disk is nearly full: samples are answered 507; free space")
	}
	if !a.Ready {
		say("tocsin is starting or stopping")
	}
	if !a.HistoryOpen {
		say("the metrics history is still opening: queries and pictures wait")
	}
	if a.Journal.Limit > 0 && a.Journal.Used > a.Journal.Limit/10*8 {
		say("the journal is %d%% full: evaluation lags; at 100%% samples are answered 429", 100*a.Journal.Used/a.Journal.Limit)
	}
	for _, b := range a.Undelivered {
		if age := now.Sub(b.Oldest); b.Failures > 0 && age > time.Minute {
			say("%s does not take what is sent to it: %d wait, the oldest for %s", b.Destination, b.Waiting, age.Round(time.Second))
		}
	}
	if n := a.Tenants.Blind; n > 0 {
		say("%d tenant(s) are blind: their samples stopped arriving", n)
	}
	if n := a.Tenants.NeverSent; n > 0 {
		say("%d watched tenant(s) never sent anything that is judged", n)
	}
	if n := a.Tenants.Unknown; n > 0 {
		say("%d tenant(s) send and were never onboarded: tocsin tenant unknown", n)
	}
	if a.SamplesPerSecond == 0 && a.Tenants.Live+a.Tenants.Onboarding > 0 {
		say("no samples arrived within the last minute")
	}
}
