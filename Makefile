# Seven words: demo install check test size bench docs. What continuous integration runs, it
# runs through them (.ci/run). Everything lives in .venv; nothing is installed elsewhere.
PYTHON ?= python3
BIN := .venv/bin
FILMS ?=
SPEECH ?=
# Byte code is written when a module is first imported; compiling all of torch while installing
# would double the time that the first demo takes.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
  -c constraints.txt
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo install check test size bench docs

demo: .venv/core  ## clips from words, facts from a long book, with the bundled weights
	@$(BIN)/cyclorama demo --out demo

install: .venv/dev  ## everything for development, all extras included

check: .venv/dev  ## lint, format, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright --pythonpath $(BIN)/python

test: .venv/dev  ## all tests, on the CPU, without network
	@$(BIN)/python -m pytest -q

size:  ## lines per package, and what the uncommitted change adds
	@find src/cyclorama -name '*.py' -exec wc -l {} + | awk ' \
	  $$2 ~ /\.py$$/ { sub("src/cyclorama/", "", $$2); n = split($$2, part, "/"); \
	  name = n > 1 ? part[1] : "(top)"; lines[name] += $$1; files[name]++; all += $$1; count++ } \
	  END { for (name in lines) printf "%6d lines %3d files  %s\n", lines[name], files[name], name; \
	  printf "%6d lines %3d files  in all\n", all, count }' | sort -rn
	@git diff --shortstat HEAD -- src

bench: .venv/bench  ## every benchmark; those on footage need FILMS=folder, on real speech SPEECH=folders, on a book BOOK=file
	$(BIN)/python benchmarks/rendering.py
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/autoencoder_peer.py
	$(BIN)/python benchmarks/dit_peer.py
	$(BIN)/python benchmarks/reader_prefill.py
	$(BIN)/python benchmarks/speech_peer.py $(SPEECH)
	@if [ -f "$(BOOK)" ]; then set -ex; \
	  $(BIN)/python benchmarks/second_look.py $(BOOK); \
	  $(BIN)/python benchmarks/two_things.py $(BOOK); \
	else echo "second_look and two_things are left out: give BOOK=a long text"; fi
	@if [ -d "$(FILMS)" ]; then set -ex; \
	  $(BIN)/python benchmarks/decoding.py $(FILMS)/*.mp4; \
	  $(BIN)/python benchmarks/ingest.py $(FILMS); \
	else echo "decoding and ingest are left out: give FILMS=folder of .mp4 files"; fi

docs: .venv/dev  ## write docs/help.md from the command line, then check every link
	@$(BIN)/python docs/pages.py

.venv/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	@touch $@

.venv/dev: .venv/core
	$(PIP) -e '.[dev]'
	@touch $@

.venv/bench: .venv/dev
	$(PIP) -e '.[dev,bench]'
	@touch $@
