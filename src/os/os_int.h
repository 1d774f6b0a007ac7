/*
 * os_int.h - how this folder words the system's refusals.
 */
#ifndef AF_OS_INT_H
#define AF_OS_INT_H
#include "base/error.h"

/* "cannot <verb> <path>: <what the system said>; <what to do>" with the status that fits `code`. */
enum af_status af_os_fail(struct af_error *err, int code, const char *verb, const char *path);

/* fsync of the directory that holds `path`. */
AF_MUST_CHECK enum af_status af_os_sync_parent(const char *path, struct af_error *err);

/* Allocated copy of "<a><b><c>"; NULL without memory. */
char *af_os_join(const char *a, const char *b, const char *c);
#endif
