/*
 * v1_statement.h - InfluxQL's statements of management, read; see v1_statement.c. What asks for data (SELECT, EXPLAIN ...) is V1_OTHER.
 */
#ifndef AF_SERVER_V1_STATEMENT_H
#define AF_SERVER_V1_STATEMENT_H
#include "base/arena.h"
#include "data/predicate.h"

enum v1_kind {
    V1_OTHER,
    V1_CREATE_DATABASE, V1_DROP_DATABASE, V1_SHOW_DATABASES,
    V1_CREATE_POLICY, V1_ALTER_POLICY, V1_DROP_POLICY, V1_SHOW_POLICIES,
    V1_CREATE_USER, V1_DROP_USER, V1_SET_PASSWORD, V1_SHOW_USERS,
    V1_GRANT, V1_GRANT_ADMIN, V1_REVOKE, V1_REVOKE_ADMIN, V1_SHOW_GRANTS,
    V1_DELETE, V1_DROP_SERIES, V1_DROP_MEASUREMENT,
    V1_SHOW_MEASUREMENTS, V1_SHOW_TAG_KEYS, V1_SHOW_TAG_VALUES, V1_SHOW_FIELD_KEYS, V1_SHOW_SERIES,
    V1_SHOW_CONTINUOUS_QUERIES, V1_SHOW_SUBSCRIPTIONS, V1_SHOW_QUERIES, V1_SHOW_STATS, V1_SHOW_DIAGNOSTICS,
};

struct v1_source {              /* FROM [[db.]rp.]measurement */
    const char *database, *policy; /* NULL: not said */
    const char *measurement;
    struct v1_source *next;
};
struct v1_key {                 /* a name of WITH KEY, or of a tag in WHERE */
    const char *name;
    struct v1_key *next;
};
struct v1_statement {
    enum v1_kind kind;
    struct af_slice text;       /* as it was written, trimmed */
    const char *name;           /* of what is made, changed or dropped; of V1_OTHER: its first word */
    const char *database;       /* ON db; NULL: not said */
    const char *policy;         /* CREATE DATABASE ... NAME */
    const char *user, *password;
    bool is_admin;              /* WITH ALL PRIVILEGES */
    int grant;                  /* enum af_grant */
    bool has_duration, has_shard, is_default, has_options;
    int64_t duration_ns, shard_ns; /* 0: for ever, chosen */
    struct v1_source *sources;
    struct v1_key *keys;        /* WITH KEY; WITH MEASUREMENT = has one */
    bool is_not;                /* WITH KEY != */
    const struct af_predicate *predicate; /* NULL: all series */
    struct v1_key *tags;        /* that the predicate names */
    bool has_where, has_time;
    int64_t start_ns, stop_ns;  /* [start, stop); stop INT64_MAX: with it */
    uint64_t limit, offset;     /* 0: not said */
    struct v1_statement *next;
};

/* AF_EINVAL: InfluxDB's own words, place included. No statement at all: *out is NULL. `now_ns` is now(). */
AF_MUST_CHECK enum af_status v1_statements_parse(struct af_slice text, int64_t now_ns, struct af_arena *arena, struct v1_statement **out,
                                                 struct af_error *err);
#endif
