# The commands of this repository. `make` alone lists them. `run` and `test` do all the set-up that a
# fresh Debian or Ubuntu machine needs (scripts/setup.sh); they share one build profile.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Build results stay out of the checkout, so that a fresh one finds the dependencies built. Checkouts
# that build at the same time need a folder each: Cargo takes their packages for the same ones.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/waku-groupchat/target
# Where scripts/setup.sh leaves what it installs.
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(HOME)/.cache/waku-groupchat/go/bin:$(PATH)

SCRIPT ?= simulations/scripts/conversation.txt
BIN := $(CARGO_TARGET_DIR)/debug
# The test against go-waku stands behind a feature, since it needs a program that is built apart.
INTEROP := --features waku-groupchat-node/interop
# The benchmarks stand behind one, since they bring plain libraries to compare with.
BENCHES := --features waku-groupchat-simulations/bench
# The convergence soak stands behind one too: its hostile members need more of the core than the API.
SOAK := --features waku-groupchat-simulations/soak
# It has its own code optimised, on the dependencies that the tests build.
SOAK_BUILD = cargo build --locked --workspace --bin soak $(SOAK) \
	--config profile.dev.package.waku-groupchat-core.opt-level=3 \
	--config profile.dev.package.waku-groupchat-simulations.opt-level=3
# The container image of a node.
IMAGE ?= waku-groupchat:latest
COMPILE_INSIDE := $(filter-out 0 no,$(FROM_SOURCE))

.PHONY: help
help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

.PHONY: run
run: setup-run ## Carry a conversation across five real nodes (SCRIPT=file, SEED=number, KEEP=1, RUNNER=docker|local)
	cargo build --locked --workspace --bins
	RUNNER="$(RUNNER)" IMAGE="$(if $(filter file,$(origin IMAGE)),,$(IMAGE))" \
		scripts/run.sh "$(BIN)" --script "$(SCRIPT)" $(if $(SEED),--seed "$(SEED)") \
		$(if $(filter-out 0 no,$(KEEP)),--keep)

.PHONY: test
test: setup ## Run all tests, also those against go-waku
	program=$$(scripts/build-bindings-engine.sh); \
	WAKU_GROUPCHAT_BINDINGS_ENGINE=$$program cargo test --locked --workspace $(INTEROP)
	$(SOAK_BUILD)
	@# These hold, and have to go on holding; `make soak` goes over any others.
	"$(BIN)/soak" --seeds $(or $(SEEDS),200) --seed-from $(or $(SEED_FROM),0)

.PHONY: fuzz
fuzz: setup-run ## Feed every decoder made-up input (FUZZ_SECONDS=30 a target, TARGETS="names")
	FUZZ_SECONDS="$(or $(FUZZ_SECONDS),30)" scripts/fuzz.sh $(TARGETS)

.PHONY: interop
interop: setup ## Run only the tests against go-waku
	program=$$(scripts/build-bindings-engine.sh); \
	WAKU_GROUPCHAT_BINDINGS_ENGINE=$$program \
		cargo test --locked --workspace $(INTEROP) --test interop_go_waku

.PHONY: bench
bench: setup ## Measure what the parts cost beside their peers, into docs/benchmarks.md (BENCH="relay archive invite core convergence")
	cargo build --locked --release -p waku-groupchat-node --bin waku-groupchat
	cargo build --locked --release -p waku-groupchat-simulations --features bench --bin bench
	scripts/bench.sh "$(CARGO_TARGET_DIR)/release" $(BENCH)

.PHONY: soak-kills
soak-kills: setup ## Kill nodes in the middle of a conversation (KILLS=200, SEED=number)
	KILLS="$(KILLS)" SEED="$(SEED)" scripts/soak-kills.sh

.PHONY: soak
soak: setup ## Let groups change all at once on bad networks, hostile members among them, over many seeds (SEEDS=10000, SEED_FROM=n)
	$(SOAK_BUILD)
	"$(BIN)/soak" --seeds $(or $(SEEDS),1000) --seed-from $(or $(SEED_FROM),0) \
		--commit "$$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || true)" \
		--report docs/reports/convergence.json

.PHONY: report
report: setup ## Measure what registering shows to who records everything, into docs/reports (SEED=number)
	cargo build --locked --release -p waku-groupchat-simulations --bin privacy
	"$(CARGO_TARGET_DIR)/release/privacy" $(if $(SEED),--seed "$(SEED)") --out docs/reports

.PHONY: mutations
mutations: setup ## Show that the tests of order and the soak notice faults put into the core
	cargo test --locked -p waku-groupchat-core order::tests::mutations -- --nocapture
	$(SOAK_BUILD) --features waku-groupchat-simulations/mutations
	"$(BIN)/soak" --mutations --seeds $(or $(SEEDS),100) --seed-from $(or $(SEED_FROM),0)

.PHONY: lint
lint: setup-lint ## Check format, lints, documentation, dependencies and their arrows
	cargo fmt --all --check
	cargo fmt --check --manifest-path node/bindings-engine/Cargo.toml
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo fmt --check --manifest-path fuzz/http/Cargo.toml
	scripts/check-arrows.sh
	cargo fetch --locked --quiet
	cargo deny --locked --offline check bans licenses sources
	cargo clippy --locked --workspace --all-targets $(INTEROP) $(BENCHES) $(SOAK) -- -D warnings
	cargo check --locked --manifest-path fuzz/Cargo.toml
	cargo check --locked --manifest-path fuzz/http/Cargo.toml
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

.PHONY: advisories
advisories: setup-lint ## Check dependencies for known faults; fetches their database
	cargo deny --locked check advisories

.PHONY: image
image: $(if $(COMPILE_INSIDE),,setup-run) ## Build the container image (FROM_SOURCE=1: compile in a container too)
ifneq ($(COMPILE_INSIDE),)
	scripts/make-image.sh "$(IMAGE)"
else
	cargo build --locked --release -p waku-groupchat-node --bin waku-groupchat
	scripts/make-image.sh "$(IMAGE)" "$(CARGO_TARGET_DIR)/release/waku-groupchat"
endif

.PHONY: test-image
test-image: ## Test the container image and docker-compose.yml, after `make image`
	scripts/test-image.sh "$(IMAGE)"
	IMAGE="$(IMAGE)" scripts/test-compose.sh

.PHONY: prometheus
prometheus: ## Make a Prometheus image from Debian's packages, for where none can be pulled
	scripts/make-base-image.sh
	docker build -q --network host -t waku-groupchat-prometheus:latest docker/prometheus

.PHONY: setup
setup: ## Install what run and test need: packages, Rust, Go
	@scripts/setup.sh

.PHONY: setup-run
setup-run:
	@scripts/setup.sh run

.PHONY: setup-lint
setup-lint:
	@scripts/setup.sh lint
