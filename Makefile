# Each target sets up what it needs: a virtual environment in .venv, made once, renewed when pyproject.toml or protos/ change.
# PYTHON=/path/to/python3 chooses the interpreter; ARGS="..." adds arguments to serve and demo, TESTS="..." chooses what test runs.
.DELETE_ON_ERROR:
.PHONY: help demo test image-test serve check bench clean

# Run, not only found: a version manager's shim may exist for a version that is not installed.
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11, 3))
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c '$(SUITABLE)' >/dev/null 2>&1 && echo $$python && break; done)
BIN := .venv/bin
SOURCES := pyproject.toml $(wildcard protos/*)
TESTS ?= -n 2
TESSDATA := $(wildcard /usr/share/tesseract-ocr/*/tessdata)
TESSDATA := $(foreach pack,eng deu,$(or $(TESSDATA),/usr/share/tessdata)/$(pack).traineddata)

help:
	@echo "make demo    a batch of real images, end to end, through Google's official client"
	@echo "make serve   the emulator in the foreground, on localhost:8970"
	@echo "make test    all tests"
	@echo "make image-test   builds the container image and runs it (as root)"
	@echo "make check   lint, format, types, layers"
	@echo "make bench   speed and size, side by side with their yardsticks"
	@echo "make clean   removes everything that was made here"

demo: .venv/demo.stamp
	@$(BIN)/vision-emulator demo $(ARGS)

serve: .venv/demo.stamp
	@exec $(BIN)/vision-emulator serve $(ARGS)

test: .venv/dev.stamp
	$(BIN)/python -m pytest $(TESTS)

image-test: .venv/dev.stamp
	@command -v buildah debootstrap >/dev/null || { test "$$(id -u)" = 0 && apt-get -qq update && \
		apt-get -qq install --yes buildah debootstrap; } >/dev/null || \
		{ echo "The image is built by buildah on a base that debootstrap makes, as root: install them, and run this as root."; exit 1; } >&2
	$(BIN)/python -m pytest tests/docker --image -s

check: .venv/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev.stamp
	$(BIN)/python tests/benchmarks/run.py

clean:
	rm -rf .venv .clients build dist demo-output .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -f emulator/vision_emulator/contract/contract.fds emulator/vision_emulator/contract/vision_pb2.pyi
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python from 3.11.3 on with venv was found (tried python3.13, python3.12, python3.11, python3)."; \
		echo "Install one (Debian and Ubuntu: apt install python3 python3-venv), or say where it is: make PYTHON=/path/to/python3"; exit 1; } >&2
	@"$(PYTHON)" -c '$(SUITABLE)' || { echo "$(PYTHON) is older than 3.11.3 or lacks venv; choose another: make PYTHON=/path/to/python3"; exit 1; } >&2
	@echo "Making .venv with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv .venv
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'  # older ones do not know dependency groups

.venv/demo.stamp: $(BIN)/python $(SOURCES)
	@echo "Installing the emulator into .venv (once; a minute or so)"
	@$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

.venv/dev.stamp: $(BIN)/python $(SOURCES)
	@echo "Installing the emulator and its test tools into .venv (once; a minute or so)"
	@$(BIN)/python -m pip install --quiet --editable '.[demo]' --group dev
	@{ command -v curl && command -v jq; } >/dev/null || { test "$$(id -u)" = 0 && apt-get -qq update && apt-get -qq install --yes curl jq; } >/dev/null || \
		{ echo "The README's commands are tested as written, and curl or jq is missing: install them."; exit 1; } >&2
	@ls $(TESSDATA) >/dev/null 2>&1 || { test "$$(id -u)" = 0 && apt-get -qq update && \
		apt-get -qq install --yes tesseract-ocr-eng tesseract-ocr-deu; } >/dev/null || \
		{ echo "Tests read text, and tesseract's English and German are missing: install them (tesseract-ocr-eng, tesseract-ocr-deu)."; exit 1; } >&2
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || { test "$$(id -u)" = 0 && apt-get -qq update && \
		apt-get -qq install --yes --no-install-recommends chromium fonts-dejavu-core; } >/dev/null || \
		{ echo "The dashboard is tested in a real browser, and Chromium is missing: install it (chromium)."; exit 1; } >&2
	@touch $@
