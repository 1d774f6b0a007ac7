/*
 * route.c - from method and path to a handler; see server_int.h.
 *
 * A pattern's {} stands for one segment. Exact segments win over {} because tables list them first; a path that exists for other methods
 * answers 405, and one that does not 404, in the words of its generation.
 */
#include "server/route.h"
#include "server/server_int.h"
#include <stdio.h>

static const struct af_route *const tables[] = {
    af_routes_ops, af_routes_v1_write, af_routes_v1_query, af_routes_v1_prom, af_routes_v2_write, af_routes_v2_delete,
    af_routes_v2_query, af_routes_v2_setup, af_routes_v2_orgs, af_routes_v2_buckets,
    af_routes_v2_tokens, af_routes_v2_users, af_routes_v2_dbrps, af_routes_v2_misc, af_routes_v2_backup, af_routes_platform,
};

static size_t segment_len(const char *text)
{
    return strcspn(text, "/");
}

bool af_route_match(const char *pattern, const char *path, struct af_slice args[4])
{
    size_t count = 0;
    for (;;) {
        size_t want = segment_len(pattern);
        size_t have = segment_len(path);
        if (want == 2 && pattern[0] == '{') {
            if (have == 0 || count == 4)
                return false;
            args[count++] = (struct af_slice){ path, have };
        } else if (want != have || memcmp(pattern, path, want) != 0) {
            return false;
        }
        pattern += want;
        path += have;
        if (*pattern != *path)
            return false;
        if (*pattern == '\0')
            return true;
        pattern++;
        path++;
    }
}

bool af_route_takes(const char *methods, const char *method)
{
    size_t len = strlen(method);
    for (const char *at = methods; *at != '\0';) {
        size_t n = strcspn(at, ",");
        bool head = n == 3 && memcmp(at, "GET", 3) == 0 && strcmp(method, "HEAD") == 0;
        if (head || (n == len && memcmp(at, method, n) == 0))
            return true;
        at += n + (at[n] == ',');
    }
    return false;
}

enum af_api af_route_api(const char *path)
{
    static const char *const v1[] = { "/write", "/query", "/ping", "/debug/vars", "/status", "/api/v1/prom/read", "/api/v1/prom/write" };
    for (size_t i = 0; i < sizeof v1 / sizeof v1[0]; i++)
        if (strcmp(path, v1[i]) == 0)
            return AF_API_V1;
    return strncmp(path, "/query/", 7) == 0 || strcmp(path, "/openapi.json") == 0 ? AF_API_PLATFORM : AF_API_V2;
}

const struct af_route *af_route_find(const char *method, const char *path, struct af_slice args[4], bool *out_has_path)
{
    *out_has_path = false;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (const struct af_route *route = tables[t]; route->method != NULL; route++) {
            struct af_slice found[4] = { { 0 } };
            if (!af_route_match(route->pattern, path, found))
                continue;
            *out_has_path = true;
            if (!af_route_takes(route->method, method))
                continue;
            memcpy(args, found, sizeof found);
            return route;
        }
    }
    return NULL;
}

const struct af_route *af_route_nth(size_t n)
{
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const struct af_route *route = tables[t]; route->method != NULL; route++)
            if (n-- == 0)
                return route;
    return NULL;
}

static void add_method(char *out, size_t cap, struct af_slice method)
{
    size_t len = strlen(out);
    if (memmem(out, len, method.ptr, method.len) == NULL && len + method.len + 3 <= cap)
        (void)snprintf(out + len, cap - len, "%s%.*s", len != 0 ? ", " : "", (int)method.len, method.ptr);
}

/* "GET" serves HEAD too. */
static void add_methods(char *out, size_t cap, const char *methods)
{
    for (const char *at = methods; *at != '\0';) {
        struct af_slice method = { at, strcspn(at, ",") };
        add_method(out, cap, method);
        if (af_slice_is(method, "GET"))
            add_method(out, cap, AF_SLICE_LIT("HEAD"));
        at += method.len + (at[method.len] == ',');
    }
}

void af_route_methods(const char *path, char *out, size_t cap)
{
    struct af_slice args[4];
    const struct af_route *route;
    out[0] = '\0';
    for (size_t n = 0; (route = af_route_nth(n)) != NULL; n++)
        if (af_route_match(route->pattern, path, args))
            add_methods(out, cap, route->method);
    add_method(out, cap, AF_SLICE_LIT("OPTIONS"));
}
