/*
 * observe.h - every change that this process makes to the file system, told in order: for tests that ask what would be left of it if the
 * power went away at this or that moment (test/sim).
 *
 * Costs one atomic load a call when nobody observes. The observer is called on the thread that makes the change, after it has been made.
 */
#ifndef AF_OS_OBSERVE_H
#define AF_OS_OBSERVE_H
#include "base/slice.h"
#include <stdint.h>

enum af_os_change {
    AF_OS_OPENED,    /* for writing, made if it was not there */
    AF_OS_WROTE,     /* bytes at offset */
    AF_OS_CUT,       /* to `offset` bytes */
    AF_OS_SYNCED,    /* fsync of the file */
    AF_OS_RENAMED,   /* path -> other */
    AF_OS_LINKED,    /* path, also named other */
    AF_OS_REMOVED,   /* file or empty directory */
    AF_OS_MADE_DIR,
    AF_OS_SYNCED_DIR,
};
struct af_os_event {
    enum af_os_change change;
    const char *path;
    const char *other;
    uint64_t offset;
    struct af_slice bytes;
};
typedef void (*af_os_observer)(void *ctx, const struct af_os_event *event);
void af_os_observe(af_os_observer observer, void *ctx); /* NULL: no more. Not while other threads make changes */

/* For os/ itself. */
void af_os_tell(const struct af_os_event *event);
#endif
