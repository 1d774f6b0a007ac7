#!/bin/bash
# Every figure of the bench beside its peer, as ratios taken in this run, and what bounds it. BENCH_BIG=1: also the peak memory on a 5 GB
# file. --quick: does each program still run and print a figure? Ends "N passed, N failed"; the figures mean nothing then.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
afluxo=$BUILD/afluxo
data=$BUILD/bench-data
python=${VENV:-build/venv}/bin/python
core=${BENCH_CORE:-1}
pin() { taskset -c "$core" "$@"; }
calc() { awk "BEGIN { $1 }"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf a / b < 10 ? "%.1f" : "%.0f", a / b; else printf "?" }'; }
millions() { awk -v a="$1" 'BEGIN { if (a < 1e6) printf "%.0f k", a / 1e3; else printf "%.1f M", a / 1e6 }'; }
row() { printf '| %-46s | %-12s | %-62s | %s |\n' "$@"; }
measure() { python3 bench/measure.py "$@"; }
# Rows or bytes per second of a peer, or nothing if it is not there.
peer() { pin "$python" bench/peers.py "$@" 2>/dev/null || true; }
beside() { # NAME OURS THEIRS
    if [ -n "$3" ]; then echo "$1 $(millions "$3"): $(ratio "$2" "$3")x"; else echo "$1: not installed"; fi
}
make_year() { # DIR PLANTS TO
    [ -d "$1" ] || "$afluxo" generate ons --out "$1" --from 2023-01-01 --to "$3" --plants "$2" --quiet
}

# --- --quick ----------------------------------------------------------------------------------------------------------------
passed=0
failed=0
check() { # NAME COMMAND...: it must end well and its last line must hold a number that is not 0
    local name=$1 out
    shift
    if out=$("$@" 2>&1) && grep -qE '[1-9]' <<<"$(tail -n 1 <<<"$out")"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s: no figure\n%s\n' "$name" "$out"
    fi
}
quick() {
    local b
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    make_year "$dir/year" 20 2023-02-01
    awk 'BEGIN { print "id;din;val"; for (i = 0; i < 20000; i++) printf "SE;2023-01-01 %02d:00:00;%d.25\n", i % 24, i }' >"$dir/rows.csv"
    local month=$dir/year/dataset=generation/year=2023/month=01/part-000.parquet
    for b in "$BUILD"/bench/*_bench; do
        case $(basename "$b") in
        parquet_bench) check "$b" "$b" "$month" 1 ;;
        encode_bench | parse_bench) check "$b" "$b" 2 ;;
        bits_bench) check "$b" "$b" 5 ;;
        csv_bench) check "$b" "$b" "$dir/rows.csv" ;;
        sink_bench) check "$b" "$b" 16 ;;
        engine_bench) check "$b" "$b" "$dir" 0.1 ;;
        cache_bench) check "$b" "$b" 4 ;;
        index_bench) check "$b" "$b" 20000 ;;
        scan_bench) check "$b" "$b" 500 ;;
        *) check "$b" "$b" ;;
        esac
    done
    check "peers.py make" "$python" bench/peers.py make "$dir/year/dataset=generation" "$dir"
    for b in pyarrow duckdb points dataframe; do check "peers.py $b" "$python" bench/peers.py $b "$dir/pyarrow.parquet"; done
    "$afluxo" convert "$month" -o "$dir/lines" --quiet
    check "measure.py cpu" python3 bench/measure.py cpu -n 1 "$afluxo" convert "$month" -o /dev/null --quiet
    check "measure.py peak" python3 bench/measure.py peak "$afluxo" convert "$month" -o /dev/null --quiet
    check "influxd.py rate" python3 bench/influxd.py rate "$dir/lines"
    check "influxd.py peak" python3 bench/influxd.py peak "$afluxo" "$month" 5
    check "python.py" "$python" bench/python.py --quick
    check "cost.py" "$python" bench/cost.py --quick
    check "s3.py" "$python" bench/s3.py --quick
    for b in plants cpu series start latency migrate; do check "server.py $b" python3 bench/server.py --quick $b; done
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
}
if [ "${1:-}" = --quick ]; then
    quick
    exit
fi

# --- data, made once ------------------------------------------------------------------------------------------------------------
mkdir -p "$data"
make_year "$data/year" 710 2024-01-01
year="$data/year/dataset=generation"
rows=6219600
[ -f "$data/duckdb.parquet" ] || "$python" bench/peers.py make "$year" "$data" >"$data/rows" || echo "(pyarrow or DuckDB is missing: rows without them)"
[ -f "$data/lines" ] || "$afluxo" convert "$year/year=2023/month=01" -o "$data/lines" --quiet

echo "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg), $(date -u +%F)"
echo
row "work" "afluxo" "beside it" "what bounds it"
row "---" "---" "---" "---"

# --- one core -------------------------------------------------------------------------------------------------------------------
for file in pyarrow-int96 pyarrow duckdb; do
    [ -f "$data/$file.parquet" ] || continue
    report=$(pin "$BUILD/bench/parquet_bench" "$data/$file.parquet")
    ours=$(sed -nE '1s/.*: ([0-9.]+) M rows\/s.*/\1e6/p' <<<"$report")
    share=$(awk 'NR > 1 { all += $4; if ($1 == "value") v = $4 } END { printf "%.0f", 100 * v / all }' <<<"$report")
    row "Parquet decode, 6 columns, snappy, by $file" "$(millions "$ours") rows/s" \
        "$(beside DuckDB "$ours" "$(peer duckdb "$data/$file.parquet")"); $(beside pyarrow "$ours" "$(peer pyarrow "$data/$file.parquet")")" \
        "the column of floats: $share % of it"
done
numbers=$(pin "$BUILD/bench/numbers_bench")
number() { awk -v field="$1" '/^17 digits/ { for (i = 1; i < NF; i++) if ($i == field) print $(i + 1) }' <<<"$numbers"; }
share() { awk -v part="$1" -v all="$(sed -nE 's/.*, ([0-9.]+) ns a line.*/\1/p' <<<"$2")" 'BEGIN { printf "%.0f of %.0f ns a line", part, all }'; }
encode=$(pin "$BUILD/bench/encode_bench" | head -n 1)
row "columns to line protocol" "$(grep -oE '[0-9.]+ GB/s' <<<"$encode" | head -n 1)" "${encode#*bytes; }" "printing the float: $(share "$(number print)" "$encode")"
parse=$(pin "$BUILD/bench/parse_bench" | head -n 1)
parse_rate=$(grep -oE '[0-9.]+ GB/s' <<<"$parse" | head -n 1)
row "line protocol parse, checked" "$parse_rate" "${parse#*bytes; }" "reading the float: $(share "$(number read)" "$parse")"
influxd=$(python3 bench/influxd.py rate "$data/lines" 2>/dev/null || true)
row "  beside influxd's /write of such lines, all cores" "$parse_rate" \
    "$([ -n "$influxd" ] && echo "influxd $influxd MB/s: $(ratio "${parse_rate% GB/s}e3" "$influxd")x" || echo "influxd: not installed")" "it stores them, we only read them"
one=$(measure cpu taskset -c "$core" "$afluxo" convert "$year" -o /dev/null --workers 1 --quiet)
rate=$(calc "print $rows / $one")
row "Parquet file to line protocol, one core" "$(millions "$rate") rows/s" \
    "influxdb-client: $(beside "Point a row" "$rate" "$(peer points "$data/pyarrow.parquet")"); $(beside DataFrame "$rate" "$(peer dataframe "$data/pyarrow.parquet")")" \
    "$(awk -v all="$rate" -v e="$(sed -nE 's/.*, ([0-9.]+) ns a line.*/\1/p' <<<"$encode")" 'BEGIN { printf "encoding: %.0f of %.0f ns a row", e, 1e9 / all }')"
sed -nE 's/^(.*[^ ])  +print +([0-9.]+) ns .*, +([0-9.]+)x\) +read +([0-9.]+) ns .*, +([0-9.]+)x\).*/\1|\2|\3|\4|\5/p' <<<"$numbers" |
    while IFS='|' read -r what print print_x read read_x; do
        row "float print / read: $what" "$print / $read ns" "snprintf %.17g ${print_x}x, strtod ${read_x}x" "arithmetic: all in cache"
    done

# --- more cores, and memory --------------------------------------------------------------------------------------------------------
four=("$year" "$year" "$year" "$year")
w1=$(measure wall "$afluxo" convert "${four[@]}" -o /dev/null --workers 1 --quiet)
w2=$(measure wall "$afluxo" convert "${four[@]}" -o /dev/null --workers 2 --quiet)
# shellcheck disable=SC2016
both=$(measure wall sh -c '"$1" convert "$2" "$2" "$2" "$2" -o /dev/null --workers 1 -q & "$1" convert "$2" "$2" "$2" "$2" -o /dev/null --workers 1 -q & wait' - "$afluxo" "$year")
row "two workers against one" "$(calc "printf \"%.2fx\", $w1 / $w2")" \
    "two processes at once give $(calc "printf \"%.2fx\", 2 * $w1 / $both")" "what the machine gives to two"
row "peak memory, convert, 12 files" "$(measure peak "$afluxo" convert "$year" -o /dev/null --quiet) MB" "128 MB is the ceiling" "batches and text in flight"
if [ "${BENCH_BIG:-}" = 1 ]; then
    # January of 4,000 plants every 20 s: 536 M rows in one file.
    [ -d "$data/big" ] || "$afluxo" generate ons --out "$data/big" --from 2023-01-01 --to 2023-02-01 --plants 4000 --step 20s --codec none --quiet
    big=$data/big/dataset=generation/year=2023/month=01/part-000.parquet
    size=$(du -h --apparent-size "$big" | cut -f1)
    row "peak memory, convert, one file of $size" "$(measure peak "$afluxo" convert "$big" -o /dev/null --quiet) MB" "128 MB is the ceiling" "batches and text in flight"
    row "peak memory, migrate, 2 minutes of the same" "$(python3 bench/influxd.py peak "$afluxo" "$big" 120) MB" "128 MB is the ceiling" "--memory"
fi

# --- the engine and the server ------------------------------------------------------------------------------------------------------
echo
echo "afluxo serve beside its peers:"
python3 bench/server.py

echo
echo "queries beside its peers:"
python3 bench/query.py

echo
echo "tables to line protocol in Python:"
"$python" bench/python.py

echo
echo "one object as a Lambda function:"
"$python" bench/cost.py

echo
echo "objects of S3:"
"$python" bench/s3.py 3 ${BENCH_BIG:+--large}
