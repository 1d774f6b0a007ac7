/*
 * flux.c - scans and listings in Flux, for buckets of 2.x that InfluxQL does not reach; see remote_int.h.
 *
 *     from(bucket) |> range |> filter(measurement, fields) |> pivot(_time x _field) |> sort(_time)
 *
 * One table a series: its group key columns are the tags, its other columns the fields. Two things Flux's CSV cannot say: an
 * empty string is read as no value, and a field that has the name of a tag gets lost in the pivot (docs/formats/influxdb-http.md).
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/calendar.h"
#include "base/numbers.h"
#include "remote/remote_int.h"
#include <stdio.h>

enum { QUERY_BYTES_MAX = 16 << 20, TAGS_MAX = 4096 };

enum role { ROLE_NONE, ROLE_TIME, ROLE_TAG, ROLE_FIELD };

struct flux_column {
    enum role role;
    size_t field; /* of FIELD */
};

struct flux_table {
    const struct csv_column *names;
    size_t count;
    int64_t number;              /* of the table whose key is composed; -1: none */
    struct flux_column columns[]; /* count */
};

/* --- text --------------------------------------------------------------------------------------------------------- */

void flux_append_string(struct af_buf *out, struct af_slice text)
{
    af_buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '"' || c == '\\' || (c == '$' && i + 1 < text.len && text.ptr[i + 1] == '{'))
            af_buf_append_char(out, '\\');
        if (c == '\n')
            af_buf_append_str(out, "\\n");
        else if (c == '\r')
            af_buf_append_str(out, "\\r");
        else
            af_buf_append_char(out, c);
    }
    af_buf_append_char(out, '"');
}

void flux_append_from(struct af_buf *out, const struct remote *remote, int64_t from_ns, int64_t last_ns)
{
    af_buf_append_str(out, "from(bucket: ");
    flux_append_string(out, af_slice_of(remote->bucket));
    af_buf_printf(out, ") |> range(start: time(v: %lld), stop: time(v: %lld))", (long long)from_ns, (long long)last_ns + 1);
}

void flux_append_filters(struct af_buf *out, const char *measurement, const struct af_predicate *predicate)
{
    if (measurement != NULL) {
        af_buf_append_str(out, " |> filter(fn: (r) => r._measurement == ");
        flux_append_string(out, af_slice_of(measurement));
        af_buf_append_char(out, ')');
    }
    if (remote_reach(predicate) == REACH_SOME) {
        af_buf_append_str(out, " |> filter(fn: (r) => ");
        flux_append_predicate(out, predicate);
        af_buf_append_char(out, ')');
    }
}

static void append_from(struct af_buf *out, const struct remote_stream *stream, int64_t from_ns, int64_t last_ns)
{
    flux_append_from(out, stream->remote, from_ns, last_ns);
    af_buf_append_str(out, stream->where);
}

static void append_fields(struct af_buf *out, const struct remote_stream *stream)
{
    af_buf_append_str(out, " |> filter(fn: (r) => ");
    for (size_t i = 0; i < stream->field_count; i++) {
        af_buf_append_str(out, i > 0 ? " or r._field == " : "r._field == ");
        flux_append_string(out, af_slice_of(stream->fields[i].name));
    }
    af_buf_append_char(out, ')');
}

void flux_request(struct remote *remote, struct remote_conn *conn, struct af_slice text)
{
    remote_request(remote, conn, "/api/v2/query");
    if (remote->org[0] != '\0')
        remote_param(conn, "org", af_slice_of(remote->org));
    remote_header(conn, "Content-Type: application/json");
    remote_header(conn, "Accept: application/csv");
    af_buf_clear(&conn->body);
    af_buf_append_str(&conn->body, "{\"type\":\"flux\",\"dialect\":{\"header\":true,\"delimiter\":\",\","
                                   "\"annotations\":[\"datatype\",\"group\",\"default\"]},\"query\":");
    af_json_append_string(&conn->body, text);
    af_buf_append_char(&conn->body, '}');
}

static enum af_status run_on(struct remote *remote, struct remote_conn *conn, struct af_slice text, const bool *cancel,
                             struct csv_reader *reader, struct af_error *err)
{
    flux_request(remote, conn, text);
    AF_TRY(af_buf_check(&conn->body, "a query", err));
    struct remote_sending sending = {
        .method = "POST", .body = af_buf_slice(&conn->body), .on_body = csv_reader_feed, .ctx = reader, .cancel = cancel
    };
    AF_TRY(remote_send(conn, &sending, err));
    AF_TRY(remote_judge(remote, &conn->answer, err));
    return csv_reader_finish(reader, err);
}

enum af_status flux_run(struct remote *remote, struct af_slice text, const bool *cancel, const struct csv_handler *handler,
                        void *ctx, struct af_error *err)
{
    struct remote_conn *conn = NULL;
    struct csv_reader *reader;
    AF_TRY(csv_reader_new(remote, handler, ctx, &reader, err));
    enum af_status status = remote_take(remote, &conn, err);
    if (status == AF_OK) {
        status = run_on(remote, conn, text, cancel, reader, err);
        remote_give(remote, conn, status == AF_OK);
    }
    csv_reader_free(reader);
    return status;
}

/* --- rows of a scan ----------------------------------------------------------------------------------------------- */

static size_t find_field(const struct remote_stream *stream, struct af_slice name)
{
    for (size_t i = 0; i < stream->field_count; i++)
        if (af_slice_is(name, stream->fields[i].name))
            return i;
    return SIZE_MAX;
}

/* Columns 0 to 2 are the annotation's place, result and table: tags may have these names too, so it is the place that counts. */
static struct flux_column role_of(const struct remote_stream *stream, const struct csv_column *column, size_t at)
{
    struct flux_column none = { ROLE_NONE, 0 };
    if (at < 3 || af_slice_is(column->name, "_start") || af_slice_is(column->name, "_stop") ||
        af_slice_is(column->name, "_measurement"))
        return none;
    if (af_slice_is(column->name, "_time"))
        return (struct flux_column){ ROLE_TIME, 0 };
    if (column->is_key)
        return (struct flux_column){ ROLE_TAG, 0 };
    size_t field = find_field(stream, column->name);
    return field != SIZE_MAX ? (struct flux_column){ ROLE_FIELD, field } : none;
}

static enum af_status scan_table(void *ctx, const struct csv_column *columns, size_t count, struct af_error *err)
{
    struct remote_stream *stream = ctx;
    struct flux_table *table = af_realloc(stream->table, sizeof *table + count * sizeof table->columns[0]);
    if (table == NULL)
        return af_fail_nomem(err, "the columns of an answer");
    stream->table = table;
    table->names = columns;
    table->count = count;
    table->number = -1;
    for (size_t i = 0; i < count; i++)
        table->columns[i] = role_of(stream, &columns[i], i);
    return AF_OK;
}

static enum af_status bad_value(const struct remote_stream *stream, struct af_slice text, const char *what, struct af_error *err)
{
    return af_fail(err, AF_ECORRUPT, "%s: \"%.*s\" in the answer is no %s", stream->remote->base.name,
                   (int)(text.len < 100 ? text.len : 100), text.len > 0 ? text.ptr : "", what);
}

static enum af_status add_value(struct remote_stream *stream, size_t field, struct af_slice text, struct af_error *err)
{
    double f64;
    int64_t i64;
    uint64_t u64;
    enum af_type type = stream->fields[field].type;
    bool is_true = af_slice_is(text, "true");
    if (type == AF_TYPE_STRING)
        return af_rows_text(stream->rows, field, text, err);
    if (type == AF_TYPE_F64 && af_f64_parse(text, &f64))
        af_rows_f64(stream->rows, field, f64);
    else if (type == AF_TYPE_I64 && af_i64_parse(text, &i64))
        af_rows_i64(stream->rows, field, i64);
    else if (type == AF_TYPE_U64 && af_u64_parse(text, &u64))
        af_rows_u64(stream->rows, field, u64);
    else if (type == AF_TYPE_BOOL && (is_true || af_slice_is(text, "false")))
        af_rows_bool(stream->rows, field, is_true);
    else
        return bad_value(stream, text, stream->fields[field].name, err);
    return AF_OK;
}

static enum af_status compose_key(struct remote_stream *stream, const struct af_slice *cells, struct af_error *err)
{
    struct flux_table *table = stream->table;
    struct iql_tag *tags = af_alloc(table->count * sizeof *tags);
    size_t tag_count = 0;
    if (tags == NULL)
        return af_fail_nomem(err, "the tags of a series");
    for (size_t i = 0; i < table->count; i++)
        if (table->columns[i].role == ROLE_TAG)
            tags[tag_count++] = (struct iql_tag){ table->names[i].name, cells[i] };
    enum af_status status = remote_compose_key(&stream->key, af_slice_of(stream->measurement), tags, tag_count, err);
    af_free(tags);
    return status;
}

/* The key changes with the table's number only. */
static enum af_status check_key(struct remote_stream *stream, const struct af_slice *cells, struct af_error *err)
{
    int64_t number;
    if (stream->table->count < 3 || !af_i64_parse(cells[2], &number))
        return bad_value(stream, stream->table->count < 3 ? (struct af_slice){ 0 } : cells[2], "table number", err);
    if (number == stream->table->number)
        return AF_OK;
    AF_TRY(compose_key(stream, cells, err));
    stream->table->number = number;
    return AF_OK;
}

static enum af_status begin_row(struct remote_stream *stream, const struct af_slice *cells, struct af_error *err)
{
    const struct flux_table *table = stream->table;
    for (size_t i = 0; i < table->count; i++) {
        int64_t time_ns;
        bool has_zone;
        if (table->columns[i].role != ROLE_TIME)
            continue;
        if (!af_time_parse(cells[i], &time_ns, &has_zone) || !has_zone)
            return bad_value(stream, cells[i], "time", err);
        return af_rows_begin(stream->rows, af_buf_slice(&stream->key), time_ns, err);
    }
    return bad_value(stream, (struct af_slice){ 0 }, "table with a column _time", err);
}

static enum af_status scan_row(void *ctx, const struct af_slice *cells, size_t count, struct af_error *err)
{
    struct remote_stream *stream = ctx;
    bool has_value = false;
    AF_TRY(check_key(stream, cells, err));
    AF_TRY(begin_row(stream, cells, err));
    for (size_t i = 0; i < count; i++) {
        if (stream->table->columns[i].role != ROLE_FIELD || cells[i].len == 0)
            continue;
        AF_TRY(add_value(stream, stream->table->columns[i].field, cells[i], err));
        has_value = true;
    }
    if (has_value)
        return remote_stream_row_end(stream, err);
    af_rows_drop_last(stream->rows);
    return AF_OK;
}

static enum af_status scan_ask(struct remote_stream *stream, struct af_error *err)
{
    static const struct csv_handler handler = { scan_table, scan_row };
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    append_from(&text, stream, stream->from_ns, stream->window_last_ns);
    append_fields(&text, stream);
    af_buf_append_str(&text, " |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")"
                             " |> sort(columns: [\"_time\"])");
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        flux_request(stream->remote, stream->conn, af_buf_slice(&text));
    af_buf_done(&text);
    if (status == AF_OK)
        status = af_buf_check(&stream->conn->body, "a query", err);
    if (status == AF_OK)
        status = csv_reader_new(stream->remote, &handler, stream, &stream->csv, err);
    if (status != AF_OK)
        return status;
    struct remote_sending sending = {
        .method = "POST",
        .body = af_buf_slice(&stream->conn->body),
        .on_body = csv_reader_feed,
        .ctx = stream->csv,
        .cancel = stream->cancel,
    };
    return remote_begin(stream->conn, &sending, err);
}

static enum af_status scan_finish(struct remote_stream *stream, struct af_error *err)
{
    return csv_reader_finish(stream->csv, err);
}

static void scan_drop(struct remote_stream *stream)
{
    csv_reader_free(stream->csv);
    stream->csv = NULL;
}

const struct remote_language_ops remote_flux_ops = { scan_ask, scan_finish, scan_drop };

/* --- small answers: the cells of one or two columns --------------------------------------------------------------- */

struct small {
    const struct remote *remote;
    struct af_listed *listed;  /* NULL: times are looked for */
    size_t name;               /* columns; SIZE_MAX: not in this table */
    size_t value;
    struct af_slice type;      /* of `value` */
    const char *name_of;       /* "_field", "_value", "_time" */
    int64_t time_ns;
    bool is_found;
};

static enum af_status small_table(void *ctx, const struct csv_column *columns, size_t count, struct af_error *err)
{
    struct small *small = ctx;
    (void)err;
    small->name = small->value = SIZE_MAX;
    small->type = (struct af_slice){ 0 };
    for (size_t i = 3; i < count; i++) {
        if (af_slice_is(columns[i].name, small->name_of))
            small->name = i;
        if (af_slice_is(columns[i].name, "_value")) {
            small->value = i;
            small->type = columns[i].type;
        }
    }
    return AF_OK;
}

static const char *type_word(struct af_slice type)
{
    static const char *const words[][2] = { { "double", "float" }, { "long", "integer" }, { "unsignedLong", "unsigned" },
                                            { "boolean", "boolean" }, { "string", "string" } };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (af_slice_is(type, words[i][0]))
            return words[i][1];
    return "unknown";
}

static enum af_status small_row(void *ctx, const struct af_slice *cells, size_t count, struct af_error *err)
{
    struct small *small = ctx;
    bool has_zone;
    if (small->name >= count)
        return af_fail(err, AF_ECORRUPT, "%s: the answer has no column %s", small->remote->base.name, small->name_of);
    if (small->listed != NULL)
        return af_listed_add(small->listed, cells[small->name], type_word(small->type), 0, err);
    if (!af_time_parse(cells[small->name], &small->time_ns, &has_zone))
        return af_fail(err, AF_ECORRUPT, "%s: a row without a time in the answer", small->remote->base.name);
    small->is_found = true;
    return AF_OK;
}

static const struct csv_handler small_handler = { small_table, small_row };

static enum af_status extent_end(struct remote_stream *stream, bool is_last, struct small *out, struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    *out = (struct small){ .remote = stream->remote, .name_of = "_time" };
    append_from(&text, stream, stream->from_ns, stream->last_ns);
    append_fields(&text, stream);
    af_buf_printf(&text, " |> %s() |> keep(columns: [\"_time\"]) |> group() |> sort(columns: [\"_time\"], desc: %s) |> limit(n: 1)",
                  is_last ? "last" : "first", is_last ? "true" : "false");
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        status = flux_run(stream->remote, af_buf_slice(&text), stream->cancel, &small_handler, out, err);
    af_buf_done(&text);
    return status;
}

enum af_status flux_extent(struct remote_stream *stream, bool *out_some, struct af_error *err)
{
    struct small first;
    struct small last;
    AF_TRY(extent_end(stream, false, &first, err));
    *out_some = first.is_found;
    if (!first.is_found)
        return AF_OK;
    AF_TRY(extent_end(stream, true, &last, err));
    *out_some = last.is_found;
    stream->from_ns = first.time_ns;
    stream->last_ns = last.is_found ? last.time_ns : first.time_ns;
    return AF_OK;
}

enum af_status flux_list(struct remote *remote, enum af_listing what, const struct af_scan *scan, struct af_listed *listed,
                         struct af_error *err)
{
    struct small small = { .remote = remote, .listed = listed, .name_of = what == AF_LIST_FIELDS ? "_field" : "_value" };
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    if (what == AF_LIST_FIELDS) { /* one value of each field shows its type; two types in one field are Flux's own error */
        flux_append_from(&text, remote, INT64_MIN + 2, INT64_MAX - 1);
        flux_append_filters(&text, scan->measurement, NULL);
        af_buf_append_str(&text, " |> group(columns: [\"_field\"]) |> first() |> keep(columns: [\"_field\", \"_value\"])");
    } else {
        af_buf_append_str(&text, "import \"influxdata/influxdb/schema\"\nschema.measurements(bucket: ");
        flux_append_string(&text, af_slice_of(remote->bucket));
        af_buf_append_str(&text, ", start: time(v: -9223372036854775806), stop: time(v: 9223372036854775806))");
    }
    enum af_status status = af_buf_check(&text, "a query", err);
    if (status == AF_OK)
        status = flux_run(remote, af_buf_slice(&text), NULL, &small_handler, &small, err);
    af_buf_done(&text);
    return status;
}
