/*
 * spool_fuzz.c - any bytes as a block of the spool.
 *
 * Byte 0 chooses: even - the rest is a file as it is, only its checksum is made right; odd - the rest is cut into lines and
 * segments, encoded and decoded. Properties: what decodes, encodes to a block that decodes to the same; what was
 * encoded, decodes to itself; a block with one byte changed does not decode.
 */
#include "format/lp/lp.h"
#include "sink/sink_int.h"
#include <stdlib.h>

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_same(const struct af_sink_block *a, const struct af_sink_block *b)
{
    require(a->line_count == b->line_count && af_slice_eq(af_buf_slice(&a->bytes), af_buf_slice(&b->bytes)));
    for (size_t i = 0; i < a->line_count; i++) {
        uint64_t row[2];
        const struct af_sink_segment *x = af_sink_block_origin(a, i, &row[0]);
        const struct af_sink_segment *y = af_sink_block_origin(b, i, &row[1]);
        require(a->ends[i] == b->ends[i] && row[0] == row[1] && x->row_group == y->row_group && strcmp(x->file, y->file) == 0);
    }
}

static void check_round_trip(const struct af_spool_header *header, const struct af_sink_block *block, struct af_codec_ctx *codec,
                             size_t salt)
{
    struct af_buf bytes;
    struct af_sink_block back;
    struct af_spool_header out;
    af_buf_init(&bytes, SIZE_MAX / 2);
    af_sink_block_init(&back);
    require(af_spool_encode(header, block, 0, codec, &bytes, NULL) == AF_OK);
    require(af_spool_decode(af_buf_slice(&bytes), codec, &out, &back, NULL) == AF_OK);
    require(out.lane == header->lane && out.sequence == header->sequence && out.precision_ns == header->precision_ns);
    check_same(block, &back);
    bytes.ptr[salt % bytes.len] ^= (char)(1 + salt % 255);
    require(af_spool_decode(af_buf_slice(&bytes), codec, &out, &back, NULL) == AF_ECORRUPT);
    af_sink_block_done(&back);
    af_buf_done(&bytes);
}

static void as_file(const uint8_t *data, size_t size, struct af_codec_ctx *codec)
{
    struct af_buf bytes;
    struct af_sink_block block;
    struct af_spool_header header;
    af_buf_init(&bytes, SIZE_MAX / 2);
    af_sink_block_init(&block);
    af_buf_append(&bytes, data, size);
    if (size >= AF_SPOOL_HEADER_BYTES) {
        memcpy(bytes.ptr, "AFSPOOL\n\1\0\0", 12);
        uint32_t crc = af_crc32(0, bytes.ptr, 68);
        crc = af_crc32(crc, bytes.ptr + AF_SPOOL_HEADER_BYTES, size - AF_SPOOL_HEADER_BYTES);
        for (unsigned i = 0; i < 4; i++)
            bytes.ptr[68 + i] = (char)(crc >> (8 * i) & 0xff);
    }
    if (af_spool_decode(af_buf_slice(&bytes), codec, &header, &block, NULL) == AF_OK)
        check_round_trip(&header, &block, codec, size);
    else
        require(block.line_count == 0);
    af_sink_block_done(&block);
    af_buf_done(&bytes);
}

/* Lines of data[0] + 1 bytes each, the byte after it says whether a segment begins. */
static void as_lines(const uint8_t *data, size_t size, struct af_codec_ctx *codec)
{
    struct af_sink_block block;
    struct af_sink_segment segment = { .file = "" };
    af_sink_block_init(&block);
    while (size > 2) {
        char line[300];
        uint32_t end = (uint32_t)(data[0] < size - 2 ? data[0] : size - 2);
        uint32_t row = (uint32_t)data[1] << (data[0] % 25);
        memcpy(line, data + 2, end);
        line[end] = '\n';
        data += 2 + end;
        size -= 2 + end;
        end++;
        struct af_lp_text text = { .ends = &end, .rows = &row, .line_count = 1 };
        text.bytes.ptr = line;
        text.bytes.len = end;
        segment.first_row = row;
        segment.row_group = end;
        segment.file = end % 2 == 0 ? "a" : "some/file.parquet";
        require(af_sink_block_add(&block, &text, 0, 1, &segment, NULL) == AF_OK);
    }
    struct af_spool_header header = { .lane = 7, .sequence = size, .precision_ns = 1000000 };
    if (block.line_count > 0)
        check_round_trip(&header, &block, codec, block.bytes.len);
    af_sink_block_done(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_codec_ctx codec = { 0 };
    if (size > 0 && data[0] % 2 == 0)
        as_file(data + 1, size - 1, &codec);
    else if (size > 0)
        as_lines(data + 1, size - 1, &codec);
    af_codec_ctx_done(&codec);
    return 0;
}
