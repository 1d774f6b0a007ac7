/* types_test.c - types of fields: claims, the list, the file and its damages. */
#include "base/alloc.h"
#include "os/fault.h"
#include "test/lib/test.h"
#include "tsm/tsm_int.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct af_error err;

static const char *path_of(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", af_test_dir(), name);
    return path;
}

static enum af_type claim(struct af_types *types, const char *measurement, const char *field, enum af_type type)
{
    enum af_type has = AF_TYPE_NULL;
    AF_CHECK_OK(af_types_claim(types, af_slice_of(measurement), af_slice_of(field), type, &has, &err), err);
    return has;
}

static void check_list(struct af_types *types, const char *measurement, const char *want)
{
    struct af_arena arena;
    struct af_types_field *fields;
    size_t count;
    char text[1000] = "";
    af_arena_init(&arena, SIZE_MAX);
    AF_CHECK_OK(af_types_list(types, af_slice_of(measurement), &arena, &fields, &count, &err), err);
    for (size_t i = 0, at = 0; i < count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "[" AF_SLICE_FMT " %s]", AF_SLICE_ARG(fields[i].name),
                               af_type_name(fields[i].type));
    AF_CHECK_STR(text, want);
    af_arena_done(&arena);
}

static void fill(struct af_types *types)
{
    AF_CHECK_INT(claim(types, "m", "v", AF_TYPE_F64), AF_TYPE_F64);
    AF_CHECK_INT(claim(types, "m", "v", AF_TYPE_I64), AF_TYPE_F64);
    AF_CHECK_INT(claim(types, "m", "a b", AF_TYPE_STRING), AF_TYPE_STRING);
    AF_CHECK_INT(claim(types, "n\\ o", "v", AF_TYPE_BOOL), AF_TYPE_BOOL);
    AF_CHECK_INT(claim(types, "n\\ o", "u", AF_TYPE_U64), AF_TYPE_U64);
    AF_CHECK_INT(claim(types, "n\\ o", "i", AF_TYPE_I64), AF_TYPE_I64);
}

static void check_filled(struct af_types *types)
{
    check_list(types, "m", "[a b string][v f64]");
    check_list(types, "n\\ o", "[i i64][u u64][v bool]");
    check_list(types, "none", "");
}

AF_TEST(types_of_fields)
{
    struct af_types *types;
    AF_CHECK_FAILS(af_types_open(path_of("fields"), &types, &err), AF_ENOTFOUND);
    AF_CHECK_OK(af_types_new(path_of("fields"), &types, &err), err);
    fill(types);
    check_filled(types);
    AF_CHECK_OK(af_types_sync(types, &err), err);
    AF_CHECK_OK(af_types_sync(types, &err), err);
    af_types_close(types);
    AF_CHECK_OK(af_types_open(path_of("fields"), &types, &err), err);
    check_filled(types);
    AF_CHECK_INT(claim(types, "m", "v", AF_TYPE_I64), AF_TYPE_F64);
    for (unsigned i = 0; i < 300; i++) {
        char name[20], field[20];
        snprintf(name, sizeof name, "x%u", i % 20);
        snprintf(field, sizeof field, "f%u", i);
        claim(types, name, field, AF_TYPE_F64);
    }
    af_os_fault(AF_OS_WRITE, 1, 1, ENOSPC);
    AF_CHECK_FAILS(af_types_sync(types, &err), AF_EFULL);
    af_os_fault(AF_OS_WRITE, 0, 0, 0);
    AF_CHECK_OK(af_types_sync(types, &err), err);
    af_types_close(types);
    AF_CHECK_OK(af_types_open(path_of("fields"), &types, &err), err);
    check_filled(types);
    check_list(types, "x19", "[f119 f64][f139 f64][f159 f64][f179 f64][f19 f64][f199 f64][f219 f64][f239 f64][f259 f64][f279 f64][f299 f64]"
                             "[f39 f64][f59 f64][f79 f64][f99 f64]");
    af_types_close(types);
}

AF_TEST(types_damaged)
{
    struct af_types *types;
    const char *path = path_of("fields");
    AF_CHECK_OK(af_types_new(path, &types, &err), err);
    fill(types);
    AF_CHECK_OK(af_types_sync(types, &err), err);
    af_types_close(types);
    struct af_buf whole;
    af_buf_init(&whole, 1 << 20);
    AF_CHECK_OK(af_file_read_all(path, &whole, &err), err);
    for (size_t bit = 0; bit < whole.len * 8; bit++) {
        whole.ptr[bit / 8] ^= (char)(1 << bit % 8);
        AF_CHECK_OK(af_file_write_atomic(path, af_buf_slice(&whole), false, &err), err);
        whole.ptr[bit / 8] ^= (char)(1 << bit % 8);
        AF_CHECK_FAILS(af_types_open(path, &types, &err), AF_ECORRUPT);
    }
    for (size_t len = 0; len < whole.len; len++) {
        AF_CHECK_OK(af_file_write_atomic(path, af_slice_make(whole.ptr, len), false, &err), err);
        AF_CHECK_FAILS(af_types_open(path, &types, &err), AF_ECORRUPT);
    }
    af_buf_done(&whole);
}

AF_TEST(types_refuse_others)
{
    struct af_types *types;
    enum af_type has;
    AF_CHECK_OK(af_types_new(path_of("fields"), &types, &err), err);
    AF_CHECK_FAILS(af_types_claim(types, AF_SLICE_LIT("m"), AF_SLICE_LIT("v"), AF_TYPE_TIME, &has, &err), AF_EBUG);
    af_types_close(types);
}

static enum af_status everything(const char *path)
{
    struct af_types *types;
    struct af_arena arena;
    enum af_type has;
    AF_TRY(af_types_new(path, &types, &err));
    enum af_status status = AF_OK;
    for (unsigned i = 0; i < 20 && status == AF_OK; i++) {
        char name[20];
        snprintf(name, sizeof name, "m%u", i);
        status = af_types_claim(types, af_slice_of(name), AF_SLICE_LIT("v"), AF_TYPE_F64, &has, &err);
        if (status == AF_OK)
            status = af_types_claim(types, AF_SLICE_LIT("m"), af_slice_of(name), AF_TYPE_F64, &has, &err);
    }
    if (status == AF_OK)
        status = af_types_sync(types, &err);
    af_types_close(types);
    if (status == AF_OK)
        status = af_types_open(path, &types, &err);
    if (status != AF_OK)
        return status;
    struct af_types_field *fields;
    size_t count;
    af_arena_init(&arena, SIZE_MAX);
    status = af_types_list(types, AF_SLICE_LIT("m"), &arena, &fields, &count, &err);
    if (status == AF_OK)
        AF_CHECK_INT(count, 20);
    af_arena_done(&arena);
    af_types_close(types);
    return status;
}

AF_TEST(types_without_memory)
{
    enum af_status status = AF_ENOMEM;
    for (size_t nth = 1; status != AF_OK; nth++) {
        af_alloc_fail_nth(nth);
        status = everything(path_of("fields"));
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK(nth < 1000);
    }
}
