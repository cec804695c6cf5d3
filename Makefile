# The verbs of this project; `make` lists them. Everything they need they set up themselves.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
RATE ?= 100
BIN := .venv/bin
STAMP := .venv/.synced
export PYTHONPATH := $(CURDIR)

.PHONY: help setup demo up down traffic openapi test check fix bench bench-judge lock clean

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(STAMP) ## Create the environment from the lock file and fetch the sandbox's servers
	@$(BIN)/python -m sandbox fetch

$(STAMP): requirements/dev.txt requirements/setup.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
	  { echo "tidegate: 'python3 -m venv' failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/setup.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	@touch $@

demo: setup ## Three canaries on live traffic: one promoted, two rolled back
	@$(BIN)/python -m sandbox demo

up: setup ## Start the laptop-sized cluster and stay until Ctrl-C or `make down`
	@$(BIN)/python -m sandbox up

down: ## Stop the cluster that `make up` started
	@$(BIN)/python -m sandbox down

traffic: setup ## Send chat requests through the gateway until Ctrl-C (RATE=100 a second)
	@$(BIN)/python -m sandbox traffic --rate $(RATE)

openapi: $(STAMP) ## Print the API's OpenAPI document; no server need run
	@$(BIN)/python -m api openapi

test: setup ## Run all tests, whole clusters beside the rest
	@$(BIN)/python -m pytest --numprocesses 2 --no-loadscope-reorder

check: $(STAMP) ## Format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy .
	@$(BIN)/lint-imports --no-cache

fix: $(STAMP) ## Format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## Measure reaction times, read latency, memory; writes bench/results/
	@$(BIN)/python -m bench

bench-judge: $(STAMP) ## Measure how often judges are wrong, and how late; fills docs/judge.md
	@$(BIN)/python -m bench.judging --write

lock: $(STAMP) ## Pin requirements/*.in with hashes (no addresses are recorded)
	@for name in setup runtime dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command "make lock" requirements/$$name.in -o requirements/$$name.txt || exit 1; done

clean: down ## Stop the cluster and delete its state
	@rm -rf .tidegate
