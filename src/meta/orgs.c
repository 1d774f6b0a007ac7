/* orgs.c - organisations and buckets; see meta.h. */
#include "base/limits.h"
#include "meta/meta_int.h"

/* --- organisations ------------------------------------------------------------------------------------------------------------ */

enum af_status meta_org_put_locked(struct af_meta *meta, struct af_meta_org *org, bool is_new, struct af_error *err)
{
    AF_TRY(meta_check_name(org->name, "organization", err));
    struct meta_query q;
    int64_t now_ns = meta_now_ns();
    if (is_new) {
        org->id = org->id != 0 ? org->id : meta_new_id();
        org->created_ns = now_ns;
    }
    org->updated_ns = now_ns;
    meta_query_open(&q, meta,
                    is_new ? "INSERT INTO org (name, description, updated, id, created) VALUES (?, ?, ?, ?, ?)"
                           : "UPDATE org SET name = ?, description = ?, updated = ? WHERE id = ?",
                    err);
    meta_bind_text(&q, org->name);
    meta_bind_text(&q, org->description != NULL ? org->description : "");
    meta_bind_int(&q, org->updated_ns);
    meta_bind_id(&q, org->id);
    if (is_new)
        meta_bind_int(&q, org->created_ns);
    return meta_must_change(&q, "organization with name %s already exists", org->name, "organization");
}

enum af_status af_meta_org_put(struct af_meta *meta, struct af_meta_org *org, bool is_new, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = meta_org_put_locked(meta, org, is_new, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

static enum af_status orgs_locked(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena,
                                  struct af_meta_org **out, size_t *out_count, struct af_error *err)
{
    struct meta_query q;
    *out = NULL;
    *out_count = 0;
    meta_list_open(&q, meta, "id, name, description, created, updated", "org", filter, err);
    while (meta_row(&q)) {
        struct af_meta_org *org = meta_grow(&q, (void **)out, out_count, sizeof *org, arena);
        if (org != NULL)
            *org = (struct af_meta_org){ meta_id(&q, 0), meta_text(&q, 1, arena), meta_text(&q, 2, arena), meta_int(&q, 3),
                                         meta_int(&q, 4) };
    }
    return meta_query_close(&q);
}

static enum af_status answer(const struct meta_place *place, struct af_arena *arena, struct af_meta_org **out, size_t *out_count,
                             struct af_error *err)
{
    *out = af_arena_zero(arena, 1, sizeof **out);
    if (*out == NULL || !meta_place_org(place, arena, *out))
        return af_arena_fail(arena, sizeof **out, "an organisation", err);
    *out_count = 1;
    return AF_OK;
}

/* Which organisation a request is of: one that is named, or the first. */
static enum af_status one_locked(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena,
                                 struct af_meta_org **out, size_t *out_count, struct af_error *err)
{
    struct meta_question question;
    meta_question_make(&question, filter->limit == 1 ? '1' : 'o', filter->id, filter->name, NULL);
    struct meta_place *place = meta_place_of(meta, &question);
    if (meta_place_answers(place, &question))
        return answer(place, arena, out, out_count, err);
    AF_TRY(orgs_locked(meta, filter, arena, out, out_count, err));
    if (*out_count == 1)
        meta_place_keep(place, &question, NULL, &(*out)[0]);
    return AF_OK;
}

enum af_status af_meta_orgs(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena, struct af_meta_org **out,
                            size_t *out_count, struct af_error *err)
{
    struct af_meta_filter own = *filter;
    own.org = own.user = 0;
    bool is_of_one = (own.id != 0 || own.name != NULL || own.limit == 1) && own.limit <= 1 && own.offset == 0 && own.after == 0 &&
                     !own.is_descending;
    af_mutex_lock(&meta->lock);
    enum af_status status = is_of_one ? one_locked(meta, &own, arena, out, out_count, err)
                                      : orgs_locked(meta, &own, arena, out, out_count, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

static enum af_status drop_locked(struct af_meta *meta, const char *sql, uint64_t id, struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta, sql, err);
    meta_bind_id(&q, id);
    return meta_change(&q, NULL, NULL);
}

/* An operator's token (a permission of all organisations) outlives the organisation that it was made in: it is the way back in. */
enum af_status af_meta_org_drop(struct af_meta *meta, uint64_t id, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = meta_begin(meta, err);
    if (status == AF_OK) {
        status = drop_locked(meta, "DELETE FROM token WHERE org = ? AND permissions NOT LIKE '% 0000000000000000 %'", id, err);
        if (status == AF_OK)
            status = drop_locked(meta, "DELETE FROM org WHERE id = ?", id, err);
        status = meta_end(meta, status, err);
    }
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status af_meta_org_find(struct af_meta *meta, const char *name_or_id, struct af_arena *arena, struct af_meta_org *out,
                                struct af_error *err)
{
    struct af_meta_org *found = NULL;
    size_t count = 0;
    struct af_meta_filter by_name = { .name = name_or_id };
    struct af_meta_filter by_id = { 0 };
    AF_TRY(af_meta_orgs(meta, &by_name, arena, &found, &count, err));
    if (count == 0 && af_id_parse(name_or_id, &by_id.id))
        AF_TRY(af_meta_orgs(meta, &by_id, arena, &found, &count, err));
    if (count == 0)
        return af_fail(err, AF_ENOTFOUND, "organization name \"%s\" not found", name_or_id);
    *out = found[0];
    return AF_OK;
}

/* --- buckets ------------------------------------------------------------------------------------------------------------------- */

static enum af_status check_count(struct af_meta *meta, struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta, "SELECT count(*) FROM bucket", err);
    int64_t count = meta_row(&q) ? meta_int(&q, 0) : 0;
    AF_TRY(meta_query_close(&q));
    return count < AF_SERVER_BUCKETS_MAX ? AF_OK
                                         : af_fail(err, AF_ELIMIT, "there are %d buckets, and no more than that: delete some first",
                                                   AF_SERVER_BUCKETS_MAX);
}

enum af_status meta_bucket_put_locked(struct af_meta *meta, struct af_meta_bucket *bucket, bool is_new, struct af_error *err)
{
    AF_TRY(meta_check_name(bucket->name, "bucket", err));
    if (is_new)
        AF_TRY(check_count(meta, err));
    struct meta_query q;
    int64_t now_ns = meta_now_ns();
    if (is_new) {
        bucket->id = bucket->id != 0 ? bucket->id : meta_new_id();
        bucket->created_ns = now_ns;
    }
    bucket->updated_ns = now_ns;
    meta_query_open(&q, meta,
                    is_new ? "INSERT INTO bucket (name, description, retention, shard, updated, id, org, is_system, created)"
                             " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                           : "UPDATE bucket SET name = ?, description = ?, retention = ?, shard = ?, updated = ? WHERE id = ?",
                    err);
    meta_bind_text(&q, bucket->name);
    meta_bind_text(&q, bucket->description != NULL ? bucket->description : "");
    meta_bind_int(&q, bucket->retention_ns);
    meta_bind_int(&q, bucket->shard_ns);
    meta_bind_int(&q, bucket->updated_ns);
    meta_bind_id(&q, bucket->id);
    if (is_new) {
        meta_bind_id(&q, bucket->org);
        meta_bind_int(&q, bucket->is_system);
        meta_bind_int(&q, bucket->created_ns);
    }
    return meta_must_change(&q, "bucket with name %s already exists", bucket->name, "bucket");
}

enum af_status af_meta_bucket_put(struct af_meta *meta, struct af_meta_bucket *bucket, bool is_new, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = meta_bucket_put_locked(meta, bucket, is_new, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status meta_buckets_locked(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena,
                                   struct af_meta_bucket **out, size_t *out_count, struct af_error *err)
{
    struct meta_query q;
    *out = NULL;
    *out_count = 0;
    struct af_meta_filter own = *filter;
    own.user = 0;
    meta_list_open(&q, meta, "id, org, name, description, retention, shard, is_system, created, updated", "bucket", &own, err);
    while (meta_row(&q)) {
        struct af_meta_bucket *b = meta_grow(&q, (void **)out, out_count, sizeof *b, arena);
        if (b != NULL)
            *b = (struct af_meta_bucket){ .id = meta_id(&q, 0), .org = meta_id(&q, 1), .name = meta_text(&q, 2, arena),
                                          .description = meta_text(&q, 3, arena), .retention_ns = meta_int(&q, 4),
                                          .shard_ns = meta_int(&q, 5),
                                          .is_system = meta_int(&q, 6) != 0, .created_ns = meta_int(&q, 7), .updated_ns = meta_int(&q, 8) };
    }
    return meta_query_close(&q);
}

enum af_status af_meta_buckets(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena,
                               struct af_meta_bucket **out, size_t *out_count, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = meta_buckets_locked(meta, filter, arena, out, out_count, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status af_meta_bucket_drop(struct af_meta *meta, uint64_t id, struct af_error *err)
{
    /* Its mappings go with it; a database that lost its default so takes another. */
    static const char keep_defaults[] = "UPDATE dbrp SET is_default = 1 WHERE id IN (SELECT first FROM (SELECT min(id) AS first,"
                                        " max(is_default) AS has FROM dbrp GROUP BY org, database) WHERE NOT has)";
    af_mutex_lock(&meta->lock);
    enum af_status status = meta_begin(meta, err);
    if (status == AF_OK) {
        status = drop_locked(meta, "DELETE FROM bucket WHERE id = ?", id, err);
        if (status == AF_OK)
            status = meta_run(meta, keep_defaults, err);
        status = meta_end(meta, status, err);
    }
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status af_meta_dropped(struct af_meta *meta, struct af_arena *arena, uint64_t **out, size_t *out_count, struct af_error *err)
{
    struct meta_query q;
    *out = NULL;
    *out_count = 0;
    af_mutex_lock(&meta->lock);
    meta_query_open(&q, meta, "SELECT bucket FROM dropped", err);
    while (meta_row(&q)) {
        uint64_t *id = meta_grow(&q, (void **)out, out_count, sizeof *id, arena);
        if (id != NULL)
            *id = meta_id(&q, 0);
    }
    enum af_status status = meta_query_close(&q);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status af_meta_dropped_done(struct af_meta *meta, uint64_t id, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = drop_locked(meta, "DELETE FROM dropped WHERE bucket = ?", id, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status af_meta_bucket_find(struct af_meta *meta, uint64_t org, const char *name_or_id, struct af_arena *arena,
                                   struct af_meta_bucket *out, struct af_error *err)
{
    struct af_meta_bucket *found = NULL;
    size_t count = 0;
    struct af_meta_filter by_name = { .org = org, .name = name_or_id };
    struct af_meta_filter by_id = { .org = org };
    AF_TRY(af_meta_buckets(meta, &by_name, arena, &found, &count, err));
    if (count == 0 && af_id_parse(name_or_id, &by_id.id))
        AF_TRY(af_meta_buckets(meta, &by_id, arena, &found, &count, err));
    if (count == 0)
        return af_fail(err, AF_ENOTFOUND, "bucket \"%s\" not found", name_or_id);
    *out = found[0];
    return AF_OK;
}
