/*
 * v2_misc.c - what else official clients and interfaces of InfluxDB 2.x ask for.
 *
 * Things that this server does not keep (tasks, labels, dashboards ...) are listed as none, not found one by one, and refused when they
 * are to be made: 501 in InfluxDB's shape, so that no client takes silence for success. Flux is not run by this version: the same.
 */
#include "server/v2.h"

/* --- kinds of things of which there are none ---------------------------------------------------------------------------------------- */

static const struct kind {
    const char *path;        /* after /api/v2/ */
    const char *list;        /* what a list answers */
    const char *not_found;
} kinds[] = {
    { "tasks", "{\"links\":{\"self\":\"/api/v2/tasks?limit=100\"},\"tasks\":[]}", "failed to find task: task not found" },
    { "labels", "{\"links\":{\"self\":\"/api/v2/labels\"},\"labels\":[]}", "label not found" },
    { "variables", "{\"variables\":[],\"links\":{\"self\":\"/api/v2/variables?descending=false&limit=20&offset=0\"}}",
      "variable not found for key \"%s\"" },
    { "dashboards", "{\"links\":{\"self\":\"/api/v2/dashboards?descending=false&limit=20&offset=0\"},\"dashboards\":[]}",
      "dashboard not found" },
    { "checks", "{\"checks\":[],\"links\":{\"self\":\"/api/v2/checks?descending=false&limit=20&offset=0\"}}",
      "check not found for key \"%s\"" },
    { "notificationRules",
      "{\"notificationRules\":[],\"links\":{\"self\":\"/api/v2/notificationRules?descending=false&limit=20&offset=0\"}}",
      "notification rule not found" },
    { "notificationEndpoints",
      "{\"notificationEndpoints\":[],\"links\":{\"self\":\"/api/v2/notificationEndpoints?descending=false&limit=20&offset=0\"}}",
      "notification endpoint not found for key \"%s\"" },
    { "telegrafs", "{\"configurations\":[]}", "telegraf configuration not found" },
    { "scrapers", "{\"links\":{\"self\":\"/api/v2/scrapers\"},\"configurations\":[]}", "scraper target is not found" },
    { "stacks", "{\"stacks\":[]}", "stack not found for key \"%s\"" },
    { "sources", "{\"sources\":[],\"links\":{\"self\":\"/api/v2/sources\"}}", "source not found" },
    { "remotes", "{\"remotes\":[]}", "remote connection not found" },
    { "replications", "{\"replications\":[]}", "replication not found" },
};

static const struct kind *kind_of(const struct af_request *r)
{
    static const char prefix[] = "/api/v2/";
    const char *path = r->http->path + sizeof prefix - 1;
    size_t len = strcspn(path, "/");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strlen(kinds[i].path) == len && memcmp(kinds[i].path, path, len) == 0)
            return &kinds[i];
    return &kinds[0];
}

static void answer_text(struct af_request *r, const char *json)
{
    struct af_out out = af_answer_json(r, 200);
    af_out_raw(&out, NULL, json);
}

static void handle_none(struct af_request *r)
{
    answer_text(r, kind_of(r)->list);
}

static void handle_not_found(struct af_request *r)
{
    uint64_t id;
    if (af_request_id(r, r->path_args[0], &id))
        af_answer_fail(r, 404, kind_of(r)->not_found, r->path_args[0]); // NOLINT: the formats are ours
}

static void handle_refuse(struct af_request *r)
{
    af_answer_fail(r, 501, "this server keeps no %s", kind_of(r)->path);
}

/* --- what is known ----------------------------------------------------------------------------------------------------------------- */

static void handle_resources(struct af_request *r)
{
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '[');
    for (size_t i = 0; v2_resource_types[i] != NULL; i++)
        af_out_str(&out, NULL, v2_resource_types[i]);
    af_out_close(&out, ']');
    r->answer->content_type = "application/json";
}

static void handle_index(struct af_request *r)
{
    static const char *const names[] = {
        "authorizations", "buckets", "checks", "dashboards", "delete", "flags", "labels", "me", "notificationEndpoints",
        "notificationRules", "orgs", "scrapers", "setup", "signin", "signout", "sources", "tasks", "telegrafs", "users", "variables",
        "write",
    };
    struct af_out out = af_answer_json(r, 200);
    af_out_open(&out, NULL, '{');
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        af_out_str(&out, names[i], af_arena_printf(r->arena, "/api/v2/%s", names[i]));
    af_out_raw(&out, "query", "{\"analyze\":\"/api/v2/query/analyze\",\"ast\":\"/api/v2/query/ast\",\"self\":\"/api/v2/query\","
                              "\"suggestions\":\"/api/v2/query/suggestions\"}");
    af_out_raw(&out, "system", "{\"debug\":\"/debug/vars\",\"health\":\"/health\",\"metrics\":\"/metrics\"}");
    af_out_close(&out, '}');
}

static void handle_flags(struct af_request *r)
{
    answer_text(r, "{}");
}

static void handle_config(struct af_request *r)
{
    if (af_request_may(r, AF_ACTION_READ, "orgs", 0, 0)) /* the operator: InfluxDB's instance */
        answer_text(r, "{\"config\":{}}");
}

static void handle_suggestions(struct af_request *r)
{
    answer_text(r, "{\"funcs\":[]}");
}

static void handle_suggestion(struct af_request *r)
{
    af_answer_fail(r, 404, "failed to get function %s: function not found", r->path_args[0]);
}

static void handle_flux(struct af_request *r)
{
    af_answer_fail(r, 501, "this version does not run Flux queries; points are written, and databases managed, by the other routes");
}

#define ROUTE(methods, path, handle) { methods, "/api/v2/" path, AF_API_V2, AF_ACCESS_TOKEN, handle }
#define NONE_OF(name) \
    ROUTE("GET", name, handle_none), ROUTE("POST", name, handle_refuse), ROUTE("GET,PATCH,PUT,DELETE", name "/{}", handle_not_found)

const struct af_route af_routes_v2_misc[] = {
    { "GET", "/api/v2", AF_API_V2, AF_ACCESS_TOKEN, handle_index },
    { "GET", "/api/v2/resources", AF_API_V2, AF_ACCESS_TOKEN, handle_resources },
    { "GET", "/api/v2/flags", AF_API_V2, AF_ACCESS_TOKEN, handle_flags },
    { "GET", "/api/v2/config", AF_API_V2, AF_ACCESS_TOKEN, handle_config },
    { "GET", "/api/v2/query/suggestions", AF_API_V2, AF_ACCESS_TOKEN, handle_suggestions },
    { "GET", "/api/v2/query/suggestions/{}", AF_API_V2, AF_ACCESS_TOKEN, handle_suggestion },
    { "POST", "/api/v2/query/ast", AF_API_V2, AF_ACCESS_TOKEN, handle_flux },
    { "POST", "/api/v2/query/analyze", AF_API_V2, AF_ACCESS_TOKEN, handle_flux },
    NONE_OF("tasks"),
    NONE_OF("labels"),
    NONE_OF("variables"),
    NONE_OF("dashboards"),
    NONE_OF("checks"),
    NONE_OF("notificationRules"),
    NONE_OF("notificationEndpoints"),
    NONE_OF("telegrafs"),
    NONE_OF("scrapers"),
    NONE_OF("stacks"),
    NONE_OF("sources"),
    NONE_OF("remotes"),
    NONE_OF("replications"),
    { NULL, NULL, AF_API_V2, AF_ACCESS_TOKEN, NULL },
};
