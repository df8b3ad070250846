# The commands of daily work. `make` alone lists them.
PYTHON ?= python3.11
VENV ?= .venv
PORT ?= 3000
PHOTOS ?=
SHARED := $(or $(PLANTOOD_SHARED),../shared)
DATA ?= $(SHARED)/data/manifest.csv
BIN := $(VENV)/bin
# Python compiles a module when it is first imported; most of TensorFlow never is.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

.DEFAULT_GOAL := help
.PHONY: help run serve develop check test coverage lint types format docs train starter bench wheel build \
	container sbom lock clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What serving needs, every file by its hash, and no TensorFlow.
$(VENV)/.serving: pyproject.toml requirements.txt | $(BIN)/python
	@echo "Installing plantood into $(VENV) ..."
	$(PIP_INSTALL) -r requirements.txt
	$(PIP_INSTALL) --no-deps -e .
	@touch $@

# What training, the tests and the benchmarks need on top.
$(VENV)/.development: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing plantood with its training and development extras into $(VENV) ..."
	$(PIP_INSTALL) -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.serving

run: $(VENV)/.serving ## judge photos: the samples, or PHOTOS="a.jpg b.jpg dir/"
	@$(BIN)/plantood check $(PHOTOS)

serve: $(VENV)/.serving ## leave the service on port 3000, or PORT=
	@$(BIN)/plantood serve --port $(PORT)

develop: $(VENV)/.development ## set up what training, tests and benchmarks need, and run nothing
	@echo "Ready: . $(VENV)/bin/activate"

# What renders the Kubernetes manifests. Without it their tests skip.
$(VENV)/.kubectl: | $(VENV)/.development
	@command -v kustomize >/dev/null || command -v kubectl >/dev/null || \
		$(BIN)/python deploy/kubernetes/get_kubectl.py $(BIN) || \
		echo "There is no kubectl: the tests of the Kubernetes manifests will skip." >&2
	@touch $@

# What looks at a clock, or at what a burst costs, has the machine to itself. All else keeps both cores busy,
# two files at a time (three are no faster): what serves, and then what trains, builds or decodes,
# the longest first. Each of the three has a model store of its own.
TIMED := tests/security/test_attacks.py tests/security/test_scorer_port.py tests/http/test_uploads.py \
	tests/service/test_cases.py tests/service/test_health.py tests/compose/test_failures.py \
	tests/compose/test_remote.py tests/compose/test_strangers.py tests/deploy/test_like_a_container.py \
	tests/deploy/test_split_scorer.py
LONG := tests/test_wheel.py tests/test_sbom.py tests/test_build.py tests/compose/test_built.py \
	tests/compose/test_examples.py tests/training tests/photo tests/model tests/docs
PYTEST = $(BIN)/python -m pytest --durations=20
TWO_AT_A_TIME = $(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder
test: $(VENV)/.development $(VENV)/.kubectl ## run all tests
	$(PYTEST) $(TIMED)
	$(TWO_AT_A_TIME) $(TIMED:%=--ignore=%) $(LONG:%=--ignore=%)
	$(TWO_AT_A_TIME) $(LONG)

coverage: PYTEST += --cov --cov-append --cov-fail-under=0 --cov-report=
coverage: $(VENV)/.development ## run all tests, and hold what they cover to its floor
	@rm -f .coverage
	@$(MAKE) test PYTEST="$(PYTEST)"
	@$(BIN)/coverage report

check: lint ## the fast loop: format, style, types, and the tests that start no server
	$(BIN)/python -m pytest -m "not slow" -q -n 2 --dist loadfile

lint: $(VENV)/.development types ## check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# The package as a user's type checker sees it, with the trainer inside; then the examples.
types: $(VENV)/.development ## check the types
	@rm -rf build/types && mkdir -p build/types
	@cp -Rp plantood build/types/plantood && cp -Rp training build/types/plantood/training
	@for of in "-p plantood" examples/compose examples/maize_disease tests/typing; do \
		echo "mypy $$of"; \
		MYPYPATH="build/types:$${of#-p plantood}" $(BIN)/mypy --config-file pyproject.toml $$of || exit 1; \
	done

format: $(VENV)/.development ## bring the code into format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

train: $(VENV)/.development ## train a gate on DATA=folder or manifest.csv
	$(BIN)/plantood train $(DATA)

starter: $(VENV)/.development ## train the gate that ships anew, on the shared photos
	$(BIN)/plantood starter $(SHARED)/data/manifest.csv --table-into docs/starter.md

bench: $(VENV)/.development ## measure speed and quality cues, and write the tables
	$(BIN)/python -m benchmarks.serving --write docs/measurements.md
	$(BIN)/python -m benchmarks.composing --write docs/measurements.md
	$(BIN)/python -m benchmarks.feature_cache --write docs/measurements.md
	$(BIN)/python -m benchmarks.quality_cues
	$(BIN)/python -m benchmarks.mining --write docs/mining.md
	$(BIN)/python -m benchmarks.review_page --write docs/review.md

docs: $(VENV)/.development ## build the documentation's site: build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -W ignore -m mkdocs build --strict

wheel: $(BIN)/python ## build the wheel that other projects install: dist/
	rm -rf build/lib build/bdist.* dist/*.whl
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	rm -rf build/lib build/bdist.*

build: $(VENV)/.serving ## pack the gate's bento: the gate that PLANTOOD_GATE names, or the newest
	@$(BIN)/bentoml build

container: $(VENV)/.serving ## build the newest bento's image with docker
	@# from / because of BentoML issue 5566
	@cd / && $(abspath $(BIN))/bentoml containerize plantood:latest

sbom: $(VENV)/.development ## write what the bento installs and packs: dist/plantood.cdx.json
	@$(BIN)/python -m deploy.container.sbom dist/plantood.cdx.json

lock: ## write the locks anew, with hashes: the newest that pyproject.toml admits
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	{ echo '# Every package that the tests ran with. Written by: make lock'; \
		build/lock/bin/python -m pip freeze --exclude-editable; } > constraints.txt
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	{ echo '# What the bento installs: of constraints.txt what serving needs. Written by: make lock'; \
		build/lock/bin/python -m uv pip compile pyproject.toml --quiet --generate-hashes \
		--constraints constraints.txt --universal --no-annotate --no-header; } > requirements.txt
	UV_CONSTRAINT=$(abspath constraints.txt) $(MAKE) -B -C examples/maize_disease lock \
		PYTHON=$(abspath build/lock/bin/python)
	uv="$$(grep '^uv==' constraints.txt | build/lock/bin/python -m uv pip compile - --quiet \
		--generate-hashes --no-annotate --no-header | tr -d '\\\n' | tr -s ' ')" && \
		sed "s/^{% set uv = .*/{% set uv = \"$$uv\" %}/" deploy/container/Dockerfile.template \
		> build/lock/template && cp build/lock/template deploy/container/Dockerfile.template
	cp deploy/container/Dockerfile.template examples/maize_disease/Dockerfile.template
	rm -rf build/lock

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
