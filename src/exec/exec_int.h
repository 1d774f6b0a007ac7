/*
 * exec_int.h - operators from inside: what each of them is given and may rely on.
 *
 * An operator is a struct that begins with `struct op`, made in the query's arena by its open function (table in exec.c: node kind ->
 * open). Its inputs are opened by op_open before it. `next` makes tables in the arena it is handed; what an operator pulls from an input
 * for its own use goes into arenas of its own (struct mem), which it resets when it is done with a table.
 *
 * One thread pulls; inside SCAN and FOLD others may work.
 */
#ifndef AF_EXEC_INT_H
#define AF_EXEC_INT_H
#include "exec/exec.h"
#include <stdatomic.h>

struct exec {
    struct af_exec_options options;      /* defaults filled in */
    struct af_arena arena;               /* of the query: operators and what lives as long */
    _Atomic uint64_t bytes;              /* charged now, and at most */
    _Atomic uint64_t bytes_peak;
    _Atomic uint64_t points, series;     /* read from stores so far */
    uint64_t slice_rows;                 /* that SCAN sorts at a time, at most twice as many; tests make it small */
};

struct op {
    struct af_tables base;               /* ops: next and close of the operator itself; call op_next and op_close instead */
    struct exec *exec;
    const struct af_node *node;
    struct op **inputs;
    size_t input_count;
};
/* One table from an operator: cancellation, deadline and statistics are looked after here. */
AF_MUST_CHECK enum af_status op_next(struct op *op, struct af_arena *arena, const struct af_table **out, struct af_error *err);
void op_close(struct op *op); /* with its inputs; NULL is fine */
/* For open functions: `bytes` zeroed with the common part filled in, inputs already opened. */
AF_MUST_CHECK enum af_status op_new(struct exec *exec, const struct af_node *node, struct op **inputs, size_t bytes,
                                    const struct af_tables_ops *ops, struct op **out, struct af_error *err);
/* In long loops, every few thousand rows: AF_ECANCELED, AF_ELIMIT (the deadline). */
AF_MUST_CHECK enum af_status exec_poll(struct exec *exec, struct af_error *err);
/* So many values were read, so many series looked at: AF_ELIMIT past points_max, series_max, in InfluxDB's sense of them. */
AF_MUST_CHECK enum af_status exec_count(struct exec *exec, const struct af_node *node, uint64_t points, uint64_t series,
                                        struct af_error *err);

/* --- memory that is charged to the query (mem.c) -------------------------------------------------------------------------------- */

struct mem {
    struct af_arena arena;
    struct exec *exec;
    size_t charged;
};
void mem_init(struct mem *mem, struct exec *exec);
/* After allocating from mem->arena: charge what it has now. AF_ELIMIT: "the query needs more than N bytes ...": what to do about it. */
AF_MUST_CHECK enum af_status mem_charge(struct mem *mem, struct af_error *err);
void mem_reset(struct mem *mem);         /* memory and charge go back */
void mem_done(struct mem *mem);          /* also of a zeroed one */
/* An allocation of `bytes` from mem->arena returned NULL: the limit (in the words of mem_charge), or no memory. */
enum af_status mem_fail(const struct mem *mem, size_t bytes, struct af_error *err);
/* The same for any arena. */
enum af_status arena_fail(const struct af_arena *arena, size_t bytes, struct af_error *err);

/* --- columns cut and put together (columns.c) -------------------------------------------------------------------------------------- */

/* Rows [first, first + count) as a view where that can be, bitmaps copied where they do not begin or end at a word: bits past the end are 0
 * in every column made here. A view needs the memory of what it was cut from: a table that is given out holds none of another arena. */
AF_MUST_CHECK enum af_status columns_slice(const struct af_column *column, size_t first, size_t count, struct af_arena *arena,
                                           struct af_column *out, struct af_error *err);
/* Rows rows[0..count), in that order; UINT32_MAX: null. Dictionary columns stay so. */
AF_MUST_CHECK enum af_status columns_gather(const struct af_column *column, const uint32_t *rows, size_t count, struct af_arena *arena,
                                            struct af_column *out, struct af_error *err);
/* `count` rows of one value (NULL type: all null of type `type`). A value of another type than `type` is AF_EBUG. */
AF_MUST_CHECK enum af_status columns_constant(enum af_type type, const struct af_value *value, size_t count, struct af_arena *arena,
                                              struct af_column *out, struct af_error *err);
/* A copy that does not need `column`'s memory (dictionaries are held by reference). */
AF_MUST_CHECK enum af_status columns_copy(const struct af_column *column, size_t rows, struct af_arena *arena, struct af_column *out,
                                          struct af_error *err);
/* The rows in which at least one of the columns has a value, ascending. *out NULL: all of them. */
AF_MUST_CHECK enum af_status rows_present(const struct af_column *columns, size_t column_count, size_t rows, struct af_arena *arena,
                                          uint32_t **out, size_t *out_count, struct af_error *err);
/* A column that grows, value by value or run by run; in `arena`, of one type. Text is copied. */
struct grower {
    struct af_arena *arena;
    enum af_type type;
    size_t count, cap;
    void *fixed;                         /* 8 bytes a row; BOOL: a bitmap */
    uint64_t *validity;                  /* NULL while nothing was null */
    size_t null_count;
    int32_t *offsets;
    char *text;
    size_t text_len, text_cap;
};
void grower_init(struct grower *grower, enum af_type type, struct af_arena *arena);
AF_MUST_CHECK enum af_status grower_value(struct grower *grower, const struct af_value *value, struct af_error *err); /* NULL type: null */
AF_MUST_CHECK enum af_status grower_rows(struct grower *grower, const struct af_column *column, size_t first, size_t count,
                                         struct af_error *err);
void grower_column(const struct grower *grower, struct af_column *out); /* a view of all rows */
/* no rows; the memory is kept (the arena must not have been reset) */
void grower_clear(struct grower *grower);

/* A table out of columns: schema of the node, the key copied; all in `arena`. The columns are in it already. `columns` may be anywhere. */
AF_MUST_CHECK enum af_status table_make(const struct op *op, const struct af_group_key *key, const struct af_column *columns, size_t rows,
                                        struct af_arena *arena, const struct af_table **out, struct af_error *err);
/* Rows of one group gathered: every table of it appended, memory charged. gathered_column is a view of all of them, gathered_table copies.
 * */
struct gathered {
    struct mem mem;
    const struct af_schema *schema;
    struct grower *columns;
    size_t rows;
    const struct af_group_key *key;      /* in mem; NULL: empty */
};
AF_MUST_CHECK enum af_status gathered_init(struct gathered *gathered, struct exec *exec, const struct af_schema *schema,
                                           struct af_error *err);
AF_MUST_CHECK enum af_status gathered_add(struct gathered *gathered, const struct af_table *table, struct af_error *err);
void gathered_column(const struct gathered *gathered, size_t column, struct af_column *out);
/* Rows [first, first + count) as a table of `op` in `arena`. */
AF_MUST_CHECK enum af_status gathered_table(const struct gathered *gathered, const struct op *op, size_t first, size_t count,
                                            struct af_arena *arena, const struct af_table **out, struct af_error *err);
void gathered_clear(struct gathered *gathered);
void gathered_done(struct gathered *gathered);

/* Tables of an input, one group after the other, with a look at the next one: for operators that must know where a group ends.
 *     while (groups_begin(&groups, &key) && key != NULL) while (groups_next(&groups, &table) && table != NULL) ... */
struct groups {
    struct op *input;
    struct mem mem;                      /* of the table at hand, or of the one looked at: there is never more than one */
    const struct af_table *ahead;        /* pulled and not given yet */
    struct mem key_mem;
    const struct af_group_key *key;      /* of the group at hand */
    bool is_done;
};
void groups_init(struct groups *groups, struct exec *exec, struct op *input);
/* Goes past what is left of the group at hand. *out NULL: no more groups. The key lives until the next call of this. */
AF_MUST_CHECK enum af_status groups_begin(struct groups *groups, const struct af_group_key **out, struct af_error *err);
/* *out NULL: the group is over. The table lives until the next call. */
AF_MUST_CHECK enum af_status groups_next(struct groups *groups, const struct af_table **out, struct af_error *err);
void groups_done(struct groups *groups);

/* --- expressions (eval.c) -------------------------------------------------------------------------------------------------------- */

AF_MUST_CHECK enum af_status eval_expr(const struct af_expr *expr, const struct af_batch *rows, struct af_arena *arena,
                                       struct af_vector *out, struct af_error *err);
/* The rows for which it is true, ascending. */
AF_MUST_CHECK enum af_status eval_filter(const struct af_expr *expr, const struct af_batch *rows, struct af_arena *arena,
                                         uint32_t **out_rows, size_t *out_count, struct af_error *err);

/* --- operators: each file has one open function ------------------------------------------------------------------------------------ */

typedef enum af_status (*op_open_fn)(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out,
    struct af_error *err);
enum af_status open_scan(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_fold(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_empty(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_filter(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_map(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_regroup(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_aggregate(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_select(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_transform(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_fill(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_join(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_union(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_limit(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_group_limit(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
enum af_status open_dedupe(struct exec *, const struct af_node *, struct op **, struct op **, struct af_error *);
#endif
