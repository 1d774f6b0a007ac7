/*
 * v2_buckets.c - InfluxDB 2.x's /api/v2/buckets. Every change goes to the catalogue first and then to the engine.
 *
 * Where InfluxDB answers 500 for a retention that is too short, it is 422 here: the request is wrong, not the server.
 */
#include "base/calendar.h"
#include "server/v2.h"

static const char PATH[] = "/api/v2/buckets";

/* --- list ---------------------------------------------------------------------------------------------------------------------- */

static void print_list(struct af_request *r, const struct af_meta_filter *filter, const struct af_meta_bucket *buckets, size_t count)
{
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    v2_print_page_links(&out, r, PATH, filter, count);
    af_out_open(&out, "buckets", '[');
    for (size_t i = 0; i < count; i++)
        if (af_principal_may(&r->who, AF_ACTION_READ, "buckets", buckets[i].org, buckets[i].id))
            v2_print_bucket(&out, NULL, &buckets[i]);
    af_out_close(&out, ']');
    af_out_close(&out, '}');
}

/* The organisation to list, if one is named. An id that is none is ignored, as InfluxDB does. */
static bool read_org(struct af_request *r, struct af_meta_filter *filter)
{
    const char *id = af_serve_arg(r->http, "orgID");
    const char *name = af_serve_arg(r->http, "org");
    struct af_meta_org org;
    struct af_error err = { 0 };
    if (id != NULL && id[0] != '\0')
        return af_request_id(r, id, &filter->org);
    if (name == NULL || name[0] == '\0')
        return true;
    if (af_meta_org_find(r->house->meta, name, r->arena, &org, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return false;
    }
    filter->org = org.id;
    return true;
}

static void handle_list(struct af_request *r)
{
    struct af_meta_filter filter = { 0 };
    struct af_meta_bucket *buckets = NULL;
    size_t count = 0;
    struct af_error err = { 0 };
    const char *name = af_serve_arg(r->http, "name");
    if (!v2_paging(r, V2_PAGE_DEFAULT, &filter) || !v2_arg_id(r, "id", &filter.id) || !read_org(r, &filter))
        return;
    filter.name = name != NULL && name[0] != '\0' ? name : NULL;
    if (af_meta_buckets(r->house->meta, &filter, r->arena, &buckets, &count, &err) != AF_OK)
        af_answer_error(r, &err);
    else if (count == 0 && filter.id != 0)
        af_answer_fail(r, 404, "bucket not found");
    else if (count == 0 && filter.name != NULL && filter.org != 0)
        af_answer_fail(r, 404, "bucket \"%s\" not found", filter.name);
    else
        print_list(r, &filter, buckets, count);
}

/* --- one: read what is asked for --------------------------------------------------------------------------------------------------- */

struct rule {
    int64_t every_s, shard_s;     /* -1: not said */
};

static bool read_seconds(struct af_request *r, const struct af_json *rule, const char *key, const char *words, int64_t *out)
{
    int64_t seconds = *out;
    if (!v2_int(r, rule, key, &seconds))
        return false;
    bool is_said = seconds != *out;
    if ((is_said && seconds < 0) || seconds > INT64_MAX / AF_NS_PER_S) {
        af_answer_fail(r, 422, "%s", seconds < 0 ? words : "the retention is past 292 years; 0 stands for ever");
        return false;
    }
    *out = seconds;
    return true;
}

static bool read_rule(struct af_request *r, const struct af_json *body, struct rule *out)
{
    const struct af_json *rules = af_json_get(body, "retentionRules");
    *out = (struct rule){ INT64_MIN, INT64_MIN };
    if (rules == NULL || rules->kind == AF_JSON_NULL || (rules->kind == AF_JSON_ARRAY && rules->first == NULL))
        return true;
    if (rules->kind != AF_JSON_ARRAY || rules->first->kind != AF_JSON_OBJECT) {
        af_answer_fail(r, 400, "failed to unmarshal json: \"retentionRules\" is no list of objects");
        return false;
    }
    if (rules->first->next != NULL) {
        af_answer_fail(r, 422, "buckets cannot have more than one retention rule at this time");
        return false;
    }
    return read_seconds(r, rules->first, "everySeconds", "expiration seconds cannot be negative", &out->every_s) &&
           read_seconds(r, rules->first, "shardGroupDurationSeconds", "shard-group duration seconds cannot be negative", &out->shard_s);
}

static bool check_name(struct af_request *r, const char *name)
{
    if (name[0] == '_')
        af_answer_fail(r, 400, "bucket name %s is invalid. Buckets may not start with underscore", name);
    else if (strchr(name, '"') != NULL)
        af_answer_fail(r, 400, "bucket name %s is invalid. Bucket names may not include quotation marks", name);
    else
        return true;
    return false;
}

static bool apply_rule(struct af_request *r, const struct rule *rule, bool is_new, struct af_meta_bucket *bucket)
{
    const char *words = NULL;
    bool keeps_shard = !is_new && rule->every_s > 0 && rule->shard_s < 0;
    if (rule->every_s >= 0)
        bucket->retention_ns = rule->every_s * AF_NS_PER_S;
    if (rule->shard_s >= 0)
        bucket->shard_ns = rule->shard_s * AF_NS_PER_S;
    if (keeps_shard && bucket->retention_ns >= 3600 * AF_NS_PER_S && bucket->retention_ns < bucket->shard_ns)
        words = "shard-group duration must also be updated to be smaller than new retention duration";
    else if (v2_retention_check(bucket->retention_ns, &bucket->shard_ns, &words))
        return true;
    af_answer_fail(r, 422, "%s", words);
    return false;
}

static void answer_bucket(struct af_request *r, int http_status, const struct af_meta_bucket *bucket)
{
    struct af_out out = af_answer_json(r, http_status);
    v2_print_bucket(&out, NULL, bucket);
}

/* --- one: make, change, drop -------------------------------------------------------------------------------------------------------- */

static bool read_new(struct af_request *r, struct af_meta_bucket *out)
{
    const struct af_json *body = v2_body(r);
    struct rule rule;
    if (body == NULL || !v2_id(r, body, "orgID", &out->org) || !v2_text(r, body, "name", &out->name) ||
        !v2_text(r, body, "description", &out->description))
        return false;
    if (out->org == 0) {
        af_answer_fail(r, 400, "organization id must be provided");
        return false;
    }
    return read_rule(r, body, &rule) && check_name(r, out->name) && apply_rule(r, &rule, true, out);
}

static void handle_create(struct af_request *r)
{
    struct af_meta_bucket bucket = { .name = "", .description = "" };
    struct af_meta_org org;
    struct af_error err = { 0 };
    if (!read_new(r, &bucket) || !af_request_may(r, AF_ACTION_WRITE, "buckets", bucket.org, 0))
        return;
    enum af_status status = v2_find_org(r, bucket.org, &org, &err);
    if (status == AF_OK)
        status = v2_bucket_put(r, &bucket, true, &err);
    if (status != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "bucket created", "%s", bucket.name);
    answer_bucket(r, 201, &bucket);
}

static void handle_get(struct af_request *r)
{
    struct af_meta_bucket bucket;
    if (v2_bucket_of_path(r, AF_ACTION_READ, &bucket))
        answer_bucket(r, 200, &bucket);
}

/* A 1.x user with a grant may write points, not manage. */
static bool may_manage(struct af_request *r)
{
    if (!v2_is_granted_only(r))
        return true;
    af_audit(r, "denied", "managing buckets");
    af_answer_fail(r, 403, "insufficient permissions for write");
    return false;
}

static bool read_change(struct af_request *r, struct af_meta_bucket *bucket)
{
    const struct af_json *body = v2_body(r);
    struct rule rule;
    const char *name = NULL;
    if (body == NULL || !v2_text(r, body, "name", &name) || !v2_text(r, body, "description", &bucket->description) ||
        !read_rule(r, body, &rule))
        return false;
    if (bucket->is_system && name != NULL && strcmp(name, bucket->name) != 0) {
        af_answer_fail(r, 400, "system buckets cannot be renamed");
        return false;
    }
    if (name != NULL && !bucket->is_system) {
        if (!check_name(r, name))
            return false;
        bucket->name = name;
    }
    return apply_rule(r, &rule, false, bucket);
}

static void handle_patch(struct af_request *r)
{
    struct af_meta_bucket bucket;
    struct af_error err = { 0 };
    if (!may_manage(r) || !v2_bucket_of_path(r, AF_ACTION_WRITE, &bucket) || !read_change(r, &bucket))
        return;
    enum af_status status = v2_bucket_put(r, &bucket, false, &err);
    if (status == AF_ECONFLICT)
        af_answer_fail_code(r, 422, "conflict", "bucket name is not unique");
    else if (status != AF_OK)
        v2_answer_meta_error(r, &err);
    if (status != AF_OK)
        return;
    af_audit(r, "bucket changed", "%s", bucket.name);
    answer_bucket(r, 200, &bucket);
}

static void handle_delete(struct af_request *r)
{
    struct af_meta_bucket bucket;
    struct af_error err = { 0 };
    if (!may_manage(r) || !v2_bucket_of_path(r, AF_ACTION_WRITE, &bucket))
        return;
    if (bucket.is_system) {
        af_answer_fail(r, 400, "system buckets cannot be deleted");
        return;
    }
    if (v2_bucket_drop(r, bucket.id, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "bucket deleted", "%s", bucket.name);
    af_answer_none(r, 204);
}

/* --- what hangs on it ------------------------------------------------------------------------------------------------------------ */

static void handle_members(struct af_request *r)
{
    struct af_meta_bucket bucket;
    if (v2_bucket_of_path(r, AF_ACTION_READ, &bucket))
        v2_answer_people(r, "buckets", bucket.id, "members", false);
}

static void handle_owners(struct af_request *r)
{
    struct af_meta_bucket bucket;
    if (v2_bucket_of_path(r, AF_ACTION_READ, &bucket))
        v2_answer_people(r, "buckets", bucket.id, "owners", false);
}

static void handle_people_change(struct af_request *r)
{
    struct af_meta_bucket bucket;
    if (v2_bucket_of_path(r, AF_ACTION_WRITE, &bucket))
        v2_refuse_people(r);
}

static void handle_labels(struct af_request *r)
{
    struct af_meta_bucket bucket;
    if (!v2_bucket_of_path(r, AF_ACTION_READ, &bucket))
        return;
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    v2_print_self(&out, "/api/v2/labels");
    af_out_raw(&out, "labels", "[]");
    af_out_close(&out, '}');
}

static void handle_labels_change(struct af_request *r)
{
    struct af_meta_bucket bucket;
    if (v2_bucket_of_path(r, AF_ACTION_WRITE, &bucket))
        af_answer_fail(r, 404, "label not found");
}

const struct af_route af_routes_v2_buckets[] = {
    { "GET", "/api/v2/buckets", AF_API_V2, AF_ACCESS_TOKEN, handle_list },
    { "POST", "/api/v2/buckets", AF_API_V2, AF_ACCESS_TOKEN, handle_create },
    { "GET", "/api/v2/buckets/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_get },
    { "PATCH", "/api/v2/buckets/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_patch },
    { "DELETE", "/api/v2/buckets/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_delete },
    { "GET", "/api/v2/buckets/{}/members", AF_API_V2, AF_ACCESS_TOKEN, handle_members },
    { "GET", "/api/v2/buckets/{}/owners", AF_API_V2, AF_ACCESS_TOKEN, handle_owners },
    { "POST", "/api/v2/buckets/{}/members", AF_API_V2, AF_ACCESS_TOKEN, handle_people_change },
    { "POST", "/api/v2/buckets/{}/owners", AF_API_V2, AF_ACCESS_TOKEN, handle_people_change },
    { "DELETE", "/api/v2/buckets/{}/members/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_people_change },
    { "DELETE", "/api/v2/buckets/{}/owners/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_people_change },
    { "GET", "/api/v2/buckets/{}/labels", AF_API_V2, AF_ACCESS_TOKEN, handle_labels },
    { "POST", "/api/v2/buckets/{}/labels", AF_API_V2, AF_ACCESS_TOKEN, handle_labels_change },
    { "DELETE", "/api/v2/buckets/{}/labels/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_labels_change },
    { NULL, NULL, AF_API_V2, AF_ACCESS_TOKEN, NULL },
};
