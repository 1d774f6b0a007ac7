/*
 * index_fuzz.c - any bytes as the file of a series index, and as the payloads of its records with the right checksums around them. Opened
 * or refused as damaged; what was opened can be read, gives every key its own id, takes more series, and after a sync opens again with
 * the same series in the same state.
 */
#include "codec/bits.h"
#include "codec/compress.h"
#include "tsm/index_int.h"
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
        snprintf(path, sizeof path, "/dev/shm/index_fuzz.%ld", (long)getpid());
    return path;
}

/* Each id has a key that leads back to it; select gives the live ones in order. */
static void check(struct af_index *index)
{
    struct af_arena arena;
    uint32_t *ids;
    size_t count;
    af_arena_init(&arena, SIZE_MAX);
    for (uint32_t id = 0; id < index->count; id++)
        must(af_index_find(index, af_index_key(index, id)) == id);
    must(af_index_select(index, AF_INDEX_NONE, NULL, &arena, &ids, &count, NULL) == AF_OK);
    must(count == af_index_count(index));
    for (size_t i = 1; i < count; i++)
        must(index_compare(af_index_key(index, ids[i - 1]), af_index_key(index, ids[i])) < 0);
    struct af_slice *tags;
    for (uint32_t i = 0; i < af_index_measurement_count(index) && i < 4; i++)
        must(af_index_tag_keys(index, i, NULL, &arena, &tags, &count, NULL) == AF_OK);
    af_arena_done(&arena);
}

static void try(struct af_slice file)
{
    struct af_index *index;
    uint32_t id;
    must(af_file_write_atomic(path_of(), file, false, NULL) == AF_OK);
    enum af_status status = af_index_open(path_of(), &index, NULL);
    must(status == AF_OK || status == AF_ECORRUPT);
    if (status != AF_OK)
        return;
    check(index);
    must(af_index_add(index, AF_SLICE_LIT("one more,a=b"), &id, NULL) == AF_OK);
    must(af_index_sync(index, NULL) == AF_OK);
    uint32_t count = index->count;
    uint64_t live = af_index_count(index);
    af_index_close(index);
    must(af_index_open(path_of(), &index, NULL) == AF_OK);
    must(index->count == count && af_index_count(index) == live && af_index_find(index, AF_SLICE_LIT("one more,a=b")) == id);
    check(index);
    af_index_close(index);
}

static void append_u32(struct af_buf *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        af_buf_append_char(out, (char)(value >> 8 * i));
}

static uint32_t count_keys(struct af_slice payload)
{
    const uint8_t *at = (const uint8_t *)payload.ptr, *end = at + payload.len;
    uint32_t count = 0;
    uint64_t item;
    while (at < end && af_uvarint_read(&at, end, &item)) {
        if ((item & 1) == 0 && item / 2 > (uint64_t)(end - at))
            break;
        at += (item & 1) == 0 ? item / 2 : 0;
        count += (item & 1) == 0;
    }
    return count;
}

/* Stretches of the input, each with a byte of length in front, as records. */
static void append_records(struct af_buf *out, const uint8_t *data, size_t size)
{
    uint32_t first_id = 0;
    af_buf_append(out, "AFSERIE\1", 8);
    for (size_t at = 0, len; at < size; at += len) {
        len = data[at++];
        len = len < size - at ? len : size - at;
        struct af_slice payload = af_slice_make(data + at, len);
        size_t header = out->len;
        append_u32(out, (uint32_t)len);
        append_u32(out, af_crc32(0, payload.ptr, len));
        append_u32(out, first_id);
        append_u32(out, af_crc32(0, out->ptr + header, 12));
        af_buf_append_slice(out, payload);
        first_id += count_keys(payload);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_buf file;
    af_buf_init(&file, SIZE_MAX);
    try(af_slice_make(data, size));
    append_records(&file, data, size);
    try(af_buf_slice(&file));
    af_buf_done(&file);
    must(af_path_remove(path_of(), NULL) == AF_OK);
    return 0;
}
