/*
 * error.h - the one error type.
 *
 * Functions that can fail return enum af_status and take `struct af_error *err` last; NULL means the caller does
 * not want the words. The message is written once, where the fault is seen (af_fail); layers above may put context
 * in front of it (af_error_prefix) and never change the status. On failure, outputs are as before the call.
 */
#ifndef AF_BASE_ERROR_H
#define AF_BASE_ERROR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AF_MUST_CHECK __attribute__((warn_unused_result))
#define AF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum af_status {
#define AF_X(name, http, retry, text) AF_##name,
#include "base/status.def"
#undef AF_X
};

struct af_error {
    enum af_status status;
    uint32_t line;           /* 1-based place in text input; 0: does not apply */
    uint32_t column;
    uint32_t retry_after_ms; /* the other side asked for this pause; 0: it did not */
    char message[768];
};

const char *af_status_name(enum af_status status); /* "ECORRUPT" */
const char *af_status_text(enum af_status status); /* the sentence of status.def */
int af_status_http(enum af_status status);
bool af_status_is_retryable(enum af_status status);

/* Fill `err` (may be NULL) and return `status`, so that a caller can write `return af_fail(...)`. */
enum af_status af_fail(struct af_error *err, enum af_status status, const char *fmt, ...) AF_PRINTF(3, 4);

/* Same, with a place in a text. */
enum af_status af_fail_at(struct af_error *err, enum af_status status, uint32_t line, uint32_t column,
                          const char *fmt, ...) AF_PRINTF(5, 6);

/* Put "prefix" in front of the message and return err's status (AF_EBUG if err is NULL). */
void af_error_prefix(struct af_error *err, const char *fmt, ...) AF_PRINTF(2, 3);

/* The common refusal: no memory for `what`. */
enum af_status af_fail_nomem(struct af_error *err, const char *what);

/* Return early on failure. */
#define AF_TRY(call)                                                                                         \
    do {                                                                                                     \
        enum af_status af_try_status = (call);                                                               \
        if (af_try_status != AF_OK)                                                                          \
            return af_try_status;                                                                            \
    } while (0)
#endif
