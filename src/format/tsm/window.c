/*
 * window.c - a stretch of a TSM index in memory that slides forward, and the entry at its start.
 *
 *     key length 2 | key | type 1 | block count 2 | { min 8, max 8, offset 8, size 4 } ...
 *
 * An entry may be larger (1.9 MB) than the piece that is read at once: the room then grows to it. Over a reader whose bytes are in
 * memory nothing is copied.
 */
#include "base/alloc.h"
#include "codec/compress.h"
#include "format/tsm/file_int.h"

enum { PIECE_MAX = 256 << 10 };

void af_tsm_window_init(struct af_tsm_window *w, struct af_reader *reader, uint64_t at, uint64_t end, size_t piece, void *room,
                        size_t room_len)
{
    *w = (struct af_tsm_window){ .reader = reader, .at = at, .end = end, .room = room, .room_len = room_len, .piece = piece };
    w->ptr = room;
    if (reader->bytes != NULL) {
        w->ptr = reader->bytes + at;
        w->have = (size_t)(end - at);
        w->room = NULL;
    }
}

void af_tsm_window_done(struct af_tsm_window *w)
{
    if (w->is_heap)
        af_free(w->room);
    w->room = NULL;
    w->is_heap = false;
}

/* Room for `bytes`, what the window has at its start. */
static enum af_status make_room(struct af_tsm_window *w, size_t bytes, struct af_error *err)
{
    if (bytes <= w->room_len) {
        if (w->have != 0)
            memmove(w->room, w->ptr, w->have);
        w->ptr = w->room;
        return AF_OK;
    }
    const size_t room_len = bytes + bytes / 4; /* the next one may begin with more of a cut entry */
    uint8_t *room = af_alloc(room_len);
    if (room == NULL)
        return af_fail_nomem(err, "a piece of a TSM index");
    if (w->have != 0)
        memcpy(room, w->ptr, w->have);
    if (w->is_heap)
        af_free(w->room);
    w->room = room;
    w->room_len = room_len;
    w->is_heap = true;
    w->ptr = room;
    return AF_OK;
}

/* At least `need` bytes, of those that are left. */
static enum af_status refill(struct af_tsm_window *w, size_t need, struct af_error *err)
{
    uint64_t left = w->end - w->at;
    if (need > left)
        return af_fail(err, AF_ECORRUPT, "%s: the index entry at offset %llu reaches past the index, which ends at %llu", w->reader->name,
                       (unsigned long long)w->at, (unsigned long long)w->end);
    size_t want = w->have + w->piece;
    want = want < need ? need : want;
    want = want < left ? want : (size_t)left;
    AF_TRY(make_room(w, want, err));
    AF_TRY(af_reader_read(w->reader, w->at + w->have, w->room + w->have, want - w->have, err));
    if (w->wants_crc)
        w->crc = af_crc32(w->crc, w->room + w->have, want - w->have);
    w->have = want;
    w->piece = w->piece * 2 < PIECE_MAX ? w->piece * 2 : PIECE_MAX;
    return AF_OK;
}

static inline enum af_status need_bytes(struct af_tsm_window *w, size_t need, struct af_error *err)
{
    return need <= w->have ? AF_OK : refill(w, need, err);
}

void af_tsm_window_jump(struct af_tsm_window *w, uint64_t at, size_t piece)
{
    if (at - w->at <= w->have) {
        af_tsm_window_skip(w, (size_t)(at - w->at));
        return;
    }
    w->at = at;
    w->have = 0;
    w->ptr = w->room;
    w->piece = piece;
}

bool af_tsm_window_has_entry(const struct af_tsm_window *w)
{
    if (w->have < AF_TSM_ENTRY_BYTES_MIN)
        return false;
    const size_t refs_at = 2 + (size_t)af_be16(w->ptr) + 3;
    return w->have >= refs_at && w->have - refs_at >= (size_t)af_be16(w->ptr + refs_at - 2) * AF_TSM_REF_BYTES;
}

enum af_status af_tsm_window_entry(struct af_tsm_window *w, struct af_tsm_raw_entry *out, struct af_error *err)
{
    AF_TRY(need_bytes(w, AF_TSM_ENTRY_BYTES_MIN, err));
    const size_t key_len = af_be16(w->ptr);
    const size_t refs_at = 2 + key_len + 3;
    AF_TRY(need_bytes(w, refs_at, err));
    const size_t blocks = af_be16(w->ptr + refs_at - 2);
    const size_t bytes = refs_at + blocks * AF_TSM_REF_BYTES;
    const int type = w->ptr[refs_at - 3];
    AF_TRY(need_bytes(w, bytes, err));
    if (key_len == 0 || blocks == 0 || !af_tsm_type_of(type, &out->type))
        return af_fail(err, AF_ECORRUPT, "%s: the index entry at offset %llu has a key of %zu bytes, type %d and %zu blocks",
                       w->reader->name, (unsigned long long)w->at, key_len, type, blocks);
    out->key = af_slice_make(w->ptr + 2, key_len);
    out->block_count = blocks;
    out->refs = w->ptr + refs_at;
    out->bytes = bytes;
    return AF_OK;
}
