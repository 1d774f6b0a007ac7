/*
 * utf8.h - UTF-8 validation and the two 8-bit encodings that ONS-like files come in.
 */
#ifndef AF_BASE_UTF8_H
#define AF_BASE_UTF8_H
#include "base/buf.h"

/* Strict UTF-8 (no surrogates, no overlong forms, <= U+10FFFF)? Returns the length of the valid prefix. ASCII fast. */
size_t af_utf8_valid_prefix(const char *ptr, size_t len);
static inline bool af_utf8_is_valid(struct af_slice s)
{
    return af_utf8_valid_prefix(s.ptr, s.len) == s.len;
}

/* The sequence at `ptr` (len > 0): its length when valid; otherwise that of the longest piece which could have begun a valid
 * one, at least 1: what one U+FFFD stands for. */
size_t af_utf8_sequence(const char *ptr, size_t len, bool *out_is_valid);

/* Append `s`, read as Windows-1252 (a superset of Latin-1's printable part), as UTF-8. The five bytes it leaves undefined
 * become the C1 control of the same number, as browsers read them. */
void af_utf8_append_cp1252(struct af_buf *out, struct af_slice s);

/* Append one code point; what is none (a surrogate, past U+10FFFF) becomes U+FFFD. */
void af_utf8_append(struct af_buf *out, uint32_t code_point);
#endif
