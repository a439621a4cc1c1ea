#!/usr/bin/env bash
# The program without its features works, and a request for what was left out is refused with the feature's name.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Not optimised: it is run a few times only.
export CARGO_PROFILE_DEV_OPT_LEVEL=0
goldsmith() { cargo run --quiet --locked --no-default-features -- "$@"; }
lacks() {
    local feature=$1 message
    shift
    if message=$(goldsmith "$@" --project "$folder/demo" 2>&1); then
        echo "goldsmith $*: not refused" && exit 1
    fi
    grep -q -- "--features $feature" <<< "$message" || { echo "goldsmith $*: $message" && exit 1; }
}
goldsmith demo "$folder/demo" > "$folder/scores" 2> "$folder/messages"
grep -q "macro average" "$folder/scores"
lacks embedded label --gguf model.gguf
lacks servers label --url http://127.0.0.1:9/v1
lacks servers encoder fetch org/model
lacks encoders train --method frozen --encoder "$PWD/tests/data/encoders/bert"
lacks sealed-bundles bundle "$folder/out" --to age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
goldsmith bundle "$folder/plain" --project "$folder/demo" 2> "$folder/messages"
lacks sealed-bundles merge "$folder/plain" --signed-by RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3
sed -i 's/^\[encryption\]$/&\nkey = "ask"/' "$folder/demo/goldsmith.toml"
lacks encrypted-store store encrypt
lacks encrypted-store status
