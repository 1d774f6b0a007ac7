/* letters_test.c - dead letters read back: entries, torn ends, rows as the tables they were. */
#include "base/alloc.h"
#include "base/buf.h"
#include "ingest/ingest.h"
#include "os/file.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_error err;
static struct af_arena arena;

static struct af_letters *open_text(const char *text)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/dead-letters-t.jsonl", af_test_dir());
    AF_CHECK_OK(af_file_write_atomic(path, af_slice_of(text), false, &err), err);
    struct af_letters *letters;
    AF_CHECK_OK(af_letters_open(path, &letters, &err), err);
    af_arena_init(&arena, 64 << 20);
    return letters;
}

static struct af_letter *next(struct af_letters *letters)
{
    struct af_letter *letter;
    AF_CHECK_OK(af_letters_next(letters, &arena, &letter, &err), err);
    return letter;
}

static void done(struct af_letters *letters)
{
    af_letters_close(letters);
    af_arena_done(&arena);
}

AF_TEST(letters_come_back_as_they_were_written)
{
    struct af_letters *letters =
        open_text("{\"file\":\"a\",\"row_group\":3,\"row\":17,\"column\":null,\"reason\":\"r\",\"line\":\"m v=1i 10\",\"time\":\"t\"}\n"
                  "\n{\"file\":\"b\",\"row\":18,\"column\":\"c\",\"reason\":\"s\",\"row_data\":{\"x\":1}}\n{\"raw\":\"a;b\"}\n"
                  "{\"line\":\"m v=\\\"\\ufffd\\\" 1\"}\n{\"row_data\":{\"x\":[\"\xef\xbf\xbd\"]}}\n{\"line\":\"torn");
    const struct af_letter *l = next(letters);
    AF_CHECK_STR(l->file, "a");
    AF_CHECK_INT(l->row_group, 3);
    AF_CHECK_INT(l->row, 17);
    AF_CHECK(l->column == NULL && l->row_data == NULL && l->raw.ptr == NULL);
    AF_CHECK_SLICE(l->line, "m v=1i 10");
    l = next(letters);
    AF_CHECK_STR(l->column, "c");
    AF_CHECK_STR(l->reason, "s");
    AF_CHECK(l->row_data != NULL && l->line.ptr == NULL);
    l = next(letters);
    AF_CHECK_SLICE(l->raw, "a;b");
    AF_CHECK_STR(l->file, "");
    AF_CHECK(!l->is_damaged);
    l = next(letters);
    AF_CHECK(l->is_damaged);
    l = next(letters);
    AF_CHECK(l->is_damaged);
    AF_CHECK(next(letters) == NULL);
    AF_CHECK(next(letters) == NULL);
    done(letters);
}

AF_TEST(a_letter_that_is_none_is_named_by_its_line)
{
    struct af_letter *letter;
    struct af_letters *letters = open_text("{\"raw\":\"x\"}\n{oops}\n");
    AF_CHECK(next(letters) != NULL);
    AF_CHECK_FAILS(af_letters_next(letters, &arena, &letter, &err), AF_ECORRUPT);
    AF_CHECK(strstr(err.message, "line 2") != NULL && strstr(err.message, "dead-letters-t") != NULL);
    done(letters);
    letters = open_text("[1]\n");
    AF_CHECK_FAILS(af_letters_next(letters, &arena, &letter, &err), AF_ECORRUPT);
    done(letters);
    letters = open_text("{\"raw\":\"no end of line\"}");
    AF_CHECK(next(letters) != NULL);
    AF_CHECK(next(letters) == NULL);
    done(letters);
}

AF_TEST(letters_longer_than_the_window)
{
    struct af_buf text;
    af_buf_init(&text, 64 << 20);
    for (int i = 0; i < 3; i++) {
        af_buf_append_str(&text, "{\"raw\":\"");
        for (int k = 0; k < 1000000; k++)
            af_buf_append_char(&text, (char)('a' + i));
        af_buf_append_str(&text, "\"}\n");
    }
    struct af_letters *letters = open_text(af_buf_cstr(&text));
    for (int i = 0; i < 3; i++) {
        const struct af_letter *l = next(letters);
        AF_CHECK_INT(l->raw.len, 1000000);
        AF_CHECK_INT(l->raw.ptr[999999], 'a' + i);
    }
    AF_CHECK(next(letters) == NULL);
    done(letters);
    af_buf_done(&text);
}

static void see(void *ctx, const struct af_schema *like, const char *want)
{
    struct af_letters *letters = ctx;
    struct af_letter *rows[2] = { next(letters), next(letters) };
    struct af_schema schema;
    struct af_batch batch;
    AF_CHECK_OK(af_letter_schema(rows[0], like, &arena, &schema, &err), err);
    AF_CHECK(af_letter_fits(rows[1], like, &schema));
    AF_CHECK_OK(af_letters_batch(rows, 2, &schema, &arena, &batch, &err), err);
    struct af_buf out;
    af_buf_init(&out, 1 << 20);
    for (size_t c = 0; c < schema.field_count; c++)
        af_buf_printf(&out, "%s%s%s ", schema.fields[c].name, af_type_name(schema.fields[c].type), schema.fields[c].is_local ? "!" : "");
    af_batch_print_row_letter(&out, &batch, 0);
    af_batch_print_row_letter(&out, &batch, 1);
    AF_CHECK_SLICE(af_buf_slice(&out), want);
    af_buf_done(&out);
}

#define FIRST_ROW                                                                                            \
    "{\"t\":\"2024-01-01T00:00:00\",\"f\":1.0,\"i\":-7,\"u\":18446744073709551615,\"b\":true,\"s\":\"\",\"n\":null," \
    "\"j\":[1,{\"a\":\"\\n\"}]}"

/* What the row's JSON alone says. */
AF_TEST(rows_are_tables_again)
{
    struct af_letters *letters = open_text(
        "{\"row_data\":" FIRST_ROW "}\n"
        "{\"row_data\":{\"t\":\"x\",\"f\":2e9,\"i\":8,\"u\":18446744073709551614,\"b\":false,\"s\":\"z\",\"n\":\"y\",\"j\":{}}}\n"
        "{\"row_data\":{\"t\":\"x\",\"f\":2,\"i\":8}}\n");
    see(letters, NULL,
        "tstring ff64 ii64 uu64 bbool sstring nstring jjson "
        FIRST_ROW
        "{\"t\":\"x\",\"f\":2000000000.0,\"i\":8,\"u\":18446744073709551614,\"b\":false,\"s\":\"z\",\"n\":\"y\",\"j\":{}}");
    done(letters);
}

/* What the schema of their file adds: which numbers were floats or unsigned, which text was a decimal or a time, and whose. */
AF_TEST(rows_take_their_types_from_the_file_they_came_from)
{
    static const struct af_field fields[] = { { .name = "f", .type = AF_TYPE_F64 }, { .name = "u", .type = AF_TYPE_U64 },
                                              { .name = "d", .type = AF_TYPE_DECIMAL, .scale = 2 },
                                              { .name = "t", .type = AF_TYPE_TIME },
                                              { .name = "w", .type = AF_TYPE_TIME, .is_local = true } };
    static const struct af_schema like = { 5, fields };
    struct af_letters *letters = open_text(
        "{\"row_data\":{\"f\":1,\"u\":7,\"d\":\"-1.5\",\"t\":\"2024-01-01T00:00:00Z\",\"w\":\"2024-01-01T00:00:00.5\"}}\n"
        "{\"row_data\":{\"f\":null,\"u\":null,\"d\":null,\"t\":null,\"w\":null}}\n"
        "{\"row_data\":{\"f\":1,\"u\":7,\"d\":\"1.555\",\"t\":\"never\",\"w\":\"2024-01-01T00:00:00Z\"}}\n");
    see(letters, &like,
        "ff64 uu64 ddecimal ttime wtime! "
        "{\"f\":1.0,\"u\":7,\"d\":\"-1.50\",\"t\":\"2024-01-01T00:00:00.000000000Z\",\"w\":\"2024-01-01T00:00:00.500000000\"}"
        "{\"f\":null,\"u\":null,\"d\":null,\"t\":null,\"w\":null}");
    struct af_letter *odd = next(letters);
    struct af_schema schema;
    AF_CHECK_OK(af_letter_schema(odd, &like, &arena, &schema, &err), err); /* what does not fit stays text: the mapping judges */
    for (size_t c = 2; c < 5; c++)
        AF_CHECK_INT(schema.fields[c].type, AF_TYPE_STRING);
    done(letters);
}

AF_TEST(reading_letters_survives_every_failed_allocation)
{
    for (size_t n = 1;; n++) {
        struct af_letters *letters = open_text("{\"file\":\"a\",\"row_data\":{\"x\":1,\"y\":\"z\"}}\n");
        struct af_letter *letter = NULL;
        struct af_schema schema;
        struct af_batch batch;
        af_alloc_fail_nth(n);
        enum af_status status = af_letters_next(letters, &arena, &letter, &err);
        if (status == AF_OK)
            status = af_letter_schema(letter, NULL, &arena, &schema, &err);
        if (status == AF_OK)
            status = af_letters_batch(&letter, 1, &schema, &arena, &batch, &err);
        af_alloc_fail_nth(0);
        done(letters);
        if (status == AF_OK)
            break;
        AF_CHECK_INT(status, AF_ENOMEM);
        AF_CHECK(n < 100);
    }
}
