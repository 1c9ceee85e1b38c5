# Two commands do everything on a machine with Python 3.11, make and the package registries:
#   make certify   sets up and certifies the bundled reference building block
#   make test      sets up and runs all tests
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
READY := $(VENV)/.ready

.PHONY: certify test lint selftest bench clean

certify: $(READY)
	$(VENV)/bin/meshmark certify fixtures/birth-registry.meshmark.yaml --workers 2

test: $(READY)
	$(VENV)/bin/pytest -n 2 --dist worksteal

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

selftest: $(READY)
	$(VENV)/bin/meshmark selftest --out reports

bench: $(READY)
	$(VENV)/bin/python -m tests.bench

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) build dist meshmark-report
