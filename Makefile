# Everything a newcomer needs, from a clean clone. `make help` lists the goals.

SECONDS_EACH ?= 10
MINUTES ?= 10
LAYOUT ?= three
DEBIAN_PACKAGES = libsqlite3-dev libuv1-dev libssl-dev

# The second one is what Debian calls it.
COMPOSE = $(shell docker compose version > /dev/null 2>&1 && echo docker compose || echo docker-compose)
COMPOSE_FILE = deploy/docker-compose$(if $(filter zones,$(LAYOUT)),.zones).yml
CHAOS_PROGRAMS = announced outside-world apus apus-load apus-probe
chaos = export CHAOS_IN=$(1) CHAOS_DIR=$${CHAOS_DIR:-/tmp/apus-chaos-$(1)}; \
	deploy/chaos/cluster up || exit 1; status=0; \
	deploy/chaos/mix --seconds $$(( $(MINUTES) * 60 )) $(if $(SEED),--seed $(SEED)) \
		$(if $(FAULTS),--faults "$(FAULTS)") $(if $(REPORT),--report $(REPORT)) || status=$$?; \
	if [ $$status = 0 ]; then deploy/chaos/cluster down; \
	else echo "what happened is in $$CHAOS_DIR; to end it:"; \
		echo "CHAOS_IN=$(1) CHAOS_DIR=$$CHAOS_DIR deploy/chaos/cluster down"; fi; \
	exit $$status

.DEFAULT_GOAL := help
.PHONY: help deps run test bench fuzz format clean
.PHONY: image cluster-up cluster-down chaos chaos-local deploy-check

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Install the C libraries that are missing
	@command -v swift > /dev/null || { echo "Swift 6.2 or newer is needed: https://swift.org/install" >&2; exit 1; }
	@./Scripts/install-missing $(DEBIAN_PACKAGES)

run: deps ## Start a node, kill it in the middle of its work, and watch nothing get lost
	@for product in announced outside-world apus demo; do \
		swift build -c release --product $$product || exit 1; \
	done
	@.build/release/demo

test: deps ## Build and run all tests
	swift build --build-tests
	# One after the other: many of them fill a machine, and deadlines are part of what is tested.
	swift test --skip-build --no-parallel

bench: deps ## Measure speed and memory beside the machine's limits
	cd Benchmarks && swift run -c release bench

fuzz: deps ## Fuzz every decoder for SECONDS_EACH=10 seconds
	./Scripts/fuzz $(SECONDS_EACH)

image: ## Build the container image apus:local (without a registry, run deploy/base-images before)
	docker build -f deploy/Dockerfile -t apus:local .

cluster-up: image ## Start a cluster in containers: three nodes, or LAYOUT=zones with five in three zones
	$(COMPOSE) -p apus -f $(COMPOSE_FILE) up -d
	@deploy/wait-for-cluster $(COMPOSE_FILE)

cluster-down: ## Stop it. The volumes stay; VOLUMES=delete deletes them as well
	$(COMPOSE) -p apus -f $(COMPOSE_FILE) down $(if $(filter delete,$(VOLUMES)),-v)

chaos: image ## Random faults in containers under load for MINUTES=10, and a verdict (root; SEED, REPORT)
	docker build -f deploy/Dockerfile --target chaos -t apus:chaos .
	@$(call chaos,containers)

chaos-local: deps ## The same with plain processes in network namespaces, without Docker (root)
	@for product in $(CHAOS_PROGRAMS); do swift build -c release --product $$product || exit 1; done
	@$(call chaos,processes)

deploy-check: ## Check what is below deploy/ with the programs that are here, and say what was not checked
	@deploy/check

format: ## Format all Swift sources in place
	swift format format --in-place --parallel --recursive Package.swift Sources Tests Examples \
		$(wildcard Benchmarks)

clean: ## Remove everything that was built
	rm -rf .build Benchmarks/.build Benchmarks/bench-data
