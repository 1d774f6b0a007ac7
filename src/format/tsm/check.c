/*
 * check.c - everything that can be wrong with a TSM file that can be opened: all blocks are read and decoded, all keys looked at.
 *
 * What opening refuses (magic, version, where the index is, keys out of order, blocks outside of the file) is not seen here.
 */
#include "base/utf8.h"
#include "format/tsm/file_int.h"
#include <stdarg.h>
#include <stdio.h>

enum { ARENA_BYTES_MAX = 1 << 30, KEY_SHOWN = 200 };

struct check {
    struct af_tsm_file *file;
    void (*fault)(void *ctx, const char *words);
    void *ctx;
    struct af_tsm_check *out;
    struct af_arena arena;
    uint64_t bytes; /* of blocks that keys point to */
};

static void say(struct check *c, const char *fmt, ...) AF_PRINTF(2, 3);
static void say(struct check *c, const char *fmt, ...)
{
    char words[1024];
    va_list args;
    if (c->fault == NULL)
        return;
    va_start(args, fmt);
    (void)vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    c->fault(c->ctx, words);
}

static int shown(struct af_slice key)
{
    return (int)(key.len < KEY_SHOWN ? key.len : KEY_SHOWN);
}

static void check_key(struct check *c, const struct af_tsm_entry *entry)
{
    struct af_slice series, field;
    const struct af_slice key = entry->key;
    if (!af_tsm_key_split(key, &series, &field) || series.len == 0 || field.len == 0) {
        c->out->bad_entries++;
        say(c, "%s: key number %llu, \"%.*s\": no series, \"%s\" and field", c->file->info.name, (unsigned long long)entry->number,
            shown(key), key.ptr, AF_TSM_KEY_SEPARATOR);
    }
    if (!af_utf8_is_valid(key)) {
        c->out->bad_entries++;
        say(c, "%s: key number %llu is not UTF-8: \"%.*s\"", c->file->info.name, (unsigned long long)entry->number, shown(key), key.ptr);
    }
}

/* The times of the index: opening saw that starts ascend. */
static void check_refs(struct check *c, const struct af_tsm_entry *entry)
{
    for (size_t b = 0; b < entry->block_count; b++) {
        const struct af_tsm_block_ref *ref = &entry->blocks[b];
        c->bytes += ref->size;
        if (b == 0 || ref->min_ns > ref[-1].max_ns)
            continue;
        c->out->bad_entries++;
        say(c, "%s: \"%.*s\": block %zu begins at %lld, before the end of the one in front of it, %lld", c->file->info.name,
            shown(entry->key), entry->key.ptr, b, (long long)ref->min_ns, (long long)ref[-1].max_ns);
    }
}

/* Failures that are not the block's. */
static bool is_ours(enum af_status status)
{
    return status == AF_ENOMEM || status == AF_EIO || status == AF_ECANCELED || status == AF_EBUG;
}

static enum af_status check_block(struct check *c, const struct af_tsm_entry *entry, size_t b, struct af_error *err)
{
    struct af_error own = { 0 };
    struct af_tsm_values values;
    af_arena_reset(&c->arena);
    enum af_status status = af_tsm_read_block(c->file, entry->type, &entry->blocks[b], &c->arena, &values, &own);
    if (is_ours(status)) {
        if (err != NULL)
            *err = own;
        return status;
    }
    c->out->blocks++;
    if (status != AF_OK) {
        c->out->bad_blocks++;
        say(c, "%s (block %zu of \"%.*s\")", own.message, b, shown(entry->key), entry->key.ptr);
        return AF_OK;
    }
    c->out->points += values.count;
    const int64_t min_ns = values.time_ns[0];
    const int64_t max_ns = values.time_ns[values.count - 1];
    c->out->min_ns = min_ns < c->out->min_ns ? min_ns : c->out->min_ns;
    c->out->max_ns = max_ns > c->out->max_ns ? max_ns : c->out->max_ns;
    return AF_OK;
}

static enum af_status check_entries(struct check *c, struct af_tsm_cursor *cursor, struct af_error *err)
{
    struct af_tsm_entry entry;
    for (;;) {
        AF_TRY(af_tsm_cursor_next(cursor, &entry, err));
        if (entry.key.ptr == NULL)
            return AF_OK;
        c->out->keys++;
        check_key(c, &entry);
        check_refs(c, &entry);
        for (size_t b = 0; b < entry.block_count; b++)
            AF_TRY(check_block(c, &entry, b, err));
    }
}

/* Every byte in front of the index is the header or a block that one key points to, once. */
static void check_bytes(struct check *c)
{
    const uint64_t all = c->file->info.index_offset - AF_TSM_HEADER_BYTES;
    if (c->bytes == all)
        return;
    c->out->bad_entries++;
    say(c, "%s: the keys' blocks have %llu bytes together where %llu are in the file: blocks are lost or shared", c->file->info.name,
        (unsigned long long)c->bytes, (unsigned long long)all);
}

enum af_status af_tsm_check(struct af_tsm_file *file, void (*fault)(void *ctx, const char *words), void *ctx, struct af_tsm_check *out,
                            struct af_error *err)
{
    struct af_tsm_cursor *cursor;
    struct check c = { .file = file, .fault = fault, .ctx = ctx, .out = out };
    *out = (struct af_tsm_check){ .min_ns = INT64_MAX, .max_ns = INT64_MIN };
    AF_TRY(af_tsm_cursor_open(file, AF_SLICE_LIT(""), &cursor, err));
    af_arena_init(&c.arena, ARENA_BYTES_MAX);
    enum af_status status = check_entries(&c, cursor, err);
    if (status == AF_OK)
        check_bytes(&c);
    af_arena_done(&c.arena);
    af_tsm_cursor_close(cursor);
    return status;
}
