/* http_test.c - the HTTP client against answers that mean harm: heads and bodies without end, bombs, lengths that are none, redirects. */
#include "base/alloc.h"
#include "base/limits.h"
#include "codec/compress.h"
#include "net/http.h"
#include "os/clock.h"
#include "test/lib/http_peer.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_error err;

/* GET of what `step` answers, with a token that must not be in a message. */
static enum af_status get(const struct af_peer_step *step, struct af_http_answer *answer)
{
    static const char *const headers[] = { "Authorization: Token s3cret", NULL };
    struct af_http *http;
    struct af_peer *peer = af_peer_start(step, 1);
    AF_CHECK_OK(af_http_new(&(struct af_http_options){ .stall_timeout_ms = 20000 }, &http, &err), err);
    af_http_answer_init(answer);
    err.message[0] = '\0';
    const struct af_http_request request = { .method = "GET", .url = af_peer_url(peer), .headers = headers };
    enum af_status status = af_http_send(http, &request, answer, &err);
    AF_CHECK(strstr(err.message, "s3cret") == NULL);
    af_http_free(http);
    af_peer_stop(peer);
    return status;
}

static void check_endless(const char *begin, const char *again)
{
    struct af_buf text;
    struct af_http_answer answer;
    af_buf_init(&text, 4 << 20);
    af_buf_append_str(&text, begin);
    while (text.len < (3 << 20))
        af_buf_append_str(&text, again);
    AF_CHECK_FAILS(get(&(struct af_peer_step){ .bytes = text.ptr, .len = text.len, .then = AF_PEER_HANG }, &answer), AF_EIO);
    bool is_ours = strstr(err.message, "goes on past 1024 KiB") != NULL;
    if (!is_ours && strstr(err.message, "Too large response headers") == NULL) /* some libcurl's own */
        af_test_failed(__FILE__, __LINE__, "%.20s: %s", again, err.message);
    AF_CHECK(answer.headers.len <= AF_HTTP_HEADERS_BYTES_MAX);
    af_http_answer_done(&answer);
    af_buf_done(&text);
}

AF_TEST(heads_without_end_are_left)
{
    check_endless("HTTP/1.1 200 OK\r\n", "X-Fill: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n");
    check_endless("", "HTTP/1.1 100 Continue\r\n\r\n");
    check_endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", "X-Trailer: 0123456789012345678901234567\r\n");
}

AF_TEST(a_failure_without_end_is_answer_enough)
{
    struct af_buf text;
    struct af_http_answer answer;
    af_buf_init(&text, 16 << 20);
    af_buf_append_str(&text, "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 9223372036854775807\r\n\r\n");
    for (int i = 0; i < AF_HTTP_ANSWER_BYTES_MAX + 4096; i++)
        af_buf_append_char(&text, 'x');
    AF_CHECK_OK(get(&(struct af_peer_step){ .bytes = text.ptr, .len = text.len, .then = AF_PEER_HANG }, &answer), err);
    AF_CHECK_INT(answer.status, 503);
    AF_CHECK_INT(answer.retry_after_ms, 7000);
    AF_CHECK_INT(answer.body.len, AF_HTTP_ANSWER_BYTES_MAX);
    af_http_answer_done(&answer);
    af_buf_done(&text);
}

/* 64 MiB of zeros. */
static void make_bomb(struct af_buf *out)
{
    enum { ZEROS = 64 << 20 };
    struct af_codec_ctx ctx = { 0 };
    struct af_buf zeros;
    af_buf_init(&zeros, ZEROS);
    AF_CHECK(af_buf_reserve(&zeros, ZEROS) != NULL);
    memset(zeros.ptr, 0, ZEROS);
    AF_CHECK_OK(af_compress(&ctx, AF_CODEC_GZIP, 0, af_slice_make(zeros.ptr, ZEROS), out, &err), err);
    af_codec_ctx_done(&ctx);
    af_buf_done(&zeros);
}

AF_TEST(bombs_are_put_out)
{
    struct af_buf bomb, text;
    struct af_http_answer answer;
    af_buf_init(&bomb, 80 << 20);
    make_bomb(&bomb);
    static const int codes[] = { 200, 500 };
    for (size_t i = 0; i < 2; i++) {
        af_buf_init(&text, 4 << 20);
        af_buf_printf(&text, "HTTP/1.1 %d X\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", codes[i], bomb.len);
        af_buf_append_slice(&text, af_buf_slice(&bomb));
        enum af_status status = get(&(struct af_peer_step){ .bytes = text.ptr, .len = text.len }, &answer);
        AF_CHECK_INT(status, codes[i] == 200 ? AF_ELIMIT : AF_OK);
        AF_CHECK_INT(answer.status, codes[i]);
        AF_CHECK(answer.body.len <= AF_HTTP_ANSWER_BYTES_MAX);
        af_http_answer_done(&answer);
        af_buf_done(&text);
    }
    af_buf_done(&bomb);
}

AF_TEST(lengths_that_are_none_are_refused)
{
    static const char *const lies[] = { "Content-Length: -1\r\n\r\nabc", "Content-Length: 99999999999999999999\r\n\r\nabc",
                                        "Content-Length: 0x10\r\n\r\nabcdefghij", "Content-Length: 5\r\nContent-Length: 3\r\n\r\nabc",
                                        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
                                        "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n" };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        char text[256];
        struct af_http_answer answer;
        (void)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%s", lies[i]);
        enum af_status status = get(&(struct af_peer_step){ .bytes = text, .then = AF_PEER_CLOSE }, &answer);
        if (status != AF_EIO)
            af_test_failed(__FILE__, __LINE__, "%zu: %s, %zu bytes", i, af_status_name(status), answer.body.len);
        af_http_answer_done(&answer);
    }
}

/* --- redirects ------------------------------------------------------------------------------------------------------------- */

static bool say_here(void *ctx, struct af_slice request, struct af_buf *out)
{
    (void)request;
    af_buf_printf(out, "HTTP/1.1 301 Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", (const char *)ctx);
    return true;
}

AF_TEST(a_ring_of_redirects_ends)
{
    char here[64] = "";
    struct af_http *http;
    struct af_http_answer answer;
    struct af_peer *peer = af_peer_start_with(say_here, here);
    (void)snprintf(here, sizeof here, "%s/again", af_peer_url(peer));
    AF_CHECK_OK(af_http_new(&(struct af_http_options){ 0 }, &http, &err), err);
    af_http_answer_init(&answer);
    AF_CHECK_FAILS(af_http_send(http, &(struct af_http_request){ .method = "GET", .url = af_peer_url(peer) }, &answer, &err), AF_EIO);
    AF_CHECK_INT(af_peer_requests(peer), 6);
    AF_CHECK(strstr(err.message, "redirect") != NULL);
    af_http_free(http);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}

AF_TEST(a_redirect_to_somebody_else_takes_no_secret_along)
{
    static const char *const headers[] = { "Authorization: Token s3cret", "Cookie: s3cret", NULL };
    char there[64] = "";
    struct af_http *http;
    struct af_http_answer answer;
    struct af_peer *peer = af_peer_start_with(say_here, there);
    struct af_peer *other = af_peer_start(&(struct af_peer_step){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }, 1);
    (void)snprintf(there, sizeof there, "%s/x", af_peer_url(other));
    AF_CHECK_OK(af_http_new(&(struct af_http_options){ 0 }, &http, &err), err);
    af_http_answer_init(&answer);
    const struct af_http_request request = { .method = "GET", .url = af_peer_url(peer), .headers = headers };
    AF_CHECK_OK(af_http_send(http, &request, &answer, &err), err);
    struct af_slice first = af_peer_request(peer, 0), second = af_peer_request(other, 0);
    AF_CHECK(memmem(first.ptr, first.len, "s3cret", 6) != NULL && memmem(second.ptr, second.len, "s3cret", 6) == NULL);
    af_http_free(http);
    af_peer_stop(other);
    af_peer_stop(peer);
    af_http_answer_done(&answer);
}
