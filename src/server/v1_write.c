/*
 * v1_write.c - InfluxDB 1.x's POST /write, in its order of checks and its words (those of 1.8.10).
 *
 * Where we differ on purpose: a precision that is not known is refused before anything is written (1.8.10 refuses and writes all the same),
 * `us` is taken, unsigned integers are taken, and what InfluxDB answers 500 because its cache is full is 503 with Retry-After.
 */
#include "server/write.h"
#include <inttypes.h>

static bool parse_precision(struct af_request *r, enum af_precision *out)
{
    static const struct {
        const char *name;
        enum af_precision precision;
    } names[] = {
        { "", AF_PRECISION_NS }, { "n", AF_PRECISION_NS }, { "ns", AF_PRECISION_NS }, { "u", AF_PRECISION_US }, { "us", AF_PRECISION_US },
        { "ms", AF_PRECISION_MS }, { "s", AF_PRECISION_S }, { "m", AF_PRECISION_M }, { "h", AF_PRECISION_H },
    };
    const char *given = af_serve_arg(r->http, "precision");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(given != NULL ? given : "", names[i].name) == 0) {
            *out = names[i].precision;
            return true;
        }
    }
    af_answer_fail(r, 400, "invalid precision \"%s\" (use n, u, ms, s, m or h)", given);
    return false;
}

static void no_target(struct af_request *r, uint64_t org, const char *database, const char *policy)
{
    struct af_meta_bucket bucket;
    bool has_database = policy != NULL && policy[0] != '\0' &&
                        af_meta_dbrp_find(r->house->meta, org, database, NULL, r->arena, &bucket, NULL) == AF_OK;
    if (has_database)
        af_answer_fail(r, 500, "retention policy not found: %s", policy);
    else
        af_answer_fail(r, 404, "database not found: \"%s\"", database);
}

bool write_find_v1(struct af_request *r, enum af_action action, struct af_meta_bucket *out)
{
    const char *database = af_serve_arg(r->http, "db");
    const char *policy = af_serve_arg(r->http, "rp");
    struct af_meta_org org;
    struct af_error err = { 0 };
    if (database == NULL || database[0] == '\0') {
        af_answer_fail(r, 400, "database is required");
        return false;
    }
    if (!af_request_org(r, &org))
        return false;
    enum af_status status = af_meta_dbrp_find(r->house->meta, org.id, database, policy, r->arena, out, &err);
    if (status == AF_ENOTFOUND)
        no_target(r, org.id, database, policy);
    else if (status != AF_OK)
        af_answer_error(r, &err);
    return status == AF_OK && af_request_may(r, action, "buckets", org.id, out->id);
}

void write_answer_v1(struct af_request *r, const struct write_result *result)
{
    if (result->dropped > 0)
        af_answer_fail(r, 400, "partial write: %s dropped=%" PRIu64, result->drop_words, result->dropped);
    else if (result->bad_lines > 0 && result->kept > 0)
        af_answer_fail(r, 400, "partial write: %s dropped=0", result->bad_words);
    else if (result->bad_lines > 0)
        af_answer_fail(r, 400, "%s", result->bad_words);
    else
        af_answer_none(r, 204);
}

static void handle_write(struct af_request *r)
{
    struct af_meta_bucket bucket;
    struct write_target target = { 0 };
    struct write_result result;
    struct af_slice body;
    struct af_error err = { 0 };
    if (!write_find_v1(r, AF_ACTION_WRITE, &bucket) || !write_body(r, &body))
        return;
    if (body.len == 0) {
        af_answer_none(r, 204);
        return;
    }
    if (!parse_precision(r, &target.precision))
        return;
    target.bucket = bucket.id;
    enum af_status status = write_lines(r, &target, body, &result, &err);
    if (status == AF_ENOTFOUND)
        af_answer_fail(r, 404, "database not found: \"%s\"", af_serve_arg(r->http, "db"));
    else if (status != AF_OK)
        write_failed(r, &err);
    else
        write_answer_v1(r, &result);
}

const struct af_route af_routes_v1_write[] = {
    { "POST", "/write", AF_API_V1, AF_ACCESS_TOKEN, handle_write },
    { NULL, NULL, AF_API_V1, AF_ACCESS_TOKEN, NULL },
};
