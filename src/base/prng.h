/*
 * prng.h - repeatable random numbers (splitmix64) for generators, jitter and tests. Not for secrets.
 */
#ifndef AF_BASE_PRNG_H
#define AF_BASE_PRNG_H
#include <stdint.h>

struct af_prng {
    uint64_t state;
};

static inline uint64_t af_prng_next(struct af_prng *prng)
{
    uint64_t z = prng->state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

/* Uniform in [0, bound); 0 for bound 0. */
static inline uint64_t af_prng_below(struct af_prng *prng, uint64_t bound)
{
    return (uint64_t)((unsigned __int128)af_prng_next(prng) * bound >> 64);
}

/* Uniform in [0, 1). */
static inline double af_prng_unit(struct af_prng *prng)
{
    return (double)(af_prng_next(prng) >> 11) * 0x1.0p-53;
}
#endif
