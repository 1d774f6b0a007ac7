/* tree_test.c - directories with what is in them, and second names of files. */
#include "os/tree.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <unistd.h>

static struct af_error err;

static const char *at(const char *rest)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", af_test_dir(), rest);
    return path;
}

static void make_file(const char *rest, const char *text)
{
    AF_CHECK_OK(af_file_write_atomic(at(rest), af_slice_of(text), false, &err), err);
}

static enum af_status note(void *ctx, const char *path, struct af_error *e)
{
    struct af_buf *names = ctx;
    (void)e;
    af_buf_append_str(names, strrchr(path, '/') + 1);
    af_buf_append_char(names, ' ');
    return AF_OK;
}

AF_TEST(directories_in_a_directory)
{
    struct af_buf names;
    af_buf_init(&names, 1000);
    AF_CHECK_OK(af_dir_make(at("d/b/below"), &err), err);
    AF_CHECK_OK(af_dir_make(at("d/a"), &err), err);
    AF_CHECK_OK(af_dir_make(at("d/.c"), &err), err);
    make_file("d/file", "x");
    AF_CHECK_INT(symlink("a", at("d/link")), 0);
    AF_CHECK_OK(af_dir_dirs(at("d"), note, &names, &err), err);
    AF_CHECK_STR(af_buf_cstr(&names), ".c a b ");
    AF_CHECK_FAILS(af_dir_dirs(at("nowhere"), note, &names, &err), AF_ENOTFOUND);
    af_buf_done(&names);
}

AF_TEST(a_directory_goes_with_all_below_and_no_link_is_followed)
{
    AF_CHECK_OK(af_dir_make(at("keep"), &err), err);
    make_file("keep/me", "x");
    AF_CHECK_OK(af_dir_make(at("d/a/b"), &err), err);
    make_file("d/a/b/f", "x");
    make_file("d/.hidden", "x");
    AF_CHECK_INT(symlink(at("keep"), at("d/a/link")), 0);
    AF_CHECK_OK(af_dir_remove(at("d"), &err), err);
    AF_CHECK_INT(af_path_kind(at("d")), AF_PATH_NONE);
    AF_CHECK_INT(af_path_kind(at("keep/me")), AF_PATH_FILE);
    AF_CHECK_OK(af_dir_remove(at("d"), &err), err);
}

static void check_content(const char *rest, const char *text)
{
    struct af_buf bytes;
    af_buf_init(&bytes, 1 << 20);
    AF_CHECK_OK(af_file_read_all(at(rest), &bytes, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&bytes), text);
    af_buf_done(&bytes);
}

AF_TEST(a_second_name)
{
    make_file("f", "content");
    AF_CHECK_OK(af_path_link(at("f"), at("g"), &err), err);
    check_content("g", "content");
    AF_CHECK_OK(af_path_remove(at("f"), &err), err);
    check_content("g", "content");
    make_file("h", "other");
    AF_CHECK_FAILS(af_path_link(at("g"), at("h"), &err), AF_ECONFLICT);
    check_content("h", "other");
    AF_CHECK_FAILS(af_path_link(at("nowhere"), at("i"), &err), AF_ENOTFOUND);
    AF_CHECK_INT(af_path_kind(at("i")), AF_PATH_NONE);
}
