/*
 * dir.c - paths and directories; see file.h.
 *
 * A directory is read whole and sorted before anything is called for its entries: the order does not depend on the
 * file system, and `each` may add or remove files without confusing the walk.
 */
#include "base/alloc.h"
#include "base/arena.h"
#include "base/calendar.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/observe.h"
#include "os/os_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 100 };
static const size_t NAMES_BYTES_MAX = (size_t)1 << 30;

/* --- single paths -------------------------------------------------------------------------------------------------------- */

enum af_path_kind af_path_kind(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return AF_PATH_NONE;
    return S_ISREG(st.st_mode) ? AF_PATH_FILE : S_ISDIR(st.st_mode) ? AF_PATH_DIR : AF_PATH_OTHER;
}

enum af_status af_path_size(const char *path, uint64_t *out_bytes, int64_t *out_mtime_ns, struct af_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return af_os_fail(err, errno, "look at", path);
    if (out_bytes != NULL)
        *out_bytes = (uint64_t)st.st_size;
    if (out_mtime_ns != NULL)
        *out_mtime_ns = (int64_t)st.st_mtim.tv_sec * AF_NS_PER_S + st.st_mtim.tv_nsec;
    return AF_OK;
}

enum af_status af_path_remove(const char *path, struct af_error *err)
{
    if (unlink(path) == 0)
        af_os_tell(&(struct af_os_event){ .change = AF_OS_REMOVED, .path = path });
    else if (errno != ENOENT)
        return af_os_fail(err, errno, "remove", path);
    return AF_OK;
}

enum af_status af_dir_sync(const char *path, struct af_error *err)
{
    int fault = af_os_fault_due(AF_OS_SYNC);
    if (fault != 0)
        return af_os_fail(err, fault, "fsync", path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return af_os_fail(err, errno, "open", path);
    int code = 0;
    while (fsync(fd) != 0) {
        code = errno;
        if (code != EINTR)
            break;
        code = 0;
    }
    (void)close(fd);
    if (code != 0 && code != EINVAL) /* EINVAL: a file system whose directories need no fsync */
        return af_os_fail(err, code, "fsync", path);
    af_os_tell(&(struct af_os_event){ .change = AF_OS_SYNCED_DIR, .path = path });
    return AF_OK;
}

enum af_status af_os_sync_parent(const char *path, struct af_error *err)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    char *dir = af_alloc(len + 2);
    if (dir == NULL)
        return af_fail_nomem(err, path);
    memcpy(dir, path, len);
    if (len == 0)
        dir[len++] = '.';
    dir[len] = '\0';
    enum af_status status = af_dir_sync(dir, err);
    af_free(dir);
    return status;
}

enum af_status af_path_rename(const char *from, const char *to, struct af_error *err)
{
    int code = af_os_fault_due(AF_OS_RENAME);
    if (code == 0 && rename(from, to) != 0)
        code = errno;
    if (code != 0) {
        enum af_status status = af_os_fail(err, code, "rename", from);
        af_error_prefix(err, "to %s: ", to);
        return status;
    }
    af_os_tell(&(struct af_os_event){ .change = AF_OS_RENAMED, .path = from, .other = to });
    return af_os_sync_parent(to, err);
}

/* Make one directory and put its name on disk; existing is fine if it is a directory. */
static enum af_status make_one(const char *path, struct af_error *err)
{
    if (mkdir(path, 0777) == 0) {
        af_os_tell(&(struct af_os_event){ .change = AF_OS_MADE_DIR, .path = path });
        return af_os_sync_parent(path, err);
    }
    int code = errno;
    enum af_path_kind kind = af_path_kind(path);
    if (kind == AF_PATH_DIR)
        return AF_OK;
    if (kind != AF_PATH_NONE)
        return af_fail(err, AF_ECONFLICT, "cannot make directory %s: a file of that name is there; remove it or choose "
                       "another name", path);
    return af_os_fail(err, code, "make directory", path);
}

enum af_status af_dir_make_private(const char *path, struct af_error *err)
{
    if (mkdir(path, 0700) == 0)
        return AF_OK;
    int code = errno;
    return code == EEXIST ? af_fail(err, AF_ECONFLICT, "%s is there already", path) : af_os_fail(err, code, "make directory", path);
}

enum af_status af_dir_make(const char *path, struct af_error *err)
{
    char *copy = af_os_join(path, "", "");
    if (copy == NULL)
        return af_fail_nomem(err, path);
    enum af_status status = AF_OK;
    for (char *at = copy + (copy[0] == '/'); *at != '\0' && status == AF_OK; at++) {
        if (*at != '/' || at[-(at > copy)] == '/')
            continue;
        *at = '\0';
        status = make_one(copy, err);
        *at = '/';
    }
    bool was_there = status == AF_OK && af_path_kind(copy) == AF_PATH_DIR;
    if (status == AF_OK)
        status = make_one(copy, err);
    if (status == AF_OK && was_there) /* whoever made it may have been killed before its name was on disk */
        status = af_os_sync_parent(copy, err);
    if (was_there && status == AF_EDENIED) /* a parent that is not ours to open is not ours to lose either */
        status = AF_OK;
    af_free(copy);
    return status;
}

/* --- lists of names ------------------------------------------------------------------------------------------------------ */

struct names {
    struct af_arena arena; /* the texts */
    const char **list;
    size_t count;
    size_t cap;
};

static void names_init(struct names *names)
{
    *names = (struct names){ 0 };
    af_arena_init(&names->arena, NAMES_BYTES_MAX);
}

static void names_done(struct names *names)
{
    af_free(names->list);
    af_arena_done(&names->arena);
}

static enum af_status names_add(struct names *names, const char *name, struct af_error *err)
{
    if (names->count == names->cap) {
        size_t cap = names->cap == 0 ? 64 : names->cap * 2;
        const char **list = af_realloc(names->list, cap * sizeof *list);
        if (list == NULL)
            return af_fail_nomem(err, "a list of files");
        names->list = list;
        names->cap = cap;
    }
    struct af_slice text = af_slice_of(name);
    const char *copy = af_arena_copy(&names->arena, text);
    if (copy == NULL)
        return af_arena_fail(&names->arena, text.len, "a list of files", err);
    names->list[names->count++] = copy;
    return AF_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void names_sort(struct names *names)
{
    if (names->count > 1)
        qsort(names->list, names->count, sizeof *names->list, by_bytes);
}

static enum af_status read_entries(DIR *dir, const char *path, bool all, struct names *names, struct af_error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL)
            return errno == 0 ? AF_OK : af_os_fail(err, errno, "list", path);
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (!all && (name[0] == '.' || name[0] == '_')))
            continue;
        AF_TRY(names_add(names, name, err));
    }
}

static enum af_status names_read(struct names *names, const char *path, bool all, struct af_error *err)
{
    DIR *dir = opendir(path);
    if (dir == NULL && errno == ENOTDIR)
        return af_fail(err, AF_EINVAL, "%s is not a directory", path);
    if (dir == NULL)
        return af_os_fail(err, errno, "list", path);
    enum af_status status = read_entries(dir, path, all, names, err);
    (void)closedir(dir);
    names_sort(names);
    return status;
}

/* --- walks --------------------------------------------------------------------------------------------------------------- */

enum entry_kind { ENTRY_GONE, ENTRY_FILE, ENTRY_DIR, ENTRY_OTHER };

/* What `path` is, links to files counted as files, links to directories as nothing of ours. */
static enum af_status entry_kind(const char *path, enum entry_kind *out, struct af_error *err)
{
    struct stat link;
    struct stat st;
    *out = ENTRY_GONE;
    if (lstat(path, &link) != 0 || stat(path, &st) != 0) {
        if (errno == ENOENT || errno == ELOOP) /* removed meanwhile, or a link to nowhere */
            return AF_OK;
        return af_os_fail(err, errno, "look at", path);
    }
    if (S_ISREG(st.st_mode))
        *out = ENTRY_FILE;
    else
        *out = S_ISDIR(link.st_mode) ? ENTRY_DIR : ENTRY_OTHER;
    return AF_OK;
}

struct walk {
    af_dir_each each;
    void *ctx;
    bool all;     /* hidden names too */
    bool is_flat; /* do not enter directories */
};

static enum af_status walk_dir(const struct walk *walk, const char *path, unsigned depth, struct af_error *err);

static enum af_status walk_entry(const struct walk *walk, const char *dir, const char *name, unsigned depth, struct af_error *err)
{
    size_t len = strlen(dir);
    char *path = af_os_join(dir, len > 0 && dir[len - 1] == '/' ? "" : "/", name);
    if (path == NULL)
        return af_fail_nomem(err, name);
    enum entry_kind kind;
    enum af_status status = entry_kind(path, &kind, err);
    if (status == AF_OK && kind == ENTRY_FILE)
        status = walk->each(walk->ctx, path, err);
    else if (status == AF_OK && kind == ENTRY_DIR && !walk->is_flat)
        status = walk_dir(walk, path, depth + 1, err);
    af_free(path);
    return status;
}

static enum af_status walk_dir(const struct walk *walk, const char *path, unsigned depth, struct af_error *err)
{
    if (depth > DEPTH_MAX)
        return af_fail(err, AF_ELIMIT, "%s: more than %d directories inside each other", path, DEPTH_MAX);
    struct names names;
    names_init(&names);
    enum af_status status = names_read(&names, path, walk->all, err);
    for (size_t i = 0; i < names.count && status == AF_OK; i++)
        status = walk_entry(walk, path, names.list[i], depth, err);
    names_done(&names);
    return status;
}

enum af_status af_dir_walk(const char *path, af_dir_each each, void *ctx, struct af_error *err)
{
    struct walk walk = { each, ctx, false, false };
    return walk_dir(&walk, path, 0, err);
}

enum af_status af_dir_list(const char *path, af_dir_each each, void *ctx, struct af_error *err)
{
    struct walk walk = { each, ctx, true, true };
    return walk_dir(&walk, path, 0, err);
}

/* --- patterns ------------------------------------------------------------------------------------------------------------ */

static enum af_status glob_names(const char *pattern, struct names *names, struct af_error *err)
{
    glob_t found;
    int rc = glob(pattern, GLOB_NOSORT | GLOB_ERR, NULL, &found); /* glob's own order follows the locale */
    if (rc == GLOB_NOSPACE)
        return af_fail_nomem(err, pattern);
    if (rc == GLOB_ABORTED)
        return af_os_fail(err, errno, "list a directory of", pattern);
    enum af_status status = AF_OK;
    for (size_t i = 0; rc == 0 && i < found.gl_pathc && status == AF_OK; i++)
        if (af_path_kind(found.gl_pathv[i]) == AF_PATH_FILE)
            status = names_add(names, found.gl_pathv[i], err);
    if (rc == 0)
        globfree(&found);
    names_sort(names);
    return status;
}

enum af_status af_dir_glob(const char *pattern, af_dir_each each, void *ctx, struct af_error *err)
{
    struct names names;
    names_init(&names);
    enum af_status status = glob_names(pattern, &names, err);
    if (status == AF_OK && names.count == 0)
        status = af_fail(err, AF_ENOTFOUND, "no file matches %s; quote the pattern if the shell is not to expand it", pattern);
    for (size_t i = 0; i < names.count && status == AF_OK; i++)
        status = each(ctx, names.list[i], err);
    names_done(&names);
    return status;
}
