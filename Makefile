# Every target prints what it does: `make help`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
.DEFAULT_GOAL := help

CLUSTER ?= .cluster
KIND_CLUSTER    ?= schemagate
KIND_KUBECONFIG ?= $(CURDIR)/.kind/kubeconfig
ENGINE  ?= $(firstword $(foreach name,docker podman buildah,$(shell command -v $(name))))
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' webhook/__init__.py)
.PHONY: help setup demo check test lint bench docs lock clean controlplane gateway cluster cluster-down e2e image sbom browser picture kind-up kind-demo kind-down

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv and install what the lock file pins (checked by hash)

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
	  || { echo "schemagate needs Python 3.11 to 3.14; name one: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "setting up $(VENV) (first run only)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP) ## Play the story of a Gateway upgrade over real HTTPS on the embedded cluster (seconds)
	@$(BIN)/schemagate demo

check: $(STAMP) ## The fast inner loop: lint and the tests of the pure core (under a minute)
	@$(MAKE) --no-print-directory lint
	@HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -q -x -n 2 tests/policy tests/certs tests/audit tests/test_layers.py

controlplane: $(STAMP) ## Build what the live tests run on: a real control plane (first run only, some 20 minutes)
	@command -v go >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements/controlplane.txt
	@$(BIN)/python -m tests.controlplane build >/dev/null

gateway: $(STAMP) ## Fetch what stands in for a Gateway: Liquibase and MariaDB by Maven (first run only, 150 MB)
	@$(BIN)/python -m tests.gateway >/dev/null

browser: $(STAMP) ## Fetch what the report is opened in by its tests: a headless Chromium (first run only, 70 MB)
	@test -n "$$CHROMIUM" || command -v npm >/dev/null || $(BIN)/python -m pip install --quiet \
	  --disable-pip-version-check --require-hashes -r requirements/browser.txt
	@$(BIN)/python -m tests.browser fetch >/dev/null

picture: browser ## Draw the report that the README shows
	@$(BIN)/python -m tests.browser picture docs/images/report.png

cluster: controlplane ## Start a control plane with schemagate installed; prints its KUBECONFIG
	@$(BIN)/python -m tests.live up --state $(CLUSTER)

cluster-down: $(STAMP) ## End exactly what `make cluster` started
	@$(BIN)/python -m tests.live down --state $(CLUSTER)

test: $(STAMP) ## Lint and all tests, docs in step with the code; those of a real node are `make e2e`
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory controlplane browser
	@$(BIN)/python -m pytest -q tests/node/test_packages.py tests/node/test_previous.py tests/gateway/test_programs.py
	@$(BIN)/python -m pytest -n 2 --ignore=tests/node --ignore=tests/gateway

e2e: $(STAMP) ## The image as real pods on a real node: root on Linux, Debian's packages by apt (first run 20 minutes)
	@command -v go >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements/controlplane.txt
	@archive=$$($(BIN)/python -m tests.node) && $(BIN)/python -m tests.gateway --image >/dev/null \
	  && SCHEMAGATE_IMAGE_ARCHIVE=$$archive $(BIN)/python -m pytest --durations=25 tests/gateway tests/node

image: ## Build the image with docker, podman or buildah; BASE= another base by digest, IMAGE_FLAGS= for the engine
	@test -n "$(ENGINE)" || { echo "make image needs docker, podman or buildah on the PATH" >&2; exit 1; }
	$(ENGINE) build $(if $(BASE),--build-arg BASE=$(BASE)) --build-arg VERSION=$(VERSION) \
	  --build-arg REVISION=$$(git rev-parse HEAD) --build-arg SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) \
	  $(IMAGE_FLAGS) --tag schemagate:$(VERSION) .

kind-up kind-down: export KIND_CLUSTER := $(KIND_CLUSTER)
kind-up kind-demo kind-down: export KUBECONFIG := $(KIND_KUBECONFIG)
kind-up: export CERT_MANAGER_MANIFEST := $(CERT_MANAGER_MANIFEST)
kind-up: export KIND_IMAGE := $(KIND_IMAGE)
kind-up: ## Make a kind cluster with schemagate and cert-manager; CERT_MANAGER_MANIFEST= its manifest
	@sh manifests/kind/cluster.sh check
	@$(MAKE) --no-print-directory image ENGINE=docker
	@sh manifests/kind/cluster.sh up schemagate:$(VERSION)

kind-demo: $(STAMP) ## Play the story of a Gateway upgrade on that cluster, by kubectl (two minutes)
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh manifests/kind/demo.sh

kind-down: ## Delete what `make kind-up` made
	@sh manifests/kind/cluster.sh down

sbom: ## Write sbom.cdx.json, the parts of the image in CycloneDX: what the locked install puts there
	@rm -rf .sbom && $(PYTHON) -m venv .sbom/tool && $(PYTHON) -m venv --without-pip .sbom/image
	@.sbom/tool/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/sbom.txt
	@.sbom/tool/bin/python -m pip --python .sbom/image/bin/python install --quiet --disable-pip-version-check \
	  --require-hashes -r requirements/runtime.txt
	@.sbom/tool/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --output-format JSON --output-file sbom.cdx.json .sbom/image/bin/python
	@rm -rf .sbom

lint: $(STAMP) ## ruff, mypy strict, import contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: controlplane ## CPU and latency beside a trivial handler, then costs on a real API server; writes bench*.json
	@$(BIN)/python -m tests.bench --output bench.json
	@$(BIN)/python -m tests.bench.report
	@$(BIN)/python -m tests.bench.decision_log
	@$(BIN)/python -m tests.bench.cluster --output bench-cluster.json

docs: $(STAMP) ## Write anew what is generated: pages, the record's kind, the chart's copies
	@$(BIN)/python -m tests.docs.generate

lock: ## Pin all dependencies again (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command "make lock" -q --upgrade pyproject.toml -o requirements/runtime.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command "make lock" -q --upgrade pyproject.toml --group dev -o requirements/dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command "make lock" -q --upgrade requirements/controlplane.in -o requirements/controlplane.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command "make lock" -q --upgrade requirements/browser.in -o requirements/browser.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command "make lock" -q --upgrade requirements/build.in -o requirements/build.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command "make lock" -q --upgrade requirements/sbom.in -o requirements/sbom.txt

clean: ## Remove what the other targets made
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache bench.json bench-cluster.json .sbom sbom.cdx.json
