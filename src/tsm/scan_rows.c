/*
 * scan_rows.c - columns of values, each with times of its own, put side by side as rows.
 *
 *     lane of "power"   10 20 30 40 50 60 70      the next run: both begin at 10 and agree up to 40, so four rows are
 *     lane of "status"  10 20 30 40 55            copied at once; then 50 alone, then 55 alone ...
 *
 * A run is as long as the same lanes go on with the same times and no other lane comes between. Where all fields of a series were written
 * together, which is the rule, a run is a whole stretch of blocks, and what is left to do is one memcpy a column.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "tsm/scan_int.h"

enum { CELL_BYTES_MAX = 64 << 20, ROWS_MIN = 64 };

enum af_status scan_rows_init(struct scan_rows *rows, const struct af_schema *schema, struct af_error *err)
{
    *rows = (struct scan_rows){ .schema = schema, .column_count = schema->field_count - 2 };
    rows->rows_max = CELL_BYTES_MAX / (sizeof(uint64_t) * schema->field_count);
    rows->rows_max = rows->rows_max > AF_BATCH_ROWS ? AF_BATCH_ROWS : rows->rows_max < ROWS_MIN ? ROWS_MIN : rows->rows_max;
    rows->texts = af_alloc_zero(rows->column_count, sizeof *rows->texts);
    rows->keys = af_alloc(rows->rows_max * sizeof *rows->keys);
    for (size_t i = 0; rows->texts != NULL && i < rows->column_count; i++)
        af_buf_init(&rows->texts[i].bytes, INT32_MAX);
    if (rows->texts != NULL && rows->keys != NULL)
        return AF_OK;
    scan_rows_done(rows);
    return af_fail_nomem(err, "the rows of a scan");
}

void scan_rows_done(struct scan_rows *rows)
{
    for (size_t i = 0; rows->texts != NULL && i < rows->column_count; i++)
        af_buf_done(&rows->texts[i].bytes);
    af_free(rows->texts);
    af_free(rows->keys);
    *rows = (struct scan_rows){ 0 };
}

static enum af_status begin_column(struct scan_rows *rows, size_t i, struct af_error *err)
{
    struct af_column *column = &rows->columns[i + 2];
    column->type = rows->schema->fields[i + 2].type;
    if (column->type == AF_TYPE_STRING) {
        af_buf_clear(&rows->texts[i].bytes);
        rows->texts[i].offsets = af_arena_array(rows->arena, rows->rows_max + 1, sizeof(int32_t));
        column->offsets = rows->texts[i].offsets;
    } else if (column->type == AF_TYPE_BOOL) {
        column->bits = af_bits_new(rows->arena, rows->rows_max, false);
    } else {
        column->values = af_arena_array(rows->arena, rows->rows_max, sizeof(uint64_t));
    }
    if (column->values == NULL && column->offsets == NULL)
        return af_arena_fail(rows->arena, rows->rows_max * 8, "the rows of a scan", err);
    if (column->type == AF_TYPE_STRING)
        rows->texts[i].offsets[0] = 0;
    return AF_OK;
}

enum af_status scan_rows_begin(struct scan_rows *rows, struct af_arena *arena, struct af_error *err)
{
    rows->arena = arena;
    rows->count = rows->text_bytes = rows->key_bytes = 0;
    rows->key_count = 0;
    rows->columns = af_arena_zero(arena, rows->schema->field_count, sizeof *rows->columns);
    rows->codes = af_arena_array(arena, rows->rows_max, sizeof *rows->codes);
    rows->time_ns = af_arena_array(arena, rows->rows_max, sizeof *rows->time_ns);
    if (rows->columns == NULL || rows->codes == NULL || rows->time_ns == NULL)
        return af_arena_fail(arena, rows->rows_max * 8, "the rows of a scan", err);
    for (size_t i = 0; i < rows->column_count; i++)
        AF_TRY(begin_column(rows, i, err));
    return AF_OK;
}

void scan_rows_series(struct scan_rows *rows, uint32_t id, struct af_slice key)
{
    if (rows->key_count > 0 && rows->keys[rows->key_count - 1] == id)
        return;
    rows->keys[rows->key_count++] = id;
    rows->key_bytes += key.len;
}

bool scan_rows_is_full(const struct scan_rows *rows)
{
    return rows->count >= rows->rows_max || rows->text_bytes >= AF_BATCH_TEXT_BYTES_MAX || rows->key_bytes >= AF_BATCH_TEXT_BYTES_MAX;
}

/* --- how long is the run ---------------------------------------------------------------------------------------------------------- */

static inline const int64_t *times_of(const struct scan_lane *lane)
{
    return lane->values.time_ns + lane->at;
}
static inline size_t left_in(const struct scan_lane *lane)
{
    return lane->values.count - lane->at;
}

/* How many of `count` times are equal. */
static size_t equal_times(const int64_t *a, const int64_t *b, size_t count)
{
    size_t i = 0;
    if (a == b || memcmp(a, b, count * sizeof *a) == 0)
        return count;
    while (i < count && a[i] == b[i])
        i++;
    return i;
}

/* How many of `count` ascending times are below `limit`. */
static size_t times_below(const int64_t *times, size_t count, int64_t limit)
{
    if (count == 0 || times[count - 1] < limit)
        return count;
    size_t low = 0;
    while (low < count) {
        size_t mid = low + (count - low) / 2;
        if (times[mid] < limit)
            low = mid + 1;
        else
            count = mid;
    }
    return low;
}

static int64_t lowest_time(const struct scan_lane *lanes, size_t lane_count)
{
    int64_t low = *times_of(&lanes[0]);
    for (size_t i = 1; i < lane_count; i++)
        if (*times_of(&lanes[i]) < low)
            low = *times_of(&lanes[i]);
    return low;
}

/* Rows of the run that begins at `low`; at most `count`. */
static size_t run_of(const struct scan_lane *lanes, size_t lane_count, int64_t low, size_t count)
{
    const int64_t *times = NULL;
    for (size_t i = 0; i < lane_count; i++) {
        if (*times_of(&lanes[i]) != low)
            continue;
        count = left_in(&lanes[i]) < count ? left_in(&lanes[i]) : count;
        if (times == NULL)
            times = times_of(&lanes[i]);
        else
            count = equal_times(times, times_of(&lanes[i]), count);
    }
    for (size_t i = 0; i < lane_count; i++)
        if (*times_of(&lanes[i]) != low)
            count = times_below(times, count, *times_of(&lanes[i]));
    return count;
}

/* Bytes of text that `count` rows of the run bring. */
static size_t text_of(const struct scan_lane *lanes, size_t lane_count, int64_t low, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < lane_count; i++) {
        const struct scan_lane *lane = &lanes[i];
        if (lane->values.values.type == AF_TYPE_STRING && *times_of(lane) == low)
            bytes += (size_t)(lane->values.values.offsets[lane->at + count] - lane->values.values.offsets[lane->at]);
    }
    return bytes;
}

/* A batch's text is bounded: rows of the run that fit, at least one. */
static size_t fit_text(const struct scan_rows *rows, const struct scan_lane *lanes, size_t lane_count, int64_t low, size_t count)
{
    while (count > 1 && text_of(lanes, lane_count, low, count) > AF_BATCH_TEXT_BYTES_MAX - rows->text_bytes)
        count /= 2;
    return count;
}

/* --- copying ---------------------------------------------------------------------------------------------------------------------- */

/* `count` <= 64 bits from `at` on; no word is read that has none of them. */
static uint64_t bits_at(const uint64_t *src, size_t at, size_t count)
{
    unsigned shift = at % 64;
    uint64_t word = src[at / 64] >> shift;
    if (shift != 0 && shift + count > 64)
        word |= src[at / 64 + 1] << (64 - shift);
    return count < 64 ? word & ((UINT64_C(1) << count) - 1) : word;
}

/* OR `count` bits in; those places are 0 before. */
void scan_copy_bits(uint64_t *dst, size_t dst_at, const uint64_t *src, size_t src_at, size_t count)
{
    while (count > 0) {
        unsigned shift = dst_at % 64;
        size_t n = 64 - shift < count ? 64 - shift : count;
        dst[dst_at / 64] |= bits_at(src, src_at, n) << shift;
        dst_at += n;
        src_at += n;
        count -= n;
    }
}

static void set_bits(uint64_t *bits, size_t at, size_t count)
{
    static const uint64_t ones[1] = { UINT64_MAX };
    for (size_t i = 0; i < count; i += 64 - (at + i) % 64) {
        size_t room = 64 - (at + i) % 64;
        scan_copy_bits(bits, at + i, ones, 0, count - i < room ? count - i : room);
    }
}

static enum af_status copy_text(struct scan_rows *rows, size_t i, const struct scan_lane *lane, size_t count, struct af_error *err)
{
    struct scan_text *text = &rows->texts[i];
    const int32_t *from = lane->values.values.offsets + lane->at;
    size_t bytes = (size_t)(from[count] - from[0]);
    int32_t shift = (int32_t)text->bytes.len - from[0];
    if (bytes != 0)
        af_buf_append(&text->bytes, lane->values.values.bytes + from[0], bytes);
    AF_TRY(af_buf_check(&text->bytes, "the strings of a scan", err));
    for (size_t row = 1; row <= count; row++)
        text->offsets[rows->count + row] = from[row] + shift;
    rows->text_bytes += bytes;
    return AF_OK;
}

static enum af_status copy_values(struct scan_rows *rows, const struct scan_lane *lane, size_t count, struct af_error *err)
{
    struct af_column *column = &rows->columns[lane->column + 2];
    const struct af_column *from = &lane->values.values;
    if (column->validity != NULL)
        set_bits((uint64_t *)(uintptr_t)column->validity, rows->count, count);
    if (column->type == AF_TYPE_STRING)
        return copy_text(rows, lane->column, lane, count, err);
    if (column->type == AF_TYPE_BOOL)
        scan_copy_bits((uint64_t *)(uintptr_t)column->bits, rows->count, from->bits, lane->at, count);
    else
        memcpy((uint64_t *)(uintptr_t)column->u64 + rows->count, from->u64 + lane->at, count * sizeof *from->u64);
    return AF_OK;
}

/* The column has nothing in these rows. */
static enum af_status add_nulls(struct scan_rows *rows, size_t i, size_t count, struct af_error *err)
{
    struct af_column *column = &rows->columns[i + 2];
    if (column->validity == NULL) {
        uint64_t *bits = af_bits_new(rows->arena, rows->rows_max, false);
        if (bits == NULL)
            return af_arena_fail(rows->arena, rows->rows_max / 8, "the rows of a scan", err);
        set_bits(bits, 0, rows->count);
        column->validity = bits;
    }
    column->null_count += count;
    if (column->type == AF_TYPE_STRING)
        for (size_t row = rows->count + 1; row <= rows->count + count; row++)
            rows->texts[i].offsets[row] = rows->texts[i].offsets[rows->count];
    else if (column->type != AF_TYPE_BOOL)
        memset((uint64_t *)(uintptr_t)column->u64 + rows->count, 0, count * sizeof *column->u64);
    return AF_OK;
}

enum af_status scan_rows_take(struct scan_rows *rows, struct scan_lane *lanes, size_t lane_count, struct af_error *err)
{
    int64_t low = lowest_time(lanes, lane_count);
    size_t count = run_of(lanes, lane_count, low, rows->rows_max - rows->count);
    count = fit_text(rows, lanes, lane_count, low, count);
    size_t column = 0;
    const int64_t *times = NULL;
    for (size_t i = 0; i < lane_count; i++) { /* lanes are in order of column */
        if (*times_of(&lanes[i]) != low)
            continue;
        times = times_of(&lanes[i]);
        for (; column < lanes[i].column; column++)
            AF_TRY(add_nulls(rows, column, count, err));
        AF_TRY(copy_values(rows, &lanes[i], count, err));
        column++;
    }
    for (; column < rows->column_count; column++)
        AF_TRY(add_nulls(rows, column, count, err));
    memcpy(rows->time_ns + rows->count, times, count * sizeof *times);
    for (size_t row = 0; row < count; row++)
        rows->codes[rows->count + row] = rows->key_count - 1;
    for (size_t i = 0; i < lane_count; i++)
        if (*times_of(&lanes[i]) == low)
            lanes[i].at += count;
    rows->count += count;
    return AF_OK;
}

/* --- the batch ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status finish_series(struct scan_rows *rows, struct af_index *index, struct af_error *err)
{
    int32_t *offsets = af_arena_array(rows->arena, rows->key_count + 1, sizeof *offsets);
    char *bytes = af_arena_array(rows->arena, rows->key_bytes, 1);
    struct af_dict *dict;
    if (offsets == NULL || bytes == NULL)
        return af_arena_fail(rows->arena, rows->key_bytes, "the series of a batch", err);
    int32_t at = 0;
    for (uint32_t i = 0; i < rows->key_count; i++) {
        struct af_slice key = af_index_key(index, rows->keys[i]);
        offsets[i] = at;
        memcpy(bytes + at, key.ptr, key.len);
        at += (int32_t)key.len;
    }
    offsets[rows->key_count] = at;
    AF_TRY(af_dict_new(offsets, bytes, rows->key_count, &dict, err));
    enum af_status status = af_dict_hold(dict, rows->arena, err);
    af_dict_unref(dict);
    rows->columns[0] = (struct af_column){ .type = AF_TYPE_STRING, .codes = rows->codes, .dict = dict };
    return status;
}

static enum af_status finish_texts(struct scan_rows *rows, struct af_error *err)
{
    for (size_t i = 0; i < rows->column_count; i++) {
        struct af_column *column = &rows->columns[i + 2];
        if (column->type != AF_TYPE_STRING)
            continue;
        const struct af_buf *text = &rows->texts[i].bytes;
        char *bytes = af_arena_array(rows->arena, text->len, 1);
        if (bytes == NULL)
            return af_arena_fail(rows->arena, text->len, "the strings of a scan", err);
        if (text->len != 0)
            memcpy(bytes, text->ptr, text->len);
        column->bytes = bytes;
    }
    return AF_OK;
}

struct af_schema *scan_copy_schema(const struct af_schema *from, struct af_arena *arena)
{
    struct af_schema *schema = af_arena_zero(arena, 1, sizeof *schema);
    struct af_field *fields = af_arena_zero(arena, from->field_count, sizeof *fields);
    if (schema == NULL || fields == NULL)
        return NULL;
    for (size_t i = 0; i < from->field_count; i++) {
        fields[i] = from->fields[i];
        fields[i].name = af_arena_copy(arena, af_slice_of(from->fields[i].name));
        if (fields[i].name == NULL)
            return NULL;
    }
    *schema = (struct af_schema){ from->field_count, fields };
    return schema;
}

enum af_status scan_rows_finish(struct scan_rows *rows, struct af_index *index, struct af_batch **out, struct af_error *err)
{
    *out = NULL;
    if (rows->count == 0)
        return AF_OK;
    struct af_batch *batch = af_arena_zero(rows->arena, 1, sizeof *batch);
    struct af_schema *schema = scan_copy_schema(rows->schema, rows->arena);
    if (batch == NULL || schema == NULL)
        return af_arena_fail(rows->arena, sizeof *batch, "a batch", err);
    AF_TRY(finish_series(rows, index, err));
    AF_TRY(finish_texts(rows, err));
    rows->columns[1] = (struct af_column){ .type = AF_TYPE_TIME, .i64 = rows->time_ns };
    *batch = (struct af_batch){ .schema = schema, .row_count = rows->count, .columns = rows->columns };
    *out = batch;
    return AF_OK;
}
