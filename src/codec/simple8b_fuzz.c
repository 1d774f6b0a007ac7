/*
 * simple8b_fuzz.c - any bytes as words, and any numbers as values.
 *
 * Properties: both decoders agree and write no more than they may; values that come out of words go back in and come out again; numbers
 * encode exactly when all are below 2^60, and come back.
 */
#include "base/alloc.h"
#include "codec/codec_int.h"
#include "codec/simple8b.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 512 };

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void encode_and_back(const uint64_t *values, size_t count)
{
    uint8_t *words = af_alloc(count * 8);
    uint64_t *back = af_alloc((count + AF_SIMPLE8B_SLACK) * 8);
    must(words != NULL && back != NULL);
    bool fits = true;
    for (size_t i = 0; i < count; i++)
        fits = fits && values[i] <= AF_SIMPLE8B_VALUE_MAX;
    const size_t len = af_simple8b_encode(values, count, words);
    must((len != SIZE_MAX) == fits);
    if (fits) {
        must(len <= count * 8 && af_simple8b_count(words, len / 8) == count);
        af_simple8b_decode(words, len / 8, back);
        must(count == 0 || memcmp(values, back, count * 8) == 0);
    }
    af_free(words);
    af_free(back);
}

static void decode_both(const uint8_t *words, size_t word_count)
{
    const size_t count = af_simple8b_count(words, word_count);
    uint64_t *fast = af_alloc((count + AF_SIMPLE8B_SLACK) * 8);
    uint64_t *plain = af_alloc(count * 8);
    must(fast != NULL && plain != NULL);
    af_simple8b_decode(words, word_count, fast);
    af_simple8b_decode_scalar(words, word_count, plain);
    must(count == 0 || memcmp(fast, plain, count * 8) == 0);
    encode_and_back(plain, count);
    af_free(fast);
    af_free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t values[WORDS_MAX];
    if (size < 1 || size / 8 > WORDS_MAX)
        return 0;
    const unsigned shift = data[0] % 64; /* so that small values come up */
    decode_both(data + 1, (size - 1) / 8);
    for (size_t i = 0; i < (size - 1) / 8; i++)
        values[i] = af_load64(data + 1 + i * 8) >> shift;
    encode_and_back(values, (size - 1) / 8);
    return 0;
}
