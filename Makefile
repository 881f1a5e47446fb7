# One environment (.venv) for running and testing, so that llama-cpp-python is compiled once.
# Stamp files inside it say what is installed; remove .venv to start anew.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/stamps
ARGS   ?=

SYSTEM  := $(shell uname -s)
MACHINE := $(shell uname -m)

# Portable builds: instructions that every x86-64 laptop since 2013 has, rather than those of this very processor.
ifneq (,$(filter x86_64 amd64,$(MACHINE)))
CMAKE_ARGS ?= -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON
else
CMAKE_ARGS ?= -DGGML_NATIVE=OFF
endif

# Exactly this version comes as a CPU build; a looser range may pull several GB of CUDA packages.
ifeq ($(SYSTEM)-$(MACHINE),Linux-x86_64)
TORCH := torch==2.13.0
endif

PIP := CMAKE_ARGS="$(CMAKE_ARGS)" $(BIN)/python -m pip install --disable-pip-version-check --quiet

.PHONY: help setup run test lint format typing
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 16

setup: $(STAMPS)/base  ## Install what the listener needs (compiles llama.cpp the first time)

run: $(STAMPS)/base  ## Hear a built-in scene and ask about it (ARGS="..." goes to earshot demo)
	$(BIN)/earshot demo $(ARGS)

test: $(STAMPS)/dev  ## Run the tests (ARGS="..." goes to pytest)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(ARGS)

lint: $(STAMPS)/dev typing  ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=build/typing $(BIN)/mypy -p earshot.runtime -p earshot.export -p earshot.firmware_sim -p earshot.training

format: $(STAMPS)/dev  ## Format the code and sort its imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Top-level folders are imported as earshot.*; mypy follows paths, so it is shown them under that name.
typing:
	@mkdir -p build/typing/earshot
	@for part in runtime export firmware_sim training; do ln -sfn ../../../$$part build/typing/earshot/$$part; done

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(STAMPS)/base: pyproject.toml | $(BIN)/python
	@$(BIN)/python -c "import importlib.util as u, sys; sys.exit(u.find_spec('llama_cpp') is None)" || echo \
	  "Installing. llama-cpp-python is compiled from C++ unless pip has it cached: 5 to 6 minutes on 2 cores, silently."
	$(PIP) -e .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: $(STAMPS)/base
	@echo "Installing what training and tests need (torch and friends: about 1.5 GB)."
	$(PIP) $(TORCH) -e ".[dev]"
	@mkdir -p $(STAMPS) && touch $@
