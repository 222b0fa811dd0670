# shellcheck shell=bash
# A private PostgreSQL for tests: started on a folder of its own, stopped and
# forgotten afterwards. Sourced, not run.

# What has to be installed, as arguments of `debian_need`.
# shellcheck disable=SC2034 # read by who sources this
readonly -a postgres_tools=(/usr/share/doc/postgresql:postgresql)

# PostgreSQL refuses to run as root.
postgres_as() {
    if [[ $EUID -eq 0 ]]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

# The folder of the newest PostgreSQL's programs.
postgres_programs() {
    local -a found
    mapfile -t found < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V)
    if [[ ! -x ${found[-1]}/initdb ]]; then
        echo "PostgreSQL is not installed (Debian: postgresql)" >&2
        return 1
    fi
    echo "${found[-1]}"
}

# postgres_create DIR: makes a cluster. Its texts sort by a language, so that
# whoever needs another order has to ask for it.
postgres_create() {
    local programs
    programs="$(postgres_programs)"
    mkdir -p "$1"
    [[ $EUID -ne 0 ]] || chown postgres: "$1"
    (
        cd /
        postgres_as tee "$1/password" >/dev/null <<<test
        postgres_as "$programs/initdb" --pgdata="$1/data" --username=landfall \
            --auth=scram-sha-256 --pwfile="$1/password" --encoding=UTF8 --locale=C.UTF-8 \
            --locale-provider=icu --icu-locale=en-US --no-sync --no-instructions >/dev/null
    )
    postgres_as tee -a "$1/data/postgresql.conf" >/dev/null <<END
unix_socket_directories = '$1'
listen_addresses = '127.0.0.1'
fsync = off
full_page_writes = off
max_connections = 400
shared_buffers = 64MB
min_wal_size = 80MB
max_wal_size = 512MB
autovacuum_naptime = 15
logging_collector = off
END
}

# postgres_start DIR [PORT]: starts the cluster and prints its port. Without
# PORT it takes one that is free, below those that the kernel gives out.
postgres_start() {
    local programs port
    programs="$(postgres_programs)"
    for _ in {1..20}; do
        port="${2-$((20000 + (SRANDOM % 12000)))}"
        if (
            cd /
            postgres_as "$programs/pg_ctl" start --pgdata="$1/data" --wait --silent \
                --log="$1/log" --options="-p $port" >/dev/null 2>&1 </dev/null
        ); then
            echo "$port"
            return
        fi
    done
    echo "PostgreSQL did not start; the end of $1/log:" >&2
    tail -n 20 "$1/log" >&2 || true
    return 1
}

# postgres_stop DIR [MODE]: stops the cluster, if it runs.
postgres_stop() {
    local programs
    programs="$(postgres_programs)"
    (
        cd /
        postgres_as "$programs/pg_ctl" stop --pgdata="$1/data" --wait --silent \
            --mode="${2-immediate}" >/dev/null 2>&1
    ) || true
}

# postgres_hold DIR: makes and starts a cluster, prints its port, and then obeys
# the lines of its input: `stop MODE` and `start`, each answered by `done`. When
# the input ends, as it does when who started this dies, the cluster goes.
postgres_hold() {
    local port line
    trap '' INT TERM HUP
    postgres_create "$1"
    port="$(postgres_start "$1")"
    echo "$port"
    while read -r line; do
        case "$line" in
            "stop "*) postgres_stop "$1" "${line#stop }" ;;
            start) postgres_start "$1" "$port" >/dev/null ;;
        esac
        echo "done"
    done
    postgres_stop "$1"
    rm -rf "$1"
}
