#!/usr/bin/env bash
# Instructions of the hot loops, counted by valgrind: the same on a busy machine as on a quiet one, so that a
# change that costs something shows where clocks only waver.
#
#   benches/instructions.sh [--save] [WORK…]
#
# Prints a table beside the counts in benches/instructions.txt, and ends with 1 where one has grown by more than
# TOLERANCE per cent (default 2). --save writes the counts down as the new ones to compare with.
# valgrind has no AVX-512: on every x86-64 machine with AVX2 it is the AVX2 code that is counted, which is why
# the counts of two machines can be compared at all. They depend on the compiler and on libc.
set -euo pipefail
cd "$(dirname "$0")/.."

baseline=benches/instructions.txt
tolerance=${TOLERANCE:-2}
save=
if [ "${1:-}" = --save ]; then
    save=1
    shift
fi
if ! command -v valgrind >/dev/null; then
    echo 'valgrind is needed: the package of that name, with apt-get, dnf, pacman or brew' >&2
    exit 2
fi
# The features that the whole workspace has, so that nothing is built twice.
cargo build --release --workspace --bin instructions
program=${CARGO_TARGET_DIR:-target}/release/instructions

counted() { # counted WORK CALLS: instructions of a whole process
    # brk and mmap give the same places every time, so that what depends on addresses does too.
    setarch -R valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
        awk '/Collected :/ { print $4; found = 1 } END { exit !found }' || {
        echo "valgrind could not count $1" >&2
        exit 1
    }
}

# Calls that are over in some seconds and well above what differs between two starts.
calls() {
    case $1 in
    env-1 | gae-*) echo 500 ;;
    env-* | act-1 | act-64) echo 50 ;;
    act-* | update-64 | hand-64) echo 8 ;;
    train-* | dqn-* | sac-* | *-2048) echo 1 ;;
    *) echo 4 ;;
    esac
}

mapfile -t all < <("$program" | tail -n +2)
if [ $# -eq 0 ]; then set -- "${all[@]}"; fi
new=$(mktemp "$baseline.XXXXXX")
trap 'rm -f "$new"' EXIT
{
    echo '# Instructions of a call, counted by benches/instructions.sh --save with'
    echo "# $(rustc --version), $(ldd --version 2>/dev/null | head -1), $(valgrind --version)."
} >"$new"

worse=0
printf '| %-12s | %14s | %14s | %8s |\n|-|-|-|-|\n' work instructions before change
for work in "$@"; do
    n=$(calls "$work")
    few=$(counted "$work" "$n") many=$(counted "$work" $((3 * n)))
    each=$(((many - few) / (2 * n)))
    echo "$work $each" >>"$new"
    before=$(awk -v work="$work" '$1 == work { print $2 }' "$baseline" 2>/dev/null || true)
    change=–
    if [ -n "$before" ]; then
        change=$(awk -v a="$each" -v b="$before" 'BEGIN { printf "%+.1f %%", 100 * (a / b - 1) }')
        if awk -v a="$each" -v b="$before" -v t="$tolerance" 'BEGIN { exit !(a > b * (1 + t / 100)) }'; then
            worse=1
        fi
    fi
    printf '| %-12s | %14d | %14s | %8s |\n' "$work" "$each" "${before:-–}" "$change"
done

if [ -n "$save" ]; then
    # What was not counted this time stays as it was.
    awk 'NR == FNR { seen[$1] = 1; next } !/^#/ && !($1 in seen)' "$new" "$baseline" >>"$new.old" 2>/dev/null || true
    cat "$new.old" >>"$new" && rm -f "$new.old"
    chmod 644 "$new"
    mv "$new" "$baseline"
elif [ $worse = 1 ]; then
    echo "more than $tolerance % worse: find out why, or accept it with benches/instructions.sh --save" >&2
    exit 1
fi
