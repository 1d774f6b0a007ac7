/*
 * target.c - what may be done at a server: token, organisation, bucket, reading, writing, how many series.
 *
 *                   2.x                                         1.x
 *     token         GET /api/v2/buckets, /api/v2/config         SHOW DATABASES
 *     organisation  GET /api/v2/orgs
 *     bucket        GET /api/v2/buckets?name=                   SHOW RETENTION POLICIES
 *     reading       Flux over the last hour, else InfluxQL      SHOW MEASUREMENTS LIMIT 1
 *     writing       a write without points: the server looks at the right first, and has nothing to keep
 *     series        SHOW SERIES CARDINALITY, else Flux          SHOW SERIES CARDINALITY
 *     write test    one point of afluxo_doctor: written, read, deleted
 */
#include "base/calendar.h"
#include "base/numbers.h"
#include "doctor/doctor_int.h"
#include "os/clock.h"
#include <inttypes.h>
#include <stdio.h>

enum { WORDS = 400, NAME_BYTES = 256, NS_PER_MS = 1000000 };
static const struct af_slice nothing = { NULL, 0 };

/* --- asking ------------------------------------------------------------------------------------------------------------------ */

/* What the server says about its refusal: {"message"} of 2.x, {"error"} of 1.x, a header, or the status alone. */
static void words_of(struct doctor *d, char out[WORDS])
{
    const struct af_http_answer *answer = &d->server.answer;
    struct af_json *json = NULL;
    const char *text = "";
    if (af_json_parse(af_buf_slice(&answer->body), &d->arena, &json, NULL) == AF_OK) {
        text = doctor_text(d, json, "message");
        if (text[0] == '\0')
            text = doctor_text(d, json, "error");
    }
    if (text[0] == '\0')
        text = answer->influx_error;
    (void)snprintf(out, WORDS, "status %d%s%.300s", answer->status, text[0] != '\0' ? ": " : "", text);
}

static enum af_status judge(struct doctor *d, struct af_error *err)
{
    const int status = d->server.answer.status;
    char words[WORDS];
    if (status >= 200 && status < 300)
        return AF_OK;
    words_of(d, words);
    const enum af_status kind = status == 401   ? AF_EUNAUTH
                                : status == 403 ? AF_EDENIED
                                : status == 404 ? AF_ENOTFOUND
                                : status == 501 ? AF_EUNSUPPORTED
                                : status >= 500 ? AF_EIO
                                                : AF_EINVAL;
    return af_fail(err, kind, "%s", words);
}

/* A GET whose answer is JSON. */
static enum af_status get_json(struct doctor *d, const char *text, const struct af_json **out, struct af_error *err)
{
    struct af_json *json = NULL;
    AF_TRY(doctor_ask(d, "GET", text, nothing, err));
    AF_TRY(judge(d, err));
    if (af_json_parse(af_buf_slice(&d->server.answer.body), &d->arena, &json, NULL) != AF_OK)
        return af_fail(err, AF_ECORRUPT, "the answer is no JSON");
    *out = json;
    return AF_OK;
}

static void put_param(struct af_buf *out, const char *name, struct af_slice value)
{
    af_buf_append_str(out, name);
    af_url_append_escaped(out, value);
}

/* "database/policy" */
static struct af_slice database(const struct doctor *d)
{
    const struct af_slice name = af_slice_of(d->options->bucket != NULL ? d->options->bucket : "");
    const char *slash = d->server.kind == DOCTOR_INFLUX_1 && name.len != 0 ? memchr(name.ptr, '/', name.len) : NULL;
    return slash != NULL ? (struct af_slice){ name.ptr, (size_t)(slash - name.ptr) } : name;
}

static struct af_slice policy(const struct doctor *d)
{
    const struct af_slice name = af_slice_of(d->options->bucket != NULL ? d->options->bucket : ""), db = database(d);
    return db.len < name.len ? (struct af_slice){ name.ptr + db.len + 1, name.len - db.len - 1 } : (struct af_slice){ NULL, 0 };
}

/* *out: the first result's first series, NULL if it has none. */
static enum af_status influxql(struct doctor *d, const char *query, const struct af_json **out, struct af_error *err)
{
    struct af_buf *text = &d->server.text;
    const struct af_json *json, *results, *series;
    const bool is_change = query[0] != 'S';
    af_buf_clear(text);
    put_param(text, "/query?q=", af_slice_of(query));
    if (database(d).len != 0)
        put_param(text, "&db=", database(d));
    if (policy(d).len != 0)
        put_param(text, "&rp=", policy(d));
    if (d->options->org != NULL && d->server.kind == DOCTOR_INFLUX_2)
        put_param(text, "&org=", af_slice_of(d->options->org));
    AF_TRY(af_buf_check(text, "a query", err));
    if (!is_change) {
        AF_TRY(get_json(d, af_buf_cstr(text), &json, err));
    } else {
        struct af_json *parsed = NULL;
        AF_TRY(doctor_ask(d, "POST", af_buf_cstr(text), nothing, err));
        AF_TRY(judge(d, err));
        if (af_json_parse(af_buf_slice(&d->server.answer.body), &d->arena, &parsed, NULL) != AF_OK)
            return af_fail(err, AF_ECORRUPT, "the answer is no JSON");
        json = parsed;
    }
    results = af_json_get(json, "results");
    const struct af_json *result = results != NULL ? results->first : NULL;
    struct af_slice error = af_json_string(json, "error");
    if (error.len == 0)
        error = af_json_string(result, "error");
    if (error.len != 0)
        return af_fail(err, AF_EINVAL, "%.*s", (int)(error.len < 300 ? error.len : 300), error.ptr);
    series = af_json_get(result, "series");
    *out = series != NULL ? series->first : NULL;
    return AF_OK;
}

static enum af_status flux(struct doctor *d, const char *script, struct af_error *err)
{
    struct af_buf body;
    char text[NAME_BYTES * 4] = "/api/v2/query";
    if (d->options->org != NULL) {
        af_buf_clear(&d->server.text);
        put_param(&d->server.text, "/api/v2/query?org=", af_slice_of(d->options->org));
        (void)snprintf(text, sizeof text, "%s", af_buf_cstr(&d->server.text));
    }
    af_buf_init(&body, 1 << 20);
    af_buf_append_str(&body, "{\"type\":\"flux\",\"query\":");
    af_json_append_string(&body, af_slice_of(script));
    af_buf_append_char(&body, '}');
    enum af_status status = af_buf_check(&body, "a query", err);
    if (status == AF_OK)
        status = doctor_ask(d, "POST", text, af_buf_slice(&body), err);
    if (status == AF_OK)
        status = judge(d, err);
    af_buf_done(&body);
    return status;
}

/* from(bucket: "...") of the bucket, in the arena. */
static const char *script(struct doctor *d, const char *before, const char *after)
{
    struct af_buf out;
    af_buf_init(&out, 64 << 10);
    af_buf_append_str(&out, before);
    af_json_append_string(&out, database(d));
    af_buf_append_str(&out, after);
    const char *copy = af_arena_copy(&d->arena, af_buf_slice(&out));
    af_buf_done(&out);
    return copy != NULL ? copy : "";
}

/* --- the token ----------------------------------------------------------------------------------------------------------------- */

static bool has_credentials(const struct doctor *d)
{
    return d->server.token != NULL || d->options->user != NULL;
}

static void refused(struct doctor *d, struct af_doctor_finding *f, const struct af_error *err)
{
    if (err->status != AF_EUNAUTH && err->status != AF_EDENIED) {
        doctor_fail(f, "%s", err->message);
    } else if (!has_credentials(d)) {
        doctor_fail(f, "the server wants to know who asks, and no token was given (%s)", err->message);
        doctor_advise(f, "%s", d->server.kind == DOCTOR_INFLUX_1 ? "--user NAME and --password-file FILE (INFLUX_USERNAME, INFLUX_PASSWORD)"
                                                                 : "--token-file FILE, or INFLUX_TOKEN");
    } else {
        doctor_fail(f, "the server does not know %s (%s)", d->server.token != NULL ? "the token" : "the user or the password",
                    err->message);
        doctor_advise(f, "check for spaces and line ends, and that it is this server's; make a new one where it was deleted");
    }
}

static void accepted(struct doctor *d, struct af_doctor_finding *f)
{
    if (has_credentials(d)) {
        doctor_ok(f, "accepted");
    } else {
        doctor_say(f, d->server.is_local ? AF_DOCTOR_OK : AF_DOCTOR_WARNING, "none was given, and the server asks for none");
        if (!d->server.is_local)
            doctor_advise(f, "whoever reaches that port may do everything: turn authentication on");
    }
}

static void check_token(struct doctor *d, struct af_doctor_finding *f)
{
    const struct af_json *json;
    struct af_error err = { 0 };
    enum af_status status;
    if (d->server.kind == DOCTOR_INFLUX_1) {
        const struct af_json *series;
        status = influxql(d, "SHOW DATABASES", &series, &err);
    } else {
        status = get_json(d, "/api/v2/buckets?limit=1", &json, &err);
    }
    if (status != AF_OK) {
        refused(d, f, &err);
        return;
    }
    accepted(d, f);
    if (d->server.kind == DOCTOR_INFLUX_1 || !has_credentials(d) || get_json(d, "/api/v2/config", &json, &err) != AF_OK)
        return;
    if (d->is_served && d->options->token == NULL) {
        doctor_ok(f, "accepted: the operator's, from the directory");
        return;
    }
    doctor_warn(f, "accepted, and an operator's: it may do everything, in every organisation");
    doctor_advise(f, "make one that may do what is needed: afluxo token create --to URL --read-bucket B --write-bucket B");
}

/* --- organisation, bucket ------------------------------------------------------------------------------------------------------ */

static bool is_two(const struct doctor *d)
{
    return doctor_has_server(d) && d->server.kind == DOCTOR_INFLUX_2;
}

static void check_org(struct doctor *d, struct af_doctor_finding *f)
{
    const struct af_json *json = NULL, *orgs;
    struct af_error err = { 0 };
    struct af_buf *text = &d->server.text;
    const char *name = d->options->org;
    af_buf_clear(text);
    af_buf_append_str(text, "/api/v2/orgs");
    if (name != NULL)
        put_param(text, "?org=", af_slice_of(name));
    const enum af_status status = get_json(d, af_buf_cstr(text), &json, &err);
    orgs = status == AF_OK ? af_json_get(json, "orgs") : NULL;
    if (status != AF_OK && status != AF_ENOTFOUND) {
        doctor_skip(f, "the token may not list organisations (%s)", err.message);
    } else if (name != NULL && (orgs == NULL || orgs->first == NULL)) {
        doctor_fail(f, "there is no organisation \"%.200s\" that the token may see", name);
        doctor_advise(f, "check --org (or INFLUX_ORG); a token belongs to one organisation");
    } else if (orgs == NULL || orgs->first == NULL) {
        doctor_skip(f, "no --org was given, and the token sees none");
    } else if (name == NULL && orgs->first->next != NULL) {
        doctor_warn(f, "no --org was given, and there are several: \"%.200s\" and others", doctor_text(d, orgs->first, "name"));
        doctor_advise(f, "say --org NAME, or set INFLUX_ORG");
    } else {
        doctor_ok(f, "\"%.200s\"", doctor_text(d, orgs->first, "name"));
    }
}

static enum af_status find_bucket_two(struct doctor *d, const struct af_json **out, struct af_error *err)
{
    const struct af_json *json, *buckets;
    struct af_buf *text = &d->server.text;
    af_buf_clear(text);
    put_param(text, "/api/v2/buckets?name=", af_slice_of(d->options->bucket));
    if (d->options->org != NULL)
        put_param(text, "&org=", af_slice_of(d->options->org));
    AF_TRY(get_json(d, af_buf_cstr(text), &json, err));
    buckets = af_json_get(json, "buckets");
    *out = buckets != NULL ? buckets->first : NULL;
    return *out != NULL ? AF_OK : af_fail(err, AF_ENOTFOUND, "it is not in the list");
}

static int64_t retention_two(const struct af_json *bucket)
{
    const struct af_json *rules = af_json_get(bucket, "retentionRules");
    int64_t seconds = 0;
    for (const struct af_json *rule = rules != NULL ? rules->first : NULL; rule != NULL; rule = rule->next)
        if (af_json_i64(af_json_get(rule, "everySeconds"), &seconds))
            return seconds;
    return 0;
}

/* "8760h0m0s" */
static int64_t go_seconds(struct af_slice text)
{
    int64_t total = 0;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        if (c >= '0' && c <= '9' && value < 1000000000)
            value = value * 10 + (uint64_t)(c - '0');
        else if (c == 'h' || c == 'm' || c == 's') {
            total += (int64_t)value * (c == 'h' ? 3600 : c == 'm' ? 60 : 1);
            value = 0;
        } else {
            return DOCTOR_RETENTION_UNKNOWN;
        }
    }
    return total;
}

/* The cell of a row, by the column's name. */
static const struct af_json *cell(const struct af_json *series, const struct af_json *row, const char *column)
{
    const struct af_json *columns = af_json_get(series, "columns"), *value = row != NULL ? row->first : NULL;
    for (const struct af_json *c = columns != NULL ? columns->first : NULL; c != NULL && value != NULL; c = c->next, value = value->next)
        if (af_slice_is(c->text, column))
            return value;
    return NULL;
}

static struct af_slice cell_text(const struct af_json *series, const struct af_json *row, const char *column)
{
    const struct af_json *found = cell(series, row, column);
    return found != NULL ? found->text : (struct af_slice){ NULL, 0 };
}

/* The policy that points go to, of the database. */
static enum af_status find_bucket_one(struct doctor *d, struct af_error *err)
{
    const struct af_json *series = NULL, *rows;
    char query[NAME_BYTES * 3];
    const struct af_slice db = database(d), wanted = policy(d);
    if (memchr(db.ptr, '"', db.len) != NULL || db.len > NAME_BYTES)
        return af_fail(err, AF_EINVAL, "a database's name has no quotes and at most %d bytes", NAME_BYTES);
    (void)snprintf(query, sizeof query, "SHOW RETENTION POLICIES ON \"%.*s\"", AF_SLICE_ARG(db));
    AF_TRY(influxql(d, query, &series, err));
    rows = af_json_get(series, "values");
    for (const struct af_json *row = rows != NULL ? rows->first : NULL; row != NULL; row = row->next) {
        const struct af_json *is_default = cell(series, row, "default");
        if (wanted.len != 0 ? !af_slice_eq(cell_text(series, row, "name"), wanted) : is_default == NULL || !is_default->is_true)
            continue;
        d->server.retention_s = go_seconds(cell_text(series, row, "duration"));
        return AF_OK;
    }
    const struct af_slice missing = wanted.len != 0 ? wanted : AF_SLICE_LIT("default");
    return af_fail(err, AF_ENOTFOUND, "it has no retention policy \"%.*s\"", AF_SLICE_ARG(missing));
}

/* Without points nothing is kept: 204 of 1.x, 400 ("requires points") of 2.x say that they would have been. */
static enum af_status write_nothing(struct doctor *d, struct af_error *err)
{
    struct af_buf *text = &d->server.text;
    af_buf_clear(text);
    if (d->server.kind == DOCTOR_INFLUX_1) {
        put_param(text, "/write?db=", database(d));
        if (policy(d).len != 0)
            put_param(text, "&rp=", policy(d));
    } else {
        put_param(text, "/api/v2/write?bucket=", database(d));
        if (d->options->org != NULL)
            put_param(text, "&org=", af_slice_of(d->options->org));
    }
    AF_TRY(af_buf_check(text, "a URL", err));
    AF_TRY(doctor_ask(d, "POST", af_buf_cstr(text), nothing, err));
    char words[WORDS];
    words_of(d, words);
    return d->server.answer.status == 400 && strstr(words, "points") != NULL ? AF_OK : judge(d, err);
}

/* A token that may write only does not see the bucket. */
static bool may_be_written(struct doctor *d)
{
    return d->server.kind == DOCTOR_INFLUX_2 && write_nothing(d, NULL) == AF_OK;
}

static void check_bucket(struct doctor *d, struct af_doctor_finding *f)
{
    const struct af_json *bucket = NULL;
    struct af_error err = { 0 };
    const char *name = d->options->bucket;
    if (name == NULL) {
        doctor_skip(f, "none was given: say --bucket NAME, or set INFLUX_BUCKET_NAME");
        return;
    }
    const bool is_one = d->server.kind == DOCTOR_INFLUX_1;
    const enum af_status status = is_one ? find_bucket_one(d, &err) : find_bucket_two(d, &bucket, &err);
    if (status == AF_OK) {
        d->server.retention_s = is_one ? d->server.retention_s : retention_two(bucket);
        doctor_ok(f, "\"%.200s\" is there", name);
    } else if (status == AF_ENOTFOUND && may_be_written(d)) {
        d->server.retention_s = DOCTOR_RETENTION_UNKNOWN;
        doctor_ok(f, "\"%.200s\" takes points from the token, which may not see it", name);
    } else if (status == AF_ENOTFOUND || status == AF_EINVAL) {
        doctor_fail(f, "there is no %s \"%.200s\" that we may see (%.200s)", is_one ? "database" : "bucket", name, err.message);
        doctor_advise(f, "check the name; migrate and write make it with --create, or: afluxo bucket create NAME --to URL");
    } else {
        doctor_fail(f, "%s", err.message);
    }
}

static void check_retention(struct doctor *d, struct af_doctor_finding *f)
{
    const int64_t kept_s = d->server.retention_s;
    char span[32];
    if (kept_s == 0) {
        doctor_ok(f, "points are kept for ever");
    } else if (kept_s < 0) {
        doctor_skip(f, "the server does not say, or not so that it was understood");
    } else {
        doctor_warn(f, "points older than %s are dropped, also those that are loaded now", doctor_span(span, kept_s));
        doctor_advise(f, "history needs a bucket that keeps it: afluxo bucket create NAME --to URL (for ever unless --retention is given)");
    }
}

/* --- reading, writing ---------------------------------------------------------------------------------------------------------- */

static enum af_status read_some(struct doctor *d, const char **out_how, struct af_error *err)
{
    const struct af_json *series;
    struct af_error why = { 0 };
    if (d->server.kind == DOCTOR_INFLUX_2) {
        const enum af_status status = flux(d, script(d, "from(bucket: ", ") |> range(start: -1h) |> limit(n: 1)"), &why);
        *out_how = "Flux over the last hour";
        if (status != AF_EUNSUPPORTED && !(status == AF_EDENIED && strstr(why.message, "isabled") != NULL)) {
            if (err != NULL)
                *err = why;
            return status;
        }
    }
    *out_how = "SHOW MEASUREMENTS LIMIT 1";
    return influxql(d, "SHOW MEASUREMENTS LIMIT 1", &series, err);
}

static void check_reading(struct doctor *d, struct af_doctor_finding *f)
{
    const char *how = "";
    struct af_error err = { 0 };
    const int64_t begun_ns = af_clock_mono_ns();
    const enum af_status status = read_some(d, &how, &err);
    const uint64_t ms = (uint64_t)((af_clock_mono_ns() - begun_ns) / NS_PER_MS);
    const bool is_refused = status == AF_EUNAUTH || status == AF_EDENIED || status == AF_ENOTFOUND;
    if (status != AF_OK) {
        doctor_say(f, is_refused && d->options->only_writes ? AF_DOCTOR_WARNING : AF_DOCTOR_FAILED, "%s%s",
                   is_refused ? "not allowed: " : "", err.message);
        doctor_advise(f, "%s", is_refused ? "migrate and write can do without, verify and query cannot: --read-bucket of token create"
                                          : "see the server's log: is it busy, is its memory or queue of queries full?");
        return;
    }
    doctor_say(f, doctor_judge_query(ms), "allowed: %s took %" PRIu64 " ms", how, ms);
    if (f->state != AF_DOCTOR_OK)
        doctor_advise(f, "docs/runbooks/query-slow.md");
}

static void check_writing(struct doctor *d, struct af_doctor_finding *f)
{
    struct af_error err = { 0 };
    const enum af_status status = write_nothing(d, &err);
    if (status == AF_OK) {
        doctor_ok(f, "allowed (a write of nothing is taken; --write-test writes a point)");
    } else if (status == AF_EUNAUTH || status == AF_EDENIED || status == AF_ENOTFOUND) {
        doctor_say(f, d->options->only_reads ? AF_DOCTOR_WARNING : AF_DOCTOR_FAILED, "not allowed: %s", err.message);
        doctor_advise(f, "if it shall write, give the token that right (--write-bucket of token create), or the user (GRANT WRITE)");
    } else {
        doctor_fail(f, "%s", err.message);
        doctor_advise(f, "see the server's log, and its disk");
    }
}

/* --- series -------------------------------------------------------------------------------------------------------------------- */

/* The last cell of the last line that has any: `_value` of annotated CSV. */
static bool last_number(struct af_slice csv, uint64_t *out)
{
    csv = af_slice_trim(csv);
    size_t at = csv.len;
    while (at > 0 && csv.ptr[at - 1] != ',' && csv.ptr[at - 1] != '\n')
        at--;
    return csv.len != at && af_u64_parse((struct af_slice){ csv.ptr + at, csv.len - at }, out);
}

static enum af_status count_series(struct doctor *d, uint64_t *out, struct af_error *err)
{
    const struct af_json *series = NULL;
    int64_t count = 0;
    const enum af_status status = influxql(d, "SHOW SERIES CARDINALITY", &series, err);
    const struct af_json *rows = status == AF_OK ? af_json_get(series, "values") : NULL;
    const struct af_json *row = rows != NULL ? rows->first : NULL;
    if (row != NULL && row->first != NULL && af_json_i64(row->first, &count) && count >= 0) {
        *out = (uint64_t)count;
        return AF_OK;
    }
    if (d->server.kind == DOCTOR_INFLUX_1) {
        *out = 0;
        return status;
    }
    AF_TRY(flux(d, script(d, "import \"influxdata/influxdb\"\ninfluxdb.cardinality(bucket: ", ", start: 1970-01-01T00:00:00Z)"), err));
    *out = 0; /* an empty bucket has no line */
    (void)last_number(af_buf_slice(&d->server.answer.body), out);
    return AF_OK;
}

static void check_series(struct doctor *d, struct af_doctor_finding *f)
{
    uint64_t count = 0;
    struct af_error err = { 0 };
    if (count_series(d, &count, &err) != AF_OK) {
        doctor_skip(f, "the server does not tell (%.300s)", err.message);
        return;
    }
    doctor_say(f, doctor_judge_series(count, d->server.kind), "%" PRIu64, count);
    if (f->state != AF_DOCTOR_OK)
        doctor_advise(f, "%s", d->server.kind == DOCTOR_INFLUX_1
                                   ? "1.x refuses more than max-series-per-database (1,000,000 unless set): docs/runbooks/series-many.md"
                                   : "InfluxDB 2 holds about 10 million: docs/runbooks/series-many.md");
}

/* --- one point, there and gone ------------------------------------------------------------------------------------------------- */

static bool wants_write(const struct doctor *d)
{
    return doctor_has_server(d) && d->options->write_test;
}

static enum af_status put_point(struct doctor *d, const char *run, int64_t time_ns, struct af_error *err)
{
    char line[NAME_BYTES];
    const int n = snprintf(line, sizeof line, "afluxo_doctor,run=%s value=1i %" PRId64 "\n", run, time_ns);
    AF_TRY(write_nothing(d, err)); /* its URL is in server.text */
    AF_TRY(doctor_ask(d, "POST", af_buf_cstr(&d->server.text), af_slice_make(line, (size_t)n), err));
    return judge(d, err);
}

static enum af_status drop_point(struct doctor *d, const char *run, int64_t time_ns, struct af_error *err)
{
    char text[NAME_BYTES * 2], from[48], to[48];
    const struct af_json *series;
    struct af_buf body;
    if (d->server.kind == DOCTOR_INFLUX_1) {
        (void)snprintf(text, sizeof text, "DROP SERIES FROM \"afluxo_doctor\" WHERE \"run\" = '%s'", run);
        return influxql(d, text, &series, err);
    }
    *af_rfc3339_print(from, time_ns - AF_NS_PER_S, 9) = '\0';
    *af_rfc3339_print(to, time_ns + AF_NS_PER_S, 9) = '\0';
    af_buf_clear(&d->server.text);
    put_param(&d->server.text, "/api/v2/delete?bucket=", database(d));
    if (d->options->org != NULL)
        put_param(&d->server.text, "&org=", af_slice_of(d->options->org));
    af_buf_init(&body, 4096);
    af_buf_printf(&body, "{\"start\":\"%s\",\"stop\":\"%s\",", from, to);
    af_buf_printf(&body, "\"predicate\":\"_measurement=\\\"afluxo_doctor\\\" AND run=\\\"%s\\\"\"}", run);
    enum af_status status = doctor_ask(d, "POST", af_buf_cstr(&d->server.text), af_buf_slice(&body), err);
    if (status == AF_OK)
        status = judge(d, err);
    af_buf_done(&body);
    return status;
}

static void check_write_test(struct doctor *d, struct af_doctor_finding *f)
{
    struct af_error err = { 0 };
    uint64_t random;
    char run[24];
    const int64_t time_ns = af_clock_now_ns();
    af_random_bytes(&random, sizeof random);
    (void)snprintf(run, sizeof run, "%016" PRIx64, random);
    if (put_point(d, run, time_ns, &err) != AF_OK) {
        doctor_fail(f, "a point was not taken: %s", err.message);
        return;
    }
    if (drop_point(d, run, time_ns, &err) == AF_OK) {
        doctor_ok(f, "a point of afluxo_doctor was written and deleted");
        return;
    }
    doctor_warn(f, "a point was written, and not deleted (%.300s)", err.message);
    doctor_advise(f, "delete it: measurement afluxo_doctor, tag run = %s", run);
}

#define GROUP "server"
const struct doctor_row doctor_target[] = {
    { GROUP, "token", "InfluxDB", doctor_has_server, check_token },
    { GROUP, "organisation", "token", is_two, check_org },
    { GROUP, "bucket", "token", doctor_has_server, check_bucket },
    { GROUP, "retention", "bucket", doctor_has_server, check_retention },
    { GROUP, "reading", "bucket", doctor_has_server, check_reading },
    { GROUP, "writing", "bucket", doctor_has_server, check_writing },
    { GROUP, "series", "reading", doctor_has_server, check_series },
    { GROUP, "write test", "writing", wants_write, check_write_test },
    { NULL, NULL, NULL, NULL, NULL },
};
