package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDefaultsServeWithoutAFile(t *testing.T) {
	c := Default()
	require.Empty(t, c.check())
	require.Equal(t, "production", c.Environment)
	require.Equal(t, "register", c.ITSM.Default)
	require.Equal(t, "live", c.ITSM.Systems[0].Mode)
	require.Equal(t, "log", c.Channels[0].Kind)
	require.Equal(t, 360*time.Hour, c.Retention.Samples)
	empty, err := Parse("empty.yaml", nil)
	require.NoError(t, err)
	require.Equal(t, c, empty)
}

func TestEveryFaultIsNamedAtOnce(t *testing.T) {
	_, err := Parse("tocsin.yaml", []byte(`
external_url: tocsin.example.com
retention: {samples: 1m}
itsm:
  default: nothing
  systems:
    - {name: main, kind: rt, mode: on}
    - {name: main, kind: excel, poll: 1ms}
channels:
  - {name: mail, kind: smtp, tls: some}
  - {kind: pigeon}
`))
	require.Error(t, err)
	for _, want := range []string{"tocsin.yaml", "external_url", "retention", "mode must be", "url, token_file and queue", "used twice", "kind must be register or rt", "poll", "itsm.default", "address (host:port)", "tls must be", "kind must be log, smtp or webhook"} {
		require.ErrorContains(t, err, want)
	}
	_, err = Parse("tocsin.yaml", []byte("enviroment: production\nitsm: {sytems: []}\n"))
	require.ErrorContains(t, err, "enviroment")
	require.ErrorContains(t, err, "sytems")
}

func TestATeamsSystemIsObservedUntilToldOtherwise(t *testing.T) {
	c, err := Parse("t", []byte("itsm: {systems: [{name: main, kind: rt, url: 'http://rt', token_file: t, queue: Incidents}]}"))
	require.NoError(t, err)
	require.Equal(t, "observe", c.ITSM.Systems[0].Mode)
	require.Equal(t, "TocsinKey", c.ITSM.Systems[0].CorrelationField)
	require.Len(t, c.ITSM.Systems, 2, "the register is always there")
}

func TestAWebhookIsChecked(t *testing.T) {
	parse := func(line string) error {
		_, err := Parse("tocsin.yaml", []byte("channels: [{name: hook, kind: webhook, "+line+"}]"))
		return err
	}
	require.NoError(t, parse("url: https://hooks.example.com/x, secret_file: s, timeout: 5s, pictures: true"))
	require.NoError(t, parse("url_file: u, secret_file: s, token_file: t, ca_file: c"))
	for want, line := range map[string]string{
		"needs secret_file":          "url: https://hooks.example.com/x",
		"either url or url_file":     "secret_file: s",
		"url must be an https":       "url: hooks.example.com, secret_file: s",
		"timeout must be at most 25": "url: https://hooks.example.com/x, secret_file: s, timeout: 1h",
	} {
		require.ErrorContains(t, parse(line), want)
	}
}

func TestTheStoresFaultsAreNamed(t *testing.T) {
	for text, says := range map[string]string{
		"store: {kind: postgres}":                                                      "embedded or redis",
		"store: {kind: redis}":                                                         "needs addresses",
		"store: {kind: redis, addresses: [redis]}":                                     "host:port",
		"store: {addresses: ['redis:6379']}":                                           "for kind redis",
		"cluster: {secret_file: s}":                                                    "for kind redis",
		"store: {kind: redis, addresses: ['r:1'], tls: {ca_file: x}}":                  "enabled must be true",
		"store: {kind: redis, addresses: ['r:1'], tls: {enabled: true, cert_file: x}}": "belong together",
		"store: {kind: redis, addresses: ['r:1']}\ncluster: {advertise: 'here:9480'}":  "cluster.advertise",
	} {
		_, err := Parse("tocsin.yaml", []byte(text))
		require.ErrorContains(t, err, says, text)
	}
}

func TestTheStoresURL(t *testing.T) {
	var s Store
	require.NoError(t, s.SetURL("rediss://one:6379,two:6380/"))
	require.Equal(t, Store{Kind: Redis, Addresses: []string{"one:6379", "two:6380"}, TLS: StoreTLS{Enabled: true}}, s)
	require.NoError(t, s.SetURL("redis://one:6379"))
	require.Equal(t, Store{Kind: Redis, Addresses: []string{"one:6379"}}, s)
	for _, bad := range []string{"one:6379", "http://one:6379", "redis://one", "redis://user:sesame@one:6379", "redis://one:6379?db=1"} {
		err := s.SetURL(bad)
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "sesame", "a rejected value is never echoed")
	}
}
