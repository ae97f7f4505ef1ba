package response

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/router"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// timerForget takes a resolved incident out of the active ones.
const timerForget = "incident.forget"

func nextNumber(tx *partition.Tx) (int, error) {
	var last struct {
		Last int `json:"last"`
	}
	if _, err := tx.Get(counters, "incident", &last); err != nil {
		return 0, err
	}
	last.Last++
	return last.Last, tx.Put(counters, "incident", "counter", 1, last)
}

func putIncident(tx *partition.Tx, i incident.Incident) error {
	id := string(i.ID)
	if i.State == incident.StateResolved {
		tx.SetTimer(store.Timer{ID: id + "/forget", At: i.ResolvedAt.Add(router.Window + time.Minute), Subject: id, Kind: timerForget})
	} else {
		tx.SetTimer(store.Timer{ID: id + "/forget"})
		if err := tx.Put(active, id, "active", 1, struct{}{}); err != nil {
			return err
		}
	}
	return tx.Put(Incidents, id, incident.RecordKind, incident.RecordVersion, i)
}

func getIncident(tx *partition.Tx, id string) (incident.Incident, error) {
	return get[incident.Incident](tx, Incidents, id, "incident")
}

// get reads a record; NotFound, by the word for it, when there is none.
func get[T any](tx *partition.Tx, collection, id, word string) (v T, err error) {
	ok, err := tx.Get(collection, id, &v)
	if err == nil && !ok {
		err = problem.New(problem.NotFound, "there is no such %s", word)
	}
	return v, err
}

func activeIncidents(tx *partition.Tx) ([]incident.Incident, error) {
	ids, err := tx.List(active)
	if err != nil {
		return nil, err
	}
	out := make([]incident.Incident, 0, len(ids))
	for _, r := range ids {
		i, err := getIncident(tx, r.Key)
		if err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, nil
}

// Open reads the incidents of an environment that are not over.
func Open(ctx context.Context, s store.Store, environment string) ([]incident.Incident, error) {
	home := store.PartitionOf(Subject(environment))
	ids, err := partition.All(ctx, s, home, active)
	if err != nil {
		return nil, err
	}
	var out []incident.Incident
	for _, r := range ids {
		rec, ok, err := s.Record(ctx, home, Incidents, r.Key)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		i, err := partition.Decode[incident.Incident](rec)
		if err != nil {
			return nil, err
		}
		if i.Environment == environment && i.State != incident.StateResolved {
			out = append(out, i)
		}
	}
	return out, nil
}

// Picture names the picture of an incident's opening, from 1.
func Picture(id incident.ID, opening int) string { return fmt.Sprintf("%s-%d.png", id, opening) }

// Erase erases the incidents of an environment that are the tenant's
// alone; others are kept, and so is one that is not over, or whose ticket does not say so
// yet where one may be written. It gives the pictures that there may be, of every opening;
// the caller erases them.
func (k *Desk) Erase(tx *partition.Tx, id tenant.ID) (pictures []string, erased, kept int, err error) {
	records, err := tx.List(Incidents)
	if err != nil {
		return nil, 0, 0, err
	}
	for _, r := range records {
		i, err := partition.Decode[incident.Incident](r)
		if err != nil {
			return nil, 0, 0, err
		}
		if len(i.Alerts) == 0 || slices.ContainsFunc(i.Alerts, func(a alert.Alert) bool { return a.Tenant != id }) {
			continue
		}
		for n := range i.Openings {
			pictures = append(pictures, Picture(i.ID, n+1))
		}
		_, _, live := k.ticketOf(i)
		if i.State != incident.StateResolved || live && !i.Mirror.Unasked && i.Mirror.Delivered != i.Mirror.Desired {
			kept++
			i.Dashboard.Blob, i.Dashboard.Error = "", "erased with the tenant's data"
			if err := putIncident(tx, i); err != nil {
				return nil, 0, 0, err
			}
			continue
		}
		erased++
		for _, page := range i.Pages {
			tx.Delete(Pages, page)
		}
		tx.Delete(Escalations, r.Key)
		tx.Delete(active, r.Key)
		tx.Delete(Incidents, r.Key)
		tx.SetTimer(store.Timer{ID: r.Key + "/forget"})
		tx.Log(ledger.Entry{Subject: i.ID.Subject(), Kind: "incident.erased", Reason: fmt.Sprintf("incident %d was erased with the data of its only tenant", i.Number)})
	}
	return pictures, erased, kept, nil
}
