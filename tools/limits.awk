# limits.awk - print docs/limits.md from src/base/limits.h.
#
#     awk -f tools/limits.awk src/base/limits.h > docs/limits.md
#
# A line `NAME = value, /* what */` becomes a row, a comment alone on its line the heading of a table. Sizes are given as a person
# says them: 32 << 20 is 32 MiB, 1 << 20 rows are 1,048,576.

function thousands(n,   text, out) {
    text = sprintf("%d", n)
    while (length(text) > 3) {
        out = "," substr(text, length(text) - 2) out
        text = substr(text, 1, length(text) - 3)
    }
    return text out
}

function number_of(expr,   part) {
    if (split(expr, part, / *<< */) == 2)
        return part[1] * 2 ^ part[2]
    if (expr !~ /^[0-9]+$/) {
        print "limits.awk: line " FNR ": cannot read the value \"" expr "\"" > "/dev/stderr"
        bad = 1
    }
    return expr + 0
}

function show(name, n) {
    if (name !~ /_BYTES/)
        return thousands(n)
    if (n >= 2 ^ 30 && n % 2 ^ 30 == 0)
        return n / 2 ^ 30 " GiB"
    if (n >= 2 ^ 20 && n % 2 ^ 20 == 0)
        return n / 2 ^ 20 " MiB"
    if (n >= 2 ^ 10 && n % 2 ^ 10 == 0)
        return n / 2 ^ 10 " KiB"
    return thousands(n) " bytes"
}

BEGIN {
    print "# Limits"
    print ""
    print "Every queue, buffer, nesting depth and count that foreign input could grow has a ceiling. They are named in"
    print "`src/base/limits.h`, from which this page is printed (`tools/limits.awk`). Passing one is the error `ELIMIT`, and its"
    print "message names what was too large."
}

/^enum af_limits/ { inside = 1; next }
inside && /^}/ { inside = 0 }
!inside { next }

/^ *\/\* .* \*\/$/ {
    title = $0
    gsub(/^ *\/\* | \*\/$/, "", title)
    print ""
    print "## " (title == "csv" ? "CSV" : toupper(substr(title, 1, 1)) substr(title, 2))
    print ""
    print "| name | value | what it bounds |"
    print "|---|---:|---|"
    next
}

/^ *AF_[A-Z0-9_]+ = / {
    name = $1
    value = $0
    sub(/^[^=]*= /, "", value)
    sub(/,.*/, "", value)
    what = $0
    if (!sub(/^[^*]*\/\* /, "", what) || !sub(/ \*\/$/, "", what)) {
        print "limits.awk: line " FNR ": " name " has no comment on its line" > "/dev/stderr"
        bad = 1
    }
    print "| `" name "` | " show(name, number_of(value)) " | " what " |"
    rows++
}

END {
    if (rows == 0)
        print "limits.awk: no limits found" > "/dev/stderr"
    exit bad || rows == 0
}
