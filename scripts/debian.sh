# shellcheck shell=bash
# What ./demo and ./test need from Debian. Sourced, not run.

# Servers such as dockerd lie where only root's PATH looks.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# cargo, where rustup puts it, also under sudo.
if ! command -v cargo >/dev/null; then
    home="$(getent passwd "${SUDO_USER:-$(id -un)}" | cut -d: -f6)"
    if [[ -x $home/.cargo/bin/cargo ]]; then
        PATH="$PATH:$home/.cargo/bin"
        export CARGO_HOME="${CARGO_HOME:-$home/.cargo}" RUSTUP_HOME="${RUSTUP_HOME:-$home/.rustup}"
    fi
fi

# Runs a command as root: as it is, or through sudo.
as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        echo "'$1' has to run as root: become root or install sudo" >&2
        return 1
    fi
}

# Prints the packages that are missing. Each argument is COMMAND, where the
# package is called the same, or COMMAND:PACKAGE; an absolute path instead of
# the command is a file of the package.
debian_missing() {
    local need what
    for need in "$@"; do
        what="${need%%:*}"
        if [[ $what == /* ]]; then
            [[ -e $what ]] || echo "${need#*:}"
        else
            command -v "$what" >/dev/null || echo "${need#*:}"
        fi
    done
}

# Installs what is missing, without starting a service. Arguments as above.
debian_need() {
    local missing
    mapfile -t missing < <(debian_missing "$@")
    if [[ ${#missing[@]} -gt 0 ]]; then
        echo "installing ${missing[*]}"
        debian_install "${missing[@]}"
    fi
    mapfile -t missing < <(debian_missing "$@")
    if [[ ${#missing[@]} -gt 0 ]]; then
        echo "still missing after the installation: ${missing[*]}" >&2
        return 1
    fi
}

debian_install() (
    guard=/usr/sbin/policy-rc.d
    if [[ ! -e $guard ]]; then
        # Package scripts ask this file whether they may start a service.
        trap 'as_root rm -f "$guard"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$guard" >/dev/null
        as_root chmod 755 "$guard"
    fi
    # A source that can't be reached matters only if the packages are in it.
    as_root apt-get update -qq || true
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq --no-install-recommends "$@" >/dev/null
)
