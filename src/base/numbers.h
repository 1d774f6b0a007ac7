/*
 * numbers.h - numbers to text and back, exactly.
 *
 * Floats print as the shortest decimal that reads back to the same bits, in the layout of Go's strconv 'g' with -1 precision
 * as InfluxDB's own clients write it: plain notation for exponents -5 < e < 21, otherwise d.ddde+XX. -0 prints "-0".
 * Infinity and NaN have no text: callers test first (the printers assert).
 * Parsing is correctly rounded (round half to even), like strtod in the C locale.
 */
#ifndef AF_BASE_NUMBERS_H
#define AF_BASE_NUMBERS_H
#include "base/error.h"
#include "base/slice.h"

enum {
    AF_F64_TEXT_MAX = 40, /* what af_f64_print may write, scratch included; the text itself has at most 25 */
    AF_I64_TEXT_MAX = 24,
};

/* Write to `dst` (no NUL), return the end. `dst` has room for AF_F64_TEXT_MAX / AF_I64_TEXT_MAX bytes. */
char *af_f64_print(char *dst, double value);
char *af_i64_print(char *dst, int64_t value);
char *af_u64_print(char *dst, uint64_t value);

/* Exactly `digits` digits with leading zeros (value < 10^digits). */
char *af_u64_print_padded(char *dst, uint64_t value, unsigned digits);

/* Two lower-case hexadecimal digits a byte. */
char *af_hex_print(char *dst, const void *bytes, size_t len);

/* A decimal 128-bit integer with `scale` digits after the point: 12345, 2 -> "123.45". Room for 48 bytes. */
char *af_decimal_print(char *dst, __int128 unscaled, unsigned scale);

/* unscaled / 10^scale, correctly rounded. */
double af_decimal_to_f64(__int128 unscaled, unsigned scale);

/* The whole slice must be the number: [-+]?digits[.digits][e[-+]?digits], ".5" and "5." included; no spaces, hex, inf or
 * nan. False: not a number, or too large for a finite double. Tiny values become subnormal or zero. */
bool af_f64_parse(struct af_slice text, double *out);

/* The whole slice, [-]digits (a leading '+' is refused), in range. */
bool af_i64_parse(struct af_slice text, int64_t *out);
bool af_u64_parse(struct af_slice text, uint64_t *out);

/* A number at the start of [ptr, end): returns its end, or NULL. For scanners that don't know where it ends. */
const char *af_f64_scan(const char *ptr, const char *end, double *out);
#endif
