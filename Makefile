# Every target sets up .venv when it is missing or out of date; after that the set-up costs nothing.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check docs bench bench-smoke .venv clean

demo: $(READY)
	$(BIN)/ggcam demo --out demo --overwrite

test: $(READY)
	$(BIN)/python -m pytest -n 2

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python docs/check_links.py
	$(MAKE) docs

docs: $(READY)
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build
	@echo docs/_build/index.html

bench: $(READY)
	$(BIN)/python -m benchmarks --json bench.json

bench-smoke: $(READY)
	$(BIN)/python -m benchmarks --short

.venv: $(READY)

# The stamp comes last: an interrupted installation is repeated.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'ggcam needs Python 3.11 or newer; set PYTHON=... to choose one')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv demo docs/_build
