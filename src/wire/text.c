/* text.c - cells as text: JSON strings and numbers as Go prints them, times, CSV cells. */
#include "base/json_escape.h"
#include "base/numbers.h"
#include "base/utf8.h"
#include "wire/wire_int.h"
#include <math.h>

/* --- strings ------------------------------------------------------------------------------------------------------------------- */

/* Bytes that stand for themselves in Go's JSON: not what JSON escapes, nor what HTML would see, nor the start of anything beyond ASCII. */
static const bool is_plain[256] = {
    [' '] = true, ['!'] = true, ['#' ... '%'] = true, ['\'' ... ';'] = true, ['='] = true, ['?' ... '['] = true, [']' ... '~'] = true,
    [127] = true,
};

/* What Go has for the character at hand, of *out_len bytes; NULL: nothing of its own. It hides < > & and the two line ends that JavaScript
 * has and JSON has not; each byte that is no UTF-8 is a replacement character, escaped. */
static const char *go_escape(const char *at, size_t len, size_t *out_len)
{
    bool is_valid;
    *out_len = 1;
    switch (at[0]) {
    case '<': return "\\u003c";
    case '>': return "\\u003e";
    case '&': return "\\u0026";
    case '\b': return "\\u0008";
    case '\f': return "\\u000c";
    default: break;
    }
    if ((unsigned char)at[0] < 0x80)
        return NULL;
    *out_len = af_utf8_sequence(at, len, &is_valid);
    if (!is_valid) {
        *out_len = 1;
        return "\\ufffd";
    }
    if (*out_len == 3 && memcmp(at, "\xe2\x80\xa8", 3) == 0)
        return "\\u2028";
    return *out_len == 3 && memcmp(at, "\xe2\x80\xa9", 3) == 0 ? "\\u2029" : NULL;
}

static void escape_run(struct af_buf *out, struct af_slice run)
{
    size_t mark = out->len; /* without the quotes around */
    af_json_escape(out, run);
    if (!out->failed) {
        memmove(out->ptr + mark, out->ptr + mark + 1, out->len - mark - 2);
        out->len -= 2;
    }
}

static void escape_all(struct af_buf *out, struct af_slice text)
{
    size_t from = 0, len;
    for (size_t i = 0; i < text.len; i += len) {
        const char *escape = go_escape(text.ptr + i, text.len - i, &len);
        if (escape == NULL)
            continue;
        escape_run(out, (struct af_slice){ text.ptr + from, i - from });
        af_buf_append_str(out, escape);
        from = i + len;
    }
    escape_run(out, (struct af_slice){ text.ptr + from, text.len - from });
}

bool wire_text_is_plain(struct af_slice text)
{
    size_t plain = 0;
    while (plain < text.len && is_plain[(unsigned char)text.ptr[plain]])
        plain++;
    return plain == text.len;
}

void af_wire_json_text(struct af_buf *out, struct af_slice text)
{
    af_buf_append_char(out, '"');
    if (wire_text_is_plain(text))
        af_buf_append_slice(out, text);
    else
        escape_all(out, text);
    af_buf_append_char(out, '"');
}

void wire_csv_cell(struct af_buf *out, struct af_slice text)
{
    bool quotes = text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t');
    for (size_t i = 0; i < text.len && !quotes; i++)
        quotes = text.ptr[i] == ',' || text.ptr[i] == '"' || text.ptr[i] == '\n' || text.ptr[i] == '\r';
    if (!quotes && !af_slice_is(text, "\\.")) {
        af_buf_append_slice(out, text);
        return;
    }
    af_buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            af_buf_append_char(out, '"');
        if (text.ptr[i] != '\r') /* Go's writer drops it */
            af_buf_append_char(out, text.ptr[i]);
    }
    af_buf_append_char(out, '"');
}

/* --- numbers ---------------------------------------------------------------------------------------------------------------------- */

/* af_f64_print's text taken apart: digits without a point, exponent of the first digit. */
struct digits {
    char text[AF_F64_TEXT_MAX];
    size_t count;
    int exponent;
    bool is_negative;
};

/* False: it has no exponent, `text` is as it was printed. */
static bool take_apart(const char *from, const char *end, struct digits *out)
{
    const char *e = memchr(from, 'e', (size_t)(end - from));
    int64_t exponent = 0;
    if (e == NULL)
        return false;
    out->is_negative = from[0] == '-';
    out->count = 0;
    for (const char *p = from; p < e; p++)
        if (*p >= '0' && *p <= '9')
            out->text[out->count++] = *p;
    const char *number = e[1] == '+' ? e + 2 : e + 1;
    (void)af_i64_parse(af_slice_make(number, (size_t)(end - number)), &exponent);
    out->exponent = (int)exponent;
    return true;
}

static char *put_small(char *dst, const struct digits *digits)
{
    if (digits->is_negative)
        *dst++ = '-';
    *dst++ = '0';
    *dst++ = '.';
    for (int i = digits->exponent + 1; i < 0; i++)
        *dst++ = '0';
    memcpy(dst, digits->text, digits->count);
    return dst + digits->count;
}

char *wire_f64_print_json(char *dst, double value)
{
    struct digits digits;
    char *end = af_f64_print(dst, value);
    if (fabs(value) >= 1e-4 || value == 0) /* an exponent from 21 on is Go's too */
        return end;
    if (!take_apart(dst, end, &digits))
        return end;
    if (digits.exponent >= -6)
        return put_small(dst, &digits);
    if (digits.exponent > -10 && end[-2] == '0') { /* e-07 is e-7 here */
        end[-2] = end[-1];
        end--;
    }
    return end;
}

void af_wire_json_float(struct af_buf *out, double value)
{
    char *dst = af_buf_reserve(out, AF_F64_TEXT_MAX);
    if (dst != NULL)
        out->len += (size_t)(wire_f64_print_json(dst, value) - dst);
}

void wire_f64_plain(struct af_buf *out, double value)
{
    char text[AF_F64_TEXT_MAX];
    struct digits digits;
    if (!isfinite(value)) {
        af_buf_append_str(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    char *end = af_f64_print(text, value);
    if (!take_apart(text, end, &digits)) {
        af_buf_append(out, text, (size_t)(end - text));
        return;
    }
    if (digits.is_negative)
        af_buf_append_char(out, '-');
    if (digits.exponent < 0)
        af_buf_append_str(out, "0.");
    for (int i = digits.exponent + 1; i < 0; i++)
        af_buf_append_char(out, '0');
    af_buf_append(out, digits.text, digits.count);
    for (int i = (int)digits.count; i <= digits.exponent; i++)
        af_buf_append_char(out, '0');
}

/* --- times ------------------------------------------------------------------------------------------------------------------------- */

/* +03:00; Z for UTC. */
static char *put_offset(char *dst, int64_t offset_s)
{
    if (offset_s == 0) {
        *dst++ = 'Z';
        return dst;
    }
    *dst++ = offset_s < 0 ? '-' : '+';
    uint64_t minutes = (uint64_t)(offset_s < 0 ? -offset_s : offset_s) / 60;
    dst = af_u64_print_padded(dst, minutes / 60, 2);
    *dst++ = ':';
    return af_u64_print_padded(dst, minutes % 60, 2);
}

char *wire_time_print(char *dst, int64_t ns, const struct af_zone *zone)
{
    int64_t wall = af_zone_to_wall(zone, ns);
    int64_t rest = wall % AF_NS_PER_S;
    int64_t fraction = rest < 0 ? rest + AF_NS_PER_S : rest;
    char *end = af_rfc3339_print(dst, wall, fraction != 0 ? 9 : 0) - 1; /* without Z */
    while (fraction != 0 && end[-1] == '0')
        end--;
    return put_offset(end, (wall - ns) / AF_NS_PER_S);
}

/* --- the series ---------------------------------------------------------------------------------------------------------------------- */

bool wire_is_null(const struct af_column *column, size_t row)
{
    return !af_column_has(column, row) || (column->type == AF_TYPE_F64 && isnan(column->f64[row]));
}

const struct af_json *wire_nested(struct af_wire *wire, const struct af_column *column, size_t row)
{
    struct af_json *json = NULL;
    if (column->type != AF_TYPE_JSON || af_json_parse(af_column_text(column, row), &wire->arena, &json, NULL) != AF_OK)
        return NULL;
    return json;
}

static bool has_name(const struct af_group_key *key)
{
    return key != NULL && key->count > 0 && af_slice_is(key->parts[0].name, AF_KEY_MEASUREMENT);
}

struct af_slice wire_name_of(const struct af_group_key *key)
{
    return has_name(key) && key->parts[0].value.type == AF_TYPE_STRING ? key->parts[0].value.text : AF_SLICE_LIT("");
}

size_t wire_tags_of(const struct af_group_key *key, const struct af_key_part **out)
{
    size_t skip = has_name(key);
    *out = key != NULL ? key->parts + skip : NULL;
    return key != NULL ? key->count - skip : 0;
}
