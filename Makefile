# `make report`, `make test`, `make proofs`, `make faults`, `make mutants`: all can be repeated, and make .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_CONSTRAINT := constraints.txt
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Test files at a time. Many of them wait for processes of their own; two fill two cores.
JOBS ?= 2
PYTEST = $(BIN)/pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: report sample test proofs coverage faults audit mutants asv nightly definitions format clean
.DELETE_ON_ERROR:

report: $(VENV)/.installed
	$(BIN)/optbench run --suite quick
	@$(BIN)/optbench report

# The committed example. In a folder of its own making, so that no file of an older page stays.
sample: $(VENV)/.installed
	$(BIN)/optbench run --suite sample --store .optbench/sample.sqlite
	rm -rf reports/sample
	$(BIN)/optbench report --store .optbench/sample.sqlite --out reports/sample --no-data

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m "not proof and not faults" $(COVER)

# Every mutant against every check, all of torch, the quick suite twice, asv over commits, the page in a browser,
# packages of other people: what holds for everything at once.
proofs: $(VENV)/.installed-test
	$(PYTEST) -m "proof and not faults"

# `make test` that prints which lines it ran.
coverage: COVER := --cov=optbench --cov-report=term:skip-covered
coverage: test

# Kill -9 of everything, a full disk, hostile optimizers: eight minutes.
faults: $(VENV)/.installed-test
	$(BIN)/pytest -m "faults or proof" tests/faults

# Known weaknesses of the pinned versions; asks a service of the package index.
audit: $(VENV)/bin/python
	$(PIP) --target $(VENV)/audit pip-audit
	PYTHONPATH=$(VENV)/audit $(BIN)/python -m pip_audit --strict --requirement constraints.txt --no-deps --disable-pip

# The proof that the contract can fail: 54 historical bugs, each beside its correct twin.
mutants: $(VENV)/.installed-test
	PYTHONPATH=tests $(BIN)/python -m mutants

# asv for what is checked out, and its pages; results stay in .asv. asv finds Python by its version.
# asv runs pip in folders of its own.
asv nightly: export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

asv: $(VENV)/.installed-track
	$(BIN)/asv machine --yes
	$(BIN)/asv run --record-samples --skip-existing HEAD^!
	$(BIN)/asv publish

# Everything that the nightly CI does: `make nightly SUITE=smoke ARGUMENTS=--no-asv` is a small one.
SUITE ?= nightly
ARGUMENTS ?=
nightly: $(VENV)/.installed-track
	$(BIN)/optbench nightly --suite $(SUITE) $(ARGUMENTS)

# After a problem's version went up: what the tests and asv's results hold it to.
definitions: $(VENV)/.installed
	$(BIN)/python scripts/freeze_definitions.py

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A stamp a set of packages: what is installed is looked at again only when it may have changed.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "optbench needs Python 3.11 or later, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-track: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[track]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
