# Every target makes what it needs: a bare machine with python3 (3.11 or newer), git and make is enough.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 3

.PHONY: help demo demo-down test check fuzz bench kind kind-down binaries generate format lock clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	@echo "Installing Rightarch and its tools into $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit("Rightarch needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say PYTHON=/path/to/python3.") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## Run the main job, visibly: pods on a mixed cluster, with and without Rightarch (KEEP=1 leaves it up)
	@$(BIN)/python -m tests.demo $(if $(KEEP),--keep)

demo-down: $(READY) ## End a demo that KEEP=1 left up
	@$(BIN)/python -m tests.demo --down

test: $(READY) binaries ## Run all tests, on a real control plane and a real registry (WORKERS=0: one after another)
	@$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder

check: $(READY) ## Format, lint, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fuzz: $(READY) ## Give the parsers of what strangers write a million inputs each (about ten minutes)
	@$(BIN)/python -m tests.fuzz

bench: $(READY) binaries ## Measure, side by side in one run: admission, with and without Rightarch
	@$(BIN)/python -m tests.bench

kind: $(READY) ## Install the chart on a cluster of kind and check the demo's workloads there (needs docker and kind)
	@$(BIN)/python -m tests.kind

kind-down: $(READY) ## Remove the cluster of `make kind`
	@$(BIN)/python -m tests.kind --down

binaries: $(READY) ## Find or build the control plane (once, then cached)
	@$(BIN)/python -m tests.controlplane

generate: $(READY) ## Write what is made from code and comments: custom resource definitions, the chart's README
	@$(BIN)/python -m tests.generate

format: $(READY) ## Format the code and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(READY) ## Renew constraints.txt, the versions that were tested
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --all-extras --python-version 3.11 --no-header --no-annotate --upgrade pyproject.toml -o constraints.txt

clean: ## Remove what the targets made here (the cache of binaries stays)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
