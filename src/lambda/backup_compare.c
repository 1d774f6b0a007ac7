/*
 * backup_compare.c - is what was restored the same as what it was made from? Every value of a day becomes a hash of (series, time, field,
 * type, bits); their number and sum by measurement must agree on both sides. Sums do not depend on the order in which a side answers.
 */
#include "base/hash.h"
#include "lambda/backup_int.h"
#include "remote/remote.h"
#include <inttypes.h>
#include <stdio.h>

enum { NAMES_BYTES_MAX = 32 << 20, BATCH_BYTES_MAX = 64 << 20, MEASUREMENTS_MAX = 10000, STALL_MS = 60000, SERIES = 0, TIME = 1,
       FIRST = 2 };

struct names {
    struct af_arena arena;
    const char **list;
    size_t count;
};
struct digest {
    uint64_t values, sum;
};
struct sides {
    struct af_store *source, *trial;
    const char *bucket;
};

/* --- one measurement of one side ----------------------------------------------------------------------------------------------- */

static uint64_t hash_value(const struct af_column *column, size_t row)
{
    if (af_type_is_text(column->type)) {
        const struct af_slice text = af_column_text(column, row);
        return af_hash_bytes(text.ptr, text.len, column->type);
    }
    if (column->type == AF_TYPE_BOOL)
        return af_hash_mix((uint64_t)af_bit_get(column->bits, row) + 1);
    return af_hash_bytes(&column->u64[row], sizeof column->u64[row], column->type);
}

static void add_row(const struct af_batch *batch, size_t row, struct digest *digest)
{
    const struct af_slice series = af_column_text(&batch->columns[SERIES], row);
    const uint64_t point = af_hash_bytes(series.ptr, series.len, (uint64_t)batch->columns[TIME].i64[row]);
    for (size_t i = FIRST; i < batch->schema->field_count; i++) {
        const struct af_column *column = &batch->columns[i];
        const char *name = batch->schema->fields[i].name;
        if (!af_column_has(column, row))
            continue;
        digest->values++;
        digest->sum += af_hash_mix(af_hash_bytes(name, strlen(name), point) ^ hash_value(column, row));
    }
}

static enum af_status digest_stream(struct af_stream *stream, struct digest *out, struct af_error *err)
{
    struct af_arena arena;
    struct af_batch *batch = NULL;
    enum af_status status;
    af_arena_init(&arena, BATCH_BYTES_MAX);
    while ((status = af_stream_next(stream, &arena, &batch, err)) == AF_OK && batch != NULL) {
        for (size_t row = 0; row < batch->row_count; row++)
            add_row(batch, row, out);
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    return status;
}

static enum af_status digest_one(const struct backup_compare *c, struct af_store *store, const char *measurement, struct digest *out,
                                 struct af_error *err)
{
    const struct af_scan scan = { .measurement = measurement, .start_ns = c->from_ns, .stop_ns = c->to_ns, .cancel = c->cancel };
    struct af_stream *stream = NULL;
    *out = (struct digest){ 0 };
    AF_TRY(af_store_scan(store, &scan, &stream, err));
    const enum af_status status = digest_stream(stream, out, err);
    af_stream_close(stream);
    return status;
}

/* --- which measurements --------------------------------------------------------------------------------------------------------- */

static bool knows(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i], name) == 0)
            return true;
    return false;
}

static enum af_status add_name(struct names *names, struct af_slice text, struct af_error *err)
{
    const char *name = af_arena_copy(&names->arena, text);
    if (name == NULL)
        return af_arena_fail(&names->arena, text.len + 1, "names of measurements", err);
    if (knows(names, name))
        return AF_OK;
    if (names->count == MEASUREMENTS_MAX)
        return af_fail(err, AF_ELIMIT, "more than %d measurements", MEASUREMENTS_MAX);
    names->list[names->count++] = name;
    return AF_OK;
}

static enum af_status read_names(struct af_stream *stream, struct names *names, struct af_error *err)
{
    struct af_batch *batch = NULL;
    for (;;) {
        AF_TRY(af_stream_next(stream, &names->arena, &batch, err));
        if (batch == NULL)
            return AF_OK;
        for (size_t row = 0; row < batch->row_count; row++)
            AF_TRY(add_name(names, af_column_text(&batch->columns[0], row), err));
    }
}

static enum af_status list_names(const struct backup_compare *c, struct af_store *store, struct names *names, struct af_error *err)
{
    const struct af_scan scan = { .start_ns = c->from_ns, .stop_ns = c->to_ns, .cancel = c->cancel };
    struct af_stream *stream = NULL;
    AF_TRY(af_store_list(store, AF_LIST_MEASUREMENTS, &scan, &stream, err));
    const enum af_status status = read_names(stream, names, err);
    af_stream_close(stream);
    return status;
}

/* --- one bucket ------------------------------------------------------------------------------------------------------------------ */

static enum af_status compare_names(struct backup_compare *c, const struct sides *sides, const struct names *names, bool *out_equal,
                                    struct af_error *err)
{
    for (size_t i = 0; i < names->count && *out_equal; i++) {
        struct digest was, is;
        AF_TRY(digest_one(c, sides->source, names->list[i], &was, err));
        AF_TRY(digest_one(c, sides->trial, names->list[i], &is, err));
        c->measurements += was.values != 0;
        c->values += was.values;
        *out_equal = was.values == is.values && was.sum == is.sum;
        if (!*out_equal && was.values != is.values)
            (void)snprintf(c->why, sizeof c->why, "%.60s of %.60s has %" PRIu64 " values, restored %" PRIu64, names->list[i], sides->bucket,
                           was.values, is.values);
        else if (!*out_equal)
            (void)snprintf(c->why, sizeof c->why, "%.60s of %.60s has %" PRIu64 " values on both sides, but not the same", names->list[i],
                           sides->bucket, was.values);
    }
    return AF_OK;
}

static enum af_status compare_sides(struct backup_compare *c, const struct sides *sides, bool *out_equal, struct af_error *err)
{
    struct names names = { 0 };
    af_arena_init(&names.arena, NAMES_BYTES_MAX);
    names.list = af_arena_alloc(&names.arena, MEASUREMENTS_MAX * sizeof *names.list);
    enum af_status status = AF_OK;
    if (names.list == NULL)
        status = af_arena_fail(&names.arena, MEASUREMENTS_MAX * sizeof *names.list, "names of measurements", err);
    if (status == AF_OK)
        status = list_names(c, sides->source, &names, err);
    if (status == AF_OK)
        status = list_names(c, sides->trial, &names, err);
    if (status == AF_OK)
        status = compare_names(c, sides, &names, out_equal, err);
    af_arena_done(&names.arena);
    return status;
}

/* The restored instance has the same tokens. */
static enum af_status compare_bucket(struct backup_compare *c, const char *bucket, bool *out_equal, struct af_error *err)
{
    struct lambda_target target;
    struct sides sides = { .bucket = bucket };
    enum af_status status = lambda_target_open(&target, c->aws, bucket, err);
    target.timeout_ms = 0;
    target.cancel = c->cancel;
    if (status == AF_OK)
        status = lambda_target_store(&target, &sides.source, err);
    if (status == AF_OK) {
        const struct af_remote_options options = {
            .url = c->trial_url, .bucket = bucket, .org = lambda_text(c->aws, LAMBDA_INFLUXDB_ORG), .token = af_buf_cstr(&target.token),
            .http = { .ca_file = lambda_text(c->aws, LAMBDA_INFLUXDB_CA_FILE), .stall_timeout_ms = STALL_MS } };
        status = af_remote_open(&options, &sides.trial, err);
    }
    if (status == AF_OK)
        status = compare_sides(c, &sides, out_equal, err);
    af_store_close(sides.trial);
    lambda_target_close(&target);
    return status;
}

/* BUCKETS: their names, commas between them. */
enum af_status backup_compare(struct backup_compare *c, bool *out_equal, struct af_error *err)
{
    const char *at = lambda_text(c->aws, LAMBDA_COMPARE_BUCKETS);
    if (at == NULL)
        at = lambda_text(c->aws, LAMBDA_INFLUXDB_BUCKET);
    *out_equal = true;
    while (at != NULL && *at != '\0' && *out_equal) {
        char bucket[256];
        const size_t len = strcspn(at, ",");
        if (len == 0 || len >= sizeof bucket)
            return af_fail(err, AF_EINVAL, "COMPARE_BUCKETS is names of buckets with commas between them");
        memcpy(bucket, at, len);
        bucket[len] = '\0';
        AF_TRY(compare_bucket(c, bucket, out_equal, err));
        at += len + (at[len] == ',');
    }
    if (*out_equal && c->values == 0) {
        *out_equal = false;
        (void)snprintf(c->why, sizeof c->why, "there is no value on that day, so nothing is proven: COMPARE_DAYS_BACK names another one");
    }
    return AF_OK;
}
