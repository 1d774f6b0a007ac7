#!/bin/bash
# The main job on sample data: two years of hourly grid data, from Parquet into a real InfluxDB, proven equal on both sides.
# Everything stays below ./demo-data; the server listens on loopback only and stops with this script.
set -euo pipefail
afluxo=${1:-build/afluxo}
dir=demo-data
plants=${DEMO_PLANTS:-300}
rm -rf "$dir"
mkdir -p "$dir/influxdb"

port=$(tools/free_port.sh)
rpc=$(tools/free_port.sh)
cat >"$dir/influxdb.conf" <<CONF
reporting-disabled = true
bind-address = "127.0.0.1:$rpc"
[meta]
  dir = "$PWD/$dir/influxdb/meta"
[data]
  dir = "$PWD/$dir/influxdb/data"
  wal-dir = "$PWD/$dir/influxdb/wal"
  index-version = "inmem"
  max-series-per-database = 0
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:$port"
  log-enabled = false
[monitor]
  store-enabled = false
CONF
influxd run -config "$dir/influxdb.conf" >"$dir/influxdb.log" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null; wait $pid 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    curl -fsS -o /dev/null "http://127.0.0.1:$port/ping" 2>/dev/null && break
    sleep 0.1
done
url=http://127.0.0.1:$port

step() { printf '\n$ %s\n' "$*"; "$@"; }
echo "InfluxDB $(curl -fsSI "$url/ping" | tr -d '\r' | sed -n 's/^X-Influxdb-Version: //p') runs at $url"
step "$afluxo" generate ons --out "$dir/parquet" --from 2023-01-01 --to 2025-01-01 --plants "$plants"
step "$afluxo" inspect schema "$dir/parquet/dataset=generation/year=2024/month=06"
step "$afluxo" migrate "$dir/parquet" --to "$url" --bucket energy_data --create --verify --state "$dir/state"
step "$afluxo" query --from "$url" --bucket energy_data --format csv \
    "SELECT mean(power_mw) FROM energy_data..generation_data WHERE time >= '2024-06-01' AND time < '2024-06-08' GROUP BY time(1d), energy_source"
cat <<NEXT

It is all below ./$dir (the server has stopped; rm -r $dir takes everything away). Try next:
  $afluxo migrate --help                     all options, and what the exit statuses mean
  $afluxo migrate --list-datasets            the ONS datasets it knows
  $afluxo convert FILE.parquet | head        line protocol, without a server
  $afluxo migrate FILES --dry-run            what would be written
NEXT
