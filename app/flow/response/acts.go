package response

import (
	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
)

func (k *Desk) personOf(itsmUser string) incident.Actor {
	for _, p := range k.Rules().Catalog.People {
		if itsmUser != "" && p.ITSMUser == itsmUser {
			return incident.Actor{Person: p.ID, Name: p.Name, ITSMUser: p.ITSMUser}
		}
	}
	return incident.Actor{}
}

func (k *Desk) actor(id catalog.PersonID) incident.Actor {
	p, ok := k.Rules().Catalog.Person(id)
	if !ok {
		return incident.Actor{Person: id, Name: string(id)}
	}
	return incident.Actor{Person: p.ID, Name: p.Name, ITSMUser: p.ITSMUser}
}

// AcknowledgePage is the press of the button of one person's page.
func (k *Desk) AcknowledgePage(tx *partition.Tx, id string) (incident.Holder, error) {
	p, err := getPage(tx, id)
	if err != nil {
		return incident.Holder{}, err
	}
	if p.Place.Drill != "" {
		return k.passDrill(tx, p)
	}
	i, err := getIncident(tx, p.Incident)
	if err != nil {
		return incident.Holder{}, err
	}
	who := k.actor(p.Person)
	c, _ := oncall.Acknowledge(p, oncall.Actor{Person: who.Person, Name: who.Name}, tx.Now())
	if err := k.applyPage(tx, c); err != nil {
		return incident.Holder{}, err
	}
	change, holder := incident.Acknowledge(i, who, "page", tx.Now())
	return holder, k.apply(tx, change)
}

// Acknowledge takes an incident for a person, from the view or the API.
func (k *Desk) Acknowledge(tx *partition.Tx, id string, by incident.Actor, via string) (incident.Holder, error) {
	i, err := getIncident(tx, id)
	if err != nil {
		return incident.Holder{}, err
	}
	c, holder := incident.Acknowledge(i, by, via, tx.Now())
	return holder, k.apply(tx, c)
}

// Resolve ends an incident for a person.
func (k *Desk) Resolve(tx *partition.Tx, id string, by incident.Actor, via, note string) error {
	i, err := getIncident(tx, id)
	if err != nil {
		return err
	}
	return k.apply(tx, incident.Resolve(i, by, via, note, tx.Now()))
}

// Note adds a person's note to an incident; key makes it idempotent.
func (k *Desk) Note(tx *partition.Tx, id string, by incident.Actor, key, text string) error {
	i, err := getIncident(tx, id)
	if err != nil {
		return err
	}
	return k.apply(tx, incident.Note(i, by, key, text, tx.Now()))
}

// Release gives an acknowledged incident back, for a person.
func (k *Desk) Release(tx *partition.Tx, id string, by incident.Actor, via, note string) error {
	i, err := getIncident(tx, id)
	if err != nil {
		return err
	}
	c, ok := incident.Release(k.weigh(i, nil, tx.Now()), by, via, note, tx.Now())
	if !ok {
		return problem.New(problem.Conflict, "nobody has the incident: it is %s", i.State)
	}
	return k.apply(tx, c)
}

// Judge takes a person's verdict on an incident.
func (k *Desk) Judge(tx *partition.Tx, id string, by incident.Actor, via string, v alert.Verdict, reason string) error {
	i, err := getIncident(tx, id)
	if err != nil {
		return err
	}
	c, said := incident.Judge(i, by, via, v, reason, tx.Now())
	return k.judged(tx, c, said)
}

// judged stores a verdict, and where it was said tells the tenants.
func (k *Desk) judged(tx *partition.Tx, c incident.Change, said bool) error {
	if err := k.apply(tx, c); err != nil || !said {
		return err
	}
	j := c.Incident.Verdict
	tx.After(func() { k.Metrics.Verdicts.WithLabelValues(string(j.Verdict)).Inc() })
	k.Teach(tx, c.Incident)
	return nil
}
