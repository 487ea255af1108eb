# make run: the whole chain on the embedded engines. make test: the tests. Both set up .venv first when it is missing.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
OVERLAY ?=

.PHONY: run test lint setup clean readme verify profiles slurm-test kill-test versions bench-md

run: $(STAMP)
	@$(BIN)/python -m ecmpipe check $(if $(OVERLAY),--overlay '$(OVERLAY)')
	@$(BIN)/snakemake --profile profiles/local $(if $(OVERLAY),--configfile '$(OVERLAY)')
	@echo "report: results/report/index.html"

test: $(STAMP)
	@$(BIN)/python -m pytest

lint: $(STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/snakefmt --check Snakefile workflow

# README.md's picture and numbers, from the results of make run.
readme: $(STAMP)
	@$(BIN)/python -m ecmpipe readme

# What the finite elements are held against, on one page; PyBaMM is one of the references. About half an hour.
verify: $(STAMP)
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable ".[verify]"
	@$(BIN)/python -m ecmpipe verify --output results/verify/index.html --output-numbers results/verify/anchors.json

# `snakemake --profile slurm --directory HERE --snakefile HERE/Snakefile` from any folder; a profile of that name which you have stays yours.
profiles: PROFILES = $(or $(XDG_CONFIG_HOME),$(HOME)/.config)/snakemake
profiles:
	@mkdir -p '$(PROFILES)'
	@test "$$(readlink '$(PROFILES)/slurm')" = '$(CURDIR)/profiles/slurm' || ln -sT '$(CURDIR)/profiles/slurm' '$(PROFILES)/slurm'

# The real executor on a real Slurm of two nodes on this machine: needs root and Debian's packages. A quarter of an hour.
slurm-test: $(STAMP)
	@DB=0 MEM_MB=6000 bash tests/slurm/up.sh
	@ECMPIPE_SLURM=1 $(BIN)/python -m pytest tests/slurm; code=$$?; bash tests/slurm/down.sh; exit $$code

# After an edit of a stage's code, its VERSION raised where results change: record the code as it is.
versions: $(STAMP)
	@$(BIN)/python -m tests.versions

# Thirty random kills of the whole chain, which must end as the run that make run left.
kill-test: $(STAMP)
	@$(BIN)/python benchmarks/kills.py

# What a pull costs above bare lmp, after make run.
bench-md: $(STAMP)
	@$(BIN)/python benchmarks/md_overhead.py

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "ecmpipe needs Python 3.11: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m ecmpipe.install
	@touch $(STAMP)

clean:
	rm -rf results/*/ .snakemake .pytest_cache .ruff_cache
