/*
 * files.c - the set of TSM files of a shard, as readers hold it.
 *
 *     parts[0] ... parts[count - 1]      by (generation, sequence): for equal key and time the later part wins
 *
 * A set never changes: whoever adds or removes files makes a new one and puts it in the old one's place. Parts are shared between sets.
 *
 * What opening does with what it finds in a shard's directory:
 *     *.tmp, *.tmp-*               removed: no file is in use before it has its name
 *     G-S.tsm                      a part; cannot be opened: renamed to G-S.tsm.bad, and the shard is damaged
 *     G-S.tsm.bad                  the shard is damaged until fsck has dealt with it
 *     G-S.tsm.salvaged.bad         what fsck has dealt with: ignored
 *     G-S.tombstone, G-S.stats     removed if there is neither G-S.tsm nor G-S.tsm.bad
 *     all else                     left alone
 */
#include "base/alloc.h"
#include "tsm/tsm_int.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static const size_t NAMES_BYTES_MAX = (size_t)256 << 20;

/* --- sets -------------------------------------------------------------------------------------------------------------------- */

static struct af_files *files_new(size_t cap)
{
    struct af_files *files = af_alloc_zero(1, sizeof *files + cap * sizeof files->parts[0]);
    if (files != NULL)
        atomic_init(&files->refs, 1);
    return files;
}

struct af_files *af_files_ref(struct af_files *files)
{
    atomic_fetch_add(&files->refs, 1);
    return files;
}

void af_files_unref(struct af_files *files)
{
    if (files == NULL || atomic_fetch_sub(&files->refs, 1) != 1)
        return;
    for (size_t i = 0; i < files->count; i++)
        af_part_unref(files->parts[i]);
    af_free(files);
}

/* Behind all that are not later than it. Takes the reference. */
static void insert(struct af_files *files, struct af_tsm_part *part)
{
    size_t at = files->count;
    const uint64_t place = (uint64_t)part->generation << 32 | part->sequence;
    while (at > 0 && ((uint64_t)files->parts[at - 1]->generation << 32 | files->parts[at - 1]->sequence) > place)
        at--;
    memmove(&files->parts[at + 1], &files->parts[at], (files->count - at) * sizeof files->parts[0]);
    files->parts[at] = part;
    files->count++;
    if (part->generation > files->generation_max)
        files->generation_max = part->generation;
}

static bool is_among(const struct af_tsm_part *part, struct af_tsm_part *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == part)
            return true;
    return false;
}

enum af_status af_files_replace(struct af_files *files, struct af_tsm_part *const *remove, size_t remove_count,
                                struct af_tsm_part *const *add, size_t add_count, struct af_files **out, struct af_error *err)
{
    for (size_t i = 0; i < remove_count; i++)
        if (!is_among(remove[i], files->parts, files->count))
            return af_fail(err, AF_EBUG, "%s is to be replaced but is not in the shard's set of files", remove[i]->path);
    struct af_files *next = files_new(files->count + add_count);
    if (next == NULL)
        return af_fail_nomem(err, "a set of files");
    next->generation_max = files->generation_max;
    for (size_t i = 0; i < files->count + add_count; i++) {
        struct af_tsm_part *part = i < files->count ? files->parts[i] : add[i - files->count];
        if (i < files->count && is_among(part, remove, remove_count))
            continue;
        atomic_fetch_add(&part->refs, 1);
        insert(next, part);
    }
    *out = next;
    return AF_OK;
}

/* --- opening a directory ------------------------------------------------------------------------------------------------------- */

struct loader {
    void (*say)(void *ctx, const char *words);
    void *ctx;
    struct af_arena arena; /* of the paths */
    const char **paths;    /* of TSM files */
    size_t count, cap;
    uint32_t generation_max;
    bool is_damaged;
};

static void tell(const struct loader *loader, const char *fmt, ...) AF_PRINTF(2, 3);
static void tell(const struct loader *loader, const char *fmt, ...)
{
    char words[1024];
    va_list args;
    if (loader->say == NULL)
        return;
    va_start(args, fmt);
    (void)vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    loader->say(loader->ctx, words);
}

static bool ends_with(const char *name, const char *tail)
{
    const size_t n = strlen(name);
    const size_t t = strlen(tail);
    return n >= t && memcmp(name + n - t, tail, t) == 0;
}

static enum af_status note_tsm(struct loader *loader, const char *path, struct af_error *err)
{
    if (loader->count == loader->cap) {
        const size_t cap = loader->cap == 0 ? 16 : loader->cap * 2;
        const char **paths = af_realloc(loader->paths, cap * sizeof *paths);
        if (paths == NULL)
            return af_fail_nomem(err, "a list of files");
        loader->paths = paths;
        loader->cap = cap;
    }
    const struct af_slice text = af_slice_of(path);
    const char *copy = af_arena_copy(&loader->arena, text);
    if (copy == NULL)
        return af_arena_fail(&loader->arena, text.len, "a list of files", err);
    loader->paths[loader->count++] = copy;
    return AF_OK;
}

/* Is the file at `path`, which ends in `suffix`, beside no TSM file? */
static enum af_status is_orphan(const char *path, const char *suffix, bool *out, struct af_error *err)
{
    static const char *const beside[] = { ".tsm", ".tsm.bad" };
    const size_t stem = strlen(path) - strlen(suffix);
    char *other = af_alloc(stem + sizeof ".tsm.bad");
    if (other == NULL)
        return af_fail_nomem(err, path);
    *out = true;
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        memcpy(other, path, stem);
        memcpy(other + stem, beside[i], strlen(beside[i]) + 1);
        *out = *out && af_path_kind(other) == AF_PATH_NONE;
    }
    af_free(other);
    return AF_OK;
}

static enum af_status look_at(void *ctx, const char *path, struct af_error *err)
{
    struct loader *loader = ctx;
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    uint32_t generation = 0;
    uint32_t sequence;
    bool orphan = false;
    if (ends_with(name, ".tmp") || strstr(name, ".tmp-") != NULL)
        return af_path_remove(path, err);
    if (af_part_name_parse(path, ".tombstone", &generation, &sequence))
        AF_TRY(is_orphan(path, ".tombstone", &orphan, err));
    else if (af_part_name_parse(path, ".stats", &generation, &sequence))
        AF_TRY(is_orphan(path, ".stats", &orphan, err));
    if (af_part_name_parse(path, ".tsm.bad", &generation, &sequence)) {
        tell(loader, "%s was set aside because it is damaged: check the directory with `afluxo tsm verify`", path);
        loader->is_damaged = true;
    }
    /* Orphans count: their removal is not on disk yet, and tombstones that come back must not meet a new file of the name. */
    if (generation > loader->generation_max)
        loader->generation_max = generation;
    if (orphan)
        return af_path_remove(path, err);
    if (af_part_name_parse(path, ".tsm", &generation, &sequence))
        return note_tsm(loader, path, err);
    if (ends_with(name, ".tsm"))
        tell(loader, "%s is left alone: its name is not generation-sequence.tsm", path);
    return AF_OK;
}

static enum af_status set_aside(struct loader *loader, const char *path, const struct af_error *why, struct af_error *err)
{
    uint32_t generation;
    uint32_t sequence;
    char *bad = af_part_side_path(path, ".tsm.bad");
    if (bad == NULL)
        return af_fail_nomem(err, path);
    loader->is_damaged = true;
    if (af_part_name_parse(path, ".tsm", &generation, &sequence) && generation > loader->generation_max)
        loader->generation_max = generation;
    enum af_status status = af_path_rename(path, bad, err);
    if (status == AF_OK)
        tell(loader, "%s; it is set aside as %s: check the directory with `afluxo tsm verify`", why->message, bad);
    af_free(bad);
    return status;
}

static enum af_status load_one(struct loader *loader, const char *path, struct af_files *files, struct af_error *err)
{
    struct af_tsm_part *part;
    struct af_error why = { 0 };
    enum af_status status = af_part_open(path, &part, &why);
    if (status == AF_ECORRUPT || status == AF_EUNSUPPORTED)
        return set_aside(loader, path, &why, err);
    if (status != AF_OK)
        return af_fail(err, status, "%s", why.message);
    if (part->has_bad_blocks) {
        loader->is_damaged = true;
        tell(loader, "%s has damaged blocks: check the directory with `afluxo tsm verify`", path);
    }
    insert(files, part);
    return AF_OK;
}

static enum af_status load_all(struct loader *loader, struct af_files **out, struct af_error *err)
{
    struct af_files *files = files_new(loader->count);
    if (files == NULL)
        return af_fail_nomem(err, "a set of files");
    for (size_t i = 0; i < loader->count; i++) {
        enum af_status status = load_one(loader, loader->paths[i], files, err);
        if (status != AF_OK) {
            af_files_unref(files);
            return status;
        }
    }
    if (loader->generation_max > files->generation_max)
        files->generation_max = loader->generation_max;
    *out = files;
    return AF_OK;
}

enum af_status af_files_open(const char *dir, void (*say)(void *ctx, const char *words), void *ctx, struct af_files **out,
                             bool *out_damaged, struct af_error *err)
{
    struct loader loader = { .say = say, .ctx = ctx };
    af_arena_init(&loader.arena, NAMES_BYTES_MAX);
    enum af_status status = af_dir_list(dir, look_at, &loader, err);
    if (status == AF_OK)
        status = load_all(&loader, out, err);
    if (status == AF_OK)
        *out_damaged = loader.is_damaged;
    af_arena_done(&loader.arena);
    af_free(loader.paths);
    return status;
}
