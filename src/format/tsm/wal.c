/*
 * wal.c - segments of InfluxDB's write-ahead log, read.
 *
 *     segment   { type 1 | length 4 | snappy block } ...
 *     1 write   { value type 1 | key length 2 | key | count 4 | { time 8, value } ... } ...
 *     2 delete  keys, joined by '\n'
 *     3 range   min 8 | max 8 | { key length 4 | key } ...
 *
 * There is no checksum. An entry counts if all of it can be read; the first that cannot ends the segment, as for InfluxDB. An entry is
 * therefore walked twice: once to see that it is whole, once to hand it out.
 */
#include "base/limits.h"
#include "codec/bits.h"
#include "codec/compress.h"
#include "format/tsm/file_int.h"

enum { ENTRY_WRITE = 1, ENTRY_DELETE = 2, ENTRY_RANGE = 3, ENTRY_HEAD = 5 };
enum { SNAPPY_RATIO_MAX = 22 }; /* a copy of 64 bytes takes 3 */
enum { ARENA_BYTES_MAX = 1 << 30 };

struct wal {
    const struct af_tsm_wal_visitor *visitor; /* NULL: only look */
    struct af_arena arena;                    /* of one entry */
    struct af_codec_ctx codec;
    struct af_error *err;
    enum af_status status;                    /* of the visitor, or memory: what stops the reading */
};

struct cursor {
    const uint8_t *at, *end;
};

static bool take(struct cursor *c, size_t bytes, const uint8_t **out)
{
    if (bytes > (size_t)(c->end - c->at))
        return false;
    *out = c->at;
    c->at += bytes;
    return true;
}

/* --- values ---------------------------------------------------------------------------------------------------------------- */

static const struct {
    enum af_type type;
    size_t bytes; /* of a value; strings have at least their length */
} kinds[] = { { 0, 0 }, { AF_TYPE_F64, 8 }, { AF_TYPE_I64, 8 }, { AF_TYPE_BOOL, 1 }, { AF_TYPE_STRING, 4 }, { AF_TYPE_U64, 8 } };
enum { KINDS = sizeof kinds / sizeof *kinds };

/* `count` values, skipped; *out_text: bytes of their strings. */
static bool skip_values(struct cursor *c, enum af_type type, size_t bytes, size_t count, size_t *out_text)
{
    const uint8_t *p;
    *out_text = 0;
    if (type != AF_TYPE_STRING)
        return count <= (size_t)(c->end - c->at) / (8 + bytes) && take(c, count * (8 + bytes), &p);
    for (size_t i = 0; i < count; i++) {
        if (!take(c, 12, &p))
            return false;
        const size_t len = af_be32(p + 8);
        if (!take(c, len, &p))
            return false;
        *out_text += len;
    }
    return *out_text <= INT32_MAX;
}

static bool fill_strings(struct wal *wal, const uint8_t *p, size_t count, size_t text, int64_t *times, struct af_column *col)
{
    int32_t *offsets = af_arena_array(&wal->arena, count + 1, sizeof *offsets);
    char *bytes = af_arena_array(&wal->arena, text, 1);
    if (offsets == NULL || bytes == NULL)
        return false;
    size_t at = 0;
    offsets[0] = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t len = af_be32(p + 8);
        times[i] = (int64_t)af_be64(p);
        if (len != 0)
            memcpy(bytes + at, p + 12, len);
        at += len;
        offsets[i + 1] = (int32_t)at;
        p += 12 + len;
    }
    col->offsets = offsets;
    col->bytes = bytes;
    return true;
}

static bool fill_bools(struct wal *wal, const uint8_t *p, size_t count, int64_t *times, struct af_column *col)
{
    uint64_t *bits = af_bits_new(&wal->arena, count, false);
    if (bits == NULL)
        return false;
    for (size_t i = 0; i < count; i++, p += 9) {
        times[i] = (int64_t)af_be64(p);
        if (p[8] != 0)
            af_bit_set(bits, i);
    }
    col->bits = bits;
    return true;
}

static bool fill_numbers(struct wal *wal, const uint8_t *p, size_t count, int64_t *times, struct af_column *col)
{
    uint64_t *numbers = af_arena_array(&wal->arena, count, sizeof *numbers);
    if (numbers == NULL)
        return false;
    for (size_t i = 0; i < count; i++, p += 16) {
        times[i] = (int64_t)af_be64(p);
        numbers[i] = af_be64(p + 8);
    }
    col->u64 = numbers;
    return true;
}

static enum af_status give_values(struct wal *wal, struct af_slice key, enum af_type type, const uint8_t *p, size_t count, size_t text)
{
    struct af_tsm_values values = { .count = count, .values = { .type = type } };
    int64_t *times = af_arena_array(&wal->arena, count, sizeof *times);
    bool is_filled = times != NULL;
    if (is_filled && type == AF_TYPE_STRING)
        is_filled = fill_strings(wal, p, count, text, times, &values.values);
    else if (is_filled && type == AF_TYPE_BOOL)
        is_filled = fill_bools(wal, p, count, times, &values.values);
    else if (is_filled)
        is_filled = fill_numbers(wal, p, count, times, &values.values);
    if (!is_filled)
        return af_arena_fail(&wal->arena, count * 16 + text, "an entry of a write-ahead log", wal->err);
    values.time_ns = times;
    return wal->visitor->write(wal->visitor->ctx, key, &values, wal->err);
}

/* --- entries: false if they break the format, or if wal->status says so ------------------------------------------------------------- */

static bool walk_write(struct wal *wal, struct cursor c)
{
    while (c.at < c.end && wal->status == AF_OK) {
        const uint8_t *head, *key, *word;
        size_t text;
        if (!take(&c, 3, &head) || head[0] == 0 || head[0] >= KINDS)
            return false;
        const size_t key_len = af_be16(head + 1);
        if (!take(&c, key_len, &key) || !take(&c, 4, &word))
            return false;
        const size_t count = af_be32(word);
        const uint8_t *values = c.at;
        if (count == 0 || !skip_values(&c, kinds[head[0]].type, kinds[head[0]].bytes, count, &text))
            return false;
        if (wal->visitor != NULL)
            wal->status = give_values(wal, af_slice_make(key, key_len), kinds[head[0]].type, values, count, text);
    }
    return true;
}

static void erase(struct wal *wal, const uint8_t *key, size_t len, int64_t min_ns, int64_t max_ns)
{
    if (wal->visitor != NULL && len != 0)
        wal->status = wal->visitor->erase(wal->visitor->ctx, af_slice_make(key, len), min_ns, max_ns, wal->err);
}

static bool walk_delete(struct wal *wal, struct cursor c)
{
    while (c.at < c.end && wal->status == AF_OK) {
        const uint8_t *end = memchr(c.at, '\n', (size_t)(c.end - c.at));
        const size_t len = end != NULL ? (size_t)(end - c.at) : (size_t)(c.end - c.at);
        erase(wal, c.at, len, INT64_MIN, INT64_MAX);
        c.at += len + (end != NULL);
    }
    return true;
}

static bool walk_range(struct wal *wal, struct cursor c)
{
    const uint8_t *times, *word, *key;
    if (!take(&c, 16, &times))
        return false;
    while (c.at < c.end && wal->status == AF_OK) {
        if (!take(&c, 4, &word) || !take(&c, af_be32(word), &key))
            return false;
        erase(wal, key, af_be32(word), (int64_t)af_be64(times), (int64_t)af_be64(times + 8));
    }
    return true;
}

static bool walk_entry(struct wal *wal, int type, struct cursor c)
{
    switch (type) {
    case ENTRY_WRITE: return walk_write(wal, c);
    case ENTRY_DELETE: return walk_delete(wal, c);
    case ENTRY_RANGE: return walk_range(wal, c);
    default: return false;
    }
}

/* --- a segment ------------------------------------------------------------------------------------------------------------- */

/* Decompressed, looked at, handed out. False: it breaks the format and nothing was handed out; or wal->status. */
static bool read_entry(struct wal *wal, const struct af_tsm_wal_visitor *visitor, int type, struct af_slice packed)
{
    const uint8_t *p = (const uint8_t *)packed.ptr;
    uint64_t len;
    if (!af_uvarint_read(&p, p + packed.len, &len) || len > AF_TSM_WAL_RECORD_BYTES_MAX || len / SNAPPY_RATIO_MAX > packed.len)
        return false;
    af_arena_reset(&wal->arena);
    uint8_t *body = af_arena_array(&wal->arena, (size_t)len, 1);
    if (body == NULL) {
        wal->status = af_arena_fail(&wal->arena, (size_t)len, "an entry of a write-ahead log", wal->err);
        return false;
    }
    if (af_decompress(&wal->codec, AF_CODEC_SNAPPY, packed, body, (size_t)len, NULL) != AF_OK)
        return false;
    const struct cursor c = { body, body + len };
    wal->visitor = NULL;
    if (!walk_entry(wal, type, c))
        return false;
    wal->visitor = visitor;
    (void)walk_entry(wal, type, c);
    return wal->status == AF_OK;
}

enum af_status af_tsm_wal_read(struct af_slice segment, const char *name, const struct af_tsm_wal_visitor *visitor, uint64_t *out_torn,
                               struct af_error *err)
{
    struct wal wal = { .err = err };
    const uint8_t *at = (const uint8_t *)segment.ptr;
    size_t left = segment.len;
    af_arena_init(&wal.arena, ARENA_BYTES_MAX);
    while (left >= ENTRY_HEAD) {
        const size_t len = af_be32(at + 1);
        if (len > left - ENTRY_HEAD || !read_entry(&wal, visitor, at[0], af_slice_make(at + ENTRY_HEAD, len)))
            break;
        at += ENTRY_HEAD + len;
        left -= ENTRY_HEAD + len;
    }
    af_arena_done(&wal.arena);
    af_codec_ctx_done(&wal.codec);
    if (wal.status != AF_OK) {
        af_error_prefix(err, "%s: at offset %zu: ", name, segment.len - left);
        return wal.status;
    }
    *out_torn = left;
    return AF_OK;
}
