/*
 * xml.c - the tree of xml.h, built from libexpat's events.
 *
 *     open[depth] = { the element, where its next child goes, its text so far }
 *
 * Text comes in pieces, between children too. All pieces of the open elements lie in one buffer, each element's behind a mark:
 *
 *     text: "outer before" "inner"          </inner>: cut at inner's mark, copied into the arena
 *            ^mark of outer ^mark of inner
 *
 * which would misplace what follows a child; so an element's earlier text is moved into the arena when a child opens, and joined at its
 * end.
 * Answers of AWS have text or children, not both: the join is rare.
 *
 * expat calls back from C without a way to fail but to stop: a failure is kept and the parser stopped.
 */
#include "format/xml/xml.h"
#include "base/alloc.h"
#include "base/limits.h"
#include <assert.h>
#include <expat.h>

enum { PIECE_BYTES = 1 << 20 }; /* expat counts in int */

struct open_element {
    struct af_xml *element;
    struct af_xml **tail;
};
struct tree {
    XML_Parser parser;
    struct af_arena *arena;
    struct af_error *err;
    enum af_status failed;
    struct af_xml *root;
    struct af_buf text;      /* of the innermost element, since its last child */
    size_t depth;
    struct open_element open[AF_XML_DEPTH_MAX + 1]; /* the bottom is no element: its one child is the document */
};

static void stop(struct tree *tree, enum af_status status)
{
    tree->failed = status;
    (void)XML_StopParser(tree->parser, XML_FALSE);
}

static void stop_nomem(struct tree *tree, size_t bytes)
{
    stop(tree, af_arena_fail(tree->arena, bytes, "an XML document", tree->err));
}

/* Move what was collected into the open element, behind what it has already. */
static bool settle_text(struct tree *tree)
{
    struct af_slice fresh = af_buf_slice(&tree->text);
    if (tree->text.failed) {
        stop(tree, af_buf_check(&tree->text, "text of an XML document", tree->err));
        return false;
    }
    if (fresh.len == 0 || tree->depth == 0)
        return true;
    struct af_slice *text = &tree->open[tree->depth].element->text;
    char *joined = af_arena_alloc(tree->arena, text->len + fresh.len + 1);
    if (joined == NULL) {
        stop_nomem(tree, text->len + fresh.len + 1);
        return false;
    }
    if (text->len > 0)
        memcpy(joined, text->ptr, text->len);
    memcpy(joined + text->len, fresh.ptr, fresh.len);
    joined[text->len + fresh.len] = '\0';
    *text = (struct af_slice){ joined, text->len + fresh.len };
    af_buf_clear(&tree->text);
    return true;
}

/* What may be no name behind its colon stays whole: "a:", "a:1". */
static struct af_slice local_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    unsigned char first = colon != NULL ? (unsigned char)colon[1] : 0, low = first | 0x20;
    return af_slice_of((low >= 'a' && low <= 'z') || first == '_' ? colon + 1 : name);
}

static void XMLCALL on_start(void *ctx, const char *name, const char **attributes)
{
    (void)attributes;
    struct tree *tree = ctx;
    if (tree->failed != AF_OK || !settle_text(tree))
        return;
    if (tree->depth == AF_XML_DEPTH_MAX) {
        stop(tree, af_fail_at(tree->err, AF_ELIMIT, (uint32_t)XML_GetCurrentLineNumber(tree->parser),
                              (uint32_t)XML_GetCurrentColumnNumber(tree->parser) + 1,
                              "XML nested deeper than %d elements", AF_XML_DEPTH_MAX));
        return;
    }
    struct af_xml *element = af_arena_alloc(tree->arena, sizeof *element);
    struct af_slice local = local_name(name);
    char *copy = element != NULL ? af_arena_copy(tree->arena, local) : NULL;
    if (copy == NULL) {
        stop_nomem(tree, sizeof *element + local.len);
        return;
    }
    *element = (struct af_xml){ .name = { copy, local.len }, .text = { "", 0 } };
    *tree->open[tree->depth].tail = element;
    tree->open[tree->depth].tail = &element->next;
    tree->open[++tree->depth] = (struct open_element){ element, &element->first };
}

static void XMLCALL on_end(void *ctx, const char *name)
{
    (void)name;
    struct tree *tree = ctx;
    if (tree->failed != AF_OK || !settle_text(tree))
        return;
    assert(tree->depth > 0);
    tree->depth--;
}

static void XMLCALL on_text(void *ctx, const char *text, int len)
{
    struct tree *tree = ctx;
    if (tree->failed == AF_OK)
        af_buf_append(&tree->text, text, (size_t)len);
}

static void XMLCALL on_doctype(void *ctx, const char *name, const char *system_id, const char *public_id, int has_internal)
{
    (void)name, (void)system_id, (void)public_id, (void)has_internal;
    struct tree *tree = ctx;
    if (tree->failed == AF_OK)
        stop(tree, af_fail_at(tree->err, AF_ECORRUPT, (uint32_t)XML_GetCurrentLineNumber(tree->parser),
                              (uint32_t)XML_GetCurrentColumnNumber(tree->parser) + 1,
                              "XML with a document type (<!DOCTYPE ...>): no service of AWS sends one, and it is not read"));
}

static enum af_status fail_parse(struct tree *tree)
{
    enum XML_Error code = XML_GetErrorCode(tree->parser);
    if (tree->failed != AF_OK)
        return tree->failed;
    if (code == XML_ERROR_NO_MEMORY)
        return af_fail_nomem(tree->err, "an XML document");
    return af_fail_at(tree->err, AF_ECORRUPT, (uint32_t)XML_GetCurrentLineNumber(tree->parser),
                      (uint32_t)XML_GetCurrentColumnNumber(tree->parser) + 1, "not XML: %s", XML_ErrorString(code));
}

static enum af_status feed(struct tree *tree, struct af_slice text)
{
    for (;;) {
        size_t len = text.len < PIECE_BYTES ? text.len : PIECE_BYTES;
        bool is_last = len == text.len;
        if (XML_Parse(tree->parser, text.ptr != NULL ? text.ptr : "", (int)len, is_last) != XML_STATUS_OK || tree->failed != AF_OK)
            return fail_parse(tree);
        if (is_last)
            return AF_OK;
        text.ptr += len;
        text.len -= len;
    }
}

enum af_status af_xml_parse(struct af_slice text, struct af_arena *arena, struct af_xml **out, struct af_error *err)
{
    assert(arena != NULL && out != NULL);
    static const XML_Memory_Handling_Suite memory = { af_alloc, af_realloc, af_free };
    struct tree tree = { .arena = arena, .err = err, .parser = XML_ParserCreate_MM("UTF-8", &memory, NULL) };
    if (tree.parser == NULL)
        return af_fail_nomem(err, "an XML document");
    tree.open[0].tail = &tree.root;
    af_buf_init(&tree.text, AF_STRING_BYTES_MAX);
    XML_SetUserData(tree.parser, &tree);
    XML_SetElementHandler(tree.parser, on_start, on_end);
    XML_SetCharacterDataHandler(tree.parser, on_text);
    XML_SetStartDoctypeDeclHandler(tree.parser, on_doctype);
    enum af_status status = feed(&tree, text);
    XML_ParserFree(tree.parser);
    af_buf_done(&tree.text);
    if (status != AF_OK)
        return status;
    assert(tree.root != NULL);
    *out = tree.root;
    return AF_OK;
}

/* --- looking into it ------------------------------------------------------------------------------------------------------------- */

static const struct af_xml *find(const struct af_xml *from, struct af_slice name)
{
    while (from != NULL && !af_slice_eq(from->name, name))
        from = from->next;
    return from;
}

const struct af_xml *af_xml_get(const struct af_xml *element, const char *name)
{
    return element != NULL ? find(element->first, af_slice_of(name)) : NULL;
}

const struct af_xml *af_xml_next(const struct af_xml *element)
{
    return element != NULL ? find(element->next, element->name) : NULL;
}

struct af_slice af_xml_text(const struct af_xml *element, const char *name)
{
    const struct af_xml *child = af_xml_get(element, name);
    return child != NULL ? child->text : (struct af_slice){ NULL, 0 };
}

static const char *entity_of(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '\r': return "&#13;"; /* a reader would make a line feed of it */
    default: return NULL;
    }
}

void af_xml_append_text(struct af_buf *out, struct af_slice text)
{
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *entity = entity_of(text.ptr[i]);
        if (entity == NULL)
            continue;
        af_buf_append(out, text.ptr + from, i - from);
        af_buf_append_str(out, entity);
        from = i + 1;
    }
    af_buf_append(out, text.ptr + from, text.len - from);
}
