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

enum { FIND_ROOM = 12 << 10 };

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

enum af_status af_tsm_read_raw(struct af_tsm_file *file, const struct af_tsm_block_ref *ref, struct af_arena *arena, struct af_slice *raw,
                               struct af_error *err)
{
    const unsigned long long at = ref->offset;
    if (ref->size > AF_TSM_BLOCK_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "%s: the block at offset %llu has %u bytes, AF_TSM_BLOCK_BYTES_MAX is %d", file->info.name, at,
                       ref->size, AF_TSM_BLOCK_BYTES_MAX);
    if (ref->size < AF_TSM_REF_SIZE_MIN)
        return af_fail(err, AF_ECORRUPT, "%s: a block of %u bytes at offset %llu", file->info.name, ref->size, at);
    uint8_t *bytes = af_arena_alloc(arena, ref->size);
    if (bytes == NULL)
        return af_arena_fail(arena, ref->size, "a TSM block", err);
    AF_TRY(af_reader_read(file->reader, ref->offset, bytes, ref->size, err));
    const uint32_t crc = af_crc32(0, bytes + AF_TSM_CRC_BYTES, ref->size - AF_TSM_CRC_BYTES);
    if (crc != af_be32(bytes))
        return af_fail(err, AF_ECORRUPT, "%s: the block of %u bytes at offset %llu has the checksum %08x where %08x is written",
                       file->info.name, ref->size, at, crc, af_be32(bytes));
    *raw = af_slice_make(bytes, ref->size);
    return AF_OK;
}

enum af_status af_tsm_read_block(struct af_tsm_file *file, enum af_type type, const struct af_tsm_block_ref *ref, struct af_arena *arena,
                                 struct af_tsm_values *out, struct af_error *err)
{
    struct af_slice raw;
    struct af_tsm_values values;
    AF_TRY(af_tsm_read_raw(file, ref, arena, &raw, err));
    enum af_status status = af_tsm_block_decode(af_slice_make(raw.ptr + AF_TSM_CRC_BYTES, raw.len - AF_TSM_CRC_BYTES), arena, &values, err);
    if (status != AF_OK) {
        af_error_prefix(err, "%s: the block at offset %llu: ", file->info.name, (unsigned long long)ref->offset);
        return status;
    }
    if (values.values.type != type || values.time_ns[0] != ref->min_ns || values.time_ns[values.count - 1] != ref->max_ns)
        return af_fail(err, AF_ECORRUPT,
                       "%s: the block at offset %llu holds %s from %lld to %lld where the index says %s from %lld to %lld",
                       file->info.name, (unsigned long long)ref->offset, af_type_name(values.values.type), (long long)values.time_ns[0],
                       (long long)values.time_ns[values.count - 1], af_type_name(type), (long long)ref->min_ns, (long long)ref->max_ns);
    *out = values;
    return AF_OK;
}
