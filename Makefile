# Everything is run from .venv, which the targets make and bring up to date by themselves.

PYTHON ?= python3
PYTEST_ARGS ?= -n auto --dist loadfile
DEMO_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOG := $(VENV)/install.log

.DEFAULT_GOAL := help
.PHONY: help install demo quick test test-all coverage mutants matrix docs lint format clean

help: ## say what can be made
	@echo "Targets (each installs into $(VENV) first, where that is out of date):"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18
	@echo "Options: PYTHON=python3.12 chooses the Python of a new $(VENV);"
	@echo "         PYTEST_ARGS='-k grid' goes to pytest, DEMO_ARGS='--quick' to the demo,"
	@echo "         MATRIX_ARGS='-- tests/fields' to make matrix."

install: $(STAMP) ## make the environment in .venv (a few minutes, once)

demo: $(STAMP) ## measure what a stride does to equivariance; results in equivariance-out/
	$(BIN)/equivariance run stride $(DEMO_ARGS)

quick: $(STAMP) ## run one case of every test (a few minutes)
	$(BIN)/python -m pytest --cases one $(PYTEST_ARGS)

test: $(STAMP) ## run the tests, every value of every parameter in one case at least
	$(BIN)/python -m pytest --cases each $(PYTEST_ARGS)

test-all: $(STAMP) ## run all cases of all tests
	$(BIN)/python -m pytest --cases all $(PYTEST_ARGS)

coverage: $(STAMP) ## run the tests, and say which lines and branches they miss
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 $(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	@$(BIN)/coverage json --quiet -o - | $(BIN)/python -c '$(BRANCHES)'

mutants: $(STAMP) ## change the code of three files bit by bit: the tests should notice (some minutes)
	$(BIN)/python -m pip install --no-input --disable-pip-version-check --quiet -c constraints.txt -e '.[mutants]'
	OMP_NUM_THREADS=1 $(BIN)/mutmut run
	$(BIN)/mutmut results

matrix: ## run the tests on the oldest and the newest versions of the dependencies (half an hour); docs/versions.md
	$(PYTHON) tests/matrix.py $(MATRIX_ARGS)

docs: $(STAMP) ## build the documentation and run all code in it; pages in docs/_build/html
	$(BIN)/python docs/figures.py
	$(BIN)/sphinx-build --fail-on-warning --keep-going --jobs auto docs docs/_build/html

lint: $(STAMP) ## check style, types and the order of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

format: $(STAMP) ## format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

clean: ## remove .venv, caches and builds (results in equivariance-out/ stay)
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest build dist mutants .coverage .coverage.* docs/_build docs/api/generated docs/examples docs/figures .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp takes its final name, with the time at which the installation began, only once all is
# installed: what was interrupted is installed again, and so is what changed meanwhile.
$(STAMP): pyproject.toml constraints.txt
	@$(USABLE) || { $(CHECK_PYTHON) && $(MAKE_VENV); }
	@rm -f $@ && touch $@.begun
	@echo "Installing into $(VENV) (the first time, this takes a few minutes) …"
	@$(BIN)/python -m pip install --no-input --disable-pip-version-check --progress-bar off \
		-c constraints.txt -e '.[dev]' >$(LOG) 2>&1 || { \
		tail -n 20 $(LOG); echo "pip failed; all that it said is in $(LOG)."; exit 1; } >&2
	@mv $@.begun $@
	@echo "Installed: $$($(BIN)/python --version) in $(VENV)."

BRANCHES := import json, sys; t = json.load(sys.stdin)["totals"]; \
	taken, total = t["covered_branches"], t["num_branches"]; \
	print(f"{taken} of {total} branches are taken: {taken / total:.1%}")
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
IN_VENV := import sys; sys.exit(sys.prefix == sys.base_prefix)

# An environment that works and has pip is kept.
define USABLE
{ $(BIN)/python -c '$(RECENT)' && $(BIN)/python -c '$(IN_VENV)' \
	&& $(BIN)/python -m pip --version; } >/dev/null 2>&1
endef

define CHECK_PYTHON
{ $(PYTHON) -c '$(RECENT)' 2>/dev/null || { \
	echo "Python 3.11 or newer is needed, but '$(PYTHON)' is: $$($(PYTHON) --version 2>&1 | head -n 1)"; \
	echo "Choose another one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; \
	exit 1; } >&2; }
endef

define MAKE_VENV
{ $(PYTHON) -m venv --clear $(VENV) || { \
	echo; \
	echo "'$(PYTHON) -m venv' could not make a virtual environment (its own words are above)."; \
	echo "On Debian and Ubuntu it is a package of its own:"; \
	echo "    apt install python$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"; \
	echo "Or choose another Python: make PYTHON=python3.12 $(MAKECMDGOALS)"; \
	exit 1; } >&2; }
endef
