# layers.awk - who may include whom, from docs/layers.txt.
#
#     awk -v open="base os codec data net store" -f tools/layers.awk docs/layers.txt FILES...
#
# A line of layers.txt is `folder: folders it may include`. A folder's front door is folder/last-name.h; in the folders named by
# `open` every header is a door. A quoted include of anything else is private to its folder.
function home(path,   n, i, p, part, best) {
    n = split(path, part, "/")
    best = ""
    for (i = 1; i < n; i++) {
        p = i == 1 ? part[1] : p "/" part[i]
        if (p in known) best = p
    }
    return best
}
BEGIN {
    n = split(open, list, " ")
    for (i = 1; i <= n; i++) is_open[list[i]] = 1
}
FILENAME ~ /layers\.txt$/ {
    if ($0 ~ /^#/ || NF == 0) next
    sub(/:/, "", $1)
    known[$1] = 1
    for (i = 2; i <= NF; i++) may[$1, $i] = 1
    next
}
/^#include "/ {
    split($0, quoted, "\"")
    file = FILENAME
    sub(/^.*src\//, "", file)
    from = home(file)
    to = home(quoted[2])
    if (from == "") { print FILENAME ": its folder is not in docs/layers.txt"; bad = 1; nextfile }
    is_test = file ~ /_(test|fuzz|bench)\.c$/
    if (to == "" || from == to) next
    depth = split(to, part, "/")
    door = to "/" part[depth] ".h"
    if (!((from, to) in may) && !is_test) { print FILENAME ":" FNR ": " from " may not include " to; bad = 1 }
    else if (!(to in is_open) && quoted[2] != door) { print FILENAME ":" FNR ": private; include " door; bad = 1 }
}
END { exit bad }
