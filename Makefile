# What people type; each target installs what it needs. `make help` lists them.

PYTHON ?= python3
SANDBOX_DIR ?= .sandbox
PYTEST_ARGS ?=
BENCH_SIZES ?= 100 1000
BENCH_ARGS ?=
SOAK_MINUTES ?= 5
SOAK_ARGS ?=
KILLS ?= 50

VENV := .venv
CLIENTS := .venv-clients
RUN := $(VENV)/bin
UV := uv==0.13.9
SOURCES := operator dev tests benchmarks
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo sandbox test test-clients soak kills bench check generate format clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED)  ## watch the product work, from manifests to accepted tokens
	@exec $(RUN)/python -m dev.demo

sandbox: $(INSTALLED)  ## a cluster, an emulated Entra and the operator, until Ctrl-C (SANDBOX_DIR=dir)
	@exec $(RUN)/python -m dev.sandbox --dir "$(SANDBOX_DIR)"

test: $(INSTALLED)  ## all tests (PYTEST_ARGS="-k name")
	$(RUN)/python -m dev.cluster build
	$(RUN)/pytest -n 3 --dist=loadgroup $(PYTEST_ARGS)

test-clients: $(CLIENTS)/.installed  ## real clients: Azure CLI (400 MB, apart), Spring Boot (with Java 17 and Maven)
	$(RUN)/python -m dev.cluster build
	$(RUN)/pytest -n 2 --dist=loadfile tests/clients $(PYTEST_ARGS)

soak: $(INSTALLED)  ## the protocol under pairs of faults and random journeys (SOAK_MINUTES=5)
	@exec $(RUN)/python -m tests.protocol.soak --minutes $(SOAK_MINUTES) $(SOAK_ARGS)

kills: $(INSTALLED)  ## the operator killed in the middle of waves of work, on the real API server (KILLS=50)
	$(RUN)/python -m dev.cluster build
	KILLS=$(KILLS) $(RUN)/pytest -s tests/kills $(PYTEST_ARGS)

bench: $(INSTALLED)  ## fleets of registrations applied at once (BENCH_SIZES="100 1000")
	$(RUN)/python -m dev.cluster build
	@exec $(RUN)/python -m benchmarks $(BENCH_ARGS) $(BENCH_SIZES)

check: $(INSTALLED)  ## format, lint, types, layers, generated files
	$(RUN)/ruff format --check $(SOURCES)
	$(RUN)/ruff check $(SOURCES)
	$(RUN)/mypy
	$(RUN)/lint-imports
	$(RUN)/python -m dev.generated --check

generate: $(INSTALLED)  ## write the generated files anew (crds/, docs/api.md)
	$(RUN)/python -m dev.generated

format: $(INSTALLED)  ## format and repair what can be
	$(RUN)/ruff format $(SOURCES)
	$(RUN)/ruff check --fix $(SOURCES)

clean:  ## remove the virtual environment and all caches in this folder
	rm -rf $(VENV) $(CLIENTS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=python3.x" if sys.version_info < (3, 11) else 0)'
	@echo "installing the dependencies into $(VENV) (once)"
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check "$(UV)"
	$(RUN)/uv pip install --python $(RUN)/python --require-hashes -r requirements/dev.txt
	$(RUN)/uv pip install --python $(RUN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(CLIENTS)/.installed: requirements/clients.txt | $(INSTALLED)
	@echo "installing Azure CLI into $(CLIENTS) (once)"
	$(PYTHON) -m venv $(CLIENTS)
	$(RUN)/uv pip install --python $(CLIENTS)/bin/python --require-hashes -r requirements/clients.txt
	@touch $@
