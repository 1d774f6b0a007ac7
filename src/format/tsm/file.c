/*
 * file.c - a TSM file: opening it, finding a key, reading blocks. The layout is in file_int.h, the pass over the index in index.c.
 *
 * An open file is not written to by any call, so several threads may share it. A key is found in memory among the samples, then in
 * one piece of index, 8 KiB as a rule, that is read once.
 */
#include "format/tsm/file_int.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "codec/compress.h"

enum { FIND_ROOM = 12 << 10, AHEAD_BYTES = 128 << 10, NEAR_BYTES = 4 << 10 };

/* --- opening --------------------------------------------------------------------------------------------------------------- */

static enum af_status read_ends(struct af_tsm_file *file, struct af_error *err)
{
    struct af_reader *reader = file->reader;
    uint8_t head[AF_TSM_HEADER_BYTES];
    uint8_t foot[AF_TSM_FOOTER_BYTES];
    if (reader->size < sizeof head + sizeof foot)
        return af_fail(err, AF_ECORRUPT, "%s: %llu bytes are too few for a TSM file", reader->name, (unsigned long long)reader->size);
    AF_TRY(af_reader_read(reader, 0, head, sizeof head, err));
    if (memcmp(head, AF_TSM_MAGIC, 4) != 0)
        return af_fail(err, AF_ECORRUPT, "%s: not a TSM file: it does not begin with 16 D1 16 D1", reader->name);
    if (head[4] != AF_TSM_MAGIC[4])
        return af_fail(err, AF_EUNSUPPORTED, "%s: version %u of the TSM format; 1 is the only one known", reader->name, head[4]);
    AF_TRY(af_reader_read(reader, reader->size - sizeof foot, foot, sizeof foot, err));
    const uint64_t at = af_be64(foot);
    const uint64_t end = reader->size - sizeof foot;
    if (at < AF_TSM_HEADER_BYTES || at >= end || end - at > INT32_MAX)
        return af_fail(err, AF_ECORRUPT, "%s: the index is said to begin at offset %llu of %llu; the file may be cut short", reader->name,
                       (unsigned long long)at, (unsigned long long)reader->size);
    file->info = (struct af_tsm_file_info){ .name = reader->name, .bytes = reader->size, .index_offset = at, .index_bytes = end - at };
    return AF_OK;
}

static enum af_status open_file(struct af_tsm_file *file, const uint32_t *index_crc, struct af_error *err)
{
    AF_TRY(read_ends(file, err));
    AF_TRY(af_tsm_index_scan(file, err));
    if (index_crc != NULL && *index_crc != file->info.index_crc)
        return af_fail(err, AF_ECORRUPT, "%s: the index has the checksum %08x where its side file says %08x", file->info.name,
                       file->info.index_crc, *index_crc);
    return AF_OK;
}

enum af_status af_tsm_file_open(struct af_reader *reader, const uint32_t *index_crc, struct af_tsm_file **out, struct af_error *err)
{
    struct af_tsm_file *file = af_alloc_zero(1, sizeof *file);
    if (file == NULL) {
        af_reader_close(reader);
        return af_fail_nomem(err, "an open TSM file");
    }
    file->reader = reader;
    af_buf_init(&file->text, UINT32_MAX);
    enum af_status status = open_file(file, index_crc, err);
    if (status != AF_OK) {
        af_tsm_file_close(file);
        return status;
    }
    *out = file;
    return AF_OK;
}

void af_tsm_file_close(struct af_tsm_file *file)
{
    if (file == NULL)
        return;
    af_buf_done(&file->text);
    af_free(file->samples);
    af_free(file->prefixes);
    af_reader_close(file->reader);
    af_free(file);
}

void af_tsm_file_info(const struct af_tsm_file *file, struct af_tsm_file_info *out)
{
    *out = file->info;
}

/* --- finding --------------------------------------------------------------------------------------------------------------- */

static enum af_status keep_entry(const struct af_tsm_raw_entry *raw, uint64_t number, struct af_arena *arena, struct af_tsm_entry *out,
                                 struct af_error *err)
{
    char *key = af_arena_copy(arena, raw->key);
    struct af_tsm_block_ref *refs = key != NULL ? af_arena_alloc(arena, raw->block_count * sizeof *refs) : NULL;
    if (refs == NULL)
        return af_arena_fail(arena, raw->bytes, "an entry of a TSM index", err);
    for (size_t i = 0; i < raw->block_count; i++)
        refs[i] = af_tsm_ref_get(raw->refs + i * AF_TSM_REF_BYTES);
    *out = (struct af_tsm_entry){ .key = af_slice_make(key, raw->key.len), .number = number, .type = raw->type,
                                  .block_count = raw->block_count, .blocks = refs };
    return AF_OK;
}

static enum af_status find_in_piece(struct af_tsm_window *w, struct af_slice key, uint64_t number, struct af_arena *arena,
                                    struct af_tsm_entry *out, struct af_error *err)
{
    *out = (struct af_tsm_entry){ 0 };
    for (; w->at < w->end; number++) {
        struct af_tsm_raw_entry raw;
        AF_TRY(af_tsm_window_entry(w, &raw, err));
        const int order = af_slice_cmp(raw.key, key);
        if (order == 0)
            return keep_entry(&raw, number, arena, out, err);
        if (order > 0)
            break;
        af_tsm_window_skip(w, raw.bytes);
    }
    return AF_OK;
}

/* The piece of index from sample `i` on, up to the next one or to the end of the index. */
static uint64_t piece_end(const struct af_tsm_file *file, size_t i)
{
    const struct af_tsm_file_info *info = &file->info;
    return info->index_offset + (i + 1 < file->sample_count ? file->samples[i + 1].at : info->index_bytes);
}

enum af_status af_tsm_find(struct af_tsm_file *file, struct af_slice key, struct af_arena *arena, struct af_tsm_entry *out,
                           struct af_error *err)
{
    uint8_t room[FIND_ROOM];
    struct af_tsm_window w;
    const size_t i = af_tsm_sample_find(file, key);
    const uint64_t at = file->info.index_offset + file->samples[i].at;
    af_tsm_window_init(&w, file->reader, at, piece_end(file, i), sizeof room, room, sizeof room);
    enum af_status status = find_in_piece(&w, key, file->samples[i].number, arena, out, err);
    af_tsm_window_done(&w);
    return status;
}

/* --- blocks ---------------------------------------------------------------------------------------------------------------- */

static enum af_status check_size(const struct af_tsm_file *file, const struct af_tsm_block_ref *ref, struct af_error *err)
{
    const unsigned long long at = ref->offset;
    if (ref->size > AF_TSM_BLOCK_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "%s: the block at offset %llu has %u bytes, AF_TSM_BLOCK_BYTES_MAX is %d", file->info.name, at,
                       ref->size, AF_TSM_BLOCK_BYTES_MAX);
    if (ref->size < AF_TSM_REF_SIZE_MIN)
        return af_fail(err, AF_ECORRUPT, "%s: a block of %u bytes at offset %llu", file->info.name, ref->size, at);
    return AF_OK;
}

static enum af_status check_crc(const struct af_tsm_file *file, const struct af_tsm_block_ref *ref, const uint8_t *bytes,
                                struct af_error *err)
{
    const uint32_t crc = af_crc32(0, bytes + AF_TSM_CRC_BYTES, ref->size - AF_TSM_CRC_BYTES);
    if (crc == af_be32(bytes))
        return AF_OK;
    return af_fail(err, AF_ECORRUPT, "%s: the block of %u bytes at offset %llu has the checksum %08x where %08x is written",
                   file->info.name, ref->size, (unsigned long long)ref->offset, crc, af_be32(bytes));
}

enum af_status af_tsm_read_raw(struct af_tsm_file *file, const struct af_tsm_block_ref *ref, struct af_arena *arena, struct af_slice *raw,
                               struct af_error *err)
{
    AF_TRY(check_size(file, ref, err));
    uint8_t *bytes = af_arena_alloc(arena, ref->size);
    if (bytes == NULL)
        return af_arena_fail(arena, ref->size, "a TSM block", err);
    AF_TRY(af_reader_read(file->reader, ref->offset, bytes, ref->size, err));
    AF_TRY(check_crc(file, ref, bytes, err));
    *raw = af_slice_make(bytes, ref->size);
    return AF_OK;
}

static enum af_status in_block(const struct af_tsm_file *file, const struct af_tsm_block_ref *ref, enum af_status status,
                               struct af_error *err)
{
    if (status != AF_OK)
        af_error_prefix(err, "%s: the block at offset %llu: ", file->info.name, (unsigned long long)ref->offset);
    return status;
}

/* Type and times as the index says? */
static enum af_status check_ends(const struct af_tsm_file *file, enum af_type want, const struct af_tsm_block_ref *ref, enum af_type type,
                                 int64_t first_ns, int64_t last_ns, struct af_error *err)
{
    if (type == want && first_ns == ref->min_ns && last_ns == ref->max_ns)
        return AF_OK;
    return af_fail(err, AF_ECORRUPT, "%s: the block at offset %llu holds %s from %lld to %lld where the index says %s from %lld to %lld",
                   file->info.name, (unsigned long long)ref->offset, af_type_name(type), (long long)first_ns, (long long)last_ns,
                   af_type_name(want), (long long)ref->min_ns, (long long)ref->max_ns);
}

enum af_status af_tsm_read_block(struct af_tsm_file *file, enum af_type type, const struct af_tsm_block_ref *ref, struct af_arena *arena,
                                 struct af_tsm_values *out, struct af_error *err)
{
    struct af_slice raw;
    struct af_tsm_values values;
    AF_TRY(af_tsm_read_raw(file, ref, arena, &raw, err));
    struct af_slice block = af_slice_make(raw.ptr + AF_TSM_CRC_BYTES, raw.len - AF_TSM_CRC_BYTES);
    AF_TRY(in_block(file, ref, af_tsm_block_decode(block, arena, &values, err), err));
    AF_TRY(check_ends(file, type, ref, values.values.type, values.time_ns[0], values.time_ns[values.count - 1], err));
    *out = values;
    return AF_OK;
}

/* --- blocks, read ahead ------------------------------------------------------------------------------------------------------ */

void af_tsm_ahead_done(struct af_tsm_ahead *ahead)
{
    af_free(ahead->room);
    *ahead = (struct af_tsm_ahead){ 0 };
}

/* How much to read from the block on: it and what the caller wants next; where he goes through the file in small steps, a whole piece. */
static size_t piece_of(const struct af_tsm_ahead *ahead, const struct af_tsm_file *file, const struct af_tsm_block_ref *ref, uint64_t end)
{
    const uint64_t left = file->reader->size - ref->offset;
    const bool is_near = ahead->file == file && ref->offset >= ahead->behind && ref->offset - ahead->behind <= NEAR_BYTES;
    uint64_t bytes = end > ref->offset ? end - ref->offset : 0;
    bytes = is_near || bytes > AHEAD_BYTES ? AHEAD_BYTES : bytes;
    bytes = bytes < left ? bytes : left;
    return bytes > ref->size ? (size_t)bytes : ref->size;
}

static enum af_status fetch(struct af_tsm_ahead *ahead, const struct af_tsm_file *file, const struct af_tsm_block_ref *ref, uint64_t end,
                            struct af_error *err)
{
    if (ref->offset > file->reader->size || file->reader->size - ref->offset < ref->size)
        return af_fail(err, AF_ECORRUPT, "%s: the block of %u bytes at offset %llu reaches past the end", file->info.name, ref->size,
                       (unsigned long long)ref->offset);
    const size_t len = piece_of(ahead, file, ref, end);
    ahead->file = NULL;
    if (len > ahead->cap) {
        uint8_t *room = af_alloc(len < AHEAD_BYTES ? AHEAD_BYTES : len);
        if (room == NULL)
            return af_fail_nomem(err, "TSM blocks");
        af_free(ahead->room);
        ahead->room = room;
        ahead->cap = len < AHEAD_BYTES ? AHEAD_BYTES : len;
    }
    AF_TRY(af_reader_read(file->reader, ref->offset, ahead->room, len, err));
    ahead->file = file;
    ahead->at = ref->offset;
    ahead->len = len;
    return AF_OK;
}

static bool has_block(const struct af_tsm_ahead *ahead, const struct af_tsm_file *file, const struct af_tsm_block_ref *ref)
{
    return ahead->file == file && ref->offset >= ahead->at && ref->offset - ahead->at <= ahead->len &&
           ref->size <= ahead->len - (ref->offset - ahead->at);
}

enum af_status af_tsm_read_view(struct af_tsm_ahead *ahead, struct af_tsm_file *file, enum af_type type, const struct af_tsm_block_ref *ref,
                                uint64_t end, struct af_tsm_block_view *out, struct af_error *err)
{
    struct af_tsm_block_view view;
    AF_TRY(check_size(file, ref, err));
    if (!has_block(ahead, file, ref))
        AF_TRY(fetch(ahead, file, ref, end, err));
    const uint8_t *bytes = ahead->room + (ref->offset - ahead->at);
    ahead->behind = ref->offset + ref->size;
    AF_TRY(check_crc(file, ref, bytes, err));
    AF_TRY(in_block(file, ref, af_tsm_block_open(af_slice_make(bytes + AF_TSM_CRC_BYTES, ref->size - AF_TSM_CRC_BYTES), &view, err), err));
    const int64_t last_ns = view.is_regular ? (int64_t)((uint64_t)view.first_ns + view.step_ns * (view.count - 1)) : ref->max_ns;
    AF_TRY(check_ends(file, type, ref, view.type, view.first_ns, last_ns, err));
    *out = view;
    return AF_OK;
}
