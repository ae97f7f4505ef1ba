package pools

import (
	"net/url"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/exchange"
)

// Subject names the pool of a service.
func Subject(environment, service string) string {
	return "pool/" + url.PathEscape(environment) + "/" + service
}

// cut takes a pool's subject apart.
func cut(subject string) (environment, service string, ok bool) {
	parts := strings.SplitN(subject, "/", 3)
	if len(parts) != 3 {
		return "", "", false
	}
	environment, err := url.PathUnescape(parts[1])
	return environment, parts[2], err == nil
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
