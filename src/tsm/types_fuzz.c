/* types_fuzz.c - any bytes as the file of a shard's field types: refused as damaged, or written again it says the same. */
#include "codec/compress.h"
#include "tsm/tsm_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static const char *path_of(void)
{
    static char path[64];
    if (path[0] == '\0')
        snprintf(path, sizeof path, "/dev/shm/types_fuzz.%ld", (long)getpid());
    return path;
}

/* Open, add a field, write, open again. `is_whole`: the checksum is right, so damage must be in the content. */
static void try(const uint8_t *data, size_t size)
{
    struct af_types *types;
    enum af_type has = AF_TYPE_NULL;
    must(af_file_write_atomic(path_of(), af_slice_make(data, size), false, NULL) == AF_OK);
    enum af_status status = af_types_open(path_of(), &types, NULL);
    must(status == AF_OK || status == AF_ECORRUPT);
    if (status != AF_OK)
        return;
    must(af_types_claim(types, AF_SLICE_LIT("m"), AF_SLICE_LIT("v"), AF_TYPE_F64, &has, NULL) == AF_OK);
    must(af_tsm_type_code(has) >= 0);
    must(af_types_sync(types, NULL) == AF_OK);
    af_types_close(types);
    must(af_types_open(path_of(), &types, NULL) == AF_OK);
    enum af_type again = AF_TYPE_NULL;
    must(af_types_claim(types, AF_SLICE_LIT("m"), AF_SLICE_LIT("v"), AF_TYPE_I64, &again, NULL) == AF_OK);
    must(again == has);
    af_types_close(types);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try(data, size);
    if (size >= 12) { /* and with the right checksum, which no fuzzer finds */
        uint8_t *copy = malloc(size);
        must(copy != NULL);
        memcpy(copy, data, size);
        uint32_t crc = af_crc32(0, copy + 12, size - 12);
        for (int i = 0; i < 4; i++)
            copy[8 + i] = (uint8_t)(crc >> 8 * i);
        try(copy, size);
        free(copy);
    }
    must(af_path_remove(path_of(), NULL) == AF_OK);
    return 0;
}
