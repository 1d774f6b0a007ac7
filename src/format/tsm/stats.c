/*
 * stats.c - reads a side file: three reads a key (directory, lengths of its group, record), the last two with a checksum that is bound
 * to its place. Nothing of the file stays in memory.
 */
#include "base/alloc.h"
#include "codec/bits.h"
#include "format/tsm/stats_int.h"

enum { HEAD_BYTES_MAX = 4 + AF_TSM_STATS_GROUP * 5 };
enum { DAY_MAX = 106752, DAYS_MAX = 2 * DAY_MAX }; /* int64 begins in day -DAY_MAX and ends in day DAY_MAX - 1 */

struct af_tsm_stats {
    struct af_reader *reader;
    struct af_reader memory; /* for af_tsm_stats_open */
    uint64_t directory_at;
    uint64_t key_count;
    uint64_t tsm_bytes;
    uint32_t index_crc;
};

/* --- opening --------------------------------------------------------------------------------------------------------------- */

static enum af_status damaged(const struct af_tsm_stats *stats, const char *what, uint64_t at, struct af_error *err)
{
    return af_fail(err, AF_ECORRUPT, "%s: %s is damaged, at offset %llu of %llu: delete the file, it will be built again",
                   stats->reader->name, what, (unsigned long long)at, (unsigned long long)stats->reader->size);
}

static enum af_status read_trailer(struct af_tsm_stats *stats, struct af_error *err)
{
    struct af_reader *reader = stats->reader;
    uint8_t magic[AF_TSM_STATS_MAGIC_BYTES];
    uint8_t tail[AF_TSM_STATS_TRAILER_BYTES];
    if (reader->size < sizeof magic + sizeof tail)
        return damaged(stats, "the side file (it is too short)", 0, err);
    AF_TRY(af_reader_read(reader, 0, magic, sizeof magic, err));
    if (memcmp(magic, AF_TSM_STATS_MAGIC, sizeof magic) != 0)
        return damaged(stats, "the side file's magic (or its version is not known)", 0, err);
    const uint64_t at = reader->size - sizeof tail;
    AF_TRY(af_reader_read(reader, at, tail, sizeof tail, err));
    if (af_tsm_stats_crc(0, tail, sizeof tail - 4) != af_be32(tail + sizeof tail - 4))
        return damaged(stats, "the side file's trailer", at, err);
    stats->tsm_bytes = af_be64(tail);
    stats->key_count = af_be64(tail + 8);
    stats->index_crc = af_be32(tail + 16);
    const uint64_t groups = stats->key_count / AF_TSM_STATS_GROUP + (stats->key_count % AF_TSM_STATS_GROUP != 0);
    if (groups >= at / 4 || at - (groups + 1) * 4 < sizeof magic)
        return damaged(stats, "the side file's directory (it is too short)", at, err);
    stats->directory_at = at - (groups + 1) * 4;
    return AF_OK;
}

static enum af_status finish_open(struct af_tsm_stats *stats, struct af_tsm_stats **out, struct af_error *err)
{
    enum af_status status = read_trailer(stats, err);
    if (status != AF_OK) {
        af_tsm_stats_close(stats);
        return status;
    }
    *out = stats;
    return AF_OK;
}

enum af_status af_tsm_stats_open_reader(struct af_reader *reader, struct af_tsm_stats **out, struct af_error *err)
{
    struct af_tsm_stats *stats = af_alloc_zero(1, sizeof *stats);
    if (stats == NULL) {
        af_reader_close(reader);
        return af_fail_nomem(err, "an open side file");
    }
    stats->reader = reader;
    return finish_open(stats, out, err);
}

enum af_status af_tsm_stats_open(struct af_slice bytes, const char *name, struct af_tsm_stats **out, struct af_error *err)
{
    struct af_tsm_stats *stats = af_alloc_zero(1, sizeof *stats);
    if (stats == NULL)
        return af_fail_nomem(err, "an open side file");
    af_reader_from_memory(&stats->memory, name, bytes.ptr, bytes.len);
    stats->reader = &stats->memory;
    return finish_open(stats, out, err);
}

void af_tsm_stats_close(struct af_tsm_stats *stats)
{
    if (stats == NULL)
        return;
    af_reader_close(stats->reader);
    af_free(stats);
}

void af_tsm_stats_of(const struct af_tsm_stats *stats, uint64_t *out_tsm_bytes, uint32_t *out_index_crc)
{
    *out_tsm_bytes = stats->tsm_bytes;
    *out_index_crc = stats->index_crc;
}

/* --- where a record is ------------------------------------------------------------------------------------------------------- */

/* Offset and length of a key's record; length 0: it has none. */
static enum af_status locate(const struct af_tsm_stats *stats, uint64_t key, uint64_t *out_at, uint64_t *out_len, struct af_error *err)
{
    const uint64_t group = key / AF_TSM_STATS_GROUP;
    const uint64_t left = stats->key_count - group * AF_TSM_STATS_GROUP;
    const size_t keys = left < AF_TSM_STATS_GROUP ? (size_t)left : AF_TSM_STATS_GROUP;
    uint8_t ends[8];
    uint8_t head[HEAD_BYTES_MAX];
    *out_len = 0;
    AF_TRY(af_reader_read(stats->reader, stats->directory_at + group * 4, ends, sizeof ends, err));
    const uint64_t from = af_be32(ends);
    const uint64_t to = af_be32(ends + 4);
    if (from < AF_TSM_STATS_MAGIC_BYTES || from > to || to > stats->directory_at)
        return damaged(stats, "the directory", stats->directory_at + group * 4, err);
    if (from == to)
        return AF_OK;
    const size_t head_len = to - from < sizeof head ? (size_t)(to - from) : sizeof head;
    AF_TRY(af_reader_read(stats->reader, from, head, head_len, err));
    const uint8_t *p = head + (head_len < 4 ? head_len : 4);
    uint64_t all = 0;
    uint64_t before = 0;
    for (size_t i = 0; i < keys; i++) {
        uint64_t len;
        if (!af_uvarint_read(&p, head + head_len, &len) || len > UINT32_MAX)
            return damaged(stats, "a group", from, err);
        before = i == key % AF_TSM_STATS_GROUP ? all : before;
        *out_len = i == key % AF_TSM_STATS_GROUP ? len : *out_len;
        all += len;
    }
    const size_t used = (size_t)(p - head);
    if (all != to - from - used || af_tsm_stats_crc(group, head + 4, used - 4) != af_be32(head))
        return damaged(stats, "a group", from, err);
    *out_at = from + used + before;
    return AF_OK;
}

static enum af_status read_record(const struct af_tsm_stats *stats, uint64_t key, struct af_arena *arena, struct af_slice *out,
                                  struct af_error *err)
{
    uint64_t at = 0;
    uint64_t len = 0;
    *out = (struct af_slice){ 0 };
    AF_TRY(locate(stats, key, &at, &len, err));
    if (len == 0)
        return AF_OK;
    uint8_t *bytes = af_arena_alloc(arena, (size_t)len); /* no more than the file has: locate checked */
    if (bytes == NULL)
        return af_arena_fail(arena, (size_t)len, "statistics of a TSM key", err);
    AF_TRY(af_reader_read(stats->reader, at, bytes, (size_t)len, err));
    if (len < 6 || af_tsm_stats_crc(key, bytes, (size_t)len - 4) != af_be32(bytes + len - 4))
        return damaged(stats, "a record", at, err);
    *out = af_slice_make(bytes, (size_t)len - 4);
    return AF_OK;
}

/* --- what it holds ----------------------------------------------------------------------------------------------------------- */

struct record {
    const uint8_t *at, *end;
    struct af_tsm_form form;
    bool has_days;
    size_t block_count, piece_count;
    uint64_t *per_block; /* pieces */
    uint64_t *column;    /* scratch */
    struct af_tsm_day *pieces;
};

static bool read_head(struct record *r)
{
    uint64_t blocks;
    const uint8_t head = *r->at++;
    r->has_days = (head & 8) != 0;
    r->form.scale = head >> 4;
    if (!af_tsm_type_of(head & 7, &r->form.type))
        return false;
    if (r->form.scale != AF_TSM_STATS_SCALE_BITS && r->form.scale > (r->form.type == AF_TYPE_F64 ? AF_TSM_STATS_SCALE_MAX : 0))
        return false;
    if (r->form.scale == AF_TSM_STATS_SCALE_BITS)
        r->form.shift = r->at < r->end ? *r->at++ : 64;
    if (r->form.shift > 62 || !af_uvarint_read(&r->at, r->end, &blocks) || blocks == 0 || blocks > AF_TSM_BLOCKS_MAX)
        return false;
    r->block_count = (size_t)blocks;
    return true;
}

static bool read_block_sizes(struct record *r)
{
    r->piece_count = r->block_count;
    if (!r->has_days) {
        for (size_t b = 0; b < r->block_count; b++)
            r->per_block[b] = 1;
        return true;
    }
    if (!af_tsm_column_get(&r->at, r->end, r->per_block, r->block_count))
        return false;
    r->piece_count = 0;
    for (size_t b = 0; b < r->block_count; b++) {
        if (r->per_block[b] == 0 || r->per_block[b] > AF_TSM_STATS_PIECES_MAX - r->piece_count)
            return false;
        r->piece_count += (size_t)r->per_block[b];
    }
    return true;
}

static bool read_days(struct record *r)
{
    uint64_t day;
    if (!r->has_days)
        return true;
    if (!af_uvarint_read(&r->at, r->end, &day) || !af_tsm_column_get(&r->at, r->end, r->column, r->piece_count))
        return false;
    day = af_tsm_unzigzag(day) + DAY_MAX; /* from the first day of int64 on */
    size_t i = 0;
    for (size_t b = 0; b < r->block_count; b++) {
        for (size_t n = 0; n < r->per_block[b]; n++, i++) {
            if (r->column[i] > DAYS_MAX || day + r->column[i] >= DAYS_MAX)
                return false;
            day += r->column[i];
            r->pieces[i].day = (int64_t)day - DAY_MAX;
            day += n + 1 < r->per_block[b];
        }
    }
    return true;
}

static bool read_counts(struct record *r)
{
    if (!af_tsm_column_get(&r->at, r->end, r->column, r->piece_count))
        return false;
    for (size_t i = 0; i < r->piece_count; i++) {
        if (r->column[i] == 0 || r->column[i] > UINT32_MAX)
            return false;
        r->pieces[i].stat.count = (uint32_t)r->column[i];
    }
    return true;
}

/* The reverse of fill_values in stats_write.c. Numbers stay in their form until all columns that need them are there. */
static void take_column(struct record *r, unsigned which)
{
    uint64_t before = 0;
    for (size_t i = 0; i < r->piece_count; i++) {
        struct af_tsm_stat *stat = &r->pieces[i].stat;
        const uint64_t v = r->column[i];
        const int64_t first = (int64_t)stat->first;
        const int64_t last = (int64_t)stat->last;
        switch (which) {
        case 0: stat->first = af_tsm_unzigzag(v); break; /* from the last one before, which column 1 gives */
        case 1:
            stat->first += before;
            stat->last = stat->first + af_tsm_unzigzag(v);
            before = stat->last;
            break;
        case 2: stat->min = (uint64_t)(first < last ? first : last) - v; break;
        case 3: stat->max = (uint64_t)(first > last ? first : last) + v; break;
        case 4: stat->sum = v; break; /* the rest beside the guess, until finish_values */
        default: break;
        }
    }
}

static void finish_values(struct record *r)
{
    const bool has_ulps = af_tsm_form_columns(&r->form) == AF_TSM_STATS_COLUMNS; /* the last column is still in `column` */
    for (size_t i = 0; i < r->piece_count; i++) {
        struct af_tsm_stat *stat = &r->pieces[i].stat;
        stat->min = af_tsm_form_out(&r->form, (int64_t)stat->min);
        stat->max = af_tsm_form_out(&r->form, (int64_t)stat->max);
        stat->first = af_tsm_form_out(&r->form, (int64_t)stat->first);
        stat->last = af_tsm_form_out(&r->form, (int64_t)stat->last);
        af_tsm_sum_out(&r->form, stat, stat->sum, has_ulps ? r->column[i] : 0);
    }
}

static void take_bools(struct record *r)
{
    for (size_t i = 0; i < r->piece_count; i++) {
        struct af_tsm_stat *stat = &r->pieces[i].stat;
        stat->min = r->column[i] & 1;
        stat->max = r->column[i] >> 1 & 1;
        stat->first = r->column[i] >> 2 & 1;
        stat->last = r->column[i] >> 3 & 1;
    }
}

static bool read_values(struct record *r)
{
    const unsigned columns = af_tsm_form_columns(&r->form);
    for (unsigned c = 0; c < columns; c++) {
        if (!af_tsm_column_get(&r->at, r->end, r->column, r->piece_count))
            return false;
        if (r->form.type == AF_TYPE_BOOL)
            take_bools(r);
        else
            take_column(r, c);
    }
    if (columns > 1)
        finish_values(r);
    return r->at == r->end;
}

/* --- blocks and days from pieces ----------------------------------------------------------------------------------------------- */

static void sum_blocks(const struct record *r, struct af_tsm_stat *blocks)
{
    size_t i = 0;
    for (size_t b = 0; b < r->block_count; b++) {
        blocks[b] = r->pieces[i++].stat;
        for (size_t n = 1; n < r->per_block[b]; n++)
            af_tsm_stat_add(r->form.type, &blocks[b], &r->pieces[i++].stat);
    }
}

/* In place: a day that several blocks share becomes one. */
static size_t sum_days(struct record *r)
{
    size_t days = 0;
    if (!r->has_days)
        return 0;
    for (size_t i = 0; i < r->piece_count; i++) {
        if (days != 0 && r->pieces[days - 1].day == r->pieces[i].day)
            af_tsm_stat_add(r->form.type, &r->pieces[days - 1].stat, &r->pieces[i].stat);
        else
            r->pieces[days++] = r->pieces[i];
    }
    return days;
}

/* Memory for what the record says it holds; both counts have limits of their own. */
static enum af_status room_for_pieces(struct record *r, struct af_arena *arena, struct af_error *err)
{
    r->pieces = af_arena_zero(arena, r->piece_count, sizeof *r->pieces);
    r->column = r->pieces != NULL ? af_arena_zero(arena, r->piece_count, sizeof *r->column) : NULL;
    return r->column != NULL ? AF_OK : af_arena_fail(arena, r->piece_count * sizeof *r->pieces, "statistics of a TSM key", err);
}

enum af_status af_tsm_stats_get(const struct af_tsm_stats *stats, uint64_t key, struct af_arena *arena, struct af_tsm_stat **out_blocks,
                                size_t *out_block_count, struct af_tsm_day **out_days, size_t *out_day_count, struct af_error *err)
{
    struct af_slice bytes;
    struct record r = { 0 };
    if (key >= stats->key_count)
        return af_fail(err, AF_EINVAL, "%s: there is no key number %llu among %llu", stats->reader->name, (unsigned long long)key,
                       (unsigned long long)stats->key_count);
    AF_TRY(read_record(stats, key, arena, &bytes, err));
    struct af_tsm_stat *blocks = NULL;
    if (bytes.len != 0) {
        r.at = (const uint8_t *)bytes.ptr;
        r.end = r.at + bytes.len;
        if (!read_head(&r))
            return damaged(stats, "a record (its beginning)", 0, err);
        r.per_block = af_arena_zero(arena, r.block_count, sizeof *r.per_block);
        blocks = r.per_block != NULL ? af_arena_zero(arena, r.block_count, sizeof *blocks) : NULL;
        if (blocks == NULL)
            return af_arena_fail(arena, r.block_count * sizeof *blocks, "statistics of a TSM key", err);
        if (!read_block_sizes(&r))
            return damaged(stats, "a record (its blocks)", 0, err);
        AF_TRY(room_for_pieces(&r, arena, err));
        if (!read_days(&r) || !read_counts(&r) || !read_values(&r))
            return damaged(stats, "a record (its columns)", 0, err);
        sum_blocks(&r, blocks);
    }
    *out_blocks = blocks;
    *out_block_count = r.block_count;
    *out_day_count = sum_days(&r);
    *out_days = *out_day_count != 0 ? r.pieces : NULL;
    return AF_OK;
}

/* --- building ------------------------------------------------------------------------------------------------------------------ */

enum { BUILD_ARENA_BYTES_MAX = 1 << 30 };

static enum af_status build_entry(struct af_tsm_file *file, const struct af_tsm_entry *entry, struct af_tsm_stats_writer *sw,
                                  struct af_arena *arena, struct af_error *err)
{
    AF_TRY(af_tsm_stats_writer_key(sw, entry->type, err));
    for (size_t b = 0; b < entry->block_count; b++) {
        struct af_tsm_values values;
        af_arena_reset(arena);
        AF_TRY(af_tsm_read_block(file, entry->type, &entry->blocks[b], arena, &values, err));
        AF_TRY(af_tsm_stats_writer_block(sw, &values, 0, values.count, err));
    }
    return AF_OK;
}

static enum af_status build_all(struct af_tsm_file *file, struct af_tsm_cursor *cursor, struct af_tsm_stats_writer *sw,
                                struct af_error *err)
{
    struct af_arena arena;
    struct af_tsm_entry entry = { 0 };
    enum af_status status;
    af_arena_init(&arena, BUILD_ARENA_BYTES_MAX);
    do {
        status = af_tsm_cursor_next(cursor, &entry, err);
        if (status == AF_OK && entry.key.ptr != NULL)
            status = build_entry(file, &entry, sw, &arena, err);
    } while (status == AF_OK && entry.key.ptr != NULL);
    af_arena_done(&arena);
    return status == AF_OK ? af_tsm_stats_writer_finish(sw, file->info.bytes, file->info.index_crc, err) : status;
}

enum af_status af_tsm_stats_build_to(struct af_tsm_file *file, af_tsm_emit emit, void *ctx, struct af_error *err)
{
    struct af_tsm_stats_writer *sw;
    struct af_tsm_cursor *cursor;
    AF_TRY(af_tsm_stats_writer_new(&sw, err));
    af_tsm_stats_writer_emit(sw, emit, ctx);
    enum af_status status = af_tsm_cursor_open(file, AF_SLICE_LIT(""), &cursor, err);
    if (status == AF_OK) {
        status = build_all(file, cursor, sw, err);
        af_tsm_cursor_close(cursor);
    }
    af_tsm_stats_writer_free(sw);
    return status;
}

static enum af_status append_to(void *ctx, struct af_slice bytes, struct af_error *err)
{
    af_buf_append_slice(ctx, bytes);
    return af_buf_check(ctx, "statistics of a TSM file", err);
}

enum af_status af_tsm_stats_build(struct af_tsm_file *file, struct af_buf *out, struct af_error *err)
{
    const size_t mark = out->len;
    enum af_status status = af_tsm_stats_build_to(file, append_to, out, err);
    if (status != AF_OK)
        af_buf_rewind(out, mark);
    return status;
}
