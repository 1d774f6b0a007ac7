/*
 * fn.h - the catalogue of functions that every query language draws from: names, types, kernels.
 *
 *     SCALAR     columns of equal length -> a column                 abs(x), x + y, x =~ /re/
 *     AGGREGATE  the values of a window -> one value                 mean, count, stddev
 *     SELECTOR   the rows of a window -> some of these rows          max, first, percentile, top
 *     TRANSFORM  the rows of a group, in order -> rows               derivative, moving_average, holt_winters
 *
 * A function that two languages understand differently is two functions here, each with its meaning in its name (DIVIDE, DIVIDE_INTEGER):
 * no kernel knows who asks. Names are ours; languages have their own tables from their names to these ids.
 *
 * Types: F64 I64 U64 BOOL STRING TIME. A null argument gives null, unless the function's line in fn.def says otherwise. A float that is not
 * a number is null at the wire, not here.
 */
#ifndef AF_FN_FN_H
#define AF_FN_FN_H
#include "data/value.h"
#include "data/window.h"

/* fn.def: AF_X(NAME, "name", KIND, arguments min, max, flags), one line a function, in the order of the kinds. */
enum af_fn {
#define AF_X(id, name, kind, min, max, flags) AF_FN_##id,
#include "fn/fn.def"
#undef AF_X
    AF_FN_COUNT_OF
};
enum af_fn_kind { AF_FN_KIND_SCALAR, AF_FN_KIND_AGGREGATE, AF_FN_KIND_SELECTOR, AF_FN_KIND_TRANSFORM };
enum af_fn_flags {
    AF_FN_ORDERED = 1,       /* AGGREGATE, SELECTOR: rows must come in order of time */
    AF_FN_WHOLE = 2,         /* keeps every value of a window until its end: memory */
    AF_FN_FOLDS = 4,         /* a store can do it: af_fn_folds */
};
struct af_fn_info {
    const char *name;
    enum af_fn_kind kind;
    uint8_t args_min, args_max;
    uint8_t flags;
};
const struct af_fn_info *af_fn_get(enum af_fn id);

/* The type of the result. AF_EINVAL: it does not take these (words without a language: `"abs" takes numbers, not string`). AGGREGATE,
 * SELECTOR, TRANSFORM: args[0] is the column's type. NULL types (nothing but nulls) are taken everywhere. */
AF_MUST_CHECK enum af_status af_fn_type(enum af_fn id, const enum af_type *args, size_t arg_count, enum af_type *out, struct af_error *err);

/* --- scalars --------------------------------------------------------------------------------------------------------------- */

/* A constant stands for as many rows as are asked for: its column has one row. */
struct af_vector {
    struct af_column column;
    bool is_constant;
};
/* `rows` rows, in `arena`; constant if all arguments are. `regex`: of MATCH and NOT_MATCH, else NULL. Arithmetic: I64 and U64 wrap; I64
 * with F64 is F64. Comparisons give BOOL. */
struct af_regex;
AF_MUST_CHECK enum af_status af_fn_eval(enum af_fn id, const struct af_vector *args, size_t arg_count, const struct af_regex *regex,
                                        size_t rows, struct af_arena *arena, struct af_vector *out, struct af_error *err);

/* --- aggregates and selectors of one row ---------------------------------------------------------------------------------------- */

/* What a call is, fixed for a query. */
struct af_fn_call {
    enum af_fn id;
    enum af_type type;           /* of the column */
    struct af_value params[6];   /* the arguments behind the column: percentile's number, n, unit in ns, ... */
    size_t param_count;
    const struct af_window *window; /* WINDOW_INTEGRAL; NULL: no windows, and for all others */
};
/* Number, names and ranges of params; AF_EINVAL in words without a language. */
AF_MUST_CHECK enum af_status af_fn_check(const struct af_fn_call *call, struct af_error *err);

/* One window's state: af_fn_state_bytes bytes, aligned to 16, zeroed by the caller. What it grows lives in `arena`. AGGREGATE, and those
 * SELECTORs that choose one row (FIRST LAST MIN MAX PERCENTILE). */
size_t af_fn_state_bytes(const struct af_fn_call *call);
/* Rows [first, first + count) of the column, times beside it. */
AF_MUST_CHECK enum af_status af_fn_add(const struct af_fn_call *call, void *state, const int64_t *time_ns, const struct af_column *column,
                                       size_t first, size_t count, struct af_arena *arena, struct af_error *err);
/* value.type NULL: there was nothing. *out_time_ns: of the point chosen (SELECTOR); untouched by others. */
AF_MUST_CHECK enum af_status af_fn_finish(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out,
                                          int64_t *out_time_ns, struct af_error *err);
/* The folds that stand for it (store/store.h's enum af_fold_op as bits), 0: none. MEAN: COUNT and SUM. */
uint32_t af_fn_folds(const struct af_fn_call *call);
/* From what the folds gave, in the order of the bits. */
void af_fn_from_folds(const struct af_fn_call *call, const struct af_value *values, const int64_t *times_ns, struct af_value *out,
                      int64_t *out_time_ns);

/* --- selectors of several rows ---------------------------------------------------------------------------------------------------- */

/* Which rows of a window: TOP BOTTOM (params: n), SAMPLE (n; `seed`), DISTINCT (the first row of each value), and those of one row. The
 * window's rows as arrays; indices in `out_rows` (room for `count`), in the order in which they are to be given: by time, descending if the
 * first row is later than the last; at one time the better row first (TOP BOTTOM), else the smaller value. Rows without a value never.
 * Of equal values TOP and BOTTOM prefer the earlier time, PERCENTILE counts them in the order of time that the rows have, as InfluxDB
 * does. */
AF_MUST_CHECK enum af_status af_fn_select(const struct af_fn_call *call, const int64_t *time_ns, const struct af_column *column,
                                          size_t count, uint64_t seed, struct af_arena *arena, uint32_t *out_rows, size_t *out_count,
                                          struct af_error *err);

/* --- transforms ------------------------------------------------------------------------------------------------------------------- */

/* The state of one group; freed with `arena`. `descending`: rows come in descending time. */
struct af_transform;
AF_MUST_CHECK enum af_status af_transform_new(const struct af_fn_call *call, bool descending, struct af_arena *arena,
                                              struct af_transform **out, struct af_error *err);
/* Rows of the group in order; the output has at most as many rows, in `arena` (of the pull): times and a column without nulls. Rows whose
 * value is null are passed over. *out_count may be 0. */
AF_MUST_CHECK enum af_status af_transform_add(struct af_transform *transform, const int64_t *time_ns, const struct af_column *column,
                                              size_t rows, struct af_arena *arena, int64_t **out_time_ns, struct af_column *out,
                                              size_t *out_count, struct af_error *err);
/* At the end of the group: what it held back (HOLT_WINTERS: everything). At most `rows_max` a call; *out_count 0: done. */
AF_MUST_CHECK enum af_status af_transform_end(struct af_transform *transform, size_t rows_max, struct af_arena *arena,
                                              int64_t **out_time_ns, struct af_column *out, size_t *out_count, struct af_error *err);
#endif
