/* prom_test.c - Prometheus' messages beside bytes made by hand; cut and flipped ones. */
#include "format/prom/prom.h"
#include "test/lib/test.h"
#include <math.h>
#include <string.h>

static struct af_error err;

/* {labels: {__name__: up, job: x}, samples: {1.5 at 1000, -1 at -1}} as a compiler of protocol buffers would write it. */
static const char series_bytes[] = "\x0a\x3e"
                                   "\x0a\x0e\x0a\x08__name__\x12\x02up"
                                   "\x0a\x08\x0a\x03job\x12\x01x"
                                   "\x12\x0c\x09\x00\x00\x00\x00\x00\x00\xf8\x3f\x10\xe8\x07"
                                   "\x12\x14\x09\x00\x00\x00\x00\x00\x00\xf0\xbf\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
/* {start 5, end 300, matchers: {__name__ = up}, {job !~ a.*}}, a hint that is not known */
static const char query_bytes[] = "\x0a\x31\x08\x05\x10\xac\x02"
                                  "\x1a\x0e\x12\x08__name__\x1a\x02up"
                                  "\x1a\x0c\x08\x03\x12\x03job\x1a\x03" "a.*"
                                  "\x22\x07\x12\x05hints\x2d\x01\x02\x03\x04";

static struct af_slice series_slice(void)
{
    return af_slice_make(series_bytes, sizeof series_bytes - 1);
}

AF_TEST(prom_series_are_read)
{
    static struct af_prom_series series;
    struct af_prom_sample sample;
    struct af_slice at = series_slice();
    bool has;
    AF_CHECK_OK(af_prom_next_series(&at, &series, &has, &err), err);
    AF_CHECK(has);
    AF_CHECK_INT(series.label_count, 2);
    AF_CHECK_SLICE(series.labels[0].name, "__name__");
    AF_CHECK_SLICE(series.labels[0].value, "up");
    AF_CHECK_SLICE(series.labels[1].name, "job");
    AF_CHECK_OK(af_prom_next_sample(&series.rest, &sample, &has, &err), err);
    AF_CHECK(has && sample.value == 1.5 && sample.time_ms == 1000);
    AF_CHECK_OK(af_prom_next_sample(&series.rest, &sample, &has, &err), err);
    AF_CHECK(has && sample.value == -1 && sample.time_ms == -1);
    AF_CHECK_OK(af_prom_next_sample(&series.rest, &sample, &has, &err), err);
    AF_CHECK(!has);
    AF_CHECK_OK(af_prom_next_series(&at, &series, &has, &err), err);
    AF_CHECK(!has);
}

AF_TEST(prom_series_are_written)
{
    struct af_buf out;
    struct af_prom_writer writer;
    af_buf_init(&out, 1 << 20);
    af_prom_writer_init(&writer, &out);
    af_prom_put_label(&writer, AF_SLICE_LIT("__name__"), AF_SLICE_LIT("up"));
    af_prom_put_label(&writer, AF_SLICE_LIT("job"), AF_SLICE_LIT("x"));
    af_prom_put_sample(&writer, &(struct af_prom_sample){ 1.5, 1000 });
    af_prom_put_sample(&writer, &(struct af_prom_sample){ -1, -1 });
    af_prom_end_series(&writer);
    AF_CHECK(af_slice_eq(af_buf_slice(&out), series_slice()));
    af_prom_writer_done(&writer);
    af_buf_done(&out);
}

AF_TEST(prom_queries_are_read)
{
    static struct af_prom_query query;
    AF_CHECK_OK(af_prom_read_query(af_slice_make(query_bytes, sizeof query_bytes - 1), &query, &err), err);
    AF_CHECK(query.start_ms == 5 && query.end_ms == 300 && query.matcher_count == 2);
    AF_CHECK(query.matchers[0].type == AF_PROM_EQUAL && query.matchers[1].type == AF_PROM_NOT_REGEX);
    AF_CHECK_SLICE(query.matchers[0].value, "up");
    AF_CHECK_SLICE(query.matchers[1].name, "job");
    AF_CHECK_SLICE(query.matchers[1].value, "a.*");
    AF_CHECK_FAILS(af_prom_read_query(AF_SLICE_LIT(""), &query, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_prom_read_query(AF_SLICE_LIT("\x0a\x00\x0a\x00"), &query, &err), AF_EINVAL);
    AF_CHECK(strstr(err.message, "one query at a time") != NULL);
    AF_CHECK_FAILS(af_prom_read_query(AF_SLICE_LIT("\x0a\x04\x1a\x02\x08\x04"), &query, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, "unknown match type 4");
}

/* Every prefix ends well or with an error; no bit matters to memory. */
AF_TEST(prom_cut_and_flipped_bytes)
{
    static struct af_prom_series series;
    static struct af_prom_query query;
    char bytes[sizeof query_bytes + sizeof series_bytes];
    struct af_prom_sample sample;
    bool has;
    for (size_t len = 0; len < sizeof query_bytes - 1; len++)
        AF_CHECK(len == 0 || af_prom_read_query(af_slice_make(query_bytes, len), &query, &err) != AF_OK);
    for (size_t bit = 0; bit < (sizeof series_bytes - 1) * 8; bit++) {
        memcpy(bytes, series_bytes, sizeof series_bytes - 1);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        struct af_slice at = af_slice_make(bytes, sizeof series_bytes - 1);
        while (af_prom_next_series(&at, &series, &has, &err) == AF_OK && has)
            while (af_prom_next_sample(&series.rest, &sample, &has, &err) == AF_OK && has)
                AF_CHECK(series.label_count <= AF_PROM_LABELS_MAX);
    }
    struct af_slice group = AF_SLICE_LIT("\x0b\x0c"), zero = AF_SLICE_LIT("\x02\x00");
    struct af_slice endless = AF_SLICE_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    AF_CHECK_FAILS(af_prom_next_series(&group, &series, &has, &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_prom_next_series(&zero, &series, &has, &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_prom_next_series(&endless, &series, &has, &err), AF_ECORRUPT);
}

AF_TEST(prom_too_many_labels)
{
    static struct af_prom_series series;
    struct af_buf out;
    struct af_prom_writer writer;
    bool has;
    af_buf_init(&out, 1 << 20);
    af_prom_writer_init(&writer, &out);
    for (int i = 0; i <= AF_PROM_LABELS_MAX; i++)
        af_prom_put_label(&writer, AF_SLICE_LIT("a"), AF_SLICE_LIT("b"));
    af_prom_end_series(&writer);
    struct af_slice at = af_buf_slice(&out);
    AF_CHECK_FAILS(af_prom_next_series(&at, &series, &has, &err), AF_ELIMIT);
    af_prom_writer_done(&writer);
    af_buf_done(&out);
}
