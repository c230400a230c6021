# Two commands do all the set-up: `make run` and `make test`. `make help` lists the rest.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help run serve setup test unit screenshots lint bench bench-hub bench-votes load config browser clients soak drill phone-assets

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## the server with a rehearsal show: cues, votes, countdown, results
	@exec $(BIN)/broadcast-sync serve --rehearsal --guests all

serve: setup ## the server without the rehearsal
	@exec $(BIN)/broadcast-sync serve --guests all

setup: $(STAMP) ## the virtual environment in .venv, with everything in it

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.x")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

test: setup browser clients ## all tests: unit, contract (real engines), end to end (real process, real browser)
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore=tests/e2e
	$(BIN)/python -m pytest tests/e2e
	node --test "tests/web/"

unit: setup ## the pure tests only
	$(BIN)/python -m pytest tests/unit

screenshots: setup browser clients ## new pictures of the pages in docs/img
	SCREENSHOTS=docs/img $(BIN)/python -m pytest tests/e2e/test_browser.py tests/e2e/test_browser_control.py tests/e2e/test_browser_phone.py \
	  tests/e2e/test_browser_screen.py

lint: setup ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## speed, each figure beside its floor and a peer
	$(BIN)/python -m bench.hub
	$(BIN)/python -m bench.votes

bench-hub: setup ## the hub beside its floor and its peers; they are installed into bench/peers (npm, apt)
	$(BIN)/python -m bench.hub $(ARGS)

bench-votes: setup ## votes beside their floor, the bare script and a peer, which is installed into bench/peers (npm)
	$(BIN)/python -m bench.votes $(ARGS)

soak: setup ## what takes long: 10,000 raw conversations a test, 5,000 sockets resumed, held directors, set clocks, SOAK_MINUTES (10) of churn
	$(BIN)/python -m pytest tests/conformance --hypothesis-profile=soak --timeout=900
	$(BIN)/python -m pytest -m soak tests

drill: setup ## votes from 2,000 sockets while nodes and engines are killed, stopped and full; then every vote is looked for
	$(BIN)/python -m tests.support.drill $(ARGS)

load: setup ## load on a running server, for example make load ARGS="--sockets 500 --seconds 10"
	$(BIN)/broadcast-sync load $(ARGS)

config: setup ## the settings in force
	@$(BIN)/broadcast-sync config

# The phone page's few letters: one cut of Archivo, Latin only (its licence has no reserved font name), and its icons.
FONTS := clients/web/static/fonts
phone-assets: setup ## the phone page's font and icons, made anew from their sources
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target build/fonttools fonttools==4.68.0 brotli==1.2.1
	PYTHONPATH=build/fonttools SOURCE_DATE_EPOCH=0 $(BIN)/python -m fontTools varLib.instancer --quiet --no-recalc-timestamp \
	  $(FONTS)/archivo.woff2 wght=800 wdth=78 -o build/archivo.ttf
	PYTHONPATH=build/fonttools SOURCE_DATE_EPOCH=0 $(BIN)/python -m fontTools.subset build/archivo.ttf --flavor=woff2 --no-hinting \
	  --unicodes=U+20-7E,U+A0,U+B7,U+D7,U+E0-FF,U+2013,U+2014,U+2018-201D,U+2026,U+2212 --layout-features=kern,tnum,lnum,ccmp,mark \
	  --output-file=$(FONTS)/archivo-phone.woff2
	$(BIN)/python -m clients.web.icons

# Other people's clients, for the tests of what they speak, and axe-core.
clients: tests/web/node_modules/.package-lock.json

tests/web/node_modules/.package-lock.json: tests/web/package-lock.json
	cd tests/web && npm ci --ignore-scripts --no-audit --no-fund --silent

# Debian's Chromium, for the browser tests; nothing is installed where there is one.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
	  echo "installing chromium for the browser tests"; \
	  $$(test "$$(id -u)" = 0 || echo sudo) sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-core fonts-khmeros >/dev/null'; }
