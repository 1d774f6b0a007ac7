/*
 * xml_fuzz.c - what holds for any bytes: a tree keeps its limits, and printed again (names and text) it parses to the same tree.
 */
#include "base/limits.h"
#include "base/utf8.h"
#include "format/xml/xml.h"
#include <stdlib.h>

#define MUST(cond)                                                                                           \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            abort();                                                                                         \
    } while (0)

static int print(struct af_buf *out, const struct af_xml *element)
{
    int depth = 0;
    MUST(element->name.len > 0 && af_utf8_is_valid(element->text));
    af_buf_printf(out, "<%s>", element->name.ptr);
    af_xml_append_text(out, element->text);
    for (const struct af_xml *child = element->first; child != NULL; child = child->next) {
        int below = print(out, child);
        depth = below > depth ? below : depth;
    }
    af_buf_printf(out, "</%s>", element->name.ptr);
    return depth + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 16)
        return 0;
    struct af_arena arena;
    af_arena_init(&arena, 64 << 20);
    struct af_xml *root = NULL;
    struct af_error err = { 0 };
    enum af_status status = af_xml_parse(af_slice_make(data, size), &arena, &root, &err);
    MUST(status == AF_OK || ((status == AF_ECORRUPT || status == AF_ELIMIT) && root == NULL && err.message[0] != '\0'));
    if (status == AF_OK) {
        struct af_buf first, second;
        af_buf_init(&first, 64 << 20);
        af_buf_init(&second, 64 << 20);
        MUST(print(&first, root) <= AF_XML_DEPTH_MAX);
        MUST(af_xml_parse(af_buf_slice(&first), &arena, &root, NULL) == AF_OK);
        (void)print(&second, root);
        MUST(af_slice_eq(af_buf_slice(&first), af_buf_slice(&second)));
        af_buf_done(&first);
        af_buf_done(&second);
    }
    af_arena_done(&arena);
    return 0;
}
