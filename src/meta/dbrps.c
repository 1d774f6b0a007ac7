/*
 * dbrps.c - where a 1.x database and retention policy lead; see meta.h.
 *
 * A stored mapping wins. Without one, buckets stand for themselves: `db/rp` is policy rp of db, `db` is its policy autogen. The default
 * policy of a database is the stored default, else autogen, else the first by name.
 */
#include "meta/meta_int.h"
#include <stdlib.h>

static const char AUTOGEN[] = "autogen";

static enum af_status clear_default(struct af_meta *meta, const struct af_meta_dbrp *dbrp, struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta, "UPDATE dbrp SET is_default = 0 WHERE org = ? AND database = ?", err);
    meta_bind_id(&q, dbrp->org);
    meta_bind_text(&q, dbrp->database);
    return meta_change(&q, NULL, NULL);
}

/* A database whose mappings are stored has a default among them: if none is it, the first other than `not` becomes it, as in InfluxDB. */
static enum af_status keep_default(struct af_meta *meta, uint64_t org, const char *database, uint64_t not, struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta,
                    "UPDATE dbrp SET is_default = 1 WHERE id = (SELECT id FROM dbrp WHERE org = ?1 AND database = ?2"
                    " ORDER BY id = ?3, policy LIMIT 1)"
                    " AND NOT EXISTS (SELECT 1 FROM dbrp WHERE org = ?1 AND database = ?2 AND is_default)",
                    err);
    meta_bind_id(&q, org);
    meta_bind_text(&q, database);
    meta_bind_id(&q, not);
    return meta_change(&q, NULL, NULL);
}

static enum af_status put_locked(struct af_meta *meta, struct af_meta_dbrp *dbrp, bool is_new, struct af_error *err)
{
    struct meta_query q;
    if (dbrp->is_default)
        AF_TRY(clear_default(meta, dbrp, err));
    if (is_new && dbrp->id == 0)
        dbrp->id = meta_new_id();
    meta_query_open(&q, meta,
                    is_new ? "INSERT INTO dbrp (policy, is_default, id, org, bucket, database) VALUES (?, ?, ?, ?, ?, ?)"
                           : "UPDATE dbrp SET policy = ?, is_default = ? WHERE id = ?",
                    err);
    meta_bind_text(&q, dbrp->policy);
    meta_bind_int(&q, dbrp->is_default);
    meta_bind_id(&q, dbrp->id);
    if (is_new) {
        meta_bind_id(&q, dbrp->org);
        meta_bind_id(&q, dbrp->bucket);
        meta_bind_text(&q, dbrp->database);
    }
    AF_TRY(meta_must_change(&q, "%s", "another DBRP mapping with same orgID, db, and rp exists", "DBRP mapping"));
    return keep_default(meta, dbrp->org, dbrp->database, dbrp->id, err);
}

/* The first mapping of a database is its default, as in InfluxDB. */
static enum af_status has_stored(struct af_meta *meta, const struct af_meta_dbrp *dbrp, bool *out, struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta, "SELECT 1 FROM dbrp WHERE org = ? AND database = ? LIMIT 1", err);
    meta_bind_id(&q, dbrp->org);
    meta_bind_text(&q, dbrp->database);
    *out = meta_row(&q);
    return meta_query_close(&q);
}

enum af_status af_meta_dbrp_put(struct af_meta *meta, struct af_meta_dbrp *dbrp, bool is_new, struct af_error *err)
{
    AF_TRY(meta_check_name(dbrp->database, "database", err));
    AF_TRY(meta_check_name(dbrp->policy, "retention policy", err));
    af_mutex_lock(&meta->lock);
    bool has = true;
    enum af_status status = meta_begin(meta, err);
    if (status == AF_OK) {
        if (is_new)
            status = has_stored(meta, dbrp, &has, err);
        dbrp->is_default = dbrp->is_default || !has;
        if (status == AF_OK)
            status = put_locked(meta, dbrp, is_new, err);
        status = meta_end(meta, status, err);
    }
    af_mutex_unlock(&meta->lock);
    return status;
}

static enum af_status drop_locked(struct af_meta *meta, uint64_t id, struct af_arena *arena, struct af_error *err)
{
    struct meta_query q;
    uint64_t org = 0;
    const char *database = "";
    meta_query_open(&q, meta, "SELECT org, database FROM dbrp WHERE id = ?", err);
    meta_bind_id(&q, id);
    if (meta_row(&q)) {
        org = meta_id(&q, 0);
        database = meta_text(&q, 1, arena);
    }
    AF_TRY(meta_query_close(&q));
    meta_query_open(&q, meta, "DELETE FROM dbrp WHERE id = ?", err);
    meta_bind_id(&q, id);
    AF_TRY(meta_change(&q, NULL, NULL));
    return keep_default(meta, org, database, 0, err);
}

enum af_status af_meta_dbrp_drop(struct af_meta *meta, uint64_t id, struct af_error *err)
{
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    af_mutex_lock(&meta->lock);
    enum af_status status = meta_begin(meta, err);
    if (status == AF_OK)
        status = meta_end(meta, drop_locked(meta, id, &arena, err), err);
    af_mutex_unlock(&meta->lock);
    af_arena_done(&arena);
    return status;
}

/* --- lists ------------------------------------------------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct af_meta_dbrp *x = a;
    const struct af_meta_dbrp *y = b;
    int order = strcmp(x->database, y->database);
    if (x->org != y->org)
        return (int64_t)x->org < (int64_t)y->org ? -1 : 1;
    return order != 0 ? order : strcmp(x->policy, y->policy);
}

/* Of two that are the same place, the bucket without a slash comes first: until they are tidied, is_default says which it is. */
static int by_virtual(const void *a, const void *b)
{
    int order = by_place(a, b);
    return order != 0 ? order : ((const struct af_meta_dbrp *)b)->is_default - ((const struct af_meta_dbrp *)a)->is_default;
}

static bool is_same_database(const struct af_meta_dbrp *a, const struct af_meta_dbrp *b)
{
    return a->org == b->org && strcmp(a->database, b->database) == 0;
}

/* Stored mappings come sorted by place. The first at or after `key`. */
static size_t find_stored(const struct af_meta_dbrp *items, size_t count, const struct af_meta_dbrp *key)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_place(&items[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_stored_database(const struct af_meta_dbrp *items, size_t count, const struct af_meta_dbrp *of)
{
    struct af_meta_dbrp key = { .org = of->org, .database = of->database, .policy = "" };
    size_t at = find_stored(items, count, &key);
    return at < count && is_same_database(&items[at], of);
}

static enum af_status stored(struct af_meta *meta, uint64_t org, const char *database, struct af_arena *arena, struct af_meta_dbrp **out,
                             size_t *out_count, struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta,
                    "SELECT id, org, bucket, database, policy, is_default FROM dbrp"
                    " WHERE (?1 = 0 OR org = ?1) AND (?2 IS NULL OR database = ?2)"
                    " ORDER BY org, database, policy",
                    err);
    meta_bind_id(&q, org);
    meta_bind_text(&q, database);
    while (meta_row(&q)) {
        struct af_meta_dbrp *d = meta_grow(&q, (void **)out, out_count, sizeof *d, arena);
        if (d != NULL)
            *d = (struct af_meta_dbrp){ meta_id(&q, 0), meta_id(&q, 1), meta_id(&q, 2), meta_text(&q, 3, arena), meta_text(&q, 4, arena),
                                        meta_int(&q, 5) != 0, false };
    }
    return meta_query_close(&q);
}

/* What a bucket's own name says. False: no memory. */
static bool split_name(const char *name, struct af_arena *arena, const char **database, const char **policy)
{
    const char *slash = strchr(name, '/');
    *database = slash != NULL ? af_arena_copy(arena, (struct af_slice){ name, (size_t)(slash - name) }) : name;
    *policy = slash != NULL ? slash + 1 : AUTOGEN;
    return *database != NULL;
}

static enum af_status add_virtual(const struct af_meta_bucket *b, const char *database, size_t stored_count, struct af_arena *arena,
                                  struct af_meta_dbrp **items, size_t *count, struct af_error *err)
{
    const char *own_database, *policy;
    if (b->is_system)
        return AF_OK;
    if (!split_name(b->name, arena, &own_database, &policy))
        return af_fail_nomem(err, "the catalogue");
    struct af_meta_dbrp made = { b->id, b->org, b->id, own_database, policy, policy == AUTOGEN, true };
    size_t at = find_stored(*items, stored_count, &made);
    if ((database != NULL && strcmp(database, own_database) != 0) || (at < stored_count && by_place(&(*items)[at], &made) == 0))
        return AF_OK;
    struct meta_query q = { .err = err };
    struct af_meta_dbrp *d = meta_grow(&q, (void **)items, count, sizeof *d, arena);
    if (d != NULL)
        *d = made;
    return q.status;
}

/* The virtual ones of each database, sorted: one of two that are the same ("d" and "d/autogen") stays, and where nothing is stored
 * autogen or else the first is the default. */
static size_t tidy_virtual(struct af_meta_dbrp *items, size_t stored_count, size_t count)
{
    size_t kept = stored_count;
    size_t first = stored_count;  /* of the database at hand */
    for (size_t i = stored_count; i < count; i++) {
        bool is_same = kept > stored_count && is_same_database(&items[kept - 1], &items[i]);
        if (is_same && strcmp(items[kept - 1].policy, items[i].policy) == 0)
            continue;
        items[kept] = items[i];
        first = is_same ? first : kept;
        bool has_default = has_stored_database(items, stored_count, &items[kept]);
        bool is_autogen = strcmp(items[kept].policy, AUTOGEN) == 0;
        items[kept].is_default = !has_default && (first == kept || is_autogen);
        if (is_autogen && first != kept)
            items[first].is_default = false;
        kept++;
    }
    return kept;
}

static enum af_status all_locked(struct af_meta *meta, uint64_t org, const char *database, struct af_arena *arena,
                                 struct af_meta_dbrp **out, size_t *out_count, struct af_error *err)
{
    struct af_meta_bucket *buckets = NULL;
    size_t bucket_count = 0;
    struct af_meta_filter filter = { .org = org };
    *out = NULL;
    *out_count = 0;
    AF_TRY(stored(meta, org, database, arena, out, out_count, err));
    size_t stored_count = *out_count;
    AF_TRY(meta_buckets_locked(meta, &filter, arena, &buckets, &bucket_count, err));
    for (size_t i = 0; i < bucket_count; i++)
        AF_TRY(add_virtual(&buckets[i], database, stored_count, arena, out, out_count, err));
    if (*out_count > stored_count)
        qsort(*out + stored_count, *out_count - stored_count, sizeof **out, by_virtual);
    *out_count = tidy_virtual(*out, stored_count, *out_count);
    return AF_OK;
}

enum af_status af_meta_dbrps(struct af_meta *meta, uint64_t org, const char *database, struct af_arena *arena, struct af_meta_dbrp **out,
                             size_t *out_count, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = all_locked(meta, org, database, arena, out, out_count, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

/* --- one ---------------------------------------------------------------------------------------------------------------------------- */

/* The common case without a walk over all buckets: a stored mapping, or the bucket that has the name. */
static enum af_status find_quickly(struct af_meta *meta, uint64_t org, const char *database, const char *policy, uint64_t *out_bucket,
                                   struct af_error *err)
{
    struct meta_query q;
    *out_bucket = 0;
    meta_query_open(&q, meta,
                    "SELECT bucket FROM dbrp WHERE (?1 = 0 OR org = ?1) AND database = ?2 AND CASE WHEN ?3 IS NULL THEN is_default ELSE"
                    " policy = ?3 END LIMIT 1",
                    err);
    meta_bind_id(&q, org);
    meta_bind_text(&q, database);
    meta_bind_text(&q, policy);
    if (meta_row(&q))
        *out_bucket = meta_id(&q, 0);
    AF_TRY(meta_query_close(&q));
    if (*out_bucket != 0)
        return AF_OK;
    meta_query_open(&q, meta,
                    "SELECT id FROM bucket WHERE (?1 = 0 OR org = ?1) AND is_system = 0"
                    " AND name IN (CASE WHEN ?3 IS NULL OR ?3 = 'autogen' THEN ?2 END, ?2 || '/' || coalesce(?3, 'autogen'))"
                    " ORDER BY length(name) LIMIT 1",
                    err);
    meta_bind_id(&q, org);
    meta_bind_text(&q, database);
    meta_bind_text(&q, policy);
    if (meta_row(&q))
        *out_bucket = meta_id(&q, 0);
    return meta_query_close(&q);
}

static enum af_status find_default(struct af_meta *meta, uint64_t org, const char *database, struct af_arena *arena, uint64_t *out_bucket,
                                   struct af_error *err)
{
    struct af_meta_dbrp *items = NULL;
    size_t count = 0;
    AF_TRY(all_locked(meta, org, database, arena, &items, &count, err));
    for (size_t i = 0; i < count; i++)
        if (items[i].is_default)
            *out_bucket = items[i].bucket;
    return AF_OK;
}

static enum af_status look_up(struct af_meta *meta, uint64_t org, const char *database, const char *policy, struct af_arena *arena,
                              struct af_meta_bucket *out, struct af_error *err)
{
    struct af_meta_filter filter = { 0 };
    AF_TRY(find_quickly(meta, org, database, policy, &filter.id, err));
    if (filter.id == 0 && policy == NULL)
        AF_TRY(find_default(meta, org, database, arena, &filter.id, err));
    struct af_meta_bucket *found = NULL;
    size_t count = 0;
    if (filter.id != 0)
        AF_TRY(meta_buckets_locked(meta, &filter, arena, &found, &count, err));
    if (count == 0)
        return af_fail(err, AF_ENOTFOUND, "no dbrp mapping found");
    *out = found[0];
    return AF_OK;
}

enum af_status meta_dbrp_find_locked(struct af_meta *meta, uint64_t org, const char *database, const char *policy, struct af_arena *arena,
                                     struct af_meta_bucket *out, struct af_error *err)
{
    struct meta_question question;
    if (policy != NULL && policy[0] == '\0')
        policy = NULL;
    meta_question_make(&question, 'd', org, database, policy);
    struct meta_place *place = meta_place_of(meta, &question);
    if (meta_place_answers(place, &question))
        return meta_place_bucket(place, arena, out) ? AF_OK : af_arena_fail(arena, 0, "a bucket's name", err);
    AF_TRY(look_up(meta, org, database, policy, arena, out, err));
    meta_place_keep(place, &question, out, NULL);
    return AF_OK;
}

enum af_status af_meta_dbrp_find(struct af_meta *meta, uint64_t org, const char *database, const char *policy, struct af_arena *arena,
                                 struct af_meta_bucket *out, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = meta_dbrp_find_locked(meta, org, database, policy, arena, out, err);
    af_mutex_unlock(&meta->lock);
    return status;
}
