#!/bin/bash
# Run the fuzz targets one after another for SECONDS_EACH, starting from test/corpus; new inputs stay in build/corpus.
set -u
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
failed=0
passed=0
for target in "$BUILD"/fuzz/*_fuzz; do
    name=$(basename "$target" _fuzz)
    [ -z "${ONLY:-}" ] || [[ " $ONLY " == *" $name "* ]] || continue
    mkdir -p "$BUILD/corpus/$name" "test/corpus/$name"
    echo "== $name for $SECONDS_EACH s"
    if "$target" -max_total_time="$SECONDS_EACH" -timeout=20 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
        -artifact_prefix="$BUILD/corpus/$name-" "$BUILD/corpus/$name" "test/corpus/$name" >"$BUILD/corpus/$name.log" 2>&1; then
        grep -E 'stat::number_of_executed_units|stat::peak_rss_mb' "$BUILD/corpus/$name.log"
        passed=$((passed + 1))
    else
        tail -n 40 "$BUILD/corpus/$name.log"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
