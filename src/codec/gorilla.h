/*
 * gorilla.h - doubles as the XOR of each with the one before, as InfluxDB writes them (the one float encoding of TSM).
 *
 *     bits, most significant first: first value 64 | record | record | ... | record of the end mark | zero bits to a whole byte
 *
 *     record of x = value ^ previous:   0                                  x = 0
 *                                       10 <m bits of x>                   x fits the window: L leading zeros, m bits, T trailing zeros
 *                                       11 <L: 5> <m: 6, 64 as 0> <m bits> another window
 *     end mark: the NaN 7FF8000000000001, which therefore cannot be a value
 *
 * InfluxDB writes the number of leading zeros modulo 32, and so does this encoder: the bytes are equal. Pure functions over memory.
 */
#ifndef AF_CODEC_GORILLA_H
#define AF_CODEC_GORILLA_H
#include "base/error.h"

/* Room that the encoder needs for `count` values; SIZE_MAX if that is no size. */
size_t af_gorilla_bytes_max(size_t count);

/* Bytes written to `dst`; 0: a value is not finite, or count is 0. */
size_t af_gorilla_encode(const double *src, size_t count, uint8_t *dst);

/* Exactly `count` (> 0) values and the end mark, and nothing behind them. AF_ECORRUPT otherwise, also for a NaN among the values;
 * infinities are taken. */
AF_MUST_CHECK enum af_status af_gorilla_decode(const uint8_t *src, size_t len, double *dst, size_t count, struct af_error *err);

/* The first `count` (> 0) of them only: what follows is not looked at. AF_ECORRUPT: there are not so many. */
AF_MUST_CHECK enum af_status af_gorilla_decode_head(const uint8_t *src, size_t len, double *dst, size_t count, struct af_error *err);
#endif
