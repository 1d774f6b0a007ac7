/*
 * number.c - numbers and truth values as files write them, and any value as text.
 *
 *     decimal: point   1234.5  0E-8          (af_f64_parse)
 *     decimal: comma   1.234,5  0,5  -1.234  (points only between groups of three)
 *     decimal: auto    the last separator is the decimal one; one comma alone is decimal, one point alone too;
 *                      several of a kind are group marks
 */
#include "base/calendar.h"
#include "base/numbers.h"
#include "map/map_int.h"
#include <math.h>

enum { NUMBER_BYTES_MAX = 96 };

/* Groups of three digits behind every `mark` in [text, end)? The first group has one to three. */
static bool groups_are_right(struct af_slice text, char mark)
{
    size_t start = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+') ? 1 : 0;
    size_t digits = 0;
    bool has_mark = false;
    for (size_t i = start; i < text.len; i++) {
        if (text.ptr[i] == mark) {
            if (has_mark ? digits != 3 : digits < 1 || digits > 3)
                return false;
            has_mark = true;
            digits = 0;
        } else if (text.ptr[i] >= '0' && text.ptr[i] <= '9') {
            digits++;
        } else {
            return !has_mark; /* an exponent or rubbish: the parser will tell */
        }
    }
    return !has_mark || digits == 3;
}

/* Without `group` marks, `decimal` as a point; length in out, SIZE_MAX if it cannot be. */
static size_t normalise(struct af_slice text, char group, char decimal, char *out)
{
    const char *at = memchr(text.ptr, decimal, text.len);
    size_t whole = at != NULL ? (size_t)(at - text.ptr) : text.len;
    if (!groups_are_right((struct af_slice){ text.ptr, whole }, group))
        return SIZE_MAX;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == group && i < whole)
            continue;
        if (c == group || (c == decimal && i > whole))
            return SIZE_MAX;
        out[len++] = c == decimal ? '.' : c;
    }
    return len;
}

static size_t count_of(struct af_slice text, char c, size_t *out_last)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == c) {
            count++;
            *out_last = i;
        }
    }
    return count;
}

/* Which of comma and point is the decimal mark? */
static int guess_decimal(struct af_slice text)
{
    size_t last_comma = 0;
    size_t last_point = 0;
    size_t commas = count_of(text, ',', &last_comma);
    size_t points = count_of(text, '.', &last_point);
    if (commas != 0 && points != 0)
        return last_comma > last_point ? MAP_DECIMAL_COMMA : MAP_DECIMAL_POINT;
    if (commas != 0)
        return commas == 1 ? MAP_DECIMAL_COMMA : MAP_DECIMAL_POINT;
    return points > 1 ? MAP_DECIMAL_COMMA : MAP_DECIMAL_POINT;
}

/* No comma and at most one point: nothing to guess. */
static bool has_plain_marks(struct af_slice text)
{
    size_t points = 0;
    size_t commas = 0;
    for (size_t i = 0; i < text.len; i++) {
        points += text.ptr[i] == '.';
        commas += text.ptr[i] == ',';
    }
    return commas == 0 && points <= 1;
}

/* Text in the plain notation; `space` has NUMBER_BYTES_MAX. False: no number. */
static bool plain(struct af_slice *text, int decimal, char *space)
{
    if (decimal <= MAP_DECIMAL_POINT)
        return true;
    bool is_auto = decimal == MAP_DECIMAL_AUTO;
    if (is_auto && has_plain_marks(*text))
        return true;
    if (text->len > NUMBER_BYTES_MAX)
        return false;
    if (is_auto)
        decimal = guess_decimal(*text);
    char group = decimal == MAP_DECIMAL_COMMA ? '.' : ',';
    size_t len = normalise(*text, group, decimal == MAP_DECIMAL_COMMA ? ',' : '.', space);
    *text = (struct af_slice){ space, len };
    return len != SIZE_MAX;
}

bool af_map_f64_parse(struct af_slice text, int decimal, double *out)
{
    char space[NUMBER_BYTES_MAX];
    return plain(&text, decimal, space) && af_f64_parse(text, out);
}

bool af_map_f64_to_i64(double value, int64_t *out)
{
    if (!(value >= -9223372036854775808.0 && value < 9223372036854775808.0) || value != floor(value))
        return false;
    *out = (int64_t)value;
    return true;
}

bool af_map_f64_to_u64(double value, uint64_t *out)
{
    if (!(value >= 0 && value < 18446744073709551616.0) || value != floor(value))
        return false;
    *out = (uint64_t)value;
    return true;
}

bool af_map_i64_parse(struct af_slice text, int decimal, int64_t *out)
{
    double value;
    return af_i64_parse(text, out) || (af_map_f64_parse(text, decimal, &value) && af_map_f64_to_i64(value, out));
}

bool af_map_u64_parse(struct af_slice text, int decimal, uint64_t *out)
{
    double value;
    return af_u64_parse(text, out) || (af_map_f64_parse(text, decimal, &value) && af_map_f64_to_u64(value, out));
}

bool af_map_bool_parse(struct af_slice text, bool *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {
        { "true", true },  { "false", false }, { "1", true },   { "0", false },  { "1.0", true }, { "0.0", false },
        { "t", true },     { "f", false },     { "yes", true }, { "no", false }, { "y", true },   { "n", false },
        { "sim", true },   { "nao", false },   { "s", true },   { "não", false },
    };
    char lower[8];
    if (text.len == 0 || text.len >= sizeof lower)
        return false;
    for (size_t i = 0; i < text.len; i++)
        lower[i] = text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? (char)(text.ptr[i] + ('a' - 'A')) : text.ptr[i];
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (af_slice_is((struct af_slice){ lower, text.len }, words[i].word)) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

/* --- any value as text -------------------------------------------------------------------------------------------- */

/* As Python's str(): a point in every float, exponents from 1e+16 on and below 1e-4. */
static void print_python_f64(struct af_buf *out, double value)
{
    char text[AF_F64_TEXT_MAX];
    size_t len = (size_t)(af_f64_print(text, value) - text);
    double size = fabs(value);
    if (size < 1e16) {
        af_buf_append(out, text, len);
        if (memchr(text, '.', len) == NULL && memchr(text, 'e', len) == NULL)
            af_buf_append_str(out, ".0");
        return;
    }
    if (memchr(text, 'e', len) != NULL) {
        af_buf_append(out, text, len);
        return;
    }
    size_t first = text[0] == '-' ? 1 : 0; /* plain digits: d[.ddd]e+XX */
    size_t digits = len - first;
    size_t used = digits;
    while (used > 1 && text[first + used - 1] == '0')
        used--;
    af_buf_append(out, text, first + 1);
    if (used > 1) {
        af_buf_append_char(out, '.');
        af_buf_append(out, text + first + 1, used - 1);
    }
    af_buf_printf(out, "e+%02zu", digits - 1);
}

static void print_f64(struct af_buf *out, double value, int style)
{
    if (!isfinite(value)) {
        af_buf_append_str(out, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
    } else if (style == MAP_PYTHON) {
        print_python_f64(out, value);
    } else {
        char text[AF_F64_TEXT_MAX];
        af_buf_append(out, text, (size_t)(af_f64_print(text, value) - text));
    }
}

static void print_time(struct af_buf *out, int64_t ns, bool is_clock)
{
    char text[40];
    size_t len = (size_t)(af_rfc3339_print(text, ns, ns % AF_NS_PER_S != 0 ? 9 : 0) - text);
    if (is_clock)
        af_buf_append(out, text + 11, len - 12); /* between T and Z */
    else
        af_buf_append(out, text, len);
}

static void print_date(struct af_buf *out, int64_t days)
{
    char text[40];
    if (days < INT32_MIN || days > INT32_MAX)
        af_buf_printf(out, "%lld days", (long long)days);
    else
        af_buf_append(out, text, (size_t)(af_date_print(text, (int32_t)days) - text));
}

void af_map_value_print(struct af_buf *out, const struct af_column *col, size_t row, int style)
{
    char text[64];
    switch (col->type) {
    case AF_TYPE_NULL: break;
    case AF_TYPE_BOOL:
        if (style == MAP_PYTHON)
            af_buf_append_str(out, af_bit_get(col->bits, row) ? "True" : "False");
        else
            af_buf_append_str(out, af_bit_get(col->bits, row) ? "true" : "false");
        break;
    case AF_TYPE_I64: af_buf_append(out, text, (size_t)(af_i64_print(text, col->i64[row]) - text)); break;
    case AF_TYPE_U64: af_buf_append(out, text, (size_t)(af_u64_print(text, col->u64[row]) - text)); break;
    case AF_TYPE_F64: print_f64(out, col->f64[row], style); break;
    case AF_TYPE_TIME: print_time(out, col->i64[row], false); break;
    case AF_TYPE_DATE: print_date(out, col->i64[row]); break;
    case AF_TYPE_CLOCK: print_time(out, col->i64[row], true); break;
    case AF_TYPE_DECIMAL:
        af_buf_append(out, text, (size_t)(af_decimal_print(text, col->i128[row], col->scale) - text));
        break;
    case AF_TYPE_STRING:
    case AF_TYPE_BYTES:
    case AF_TYPE_JSON: af_buf_append_slice(out, af_column_text(col, row)); break;
    }
}

static bool decimal_to_i64(__int128 unscaled, unsigned scale, int64_t *out)
{
    for (; scale > 0; scale--) {
        if (unscaled % 10 != 0)
            return false;
        unscaled /= 10;
    }
    if (unscaled < INT64_MIN || unscaled > INT64_MAX)
        return false;
    *out = (int64_t)unscaled;
    return true;
}

bool af_map_column_i64(const struct af_column *col, size_t row, int64_t *out)
{
    switch (col->type) {
    case AF_TYPE_BOOL: *out = af_bit_get(col->bits, row); return true;
    case AF_TYPE_I64:
    case AF_TYPE_TIME:
    case AF_TYPE_DATE:
    case AF_TYPE_CLOCK: *out = col->i64[row]; return true;
    case AF_TYPE_U64: *out = (int64_t)col->u64[row]; return col->u64[row] <= INT64_MAX;
    case AF_TYPE_F64: return af_map_f64_to_i64(col->f64[row], out);
    case AF_TYPE_DECIMAL: return decimal_to_i64(col->i128[row], col->scale, out);
    case AF_TYPE_STRING:
    case AF_TYPE_BYTES:
    case AF_TYPE_JSON: return af_map_i64_parse(af_slice_trim(af_column_text(col, row)), MAP_DECIMAL_POINT, out);
    case AF_TYPE_NULL: break;
    }
    return false;
}
