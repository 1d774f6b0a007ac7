/*
 * batch_json.c - values and rows as JSON, for people and for scripts that compare.
 *
 *     null, and rows without a value    null
 *     bool i64 u64 f64                  bare; "NaN" "Infinity" "-Infinity" as strings, since JSON has no such numbers
 *     time                              "2024-01-02T03:04:05.000000006Z", always nine decimals; a local time is printed as if UTC
 *     date clock                        "2024-01-02"  "03:04:05.000000006"
 *     decimal                           "123.45", a string so that no reader rounds it
 *     string                            escaped; what is not UTF-8 becomes U+FFFD
 *     bytes                             lower-case hex
 *     json                              as it is, line ends and tabs as spaces: a row stays one line
 *
 * For dead letters, which are taken up again, three differ: a local time has no Z, a float has a point or an exponent, and bytes that
 * are UTF-8 are text. So text, kinds of numbers and instants stay what the mapping saw.
 */
#include "base/buf.h"
#include "base/calendar.h"
#include "base/json_escape.h"
#include "base/numbers.h"
#include "base/utf8.h"
#include "data/batch.h"
#include <math.h>

enum { VALUE_TEXT_MAX = 64 }; /* of any value that is not text, quotes included */

static char *put_time(char *at, int64_t ns)
{
    *at++ = '"';
    at = af_rfc3339_print(at, ns, 9);
    *at++ = '"';
    return at;
}

/* Days past what a date can say are printed as the number they are. */
static char *put_day(char *at, int64_t days)
{
    if (days < INT32_MIN || days > INT32_MAX)
        return af_i64_print(at, days);
    *at++ = '"';
    at = af_date_print(at, (int32_t)days);
    *at++ = '"';
    return at;
}

static char *put_clock(char *at, int64_t ns)
{
    if (ns < 0 || ns > AF_NS_PER_DAY)
        return af_i64_print(at, ns);
    uint64_t seconds = (uint64_t)ns / (uint64_t)AF_NS_PER_S;
    *at++ = '"';
    at = af_u64_print_padded(at, seconds / 3600, 2);
    *at++ = ':';
    at = af_u64_print_padded(at, seconds / 60 % 60, 2);
    *at++ = ':';
    at = af_u64_print_padded(at, seconds % 60, 2);
    *at++ = '.';
    at = af_u64_print_padded(at, (uint64_t)ns % (uint64_t)AF_NS_PER_S, 9);
    *at++ = '"';
    return at;
}

static char *put_str(char *at, const char *text)
{
    size_t len = strlen(text);
    memcpy(at, text, len);
    return at + len;
}

static char *put_f64(char *at, double value)
{
    if (isnan(value))
        return put_str(at, "\"NaN\"");
    if (isinf(value))
        return put_str(at, value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
    return af_f64_print(at, value);
}

static char *put_decimal(char *at, __int128 unscaled, unsigned scale)
{
    *at++ = '"';
    at = af_decimal_print(at, unscaled, scale);
    *at++ = '"';
    return at;
}

static char *put_value(char *at, const struct af_column *col, size_t row)
{
    switch (col->type) {
    case AF_TYPE_BOOL: return put_str(at, af_bit_get(col->bits, row) ? "true" : "false");
    case AF_TYPE_I64: return af_i64_print(at, col->i64[row]);
    case AF_TYPE_U64: return af_u64_print(at, col->u64[row]);
    case AF_TYPE_F64: return put_f64(at, col->f64[row]);
    case AF_TYPE_TIME: return put_time(at, col->i64[row]);
    case AF_TYPE_DATE: return put_day(at, col->i64[row]);
    case AF_TYPE_CLOCK: return put_clock(at, col->i64[row]);
    case AF_TYPE_DECIMAL: return put_decimal(at, col->i128[row], col->scale);
    default: return put_str(at, "null");
    }
}

static void append_hex(struct af_buf *out, struct af_slice bytes)
{
    char *at = bytes.len < SIZE_MAX / 4 ? af_buf_reserve(out, 2 * bytes.len + 2) : NULL;
    if (at == NULL)
        return;
    *at++ = '"';
    *af_hex_print(at, bytes.ptr, bytes.len) = '"';
    out->len += 2 * bytes.len + 2;
}

/* Inside JSON, a raw line end or tab can only be space between tokens. */
static void append_json(struct af_buf *out, struct af_slice text)
{
    text = af_slice_trim(text);
    if (text.len == 0) {
        af_buf_append_str(out, "null");
        return;
    }
    char *at = af_buf_reserve(out, text.len);
    if (at == NULL)
        return;
    for (size_t i = 0; i < text.len; i++)
        at[i] = text.ptr[i] == '\n' || text.ptr[i] == '\r' || text.ptr[i] == '\t' ? ' ' : text.ptr[i];
    out->len += text.len;
}

static void append_plain(struct af_buf *out, const struct af_column *col, size_t row)
{
    char *at = af_buf_reserve(out, VALUE_TEXT_MAX);
    if (at != NULL)
        out->len += (size_t)(put_value(at, col, row) - at);
}

void af_batch_print_json(struct af_buf *out, const struct af_batch *batch, size_t row, size_t column)
{
    const struct af_column *col = &batch->columns[column];
    if (!af_column_has(col, row))
        af_buf_append_str(out, "null");
    else if (col->type == AF_TYPE_STRING)
        af_json_escape(out, af_column_text(col, row));
    else if (col->type == AF_TYPE_BYTES)
        append_hex(out, af_column_text(col, row));
    else if (col->type == AF_TYPE_JSON)
        append_json(out, af_column_text(col, row));
    else
        append_plain(out, col, row);
}

static void print_letter_cell(struct af_buf *out, const struct af_batch *batch, size_t row, size_t column)
{
    const struct af_column *col = &batch->columns[column];
    size_t mark = out->len;
    if (af_column_has(col, row) && col->type == AF_TYPE_BYTES && af_utf8_is_valid(af_column_text(col, row))) {
        af_json_escape(out, af_column_text(col, row));
        return;
    }
    af_batch_print_json(out, batch, row, column);
    if (!af_column_has(col, row) || out->failed)
        return;
    struct af_slice text = { out->ptr + mark, out->len - mark };
    if (col->type == AF_TYPE_F64 && memchr(text.ptr, '.', text.len) == NULL && memchr(text.ptr, 'e', text.len) == NULL &&
        text.ptr[0] != '"')
        af_buf_append_str(out, ".0");
    if (col->type == AF_TYPE_TIME && batch->schema->fields[column].is_local) {
        af_buf_rewind(out, out->len - 2); /* Z" */
        af_buf_append_char(out, '"');
    }
}

static void print_row(struct af_buf *out, const struct af_batch *batch, size_t row,
                      void (*print_cell)(struct af_buf *, const struct af_batch *, size_t, size_t))
{
    af_buf_append_char(out, '{');
    for (size_t i = 0; i < batch->schema->field_count; i++) {
        if (i != 0)
            af_buf_append_char(out, ',');
        af_json_escape(out, af_slice_of(batch->schema->fields[i].name));
        af_buf_append_char(out, ':');
        print_cell(out, batch, row, i);
    }
    af_buf_append_char(out, '}');
}

void af_batch_print_row_json(struct af_buf *out, const struct af_batch *batch, size_t row)
{
    print_row(out, batch, row, af_batch_print_json);
}

void af_batch_print_row_letter(struct af_buf *out, const struct af_batch *batch, size_t row)
{
    print_row(out, batch, row, print_letter_cell);
}
