/* net_test.c - URLs, and the HTTP client against a peer that misbehaves to order. */
#include "base/alloc.h"
#include "base/limits.h"
#include "net/http.h"
#include "net/url.h"
#include "os/clock.h"
#include "os/file.h"
#include "test/lib/http_peer.h"
#include "test/lib/test.h"
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct af_error err;

static bool says(const char *part)
{
    return strstr(err.message, part) != NULL;
}

/* --- URLs ------------------------------------------------------------------------------------------------------------------ */

AF_TEST(url_parts)
{
    struct af_arena arena;
    af_arena_init(&arena, 1 << 16);
    struct af_url url;
    AF_CHECK_OK(af_url_parse(AF_SLICE_LIT("HTTP://LocalHost:8086/a/b?x=1&y=2"), &arena, &url, &err), err);
    AF_CHECK_SLICE(url.scheme, "http");
    AF_CHECK_SLICE(url.host, "localhost");
    AF_CHECK_INT(url.port, 8086);
    AF_CHECK_SLICE(url.path, "/a/b");
    AF_CHECK_SLICE(url.query, "x=1&y=2");
    AF_CHECK_SLICE(url.base, "http://localhost:8086");
    AF_CHECK_OK(af_url_parse(AF_SLICE_LIT("https://[::1]"), &arena, &url, &err), err);
    AF_CHECK_SLICE(url.host, "::1");
    AF_CHECK_INT(url.port, 443);
    AF_CHECK_SLICE(url.path, "");
    AF_CHECK_SLICE(url.base, "https://[::1]:443");
    AF_CHECK_OK(af_url_parse(AF_SLICE_LIT("http://h?q"), &arena, &url, &err), err);
    AF_CHECK_SLICE(url.query, "q");
    AF_CHECK_INT(url.port, 80);
    af_arena_done(&arena);
}

AF_TEST(url_refusals)
{
    static const char *const bad[] = { "", "ftp://x", "http:/x", "http://", "http://:80", "http://a:0", "http://a:65536",
                                       "http://a:x",
                                       "http://a b", "http://a/b c", "http://a/\n", "http://[::1", "http://[::1]x", "http://a/#f",
                                       "http://a\\b", "http://é", "localhost:8086" };
    struct af_arena arena;
    af_arena_init(&arena, 1 << 16);
    struct af_url url;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (af_url_parse(af_slice_of(bad[i]), &arena, &url, &err) != AF_EINVAL)
            af_test_failed(__FILE__, __LINE__, "accepted: %s", bad[i]);
    AF_CHECK_FAILS(af_url_parse(AF_SLICE_LIT("http://me:hunter2@host/"), &arena, &url, &err), AF_EINVAL);
    AF_CHECK(!says("hunter2") && says("password"));
    af_arena_done(&arena);
}

AF_TEST(url_escapes)
{
    struct af_buf buf;
    af_buf_init(&buf, 1024);
    af_url_append_escaped(&buf, AF_SLICE_LIT("aZ9-._~ /?&=+%\xc3\xa9\n"));
    AF_CHECK_SLICE(af_buf_slice(&buf), "aZ9-._~%20%2F%3F%26%3D%2B%25%C3%A9%0A");
    af_buf_done(&buf);
    AF_CHECK(af_url_is_http("https://x") && af_url_is_http("HTTP://x") && !af_url_is_http("/http://") && !af_url_is_http("http:"));
}

/* --- the client ------------------------------------------------------------------------------------------------------------ */

static struct af_http *client(struct af_http_options options)
{
    struct af_http *http;
    AF_CHECK_OK(af_http_new(&options, &http, &err), err);
    return http;
}

static enum af_status get(struct af_http *http, const char *url, struct af_http_answer *answer)
{
    struct af_http_request request = { .method = "GET", .url = url };
    return af_http_send(http, &request, answer, &err);
}

static enum af_status post(struct af_http *http, const char *url, const char *body, struct af_http_answer *answer)
{
    static const char *const headers[] = { "Authorization: Token s3cret", "Content-Type: text/plain", NULL };
    struct af_http_request request = { .method = "POST", .url = url, .headers = headers, .body = af_slice_of(body) };
    return af_http_send(http, &request, answer, &err);
}

#define STEPS(...)                                        \
    (const struct af_peer_step[]){ __VA_ARGS__ },         \
        sizeof((const struct af_peer_step[]){ __VA_ARGS__ }) / sizeof(struct af_peer_step)

AF_TEST(one_connection_serves_many_requests)
{
    struct af_peer *peer = af_peer_start(
        STEPS({ .bytes = "HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 1.6.7\r\n\r\n" },
              { .bytes = "HTTP/1.1 200 OK\r\nContent-Type: text/csv; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello" },
              { .bytes = "HTTP/1.1 400 Bad Request\r\nX-Influxdb-Error: no\x01good\r\nContent-Length: 2\r\n\r\n{}" },
              { .bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
                .dribble_bytes = 1, .dribble_ms = 1 }));
    struct af_http *http = client((struct af_http_options){ 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    AF_CHECK_OK(get(http, af_peer_url(peer), &answer), err);
    AF_CHECK_INT(answer.status, 204);
    AF_CHECK_STR(answer.influx_version, "1.6.7");
    AF_CHECK_INT(answer.body.len, 0);
    AF_CHECK_OK(post(http, af_peer_url(peer), "some lines", &answer), err);
    AF_CHECK_SLICE(af_buf_slice(&answer.body), "hello");
    AF_CHECK_STR(answer.content_type, "text/csv; charset=utf-8");
    AF_CHECK_STR(answer.influx_version, "");
    AF_CHECK(answer.bytes_sent > 10 && answer.bytes_received > 60);
    AF_CHECK_OK(post(http, af_peer_url(peer), "", &answer), err);
    AF_CHECK_INT(answer.status, 400);
    AF_CHECK_STR(answer.influx_error, "no good");
    AF_CHECK_SLICE(af_buf_slice(&answer.body), "{}");
    AF_CHECK_OK(get(http, af_peer_url(peer), &answer), err);
    AF_CHECK_SLICE(af_buf_slice(&answer.body), "abcdefg");
    AF_CHECK_INT(af_peer_connections(peer), 1);
    struct af_slice second = af_peer_request(peer, 1);
    AF_CHECK(strstr(second.ptr, "POST / HTTP/1.1\r\n") == second.ptr);
    AF_CHECK(strstr(second.ptr, "Authorization: Token s3cret\r\n") != NULL);
    AF_CHECK(strstr(second.ptr, "User-Agent: afluxo/") != NULL);
    AF_CHECK(strstr(second.ptr, "\r\n\r\nsome lines") != NULL);
    AF_CHECK(strstr(af_peer_request(peer, 2).ptr, "Content-Length: 0\r\n") != NULL);
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

AF_TEST(a_stale_connection_is_replaced)
{
    struct af_peer *peer = af_peer_start(STEPS({ .bytes = "HTTP/1.1 204 No Content\r\n\r\n", .then = AF_PEER_CLOSE },
                                               { .bytes = "HTTP/1.1 204 No Content\r\n\r\n" }));
    struct af_http *http = client((struct af_http_options){ 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    AF_CHECK_OK(post(http, af_peer_url(peer), "a", &answer), err);
    af_clock_sleep_ms(20);
    AF_CHECK_OK(post(http, af_peer_url(peer), "b", &answer), err);
    AF_CHECK_INT(af_peer_connections(peer), 2);
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

static void check_broken(struct af_peer_step step, const char *words)
{
    struct af_peer *peer = af_peer_start(&step, 1);
    struct af_http *http = client((struct af_http_options){ .stall_timeout_ms = step.then == AF_PEER_HANG ? 200 : 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    enum af_status status = post(http, af_peer_url(peer), "x", &answer);
    if (status != AF_EIO || !says(words) || !says(af_peer_url(peer)) || says("s3cret"))
        af_test_failed(__FILE__, __LINE__, "%s: %s, want \"%s\"", af_status_name(status), err.message, words);
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

AF_TEST(broken_answers_are_EIO_and_named)
{
    check_broken((struct af_peer_step){ .then = AF_PEER_CLOSE }, "without an answer");
    check_broken((struct af_peer_step){ .then = AF_PEER_RESET }, "reset");
    check_broken((struct af_peer_step){ .bytes = "HTTP/1.1 200 OK\r\nContent-Le", .then = AF_PEER_RESET }, "ended");
    check_broken((struct af_peer_step){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", .then = AF_PEER_CLOSE },
                 "in the middle");
    check_broken((struct af_peer_step){ .bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
                                        .then = AF_PEER_CLOSE }, "in the middle");
    check_broken((struct af_peer_step){ .bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                                        .then = AF_PEER_CLOSE }, "in the middle");
    check_broken((struct af_peer_step){ .bytes = "SSH-2.0-OpenSSH_9.2\r\n", .then = AF_PEER_CLOSE }, "does not speak HTTP");
    check_broken((struct af_peer_step){ .bytes = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello" },
                 "compression is broken");
    check_broken((struct af_peer_step){ .then = AF_PEER_HANG }, "no byte moved for 200 ms");
    check_broken((struct af_peer_step){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", .then = AF_PEER_HANG },
                 "no byte moved for 200 ms");
}

AF_TEST(slow_is_not_stalled_but_has_a_total)
{
    static const struct af_peer_step step = { .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678", .dribble_bytes = 7,
                                              .dribble_ms = 200 };
    struct af_peer *peer = af_peer_start(&step, 1);
    struct af_http *http = client((struct af_http_options){ .stall_timeout_ms = 1000 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    AF_CHECK_OK(get(http, af_peer_url(peer), &answer), err);
    AF_CHECK_SLICE(af_buf_slice(&answer.body), "12345678");
    af_http_free(http);
    af_peer_stop(peer);
    peer = af_peer_start(&step, 1);
    http = client((struct af_http_options){ .total_timeout_ms = 150 });
    AF_CHECK_FAILS(get(http, af_peer_url(peer), &answer), AF_EIO);
    AF_CHECK(says("within 150 ms"));
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

static uint32_t retry_after_of(const char *value)
{
    char text[256];
    snprintf(text, sizeof text, "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", value);
    struct af_peer_step step = { .bytes = text };
    struct af_peer *peer = af_peer_start(&step, 1);
    struct af_http *http = client((struct af_http_options){ 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    AF_CHECK_OK(get(http, af_peer_url(peer), &answer), err);
    AF_CHECK_INT(answer.status, 503);
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
    return answer.retry_after_ms;
}

AF_TEST(retry_after_in_both_forms)
{
    AF_CHECK_INT(retry_after_of("7"), 7000);
    AF_CHECK_INT(retry_after_of("0"), 0);
    AF_CHECK_INT(retry_after_of("soon"), 0);
    AF_CHECK_INT(retry_after_of("99999999999"), 86400000);
    AF_CHECK_INT(retry_after_of("Wed, 21 Oct 2015 07:28:00 GMT"), 0);
    time_t then = time(NULL) + 90;
    char date[64];
    struct tm tm;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&then, &tm));
    uint32_t ms = retry_after_of(date);
    AF_CHECK(ms >= 85000 && ms <= 90000);
}

AF_TEST(nobody_listens)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", af_peer_free_port());
    struct af_http *http = client((struct af_http_options){ 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    AF_CHECK_FAILS(get(http, url, &answer), AF_EIO);
    AF_CHECK(says("is the server running") && says(url));
    AF_CHECK_FAILS(get(http, "http://no-such-host.invalid:1", &answer), AF_EIO);
    AF_CHECK(says("no-such-host.invalid") && says("DNS"));
    AF_CHECK_FAILS(get(http, "nonsense", &answer), AF_EINVAL);
    static const char *const headers[] = { "Authorization: Token a\r\nEvil: 1", NULL };
    struct af_http_request request = { .method = "GET", .url = url, .headers = headers };
    AF_CHECK_FAILS(af_http_send(http, &request, &answer, &err), AF_EINVAL);
    AF_CHECK(!says("Token a"));
    af_http_free(http);
    af_http_answer_done(&answer);
}

AF_TEST(proxies_are_never_used_for_loopback)
{
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    setenv("all_proxy", "http://127.0.0.1:9", 1);
    struct af_peer *peer = af_peer_start(STEPS({ .bytes = "HTTP/1.1 204 No Content\r\n\r\n" }));
    struct af_http *http = client((struct af_http_options){ 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    AF_CHECK_OK(get(http, af_peer_url(peer), &answer), err);
    AF_CHECK_FAILS(get(http, "http://192.0.2.1/", &answer), AF_EIO); /* the proxy of elsewhere is asked, and is not there */
    AF_CHECK(says("no connection"));
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

AF_TEST(redirects_are_followed_for_GET_only)
{
    char hop[128];
    struct af_peer_step steps[3] = { { .bytes = hop }, { .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" },
                                     { .bytes = hop } };
    struct af_peer *peer = af_peer_start(steps, 3);
    snprintf(hop, sizeof hop, "HTTP/1.1 307 Elsewhere\r\nLocation: %s/b\r\nContent-Length: 3\r\n\r\nno!", af_peer_url(peer));
    struct af_http *http = client((struct af_http_options){ 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    AF_CHECK_OK(get(http, af_peer_url(peer), &answer), err);
    AF_CHECK_INT(answer.status, 200);
    AF_CHECK_SLICE(af_buf_slice(&answer.body), "ok");
    AF_CHECK_OK(post(http, af_peer_url(peer), "x", &answer), err);
    AF_CHECK_INT(answer.status, 307);
    AF_CHECK_INT(af_peer_requests(peer), 3);
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

/* --- bodies in pieces ------------------------------------------------------------------------------------------------------ */

struct taken {
    uint64_t bytes;
    uint64_t sum;
    uint64_t stop_after;
};

static enum af_status take(void *ctx, struct af_slice bytes, struct af_error *error)
{
    struct taken *taken = ctx;
    for (size_t i = 0; i < bytes.len; i++)
        taken->sum = taken->sum * 31 + (unsigned char)bytes.ptr[i];
    taken->bytes += bytes.len;
    if (taken->stop_after != 0 && taken->bytes > taken->stop_after)
        return af_fail(error, AF_ECORRUPT, "that is enough");
    return AF_OK;
}

enum { BIG = 12 << 20 };

static bool big_answer(void *ctx, struct af_slice request, struct af_buf *out)
{
    (void)request;
    af_buf_printf(out, "HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n", *(int *)ctx, BIG);
    for (int i = 0; i < BIG; i++)
        af_buf_append_char(out, (char)(i * 7 % 251));
    return true;
}

AF_TEST(bodies_are_pulled_in_bounded_pieces)
{
    int status = 200;
    struct af_peer *peer = af_peer_start_with(big_answer, &status);
    struct af_http *http = client((struct af_http_options){ 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    struct taken taken = { 0 };
    struct af_http_request request = { .method = "GET", .url = af_peer_url(peer), .on_body = take, .ctx = &taken };
    AF_CHECK_OK(af_http_begin(http, &request, &answer, &err), err);
    bool is_done = false;
    unsigned pulls = 0;
    for (; !is_done; pulls++) {
        uint64_t before = taken.bytes;
        AF_CHECK_OK(af_http_pull(http, &is_done, &err), err);
        AF_CHECK(taken.bytes - before <= 512 << 10);
    }
    af_http_end(http);
    AF_CHECK_INT(taken.bytes, BIG);
    AF_CHECK(pulls > 20);
    struct taken again = { 0 };
    request.ctx = &again;
    AF_CHECK_OK(af_http_send(http, &request, &answer, &err), err);
    AF_CHECK(again.sum == taken.sum);
    AF_CHECK_INT(answer.body.len, 0);
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

AF_TEST(bodies_can_be_refused_and_abandoned)
{
    int status = 200;
    struct af_peer *peer = af_peer_start_with(big_answer, &status);
    struct af_http *http = client((struct af_http_options){ 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    struct taken taken = { .stop_after = 100000 };
    struct af_http_request request = { .method = "GET", .url = af_peer_url(peer), .on_body = take, .ctx = &taken };
    AF_CHECK_FAILS(af_http_send(http, &request, &answer, &err), AF_ECORRUPT);
    AF_CHECK_STR(err.message, "that is enough");
    taken.stop_after = 0;
    bool is_done;
    AF_CHECK_OK(af_http_begin(http, &request, &answer, &err), err);
    AF_CHECK_OK(af_http_pull(http, &is_done, &err), err);
    AF_CHECK(!is_done);
    af_http_end(http);
    request.on_body = NULL;
    AF_CHECK_FAILS(af_http_send(http, &request, &answer, &err), AF_ELIMIT);
    status = 500;
    AF_CHECK_OK(af_http_send(http, &request, &answer, &err), err);
    AF_CHECK_INT(answer.body.len, AF_HTTP_ANSWER_BYTES_MAX);
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

AF_TEST(gzip_arrives_decompressed)
{
    static const char gz[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcbH\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00";
    char answer_text[256];
    int head = snprintf(answer_text, sizeof answer_text, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
                        sizeof gz - 1);
    memcpy(answer_text + head, gz, sizeof gz - 1);
    struct af_peer_step step = { .bytes = answer_text, .len = (size_t)head + sizeof gz - 1 };
    struct af_peer *peer = af_peer_start(&step, 1);
    struct af_http *http = client((struct af_http_options){ 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    AF_CHECK_OK(get(http, af_peer_url(peer), &answer), err);
    AF_CHECK_SLICE(af_buf_slice(&answer.body), "hello");
    AF_CHECK(strstr(af_peer_request(peer, 0).ptr, "Accept-Encoding: gzip\r\n") != NULL);
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

static bool cancelled;

static void *cancel_soon(void *arg)
{
    (void)arg;
    af_clock_sleep_ms(100);
    __atomic_store_n(&cancelled, true, __ATOMIC_RELAXED);
    return NULL;
}

AF_TEST(cancel_is_seen_while_waiting)
{
    struct af_peer *peer = af_peer_start(STEPS({ .then = AF_PEER_HANG }));
    struct af_http *http = client((struct af_http_options){ 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    pthread_t thread;
    AF_CHECK(pthread_create(&thread, NULL, cancel_soon, NULL) == 0);
    struct af_http_request request = { .method = "GET", .url = af_peer_url(peer), .cancel = &cancelled };
    int64_t start = af_clock_mono_ns();
    AF_CHECK_FAILS(af_http_send(http, &request, &answer, &err), AF_ECANCELED);
    AF_CHECK(af_clock_mono_ns() - start < INT64_C(3000000000));
    pthread_join(thread, NULL);
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

AF_TEST(a_client_survives_every_failed_allocation)
{
    af_http_init();
    for (size_t n = 1; n < 4; n++) {
        struct af_http *http = NULL;
        af_alloc_fail_nth(n);
        AF_CHECK_FAILS(af_http_new(&(struct af_http_options){ .ca_file = "x" }, &http, &err), AF_ENOMEM);
        af_alloc_fail_nth(0);
        AF_CHECK(http == NULL);
    }
    struct af_http *http = client((struct af_http_options){ 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    af_alloc_fail_nth(1);
    AF_CHECK_FAILS(get(http, "http://127.0.0.1:1/", &answer), AF_ENOMEM);
    af_alloc_fail_nth(0);
    AF_CHECK_FAILS(get(http, "http://127.0.0.1:1/", &answer), AF_EIO);
    af_http_free(http);
    af_http_answer_done(&answer);
}

/* --- TLS, against openssl s_server ----------------------------------------------------------------------------------------- */

static void shell(const char *command)
{
    char line[2048];
    snprintf(line, sizeof line, "cd '%s' && { %s; } >tls.log 2>&1", af_test_dir(), command);
    if (system(line) != 0)
        af_test_failed(__FILE__, __LINE__, "failed: %s", line);
}

static void make_certificates(void)
{
    shell("k='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'; set -e;"
          "openssl req -x509 $k -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca;"
          "openssl req $k -keyout leaf.key -out leaf.csr -subj /CN=leaf;"
          "printf 'subjectAltName=DNS:localhost\\n' >ok.ext; printf 'subjectAltName=DNS:elsewhere.example\\n' >other.ext;"
          "s='openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial';"
          "$s -days 2 -extfile ok.ext -out ok.pem; $s -days 2 -extfile other.ext -out other.pem;"
          "$s -days -1 -extfile ok.ext -out old.pem");
}

struct tls_server {
    pid_t pid;
    char url[64];
};

static struct tls_server tls_start(const char *cert)
{
    struct tls_server server;
    unsigned port = af_peer_free_port();
    snprintf(server.url, sizeof server.url, "https://localhost:%u/", port);
    server.pid = fork();
    AF_CHECK(server.pid >= 0);
    if (server.pid == 0) {
        char address[32];
        snprintf(address, sizeof address, "127.0.0.1:%u", port);
        if (chdir(af_test_dir()) != 0 || freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
            _exit(1);
        execlp("openssl", "openssl", "s_server", "-accept", address, "-cert", cert, "-key", "leaf.key", "-www", "-quiet",
               (char *)NULL);
        _exit(1);
    }
    return server;
}

static struct af_http_answer seen; /* by the last tls_get; its buffers are gone */

static enum af_status tls_get(const struct tls_server *server, struct af_http_options options)
{
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    struct af_http *http = client(options);
    enum af_status status = AF_EIO;
    for (int i = 0; i < 100; i++) { /* until it listens */
        status = get(http, server->url, &answer);
        if (status == AF_OK || !says("no connection"))
            break;
        af_clock_sleep_ms(30);
    }
    if (status == AF_OK)
        AF_CHECK_INT(answer.status, 200);
    af_http_free(http);
    seen = answer;
    af_http_answer_done(&answer);
    return status;
}

static void tls_stop(const struct tls_server *server)
{
    kill(server->pid, SIGTERM);
    waitpid(server->pid, NULL, 0);
}

AF_TEST(tls_is_verified_and_refusals_teach)
{
    make_certificates();
    char ca[256];
    snprintf(ca, sizeof ca, "%s/ca.pem", af_test_dir());
    struct tls_server server = tls_start("ok.pem");
    AF_CHECK_OK(tls_get(&server, (struct af_http_options){ .ca_file = ca }), err);
    AF_CHECK_FAILS(tls_get(&server, (struct af_http_options){ 0 }), AF_EIO);
    AF_CHECK(says("CA") && says("CA file"));
    AF_CHECK_OK(tls_get(&server, (struct af_http_options){ .skip_verify = true }), err);
    AF_CHECK_FAILS(tls_get(&server, (struct af_http_options){ .ca_file = "/no/such.pem" }), AF_EINVAL);
    AF_CHECK(says("/no/such.pem"));
    tls_stop(&server);

    server = tls_start("old.pem");
    AF_CHECK_FAILS(tls_get(&server, (struct af_http_options){ .ca_file = ca }), AF_EIO);
    AF_CHECK(says("expired"));
    tls_stop(&server);

    server = tls_start("other.pem");
    AF_CHECK_FAILS(tls_get(&server, (struct af_http_options){ .ca_file = ca }), AF_EIO);
    AF_CHECK(says("another name than localhost"));
    tls_stop(&server);
}

/* What the doctor goes by: which step a connection came to, and whose certificate it is, accepted or not. */
AF_TEST(how_far_a_connection_came)
{
    make_certificates();
    char ca[256];
    snprintf(ca, sizeof ca, "%s/ca.pem", af_test_dir());
    struct tls_server server = tls_start("ok.pem");
    AF_CHECK_OK(tls_get(&server, (struct af_http_options){ .ca_file = ca, .want_certificate = true }), err);
    AF_CHECK(seen.lookup_us != 0 && seen.tls_us != 0 && seen.connect_us == seen.tls_us && seen.address[0] != '\0');
    AF_CHECK(strstr(seen.certificate_names, "localhost") != NULL && strstr(seen.certificate_by, "test-ca") != NULL);
    AF_CHECK(seen.certificate_ends_ns > af_clock_now_ns());
    AF_CHECK_FAILS(tls_get(&server, (struct af_http_options){ .want_certificate = true }), AF_EIO);
    AF_CHECK(seen.address[0] != '\0' && seen.tls_us == 0 && seen.connect_us == 0);
    tls_stop(&server);

    server = tls_start("old.pem");
    AF_CHECK_OK(tls_get(&server, (struct af_http_options){ .skip_verify = true, .want_certificate = true }), err);
    AF_CHECK(seen.certificate_ends_ns != 0 && seen.certificate_ends_ns < af_clock_now_ns());
    AF_CHECK_OK(tls_get(&server, (struct af_http_options){ .skip_verify = true }), err);
    AF_CHECK(seen.certificate_ends_ns == 0 && seen.certificate_names[0] == '\0');
    tls_stop(&server);
}

AF_TEST(a_servers_clock_and_a_port_where_nobody_is)
{
    struct af_peer *peer = af_peer_start(STEPS({ .bytes = "HTTP/1.1 204 No\r\nDate: Thu, 01 Jan 1970 00:00:10 GMT\r\n\r\n" },
                                               { .bytes = "HTTP/1.1 204 No\r\nDate: some day\r\n\r\n" },
                                               { .bytes = "HTTP/1.1 204 No\r\n\r\n" }));
    struct af_http *http = client((struct af_http_options){ .connect_timeout_ms = 2000 });
    struct af_http_answer answer;
    char url[64];
    af_http_answer_init(&answer);
    AF_CHECK_OK(get(http, af_peer_url(peer), &answer), err);
    AF_CHECK_INT(answer.date_ns, INT64_C(10000000000));
    for (int i = 0; i < 2; i++) {
        AF_CHECK_OK(get(http, af_peer_url(peer), &answer), err);
        AF_CHECK_INT(answer.date_ns, 0);
    }
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", af_peer_free_port());
    AF_CHECK_FAILS(get(http, url, &answer), AF_EIO);
    AF_CHECK(answer.lookup_us != 0 && answer.address[0] == '\0' && answer.connect_us == 0);
    AF_CHECK_FAILS(get(http, "http://no-such-host.invalid/", &answer), AF_EIO);
    AF_CHECK(answer.lookup_us == 0 && answer.address[0] == '\0');
    const char *file = af_http_ca_file();
    AF_CHECK(file == NULL || file[0] == '/');
    af_http_free(http);
    af_http_answer_done(&answer);
    af_peer_stop(peer);
}

AF_TEST(tls_on_a_plain_port_says_so)
{
    struct af_peer *peer = af_peer_start(STEPS({ .bytes = "HTTP/1.1 400 Bad Request\r\n\r\n", .is_deaf = true,
                                                 .then = AF_PEER_CLOSE }));
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", af_peer_port(peer));
    struct af_http *http = client((struct af_http_options){ 0 });
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    AF_CHECK_FAILS(get(http, url, &answer), AF_EIO);
    AF_CHECK(says("is that port https?"));
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

/* --- what services other than InfluxDB need ------------------------------------------------------------------------------------ */

static struct af_peer *exchange(const struct af_peer_step *step, const struct af_http_options *options,
                                const struct af_http_request *request,
                                struct af_http_answer *answer, enum af_status want)
{
    struct af_peer *peer = af_peer_start(step, 1);
    struct af_http *http;
    AF_CHECK_OK(af_http_new(options, &http, &err), err);
    struct af_http_request full = *request;
    char url[256];
    (void)snprintf(url, sizeof url, "%s%s", af_peer_url(peer), request->url);
    full.url = url;
    enum af_status status = af_http_send(http, &full, answer, &err);
    if (status != want)
        af_test_failed(__FILE__, __LINE__, "%s: %s", af_status_name(status), err.message);
    af_http_free(http);
    return peer;
}

AF_TEST(answer_headers_are_kept)
{
    static const struct af_peer_step step = { .bytes = "HTTP/1.1 100 Continue\r\nX-Lost: 1\r\n\r\nHTTP/1.1 200 OK\r\nETag: \"ab\"\r\n"
                                                       "x-amz-Request-ID:  R 1 \r\nX-Two: 1\r\nX-Two: 2\r\nX-Empty:\r\nContent-Length: "
                                                       "0\r\n\r\n" };
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    struct af_peer *peer = exchange(&step, &(struct af_http_options){ 0 }, &(struct af_http_request){ .method = "GET", .url = "/" },
                                    &answer, AF_OK);
    AF_CHECK_SLICE(af_http_answer_header(&answer, "etag"), "\"ab\"");
    AF_CHECK_SLICE(af_http_answer_header(&answer, "x-amz-request-id"), "R 1");
    AF_CHECK_SLICE(af_http_answer_header(&answer, "x-two"), "1");
    AF_CHECK_SLICE(af_http_answer_header(&answer, "x-empty"), "");
    AF_CHECK(af_http_answer_header(&answer, "x-empty").ptr != NULL);
    AF_CHECK(af_http_answer_header(&answer, "x-lost").ptr == NULL && af_http_answer_header(&answer, "x-tw").ptr == NULL);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

AF_TEST(too_many_answer_headers_are_cut_not_fatal)
{
    struct af_buf text;
    af_buf_init(&text, 1 << 20);
    af_buf_append_str(&text, "HTTP/1.1 200 OK\r\nX-First: yes\r\nContent-Length: 2\r\n");
    for (int i = 0; i < 90; i++)
        af_buf_printf(&text, "X-Fill-%d: %01000d\r\n", i, i);
    af_buf_append_str(&text, "X-Last: no\r\n\r\nok");
    struct af_peer_step step = { .bytes = af_buf_cstr(&text) };
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    struct af_peer *peer = exchange(&step, &(struct af_http_options){ 0 }, &(struct af_http_request){ .method = "GET", .url = "/" },
                                    &answer, AF_OK);
    AF_CHECK_SLICE(af_http_answer_header(&answer, "x-first"), "yes");
    AF_CHECK(af_http_answer_header(&answer, "x-last").ptr == NULL && answer.headers.len <= AF_HTTP_HEADERS_BYTES_MAX);
    AF_CHECK_SLICE(af_buf_slice(&answer.body), "ok");
    af_peer_stop(peer);
    af_http_answer_done(&answer);
    af_buf_done(&text);
}

AF_TEST(head_has_no_body)
{
    static const struct af_peer_step step = { .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 12345678901\r\n\r\n" };
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    struct af_peer *peer = exchange(&step, &(struct af_http_options){ 0 }, &(struct af_http_request){ .method = "HEAD", .url = "/a/../b" },
                                    &answer, AF_OK);
    AF_CHECK_SLICE(af_http_answer_header(&answer, "content-length"), "12345678901");
    AF_CHECK_INT(answer.body.len, 0);
    AF_CHECK(af_slice_has_prefix(af_peer_request(peer, 0), "HEAD /a/../b HTTP/1.1\r\n")); /* the path as it was written */
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

AF_TEST(put_says_its_length_even_of_nothing)
{
    static const struct af_peer_step step = { .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" };
    static const char *const headers[] = { "Content-Type:", "X-Nothing;", NULL };
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    struct af_peer *peer = exchange(&step, &(struct af_http_options){ .no_proxy = true, .stall_timeout_ms = UINT32_MAX },
                                    &(struct af_http_request){ .method = "PUT", .url = "/x", .headers = headers }, &answer, AF_OK);
    struct af_slice sent = af_peer_request(peer, 0);
    AF_CHECK(memmem(sent.ptr, sent.len, "Content-Length: 0\r\n", 19) != NULL && memmem(sent.ptr, sent.len, "Content-Type", 12) == NULL);
    AF_CHECK(memmem(sent.ptr, sent.len, "X-Nothing:\r\n", 12) != NULL && memmem(sent.ptr, sent.len, "Expect", 6) == NULL);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

AF_TEST(a_redirect_is_an_answer_where_it_must_not_be_followed)
{
    static const struct af_peer_step step = { .bytes = "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nx-amz-bucket-region: "
                                                       "eu-west-1\r\n"
                                                       "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nas_i" };
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    struct af_peer *peer = exchange(&step, &(struct af_http_options){ .no_redirects = true, .as_is = true },
                                    &(struct af_http_request){ .method = "GET", .url = "/" }, &answer, AF_OK);
    AF_CHECK_INT(answer.status, 301);
    AF_CHECK_SLICE(af_buf_slice(&answer.body), "as_i");
    struct af_slice sent = af_peer_request(peer, 0);
    AF_CHECK(memmem(sent.ptr, sent.len, "Accept-Encoding", 15) == NULL);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

static enum af_status refuse(void *ctx, struct af_slice bytes, struct af_error *e)
{
    (void)ctx;
    return af_fail(e, AF_ECONFLICT, "no: %zu", bytes.len);
}

AF_TEST(a_refused_body_keeps_the_head)
{
    static const struct af_peer_step whole = { .bytes = "HTTP/1.1 206 Partial\r\nETag: x\r\nContent-Length: 4\r\n\r\nbody" };
    static const struct af_peer_step cut = { .bytes = "HTTP/1.1 206 Partial\r\nETag: x\r\nContent-Length: 40\r\n\r\n",
                                             .then = AF_PEER_CLOSE };
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    struct af_http_request request = { .method = "GET", .url = "/", .on_body = refuse };
    af_peer_stop(exchange(&whole, &(struct af_http_options){ 0 }, &request, &answer, AF_ECONFLICT));
    AF_CHECK(answer.refused && says("no: 4"));
    AF_CHECK_INT(answer.status, 206);
    af_peer_stop(exchange(&cut, &(struct af_http_options){ 0 }, &request, &answer, AF_EIO));
    AF_CHECK(!answer.refused);
    AF_CHECK_INT(answer.status, 206);
    AF_CHECK_SLICE(af_http_answer_header(&answer, "etag"), "x");
    af_http_answer_done(&answer);
}

AF_TEST(a_request_has_a_time_of_its_own)
{
    static const struct af_peer_step step = { .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .delay_ms = 3000 };
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    int64_t start = af_clock_mono_ns();
    struct af_http_request request = { .method = "GET", .url = "/", .timeout_ms = 200 };
    struct af_peer *peer = exchange(&step, &(struct af_http_options){ .total_timeout_ms = 60000 }, &request, &answer, AF_EIO);
    AF_CHECK(says("within 200 ms") && af_clock_mono_ns() - start < 2500000000);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}
