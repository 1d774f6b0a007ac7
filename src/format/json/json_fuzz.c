/*
 * json_fuzz.c - what holds for any bytes:
 * - fed whole or in pieces, the events and the outcome are the same;
 * - the tree, printed again, parses to the same tree; depth and strings keep their limits.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "format/json/json.h"
#include <stdlib.h>

#define MUST(cond)                                                                                           \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            abort();                                                                                         \
    } while (0)

static enum af_status on_value(void *ctx, enum af_json_kind kind, bool is_true, struct af_slice text, struct af_error *err)
{
    (void)err;
    MUST(af_utf8_is_valid(text));
    af_buf_printf(ctx, "%d%d", (int)kind, is_true);
    af_buf_append_slice(ctx, text);
    af_buf_append_char(ctx, '\0');
    return AF_OK;
}

static enum af_status on_begin(void *ctx, enum af_json_kind kind, struct af_error *err)
{
    (void)err;
    af_buf_append_char(ctx, kind == AF_JSON_OBJECT ? '{' : '[');
    return AF_OK;
}

static enum af_status on_end(void *ctx, enum af_json_kind kind, struct af_error *err)
{
    (void)err;
    af_buf_append_char(ctx, kind == AF_JSON_OBJECT ? '}' : ']');
    return AF_OK;
}

static enum af_status on_key(void *ctx, struct af_slice key, struct af_error *err)
{
    return on_value(ctx, AF_JSON_STRING, true, key, err);
}

static const struct af_json_handler handler = { on_value, on_begin, on_end, on_key };

static enum af_status events(struct af_slice text, size_t step, struct af_buf *log)
{
    struct af_json_reader *reader;
    MUST(af_json_reader_new(&handler, log, &reader, NULL) == AF_OK);
    enum af_status status = AF_OK;
    for (size_t at = 0; at < text.len && status == AF_OK; at += step) {
        size_t n = text.len - at < step ? text.len - at : step;
        char *piece = af_alloc(n);
        MUST(piece != NULL);
        memcpy(piece, text.ptr + at, n);
        status = af_json_reader_feed(reader, af_slice_make(piece, n), NULL);
        af_free(piece);
    }
    if (status == AF_OK)
        status = af_json_reader_finish(reader, NULL);
    af_json_reader_free(reader);
    return status;
}

static size_t print(struct af_buf *out, const struct af_json *node)
{
    static const char *const words[] = { "null", "false" };
    size_t depth = 0;
    if (node->kind == AF_JSON_STRING) {
        af_json_append_string(out, node->text);
    } else if (node->kind == AF_JSON_NUMBER) {
        af_buf_append_slice(out, node->text);
    } else if (node->kind < AF_JSON_NUMBER) {
        af_buf_append_str(out, node->is_true ? "true" : words[node->kind]);
    } else {
        bool is_object = node->kind == AF_JSON_OBJECT;
        af_buf_append_char(out, is_object ? '{' : '[');
        for (const struct af_json *child = node->first; child != NULL; child = child->next) {
            if (is_object) {
                af_json_append_string(out, child->key);
                af_buf_append_char(out, ':');
            }
            size_t below = print(out, child);
            depth = below > depth ? below : depth;
            if (child->next != NULL)
                af_buf_append_char(out, ',');
        }
        af_buf_append_char(out, is_object ? '}' : ']');
        depth++;
    }
    return depth;
}

static void check_tree(struct af_slice text, enum af_status *out_status)
{
    struct af_arena arena;
    af_arena_init(&arena, 64 << 20);
    struct af_json *root;
    *out_status = af_json_parse(text, &arena, &root, NULL);
    if (*out_status == AF_OK) {
        struct af_buf first, second;
        af_buf_init(&first, 64 << 20);
        af_buf_init(&second, 64 << 20);
        MUST(print(&first, root) <= AF_JSON_DEPTH_MAX);
        MUST(af_json_parse(af_buf_slice(&first), &arena, &root, NULL) == AF_OK);
        (void)print(&second, root);
        MUST(af_slice_eq(af_buf_slice(&first), af_buf_slice(&second)));
        af_buf_done(&first);
        af_buf_done(&second);
    }
    af_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1 << 16)
        return 0;
    struct af_slice text = af_slice_make(data + 1, size - 1);
    struct af_buf whole, pieces;
    af_buf_init(&whole, 64 << 20);
    af_buf_init(&pieces, 64 << 20);
    enum af_status whole_status = events(text, text.len + 1, &whole);
    enum af_status pieces_status = events(text, (size_t)data[0] % 31 + 1, &pieces);
    MUST(whole_status == pieces_status);
    if (whole_status == AF_OK)
        MUST(af_slice_eq(af_buf_slice(&whole), af_buf_slice(&pieces)));
    enum af_status tree_status;
    check_tree(text, &tree_status);
    MUST(tree_status != AF_OK || whole_status == AF_OK); /* one document is a sequence of one */
    af_buf_done(&whole);
    af_buf_done(&pieces);
    return 0;
}
