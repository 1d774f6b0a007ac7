/*
 * write_bounds.c - least and greatest values, as Statistics and ColumnIndex hold them.
 *
 * Rules of the format that are easy to get wrong: NaN is never a bound; a bound that is zero is -0 as least and +0 as greatest; INT96 has
 * no order; unsigned integers and text compare unsigned; decimals are signed big-endian. Text longer than AF_PW_BOUND_BYTES is
 * cut: downwards by leaving the rest away, upwards by raising the last ASCII character that can be. Text that is not UTF-8 gives
 * no bounds in columns that promise UTF-8: some readers refuse the whole file over them.
 */
#include "base/utf8.h"
#include "format/parquet/write_int.h"

/* --- numbers ------------------------------------------------------------------------------------------------------------- */

static void set_both(struct af_pw_bounds *b, const void *min, const void *max, size_t len)
{
    *b = (struct af_pw_bounds){ .has = true, .is_min_exact = true, .is_max_exact = true };
    memcpy(b->min, min, len);
    memcpy(b->max, max, len);
    b->min_len = b->max_len = (uint8_t)len;
}

static void bounds_i64(const struct af_pw_column *c, struct af_pw_bounds *out)
{
    int64_t min = INT64_MAX, max = INT64_MIN;
    for (size_t i = 0; i < c->count; i++) {
        min = c->words[i] < min ? c->words[i] : min;
        max = c->words[i] > max ? c->words[i] : max;
    }
    /* little-endian: the first bytes of an int64 are the int32 or the boolean of the same value */
    set_both(out, &min, &max, c->physical == AF_PW_INT64 ? 8 : c->physical == AF_PW_INT32 ? 4 : 1);
}

static void bounds_u64(const struct af_pw_column *c, struct af_pw_bounds *out)
{
    const uint64_t *v = (const uint64_t *)c->words;
    uint64_t min = UINT64_MAX, max = 0;
    for (size_t i = 0; i < c->count; i++) {
        min = v[i] < min ? v[i] : min;
        max = v[i] > max ? v[i] : max;
    }
    set_both(out, &min, &max, sizeof min);
}

static void bounds_f64(const struct af_pw_column *c, struct af_pw_bounds *out)
{
    double min = __builtin_inf(), max = -__builtin_inf();
    for (size_t i = 0; i < c->count; i++) {
        double v;
        memcpy(&v, &c->words[i], sizeof v);
        min = v < min ? v : min; /* false for NaN */
        max = v > max ? v : max;
    }
    if (min > max) /* nothing but NaN */
        return;
    min = min == 0 ? -0.0 : min;
    max = max == 0 ? 0.0 : max;
    set_both(out, &min, &max, sizeof min);
}

static void bounds_decimal(const struct af_pw_column *c, struct af_pw_bounds *out)
{
    char min_bytes[AF_PW_DECIMAL_BYTES], max_bytes[AF_PW_DECIMAL_BYTES];
    __int128 min = c->wides[0], max = c->wides[0];
    for (size_t i = 1; i < c->count; i++) {
        min = c->wides[i] < min ? c->wides[i] : min;
        max = c->wides[i] > max ? c->wides[i] : max;
    }
    af_pw_decimal_bytes(min, min_bytes);
    af_pw_decimal_bytes(max, max_bytes);
    set_both(out, min_bytes, max_bytes, sizeof min_bytes);
}

/* --- text ---------------------------------------------------------------------------------------------------------------- */

/* At most AF_PW_BOUND_BYTES, cut between two characters if `utf8`. */
static size_t cut(struct af_slice s, bool utf8)
{
    size_t len = s.len < AF_PW_BOUND_BYTES ? s.len : AF_PW_BOUND_BYTES;
    while (utf8 && len > 0 && len < s.len && ((unsigned char)s.ptr[len] & 0xc0) == 0x80)
        len--;
    return len;
}

/* Turn the first `len` bytes of a longer text into something greater; 0: it cannot be done. */
static size_t raise_last(char *bytes, size_t len, bool utf8)
{
    const unsigned char top = utf8 ? 0x7e : 0xff; /* ASCII stays ASCII; 0x7f would print badly */
    while (len > 0 && (unsigned char)bytes[len - 1] >= top)
        len--;
    if (len > 0)
        bytes[len - 1] = (char)((unsigned char)bytes[len - 1] + 1);
    return len;
}

static void set_text(struct af_pw_bounds *b, struct af_slice min, struct af_slice max, bool utf8)
{
    if (utf8 && (!af_utf8_is_valid(min) || !af_utf8_is_valid(max)))
        return;
    size_t min_len = cut(min, utf8);
    size_t max_len = cut(max, utf8);
    *b = (struct af_pw_bounds){ .is_min_exact = min_len == min.len, .is_max_exact = max_len == max.len };
    if (min_len > 0)
        memcpy(b->min, min.ptr, min_len);
    if (max_len > 0)
        memcpy(b->max, max.ptr, max_len);
    if (!b->is_max_exact)
        max_len = raise_last(b->max, max_len, utf8);
    b->min_len = (uint8_t)min_len;
    b->max_len = (uint8_t)max_len;
    b->has = b->is_max_exact || max_len > 0;
}

struct extremes {
    struct af_slice min, max;
    bool has;
};

static void widen(struct extremes *e, struct af_slice s)
{
    if (!e->has || af_slice_cmp(s, e->min) < 0)
        e->min = s;
    if (!e->has || af_slice_cmp(s, e->max) > 0)
        e->max = s;
    e->has = true;
}

/* Each dictionary entry the page uses is compared once: `seen` marks them. */
static void extremes_of_codes(const struct af_pw_column *c, struct af_buf *seen, struct extremes *e)
{
    const uint32_t entries = c->dict.set.count;
    af_buf_clear(seen);
    char *marks = af_buf_reserve(seen, entries);
    if (marks == NULL)
        return; /* no memory, no bounds */
    memset(marks, 0, entries);
    for (size_t i = 0; i < c->count; i++)
        marks[c->codes[i]] = 1;
    for (uint32_t code = 0; code < entries; code++)
        if (marks[code] != 0)
            widen(e, c->dict.set.keys[code]);
}

static void bounds_text(const struct af_pw_column *c, bool has_codes, struct af_buf *seen, struct af_pw_bounds *out)
{
    struct extremes e = { 0 };
    const char *at = c->text.ptr != NULL ? c->text.ptr : "";
    if (has_codes)
        extremes_of_codes(c, seen, &e);
    for (size_t i = 0; i < c->count && !has_codes; at += c->words[i], i++)
        widen(&e, af_slice_make(at, (size_t)c->words[i]));
    if (e.has)
        set_text(out, e.min, e.max, c->field.type != AF_TYPE_BYTES);
}

void af_pw_bounds_of(const struct af_pw_column *c, bool has_codes, struct af_buf *seen, struct af_pw_bounds *out)
{
    *out = (struct af_pw_bounds){ 0 };
    if (c->count == 0)
        return;
    switch (c->physical) {
    case AF_PW_INT96: break;
    case AF_PW_DOUBLE: bounds_f64(c, out); break;
    case AF_PW_FIXED: bounds_decimal(c, out); break;
    case AF_PW_BYTE_ARRAY: bounds_text(c, has_codes, seen, out); break;
    default:
        if (c->field.type == AF_TYPE_U64)
            bounds_u64(c, out);
        else
            bounds_i64(c, out);
        break;
    }
}

/* --- merging ------------------------------------------------------------------------------------------------------------- */

static int compare_i64(const char *a, const char *b, size_t len)
{
    int64_t x = 0, y = 0;
    memcpy(&x, a, len);
    memcpy(&y, b, len);
    if (len == 4)
        x = (int32_t)x, y = (int32_t)y;
    return (x > y) - (x < y);
}

static int compare_f64(const char *a, const char *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static int compare_u64(const char *a, const char *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Two's complement, big-endian: the sign decides, then bytes. */
static int compare_decimal(const char *a, const char *b)
{
    int sign = ((signed char)b[0] < 0) - ((signed char)a[0] < 0);
    return sign != 0 ? sign : memcmp(a, b, AF_PW_DECIMAL_BYTES);
}

static int compare(const struct af_pw_column *c, const char *a, size_t a_len, const char *b, size_t b_len)
{
    switch (c->physical) {
    case AF_PW_BYTE_ARRAY: return af_slice_cmp(af_slice_make(a, a_len), af_slice_make(b, b_len));
    case AF_PW_FIXED: return compare_decimal(a, b);
    case AF_PW_DOUBLE: return compare_f64(a, b);
    default: return c->field.type == AF_TYPE_U64 ? compare_u64(a, b) : compare_i64(a, b, a_len);
    }
}

void af_pw_bounds_merge(const struct af_pw_column *c, struct af_pw_bounds *into, const struct af_pw_bounds *more)
{
    if (!into->has) {
        *into = *more;
        return;
    }
    if (compare(c, more->min, more->min_len, into->min, into->min_len) < 0) {
        memcpy(into->min, more->min, sizeof into->min);
        into->min_len = more->min_len;
        into->is_min_exact = more->is_min_exact;
    }
    if (compare(c, more->max, more->max_len, into->max, into->max_len) > 0) {
        memcpy(into->max, more->max, sizeof into->max);
        into->max_len = more->max_len;
        into->is_max_exact = more->is_max_exact;
    }
}

int af_pw_bounds_order(const struct af_pw_column *c, const struct af_pw_page *pages, size_t count)
{
    bool up = true, down = true;
    const struct af_pw_bounds *last = NULL;
    for (size_t i = 0; i < count; i++) {
        if (pages[i].is_null)
            continue;
        const struct af_pw_bounds *b = &pages[i].bounds;
        if (last != NULL) {
            int min = compare(c, b->min, b->min_len, last->min, last->min_len);
            int max = compare(c, b->max, b->max_len, last->max, last->max_len);
            up = up && min >= 0 && max >= 0;
            down = down && min <= 0 && max <= 0;
        }
        last = b;
    }
    return up ? 1 : down ? 2 : 0;
}
