/*
 * ons.c - writes the generated series as the platform's processed files: one file a dataset and month, rows by time and within an
 * instant by series.
 *
 *     timestamp dataset_type region energy_source|consumer_type|line_id measurement_type value unit quality_flag [plant_name]
 *
 * Text columns repeat with the number of series, so a batch's codes are copies of the table's; only times, values and quality are
 * made for each row. Bad rows are counted over the whole run, so rows / N of them come out. Kinds in turn: no time, no value,
 * a value that is NaN, and, where there are plant names, one that is not UTF-8.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "generate/generate_int.h"
#include "os/file.h"

enum { COLUMNS_MAX = 9, COL_TIME = 0, COL_VALUE = 5 };

/* Which text a column holds; the two that are none have AF_GEN_TEXTS. */
static const enum af_gen_text column_text[COLUMNS_MAX] = {
    AF_GEN_TEXTS, AF_GEN_TYPE, AF_GEN_REGION, AF_GEN_KEY, AF_GEN_MEASUREMENT, AF_GEN_TEXTS, AF_GEN_UNIT, AF_GEN_QUALITY, AF_GEN_PLANT,
};

struct run {
    const struct af_generate_options *options;
    struct af_generate_result result;
    int64_t step_ns;
    uint64_t rows_all;
    struct af_arena arena; /* of one dataset */
    struct af_gen_table table;
    enum af_gen_dataset dataset;
    struct af_field fields[COLUMNS_MAX];
    struct af_schema schema;
    /* one batch */
    int64_t *times;
    double *values;
    uint32_t *codes[AF_GEN_TEXTS];
    uint64_t *has_time, *has_value;
    size_t bad_times, bad_values;
    size_t rows;
    /* the file being written */
    struct af_parquet_writer *writer;
    struct af_file *file;
    int32_t year;
    unsigned month;
};

/* --- batches ------------------------------------------------------------------------------------------------------------- */

static void make_schema(struct run *r)
{
    const char *const names[COLUMNS_MAX] = { "timestamp", "dataset_type", "region", r->table.key_name, "measurement_type",
                                             "value",     "unit",         "quality_flag", "plant_name" };
    for (int i = 0; i < COLUMNS_MAX; i++)
        r->fields[i] = (struct af_field){ .name = names[i], .type = AF_TYPE_STRING, .is_nullable = true };
    r->fields[COL_TIME].type = AF_TYPE_TIME;
    r->fields[COL_TIME].is_local = true;
    r->fields[COL_VALUE].type = AF_TYPE_F64;
    r->schema = (struct af_schema){ r->table.has_plants ? COLUMNS_MAX : COLUMNS_MAX - 1, r->fields };
}

static enum af_status make_batch_room(struct run *r, struct af_error *err)
{
    struct af_arena *arena = &r->arena;
    bool ok = true;
    r->times = af_arena_array(arena, AF_BATCH_ROWS, sizeof *r->times);
    r->values = af_arena_array(arena, AF_BATCH_ROWS, sizeof *r->values);
    r->has_time = af_bits_new(arena, AF_BATCH_ROWS, true);
    r->has_value = af_bits_new(arena, AF_BATCH_ROWS, true);
    for (int i = 0; i < AF_GEN_TEXTS; i++) {
        r->codes[i] = af_arena_zero(arena, AF_BATCH_ROWS, sizeof *r->codes[i]);
        ok = ok && r->codes[i] != NULL;
    }
    if (!ok || r->times == NULL || r->values == NULL || r->has_time == NULL || r->has_value == NULL)
        return af_arena_fail(arena, AF_BATCH_ROWS * sizeof *r->values, "generated rows", err);
    return AF_OK;
}

static struct af_column column_of(const struct run *r, int i)
{
    const enum af_gen_text text = column_text[i];
    if (i == COL_TIME)
        return (struct af_column){ .type = AF_TYPE_TIME, .i64 = r->times, .null_count = r->bad_times,
                                   .validity = r->bad_times > 0 ? r->has_time : NULL };
    if (i == COL_VALUE)
        return (struct af_column){ .type = AF_TYPE_F64, .f64 = r->values, .null_count = r->bad_values,
                                   .validity = r->bad_values > 0 ? r->has_value : NULL };
    return (struct af_column){ .type = AF_TYPE_STRING, .codes = r->codes[text], .dict = r->table.dicts[text] };
}

static void mark_good_again(struct run *r)
{
    for (size_t i = 0; i < af_bit_words(AF_BATCH_ROWS) && r->bad_times + r->bad_values > 0; i++)
        r->has_time[i] = r->has_value[i] = UINT64_MAX;
    r->bad_times = r->bad_values = 0;
    r->rows = 0;
}

static enum af_status flush(struct run *r, struct af_error *err)
{
    struct af_column columns[COLUMNS_MAX];
    if (r->rows == 0)
        return AF_OK;
    for (int i = 0; i < COLUMNS_MAX; i++)
        columns[i] = column_of(r, i);
    const struct af_batch batch = { .schema = &r->schema, .row_count = r->rows, .columns = columns };
    AF_TRY(af_parquet_writer_add(r->writer, &batch, err));
    mark_good_again(r);
    if (r->options->progress != NULL)
        r->options->progress(r->options->ctx, r->result.rows, r->rows_all);
    return AF_OK;
}

static void spoil(struct run *r, size_t row)
{
    switch (r->result.bad_rows++ % (r->table.has_plants ? 4 : 3)) {
    case 0:
        af_bit_clear(r->has_time, row);
        r->bad_times++;
        break;
    case 1:
        af_bit_clear(r->has_value, row);
        r->bad_values++;
        break;
    case 2: r->values[row] = __builtin_nan(""); break;
    default: r->codes[AF_GEN_PLANT][row] = r->table.bad_plant; break;
    }
}

/* The rows [r->rows, + n) just made: every Nth of the run is spoilt. */
static void spoil_some(struct run *r, size_t n)
{
    const uint64_t every = r->options->bad_rows_every;
    if (every == 0)
        return;
    for (uint64_t next = r->result.rows / every * every + every; next <= r->result.rows + n; next += every)
        spoil(r, r->rows + (size_t)(next - r->result.rows - 1));
}

static void append_rows(struct run *r, const struct af_gen_weather *weather, int64_t ns, size_t first, size_t n)
{
    const struct af_gen_table *t = &r->table;
    int64_t *times = r->times + r->rows;
    for (size_t i = 0; i < n; i++)
        times[i] = ns;
    for (int i = 0; i < AF_GEN_TEXTS; i++)
        if (t->codes[i] != NULL)
            memcpy(r->codes[i] + r->rows, t->codes[i] + first, n * sizeof **r->codes);
    af_gen_values(t, weather, ns, r->options->seed, first, n, r->values + r->rows, r->codes[AF_GEN_QUALITY] + r->rows);
    spoil_some(r, n);
    r->rows += n;
    r->result.rows += n;
}

static enum af_status append_instant(struct run *r, int64_t ns, struct af_error *err)
{
    struct af_gen_weather weather;
    af_gen_weather_at(ns, r->options->seed, r->dataset, &weather);
    for (size_t first = 0, n; first < r->table.count; first += n) {
        n = r->table.count - first;
        if (n > AF_BATCH_ROWS - r->rows)
            n = AF_BATCH_ROWS - r->rows;
        append_rows(r, &weather, ns, first, n);
        if (r->rows == AF_BATCH_ROWS)
            AF_TRY(flush(r, err));
    }
    return AF_OK;
}

/* --- files --------------------------------------------------------------------------------------------------------------- */

static enum af_status write_file(void *ctx, struct af_slice bytes, struct af_error *err)
{
    return af_file_write(ctx, bytes, err);
}

static enum af_status open_file(struct run *r, struct af_error *err)
{
    struct af_buf path;
    af_buf_init(&path, 1 << 16);
    af_buf_printf(&path, "%s/dataset=%s/year=%04d/month=%02u", r->options->out_dir, r->table.type, (int)r->year, r->month);
    enum af_status status = af_buf_check(&path, "path of a generated file", err);
    if (status == AF_OK)
        status = af_dir_make(af_buf_cstr(&path), err);
    if (status == AF_OK) {
        af_buf_append_str(&path, "/part-000.parquet");
        status = af_buf_check(&path, "path of a generated file", err);
    }
    if (status == AF_OK)
        status = af_file_open(af_buf_cstr(&path), AF_FILE_TRUNCATE, &r->file, err);
    if (status == AF_OK)
        status = af_parquet_writer_new(&r->schema, &r->options->parquet, write_file, r->file, &r->writer, err);
    af_buf_done(&path);
    return status;
}

static void drop_file(struct run *r)
{
    af_parquet_writer_free(r->writer);
    af_file_close(r->file);
    r->writer = NULL;
    r->file = NULL;
}

static enum af_status finish_file(struct run *r, struct af_error *err)
{
    if (r->writer == NULL)
        return AF_OK;
    AF_TRY(flush(r, err));
    AF_TRY(af_parquet_writer_finish(r->writer, err));
    r->result.files++;
    r->result.bytes += af_file_size(r->file);
    drop_file(r);
    return AF_OK;
}

static enum af_status write_instants(struct run *r, struct af_error *err)
{
    for (int64_t ns = r->options->from_ns; ns < r->options->to_ns; ns += r->step_ns) {
        struct af_civil civil;
        af_civil_from_ns(ns, &civil);
        if (r->writer == NULL || civil.month != r->month || civil.year != r->year) {
            AF_TRY(finish_file(r, err));
            r->year = civil.year;
            r->month = civil.month;
            AF_TRY(open_file(r, err));
        }
        AF_TRY(append_instant(r, ns, err));
        if (INT64_MAX - ns < r->step_ns)
            break;
    }
    return finish_file(r, err);
}

static enum af_status write_dataset(struct run *r, enum af_gen_dataset dataset, struct af_error *err)
{
    const struct af_generate_options *o = r->options;
    af_arena_reset(&r->arena);
    r->dataset = dataset;
    AF_TRY(af_gen_table_make(dataset, o->plants, o->realistic_plants, o->seed, &r->arena, &r->table, err));
    if (r->table.count == 0)
        return AF_OK;
    make_schema(r);
    AF_TRY(make_batch_room(r, err));
    return write_instants(r, err);
}

/* --- the run ------------------------------------------------------------------------------------------------------------- */

static enum af_status check(const struct af_generate_options *o, int64_t step_ns, struct af_error *err)
{
    if (o->from_ns % AF_NS_PER_DAY != 0 || o->to_ns % AF_NS_PER_DAY != 0)
        return af_fail(err, AF_EINVAL, "generate: start and stop must be whole days, UTC");
    if (o->from_ns >= o->to_ns)
        return af_fail(err, AF_EINVAL, "generate: the start is not before the stop; nothing would be written");
    if (step_ns <= 0 || AF_NS_PER_DAY % step_ns != 0)
        return af_fail(err, AF_EINVAL, "generate: a step of %lld ns does not divide a day", (long long)step_ns);
    if (!o->generation && !o->consumption && !o->transmission)
        return af_fail(err, AF_EINVAL, "generate: no dataset asked for; choose generation, consumption or transmission");
    return AF_OK;
}

static enum af_status count_rows(struct run *r, const bool *wanted, struct af_error *err)
{
    const uint64_t instants = ((uint64_t)r->options->to_ns - (uint64_t)r->options->from_ns) / (uint64_t)r->step_ns;
    for (int d = AF_GEN_GENERATION; d <= AF_GEN_TRANSMISSION; d++) {
        if (!wanted[d])
            continue;
        af_arena_reset(&r->arena);
        AF_TRY(af_gen_table_make((enum af_gen_dataset)d, r->options->plants, false, r->options->seed, &r->arena, &r->table, err));
        r->rows_all += instants * r->table.count;
    }
    return AF_OK;
}

static enum af_status run_all(struct run *r, struct af_error *err)
{
    const bool wanted[] = { r->options->generation, r->options->consumption, r->options->transmission };
    AF_TRY(count_rows(r, wanted, err));
    for (int d = AF_GEN_GENERATION; d <= AF_GEN_TRANSMISSION; d++)
        if (wanted[d])
            AF_TRY(write_dataset(r, (enum af_gen_dataset)d, err));
    return AF_OK;
}

enum af_status af_generate_ons(const struct af_generate_options *options, struct af_generate_result *out, struct af_error *err)
{
    struct run *r = NULL;
    const int64_t step_ns = options->step_ns != 0 ? options->step_ns : 3600 * AF_NS_PER_S;
    AF_TRY(check(options, step_ns, err));
    r = af_alloc_zero(1, sizeof *r);
    if (r == NULL)
        return af_fail_nomem(err, "generator");
    r->options = options;
    r->step_ns = step_ns;
    af_arena_init(&r->arena, SIZE_MAX / 2);
    enum af_status status = run_all(r, err);
    if (status == AF_OK)
        *out = r->result;
    drop_file(r);
    af_arena_done(&r->arena);
    af_free(r);
    return status;
}
