# `make` lists what there is. Everything runs in .venv, which is made from the lock the first time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo ui docs questions test bench lint format sources lock clean \
	test-long test-snowflake smoke-snowflake test-corpus test-sequences test-crashes test-fuzz \
	test-shuffles test-mutations test-s3-faults test-healing test-postgres test-alerts test-dashboards \
	test-superset superset superset-lock

help:  ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## */\1\t/' | expand -t 18

install: $(INSTALLED)  ## Install into .venv, at the versions of the lock

# The lock pins versions and hashes of all that the ranges of pyproject.toml resolve to, so there is nothing to resolve
# (--no-deps); the project itself is then added.
$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11; say which to use: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check --quiet
	@touch $@

demo: install  ## Sample files -> local S3 -> the whole graph -> a few answers
	@$(BIN)/netflix-assets demo

ui: install  ## The Dagster UI with daemon, sensors and local S3 (port: UI_PORT, default 3000), until Ctrl-C
	@$(BIN)/netflix-assets ui

docs: install  ## The documentation site in .netflix/docs: every model, tables and keys, lineage, metrics, dbt's own site
	@$(BIN)/python -m netflix_assets.docs

questions: install  ## Write docs/questions.md anew: the questions with their answers in this home's warehouse
	$(BIN)/python -m netflix_assets.questions

test: install  ## All tests but those that have a command of their own
	$(BIN)/python -m pytest -m "not (long or emulated or live or postgres or browser or superset)"

# Begins with the files that take longest, which leaves no process without work at the end.
test-long: install  ## What takes longer: runs that fail or are interrupted, dbt by itself, a few cases of each proof
	$(BIN)/python -m pytest -m "long and not (healing or postgres)" \
		$(addprefix netflix_assets_tests/,defs/test_retry.py cli/test_run.py defs/test_published.py defs/dbt/test_project.py proof)

# The suite of the ingestion is the contract of both warehouses, so it runs once more with the other one.
test-snowflake: install  ## The Snowflake half against an emulator, with the suite of the ingestion
	$(BIN)/python -m pytest -m emulated
	$(BIN)/python -m pytest --warehouse snowflake netflix_assets_tests/ingest netflix_assets_tests/proof/test_corpus.py \
		netflix_assets_tests/warehouse/test_builds.py

test-postgres: install  ## Dagster on PostgreSQL, its processes apart and killed: nothing lost, nothing twice
	$(BIN)/python -m pytest --numprocesses 0 --timeout 0 -m postgres

smoke-snowflake: install  ## The whole graph on a real Snowflake account, in a database of its own (docs/snowflake.md)
	$(BIN)/python -m pytest --numprocesses 0 --timeout 0 -m live -rs

# The suites behind docs/reliability.md; `make test-long` runs a few cases of each.
PROOF := $(BIN)/python -m pytest --numprocesses 0 --timeout 0 netflix_assets_tests/proof

test-sequences: install  ## 500 random sequences of what can happen to a bucket: every version once, none lost
	$(PROOF)/test_sequences.py --cases 500

test-crashes: install  ## kill -9 of the real process at 200 moments and at every named point
	$(PROOF)/test_crashes.py netflix_assets_tests/proof/test_snapshot_crashes.py --cases 200

test-fuzz: install  ## 5,000 generated CSV files against Python's csv module
	$(PROOF)/test_fuzz.py --cases 5000

test-corpus: install  ## Nasty files, one outcome each, and every row of docs/files.md
	$(PROOF)/test_corpus.py

test-shuffles: install  ## 100 orders of arrival, one result, equal to a full refresh
	$(PROOF)/test_shuffles.py --cases 100

test-mutations: install  ## Take a safeguard away: the suite must notice
	$(PROOF)/test_mutations.py

test-s3-faults: install  ## An S3 that fails in every way, many times over
	$(PROOF)/test_s3_faults.py --cases 100

test-alerts: install  ## 100 failures while 30 % of Slack's answers are errors: each is told exactly once
	$(BIN)/python -m pytest --numprocesses 0 --timeout 0 netflix_assets_tests/alerts/test_delivery.py -s -k 30_percent --cases 100

# Superset needs older versions of what this project uses, so it has an environment of its own.
SUPERSET := .venv-superset
$(SUPERSET)/.installed: deploy/superset/requirements.txt
	$(PYTHON) -m venv $(SUPERSET)
	$(SUPERSET)/bin/python -m pip install --quiet --require-hashes --requirement deploy/superset/requirements.txt
	@touch $@

test-superset: install $(SUPERSET)/.installed  ## Import the Superset bundle into a real Superset, query every chart
	$(BIN)/python -m pytest --numprocesses 0 netflix_assets_tests/superset -rs

superset: install  ## Pack the dashboards for Superset or Preset, on this home's published tables (docs/bi.md)
	@$(BIN)/python deploy/superset/pack.py netflix_assets_superset.zip
	@echo "netflix_assets_superset.zip is ready to be imported"

superset-lock:  ## Resolve deploy/superset/requirements.in anew
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile deploy/superset/requirements.in --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-annotate --no-header --quiet \
		--output-file deploy/superset/requirements.txt
	rm -rf $(VENV)-lock

test-dashboards: install  ## Every page in Chromium: wide and narrow, light and dark, samples, real files, no files
	$(BIN)/python -m pytest --numprocesses 0 --timeout 0 -m browser -rs

test-healing: install  ## `make ui` as users have it: files come and go, each of its processes is killed in the middle of a run
	$(PROOF)/test_healing.py --durations=0

bench: install  ## What the guarantees cost, as ratios (sample files; `python -m bench.ingest FILE` for your own)
	$(BIN)/python -m bench.definitions
	$(BIN)/python -m bench.listing
	$(BIN)/python -m bench.ticks
	$(BIN)/netflix-assets generate .netflix/bench --scale 10
	cat .netflix/bench/ratings-2015.csv > .netflix/bench/ratings.csv
	tail -q -n +2 .netflix/bench/ratings-201[6-9].csv .netflix/bench/ratings-202[0-3].csv >> .netflix/bench/ratings.csv
	$(BIN)/python -m bench.ingest .netflix/bench/ratings.csv

lint: install  ## Ruff, mypy, sqlfluff, and what is generated: dbt's sources, docs/questions.md
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --processes 2 dbt
	$(BIN)/python -m netflix_assets.dbt_sources --check
	$(BIN)/python -m netflix_assets.questions --check

format: install  ## Format Python and SQL
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix dbt

sources: install  ## Write dbt's sources anew from the contracts
	$(BIN)/python -m netflix_assets.dbt_sources

lock:  ## Resolve the ranges of pyproject.toml anew into requirements.lock (names, versions, hashes; no URLs)
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile pyproject.toml --extra dev --extra metrics --extra postgres --universal \
		--python-version 3.11 --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet \
		--output-file requirements.lock
	rm -rf $(VENV)-lock

clean:  ## Remove what can be made again (not the data: that is `netflix-assets reset`)
	rm -rf $(VENV) $(SUPERSET) dbt/target dbt/logs build *.egg-info .pytest_cache .mypy_cache .ruff_cache
