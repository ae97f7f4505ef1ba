#!/bin/sh
# Installs the programs that tests run against: Debian packages when run as
# root, Mailpit, Prometheus, telemetrygen and an OpenTelemetry collector built
# into the user's cache. Does nothing when all is there.
set -eu
cd "$(dirname "$0")/.."
exec go run ./internal/peer/cmd/install
