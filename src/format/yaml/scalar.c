/*
 * scalar.c - the words that plain scalars may be, and scalars as text.
 *
 * Three ways to write one, the plainest that is safe:
 *     plain          a letter first, then letters, digits, _ . / - and single spaces inside; no word with a meaning
 *     'single'       whatever can be printed; ' is doubled
 *     "double"       the rest, with escapes
 * More is quoted than must be (dates, anything that starts with a digit or sign): another YAML reader shall see text too.
 */
#include "base/buf.h"
#include "base/utf8.h"
#include "format/yaml/yaml_int.h"
#include <assert.h>

static bool eq_nocase(struct af_slice text, const char *lower)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + ('a' - 'A'));
        if (lower[i] == '\0' || c != lower[i])
            return false;
    }
    return lower[text.len] == '\0';
}

bool af_yaml_is_null_word(struct af_slice text)
{
    return text.len == 0 || af_slice_is(text, "~") || af_slice_is(text, "null") || af_slice_is(text, "Null") ||
           af_slice_is(text, "NULL");
}

bool af_yaml_is_bool_word(struct af_slice text, bool *out)
{
    static const struct { const char *word; bool value; } words[] = {
        { "true", true }, { "false", false }, { "yes", true }, { "no", false }, { "on", true }, { "off", false },
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (eq_nocase(text, words[i].word)) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

bool af_yaml_bool(const struct af_yaml *node, bool *out)
{
    return node != NULL && node->kind == AF_YAML_SCALAR && !node->is_quoted && af_yaml_is_bool_word(node->text, out);
}

/* --- writing --- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool can_be_plain(struct af_slice text)
{
    bool ignored;
    if (text.len == 0 || !is_letter(text.ptr[0]) || text.ptr[text.len - 1] == ' ')
        return false;
    for (size_t i = 1; i < text.len; i++) {
        char c = text.ptr[i];
        if (!is_letter(c) && !(c >= '0' && c <= '9') && memchr("./- ", c, 4) == NULL)
            return false;
    }
    /* y and n are truth values to YAML 1.1. */
    return !af_yaml_is_null_word(text) && !af_yaml_is_bool_word(text, &ignored) && !eq_nocase(text, "null") &&
           !eq_nocase(text, "y") && !eq_nocase(text, "n");
}

/* The code point at `ptr`, which begins a valid sequence; *out_len its bytes. */
static uint32_t decode(const char *ptr, size_t *out_len)
{
    const unsigned char *p = (const unsigned char *)ptr;
    if (p[0] < 0x80) {
        *out_len = 1;
        return p[0];
    }
    size_t len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    uint32_t point = p[0] & (0xFFU >> (len + 1));
    for (size_t i = 1; i < len; i++)
        point = point << 6 | (p[i] & 0x3FU);
    *out_len = len;
    return point;
}

/* What libyaml accepts unescaped, without line breaks of any kind and tabs. */
static bool is_printable(uint32_t point)
{
    if (point == 0x2028 || point == 0x2029 || point == 0xFEFF)
        return false;
    return (point >= 0x20 && point <= 0x7E) || (point >= 0xA0 && point <= 0xFFFD) || point >= 0x10000;
}

static bool can_be_single(struct af_slice text)
{
    if (!af_utf8_is_valid(text))
        return false;
    size_t len;
    for (size_t i = 0; i < text.len; i += len)
        if (!is_printable(decode(text.ptr + i, &len)))
            return false;
    return true;
}

static void append_single(struct af_buf *out, struct af_slice text)
{
    af_buf_append_char(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'')
            af_buf_append_char(out, '\'');
        af_buf_append_char(out, text.ptr[i]);
    }
    af_buf_append_char(out, '\'');
}

static void append_escaped(struct af_buf *out, const char *ptr, size_t len, uint32_t point)
{
    if (point == '"' || point == '\\')
        af_buf_printf(out, "\\%c", (char)point);
    else if (point == '\n' || point == '\t' || point == '\r')
        af_buf_printf(out, "\\%c", point == '\n' ? 'n' : point == '\t' ? 't' : 'r');
    else if (is_printable(point))
        af_buf_append(out, ptr, len);
    else if (point <= 0xFF)
        af_buf_printf(out, "\\x%02X", (unsigned)point);
    else
        af_buf_printf(out, "\\u%04X", (unsigned)point);
}

static void append_double(struct af_buf *out, struct af_slice text)
{
    af_buf_append_char(out, '"');
    while (text.len != 0) {
        size_t valid = af_utf8_valid_prefix(text.ptr, text.len);
        size_t len;
        for (size_t i = 0; i < valid; i += len) {
            uint32_t point = decode(text.ptr + i, &len);
            append_escaped(out, text.ptr + i, len, point);
        }
        text = (struct af_slice){ text.ptr + valid, text.len - valid };
        if (text.len != 0) {
            af_utf8_append(out, 0xFFFD);
            text = (struct af_slice){ text.ptr + 1, text.len - 1 };
        }
    }
    af_buf_append_char(out, '"');
}

void af_yaml_append_scalar(struct af_buf *out, struct af_slice text)
{
    assert(out != NULL);
    if (can_be_plain(text))
        af_buf_append_slice(out, text);
    else if (can_be_single(text))
        append_single(out, text);
    else
        append_double(out, text);
}
