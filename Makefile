# certiseg: `make demo` and `make test` start from a bare clone with Python 3.11+ and make.
# Everything is installed into .venv; delete that folder to start over.

PYTHON ?= python3
PYTEST_ARGS ?=
# Neighbours go to the same process, so that what they share is made once.
PYTEST := -m pytest -n 2 --dist worksteal
DEMO_ARGS ?=
TORTURE_ARGS ?=
DOCS_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
DEMO := $(VENV)/.installed-demo
DEV := $(VENV)/.installed-dev
ZOO := .venv-zoo/.installed-zoo
# -c: without the constraints an unpinned torch brings several gigabytes of CUDA libraries.
INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check --no-input -c constraints.txt

# Images of containers set it. The package would be compiled again by each process of the tests.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo docs test test-all test-zoo torture check format install install-dev install-zoo

help: ## list the targets
	@echo "usage: make TARGET [PYTHON=python3.12]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | \
	  while IFS='|' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done

demo: $(DEMO) ## set up, then certify held-out brain slices: pictures and certificates in demo-out/
	@$(BIN)/certiseg demo -o demo-out $(DEMO_ARGS)

test: $(DEV) ## set up, then three minutes of tests: every room, no browser and no cluster
	@$(BIN)/python $(PYTEST) -m "not slow" --hypothesis-profile quick $(PYTEST_ARGS)

test-all: $(DEV) ## all tests: calibrations, trainings, kills, the browser and a cluster too
	@$(BIN)/python $(PYTEST) $(PYTEST_ARGS)

test-zoo: $(ZOO) ## tests against torchvision, timm and smp, in an environment of their own (6 GB)
	@CERTISEG_ZOO=required .venv-zoo/bin/python -m pytest tests/zoo $(PYTEST_ARGS)

docs: $(DEV) ## the site, strictly, its gallery run: docs/_build/html/index.html
	@$(BIN)/python -m sphinx -q -W --keep-going -b html $(DOCS_ARGS) docs docs/_build/html

torture: $(DEV) ## ten minutes of kills, full disks, damaged files and runs side by side
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/torture.py --seconds 600 $(TORTURE_ARGS)

check: $(DEV) ## formatting, linting, types and the import contract
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/hadolint Dockerfile

format: $(DEV) ## rewrite the sources in the project's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

install: $(DEMO) ## set up what the demo needs
install-dev: $(DEV) ## set up what development and the tests need
install-zoo: $(ZOO) ## set up what test-zoo needs

# pip, not python: it is there only once the environment is complete.
%/bin/pip:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: expected Python 3.11 or newer, got no command '$(PYTHON)';" \
	       "install it or name one: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: expected Python 3.11 or newer, got $$($(PYTHON) --version 2>&1);" \
	       "name another: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -m venv $* || { \
	  echo "error: $(PYTHON) cannot make a virtual environment;" \
	       "on Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }

$(DEMO): pyproject.toml constraints.txt | $(BIN)/pip
	@if [ $(DEV) -nt pyproject.toml ] && [ $(DEV) -nt constraints.txt ]; then :; else \
	  echo "setting up $(VENV) (a few minutes the first time)"; $(INSTALL) -e '.[demo,report]'; fi
	@touch $@

$(DEV): pyproject.toml weights/pyproject.toml constraints.txt | $(BIN)/pip
	@echo "setting up $(VENV) for development (a few minutes the first time)"
	@$(INSTALL) -e '.[dev]' -e ./weights
	@touch $@ $(DEMO)

# Apart: torchvision fails beside the build of torch that the other tests use.
$(ZOO): pyproject.toml constraints-zoo.txt | .venv-zoo/bin/pip
	@echo "setting up .venv-zoo (some minutes and 6 GB the first time)"
	@.venv-zoo/bin/python -m pip install -q --disable-pip-version-check --no-input \
	  -c constraints-zoo.txt -e '.[zoo]' hypothesis pytest pytest-timeout
	@touch $@
