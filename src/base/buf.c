/* buf.c - growing bytes; see buf.h. */
#include "base/buf.h"
#include "base/alloc.h"
#include <stdarg.h>
#include <stdio.h>

void af_buf_init(struct af_buf *buf, size_t bytes_max)
{
    *buf = (struct af_buf){ .bytes_max = bytes_max };
}

void af_buf_done(struct af_buf *buf)
{
    af_free(buf->ptr);
    *buf = (struct af_buf){ 0 };
}

void af_buf_clear(struct af_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

static bool grow(struct af_buf *buf, size_t need)
{
    size_t cap = buf->cap < 64 ? 64 : buf->cap;
    while (cap < need)
        cap = cap < (size_t)1 << 62 ? cap * 2 : need;
    if (cap > buf->bytes_max)
        cap = buf->bytes_max;
    char *ptr = af_realloc(buf->ptr, cap);
    if (ptr == NULL)
        return false;
    buf->ptr = ptr;
    buf->cap = cap;
    return true;
}

char *af_buf_reserve(struct af_buf *buf, size_t extra)
{
    if (buf->failed)
        return NULL;
    if (extra <= buf->cap - buf->len && buf->ptr != NULL)
        return buf->ptr + buf->len;
    buf->is_too_large = extra > buf->bytes_max - buf->len;
    if (buf->is_too_large || !grow(buf, buf->len + extra)) {
        buf->failed = true;
        return NULL;
    }
    return buf->ptr + buf->len;
}

void af_buf_append(struct af_buf *buf, const void *bytes, size_t len)
{
    char *at = af_buf_reserve(buf, len);
    if (at == NULL || len == 0)
        return;
    memcpy(at, bytes, len);
    buf->len += len;
}

void af_buf_append_slice(struct af_buf *buf, struct af_slice s)
{
    af_buf_append(buf, s.ptr, s.len);
}

void af_buf_append_str(struct af_buf *buf, const char *text)
{
    af_buf_append(buf, text, strlen(text));
}

void af_buf_append_char(struct af_buf *buf, char c)
{
    char *at = af_buf_reserve(buf, 1);
    if (at == NULL)
        return;
    *at = c;
    buf->len++;
}

void af_buf_printf(struct af_buf *buf, const char *fmt, ...)
{
    char small[256];
    va_list args;
    va_list again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (n < 0) {
        buf->failed = true;
    } else if ((size_t)n < sizeof small) {
        af_buf_append(buf, small, (size_t)n);
    } else {
        char *at = af_buf_reserve(buf, (size_t)n + 1);
        if (at != NULL) {
            (void)vsnprintf(at, (size_t)n + 1, fmt, again);
            buf->len += (size_t)n;
        }
    }
    va_end(again);
}

void af_buf_rewind(struct af_buf *buf, size_t len)
{
    if (len < buf->len)
        buf->len = len;
    buf->failed = false;
}

struct af_slice af_buf_slice(const struct af_buf *buf)
{
    return (struct af_slice){ buf->ptr, buf->len };
}

const char *af_buf_cstr(struct af_buf *buf)
{
    char *at = af_buf_reserve(buf, 1);
    if (at == NULL)
        return "";
    *at = '\0';
    return buf->ptr;
}

enum af_status af_buf_check(const struct af_buf *buf, const char *what, struct af_error *err)
{
    if (!buf->failed)
        return AF_OK;
    if (buf->is_too_large)
        return af_fail(err, AF_ELIMIT, "%s: more than %zu bytes", what, buf->bytes_max);
    return af_fail_nomem(err, what);
}
