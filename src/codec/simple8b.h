/*
 * simple8b.h - 64-bit words that hold as many small integers as fit: 4 bits say how many and how wide, 60 bits hold them.
 *
 *     selector       0    1   2   3   4   5   6   7  8  9 10 11 12 13 14 15      top 4 bits of the word
 *     values       240  120  60  30  20  15  12  10  8  7  6  5  4  3  2  1      first value in the lowest bits
 *     bits each      0    0   1   2   3   4   5   6  7  8 10 12 15 20 30 60      0 and 1: a run of the value 1
 *
 * Words are stored big-endian, one after another; the number of values is the sum of what the selectors say, there is no padding.
 * The encoder is greedy and gives the words that InfluxDB's batch encoder gives. Pure functions over memory.
 */
#ifndef AF_CODEC_SIMPLE8B_H
#define AF_CODEC_SIMPLE8B_H
#include "base/error.h"

#define AF_SIMPLE8B_VALUE_MAX ((UINT64_C(1) << 60) - 1)
enum { AF_SIMPLE8B_SLACK = 8 }; /* values past the last one that the decoder may write over */

/* Values in `word_count` words; any words are valid. */
size_t af_simple8b_count(const uint8_t *words, size_t word_count);

/* Write them to `dst`, which has room for af_simple8b_count() + AF_SIMPLE8B_SLACK values. */
void af_simple8b_decode(const uint8_t *words, size_t word_count, uint64_t *dst);

/* Bytes written to `dst`, which has room for 8 * count; SIZE_MAX: a value is above AF_SIMPLE8B_VALUE_MAX. */
size_t af_simple8b_encode(const uint64_t *src, size_t count, uint8_t *dst);
#endif
