/*
 * hash.h - 64-bit XXH3 of bytes (libxxhash) and a mixer for integers. Not for secrets.
 */
#ifndef AF_BASE_HASH_H
#define AF_BASE_HASH_H
#include <stddef.h>
#include <stdint.h>

uint64_t af_hash_bytes(const void *bytes, size_t len, uint64_t seed);

/* Murmur3's 64-bit finaliser: every input bit moves every output bit. */
static inline uint64_t af_hash_mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
}
#endif
