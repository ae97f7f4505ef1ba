package config

import (
	"net"
	"net/url"
	"strings"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Kinds of a store's home.
const (
	Embedded = "embedded"
	Redis    = "redis"
)

// Store says where the durable state lives.
type Store struct {
	Kind      string   `yaml:"kind"`      // embedded (default): a folder below --storage.path; redis
	Addresses []string `yaml:"addresses"` // redis: host:port of the server, or of some nodes of the cluster
	Username  string   `yaml:"username"`
	// PasswordFile is read anew at every connection.
	PasswordFile string   `yaml:"password_file"`
	TLS          StoreTLS `yaml:"tls"`
	// Relaxed accepts a server that promises less than it should.
	Relaxed bool `yaml:"relaxed"`
}

// StoreTLS is how the connection to the store is secured.
type StoreTLS struct {
	Enabled    bool   `yaml:"enabled"`
	CAFile     string `yaml:"ca_file"`   // default: the system's
	CertFile   string `yaml:"cert_file"` // ours, when the server asks for one
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"` // default: the host of the address
}

// Cluster is how replicas that share a store reach each other.
type Cluster struct {
	// SecretFile holds what replicas know each other by, at least 32 characters,
	// the same for all. Without one this replica is the only one.
	SecretFile string `yaml:"secret_file"`
	// Advertise is the address at which the others reach this one's API; default
	// http:// and the listen address.
	Advertise string `yaml:"advertise"`
}

func (c *Config) checkStore() (faults []string) {
	s := c.Store
	switch s.Kind {
	case Embedded:
		if len(s.Addresses) > 0 || s.Username != "" || s.PasswordFile != "" || s.TLS != (StoreTLS{}) || c.Cluster != (Cluster{}) {
			faults = append(faults, "store: addresses, username, password_file, tls and cluster are for kind redis")
		}
	case Redis:
		if len(s.Addresses) == 0 {
			faults = append(faults, "store: kind redis needs addresses (host:port)")
		}
	default:
		faults = append(faults, "store: kind must be embedded or redis")
	}
	for _, a := range s.Addresses {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			faults = append(faults, "store: each of addresses must be host:port")
		}
	}
	if !s.TLS.Enabled && s.TLS != (StoreTLS{}) {
		faults = append(faults, "store.tls: enabled must be true for the other keys to mean something")
	}
	if (s.TLS.CertFile == "") != (s.TLS.KeyFile == "") {
		faults = append(faults, "store.tls: cert_file and key_file belong together")
	}
	if a := c.Cluster.Advertise; a != "" {
		if u, err := url.Parse(a); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
			faults = append(faults, "cluster.advertise must be an http or https address without a path, for example http://10.0.0.5:9480")
		}
	}
	return faults
}

// SetURL takes the home from redis://host:port or, for TLS, rediss://host:port;
// several hosts are separated by commas. A password in it is refused: it would
// stand in the list of processes.
func (s *Store) SetURL(text string) error {
	bad := problem.New(problem.Invalid, "the store's URL is not understood").WithHint("--store.url redis://HOST:PORT, or rediss:// for TLS; user and password are store.username and store.password_file")
	scheme, hosts, ok := strings.Cut(text, "://")
	if !ok || scheme != "redis" && scheme != "rediss" || strings.ContainsAny(hosts, "@?#") {
		return bad
	}
	s.Kind, s.TLS.Enabled = Redis, scheme == "rediss"
	s.Addresses = nil
	for _, a := range strings.Split(strings.TrimSuffix(hosts, "/"), ",") {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			return bad
		}
		s.Addresses = append(s.Addresses, a)
	}
	return nil
}

// Check gives every fault at once, also of what flags changed.
func (c *Config) Check() error {
	if faults := c.check(); len(faults) > 0 {
		return problem.New(problem.Invalid, "the configuration: %s", strings.Join(faults, "; "))
	}
	return nil
}
