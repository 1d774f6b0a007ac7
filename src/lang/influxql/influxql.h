/*
 * influxql.h - InfluxQL as of InfluxDB 1.8: text to statements, statements to text, SELECT to a plan.
 *
 *     text --parse--> statements (ast below) --print--> text that parses to the same
 *                         | SELECT
 *                         '--lower--> plan (plan/plan.h)       catalogue and now() are arguments
 *
 * Words of errors are InfluxDB's: "error parsing query: found FOO, expected SELECT, ... at line 1, char 1". What each statement means and
 * where we differ: docs/influxql.md.
 */
#ifndef AF_LANG_INFLUXQL_H
#define AF_LANG_INFLUXQL_H
#include "base/regex.h"
#include "plan/plan.h"

/* --- expressions ----------------------------------------------------------------------------------------------------------------- */

enum af_ql_expr_kind {
    AF_QL_REF, AF_QL_CALL, AF_QL_BINARY, AF_QL_PAREN, AF_QL_WILDCARD, AF_QL_DISTINCT,
    AF_QL_NUMBER, AF_QL_INTEGER, AF_QL_UNSIGNED, AF_QL_STRING, AF_QL_BOOLEAN, AF_QL_DURATION, AF_QL_TIME, AF_QL_REGEX, AF_QL_LIST,
    AF_QL_NIL,
};
enum af_ql_op {
    AF_QL_ADD, AF_QL_SUB, AF_QL_MUL, AF_QL_DIV, AF_QL_MOD, AF_QL_BIT_AND, AF_QL_BIT_OR, AF_QL_BIT_XOR,
    AF_QL_AND, AF_QL_OR, AF_QL_EQ, AF_QL_NEQ, AF_QL_EQREGEX, AF_QL_NEQREGEX, AF_QL_LT, AF_QL_LTE, AF_QL_GT, AF_QL_GTE,
};
/* ::float and so on; of wildcards ::field and ::tag too. */
enum af_ql_cast {
    AF_QL_CAST_NONE, AF_QL_CAST_FLOAT, AF_QL_CAST_INTEGER, AF_QL_CAST_UNSIGNED, AF_QL_CAST_STRING, AF_QL_CAST_BOOLEAN, AF_QL_CAST_FIELD,
    AF_QL_CAST_TAG, AF_QL_CAST_TIME,
};
struct af_ql_expr {
    enum af_ql_expr_kind kind;
    const char *name;                   /* REF, CALL (lower case), DISTINCT (the field's); STRING: the text (may hold NUL: use text) */
    struct af_slice text;               /* STRING; REGEX: the pattern without slashes */
    enum af_ql_cast cast;               /* REF, WILDCARD */
    enum af_ql_op op;                   /* BINARY */
    struct af_ql_expr *left, *right;    /* BINARY; PAREN: left */
    struct af_ql_expr **args;           /* CALL, LIST */
    size_t arg_count;
    union {
        double number;                  /* NUMBER */
        int64_t integer;                /* INTEGER, DURATION (ns), TIME (ns) */
        uint64_t unsigned_integer;
        bool boolean;
    };
    struct af_regex *regex;             /* REGEX; freed with the arena */
    int32_t era;                        /* TIME, only while folding: the instant is era * 2^64 + integer */
    uint32_t height;                    /* of the tree from here, at most AF_QUERY_DEPTH_MAX: recursion is safe. Chains of AND and of OR are
                                         * built balanced (they print the same) */
};

/* --- statements ------------------------------------------------------------------------------------------------------------------ */

struct af_ql_select;
struct af_ql_source {                   /* one of a FROM list */
    const char *database, *policy;      /* NULL: not said */
    const char *name;                   /* NULL: a regex or a subquery */
    struct af_ql_expr *regex;           /* REGEX */
    struct af_ql_select *subquery;
    bool is_target_backref;             /* INTO db.rp.:MEASUREMENT */
};
struct af_ql_field {
    struct af_ql_expr *expr;
    const char *alias;                  /* NULL: none */
};
enum af_ql_fill { AF_QL_FILL_NULL, AF_QL_FILL_NONE, AF_QL_FILL_NUMBER, AF_QL_FILL_PREVIOUS, AF_QL_FILL_LINEAR };
struct af_ql_sort {
    const char *name;                   /* NULL: time */
    bool descending;
};
struct af_ql_select {
    struct af_ql_field *fields;
    size_t field_count;
    struct af_ql_source *target;        /* INTO; NULL: none */
    struct af_ql_source *sources;
    size_t source_count;
    struct af_ql_expr *condition;       /* WHERE; NULL: none */
    struct af_ql_expr **dimensions;     /* GROUP BY: REF, WILDCARD, REGEX, CALL time() */
    size_t dimension_count;
    enum af_ql_fill fill;
    bool has_fill;                      /* fill() was written */
    struct af_ql_expr *fill_value;      /* NUMBER or INTEGER */
    struct af_ql_sort *sorts;
    size_t sort_count;
    int64_t limit, offset, slimit, soffset; /* 0: not said */
    const char *zone_name;              /* tz(); NULL: none */
    struct af_zone zone;
};

enum af_ql_kind {
    AF_QL_SELECT, AF_QL_EXPLAIN, AF_QL_EXPLAIN_ANALYZE,
    AF_QL_DELETE, AF_QL_DROP_SERIES, AF_QL_DROP_MEASUREMENT, AF_QL_DROP_SHARD,
    AF_QL_CREATE_DATABASE, AF_QL_DROP_DATABASE,
    AF_QL_CREATE_POLICY, AF_QL_ALTER_POLICY, AF_QL_DROP_POLICY,
    AF_QL_CREATE_USER, AF_QL_DROP_USER, AF_QL_SET_PASSWORD, AF_QL_GRANT, AF_QL_GRANT_ADMIN, AF_QL_REVOKE, AF_QL_REVOKE_ADMIN,
    AF_QL_CREATE_CQ, AF_QL_DROP_CQ, AF_QL_CREATE_SUBSCRIPTION, AF_QL_DROP_SUBSCRIPTION, AF_QL_KILL_QUERY,
    AF_QL_SHOW_DATABASES, AF_QL_SHOW_POLICIES, AF_QL_SHOW_MEASUREMENTS, AF_QL_SHOW_SERIES, AF_QL_SHOW_TAG_KEYS, AF_QL_SHOW_TAG_VALUES,
    AF_QL_SHOW_FIELD_KEYS, AF_QL_SHOW_USERS, AF_QL_SHOW_GRANTS, AF_QL_SHOW_CQS, AF_QL_SHOW_SUBSCRIPTIONS, AF_QL_SHOW_QUERIES,
    AF_QL_SHOW_SHARDS, AF_QL_SHOW_SHARD_GROUPS, AF_QL_SHOW_STATS, AF_QL_SHOW_DIAGNOSTICS,
    AF_QL_SHOW_SERIES_CARDINALITY, AF_QL_SHOW_MEASUREMENT_CARDINALITY, AF_QL_SHOW_TAG_KEY_CARDINALITY, AF_QL_SHOW_TAG_VALUES_CARDINALITY,
    AF_QL_SHOW_FIELD_KEY_CARDINALITY,
};
enum af_ql_privilege { AF_QL_NO_PRIVILEGE, AF_QL_READ, AF_QL_WRITE, AF_QL_ALL };
/* One statement; which fields count is said by its kind. Names are unescaped, as a human reads them. */
struct af_ql_statement {
    enum af_ql_kind kind;
    struct af_slice text;               /* as it was written, trimmed, without the semicolon */
    struct af_ql_select *select;        /* SELECT, EXPLAIN; CREATE_CQ: its query */
    const char *name;                   /* what is made, changed, dropped, shown FOR; measurement of DROP MEASUREMENT; SHOW STATS FOR;
                                         * of a user: also `user` */
    const char *database;               /* ON db; NULL: not said */
    const char *policy;                 /* CREATE DATABASE ... NAME; subscriptions */
    const char *user, *password;
    enum af_ql_privilege privilege;
    bool is_admin;                      /* WITH ALL PRIVILEGES */
    bool is_exact;                      /* ... EXACT CARDINALITY */
    bool has_options;                   /* CREATE DATABASE ... WITH */
    bool has_duration, has_shard, has_replication, is_default;
    int64_t duration_ns, shard_ns;      /* 0: for ever, chosen */
    int64_t replication;
    struct af_ql_source *sources;       /* FROM; SHOW MEASUREMENTS WITH MEASUREMENT: one */
    size_t source_count;
    bool is_measurement_not;            /* WITH MEASUREMENT != or !~ */
    enum af_ql_op key_op;               /* WITH KEY: EQ NEQ EQREGEX NEQREGEX; a list (IN) is EQ */
    struct af_ql_expr *key;             /* STRING, LIST of STRING, REGEX; NULL: no WITH KEY */
    struct af_ql_expr *condition;
    struct af_ql_expr **dimensions;     /* ... CARDINALITY GROUP BY */
    size_t dimension_count;
    struct af_ql_sort *sorts;
    size_t sort_count;
    int64_t limit, offset, slimit, soffset;
    uint64_t id;                        /* KILL QUERY, DROP SHARD */
    const char *host;                   /* KILL QUERY ON */
    int64_t every_ns, for_ns;           /* CREATE_CQ RESAMPLE; 0: not said */
    bool is_all;                        /* subscriptions: DESTINATIONS ALL, else ANY */
    const char *const *destinations;
    size_t destination_count;
    struct af_ql_statement *next;
};

struct af_json;
/* A bind parameter's value, as `params` of a request gives it; NULL value: no such one. */
struct af_ql_params {
    void *ctx;
    /* A literal for $name, made in `arena`; *out NULL: missing. AF_EINVAL: a value that cannot be bound. */
    enum af_status (*get)(void *ctx, const char *name, struct af_arena *arena, struct af_ql_expr **out, struct af_error *err);
};
/* Every statement of the text; *out NULL when there is none. `params` may be NULL. AF_EINVAL: InfluxDB's words without "error parsing
 * query: ", line and column in `err` too. AF_ELIMIT: too deep (AF_QUERY_DEPTH_MAX), too many statements. */
AF_MUST_CHECK enum af_status af_ql_parse(struct af_slice text, const struct af_ql_params *params, struct af_arena *arena,
                                         struct af_ql_statement **out, struct af_error *err);
/* One expression, the whole text: conditions of the 2.x delete API, tests. */
AF_MUST_CHECK enum af_status af_ql_parse_expr(struct af_slice text, struct af_arena *arena, struct af_ql_expr **out, struct af_error *err);
/* 1h30m, 10u, -5m in ns. AF_EINVAL: "invalid duration", "overflowed duration ...". For parameters and configuration. */
AF_MUST_CHECK enum af_status af_ql_duration_parse(struct af_slice text, int64_t *out_ns, struct af_error *err);
/* As InfluxDB prints it (String()); passwords are [REDACTED]. Where InfluxDB's text would not parse again (DISTINCT "a b", functions with
 * odd names), names are quoted. */
void af_ql_print(struct af_buf *out, const struct af_ql_statement *statement);
void af_ql_print_expr(struct af_buf *out, const struct af_ql_expr *expr);
void af_ql_print_select(struct af_buf *out, const struct af_ql_select *select);
void af_ql_print_name(struct af_buf *out, const char *name);      /* quoted if it must be */
void af_ql_print_duration(struct af_buf *out, int64_t ns);        /* 90m as InfluxQL writes durations: one unit */

/* --- names and conditions -------------------------------------------------------------------------------------------------------- */

/* Constants computed, as InfluxDB's Reduce: `now_ns` NULL: now() stays. Nodes that nothing changes are shared. */
AF_MUST_CHECK enum af_status af_ql_reduce(const struct af_ql_expr *expr, const int64_t *now_ns, const struct af_zone *zone,
                                          struct af_arena *arena, struct af_ql_expr **out, struct af_error *err);

/* WHERE taken apart: the time range, and the rest without time (NULL: nothing is left). `zone` may be NULL. What lies one past int64
 * wraps, as in InfluxDB; times in the rest are cut. */
struct af_ql_range {
    int64_t start_ns, stop_ns;          /* [start, stop); INT64_MIN and INT64_MAX: not said */
};
AF_MUST_CHECK enum af_status af_ql_split_time(const struct af_ql_expr *condition, int64_t now_ns, const struct af_zone *zone,
                                              struct af_arena *arena, struct af_ql_range *out_range, struct af_ql_expr **out_rest,
                                              struct af_error *err);
/* The rest as a predicate of tags, for DELETE and DROP SERIES; NULL: all series. Every name is a tag here: whether one is a field is the
 * caller's to see. AF_EINVAL, in InfluxDB's words: a comparison that no tag can answer (value > 1, value::field = 'a'). */
AF_MUST_CHECK enum af_status af_ql_predicate(const struct af_ql_expr *condition, struct af_arena *arena, const struct af_predicate **out,
                                             struct af_error *err);
/* The same for SHOW, where InfluxDB lets comparisons with fields hold for every series. `is_field` NULL: only what cannot be a tag. */
AF_MUST_CHECK enum af_status af_ql_predicate_of_tags(const struct af_ql_expr *condition, bool (*is_field)(void *ctx, const char *name),
                                                     void *ctx, struct af_arena *arena, const struct af_predicate **out,
                                                     struct af_error *err);

/* --- lowering -------------------------------------------------------------------------------------------------------------------- */

struct af_ql_lower_options {
    const struct af_catalog *catalog;
    const char *database, *policy;      /* where names without one are; may be NULL */
    int64_t now_ns;
    uint64_t series_max, windows_max;   /* max-select-series, max-select-buckets; 0: none */
};
/* What the root gives: columns time (unless omitted) and the fields, named as InfluxDB names its columns (repeated names made unique with
 * _1, _2); key parts: measurement and GROUP BY tags. */
struct af_ql_lowered {
    bool has_interval;                  /* GROUP BY time() */
    struct af_zone zone;                /* times are to be printed in it */
    bool omits_time;
    struct af_ql_range range;           /* that was read */
    const char *const *columns;         /* names, time included */
    size_t column_count;
};
/* Checks the statement as InfluxDB's compiler does, in its words, then builds plan->root. INTO is the caller's business. */
AF_MUST_CHECK enum af_status af_ql_lower(const struct af_ql_select *select, const struct af_ql_lower_options *options, struct af_plan *plan,
                                         struct af_ql_lowered *out, struct af_error *err);
#endif
