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

drill: ## what each list costs in a store of a million rows, on SQLite and Postgres
	cargo bench --bench lists
