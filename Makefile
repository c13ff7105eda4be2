# `make help` lists what there is. Nothing has to be installed first but Python 3.11 or newer (on Debian with its venv
# package) and make: the first target that needs the environment makes it in .venv, and later ones cost no set-up time.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help report test test-all lab lint types bench lock clean

export PYTHONUTF8 = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
unexport PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS PYTHONPATH PYTHONHOME PYTHONWARNINGS VIRTUAL_ENV CONDA_PREFIX

PROFILE ?= analyses/profiles/demo.yaml
ARGS ?=
BIN := .venv/bin

# The first one that really runs: a version manager may leave names behind that only print an error.
FIND_PYTHON = for p in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo "$$p"; break; fi; done

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

report: .venv/.installed ## Build the report book of PROFILE (the built-in association by default)
	@$(BIN)/crm-analysis report --profile $(PROFILE) $(ARGS)

# Two workers on two processors: the linear algebra of each keeps to one thread, as in the kernels of a report.
test test-all: export OPENBLAS_NUM_THREADS = 1

test: .venv/.installed ## Run the tests that take seconds; ARGS="-k name" chooses
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-all: .venv/.installed ## Run every test: also the slow ones, real data and the browser
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "" $(ARGS)

lab: .venv/.installed ## Open JupyterLab on the analyses
	@$(BIN)/jupyter lab analyses

lint: .venv/.installed ## Check style and imports with ruff
	@$(BIN)/ruff check .

types: .venv/.installed ## Check types with mypy
	@$(BIN)/mypy

bench: .venv/.installed ## Measure against lifetimes, DuckDB, Great Expectations and papermill; prints ratios
	@$(BIN)/python -m benchmarks $(ARGS)

lock: ## Compile requirements.lock anew from pyproject.toml
	@set -e; python=$$($(FIND_PYTHON)); uv=$$(command -v uv || true); \
	if [ -z "$$uv" ]; then "$$python" -m venv build/lock; build/lock/bin/python -m pip install -q uv; uv=build/lock/bin/uv; fi; \
	"$$uv" pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links -q -o requirements.lock

clean: ## Remove all that was made: build/ (exports included) and .venv/
	@rm -rf build .venv crm_analysis.egg-info .ruff_cache .hypothesis
	@find crm_analysis tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# pip installs against the hashes; uv does the same in a quarter of the time where it happens to be there.
.venv/.locked: requirements.lock
	@set -e; \
	python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then echo "No Python 3.11 or newer was found. On Debian or Ubuntu: apt-get install python3 python3-venv. Or name one: make PYTHON=/path/to/python3" >&2; exit 1; fi; \
	rm -rf .venv; \
	if command -v uv >/dev/null 2>&1; then \
		echo "Setting up .venv with uv and $$python (once)"; \
		uv venv -q --python "$$("$$python" -c 'import sys; print(sys.executable)')" .venv; \
		uv pip install -q --python .venv/bin/python --require-hashes -r requirements.lock; \
	else \
		if ! "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
			v=$$("$$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])'); \
			echo "$$python cannot make virtual environments. On Debian or Ubuntu: apt-get install $$v-venv" >&2; exit 1; fi; \
		echo "Setting up .venv with pip and $$python (once, about a minute)"; \
		"$$python" -m venv .venv; \
		$(BIN)/python -m pip install -q --no-compile --require-hashes -r requirements.lock; \
	fi; \
	$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true; \
	touch $@

.venv/.installed: .venv/.locked pyproject.toml
	@set -e; \
	if [ -x $(BIN)/pip ]; then $(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .; \
	else uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .; fi; \
	$(BIN)/python -m compileall -q crm_analysis >/dev/null || true; \
	touch $@
