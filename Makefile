# make help lists the targets.
GO ?= go
VERSION ?= # of a release, v1.2.3; empty: what git says
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0

.PHONY: help build test race lint cross check python sim language kill oracle api-check clients ui page-figures shots figures figures-keep figures-cluster

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/'

build: ## bin/agnt5d; VERSION=v1.2.3 stamps a release
	$(GO) build $(if $(VERSION),-ldflags "-X github.com/agnt5/agnt5d/internal/build.version=$(VERSION)") -o bin/agnt5d ./cmd/agnt5d

test: ## every test
	$(GO) test ./...

race: ## the core under the race detector
	$(GO) test -race -short ./engine ./internal/shard ./journal/... ./worker/... ./internal/pool ./internal/crew ./internal/leases ./internal/queue ./api ./client ./push ./access ./seal ./internal/sealed ./internal/hub ./internal/sim
	$(GO) test -race -short ./cmd/agnt5d -run 'Killed|InTurn|TwoNodes|Certificate|Worker|Follow|Service|Tail'

lint: ## formatting, vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

cross: ## build and vet for Windows and macOS, tests compiled too; nothing is run there
	GOOS=windows GOARCH=amd64 $(GO) build ./... && GOOS=windows GOARCH=amd64 $(GO) vet ./...
	GOOS=darwin GOARCH=arm64 $(GO) build ./... && GOOS=darwin GOARCH=arm64 $(GO) vet ./...

python: ## the Python SDK: style, types, tests against a real daemon, a wheel
	sdk/python/check.sh

api-check: ## the API document by other people's tools, and a daemon by the document
	api/testdata/tools/check.sh

clients: ## clients generated from the API document start, signal and read a run
	api/testdata/tools/clients.sh

ui: ## the web page: built anew and compared with ui/dist, its tests, whole flows in Chromium
	ui/check.sh

page-figures: ## how long the web page takes, in Chromium on this machine: the figures of docs/page.md
	cd ui && npm ci --no-audit --no-fund && npm run -s figures

shots: ## the pictures of README and docs, taken anew of a real daemon
	cd ui && npm ci --no-audit --no-fund && npm run -s shots

figures: build ## the figures of docs/performance.md, for about ten minutes on a quiet machine
	bin/agnt5d bench --workload all --seconds 10
	bin/agnt5d bench --workload all --seconds 10 --mode daemon
	bin/agnt5d bench --workload lists --count 1000000 --seconds 10
	$(MAKE) figures-keep figures-cluster

figures-keep: build ## how a journal ages: 10,000,000 events with retention, compactions and backups under load, 200 kills of a compaction
	bin/agnt5d bench --workload keep --events 10000000 --in-flight 512 --seconds 80
	AGNT5_EVENTS=10000000 $(GO) test ./engine -run TestWithRetentionNothingGrows -v -count 1 -timeout 60m
	AGNT5_KILLS=200 $(GO) test ./journal/bolt -run 'AKillWhileItIsCompacted|AKilledCompaction' -v -count 1 -timeout 30m

figures-cluster: ## the figures of docs/cluster.md, for about an hour: speed on PostgreSQL, kills, zombies, failovers, an outage
	AGNT5_FIGURES=1 $(GO) test ./journal/pg -run TestFigure -v -count 1 -timeout 60m
	AGNT5_ZOMBIES=1000 $(GO) test ./journal/pg -run TestZombies -v -count 1 -timeout 60m
	AGNT5_FAILOVERS=10 $(GO) test ./journal/pg -run 'TestASynchronousStandby|TestALossOfAnAsynchronous' -v -count 1 -timeout 60m
	AGNT5_KILLS=400 $(GO) test ./cmd/agnt5d -run TestTwoNodesTakeTurns -v -count 1 -timeout 60m # 300 kills and 100 planned moves

sim: ## ten thousand seeds of the simulator
	$(GO) test ./internal/sim -run TestSeeds -seeds 10000 -timeout 30m

language: ## fifty thousand random definitions: the engine against the second model
	$(GO) test ./internal/shard -run SecondModel -definitions 50000 -timeout 60m

kill: ## two thousand kills of a child process
	AGNT5_KILLS=2000 $(GO) test ./cmd/agnt5d -run TestKilledAtRandomMoments -v -timeout 60m

oracle: ## ten years of 30 zones, minute by minute, against the schedules' due times
	$(GO) test ./internal/cron -run TestNextByIsWhatTheClocksShow -years 10 -v -timeout 60m

check: lint cross test race python api-check clients ui ## all that CI does
