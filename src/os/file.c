/*
 * file.c - files: read at random or in sequence, grown at the end, replaced as a whole; see file.h.
 *
 * A growing regular file is written with pwrite at `size`, the end of the last whole write:
 *
 *     [ whole writes ............ ][ torn: what a failed write left ]
 *                                 ^ size
 *
 * A failed write cuts the torn part off at once; where even that fails, the next write does it first, so that no
 * record ever follows half a record. Pipes and devices (standard output, /dev/stdout) are written in sequence.
 *
 * `sick` remembers the first failed fsync: the kernel may have dropped the dirty pages and marked them clean, so a second
 * fsync would lie. From then on every write, sync and truncate of the file gives that failure again.
 */
#include "os/file.h"
#include "base/alloc.h"
#include "os/clock.h"
#include "os/fault.h"
#include "os/observe.h"
#include "os/os_int.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_STEP = 64 << 10, IO_MAX = 1 << 30, INTERRUPT_LOOK_MS = 100 };

static bool is_dash(const char *path)
{
    return strcmp(path, "-") == 0;
}

static int open_retry(const char *path, int flags, mode_t mode)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* One read or pread (offset >= 0). -1 with errno on failure. */
static ssize_t read_once(int fd, int64_t offset, void *dst, size_t len)
{
    int fault = af_os_fault_due(AF_OS_READ);
    if (fault != 0) {
        errno = fault;
        return -1;
    }
    size_t step = len < IO_MAX ? len : IO_MAX;
    return offset >= 0 ? pread(fd, dst, step, offset) : read(fd, dst, step);
}

/* `len` bytes or up to the end of the file; *out_len says how many. */
static int read_full(int fd, uint64_t offset, void *dst, size_t len, size_t *out_len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = read_once(fd, (int64_t)(offset + done), (char *)dst + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *out_len = done;
    return 0;
}

/* --- reading at random ------------------------------------------------------------------------------------------------ */

struct file_reader {
    struct af_reader base;
    int fd;
    char path[];
};

static enum af_status reader_read_at(struct af_reader *base, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    struct file_reader *reader = (struct file_reader *)base;
    size_t got = 0;
    int code = read_full(reader->fd, offset, dst, len, &got);
    if (code != 0)
        return af_os_fail(err, code, "read", reader->path);
    if (got < len)
        return af_fail(err, AF_ECORRUPT, "%s ends at byte %llu, before the %zu bytes at %llu: it was %llu bytes long when "
                       "it was opened, something cuts it", reader->path, (unsigned long long)(offset + got), len,
                       (unsigned long long)offset, (unsigned long long)base->size);
    return AF_OK;
}

static void reader_close(struct af_reader *base)
{
    struct file_reader *reader = (struct file_reader *)base;
    (void)close(reader->fd);
    af_free(reader);
}

static const struct af_reader_ops reader_ops = { .read_at = reader_read_at, .close = reader_close };

/* Open for reading and refuse what is not a regular file. */
static enum af_status open_regular(const char *path, int *out_fd, uint64_t *out_size, struct af_error *err)
{
    int fd = open_retry(path, O_RDONLY | O_NONBLOCK, 0); /* O_NONBLOCK: a FIFO must not make us wait for its writer */
    if (fd < 0)
        return af_os_fail(err, errno, "open", path);
    struct stat st;
    enum af_status status = AF_OK;
    if (fstat(fd, &st) != 0)
        status = af_os_fail(err, errno, "look at", path);
    else if (S_ISDIR(st.st_mode))
        status = af_os_fail(err, EISDIR, "read", path);
    else if (!S_ISREG(st.st_mode))
        status = af_fail(err, AF_EINVAL, "cannot read %s at random: it is a pipe or a device; save it to a file first", path);
    if (status != AF_OK) {
        (void)close(fd);
        return status;
    }
    *out_fd = fd;
    *out_size = (uint64_t)st.st_size;
    return AF_OK;
}

enum af_status af_file_reader_open(const char *path, struct af_reader **out, struct af_error *err)
{
    size_t len = strlen(path);
    struct file_reader *reader = af_alloc(sizeof *reader + len + 1);
    if (reader == NULL)
        return af_fail_nomem(err, path);
    memcpy(reader->path, path, len + 1);
    reader->base = (struct af_reader){ .ops = &reader_ops, .name = reader->path };
    enum af_status status = open_regular(path, &reader->fd, &reader->base.size, err);
    if (status != AF_OK) {
        af_free(reader);
        return status;
    }
    *out = &reader->base;
    return AF_OK;
}

/* --- reading in sequence -------------------------------------------------------------------------------------------- */

/* A pipe may stay silent for hours. Threads block signals, so nothing wakes a read: it is only made when there is something to read,
 * and the flag is looked at meanwhile. */
struct af_file_input {
    int fd;
    bool can_wait; /* not a regular file */
    char path[];
};

enum af_status af_file_input_open(const char *path, struct af_file_input **out, struct af_error *err)
{
    const char *name = is_dash(path) ? "standard input" : path;
    size_t len = strlen(name);
    struct af_file_input *in = af_alloc(sizeof *in + len + 1);
    if (in == NULL)
        return af_fail_nomem(err, path);
    memcpy(in->path, name, len + 1);
    in->fd = is_dash(path) ? STDIN_FILENO : open_retry(path, O_RDONLY | O_NONBLOCK, 0); /* a FIFO's writer may be late */
    if (in->fd < 0) {
        int code = errno;
        af_free(in);
        return af_os_fail(err, code, "open", path);
    }
    struct stat st;
    in->can_wait = fstat(in->fd, &st) != 0 || !S_ISREG(st.st_mode);
    *out = in;
    return AF_OK;
}

static bool is_ready(const struct af_file_input *in, int wait_ms)
{
    struct pollfd fd = { .fd = in->fd, .events = POLLIN };
    return poll(&fd, 1, wait_ms) > 0;
}

bool af_file_input_is_ready(const struct af_file_input *in)
{
    return !in->can_wait || is_ready(in, 0);
}

enum af_status af_file_input_read(struct af_file_input *in, void *dst, size_t cap, size_t *out_len, struct af_error *err)
{
    for (;;) {
        while (in->can_wait && !is_ready(in, INTERRUPT_LOOK_MS))
            if (af_interrupted())
                return af_fail(err, AF_ECANCELED, "stopped while waiting for %s", in->path);
        ssize_t n = read_once(in->fd, -1, dst, cap);
        if (n >= 0) {
            *out_len = (size_t)n;
            return AF_OK;
        }
        if (errno != EINTR && errno != EAGAIN)
            return af_os_fail(err, errno, "read", in->path);
        if (af_interrupted())
            return af_fail(err, AF_ECANCELED, "stopped while waiting for %s", in->path);
    }
}

void af_file_input_close(struct af_file_input *in)
{
    if (in == NULL)
        return;
    if (in->fd != STDIN_FILENO)
        (void)close(in->fd);
    af_free(in);
}

static enum af_status read_rest(struct af_file_input *in, struct af_buf *out, struct af_error *err)
{
    for (;;) {
        size_t room = out->bytes_max - out->len;
        size_t step = room < READ_STEP ? room : READ_STEP;
        char probe;
        char *at = step > 0 ? af_buf_reserve(out, step) : &probe; /* full: is there one more byte? */
        if (at == NULL)
            return af_buf_check(out, in->path, err);
        size_t got;
        AF_TRY(af_file_input_read(in, at, step > 0 ? step : 1, &got, err));
        if (got == 0)
            return AF_OK;
        if (step == 0)
            return af_fail(err, AF_ELIMIT, "%s: more than %zu bytes", in->path, out->bytes_max);
        out->len += got;
    }
}

enum af_status af_file_read_all(const char *path, struct af_buf *out, struct af_error *err)
{
    struct af_file_input *in;
    AF_TRY(af_file_input_open(path, &in, err));
    size_t before = out->len;
    enum af_status status = read_rest(in, out, err);
    if (status != AF_OK)
        af_buf_rewind(out, before);
    af_file_input_close(in);
    return status;
}

/* --- growing ------------------------------------------------------------------------------------------------------------ */

struct af_file {
    int fd;
    bool is_regular;
    bool is_torn;        /* bytes past `size` could not be cut off */
    int sick; /* errno of a failed fsync; 0: none */
    uint64_t size;
    char path[];
};

static struct af_file *file_new(const char *path)
{
    size_t len = strlen(path);
    struct af_file *file = af_alloc_zero(1, sizeof *file + len + 1);
    if (file != NULL) {
        memcpy(file->path, path, len + 1);
        file->fd = -1;
    }
    return file;
}

static enum af_status file_adopt(struct af_file *file, struct af_error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0)
        return af_os_fail(err, errno, "look at", file->path);
    file->is_regular = S_ISREG(st.st_mode);
    file->size = file->is_regular ? (uint64_t)st.st_size : 0;
    return AF_OK;
}

enum af_status af_file_open(const char *path, enum af_file_mode mode, struct af_file **out, struct af_error *err)
{
    static const int flags[] = { [AF_FILE_APPEND] = 0, [AF_FILE_TRUNCATE] = O_TRUNC, [AF_FILE_NEW] = O_EXCL };
    struct af_file *file = file_new(is_dash(path) ? "standard output" : path);
    if (file == NULL)
        return af_fail_nomem(err, path);
    if (is_dash(path)) {
        file->fd = STDOUT_FILENO;
        *out = file;
        return AF_OK;
    }
    file->fd = open_retry(path, O_RDWR | O_CREAT | flags[mode], 0666);
    if (file->fd < 0 && errno == EACCES && mode != AF_FILE_NEW) /* write-only is enough for all but pread */
        file->fd = open_retry(path, O_WRONLY | O_CREAT | flags[mode], 0666);
    enum af_status status = file->fd < 0 ? af_os_fail(err, errno, "open", path) : file_adopt(file, err);
    if (status != AF_OK) {
        af_file_close(file);
        return status;
    }
    af_os_tell(&(struct af_os_event){ .change = AF_OS_OPENED, .path = file->path });
    if (mode == AF_FILE_TRUNCATE)
        af_os_tell(&(struct af_os_event){ .change = AF_OS_CUT, .path = file->path });
    *out = file;
    return AF_OK;
}

static ssize_t write_once(struct af_file *file, uint64_t offset, const void *src, size_t len)
{
    size_t step = len < IO_MAX ? len : IO_MAX;
    int fault = af_os_fault_due(AF_OS_WRITE);
    if (fault != 0)
        step /= 2;
    ssize_t n = file->is_regular ? pwrite(file->fd, src, step, (off_t)offset) : write(file->fd, src, step);
    if (n > 0)
        af_os_tell(&(struct af_os_event){ AF_OS_WROTE, file->path, NULL, offset, af_slice_make(src, (size_t)n) });
    if (fault == 0)
        return n;
    errno = fault;
    return -1;
}

static enum af_status sick_again(const struct af_file *file, struct af_error *err)
{
    enum af_status status = af_os_fail(err, file->sick, "trust", file->path);
    af_error_prefix(err, "an earlier fsync failed, what was written may be lost: ");
    return status;
}

static int cut(struct af_file *file, uint64_t size)
{
    while (ftruncate(file->fd, (off_t)size) != 0)
        if (errno != EINTR)
            return errno;
    af_os_tell(&(struct af_os_event){ .change = AF_OS_CUT, .path = file->path, .offset = size });
    file->is_torn = false;
    return 0;
}

enum af_status af_file_write(struct af_file *file, struct af_slice bytes, struct af_error *err)
{
    if (file->sick != 0)
        return sick_again(file, err);
    if (file->is_torn) {
        int code = cut(file, file->size);
        if (code != 0)
            return af_os_fail(err, code, "cut half a write off", file->path);
    }
    size_t done = 0;
    while (done < bytes.len) {
        ssize_t n = write_once(file, file->size + done, bytes.ptr + done, bytes.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int code = errno;
            file->is_torn = file->is_regular;
            if (file->is_regular)
                (void)cut(file, file->size);
            return af_os_fail(err, code, "write", file->path);
        }
        done += (size_t)n;
    }
    file->size += bytes.len;
    return AF_OK;
}

static int sync_fd(int fd)
{
    int fault = af_os_fault_due(AF_OS_SYNC);
    if (fault != 0)
        return fault;
    int rc;
    do
        rc = fdatasync(fd);
    while (rc != 0 && errno == EINTR);
    return rc != 0 ? errno : 0;
}

enum af_status af_file_sync(struct af_file *file, struct af_error *err)
{
    if (file->sick != 0)
        return sick_again(file, err);
    if (!file->is_regular)
        return AF_OK;
    int code = sync_fd(file->fd);
    if (code == 0) {
        af_os_tell(&(struct af_os_event){ .change = AF_OS_SYNCED, .path = file->path });
        return AF_OK;
    }
    file->sick = code;
    return af_os_fail(err, code, "fsync", file->path);
}

uint64_t af_file_size(const struct af_file *file)
{
    return file->size;
}

enum af_status af_file_truncate(struct af_file *file, uint64_t size, struct af_error *err)
{
    if (file->sick != 0)
        return sick_again(file, err);
    if (!file->is_regular)
        return AF_OK;
    int code = cut(file, size);
    if (code != 0)
        return af_os_fail(err, code, "truncate", file->path);
    file->size = size;
    return AF_OK;
}

static enum af_status rewrite_step(struct af_file *file, uint64_t at, char *bytes, size_t len, struct af_error *err)
{
    AF_TRY(af_file_pread(file, at, bytes, len, err));
    for (size_t done = 0; done < len;) {
        ssize_t n = write_once(file, at + done, bytes + done, len - done);
        if (n < 0 && errno != EINTR)
            return af_os_fail(err, errno, "write", file->path);
        done += n > 0 ? (size_t)n : 0;
    }
    return AF_OK;
}

enum af_status af_file_rewrite(struct af_file *file, uint64_t from, struct af_error *err)
{
    if (file->sick != 0)
        return sick_again(file, err);
    char *bytes = af_alloc(READ_STEP);
    if (bytes == NULL)
        return af_fail_nomem(err, file->path);
    enum af_status status = AF_OK;
    for (uint64_t at = from; at < file->size && status == AF_OK; at += READ_STEP) {
        uint64_t left = file->size - at;
        status = rewrite_step(file, at, bytes, left < READ_STEP ? (size_t)left : READ_STEP, err);
    }
    af_free(bytes);
    return status;
}

void af_file_close(struct af_file *file)
{
    if (file == NULL)
        return;
    if (file->fd >= 0 && file->fd != STDOUT_FILENO)
        (void)close(file->fd); /* also releases a lock */
    af_free(file);
}

/* --- scratch --------------------------------------------------------------------------------------------------------------- */

/* Where the file system knows no O_TMPFILE: a name, removed at once. */
static int open_named_scratch(const char *dir)
{
    char *name = af_os_join(dir, "/", ".afluxo-scratch-XXXXXX");
    if (name == NULL) {
        errno = ENOMEM;
        return -1;
    }
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(name);
    af_free(name);
    return fd;
}

enum af_status af_file_open_scratch(const char *dir, struct af_file **out, struct af_error *err)
{
    char *name = af_os_join("a scratch file in ", dir, "");
    struct af_file *file = name != NULL ? file_new(name) : NULL;
    af_free(name);
    if (file == NULL)
        return af_fail_nomem(err, "a scratch file");
    file->fd = open_retry(dir, O_RDWR | O_TMPFILE | O_EXCL, 0600);
    if (file->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
        file->fd = open_named_scratch(dir);
    file->is_regular = true;
    if (file->fd < 0) {
        int code = errno;
        enum af_status status = af_os_fail(err, code, "make", file->path);
        af_file_close(file);
        return status;
    }
    *out = file;
    return AF_OK;
}

enum af_status af_file_pread(struct af_file *file, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    size_t got = 0;
    if (offset > file->size || len > file->size - offset)
        return af_fail(err, AF_ECORRUPT, "%s has %llu bytes, not %zu at %llu", file->path, (unsigned long long)file->size,
                       len, (unsigned long long)offset);
    int code = read_full(file->fd, offset, dst, len, &got);
    if (code != 0)
        return af_os_fail(err, code, "read", file->path);
    if (got < len)
        return af_fail(err, AF_ECORRUPT, "%s ends at byte %llu: something else cut it", file->path,
                       (unsigned long long)(offset + got));
    return AF_OK;
}

/* --- locks ----------------------------------------------------------------------------------------------------------------- */

static enum af_status lock_taken(struct af_file *file, struct af_error *err)
{
    char pid[32] = "";
    size_t got = 0;
    if (read_full(file->fd, 0, pid, sizeof pid - 1, &got) != 0)
        got = 0;
    size_t digits = 0;
    while (digits < got && pid[digits] >= '0' && pid[digits] <= '9')
        digits++;
    if (digits == 0)
        return af_fail(err, AF_EBUSY, "%s is in use by another process; wait for it or end it", file->path);
    return af_fail(err, AF_EBUSY, "%s is in use by process %.*s; wait for it or end it", file->path, (int)digits, pid);
}

/* The pid is for messages only: the lock itself is the kernel's, so a stale pid never blocks anyone. */
static enum af_status lock_take(struct af_file *file, struct af_error *err)
{
    int rc;
    do
        rc = flock(file->fd, LOCK_EX | LOCK_NB);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno == EWOULDBLOCK)
        return lock_taken(file, err);
    if (rc != 0)
        return af_os_fail(err, errno, "lock", file->path);
    char text[32];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    AF_TRY(af_file_truncate(file, 0, err));
    return af_file_write(file, af_slice_make(text, (size_t)len), err);
}

enum af_status af_file_lock(const char *path, struct af_file **out, struct af_error *err)
{
    struct af_file *file;
    AF_TRY(af_file_open(path, AF_FILE_APPEND, &file, err));
    enum af_status status = lock_take(file, err);
    if (status != AF_OK) {
        af_file_close(file);
        return status;
    }
    *out = file;
    return AF_OK;
}

/* --- replaced as a whole ------------------------------------------------------------------------------------------------- */

static enum af_status open_beside(const char *path, bool is_secret, struct af_file **out, struct af_error *err)
{
    uint64_t salt;
    af_random_bytes(&salt, sizeof salt);
    char suffix[40];
    (void)snprintf(suffix, sizeof suffix, ".tmp-%016llx", (unsigned long long)salt);
    char *name = af_os_join(path, suffix, "");
    struct af_file *file = name != NULL ? file_new(name) : NULL;
    af_free(name);
    if (file == NULL)
        return af_fail_nomem(err, path);
    file->fd = open_retry(file->path, O_WRONLY | O_CREAT | O_EXCL, is_secret ? 0600 : 0666);
    enum af_status status = file->fd < 0 ? af_os_fail(err, errno, "make", file->path) : file_adopt(file, err);
    if (status != AF_OK) {
        af_file_close(file);
        return status;
    }
    af_os_tell(&(struct af_os_event){ .change = AF_OS_OPENED, .path = file->path });
    *out = file;
    return AF_OK;
}

enum af_status af_file_write_atomic(const char *path, struct af_slice bytes, bool is_secret, struct af_error *err)
{
    struct af_file *file = NULL;
    AF_TRY(open_beside(path, is_secret, &file, err));
    enum af_status status = af_file_write(file, bytes, err);
    if (status == AF_OK)
        status = af_file_sync(file, err);
    if (status == AF_OK)
        status = af_path_rename(file->path, path, err);
    if (status != AF_OK && unlink(file->path) == 0) /* after a rename whose directory fsync failed there is nothing by this name */
        af_os_tell(&(struct af_os_event){ .change = AF_OS_REMOVED, .path = file->path });
    af_file_close(file);
    return status;
}
