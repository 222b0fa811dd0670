# shellcheck shell=bash
# shellcheck disable=SC2154 # what is not set here is set by who sources this
# Samples, what is made of them, and how it is told. Sourced by a benchmark, which
# sets "$scratch" and "$bench", its name.

# sample LABEL VALUE: one measured value, in "$scratch/samples".
sample() {
    [[ $2 != null && -n $2 ]] || die "no value for $1"
    printf '%s\t%s\n' "$1" "$2" >>"$scratch/samples"
}

# samples PREFIX JSON LABEL=FIELD...: fields of what the load generator printed.
samples() {
    local prefix="$1" json="$2" pair
    shift 2
    for pair in "$@"; do
        sample "$prefix${pair%%=*}" "$(jq ".${pair#*=}" <<<"$json")"
    done
}

# figure KEY GOAL LABEL OVER [UNIT [SCALE]]: the median of one label over the
# median of the other, which has to reach the goal. OVER may be a plain number.
# UNIT and SCALE are for the table only.
figure() {
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "${5--}" "${6-1}" >>"$scratch/figures"
}

# note TEXT: a line below the table.
note() { echo "$1" >>"$scratch/notes"; }

# in_turn ROUND COMMAND...: each command once; every other round in the opposite
# order, so that nobody always goes first.
in_turn() {
    local round="$1" index
    shift
    local -a commands=("$@")
    for ((index = 0; index < ${#commands[@]}; index++)); do
        if ((round % 2 == 0)); then
            ${commands[index]}
        else
            ${commands[${#commands[@]} - 1 - index]}
        fi
    done
}

# median LABEL: its median, without a fraction.
median() { statistics | awk -F '\t' -v label="$1" '$1 == label { printf "%.0f", $3 }'; }

# Prints label, count, median, least and most of each label.
statistics() {
    sort -t $'\t' -k1,1 -k2,2g "$scratch/samples" | awk -F '\t' '
        function tell() {
            if (count == 0) return
            middle = count % 2 ? value[(count + 1) / 2] : (value[count / 2] + value[count / 2 + 1]) / 2
            printf "%s\t%d\t%.9g\t%.9g\t%.9g\n", label, count, middle, value[1], value[count]
        }
        $1 != label { tell(); label = $1; count = 0 }
        { value[++count] = $2 }
        END { tell() }'
}

# Prints for each figure: key, goal, ratio, unit, and for both labels the median,
# the least and the most, scaled (`-` where there is none).
results() {
    statistics >"$scratch/statistics"
    awk -F '\t' '
        FNR == NR { median[$1] = $3; least[$1] = $4; most[$1] = $5; next }
        function told(label) {
            if (!(label in median)) return "-\t-\t-"
            return sprintf("%.6g\t%.6g\t%.6g", median[label] * $6, least[label] * $6, most[label] * $6)
        }
        {
            if (!($3 in median) || !($4 in median || $4 ~ /^[0-9.]+$/)) next
            below = $4 in median ? median[$4] : $4
            if (below == 0) next
            printf "%s\t%s\t%.4g\t%s\t%s\t%s\n", $1, $2, median[$3] / below, $5, told($3), told($4)
        }' "$scratch/statistics" "$scratch/figures"
}

# The table for people.
table() {
    local key goal ratio unit a a_min a_max b b_min b_max met
    printf '\n%-52s %9s %8s\n' figure value goal
    while IFS=$'\t' read -r key goal ratio unit a a_min a_max b b_min b_max; do
        met="$(awk -v r="$ratio" -v g="$goal" 'BEGIN { print (r >= g ? "met" : "MISSED") }')"
        printf '%-52s %9s %8s  %s\n' "$key" "$ratio" "$goal" "$met"
        printf '    %s (%s to %s)' "$a" "$a_min" "$a_max"
        [[ $b == - ]] || printf '  over  %s (%s to %s)' "$b" "$b_min" "$b_max"
        printf '  %s\n' "${unit#-}"
    done < <(results)
    [[ ! -s $scratch/notes ]] || { echo; sort -u "$scratch/notes"; }
}

# The last line: one JSON object.
json() {
    results | jq --raw-input --null-input --compact-output --arg bench "$bench" '
        [inputs | split("\t")] as $rows
        | { bench: $bench,
            figures: ($rows | map({ (.[0]): (.[2] | tonumber) }) | add // {}),
            goals: ($rows | map({ (.[0]): (.[1] | tonumber) }) | add // {}) }'
}

# The machine and the commit, for the record.
circumstances() {
    local commit
    commit="$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)"
    [[ -z $(git status --porcelain --untracked-files=no 2>/dev/null) ]] || commit+=" with changes"
    printf 'Commit %s, %s, %s rounds%s. %s, %s cores, %s of memory, Linux %s, Debian %s.\n' \
        "$commit" "$(date --utc +%Y-%m-%d)" "$rounds" "${quick:+ (--quick)}" \
        "$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
        "$(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo)" \
        "$(uname -r | cut -d- -f1)" "$(cat /etc/debian_version 2>/dev/null || echo unknown)"
}

# The results as Markdown.
markdown() {
    local key goal ratio unit a a_min a_max b b_min b_max
    circumstances
    echo
    echo "| figure | value | goal | | measured | compared with | unit |"
    echo "| --- | --- | --- | --- | --- | --- | --- |"
    while IFS=$'\t' read -r key goal ratio unit a a_min a_max b b_min b_max; do
        printf "| \`%s\` | %s | %s | %s | %s (%s to %s) |" "$key" "$ratio" "$goal" \
            "$(awk -v r="$ratio" -v g="$goal" 'BEGIN { print (r >= g ? "met" : "**missed**") }')" \
            "$a" "$a_min" "$a_max"
        if [[ $b == - ]]; then printf ' |'; else printf ' %s (%s to %s) |' "$b" "$b_min" "$b_max"; fi
        printf ' %s |\n' "${unit#-}"
    done < <(results)
    if [[ -s $scratch/notes ]]; then
        echo
        sort -u "$scratch/notes" | sed 's/^/- /'
    fi
}

# record FILE: puts the results between the marks of this benchmark in the file.
record() {
    local begin="<!-- begin: bench/$bench -->" end="<!-- end: bench/$bench -->"
    if ! grep -qF "$begin" "$1" || ! grep -qF "$end" "$1"; then
        die "$1 has no marks of bench/$bench"
    fi
    markdown >"$scratch/markdown"
    awk -v begin="$begin" -v end="$end" -v results="$scratch/markdown" '
        $0 == begin { print; print ""; while ((getline line < results) > 0) print line; print ""; inside = 1 }
        $0 == end { inside = 0 }
        !inside && $0 != begin { print }' "$1" >"$scratch/recorded"
    cat "$scratch/recorded" >"$1"
}
