/*
 * bulkload.c - a backup directory into a running InfluxDB, and the count of what arrived.
 *
 *     archive --unpack, check, tally--> scratch      bulkload_v1.c / bulkload_v2.c: to the server
 *     per shard and measurement: SELECT count(*) there == tally here
 *
 * A 2.x server answers 200 to a restore of a shard that failed, so the count is not politeness.
 */
#include "transfer/bulkload_int.h"
#include "base/numbers.h"
#include "format/json/json.h"
#include "net/url.h"
#include "os/clock.h"
#include "os/tree.h"
#include <inttypes.h>

enum { OPEN_MS = 30000, PAUSE_MS = 200, SHARD_STALL_MS = 600000, MORE_ERRORS = 200 };

bool load_is_wanted(const struct load *load, const struct af_portable_bucket *bucket)
{
    return load->options->bucket == NULL ? bucket->database[0] != '_' : strcmp(bucket->database, load->options->bucket) == 0;
}

const char *load_name(const struct load *load, const struct af_portable_bucket *bucket)
{
    return load->options->new_bucket != NULL ? load->options->new_bucket : bucket->database;
}

/* --- shards ----------------------------------------------------------------------------------------------------------------- */

static enum af_status check_files(struct load *load, struct load_shard *s, struct af_error *err)
{
    struct transfer_file *files = NULL;
    size_t count = 0;
    AF_TRY(transfer_files(s->dir, &load->arena, &files, &count, err));
    for (size_t i = 0; i < count; i++) {
        struct af_tsm_check check;
        if (files[i].has_tombstone)
            return af_fail(err, AF_EUNSUPPORTED, "%s holds deletes that the server would forget: restore it into a directory of "
                                                 "ours first, and "
                           "load that", s->archive);
        AF_TRY(transfer_check(files[i].path, s->shard->start_ns, s->shard->end_ns, &check, err));
        load->counts->bytes += files[i].bytes;
    }
    load->counts->files += count;
    return AF_OK;
}

/* Files of ours, as they are: the tally reads every block of them. */
static enum af_status take_own(struct load *load, struct load_shard *s, struct af_error *err)
{
    struct transfer_file *files = NULL;
    size_t count = 0;
    s->dir = transfer_path(&load->arena, load->scratch, s->shard->file_name);
    if (s->dir == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(transfer_files(s->dir, &load->arena, &files, &count, err));
    for (size_t i = 0; i < count; i++)
        load->counts->bytes += files[i].bytes;
    load->counts->files += count;
    return AF_OK;
}

static enum af_status unpack_files(struct load *load, struct load_shard *s, struct af_error *err)
{
    s->archive = transfer_path(&load->arena, load->options->dir, transfer_base_name(s->shard->file_name));
    s->dir = af_arena_printf(&load->arena, "%s/%" PRIu64, load->scratch, s->shard->id);
    if (s->archive == NULL || s->dir == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(transfer_sum_check(&load->backup, s->archive, &load->options->watch, err));
    AF_TRY(transfer_unpack(s->archive, s->shard->is_gzip, s->dir, &load->options->watch, err));
    load->counts->bytes_packed += s->shard->file_bytes;
    return check_files(load, s, err);
}

static enum af_status unpack_one(struct load *load, struct load_shard *s, struct af_error *err)
{
    AF_TRY(load->options->house != NULL ? take_own(load, s, err) : unpack_files(load, s, err));
    tally_init(&s->tally);
    s->has_tally = true;
    return tally_dir(&s->tally, s->dir, &load->options->watch, err);
}

enum af_status load_unpack(struct load *load, const struct af_portable_bucket *bucket, struct load_shard *out, size_t *out_count,
                           struct af_error *err)
{
    *out_count = 0;
    for (size_t i = 0; i < bucket->shard_count; i++) {
        if (bucket->shards[i].file_name == NULL || bucket->shards[i].file_name[0] == '\0')
            continue;
        struct load_shard *s = &out[(*out_count)++];
        *s = (struct load_shard){ .shard = &bucket->shards[i] };
        transfer_show(&load->options->watch, "checking", i, bucket->shard_count);
        AF_TRY(unpack_one(load, s, err));
    }
    return AF_OK;
}

void load_shards_done(struct load *load, struct load_shard *shards, size_t count)
{
    (void)load;
    for (size_t i = 0; i < count; i++) {
        if (shards[i].has_tally)
            tally_done(&shards[i].tally);
        if (shards[i].dir != NULL)
            (void)!af_dir_remove(shards[i].dir, NULL);
    }
}

/* --- calls ------------------------------------------------------------------------------------------------------------------ */

static enum af_status status_of(int http)
{
    return http == 401 ? AF_EUNAUTH : http == 403 ? AF_EDENIED : http == 404 ? AF_ENOTFOUND : http == 422 ||
        http == 409 ? AF_ECONFLICT : AF_EIO;
}

enum af_status load_call(struct load *load, const char *what, const struct af_http_request *request, struct af_http_answer *answer,
                         struct af_error *err)
{
    AF_TRY(transfer_go_on(&load->options->watch, err));
    AF_TRY(af_http_send(load->http, request, answer, err));
    if (answer->status >= 200 && answer->status < 300)
        return AF_OK;
    struct af_slice words = af_slice_trim(af_buf_slice(&answer->body));
    return af_fail(err, status_of(answer->status), "%s: %s: the server answers %d: %.*s%s", load->base, what, answer->status,
                   (int)(words.len < MORE_ERRORS ? words.len : MORE_ERRORS), words.len != 0 ? words.ptr : "",
                   answer->status == 401 && load->org_id != NULL ? " (an operator token is needed, not one of an organisation)" : "");
}

enum af_status load_get(struct load *load, const char *what, const char *path, struct af_http_answer *answer, struct af_error *err)
{
    const char *url = af_arena_printf(&load->arena, "%s%s", load->base, path);
    if (url == NULL)
        return af_fail_nomem(err, "a URL");
    const struct af_http_request request = { .method = "GET", .url = url, .headers = load->headers, .cancel = load->options->watch.cancel };
    return load_call(load, what, &request, answer, err);
}

enum af_status load_post(struct load *load, const char *what, const char *path, struct af_slice json, struct af_http_answer *answer,
                         struct af_error *err)
{
    const char *url = af_arena_printf(&load->arena, "%s%s", load->base, path);
    if (url == NULL)
        return af_fail_nomem(err, "a URL");
    const struct af_http_request request = { .method = "POST", .url = url, .headers = load->headers, .body = json,
                                             .cancel = load->options->watch.cancel };
    return load_call(load, what, &request, answer, err);
}

static void put_parameter(struct af_buf *url, const char *name, const char *value)
{
    if (value == NULL)
        return;
    af_buf_printf(url, "&%s=", name);
    af_url_append_escaped(url, af_slice_of(value));
}

enum af_status load_query(struct load *load, const char *bucket, const char *q, struct af_http_answer *answer, struct af_error *err)
{
    struct af_buf path;
    const char *database, *policy;
    AF_TRY(transfer_split_name(bucket, &load->arena, &database, &policy, err));
    af_buf_init(&path, 1 << 20);
    af_buf_append_str(&path, "/query?epoch=ns");
    put_parameter(&path, "db", database);
    put_parameter(&path, "rp", policy);
    put_parameter(&path, "u", load->options->user);
    put_parameter(&path, "p", load->options->user != NULL ? load->options->password : NULL);
    put_parameter(&path, "q", q);
    enum af_status status = af_buf_check(&path, "a query", err);
    if (status == AF_OK)
        status = load_get(load, "counting", af_buf_cstr(&path), answer, err);
    af_buf_done(&path);
    return status;
}

/* --- counting --------------------------------------------------------------------------------------------------------------- */

/* InfluxQL's times end two steps before those of 64 bits. */
int64_t load_clamp(int64_t time_ns)
{
    const int64_t least = -INT64_C(9223372036854775806), most = INT64_C(9223372036854775806);
    return time_ns < least ? least : time_ns > most ? most : time_ns;
}

static void put_quoted(struct af_buf *out, struct af_slice text)
{
    af_buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            af_buf_append_char(out, '\\');
        if (text.ptr[i] == '\n')
            af_buf_append_str(out, "\\n");
        else
            af_buf_append_char(out, text.ptr[i]);
    }
    af_buf_append_char(out, '"');
}

static const char *count_query(struct load *load, const struct load_shard *s, struct af_slice measurement)
{
    struct af_buf q, scratch;
    af_buf_init(&q, 1 << 20);
    af_buf_init(&scratch, 1 << 20);
    af_buf_append_str(&q, "SELECT count(*) FROM ");
    put_quoted(&q, af_key_unescape_measurement(measurement, &scratch));
    af_buf_printf(&q, " WHERE time >= %" PRId64 " AND time <= %" PRId64, load_clamp(s->shard->start_ns),
                  load_clamp(s->shard->end_ns == INT64_MAX ? INT64_MAX : s->shard->end_ns - 1));
    const char *text = q.failed || scratch.failed ? NULL : af_arena_copy(&load->arena, af_buf_slice(&q));
    af_buf_done(&q);
    af_buf_done(&scratch);
    return text;
}

/* The column count_FIELD of the one row; 0 where there is none. */
static uint64_t counted(const struct af_json *series, struct af_slice field)
{
    const struct af_json *columns = af_json_get(series, "columns");
    const struct af_json *rows = af_json_get(series, "values");
    const struct af_json *value = rows != NULL && rows->first != NULL ? rows->first->first : NULL;
    int64_t count = 0;
    for (const struct af_json *name = columns != NULL ? columns->first : NULL; name != NULL && value != NULL; name = name->next,
         value = value->next)
        if (af_slice_has_prefix(name->text, "count_") && af_slice_eq(af_slice_make(name->text.ptr + 6, name->text.len - 6), field) &&
            af_json_i64(value, &count))
            return count > 0 ? (uint64_t)count : 0;
    return 0;
}

static enum af_status compare_fields(struct load_shard *s, struct af_slice measurement, const struct af_json *series, bool is_new,
                                     struct af_error *err)
{
    for (uint32_t i = 0; i < s->tally.names.count; i++) {
        const struct tally_field *f = &s->tally.fields[i];
        if (!af_slice_eq(f->measurement, measurement))
            continue;
        uint64_t there = counted(series, f->field);
        if (is_new ? there != f->values : there < f->values)
            return af_fail(err, AF_ECORRUPT, "shard %" PRIu64 ": of field \"%.*s\" in \"%.*s\" %" PRIu64 " values were sent, the "
                                                                                                         "server counts %" PRIu64
                           ": it did not take the shard (its log says why)", s->shard->id,
                               (int)(f->field.len < 100 ? f->field.len : 100), f->field.ptr,
                           (int)(measurement.len < 100 ? measurement.len : 100), measurement.ptr, f->values, there);
    }
    return AF_OK;
}

static enum af_status compare_measurement(struct load *load, const char *bucket, struct load_shard *s, struct af_slice measurement,
                                          bool is_new,
                                          struct af_error *err)
{
    struct af_http_answer answer;
    struct af_json *json;
    const char *q = count_query(load, s, measurement);
    if (q == NULL)
        return af_fail_nomem(err, "a query");
    af_http_answer_init(&answer);
    enum af_status status = load_query(load, bucket, q, &answer, err);
    if (status == AF_OK)
        status = af_json_parse(af_buf_slice(&answer.body), &load->arena, &json, err);
    if (status == AF_OK) {
        const struct af_json *results = af_json_get(json, "results");
        const struct af_json *result = results != NULL ? results->first : NULL;
        const struct af_json *series = result != NULL ? af_json_get(result, "series") : NULL;
        struct af_slice error = result != NULL ? af_json_string(result, "error") : (struct af_slice){ NULL, 0 };
        status = error.len != 0 ? af_fail(err, AF_EIO, "counting: %.*s", (int)(error.len < 300 ? error.len : 300), error.ptr)
                                : compare_fields(s, measurement, series != NULL ? series->first : NULL, is_new, err);
    }
    af_http_answer_done(&answer);
    return status;
}

/* Each measurement at its first field. */
static bool is_first(const struct tally *tally, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (af_slice_eq(tally->fields[k].measurement, tally->fields[i].measurement))
            return false;
    return true;
}

enum af_status load_compare(struct load *load, const struct af_portable_bucket *bucket, struct load_shard *s, bool is_new,
                            struct af_error *err)
{
    int64_t start_ns = af_clock_mono_ns();
    int64_t end_ns = start_ns + (int64_t)OPEN_MS * 1000000;
    for (uint32_t i = 0; i < s->tally.names.count; i++) {
        if (!is_first(&s->tally, i))
            continue;
        for (;;) {
            struct af_error why = { 0 };
            enum af_status status = compare_measurement(load, load_name(load, bucket), s, s->tally.fields[i].measurement, is_new, &why);
            if (status == AF_OK)
                break;
            bool may_come = (status == AF_ECORRUPT || status == AF_EIO) && af_clock_mono_ns() < end_ns;
            if (!may_come && err != NULL)
                *err = why;
            if (!may_come)
                return status;
            AF_TRY(transfer_go_on(&load->options->watch, err));
            af_clock_sleep_ms(PAUSE_MS);
        }
    }
    load->counts->values += s->tally.values;
    load->counts->counting_ns += af_clock_mono_ns() - start_ns;
    return AF_OK;
}

/* --- all -------------------------------------------------------------------------------------------------------------------- */

static enum af_status find_version(struct load *load, int *out, struct af_error *err)
{
    struct af_http_answer answer;
    *out = load->options->version;
    if (*out != 0)
        return AF_OK;
    af_http_answer_init(&answer);
    enum af_status status = load_get(load, "asking its version", "/ping", &answer, err);
    const char *version = answer.influx_version[0] == 'v' ? answer.influx_version + 1 : answer.influx_version;
    *out = version[0] == '1' ? 1 : 2;
    af_http_answer_done(&answer);
    return status;
}

enum af_status load_open(struct load *load, struct af_error *err)
{
    const struct af_bulkload_options *o = load->options;
    size_t len = strlen(o->url);
    while (len > 0 && o->url[len - 1] == '/')
        len--;
    load->base = af_arena_copy(&load->arena, af_slice_make(o->url, len));
    const char **headers = af_arena_zero(&load->arena, 3, sizeof *headers);
    load->scratch = o->house != NULL ? transfer_path(&load->arena, o->house->dir, "bulkload.tmp") /* there files can be linked */
                                     : af_arena_printf(&load->arena, "%s/afluxo-bulkload-%" PRId64,
                                                       o->scratch_dir != NULL ? o->scratch_dir : "/tmp", af_clock_mono_ns());
    if (load->base == NULL || headers == NULL || load->scratch == NULL)
        return af_fail_nomem(err, "a bulk load");
    headers[0] = "Content-Type: application/json";
    if (o->token != NULL && (headers[1] = af_arena_printf(&load->arena, "Authorization: Token %s", o->token)) == NULL)
        return af_fail_nomem(err, "a bulk load");
    load->headers = headers;
    struct af_http_options http = o->http;
    if (http.stall_timeout_ms < SHARD_STALL_MS) /* a server says nothing while it takes a shard in */
        http.stall_timeout_ms = SHARD_STALL_MS;
    af_http_init();
    return af_http_new(&http, &load->http, err);
}

/* --- a house as a source ------------------------------------------------------------------------------------------------------ */

static enum af_status add_own(struct load *load, const struct af_meta_bucket *from, struct af_portable_bucket *out, struct af_error *err)
{
    struct af_tsm_shard_info *shards = NULL;
    size_t count = 0;
    const char *dir = af_arena_printf(&load->arena, "%s/%016" PRIx64, load->scratch, from->id);
    *out = (struct af_portable_bucket){ .database = from->name, .policy = "autogen", .id = from->id, .description = from->description,
                                        .retention_ns = from->retention_ns, .shard_ns = from->shard_ns };
    if (dir == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(af_tsm_snapshot(load->options->house->engine, from->id, dir, err));
    AF_TRY(af_tsm_shards(load->options->house->engine, from->id, &load->arena, &shards, &count, err));
    out->shards = af_arena_zero(&load->arena, count + 1, sizeof *out->shards);
    for (size_t i = 0; i < count && out->shards != NULL; i++) {
        const char *name = af_arena_printf(&load->arena, "%016" PRIx64 "/%" PRIu64, from->id, shards[i].id);
        const char *path = name != NULL ? transfer_path(&load->arena, load->scratch, name) : NULL;
        if (path == NULL)
            return af_fail_nomem(err, "a path");
        if (af_path_kind(path) == AF_PATH_DIR)
            out->shards[out->shard_count++] =
                (struct af_portable_shard){ .id = shards[i].id, .start_ns = shards[i].start_ns, .end_ns = shards[i].end_ns,
                                            .file_name = name, .file_bytes = shards[i].bytes };
    }
    return out->shards != NULL ? AF_OK : af_fail_nomem(err, "a list of shards");
}

static enum af_status read_house(struct load *load, struct af_error *err)
{
    struct af_meta_bucket *buckets = NULL;
    size_t count = 0;
    const struct af_meta_filter filter = { .name = load->options->bucket };
    AF_TRY(af_dir_remove(load->scratch, err));
    AF_TRY(af_dir_make(load->scratch, err));
    AF_TRY(af_meta_buckets(load->options->house->meta, &filter, &load->arena, &buckets, &count, err));
    struct af_portable *content = &load->backup.content;
    content->buckets = af_arena_zero(&load->arena, count + 1, sizeof *content->buckets);
    if (content->buckets == NULL)
        return af_fail_nomem(err, "a list of buckets");
    for (size_t i = 0; i < count; i++)
        if (!buckets[i].is_system)
            AF_TRY(add_own(load, &buckets[i], &content->buckets[content->bucket_count++], err));
    return AF_OK;
}

static enum af_status count_wanted(struct load *load, struct af_error *err)
{
    size_t wanted = 0;
    for (size_t i = 0; i < load->backup.content.bucket_count; i++) {
        const struct af_portable_bucket *bucket = &load->backup.content.buckets[i];
        wanted += load_is_wanted(load, bucket);
        for (size_t k = 0; load_is_wanted(load, bucket) && k < bucket->shard_count; k++)
            load->bytes_all += bucket->shards[k].file_bytes;
    }
    if (wanted == 0)
        return af_fail(err, AF_ENOTFOUND, "%s: there is no bucket%s%s in it to be loaded",
                       load->options->house != NULL ? load->options->house->dir : load->options->dir,
                       load->options->bucket != NULL ? " " : "",
                       load->options->bucket != NULL ? load->options->bucket : "");
    return AF_OK;
}

static enum af_status run(struct load *load, struct af_error *err)
{
    int version;
    const struct af_bulkload_options *o = load->options;
    if (o->new_bucket != NULL && o->bucket == NULL)
        return af_fail(err, AF_EINVAL, "which bucket shall be called \"%s\"? Name the one in the backup, too", o->new_bucket);
    AF_TRY(load_open(load, err));
    enum af_status status =
        o->house != NULL ? read_house(load, err) : transfer_manifest_read(o->dir, &load->arena, &load->backup, err);
    if (status == AF_OK)
        status = count_wanted(load, err);
    if (status == AF_OK)
        status = find_version(load, &version, err);
    if (status == AF_OK)
        status = version == 1 ? load_v1(load, err) : load_v2(load, err);
    (void)!af_dir_remove(load->scratch, NULL);
    return status;
}

enum af_status af_bulkload(const struct af_bulkload_options *options, struct af_transfer_counts *out, struct af_error *err)
{
    struct load load = { .options = options, .counts = out };
    *out = (struct af_transfer_counts){ 0 };
    af_arena_init(&load.arena, SIZE_MAX / 2);
    enum af_status status = run(&load, err);
    if (load.http != NULL)
        af_http_free(load.http);
    af_arena_done(&load.arena);
    return status;
}
