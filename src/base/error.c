/* error.c - words for failures; see error.h. */
#include "base/error.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct status_row {
    const char *name;
    const char *text;
    int http;
    bool retry;
};

static const struct status_row rows[] = {
#define AF_X(name, http, retry, text) { #name, text, http, retry != 0 },
#include "base/status.def"
#undef AF_X
};

static const struct status_row *row_of(enum af_status status)
{
    size_t i = (size_t)status;
    if (i >= sizeof rows / sizeof rows[0])
        i = (size_t)AF_EBUG;
    return &rows[i];
}

const char *af_status_name(enum af_status status)
{
    return row_of(status)->name;
}

const char *af_status_text(enum af_status status)
{
    return row_of(status)->text;
}

int af_status_http(enum af_status status)
{
    return row_of(status)->http;
}

bool af_status_is_retryable(enum af_status status)
{
    return row_of(status)->retry;
}

static void fill(struct af_error *err, enum af_status status, uint32_t line, uint32_t column, const char *fmt,
                 va_list args)
{
    err->status = status;
    err->line = line;
    err->column = column;
    err->retry_after_ms = 0;
    (void)vsnprintf(err->message, sizeof err->message, fmt, args);
}

enum af_status af_fail(struct af_error *err, enum af_status status, const char *fmt, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, fmt);
        fill(err, status, 0, 0, fmt, args);
        va_end(args);
    }
    return status;
}

enum af_status af_fail_at(struct af_error *err, enum af_status status, uint32_t line, uint32_t column,
                          const char *fmt, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, fmt);
        fill(err, status, line, column, fmt, args);
        va_end(args);
    }
    return status;
}

void af_error_prefix(struct af_error *err, const char *fmt, ...)
{
    if (err == NULL)
        return;
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list args;
    va_start(args, fmt);
    int used = vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    if (used < 0)
        used = 0;
    size_t at = (size_t)used < sizeof err->message ? (size_t)used : sizeof err->message - 1;
    (void)snprintf(err->message + at, sizeof err->message - at, "%s", old);
}

enum af_status af_fail_nomem(struct af_error *err, const char *what)
{
    return af_fail(err, AF_ENOMEM, "no memory for %s", what);
}
