package flow

import (
	"encoding/json"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
)

const inputRecord = "record" // 1: RecordJob, for whoever's record it is

// RecordJob asks the owner of a partition, who may be another process, to write a
// record unless there is one, or to delete it if there is, with the reason.
type RecordJob struct {
	Collection string          `json:"collection"`
	Key        string          `json:"key"`
	Kind       string          `json:"kind"`
	Version    int             `json:"version"`
	Value      json.RawMessage `json:"value"`
	Delete     bool            `json:"delete,omitempty"` // then there is no value
	Entry      ledger.Entry    `json:"entry"`
}

// RecordInput is how a RecordJob is offered to the partition of its subject.
func RecordInput(subject, id string, j RecordJob, now time.Time) store.Input {
	return store.Input{ID: id, Kind: inputRecord, Version: 1, Subject: subject, At: now, Payload: partition.Payload(j)}
}

func (h *Handler) record(tx *partition.Tx, in store.Input) error {
	j, err := partition.DecodeInput[RecordJob](in)
	if err != nil {
		return err
	}
	if _, exists, err := tx.Raw(j.Collection, j.Key); err != nil || exists != j.Delete {
		return err
	}
	if j.Delete {
		tx.Delete(j.Collection, j.Key)
	} else {
		tx.PutRaw(store.Record{Collection: j.Collection, Key: j.Key, Kind: j.Kind, Version: j.Version, Value: j.Value})
	}
	tx.Log(j.Entry)
	return nil
}
