/* json_escape.c - see json_escape.h. Runs of plain ASCII are found 16 bytes at a time and copied whole. */
#include "base/json_escape.h"
#include "base/utf8.h"
#include <emmintrin.h>

/* Length of the run at `ptr` that needs no escape: ASCII from 0x20, without the quote and the backslash. */
static size_t plain_run(const char *ptr, size_t len)
{
    size_t at = 0;
    while (len - at >= 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(ptr + at));
        /* Signed comparison: bytes from 0x80 are negative and stop here as well. */
        __m128i odd = _mm_cmplt_epi8(block, _mm_set1_epi8(0x20));
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(block, _mm_set1_epi8('"')));
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
        int mask = _mm_movemask_epi8(odd);
        if (mask != 0)
            return at + (size_t)__builtin_ctz((unsigned)mask);
        at += 16;
    }
    while (at < len && (signed char)ptr[at] >= 0x20 && ptr[at] != '"' && ptr[at] != '\\')
        at++;
    return at;
}

static void append_escape(struct af_buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *found = c != 0 ? strchr(from, c) : NULL;
    if (found != NULL) {
        char text[2] = { '\\', to[found - from] };
        af_buf_append(out, text, sizeof text);
    } else {
        char text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
        af_buf_append(out, text, sizeof text);
    }
}

void af_json_escape(struct af_buf *out, struct af_slice text)
{
    af_buf_append_char(out, '"');
    size_t at = 0;
    while (at < text.len) {
        size_t run = plain_run(text.ptr + at, text.len - at);
        af_buf_append(out, text.ptr + at, run);
        at += run;
        if (at == text.len)
            break;
        unsigned char c = (unsigned char)text.ptr[at];
        if (c < 0x80) {
            append_escape(out, c);
            at++;
            continue;
        }
        bool is_valid;
        size_t bytes = af_utf8_sequence(text.ptr + at, text.len - at, &is_valid);
        if (is_valid)
            af_buf_append(out, text.ptr + at, bytes);
        else
            af_utf8_append(out, 0xfffd);
        at += bytes;
    }
    af_buf_append_char(out, '"');
}
