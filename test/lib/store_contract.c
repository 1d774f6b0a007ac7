/* store_contract.c - the suite of store_contract.h: writes and scans; predicates, listings, deletes and folds are in files of their own. */
#include "base/prng.h"
#include "test/lib/store_contract_int.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <stdlib.h>

static struct af_error err;
const char *contract_running;
static bool is_flux;

/* --- writing ------------------------------------------------------------------------------------------------------------------ */

static size_t count_lines(struct af_slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '\n';
    return n;
}

static struct af_write_answer write_any(struct af_store *store, struct af_slice lines, int64_t precision_ns)
{
    struct af_write write = { .lines = lines, .line_count = count_lines(lines), .precision_ns = precision_ns };
    struct af_write_answer answer = { 0 };
    AF_CHECK_OK(af_store_write(store, &write, &answer, &err), err);
    return answer;
}

void af_contract_write(struct af_store *store, struct af_slice lines, int64_t precision_ns)
{
    struct af_write_answer answer = write_any(store, lines, precision_ns);
    if (answer.verdict != AF_WRITE_DONE)
        af_test_failed(__FILE__, __LINE__, "%s: refused: %s", contract_running, answer.reason);
}

void contract_put(struct af_store *store, const char *lines)
{
    af_contract_write(store, af_slice_of(lines), 1);
}

/* --- reading as text ---------------------------------------------------------------------------------------------------------- */

static void append_value(struct af_buf *out, const struct af_column *column, size_t row)
{
    switch (column->type) {
    case AF_TYPE_F64: af_buf_printf(out, "%a", column->f64[row]); break;
    case AF_TYPE_I64: af_buf_printf(out, "%lldi", (long long)column->i64[row]); break;
    case AF_TYPE_U64: af_buf_printf(out, "%lluu", (unsigned long long)column->u64[row]); break;
    case AF_TYPE_BOOL: af_buf_append_str(out, af_bit_get(column->bits, row) ? "true" : "false"); break;
    case AF_TYPE_STRING: {
        struct af_slice text = af_column_text(column, row);
        af_buf_append_char(out, '"');
        for (size_t i = 0; i < text.len; i++)
            if (text.ptr[i] == '\n')
                af_buf_append_str(out, "\\n");
            else
                af_buf_append_char(out, text.ptr[i]);
        af_buf_append_char(out, '"');
        break;
    }
    default: af_test_failed(__FILE__, __LINE__, "%s: a column of type %d", contract_running, (int)column->type);
    }
}

struct line {
    struct af_slice key;
    int64_t time_ns;
    size_t order;
    char *text;
};

static int by_key_and_time(const void *a, const void *b)
{
    const struct line *x = a;
    const struct line *y = b;
    int order = af_slice_cmp(x->key, y->key);
    if (order != 0)
        return order;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static char *copy_of(struct af_slice s)
{
    char *copy = malloc(s.len + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

struct lines {
    struct line *list;
    size_t count;
    size_t cap;
};

static void add_line(struct lines *lines, const struct af_batch *batch, size_t row)
{
    struct af_buf text;
    af_buf_init(&text, (size_t)1 << 30);
    struct af_slice key = af_column_text(&batch->columns[0], row);
    af_buf_append_slice(&text, key);
    af_buf_printf(&text, " %lld", (long long)batch->columns[1].i64[row]);
    size_t empty = text.len;
    for (size_t i = 2; i < batch->schema->field_count; i++) {
        if (!af_column_has(&batch->columns[i], row))
            continue;
        af_buf_printf(&text, " %s=", batch->schema->fields[i].name);
        append_value(&text, &batch->columns[i], row);
    }
    if (text.len == empty)
        af_test_failed(__FILE__, __LINE__, "%s: a row without values", contract_running);
    if (lines->count == lines->cap) {
        lines->cap = lines->cap == 0 ? 64 : lines->cap * 2;
        lines->list = realloc(lines->list, lines->cap * sizeof *lines->list);
        if (lines->list == NULL)
            abort();
    }
    char *own = copy_of(af_buf_slice(&text));
    lines->list[lines->count] = (struct line){ { own, key.len }, batch->columns[1].i64[row], lines->count, own };
    lines->count++;
    af_buf_done(&text);
}

static void check_batch(const struct af_stream *stream, const struct af_batch *batch)
{
    AF_CHECK(batch->row_count > 0);
    AF_CHECK_INT(batch->schema->field_count, stream->schema->field_count);
    AF_CHECK_STR(batch->schema->fields[0].name, "series");
    AF_CHECK_STR(batch->schema->fields[1].name, "time");
    AF_CHECK_INT(batch->columns[0].type, AF_TYPE_STRING);
    AF_CHECK(batch->columns[0].dict != NULL);
    AF_CHECK_INT(batch->columns[1].type, AF_TYPE_TIME);
    for (size_t i = 0; i < batch->schema->field_count; i++) {
        AF_CHECK_STR(batch->schema->fields[i].name, stream->schema->fields[i].name);
        AF_CHECK_INT(batch->columns[i].type, stream->schema->fields[i].type);
    }
}

/* Within a series times ascend in the order of arrival: sorting by (key, time) may not have changed it. */
static void check_order(const struct lines *lines)
{
    for (size_t i = 1; i < lines->count; i++) {
        const struct line *a = &lines->list[i - 1];
        const struct line *b = &lines->list[i];
        if (af_slice_eq(a->key, b->key) && (a->order > b->order || a->time_ns == b->time_ns))
            af_test_failed(__FILE__, __LINE__, "%s: times do not ascend: %s, then %s", contract_running, a->text, b->text);
    }
}

void af_contract_dump(struct af_store *store, const struct af_scan *scan, struct af_buf *out)
{
    struct af_stream *stream;
    AF_CHECK_OK(af_store_scan(store, scan, &stream, &err), err);
    struct af_arena arena;
    af_arena_init(&arena, (size_t)1 << 30);
    struct af_batch *batch;
    struct lines lines = { 0 };
    for (;;) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch == NULL)
            break;
        check_batch(stream, batch);
        for (size_t row = 0; row < batch->row_count; row++)
            add_line(&lines, batch, row);
        af_arena_reset(&arena);
    }
    af_stream_close(stream);
    af_arena_done(&arena);
    if (lines.count > 1)
        qsort(lines.list, lines.count, sizeof *lines.list, by_key_and_time);
    check_order(&lines);
    for (size_t i = 0; i < lines.count; i++) {
        af_buf_append_str(out, lines.list[i].text);
        af_buf_append_char(out, '\n');
        free(lines.list[i].text);
    }
    free(lines.list);
    AF_CHECK(!out->failed);
}

const struct af_scan contract_everything = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };

void contract_check_scan(struct af_store *store, struct af_scan scan, const char *want)
{
    struct af_buf got;
    af_buf_init(&got, (size_t)1 << 30);
    af_contract_dump(store, &scan, &got);
    if (!af_slice_is(af_buf_slice(&got), want))
        af_test_failed(__FILE__, __LINE__, "%s: scan of %s gives\n%s\nwant\n%s", contract_running, scan.measurement, af_buf_cstr(&got),
                       want);
    af_buf_done(&got);
}

static void check_all(struct af_store *store, const char *want)
{
    contract_check_scan(store, contract_everything, want);
}

void contract_list(struct af_store *store, enum af_listing what, const struct af_scan *scan, struct af_buf *out)
{
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    AF_CHECK_OK(af_store_list(store, what, scan, &stream, &err), err);
    af_arena_init(&arena, 1 << 26);
    for (;;) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch == NULL)
            break;
        for (size_t row = 0; row < batch->row_count; row++) {
            af_buf_append_slice(out, af_column_text(&batch->columns[0], row));
            if (what == AF_LIST_FIELDS) {
                af_buf_append_char(out, ':');
                af_buf_append_slice(out, af_column_text(&batch->columns[1], row));
            }
            af_buf_append_char(out, '\n');
        }
    }
    af_stream_close(stream);
    af_arena_done(&arena);
    AF_CHECK(!out->failed);
}

void contract_check_list(struct af_store *store, enum af_listing what, struct af_scan scan, const char *want)
{
    struct af_buf got;
    af_buf_init(&got, 1 << 26);
    contract_list(store, what, &scan, &got);
    if (!af_slice_is(af_buf_slice(&got), want))
        af_test_failed(__FILE__, __LINE__, "%s: listing %d gives\n%s\nwant\n%s", contract_running, (int)what, af_buf_cstr(&got), want);
    af_buf_done(&got);
}

static void check_list(struct af_store *store, enum af_listing what, const char *measurement, const char *want)
{
    contract_check_list(store, what, (struct af_scan){ .measurement = measurement }, want);
}

/* --- the checks --------------------------------------------------------------------------------------------------------------- */

static void later_writes_win(struct af_store *store)
{
    contract_put(store, "m,t=b v=1 20\nm,t=a v=2 10\nm,t=a v=3 30\nm v=9 5\n");
    check_all(store, "m 5 v=0x1.2p+3\nm,t=a 10 v=0x1p+1\nm,t=a 30 v=0x1.8p+1\nm,t=b 20 v=0x1p+0\n");
    contract_put(store, "m,t=a v=4 10\nm,t=a w=5i 10\nm,t=a w=6i 15\n");
    check_all(store, "m 5 v=0x1.2p+3\nm,t=a 10 v=0x1p+2 w=5i\nm,t=a 15 w=6i\nm,t=a 30 v=0x1.8p+1\nm,t=b 20 v=0x1p+0\n");
}

static void numbers_come_back_exactly(struct af_store *store)
{
    contract_put(store,
                 "m f=-0 1\nm f=0 2\nm f=5e-324 3\nm f=-1.7976931348623157e+308 4\nm f=0.1 5\nm f=1e300 6\nm f=123456789012345680 7\n"
                 "m f=2.2250738585072009e-308 8\nm f=100000000000000000000 9\n"
                 "m i=9223372036854775807i 1\nm i=-9223372036854775808i 2\nm i=0i 3\nm i=9007199254740993i 4\n"
                 "m b=true 1\nm b=f 2\n");
    check_all(store, "m 1 b=true f=-0x0p+0 i=9223372036854775807i\nm 2 b=false f=0x0p+0 i=-9223372036854775808i\n"
                     "m 3 f=0x0.0000000000001p-1022 i=0i\nm 4 f=-0x1.fffffffffffffp+1023 i=9007199254740993i\n"
                     "m 5 f=0x1.999999999999ap-4\nm 6 f=0x1.7e43c8800759cp+996\nm 7 f=0x1.b69b4ba630f35p+56\n"
                     "m 8 f=0x0.fffffffffffffp-1022\nm 9 f=0x1.5af1d78b58c4p+66\n");
}

/* Every code point below U+0180 and some beyond, in a string; what key parts may hold, in tags and names. */
static void texts_come_back_exactly(struct af_store *store)
{
    struct af_buf lines;
    struct af_buf want;
    af_buf_init(&lines, 1 << 20);
    af_buf_init(&want, 1 << 20);
    af_buf_append_str(&lines, "m s=\"");
    af_buf_append_str(&want, "m 1 s=\"");
    for (unsigned c = 1; c < 0x180; c++) {
        if (c == '\r' && is_flux)
            continue;
        char utf8[2] = { (char)(c < 0x80 ? c : 0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)) };
        if (c == '"' || c == '\\')
            af_buf_append_char(&lines, '\\');
        af_buf_append(&lines, utf8, c < 0x80 ? 1 : 2);
        if (c == '\n')
            af_buf_append_str(&want, "\\n");
        else
            af_buf_append(&want, utf8, c < 0x80 ? 1 : 2);
    }
    static const char more[] = "\xe2\x80\xa8\xe2\x80\xa9\xef\xbf\xbd\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf <&> \\x";
    af_buf_append_str(&lines, more);
    af_buf_append_str(&lines, is_flux ? "\" 1\n" : "\" 1\nm s=\"\" 2\n");
    af_buf_append_str(&want, more);
    af_buf_append_str(&want, is_flux ? "\"\n" : "\"\nm 2 s=\"\"\n");
    af_contract_write(store, af_buf_slice(&lines), 1);
    check_all(store, af_buf_cstr(&want));
    af_buf_done(&lines);
    af_buf_done(&want);
    struct af_scan scan = contract_everything;
    scan.measurement = "odd, name=\"x\" \xc3\xa9";
    contract_put(store, "odd\\,\\ name=\"x\"\\ \xc3\xa9,z\\ \\,\\=z=v\\ 1,a\\\"=\xf0\x9f\x98\x80\\=,Z=a\\b f\\ \\,\\=f=1,\"q\"=2i 7\n");
    contract_check_scan(store, scan,
               "odd\\,\\ name=\"x\"\\ \xc3\xa9,Z=a\\b,a\\\"=\xf0\x9f\x98\x80\\=,z\\ \\,\\=z=v\\ 1 7 \"q\"=2i f ,=f=0x1p+0\n");
}

static void ranges_are_half_open(struct af_store *store)
{
    contract_put(store,
        "m v=1i -9223372036854775806\nm v=2i -1\nm v=3i 0\nm v=4i 1\nm v=5i 1700000000000000000\nm v=6i 9223372036854775806\n");
    check_all(store, is_flux ? "m -9223372036854775806 v=1i\nm -1 v=2i\nm 0 v=3i\nm 1 v=4i\nm 1700000000000000000 v=5i\n"
                             : "m -9223372036854775806 v=1i\nm -1 v=2i\nm 0 v=3i\nm 1 v=4i\nm 1700000000000000000 v=5i\n"
                               "m 9223372036854775806 v=6i\n");
    struct af_scan scan = contract_everything;
    scan.start_ns = -1;
    scan.stop_ns = 1;
    contract_check_scan(store, scan, "m -1 v=2i\nm 0 v=3i\n");
    scan.start_ns = 0;
    scan.stop_ns = 0;
    contract_check_scan(store, scan, "");
    scan.start_ns = 2;
    scan.stop_ns = 1700000000000000000;
    contract_check_scan(store, scan, "");
    scan.stop_ns = 1700000000000000001;
    contract_check_scan(store, scan, "m 1700000000000000000 v=5i\n");
    scan.start_ns = 1700000000000000001;
    scan.stop_ns = 9223372036854775806;
    contract_check_scan(store, scan, "");
    scan.start_ns = INT64_MIN;
    scan.stop_ns = 0;
    contract_check_scan(store, scan, "m -9223372036854775806 v=1i\nm -1 v=2i\n");
}

static void precisions_are_units(struct af_store *store)
{
    af_contract_write(store, AF_SLICE_LIT("m v=1i 1700000000\n"), 1000000000);
    af_contract_write(store, AF_SLICE_LIT("m v=2i 1700000000001\n"), 1000000);
    af_contract_write(store, AF_SLICE_LIT("m v=3i 1700000000000001\n"), 1000);
    check_all(store, "m 1700000000000000000 v=1i\nm 1700000000000001000 v=3i\nm 1700000000001000000 v=2i\n");
}

static void fields_are_chosen(struct af_store *store)
{
    contract_put(store, "m,t=a x=1i,y=2i 1\nm,t=a y=3i 2\nm,t=b z=\"s\" 3\n");
    static const char *const one[] = { "y" };
    static const char *const two[] = { "x", "z" };
    static const char *const none[] = { "nope" };
    struct af_scan scan = contract_everything;
    scan.fields = one;
    scan.field_count = 1;
    contract_check_scan(store, scan, "m,t=a 1 y=2i\nm,t=a 2 y=3i\n");
    scan.fields = two;
    scan.field_count = 2;
    contract_check_scan(store, scan, "m,t=a 1 x=1i\nm,t=b 3 z=\"s\"\n");
    scan.fields = none;
    scan.field_count = 1;
    contract_check_scan(store, scan, "");
    scan = contract_everything;
    scan.measurement = "nowhere";
    contract_check_scan(store, scan, "");
}

static void listings_are_sorted(struct af_store *store)
{
    check_list(store, AF_LIST_MEASUREMENTS, NULL, "");
    contract_put(store, "zz\\ top v=1 1\naa,t=1 i=1i,b=true,s=\"x\",f=1 1\nmm v=1 1\n");
    check_list(store, AF_LIST_MEASUREMENTS, NULL, "aa\nmm\nzz top\n");
    check_list(store, AF_LIST_FIELDS, "aa", "b:boolean\nf:float\ni:integer\ns:string\n");
    check_list(store, AF_LIST_FIELDS, "nowhere", "");
    char version[64] = "";
    AF_CHECK_OK(af_store_ping(store, version, sizeof version, &err), err);
    AF_CHECK(version[0] != '\0');
    AF_CHECK_OK(af_store_create(store, &err), err);
    AF_CHECK_OK(af_store_create(store, &err), err);
}

static void bad_lines_are_named(struct af_store *store, bool is_v2)
{
    struct af_write_answer answer = write_any(store, AF_SLICE_LIT("m v=1i 1\nm v= 2\nm v=3i 3\n"), 1);
    AF_CHECK_INT(answer.verdict, AF_WRITE_BAD_LINES);
    AF_CHECK_INT(answer.others_kept, !is_v2);
    AF_CHECK(strstr(answer.reason, "unable to parse 'm v= 2'") != NULL);
    check_all(store, is_v2 ? "" : "m 1 v=1i\nm 3 v=3i\n");
    answer = write_any(store, AF_SLICE_LIT("m\n"), 1);
    AF_CHECK_INT(answer.verdict, AF_WRITE_BAD_LINES);
    AF_CHECK(strstr(answer.reason, "unable to parse 'm'") != NULL);
    check_all(store, is_v2 ? "" : "m 1 v=1i\nm 3 v=3i\n");
}

static void type_conflicts_drop_points(struct af_store *store)
{
    contract_put(store, "m v=1i 1\n");
    struct af_write_answer answer = write_any(store, AF_SLICE_LIT("m v=2i 2\nm v=3 3\nm v=\"x\",w=1 4\nm w=2 5\n"), 1);
    AF_CHECK_INT(answer.verdict, AF_WRITE_BAD_LINES);
    AF_CHECK(answer.others_kept);
    AF_CHECK_INT(answer.dropped, 2);
    AF_CHECK(strstr(answer.reason, "field type conflict: input field \"v\" on measurement \"m\" is type ") != NULL);
    check_all(store, "m 1 v=1i\nm 2 v=2i\nm 5 w=0x1p+1\n");
}

static void unsigned_integers(struct af_store *store)
{
    contract_put(store, "m u=18446744073709551615u 1\nm u=0u 2\n");
    check_all(store, "m 1 u=18446744073709551615u\nm 2 u=0u\n");
    check_list(store, AF_LIST_FIELDS, "m", "u:unsigned\n");
}

static bool is_cancelled = true;

static void cancelled_scans_end(struct af_store *store)
{
    contract_put(store, "m v=1i 1\n");
    struct af_scan scan = contract_everything;
    scan.cancel = &is_cancelled;
    struct af_stream *stream = NULL;
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    struct af_batch *batch;
    enum af_status status = af_store_scan(store, &scan, &stream, &err);
    if (status == AF_OK)
        status = af_stream_next(stream, &arena, &batch, &err);
    AF_CHECK_INT(status, AF_ECANCELED);
    af_stream_close(stream);
    af_arena_done(&arena);
}

/* More rows than a batch, over series, closed half way and read whole. */
static void many_rows(struct af_store *store)
{
    enum { SERIES = 7, ROWS = 6000 };
    struct af_buf lines;
    af_buf_init(&lines, 64 << 20);
    for (int i = 0; i < ROWS; i++)
        for (int s = 0; s < SERIES; s++)
            af_buf_printf(&lines, "m,s=%d v=%di,text=\"row %d of %d\" %lld\n", s, i * SERIES + s, i, s,
                          1700000000000000000LL + i * 1000000LL);
    af_contract_write(store, af_buf_slice(&lines), 1);
    af_buf_done(&lines);
    struct af_buf got;
    af_buf_init(&got, 64 << 20);
    af_contract_dump(store, &contract_everything, &got);
    const char *at = af_buf_cstr(&got);
    for (int s = 0; s < SERIES; s++)
        for (int i = 0; i < ROWS; i++) {
            char want[128];
            int len = snprintf(want, sizeof want, "m,s=%d %lld text=\"row %d of %d\" v=%di\n", s,
                               1700000000000000000LL + i * 1000000LL, i, s, i * SERIES + s);
            if (strncmp(at, want, (size_t)len) != 0)
                af_test_failed(__FILE__, __LINE__, "%s: row %d of series %d is %.80s", contract_running, i, s, at);
            at += len;
        }
    AF_CHECK_INT(*at, 0);
    af_buf_done(&got);
    struct af_stream *stream;
    struct af_arena arena;
    af_arena_init(&arena, (size_t)1 << 30);
    struct af_batch *batch;
    AF_CHECK_OK(af_store_scan(store, &contract_everything, &stream, &err), err);
    AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
    af_stream_close(stream);
    AF_CHECK(batch->row_count > 0 && batch->schema->fields[0].name[0] == 's'); /* it outlives its stream */
    af_arena_done(&arena);
}

/* Random points, refused ones among them, written to the store and to the oracle: both must read the same. */
static void random_lines(struct af_prng *prng, struct af_buf *out)
{
    static const char *const fields[] = { "f=%d.5", "i=%di", "b=%d", "s=\"%d\"", "f=%de-3", "i=%d" /* a conflict */ };
    size_t count = 1 + af_prng_below(prng, 30);
    for (size_t i = 0; i < count; i++) {
        af_buf_printf(out, "m,a=%d", (int)af_prng_below(prng, 3));
        if (af_prng_below(prng, 2) == 0)
            af_buf_printf(out, ",b\\ =%d", (int)af_prng_below(prng, 3));
        size_t field = af_prng_below(prng, 20) == 0 ? 5 : af_prng_below(prng, 5);
        if (field == 2)
            af_buf_append_str(out, af_prng_below(prng, 2) == 0 ? " b=T" : " b=false");
        else {
            char text[64];
            snprintf(text, sizeof text, fields[field], (int)af_prng_below(prng, 1000) - 500);
            af_buf_printf(out, " %s", text);
        }
        af_buf_printf(out, " %lld\n", (long long)af_prng_below(prng, 40) * 1000);
    }
}

static void random_writes_equal_the_oracle(const struct af_contract *contract)
{
    struct af_store *store = contract->open(contract->ctx);
    struct af_store *oracle = contract->oracle(contract->ctx);
    struct af_prng prng = { 20240102 };
    struct af_buf lines;
    af_buf_init(&lines, 1 << 20);
    contract_put(store, "m i=1i 0\n");
    contract_put(oracle, "m i=1i 0\n");
    for (int round = 0; round < 20; round++) {
        af_buf_clear(&lines);
        random_lines(&prng, &lines);
        struct af_write_answer a = write_any(store, af_buf_slice(&lines), 1);
        struct af_write_answer b = write_any(oracle, af_buf_slice(&lines), 1);
        AF_CHECK_INT(a.verdict, b.verdict);
        AF_CHECK_INT(a.dropped, b.dropped);
        AF_CHECK_INT(a.others_kept, b.others_kept);
    }
    struct af_buf want;
    af_buf_init(&want, 1 << 26);
    af_contract_dump(oracle, &contract_everything, &want);
    check_all(store, af_buf_cstr(&want));
    af_buf_done(&want);
    af_buf_done(&lines);
    af_store_close(store);
    af_store_close(oracle);
}

static void with(const struct af_contract *contract, void (*check)(struct af_store *))
{
    struct af_store *store = contract->open(contract->ctx);
    check(store);
    af_store_close(store);
}

void contract_with(const struct af_contract *contract, void (*check)(struct af_store *store, const struct af_contract *contract))
{
    struct af_store *store = contract->open(contract->ctx);
    check(store, contract);
    af_store_close(store);
}

void af_store_contract(const struct af_contract *contract)
{
    contract_running = contract->name;
    is_flux = contract->is_flux;
    with(contract, later_writes_win);
    with(contract, numbers_come_back_exactly);
    with(contract, texts_come_back_exactly);
    with(contract, ranges_are_half_open);
    with(contract, precisions_are_units);
    with(contract, fields_are_chosen);
    with(contract, listings_are_sorted);
    with(contract, type_conflicts_drop_points);
    with(contract, cancelled_scans_end);
    with(contract, many_rows);
    if (contract->has_unsigned)
        with(contract, unsigned_integers);
    struct af_store *store = contract->open(contract->ctx);
    bad_lines_are_named(store, contract->is_v2);
    af_store_close(store);
    if (contract->oracle != NULL)
        random_writes_equal_the_oracle(contract);
    contract_selects(contract);
    contract_erases(contract);
    contract_folds(contract);
}
