# Everything installs itself into .venv; only make and Python 3.11 or later with its venv are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONSAFEPATH = 1
LOCK_ARGS := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

.PHONY: demo test check bench soak setup format lock clean

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo '$(PYTHON) is missing: as root, apt install python3 python3-venv; or name another with PYTHON=' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one with PYTHON=")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) cannot make an environment: as root, apt install python3-venv' >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/edge-agent demo $(DEMO_ARGS)

test: setup check
	sh scripts/install-test-packages.sh
	sh scripts/install-test-hosts.sh
	$(BIN)/pytest $(TEST_ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m tests.benchmarks $(BENCH_ARGS)

soak: setup
	sh scripts/install-test-packages.sh
	sh scripts/install-test-hosts.sh
	$(BIN)/pytest -m soak --timeout 5400 $(TEST_ARGS)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup
	$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.5'
	$(BIN)/uv pip compile pyproject.toml $(LOCK_ARGS) --output-file locks/kiosk.lock
	$(BIN)/uv pip compile pyproject.toml $(LOCK_ARGS) --extra osdp --extra pcsc --extra gpio --output-file locks/readers.lock

clean:
	rm -rf $(VENV) build dist demo-run .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
