/*
 * scan_int.h - how SCAN works, in three files and this one.
 *
 *     series.c    which series there are, the groups they form, their tags as columns
 *     source.c    one scan of the store: its batches as rows of the node's schema, each row with the number of its series
 *     slices.c    several series in order of time, a stretch of time at a go; sort.c the order of a stretch
 *     bounds.c    from when to when groups have data, so that LIMIT and descending order need not look for it
 *     scan.c      the operator: which groups need sorting and which go straight through
 */
#ifndef AF_EXEC_SCAN_INT_H
#define AF_EXEC_SCAN_INT_H
#include "exec/exec_int.h"

/* --- series.c ------------------------------------------------------------------------------------------------------------------- */

struct series_group {
    const struct af_group_key *key;
    uint32_t first, count;               /* of series */
};
struct series_tag {
    struct af_dict *dict;                /* of all values */
    uint32_t *codes;                     /* by series */
    uint64_t *present;                   /* by series; NULL: a series without the tag has "" */
};
/* Numbered by group, in the order in which groups are given; in a group ascending by key. */
struct series_set {
    struct mem mem;
    struct af_slice *keys;
    uint32_t *group_of;
    size_t count;
    struct series_group *groups;
    size_t group_count;
    struct series_tag *tags;             /* by tag column of the scan */
    uint32_t *slots;                     /* of keys: number + 1, 0: free */
    size_t slot_mask;
};
/* From the store, counted against the limit. */
AF_MUST_CHECK enum af_status series_list(struct series_set *set, struct exec *exec, const struct af_node *node, struct af_error *err);
/* Without asking the store: one group, whose series nobody needs to know. */
AF_MUST_CHECK enum af_status series_unlisted(struct series_set *set, struct exec *exec, const struct af_node *node, struct af_error *err);
uint32_t series_find(const struct series_set *set, struct af_slice key); /* UINT32_MAX: not one of them */
void series_done(struct series_set *set);
/* A tag as a column: of rows of these series. */
AF_MUST_CHECK enum af_status series_tag_column(const struct series_set *set, size_t tag, const uint32_t *series, size_t rows,
                                               struct af_arena *arena, struct af_column *out, struct af_error *err);
/* The group that a folded scan names by a key: with `_measurement` and these tags. */
AF_MUST_CHECK const struct af_group_key *series_group_key(const char *measurement, const struct af_slice *group, size_t group_count,
                                                          struct af_slice series_key, struct af_arena *arena);
/* Series that match, as the store counts them, against the limit. Does nothing if nobody asks. */
AF_MUST_CHECK enum af_status series_count(struct exec *exec, const struct af_node *node, const struct af_plan_scan *scan,
                                          struct af_error *err);

/* --- source.c ------------------------------------------------------------------------------------------------------------------- */

struct piece {
    size_t rows;
    struct af_column *columns;           /* by the node's schema; those of tags only if they were asked for */
    const uint32_t *series;              /* number of each row's series; NULL: nobody knows */
    bool is_one_series;
};
struct source {
    struct exec *exec;
    const struct af_node *node;
    const struct series_set *set;        /* NULL: series are not told apart */
    struct af_stream *stream;            /* NULL: closed */
    size_t *columns;                     /* of the stream, by field; SIZE_MAX: it has none */
    bool is_lossy;                       /* a row may be left without any field */
    bool wants_tags;
    uint64_t dict_id;                    /* codes[] is of this dictionary */
    uint32_t *numbers;                   /* by its codes; UINT32_MAX: not looked up */
    size_t number_cap;
};
/* `list` NULL: all series that match `predicate`. [start_ns, last_ns], both included. */
AF_MUST_CHECK enum af_status source_open(struct source *source, struct exec *exec, const struct af_node *node, const struct series_set *set,
                                         const struct af_predicate *predicate, const struct af_slice *list, size_t list_count,
                                         int64_t start_ns, int64_t last_ns, struct af_error *err);
/* *out_end: no more. A piece may be empty. */
AF_MUST_CHECK enum af_status source_next(struct source *source, struct af_arena *arena, struct piece *out, bool *out_end,
                                         struct af_error *err);
void source_close(struct source *source);
/* A column with another type: numbers become the number, all else null. */
AF_MUST_CHECK enum af_status column_cast(const struct af_column *column, enum af_type type, size_t rows, struct af_arena *arena,
                                         struct af_column *out, struct af_error *err);

/* --- slices.c ------------------------------------------------------------------------------------------------------------------- */

/* What is known of a group's data before it is read. */
struct bounds {
    int64_t first_ns, last_ns;           /* of all its points */
    uint64_t rows;                       /* about as many; 0: none */
};
struct slices {
    struct exec *exec;
    const struct af_node *node;
    const struct series_set *set;
    const struct series_group *group;
    const struct af_predicate *predicate; /* of the group, where the store takes no list */
    bool is_listed;                      /* the store takes a list */
    int64_t first_ns, last_ns;           /* what is left to be read, both included */
    bool is_read;                        /* nothing is left */
    uint64_t step;                       /* width of the next slice, less one */
    int64_t seen_first_ns, seen_last_ns; /* where data was seen when a slice had been too wide */
    bool has_seen;
    unsigned given_up;                   /* slices that were too wide since the last one with rows */
    bool is_searching;                   /* halving */
    bool has_asked;
    struct bounds *bounds;               /* by group; NULL: unknown */
    struct mem bounds_mem;
    uint64_t rows_most, rows_aim;        /* of a slice; of one of this group */
    struct mem mem;                      /* columns of the slice */
    struct mem order_mem;                /* its order */
    struct mem piece_mem;
    struct grower *columns;              /* time and fields; NULL: not made yet */
    uint32_t *series;                    /* by row */
    size_t series_cap;
    size_t rows, at;                     /* read; given */
    uint32_t *order;                     /* rows as they are to be given */
};
void slices_init(struct slices *slices, struct exec *exec, const struct af_node *node, const struct series_set *set, uint64_t rows_most);
AF_MUST_CHECK enum af_status slices_ask(struct slices *slices, struct af_error *err);
void slices_begin(struct slices *slices, const struct series_group *group, const struct af_predicate *predicate);
/* Rows in order: in `arena`; *out NULL: the group is over. */
AF_MUST_CHECK enum af_status slices_next(struct slices *slices, const struct op *op, struct af_arena *arena, const struct af_table **out,
                                         struct af_error *err);
void slices_done(struct slices *slices);

/* --- bounds.c: of every group, in one folded scan. *out in `arena`; NULL: the store cannot say ------------------------------------- */
AF_MUST_CHECK enum af_status bounds_find(struct exec *exec, const struct af_node *node, const struct series_set *set,
                                         struct af_arena *arena, struct bounds **out, struct af_error *err);

/* sort.c: rows by time, of equal times by series, of equal series as they are. `series` NULL: one. *out in `arena`. */
AF_MUST_CHECK enum af_status sort_rows(const int64_t *time_ns, const uint32_t *series, size_t rows, bool descending, struct af_arena *arena,
                                       uint32_t **out, struct af_error *err);
#endif
