/*
 * utf8.c - see utf8.h.
 *
 *     U+0000..007F     0xxxxxxx
 *     U+0080..07FF     110xxxxx 10xxxxxx                        lead C2..DF
 *     U+0800..FFFF     1110xxxx 10xxxxxx 10xxxxxx               after E0 only A0..BF, after ED only 80..9F
 *     U+10000..10FFFF  11110xxx 10xxxxxx 10xxxxxx 10xxxxxx      after F0 only 90..BF, after F4 only 80..8F
 *
 * The narrowed second bytes are what keeps overlong forms, surrogates and numbers past U+10FFFF out.
 */
#include "base/utf8.h"
#include <emmintrin.h>

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Bytes of the sequence a lead byte announces, 0 if it is none; the range of its second byte. */
static size_t lead_info(unsigned char lead, unsigned char *out_low, unsigned char *out_high)
{
    *out_low = 0x80;
    *out_high = 0xbf;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    if (lead < 0xe0)
        return 2;
    if (lead < 0xf0) {
        if (lead == 0xe0)
            *out_low = 0xa0;
        if (lead == 0xed)
            *out_high = 0x9f;
        return 3;
    }
    if (lead == 0xf0)
        *out_low = 0x90;
    if (lead == 0xf4)
        *out_high = 0x8f;
    return 4;
}

size_t af_utf8_sequence(const char *ptr, size_t len, bool *out_is_valid)
{
    unsigned char lead = (unsigned char)ptr[0];
    *out_is_valid = lead < 0x80;
    if (lead < 0x80)
        return 1;
    unsigned char low, high;
    size_t need = lead_info(lead, &low, &high);
    if (need == 0 || len < 2 || (unsigned char)ptr[1] < low || (unsigned char)ptr[1] > high)
        return 1;
    size_t have = 2;
    while (have < need && have < len && is_continuation(ptr[have]))
        have++;
    *out_is_valid = have == need;
    return have;
}

/* How many bytes at `ptr` are ASCII; may stop short of the whole run only at a byte that is not. */
static size_t ascii_run(const char *ptr, size_t len)
{
    size_t at = 0;
    while (len - at >= 16) {
        int mask = _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(ptr + at)));
        if (mask != 0)
            return at + (size_t)__builtin_ctz((unsigned)mask);
        at += 16;
    }
    while (at < len && (unsigned char)ptr[at] < 0x80)
        at++;
    return at;
}

size_t af_utf8_valid_prefix(const char *ptr, size_t len)
{
    size_t at = 0;
    while (at < len) {
        if ((unsigned char)ptr[at] < 0x80) {
            at += ascii_run(ptr + at, len - at);
            continue;
        }
        bool is_valid;
        size_t bytes = af_utf8_sequence(ptr + at, len - at, &is_valid);
        if (!is_valid)
            return at;
        at += bytes;
    }
    return at;
}

void af_utf8_append(struct af_buf *out, uint32_t code_point)
{
    uint32_t c = code_point;
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        c = 0xfffd;
    unsigned char text[4];
    size_t len;
    if (c < 0x80) {
        text[0] = (unsigned char)c;
        len = 1;
    } else if (c < 0x800) {
        text[0] = (unsigned char)(0xc0 | c >> 6);
        len = 2;
    } else if (c < 0x10000) {
        text[0] = (unsigned char)(0xe0 | c >> 12);
        len = 3;
    } else {
        text[0] = (unsigned char)(0xf0 | c >> 18);
        len = 4;
    }
    for (size_t i = len; i > 1; i--, c >>= 6)
        text[i - 1] = (unsigned char)(0x80 | (c & 0x3f));
    af_buf_append(out, text, len);
}

/* Windows-1252 0x80..0x9f; the rest of it is Latin-1, whose numbers are Unicode's. */
static const uint16_t cp1252_high[32] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

void af_utf8_append_cp1252(struct af_buf *out, struct af_slice s)
{
    size_t at = 0;
    while (at < s.len) {
        size_t run = ascii_run(s.ptr + at, s.len - at);
        af_buf_append(out, s.ptr + at, run);
        at += run;
        for (; at < s.len && (unsigned char)s.ptr[at] >= 0x80; at++) {
            unsigned char c = (unsigned char)s.ptr[at];
            af_utf8_append(out, c < 0xa0 ? cp1252_high[c - 0x80] : c);
        }
    }
}
