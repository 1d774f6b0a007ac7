/*
 * text.c - the small parts of lp.h: precisions, the owner of encoded lines, and where a line ends.
 *
 * A line ends at a newline that is outside a quoted string. Whether a quote opens a string is decided as InfluxDB does it, by counting
 * after the first space: a string can only open where more '=' than ',' were seen. A backslash hides the byte behind it, a
 * newline too. So comments and lines that are wrong in other ways also swallow newlines after an odd quote.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "format/lp/lp_int.h"

static const struct {
    const char *name;
    int64_t ns;
} precisions[] = {
    [AF_PRECISION_NS] = { "ns", 1 },
    [AF_PRECISION_US] = { "us", 1000 },
    [AF_PRECISION_MS] = { "ms", 1000000 },
    [AF_PRECISION_S] = { "s", 1000000000 },
    [AF_PRECISION_M] = { "m", INT64_C(60) * 1000000000 },
    [AF_PRECISION_H] = { "h", INT64_C(3600) * 1000000000 },
};

bool af_precision_parse(struct af_slice name, enum af_precision *out)
{
    if (af_slice_is(name, "u"))
        name = AF_SLICE_LIT("us");
    for (unsigned i = 0; i <= AF_PRECISION_S; i++) {
        if (af_slice_is(name, precisions[i].name)) {
            *out = (enum af_precision)i;
            return true;
        }
    }
    return false;
}

const char *af_precision_name(enum af_precision precision)
{
    return precisions[precision].name;
}

int64_t af_precision_ns(enum af_precision precision)
{
    return precisions[precision].ns;
}

void af_lp_text_init(struct af_lp_text *text)
{
    *text = (struct af_lp_text){ 0 };
    af_buf_init(&text->bytes, UINT32_MAX);
}

void af_lp_text_done(struct af_lp_text *text)
{
    af_buf_done(&text->bytes);
    af_free(text->ends);
    af_free(text->rows);
    *text = (struct af_lp_text){ 0 };
}

void af_lp_text_clear(struct af_lp_text *text)
{
    af_buf_clear(&text->bytes);
    text->line_count = 0;
    text->value_count = 0;
}

struct af_slice af_lp_text_line(const struct af_lp_text *text, size_t line)
{
    size_t start = line == 0 ? 0 : text->ends[line - 1];
    return (struct af_slice){ text->bytes.ptr + start, text->ends[line] - 1 - start };
}

/* --- where a line ends ------------------------------------------------------------------------------------------------------- */

/* Past the byte that the backslash at `p` hides. */
static const char *skip_pair(const char *p, const char *end)
{
    return end - p > 2 ? p + 2 : end;
}

/* The closing quote of the string whose first byte is at `p`, or end. */
static const char *string_end(const char *p, const char *end)
{
    for (;;) {
        p = lp_find3(p, end, '"', '\\', '"');
        if (p == end || *p == '"')
            return p;
        p = skip_pair(p, end);
    }
}

size_t lp_line_end(struct af_slice text, size_t at, bool *out_has_newline)
{
    const char *p = text.ptr + at;
    const char *end = text.ptr + text.len;
    *out_has_newline = true;
    /* In front of the first space only backslashes matter. */
    for (;;) {
        p = lp_find3(p, end, ' ', '\\', '\n');
        if (p < end && *p == '\n')
            return (size_t)(p + 1 - text.ptr);
        if (p == end || *p == ' ')
            break;
        p = skip_pair(p, end);
    }
    for (ptrdiff_t owed = 0; p < end; p++) { /* owed: '=' minus ',' */
        switch (*p) {
        case '=': owed++; break;
        case ',': owed--; break;
        case '\n': return (size_t)(p + 1 - text.ptr);
        case '\\': p = skip_pair(p, end) - 1; break;
        case '"':
            if (owed > 0)
                p = string_end(p + 1, end);
            break;
        default: break;
        }
    }
    *out_has_newline = false;
    return text.len;
}

size_t af_lp_line_end(struct af_slice text, size_t at)
{
    bool has_newline;
    return lp_line_end(text, at, &has_newline);
}

bool lp_is_blank_or_comment(struct af_slice block, size_t *out_start)
{
    size_t start = 0;
    while (start < block.len && (block.ptr[start] == ' ' || block.ptr[start] == '\t' || block.ptr[start] == '\0'))
        start++;
    *out_start = start;
    return start == block.len || block.ptr[start] == '#';
}

bool af_lp_line_key(struct af_slice line, struct af_buf *out_key)
{
    const struct lp_rules rules = { .precision = AF_PRECISION_NS, .allow_unsigned = true };
    char reason[LP_REASON_MAX];
    struct lp_line parts;
    size_t start;
    if (line.len > 0 && line.ptr[line.len - 1] == '\n')
        line.len--;
    if (lp_is_blank_or_comment(line, &start))
        return false;
    line = (struct af_slice){ line.ptr + start, line.len - start };
    if (lp_line_scan(line, &rules, &parts, reason) != AF_OK)
        return false;
    size_t mark = out_key->len;
    enum af_status status = AF_OK;
    if (parts.key_is_sorted)
        af_buf_append_slice(out_key, parts.key);
    else
        status = lp_key_sorted(parts.key, out_key, NULL);
    if (status == AF_OK && !out_key->failed)
        return true;
    af_buf_rewind(out_key, mark);
    return false;
}
