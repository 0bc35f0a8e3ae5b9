# The commands of this project; `make help` lists them. Everything is installed in .venv, from lists with hashes.

.DEFAULT_GOAL := help
.PHONY: help run test lint format documents conformance bench bench-compare fuzz chaos contract nightly client images audit secrets \
	known-secrets sbom version requirements browser mariadb promtool rules clean

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PACKAGES := shared services/car-protocol services/api-gateway
PYTHON_FILES := shared services tests docs
# The simulator, and the fixtures that scripts share with the tests.
WITH_TESTS := env PYTHONPATH="$(CURDIR)/tests" MYPYPATH="$(CURDIR)/tests"

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# `exec`: signals that this make passes on reach the server itself, which stops everything it has started and ends with
# status 0. On a terminal the server takes Ctrl-C for itself, so that make ends with 0 too. A make that is itself sent
# SIGTERM or SIGINT passes SIGTERM on, waits for the server to end, and then always dies by that signal.
run: $(VENV)/run.stamp ## install, then run everything on this machine until Ctrl-C
	@exec $(WITH_TESTS) $(BIN)/ovms run

# Most tests wait most of the time and run side by side. Tests that measure, and tests that make parts of whole stacks fail, run alone.
ALONE := tests/chaos $(addprefix tests/e2e/test_,$(addsuffix .py,abuse postgres_failover postgres_outage reconnect_storm redis_failover redis_outage replicas))
JOBS ?= 3
test: $(VENV)/test.stamp browser mariadb promtool lint ## install what tests need, lint, run all tests (ARGS="tests/unit -x": some)
ifdef ARGS
	$(WITH_TESTS) $(BIN)/pytest $(ARGS)
else
	$(WITH_TESTS) $(BIN)/pytest --numprocesses $(JOBS) --dist loadfile $(addprefix --ignore ,$(ALONE))
	$(WITH_TESTS) $(BIN)/pytest $(ALONE)
endif

# What measures, searches at random or takes long: before a release, and before a change to what it tests is done.
NIGHTLY_SEEDS ?= 30
nightly: $(VENV)/bench.stamp browser mariadb promtool ## run what `make test` leaves out, for more than an hour, on a machine that does nothing else
	$(WITH_TESTS) $(BIN)/pytest -m nightly
	$(WITH_TESTS) $(BIN)/python -m fuzz --seconds 600
	$(WITH_TESTS) $(BIN)/python -m contract
	$(WITH_TESTS) $(BIN)/python -m chaos --regressions
	$(WITH_TESTS) $(BIN)/python -m chaos --seeds $(NIGHTLY_SEEDS)
	$(MAKE) images

lint: $(VENV)/test.stamp ## style, types, directions of imports
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(WITH_TESTS) $(BIN)/mypy
	$(WITH_TESTS) $(BIN)/lint-imports

format: $(VENV)/test.stamp ## rewrite the code in the project's format
	$(BIN)/ruff check --fix $(PYTHON_FILES)
	$(BIN)/ruff format $(PYTHON_FILES)

documents: $(VENV)/test.stamp ## write the references in docs/ anew that are made from the code
	$(BIN)/python -m api_gateway.documentation.document docs/openapi.json
	$(BIN)/python -m ovms.bus.document docs/asyncapi.yaml
	$(BIN)/python -m ovms.records.document docs/records.md
	{ printf '%s\n' '# Made from rules.yaml by `make documents`.' 'apiVersion: monitoring.coreos.com/v1' 'kind: PrometheusRule' \
		'metadata:' '  name: ovms' 'spec:'; sed '/^#/d; /./s/^/  /' $(ALERTS)/rules.yaml; } >$(ALERTS)/prometheus-rule.yaml

ALERTS := deploy/observability
rules: $(VENV)/test.stamp promtool ## check the alert rules, and try some on series that are made up
	$(PROMTOOL) check rules $(ALERTS)/rules.yaml
	$(PROMTOOL) test rules $(ALERTS)/rules-test.yaml

conformance: $(VENV)/test.stamp ## compare a fresh server with the reference (ARGS="--replicas --only groups")
	@exec $(WITH_TESTS) $(BIN)/python tests/conformance/run_stack.py $(ARGS)

# Charts of the last run are in .bench/.
bench: $(VENV)/bench.stamp ## measure (ARGS="--only messages,logins", ARGS="--only messages --profile out.svg", ARGS=--help)
	@exec $(WITH_TESTS) $(BIN)/python -m bench --charts .bench $(ARGS)

bench-compare: $(VENV)/bench.stamp ## measure another revision and this one in turn (BASE=main ARGS="--only messages")
	@exec $(WITH_TESTS) $(BIN)/python -m bench.compare $(or $(BASE),$(error BASE is the revision to compare with)) $(ARGS)

fuzz: $(VENV)/test.stamp ## give every parser arbitrary bytes (ARGS="--seconds 600")
	@exec $(WITH_TESTS) $(BIN)/python -m fuzz $(ARGS)

chaos: $(VENV)/test.stamp ## fail parts of many replicas at random (ARGS="--seed 7 --seeds 20 --seconds 45")
	@exec $(WITH_TESTS) $(BIN)/python -m chaos $(ARGS)

contract: $(VENV)/test.stamp ## look for calls that are not as docs/openapi.json says (ARGS="--examples 500 --seed 7")
	@exec $(WITH_TESTS) $(BIN)/python -m contract $(ARGS)

CLIENT := dist/ovms-api-client
client: $(VENV)/test.stamp ## generate a typed Python client from docs/openapi.json, to be installed from dist/
	@$(WITH_TESTS) $(BIN)/python -m client.build $(CLIENT)

# The tools have an environment of their own: tests need none of them.
AUDIT := $(VENV)/audit
audit: $(VENV)/audit.stamp ## ask for known vulnerabilities of all that requirements/ pins; fails where it cannot
	@env PYTHONPATH="$(CURDIR)/tests" $(AUDIT)/bin/python -m audit vulnerabilities

secrets: $(VENV)/audit.stamp ## look for secrets in what git has, beside those of tests that .secrets.baseline knows
	@git ls-files -z | xargs -0 $(AUDIT)/bin/detect-secrets-hook --baseline .secrets.baseline

# Without line numbers (`--slim`, which has no effect beside `--baseline`): the file stays the same when a line moves.
WITHOUT_SECRETS := ^(requirements/.*\.txt|docs/openapi\.json|\.secrets\.baseline)$$
known-secrets: $(VENV)/audit.stamp ## write .secrets.baseline anew; look at each new entry before you commit it
	@$(AUDIT)/bin/detect-secrets scan --slim --exclude-files '$(WITHOUT_SECRETS)' >$(VENV)/secrets.baseline
	@mv $(VENV)/secrets.baseline .secrets.baseline

SBOM := dist/sbom
sbom: $(VENV)/audit.stamp ## write what each service is made of into dist/sbom/, as CycloneDX
	@env PYTHONPATH="$(CURDIR)/tests" $(AUDIT)/bin/python -m audit sbom $(SBOM)

# On Debian, as root. Elsewhere `docker build` does it, on the base that the Dockerfiles name (deploy/README.md).
images: $(VENV)/test.stamp ## build the container images on a base made here, and run what is in them
	deploy/images/build.sh
	env OVMS_TEST_IMAGES=1 $(WITH_TESTS) $(BIN)/pytest tests/e2e/test_images.py $(ARGS)

# Where the version stands; tests/unit/deploy/test_version.py knows no other place.
VERSIONED := $(addsuffix /pyproject.toml,$(PACKAGES)) $(wildcard deploy/images/*.Dockerfile deploy/kubernetes/overlays/*/kustomization.yaml) \
	deploy/README.md docs/releasing.md docs/openapi.json
FORMER = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' shared/pyproject.toml)
version: ## write another version wherever it stands, and its heading into CHANGELOG.md (VERSION=0.2.0)
	@[ -n "$(VERSION)" ] || { echo "VERSION is the new one; $(FORMER) is the former." >&2; exit 1; }
	sed -i 's/\(^\|[^0-9.]\)$(subst .,\.,$(FORMER))\b/\1$(VERSION)/g' $(VERSIONED)
	sed -i "s/^## Unreleased$$/&\n\n## $(VERSION), $$(date -u +%F)/" CHANGELOG.md

# Hashes of every platform, no address of an index.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	$(addprefix --no-emit-package ,ovms-shared ovms-car-protocol ovms-api-gateway)

requirements: $(VENV)/test.stamp ## pin requirements/*.txt anew (ARGS=--upgrade for newer versions)
	$(COMPILE) $(ARGS) requirements/run.in --output-file requirements/run.txt
	$(COMPILE) $(ARGS) requirements/car-protocol.in --output-file requirements/car-protocol.txt
	$(COMPILE) $(ARGS) requirements/api-gateway.in --output-file requirements/api-gateway.txt
	$(COMPILE) $(ARGS) requirements/traces.in --output-file requirements/traces.txt
	$(COMPILE) $(ARGS) requirements/test.in --output-file requirements/test.txt
	$(COMPILE) $(ARGS) requirements/bench.in --output-file requirements/bench.txt
	$(COMPILE) $(ARGS) requirements/audit.in --output-file requirements/audit.txt

browser: # for the test of the manual in a real browser
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -qq --yes --no-install-recommends chromium || true; fi
	@command -v chromium >/dev/null || echo "*** No chromium here: the test in a browser will be SKIPPED. ***" >&2

mariadb: # for the tests of what comes from a reference server
	@if ! command -v mariadbd >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -qq --yes --no-install-recommends mariadb-server-core mariadb-client || true; fi
	@command -v mariadbd >/dev/null || echo "*** No MariaDB here: what comes from a reference server will NOT BE TESTED. ***" >&2

# Prometheus' own tool, out of Debian's package: the server that comes with it is not installed.
PROMTOOL = $(shell command -v $(CURDIR)/$(BIN)/promtool || command -v promtool)
promtool: | $(BIN)/python # for the tests of alert rules and of metrics' names
	@if [ -z "$(PROMTOOL)" ] && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then \
		if [ "$$(id -u)" = 0 ]; then apt-get update -qq; fi; \
		away=$$(mktemp -d) && ( cd "$$away" && apt-get download -qq prometheus && dpkg-deb --extract prometheus_*.deb . \
			&& mv usr/bin/promtool "$(CURDIR)/$(BIN)/" ) 2>/dev/null || true; rm -rf "$$away"; fi
	@[ -x $(BIN)/promtool ] || command -v promtool >/dev/null \
		|| echo "*** No promtool here: the alert rules will NOT BE TESTED. ***" >&2

clean: ## remove what these commands have made, except the data directory
	find deploy/images/wheels -name '*.whl' -delete
	rm -rf $(VENV) .images .bench dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find shared services tests -name __pycache__ -prune -exec rm -rf {} +
	rm -rf $(foreach package,$(PACKAGES),$(package)/build $(package)/src/*.egg-info)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed, and $(PYTHON) is not it." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The lists name all that is needed, so pip looks for nothing itself (--no-deps): it would ask for `coverage[toml]` beside the
# pinned `coverage`, and refuse what came without a hash. Without build isolation, since that would download what builds the
# packages without a look at its hash.
LISTED := $(PIP) install --require-hashes --no-deps -r
$(VENV)/run.stamp: requirements/run.txt $(addsuffix /pyproject.toml,$(PACKAGES)) | $(BIN)/python
	$(LISTED) requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation $(addprefix --editable ./,$(PACKAGES))
	@touch $@

$(VENV)/test.stamp: requirements/test.txt $(VENV)/run.stamp
	$(LISTED) requirements/test.txt
	@touch $@

$(VENV)/bench.stamp: requirements/bench.txt $(VENV)/test.stamp
	$(LISTED) requirements/bench.txt
	@touch $@

$(VENV)/audit.stamp: requirements/audit.txt | $(BIN)/python
	$(BIN)/python -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r requirements/audit.txt
	@touch $@
