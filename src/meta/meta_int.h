/*
 * meta_int.h - what the files of meta/ share: statements that remember their first failure, the lock, the caches.
 *
 *     struct meta_query q;
 *     meta_query_open(&q, meta, "SELECT id, name FROM org WHERE id = ?", err);
 *     meta_bind_id(&q, id);
 *     while (meta_row(&q)) ... meta_text(&q, 1, arena) ...
 *     status = meta_query_close(&q);
 */
#ifndef AF_META_INT_H
#define AF_META_INT_H
#include "codec/digest.h"
#include "meta/meta.h"
#include "os/thread.h"
#include <sqlite3.h>

enum { META_CACHE_SLOTS = 256, META_KEPT_SLOTS = 128, META_PLACE_SLOTS = 64, META_HASHERS_MAX = 3 };

/* A principal that was asked for lately, under the digest of what it was asked with. */
struct meta_known {
    bool is_set;
    uint8_t digest[AF_SHA256_BYTES];
    struct af_principal who;
    struct af_arena arena;    /* of its permissions and name */
};
struct meta_failures {        /* of one user name */
    uint8_t digest[AF_SHA256_BYTES];
    uint32_t count;
    int64_t until_ns;         /* monotonic: no password is tried before */
};

/* Name and password under the salt, and the hash they were right for: true until that hash is another one, whatever else changes. */
struct meta_proven {
    bool is_set;
    uint8_t digest[AF_SHA256_BYTES], hash[AF_SHA256_BYTES];
};

/* A question with one bucket or one organisation as its answer, and the answer. */
struct meta_question {
    char text[232];
    size_t len;               /* 0: too long to be remembered */
};
struct meta_place {
    bool is_set;
    struct meta_question question;
    struct af_meta_bucket bucket;
    struct af_meta_org org;
    struct af_arena arena;    /* of their texts */
};

/* A prepared statement, kept for the next time. */
struct meta_kept {
    sqlite3_stmt *stmt;
    bool is_used;
};

struct af_meta {
    sqlite3 *db;
    struct af_mutex lock;     /* around db and all below */
    struct af_mutex hash_lock; /* one password is hashed at a time (16 MiB each), and never under `lock`; taken before it */
    unsigned hashers;         /* at hash_lock with a password to try: one at work, the others waiting; under `lock` */
    uint8_t salt[AF_SHA256_BYTES]; /* of this process: digests of passwords in memory are of no use elsewhere */
    struct meta_known known[META_CACHE_SLOTS];
    struct meta_proven proven[META_CACHE_SLOTS];
    struct meta_failures failures[META_CACHE_SLOTS];
    struct meta_kept kept[META_KEPT_SLOTS];
    struct meta_place places[META_PLACE_SLOTS];
    bool is_bound;            /* no new pages: the disk is full (room.c) */
    char *path;
};

struct meta_query {
    struct af_meta *meta;
    sqlite3_stmt *stmt;
    struct meta_kept *kept;   /* its place; NULL: it is finalized when closed */
    int bound;
    enum af_status status;
    struct af_error *err;
};
void meta_query_open(struct meta_query *q, struct af_meta *meta, const char *sql, struct af_error *err);
void meta_bind_id(struct meta_query *q, uint64_t id);
void meta_bind_int(struct meta_query *q, int64_t value);
void meta_bind_text(struct meta_query *q, const char *text); /* NULL: null */
void meta_bind_blob(struct meta_query *q, const void *bytes, size_t len);
bool meta_row(struct meta_query *q);      /* the next row; false at the end or after a failure */
uint64_t meta_id(struct meta_query *q, int column);
int64_t meta_int(struct meta_query *q, int column);
bool meta_is_null(struct meta_query *q, int column);
const char *meta_text(struct meta_query *q, int column, struct af_arena *arena); /* "" for null; NULL: no memory, remembered */
AF_MUST_CHECK enum af_status meta_query_close(struct meta_query *q);
/* A change: run to its end, principals forgotten. `conflict`: the words of a broken UNIQUE. */
AF_MUST_CHECK enum af_status meta_change(struct meta_query *q, const char *conflict_fmt, const char *name);

AF_MUST_CHECK enum af_status meta_run(struct af_meta *meta, const char *sql, struct af_error *err);
/* Changes together: begin, then end with the status of what was done between. */
AF_MUST_CHECK enum af_status meta_begin(struct af_meta *meta, struct af_error *err);
AF_MUST_CHECK enum af_status meta_end(struct af_meta *meta, enum af_status status, struct af_error *err);
void meta_forget(struct af_meta *meta);   /* all known principals and places */

/* room.c: room for changes on a full disk. What fails there is no failure. Before a change or a transaction: see that there is some. */
void meta_room_begin(void); /* before SQLite is used */
void meta_room_open(struct af_meta *meta);
void meta_room_check(struct af_meta *meta);
void meta_room_close(struct af_meta *meta);

/* places.c: answers that are remembered until the next change. `kind` tells questions apart; `a` and `b` may be NULL. */
void meta_places_init(struct af_meta *meta);
void meta_places_done(struct af_meta *meta);
void meta_places_forget(struct af_meta *meta);
void meta_question_make(struct meta_question *out, char kind, uint64_t id, const char *a, const char *b);
struct meta_place *meta_place_of(struct af_meta *meta, const struct meta_question *question); /* where it is kept; NULL: nowhere */
bool meta_place_answers(const struct meta_place *place, const struct meta_question *question);
bool meta_place_bucket(const struct meta_place *place, struct af_arena *arena, struct af_meta_bucket *out); /* false: no memory */
bool meta_place_org(const struct meta_place *place, struct af_arena *arena, struct af_meta_org *out);
void meta_place_keep(struct meta_place *place, const struct meta_question *question, const struct af_meta_bucket *bucket,
                     const struct af_meta_org *org); /* one of the two */

uint64_t meta_new_id(void);
AF_MUST_CHECK enum af_status meta_check_name(const char *name, const char *what, struct af_error *err);
int64_t meta_now_ns(void);

/* SELECT `columns` FROM `table` WHERE what the filter says, by name. Conditions that are not asked for are not in the statement, so that
 * the others find their index. `after` is a row's place in that order; of a row that is gone, its id is. */
void meta_list_open(struct meta_query *q, struct af_meta *meta, const char *columns, const char *table, const struct af_meta_filter *filter,
                    struct af_error *err);
/* Rows into an array in `arena` that doubles: the address of the next element, or NULL (remembered). */
void *meta_grow(struct meta_query *q, void **items, size_t *count, size_t bytes, struct af_arena *arena);

/* A change of one row that must be there: AF_ENOTFOUND with `what` if it is not. */
AF_MUST_CHECK enum af_status meta_must_change(struct meta_query *q, const char *conflict_fmt, const char *name, const char *what);

/* password.c: slow on purpose, and so never under the lock. */
enum { META_HASH_BYTES = 384 };
AF_MUST_CHECK enum af_status meta_password_hash(struct af_slice password, char out[META_HASH_BYTES], struct af_error *err);
AF_MUST_CHECK bool meta_password_is(struct af_slice password, const char *hash);
/* Of a password nobody has: an unknown name takes as long as a known one. */
extern const char META_NOBODY[];

/* Without the lock taken: callers hold it. */
AF_MUST_CHECK enum af_status meta_org_put_locked(struct af_meta *meta, struct af_meta_org *org, bool is_new, struct af_error *err);
AF_MUST_CHECK enum af_status meta_bucket_put_locked(struct af_meta *meta, struct af_meta_bucket *bucket, bool is_new, struct af_error *err);
AF_MUST_CHECK enum af_status meta_user_put_locked(struct af_meta *meta, struct af_meta_user *user, bool is_new, struct af_error *err);
AF_MUST_CHECK enum af_status meta_user_hash_locked(struct af_meta *meta, uint64_t id, const char *hash, struct af_error *err);
AF_MUST_CHECK enum af_status meta_token_new_locked(struct af_meta *meta, struct af_meta_token *token, const char *given,
                                                   struct af_arena *arena, const char **out_secret, struct af_error *err);
AF_MUST_CHECK enum af_status meta_token_find_locked(struct af_meta *meta, const uint8_t digest[AF_SHA256_BYTES], struct af_arena *arena,
                                                    struct af_meta_token *out, struct af_error *err); /* AF_EUNAUTH: none */
AF_MUST_CHECK enum af_status meta_dbrp_find_locked(struct af_meta *meta, uint64_t org, const char *database, const char *policy,
                                                   struct af_arena *arena, struct af_meta_bucket *out, struct af_error *err);
AF_MUST_CHECK enum af_status meta_buckets_locked(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena,
                                                 struct af_meta_bucket **out, size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status meta_grants_locked(struct af_meta *meta, uint64_t user, struct af_arena *arena, struct af_meta_granted **out,
                                                size_t *out_count, struct af_error *err);
#endif
