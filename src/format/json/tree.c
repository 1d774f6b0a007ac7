/*
 * tree.c - JSON as a tree in an arena: a handler of the event reader that links what it hears.
 *
 *     open[depth] = { the container, where its next child goes }
 *
 * The bottom of the stack is no container: its one child is the document.
 */
#include "base/limits.h"
#include "base/numbers.h"
#include "format/json/json_int.h"
#include <assert.h>

struct tree {
    struct af_arena *arena;
    struct af_json *root;
    struct af_slice key;                               /* waiting for its value */
    struct af_json **tail[AF_JSON_DEPTH_MAX + 1];
    size_t depth;
};

static enum af_status copy_text(struct tree *tree, struct af_slice text, struct af_slice *out, struct af_error *err)
{
    char *copy = af_arena_copy(tree->arena, text);
    if (copy == NULL)
        return af_arena_fail(tree->arena, text.len + 1, "a JSON document", err);
    *out = (struct af_slice){ copy, text.len };
    return AF_OK;
}

static enum af_status add_node(struct tree *tree, enum af_json_kind kind, struct af_json **out, struct af_error *err)
{
    struct af_json *node = af_arena_alloc(tree->arena, sizeof *node);
    if (node == NULL)
        return af_arena_fail(tree->arena, sizeof *node, "a JSON document", err);
    *node = (struct af_json){ .kind = kind, .text = { "", 0 }, .key = tree->key };
    tree->key = (struct af_slice){ "", 0 };
    *tree->tail[tree->depth] = node;
    tree->tail[tree->depth] = &node->next;
    *out = node;
    return AF_OK;
}

static enum af_status on_value(void *ctx, enum af_json_kind kind, bool is_true, struct af_slice text,
                               struct af_error *err)
{
    struct tree *tree = ctx;
    struct af_json *node = NULL;
    AF_TRY(add_node(tree, kind, &node, err));
    node->is_true = is_true;
    return kind == AF_JSON_STRING || kind == AF_JSON_NUMBER ? copy_text(tree, text, &node->text, err) : AF_OK;
}

static enum af_status on_begin(void *ctx, enum af_json_kind kind, struct af_error *err)
{
    struct tree *tree = ctx;
    struct af_json *node = NULL;
    AF_TRY(add_node(tree, kind, &node, err));
    assert(tree->depth < AF_JSON_DEPTH_MAX); /* the reader counts too */
    tree->tail[++tree->depth] = &node->first;
    return AF_OK;
}

static enum af_status on_end(void *ctx, enum af_json_kind kind, struct af_error *err)
{
    (void)kind;
    (void)err;
    struct tree *tree = ctx;
    tree->depth--;
    return AF_OK;
}

static enum af_status on_key(void *ctx, struct af_slice key, struct af_error *err)
{
    struct tree *tree = ctx;
    return copy_text(tree, key, &tree->key, err);
}

static const struct af_json_handler tree_handler = {
    .value = on_value,
    .begin = on_begin,
    .end = on_end,
    .key = on_key,
};

enum af_status af_json_parse(struct af_slice text, struct af_arena *arena, struct af_json **out, struct af_error *err)
{
    assert(arena != NULL && out != NULL);
    struct tree tree = { .arena = arena, .key = { "", 0 } };
    tree.tail[0] = &tree.root;
    struct af_json_reader *reader;
    AF_TRY(af_json_reader_make(&tree_handler, &tree, true, &reader, err));
    enum af_status status = af_json_reader_feed(reader, text, err);
    if (status == AF_OK)
        status = af_json_reader_finish(reader, err);
    af_json_reader_free(reader);
    if (status != AF_OK)
        return status;
    assert(tree.root != NULL);
    *out = tree.root;
    return AF_OK;
}

const struct af_json *af_json_get(const struct af_json *object, const char *key)
{
    if (object == NULL || object->kind != AF_JSON_OBJECT)
        return NULL;
    struct af_slice want = af_slice_of(key);
    for (const struct af_json *member = object->first; member != NULL; member = member->next)
        if (af_slice_eq(member->key, want))
            return member;
    return NULL;
}

struct af_slice af_json_string(const struct af_json *object, const char *key)
{
    const struct af_json *member = af_json_get(object, key);
    return member != NULL && member->kind == AF_JSON_STRING ? member->text : (struct af_slice){ NULL, 0 };
}

bool af_json_i64(const struct af_json *node, int64_t *out)
{
    return node != NULL && node->kind == AF_JSON_NUMBER && af_i64_parse(node->text, out);
}

bool af_json_f64(const struct af_json *node, double *out)
{
    return node != NULL && node->kind == AF_JSON_NUMBER && af_f64_parse(node->text, out);
}
