/*
 * provision_tokens.c - buckets that are missing, and tokens with exactly the permissions that are named, each in a secret of its own.
 *
 *     secrets --> ids of tokens that are held        wanted: a held token that InfluxDB knows, active, with these permissions
 *     missing or other: POST /api/v2/authorizations --> PutSecretValue
 *     at last: what begins with our prefix and is held by no secret is revoked (what this call replaced, and what a killed one left)
 *
 * A bucket that is there is left as it is, and nothing is ever taken from one: another retention is told, not set.
 */
#include "base/calendar.h"
#include "lambda/provision_int.h"
#include "net/url.h"
#include <inttypes.h>
#include <stdio.h>

enum { PATH_BYTES_MAX = 4096, BODY_BYTES_MAX = 256 << 10, ID_BYTES_MAX = 64, PERMISSIONS_MAX = 1024 };

/* What an operator may: all of 2.7's resources but `instance`, which belongs to setting up. */
static const char *const resources[] = {
    "authorizations", "buckets", "dashboards", "orgs", "sources", "tasks", "telegrafs", "users", "variables", "scrapers", "secrets",
    "labels", "views", "documents", "notificationRules", "notificationEndpoints", "checks", "dbrp", "notebooks", "annotations", "remotes",
    "replications",
};
enum { RESOURCES = sizeof resources / sizeof resources[0] };

struct work {
    struct provision_session *session;
    struct provision_order *order;
    int64_t now_ns;
    const char *org_id;
    const struct af_json *known;   /* first of InfluxDB's authorizations */
    struct af_buf *revoked;
};

static enum af_status call(struct provision_session *s, const char *method, const char *path, struct af_slice body,
                           const struct af_json **out, struct af_error *err)
{
    return provision_influx_call(s->influx, method, path, body, out, err);
}

/* An id, as it goes into paths. */
static enum af_status copy_id(struct provision_session *s, const struct af_json *object, const char *what, const char **out,
                              struct af_error *err)
{
    const struct af_slice id = af_json_string(object, "id");
    for (size_t i = 0; i < id.len; i++)
        if (!((id.ptr[i] >= '0' && id.ptr[i] <= '9') || (id.ptr[i] >= 'a' && id.ptr[i] <= 'f')))
            return af_fail(err, AF_ECORRUPT, "InfluxDB's answer: the id of %s is none", what);
    if (id.len == 0 || id.len > ID_BYTES_MAX)
        return af_fail(err, AF_ECORRUPT, "InfluxDB's answer has no id of %s", what);
    *out = af_arena_copy(s->arena, id);
    return *out != NULL ? AF_OK : af_fail_nomem(err, "an id");
}

/* GET path?key=name: the item of that name in the answer's list, NULL if there is none. */
static enum af_status find_named(struct provision_session *s, const char *path, const char *list, const char *name,
                                 const struct af_json **out, struct af_error *err)
{
    struct af_buf full;
    const struct af_json *answer = NULL;
    *out = NULL;
    af_buf_init(&full, PATH_BYTES_MAX);
    af_buf_append_str(&full, path);
    af_url_append_escaped(&full, af_slice_of(name));
    enum af_status status = af_buf_check(&full, "a path", err);
    if (status == AF_OK)
        status = call(s, "GET", af_buf_cstr(&full), (struct af_slice){ NULL, 0 }, &answer, err);
    af_buf_done(&full);
    if (status == AF_ENOTFOUND) /* 2.7's way of an empty list */
        return AF_OK;
    AF_TRY(status);
    const struct af_json *items = af_json_get(answer, list);
    for (const struct af_json *item = items != NULL ? items->first : NULL; item != NULL; item = item->next)
        if (af_slice_is(af_json_string(item, "name"), name))
            *out = item;
    return AF_OK;
}

static enum af_status find_org(struct work *w, struct af_error *err)
{
    const struct af_json *org = NULL;
    AF_TRY(find_named(w->session, "/api/v2/orgs?org=", "orgs", w->order->org, &org, err));
    if (org == NULL)
        return af_fail(err, AF_ENOTFOUND, "InfluxDB has no organisation \"%s\", or the administrator is not in it", w->order->org);
    return copy_id(w->session, org, "an organisation", &w->org_id, err);
}

/* --- buckets ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status find_bucket(struct work *w, const char *name, const char **out_id, struct af_error *err)
{
    const struct af_json *bucket = NULL;
    char path[128];
    *out_id = NULL;
    (void)snprintf(path, sizeof path, "/api/v2/buckets?orgID=%s&name=", w->org_id);
    AF_TRY(find_named(w->session, path, "buckets", name, &bucket, err));
    return bucket != NULL ? copy_id(w->session, bucket, "a bucket", out_id, err) : AF_OK;
}

static enum af_status make_bucket(struct work *w, struct provision_bucket *bucket, struct af_error *err)
{
    const struct af_json *made = NULL;
    struct af_buf body;
    af_buf_init(&body, BODY_BYTES_MAX);
    af_buf_printf(&body, "{\"orgID\":\"%s\",\"name\":", w->org_id);
    af_json_append_string(&body, af_slice_of(bucket->name));
    af_buf_printf(&body, ",\"retentionRules\":[{\"type\":\"expire\",\"everySeconds\":%" PRId64, bucket->retention_s);
    if (bucket->shard_group_s != 0)
        af_buf_printf(&body, ",\"shardGroupDurationSeconds\":%" PRId64, bucket->shard_group_s);
    af_buf_append_str(&body, "}]}");
    const enum af_status status = call(w->session, "POST", "/api/v2/buckets", af_buf_slice(&body), &made, err);
    af_buf_done(&body);
    if (status == AF_ECONFLICT) /* somebody was faster */
        return find_bucket(w, bucket->name, &bucket->id, err);
    AF_TRY(status);
    bucket->is_made = true;
    return copy_id(w->session, made, "a bucket", &bucket->id, err);
}

static enum af_status need_buckets(struct work *w, struct af_error *err)
{
    for (size_t i = 0; i < w->order->bucket_count; i++) {
        struct provision_bucket *bucket = &w->order->buckets[i];
        AF_TRY(find_bucket(w, bucket->name, &bucket->id, err));
        if (bucket->id == NULL)
            AF_TRY(make_bucket(w, bucket, err));
    }
    return AF_OK;
}

/* --- permissions ------------------------------------------------------------------------------------------------------------------ */

struct permission {
    const char *action, *type, *bucket; /* bucket: its id; NULL: all of that type, everywhere */
};

static enum af_status bucket_id(struct work *w, const char *name, const char **out, struct af_error *err)
{
    for (size_t i = 0; i < w->order->bucket_count; i++)
        if (strcmp(w->order->buckets[i].name, name) == 0) {
            *out = w->order->buckets[i].id;
            return AF_OK;
        }
    AF_TRY(find_bucket(w, name, out, err));
    return *out != NULL ? AF_OK
                        : af_fail(err, AF_ENOTFOUND, "a token is to have the bucket \"%s\", which is not there and not in buckets", name);
}

static enum af_status add_buckets(struct work *w, const char *action, const char *const *names, size_t count, struct permission *out,
                                  size_t *used, struct af_error *err)
{
    for (size_t i = 0; i < count; i++) {
        out[*used] = (struct permission){ action, "buckets", NULL };
        AF_TRY(bucket_id(w, names[i], &out[*used].bucket, err));
        *used += 1;
    }
    return AF_OK;
}

static enum af_status wanted(struct work *w, const struct provision_token *token, struct permission **out, size_t *out_count,
                             struct af_error *err)
{
    const size_t cap = token->is_operator ? 2 * RESOURCES : token->read_count + token->write_count;
    *out = af_arena_zero(w->session->arena, cap, sizeof **out);
    *out_count = 0;
    if (*out == NULL)
        return af_fail_nomem(err, "permissions");
    for (size_t i = 0; i < RESOURCES && token->is_operator; i++) {
        (*out)[(*out_count)++] = (struct permission){ "read", resources[i], NULL };
        (*out)[(*out_count)++] = (struct permission){ "write", resources[i], NULL };
    }
    AF_TRY(add_buckets(w, "read", token->read, token->read_count, *out, out_count, err));
    return add_buckets(w, "write", token->write, token->write_count, *out, out_count, err);
}

static bool is_permission(const struct work *w, const struct permission *p, const struct af_json *json)
{
    const struct af_json *resource = af_json_get(json, "resource");
    const struct af_slice id = af_json_string(resource, "id"), org = af_json_string(resource, "orgID");
    if (!af_slice_is(af_json_string(json, "action"), p->action) || !af_slice_is(af_json_string(resource, "type"), p->type))
        return false;
    return p->bucket == NULL ? id.len == 0 && org.len == 0 : af_slice_is(id, p->bucket) && af_slice_is(org, w->org_id);
}

/* Exactly these, in any order. */
static bool has_exactly(const struct work *w, const struct permission *permissions, size_t count, const struct af_json *list)
{
    size_t had = 0;
    for (const struct af_json *each = list != NULL ? list->first : NULL; each != NULL; each = each->next, had++) {
        size_t i = 0;
        while (i < count && !is_permission(w, &permissions[i], each))
            i++;
        if (i == count)
            return false;
    }
    return had == count;
}

/* --- tokens ----------------------------------------------------------------------------------------------------------------------- */

static enum af_status keep(struct provision_session *s, struct af_slice text, const char **out, struct af_error *err)
{
    char *copy = af_arena_copy(s->arena, text);
    if (copy == NULL || !provision_wipe_text(s->arena, af_slice_make(copy, text.len)))
        return af_fail_nomem(err, "a token");
    *out = copy;
    return AF_OK;
}

static enum af_status read_held(struct provision_session *s, struct provision_token *token, struct af_error *err)
{
    const struct af_json *json = NULL;
    AF_TRY(provision_secret_read(s->secrets, token->secret, s->arena, &json, token->version, err));
    const struct af_slice text = af_json_string(json, "token"), id = af_json_string(json, "id"), expires = af_json_string(json, "expires");
    if (text.len == 0 || id.len == 0)
        return AF_OK;
    AF_TRY(keep(s, text, &token->token, err));
    AF_TRY(keep(s, id, &token->id, err));
    return keep(s, expires, &token->expires, err);
}

static const struct af_json *find_known(const struct work *w, const char *id)
{
    const struct af_json *each = w->known;
    while (each != NULL && !af_slice_is(af_json_string(each, "id"), id))
        each = each->next;
    return each;
}

static enum af_status is_right(struct work *w, const struct provision_token *token, const struct permission *permissions, size_t count,
                               bool *out, struct af_error *err)
{
    const struct af_json *known = token->id != NULL ? find_known(w, token->id) : NULL;
    *out = false;
    if (known == NULL || !af_slice_is(af_json_string(known, "status"), "active") ||
        !af_slice_is(af_json_string(known, "description"), token->description) ||
        !has_exactly(w, permissions, count, af_json_get(known, "permissions")))
        return AF_OK;
    return provision_influx_knows(w->session->influx, token->token, out, err);
}

static void print_permissions(const struct work *w, const struct permission *permissions, size_t count, struct af_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct permission *p = &permissions[i];
        af_buf_printf(out, "%s{\"action\":\"%s\",\"resource\":{\"type\":\"%s\"", i != 0 ? "," : "", p->action, p->type);
        if (p->bucket != NULL)
            af_buf_printf(out, ",\"orgID\":\"%s\",\"id\":\"%s\"", w->org_id, p->bucket);
        af_buf_append_str(out, "}}");
    }
}

static enum af_status create(struct work *w, struct provision_token *token, const struct permission *permissions, size_t count,
                             struct af_error *err)
{
    const struct af_json *made = NULL;
    struct af_buf body;
    af_buf_init(&body, BODY_BYTES_MAX);
    af_buf_printf(&body, "{\"orgID\":\"%s\",\"status\":\"active\",\"description\":", w->org_id);
    af_json_append_string(&body, af_slice_of(token->description));
    af_buf_append_str(&body, ",\"permissions\":[");
    print_permissions(w, permissions, count, &body);
    af_buf_append_str(&body, "]}");
    enum af_status status = af_buf_check(&body, "permissions", err);
    if (status == AF_OK)
        status = call(w->session, "POST", "/api/v2/authorizations", af_buf_slice(&body), &made, err);
    af_buf_done(&body);
    AF_TRY(status);
    AF_TRY(copy_id(w->session, made, "a token", &token->id, err));
    if (af_json_string(made, "token").len == 0)
        return af_fail(err, AF_ECORRUPT, "InfluxDB's answer to POST /api/v2/authorizations has no token");
    return keep(w->session, af_json_string(made, "token"), &token->token, err);
}

static enum af_status put(struct work *w, struct provision_token *token, struct af_error *err)
{
    char day[24];
    struct af_buf json;
    *af_date_print(day, (int32_t)(w->now_ns / AF_NS_PER_DAY + token->valid_days)) = '\0';
    AF_TRY(keep(w->session, af_slice_of(day), &token->expires, err));
    af_buf_init(&json, BODY_BYTES_MAX);
    af_buf_append_str(&json, "{\"token\":");
    af_json_append_string(&json, af_slice_of(token->token));
    af_buf_printf(&json, ",\"id\":\"%s\",\"expires\":\"%s\"}", token->id, token->expires);
    enum af_status status = af_buf_check(&json, "a secret", err);
    if (status == AF_OK)
        status = provision_secret_replace(w->session->secrets, token->secret, token->version, af_buf_slice(&json), err);
    lambda_wipe(&json);
    return status;
}

static enum af_status revoke(struct provision_session *s, const char *id, struct af_buf *revoked, struct af_error *err)
{
    const struct af_json *nothing = NULL;
    char path[128];
    (void)snprintf(path, sizeof path, "/api/v2/authorizations/%s", id);
    const enum af_status status = call(s, "DELETE", path, (struct af_slice){ NULL, 0 }, &nothing, err);
    if (status != AF_OK)
        return status == AF_ENOTFOUND ? AF_OK : status;
    af_buf_append_str(revoked, revoked->len != 0 ? "," : "");
    af_json_append_string(revoked, af_slice_of(id));
    return AF_OK;
}

/* A token that could not be put anywhere is nobody's: it does not live on, if that can be helped now. A put whose end is not known may have
 * been done, so there the next call decides. */
static enum af_status make(struct work *w, struct provision_token *token, const struct permission *permissions, size_t count,
                           struct af_error *err)
{
    AF_TRY(create(w, token, permissions, count, err));
    const enum af_status status = put(w, token, err);
    if (status != AF_OK && !af_status_is_retryable(status) && status != AF_ECANCELED)
        (void)revoke(w->session, token->id, w->revoked, NULL);
    token->is_made = status == AF_OK;
    return status;
}

static enum af_status need_token(struct work *w, struct provision_token *token, struct af_error *err)
{
    struct permission *permissions = NULL;
    size_t count = 0;
    bool right = false;
    AF_TRY(wanted(w, token, &permissions, &count, err));
    if (!w->session->rotates)
        AF_TRY(is_right(w, token, permissions, count, &right, err));
    return right ? AF_OK : make(w, token, permissions, count, err);
}

static enum af_status list_known(struct work *w, struct af_error *err)
{
    const struct af_json *answer = NULL;
    char path[128];
    (void)snprintf(path, sizeof path, "/api/v2/authorizations?orgID=%s", w->org_id);
    AF_TRY(call(w->session, "GET", path, (struct af_slice){ NULL, 0 }, &answer, err));
    const struct af_json *list = af_json_get(answer, "authorizations");
    if (list == NULL || (list->kind != AF_JSON_ARRAY && list->kind != AF_JSON_NULL))
        return af_fail(err, AF_ECORRUPT, "InfluxDB's answer to GET /api/v2/authorizations has no list of them");
    w->known = list->first;
    return AF_OK;
}

static bool is_held(const struct provision_order *order, const char *id)
{
    for (size_t i = 0; i < order->token_count; i++)
        if (order->tokens[i].id != NULL && strcmp(order->tokens[i].id, id) == 0)
            return true;
    return false;
}

/* Those that were known before anything was made, so that none of today's is among them. */
static enum af_status revoke_others(struct work *w, bool all, struct af_error *err)
{
    for (const struct af_json *each = w->known; each != NULL; each = each->next) {
        const char *id = NULL;
        if (!af_slice_has_prefix(af_json_string(each, "description"), w->order->prefix))
            continue;
        AF_TRY(copy_id(w->session, each, "a token", &id, err));
        if (all || !is_held(w->order, id))
            AF_TRY(revoke(w->session, id, w->revoked, err));
    }
    return af_buf_check(w->revoked, "an answer", err);
}

enum af_status provision_tokens(struct provision_session *session, struct provision_order *order, int64_t now_ns, struct af_buf *revoked,
                                struct af_error *err)
{
    struct work w = { .session = session, .order = order, .now_ns = now_ns, .revoked = revoked };
    AF_TRY(find_org(&w, err));
    AF_TRY(need_buckets(&w, err));
    AF_TRY(list_known(&w, err));
    for (size_t i = 0; i < order->token_count; i++) /* all, before anything is made: who is held is known then */
        AF_TRY(read_held(session, &order->tokens[i], err));
    for (size_t i = 0; i < order->token_count; i++)
        AF_TRY(need_token(&w, &order->tokens[i], err));
    return revoke_others(&w, false, err);
}

enum af_status provision_tokens_revoke(struct provision_session *session, const struct provision_order *order, struct af_buf *revoked,
                                       struct af_error *err)
{
    struct provision_order copy = *order;
    struct work w = { .session = session, .order = &copy, .revoked = revoked };
    AF_TRY(find_org(&w, err));
    AF_TRY(list_known(&w, err));
    return revoke_others(&w, true, err);
}
