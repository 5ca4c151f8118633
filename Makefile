# LungLens: `make help` lists what there is.
# Everything happens in .venv next to this file; nothing is installed elsewhere.

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
# The folder of real scans that the weights are trained on; see docs/command-line.md.
DATA ?= $(if $(LUNGLENS_DATA),$(LUNGLENS_DATA),../shared/data)
# Extra arguments for pytest: make test ARGS="-k volume"
ARGS ?=
# How many tests run at once: two more than there are cores, since tests wait for browsers and child
# processes a third of their time, but not more than eight, and 2.5 GB of memory for each.
WORKERS ?= $(shell n=$$(( $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 2 )); \
	m=$$(( $$(getconf _PHYS_PAGES 2>/dev/null || echo 2097152) / 655360 )); \
	[ "$$n" -le 8 ] || n=8; [ "$$n" -le "$$m" ] || n=$$m; [ "$$n" -ge 1 ] || n=1; echo $$n)

PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# The stamps carry a checksum of the requirements, so that an unchanged set-up starts at once
# and a changed one is brought up to date.
APP_SUM := $(shell cksum < requirements.txt | cut -d ' ' -f 1)
DEV_SUM := $(shell cat requirements.txt requirements-dev.txt | cksum | cut -d ' ' -f 1)
APP_STAMP := $(VENV)/.installed-app-$(APP_SUM)
DEMO_STAMP := $(VENV)/.demo-$(APP_SUM)
DEV_STAMP := $(VENV)/.installed-dev-$(DEV_SUM)

# Where runs and weights go, and extra arguments, to try the training in a short form:
# make weights-lobes RUNS=/tmp/runs WEIGHTS=/tmp/weights LOBES_ARGS="--epochs 1 --steps 2"
RUNS ?= runs
WEIGHTS ?= weights
MIXTURE_ARGS ?=
LOBES_ARGS ?=
NETWORK = lite-v1
MIXTURE = $(BIN)/python -m core train-mixture --data "$(DATA)" \
	--config weights/$(NETWORK)/manifest.json
LOBES = $(BIN)/python -m core train-lobes --data "$(DATA)"

.PHONY: help app test lint format weights weights-lungs weights-lobes check-data setup setup-dev clean

help: ## Show this list
	@echo "LungLens. Targets:"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | \
		awk -F '|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo "Settings: PORT=$(PORT)  WORKERS=$(WORKERS)  DATA=$(DATA)  PYTHON=(an interpreter, 3.10 to 3.13)"

app: $(DEMO_STAMP) ## Set up on first use, then open the app on localhost:8501
	@exec $(BIN)/python -m streamlit run streamlit_app.py --server.port $(PORT)

test: $(DEV_STAMP) ## Set up on first use, then run the tests (ARGS="..." goes to pytest)
	@exec env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(DEV_STAMP) ## Check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict core
	$(BIN)/lint-imports

format: $(DEV_STAMP) ## Bring the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

weights: weights-lungs weights-lobes ## Train the shipped networks again from the sets in DATA (hours)

weights-lungs: check-data $(APP_STAMP)
	for fold in 1 2 3; do \
		$(MIXTURE) --epochs 15 --out $(RUNS)/$(NETWORK)-fold-$$fold --hold-out $$fold \
			--publish $(RUNS)/published/$(NETWORK)-fold-$$fold $(MIXTURE_ARGS) || exit 1; \
	done
	$(MIXTURE) --out $(RUNS)/$(NETWORK) --publish $(WEIGHTS)/$(NETWORK) --default \
		--folds $(RUNS)/published/$(NETWORK)-fold-1 $(RUNS)/published/$(NETWORK)-fold-2 \
			$(RUNS)/published/$(NETWORK)-fold-3 $(MIXTURE_ARGS)

weights-lobes: check-data $(APP_STAMP)
	for fold in 1 2 3 4 5; do \
		$(LOBES) --out $(RUNS)/lobes-fold-$$fold --hold-out $$fold $(LOBES_ARGS) || exit 1; \
	done
	$(LOBES) --out $(RUNS)/lobes --publish $(WEIGHTS)/lobes-v1 $(LOBES_ARGS) --folds \
		$(RUNS)/lobes-fold-1 $(RUNS)/lobes-fold-2 $(RUNS)/lobes-fold-3 $(RUNS)/lobes-fold-4 \
		$(RUNS)/lobes-fold-5

# Before the set-up, so that a wrong folder is reported at once.
check-data:
	@if [ ! -d "$(DATA)" ]; then \
		echo "There are no scans to train on: DATA is '$(DATA)', which is not a folder." >&2; \
		echo "Expected the folder that holds covid20/ and the other sets listed in docs/command-line.md." >&2; \
		echo "Try: make weights DATA=/path/to/data" >&2; \
		exit 1; \
	fi

setup: $(DEMO_STAMP) ## Make .venv with what the app needs

setup-dev: $(DEV_STAMP) ## Make .venv with the tools for tests and checks as well

clean: ## Remove .venv and caches; runs, weights and scans stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	find core pages tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(APP_STAMP): $(BIN)/python
	@$(BIN)/python -c "$(FITS)" || { \
		echo "$(VENV) holds $$($(BIN)/python --version), which does not fit (3.10 to 3.13)." >&2; \
		echo "Remove it with: make clean" >&2; \
		exit 1; \
	}
	@echo "Installing what the app needs into $(VENV); this takes some minutes the first time."
	@$(PIP) install --quiet --progress-bar off -r requirements.txt
	@rm -f $(VENV)/.installed-app-*
	@touch $@

$(DEMO_STAMP): $(APP_STAMP)
	@echo "Generating the demo study, so that the app opens it at once."
	@$(BIN)/python -m core.phantom
	@rm -f $(VENV)/.demo-*
	@touch $@

$(DEV_STAMP): $(APP_STAMP)
	@echo "Installing the tools for tests and checks into $(VENV)."
	@$(PIP) install --quiet --progress-bar off -r requirements-dev.txt
	@rm -f $(VENV)/.installed-dev-*
	@touch $@

# An interpreter counts when it starts, is 3.10 to 3.13 and can make environments.
FITS := import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))

$(BIN)/python:
	@for candidate in "$(PYTHON)" python3.11 python3.12 python3.10 python3.13 python3 python; do \
		[ -n "$$candidate" ] || continue; \
		if "$$candidate" -c "$(FITS)" >/dev/null 2>&1; then \
			echo "Making $(VENV) with $$("$$candidate" --version)."; \
			"$$candidate" -m venv --clear $(VENV) && exit 0; \
			exit 1; \
		fi; \
		if [ "$$candidate" = "$(PYTHON)" ]; then \
			echo "PYTHON=$$candidate does not fit (3.10 to 3.13 with the venv module); looking on." >&2; \
		fi; \
	done; \
	echo "LungLens needs Python 3.10, 3.11, 3.12 or 3.13 with its venv module; none was found." >&2; \
	echo "On Debian or Ubuntu: apt-get install python3 python3-venv" >&2; \
	echo "With one in another place: make PYTHON=/path/to/python3.11 app" >&2; \
	exit 1
