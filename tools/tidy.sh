#!/bin/bash
# Style as a test: layers, headers that compile alone, banned calls, homes of system headers, sizes of functions, words.
# Each check is one test; the last line counts them.
set -u
cd "$(dirname "$0")/.."
passed=0
failed=0
CC=${CC:-gcc}
files=$(find src -name '*.[ch]' | sort)
code=$(find src -name '*.c' ! -name '*_test.c' ! -name '*_fuzz.c' ! -name '*_bench.c' | sort)

check() { # name, then a command that prints what is wrong
    local out
    out=$("${@:2}" 2>&1)
    if [ -z "$out" ]; then
        passed=$((passed + 1))
    else
        echo "tidy: $1"
        echo "$out" | head -n 40
        failed=$((failed + 1))
    fi
}

layers() { awk -v open="base os codec data net store aws" -f tools/layers.awk docs/layers.txt $files || true; }

headers_alone() {
    local h
    for h in $(find src -name '*.h' | sort); do
        echo "#include \"${h#src/}\"" | $CC -std=c17 -D_GNU_SOURCE -Wall -Wextra -Isrc -I. -fsyntax-only -x c - 2>&1 | head -n 3
    done
}

banned() { # calls that have a better way here
    grep -nE '\b(strcpy|strcat|sprintf|vsprintf|strtok|gmtime|localtime|mktime|atoi|atol|atof|strtod|strtof|gets|alloca)\(' $code
    grep -nE '\b(malloc|calloc|realloc|aligned_alloc)\(' $(echo "$code" | grep -v 'src/base/alloc.c')
    grep -nE '\b(exit|abort|printf|puts)\(' $(echo "$code" | grep -v '^src/cli/') | grep -vE 'af_[a-z_]*printf\(|snprintf\('
    grep -nE '\bgetenv\(' $(echo "$code" | grep -vE '^src/(cli|net|aws|lambda)/')
}

homes() { # a system or library header has one home
    local header home
    while read -r header home; do
        grep -nE "^#include <$header>" $code | grep -vE "^($home)"
    done <<'LIST'
unistd\.h src/os/
fcntl\.h src/os/
sys/[a-z]*\.h src/os/|src/net/serve
dirent\.h src/os/
curl/curl\.h src/net/
microhttpd\.h src/net/
sqlite3\.h src/meta/
crypt\.h src/meta/
openssl/.* src/codec/digest\.c
snappy-c\.h src/codec/snappy\.c
zstd\.h src/codec/zstd\.c
lz4\.h src/codec/lz4\.c
brotli/.* src/codec/brotli\.c
libdeflate\.h src/codec/
yaml\.h src/format/yaml/
yajl/.* src/format/json/
expat\.h src/format/xml/
xxhash\.h src/base/hash\.c
LIST
    grep -nE '^#include <pthread\.h>' $code $(find src -name '*.h') | grep -v '^src/os/'
}

# Functions over 70 lines: none, but for those listed in tools/long-functions.txt, a list that may only shrink.
long_functions() {
    awk '
        FNR == 1 { open_line = 0 }
        /^[a-z].*\)$/ || /^[a-z].*[,(]$/ || /^ .*\)$/ { if (!open_line) head = $0; if ($0 ~ /^[a-z]/) head = $0 }
        /^\{$/ { open_line = FNR; name = head }
        /^\}$/ && open_line { if (FNR - open_line - 1 > 70) print FILENAME ": " FNR - open_line - 1 " lines: " name; open_line = 0 }
    ' $code
}

long_files() { wc -l $files | awk '$2 != "total" && $1 > 1500 { print $2 ": " $1 " lines" }'; }
long_lines() { awk 'length($0) > 140 { print FILENAME ":" FNR ": " length($0) " columns" }' $files; }
languages() { # no name of a query language below lang/
    for d in src/exec src/plan src/fn; do [ ! -d $d ] || grep -rniwE 'influxql|flux|tsql' $d; done
}
infra_docs() { command -v python3 >/dev/null || return 0; python3 tools/infra_docs.py --check; }
limits_doc() { awk -f tools/limits.awk src/base/limits.h | diff -q - docs/limits.md >/dev/null || echo "docs/limits.md is old: make docs"; }
readmes() { for d in src/*/ src/format/*/; do [ "$d" = src/format/ ] || [ -f "$d/README.md" ] || echo "$d has no README.md"; done; }
marks() { grep -nE '\b(TODO|FIXME|XXX|HACK)\b' $files tools/* test/e2e/* 2>/dev/null | grep -v '^tools/tidy.sh'; }
headers_used() { # a header nobody includes
    local h
    for h in $(find src -name '*.h'); do
        grep -rqF "\"${h#src/}\"" src || echo "$h: nobody includes it"
    done
}
shells() { command -v shellcheck >/dev/null || return 0; shellcheck -S error $(git ls-files "*.sh") .ci/run; }

check "layers" layers
check "headers that compile alone" headers_alone
check "headers that nobody includes" headers_used
check "banned calls" banned
check "homes of headers" homes
check "functions over 70 lines" long_functions
check "files over 1,500 lines" long_files
check "lines over 140 columns" long_lines
check "languages below lang/" languages
check "docs/limits.md" limits_doc
check "READMEs of infra/" infra_docs
check "a README in every folder" readmes
check "unfinished marks" marks
check "shell scripts" shells
echo "$passed passed, $failed failed"
[ $failed = 0 ]
