# Everything runs inside .venv, which the first target that needs it makes from a lock with hashes.

VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.runtime
DEV := $(VENV)/.dev
KERNELS := $(VENV)/.kernels
# The runtime set is enough to run; where the development set is installed already, keep to that.
READY := $(if $(wildcard $(DEV)),$(DEV),$(RUN))

# The first Python that the solvers have wheels for and that can make an environment.
USABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
PYTHON ?= $(firstword $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$p -c '$(USABLE)' >/dev/null 2>&1 && echo $$p; done))
UV ?= $(shell command -v uv 2>/dev/null)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow check bench faults lock clean
.SILENT:

help: ## show this list
	sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

setup: $(DEV) ## make .venv with all that development needs

demo: $(READY) $(KERNELS) ## run the demonstration
	$(BIN)/allot demo

test: $(DEV) $(KERNELS) ## run the tests on two cores
	$(BIN)/python -m pytest -q -n 2 -m "not slow"

test-slow: $(DEV) $(KERNELS) ## run the long tests too
	$(BIN)/python -m pytest -q -n 2

check: $(DEV) ## lint, formatting, types, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) ## run the benchmarks
	$(BIN)/python -m benchmarks

faults: $(DEV) $(KERNELS) ## make go wrong what can, and see what comes of it
	$(BIN)/python -m benchmarks.faults

lock: $(DEV) ## pin dependencies again; UPGRADE=--upgrade takes the newest allowed
	$(call compile,requirements.lock,--group build)
	$(call compile,requirements-dev.lock,--group dev --constraints requirements.lock)

clean: ## remove .venv, caches and output
	rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): requirements.lock pyproject.toml
	$(call install,requirements.lock)
	touch $@

$(DEV): requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock)
	touch $@

# Compiled once here, the kernels are ready for every later run.
$(KERNELS): $(READY) $(wildcard solver/*.py solver/policies/*.py)
	echo "Compiling the kernels (about a minute, once)"
	$(BIN)/python -m solver.kernels
	touch $@

# install LOCK: an environment with that lock and this package, editable; nothing comes in without a hash.
ifneq ($(UV),)
define install
	echo "Installing $(1) into $(VENV)"
	"$(UV)" venv --quiet --allow-existing --python "$(or $(PYTHON),3.11)" $(VENV)
	"$(UV)" pip install --quiet --python $(BIN)/python --require-hashes -r $(1)
	"$(UV)" pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
endef
else
define install
	test -n "$(PYTHON)" || { echo "allot needs Python 3.11 to 3.14 with venv; name one with PYTHON=..." >&2; exit 1; }
	echo "Installing $(1) into $(VENV) (a minute or two)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r $(1)
	$(PIP) install --no-deps --no-build-isolation -e .
endef
endif

# compile LOCK OPTIONS: one lock for every platform and Python, from the public registry, whatever this machine's set-up.
define compile
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --no-config $(UPGRADE) \
		--universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-emit-index-url --no-emit-find-links pyproject.toml $(2) --output-file $(1)
endef
