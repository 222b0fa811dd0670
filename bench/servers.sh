# shellcheck shell=bash
# shellcheck disable=SC2154 # what is not set here is set by who sources this
# Servers of a benchmark: ours and the peers, each on a free port and on a folder
# below "$scratch", all ended by `stop_all`. Sourced by a benchmark, which sets
# "$scratch", "$landfall" and "$load".

# The processes that run, by the names that they were started under.
declare -A process=()
# The port of each.
declare -A port=()

readonly password=bench
# What ours wants to see from who pushes; the others don't look at it.
LOAD_AUTHORIZATION="Basic $(printf 'admin:%s' "$password" | base64)"
export LOAD_AUTHORIZATION

die() {
    echo "bench: $*" >&2
    exit 1
}

# Below the ports that the kernel gives to outgoing connections.
free_port() {
    local candidate
    while true; do
        candidate=$((20000 + SRANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null || break
    done
    echo "$candidate"
}

# launch NAME COMMAND...: a server that dies with this shell, its output in
# "$scratch/NAME.log".
launch() {
    local name="$1"
    shift
    setpriv --pdeathsig KILL "$@" >>"$scratch/$name.log" 2>&1 </dev/null &
    process[$name]=$!
}

# ready NAME COMMAND...: waits until the command succeeds, and gives up when the
# server dies or a minute has passed.
ready() {
    local name="$1" deadline=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        if ! kill -0 "${process[$name]}" 2>/dev/null || ((SECONDS > deadline)); then
            tail -n 20 "$scratch/$name.log" >&2
            die "$name did not start; above is the end of its output"
        fi
        sleep 0.05
    done
}

# stop NAME [SIGNAL]: ends a server and waits for it.
stop() {
    [[ -n ${process[$1]-} ]] || return 0
    kill -"${2-TERM}" "${process[$1]}" 2>/dev/null || true
    wait "${process[$1]}" 2>/dev/null || true
    unset "process[$1]"
}

stop_all() {
    local name
    for name in "${!process[@]}"; do
        case "$name" in
            postgres) stop "$name" INT ;;
            *) stop "$name" ;;
        esac
    done
}

address() { echo "127.0.0.1:${port[$1]}"; }

# start_ours NAME [VARIABLE=VALUE...]: Landfall on the folder "$scratch/NAME".
# Anybody may pull, as at the peers; and like the peers, it doesn't log requests.
start_ours() {
    local name="$1"
    shift
    port[$name]="$(free_port)"
    launch "$name" env LANDFALL_ADMIN_PASSWORD="$password" \
        LANDFALL_REGISTRY_ANONYMOUS_PULL=1 LANDFALL_LOG_LEVEL=warn "$@" \
        "$landfall" serve --data "$scratch/$name" --listen "$(address "$name")"
    ready "$name" curl --fail --silent --insecure --max-time 5 "${scheme-http}://$(address "$name")/readyz"
}

# start_docker_registry NAME
start_docker_registry() {
    port[$1]="$(free_port)"
    mkdir -p "$scratch/$1"
    sed -e "s|@DIRECTORY@|$scratch/$1|" -e "s|@PORT@|${port[$1]}|" \
        bench/peers/docker-registry.yml >"$scratch/$1.yml"
    launch "$1" env OTEL_TRACES_EXPORTER=none docker-registry serve "$scratch/$1.yml"
    ready "$1" curl --fail --silent --max-time 5 "http://$(address "$1")/v2/"
}

# start_nginx: plain on one port, TLS on another, files in "$scratch/nginx/files".
start_nginx() {
    local user=""
    [[ $EUID -ne 0 ]] || user="user root;"
    make_certificate
    port[nginx]="$(free_port)"
    port[nginx_tls]="$(free_port)"
    mkdir -p "$scratch/nginx/files"
    sed -e "s|@DIRECTORY@|$scratch/nginx|" -e "s|@PORT@|${port[nginx]}|" \
        -e "s|@TLS_PORT@|${port[nginx_tls]}|" -e "s|@USER@|$user|" \
        -e "s|@CERTIFICATE@|$scratch/tls.crt|" -e "s|@KEY@|$scratch/tls.key|" \
        bench/peers/nginx.conf >"$scratch/nginx.conf"
    echo ready >"$scratch/nginx/files/ready"
    launch nginx nginx -c "$scratch/nginx.conf" -p "$scratch/nginx"
    ready nginx curl --fail --silent --max-time 5 "http://$(address nginx)/ready"
}

# A certificate for localhost, the same for all that speak TLS.
make_certificate() {
    [[ ! -e $scratch/tls.crt ]] || return 0
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -addext basicConstraints=critical,CA:FALSE \
        -keyout "$scratch/tls.key" -out "$scratch/tls.crt" 2>/dev/null
}

# start_postgres: a cluster as Debian makes it, so with fsync and synchronous
# commits, on a folder of its own.
start_postgres() {
    local programs directory="$scratch/postgres" user=()
    programs="$(postgres_programs)"
    port[postgres]="$(free_port)"
    mkdir -p "$directory"
    if [[ $EUID -eq 0 ]]; then
        chown postgres: "$directory"
        user=(--reuid=postgres --regid=postgres --clear-groups)
    fi
    echo "$password" >"$scratch/postgres.password"
    chmod 644 "$scratch/postgres.password"
    (cd / && postgres_as "$programs/initdb" --pgdata="$directory/data" --username=landfall \
        --auth=scram-sha-256 --pwfile="$scratch/postgres.password" --encoding=UTF8 \
        --locale=C.UTF-8 --no-instructions >"$scratch/postgres.log" 2>&1) ||
        { tail -n 20 "$scratch/postgres.log" >&2; die "initdb failed"; }
    # setpriv first changes the user: the signal at the parent's death is
    # forgotten by that, so it is set after it.
    launch postgres setpriv "${user[@]}" setpriv --pdeathsig QUIT "$programs/postgres" \
        -D "$directory/data" -p "${port[postgres]}" -k "$directory" -c listen_addresses=127.0.0.1
    ready postgres env PGPASSWORD="$password" \
        psql --no-psqlrc --quiet -h 127.0.0.1 -p "${port[postgres]}" -U landfall -c '' postgres
}

# postgres_sql STATEMENT: on the database of the cluster, as its owner.
postgres_sql() {
    PGPASSWORD="$password" psql --no-psqlrc --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 \
        -h 127.0.0.1 -p "${port[postgres]}" -U landfall -c "$1" postgres
}

# fresh_database NAME: prints the URL of an empty database.
fresh_database() {
    postgres_sql "create database $1" >/dev/null
    echo "postgres://landfall:$password@127.0.0.1:${port[postgres]}/$1"
}
