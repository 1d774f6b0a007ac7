/*
 * spool_format.c - one block as a file of the spool. Pure: bytes in, bytes out.
 *
 *     offset  bytes
 *          0      8  "AFSPOOL\n"
 *          8      4  version, 1
 *         12      4  lane that wrote it
 *         16      8  sequence: over the whole spool; replay goes by it
 *         24      8  precision of the times, ns
 *         32      8  lines
 *         40      8  bytes of the lines
 *         48      8  P, bytes of the lines compressed
 *         56      8  Q, bytes of the provenance
 *         64      4  segments
 *         68      4  CRC-32 of everything else
 *         72      P  the lines, zstd
 *     72 + P      Q  provenance, per segment: lines, row group, first row, length of the file name, the name; then per
 *                    line: its length with the newline, its row minus the row of the line before (32 bits, wrapping)
 *
 * Integers of the header are little-endian, those of the provenance unsigned LEB128. Line lengths are stored because a
 * newline may stand inside a quoted string.
 */
#include "codec/bits.h"
#include "sink/sink_int.h"

static const char MAGIC[8] = { 'A', 'F', 'S', 'P', 'O', 'O', 'L', '\n' };
enum { VERSION = 1, CRC_AT = 68 };
/* One line of the largest size, or a request of the largest size. */
static const uint64_t RAW_BYTES_MAX = (uint64_t)AF_LP_LINE_BYTES_MAX + 4096;

struct sizes {
    uint64_t raw;
    uint64_t packed;
    uint64_t provenance;
    uint32_t segments;
};

static void put_u(char *dst, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        dst[i] = (char)(value >> (8 * i) & 0xff);
}

static uint64_t get_u(const char *src, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)(unsigned char)src[i] << (8 * i);
    return value;
}

static uint32_t checksum(const char *bytes, size_t len)
{
    uint32_t crc = af_crc32(0, bytes, CRC_AT);
    return af_crc32(crc, bytes + AF_SPOOL_HEADER_BYTES, len - AF_SPOOL_HEADER_BYTES);
}

/* --- encoding ------------------------------------------------------------------------------------------------------------ */

static void append_segment(struct af_buf *out, const struct af_sink_segment *segment, size_t lines)
{
    struct af_slice file = af_slice_of(segment->file);
    af_uvarint_append(out, lines);
    af_uvarint_append(out, segment->row_group);
    af_uvarint_append(out, segment->first_row);
    af_uvarint_append(out, file.len);
    af_buf_append_slice(out, file);
}

static uint32_t append_provenance(struct af_buf *out, const struct af_sink_block *block, size_t from)
{
    uint32_t segments = 0;
    size_t line = 0;
    for (size_t s = 0; s < block->segment_count; s++) {
        size_t end = line + block->segments[s].line_count;
        if (line < from)
            line = from < end ? from : end;
        if (line == end)
            continue;
        append_segment(out, &block->segments[s], end - line);
        segments++;
        uint32_t before = 0;
        for (; line < end; line++) {
            af_uvarint_append(out, block->ends[line] - (line > 0 ? block->ends[line - 1] : 0));
            af_uvarint_append(out, (uint32_t)(block->rows[line] - before));
            before = block->rows[line];
        }
    }
    return segments;
}

static void write_header(char *at, const struct af_spool_header *header, uint64_t line_count, const struct sizes *sizes)
{
    memcpy(at, MAGIC, sizeof MAGIC);
    put_u(at + 8, VERSION, 4);
    put_u(at + 12, header->lane, 4);
    put_u(at + 16, header->sequence, 8);
    put_u(at + 24, (uint64_t)header->precision_ns, 8);
    put_u(at + 32, line_count, 8);
    put_u(at + 40, sizes->raw, 8);
    put_u(at + 48, sizes->packed, 8);
    put_u(at + 56, sizes->provenance, 8);
    put_u(at + 64, sizes->segments, 4);
}

enum af_status af_spool_encode(const struct af_spool_header *header, const struct af_sink_block *block, size_t from,
                               struct af_codec_ctx *codec, struct af_buf *out, struct af_error *err)
{
    const size_t start = out->len;
    static const char blank[AF_SPOOL_HEADER_BYTES];
    af_buf_append(out, blank, sizeof blank);
    struct af_slice lines = af_sink_block_lines(block, from, block->line_count);
    enum af_status status = af_compress(codec, AF_CODEC_ZSTD, 0, lines, out, err);
    if (status != AF_OK) {
        af_buf_rewind(out, start);
        return status;
    }
    struct sizes sizes = { .raw = lines.len, .packed = out->len - start - sizeof blank };
    sizes.segments = append_provenance(out, block, from);
    status = af_buf_check(out, "a block of the spool", err);
    if (status != AF_OK) {
        af_buf_rewind(out, start);
        return status;
    }
    sizes.provenance = out->len - start - sizeof blank - sizes.packed;
    char *at = out->ptr + start;
    write_header(at, header, block->line_count - from, &sizes);
    put_u(at + CRC_AT, checksum(at, out->len - start), 4);
    return AF_OK;
}

/* --- decoding ------------------------------------------------------------------------------------------------------------ */

static bool sizes_agree(struct af_slice bytes, const struct sizes *sizes, const struct af_spool_header *header)
{
    uint64_t body = bytes.len - AF_SPOOL_HEADER_BYTES;
    bool precision_is_known = header->precision_ns == 1 || header->precision_ns == 1000 || header->precision_ns == 1000000 ||
                              header->precision_ns == 1000000000;
    /* a line takes at least two bytes of provenance and one of text, a segment at least a line: no size of memory is believed
     * that the file's own size does not bear out */
    return sizes->packed <= body && sizes->provenance == body - sizes->packed && sizes->raw <= RAW_BYTES_MAX &&
           header->line_count <= sizes->provenance / 2 && header->line_count <= sizes->raw &&
           sizes->segments <= header->line_count && header->line_count > 0 && precision_is_known;
}

static enum af_status read_header(struct af_slice bytes, struct af_spool_header *out, struct sizes *out_sizes, struct af_error *err)
{
    if (bytes.len < AF_SPOOL_HEADER_BYTES || memcmp(bytes.ptr, MAGIC, sizeof MAGIC) != 0)
        return af_fail(err, AF_ECORRUPT, "not a block of a spool: it does not begin with AFSPOOL, or is cut short");
    const char *at = bytes.ptr;
    uint64_t version = get_u(at + 8, 4);
    if (get_u(at + CRC_AT, 4) != checksum(at, bytes.len))
        return af_fail(err, AF_ECORRUPT, "the checksum of the block is wrong: the file was cut short or changed after it was written");
    if (version != VERSION)
        return af_fail(err, AF_ECORRUPT, "a block of version %llu, this program knows %d", (unsigned long long)version, VERSION);
    struct af_spool_header header = { .lane = (uint32_t)get_u(at + 12, 4), .sequence = get_u(at + 16, 8),
                                      .precision_ns = (int64_t)get_u(at + 24, 8), .line_count = get_u(at + 32, 8) };
    struct sizes sizes = { .raw = get_u(at + 40, 8), .packed = get_u(at + 48, 8), .provenance = get_u(at + 56, 8),
                           .segments = (uint32_t)get_u(at + 64, 4) };
    if (!sizes_agree(bytes, &sizes, &header))
        return af_fail(err, AF_ECORRUPT, "the sizes in the header of the block contradict each other");
    *out = header;
    *out_sizes = sizes;
    return AF_OK;
}

enum af_status af_spool_check(struct af_slice bytes, struct af_spool_header *out, struct af_error *err)
{
    struct sizes sizes;
    return read_header(bytes, out, &sizes, err);
}

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static bool read_segment(struct cursor *cursor, struct af_sink_block *block, uint64_t lines_left)
{
    uint64_t lines;
    uint64_t row_group;
    uint64_t first_row;
    uint64_t len;
    if (!af_uvarint_read(&cursor->at, cursor->end, &lines) || !af_uvarint_read(&cursor->at, cursor->end, &row_group) ||
        !af_uvarint_read(&cursor->at, cursor->end, &first_row) || !af_uvarint_read(&cursor->at, cursor->end, &len))
        return false;
    if (lines == 0 || lines > lines_left || row_group > UINT32_MAX || len > (uint64_t)(cursor->end - cursor->at) ||
        memchr(cursor->at, '\0', len) != NULL)
        return false;
    const char *name = block->names.ptr + block->names.len; /* reserved by the caller: it does not move */
    af_buf_append(&block->names, cursor->at, len);
    af_buf_append_char(&block->names, '\0');
    cursor->at += len;
    block->segments[block->segment_count++] = (struct af_sink_segment){ .file = name, .first_row = first_row,
                                                                        .row_group = (uint32_t)row_group,
                                                                        .line_count = (uint32_t)lines };
    return true;
}

static bool read_lines(struct cursor *cursor, struct af_sink_block *block, uint64_t lines, uint64_t raw)
{
    uint32_t row = 0;
    uint64_t at = block->line_count > 0 ? block->ends[block->line_count - 1] : 0;
    for (uint64_t i = 0; i < lines; i++) {
        uint64_t len;
        uint64_t step;
        if (!af_uvarint_read(&cursor->at, cursor->end, &len) || !af_uvarint_read(&cursor->at, cursor->end, &step))
            return false;
        if (len == 0 || len > raw - at || step > UINT32_MAX || block->bytes.ptr[at + len - 1] != '\n')
            return false;
        at += len;
        row += (uint32_t)step;
        block->ends[block->line_count] = (uint32_t)at;
        block->rows[block->line_count++] = row;
    }
    return true;
}

static bool read_provenance(struct cursor cursor, struct af_sink_block *block, const struct sizes *sizes, uint64_t line_count)
{
    for (uint32_t s = 0; s < sizes->segments; s++)
        if (!read_segment(&cursor, block, line_count - block->line_count) ||
            !read_lines(&cursor, block, block->segments[s].line_count, sizes->raw))
            return false;
    return cursor.at == cursor.end && block->line_count == line_count && block->ends[line_count - 1] == sizes->raw;
}

static enum af_status make_room(struct af_sink_block *block, const struct sizes *sizes, uint64_t line_count, struct af_error *err)
{
    if (af_buf_reserve(&block->bytes, sizes->raw) == NULL ||
        af_buf_reserve(&block->names, sizes->provenance + sizes->segments) == NULL ||
        !af_sink_block_reserve(block, line_count, sizes->segments))
        return af_fail_nomem(err, "a block of the spool");
    return AF_OK;
}

enum af_status af_spool_decode(struct af_slice bytes, struct af_codec_ctx *codec, struct af_spool_header *out,
                               struct af_sink_block *block, struct af_error *err)
{
    struct af_spool_header header;
    struct sizes sizes;
    AF_TRY(read_header(bytes, &header, &sizes, err));
    af_sink_block_clear(block, SIZE_MAX);
    enum af_status status = make_room(block, &sizes, header.line_count, err);
    struct af_slice packed = { bytes.ptr + AF_SPOOL_HEADER_BYTES, sizes.packed };
    if (status == AF_OK)
        status = af_decompress(codec, AF_CODEC_ZSTD, packed, block->bytes.ptr, sizes.raw, err);
    if (status == AF_OK) {
        block->bytes.len = sizes.raw;
        struct cursor cursor = { (const uint8_t *)packed.ptr + sizes.packed, (const uint8_t *)bytes.ptr + bytes.len };
        if (!read_provenance(cursor, block, &sizes, header.line_count))
            status = af_fail(err, AF_ECORRUPT, "the origins of the lines in the block do not fit its lines");
    }
    if (status != AF_OK) {
        af_sink_block_clear(block, SIZE_MAX);
        return status;
    }
    *out = header;
    return AF_OK;
}
