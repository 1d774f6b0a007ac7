/* key_test.c - keys: where they are split and how they are ordered. */
#include "base/prng.h"
#include "format/tsm/tsm.h"
#include "test/lib/test.h"

AF_TEST(key_is_split_at_the_first_separator)
{
    struct af_slice series, field;
    AF_CHECK(af_tsm_key_split(AF_SLICE_LIT("m,a=b#!~#value"), &series, &field));
    AF_CHECK_SLICE(series, "m,a=b");
    AF_CHECK_SLICE(field, "value");
    AF_CHECK(af_tsm_key_split(AF_SLICE_LIT("m#!~#a#!~#b"), &series, &field));
    AF_CHECK_SLICE(series, "m");
    AF_CHECK_SLICE(field, "a#!~#b");
    AF_CHECK(af_tsm_key_split(AF_SLICE_LIT("m##!~#"), &series, &field));
    AF_CHECK_SLICE(series, "m#");
    AF_CHECK_INT(field.len, 0);
    AF_CHECK(!af_tsm_key_split(AF_SLICE_LIT("m#!~"), &series, &field));
    AF_CHECK(!af_tsm_key_split(AF_SLICE_LIT("m#!#~#"), &series, &field));
    AF_CHECK(!af_tsm_key_split((struct af_slice){ NULL, 0 }, &series, &field));
}

/* Letters out of which separators and their halves come up. */
static struct af_slice make(struct af_prng *prng, char *dst)
{
    size_t len = (size_t)af_prng_below(prng, 7);
    for (size_t i = 0; i < len; i++)
        dst[i] = "!#~ab\xff\x01"[af_prng_below(prng, 7)];
    return af_slice_make(dst, len);
}

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

AF_TEST(key_order_is_that_of_the_composed_bytes)
{
    struct af_prng prng = { 1 };
    char bytes[4][8];
    struct af_buf a, b;
    af_buf_init(&a, 100);
    af_buf_init(&b, 100);
    for (int round = 0; round < 200000; round++) {
        struct af_slice p[4];
        for (int i = 0; i < 4; i++)
            p[i] = make(&prng, bytes[i]);
        if (round % 5 == 0)
            p[2] = p[0];
        af_buf_clear(&a), af_buf_clear(&b);
        af_tsm_key_append(&a, p[0], p[1]);
        af_tsm_key_append(&b, p[2], p[3]);
        AF_CHECK_INT(sign(af_tsm_key_compare(p[0], p[1], p[2], p[3])), sign(af_slice_cmp(af_buf_slice(&a), af_buf_slice(&b))));
    }
    AF_CHECK(af_tsm_key_compare(AF_SLICE_LIT("m,a=b!"), AF_SLICE_LIT("f"), AF_SLICE_LIT("m,a=b"), AF_SLICE_LIT("f")) < 0);
    AF_CHECK_INT(af_tsm_key_compare(AF_SLICE_LIT("m"), AF_SLICE_LIT("f"), AF_SLICE_LIT("m"), AF_SLICE_LIT("f")), 0);
    af_buf_done(&a);
    af_buf_done(&b);
}
