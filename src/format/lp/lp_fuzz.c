/*
 * lp_fuzz.c - any bytes as line protocol. Two properties:
 *   - fed whole or a line at a time, the points and the refused lines are the same (so the fast path is the grammar);
 *   - the points, encoded and parsed again, are the same points and no line is refused.
 */
#include "format/lp/dump.h"

struct seen {
    struct af_buf points;
    struct af_buf bad;
    struct af_lp_text again;  /* the points as lines */
    bool is_writable;
};

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void note_bad(void *ctx, const struct af_lp_bad_line *bad)
{
    struct seen *seen = ctx;
    af_buf_printf(&seen->bad, "%llu %s\n", (unsigned long long)bad->line, bad->reason);
}

/*
 * InfluxDB takes keys and names that cannot be written so that they are read back. Where one rule counts backslashes in pairs and
 * the other looks one byte back, a pair in front of a separator divides them; a newline inside a key ends the line when it no longer
 * starts with a space; a quote in a field name loses a backslash in front of it. Such points are taken as the server takes
 * them, and left out of the second property.
 */
static bool is_writable(struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\n')
            return false;
    for (size_t i = 1; i < text.len; i++)
        if (text.ptr[i - 1] == '\\' && (text.ptr[i] == '\\' || text.ptr[i] == '"'))
            return false;
    return true;
}

static void check_writable(struct seen *seen, const struct af_points *points)
{
    for (uint32_t i = 0; i < points->set->keys.count; i++)
        seen->is_writable &= is_writable(points->set->keys.keys[i]);
    for (size_t i = 0; i < points->field_count; i++)
        seen->is_writable &= is_writable(points->fields[i].escaped) && points->fields[i].escaped.ptr[0] != '\t' &&
                             points->fields[i].escaped.ptr[0] != '\0' && points->fields[i].escaped.ptr[0] != '"' &&
                             !af_slice_is(points->fields[i].name, "time");
}

static void read_all(struct af_slice text, bool by_line, enum af_precision precision, struct seen *seen)
{
    struct af_lp_parse_options options = { .precision = precision, .allow_unsigned = true, .default_time_ns = 77000000000 };
    options.bad_line = note_bad;
    options.ctx = seen;
    struct af_lp_parser *parser;
    struct af_arena arena;
    *seen = (struct seen){ .is_writable = true };
    af_buf_init(&seen->points, (size_t)1 << 32);
    af_buf_init(&seen->bad, (size_t)1 << 32);
    af_lp_text_init(&seen->again);
    af_arena_init(&arena, (size_t)1 << 32);
    must(af_lp_parser_new(&options, &parser, NULL) == AF_OK);
    for (size_t at = 0; at < text.len;) {
        size_t end = by_line ? af_lp_line_end(text, at) : text.len;
        struct af_points points;
        size_t used;
        must(af_lp_parse(parser, (struct af_slice){ text.ptr + at, end - at }, true, &arena, &points, NULL, &used, NULL) == AF_OK);
        must(used > 0 && used <= end - at);
        dump_points(&seen->points, &points);
        check_writable(seen, &points);
        must(af_lp_encode(&points, precision, &seen->again, 1, NULL) == AF_OK);
        must(!by_line || points.row_count <= 1);
        af_arena_reset(&arena);
        at += used;
    }
    af_lp_parser_free(parser);
    af_arena_done(&arena);
}

static void forget(struct seen *seen)
{
    af_buf_done(&seen->points);
    af_buf_done(&seen->bad);
    af_lp_text_done(&seen->again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum af_precision precision = (enum af_precision)(data[0] % 4);
    /* A copy of exact size: reading past it is seen. */
    char *text = malloc(size - 1 + (size == 1));
    must(text != NULL);
    memcpy(text, data + 1, size - 1);
    struct af_slice slice = { text, size - 1 };
    struct seen whole;
    struct seen lines;
    struct seen again;
    read_all(slice, false, precision, &whole);
    read_all(slice, true, precision, &lines);
    must(af_slice_eq(af_buf_slice(&whole.points), af_buf_slice(&lines.points)));
    must(af_slice_eq(af_buf_slice(&whole.bad), af_buf_slice(&lines.bad)));
    if (whole.is_writable) {
        read_all(af_buf_slice(&whole.again.bytes), false, precision, &again);
        must(again.bad.len == 0);
        must(af_slice_eq(af_buf_slice(&whole.points), af_buf_slice(&again.points)));
        forget(&again);
    }
    forget(&whole);
    forget(&lines);
    free(text);
    return 0;
}
