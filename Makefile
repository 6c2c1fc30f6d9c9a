# The two commands of the README are `make run` and `make test`. Each sets up what it needs in .venv, on a machine that
# has only Python 3.11 or later (with its venv module) and make.
PYTHON ?= python3
BIN := .venv/bin
# In the environment, so that what builds the package is pinned too, not only what is installed.
export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The tests start the command again and again: it is compiled once, whatever the machine is set to.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test tests lint bench chaos clean

run: .venv/installed
	@exec $(BIN)/replybridge serve

test: .venv/installed-dev
	@$(MAKE) --no-print-directory -j 2 lint tests

tests: .venv/installed-dev
	$(BIN)/pytest -n auto --dist worksteal

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: .venv/installed-dev
	$(BIN)/python -m benchmarks

# A real server killed and stopped at random for ten minutes, while its platform flaps; SECONDS=30 for less. With
# STORE=postgresql there are three of them on one PostgreSQL, which is restarted too.
SECONDS ?= 600
STORE ?= sqlite
CHAOS := $(if $(filter postgresql,$(STORE)),replicas,chaos)
chaos: .venv/installed-dev
	$(BIN)/python -m tests.end_to_end.$(CHAOS) --seconds $(SECONDS)

clean:
	rm -rf .venv

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is too old: replybridge needs Python 3.11 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing into .venv; this takes about a minute, once."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet -e .
	@touch $@

.venv/installed-dev: .venv/installed
	@$(BIN)/pip install --quiet -e ".[dev]"
	@touch $@
