/*
 * v2_dbrps.c - InfluxDB 2.x's /api/v2/dbrps: which bucket a 1.x database and retention policy lead to.
 *
 * Virtual mappings (a bucket's own name) are listed with the id of their bucket. They cannot be changed or dropped: a stored one takes
 * their place.
 */
#include "server/v2.h"

/* --- which organisation ---------------------------------------------------------------------------------------------------------- */

static bool find_org(struct af_request *r, const char *id, const char *name, struct af_meta_org *out)
{
    struct af_error err = { 0 };
    bool has_id = id != NULL && id[0] != '\0';
    const char *wanted = has_id ? id : name;
    if (wanted == NULL || wanted[0] == '\0') {
        af_answer_fail(r, 400, "either 'org' or 'orgID' must be provided");
        return false;
    }
    enum af_status status = af_meta_org_find(r->house->meta, wanted, r->arena, out, &err);
    if (status == AF_ENOTFOUND)
        af_answer_fail(r, 404, "invalid org \"%s\": organization not found", wanted);
    else if (status != AF_OK)
        af_answer_error(r, &err);
    return status == AF_OK;
}

static bool find_org_arg(struct af_request *r, struct af_meta_org *out)
{
    return find_org(r, af_serve_arg(r->http, "orgID"), af_serve_arg(r->http, "org"), out);
}

static bool load(struct af_request *r, uint64_t org, const char *database, struct af_meta_dbrp **out, size_t *out_count)
{
    struct af_error err = { 0 };
    enum af_status status = af_meta_dbrps(r->house->meta, org, database, r->arena, out, out_count, &err);
    if (status != AF_OK)
        af_answer_error(r, &err);
    return status == AF_OK;
}

/* --- list ---------------------------------------------------------------------------------------------------------------------- */

struct wanted {
    uint64_t id, bucket;
    const char *policy;
    int is_default;           /* -1: either */
};

static bool read_wanted(struct af_request *r, struct wanted *out)
{
    const char *policy = af_serve_arg(r->http, "rp");
    const char *text = af_serve_arg(r->http, "default");
    *out = (struct wanted){ .is_default = -1, .policy = policy != NULL && policy[0] != '\0' ? policy : NULL };
    if (text != NULL && text[0] != '\0') {
        out->is_default = strcmp(text, "true") == 0;
        if (out->is_default == 0 && strcmp(text, "false") != 0) {
            af_answer_fail(r, 400, "invalid default parameter");
            return false;
        }
    }
    return v2_arg_id(r, "id", &out->id) && v2_arg_id(r, "bucketID", &out->bucket);
}

static bool is_wanted(const struct wanted *w, const struct af_meta_dbrp *d)
{
    return (w->id == 0 || w->id == d->id) && (w->bucket == 0 || w->bucket == d->bucket) &&
           (w->policy == NULL || strcmp(w->policy, d->policy) == 0) && (w->is_default < 0 || (w->is_default != 0) == d->is_default);
}

static void print_dbrp(struct af_out *out, const char *key, const struct af_meta_dbrp *d)
{
    af_out_open(out, key, '{');
    af_out_id(out, "id", d->id);
    af_out_str(out, "database", d->database);
    af_out_str(out, "retention_policy", d->policy);
    af_out_bool(out, "default", d->is_default);
    af_out_bool(out, "virtual", d->is_virtual);
    af_out_id(out, "orgID", d->org);
    af_out_id(out, "bucketID", d->bucket);
    af_out_close(out, '}');
}

static bool may_read(const struct af_request *r, const struct af_meta_dbrp *d)
{
    return af_principal_may(&r->who, AF_ACTION_READ, "dbrp", d->org, d->id) ||
           (d->is_virtual && af_principal_may(&r->who, AF_ACTION_READ, "buckets", d->org, d->bucket));
}

static void handle_list(struct af_request *r)
{
    struct af_meta_org org;
    struct wanted wanted;
    struct af_meta_dbrp *items = NULL;
    size_t count = 0;
    const char *database = af_serve_arg(r->http, "db");
    if (!find_org_arg(r, &org) || !read_wanted(r, &wanted))
        return;
    if (!load(r, org.id, database != NULL && database[0] != '\0' ? database : NULL, &items, &count))
        return;
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    af_out_open(&out, "content", '[');
    for (size_t i = 0; i < count; i++)
        if (is_wanted(&wanted, &items[i]) && may_read(r, &items[i]))
            print_dbrp(&out, NULL, &items[i]);
    af_out_close(&out, ']');
    af_out_close(&out, '}');
}

/* --- make ---------------------------------------------------------------------------------------------------------------------- */

static bool check_names(struct af_request *r, const struct af_meta_dbrp *d)
{
    bool has_database = d->database[0] != '\0';
    if (has_database && d->policy[0] != '\0')
        return true;
    af_answer_fail(r, 400,
                   "DBRP provided is invalid: %s must contain at least one character and only be letters, numbers, '_', '-', and '.'",
                   has_database ? "retentionPolicy" : "database");
    return false;
}

static bool read_new(struct af_request *r, struct af_meta_dbrp *out)
{
    const struct af_json *body = v2_body(r);
    const char *org_id = NULL;
    const char *org_name = NULL;
    struct af_meta_org org;
    if (body == NULL || !v2_text(r, body, "orgID", &org_id) || !v2_text(r, body, "org", &org_name) ||
        !v2_id(r, body, "bucketID", &out->bucket) || !v2_text(r, body, "database", &out->database) ||
        !v2_text(r, body, "retention_policy", &out->policy) || !v2_bool(r, body, "default", &out->is_default))
        return false;
    if (!find_org(r, org_id, org_name, &org))
        return false;
    if (out->bucket == 0) {
        af_answer_fail(r, 400, "invalid bucket ID \"\": id must have a length of 16 bytes");
        return false;
    }
    if (!check_names(r, out))
        return false;
    out->org = org.id;
    return true;
}

static void handle_create(struct af_request *r)
{
    struct af_meta_dbrp dbrp = { .database = "", .policy = "" };
    struct af_meta_bucket bucket;
    struct af_error err = { 0 };
    if (!read_new(r, &dbrp) || !af_request_may(r, AF_ACTION_WRITE, "dbrp", dbrp.org, 0))
        return;
    enum af_status status = v2_find_bucket(r, dbrp.bucket, &bucket, &err);
    if (status == AF_OK && bucket.org != dbrp.org)
        status = af_fail(&err, AF_ENOTFOUND, "bucket not found");
    if (status == AF_OK)
        status = af_meta_dbrp_put(r->house->meta, &dbrp, true, &err);
    if (status != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "dbrp created", "%s/%s to bucket %s", dbrp.database, dbrp.policy, bucket.name);
    struct af_out out = af_answer_json(r, 201);
    print_dbrp(&out, NULL, &dbrp);
}

/* --- one ----------------------------------------------------------------------------------------------------------------------- */

static bool dbrp_of_path(struct af_request *r, enum af_action action, struct af_meta_dbrp *out)
{
    struct af_meta_org org;
    struct af_meta_dbrp *items = NULL;
    size_t count = 0;
    uint64_t id = 0;
    if (!af_request_id(r, r->path_args[0], &id) || !find_org_arg(r, &org) || !load(r, org.id, NULL, &items, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (items[i].id == id) {
            *out = items[i];
            return af_request_may(r, action, "dbrp", org.id, id);
        }
    }
    af_answer_fail(r, 404, "unable to find DBRP");
    return false;
}

static void answer_dbrp(struct af_request *r, const struct af_meta_dbrp *dbrp)
{
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    print_dbrp(&out, "content", dbrp);
    af_out_close(&out, '}');
}

static void handle_get(struct af_request *r)
{
    struct af_meta_dbrp dbrp;
    if (dbrp_of_path(r, AF_ACTION_READ, &dbrp))
        answer_dbrp(r, &dbrp);
}

static bool refuse_virtual(struct af_request *r, const struct af_meta_dbrp *dbrp)
{
    if (dbrp->is_virtual)
        af_answer_fail(r, 400, "the mapping %s/%s stands for a bucket's own name and is not stored: create a mapping instead",
                       dbrp->database,
                       dbrp->policy);
    return dbrp->is_virtual;
}

static void handle_patch(struct af_request *r)
{
    struct af_meta_dbrp dbrp;
    struct af_error err = { 0 };
    if (!dbrp_of_path(r, AF_ACTION_WRITE, &dbrp) || refuse_virtual(r, &dbrp))
        return;
    const struct af_json *body = v2_body(r);
    if (body == NULL || !v2_text(r, body, "retention_policy", &dbrp.policy) || !v2_bool(r, body, "default", &dbrp.is_default) ||
        !check_names(r, &dbrp))
        return;
    if (af_meta_dbrp_put(r->house->meta, &dbrp, false, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "dbrp changed", "%s/%s", dbrp.database, dbrp.policy);
    answer_dbrp(r, &dbrp);
}

static void handle_delete(struct af_request *r)
{
    struct af_meta_dbrp dbrp;
    struct af_error err = { 0 };
    if (!dbrp_of_path(r, AF_ACTION_WRITE, &dbrp) || refuse_virtual(r, &dbrp))
        return;
    if (af_meta_dbrp_drop(r->house->meta, dbrp.id, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "dbrp deleted", "%s/%s", dbrp.database, dbrp.policy);
    af_answer_none(r, 204);
}

const struct af_route af_routes_v2_dbrps[] = {
    { "GET", "/api/v2/dbrps", AF_API_V2, AF_ACCESS_TOKEN, handle_list },
    { "POST", "/api/v2/dbrps", AF_API_V2, AF_ACCESS_TOKEN, handle_create },
    { "GET", "/api/v2/dbrps/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_get },
    { "PATCH", "/api/v2/dbrps/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_patch },
    { "DELETE", "/api/v2/dbrps/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_delete },
    { NULL, NULL, AF_API_V2, AF_ACCESS_TOKEN, NULL },
};
