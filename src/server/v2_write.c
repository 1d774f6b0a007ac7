/*
 * v2_write.c - InfluxDB 2.x's POST /api/v2/write, in its order of checks and its words.
 *
 * A bucket that is not there by name or id may be a 1.x database: `db/rp`, as 1.8's own /api/v2/write takes it, or a database with a
 * mapping.
 */
#include "server/write.h"
#include <inttypes.h>

static bool parse_precision(struct af_request *r, enum af_precision *out)
{
    const char *given = af_serve_arg(r->http, "precision");
    *out = AF_PRECISION_NS;
    if (given == NULL || given[0] == '\0')
        return true;
    if (strcmp(given, "u") != 0 && af_precision_parse(af_slice_of(given), out))
        return true;
    af_answer_fail(r, 400, "invalid precision; valid precision units are ns, us, ms, and s");
    return false;
}

static enum af_status find_mapped(struct af_request *r, uint64_t org, const char *name, struct af_meta_bucket *out, struct af_error *err)
{
    const char *slash = strchr(name, '/');
    size_t len = slash != NULL ? (size_t)(slash - name) : strlen(name);
    const char *database = af_arena_copy(r->arena, (struct af_slice){ name, len });
    if (database == NULL)
        return af_fail_nomem(err, "a name");
    return af_meta_dbrp_find(r->house->meta, org, database, slash != NULL ? slash + 1 : NULL, r->arena, out, err);
}

static bool find_bucket(struct af_request *r, const char *name, const struct af_meta_org *org, struct af_meta_bucket *out)
{
    struct af_error err = { 0 };
    enum af_status status = af_meta_bucket_find(r->house->meta, org->id, name, r->arena, out, &err);
    if (status == AF_ENOTFOUND)
        status = find_mapped(r, org->id, name, out, &err);
    if (status == AF_ENOTFOUND)
        af_answer_fail(r, 404, "bucket \"%s\" not found", name);
    else if (status != AF_OK)
        af_answer_error(r, &err);
    return status == AF_OK;
}

static bool find_target(struct af_request *r, struct write_target *out)
{
    const char *name = af_serve_arg(r->http, "bucket");
    struct af_meta_org org;
    struct af_meta_bucket bucket;
    if (!parse_precision(r, &out->precision))
        return false;
    if (name == NULL || name[0] == '\0') {
        af_answer_fail(r, 404, "bucket not found");
        return false;
    }
    if (!af_request_org(r, &org) || !find_bucket(r, name, &org, &bucket) ||
        !af_request_may(r, AF_ACTION_WRITE, "buckets", org.id, bucket.id))
        return false;
    out->bucket = bucket.id;
    out->all_or_nothing = true;
    return true;
}

static void answer(struct af_request *r, const struct write_target *target, const struct write_result *result)
{
    static const char failure[] = "failure writing points to database: partial write";
    if (result->bad_lines > 0)
        af_answer_fail(r, 400, "%s", result->bad_words);
    else if (result->dropped > 0 && result->conflicts == 0 && result->expired > 0)
        af_answer_fail(r, 422, "%s: %s dropped=%" PRIu64 " for database: %016" PRIx64 " for retention policy: autogen", failure,
                       result->expired_words, result->dropped, target->bucket);
    else if (result->dropped > 0)
        af_answer_fail(r, 422, "%s: %s dropped=%" PRIu64, failure, result->drop_words, result->dropped);
    else
        af_answer_none(r, 204);
}

static void handle_write(struct af_request *r)
{
    struct write_target target = { 0 };
    struct write_result result;
    struct af_slice body;
    struct af_error err = { 0 };
    if (!find_target(r, &target) || !write_body(r, &body))
        return;
    if (body.len == 0) {
        af_answer_fail(r, 400, "writing requires points");
        return;
    }
    enum af_status status = write_lines(r, &target, body, &result, &err);
    if (status == AF_ENOTFOUND)
        af_answer_fail(r, 404, "bucket \"%s\" not found", af_serve_arg(r->http, "bucket"));
    else if (status != AF_OK)
        write_failed(r, &err);
    else
        answer(r, &target, &result);
}

const struct af_route af_routes_v2_write[] = {
    { "POST", "/api/v2/write", AF_API_V2, AF_ACCESS_TOKEN, handle_write },
    { NULL, NULL, AF_API_V2, AF_ACCESS_TOKEN, NULL },
};
