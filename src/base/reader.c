/* reader.c - checks in front of every reader, and the one over memory; see reader.h. */
#include "base/reader.h"
#include <string.h>

enum af_status af_reader_read(struct af_reader *reader, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    if (offset > reader->size || len > reader->size - offset)
        return af_fail(err, AF_ECORRUPT, "%s: %zu bytes at offset %llu are past the end (%llu bytes)", reader->name,
                       len, (unsigned long long)offset, (unsigned long long)reader->size);
    if (len == 0)
        return AF_OK;
    return reader->ops->read_at(reader, offset, dst, len, err);
}

void af_reader_close(struct af_reader *reader)
{
    if (reader != NULL)
        reader->ops->close(reader);
}

static enum af_status memory_read_at(struct af_reader *reader, uint64_t offset, void *dst, size_t len,
                                     struct af_error *err)
{
    (void)err;
    memcpy(dst, reader->bytes + offset, len);
    return AF_OK;
}

static void memory_close(struct af_reader *reader)
{
    (void)reader;
}

void af_reader_from_memory(struct af_reader *out, const char *name, const void *bytes, size_t len)
{
    static const struct af_reader_ops ops = { .read_at = memory_read_at, .close = memory_close };
    *out = (struct af_reader){ .ops = &ops, .name = name, .size = len, .bytes = bytes };
}

void af_reader_will_need(struct af_reader *reader, const struct af_range *ranges, size_t count)
{
    if (reader->ops->will_need != NULL && count != 0)
        reader->ops->will_need(reader, ranges, count);
}
