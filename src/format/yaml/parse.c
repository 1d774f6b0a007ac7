/*
 * parse.c - a YAML document as a tree, over libyaml's events.
 *
 *     libyaml: text -> scalar | alias | begin list/map | end ... -> a stack of open lists and maps -> nodes in the arena
 *
 * An alias makes a copy of the anchor's node that shares its children, so memory grows with the text and not with what the
 * text expands to. What it expands to is counted all the same (struct anchor.nodes, .height): a reader of the tree walks every
 * shared child again, and a small file must not make it walk for ever. An anchor exists from its node's end on, so no node
 * can hold itself.
 *
 * Repeated keys are found with one set for the document: its members are the map's number followed by the key.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/intern.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "format/yaml/yaml_int.h"
#include <assert.h>
#include <yaml.h>

struct anchor {
    const struct af_yaml *node;
    uint32_t nodes;  /* of the whole subtree, aliases expanded */
    uint32_t height; /* of nested lists and maps; 0 for a scalar */
};

/* A list or map whose end has not been seen; the bottom one stands for the document. */
struct level {
    struct af_yaml *node;
    struct af_yaml **tail;   /* where the next child goes */
    uint32_t serial;         /* of a map */
    uint32_t anchor_id;      /* UINT32_MAX: none */
    uint32_t nodes_before;   /* node_count when it began, itself not counted */
    uint32_t height;
    bool has_key;            /* of a map: `key` waits for its value */
    struct af_slice key;
    uint32_t key_line, key_column;
};

struct builder {
    const char *name;
    struct af_arena *arena;
    struct af_error *err;
    yaml_parser_t parser;
    struct af_yaml *root;
    struct level levels[AF_YAML_DEPTH_MAX + 1];
    size_t depth;
    uint32_t node_count; /* aliases expanded */
    uint32_t map_count;
    uint32_t document_count;
    struct af_intern keys;   /* of all maps */
    struct af_buf key_buf;
    struct af_intern anchor_names;
    struct anchor *anchors;  /* by id of anchor_names; node NULL: not finished yet */
    uint32_t anchor_cap;
};

static enum af_status fail_mark(struct builder *b, enum af_status status, yaml_mark_t mark, const char *what,
                                struct af_slice detail)
{
    uint32_t line = (uint32_t)mark.line + 1;
    uint32_t column = (uint32_t)mark.column + 1;
    if (detail.ptr == NULL)
        return af_fail_at(b->err, status, line, column, "%s:%u:%u: %s", b->name, line, column, what);
    return af_fail_at(b->err, status, line, column, "%s:%u:%u: %s: \"" AF_SLICE_FMT "\"", b->name, line, column, what,
                      (int)(detail.len < 100 ? detail.len : 100), detail.ptr);
}

static const struct af_slice no_detail = { NULL, 0 };

static enum af_status fail_memory(struct builder *b, size_t bytes)
{
    return af_arena_fail(b->arena, bytes, b->name, b->err);
}

/* --- nodes --- */

static enum af_status count_nodes(struct builder *b, uint32_t count, yaml_mark_t mark)
{
    if (count > AF_YAML_NODES_MAX - b->node_count)
        return fail_mark(b, AF_ELIMIT, mark, "more than AF_YAML_NODES_MAX nodes with aliases expanded", no_detail);
    b->node_count += count;
    return AF_OK;
}

static enum af_status copy_text(struct builder *b, struct af_slice text, struct af_slice *out)
{
    char *copy = af_arena_copy(b->arena, text);
    if (copy == NULL)
        return fail_memory(b, text.len + 1);
    *out = (struct af_slice){ copy, text.len };
    return AF_OK;
}

/* A node under the open level, with the key that waits there. It counts for nothing yet. */
static enum af_status add_node(struct builder *b, enum af_yaml_kind kind, yaml_mark_t mark, struct af_yaml **out)
{
    struct level *level = &b->levels[b->depth];
    struct af_yaml *node = af_arena_zero(b->arena, 1, sizeof *node);
    if (node == NULL)
        return fail_memory(b, sizeof *node);
    node->kind = kind;
    node->text = node->key = (struct af_slice){ "", 0 };
    node->line = (uint32_t)mark.line + 1;
    node->column = (uint32_t)mark.column + 1;
    if (level->has_key) {
        node->key = level->key;
        node->line = level->key_line;
        node->column = level->key_column;
        level->has_key = false;
    }
    *level->tail = node;
    level->tail = &node->next;
    *out = node;
    return AF_OK;
}

/* --- keys --- */

static bool wants_key(const struct builder *b)
{
    const struct level *level = &b->levels[b->depth];
    return level->node != NULL && level->node->kind == AF_YAML_MAP && !level->has_key;
}

static uint32_t line_of_key(const struct level *level)
{
    for (const struct af_yaml *node = level->node->first; node != NULL; node = node->next)
        if (af_slice_eq(node->key, level->key))
            return node->line;
    return 0;
}

static enum af_status check_repeated(struct builder *b, struct level *level, yaml_mark_t mark)
{
    af_buf_clear(&b->key_buf);
    af_buf_append(&b->key_buf, &level->serial, sizeof level->serial);
    af_buf_append_slice(&b->key_buf, level->key);
    AF_TRY(af_buf_check(&b->key_buf, b->name, b->err));
    uint32_t before = b->keys.count;
    uint32_t id;
    AF_TRY(af_intern_add(&b->keys, af_buf_slice(&b->key_buf), &id, b->err));
    if (b->keys.count != before)
        return AF_OK;
    uint32_t line = (uint32_t)mark.line + 1;
    uint32_t column = (uint32_t)mark.column + 1;
    return af_fail_at(b->err, AF_EINVAL, line, column, "%s:%u:%u: the key \"" AF_SLICE_FMT "\" is there twice, first on line %u",
                      b->name, line, column, AF_SLICE_ARG(level->key), line_of_key(level));
}

static enum af_status on_key(struct builder *b, const yaml_event_t *event, struct af_slice text)
{
    struct level *level = &b->levels[b->depth];
    if (event->data.scalar.anchor != NULL)
        return fail_mark(b, AF_EINVAL, event->start_mark, "a key cannot carry an anchor", text);
    AF_TRY(copy_text(b, text, &level->key));
    level->key_line = (uint32_t)event->start_mark.line + 1;
    level->key_column = (uint32_t)event->start_mark.column + 1;
    AF_TRY(check_repeated(b, level, event->start_mark));
    level->has_key = true;
    return AF_OK;
}

/* --- anchors --- */

/* The id of a new or redefined anchor; until its node ends, the name stands for nothing. */
static enum af_status open_anchor(struct builder *b, const yaml_char_t *name, uint32_t *out_id)
{
    *out_id = UINT32_MAX;
    if (name == NULL)
        return AF_OK;
    uint32_t id;
    AF_TRY(af_intern_add(&b->anchor_names, af_slice_of((const char *)name), &id, b->err));
    if (id >= b->anchor_cap) {
        uint32_t cap = b->anchor_cap == 0 ? 16 : b->anchor_cap * 2;
        struct anchor *anchors = af_realloc(b->anchors, cap * sizeof *anchors);
        if (anchors == NULL)
            return af_fail_nomem(b->err, b->name);
        b->anchors = anchors;
        b->anchor_cap = cap;
    }
    b->anchors[id] = (struct anchor){ 0 };
    *out_id = id;
    return AF_OK;
}

static void raise_height(struct level *level, uint32_t height)
{
    if (level->height < height)
        level->height = height;
}

static enum af_status on_alias(struct builder *b, const yaml_event_t *event)
{
    struct af_slice name = af_slice_of((const char *)event->data.alias.anchor);
    if (wants_key(b))
        return fail_mark(b, AF_EINVAL, event->start_mark, "an alias cannot be a key", name);
    uint32_t id = af_intern_find(&b->anchor_names, name);
    if (id == UINT32_MAX || b->anchors[id].node == NULL)
        return fail_mark(b, AF_EINVAL, event->start_mark, "no anchor of this name ends before its alias", name);
    const struct anchor *anchor = &b->anchors[id];
    if (b->depth + anchor->height > AF_YAML_DEPTH_MAX)
        return fail_mark(b, AF_ELIMIT, event->start_mark, "nested deeper than AF_YAML_DEPTH_MAX", name);
    AF_TRY(count_nodes(b, anchor->nodes, event->start_mark));
    struct af_yaml *node;
    AF_TRY(add_node(b, anchor->node->kind, event->start_mark, &node));
    node->text = anchor->node->text;
    node->is_quoted = anchor->node->is_quoted;
    node->first = anchor->node->first;
    raise_height(&b->levels[b->depth], anchor->height + 1);
    return AF_OK;
}

/* --- scalars --- */

static enum af_status on_scalar(struct builder *b, const yaml_event_t *event)
{
    struct af_slice text = af_slice_make(event->data.scalar.value, event->data.scalar.length);
    if (event->data.scalar.tag != NULL)
        return fail_mark(b, AF_EINVAL, event->start_mark, "tags are not allowed",
                         af_slice_of((const char *)event->data.scalar.tag));
    if (wants_key(b))
        return on_key(b, event, text);
    uint32_t anchor_id;
    AF_TRY(open_anchor(b, event->data.scalar.anchor, &anchor_id));
    AF_TRY(count_nodes(b, 1, event->start_mark));
    bool is_quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    bool is_null = !is_quoted && af_yaml_is_null_word(text);
    struct af_yaml *node;
    AF_TRY(add_node(b, is_null ? AF_YAML_NULL : AF_YAML_SCALAR, event->start_mark, &node));
    node->is_quoted = is_quoted;
    AF_TRY(copy_text(b, text, &node->text));
    if (anchor_id != UINT32_MAX)
        b->anchors[anchor_id] = (struct anchor){ node, 1, 0 };
    return AF_OK;
}

/* --- lists and maps --- */

static enum af_status on_begin(struct builder *b, enum af_yaml_kind kind, const yaml_event_t *event,
                               const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (tag != NULL)
        return fail_mark(b, AF_EINVAL, event->start_mark, "tags are not allowed", af_slice_of((const char *)tag));
    if (wants_key(b))
        return fail_mark(b, AF_EINVAL, event->start_mark, "a list or map cannot be a key; a { in a value needs quotes",
                         no_detail);
    if (b->depth == AF_YAML_DEPTH_MAX)
        return fail_mark(b, AF_ELIMIT, event->start_mark, "nested deeper than AF_YAML_DEPTH_MAX", no_detail);
    struct level level = { .nodes_before = b->node_count, .height = 1, .key = { "", 0 } };
    AF_TRY(open_anchor(b, anchor, &level.anchor_id));
    AF_TRY(count_nodes(b, 1, event->start_mark));
    AF_TRY(add_node(b, kind, event->start_mark, &level.node));
    level.tail = &level.node->first;
    level.serial = b->map_count;
    b->map_count += kind == AF_YAML_MAP;
    b->levels[++b->depth] = level;
    return AF_OK;
}

static void on_end(struct builder *b)
{
    assert(b->depth > 0);
    const struct level *level = &b->levels[b->depth--];
    raise_height(&b->levels[b->depth], level->height + 1);
    if (level->anchor_id != UINT32_MAX)
        b->anchors[level->anchor_id] =
            (struct anchor){ level->node, b->node_count - level->nodes_before, level->height };
}

static enum af_status on_document(struct builder *b, const yaml_event_t *event)
{
    if (b->document_count++ != 0)
        return fail_mark(b, AF_EINVAL, event->start_mark, "a second document; one file holds one document", no_detail);
    if (event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end)
        return fail_mark(b, AF_EINVAL, event->start_mark, "tags are not allowed, so neither is %TAG", no_detail);
    return AF_OK;
}

static enum af_status on_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(b, event);
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_ALIAS_EVENT:
        return on_alias(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_begin(b, AF_YAML_LIST, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return on_begin(b, AF_YAML_MAP, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        on_end(b);
        return AF_OK;
    default:
        return AF_OK;
    }
}

/* --- the parse --- */

static enum af_status fail_parser(struct builder *b)
{
    const yaml_parser_t *parser = &b->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return af_fail_nomem(b->err, b->name);
    const char *problem = parser->problem != NULL ? parser->problem : "this is not YAML";
    if (parser->error == YAML_READER_ERROR)
        return fail_mark(b, AF_EINVAL, parser->mark, problem, no_detail);
    const char *context = parser->context != NULL ? parser->context : "";
    uint32_t line = (uint32_t)parser->problem_mark.line + 1;
    uint32_t column = (uint32_t)parser->problem_mark.column + 1;
    return af_fail_at(b->err, AF_EINVAL, line, column, "%s:%u:%u: %s%s%s", b->name, line, column, problem,
                      *context != '\0' ? " " : "", context);
}

static enum af_status parse_events(struct builder *b)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&b->parser, &event))
            return fail_parser(b);
        bool is_last = event.type == YAML_STREAM_END_EVENT;
        enum af_status status = on_event(b, &event);
        yaml_event_delete(&event);
        if (status != AF_OK || is_last)
            return status;
    }
}

static enum af_status check_text(struct builder *b, struct af_slice text)
{
    if (text.len > AF_YAML_BYTES_MAX)
        return af_fail(b->err, AF_ELIMIT, "%s: %zu bytes, more than AF_YAML_BYTES_MAX (%d)", b->name, text.len,
                       AF_YAML_BYTES_MAX);
    size_t valid = af_utf8_valid_prefix(text.ptr, text.len);
    if (valid == text.len)
        return AF_OK;
    yaml_mark_t mark = { .index = valid };
    for (size_t i = 0; i < valid; i++) {
        mark.column = text.ptr[i] == '\n' ? 0 : mark.column + 1;
        mark.line += text.ptr[i] == '\n';
    }
    return fail_mark(b, AF_EINVAL, mark, "not UTF-8 from here on; save the file as UTF-8", no_detail);
}

/* Outside the arena: all of it goes at the end of the parse. */
static void builder_done(struct builder *b)
{
    yaml_parser_delete(&b->parser);
    af_intern_done(&b->keys);
    af_intern_done(&b->anchor_names);
    af_buf_done(&b->key_buf);
    af_free(b->anchors);
}

static enum af_status build(struct builder *b, struct af_slice text)
{
    AF_TRY(check_text(b, text));
    yaml_parser_set_encoding(&b->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b->parser, (const unsigned char *)text.ptr, text.len);
    AF_TRY(parse_events(b));
    if (b->root == NULL) {
        struct af_yaml *node;
        AF_TRY(add_node(b, AF_YAML_NULL, (yaml_mark_t){ 0 }, &node));
    }
    return AF_OK;
}

enum af_status af_yaml_parse(const char *name, struct af_slice text, struct af_arena *arena, struct af_yaml **out,
                             struct af_error *err)
{
    assert(name != NULL && arena != NULL && out != NULL);
    if (text.len == 0)
        text = (struct af_slice){ "", 0 };
    if (af_slice_has_prefix(text, "\xEF\xBB\xBF"))
        text = (struct af_slice){ text.ptr + 3, text.len - 3 };
    struct builder *b = af_alloc_zero(1, sizeof *b);
    if (b == NULL)
        return af_fail_nomem(err, name);
    b->name = name;
    b->arena = arena;
    b->err = err;
    b->levels[0].tail = &b->root;
    b->levels[0].anchor_id = UINT32_MAX;
    af_intern_init(&b->keys);
    af_intern_init(&b->anchor_names);
    af_buf_init(&b->key_buf, (size_t)AF_YAML_BYTES_MAX + 64);
    enum af_status status = yaml_parser_initialize(&b->parser) ? build(b, text) : af_fail_nomem(err, name);
    if (status == AF_OK)
        *out = b->root;
    builder_done(b);
    af_free(b);
    return status;
}

const struct af_yaml *af_yaml_get(const struct af_yaml *map, const char *key)
{
    if (map == NULL || map->kind != AF_YAML_MAP)
        return NULL;
    struct af_slice want = af_slice_of(key);
    for (const struct af_yaml *node = map->first; node != NULL; node = node->next)
        if (af_slice_eq(node->key, want))
            return node;
    return NULL;
}
