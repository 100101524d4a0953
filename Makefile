# Everything here runs as a plain user. What it downloads (Go modules, hls.js) lands in Go's cache or beside the page, never in git.
SHELL   := /bin/bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

# The player page's hls.js. The same version and hash stand in configs/default.go, and a test compares them.
HLSJS_VERSION   := 1.6.19
HLSJS           := origin/admin/hlsjs/hls.min.js
HLSJS_INTEGRITY := sha384-eIepVstlIv9sSqP0mAsB37yZCJzcs0Y9qhxne7qDj9mO6EneOgR3uvZy28Xn6XqH

.PHONY: help run build test soak trials bench bench-peers lint fuzz vuln web release image clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## the server with a looped clip: watch it at http://127.0.0.1:5081/
	go run ./cmd/hlsorigin -demo

build: ## ./hlsorigin, static
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o hlsorigin ./cmd/hlsorigin

# The product tests that take longest, not last: the end would wait for one alone.
LONG = ./test/show ./test/crash ./test/cluster ./test/jobs ./test/vod

# go test comes last and unfiltered: its closing lines and its exit status are the result.
test: ## vet, then every test with the race detector, counts and durations reduced
	go vet ./...
	go test -run '^TestGuard|^TestFaster' ./bench ./segmenter/mpegts ./segmenter/fmp4 ./segmenter/vod # ratios of speeds: the race detector distorts them
	cd test/deploy && go test -count 1 ./... # a module of its own, for Prometheus's and Kubernetes' parsers; the cache does not see what lies outside it
	cd test/openapi && go test -count 1 ./... # the same, for a reader of OpenAPI
	go test -race -timeout 40m ./bench/... ./cmd/... ./configs/... ./ingest/... ./origin/... ./segmenter/... ./storage/... $(LONG) ./...

soak: ## the same tests at full counts and durations; hours
	HLSORIGIN_TEST_SCALE=1 go test -race -count 1 -timeout 0 ./...

trials: ## several servers at full counts, one trial after the other: deaths under a player, partitions, rolling restarts; two hours
	HLSORIGIN_TEST_SCALE=1 go test -count 1 -timeout 0 -parallel 1 -v -run 'Killed|Partitions|Rolling|Sleeps|Taken' ./test/cluster

BENCHTIME ?= 1s
bench: ## micro-benchmarks, with allocations
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -timeout 60m ./...

# BENCH='-program mediamtx=PATH -program lalserver=PATH' brings peers that are not in PATH; -h in it lists the rest.
bench-peers: ## the server beside its peers on this machine, figures and plots into data/bench; about two hours
	go run ./bench -systems 'bench/systems/*.json' -out data/bench $(BENCH)

lint: ## gofmt and vet
	@out=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed:"; echo "$$out"; exit 1; fi
	go vet ./...

FUZZTIME ?= 30s
fuzz: ## each fuzz target for FUZZTIME
	@set -e; for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p; done; done

vuln: ## what the Go vulnerability database knows of the program and its dependencies
	go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./...

web: $(HLSJS) ## hls.js from npm, into programs that are built from then on: their player page works offline

$(HLSJS): Makefile
	@rm -rf data/web && mkdir -p data/web
	npm pack --silent --pack-destination data/web hls.js@$(HLSJS_VERSION)
	tar -xzf data/web/hls.js-$(HLSJS_VERSION).tgz -C data/web package/dist/hls.min.js
	@got=sha384-$$(openssl dgst -sha384 -binary data/web/package/dist/hls.min.js | openssl base64 -A); \
		[ "$$got" = "$(HLSJS_INTEGRITY)" ] || { echo "hls.js has the hash $$got, not the pinned one"; exit 1; }
	@mv data/web/package/dist/hls.min.js $@ && rm -r data/web && touch $@

release: web ## programs for all platforms, their bills of materials and checksums, into dist/
	go run ./cmd/release -version $(VERSION)

image: web ## a container image
	docker build --build-arg VERSION=$(VERSION) --build-arg COMMIT=$$(git rev-parse HEAD) --build-arg DATE=$$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd) -t hlsorigin:$(VERSION) .

clean: ## what make built
	rm -rf hlsorigin dist $(HLSJS)
