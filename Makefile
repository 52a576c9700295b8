# `make up` runs Cloudo with its sample flows, `make test` checks everything. Both set up what they need first.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKSPACE ?= workspace
NEWEST ?= .venv-newest
# Tests mostly wait for processes that start: two more at once than there are processors.
JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)
# A plugin of the tests of REST, which takes each process of pytest more than a second to import.
LIGHT := -p no:schemathesis

.PHONY: up test unit frontend coverage test-newest lint lock clean

up: $(VENV)/.installed-up
	@$(BIN)/python extension/frontend/hatch_build.py
	@mkdir -p $(WORKSPACE)/flows
	@test -e $(WORKSPACE)/quickstart.ipynb || cp notebooks/quickstart.ipynb $(WORKSPACE)/
	@test -e $(WORKSPACE)/dashboards || \
	  { mkdir $(WORKSPACE)/dashboards; cp notebooks/example_dashboard.ipynb $(WORKSPACE)/dashboards/example.ipynb; }
	$(BIN)/cloudo up $(WORKSPACE) $(ARGS)

test: lint
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

unit: $(VENV)/.installed-test
	@$(BIN)/python extension/frontend/hatch_build.py
	$(BIN)/python -m pytest tests/unit $(LIGHT) -m "not slow" -n auto --maxprocesses 4 $(ARGS)

# Rebuild the front end if a source has changed. Node comes from PyPI.
frontend: $(VENV)/.installed-up
	$(BIN)/python extension/frontend/hatch_build.py

# In all processes that these tests start; the floor is in pyproject.toml.
coverage: $(VENV)/.installed-test
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest tests/unit tests/contract $(LIGHT) -n $(JOBS) --maxprocesses 4 --dist loadfile $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Does a run put out what papermill does with the newest releases, beyond our upper bounds? Needs uv.
test-newest:
	$(PYTHON) -m venv --clear $(NEWEST)
	uv pip install --quiet --python $(NEWEST)/bin/python --upgrade --overrides requirements/newest.txt \
	  --group build --group test --editable '.[examples,notebook]'
	uv pip list --quiet --python $(NEWEST)/bin/python | grep -E '^(ipykernel|ipython|jupyter-client|nbclient|papermill|voila) '
	$(NEWEST)/bin/python -m pytest -W default tests/unit/test_private_names.py tests/acceptance/test_fidelity.py $(ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python extension/frontend/hatch_build.py check
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive cloudo_kernel extension

# The locked packages, then the project itself. uv where it is or can be had, else pip.
$(VENV)/.installed-%: requirements/%.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Cloudo needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null 2>&1; then install="uv pip install --python $(BIN)/python"; \
	elif $(BIN)/python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null; then \
	  install="$(BIN)/python -m uv pip install --python $(BIN)/python"; \
	else install="$(BIN)/python -m pip install --disable-pip-version-check"; fi; \
	set -e; echo "Installing the packages of $<"; \
	$$install --quiet --require-hashes -r $<; \
	$$install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# Renew the locks; needs uv.
lock:
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  --extra examples --extra notebook --group build -o requirements/up.txt pyproject.toml $(LOCK)
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  --extra dask --extra examples --extra notebook --extra postgresql --group build --group test \
	  -c requirements/up.txt -o requirements/test.txt pyproject.toml $(LOCK)
	$(BIN)/python extension/frontend/hatch_build.py lock

clean:
	rm -rf $(VENV) $(NEWEST) $(WORKSPACE) build dist extension/frontend/node_modules
