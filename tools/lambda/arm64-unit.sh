#!/bin/sh
# Unit tests of the rooms that compute with vectors, compiled for arm64 and run by qemu: is NEON what SSE2 is? DIR has sysroot/, see build.sh.
#
#     tools/lambda/arm64-unit.sh DIR [TEST]
set -eu
cd "$(dirname "$0")/../.."
arch=arm64
. tools/lambda/flags.sh
out=$(cd "$1" && pwd)
sys=$out/sysroot/usr
make --no-print-directory -j"$(nproc)" BUILD="$out/unit" DIRS="base os codec data format/csv format/lp format/tsm" CC=$triple-gcc TEST_LIB="test/lib/test_main.c" \
    TEST_FLAGS="-O2 -g0 -DAF_TEST_BUILD $flags -static -isystem $sys/include -isystem $sys/include/$triple -L$sys/lib/$triple" \
    LIBS="-lcrypto -lsnappy -lzstd -llz4 -lbrotlidec -lbrotlienc -lbrotlicommon -ldeflate -lxxhash -lpcre2-8 -lstdc++ -lm" "$out/unit/unit"
qemu-aarch64-static "$out/unit/unit" ${2:-src/base/ src/codec/ src/data/ src/format/}
