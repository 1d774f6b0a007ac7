/*
 * buf.h - an owned, growing run of bytes with a ceiling.
 *
 * A failed append sets `failed` and leaves the bytes as they were; further appends do nothing. A writer therefore
 * appends freely and tests once at the end (af_buf_check).
 */
#ifndef AF_BASE_BUF_H
#define AF_BASE_BUF_H
#include "base/error.h"
#include "base/slice.h"

struct af_buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t bytes_max; /* appends past this fail */
    bool failed;
    bool is_too_large; /* why: an append passed bytes_max, not memory */
};

void af_buf_init(struct af_buf *buf, size_t bytes_max);
void af_buf_done(struct af_buf *buf);

/* Empty it, keep the memory, forget a failure. */
void af_buf_clear(struct af_buf *buf);

/* Room for `extra` more bytes at the returned pointer (= ptr + len), or NULL. Write there, then add to `len`. */
char *af_buf_reserve(struct af_buf *buf, size_t extra);

void af_buf_append(struct af_buf *buf, const void *bytes, size_t len);
void af_buf_append_slice(struct af_buf *buf, struct af_slice s);
void af_buf_append_str(struct af_buf *buf, const char *text);
void af_buf_append_char(struct af_buf *buf, char c);
void af_buf_printf(struct af_buf *buf, const char *fmt, ...) AF_PRINTF(2, 3);

/* Back to an earlier length; also forgets a failure. */
void af_buf_rewind(struct af_buf *buf, size_t len);

struct af_slice af_buf_slice(const struct af_buf *buf);

/* NUL-terminated view (the NUL is not counted in len); "" after a failure. */
const char *af_buf_cstr(struct af_buf *buf);

/* AF_OK, or AF_ELIMIT / AF_ENOMEM with a message naming `what`. */
AF_MUST_CHECK enum af_status af_buf_check(const struct af_buf *buf, const char *what, struct af_error *err);
#endif
