/*
 * fold.c - a folded scan: its opening and its stream.
 *
 *     opened     series, parts, caches (scan_source.c); columns, windows, groups
 *     next       a round of groups is folded whole (fold_work.c), its cells with values are given out batch by batch; then the next round
 *
 * All groups are one round where their windows fit into ROUND_BYTES; otherwise series are put in order of group, and memory stays bounded
 * whatever the number of groups: a round has at least one of them whole.
 *
 * Windows are counted from the first to the last time that files and caches can have in the range, so open ranges cost nothing. Where there
 * are far more windows than values, cells are found by hashing.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "data/points.h"
#include "tsm/fold_int.h"
#include <stdlib.h>

enum { DENSE_WINDOWS = 64, DENSE_SHARE = 4, COST_SERIES = 50, STAT_GAIN = 50, DAY_GAIN = 12 };
static const size_t ROUND_BYTES = (size_t)16 << 20;
static const size_t KEY_ORDER_BYTES = (size_t)1 << 20; /* so few cells stay near the processor: series in order of key are read faster */

/* --- columns -------------------------------------------------------------------------------------------------------------- */

static enum af_status check_fold(const struct af_fold *asked, enum af_type type, struct af_error *err)
{
    const bool is_number = type == AF_TYPE_F64 || type == AF_TYPE_I64 || type == AF_TYPE_U64;
    const bool is_extreme = asked->op == AF_FOLD_MIN || asked->op == AF_FOLD_MAX;
    if ((asked->op != AF_FOLD_SUM || is_number) && (!is_extreme || type != AF_TYPE_STRING))
        return AF_OK;
    return af_fail(err, AF_EINVAL, "field %s holds %s values, of which there is no %s", asked->field,
                   type == AF_TYPE_STRING ? "string" : "boolean", asked->op == AF_FOLD_SUM ? "sum" : "minimum or maximum");
}

static size_t find_column(const struct fold *fold, struct af_slice name)
{
    for (size_t i = 0; i < fold->column_count; i++)
        if (af_slice_eq(fold->columns[i].name, name))
            return i;
    return SIZE_MAX;
}

/* A column that is asked for its last value only, of all time in the range, need not be read whole. */
static enum fold_pass pass_of(const struct fold_column *column, const struct af_scan *asked)
{
    if (!af_window_is_none(&asked->window))
        return FOLD_EVERY;
    return column->ops == FOLD_LAST ? FOLD_FROM_END : column->ops == FOLD_FIRST ? FOLD_FROM_START : FOLD_EVERY;
}

static enum af_status choose_columns(struct fold *fold, const struct af_scan *asked, struct af_error *err)
{
    const char **names = af_arena_array(&fold->arena, asked->fold_count, sizeof *names);
    if (names == NULL)
        return af_arena_fail(&fold->arena, asked->fold_count * sizeof *names, "a query", err);
    for (size_t i = 0; i < asked->fold_count; i++)
        names[i] = asked->folds[i].field;
    AF_TRY(scan_source_columns(&fold->source, names, asked->fold_count, err));
    fold->column_count = fold->source.column_count;
    fold->columns = af_arena_zero(&fold->arena, fold->column_count, sizeof *fold->columns);
    if (fold->columns == NULL)
        return af_arena_fail(&fold->arena, fold->column_count * sizeof *fold->columns, "a query", err);
    for (size_t i = 0; i < fold->column_count; i++)
        fold->columns[i] = (struct fold_column){ .name = fold->source.columns[i].name, .type = fold->source.columns[i].type };
    return AF_OK;
}

static enum af_status choose_outputs(struct fold *fold, const struct af_scan *asked, struct af_error *err)
{
    fold->outputs = af_arena_zero(&fold->arena, asked->fold_count, sizeof *fold->outputs);
    if (fold->outputs == NULL)
        return af_arena_fail(&fold->arena, asked->fold_count * sizeof *fold->outputs, "a query", err);
    fold->output_count = asked->fold_count;
    for (size_t i = 0; i < asked->fold_count; i++) {
        const size_t column = find_column(fold, af_slice_of(asked->folds[i].field));
        const enum af_type type = column != SIZE_MAX ? fold->columns[column].type : AF_TYPE_F64;
        AF_TRY(check_fold(&asked->folds[i], type, err));
        fold->outputs[i] = (struct fold_output){ .op = asked->folds[i].op, .column = column, .type = type };
        if (asked->folds[i].op == AF_FOLD_COUNT)
            fold->outputs[i].type = AF_TYPE_I64;
        if (column != SIZE_MAX)
            fold->columns[column].ops |= 1u << asked->folds[i].op;
    }
    for (size_t i = 0; i < fold->column_count; i++)
        fold->columns[i].pass = pass_of(&fold->columns[i], asked);
    return AF_OK;
}

static enum af_status make_schema(struct fold *fold, struct af_error *err)
{
    struct af_field *fields = af_arena_zero(&fold->arena, fold->output_count * 2 + 2, sizeof *fields);
    if (fields == NULL)
        return af_arena_fail(&fold->arena, fold->output_count * sizeof *fields, "the columns of a query", err);
    fields[0] = (struct af_field){ .name = "series", .type = AF_TYPE_STRING };
    fields[1] = (struct af_field){ .name = "time", .type = AF_TYPE_TIME };
    for (size_t i = 0; i < fold->output_count; i++) {
        struct af_field *field = &fields[i * 2 + 2];
        field[0] = (struct af_field){ .type = fold->outputs[i].type, .is_nullable = true };
        field[1] = (struct af_field){ .type = AF_TYPE_TIME, .is_nullable = true };
        field[0].name = af_arena_printf(&fold->arena, "%zu", i);
        field[1].name = af_arena_printf(&fold->arena, "%zu.time", i);
        if (field[0].name == NULL || field[1].name == NULL)
            return af_arena_fail(&fold->arena, 16, "the columns of a query", err);
    }
    fold->schema = (struct af_schema){ fold->output_count * 2 + 2, fields };
    return AF_OK;
}

/* --- what there is, about ------------------------------------------------------------------------------------------------- */

struct extent {
    int64_t first_ns, last_ns; /* all times of the data in the range; first > last: there are none */
    double values;             /* of the columns and series that are asked for, about */
};

static void widen(const struct fold *fold, struct extent *extent, int64_t first_ns, int64_t last_ns)
{
    first_ns = first_ns > fold->source.start_ns ? first_ns : fold->source.start_ns;
    last_ns = last_ns < fold->last_ns ? last_ns : fold->last_ns;
    if (first_ns > last_ns)
        return;
    extent->first_ns = first_ns < extent->first_ns ? first_ns : extent->first_ns;
    extent->last_ns = last_ns > extent->last_ns ? last_ns : extent->last_ns;
}

static double values_of(const struct fold *fold, const struct af_tsm_part *part)
{
    struct af_tsm_file_info info;
    af_tsm_file_info(part->file, &info);
    const double bytes = (double)info.index_offset / 2;
    const double blocks = (double)info.block_count * AF_TSM_BLOCK_POINTS;
    const double wanted = (double)fold->source.id_count * (double)fold->column_count;
    const double share = wanted < (double)info.key_count ? wanted / (double)info.key_count : 1;
    const double first = (double)(info.min_ns > fold->source.start_ns ? info.min_ns : fold->source.start_ns);
    const double last = (double)(info.max_ns < fold->last_ns ? info.max_ns : fold->last_ns);
    const double span = (double)info.max_ns - (double)info.min_ns;
    const double time_share = span > 0 && last - first < span ? (last - first) / span : 1;
    return (bytes < blocks ? bytes : blocks) * share * time_share;
}

static void measure(const struct fold *fold, struct extent *extent)
{
    *extent = (struct extent){ INT64_MAX, INT64_MIN, 0 };
    for (size_t i = 0; i < fold->source.view->shard_count; i++) {
        const struct scan_shard *shard = &fold->source.shards[i];
        const struct af_shard *of = fold->source.view->shards[i].shard;
        for (size_t k = 0; k < shard->part_count; k++) {
            struct af_tsm_file_info info;
            af_tsm_file_info(shard->parts[k]->file, &info);
            widen(fold, extent, info.min_ns, info.max_ns);
            extent->values += values_of(fold, shard->parts[k]);
        }
        for (size_t k = 0; k < fold->source.view->cache_count; k++) {
            if (shard->captures[k].count > 0)
                widen(fold, extent, of->start_ns, of->end_ns == INT64_MAX ? INT64_MAX : of->end_ns - 1);
            for (size_t h = 0; h < shard->captures[k].count; h++)
                extent->values += (double)(shard->captures[k].handles[h].rows * fold->column_count);
        }
    }
}

/* In decoded values: what statistics answer costs less. The same for the same data and question, whatever is in memory. */
static double cost_of(const struct fold *fold, double values)
{
    double cost = 0;
    const double each = values / (double)(fold->column_count > 0 ? fold->column_count : 1);
    for (size_t i = 0; i < fold->column_count; i++) {
        const struct fold_column *column = &fold->columns[i];
        const bool is_sum = (column->ops & ~(unsigned)(FOLD_COUNT | FOLD_SUM)) == 0;
        const bool is_known = (column->ops & (FOLD_MIN | FOLD_MAX)) == 0 && column->type != AF_TYPE_STRING;
        if (column->pass != FOLD_EVERY)
            cost += (double)fold->source.id_count * COST_SERIES;
        else if (fold->shape.windows.kind == FOLD_WHOLE && is_known)
            cost += each / STAT_GAIN;
        else
            cost += fold->shape.windows.are_days && is_sum ? each / DAY_GAIN : each;
    }
    return cost;
}

/* --- groups --------------------------------------------------------------------------------------------------------------- */

static enum af_status group_series(struct fold *fold, const struct af_scan *asked, struct af_error *err)
{
    const size_t count = fold->source.id_count;
    fold->group_all = asked->group_all;
    if (!asked->group_all) {
        struct af_slice *tags = af_arena_array(&fold->arena, asked->group_count, sizeof *tags);
        if (tags == NULL)
            return af_arena_fail(&fold->arena, asked->group_count * sizeof *tags, "a query", err);
        for (size_t i = 0; i < asked->group_count; i++)
            tags[i] = (struct af_slice){ af_arena_copy(&fold->arena, asked->group[i]), asked->group[i].len };
        for (size_t i = 0; i < asked->group_count; i++)
            if (tags[i].ptr == NULL)
                return af_arena_fail(&fold->arena, tags[i].len, "a query", err);
        fold->tags = tags;
        fold->tag_count = asked->group_count;
        return af_index_group(fold->source.index, fold->source.measurement, fold->source.ids, count, tags, fold->tag_count, &fold->arena,
                              &fold->group_of, &fold->tag_values, &fold->group_count, err);
    }
    fold->group_of = af_arena_array(&fold->arena, count, sizeof *fold->group_of);
    if (fold->group_of == NULL)
        return af_arena_fail(&fold->arena, count * sizeof *fold->group_of, "a query", err);
    for (size_t i = 0; i < count; i++)
        fold->group_of[i] = (uint32_t)i;
    fold->group_count = count;
    return AF_OK;
}

/* Positions as they are, or by group: those of a group in their order. */
static enum af_status order_series(struct fold *fold, struct af_error *err)
{
    const size_t count = fold->source.id_count;
    fold->order = af_arena_array(&fold->arena, count, sizeof *fold->order);
    uint32_t *starts = fold->is_by_group ? af_arena_zero(&fold->arena, fold->group_count + 1, sizeof *starts) : NULL;
    if (fold->order == NULL || (fold->is_by_group && starts == NULL))
        return af_arena_fail(&fold->arena, count * sizeof *fold->order, "a query", err);
    for (uint32_t i = 0; i < count && !fold->is_by_group; i++)
        fold->order[i] = i;
    if (!fold->is_by_group)
        return AF_OK;
    for (size_t i = 0; i < count; i++)
        starts[fold->group_of[i] + 1]++;
    for (size_t g = 0; g < fold->group_count; g++)
        starts[g + 1] += starts[g];
    for (uint32_t i = 0; i < count; i++)
        fold->order[starts[fold->group_of[i]]++] = i;
    return AF_OK;
}

/* --- opening -------------------------------------------------------------------------------------------------------------- */

/* How cells are kept, and how many groups make a round. */
static void plan_tables(struct fold *fold, const struct extent *extent)
{
    struct fold_shape *shape = &fold->shape;
    const double a_group = extent->values / (double)fold->group_count;
    const double windows = (double)shape->windows.count;
    shape->cell_bytes = fold_cell_bytes(fold->columns, fold->column_count);
    shape->is_sparse = windows > DENSE_WINDOWS && (windows > DENSE_SHARE * a_group || windows > AF_QUERY_WINDOWS_MAX);
    const double cells = shape->is_sparse && a_group < windows ? a_group + 1 : windows;
    const double bytes = cells * (double)shape->cell_bytes;
    const double fit = (double)ROUND_BYTES / bytes;
    fold->groups_a_round = fit < 1 ? 1 : fit < (double)fold->group_count ? (size_t)fit : fold->group_count;
    fold->is_by_group = bytes * (double)fold->group_count > (double)KEY_ORDER_BYTES;
    fold->cost_a_series = cost_of(fold, extent->values) / (double)fold->source.id_count;
}

static enum af_status open_parts(struct fold *fold, struct af_error *err)
{
    const struct scan_source *source = &fold->source;
    const size_t shards = source->view->shard_count;
    fold->parts = af_arena_zero(&fold->arena, shards, sizeof(struct fold_part *));
    for (size_t i = 0; fold->parts != NULL && i < shards; i++) {
        const size_t count = source->shards[i].part_count;
        fold->parts[i] = af_arena_zero(&fold->arena, count, sizeof **fold->parts);
        if (fold->parts[i] == NULL)
            return af_arena_fail(&fold->arena, count * sizeof **fold->parts, "a query", err);
        for (size_t k = 0; k < count; k++)
            fold->parts[i][k].part = source->shards[i].parts[k];
    }
    return fold->parts != NULL ? AF_OK : af_arena_fail(&fold->arena, shards * sizeof *fold->parts, "a query", err);
}

/* Something to fold: threads, tables, digests. */
static enum af_status open_work(struct fold *fold, const struct af_scan *asked, struct af_error *err)
{
    struct extent extent;
    measure(fold, &extent);
    if (extent.first_ns > extent.last_ns) {
        fold->source.id_count = 0;
        return AF_OK;
    }
    AF_TRY(fold_windows_init(&fold->shape.windows, asked, extent.first_ns, extent.last_ns, &fold->arena, err));
    fold->shape.columns = fold->columns;
    fold->shape.column_count = fold->column_count;
    fold->shape.cells_max = asked->groups_max;
    AF_TRY(group_series(fold, asked, err));
    plan_tables(fold, &extent);
    AF_TRY(order_series(fold, err));
    AF_TRY(open_parts(fold, err));
    AF_TRY(fold_work_init(fold, asked->workers, err));
    return fold_work_prepare(fold, err);
}

static enum af_status open_fold(struct fold *fold, struct af_view *view, const struct af_scan *asked, struct af_error *err)
{
    if (asked->fields != NULL)
        return af_fail(err, AF_EINVAL, "a folded scan names its fields in its folds only");
    AF_TRY(scan_source_open(&fold->source, view, asked, &fold->arena, err));
    fold->last_ns = asked->stop_ns == INT64_MAX ? INT64_MAX : asked->stop_ns - (asked->stop_ns != INT64_MIN);
    AF_TRY(choose_columns(fold, asked, err));
    AF_TRY(choose_outputs(fold, asked, err));
    AF_TRY(make_schema(fold, err));
    if (fold->source.measurement == AF_INDEX_NONE || fold->column_count == 0 || fold->source.id_count == 0) {
        fold->source.id_count = 0;
        return AF_OK;
    }
    return open_work(fold, asked, err);
}

static void fold_close(struct af_stream *base)
{
    struct fold *fold = (struct fold *)base;
    fold_work_done(fold);
    fold_table_free(fold->result);
    for (size_t i = 0; fold->parts != NULL && i < fold->source.view->shard_count; i++)
        for (size_t k = 0; fold->parts[i] != NULL && k < fold->source.shards[i].part_count; k++)
            af_digest_unref(fold->parts[i][k].digest);
    af_mutex_done(&fold->work.lock);
    af_free(fold->sorted);
    af_arena_done(&fold->arena);
    af_view_close(fold->source.view);
    af_free(fold);
}

/* --- a round, and what it gives ------------------------------------------------------------------------------------------- */

struct cell {
    struct fold_key key;
    size_t number;
};

static int by_key(const void *a, const void *b)
{
    const struct cell *x = a;
    const struct cell *y = b;
    if (x->key.group != y->key.group)
        return x->key.group < y->key.group ? -1 : 1;
    return (x->key.window > y->key.window) - (x->key.window < y->key.window);
}

/* Sparse cells in order of group and window. */
static enum af_status sort_cells(struct fold *fold, struct af_error *err)
{
    const struct fold_table *table = fold->result;
    struct cell *cells = af_alloc(table->cell_count * sizeof *cells);
    size_t *sorted = table->cell_count > fold->sorted_cap ? af_realloc(fold->sorted, table->cell_count * sizeof *sorted) : fold->sorted;
    if (sorted != NULL && table->cell_count > fold->sorted_cap) {
        fold->sorted = sorted;
        fold->sorted_cap = table->cell_count;
    }
    if (cells == NULL || (sorted == NULL && table->cell_count > 0)) {
        af_free(cells);
        return af_fail_nomem(err, "a query");
    }
    for (size_t i = 0; i < table->cell_count; i++)
        cells[i] = (struct cell){ table->keys[i], i };
    if (table->cell_count > 1)
        qsort(cells, table->cell_count, sizeof *cells, by_key);
    for (size_t i = 0; i < table->cell_count; i++)
        sorted[i] = cells[i].number;
    af_free(cells);
    return AF_OK;
}

static enum af_status count_cells(struct fold *fold, struct af_error *err)
{
    const struct fold_table *table = fold->result;
    for (size_t i = 0; i < table->cell_count; i++)
        fold->cells += fold_table_has(table, i);
    return fold_check_limit(&fold->shape, fold->cells, err);
}

/* Series up to the end of the last group of the round. */
static size_t round_end(const struct fold *fold)
{
    const size_t count = fold->source.id_count;
    size_t end = fold->next;
    if (fold->groups_a_round >= fold->group_count)
        return count;
    const size_t stop = fold->group_of[fold->order[fold->next]] + fold->groups_a_round;
    while (end < count && fold->group_of[fold->order[end]] < stop)
        end++;
    return end;
}

static enum af_status fold_round(struct fold *fold, struct af_error *err)
{
    const size_t end = round_end(fold);
    AF_TRY(fold_work_round(fold, fold->next, end, err));
    fold->next = end;
    fold->given = 0;
    AF_TRY(count_cells(fold, err));
    return fold->shape.is_sparse ? sort_cells(fold, err) : AF_OK;
}

/* --- batches -------------------------------------------------------------------------------------------------------------- */

/* Cells of the next batch: numbers in the result, and to which group and window they belong. */
struct chosen {
    size_t *cells;
    uint32_t *groups;
    int64_t *time_ns;
    size_t count;
};

static void choose(struct fold *fold, struct chosen *chosen, size_t most)
{
    const struct fold_table *table = fold->result;
    const size_t windows = (size_t)fold->shape.windows.count;
    for (; fold->given < table->cell_count && chosen->count < most; fold->given++) {
        const size_t cell = fold->shape.is_sparse ? fold->sorted[fold->given] : fold->given;
        if (!fold_table_has(table, cell))
            continue;
        const uint64_t window = fold->shape.is_sparse ? table->keys[cell].window : cell % windows;
        chosen->groups[chosen->count] =
            fold->shape.is_sparse ? table->keys[cell].group : table->group_first + (uint32_t)(cell / windows);
        chosen->time_ns[chosen->count] = fold_window_start(&fold->shape.windows, window);
        chosen->cells[chosen->count++] = cell;
    }
}

/* The group as a series key. */
static void append_group(const struct fold *fold, uint32_t group, struct af_buf *out)
{
    if (fold->group_all) {
        af_buf_append_slice(out, af_index_key(fold->source.index, fold->source.ids[group]));
        return;
    }
    af_buf_append_slice(out, fold->source.name);
    for (size_t i = 0; i < fold->tag_count; i++) {
        const struct af_slice value = fold->tag_values[group * fold->tag_count + i];
        if (value.len == 0)
            continue;
        af_buf_append_char(out, ',');
        af_key_append_tag(out, fold->tags[i]);
        af_buf_append_char(out, '=');
        af_key_append_tag(out, value);
    }
}

static enum af_status series_column(const struct fold *fold, const struct chosen *chosen, struct af_arena *arena, struct af_column *out,
                                    struct af_error *err)
{
    struct af_buf text;
    struct af_dict *dict;
    uint32_t *codes = af_arena_array(arena, chosen->count, sizeof *codes);
    int32_t *offsets = af_arena_array(arena, chosen->count + 1, sizeof *offsets);
    uint32_t count = 0;
    if (codes == NULL || offsets == NULL)
        return af_arena_fail(arena, chosen->count * 8, "the groups of a query", err);
    af_buf_init(&text, INT32_MAX);
    for (size_t i = 0; i < chosen->count; i++) {
        if (i == 0 || chosen->groups[i] != chosen->groups[i - 1]) {
            offsets[count++] = (int32_t)text.len;
            append_group(fold, chosen->groups[i], &text);
        }
        codes[i] = count - 1;
    }
    offsets[count] = (int32_t)text.len;
    enum af_status status = af_buf_check(&text, "the groups of a query", err);
    if (status == AF_OK)
        status = af_dict_new(offsets, text.ptr, count, &dict, err);
    af_buf_done(&text);
    AF_TRY(status);
    status = af_dict_hold(dict, arena, err);
    af_dict_unref(dict);
    *out = (struct af_column){ .type = AF_TYPE_STRING, .codes = codes, .dict = dict };
    return status;
}

/* Which of the rows have a value of the column; NULL: all. */
static enum af_status validity_of(const uint64_t *counts, const struct chosen *chosen, struct af_arena *arena, struct af_column *out,
                                  struct af_error *err)
{
    size_t has = 0;
    for (size_t i = 0; counts != NULL && i < chosen->count; i++)
        has += counts[chosen->cells[i]] != 0;
    if (has == chosen->count)
        return AF_OK;
    uint64_t *bits = af_bits_new(arena, chosen->count, false);
    if (bits == NULL)
        return af_arena_fail(arena, chosen->count / 8, "the values of a query", err);
    for (size_t i = 0; counts != NULL && i < chosen->count; i++)
        if (counts[chosen->cells[i]] != 0)
            af_bit_set(bits, i);
    out->validity = bits;
    out->null_count = chosen->count - has;
    return AF_OK;
}

static enum af_status text_column(const uint64_t *counts, const uint64_t *values, const struct chosen *chosen, struct af_arena *arena,
                                  struct af_column *out, struct af_error *err)
{
    size_t bytes = 0;
    int32_t *offsets = af_arena_array(arena, chosen->count + 1, sizeof *offsets);
    for (size_t i = 0; i < chosen->count; i++)
        if (counts[chosen->cells[i]] != 0)
            bytes += ((const struct fold_text *)(uintptr_t)values[chosen->cells[i]])->len;
    char *text = bytes <= INT32_MAX ? af_arena_array(arena, bytes, 1) : NULL;
    if (offsets == NULL || text == NULL)
        return af_arena_fail(arena, bytes, "the texts of a query", err);
    int32_t at = 0;
    for (size_t i = 0; i < chosen->count; i++) {
        offsets[i] = at;
        if (counts[chosen->cells[i]] == 0)
            continue;
        const struct fold_text *from = (const struct fold_text *)(uintptr_t)values[chosen->cells[i]];
        memcpy(text + at, from->bytes, from->len);
        at += (int32_t)from->len;
    }
    offsets[chosen->count] = at;
    out->offsets = offsets;
    out->bytes = text;
    return AF_OK;
}

/* Numbers, booleans as bits, or 0 where `values` is NULL. */
static enum af_status number_column(const uint64_t *values, const struct chosen *chosen, struct af_arena *arena, struct af_column *out,
                                    struct af_error *err)
{
    const bool is_bits = out->type == AF_TYPE_BOOL;
    uint64_t *to = is_bits ? af_bits_new(arena, chosen->count, false) : af_arena_array(arena, chosen->count, sizeof *to);
    if (to == NULL)
        return af_arena_fail(arena, chosen->count * sizeof *to, "the values of a query", err);
    for (size_t i = 0; i < chosen->count; i++) {
        const uint64_t value = values != NULL ? values[chosen->cells[i]] : 0;
        if (!is_bits)
            to[i] = value;
        else if (value == 1) /* anything, where there is no value */
            af_bit_set(to, i);
    }
    out->values = to;
    return AF_OK;
}

static const enum fold_cell cell_of[] = {
    [AF_FOLD_COUNT] = CELL_COUNT, [AF_FOLD_SUM] = CELL_SUM,     [AF_FOLD_MIN] = CELL_MIN,
    [AF_FOLD_MAX] = CELL_MAX,     [AF_FOLD_FIRST] = CELL_FIRST, [AF_FOLD_LAST] = CELL_LAST,
};

static enum af_status output_columns(const struct fold *fold, const struct fold_output *output, const struct chosen *chosen,
                                     struct af_arena *arena, struct af_column *out, struct af_error *err)
{
    const struct fold_cells *cells = output->column != SIZE_MAX ? &fold->result->columns[output->column] : NULL;
    const uint64_t *counts = cells != NULL ? cells->at[CELL_COUNT] : NULL;
    const uint64_t *values = cells != NULL ? cells->at[cell_of[output->op]] : NULL;
    const bool has_time = output->op != AF_FOLD_COUNT && output->op != AF_FOLD_SUM;
    out[0] = (struct af_column){ .type = output->type };
    out[1] = (struct af_column){ .type = AF_TYPE_TIME };
    AF_TRY(validity_of(counts, chosen, arena, &out[0], err));
    AF_TRY(validity_of(has_time ? counts : NULL, chosen, arena, &out[1], err));
    AF_TRY(number_column(has_time && cells != NULL ? cells->at[cell_of[output->op] + 1] : NULL, chosen, arena, &out[1], err));
    if (output->type == AF_TYPE_STRING)
        return text_column(counts, values, chosen, arena, &out[0], err);
    return number_column(values, chosen, arena, &out[0], err);
}

static enum af_status make_batch(struct fold *fold, const struct chosen *chosen, struct af_arena *arena, struct af_batch **out,
                                 struct af_error *err)
{
    struct af_batch *batch = af_arena_zero(arena, 1, sizeof *batch);
    struct af_column *columns = af_arena_zero(arena, fold->schema.field_count, sizeof *columns);
    const struct af_schema *schema = scan_copy_schema(&fold->schema, arena);
    if (batch == NULL || columns == NULL || schema == NULL)
        return af_arena_fail(arena, fold->schema.field_count * sizeof *columns, "a batch", err);
    AF_TRY(series_column(fold, chosen, arena, &columns[0], err));
    columns[1] = (struct af_column){ .type = AF_TYPE_TIME, .i64 = chosen->time_ns };
    for (size_t i = 0; i < fold->output_count; i++)
        AF_TRY(output_columns(fold, &fold->outputs[i], chosen, arena, &columns[i * 2 + 2], err));
    *batch = (struct af_batch){ .schema = schema, .row_count = chosen->count, .columns = columns };
    *out = batch;
    return AF_OK;
}

static enum af_status fold_next(struct af_stream *base, struct af_arena *arena, struct af_batch **out, struct af_error *err)
{
    struct fold *fold = (struct fold *)base;
    struct chosen chosen = { 0 };
    const size_t most = fold->output_count > 64 ? 1024 : AF_BATCH_ROWS;
    *out = NULL;
    if (scan_is_cancelled(&fold->source))
        return af_fail(err, AF_ECANCELED, "stopped while scanning");
    while (chosen.count == 0) {
        if (fold->result == NULL || fold->given == fold->result->cell_count) {
            if (fold->next == fold->source.id_count)
                return AF_OK;
            AF_TRY(fold_round(fold, err));
        }
        if (chosen.cells == NULL) {
            chosen.cells = af_arena_array(arena, most, sizeof *chosen.cells);
            chosen.groups = af_arena_array(arena, most, sizeof *chosen.groups);
            chosen.time_ns = af_arena_array(arena, most, sizeof *chosen.time_ns);
        }
        if (chosen.cells == NULL || chosen.groups == NULL || chosen.time_ns == NULL)
            return af_arena_fail(arena, most * 20, "a batch", err);
        choose(fold, &chosen, most);
    }
    return make_batch(fold, &chosen, arena, out, err);
}

static const struct af_stream_ops fold_ops = { fold_next, fold_close };

enum af_status fold_open(struct af_view *view, const struct af_scan *asked, struct af_stream **out, struct af_error *err)
{
    struct fold *fold = af_alloc_zero(1, sizeof *fold);
    if (fold == NULL) {
        af_view_close(view);
        return af_fail_nomem(err, "a query");
    }
    fold->source.view = view;
    af_mutex_init(&fold->work.lock);
    af_arena_init(&fold->arena, SIZE_MAX);
    enum af_status status = open_fold(fold, view, asked, err);
    if (status != AF_OK) {
        fold_close(&fold->base);
        return status;
    }
    fold->base = (struct af_stream){ .ops = &fold_ops, .schema = &fold->schema };
    *out = &fold->base;
    return AF_OK;
}
