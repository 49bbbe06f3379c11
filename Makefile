# Everything installs by itself into .venv; the second time nothing is to be done.

ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
endif

RUN := .venv/bin/python -m
PINS := pyproject.toml hatch_build.py $(wildcard fortio-build/*.py) fortio-build/go.mod fortio-build/go.sum
JUNIT := chaos-demo.xml

.PHONY: help demo test test-all lint types contracts lowest bench kill-test neighbours wheels pictures clean

help:
	@echo 'make demo       tests of a small shop under load, and what a report looks like'
	@echo 'make test       the test suite; ARGS="-k xdist" and the like go to pytest'
	@echo 'make test-all   the same with what takes long: hundreds of runs, a real browser, pseudo-terminals, every page of the docs'
	@echo 'make lint       ruff: style and format'
	@echo 'make types      mypy --strict'
	@echo 'make contracts  import-linter: which room may know which'
	@echo 'make lowest     the test suite with the lowest versions that pyproject.toml allows'
	@echo 'make bench      the figures that this project keeps, measured'
	@echo 'make neighbours the suites of pytest and pytest-xdist with this plugin and without: some ten minutes'
	@echo 'make wheels     the sdist and a wheel for every platform in dist/, checked'
	@echo 'make kill-test  pytest killed at 100 random moments: what is left a second later (nothing), and what would be'
	@echo 'make pictures   the pictures of the README, from real runs (the one of the report needs a Chromium)'
	@echo 'make clean      remove all that the above have made'

demo: .venv/made
	@$(RUN) pytest examples --junitxml=$(JUNIT); status=$$?; \
	echo; echo 'JUnit XML, with the chaos of each test: $(JUNIT)'; exit $$status

test: .venv/made
	$(RUN) pytest -n 2 -m 'not slow' $(ARGS)

test-all: .venv/made
	$(RUN) pytest -n 2 $(ARGS)

lint: .venv/made
	$(RUN) ruff check
	$(RUN) ruff format --check

types: .venv/made
	$(RUN) mypy
	cd examples && ../$(RUN) mypy --config-file ../pyproject.toml .

contracts: .venv/made
	.venv/bin/lint-imports

# Twice, since the lowest Gemini SDK wants a newer pydantic than we do. How we are packaged depends on none of them.
LOWEST := tests/unit $(addprefix tests/integration/test_,$(addsuffix *.py,held marks reports injector_blocks verdict dry_run gemini imports))

lowest: .venv-lowest/made .venv-lowest-gemini/made
	.venv-lowest-gemini/bin/python -m pytest -n 2 -m 'not slow' -k gemini $(LOWEST)
	.venv-lowest/bin/python -m pytest -n 2 -m 'not slow' -k 'not gemini' $(LOWEST)

bench: .venv/made
	$(RUN) benchmarks

neighbours: .venv/made
	.venv/bin/python tools/neighbours.py

wheels: .venv/made
	.venv/bin/python tools/wheels.py dist

pictures: .venv/made
	.venv/bin/python tools/pictures.py

kill-test: .venv/made
	$(RUN) benchmarks.kill --runs 100
	$(RUN) benchmarks.kill --runs 18 --without-reaper

clean:
	rm -rf .venv .venv-lowest .venv-lowest-gemini pytest_chaos/fortio/bin build dist $(JUNIT)
	rm -rf .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/made: $(PINS)
	$(call install,.venv,.,--group dev)

.venv-lowest/made: $(PINS) tests/lowest.txt
	$(call install,.venv-lowest,.,--group test --constraint tests/lowest.txt)

.venv-lowest-gemini/made: $(PINS) tests/lowest-gemini.txt
	$(call install,.venv-lowest-gemini,'.[gemini]',--group test --constraint tests/lowest-gemini.txt)

define install
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo 'pytest-chaos needs Python >= 3.11. Name one: make PYTHON=/path/to/python3.11 ...' >&2; exit 1; }
	@echo 'Setting up $(1) (the first time about a minute, most of it for compiling fortio)'
	@'$(PYTHON)' -m venv $(1)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --editable $(2) $(3)
	@touch $@
endef
