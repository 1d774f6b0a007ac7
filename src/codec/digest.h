/*
 * digest.h - cryptographic digests, by OpenSSL's libcrypto (digest.c is its one home).
 */
#ifndef AF_CODEC_DIGEST_H
#define AF_CODEC_DIGEST_H
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum { AF_SHA256_BYTES = 32, AF_MD5_BYTES = 16, AF_SHA1_BYTES = 20 };
/* False: the library failed (no memory). */
__attribute__((warn_unused_result)) bool af_sha256(struct af_slice bytes, uint8_t out[AF_SHA256_BYTES]);
/* The same of bytes that come in pieces. NULL: no memory. `end` frees; out NULL: nobody wants to know. */
struct af_sha256_run;
struct af_sha256_run *af_sha256_begin(void);
__attribute__((warn_unused_result)) bool af_sha256_add(struct af_sha256_run *run, struct af_slice bytes);
bool af_sha256_end(struct af_sha256_run *run, uint8_t out[AF_SHA256_BYTES]);
/* HMAC-SHA-256 of `bytes` under `key`. */
__attribute__((warn_unused_result)) bool af_hmac_sha256(struct af_slice key, struct af_slice bytes, uint8_t out[AF_SHA256_BYTES]);
/* MD5, which protects nothing and is what SQS and S3 check bodies with. False: no memory, or a library that must not know it (FIPS). */
__attribute__((warn_unused_result)) bool af_md5(struct af_slice bytes, uint8_t out[AF_MD5_BYTES]);
/* SHA-1, which protects nothing either: AWS names files of SSO tokens by it. */
__attribute__((warn_unused_result)) bool af_sha1(struct af_slice bytes, uint8_t out[AF_SHA1_BYTES]);
/* Equal? Takes the same time wherever they differ. */
bool af_equal_secret(const void *a, const void *b, size_t len);
/* Overwrite a secret so that the compiler does not leave it out. */
void af_wipe(void *secret, size_t len);
#endif
