/*
 * cursor.c - the entries of a TSM index in order of key. The key of an entry lies in the cursor's window, its blocks in an array of
 * the cursor; both last until the next call.
 */
#include "base/alloc.h"
#include "format/tsm/file_int.h"

enum { PIECE = 16 << 10, STEPS = 16 };

struct af_tsm_cursor {
    const struct af_tsm_file *file;
    struct af_tsm_window window;
    uint64_t number;   /* of the entry at the window's start */
    size_t behind;     /* bytes of the entry that was given last */
    struct af_tsm_block_ref *refs;
    size_t ref_cap;
};

/* To the first entry that is not less than `from`. */
static enum af_status skip_to(struct af_tsm_cursor *cursor, struct af_slice from, struct af_error *err)
{
    struct af_tsm_window *w = &cursor->window;
    while (from.len != 0 && w->at < w->end) {
        struct af_tsm_raw_entry raw;
        AF_TRY(af_tsm_window_entry(w, &raw, err));
        if (af_slice_cmp(raw.key, from) >= 0)
            break;
        af_tsm_window_skip(w, raw.bytes);
        cursor->number++;
    }
    return AF_OK;
}

enum af_status af_tsm_cursor_open(struct af_tsm_file *file, struct af_slice from, struct af_tsm_cursor **out, struct af_error *err)
{
    const struct af_tsm_file_info *info = &file->info;
    const struct af_tsm_sample *sample = &file->samples[af_tsm_sample_find(file, from)];
    struct af_tsm_cursor *cursor = af_alloc_zero(1, sizeof *cursor);
    if (cursor == NULL)
        return af_fail_nomem(err, "a cursor over a TSM index");
    cursor->file = file;
    cursor->number = sample->number;
    const uint64_t at = info->index_offset + sample->at;
    af_tsm_window_init(&cursor->window, file->reader, at, info->index_offset + info->index_bytes, PIECE, NULL, 0);
    enum af_status status = skip_to(cursor, from, err);
    if (status != AF_OK) {
        af_tsm_cursor_close(cursor);
        return status;
    }
    *out = cursor;
    return AF_OK;
}

static enum af_status room_for(struct af_tsm_cursor *cursor, size_t count, struct af_error *err)
{
    if (count <= cursor->ref_cap)
        return AF_OK;
    const size_t cap = count < 16 ? 16 : count * 2;
    struct af_tsm_block_ref *refs = af_realloc(cursor->refs, cap * sizeof *refs);
    if (refs == NULL)
        return af_fail_nomem(err, "blocks of a TSM key");
    cursor->refs = refs;
    cursor->ref_cap = cap;
    return AF_OK;
}

/* Past the entry that was given last. */
static void leave_entry(struct af_tsm_cursor *cursor)
{
    if (cursor->behind == 0)
        return;
    af_tsm_window_skip(&cursor->window, cursor->behind);
    cursor->behind = 0;
    cursor->number++;
}

/* What is near is stepped to, without reading; only then the samples are asked, and bytes in between are not read. */
enum af_status af_tsm_cursor_seek(struct af_tsm_cursor *cursor, struct af_slice key, struct af_error *err)
{
    struct af_tsm_window *w = &cursor->window;
    leave_entry(cursor);
    for (int steps = 0; steps < STEPS && af_tsm_window_has_entry(w); steps++) {
        struct af_tsm_raw_entry raw;
        AF_TRY(af_tsm_window_entry(w, &raw, err));
        if (af_slice_cmp(raw.key, key) >= 0)
            return AF_OK;
        af_tsm_window_skip(w, raw.bytes);
        cursor->number++;
    }
    const struct af_tsm_sample *sample = &cursor->file->samples[af_tsm_sample_find(cursor->file, key)];
    const uint64_t at = cursor->file->info.index_offset + sample->at;
    if (at > w->at) {
        af_tsm_window_jump(w, at, PIECE);
        cursor->number = sample->number;
    }
    return skip_to(cursor, key, err);
}

enum af_status af_tsm_cursor_next(struct af_tsm_cursor *cursor, struct af_tsm_entry *out, struct af_error *err)
{
    struct af_tsm_window *w = &cursor->window;
    struct af_tsm_raw_entry raw;
    leave_entry(cursor);
    if (w->at >= w->end) {
        *out = (struct af_tsm_entry){ 0 };
        return AF_OK;
    }
    AF_TRY(af_tsm_window_entry(w, &raw, err));
    AF_TRY(room_for(cursor, raw.block_count, err));
    for (size_t i = 0; i < raw.block_count; i++)
        cursor->refs[i] = af_tsm_ref_get(raw.refs + i * AF_TSM_REF_BYTES);
    *out = (struct af_tsm_entry){ .key = raw.key, .number = cursor->number, .type = raw.type, .block_count = raw.block_count,
                                  .blocks = cursor->refs };
    cursor->behind = raw.bytes;
    return AF_OK;
}

void af_tsm_cursor_close(struct af_tsm_cursor *cursor)
{
    if (cursor == NULL)
        return;
    af_tsm_window_done(&cursor->window);
    af_free(cursor->refs);
    af_free(cursor);
}
