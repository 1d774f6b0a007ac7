/* utf8_test.c - utf8.h and json_escape.h. */
#include "base/json_escape.h"
#include "base/prng.h"
#include "base/utf8.h"
#include "test/lib/test.h"

static const char *escaped(struct af_slice text)
{
    static char shown[4096];
    struct af_buf buf;
    af_buf_init(&buf, sizeof shown - 1);
    af_json_escape(&buf, text);
    AF_CHECK(!buf.failed);
    memcpy(shown, buf.ptr, buf.len);
    shown[buf.len] = '\0';
    af_buf_done(&buf);
    return shown;
}

/* Every code point, and each of its prefixes. */
AF_TEST(utf8_every_code_point)
{
    struct af_buf buf;
    af_buf_init(&buf, 64);
    for (uint32_t c = 0; c <= 0x110000; c++) {
        af_buf_clear(&buf);
        af_utf8_append(&buf, c);
        bool is_none = (c >= 0xd800 && c < 0xe000) || c > 0x10ffff;
        AF_CHECK_INT(buf.len, is_none ? 3 : c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        AF_CHECK(af_utf8_is_valid(af_buf_slice(&buf)));
        for (size_t cut = 1; cut < buf.len; cut++)
            AF_CHECK_INT(af_utf8_valid_prefix(buf.ptr, cut), 0);
        if (is_none)
            AF_CHECK_SLICE(af_buf_slice(&buf), "\xef\xbf\xbd");
    }
    af_buf_done(&buf);
}

/* The definition, bit by bit: decode, then ask for the shortest form. */
static size_t slow_valid_prefix(const unsigned char *ptr, size_t len)
{
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t at = 0;
    while (at < len) {
        unsigned char lead = ptr[at];
        size_t need = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
        if (need == 0 || need > len - at)
            return at;
        uint32_t c = need == 1 ? lead : lead & (0xffU >> (need + 1));
        for (size_t i = 1; i < need; i++) {
            if (ptr[at + i] >> 6 != 2)
                return at;
            c = c << 6 | (ptr[at + i] & 0x3f);
        }
        if (c < least[need] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return at;
        at += need;
    }
    return at;
}

AF_TEST(utf8_agrees_with_its_definition)
{
    static const unsigned char pool[] = { 'a', 'z', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed,
                                          0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff };
    struct af_prng prng = { 1 };
    for (int round = 0; round < 400000; round++) {
        unsigned char text[40];
        size_t len = af_prng_below(&prng, sizeof text);
        size_t plain = round % 2 == 0 ? 0 : af_prng_below(&prng, len + 1);
        for (size_t i = 0; i < len; i++)
            text[i] = i < plain ? 'x' : pool[af_prng_below(&prng, sizeof pool)];
        AF_CHECK_INT(af_utf8_valid_prefix((const char *)text, len), slow_valid_prefix(text, len));
    }
    for (uint32_t lead = 0; lead < 0x10000; lead++) { /* all starts */
        unsigned char text[4] = { (unsigned char)(lead >> 8), (unsigned char)lead, 0x80, 0x80 };
        AF_CHECK_INT(af_utf8_valid_prefix((const char *)text, 4), slow_valid_prefix(text, 4));
    }
}

AF_TEST(cp1252_to_utf8)
{
    struct af_buf buf;
    af_buf_init(&buf, 1 << 16);
    af_utf8_append_cp1252(&buf, AF_SLICE_LIT("Gera\xe7\xe3o h\xed" "drica, S\xe3o Paulo: \x80 5 \x93q\x94 \x9f\x81\xff end of the line"));
    AF_CHECK_SLICE(af_buf_slice(&buf),
                   "Gera\xc3\xa7\xc3\xa3o h\xc3\xad"
                   "drica, S\xc3\xa3o Paulo: \xe2\x82\xac 5 \xe2\x80\x9cq\xe2\x80\x9d \xc5\xb8\xc2\x81\xc3\xbf end of the line");
    for (unsigned c = 0; c < 256; c++) {
        char byte = (char)c;
        af_utf8_append_cp1252(&buf, af_slice_make(&byte, 1));
    }
    AF_CHECK(af_utf8_is_valid(af_buf_slice(&buf)));
    af_buf_done(&buf);
}

AF_TEST(json_escape_forms)
{
    AF_CHECK_STR(escaped(AF_SLICE_LIT("")), "\"\"");
    AF_CHECK_STR(escaped(af_slice_make(NULL, 0)), "\"\"");
    AF_CHECK_STR(escaped(AF_SLICE_LIT("plain text that is longer than one block")), "\"plain text that is longer than one block\"");
    AF_CHECK_STR(escaped(AF_SLICE_LIT("a\"b\\c/d")), "\"a\\\"b\\\\c/d\"");
    AF_CHECK_STR(escaped(AF_SLICE_LIT("\b\f\n\r\t")), "\"\\b\\f\\n\\r\\t\"");
    AF_CHECK_STR(escaped(AF_SLICE_LIT("\0\x01\x1f\x7f")), "\"\\u0000\\u0001\\u001f\x7f\"");
    AF_CHECK_STR(escaped(AF_SLICE_LIT("S\xc3\xa3o \xf0\x9f\x98\x80")), "\"S\xc3\xa3o \xf0\x9f\x98\x80\"");
    AF_CHECK_STR(escaped(AF_SLICE_LIT("\xff!\xe2\x82!\xc3")), "\"\xef\xbf\xbd!\xef\xbf\xbd!\xef\xbf\xbd\"");
    AF_CHECK_STR(escaped(AF_SLICE_LIT("\xed\xa0\x80")), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* One special byte at each place of a long run: the block scan finds it. */
AF_TEST(json_escape_finds_every_place)
{
    static const char special[] = { '"', '\\', '\n', 0x1f, (char)0x80 };
    for (size_t kind = 0; kind < sizeof special; kind++) {
        for (size_t at = 0; at < 50; at++) {
            char text[50];
            memset(text, 'x', sizeof text);
            text[at] = special[kind];
            const char *shown = escaped(af_slice_make(text, sizeof text));
            AF_CHECK_INT(strspn(shown + 1, "x"), at);
            AF_CHECK_INT(strspn(shown + strlen(shown) - 1 - (49 - at), "x"), 49 - at);
            AF_CHECK(strlen(shown) > 52);
        }
    }
}
