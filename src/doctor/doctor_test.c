/* doctor_test.c - a run against a server that says what the test wrote down: what follows from which answer, what is left out, what never
 * shows. The program against real servers: test/e2e/test_doctor.py. */
#include "base/alloc.h"
#include "doctor/doctor_int.h"
#include "os/clock.h"
#include "test/lib/http_peer.h"
#include "test/lib/test.h"
#include <stdio.h>

struct answer {
    const char *asked;             /* the beginning of the request's line */
    int status;
    const char *headers, *body;
};

struct ward {
    const struct answer *answers;
    struct af_peer *peer;
    struct af_doctor_options options;
    struct af_doctor_totals totals;
    size_t count;
    struct af_doctor_finding findings[DOCTOR_CHECKS_MAX];
};

static bool says(void *ctx, struct af_slice request, struct af_buf *out)
{
    const struct ward *w = ctx;
    for (const struct answer *a = w->answers; a->asked != NULL; a++) {
        if (!af_slice_has_prefix(request, a->asked))
            continue;
        af_buf_printf(out, "HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n%s\r\n%s", a->status, strlen(a->body), a->headers, a->body);
        return true;
    }
    af_buf_append_str(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    return true;
}

static void found(void *ctx, const struct af_doctor_finding *finding)
{
    struct ward *w = ctx;
    AF_CHECK(w->count < DOCTOR_CHECKS_MAX);
    w->findings[w->count++] = *finding;
}

static void begin(struct ward *w, const struct answer *answers)
{
    *w = (struct ward){ .answers = answers };
    w->peer = af_peer_start_with(says, w);
    w->options = (struct af_doctor_options){ .version = "0", .url = af_peer_url(w->peer), .bucket = "b", .limit_ms = 2000, .found = found,
                                             .ctx = w };
}

static void run(struct ward *w)
{
    struct af_error err = { 0 };
    w->count = 0;
    AF_CHECK_OK(af_doctor_run(&w->options, &w->totals, &err), err);
    size_t sum = 0;
    for (size_t i = 0; i < AF_DOCTOR_STATES; i++)
        sum += w->totals.of[i];
    AF_CHECK_INT(sum, w->count);
}

static const struct af_doctor_finding *the(const struct ward *w, const char *name)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->findings[i].name, name) == 0)
            return &w->findings[i];
    return NULL;
}

#define STATE(ward, name, want)                                                                              \
    do {                                                                                                     \
        const struct af_doctor_finding *af_f = the(ward, name);                                              \
        AF_CHECK(af_f != NULL);                                                                              \
        if (af_f->state != (want))                                                                           \
            af_test_failed(__FILE__, __LINE__, "%s is %d, want %d: %s", name, af_f->state, want, af_f->seen); \
    } while (0)

#define TWO { "GET /ping", 204, "X-Influxdb-Version: v2.7.1\r\n", "" }, { "GET /health", 200, "", "{\"status\":\"pass\"}" }
#define BUCKET(rules) { "GET /api/v2/buckets?name=b", 200, "", "{\"buckets\":[{\"id\":\"1\",\"retentionRules\":[" rules "]}]}" }

AF_TEST(a_healthy_server_of_2_x)
{
    static const struct answer answers[] = {
        TWO,
        BUCKET("{\"everySeconds\":0}"),
        { "GET /api/v2/buckets", 200, "", "{\"buckets\":[]}" },
        { "GET /api/v2/config", 403, "", "{\"message\":\"no\"}" },
        { "GET /api/v2/orgs", 200, "", "{\"orgs\":[{\"name\":\"o\"}]}" },
        { "POST /api/v2/query", 200, "", "" },
        { "POST /api/v2/write", 400, "", "{\"message\":\"writing requires points\"}" },
        { "GET /query", 200, "", "{\"results\":[{\"series\":[{\"columns\":[\"count\"],\"values\":[[42]]}]}]}" },
        { NULL, 0, NULL, NULL },
    };
    static const char *const well[] = { "name", "connection", "TLS", "InfluxDB", "token", "organisation", "bucket", "retention", "reading",
                                        "writing", "series" };
    struct ward w;
    begin(&w, answers);
    w.options.token = "a-token-nobody-may-see";
    run(&w);
    for (size_t i = 0; i < sizeof well / sizeof well[0]; i++)
        STATE(&w, well[i], AF_DOCTOR_OK);
    STATE(&w, "clock", AF_DOCTOR_UNCHECKED); /* no Date */
    AF_CHECK_STR(the(&w, "series")->seen, "42");
    for (size_t i = 0; i < w.count; i++)
        AF_CHECK(strstr(w.findings[i].seen, w.options.token) == NULL && strstr(w.findings[i].advice, w.options.token) == NULL);
    AF_CHECK(the(&w, "write test") == NULL && the(&w, "identity") == NULL && the(&w, "directory") == NULL);
    af_peer_stop(w.peer);
}

AF_TEST(what_a_server_refuses)
{
    static const struct answer answers[] = {
        TWO,
        BUCKET("{\"everySeconds\":86400}"),
        { "GET /api/v2/buckets", 200, "", "{}" },
        { "GET /api/v2/config", 200, "", "{\"config\":{}}" },
        { "GET /api/v2/orgs", 200, "", "{\"orgs\":[]}" },
        { "POST /api/v2/query", 404, "", "{\"message\":\"could not find bucket\"}" },
        { "POST /api/v2/write", 403, "", "{\"message\":\"insufficient permissions\\nfor \x1b[31mwrite\"}" },
        { NULL, 0, NULL, NULL },
    };
    struct ward w;
    begin(&w, answers);
    w.options.token = "t";
    w.options.org = "elsewhere";
    run(&w);
    STATE(&w, "token", AF_DOCTOR_WARNING); /* an operator's */
    STATE(&w, "organisation", AF_DOCTOR_FAILED);
    STATE(&w, "bucket", AF_DOCTOR_OK);
    STATE(&w, "retention", AF_DOCTOR_WARNING);
    STATE(&w, "reading", AF_DOCTOR_FAILED);
    STATE(&w, "writing", AF_DOCTOR_FAILED);
    STATE(&w, "series", AF_DOCTOR_UNCHECKED);
    AF_CHECK(strchr(the(&w, "writing")->seen, '\n') == NULL && strchr(the(&w, "writing")->seen, '\x1b') == NULL);
    af_peer_stop(w.peer);
}

AF_TEST(a_token_that_may_only_write_and_series_by_flux)
{
    static const struct answer writes[] = {
        TWO,
        { "GET /api/v2/buckets", 200, "", "{\"buckets\":[]}" },
        { "POST /api/v2/query", 404, "", "{\"message\":\"could not find bucket\"}" },
        { "POST /api/v2/write", 400, "", "{\"message\":\"writing requires points\"}" },
        { NULL, 0, NULL, NULL },
    };
    static const struct answer reads[] = {
        TWO,
        BUCKET(""),
        { "GET /api/v2/buckets", 200, "", "{}" },
        { "GET /query", 404, "", "{\"error\":\"no dbrp mapping found\"}" },
        { "POST /api/v2/query", 200, "", "#datatype,string,long,long\r\n,result,table,_value\r\n,_result,0,9000000\r\n\r\n" },
        { "POST /api/v2/write", 400, "", "{\"message\":\"Please provide either orgID or org\"}" },
        { NULL, 0, NULL, NULL },
    };
    struct ward w;
    begin(&w, writes);
    w.options.token = "t";
    w.options.only_writes = true;
    run(&w);
    STATE(&w, "bucket", AF_DOCTOR_OK);
    STATE(&w, "retention", AF_DOCTOR_UNCHECKED);
    STATE(&w, "reading", AF_DOCTOR_WARNING);
    STATE(&w, "writing", AF_DOCTOR_OK);
    AF_CHECK_INT(w.totals.of[AF_DOCTOR_FAILED], 0);
    w.options.only_writes = false;
    run(&w);
    STATE(&w, "reading", AF_DOCTOR_FAILED);
    af_peer_stop(w.peer);
    begin(&w, reads);
    w.options.token = "t";
    run(&w);
    STATE(&w, "series", AF_DOCTOR_WARNING);
    AF_CHECK_STR(the(&w, "series")->seen, "9000000");
    STATE(&w, "writing", AF_DOCTOR_FAILED); /* not every 400 is about points */
    af_peer_stop(w.peer);
}

AF_TEST(a_token_that_is_not_known_stops_what_needs_it)
{
    static const struct answer answers[] = { TWO, { "GET /api/v2/buckets", 401, "", "{\"message\":\"unauthorized access\"}" },
                                             { NULL, 0, NULL, NULL } };
    struct ward w;
    begin(&w, answers);
    run(&w);
    STATE(&w, "token", AF_DOCTOR_FAILED);
    AF_CHECK(strstr(the(&w, "token")->advice, "--token-file") != NULL);
    STATE(&w, "bucket", AF_DOCTOR_UNCHECKED);
    AF_CHECK_STR(the(&w, "bucket")->seen, "it needs \"token\"");
    STATE(&w, "writing", AF_DOCTOR_UNCHECKED);
    af_peer_stop(w.peer);
}

AF_TEST(who_answers_there)
{
    static const struct {
        struct answer ping, health;
        enum af_doctor_state want;
        const char *words;
    } rows[] = {
        { { "GET /ping", 204, "X-Influxdb-Version: 3.0.1\r\n", "" }, { "GET /health", 200, "", "OK" }, AF_DOCTOR_FAILED, "3.0.1" },
        { { "GET /ping", 200, "", "" }, { "GET /health", 404, "", "" }, AF_DOCTOR_FAILED, "does not say" },
        { { "GET /ping", 503, "", "" }, { "GET /health", 503, "", "" }, AF_DOCTOR_FAILED, "503" },
        { { "GET /ping", 401, "", "" }, { "GET /health", 401, "", "" }, AF_DOCTOR_FAILED, "who asks" },
        { { "GET /ping", 302, "Location: https://x/\r\n", "" }, { "GET /health", 302, "", "" }, AF_DOCTOR_FAILED, "elsewhere" },
        { { "GET /ping", 404, "", "" }, { "GET /health", 200, "", "{\"status\":\"pass\",\"version\":\"2.0.9\"}" }, AF_DOCTOR_OK, "2.0.9" },
        { { "GET /ping", 204, "X-Influxdb-Version: 2.7.1\r\n", "" },
          { "GET /health", 503, "", "{\"status\":\"fail\",\"message\":\"disk\"}" }, AF_DOCTOR_FAILED, "disk" },
        { { "GET /ping", 204, "X-Influxdb-Version: 1.8.10\r\n", "" }, { "GET /x", 404, "", "" }, AF_DOCTOR_OK, "1.8.10" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct answer answers[] = { rows[i].ping, rows[i].health, { NULL, 0, NULL, NULL } };
        struct ward w;
        begin(&w, answers);
        run(&w);
        STATE(&w, "InfluxDB", rows[i].want);
        if (strstr(the(&w, "InfluxDB")->seen, rows[i].words) == NULL)
            af_test_failed(__FILE__, __LINE__, "row %zu: %s", i, the(&w, "InfluxDB")->seen);
        af_peer_stop(w.peer);
    }
}

AF_TEST(a_clock_that_is_off)
{
    static const struct answer answers[] = {
        { "GET /ping", 204, "X-Influxdb-Version: 1.8.10\r\nDate: Wed, 25 Nov 2020 07:00:00 GMT\r\n", "" }, { NULL, 0, NULL, NULL } };
    struct ward w;
    begin(&w, answers);
    run(&w);
    STATE(&w, "clock", AF_DOCTOR_FAILED);
    AF_CHECK(strstr(the(&w, "clock")->seen, "ahead of") != NULL);
    af_peer_stop(w.peer);
}

AF_TEST(a_database_of_1_x_and_its_policy)
{
    static const struct answer answers[] = {
        { "GET /ping", 204, "X-Influxdb-Version: 1.8.10\r\n", "" },
        { "GET /query?q=SHOW%20RETENTION", 200, "",
          "{\"results\":[{\"series\":[{\"columns\":[\"name\",\"duration\",\"default\"],"
          "\"values\":[[\"autogen\",\"0s\",true],[\"month\",\"720h0m0s\",false]]}]}]}" },
        { "GET /query?q=SHOW%20SERIES", 200, "", "{\"results\":[{\"series\":[{\"columns\":[\"n\"],\"values\":[[900000]]}]}]}" },
        { "GET /query", 200, "", "{\"results\":[{}]}" },
        { "POST /write", 204, "", "" },
        { NULL, 0, NULL, NULL },
    };
    struct ward w;
    begin(&w, answers);
    run(&w);
    STATE(&w, "bucket", AF_DOCTOR_OK);
    STATE(&w, "retention", AF_DOCTOR_OK);
    STATE(&w, "series", AF_DOCTOR_WARNING);
    STATE(&w, "writing", AF_DOCTOR_OK);
    w.options.bucket = "b/month";
    run(&w);
    STATE(&w, "retention", AF_DOCTOR_WARNING);
    AF_CHECK(strstr(the(&w, "retention")->seen, "30 days") != NULL);
    w.options.bucket = "b/none";
    run(&w);
    STATE(&w, "bucket", AF_DOCTOR_FAILED);
    w.options.bucket = "b\"; DROP";
    run(&w);
    STATE(&w, "bucket", AF_DOCTOR_FAILED);
    w.options.bucket = NULL;
    run(&w);
    STATE(&w, "bucket", AF_DOCTOR_UNCHECKED);
    af_peer_stop(w.peer);
}

AF_TEST(a_server_that_says_nothing_is_given_up)
{
    static const struct af_peer_step silent = { .then = AF_PEER_HANG };
    struct af_peer *peer = af_peer_start(&silent, 1);
    struct ward w = { .options = { .version = "0", .url = af_peer_url(peer), .limit_ms = 200, .found = found } };
    w.options.ctx = &w;
    const int64_t begun_ns = af_clock_mono_ns();
    run(&w);
    AF_CHECK(af_clock_mono_ns() - begun_ns < INT64_C(5000000000));
    STATE(&w, "connection", AF_DOCTOR_OK);
    STATE(&w, "InfluxDB", AF_DOCTOR_FAILED);
    STATE(&w, "token", AF_DOCTOR_UNCHECKED);
    af_peer_stop(peer);
}

AF_TEST(a_run_that_is_out_of_time_or_interrupted)
{
    static const struct answer none[] = { { NULL, 0, NULL, NULL } };
    static const bool now = true;
    struct ward w;
    begin(&w, none);
    w.options.patience_ms = 1;
    w.options.limit_ms = 1;
    run(&w);
    STATE(&w, "series", AF_DOCTOR_UNCHECKED);
    AF_CHECK(w.totals.of[AF_DOCTOR_UNCHECKED] > 0);
    w.options.cancel = &now;
    w.count = 0;
    AF_CHECK_FAILS(af_doctor_run(&w.options, &w.totals, NULL), AF_ECANCELED);
    AF_CHECK_INT(w.totals.of[AF_DOCTOR_UNCHECKED], w.count);
    af_peer_stop(w.peer);
}

AF_TEST(urls_that_are_none)
{
    static const char *const urls[] = { "http://", "ftp://x", "http://user:secret@x/", "http://[::1", "" };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct ward w = { .options = { .version = "0", .url = urls[i], .limit_ms = 200, .found = found } };
        w.options.ctx = &w;
        run(&w);
        STATE(&w, "name", AF_DOCTOR_FAILED);
        AF_CHECK(strstr(the(&w, "name")->seen, "secret") == NULL);
    }
}

AF_TEST(memory_that_runs_out_ends_nothing_but_checks)
{
    static const struct answer answers[] = { TWO, BUCKET(""), { "GET /", 200, "", "{}" }, { "POST /", 204, "", "" },
                                             { NULL, 0, NULL, NULL } };
    struct ward w;
    begin(&w, answers);
    w.options.token = "t";
    w.options.dir = af_test_dir();
    w.options.state_dir = af_test_dir();
    for (size_t nth = 1; nth < 400; nth++) {
        w.count = 0;
        (void)af_alloc_fail_nth(nth);
        const enum af_status status = af_doctor_run(&w.options, &w.totals, NULL);
        const bool is_over = af_alloc_fail_nth(0) < nth;
        AF_CHECK(status == AF_OK && w.count > 5);
        if (is_over)
            break;
    }
    af_peer_stop(w.peer);
}
