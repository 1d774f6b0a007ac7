/* bits_test.c - packed integers against slow references: one bit, one run, one value at a time. */
#include "base/alloc.h"
#include "base/prng.h"
#include "codec/codec_int.h"
#include "test/lib/test.h"

enum { VALUES = 300 };

static struct af_buf buffer(void)
{
    struct af_buf out;
    af_buf_init(&out, 1 << 26);
    return out;
}

/* A copy that ends where its block ends, so that ASan sees a byte too many. */
static uint8_t *tight(const void *bytes, size_t len)
{
    uint8_t *copy = af_alloc(len);
    AF_CHECK(copy != NULL);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

static uint64_t bit_by_bit(const uint8_t *src, unsigned width, size_t index)
{
    uint64_t v = 0;
    for (unsigned b = 0; b < width; b++) {
        size_t at = index * width + b;
        v |= (uint64_t)(src[at / 8] >> (at % 8) & 1) << b;
    }
    return v;
}

AF_TEST(unpack_is_every_bit_in_its_place)
{
    struct af_prng prng = { 1 };
    uint64_t wide[VALUES];
    uint64_t scalar[VALUES];
    uint32_t narrow[VALUES];
    uint32_t narrow_scalar[VALUES];
    for (unsigned width = 0; width <= 64; width++) {
        for (size_t count = 0; count <= VALUES; count += count < 40 ? 1 : 13) {
            size_t len = (count * width + 7) / 8;
            uint8_t bytes[VALUES * 8 + 8];
            for (size_t i = 0; i < len; i++)
                bytes[i] = (uint8_t)af_prng_next(&prng);
            uint8_t *src = tight(bytes, len);
            af_bits_unpack64(src, len, width, wide, count);
            af_bits_unpack64_scalar(src, len, width, scalar, count);
            for (size_t i = 0; i < count; i++) {
                AF_CHECK(wide[i] == bit_by_bit(src, width, i));
                AF_CHECK(scalar[i] == wide[i]);
            }
            if (width <= 32) {
                af_bits_unpack32(src, len, width, narrow, count);
                af_bits_unpack32_scalar(src, len, width, narrow_scalar, count);
                for (size_t i = 0; i < count; i++)
                    AF_CHECK(narrow[i] == wide[i] && narrow_scalar[i] == wide[i]);
            }
            af_free(src);
        }
    }
}

AF_TEST(pack_is_the_inverse_of_unpack)
{
    struct af_prng prng = { 2 };
    for (unsigned width = 0; width <= 64; width++) {
        uint64_t values[VALUES];
        uint64_t back[VALUES];
        for (size_t i = 0; i < VALUES; i++)
            values[i] = af_prng_next(&prng) & af_low_bits(width);
        struct af_buf out = buffer();
        af_bits_pack64(values, VALUES, width, &out);
        AF_CHECK_INT(out.len, (VALUES * width + 7) / 8);
        af_bits_unpack64((const uint8_t *)out.ptr, out.len, width, back, VALUES);
        AF_CHECK(memcmp(values, back, sizeof values) == 0);
        af_buf_done(&out);
    }
}

AF_TEST(widths_and_old_levels)
{
    struct af_error err;
    uint32_t got[8];
    AF_CHECK_INT(af_bits_width(0), 0);
    AF_CHECK_INT(af_bits_width(1), 1);
    AF_CHECK_INT(af_bits_width(8), 4);
    AF_CHECK_INT(af_bits_width(255), 8);
    AF_CHECK_INT(af_bits_width(UINT32_MAX), 32);
    const uint8_t msb[] = { 0x05, 0x39, 0x77 }; /* 0..7 in three bits, most significant first */
    AF_CHECK_OK(af_bits_unpack_msb(msb, 3, 3, got, 8, &err), err);
    for (uint32_t i = 0; i < 8; i++)
        AF_CHECK_INT(got[i], i);
    AF_CHECK_FAILS(af_bits_unpack_msb(msb, 2, 3, got, 8, &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_bits_unpack_msb(msb, 3, 33, got, 0, &err), AF_ECORRUPT);
    AF_CHECK_OK(af_bits_unpack_msb(NULL, 0, 0, got, 8, &err), err);
    AF_CHECK_INT(got[7], 0);
}

AF_TEST(varints)
{
    const uint64_t samples[] = { 0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 63 };
    struct af_buf out = buffer();
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        af_uvarint_append(&out, samples[i]);
    const uint8_t *at = (const uint8_t *)out.ptr;
    const uint8_t *end = at + out.len;
    uint64_t v;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        AF_CHECK(af_uvarint_read(&at, end, &v));
        AF_CHECK(v == samples[i]);
    }
    AF_CHECK(at == end);
    AF_CHECK(!af_uvarint_read(&at, end, &v));
    const uint8_t cut[] = { 0x80, 0x80 };
    at = cut;
    AF_CHECK(!af_uvarint_read(&at, cut + 2, &v));
    AF_CHECK(at == cut);
    const uint8_t big[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 };
    at = big;
    AF_CHECK(!af_uvarint_read(&at, big + 10, &v));
    af_buf_done(&out);
}

/* --- runs ---------------------------------------------------------------------------------------------------------------- */

AF_TEST(rle_known_bytes)
{
    struct af_error err;
    struct af_rle_reader rle;
    uint32_t got[24];
    /* run of 4 times 9, then one group with 0..7, three bits each */
    const uint8_t bytes[] = { 4 << 1, 5, 1 << 1 | 1, 0x88, 0xc6, 0xfa };
    AF_CHECK_OK(af_rle_open(&rle, bytes, sizeof bytes, 3, &err), err);
    AF_CHECK_OK(af_rle_read(&rle, got, 12, &err), err);
    for (uint32_t i = 0; i < 4; i++)
        AF_CHECK_INT(got[i], 5);
    for (uint32_t i = 0; i < 8; i++)
        AF_CHECK_INT(got[4 + i], i);
    AF_CHECK_FAILS(af_rle_read(&rle, got, 1, &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_rle_open(&rle, bytes, sizeof bytes, 33, &err), AF_ECORRUPT);
}

AF_TEST(rle_lies_are_caught)
{
    struct af_error err;
    struct af_rle_reader rle;
    uint32_t got[64];
    const uint8_t too_wide[] = { 4 << 1, 9 }; /* 9 has four bits */
    AF_CHECK_OK(af_rle_open(&rle, too_wide, 2, 3, &err), err);
    AF_CHECK_FAILS(af_rle_read(&rle, got, 1, &err), AF_ECORRUPT);
    const uint8_t no_value[] = { 4 << 1 };
    AF_CHECK_OK(af_rle_open(&rle, no_value, 1, 3, &err), err);
    AF_CHECK_FAILS(af_rle_read(&rle, got, 1, &err), AF_ECORRUPT);
    const uint8_t long_header[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0 };
    AF_CHECK_OK(af_rle_open(&rle, long_header, 7, 3, &err), err);
    AF_CHECK_FAILS(af_rle_read(&rle, got, 1, &err), AF_ECORRUPT);
    const uint8_t many_groups[] = { 0xff, 0xff, 0xff, 0xff, 0x0f };
    AF_CHECK_OK(af_rle_open(&rle, many_groups, 5, 0, &err), err);
    AF_CHECK_FAILS(af_rle_read(&rle, got, 1, &err), AF_ECORRUPT);
    const uint8_t cut[] = { 2 << 1 | 1, 0x88, 0xc6, 0xfa, 0x01 }; /* two groups said, ten whole values there */
    AF_CHECK_OK(af_rle_open(&rle, cut, 5, 3, &err), err);
    AF_CHECK_OK(af_rle_read(&rle, got, 9, &err), err);
    AF_CHECK_OK(af_rle_read(&rle, got + 9, 1, &err), err);
    AF_CHECK_INT(got[8], 1);
    AF_CHECK_INT(got[9], 0);
    AF_CHECK_FAILS(af_rle_read(&rle, got, 1, &err), AF_ECORRUPT);
}

AF_TEST(rle_width_zero_and_empty_runs)
{
    struct af_error err;
    struct af_rle_reader rle;
    uint32_t got[20];
    const uint8_t bytes[] = { 0, 0, 3 << 1, 1, 2 << 1 | 1 }; /* two empty runs, a run of 3, no groups, 2 groups */
    AF_CHECK_OK(af_rle_open(&rle, bytes, sizeof bytes, 0, &err), err);
    AF_CHECK_OK(af_rle_read(&rle, got, 19, &err), err);
    for (size_t i = 0; i < 19; i++)
        AF_CHECK_INT(got[i], 0);
    AF_CHECK_FAILS(af_rle_read(&rle, got, 1, &err), AF_ECORRUPT);
}

/* Stretches of equal values and of noise, of every length around the thresholds. */
static void make_values(struct af_prng *prng, uint32_t *values, size_t count, unsigned width)
{
    for (size_t i = 0; i < count;) {
        size_t n = 1 + (size_t)af_prng_below(prng, 20);
        uint32_t value = (uint32_t)(af_prng_next(prng) & af_low_bits(width));
        bool run = af_prng_below(prng, 2) == 0;
        for (; n > 0 && i < count; n--, i++)
            values[i] = run ? value : (uint32_t)(af_prng_next(prng) & af_low_bits(width));
    }
}

/* Read in pieces of random size, by run where the reader offers one. */
static void read_back(struct af_prng *prng, struct af_rle_reader *rle, const uint32_t *want, size_t count)
{
    struct af_error err;
    uint32_t got[64];
    size_t piece;
    for (size_t i = 0; i < count; i += piece) {
        piece = 1 + (size_t)af_prng_below(prng, 64);
        piece = piece < count - i ? piece : count - i;
        if (af_prng_below(prng, 2) == 0) {
            size_t run, packed;
            uint32_t value;
            AF_CHECK_OK(af_rle_peek_run(rle, piece, &run, &value, &packed, &err), err);
            AF_CHECK(run <= piece && (run > 0) == (packed == 0));
            if (run > 0) {
                for (size_t k = 0; k < run; k++)
                    AF_CHECK_INT(value, want[i + k]);
                af_rle_skip_run(rle, run);
                piece = run;
                continue;
            }
            piece = piece < packed ? piece : packed;
        }
        AF_CHECK_OK(af_rle_read(rle, got, piece, &err), err);
        AF_CHECK(memcmp(got, want + i, piece * sizeof *got) == 0);
    }
}

AF_TEST(rle_round_trip_in_pieces)
{
    struct af_prng prng = { 3 };
    struct af_error err;
    uint32_t values[1000];
    for (int round = 0; round < 2000; round++) {
        unsigned width = (unsigned)af_prng_below(&prng, 33);
        size_t count = (size_t)af_prng_below(&prng, 1000);
        make_values(&prng, values, count, width);
        struct af_buf out = buffer();
        af_rle_encode(values, count, width, &out);
        uint8_t *src = tight(out.ptr, out.len);
        struct af_rle_reader rle;
        AF_CHECK_OK(af_rle_open(&rle, src, out.len, width, &err), err);
        read_back(&prng, &rle, values, count);
        af_free(src);
        af_buf_done(&out);
    }
}

AF_TEST(rle_runs_are_small)
{
    static uint32_t values[100000];
    struct af_buf out = buffer();
    af_rle_encode(values, 100000, 1, &out);
    AF_CHECK_INT(out.len, 4); /* varint of three bytes, value of one */
    af_buf_done(&out);
}

/* --- deltas -------------------------------------------------------------------------------------------------------------- */

static void delta_round_trip(const int64_t *values, size_t count, unsigned bits)
{
    struct af_error err;
    size_t used;
    static int64_t back[2000];
    struct af_buf out = buffer();
    af_delta_encode(values, count, bits, &out);
    size_t len = out.len;
    af_buf_append_str(&out, "tail"); /* what follows in the page is not touched */
    uint8_t *src = tight(out.ptr, out.len);
    AF_CHECK_OK(af_delta_decode(src, out.len, bits, back, count, &used, &err), err);
    AF_CHECK_INT(used, len);
    AF_CHECK(count == 0 || memcmp(values, back, count * sizeof *values) == 0);
    AF_CHECK_FAILS(af_delta_decode(src, out.len, bits, back, count + 1, &used, &err), AF_ECORRUPT);
    af_free(src);
    for (size_t cut = 0; cut < len && count > 0; cut++) { /* a prefix never gives all values, but where only padding is cut */
        src = tight(out.ptr, cut);
        enum af_status status = af_delta_decode(src, cut, bits, back, count, &used, &err);
        AF_CHECK(status == AF_ECORRUPT || (status == AF_OK && memcmp(values, back, count * sizeof *values) == 0));
        af_free(src);
        cut += cut > 100 ? 37 : 0;
    }
    af_buf_done(&out);
}

AF_TEST(delta_round_trip_of_every_width)
{
    struct af_prng prng = { 4 };
    static int64_t values[1000];
    for (unsigned width = 0; width <= 64; width++) {
        size_t count = (size_t)af_prng_below(&prng, 700);
        int64_t value = 0;
        for (size_t i = 0; i < count; i++) {
            value = (int64_t)((uint64_t)value + (af_prng_next(&prng) & af_low_bits(width)));
            values[i] = value;
        }
        delta_round_trip(values, count, 64);
        for (size_t i = 0; i < count; i++)
            values[i] = (int32_t)(uint32_t)values[i];
        delta_round_trip(values, count, 32);
    }
}

AF_TEST(delta_extremes_wrap)
{
    const int64_t wide[] = { INT64_MAX, INT64_MIN, INT64_MAX, 0, -1, INT64_MIN, INT64_MIN };
    const int64_t narrow[] = { INT32_MAX, INT32_MIN, INT32_MAX, 0, -1, INT32_MIN, INT32_MIN };
    for (size_t n = 0; n <= 7; n++) {
        delta_round_trip(wide, n, 64);
        delta_round_trip(narrow, n, 32);
    }
}

AF_TEST(delta_known_bytes)
{
    /* the example of the format's own text: 7 5 3 1 2 3 4 5 in a block of 128 with four miniblocks */
    struct af_error err;
    int64_t got[8];
    size_t used;
    const int64_t want[] = { 7, 5, 3, 1, 2, 3, 4, 5 };
    const uint8_t bytes[] = { 0x80, 1, 4, 8, 14, 3, 2, 99, 0, 200, 0xc0, 0x3f, 0, 0, 0, 0, 0, 0 };
    AF_CHECK_OK(af_delta_decode(bytes, sizeof bytes, 64, got, 8, &used, &err), err);
    AF_CHECK_INT(used, 18);
    AF_CHECK(memcmp(got, want, sizeof want) == 0);
}

AF_TEST(delta_of_33_bits_for_32_bit_integers)
{
    struct af_error err;
    int64_t got[3];
    size_t used;
    const int64_t want[] = { INT32_MIN, INT32_MAX, INT32_MIN };
    const uint8_t bytes[] = { 0x80, 1, 4, 3, 0xff, 0xff, 0xff, 0xff, 15, 0xfd, 0xff, 0xff, 0xff, 0x1f, 33, 0, 0, 0,
                              0xfe, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0 };
    AF_CHECK_OK(af_delta_decode(bytes, sizeof bytes, 32, got, 3, &used, &err), err);
    AF_CHECK_INT(used, sizeof bytes);
    AF_CHECK(memcmp(got, want, sizeof want) == 0);
}

AF_TEST(delta_lies_are_caught)
{
    struct af_error err;
    int64_t got[8];
    size_t used;
    const uint8_t bad[][10] = {
        { 0, 1, 8, 0 },                /* block of nothing */
        { 0x80, 1, 0, 8, 0 },          /* no miniblocks */
        { 0x80, 1, 3, 8, 0 },          /* 128 / 3 */
        { 0x80, 1, 64, 8, 0 },         /* miniblocks of 2 */
        { 0x80, 1, 4, 9, 0 },          /* another count */
        { 0x80, 1, 4, 8, 0, 0, 65 },   /* too wide */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        AF_CHECK_FAILS(af_delta_decode(bad[i], 10, 64, got, 8, &used, &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_delta_decode(bad[5], 10, 32, got, 8, &used, &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_delta_decode(bad[0], 0, 64, got, 8, &used, &err), AF_ECORRUPT);
    AF_CHECK_OK(af_delta_decode(bad[0], 0, 64, got, 0, &used, &err), err);
}

/* --- byte stream split --------------------------------------------------------------------------------------------------- */

AF_TEST(stream_split_round_trip)
{
    struct af_prng prng = { 5 };
    for (size_t width = 1; width <= 64; width += width < 17 ? 1 : 9) {
        for (size_t count = 0; count < 70; count++) {
            uint8_t src[70 * 64];
            for (size_t i = 0; i < count * width; i++)
                src[i] = (uint8_t)af_prng_next(&prng);
            uint8_t *in = tight(src, count * width);
            uint8_t *out = af_alloc(count * width);
            uint8_t *twin = af_alloc(count * width);
            AF_CHECK(out != NULL && twin != NULL);
            af_stream_split_encode(in, count, width, out);
            af_stream_split_encode_scalar(in, count, width, twin);
            AF_CHECK(memcmp(out, twin, count * width) == 0);
            af_stream_split_decode_scalar(out, count, width, twin);
            AF_CHECK(memcmp(in, twin, count * width) == 0);
            memset(twin, 0, count * width);
            af_stream_split_decode(out, count, width, twin);
            AF_CHECK(memcmp(in, twin, count * width) == 0);
            af_free(in);
            af_free(out);
            af_free(twin);
        }
    }
}
