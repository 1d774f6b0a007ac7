/*
 * meta.h - who and what there is: organisations, buckets, users, tokens, 1.x databases (DBRP), in one SQLite file.
 *
 * Secrets are kept as hashes only: tokens (random, 64 bytes) as SHA-256, passwords by crypt(3) with yescrypt. Ids are InfluxDB's: 64
 * bits, not zero, 16 hex digits in text. Every change is one transaction, durable when the call returns (synchronous=FULL, WAL mode). A
 * file of a newer version is refused; older ones are brought forward in one transaction.
 *
 * Threads: any; one connection under a lock, and principals cached (a change forgets them). Results live in the caller's arena.
 */
#ifndef AF_META_META_H
#define AF_META_META_H
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

struct af_meta;
AF_MUST_CHECK enum af_status af_meta_open(const char *path, struct af_meta **out, struct af_error *err);
void af_meta_close(struct af_meta *meta);

enum { AF_ID_TEXT_BYTES = 17 };
void af_id_print(uint64_t id, char out[AF_ID_TEXT_BYTES]);
AF_MUST_CHECK bool af_id_parse(const char *text, uint64_t *out); /* exactly 16 hex digits, not zero */

/* --- organisations, buckets ------------------------------------------------------------------------------------------------- */

struct af_meta_org {
    uint64_t id;
    const char *name, *description;
    int64_t created_ns, updated_ns;
};
struct af_meta_bucket {
    uint64_t id, org;
    const char *name, *description;
    int64_t retention_ns;      /* 0: for ever */
    int64_t shard_ns;          /* never 0 */
    bool is_system;            /* _monitoring, _tasks */
    int64_t created_ns, updated_ns;
};
/* Lists: all that fits the filter, by name; `after` and `limit` page (limit 0: all). */
struct af_meta_filter {
    uint64_t id;               /* 0: any */
    uint64_t org;              /* 0: any */
    const char *name;          /* NULL: any */
    uint64_t user;             /* of tokens */
    uint64_t after;            /* id */
    size_t offset, limit;
    bool is_descending;
};
/* `id` 0 is chosen, and written back. Names: 1..AF_SERVER_NAME_BYTES_MAX bytes of UTF-8, unique in their org (ECONFLICT, with InfluxDB's
 * words). */
AF_MUST_CHECK enum af_status af_meta_org_put(struct af_meta *meta, struct af_meta_org *org, bool is_new, struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_orgs(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena,
                                          struct af_meta_org **out, size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_org_drop(struct af_meta *meta, uint64_t id, struct af_error *err); /* with all in it */
AF_MUST_CHECK enum af_status af_meta_bucket_put(struct af_meta *meta, struct af_meta_bucket *bucket, bool is_new, struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_buckets(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena,
                                             struct af_meta_bucket **out, size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_bucket_drop(struct af_meta *meta, uint64_t id, struct af_error *err); /* with its DBRPs */
/* Ids of buckets that were dropped here, alone or with their organisation, and not since: who keeps their points drops them too, then says
 * so. A crash between the two halves of a drop leaves them in the list. */
AF_MUST_CHECK enum af_status af_meta_dropped(struct af_meta *meta, struct af_arena *arena, uint64_t **out, size_t *out_count,
                                             struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_dropped_done(struct af_meta *meta, uint64_t id, struct af_error *err);
/* By name or 16 hex digits, as InfluxDB's parameters are. AF_ENOTFOUND. */
AF_MUST_CHECK enum af_status af_meta_org_find(struct af_meta *meta, const char *name_or_id, struct af_arena *arena,
                                              struct af_meta_org *out, struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_bucket_find(struct af_meta *meta, uint64_t org, const char *name_or_id, struct af_arena *arena,
                                                 struct af_meta_bucket *out, struct af_error *err);

/* --- 1.x databases and retention policies ------------------------------------------------------------------------------------------ */

struct af_meta_dbrp {
    uint64_t id, org, bucket;
    const char *database, *policy;
    bool is_default;
    bool is_virtual;           /* not stored: a bucket named `db/rp`, or `db` with policy autogen, stands for itself */
};
AF_MUST_CHECK enum af_status af_meta_dbrp_put(struct af_meta *meta, struct af_meta_dbrp *dbrp, bool is_new, struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_dbrps(struct af_meta *meta, uint64_t org, const char *database, struct af_arena *arena,
                                           struct af_meta_dbrp **out, size_t *out_count, struct af_error *err); /* stored, then virtual */
AF_MUST_CHECK enum af_status af_meta_dbrp_drop(struct af_meta *meta, uint64_t id, struct af_error *err);
/* Where db and rp (NULL or "": the default one) lead. AF_ENOTFOUND. */
AF_MUST_CHECK enum af_status af_meta_dbrp_find(struct af_meta *meta, uint64_t org, const char *database, const char *policy,
                                               struct af_arena *arena, struct af_meta_bucket *out, struct af_error *err);

/* What goes on by itself: 1.x's continuous queries, and subscriptions to what is written. They go with their database or policy. */
struct af_meta_continuous {
    uint64_t id, org;
    const char *database, *name;
    const char *query;         /* the statement that made it */
    int64_t created_ns;
};
/* One more; the same once more is fine. AF_ECONFLICT: another one has the name. `id` is written back. */
AF_MUST_CHECK enum af_status af_meta_continuous_add(struct af_meta *meta, struct af_meta_continuous *query, struct af_error *err);
/* Of an organisation (0: all) and a database (NULL: all), by age. */
AF_MUST_CHECK enum af_status af_meta_continuous_list(struct af_meta *meta, uint64_t org, const char *database, struct af_arena *arena,
                                                     struct af_meta_continuous **out, size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_continuous_drop(struct af_meta *meta, uint64_t org, const char *database, const char *name,
                                                     struct af_error *err); /* none is fine */
struct af_meta_subscription {
    uint64_t id, org;
    const char *database, *policy, *name;
    bool is_all;               /* every destination gets everything; else they take turns */
    const char *const *destinations; /* URLs */
    size_t destination_count;
    int64_t created_ns;
};
AF_MUST_CHECK enum af_status af_meta_subscription_add(struct af_meta *meta, struct af_meta_subscription *subscription,
                                                      struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_subscriptions(struct af_meta *meta, uint64_t org, const char *database, struct af_arena *arena,
                                                   struct af_meta_subscription **out, size_t *out_count, struct af_error *err);
/* AF_ENOTFOUND: there is none. */
AF_MUST_CHECK enum af_status af_meta_subscription_drop(struct af_meta *meta, uint64_t org, const char *database, const char *policy,
                                                       const char *name, struct af_error *err);

/* --- users and tokens --------------------------------------------------------------------------------------------------------------- */

struct af_meta_user {
    uint64_t id;
    const char *name;
    bool is_active, is_admin;  /* admin: 1.x `WITH ALL PRIVILEGES` */
    bool has_password;
    int64_t created_ns, updated_ns;
};
AF_MUST_CHECK enum af_status af_meta_user_put(struct af_meta *meta, struct af_meta_user *user, bool is_new, struct af_error *err);
/* 8..72 bytes; 1.x users: 1.. */
AF_MUST_CHECK enum af_status af_meta_user_password(struct af_meta *meta, uint64_t id, struct af_slice password, struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_users(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena,
                                           struct af_meta_user **out, size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_user_drop(struct af_meta *meta, uint64_t id, struct af_error *err);

/* 1.x: GRANT READ, WRITE, ALL ON db TO user. A database is one of an organisation, and so is what is granted on it. NONE is kept and
 * listed too: what was revoked. */
enum af_grant { AF_GRANT_NONE, AF_GRANT_READ = 1, AF_GRANT_WRITE = 2, AF_GRANT_ALL = 3 };
AF_MUST_CHECK enum af_status af_meta_grant(struct af_meta *meta, uint64_t user, uint64_t org, const char *database, enum af_grant grant,
                                           struct af_error *err);
struct af_meta_granted {
    uint64_t org;
    const char *database;
    enum af_grant grant;
};
/* By organisation and name. */
AF_MUST_CHECK enum af_status af_meta_grants(struct af_meta *meta, uint64_t user, struct af_arena *arena, struct af_meta_granted **out,
                                            size_t *out_count, struct af_error *err);

/* Everybody's. */
AF_MUST_CHECK enum af_status af_meta_grants_drop(struct af_meta *meta, uint64_t org, const char *database, struct af_error *err);

/* A permission as 2.x has it: an action on resources of a type, of one org or all, one or all. */
enum af_action { AF_ACTION_READ, AF_ACTION_WRITE };
struct af_permission {
    enum af_action action;
    const char *type;          /* "buckets", "orgs", "authorizations", ... */
    uint64_t org, id;          /* 0: all */
};
struct af_meta_token {
    uint64_t id, org, user;
    const char *description;
    bool is_active;
    struct af_permission *permissions;
    size_t permission_count;
    int64_t created_ns, updated_ns;
};
/* *out_secret: the token itself, in `arena`; it is not to be had again. `given` (may be NULL): use this secret, e.g. a 1.x client's. */
AF_MUST_CHECK enum af_status af_meta_token_new(struct af_meta *meta, struct af_meta_token *token, const char *given, struct af_arena *arena,
                                               const char **out_secret, struct af_error *err);
/* status, description */
AF_MUST_CHECK enum af_status af_meta_token_set(struct af_meta *meta, const struct af_meta_token *token, struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_tokens(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena,
                                            struct af_meta_token **out, size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status af_meta_token_drop(struct af_meta *meta, uint64_t id, struct af_error *err);
/* Every type x {read, write}, all orgs: the operator. One org: its all-access. */
AF_MUST_CHECK enum af_status af_meta_all_permissions(uint64_t org, struct af_arena *arena, struct af_permission **out, size_t *out_count,
                                                     struct af_error *err);

/* --- who is asking --------------------------------------------------------------------------------------------------------- */

struct af_principal {
    uint64_t token;            /* 0: none */
    uint64_t user;             /* 0: none */
    uint64_t org;              /* of the token; 0: none */
    bool is_everybody;         /* --no-auth: may do all */
    bool is_admin;             /* a 1.x admin, or a user who signed in and owns everything */
    const struct af_permission *permissions; /* in the arena given */
    size_t permission_count;
    const char *name;          /* for audit: "token 0123...", "user x" */
};
/* AF_EUNAUTH: unknown, inactive, wrong. Takes the same time for unknown and wrong. */
AF_MUST_CHECK enum af_status af_meta_by_token(struct af_meta *meta, struct af_slice token, struct af_arena *arena,
                                              struct af_principal *out, struct af_error *err);
/* A password, or a token in its place as 2.x allows 1.x clients. Wrong passwords are slowed down per user. AF_EBUSY, with a time to come
 * back: others wait for their hash already. */
AF_MUST_CHECK enum af_status af_meta_by_password(struct af_meta *meta, struct af_slice user, struct af_slice password,
                                                 struct af_arena *arena, struct af_principal *out, struct af_error *err);
/* The same as far as it costs no hash. AF_EUNAUTH with *out_is_open: only the hash can tell. */
AF_MUST_CHECK enum af_status af_meta_by_password_quickly(struct af_meta *meta, struct af_slice user, struct af_slice password,
                                                         struct af_arena *arena, struct af_principal *out, bool *out_is_open,
                                                         struct af_error *err);
/* The one question. `org`, `id`: of the thing; 0: of the type as such (listing, creating). */
AF_MUST_CHECK bool af_principal_may(const struct af_principal *who, enum af_action action, const char *type, uint64_t org, uint64_t id);

/* First use: organisation, user, bucket, operator token. AF_ECONFLICT when it was done before. */
struct af_meta_setup {
    const char *user, *password /* NULL: none */, *org, *bucket;
    int64_t retention_ns;
    const char *token;         /* NULL: random */
};
bool af_meta_is_set_up(struct af_meta *meta);
AF_MUST_CHECK enum af_status af_meta_setup(struct af_meta *meta, const struct af_meta_setup *setup, struct af_arena *arena,
                                           struct af_meta_user *out_user, struct af_meta_org *out_org, struct af_meta_bucket *out_bucket,
                                           struct af_meta_token *out_token, const char **out_secret, struct af_error *err);
#endif
