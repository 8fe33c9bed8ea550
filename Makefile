# What a person types. `make` alone says what there is.
PYTHON ?= python3
IN_VENV = .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help run test check format bench-journey chaos clean environment-local environment-dev system-packages \
	container-engine container-engine-stop images compose-up compose-down bench-relay bench-generation

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: environment-local ## start everything, show a sample, stay until Ctrl-C
	@$(IN_VENV) -m deploy.local

test: environment-dev ## run every tier of tests that this machine can run
	@$(IN_VENV) -m deploy.local.checks $(CHECKS)

check: environment-dev ## lint, format and types only
	@$(IN_VENV) -m deploy.local.checks --static

format: environment-dev ## put the code into its format
	@$(IN_VENV) -m ruff format . && $(IN_VENV) -m ruff check --fix .

system-packages: ## (Debian, root) install the browser, fonts, nginx and container engine that some tests need
	@sh deploy/local/system_packages.sh

container-engine: environment-local ## (root) start a Docker engine where none runs
	@$(IN_VENV) -m deploy.containers.engine start

container-engine-stop: environment-local ## stop the engine that container-engine started
	@$(IN_VENV) -m deploy.containers.engine stop

images: environment-local ## make all container images; where none can be pulled, from this machine's files
	@$(IN_VENV) -m deploy.containers.images

compose-up: environment-local ## the whole system in containers
	@$(IN_VENV) -m deploy.containers.composition up

compose-down: environment-local ## stop the containers; records and keys are kept
	@$(IN_VENV) -m deploy.containers.composition down

clean: ## remove what was made here: environment, records, logs
	rm -rf .venv .run .mypy_cache .ruff_cache .pytest_cache .hypothesis

environment-local environment-dev: environment-%:
	@$(PYTHON) deploy/local/environment.py $*

SEEDS ?= 1
chaos: environment-dev ## shoot at a running system: make chaos SEEDS=1-20 CHAOS="--tasks 1000 --workers 3"
	@$(IN_VENV) -m tests.chaos --seeds $(SEEDS) $(CHAOS)

bench-journey: environment-dev ## measure a request's journey against the old way: make bench-journey BENCH="--quick"
	@$(IN_VENV) -m bench.journey $(BENCH)

bench-relay: environment-dev ## (Debian) measure the relay against a floor and its peers: make bench-relay BENCH="--quick"
	@$(IN_VENV) -m bench.relay $(BENCH)

bench-generation: environment-dev ## measure the processor time of a generation: make bench-generation BENCH="--quick"
	@$(IN_VENV) -m bench.generation $(BENCH)
