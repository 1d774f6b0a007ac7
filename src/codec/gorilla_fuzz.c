/*
 * gorilla_fuzz.c - any bytes as a stream of doubles (byte 0 and 1: how many), and any bytes as doubles.
 *
 * Properties: both decoders agree; a stream that decodes holds no NaN, and its values, if finite, encode to a stream that decodes to them;
 * doubles encode exactly when all are finite, and come back bit for bit.
 */
#include "base/alloc.h"
#include "codec/codec_int.h"
#include "codec/gorilla.h"
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void encode_and_back(const double *values, size_t count)
{
    uint8_t *bytes = af_alloc(af_gorilla_bytes_max(count));
    double *back = af_alloc(count * 8);
    must(bytes != NULL && back != NULL);
    bool are_finite = true;
    for (size_t i = 0; i < count; i++)
        are_finite = are_finite && isfinite(values[i]);
    const size_t len = af_gorilla_encode(values, count, bytes);
    must((len != 0) == are_finite);
    if (are_finite) {
        uint8_t *exact = af_realloc(bytes, len); /* so that a read past the end is found */
        must(exact != NULL);
        bytes = exact;
        must(af_gorilla_decode(bytes, len, back, count, NULL) == AF_OK);
        must(memcmp(values, back, count * 8) == 0);
        must(len < 2 || af_gorilla_decode(bytes, len - 1, back, count, NULL) == AF_ECORRUPT);
        must(af_gorilla_decode(bytes, len, back, count > 1 ? count - 1 : count, NULL) == (count > 1 ? AF_ECORRUPT : AF_OK));
    }
    af_free(bytes);
    af_free(back);
}

static void decode_both(const uint8_t *src, size_t len, size_t count)
{
    double *fast = af_alloc(count * 8);
    double *plain = af_alloc(count * 8);
    must(fast != NULL && plain != NULL);
    enum af_status status = af_gorilla_decode(src, len, fast, count, NULL);
    must(af_gorilla_decode_scalar(src, len, plain, count, NULL) == status);
    must(status == AF_OK || status == AF_ECORRUPT);
    if (status == AF_OK) {
        must(memcmp(fast, plain, count * 8) == 0);
        for (size_t i = 0; i < count; i++)
            must(!isnan(fast[i]));
        encode_and_back(fast, count);
    }
    af_free(fast);
    af_free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static double values[1024];
    if (size < 2)
        return 0;
    decode_both(data + 2, size - 2, 1 + ((size_t)data[0] | (size_t)(data[1] & 15) << 8));
    const size_t count = (size - 2) / 8 < 1024 ? (size - 2) / 8 : 1024;
    memcpy(values, data + 2, count * 8);
    if (count > 0)
        encode_and_back(values, count);
    return 0;
}
