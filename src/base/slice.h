/*
 * slice.h - a view of bytes somebody else owns. Never terminated by NUL, never freed.
 */
#ifndef AF_BASE_SLICE_H
#define AF_BASE_SLICE_H
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct af_slice {
    const char *ptr;
    size_t len;
};

#define AF_SLICE_LIT(text) ((struct af_slice){ "" text, sizeof(text) - 1 })
#define AF_SLICE_FMT "%.*s"
#define AF_SLICE_ARG(s) (int)((s).len < 4096 ? (s).len : 4096), (s).ptr

static inline struct af_slice af_slice_of(const char *text)
{
    return (struct af_slice){ text, text != NULL ? strlen(text) : 0 };
}

static inline struct af_slice af_slice_make(const void *ptr, size_t len)
{
    return (struct af_slice){ (const char *)ptr, len };
}

static inline bool af_slice_eq(struct af_slice a, struct af_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool af_slice_is(struct af_slice a, const char *text)
{
    return af_slice_eq(a, af_slice_of(text));
}

/* Bytewise order; a prefix comes first. */
static inline int af_slice_cmp(struct af_slice a, struct af_slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n != 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

static inline bool af_slice_has_prefix(struct af_slice a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.len >= n && memcmp(a.ptr, prefix, n) == 0;
}

/* Without ASCII spaces, tabs and line ends on both sides. */
static inline struct af_slice af_slice_trim(struct af_slice s)
{
    while (s.len > 0 && (unsigned char)s.ptr[0] <= ' ')
        s.ptr++, s.len--;
    while (s.len > 0 && (unsigned char)s.ptr[s.len - 1] <= ' ')
        s.len--;
    return s;
}
#endif
