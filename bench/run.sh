#!/bin/bash
# Every figure of the bench beside its peer, as ratios taken in this run. BENCH_BIG=1: also the peak memory on a 5 GB file.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
afluxo=$BUILD/afluxo
data=$BUILD/bench-data
python=${VENV:-build/venv}/bin/python
core=${BENCH_CORE:-1}
pin() { taskset -c "$core" "$@"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.1f", a / b; else printf "?" }'; }
millions() { awk -v a="$1" 'BEGIN { printf "%.1f M", a / 1e6 }'; }
row() { printf '| %-46s | %-14s | %-46s |\n' "$1" "$2" "$3"; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
seconds() { # of a command, wall, median of 5
    for _ in 1 2 3 4 5; do
        local start end
        start=$(date +%s.%N)
        "$@" >/dev/null 2>&1
        end=$(date +%s.%N)
        awk -v a="$start" -v b="$end" 'BEGIN { print b - a }'
    done | median
}
peak_mb() { /usr/bin/python3 -c 'import resource,subprocess,sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' "$@"; }

mkdir -p "$data"
[ -d "$data/year" ] || "$afluxo" generate ons --out "$data/year" --from 2023-01-01 --to 2024-01-01 --plants 710 --quiet
year="$data/year/dataset=generation"
[ -f "$data/duckdb.parquet" ] || "$python" bench/peers.py make "$year" "$data" >"$data/rows" || echo "(pyarrow or DuckDB is missing: rows without them)"
rows=6219600

echo "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg), $(date -u +%F)"
echo
row "work" "afluxo" "beside it"
row "---" "---" "---"
for file in pyarrow-int96 pyarrow duckdb; do
    [ -f "$data/$file.parquet" ] || continue
    ours=$(pin "$BUILD/bench/parquet_bench" "$data/$file.parquet" | sed -nE 's/.*: ([0-9.]+) M rows\/s.*/\1/p' | head -n 1)
    duck=$(pin "$python" bench/peers.py duckdb "$data/$file.parquet")
    arrow=$(pin "$python" bench/peers.py pyarrow "$data/$file.parquet")
    row "Parquet decode, 6 columns, snappy, by $file" "$ours M rows/s" \
        "DuckDB $(millions "$duck"): $(ratio "${ours}e6" "$duck")x; pyarrow $(millions "$arrow"): $(ratio "${ours}e6" "$arrow")x"
done
encode=$(pin "$BUILD/bench/encode_bench" | head -n 1)
row "columns to line protocol" "$(echo "$encode" | grep -oE '[0-9.]+ GB/s' | head -n 1)" "$(echo "$encode" | sed -E 's/.*bytes; //')"
parse=$(pin "$BUILD/bench/parse_bench" | head -n 1)
row "line protocol parse, checked" "$(echo "$parse" | grep -oE '[0-9.]+ GB/s' | head -n 1)" "$(echo "$parse" | sed -E 's/.*bytes; //')"
one=$(seconds pin "$afluxo" convert "$year" -o /dev/null --workers 1 --quiet)
rate=$(ratio $rows "$one")
if [ -f "$data/pyarrow.parquet" ]; then
    points=$(pin "$python" bench/peers.py points "$data/pyarrow.parquet")
    frames=$(pin "$python" bench/peers.py dataframe "$data/pyarrow.parquet")
    row "Parquet file to line protocol, one core" "$(millions "$rate") rows/s" \
        "influxdb-client: Point a row $(ratio "$rate" "$points")x, DataFrame $(ratio "$rate" "$frames")x"
else
    row "Parquet file to line protocol, one core" "$(millions "$rate") rows/s" "influxdb-client: not installed"
fi
four=("$year" "$year" "$year" "$year")
w1=$(seconds "$afluxo" convert "${four[@]}" -o /dev/null --workers 1 --quiet)
w2=$(seconds "$afluxo" convert "${four[@]}" -o /dev/null --workers 2 --quiet)
both=$(seconds sh -c '"$1" convert "$2" "$2" "$2" "$2" -o /dev/null --workers 1 -q & "$1" convert "$2" "$2" "$2" "$2" -o /dev/null --workers 1 -q & wait' - "$afluxo" "$year")
row "two workers against one" "$(awk -v a="$w1" -v b="$w2" 'BEGIN { printf "%.2fx", a / b }')" \
    "the machine: two processes at once give $(awk -v a="$w1" -v b="$both" 'BEGIN { printf "%.2fx", 2 * a / b }')"
pin "$BUILD/bench/numbers_bench" | sed -nE 's/^(.*[^ ])  +print +([0-9.]+) ns .*, +([0-9.]+)x\) +read +([0-9.]+) ns .*, +([0-9.]+)x\).*/\1|\2|\3|\4|\5/p' |
    while IFS='|' read -r what print print_x read read_x; do
        row "float print / read: $what" "$print / $read ns" "snprintf %.17g ${print_x}x, strtod ${read_x}x"
    done
row "peak memory, convert, 12 files" "$(peak_mb "$afluxo" convert "$year" -o /dev/null) MB" "128 MB is the ceiling"
if [ "${BENCH_BIG:-}" = 1 ]; then
    [ -d "$data/big" ] || "$afluxo" generate ons --out "$data/big" --from 2023-01-01 --to 2024-01-01 --plants 4000 --step 3m --codec none --quiet
    big=$(find "$data/big" -name '*.parquet' -size +1G | head -n 1)
    row "peak memory, convert, $(du -h --apparent-size "$big" | cut -f1) file" "$(peak_mb "$afluxo" convert "$big" -o /dev/null) MB" "128 MB is the ceiling"
fi
