package logch_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/channel/logch"
	"github.com/tocsin-alerting/tocsin/problem"
)

func TestThePageIsLoggedWithoutItsLinks(t *testing.T) {
	var out bytes.Buffer
	l := logch.New(slog.New(slog.NewJSONHandler(&out, nil)))
	got, err := l.Send(context.Background(), channel.Page{ID: "pg_1", Name: "Anna", Subject: "payments fail for acme",
		Text:   "payments fail for acme\n412 of 420 attempts failed\nIncident: 12 https://t.example.com/i/12?cap=SECRET1\nAcknowledge:\nhttps://t.example.com/ack/SECRET2\nalso HTTPS://t.example.com/x#SECRET3 and relative /ack/SECRET4",
		AckURL: "https://t.example.com/ack/SECRET2", Links: []channel.Link{{Name: "short", URL: "/ack/SECRET4"}}})
	require.NoError(t, err)
	require.Equal(t, "written to the log", got.Detail)
	require.NotContains(t, out.String(), "SECRET")
	require.NotContains(t, out.String(), "example.com")
	for _, want := range []string{"payments fail for acme", "412 of 420 attempts failed", "pg_1", "Anna", "Incident: 12 (link left out of the log)"} {
		require.Contains(t, out.String(), want)
	}
}

func TestNothingIsLoggedTooLate(t *testing.T) {
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := logch.New(slog.New(slog.NewJSONHandler(&out, nil))).Send(ctx, channel.Page{ID: "pg_1"})
	require.True(t, problem.From(err).Retryable)
	require.Empty(t, out.String())
}
