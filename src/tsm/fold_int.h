/*
 * fold_int.h - a folded scan from inside: values become counts, sums and extremes of groups and windows where they lie.
 *
 *     fold.c          opening; the stream: rounds of groups, each folded whole, then given out
 *     fold_work.c     a round in stretches of series, which threads share
 *     fold_series.c   one series in one shard: its pieces, and which way each goes
 *     fold_read.c     blocks: by their statistics if those suffice, else decoded
 *     fold_run.c      rows into cells: the walk over windows, and the loops that touch values
 *     fold_table.c    cells, by group and window; windows
 *
 * What is shared by the threads of a scan (struct fold, but for `work`) does not change while they run.
 */
#ifndef AF_TSM_FOLD_INT_H
#define AF_TSM_FOLD_INT_H
#include "base/calendar.h"
#include "tsm/digest.h"
#include "tsm/scan_int.h"

enum {
    FOLD_COUNT = 1 << AF_FOLD_COUNT,
    FOLD_SUM = 1 << AF_FOLD_SUM,
    FOLD_MIN = 1 << AF_FOLD_MIN,
    FOLD_MAX = 1 << AF_FOLD_MAX,
    FOLD_FIRST = 1 << AF_FOLD_FIRST,
    FOLD_LAST = 1 << AF_FOLD_LAST,
};
/* How a column goes through the shards of a series. */
enum fold_pass {
    FOLD_EVERY,      /* all of them */
    FOLD_FROM_START, /* only the first value counts: from the oldest on, until there is one */
    FOLD_FROM_END,   /* only the last */
    FOLD_PASSES,
};
struct fold_column {
    struct af_slice name;
    enum af_type type;
    unsigned ops;    /* all that is asked of it; cells always count too */
    enum fold_pass pass;
};

/* --- fold_table.c: windows ------------------------------------------------------------------------------------------------ */

enum fold_windows_kind { FOLD_WHOLE, FOLD_REGULAR, FOLD_EDGES };
struct fold_windows {
    enum fold_windows_kind kind;
    uint64_t count;       /* that hold times of the data */
    int64_t start_ns;     /* of the first */
    uint64_t base, every; /* REGULAR: window i begins at base + i * every, modulo 2^64 */
    const int64_t *edges; /* EDGES: starts, and the stop of the last */
    bool are_days;        /* each is some whole UTC days */
};
/* Windows over the times [first_ns, last_ns]. */
AF_MUST_CHECK enum af_status fold_windows_init(struct fold_windows *windows, const struct af_scan *asked, int64_t first_ns, int64_t last_ns,
                                               struct af_arena *arena, struct af_error *err);
int64_t fold_window_start(const struct fold_windows *windows, uint64_t number);
uint64_t fold_window_find(const struct fold_windows *windows, int64_t time_ns, int64_t *out_last_ns); /* the last time in it */

/* --- fold_table.c: cells -------------------------------------------------------------------------------------------------- */

/* Arrays of a column's cells. Numbers are 64 bits of the column's type (BOOL 0 or 1, STRING a struct fold_text *); valid if count > 0. */
enum fold_cell {
    CELL_COUNT, CELL_SUM, CELL_MIN, CELL_MIN_NS, CELL_MAX, CELL_MAX_NS, CELL_FIRST, CELL_FIRST_NS, CELL_LAST, CELL_LAST_NS,
    CELL_ARRAYS,
};
struct fold_cells {
    uint64_t *at[CELL_ARRAYS]; /* NULL: not asked for */
};
struct fold_text {
    uint32_t len, cap;
    char bytes[];
};
/* What all tables of a scan have in common. */
struct fold_shape {
    const struct fold_column *columns;
    size_t column_count;
    struct fold_windows windows;
    bool is_sparse;    /* windows that have values are few: cells are found by hashing */
    size_t cells_max;  /* 0: no limit */
    size_t cell_bytes; /* of all columns */
};
struct fold_key {
    uint64_t window;
    uint32_t group;
};
struct fold_table {
    const struct fold_shape *shape;
    uint32_t group_first, group_count; /* dense: cell of (group, window) is (group - group_first) * windows + window */
    size_t cell_count, cell_cap;
    struct fold_cells *columns;
    struct fold_key *keys;             /* sparse: of each cell */
    uint32_t *slots;                   /* sparse: cell + 1 */
    size_t slot_mask;
    size_t found;                      /* sparse: the last one asked for */
    struct af_arena texts;
    struct fold_table *next;           /* in a list of free ones */
};
size_t fold_cell_bytes(const struct fold_column *columns, size_t count);
struct fold_table *fold_table_new(const struct fold_shape *shape); /* NULL without memory */
void fold_table_free(struct fold_table *table);
/* Empty, for these groups. */
AF_MUST_CHECK enum af_status fold_table_reset(struct fold_table *table, uint32_t group_first, uint32_t group_count, struct af_error *err);
AF_MUST_CHECK enum af_status fold_table_find_sparse(struct fold_table *table, uint32_t group, uint64_t window, size_t *out_cell,
                                                    struct af_error *err);
AF_MUST_CHECK static inline enum af_status fold_table_find(struct fold_table *table, uint32_t group, uint64_t window, size_t *out_cell,
                                                           struct af_error *err)
{
    if (table->shape->is_sparse)
        return fold_table_find_sparse(table, group, window, out_cell, err);
    *out_cell = (group - table->group_first) * (size_t)table->shape->windows.count + (size_t)window;
    return AF_OK;
}
/* All of `from` behind what is in `to`. */
AF_MUST_CHECK enum af_status fold_table_merge(struct fold_table *to, const struct fold_table *from, struct af_error *err);
/* AF_ELIMIT: so many cells are more than asked for. */
AF_MUST_CHECK enum af_status fold_check_limit(const struct fold_shape *shape, size_t cells, struct af_error *err);
bool fold_table_has(const struct fold_table *table, size_t cell);

/* --- fold_run.c ----------------------------------------------------------------------------------------------------------- */

/* Rows [from, end) of one series, ascending. */
struct fold_rows {
    const void *numbers;     /* 8 bytes each, by the column's type, BOOL as 0 and 1; NULL: only counted, or STRING */
    const struct af_column *texts;
    const int64_t *time_ns;  /* NULL: regular */
    int64_t first_ns;        /* of row 0, and the step */
    uint64_t step_ns;
    size_t from, end;
};
static inline int64_t fold_row_time(const struct fold_rows *rows, size_t i)
{
    return rows->time_ns != NULL ? rows->time_ns[i] : (int64_t)((uint64_t)rows->first_ns + rows->step_ns * i);
}
/* The first row from `from` on whose time is above `last_ns`; perhaps it is `guess`. */
size_t fold_rows_until(const struct fold_rows *rows, size_t from, int64_t last_ns, size_t guess);
AF_MUST_CHECK enum af_status fold_add_rows(struct fold_table *table, size_t column, uint32_t group, const struct fold_rows *rows,
                                           struct af_error *err);
int fold_compare(enum af_type type, uint64_t a, uint64_t b); /* numbers */
/* Values known by their statistics. Of MIN and MAX the time is not: they are left as they are, so fold_needs_values must have said no. */
void fold_add_stat(struct fold_table *table, size_t column, size_t cell, const struct af_tsm_stat *stat, int64_t min_ns, int64_t max_ns);
/* Could a value of these be a new minimum or maximum of the cell? */
bool fold_needs_values(const struct fold_table *table, size_t column, size_t cell, const struct af_tsm_stat *stat, int64_t min_ns);
/* One cell's values behind another's; for tables of the same shape. */
AF_MUST_CHECK enum af_status fold_merge_cell(struct fold_table *to, size_t to_cell, const struct fold_table *from, size_t from_cell,
                                             size_t column, struct af_error *err);

/* --- the scan ------------------------------------------------------------------------------------------------------------- */

struct fold_part {
    struct af_tsm_part *part;
    struct af_digest *digest;  /* a reference; NULL: none */
    uint16_t *column_of;       /* by the digest's number of the field; UINT16_MAX: not asked for */
};
struct fold_output {           /* a fold as it was asked for */
    enum af_fold_op op;
    size_t column;             /* SIZE_MAX: there is no such field */
    enum af_type type;
};
struct fold_worker;
struct fold {
    struct af_stream base;
    struct af_schema schema;
    struct scan_source source;
    struct af_arena arena;     /* of the scan */
    int64_t last_ns;           /* inclusive end of the range */
    struct fold_column *columns;
    size_t column_count;
    struct fold_output *outputs;
    size_t output_count;
    struct fold_shape shape;
    struct fold_part **parts;  /* by shard, as in the source */

    bool group_all;
    const struct af_slice *tags;
    size_t tag_count;
    struct af_slice *tag_values; /* by group */
    uint32_t *group_of;        /* by position in source.ids */
    size_t group_count;
    uint32_t *order;           /* positions: by group where that keeps tables small, else as they are */

    size_t cells;              /* with values, of all rounds so far */
    size_t next;               /* the next place in `order` that no round had */
    size_t groups_a_round;
    bool is_by_group;          /* the order is */
    double cost_a_series;      /* about, in decoded values */
    struct fold_table *result; /* of the round */
    size_t *sorted;            /* sparse: its cells in order */
    size_t sorted_cap;
    size_t given;              /* cells of the result (places in `sorted`) that are given out */

    struct {                   /* of threads, under lock, but for what is atomic */
        struct af_mutex lock;
        struct fold_worker *workers;
        unsigned worker_count;
        struct fold_table *spare;
        struct fold_table **done;  /* by stretch: waiting to be merged */
        size_t merged;             /* stretches before it are in the result */
        size_t first, end, stretches; /* places in `order` that are divided */
        _Atomic size_t next;
        atomic_bool has_failed;
        enum af_status status;
        struct af_error err;
    } work;
};

/* --- fold_series.c, fold_read.c ------------------------------------------------------------------------------------------- */

/* Where values of one column of a series lie. */
struct fold_piece {
    const struct fold_part *part;       /* NULL: `values` */
    const struct af_tsm_values *values;
    const struct af_tsm_block_ref *blocks; /* all of the entry */
    uint32_t block_count;
    uint32_t first, end;                /* those that touch the range */
    enum af_type type;
    bool overlaps;
    bool knows_stats;
    const struct digest_entry *entry;   /* NULL: no digest */
    const struct af_tsm_stat *stats;    /* of each block; NULL: none, or not asked for yet */
    uint64_t key;                       /* number in the file */
    const struct af_tsm_day *days;      /* without a digest */
    size_t day_count;
    const struct af_tsm_tomb *tombs;
    size_t tomb_count;
};
struct fold_pieces {
    struct fold_piece *list;
    size_t count, cap;
};
/* One thread's own. */
struct fold_worker {
    struct fold *fold;
    struct af_thread thread;
    struct fold_table *table;
    struct fold_pieces *pieces;  /* by column, of the series and shard at hand */
    struct scan_part **parts;    /* by shard: cursors, where a part has no digest; NULL until needed */
    uint32_t *sought;            /* by shard: series + 1 that the cursors were moved to last */
    struct af_buf key;
    struct af_arena arena;       /* of the worker */
    struct af_arena work;        /* of the series and shard at hand */
    struct af_arena block;       /* of the block at hand */
    struct af_tsm_ahead ahead;
    uint32_t group;              /* of the series at hand */
    int64_t start_ns, last_ns;   /* the range at hand, inclusive */
    enum af_status (*item)(struct fold_worker *worker, size_t item, struct af_error *err); /* what it does */
    size_t item_count;
};
/* What the series has in the shard, of the columns of this pass that are not `done` (a bit each), goes to the worker's table. Columns that
 * need nothing more become done. */
AF_MUST_CHECK enum af_status fold_series(struct fold_worker *worker, size_t shard, uint32_t id, enum fold_pass pass, uint64_t *done,
                                         struct af_error *err);
/* Of one column, what is in the worker's range. *out_some becomes true: there was something, or nothing that could matter any more. The
 * first: a piece that nothing overlaps and of which nothing is deleted. */
AF_MUST_CHECK enum af_status fold_piece(struct fold_worker *worker, size_t column, struct fold_piece *piece, bool *out_some,
                                        struct af_error *err);
/* An entry that is all in the range and in one window: its statistics one after the other. *out_done stays false: it is not so simple. */
AF_MUST_CHECK enum af_status fold_entry(struct fold_worker *worker, size_t column, const struct af_digest *digest,
                                        const struct digest_entry *entry, bool *out_done, struct af_error *err);
AF_MUST_CHECK enum af_status fold_block(struct fold_worker *worker, size_t column, struct fold_piece *piece, size_t block, bool *out_some,
                                        struct af_error *err);
AF_MUST_CHECK enum af_status fold_values(struct fold_worker *worker, size_t column, const struct af_tsm_values *values, bool *out_some,
                                         struct af_error *err);

/* --- fold_work.c ---------------------------------------------------------------------------------------------------------- */

AF_MUST_CHECK enum af_status fold_work_init(struct fold *fold, unsigned workers, struct af_error *err);
void fold_work_done(struct fold *fold);
/* Digests of the parts. */
AF_MUST_CHECK enum af_status fold_work_prepare(struct fold *fold, struct af_error *err);
/* The series at [first, end) of the order, into the result. */
AF_MUST_CHECK enum af_status fold_work_round(struct fold *fold, size_t first, size_t end, struct af_error *err);

/* --- fold.c --------------------------------------------------------------------------------------------------------------- */

/* The stream over a view (takes it, also on failure). */
AF_MUST_CHECK enum af_status fold_open(struct af_view *view, const struct af_scan *asked, struct af_stream **out, struct af_error *err);
#endif
