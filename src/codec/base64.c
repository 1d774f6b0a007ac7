/* base64.c - see base64.h. Three bytes are four digits of six bits, most significant first. */
#include "codec/base64.h"
#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void af_base64_append(struct af_buf *out, struct af_slice bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
    for (size_t left = bytes.len; left != 0; left -= left < 3 ? left : 3, at += 3) {
        const uint32_t word = (uint32_t)at[0] << 16 | (left > 1 ? (uint32_t)at[1] << 8 : 0) | (left > 2 ? (uint32_t)at[2] : 0);
        const char text[4] = { digits[word >> 18], digits[word >> 12 & 63], left > 1 ? digits[word >> 6 & 63] : '=',
                               left > 2 ? digits[word & 63] : '=' };
        af_buf_append(out, text, 4);
    }
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Without its padding, which is only there where it makes the length a multiple of four. */
static bool without_padding(struct af_slice *text)
{
    size_t padding = 0;
    while (padding < 2 && text->len > padding && text->ptr[text->len - 1 - padding] == '=')
        padding++;
    if (padding != 0 && text->len % 4 != 0)
        return false;
    text->len -= padding;
    return text->len % 4 != 1;
}

bool af_base64_decode(struct af_slice text, struct af_buf *out)
{
    const size_t mark = out->len;
    uint32_t word = 0;
    unsigned bits = 0;
    if (!without_padding(&text))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const int value = value_of(text.ptr[i]);
        if (value < 0) {
            af_buf_rewind(out, mark);
            return false;
        }
        word = (word << 6 | (uint32_t)value) & 0xffffff;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        af_buf_append_char(out, (char)(word >> bits & 255));
    }
    if ((word & ((1u << bits) - 1)) == 0)
        return true;
    af_buf_rewind(out, mark);
    return false;
}
