# videoclf: every target sets up what it needs first. `make help` lists them.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
JOBS ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all fuzz chaos bench docs lint format type clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.complete ## create .venv and install the tested versions

$(VENV)/.complete: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,torchcodec]'
	@touch $@

demo: setup ## train, evaluate and report on the embedded data (under 3 minutes on 2 cores)
	$(RUN) train.py
	@echo; echo "Open the report.html of the newest folder in runs/moving_shapes-slow_fusion."

# one thread a test process: more of them than cores fight over the cores
test: setup ## the tests
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS)

# MMAction2 without what it requires: an OpenCV that would overwrite ours
test-all: setup ## the tests, the slow ones, and those that need transformers, peft or other zoos' code
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[lora,peers,sweeps,transformers]'
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps \
		mmaction2 mmcv-lite mmengine addict yapf termcolor
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) -m ''

fuzz: setup ## read 1,000 altered videos, in under a minute; FUZZ="--reader decord --files 10000"
	OMP_NUM_THREADS=1 $(RUN) -m tests.readers.fuzz $(FUZZ)

bench: setup ## measure, and rewrite the table in docs/benchmarks.md; BENCH="growth" for some of it
	$(RUN) benchmarks/table.py $(if $(MACHINE),--machine "$(MACHINE)") $(BENCH)

chaos: setup ## kill a run 20 times, go on, compare; takes minutes; CHAOS="--kills 50 --saves"
	OMP_NUM_THREADS=1 $(RUN) -m tests.chaos $(CHAOS)

docs: setup ## write docs/models from docstrings and profiles; minutes where models are new
	$(RUN) docs/pages.py

lint: setup ## ruff: style, imports, docstrings, banned modules
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: setup ## let ruff format the code and mend what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

type: setup ## mypy --strict
	$(VENV)/bin/mypy

clean: ## remove runs and caches of the tools, not the environment
	rm -rf runs .pytest_cache .mypy_cache .ruff_cache
