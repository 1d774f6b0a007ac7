/*
 * tsm_wal_fuzz.c - any bytes as a segment of a write-ahead log, and as the entry inside of one. Properties: without its torn tail a segment
 * gives the same, and no tail; values have as many rows as they say.
 */
#include "base/hash.h"
#include "codec/compress.h"
#include "format/tsm/file_int.h"

#define REQUIRE(condition)     \
    do {                        \
        if (!(condition))       \
            __builtin_trap();   \
    } while (0)

static enum af_status see_write(void *ctx, struct af_slice key, const struct af_tsm_values *values, struct af_error *err)
{
    uint64_t *hash = ctx;
    (void)err;
    REQUIRE(values->count != 0);
    *hash = af_hash_bytes(key.ptr, key.len, *hash);
    *hash = af_hash_bytes(values->time_ns, values->count * 8, *hash);
    if (values->values.type == AF_TYPE_STRING)
        *hash = af_hash_bytes(values->values.bytes, (size_t)values->values.offsets[values->count], *hash);
    else if (values->values.type == AF_TYPE_BOOL)
        *hash = af_hash_bytes(values->values.bits, af_bit_words(values->count) * 8, *hash);
    else
        *hash = af_hash_bytes(values->values.u64, values->count * 8, *hash);
    return AF_OK;
}

static enum af_status see_erase(void *ctx, struct af_slice key, int64_t min_ns, int64_t max_ns, struct af_error *err)
{
    uint64_t *hash = ctx;
    (void)err;
    *hash = af_hash_bytes(key.ptr, key.len, *hash ^ (uint64_t)min_ns ^ (uint64_t)max_ns << 1);
    return AF_OK;
}

static void read_twice(struct af_slice segment)
{
    uint64_t hashes[2] = { 0, 0 };
    uint64_t torn = 0;
    const struct af_tsm_wal_visitor one = { &hashes[0], see_write, see_erase };
    const struct af_tsm_wal_visitor two = { &hashes[1], see_write, see_erase };
    REQUIRE(af_tsm_wal_read(segment, "fuzz", &one, &torn, NULL) == AF_OK);
    REQUIRE(torn <= segment.len);
    segment.len -= (size_t)torn;
    REQUIRE(af_tsm_wal_read(segment, "fuzz", &two, &torn, NULL) == AF_OK);
    REQUIRE(torn == 0 && hashes[0] == hashes[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_codec_ctx ctx = { 0 };
    struct af_buf entry;
    read_twice(af_slice_make(data, size));
    if (size == 0)
        return 0;
    af_buf_init(&entry, 64 << 20);
    af_buf_append(&entry, data, 1);
    af_buf_append(&entry, "\0\0\0\0", 4);
    REQUIRE(af_compress(&ctx, AF_CODEC_SNAPPY, 0, af_slice_make(data + 1, size - 1), &entry, NULL) == AF_OK);
    af_be32_put((uint8_t *)entry.ptr + 1, (uint32_t)(entry.len - 5));
    read_twice(af_buf_slice(&entry));
    af_buf_done(&entry);
    return 0;
}
