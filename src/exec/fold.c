/*
 * fold.c - FOLD: windows that the store itself has folded; see plan.h and store/store.h, "What a folded scan gives".
 *
 *     store   series | time | 0 | 0.time | 1 | 1.time ...     one row for each group and window
 *     here    time | a column for each call                   cut into tables where the group changes
 *
 * Calls become folds (equal ones are asked for once), and folds become calls again a column at a time. Ascending, a batch of the store is
 * turned at once and handed out group by group. Descending, everything is kept first and handed out from the end.
 */
#include "base/limits.h"
#include "exec/scan_int.h"

enum { FOLD_OPS = 6 };

struct call {
    size_t folds[FOLD_OPS];              /* their numbers, in the order of the bits */
    size_t fold_count;
};
/* Rows [first, first + count) of `columns` are of one group. */
struct run {
    const struct af_group_key *key;
    size_t first, count;
};
struct fold {
    struct op op;
    bool is_begun, is_done;
    struct af_fold *folds;
    size_t fold_count;
    struct call *calls;
    struct af_stream *stream;
    struct mem mem;                      /* of the batch at hand; descending: of all */
    struct mem work_mem;
    struct af_column *columns;           /* by the node's schema */
    struct grower *growers;              /* descending: all rows */
    struct run *runs;
    size_t run_count, run_cap, run_at;
    size_t given;                        /* rows of the run at hand */
};

static const struct af_plan_fold *settings(const struct fold *fold)
{
    return &fold->op.node->fold;
}

/* --- calls to folds ---------------------------------------------------------------------------------------------------------------- */

static size_t fold_number(struct fold *fold, enum af_fold_op op, const char *field)
{
    for (size_t i = 0; i < fold->fold_count; i++)
        if (fold->folds[i].op == op && strcmp(fold->folds[i].field, field) == 0)
            return i;
    fold->folds[fold->fold_count] = (struct af_fold){ op, field };
    return fold->fold_count++;
}

static enum af_status make_folds(struct fold *fold, struct af_error *err)
{
    const struct af_plan_aggregate *aggregate = &settings(fold)->aggregate;
    struct af_arena *arena = &fold->op.exec->arena;
    fold->folds = af_arena_zero(arena, aggregate->call_count * FOLD_OPS, sizeof *fold->folds);
    fold->calls = af_arena_zero(arena, aggregate->call_count, sizeof *fold->calls);
    if (fold->folds == NULL || fold->calls == NULL)
        return arena_fail(arena, aggregate->call_count * FOLD_OPS * sizeof *fold->folds, err);
    for (size_t i = 0; i < aggregate->call_count; i++) {
        const struct af_plan_call *call = &aggregate->calls[i];
        uint32_t bits = af_fn_folds(&call->call);
        if (bits == 0 || bits >> FOLD_OPS != 0 || call->column == 0 || call->column > settings(fold)->scan.field_count)
            return af_fail(err, AF_EBUG, "\"%s\" cannot be folded by a store", af_fn_get(call->call.id)->name);
        for (unsigned op = 0; op < FOLD_OPS; op++)
            if ((bits >> op & 1) != 0)
                fold->calls[i].folds[fold->calls[i].fold_count++] =
                    fold_number(fold, (enum af_fold_op)op, settings(fold)->scan.fields[call->column - 1]);
    }
    return AF_OK;
}

/* --- the scan ------------------------------------------------------------------------------------------------------------------------ */

static enum af_status check_windows(const struct fold *fold, int64_t start_ns, int64_t stop_ns, struct af_error *err)
{
    const struct af_window *window = &settings(fold)->aggregate.window;
    uint64_t max = fold->op.exec->options.limits.windows_max;
    if (af_window_is_none(window) || start_ns == INT64_MIN || stop_ns == INT64_MAX)
        return AF_OK;
    uint64_t count = af_window_count(window, start_ns, stop_ns, max);
    if (count <= max)
        return AF_OK;
    if (af_window_is_regular(window))
        count = af_window_count(window, start_ns, stop_ns, UINT64_MAX - 1);
    return af_fail(err, AF_ELIMIT, "max-select-buckets limit exceeded: (%llu/%llu)", (unsigned long long)count, (unsigned long long)max);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static enum af_status open_stream(struct fold *fold, struct af_error *err)
{
    const struct af_plan_scan *s = &settings(fold)->scan;
    const struct af_plan_aggregate *aggregate = &settings(fold)->aggregate;
    const struct af_exec_options *options = &fold->op.exec->options;
    struct af_scan scan = {
        .measurement = s->measurement,
        .start_ns = later(s->start_ns, aggregate->start_ns),
        .stop_ns = earlier(s->stop_ns, aggregate->stop_ns),
        .predicate = s->predicate,
        .cancel = options->cancel,
        .folds = fold->folds,
        .fold_count = fold->fold_count,
        .window = aggregate->window,
        .group = s->group,
        .group_count = s->group_count,
        .groups_max = options->limits.bytes_max / (32 + 24 * fold->fold_count) + 1,
        .workers = options->workers,
    };
    if (scan.start_ns >= scan.stop_ns) {
        fold->is_done = true;
        return AF_OK;
    }
    AF_TRY(check_windows(fold, scan.start_ns, scan.stop_ns, err));
    AF_TRY(series_count(fold->op.exec, fold->op.node, s, err));
    return af_store_scan(options->stores[s->source], &scan, &fold->stream, err);
}

/* --- folds to calls ------------------------------------------------------------------------------------------------------------------ */

static double as_f64(const struct af_column *column, size_t row)
{
    switch (column->type) {
    case AF_TYPE_I64: return (double)column->i64[row];
    case AF_TYPE_U64: return (double)column->u64[row];
    default: return column->f64[row];
    }
}

static enum af_status mean_column(const struct af_column *count, const struct af_column *sum, size_t rows, struct af_arena *arena,
                                  struct af_column *out, struct af_error *err)
{
    double *values = af_arena_array(arena, rows, sizeof *values);
    if (values == NULL)
        return arena_fail(arena, rows * sizeof *values, err);
    if (sum->type == AF_TYPE_F64)
        for (size_t i = 0; i < rows; i++)
            values[i] = sum->f64[i] / (double)count->i64[i];
    else
        for (size_t i = 0; i < rows; i++)
            values[i] = af_column_has(sum, i) ? as_f64(sum, i) / (double)count->i64[i] : 0;
    *out = (struct af_column){ .type = AF_TYPE_F64, .f64 = values, .validity = sum->validity, .null_count = sum->null_count };
    return AF_OK;
}

/* Any other call: row by row. */
static enum af_status made_column(const struct af_fn_call *call, const struct call *made_of, const struct af_batch *batch,
                                  enum af_type type, struct af_arena *arena, struct af_column *out, struct af_error *err)
{
    struct grower grower;
    grower_init(&grower, type, arena);
    for (size_t row = 0; row < batch->row_count; row++) {
        struct af_value values[FOLD_OPS], value = af_value_none();
        int64_t times_ns[FOLD_OPS] = { 0 }, time_ns = 0;
        bool has = false;
        for (size_t i = 0; i < made_of->fold_count; i++) {
            const struct af_column *columns = &batch->columns[2 + 2 * made_of->folds[i]];
            values[i] = af_column_value(&columns[0], row);
            has |= values[i].type != AF_TYPE_NULL;
            if (af_column_has(&columns[1], row))
                times_ns[i] = columns[1].i64[row];
        }
        if (has)
            af_fn_from_folds(call, values, times_ns, &value, &time_ns);
        AF_TRY(grower_value(&grower, &value, err));
    }
    grower_column(&grower, out);
    return AF_OK;
}

static enum af_status call_column(const struct fold *fold, size_t number, const struct af_batch *batch, struct af_arena *arena,
                                  struct af_column *out, struct af_error *err)
{
    const struct af_fn_call *call = &settings(fold)->aggregate.calls[number].call;
    const struct call *made_of = &fold->calls[number];
    enum af_type type = fold->op.node->schema.fields[1 + number].type;
    const struct af_column *first = &batch->columns[2 + 2 * made_of->folds[0]];
    if (made_of->fold_count == 1) /* the fold is the call */
        return column_cast(first, type, batch->row_count, arena, out, err);
    const struct af_column *second = &batch->columns[2 + 2 * made_of->folds[1]];
    bool is_number = second->type == AF_TYPE_F64 || second->type == AF_TYPE_I64 || second->type == AF_TYPE_U64;
    if (call->id == AF_FN_MEAN && made_of->fold_count == 2 && first->type == AF_TYPE_I64 && is_number)
        return mean_column(first, second, batch->row_count, arena, out, err);
    return made_column(call, made_of, batch, type, arena, out, err);
}

static enum af_status time_column(const struct fold *fold, const struct af_batch *batch, struct af_arena *arena, struct af_column *out,
                                  struct af_error *err)
{
    const struct af_plan_aggregate *aggregate = &settings(fold)->aggregate;
    if (aggregate->stamp == AF_STAMP_POINT) {
        *out = batch->columns[3 + 2 * fold->calls[0].folds[0]];
        out->validity = NULL; /* a row without the point has no value either, and goes */
        out->null_count = 0;
        return AF_OK;
    }
    if (!af_window_is_none(&aggregate->window)) {
        *out = batch->columns[1];
        return AF_OK;
    }
    struct af_value start = af_value_time(aggregate->start_ns != INT64_MIN ? aggregate->start_ns : 0);
    return columns_constant(AF_TYPE_TIME, &start, batch->row_count, arena, out, err);
}

static enum af_status make_columns(const struct fold *fold, const struct af_batch *batch, struct af_arena *arena, struct af_column *columns,
                                   struct af_error *err)
{
    AF_TRY(time_column(fold, batch, arena, &columns[0], err));
    for (size_t i = 0; i < settings(fold)->aggregate.call_count; i++)
        AF_TRY(call_column(fold, i, batch, arena, &columns[1 + i], err));
    return AF_OK;
}

/* --- runs of groups ------------------------------------------------------------------------------------------------------------------- */

static enum af_status add_run(struct fold *fold, struct af_slice series_key, size_t first, struct af_error *err)
{
    const struct af_plan_scan *s = &settings(fold)->scan;
    struct af_arena *arena = &fold->mem.arena;
    struct run *runs = af_arena_more(arena, fold->runs, fold->run_count, &fold->run_cap, sizeof *runs);
    if (runs == NULL)
        return mem_fail(&fold->mem, fold->run_count * sizeof *runs, err);
    fold->runs = runs;
    const struct af_group_key *key = series_group_key(s->measurement, s->group, s->group_count, series_key, arena);
    if (key == NULL)
        return mem_fail(&fold->mem, series_key.len, err);
    fold->runs[fold->run_count++] = (struct run){ .key = key, .first = first };
    return AF_OK;
}

static bool is_same_series(const struct af_column *keys, size_t a, size_t b)
{
    if (keys->dict != NULL && keys->codes[a] == keys->codes[b])
        return true;
    return af_slice_eq(af_column_text(keys, a), af_column_text(keys, b));
}

/* `rows` of the batch (NULL: all) behind `offset` others. A batch that goes on with the last group makes another run, which is joined by
 * key. */
static enum af_status add_runs(struct fold *fold, const struct af_column *keys, const uint32_t *rows, size_t count, size_t offset,
                               struct af_error *err)
{
    for (size_t i = 0; i < count; i++) {
        size_t row = rows != NULL ? rows[i] : i;
        size_t before = i == 0 ? 0 : rows != NULL ? rows[i - 1] : i - 1;
        if (i == 0 || !is_same_series(keys, row, before))
            AF_TRY(add_run(fold, af_column_text(keys, row), offset + i, err));
        fold->runs[fold->run_count - 1].count++;
    }
    return AF_OK;
}

/* The next batch, turned, its columns in `arena`; *out NULL: the store has no more. */
static enum af_status pull(struct fold *fold, struct af_arena *arena, struct af_batch **out, struct af_column **out_columns,
                           uint32_t **out_rows, size_t *out_count, struct af_error *err)
{
    size_t column_count = fold->op.node->schema.field_count;
    AF_TRY(exec_poll(fold->op.exec, err));
    enum af_status status = af_stream_next(fold->stream, arena, out, err);
    if (status == AF_ECANCELED)
        AF_TRY(exec_poll(fold->op.exec, err)); /* in our words */
    AF_TRY(status);
    if (*out == NULL)
        return AF_OK;
    AF_TRY(exec_count(fold->op.exec, fold->op.node, (*out)->row_count * fold->fold_count, 0, err));
    *out_columns = af_arena_zero(arena, column_count, sizeof **out_columns);
    if (*out_columns == NULL)
        return arena_fail(arena, column_count * sizeof **out_columns, err);
    AF_TRY(make_columns(fold, *out, arena, *out_columns, err));
    AF_TRY(rows_present(*out_columns + 1, column_count - 1, (*out)->row_count, arena, out_rows, out_count, err));
    for (size_t i = 0; *out_rows != NULL && i < column_count; i++) {
        struct af_column whole = (*out_columns)[i];
        AF_TRY(columns_gather(&whole, *out_rows, *out_count, arena, &(*out_columns)[i], err));
    }
    return AF_OK;
}

static enum af_status next_batch(struct fold *fold, struct af_error *err)
{
    struct af_batch *batch;
    uint32_t *rows;
    size_t count;
    mem_reset(&fold->mem);
    fold->runs = NULL;
    fold->run_count = fold->run_cap = fold->run_at = fold->given = 0;
    AF_TRY(pull(fold, &fold->mem.arena, &batch, &fold->columns, &rows, &count, err));
    fold->is_done = batch == NULL;
    if (batch != NULL)
        AF_TRY(add_runs(fold, &batch->columns[0], rows, count, 0, err));
    return mem_charge(&fold->mem, err);
}

/* --- descending: everything, then backwards ----------------------------------------------------------------------------------- */

static enum af_status gather_batch(struct fold *fold, bool *out_end, struct af_error *err)
{
    struct af_batch *batch;
    struct af_column *columns;
    uint32_t *rows;
    size_t count;
    mem_reset(&fold->work_mem);
    AF_TRY(pull(fold, &fold->work_mem.arena, &batch, &columns, &rows, &count, err));
    *out_end = batch == NULL;
    if (batch == NULL)
        return AF_OK;
    AF_TRY(add_runs(fold, &batch->columns[0], rows, count, fold->growers[0].count, err));
    for (size_t i = 0; i < fold->op.node->schema.field_count; i++)
        AF_TRY(grower_rows(&fold->growers[i], &columns[i], 0, count, err));
    return mem_charge(&fold->mem, err);
}

static enum af_status gather_all(struct fold *fold, struct af_error *err)
{
    size_t column_count = fold->op.node->schema.field_count;
    fold->growers = af_arena_zero(&fold->mem.arena, column_count, sizeof *fold->growers);
    fold->columns = af_arena_zero(&fold->mem.arena, column_count, sizeof *fold->columns);
    if (fold->growers == NULL || fold->columns == NULL)
        return mem_fail(&fold->mem, column_count * sizeof *fold->growers, err);
    for (size_t i = 0; i < column_count; i++)
        grower_init(&fold->growers[i], fold->op.node->schema.fields[i].type, &fold->mem.arena);
    for (bool is_end = false; !is_end;)
        AF_TRY(gather_batch(fold, &is_end, err));
    mem_reset(&fold->work_mem);
    for (size_t i = 0; i < column_count; i++)
        grower_column(&fold->growers[i], &fold->columns[i]);
    fold->is_done = true;
    return AF_OK;
}

/* --- giving ------------------------------------------------------------------------------------------------------------------- */

static enum af_status give_ascending(struct fold *fold, struct af_arena *arena, struct af_column *columns, const struct run *run,
                                     size_t count, struct af_error *err)
{
    for (size_t i = 0; i < fold->op.node->schema.field_count; i++) {
        struct af_column part;
        AF_TRY(columns_slice(&fold->columns[i], run->first + fold->given, count, &fold->mem.arena, &part, err));
        AF_TRY(columns_copy(&part, count, arena, &columns[i], err));
    }
    return AF_OK;
}

static enum af_status give_descending(struct fold *fold, struct af_arena *arena, struct af_column *columns, const struct run *run,
                                      size_t count, struct af_error *err)
{
    uint32_t *rows = af_arena_array(arena, count, sizeof *rows);
    if (rows == NULL)
        return arena_fail(arena, count * sizeof *rows, err);
    for (size_t i = 0; i < count; i++)
        rows[i] = (uint32_t)(run->first + run->count - 1 - fold->given - i);
    for (size_t i = 0; i < fold->op.node->schema.field_count; i++)
        AF_TRY(columns_gather(&fold->columns[i], rows, count, arena, &columns[i], err));
    return AF_OK;
}

static enum af_status give(struct fold *fold, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    bool descending = settings(fold)->aggregate.descending;
    size_t column_count = fold->op.node->schema.field_count;
    const struct run *run = &fold->runs[descending ? fold->run_count - 1 - fold->run_at : fold->run_at];
    size_t count = run->count - fold->given < AF_BATCH_ROWS ? run->count - fold->given : AF_BATCH_ROWS;
    struct af_column *columns = af_arena_zero(arena, column_count, sizeof *columns);
    if (columns == NULL)
        return arena_fail(arena, column_count * sizeof *columns, err);
    if (descending)
        AF_TRY(give_descending(fold, arena, columns, run, count, err));
    else
        AF_TRY(give_ascending(fold, arena, columns, run, count, err));
    fold->given += count;
    if (fold->given == run->count) {
        fold->run_at++;
        fold->given = 0;
    }
    return table_make(&fold->op, run->key, columns, count, arena, out, err);
}

static enum af_status begin(struct fold *fold, struct af_error *err)
{
    fold->is_begun = true;
    AF_TRY(make_folds(fold, err));
    AF_TRY(open_stream(fold, err));
    return !fold->is_done && settings(fold)->aggregate.descending ? gather_all(fold, err) : AF_OK;
}

static enum af_status fold_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct fold *fold = (struct fold *)tables;
    if (!fold->is_begun)
        AF_TRY(begin(fold, err));
    while (fold->run_at == fold->run_count && !fold->is_done)
        AF_TRY(next_batch(fold, err));
    *out = NULL;
    return fold->run_at < fold->run_count ? give(fold, arena, out, err) : AF_OK;
}

static void fold_close(struct af_tables *tables)
{
    struct fold *fold = (struct fold *)tables;
    af_stream_close(fold->stream);
    mem_done(&fold->mem);
    mem_done(&fold->work_mem);
}

static const struct af_tables_ops fold_ops = { fold_next, fold_close };

enum af_status open_fold(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    uint32_t source = node->fold.scan.source;
    if (source >= exec->options.store_count || (exec->options.stores[source]->caps & AF_STORE_CAN_FOLD) == 0)
        return af_fail(err, AF_EBUG, "a plan has source %u fold, which it cannot", source);
    AF_TRY(op_new(exec, node, inputs, sizeof(struct fold), &fold_ops, out, err));
    struct fold *fold = (struct fold *)*out;
    mem_init(&fold->mem, exec);
    mem_init(&fold->work_mem, exec);
    return AF_OK;
}
