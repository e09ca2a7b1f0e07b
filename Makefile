# What a developer types; .ci/run does the same and checks more.

.PHONY: setup test fmt lint docs bench drill

setup: ## installs what the tests need and is absent
	.ci/setup

test: setup ## the Rust tests, then the official clients against the binary
	.ci/test

fmt:
	cargo fmt --all

lint:
	cargo clippy --all-targets -- -D warnings

docs: ## target/doc/stoa/index.html
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

bench:
	cargo bench

drill: ## lists in a store of a million rows, ten million lines taken in, kills under writers, many who come back
	cargo bench --bench lists
	STOA_LINES=$${STOA_LINES:-10000000} cargo test --release --test stoa -- --nocapture moving::large
	STOA_KILLS=$${STOA_KILLS:-100} cargo test --test stoa -- --nocapture kill::
	STOA_TEST_STORE=postgres STOA_KILLS=$${STOA_KILLS:-20} cargo test --test stoa -- --nocapture kill::
	STOA_WEBHOOK_KILLS=$${STOA_KILLS:-20} cargo test --test stoa -- --nocapture webhooks::killed
	STOA_TEST_STORE=postgres STOA_WEBHOOK_KILLS=$${STOA_KILLS:-20} cargo test --test stoa -- --nocapture webhooks::killed
	cargo build
	cd tests/js && CLUSTER_CLIENTS=$${CLUSTER_CLIENTS:-60} CLUSTER_ROUNDS=2 CLUSTER_MIX=10 CLUSTER_STOPPED_MS=20000 \
		node --test cluster.test.mjs
	cd tests/js && COMEBACK_CLIENTS=50 COMEBACK_EVENTS=20000 COMEBACK_KILLS=20 node --test comeback.test.mjs
