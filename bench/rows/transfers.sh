# shellcheck shell=bash
# shellcheck disable=SC2154 # what is not set here is set by who sources this
# Large objects: 256 MiB down and up, plain and over TLS, and the memory that it
# takes. Sourced by bench/registry.

readonly large=admin/large
readonly gigabyte="10^9 bytes"

# large_object SERVER...: stores the same object at each, and puts its digest in
# "$large_digest".
large_object() {
    local server
    for server in "$@"; do
        large_digest="$("$load" upload "$(address "$server")" \
            --repository "$large" --seed 1 | jq --raw-output '.digests[0]')"
    done
    large_path="/v2/$large/blobs/$large_digest"
}

# nginx_object SERVER: the same object as a file of nginx.
nginx_object() {
    curl --fail --silent --output "$scratch/nginx/files/blob" "http://$(address "$1")$large_path"
}

# fetch NAME PATH CONNECTIONS DOWNLOADS [copied]: the client's kernel drops the
# bytes; `copied` passes them on to the client, which has the same two cores.
fetch() {
    local told
    told="$("$load" fetch "$(address "$1")" --path "$2" --digest "$large_digest" \
        --connections "$3" --downloads "$4" --process "${process[$1]}" ${5:+--copied})"
    samples "$1_get_$3_${5:+copied_}" "$told" \
        rate=megabytes_per_second cpu=server_cpu_seconds_per_gigabyte
}

row_get() {
    local round connections downloads copied
    start_ours ours
    start_docker_registry docker_registry
    start_nginx
    large_object ours docker_registry
    nginx_object ours
    sync -f "$scratch"
    for ((round = 0; round < rounds; round++)); do
        for connections in 1 8; do
            downloads=$((connections == 1 ? 4 * large_share : 12 * large_share))
            for copied in "" copied; do
                in_turn "$round" "fetch ours $large_path $connections $downloads $copied" \
                    "fetch docker_registry $large_path $connections $downloads $copied" \
                    "fetch nginx /blob $connections $downloads $copied"
            done
        done
    done
    stop_all
    for connections in 1 8; do
        figure "get_256_mib_${connections}_connections_ours_over_docker_registry" 1.4 \
            "ours_get_${connections}_rate" "docker_registry_get_${connections}_rate" MB/s
        figure "get_256_mib_${connections}_connections_ours_over_nginx" 0.95 \
            "ours_get_${connections}_rate" "nginx_get_${connections}_rate" MB/s
    done
    figure get_256_mib_8_connections_cpu_docker_registry_over_ours 2.5 \
        docker_registry_get_8_cpu ours_get_8_cpu "CPU s per $gigabyte"
    for connections in 1 8; do
        note "With a client that copies, $connections at once: ours \
$(median "ours_get_${connections}_copied_rate") MB/s, docker-registry \
$(median "docker_registry_get_${connections}_copied_rate"), nginx \
$(median "nginx_get_${connections}_copied_rate")."
    done
    note "nginx used $(statistics | awk -F '\t' '$1 == "nginx_get_8_cpu" { print $3 }') CPU seconds \
per $gigabyte at 8 connections."
}

# fetch_tls NAME PATH PROTOCOL: one connection.
fetch_tls() {
    local told server="$1" tls="$1" http2=()
    [[ $server != nginx ]] || tls=nginx_tls
    [[ $3 != http2 ]] || http2=(--http2)
    told="$("$load" fetch "$(address "$tls")" --path "$2" --digest "$large_digest" \
        --downloads $((4 * large_share)) --certificate "$scratch/tls.crt" "${http2[@]}" \
        --process "${process[$server]}")"
    samples "$1_tls_$3_" "$told" rate=megabytes_per_second cpu=server_cpu_seconds_per_gigabyte
}

row_get_tls() {
    local round protocol
    make_certificate
    # Filled over plain HTTP, then started again with TLS.
    start_ours ours
    start_nginx
    large_object ours
    nginx_object ours
    stop ours
    scheme=https start_ours ours LANDFALL_SERVER_TLS_CERTIFICATE="$scratch/tls.crt" \
        LANDFALL_SERVER_TLS_KEY="$scratch/tls.key"
    for ((round = 0; round < rounds; round++)); do
        for protocol in http1 http2; do
            in_turn "$round" "fetch_tls ours $large_path $protocol" "fetch_tls nginx /blob $protocol"
        done
    done
    stop_all
    for protocol in http1 http2; do
        figure "get_256_mib_tls_${protocol}_ours_over_nginx" 1.1 \
            "ours_tls_${protocol}_rate" "nginx_tls_${protocol}_rate" MB/s
    done
}

# upload NAME BLOBS: distinct ones, at the same time. What others have left to be
# written is written before, and what they wrote is deleted when the row ends.
upload() {
    local told
    sync -f "$scratch"
    told="$("$load" upload "$(address "$1")" --repository "$large" --blobs "$2" \
        --process "${process[$1]}")"
    samples "$1_put_$2_" "$told" rate=megabytes_per_second cpu=server_cpu_seconds_per_gigabyte
}

row_put() {
    local round blobs
    start_ours ours
    start_docker_registry docker_registry
    for ((round = 0; round < rounds; round++)); do
        for blobs in 1 8; do
            in_turn "$round" "upload ours $blobs" "upload docker_registry $blobs"
        done
    done
    stop_all
    rm -rf "${scratch:?}/ours" "${scratch:?}/docker_registry"
    figure put_256_mib_ours_over_docker_registry 3 ours_put_1_rate docker_registry_put_1_rate MB/s
    figure put_8_times_256_mib_ours_over_docker_registry 2 \
        ours_put_8_rate docker_registry_put_8_rate MB/s
    figure put_256_mib_cpu_docker_registry_over_ours 2.5 \
        docker_registry_put_1_cpu ours_put_1_cpu "CPU s per $gigabyte"
    figure put_8_times_256_mib_cpu_docker_registry_over_ours 2.5 \
        docker_registry_put_8_cpu ours_put_8_cpu "CPU s per $gigabyte"
}

# peak NAME START: a fresh server moves large objects up and down, one and eight
# at a time; then its peak of resident memory is read.
peak() {
    rm -rf "${scratch:?}/$1"
    "$2" "$1"
    large_object "$1"
    "$load" upload "$(address "$1")" --repository "$large" --blobs 8 >/dev/null
    "$load" fetch "$(address "$1")" --path "$large_path" --digest "$large_digest" \
        --connections 8 --downloads 16 >/dev/null
    sample "$1_peak" "$("$load" used "${process[$1]}" | jq .peak_bytes)"
    stop "$1"
    rm -rf "${scratch:?}/$1"
}

row_memory() {
    local round
    for ((round = 0; round < rounds; round++)); do
        in_turn "$round" "peak ours start_ours" "peak docker_registry start_docker_registry"
    done
    figure peak_memory_docker_registry_over_ours 0.833 \
        docker_registry_peak ours_peak MB 0.000001
}
