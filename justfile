# What a developer types often; `.ci/run` is what must hold.

# Lists the recipes.
default:
    @just --list

# A whole outage on loopback, without root or hardware.
demo:
    cargo run -- demo

# All tests, as root: the end-to-end stories make network namespaces.
test *arguments:
    cargo nextest run --workspace --locked {{arguments}}

# Format, lints and house rules.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- --deny warnings
    cargo nextest run --locked --package curfew-tests --test tidy

# The internal manual, with private items.
docs:
    RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps --document-private-items --locked

# Everything that must hold before a change goes in.
ci:
    .ci/run
