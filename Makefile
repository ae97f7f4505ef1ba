# make help lists what there is.
SHELL := /bin/sh
VERSION ?= $(shell git describe --tags --always 2>/dev/null || echo devel)
GO ?= go
GOFLAGS_BUILD := -trimpath -ldflags "-X main.version=$(VERSION)"
FUZZTIME ?= 1m
FUZZ = $(GO) test -run '^$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 10x -fuzz

.PHONY: help build demo test race-flow test-deps docs schemas lint fuzz quality quality-long chaos bench tidy clean

help: ## List the targets.
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build tocsin into bin/.
	$(GO) build $(GOFLAGS_BUILD) -o bin/ ./cmd/...

demo: build ## Show the main job, from onboarding to the resolved ticket (KEEP=1 leaves it up, BREAK=0 must fail at "alert").
	./bin/tocsin-demo --pictures demo-out

test-deps: ## Install and build what the tests need; quick when all is there.
	./tools/peers.sh

test: test-deps ## Run every test, with the race detector all but those of app/flow.
	$(GO) vet ./...
	$(GO) test -race -timeout 25m $$($(GO) list ./... | grep -v '/app/flow$$')
	$(GO) test -timeout 25m ./app/flow

race-flow: ## Run app/flow with the race detector; Go 1.26's may crash in its virtual time, see decision 63.
	$(GO) test -race -timeout 25m ./app/flow

docs: ## Make the documents that follow from the program: schemas and references.
	TOCSIN_UPDATE=1 $(GO) test -count=1 -run Current ./internal/reference ./app ./cmd/tocsin

schemas: docs ## Make docs/schemas, which is part of docs.

lint: ## Run golangci-lint, built from tools/lint.
	$(GO) tool -modfile=tools/lint/go.mod golangci-lint run

fuzz: ## Fuzz every parser by name, for FUZZTIME each.
	$(FUZZ) '^FuzzDecode$$' ./samples/remotewrite
	$(FUZZ) '^FuzzDecode$$' ./samples/otelmetrics
	$(FUZZ) '^FuzzDecodeRecord$$' ./samples
	$(FUZZ) '^FuzzDecode$$' ./tracing/otlp
	$(FUZZ) '^FuzzMask$$' ./tracing/private
	$(FUZZ) '^FuzzDecodeRecord$$' ./tracing
	$(FUZZ) '^FuzzDecode$$' ./journal
	$(FUZZ) '^FuzzPosition$$' ./journal
	$(FUZZ) '^FuzzDecode$$' ./store/embedded
	$(FUZZ) '^FuzzReceived$$' ./cluster
	$(FUZZ) '^FuzzRead$$' ./fault
	$(FUZZ) '^FuzzUnmarshal$$' ./detect
	$(FUZZ) '^FuzzTenantCheckpoint$$' ./internal/fuzz
	$(FUZZ) '^FuzzPoolCheckpoint$$' ./internal/fuzz
	$(FUZZ) '^FuzzParse$$' ./catalog
	$(FUZZ) '^FuzzParse$$' ./profiles
	$(FUZZ) '^FuzzParse$$' ./config
	$(FUZZ) '^FuzzParseList$$' ./tenant
	$(FUZZ) '^FuzzSlice$$' ./sli
	$(FUZZ) '^FuzzOpen$$' ./web
	$(FUZZ) '^FuzzCredentials$$' ./web
	$(FUZZ) '^FuzzDashboardQuery$$' ./internal/fuzz
	$(FUZZ) '^FuzzQueryParameters$$' ./internal/fuzz

quality: ## Score tocsin beside its peers on worlds never seen before (some minutes); writes docs/QUALITY.md.
	TOCSIN_LONG=1 TOCSIN_QUALITY_WRITE=1 $(GO) test -count=1 -run TestQualityLong -v -timeout 180m ./internal/quality

quality-long: ## Null tenant-months in great numbers with a fresh seed, for every kind of rule (some minutes).
	TOCSIN_LONG=1 $(GO) test -run TestNullMonths -v -timeout 60m ./detect ./detect/season

chaos: ## Kill the daemon at random moments of the story; TOCSIN_KILL_SEED repeats one.
	TOCSIN_LONG=1 $(GO) test -count=1 -run "TestKillNine|TestReplicas" -v -timeout 20m ./internal/e2e

bench: ## Measure decoding, evaluating, journaling and committing, and both homes of the store, whose figures go to bench/results.json.
	$(GO) test -run '^$$' -bench . -benchmem ./samples/... ./tracing/... ./evaluate ./detect ./journal ./store/embedded
	$(GO) test -run '^$$' -bench . -benchtime 1x -benchmem -timeout 20m ./app/backtest
	TOCSIN_BENCH=$(CURDIR)/bench/results.json $(GO) test -count=1 -run TestCosts -v -timeout 20m ./internal/e2e

tidy: ## Tidy go.mod.
	$(GO) mod tidy

clean: ## Remove what was built.
	rm -rf bin demo-out
