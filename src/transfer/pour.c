/*
 * pour.c - points read out of InfluxDB's files, one value after another: TSM files less what their tombstones delete, and logs.
 *
 * A delete in InfluxDB has two halves: a tombstone beside every TSM file there is, and an entry in the log for what is still in memory. So
 * a tombstone counts for its own file only, and an entry in the log only for what the log said before it.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "os/tree.h"
#include "transfer/transfer_int.h"
#include <stdlib.h>

enum { TOMBSTONE_BYTES_MAX = 1 << 30, SEGMENT_BYTES_MAX = 1 << 30 };

/* --- tombstones ------------------------------------------------------------------------------------------------------------- */

struct tombs {
    struct af_tsm_tomb *items;   /* by key, then by time, those of a key apart from each other */
    size_t count;
};

static int by_key(const void *a, const void *b)
{
    const struct af_tsm_tomb *x = a;
    const struct af_tsm_tomb *y = b;
    int order = af_slice_cmp(x->key, y->key);
    return order != 0 ? order : (x->min_ns > y->min_ns) - (x->min_ns < y->min_ns);
}

static void join(struct tombs *tombs)
{
    size_t kept = 0;
    if (tombs->count > 1)
        qsort(tombs->items, tombs->count, sizeof *tombs->items, by_key);
    for (size_t i = 0; i < tombs->count; i++) {
        struct af_tsm_tomb *last = kept != 0 ? &tombs->items[kept - 1] : NULL;
        struct af_tsm_tomb *next = &tombs->items[i];
        if (last != NULL && af_slice_eq(last->key, next->key) && next->min_ns <= last->max_ns)
            last->max_ns = next->max_ns > last->max_ns ? next->max_ns : last->max_ns;
        else
            tombs->items[kept++] = *next;
    }
    tombs->count = kept;
}

static enum af_status read_tombs(const char *tsm_path, struct af_arena *arena, struct tombs *out, struct af_error *err)
{
    struct af_buf bytes;
    *out = (struct tombs){ 0 };
    const char *path = af_arena_printf(arena, "%.*s.tombstone", (int)(strlen(tsm_path) - 4), tsm_path);
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    if (af_path_kind(path) != AF_PATH_FILE)
        return AF_OK;
    af_buf_init(&bytes, TOMBSTONE_BYTES_MAX);
    enum af_status status = af_file_read_all(path, &bytes, err);
    if (status == AF_OK)
        status = af_tsm_tombs_parse(af_buf_slice(&bytes), path, arena, &out->items, &out->count, err);
    af_buf_done(&bytes);
    if (status == AF_OK)
        join(out);
    return status;
}

/* Of the first tomb of `key`, or of the first key behind it. */
static size_t find_tombs(const struct tombs *tombs, struct af_slice key)
{
    size_t low = 0, high = tombs->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (af_slice_cmp(tombs->items[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* --- files ------------------------------------------------------------------------------------------------------------------ */

struct pouring {
    struct af_tsm_file *file;
    struct tombs tombs;
    struct af_arena arena;       /* of a block */
    struct transfer_points *points;
};

/* What the tombs of the key, from number `at`, leave of a block; times ascend in both. */
static enum af_status pour_values(struct pouring *p, struct af_slice key, const struct af_tsm_values *values, size_t at,
                                  struct af_error *err)
{
    size_t first = 0;
    while (first < values->count) {
        while (at < p->tombs.count && af_slice_eq(p->tombs.items[at].key, key) && p->tombs.items[at].max_ns < values->time_ns[first])
            at++;
        bool has_tomb = at < p->tombs.count && af_slice_eq(p->tombs.items[at].key, key);
        size_t end = first;
        while (end < values->count && (!has_tomb || values->time_ns[end] < p->tombs.items[at].min_ns))
            end++;
        if (end > first)
            AF_TRY(transfer_points_add(p->points, key, values, first, end - first, err));
        while (end < values->count && values->time_ns[end] <= p->tombs.items[at].max_ns)
            end++;
        first = end;
    }
    return AF_OK;
}

static enum af_status pour_entry(struct pouring *p, const struct af_tsm_entry *entry, struct af_error *err)
{
    size_t at = find_tombs(&p->tombs, entry->key);
    for (size_t i = 0; i < entry->block_count; i++) {
        struct af_tsm_values values;
        af_arena_reset(&p->arena);
        AF_TRY(af_tsm_read_block(p->file, entry->type, &entry->blocks[i], &p->arena, &values, err));
        AF_TRY(pour_values(p, entry->key, &values, at, err));
    }
    return AF_OK;
}

static enum af_status pour_keys(struct pouring *p, const struct af_transfer_watch *watch, struct af_error *err)
{
    struct af_tsm_cursor *cursor;
    struct af_tsm_entry entry;
    AF_TRY(af_tsm_cursor_open(p->file, AF_SLICE_LIT(""), &cursor, err));
    enum af_status status;
    do {
        status = transfer_go_on(watch, err);
        if (status == AF_OK)
            status = af_tsm_cursor_next(cursor, &entry, err);
        if (status == AF_OK && entry.key.ptr != NULL)
            status = pour_entry(p, &entry, err);
    } while (status == AF_OK && entry.key.ptr != NULL);
    af_tsm_cursor_close(cursor);
    return status;
}

enum af_status transfer_pour_file(const char *path, const struct af_transfer_watch *watch, struct transfer_points *points,
                                  struct af_error *err)
{
    struct pouring p = { .points = points };
    struct af_arena tomb_arena;
    struct af_reader *reader;
    AF_TRY(af_file_reader_open(path, &reader, err));
    AF_TRY(af_tsm_file_open(reader, NULL, &p.file, err));
    af_arena_init(&tomb_arena, SIZE_MAX / 2);
    af_arena_init(&p.arena, SIZE_MAX / 2);
    enum af_status status = read_tombs(path, &tomb_arena, &p.tombs, err);
    if (status == AF_OK)
        status = pour_keys(&p, watch, err);
    af_arena_done(&p.arena);
    af_arena_done(&tomb_arena);
    af_tsm_file_close(p.file);
    return status;
}

/* --- logs ------------------------------------------------------------------------------------------------------------------- */

struct segment {
    const char *path;
    uint64_t number;
};
struct erase {
    uint64_t place;              /* in the log: it counts for what stands before */
    int64_t min_ns, max_ns;
    struct erase *next;          /* of the same key */
};
struct log {
    struct af_arena arena;
    struct segment *segments;
    size_t count, cap;
    const struct af_transfer_watch *watch;
    struct transfer_points *points;
    struct af_intern keys;       /* that something deletes */
    struct erase **erases;       /* by key, the last one first */
    size_t erase_cap;
    uint64_t place;
};

static enum af_status on_segment(void *ctx, const char *path, struct af_error *err)
{
    struct log *log = ctx;
    const char *name = transfer_base_name(path);
    uint64_t number = 0;
    size_t digits = 1;
    if (name[0] != '_')
        return AF_OK;
    for (; name[digits] >= '0' && name[digits] <= '9' && digits < 19; digits++)
        number = number * 10 + (uint64_t)(name[digits] - '0');
    if (digits == 1 || strcmp(name + digits, ".wal") != 0)
        return AF_OK;
    if (log->count == log->cap) {
        size_t cap = log->cap != 0 ? log->cap * 2 : 64;
        struct segment *grown = af_realloc(log->segments, cap * sizeof *grown);
        if (grown == NULL)
            return af_fail_nomem(err, "a list of files");
        log->segments = grown;
        log->cap = cap;
    }
    const char *kept = af_arena_copy(&log->arena, af_slice_of(path));
    if (kept == NULL)
        return af_fail_nomem(err, "a list of files");
    log->segments[log->count++] = (struct segment){ kept, number };
    return AF_OK;
}

static int by_number(const void *a, const void *b)
{
    const struct segment *x = a;
    const struct segment *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static enum af_status note_write(void *ctx, struct af_slice key, const struct af_tsm_values *values, struct af_error *err)
{
    (void)key, (void)values, (void)err;
    ((struct log *)ctx)->place++;
    return AF_OK;
}

static enum af_status note_erase(void *ctx, struct af_slice key, int64_t min_ns, int64_t max_ns, struct af_error *err)
{
    struct log *log = ctx;
    uint32_t id;
    AF_TRY(af_intern_add(&log->keys, key, &id, err));
    if (id >= log->erase_cap) {
        size_t cap = (size_t)id * 2 + 64;
        struct erase **grown = af_realloc(log->erases, cap * sizeof(struct erase *));
        if (grown == NULL)
            return af_fail_nomem(err, "the deletes of a log");
        memset(grown + log->erase_cap, 0, (cap - log->erase_cap) * sizeof(struct erase *));
        log->erases = grown;
        log->erase_cap = cap;
    }
    struct erase *erase = af_arena_alloc(&log->arena, sizeof *erase);
    if (erase == NULL)
        return af_fail_nomem(err, "the deletes of a log");
    *erase = (struct erase){ log->place++, min_ns, max_ns, log->erases[id] };
    log->erases[id] = erase;
    return AF_OK;
}

static bool is_erased(const struct erase *erase, uint64_t place, int64_t time_ns)
{
    for (; erase != NULL && erase->place > place; erase = erase->next)
        if (time_ns >= erase->min_ns && time_ns <= erase->max_ns)
            return true;
    return false;
}

static enum af_status pour_write(void *ctx, struct af_slice key, const struct af_tsm_values *values, struct af_error *err)
{
    struct log *log = ctx;
    uint64_t place = log->place++;
    uint32_t id = af_intern_find(&log->keys, key);
    const struct erase *erase = id != UINT32_MAX ? log->erases[id] : NULL;
    if (erase == NULL)
        return transfer_points_add(log->points, key, values, 0, values->count, err);
    for (size_t i = 0; i < values->count; i++)
        if (!is_erased(erase, place, values->time_ns[i]))
            AF_TRY(transfer_points_add(log->points, key, values, i, 1, err));
    return AF_OK;
}

static enum af_status pass_erase(void *ctx, struct af_slice key, int64_t min_ns, int64_t max_ns, struct af_error *err)
{
    (void)key, (void)min_ns, (void)max_ns, (void)err;
    ((struct log *)ctx)->place++;
    return AF_OK;
}

static enum af_status read_segments(struct log *log, const struct af_tsm_wal_visitor *visitor, uint64_t *out_torn, struct af_error *err)
{
    struct af_buf bytes;
    enum af_status status = AF_OK;
    *out_torn = 0;
    log->place = 0;
    af_buf_init(&bytes, SEGMENT_BYTES_MAX);
    for (size_t i = 0; i < log->count && status == AF_OK; i++) {
        uint64_t torn = 0;
        af_buf_clear(&bytes);
        status = transfer_go_on(log->watch, err);
        if (status == AF_OK)
            status = af_file_read_all(log->segments[i].path, &bytes, err);
        if (status == AF_OK)
            status = af_tsm_wal_read(af_buf_slice(&bytes), log->segments[i].path, visitor, &torn, err);
        *out_torn += torn;
    }
    af_buf_done(&bytes);
    return status;
}

static enum af_status pour_log(struct log *log, const char *dir, uint64_t *out_torn, struct af_error *err)
{
    const struct af_tsm_wal_visitor first = { log, note_write, note_erase };
    const struct af_tsm_wal_visitor second = { log, pour_write, pass_erase };
    AF_TRY(af_dir_list(dir, on_segment, log, err));
    if (log->count > 1)
        qsort(log->segments, log->count, sizeof *log->segments, by_number);
    AF_TRY(read_segments(log, &first, out_torn, err));
    return read_segments(log, &second, out_torn, err);
}

enum af_status transfer_pour_wal(const char *dir, const struct af_transfer_watch *watch, struct transfer_points *points, uint64_t *out_torn,
                                 struct af_error *err)
{
    struct log log = { .watch = watch, .points = points };
    af_arena_init(&log.arena, SIZE_MAX / 2);
    af_intern_init(&log.keys);
    enum af_status status = pour_log(&log, dir, out_torn, err);
    af_intern_done(&log.keys);
    af_free(log.erases);
    af_free(log.segments);
    af_arena_done(&log.arena);
    return status;
}
