# shellcheck shell=bash
# shellcheck disable=SC2154 # what is not set here is set by who sources this
# Tokens, decisions, and what answers tell. Sourced by bench/identity.

# start_fleet: a server with all principals, repositories and policies, once for
# all rows; it pulls with tokens only.
start_fleet() {
    [[ -z ${process[fleet]-} ]] || return 0
    start_ours fleet LANDFALL_REGISTRY_ANONYMOUS_PULL=0
    "$load" identity prepare "$(address fleet)" --principals "$principals" \
        --repositories "$repositories" --images "$asking" --policies \
        --keys "$scratch/keys.json" >/dev/null
}

# ours_landfall SERVER WORD...: the command line, as the administrator.
ours_landfall() {
    LANDFALL_SERVER="http://$(address "$1")" LANDFALL_USER=admin LANDFALL_PASSWORD="$password" \
        "$landfall" "${@:2}"
}

row_tokens() {
    local round told
    start_fleet
    for ((round = 0; round < rounds; round++)); do
        told="$("$load" identity tokens "$(address fleet)" --keys "$scratch/keys.json" \
            --principals "$principals" --repositories "$repositories" --connections 16 \
            --seconds "$seconds")"
        samples issued_ "$told" rate=requests_per_second p50=p50_us p99=p99_us
        told="$("$load" identity verify "$(address fleet)" --keys "$scratch/keys.json" \
            --principals "$principals" --repositories "$repositories" --connections 16 \
            --seconds "$seconds")"
        samples verified_first_ "$told" rate=first.requests_per_second p99=first.p99_us
        samples verified_ "$told" rate=again.requests_per_second p50=again.p50_us \
            p99=again.p99_us
    done
    figure "tokens_issued_per_second_at_${principals}_policies" 500 issued_rate 1 tokens/s
    figure "tokens_verified_with_decision_per_second_at_${principals}_policies" 10000 \
        verified_rate 1 requests/s
    note "Tokens at $principals principals and $repositories repository policies, 16 connections: \
issued with up to 10 scopes, written to the audit log, p50 $(median issued_p50) us, p99 \
$(median issued_p99) us."
    note "Verified with decision: $(median verified_first_rate) requests/s and p99 \
$(median verified_first_p99) us where each token was seen for the first time; p50 \
$(median verified_p50) us and p99 $(median verified_p99) us after that."
}

# ask_fleet CONNECTIONS, ask_nobody CONNECTIONS: one sample of each.
ask_fleet() {
    local told
    told="$("$load" identity manifests "$(address fleet)" --keys "$scratch/keys.json" \
        --operator "$LOAD_AUTHORIZATION" --principals "$asking" --repositories "$asking" \
        --connections "$1" --seconds "$seconds" --process "${process[fleet]}")"
    samples "fleet_$1_" "$told" p50=p50_us p99=p99_us rate=requests_per_second
    samples fleet_cold_ "$told" p50=cold.p50_us p99=cold.p99_us
}

ask_nobody() {
    local told
    told="$("$load" identity manifests "$(address nobody)" --repositories "$asking" \
        --connections "$1" --seconds "$seconds" --process "${process[nobody]}")"
    samples "nobody_$1_" "$told" p50=p50_us p99=p99_us rate=requests_per_second
}

row_manifests() {
    local round connections
    start_fleet
    start_ours nobody
    "$load" identity prepare "$(address nobody)" --repositories "$asking" --images "$asking" \
        >/dev/null
    for ((round = 0; round < rounds; round++)); do
        for connections in 1 64; do
            in_turn "$round" "ask_fleet $connections" "ask_nobody $connections"
        done
    done
    stop nobody
    for connections in 1 64; do
        figure "manifest_p50_${connections}_connections_anonymous_over_with_policies" 0.909 \
            "nobody_${connections}_p50" "fleet_${connections}_p50" us
        note "Manifests by tag on $connections connections: with tokens and policies \
$(median "fleet_${connections}_rate") requests/s, p99 $(median "fleet_${connections}_p99") us; anonymous \
and without policies $(median "nobody_${connections}_rate") requests/s, p99 \
$(median "nobody_${connections}_p99") us."
    done
    note "Cold, just after a change of a policy, one connection, each of $asking principals at up to 10 \
repositories for the first time: p50 $(median fleet_cold_p50) us, p99 $(median fleet_cold_p99) us."
}

row_leak() {
    local told key
    start_ours two_worlds LANDFALL_REGISTRY_ANONYMOUS_PULL=0
    ours_landfall two_worlds account create asking >/dev/null
    ours_landfall two_worlds account create other >/dev/null
    ours_landfall two_worlds principal create asking/robot --kind robot >/dev/null
    ours_landfall two_worlds policy create asking/writer --principal asking/robot \
        --template writer >/dev/null
    key="$(ours_landfall two_worlds api-key create asking/robot 2>/dev/null)"
    ours_landfall two_worlds repo create asking/own >/dev/null
    told="$("$load" identity leak "$(address two_worlds)" --asking "Bearer $key" \
        --own asking/own --other other/secret --requests "$leak_requests")"
    stop two_worlds
    [[ "$(jq .different <<<"$told")" -eq 0 ]] ||
        die "$(jq .different <<<"$told") of $leak_requests answers tell what another account holds"
    sample leak_same_answers 1
    samples leak_ "$told" t=t_most
    sample leak_t_allowed 4.5
    figure leak_answers_equal_share 1 leak_same_answers 1 share
    figure leak_allowed_welch_t_over_measured 1 leak_t_allowed leak_t "|t|"
    note "Two worlds, $leak_requests requests, Welch's t: $(jq --raw-output \
        'def round2: . * 100 | round / 100;
        "HEAD \(.t_head | round2), mount \(.t_mount | round2), check of layers \(.t_check | round2). "
        + "A HEAD took \(.head_held_us | round2) us where another account holds the blob, and "
        + "\(.head_absent_us | round2) us where nobody does."' <<<"$told")"
}
