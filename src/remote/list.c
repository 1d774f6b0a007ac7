/*
 * list.c - measurements, fields, tags, series and buckets of a remote InfluxDB; see remote.h.
 *
 * In InfluxQL by SHOW; where that does not reach, tags come out of the series (series.c). 1.x answers for the whole database, whatever the
 * retention policy; for series, nothing at all if the policy that is asked has no shards.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/intern.h"
#include "base/numbers.h"
#include "remote/remote_int.h"

enum { QUERY_BYTES_MAX = 1 << 20, BUCKETS_PAGE = 100, ANSWER_BYTES_MAX = 64 << 20 };

/* --- which language ----------------------------------------------------------------------------------------------- */

enum af_status remote_speaks_influxql(struct remote *remote, bool *out, struct af_error *err)
{
    static const struct iql_handler nothing = { 0 };
    *out = !remote->is_v2 || (!remote->force_flux && remote->has_dbrp == DBRP_YES);
    if (!remote->is_v2 || remote->force_flux || remote->has_dbrp != DBRP_UNKNOWN) {
        *out = *out && !remote->force_flux;
        return AF_OK;
    }
    /* 2.x: InfluxQL needs a DBRP mapping of the bucket; whoever has one can ask for its measurements. */
    struct af_error why;
    enum af_status status = iql_run(remote, AF_SLICE_LIT("SHOW MEASUREMENTS LIMIT 1"), NULL, &nothing, NULL, &why);
    if (status != AF_OK && status != AF_ENOTFOUND && status != AF_EINVAL) {
        if (err != NULL)
            *err = why;
        return status;
    }
    *out = status == AF_OK;
    remote->has_dbrp = *out ? DBRP_YES : DBRP_NO;
    return AF_OK;
}

/* --- InfluxQL ----------------------------------------------------------------------------------------------------- */

struct listing {
    struct af_listed *listed;
    const struct remote *remote;
    struct af_buf first;  /* the row's cells, as far as they matter */
    struct af_buf second;
    const char *default_policy_of; /* SHOW RETENTION POLICIES of this database */
    int64_t retention_s;
};

static enum af_status names_cell(void *ctx, size_t column, enum af_json_kind kind, bool is_true, struct af_slice text,
                                 struct af_error *err)
{
    struct listing *listing = ctx;
    struct af_buf *cell = column == 0 ? &listing->first : column == 1 ? &listing->second : NULL;
    (void)kind;
    (void)is_true;
    if (cell == NULL)
        return AF_OK;
    af_buf_clear(cell);
    af_buf_append_slice(cell, text);
    return af_buf_check(cell, "a listing", err);
}

static enum af_status names_row(void *ctx, struct af_error *err)
{
    struct listing *listing = ctx;
    return af_listed_add(listing->listed, af_buf_slice(&listing->first), af_buf_cstr(&listing->second), 0, err);
}

static enum af_status list_by(struct remote *remote, struct af_slice text, struct listing *listing,
                              const struct iql_handler *handler, struct af_error *err)
{
    listing->remote = remote;
    af_buf_init(&listing->first, QUERY_BYTES_MAX);
    af_buf_init(&listing->second, QUERY_BYTES_MAX);
    enum af_status status = iql_run(remote, text, NULL, handler, listing, err);
    af_buf_done(&listing->first);
    af_buf_done(&listing->second);
    return status;
}

static const struct iql_handler names_handler = { .cell = names_cell, .row_end = names_row };

static enum af_status iql_fields(struct remote *remote, const struct af_scan *scan, struct af_listed *listed, struct af_error *err)
{
    struct listing listing = { .listed = listed };
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    af_buf_append_str(&text, "SHOW FIELD KEYS FROM ");
    iql_append_source(&text, remote, scan->measurement);
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        status = list_by(remote, af_buf_slice(&text), &listing, &names_handler, err);
    af_buf_done(&text);
    return status;
}

enum af_status remote_list_fields(struct remote *remote, const struct af_scan *scan, struct af_listed *listed, struct af_error *err)
{
    bool is_influxql;
    AF_TRY(remote_speaks_influxql(remote, &is_influxql, err));
    return is_influxql ? iql_fields(remote, scan, listed, err) : flux_list(remote, AF_LIST_FIELDS, scan, listed, err);
}

/* --- measurements, tags and series: each name once ---------------------------------------------------------------- */

struct names {
    enum af_listing what;
    struct remote *remote;
    const struct af_scan *scan;
    struct af_listed *listed;
    struct af_intern seen;
    struct af_buf scratch;
    struct af_buf cell; /* InfluxQL: the one that counts */
};

static enum af_status add_once(struct names *names, struct af_slice name, struct af_error *err)
{
    uint32_t before = names->seen.count;
    uint32_t id;
    AF_TRY(af_intern_add(&names->seen, name, &id, err));
    return names->seen.count != before ? af_listed_add(names->listed, name, NULL, 0, err) : AF_OK;
}

static enum af_status add_tags(struct names *names, struct af_slice key, struct af_error *err)
{
    size_t at = 0;
    struct af_slice tag, value;
    while (af_key_next_tag(key, &at, &tag, &value)) {
        struct af_slice name = af_key_unescape(tag, &names->scratch);
        AF_TRY(af_buf_check(&names->scratch, "a listing", err));
        if (names->what == AF_LIST_TAG_VALUES) {
            if (!af_slice_is(name, names->scan->tag))
                continue;
            name = af_key_unescape(value, &names->scratch);
        }
        AF_TRY(af_buf_check(&names->scratch, "a listing", err));
        AF_TRY(add_once(names, name, err));
    }
    return AF_OK;
}

static enum af_status add_of_key(void *ctx, struct af_slice key, struct af_error *err)
{
    struct names *names = ctx;
    if (names->what == AF_LIST_SERIES)
        return add_once(names, key, err);
    if (names->what != AF_LIST_MEASUREMENTS)
        return add_tags(names, key, err);
    struct af_slice name = af_key_unescape_measurement(af_key_measurement_raw(key), &names->scratch);
    AF_TRY(af_buf_check(&names->scratch, "a listing", err));
    return add_once(names, name, err);
}

static enum af_status one_cell(void *ctx, size_t column, enum af_json_kind kind, bool is_true, struct af_slice text,
                               struct af_error *err)
{
    struct names *names = ctx;
    (void)kind;
    (void)is_true;
    if (column != (names->what == AF_LIST_TAG_VALUES ? 1 : 0))
        return AF_OK;
    af_buf_clear(&names->cell);
    af_buf_append_slice(&names->cell, text);
    return af_buf_check(&names->cell, "a listing", err);
}

static enum af_status key_row(void *ctx, struct af_error *err)
{
    struct names *names = ctx;
    return add_of_key(names, af_buf_slice(&names->cell), err);
}

static enum af_status name_row(void *ctx, struct af_error *err)
{
    struct names *names = ctx;
    return add_once(names, af_buf_slice(&names->cell), err);
}

static bool has_predicate(const struct af_scan *scan)
{
    return scan != NULL && scan->predicate != NULL;
}

/* SHOW MEASUREMENTS WHERE tests the tags of all series of a measurement together, so with a predicate it is the series that are asked
 * for. True: rows are series keys. */
static bool append_show(struct af_buf *out, const struct names *names)
{
    const struct af_scan *scan = names->scan;
    bool is_measurements = names->what == AF_LIST_MEASUREMENTS;
    bool is_keys = names->what == AF_LIST_SERIES || (is_measurements && has_predicate(scan));
    af_buf_append_str(out, is_keys ? "SHOW SERIES" : is_measurements ? "SHOW MEASUREMENTS"
                                                 : names->what == AF_LIST_TAG_KEYS ? "SHOW TAG KEYS" : "SHOW TAG VALUES");
    if (scan != NULL && scan->measurement != NULL && !is_measurements) {
        af_buf_append_str(out, " FROM ");
        iql_append_source(out, names->remote, scan->measurement);
    } else if (is_keys && names->remote->policy != NULL) { /* else the default policy is asked, which may be without shards */
        af_buf_append_str(out, " FROM ");
        remote_append_quoted(out, af_slice_of(names->remote->policy));
        af_buf_append_str(out, "./.*/");
    }
    if (names->what == AF_LIST_TAG_VALUES) {
        af_buf_append_str(out, " WITH KEY = ");
        remote_append_quoted(out, af_slice_of(scan->tag));
    }
    if (scan != NULL)
        iql_append_where(out, scan->predicate);
    return is_keys;
}

static enum af_status iql_names(struct names *names, struct af_error *err)
{
    struct iql_handler handler = { .cell = one_cell };
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    handler.row_end = append_show(&text, names) ? key_row : name_row;
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        status = iql_run(names->remote, af_buf_slice(&text), names->scan != NULL ? names->scan->cancel : NULL, &handler, names, err);
    af_buf_done(&text);
    return status;
}

static enum af_status find_names(struct names *names, struct af_error *err)
{
    bool is_influxql;
    if (has_predicate(names->scan) && remote_reach(names->scan->predicate) == REACH_NONE)
        return AF_OK;
    if (names->what == AF_LIST_TAG_VALUES && (names->scan == NULL || names->scan->tag == NULL))
        return af_fail(err, AF_EINVAL, "%s: values of which tag?", names->remote->base.name);
    AF_TRY(remote_speaks_influxql(names->remote, &is_influxql, err));
    if (is_influxql)
        return iql_names(names, err);
    if (names->what == AF_LIST_MEASUREMENTS && !has_predicate(names->scan))
        return flux_list(names->remote, AF_LIST_MEASUREMENTS, NULL, names->listed, err);
    struct af_scan scan = names->scan != NULL ? *names->scan : (struct af_scan){ 0 };
    if (names->what == AF_LIST_MEASUREMENTS)
        scan.measurement = NULL;
    return flux_each_series(names->remote, &scan, add_of_key, names, err);
}

static enum af_status list_names(struct remote *remote, enum af_listing what, const struct af_scan *scan, struct af_listed *listed,
                                 struct af_error *err)
{
    struct names names = { .what = what, .remote = remote, .scan = scan, .listed = listed };
    af_intern_init(&names.seen);
    af_buf_init(&names.scratch, QUERY_BYTES_MAX);
    af_buf_init(&names.cell, QUERY_BYTES_MAX);
    enum af_status status = find_names(&names, err);
    af_buf_done(&names.cell);
    af_buf_done(&names.scratch);
    af_intern_done(&names.seen);
    return status;
}

/* --- buckets of 1.x: databases, with the retention of their default policy ---------------------------------------- */

/* Go's printed duration: 168h0m0s. Seconds; 0 if it is not understood. */
static int64_t duration_s(struct af_slice text)
{
    int64_t total = 0;
    int64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c >= '0' && c <= '9' && number < INT64_MAX / 100) {
            number = number * 10 + (c - '0');
            continue;
        }
        int64_t unit = c == 'h' ? 3600 : c == 'm' ? 60 : c == 's' ? 1 : 0;
        if (unit == 0 || number > INT64_MAX / 4 / unit)
            return 0;
        total += number * unit;
        number = 0;
    }
    return total;
}

/* Columns name, duration, shardGroupDuration, replicaN, default. */
static enum af_status policy_cell(void *ctx, size_t column, enum af_json_kind kind, bool is_true, struct af_slice text,
                                  struct af_error *err)
{
    struct listing *listing = ctx;
    if (column == 4 && kind == AF_JSON_BOOL && is_true)
        listing->retention_s = duration_s(af_buf_slice(&listing->second));
    return names_cell(ctx, column, kind, is_true, text, err);
}

static enum af_status database_row(void *ctx, struct af_error *err)
{
    struct listing *outer = ctx;
    static const struct iql_handler policies = { .cell = policy_cell };
    struct listing listing = { 0 };
    struct remote *remote = (struct remote *)(uintptr_t)outer->remote;
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    af_buf_append_str(&text, "SHOW RETENTION POLICIES ON ");
    remote_append_quoted(&text, af_buf_slice(&outer->first));
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        status = list_by(remote, af_buf_slice(&text), &listing, &policies, err);
    af_buf_done(&text);
    if (status == AF_OK)
        status = af_listed_add(outer->listed, af_buf_slice(&outer->first), NULL, listing.retention_s, err);
    return status;
}

static enum af_status list_databases(struct remote *remote, struct af_listed *listed, struct af_error *err)
{
    static const struct iql_handler handler = { .cell = names_cell, .row_end = database_row };
    struct listing listing = { .listed = listed };
    return list_by(remote, AF_SLICE_LIT("SHOW DATABASES"), &listing, &handler, err);
}

/* --- buckets of 2.x ----------------------------------------------------------------------------------------------- */

static enum af_status add_buckets(const struct af_json *json, struct af_listed *listed, size_t *out_count, struct af_error *err)
{
    const struct af_json *buckets = af_json_get(json, "buckets");
    *out_count = 0;
    for (const struct af_json *bucket = buckets != NULL ? buckets->first : NULL; bucket != NULL; bucket = bucket->next) {
        const struct af_json *rules = af_json_get(bucket, "retentionRules");
        int64_t retention_s = 0;
        if (rules != NULL && rules->first != NULL)
            (void)af_json_i64(af_json_get(rules->first, "everySeconds"), &retention_s);
        AF_TRY(af_listed_add(listed, af_json_string(bucket, "name"), NULL, retention_s, err));
        ++*out_count;
    }
    return AF_OK;
}

static enum af_status list_page(struct remote *remote, struct remote_conn *conn, size_t offset, struct af_listed *listed,
                                size_t *out_count, struct af_error *err)
{
    char number[AF_I64_TEXT_MAX];
    remote_request(remote, conn, "/api/v2/buckets");
    remote_param(conn, "org", af_slice_of(remote->org));
    remote_param(conn, "limit", AF_SLICE_LIT("100"));
    remote_param(conn, "offset", af_slice_make(number, (size_t)(af_u64_print(number, offset) - number)));
    AF_TRY(remote_send(conn, &(struct remote_sending){ .method = "GET" }, err));
    AF_TRY(remote_judge(remote, &conn->answer, err));
    struct af_arena arena;
    af_arena_init(&arena, ANSWER_BYTES_MAX);
    struct af_json *json;
    enum af_status status = af_json_parse(af_buf_slice(&conn->answer.body), &arena, &json, err);
    if (status == AF_OK)
        status = add_buckets(json, listed, out_count, err);
    af_arena_done(&arena);
    return status;
}

static enum af_status list_buckets(struct remote *remote, struct af_listed *listed, struct af_error *err)
{
    struct remote_conn *conn = NULL;
    AF_TRY(remote_take(remote, &conn, err));
    size_t count = BUCKETS_PAGE;
    enum af_status status = AF_OK;
    for (size_t offset = 0; status == AF_OK && count == BUCKETS_PAGE; offset += count)
        status = list_page(remote, conn, offset, listed, &count, err);
    remote_give(remote, conn, status == AF_OK);
    return status;
}

/* --- counts ------------------------------------------------------------------------------------------------------- */

/* Series and the measurements in their keys. */
static enum af_status count_batch(const struct af_batch *batch, struct af_intern *measurements, int64_t *series, struct af_error *err)
{
    *series += (int64_t)batch->row_count;
    for (size_t row = 0; row < batch->row_count; row++) {
        uint32_t id;
        AF_TRY(af_intern_add(measurements, af_key_measurement_raw(af_column_text(&batch->columns[0], row)), &id, err));
    }
    return AF_OK;
}

static enum af_status list_counts(struct remote *remote, const struct af_scan *scan, struct af_listed *listed, struct af_error *err)
{
    struct af_stream *stream;
    struct af_batch *batch;
    struct af_intern measurements;
    struct af_arena arena;
    int64_t series = 0;
    AF_TRY(remote_list(&remote->base, AF_LIST_SERIES, scan, &stream, err));
    af_intern_init(&measurements);
    af_arena_init(&arena, ANSWER_BYTES_MAX);
    enum af_status status = AF_OK;
    do {
        status = af_stream_next(stream, &arena, &batch, err);
        if (status == AF_OK && batch != NULL)
            status = count_batch(batch, &measurements, &series, err);
        af_arena_reset(&arena);
    } while (status == AF_OK && batch != NULL);
    if (status == AF_OK)
        status = af_listed_add(listed, AF_SLICE_LIT("measurements"), NULL, measurements.count, err);
    if (status == AF_OK)
        status = af_listed_add(listed, AF_SLICE_LIT("series"), NULL, series, err);
    af_stream_close(stream);
    af_arena_done(&arena);
    af_intern_done(&measurements);
    return status;
}

/* --- the operation ------------------------------------------------------------------------------------------------ */

enum af_status remote_list(struct af_store *store, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                           struct af_error *err)
{
    struct remote *remote = remote_of(store);
    struct af_listed *listed;
    AF_TRY(af_listed_new(what, &listed, err));
    enum af_status status;
    if (what == AF_LIST_FIELDS)
        status = remote_list_fields(remote, scan, listed, err);
    else if (what == AF_LIST_BUCKETS)
        status = remote->is_v2 ? list_buckets(remote, listed, err) : list_databases(remote, listed, err);
    else if (what == AF_LIST_COUNTS)
        status = list_counts(remote, scan, listed, err);
    else
        status = list_names(remote, what, scan, listed, err);
    if (status != AF_OK) {
        af_stream_close(af_listed_stream(listed));
        return status;
    }
    *out = af_listed_stream(listed);
    return AF_OK;
}
