/*
 * dump.h - points as text that can be compared: one block a row, fields in order of name and type. For tests and the fuzzer.
 */
#ifndef AF_FORMAT_LP_DUMP_H
#define AF_FORMAT_LP_DUMP_H
#include "format/lp/lp_int.h"
#include <stdlib.h>

static int dump_order(const void *a, const void *b)
{
    const struct af_point_field *x = *(const struct af_point_field *const *)a;
    const struct af_point_field *y = *(const struct af_point_field *const *)b;
    int c = af_slice_cmp(x->name, y->name);
    return c != 0 ? c : (int)x->column.type - (int)y->column.type;
}

static void dump_value(struct af_buf *out, const struct af_column *col, size_t row)
{
    switch (col->type) {
    case AF_TYPE_BOOL: af_buf_printf(out, "b%d", af_bit_get(col->bits, row)); break;
    case AF_TYPE_I64: af_buf_printf(out, "i%lld", (long long)col->i64[row]); break;
    case AF_TYPE_U64: af_buf_printf(out, "u%llu", (unsigned long long)col->u64[row]); break;
    case AF_TYPE_F64: af_buf_printf(out, "f%016llx", (unsigned long long)col->u64[row]); break; /* every bit counts */
    default:
        af_buf_printf(out, "s%zu:", af_column_text(col, row).len);
        af_buf_append_slice(out, af_column_text(col, row));
        break;
    }
}

/* The rows as `key|name=value,...|time`. */
static void dump_points(struct af_buf *out, const struct af_points *points)
{
    const struct af_point_field **order = malloc((points->field_count + 1) * sizeof *order);
    if (order == NULL)
        abort();
    for (size_t i = 0; i < points->field_count; i++)
        order[i] = &points->fields[i];
    qsort(order, points->field_count, sizeof *order, dump_order);
    for (size_t row = 0; row < points->row_count; row++) {
        af_buf_append_slice(out, points->set->keys.keys[points->series[row]]);
        af_buf_append_char(out, '|');
        for (size_t i = 0; i < points->field_count; i++) {
            if (!af_column_has(&order[i]->column, row))
                continue;
            af_buf_append_slice(out, order[i]->name);
            af_buf_append_char(out, '=');
            dump_value(out, &order[i]->column, row);
            af_buf_append_char(out, ',');
        }
        af_buf_printf(out, "|%lld\n", (long long)points->time_ns[row]);
    }
    free(order);
}
#endif
