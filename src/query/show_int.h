/*
 * show_int.h - a SHOW at work: what its lists (show.c), its counts (show_count.c) and its conditions (show_where.c) share.
 */
#ifndef AF_QUERY_SHOW_INT_H
#define AF_QUERY_SHOW_INT_H
#include "query/query_int.h"

struct show {
    struct query *query;
    const struct af_ql_statement *st;
    const char *database;
    struct query_stores stores;          /* all that the statement looks at */
    const struct af_ql_expr *condition;  /* without time; NULL: none */
    struct af_ql_range range;
    struct af_made *made;
};

/* --- show.c --------------------------------------------------------------------------------------------------------------------------- */

/* What all stores list, sorted, each once. */
AF_MUST_CHECK enum af_status show_names(struct show *show, enum af_listing what, const char *measurement, const char *tag,
                                        const struct af_predicate *predicate, struct query_names *out, struct af_error *err);
/* Those that FROM or WITH MEASUREMENT name. */
AF_MUST_CHECK enum af_status show_measurements_named(struct show *show, struct query_names *out, struct af_error *err);
/* Does WITH KEY ask for it? */
AF_MUST_CHECK enum af_status show_is_asked_key(const struct af_ql_statement *st, struct af_slice key, bool *out, struct af_error *err);

/* --- show_count.c --------------------------------------------------------------------------------------------------------------------- */

/* ... CARDINALITY */
bool show_is_count(const struct af_ql_statement *st);
bool show_is_estimation(const struct af_ql_statement *st);
AF_MUST_CHECK enum af_status show_counts(struct show *show, struct af_error *err);

/* --- show_where.c --------------------------------------------------------------------------------------------------------------------- */

/* SHOW MEASUREMENTS: the condition is asked of each measurement as a whole. */
AF_MUST_CHECK enum af_status show_where_measurement(struct show *show, struct af_slice measurement, bool *out, struct af_error *err);
/* What it says of the name of a measurement, the key and the value of a tag; the rest of it holds. */
AF_MUST_CHECK enum af_status show_where_name(struct show *show, struct af_slice measurement, bool *out, struct af_error *err);
AF_MUST_CHECK enum af_status show_where_key(struct show *show, struct af_slice key, bool *out, struct af_error *err);
AF_MUST_CHECK enum af_status show_where_value(struct show *show, struct af_slice value, bool *out, struct af_error *err);
/* Which series of the measurement; *out NULL: all of them. */
AF_MUST_CHECK enum af_status show_where_series(struct show *show, struct af_slice measurement, const struct af_predicate **out,
                                               struct af_error *err);
#endif
