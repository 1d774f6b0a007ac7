/*
 * stats_write.c - builds a side file while the blocks of its TSM file go by: pieces of the current key in memory, then its record, then
 * the group of 16 records. What a record holds is told in stats_int.h and docs/formats/tsm.md.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "codec/bits.h"
#include "format/tsm/stats_int.h"

enum { EMIT_BYTES = 64 << 10 };

struct af_tsm_stats_writer {
    af_tsm_emit emit; /* NULL: `out` keeps all */
    void *ctx;
    struct af_buf out;
    uint64_t emitted;
    struct af_buf directory;
    struct af_buf records; /* of the group */
    size_t record_bytes[AF_TSM_STATS_GROUP];
    uint64_t key_count;    /* keys begun */
    enum af_type type;     /* of the current key */
    struct af_tsm_day *pieces;
    uint64_t *per_block;   /* pieces of each block */
    uint64_t *column;      /* scratch: COLUMNS numbers a piece */
    size_t piece_count, piece_cap;
    size_t block_count, block_cap;
    uint64_t points;
};

enum af_status af_tsm_stats_writer_new(struct af_tsm_stats_writer **out, struct af_error *err)
{
    struct af_tsm_stats_writer *sw = af_alloc_zero(1, sizeof *sw);
    if (sw == NULL)
        return af_fail_nomem(err, "statistics of a TSM file");
    af_buf_init(&sw->out, UINT32_MAX); /* the directory has 32 bits an offset */
    af_buf_init(&sw->directory, UINT32_MAX);
    af_buf_init(&sw->records, UINT32_MAX);
    af_buf_append(&sw->out, AF_TSM_STATS_MAGIC, AF_TSM_STATS_MAGIC_BYTES);
    enum af_status status = af_buf_check(&sw->out, "statistics of a TSM file", err);
    if (status != AF_OK) {
        af_tsm_stats_writer_free(sw);
        return status;
    }
    *out = sw;
    return AF_OK;
}

void af_tsm_stats_writer_free(struct af_tsm_stats_writer *sw)
{
    if (sw == NULL)
        return;
    af_buf_done(&sw->out);
    af_buf_done(&sw->directory);
    af_buf_done(&sw->records);
    af_free(sw->pieces);
    af_free(sw->per_block);
    af_free(sw->column);
    af_free(sw);
}

void af_tsm_stats_writer_emit(struct af_tsm_stats_writer *sw, af_tsm_emit emit, void *ctx)
{
    sw->emit = emit;
    sw->ctx = ctx;
}

struct af_slice af_tsm_stats_writer_bytes(const struct af_tsm_stats_writer *sw)
{
    return af_buf_slice(&sw->out);
}

/* --- pieces ---------------------------------------------------------------------------------------------------------------- */

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* Member by member: a struct built aside and copied costs three stalls of the store buffer, as much as 24 values. */
static void set(struct af_tsm_stat *out, size_t count, uint64_t sum, uint64_t min, uint64_t max)
{
    out->count = (uint32_t)count;
    out->sum = sum;
    out->min = min;
    out->max = max;
}

static void sum_f64(const double *v, size_t count, struct af_tsm_stat *out)
{
    double sum = v[0];
    double min = v[0];
    double max = v[0];
    for (size_t i = 1; i < count; i++) {
        sum += v[i];
        min = v[i] < min ? v[i] : min;
        max = v[i] > max ? v[i] : max;
    }
    set(out, count, bits_of(sum), bits_of(min), bits_of(max));
    out->first = bits_of(v[0]);
    out->last = bits_of(v[count - 1]);
}

static void sum_i64(const int64_t *v, size_t count, struct af_tsm_stat *out)
{
    uint64_t sum = (uint64_t)v[0];
    int64_t min = v[0];
    int64_t max = v[0];
    for (size_t i = 1; i < count; i++) {
        sum += (uint64_t)v[i];
        min = v[i] < min ? v[i] : min;
        max = v[i] > max ? v[i] : max;
    }
    set(out, count, sum, (uint64_t)min, (uint64_t)max);
    out->first = (uint64_t)v[0];
    out->last = (uint64_t)v[count - 1];
}

static void sum_u64(const uint64_t *v, size_t count, struct af_tsm_stat *out)
{
    uint64_t sum = v[0];
    uint64_t min = v[0];
    uint64_t max = v[0];
    for (size_t i = 1; i < count; i++) {
        sum += v[i];
        min = v[i] < min ? v[i] : min;
        max = v[i] > max ? v[i] : max;
    }
    set(out, count, sum, min, max);
    out->first = v[0];
    out->last = v[count - 1];
}

static void sum_bool(const uint64_t *bits, size_t first, size_t count, struct af_tsm_stat *out)
{
    size_t set = 0;
    for (size_t i = 0; i < count; i++)
        set += af_bit_get(bits, first + i);
    *out = (struct af_tsm_stat){ (uint32_t)count, 0, set == count, set != 0, af_bit_get(bits, first), af_bit_get(bits, first + count - 1) };
}

static void sum_rows(const struct af_column *col, size_t first, size_t count, struct af_tsm_stat *out)
{
    switch (col->type) {
    case AF_TYPE_F64: sum_f64(col->f64 + first, count, out); break;
    case AF_TYPE_I64: sum_i64(col->i64 + first, count, out); break;
    case AF_TYPE_U64: sum_u64(col->u64 + first, count, out); break;
    case AF_TYPE_BOOL: sum_bool(col->bits, first, count, out); break;
    default: *out = (struct af_tsm_stat){ .count = (uint32_t)count }; break;
    }
}

/* The last nanosecond of a day; the last day of int64 is not whole. */
static int64_t day_end(int64_t day)
{
    const __int128 end = ((__int128)day + 1) * AF_NS_PER_DAY - 1;
    return end > INT64_MAX ? INT64_MAX : (int64_t)end;
}

static enum af_status grow_pieces(struct af_tsm_stats_writer *sw, struct af_error *err)
{
    const size_t cap = sw->piece_cap < 64 ? 64 : sw->piece_cap * 2;
    struct af_tsm_day *pieces = af_realloc(sw->pieces, cap * sizeof *pieces);
    if (pieces != NULL)
        sw->pieces = pieces;
    uint64_t *column = pieces != NULL ? af_realloc(sw->column, cap * AF_TSM_STATS_COLUMNS * sizeof *column) : NULL;
    if (column == NULL)
        return af_fail_nomem(err, "statistics of a TSM key");
    sw->column = column;
    sw->piece_cap = cap;
    return AF_OK;
}

static enum af_status grow_blocks(struct af_tsm_stats_writer *sw, struct af_error *err)
{
    const size_t cap = sw->block_cap < 64 ? 64 : sw->block_cap * 2;
    uint64_t *per_block = af_realloc(sw->per_block, cap * sizeof *per_block);
    if (per_block == NULL)
        return af_fail_nomem(err, "statistics of a TSM key");
    sw->per_block = per_block;
    sw->block_cap = cap;
    return AF_OK;
}

enum af_status af_tsm_stats_writer_block(struct af_tsm_stats_writer *sw, const struct af_tsm_values *values, size_t first, size_t count,
                                         struct af_error *err)
{
    const size_t pieces_before = sw->piece_count;
    if (sw->block_count == sw->block_cap)
        AF_TRY(grow_blocks(sw, err));
    for (size_t at = first; at < first + count;) {
        const int64_t day = af_floor_div(values->time_ns[at], AF_NS_PER_DAY);
        const int64_t end_ns = day_end(day);
        size_t end = first + count;
        if (values->time_ns[end - 1] > end_ns)
            for (end = at + 1; values->time_ns[end] <= end_ns; end++)
                continue;
        if (sw->piece_count == sw->piece_cap)
            AF_TRY(grow_pieces(sw, err));
        struct af_tsm_day *piece = &sw->pieces[sw->piece_count++];
        piece->day = day;
        sum_rows(&values->values, at, end - at, &piece->stat);
        at = end;
    }
    sw->per_block[sw->block_count++] = sw->piece_count - pieces_before;
    sw->points += count;
    return AF_OK;
}

/* --- a record -------------------------------------------------------------------------------------------------------------- */

/* Whole blocks as the pieces. */
static void join_pieces(struct af_tsm_stats_writer *sw)
{
    size_t from = 0;
    for (size_t b = 0; b < sw->block_count; b++) {
        struct af_tsm_day whole = sw->pieces[from];
        for (size_t i = 1; i < sw->per_block[b]; i++)
            af_tsm_stat_add(sw->type, &whole.stat, &sw->pieces[from + i].stat);
        from += (size_t)sw->per_block[b];
        sw->pieces[b] = whole;
    }
    sw->piece_count = sw->block_count;
}

/* Pieces a block, and how far each day is from what is usual: the next one within a block, the same at its start. */
static void put_days(struct af_tsm_stats_writer *sw)
{
    struct af_buf *out = &sw->records;
    af_tsm_column_put(out, sw->per_block, sw->block_count);
    af_uvarint_append(out, af_tsm_zigzag((uint64_t)sw->pieces[0].day));
    int64_t expected = sw->pieces[0].day;
    size_t i = 0;
    for (size_t b = 0; b < sw->block_count; b++) {
        for (size_t n = 0; n < sw->per_block[b]; n++, i++) {
            sw->column[i] = (uint64_t)(sw->pieces[i].day - expected);
            expected = sw->pieces[i].day + (n + 1 < sw->per_block[b]);
        }
    }
    af_tsm_column_put(out, sw->column, sw->piece_count);
}

/* The value columns, one behind the other in `column`, `cap` numbers each. */
static void fill_values(const struct af_tsm_form *form, const struct af_tsm_day *pieces, size_t count, uint64_t *column, size_t cap)
{
    uint64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        const struct af_tsm_stat *stat = &pieces[i].stat;
        const int64_t first = af_tsm_form_in(form, stat->first);
        const int64_t last = af_tsm_form_in(form, stat->last);
        column[i] = af_tsm_zigzag((uint64_t)first - before);
        column[cap + i] = af_tsm_zigzag((uint64_t)last - (uint64_t)first);
        column[2 * cap + i] = (uint64_t)(first < last ? first : last) - (uint64_t)af_tsm_form_in(form, stat->min);
        column[3 * cap + i] = (uint64_t)af_tsm_form_in(form, stat->max) - (uint64_t)(first > last ? first : last);
        af_tsm_sum_in(form, stat, &column[4 * cap + i], &column[5 * cap + i]);
        before = (uint64_t)last;
    }
}

static void fill_bools(const struct af_tsm_day *pieces, size_t count, uint64_t *column)
{
    for (size_t i = 0; i < count; i++) {
        const struct af_tsm_stat *stat = &pieces[i].stat;
        column[i] = stat->min | stat->max << 1 | stat->first << 2 | stat->last << 3;
    }
}

static void put_record(struct af_tsm_stats_writer *sw, bool has_days)
{
    struct af_buf *out = &sw->records;
    const struct af_tsm_form form = af_tsm_form_choose(sw->type, sw->pieces, sw->piece_count);
    const unsigned columns = af_tsm_form_columns(&form);
    af_buf_append_char(out, (char)(af_tsm_type_code(sw->type) | (has_days ? 8 : 0) | (int)form.scale << 4));
    if (form.scale == AF_TSM_STATS_SCALE_BITS)
        af_buf_append_char(out, (char)form.shift);
    af_uvarint_append(out, sw->block_count);
    if (has_days)
        put_days(sw);
    for (size_t i = 0; i < sw->piece_count; i++)
        sw->column[i] = sw->pieces[i].stat.count;
    af_tsm_column_put(out, sw->column, sw->piece_count);
    if (columns == 1)
        fill_bools(sw->pieces, sw->piece_count, sw->column);
    else if (columns != 0)
        fill_values(&form, sw->pieces, sw->piece_count, sw->column, sw->piece_cap);
    for (unsigned c = 0; c < columns; c++)
        af_tsm_column_put(out, sw->column + c * sw->piece_cap, sw->piece_count);
}

/* --- groups ---------------------------------------------------------------------------------------------------------------- */

static enum af_status emit_full(struct af_tsm_stats_writer *sw, size_t from, struct af_error *err)
{
    AF_TRY(af_buf_check(&sw->out, "statistics of a TSM file", err));
    if (sw->emit == NULL || sw->out.len < from)
        return AF_OK;
    AF_TRY(sw->emit(sw->ctx, af_buf_slice(&sw->out), err));
    sw->emitted += sw->out.len;
    af_buf_clear(&sw->out);
    return AF_OK;
}

/* The group of the keys up to key_count, if it has any record. */
static enum af_status end_group(struct af_tsm_stats_writer *sw, struct af_error *err)
{
    uint8_t word[4];
    const uint64_t at = sw->emitted + sw->out.len;
    const uint64_t group = (sw->key_count - 1) / AF_TSM_STATS_GROUP;
    const size_t keys = (size_t)(sw->key_count - group * AF_TSM_STATS_GROUP);
    if (at + sw->records.len > UINT32_MAX - 4096)
        return af_fail(err, AF_ELIMIT, "statistics of a TSM file: more than 4 GiB");
    af_be32_put(word, (uint32_t)at);
    af_buf_append(&sw->directory, word, sizeof word);
    if (sw->records.len != 0) {
        const size_t mark = sw->out.len;
        af_buf_append(&sw->out, "\0\0\0\0", 4);
        for (size_t i = 0; i < keys; i++)
            af_uvarint_append(&sw->out, sw->record_bytes[i]);
        AF_TRY(af_buf_check(&sw->out, "statistics of a TSM file", err));
        uint8_t *head = (uint8_t *)sw->out.ptr + mark;
        af_be32_put(head, af_tsm_stats_crc(group, head + 4, sw->out.len - mark - 4));
        af_buf_append_slice(&sw->out, af_buf_slice(&sw->records));
        af_buf_clear(&sw->records);
    }
    return emit_full(sw, EMIT_BYTES, err);
}

static enum af_status end_key(struct af_tsm_stats_writer *sw, struct af_error *err)
{
    if (sw->key_count == 0)
        return AF_OK;
    const uint64_t key = sw->key_count - 1;
    const size_t mark = sw->records.len;
    const bool is_kept = sw->points >= AF_TSM_STATS_BLOCK_POINTS_MIN * (uint64_t)sw->block_count && sw->points <= UINT32_MAX &&
                         sw->piece_count <= AF_TSM_STATS_PIECES_MAX && sw->block_count != 0;
    if (is_kept) {
        const bool has_days = sw->points >= AF_TSM_STATS_DAY_POINTS_MIN * (uint64_t)sw->piece_count;
        uint8_t crc[4];
        if (!has_days)
            join_pieces(sw);
        put_record(sw, has_days);
        AF_TRY(af_buf_check(&sw->records, "statistics of a TSM key", err));
        af_be32_put(crc, af_tsm_stats_crc(key, sw->records.ptr + mark, sw->records.len - mark));
        af_buf_append(&sw->records, crc, sizeof crc);
    }
    AF_TRY(af_buf_check(&sw->records, "statistics of a TSM key", err));
    sw->record_bytes[key % AF_TSM_STATS_GROUP] = sw->records.len - mark;
    sw->piece_count = sw->block_count = 0;
    sw->points = 0;
    return sw->key_count % AF_TSM_STATS_GROUP == 0 ? end_group(sw, err) : AF_OK;
}

enum af_status af_tsm_stats_writer_key(struct af_tsm_stats_writer *sw, enum af_type type, struct af_error *err)
{
    AF_TRY(end_key(sw, err));
    sw->type = type;
    sw->key_count++;
    return AF_OK;
}

enum af_status af_tsm_stats_writer_finish(struct af_tsm_stats_writer *sw, uint64_t tsm_bytes, uint32_t index_crc, struct af_error *err)
{
    uint8_t tail[4 + AF_TSM_STATS_TRAILER_BYTES];
    AF_TRY(end_key(sw, err));
    if (sw->key_count % AF_TSM_STATS_GROUP != 0)
        AF_TRY(end_group(sw, err));
    af_be32_put(tail, (uint32_t)(sw->emitted + sw->out.len)); /* where the directory begins: the end of the last group */
    af_be64_put(tail + 4, tsm_bytes);
    af_be64_put(tail + 12, sw->key_count);
    af_be32_put(tail + 20, index_crc);
    af_be32_put(tail + 24, af_tsm_stats_crc(0, tail + 4, AF_TSM_STATS_TRAILER_BYTES - 4));
    af_buf_append_slice(&sw->out, af_buf_slice(&sw->directory));
    AF_TRY(af_buf_check(&sw->directory, "statistics of a TSM file", err));
    af_buf_append(&sw->out, tail, sizeof tail);
    return emit_full(sw, 0, err);
}
