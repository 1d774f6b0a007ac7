/* source_s3_test.c - patterns; what an s3:// argument names; a changed object is another unit. */
#include "aws/s3_fixture.h"
#include "ingest/ingest_int.h"
#include "ingest/source_int.h"
#include <stdio.h>

AF_TEST(source_patterns)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        { "", "", true },
        { "a", "a", true },
        { "a", "ab", false },
        { "*", "abc", true },
        { "*", "", true },
        { "*", "a/b", false },
        { "*/*", "a/b", true },
        { "a*c", "abbbc", true },
        { "a*c", "abbbcd", false },
        { "a*b*c", "aXbYbZc", true },
        { "*.parquet", "x.parquet", true },
        { "*.parquet", "d/x.parquet", false },
        { "year=20[12]?/*", "year=2024/x", true },
        { "year=20[12]?/*", "year=2034/x", false },
        { "[a-c]", "b", true },
        { "[!a-c]", "b", false },
        { "[^a-c]", "d", true },
        { "[]]", "]", true },
        { "[a-]", "-", true },
        { "[/]", "/", false },
        { "[", "[", true },
        { "[a", "[a", true },
        { "a[", "a[", true },
        { "?", "\xc3\xa9", true },
        { "??", "\xc3\xa9", false },
        { "?", "/", false },
        { "[\xc3\xa0-\xc3\xaf]", "\xc3\xa9", true },
        { "[!a]", "\xc3\xa9", true },
        { "[\xc3\xa9]", "\xc3\xa8", false },
        { "\\*", "*", true },
        { "\\*", "x", false },
        { "\\", "\\", true },
        { "*a", "aaaa", true },
        { "**", "ab", true },
        { "?", "", false },
        { "a?", "a", false },
        { "?", "\xc3", true }, /* no UTF-8: a byte is a letter */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (af_source_matches(cases[i].pattern, cases[i].text) != cases[i].matches)
            af_test_failed(__FILE__, __LINE__, "\"%s\" and \"%s\"", cases[i].pattern, cases[i].text);
}

/* Time stays bounded: a pattern of many stars against a text that nearly fits. */
AF_TEST(source_patterns_do_not_explode)
{
    char pattern[200] = "";
    char text[1000];
    for (size_t i = 0; i < 60; i++)
        memcpy(pattern + 2 * i, "*a", 3);
    memcpy(pattern + 120, "b", 2);
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    AF_CHECK(!af_source_matches(pattern, text));
}

AF_TEST(source_s3_needs_somebody_who_has_it)
{
    static const char *const args[] = { "s3://bucket/x" };
    struct af_source_list list;
    struct af_error err = { 0 };
    AF_CHECK_FAILS(af_source_list_make(args, 1, NULL, &list, &err), AF_EUNSUPPORTED);
}

#define OBJECT(key) "<Contents><Key>" key "</Key><LastModified>2024-01-02T03:04:05.000Z</LastModified>" \
    "<ETag>\"e-" key "\"</ETag><Size>5</Size></Contents>"

/* A bucket whose service lists as it likes, not in order. */
static bool list_objects(void *ctx, struct af_slice request, struct af_buf *out)
{
    (void)ctx;
    const char *all = "<ListBucketResult><IsTruncated>false</IsTruncated>" OBJECT("p/z.lp") OBJECT("p/a.lp") OBJECT("p/_x.lp")
                      OBJECT("p/.y.lp") OBJECT("p/sub/m.parquet") OBJECT("p/sub/_tmp/n.lp") OBJECT("p/readme.md") OBJECT("p/sub/")
                      "</ListBucketResult>";
    const char *none = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    bool is_below = memmem(request.ptr, request.len, "prefix=p%2F", 11) != NULL;
    say(out, "200 OK", "", af_slice_of(is_below ? all : none));
    return false;
}

static enum af_status give_s3(void *ctx, struct af_s3 **out, struct af_error *err)
{
    (void)err;
    *out = ctx;
    return AF_OK;
}

AF_TEST(source_s3_list_is_sorted_and_complete)
{
    static const char *const args[] = { "s3://bucket/p" };
    static const char *const none[] = { "s3://bucket/q" };
    struct af_aws *aws;
    struct af_s3 *s3;
    struct af_source_list list;
    struct af_error err = { 0 };
    struct af_peer *peer = af_peer_start_with(list_objects, NULL);
    pool_open(af_peer_url(peer), NULL, &aws, &s3);
    const struct af_source_from from = { give_s3, s3, NULL };
    AF_CHECK_OK(af_source_list_make(args, 1, &from, &list, &err), err);
    AF_CHECK_INT(list.count, 3);
    AF_CHECK_STR(list.items[0].path, "s3://bucket/p/a.lp");
    AF_CHECK_STR(list.items[1].path, "s3://bucket/p/sub/m.parquet");
    AF_CHECK_STR(list.items[2].path, "s3://bucket/p/z.lp");
    AF_CHECK_STR(list.items[2].etag, "e-p/z.lp");
    AF_CHECK(list.items[1].format == AF_SOURCE_PARQUET && list.items[0].format == AF_SOURCE_LP && list.items[0].s3 == s3);
    AF_CHECK(list.items[0].bytes == 5 && list.items[0].mtime_ns == INT64_C(1704164645000000000) && !list.items[0].is_pipe);
    af_source_list_done(&list);
    AF_CHECK_FAILS(af_source_list_make(none, 1, &from, &list, &err), AF_ENOTFOUND);
    AF_CHECK(strstr(err.message, "s3://bucket/q") != NULL);
    for (size_t nth = 1; nth < 1000; nth++) {
        (void)af_alloc_fail_nth(nth);
        enum af_status status = af_source_list_make(args, 1, &from, &list, &err);
        size_t made = af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        if (status == AF_OK)
            af_source_list_done(&list);
        if (status == AF_OK && made < nth)
            break;
    }
    af_s3_close(s3);
    af_aws_close(aws);
    af_peer_stop(peer);
}

/* Another ETag is another unit, though name, size and time are the same. */
AF_TEST(source_s3_journal_knows_versions)
{
    struct af_source item = { .path = "s3://bucket/k", .bytes = 5, .mtime_ns = 7, .etag = "one" };
    struct af_source_list list = { .count = 1, .items = &item };
    struct af_journal *journal;
    struct af_error err = { 0 };
    char path[300];
    char run[AF_RUN_ID_BYTES] = "run";
    bool resumed;
    size_t source;
    uint32_t part;
    uint64_t bad;
    (void)snprintf(path, sizeof path, "%s/journal", af_test_dir());
    AF_CHECK_OK(af_journal_open(path, 1, false, run, &journal, &resumed, &err), err);
    af_journal_settle(journal, &item, 0, AF_JOURNAL_LAST);
    af_journal_resume_point(journal, &list, &source, &part, &bad);
    AF_CHECK_INT(source, 1);
    memcpy(item.etag, "two", 4);
    af_journal_resume_point(journal, &list, &source, &part, &bad);
    AF_CHECK_INT(source, 0);
    af_journal_close(journal);
}
