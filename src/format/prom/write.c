/* write.c - the writing half of prom.h. A message within a message needs its length first, so a series is put together beside. */
#include "format/prom/prom.h"
#include <string.h>

enum { SERIES_BYTES_MAX = 256 << 20, VARINT_BYTES = 10 };

static size_t print_varint(char *out, uint64_t value)
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        out[len++] = (char)(value | 0x80);
    out[len++] = (char)value;
    return len;
}

static void put_varint(struct af_buf *out, uint64_t value)
{
    char text[VARINT_BYTES];
    af_buf_append(out, text, print_varint(text, value));
}

static void put_bytes(struct af_buf *out, unsigned number, struct af_slice bytes)
{
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len);
    af_buf_append_slice(out, bytes);
}

void af_prom_writer_init(struct af_prom_writer *writer, struct af_buf *out)
{
    writer->out = out;
    af_buf_init(&writer->series, SERIES_BYTES_MAX);
}

void af_prom_writer_done(struct af_prom_writer *writer)
{
    af_buf_done(&writer->series);
}

static size_t varint_len(uint64_t value)
{
    char text[VARINT_BYTES];
    return print_varint(text, value);
}

void af_prom_put_label(struct af_prom_writer *writer, struct af_slice name, struct af_slice value)
{
    struct af_buf *out = &writer->series;
    put_varint(out, 1 << 3 | 2);
    put_varint(out, 1 + varint_len(name.len) + name.len + 1 + varint_len(value.len) + value.len);
    put_bytes(out, 1, name);
    put_bytes(out, 2, value);
}

void af_prom_put_sample(struct af_prom_writer *writer, const struct af_prom_sample *sample)
{
    char text[2 + 9 + 1 + VARINT_BYTES];
    uint64_t bits;
    memcpy(&bits, &sample->value, sizeof bits);
    text[2] = 1 << 3 | 1;
    for (unsigned i = 0; i < 8; i++)
        text[3 + i] = (char)(bits >> (8 * i));
    text[11] = 2 << 3;
    size_t len = 12 + print_varint(text + 12, (uint64_t)sample->time_ms);
    text[0] = 2 << 3 | 2;
    text[1] = (char)(len - 2);
    af_buf_append(&writer->series, text, len);
}

void af_prom_end_series(struct af_prom_writer *writer)
{
    put_bytes(writer->out, 1, af_buf_slice(&writer->series));
    writer->out->failed = writer->out->failed || writer->series.failed;
    af_buf_clear(&writer->series);
}

void af_prom_put_result(struct af_buf *out, struct af_slice result)
{
    put_bytes(out, 1, result);
}

static void put_matcher(struct af_buf *out, const struct af_prom_matcher *matcher)
{
    put_varint(out, 3 << 3 | 2);
    put_varint(out, 2 + 1 + varint_len(matcher->name.len) + matcher->name.len + 1 + varint_len(matcher->value.len) + matcher->value.len);
    put_varint(out, 1 << 3);
    put_varint(out, matcher->type);
    put_bytes(out, 2, matcher->name);
    put_bytes(out, 3, matcher->value);
}

void af_prom_put_query(struct af_buf *out, const struct af_prom_query *query)
{
    struct af_buf text;
    af_buf_init(&text, SERIES_BYTES_MAX);
    put_varint(&text, 1 << 3);
    put_varint(&text, (uint64_t)query->start_ms);
    put_varint(&text, 2 << 3);
    put_varint(&text, (uint64_t)query->end_ms);
    for (size_t i = 0; i < query->matcher_count; i++)
        put_matcher(&text, &query->matchers[i]);
    put_bytes(out, 1, af_buf_slice(&text));
    out->failed = out->failed || text.failed;
    af_buf_done(&text);
}
