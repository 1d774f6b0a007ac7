/*
 * yaml_fuzz.c - what holds for any bytes:
 * - a tree keeps the limits of base/limits.h when walked with its aliases expanded, has no repeated key;
 * - printed as flow YAML with af_yaml_append_scalar and parsed again, it is the same tree;
 * - any bytes written as a scalar read back as text (invalid UTF-8 apart).
 */
#include "base/buf.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "format/yaml/yaml.h"
#include <stdlib.h>

#define MUST(cond)                                                                                           \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            abort();                                                                                         \
    } while (0)

static void check_keys(const struct af_yaml *map)
{
    for (const struct af_yaml *a = map->first; a != NULL; a = a->next)
        for (const struct af_yaml *b = a->next; b != NULL; b = b->next)
            MUST(!af_slice_eq(a->key, b->key));
}

/* Count nodes and depth as a reader of the tree sees them, and print. */
static void walk(struct af_buf *out, const struct af_yaml *node, size_t depth, size_t *nodes)
{
    MUST(depth <= AF_YAML_DEPTH_MAX);
    MUST(++*nodes <= AF_YAML_NODES_MAX);
    MUST(node->line > 0 && node->column > 0);
    if (node->kind == AF_YAML_NULL) {
        af_buf_append_str(out, "null");
    } else if (node->kind == AF_YAML_SCALAR) {
        MUST(node->is_quoted || node->text.len != 0);
        af_yaml_append_scalar(out, node->text);
    } else {
        bool is_map = node->kind == AF_YAML_MAP;
        MUST(depth < AF_YAML_DEPTH_MAX);
        if (is_map)
            check_keys(node);
        af_buf_append_char(out, is_map ? '{' : '[');
        for (const struct af_yaml *child = node->first; child != NULL; child = child->next) {
            if (is_map) {
                af_buf_append_str(out, "? ");
                af_yaml_append_scalar(out, child->key);
                af_buf_append_str(out, " : ");
            }
            walk(out, child, depth + 1, nodes);
            af_buf_append_str(out, ", ");
        }
        af_buf_append_char(out, is_map ? '}' : ']');
    }
}

static void check_tree(struct af_slice text)
{
    struct af_arena arena;
    af_arena_init(&arena, 64 << 20);
    struct af_yaml *root;
    if (af_yaml_parse("fuzz", text, &arena, &root, NULL) == AF_OK) {
        struct af_buf first, second;
        af_buf_init(&first, 1 << 19);
        af_buf_init(&second, 1 << 19);
        size_t nodes = 0;
        walk(&first, root, 0, &nodes);
        if (!first.failed) { /* expanded aliases may be long */
            MUST(af_yaml_parse("fuzz", af_buf_slice(&first), &arena, &root, NULL) == AF_OK);
            nodes = 0;
            walk(&second, root, 0, &nodes);
            MUST(af_slice_eq(af_buf_slice(&first), af_buf_slice(&second)));
        }
        af_buf_done(&first);
        af_buf_done(&second);
    }
    af_arena_done(&arena);
}

static void check_scalar(struct af_slice text)
{
    struct af_arena arena;
    af_arena_init(&arena, 64 << 20);
    struct af_buf buf;
    af_buf_init(&buf, 1 << 19);
    af_yaml_append_scalar(&buf, text);
    struct af_yaml *root;
    MUST(af_yaml_parse("fuzz", af_buf_slice(&buf), &arena, &root, NULL) == AF_OK);
    MUST(root->kind == AF_YAML_SCALAR);
    bool value;
    MUST(!af_yaml_bool(root, &value));
    if (af_utf8_is_valid(text))
        MUST(af_slice_eq(root->text, text));
    af_buf_done(&buf);
    af_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 14)
        return 0;
    struct af_slice text = size != 0 ? af_slice_make(data, size) : (struct af_slice){ "", 0 };
    check_tree(text);
    check_scalar(text);
    return 0;
}
