# Everything a user or a developer does, one name each; `make help` lists them.
# All of it happens in .venv, which is made on first use from the versions in constraints.txt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := pip install -qq # errors alone: its warnings would bury what comes after
TEST_JOBS ?= 2 # processes that share the tests
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
JOBS ?= $(shell echo $$(($(CORES) < 4 ? $(CORES) : 4)))# cells that `make run` runs at the same time
FLAGS ?= # more options for `make run`, as in make run FLAGS="--seeds 0,1"
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
# Those of the main job: the figure of the README.
SIX := ebrd,nerd,beta_vae,wgd,blahut_arimoto,mixture_em

.PHONY: help run test trials browser docs notebooks paper papers reference accuracy coverage references references-check certificates lint types layers wheel bench bench-compare asv asv-site gate gate-check peers hooks release-check clean

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/installed ## install, then compare the estimators on Gaussian vectors (about 2 minutes on 2 cores)
	@echo "== rdbench run --suite vector_gaussian --dims 2,5,10 --budget quick --estimators $(SIX) --jobs $(JOBS)"
	@$(BIN)/rdbench run --suite vector_gaussian --dims 2,5,10 --budget quick --estimators $(SIX) --jobs $(JOBS) $(FLAGS)

test: $(VENV)/installed-test ## install, then run the tests (about 10 minutes on 2 cores)
	@echo "== the tests"
	$(BIN)/python -m pytest -m "not wheel and not accuracy and not browser and not gate and not trials" -n $(TEST_JOBS) --dist loadfile --benchmark-disable

trials: $(VENV)/installed-test ## try every estimator, preset and planted cheat by every check (about 5 minutes on 2 cores)
	$(BIN)/python -m pytest -m trials -n $(TEST_JOBS) --dist loadfile

accuracy: $(VENV)/installed-test ## test the accuracy of the estimators at full size (about 10 minutes on a quiet machine)
	$(BIN)/python -m pytest -m accuracy -rP

references: $(VENV)/installed-test ## recompute the certified truth: tables, readable summary, log
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.verify.digits
	$(BIN)/rdbench certify --suite all --out rdbench/references/data --report results/references

references-check: $(VENV)/installed-test ## recompute a sample of the certified truth and compare
	$(BIN)/rdbench certify --suite all --check --sample 24 --seconds 60

certificates: $(VENV)/installed-test ## check every shipped certificate without the solvers (21 minutes): results/references
	$(BIN)/python -m benchmarks.verify

browser: $(VENV)/installed-dev ## test the report page in a headless Chromium (Debian: apt-get install chromium)
	$(BIN)/python -m pytest -m browser -rs

docs: $(VENV)/installed-dev ## build the documentation, strictly: open site/index.html (no network is needed)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

NOTEBOOKS ?= $(wildcard docs/notebooks/*.ipynb)
NOTEBOOKS_OUT ?= --inplace
notebooks: $(VENV)/installed-dev ## run the notebooks of the documentation and keep their outputs (a minute of CPU)
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m nbconvert --to notebook --execute --log-level WARN \
		--ExecutePreprocessor.timeout=900 --ExecutePreprocessor.record_timing=False \
		--Exporter.preprocessors=nbconvert.preprocessors.CoalesceStreamsPreprocessor \
		--CoalesceStreamsPreprocessor.enabled=True $(NOTEBOOKS_OUT) $(NOTEBOOKS)

paper: $(VENV)/installed ## the EBRD paper, reproduced in results/paper, from records
	$(BIN)/rdbench paper ebrd --full --jobs 2 --out results/paper

papers: $(VENV)/installed ## all papers in results/papers, with one table of their numbers beside ours, from records
	$(BIN)/rdbench paper all --full --out results/papers

reference: $(VENV)/installed-test ## run what is missing of the reference run, then make its tables, page and data (many hours; stop and go on at will)
	$(BIN)/python -m benchmarks.reference run --jobs 2
	$(BIN)/python -m benchmarks.reference page
	$(BIN)/python -m benchmarks.published

coverage: $(VENV)/installed-test ## measure the audit's own coverage and bias, where results/audit has no result yet
	$(BIN)/python -m benchmarks.coverage

lint: $(VENV)/installed-dev ## check rules and format (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev ## check types (mypy, strictly)
	$(BIN)/mypy

layers: $(VENV)/installed-dev ## check that modules import only lower layers (import-linter)
	$(BIN)/lint-imports

wheel: $(VENV)/installed-dev ## build the wheel, install it elsewhere, test it there
	$(BIN)/python -m pytest -m wheel

KERNELS := $(BIN)/python -m pytest tests/benchmarks/test_kernels_speed.py -p no:xdist --confcutdir=tests/benchmarks \
	--benchmark-only --benchmark-storage=file://results/pytest-benchmark
bench: $(VENV)/installed-test ## measure the CPU time of inner loops, stored in results/pytest-benchmark
	$(KERNELS) --benchmark-autosave

bench-compare: $(VENV)/installed-test ## compare inner loops with the last stored run; fails if one is 50% slower
	$(KERNELS) --benchmark-compare --benchmark-compare-fail=median:50%

asv: $(VENV)/installed-dev ## add the last commit to the history, results/asv: make asv MACHINE=NAME (10 minutes)
	@test -n "$(MACHINE)" || { echo "give a machine name: make asv MACHINE=NAME, one that asv machine knows: docs/tracking.md"; exit 2; }
	$(BIN)/asv run --machine $(MACHINE) --skip-existing-successful HEAD^!

asv-site: $(VENV)/installed-dev ## build the history as a site that needs no network: .asv/html/index.html
	$(BIN)/asv publish
	$(BIN)/python -m benchmarks.site .asv/html

BASE ?= HEAD~1
gate: $(VENV)/installed-dev ## is HEAD worse than BASE in accuracy or time? make gate BASE=main (minutes)
	$(BIN)/python -m benchmarks.gate $(BASE) $(FLAGS)

gate-check: $(VENV)/installed-dev ## check that the gate finds planted faults (minutes)
	$(BIN)/python -m pytest -m gate

peers: $(VENV)/installed-test ## compare with dit and with the authors' settings (results/peers; 40 minutes)
	$(BIN)/python -m $(PIP) -r benchmarks/peers/requirements.txt
	$(BIN)/python -m benchmarks.peers.blahut_arimoto
	$(BIN)/python -m benchmarks.peers.run
	$(BIN)/python -m benchmarks.peers.table --records rdbench-results/peers

hooks: $(VENV)/installed-dev ## let git check every commit (pre-commit; types and layers before a push)
	$(BIN)/pre-commit install

release-check: docs ## list what prevents a release of this commit (downloads torch for every Python at hand)
	$(BIN)/python -m $(PIP) -c constraints.txt -e ".[release]"
	$(BIN)/python .ci/release_check.py
	$(BIN)/hadolint Containerfile
	$(BIN)/python -m pytest tests/test_release_files.py tests/test_container.py tests/benchmarks/test_published.py
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m pytest -m wheel
	$(BIN)/python .ci/install_check.py dist

clean: ## remove .venv and everything that was built
	rm -rf $(VENV) .asv build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/bin/python:
	@echo "== making $(VENV)"
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: constraints.txt pyproject.toml | $(VENV)/bin/python
	@echo "== installing rdbench and its pinned dependencies into $(VENV) (torch is 200 MB)"
	$(BIN)/python -m $(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/installed-test: constraints.txt pyproject.toml | $(VENV)/installed
	@echo "== installing the test tools into $(VENV)"
	$(BIN)/python -m $(PIP) -c constraints.txt -e ".[test]"
	@touch $@

$(VENV)/installed-dev: constraints.txt pyproject.toml | $(VENV)/installed-test
	@echo "== installing the developers' tools into $(VENV)"
	$(BIN)/python -m $(PIP) -c constraints.txt -e ".[dev]"
	@touch $@
