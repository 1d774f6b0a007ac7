/* fail.c - the system's refusals as statuses and sentences; see os_int.h. */
#include "base/alloc.h"
#include "os/file.h"
#include "os/os_int.h"
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

struct row {
    int code;
    enum af_status status;
    const char *advice; /* what to do about it; NULL: nothing more to say */
};

static const struct row rows[] = {
    { ENOENT, AF_ENOTFOUND, "check the path" },
    { ENOTDIR, AF_ENOTFOUND, "a part of the path is not a directory" },
    { EACCES, AF_EDENIED, "check owner and permissions of it and of its directories" },
    { EPERM, AF_EDENIED, "check owner and permissions of it and of its directories" },
    { EROFS, AF_EDENIED, "the file system is read-only: choose another place" },
    { ENOSPC, AF_EFULL, "free space there or choose another place" },
    { EDQUOT, AF_EFULL, "the disk quota is used up: free space or raise it" },
    { EFBIG, AF_ELIMIT, "the file size limit is reached: see ulimit -f" },
    { EISDIR, AF_EINVAL, "a file is needed here" },
    { EINVAL, AF_EINVAL, NULL },
    { ENAMETOOLONG, AF_EINVAL, "choose a shorter path" },
    { ELOOP, AF_EINVAL, "symbolic links go round in circles" },
    { EEXIST, AF_ECONFLICT, "remove it or choose another name" },
    { ENOTEMPTY, AF_ECONFLICT, NULL },
    { ENOMEM, AF_ENOMEM, NULL },
    { EMFILE, AF_EIO, "too many files are open in this process: raise ulimit -n" },
    { ENFILE, AF_EIO, "too many files are open on this machine" },
    { EIO, AF_EIO, "the device failed: see the system log" },
    { EPIPE, AF_EIO, "the reader at the other end is gone" },
};

static const struct row *row_of(int code)
{
    static const struct row other = { 0, AF_EIO, NULL };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == code)
            return &rows[i];
    return &other;
}

static _Atomic uint64_t sync_failures;

uint64_t af_os_sync_failures(void)
{
    return atomic_load(&sync_failures);
}

enum af_status af_os_fail(struct af_error *err, int code, const char *verb, const char *path)
{
    const struct row *row = row_of(code);
    if (strcmp(verb, "fsync") == 0)
        atomic_fetch_add(&sync_failures, 1);
    const char *said = strerrordesc_np(code); /* strerror that is safe between threads, never translated */
    return af_fail(err, row->status, "cannot %s %s: %s%s%s", verb, path, said != NULL ? said : "unknown error",
                   row->advice != NULL ? "; " : "", row->advice != NULL ? row->advice : "");
}

char *af_os_join(const char *a, const char *b, const char *c)
{
    size_t na = strlen(a);
    size_t nb = strlen(b);
    size_t nc = strlen(c);
    char *joined = af_alloc(na + nb + nc + 1);
    if (joined == NULL)
        return NULL;
    memcpy(joined, a, na);
    memcpy(joined + na, b, nb);
    memcpy(joined + na + nb, c, nc + 1);
    return joined;
}
