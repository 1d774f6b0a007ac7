/*
 * tsm_tombs_fuzz.c - any bytes as a tombstone file. Properties: what can be read, written as version 4 and read again, is the same; as
 * version 2, the fuzzer's bytes reach the records without having to be a gzip member.
 */
#include "base/buf.h"
#include "format/tsm/tsm.h"

#define REQUIRE(condition)     \
    do {                        \
        if (!(condition))       \
            __builtin_trap();   \
    } while (0)

enum { ARENA_BYTES = 64 << 20 };

static void there_and_back(struct af_slice bytes)
{
    struct af_arena arena;
    struct af_buf out;
    struct af_tsm_tomb *tombs, *again;
    size_t count, count_again;
    af_arena_init(&arena, ARENA_BYTES);
    af_buf_init(&out, ARENA_BYTES);
    const enum af_status status = af_tsm_tombs_parse(bytes, "fuzz", &arena, &tombs, &count, NULL);
    REQUIRE(status == AF_OK || status == AF_ECORRUPT || status == AF_EUNSUPPORTED || status == AF_ELIMIT);
    if (status == AF_OK) {
        REQUIRE(af_tsm_tombs_print(tombs, count, &out, NULL) == AF_OK);
        REQUIRE(af_tsm_tombs_parse(af_buf_slice(&out), "fuzz", &arena, &again, &count_again, NULL) == AF_OK);
        REQUIRE(count == count_again);
        for (size_t i = 0; i < count; i++)
            REQUIRE(af_slice_eq(tombs[i].key, again[i].key) && tombs[i].min_ns == again[i].min_ns && tombs[i].max_ns == again[i].max_ns);
    }
    af_buf_done(&out);
    af_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_buf plain;
    there_and_back(af_slice_make(data, size));
    af_buf_init(&plain, ARENA_BYTES);
    af_buf_append(&plain, "\0\0\x15\2", 4);
    af_buf_append(&plain, data, size);
    there_and_back(af_buf_slice(&plain));
    af_buf_done(&plain);
    return 0;
}
