/*
 * transform.c - rows of a group, in order, to rows: what all transforms share. Nulls are taken out before they see anything, and numbers
 * are converted where they want floats; then each works on dense arrays.
 */
#include "fn/fn_int.h"

static const struct transform_ops *ops_of(enum af_fn id)
{
    switch (id) {
    case AF_FN_DERIVATIVE: case AF_FN_NON_NEGATIVE_DERIVATIVE: return &derivative_ops;
    case AF_FN_DIFFERENCE: case AF_FN_NON_NEGATIVE_DIFFERENCE: return &difference_ops;
    case AF_FN_CUMULATIVE_SUM: return &cumulative_sum_ops;
    case AF_FN_ELAPSED: return &elapsed_ops;
    case AF_FN_WINDOW_INTEGRAL: return &window_integral_ops;
    case AF_FN_MOVING_AVERAGE: return &moving_average_ops;
    case AF_FN_HOLT_WINTERS: case AF_FN_HOLT_WINTERS_FIT: return &holt_winters_ops;
    default: return &average_ops;
    }
}

enum af_status af_transform_new(const struct af_fn_call *call, bool descending, struct af_arena *arena, struct af_transform **out,
                                struct af_error *err)
{
    if (af_fn_get(call->id)->kind != AF_FN_KIND_TRANSFORM)
        return af_fail(err, AF_EBUG, "\"%s\" is not a transformation", af_fn_get(call->id)->name);
    AF_TRY(af_fn_check(call, err));
    const struct transform_ops *ops = ops_of(call->id);
    struct af_transform *transform = af_arena_zero(arena, 1, sizeof *transform);
    void *state = af_arena_zero(arena, 1, ops->state_bytes);
    if (transform == NULL || state == NULL)
        return af_arena_fail(arena, sizeof *transform + ops->state_bytes, "a transformation", err);
    *transform = (struct af_transform){ .call = *call, .ops = ops, .class = ops->as_f64 ? FN_F64 : fn_class_of(call->type),
                                        .descending = descending, .arena = arena, .state = state };
    AF_TRY(af_fn_type(call->id, &call->type, 1, &transform->out_type, err));
    if (ops->begin != NULL)
        AF_TRY(ops->begin(transform, err));
    *out = transform;
    return AF_OK;
}

/* Times and cells of the rows that have a value; the column's own arrays where nothing must be changed. */
static enum af_status make_dense(const struct af_transform *transform, const int64_t *time_ns, const struct af_column *column, size_t rows,
                                 struct af_arena *arena, struct dense *out)
{
    enum fn_class class = fn_class_of(column->type);
    bool has_cells = class != FN_TEXT && class != FN_BOOL, is_converted = has_cells && transform->ops->as_f64 && class != FN_F64;
    out->count = fn_count_valid(column, 0, rows);
    AF_TRY(fn_alloc(arena, out->count, sizeof *out->out, &out->out, out->err));
    AF_TRY(fn_alloc(arena, out->count, sizeof *out->out_time_ns, &out->out_time_ns, out->err));
    out->time_ns = time_ns;
    out->cells = has_cells ? column->values : NULL;
    if (out->count == rows && !is_converted)
        return AF_OK;
    int64_t *times;
    union fn_cell *cells = NULL;
    AF_TRY(fn_alloc(arena, out->count, sizeof *times, &times, out->err));
    if (has_cells)
        AF_TRY(fn_alloc(arena, out->count, sizeof *cells, &cells, out->err));
    size_t len, done = 0;
    for (size_t at = 0; (len = fn_span_next(column->validity, &at, rows)) != 0; at += len, done += len) {
        memcpy(times + done, time_ns + at, len * sizeof *times);
        if (is_converted)
            for (size_t i = 0; i < len; i++)
                cells[done + i].f64 = fn_cell_f64((union fn_cell){ .u64 = column->u64[at + i] }, class);
        else if (has_cells)
            memcpy(cells + done, column->u64 + at, len * sizeof *cells);
    }
    out->time_ns = times;
    out->cells = cells;
    return AF_OK;
}

enum af_status af_transform_add(struct af_transform *transform, const int64_t *time_ns, const struct af_column *column, size_t rows,
                                struct af_arena *arena, int64_t **out_time_ns, struct af_column *out, size_t *out_count,
                                    struct af_error *err)
{
    if (column->type != AF_TYPE_NULL && fn_class_of(column->type) != fn_class_of(transform->call.type))
        return af_fail(err, AF_EBUG, "\"%s\" of %s was given %s", af_fn_get(transform->call.id)->name, fn_type_words(transform->call.type),
                       fn_type_words(column->type));
    struct dense dense = { .err = err };
    AF_TRY(make_dense(transform, time_ns, column, column->type == AF_TYPE_NULL ? 0 : rows, arena, &dense));
    if (dense.count != 0)
        AF_TRY(transform->ops->add(transform, &dense));
    *out_time_ns = dense.out_time_ns;
    *out = (struct af_column){ .type = transform->out_type, .values = dense.out };
    *out_count = dense.out_count;
    return AF_OK;
}

enum af_status af_transform_end(struct af_transform *transform, size_t rows_max, struct af_arena *arena, int64_t **out_time_ns,
                                struct af_column *out, size_t *out_count, struct af_error *err)
{
    (void)arena; /* what comes now is kept with the state */
    if (!transform->is_ended && transform->ops->end != NULL)
        AF_TRY(transform->ops->end(transform, err));
    transform->is_ended = true;
    size_t left = transform->end_count - transform->end_given, count = left < rows_max ? left : rows_max;
    *out = (struct af_column){ .type = transform->out_type };
    *out_count = count;
    *out_time_ns = NULL;
    if (count == 0)
        return AF_OK;
    *out_time_ns = transform->end_time_ns + transform->end_given;
    out->values = transform->end_cells + transform->end_given;
    transform->end_given += count;
    return AF_OK;
}
