/*
 * v2_common.c - fields of a JSON body, paging, things found by the path; see v2.h. The printing of objects is in v2_print.c.
 */
#include "base/calendar.h"
#include "base/numbers.h"
#include "server/core.h"
#include "server/v2.h"

/* --- the body -------------------------------------------------------------------------------------------------------------- */

const struct af_json *v2_body(struct af_request *r)
{
    const struct af_json *json = af_request_json(r);
    if (json == NULL || json->kind == AF_JSON_OBJECT)
        return json;
    af_answer_fail(r, 400, "failed to unmarshal json: the body is not an object");
    return NULL;
}

static const struct af_json *member(const struct af_json *object, const char *key)
{
    const struct af_json *m = af_json_get(object, key);
    return m != NULL && m->kind != AF_JSON_NULL ? m : NULL;
}

static bool refuse_member(struct af_request *r, const char *key, const char *wanted)
{
    af_answer_fail(r, 400, "failed to unmarshal json: \"%s\" is not %s", key, wanted);
    return false;
}

bool v2_text(struct af_request *r, const struct af_json *object, const char *key, const char **out)
{
    const struct af_json *m = member(object, key);
    if (m == NULL)
        return true;
    if (m->kind != AF_JSON_STRING || (m->text.len != 0 && memchr(m->text.ptr, '\0', m->text.len) != NULL))
        return refuse_member(r, key, "a string");
    *out = af_arena_copy(r->arena, m->text);
    if (*out == NULL)
        af_answer_fail(r, 503, "no memory for the request; try again");
    return *out != NULL;
}

bool v2_id(struct af_request *r, const struct af_json *object, const char *key, uint64_t *out)
{
    const char *text = NULL;
    if (!v2_text(r, object, key, &text))
        return false;
    if (text == NULL || text[0] == '\0' || af_id_parse(text, out))
        return true;
    af_answer_fail(r, 400, "failed to unmarshal json: id must have a length of 16 bytes");
    return false;
}

bool v2_int(struct af_request *r, const struct af_json *object, const char *key, int64_t *out)
{
    const struct af_json *m = member(object, key);
    return m == NULL || af_json_i64(m, out) || refuse_member(r, key, "an integer");
}

bool v2_bool(struct af_request *r, const struct af_json *object, const char *key, bool *out)
{
    const struct af_json *m = member(object, key);
    if (m == NULL)
        return true;
    if (m->kind != AF_JSON_BOOL)
        return refuse_member(r, key, "true or false");
    *out = m->is_true;
    return true;
}

bool v2_status(struct af_request *r, const struct af_json *object, const char *words, bool *out_is_active)
{
    const char *status = NULL;
    if (!v2_text(r, object, "status", &status))
        return false;
    if (status == NULL || status[0] == '\0')
        return true;
    *out_is_active = strcmp(status, "active") == 0;
    if (*out_is_active || strcmp(status, "inactive") == 0)
        return true;
    af_answer_fail(r, 400, "%s", words);
    return false;
}

/* --- paging ------------------------------------------------------------------------------------------------------------------ */

bool v2_arg_id(struct af_request *r, const char *name, uint64_t *out)
{
    const char *text = af_serve_arg(r->http, name);
    return text == NULL || text[0] == '\0' || af_request_id(r, text, out);
}

static bool read_count(struct af_request *r, const char *name, int64_t *out)
{
    const char *text = af_serve_arg(r->http, name);
    if (text == NULL || text[0] == '\0' || af_i64_parse(af_slice_of(text), out))
        return true;
    af_answer_fail(r, 400, "%s is invalid", name);
    return false;
}

bool v2_paging(struct af_request *r, size_t limit_default, struct af_meta_filter *out)
{
    int64_t limit = (int64_t)limit_default;
    int64_t offset = 0;
    const char *after = af_serve_arg(r->http, "after");
    const char *descending = af_serve_arg(r->http, "descending");
    if (!read_count(r, "limit", &limit) || !read_count(r, "offset", &offset))
        return false;
    if (limit < 1 || limit > V2_PAGE_MAX) {
        af_answer_fail(r, 400, "limit must be between 1 and %d", V2_PAGE_MAX);
        return false;
    }
    if (after != NULL && after[0] != '\0' && !af_id_parse(after, &out->after)) {
        af_answer_fail(r, 400, "decoding after: id must have a length of 16 bytes");
        return false;
    }
    out->limit = (size_t)limit;
    out->offset = offset > 0 ? (size_t)offset : 0;
    out->is_descending = descending != NULL && (strcmp(descending, "true") == 0 || strcmp(descending, "1") == 0);
    return true;
}

/* --- things by id ---------------------------------------------------------------------------------------------------------------- */

enum af_status v2_find_org(struct af_request *r, uint64_t id, struct af_meta_org *out, struct af_error *err)
{
    struct af_meta_filter filter = { .id = id };
    struct af_meta_org *found = NULL;
    size_t count = 0;
    AF_TRY(af_meta_orgs(r->house->meta, &filter, r->arena, &found, &count, err));
    if (count == 0 || id == 0)
        return af_fail(err, AF_ENOTFOUND, "organization not found");
    *out = found[0];
    return AF_OK;
}

enum af_status v2_find_user(struct af_request *r, uint64_t id, struct af_meta_user *out, struct af_error *err)
{
    struct af_meta_filter filter = { .id = id };
    struct af_meta_user *found = NULL;
    size_t count = 0;
    AF_TRY(af_meta_users(r->house->meta, &filter, r->arena, &found, &count, err));
    if (count == 0 || id == 0)
        return af_fail(err, AF_ENOTFOUND, "user not found");
    *out = found[0];
    return AF_OK;
}

enum af_status v2_find_bucket(struct af_request *r, uint64_t id, struct af_meta_bucket *out, struct af_error *err)
{
    struct af_meta_filter filter = { .id = id };
    struct af_meta_bucket *found = NULL;
    size_t count = 0;
    AF_TRY(af_meta_buckets(r->house->meta, &filter, r->arena, &found, &count, err));
    if (count == 0 || id == 0)
        return af_fail(err, AF_ENOTFOUND, "bucket not found");
    *out = found[0];
    return AF_OK;
}

bool v2_org_of_path(struct af_request *r, enum af_action action, struct af_meta_org *out)
{
    struct af_error err = { 0 };
    uint64_t id = 0;
    if (!af_request_id(r, r->path_args[0], &id))
        return false;
    if (v2_find_org(r, id, out, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return false;
    }
    return af_request_may(r, action, "orgs", id, id);
}

bool v2_bucket_of_path(struct af_request *r, enum af_action action, struct af_meta_bucket *out)
{
    struct af_error err = { 0 };
    uint64_t id = 0;
    if (!af_request_id(r, r->path_args[0], &id))
        return false;
    if (v2_find_bucket(r, id, out, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return false;
    }
    return af_request_may(r, action, "buckets", out->org, id);
}

bool v2_user_of_path(struct af_request *r, struct af_meta_user *out)
{
    struct af_error err = { 0 };
    uint64_t id = 0;
    if (!af_request_id(r, r->path_args[0], &id))
        return false;
    enum af_status status = v2_find_user(r, id, out, &err);
    if (status != AF_OK)
        v2_answer_meta_error(r, &err);
    return status == AF_OK;
}

void v2_answer_meta_error(struct af_request *r, const struct af_error *err)
{
    if (err->status == AF_ECONFLICT)
        af_answer_fail_code(r, 422, "conflict", "%s", err->message);
    else
        af_answer_error(r, err);
}

bool v2_is_granted_only(const struct af_request *r)
{
    return r->who.token == 0 && !r->who.is_admin && !r->who.is_everybody;
}

bool v2_is_operator(const struct af_request *r)
{
    static const char *const types[] = { "users", "orgs", "buckets", "authorizations" };
    bool all = true;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        all = all && af_principal_may(&r->who, AF_ACTION_WRITE, types[i], 0, 0);
    return all;
}

/* --- buckets, in both places ------------------------------------------------------------------------------------------------------- */

static enum af_status put_locked(struct af_request *r, struct af_meta_bucket *bucket, bool is_new, struct af_error *err)
{
    AF_TRY(af_meta_bucket_put(r->house->meta, bucket, is_new, err));
    struct af_tsm_bucket settings = { bucket->id, bucket->retention_ns, bucket->shard_ns };
    enum af_status status = af_tsm_bucket_set(r->house->engine, &settings, err);
    if (status != AF_OK && is_new) /* a bucket that cannot be written to is none */
        (void)!af_meta_bucket_drop(r->house->meta, bucket->id, NULL);
    return status;
}

enum af_status v2_bucket_put(struct af_request *r, struct af_meta_bucket *bucket, bool is_new, struct af_error *err)
{
    af_mutex_lock(&r->server->bucket_lock);
    enum af_status status = put_locked(r, bucket, is_new, err);
    af_mutex_unlock(&r->server->bucket_lock);
    return status;
}

enum af_status v2_bucket_drop(struct af_request *r, uint64_t id, struct af_error *err)
{
    af_mutex_lock(&r->server->bucket_lock);
    enum af_status status = af_meta_bucket_drop(r->house->meta, id, err);
    if (status == AF_OK)
        status = af_tsm_bucket_drop(r->house->engine, id, err);
    af_mutex_unlock(&r->server->bucket_lock);
    return status;
}

/* The catalogue forgets its buckets with it; the engine is told one by one. */
static enum af_status drop_org_locked(struct af_request *r, uint64_t id, struct af_error *err)
{
    struct af_meta_bucket *buckets = NULL;
    size_t count = 0;
    struct af_meta_filter filter = { .org = id };
    AF_TRY(af_meta_buckets(r->house->meta, &filter, r->arena, &buckets, &count, err));
    AF_TRY(af_meta_org_drop(r->house->meta, id, err));
    enum af_status status = AF_OK;
    for (size_t i = 0; i < count; i++) {
        enum af_status dropped = af_tsm_bucket_drop(r->house->engine, buckets[i].id, status == AF_OK ? err : NULL);
        status = status == AF_OK ? dropped : status;
    }
    return status;
}

enum af_status v2_org_drop(struct af_request *r, uint64_t id, struct af_error *err)
{
    af_mutex_lock(&r->server->bucket_lock);
    enum af_status status = drop_org_locked(r, id, err);
    af_mutex_unlock(&r->server->bucket_lock);
    return status;
}

bool v2_retention_check(int64_t retention_ns, int64_t *shard_ns, const char **out_words)
{
    const int64_t hour_ns = 3600 * AF_NS_PER_S;
    *out_words = NULL;
    if (retention_ns != 0 && retention_ns < hour_ns)
        *out_words = "retention policy duration must be at least 1h0m0s";
    else if (*shard_ns == 0)
        *shard_ns = af_tsm_default_shard_ns(retention_ns);
    else if (*shard_ns < hour_ns)
        *shard_ns = hour_ns;
    if (*out_words == NULL && retention_ns != 0 && retention_ns < *shard_ns)
        *out_words = "retention policy duration must be greater than the shard duration";
    return *out_words == NULL;
}
