# shellcheck shell=sh
# Sourced: what the static builds of one architecture need. Takes $arch (amd64, arm64); sets $triple, and $flags for the compiler.
case $arch in
amd64) triple=x86_64-linux-gnu flags="" ;;
# SSE2 by NEON, and plain char as on x86: one source for both.
arm64) triple=aarch64-linux-gnu flags="-isystem tools/lambda/arm64 -include tools/lambda/arm64/arch.h -fsigned-char" ;;
*) echo "amd64 or arm64, not $arch" >&2; exit 2 ;;
esac
