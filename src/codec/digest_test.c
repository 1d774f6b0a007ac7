/* digest_test.c - published vectors: FIPS 180-2 and RFC 4231. */
#include "codec/digest.h"
#include "test/lib/test.h"
#include <stdio.h>

static void hex(const uint8_t *bytes, char out[65])
{
    for (size_t i = 0; i < AF_SHA256_BYTES; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

AF_TEST(sha256_vectors)
{
    uint8_t digest[AF_SHA256_BYTES];
    char text[65];
    AF_CHECK(af_sha256(AF_SLICE_LIT("abc"), digest));
    hex(digest, text);
    AF_CHECK_STR(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    AF_CHECK(af_sha256((struct af_slice){ 0 }, digest));
    hex(digest, text);
    AF_CHECK_STR(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

AF_TEST(hmac_sha256_vectors)
{
    uint8_t digest[AF_SHA256_BYTES];
    char text[65];
    AF_CHECK(af_hmac_sha256(AF_SLICE_LIT("Jefe"), AF_SLICE_LIT("what do ya want for nothing?"), digest));
    hex(digest, text);
    AF_CHECK_STR(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

AF_TEST(secrets_compare_and_vanish)
{
    char secret[8] = "1234567";
    AF_CHECK(af_equal_secret("abc", "abc", 3));
    AF_CHECK(!af_equal_secret("abc", "abd", 3));
    af_wipe(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++)
        AF_CHECK_INT(secret[i], 0);
}
