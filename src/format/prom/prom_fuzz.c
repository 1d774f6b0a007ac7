/* prom_fuzz.c - foreign bytes as a write request and as a read request: what is read, written and read again is the same. */
#include "base/alloc.h"
#include "format/prom/prom.h"
#include <stdlib.h>
#include <string.h>

static void check(bool ok)
{
    if (!ok)
        abort();
}

static bool read_all(struct af_slice bytes, struct af_buf *out)
{
    static struct af_prom_series series;
    struct af_prom_writer writer;
    bool has = true;
    enum af_status status = AF_OK;
    af_prom_writer_init(&writer, out);
    while (status == AF_OK && (status = af_prom_next_series(&bytes, &series, &has, NULL)) == AF_OK && has) {
        struct af_prom_sample sample;
        for (size_t i = 0; i < series.label_count; i++)
            af_prom_put_label(&writer, series.labels[i].name, series.labels[i].value);
        while ((status = af_prom_next_sample(&series.rest, &sample, &has, NULL)) == AF_OK && has)
            af_prom_put_sample(&writer, &sample);
        if (status == AF_OK)
            af_prom_end_series(&writer);
    }
    af_prom_writer_done(&writer);
    return status == AF_OK && !out->failed;
}

static void fuzz_write(struct af_slice bytes)
{
    struct af_buf once, twice;
    af_buf_init(&once, 64 << 20);
    af_buf_init(&twice, 64 << 20);
    if (read_all(bytes, &once)) {
        check(read_all(af_buf_slice(&once), &twice));
        check(af_slice_eq(af_buf_slice(&once), af_buf_slice(&twice)));
    }
    af_buf_done(&once);
    af_buf_done(&twice);
}

static void fuzz_read(struct af_slice bytes)
{
    static struct af_prom_query query, again;
    struct af_buf text;
    if (af_prom_read_query(bytes, &query, NULL) != AF_OK)
        return;
    af_buf_init(&text, 64 << 20);
    af_prom_put_query(&text, &query);
    check(af_prom_read_query(af_buf_slice(&text), &again, NULL) == AF_OK);
    check(again.start_ms == query.start_ms && again.end_ms == query.end_ms && again.matcher_count == query.matcher_count);
    for (size_t i = 0; i < query.matcher_count; i++)
        check(again.matchers[i].type == query.matchers[i].type && af_slice_eq(again.matchers[i].name, query.matchers[i].name) &&
              af_slice_eq(again.matchers[i].value, query.matchers[i].value));
    af_buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = af_alloc(size + 1); /* so that a step past the end is seen */
    if (copy == NULL)
        return 0;
    if (size != 0)
        memcpy(copy, data, size);
    struct af_slice bytes = af_slice_make(copy, size);
    fuzz_write(bytes);
    fuzz_read(bytes);
    af_free(copy);
    return 0;
}
