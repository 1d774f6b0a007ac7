/*
 * write_thrift.c - thrift's compact protocol, as much of it as Parquet's metadata need.
 *
 *     field  = (id - last id) << 4 | type, or type and zigzag(id) when the step is not 1..15; booleans are in the type (1 true, 2 false)
 *     i16..  = zigzag varint     i8 = one byte     binary = varint length, bytes
 *     list   = min(count, 15) << 4 | element type [varint count]     struct = fields, 0
 */
#include "codec/bits.h"
#include "format/parquet/write_int.h"
#include <assert.h>

enum { TYPE_TRUE = 1, TYPE_FALSE = 2, TYPE_I8 = 3, TYPE_I16 = 4, TYPE_I64 = 6 };

static void zigzag(struct af_tw *tw, int64_t v)
{
    af_uvarint_append(tw->out, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static void field(struct af_tw *tw, int id, unsigned type)
{
    const int step = id - tw->last[tw->depth];
    if (step >= 1 && step <= 15) {
        af_buf_append_char(tw->out, (char)((unsigned)step << 4 | type));
    } else {
        af_buf_append_char(tw->out, (char)type);
        zigzag(tw, id);
    }
    tw->last[tw->depth] = id;
}

static void enter(struct af_tw *tw)
{
    tw->depth++;
    assert(tw->depth < sizeof tw->last / sizeof *tw->last);
    tw->last[tw->depth] = 0;
}

void af_tw_begin(struct af_tw *tw, struct af_buf *out)
{
    *tw = (struct af_tw){ .out = out };
    enter(tw);
}

void af_tw_end(struct af_tw *tw)
{
    af_buf_append_char(tw->out, 0);
    tw->depth--;
}

void af_tw_i32(struct af_tw *tw, int id, int32_t value)
{
    field(tw, id, AF_TW_I32);
    zigzag(tw, value);
}

void af_tw_i64(struct af_tw *tw, int id, int64_t value)
{
    field(tw, id, TYPE_I64);
    zigzag(tw, value);
}

void af_tw_i16(struct af_tw *tw, int id, int16_t value)
{
    field(tw, id, TYPE_I16);
    zigzag(tw, value);
}

void af_tw_i8(struct af_tw *tw, int id, int8_t value)
{
    field(tw, id, TYPE_I8);
    af_buf_append_char(tw->out, (char)value);
}

void af_tw_bool(struct af_tw *tw, int id, bool value)
{
    field(tw, id, value ? TYPE_TRUE : TYPE_FALSE);
}

void af_tw_binary(struct af_tw *tw, int id, struct af_slice value)
{
    field(tw, id, AF_TW_BINARY);
    af_tw_element_binary(tw, value);
}

void af_tw_struct(struct af_tw *tw, int id)
{
    field(tw, id, AF_TW_STRUCT);
    enter(tw);
}

void af_tw_list(struct af_tw *tw, int id, unsigned element, size_t count)
{
    field(tw, id, AF_TW_LIST);
    af_buf_append_char(tw->out, (char)((count < 15 ? count : 15) << 4 | element));
    if (count >= 15)
        af_uvarint_append(tw->out, count);
}

void af_tw_element(struct af_tw *tw)
{
    enter(tw);
}

void af_tw_element_int(struct af_tw *tw, int64_t value)
{
    zigzag(tw, value);
}

void af_tw_element_bool(struct af_tw *tw, bool value)
{
    af_buf_append_char(tw->out, value ? TYPE_TRUE : TYPE_FALSE);
}

void af_tw_element_binary(struct af_tw *tw, struct af_slice value)
{
    af_uvarint_append(tw->out, value.len);
    af_buf_append_slice(tw->out, value);
}
