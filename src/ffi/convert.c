/*
 * convert.c - lines given out piece by piece, whatever makes them.
 *
 *     block.text   line line line line line line
 *                  given out -----^ next piece: whole lines of about so many bytes
 *
 * A block is refilled when all of it was given out, so what a call gave lives until the next one. Rows refused are kept until they were
 * asked for, or are too many. A failure is final.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "ffi/ffi_int.h"

enum { PIECE_BYTES = 1 << 20 };

/* --- rows refused ---------------------------------------------------------------------------------------------------------- */

void ffi_rejects_clear(struct ffi_rejects *rejects)
{
    af_arena_reset(&rejects->arena);
    rejects->items = NULL;
    rejects->count = rejects->cap = rejects->next = 0;
}

static void add(struct ffi_rejects *rejects, const char *column, const char *reason, struct af_slice raw, uint64_t row)
{
    if (rejects->count == AF_FFI_REJECTS_MAX)
        return;
    if (rejects->count == rejects->cap) {
        struct afluxo_reject *items = af_arena_more(&rejects->arena, rejects->items, rejects->count, &rejects->cap, sizeof *items);
        if (items == NULL)
            return;
        rejects->items = items;
    }
    struct afluxo_reject reject = { .row = row, .reason = af_arena_copy(&rejects->arena, af_slice_of(reason)),
                                    .raw = af_arena_copy(&rejects->arena, raw) };
    if (column != NULL)
        reject.column = af_arena_copy(&rejects->arena, af_slice_of(column));
    if (reject.reason != NULL && reject.raw != NULL && (column == NULL || reject.column != NULL))
        rejects->items[rejects->count++] = reject;
}

void ffi_rejects_add(struct ffi_rejects *rejects, const struct af_map_reject *reject, uint64_t row)
{
    add(rejects, reject->column, reject->reason, reject->raw, row);
}

void ffi_rejects_move(struct ffi_rejects *from, struct ffi_rejects *to)
{
    for (size_t i = 0; i < from->count; i++)
        add(to, from->items[i].column, from->items[i].reason, af_slice_of(from->items[i].raw), from->items[i].row);
    ffi_rejects_clear(from);
}

void ffi_block_init(struct ffi_block *block)
{
    *block = (struct ffi_block){ 0 };
    af_lp_text_init(&block->text);
    af_arena_init(&block->rejects.arena, AF_BATCH_ARENA_BYTES_MAX);
}

void ffi_block_done(struct ffi_block *block)
{
    af_lp_text_done(&block->text);
    af_arena_done(&block->rejects.arena);
}

/* --- the converter ----------------------------------------------------------------------------------------------------------- */

enum af_status ffi_precision(const char *name, enum af_precision *out, struct af_error *err)
{
    if (name == NULL)
        name = "ns";
    if (!af_precision_parse(af_slice_of(name), out))
        return af_fail(err, AF_EINVAL, "a precision is ns, us, ms or s, not \"%.40s\"", name);
    return AF_OK;
}

int af_ffi_convert_stream(void *arrow_stream, const struct afluxo_mapping_options *mapping, const char *precision,
                          struct afluxo_converter **out)
{
    static const struct afluxo_mapping_options none;
    struct af_error err = { 0 };
    struct ArrowArrayStream *stream = arrow_stream;
    enum af_precision unit = AF_PRECISION_NS;
    enum af_status status = ffi_precision(precision, &unit, &err);
    if (status == AF_OK && (stream == NULL || stream->release == NULL))
        status = af_fail(&err, AF_EINVAL, "an Arrow stream that was released or taken already");
    if (status == AF_OK)
        status = ffi_convert_stream(stream, mapping != NULL ? mapping : &none, unit, out, &err);
    if (stream != NULL)
        ARROW_RELEASE(stream); /* it was not taken */
    return ffi_result(status, &err);
}

int af_ffi_convert_file(const char *source, const struct afluxo_mapping_options *mapping, const char *precision,
                        struct afluxo_converter **out)
{
    static const struct afluxo_mapping_options none;
    struct af_error err = { 0 };
    enum af_precision unit = AF_PRECISION_NS;
    enum af_status status = ffi_precision(precision, &unit, &err);
    if (status == AF_OK)
        status = ffi_convert_file(source, mapping != NULL ? mapping : &none, unit, out, &err);
    return ffi_result(status, &err);
}

static enum af_status refill(struct afluxo_converter *c, struct af_error *err)
{
    if (c->block.rejects.next == c->block.rejects.count)
        ffi_rejects_clear(&c->block.rejects);
    c->line = c->byte = 0;
    af_lp_text_clear(&c->block.text);
    while (c->block.text.line_count == 0 && !c->has_ended)
        AF_TRY(c->fill(c, &c->has_ended, err));
    return AF_OK;
}

/* The line past the last of a piece: at least one, whole lines, `bytes` at most if more than one. */
static size_t piece_end(const struct afluxo_converter *c, size_t bytes, uint64_t lines_max)
{
    const struct af_lp_text *text = &c->block.text;
    size_t low = c->line + 1, high = text->line_count;
    if (lines_max != 0 && high - c->line > lines_max)
        high = c->line + (size_t)lines_max;
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if (text->ends[middle - 1] - c->byte <= bytes)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

int af_ffi_convert_next(struct afluxo_converter *c, size_t bytes, const char **out, size_t *len, uint64_t *lines)
{
    if (c->failed.status != AF_OK)
        return ffi_result(c->failed.status, &c->failed);
    if (c->line == c->block.text.line_count && !c->has_ended) {
        struct af_error err = { 0 };
        enum af_status status = refill(c, &err);
        if (status != AF_OK) {
            c->failed = err;
            c->failed.status = status;
            return ffi_result(status, &err);
        }
    }
    const struct af_lp_text *text = &c->block.text;
    const uint64_t lines_max = lines != NULL ? *lines : 0;
    const size_t end = c->line < text->line_count ? piece_end(c, bytes != 0 ? bytes : PIECE_BYTES, lines_max) : c->line;
    const size_t stop = end > c->line ? text->ends[end - 1] : c->byte;
    *out = stop > c->byte ? text->bytes.ptr + c->byte : "";
    *len = stop - c->byte;
    if (lines != NULL)
        *lines = end - c->line;
    c->line = end;
    c->byte = stop;
    return 0;
}

int af_ffi_convert_reject(struct afluxo_converter *c, struct afluxo_reject *out)
{
    struct ffi_rejects *rejects = &c->block.rejects;
    if (rejects->next == rejects->count)
        return 0;
    *out = rejects->items[rejects->next++];
    return 1;
}

void af_ffi_convert_counts(const struct afluxo_converter *c, struct afluxo_counts *out)
{
    *out = c->block.counts;
}

void af_ffi_convert_free(struct afluxo_converter *c)
{
    if (c == NULL)
        return;
    struct ffi_block block = c->block;
    c->close(c);
    ffi_block_done(&block);
}
