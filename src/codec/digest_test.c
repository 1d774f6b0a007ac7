/* digest_test.c - published vectors: FIPS 180-2, RFC 1321 and RFC 4231. */
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

AF_TEST(sha256_of_pieces_is_that_of_the_whole)
{
    static const char text[] = "what do ya want for nothing? and a little more, past a block of sixty-four bytes";
    uint8_t whole[AF_SHA256_BYTES], pieces[AF_SHA256_BYTES];
    AF_CHECK(af_sha256(af_slice_of(text), whole));
    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct af_sha256_run *run = af_sha256_begin();
        AF_CHECK(run != NULL);
        AF_CHECK(af_sha256_add(run, af_slice_make(text, cut)));
        AF_CHECK(af_sha256_add(run, af_slice_make(text + cut, sizeof text - 1 - cut)));
        AF_CHECK(af_sha256_end(run, pieces));
        AF_CHECK(memcmp(whole, pieces, sizeof whole) == 0);
    }
    AF_CHECK(af_sha256_end(af_sha256_begin(), NULL));
}

AF_TEST(hmac_sha256_vectors)
{
    uint8_t digest[AF_SHA256_BYTES];
    char text[65];
    AF_CHECK(af_hmac_sha256(AF_SLICE_LIT("Jefe"), AF_SLICE_LIT("what do ya want for nothing?"), digest));
    hex(digest, text);
    AF_CHECK_STR(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

AF_TEST(md5_vectors)
{
    uint8_t digest[AF_SHA256_BYTES] = { 0 };
    char text[65];
    AF_CHECK(af_md5(AF_SLICE_LIT("message digest"), digest));
    hex(digest, text);
    text[2 * AF_MD5_BYTES] = '\0';
    AF_CHECK_STR(text, "f96b697d7cb7938d525a2f31aaf161d0");
    AF_CHECK(af_md5((struct af_slice){ 0 }, digest));
    hex(digest, text);
    text[2 * AF_MD5_BYTES] = '\0';
    AF_CHECK_STR(text, "d41d8cd98f00b204e9800998ecf8427e");
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
