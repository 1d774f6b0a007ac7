/*
 * block.c - lines that know where they come from.
 *
 *     bytes     m,s=1 v=1 10\n | m,s=1 v=2 20\n | m,s=2 v=1 10\n
 *     ends                   12               24               36
 *     rows                    0                1                7          relative to first_row of the segment
 *     segments  [ unit 4, row group 0, first_row 16384, 2 lines ] [ unit 5, ..., 1 line ]
 *
 * A block is filled by put until it holds a request's worth and is then sent as it is: the text is copied once on its
 * way through the sink. Its memory is kept for the next filling.
 */
#include "base/alloc.h"
#include "format/lp/lp.h"
#include "sink/sink_int.h"
#include <assert.h>

void af_sink_block_init(struct af_sink_block *block)
{
    *block = (struct af_sink_block){ 0 };
    af_buf_init(&block->bytes, UINT32_MAX); /* ends are 32 bits wide */
    af_buf_init(&block->names, UINT32_MAX);
}

void af_sink_block_done(struct af_sink_block *block)
{
    af_buf_done(&block->bytes);
    af_buf_done(&block->names);
    af_free(block->ends);
    af_free(block->rows);
    af_free(block->segments);
    *block = (struct af_sink_block){ 0 };
}

void af_sink_block_clear(struct af_sink_block *block, size_t keep_bytes)
{
    if (block->bytes.cap > keep_bytes) {
        size_t bytes_max = block->bytes.bytes_max;
        af_buf_done(&block->bytes);
        af_buf_init(&block->bytes, bytes_max);
    }
    af_buf_clear(&block->bytes);
    af_buf_clear(&block->names);
    block->line_count = 0;
    block->segment_count = 0;
    block->next = NULL;
}

static size_t text_start(const struct af_lp_text *text, size_t line)
{
    return line > 0 ? text->ends[line - 1] : 0;
}

size_t af_sink_block_fit(const struct af_sink_block *block, const struct af_lp_text *text, size_t from, size_t lines_max,
                         size_t bytes_max)
{
    size_t room_lines = block->line_count < lines_max ? lines_max - block->line_count : 0;
    size_t room_bytes = block->bytes.len < bytes_max ? bytes_max - block->bytes.len : 0;
    size_t left = text->line_count - from;
    if (left > room_lines)
        left = room_lines;
    size_t start = text_start(text, from);
    size_t low = 0; /* the largest n <= left whose lines fit */
    for (size_t high = left; low < high;) {
        size_t mid = high - (high - low) / 2;
        if (text->ends[from + mid - 1] - start <= room_bytes)
            low = mid;
        else
            high = mid - 1;
    }
    return low == 0 && block->line_count == 0 ? 1 : low;
}

static bool grow_lines(struct af_sink_block *block, size_t lines)
{
    if (lines <= block->line_cap)
        return true;
    size_t cap = block->line_cap < 256 ? 256 : block->line_cap * 2;
    if (cap < lines)
        cap = lines;
    uint32_t *ends = af_realloc(block->ends, cap * sizeof *ends);
    if (ends == NULL)
        return false;
    block->ends = ends;
    uint32_t *rows = af_realloc(block->rows, cap * sizeof *rows);
    if (rows == NULL)
        return false;
    block->rows = rows;
    block->line_cap = cap;
    return true;
}

static bool grow_segments(struct af_sink_block *block, size_t segments)
{
    if (segments <= block->segment_cap)
        return true;
    size_t cap = block->segment_cap < 8 ? 8 : block->segment_cap * 2;
    if (cap < segments)
        cap = segments;
    struct af_sink_segment *grown = af_realloc(block->segments, cap * sizeof *grown);
    if (grown == NULL)
        return false;
    block->segments = grown;
    block->segment_cap = cap;
    return true;
}

bool af_sink_block_reserve(struct af_sink_block *block, size_t lines, size_t segments)
{
    return grow_lines(block, lines) && grow_segments(block, segments);
}

enum af_status af_sink_block_add(struct af_sink_block *block, const struct af_lp_text *text, size_t from, size_t count,
                                 const struct af_sink_segment *segment, struct af_error *err)
{
    assert(count > 0 && from + count <= text->line_count);
    size_t start = text_start(text, from);
    size_t len = text->ends[from + count - 1] - start;
    char *at = af_buf_reserve(&block->bytes, len);
    if (at == NULL || !af_sink_block_reserve(block, block->line_count + count, block->segment_count + 1)) {
        af_buf_rewind(&block->bytes, block->bytes.len);
        return af_fail_nomem(err, "a block of lines");
    }
    memcpy(at, text->bytes.ptr + start, len);
    uint32_t shift = (uint32_t)block->bytes.len - (uint32_t)start; /* wraps, and back */
    const uint32_t *ends = text->ends + from;
    uint32_t *to = block->ends + block->line_count;
    for (size_t i = 0; i < count; i++)
        to[i] = ends[i] + shift;
    memcpy(block->rows + block->line_count, text->rows + from, count * sizeof *block->rows);
    block->bytes.len += len;
    block->line_count += count;
    block->segments[block->segment_count] = *segment;
    block->segments[block->segment_count++].line_count = (uint32_t)count;
    return AF_OK;
}

struct af_slice af_sink_block_lines(const struct af_sink_block *block, size_t from, size_t to)
{
    size_t start = from > 0 ? block->ends[from - 1] : 0;
    size_t end = to > from ? block->ends[to - 1] : start;
    return (struct af_slice){ block->bytes.ptr + start, end - start };
}

const struct af_sink_segment *af_sink_block_origin(const struct af_sink_block *block, size_t line, uint64_t *out_row)
{
    assert(line < block->line_count);
    const struct af_sink_segment *segment = block->segments;
    for (size_t left = line; left >= segment->line_count; segment++)
        left -= segment->line_count;
    *out_row = segment->first_row + block->rows[line];
    return segment;
}
