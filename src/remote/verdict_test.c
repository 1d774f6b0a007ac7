/* verdict_test.c - the table of docs/formats/influxdb-http.md, row by row. */
#include "remote/remote_int.h"
#include "test/lib/test.h"
#include <stdio.h>

enum want { DONE, KEPT, LOST, LARGE, FAILS }; /* KEPT: bad lines, others kept; LOST: bad lines, nothing kept */

struct row {
    bool is_v2;
    int http;
    const char *body;
    enum want want;
    enum af_status status; /* of FAILS */
    uint64_t dropped;
};

static const struct row rows[] = {
    { false, 204, "", DONE, AF_OK, 0 },
    { true, 204, "", DONE, AF_OK, 0 },
    { false, 400, "{\"error\":\"partial write: unable to parse 'm v=': missing field value dropped=0\"}\n", KEPT, AF_OK, 0 },
    { false, 400, "{\"error\":\"unable to parse 'm': invalid field format\"}\n", KEPT, AF_OK, 0 },
    { false, 400,
      "{\"error\":\"partial write: field type conflict: input field \\\"v\\\" on measurement \\\"m\\\" is type integer, "
                  "already exists as type float dropped=17\"}\n", KEPT, AF_OK, 17 },
    { false, 400, "{\"error\":\"partial write: points beyond retention policy dropped=3\"}\n", KEPT, AF_OK, 3 },
    { false, 400, "{\"error\":\"partial write: max-values-per-tag limit exceeded (5/5): measurement=\\\"m\\\" dropped=2\"}", KEPT,
      AF_OK, 2 },
    { false, 400, "{\"error\":\"database is required\"}\n", FAILS, AF_EINVAL, 0 },
    { false, 400, "{\"error\":\"gzip: invalid header\"}\n", FAILS, AF_EINVAL, 0 },
    { false, 404, "{\"error\":\"database not found: \\\"x\\\"\"}\n", FAILS, AF_ENOTFOUND, 0 },
    { false, 500, "{\"error\":\"retention policy not found: x\"}\n", FAILS, AF_ENOTFOUND, 0 },
    { false, 413, "{\"error\":\"Request Entity Too Large\"}\n", LARGE, AF_OK, 0 },
    { false, 401, "{\"error\":\"authorization failed\"}\n", FAILS, AF_EUNAUTH, 0 },
    { false, 403, "{\"error\":\"\\\"u\\\" user is not authorized to write to database \\\"d\\\"\"}\n", FAILS, AF_EDENIED, 0 },
    { false, 500, "{\"error\":\"engine: cache-max-memory-size exceeded: (5/4)\"}\n", FAILS, AF_EBUSY, 0 },
    { false, 500, "{\"error\":\"timeout\"}\n", FAILS, AF_EIO, 0 },
    { false, 500, "{\"error\":\"partial write\"}\n", FAILS, AF_EIO, 0 },
    { false, 500, "{\"error\":\"hinted handoff queue not empty\"}\n", DONE, AF_OK, 0 },
    { true, 400, "{\"code\":\"invalid\",\"message\":\"unable to parse 'm v=': missing field value\"}", LOST, AF_OK, 0 },
    { true, 422,
      "{\"code\":\"unprocessable entity\",\"message\":\"failure writing points to database: partial write: field type conflict: "
                 "input field \\\"v\\\" on measurement \\\"m\\\" is type integer, already exists as type float "
                 "dropped=4\"}", KEPT, AF_OK, 4 },
    { true, 422,
      "{\"code\":\"unprocessable entity\",\"message\":\"failure writing points to database: partial write: dropped 2 points "
                 "outside retention policy of duration 1h0m0s dropped=2 for database: 1234 for retention policy: "
                 "autogen\"}", KEPT, AF_OK, 2 },
    { true, 400, "{\"code\":\"invalid\",\"message\":\"invalid precision; valid precision units are ns, us, ms, and s\"}", FAILS,
      AF_EINVAL, 0 },
    { true, 404, "{\"code\":\"not found\",\"message\":\"bucket \\\"x\\\" not found\"}", FAILS, AF_ENOTFOUND, 0 },
    { true, 413, "{\"code\":\"request too large\",\"message\":\"unable to read data: points batch is too large\"}", LARGE, AF_OK,
      0 },
    { true, 401, "{\"code\":\"unauthorized\",\"message\":\"unauthorized access\"}", FAILS, AF_EUNAUTH, 0 },
    { true, 403, "{\"code\":\"forbidden\",\"message\":\"insufficient permissions for write\"}", FAILS, AF_EDENIED, 0 },
    { true, 500, "{\"code\":\"internal error\",\"message\":\"unexpected error writing points to database: x\"}", FAILS, AF_EIO, 0 },
    { true, 429, "{\"code\":\"too many requests\",\"message\":\"limit exceeded\"}", FAILS, AF_EBUSY, 0 },
    { false, 503, "<html>busy</html>", FAILS, AF_EBUSY, 0 },
    { false, 502, "", FAILS, AF_EIO, 0 },
    { false, 504, "", FAILS, AF_EIO, 0 },
    { false, 301, "", FAILS, AF_EINVAL, 0 },
    { false, 405, "", FAILS, AF_EINVAL, 0 },
};

static void check_row(const struct row *row)
{
    struct remote remote = { .base = { .name = "http://host:8086 bucket b" }, .is_v2 = row->is_v2 };
    struct af_http_answer http;
    struct af_write_answer answer = { 0 };
    struct af_error err = { 0 };
    af_http_answer_init(&http);
    http.status = row->http;
    http.retry_after_ms = 1500;
    af_buf_append_str(&http.body, row->body);
    enum af_status status = remote_judge_write(&remote, &http, &answer, &err);
    bool is_bad = row->want == KEPT || row->want == LOST;
    enum af_write_verdict verdict = is_bad ? AF_WRITE_BAD_LINES : row->want == LARGE ? AF_WRITE_TOO_LARGE : AF_WRITE_DONE;
    if (status != row->status || (status == AF_OK && answer.verdict != verdict) ||
        (is_bad && answer.others_kept != (row->want == KEPT)) ||
        (is_bad && (answer.dropped != row->dropped || answer.reason[0] == '\0')))
        af_test_failed(__FILE__, __LINE__, "HTTP %d %s: status %s, verdict %d, others kept %d, dropped %llu (%s)", row->http,
                       row->body,
                       af_status_name(status), answer.verdict, answer.others_kept, (unsigned long long)answer.dropped, err.message);
    if (status != AF_OK) {
        AF_CHECK_INT(err.retry_after_ms, 1500);
        AF_CHECK(strstr(err.message, "http://host:8086 bucket b: ") == err.message);
    }
    af_http_answer_done(&http);
}

AF_TEST(every_row_of_the_table)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i]);
}

static bool advises(bool is_v2, int http, const char *body, const char *part)
{
    struct remote remote = { .base = { .name = "x" }, .is_v2 = is_v2 };
    struct af_http_answer answer;
    struct af_error err = { 0 };
    af_http_answer_init(&answer);
    answer.status = http;
    af_buf_append_str(&answer.body, body);
    AF_CHECK(remote_judge(&remote, &answer, &err) != AF_OK);
    af_http_answer_done(&answer);
    return strstr(err.message, part) != NULL;
}

AF_TEST(failures_say_what_to_do)
{
    AF_CHECK(advises(true, 401, "{\"message\":\"unauthorized access\"}", "--token-file"));
    AF_CHECK(advises(false, 401, "{\"error\":\"authorization failed\"}", "--password-file"));
    AF_CHECK(advises(true, 404, "{\"message\":\"bucket \\\"b\\\" not found\"}", "--create"));
    AF_CHECK(advises(true, 404, "{\"message\":\"organization name \\\"o\\\" not found\"}", "check --org"));
    AF_CHECK(!advises(true, 404, "{\"message\":\"organization name \\\"o\\\" not found\"}", "--create"));
    AF_CHECK(advises(true, 302, "", "give that address"));
}

/* The count stands behind a quoted line that is longer than the reason we keep. */
AF_TEST(dropped_is_found_behind_long_lines)
{
    struct remote remote = { .base = { .name = "x" } };
    struct af_http_answer http;
    struct af_write_answer answer = { 0 };
    af_http_answer_init(&http);
    http.status = 400;
    af_buf_printf(&http.body, "{\"error\":\"partial write: field type conflict: input field \\\"%02000d\\\" dropped=99\"}", 1);
    AF_CHECK_INT(remote_judge_write(&remote, &http, &answer, NULL), AF_OK);
    AF_CHECK_INT(answer.dropped, 99);
    AF_CHECK_INT(strlen(answer.reason), sizeof answer.reason - 1);
    af_http_answer_done(&http);
}

AF_TEST(reasons_come_from_wherever_they_are)
{
    struct af_http_answer http;
    char words[64];
    af_http_answer_init(&http);
    remote_reason(&http, words, sizeof words);
    AF_CHECK_STR(words, "no explanation");
    snprintf(http.influx_error, sizeof http.influx_error, "of the header");
    remote_reason(&http, words, sizeof words);
    AF_CHECK_STR(words, "of the header");
    af_buf_append_str(&http.body, "{\"error\":\"of the body\"}");
    remote_reason(&http, words, sizeof words);
    AF_CHECK_STR(words, "of the body");
    http.influx_error[0] = '\0';
    af_buf_clear(&http.body);
    af_buf_append_str(&http.body, " <html>gateway</html>\n");
    remote_reason(&http, words, sizeof words);
    AF_CHECK_STR(words, "<html>gateway</html>");
    af_http_answer_done(&http);
}
