/*
 * inflate.h - gzip as a stream: members of any size in bounded memory (about 200 KiB), where compress.h wants whole buffers.
 */
#ifndef AF_CODEC_INFLATE_H
#define AF_CODEC_INFLATE_H
#include "base/error.h"
#include "base/slice.h"

/* Up to `cap` bytes of what is compressed; 0 bytes are the end. */
typedef enum af_status (*af_inflate_read)(void *ctx, void *dst, size_t cap, size_t *out_len, struct af_error *err);
/* What comes out, in pieces of at most 64 KiB. */
typedef enum af_status (*af_inflate_emit)(void *ctx, struct af_slice bytes, struct af_error *err);

/* All members to the end, checksums and lengths checked; zero bytes behind the last one are padding. AF_ECORRUPT: damaged or cut short. */
AF_MUST_CHECK enum af_status af_gunzip_stream(af_inflate_read read, void *read_ctx, af_inflate_emit emit, void *emit_ctx,
                                              struct af_error *err);
#endif
