/*
 * call_fuzz.c - answers of JSON services from anybody: messages, depths, metrics; secrets with a token in them; base64.
 *
 * The first byte chooses. An answer is taken as promised or refused in words; what is refused leaves nothing behind.
 */
#include "aws/cloudwatch_int.h"
#include "aws/secrets.h"
#include "aws/sqs_int.h"
#include "base/utf8.h"
#include "codec/base64.h"
#include <stdlib.h>

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void messages(struct aws_call *call, struct af_arena *arena, struct af_error *err)
{
    struct af_sqs_message out[3];
    size_t count = 77;
    if (sqs_take_messages(call, 3, arena, out, &count, err) != AF_OK) {
        check(count == 77 && err->status != AF_OK && err->message[0] != '\0');
        return;
    }
    check(count <= 3);
    for (size_t i = 0; i < count; i++) {
        check(out[i].id.len != 0 && out[i].body.len != 0 && out[i].receipt.len != 0 && out[i].sent_ns >= 0);
        check(af_utf8_is_valid(out[i].body) && af_utf8_is_valid(out[i].reason));
    }
}

static void depth(struct aws_call *call, struct af_error *err)
{
    struct af_sqs_depth out = { 0 };
    if (sqs_take_depth(call, &out, err) == AF_OK)
        check(out.visibility_s <= 43200 && (out.max_receives != 0) == (out.dead_letters[0] != '\0'));
    else
        check(err->status == AF_ECORRUPT || err->status == AF_ENOMEM);
}

static void metrics(struct aws_call *call, struct af_arena *arena, struct af_error *err)
{
    struct metric_series series = { .arena = arena };
    if (metric_take_results(call, &series, err) == AF_OK)
        check(series.count <= series.cap);
    else
        check(err->message[0] != '\0');
}

static void answer(uint8_t kind, struct af_slice text)
{
    struct aws_call call;
    struct af_arena arena;
    struct af_error err = { 0 };
    aws_call_begin(&call, NULL, "Service", "Operation");
    af_arena_init(&arena, 16 << 20);
    af_buf_append_slice(&call.text, text);
    if (aws_call_parse(&call, &err) != AF_OK)
        check(strncmp(err.message, "Service Operation: ", 19) == 0 || err.status == AF_ENOMEM);
    else if (kind == 0)
        messages(&call, &arena, &err);
    else if (kind == 1)
        depth(&call, &err);
    else
        metrics(&call, &arena, &err);
    aws_call_end(&call);
    af_arena_done(&arena);
}

/* What is taken for a token can stand in a header. */
static void token(struct af_slice secret)
{
    struct af_buf out;
    struct af_error err = { 0 };
    af_buf_init(&out, 1 << 16);
    if (af_secrets_token(secret, &out, &err) == AF_OK) {
        check(out.len != 0);
        for (size_t i = 0; i < out.len; i++)
            check(out.ptr[i] > ' ' && out.ptr[i] <= '~');
    } else {
        check(out.len == 0 && err.message[0] != '\0');
    }
    af_buf_done(&out);
}

/* Text that stands for bytes is what those bytes are written as, padding aside. */
static void base64(struct af_slice text)
{
    struct af_buf bytes, again;
    af_buf_init(&bytes, 1 << 20);
    af_buf_init(&again, 2 << 20);
    if (af_base64_decode(text, &bytes)) {
        af_base64_append(&again, af_buf_slice(&bytes));
        check(again.len >= text.len && again.len - text.len <= 2 && (text.len == 0 || memcmp(again.ptr, text.ptr, text.len) == 0));
    } else {
        check(bytes.len == 0);
    }
    af_buf_done(&bytes);
    af_buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 1 << 16)
        return 0;
    const struct af_slice text = af_slice_make(data + 1, size - 1);
    const uint8_t kind = data[0] % 5;
    if (kind < 3)
        answer(kind, text);
    else if (kind == 3)
        token(text);
    else
        base64(text);
    return 0;
}
