# Two commands matter to a newcomer: `make run` (install, then the demo) and `make test` (install, then the tests).
# Everything lives in a virtual environment inside the checkout; versions are exact (constraints.txt).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# torch by its exact pin and first: a range would let pip resolve to the newest build.
TORCH := $(shell grep '^torch==' constraints.txt)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run demo label test browser lint types imports check bench bench-finetuning clean

run: $(VENV)/.installed
	$(BIN)/nearmiss run examples/demo.toml --out runs/demo

demo: run

# A labelling project to try: customers' messages to a bank, 77 labels.
label: $(VENV)/.installed
	$(BIN)/nearmiss label banking77 --project runs/banking77.nearmiss

test: $(VENV)/.installed-dev browser
	$(BIN)/python -m pytest

# The browser tests drive Debian's Chromium; where it cannot be had they are skipped, and say so.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing Chromium for the browser tests" && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium chromium-driver >/dev/null; } || \
		echo "No Chromium here: the browser tests will be skipped (Debian: apt-get install chromium chromium-driver)"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

imports: $(VENV)/.installed-dev
	$(BIN)/lint-imports

# Tests come last, so that the output closes with pytest's own line.
check: lint types imports test

# Flags by BENCH: make bench BENCH="--quick"
bench: $(VENV)/.installed
	$(PIP) --group bench
	$(BIN)/python -m benchmarks $(BENCH)

bench-finetuning: $(VENV)/.installed
	$(PIP) --group bench
	$(BIN)/python -m benchmarks.finetuning $(BENCH)

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "nearmiss needs Python 3.11 or newer; name one with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^pip==' constraints.txt)"
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (a few minutes the first time)"
	$(PIP) $(TORCH)
	$(PIP) -e '.[web,plots]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing into $(VENV) with what the tests need (a few minutes the first time)"
	$(PIP) $(TORCH)
	$(PIP) -e '.[all]' --group dev
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) .ci/venv build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
