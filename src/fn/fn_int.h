/*
 * fn_int.h - the catalogue from inside: classes of storage, spans of rows, and what each family of functions offers to the dispatchers.
 *
 *     fn.c                names, types, parameters
 *     scalar*.c           columns -> a column; scalar.c looks after constants and nulls
 *     aggregate.c         state, add, finish: a table of operations for each function, rows handed on as spans without nulls
 *     pick.c quantile.c stddev.c distinct.c integral.c hll.c   those operations
 *     select.c            several rows of a window
 *     transform*.c holt_winters.c simplex.c
 */
#ifndef AF_FN_INT_H
#define AF_FN_INT_H
#include "fn/fn.h"

/* --- storage ----------------------------------------------------------------------------------------------------------------- */

/* How values lie in memory. TIME lies as I64. */
enum fn_class { FN_F64, FN_I64, FN_U64, FN_BOOL, FN_TEXT, FN_CLASSES, FN_NO_CLASS = FN_CLASSES };
static inline enum fn_class fn_class_of(enum af_type type)
{
    switch (type) {
    case AF_TYPE_F64: return FN_F64;
    case AF_TYPE_I64: case AF_TYPE_TIME: return FN_I64;
    case AF_TYPE_U64: return FN_U64;
    case AF_TYPE_BOOL: return FN_BOOL;
    case AF_TYPE_STRING: return FN_TEXT;
    default: return FN_NO_CLASS;
    }
}
static inline bool fn_is_number(enum af_type type)
{
    return type == AF_TYPE_F64 || type == AF_TYPE_I64 || type == AF_TYPE_U64;
}

/* 8 bytes of a fixed value, whatever they are. */
union fn_cell {
    double f64;
    int64_t i64;
    uint64_t u64;
};
/* A number as the arithmetic of floats sees it. */
static inline double fn_cell_f64(union fn_cell cell, enum fn_class class)
{
    return class == FN_F64 ? cell.f64 : class == FN_U64 ? (double)cell.u64 : (double)cell.i64;
}
static inline struct af_value fn_cell_value(union fn_cell cell, enum af_type type)
{
    struct af_value value = { .type = type };
    if (type == AF_TYPE_BOOL)
        value.boolean = cell.u64 != 0;
    else
        value.u64 = cell.u64;
    return value;
}
/* A BOOL, or 8 bytes of a column. Not for text. */
static inline union fn_cell fn_column_cell(const struct af_column *column, size_t row)
{
    if (column->type == AF_TYPE_BOOL)
        return (union fn_cell){ .u64 = af_bit_get(column->bits, row) };
    return (union fn_cell){ .u64 = column->u64[row] };
}

/* The next run of rows that all have a value, at or behind *at and before `end`: its length, *at moved to where it begins. 0: none. */
size_t fn_span_next(const uint64_t *validity, size_t *at, size_t end);
/* How many rows of [first, first + count) have a value. */
size_t fn_count_valid(const struct af_column *column, size_t first, size_t count);

/* Floats to integers, as the processor does where C leaves it open: what does not fit becomes 2^63. */
static inline int64_t fn_f64_to_i64(double x)
{
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}
static inline uint64_t fn_f64_to_u64(double x)
{
    if (x < 0x1p63)
        return (uint64_t)fn_f64_to_i64(x);
    return (uint64_t)fn_f64_to_i64(x - 0x1p63) | UINT64_C(1) << 63;
}

/* "string", "unsigned": a type in messages. */
const char *fn_type_words(enum af_type type);
/* A parameter that is a whole number, or `otherwise` where it is not given. */
int64_t fn_param_i64(const struct af_fn_call *call, size_t i, int64_t otherwise);
double fn_param_f64(const struct af_fn_call *call, size_t i);
/* Memory in an arena, with the words for when there is none. */
AF_MUST_CHECK enum af_status fn_alloc(struct af_arena *arena, size_t count, size_t bytes, void *out, struct af_error *err);

/* --- scalars ------------------------------------------------------------------------------------------------------------------- */

struct scalar {
    enum af_fn id;
    const struct af_vector *args;
    size_t arg_count;
    const struct af_regex *regex;
    size_t rows;                 /* 1 if all arguments are constants */
    struct af_arena *arena;
    struct af_column *out;       /* zeroed; `type` filled in */
    struct af_error *err;
};
typedef enum af_status (*scalar_fn)(struct scalar *scalar);
enum af_status scalar_arith(struct scalar *scalar);
enum af_status scalar_bits(struct scalar *scalar);
enum af_status scalar_negate(struct scalar *scalar);
enum af_status scalar_compare(struct scalar *scalar);
enum af_status scalar_match(struct scalar *scalar);
enum af_status scalar_and_or(struct scalar *scalar);
enum af_status scalar_not(struct scalar *scalar);
enum af_status scalar_is_null(struct scalar *scalar);
enum af_status scalar_coalesce(struct scalar *scalar);
enum af_status scalar_cast(struct scalar *scalar);
enum af_status scalar_round(struct scalar *scalar);
enum af_status scalar_math(struct scalar *scalar);

/* The numbers of an argument as floats: its own array, or a converted copy. */
AF_MUST_CHECK enum af_status scalar_f64(struct scalar *scalar, const struct af_vector *arg, const double **out);
/* Null where any argument is. */
AF_MUST_CHECK enum af_status scalar_validity(struct scalar *scalar);
/* All rows null, of the type that `out` has. */
AF_MUST_CHECK enum af_status scalar_nulls(struct scalar *scalar);
/* Bits of a BOOL argument, and where they are not null, word by word; constants spread out. */
static inline uint64_t scalar_bits_word(const struct af_vector *arg, size_t word)
{
    if (arg->column.type == AF_TYPE_NULL)
        return 0;
    return arg->is_constant ? UINT64_C(0) - (arg->column.bits[0] & 1) : arg->column.bits[word];
}
static inline uint64_t scalar_valid_word(const struct af_vector *arg, size_t word)
{
    if (arg->column.type == AF_TYPE_NULL)
        return 0;
    if (arg->column.validity == NULL)
        return ~UINT64_C(0);
    return arg->is_constant ? UINT64_C(0) - (arg->column.validity[0] & 1) : arg->column.validity[word];
}
/* The bits of word `word` that belong to a row. */
static inline uint64_t scalar_row_mask(size_t rows, size_t word)
{
    size_t left = rows - word * 64;
    return left >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << left) - 1;
}
/* 64 bytes that are 0 or 1 as 64 bits. */
static inline uint64_t scalar_pack(const uint8_t *hits)
{
    uint64_t word = 0;
    for (size_t i = 0; i < 8; i++) {
        uint64_t eight;
        memcpy(&eight, hits + 8 * i, 8);
        word |= (eight * UINT64_C(0x0102040810204080) >> 56) << (8 * i);
    }
    return word;
}

/* --- aggregates ------------------------------------------------------------------------------------------------------------------ */

/* Rows [first, first + count), all with a value. */
struct span {
    const struct af_fn_call *call;
    const int64_t *time_ns;
    const struct af_column *column;
    size_t first, count;
    struct af_arena *arena;
    struct af_error *err;
};
typedef enum af_status (*span_fn)(void *state, const struct span *span);
struct aggregate_ops {
    size_t state_bytes;
    span_fn add[FN_CLASSES];     /* NULL: not of this class */
    enum af_status (*finish)(const struct af_fn_call *call, void *state, struct af_arena *arena, struct af_value *out, int64_t *out_time_ns,
                             struct af_error *err);
};
extern const struct aggregate_ops pick_first_ops, pick_last_ops, pick_min_ops, pick_max_ops;
extern const struct aggregate_ops median_ops, percentile_ops, stddev_ops, mode_ops, count_distinct_ops, integral_ops, hll_ops;

/* The row that `pick_*_ops` found in the column it was last given; SIZE_MAX: none. */
size_t pick_row(const void *state);

/* Values kept until the end: chunks that double, in arrival order. */
struct kept_chunk {
    struct kept_chunk *next;
    size_t count, cap;
    union fn_cell *cells;
    int64_t *times;              /* NULL: not wanted */
};
struct kept {
    struct kept_chunk *head, *tail;
    size_t count;
};
AF_MUST_CHECK enum af_status kept_add(struct kept *kept, const struct span *span, bool with_times);

/* --- quantile.c ------------------------------------------------------------------------------------------------------------------ */

/* A row on its way into an order: by `key`, then by time, then by row. */
struct ranked {
    uint64_t key;                /* fn_key: unsigned order is the order of values */
    uint64_t time;               /* fn_key_time */
    uint32_t row;
};
/* Bits whose unsigned order is the order of the values: -0 before 0, NaN at an end. */
static inline uint64_t fn_key(union fn_cell cell, enum fn_class class)
{
    const uint64_t sign = UINT64_C(1) << 63;
    if (class == FN_F64)
        return cell.u64 & sign ? ~cell.u64 : cell.u64 | sign;
    return class == FN_I64 ? cell.u64 ^ sign : cell.u64;
}
static inline union fn_cell fn_key_cell(uint64_t key, enum fn_class class)
{
    const uint64_t sign = UINT64_C(1) << 63;
    if (class == FN_F64)
        return (union fn_cell){ .u64 = key & sign ? key ^ sign : ~key };
    return (union fn_cell){ .u64 = class == FN_I64 ? key ^ sign : key };
}
static inline uint64_t fn_key_time(int64_t time_ns, bool descending)
{
    uint64_t key = (uint64_t)time_ns ^ UINT64_C(1) << 63;
    return descending ? ~key : key;
}
static inline int64_t fn_key_time_ns(uint64_t key, bool descending)
{
    return (int64_t)((descending ? ~key : key) ^ UINT64_C(1) << 63);
}
static inline bool ranked_before(const struct ranked *a, const struct ranked *b)
{
    if (a->key != b->key)
        return a->key < b->key;
    return a->time != b->time ? a->time < b->time : a->row < b->row;
}
/* Puts at [nth] what an ascending sort would put there. */
void ranked_nth(struct ranked *items, size_t count, size_t nth);
void ranked_sort(struct ranked *items, size_t count);
/* Which of `count` sorted values the percentile is; SIZE_MAX: none. */
size_t percentile_rank(size_t count, double percent);

/* --- distinct.c ------------------------------------------------------------------------------------------------------------------ */

/* Different values, numbered in the order of their arrival. Grows in the arena it is given. */
struct distinct {
    uint32_t *slots;             /* 1 + number; 0: free */
    size_t slot_count;           /* a power of two */
    uint32_t count, cap;
    union fn_cell *cells;        /* fixed values as they came first */
    struct af_slice *texts;      /* TEXT: copied */
};
AF_MUST_CHECK enum af_status distinct_cell(struct distinct *set, enum fn_class class, union fn_cell cell, struct af_arena *arena,
                                           uint32_t *out_number, struct af_error *err);
AF_MUST_CHECK enum af_status distinct_text(struct distinct *set, struct af_slice text, struct af_arena *arena, uint32_t *out_number,
                                           struct af_error *err);

/* --- transforms ------------------------------------------------------------------------------------------------------------------ */

/* Rows of one `add` without nulls. */
struct dense {
    const int64_t *time_ns;
    const union fn_cell *cells;  /* NULL: not of 8 bytes, or not wanted */
    size_t count;
    int64_t *out_time_ns;        /* room for `count` */
    union fn_cell *out;
    size_t out_count;
    struct af_error *err;
};
struct transform_ops {
    size_t state_bytes;
    bool as_f64;                 /* cells come converted to floats */
    enum af_status (*begin)(struct af_transform *transform, struct af_error *err);     /* may be NULL */
    enum af_status (*add)(struct af_transform *transform, struct dense *rows);
    enum af_status (*end)(struct af_transform *transform, struct af_error *err);       /* fills in end_...; may be NULL */
};
struct af_transform {
    struct af_fn_call call;
    const struct transform_ops *ops;
    enum fn_class class;         /* of the cells that `add` gets */
    enum af_type out_type;
    bool descending;
    bool is_ended;
    struct af_arena *arena;
    void *state;
    int64_t *end_time_ns;        /* what `end` made and how much of it was handed out */
    union fn_cell *end_cells;
    size_t end_count, end_given;
};
extern const struct transform_ops derivative_ops, difference_ops, cumulative_sum_ops, elapsed_ops, moving_average_ops, average_ops,
    holt_winters_ops, window_integral_ops;

/* --- simplex.c ------------------------------------------------------------------------------------------------------------------- */

/* Nelder and Mead's search for a minimum. `fn` may change the point it is given (it is clamped to where the function is defined). */
struct simplex {
    double (*fn)(void *ctx, double *x);
    void *ctx;
    size_t dims;
    double *work;                /* simplex_cells(dims) numbers */
    double epsilon;
    uint64_t *steps;             /* counted down by the work done; at 0 it gives up */
    uint64_t fn_steps;           /* what one call of fn costs */
};
size_t simplex_cells(size_t dims); /* SIZE_MAX: too many */
/* The smallest value found; the point in `x`, which comes with the start. False: steps ran out. */
AF_MUST_CHECK bool simplex_search(const struct simplex *simplex, double *x, double *out_min);
#endif
