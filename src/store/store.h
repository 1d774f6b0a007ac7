/*
 * store.h - THE SEAM: where points are kept. Fillings: memory.c here (the reference), remote/ (an InfluxDB over HTTP), tsm/
 * (our engine).
 *
 * Points cross it towards the store as line protocol, the one text that the spool, the dead letters, the wire and people share, and
 * come back as batches. docs/decisions/0003-the-seam.md says why.
 *
 * Threads: a store may be called from several threads at once; each call uses at most one connection.
 */
#ifndef AF_STORE_STORE_H
#define AF_STORE_STORE_H
#include "data/predicate.h"
#include "data/stream.h"
#include "data/window.h"

struct af_store;

/* What became of a write that the store answered (the call itself returned AF_OK). */
enum af_write_verdict {
    AF_WRITE_DONE,      /* every line is kept */
    AF_WRITE_BAD_LINES, /* some lines are refused; the others are kept or not (`others_kept`). The caller splits to find them */
    AF_WRITE_TOO_LARGE, /* nothing is kept: send fewer bytes */
};
struct af_write_answer {
    enum af_write_verdict verdict;
    bool others_kept;     /* BAD_LINES: the good lines of the request were written */
    uint64_t dropped;     /* BAD_LINES: how many the store said it refused; 0: it did not say */
    uint64_t bytes_sent;  /* after compression */
    char reason[512];     /* BAD_LINES, TOO_LARGE: the store's words */
};
struct af_write {
    struct af_slice lines;       /* whole lines with newlines, times in `precision_ns` units */
    size_t line_count;
    int64_t precision_ns;        /* 1, 1000, 1000000, 1000000000 */
    const bool *cancel;          /* may be NULL */
};

/*
 * Values folded into one, where they are kept. Equal times and values never leave two answers:
 *     MIN MAX       the earliest of equal ones
 *     FIRST LAST    of several series at the same time the larger value (false < true, text bytewise)
 * Numbers only for SUM; MIN and MAX not for text. Sums of integers wrap; floats are added in any order. Type: COUNT I64, others the
 * field's.
 */
enum af_fold_op { AF_FOLD_COUNT, AF_FOLD_SUM, AF_FOLD_MIN, AF_FOLD_MAX, AF_FOLD_FIRST, AF_FOLD_LAST };
struct af_fold {
    enum af_fold_op op;
    const char *field;
};

/* Rows whose time is in [start_ns, stop_ns). stop_ns INT64_MAX includes it. */
struct af_scan {
    const char *measurement;
    int64_t start_ns;
    int64_t stop_ns;
    const char *const *fields;   /* NULL: all */
    size_t field_count;
    const struct af_predicate *predicate; /* which series; NULL: all */
    const struct af_slice *series; /* keys: only these, in this order; NULL: all that match `predicate`. Together: both must hold */
    size_t series_count;
    const char *tag;             /* AF_LIST_TAG_VALUES: of this tag */
    const bool *cancel;
    /* Push-down, for stores with AF_STORE_CAN_FOLD; see "What a folded scan gives". */
    const struct af_fold *folds;
    size_t fold_count;           /* 0: rows. Otherwise `fields` must be NULL */
    struct af_window window;     /* all zero: the whole range is one window */
    const struct af_slice *group; /* names of tags, ascending: series that are equal in them are folded into one group */
    size_t group_count;
    bool group_all;              /* every series is a group of its own */
    size_t groups_max;           /* more groups times windows with values are AF_ELIMIT; 0: no limit */
    unsigned workers;            /* threads that may work on it; 0: one for each processor */
};
enum af_store_caps {
    AF_STORE_CAN_FOLD = 1,
    AF_STORE_CAN_SERIES = 2,     /* scan->series */
};

enum af_listing {
    AF_LIST_MEASUREMENTS, /* column name (string) */
    AF_LIST_FIELDS,       /* of scan->measurement: columns name, type ("float" "integer" "unsigned" "boolean" "string") */
    AF_LIST_BUCKETS,      /* columns name, retention_s (i64, 0: for ever) */
    AF_LIST_TAG_KEYS,     /* of scan->measurement: column name (string) */
    AF_LIST_TAG_VALUES,   /* of scan->measurement and scan->tag: column name (string) */
    AF_LIST_SERIES,       /* of scan->measurement (NULL: all): column name (string), series keys in the escaped form */
    AF_LIST_COUNTS,       /* how many there are that match, of scan->measurement (NULL: all): columns name ("measurements", "series"),
                           * count (i64) */
};

/*
 * What a scan gives: batches with the columns
 *     series  STRING, dictionary-coded: the series key in line protocol's own escaped form, tags ascending (data/points.h)
 *     time    TIME
 *     then one column a field, typed as stored (F64 I64 U64 BOOL STRING); a row has at least one non-null field.
 * Rows of a series are contiguous within the scan's order when the store can (embedded), not always (remote); times ascend in a
 * series. The field columns are fixed when the scan starts.
 *
 * What a folded scan gives: rows of groups, those of a group contiguous, groups ascending by the values of their tags
 * (af_group_key_compare),
 * windows ascending in a group; only windows that have a value. Columns
 *     series  STRING, dictionary-coded: the group as a series key: measurement and the grouped tags in their order, those without a value
 *             left out (group_all: the series' own key, in the order that a scan of rows has)
 *     time    TIME: start of the window; without windows start_ns
 *     then for each fold two: its value (null: no value of that field there) named after its number ("0", "1", ...), and of MIN MAX FIRST
 *     LAST
 *     the time of the point that has it ("0.time"; of COUNT and SUM all null).
 */
struct af_store_ops {
    const char *name;
    /* Failures: AF_EIO AF_EBUSY AF_EFULL AF_ENOMEM may be tried again (err->retry_after_ms), all others not. After a
     * failure any part of the lines may have been kept: writing again is harmless, the same point overwrites itself. */
    enum af_status (*write)(struct af_store *store, const struct af_write *write, struct af_write_answer *out,
                            struct af_error *err);
    enum af_status (*scan)(struct af_store *store, const struct af_scan *scan, struct af_stream **out, struct af_error *err);
    enum af_status (*list)(struct af_store *store, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                           struct af_error *err);
    /* Delete the points of [start_ns, stop_ns) in `scan->measurement` (NULL: all measurements) whose series match `scan->predicate`, all
     * their fields (scan->fields must be NULL). Done when it returns: no later scan sees them. */
    enum af_status (*erase)(struct af_store *store, const struct af_scan *scan, struct af_error *err);
    /* Make the bucket if it is not there (retention for ever). */
    enum af_status (*create)(struct af_store *store, struct af_error *err);
    /* Is it there and well? AF_OK or why not. */
    enum af_status (*ping)(struct af_store *store, char *out_version, size_t version_cap, struct af_error *err);
    void (*close)(struct af_store *store);
};
struct af_store {
    const struct af_store_ops *ops;
    const char *name;   /* for messages: URL and bucket, no secrets */
    uint32_t caps;      /* enum af_store_caps; decorators have those of the store inside */
};

AF_MUST_CHECK static inline enum af_status af_store_write(struct af_store *store, const struct af_write *write,
                                                          struct af_write_answer *out, struct af_error *err)
{
    return store->ops->write(store, write, out, err);
}
AF_MUST_CHECK static inline enum af_status af_store_scan(struct af_store *store, const struct af_scan *scan,
                                                         struct af_stream **out, struct af_error *err)
{
    return store->ops->scan(store, scan, out, err);
}
AF_MUST_CHECK static inline enum af_status af_store_list(struct af_store *store, enum af_listing what, const struct af_scan *scan,
                                                         struct af_stream **out, struct af_error *err)
{
    return store->ops->list(store, what, scan, out, err);
}
AF_MUST_CHECK static inline enum af_status af_store_erase(struct af_store *store, const struct af_scan *scan, struct af_error *err)
{
    return store->ops->erase(store, scan, err);
}
AF_MUST_CHECK static inline enum af_status af_store_create(struct af_store *store, struct af_error *err)
{
    return store->ops->create(store, err);
}
AF_MUST_CHECK static inline enum af_status af_store_ping(struct af_store *store, char *out_version, size_t version_cap,
                                                         struct af_error *err)
{
    return store->ops->ping(store, out_version, version_cap, err);
}
static inline void af_store_close(struct af_store *store)
{
    if (store != NULL)
        store->ops->close(store);
}
#endif
