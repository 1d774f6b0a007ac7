/* json_test.c - tree, events, places, limits, failing memory, writing. */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/prng.h"
#include "base/utf8.h"
#include "format/json/json_int.h"
#include "test/lib/test.h"
#include <math.h>
#include <stdio.h>

static struct af_arena arena;
static struct af_error err;

static struct af_json *parse(const char *text)
{
    struct af_json *root = NULL;
    af_arena_init(&arena, 1 << 24);
    AF_CHECK_OK(af_json_parse(af_slice_of(text), &arena, &root, &err), err);
    return root;
}

AF_TEST(json_tree_holds_what_was_written)
{
    struct af_json *root = parse("{\"a\":[1,2.50,-0,1e400],"
                                 "\"b\":{\"c\":\"x\\n\\u00e9\\ud83d\\ude00\"},\"d\":true,\"e\":null,\"\":false}");
    AF_CHECK_INT(root->kind, AF_JSON_OBJECT);
    const struct af_json *a = af_json_get(root, "a");
    AF_CHECK(a != NULL && a->kind == AF_JSON_ARRAY);
    const char *const numbers[] = { "1", "2.50", "-0", "1e400" };
    size_t n = 0;
    for (const struct af_json *item = a->first; item != NULL; item = item->next) {
        AF_CHECK_INT(item->kind, AF_JSON_NUMBER);
        AF_CHECK_SLICE(item->text, numbers[n++]);
    }
    AF_CHECK_INT(n, 4);
    AF_CHECK_SLICE(af_json_string(af_json_get(root, "b"), "c"), "x\n\xC3\xA9\xF0\x9F\x98\x80");
    AF_CHECK(af_json_get(root, "d")->is_true);
    AF_CHECK_INT(af_json_get(root, "e")->kind, AF_JSON_NULL);
    AF_CHECK(!af_json_get(root, "")->is_true);
    AF_CHECK(af_json_get(root, "zz") == NULL);
    AF_CHECK(af_json_get(a, "a") == NULL);
    AF_CHECK(af_json_get(NULL, "a") == NULL);
    AF_CHECK(af_json_string(root, "d").ptr == NULL);
    af_arena_done(&arena);
}

AF_TEST(json_numbers_convert)
{
    struct af_json *root = parse("{\"i\":9223372036854775807,\"f\":0.1,\"s\":\"1\",\"big\":9223372036854775808}");
    int64_t i = 0;
    double f = 0;
    AF_CHECK(af_json_i64(af_json_get(root, "i"), &i));
    AF_CHECK(i == INT64_MAX);
    AF_CHECK(af_json_f64(af_json_get(root, "f"), &f));
    AF_CHECK_F64(f, 0.1);
    AF_CHECK(!af_json_i64(af_json_get(root, "f"), &i));
    AF_CHECK(!af_json_i64(af_json_get(root, "s"), &i));
    AF_CHECK(!af_json_i64(af_json_get(root, "big"), &i));
    AF_CHECK(!af_json_i64(NULL, &i));
    AF_CHECK(!af_json_f64(NULL, &f));
    af_arena_done(&arena);
}

AF_TEST(json_keeps_the_order_of_members_and_their_repeats)
{
    struct af_json *root = parse("  {\"k\":1,\"j\":2,\"k\":3}\n");
    AF_CHECK_SLICE(root->first->key, "k");
    AF_CHECK_SLICE(root->first->next->key, "j");
    AF_CHECK_SLICE(root->first->next->next->text, "3");
    AF_CHECK_SLICE(af_json_get(root, "k")->text, "1");
    af_arena_done(&arena);
}

static void refused(const char *text, size_t len, enum af_status status, uint32_t line)
{
    struct af_json *root = NULL;
    af_arena_init(&arena, 1 << 24);
    enum af_status got = af_json_parse(af_slice_make(text, len), &arena, &root, &err);
    if (got != status || root != NULL)
        af_test_failed(__FILE__, __LINE__, "%.*s: %s", (int)len, text, af_status_name(got));
    if (line != 0)
        AF_CHECK_INT(err.line, line);
    AF_CHECK(err.column != 0);
    AF_CHECK_OK(af_json_parse(AF_SLICE_LIT("1"), &arena, &root, NULL), err);
    af_arena_done(&arena);
}

AF_TEST(json_refuses_what_is_not_json)
{
    static const char *const bad[] = { "", " ", "{", "[1,", "[1,]", "{\"a\"}", "{\"a\":,}", "nul", "'a'", "[1] [2]", "01",
                                       "+1", "\"abc", "\"a\tb\"", "\"\\x\"", "// c\n1", "NaN", "1.", "[\"\xC3\"]",
                                       "[\"\xC0\xAF\"]", "[\"\xED\xA0\x80\"]", "\"\\udc00\"", "{1:2}", "}" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused(bad[i], strlen(bad[i]), AF_ECORRUPT, 1);
    refused("\"a\0b\"", 5, AF_ECORRUPT, 1);
    refused("{\n \"a\": 1,\n \"b\": x\n}", 20, AF_ECORRUPT, 3);
    AF_CHECK(err.column >= 6 && err.column <= 8);
    refused("[\n\n\n", 4, AF_ECORRUPT, 0);
}

AF_TEST(json_depth_has_an_end)
{
    char text[4 * AF_JSON_DEPTH_MAX];
    memset(text, '[', AF_JSON_DEPTH_MAX + 1);
    memset(text + AF_JSON_DEPTH_MAX + 1, ']', AF_JSON_DEPTH_MAX + 1);
    refused(text, 2 * AF_JSON_DEPTH_MAX + 2, AF_ELIMIT, 1);
    struct af_json *root = NULL;
    af_arena_init(&arena, 1 << 24);
    AF_CHECK_OK(af_json_parse(af_slice_make(text + 1, 2 * AF_JSON_DEPTH_MAX), &arena, &root, &err), err);
    af_arena_done(&arena);
}

AF_TEST(json_arena_limit_is_a_limit)
{
    struct af_json *root = NULL;
    af_arena_init(&arena, 200);
    AF_CHECK_FAILS(af_json_parse(AF_SLICE_LIT("[1,2,3,4]"), &arena, &root, &err), AF_ELIMIT);
    AF_CHECK(root == NULL);
    af_arena_done(&arena);
}

/* --- events: each is written down as a word --- */

struct log {
    char text[4096];
    size_t len;
    int stop_at; /* this many events, then refuse */
};

static enum af_status note(struct log *log, const char *word, struct af_slice text, struct af_error *error)
{
    if (log->stop_at != 0 && --log->stop_at == 0)
        return af_fail(error, AF_ECANCELED, "enough");
    AF_CHECK(log->len + text.len + 16 < sizeof log->text);
    log->len += (size_t)snprintf(log->text + log->len, sizeof log->text - log->len, "%s%.*s ", word, (int)text.len, text.ptr);
    return AF_OK;
}

static enum af_status on_value(void *ctx, enum af_json_kind kind, bool is_true, struct af_slice text, struct af_error *error)
{
    const char *const words[] = { "null", is_true ? "true" : "false", "#", "$" };
    return note(ctx, words[kind], text, error);
}

static enum af_status on_begin(void *ctx, enum af_json_kind kind, struct af_error *error)
{
    return note(ctx, kind == AF_JSON_ARRAY ? "[" : "{", (struct af_slice){ "", 0 }, error);
}

static enum af_status on_end(void *ctx, enum af_json_kind kind, struct af_error *error)
{
    return note(ctx, kind == AF_JSON_ARRAY ? "]" : "}", (struct af_slice){ "", 0 }, error);
}

static enum af_status on_key(void *ctx, struct af_slice key, struct af_error *error)
{
    return note(ctx, ":", key, error);
}

static const struct af_json_handler handler = { on_value, on_begin, on_end, on_key };

/* Feed `text` in pieces of `step` bytes. */
static enum af_status events(const char *text, size_t step, struct log *log)
{
    struct af_json_reader *reader;
    AF_TRY(af_json_reader_new(&handler, log, &reader, &err));
    enum af_status status = AF_OK;
    size_t len = strlen(text);
    for (size_t at = 0; at < len && status == AF_OK; at += step) {
        /* A copy without a byte to spare, so that ASan sees an overrun. */
        size_t n = len - at < step ? len - at : step;
        char *piece = af_alloc(n);
        if (piece == NULL) {
            status = af_fail_nomem(&err, "a piece");
            break;
        }
        memcpy(piece, text + at, n);
        status = af_json_reader_feed(reader, af_slice_make(piece, n), &err);
        af_free(piece);
    }
    if (status == AF_OK)
        status = af_json_reader_finish(reader, &err);
    af_json_reader_free(reader);
    return status;
}

AF_TEST(json_events_do_not_depend_on_the_pieces)
{
    const char *text = "{\"results\":[{\"a\\\"\\u00e9\":[\"2\xC3\xA9\",1.5e3,null,true]}]}\n{\"next\":false}\n[] 7";
    const char *want = "{ :results [ { :a\"\xC3\xA9 [ $2\xC3\xA9 #1.5e3 null true ] } ] } { :next false } [ ] #7 ";
    for (size_t step = 1; step <= strlen(text); step++) {
        struct log log = { 0 };
        AF_CHECK_OK(events(text, step, &log), err);
        AF_CHECK_STR(log.text, want);
    }
}

AF_TEST(json_events_tell_a_cut_answer_and_its_place)
{
    for (size_t step = 1; step < 20; step++) {
        struct log log = { 0 };
        AF_CHECK_FAILS(events("{\"a\":[1,2", step, &log), AF_ECORRUPT);
        log = (struct log){ 0 };
        AF_CHECK_FAILS(events("[1,\n2,\n  x]", step, &log), AF_ECORRUPT);
        AF_CHECK_INT(err.line, 3);
        AF_CHECK(err.column >= 3 && err.column <= 4);
    }
}

AF_TEST(json_a_handler_can_stop_the_parse)
{
    for (int stop = 1; stop < 6; stop++) {
        struct log log = { .stop_at = stop };
        AF_CHECK_FAILS(events("{\"a\":[1]}", 3, &log), AF_ECANCELED);
        AF_CHECK_STR(err.message, "enough");
    }
}

AF_TEST(json_a_failed_reader_stays_failed)
{
    struct log log = { 0 };
    struct af_json_reader *reader;
    AF_CHECK_OK(af_json_reader_new(&handler, &log, &reader, &err), err);
    AF_CHECK_FAILS(af_json_reader_feed(reader, AF_SLICE_LIT("}"), &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_json_reader_feed(reader, AF_SLICE_LIT("1"), &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_json_reader_finish(reader, &err), AF_ECORRUPT);
    af_json_reader_free(reader);
    af_json_reader_free(NULL);
}

AF_TEST(json_string_limit_is_seen_across_pieces)
{
    struct log log = { 0 };
    struct af_json_reader *reader;
    AF_CHECK_OK(af_json_reader_new(&handler, &log, &reader, &err), err);
    size_t n = (size_t)AF_STRING_BYTES_MAX + 2;
    char *text = af_alloc(n);
    AF_CHECK(text != NULL);
    memset(text, 'a', n);
    text[0] = '"';
    AF_CHECK_OK(af_json_reader_feed(reader, af_slice_make(text, n), &err), err);
    AF_CHECK_FAILS(af_json_reader_feed(reader, AF_SLICE_LIT("\""), &err), AF_ELIMIT);
    af_free(text);
    af_json_reader_free(reader);
}

AF_TEST(json_survives_every_failed_allocation)
{
    const char *text = "{\"a\":[\"\\u00e9 some longer text that yajl must unescape into a buffer of its own\",[[[[1]]]]]}";
    bool done = false;
    for (size_t n = 1; !done; n++) {
        AF_CHECK(n < 1000);
        struct af_json *root = NULL;
        af_arena_init(&arena, 1 << 20);
        af_alloc_fail_nth(n);
        enum af_status tree = af_json_parse(af_slice_of(text), &arena, &root, &err);
        af_alloc_fail_nth(n);
        struct log log = { 0 };
        enum af_status event = events(text, 7, &log);
        size_t used = af_alloc_fail_nth(0);
        AF_CHECK(tree == AF_OK || tree == AF_ENOMEM);
        AF_CHECK(event == AF_OK || event == AF_ENOMEM);
        AF_CHECK((tree == AF_OK) == (root != NULL));
        done = tree == AF_OK && event == AF_OK && used < n;
        af_arena_done(&arena);
    }
}

/* --- writing --- */

static void writes(struct af_slice text, const char *want)
{
    struct af_buf buf;
    af_buf_init(&buf, 1 << 20);
    af_json_append_string(&buf, text);
    AF_CHECK_SLICE(af_buf_slice(&buf), want);
    af_buf_done(&buf);
}

AF_TEST(json_strings_are_escaped)
{
    writes(AF_SLICE_LIT(""), "\"\"");
    writes(AF_SLICE_LIT("a\"b\\c\n\t\r\b\f\x01\x1f\x7f/"), "\"a\\\"b\\\\c\\n\\t\\r\\b\\f\\u0001\\u001f\x7f/\"");
    writes(AF_SLICE_LIT("\0"), "\"\\u0000\"");
    writes(AF_SLICE_LIT("E\xC3\xB3lica \xF0\x9F\x98\x80"), "\"E\xC3\xB3lica \xF0\x9F\x98\x80\"");
    writes(AF_SLICE_LIT("a\xFF" "b\xC3"), "\"a\xEF\xBF\xBD" "b\xEF\xBF\xBD\"");
    writes(AF_SLICE_LIT("\xE2\x82"), "\"\xEF\xBF\xBD\"");
}

AF_TEST(json_written_strings_read_back)
{
    struct af_prng prng = { 7 };
    struct af_buf buf;
    af_buf_init(&buf, 1 << 20);
    for (int round = 0; round < 2000; round++) {
        char text[80];
        size_t len = (size_t)af_prng_below(&prng, sizeof text);
        for (size_t i = 0; i < len; i++)
            text[i] = (char)af_prng_below(&prng, af_prng_below(&prng, 2) != 0 ? 128 : 40);
        af_buf_clear(&buf);
        af_json_append_string(&buf, af_slice_make(text, len));
        struct af_json *root = NULL;
        af_arena_init(&arena, 1 << 20);
        AF_CHECK_OK(af_json_parse(af_buf_slice(&buf), &arena, &root, &err), err);
        AF_CHECK(af_slice_eq(root->text, af_slice_make(text, len)));
        af_arena_done(&arena);
    }
    af_buf_done(&buf);
}

AF_TEST(json_a_full_buffer_is_left_as_it_was)
{
    struct af_buf buf;
    af_buf_init(&buf, 8);
    af_buf_append_str(&buf, "abc");
    af_json_append_string(&buf, AF_SLICE_LIT("0123456789"));
    AF_CHECK(buf.failed);
    AF_CHECK_SLICE(af_buf_slice(&buf), "abc");
    af_buf_done(&buf);
}

AF_TEST(json_floats)
{
    struct af_buf buf;
    af_buf_init(&buf, 100);
    const double values[] = { 0.1, 1e21, NAN, -INFINITY, 5 };
    for (size_t i = 0; i < 5; i++) {
        af_json_append_f64(&buf, values[i]);
        af_buf_append_char(&buf, ' ');
    }
    AF_CHECK_SLICE(af_buf_slice(&buf), "0.1 1e+21 null null 5 ");
    af_buf_done(&buf);
}
