package pools

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/store"
)

// Subject names the pool of a service.
func Subject(environment, service string) string {
	return store.NamedSubject("pool", environment, service)
}

// Told is what a pool is told.
type Told struct {
	*exchange.Origin // of the first of list
	Subject          string
	List             []exchange.Contribution
}

// BySubject copies what each pool is told: the engine uses its list again. What tenants say
// of a service stands together.
func BySubject(cs []exchange.Contribution) (all []Told) {
	var last *exchange.Origin
	at := 0
	for i := range cs {
		if c := &cs[i]; c.Origin != last {
			last = c.Origin
			at = slices.IndexFunc(all, func(x Told) bool { return x.Environment == last.Environment && x.Service == last.Service })
			if at < 0 {
				at = len(all)
				all = append(all, Told{last, Subject(last.Environment, last.Service), make([]exchange.Contribution, 0, len(cs)-i)})
			}
		}
		all[at].List = append(all[at].List, cs[i])
	}
	return all
}
