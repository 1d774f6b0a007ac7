/*
 * v2_print.c - organisations, buckets, users and tokens as InfluxDB 2.7 prints them, and the links of a page; see v2.h.
 *
 * Members come in InfluxDB's order. A token's secret is told when it is made and never again: later it is the empty string, which clients
 * that want a member `token` to be there can live with.
 */
#include "base/calendar.h"
#include "server/v2.h"
#include <inttypes.h>
#include <stdio.h>

enum { LINK_BYTES = 128 };

const char *const v2_resource_types[] = {
    "authorizations", "buckets", "dashboards", "orgs", "sources", "tasks", "telegrafs", "users", "variables", "scrapers", "secrets",
    "labels", "views", "documents", "notificationRules", "notificationEndpoints", "checks", "dbrp", "notebooks", "annotations",
    "remotes", "replications", "instance", NULL,
};

bool v2_is_resource_type(const char *type)
{
    for (size_t i = 0; v2_resource_types[i] != NULL; i++)
        if (strcmp(v2_resource_types[i], type) == 0)
            return true;
    return false;
}

/* --- links ------------------------------------------------------------------------------------------------------------------- */

static void link_id(struct af_out *out, const char *key, const char *before, uint64_t id, const char *after)
{
    char text[LINK_BYTES];
    (void)snprintf(text, sizeof text, "%s%016" PRIx64 "%s", before, id, after);
    af_out_str(out, key, text);
}

void v2_print_self(struct af_out *out, const char *path)
{
    af_out_open(out, "links", '{');
    af_out_str(out, "self", path);
    af_out_close(out, '}');
}

static void append_encoded(struct af_buf *buf, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL)
            af_buf_append_char(buf, *text);
        else if (*text == ' ')
            af_buf_append_char(buf, '+');
        else
            af_buf_printf(buf, "%%%02X", (unsigned char)*text);
    }
}

static void append_arg(struct af_buf *buf, struct af_request *r, const char *key, const char *arg)
{
    const char *value = af_serve_arg(r->http, arg);
    if (value == NULL || value[0] == '\0')
        return;
    af_buf_printf(buf, "%s%s=", buf->ptr[buf->len - 1] == '?' ? "" : "&", key);
    append_encoded(buf, value);
}

/* The query's arguments in the order of their names. */
static void link_page(struct af_out *out, struct af_request *r, const char *key, const char *path, const struct af_meta_filter *filter,
                      size_t offset)
{
    struct af_buf buf;
    af_buf_init(&buf, 64 << 10);
    af_buf_printf(&buf, "%s?", path);
    if (!buf.failed) {
        append_arg(&buf, r, "after", "after");
        append_arg(&buf, r, "bucket", "name");
        af_buf_printf(&buf, "%sdescending=%s", buf.ptr[buf.len - 1] == '?' ? "" : "&", filter->is_descending ? "true" : "false");
        append_arg(&buf, r, "id", "id");
        af_buf_printf(&buf, "&limit=%zu&offset=%zu", filter->limit, offset);
        append_arg(&buf, r, "org", "org");
        append_arg(&buf, r, "orgID", "orgID");
        append_arg(&buf, r, "sortBy", "sortBy");
        af_out_str(out, key, af_buf_cstr(&buf));
    }
    af_buf_done(&buf);
}

void v2_print_page_links(struct af_out *out, struct af_request *r, const char *path, const struct af_meta_filter *filter, size_t count)
{
    af_out_open(out, "links", '{');
    if (filter->offset > 0)
        link_page(out, r, "prev", path, filter, filter->offset > filter->limit ? filter->offset - filter->limit : 0);
    link_page(out, r, "self", path, filter, filter->offset);
    if (count >= filter->limit)
        link_page(out, r, "next", path, filter, filter->offset + filter->limit);
    af_out_close(out, '}');
}

/* --- objects ------------------------------------------------------------------------------------------------------------------- */

static void print_times(struct af_out *out, int64_t created_ns, int64_t updated_ns)
{
    af_out_time(out, "createdAt", created_ns);
    af_out_time(out, "updatedAt", updated_ns);
}

static void link_name(struct af_out *out, struct af_request *r, const char *key, const char *before, const char *name)
{
    af_out_str(out, key, af_arena_printf(r->arena, "%s%s", before, name));
}

void v2_print_org(struct af_out *out, struct af_request *r, const char *key, const struct af_meta_org *org)
{
    static const char path[] = "/api/v2/orgs/";
    af_out_open(out, key, '{');
    af_out_open(out, "links", '{');
    link_name(out, r, "buckets", "/api/v2/buckets?org=", org->name);
    link_name(out, r, "dashboards", "/api/v2/dashboards?org=", org->name);
    link_id(out, "labels", path, org->id, "/labels");
    link_id(out, "logs", path, org->id, "/logs");
    link_id(out, "members", path, org->id, "/members");
    link_id(out, "owners", path, org->id, "/owners");
    link_id(out, "secrets", path, org->id, "/secrets");
    link_id(out, "self", path, org->id, "");
    link_name(out, r, "tasks", "/api/v2/tasks?org=", org->name);
    af_out_close(out, '}');
    af_out_id(out, "id", org->id);
    af_out_str(out, "name", org->name);
    af_out_str(out, "description", org->description);
    print_times(out, org->created_ns, org->updated_ns);
    af_out_close(out, '}');
}

static void print_bucket_links(struct af_out *out, const struct af_meta_bucket *b)
{
    static const char path[] = "/api/v2/buckets/";
    char text[LINK_BYTES];
    af_out_open(out, "links", '{');
    link_id(out, "labels", path, b->id, "/labels");
    link_id(out, "members", path, b->id, "/members");
    link_id(out, "org", "/api/v2/orgs/", b->org, "");
    link_id(out, "owners", path, b->id, "/owners");
    link_id(out, "self", path, b->id, "");
    (void)snprintf(text, sizeof text, "/api/v2/write?org=%016" PRIx64 "&bucket=%016" PRIx64, b->org, b->id);
    af_out_str(out, "write", text);
    af_out_close(out, '}');
}

void v2_print_bucket(struct af_out *out, const char *key, const struct af_meta_bucket *b)
{
    af_out_open(out, key, '{');
    af_out_id(out, "id", b->id);
    af_out_id(out, "orgID", b->org);
    af_out_str(out, "type", b->is_system ? "system" : "user");
    if (b->description[0] != '\0')
        af_out_str(out, "description", b->description);
    af_out_str(out, "name", b->name);
    af_out_open(out, "retentionRules", '[');
    af_out_open(out, NULL, '{');
    af_out_str(out, "type", "expire");
    af_out_int(out, "everySeconds", b->retention_ns / AF_NS_PER_S);
    af_out_int(out, "shardGroupDurationSeconds", b->shard_ns / AF_NS_PER_S);
    af_out_close(out, '}');
    af_out_close(out, ']');
    print_times(out, b->created_ns, b->updated_ns);
    print_bucket_links(out, b);
    af_out_raw(out, "labels", "[]");
    af_out_close(out, '}');
}

void v2_print_user(struct af_out *out, const char *key, const struct af_meta_user *user, const char *role)
{
    af_out_open(out, key, '{');
    af_out_str(out, "role", role);
    af_out_open(out, "links", '{');
    link_id(out, "self", "/api/v2/users/", user->id, "");
    af_out_close(out, '}');
    af_out_id(out, "id", user->id);
    af_out_str(out, "name", user->name);
    af_out_str(out, "status", user->is_active ? "active" : "inactive");
    af_out_close(out, '}');
}

/* --- tokens ----------------------------------------------------------------------------------------------------------------------- */

static void print_permission(struct af_out *out, struct af_request *r, const struct af_permission *p)
{
    struct af_meta_org org;
    struct af_meta_bucket bucket;
    af_out_open(out, NULL, '{');
    af_out_str(out, "action", p->action == AF_ACTION_READ ? "read" : "write");
    af_out_open(out, "resource", '{');
    af_out_str(out, "type", p->type);
    if (p->id != 0)
        af_out_id(out, "id", p->id);
    if (p->org != 0)
        af_out_id(out, "orgID", p->org);
    if (p->id != 0 && strcmp(p->type, "buckets") == 0 && v2_find_bucket(r, p->id, &bucket, NULL) == AF_OK)
        af_out_str(out, "name", bucket.name);
    if (p->id != 0 && strcmp(p->type, "orgs") == 0 && v2_find_org(r, p->id, &org, NULL) == AF_OK)
        af_out_str(out, "name", org.name);
    if (p->org != 0 && v2_find_org(r, p->org, &org, NULL) == AF_OK)
        af_out_str(out, "org", org.name);
    af_out_close(out, '}');
    af_out_close(out, '}');
}

void v2_print_token(struct af_out *out, struct af_request *r, const char *key, const struct af_meta_token *token, const char *secret)
{
    struct af_meta_org org = { .name = "" };
    struct af_meta_user user = { .name = "" };
    (void)!v2_find_org(r, token->org, &org, NULL);
    (void)!v2_find_user(r, token->user, &user, NULL);
    af_out_open(out, key, '{');
    af_out_id(out, "id", token->id);
    af_out_str(out, "token", secret != NULL ? secret : "");
    af_out_str(out, "status", token->is_active ? "active" : "inactive");
    af_out_str(out, "description", token->description != NULL ? token->description : "");
    af_out_id(out, "orgID", token->org);
    af_out_str(out, "org", org.name);
    af_out_id(out, "userID", token->user);
    af_out_str(out, "user", user.name);
    af_out_open(out, "permissions", '[');
    for (size_t i = 0; i < token->permission_count; i++)
        print_permission(out, r, &token->permissions[i]);
    af_out_close(out, ']');
    af_out_open(out, "links", '{');
    link_id(out, "self", "/api/v2/authorizations/", token->id, "");
    link_id(out, "user", "/api/v2/users/", token->user, "");
    af_out_close(out, '}');
    print_times(out, token->created_ns, token->updated_ns);
    af_out_close(out, '}');
}

/* --- people ------------------------------------------------------------------------------------------------------------------------- */

void v2_answer_people(struct af_request *r, const char *kind, uint64_t id, const char *role, bool with_admins)
{
    struct af_meta_user *users = NULL;
    size_t count = 0;
    struct af_meta_filter all = { 0 };
    struct af_error err = { 0 };
    if (with_admins && af_meta_users(r->house->meta, &all, r->arena, &users, &count, &err) != AF_OK) {
        af_answer_error(r, &err);
        return;
    }
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    af_out_open(&out, "links", '{');
    char text[LINK_BYTES];
    (void)snprintf(text, sizeof text, "/api/v2/%s/%016" PRIx64 "/%s", kind, id, role);
    af_out_str(&out, "self", text);
    af_out_close(&out, '}');
    af_out_open(&out, "users", '[');
    for (size_t i = 0; i < count; i++)
        if (users[i].is_admin)
            v2_print_user(&out, NULL, &users[i], "owner");
    af_out_close(&out, ']');
    af_out_close(&out, '}');
}

void v2_refuse_people(struct af_request *r)
{
    af_answer_fail(r, 501, "members and owners are not kept here: give tokens of their own instead (POST /api/v2/authorizations)");
}
