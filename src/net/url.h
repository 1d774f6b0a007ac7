/*
 * url.h - URLs taken apart and put together.
 */
#ifndef AF_NET_URL_H
#define AF_NET_URL_H
#include "base/arena.h"
#include "base/buf.h"

struct af_url {
    struct af_slice scheme;   /* http, https; terminated by NUL like all of these */
    struct af_slice host;     /* without brackets */
    uint16_t port;            /* 80 or 443 if not said */
    struct af_slice path;     /* "" or "/..." as written */
    struct af_slice query;    /* after '?', as written */
    struct af_slice base;     /* scheme://host:port, without credentials: safe to print */
};
/* AF_EINVAL says what is wrong. A URL that holds a user or a password is refused without repeating it: they have options of
 * their own. */
AF_MUST_CHECK enum af_status af_url_parse(struct af_slice text, struct af_arena *arena, struct af_url *out, struct af_error *err);
bool af_url_is_http(const char *text); /* starts with http:// or https:// */

/* Append `text` percent-encoded for a query value or a path segment (RFC 3986 unreserved characters stay). */
void af_url_append_escaped(struct af_buf *out, struct af_slice text);
#endif
