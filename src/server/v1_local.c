/*
 * v1_local.c - 1.x queries that no client sent: continuous ones, and those on a data directory that no server has. The statements' code
 * wants a request of a server, so there is one; for a directory alone the server is one that listens nowhere.
 */
#include "os/clock.h"
#include "server/core.h"
#include "server/v1_query.h"

struct local {
    struct af_server server;
    struct v1_own own;
};

void v1_own_init(struct v1_own *own, struct af_server *server, const struct af_meta_org *org, struct af_arena *arena, const char *name)
{
    struct af_house *house = server->options.house;
    own->http = (struct af_serve_request){ .method = "POST", .path = "/query", .arena = arena, .is_loopback = true };
    own->request = (struct af_request){ .server = server, .house = house, .http = &own->http, .arena = arena, .api = AF_API_V1,
                                        .who = { .is_everybody = true, .name = name } };
    own->run = (struct v1_run){ .request = &own->request, .arena = arena, .meta = house->meta, .org = *org };
    v1_host_init(&own->run);
}

static void end_local(void *ctx)
{
    struct local *local = ctx;
    af_mutex_done(&local->server.bucket_lock);
    af_mutex_done(&local->server.session_lock);
}

enum af_status af_house_query_open(struct af_house *house, struct af_query_request *request, struct af_arena *arena, struct af_query **out,
                                   struct af_error *err)
{
    struct local *local = af_arena_zero(arena, 1, sizeof *local);
    if (local == NULL)
        return af_fail_nomem(err, "a query");
    af_mutex_init(&local->server.bucket_lock);
    af_mutex_init(&local->server.session_lock);
    if (!af_arena_on_reset(arena, end_local, local)) {
        end_local(local);
        return af_fail_nomem(err, "a query");
    }
    local->server.options.house = house;
    struct af_meta_org *orgs = NULL;
    size_t count = 0;
    struct af_meta_filter first = { .limit = 1 };
    AF_TRY(af_meta_orgs(house->meta, &first, arena, &orgs, &count, err));
    if (count == 0)
        return af_fail(err, AF_ENOTFOUND, "there is nothing in %s yet", house->dir);
    v1_own_init(&local->own, &local->server, &orgs[0], arena, "local");
    local->own.run.database = request->database;
    local->own.run.policy = request->policy;
    if (request->now_ns == 0)
        request->now_ns = af_clock_now_ns();
    return af_query_open(&local->own.run.host, request, out, err);
}
