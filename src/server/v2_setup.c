/*
 * v2_setup.c - InfluxDB 2.x's first steps: /api/v2/setup, /signin, /signout.
 *
 * The server sets itself up when it first starts, so that nobody else can do it first: GET says allowed false from then on.
 */
#include "base/calendar.h"
#include "server/v2.h"

enum { COOKIE_SECONDS = 3600 };

static void handle_is_allowed(struct af_request *r)
{
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    af_out_bool(&out, "allowed", !af_meta_is_set_up(r->house->meta));
    af_out_close(&out, '}');
}

/* --- POST /api/v2/setup ------------------------------------------------------------------------------------------------------ */

static bool read_retention(struct af_request *r, const struct af_json *body, int64_t *out_ns)
{
    int64_t seconds = 0, hours = 0;
    if (!v2_int(r, body, "retentionPeriodSeconds", &seconds) || !v2_int(r, body, "retentionPeriodHrs", &hours))
        return false;
    if (seconds == 0 && hours > 0 && hours <= INT64_MAX / 3600)
        seconds = hours * 3600;
    int64_t shard_ns = 0;
    const char *words = "expiration seconds cannot be negative";
    if (seconds >= 0 && seconds <= INT64_MAX / AF_NS_PER_S && v2_retention_check(seconds * AF_NS_PER_S, &shard_ns, &words)) {
        *out_ns = seconds * AF_NS_PER_S;
        return true;
    }
    af_answer_fail(r, 422, "%s", words);
    return false;
}

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static bool read_setup(struct af_request *r, struct af_meta_setup *out)
{
    const struct af_json *body = v2_body(r);
    if (body == NULL || !v2_text(r, body, "username", &out->user) || !v2_text(r, body, "password", &out->password) ||
        !v2_text(r, body, "org", &out->org) || !v2_text(r, body, "bucket", &out->bucket) || !v2_text(r, body, "token", &out->token) ||
        !read_retention(r, body, &out->retention_ns))
        return false;
    out->password = is_given(out->password) ? out->password : NULL;
    out->token = is_given(out->token) ? out->token : NULL;
    if (is_given(out->user) && is_given(out->org) && is_given(out->bucket))
        return true;
    af_answer_fail(r, 422, "onboarding failed: missing required fields [%s%s%s]", is_given(out->user) ? "" : "username ",
                   is_given(out->org) ? "" : "org ", is_given(out->bucket) ? "" : "bucket");
    return false;
}

static void handle_setup(struct af_request *r)
{
    struct af_meta_setup setup = { 0 };
    struct af_error err = { 0 };
    struct af_meta_user user;
    struct af_meta_org org;
    struct af_meta_bucket bucket;
    struct af_meta_token token;
    const char *secret = NULL;
    if (af_meta_is_set_up(r->house->meta)) {
        af_answer_fail_code(r, 422, "conflict", "onboarding has already been completed");
        return;
    }
    if (!read_setup(r, &setup))
        return;
    enum af_status status = af_meta_setup(r->house->meta, &setup, r->arena, &user, &org, &bucket, &token, &secret, &err);
    if (status == AF_OK) {
        struct af_tsm_bucket settings = { bucket.id, bucket.retention_ns, bucket.shard_ns };
        status = af_tsm_bucket_set(r->house->engine, &settings, &err);
    }
    if (status != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "setup", "organization %s, user %s", org.name, user.name);
    struct af_out out = af_answer_json(r, 201);
    af_out_open(&out, NULL, '{');
    v2_print_user(&out, "user", &user, NULL);
    v2_print_bucket(&out, "bucket", &bucket);
    v2_print_org(&out, r, "org", &org);
    v2_print_token(&out, r, "auth", &token, secret);
    af_out_close(&out, '}');
}

/* --- sessions ------------------------------------------------------------------------------------------------------------------ */

/* Who signs in without authentication is the first user. */
static uint64_t first_user(struct af_request *r)
{
    struct af_meta_user *users = NULL;
    size_t count = 0;
    struct af_meta_filter first = { .limit = 1 };
    enum af_status status = af_meta_users(r->house->meta, &first, r->arena, &users, &count, NULL);
    return status == AF_OK && count != 0 ? users[0].id : 0;
}

static void handle_signin(struct af_request *r)
{
    struct af_error err = { 0 };
    const char *key = NULL;
    uint64_t user = r->who.is_everybody ? first_user(r) : r->who.token == 0 ? r->who.user : 0;
    if (user == 0) { /* a token is no password */
        af_answer_fail(r, 401, "unauthorized access");
        return;
    }
    if (af_session_new(r->server, user, r->arena, &key, &err) != AF_OK) {
        af_answer_error(r, &err);
        return;
    }
    const char *cookie = af_arena_printf(r->arena, "influxdb-oss-session=%s; Path=/api/; Max-Age=%d; HttpOnly; SameSite=Strict%s", key,
                                         COOKIE_SECONDS, r->http->is_tls ? "; Secure" : "");
    if (cookie == NULL) {
        af_answer_fail(r, 503, "no memory for a session; try again");
        return;
    }
    af_serve_add_header(r->answer, "Set-Cookie", cookie);
    af_audit(r, "signin", "%s", "");
    af_answer_none(r, 204);
}

static void handle_signout(struct af_request *r)
{
    const char *key = af_request_session(r);
    if (key == NULL) {
        af_answer_fail(r, 401, "unauthorized access");
        return;
    }
    af_session_end(r->server, key);
    af_audit(r, "signout", "%s", "");
    af_answer_none(r, 204);
}

const struct af_route af_routes_v2_setup[] = {
    { "GET", "/api/v2/setup", AF_API_V2, AF_ACCESS_OPEN, handle_is_allowed },
    { "POST", "/api/v2/setup", AF_API_V2, AF_ACCESS_OPEN, handle_setup },
    { "POST", "/api/v2/signin", AF_API_V2, AF_ACCESS_TOKEN, handle_signin },
    { "POST", "/api/v2/signout", AF_API_V2, AF_ACCESS_TOKEN, handle_signout },
    { NULL, NULL, AF_API_V2, AF_ACCESS_TOKEN, NULL },
};
