#!/usr/bin/env bash
# The program with encrypted stores: lints, its own tests, and every other test on SQLCipher in the place of SQLite with
# `--all`. It needs OpenSSL's headers (libssl-dev), or `--vendored` with perl and make.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_INCREMENTAL=0
feature=encrypted-store which=encryption
for argument in "$@"; do
    case $argument in
        --vendored) feature=vendored-openssl ;;
        --all) which= ;;
        *) echo "usage: $0 [--vendored] [--all]" >&2 && exit 2 ;;
    esac
done
cargo clippy --locked --features "$feature" --all-targets -- -D warnings
cargo test --locked --features "$feature" --lib $which
cargo test --locked --features "$feature" --test main $which
