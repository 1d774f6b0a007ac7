/* users.c - users, their passwords, what 1.x grants them; see meta.h. */
#include "meta/meta_int.h"

/* --- users ----------------------------------------------------------------------------------------------------------------------- */

enum af_status meta_user_put_locked(struct af_meta *meta, struct af_meta_user *user, bool is_new, struct af_error *err)
{
    AF_TRY(meta_check_name(user->name, "user", err));
    struct meta_query q;
    int64_t now_ns = meta_now_ns();
    if (is_new) {
        user->id = user->id != 0 ? user->id : meta_new_id();
        user->created_ns = now_ns;
    }
    user->updated_ns = now_ns;
    meta_query_open(&q, meta,
                    is_new ? "INSERT INTO user (name, is_active, is_admin, updated, id, created) VALUES (?, ?, ?, ?, ?, ?)"
                           : "UPDATE user SET name = ?, is_active = ?, is_admin = ?, updated = ? WHERE id = ?",
                    err);
    meta_bind_text(&q, user->name);
    meta_bind_int(&q, user->is_active);
    meta_bind_int(&q, user->is_admin);
    meta_bind_int(&q, user->updated_ns);
    meta_bind_id(&q, user->id);
    if (is_new)
        meta_bind_int(&q, user->created_ns);
    return meta_must_change(&q, "user with name %s already exists", user->name, "user");
}

enum af_status af_meta_user_put(struct af_meta *meta, struct af_meta_user *user, bool is_new, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = meta_user_put_locked(meta, user, is_new, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status meta_user_hash_locked(struct af_meta *meta, uint64_t id, const char *hash, struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta, "UPDATE user SET password = ?, updated = ? WHERE id = ?", err);
    meta_bind_text(&q, hash);
    meta_bind_int(&q, meta_now_ns());
    meta_bind_id(&q, id);
    return meta_must_change(&q, NULL, NULL, "user");
}

enum af_status af_meta_user_password(struct af_meta *meta, uint64_t id, struct af_slice password, struct af_error *err)
{
    char hash[META_HASH_BYTES];
    if (password.len == 0)
        return af_fail(err, AF_EINVAL, "the password is empty");
    af_mutex_lock(&meta->hash_lock);
    enum af_status status = meta_password_hash(password, hash, err);
    af_mutex_unlock(&meta->hash_lock);
    if (status == AF_OK) {
        af_mutex_lock(&meta->lock);
        status = meta_user_hash_locked(meta, id, hash, err);
        af_mutex_unlock(&meta->lock);
    }
    af_wipe(hash, sizeof hash);
    return status;
}

static enum af_status users_locked(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena,
                                   struct af_meta_user **out, size_t *out_count, struct af_error *err)
{
    struct meta_query q;
    *out = NULL;
    *out_count = 0;
    meta_list_open(&q, meta, "id, name, is_active, is_admin, password IS NOT NULL, created, updated", "user", filter, err);
    while (meta_row(&q)) {
        struct af_meta_user *u = meta_grow(&q, (void **)out, out_count, sizeof *u, arena);
        if (u != NULL)
            *u = (struct af_meta_user){ .id = meta_id(&q, 0), .name = meta_text(&q, 1, arena), .is_active = meta_int(&q, 2) != 0,
                                        .is_admin = meta_int(&q, 3) != 0, .has_password = meta_int(&q, 4) != 0,
                                        .created_ns = meta_int(&q, 5), .updated_ns = meta_int(&q, 6) };
    }
    return meta_query_close(&q);
}

enum af_status af_meta_users(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena, struct af_meta_user **out,
                             size_t *out_count, struct af_error *err)
{
    struct af_meta_filter own = *filter;
    own.org = 0;
    if (own.user != 0)
        own.id = own.user;
    own.user = 0;
    af_mutex_lock(&meta->lock);
    enum af_status status = users_locked(meta, &own, arena, out, out_count, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status af_meta_user_drop(struct af_meta *meta, uint64_t id, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    struct meta_query q;
    enum af_status status = meta_begin(meta, err);
    if (status == AF_OK) {
        meta_query_open(&q, meta, "DELETE FROM token WHERE user = ?", err);
        meta_bind_id(&q, id);
        status = meta_change(&q, NULL, NULL);
        if (status == AF_OK) {
            meta_query_open(&q, meta, "DELETE FROM user WHERE id = ?", err);
            meta_bind_id(&q, id);
            status = meta_change(&q, NULL, NULL);
        }
        status = meta_end(meta, status, err);
    }
    af_mutex_unlock(&meta->lock);
    return status;
}

/* --- grants ------------------------------------------------------------------------------------------------------------------------ */

enum af_status af_meta_grant(struct af_meta *meta, uint64_t user, uint64_t org, const char *database, enum af_grant grant,
                             struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    struct meta_query q;
    meta_query_open(&q, meta,
                    "INSERT INTO granted (user, org, database, grant_bits) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET grant_bits = excluded.grant_bits",
                    err);
    meta_bind_id(&q, user);
    meta_bind_id(&q, org);
    meta_bind_text(&q, database);
    meta_bind_int(&q, grant);
    enum af_status status = meta_change(&q, NULL, NULL);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status meta_grants_locked(struct af_meta *meta, uint64_t user, struct af_arena *arena, struct af_meta_granted **out,
                                  size_t *out_count, struct af_error *err)
{
    struct meta_query q;
    *out = NULL;
    *out_count = 0;
    meta_query_open(&q, meta, "SELECT org, database, grant_bits FROM granted WHERE user = ? ORDER BY org, database", err);
    meta_bind_id(&q, user);
    while (meta_row(&q)) {
        struct af_meta_granted *g = meta_grow(&q, (void **)out, out_count, sizeof *g, arena);
        if (g != NULL)
            *g = (struct af_meta_granted){ meta_id(&q, 0), meta_text(&q, 1, arena), (enum af_grant)(meta_int(&q, 2) & AF_GRANT_ALL) };
    }
    return meta_query_close(&q);
}

enum af_status af_meta_grants(struct af_meta *meta, uint64_t user, struct af_arena *arena, struct af_meta_granted **out, size_t *out_count,
                              struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = meta_grants_locked(meta, user, arena, out, out_count, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status af_meta_grants_drop(struct af_meta *meta, uint64_t org, const char *database, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    struct meta_query q;
    meta_query_open(&q, meta, "DELETE FROM granted WHERE org = ? AND database = ?", err);
    meta_bind_id(&q, org);
    meta_bind_text(&q, database);
    enum af_status status = meta_change(&q, NULL, NULL);
    af_mutex_unlock(&meta->lock);
    return status;
}
