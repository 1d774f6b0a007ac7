/* convert_test.c - tables and files to lines: pieces, refused rows, guesses, failures of a stream, memory that ends anywhere. */
#include "ffi/arrow_fixture.h"
#include "os/file.h"
#include "test/lib/test.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>

static const char mapping[] = "measurement: load\n"
                              "time: { column: t, unit: s }\n"
                              "tags: { region: region }\n"
                              "fields: { mw: mw }\n";

static struct ArrowArrayStream load_stream(void)
{
    static const int64_t t[] = { 9, 1, 2, 3, 4 };
    static const double mw[] = { 9, 1.5, NAN, 2, 4 };
    struct fixture_table table = fixture_table(4);
    fixture_column(&table, "tss:UTC", "t", fixture_fixed(t, 8, 4, 1, "11101"));
    fixture_column(&table, "u", "region", fixture_text("x|se|ne|se|ne", 1, NULL));
    fixture_column(&table, "g", "mw", fixture_fixed(mw, 8, 4, 1, NULL));
    fixture_column(&table, "+l", "unread", fixture_array(4, 0, 0, 2));
    return fixture_stream(&table);
}

static void check_text(struct afluxo_converter *c, size_t bytes, const char *want)
{
    char text[4096];
    size_t used = 0, len = 0;
    const char *piece;
    uint64_t lines, sum = 0, newlines = 0;
    do {
        lines = 0;
        AF_CHECK_INT(af_ffi_convert_next(c, bytes, &piece, &len, &lines), 0);
        AF_CHECK(used + len < sizeof text);
        memcpy(text + used, piece, len);
        used += len;
        sum += lines;
        AF_CHECK(len == 0 || piece[len - 1] == '\n');
    } while (len != 0);
    for (size_t i = 0; i < used; i++)
        newlines += text[i] == '\n';
    AF_CHECK_INT(sum, newlines);
    AF_CHECK_SLICE(((struct af_slice){ text, used }), want);
}

AF_TEST(a_table_becomes_lines_and_rejects)
{
    static const struct afluxo_mapping_options options = { .yaml = mapping };
    struct ArrowArrayStream stream = load_stream();
    struct afluxo_converter *c = NULL;
    struct afluxo_counts counts;
    struct afluxo_reject reject;
    AF_CHECK_INT(af_ffi_convert_stream(&stream, &options, "ms", &c), 0);
    AF_CHECK(stream.release == NULL);
    check_text(c, 0, "load,region=se mw=1.5 1000\nload,region=ne mw=4 4000\n");
    AF_CHECK_INT(af_ffi_convert_reject(c, &reject), 1);
    AF_CHECK_INT(reject.row, 1);
    AF_CHECK_STR(reject.column, "mw");
    AF_CHECK(strstr(reject.raw, "\"region\":\"ne\"") != NULL);
    AF_CHECK_INT(af_ffi_convert_reject(c, &reject), 1);
    AF_CHECK_INT(reject.row, 2);
    AF_CHECK(strstr(reject.reason, "null") != NULL);
    AF_CHECK_INT(af_ffi_convert_reject(c, &reject), 0);
    af_ffi_convert_counts(c, &counts);
    AF_CHECK_INT(counts.rows, 4);
    AF_CHECK_INT(counts.points, 2);
    AF_CHECK_INT(counts.values, 2);
    AF_CHECK_INT(counts.rejected, 2);
    af_ffi_convert_free(c);
    AF_CHECK_INT(live, 0);
}

AF_TEST(pieces_are_whole_lines)
{
    static const struct afluxo_mapping_options options = { .yaml = mapping };
    for (size_t bytes = 1; bytes < 60; bytes++) {
        struct ArrowArrayStream stream = load_stream();
        struct afluxo_converter *c = NULL;
        AF_CHECK_INT(af_ffi_convert_stream(&stream, &options, NULL, &c), 0);
        check_text(c, bytes, "load,region=se mw=1.5 1000000000\nload,region=ne mw=4 4000000000\n");
        af_ffi_convert_free(c);
    }
    AF_CHECK_INT(live, 0);
}

AF_TEST(pieces_have_few_lines_if_asked)
{
    static const struct afluxo_mapping_options options = { .yaml = mapping };
    struct ArrowArrayStream stream = load_stream();
    struct afluxo_converter *c = NULL;
    const char *piece;
    size_t len;
    uint64_t lines = 1;
    AF_CHECK_INT(af_ffi_convert_stream(&stream, &options, NULL, &c), 0);
    for (int i = 0; i < 2; i++) {
        AF_CHECK_INT(af_ffi_convert_next(c, 0, &piece, &len, &lines), 0);
        AF_CHECK_INT(lines, 1);
    }
    AF_CHECK_INT(af_ffi_convert_next(c, 0, &piece, &len, &lines), 0);
    AF_CHECK(len == 0 && lines == 0);
    af_ffi_convert_free(c);
    AF_CHECK_INT(live, 0);
}

AF_TEST(a_guess_reads_the_first_rows_twice)
{
    static const struct afluxo_mapping_options options = { .infer = 1, .measurement = "m" };
    struct ArrowArrayStream stream = load_stream();
    struct afluxo_converter *c = NULL;
    AF_CHECK_INT(af_ffi_convert_stream(&stream, &options, "s", &c), 0);
    check_text(c, 0, "m,region=se mw=1.5 1\nm,region=ne mw=4 4\n");
    af_ffi_convert_free(c);
    AF_CHECK_INT(live, 0);
}

AF_TEST(what_is_wrong_is_said_and_the_stream_released)
{
    static const struct afluxo_mapping_options cases[] = {
        { .yaml = "measurement: [" }, { .dataset = "nowhere" }, { .dataset = "generation", .yaml = mapping }, { .infer = 0 },
        { .yaml = "measurement: m\ntime: t\nfields: { x: unread }\n" }, { .yaml = "measurement: m\ntime: t\nfields: { x: gone }\n" },
        { .yaml = mapping, .time_zone = "Mars/Base" },
    };
    static const char *const words[] = { "mapping", "nowhere", "exclude", "", "'unread' is a list", "gone", "Mars/Base" };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ArrowArrayStream stream = load_stream();
        struct afluxo_converter *c = NULL;
        const char *piece;
        size_t len;
        int code = af_ffi_convert_stream(&stream, &cases[i], "ns", &c);
        if (code == 0)
            code = af_ffi_convert_next(c, 0, &piece, &len, NULL);
        AF_CHECK(code < 0);
        AF_CHECK(strstr(af_ffi_message(), words[i]) != NULL);
        af_ffi_convert_free(c);
        AF_CHECK(stream.release == NULL);
        AF_CHECK_INT(live, 0);
    }
    struct ArrowArrayStream stream = load_stream();
    struct afluxo_converter *c = NULL;
    AF_CHECK(af_ffi_convert_stream(&stream, NULL, "fortnights", &c) < 0);
    AF_CHECK(af_ffi_convert_stream(&stream, NULL, "ns", &c) < 0); /* released */
    AF_CHECK(strstr(af_ffi_message(), "released") != NULL);
    AF_CHECK_INT(live, 0);
}

/* --- a stream that fails ------------------------------------------------------------------------------------------------------- */

static int (*inner_next)(struct ArrowArrayStream *, struct ArrowArray *);
static int calls;
static int failing_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    return calls++ == 0 ? inner_next(stream, out) : EIO;
}
static const char *failing_words(struct ArrowArrayStream *stream)
{
    (void)stream;
    return "the pipe broke";
}

AF_TEST(a_stream_that_fails_fails_the_converter_for_good)
{
    static const struct afluxo_mapping_options options = { .yaml = mapping };
    struct ArrowArrayStream stream = load_stream();
    struct afluxo_converter *c = NULL;
    const char *piece;
    size_t len = 0;
    inner_next = stream.get_next;
    stream.get_next = failing_next;
    stream.get_last_error = failing_words;
    AF_CHECK_INT(af_ffi_convert_stream(&stream, &options, "ns", &c), 0);
    AF_CHECK_INT(af_ffi_convert_next(c, 0, &piece, &len, NULL), 0);
    AF_CHECK(len != 0);
    for (int i = 0; i < 2; i++) {
        AF_CHECK_INT(af_ffi_convert_next(c, 0, &piece, &len, NULL), -(int)AF_EIO);
        AF_CHECK(strstr(af_ffi_message(), "the pipe broke") != NULL);
    }
    af_ffi_convert_free(c);
    AF_CHECK_INT(live, 0);
}

AF_TEST(memory_may_end_anywhere)
{
    static const struct afluxo_mapping_options options = { .infer = 1, .measurement = "m" };
    struct ArrowArrayStream stream;
    for (size_t nth = 1; nth < 5000; nth++) {
        struct afluxo_converter *c = NULL;
        const char *piece;
        size_t len = 1;
        stream = load_stream();
        (void)af_alloc_fail_nth(nth);
        int code = af_ffi_convert_stream(&stream, &options, "ns", &c);
        while (code == 0 && len != 0)
            code = af_ffi_convert_next(c, 0, &piece, &len, NULL);
        const size_t count = af_alloc_fail_nth(0);
        af_ffi_convert_free(c);
        AF_CHECK_INT(live, 0);
        AF_CHECK(stream.release == NULL);
        if (count < nth) {
            AF_CHECK_INT(code, 0);
            return;
        }
    }
    AF_CHECK_STR("an end", "more than 5,000 allocations");
}

/* --- files ------------------------------------------------------------------------------------------------------------------ */

static const char *put_file(const char *name, const char *text)
{
    static char path[512];
    struct af_error err;
    (void)snprintf(path, sizeof path, "%s/%s", af_test_dir(), name);
    AF_CHECK_OK(af_file_write_atomic(path, af_slice_of(text), false, &err), err);
    return path;
}

AF_TEST(a_file_becomes_lines)
{
    static const struct afluxo_mapping_options options = { .yaml =
                                                           "measurement: load\ntime: t\ntags: { region: region }\nfields: { mw: mw }\n" };
    struct afluxo_converter *c = NULL;
    struct afluxo_reject reject;
    struct afluxo_counts counts;
    const char *path = put_file("x.csv", "t;region;mw\n2024-01-01 00:00:00;se;1.5\n2024-01-01 00:00:01;ne;x\n2024-01-01 00:00:02;ne;2\n");
    AF_CHECK_INT(af_ffi_convert_file(path, &options, "s", &c), 0);
    check_text(c, 10, "load,region=se mw=1.5 1704067200\nload,region=ne mw=2 1704067202\n");
    AF_CHECK_INT(af_ffi_convert_reject(c, &reject), 1);
    AF_CHECK_INT(reject.row, 1);
    AF_CHECK_STR(reject.column, "mw");
    af_ffi_convert_counts(c, &counts);
    AF_CHECK_INT(counts.rows, 3);
    AF_CHECK_INT(counts.points, 2);
    AF_CHECK_INT(counts.rejected, 1);
    af_ffi_convert_free(c);
}

AF_TEST(files_that_are_not_there_or_broken)
{
    struct afluxo_converter *c = NULL;
    const char *piece;
    size_t len;
    AF_CHECK_INT(af_ffi_convert_file("/nowhere/x.parquet", NULL, "ns", &c), -(int)AF_ENOTFOUND);
    AF_CHECK(af_ffi_convert_file(NULL, NULL, "ns", &c) < 0);
    AF_CHECK(c == NULL);
    static const struct afluxo_mapping_options options = { .dataset = "generation" };
    AF_CHECK_INT(af_ffi_convert_file(put_file("x.parquet", "PAR1 this is no footer PAR1"), &options, "ns", &c), 0);
    AF_CHECK_INT(af_ffi_convert_next(c, 0, &piece, &len, NULL), -(int)AF_ECORRUPT);
    AF_CHECK(strstr(af_ffi_message(), "x.parquet") != NULL);
    af_ffi_convert_free(c);
}

AF_TEST(a_file_of_just_that_name)
{
    static const struct afluxo_mapping_options options = { .exact = 1 };
    struct afluxo_converter *c = NULL;
    (void)put_file("1.lp", "m v=2 2\n");
    AF_CHECK_INT(af_ffi_convert_file(put_file("[1].lp", "m v=1 1\n"), &options, "ns", &c), 0);
    check_text(c, 100, "m v=1 1\n");
    af_ffi_convert_free(c);
    c = NULL;
    AF_CHECK_INT(af_ffi_convert_file(af_test_dir(), &options, "ns", &c), -(int)AF_ENOTFOUND); /* not all below it */
    AF_CHECK(c == NULL);
}

AF_TEST(whoever_stops_reading_may_close)
{
    struct af_buf text;
    struct af_error err;
    af_buf_init(&text, 64 << 20);
    for (int i = 0; i < 200000; i++)
        af_buf_printf(&text, "m,k=%d v=%d %d\n", i % 100, i, i);
    AF_CHECK_OK(af_buf_check(&text, "lines", &err), err);
    const char *path = put_file("x.lp", af_buf_cstr(&text));
    af_buf_done(&text);
    for (int reads = 0; reads < 3; reads++) {
        struct afluxo_converter *c = NULL;
        const char *piece;
        size_t len;
        uint64_t lines = 0;
        AF_CHECK_INT(af_ffi_convert_file(path, NULL, "ns", &c), 0);
        for (int i = 0; i < reads; i++)
            AF_CHECK_INT(af_ffi_convert_next(c, 1000, &piece, &len, &lines), 0);
        af_ffi_convert_free(c);
    }
}

AF_TEST(versions_and_names)
{
    AF_CHECK_INT(af_ffi_abi(), AFLUXO_ABI);
    AF_CHECK_STR(af_ffi_status_name(-(int)AF_EINVAL), "EINVAL");
    AF_CHECK_STR(af_ffi_status_name(-999), "EBUG");
    AF_CHECK_STR(af_ffi_status_name(3), "EBUG");
    AF_CHECK(af_ffi_version()[0] != '\0');
}
