# Everything a newcomer needs, from a clean clone. `make help` lists the goals.

SECONDS_EACH ?= 10
DEBIAN_PACKAGES = libsqlite3-dev libuv1-dev libssl-dev

.DEFAULT_GOAL := help
.PHONY: help deps run test bench fuzz format clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

format: ## Format all Swift sources in place
	swift format format --in-place --parallel --recursive Package.swift Sources Tests Examples \
		$(wildcard Benchmarks)

clean: ## Remove everything that was built
	rm -rf .build Benchmarks/.build Benchmarks/bench-data
