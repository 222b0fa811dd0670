# shellcheck shell=bash
# shellcheck disable=SC2154 # what is not set here is set by who sources this
# Small reads: manifests by tag and digest while a tag moves, on one server with
# SQLite, and on two with PostgreSQL and a bucket. Sourced by bench/registry.

# Requests a second of the open loops: below what docker-registry can do, so that
# its latencies are those of a server that keeps up.
readonly open_rate=1000
readonly small=admin/small

# closed NAME SERVER...: how many requests a second; server names are those of
# `launch`.
closed() { ask_manifests "$1" closed "${@:2}"; }

# ask_manifests NAME LOOP SERVER...
ask_manifests() {
    local name="$1" loop="$2" server told
    local -a arguments=() servers=()
    shift 2
    for server in "$@"; do
        servers+=("$(address "$server")")
        arguments+=(--process "${process[$server]}")
    done
    [[ $loop == closed ]] || arguments+=(--rate "$open_rate")
    # docker-registry answers some requests for the tag with 500 while it moves;
    # they count as answered.
    [[ $name != docker_registry ]] || arguments+=(--may-fail)
    told="$("$load" manifests "${servers[@]}" --repository "$small" --connections 64 \
        --seconds "$small_seconds" "${arguments[@]}")"
    samples "${name}_${loop}_" "$told" rps=requests_per_second p50=p50_us p90=p90_us p99=p99_us \
        p999=p999_us stale=stale checked=checked failed=failed
    case "$name" in
        docker_registry) ;;
        *) fresh_answers "$name" "$told" ;;
    esac
}

# fresh_answers NAME JSON: ends the benchmark if an answer of ours was an old one.
fresh_answers() {
    [[ "$(jq .checked <<<"$2")" -gt 0 ]] || die "$1: no answer for the moving tag was looked at"
    [[ "$(jq .stale <<<"$2")" -eq 0 ]] || die "$1: $(jq .stale <<<"$2") of $(jq .checked <<<"$2") \
answers for the moving tag were older than a move acknowledged before they were asked for"
    sample "$1_fresh" 1
}

percentiles_note() {
    local name="$1" what="$2" p
    local -a told=()
    for p in p50 p90 p99 p999; do
        told+=("$p $(statistics | awk -F '\t' -v l="${name}_open_$p" '$1 == l { printf "%.0f", $3 }') us")
    done
    note "Manifests, open loop at $open_rate requests a second, $what: ${told[*]}."
}

# most LABEL: the largest of its samples.
most() { statistics | awk -F '\t' -v label="$1" '$1 == label { print $5 }'; }

row_manifests() {
    local round
    start_ours ours
    start_docker_registry docker_registry
    "$load" prepare "$(address ours)" --repository "$small" >/dev/null
    "$load" prepare "$(address docker_registry)" --repository "$small" >/dev/null
    for ((round = 0; round < rounds; round++)); do
        in_turn "$round" "closed ours ours" "closed docker_registry docker_registry"
        in_turn "$round" "ask_manifests ours open ours" \
            "ask_manifests docker_registry open docker_registry"
    done
    stop_all
    figure manifest_rps_ours_over_docker_registry 20 \
        ours_closed_rps docker_registry_closed_rps "requests/s"
    figure manifest_p99_docker_registry_over_ours 10 \
        docker_registry_open_p99 ours_open_p99 "us at $open_rate requests/s"
    figure manifest_answers_not_stale_share 1 ours_fresh 1 "share"
    percentiles_note ours ours
    percentiles_note docker_registry docker-registry
    note "docker-registry answered up to $(most docker_registry_closed_failed) requests of a closed \
loop with 500 while the tag moved, and up to $(most docker_registry_closed_stale) with an old manifest."
}

row_manifests_two_servers() {
    local round url
    start_postgres
    start_bucket
    start_docker_registry docker_registry
    url="$(fresh_database small)"
    start_ours first LANDFALL_DATABASE_URL="$url" LANDFALL_BLOBS_URL="$bucket_url"
    # All servers of one database have one master key.
    mkdir -p "$scratch/second/keys"
    cp -a "$scratch/first/keys/." "$scratch/second/keys/"
    start_ours second LANDFALL_DATABASE_URL="$url" LANDFALL_BLOBS_URL="$bucket_url"
    "$load" prepare "$(address first)" --repository "$small" >/dev/null
    "$load" prepare "$(address docker_registry)" --repository "$small" >/dev/null
    for ((round = 0; round < rounds; round++)); do
        in_turn "$round" "closed two_servers first second" "closed docker_registry docker_registry"
        in_turn "$round" "ask_manifests two_servers open first second" \
            "ask_manifests docker_registry open docker_registry"
    done
    stop_all
    ceph_kill
    figure manifest_rps_two_servers_on_postgresql_over_docker_registry 5 \
        two_servers_closed_rps docker_registry_closed_rps "requests/s"
    figure manifest_answers_not_stale_share_two_servers_on_postgresql 1 two_servers_fresh 1 "share"
    percentiles_note two_servers "two servers on PostgreSQL"
}

# start_bucket: Ceph's S3 gateway with an empty bucket, and its URL in
# "$bucket_url". Two servers need a store that they can share.
start_bucket() {
    ceph_start "$scratch/ceph"
    ready_bucket || die "the bucket can't be made"
    bucket_url="s3://bench?region=us-east-1"
    bucket_url+="&endpoint=http://127.0.0.1:$ceph_port"
    export AWS_ACCESS_KEY_ID="$ceph_key" AWS_SECRET_ACCESS_KEY="$ceph_secret"
}

ready_bucket() {
    curl --fail --silent --show-error --max-time 30 --request PUT \
        --user "$ceph_key:$ceph_secret" --aws-sigv4 aws:amz:us-east-1:s3 \
        --header "x-amz-content-sha256: UNSIGNED-PAYLOAD" \
        "http://127.0.0.1:$ceph_port/bench"
}
