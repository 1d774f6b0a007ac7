/* files.c - TSM files of a directory: found, ordered, checked. */
#include "base/alloc.h"
#include "os/tree.h"
#include "transfer/transfer_int.h"
#include <inttypes.h>
#include <stdlib.h>

const char *transfer_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

const char *transfer_path(struct af_arena *arena, const char *dir, const char *name)
{
    return af_arena_printf(arena, "%s/%s", dir, name);
}

static bool number(const char **at, uint32_t *out)
{
    uint64_t value = 0;
    const char *start = *at;
    for (; **at >= '0' && **at <= '9' && value <= UINT32_MAX; (*at)++)
        value = value * 10 + (uint64_t)(**at - '0');
    *out = (uint32_t)value;
    return *at != start && value <= UINT32_MAX;
}

bool transfer_name_parse(const char *name, uint32_t *out_generation, uint32_t *out_sequence)
{
    return number(&name, out_generation) && *name++ == '-' && number(&name, out_sequence) && strcmp(name, ".tsm") == 0;
}

/* --- lists ------------------------------------------------------------------------------------------------------------------------ */

struct listing {
    struct af_arena *arena;
    void *items;
    size_t count, cap;
};

static void *add(struct listing *list, size_t size)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 16 : list->cap * 2;
        char *grown = af_arena_zero(list->arena, cap, size);
        if (grown == NULL)
            return NULL;
        if (list->count != 0)
            memcpy(grown, list->items, list->count * size);
        list->items = grown;
        list->cap = cap;
    }
    return (char *)list->items + list->count++ * size;
}

static enum af_status on_file(void *ctx, const char *path, struct af_error *err)
{
    struct listing *list = ctx;
    struct transfer_file file = { 0 };
    if (!transfer_name_parse(transfer_base_name(path), &file.generation, &file.sequence))
        return AF_OK;
    int64_t mtime_ns;
    AF_TRY(af_path_size(path, &file.bytes, &mtime_ns, err));
    file.path = af_arena_copy(list->arena, af_slice_of(path));
    struct transfer_file *place = add(list, sizeof file);
    if (place == NULL || file.path == NULL)
        return af_fail_nomem(err, "a list of files");
    file.name = transfer_base_name(file.path);
    const char *tombstone = af_arena_printf(list->arena, "%.*s.tombstone", (int)(strlen(path) - 4), path);
    if (tombstone == NULL)
        return af_fail_nomem(err, "a list of files");
    file.has_tombstone = af_path_kind(tombstone) == AF_PATH_FILE;
    *place = file;
    return AF_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct transfer_file *x = a;
    const struct transfer_file *y = b;
    if (x->generation != y->generation)
        return x->generation < y->generation ? -1 : 1;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

enum af_status transfer_files(const char *dir, struct af_arena *arena, struct transfer_file **out, size_t *out_count, struct af_error *err)
{
    struct listing list = { .arena = arena };
    AF_TRY(af_dir_list(dir, on_file, &list, err));
    if (list.count != 0)
        qsort(list.items, list.count, sizeof(struct transfer_file), by_place);
    *out = list.items;
    *out_count = list.count;
    return AF_OK;
}

static enum af_status on_dir(void *ctx, const char *path, struct af_error *err)
{
    struct listing *list = ctx;
    const char **place = add(list, sizeof *place);
    if (place == NULL || (*place = af_arena_copy(list->arena, af_slice_of(transfer_base_name(path)))) == NULL)
        return af_fail_nomem(err, "a list of directories");
    return AF_OK;
}

enum af_status transfer_dirs(const char *dir, struct af_arena *arena, const char ***out, size_t *out_count, struct af_error *err)
{
    struct listing list = { .arena = arena };
    AF_TRY(af_dir_dirs(dir, on_dir, &list, err));
    *out = list.items;
    *out_count = list.count;
    return AF_OK;
}

/* --- checking ------------------------------------------------------------------------------------------------------------------------ */

static void on_fault(void *ctx, const char *words)
{
    char *first = ctx;
    if (first[0] == '\0') {
        size_t len = strlen(words) < 511 ? strlen(words) : 511;
        memcpy(first, words, len);
        first[len] = '\0';
    }
}

enum af_status transfer_check(const char *path, int64_t start_ns, int64_t end_ns, struct af_tsm_check *out, struct af_error *err)
{
    struct af_reader *reader;
    struct af_tsm_file *file;
    char fault[512] = "";
    AF_TRY(af_file_reader_open(path, &reader, err));
    AF_TRY(af_tsm_file_open(reader, NULL, &file, err));
    enum af_status status = af_tsm_check(file, on_fault, fault, out, err);
    af_tsm_file_close(file);
    if (status != AF_OK)
        return status;
    if (out->bad_blocks != 0 || out->bad_entries != 0)
        return af_fail(err, AF_ECORRUPT, "%s is damaged: %s", path, fault);
    if (start_ns != end_ns && (out->min_ns < start_ns || (out->max_ns >= end_ns && end_ns != INT64_MAX)))
        return af_fail(err, AF_ECORRUPT, "%s has points from %" PRId64 " to %" PRId64 ", outside its shard [%" PRId64 ", %" PRId64 ")",
                       path,
                       out->min_ns, out->max_ns, start_ns, end_ns);
    return AF_OK;
}
