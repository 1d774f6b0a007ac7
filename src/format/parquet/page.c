/*
 * page.c - a column chunk, page by page: windows of the file, page headers, CRC, decompression.
 *
 *     chunk    [dictionary page] data page ...                             pages follow each other without gaps
 *     page     header (compact Thrift) | stored_size bytes
 *     v1       codec( [u32 length, repetition levels] [u32 length, definition levels] values )
 *     v2       repetition levels | definition levels | codec( values )     lengths in the header
 *
 * The file is read in windows a little ahead of the pages, or used in place where it is in memory. One page is held at a time; a
 * dictionary is converted at once and its page forgotten. A page is refused before memory is given to it when its sizes are
 * beyond the limits, or beyond what its codec can do.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "format/parquet/parquet_int.h"

enum { SCRATCH_SLACK = 64, HEADER_FIRST_BYTES = 512 };

enum af_status af_pq_scratch_get(struct af_pq_reader *reader, struct af_pq_scratch *scratch, size_t bytes, struct af_error *err)
{
    if (scratch->ptr != NULL && bytes <= scratch->cap)
        return AF_OK;
    /* Pages of one column are of about the same size: a little more than asked for serves the next ones. */
    const size_t cap = bytes < 4096 ? 4096 : bytes + bytes / 16;
    const uint64_t others = *reader->scratch_bytes - scratch->cap;
    if (bytes > SIZE_MAX / 2 || cap > AF_PARQUET_SCRATCH_BYTES_MAX - others)
        return af_fail(err, AF_ELIMIT, "%zu bytes for a page: the pages being read would together take more than %llu bytes", bytes,
                       (unsigned long long)AF_PARQUET_SCRATCH_BYTES_MAX);
    void *ptr = af_alloc_aligned(64, cap + SCRATCH_SLACK);
    if (ptr == NULL)
        return af_fail(err, AF_ENOMEM, "no memory for a page of %zu bytes", bytes);
    af_free(scratch->ptr);
    *scratch = (struct af_pq_scratch){ ptr, cap };
    *reader->scratch_bytes = others + cap;
    return AF_OK;
}

void af_pq_scratch_done(struct af_pq_scratch *scratch)
{
    af_free(scratch->ptr);
    *scratch = (struct af_pq_scratch){ 0 };
}

/* --- windows ----------------------------------------------------------------------------------------------------------------- */

/* Make the window begin at `offset` and hold `len` bytes or more: keep what it has of them, read the rest. */
static enum af_status refill(struct af_pq_reader *reader, uint64_t offset, size_t len, struct af_error *err)
{
    const uint64_t limit = reader->end > offset + len ? reader->end : offset + len;
    const size_t want = limit - offset < reader->window_bytes ? (size_t)(limit - offset)
                        : len > reader->window_bytes          ? len
                                                              : reader->window_bytes;
    size_t kept = 0;
    if (offset >= reader->window_at && offset < reader->window_at + reader->window_len)
        kept = (size_t)(reader->window_at + reader->window_len - offset);
    uint8_t *dst = reader->window;
    if (want > reader->window_cap) {
        dst = af_alloc(want + SCRATCH_SLACK);
        if (dst == NULL)
            return af_fail_nomem(err, "a window of a Parquet file");
    }
    if (kept != 0)
        memmove(dst, reader->window + (offset - reader->window_at), kept);
    if (dst != reader->window) {
        af_free(reader->window);
        reader->window = dst;
        reader->window_cap = want;
    }
    reader->window_at = offset;
    reader->window_len = kept;
    AF_TRY(af_reader_read(reader->file->reader, offset + kept, dst + kept, want - kept, err));
    reader->window_len = want;
    return AF_OK;
}

/* `len` bytes of the data part of the file; good until the next call. */
static enum af_status fetch(struct af_pq_reader *reader, uint64_t offset, size_t len, const uint8_t **out, struct af_error *err)
{
    const struct af_parquet *file = reader->file;
    if (offset > file->data_end || len > file->data_end - offset)
        return af_fail(err, AF_ECORRUPT, "%zu bytes at offset %llu reach past the pages of the file", len, (unsigned long long)offset);
    if (file->reader->bytes != NULL) {
        *out = file->reader->bytes + offset;
        return AF_OK;
    }
    if (offset < reader->window_at || offset + len > reader->window_at + reader->window_len)
        AF_TRY(refill(reader, offset, len, err));
    *out = reader->window + (offset - reader->window_at);
    return AF_OK;
}

/* --- page headers ------------------------------------------------------------------------------------------------------------ */

struct page {
    int32_t type;
    int32_t raw_size;
    int32_t stored_size;
    uint32_t crc;
    bool has_crc;
    bool has_kind;       /* the struct for its type was there */
    bool is_compressed;  /* v2 */
    int32_t slots;
    int32_t encoding;
    int32_t def_encoding;
    int32_t rep_encoding;
    int32_t null_count;  /* v2 */
    int32_t row_count;
    int32_t def_bytes;
    int32_t rep_bytes;
    size_t header_bytes;
};

static void parse_data_header(struct af_thrift *in, struct page *page)
{
    struct af_thrift_field field = { 0 };
    while (af_thrift_next(in, &field)) {
        switch (field.id) {
        case 1: page->slots = af_thrift_int32(in, &field); break;
        case 2: page->encoding = af_thrift_int32(in, &field); break;
        case 3: page->def_encoding = af_thrift_int32(in, &field); break;
        case 4: page->rep_encoding = af_thrift_int32(in, &field); break;
        default: af_thrift_skip(in, field.type);
        }
    }
}

static void parse_dictionary_header(struct af_thrift *in, struct page *page)
{
    struct af_thrift_field field = { 0 };
    while (af_thrift_next(in, &field)) {
        if (field.id == 1)
            page->slots = af_thrift_int32(in, &field);
        else if (field.id == 2)
            page->encoding = af_thrift_int32(in, &field);
        else
            af_thrift_skip(in, field.type);
    }
}

static void parse_data_header_v2(struct af_thrift *in, struct page *page)
{
    struct af_thrift_field field = { 0 };
    while (af_thrift_next(in, &field)) {
        switch (field.id) {
        case 1: page->slots = af_thrift_int32(in, &field); break;
        case 2: page->null_count = af_thrift_int32(in, &field); break;
        case 3: page->row_count = af_thrift_int32(in, &field); break;
        case 4: page->encoding = af_thrift_int32(in, &field); break;
        case 5: page->def_bytes = af_thrift_int32(in, &field); break;
        case 6: page->rep_bytes = af_thrift_int32(in, &field); break;
        case 7: page->is_compressed = af_thrift_bool(in, &field); break;
        default: af_thrift_skip(in, field.type);
        }
    }
}

static void parse_page_header(struct af_thrift *in, struct page *page)
{
    struct af_thrift_field field = { 0 };
    int32_t kind = -1;
    *page = (struct page){ .type = -1, .raw_size = -1, .stored_size = -1, .slots = -1, .encoding = -1, .def_encoding = AF_PQ_RLE,
                           .rep_encoding = AF_PQ_RLE, .null_count = -1, .row_count = -1, .def_bytes = -1, .rep_bytes = -1,
                           .is_compressed = true };
    while (af_thrift_next(in, &field)) {
        switch (field.id) {
        case 1: page->type = af_thrift_int32(in, &field); break;
        case 2: page->raw_size = af_thrift_int32(in, &field); break;
        case 3: page->stored_size = af_thrift_int32(in, &field); break;
        case 4: page->crc = (uint32_t)af_thrift_int32(in, &field); page->has_crc = true; break;
        case 5:
            kind = AF_PQ_PAGE_DATA;
            if (af_thrift_struct(in, &field))
                parse_data_header(in, page);
            break;
        case 7:
            kind = AF_PQ_PAGE_DICTIONARY;
            if (af_thrift_struct(in, &field))
                parse_dictionary_header(in, page);
            break;
        case 8:
            kind = AF_PQ_PAGE_DATA_V2;
            if (af_thrift_struct(in, &field))
                parse_data_header_v2(in, page);
            break;
        default: af_thrift_skip(in, field.type);
        }
    }
    page->has_kind = kind == page->type || page->type == AF_PQ_PAGE_INDEX;
}

static enum af_status read_page_header(struct af_pq_reader *reader, struct page *page, struct af_error *err)
{
    const uint64_t left = reader->file->data_end - reader->at;
    size_t want = left < HEADER_FIRST_BYTES ? (size_t)left : HEADER_FIRST_BYTES;
    struct af_thrift in;
    const uint8_t *bytes;
    for (;;) {
        AF_TRY(fetch(reader, reader->at, want, &bytes, err));
        in = (struct af_thrift){ .at = bytes, .end = bytes + want };
        parse_page_header(&in, page);
        if (!in.is_short || want == left || want >= AF_PARQUET_HEADER_BYTES_MAX)
            break;
        want = want * 16 < left ? want * 16 : (size_t)left;
    }
    if (in.fault != NULL)
        return af_fail(err, AF_ECORRUPT, "damaged page header at offset %llu: %s", (unsigned long long)reader->at, in.fault);
    if (!page->has_kind || page->raw_size < 0 || page->stored_size < 0)
        return af_fail(err, AF_ECORRUPT, "damaged page header at offset %llu: type %d, %d bytes raw, %d stored",
                       (unsigned long long)reader->at, page->type, page->raw_size, page->stored_size);
    page->header_bytes = (size_t)(in.at - bytes);
    return AF_OK;
}

/* --- content ----------------------------------------------------------------------------------------------------------------- */

static enum af_codec codec_of(int32_t codec)
{
    static const uint8_t map[] = { AF_CODEC_NONE, AF_CODEC_SNAPPY, AF_CODEC_GZIP, AF_CODEC_NONE, AF_CODEC_BROTLI, AF_CODEC_LZ4_HADOOP,
                                   AF_CODEC_ZSTD, AF_CODEC_LZ4 };
    return (enum af_codec)map[codec];
}

/* The most that a codec can make of a byte; 0: no useful bound. Keeps a small file from asking for large memory. */
static uint64_t ratio_max(enum af_codec codec)
{
    switch (codec) {
    case AF_CODEC_NONE: return 1;
    case AF_CODEC_SNAPPY: return 22;
    case AF_CODEC_LZ4:
    case AF_CODEC_LZ4_HADOOP: return 256;
    case AF_CODEC_GZIP: return 1100;
    default: return 0;
    }
}

/* `stored` decompressed to `raw_len` bytes; in place where nothing is compressed. */
static enum af_status expand(struct af_pq_reader *reader, const uint8_t *stored, size_t stored_len, size_t raw_len, bool is_compressed,
                             const uint8_t **out, struct af_error *err)
{
    const enum af_codec codec = is_compressed ? codec_of(reader->chunk->codec) : AF_CODEC_NONE;
    if (codec == AF_CODEC_NONE) {
        if (stored_len != raw_len)
            return af_fail(err, AF_ECORRUPT, "an uncompressed page has %zu bytes, its header says %zu", stored_len, raw_len);
        *out = stored;
        return AF_OK;
    }
    const uint64_t ratio = ratio_max(codec);
    if (ratio != 0 && raw_len > stored_len * ratio + 64)
        return af_fail(err, AF_ECORRUPT, "%zu bytes of %s cannot hold the %zu the page claims", stored_len, af_codec_name(codec), raw_len);
    AF_TRY(af_pq_scratch_get(reader, &reader->raw, raw_len, err));
    uint8_t *raw = reader->raw.ptr;
    if (stored_len == 0 && raw_len == 0) {
        *out = raw;
        return AF_OK;
    }
    AF_TRY(af_decompress(reader->codec, codec, af_slice_make(stored, stored_len), raw, raw_len, err));
    *out = raw;
    return AF_OK;
}

static enum af_status load_payload(struct af_pq_reader *reader, const struct page *page, const uint8_t **out, struct af_error *err)
{
    AF_TRY(fetch(reader, reader->at + page->header_bytes, (size_t)page->stored_size, out, err));
    if (page->has_crc && !reader->skip_crc && af_crc32(0, *out, (size_t)page->stored_size) != page->crc)
        return af_fail(err, AF_ECORRUPT, "the page's CRC does not fit its bytes (offset %llu)", (unsigned long long)reader->at);
    return AF_OK;
}

static enum af_status load_dictionary(struct af_pq_reader *reader, const struct page *page, struct af_error *err)
{
    const uint8_t *stored;
    const uint8_t *raw;
    if (reader->dict.is_loaded || reader->page != 0)
        return af_fail(err, AF_ECORRUPT, "a dictionary page that is not the first page of its column chunk");
    if (page->raw_size > AF_PARQUET_DICT_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "a dictionary of %d bytes is over AF_PARQUET_DICT_BYTES_MAX", page->raw_size);
    if (page->slots < 0 || (page->encoding != AF_PQ_PLAIN && page->encoding != AF_PQ_PLAIN_DICTIONARY))
        return af_fail(err, AF_ECORRUPT, "a dictionary page with %d entries and encoding %d", page->slots, page->encoding);
    AF_TRY(load_payload(reader, page, &stored, err));
    AF_TRY(expand(reader, stored, (size_t)page->stored_size, (size_t)page->raw_size, true, &raw, err));
    return af_pq_dict_load(reader, raw, (size_t)page->raw_size, (uint32_t)page->slots, err);
}

static enum af_status open_rle(struct af_pq_levels *levels, const uint8_t *src, size_t len, struct af_error *err)
{
    levels->kind = AF_PQ_LEVELS_RLE;
    return af_rle_open(&levels->rle, src, len, levels->width, err);
}

static struct af_pq_levels levels_of(uint8_t max)
{
    return (struct af_pq_levels){ .kind = AF_PQ_LEVELS_NONE, .max = max, .width = (uint8_t)af_bits_width(max) };
}

static enum af_status open_levels_v1(struct af_pq_levels *levels, int32_t encoding, uint32_t slots, const uint8_t **at,
                                     const uint8_t *end, struct af_error *err)
{
    const size_t left = (size_t)(end - *at);
    if (levels->max == 0)
        return AF_OK;
    if (encoding == AF_PQ_BIT_PACKED) {
        const size_t bytes = (size_t)(((uint64_t)slots * levels->width + 7) / 8);
        if (bytes > left)
            return af_fail(err, AF_ECORRUPT, "%zu bytes of levels in a page that has %zu", bytes, left);
        levels->kind = AF_PQ_LEVELS_MSB;
        levels->at = *at;
        levels->end = *at += bytes;
        return AF_OK;
    }
    if (encoding != AF_PQ_RLE)
        return af_fail(err, AF_ECORRUPT, "levels with encoding %d", encoding);
    if (left < 4)
        return af_fail(err, AF_ECORRUPT, "the page ends before its levels");
    uint32_t bytes;
    memcpy(&bytes, *at, 4);
    if (bytes > left - 4)
        return af_fail(err, AF_ECORRUPT, "%u bytes of levels in a page that has %zu", bytes, left - 4);
    AF_TRY(open_rle(levels, *at + 4, bytes, err));
    *at += 4 + bytes;
    return AF_OK;
}

/* Levels and values of a v1 page: all is compressed together. */
static enum af_status open_data_v1(struct af_pq_reader *reader, const struct page *page, const uint8_t *stored, const uint8_t **out,
                                   const uint8_t **out_end, struct af_error *err)
{
    AF_TRY(expand(reader, stored, (size_t)page->stored_size, (size_t)page->raw_size, true, out, err));
    *out_end = *out + page->raw_size;
    AF_TRY(open_levels_v1(&reader->rep, page->rep_encoding, reader->page_slots, out, *out_end, err));
    return open_levels_v1(&reader->def, page->def_encoding, reader->page_slots, out, *out_end, err);
}

/* Levels that can only be 0 take no bytes; some writers store them all the same, as one run. */
static bool says_nothing(const struct af_pq_reader *reader, const uint8_t *src, size_t len)
{
    const uint8_t *at = src;
    uint64_t run;
    return len == 0 || (af_uvarint_read(&at, src + len, &run) && at == src + len && run == (uint64_t)reader->page_slots << 1);
}

static enum af_status open_data_v2(struct af_pq_reader *reader, const struct page *page, const uint8_t *stored, const uint8_t **out,
                                   const uint8_t **out_end, struct af_error *err)
{
    const int64_t levels = (int64_t)page->rep_bytes + page->def_bytes;
    if (page->rep_bytes < 0 || page->def_bytes < 0 || levels > page->stored_size || levels > page->raw_size)
        return af_fail(err, AF_ECORRUPT, "levels of %d and %d bytes in a page of %d", page->rep_bytes, page->def_bytes, page->stored_size);
    if ((reader->leaf->rep == 0 && !says_nothing(reader, stored, (size_t)page->rep_bytes)) ||
        (reader->leaf->def == 0 && !says_nothing(reader, stored + page->rep_bytes, (size_t)page->def_bytes)))
        return af_fail(err, AF_ECORRUPT, "levels of %d and %d bytes in a column that has none", page->rep_bytes, page->def_bytes);
    if (page->null_count < 0 || page->null_count > page->slots || (reader->leaf->def == 0 && page->null_count != 0))
        return af_fail(err, AF_ECORRUPT, "a page with %d nulls among %d values", page->null_count, page->slots);
    if (page->row_count < 0 || page->row_count > page->slots || (reader->leaf->rep == 0 && page->row_count != page->slots))
        return af_fail(err, AF_ECORRUPT, "a page with %d rows and %d values", page->row_count, page->slots);
    reader->nulls_promised = (uint64_t)page->null_count;
    if (reader->rep.max != 0)
        AF_TRY(open_rle(&reader->rep, stored, (size_t)page->rep_bytes, err));
    if (reader->def.max != 0)
        AF_TRY(open_rle(&reader->def, stored + page->rep_bytes, (size_t)page->def_bytes, err));
    const size_t raw_len = (size_t)(page->raw_size - levels);
    const size_t stored_len = (size_t)(page->stored_size - levels);
    AF_TRY(expand(reader, stored + levels, stored_len, raw_len, page->is_compressed && stored_len != 0, out, err));
    *out_end = *out + raw_len;
    return AF_OK;
}

/* A page whose definition levels are one run of the highest has no nulls. */
static enum af_status find_full(struct af_pq_reader *reader, struct af_error *err)
{
    reader->page_is_full = reader->def.max == 0;
    if (reader->def.kind == AF_PQ_LEVELS_RLE) {
        struct af_pq_levels copy = reader->def;
        size_t run;
        size_t packed;
        uint32_t level;
        AF_TRY(af_pq_levels_run(&copy, reader->page_slots, &run, &level, &packed, err));
        reader->page_is_full = run == reader->page_slots && level == reader->def.max;
    }
    if (reader->nulls_promised != UINT64_MAX && reader->leaf->rep == 0) {
        size_t present = reader->page_slots;
        if (!reader->page_is_full)
            AF_TRY(af_pq_levels_count(&reader->def, reader->page_slots, &present, err));
        if (reader->page_slots - present != reader->nulls_promised)
            return af_fail(err, AF_ECORRUPT, "a page says it has %llu nulls, its levels say %zu",
                           (unsigned long long)reader->nulls_promised, reader->page_slots - present);
    }
    return AF_OK;
}

static enum af_status open_data(struct af_pq_reader *reader, const struct page *page, struct af_error *err)
{
    const uint8_t *stored;
    const uint8_t *at = NULL;
    const uint8_t *end = NULL;
    AF_TRY(load_payload(reader, page, &stored, err));
    reader->page_slots = (uint32_t)page->slots;
    reader->rep = levels_of(reader->leaf->rep);
    reader->def = levels_of(reader->leaf->def);
    reader->nulls_promised = UINT64_MAX;
    if (page->type == AF_PQ_PAGE_DATA)
        AF_TRY(open_data_v1(reader, page, stored, &at, &end, err));
    else
        AF_TRY(open_data_v2(reader, page, stored, &at, &end, err));
    AF_TRY(find_full(reader, err));
    AF_TRY(af_pq_values_open(reader, (uint32_t)page->encoding, at, (size_t)(end - at), err));
    reader->page_left = reader->page_slots;
    return AF_OK;
}

/* --- chunks ------------------------------------------------------------------------------------------------------------------ */

enum af_status af_pq_reader_begin(struct af_pq_reader *reader, const struct af_pq_chunk *chunk, struct af_error *err)
{
    const int64_t start = chunk->dict_offset > 0 && chunk->dict_offset < chunk->data_offset ? chunk->dict_offset : chunk->data_offset;
    int64_t end;
    af_pq_dict_done(&reader->dict);
    reader->chunk = chunk;
    reader->page = 0;
    reader->page_left = 0;
    reader->page_slots = 0;
    reader->slots_left = 0;
    reader->window_len = 0;
    if (chunk->num_values < 0 || chunk->stored_bytes < 0 || start < 0 || __builtin_add_overflow(start, chunk->stored_bytes, &end))
        return af_fail(err, AF_ECORRUPT, "a column chunk of %lld values and %lld bytes at offset %lld", (long long)chunk->num_values,
                       (long long)chunk->stored_bytes, (long long)start);
    if (chunk->num_values != 0 && ((uint64_t)end > reader->file->data_end || start < 4))
        return af_fail(err, AF_ECORRUPT, "a column chunk at [%lld, %lld) is not inside the file's pages", (long long)start, (long long)end);
    reader->at = (uint64_t)start;
    reader->end = (uint64_t)end;
    reader->slots_left = (uint64_t)chunk->num_values;
    return AF_OK;
}

void af_pq_reader_done(struct af_pq_reader *reader)
{
    af_pq_dict_done(&reader->dict);
    af_pq_scratch_done(&reader->dict.values);
    af_pq_scratch_done(&reader->raw);
    af_pq_scratch_done(&reader->joined);
    af_pq_scratch_done(&reader->suffixes);
    af_pq_scratch_done(&reader->slices);
    af_buf_done(&reader->last);
    af_free(reader->window);
    reader->window = NULL;
}

/* The header of the next data page that has slots; dictionaries before it are loaded. The page's content is not touched. */
static enum af_status next_data_header(struct af_pq_reader *reader, struct page *page, struct af_error *err)
{
    for (;;) {
        if (reader->at >= reader->end)
            return af_fail(err, AF_ECORRUPT, "the column chunk ends %llu values early", (unsigned long long)reader->slots_left);
        AF_TRY(read_page_header(reader, page, err));
        if (page->raw_size > AF_PARQUET_PAGE_BYTES_MAX)
            return af_fail(err, AF_ELIMIT, "a page of %d bytes is over AF_PARQUET_PAGE_BYTES_MAX", page->raw_size);
        const uint64_t next = reader->at + page->header_bytes + (uint64_t)page->stored_size;
        if (next > reader->file->data_end)
            return af_fail(err, AF_ECORRUPT, "a page of %d bytes at offset %llu reaches past the pages of the file", page->stored_size,
                           (unsigned long long)reader->at);
        if (page->type == AF_PQ_PAGE_DATA || page->type == AF_PQ_PAGE_DATA_V2) {
            if (page->slots < 0 || (uint64_t)page->slots > reader->slots_left)
                return af_fail(err, AF_ECORRUPT, "a page of %d values where the column chunk has %llu left", page->slots,
                               (unsigned long long)reader->slots_left);
            if (page->slots != 0)
                return AF_OK;
            reader->page++;
        } else if (page->type == AF_PQ_PAGE_DICTIONARY) {
            AF_TRY(load_dictionary(reader, page, err));
        }
        reader->at = next;
    }
}

static void pass_page(struct af_pq_reader *reader, const struct page *page)
{
    reader->page_at = reader->at;
    reader->at += page->header_bytes + (uint64_t)page->stored_size;
    reader->slots_left -= (uint64_t)page->slots;
    reader->page++;
}

enum af_status af_pq_page_next(struct af_pq_reader *reader, struct af_error *err)
{
    struct page page;
    reader->page_left = 0;
    AF_TRY(next_data_header(reader, &page, err));
    AF_TRY(open_data(reader, &page, err));
    pass_page(reader, &page);
    return AF_OK;
}

/* --- moving without values ----------------------------------------------------------------------------------------------------- */

static enum af_status skip_in_page(struct af_pq_reader *reader, size_t slots, struct af_error *err)
{
    uint32_t block[AF_PQ_BLOCK];
    size_t present = slots;
    if (!reader->page_is_full) {
        AF_TRY(af_pq_levels_count(&reader->def, slots, &present, err));
        for (size_t left = slots; left > 0;) {
            size_t n = left < AF_PQ_BLOCK ? left : AF_PQ_BLOCK;
            AF_TRY(af_pq_levels_read(&reader->def, block, n, err));
            left -= n;
        }
    }
    for (size_t left = reader->rep.max != 0 ? slots : 0; left > 0;) {
        size_t n = left < AF_PQ_BLOCK ? left : AF_PQ_BLOCK;
        AF_TRY(af_pq_levels_read(&reader->rep, block, n, err));
        left -= n;
    }
    AF_TRY(af_pq_values_skip(reader, present, err));
    reader->page_left -= (uint32_t)slots;
    return AF_OK;
}

enum af_status af_pq_skip(struct af_pq_reader *reader, uint64_t slots, struct af_error *err)
{
    while (slots > 0) {
        if (reader->page_left == 0) {
            struct page page;
            AF_TRY(next_data_header(reader, &page, err));
            if ((uint64_t)page.slots <= slots) {
                pass_page(reader, &page);
                slots -= (uint64_t)page.slots;
                continue;
            }
            AF_TRY(open_data(reader, &page, err));
            pass_page(reader, &page);
        }
        size_t n = slots < reader->page_left ? (size_t)slots : reader->page_left;
        AF_TRY(skip_in_page(reader, n, err));
        slots -= n;
    }
    return AF_OK;
}

struct af_pq_mark af_pq_reader_mark(const struct af_pq_reader *reader)
{
    if (reader->page_left == 0)
        return (struct af_pq_mark){ .at = reader->at, .slots_left = reader->slots_left, .page = reader->page };
    return (struct af_pq_mark){ .at = reader->page_at, .slots_left = reader->slots_left + reader->page_slots, .page = reader->page - 1,
                                .taken = reader->page_slots - reader->page_left };
}

enum af_status af_pq_reader_restore(struct af_pq_reader *reader, const struct af_pq_mark *mark, struct af_error *err)
{
    /* A dictionary that was loaded since stays; its page is not met again. */
    if (!(reader->dict.is_loaded && mark->page == 0)) {
        reader->at = mark->at;
    } else {
        struct page page;
        reader->at = mark->at;
        AF_TRY(read_page_header(reader, &page, err));
        if (page.type == AF_PQ_PAGE_DICTIONARY)
            reader->at += page.header_bytes + (uint64_t)page.stored_size;
    }
    reader->slots_left = mark->slots_left;
    reader->page = mark->page;
    reader->page_left = 0;
    return mark->taken != 0 ? af_pq_skip(reader, mark->taken, err) : AF_OK;
}
