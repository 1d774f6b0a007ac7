/*
 * base64.h - bytes as text (RFC 4648, the usual alphabet): what JSON carries keys, checksums and bodies in.
 */
#ifndef AF_CODEC_BASE64_H
#define AF_CODEC_BASE64_H
#include "base/buf.h"

/* Append `bytes` as text, padded. */
void af_base64_append(struct af_buf *out, struct af_slice bytes);
/* Append the bytes that `text` stands for. False: it is not base64 (spaces and line ends are none, padding may be left out, bits past the
 * end must be zero); `out` is then as before. A failed append is remembered by `out`, as ever. */
__attribute__((warn_unused_result)) bool af_base64_decode(struct af_slice text, struct af_buf *out);
#endif
