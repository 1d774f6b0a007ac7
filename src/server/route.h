/* route.h - the route table, asked; see route.c. */
#ifndef AF_SERVER_ROUTE_H
#define AF_SERVER_ROUTE_H
#include "server/server_int.h"

/* The route of a request; NULL: none, *out_has_path says whether another method would have one. args: what stood for each {}. */
const struct af_route *af_route_find(const char *method, const char *path, struct af_slice args[4], bool *out_has_path);
enum af_api af_route_api(const char *path); /* in whose words a path without a route is refused */
/* "GET, HEAD, OPTIONS": what an Allow header says of the path. */
void af_route_methods(const char *path, char *out, size_t cap);
/* The parts, for tests. */
const struct af_route *af_route_nth(size_t n); /* all tables; NULL: no more */
bool af_route_match(const char *pattern, const char *path, struct af_slice args[4]);
bool af_route_takes(const char *methods, const char *method);
#endif
