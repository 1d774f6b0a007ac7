/*
 * v2_users.c - InfluxDB 2.x's /api/v2/users and /api/v2/me. A user of 2.x and one of 1.x are the same.
 *
 * /me/password wants the present password (Basic) or a session: a token that leaked must not become a password. Who may write users may
 * not touch a user who may everything, unless he may everything himself: he would become him. A new password ends the user's sessions.
 */
#include "server/core.h"
#include "server/v2.h"

enum { PASSWORD_MIN = 8, PASSWORD_MAX = 72 };

/* --- list ---------------------------------------------------------------------------------------------------------------------- */

static bool may_read(const struct af_request *r, const struct af_meta_user *user)
{
    return r->who.user == user->id || af_principal_may(&r->who, AF_ACTION_READ, "users", 0, user->id);
}

static void handle_list(struct af_request *r)
{
    struct af_meta_filter filter = { 0 };
    struct af_meta_user *users = NULL;
    size_t count = 0;
    struct af_error err = { 0 };
    const char *name = af_serve_arg(r->http, "name");
    if (!v2_paging(r, V2_PAGE_DEFAULT, &filter) || !v2_arg_id(r, "id", &filter.id))
        return;
    filter.name = name != NULL && name[0] != '\0' ? name : NULL;
    if (af_meta_users(r->house->meta, &filter, r->arena, &users, &count, &err) != AF_OK) {
        af_answer_error(r, &err);
        return;
    }
    if (count == 0 && (filter.id != 0 || filter.name != NULL)) {
        af_answer_fail(r, 404, "user not found");
        return;
    }
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    v2_print_self(&out, "/api/v2/users");
    af_out_open(&out, "users", '[');
    for (size_t i = 0; i < count; i++)
        if (may_read(r, &users[i]))
            v2_print_user(&out, NULL, &users[i], NULL);
    af_out_close(&out, ']');
    af_out_close(&out, '}');
}

/* --- one ----------------------------------------------------------------------------------------------------------------------- */

static void answer_user(struct af_request *r, int http_status, const struct af_meta_user *user)
{
    struct af_out out = af_answer_json(r, http_status);
    v2_print_user(&out, NULL, user, NULL);
}

static bool read_user(struct af_request *r, struct af_meta_user *user)
{
    const struct af_json *body = v2_body(r);
    if (body == NULL || !v2_text(r, body, "name", &user->name) ||
        !v2_status(r, body, "invalid status: must be active or inactive", &user->is_active))
        return false;
    if (user->name[0] != '\0')
        return true;
    af_answer_fail_code(r, 400, "empty value", "key required");
    return false;
}

static void handle_create(struct af_request *r)
{
    struct af_meta_user user = { .name = "", .is_active = true };
    struct af_error err = { 0 };
    if (!af_request_may(r, AF_ACTION_WRITE, "users", 0, 0) || !read_user(r, &user))
        return;
    if (af_meta_user_put(r->house->meta, &user, true, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "user created", "%s", user.name);
    answer_user(r, 201, &user);
}

static void handle_get(struct af_request *r)
{
    struct af_meta_user user;
    if (v2_user_of_path(r, &user) && (may_read(r, &user) || af_request_may(r, AF_ACTION_READ, "users", 0, user.id)))
        answer_user(r, 200, &user);
}

/* Of the user that he is about to change; for the rest it takes the right to write users. */
static bool may_touch(struct af_request *r, const struct af_meta_user *user)
{
    if (!user->is_admin || v2_is_operator(r))
        return true;
    af_audit(r, "denied", "changing user %s, who may everything", user->name);
    af_answer_fail(r, 403, "insufficient permissions for write");
    return false;
}

static void handle_patch(struct af_request *r)
{
    struct af_meta_user user;
    struct af_error err = { 0 };
    if (!v2_user_of_path(r, &user) || !af_request_may(r, AF_ACTION_WRITE, "users", 0, user.id) || !may_touch(r, &user) ||
        !read_user(r, &user))
        return;
    if (af_meta_user_put(r->house->meta, &user, false, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "user changed", "%s", user.name);
    answer_user(r, 200, &user);
}

static void handle_delete(struct af_request *r)
{
    struct af_meta_user user;
    struct af_error err = { 0 };
    if (!v2_user_of_path(r, &user) || !af_request_may(r, AF_ACTION_WRITE, "users", 0, user.id) || !may_touch(r, &user))
        return;
    if (af_meta_user_drop(r->house->meta, user.id, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "user deleted", "%s", user.name);
    af_answer_none(r, 204);
}

/* --- passwords -------------------------------------------------------------------------------------------------------------------- */

static bool read_password(struct af_request *r, struct af_slice *out)
{
    const struct af_json *body = v2_body(r);
    const char *text = NULL;
    if (body == NULL || !v2_text(r, body, "password", &text))
        return false;
    *out = af_slice_of(text != NULL ? text : "");
    if (out->len >= PASSWORD_MIN && out->len <= PASSWORD_MAX)
        return true;
    af_answer_fail(r, 400, "passwords must be between %d and %d characters long", PASSWORD_MIN, PASSWORD_MAX);
    return false;
}

static void set_password(struct af_request *r, const struct af_meta_user *user)
{
    struct af_slice password;
    struct af_error err = { 0 };
    if (!read_password(r, &password))
        return;
    if (af_meta_user_password(r->house->meta, user->id, password, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    core_sessions_end_of(r->server, user->id);
    af_audit(r, "password changed", "user %s", user->name);
    af_answer_none(r, 204);
}

static void handle_password(struct af_request *r)
{
    struct af_meta_user user;
    uint64_t id = 0;
    if (!af_request_id(r, r->path_args[0], &id) || !af_request_may(r, AF_ACTION_WRITE, "users", 0, id))
        return;
    if (v2_find_user(r, id, &user, NULL) != AF_OK)
        af_answer_fail(r, 403, "your userID is incorrect");
    else if (may_touch(r, &user))
        set_password(r, &user);
}

/* --- me ----------------------------------------------------------------------------------------------------------------------------- */

/* Without authentication: the first user. */
static bool find_me(struct af_request *r, struct af_meta_user *out)
{
    struct af_meta_user *users = NULL;
    size_t count = 0;
    struct af_error err = { 0 };
    struct af_meta_filter filter = { .id = r->who.user, .limit = 1 };
    bool has_user = r->who.user != 0 || r->who.is_everybody;
    if (has_user && af_meta_users(r->house->meta, &filter, r->arena, &users, &count, &err) != AF_OK) {
        af_answer_error(r, &err);
        return false;
    }
    if (count == 0) {
        af_answer_fail(r, 404, "user not found");
        return false;
    }
    *out = users[0];
    return true;
}

static void handle_me(struct af_request *r)
{
    struct af_meta_user user;
    if (find_me(r, &user))
        answer_user(r, 200, &user);
}

static void handle_my_password(struct af_request *r)
{
    struct af_meta_user user;
    if (r->who.token != 0) {
        af_answer_fail(r, 403, "changing one's own password takes the present one (Basic authentication) or a session "
                               "(/api/v2/signin), not a token");
        return;
    }
    if (find_me(r, &user))
        set_password(r, &user);
}

const struct af_route af_routes_v2_users[] = {
    { "GET", "/api/v2/users", AF_API_V2, AF_ACCESS_TOKEN, handle_list },
    { "POST", "/api/v2/users", AF_API_V2, AF_ACCESS_TOKEN, handle_create },
    { "GET", "/api/v2/users/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_get },
    { "PATCH", "/api/v2/users/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_patch },
    { "DELETE", "/api/v2/users/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_delete },
    { "POST,PUT", "/api/v2/users/{}/password", AF_API_V2, AF_ACCESS_TOKEN, handle_password },
    { "GET", "/api/v2/me", AF_API_V2, AF_ACCESS_TOKEN, handle_me },
    { "PUT", "/api/v2/me/password", AF_API_V2, AF_ACCESS_TOKEN, handle_my_password },
    { NULL, NULL, AF_API_V2, AF_ACCESS_TOKEN, NULL },
};
