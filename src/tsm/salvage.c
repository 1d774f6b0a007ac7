/*
 * salvage.c - the good blocks of a damaged TSM file, into a new one.
 *
 * A block carries its checksum, so a good one is known for sure; its key and place are in the index only. The index is read entry by entry.
 * Where an entry cannot be one, every following byte is tried as the start of the next: an entry is taken for one when its key has a
 * separator, its type exists and all its blocks lie in front of the index. Times and type are taken from the block itself. Whether a key is
 * what it was, only others can tell: the series index and the types of fields.
 *
 * Where the footer does not lead to an index it is looked for in the last 64 MiB: its first entry is that of the file's first block.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "codec/compress.h"
#include "tsm/tsm_int.h"
#include <stdarg.h>
#include <stdio.h>

enum { SEARCH_BYTES = 64 << 20, HEADER_BYTES = 5, FOOTER_BYTES = 8, REF_BYTES = 28, REF_SIZE_MIN = 7, CRC_BYTES = 4 };

struct salvage {
    struct af_reader *reader;
    struct af_file *file;
    struct af_tsm_writer *writer;
    struct af_buf index;
    uint64_t index_offset;
    struct af_arena arena; /* of a key */
    const struct af_salvage_calls *calls;
    struct af_salvage *out;
};
struct raw_entry {
    struct af_slice key;
    size_t count;
    const uint8_t *refs;
    size_t bytes;
    bool is_sound; /* every block lies where one can */
};
struct good_block {
    struct af_tsm_block_ref ref;
    struct af_slice raw;
    struct af_tsm_values values;
};

static void tell(const struct salvage *s, const char *fmt, ...) AF_PRINTF(2, 3);
static void tell(const struct salvage *s, const char *fmt, ...)
{
    char words[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    s->calls->lost(s->calls->ctx, words);
}

static uint64_t big_endian(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

/* --- the index --------------------------------------------------------------------------------------------------------------- */

static struct af_tsm_block_ref ref_at(const uint8_t *p)
{
    return (struct af_tsm_block_ref){ (int64_t)big_endian(p, 8), (int64_t)big_endian(p + 8, 8), big_endian(p + 16, 8),
                                      (uint32_t)big_endian(p + 24, 4) };
}

static bool can_be_block(const struct salvage *s, const struct af_tsm_block_ref *ref)
{
    return ref->offset >= HEADER_BYTES && ref->size >= REF_SIZE_MIN && ref->offset <= s->index_offset &&
           ref->size <= s->index_offset - ref->offset;
}

static bool entry_at(const struct salvage *s, size_t at, struct raw_entry *out)
{
    const uint8_t *bytes = (const uint8_t *)s->index.ptr + at;
    const size_t room = s->index.len - at;
    struct af_slice series;
    struct af_slice field;
    enum af_type type;
    if (room < 5)
        return false;
    const size_t key = (size_t)big_endian(bytes, 2);
    if (key == 0 || room < 5 + key || !af_tsm_type_of(bytes[2 + key], &type))
        return false;
    out->key = af_slice_make(bytes + 2, key);
    out->count = (size_t)big_endian(bytes + 3 + key, 2);
    out->refs = bytes + 5 + key;
    out->bytes = 5 + key + out->count * REF_BYTES;
    if (out->count == 0 || out->bytes > room || !af_tsm_key_split(out->key, &series, &field))
        return false;
    out->is_sound = true;
    for (size_t i = 0; i < out->count; i++) {
        const struct af_tsm_block_ref ref = ref_at(out->refs + i * REF_BYTES);
        out->is_sound = out->is_sound && ref.min_ns <= ref.max_ns && can_be_block(s, &ref);
    }
    return true;
}

/* An entry with a block that is none is still one when another entry, or the end, follows it. */
static bool is_entry(const struct salvage *s, size_t at, struct raw_entry *out)
{
    struct raw_entry next;
    if (!entry_at(s, at, out))
        return false;
    return out->is_sound || at + out->bytes == s->index.len || (entry_at(s, at + out->bytes, &next) && next.is_sound);
}

static enum af_status load_bytes(struct salvage *s, uint64_t at, uint64_t len, struct af_error *err)
{
    af_buf_clear(&s->index);
    if (af_buf_reserve(&s->index, (size_t)len) == NULL)
        return af_buf_check(&s->index, "the index of a damaged file", err);
    AF_TRY(af_reader_read(s->reader, at, s->index.ptr, (size_t)len, err));
    s->index.len = (size_t)len;
    s->index_offset = at;
    return AF_OK;
}

/* Is there an entry whose first block's place, HEADER_BYTES, stands at `at` of the bytes? Then *out is where it begins. */
static bool is_first_entry(const struct salvage *s, size_t at, size_t *out)
{
    const uint8_t *bytes = (const uint8_t *)s->index.ptr;
    struct raw_entry entry;
    const size_t tail = 3 + 16; /* type, count, two times */
    if (big_endian(bytes + at, 8) != HEADER_BYTES || at < tail + 2)
        return false;
    for (size_t key = 1; key <= AF_LP_KEY_BYTES_MAX && key + tail + 2 <= at; key++) {
        *out = at - tail - key - 2;
        if (big_endian(bytes + *out, 2) == key && entry_at(s, *out, &entry) && entry.is_sound)
            return true;
    }
    return false;
}

/* The footer does not say: the index begins with the entry of the block behind the header. It is looked for in the file's end. */
static enum af_status search_index(struct salvage *s, struct af_error *err)
{
    const uint64_t size = s->reader->size - FOOTER_BYTES;
    const uint64_t len = size < SEARCH_BYTES ? size : SEARCH_BYTES;
    size_t begin = 0;
    AF_TRY(load_bytes(s, size - len, len, err));
    s->index_offset = size; /* not known yet: every place can be a block's */
    for (size_t at = 0; at + 8 <= s->index.len; at++)
        if (s->index.ptr[at + 7] == HEADER_BYTES && is_first_entry(s, at, &begin))
            return load_bytes(s, size - len + begin, len - begin, err);
    af_buf_clear(&s->index);
    return AF_OK;
}

static enum af_status load_index(struct salvage *s, struct af_error *err)
{
    uint8_t foot[FOOTER_BYTES];
    struct raw_entry first;
    const uint64_t size = s->reader->size;
    if (size < HEADER_BYTES + FOOTER_BYTES)
        return AF_OK;
    AF_TRY(af_reader_read(s->reader, size - sizeof foot, foot, sizeof foot, err));
    const uint64_t at = big_endian(foot, 8);
    if (at >= HEADER_BYTES && at < size - sizeof foot && size - sizeof foot - at <= INT32_MAX) {
        AF_TRY(load_bytes(s, at, size - sizeof foot - at, err));
        if (entry_at(s, 0, &first))
            return AF_OK;
    }
    return search_index(s, err);
}

/* --- blocks -------------------------------------------------------------------------------------------------------------------- */

/* The block if it is whole: true. Only memory and the disk are failures. */
static enum af_status read_block(struct salvage *s, const struct af_tsm_block_ref *ref, struct good_block *out, bool *out_good,
                                 struct af_error *err)
{
    *out_good = false;
    if (!can_be_block(s, ref))
        return AF_OK;
    uint8_t *raw = af_arena_alloc(&s->arena, ref->size);
    if (raw == NULL)
        return af_arena_fail(&s->arena, ref->size, "a block", err);
    AF_TRY(af_reader_read(s->reader, ref->offset, raw, ref->size, err));
    if (af_crc32(0, raw + CRC_BYTES, ref->size - CRC_BYTES) != big_endian(raw, CRC_BYTES))
        return AF_OK;
    enum af_status status = af_tsm_block_decode(af_slice_make(raw + CRC_BYTES, ref->size - CRC_BYTES), &s->arena, &out->values, err);
    if (status == AF_ENOMEM)
        return status;
    *out_good = status == AF_OK;
    out->raw = af_slice_make(raw, ref->size);
    out->ref = *ref;
    if (*out_good) {
        out->ref.min_ns = out->values.time_ns[0];
        out->ref.max_ns = out->values.time_ns[out->values.count - 1];
    }
    return AF_OK;
}

static void tell_lost(struct salvage *s, struct af_slice key, const struct af_tsm_block_ref *ref, const char *why)
{
    s->out->lost_blocks++;
    tell(s, "%s: lost: a block of " AF_SLICE_FMT ", times %lld to %lld%s%s", s->reader->name, AF_SLICE_ARG(key), (long long)ref->min_ns,
         (long long)ref->max_ns, why[0] != '\0' ? ": " : "", why);
}

/* What the writer does not take is lost; whatever else fails is a failure. */
static enum af_status note_written(struct salvage *s, struct af_slice key, const struct good_block *block, enum af_status status,
                                   const struct af_error *why, struct af_error *err)
{
    if (status == AF_EINVAL || status == AF_ECORRUPT) {
        tell_lost(s, key, &block->ref, why->message);
        return AF_OK;
    }
    if (status != AF_OK)
        return af_fail(err, status, "%s", why->message);
    s->out->blocks++;
    s->out->points += block->values.count;
    return AF_OK;
}

/* One block after the other, as they are. */
static enum af_status copy_blocks(struct salvage *s, const struct raw_entry *entry, struct af_error *err)
{
    for (size_t i = 0; i < entry->count; i++) {
        const struct af_tsm_block_ref ref = ref_at(entry->refs + i * REF_BYTES);
        struct good_block block;
        struct af_error why = { 0 };
        bool good;
        af_arena_reset(&s->arena);
        AF_TRY(read_block(s, &ref, &block, &good, err));
        if (!good) {
            tell_lost(s, entry->key, &ref, "");
            continue;
        }
        enum af_status status = af_tsm_writer_copy(s->writer, entry->key, block.values.values.type, &block.ref, block.raw, &why);
        AF_TRY(note_written(s, entry->key, &block, status, &why, err));
    }
    return AF_OK;
}

static enum af_status write_merged(struct salvage *s, struct af_slice key, struct af_piece *pieces, size_t count, struct af_error *err)
{
    struct af_merge *merge;
    struct af_tsm_values values;
    AF_TRY(af_merge_open(pieces, count, INT64_MIN, INT64_MAX, &s->arena, &merge, err));
    enum af_status status = af_merge_next(merge, &values, err);
    while (status == AF_OK && values.count > 0) {
        status = af_tsm_writer_add(s->writer, key, &values, err);
        if (status == AF_OK)
            status = af_merge_next(merge, &values, err);
    }
    af_merge_close(merge);
    return status;
}

/* Blocks that overlap: all of the key at once, the later one wins. */
static enum af_status merge_blocks(struct salvage *s, const struct raw_entry *entry, struct af_error *err)
{
    af_arena_reset(&s->arena);
    struct good_block *blocks = af_arena_zero(&s->arena, entry->count, sizeof *blocks);
    struct af_piece *pieces = af_arena_zero(&s->arena, entry->count, sizeof *pieces);
    struct af_error why = { 0 };
    size_t count = 0;
    if (blocks == NULL || pieces == NULL)
        return af_arena_fail(&s->arena, entry->count * sizeof *pieces, "a damaged file", err);
    for (size_t i = 0; i < entry->count; i++) {
        const struct af_tsm_block_ref ref = ref_at(entry->refs + i * REF_BYTES);
        bool good;
        AF_TRY(read_block(s, &ref, &blocks[count], &good, err));
        good = good && (count == 0 || blocks[count].values.values.type == blocks[0].values.values.type);
        pieces[count].values = blocks[count].values;
        count += good;
        if (!good)
            tell_lost(s, entry->key, &ref, "");
    }
    enum af_status status = count > 0 ? write_merged(s, entry->key, pieces, count, &why) : AF_OK;
    for (size_t i = 0; i < count; i++)
        AF_TRY(note_written(s, entry->key, &blocks[i], status, &why, err));
    return AF_OK;
}

static enum af_status salvage_entry(struct salvage *s, const struct raw_entry *entry, struct af_error *err)
{
    bool is_known = af_utf8_is_valid(entry->key);
    struct af_slice series;
    struct af_slice field;
    if (is_known && s->calls->knows != NULL && af_tsm_key_split(entry->key, &series, &field))
        AF_TRY(s->calls->knows(s->calls->ctx, series, field, &is_known, err));
    if (!is_known) {
        tell(s, "%s: lost: %zu blocks of a key that nobody knows: " AF_SLICE_FMT, s->reader->name, entry->count, AF_SLICE_ARG(entry->key));
        s->out->lost_blocks += entry->count;
        return AF_OK;
    }
    for (size_t i = 1; i < entry->count; i++)
        if (ref_at(entry->refs + i * REF_BYTES).min_ns <= ref_at(entry->refs + (i - 1) * REF_BYTES).max_ns)
            return merge_blocks(s, entry, err);
    return copy_blocks(s, entry, err);
}

static enum af_status salvage_all(struct salvage *s, struct af_error *err)
{
    size_t lost_from = SIZE_MAX;
    AF_TRY(load_index(s, err));
    if (s->index.len == 0)
        tell(s, "%s: lost: all of it, there is no index", s->reader->name);
    for (size_t at = 0; at < s->index.len;) {
        struct raw_entry entry;
        if (!is_entry(s, at, &entry)) {
            lost_from = lost_from == SIZE_MAX ? at : lost_from;
            at++;
            continue;
        }
        if (lost_from != SIZE_MAX)
            tell(s, "%s: lost: what the index has in bytes %zu to %zu", s->reader->name, lost_from, at);
        lost_from = SIZE_MAX;
        AF_TRY(salvage_entry(s, &entry, err));
        at += entry.bytes;
    }
    if (lost_from != SIZE_MAX)
        tell(s, "%s: lost: what the index has from byte %zu on", s->reader->name, lost_from);
    return AF_OK;
}

/* --- the whole ----------------------------------------------------------------------------------------------------------------- */

static enum af_status emit(void *ctx, struct af_slice bytes, struct af_error *err)
{
    return af_file_write(ctx, bytes, err);
}

static enum af_status write_file(struct salvage *s, const char *to, struct af_error *err)
{
    AF_TRY(af_file_open(to, AF_FILE_TRUNCATE, &s->file, err));
    AF_TRY(af_tsm_writer_new(emit, s->file, &s->writer, err));
    AF_TRY(salvage_all(s, err));
    if (s->out->blocks == 0)
        return AF_OK;
    AF_TRY(af_tsm_writer_finish(s->writer, NULL, err));
    return af_file_sync(s->file, err);
}

enum af_status af_tsm_salvage(const char *from, const char *to, const struct af_salvage_calls *calls, struct af_salvage *out,
                              struct af_error *err)
{
    struct salvage s = { .calls = calls, .out = out };
    *out = (struct af_salvage){ 0 };
    AF_TRY(af_file_reader_open(from, &s.reader, err));
    af_buf_init(&s.index, INT32_MAX);
    af_arena_init(&s.arena, SIZE_MAX / 2);
    enum af_status status = write_file(&s, to, err);
    af_tsm_writer_free(s.writer);
    af_file_close(s.file);
    af_reader_close(s.reader);
    af_buf_done(&s.index);
    af_arena_done(&s.arena);
    if (status != AF_OK || out->blocks == 0) {
        enum af_status removed = af_path_remove(to, status == AF_OK ? err : NULL);
        return status != AF_OK ? status : removed;
    }
    return AF_OK;
}
