/* v2_orgs.c - InfluxDB 2.x's /api/v2/orgs. Who belongs to one is not kept: tokens say what may be done in it. */
#include "server/v2.h"

/* --- list ---------------------------------------------------------------------------------------------------------------------- */

static bool may_read(const struct af_request *r, const struct af_meta_org *org)
{
    return r->who.org == org->id || af_principal_may(&r->who, AF_ACTION_READ, "orgs", org->id, org->id);
}

static void print_list(struct af_request *r, const struct af_meta_org *orgs, size_t count)
{
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    v2_print_self(&out, "/api/v2/orgs");
    af_out_open(&out, "orgs", '[');
    for (size_t i = 0; i < count; i++)
        if (may_read(r, &orgs[i]))
            v2_print_org(&out, r, NULL, &orgs[i]);
    af_out_close(&out, ']');
    af_out_close(&out, '}');
}

static void handle_list(struct af_request *r)
{
    struct af_meta_filter filter = { 0 };
    struct af_meta_org *orgs = NULL;
    size_t count = 0;
    struct af_error err = { 0 };
    const char *id = af_serve_arg(r->http, "orgID");
    const char *name = af_serve_arg(r->http, "org");
    if (!v2_paging(r, V2_PAGE_DEFAULT, &filter))
        return;
    filter.name = name != NULL && name[0] != '\0' ? name : NULL;
    bool is_one = filter.name != NULL || (id != NULL && af_id_parse(id, &filter.id));
    if (af_meta_orgs(r->house->meta, &filter, r->arena, &orgs, &count, &err) != AF_OK)
        af_answer_error(r, &err);
    else if (is_one && count == 0 && filter.name != NULL)
        af_answer_fail(r, 404, "organization name \"%s\" not found", filter.name);
    else if (is_one && count == 0)
        af_answer_fail(r, 404, "organization not found");
    else
        print_list(r, orgs, count);
}

/* --- one ----------------------------------------------------------------------------------------------------------------------- */

static void answer_org(struct af_request *r, int http_status, const struct af_meta_org *org)
{
    struct af_out out = af_answer_json(r, http_status);
    v2_print_org(&out, r, NULL, org);
}

static bool read_org(struct af_request *r, struct af_meta_org *org)
{
    const struct af_json *body = v2_body(r);
    if (body == NULL || !v2_text(r, body, "name", &org->name) || !v2_text(r, body, "description", &org->description))
        return false;
    if (org->name[0] != '\0')
        return true;
    af_answer_fail(r, 400, "org name is empty");
    return false;
}

static void handle_create(struct af_request *r)
{
    struct af_meta_org org = { .name = "", .description = "" };
    struct af_error err = { 0 };
    if (!af_request_may(r, AF_ACTION_WRITE, "orgs", 0, 0) || !read_org(r, &org))
        return;
    if (af_meta_org_put(r->house->meta, &org, true, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "org created", "%s", org.name);
    answer_org(r, 201, &org);
}

static void handle_get(struct af_request *r)
{
    struct af_meta_org org;
    if (v2_org_of_path(r, AF_ACTION_READ, &org))
        answer_org(r, 200, &org);
}

static void handle_patch(struct af_request *r)
{
    struct af_meta_org org;
    struct af_error err = { 0 };
    if (!v2_org_of_path(r, AF_ACTION_WRITE, &org) || !read_org(r, &org))
        return;
    if (af_meta_org_put(r->house->meta, &org, false, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "org changed", "%s", org.name);
    answer_org(r, 200, &org);
}

static void handle_delete(struct af_request *r)
{
    struct af_meta_org org;
    struct af_error err = { 0 };
    if (!v2_org_of_path(r, AF_ACTION_WRITE, &org))
        return;
    if (v2_org_drop(r, org.id, &err) != AF_OK) {
        v2_answer_meta_error(r, &err);
        return;
    }
    af_audit(r, "org deleted", "%s", org.name);
    af_answer_none(r, 204);
}

/* --- what hangs on it ------------------------------------------------------------------------------------------------------------ */

static void handle_members(struct af_request *r)
{
    struct af_meta_org org;
    if (v2_org_of_path(r, AF_ACTION_READ, &org))
        v2_answer_people(r, "orgs", org.id, "members", false);
}

static void handle_owners(struct af_request *r)
{
    struct af_meta_org org;
    if (v2_org_of_path(r, AF_ACTION_READ, &org))
        v2_answer_people(r, "orgs", org.id, "owners", true);
}

static void handle_people_change(struct af_request *r)
{
    struct af_meta_org org;
    if (v2_org_of_path(r, AF_ACTION_WRITE, &org))
        v2_refuse_people(r);
}

static void handle_secrets(struct af_request *r)
{
    struct af_meta_org org;
    if (!v2_org_of_path(r, AF_ACTION_READ, &org))
        return;
    char id[AF_ID_TEXT_BYTES];
    af_id_print(org.id, id);
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    af_out_open(&out, "links", '{');
    af_out_str(&out, "org", af_arena_printf(r->arena, "/api/v2/orgs/%s", id));
    af_out_str(&out, "self", af_arena_printf(r->arena, "/api/v2/orgs/%s/secrets", id));
    af_out_close(&out, '}');
    af_out_raw(&out, "secrets", "[]");
    af_out_close(&out, '}');
}

static void handle_secrets_change(struct af_request *r)
{
    struct af_meta_org org;
    if (v2_org_of_path(r, AF_ACTION_WRITE, &org))
        af_answer_fail(r, 501, "secrets are for Flux scripts, which this version does not run; none are kept");
}

const struct af_route af_routes_v2_orgs[] = {
    { "GET", "/api/v2/orgs", AF_API_V2, AF_ACCESS_TOKEN, handle_list },
    { "POST", "/api/v2/orgs", AF_API_V2, AF_ACCESS_TOKEN, handle_create },
    { "GET", "/api/v2/orgs/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_get },
    { "PATCH", "/api/v2/orgs/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_patch },
    { "DELETE", "/api/v2/orgs/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_delete },
    { "GET", "/api/v2/orgs/{}/members", AF_API_V2, AF_ACCESS_TOKEN, handle_members },
    { "GET", "/api/v2/orgs/{}/owners", AF_API_V2, AF_ACCESS_TOKEN, handle_owners },
    { "POST", "/api/v2/orgs/{}/members", AF_API_V2, AF_ACCESS_TOKEN, handle_people_change },
    { "POST", "/api/v2/orgs/{}/owners", AF_API_V2, AF_ACCESS_TOKEN, handle_people_change },
    { "DELETE", "/api/v2/orgs/{}/members/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_people_change },
    { "DELETE", "/api/v2/orgs/{}/owners/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_people_change },
    { "GET", "/api/v2/orgs/{}/secrets", AF_API_V2, AF_ACCESS_TOKEN, handle_secrets },
    { "PATCH", "/api/v2/orgs/{}/secrets", AF_API_V2, AF_ACCESS_TOKEN, handle_secrets_change },
    { "POST", "/api/v2/orgs/{}/secrets/delete", AF_API_V2, AF_ACCESS_TOKEN, handle_secrets_change },
    { NULL, NULL, AF_API_V2, AF_ACCESS_TOKEN, NULL },
};
