#!/bin/bash
# The main job on sample data: two years of hourly grid data, from Parquet into a data directory, proven equal, and served.
# Makes ./demo-parquet (the source) and ./demo-data (the database); the server listens on loopback only and stops with this script.
set -euo pipefail
afluxo=${1:-build/afluxo}
plants=${DEMO_PLANTS:-300}
rm -rf demo-data demo-parquet

step() { printf '\n$ %s\n' "$*"; "$@"; }
step "$afluxo" generate ons --out demo-parquet --from 2023-01-01 --to 2025-01-01 --plants "$plants"
step "$afluxo" inspect schema "demo-parquet/dataset=generation/year=2024/month=06"
step "$afluxo" migrate demo-parquet --to ./demo-data --bucket energy_data --verify --state demo-data.state
step "$afluxo" tsm verify ./demo-data
step "$afluxo" query 'SELECT mean(power_mw) AS mean, max(power_mw) AS peak FROM generation_data WHERE time >= '"'2024-12-01'"' GROUP BY region' \
    --from ./demo-data --bucket energy_data

port=$(tools/free_port.sh)
printf '\n$ %s\n' "$afluxo serve --data ./demo-data --listen 127.0.0.1:$port &"
"$afluxo" serve --data ./demo-data --listen "127.0.0.1:$port" &
pid=$!
trap 'kill $pid 2>/dev/null; wait $pid 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    curl -fsS -o /dev/null "http://127.0.0.1:$port/ping" 2>/dev/null && break
    sleep 0.1
done
url=http://127.0.0.1:$port
echo "demo_live,plant=itaipu power_mw=14000 $(date +%s)000000000" |
    step "$afluxo" write --to "$url" --org afluxo --bucket energy_data --token-file demo-data/operator-token --state demo-data.state
step "$afluxo" query 'SHOW MEASUREMENTS; SELECT last(power_mw) FROM demo_live GROUP BY plant' --from ./demo-data --bucket energy_data
step curl -fsS "$url/ready"
cat <<NEXT


./demo-data is the database: in InfluxDB's own format, readable by a real one (rm -r demo-data demo-parquet demo-data.state takes
everything away; the server has stopped). Try next:
  $afluxo query 'SELECT * FROM generation_data LIMIT 5' --from ./demo-data --bucket energy_data
  $afluxo serve --data ./demo-data             be a server: the 1.x API for Grafana and the influx shell, the 2.x write and management APIs
  $afluxo export --from ./demo-data --bucket energy_data | head
  $afluxo backup --from ./demo-data --help     a portable backup that influxd restores
  $afluxo migrate FILES --to http://host:8086  the same job into a running InfluxDB
  $afluxo migrate --list-datasets              the ONS datasets it knows
NEXT
