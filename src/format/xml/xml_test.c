/* xml_test.c - trees, what is refused, and memory that runs out. */
#include "format/xml/xml.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_error err;

static struct af_xml *parse(struct af_arena *arena, const char *text)
{
    struct af_xml *root = NULL;
    AF_CHECK_OK(af_xml_parse(af_slice_of(text), arena, &root, &err), err);
    return root;
}

AF_TEST(a_tree_of_elements)
{
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    const struct af_xml *root = parse(&arena, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c --><List xmlns=\"http://s3\">"
                                              "<Name>b&amp;&#65;&lt;</Name><C><Key>a</Key></C><Other/><C><Key>\xc3\xa9</Key></C></List>");
    AF_CHECK_SLICE(root->name, "List");
    AF_CHECK_SLICE(af_xml_text(root, "Name"), "b&A<");
    const struct af_xml *c = af_xml_get(root, "C");
    AF_CHECK_SLICE(af_xml_text(c, "Key"), "a");
    c = af_xml_next(c);
    AF_CHECK_SLICE(af_xml_text(c, "Key"), "\xc3\xa9");
    AF_CHECK(af_xml_next(c) == NULL);
    AF_CHECK_SLICE(af_xml_text(root, "Other"), "");
    AF_CHECK(af_xml_text(root, "Other").ptr != NULL && af_xml_text(root, "None").ptr == NULL && af_xml_get(NULL, "x") == NULL);
    af_arena_done(&arena);
}

AF_TEST(prefixes_attributes_cdata_and_mixed_text)
{
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    const struct af_xml *root = parse(&arena, "<s:E s:a='1' b='2'>one<!-- x --><![CDATA[<two>]]><in>deep</in>three<?pi?>four</s:E>");
    AF_CHECK_SLICE(root->name, "E");
    AF_CHECK_SLICE(root->text, "one<two>threefour");
    AF_CHECK_SLICE(af_xml_text(root, "in"), "deep");
    AF_CHECK_SLICE(parse(&arena, "<a:/>")->name, "a:");
    AF_CHECK_SLICE(parse(&arena, "<a:._1/>")->name, "a:._1");
    af_arena_done(&arena);
}

AF_TEST(what_is_no_xml)
{
    static const char *const bad[] = { "", " ", "{}", "<a>", "<a></b>", "<a/><b/>", "<a>&nbsp;</a>", "<a>\xff</a>", "<a/>x", "<a",
                                       "<a b></a>",
                                       "<a>\x01</a>" };
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    struct af_xml *root = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (af_xml_parse(af_slice_of(bad[i]), &arena, &root, &err) != AF_ECORRUPT)
            af_test_failed(__FILE__, __LINE__, "taken: %s", bad[i]);
    AF_CHECK_FAILS(af_xml_parse(af_slice_of("<a>\n  <b></c></a>"), &arena, &root, &err), AF_ECORRUPT);
    AF_CHECK_INT(err.line, 2);
    AF_CHECK(root == NULL);
    af_arena_done(&arena);
}

AF_TEST(document_types_are_refused)
{
    static const char *const bad[] = {
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        "<!DOCTYPE a [<!ENTITY l 'lol'><!ENTITY m '&l;&l;&l;&l;&l;&l;&l;&l;'><!ENTITY n '&m;&m;&m;&m;&m;&m;&m;&m;'>]><a>&n;</a>",
    };
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    struct af_xml *root = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        AF_CHECK_FAILS(af_xml_parse(af_slice_of(bad[i]), &arena, &root, &err), AF_ECORRUPT);
        AF_CHECK(strstr(err.message, "document type") != NULL);
    }
    af_arena_done(&arena);
}

AF_TEST(depth_and_size_have_limits)
{
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    struct af_buf text;
    af_buf_init(&text, 8 << 20);
    for (int deep = AF_XML_DEPTH_MAX; deep <= AF_XML_DEPTH_MAX + 1; deep++) {
        af_buf_clear(&text);
        for (int i = 0; i < deep; i++)
            af_buf_append_str(&text, "<a>");
        for (int i = 0; i < deep; i++)
            af_buf_append_str(&text, "</a>");
        struct af_xml *root = NULL;
        AF_CHECK_FAILS(af_xml_parse(af_buf_slice(&text), &arena, &root, &err), deep > AF_XML_DEPTH_MAX ? AF_ELIMIT : AF_OK);
    }
    af_buf_clear(&text);
    af_buf_append_str(&text, "<a>");
    for (int i = 0; i < 200000; i++)
        af_buf_append_str(&text, "<b/>");
    af_buf_append_str(&text, "</a>");
    struct af_xml *root = NULL;
    AF_CHECK_FAILS(af_xml_parse(af_buf_slice(&text), &arena, &root, &err), AF_ELIMIT);
    af_buf_done(&text);
    af_arena_done(&arena);
}

AF_TEST(large_documents_come_in_pieces)
{
    struct af_arena arena;
    af_arena_init(&arena, 64 << 20);
    struct af_buf text;
    af_buf_init(&text, 8 << 20);
    af_buf_append_str(&text, "<a>");
    for (int i = 0; i < 50000; i++)
        af_buf_printf(&text, "<Key>some/rather/long/prefix/of/a/key/%d</Key>", i);
    af_buf_append_str(&text, "</a>");
    AF_CHECK(text.len > 2 << 20);
    struct af_xml *root = NULL;
    AF_CHECK_OK(af_xml_parse(af_buf_slice(&text), &arena, &root, &err), err);
    int count = 0;
    char want[64];
    for (const struct af_xml *key = root->first; key != NULL; key = key->next, count++) {
        (void)snprintf(want, sizeof want, "some/rather/long/prefix/of/a/key/%d", count);
        AF_CHECK_SLICE(key->text, want);
    }
    AF_CHECK_INT(count, 50000);
    af_buf_done(&text);
    af_arena_done(&arena);
}

AF_TEST(text_is_escaped)
{
    struct af_buf out;
    af_buf_init(&out, 1024);
    af_xml_append_text(&out, AF_SLICE_LIT("a<b>&\"c'\r\n"));
    AF_CHECK_SLICE(af_buf_slice(&out), "a&lt;b&gt;&amp;\"c'&#13;\n");
    af_buf_done(&out);
}

AF_TEST(every_allocation_may_fail)
{
    for (size_t n = 1;; n++) {
        struct af_arena arena;
        af_arena_init(&arena, 1 << 20);
        struct af_xml *root = NULL;
        (void)af_alloc_fail_nth(n);
        enum af_status status = af_xml_parse(AF_SLICE_LIT("<a><b>text</b>more<c>x</c>again</a>"), &arena, &root, &err);
        (void)af_alloc_fail_nth(0);
        af_arena_done(&arena);
        if (status == AF_OK) {
            AF_CHECK(n > 3);
            return;
        }
        AF_CHECK_INT(status, AF_ENOMEM);
        AF_CHECK(root == NULL);
    }
}
