/* portable_tar_fuzz.c - any bytes as a tar: the same members and bytes whatever the pieces it comes in, and never more bytes than were
 * fed. */
#include "base/hash.h"
#include "format/portable/portable.h"
#include <stdlib.h>

struct seen {
    uint64_t hash, data_bytes;
};

static enum af_status on_member(void *ctx, const char *name, uint64_t bytes, struct af_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    seen->hash = af_hash_bytes(name, strlen(name), seen->hash ^ bytes);
    return AF_OK;
}

/* Byte by byte, so that pieces do not matter. */
static enum af_status on_data(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct seen *seen = ctx;
    (void)err;
    for (size_t i = 0; i < bytes.len; i++)
        seen->hash = (seen->hash ^ (uint8_t)bytes.ptr[i]) * 0x100000001b3;
    seen->data_bytes += bytes.len;
    return AF_OK;
}

static enum af_status read_in(struct af_slice tar, size_t step, struct seen *seen)
{
    struct af_tar_reader reader;
    af_tar_reader_init(&reader);
    reader.member = on_member;
    reader.data = on_data;
    reader.ctx = seen;
    *seen = (struct seen){ 0 };
    enum af_status status = AF_OK;
    for (size_t at = 0; at < tar.len && status == AF_OK; at += step)
        status = af_tar_feed(&reader, (struct af_slice){ tar.ptr + at, tar.len - at < step ? tar.len - at : step }, NULL);
    if (status == AF_OK)
        status = af_tar_finish(&reader, NULL);
    af_tar_reader_done(&reader);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole, pieces;
    struct af_slice tar = af_slice_make(data, size);
    enum af_status a = read_in(tar, size + 1, &whole);
    enum af_status b = read_in(tar, 97, &pieces);
    if (a != b || whole.hash != pieces.hash || whole.data_bytes != pieces.data_bytes || whole.data_bytes > size)
        abort();
    return 0;
}
