/*
 * portable_v1_fuzz.c - any bytes as a 1.x catalogue (bare, and in its wrapper): what is read can be printed, and is then read the same.
 */
#include "format/portable/portable.h"
#include <stdlib.h>

static void print(const struct af_portable *p, struct af_buf *manifest, struct af_buf *meta)
{
    af_buf_init(manifest, 64 << 20);
    af_buf_init(meta, 64 << 20);
    if (af_portable_v1_print(p, "m", manifest, meta, NULL) != AF_OK)
        abort();
}

/* Texts with a NUL inside are cut when printed, shards of several policies share files: only the catalogue is compared. */
static void check(struct af_slice bytes, bool is_bare)
{
    struct af_arena arena;
    struct af_portable first, second;
    af_arena_init(&arena, 64 << 20);
    if (af_portable_v1_catalogue_parse(bytes, is_bare, &arena, &first, NULL) == AF_OK) {
        struct af_buf manifest, meta, manifest_again, meta_again;
        for (size_t i = 0; i < first.bucket_count; i++)
            for (size_t k = 0; k < first.buckets[i].shard_count; k++)
                first.buckets[i].shards[k].file_name = "f";
        print(&first, &manifest, &meta);
        if (af_portable_v1_catalogue_parse(af_buf_slice(&meta), false, &arena, &second, NULL) != AF_OK ||
            second.bucket_count != first.bucket_count)
            abort();
        for (size_t i = 0; i < second.bucket_count; i++)
            for (size_t k = 0; k < second.buckets[i].shard_count; k++)
                second.buckets[i].shards[k].file_name = "f";
        print(&second, &manifest_again, &meta_again);
        if (meta.len != meta_again.len)
            abort();
        af_buf_done(&manifest);
        af_buf_done(&meta);
        af_buf_done(&manifest_again);
        af_buf_done(&meta_again);
    }
    af_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(af_slice_make(data, size), true);
    check(af_slice_make(data, size), false);
    return 0;
}
