/* digest.c - see digest.h. */
#include "codec/digest.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

bool af_sha256(struct af_slice bytes, uint8_t out[AF_SHA256_BYTES])
{
    unsigned len = 0;
    return EVP_Digest(bytes.len != 0 ? bytes.ptr : "", bytes.len, out, &len, EVP_sha256(), NULL) == 1 && len == AF_SHA256_BYTES;
}

/* An EVP_MD_CTX under a name of ours. */
struct af_sha256_run *af_sha256_begin(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(ctx);
        ctx = NULL;
    }
    return (struct af_sha256_run *)ctx;
}

bool af_sha256_add(struct af_sha256_run *run, struct af_slice bytes)
{
    return bytes.len == 0 || EVP_DigestUpdate((EVP_MD_CTX *)run, bytes.ptr, bytes.len) == 1;
}

bool af_sha256_end(struct af_sha256_run *run, uint8_t out[AF_SHA256_BYTES])
{
    unsigned len = 0;
    bool is_done = out == NULL || (EVP_DigestFinal_ex((EVP_MD_CTX *)run, out, &len) == 1 && len == AF_SHA256_BYTES);
    EVP_MD_CTX_free((EVP_MD_CTX *)run);
    return is_done;
}

bool af_hmac_sha256(struct af_slice key, struct af_slice bytes, uint8_t out[AF_SHA256_BYTES])
{
    unsigned len = 0;
    const unsigned char *text = (const unsigned char *)(bytes.len != 0 ? bytes.ptr : "");
    return HMAC(EVP_sha256(), key.len != 0 ? key.ptr : "", (int)key.len, text, bytes.len, out, &len) != NULL && len == AF_SHA256_BYTES;
}

bool af_md5(struct af_slice bytes, uint8_t out[AF_MD5_BYTES])
{
    unsigned len = 0;
    return EVP_Digest(bytes.len != 0 ? bytes.ptr : "", bytes.len, out, &len, EVP_md5(), NULL) == 1 && len == AF_MD5_BYTES;
}

bool af_sha1(struct af_slice bytes, uint8_t out[AF_SHA1_BYTES])
{
    unsigned len = 0;
    return EVP_Digest(bytes.len != 0 ? bytes.ptr : "", bytes.len, out, &len, EVP_sha1(), NULL) == 1 && len == AF_SHA1_BYTES;
}

bool af_equal_secret(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void af_wipe(void *secret, size_t len)
{
    OPENSSL_cleanse(secret, len);
}
