package lesson

import (
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/raise"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	accepted  = "accepted" // evaluate.Acceptance by tenant/alert
	leastOnce = time.Hour  // an alert has lasted before it can be accepted: less is no level
)

// Accept takes what a firing alert of a tenant shows as the usual from now on.
func Accept(tx *partition.Tx, e *evaluate.Engine, id tenant.ID, of alert.ID, by string) (alert.Alert, error) {
	var a alert.Alert
	ok, err := tx.Get(raise.Records, string(of), &a)
	switch {
	case err != nil:
		return a, err
	case !ok || a.Tenant != id:
		return a, problem.New(problem.NotFound, "there is no such alert")
	case a.State != alert.Firing:
		return a, problem.New(problem.Conflict, "the alert is over: there is nothing to accept")
	case !a.Kind.Ratio() && a.Kind != rule.Traffic:
		return a, problem.New(problem.Invalid, "a rule of kind %s learns nothing that could be accepted", a.Kind).
			WithHint("change the rule, or override it for this tenant: tocsin profile override")
	case tx.Now().Sub(a.OnsetAt) < leastOnce:
		return a, problem.New(problem.Conflict, "the alert has lasted for less than an hour: what the new level is cannot be known yet").
			WithHint("accept it when it has lasted for an hour")
	}
	v := evaluate.Acceptance{Alert: a.Key, At: tx.Now().UTC(), By: by}
	if err := tx.Put(accepted, string(id)+"/"+string(of), "acceptance", 1, v); err != nil {
		return a, err
	}
	tx.Log(ledger.Entry{Subject: "alert/" + string(of), Refs: []string{id.Subject()}, Kind: "alert.accepted", Actor: by,
		Reason: fmt.Sprintf("%s accepted what it shows as the new normal: %s", by, a.Reason)})
	tx.After(func() { e.Accept(v) })
	return a, nil
}
