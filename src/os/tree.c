/*
 * tree.c - directories with what is in them, and hard links; see tree.h.
 *
 * Removal goes depth first (nftw) and never follows a link. A link's bytes are synced through the new name: a file that somebody
 * copied in a moment ago may not be on disk yet.
 */
#include "os/tree.h"
#include "base/alloc.h"
#include "os/observe.h"
#include "os/os_int.h"
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FDS_MAX = 16, COPY_STEP = 256 << 10 };

/* --- the directories in a directory ------------------------------------------------------------------------------------------ */

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_name(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static enum af_status visit(const char *dir, const char *name, af_dir_each each, void *ctx, struct af_error *err)
{
    struct stat st;
    char *path = af_os_join(dir, "/", name);
    if (path == NULL)
        return af_fail_nomem(err, name);
    enum af_status status = AF_OK;
    if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
        status = each(ctx, path, err);
    af_free(path);
    return status;
}

enum af_status af_dir_dirs(const char *path, af_dir_each each, void *ctx, struct af_error *err)
{
    struct dirent **list;
    int count = scandir(path, &list, is_name, by_bytes);
    if (count < 0)
        return af_os_fail(err, errno, "list", path);
    enum af_status status = AF_OK;
    for (int i = 0; i < count; i++) {
        if (status == AF_OK)
            status = visit(path, list[i]->d_name, each, ctx, err);
        free(list[i]);
    }
    free(list);
    return status;
}

/* --- removal ------------------------------------------------------------------------------------------------------------------ */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st;
    (void)kind;
    (void)place;
    if (remove(path) != 0)
        return errno == ENOENT ? 0 : errno;
    af_os_tell(&(struct af_os_event){ .change = AF_OS_REMOVED, .path = path });
    return 0;
}

enum af_status af_dir_remove(const char *path, struct af_error *err)
{
    int code = nftw(path, remove_entry, FDS_MAX, FTW_DEPTH | FTW_PHYS);
    if (code < 0)
        code = errno;
    if (code != 0 && code != ENOENT)
        return af_os_fail(err, code, "remove", path);
    return AF_OK;
}

/* --- links ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status copy_bytes(struct af_reader *from, struct af_file *to, struct af_error *err)
{
    char *step = af_alloc(COPY_STEP);
    if (step == NULL)
        return af_fail_nomem(err, "a copy");
    enum af_status status = AF_OK;
    for (uint64_t at = 0; at < from->size && status == AF_OK;) {
        size_t len = from->size - at < COPY_STEP ? (size_t)(from->size - at) : COPY_STEP;
        status = af_reader_read(from, at, step, len, err);
        if (status == AF_OK)
            status = af_file_write(to, af_slice_make(step, len), err);
        at += len;
    }
    af_free(step);
    return status;
}

static enum af_status copy(const char *from, struct af_file *file, struct af_error *err)
{
    struct af_reader *reader;
    AF_TRY(af_file_reader_open(from, &reader, err));
    enum af_status status = copy_bytes(reader, file, err);
    af_reader_close(reader);
    return status;
}

enum af_status af_path_link(const char *from, const char *to, struct af_error *err)
{
    bool is_link = link(from, to) == 0;
    if (!is_link && errno == EEXIST)
        return af_os_fail(err, EEXIST, "make", to);
    if (is_link)
        af_os_tell(&(struct af_os_event){ .change = AF_OS_LINKED, .path = from, .other = to });
    struct af_file *file;
    AF_TRY(af_file_open(to, is_link ? AF_FILE_APPEND : AF_FILE_NEW, &file, err));
    enum af_status status = is_link ? AF_OK : copy(from, file, err);
    if (status == AF_OK)
        status = af_file_sync(file, err);
    af_file_close(file);
    if (status != AF_OK && unlink(to) == 0)
        af_os_tell(&(struct af_os_event){ .change = AF_OS_REMOVED, .path = to });
    return status;
}
