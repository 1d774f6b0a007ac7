/*
 * v1_prom.c - Prometheus' remote write and remote read at InfluxDB 1.8's paths.
 *
 *     metric up{job="x"} 1.5 @ms      <-->      up,__name__=up,job=x value=1.5 ms
 *
 * As InfluxDB 1.8 keeps it: the measurement is the metric's name, and the name stands in the tag __name__ too; a series without one is
 * prom_metric_not_specified. NaN and infinities have no place and are left out without a word, among them the markers of stale series.
 */
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "base/regex.h"
#include "codec/compress.h"
#include "data/points.h"
#include "format/prom/prom.h"
#include "server/core.h"
#include "server/write.h"
#include <math.h>

static const char NAME[] = "__name__";
static const char FIELD[] = "value";
enum { LINES_BYTES_MAX = 512 << 20 };
static const int64_t MS = 1000000;

/* --- bodies ------------------------------------------------------------------------------------------------------------------------- */

/* A snappy block begins with the length of what is in it. */
static bool unpacked_length(struct af_slice packed, size_t *out)
{
    uint64_t len = 0;
    for (unsigned i = 0; i < 5 && i < packed.len; i++) {
        len |= (uint64_t)((uint8_t)packed.ptr[i] & 0x7f) << (7 * i);
        if ((uint8_t)packed.ptr[i] < 0x80) {
            *out = (size_t)len;
            return len <= UINT32_MAX;
        }
    }
    return false;
}

/* False: it is answered. */
static bool unpack(struct af_request *r, struct af_slice *out)
{
    struct af_slice packed;
    struct af_codec_ctx ctx = { 0 };
    struct af_error err = { 0 };
    size_t len, len_max = r->server->options.http.body_bytes_max;
    if (!write_body(r, &packed))
        return false;
    if (!unpacked_length(packed, &len)) {
        af_answer_fail(r, 400, "snappy: corrupt input");
        return false;
    }
    if (len > (len_max != 0 ? len_max : AF_SERVER_BODY_BYTES_MAX)) {
        af_answer_fail(r, 413, "Request Entity Too Large");
        return false;
    }
    char *bytes = af_arena_alloc(r->arena, len + 1);
    if (bytes == NULL) {
        af_answer_fail(r, 503, "no memory for the request; try again");
        return false;
    }
    enum af_status status = af_decompress(&ctx, AF_CODEC_SNAPPY, packed, bytes, len, &err);
    af_codec_ctx_done(&ctx);
    *out = af_slice_make(bytes, len);
    if (status != AF_OK)
        af_answer_fail(r, 400, "snappy: corrupt input");
    return status == AF_OK;
}

/* --- remote write ------------------------------------------------------------------------------------------------------------------- */

/* A line's key cannot hold a line's end, nor a tag a backslash at its end. */
static void put_part(struct af_buf *out, struct af_slice text, void (*append)(struct af_buf *, struct af_slice))
{
    while (text.len > 0 && text.ptr[text.len - 1] == '\\')
        text.len--;
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
        append(out, af_slice_make(text.ptr, len));
        if (end == NULL)
            return;
        append(out, AF_SLICE_LIT(" "));
        text = af_slice_make(end + 1, text.len - len - 1);
    }
}

static void put_key(struct af_buf *out, const struct af_prom_series *series)
{
    struct af_slice name = AF_SLICE_LIT("prom_metric_not_specified");
    for (size_t i = 0; i < series->label_count; i++)
        if (af_slice_is(series->labels[i].name, NAME) && series->labels[i].value.len != 0)
            name = series->labels[i].value;
    put_part(out, name, af_key_append_measurement);
    for (size_t i = 0; i < series->label_count; i++) {
        const struct af_prom_label *label = &series->labels[i];
        if (label->name.len == 0 || label->value.len == 0)
            continue;
        af_buf_append_char(out, ',');
        put_part(out, label->name, af_key_append_tag);
        af_buf_append_char(out, '=');
        put_part(out, label->value, af_key_append_tag);
    }
}

static void put_sample(struct af_buf *out, struct af_slice key, const struct af_prom_sample *sample)
{
    char number[AF_F64_TEXT_MAX];
    if (!isfinite(sample->value))
        return;
    af_buf_append_slice(out, key);
    af_buf_printf(out, " %s=", FIELD);
    af_buf_append(out, number, (size_t)(af_f64_print(number, sample->value) - number));
    af_buf_printf(out, " %lld\n", (long long)sample->time_ms);
}

static enum af_status put_series(struct af_buf *out, struct af_buf *key, struct af_prom_series *series, struct af_error *err)
{
    struct af_prom_sample sample;
    bool has;
    af_buf_clear(key);
    put_key(key, series);
    AF_TRY(af_buf_check(key, "a series", err));
    for (;;) {
        AF_TRY(af_prom_next_sample(&series->rest, &sample, &has, err));
        if (!has)
            return af_buf_check(out, "the points of the request", err);
        put_sample(out, af_buf_slice(key), &sample);
    }
}

/* The request as line protocol. */
static enum af_status put_lines(struct af_arena *arena, struct af_slice at, struct af_buf *out, struct af_error *err)
{
    struct af_prom_series *series = af_arena_alloc(arena, sizeof *series);
    struct af_buf key;
    enum af_status status = series != NULL ? AF_OK : af_fail_nomem(err, "the request");
    af_buf_init(&key, LINES_BYTES_MAX);
    while (status == AF_OK) {
        bool has;
        status = af_prom_next_series(&at, series, &has, err);
        if (status == AF_OK && !has)
            break;
        if (status == AF_OK)
            status = put_series(out, &key, series, err);
    }
    af_buf_done(&key);
    return status;
}

static void write_all(struct af_request *r, uint64_t bucket, struct af_slice lines)
{
    struct write_target target = { .bucket = bucket, .precision = AF_PRECISION_MS };
    struct write_result result;
    struct af_error err = { 0 };
    if (lines.len == 0)
        af_answer_none(r, 204);
    else if (write_lines(r, &target, lines, &result, &err) != AF_OK)
        write_failed(r, &err);
    else
        write_answer_v1(r, &result);
}

static void handle_write(struct af_request *r)
{
    struct af_meta_bucket bucket;
    struct af_slice body;
    struct af_buf lines;
    struct af_error err = { 0 };
    if (!write_find_v1(r, AF_ACTION_WRITE, &bucket) || !unpack(r, &body))
        return;
    af_buf_init(&lines, LINES_BYTES_MAX);
    enum af_status status = put_lines(r->arena, body, &lines, &err);
    if (status == AF_ECORRUPT || status == AF_ELIMIT)
        af_answer_fail(r, 400, "%s", err.message);
    else if (status != AF_OK)
        af_answer_error(r, &err);
    else
        write_all(r, bucket.id, af_buf_slice(&lines));
    af_buf_done(&lines);
}

/* --- remote read: which series ------------------------------------------------------------------------------------------------------ */

struct reading {
    struct af_request *request;
    struct af_prom_query query;
    struct af_regex *regexes[AF_PROM_MATCHERS_MAX]; /* of each matcher that has one */
    struct af_predicate predicates[AF_PROM_MATCHERS_MAX + 1];
    const struct af_predicate *items[AF_PROM_MATCHERS_MAX];
    size_t item_count;
    struct af_store *store;
    struct af_prom_writer writer;
    struct af_buf result;
    struct af_buf key;               /* of the series at hand; empty: none */
    struct af_buf scratch[3];        /* of a measurement, a tag and its value */
};

/* A matcher's expression matches the whole of the value. */
static enum af_status make_regex(struct reading *reading, size_t i, struct af_error *err)
{
    struct af_slice value = reading->query.matchers[i].value;
    char *pattern = af_arena_printf(reading->request->arena, "^(?:" AF_SLICE_FMT ")$", AF_SLICE_ARG(value));
    if (pattern == NULL)
        return af_fail_nomem(err, "a query");
    return af_regex_new(af_slice_of(pattern), &reading->regexes[i], err);
}

static enum af_status make_predicate(struct reading *reading, struct af_error *err)
{
    static const enum af_predicate_op ops[] = { [AF_PROM_EQUAL] = AF_PREDICATE_EQUAL, [AF_PROM_NOT_EQUAL] = AF_PREDICATE_NOT_EQUAL,
                                                [AF_PROM_REGEX] = AF_PREDICATE_MATCH, [AF_PROM_NOT_REGEX] = AF_PREDICATE_NOT_MATCH };
    if (reading->query.matcher_count == 0)
        return af_fail(err, AF_EINVAL, "expected matcher");
    for (size_t i = 0; i < reading->query.matcher_count; i++) {
        const struct af_prom_matcher *matcher = &reading->query.matchers[i];
        if (matcher->type == AF_PROM_REGEX || matcher->type == AF_PROM_NOT_REGEX)
            AF_TRY(make_regex(reading, i, err));
        if (af_slice_is(matcher->name, NAME))
            continue;
        reading->predicates[i] = (struct af_predicate){ .op = ops[matcher->type], .tag = matcher->name, .value = matcher->value,
                                                        .regex = reading->regexes[i] };
        reading->items[reading->item_count++] = &reading->predicates[i];
    }
    reading->predicates[AF_PROM_MATCHERS_MAX] = (struct af_predicate){ .op = AF_PREDICATE_AND, .items = reading->items,
                                                                       .item_count = reading->item_count };
    return AF_OK;
}

static bool matches(const struct reading *reading, size_t i, struct af_slice name)
{
    const struct af_prom_matcher *matcher = &reading->query.matchers[i];
    bool is = false;
    switch (matcher->type) {
    case AF_PROM_EQUAL: return af_slice_eq(matcher->value, name);
    case AF_PROM_NOT_EQUAL: return !af_slice_eq(matcher->value, name);
    default: break;
    }
    if (af_regex_match(reading->regexes[i], name, &is, NULL) != AF_OK)
        return false;
    return is == (matcher->type == AF_PROM_REGEX);
}

static bool wants(const struct reading *reading, struct af_slice name)
{
    bool all = true;
    for (size_t i = 0; i < reading->query.matcher_count && all; i++)
        all = !af_slice_is(reading->query.matchers[i].name, NAME) || matches(reading, i, name);
    return all;
}

/* --- remote read: points ------------------------------------------------------------------------------------------------------------ */

/* By name, and with a name in any case. */
static void put_labels(struct reading *reading, struct af_slice key)
{
    struct af_slice tag, value, name = af_slice_of(NAME);
    struct af_slice measurement = af_key_unescape_measurement(af_key_measurement_raw(key), &reading->scratch[0]);
    size_t at = 0;
    bool has_name = false;
    while (af_key_next_tag(key, &at, &tag, &value)) {
        int order = af_slice_cmp(tag, name);
        if (order > 0 && !has_name)
            af_prom_put_label(&reading->writer, name, measurement);
        has_name = has_name || order >= 0;
        af_prom_put_label(&reading->writer, af_key_unescape(tag, &reading->scratch[1]), af_key_unescape(value, &reading->scratch[2]));
    }
    if (!has_name)
        af_prom_put_label(&reading->writer, name, measurement);
}

static void end_series(struct reading *reading)
{
    if (reading->key.len != 0)
        af_prom_end_series(&reading->writer);
    af_buf_clear(&reading->key);
}

static bool number_at(const struct af_column *column, size_t row, double *out)
{
    if (!af_column_has(column, row))
        return false;
    switch (column->type) {
    case AF_TYPE_F64: *out = column->f64[row]; return true;
    case AF_TYPE_I64: *out = (double)column->i64[row]; return true;
    case AF_TYPE_U64: *out = (double)column->u64[row]; return true;
    default: return false;
    }
}

static enum af_status put_batch(struct reading *reading, const struct af_batch *batch, struct af_error *err)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        struct af_prom_sample sample = { .time_ms = af_floor_div(batch->columns[1].i64[row], MS) };
        struct af_slice key = af_column_text(&batch->columns[0], row);
        if (!number_at(&batch->columns[2], row, &sample.value))
            continue;
        if (!af_slice_eq(key, af_buf_slice(&reading->key))) {
            end_series(reading);
            af_buf_append_slice(&reading->key, key);
            put_labels(reading, key);
        }
        af_prom_put_sample(&reading->writer, &sample);
    }
    AF_TRY(af_buf_check(&reading->key, "a series", err));
    AF_TRY(af_buf_check(&reading->writer.series, "the answer", err));
    return af_buf_check(&reading->result, "the answer", err);
}

static int64_t ns_of(int64_t ms, int64_t more_ms)
{
    __int128 ns = ((__int128)ms + more_ms) * MS;
    return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

static enum af_status put_stream(struct reading *reading, struct af_stream *stream, struct af_error *err)
{
    struct af_arena arena;
    enum af_status status = AF_OK;
    af_arena_init(&arena, SIZE_MAX / 2);
    while (status == AF_OK && stream->schema->field_count == 3) {
        struct af_batch *batch = NULL;
        af_arena_reset(&arena);
        status = af_stream_next(stream, &arena, &batch, err);
        if (status != AF_OK || batch == NULL)
            break;
        status = put_batch(reading, batch, err);
    }
    af_arena_done(&arena);
    end_series(reading);
    return status;
}

static enum af_status put_measurement(struct reading *reading, struct af_slice name, struct af_error *err)
{
    static const char *const fields[] = { FIELD };
    struct af_stream *stream;
    const char *measurement = af_arena_copy(reading->request->arena, name);
    if (measurement == NULL)
        return af_fail_nomem(err, "a query");
    struct af_scan scan = { .measurement = measurement, .start_ns = ns_of(reading->query.start_ms, 0),
                            .stop_ns = ns_of(reading->query.end_ms, 1), .fields = fields, .field_count = 1,
                            .predicate = reading->item_count != 0 ? &reading->predicates[AF_PROM_MATCHERS_MAX] : NULL,
                            .cancel = reading->request->http->is_gone };
    struct af_error why = { 0 };
    enum af_status status = af_store_scan(reading->store, &scan, &stream, &why);
    if (status == AF_ENOTFOUND) /* no such measurement, or no such field */
        return AF_OK;
    if (status != AF_OK)
        return af_fail(err, status, "%s", why.message);
    status = put_stream(reading, stream, err);
    af_stream_close(stream);
    return status;
}

static enum af_status put_names(struct reading *reading, struct af_stream *names, struct af_error *err)
{
    struct af_arena arena;
    struct af_batch *batch = NULL;
    enum af_status status;
    af_arena_init(&arena, SIZE_MAX / 2);
    while ((status = af_stream_next(names, &arena, &batch, err)) == AF_OK && batch != NULL) {
        for (size_t row = 0; row < batch->row_count && status == AF_OK; row++) {
            struct af_slice name = af_column_text(&batch->columns[0], row);
            if (wants(reading, name))
                status = put_measurement(reading, name, err);
        }
        if (status != AF_OK)
            break;
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    return status;
}

/* Usually one metric is asked for by name. */
static enum af_status put_all(struct reading *reading, struct af_error *err)
{
    struct af_stream *names;
    struct af_scan all = { .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    for (size_t i = 0; i < reading->query.matcher_count; i++) {
        const struct af_prom_matcher *matcher = &reading->query.matchers[i];
        if (matcher->type == AF_PROM_EQUAL && af_slice_is(matcher->name, NAME))
            return wants(reading, matcher->value) ? put_measurement(reading, matcher->value, err) : AF_OK;
    }
    AF_TRY(af_store_list(reading->store, AF_LIST_MEASUREMENTS, &all, &names, err));
    enum af_status status = put_names(reading, names, err);
    af_stream_close(names);
    return status;
}

/* --- remote read: the request ------------------------------------------------------------------------------------------------------- */

static enum af_status put_answer(struct reading *reading, struct af_error *err)
{
    struct af_codec_ctx ctx = { 0 };
    struct af_buf whole;
    af_buf_init(&whole, AF_QUERY_ANSWER_BYTES_MAX);
    af_prom_put_result(&whole, af_buf_slice(&reading->result));
    enum af_status status = af_buf_check(&whole, "the answer", err);
    if (status == AF_OK)
        status = af_compress(&ctx, AF_CODEC_SNAPPY, 0, af_buf_slice(&whole), &reading->request->answer->body, err);
    af_codec_ctx_done(&ctx);
    af_buf_done(&whole);
    return status;
}

static enum af_status read_all(struct reading *reading, const struct af_meta_bucket *bucket, struct af_slice body, struct af_error *err)
{
    AF_TRY(af_prom_read_query(body, &reading->query, err));
    AF_TRY(make_predicate(reading, err));
    AF_TRY(af_tsm_store_open(reading->request->house->engine, bucket->id, bucket->name, true, &reading->store, err));
    AF_TRY(put_all(reading, err));
    return put_answer(reading, err);
}

static void reading_done(struct reading *reading)
{
    af_store_close(reading->store);
    for (size_t i = 0; i < AF_PROM_MATCHERS_MAX; i++)
        af_regex_free(reading->regexes[i]);
    af_prom_writer_done(&reading->writer);
    af_buf_done(&reading->result);
    af_buf_done(&reading->key);
    for (size_t i = 0; i < 3; i++)
        af_buf_done(&reading->scratch[i]);
}

static void answer_read(struct af_request *r, enum af_status status, const struct af_error *err)
{
    if (status == AF_OK) {
        r->answer->status = 200;
        r->answer->content_type = "application/x-protobuf";
        af_serve_add_header(r->answer, "Content-Encoding", "snappy");
        return;
    }
    bool is_theirs = status == AF_ECORRUPT || status == AF_EINVAL || status == AF_ELIMIT;
    af_answer_fail(r, is_theirs ? 400 : af_status_http(status), "%s", err->message);
}

static void handle_read(struct af_request *r)
{
    struct af_meta_bucket bucket;
    struct af_slice body;
    struct af_error err = { 0 };
    if (!write_find_v1(r, AF_ACTION_READ, &bucket) || !unpack(r, &body))
        return;
    struct reading *reading = af_arena_zero(r->arena, 1, sizeof *reading);
    if (reading == NULL) {
        af_answer_fail(r, 503, "no memory for the request; try again");
        return;
    }
    reading->request = r;
    af_buf_init(&reading->result, AF_QUERY_ANSWER_BYTES_MAX);
    af_buf_init(&reading->key, LINES_BYTES_MAX);
    for (size_t i = 0; i < 3; i++)
        af_buf_init(&reading->scratch[i], LINES_BYTES_MAX);
    af_prom_writer_init(&reading->writer, &reading->result);
    enum af_status status = read_all(reading, &bucket, body, &err);
    reading_done(reading);
    answer_read(r, status, &err);
}

const struct af_route af_routes_v1_prom[] = {
    { "POST", "/api/v1/prom/write", AF_API_V1, AF_ACCESS_TOKEN, handle_write },
    { "POST", "/api/v1/prom/read", AF_API_V1, AF_ACCESS_TOKEN, handle_read },
    { NULL, NULL, AF_API_V1, AF_ACCESS_TOKEN, NULL },
};
