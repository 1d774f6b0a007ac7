/*
 * feed.c - the sources one after another, as items for the workers.
 *
 * A file that cannot be opened, a row group that cannot be decoded: an item with is_bad, and on with the next, unless the run is
 * strict. Every source ends with one item that has source_ends.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "ingest/ingest_int.h"
#include "ingest/source_int.h"
#include "os/file.h"
#include <assert.h>

enum { WINDOW_BYTES = 2 << 20 };

struct af_feed {
    const struct af_ingest_options *options;
    size_t index;                  /* of the current or next source */
    struct af_open_source *open;
    struct af_source_ahead ahead;
    uint32_t last_part;            /* UINT32_MAX: none yet of this source */
    bool any_item;                 /* of this source */
    /* line protocol */
    struct af_source_input input;
    char *window;
    size_t window_len, window_cap, window_at;
    bool input_ended;
    uint64_t lines_done;
    uint64_t bytes_read;
};

void af_open_source_unref(struct af_open_source *source)
{
    if (source == NULL || atomic_fetch_sub(&source->refs, 1) != 1)
        return;
    af_stream_close(source->stream);
    af_table_close(source->table);
    af_map_free(source->own_map);
    af_free(source);
}

/* --- which mapping ------------------------------------------------------------------------------------------------------- */

static enum af_status infer(const struct af_source *source, const struct af_schema *schema, struct af_map **out,
                            struct af_error *err)
{
    struct af_table *table = NULL;
    struct af_stream *stream = NULL;
    struct af_batch *sample = NULL;
    struct af_arena arena;
    af_arena_init(&arena, AF_BATCH_ARENA_BYTES_MAX);
    enum af_status status = af_table_open(source, &table, err);
    if (status == AF_OK)
        status = af_table_scan(table, NULL, 0, 0, &stream, err);
    if (status == AF_OK)
        status = af_stream_next(stream, &arena, &sample, err);
    if (status == AF_OK)
        status = af_map_infer(source->path, sample != NULL ? stream->schema : schema, sample, out, err);
    af_stream_close(stream);
    af_table_close(table);
    af_arena_done(&arena);
    return status;
}

static enum af_status choose_map(const struct af_ingest_options *options, const struct af_source *source,
                                 const struct af_schema *schema, struct af_map **out, struct af_error *err)
{
    enum af_status status = af_map_detect(source->path, schema, out, err);
    if (status == AF_ENOTFOUND && options->infer)
        status = infer(source, schema, out, err);
    AF_TRY(status);
    if (options->override == NULL)
        return AF_OK;
    status = af_map_override(*out, options->override, err);
    if (status != AF_OK) {
        af_map_free(*out);
        *out = NULL;
    }
    return status;
}

enum af_status af_ingest_map_for(const struct af_ingest_options *options, const struct af_source *source,
                                 struct af_map **out, struct af_error *err)
{
    struct af_table *table;
    enum af_status status = af_table_open(source, &table, err);
    if (status == AF_OK) {
        status = choose_map(options, source, af_table_schema(table), out, err);
        af_table_close(table);
    }
    if (status != AF_OK)
        af_error_prefix(err, "%s: ", source->path);
    return status;
}

/* --- opening ------------------------------------------------------------------------------------------------------------- */

static enum af_status open_scan(struct af_open_source *open, uint32_t part_first, struct af_error *err)
{
    struct af_arena arena;
    af_arena_init(&arena, 16 << 20);
    size_t *columns = NULL;
    size_t count = 0;
    enum af_status status = af_map_columns(open->map, af_table_schema(open->table), &arena, &columns, &count, err);
    if (status == AF_OK)
        status = af_table_scan(open->table, columns, count, part_first, &open->stream, err);
    af_arena_done(&arena);
    return status;
}

static enum af_status open_table(struct af_feed *feed, struct af_open_source *open, struct af_error *err)
{
    AF_TRY(af_table_open_from(open->source, af_source_ahead_take(&feed->ahead, feed->index), &open->table, err));
    struct af_parquet *parquet = af_table_parquet(open->table);
    if (parquet != NULL) {
        struct af_parquet_info info;
        af_parquet_info(parquet, &info);
        open->rows_all = info.rows;
    }
    open->map = feed->options->map;
    if (open->map == NULL) {
        AF_TRY(choose_map(feed->options, open->source, af_table_schema(open->table), &open->own_map, err));
        open->map = open->own_map;
    }
    bool resumes = feed->index == feed->options->resume_source;
    AF_TRY(open_scan(open, resumes && parquet != NULL ? feed->options->resume_part : 0, err));
    struct af_mapper *probe; /* says at once what columns are missing */
    AF_TRY(af_mapper_new(open->map, open->stream->schema, open->source->path, &probe, err));
    af_mapper_free(probe);
    return AF_OK;
}

static enum af_status open_lines(struct af_feed *feed, struct af_open_source *open, struct af_error *err)
{
    if (feed->window == NULL) {
        feed->window = af_alloc(WINDOW_BYTES);
        if (feed->window == NULL)
            return af_fail_nomem(err, "line protocol");
        feed->window_cap = WINDOW_BYTES;
    }
    feed->window_len = feed->window_at = 0;
    feed->input_ended = false;
    feed->lines_done = feed->bytes_read = 0;
    return af_source_input_open(open->source, af_source_ahead_take(&feed->ahead, feed->index), &feed->input, err);
}

static enum af_status open_next(struct af_feed *feed, struct af_error *err)
{
    const struct af_source *source = &feed->options->sources->items[feed->index];
    struct af_open_source *open = af_alloc_zero(1, sizeof *open);
    if (open == NULL)
        return af_fail_nomem(err, "a source");
    atomic_init(&open->refs, 1);
    af_source_ahead_look(&feed->ahead, feed->options->sources, feed->index);
    open->index = feed->index;
    open->source = source;
    enum af_status status = source->format == AF_SOURCE_LP ? open_lines(feed, open, err) : open_table(feed, open, err);
    if (status != AF_OK) {
        af_open_source_unref(open);
        return status;
    }
    feed->open = open;
    return AF_OK;
}

static void close_current(struct af_feed *feed)
{
    af_source_input_close(&feed->input);
    af_open_source_unref(feed->open);
    feed->open = NULL;
    feed->index++;
    feed->last_part = UINT32_MAX;
    feed->any_item = false;
}

/* --- items --------------------------------------------------------------------------------------------------------------- */

static void set_part(struct af_feed *feed, struct af_feed_item *item, uint32_t part)
{
    item->part = part;
    item->unit_begins = part != feed->last_part;
    feed->last_part = part;
}

static void end_source(struct af_feed *feed, struct af_feed_item *item)
{
    set_part(feed, item, feed->last_part != UINT32_MAX ? feed->last_part : 0);
    item->source_ends = true;
    item->bytes_done = feed->options->sources->items[feed->index].bytes;
    close_current(feed);
}

/* Is this failure about the file, so that the run can go on without it? A network that fails, or credentials that are not valid any more,
 * would make every object after this one bad. */
static bool is_about_the_file(const struct af_source *source, enum af_status status)
{
    if (source->s3 != NULL && (status == AF_EIO || status == AF_EBUSY || status == AF_EUNAUTH))
        return false;
    return status != AF_ENOMEM && status != AF_ECANCELED && status != AF_EBUG;
}

static enum af_status bad_source(struct af_feed *feed, struct af_feed_item *item, enum af_status status, struct af_error *err)
{
    const struct af_source *source = &feed->options->sources->items[feed->index];
    if (err != NULL && strstr(err->message, source->path) == NULL)
        af_error_prefix(err, "%s: ", source->path);
    if (feed->options->strict || !is_about_the_file(source, status))
        return status;
    item->is_bad = true;
    if (err != NULL)
        item->why = *err;
    return AF_OK;
}

/* A batch could not be had. Parquet goes on with the next row group, text ends here. */
static enum af_status lost_rows(struct af_feed *feed, struct af_feed_item *item, enum af_status status, struct af_error *err)
{
    AF_TRY(bad_source(feed, item, status, err));
    if (feed->open->table != NULL && af_table_parquet(feed->open->table) != NULL) {
        uint32_t row_group = 0;
        af_parquet_skip_row_group(feed->open->stream, &row_group, &item->rows_lost);
        set_part(feed, item, row_group);
        return AF_OK;
    }
    end_source(feed, item);
    return AF_OK;
}

static uint32_t part_of_row(uint64_t row)
{
    return (uint32_t)(row / AF_UNIT_ROWS);
}

static bool is_before_resume(const struct af_feed *feed, uint32_t part)
{
    return feed->index == feed->options->resume_source && part < feed->options->resume_part;
}

static enum af_status next_batch(struct af_feed *feed, struct af_arena *arena, struct af_feed_item *item, struct af_error *err)
{
    struct af_open_source *open = feed->open;
    bool is_parquet = af_table_parquet(open->table) != NULL;
    for (;;) {
        struct af_batch *batch = NULL;
        enum af_status status = af_stream_next(open->stream, arena, &batch, err);
        if (status != AF_OK)
            return lost_rows(feed, item, status, err);
        if (batch == NULL) {
            end_source(feed, item);
            return AF_OK;
        }
        uint32_t part = is_parquet ? batch->row_group : part_of_row(batch->first_row);
        if (!is_parquet && is_before_resume(feed, part)) {
            feed->last_part = part;
            af_arena_reset(arena);
            continue;
        }
        item->batch = batch;
        item->first_row = batch->first_row;
        uint64_t done = batch->first_row + batch->row_count;
        item->bytes_done = open->rows_all != 0
                               ? (uint64_t)((double)open->source->bytes * ((double)done / (double)open->rows_all))
                               : 0;
        set_part(feed, item, part);
        return AF_OK;
    }
}

/* --- line protocol: cut whole lines from a window ---------------------------------------------------------------------------- */

static enum af_status fill_window(struct af_feed *feed, struct af_error *err)
{
    if (feed->window_at != 0) {
        memmove(feed->window, feed->window + feed->window_at, feed->window_len - feed->window_at);
        feed->window_len -= feed->window_at;
        feed->window_at = 0;
    }
    if (feed->window_len + 1 == feed->window_cap) {
        if (feed->window_cap >= AF_LP_LINE_BYTES_MAX)
            return af_fail(err, AF_ELIMIT, "line %llu is longer than %d bytes", (unsigned long long)feed->lines_done + 1,
                           (int)AF_LP_LINE_BYTES_MAX);
        char *window = af_realloc(feed->window, feed->window_cap * 2);
        if (window == NULL)
            return af_fail_nomem(err, "line protocol");
        feed->window = window;
        feed->window_cap *= 2;
    }
    do { /* a pipe gives little at a time */
        size_t room = feed->window_cap - feed->window_len - 1;
        size_t got = 0;
        AF_TRY(af_source_input_read(&feed->input, feed->window + feed->window_len, room, &got, err));
        feed->window_len += got;
        feed->bytes_read += got;
        feed->input_ended = got == 0;
    } while (!feed->input_ended && feed->window_len + 1 < feed->window_cap && af_source_input_is_ready(&feed->input));
    return AF_OK;
}

struct stretch {
    size_t bytes;
    size_t newlines;  /* a quoted string may hold some */
    bool is_full;     /* no further line may join it */
};

static size_t count_newlines(struct af_slice text)
{
    size_t count = 0;
    const char *end = text.ptr + text.len;
    for (const char *p = text.ptr; p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        count++;
    return count;
}

/* Is the line that begins at `at` whole, though nothing follows it yet? Not if its last newline is inside a quoted string, which shows
 * when something follows. The window keeps a byte free for this. */
static bool ends_here(char *text, size_t len, size_t at)
{
    text[len] = 'x';
    return af_lp_line_end((struct af_slice){ text, len + 1 }, at) == len;
}

/* The longest run of whole lines in the window. A unit ends with the line that reaches its border, and a block with it: where a unit
 * begins must not depend on how the bytes came, or a resumed run could skip lines. */
static struct stretch whole_lines(const struct af_feed *feed)
{
    char *window = feed->window + feed->window_at;
    struct af_slice text = { window, feed->window_len - feed->window_at };
    uint64_t newlines_max = AF_UNIT_ROWS - feed->lines_done % AF_UNIT_ROWS;
    struct stretch s = { 0 };
    for (size_t count = 0; s.bytes < text.len && !s.is_full;) {
        size_t end = af_lp_line_end(text, s.bytes);
        if (end == text.len && !feed->input_ended && !ends_here(window, text.len, s.bytes))
            break;
        s.newlines += count_newlines((struct af_slice){ text.ptr + s.bytes, end - s.bytes });
        s.bytes = end;
        s.is_full = ++count == AF_BATCH_ROWS || s.newlines >= newlines_max || s.bytes >= WINDOW_BYTES / 2;
    }
    return s;
}

static enum af_status next_lines(struct af_feed *feed, struct af_arena *arena, struct af_feed_item *item, struct af_error *err)
{
    for (;;) {
        struct stretch s = whole_lines(feed);
        size_t bytes = s.bytes;
        if (bytes == 0 && feed->input_ended) {
            end_source(feed, item);
            return AF_OK;
        }
        bool waits = bytes != 0 && !af_source_input_is_ready(&feed->input); /* a slow writer: what it wrote goes on its way */
        if (!s.is_full && !feed->input_ended && !waits) {
            enum af_status status = fill_window(feed, err);
            if (status == AF_OK)
                continue;
            if (bytes == 0)
                return lost_rows(feed, item, status, err);
            /* the whole lines first; the next call meets the failure again */
        }
        const char *from = feed->window + feed->window_at;
        uint32_t part = part_of_row(feed->lines_done);
        uint64_t first = feed->lines_done;
        feed->window_at += bytes;
        feed->lines_done += s.newlines;
        if (is_before_resume(feed, part)) {
            feed->last_part = part;
            continue;
        }
        char *copy = af_arena_array(arena, bytes, 1);
        if (copy == NULL)
            return af_arena_fail(arena, bytes, "line protocol", err);
        memcpy(copy, from, bytes);
        item->lines = (struct af_slice){ copy, bytes };
        item->first_row = first;
        item->bytes_done = feed->bytes_read - (feed->window_len - feed->window_at);
        set_part(feed, item, part);
        return AF_OK;
    }
}

/* --- the feed ------------------------------------------------------------------------------------------------------------ */

enum af_status af_feed_new(const struct af_ingest_options *options, struct af_feed **out, struct af_error *err)
{
    struct af_feed *feed = af_alloc_zero(1, sizeof *feed);
    if (feed == NULL)
        return af_fail_nomem(err, "the sources");
    feed->options = options;
    feed->index = options->resume_source;
    feed->last_part = UINT32_MAX;
    *out = feed;
    return AF_OK;
}

void af_feed_free(struct af_feed *feed)
{
    if (feed == NULL)
        return;
    af_source_input_close(&feed->input);
    af_open_source_unref(feed->open);
    af_source_ahead_done(&feed->ahead);
    af_free(feed->window);
    af_free(feed);
}

enum af_status af_feed_next(struct af_feed *feed, struct af_arena *arena, struct af_feed_item *item, bool *out_end,
                            struct af_error *err)
{
    *item = (struct af_feed_item){ .index = feed->index };
    *out_end = feed->index == feed->options->sources->count;
    if (*out_end)
        return AF_OK;
    item->is_first = !feed->any_item;
    feed->any_item = true;
    if (feed->open == NULL) {
        enum af_status status = open_next(feed, err);
        if (status != AF_OK) {
            AF_TRY(bad_source(feed, item, status, err));
            end_source(feed, item);
            return AF_OK;
        }
    }
    struct af_open_source *open = feed->open;
    atomic_fetch_add(&open->refs, 1);
    enum af_status status = open->table != NULL ? next_batch(feed, arena, item, err) : next_lines(feed, arena, item, err);
    if (status != AF_OK) {
        af_open_source_unref(open);
        return status;
    }
    item->source = open;
    return AF_OK;
}
