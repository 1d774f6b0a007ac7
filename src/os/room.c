/*
 * room.c - see room.h.
 *
 * Memory: /proc/meminfo says what the machine has, /sys/fs/cgroup what the group may have (version 2: memory.max and memory.current of the
 * group itself, as a container sees it; version 1: memory/memory.limit_in_bytes). The page cache that a group is charged for is counted as
 * used there, so `available` is careful inside a container.
 */
#include "os/room.h"
#include "base/numbers.h"
#include "os/file.h"
#include "os/os_int.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { TEXT_BYTES_MAX = 64 << 10 };

/* --- disks ----------------------------------------------------------------------------------------------------------------- */

static int look(const char *path, struct statvfs *out)
{
    int rc;
    do
        rc = statvfs(path, out);
    while (rc != 0 && errno == EINTR);
    return rc;
}

/* The directory above, in place; false: there is none. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL) {
        bool was_here = strcmp(path, ".") == 0;
        path[0] = '.';
        path[1] = '\0';
        return !was_here;
    }
    if (slash[1] == '\0' && slash == path)
        return false;
    slash[slash == path ? 1 : 0] = '\0';
    return true;
}

enum af_status af_path_room(const char *path, struct af_room *out, struct af_error *err)
{
    char at[4096];
    struct statvfs fs;
    int n = snprintf(at, sizeof at, "%s", path[0] != '\0' ? path : ".");
    if (n < 0 || (size_t)n >= sizeof at)
        return af_fail(err, AF_EINVAL, "the path is too long: %.100s...", path);
    while (look(at, &fs) != 0)
        if ((errno != ENOENT && errno != ENOTDIR) || !go_up(at))
            return af_os_fail(err, errno, "look at the file system of", path);
    uint64_t unit = fs.f_frsize != 0 ? fs.f_frsize : fs.f_bsize;
    *out = (struct af_room){ .bytes_free = fs.f_bavail * unit, .bytes_all = fs.f_blocks * unit, .inodes_free = fs.f_favail,
                             .inodes_all = fs.f_files };
    return AF_OK;
}

/* --- memory ---------------------------------------------------------------------------------------------------------------- */

/* "MemTotal:       16318912 kB" */
static bool line_kib(struct af_slice text, const char *name, uint64_t *out)
{
    while (text.len != 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct af_slice line = { text.ptr, end != NULL ? (size_t)(end - text.ptr) : text.len };
        if (af_slice_has_prefix(line, name)) {
            struct af_slice value = af_slice_trim((struct af_slice){ line.ptr + strlen(name), line.len - strlen(name) });
            if (value.len > 3 && memcmp(value.ptr + value.len - 3, " kB", 3) == 0)
                value.len -= 3;
            return value.len != 0 && af_u64_parse(value, out) && *out < UINT64_MAX / 1024;
        }
        size_t used = line.len + (end != NULL);
        text = (struct af_slice){ text.ptr + used, text.len - used };
    }
    return false;
}

bool af_memory_room_of(struct af_slice meminfo, struct af_slice limit, struct af_slice used, struct af_memory_room *out)
{
    uint64_t all, available, most, now;
    if (!line_kib(meminfo, "MemTotal:", &all) || !line_kib(meminfo, "MemAvailable:", &available))
        return false;
    *out = (struct af_memory_room){ .all = all * 1024, .available = available * 1024 };
    if (limit.len == 0 || used.len == 0)
        return true;
    if (!af_u64_parse(af_slice_trim(limit), &most) || !af_u64_parse(af_slice_trim(used), &now) || most >= out->all)
        return true;
    out->all = most;
    out->is_grouped = true;
    uint64_t left = now < most ? most - now : 0;
    out->available = left < out->available ? left : out->available;
    return true;
}

/* What is not there is an empty text. */
static struct af_slice text_of(const char *path, struct af_buf *buf)
{
    af_buf_clear(buf);
    if (af_file_read_all(path, buf, NULL) != AF_OK)
        af_buf_clear(buf);
    return af_buf_slice(buf);
}

enum af_status af_memory_room(struct af_memory_room *out, struct af_error *err)
{
    struct af_buf machine, limit, used;
    af_buf_init(&machine, TEXT_BYTES_MAX);
    af_buf_init(&limit, TEXT_BYTES_MAX);
    af_buf_init(&used, TEXT_BYTES_MAX);
    struct af_slice most = text_of("/sys/fs/cgroup/memory.max", &limit), now = text_of("/sys/fs/cgroup/memory.current", &used);
    if (most.len == 0) {
        most = text_of("/sys/fs/cgroup/memory/memory.limit_in_bytes", &limit);
        now = text_of("/sys/fs/cgroup/memory/memory.usage_in_bytes", &used);
    }
    bool is_known = af_memory_room_of(text_of("/proc/meminfo", &machine), most, now, out);
    af_buf_done(&machine);
    af_buf_done(&limit);
    af_buf_done(&used);
    return is_known ? AF_OK : af_fail(err, AF_EUNSUPPORTED, "/proc/meminfo does not say how much memory there is");
}

/* --- open files, locks ----------------------------------------------------------------------------------------------------- */

uint64_t af_descriptors_hard(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_max;
}

static int64_t pid_in(int fd)
{
    char text[32];
    int64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof text, 0);
    return n > 0 && af_i64_parse(af_slice_trim(af_slice_make(text, (size_t)n)), &pid) && pid > 0 ? pid : 0;
}

/* A shared lock is asked for and given back at once: whoever wants the real one in between is told that it is taken, and by whom. */
enum af_status af_file_lock_look(const char *path, bool *out_is_held, int64_t *out_pid, struct af_error *err)
{
    *out_is_held = false;
    *out_pid = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? AF_OK : af_os_fail(err, errno, "open", path);
    int rc;
    do
        rc = flock(fd, LOCK_SH | LOCK_NB);
    while (rc != 0 && errno == EINTR);
    enum af_status status = AF_OK;
    if (rc != 0 && errno != EWOULDBLOCK)
        status = af_os_fail(err, errno, "look at the lock of", path);
    *out_is_held = rc != 0 && status == AF_OK;
    *out_pid = pid_in(fd);
    (void)close(fd);
    return status;
}
