/* wal_test.c - segments of a write-ahead log made by hand: all types, deletes, torn at every byte. */
#include "codec/compress.h"
#include "format/tsm/file_fixture.h"

static void put_entry(struct af_buf *segment, int type, const struct af_buf *body)
{
    struct af_error err;
    struct af_codec_ctx ctx = { 0 };
    uint8_t head[5] = { (uint8_t)type };
    const size_t mark = segment->len;
    af_buf_append(segment, head, sizeof head);
    AF_CHECK_OK(af_compress(&ctx, AF_CODEC_SNAPPY, 0, af_buf_slice(body), segment, &err), err);
    af_be32_put((uint8_t *)segment->ptr + mark + 1, (uint32_t)(segment->len - mark - 5));
}

static void put_be(struct af_buf *out, uint64_t v, size_t bytes)
{
    uint8_t word[8];
    af_be64_put(word, v);
    af_buf_append(out, word + 8 - bytes, bytes);
}

static void put_series(struct af_buf *out, int type, const char *key, size_t count)
{
    put_be(out, (uint64_t)type, 1);
    put_be(out, strlen(key), 2);
    af_buf_append_str(out, key);
    put_be(out, count, 4);
    for (size_t i = 0; i < count; i++) {
        put_be(out, 1000 - i, 8); /* backwards: any order is possible */
        if (type == 3) {
            put_be(out, i % 2, 1);
        } else if (type == 4) {
            put_be(out, i, 4);
            for (size_t n = 0; n < i; n++)
                af_buf_append_char(out, (char)('a' + (int)i));
        } else {
            put_be(out, i * 3, 8);
        }
    }
}

static void make_segment(struct af_buf *segment)
{
    struct af_buf body;
    af_buf_init(&body, 1 << 20);
    for (int type = 1; type <= 5; type++)
        put_series(&body, type, (char[]){ 'k', (char)('0' + type), '\0' }, 5);
    put_entry(segment, 1, &body);
    af_buf_clear(&body);
    af_buf_append_str(&body, "k1\nk2");
    put_entry(segment, 2, &body);
    af_buf_clear(&body);
    put_be(&body, (uint64_t)-7, 8);
    put_be(&body, 9, 8);
    put_be(&body, 2, 4);
    af_buf_append_str(&body, "k3");
    put_entry(segment, 3, &body);
    af_buf_done(&body);
}

/* What a visitor saw, as text. */
static enum af_status see_write(void *ctx, struct af_slice key, const struct af_tsm_values *values, struct af_error *err)
{
    (void)err;
    af_buf_printf(ctx, AF_SLICE_FMT ":%s", AF_SLICE_ARG(key), af_type_name(values->values.type));
    for (size_t i = 0; i < values->count; i++) {
        af_buf_printf(ctx, " %lld=", (long long)values->time_ns[i]);
        if (values->values.type == AF_TYPE_STRING)
            af_buf_append_slice(ctx, af_column_text(&values->values, i));
        else
            af_buf_printf(ctx, "%llu", (unsigned long long)(values->values.type == AF_TYPE_BOOL ? af_bit_get(values->values.bits, i)
                                                                                                : values->values.u64[i]));
    }
    af_buf_append_char(ctx, '\n');
    return AF_OK;
}

static enum af_status see_erase(void *ctx, struct af_slice key, int64_t min_ns, int64_t max_ns, struct af_error *err)
{
    (void)err;
    af_buf_printf(ctx, "erase " AF_SLICE_FMT " %lld %lld\n", AF_SLICE_ARG(key), (long long)min_ns, (long long)max_ns);
    return AF_OK;
}

#define WRITES                                                  \
    "k1:f64 1000=0 999=3 998=6 997=9 996=12\n"                  \
    "k2:i64 1000=0 999=3 998=6 997=9 996=12\n"                  \
    "k3:bool 1000=0 999=1 998=0 997=1 996=0\n"                  \
    "k4:string 1000= 999=b 998=cc 997=ddd 996=eeee\n"           \
    "k5:u64 1000=0 999=3 998=6 997=9 996=12\n"
#define DELETES                                                 \
    "erase k1 -9223372036854775808 9223372036854775807\n"       \
    "erase k2 -9223372036854775808 9223372036854775807\n"
#define RANGE "erase k3 -7 9\n"

AF_TEST(tsm_wal_entries_and_every_cut)
{
    struct af_error err;
    struct af_buf segment, seen;
    uint64_t torn;
    af_buf_init(&segment, 1 << 20);
    af_buf_init(&seen, 1 << 20);
    make_segment(&segment);
    const struct af_tsm_wal_visitor visitor = { &seen, see_write, see_erase };
    const char *const texts[4] = { "", WRITES, WRITES DELETES, WRITES DELETES RANGE };
    size_t ends[4] = { 0 };
    for (size_t e = 1; e < 4; e++)
        ends[e] = ends[e - 1] + 5 + af_be32((const uint8_t *)segment.ptr + ends[e - 1] + 1);
    AF_CHECK_INT(ends[3], segment.len);
    for (size_t len = 0; len <= segment.len; len++) {
        const size_t whole = len >= ends[3] ? 3 : len >= ends[2] ? 2 : len >= ends[1] ? 1 : 0;
        af_buf_clear(&seen);
        char *exact = af_alloc(len);
        AF_CHECK(exact != NULL);
        memcpy(exact, segment.ptr, len);
        AF_CHECK_OK(af_tsm_wal_read(af_slice_make(exact, len), "s", &visitor, &torn, &err), err);
        af_free(exact);
        AF_CHECK_STR(af_buf_cstr(&seen), texts[whole]);
        AF_CHECK_INT(torn, len - ends[whole]);
    }
    segment.ptr[ends[1]] = 9; /* no such entry: the rest is left out */
    af_buf_clear(&seen);
    AF_CHECK_OK(af_tsm_wal_read(af_buf_slice(&segment), "s", &visitor, &torn, &err), err);
    AF_CHECK_STR(af_buf_cstr(&seen), texts[1]);
    AF_CHECK_INT(torn, segment.len - ends[1]);
    af_buf_done(&segment);
    af_buf_done(&seen);
}

/* An entry whose end is bad is not handed out by half. */
AF_TEST(tsm_wal_half_an_entry_is_none)
{
    struct af_error err;
    struct af_buf segment, body, seen;
    uint64_t torn;
    af_buf_init(&segment, 1 << 20);
    af_buf_init(&body, 1 << 20);
    af_buf_init(&seen, 1 << 20);
    put_series(&body, 1, "good", 3);
    put_series(&body, 2, "cut", 3);
    body.len--;
    put_entry(&segment, 1, &body);
    const struct af_tsm_wal_visitor visitor = { &seen, see_write, see_erase };
    AF_CHECK_OK(af_tsm_wal_read(af_buf_slice(&segment), "s", &visitor, &torn, &err), err);
    AF_CHECK_INT(seen.len, 0);
    AF_CHECK_INT(torn, segment.len);
    af_buf_done(&segment);
    af_buf_done(&body);
    af_buf_done(&seen);
}

static enum af_status refuse(void *ctx, struct af_slice key, const struct af_tsm_values *values, struct af_error *err)
{
    (void)ctx, (void)key, (void)values;
    return af_fail(err, AF_ECONFLICT, "no");
}

AF_TEST(tsm_wal_visitor_and_memory_fail)
{
    struct af_error err;
    struct af_buf segment, seen;
    uint64_t torn;
    enum af_status status;
    size_t nth = 0;
    af_buf_init(&segment, 1 << 20);
    af_buf_init(&seen, 1 << 20);
    make_segment(&segment);
    const struct af_tsm_wal_visitor refusing = { &seen, refuse, see_erase };
    AF_CHECK_FAILS(af_tsm_wal_read(af_buf_slice(&segment), "s", &refusing, &torn, &err), AF_ECONFLICT);
    const struct af_tsm_wal_visitor visitor = { &seen, see_write, see_erase };
    af_buf_reserve(&seen, 4096);
    do {
        af_buf_clear(&seen);
        af_alloc_fail_nth(++nth);
        status = af_tsm_wal_read(af_buf_slice(&segment), "s", &visitor, &torn, &err);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
    } while (status != AF_OK);
    AF_CHECK(nth > 1);
    af_buf_done(&segment);
    af_buf_done(&seen);
}
