/*
 * v2_tokens.c - InfluxDB 2.x's /api/v2/authorizations.
 *
 * A token is told once, when it is made: only its digest is kept. InfluxDB lists tokens in the clear; here `token` is empty in every
 * later answer. Nobody can give what he does not have: each permission asked for must be one that the asker has himself.
 */
#include "server/v2.h"

static const char PATH[] = "/api/v2/authorizations";

/* --- list ---------------------------------------------------------------------------------------------------------------------- */

static bool find_org_arg(struct af_request *r, struct af_meta_filter *filter)
{
    const char *name = af_serve_arg(r->http, "org");
    struct af_meta_org org;
    struct af_error err = { 0 };
    if (!v2_arg_id(r, "orgID", &filter->org))
        return false;
    if (filter->org != 0 || name == NULL || name[0] == '\0')
        return true;
    if (af_meta_org_find(r->house->meta, name, r->arena, &org, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return false;
    }
    filter->org = org.id;
    return true;
}

static bool find_user_arg(struct af_request *r, struct af_meta_filter *filter)
{
    const char *name = af_serve_arg(r->http, "user");
    struct af_meta_user *users = NULL;
    size_t count = 0;
    struct af_error err = { 0 };
    if (!v2_arg_id(r, "userID", &filter->user))
        return false;
    if (filter->user != 0 || name == NULL || name[0] == '\0')
        return true;
    struct af_meta_filter by_name = { .name = name };
    if (af_meta_users(r->house->meta, &by_name, r->arena, &users, &count, &err) != AF_OK) {
        af_answer_error(r, &err);
        return false;
    }
    if (count == 0)
        af_answer_fail(r, 404, "user not found");
    else
        filter->user = users[0].id;
    return count != 0;
}

static bool may_read(const struct af_request *r, const struct af_meta_token *token)
{
    return r->who.token == token->id || af_principal_may(&r->who, AF_ACTION_READ, "authorizations", token->org, token->id);
}

static void handle_list(struct af_request *r)
{
    struct af_meta_filter filter = { 0 };
    struct af_meta_token *tokens = NULL;
    size_t count = 0;
    struct af_error err = { 0 };
    if (!find_org_arg(r, &filter) || !find_user_arg(r, &filter))
        return;
    if (af_meta_tokens(r->house->meta, &filter, r->arena, &tokens, &count, &err) != AF_OK) {
        af_answer_error(r, &err);
        return;
    }
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    v2_print_self(&out, PATH);
    af_out_open(&out, "authorizations", '[');
    for (size_t i = 0; i < count; i++)
        if (may_read(r, &tokens[i]))
            v2_print_token(&out, r, NULL, &tokens[i], NULL);
    af_out_close(&out, ']');
    af_out_close(&out, '}');
}

/* --- make ---------------------------------------------------------------------------------------------------------------------- */

static bool read_permission(struct af_request *r, const struct af_json *json, struct af_permission *out)
{
    const char *action = NULL;
    const char *type = NULL;
    const struct af_json *resource = af_json_get(json, "resource");
    if (!v2_text(r, json, "action", &action) || !v2_text(r, resource, "type", &type) || !v2_id(r, resource, "orgID", &out->org) ||
        !v2_id(r, resource, "id", &out->id))
        return false;
    bool is_read = action != NULL && strcmp(action, "read") == 0;
    if (!is_read && (action == NULL || strcmp(action, "write") != 0)) {
        af_answer_fail(r, 400, "invalid action type for permission: unknown action for permission");
        return false;
    }
    if (type == NULL || !v2_is_resource_type(type)) {
        af_answer_fail(r, 400, "invalid resource type for permission: unknown resource type for permission");
        return false;
    }
    out->action = is_read ? AF_ACTION_READ : AF_ACTION_WRITE;
    out->type = type;
    return true;
}

static bool read_permissions(struct af_request *r, const struct af_json *body, struct af_meta_token *token)
{
    const struct af_json *list = af_json_get(body, "permissions");
    size_t count = 0;
    for (const struct af_json *p = list != NULL && list->kind == AF_JSON_ARRAY ? list->first : NULL; p != NULL; p = p->next)
        count++;
    if (count == 0) {
        af_answer_fail(r, 400, "authorization must include permissions");
        return false;
    }
    token->permissions = af_arena_zero(r->arena, count, sizeof *token->permissions);
    if (token->permissions == NULL) {
        af_answer_fail(r, 503, "no memory for the permissions; try again");
        return false;
    }
    for (const struct af_json *p = list->first; p != NULL; p = p->next)
        if (!read_permission(r, p, &token->permissions[token->permission_count++]))
            return false;
    return true;
}

static bool has_all(struct af_request *r, const struct af_meta_token *token)
{
    for (size_t i = 0; i < token->permission_count; i++) {
        const struct af_permission *p = &token->permissions[i];
        if (af_principal_may(&r->who, p->action, p->type, p->org, p->id))
            continue;
        af_audit(r, "denied", "a token with more rights than one's own");
        af_answer_fail(r, 403, "permission %s:%s is not allowed: nobody can give more than he has",
                       p->action == AF_ACTION_READ ? "read" : "write", p->type);
        return false;
    }
    return true;
}

static bool check_owner(struct af_request *r, const struct af_meta_token *token)
{
    struct af_meta_org org;
    struct af_meta_user user;
    if (v2_find_org(r, token->org, &org, NULL) != AF_OK || (token->user != 0 && v2_find_user(r, token->user, &user, NULL) != AF_OK)) {
        af_answer_fail(r, 400, "unable to create token");
        return false;
    }
    return token->user == r->who.user || af_request_may(r, AF_ACTION_WRITE, "users", 0, token->user);
}

static bool read_token(struct af_request *r, struct af_meta_token *token)
{
    const struct af_json *body = v2_body(r);
    if (body == NULL || !v2_id(r, body, "orgID", &token->org) || !v2_id(r, body, "userID", &token->user) ||
        !v2_text(r, body, "description", &token->description))
        return false;
    if (!v2_status(r, body, "invalid status: must be active or inactive", &token->is_active) || !read_permissions(r, body, token))
        return false;
    if (token->org == 0)
        af_answer_fail(r, 400, "org id required: invalid ID");
    return token->org != 0;
}

static void handle_create(struct af_request *r)
{
    struct af_meta_token token = { .description = "", .is_active = true, .user = r->who.user };
    const char *secret = NULL;
    struct af_error err = { 0 };
    if (!read_token(r, &token) || !af_request_may(r, AF_ACTION_WRITE, "authorizations", token.org, 0) || !has_all(r, &token) ||
        !check_owner(r, &token))
        return;
    if (af_meta_token_new(r->house->meta, &token, NULL, r->arena, &secret, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    char id[AF_ID_TEXT_BYTES];
    af_id_print(token.id, id);
    af_audit(r, "token created", "%s", id);
    struct af_out out = af_answer_json(r, 201);
    v2_print_token(&out, r, NULL, &token, secret);
}

/* --- one ----------------------------------------------------------------------------------------------------------------------- */

static bool token_of_path(struct af_request *r, enum af_action action, struct af_meta_token *out)
{
    struct af_meta_filter filter = { 0 };
    struct af_meta_token *found = NULL;
    size_t count = 0;
    struct af_error err = { 0 };
    if (!af_request_id(r, r->path_args[0], &filter.id))
        return false;
    if (af_meta_tokens(r->house->meta, &filter, r->arena, &found, &count, &err) != AF_OK) {
        af_answer_error(r, &err);
        return false;
    }
    if (count == 0) {
        af_answer_fail(r, 404, "authorization not found");
        return false;
    }
    *out = found[0];
    bool is_own = action == AF_ACTION_READ && r->who.token == out->id;
    return is_own || af_request_may(r, action, "authorizations", out->org, out->id);
}

static void handle_get(struct af_request *r)
{
    struct af_meta_token token;
    if (!token_of_path(r, AF_ACTION_READ, &token))
        return;
    struct af_out out = af_answer_json(r, 200);
    v2_print_token(&out, r, NULL, &token, NULL);
}

static void handle_patch(struct af_request *r)
{
    struct af_meta_token token;
    struct af_error err = { 0 };
    if (!token_of_path(r, AF_ACTION_WRITE, &token))
        return;
    const struct af_json *body = v2_body(r);
    if (body == NULL || !v2_text(r, body, "description", &token.description) ||
        !v2_status(r, body, "unknown authorization status", &token.is_active))
        return;
    if (af_meta_token_set(r->house->meta, &token, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "token changed", "%s, %s", r->path_args[0], token.is_active ? "active" : "inactive");
    struct af_out out = af_answer_json(r, 200);
    v2_print_token(&out, r, NULL, &token, NULL);
}

static void handle_delete(struct af_request *r)
{
    struct af_meta_token token;
    struct af_error err = { 0 };
    if (!token_of_path(r, AF_ACTION_WRITE, &token))
        return;
    if (af_meta_token_drop(r->house->meta, token.id, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "token deleted", "%s", r->path_args[0]);
    af_answer_none(r, 204);
}

const struct af_route af_routes_v2_tokens[] = {
    { "GET", "/api/v2/authorizations", AF_API_V2, AF_ACCESS_TOKEN, handle_list },
    { "POST", "/api/v2/authorizations", AF_API_V2, AF_ACCESS_TOKEN, handle_create },
    { "GET", "/api/v2/authorizations/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_get },
    { "PATCH", "/api/v2/authorizations/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_patch },
    { "DELETE", "/api/v2/authorizations/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_delete },
    { NULL, NULL, AF_API_V2, AF_ACCESS_TOKEN, NULL },
};
