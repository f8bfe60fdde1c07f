# Everything runs in .venv, made from the hash-pinned requirements/dev.lock.

PYTHON ?= python3
BROKER_PORT ?= 19092
RECORDS ?= 1000000
PARTITIONS ?= 4
INPUT ?= streamagg-input
OUTPUT ?= streamagg-output
MINUTES ?= 60
FLAGS ?=
# Tests on a real broker mostly wait: for session time-outs, for silence, for a broker that comes back.
TEST_WORKERS ?= 5

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
C_FILES := $(wildcard streamagg/*/*/*.[ch] streamagg/*/*/*/*.[ch])

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## Show this list
	@echo 'make <target>:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'Variables: PYTHON=$(PYTHON) BROKER_PORT=$(BROKER_PORT) RECORDS=$(RECORDS) PARTITIONS=$(PARTITIONS)'
	@echo '  INPUT=$(INPUT) OUTPUT=$(OUTPUT) FLAGS=<more flags for streamagg>'

.PHONY: install
install: $(INSTALLED) ## Create the environment in .venv

# pip checks the hash of every file; the package itself is built by the pinned setuptools.
$(INSTALLED): requirements/dev.lock pyproject.toml setup.py $(C_FILES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'streamagg needs Python 3.11 or newer: name one with make PYTHON=python3.13' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'This Python cannot make environments: install its venv module (Debian: apt install python3-venv)' >&2; \
	  exit 1; }
	@echo 'Installing into $(VENV) ...'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: demo
demo: $(INSTALLED) ## The whole pipeline on generated records; needs nothing else
	@$(BIN)/streamagg demo $(FLAGS)

.PHONY: test
test: $(INSTALLED) ## All tests but flink-test; those on real Kafka where Java 17 and Maven are installed
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile

.PHONY: check
check: $(INSTALLED) check-c ## Lint, format, types, direction of imports, warnings of C compilers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: check-c
check-c: $(INSTALLED) ## Warnings of gcc and clang about the parts in C are errors; whichever is installed
	@$(BIN)/python -m tests.native warnings

NATIVE := clang address thread arm64

.PHONY: test-native
test-native: ## The parts in C built by clang, with sanitizers and for arm64 (in an emulator), each with its tests
	@$(MAKE) --jobs 2 --output-sync=target $(NATIVE:%=test-native-%)

.PHONY: $(NATIVE:%=test-native-%)
$(NATIVE:%=test-native-%): $(INSTALLED)
	@$(BIN)/python -m tests.native $(@:test-native-%=%)

.PHONY: flink-test
flink-test: $(INSTALLED) ## The job for Flink: its Java against what this program says, and what `make test` leaves out
	@$(BIN)/python -m tests.flink.export .streamagg/flink
	@mvn -q -B -f streamagg/flink/java -Dconformance=$(CURDIR)/.streamagg/flink $(FLAGS) test
	@$(BIN)/python -m pytest -m flink -o faulthandler_timeout=600

.PHONY: broker
broker: $(INSTALLED) ## Start Kafka at 127.0.0.1:19092 (needs Java 17 and Maven)
	@$(BIN)/python -m tests.support.broker start --port $(BROKER_PORT)

.PHONY: broker-stop
broker-stop: $(INSTALLED) ## Stop it; its records stay
	@$(BIN)/python -m tests.support.broker stop --port $(BROKER_PORT)

replay run verify: export STREAMAGG_BOOTSTRAP_SERVERS ?= 127.0.0.1:$(BROKER_PORT)

# Under another name until it is complete, so that an interrupted run leaves no half of it.
stream.jsonl: | $(INSTALLED)
	@$(BIN)/streamagg generate --count $(RECORDS) -o $@.part
	@mv $@.part $@

.PHONY: replay
replay: $(INSTALLED) stream.jsonl ## Send stream.jsonl (made when absent) into the input topic
	@$(BIN)/streamagg replay stream.jsonl --topic $(INPUT) --partitions $(PARTITIONS) $(FLAGS)

.PHONY: run
run: $(INSTALLED) ## Count the input topic into the output topic until Ctrl-C
	@$(BIN)/streamagg run --input $(INPUT) --output $(OUTPUT) $(FLAGS)

.PHONY: verify
verify: $(INSTALLED) ## Recount the input topic and compare with the output topic
	@$(BIN)/streamagg verify --input $(INPUT) --output $(OUTPUT) $(FLAGS)

# A part that fails must not keep what the others have measured out of the report.
.PHONY: bench
bench: $(INSTALLED) ## Measure beside every alternative, in every way; takes hours; writes REPORT.md's figures
	@failed=0; \
	for part in 'bench $(FLAGS)' bench.pairs bench.tools bench.profile bench.metering bench.latency bench.scaling \
	  bench.ingest 'bench.ingest overload' 'bench.ingest store' bench.serve \
	  bench.flink bench.strictness bench.render; do \
	  $(BIN)/python -m $$part || failed=1; \
	done; \
	exit $$failed

.PHONY: bench-quick
bench-quick: $(INSTALLED) ## The main rows of it, about 3 minutes once the topic is there
	@$(BIN)/python -m bench --quick $(FLAGS)

.PHONY: soak
soak: $(INSTALLED) ## An hour (MINUTES=n) under load with a fault every half minute: right, and no growth?
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(FLAGS)

.PHONY: soak-serve
soak-serve: $(INSTALLED) ## An hour (MINUTES=n) of serve with fifty clients: right, and no growth?
	@$(BIN)/python -m tests.soak.serving --minutes $(MINUTES) $(FLAGS)

# In an environment of its own, so that nothing of what is looked at takes part in looking.
.PHONY: audit
audit: $(INSTALLED) ## Known holes in the pinned packages (asks PyPI); versions of the native code in them
	@$(BIN)/python -m supply.bundled
	@$(call tools,audit)
	@failed=0; \
	for set in run image build dev audit deploy wheels; do \
	  echo "requirements/$$set.lock:"; \
	  .streamagg/audit/bin/pip-audit --strict --require-hashes --disable-pip -r requirements/$$set.lock $(FLAGS) \
	    || failed=1; \
	done; \
	exit $$failed

.PHONY: check-deploy
check-deploy: ## Lint the Dockerfile; hold compose and Kubernetes files against their schemas
	@$(call tools,deploy)
	@.streamagg/deploy/bin/hadolint docker/Dockerfile
	@.streamagg/deploy/bin/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml docker/compose.files.yaml deploy/flink/compose.yaml
	@.streamagg/deploy/bin/kubernetes-validate --strict $(MANIFESTS)

# What the Dockerfile says is done in an overlay of this machine's root: needs root, the network and a minute.
.PHONY: check-image
check-image: $(INSTALLED) ## Build the image without a container engine and run it as one would, on Kafka
	@$(BIN)/python -m tests.image

MANIFESTS = $(filter-out %/kustomization.yaml,$(wildcard deploy/kubernetes/base/*.yaml))

# Python 3.11 to 3.14, as far as they are here: in the path, or installed by uv or pyenv.
.PHONY: wheels
wheels: $(INSTALLED) ## Build sdist and manylinux wheel into dist, audit it, try it on every Python there is
	@$(call tools,wheels)
	@$(BIN)/python -m supply.wheels .streamagg/wheels/bin

.PHONY: sbom
sbom: $(INSTALLED) ## Write the bill of materials, CycloneDX JSON with the bundled libraries: dist/sbom.cdx.json
	@mkdir -p dist
	@$(BIN)/python -m supply.sbom dist/sbom.cdx.json

.PHONY: simulate
simulate: $(INSTALLED) ## Play the pipeline in a simulator and compare with an oracle; SEEDS=20000
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),1000) $(FLAGS)

# Each fault on its own, against the real broker; FLAGS='--only NAME', --quick, --list.
.PHONY: chaos
chaos: $(INSTALLED) ## Break a running streamagg in every way and compare its counts; SEED=n repeats a run
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(FLAGS)

# What is found is kept in .streamagg/fuzz.
.PHONY: fuzz
fuzz: $(INSTALLED) ## Look for documents that the decoder gets wrong or dies of; SECONDS=600 SEED=n
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(FLAGS)

.PHONY: fuzz-sanitized
fuzz-sanitized: $(INSTALLED) ## The same with the reader in C built for the sanitizers; needs gcc with libasan
	@$(BIN)/python -m tests.fuzz.sanitized --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(FLAGS)

.PHONY: lock
lock: ## Pin the newest versions of all dependencies, with their hashes
	@$(PYTHON) -m venv .streamagg/lock
	@.streamagg/lock/bin/pip install --quiet 'uv>=0.9'
	@$(call pin,dev) --upgrade --extra dev pyproject.toml
	@$(call pin,run) --constraints requirements/dev.lock pyproject.toml
	@$(call pin,image) --constraints requirements/dev.lock $(IMAGE_EXTRAS:%=--extra %) pyproject.toml
	@$(call pin,audit) --upgrade requirements/audit.in
	@$(call pin,deploy) --upgrade requirements/deploy.in
	@$(call pin,wheels) --upgrade requirements/wheels.in
	@echo setuptools | $(call pin,build) --constraints requirements/dev.lock -

# What docker/Dockerfile has beside what every installation has.
IMAGE_EXTRAS := postgres parquet watch serve

tools = $(PYTHON) -m venv .streamagg/$(1) && .streamagg/$(1)/bin/pip install --quiet --disable-pip-version-check \
  --require-hashes -r requirements/$(1).lock
pin = .streamagg/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-annotate --no-config --custom-compile-command 'make lock' -o requirements/$(1).lock

.PHONY: clean
clean: ## Stop the broker; remove the environment, caches, its records and stream.jsonl
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m tests.support.broker stop --port $(BROKER_PORT); fi
	@rm -rf $(VENV) .streamagg .pytest_cache .hypothesis .ruff_cache .mypy_cache .import_linter_cache dist
	@rm -f stream.jsonl stream.jsonl.part
