/*
 * reader.h - random access to bytes that are elsewhere: a file (os/file.h), an S3 object, memory.
 *
 * Read-only and of a fixed size. read_at may be called from several threads at once.
 */
#ifndef AF_BASE_READER_H
#define AF_BASE_READER_H
#include "base/error.h"

struct af_reader;
struct af_range {
    uint64_t offset, len;
};

struct af_reader_ops {
    /* Exactly `len` bytes at `offset`, or a failure: AF_EIO, or AF_ECORRUPT when the bytes are past the end. */
    enum af_status (*read_at)(struct af_reader *reader, uint64_t offset, void *dst, size_t len, struct af_error *err);
    void (*close)(struct af_reader *reader);
    /* These ranges are read soon, in this order: a reader over a network fetches them ahead. May be NULL; a wish, never a failure. What
     * was announced before and is not read by then is forgotten. */
    void (*will_need)(struct af_reader *reader, const struct af_range *ranges, size_t count);
};

struct af_reader {
    const struct af_reader_ops *ops;
    const char *name;     /* for messages: the path or URL; lives as long as the reader */
    uint64_t size;        /* bytes */
    const uint8_t *bytes; /* all of them, when they are in memory anyway; else NULL */
};

/* Range-checked read through ops. */
AF_MUST_CHECK enum af_status af_reader_read(struct af_reader *reader, uint64_t offset, void *dst, size_t len,
                                            struct af_error *err);
void af_reader_will_need(struct af_reader *reader, const struct af_range *ranges, size_t count);
void af_reader_close(struct af_reader *reader); /* NULL is fine */

/* A reader over bytes the caller keeps alive; `out` is the caller's, close does nothing. */
void af_reader_from_memory(struct af_reader *out, const char *name, const void *bytes, size_t len);
#endif
