/*
 * block.c - one block of a TSM file, without its crc.
 *
 *     type u8 | length of the time part, uvarint | time part (block_time.c) | value part (block_values.c), to the end
 *
 * The number of points is the number of times. What InfluxDB's batch encoders write is written, byte for byte; of strings the bytes
 * inside the snappy block are libsnappy's.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "codec/bits.h"
#include "format/tsm/block_int.h"

enum { BLOCK_HEAD_MAX = 1 + 10, SCRATCH_POINTS = AF_TSM_BLOCK_POINTS };

static const enum af_type types[] = { AF_TYPE_F64, AF_TYPE_I64, AF_TYPE_BOOL, AF_TYPE_STRING, AF_TYPE_U64 };
enum { TYPES = sizeof types / sizeof *types };

int af_tsm_type_code(enum af_type type)
{
    for (int code = 0; code < TYPES; code++)
        if (types[code] == type)
            return code;
    return -1;
}

bool af_tsm_type_of(int code, enum af_type *out)
{
    if (code < 0 || code >= TYPES)
        return false;
    *out = types[code];
    return true;
}

/* --- encode --------------------------------------------------------------------------------------------------------------- */

/* Type and time part. The time part is written behind the longest head and moved to where its length lets it begin. */
static enum af_status append_times(const struct af_tsm_values *values, int code, size_t first, size_t count, uint64_t *scratch,
                                   struct af_buf *out, struct af_error *err)
{
    uint8_t *at = (uint8_t *)af_buf_reserve(out, BLOCK_HEAD_MAX + af_tsm_part_bytes_max(count));
    if (at == NULL)
        return af_buf_check(out, "a block", err);
    const size_t len = af_tsm_times_encode(values->time_ns + first, count, scratch, at + BLOCK_HEAD_MAX);
    at[0] = (uint8_t)code;
    const size_t head = 1 + af_tsm_put_uvarint(at + 1, len);
    memmove(at + head, at + BLOCK_HEAD_MAX, len);
    out->len += head + len;
    return AF_OK;
}

static enum af_status encode(const struct af_tsm_values *values, int code, size_t first, size_t count, uint64_t *scratch,
                             struct af_buf *out, struct af_error *err)
{
    const size_t mark = out->len;
    enum af_status status = append_times(values, code, first, count, scratch, out, err);
    if (status == AF_OK)
        status = af_tsm_values_encode(&values->values, first, count, scratch, out, err);
    if (status != AF_OK)
        af_buf_rewind(out, mark);
    return status;
}

enum af_status af_tsm_block_encode(const struct af_tsm_values *values, size_t first, size_t count, struct af_buf *out,
                                   struct af_error *err)
{
    uint64_t few[SCRATCH_POINTS];
    const int code = af_tsm_type_code(values->values.type);
    if (count == 0 || first > values->count || count > values->count - first)
        return af_fail(err, AF_EINVAL, "a block of rows %zu to %zu out of %zu", first, first + count, values->count);
    if (count > AF_TSM_BLOCK_POINTS_MAX)
        return af_fail(err, AF_ELIMIT, "a block of %zu points; at most %d can be read again", count, AF_TSM_BLOCK_POINTS_MAX);
    if (code < 0)
        return af_fail(err, AF_EINVAL, "a field of type %s cannot be stored", af_type_name(values->values.type));
    if (out->failed)
        return af_buf_check(out, "a block", err);
    if (count <= SCRATCH_POINTS)
        return encode(values, code, first, count, few, out, err);
    uint64_t *many = af_alloc(count * sizeof *many);
    if (many == NULL)
        return af_fail_nomem(err, "a block");
    enum af_status status = encode(values, code, first, count, many, out, err);
    af_free(many);
    return status;
}

/* --- decode --------------------------------------------------------------------------------------------------------------- */

static enum af_status split(struct af_slice block, struct af_tsm_block_view *out, struct af_error *err)
{
    const uint8_t *at = (const uint8_t *)block.ptr;
    const uint8_t *end = at + block.len;
    uint64_t len;
    if (block.len < 2)
        return af_fail(err, AF_ECORRUPT, "a block of %zu bytes", block.len);
    const int code = *at++;
    if (!af_tsm_type_of(code, &out->type))
        return af_fail(err, AF_ECORRUPT, "a block of type %d; there are 0 to %d", code, TYPES - 1);
    if (!af_uvarint_read(&at, end, &len) || len > (size_t)(end - at))
        return af_fail(err, AF_ECORRUPT, "a block of %zu bytes whose time part is longer than that", block.len);
    out->times = af_slice_make(at, (size_t)len);
    out->values = af_slice_make(at + len, (size_t)(end - at) - (size_t)len);
    if (out->values.len == 0)
        return af_fail(err, AF_ECORRUPT, "a block of %zu bytes without values", block.len);
    return af_tsm_times_count(out->times, &out->count, err);
}

enum af_status af_tsm_block_open(struct af_slice block, struct af_tsm_block_view *out, struct af_error *err)
{
    struct af_tsm_block_view view = { 0 };
    AF_TRY(split(block, &view, err));
    AF_TRY(af_tsm_times_regular(view.times, view.count, &view.is_regular, &view.step_ns, err));
    view.first_ns = (int64_t)af_tsm_load_be(view.times.ptr + 1);
    *out = view;
    return AF_OK;
}

enum af_status af_tsm_block_times(const struct af_tsm_block_view *view, struct af_arena *arena, int64_t **out, struct af_error *err)
{
    int64_t *times = af_arena_array(arena, view->count, sizeof *times);
    if (times == NULL)
        return af_arena_fail(arena, view->count * sizeof *times, "the times of a block", err);
    AF_TRY(af_tsm_times_decode(view->times, view->count, times, err));
    *out = times;
    return AF_OK;
}

enum af_status af_tsm_block_column(const struct af_tsm_block_view *view, size_t rows, struct af_arena *arena, struct af_column *out,
                                   struct af_error *err)
{
    if (view->type == AF_TYPE_F64 && rows < view->count)
        return af_tsm_floats_head(view->values, rows, arena, out, err);
    return af_tsm_values_decode(view->values, view->type, view->count, arena, out, err);
}

enum af_status af_tsm_block_decode(struct af_slice block, struct af_arena *arena, struct af_tsm_values *out, struct af_error *err)
{
    struct af_tsm_block_view view;
    struct af_column column;
    int64_t *times;
    AF_TRY(split(block, &view, err));
    AF_TRY(af_tsm_block_column(&view, view.count, arena, &column, err));
    AF_TRY(af_tsm_block_times(&view, arena, &times, err));
    *out = (struct af_tsm_values){ view.count, times, column };
    return AF_OK;
}

/* --- describe ------------------------------------------------------------------------------------------------------------- */

static const char *const schemes[] = { [AF_TSM_RAW] = "raw", [AF_TSM_SIMPLE8B] = "s8b", [AF_TSM_RLE] = "rle" };

static const char *name_of_values(enum af_type type, unsigned scheme)
{
    if (type == AF_TYPE_I64 || type == AF_TYPE_U64)
        return scheme <= AF_TSM_RLE ? schemes[scheme] : NULL;
    if (scheme != AF_TSM_GORILLA)
        return NULL;
    return type == AF_TYPE_F64 ? "gor" : type == AF_TYPE_BOOL ? "bool" : "snappy";
}

enum af_status af_tsm_block_describe(struct af_slice block, enum af_type *out_type, size_t *out_count, const char **out_time_encoding,
                                     const char **out_value_encoding, struct af_error *err)
{
    struct af_tsm_block_view parts;
    AF_TRY(split(block, &parts, err));
    const unsigned scheme = (uint8_t)parts.values.ptr[0] >> 4;
    const char *name = name_of_values(parts.type, scheme);
    if (name == NULL)
        return af_fail(err, AF_ECORRUPT, "values: encoding %u of %s is not known", scheme, af_type_name(parts.type));
    *out_type = parts.type;
    *out_count = parts.count;
    *out_time_encoding = schemes[(uint8_t)parts.times.ptr[0] >> 4];
    *out_value_encoding = name;
    return AF_OK;
}
