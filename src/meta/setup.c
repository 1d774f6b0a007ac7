/* setup.c - the first use: organisation, user, bucket and operator token in one transaction; see meta.h. */
#include "meta/meta_int.h"

enum { PASSWORD_BYTES_MIN = 8, PASSWORD_BYTES_MAX = 72 };
static const int64_t SHARD_FOREVER_NS = INT64_C(7) * 86400 * 1000000000;
static const int64_t SHARD_MONTHS_NS = INT64_C(86400) * 1000000000;
static const int64_t SHARD_HOURS_NS = INT64_C(3600) * 1000000000;

/* InfluxDB's: an hour for less than 2 days, a day for less than 180, else a week. */
static int64_t default_shard_ns(int64_t retention_ns)
{
    const int64_t day_ns = SHARD_MONTHS_NS;
    if (retention_ns == 0 || retention_ns >= 180 * day_ns)
        return SHARD_FOREVER_NS;
    return retention_ns >= 2 * day_ns ? SHARD_MONTHS_NS : SHARD_HOURS_NS;
}

/* That it was done is written down: who loses the last token must not find the set-up open to everybody again. */
static enum af_status was_done(struct af_meta *meta, bool *out, struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta, "SELECT EXISTS (SELECT 1 FROM setting WHERE name = 'set up') OR EXISTS (SELECT 1 FROM token)", err);
    *out = !meta_row(&q) || meta_int(&q, 0) != 0;
    return meta_query_close(&q);
}

static enum af_status write_down(struct af_meta *meta, struct af_error *err)
{
    return meta_run(meta, "INSERT OR REPLACE INTO setting (name, value) VALUES ('set up', datetime())", err);
}

bool af_meta_is_set_up(struct af_meta *meta)
{
    bool is_done = true;
    af_mutex_lock(&meta->lock);
    bool known = was_done(meta, &is_done, NULL) == AF_OK;
    af_mutex_unlock(&meta->lock);
    return !known || is_done; /* a catalogue that cannot be read is not there to be taken over */
}

/* An organisation of that name may be there already: directories are filled before they are served. */
static enum af_status find_or_put_org(struct af_meta *meta, struct af_meta_org *org, struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta, "SELECT id, created, updated FROM org WHERE name = ?", err);
    meta_bind_text(&q, org->name);
    if (meta_row(&q)) {
        org->id = meta_id(&q, 0);
        org->created_ns = meta_int(&q, 1);
        org->updated_ns = meta_int(&q, 2);
    }
    AF_TRY(meta_query_close(&q));
    return org->id != 0 ? AF_OK : meta_org_put_locked(meta, org, true, err);
}

static enum af_status find_or_put_bucket(struct af_meta *meta, struct af_meta_bucket *bucket, struct af_arena *arena, struct af_error *err)
{
    struct af_meta_bucket *found = NULL;
    size_t count = 0;
    struct af_meta_filter filter = { .org = bucket->org, .name = bucket->name };
    AF_TRY(meta_buckets_locked(meta, &filter, arena, &found, &count, err));
    if (count == 0)
        return meta_bucket_put_locked(meta, bucket, true, err);
    *bucket = found[0];
    return AF_OK;
}

/* A user of that name may be there too; without a password given, nobody takes him over by this. */
static enum af_status find_or_put_user(struct af_meta *meta, const struct af_meta_setup *setup, struct af_meta_user *user,
                                       struct af_error *err)
{
    struct meta_query q;
    if (setup->password == NULL) {
        meta_query_open(&q, meta, "SELECT id, is_active, is_admin, password IS NOT NULL, created, updated FROM user WHERE name = ?", err);
        meta_bind_text(&q, user->name);
        if (meta_row(&q))
            *user = (struct af_meta_user){ meta_id(&q, 0), user->name, meta_int(&q, 1) != 0, meta_int(&q, 2) != 0, meta_int(&q, 3) != 0,
                                           meta_int(&q, 4), meta_int(&q, 5) };
        AF_TRY(meta_query_close(&q));
    }
    return user->id != 0 ? AF_OK : meta_user_put_locked(meta, user, true, err);
}

static enum af_status set_up(struct af_meta *meta, const struct af_meta_setup *setup, const char *hash, struct af_arena *arena,
                             struct af_meta_user *user,
                             struct af_meta_org *org, struct af_meta_bucket *bucket, struct af_meta_token *token, const char **out_secret,
                             struct af_error *err)
{
    bool is_done = true;
    AF_TRY(was_done(meta, &is_done, err));
    if (is_done)
        return af_fail(err, AF_ECONFLICT, "onboarding has already been completed");
    *user = (struct af_meta_user){ .name = setup->user, .is_active = true, .is_admin = true, .has_password = setup->password != NULL };
    AF_TRY(find_or_put_user(meta, setup, user, err));
    if (setup->password != NULL)
        AF_TRY(meta_user_hash_locked(meta, user->id, hash, err));
    *org = (struct af_meta_org){ .name = setup->org, .description = "" };
    AF_TRY(find_or_put_org(meta, org, err));
    *bucket = (struct af_meta_bucket){ .org = org->id, .name = setup->bucket, .description = "", .retention_ns = setup->retention_ns,
                                       .shard_ns = default_shard_ns(setup->retention_ns) };
    AF_TRY(find_or_put_bucket(meta, bucket, arena, err));
    *token = (struct af_meta_token){ .org = org->id, .user = user->id, .is_active = true,
                                     .description = af_arena_printf(arena, "%s's Token", setup->user) };
    AF_TRY(af_meta_all_permissions(0, arena, &token->permissions, &token->permission_count, err));
    AF_TRY(write_down(meta, err));
    return meta_token_new_locked(meta, token, setup->token, arena, out_secret, err);
}

static enum af_status check(const struct af_meta_setup *setup, struct af_error *err)
{
    AF_TRY(meta_check_name(setup->user, "user", err));
    AF_TRY(meta_check_name(setup->org, "organization", err));
    AF_TRY(meta_check_name(setup->bucket, "bucket", err));
    size_t len = setup->password != NULL ? strlen(setup->password) : PASSWORD_BYTES_MIN;
    if (len < PASSWORD_BYTES_MIN || len > PASSWORD_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "passwords must be between %d and %d characters long", PASSWORD_BYTES_MIN, PASSWORD_BYTES_MAX);
    return AF_OK;
}

enum af_status af_meta_setup(struct af_meta *meta, const struct af_meta_setup *setup, struct af_arena *arena, struct af_meta_user *out_user,
                             struct af_meta_org *out_org, struct af_meta_bucket *out_bucket, struct af_meta_token *out_token,
                             const char **out_secret, struct af_error *err)
{
    char hash[META_HASH_BYTES] = "";
    AF_TRY(check(setup, err));
    if (setup->password != NULL)
        AF_TRY(meta_password_hash(af_slice_of(setup->password), hash, err));
    af_mutex_lock(&meta->lock);
    enum af_status status = meta_begin(meta, err);
    if (status == AF_OK) {
        status = set_up(meta, setup, hash, arena, out_user, out_org, out_bucket, out_token, out_secret, err);
        status = meta_end(meta, status, err);
    }
    af_mutex_unlock(&meta->lock);
    return status;
}
