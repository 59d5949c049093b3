# Plain go commands, with what they need. No target asks for anything but the
# system's packages, the npm registry and the Go module proxy.

SHELL := /bin/bash

# What is installed goes outside of the checkout, and is kept by version.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/xesite-test
TOOLS := $(CACHE)/tools-$(shell go env GOVERSION)
STATICCHECK_VERSION := v0.8.2# the release called 2026.2.2
GOFUMPT_VERSION := v0.12.0
STATICCHECK := $(TOOLS)/staticcheck-$(STATICCHECK_VERSION)/staticcheck
GOFUMPT := $(TOOLS)/gofumpt-$(GOFUMPT_VERSION)/gofumpt

# How long each fuzz target runs.
FUZZTIME := 10s

.PHONY: build test test-wg-kernel soak lint newest-gvisor install bench bench-peers fuzz clean

build:
	go build ./...

# Everything that has to pass. Nothing is skipped for want of a program.
test: install lint newest-gvisor
	XESITE_TEST_REQUIRE=1 go test -race -p 1 -timeout 20m ./...

# The same proofs at full length: hundreds of kills, hours of traffic. It takes
# about two hours, most of them for announcements at the pace of real servers.
soak: install
	XESITE_TEST_REQUIRE=1 XESITE_TEST_SOAK=1 go test -count 1 -p 1 -timeout 180m -v -run 'Soak|Killed' ./xesite/... ./syndicate/... ./patreon/... ./onion ./wg ./example

# The tunnel with the WireGuard of the Linux kernel as its peer, in an emulated machine.
# It takes a minute or two, needs root, and Debian on amd64.
test-wg-kernel:
	.ci/install wg:wireguard-tools ip:iproute2 unshare:util-linux qemu-system-x86_64:qemu-system-x86 busybox:busybox-static depmod:kmod
	XESITE_WG_KERNEL=$$(.ci/kernel) && export XESITE_WG_KERNEL && \
		XESITE_TEST_REQUIRE=1 go test -count 1 -timeout 15m -v -run '^TestTheKernelIsAPeer$$' ./wg

lint: $(STATICCHECK) $(GOFUMPT)
	go vet ./...
	$(STATICCHECK) ./...
	@echo gofumpt -l .
	@unformatted=$$($(GOFUMPT) -l .) && if [[ $$unformatted ]]; then \
		echo "run gofumpt -w on:" $$unformatted >&2; exit 1; fi
	go fix -diff ./...

# gVisor has no versions that promise anything: its newest state has to compile as
# well, so that what has changed there is known before it is needed.
newest-gvisor:
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && cp go.mod go.sum "$$tmp/" && set -x && \
	go get -modfile="$$tmp/go.mod" gvisor.dev/gvisor@latest && go vet -modfile="$$tmp/go.mod" ./wg/...

install:
	.ci/install

$(STATICCHECK):
	GOBIN=$(@D) go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)

$(GOFUMPT):
	GOBIN=$(@D) go install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)

bench:
	go test -run '^$$' -bench . -benchmem ./...

# The host program beside other servers, some of which this installs.
bench-peers: install
	.ci/install nginx:nginx-light caddy:caddy wrk:wrk
	XESITE_PEERS=1 go test -run '^$$' -bench '^BenchmarkPeers$$' -benchtime 1x -timeout 30m ./internal/test/peers

# A short run of each target; go test runs one at a time.
fuzz:
	@set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$package; \
		done; \
	done

# The tools in $(CACHE) stay, and so does every data directory.
clean:
	rm -f example/example
	find . \( -path ./.git -o -path ./var \) -prune -o \( -name '*.test' -o -name '*.prof' \) -exec rm -f {} +
	go clean -testcache
