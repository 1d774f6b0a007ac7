/*
 * stats_pack.c - how the numbers of a side file become small.
 *
 * Columns. First byte FF: runs, each a length and a value (uvarints), until all are there. Otherwise groups of 32 values (the last may
 * be shorter): width in bits (0..64), then the values, least significant bit first, filled up to a byte.
 *
 * Values. Measurements are nearly always decimals with few places: 813.25 is kept as 81325 and the number of places, of all
 * values of the key together, if every one of them comes back bit for bit (m / 10^k, rounded once, is what a parser makes of the text).
 * Otherwise floats are kept as the integers that their bits are, signs mirrored so that they order, without the zero bits that all of
 * them end with (values that once were 32-bit floats have 29). What is written are differences between neighbours.
 *
 * Sums. count * (min + max) / 2 is near, so the rest is small. A float sum is not the decimal sum: it is off by the rounding of each
 * addition, so the difference in units of the last place goes along.
 */
#include "base/calendar.h"
#include "codec/bits.h"
#include "codec/compress.h"
#include "format/tsm/stats_int.h"

enum { PACK = 32, RUNS = 0xff, WIDTH_MAX = 64 };

/* --- columns --------------------------------------------------------------------------------------------------------------- */

static unsigned width_of(const uint64_t *values, size_t count)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++)
        all |= values[i];
    return all == 0 ? 0 : 64 - (unsigned)__builtin_clzll(all);
}

static size_t uvarint_bytes(uint64_t v)
{
    return (63 - (unsigned)__builtin_clzll(v | 1)) / 7 + 1;
}

static size_t run_at(const uint64_t *values, size_t i, size_t count)
{
    size_t n = 1;
    while (i + n < count && values[i + n] == values[i])
        n++;
    return n;
}

/* Bytes as runs, or `limit` once they are no fewer. */
static size_t bytes_as_runs(const uint64_t *values, size_t count, size_t limit)
{
    size_t bytes = 1;
    for (size_t i = 0, n; i < count && bytes < limit; i += n) {
        n = run_at(values, i, count);
        bytes += uvarint_bytes(n) + uvarint_bytes(values[i]);
    }
    return bytes < limit ? bytes : limit;
}

static size_t bytes_packed(const uint64_t *values, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i += PACK) {
        size_t n = count - i < PACK ? count - i : PACK;
        bytes += 1 + (n * width_of(values + i, n) + 7) / 8;
    }
    return bytes;
}

static void store_le64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}

static void pack(struct af_buf *out, const uint64_t *values, size_t count)
{
    const unsigned width = width_of(values, count);
    uint8_t *at = (uint8_t *)af_buf_reserve(out, 1 + PACK * 8 + 8);
    uint64_t bits = 0;
    unsigned held = 0;
    if (at == NULL)
        return;
    *at++ = (uint8_t)width;
    for (size_t i = 0; i < count; i++) {
        bits |= values[i] << held;
        held += width;
        if (held < 64)
            continue;
        store_le64(at, bits);
        at += 8;
        held -= 64;
        bits = held != 0 ? values[i] >> (width - held) : 0;
    }
    store_le64(at, bits);
    out->len += 1 + (count * width + 7) / 8;
}

void af_tsm_column_put(struct af_buf *out, const uint64_t *values, size_t count)
{
    const size_t packed = bytes_packed(values, count);
    if (bytes_as_runs(values, count, packed) < packed) {
        af_buf_append_char(out, (char)RUNS);
        for (size_t i = 0, n; i < count; i += n) {
            n = run_at(values, i, count);
            af_uvarint_append(out, n);
            af_uvarint_append(out, values[i]);
        }
        return;
    }
    for (size_t i = 0; i < count; i += PACK)
        pack(out, values + i, count - i < PACK ? count - i : PACK);
}

static bool get_runs(const uint8_t **at, const uint8_t *end, uint64_t *values, size_t count)
{
    size_t done = 0;
    while (done < count) {
        uint64_t n, value;
        if (!af_uvarint_read(at, end, &n) || !af_uvarint_read(at, end, &value) || n == 0 || n > count - done)
            return false;
        for (size_t i = 0; i < n; i++)
            values[done + i] = value;
        done += (size_t)n;
    }
    return true;
}

static uint64_t load_le64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static bool unpack(const uint8_t **at, const uint8_t *end, uint64_t *values, size_t count)
{
    uint8_t room[PACK * 8 + 16] = { 0 }; /* so that reads may go past the last byte */
    const unsigned width = *at < end ? *(*at)++ : WIDTH_MAX + 1;
    const size_t bytes = (count * width + 7) / 8;
    if (width > WIDTH_MAX || bytes > (size_t)(end - *at))
        return false;
    memcpy(room, *at, bytes);
    *at += bytes;
    const uint64_t mask = width == 0 ? 0 : UINT64_MAX >> (64 - width);
    for (size_t i = 0; i < count; i++) {
        const size_t bit = i * width;
        const unsigned low = bit % 8;
        const uint64_t high = low != 0 ? (uint64_t)room[bit / 8 + 8] << (64 - low) : 0;
        values[i] = (load_le64(room + bit / 8) >> low | high) & mask;
    }
    return true;
}

bool af_tsm_column_get(const uint8_t **at, const uint8_t *end, uint64_t *values, size_t count)
{
    if (count != 0 && *at < end && **at == RUNS) {
        ++*at;
        return get_runs(at, end, values, count);
    }
    for (size_t i = 0; i < count; i += PACK)
        if (!unpack(at, end, values + i, count - i < PACK ? count - i : PACK))
            return false;
    return true;
}

uint32_t af_tsm_stats_crc(uint64_t number, const void *bytes, size_t len)
{
    uint8_t head[8];
    af_be64_put(head, number);
    return af_crc32(af_crc32(0, head, sizeof head), bytes, len);
}

/* --- values ---------------------------------------------------------------------------------------------------------------- */

static const double powers[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12 };
static const double EXACT_MAX = 1125899906842624.0;  /* 2^50: below, value * 10^k is off by less than a quarter */
static const double SUM_MAX = 4611686018427387904.0; /* 2^62 */

static double to_f64(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t from_f64(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static bool is_below(double v, double limit)
{
    return v < limit && v > -limit;
}

/* Nearest integer, halves away from zero; 0 for what is too large, which only a forged file has. */
static int64_t nearest(double v)
{
    return is_below(v, SUM_MAX) ? (int64_t)(v < 0 ? v - 0.5 : v + 0.5) : 0;
}

static bool is_exact(double v, unsigned scale)
{
    const double scaled = v * powers[scale];
    return is_below(scaled, EXACT_MAX) && from_f64((double)nearest(scaled) / powers[scale]) == from_f64(v);
}

static int64_t order_bits(uint64_t bits, unsigned shift)
{
    const int64_t size = (int64_t)((bits & (UINT64_MAX >> 1)) >> shift);
    return bits >> 63 != 0 ? -size - 1 : size;
}

static uint64_t unorder_bits(int64_t number, unsigned shift)
{
    if (number >= 0)
        return (uint64_t)number << shift;
    return ((uint64_t) - (number + 1) << shift) | UINT64_C(1) << 63;
}

int64_t af_tsm_form_in(const struct af_tsm_form *form, uint64_t value)
{
    if (form->type == AF_TYPE_U64)
        return (int64_t)(value ^ UINT64_C(1) << 63);
    if (form->type != AF_TYPE_F64)
        return (int64_t)value;
    return form->scale == AF_TSM_STATS_SCALE_BITS ? order_bits(value, form->shift) : nearest(to_f64(value) * powers[form->scale]);
}

uint64_t af_tsm_form_out(const struct af_tsm_form *form, int64_t number)
{
    if (form->type == AF_TYPE_U64)
        return (uint64_t)number ^ UINT64_C(1) << 63;
    if (form->type != AF_TYPE_F64)
        return (uint64_t)number;
    return form->scale == AF_TSM_STATS_SCALE_BITS ? unorder_bits(number, form->shift) : from_f64((double)number / powers[form->scale]);
}

/* Decimal places that hold all values exactly, or SCALE_BITS. A value that k places hold is held by k + 1 too, while it is below the
 * limit. */
static unsigned choose_scale(const struct af_tsm_day *pieces, size_t count)
{
    unsigned scale = 0;
    double largest = 0;
    double largest_sum = 0;
    for (size_t i = 0; i < count; i++) {
        const struct af_tsm_stat *stat = &pieces[i].stat;
        const double values[4] = { to_f64(stat->min), to_f64(stat->max), to_f64(stat->first), to_f64(stat->last) };
        for (size_t v = 0; v < 4; v++) {
            while (scale <= AF_TSM_STATS_SCALE_MAX && !is_exact(values[v], scale))
                scale++;
            if (scale > AF_TSM_STATS_SCALE_MAX)
                return AF_TSM_STATS_SCALE_BITS;
            const double size = values[v] < 0 ? -values[v] : values[v];
            largest = size > largest ? size : largest;
        }
        const double sum = to_f64(stat->sum);
        if (!is_below(sum, SUM_MAX)) /* infinite ones too */
            return AF_TSM_STATS_SCALE_BITS;
        largest_sum = sum > largest_sum ? sum : -sum > largest_sum ? -sum : largest_sum;
    }
    return largest * powers[scale] < EXACT_MAX && largest_sum * powers[scale] < SUM_MAX ? scale : AF_TSM_STATS_SCALE_BITS;
}

static unsigned choose_shift(const struct af_tsm_day *pieces, size_t count)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++)
        all |= pieces[i].stat.min | pieces[i].stat.max | pieces[i].stat.first | pieces[i].stat.last;
    all &= UINT64_MAX >> 1;
    return all == 0 ? 0 : (unsigned)__builtin_ctzll(all);
}

struct af_tsm_form af_tsm_form_choose(enum af_type type, const struct af_tsm_day *pieces, size_t count)
{
    struct af_tsm_form form = { .type = type };
    if (type == AF_TYPE_F64)
        form.scale = choose_scale(pieces, count);
    if (form.scale == AF_TSM_STATS_SCALE_BITS)
        form.shift = choose_shift(pieces, count);
    return form;
}

unsigned af_tsm_form_columns(const struct af_tsm_form *form)
{
    switch (form->type) {
    case AF_TYPE_F64: return form->scale == AF_TSM_STATS_SCALE_BITS ? 5 : 6;
    case AF_TYPE_I64:
    case AF_TYPE_U64: return 5;
    case AF_TYPE_BOOL: return 1;
    default: return 0;
    }
}

/* --- sums ------------------------------------------------------------------------------------------------------------------ */

/* count * (min + max) / 2 in the form's integers, modulo 2^64. */
static uint64_t guess_integer(const struct af_tsm_form *form, const struct af_tsm_stat *stat)
{
    __int128 both;
    if (form->type == AF_TYPE_U64)
        both = (__int128)stat->min + stat->max;
    else
        both = (__int128)af_tsm_form_in(form, stat->min) + af_tsm_form_in(form, stat->max);
    return (uint64_t)(both * stat->count / 2);
}

static int64_t guess_bits(const struct af_tsm_stat *stat)
{
    const double guess = (double)stat->count * (to_f64(stat->min) * 0.5 + to_f64(stat->max) * 0.5);
    return guess - guess == 0 ? order_bits(from_f64(guess), 0) : 0;
}

void af_tsm_sum_in(const struct af_tsm_form *form, const struct af_tsm_stat *stat, uint64_t *out_rest, uint64_t *out_ulps)
{
    *out_ulps = 0;
    if (form->type != AF_TYPE_F64) {
        *out_rest = af_tsm_zigzag(stat->sum - guess_integer(form, stat));
    } else if (form->scale == AF_TSM_STATS_SCALE_BITS) {
        *out_rest = af_tsm_zigzag((uint64_t)order_bits(stat->sum, 0) - (uint64_t)guess_bits(stat));
    } else {
        const int64_t sum = nearest(to_f64(stat->sum) * powers[form->scale]);
        const double back = (double)sum / powers[form->scale];
        *out_rest = af_tsm_zigzag((uint64_t)sum - guess_integer(form, stat));
        *out_ulps = af_tsm_zigzag((uint64_t)order_bits(stat->sum, 0) - (uint64_t)order_bits(from_f64(back), 0));
    }
}

void af_tsm_sum_out(const struct af_tsm_form *form, struct af_tsm_stat *stat, uint64_t rest, uint64_t ulps)
{
    rest = af_tsm_unzigzag(rest);
    if (form->type != AF_TYPE_F64) {
        stat->sum = guess_integer(form, stat) + rest;
    } else if (form->scale == AF_TSM_STATS_SCALE_BITS) {
        stat->sum = unorder_bits((int64_t)((uint64_t)guess_bits(stat) + rest), 0);
    } else {
        const double back = (double)(int64_t)(guess_integer(form, stat) + rest) / powers[form->scale];
        stat->sum = unorder_bits((int64_t)((uint64_t)order_bits(from_f64(back), 0) + af_tsm_unzigzag(ulps)), 0);
    }
}

/* --- addition -------------------------------------------------------------------------------------------------------------- */

static bool is_less(enum af_type type, uint64_t a, uint64_t b)
{
    if (type == AF_TYPE_F64)
        return to_f64(a) < to_f64(b);
    return type == AF_TYPE_I64 ? (int64_t)a < (int64_t)b : a < b;
}

void af_tsm_stat_add(enum af_type type, struct af_tsm_stat *stat, const struct af_tsm_stat *more)
{
    stat->sum = type == AF_TYPE_F64 ? from_f64(to_f64(stat->sum) + to_f64(more->sum)) : stat->sum + more->sum;
    stat->min = is_less(type, more->min, stat->min) ? more->min : stat->min;
    stat->max = is_less(type, stat->max, more->max) ? more->max : stat->max;
    stat->last = more->last;
    stat->count += more->count;
}
