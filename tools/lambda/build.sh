#!/bin/sh
# function.zip for one architecture: the program `bootstrap`, static, and a bundle of certificates for systems that have none.
#
#     tools/lambda/build.sh amd64|arm64 OUT       leaves OUT/bootstrap and OUT/function.zip
set -eu
cd "$(dirname "$0")/../.."
arch=$1
out=$2
. tools/lambda/flags.sh
tools/lambda/sysroot.sh "$arch" "$out"
out=$(cd "$out" && pwd)
sys=$out/sysroot/usr
make --no-print-directory -j"$(nproc)" BUILD="$out/obj" CC=$triple-gcc SYSROOT="$sys" TRIPLE=$triple STATIC_ARCH="$flags" \
    "$out/obj/bootstrap"
cp "$out/obj/bootstrap" "$out/bootstrap"
# What is linked in, for whoever must answer for it: names and versions of Debian's packages.
{
    echo "curl $(cat "$out/curl-version") (source, HTTP and TLS only)"
    sed 's/_/ /' "$out/packages"
} >"$out/LINKED"
python3 tools/lambda/zip.py "$out/function.zip" bootstrap="$out/bootstrap" ca-bundle.pem=/etc/ssl/certs/ca-certificates.crt \
    LICENSE=LICENSE LINKED="$out/LINKED"
ls -l "$out/bootstrap" "$out/function.zip" | awk '{ print $9 ": " $5 " bytes" }'
