/* yaml_test.c - trees, places, refusals, limits, failing memory, writing. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/limits.h"
#include "format/yaml/yaml.h"
#include "test/lib/test.h"

static struct af_arena arena;
static struct af_error err;

static struct af_yaml *parse(const char *text)
{
    struct af_yaml *root = NULL;
    af_arena_init(&arena, 1 << 24);
    AF_CHECK_OK(af_yaml_parse("t.yaml", af_slice_of(text), &arena, &root, &err), err);
    return root;
}

AF_TEST(yaml_tree_holds_what_was_written)
{
    struct af_yaml *root = parse("# comment\n"
                                 "measurement: generation_data\n"
                                 "tags:\n"
                                 "  - {name: region, from: id_subsistema}\n"
                                 "  - 'quoted: text'\n"
                                 "empty:\n"
                                 "tilde: ~\n"
                                 "block: |\n"
                                 "  two\n"
                                 "  lines\n"
                                 "no: \"no\"\n");
    AF_CHECK_INT(root->kind, AF_YAML_MAP);
    AF_CHECK_SLICE(af_yaml_get(root, "measurement")->text, "generation_data");
    const struct af_yaml *tags = af_yaml_get(root, "tags");
    AF_CHECK_INT(tags->kind, AF_YAML_LIST);
    AF_CHECK_INT(tags->line, 3);
    AF_CHECK_INT(tags->column, 1);
    AF_CHECK_INT(tags->first->kind, AF_YAML_MAP);
    AF_CHECK_INT(tags->first->line, 4);
    AF_CHECK_INT(tags->first->column, 5);
    const struct af_yaml *from = af_yaml_get(tags->first, "from");
    AF_CHECK_SLICE(from->text, "id_subsistema");
    AF_CHECK_INT(from->column, 20);
    AF_CHECK_SLICE(tags->first->next->text, "quoted: text");
    AF_CHECK(tags->first->next->is_quoted);
    AF_CHECK(tags->first->next->next == NULL);
    AF_CHECK_INT(af_yaml_get(root, "empty")->kind, AF_YAML_NULL);
    AF_CHECK_INT(af_yaml_get(root, "tilde")->kind, AF_YAML_NULL);
    AF_CHECK_SLICE(af_yaml_get(root, "block")->text, "two\nlines\n");
    AF_CHECK_SLICE(af_yaml_get(root, "no")->text, "no");
    AF_CHECK(af_yaml_get(root, "absent") == NULL);
    AF_CHECK(af_yaml_get(NULL, "absent") == NULL);
    AF_CHECK(af_yaml_get(tags, "absent") == NULL);
    af_arena_done(&arena);
}

AF_TEST(yaml_truth_is_unquoted)
{
    struct af_yaml *root = parse("[true, False, YES, no, On, off, 'yes', y, 1, null]");
    const int want[] = { 1, 0, 1, 0, 1, 0, -1, -1, -1, -1 };
    const struct af_yaml *node = root->first;
    for (size_t i = 0; i < 10; i++, node = node->next) {
        bool value = false;
        int got = af_yaml_bool(node, &value) ? value : -1;
        AF_CHECK_INT(got, want[i]);
    }
    bool value;
    AF_CHECK(!af_yaml_bool(NULL, &value));
    af_arena_done(&arena);
}

AF_TEST(yaml_empty_documents_are_null)
{
    const char *const texts[] = { "", "\n", "# only a comment\n", "---\n", "\xEF\xBB\xBF", "---\n...\n", "null" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        AF_CHECK_INT(parse(texts[i])->kind, AF_YAML_NULL);
        af_arena_done(&arena);
    }
}

AF_TEST(yaml_aliases_share_what_they_name)
{
    struct af_yaml *root = parse("a: &x {p: 1, q: [2, 3]}\nb: *x\nc: [*x, *x]\nd: &s text\ne: *s\n");
    const struct af_yaml *b = af_yaml_get(root, "b");
    AF_CHECK_INT(b->kind, AF_YAML_MAP);
    AF_CHECK_SLICE(b->key, "b");
    AF_CHECK_INT(b->line, 2);
    AF_CHECK_SLICE(af_yaml_get(b, "q")->first->next->text, "3");
    AF_CHECK_SLICE(af_yaml_get(root, "c")->first->next->first->text, "1");
    AF_CHECK_SLICE(af_yaml_get(root, "e")->text, "text");
    af_arena_done(&arena);
    root = parse("[&a 1, *a, &a 2, *a]"); /* the latest of a name counts */
    AF_CHECK_SLICE(root->first->next->text, "1");
    AF_CHECK_SLICE(root->first->next->next->next->text, "2");
    af_arena_done(&arena);
}

AF_TEST(yaml_same_keys_in_different_maps)
{
    struct af_yaml *root = parse("a: {k: 1}\nb: {k: 2, a: {k: 3}}\nk: 4\n");
    AF_CHECK_SLICE(af_yaml_get(af_yaml_get(af_yaml_get(root, "b"), "a"), "k")->text, "3");
    af_arena_done(&arena);
}

static void refused(struct af_slice text, enum af_status status, uint32_t line, uint32_t column)
{
    struct af_yaml *root = NULL;
    af_arena_init(&arena, 1 << 26);
    enum af_status got = af_yaml_parse("t.yaml", text, &arena, &root, &err);
    if (got != status || root != NULL)
        af_test_failed(__FILE__, __LINE__, "%.100s: %s", text.ptr, af_status_name(got));
    if (err.line != line || err.column != column)
        af_test_failed(__FILE__, __LINE__, "%.100s: at %u:%u, want %u:%u: %s", text.ptr, err.line, err.column, line, column,
                       err.message);
    AF_CHECK(strncmp(err.message, "t.yaml:", 7) == 0);
    af_arena_done(&arena);
}

AF_TEST(yaml_refuses_with_a_place)
{
    static const struct { const char *text; uint32_t line, column; } bad[] = {
        { "a: 1\nb: 2\na: 3\n", 3, 1 },
        { "a: 1\n\"a\": 3\n", 2, 1 },
        { "{x: 1, y: {z: 1, z: 2}}", 1, 18 },
        { "a: !!str 1\n", 1, 4 },
        { "!t [1]\n", 1, 1 },
        { "a: !m {}\n", 1, 4 },
        { "%TAG ! tag:x,2000:\n---\na: 1\n", 1, 1 },
        { "a: 1\n---\nb: 1\n", 2, 1 },
        { "a: *nope\n", 1, 4 },
        { "a: &x [*x]\n", 1, 8 },
        { "? [1]\n: 2\n", 1, 3 },
        { "{{a}: 1}\n", 1, 2 },
        { "a: &k b\n*k : 1\n", 2, 1 },
        { "&k a: 1\n", 1, 1 },
        { "a: [1\nb: 2\n", 2, 2 },
        { "a: b: c\n", 1, 5 },
        { "a:\n\t- 1\n", 2, 1 },
        { "a: \"x\n", 2, 1 },
        { "ok: 1\nx: caf\xE9\n", 2, 7 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused(af_slice_of(bad[i].text), AF_EINVAL, bad[i].line, bad[i].column);
}

AF_TEST(yaml_repeated_key_names_both_lines)
{
    refused(AF_SLICE_LIT("x: 1\na: 1\n\na: 3\n"), AF_EINVAL, 4, 1);
    AF_CHECK(strstr(err.message, "\"a\"") != NULL);
    AF_CHECK(strstr(err.message, "first on line 2") != NULL);
}

AF_TEST(yaml_depth_has_an_end)
{
    char text[2 * (AF_YAML_DEPTH_MAX + 1) + 1];
    memset(text, '[', AF_YAML_DEPTH_MAX + 1);
    memset(text + AF_YAML_DEPTH_MAX + 1, ']', AF_YAML_DEPTH_MAX + 1);
    text[sizeof text - 1] = '\0';
    refused(af_slice_of(text), AF_ELIMIT, 1, AF_YAML_DEPTH_MAX + 1);
    text[sizeof text - 2] = '\0';
    (void)parse(text + 1);
    af_arena_done(&arena);
}

AF_TEST(yaml_depth_counts_through_aliases)
{
    /* Each line is one deeper than the line before. */
    struct af_buf buf;
    af_buf_init(&buf, 1 << 16);
    af_buf_append_str(&buf, "- &a0 [1]\n");
    for (int i = 1; i < AF_YAML_DEPTH_MAX - 1; i++)
        af_buf_printf(&buf, "- &a%d [*a%d]\n", i, i - 1);
    (void)parse(af_buf_cstr(&buf));
    af_arena_done(&arena);
    af_buf_printf(&buf, "- [*a%d]\n", AF_YAML_DEPTH_MAX - 2);
    refused(af_buf_slice(&buf), AF_ELIMIT, AF_YAML_DEPTH_MAX, 4);
    af_buf_done(&buf);
}

AF_TEST(yaml_billion_laughs_end_at_once)
{
    struct af_buf buf;
    af_buf_init(&buf, 1 << 16);
    af_buf_append_str(&buf, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        af_buf_printf(&buf, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            af_buf_printf(&buf, "%s*a%d", k == 0 ? "" : ", ", i - 1);
        af_buf_append_str(&buf, "]\n");
    }
    struct af_yaml *root = NULL;
    af_arena_init(&arena, 1 << 26);
    AF_CHECK_FAILS(af_yaml_parse("t.yaml", af_buf_slice(&buf), &arena, &root, &err), AF_ELIMIT);
    AF_CHECK_INT(err.line, 5); /* 11 + 111 + 1,111 + 11,111 are fine, the 100,000 of line 5 are too many */
    AF_CHECK(strstr(err.message, "AF_YAML_NODES_MAX") != NULL);
    AF_CHECK(arena.bytes_used < 100000);
    af_arena_done(&arena);
    af_buf_done(&buf);
}

AF_TEST(yaml_sizes_have_an_end)
{
    size_t n = (size_t)AF_YAML_BYTES_MAX + 1;
    char *text = af_alloc(n);
    AF_CHECK(text != NULL);
    memset(text, ' ', n);
    struct af_yaml *root = NULL;
    af_arena_init(&arena, 1 << 26);
    AF_CHECK_FAILS(af_yaml_parse("t.yaml", af_slice_make(text, n), &arena, &root, &err), AF_ELIMIT);
    for (size_t i = 0; i + 2 < n; i += 2)
        memcpy(text + i, i == 0 ? " [" : "1,", 2);
    text[n - 2] = ']';
    AF_CHECK_FAILS(af_yaml_parse("t.yaml", af_slice_make(text, n - 1), &arena, &root, &err), AF_ELIMIT);
    AF_CHECK(root == NULL);
    af_free(text);
    af_arena_done(&arena);
}

/* Of a map with many keys: quick, and the last one is still found to be a repeat. */
AF_TEST(yaml_many_keys)
{
    struct af_buf buf;
    af_buf_init(&buf, 1 << 20);
    for (int i = 0; i < 40000; i++)
        af_buf_printf(&buf, "k%d: 1\n", i);
    (void)parse(af_buf_cstr(&buf));
    af_arena_done(&arena);
    af_buf_append_str(&buf, "k39999: 1\n");
    refused(af_buf_slice(&buf), AF_EINVAL, 40001, 1);
    af_buf_done(&buf);
}

AF_TEST(yaml_survives_every_failed_allocation)
{
    const char *text = "a: &x {p: 1, q: [2, 3]}\nb: *x\nc: [*x, &y 'z']\n";
    for (size_t n = 1;; n++) {
        AF_CHECK(n < 1000);
        struct af_yaml *root = NULL;
        af_arena_init(&arena, 1 << 20);
        af_alloc_fail_nth(n);
        enum af_status status = af_yaml_parse("t.yaml", af_slice_of(text), &arena, &root, &err);
        size_t used = af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK((status == AF_OK) == (root != NULL));
        af_arena_done(&arena);
        if (used < n) {
            AF_CHECK(status == AF_OK);
            return;
        }
    }
}

/* --- writing --- */

static void writes(struct af_slice text, const char *want)
{
    struct af_buf buf;
    af_buf_init(&buf, 1 << 20);
    af_yaml_append_scalar(&buf, text);
    AF_CHECK_SLICE(af_buf_slice(&buf), want);
    struct af_yaml *root = NULL;
    af_arena_init(&arena, 1 << 20);
    AF_CHECK_OK(af_yaml_parse("t.yaml", af_buf_slice(&buf), &arena, &root, &err), err);
    AF_CHECK_INT(root->kind, AF_YAML_SCALAR);
    if (strchr(want, '\xEF') == NULL)
        AF_CHECK(af_slice_eq(root->text, text));
    af_arena_done(&arena);
    af_buf_done(&buf);
}

AF_TEST(yaml_scalars_are_quoted_where_they_must)
{
    writes(AF_SLICE_LIT("generation_data"), "generation_data");
    writes(AF_SLICE_LIT("America/Sao_Paulo"), "America/Sao_Paulo");
    writes(AF_SLICE_LIT("two words"), "two words");
    writes(AF_SLICE_LIT(""), "''");
    writes(AF_SLICE_LIT("no"), "'no'");
    writes(AF_SLICE_LIT("nUll"), "'nUll'");
    writes(AF_SLICE_LIT("y"), "'y'");
    writes(AF_SLICE_LIT("1.5"), "'1.5'");
    writes(AF_SLICE_LIT("-"), "'-'");
    writes(AF_SLICE_LIT("it's"), "'it''s'");
    writes(AF_SLICE_LIT("a: b #c"), "'a: b #c'");
    writes(AF_SLICE_LIT("ends "), "'ends '");
    writes(AF_SLICE_LIT("E\xC3\xB3lica"), "'E\xC3\xB3lica'");
    writes(AF_SLICE_LIT("a\nb\t\"\\"), "\"a\\nb\\t\\\"\\\\\"");
    writes(AF_SLICE_LIT("\0\x7f\xC2\x85\xE2\x80\xA8"), "\"\\x00\\x7F\\x85\\u2028\"");
    writes(AF_SLICE_LIT("bad\xFF"), "\"bad\xEF\xBF\xBD\"");
}
