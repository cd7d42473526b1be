# Every target makes the environment it needs from a lock file with hashes (torch and uv apart); the second time that costs nothing.
# VOXPROOF_HOST and VOXPROOF_PORT, from the environment or as `make run VOXPROOF_PORT=9000`, move the server.

PYTHON ?= python3
PIP_INSTALL = -m pip install -qq --disable-pip-version-check
# Wheels only: building from source would fetch build tools that no lock pins.
FROM_LOCK = --require-hashes --only-binary :all: -r
# The checkout itself, editable; hatchling is in every lock, so this needs no network.
CHECKOUT = --no-index --no-deps --no-build-isolation -e .
UV_VERSION = 0.13.8

.DEFAULT_GOAL := help
.PHONY: help run test lint pytest bench bench-page browser nginx lock test-lab clean .venv .venv-lab

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.run ## start the server; VOXPROOF_HOST and VOXPROOF_PORT move it
	@exec .venv/bin/voxproof serve

test: lint browser nginx pytest ## everything that must pass: ruff, mypy --strict, pytest; ends with what was skipped and why

lint: .venv/.dev ## ruff and mypy --strict
	.venv/bin/ruff check .
	.venv/bin/mypy --strict app

# The browser's tests mostly wait for sound to pass, in real time: they run beside all others, and their account follows theirs.
pytest: .venv/.dev
	@log=$$(mktemp); .venv/bin/python -m pytest tests/browser >$$log 2>&1 & browser=$$!; \
	trap 'kill $$browser; rm -f $$log; exit 130' INT TERM; \
	.venv/bin/python -m pytest --ignore=tests/browser; others=$$?; \
	wait $$browser; seen=$$?; printf '\nin the browser:\n'; cat $$log; rm -f $$log; \
	exit $$((others || seen))

bench: .venv/.dev ## measure speed: streams, latency, cost for one second of audio
	.venv/bin/python -m bench

bench-page: .venv/.dev browser ## measure the page in Chromium: loading, drawing, memory of two hours, time to a verdict
	.venv/bin/python -m bench.page

test-lab: .venv-lab/.lab ## the lab's tests, with torch, in an environment of their own
	.venv-lab/bin/python -m pytest tests/lab

lock: .venv-lock/.lock ## write the lock files anew from pyproject.toml; UPGRADE=1 takes newer versions
	@set -e; compile() { echo "lock $$*"; .venv-lock/bin/uv pip compile -q pyproject.toml --group build "$$@"; }; \
	compile --all-extras $(if $(UPGRADE),--upgrade) -o requirements-lab.lock; \
	compile --extra dev $(if $(UPGRADE),--upgrade) -c requirements-lab.lock -o requirements.lock; \
	compile $(if $(UPGRADE),--upgrade) -c requirements-lab.lock -o requirements-run.lock

clean: ## remove the environments, caches and build results
	rm -rf .venv .venv-lab .venv-lock build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find app voxproof bench tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Some tests drive Debian's Chromium and nginx. Never fails: without one of them its tests skip and say so.
# Not where systemd runs: there the package nginx would start a web server.
browser: PROGRAM = /usr/bin/chromium
nginx: PROGRAM = /usr/sbin/nginx
nginx: UNLESS = /run/systemd/system
browser nginx:
	@package=$(notdir $(PROGRAM)); \
	if [ -x $(PROGRAM) ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! [ -n "$(UNLESS)" -a -e "$(UNLESS)" ]; then \
		echo "installing $$package for its tests"; \
		( export DEBIAN_FRONTEND=noninteractive; \
		  timeout 300 sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends $$package" ) >/dev/null 2>&1 \
		|| echo "$$package could not be installed: its tests will be skipped"; \
	else echo "no $(PROGRAM), and it cannot be installed here: its tests will be skipped"; fi

.venv: .venv/.dev
.venv-lab: .venv-lab/.lab

# `make test` after `make run` adds the tools to the same environment: both locks come from one resolution.
.venv/.run: requirements-run.lock pyproject.toml | .venv/bin/python
	.venv/bin/python $(PIP_INSTALL) $(FROM_LOCK) requirements-run.lock
	@.venv/bin/python $(PIP_INSTALL) $(CHECKOUT)
	@touch $@

.venv/.dev: requirements.lock pyproject.toml | .venv/bin/python
	.venv/bin/python $(PIP_INSTALL) $(FROM_LOCK) requirements.lock
	@.venv/bin/python $(PIP_INSTALL) $(CHECKOUT)
	@touch .venv/.run $@

.venv-lab/.lab: requirements-lab.lock requirements-torch.lock pyproject.toml | .venv-lab/bin/python
	.venv-lab/bin/python $(PIP_INSTALL) $(FROM_LOCK) requirements-lab.lock
	.venv-lab/bin/python $(PIP_INSTALL) -r requirements-torch.lock
	@.venv-lab/bin/python $(PIP_INSTALL) $(CHECKOUT)
	@touch $@

.venv-lock/.lock: Makefile | .venv-lock/bin/python
	.venv-lock/bin/python $(PIP_INSTALL) uv==$(UV_VERSION)
	@touch $@

.venv/bin/python .venv-lab/bin/python .venv-lock/bin/python: %/bin/python:
	@command -v $(PYTHON) >/dev/null \
	|| { echo "$(PYTHON) was not found: install Python 3.11 or newer (Debian: apt-get install python3 python3-venv)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "Voxproof needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	|| { echo "$(PYTHON) cannot make environments: install its venv package (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv $* || { rm -rf $*; exit 1; }
