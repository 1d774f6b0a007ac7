/*
 * failures.c - the queue of failures: messages that nobody understands, objects that cannot be loaded, rows that are no points. The reason
 * is the message's attribute `Reason`; bodies are such that they can be sent to the loader's own queue, or be taken by
 * `afluxo migrate --retry-dead-letters`, once the cause is mended.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "format/json/json.h"
#include "lambda/lambda_int.h"
#include "os/clock.h"
#include "os/file.h"
#include <inttypes.h>
#include <stdio.h>

/* A queue's own limit may be as low as 256 KiB, attributes included. */
enum { MESSAGE_BYTES_MAX = 200 << 10, BEGINS_BYTES = 2000, REASON_BYTES_MAX = 1000, PIECE_BYTES = 32 << 10 };

enum af_status lambda_failures_open(struct lambda_failures *failures, struct af_aws *aws, struct af_error *err)
{
    *failures = (struct lambda_failures){ .queue = lambda_text(aws, LAMBDA_FAILED_WRITES_QUEUE_URL) };
    return failures->queue != NULL ? af_aws_client_new(aws, "sqs", &failures->sqs, err) : AF_OK;
}

void lambda_failures_close(struct lambda_failures *failures)
{
    af_aws_client_free(failures->sqs);
    failures->sqs = NULL;
}

/* A queue takes the characters of XML 1.0: not U+FFFE and U+FFFF, which rows and keys may hold. In JSON they can be written in ASCII. */
static enum af_status make_sendable(struct af_slice body, struct af_buf *copy, struct af_slice *out, struct af_error *err)
{
    size_t from = 0;
    *out = body;
    for (size_t i = 0; i + 3 <= body.len; i++) {
        const unsigned char *at = (const unsigned char *)body.ptr + i;
        if (at[0] != 0xEF || at[1] != 0xBF || at[2] < 0xBE)
            continue;
        af_buf_append(copy, body.ptr + from, i - from);
        af_buf_append_str(copy, at[2] == 0xBE ? "\\ufffe" : "\\uffff");
        from = i + 3;
    }
    if (from == 0)
        return AF_OK;
    af_buf_append(copy, body.ptr + from, body.len - from);
    *out = af_buf_slice(copy);
    return af_buf_check(copy, "a message", err);
}

static enum af_status send(struct lambda_failures *failures, struct af_slice body, const char *reason, struct af_error *err)
{
    char words[REASON_BYTES_MAX];
    (void)snprintf(words, sizeof words, "%.*s", (int)sizeof words - 1, reason);
    for (char *c = words; *c != '\0'; c++) /* a queue takes no control characters; keys and rows may hold any */
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
            *c = '?';
    const struct af_sqs_message message = { .body = body, .reason = af_slice_of(words) };
    enum af_status status = af_sqs_send(failures->sqs, failures->queue, &message, 0, err);
    if (status != AF_OK)
        af_error_prefix(err, "the queue of failures: ");
    failures->sent += status == AF_OK;
    return status;
}

enum af_status lambda_failures_send(struct lambda_failures *failures, struct af_slice body, const char *reason, struct af_error *err)
{
    struct af_buf copy;
    struct af_slice sendable;
    af_buf_init(&copy, AF_LAMBDA_ARENA_BYTES_MAX);
    enum af_status status = make_sendable(body, &copy, &sendable, err);
    if (status == AF_OK)
        status = send(failures, sendable, reason, err);
    af_buf_done(&copy);
    return status;
}

/* --- a file of letters --------------------------------------------------------------------------------------------------- */

struct sender {
    struct lambda_failures *failures;
    const char *reason;
    int64_t end_mono_ns;
    struct af_buf message, line; /* line: as much of it as a message holds */
    uint64_t line_bytes;         /* all of it */
};

static enum af_status flush(struct sender *s, struct af_error *err)
{
    if (s->message.len == 0)
        return AF_OK;
    if (s->end_mono_ns != 0 && af_clock_mono_ns() >= s->end_mono_ns)
        return af_fail(err, AF_ECANCELED, "the deadline came before all refused rows were in the queue of failures");
    AF_TRY(lambda_failures_send(s->failures, af_buf_slice(&s->message), s->reason, err));
    af_buf_clear(&s->message);
    return AF_OK;
}

/* Where a row is and why it was refused stands at the beginning of its line. */
static void shorten(struct sender *s)
{
    struct af_buf short_line;
    af_buf_init(&short_line, MESSAGE_BYTES_MAX);
    af_buf_printf(&short_line, "{\"too_long\":%" PRIu64 ",\"begins\":", s->line_bytes);
    af_json_append_string(&short_line, af_slice_make(s->line.ptr, BEGINS_BYTES));
    af_buf_append_char(&short_line, '}');
    af_buf_done(&s->line);
    s->line = short_line;
}

static enum af_status end_line(struct sender *s, struct af_error *err)
{
    if (s->line_bytes == 0)
        return AF_OK;
    AF_TRY(af_buf_check(&s->line, "a dead letter", err));
    if (s->line_bytes > MESSAGE_BYTES_MAX - 1)
        shorten(s);
    if (s->message.len + s->line.len + 1 > MESSAGE_BYTES_MAX)
        AF_TRY(flush(s, err));
    af_buf_append_slice(&s->message, af_buf_slice(&s->line));
    af_buf_append_char(&s->message, '\n');
    AF_TRY(af_buf_check(&s->line, "a dead letter", err));
    AF_TRY(af_buf_check(&s->message, "dead letters", err));
    af_buf_clear(&s->line);
    s->line_bytes = 0;
    return AF_OK;
}

static enum af_status take(struct sender *s, struct af_slice piece, struct af_error *err)
{
    while (piece.len != 0) {
        const char *end = memchr(piece.ptr, '\n', piece.len);
        size_t len = end != NULL ? (size_t)(end - piece.ptr) : piece.len;
        size_t room = MESSAGE_BYTES_MAX - s->line.len;
        af_buf_append(&s->line, piece.ptr, len < room ? len : room);
        s->line_bytes += len;
        if (end == NULL)
            break;
        AF_TRY(end_line(s, err));
        piece = af_slice_make(end + 1, piece.len - len - 1);
    }
    return AF_OK;
}

static enum af_status send_all(struct sender *s, struct af_file_input *in, char *piece, struct af_error *err)
{
    size_t got = 1;
    while (got != 0) {
        AF_TRY(af_file_input_read(in, piece, PIECE_BYTES, &got, err));
        AF_TRY(take(s, af_slice_make(piece, got), err));
    }
    AF_TRY(end_line(s, err));
    return flush(s, err);
}

enum af_status lambda_failures_send_file(struct lambda_failures *failures, const char *path, const char *reason, int64_t end_mono_ns,
                                         struct af_error *err)
{
    struct af_file_input *in;
    struct sender s = { .failures = failures, .reason = reason, .end_mono_ns = end_mono_ns };
    char *piece = af_alloc(PIECE_BYTES);
    if (piece == NULL)
        return af_fail_nomem(err, "dead letters");
    af_buf_init(&s.message, MESSAGE_BYTES_MAX);
    af_buf_init(&s.line, MESSAGE_BYTES_MAX);
    enum af_status status = af_file_input_open(path, &in, err);
    if (status == AF_OK) {
        status = send_all(&s, in, piece, err);
        af_file_input_close(in);
    }
    af_buf_done(&s.message);
    af_buf_done(&s.line);
    af_free(piece);
    return status;
}
