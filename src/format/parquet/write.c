/*
 * write.c - the writing half of parquet.h: when a page is full, when a row group is, and what goes to `emit` in which order.
 *
 *     "PAR1" { for each row group, for each column: dictionary page, data pages }
 *     column indexes, offset indexes, footer, u32 length of the footer, "PAR1"
 *
 * A failure between the first and the last column of a step leaves them out of step, so the writer refuses all further calls then;
 * what was emitted is no Parquet file without its footer. A batch refused as wrong (AF_EINVAL) leaves the writer usable.
 */
#include "base/alloc.h"
#include "format/parquet/write_int.h"

#define CREATED_BY "afluxo version 0.1.0 (build c17)"

enum { PAGE_ROWS = 20000, GROUP_ROWS = 1 << 20 };
static const size_t BYTES_MAX = (size_t)1 << 40; /* of a buffer: rows, not bytes, bound what is kept */

/* --- making -------------------------------------------------------------------------------------------------------------- */

static enum af_pw_physical physical_of(enum af_type type, enum af_parquet_time_form form)
{
    switch (type) {
    case AF_TYPE_BOOL: return AF_PW_BOOLEAN;
    case AF_TYPE_NULL:
    case AF_TYPE_DATE: return AF_PW_INT32;
    case AF_TYPE_TIME: return form == AF_PARQUET_TIME_INT96 ? AF_PW_INT96 : AF_PW_INT64;
    case AF_TYPE_F64: return AF_PW_DOUBLE;
    case AF_TYPE_DECIMAL: return AF_PW_FIXED;
    case AF_TYPE_STRING:
    case AF_TYPE_BYTES:
    case AF_TYPE_JSON: return AF_PW_BYTE_ARRAY;
    default: return AF_PW_INT64;
    }
}

static void open_chunk(const struct af_parquet_writer *w, struct af_pw_column *c)
{
    const bool can_have_dict = c->field.type != AF_TYPE_BOOL && c->field.type != AF_TYPE_NULL;
    af_pw_dict_reset(&c->dict, can_have_dict && !w->options.no_dictionary);
    af_buf_clear(&c->pages);
    af_buf_clear(&c->page_list);
    c->bounds = (struct af_pw_bounds){ 0 };
    c->is_bounded = true;
    c->nulls = c->values = c->raw_bytes = 0;
    memset(c->pages_of, 0, sizeof c->pages_of);
}

static enum af_status add_column(struct af_parquet_writer *w, const struct af_field *field, struct af_error *err)
{
    struct af_pw_column *c = &w->columns[w->column_count];
    if (field->type == AF_TYPE_NULL && !field->is_nullable)
        return af_fail(err, AF_EINVAL, "column %s of type null must be nullable", field->name);
    if (field->type == AF_TYPE_DECIMAL && field->scale > AF_PW_DECIMAL_PRECISION)
        return af_fail(err, AF_EINVAL, "column %s: %u digits after the point; Parquet decimals have at most %d", field->name,
                       field->scale, AF_PW_DECIMAL_PRECISION);
    c->field = *field;
    c->field.source_type = NULL;
    c->field.name = af_arena_copy(&w->arena, af_slice_of(field->name));
    if (c->field.name == NULL)
        return af_fail_nomem(err, "Parquet writer");
    c->physical = physical_of(field->type, w->options.time_form);
    af_intern_init(&c->dict.set);
    af_buf_init(&c->text, BYTES_MAX);
    af_buf_init(&c->pages, BYTES_MAX);
    af_buf_init(&c->page_list, BYTES_MAX);
    open_chunk(w, c);
    w->column_count++;
    return AF_OK;
}

static const char *copy_text(struct af_parquet_writer *w, const char *text, bool *io_ok)
{
    const char *copy = text != NULL ? af_arena_copy(&w->arena, af_slice_of(text)) : NULL;
    *io_ok = *io_ok && (text == NULL || copy != NULL);
    return copy;
}

static enum af_status copy_options(struct af_parquet_writer *w, const struct af_parquet_write_options *options, struct af_error *err)
{
    bool ok = true;
    w->options = *options;
    w->options.created_by = copy_text(w, options->created_by != NULL ? options->created_by : CREATED_BY, &ok);
    const char **keys = af_arena_zero(&w->arena, options->kv_count + 1, sizeof *keys);
    const char **values = af_arena_zero(&w->arena, options->kv_count + 1, sizeof *values);
    for (size_t i = 0; keys != NULL && values != NULL && i < options->kv_count; i++) {
        keys[i] = copy_text(w, options->kv_keys[i], &ok);
        values[i] = copy_text(w, options->kv_values[i], &ok);
    }
    w->options.kv_keys = keys;
    w->options.kv_values = values;
    if (w->options.page_rows == 0)
        w->options.page_rows = PAGE_ROWS;
    if (w->options.row_group_rows == 0)
        w->options.row_group_rows = GROUP_ROWS;
    if (w->options.page_rows > w->options.row_group_rows)
        w->options.page_rows = w->options.row_group_rows;
    if (w->options.page_rows > INT32_MAX)
        return af_fail(err, AF_EINVAL, "pages of more than %d rows", INT32_MAX);
    return ok && keys != NULL && values != NULL ? AF_OK : af_fail_nomem(err, "Parquet writer");
}

static void init_buffers(struct af_parquet_writer *w)
{
    struct af_buf *all[] = { &w->chunks, &w->groups, &w->column_indexes, &w->offset_indexes, &w->levels,
                             &w->values, &w->packed, &w->header,         &w->scratch };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        af_buf_init(all[i], BYTES_MAX);
}

static enum af_status emit(struct af_parquet_writer *w, struct af_slice bytes, struct af_error *err)
{
    if (bytes.len == 0)
        return AF_OK;
    AF_TRY(w->emit(w->emit_ctx, bytes, err));
    w->at += bytes.len;
    return AF_OK;
}

static enum af_status prepare(struct af_parquet_writer *w, const struct af_schema *schema,
                              const struct af_parquet_write_options *options, struct af_error *err)
{
    if (schema->field_count == 0)
        return af_fail(err, AF_EINVAL, "a Parquet file without columns");
    AF_TRY(copy_options(w, options, err));
    w->columns = af_alloc_zero(schema->field_count, sizeof *w->columns);
    if (w->columns == NULL)
        return af_fail_nomem(err, "Parquet writer");
    for (size_t i = 0; i < schema->field_count; i++)
        AF_TRY(add_column(w, &schema->fields[i], err));
    return emit(w, AF_SLICE_LIT("PAR1"), err);
}

enum af_status af_parquet_writer_new(const struct af_schema *schema, const struct af_parquet_write_options *options,
                                     af_parquet_emit emit_fn, void *ctx, struct af_parquet_writer **out, struct af_error *err)
{
    struct af_parquet_writer *w = af_alloc_zero(1, sizeof *w);
    if (w == NULL)
        return af_fail_nomem(err, "Parquet writer");
    w->emit = emit_fn;
    w->emit_ctx = ctx;
    af_arena_init(&w->arena, BYTES_MAX);
    init_buffers(w);
    enum af_status status = prepare(w, schema, options, err);
    if (status != AF_OK) {
        af_parquet_writer_free(w);
        return status;
    }
    *out = w;
    return AF_OK;
}

static void free_column(struct af_pw_column *c)
{
    af_pw_dict_done(&c->dict);
    af_buf_done(&c->text);
    af_buf_done(&c->pages);
    af_buf_done(&c->page_list);
    af_free(c->levels);
    af_free(c->words);
    af_free(c->wides);
    af_free(c->codes);
}

void af_parquet_writer_free(struct af_parquet_writer *w)
{
    if (w == NULL)
        return;
    struct af_buf *all[] = { &w->chunks, &w->groups, &w->column_indexes, &w->offset_indexes, &w->levels,
                             &w->values, &w->packed, &w->header,         &w->scratch };
    for (size_t i = 0; i < w->column_count; i++)
        free_column(&w->columns[i]);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        af_buf_done(all[i]);
    af_free(w->columns);
    af_codec_ctx_done(&w->codec);
    af_arena_done(&w->arena);
    af_free(w);
}

/* --- row groups ---------------------------------------------------------------------------------------------------------- */

static enum af_status seal_page(struct af_parquet_writer *w, struct af_error *err)
{
    for (size_t i = 0; i < w->column_count; i++)
        AF_TRY(af_pw_seal(w, &w->columns[i], err));
    w->page_rows = 0;
    return AF_OK;
}

static bool has_dict_pages(const struct af_pw_column *c)
{
    return c->pages_of[AF_PW_PLAIN_DICTIONARY] + c->pages_of[AF_PW_RLE_DICTIONARY] > 0;
}

static enum af_status flush_chunk(struct af_parquet_writer *w, struct af_pw_column *c, struct af_error *err)
{
    struct af_pw_chunk chunk = { .values = c->values, .nulls = c->nulls, .raw_bytes = c->raw_bytes };
    const uint64_t start = w->at;
    if (has_dict_pages(c)) {
        uint64_t raw;
        AF_TRY(af_pw_dict_page(w, c, &raw, err));
        chunk.dict_at = w->at;
        chunk.raw_bytes += raw;
        AF_TRY(emit(w, af_buf_slice(&w->header), err));
        AF_TRY(emit(w, af_buf_slice(&w->packed), err));
    }
    chunk.data_at = w->at;
    AF_TRY(emit(w, af_buf_slice(&c->pages), err));
    chunk.packed_bytes = w->at - start;
    memcpy(chunk.pages_of, c->pages_of, sizeof chunk.pages_of);
    if (c->is_bounded)
        chunk.bounds = c->bounds;
    if (w->options.page_index)
        af_pw_indexes(w, c, &chunk);
    af_buf_append(&w->chunks, &chunk, sizeof chunk);
    open_chunk(w, c);
    AF_TRY(af_buf_check(&w->column_indexes, "Parquet page index", err));
    AF_TRY(af_buf_check(&w->offset_indexes, "Parquet page index", err));
    return af_buf_check(&w->chunks, "Parquet footer", err);
}

static enum af_status flush_group(struct af_parquet_writer *w, struct af_error *err)
{
    const struct af_pw_group group = { .rows = w->group_rows, .at = w->at };
    if (w->group_rows == 0)
        return AF_OK;
    AF_TRY(seal_page(w, err));
    for (size_t i = 0; i < w->column_count; i++)
        AF_TRY(flush_chunk(w, &w->columns[i], err));
    w->group_rows = 0;
    af_buf_append(&w->groups, &group, sizeof group);
    return af_buf_check(&w->groups, "Parquet footer", err);
}

/* --- adding -------------------------------------------------------------------------------------------------------------- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static size_t rows_of_step(const struct af_parquet_writer *w, const struct af_batch *batch, size_t from)
{
    uint64_t n = least(batch->row_count - from, w->options.page_rows - w->page_rows);
    n = least(n, w->options.row_group_rows - w->group_rows);
    for (size_t i = 0; i < w->column_count; i++)
        n = af_pw_stage_fit(&w->columns[i], &batch->columns[i], from, (size_t)n);
    return (size_t)n;
}

static bool is_page_full(const struct af_parquet_writer *w)
{
    if (w->page_rows == w->options.page_rows)
        return true;
    for (size_t i = 0; i < w->column_count; i++)
        if (w->columns[i].text.len > AF_PW_PAGE_TEXT_MAX || w->columns[i].dict.set.bytes > 2 * (size_t)AF_PW_PAGE_TEXT_MAX)
            return true;
    return false;
}

static bool is_group_full(const struct af_parquet_writer *w)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < w->column_count; i++)
        bytes += w->columns[i].pages.len;
    return w->group_rows == w->options.row_group_rows || bytes > AF_PW_GROUP_BYTES_MAX;
}

static enum af_status add_rows(struct af_parquet_writer *w, const struct af_batch *batch, size_t from, size_t n, struct af_error *err)
{
    for (size_t i = 0; i < w->column_count; i++)
        AF_TRY(af_pw_stage(&w->columns[i], w->options.time_form, &batch->columns[i], from, n, w->options.page_rows, err));
    w->page_rows += n;
    w->group_rows += n;
    w->rows += n;
    if (is_page_full(w))
        AF_TRY(seal_page(w, err));
    return is_group_full(w) ? flush_group(w, err) : AF_OK;
}

static enum af_status refuse_broken(struct af_error *err)
{
    return af_fail(err, AF_EINVAL, "this Parquet file could not be written further after an earlier failure; write it anew");
}

enum af_status af_parquet_writer_add(struct af_parquet_writer *w, const struct af_batch *batch, struct af_error *err)
{
    if (w->is_broken)
        return refuse_broken(err);
    AF_TRY(af_pw_check_batch(w, batch, err));
    for (size_t row = 0, n; row < batch->row_count; row += n) {
        n = rows_of_step(w, batch, row);
        enum af_status status = add_rows(w, batch, row, n, err);
        if (status != AF_OK) {
            w->is_broken = true;
            return status;
        }
    }
    return AF_OK;
}

static enum af_status finish(struct af_parquet_writer *w, struct af_error *err)
{
    AF_TRY(flush_group(w, err));
    const uint64_t column_indexes_at = w->at;
    AF_TRY(emit(w, af_buf_slice(&w->column_indexes), err));
    const uint64_t offset_indexes_at = w->at;
    AF_TRY(emit(w, af_buf_slice(&w->offset_indexes), err));
    struct af_buf *footer = &w->header;
    af_buf_clear(footer);
    af_pw_footer(w, column_indexes_at, offset_indexes_at, footer);
    const uint64_t len = footer->len;
    const uint8_t len_le[4] = { (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16), (uint8_t)(len >> 24) };
    af_buf_append(footer, len_le, sizeof len_le);
    af_buf_append_str(footer, "PAR1");
    AF_TRY(af_buf_check(footer, "Parquet footer", err));
    if (len > INT32_MAX)
        return af_fail(err, AF_ELIMIT, "a Parquet footer of %llu bytes; write larger row groups", (unsigned long long)len);
    return emit(w, af_buf_slice(footer), err);
}

enum af_status af_parquet_writer_finish(struct af_parquet_writer *w, struct af_error *err)
{
    if (w->is_broken)
        return refuse_broken(err);
    w->is_broken = true; /* whatever happens, nothing may follow */
    return finish(w, err);
}
