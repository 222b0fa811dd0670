# shellcheck shell=bash
# shellcheck disable=SC2154 # what is not set here is set by who sources this
# Pushes of small images, alone and while garbage is collected. Sourced by
# bench/registry.

# push NAME SERVER PREFIX REPOSITORIES WARM_UP
push() {
    local told
    told="$("$load" push "$(address "$2")" --prefix "$3" --repositories "$4" --warm-up "$5" \
        --clients 16 --seconds "$push_seconds" --process "${process[$2]}")"
    samples "$1_push_" "$told" rate=pushes_per_second p50=p50_us p99=p99_us cpu=server_cpu_seconds
}

row_push_postgresql() {
    local round
    start_postgres
    start_ours ours LANDFALL_DATABASE_URL="$(fresh_database pushes)"
    [[ "$(postgres_sql 'show synchronous_commit')$(postgres_sql 'show fsync')" == onon ]] ||
        die "PostgreSQL does not commit durably"
    # The thousand repositories are there before anything counts.
    "$load" push "$(address ours)" --prefix admin/many- --repositories 1000 --warm-up 1000 \
        --seconds 0 >/dev/null
    for ((round = 0; round < rounds; round++)); do
        in_turn "$round" "push one_repository ours admin/one- 1 100" \
            "push many_repositories ours admin/many- 1000 100"
    done
    stop ours
    stop_all
    figure push_postgresql_one_repository_over_1000_repositories 0.9 \
        one_repository_push_rate many_repositories_push_rate pushes/s
}

row_push_sqlite() {
    local round
    start_ours ours
    start_docker_registry docker_registry
    for ((round = 0; round < rounds; round++)); do
        in_turn "$round" "push ours ours admin/one- 1 100" \
            "push docker_registry docker_registry admin/one- 1 100"
    done
    stop_all
    figure push_sqlite_ours_over_docker_registry 1 \
        ours_push_rate docker_registry_push_rate pushes/s
}

row_collection() {
    local round told
    for ((round = 0; round < rounds; round++)); do
        rm -rf "${scratch:?}/ours"
        start_ours ours
        stop ours
        "$load" seed "$scratch/ours" --blobs "$garbage" >/dev/null
        sync -f "$scratch"
        start_ours ours
        told="$("$load" collect "$(address ours)" --prefix admin/one- --clients 8 \
            --warm-up 100 --seconds "$push_seconds" --process "${process[ours]}")"
        [[ "$(jq .blobs <<<"$told")" -ge $garbage ]] ||
            die "only $(jq .blobs <<<"$told") of $garbage blobs were collected"
        # Without a collection, the clients push before it and after it.
        sample collection_push_without "$(jq '(.pushes_per_second_before
            + .pushes_per_second_after) / 2' <<<"$told")"
        samples collection_ "$told" push_during=pushes_per_second_during \
            blobs=blobs_per_second seconds=collection_seconds again=sent_again
        stop ours
    done
    rm -rf "${scratch:?}/ours"
    figure push_rate_during_collection_over_without 0.8 \
        collection_push_during collection_push_without pushes/s
    figure collected_blobs_per_second 1000 collection_blobs 1 blobs/s
}
