# Each target sets up what it needs (scripts/setup) and can be the first thing run after cloning.
# ARGS are passed on:  make demo ARGS="--format json"   make test ARGS="--filter KeyCodingTests"

.DEFAULT_GOAL := help
.PHONY: help demo test test-all simulate bench build lint format clean setup

ARGS ?=
SWIFT_SOURCES := Sources Tests bench Package.swift
BENCHES := bench-latency bench-throughput bench-failover bench-reads bench-transactions bench-active \
	bench-modes bench-planner bench-residency bench-routing bench-sessions bench-simulation

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## Run a cluster of several regions in one process, and watch it commit, read and fail over
	@swift build -c release --product meridian >&2
	@.build/release/meridian demo $(ARGS)

# The canary matrix keeps both cores of a small machine busy for a minute; other tests have limits in milliseconds.
# Those of stale reads are of one millisecond, which twenty clusters on two cores take from each other.
ALONE := CanaryMatrixTests
TIMED := LocalReadTests
# Clusters in real time, which computing beside them would slow down; of these some are large.
CLUSTERS := ^MeridianTests\.
LARGE := ActiveActive|ActivePrediction|AuthorityTests|FailoverTests|ModeChangeTests
TEST := swift test --disable-xctest --explicit-target-dependency-import-check error

test: setup ## Run all tests, and without ARGS the simulator's seeds and planted bugs
	@$(if $(ARGS),$(TEST) $(ARGS),$(MAKE) --no-print-directory test-all)
	@$(if $(ARGS),,scripts/simulate)

test-all:
	@$(TEST) --skip '$(CLUSTERS)'
	@$(TEST) --filter '$(CLUSTERS)' --skip '$(LARGE)' --skip '$(ALONE)' --skip '$(TIMED)'
	@$(TEST) --filter '$(TIMED)'
	@$(TEST) --filter '$(LARGE)' --skip '$(ALONE)'
	@$(TEST) --filter '$(ALONE)'

simulate: setup ## Run the simulator's seeds, replays and planted bugs alone
	@scripts/simulate

bench: setup ## Measure latency, reads, throughput and failover, one after the other (release build)
	@for bench in $(BENCHES); do swift build -c release --product $$bench >&2 || exit 1; done
	@for bench in $(BENCHES); do .build/release/$$bench --format text $(ARGS) || exit 1; done

build: setup ## Build everything, tests included (debug)
	@swift build --build-tests $(ARGS)

lint: setup ## Check house rules, format, imports and warnings
	@scripts/lint

format: setup ## Format all Swift files in place
	@swift format --in-place --parallel --recursive $(SWIFT_SOURCES)

clean: ## Remove what was built
	@swift package clean

setup:
	@scripts/setup
