# make quickstart   the main job, end to end
# make test         lint, types, tests
# make benchmarks   every speed benchmark and docs/performance.md; SHARED=FOLDER of real collections
# Both create .venv and install what they need; nothing else has to be there than Python, pip and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= runs/quickstart

.PHONY: quickstart test test-slow lint types benchmarks clean

quickstart: $(VENV)/.installed
	$(BIN)/embedtune quickstart --out $(OUT)

test: lint types
	$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow

benchmarks: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.run $(SHARED)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

INSTALLED_FROM := pyproject.toml constraints.txt hatch_build.py src/embedtune/models/packed/kernels.c

$(VENV)/.installed: $(INSTALLED_FROM)
	$(call install,.[offline])
	touch $@

$(VENV)/.installed-dev: $(INSTALLED_FROM)
	$(call install,.[dev])
	touch $@

# Debian's Python comes without ensurepip, so pip may have to come from outside the new environment.
# Without an NVIDIA GPU the pinned torch; with one the newest, which brings its CUDA packages.
define install
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) 2>/dev/null || \
		{ $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	if nvidia-smi -L >/dev/null 2>&1; then \
		grep -v '^torch==' constraints.txt >$(VENV)/constraints.txt && $(BIN)/pip install --quiet torch; \
	else \
		cp constraints.txt $(VENV)/constraints.txt && $(BIN)/pip install --quiet "$$(grep '^torch==' constraints.txt)"; \
	fi
	$(BIN)/pip install --quiet --constraint $(VENV)/constraints.txt --editable '$(1)'
endef

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
