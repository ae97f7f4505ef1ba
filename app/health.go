package app

import (
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/health"
	"github.com/tocsin-alerting/tocsin/store/disk"
)

// arrived counts samples that became durable.
func (i *intake) arrived(n int, now time.Time) {
	i.pace.Lock()
	defer i.pace.Unlock()
	i.pace.Add(n, now)
}

// machine is how the process and its disk do.
func (a *App) machine() health.Machine {
	l := a.o.Config.Limits
	guard := disk.NewGuard(a.o.StoragePath, uint64(l.MinFreeBytes), l.MinFreeRatio, nil)
	free, total := guard.Space()
	m := health.Machine{Version: a.o.Version, StartedAt: a.started, Ready: a.ready.Load(), HistoryOpen: a.history.Load() != nil,
		WaitingSamples: a.intake.waiting.Load(), Refused: a.door.Refused(),
		Journal: health.Room{Used: a.journal.Size(), Limit: l.JournalBytes},
		Disk:    health.Space{Free: free, Total: total, TakesIn: !guard.Below(1), Commits: !guard.Below(0.25)}}
	a.intake.pace.Lock()
	m.SamplesPerSecond = a.intake.pace.PerSecond(a.o.Now())
	a.intake.pace.Unlock()
	return m
}
