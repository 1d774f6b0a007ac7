/* dead_letters_test.c - every letter is one line of valid JSON, whatever the bytes; the file survives crashes and refuses to lie. */
#include "base/arena.h"
#include "format/json/json.h"
#include "os/fault.h"
#include "sink/sink_int.h"
#include "test/lib/test.h"
#include <errno.h>
#include <stdio.h>

static struct af_json *parse(struct af_arena *arena, struct af_slice line)
{
    struct af_json *tree = NULL;
    struct af_error err;
    AF_CHECK_OK(af_json_parse(line, arena, &tree, &err), err);
    AF_CHECK(tree != NULL && tree->kind == AF_JSON_OBJECT);
    return tree;
}

static void check_letter(const struct af_dead_letter *letter, const char *want_key)
{
    struct af_buf out;
    struct af_arena arena;
    af_buf_init(&out, 1 << 20);
    af_arena_init(&arena, 1 << 20);
    af_dead_letter_print(&out, letter, 0);
    AF_CHECK(out.len > 1 && memchr(out.ptr, '\n', out.len) == out.ptr + out.len - 1);
    struct af_json *tree = parse(&arena, af_slice_make(out.ptr, out.len - 1));
    const char *keys[] = { "file", "row_group", "row", "column", "reason", "time" };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        AF_CHECK(af_json_get(tree, keys[i]) != NULL);
    AF_CHECK(af_json_get(tree, want_key) != NULL);
    if (strcmp(want_key, "row_data") == 0)
        AF_CHECK(af_json_get(tree, "row_data")->kind == AF_JSON_OBJECT);
    AF_CHECK_SLICE(af_json_string(tree, "time"), "1970-01-01T00:00:00.000Z");
    af_arena_done(&arena);
    af_buf_done(&out);
}

AF_TEST(letters_are_valid_json)
{
    struct af_dead_letter letter = { .file = "a \"quoted\" dir/\xff.parquet", .row_group = 3, .row = UINT64_MAX,
                                     .reason = "line\nbreak\x01" };
    letter.is_line = true;
    letter.text = AF_SLICE_LIT("m,s=a\\ b v=\"x\ny\" 10");
    check_letter(&letter, "line");
    letter.text = AF_SLICE_LIT("{\"a\":1}"); /* a line stays a line */
    check_letter(&letter, "line");
    letter.is_line = false;
    letter.column = "val_carga";
    check_letter(&letter, "row_data");
    static const char *const not_objects[] = { "", "a;b;c", "{", "{\"a\":1", "{\"a\":1}x", "{\"a\":1}{\"b\":2}", "{\"a\":1} 5", "[1]",
                                               "5", "{\"a\":\"\xff\"}", "{a:1}", "{\"a\":\"\n\"}", " {\"a\":1}" };
    for (size_t i = 0; i < sizeof not_objects / sizeof not_objects[0]; i++) {
        letter.text = af_slice_of(not_objects[i]);
        check_letter(&letter, "raw");
    }
    letter.text = AF_SLICE_LIT("{\n  \"a\": [1, {\"b\": null}],\r\n  \"c\": \"d\\ne\"\n}");
    check_letter(&letter, "row_data");
    letter.text = af_slice_make("a\0b", 3);
    check_letter(&letter, "raw");
}

static size_t lines_of(const char *path, struct af_buf *out)
{
    struct af_error err;
    size_t lines = 0;
    af_buf_clear(out);
    AF_CHECK_OK(af_file_read_all(path, out, &err), err);
    for (size_t i = 0; i < out->len; i++)
        lines += out->ptr[i] == '\n';
    AF_CHECK(out->len == 0 || out->ptr[out->len - 1] == '\n');
    return lines;
}

AF_TEST(file_is_made_when_needed_and_goes_on)
{
    struct af_dead_letters dead;
    struct af_error err;
    struct af_buf bytes;
    char path[300];
    char dir[200];
    af_buf_init(&bytes, 1 << 20);
    snprintf(dir, sizeof dir, "%s/a/b", af_test_dir());
    snprintf(path, sizeof path, "%s/dead-letters-run7.jsonl", dir);
    struct af_dead_letter letter = { .file = "f", .reason = "r", .is_line = true, .text = AF_SLICE_LIT("m v=1") };
    AF_CHECK_OK(af_dead_letters_open(&dead, dir, "run7", &err), err);
    AF_CHECK(af_path_kind(dir) == AF_PATH_NONE && !atomic_load(&dead.is_there));
    AF_CHECK_OK(af_dead_letters_sync(&dead, &err), err);
    for (int i = 0; i < 3; i++)
        AF_CHECK_OK(af_dead_letters_add(&dead, &letter, &err), err);
    AF_CHECK(atomic_load(&dead.is_there));
    AF_CHECK_STR(dead.path, path);
    af_dead_letters_close(&dead);
    AF_CHECK_INT(lines_of(path, &bytes), 3);

    /* a torn tail longer than one piece of the backward search */
    FILE *f = fopen(path, "a");
    for (int i = 0; i < 9000; i++)
        fputc('x', f);
    fclose(f);
    AF_CHECK_OK(af_dead_letters_open(&dead, dir, "run7", &err), err);
    AF_CHECK_OK(af_dead_letters_add(&dead, &letter, &err), err);
    AF_CHECK_OK(af_dead_letters_sync(&dead, &err), err);
    af_dead_letters_close(&dead);
    AF_CHECK_INT(lines_of(path, &bytes), 4);
    AF_CHECK(memchr(bytes.ptr, 'x', bytes.len) == NULL);
    af_buf_done(&bytes);
    AF_CHECK_FAILS(af_dead_letters_open(&dead, dir, "../x", &err), AF_EINVAL);
    AF_CHECK_FAILS(af_dead_letters_open(&dead, dir, "", &err), AF_EINVAL);
}

AF_TEST(failed_write_leaves_no_half_letter)
{
    struct af_dead_letters dead;
    struct af_error err;
    struct af_buf bytes;
    struct af_dead_letter letter = { .file = "f", .reason = "r", .is_line = true, .text = AF_SLICE_LIT("m v=1") };
    af_buf_init(&bytes, 1 << 20);
    AF_CHECK_OK(af_dead_letters_open(&dead, af_test_dir(), NULL, &err), err);
    AF_CHECK_OK(af_dead_letters_add(&dead, &letter, &err), err);
    af_os_fault(AF_OS_WRITE, 1, 1, ENOSPC);
    AF_CHECK_FAILS(af_dead_letters_add(&dead, &letter, &err), AF_EFULL);
    AF_CHECK_OK(af_dead_letters_add(&dead, &letter, &err), err);
    AF_CHECK_INT(lines_of(dead.path, &bytes), 2);
    af_os_fault(AF_OS_SYNC, 1, 1, EIO);
    AF_CHECK_FAILS(af_dead_letters_sync(&dead, &err), AF_EIO);
    AF_CHECK_FAILS(af_dead_letters_sync(&dead, &err), AF_EIO); /* never "well again" */
    af_dead_letters_close(&dead);
    af_buf_done(&bytes);
}
