# `make` lists the targets. Everything runs in .venv, which the first call creates from the lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
TESTS := netflix_assets_tests

# Not of the machine: what steers Python, dbt and git, and all of pip's settings but those that say where packages come
# from. With PIP_USER=1, or `user = true` in pip.conf, pip would refuse to install into .venv.
PIP_KEPT := $(addprefix PIP_,INDEX_URL EXTRA_INDEX_URL FIND_LINKS NO_INDEX TRUSTED_HOST CERT CLIENT_CERT PROXY \
	CACHE_DIR NO_CACHE_DIR TIMEOUT DEFAULT_TIMEOUT RETRIES CONFIG_FILE KEYRING_PROVIDER ROOT_USER_ACTION)
unexport $(filter-out $(PIP_KEPT),$(filter PIP_% PYTHON% DBT_% GIT_%,$(.VARIABLES)))
export PIP_USER := 0

.DEFAULT_GOAL := help
.PHONY: help install demo ui docs questions test test-long test-snowflake test-dashboards proof smoke-snowflake \
	superset test-superset superset-lock bench lint format sources lock clean

help:  ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## */\1\t/' | expand -t 18

install: $(INSTALLED)  ## Install into .venv, with the versions of the lock

# A virtual environment cannot be in a path with `:`, and the scripts in it do not run in one with the other characters.
define CHECK_PATH
import pathlib, sys
bad = [c for c in str(pathlib.Path.cwd()) if c in ':"$$\`' or not c.isprintable()]
if bad: sys.exit(f"the path of this clone contains {bad[0]!r}, which Python's scripts cannot run in; move the clone")
endef
export CHECK_PATH

# The lock has versions and hashes for everything the ranges in pyproject.toml resolve to, so pip resolves nothing
# (--no-deps). Then the project itself is added.
$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11; name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c "$$CHECK_PATH"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check --quiet
	@touch $@

demo: install  ## Sample files -> local S3 -> the whole graph -> a few answers
	@$(BIN)/netflix-assets demo

ui: install  ## The Dagster UI with daemon, sensors and local S3, until Ctrl-C (UI_PORT, default 3000)
	@$(BIN)/netflix-assets ui

docs: install  ## dbt's documentation site and an ER diagram, in .netflix/docs
	@$(BIN)/python -m netflix_assets.dev.docs

questions: install  ## Regenerate docs/questions.md: the questions, answered by this home's warehouse
	$(BIN)/python -m netflix_assets.dev.questions

test: install  ## The fast tests
	$(PYTEST) -m "not (long or emulated or live or postgres or browser or superset)"

# The slowest files go first, so that neither process runs out of work at the end.
test-long: install  ## Slow tests: runs that fail, dbt by itself, a few cases of each proof
	$(PYTEST) -m "long and not (healing or postgres)" \
		$(addprefix $(TESTS)/,defs/test_retry.py cli defs/test_published.py defs/dbt/test_project.py proof)

# The ingestion suite is the contract of both warehouses, so it runs again with the other one.
test-snowflake: install  ## The Snowflake half against an emulator, with the ingestion suite
	$(PYTEST) -m emulated
	$(PYTEST) --warehouse snowflake $(TESTS)/ingest $(addprefix $(TESTS)/warehouse/,test_builds.py test_served_counts.py) \
		$(addprefix $(TESTS)/proof/,test_corpus.py test_foreign.py)

test-dashboards: install  ## Every page in Chromium: wide and narrow, light and dark, samples, real files, no files
	$(PYTEST) --numprocesses 0 --timeout 0 -m browser -rs

# The suites behind docs/reliability.md at full length; `make test-long` runs a few cases of each.
PROOF := $(PYTEST) --numprocesses 0 --timeout 0
proof-sequences := $(TESTS)/proof/test_sequences.py --cases 500
proof-crashes := $(TESTS)/proof/test_crashes.py $(TESTS)/proof/test_snapshot_crashes.py --cases 200
proof-fuzz := $(TESTS)/proof/test_fuzz.py --cases 5000
proof-corpus := $(TESTS)/proof/test_corpus.py
# Your own files: make proof SUITE=foreign FILES=/path/to/folder REPORT=outcomes.json
proof-foreign := $(TESTS)/proof/test_foreign.py -s --cases 180 \
	$(if $(FILES),--files '$(FILES)') $(if $(REPORT),--report '$(REPORT)')
proof-edges := $(TESTS)/proof/test_edges.py --cases 50
proof-shuffles := $(TESTS)/proof/test_shuffles.py --cases 100
proof-mutations := $(TESTS)/proof/test_mutations.py
proof-s3-faults := $(TESTS)/proof/test_s3_faults.py --cases 100
proof-healing := $(TESTS)/proof/test_healing.py --durations 0
proof-postgres := $(TESTS)/proof/test_postgres.py
proof-alerts := $(TESTS)/alerts/test_delivery.py -s -k 30_percent --cases 100
SUITES := sequences crashes fuzz corpus foreign edges shuffles mutations s3-faults healing postgres alerts

proof: install  ## One proof of docs/reliability.md at full length: make proof SUITE=sequences|crashes|fuzz|…
	@[ -n "$(proof-$(SUITE))" ] || { echo "Usage: make proof SUITE=<$(SUITES)>" | sed 's/ /|/4g'; exit 2; }
	$(PROOF) $(proof-$(SUITE))

smoke-snowflake: install  ## The whole graph on a real Snowflake account, in its own database (docs/snowflake.md)
	$(PROOF) -m live -rs

# Superset needs older versions of shared dependencies, so it has its own environment.
SUPERSET := .venv-superset
$(SUPERSET)/.installed: deploy/superset/requirements.txt
	$(PYTHON) -m venv $(SUPERSET)
	$(SUPERSET)/bin/python -m pip install --quiet --require-hashes --requirement deploy/superset/requirements.txt
	@touch $@

superset: install  ## Pack the dashboards for Superset or Preset, on this home's published tables (docs/bi.md)
	@$(BIN)/python deploy/superset/pack.py netflix_assets_superset.zip
	@echo "netflix_assets_superset.zip is ready to import"

test-superset: install $(SUPERSET)/.installed  ## Import the Superset bundle into a real Superset, query every chart
	$(PYTEST) --numprocesses 0 $(TESTS)/superset -rs

superset-lock:  ## Resolve deploy/superset/requirements.in again
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile deploy/superset/requirements.in --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-annotate --no-header --quiet \
		--output-file deploy/superset/requirements.txt
	rm -rf $(VENV)-lock

bench: install  ## What the guarantees cost, as ratios (sample files; `python -m bench.ingest FILE` for your own)
	$(BIN)/python -m bench.definitions
	$(BIN)/python -m bench.listing
	$(BIN)/python -m bench.ticks
	$(BIN)/netflix-assets generate .netflix/bench --scale 10
	cat .netflix/bench/ratings-2015.csv > .netflix/bench/ratings.csv
	tail -q -n +2 .netflix/bench/ratings-201[6-9].csv .netflix/bench/ratings-202[0-3].csv >> .netflix/bench/ratings.csv
	$(BIN)/python -m bench.ingest .netflix/bench/ratings.csv
	$(BIN)/python -m bench.diff

lint: install  ## Ruff, mypy, the direction of imports, sqlfluff, and drift of generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes 2 dbt
	$(BIN)/python -m netflix_assets.dev.dbt_sources --check
	$(BIN)/python -m netflix_assets.dev.questions --check

format: install  ## Format Python and SQL
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix dbt

sources: install  ## Generate dbt's sources from the contracts
	$(BIN)/python -m netflix_assets.dev.dbt_sources

lock:  ## Resolve the ranges of pyproject.toml into requirements.lock (versions and hashes, no URLs)
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile pyproject.toml --extra dev --extra metrics --extra postgres --universal \
		--python-version 3.11 --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet \
		--output-file requirements.lock
	rm -rf $(VENV)-lock

clean:  ## Remove everything that can be rebuilt (data stays: that is `netflix-assets reset`)
	rm -rf $(VENV) $(SUPERSET) dbt/target dbt/logs build *.egg-info .pytest_cache .mypy_cache .ruff_cache
