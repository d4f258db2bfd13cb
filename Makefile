# Everything installs itself into .venv; only make and Python 3.11 or later with its venv are needed.
PYTHON ?= python3
VENV := .venv
RELEASE ?= 12
BIN := $(VENV)/bin
export PYTHONSAFEPATH = 1
# Tests and demo start the program hundreds of times: without its compiled modules each start takes three times as long.
export PYTHONDONTWRITEBYTECODE =
LOCK_ARGS := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

# One worker a core; more than four only wait for each other's daemons.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ "$$n" -lt 4 ] && echo "$$n" || echo 4)
PARALLEL = -n $(WORKERS) --dist loadgroup
# Rooms without a device, a browser or a database server.
QUICK = $(addprefix tests/, drivers/protocols drivers/bench edge_agent/domain edge_agent/journal sync/contract sync/client)

.PHONY: help setup demo test quick check bench soak format lock deb clean

help:  ## list what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

setup: $(VENV)/ready  ## install everything into .venv

$(VENV)/ready: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo '$(PYTHON) is missing: as root, apt install python3 python3-venv; or name another with PYTHON=' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one with PYTHON=")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) cannot make an environment: as root, apt install python3-venv' >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: setup  ## play a school lunch through the real code; DEMO_ARGS hands options on
	$(BIN)/edge-agent demo $(DEMO_ARGS)

test: setup check  ## run every check and every test; TEST_ARGS hands options on to pytest
	sh scripts/install-test-packages.sh
	sh scripts/install-test-hosts.sh
	$(BIN)/pytest $(PARALLEL) $(TEST_ARGS)

quick: check  ## run every check, and the tests of the rooms that take a minute
	$(BIN)/pytest $(PARALLEL) -m 'not soak and not hardware and not alone and not slow' $(QUICK) $(TEST_ARGS)

check: setup  ## run formatter, linter, import contracts and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: setup  ## measure; BENCH_ARGS hands options on
	$(BIN)/python -m tests.benchmarks $(BENCH_ARGS)

soak: setup  ## run the tests that take an hour
	sh scripts/install-test-packages.sh
	sh scripts/install-test-hosts.sh
	$(BIN)/pytest -m soak --timeout 5400 $(TEST_ARGS)

format: setup  ## mend what formatter and linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup  ## state the versions that an offline installation takes
	$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.5'
	$(BIN)/uv pip compile pyproject.toml $(LOCK_ARGS) --output-file locks/kiosk.lock
	$(BIN)/uv pip compile pyproject.toml $(LOCK_ARGS) --extra osdp --extra pcsc --extra gpio --extra mqtt --output-file locks/readers.lock

deb: setup  ## build the Debian package into dist/; RELEASE says of which release, 12 or 13
	sh scripts/build_deb.sh $(RELEASE)

clean:  ## remove what was built and installed here
	rm -rf $(VENV) build dist demo-run .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
