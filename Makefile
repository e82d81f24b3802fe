# Every target sets up .venv when it is missing or out of date; after that the set-up costs nothing.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: gpu gpu-wheels demo test check docs bench bench-smoke .venv clean

demo: $(READY)
	$(BIN)/ggcam demo --out demo --overwrite

# The tests of a file stay in one process, so that what they share, such as a trained run, is made once.
test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_OPTIONS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python .ci/check_versions.py
	$(BIN)/python docs/check_links.py
	$(MAKE) docs

docs: $(READY)
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build
	@touch docs/_build/.complete
	@echo docs/_build/index.html

bench: $(READY)
	$(BIN)/python -m benchmarks --json bench.json

bench-smoke: $(READY)
	$(BIN)/python -m benchmarks --short

# No set-up: a machine with a GPU may have its own PyTorch and no package index.
gpu:
	benchmarks/gpu.sh --json gpu.json $(GPU_OPTIONS)

gpu-wheels:
	benchmarks/gpu_wheels.sh wheels

.venv: $(READY)

# The stamp comes last: an interrupted installation is repeated.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'ggcam needs Python 3.11 or newer; set PYTHON=... to choose one')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv demo docs/_build
