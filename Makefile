# make run           the whole shop on this machine; PORT=9000 moves all of its ports
# make test          all tests, in parallel, on separate PostgreSQL and Valkey servers
# make coverage      the same, and which lines and branches they reach; 90 % at least
# make check         format, lint, types, import rules, migrations, Django's deployment checks
# make audit         look every package up in the advisories of PyPI; fails where they cannot be reached
# make format        format, and fix what can be fixed automatically
# make schema-test   test the running server against its OpenAPI document for some minutes
# make bench         speed, compared with PostgreSQL's own; BENCH="--only place16 --rounds 1" for less
# make faults        whole shops under faults and races (docs/reliability.md), an hour; QUICK=1 for
#                    eight minutes, ONLY="kill -9" for some, PROJECT=/path for another checkout,
#                    NO_SKIPS=1 to fail where one is not possible
# make bench-micro   the most frequently called functions, one by one
# make profile       where the web process spends its time while orders are placed
# make soak          ten minutes of steady load, to find growth; SECONDS=60 for less
# make clean         remove caches and leftovers of tests; the shop's data in var/ stay

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-input --requirement
# Tests wait for other processes for a third of their time, so more of them than processors.
PYTEST_WORKERS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 3 / 2 )))
PYTEST_OPTIONS ?=

# A production configuration for the checks; nothing is started with it.
PRODUCTION_LIKE := DEBUG=0 ALLOWED_HOSTS=shop.example.com \
	SECRET_KEY=only-for-checks-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG \
	JWT_SIGNING_KEY=only-for-checks-0123456789-abcdefghijklmnopqrstuvwxyz \
	SANDBOX_API_KEY=only-for-checks SANDBOX_WEBHOOK_SECRET=only-for-checks \
	DATABASE_URL=postgresql://nobody@127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1/0

.DEFAULT_GOAL := help
.PHONY: help run test coverage bench soak faults bench-micro profile schema-test check lint types imports migrations deployment audit format clean

help:
	@sed -n 's/^# make/make/p; s/^#  \( *[a-z]\)/  \1/p' Makefile

# exec: no shell between make and the shop, so that the shop receives make's signals.
run: $(VENV)/.installed
	@exec env DEBUG=$${DEBUG:-1} LOG_FORMAT=$${LOG_FORMAT:-console} $(BIN)/python manage.py up

test: $(VENV)/.installed-dev
	@exec $(BIN)/python -m pytest -m "not fault" -n $(PYTEST_WORKERS) --maxprocesses 8 \
		--dist worksteal $(PYTEST_OPTIONS)

# Measuring makes all processes of the tests slower by half.
coverage: PYTEST_OPTIONS += --cov
coverage: test

# As in `make test`, with more examples and time; tokens last for 15 minutes.
schema-test: $(VENV)/.installed-dev
	@exec env SCHEMA_EXAMPLES=$${SCHEMA_EXAMPLES:-50} SCHEMA_SECONDS=$${SCHEMA_SECONDS:-300} \
		$(BIN)/python -m pytest -n 2 $(PYTEST_OPTIONS) oms/tests/contract

bench: $(VENV)/.installed-dev
	@exec $(BIN)/python -m benchmarks $(BENCH)

soak: $(VENV)/.installed-dev
	@exec $(BIN)/python -m benchmarks.soak --seconds $(or $(SECONDS),600) $(SOAK)

# First the tests that wait for time limits of real processes; at full size the long ones too.
faults: $(VENV)/.installed-dev
	@$(if $(ONLY)$(PROJECT),:,$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal \
		-m "fault$(if $(QUICK), and not slow)")
	@exec $(BIN)/python -m oms.tests.faults $(if $(QUICK),--quick) $(if $(NO_SKIPS),--no-skips) $(if $(ONLY),--only "$(ONLY)") \
		$(if $(PROJECT),--project "$(PROJECT)")

bench-micro: $(VENV)/.installed-dev
	@exec $(BIN)/python -m pytest benchmarks --benchmark-disable-gc --benchmark-sort=mean \
		--benchmark-columns=mean,median,min,rounds

profile: BENCH := --only place16 --rounds 1 --seconds 10 --profile var/bench/profile \
	--no-concurrency-tests
profile: bench

check: lint types imports migrations deployment

lint: $(VENV)/.installed-dev
	@echo "Format and lint"
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet

types: $(VENV)/.installed-dev
	@echo "Types"
	@$(PRODUCTION_LIKE) $(BIN)/mypy .

imports: $(VENV)/.installed-dev
	@echo "Import rules"
	@PYTHONPATH=. $(BIN)/lint-imports --no-logo

migrations: $(VENV)/.installed-dev
	@echo "Migrations"
	@$(PRODUCTION_LIKE) $(BIN)/python -W "ignore:Got an error checking" \
		manage.py makemigrations --check --dry-run

deployment: $(VENV)/.installed-dev
	@echo "Deployment"
	@$(PRODUCTION_LIKE) $(BIN)/python manage.py check --deploy --fail-level WARNING

audit: $(VENV)/.installed-dev
	@$(BIN)/python .ci/audit.py

format: $(VENV)/.installed-dev
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format

clean:
	rm -rf var/test .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@found=; for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
		then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "The shop needs Python 3.11 or later; found: $$(python3 --version 2>&1)." >&2; \
		echo "Install it, or name it: make run PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "  Making $(VENV) with $$($$found --version)"; \
	$$found -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module does not work; on Debian: apt install python3-venv" >&2; exit 1; }

# A new Python creates a new $(BIN)/python, for which everything is installed again.
$(VENV)/.installed: requirements-local.txt requirements.txt $(BIN)/python
	@$(INSTALL) requirements-local.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements-local.txt requirements.txt $(BIN)/python
	@$(INSTALL) requirements-dev.txt
	@touch $@ $(VENV)/.installed
