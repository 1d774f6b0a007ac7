/*
 * admin.c - bucket, user, token: create, list, delete, in a data directory or on a 2.x server.
 *
 *     directory --> meta, engine \
 *                                 > rows as JSON objects --> a table, or the JSON itself
 *     server    --> /api/v2 -----/
 *
 * A directory that a server has is administered through that server.
 */
#include "base/limits.h"
#include "base/numbers.h"
#include "cli/cli.h"
#include "format/json/json.h"
#include "net/http.h"
#include "net/url.h"
#include "os/clock.h"
#include "os/file.h"
#include "server/server.h"
#include <inttypes.h>
#include <stdlib.h>

enum what { BUCKET, USER, TOKEN };
enum { NS_PER_MS = 1000000, PAGE = 100, RESULT_BYTES_MAX = 256 << 20, WORDS_MAX = 300 };
static const int64_t HISTORY_SHARD_NS = INT64_C(52) * 7 * 86400 * 1000000000;

struct admin {
    struct af_cli *cli;
    enum what what;
    const char *name;            /* or id */
    struct af_arena arena;
    struct af_buf rows;          /* JSON objects, with commas between */
    /* a directory */
    struct af_house house;
    bool has_house;
    /* a server */
    struct af_http *http;
    const char *base, *org_id;
    const char *headers[3];
};

static const char *const plurals[] = { "buckets", "users", "tokens" };

/* --- rows ------------------------------------------------------------------------------------------------------------------- */

static void put_text(struct af_buf *out, const char *name, struct af_slice text)
{
    char last = out->len != 0 ? out->ptr[out->len - 1] : '{';
    af_buf_printf(out, "%s\"%s\":", last == '{' ? "" : ",", name);
    af_json_append_string(out, text.ptr != NULL ? text : AF_SLICE_LIT(""));
}

static void put_number(struct af_buf *out, const char *name, int64_t value)
{
    char last = out->len != 0 ? out->ptr[out->len - 1] : '{';
    af_buf_printf(out, "%s\"%s\":%" PRId64, last == '{' ? "" : ",", name, value);
}

static void begin_row(struct admin *a, struct af_slice id, struct af_slice name)
{
    af_buf_append_str(&a->rows, a->rows.len != 0 ? ",{" : "{");
    put_text(&a->rows, "id", id);
    put_text(&a->rows, a->what == TOKEN ? "description" : "name", name);
}

static void end_row(struct admin *a)
{
    af_buf_append_char(&a->rows, '}');
}

static struct af_slice id_text(struct admin *a, uint64_t id)
{
    char text[AF_ID_TEXT_BYTES];
    af_id_print(id, text);
    const char *kept = af_arena_copy(&a->arena, af_slice_of(text));
    return af_slice_of(kept != NULL ? kept : "");
}

/* --- a directory ------------------------------------------------------------------------------------------------------------ */

static enum af_status house_org(struct admin *a, uint64_t *out, struct af_error *err)
{
    struct af_meta_org *orgs = NULL;
    struct af_meta_org org;
    size_t count = 0;
    struct af_meta_filter first = { .limit = 1 };
    if (a->cli->org != NULL) {
        AF_TRY(af_meta_org_find(a->house.meta, a->cli->org, &a->arena, &org, err));
        *out = org.id;
        return AF_OK;
    }
    AF_TRY(af_meta_orgs(a->house.meta, &first, &a->arena, &orgs, &count, err));
    *out = count != 0 ? orgs[0].id : 0;
    return AF_OK;
}

static void put_bucket(struct admin *a, const struct af_meta_bucket *b)
{
    begin_row(a, id_text(a, b->id), af_slice_of(b->name));
    put_number(&a->rows, "retention_s", b->retention_ns / 1000000000);
    put_number(&a->rows, "shard_s", b->shard_ns / 1000000000);
    put_text(&a->rows, "org_id", id_text(a, b->org));
    end_row(a);
}

static enum af_status house_buckets(struct admin *a, uint64_t id, struct af_meta_bucket **out, size_t *out_count, struct af_error *err)
{
    struct af_meta_filter filter = { .id = id };
    if (a->cli->org != NULL)
        AF_TRY(house_org(a, &filter.org, err));
    return af_meta_buckets(a->house.meta, &filter, &a->arena, out, out_count, err);
}

static enum af_status house_bucket_create(struct admin *a, struct af_error *err)
{
    const struct af_cli *cli = a->cli;
    struct af_meta_bucket *found = NULL;
    uint64_t id;
    size_t count = 0;
    int64_t retention_ns = (int64_t)cli->retention_ms * NS_PER_MS;
    int64_t shard_ns = cli->shard_duration_ms != 0 ? (int64_t)cli->shard_duration_ms * NS_PER_MS
                       : retention_ns != 0         ? af_tsm_default_shard_ns(retention_ns) : HISTORY_SHARD_NS;
    if (af_house_bucket(&a->house, cli->org, a->name, false, 0, &id, NULL) == AF_OK)
        return af_fail(err, AF_ECONFLICT, "there is a bucket \"%s\" already", a->name);
    AF_TRY(af_house_bucket(&a->house, cli->org, a->name, true, shard_ns, &id, err));
    AF_TRY(house_buckets(a, id, &found, &count, err));
    if (count != 1)
        return af_fail(err, AF_EBUG, "the new bucket is not there");
    found->retention_ns = retention_ns;
    if (cli->description != NULL)
        found->description = cli->description;
    AF_TRY(af_meta_bucket_put(a->house.meta, found, false, err));
    const struct af_tsm_bucket settings = { id, retention_ns, found->shard_ns };
    put_bucket(a, found);
    return af_tsm_bucket_set(a->house.engine, &settings, err);
}

static enum af_status house_bucket_delete(struct admin *a, struct af_error *err)
{
    uint64_t org;
    struct af_meta_bucket bucket;
    AF_TRY(house_org(a, &org, err));
    AF_TRY(af_meta_bucket_find(a->house.meta, org, a->name, &a->arena, &bucket, err));
    AF_TRY(af_meta_bucket_drop(a->house.meta, bucket.id, err));
    put_bucket(a, &bucket);
    return af_tsm_bucket_drop(a->house.engine, bucket.id, err);
}

static enum af_status house_bucket_list(struct admin *a, struct af_error *err)
{
    struct af_meta_bucket *buckets = NULL;
    size_t count = 0;
    AF_TRY(house_buckets(a, 0, &buckets, &count, err));
    for (size_t i = 0; i < count; i++)
        put_bucket(a, &buckets[i]);
    return AF_OK;
}

static void put_user(struct admin *a, const struct af_meta_user *u)
{
    begin_row(a, id_text(a, u->id), af_slice_of(u->name));
    put_text(&a->rows, "status", af_slice_of(u->is_active ? "active" : "inactive"));
    end_row(a);
}

static enum af_status house_users(struct admin *a, const char *name, struct af_meta_user **out, size_t *out_count, struct af_error *err)
{
    struct af_meta_filter filter = { .name = name };
    return af_meta_users(a->house.meta, &filter, &a->arena, out, out_count, err);
}

static enum af_status house_user_create(struct admin *a, struct af_error *err)
{
    struct af_meta_user user = { .name = a->name, .is_active = true, .is_admin = a->cli->admin };
    const char *password;
    AF_TRY(af_cli_take_password(a->cli, &password, err));
    AF_TRY(af_meta_user_put(a->house.meta, &user, true, err));
    if (password != NULL) {
        enum af_status status = af_meta_user_password(a->house.meta, user.id, af_slice_of(password), err);
        if (status != AF_OK) {
            (void)!af_meta_user_drop(a->house.meta, user.id, NULL);
            return status;
        }
    }
    put_user(a, &user);
    return AF_OK;
}

static enum af_status house_user_delete(struct admin *a, struct af_error *err)
{
    struct af_meta_user *users = NULL;
    size_t count = 0;
    AF_TRY(house_users(a, a->name, &users, &count, err));
    if (count == 0)
        return af_fail(err, AF_ENOTFOUND, "there is no user \"%s\"", a->name);
    put_user(a, &users[0]);
    return af_meta_user_drop(a->house.meta, users[0].id, err);
}

static enum af_status house_user_list(struct admin *a, struct af_error *err)
{
    struct af_meta_user *users = NULL;
    size_t count = 0;
    AF_TRY(house_users(a, NULL, &users, &count, err));
    for (size_t i = 0; i < count; i++)
        put_user(a, &users[i]);
    return AF_OK;
}

static void put_token(struct admin *a, const struct af_meta_token *t, const char *secret)
{
    begin_row(a, id_text(a, t->id), af_slice_of(t->description));
    put_text(&a->rows, "status", af_slice_of(t->is_active ? "active" : "inactive"));
    put_number(&a->rows, "permissions", (int64_t)t->permission_count);
    if (secret != NULL)
        put_text(&a->rows, "token", af_slice_of(secret));
    end_row(a);
}

static enum af_status bucket_permissions(struct admin *a, uint64_t org, struct af_permission *out, size_t *out_count, struct af_error *err)
{
    struct af_meta_bucket bucket;
    const char *const names[] = { a->cli->read_bucket, a->cli->write_bucket };
    *out_count = 0;
    for (size_t i = 0; i < 2; i++) {
        if (names[i] == NULL)
            continue;
        AF_TRY(af_meta_bucket_find(a->house.meta, org, names[i], &a->arena, &bucket, err));
        out[(*out_count)++] = (struct af_permission){ .action = i == 0 ? AF_ACTION_READ : AF_ACTION_WRITE, .type = "buckets", .org = org,
                                                      .id = bucket.id };
    }
    return AF_OK;
}

static enum af_status house_token_create(struct admin *a, struct af_error *err)
{
    const struct af_cli *cli = a->cli;
    struct af_permission own[2];
    struct af_meta_token token = { .description = cli->description != NULL ? cli->description : "", .is_active = true, .permissions = own };
    struct af_meta_user *users = NULL;
    size_t user_count = 0;
    const char *secret;
    AF_TRY(house_org(a, &token.org, err));
    if (token.org == 0)
        return af_fail(err, AF_ENOTFOUND, "%s has no organisation yet: make a bucket first", a->house.dir);
    AF_TRY(house_users(a, NULL, &users, &user_count, err));
    token.user = user_count != 0 ? users[0].id : 0;
    if (cli->operator_token || cli->all_access)
        AF_TRY(af_meta_all_permissions(cli->operator_token ? 0 : token.org, &a->arena, &token.permissions, &token.permission_count, err));
    else
        AF_TRY(bucket_permissions(a, token.org, own, &token.permission_count, err));
    AF_TRY(af_meta_token_new(a->house.meta, &token, NULL, &a->arena, &secret, err));
    put_token(a, &token, secret);
    return AF_OK;
}

static enum af_status house_token_delete(struct admin *a, struct af_error *err)
{
    uint64_t id;
    struct af_meta_token *tokens = NULL;
    size_t count = 0;
    if (!af_id_parse(a->name, &id))
        return af_fail(err, AF_EINVAL, "a token's id has 16 hex digits (token list shows it), not \"%s\"", a->name);
    struct af_meta_filter filter = { .id = id };
    AF_TRY(af_meta_tokens(a->house.meta, &filter, &a->arena, &tokens, &count, err));
    if (count == 0)
        return af_fail(err, AF_ENOTFOUND, "there is no token %s", a->name);
    put_token(a, &tokens[0], NULL);
    return af_meta_token_drop(a->house.meta, id, err);
}

static enum af_status house_token_list(struct admin *a, struct af_error *err)
{
    struct af_meta_token *tokens = NULL;
    size_t count = 0;
    struct af_meta_filter all = { 0 };
    AF_TRY(af_meta_tokens(a->house.meta, &all, &a->arena, &tokens, &count, err));
    for (size_t i = 0; i < count; i++)
        put_token(a, &tokens[i], NULL);
    return AF_OK;
}

/* --- a server --------------------------------------------------------------------------------------------------------------- */

static enum af_status call(struct admin *a, const char *method, const char *path, const struct af_buf *body, struct af_json **out,
                           struct af_error *err)
{
    struct af_http_answer answer;
    const char *url = af_arena_printf(&a->arena, "%s%s", a->base, path);
    if (url == NULL || (body != NULL && body->failed))
        return af_fail_nomem(err, "a request");
    const struct af_http_request request = { .method = method, .url = url, .headers = a->headers, .cancel = af_interrupt_flag(),
                                             .body = body != NULL ? af_buf_slice(body) : (struct af_slice){ NULL, 0 } };
    af_http_answer_init(&answer);
    enum af_status status = af_http_send(a->http, &request, &answer, err);
    struct af_slice text = af_slice_trim(af_buf_slice(&answer.body));
    if (status == AF_OK && (answer.status < 200 || answer.status > 299))
        status = af_fail(err, answer.status == 404 ? AF_ENOTFOUND : answer.status == 422 ? AF_ECONFLICT : answer.status == 401
                         ? AF_EUNAUTH : AF_EIO,
                         "%s answers %d: %.*s", a->base, answer.status, (int)(text.len < WORDS_MAX ? text.len : WORDS_MAX), text.ptr);
    if (status == AF_OK && out != NULL)
        status = af_json_parse(text, &a->arena, out, err);
    af_http_answer_done(&answer);
    return status;
}

static const char *query_path(struct admin *a, const char *path, const char *name, const char *value, const char *more)
{
    struct af_buf buf;
    af_buf_init(&buf, 1 << 16);
    af_buf_printf(&buf, "%s?%s=", path, name);
    af_url_append_escaped(&buf, af_slice_of(value));
    af_buf_append_str(&buf, more);
    const char *text = buf.failed ? NULL : af_arena_copy(&a->arena, af_buf_slice(&buf));
    af_buf_done(&buf);
    return text != NULL ? text : "";
}

static enum af_status need_org(struct admin *a, struct af_error *err)
{
    struct af_json *json;
    if (a->org_id != NULL)
        return AF_OK;
    const char *path = a->cli->org != NULL ? query_path(a, "/api/v2/orgs", "org", a->cli->org, "") : "/api/v2/orgs?limit=2";
    AF_TRY(call(a, "GET", path, NULL, &json, err));
    const struct af_json *orgs = af_json_get(json, "orgs");
    if (orgs == NULL || orgs->first == NULL)
        return af_fail(err, AF_ENOTFOUND, "%s: there is no organisation%s%s", a->base, a->cli->org != NULL ? " " : "",
                       a->cli->org != NULL ? a->cli->org : "");
    if (a->cli->org == NULL && orgs->first->next != NULL)
        return af_fail(err, AF_EINVAL, "%s has several organisations: say --org NAME", a->base);
    a->org_id = af_arena_copy(&a->arena, af_json_string(orgs->first, "id"));
    return a->org_id != NULL ? AF_OK : af_fail_nomem(err, "an organisation");
}

static const struct af_json *retention_rule(const struct af_json *bucket)
{
    const struct af_json *rules = af_json_get(bucket, "retentionRules");
    return rules != NULL ? rules->first : NULL;
}

static void put_remote(struct admin *a, const struct af_json *o)
{
    int64_t number = 0;
    begin_row(a, af_json_string(o, "id"), af_json_string(o, a->what == TOKEN ? "description" : "name"));
    if (a->what == BUCKET) {
        const struct af_json *rule = retention_rule(o);
        (void)!af_json_i64(rule != NULL ? af_json_get(rule, "everySeconds") : NULL, &number);
        put_number(&a->rows, "retention_s", number);
        number = 0;
        (void)!af_json_i64(rule != NULL ? af_json_get(rule, "shardGroupDurationSeconds") : NULL, &number);
        put_number(&a->rows, "shard_s", number);
        put_text(&a->rows, "org_id", af_json_string(o, "orgID"));
    } else {
        put_text(&a->rows, "status", af_json_string(o, "status"));
    }
    if (a->what == TOKEN) {
        const struct af_json *list = af_json_get(o, "permissions");
        for (const struct af_json *p = list != NULL ? list->first : NULL; p != NULL; p = p->next)
            number++;
        put_number(&a->rows, "permissions", number);
    }
    if (a->what == TOKEN && strcmp(a->cli->args[0], "create") == 0)
        put_text(&a->rows, "token", af_json_string(o, "token"));
    end_row(a);
}

static const char *const resources[] = { "buckets", "users", "authorizations" };

/* Each of the kind; `visit` true ends the search. Buckets come in pages. */
static enum af_status each_remote(struct admin *a, bool (*visit)(struct admin *a, const struct af_json *o), struct af_error *err)
{
    for (int offset = 0;; offset += PAGE) {
        struct af_json *json;
        int count = 0;
        const char *org = a->what == BUCKET && a->cli->org != NULL ? query_path(a, "", "org", a->cli->org, "") : "?";
        const char *path = af_arena_printf(&a->arena, "/api/v2/%s%s&limit=%d&offset=%d", resources[a->what], org, PAGE, offset);
        if (path == NULL)
            return af_fail_nomem(err, "a URL");
        AF_TRY(call(a, "GET", path, NULL, &json, err));
        const struct af_json *list = af_json_get(json, resources[a->what]);
        for (const struct af_json *o = list != NULL ? list->first : NULL; o != NULL; o = o->next, count++)
            if (visit(a, o))
                return AF_OK;
        if (count < PAGE || a->what == TOKEN) /* the list of authorizations has no pages */
            return AF_OK;
    }
}

static bool visit_row(struct admin *a, const struct af_json *o)
{
    put_remote(a, o);
    return false;
}

static bool visit_named(struct admin *a, const struct af_json *o)
{
    if (!af_slice_is(af_json_string(o, a->what == TOKEN ? "id" : "name"), a->name) && !af_slice_is(af_json_string(o, "id"), a->name))
        return false;
    put_remote(a, o);
    return true;
}

static enum af_status remote_list(struct admin *a, struct af_error *err)
{
    return each_remote(a, visit_row, err);
}

static enum af_status remote_delete(struct admin *a, struct af_error *err)
{
    struct af_json *row;
    AF_TRY(each_remote(a, visit_named, err));
    if (a->rows.len == 0)
        return af_fail(err, AF_ENOTFOUND, "%s: there is no such %.*s: \"%s\"", a->base, (int)strlen(plurals[a->what]) - 1,
                       plurals[a->what], a->name);
    AF_TRY(af_json_parse(af_buf_slice(&a->rows), &a->arena, &row, err));
    struct af_slice id = af_json_string(row, "id");
    const char *path = af_arena_printf(&a->arena, "/api/v2/%s/%.*s", resources[a->what], (int)id.len, id.ptr);
    return path != NULL ? call(a, "DELETE", path, NULL, NULL, err) : af_fail_nomem(err, "a URL");
}

static enum af_status print_bucket_body(struct admin *a, struct af_buf *body, struct af_error *err)
{
    const struct af_cli *cli = a->cli;
    AF_TRY(need_org(a, err));
    af_buf_append_char(body, '{');
    put_text(body, "orgID", af_slice_of(a->org_id));
    put_text(body, "name", af_slice_of(a->name));
    put_text(body, "description", af_slice_of(cli->description != NULL ? cli->description : ""));
    af_buf_printf(body, ",\"retentionRules\":[{\"type\":\"expire\",\"everySeconds\":%" PRIu64, cli->retention_ms / 1000);
    uint64_t shard_s = cli->shard_duration_ms != 0 ? cli->shard_duration_ms / 1000
                       : cli->retention_ms == 0    ? (uint64_t)(HISTORY_SHARD_NS / 1000000000) : 0;
    if (shard_s != 0)
        af_buf_printf(body, ",\"shardGroupDurationSeconds\":%" PRIu64, shard_s);
    af_buf_append_str(body, "}]}");
    return AF_OK;
}

static void put_permission(struct af_buf *body, const char *action, const char *type, struct af_slice id, const char *org)
{
    bool is_first = body->ptr[body->len - 1] == '[';
    af_buf_printf(body, "%s{\"action\":\"%s\",\"resource\":{\"type\":\"%s\"", is_first ? "" : ",", action, type);
    if (id.len != 0)
        put_text(body, "id", id);
    if (org != NULL)
        put_text(body, "orgID", af_slice_of(org));
    af_buf_append_str(body, "}}");
}

static enum af_status put_bucket_permission(struct admin *a, struct af_buf *body, const char *action, const char *name,
                                            struct af_error *err)
{
    struct af_json *json;
    if (name == NULL)
        return AF_OK;
    const char *org = af_arena_printf(&a->arena, "&orgID=%s", a->org_id);
    AF_TRY(call(a, "GET", query_path(a, "/api/v2/buckets", "name", name, org != NULL ? org : ""), NULL, &json, err));
    const struct af_json *buckets = af_json_get(json, "buckets");
    if (buckets == NULL || buckets->first == NULL)
        return af_fail(err, AF_ENOTFOUND, "%s: there is no bucket \"%s\"", a->base, name);
    put_permission(body, action, "buckets", af_json_string(buckets->first, "id"), a->org_id);
    return AF_OK;
}

static enum af_status put_all_permissions(struct admin *a, struct af_buf *body, bool is_operator, struct af_error *err)
{
    struct af_json *types;
    AF_TRY(call(a, "GET", "/api/v2/resources", NULL, &types, err));
    for (const struct af_json *t = types->first; t != NULL; t = t->next) {
        const char *type = af_arena_copy(&a->arena, t->text);
        if (type == NULL)
            return af_fail_nomem(err, "permissions");
        bool is_orgs = strcmp(type, "orgs") == 0; /* an organisation is named itself, not as the owner */
        if (strcmp(type, "instance") == 0 || (!is_operator && strcmp(type, "users") == 0))
            continue;
        struct af_slice id = !is_operator && is_orgs ? af_slice_of(a->org_id) : (struct af_slice){ NULL, 0 };
        put_permission(body, "read", type, id, is_operator || is_orgs ? NULL : a->org_id);
        put_permission(body, "write", type, id, is_operator || is_orgs ? NULL : a->org_id);
    }
    return AF_OK;
}

static enum af_status print_token_body(struct admin *a, struct af_buf *body, struct af_error *err)
{
    const struct af_cli *cli = a->cli;
    AF_TRY(need_org(a, err));
    af_buf_append_char(body, '{');
    put_text(body, "orgID", af_slice_of(a->org_id));
    put_text(body, "description", af_slice_of(cli->description != NULL ? cli->description : ""));
    af_buf_append_str(body, ",\"permissions\":[");
    if (cli->operator_token || cli->all_access) {
        AF_TRY(put_all_permissions(a, body, cli->operator_token, err));
    } else {
        AF_TRY(put_bucket_permission(a, body, "read", cli->read_bucket, err));
        AF_TRY(put_bucket_permission(a, body, "write", cli->write_bucket, err));
    }
    af_buf_append_str(body, "]}");
    return AF_OK;
}

static enum af_status set_password(struct admin *a, const struct af_json *user, const char *password, struct af_error *err)
{
    struct af_buf body;
    struct af_slice id = af_json_string(user, "id");
    const char *path = af_arena_printf(&a->arena, "/api/v2/users/%.*s/password", (int)id.len, id.ptr);
    if (path == NULL)
        return af_fail_nomem(err, "a URL");
    af_buf_init(&body, 1 << 16);
    af_buf_append_char(&body, '{');
    put_text(&body, "password", af_slice_of(password));
    af_buf_append_char(&body, '}');
    enum af_status status = call(a, "POST", path, &body, NULL, err);
    af_buf_done(&body);
    return status;
}

static enum af_status print_body(struct admin *a, struct af_buf *body, struct af_error *err)
{
    if (a->what == BUCKET)
        return print_bucket_body(a, body, err);
    if (a->what == TOKEN)
        return print_token_body(a, body, err);
    af_buf_append_char(body, '{');
    put_text(body, "name", af_slice_of(a->name));
    af_buf_append_char(body, '}');
    return AF_OK;
}

static enum af_status remote_create(struct admin *a, struct af_error *err)
{
    struct af_buf body;
    struct af_json *made = NULL;
    const char *password = NULL;
    const char *path = af_arena_printf(&a->arena, "/api/v2/%s", resources[a->what]);
    if (path == NULL)
        return af_fail_nomem(err, "a URL");
    if (a->what == USER)
        AF_TRY(af_cli_take_password(a->cli, &password, err));
    af_buf_init(&body, 1 << 20);
    enum af_status status = print_body(a, &body, err);
    if (status == AF_OK)
        status = call(a, "POST", path, &body, &made, err);
    if (status == AF_OK && password != NULL)
        status = set_password(a, made, password, err);
    af_buf_done(&body);
    if (status == AF_OK)
        put_remote(a, made);
    return status;
}

/* --- results ---------------------------------------------------------------------------------------------------------------- */

enum { COLUMNS_MAX = 8 };

static void print_table(const struct af_json *rows)
{
    int widths[COLUMNS_MAX] = { 0 };
    for (const struct af_json *row = rows->first; row != NULL; row = row->next) {
        size_t i = 0;
        for (const struct af_json *cell = row->first; cell != NULL && i < COLUMNS_MAX; cell = cell->next, i++) {
            int len = (int)(cell->text.len > cell->key.len ? cell->text.len : cell->key.len);
            widths[i] = len > widths[i] ? len : widths[i];
        }
    }
    for (int line = -1;; line++) {
        const struct af_json *row = rows->first;
        for (int k = 0; k < line && row != NULL; k++)
            row = row->next;
        if (row == NULL)
            return;
        size_t i = 0;
        for (const struct af_json *cell = row->first; cell != NULL && i < COLUMNS_MAX; cell = cell->next, i++) {
            struct af_slice text = line < 0 ? cell->key : cell->text;
            (void)printf("%-*.*s%s", cell->next != NULL ? widths[i] : 0, (int)text.len, text.ptr, cell->next != NULL ? "  " : "\n");
        }
    }
}

static enum af_status print_rows(struct admin *a, struct af_error *err)
{
    struct af_buf out;
    struct af_json *json;
    af_buf_init(&out, RESULT_BYTES_MAX);
    bool is_list = strcmp(a->cli->args[0], "list") == 0;
    if (!a->cli->json || !is_list)
        af_buf_printf(&out, "%s%.*s%s", a->cli->json ? "" : "[", (int)a->rows.len, a->rows.len != 0 ? a->rows.ptr : "",
                      a->cli->json ? "\n" : "]");
    else
        af_buf_printf(&out, "{\"%s\":[%.*s]}\n", plurals[a->what], (int)a->rows.len, a->rows.len != 0 ? a->rows.ptr : "");
    enum af_status status = af_buf_check(&out, "the result", err);
    if (status == AF_OK && a->cli->json)
        status = af_cli_out(af_buf_slice(&out), err);
    else if (status == AF_OK && (status = af_json_parse(af_buf_slice(&out), &a->arena, &json, err)) == AF_OK)
        print_table(json);
    af_buf_done(&out);
    return status;
}

/* --- where ------------------------------------------------------------------------------------------------------------------ */

static enum af_status open_server(struct admin *a, const char *url, struct af_error *err)
{
    const struct af_http_options http = { .skip_verify = a->cli->insecure, .ca_file = a->cli->ca_file,
                                          .stall_timeout_ms = af_cli_ms(a->cli->timeout_ms),
                                              .connect_timeout_ms = af_cli_ms(a->cli->timeout_ms) };
    size_t len = strlen(url);
    AF_TRY(af_cli_take_token(a->cli, err));
    while (len != 0 && url[len - 1] == '/')
        len--;
    a->base = af_arena_copy(&a->arena, af_slice_make(url, len));
    a->headers[0] = "Content-Type: application/json";
    a->headers[1] = a->cli->token != NULL ? af_arena_printf(&a->arena, "Authorization: Token %s", a->cli->token) : NULL;
    if (a->base == NULL || (a->cli->token != NULL && a->headers[1] == NULL))
        return af_fail_nomem(err, "a connection");
    af_http_init();
    return af_http_new(&http, &a->http, err);
}

static enum af_status open_target(struct admin *a, const char *target, struct af_error *err)
{
    struct af_house_options options;
    struct af_error why = { 0 };
    const char *url = NULL, *token_file = NULL;
    if (af_url_is_http(target))
        return open_server(a, target, err);
    if (!af_cli_is_directory(target))
        return af_fail(err, AF_EUNSUPPORTED, "%s: a target is a directory or http(s)://host:port", target);
    if (strcmp(a->cli->args[0], "create") != 0)
        AF_TRY(af_cli_need_house(target, err));
    af_cli_house_options(a->cli, target, &options);
    enum af_status status = af_house_open(&options, &a->house, &why);
    a->has_house = status == AF_OK;
    if (status != AF_EBUSY || af_cli_find_server(target, &url, &token_file, NULL) != AF_OK) {
        *err = why;
        return status;
    }
    af_cli_say(a->cli, "%s is served at %s: going through that server", target, url);
    if (a->cli->token == NULL && a->cli->token_file == NULL)
        a->cli->token_file = token_file;
    return open_server(a, url, err);
}

typedef enum af_status (*act)(struct admin *a, struct af_error *err);
static const act house_acts[3][3] = { { house_bucket_create, house_bucket_list, house_bucket_delete },
                                      { house_user_create, house_user_list, house_user_delete },
                                      { house_token_create, house_token_list, house_token_delete } };
static const act remote_acts[3] = { remote_create, remote_list, remote_delete };

static int run(struct admin *a, const char *target, int verb)
{
    struct af_error err = { 0 };
    enum af_status status = open_target(a, target, &err);
    if (status == AF_OK)
        status = a->has_house ? house_acts[a->what][verb](a, &err) : remote_acts[verb](a, &err);
    if (status == AF_OK)
        status = print_rows(a, &err);
    if (a->has_house)
        af_house_close(&a->house);
    if (a->http != NULL)
        af_http_free(a->http);
    return status == AF_OK ? AF_EXIT_DONE : af_cli_fail(a->cli, &err);
}

/* `needs`: how many arguments create, list, delete take after the verb. */
static int administer(struct af_cli *cli, enum what what, const size_t needs[3])
{
    static const char *const verbs[] = { "create", "list", "delete" };
    struct admin a = { .cli = cli, .what = what };
    int verb = -1;
    for (int i = 0; i < 3; i++)
        if (cli->arg_count != 0 && strcmp(cli->args[0], verbs[i]) == 0)
            verb = i;
    if (verb < 0)
        return af_cli_usage_error(cli, "%s takes create, list or delete", cli->program_command);
    if (cli->arg_count != 1 + needs[verb])
        return af_cli_usage_error(cli, "%s %s takes %s", cli->program_command, verbs[verb],
                                  needs[verb] == 0 ? "no further argument" : what == TOKEN ? "an id" : "a name");
    const char *target = af_cli_target_url(cli->to);
    if (target == NULL)
        return af_cli_usage_error(cli, "which target? Say --to DIRECTORY or --to http://host:8086");
    a.name = needs[verb] != 0 ? cli->args[1] : NULL;
    af_arena_init(&a.arena, SIZE_MAX / 2);
    af_buf_init(&a.rows, RESULT_BYTES_MAX);
    int code = run(&a, target, verb);
    af_buf_done(&a.rows);
    af_arena_done(&a.arena);
    return code;
}

int af_cli_bucket(struct af_cli *cli)
{
    return administer(cli, BUCKET, (const size_t[]){ 1, 0, 1 });
}

int af_cli_user(struct af_cli *cli)
{
    return administer(cli, USER, (const size_t[]){ 1, 0, 1 });
}

int af_cli_token(struct af_cli *cli)
{
    bool has_any = cli->operator_token || cli->all_access || cli->read_bucket != NULL || cli->write_bucket != NULL;
    if (cli->arg_count != 0 && strcmp(cli->args[0], "create") == 0 && !has_any)
        return af_cli_usage_error(cli, "what may the token do? Say --read-bucket, --write-bucket, --all-access or --operator");
    return administer(cli, TOKEN, (const size_t[]){ 0, 0, 1 });
}
