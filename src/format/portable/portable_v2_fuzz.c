/* portable_v2_fuzz.c - any bytes as a 2.x manifest, and as a server's answer: what is read can be printed, and is then read the same. */
#include "format/portable/portable.h"
#include <stdlib.h>

static void print(const struct af_portable *p, struct af_buf *out)
{
    af_buf_init(out, 64 << 20);
    if (af_portable_v2_print(p, out, NULL) != AF_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_arena arena;
    struct af_portable first, second;
    struct af_portable_mapping *mappings;
    size_t count;
    uint64_t id;
    af_arena_init(&arena, 256 << 20);
    if (af_portable_v2_parse(af_slice_make(data, size), &arena, &first, NULL) == AF_OK) {
        struct af_buf once, twice;
        print(&first, &once);
        if (af_portable_v2_parse(af_buf_slice(&once), &arena, &second, NULL) != AF_OK)
            abort();
        print(&second, &twice);
        if (!af_slice_eq(af_buf_slice(&once), af_buf_slice(&twice)))
            abort();
        af_buf_done(&once);
        af_buf_done(&twice);
    }
    if (af_portable_v2_mappings_parse(af_slice_make(data, size), &arena, &id, &mappings, &count, NULL) == AF_OK && count > size)
        abort();
    af_arena_done(&arena);
    return 0;
}
