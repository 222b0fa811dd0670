# shellcheck shell=bash
# A private Ceph with its S3 gateway for tests: on loopback, its data in memory,
# its files in a folder of its own and none in /etc, stopped and forgotten
# afterwards. Sourced, not run.

# What has to be installed, as arguments of `debian_need`.
# shellcheck disable=SC2034 # read by who sources this
readonly -a ceph_tools=(ceph:ceph-common ceph-mon ceph-osd radosgw)

# Who may do everything with the buckets of their own, and who has none.
readonly ceph_key=landfall ceph_secret=landfall-secret
readonly ceph_stranger=stranger ceph_stranger_secret=stranger-secret

# The servers that were started, and the port that the last of them listens on.
ceph_servers=()
ceph_port=""

# A port that nobody listens on, below those that the kernel gives out.
ceph_free_port() {
    local port
    while :; do
        port=$((20000 + (SRANDOM % 12000)))
        if ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# ceph_configure DIR MONITOR_PORT S3_PORT: one of each server, no copies, no
# authentication between them, and no waiting for others that could agree.
ceph_configure() {
    cat >"$1/ceph.conf" <<END
[global]
fsid = $(</proc/sys/kernel/random/uuid)
mon initial members = a
mon host = [v2:127.0.0.1:$2/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms mon service mode = crc
ms mon cluster mode = crc
keyring = /dev/null
run dir = $1
admin socket =
crash dir = $1/crash
log file = $1/\$name.log
mon data = $1/mon
mon data avail warn = 1
mon data avail crit = 0
mon allow pool size one = true
mon allow pool delete = true
mon max pg per osd = 1000
paxos propose interval = 0.02
paxos min wait = 0.01
osd data = $1/osd
osd objectstore = memstore
memstore device bytes = 8589934592
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
rgw data = $1/rgw
rgw frontends = beast endpoint=127.0.0.1:$3
rgw dynamic resharding = false
rgw lifecycle work time = 00:00-00:01
rgw thread pool size = 96
END
}

# ceph_launch DIR COMMAND...: a server that dies with who started it.
ceph_launch() {
    local directory="$1"
    shift
    setpriv --pdeathsig KILL "$@" --conf "$directory/ceph.conf" --foreground \
        >>"$directory/output" 2>&1 </dev/null &
    ceph_servers+=("$!")
}

# ceph_try DIR: starts the servers, makes the users, and sets `ceph_port` when the
# gateway answers. Fails if a server dies on the way.
ceph_try() {
    local conf="$1/ceph.conf" monitor_port osd
    ceph_servers=()
    monitor_port="$(ceph_free_port)"
    ceph_port="$(ceph_free_port)"
    rm -rf "$1"
    mkdir -p "$1"/{mon,osd,rgw,crash}
    ceph_configure "$1" "$monitor_port" "$ceph_port" || return
    osd="$(</proc/sys/kernel/random/uuid)"
    monmaptool --create --fsid "$(awk '/^fsid/ { print $3 }' "$conf")" \
        --addv a "[v2:127.0.0.1:$monitor_port/0]" "$1/monmap" &>>"$1/output" || return
    ceph-mon --conf "$conf" --id a --mkfs --monmap "$1/monmap" &>>"$1/output" || return
    ceph_launch "$1" ceph-mon --id a
    timeout 20 ceph --conf "$conf" osd new "$osd" &>>"$1/output" || return
    ceph-osd --conf "$conf" --id 0 --mkfs --osd-uuid "$osd" &>>"$1/output" || return
    ceph_launch "$1" ceph-osd --id 0
    ceph_user "$1" "$ceph_key" "$ceph_secret" || return
    ceph_user "$1" "$ceph_stranger" "$ceph_stranger_secret" || return
    ceph_launch "$1" radosgw --name client.rgw
    for _ in {1..300}; do
        kill -0 "${ceph_servers[@]}" 2>/dev/null || return
        ! curl --silent --output /dev/null "http://127.0.0.1:$ceph_port" || return 0
        sleep 0.1
    done
    return 1
}

# ceph_user DIR KEY SECRET: makes a user of the gateway.
ceph_user() {
    timeout 20 radosgw-admin --conf "$1/ceph.conf" user create --uid "$2" --display-name "$2" \
        --access-key "$2" --secret-key "$3" &>>"$1/output"
}

# ceph_start DIR: as ceph_try, three times: ceph-osd may die at its first start.
ceph_start() {
    for _ in 1 2 3; do
        ! ceph_try "$1" || return 0
        ceph_kill
    done
    echo "Ceph did not start; the end of $1/output:" >&2
    tail -n 20 "$1/output" >&2 || true
    return 1
}

# Ends the servers that this shell has started. They have nothing to save.
ceph_kill() {
    [[ ${#ceph_servers[@]} -gt 0 ]] || return 0
    kill -KILL "${ceph_servers[@]}" 2>/dev/null || true
    wait "${ceph_servers[@]}" 2>/dev/null || true
    ceph_servers=()
}

# ceph_hold DIR: starts the servers and prints the port of the gateway. When its
# input ends, as it does when who started this dies, the servers go.
ceph_hold() {
    trap '' INT TERM HUP
    if ceph_start "$1"; then
        echo "$ceph_port"
        cat >/dev/null
    fi
    ceph_kill
    rm -rf "$1"
}
