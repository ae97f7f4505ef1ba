package flow

import (
	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/lesson"
	"github.com/tocsin-alerting/tocsin/app/flow/trial"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Accept takes what a firing alert of a tenant shows as the usual from now on.
func (h *Handler) Accept(tx *partition.Tx, id tenant.ID, of alert.ID, by string) (alert.Alert, error) {
	return lesson.Accept(tx, h.engine, id, of, by)
}

// learn takes a verdict for the tenants of this partition.
func (h *Handler) learn(tx *partition.Tx, in store.Input) error {
	l, told, err := lesson.Learn(tx, in, h.engine, h.s.directory.Known)
	if err != nil || !told {
		return err
	}
	return h.trials.Heed(tx, in.ID, l)
}

// forgetNoted drops what people said of a tenant's alerts and what was noted of them in
// shadow: its id may become another's.
func forgetNoted(tx *partition.Tx, id tenant.ID) (records int, err error) {
	records, err = lesson.Forget(tx, id)
	if err != nil {
		return records, err
	}
	n, err := trial.Forget(tx, id)
	return records + n, err
}
