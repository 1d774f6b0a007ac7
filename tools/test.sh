#!/bin/bash
# Run the suites of a group (core, extra, infra), add up what they count, and end with "N passed, N failed".
# A suite is a command whose last line is "N passed, N failed"; without such a line it counts as one failure.
set -u
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
export AFLUXO="$PWD/$BUILD/afluxo" AFLUXO_ASAN="$PWD/$BUILD/afluxo-asan" BUILD
passed=0
failed=0
failures=""
log=$(mktemp)
trap 'rm -f "$log"' EXIT

suite() {
    local name=$1 start=$SECONDS counts
    shift
    echo "== $name"
    "$@" 2>&1 | cat >"$log" # through a pipe: a test that opens /dev/stdout anew must not cut the log
    local status=${PIPESTATUS[0]}
    counts=$(tail -n 1 "$log" | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed.*$/\1 \2/p')
    [ -n "$counts" ] || counts="0 1"
    set -- $counts
    if [ "$2" != 0 ] || [ $status != 0 ]; then
        [ "$2" != 0 ] || set -- "$1" 1
        tail -n 80 "$log"
        failures="$failures $name"
    else
        tail -n 1 "$log"
    fi
    echo "   ($((SECONDS - start)) s)"
    passed=$((passed + $1))
    failed=$((failed + $2))
}

replay() {
    local ok=0 bad=0 target name
    for target in "$BUILD"/replay/*; do
        [ -x "$target" ] || continue
        name=$(basename "$target" _fuzz)
        if "$target" "test/corpus/$name"; then ok=$((ok + 1)); else bad=$((bad + 1)); fi
    done
    echo "$ok passed, $bad failed"
}

python_suite() { # a file of unittest tests
    "${PYTHON:-python3}" tools/pytests.py "$1"
}

case ${1:-core} in
core)
    suite tidy tools/tidy.sh
    # Thousands of fsyncs: in memory, where there is enough of it. What power cuts do is simulated, not waited for.
    shm=/tmp
    [ "$(df -m --output=avail /dev/shm 2>/dev/null | tail -n 1 | tr -d ' ')" -gt 1000 ] 2>/dev/null && shm=/dev/shm
    suite unit env TMPDIR=$shm "$BUILD/unit"
    suite corpus replay
    for f in test/e2e/test_*.py; do suite "$(basename "$f" .py)" python_suite "$f"; done
    ;;
extra)
    PYTHON=${VENV:-build/venv}/bin/python
    suite clang make --no-print-directory BUILD="$BUILD" clang-suite
    suite bench bench/run.sh --quick
    for f in test/conformance/test_*.py; do suite "$(basename "$f" .py)" python_suite "$f"; done
    ;;
infra)
    PYTHON=${VENV:-build/venv}/bin/python
    for f in test/infra/test_*.py; do suite "$(basename "$f" .py)" python_suite "$f"; done
    ;;
esac
[ -z "$failures" ] || echo "failed:$failures"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
