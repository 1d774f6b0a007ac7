/*
 * fold_test.c - folded scans against what the engine's own rows fold to, one by one, whatever lies in files, caches and under tombstones.
 *
 * Floats are small multiples of a half, so that their sums are exact in any order.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/prng.h"
#include "tsm/digest.h"
#include "tsm/engine_fixture.h"
#include "tsm/fold_int.h"

static struct af_error err;
#define DAY AF_NS_PER_DAY

/* --- the oracle: rows, folded in the plainest way ------------------------------------------------------------------------- */

enum { FOLDS_MAX = 12, TAGS_MAX = 3, TEXT_MAX = 24 };

struct result {
    bool has;
    enum af_type type;
    uint64_t number;
    char text[TEXT_MAX];
    int64_t time_ns;
};
struct line {
    char key[200];
    char tags[TAGS_MAX][TEXT_MAX];
    size_t place;
    int64_t start_ns;
    struct result results[FOLDS_MAX];
};
struct lines {
    struct line *list;
    size_t count, cap;
};

static double as_f64(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static int compare_values(const struct result *a, const struct result *b)
{
    switch (a->type) {
    case AF_TYPE_F64: return (as_f64(a->number) > as_f64(b->number)) - (as_f64(a->number) < as_f64(b->number));
    case AF_TYPE_I64: return ((int64_t)a->number > (int64_t)b->number) - ((int64_t)a->number < (int64_t)b->number);
    case AF_TYPE_STRING: return strcmp(a->text, b->text);
    default: return (a->number > b->number) - (a->number < b->number);
    }
}

static void tag_of(struct af_slice key, struct af_slice name, char *out)
{
    struct af_slice tag, value;
    size_t at = 0;
    out[0] = '\0';
    while (af_key_next_tag(key, &at, &tag, &value))
        if (af_slice_eq(tag, name))
            snprintf(out, TEXT_MAX, "%.*s", (int)value.len, value.ptr);
}

static struct line *line_of(struct lines *lines, const struct af_scan *scan, struct af_slice series, size_t place, int64_t start_ns)
{
    struct line line = { .start_ns = start_ns, .place = scan->group_all ? place : 0 };
    size_t len = 0;
    if (scan->group_all)
        snprintf(line.key, sizeof line.key, "%.*s", (int)series.len, series.ptr);
    else
        len = (size_t)snprintf(line.key, sizeof line.key, "%s", scan->measurement);
    for (size_t i = 0; i < scan->group_count && !scan->group_all; i++) {
        tag_of(series, scan->group[i], line.tags[i]);
        if (line.tags[i][0] != '\0')
            len += (size_t)snprintf(line.key + len, sizeof line.key - len, ",%.*s=%s", (int)scan->group[i].len, scan->group[i].ptr,
                                    line.tags[i]);
    }
    for (size_t i = 0; i < lines->count; i++)
        if (strcmp(lines->list[i].key, line.key) == 0 && lines->list[i].start_ns == start_ns)
            return &lines->list[i];
    if (lines->count == lines->cap) {
        lines->cap = lines->cap * 2 + 16;
        lines->list = realloc(lines->list, lines->cap * sizeof *lines->list);
    }
    lines->list[lines->count] = line;
    return &lines->list[lines->count++];
}

static void fold_one(struct result *result, enum af_fold_op op, const struct result *value)
{
    int order = result->has ? compare_values(value, result) : 0;
    bool wins = !result->has;
    if (op == AF_FOLD_COUNT) {
        *result = (struct result){ true, AF_TYPE_I64, result->number + 1, "", 0 };
        return;
    }
    if (op == AF_FOLD_SUM && result->has) {
        double sum = as_f64(result->number) + as_f64(value->number);
        result->number += value->number;
        if (value->type == AF_TYPE_F64)
            memcpy(&result->number, &sum, sizeof sum);
        return;
    }
    if (op == AF_FOLD_MIN)
        wins = wins || order < 0 || (order == 0 && value->time_ns < result->time_ns);
    if (op == AF_FOLD_MAX)
        wins = wins || order > 0 || (order == 0 && value->time_ns < result->time_ns);
    if (op == AF_FOLD_FIRST)
        wins = wins || value->time_ns < result->time_ns || (value->time_ns == result->time_ns && order > 0);
    if (op == AF_FOLD_LAST)
        wins = wins || value->time_ns > result->time_ns || (value->time_ns == result->time_ns && order > 0);
    if (wins)
        *result = *value;
}

static bool cell_value(const struct af_batch *batch, const char *field, size_t row, struct result *out)
{
    size_t at = af_schema_find(batch->schema, af_slice_of(field));
    if (at == SIZE_MAX || !af_column_has(&batch->columns[at], row))
        return false;
    const struct af_column *column = &batch->columns[at];
    *out = (struct result){ .has = true, .type = column->type, .time_ns = batch->columns[1].i64[row] };
    if (column->type == AF_TYPE_STRING)
        snprintf(out->text, sizeof out->text, "%.*s", (int)af_column_text(column, row).len, af_column_text(column, row).ptr);
    else
        out->number = column->type == AF_TYPE_BOOL ? af_bit_get(column->bits, row) : column->u64[row];
    return true;
}

static int by_group(const void *a, const void *b)
{
    const struct line *x = a;
    const struct line *y = b;
    for (size_t i = 0; i < TAGS_MAX; i++)
        if (strcmp(x->tags[i], y->tags[i]) != 0)
            return strcmp(x->tags[i], y->tags[i]);
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

static void print_result(struct af_buf *out, const struct result *result, bool has_time)
{
    if (!result->has)
        af_buf_append_str(out, " -");
    else if (result->type == AF_TYPE_STRING)
        af_buf_printf(out, " \"%s\"", result->text);
    else if (result->type == AF_TYPE_F64)
        af_buf_printf(out, " %a", as_f64(result->number));
    else
        af_buf_printf(out, " %lld%c", (long long)result->number,
                      result->type == AF_TYPE_I64    ? 'i'
                      : result->type == AF_TYPE_BOOL ? 'b'
                                                     : 'u');
    if (result->has && has_time)
        af_buf_printf(out, "@%lld", (long long)result->time_ns);
}

static bool has_time(enum af_fold_op op)
{
    return op != AF_FOLD_COUNT && op != AF_FOLD_SUM;
}

static void add_row(struct lines *lines, const struct af_scan *scan, const struct af_batch *batch, size_t row, size_t place)
{
    int64_t start_ns = scan->start_ns, stop_ns;
    struct line *line = NULL;
    if (!af_window_is_none(&scan->window))
        af_window_of(&scan->window, batch->columns[1].i64[row], &start_ns, &stop_ns);
    for (size_t i = 0; i < scan->fold_count; i++) {
        struct result value;
        if (!cell_value(batch, scan->folds[i].field, row, &value))
            continue;
        if (line == NULL)
            line = line_of(lines, scan, af_column_text(&batch->columns[0], row), place, start_ns);
        fold_one(&line->results[i], scan->folds[i].op, &value);
    }
}

/* What the fold must give, as text. */
static void expected(struct af_store *store, const struct af_scan *scan, struct af_buf *out)
{
    struct af_scan rows = *scan;
    struct lines lines = { 0 };
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    char before[200] = "";
    size_t place = 0;
    rows.fold_count = 0;
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_OK(af_store_scan(store, &rows, &stream, &err), err);
    for (;;) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        for (size_t row = 0; batch != NULL && row < batch->row_count; row++) {
            struct af_slice key = af_column_text(&batch->columns[0], row);
            if (!af_slice_is(key, before))
                place++;
            snprintf(before, sizeof before, "%.*s", (int)key.len, key.ptr);
            add_row(&lines, scan, batch, row, place);
        }
        if (batch == NULL)
            break;
        af_arena_reset(&arena);
    }
    af_stream_close(stream);
    af_arena_done(&arena);
    if (lines.count > 0)
        qsort(lines.list, lines.count, sizeof *lines.list, by_group);
    for (size_t i = 0; i < lines.count; i++) {
        af_buf_printf(out, "%s %lld", lines.list[i].key, (long long)lines.list[i].start_ns);
        for (size_t k = 0; k < scan->fold_count; k++)
            print_result(out, &lines.list[i].results[k], has_time(scan->folds[k].op));
        af_buf_append_char(out, '\n');
    }
    free(lines.list);
}

/* --- what the fold gives -------------------------------------------------------------------------------------------------- */

static void dump_row(struct af_buf *out, const struct af_scan *scan, const struct af_batch *batch, size_t row)
{
    struct af_slice key = af_column_text(&batch->columns[0], row);
    af_buf_printf(out, "%.*s %lld", (int)key.len, key.ptr, (long long)batch->columns[1].i64[row]);
    for (size_t i = 0; i < scan->fold_count; i++) {
        char name[32];
        struct result result = { 0 };
        snprintf(name, sizeof name, "%zu", i);
        bool has = cell_value(batch, name, row, &result);
        const struct af_column *time = &batch->columns[i * 2 + 3];
        AF_CHECK(time->type == AF_TYPE_TIME && af_column_has(time, row) == (has && has_time(scan->folds[i].op)));
        if (af_column_has(time, row))
            result.time_ns = time->i64[row];
        print_result(out, &result, has_time(scan->folds[i].op));
    }
    af_buf_append_char(out, '\n');
}

static enum af_status try_fold(struct af_store *store, const struct af_scan *scan, struct af_buf *out)
{
    struct af_stream *stream;
    struct af_batch *batch = NULL;
    struct af_arena arena;
    AF_TRY(af_store_scan(store, scan, &stream, &err));
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_INT(stream->schema->field_count, scan->fold_count * 2 + 2);
    enum af_status status;
    do {
        status = af_stream_next(stream, &arena, &batch, &err);
        for (size_t row = 0; status == AF_OK && batch != NULL && row < batch->row_count; row++)
            dump_row(out, scan, batch, row);
        af_arena_reset(&arena);
    } while (status == AF_OK && batch != NULL);
    af_stream_close(stream);
    af_arena_done(&arena);
    return status;
}

static char *fold_text(struct af_store *store, const struct af_scan *scan)
{
    struct af_buf text;
    af_buf_init(&text, SIZE_MAX);
    AF_CHECK_OK(try_fold(store, scan, &text), err);
    char *copy = strdup(af_buf_cstr(&text));
    af_buf_done(&text);
    return copy;
}

/* A field whose type changes may be text where a number is asked for. */
static bool is_refused(struct af_store *store, const struct af_scan *scan)
{
    struct af_stream *stream;
    enum af_status status = af_store_scan(store, scan, &stream, &err);
    if (status == AF_OK)
        af_stream_close(stream);
    return status == AF_EINVAL && strstr(err.message, "field x holds") != NULL;
}

static void check_fold(struct af_store *store, const struct af_scan *scan)
{
    struct af_buf want;
    if (is_refused(store, scan))
        return;
    af_buf_init(&want, SIZE_MAX);
    expected(store, scan, &want);
    char *got = fold_text(store, scan);
    if (strcmp(got, af_buf_cstr(&want)) != 0)
        af_test_failed(__FILE__, __LINE__, "%d of %s, %lld to %lld, digests of %zu bytes, %zu series, %u workers: got\n%s\nwant\n%s",
                       scan->folds[0].op, scan->folds[0].field, (long long)scan->start_ns, (long long)scan->stop_ns, af_digest_bytes(),
                       scan->series_count, scan->workers, got, af_buf_cstr(&want));
    free(got);
    af_buf_done(&want);
}

/* --- random questions ----------------------------------------------------------------------------------------------------- */

/* Fields by name: f* floats, i* integers, u* unsigned, b* booleans, s* strings, x* of changing types. */
static const char *const field_names[] = { "f", "f2", "i", "u", "b", "s", "x", "none" };
enum { FIELD_NAMES = 8 };

static bool can_fold(enum af_fold_op op, const char *field)
{
    if (op == AF_FOLD_SUM)
        return field[0] != 'b' && field[0] != 's';
    return (op != AF_FOLD_MIN && op != AF_FOLD_MAX) || field[0] != 's';
}

struct question {
    struct af_scan scan;
    struct af_fold folds[FOLDS_MAX];
    struct af_slice tags[TAGS_MAX];
    struct af_predicate predicate;
    struct af_slice series[8];
    char keys[8][64];
};

static void random_window(struct af_prng *prng, struct af_window *window, int64_t unit)
{
    static const int64_t units[] = { 1, 2, 3, 7, 24, 24 * 7 };
    *window = (struct af_window){ 0 };
    switch (af_prng_below(prng, 7)) {
    case 0:
    case 1: break;
    case 2: window->every_months = 1 + (int64_t)af_prng_below(prng, 3); break;
    case 3:
        window->every_ns = DAY * (1 + (int64_t)af_prng_below(prng, 2));
        window->zone = (struct af_zone){ .kind = af_prng_below(prng, 2) == 0 ? AF_ZONE_SAO_PAULO : AF_ZONE_FIXED, .offset_s = -10800 };
        break;
    case 4: window->every_ns = DAY * (1 + (int64_t)af_prng_below(prng, 10)); break;
    default:
        window->every_ns = unit * units[af_prng_below(prng, 6)] / (1 + (int64_t)af_prng_below(prng, 2));
        window->offset_ns = unit / 4 * (int64_t)(af_prng_below(prng, 9)) - unit;
        break;
    }
}

static void random_question(struct af_prng *prng, struct question *q, int64_t start, int64_t span, int64_t unit, unsigned series)
{
    *q = (struct question){ .scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX } };
    size_t count = 1 + af_prng_below(prng, 4);
    for (size_t i = 0; i < count;) {
        struct af_fold fold = { (enum af_fold_op)af_prng_below(prng, 6), field_names[af_prng_below(prng, FIELD_NAMES)] };
        if (can_fold(fold.op, fold.field))
            q->folds[i++] = fold;
    }
    q->scan.folds = q->folds;
    q->scan.fold_count = count;
    if (af_prng_below(prng, 4) != 0) {
        q->scan.start_ns = start + (int64_t)af_prng_below(prng, (uint64_t)span) - span / 8;
        q->scan.stop_ns = q->scan.start_ns + (int64_t)af_prng_below(prng, (uint64_t)span);
        if (af_prng_below(prng, 3) == 0) /* whole days */
            q->scan.start_ns -= q->scan.start_ns % DAY;
    }
    random_window(prng, &q->scan.window, unit);
    q->tags[0] = AF_SLICE_LIT("k");
    q->tags[1] = AF_SLICE_LIT("r");
    q->tags[2] = AF_SLICE_LIT("zz");
    switch (af_prng_below(prng, 5)) {
    case 0: q->scan.group_all = true; break;
    case 1: q->scan.group = q->tags + 1, q->scan.group_count = 1; break;
    case 2: q->scan.group = q->tags, q->scan.group_count = 1 + af_prng_below(prng, 3); break;
    default: break;
    }
    if (af_prng_below(prng, 4) == 0) {
        q->predicate = (struct af_predicate){ .op = af_prng_below(prng, 2) == 0 ? AF_PREDICATE_EQUAL : AF_PREDICATE_NOT_EQUAL,
                                              .tag = AF_SLICE_LIT("r"), .value = AF_SLICE_LIT("south") };
        q->scan.predicate = &q->predicate;
    }
    if (af_prng_below(prng, 4) == 0) {
        q->scan.series = q->series;
        for (unsigned id = (unsigned)af_prng_below(prng, 4); id < series + 2 && q->scan.series_count < 8; id += 3) {
            snprintf(q->keys[q->scan.series_count], 64, "m,k=%u%s", id, id % 3 == 0 ? "" : id % 3 == 1 ? ",r=north" : ",r=south");
            q->series[q->scan.series_count] = af_slice_of(q->keys[q->scan.series_count]);
            q->scan.series_count++;
        }
        for (size_t i = 0; i + 1 < q->scan.series_count && af_prng_below(prng, 2) == 0; i += 2) {
            struct af_slice swap = q->series[i];
            q->series[i] = q->series[i + 1];
            q->series[i + 1] = swap;
        }
    }
    q->scan.workers = 1 + (unsigned)af_prng_below(prng, 4);
}

/* --- random data ---------------------------------------------------------------------------------------------------------- */

struct data {
    struct world world;
    struct af_prng prng;
    int64_t start, unit;
    unsigned series;
    int64_t points; /* times of a series */
};

static void append_value(struct af_buf *text, struct af_prng *prng, const char *field, int64_t time)
{
    uint64_t v = af_prng_below(prng, 40);
    switch (field[0]) {
    case 'f': af_buf_printf(text, "%s=%g", field, (double)v / 2 - 5); break;
    case 'i': af_buf_printf(text, "%s=%lldi", field, (long long)v - 20); break;
    case 'u': af_buf_printf(text, "%s=%lluu", field, (unsigned long long)v); break;
    case 'b': af_buf_printf(text, "%s=%s", field, v % 2 == 0 ? "true" : "false"); break;
    case 's': af_buf_printf(text, "%s=\"t%llu\"", field, (unsigned long long)(v * v)); break;
    default: /* by the shard, that is by the week: float, integer, unsigned, string, boolean */
        switch (time / (7 * DAY) % 7) {
        case 0: af_buf_printf(text, "%s=%g", field, (double)v / 2); break;
        case 1:
        case 4: af_buf_printf(text, "%s=%llui", field, (unsigned long long)v); break;
        case 2: af_buf_printf(text, "%s=%lluu", field, (unsigned long long)v); break;
        case 3: af_buf_printf(text, "%s=\"%llu\"", field, (unsigned long long)v); break;
        case 5: af_buf_printf(text, "%s=%s", field, v % 2 == 0 ? "true" : "false"); break;
        default: af_buf_printf(text, "%s=%g", field, (double)v); break;
        }
    }
}

/* Points of some series over a stretch of time, regular or not. */
static void write_stretch(struct data *data, int64_t from, int64_t count, uint64_t jitter)
{
    struct af_buf text;
    af_buf_init(&text, SIZE_MAX);
    for (unsigned id = 0; id < data->series; id++) {
        if (af_prng_below(&data->prng, 5) == 0)
            continue;
        for (int64_t i = 0; i < count; i++) {
            int64_t time = data->start + (from + i) * data->unit + (jitter > 0 ? (int64_t)af_prng_below(&data->prng, jitter) : 0);
            af_buf_printf(&text, "m,k=%u%s ", id, id % 3 == 0 ? "" : id % 3 == 1 ? ",r=north" : ",r=south");
            bool some = false;
            for (int f = 0; f < FIELD_NAMES - 1; f++) {
                if (f > 0 && (f > 1 ? af_prng_below(&data->prng, 3) == 0 : id % 4 == 0))
                    continue;
                af_buf_append_str(&text, some ? "," : "");
                append_value(&text, &data->prng, field_names[f], time);
                some = true;
            }
            af_buf_printf(&text, " %lld\n", (long long)time);
        }
    }
    struct af_write write = { .lines = af_buf_slice(&text), .precision_ns = 1 };
    struct af_write_answer answer = { 0 };
    AF_CHECK_OK(af_store_write(data->world.store, &write, &answer, &err), err);
    af_buf_done(&text);
}

static void ask(struct data *data, int questions)
{
    for (int i = 0; i < questions; i++) {
        struct question q;
        random_question(&data->prng, &q, data->start, data->points * data->unit, data->unit, data->series);
        af_digest_limit(af_prng_below(&data->prng, 3) == 0 ? 0 : AF_TSM_DIGEST_BYTES_MAX);
        check_fold(data->world.store, &q.scan);
    }
}

static void erase_some(struct data *data)
{
    const struct af_predicate south = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("r"), .value = AF_SLICE_LIT("south") };
    struct af_scan scan = { .measurement = "m" };
    scan.start_ns = data->start + (int64_t)af_prng_below(&data->prng, (uint64_t)(data->points * data->unit));
    scan.stop_ns = scan.start_ns + (int64_t)af_prng_below(&data->prng, (uint64_t)(data->points * data->unit / 3));
    scan.predicate = af_prng_below(&data->prng, 2) == 0 ? &south : NULL;
    AF_CHECK_OK(af_store_erase(data->world.store, &scan, &err), err);
}

static void run_world(const char *name, uint64_t seed, int64_t unit, unsigned series, int64_t points, int64_t weeks, int questions)
{
    struct data data = { .prng = { seed }, .unit = unit, .series = series, .points = points };
    const struct af_tsm_bucket bucket = { .id = BUCKET, .shard_ns = weeks * 7 * DAY };
    data.start = INT64_C(1690000000000000000) / (7 * DAY) * (7 * DAY) + 5 * DAY;
    world_init(&data.world, name);
    data.world.options.cache_bytes = 64 << 20;
    world_open(&data.world);
    AF_CHECK_OK(af_tsm_bucket_set(data.world.engine, &bucket, &err), err);
    write_stretch(&data, 0, points / 2, 0);
    ask(&data, questions); /* cache only */
    world_flush(&data.world);
    ask(&data, questions); /* one file a shard */
    write_stretch(&data, points / 2, points / 2, 0);
    ask(&data, questions); /* file and cache, beside each other */
    world_flush(&data.world);
    write_stretch(&data, points / 4, points / 8, (uint64_t)unit);
    ask(&data, questions); /* files and late points over them in the cache */
    world_flush(&data.world);
    ask(&data, questions);
    erase_some(&data);
    ask(&data, questions); /* tombstones */
    write_stretch(&data, points / 3, points / 8, 0);
    erase_some(&data);
    write_stretch(&data, points - 10, 10, 3);
    ask(&data, questions);
    bool done = true;
    world_flush(&data.world);
    while (done)
        AF_CHECK_OK(af_tsm_compact(data.world.engine, true, &done, &err), err);
    ask(&data, questions); /* compacted */
    world_reopen(&data.world);
    ask(&data, questions);
    world_close(&data.world);
}

AF_TEST(folds_of_hours)
{
    run_world("fold-hours", 1, INT64_C(3600) * AF_NS_PER_S, 9, 1200, 1, 30);
}

AF_TEST(folds_of_quarters)
{
    run_world("fold-quarters", 2, INT64_C(900) * AF_NS_PER_S, 4, 2600, 1, 20);
}

AF_TEST(folds_of_many_blocks)
{
    run_world("fold-blocks", 3, INT64_C(3600) * AF_NS_PER_S, 3, 6400, 104, 20);
}

AF_TEST(folds_of_few_points)
{
    for (uint64_t seed = 10; seed < 14; seed++) {
        char name[32];
        snprintf(name, sizeof name, "fold-few-%d", (int)seed);
        run_world(name, seed, INT64_C(7) * 3600 * AF_NS_PER_S, 13, 48, 1, 40);
    }
}

/* --- the same answer, to the last bit ------------------------------------------------------------------------------------- */

/* Noisy floats, whose sums depend on their order. */
static void put_noise(struct world *world, int series, int points, uint64_t seed)
{
    struct af_prng prng = { seed };
    struct af_buf text;
    af_buf_init(&text, SIZE_MAX);
    for (int id = 0; id < series; id++)
        for (int i = 0; i < points; i++)
            af_buf_printf(&text, "m,k=%d,r=%d f=%.17g,f2=%.3f %lld\n", id, id % 3, af_prng_unit(&prng) * 1000, af_prng_unit(&prng),
                          (long long)(INT64_C(1600000000000000000) + i * INT64_C(3600000000000)));
    struct af_write write = { .lines = af_buf_slice(&text), .precision_ns = 1 };
    struct af_write_answer answer = { 0 };
    AF_CHECK_OK(af_store_write(world->store, &write, &answer, &err), err);
    af_buf_done(&text);
}

static void open_wide(struct world *world, const char *name, int64_t weeks)
{
    const struct af_tsm_bucket bucket = { .id = BUCKET, .shard_ns = weeks * 7 * DAY };
    world_init(world, name);
    world->options.cache_bytes = 256 << 20;
    world->options.no_wal = true;
    world_open(world);
    AF_CHECK_OK(af_tsm_bucket_set(world->engine, &bucket, &err), err);
}

static const struct af_fold all_folds[] = { { AF_FOLD_COUNT, "f" }, { AF_FOLD_SUM, "f" }, { AF_FOLD_MIN, "f" },
                                            { AF_FOLD_MAX, "f" },   { AF_FOLD_SUM, "f2" }, { AF_FOLD_LAST, "f" } };
static const struct af_slice tag_r[] = { AF_SLICE_LIT("r") };

static void check_bits(struct world *world, struct af_scan scan)
{
    char *want = NULL;
    for (int i = 0; i < 10; i++) {
        scan.workers = 1 + (unsigned)i % 4;
        af_digest_limit(i % 3 == 2 ? 0 : AF_TSM_DIGEST_BYTES_MAX);
        char *got = fold_text(world->store, &scan);
        if (want != NULL && strcmp(got, want) != 0)
            af_test_failed(__FILE__, __LINE__, "with %u workers\n%s\nbefore\n%s", scan.workers, got, want);
        free(want);
        want = got;
    }
    free(want);
    af_digest_limit(AF_TSM_DIGEST_BYTES_MAX);
}

AF_TEST(folds_have_the_same_bits_however_many_threads)
{
    struct world world;
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .folds = all_folds, .fold_count = 6 };
    open_wide(&world, "fold-bits", 52);
    put_noise(&world, 40, 2500, 1);
    world_flush(&world);
    check_bits(&world, scan);
    scan.fold_count = 2;
    check_bits(&world, scan);
    scan.window.every_ns = DAY;
    check_bits(&world, scan);
    scan.window.every_ns = DAY / 24;
    check_bits(&world, scan);
    scan.group = tag_r;
    scan.group_count = 1;
    scan.fold_count = 6;
    scan.window.every_ns = 7 * DAY;
    scan.start_ns = INT64_C(1603456789000000000);
    check_bits(&world, scan);
    scan.window.every_ns = 1; /* far more windows than values */
    scan.stop_ns = scan.start_ns + 20 * DAY;
    check_bits(&world, scan);
    world_close(&world);
}

/* --- limits, and what is refused ------------------------------------------------------------------------------------------ */

static enum af_status fold_status(struct world *world, const struct af_scan *scan)
{
    struct af_buf text;
    af_buf_init(&text, SIZE_MAX);
    enum af_status status = try_fold(world->store, scan, &text);
    af_buf_done(&text);
    return status;
}

AF_TEST(folds_have_a_limit)
{
    struct world world;
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .folds = all_folds, .fold_count = 2,
                            .group = tag_r, .group_count = 1 };
    open_wide(&world, "fold-limit", 52);
    put_noise(&world, 6, 240, 1);
    for (int flushed = 0; flushed < 2; flushed++) {
        scan.window.every_ns = 10 * DAY / 24;
        scan.groups_max = 72; /* three groups of 24 windows, or 25 */
        AF_CHECK(fold_status(&world, &scan) == AF_OK || strstr(err.message, "72") != NULL);
        scan.groups_max = 75;
        AF_CHECK_INT(fold_status(&world, &scan), AF_OK);
        scan.groups_max = 70;
        AF_CHECK_INT(fold_status(&world, &scan), AF_ELIMIT);
        scan.window.every_ns = 1;
        scan.groups_max = 720;
        AF_CHECK_INT(fold_status(&world, &scan), AF_OK);
        scan.groups_max = 719;
        AF_CHECK_INT(fold_status(&world, &scan), AF_ELIMIT);
        AF_CHECK(strstr(err.message, "719") != NULL);
        world_flush(&world);
    }
    world_close(&world);
}

static void check_text(struct world *world, const struct af_scan *scan, const char *want)
{
    char *got = fold_text(world->store, scan);
    if (strcmp(got, want) != 0)
        af_test_failed(__FILE__, __LINE__, "got\n%s\nwant\n%s", got, want);
    free(got);
}

AF_TEST(folds_of_nothing_and_of_what_is_not_there)
{
    struct world world;
    const struct af_fold folds[] = { { AF_FOLD_COUNT, "v" }, { AF_FOLD_SUM, "no" }, { AF_FOLD_LAST, "s" }, { AF_FOLD_MAX, "b" } };
    const char *const fields[] = { "v" };
    const struct af_fold wrong[] = { { AF_FOLD_SUM, "s" }, { AF_FOLD_MIN, "s" }, { AF_FOLD_SUM, "b" } };
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .folds = folds, .fold_count = 4 };
    world_init(&world, "fold-nothing");
    world_open(&world);
    check_text(&world, &scan, "");
    world_put(&world, "m,a=x v=1i,s=\"late\",b=false 10\nm,a=y v=2i,s=\"later\" 10\nm s=\"\" 5\n");
    check_text(&world, &scan, "m -9223372036854775808 2i - \"later\"@10 0b@10\n");
    scan.group_all = true;
    check_text(&world, &scan, "m -9223372036854775808 - - \"\"@5 -\nm,a=x -9223372036854775808 1i - \"late\"@10 0b@10\n"
                              "m,a=y -9223372036854775808 1i - \"later\"@10 -\n");
    scan.measurement = "n";
    check_text(&world, &scan, "");
    scan.measurement = "m";
    scan.start_ns = scan.stop_ns = 10;
    check_text(&world, &scan, "");
    scan.stop_ns = 11;
    scan.fold_count = 1;
    scan.window.every_ns = 4;
    check_text(&world, &scan, "m,a=x 8 1i\nm,a=y 8 1i\n");
    for (int i = 0; i < 3; i++) {
        scan.folds = &wrong[i];
        AF_CHECK_INT(fold_status(&world, &scan), AF_EINVAL);
    }
    scan.folds = folds;
    scan.fields = fields;
    scan.field_count = 1;
    AF_CHECK_INT(fold_status(&world, &scan), AF_EINVAL);
    scan.fields = NULL;
    scan.window.every_ns = -4;
    AF_CHECK_INT(fold_status(&world, &scan), AF_EINVAL);
    world_close(&world);
}

/* Times at the ends of what a store may hold, windows of all kinds over them. */
AF_TEST(folds_at_the_ends_of_time)
{
    static const int64_t every[] = { 0, INT64_C(3600) * 24 * 365 * AF_NS_PER_S, DAY * 30, INT64_MAX };
    struct world world;
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .folds = all_folds, .fold_count = 6 };
    world_init(&world, "fold-ends");
    world_open(&world);
    world_put(&world, "m f=1,f2=1 -9223372036854775806\nm f=2,f2=2 0\n");
    for (int flushed = 0; flushed < 3; flushed++) {
        for (size_t i = 0; i < sizeof every / sizeof *every; i++) {
            scan.window = (struct af_window){ .every_ns = every[i] };
            check_fold(world.store, &scan);
            scan.window.offset_ns = -5;
            if (every[i] != 0)
                check_fold(world.store, &scan);
        }
        scan.window = (struct af_window){ .every_months = 7 };
        check_fold(world.store, &scan);
        world_flush(&world);
        if (flushed == 1)
            world_put(&world, "m f=3,f2=3 9223372036854775806\n");
    }
    scan.window = (struct af_window){ .every_ns = 1 };
    scan.groups_max = 10;
    AF_CHECK_INT(fold_status(&world, &scan), AF_ELIMIT); /* more windows than can be named */
    world_close(&world);
}

/* More groups times windows than fit at once: rounds. Every point is a row. */
AF_TEST(folds_in_rounds)
{
    enum { ROUND_SERIES = 300, ROUND_POINTS = 800 };
    struct world world;
    struct af_arena arena;
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .folds = all_folds, .fold_count = 6,
                            .group_all = true, .window = { .every_ns = DAY / 24 }, .workers = 2 };
    size_t rows = 0, keys = 0;
    char before[64] = "";
    int64_t last_ns = 0;
    open_wide(&world, "fold-rounds", 52);
    put_noise(&world, ROUND_SERIES, ROUND_POINTS, 3);
    world_flush(&world);
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_OK(af_store_scan(world.store, &scan, &stream, &err), err);
    for (;;) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch == NULL)
            break;
        for (size_t row = 0; row < batch->row_count; row++, rows++) {
            struct af_slice key = af_column_text(&batch->columns[0], row);
            const bool is_next = !af_slice_is(key, before);
            AF_CHECK(is_next || batch->columns[1].i64[row] > last_ns);
            AF_CHECK(!is_next || af_slice_cmp(af_slice_of(before), key) < 0);
            AF_CHECK(batch->columns[2].i64[row] == 1 && batch->columns[4].f64[row] == batch->columns[6].f64[row]);
            keys += is_next;
            last_ns = batch->columns[1].i64[row];
            snprintf(before, sizeof before, "%.*s", (int)key.len, key.ptr);
        }
        af_arena_reset(&arena);
    }
    af_stream_close(stream);
    af_arena_done(&arena);
    AF_CHECK(keys == ROUND_SERIES && rows == (size_t)ROUND_SERIES * ROUND_POINTS);
    world_close(&world);
}

/* --- trouble -------------------------------------------------------------------------------------------------------------- */

AF_TEST(a_fold_can_be_stopped)
{
    struct world world;
    struct af_arena arena;
    struct af_stream *stream;
    struct af_batch *batch;
    bool cancel = false;
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .folds = all_folds, .fold_count = 6,
                            .cancel = &cancel };
    open_wide(&world, "fold-stop", 1);
    put_noise(&world, 20, 500, 1);
    world_flush(&world);
    AF_CHECK_OK(af_store_scan(world.store, &scan, &stream, &err), err);
    cancel = true;
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_FAILS(af_stream_next(stream, &arena, &batch, &err), AF_ECANCELED);
    af_stream_close(stream);
    AF_CHECK_FAILS(af_store_scan(world.store, &scan, &stream, &err), AF_ECANCELED);
    af_arena_done(&arena);
    world_close(&world);
}

AF_TEST(a_broken_block_fails_the_fold)
{
    struct world world;
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .folds = all_folds, .fold_count = 6,
                            .window = { .every_ns = DAY / 24 } };
    char command[1200];
    open_wide(&world, "fold-broken", 52);
    put_noise(&world, 20, 3000, 1);
    world_flush(&world);
    world_close(&world);
    (void)snprintf(command, sizeof command, "printf '\\377' | dd of=\"$(ls %s/*.tsm)\" bs=1 seek=1200 conv=notrunc 2>/dev/null",
                   world_path(&world, "engine/data/00000000000000b1/autogen/*"));
    AF_CHECK(system(command) == 0);
    world_open(&world);
    for (scan.workers = 1; scan.workers < 4; scan.workers++) {
        AF_CHECK_INT(fold_status(&world, &scan), AF_ECORRUPT);
        AF_CHECK(strstr(err.message, ".tsm") != NULL);
    }
    world_close(&world);
}

AF_TEST(fold_without_memory)
{
    struct world world;
    struct data data = { .prng = { 5 }, .unit = INT64_C(3600) * AF_NS_PER_S, .series = 5, .points = 400 };
    const struct af_fold folds[] = { { AF_FOLD_SUM, "f" }, { AF_FOLD_LAST, "s" }, { AF_FOLD_MAX, "i" }, { AF_FOLD_FIRST, "x" } };
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .folds = folds, .fold_count = 4,
                            .group = tag_r, .group_count = 1, .workers = 1 };
    data.start = INT64_C(1690000000000000000);
    world_init(&world, "fold-memory");
    world.options.cache_bytes = 64 << 20;
    world_open(&world);
    data.world = world;
    write_stretch(&data, 0, 300, 0);
    world_flush(&world);
    write_stretch(&data, 250, 40, 7);
    for (int windows = 0; windows < 4; windows++) {
        scan.window.every_ns = windows == 0 ? 0 : windows == 1 ? DAY : windows == 2 ? INT64_C(7) * 1000000 : 0;
        scan.window.every_months = windows == 3;
        char *want = fold_text(world.store, &scan);
        enum af_status status = AF_ENOMEM;
        for (size_t nth = 1; status != AF_OK; nth++) {
            struct af_buf got;
            af_buf_init(&got, SIZE_MAX);
            af_buf_reserve(&got, strlen(want) + 1000);
            af_digest_limit(0);
            af_digest_limit(nth % 3 == 0 ? 0 : AF_TSM_DIGEST_BYTES_MAX);
            af_alloc_fail_nth(nth);
            status = try_fold(world.store, &scan, &got);
            af_alloc_fail_nth(0);
            AF_CHECK(status == AF_OK || status == AF_ENOMEM);
            AF_CHECK(status != AF_OK || strcmp(af_buf_cstr(&got), want) == 0);
            AF_CHECK(nth < 20000);
            af_buf_done(&got);
        }
        free(want);
    }
    af_digest_limit(AF_TSM_DIGEST_BYTES_MAX);
    world_close(&world);
}

/* --- beside writers ------------------------------------------------------------------------------------------------------- */

enum { BESIDE_SERIES = 5, BESIDE_WRITES = 300 };

static void run_writes(void *ctx)
{
    struct world *world = ctx;
    struct af_error own;
    for (int i = 1; i <= BESIDE_WRITES; i++) {
        char text[BESIDE_SERIES * 64];
        int len = 0;
        for (int k = 0; k < BESIDE_SERIES; k++)
            len += snprintf(text + len, sizeof text - (size_t)len, "m,k=%d v=%di %lld\n", k, i, (long long)(i * INT64_C(1000000000)));
        struct af_write write = { .lines = af_slice_make(text, (size_t)len), .precision_ns = 1 };
        struct af_write_answer answer = { 0 };
        AF_CHECK_OK(af_store_write(world->store, &write, &answer, &own), own);
        if (i % 25 == 24)
            AF_CHECK_OK(af_tsm_flush(world->engine, &own), own);
        if (i % 100 == 99)
            AF_CHECK_OK(af_tsm_compact(world->engine, true, &(bool){ false }, &own), own);
    }
}

/* Count, sum and last are of one moment. */
static int64_t fold_moment(struct world *world, unsigned workers)
{
    const struct af_fold folds[] = { { AF_FOLD_COUNT, "v" }, { AF_FOLD_SUM, "v" }, { AF_FOLD_MAX, "v" } };
    const struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .folds = folds, .fold_count = 3,
                                  .workers = workers };
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_arena arena;
    struct af_error own;
    int64_t count = 0;
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_OK(af_store_scan(world->store, &scan, &stream, &own), own);
    AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &own), own);
    if (batch != NULL) {
        count = batch->columns[2].i64[0] / BESIDE_SERIES;
        AF_CHECK_INT(batch->columns[2].i64[0], count * BESIDE_SERIES);
        AF_CHECK_INT(batch->columns[4].i64[0], count * (count + 1) / 2 * BESIDE_SERIES);
        AF_CHECK_INT(batch->columns[6].i64[0], count);
    }
    af_stream_close(stream);
    af_arena_done(&arena);
    return count;
}

static void run_folds(void *ctx)
{
    int64_t before = 0;
    for (int i = 0; before < BESIDE_WRITES && i < 100000; i++) {
        int64_t now = fold_moment(ctx, 1 + (unsigned)i % 3);
        AF_CHECK(now >= before);
        before = now;
        if (i % 16 == 0)
            af_digest_limit(i % 32 == 0 ? 0 : AF_TSM_DIGEST_BYTES_MAX);
    }
}

AF_TEST(folds_beside_writes)
{
    struct world world;
    struct af_thread writer, folder;
    world_init(&world, "fold-beside");
    world.options.no_wal = true;
    world_open(&world);
    AF_CHECK_OK(af_thread_start(&writer, "writer", run_writes, &world, &err), err);
    AF_CHECK_OK(af_thread_start(&folder, "folder", run_folds, &world, &err), err);
    run_folds(&world);
    af_thread_join(&folder);
    af_thread_join(&writer);
    AF_CHECK_INT(fold_moment(&world, 2), BESIDE_WRITES);
    af_digest_limit(AF_TSM_DIGEST_BYTES_MAX);
    world_close(&world);
}

/* Several threads in one scan, over more shards than one, with digests being made meanwhile. */
AF_TEST(folds_by_several_threads)
{
    struct world world;
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .folds = all_folds, .fold_count = 6,
                            .group = tag_r, .group_count = 1, .window = { .every_ns = 6 * DAY / 24 } };
    open_wide(&world, "fold-threads", 1);
    put_noise(&world, 60, 1000, 9);
    world_flush(&world);
    check_bits(&world, scan);
    scan.window.every_ns = DAY;
    scan.fold_count = 2;
    check_bits(&world, scan);
    world_close(&world);
}

/* --- digests -------------------------------------------------------------------------------------------------------------- */

AF_TEST(digests_are_bounded_and_go_with_their_files)
{
    struct world world;
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .folds = all_folds, .fold_count = 2 };
    open_wide(&world, "fold-digests", 1);
    put_noise(&world, 50, 1000, 9); /* seven shards */
    world_flush(&world);
    AF_CHECK_INT(af_digest_bytes(), 0);
    AF_CHECK_INT(fold_status(&world, &scan), AF_OK);
    const size_t all = af_digest_bytes();
    AF_CHECK(all > 50 * 2 * 6 * 100 && all < 1 << 20);
    af_digest_limit(all / 2);
    const size_t half = af_digest_bytes();
    AF_CHECK(half > 0 && half <= all / 2);
    for (int i = 0; i < 100; i++)
        AF_CHECK_INT(fold_status(&world, &scan), AF_OK);
    AF_CHECK(af_digest_bytes() <= all / 2);
    af_digest_limit(AF_TSM_DIGEST_BYTES_MAX);
    AF_CHECK_INT(fold_status(&world, &scan), AF_OK);
    AF_CHECK_INT(af_digest_bytes(), all);
    scan.window.every_ns = DAY; /* days are made when they are asked for */
    AF_CHECK_INT(fold_status(&world, &scan), AF_OK);
    AF_CHECK(af_digest_bytes() > all);
    world_close(&world);
    AF_CHECK_INT(af_digest_bytes(), 0);
}
