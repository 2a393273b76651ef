# shellcheck shell=bash
# Counting checks; sourced by the scripts beside it.

passed=0
failed=()

# check WHAT COMMAND...: the command must succeed. What it said is shown if it does not.
check() {
    local what=$1 said
    shift
    if said=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed+=("$what")
        printf 'FAILED: %s\n' "$what" >&2
        [ -z "$said" ] || printf '%s\n' "$said" | head -n 40 | sed 's/^/    /' >&2
    fi
}

not() { ! "$@"; }

# equal IS SHOULD
equal() {
    [ "$1" = "$2" ] || { printf 'is:     %s\nshould: %s\n' "$1" "$2"; return 1; }
}

# eventually SECONDS COMMAND...: tries until it succeeds.
eventually() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.1
    done
}

# skip WHY: cannot be tried here, which is a failure where it must be.
skip() {
    if [ "${IMWARDEN_REQUIRE_KERNEL:-}" = 1 ]; then
        echo "IMWARDEN_REQUIRE_KERNEL=1, but $1" >&2
        exit 1
    fi
    echo "SKIPPED: $1" >&2
    exit 0
}

# The last word, and the exit code.
verdict() {
    echo "$1: $passed checks passed, ${#failed[@]} failed"
    [ ${#failed[@]} = 0 ]
}
