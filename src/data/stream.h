/*
 * stream.h - batches, pulled. Enough for a file, a socket or a query.
 *
 *     struct af_batch *batch;
 *     while ((status = af_stream_next(stream, &arena, &batch, err)) == AF_OK && batch != NULL) { ...; af_arena_reset(&arena); }
 *     af_stream_close(stream);
 *
 * `next` makes the batch in the caller's arena: it lives until that arena is reset, whatever the stream does next. So one
 * thread may decode the next batch while others work on earlier ones (each with an arena of its own); calls of `next`
 * themselves must not overlap. The end is AF_OK with NULL. After a failure the stream may only be closed,
 * unless the header of the format says that reading can go on.
 */
#ifndef AF_DATA_STREAM_H
#define AF_DATA_STREAM_H
#include "data/batch.h"

struct af_stream;

struct af_stream_ops {
    enum af_status (*next)(struct af_stream *stream, struct af_arena *arena, struct af_batch **out, struct af_error *err);
    void (*close)(struct af_stream *stream);
};

struct af_stream {
    const struct af_stream_ops *ops;
    const struct af_schema *schema; /* known from the start */
};

AF_MUST_CHECK static inline enum af_status af_stream_next(struct af_stream *stream, struct af_arena *arena,
                                                          struct af_batch **out, struct af_error *err)
{
    return stream->ops->next(stream, arena, out, err);
}

static inline void af_stream_close(struct af_stream *stream)
{
    if (stream != NULL)
        stream->ops->close(stream);
}
#endif
