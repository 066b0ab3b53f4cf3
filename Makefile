# One set-up for every target: .venv, brought up to date when pyproject.toml or constraints.txt change.
.DEFAULT_GOAL := help
.PHONY: help run test slow test-reliability lint stubs figures clean

BIN := .venv/bin
STAMP := .venv/.stamp
SLOW_STAMP := .venv/.stamp-slow
PIP := $(BIN)/python -m pip --quiet --no-input --disable-pip-version-check
# The only place that checks the version: the first of these that is new enough and can make an environment.
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(shell \
	$(p) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1 && echo $(p))))

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP)  ## set up, then run the memory atlas and draw its figure
	@echo "the memory atlas: 10 models, what they will learn to remember and what they do: 6 minutes"
	$(BIN)/dynmem run atlas --workers 2
	$(BIN)/dynmem figures atlas

test: $(STAMP)  ## set up, then run the tests and the examples in the docstrings
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

slow: $(SLOW_STAMP)  ## run the tests that take more than a few seconds (none at all is no failure)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m slow || [ $$? -eq 5 ]

test-reliability: $(STAMP)  ## kill, damage and fill: print how often each promise held (TABLE=FILE writes it too)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests --numprocesses 2 --dist worksteal -m "reliability or promise" --promises $(TABLE)

lint: $(STAMP)  ## check the style and the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	@mkdir -p .mypy_cache && $(BIN)/python -m tests.readme >.mypy_cache/readme.py
	$(BIN)/mypy .mypy_cache/readme.py

stubs: $(STAMP)  ## write the .pyi stubs that list what each package exports
	$(BIN)/python -m dynmem.runtime.stubs

figures: $(STAMP)  ## draw every figure from the stored results
	$(BIN)/dynmem figures

clean:  ## remove the environment and the caches, never the results
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@[ -n "$(PYTHON)" ] || { echo "dynmem needs Python 3.11 or newer with its venv module: install it, then run make again." >&2; exit 1; }
	@echo "setting up .venv: a few minutes, once"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@# torch first, held to its pin: nothing that follows can choose another build of it.
	@$(PIP) install --constraint constraints.txt torch
	@$(PIP) install --constraint constraints.txt --editable '.[test,lint]'
	@touch $@

# The slow tests analyse architectures of transformers, with random weights: nothing else needs it.
$(SLOW_STAMP): $(STAMP)
	@$(PIP) install --constraint constraints.txt --editable '.[test,lint,transformers]'
	@touch $@
