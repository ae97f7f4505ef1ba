// Package check reads the configuration and all files that it names, and says
// everything that is wrong with them at once: what keeps tocsin from using them,
// and what is legal and unwise.
//
// It reads files and opens no connection. serve and reload read through it too,
// so that what it lets pass can be used.
package check

import (
	"cmp"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
)

// Files is a configuration with what it names; what could not be read is nil. A policy with
// faults has what could be read of it.
type Files struct {
	Config  *config.Config
	Policy  *profiles.Policy
	Catalog *catalog.Catalog
}

// File reads a configuration file and all it names; an empty path means the
// defaults. Faults come in the order of files and lines.
func File(path string) (Files, fault.List) {
	if path == "" {
		return All(config.Default())
	}
	name := filepath.Base(path)
	raw, err := os.ReadFile(path)
	if err != nil {
		return Files{}, fault.List{{File: name, Level: fault.Error, Message: "the file cannot be read: " + cause(err)}}
	}
	c, faults := config.Check(name, raw)
	if c == nil {
		return Files{}, faults
	}
	c.In(filepath.Dir(path))
	f, more := All(c)
	return f, ordered(append(faults, more...))
}

// ordered sorts by line within each file, the files as they come.
func ordered(l fault.List) fault.List {
	first := map[string]int{}
	for i, f := range l {
		if _, ok := first[f.File]; !ok {
			first[f.File] = i
		}
	}
	slices.SortStableFunc(l, func(a, b fault.Fault) int {
		return cmp.Or(cmp.Compare(first[a.File], first[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field))
	})
	return l
}

// All reads what a configuration names and checks it together.
func All(c *config.Config) (Files, fault.List) {
	f := Files{Config: c}
	var faults fault.List
	f.Policy, faults = policy(c, faults, profiles.Check)
	f.Catalog, faults = owners(c, faults)
	if f.Catalog != nil {
		faults = append(faults, agree(c, f.Catalog)...)
	}
	faults = append(faults, secrets(c)...)
	faults = append(faults, address(c)...)
	if Outside(c) && !c.Heartbeat.On() {
		faults = append(faults, c.Fault(fault.Warning, "heartbeat", "heartbeat is missing: nobody would notice if tocsin died; set the address of a listener that calls somebody"))
	}
	if f.Catalog != nil {
		faults = append(faults, unwise(c, f.Catalog)...)
	}
	if f.Policy != nil && f.Catalog != nil {
		faults = append(faults, f.Policy.Believed(unruled(c, f.Policy, f.Catalog, time.Now()))...)
	}
	return f, faults
}

// Rules reads the policy and the catalog that a configuration names, or the
// built-in ones. Warnings are no error, nor is what only tocsin check refuses.
func Rules(c *config.Config) (*profiles.Policy, *catalog.Catalog, error) {
	return rules(c, profiles.Check)
}

// Before is Rules for files that an earlier release may have taken: the policy's Mend
// has what this one refuses of a new one.
func Before(c *config.Config) (*profiles.Policy, *catalog.Catalog, error) {
	return rules(c, profiles.Lenient)
}

// reader reads a policy's text.
type reader func(name string, text []byte) (*profiles.Policy, fault.List)

func rules(c *config.Config, read reader) (*profiles.Policy, *catalog.Catalog, error) {
	p, faults := policy(c, nil, read)
	cat, faults := owners(c, faults)
	if cat != nil {
		faults = append(faults, agree(c, cat)...)
	}
	if err := faults.Problem("the configuration", "correct them all; tocsin check --config.file FILE shows them line by line"); err != nil {
		return nil, nil, err
	}
	return p, cat, nil
}

// cause is why a file cannot be read, without its path.
func cause(err error) string {
	switch {
	case os.IsNotExist(err):
		return "there is no such file"
	case os.IsPermission(err):
		return "its rights do not allow it"
	}
	return "it is no file that can be read"
}

func policy(c *config.Config, faults fault.List, read reader) (*profiles.Policy, fault.List) {
	if len(c.PolicyFiles) == 0 {
		p, err := profiles.Default()
		if err != nil { // built in
			return nil, append(faults, fault.Fault{Level: fault.Error, Message: problem.From(err).Message})
		}
		return p, faults
	}
	if len(c.PolicyFiles) > 1 {
		return nil, append(faults, c.Fault(fault.Error, "policy_files", "policy_files names several files, and this release reads one: join them"))
	}
	raw, err := os.ReadFile(c.Path(c.PolicyFiles[0]))
	if err != nil {
		return nil, append(faults, c.Fault(fault.Error, "policy_files[0]", "the policy file cannot be read: "+cause(err)))
	}
	p, more := read(c.PolicyFiles[0], raw)
	return p, append(faults, more...)
}

func owners(c *config.Config, faults fault.List) (*catalog.Catalog, fault.List) {
	if len(c.CatalogFiles) == 0 {
		return catalog.Default(), faults
	}
	var files []catalog.File
	for i, f := range c.CatalogFiles {
		raw, err := os.ReadFile(c.Path(f))
		if err != nil {
			faults = append(faults, c.Fault(fault.Error, index("catalog_files", i), "the catalog file cannot be read: "+cause(err)))
			continue
		}
		files = append(files, catalog.File{Name: f, Text: raw})
	}
	if len(files) < len(c.CatalogFiles) { // what refers to an entry of the missing one would be a false fault
		return nil, faults
	}
	cat, more := catalog.Check(files...)
	return cat, append(faults, more...)
}

// agree checks what configuration and catalog say of each other: a name spelled
// wrong would silently leave a team without pages or tickets.
func agree(c *config.Config, cat *catalog.Catalog) (faults fault.List) {
	for i, id := range c.LiveTeams {
		if _, ok := cat.Team(catalog.TeamID(id)); !ok {
			faults = append(faults, c.Fault(fault.Error, index("live_teams", i), "live_teams names the team "+id+", which is not in the catalog; add it to teams or correct the name"))
		}
	}
	for i, t := range cat.Teams {
		if t.ITSM.System != "" && !slices.ContainsFunc(c.ITSM.Systems, func(s config.System) bool { return s.Name == t.ITSM.System }) {
			faults = append(faults, cat.Fault(fault.Error, "teams", i, "team "+string(t.ID)+": itsm.system is not under itsm.systems of tocsin.yaml", "itsm", "system"))
		}
	}
	kinds := map[string]string{}
	for _, ch := range c.Channels {
		kinds[ch.Name] = ch.Kind
	}
	return append(faults, cat.ChannelFaults(kinds)...)
}

// Outside says whether anything outside is touched for real: a team whose contacts
// leave this machine, or a ticket system.
func Outside(c *config.Config) bool {
	outside := slices.ContainsFunc(c.Channels, func(ch config.Channel) bool { return ch.Kind != "log" })
	tickets := slices.ContainsFunc(c.ITSM.Systems, func(s config.System) bool { return s.Kind != "register" && s.Mode == "live" })
	return len(c.LiveTeams) > 0 && outside || tickets
}

// address checks what every link in pages and tickets is made from.
func address(c *config.Config) fault.List {
	u, err := url.Parse(c.ExternalURL)
	if err != nil {
		return nil // said already
	}
	switch {
	case !Outside(c):
		return nil
	case c.ExternalURL == "":
		return fault.List{c.Fault(fault.Error, "external_url", "external_url is missing, and something outside is live: its links would lead to this machine; set the address that people open")}
	case loopback(u.Hostname()):
		return fault.List{c.Fault(fault.Error, "external_url", "external_url is an address of this machine only, and something outside is live: nobody could open its links; set the address that people open")}
	case u.Scheme == "http":
		return fault.List{c.Fault(fault.Warning, "external_url", "external_url is http: whoever listens on the way reads sessions and links; put TLS before tocsin and write https")}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}
