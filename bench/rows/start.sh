# shellcheck shell=bash
# shellcheck disable=SC2154 # what is not set here is set by who sources this
# From the start of the program until it is ready: with an empty store, and with
# 100,000 images. Sourced by bench/registry.

# time_start NAME: starts ours on the folder "$scratch/NAME", and ends it.
time_start() {
    local told at
    at="127.0.0.1:$(free_port)"
    told="$(LANDFALL_ADMIN_PASSWORD="$password" LANDFALL_LOG_LEVEL=warn "$load" ready "$at" \
        --log "$scratch/$1.log" -- "$landfall" serve --data "$scratch/$1" --listen "$at")"
    sample "start_$1" "$(jq .ready_ms <<<"$told")"
}

row_start() {
    local round name
    for name in empty filled; do
        start_ours "$name"
        stop "$name"
    done
    "$load" seed "$scratch/filled" --images "$images" >/dev/null
    sync -f "$scratch"
    # The first start after the seeding is no different from later ones for a
    # server, but for its caches; it doesn't count.
    time_start filled
    time_start empty
    sed -i '/^start_/d' "$scratch/samples"
    for ((round = 0; round < rounds * 3; round++)); do
        in_turn "$round" "time_start empty" "time_start filled"
    done
    rm -rf "${scratch:?}/empty" "${scratch:?}/filled"
    sample start_allowed "$(statistics | awk -F '\t' '$1 == "start_empty" { print $3 * 1.2 + 50 }')"
    figure "start_allowed_over_start_with_${images}_images" 1 start_allowed start_filled \
        "ms until ready; allowed are 1.2 times an empty store and 50 ms"
}
