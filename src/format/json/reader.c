/*
 * reader.c - JSON as events, over libyajl.
 *
 *     bytes -> yajl (lexer, grammar, unescaping) -> on_* below (UTF-8, depth, length) -> the caller's handler
 *
 * Three things yajl leaves open are closed here:
 * - It doesn't look whether its allocations succeed. Ours never return NULL to it: they jump back to `guarded`, and because
 *   every block is on a list of the reader, nothing leaks. The jump crosses yajl's frames only, never a handler's.
 * - Its UTF-8 check lets overlong forms and surrogates pass. It is off; whole strings are checked once they are unescaped.
 *   So a lone low surrogate (\udc00) is refused too; a lone high one becomes '?' inside yajl.
 * - It nests without end. Depth is counted here.
 *
 * A place (line, column in bytes) is where yajl stood: right behind the token that was wrong.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "format/json/json_int.h"
#include <assert.h>
#include <setjmp.h>
#include <yajl/yajl_parse.h>

/* In front of each block that yajl holds. */
struct block {
    _Alignas(16) struct block *prev;
    struct block *next;
};

enum step { STEP_NEW, STEP_FEED, STEP_FINISH, STEP_EXPLAIN };

struct af_json_reader {
    const struct af_json_handler *handler;
    void *ctx;
    bool is_single;
    yajl_handle yajl;
    yajl_alloc_funcs funcs;
    struct block *blocks;
    enum af_status status;  /* the first failure: the reader is dead then */
    struct af_error *err;   /* of the call that is running */
    uint32_t depth;
    struct af_slice feed;   /* the bytes of the call that is running */
    uint32_t line;          /* of the first byte of `feed` */
    uint64_t line_offset;   /* bytes of that line before `feed` */
    /* Crosses the jump, so it is here and not in a local. */
    yajl_status answer;
    unsigned char *words;
    jmp_buf escape;
};

/* --- yajl's memory --- */

/* Tokens are assembled by doubling, hence the factor. */
static const size_t block_bytes_max = (size_t)AF_STRING_BYTES_MAX * 2 + 64;

static void link_block(struct af_json_reader *reader, struct block *block)
{
    block->prev = NULL;
    block->next = reader->blocks;
    if (block->next != NULL)
        block->next->prev = block;
    reader->blocks = block;
}

static void unlink_block(struct af_json_reader *reader, struct block *block)
{
    if (block->next != NULL)
        block->next->prev = block->prev;
    if (block->prev != NULL)
        block->prev->next = block->next;
    else
        reader->blocks = block->next;
}

static void *on_realloc(void *ctx, void *ptr, size_t bytes)
{
    struct af_json_reader *reader = ctx;
    struct block *old = ptr != NULL ? (struct block *)ptr - 1 : NULL;
    if (bytes > block_bytes_max) {
        reader->status = AF_ELIMIT;
        longjmp(reader->escape, 1);
    }
    if (old != NULL)
        unlink_block(reader, old);
    struct block *block = af_realloc(old, sizeof *block + bytes);
    if (block == NULL) {
        if (old != NULL)
            link_block(reader, old);
        reader->status = AF_ENOMEM;
        longjmp(reader->escape, 1);
    }
    link_block(reader, block);
    return block + 1;
}

static void *on_malloc(void *ctx, size_t bytes)
{
    return on_realloc(ctx, NULL, bytes);
}

static void on_free(void *ctx, void *ptr)
{
    if (ptr == NULL)
        return;
    struct block *block = (struct block *)ptr - 1;
    unlink_block(ctx, block);
    af_free(block);
}

/* --- places --- */

/* Line and column of byte `at` of the running feed. */
static void place_of(const struct af_json_reader *reader, size_t at, uint32_t *out_line, uint64_t *out_line_offset)
{
    const char *ptr = reader->feed.ptr;
    const char *end = ptr + at;
    uint32_t line = reader->line;
    uint64_t offset = reader->line_offset;
    const char *newline;
    while (ptr < end && (newline = memchr(ptr, '\n', (size_t)(end - ptr))) != NULL) {
        line++;
        offset = 0;
        ptr = newline + 1;
    }
    *out_line = line;
    *out_line_offset = offset + (uint64_t)(end - ptr);
}

/* Fill the caller's error with `what` and where yajl stands; the reader is dead from here on. */
static enum af_status fail_here(struct af_json_reader *reader, enum af_status status, const char *what)
{
    size_t at = reader->yajl != NULL ? yajl_get_bytes_consumed(reader->yajl) : 0;
    uint32_t line;
    uint64_t offset;
    place_of(reader, at < reader->feed.len ? at : reader->feed.len, &line, &offset);
    uint32_t column = offset < UINT32_MAX ? (uint32_t)offset + 1 : UINT32_MAX;
    reader->status = status;
    return af_fail_at(reader->err, status, line, column, "JSON, line %u, column %u: %s", line, column, what);
}

/* --- yajl's callbacks: 0 stops the parse --- */

static bool text_ok(struct af_json_reader *reader, struct af_slice text)
{
    if (text.len > AF_STRING_BYTES_MAX)
        (void)fail_here(reader, AF_ELIMIT, "a string or number is longer than AF_STRING_BYTES_MAX");
    else if (!af_utf8_is_valid(text))
        (void)fail_here(reader, AF_ECORRUPT, "a string is not valid UTF-8");
    return reader->status == AF_OK;
}

static int hand_value(struct af_json_reader *reader, enum af_json_kind kind, bool is_true, struct af_slice text)
{
    reader->status = reader->handler->value(reader->ctx, kind, is_true, text, reader->err);
    return reader->status == AF_OK;
}

static int on_null(void *ctx)
{
    return hand_value(ctx, AF_JSON_NULL, false, (struct af_slice){ "", 0 });
}

static int on_bool(void *ctx, int is_true)
{
    return hand_value(ctx, AF_JSON_BOOL, is_true != 0, (struct af_slice){ "", 0 });
}

static int on_number(void *ctx, const char *text, size_t len)
{
    struct af_slice slice = { text, len };
    return text_ok(ctx, slice) && hand_value(ctx, AF_JSON_NUMBER, false, slice);
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    struct af_slice slice = len != 0 ? af_slice_make(text, len) : (struct af_slice){ "", 0 };
    return text_ok(ctx, slice) && hand_value(ctx, AF_JSON_STRING, false, slice);
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
    struct af_json_reader *reader = ctx;
    struct af_slice slice = len != 0 ? af_slice_make(text, len) : (struct af_slice){ "", 0 };
    if (!text_ok(reader, slice))
        return 0;
    reader->status = reader->handler->key(reader->ctx, slice, reader->err);
    return reader->status == AF_OK;
}

static int begin(struct af_json_reader *reader, enum af_json_kind kind)
{
    if (reader->depth == AF_JSON_DEPTH_MAX) {
        (void)fail_here(reader, AF_ELIMIT, "nested deeper than AF_JSON_DEPTH_MAX");
        return 0;
    }
    reader->depth++;
    reader->status = reader->handler->begin(reader->ctx, kind, reader->err);
    return reader->status == AF_OK;
}

static int end(struct af_json_reader *reader, enum af_json_kind kind)
{
    assert(reader->depth > 0);
    reader->depth--;
    reader->status = reader->handler->end(reader->ctx, kind, reader->err);
    return reader->status == AF_OK;
}

static int on_begin_object(void *ctx)
{
    return begin(ctx, AF_JSON_OBJECT);
}

static int on_end_object(void *ctx)
{
    return end(ctx, AF_JSON_OBJECT);
}

static int on_begin_array(void *ctx)
{
    return begin(ctx, AF_JSON_ARRAY);
}

static int on_end_array(void *ctx)
{
    return end(ctx, AF_JSON_ARRAY);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_begin_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end_object,
    .yajl_start_array = on_begin_array,
    .yajl_end_array = on_end_array,
};

/* --- calls into yajl --- */

static void step_new(struct af_json_reader *reader)
{
    reader->yajl = yajl_alloc(&callbacks, &reader->funcs, reader);
    (void)yajl_config(reader->yajl, yajl_dont_validate_strings, 1);
    if (!reader->is_single)
        (void)yajl_config(reader->yajl, yajl_allow_multiple_values, 1);
}

/* One call into yajl. False: it ran out of memory or past a limit, reader->status says which. */
static bool guarded(struct af_json_reader *reader, enum step step)
{
    if (setjmp(reader->escape) != 0)
        return false;
    const unsigned char *bytes = (const unsigned char *)reader->feed.ptr;
    switch (step) {
    case STEP_NEW:
        step_new(reader);
        break;
    case STEP_FEED:
        reader->answer = yajl_parse(reader->yajl, bytes, reader->feed.len);
        break;
    case STEP_FINISH:
        reader->answer = yajl_complete_parse(reader->yajl);
        break;
    case STEP_EXPLAIN:
        reader->words = yajl_get_error(reader->yajl, 0, bytes, reader->feed.len);
        break;
    }
    return true;
}

static enum af_status fail_escaped(struct af_json_reader *reader)
{
    if (reader->status == AF_ELIMIT)
        return fail_here(reader, AF_ELIMIT, "a string or number is longer than AF_STRING_BYTES_MAX");
    return af_fail_nomem(reader->err, "reading JSON");
}

/* yajl found a fault in the text: take its words ("parse error: premature EOF\n"). */
static enum af_status fail_explained(struct af_json_reader *reader)
{
    reader->words = NULL;
    if (!guarded(reader, STEP_EXPLAIN))
        return fail_escaped(reader);
    char text[160];
    struct af_slice words = af_slice_trim(af_slice_of((const char *)reader->words));
    size_t len = words.len < sizeof text - 1 ? words.len : sizeof text - 1;
    if (len != 0)
        memcpy(text, words.ptr, len);
    text[len] = '\0';
    if (reader->words != NULL)
        yajl_free_error(reader->yajl, reader->words);
    return fail_here(reader, AF_ECORRUPT, len != 0 ? text : "this is not JSON");
}

static enum af_status call(struct af_json_reader *reader, enum step step, struct af_slice bytes, struct af_error *err)
{
    if (reader->status != AF_OK)
        return af_fail(err, reader->status, "JSON: an earlier call failed already");
    reader->err = err;
    reader->feed = bytes;
    enum af_status status = AF_OK;
    if (!guarded(reader, step))
        status = fail_escaped(reader);
    else if (reader->answer == yajl_status_client_canceled)
        status = reader->status;
    else if (reader->answer != yajl_status_ok)
        status = fail_explained(reader);
    else
        place_of(reader, bytes.len, &reader->line, &reader->line_offset);
    reader->err = NULL;
    reader->feed = (struct af_slice){ "", 0 };
    return status;
}

enum af_status af_json_reader_make(const struct af_json_handler *handler, void *ctx, bool is_single,
                                   struct af_json_reader **out, struct af_error *err)
{
    assert(handler != NULL && out != NULL);
    struct af_json_reader *reader = af_alloc_zero(1, sizeof *reader);
    if (reader == NULL)
        return af_fail_nomem(err, "a JSON reader");
    reader->handler = handler;
    reader->ctx = ctx;
    reader->is_single = is_single;
    reader->funcs = (yajl_alloc_funcs){ on_malloc, on_realloc, on_free, reader };
    reader->answer = yajl_status_ok;
    reader->line = 1;
    enum af_status status = call(reader, STEP_NEW, (struct af_slice){ "", 0 }, err);
    if (status != AF_OK) {
        af_json_reader_free(reader);
        return status;
    }
    *out = reader;
    return AF_OK;
}

enum af_status af_json_reader_new(const struct af_json_handler *handler, void *ctx, struct af_json_reader **out,
                                  struct af_error *err)
{
    return af_json_reader_make(handler, ctx, false, out, err);
}

enum af_status af_json_reader_feed(struct af_json_reader *reader, struct af_slice bytes, struct af_error *err)
{
    if (bytes.len == 0 && reader->status == AF_OK)
        return AF_OK;
    return call(reader, STEP_FEED, bytes, err);
}

enum af_status af_json_reader_finish(struct af_json_reader *reader, struct af_error *err)
{
    return call(reader, STEP_FINISH, (struct af_slice){ "", 0 }, err);
}

void af_json_reader_free(struct af_json_reader *reader)
{
    if (reader == NULL)
        return;
    /* Not yajl_free: after a jump its structures may be half made. The list has every block in any case. */
    while (reader->blocks != NULL) {
        struct block *block = reader->blocks;
        reader->blocks = block->next;
        af_free(block);
    }
    af_free(reader);
}
