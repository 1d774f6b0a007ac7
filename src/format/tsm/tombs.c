/*
 * tombs.c - tombstone files: ranges of keys that are deleted in the TSM file beside it.
 *
 *     version 4   00 00 15 04 | gzip member | gzip member | ...      one member a committed delete
 *     version 3   00 00 15 03 | gzip member
 *     version 2   00 00 15 02 | records
 *     version 1   one key a line, deleted altogether
 *     record      key length 4 | key | min 8 | max 8
 */
#include "base/limits.h"
#include "codec/compress.h"
#include "format/tsm/file_int.h"

enum { VERSION_BYTES = 4, RECORD_BYTES_MIN = 20, TOMBS_BYTES_MAX = 1 << 30 };
enum { VERSION = 0x1500 };

/* The record at the start of `left`, which moves behind it; false: there is no whole one. */
static bool next_record(struct af_slice *left, struct af_tsm_tomb *out)
{
    const uint8_t *p = (const uint8_t *)left->ptr;
    if (left->len < RECORD_BYTES_MIN)
        return false;
    const size_t key_len = af_be32(p);
    if (key_len > left->len - RECORD_BYTES_MIN)
        return false;
    const uint8_t *times = p + 4 + key_len;
    *out = (struct af_tsm_tomb){ af_slice_make(p + 4, key_len), (int64_t)af_be64(times), (int64_t)af_be64(times + 8) };
    *left = af_slice_make(left->ptr + RECORD_BYTES_MIN + key_len, left->len - RECORD_BYTES_MIN - key_len);
    return true;
}

/* The line at the start of `left`; empty lines are none. */
static bool next_line(struct af_slice *left, struct af_tsm_tomb *out)
{
    struct af_slice line = { 0 };
    while (line.len == 0) {
        if (left->len == 0)
            return false;
        const char *end = memchr(left->ptr, '\n', left->len);
        const size_t len = end != NULL ? (size_t)(end - left->ptr) : left->len;
        const size_t used = len + (end != NULL);
        line = af_slice_make(left->ptr, len != 0 && left->ptr[len - 1] == '\r' ? len - 1 : len);
        *left = af_slice_make(left->ptr + used, left->len - used);
    }
    *out = (struct af_tsm_tomb){ line, INT64_MIN, INT64_MAX };
    return true;
}

static enum af_status collect(struct af_slice body, bool (*next)(struct af_slice *, struct af_tsm_tomb *), struct af_arena *arena,
                              struct af_tsm_tomb **out, size_t *out_count, struct af_error *err)
{
    struct af_slice left = body;
    struct af_tsm_tomb tomb;
    size_t count = 0;
    while (next(&left, &tomb))
        count++;
    struct af_tsm_tomb *tombs = af_arena_zero(arena, count != 0 ? count : 1, sizeof *tombs);
    char *bytes = tombs != NULL ? af_arena_copy(arena, body) : NULL;
    if (bytes == NULL)
        return af_arena_fail(arena, body.len + count * sizeof *tombs, "tombstones", err);
    left = af_slice_make(bytes, body.len);
    for (size_t i = 0; i < count; i++)
        (void)next(&left, &tombs[i]);
    *out = tombs;
    *out_count = count;
    return AF_OK;
}

static enum af_status collect_packed(struct af_slice packed, const char *name, struct af_arena *arena, struct af_tsm_tomb **out,
                                     size_t *out_count, struct af_error *err)
{
    struct af_codec_ctx ctx = { 0 };
    struct af_buf body;
    const size_t room = arena->bytes_max > arena->bytes_used ? arena->bytes_max - arena->bytes_used : 0;
    af_buf_init(&body, room < TOMBS_BYTES_MAX ? room : TOMBS_BYTES_MAX);
    enum af_status status = packed.len != 0 ? af_gunzip(&ctx, packed, &body, err) : AF_OK;
    if (status == AF_ECORRUPT) /* its own words are for a request's body */
        status = af_fail(err, AF_ECORRUPT, "%s: the gzip data of a tombstone file is damaged or cut short", name);
    if (status == AF_ELIMIT)
        status = af_fail(err, AF_ELIMIT, "%s: tombstones of more than %zu bytes", name, body.bytes_max);
    if (status == AF_OK)
        status = collect(af_buf_slice(&body), next_record, arena, out, out_count, err);
    af_buf_done(&body);
    af_codec_ctx_done(&ctx);
    return status;
}

enum af_status af_tsm_tombs_parse(struct af_slice bytes, const char *name, struct af_arena *arena, struct af_tsm_tomb **out,
                                  size_t *out_count, struct af_error *err)
{
    const uint32_t version = bytes.len >= VERSION_BYTES ? af_be32((const uint8_t *)bytes.ptr) : 0;
    if (version >> 8 != VERSION >> 8)
        return collect(bytes, next_line, arena, out, out_count, err);
    const struct af_slice body = af_slice_make(bytes.ptr + VERSION_BYTES, bytes.len - VERSION_BYTES);
    switch (version - VERSION) {
    case 2: return collect(body, next_record, arena, out, out_count, err);
    case 3:
    case 4: return collect_packed(body, name, arena, out, out_count, err);
    default: return af_fail(err, AF_EUNSUPPORTED, "%s: version %u of the tombstone format; 1 to 4 are known", name, version - VERSION);
    }
}

static void put_record(struct af_buf *out, const struct af_tsm_tomb *tomb)
{
    uint8_t word[8];
    af_be32_put(word, (uint32_t)tomb->key.len);
    af_buf_append(out, word, 4);
    af_buf_append_slice(out, tomb->key);
    af_be64_put(word, (uint64_t)tomb->min_ns);
    af_buf_append(out, word, 8);
    af_be64_put(word, (uint64_t)tomb->max_ns);
    af_buf_append(out, word, 8);
}

enum af_status af_tsm_tombs_print(const struct af_tsm_tomb *tombs, size_t count, struct af_buf *out, struct af_error *err)
{
    static const uint8_t head[VERSION_BYTES] = { 0, 0, 0x15, 4 };
    const size_t mark = out->len;
    struct af_codec_ctx ctx = { 0 };
    struct af_buf body;
    af_buf_init(&body, TOMBS_BYTES_MAX);
    for (size_t i = 0; i < count; i++)
        put_record(&body, &tombs[i]);
    enum af_status status = af_buf_check(&body, "tombstones", err);
    af_buf_append(out, head, sizeof head);
    if (status == AF_OK)
        status = af_buf_check(out, "tombstones", err);
    if (status == AF_OK)
        status = af_compress(&ctx, AF_CODEC_GZIP, 0, af_buf_slice(&body), out, err);
    if (status != AF_OK)
        af_buf_rewind(out, mark);
    af_buf_done(&body);
    af_codec_ctx_done(&ctx);
    return status;
}
