# Everything that a person or CI runs. `make` creates and fills .venv automatically, once.
PYTHON ?= python3
BIN := .venv/bin
CODE := valar pipeline models store tests benchmarks setup.py docs/site_pages.py
C_CODE := $(wildcard models/native/*.h models/*/native/*.[ch] pipeline/faces/native/*.[ch])
C_TESTS := $(wildcard tests/native/*.h)

.PHONY: demo test test-slow crash fuzz sanitize check check-style docs format settings bench clean

# pip runs again only if the requirements have changed. The stamp is written last: an interrupted install is repeated.
.venv/.installed: requirements.txt pyproject.toml setup.py $(C_CODE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Valar needs Python 3.11 or newer; make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	rm -f models/*.so models/*/*.so pipeline/*.so pipeline/*/*.so
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt requirements-alone.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-alone.txt
	touch $@

demo: .venv/.installed
	$(BIN)/python -m pipeline.demo demo-data
	LUIGI_CONFIG_PATH=demo.cfg $(BIN)/luigi --module pipeline.tasks FullRun

# A worker takes up to 2 GB.
TEST_WORKERS ?= 2

test: .venv/.installed-dev
	$(BIN)/python -m pytest -m "not slow" -n $(TEST_WORKERS) --dist worksteal

test-slow: .venv/.installed-dev
	$(BIN)/python -m pytest -m slow

# SIGKILLs at random moments over all stages of a small run: nothing may be lost, changed or left over. A short form is
# among the slow tests.
KILLS ?= 200

crash: .venv/.installed-dev
	$(BIN)/python -W ignore -m tests.crash --kills $(KILLS)

# Files with random changes, different each time, for every reader of untrusted files. A short form is among the tests.
FUZZ_MINUTES ?= 10

fuzz: .venv/.installed-dev
	$(BIN)/python -W ignore -m tests.fuzz --minutes $(FUZZ_MINUTES)

# The compiled code's tests under the address and undefined-behaviour sanitizers, in a copy of the tree.
sanitize: .venv/.installed-dev
	$(BIN)/python tests/native/sanitize.py

# The pages of docs/ as a site in build/site; a broken link is an error.
docs: .venv/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

check-style: docs
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/clang-format --dry-run -Werror $(C_CODE) $(C_TESTS)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

check: check-style test

format: .venv/.installed-dev
	$(BIN)/ruff format $(CODE)
	$(BIN)/clang-format -i $(C_CODE) $(C_TESTS)
	$(BIN)/ruff check --fix $(CODE)

# Writes tasks.cfg and docs/settings.md from the declarations in pipeline/settings/sections.py and
# models/training/settings/.
settings: .venv/.installed
	$(BIN)/python -m tests.golden.make_settings

# `python -m benchmarks` lists them. Each has options; the long forms take half an hour, these are the short ones. The
# benchmarks of features and faces need real clips: VALAR_TEST_MEDIA.
bench: .venv/.installed-dev
	$(BIN)/python -m benchmarks store_open
	$(BIN)/python -m benchmarks store_write
	$(BIN)/python -m benchmarks store_read
	$(BIN)/python -m benchmarks training --small
	$(BIN)/python -m benchmarks faces_accuracy --short
	$(BIN)/python -m benchmarks features --short

clean:
	rm -rf .venv demo-data
