/*
 * store_contract_fold.c - the suite of store_contract.h: patterns in predicates, counts, series by name, folded scans.
 *
 * A folded scan must give what folding the rows of the same scan gives; that is done here row by row, with windows found one by one and
 * groups by looking at each series key. Random points: several types, few distinct values and times (so that all kinds of ties occur),
 * missing fields and tags, times before 1970, around changes of summer time and far apart.
 */
#include "base/prng.h"
#include "base/regex.h"
#include "data/value.h"
#include "os/zone.h"
#include "test/lib/store_contract_int.h"
#include "test/lib/store_contract_predicates.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <stdlib.h>

static struct af_error err;

/* --- patterns -------------------------------------------------------------------------------------------------------------------- */

/* A pattern by its text, made once. */
static const struct af_regex *pattern(const char *text)
{
    static struct af_regex *made[40];
    size_t i = 0;
    for (; made[i] != NULL; i++)
        if (af_slice_is(af_regex_pattern(made[i]), text))
            return made[i];
    AF_CHECK(i + 1 < sizeof made / sizeof *made);
    AF_CHECK_OK(af_regex_new(af_slice_of(text), &made[i], &err), err);
    return made[i];
}

#define P_MATCH(t, p)                                                                                        \
    (&(const struct af_predicate){ .op = AF_PREDICATE_MATCH, .tag = { (t), sizeof(t) - 1 }, .regex = pattern(p) })
#define P_NO_MATCH(t, p)                                                                                     \
    (&(const struct af_predicate){ .op = AF_PREDICATE_NOT_MATCH, .tag = { (t), sizeof(t) - 1 }, .regex = pattern(p) })

static const char tagged[] = "m v=0i 10\n"
                             "m,t=a v=1i 11\n"
                             "m,t=ab,u=x v=2i 12\n"
                             "m,t=b v=3i 13\n"
                             "m,t=c\\,\\ \\=d,u=a/b v=4i 14\n"
                             "m,t=\xc3\xa9\\e,u=X v=5i 15\n"
                             "n,t=a w=1i 16\n"
                             "n\\ n,u=x w=1i 17\n";

static void takes(struct af_store *store, const struct af_predicate *predicate, const char *want)
{
    struct af_scan scan = contract_everything;
    struct af_buf got;
    char seen[8] = { 0 };
    size_t count = 0;
    scan.predicate = predicate;
    af_buf_init(&got, 1 << 20);
    af_contract_dump(store, &scan, &got);
    for (int digit = 0; digit < 7; digit++) {
        char part[] = { ' ', 'v', '=', (char)('0' + digit), 'i', '\n', '\0' };
        if (strstr(af_buf_cstr(&got), part) != NULL)
            seen[count++] = (char)('0' + digit);
    }
    if (strcmp(seen, want) != 0)
        af_test_failed(__FILE__, __LINE__, "%s: the pattern takes %s, want %s", contract_running, seen, want);
    af_buf_done(&got);
}

static void patterns_are_matched(struct af_store *store, const struct af_contract *contract)
{
    (void)contract;
    contract_put(store, tagged);
    takes(store, P_MATCH("t", "a"), "12");
    takes(store, P_MATCH("t", "^a$"), "1");
    takes(store, P_MATCH("t", "^(a|b)$"), "13");
    takes(store, P_NO_MATCH("t", "^(a|b)$"), "0245");
    takes(store, P_MATCH("t", "^$"), "0");
    takes(store, P_NO_MATCH("t", "^$"), "12345");
    takes(store, P_MATCH("t", ""), "012345");
    takes(store, P_NO_MATCH("t", ""), "");
    takes(store, P_MATCH("t", ".+"), "12345");
    takes(store, P_NO_MATCH("u", "."), "013");
    takes(store, P_MATCH("u", "^(?i)x$"), "25");
    takes(store, P_MATCH("u", "a/b"), "4");
    takes(store, P_MATCH("u", "a\\/b"), "4");
    takes(store, P_MATCH("t", "^c, =d$"), "4");
    takes(store, P_MATCH("t", "\\\\e$"), "5");
    takes(store, P_MATCH("t", "^\xc3\xa9"), "5");
    takes(store, P_MATCH("t", "^.\\\\"), "5");
    takes(store, P_MATCH("nowhere", "x"), "");
    takes(store, P_MATCH("nowhere", "x*"), "012345");
    takes(store, P_NO_MATCH("nowhere", "x"), "012345");
    takes(store, P_NOT(P_MATCH("t", "a")), "0345");
    takes(store, P_AND(P_MATCH("t", "a|b"), P_NE("u", "x")), "13");
    takes(store, P_OR(P_MATCH("t", "^b"), P_MATCH("u", "^x")), "23");
}

static void patterns_choose_what_is_listed(struct af_store *store, const struct af_contract *contract)
{
    (void)contract;
    contract_put(store, tagged);
    struct af_scan m = { .measurement = "m", .predicate = P_MATCH("t", "^a") };
    contract_check_list(store, AF_LIST_SERIES, m, "m,t=a\nm,t=ab,u=x\n");
    contract_check_list(store, AF_LIST_TAG_KEYS, m, "t\nu\n");
    m.tag = "t";
    contract_check_list(store, AF_LIST_TAG_VALUES, m, "a\nab\n");
    m.predicate = P_NO_MATCH("u", ".");
    contract_check_list(store, AF_LIST_TAG_VALUES, m, "a\nb\n");
    m.measurement = NULL;
    contract_check_list(store, AF_LIST_SERIES, m, "m\nm,t=a\nm,t=b\nn,t=a\n");
    contract_check_list(store, AF_LIST_MEASUREMENTS, m, "m\nn\n");
    m.predicate = P_MATCH("u", "^x$");
    contract_check_list(store, AF_LIST_MEASUREMENTS, m, "m\nn n\n");
}

static void check_counts(struct af_store *store, struct af_scan scan, int64_t measurements, int64_t series)
{
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    AF_CHECK_OK(af_store_list(store, AF_LIST_COUNTS, &scan, &stream, &err), err);
    AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
    AF_CHECK(batch != NULL && batch->row_count == 2 && batch->schema->field_count == 2);
    AF_CHECK_STR(batch->schema->fields[1].name, "count");
    AF_CHECK_SLICE(af_column_text(&batch->columns[0], 0), "measurements");
    AF_CHECK_SLICE(af_column_text(&batch->columns[0], 1), "series");
    if (batch->columns[1].i64[0] != measurements || batch->columns[1].i64[1] != series)
        af_test_failed(__FILE__, __LINE__, "%s: %lld measurements and %lld series, want %lld and %lld", contract_running,
                       (long long)batch->columns[1].i64[0], (long long)batch->columns[1].i64[1], (long long)measurements,
                           (long long)series);
    AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
    AF_CHECK(batch == NULL);
    af_stream_close(stream);
    af_arena_done(&arena);
}

static void series_are_counted(struct af_store *store, const struct af_contract *contract)
{
    check_counts(store, (struct af_scan){ 0 }, 0, 0);
    contract_put(store, tagged);
    check_counts(store, (struct af_scan){ 0 }, 3, 8);
    check_counts(store, (struct af_scan){ .measurement = "m" }, 1, 6);
    check_counts(store, (struct af_scan){ .measurement = "n n" }, 1, 1);
    check_counts(store, (struct af_scan){ .measurement = "nowhere" }, 0, 0);
    check_counts(store, (struct af_scan){ .predicate = P_MATCH("t", "^a") }, 2, 3);
    check_counts(store, (struct af_scan){ .measurement = "m", .predicate = P_EQ("u", "") }, 1, 3);
    check_counts(store, (struct af_scan){ .predicate = P_NONE }, 0, 0);
    if (contract->may_linger)
        return;
    struct af_scan scan = { .measurement = "n", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    AF_CHECK_OK(af_store_erase(store, &scan, &err), err);
    check_counts(store, (struct af_scan){ 0 }, 2, 7);
}

/* --- rows of a scan, in memory ----------------------------------------------------------------------------------------------------- */

enum { FOLDS_MAX = 8 };

struct scanned {
    struct af_arena arena;  /* of what follows */
    const struct af_schema *schema;
    struct af_slice *keys;  /* by row */
    int64_t *time_ns;
    struct af_value *cells; /* row by row, schema->field_count - 2 each */
    size_t count, cap;
};

static void *need(void *ptr)
{
    if (ptr == NULL)
        abort();
    return ptr;
}

static void add_scanned(struct scanned *rows, const struct af_batch *batch)
{
    size_t width = batch->schema->field_count - 2;
    for (size_t row = 0; row < batch->row_count; row++) {
        if (rows->count == rows->cap) {
            rows->cap = rows->cap == 0 ? 256 : rows->cap * 2;
            rows->keys = need(realloc(rows->keys, rows->cap * sizeof *rows->keys));
            rows->time_ns = need(realloc(rows->time_ns, rows->cap * sizeof *rows->time_ns));
            rows->cells = need(realloc(rows->cells, rows->cap * (width + 1) * sizeof *rows->cells));
        }
        rows->keys[rows->count] = af_column_text(&batch->columns[0], row);
        rows->time_ns[rows->count] = batch->columns[1].i64[row];
        for (size_t i = 0; i < width; i++)
            rows->cells[rows->count * width + i] = af_column_value(&batch->columns[i + 2], row);
        rows->count++;
    }
    rows->schema = batch->schema;
}

/* All batches of a scan; NULL rows of the schema if there were none. */
static enum af_status scan_rows(struct af_store *store, const struct af_scan *scan, struct scanned *out)
{
    struct af_stream *stream;
    struct af_batch *batch;
    *out = (struct scanned){ 0 };
    af_arena_init(&out->arena, (size_t)1 << 30);
    enum af_status status = af_store_scan(store, scan, &stream, &err);
    if (status != AF_OK)
        return status;
    do {
        status = af_stream_next(stream, &out->arena, &batch, &err);
        if (status == AF_OK && batch != NULL)
            add_scanned(out, batch);
    } while (status == AF_OK && batch != NULL);
    af_stream_close(stream);
    return status;
}

static void must_scan(struct af_store *store, const struct af_scan *scan, struct scanned *out)
{
    enum af_status status = scan_rows(store, scan, out);
    if (status != AF_OK)
        af_test_failed(__FILE__, __LINE__, "%s: %s: %s", contract_running, af_status_name(status), err.message);
}

static void scanned_done(struct scanned *rows)
{
    free(rows->keys);
    free(rows->time_ns);
    free(rows->cells);
    af_arena_done(&rows->arena);
}

static void append_value(struct af_buf *out, const struct af_value *value)
{
    switch (value->type) {
    case AF_TYPE_NULL: af_buf_append_str(out, "-"); break;
    case AF_TYPE_F64: af_buf_printf(out, "%.17g", value->f64); break;
    case AF_TYPE_U64: af_buf_printf(out, "%lluu", (unsigned long long)value->u64); break;
    case AF_TYPE_BOOL: af_buf_append_str(out, value->boolean ? "true" : "false"); break;
    case AF_TYPE_STRING: af_buf_printf(out, "\"" AF_SLICE_FMT "\"", AF_SLICE_ARG(value->text)); break;
    case AF_TYPE_I64: af_buf_printf(out, "%lldi", (long long)value->i64); break;
    default: af_buf_printf(out, "@%lld", (long long)value->i64); break;
    }
}

/* Rows in the order they came. */
static void print_scanned(const struct scanned *rows, struct af_buf *out)
{
    size_t width = rows->schema != NULL ? rows->schema->field_count - 2 : 0;
    for (size_t row = 0; row < rows->count; row++) {
        af_buf_append_slice(out, rows->keys[row]);
        af_buf_printf(out, " %lld", (long long)rows->time_ns[row]);
        for (size_t i = 0; i < width; i++) {
            af_buf_printf(out, " %s=", rows->schema->fields[i + 2].name);
            append_value(out, &rows->cells[row * width + i]);
        }
        af_buf_append_char(out, '\n');
    }
}

/* --- folding them by hand ----------------------------------------------------------------------------------------------------------- */

struct cell {
    struct af_value value;
    struct af_value time;
};
struct line {
    struct af_slice key;
    struct af_slice tags[4]; /* the values of the grouped tags, "" without */
    size_t tag_count;
    size_t order;            /* of its series in the scan; group_all */
    int64_t start_ns;
    struct cell cells[FOLDS_MAX];
};
struct folded {
    struct af_arena arena;
    struct line *lines;
    size_t count, cap;
};

static char *append_copy(struct af_arena *arena, struct af_slice text)
{
    return need(af_arena_copy(arena, text));
}

static struct af_slice tag_value(struct af_arena *arena, struct af_slice key, struct af_slice name)
{
    struct af_buf scratch;
    struct af_slice tag, value, found = { "", 0 };
    size_t at = 0;
    af_buf_init(&scratch, 1 << 16);
    while (af_key_next_tag(key, &at, &tag, &value))
        if (af_slice_eq(af_key_unescape(tag, &scratch), name)) {
            found = af_key_unescape(value, &scratch);
            found.ptr = append_copy(arena, found);
            break;
        }
    af_buf_done(&scratch);
    return found;
}

/* The parts of the series key that belong to the group, as they are written there. */
static struct af_slice key_of_group(struct af_arena *arena, const struct af_scan *scan, struct af_slice series)
{
    struct af_buf key, scratch;
    struct af_slice tag, value;
    size_t at = 0;
    if (scan->group_all)
        return series;
    af_buf_init(&key, 1 << 16);
    af_buf_init(&scratch, 1 << 16);
    af_buf_append_slice(&key, af_key_measurement_raw(series));
    while (af_key_next_tag(series, &at, &tag, &value))
        for (size_t i = 0; i < scan->group_count; i++)
            if (af_slice_eq(af_key_unescape(tag, &scratch), scan->group[i]) && value.len > 0)
                af_buf_printf(&key, "," AF_SLICE_FMT "=" AF_SLICE_FMT, AF_SLICE_ARG(tag), AF_SLICE_ARG(value));
    struct af_slice copy = { append_copy(arena, af_buf_slice(&key)), key.len };
    af_buf_done(&key);
    af_buf_done(&scratch);
    return copy;
}

static struct line *find_line(struct folded *folded, const struct af_scan *scan, struct af_slice series, size_t order, int64_t t)
{
    struct line line = { .key = key_of_group(&folded->arena, scan, series), .start_ns = scan->start_ns, .tag_count = scan->group_count };
    int64_t stop_ns;
    if (!af_window_is_none(&scan->window))
        af_window_of(&scan->window, t, &line.start_ns, &stop_ns);
    for (size_t i = 0; i < folded->count; i++)
        if (folded->lines[i].start_ns == line.start_ns && af_slice_eq(folded->lines[i].key, line.key))
            return &folded->lines[i];
    for (size_t i = 0; i < scan->group_count; i++)
        line.tags[i] = tag_value(&folded->arena, series, scan->group[i]);
    line.order = scan->group_all ? order : 0;
    if (folded->count == folded->cap) {
        folded->cap = folded->cap == 0 ? 256 : folded->cap * 2;
        folded->lines = need(realloc(folded->lines, folded->cap * sizeof *folded->lines));
    }
    folded->lines[folded->count] = line;
    return &folded->lines[folded->count++];
}

static void fold_in(struct cell *cell, enum af_fold_op op, struct af_value value, int64_t t)
{
    bool is_new = cell->value.type == AF_TYPE_NULL;
    struct af_value time = af_value_time(t);
    int by_value = is_new ? 1 : af_value_compare(&value, &cell->value);
    int by_time = is_new ? 1 : af_value_compare(&time, &cell->time);
    if (op == AF_FOLD_COUNT) {
        cell->value = af_value_i64(is_new ? 1 : cell->value.i64 + 1);
        return;
    }
    if (op == AF_FOLD_SUM) {
        if (is_new)
            cell->value = value;
        else if (value.type == AF_TYPE_F64)
            cell->value.f64 += value.f64;
        else
            cell->value.u64 += value.u64;
        return;
    }
    bool takes_over = op == AF_FOLD_MIN     ? by_value < 0 || (by_value == 0 && by_time < 0)
                      : op == AF_FOLD_MAX   ? by_value > 0 || (by_value == 0 && by_time < 0)
                      : op == AF_FOLD_FIRST ? by_time < 0 || (by_time == 0 && by_value > 0)
                                            : by_time > 0 || (by_time == 0 && by_value > 0);
    if (is_new || takes_over)
        *cell = (struct cell){ value, time };
}

static int by_group(const void *a, const void *b)
{
    const struct line *x = a;
    const struct line *y = b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    for (size_t i = 0; i < x->tag_count; i++) {
        int order = af_slice_cmp(x->tags[i], y->tags[i]);
        if (order != 0)
            return order;
    }
    return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

/* What `scan` must give, from the rows of the same scan without folds. Returns how many lines. */
static size_t print_folded(struct af_store *store, const struct af_scan *scan, struct af_buf *out)
{
    struct af_scan plain = *scan;
    struct scanned rows;
    struct folded folded = { 0 };
    plain.folds = NULL;
    plain.fold_count = plain.group_count = plain.groups_max = 0;
    plain.group = NULL;
    plain.group_all = false;
    plain.window = (struct af_window){ 0 };
    must_scan(store, &plain, &rows);
    af_arena_init(&folded.arena, (size_t)1 << 30);
    size_t order = 0;
    for (size_t row = 0; row < rows.count; row++) {
        order += row > 0 && !af_slice_eq(rows.keys[row], rows.keys[row - 1]);
        for (size_t i = 0; i < scan->fold_count; i++) {
            size_t column = af_schema_find(rows.schema, af_slice_of(scan->folds[i].field));
            if (column == SIZE_MAX)
                continue;
            struct af_value value = rows.cells[row * (rows.schema->field_count - 2) + column - 2];
            if (value.type != AF_TYPE_NULL)
                fold_in(&find_line(&folded, scan, rows.keys[row], order, rows.time_ns[row])->cells[i], scan->folds[i].op, value,
                        rows.time_ns[row]);
        }
    }
    if (folded.count > 1)
        qsort(folded.lines, folded.count, sizeof *folded.lines, by_group);
    for (size_t k = 0; k < folded.count; k++) {
        af_buf_printf(out, AF_SLICE_FMT " %lld", AF_SLICE_ARG(folded.lines[k].key), (long long)folded.lines[k].start_ns);
        for (size_t i = 0; i < scan->fold_count; i++) {
            af_buf_printf(out, " %zu=", i);
            append_value(out, &folded.lines[k].cells[i].value);
            af_buf_printf(out, " %zu.time=", i);
            append_value(out, &folded.lines[k].cells[i].time);
        }
        af_buf_append_char(out, '\n');
    }
    free(folded.lines);
    af_arena_done(&folded.arena);
    scanned_done(&rows);
    return folded.count;
}

/* Where two texts part, for messages. */
static void check_texts(struct af_buf *got, struct af_buf *want, const char *what)
{
    if (af_slice_eq(af_buf_slice(got), af_buf_slice(want)))
        return;
    const char *g = af_buf_cstr(got);
    const char *w = af_buf_cstr(want);
    for (size_t i = 0, line = 0;; i++) {
        if (g[i] == w[i]) {
            line = g[i] == '\n' ? i + 1 : line;
            continue;
        }
        af_test_failed(__FILE__, __LINE__, "%s: %s gives\n%.*s\nwant\n%.*s", contract_running, what, (int)strcspn(g + line, "\n"), g + line,
                       (int)strcspn(w + line, "\n"), w + line);
    }
}

static size_t check_folded(struct af_store *store, const struct af_scan *scan, const char *what)
{
    struct scanned rows;
    struct af_buf got, want;
    af_buf_init(&got, (size_t)1 << 30);
    af_buf_init(&want, (size_t)1 << 30);
    must_scan(store, scan, &rows);
    if (rows.count > 0) {
        AF_CHECK_INT(rows.schema->field_count, 2 + 2 * scan->fold_count);
        AF_CHECK_STR(rows.schema->fields[0].name, "series");
        AF_CHECK_STR(rows.schema->fields[1].name, "time");
    }
    print_scanned(&rows, &got);
    size_t count = print_folded(store, scan, &want);
    check_texts(&got, &want, what);
    AF_CHECK_INT(rows.count, count);
    scanned_done(&rows);
    af_buf_done(&got);
    af_buf_done(&want);
    return count;
}

/* --- random scans --------------------------------------------------------------------------------------------------------------------- */

#define HOUR (INT64_C(3600) * AF_NS_PER_S)

/* Times to be close to: before 1970, at it, and where the clocks of Los Angeles and Sao Paulo change. */
static const int64_t centres_s[] = { -5000000, 0, 1520000000, 1541300400, 1550368800, 1615716000, 1636275600, 1700000000 };

static int64_t random_time(struct af_prng *prng)
{
    int64_t centre = centres_s[af_prng_below(prng, sizeof centres_s / sizeof *centres_s)] * AF_NS_PER_S;
    int64_t step = af_prng_below(prng, 2) == 0 ? HOUR / 4 : 1;
    return centre + ((int64_t)af_prng_below(prng, 240) - 120) * step;
}

static void random_point(struct af_prng *prng, bool has_unsigned, struct af_buf *out)
{
    static const char *const a[] = { "", ",a=0", ",a=1", ",a=2" };
    static const char *const b[] = { "", ",b\\ \\,=x", ",b\\ \\,=x\\=y", ",b\\ \\,=\xc3\xa9" };
    static const char *const c[] = { "", ",c=p" };
    af_buf_printf(out, "m%s%s%s ", a[af_prng_below(prng, 4)], b[af_prng_below(prng, 4)], c[af_prng_below(prng, 2)]);
    uint64_t fields = 1 + af_prng_below(prng, has_unsigned ? 31 : 15);
    const char *comma = "";
    if (fields & 1) {
        af_buf_printf(out, "%sf=%d.%d", comma, (int)af_prng_below(prng, 8) - 4, af_prng_below(prng, 2) == 0 ? 25 : 5);
        comma = ",";
    }
    if (fields & 2) {
        static const char *const rare[] = { "9223372036854775807", "-9223372036854775808" };
        if (af_prng_below(prng, 20) == 0)
            af_buf_printf(out, "%si=%si", comma, rare[af_prng_below(prng, 2)]);
        else
            af_buf_printf(out, "%si=%di", comma, (int)af_prng_below(prng, 8) - 4);
        comma = ",";
    }
    if (fields & 4) {
        af_buf_printf(out, "%st=%s", comma, af_prng_below(prng, 2) == 0 ? "T" : "F");
        comma = ",";
    }
    if (fields & 8) {
        af_buf_printf(out, "%ss=\"%.*s\"", comma, (int)af_prng_below(prng, 4), "xyz");
        comma = ",";
    }
    if (fields & 16)
        af_buf_printf(out, "%su=%lluu", comma, (unsigned long long)(af_prng_below(prng, 9) == 0 ? UINT64_MAX : af_prng_below(prng, 5)));
    af_buf_printf(out, " %lld\n", (long long)random_time(prng));
}

static struct af_window random_window(struct af_prng *prng)
{
    static const int64_t every[] = { 1, 7, HOUR / 4, HOUR, 2 * HOUR, 3 * HOUR, 24 * HOUR, 168 * HOUR, 100000 * HOUR };
    struct af_window window = { 0 };
    uint64_t kind = af_prng_below(prng, 8);
    if (kind == 0)
        return window;
    if (kind == 1)
        window.every_months = 1 + (int64_t)af_prng_below(prng, 14);
    else
        window.every_ns = every[af_prng_below(prng, sizeof every / sizeof *every)];
    if (af_prng_below(prng, 3) == 0)
        window.offset_ns = ((int64_t)af_prng_below(prng, 200) - 100) * (af_prng_below(prng, 2) == 0 ? HOUR / 2 : 1);
    if (kind < 5 || window.every_ns == 1 || window.every_ns == 7)
        return window;
    if (af_prng_below(prng, 3) == 0)
        window.zone = (struct af_zone){ .kind = AF_ZONE_FIXED, .offset_s = -16200 };
    else if (af_prng_below(prng, 2) == 0 || af_zone_find(AF_SLICE_LIT("America/Los_Angeles"), &window.zone, NULL) != AF_OK)
        window.zone = (struct af_zone){ .kind = AF_ZONE_SAO_PAULO };
    return window;
}

static size_t random_folds(struct af_prng *prng, bool has_unsigned, struct af_fold *out)
{
    static const char *const fields[] = { "f", "i", "t", "s", "nowhere", "u" };
    size_t count = 1 + (size_t)af_prng_below(prng, 6);
    for (size_t i = 0; i < count; i++) {
        out[i].field = fields[af_prng_below(prng, has_unsigned ? 6 : 5)];
        do
            out[i].op = (enum af_fold_op)af_prng_below(prng, 6);
        while ((out[i].op == AF_FOLD_SUM && strchr("ts", *out[i].field) != NULL) ||
               ((out[i].op == AF_FOLD_MIN || out[i].op == AF_FOLD_MAX) && *out[i].field == 's'));
    }
    return count;
}

/* Some of the series, in any order, and some that are none. */
static size_t random_series(struct af_prng *prng, struct af_buf *all, struct af_slice *out, size_t cap)
{
    size_t count = 0;
    for (const char *at = af_buf_cstr(all); *at != '\0'; at = strchr(at, '\n') + 1)
        if (af_prng_below(prng, 2) == 0 && count < cap)
            out[count++] = af_slice_make(at, strcspn(at, "\n"));
    if (count < cap)
        out[count++] = AF_SLICE_LIT("m,a=nobody");
    if (count < cap)
        out[count++] = AF_SLICE_LIT("n,a=0");
    for (size_t i = count; i > 1; i--) {
        size_t k = (size_t)af_prng_below(prng, i);
        struct af_slice other = out[k];
        out[k] = out[i - 1];
        out[i - 1] = other;
    }
    return count;
}

static struct af_scan random_range(struct af_prng *prng)
{
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    if (af_prng_below(prng, 2) == 0)
        scan.start_ns = random_time(prng);
    if (af_prng_below(prng, 2) == 0)
        scan.stop_ns = random_time(prng);
    return scan;
}

static const struct af_predicate *random_predicate(struct af_prng *prng, struct af_predicate *room)
{
    static const char *const patterns[] = { "^(0|2)$", "[12]", "^$", "x", "=y$", "." };
    bool is_a = af_prng_below(prng, 2) == 0;
    *room = (struct af_predicate){ .tag = af_slice_of(is_a ? "a" : "b ,"), .value = af_slice_of(is_a ? "1" : "x=y") };
    uint64_t kind = af_prng_below(prng, 6);
    if (kind < 2)
        return NULL;
    room->op = kind == 2 ? AF_PREDICATE_EQUAL : kind == 3 ? AF_PREDICATE_NOT_EQUAL : kind == 4 ? AF_PREDICATE_MATCH
        : AF_PREDICATE_NOT_MATCH;
    if (kind >= 4)
        room->regex = pattern(patterns[af_prng_below(prng, sizeof patterns / sizeof *patterns)]);
    return room;
}

/* The order of series in a scan by name, and what it leaves out. */
static void check_series_order(struct af_store *store, const struct af_scan *scan)
{
    struct scanned rows;
    must_scan(store, scan, &rows);
    size_t at = 0;
    for (size_t row = 0; row < rows.count; row++) {
        while (at < scan->series_count && !af_slice_eq(scan->series[at], rows.keys[row]))
            at++;
        if (at == scan->series_count)
            af_test_failed(__FILE__, __LINE__, "%s: series " AF_SLICE_FMT " is not in the order of the list", contract_running,
                           AF_SLICE_ARG(rows.keys[row]));
    }
    scanned_done(&rows);
    struct af_scan all = *scan;
    struct af_buf got;
    all.series = NULL;
    all.series_count = 0;
    af_buf_init(&got, 1 << 26);
    af_contract_dump(store, scan, &got);
    must_scan(store, &all, &rows);
    /* Of all rows, those whose key is listed: as many as the scan by name has. */
    size_t listed = 0, lines = 0;
    for (size_t row = 0; row < rows.count; row++)
        for (size_t i = 0; i < scan->series_count; i++)
            listed += af_slice_eq(scan->series[i], rows.keys[row]);
    for (size_t i = 0; i < got.len; i++)
        lines += got.ptr[i] == '\n';
    AF_CHECK_INT(lines, listed);
    scanned_done(&rows);
    af_buf_done(&got);
}

static void fill_randomly(struct af_store *store, struct af_prng *prng, bool has_unsigned)
{
    struct af_buf lines;
    af_buf_init(&lines, 1 << 22);
    for (int write = 0; write < 4; write++) {
        af_buf_clear(&lines);
        af_buf_append_str(&lines, "n,a=0 f=1 5\n");
        for (int i = 0; i < 400; i++)
            random_point(prng, has_unsigned, &lines);
        af_contract_write(store, af_buf_slice(&lines), 1);
    }
    af_buf_done(&lines);
}

static void folded_scans_equal_folded_rows(struct af_store *store, const struct af_contract *contract)
{
    static const struct af_slice tags[] = { { "a", 1 }, { "b ,", 3 }, { "c", 1 }, { "nowhere", 7 } };
    struct af_prng prng = { 20210314 };
    struct af_buf keys;
    struct af_slice series[64], group[4];
    af_buf_init(&keys, 1 << 20);
    fill_randomly(store, &prng, contract->has_unsigned);
    contract_list(store, AF_LIST_SERIES, &(struct af_scan){ .measurement = "m" }, &keys);
    for (int round = 0; round < 400; round++) {
        struct af_scan scan = random_range(&prng);
        struct af_predicate room;
        struct af_fold folds[FOLDS_MAX];
        scan.predicate = random_predicate(&prng, &room);
        if ((store->caps & AF_STORE_CAN_SERIES) != 0 && af_prng_below(&prng, 3) == 0) {
            scan.series = series;
            scan.series_count = random_series(&prng, &keys, series, sizeof series / sizeof *series);
            check_series_order(store, &scan);
        }
        if ((store->caps & AF_STORE_CAN_FOLD) == 0)
            continue;
        scan.window = random_window(&prng);
        scan.folds = folds;
        scan.fold_count = random_folds(&prng, contract->has_unsigned, folds);
        scan.group_all = af_prng_below(&prng, 4) == 0;
        for (size_t i = 0; i < 4 && !scan.group_all; i++)
            if (af_prng_below(&prng, 3) == 0)
                group[scan.group_count++] = tags[i];
        scan.group = group;
        scan.workers = (unsigned)af_prng_below(&prng, 4);
        char what[80];
        (void)snprintf(what, sizeof what, "folded scan %d", round);
        size_t count = check_folded(store, &scan, what);
        struct scanned rows;
        if (round % 4 != 0 || count < 2)
            continue;
        scan.groups_max = count - 1;
        AF_CHECK_FAILS(scan_rows(store, &scan, &rows), AF_ELIMIT);
        scanned_done(&rows);
        scan.groups_max = count;
        (void)check_folded(store, &scan, "a folded scan at its limit");
    }
    af_buf_done(&keys);
}

/* --- certain folds ------------------------------------------------------------------------------------------------------------------- */

static void check_fold_text(struct af_store *store, const struct af_scan *scan, const char *want)
{
    struct scanned rows;
    struct af_buf got;
    af_buf_init(&got, 1 << 20);
    must_scan(store, scan, &rows);
    print_scanned(&rows, &got);
    if (strcmp(af_buf_cstr(&got), want) != 0)
        af_test_failed(__FILE__, __LINE__, "%s: a fold gives\n%s\nwant\n%s", contract_running, af_buf_cstr(&got), want);
    af_buf_done(&got);
    scanned_done(&rows);
}

static void folds_break_ties(struct af_store *store, const struct af_contract *contract)
{
    static const struct af_fold folds[] = { { AF_FOLD_COUNT, "v" }, { AF_FOLD_SUM, "v" },   { AF_FOLD_MIN, "v" },
                                            { AF_FOLD_MAX, "v" },   { AF_FOLD_FIRST, "v" }, { AF_FOLD_LAST, "v" } };
    static const struct af_fold words[] = { { AF_FOLD_FIRST, "s" }, { AF_FOLD_LAST, "s" }, { AF_FOLD_FIRST, "b" }, { AF_FOLD_MIN, "b" } };
    (void)contract;
    if ((store->caps & AF_STORE_CAN_FOLD) == 0)
        return;
    contract_put(store, "m,h=a v=3i,s=\"p\",b=f 10\nm,h=b v=5i,s=\"q\",b=t 10\nm,h=a v=3i 20\nm,h=b v=1i,s=\"b\" 30\nm,h=a v=1i,s=\"ab\" 30\n");
    struct af_scan scan = { .measurement = "m", .start_ns = 0, .stop_ns = 100, .folds = folds, .fold_count = 6 };
    check_fold_text(store, &scan, "m 0 0=5i 0.time=- 1=13i 1.time=- 2=1i 2.time=@30 3=5i 3.time=@10 4=5i 4.time=@10 5=1i 5.time=@30\n");
    scan.window.every_ns = 15;
    scan.window.offset_ns = -40;
    scan.group_all = true;
    scan.fold_count = 1;
    check_fold_text(store, &scan, "m,h=a 5 0=1i 0.time=-\nm,h=a 20 0=2i 0.time=-\nm,h=b 5 0=1i 0.time=-\nm,h=b 20 0=1i 0.time=-\n");
    scan.group_all = false;
    scan.window = (struct af_window){ 0 };
    scan.folds = words;
    scan.fold_count = 4;
    check_fold_text(store, &scan, "m 0 0=\"q\" 0.time=@10 1=\"b\" 1.time=@30 2=true 2.time=@10 3=false 3.time=@10\n");
    scan.measurement = "nowhere";
    check_fold_text(store, &scan, "");
    scan.measurement = "m";
    scan.start_ns = scan.stop_ns;
    check_fold_text(store, &scan, "");
}

static void folds_without_sense_are_refused(struct af_store *store, const struct af_contract *contract)
{
    static const struct af_fold bad[] = { { AF_FOLD_SUM, "s" }, { AF_FOLD_SUM, "b" }, { AF_FOLD_MIN, "s" }, { AF_FOLD_MAX, "s" } };
    static const char *const fields[] = { "v" };
    static const struct af_fold good = { AF_FOLD_COUNT, "v" };
    struct scanned rows;
    (void)contract;
    if ((store->caps & AF_STORE_CAN_FOLD) == 0)
        return;
    contract_put(store, "m v=3i,s=\"p\",b=f 10\n");
    struct af_scan scan = contract_everything;
    scan.fold_count = 1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        scan.folds = &bad[i];
        AF_CHECK_FAILS(scan_rows(store, &scan, &rows), AF_EINVAL);
        scanned_done(&rows);
    }
    scan.folds = &good;
    scan.fields = fields;
    scan.field_count = 1;
    AF_CHECK_FAILS(scan_rows(store, &scan, &rows), AF_EINVAL);
    scanned_done(&rows);
}

/* More windows than a batch has rows, and none of them for a week. */
static void many_windows(struct af_store *store, const struct af_contract *contract)
{
    enum { ROWS = 20000 };
    static const struct af_fold folds[] = { { AF_FOLD_SUM, "v" }, { AF_FOLD_LAST, "s" } };
    struct af_buf lines, want;
    struct scanned rows;
    (void)contract;
    if ((store->caps & AF_STORE_CAN_FOLD) == 0)
        return;
    af_buf_init(&lines, 16 << 20);
    af_buf_init(&want, 16 << 20);
    for (int64_t i = 0; i < ROWS; i++) {
        int64_t ns = (i + (i >= ROWS / 2 ? 10000 : 0)) * 60 * AF_NS_PER_S;
        af_buf_printf(&lines, "m v=%lldi,s=\"%lld\" %lld\nm v=1i %lld\n", (long long)i, (long long)i, (long long)ns, (long long)ns + 1);
        af_buf_printf(&want, "m %lld 0=%lldi 0.time=- 1=\"%lld\" 1.time=@%lld\n", (long long)ns, (long long)i + 1, (long long)i,
                      (long long)ns);
    }
    af_contract_write(store, af_buf_slice(&lines), 1);
    struct af_scan scan = contract_everything;
    scan.folds = folds;
    scan.fold_count = 2;
    scan.window.every_ns = 60 * AF_NS_PER_S;
    af_buf_clear(&lines);
    must_scan(store, &scan, &rows);
    print_scanned(&rows, &lines);
    check_texts(&lines, &want, "a scan of many windows");
    scanned_done(&rows);
    af_buf_done(&lines);
    af_buf_done(&want);
}

void contract_folds(const struct af_contract *contract)
{
    contract_with(contract, patterns_are_matched);
    contract_with(contract, patterns_choose_what_is_listed);
    contract_with(contract, series_are_counted);
    contract_with(contract, folded_scans_equal_folded_rows);
    contract_with(contract, folds_break_ties);
    contract_with(contract, folds_without_sense_are_refused);
    contract_with(contract, many_windows);
}
