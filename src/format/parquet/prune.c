/*
 * prune.c - which rows of a row group may lie in a span of time, by what the file says about itself.
 *
 *     chunk statistics     min and max of the whole chunk
 *     ColumnIndex          null_pages 1, min_values 2, max_values 3: one entry a page
 *     OffsetIndex          page_locations 1: { offset 1, size 2, first_row 3 } a page
 *
 * Only INT64 timestamps: bounds of INT96 are not to be trusted. Rows without a time are in no span. Whatever is absent or odd keeps
 * its rows: pruning may only leave out what is said to be outside.
 */
#include "format/parquet/parquet_int.h"

static bool bound(const struct af_pq_leaf *leaf, struct af_slice bytes, int64_t *out_ns)
{
    int64_t value;
    if (bytes.len != 8 || leaf->physical != AF_PQ_INT64 || leaf->type != AF_TYPE_TIME)
        return false;
    memcpy(&value, bytes.ptr, 8);
    const int64_t factor = leaf->form == AF_PQ_FORM_I64_MS ? 1000000 : leaf->form == AF_PQ_FORM_I64_US ? 1000 : 1;
    if (__builtin_mul_overflow(value, factor, out_ns))
        *out_ns = value < 0 ? INT64_MIN : INT64_MAX;
    return true;
}

/* Are all times in [min, max] outside [start, stop)? */
static bool is_outside(const struct af_pq_leaf *leaf, struct af_slice min, struct af_slice max, int64_t start_ns, int64_t stop_ns)
{
    int64_t low;
    int64_t high;
    if (!bound(leaf, min, &low) || !bound(leaf, max, &high) || low > high)
        return false;
    return high < start_ns || low >= stop_ns;
}

bool af_pq_is_pruned(const struct af_parquet *file, uint32_t row_group, uint32_t leaf, int64_t start_ns, int64_t stop_ns)
{
    const struct af_pq_chunk *chunk = &file->row_groups[row_group].chunks[leaf];
    return is_outside(&file->leaves[leaf], chunk->min, chunk->max, start_ns, stop_ns);
}

/* --- page index -------------------------------------------------------------------------------------------------------------- */

struct pages {
    uint32_t count;
    uint64_t *first_rows; /* count */
    bool *is_out;         /* count */
};

static bool parse_locations(struct af_slice bytes, uint64_t rows, struct af_arena *arena, struct pages *pages)
{
    struct af_thrift in = { .at = (const uint8_t *)bytes.ptr, .end = (const uint8_t *)bytes.ptr + bytes.len };
    struct af_thrift_field field = { 0 };
    while (af_thrift_next(&in, &field)) {
        if (field.id != 1 || pages->first_rows != NULL) {
            af_thrift_skip(&in, field.type);
            continue;
        }
        pages->count = af_thrift_list(&in, &field, AF_THRIFT_STRUCT);
        pages->first_rows = af_arena_zero(arena, pages->count, sizeof *pages->first_rows);
        if (pages->first_rows == NULL)
            return false;
        for (uint32_t i = 0; i < pages->count && in.fault == NULL; i++) {
            struct af_thrift_field inner = { 0 };
            int64_t row = -1;
            while (af_thrift_next(&in, &inner))
                if (inner.id == 3)
                    row = af_thrift_int(&in, &inner);
                else
                    af_thrift_skip(&in, inner.type);
            if (row < 0 || (uint64_t)row >= rows || (i == 0 ? row != 0 : (uint64_t)row <= pages->first_rows[i - 1]))
                af_thrift_fault(&in, "the first rows of pages do not ascend");
            pages->first_rows[i] = (uint64_t)row;
        }
    }
    return in.fault == NULL && pages->count != 0;
}

/* A list of the index: `count` booleans or binaries, else it is of no use. */
static bool parse_list(struct af_thrift *in, const struct af_thrift_field *field, struct af_slice *out, bool *out_flags, uint32_t count)
{
    if (af_thrift_list(in, field, out != NULL ? AF_THRIFT_BINARY : AF_THRIFT_TRUE) != count)
        return false;
    for (uint32_t i = 0; i < count && in->fault == NULL; i++)
        if (out != NULL)
            out[i] = af_thrift_element_binary(in);
        else
            out_flags[i] = af_thrift_element_bool(in);
    return in->fault == NULL;
}

static bool parse_bounds(struct af_slice bytes, const struct af_pq_leaf *leaf, int64_t start_ns, int64_t stop_ns, struct af_arena *arena,
                         struct pages *pages)
{
    struct af_thrift in = { .at = (const uint8_t *)bytes.ptr, .end = (const uint8_t *)bytes.ptr + bytes.len };
    struct af_thrift_field field = { 0 };
    struct af_slice *mins = af_arena_zero(arena, pages->count, sizeof *mins);
    struct af_slice *maxs = af_arena_zero(arena, pages->count, sizeof *maxs);
    pages->is_out = af_arena_zero(arena, pages->count, sizeof *pages->is_out);
    uint32_t seen = 0;
    if (mins == NULL || maxs == NULL || pages->is_out == NULL)
        return false;
    while (af_thrift_next(&in, &field)) {
        if (field.id < 1 || field.id > 3) {
            af_thrift_skip(&in, field.type);
            continue;
        }
        if (!parse_list(&in, &field, field.id == 1 ? NULL : field.id == 2 ? mins : maxs, pages->is_out, pages->count))
            return false;
        seen |= 1u << field.id;
    }
    if (in.fault != NULL || seen != (1u << 1 | 1u << 2 | 1u << 3))
        return false;
    for (uint32_t i = 0; i < pages->count; i++)
        pages->is_out[i] = pages->is_out[i] || is_outside(leaf, mins[i], maxs[i], start_ns, stop_ns);
    return true;
}

/* The bytes of an index; empty when it cannot be had. */
static struct af_slice read_index(const struct af_parquet *file, int64_t offset, int32_t len, struct af_arena *arena)
{
    const struct af_slice none = { 0 };
    if (offset < 4 || len <= 0 || (uint64_t)offset > file->data_end || (uint64_t)len > file->data_end - (uint64_t)offset)
        return none;
    if (file->reader->bytes != NULL)
        return af_slice_make(file->reader->bytes + offset, (size_t)len);
    uint8_t *bytes = af_arena_alloc(arena, (size_t)len);
    if (bytes == NULL || af_reader_read(file->reader, (uint64_t)offset, bytes, (size_t)len, NULL) != AF_OK)
        return none;
    return af_slice_make(bytes, (size_t)len);
}

static bool load_pages(const struct af_parquet *file, const struct af_pq_chunk *chunk, const struct af_pq_leaf *leaf, uint64_t rows,
                       int64_t start_ns, int64_t stop_ns, struct af_arena *arena, struct pages *pages)
{
    struct af_slice offsets = read_index(file, chunk->offset_index_offset, chunk->offset_index_bytes, arena);
    struct af_slice bounds = read_index(file, chunk->column_index_offset, chunk->column_index_bytes, arena);
    return offsets.len != 0 && bounds.len != 0 && parse_locations(offsets, rows, arena, pages) &&
           parse_bounds(bounds, leaf, start_ns, stop_ns, arena, pages);
}

enum af_status af_pq_prune(const struct af_parquet *file, uint32_t row_group, uint32_t leaf_index, int64_t start_ns, int64_t stop_ns,
                           struct af_arena *arena, struct af_pq_rows **out, size_t *out_count, struct af_error *err)
{
    const struct af_pq_row_group *group = &file->row_groups[row_group];
    const struct af_pq_leaf *leaf = &file->leaves[leaf_index];
    const struct af_pq_chunk *chunk = &group->chunks[leaf_index];
    struct pages pages = { 0 };
    size_t count = 0;
    if (!load_pages(file, chunk, leaf, group->rows, start_ns, stop_ns, arena, &pages))
        pages.count = 0;
    struct af_pq_rows *ranges = af_arena_zero(arena, (size_t)pages.count + 1, sizeof *ranges);
    if (ranges == NULL)
        return af_fail_nomem(err, "the page index");
    if (group->rows != 0 && pages.count == 0)
        ranges[count++] = (struct af_pq_rows){ 0, group->rows };
    for (uint32_t i = 0; i < pages.count; i++) {
        const uint64_t stop = i + 1 < pages.count ? pages.first_rows[i + 1] : group->rows;
        if (pages.is_out[i])
            continue;
        if (count != 0 && ranges[count - 1].stop == pages.first_rows[i])
            ranges[count - 1].stop = stop;
        else
            ranges[count++] = (struct af_pq_rows){ pages.first_rows[i], stop };
    }
    if (is_outside(leaf, chunk->min, chunk->max, start_ns, stop_ns))
        count = 0;
    *out = ranges;
    *out_count = count;
    return AF_OK;
}
