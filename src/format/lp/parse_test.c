/* parse_test.c - lines to points: columns, batches, feeds cut anywhere, and back from points to lines and to points again. */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/prng.h"
#include "format/lp/dump.h"
#include "test/lib/test.h"
#include <stdio.h>

struct read {
    struct af_lp_parser *parser;
    struct af_arena arena;
    struct af_points points;
    uint64_t *lines;
    size_t used;
    uint64_t bad_count;
    char bad_raw[64];
    char bad_reason[160];
    uint64_t bad_line;
};

static void on_bad(void *ctx, const struct af_lp_bad_line *bad)
{
    struct read *r = ctx;
    r->bad_count++;
    r->bad_line = bad->line;
    snprintf(r->bad_raw, sizeof r->bad_raw, "%.*s", (int)(bad->raw.len < 60 ? bad->raw.len : 60), bad->raw.ptr);
    snprintf(r->bad_reason, sizeof r->bad_reason, "%s", bad->reason);
}

static void read_open(struct read *r, enum af_precision precision)
{
    struct af_lp_parse_options options = { .precision = precision, .default_time_ns = 1999, .allow_unsigned = true };
    options.bad_line = on_bad;
    options.ctx = r;
    struct af_error err = { 0 };
    memset(r, 0, sizeof *r);
    af_arena_init(&r->arena, 1 << 30);
    AF_CHECK_OK(af_lp_parser_new(&options, &r->parser, &err), err);
}

static void read_close(struct read *r)
{
    af_lp_parser_free(r->parser);
    af_arena_done(&r->arena);
}

static void feed(struct read *r, struct af_slice text, bool is_last)
{
    struct af_error err = { 0 };
    af_arena_reset(&r->arena);
    AF_CHECK_OK(af_lp_parse(r->parser, text, is_last, &r->arena, &r->points, &r->lines, &r->used, &err), err);
}

static void check_dump(const struct af_points *points, const char *want)
{
    struct af_buf got;
    af_buf_init(&got, 1 << 20);
    dump_points(&got, points);
    AF_CHECK_SLICE(af_buf_slice(&got), want);
    af_buf_done(&got);
}

static const struct af_point_field *field(const struct read *r, const char *name, enum af_type type)
{
    for (size_t i = 0; i < r->points.field_count; i++)
        if (af_slice_is(r->points.fields[i].name, name) && r->points.fields[i].column.type == type)
            return &r->points.fields[i];
    af_test_failed(__FILE__, __LINE__, "no field %s", name);
}

AF_TEST(lp_parse_reset)
{
    struct read r;
    read_open(&r, AF_PRECISION_NS);
    feed(&r, AF_SLICE_LIT("m,a=1 f=1 10\nm,a=1 f=1 11\nbad\n"), true);
    AF_CHECK_INT(r.points.time_ns[1], 11);
    AF_CHECK_INT(r.bad_line, 3);
    struct af_lp_parse_options options = { .precision = AF_PRECISION_M, .default_time_ns = 119 * INT64_C(1000000000), .bad_line = on_bad,
        .ctx = &r };
    af_lp_parser_reset(r.parser, &options);
    /* the fast path and the grammar (two spaces), a known series and another */
    feed(&r, AF_SLICE_LIT("m,a=1 f=1 2\nm,a=1  f=1 3\nm,a=1 f=1\nm,a=2 f=1\nm,a=1 f=1u 4\n"), true);
    AF_CHECK_INT(r.points.row_count, 4);
    AF_CHECK_INT(r.points.time_ns[0], 120 * INT64_C(1000000000));
    AF_CHECK_INT(r.points.time_ns[1], 180 * INT64_C(1000000000));
    AF_CHECK_INT(r.points.time_ns[2], 60 * INT64_C(1000000000));
    AF_CHECK_INT(r.points.time_ns[3], 60 * INT64_C(1000000000));
    AF_CHECK_INT(r.points.first_row, 0);
    AF_CHECK_INT(r.bad_line, 5); /* counted anew; and unsigned is refused now */
    options.precision = AF_PRECISION_H;
    af_lp_parser_reset(r.parser, &options);
    feed(&r, AF_SLICE_LIT("m,a=1 f=1 -1\n"), true);
    AF_CHECK_INT(r.points.time_ns[0], -3600 * INT64_C(1000000000));
    read_close(&r);
}

AF_TEST(lp_parse_columns)
{
    struct read r;
    read_open(&r, AF_PRECISION_NS);
    feed(&r,
         AF_SLICE_LIT("m,b=1,a=2 f=1.5,s=\"x\",t=true 10\n"
                      "m,a=2,b=1 f=2.5,s=\"\",t=false 11\n"
                      "n f=3i,u=7u 12\n"
                      "m,a=2,b=1 s=\"a\\\"\\\\\\b\" -13\n"),
         false);
    check_dump(&r.points, "m,a=2,b=1|f=f3ff8000000000000,s=s1:x,t=b1,|10\n"
                          "m,a=2,b=1|f=f4004000000000000,s=s0:,t=b0,|11\n"
                          "n|f=i3,u=u7,|12\n"
                          "m,a=2,b=1|s=s5:a\"\\\\b,|-13\n");
    AF_CHECK_INT(r.points.row_count, 4);
    AF_CHECK_INT(r.points.set->keys.count, 2);
    AF_CHECK_INT(r.points.field_count, 5);
    const struct af_column *f = &field(&r, "f", AF_TYPE_F64)->column;
    AF_CHECK_INT(f->null_count, 2);
    AF_CHECK_INT(f->validity[0], 0x3);
    AF_CHECK_INT(field(&r, "f", AF_TYPE_I64)->column.validity[0], 0x4);
    AF_CHECK_INT(field(&r, "s", AF_TYPE_STRING)->column.null_count, 1);
    AF_CHECK_INT(r.lines[3], 4);
    read_close(&r);
}

AF_TEST(lp_parse_dense_columns_have_no_bitmap)
{
    struct read r;
    struct af_buf text;
    read_open(&r, AF_PRECISION_NS);
    af_buf_init(&text, 1 << 24);
    for (int i = 0; i < 1000; i++)
        af_buf_printf(&text, "m,a=%d f=%d.25,i=%di,s=\"v%d\",t=%s %d\n", i % 7, i, -i, i, i % 3 == 0 ? "true" : "f", i);
    feed(&r, af_buf_slice(&text), true);
    AF_CHECK_INT(r.points.row_count, 1000);
    AF_CHECK_INT(r.points.field_count, 4);
    for (size_t i = 0; i < 4; i++)
        AF_CHECK(r.points.fields[i].column.validity == NULL && r.points.fields[i].column.null_count == 0);
    for (size_t row = 0; row < 1000; row++) {
        char want[16];
        snprintf(want, sizeof want, "v%zu", row);
        AF_CHECK_F64(field(&r, "f", AF_TYPE_F64)->column.f64[row], (double)row + 0.25);
        AF_CHECK_INT(field(&r, "i", AF_TYPE_I64)->column.i64[row], -(int64_t)row);
        AF_CHECK_SLICE(af_column_text(&field(&r, "s", AF_TYPE_STRING)->column, row), want);
        AF_CHECK_INT(af_bit_get(field(&r, "t", AF_TYPE_BOOL)->column.bits, row), row % 3 == 0);
        AF_CHECK_INT(r.points.series[row], row % 7);
        AF_CHECK_INT(r.points.time_ns[row], (int64_t)row);
    }
    af_buf_done(&text);
    read_close(&r);
}

AF_TEST(lp_parse_names_and_escapes)
{
    struct read r;
    read_open(&r, AF_PRECISION_NS);
    feed(&r, AF_SLICE_LIT("m a\\ b=1,c\\,d=2,e\\=f=3,g\\\"h=4,i\\j=5 1\nm a\\ b=6,c\\,d=7 2\n"), true);
    AF_CHECK_SLICE(field(&r, "a b", AF_TYPE_F64)->escaped, "a\\ b");
    AF_CHECK_SLICE(field(&r, "c,d", AF_TYPE_F64)->escaped, "c\\,d");
    AF_CHECK_SLICE(field(&r, "e=f", AF_TYPE_F64)->escaped, "e\\=f");
    AF_CHECK_SLICE(field(&r, "g\"h", AF_TYPE_F64)->escaped, "g\"h");
    AF_CHECK_SLICE(field(&r, "i\\j", AF_TYPE_F64)->escaped, "i\\j");
    AF_CHECK_INT(field(&r, "a b", AF_TYPE_F64)->column.null_count, 0);
    read_close(&r);
}

AF_TEST(lp_parse_the_later_of_two_wins)
{
    struct read r;
    read_open(&r, AF_PRECISION_NS);
    feed(&r,
         AF_SLICE_LIT("m f=1,f=2,s=\"long one\",s=\"b\" 1\nm f=3,f=4,s=\"x\",s=\"yy\" 2\nm f=5 3\nm s=\"q\",f=6,s=\"rr\",f=7 4\n"
                      "################################################################################\n"),
         true);
    check_dump(&r.points, "m|f=f4000000000000000,s=s1:b,|1\nm|f=f4010000000000000,s=s2:yy,|2\n"
                          "m|f=f4014000000000000,|3\nm|f=f401c000000000000,s=s2:rr,|4\n");
    read_close(&r);
}

AF_TEST(lp_parse_reports_bad_lines)
{
    struct read r;
    read_open(&r, AF_PRECISION_NS);
    feed(&r, AF_SLICE_LIT("# first\n\nm f=\"two\nlines\" 1\n  bad line\nm f=\"b\" 2\n"), true);
    AF_CHECK_INT(r.points.row_count, 2);
    AF_CHECK_INT(r.lines[0], 3);
    AF_CHECK_INT(r.lines[1], 6);
    AF_CHECK_INT(r.bad_count, 1);
    AF_CHECK_INT(r.bad_line, 5);
    AF_CHECK_STR(r.bad_raw, "  bad line");
    AF_CHECK_STR(r.bad_reason, "invalid field format");
    feed(&r, AF_SLICE_LIT("m f=3\nm f="), true); /* numbers go on */
    AF_CHECK_INT(r.lines[0], 7);
    AF_CHECK_INT(r.bad_line, 8);
    AF_CHECK_INT(r.points.first_row, 2);
    read_close(&r);
}

AF_TEST(lp_parse_precision_and_default_time)
{
    struct read r;
    read_open(&r, AF_PRECISION_US);
    feed(&r, AF_SLICE_LIT("m f=1 5\nm f=1\nm f=1 -5\nm f=1 9223372036854775807\nm f=1 9223372036854776\n"
                          "m f=1 5\nm f=1\n################################################################################\n"),
         true);
    AF_CHECK_INT(r.points.row_count, 5);
    AF_CHECK_INT(r.points.time_ns[0], 5000);
    AF_CHECK_INT(r.points.time_ns[1], 1000); /* 1999 ns, floored */
    AF_CHECK_INT(r.points.time_ns[2], -5000);
    AF_CHECK_INT(r.points.time_ns[4], 1000);
    AF_CHECK_INT(r.bad_count, 2);
    AF_CHECK_STR(r.bad_reason, "time outside range -9223372036854775806 - 9223372036854775806");
    read_close(&r);
}

/* Fed in two pieces, whatever the cut, the points are the same. */
AF_TEST(lp_parse_cut_anywhere)
{
    static const char text[] = "m,a=b f=1.5,s=\"x\" 1704110400000000000\nm,a=b f=2.5,s=\"a\nb\" 1704110400000000001\nbad\n# c\n"
                               "m,a=c f=3.5,s=\"\\\"\" 1704110400000000002\nm\\\nn f=1 3\nm,a=b f=4";
    struct read whole;
    struct af_buf want;
    read_open(&whole, AF_PRECISION_NS);
    feed(&whole, af_slice_of(text), true);
    af_buf_init(&want, 1 << 20);
    dump_points(&want, &whole.points);
    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct read r;
        struct af_buf got;
        read_open(&r, AF_PRECISION_NS);
        af_buf_init(&got, 1 << 20);
        feed(&r, (struct af_slice){ text, cut }, false);
        dump_points(&got, &r.points);
        size_t used = r.used;
        AF_CHECK(used <= cut);
        feed(&r, (struct af_slice){ text + used, sizeof text - 1 - used }, true);
        dump_points(&got, &r.points);
        AF_CHECK(af_slice_eq(af_buf_slice(&got), af_buf_slice(&want)));
        AF_CHECK_INT(r.bad_count, 1);
        AF_CHECK_INT(r.bad_line, 4);
        af_buf_done(&got);
        read_close(&r);
    }
    af_buf_done(&want);
    read_close(&whole);
}

AF_TEST(lp_parse_stops_at_a_batch)
{
    struct read r;
    struct af_buf text;
    size_t rows = 0;
    size_t at = 0;
    read_open(&r, AF_PRECISION_NS);
    af_buf_init(&text, 1 << 28);
    for (int i = 0; i < AF_BATCH_ROWS * 2 + 100; i++)
        af_buf_printf(&text, "m,a=%d f=%d %d\n", i % 10, i, i);
    while (at < text.len) {
        feed(&r, (struct af_slice){ text.ptr + at, text.len - at }, true);
        AF_CHECK(r.points.row_count <= AF_BATCH_ROWS && r.used > 0);
        AF_CHECK_INT(r.points.first_row, rows);
        for (size_t i = 0; i < r.points.row_count; i++)
            AF_CHECK_F64(r.points.fields[0].column.f64[i], (double)(rows + i));
        rows += r.points.row_count;
        at += r.used;
    }
    AF_CHECK_INT(rows, AF_BATCH_ROWS * 2 + 100);
    af_buf_done(&text);
    read_close(&r);
}

/* Every line a field of its own: a batch then holds fewer rows, and memory stays in bounds. */
AF_TEST(lp_parse_many_field_names)
{
    struct read r;
    struct af_buf text;
    size_t rows = 0;
    size_t at = 0;
    size_t most = 0;
    read_open(&r, AF_PRECISION_NS);
    af_buf_init(&text, 1 << 28);
    for (int i = 0; i < 12000; i++)
        af_buf_printf(&text, "m f%d=%d %d\n", i, i, i);
    while (at < text.len) {
        feed(&r, (struct af_slice){ text.ptr + at, text.len - at }, true);
        AF_CHECK(r.used > 0);
        for (size_t i = 0; i < r.points.row_count; i++)
            AF_CHECK_F64(r.points.fields[i].column.f64[i], (double)(rows + i));
        rows += r.points.row_count;
        at += r.used;
        most = r.arena.bytes_used > most ? r.arena.bytes_used : most;
    }
    AF_CHECK_INT(rows, 12000);
    AF_CHECK(most < (size_t)192 << 20);
    af_buf_done(&text);
    read_close(&r);
}

AF_TEST(lp_parse_too_many_fields_in_a_line)
{
    struct read r;
    struct af_buf text;
    read_open(&r, AF_PRECISION_NS);
    af_buf_init(&text, 1 << 28);
    af_buf_append_str(&text, "m f=1");
    for (int i = 0; i < AF_COLUMNS_MAX; i++)
        af_buf_printf(&text, ",f%d=1", i);
    af_buf_append_str(&text, "\nm f=2\n");
    feed(&r, af_buf_slice(&text), true);
    AF_CHECK_INT(r.points.row_count, 1);
    AF_CHECK_STR(r.bad_reason, "too many fields: 10001 > 10000");
    af_buf_done(&text);
    read_close(&r);
}

AF_TEST(lp_parse_line_too_long)
{
    struct read r;
    struct af_error err = { 0 };
    size_t len = (size_t)AF_LP_LINE_BYTES_MAX + 10;
    char *text = af_alloc(len);
    AF_CHECK(text != NULL);
    memset(text, 'x', len);
    memcpy(text, "m f=\"", 5);
    read_open(&r, AF_PRECISION_NS);
    AF_CHECK_FAILS(af_lp_parse(r.parser, (struct af_slice){ text, len }, false, &r.arena, &r.points, NULL, &r.used, &err), AF_ELIMIT);
    AF_CHECK(strstr(err.message, "line 1 ") != NULL);
    feed(&r, (struct af_slice){ text, len - 20 }, false); /* not yet too long: wait for more */
    AF_CHECK_INT(r.used, 0);
    af_free(text);
    read_close(&r);
}

/* Keys past AF_SERIES_BYTES_MAX: the set starts over between two calls, never within one. */
AF_TEST(lp_parse_series_set_starts_over)
{
    struct read r;
    struct af_buf text;
    read_open(&r, AF_PRECISION_NS);
    af_buf_init(&text, 1 << 28);
    for (int i = 0; i < 1000; i++)
        af_buf_printf(&text, "m,a=%d%*s f=%d\n", i, 60000, "", i); /* spaces end the key: keys are short */
    feed(&r, af_buf_slice(&text), true);
    AF_CHECK_INT(r.points.row_count, 1000);
    uint64_t generation = r.points.set->generation;
    size_t changes = 0;
    af_buf_clear(&text);
    for (int i = 0; i < 1000; i++)
        af_buf_printf(&text, "m,a=%0*d f=%d\n", 60000, i, i);
    size_t rows = 0;
    for (size_t at = 0; at < text.len; at += r.used) {
        feed(&r, (struct af_slice){ text.ptr + at, text.len - at }, true);
        AF_CHECK(r.points.set->keys.bytes < (size_t)AF_SERIES_BYTES_MAX + 70000);
        changes += r.points.set->generation != generation;
        generation = r.points.set->generation;
        for (size_t i = 0; i < r.points.row_count; i++) {
            struct af_slice key = r.points.set->keys.keys[r.points.series[i]];
            char want[16];
            snprintf(want, sizeof want, "%06zu", rows + i);
            AF_CHECK(key.len == 60004 && memcmp(key.ptr + key.len - 6, want, 6) == 0);
        }
        rows += r.points.row_count;
    }
    AF_CHECK_INT(rows, 1000);
    AF_CHECK(changes >= 2);
    af_buf_done(&text);
    read_close(&r);
}

/* --- there and back --------------------------------------------------------------------------------------------------------------- */

/* A name with bytes that are legal in it; not what the grammar strips or cannot write: leading white, '#', a backslash at the end or
 * before one that is escaped. */
static void random_name(struct af_prng *prng, struct af_buf *out)
{
    static const char bytes[] = "abcXYZ019 ,=\"'\x01\x7f\xc3\xa9.-_/:;#";
    size_t len = 1 + af_prng_below(prng, 24);
    af_buf_clear(out);
    af_buf_append_char(out, "abcdefgh"[af_prng_below(prng, 8)]);
    for (size_t i = 0; i < len; i++) {
        if (af_prng_below(prng, 12) == 0)
            af_buf_append_str(out, "\\x");
        else
            af_buf_append_char(out, bytes[af_prng_below(prng, sizeof bytes - 1)]);
    }
}

static uint32_t random_series(struct af_prng *prng, struct af_series_set *set)
{
    struct af_buf key;
    struct af_buf name;
    uint32_t id;
    struct af_error err = { 0 };
    af_buf_init(&key, 1 << 16);
    af_buf_init(&name, 1 << 16);
    random_name(prng, &name);
    af_key_append_measurement(&key, af_buf_slice(&name));
    size_t tags = af_prng_below(prng, 5);
    for (size_t i = 0; i < tags; i++) {
        random_name(prng, &name);
        af_buf_printf(&key, ",%c", (char)('a' + i)); /* a first letter that ascends */
        af_key_append_tag(&key, af_buf_slice(&name));
        random_name(prng, &name);
        af_buf_append_char(&key, '=');
        af_key_append_tag(&key, af_buf_slice(&name));
    }
    AF_CHECK_OK(af_intern_add(&set->keys, af_buf_slice(&key), &id, &err), err);
    af_buf_done(&key);
    af_buf_done(&name);
    return id;
}

static double random_double(struct af_prng *prng)
{
    for (;;) {
        uint64_t bits = af_prng_next(prng);
        double value;
        if (af_prng_below(prng, 3) == 0)
            return (double)(int64_t)(bits >> 40) / 1000;
        memcpy(&value, &bits, sizeof value);
        if (value - value == 0)
            return value;
    }
}

static void fill_text(struct af_prng *prng, struct af_arena *arena, size_t rows, struct af_column *col)
{
    int32_t *offsets = af_arena_array(arena, rows + 1, sizeof *offsets);
    char *bytes = af_arena_array(arena, rows * 40, 1);
    int32_t at = 0;
    for (size_t i = 0; i < rows; i++) {
        offsets[i] = at;
        for (size_t n = af_prng_below(prng, 40); n > 0; n--)
            bytes[at++] = af_prng_below(prng, 3) == 0 ? "\"\\ ,=\n\r#"[af_prng_below(prng, 8)] : (char)('a' + af_prng_below(prng, 26));
    }
    offsets[rows] = at;
    col->offsets = offsets;
    col->bytes = bytes;
}

static void random_column(struct af_prng *prng, struct af_arena *arena, size_t rows, struct af_column *col)
{
    static const enum af_type types[] = { AF_TYPE_BOOL, AF_TYPE_I64, AF_TYPE_U64, AF_TYPE_F64, AF_TYPE_STRING };
    *col = (struct af_column){ .type = types[af_prng_below(prng, 5)] };
    uint64_t *values = af_arena_array(arena, rows + 1, 8);
    for (size_t i = 0; i < rows; i++) {
        double d = random_double(prng);
        values[i] = af_prng_next(prng) >> af_prng_below(prng, 64);
        if (col->type == AF_TYPE_F64)
            memcpy(&values[i], &d, sizeof d);
    }
    col->values = values;
    if (col->type == AF_TYPE_STRING)
        fill_text(prng, arena, rows, col);
    if (af_prng_below(prng, 2) == 0)
        return;
    uint64_t *validity = af_bits_new(arena, rows, true);
    for (size_t i = 0; i < rows; i++)
        if (af_prng_below(prng, 4) == 0)
            af_bit_clear(validity, i);
    col->validity = validity;
    col->null_count = rows - af_bits_count(validity, rows);
}

static void random_points(struct af_prng *prng, struct af_arena *arena, struct af_series_set *set, struct af_points *out)
{
    size_t rows = 1 + af_prng_below(prng, 200);
    size_t fields = 1 + af_prng_below(prng, 6);
    struct af_point_field *field_list = af_arena_zero(arena, fields, sizeof *field_list);
    uint32_t *series = af_arena_array(arena, rows, sizeof *series);
    int64_t *times = af_arena_array(arena, rows, sizeof *times);
    size_t kinds = 1 + af_prng_below(prng, 5);
    uint32_t ids[5];
    for (size_t i = 0; i < kinds; i++)
        ids[i] = random_series(prng, set);
    for (size_t i = 0; i < rows; i++) {
        series[i] = ids[af_prng_below(prng, 3) == 0 ? af_prng_below(prng, kinds) : i % kinds];
        times[i] = (int64_t)(af_prng_next(prng) >> af_prng_below(prng, 60) >> 1) * (af_prng_below(prng, 4) == 0 ? -1 : 1);
        if (!lp_time_in_range(times[i]))
            times[i] = 0;
    }
    for (size_t i = 0; i < fields; i++) {
        struct af_buf name;
        struct af_buf escaped;
        af_buf_init(&name, 1 << 16);
        af_buf_init(&escaped, 1 << 16);
        random_name(prng, &name);
        af_buf_printf(&name, "%zu", i); /* names differ */
        af_key_append_tag(&escaped, af_buf_slice(&name));
        field_list[i].name = (struct af_slice){ af_arena_copy(arena, af_buf_slice(&name)), name.len };
        field_list[i].escaped = (struct af_slice){ af_arena_copy(arena, af_buf_slice(&escaped)), escaped.len };
        random_column(prng, arena, rows, &field_list[i].column);
        af_buf_done(&name);
        af_buf_done(&escaped);
    }
    *out = (struct af_points){ .row_count = rows, .set = set, .series = series, .time_ns = times, .field_count = fields,
                               .fields = field_list };
}

/* Rows without any field have no line: leave them out of what is expected. */
static void drop_empty_rows(struct af_buf *dump)
{
    struct af_buf kept;
    af_buf_init(&kept, 1 << 26);
    for (size_t at = 0; at < dump->len;) {
        const char *end = memchr(dump->ptr + at, '\n', dump->len - at);
        size_t len = (size_t)(end - dump->ptr) + 1 - at;
        struct af_slice row = { dump->ptr + at, len };
        if (memmem(row.ptr, row.len, "||", 2) == NULL)
            af_buf_append_slice(&kept, row);
        at += len;
    }
    af_buf_done(dump);
    *dump = kept;
}

AF_TEST(lp_encode_then_parse_is_the_same)
{
    struct af_prng prng = { 99 };
    for (int round = 0; round < 400; round++) {
        struct af_arena arena;
        struct af_series_set set = { 0 };
        struct af_points points;
        struct af_lp_text text;
        struct af_buf want;
        struct af_buf got;
        struct af_error err = { 0 };
        struct read r;
        af_arena_init(&arena, 1 << 28);
        af_intern_init(&set.keys);
        random_points(&prng, &arena, &set, &points);
        af_lp_text_init(&text);
        af_buf_init(&want, 1 << 26);
        af_buf_init(&got, 1 << 26);
        AF_CHECK_OK(af_lp_encode(&points, AF_PRECISION_NS, &text, 1, &err), err);
        read_open(&r, AF_PRECISION_NS);
        feed(&r, af_buf_slice(&text.bytes), true);
        if (r.bad_count != 0)
            af_test_failed(__FILE__, __LINE__, "round %d: %s: %s", round, r.bad_reason, r.bad_raw);
        AF_CHECK_INT(r.used, text.bytes.len);
        AF_CHECK_INT(r.points.row_count, text.line_count);
        dump_points(&want, &points);
        dump_points(&got, &r.points);
        if (text.line_count != points.row_count)
            drop_empty_rows(&want);
        if (!af_slice_eq(af_buf_slice(&want), af_buf_slice(&got)))
            af_test_failed(__FILE__, __LINE__, "round %d:\nwant %s\ngot %s", round, af_buf_cstr(&want), af_buf_cstr(&got));
        read_close(&r);
        af_buf_done(&want);
        af_buf_done(&got);
        af_lp_text_done(&text);
        af_intern_done(&set.keys);
        af_arena_done(&arena);
    }
}

AF_TEST(lp_parse_without_memory)
{
    struct af_buf text;
    af_buf_init(&text, 1 << 20);
    for (int i = 0; i < 40; i++)
        af_buf_printf(&text, "m,b=%d,a=2 f=%d,s=\"text %d\"%s 5\n", i, i, i, i % 3 == 0 ? ",g=1i,h=t" : "");
    for (size_t nth = 1;; nth++) {
        struct af_lp_parse_options options = { .allow_unsigned = true };
        struct af_error err = { 0 };
        struct af_lp_parser *parser = NULL;
        struct af_arena arena;
        struct af_points points = { 0 };
        size_t used = 12345;
        af_arena_init(&arena, 1 << 28);
        af_alloc_fail_nth(nth);
        enum af_status status = af_lp_parser_new(&options, &parser, &err);
        if (status == AF_OK)
            status = af_lp_parse(parser, af_buf_slice(&text), true, &arena, &points, NULL, &used, &err);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK_INT(points.row_count, status == AF_OK ? 40 : 0);
        AF_CHECK_INT(used, status == AF_OK ? text.len : 12345);
        if (status != AF_OK && parser != NULL) { /* and it can be asked again */
            AF_CHECK_OK(af_lp_parse(parser, af_buf_slice(&text), true, &arena, &points, NULL, &used, &err), err);
            AF_CHECK_INT(points.row_count, 40);
            AF_CHECK_INT(points.set->keys.count, 40);
        }
        af_lp_parser_free(parser);
        af_arena_done(&arena);
        if (status == AF_OK) {
            AF_CHECK(nth > 10);
            break;
        }
        AF_CHECK(nth < 1000);
    }
    af_buf_done(&text);
}
