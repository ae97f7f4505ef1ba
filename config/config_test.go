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
	for _, want := range []string{"tocsin.yaml", "external_url", "retention", "mode must be", "url, token_file and queue", "used twice", "kind must be register or rt", "poll", "itsm.default", "address (host:port)", "tls must be", "kind must be log or smtp"} {
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
