# Two commands matter: `make demo` and `make test`. Both work from a clean clone on a Debian or Ubuntu machine that has
# Rust, gcc, git, make and Python 3; what else is missing they name and install.

CARGO ?= cargo
# Where `make demo` keeps its repository and pictures.
DEMO ?= demo
# A folder of your own FITS exposures for `make demo`; empty: a simulated survey.
IMAGES ?=
# Ranks of the demo's coadd build.
RANKS ?= 4

export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
# The demo and the tests start more ranks than a laptop has cores.
export OMPI_MCA_rmaps_base_oversubscribe := 1
export OMPI_MCA_mpi_yield_when_idle := 1

.PHONY: help system servers build demo test python-test lint doc bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

system: ## find missing system packages (MPI, HDF5, cfitsio, libclang), name and install them
	@scripts/system-packages

build: system ## the program, optimised, in target/release/bunter
	$(CARGO) build --release --locked

demo: build ## simulate a survey (or take IMAGES=DIR), build its coadds under MPI, check them
	@DEMO="$(DEMO)" IMAGES="$(IMAGES)" RANKS="$(RANKS)" scripts/demo

servers: ## find missing database servers, which the tests start
	@scripts/system-packages servers

test: servers ## every test: library, program, examples, Python package (BUNTER_SKIP_PYTHON=1: without)
	@CARGO="$(CARGO)" scripts/tests

python-test: system ## lints and tests of the Python package, with numpy 1.26 and 2
	$(CARGO) clippy --locked -p bunter-python --features bunter-python/same-as-tests -- -D warnings
	scripts/python-tests

lint: system ## formatting, lints and documentation without a warning
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

bench: system ## every bench, each beside its limit or its peer
	$(CARGO) bench --locked

clean: ## forget what was built
	$(CARGO) clean
	rm -rf "$(DEMO)"
