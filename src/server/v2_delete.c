/*
 * v2_delete.c - InfluxDB 2.x's POST /api/v2/delete: {"start": T, "stop": T, "predicate": "..."}.
 *
 * Both ends are included, as InfluxDB's engine does it. Done when it answers: no later read sees the points.
 */
#include "server/v2_delete.h"
#include "base/calendar.h"
#include "server/server_int.h"

static const char PARSING[] = "invalid request; error parsing request json: ";

/* --- times ------------------------------------------------------------------------------------------------------------------- */

/* RFC 3339 with a zone. Years that int64 nanoseconds do not reach stand for their end of time: clients say year 1 and year 9999. */
static bool parse_time(struct af_slice text, struct af_arena *arena, int64_t *out_ns)
{
    bool has_zone = false;
    if (text.len < sizeof "2009-01-02T23:00:00Z" - 1 || text.ptr[4] != '-' || (text.ptr[10] != 'T' && text.ptr[10] != 't'))
        return false;
    if (af_time_parse(text, out_ns, &has_zone))
        return has_zone;
    int year = 0;
    char *other = af_arena_copy(arena, text);
    for (size_t i = 0; i < 4; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        year = year * 10 + (text.ptr[i] - '0');
    }
    if (other == NULL || (year > 1677 && year < 2262))
        return false;
    memcpy(other, "2000", 4); /* is the rest of it a time? */
    if (!af_time_parse((struct af_slice){ other, text.len }, out_ns, &has_zone) || !has_zone)
        return false;
    *out_ns = year <= 1677 ? INT64_MIN : INT64_MAX;
    return true;
}

static bool read_time(struct af_request *r, const struct af_json *json, const char *name, int64_t *out_ns)
{
    if (parse_time(af_json_string(json, name), r->arena, out_ns))
        return true;
    af_answer_fail(r, 400, "%sinvalid RFC3339Nano for field %s, please format your time with RFC3339Nano format, example: "
                           "2009-01-02T23:00:00Z",
                   PARSING, name);
    return false;
}

/* --- what and where ---------------------------------------------------------------------------------------------------------- */

static bool find_bucket(struct af_request *r, struct af_meta_org *org, struct af_meta_bucket *out)
{
    const char *id = af_serve_arg(r->http, "bucketID");
    const char *name = id != NULL && id[0] != '\0' ? id : af_serve_arg(r->http, "bucket");
    struct af_error err = { 0 };
    if (name == NULL || name[0] == '\0') {
        af_answer_fail(r, 400, "Please provide either bucketID or bucket");
        return false;
    }
    if (!af_request_org(r, org))
        return false;
    enum af_status status = af_meta_bucket_find(r->house->meta, org->id, name, r->arena, out, &err);
    if (status == AF_ENOTFOUND)
        af_answer_fail(r, 404, "bucket \"%s\" not found", name);
    else if (status != AF_OK)
        af_answer_error(r, &err);
    return status == AF_OK && af_request_may(r, AF_ACTION_WRITE, "buckets", org->id, out->id);
}

static bool read_request(struct af_request *r, struct af_scan *out, struct delete_branch **out_branches)
{
    const struct af_json *json = af_request_json(r);
    struct af_error err = { 0 };
    if (json == NULL)
        return false;
    const struct af_json *predicate = af_json_get(json, "predicate");
    int64_t stop_ns;
    if (!read_time(r, json, "start", &out->start_ns) || !read_time(r, json, "stop", &stop_ns))
        return false;
    if (predicate != NULL && predicate->kind != AF_JSON_STRING && predicate->kind != AF_JSON_NULL) {
        af_answer_fail(r, 400, "%sthe predicate is a string", PARSING);
        return false;
    }
    out->stop_ns = stop_ns == INT64_MAX ? INT64_MAX : stop_ns + 1;
    enum af_status status = delete_text_parse(af_json_string(json, "predicate"), r->arena, out_branches, &err);
    if (status == AF_EINVAL)
        af_answer_fail(r, 400, "%s%s", PARSING, err.message);
    else if (status != AF_OK)
        af_answer_error(r, &err);
    return status == AF_OK;
}

static enum af_status erase(struct af_request *r, uint64_t bucket, struct af_scan *scan, const struct delete_branch *branch,
                            struct af_error *err)
{
    struct af_store *store;
    enum af_status status = AF_OK;
    AF_TRY(af_tsm_store_open(r->house->engine, bucket, "bucket", false, &store, err));
    for (; branch != NULL && status == AF_OK; branch = branch->next) {
        scan->measurement = branch->measurement;
        scan->predicate = branch->predicate;
        status = af_store_erase(store, scan, err);
    }
    af_store_close(store);
    return status;
}

static void handle_delete(struct af_request *r)
{
    struct af_meta_org org;
    struct af_meta_bucket bucket;
    struct af_scan scan = { 0 };
    struct delete_branch *branches = NULL;
    struct af_error err = { 0 };
    if (!find_bucket(r, &org, &bucket) || !read_request(r, &scan, &branches))
        return;
    if (scan.start_ns > scan.stop_ns) { /* InfluxDB finds nothing there and says so */
        af_answer_none(r, 204);
        return;
    }
    enum af_status status = erase(r, bucket.id, &scan, branches, &err);
    if (status == AF_ENOTFOUND)
        af_answer_fail(r, 404, "bucket \"%s\" not found", bucket.name);
    else if (status != AF_OK)
        af_answer_error(r, &err);
    if (status != AF_OK)
        return;
    af_audit(r, "delete", "bucket %s", bucket.name);
    af_answer_none(r, 204);
}

const struct af_route af_routes_v2_delete[] = {
    { "POST", "/api/v2/delete", AF_API_V2, AF_ACCESS_TOKEN, handle_delete },
    { NULL, NULL, AF_API_V2, AF_ACCESS_TOKEN, NULL },
};
