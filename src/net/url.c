/* url.c - URLs taken apart and put together; see url.h. */
#include "net/url.h"
#include "base/numbers.h"

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Case does not matter in schemes. */
static bool starts_with(struct af_slice text, const char *prefix)
{
    size_t n = strlen(prefix);
    if (text.len < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (lower(text.ptr[i]) != prefix[i])
            return false;
    return true;
}

bool af_url_is_http(const char *text)
{
    struct af_slice s = af_slice_of(text);
    return starts_with(s, "http://") || starts_with(s, "https://");
}

void af_url_append_escaped(struct af_buf *out, struct af_slice text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            af_buf_append_char(out, c);
        } else {
            char escaped[3] = { '%', hex[(unsigned char)c >> 4], hex[(unsigned char)c & 15] };
            af_buf_append(out, escaped, sizeof escaped);
        }
    }
}

static size_t index_of(struct af_slice s, char c)
{
    const char *at = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;
    return at != NULL ? (size_t)(at - s.ptr) : s.len;
}

static struct af_slice from(struct af_slice s, size_t at)
{
    return (struct af_slice){ s.ptr + at, s.len - at };
}

static struct af_slice upto(struct af_slice s, size_t at)
{
    return (struct af_slice){ s.ptr, at };
}

static enum af_status parse_port(struct af_slice text, uint16_t *out, struct af_error *err)
{
    uint64_t port;
    if (text.len == 0)
        return AF_OK; /* "host:" keeps the scheme's */
    if (!af_u64_parse(text, &port) || port == 0 || port > 65535)
        return af_fail(err, AF_EINVAL, "\"" AF_SLICE_FMT "\" is no port: give a number from 1 to 65535", AF_SLICE_ARG(text));
    *out = (uint16_t)port;
    return AF_OK;
}

static bool is_host_char(char c, bool is_v6)
{
    if (is_v6)
        return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f') || c == ':' || c == '.';
    return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_';
}

/* host, host:port, [v6], [v6]:port */
static enum af_status parse_authority(struct af_slice text, struct af_url *url, struct af_error *err)
{
    bool is_v6 = text.len > 0 && text.ptr[0] == '[';
    size_t end = index_of(text, is_v6 ? ']' : ':');
    struct af_slice rest = from(text, end);
    url->host = is_v6 ? from(upto(text, end), 1) : upto(text, end);
    if (is_v6) {
        if (rest.len == 0)
            return af_fail(err, AF_EINVAL, "the URL's IPv6 address lacks its ']'");
        rest = from(rest, 1);
    }
    if (url->host.len == 0)
        return af_fail(err, AF_EINVAL, "the URL has no host: write http://host:port");
    for (size_t i = 0; i < url->host.len; i++)
        if (!is_host_char(url->host.ptr[i], is_v6))
            return af_fail(err, AF_EINVAL, "the URL's host has a character that no host name has, after \"" AF_SLICE_FMT "\"",
                           AF_SLICE_ARG(upto(url->host, i)));
    if (rest.len > 0 && rest.ptr[0] != ':')
        return af_fail(err, AF_EINVAL, "the URL has \"" AF_SLICE_FMT "\" after the host; only :port may stand there",
                       AF_SLICE_ARG(rest));
    return rest.len > 0 ? parse_port(from(rest, 1), &url->port, err) : AF_OK;
}

static enum af_status check_characters(struct af_slice text, struct af_error *err)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c == 0x7f || c == '"' || c == '<' || c == '>' || c == '\\')
            return af_fail(err, AF_EINVAL, "a URL holds no spaces, control characters, quotes or backslashes: write them as %%XX "
                           "(byte %zu)", i);
        if (c == '#')
            return af_fail(err, AF_EINVAL, "the URL has a fragment (#...), which means nothing to a server: leave it out or write "
                           "%%23");
    }
    return AF_OK;
}

static enum af_status copy_lower(struct af_slice *s, struct af_arena *arena, struct af_error *err)
{
    char *copy = af_arena_copy(arena, *s);
    if (copy == NULL)
        return af_arena_fail(arena, s->len, "a URL", err);
    for (size_t i = 0; i < s->len; i++)
        copy[i] = lower(copy[i]);
    s->ptr = copy;
    return AF_OK;
}

static enum af_status finish(struct af_url *url, struct af_arena *arena, struct af_error *err)
{
    bool is_v6 = index_of(url->host, ':') < url->host.len;
    AF_TRY(copy_lower(&url->host, arena, err));
    char *path = af_arena_copy(arena, url->path);
    char *query = af_arena_copy(arena, url->query);
    char *base = af_arena_printf(arena, "%s://%s%.*s%s:%u", url->scheme.ptr, is_v6 ? "[" : "", (int)url->host.len, url->host.ptr,
                                 is_v6 ? "]" : "", (unsigned)url->port);
    if (path == NULL || query == NULL || base == NULL)
        return af_arena_fail(arena, url->path.len + url->query.len, "a URL", err);
    url->path.ptr = path;
    url->query.ptr = query;
    url->base = af_slice_of(base);
    return AF_OK;
}

enum af_status af_url_parse(struct af_slice text, struct af_arena *arena, struct af_url *out, struct af_error *err)
{
    bool is_https = starts_with(text, "https://");
    if (!is_https && !starts_with(text, "http://"))
        return af_fail(err, AF_EINVAL, "a URL must start with http:// or https://");
    struct af_url url = { .scheme = is_https ? AF_SLICE_LIT("https") : AF_SLICE_LIT("http"), .port = is_https ? 443 : 80 };
    struct af_slice rest = from(text, is_https ? 8 : 7);
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
        end++;
    struct af_slice authority = upto(rest, end);
    if (index_of(authority, '@') < authority.len) /* before anything that would print it */
        return af_fail(err, AF_EINVAL, "the URL holds a user or password: logs and process lists would show it. Give them as "
                       "options or in the environment");
    AF_TRY(check_characters(text, err));
    AF_TRY(parse_authority(authority, &url, err));
    rest = from(rest, end);
    size_t mark = index_of(rest, '?');
    url.path = upto(rest, mark);
    url.query = mark < rest.len ? from(rest, mark + 1) : from(rest, mark);
    AF_TRY(finish(&url, arena, err));
    *out = url;
    return AF_OK;
}
