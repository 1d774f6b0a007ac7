/*
 * export.c - points of any store as line protocol; see transfer.h. Tables: export_table.c.
 *
 * A scan's batch becomes points without copying its values: only the series keys, which a batch has as codes, are looked up.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "format/lp/lp.h"
#include "os/file.h"
#include "os/tree.h"
#include "transfer/export_int.h"

/* --- measurements ----------------------------------------------------------------------------------------------------------- */

struct names {
    struct af_arena *arena;
    const char **items;
    size_t count, cap;
};

static enum af_status add_name(struct names *names, struct af_slice name, struct af_error *err)
{
    if (names->count == names->cap) {
        size_t cap = names->cap != 0 ? names->cap * 2 : 64;
        const char **grown = af_arena_zero(names->arena, cap, sizeof *grown);
        if (grown == NULL)
            return af_fail_nomem(err, "a list of names");
        if (names->count != 0)
            memcpy(grown, names->items, names->count * sizeof *grown);
        names->items = grown;
        names->cap = cap;
    }
    names->items[names->count] = af_arena_copy(names->arena, name);
    return names->items[names->count++] != NULL ? AF_OK : af_fail_nomem(err, "a list of names");
}

static enum af_status take_names(struct af_stream *stream, struct names *names, struct af_error *err)
{
    struct af_arena batch_arena;
    struct af_batch *batch = NULL;
    af_arena_init(&batch_arena, SIZE_MAX / 2);
    enum af_status status;
    do {
        af_arena_reset(&batch_arena);
        status = af_stream_next(stream, &batch_arena, &batch, err);
        for (size_t i = 0; status == AF_OK && batch != NULL && i < batch->row_count; i++)
            status = add_name(names, af_column_text(&batch->columns[0], i), err);
    } while (status == AF_OK && batch != NULL);
    af_arena_done(&batch_arena);
    return status;
}

enum af_status export_names(struct af_store *store, enum af_listing what, const char *measurement, struct af_arena *arena,
                            const char ***out,
                            size_t *out_count, struct af_error *err)
{
    struct names names = { .arena = arena };
    struct af_stream *stream = NULL;
    const struct af_scan all = { .measurement = measurement, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    AF_TRY(af_store_list(store, what, &all, &stream, err));
    enum af_status status = take_names(stream, &names, err);
    af_stream_close(stream);
    *out = names.items;
    *out_count = names.count;
    return status;
}

enum af_status af_export_measurements(struct af_store *store, struct af_arena *arena, const char ***out, size_t *out_count,
                                      struct af_error *err)
{
    return export_names(store, AF_LIST_MEASUREMENTS, NULL, arena, out, out_count, err);
}

/* --- batches ---------------------------------------------------------------------------------------------------------------- */

enum af_status export_scan(const struct af_export_options *options, const char *measurement,
                           enum af_status (*begin)(void *ctx, const struct af_schema *schema, struct af_error *err),
                           enum af_status (*take)(void *ctx, const struct af_batch *batch, struct af_arena *arena,
                                                  struct af_error *err), void *ctx,
                           uint64_t *rows, struct af_error *err)
{
    const struct af_scan scan = { .measurement = measurement, .start_ns = options->start_ns, .stop_ns = options->stop_ns,
                                  .cancel = options->cancel };
    struct af_stream *stream = NULL;
    struct af_batch *batch = NULL;
    struct af_arena arena;
    AF_TRY(af_store_scan(options->store, &scan, &stream, err));
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = begin(ctx, stream->schema, err);
    while (status == AF_OK) {
        af_arena_reset(&arena);
        status = options->cancel != NULL && *(const volatile bool *)options->cancel ? af_fail(err, AF_ECANCELED, "stopped on request")
                                                                                     : af_stream_next(stream, &arena, &batch, err);
        if (status != AF_OK || batch == NULL)
            break;
        status = take(ctx, batch, &arena, err);
        *rows += batch->row_count;
        if (options->show != NULL)
            options->show(options->ctx, *rows);
    }
    af_arena_done(&arena);
    af_stream_close(stream);
    return status;
}

/* --- line protocol ---------------------------------------------------------------------------------------------------------- */

struct printing {
    af_parquet_emit emit;
    void *ctx;
    struct af_series_set set;
    struct af_lp_text text;
    struct af_buf names;         /* fields' names, escaped */
    struct af_slice *escaped;    /* of the fields of the schema */
    uint64_t *rows;
};

static enum af_status print_points(struct printing *p, const struct af_points *points, struct af_error *err)
{
    af_lp_text_clear(&p->text);
    AF_TRY(af_lp_encode(points, AF_PRECISION_NS, &p->text, 1, err));
    return p->emit(p->ctx, af_buf_slice(&p->text.bytes), err);
}

static enum af_status begin_lp(void *ctx, const struct af_schema *schema, struct af_error *err)
{
    struct printing *p = ctx;
    size_t count = schema->field_count - 2;
    size_t *ends = af_alloc_zero(count + 1, sizeof *ends);
    af_free(p->escaped);
    p->escaped = af_alloc_zero(count + 1, sizeof *p->escaped);
    af_buf_clear(&p->names);
    for (size_t i = 0; ends != NULL && i < count; i++) {
        af_key_append_tag(&p->names, af_slice_of(schema->fields[i + 2].name));
        ends[i + 1] = p->names.len;
    }
    for (size_t i = 0; ends != NULL && p->escaped != NULL && i < count; i++)
        p->escaped[i] = af_slice_make(p->names.ptr + ends[i], ends[i + 1] - ends[i]);
    bool ok = ends != NULL && p->escaped != NULL && !p->names.failed;
    af_free(ends);
    return ok ? AF_OK : af_fail_nomem(err, "names of fields");
}

static enum af_status find_series(struct printing *p, const struct af_batch *batch, uint32_t *series, struct af_error *err)
{
    const struct af_column *column = &batch->columns[0];
    uint32_t last_code = UINT32_MAX;
    if (p->set.keys.bytes > AF_SERIES_BYTES_MAX / 2)
        af_series_set_clear(&p->set);
    for (size_t i = 0; i < batch->row_count; i++) {
        if (i != 0 && column->dict != NULL && column->codes[i] == last_code) {
            series[i] = series[i - 1];
            continue;
        }
        last_code = column->dict != NULL ? column->codes[i] : UINT32_MAX;
        AF_TRY(af_intern_add(&p->set.keys, af_column_text(column, i), &series[i], err));
    }
    return AF_OK;
}

static enum af_status take_lp(void *ctx, const struct af_batch *batch, struct af_arena *arena, struct af_error *err)
{
    struct printing *p = ctx;
    size_t count = batch->schema->field_count - 2;
    uint32_t *series = af_arena_array(arena, batch->row_count, sizeof *series);
    struct af_point_field *fields = af_arena_zero(arena, count + 1, sizeof *fields);
    if (series == NULL || fields == NULL)
        return af_arena_fail(arena, 0, "points", err);
    AF_TRY(find_series(p, batch, series, err));
    for (size_t i = 0; i < count; i++)
        fields[i] = (struct af_point_field){ .name = af_slice_of(batch->schema->fields[i + 2].name), .escaped = p->escaped[i],
                                             .column = batch->columns[i + 2] };
    const struct af_points points = { .row_count = batch->row_count, .set = &p->set, .series = series, .time_ns = batch->columns[1].i64,
                                      .field_count = count, .fields = fields };
    return print_points(p, &points, err);
}

static void printing_init(struct printing *p, af_parquet_emit emit, void *ctx, uint64_t *rows)
{
    *p = (struct printing){ .emit = emit, .ctx = ctx, .rows = rows };
    af_series_set_init(&p->set);
    af_lp_text_init(&p->text);
    af_buf_init(&p->names, SIZE_MAX / 2);
}

static void printing_done(struct printing *p)
{
    af_free(p->escaped);
    af_buf_done(&p->names);
    af_lp_text_done(&p->text);
    af_series_set_done(&p->set);
}

enum af_status af_export_lp(const struct af_export_options *options, af_parquet_emit emit, void *ctx, uint64_t *out_rows,
                            struct af_error *err)
{
    struct printing p;
    struct af_arena arena;
    const char **names = NULL;
    size_t count = 1;
    *out_rows = 0;
    printing_init(&p, emit, ctx, out_rows);
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = AF_OK;
    if (options->measurement == NULL)
        status = af_export_measurements(options->store, &arena, &names, &count, err);
    for (size_t i = 0; i < count && status == AF_OK; i++)
        status = export_scan(options, names != NULL ? names[i] : options->measurement, begin_lp, take_lp, &p, out_rows, err);
    af_arena_done(&arena);
    printing_done(&p);
    return status;
}

/* --- TSM files -------------------------------------------------------------------------------------------------------------- */

struct unpacking {
    struct printing printing;
    struct af_transfer_watch watch;
    struct transfer_points *points;
};

static enum af_status take_points(void *ctx, const struct af_points *points, struct af_error *err)
{
    struct unpacking *u = ctx;
    *u->printing.rows += points->row_count;
    return print_points(&u->printing, points, err);
}

static enum af_status pour_dir(struct unpacking *u, const char *dir, struct af_arena *arena, struct af_error *err)
{
    struct transfer_file *files = NULL;
    const char **dirs = NULL;
    size_t count = 0;
    AF_TRY(transfer_files(dir, arena, &files, &count, err));
    for (size_t i = 0; i < count; i++)
        AF_TRY(transfer_pour_file(files[i].path, &u->watch, u->points, err));
    AF_TRY(transfer_dirs(dir, arena, &dirs, &count, err));
    for (size_t i = 0; i < count; i++) {
        const char *path = transfer_path(arena, dir, dirs[i]);
        if (path == NULL)
            return af_fail_nomem(err, "a path");
        AF_TRY(pour_dir(u, path, arena, err));
    }
    return AF_OK;
}

enum af_status af_export_tsm(const char *path, const bool *cancel, af_parquet_emit emit, void *ctx, uint64_t *out_rows,
                             struct af_error *err)
{
    struct unpacking u = { .watch = { .cancel = cancel } };
    struct af_arena arena;
    *out_rows = 0;
    af_arena_init(&arena, SIZE_MAX / 2);
    printing_init(&u.printing, emit, ctx, out_rows);
    enum af_status status = transfer_points_new(take_points, &u, &u.points, err);
    if (status == AF_OK)
        status = af_path_kind(path) == AF_PATH_DIR ? pour_dir(&u, path, &arena, err) : transfer_pour_file(path, &u.watch, u.points, err);
    if (status == AF_OK)
        status = transfer_points_flush(u.points, err);
    transfer_points_free(u.points);
    printing_done(&u.printing);
    af_arena_done(&arena);
    return status;
}
