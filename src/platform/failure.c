/*
 * failure.c - what went wrong, in the platform's shape:
 *
 *     {"error":{"code","message","details":{"influxdb_error","query_line","query_position","suggested_fix"},"timestamp","query_id"},
 *      "status_code"}
 *
 * Two readers: who asked learns what the database says of the query; names of machines, and what the target thinks of our own credentials,
 * are for the log only.
 */
#include "base/calendar.h"
#include "base/numbers.h"
#include "os/clock.h"
#include "platform/platform_int.h"
#include <stdarg.h>
#include <stdio.h>

void platform_failure_set(struct platform_failure *failure, int http_status, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    failure->http_status = http_status;
    failure->code = code;
    (void)vsnprintf(failure->words, sizeof failure->words, fmt, args);
    va_end(args);
}

/* --- what the database says ------------------------------------------------------------------------------------------------ */

struct meaning {
    const char *part;               /* of its words */
    enum af_status status;
    int http_status;
    const char *code, *message, *fix;
};
static const struct meaning meanings[] = {
    { "query-timeout limit exceeded", AF_ECANCELED, 504, "INFLUXDB_QUERY_TIMEOUT", "the query took longer than it may",
      "ask for a shorter time range, or for fewer series" },
    { "error parsing query", AF_EINVAL, 400, "INFLUXDB_SYNTAX_ERROR", "the query cannot be read", NULL },
    { "compilation failed", AF_EINVAL, 400, "INFLUXDB_SYNTAX_ERROR", "the query cannot be read", NULL },
    { "error @", AF_EINVAL, 400, "INFLUXDB_SYNTAX_ERROR", "the query cannot be read", NULL },
    { "not authorized", AF_EDENIED, 403, "INFLUXDB_PERMISSION_ERROR", "there is no right to read this", NULL },
    { "error authorizing query", AF_EDENIED, 403, "INFLUXDB_PERMISSION_ERROR", "there is no right to read this", NULL },
    { "database not found", AF_ENOTFOUND, 404, "DATA_NOT_FOUND", "there is no such database",
      "SHOW DATABASES says which there are" },
    { "retention policy not found", AF_ENOTFOUND, 404, "DATA_NOT_FOUND", "there is no such retention policy",
      "SHOW RETENTION POLICIES says which there are" },
    { "no dbrp mapping found", AF_ENOTFOUND, 404, "DATA_NOT_FOUND", "there is no such database", NULL },
    { "could not find bucket", AF_ENOTFOUND, 404, "DATA_NOT_FOUND", "there is no such bucket", "buckets() says which there are" },
    { "no memory for ", AF_ENOMEM, 503, "INTERNAL_ERROR", "there is no memory for the query", NULL },
    { "database name required", AF_EINVAL, 400, "INFLUXDB_QUERY_ERROR", "the query names no database, and neither does the request",
      "say \"database\"" },
};

/* "... at line 2, char 7" and "error @2:7-2:9: ...". */
static void find_place(struct platform_failure *failure, const char *words)
{
    unsigned line, column;
    const char *influxql = strstr(words, "at line "), *flux = strstr(words, "@");
    bool is_found = (influxql != NULL && sscanf(influxql, "at line %9u, char %9u", &line, &column) == 2) ||
                    (flux != NULL && sscanf(flux, "@%9u:%9u", &line, &column) == 2);
    if (is_found) {
        failure->line = line;
        failure->column = column;
    }
}

enum af_status platform_failure_words(struct platform_failure *failure, const char *words, struct af_error *err)
{
    static const struct meaning other = { "", AF_EINVAL, 400, "INFLUXDB_QUERY_ERROR", "the query failed", NULL };
    const struct meaning *meaning = &other;
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0] && meaning == &other; i++)
        if (strstr(words, meanings[i].part) != NULL)
            meaning = &meanings[i];
    platform_failure_set(failure, meaning->http_status, meaning->code, "%s", meaning->message);
    (void)snprintf(failure->influx, sizeof failure->influx, "%s", words);
    failure->fix = meaning->fix;
    find_place(failure, words);
    return af_fail(err, meaning->status, "%s", words);
}

/* remote/ puts the store's name before the server's words and its own advice behind them: "http://h:1/db: words (HTTP 400): advice". */
static void plain_words(const struct af_error *err, const struct af_store *store, char *out, size_t cap)
{
    const char *words = err->message;
    size_t len = store != NULL ? strlen(store->name) : 0;
    if (len != 0 && strncmp(words, store->name, len) == 0 && words[len] == ':')
        words += len + 1 + strspn(words + len + 1, " ");
    const char *end = strstr(words, " (HTTP ");
    (void)snprintf(out, cap, "%.*s", (int)(end != NULL ? (size_t)(end - words) : strlen(words)), words);
}

/* What a server says itself of a query that it began: in the middle of its answer, or with status 500. False: it did not. */
static bool set_answered(struct platform_failure *failure, const struct af_error *err, const char *words)
{
    static const char midway[] = "the query failed: ";
    if (strncmp(words, midway, sizeof midway - 1) == 0) {
        (void)platform_failure_words(failure, words + sizeof midway - 1, NULL);
        return true;
    }
    if (strstr(err->message, " (HTTP 500)") == NULL)
        return false;
    platform_failure_set(failure, 500, "INFLUXDB_QUERY_ERROR", "InfluxDB failed at the query");
    (void)snprintf(failure->influx, sizeof failure->influx, "%s", words);
    return true;
}

static void set_limit(struct platform_failure *failure, const char *words)
{
    platform_failure_set(failure, 400, "INFLUXDB_QUERY_ERROR", "the query is larger than it may be");
    (void)snprintf(failure->influx, sizeof failure->influx, "%s", words);
    failure->fix = "ask for a shorter time range, or for fewer series";
}

static void set_denied(struct platform_failure *failure, const char *words)
{
    platform_failure_set(failure, 403, "INFLUXDB_PERMISSION_ERROR", "there is no right to read this");
    (void)snprintf(failure->influx, sizeof failure->influx, "%s", words);
}

static void set_unreachable(struct platform_failure *failure)
{
    platform_failure_set(failure, 503, "INFLUXDB_CONNECTION_ERROR", "InfluxDB cannot be reached, or broke off; try again");
}

static void set_unauthorized(struct platform_failure *failure)
{
    platform_failure_set(failure, 503, "INFLUXDB_PERMISSION_ERROR", "InfluxDB does not take the credentials that this API has");
}

void platform_failure_error(struct platform_failure *failure, const struct af_error *err, const struct af_store *store, bool is_late)
{
    char words[sizeof failure->influx];
    plain_words(err, store, words, sizeof words);
    switch (err->status) {
    case AF_EINVAL:
    case AF_ECONFLICT:
    case AF_ENOTFOUND: (void)platform_failure_words(failure, words, NULL); break;
    case AF_EDENIED: set_denied(failure, words); break;
    case AF_ELIMIT: set_limit(failure, words); break;
    case AF_EUNSUPPORTED: platform_failure_set(failure, 501, "NOT_IMPLEMENTED", "%s", words); break;
    case AF_EBUSY: platform_failure_set(failure, 429, "TOO_MANY_REQUESTS", "there are too many queries at once; try again"); break;
    case AF_EUNAUTH: set_unauthorized(failure); break;
    case AF_ECANCELED:
        if (is_late)
            (void)platform_failure_words(failure, "query-timeout limit exceeded", NULL);
        else
            platform_failure_set(failure, 503, "INFLUXDB_QUERY_ERROR", "the query was stopped");
        break;
    case AF_EIO:
        if (!set_answered(failure, err, words))
            set_unreachable(failure);
        break;
    case AF_EBUG: platform_failure_set(failure, 500, "INTERNAL_ERROR", "the request failed; the log says why"); break;
    default: set_unreachable(failure);
    }
}

void platform_failure_open(struct platform_failure *failure, enum af_status status)
{
    if (status == AF_EUNAUTH)
        set_unauthorized(failure);
    else
        set_unreachable(failure);
}

/* --- printed ------------------------------------------------------------------------------------------------------------------ */

void platform_uuid(char out[37])
{
    unsigned char bytes[16];
    af_random_bytes(bytes, sizeof bytes);
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        out = af_hex_print(out, &bytes[i], 1);
    }
    *out = '\0';
}

static void put_text(struct af_buf *out, const char *key, const char *text)
{
    af_buf_append_str(out, key);
    if (text != NULL && text[0] != '\0')
        af_json_append_string(out, af_slice_of(text));
    else
        af_buf_append_str(out, "null");
}

static void put_number(struct af_buf *out, const char *key, uint32_t number)
{
    af_buf_append_str(out, key);
    if (number != 0)
        af_buf_printf(out, "%u", number);
    else
        af_buf_append_str(out, "null");
}

void platform_failure_print(const struct platform_failure *failure, const char *id, struct af_buf *out)
{
    char time[40];
    *af_rfc3339_print(time, af_clock_now_ns(), 3) = '\0';
    af_buf_printf(out, "{\"error\":{\"code\":\"%s\"", failure->code);
    put_text(out, ",\"message\":", failure->words);
    put_text(out, ",\"details\":{\"influxdb_error\":", failure->influx);
    put_number(out, ",\"query_line\":", failure->line);
    put_number(out, ",\"query_position\":", failure->column);
    put_text(out, ",\"suggested_fix\":", failure->fix);
    af_buf_printf(out, "},\"timestamp\":\"%s\"", time);
    put_text(out, ",\"query_id\":", id);
    af_buf_printf(out, "},\"status_code\":%d}", failure->http_status);
}

void af_platform_refuse(struct af_buf *out, int http_status, const char *id, const char *words)
{
    static const struct {
        int http_status;
        const char *code;
    } codes[] = { { 401, "UNAUTHORIZED" }, { 403, "INFLUXDB_PERMISSION_ERROR" }, { 404, "ENDPOINT_NOT_FOUND" },
                  { 405, "METHOD_NOT_ALLOWED" },
                  { 413, "INVALID_REQUEST" }, { 415, "INVALID_REQUEST" }, { 429, "TOO_MANY_REQUESTS" }, { 501, "NOT_IMPLEMENTED" } };
    char made[37];
    struct platform_failure failure = { 0 };
    const char *code = http_status >= 500 ? "INTERNAL_ERROR" : "INVALID_REQUEST";
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        code = codes[i].http_status == http_status ? codes[i].code : code;
    platform_failure_set(&failure, http_status, code, "%s", words);
    platform_uuid(made);
    platform_failure_print(&failure, id != NULL ? id : made, out);
}
