#!/bin/bash
# Build a .deb of what `make install` installs, with the libraries it is linked to as its dependencies.
set -euo pipefail
build=${1:-build}
version=$("$build/afluxo" --version | cut -d' ' -f2)
arch=$(dpkg --print-architecture)
root=$build/deb/afluxo_${version}_$arch
rm -rf "$root"
make --no-print-directory install BUILD="$build" PREFIX=/usr DESTDIR="$root" >/dev/null
depends=$(ldd "$build/afluxo" | awk '$3 ~ /^\// { print $3 }' | xargs -n1 readlink -f | while read -r lib; do
    dpkg -S "$lib" 2>/dev/null || dpkg -S "${lib#/usr}" 2>/dev/null || true
done | cut -d: -f1 | grep -E '^lib(c6|curl4|snappy|zstd|lz4|brotli|deflate|yaml|yajl|xxhash)' | sort -u | paste -sd, | sed 's/,/, /g')
mkdir -p "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: afluxo
Version: $version
Architecture: $arch
Maintainer: The afluxo authors <afluxo@localhost>
Depends: $depends, ca-certificates
Section: database
Priority: optional
Description: moves grid time-series data into InfluxDB and proves that it arrived
 Reads Parquet, ONS CSV and line protocol, maps columns to measurements, tags
 and fields, writes durably to InfluxDB 1.x and 2.x and verifies both sides.
CONTROL
dpkg-deb --root-owner-group --build "$root" "$build/" >/dev/null
echo "$build/afluxo_${version}_$arch.deb"
