# `make demo` and `make test` are all that a fresh clone needs: each creates .venv and installs what is missing, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
LOWEST := .venv-lowest

.PHONY: demo test test-all test-lowest check docs wheel-test fuzz bench clean

demo: $(INSTALLED)
	$(BIN)/clothseg demo --out runs/demo --overwrite

test: $(INSTALLED)
	$(BIN)/pytest

test-all: $(INSTALLED)
	$(BIN)/pytest -m "slow or not slow"

# The lowest versions that pyproject.toml allows, in an environment of their own (6 GB more). Only the tests: the lowest
# ruff and mypy have other rules.
test-lowest: $(LOWEST)/installed
	$(LOWEST)/bin/clothseg --version
	$(LOWEST)/bin/pytest

# The types are also checked as on Windows, where modules such as resource and signals such as SIGKILL do not exist.
check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 src tests scripts
	$(BIN)/pytest -n 0 tests/test_layers.py

# The documentation as a site, in build/site; a broken link or anchor is an error. To read it while writing:
# .venv/bin/mkdocs serve
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Builds source package and wheel, installs the wheel in an environment of its own, and runs the demo there.
wheel-test: $(INSTALLED)
	$(BIN)/pytest -n 0 -m slow tests/test_wheel.py

# Hours of processor time, on all cores. Another number: make fuzz INPUTS=1000
INPUTS ?= 100000
fuzz: $(INSTALLED)
	CLOTHSEG_FUZZ_INPUTS=$(INPUTS) $(BIN)/pytest tests/fuzz -n auto --dist worksteal

# All but gpu_check.py, which repeats parts of the others: python benchmarks/gpu_check.py
bench: $(INSTALLED)
	set -e; for script in $(filter-out benchmarks/gpu_check%,$(wildcard benchmarks/*.py)); do $(BIN)/python "$$script"; done

clean:
	rm -rf $(VENV) $(LOWEST) .venv-newest data runs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed again when the requirements change. The stamp is written last, so that an interrupted installation is repeated.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "clothseg needs Python 3.11 or newer; say which with: make PYTHON=python3.12 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $(INSTALLED)

$(LOWEST)/installed: pyproject.toml constraints-lowest.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "the lowest versions need Python 3.11; say which with: make PYTHON=python3.11 test-lowest"; exit 1; }
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --upgrade pip
	$(LOWEST)/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable ".[dev]"
	@touch $(LOWEST)/installed
