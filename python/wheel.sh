#!/bin/sh
# The wheel: the package with libafluxo in it, then auditwheel adds the libraries that a system may lack. Nothing is written into python/.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
python=${PYTHON:-${VENV:-build/venv}/bin/python}
work=$BUILD/python
rm -rf "$work/src" "$work/raw" "$work/dist"
mkdir -p "$work/src/src" "$work/raw" "$work/dist"
cp python/pyproject.toml python/setup.py python/README.md "$work/src/"
cp -R python/src/afluxo "$work/src/src/"
find "$work/src" -name __pycache__ -prune -exec rm -rf {} +
mkdir -p "$work/src/src/afluxo/_lib"
cp "$work/libafluxo.so" "$work/src/src/afluxo/_lib/"
python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
raw=$(cd "$work/raw" && pwd)
dist=$(cd "$work/dist" && pwd)
(cd "$work/src" && "$python" -c "from setuptools import build_meta; build_meta.build_wheel('$raw')" >"$raw/log" 2>&1) || { cat "$raw/log"; exit 1; }
PATH=$(dirname "$python"):$PATH "$python" -m auditwheel repair --wheel-dir "$dist" "$raw"/*.whl >"$raw/audit" 2>&1 || { cat "$raw/audit"; exit 1; }
ls -l "$dist"
