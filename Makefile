# One virtual environment, built from the lock when it is missing or older than the lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
PLAN ?= build/plan

.PHONY: plan test soak lint bench lock clean
.DEFAULT_GOAL := plan

$(STAMP): requirements-dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nearserve needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/nearserve doctor --compile
	touch $@

plan: $(STAMP)  ## plan the bundled atlas and audit it
	$(BIN)/nearserve plan atlas-2025 -o $(PLAN) --force --gap 0.03 --time-limit 280
	$(BIN)/nearserve audit $(PLAN)

test: $(STAMP)  ## every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

soak: $(STAMP)  ## every test, over all its random problems and with the large published ones
	NEARSERVE_THOROUGH=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(STAMP)  ## style, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## slow measurements; results go to docs/benchmarks.md by hand, with machine and date
	$(BIN)/python -m bench

lock:  ## resolve the dependencies again (wants uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-annotate --no-header --group dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .import_linter_cache
