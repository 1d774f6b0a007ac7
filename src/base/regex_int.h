/*
 * regex_int.h - what the two halves of regex.h share: regex_parse.c reads the pattern, regex.c runs it.
 */
#ifndef AF_BASE_REGEX_INT_H
#define AF_BASE_REGEX_INT_H
#include "base/buf.h"

/* Check `pattern` by Go's rules and append the same language in PCRE2's to `out`. Failures of `out` are the caller's to see. */
AF_MUST_CHECK enum af_status af_regex_translate(struct af_slice pattern, struct af_buf *out, struct af_error *err);

/* Does PCRE2 know this script? AF_ENOMEM: it could not say. */
AF_MUST_CHECK enum af_status af_regex_knows_script(struct af_slice name, bool *out, struct af_error *err);
#endif
