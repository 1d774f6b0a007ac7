/* call.c - see call.h. */
#include "aws/call.h"
#include "aws/aws_int.h"
#include "codec/digest.h"
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Ten messages of 1 MiB are the largest answer there is; escaped, a letter takes up to three times its bytes. */
enum { BODY_BYTES_MAX = 16 << 20, TEXT_BYTES_MAX = 32 << 20, ARENA_BYTES_MAX = 96 << 20, SHOWN_BYTES = 40 };

static const struct af_json nothing = { .kind = AF_JSON_OBJECT };

void aws_call_begin(struct aws_call *call, struct af_aws_client *client, const char *service, const char *operation)
{
    *call = (struct aws_call){ .client = client, .service = service, .operation = operation, .answer = &nothing };
    af_buf_init(&call->body, BODY_BYTES_MAX);
    af_buf_init(&call->text, TEXT_BYTES_MAX);
    af_arena_init(&call->arena, ARENA_BYTES_MAX);
    af_buf_append_char(&call->body, '{');
}

void aws_wipe_json(const struct af_json *node)
{
    for (; node != NULL; node = node->next) {
        if (node->kind == AF_JSON_STRING && node->text.len != 0)
            af_wipe((char *)node->text.ptr, node->text.len);
        aws_wipe_json(node->first);
    }
}

static void wipe_buf(struct af_buf *buf)
{
    if (buf->ptr != NULL)
        af_wipe(buf->ptr, buf->cap);
    af_buf_done(buf);
}

void aws_call_end(struct aws_call *call)
{
    aws_wipe_json(call->answer->first);
    call->answer = &nothing;
    wipe_buf(&call->body);
    wipe_buf(&call->text);
    af_arena_done(&call->arena);
}

/* --- the body -------------------------------------------------------------------------------------------------------------- */

void aws_put_name(struct aws_call *call, const char *name)
{
    struct af_buf *body = &call->body;
    const char last = body->len != 0 ? body->ptr[body->len - 1] : '{';
    af_buf_printf(body, "%s\"%s\":", last == '{' ? "" : ",", name);
}

void aws_put_text(struct aws_call *call, const char *name, struct af_slice text)
{
    aws_put_name(call, name);
    af_json_append_string(&call->body, text);
}

void aws_put_u64(struct aws_call *call, const char *name, uint64_t value)
{
    aws_put_name(call, name);
    af_buf_printf(&call->body, "%" PRIu64, value);
}

void aws_put_json(struct aws_call *call, const char *name, struct af_slice json)
{
    aws_put_name(call, name);
    af_buf_append_slice(&call->body, json);
}

/* --- there and back --------------------------------------------------------------------------------------------------------- */

static enum af_status take_bytes(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct aws_call *call = ctx;
    af_buf_append_slice(&call->text, bytes);
    if (!call->text.failed)
        return AF_OK;
    if (call->text.is_too_large)
        return af_fail(err, AF_ELIMIT, "%s %s: the answer has more than %d MiB", call->service, call->operation, TEXT_BYTES_MAX >> 20);
    return af_fail_nomem(err, "an answer");
}

static void forget_bytes(void *ctx)
{
    struct aws_call *call = ctx;
    af_buf_clear(&call->text);
}

enum af_status aws_bad_answer(const struct aws_call *call, struct af_error *err, const char *fmt, ...)
{
    char words[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    return af_fail(err, AF_ECORRUPT, "%s %s: the answer %s", call->service, call->operation, words);
}

/* Only what is no JSON at all is shown: no secret begins a document that way. */
static enum af_status not_json(const struct aws_call *call, const struct af_error *why, struct af_error *err)
{
    const struct af_slice text = af_slice_trim(af_buf_slice(&call->text));
    if (text.len != 0 && text.ptr[0] == '<')
        return aws_bad_answer(call, err, "is no JSON (it begins \"%.*s\"): is a proxy or another server in between?",
                              (int)(text.len < SHOWN_BYTES ? text.len : SHOWN_BYTES), text.ptr);
    return aws_bad_answer(call, err, "is no JSON: %s", why->message);
}

enum af_status aws_call_parse(struct aws_call *call, struct af_error *err)
{
    struct af_json *tree = NULL;
    struct af_error why = { 0 };
    if (af_slice_trim(af_buf_slice(&call->text)).len == 0)
        return AF_OK;
    const enum af_status status = af_json_parse(af_buf_slice(&call->text), &call->arena, &tree, &why);
    if (status == AF_ECORRUPT)
        return not_json(call, &why, err);
    if (status != AF_OK) {
        if (err != NULL)
            *err = why;
        af_error_prefix(err, "%s %s: ", call->service, call->operation);
        return status;
    }
    call->answer = tree;
    if (tree->kind == AF_JSON_OBJECT)
        return AF_OK;
    aws_wipe_json(tree);
    call->answer = &nothing;
    return aws_bad_answer(call, err, "is JSON, but no object");
}

enum af_status aws_call_send_body(struct aws_call *call, struct af_slice body, struct af_error *err)
{
    struct af_aws_answer answer;
    const struct af_aws_request request = {
        .path = af_slice_of(call->path),
        .is_encoded = true,
        .headers = call->headers,
        .header_count = call->header_count,
        .target = call->path != NULL ? NULL : call->operation,
        .body = body,
        .on_body = take_bytes,
        .again = forget_bytes,
        .ctx = call,
        .cancel = call->cancel,
    };
    af_aws_answer_init(&answer);
    const enum af_status status = af_aws_send(call->client, &request, &answer, err);
    (void)snprintf(call->code, sizeof call->code, "%s", answer.code);
    call->http_status = answer.http.status;
    af_aws_answer_done(&answer);
    if (status != AF_OK && call->path != NULL) /* a request whose path says the operation */
        af_error_prefix(err, "%s: ", call->operation);
    return status != AF_OK ? status : aws_call_parse(call, err);
}

enum af_status aws_call_send(struct aws_call *call, struct af_error *err)
{
    af_buf_append_char(&call->body, '}');
    AF_TRY(af_buf_check(&call->body, "a request", err));
    return aws_call_send_body(call, af_buf_slice(&call->body), err);
}

/* --- the answer -------------------------------------------------------------------------------------------------------------- */

enum af_status aws_need_text(const struct aws_call *call, const struct af_json *object, const char *name, struct af_slice *out,
                             struct af_error *err)
{
    const struct af_json *member = af_json_get(object, name);
    if (member == NULL || member->kind == AF_JSON_NULL)
        return aws_bad_answer(call, err, "has no \"%s\"", name);
    if (member->kind != AF_JSON_STRING)
        return aws_bad_answer(call, err, "has a \"%s\" that is no text", name);
    if (member->text.len == 0)
        return aws_bad_answer(call, err, "has an empty \"%s\"", name);
    *out = member->text;
    return AF_OK;
}

enum af_status aws_take_list(const struct aws_call *call, const struct af_json *object, const char *name, const struct af_json **out,
                             struct af_error *err)
{
    const struct af_json *member = af_json_get(object, name);
    *out = NULL;
    if (member == NULL || member->kind == AF_JSON_NULL)
        return AF_OK;
    if (member->kind != AF_JSON_ARRAY)
        return aws_bad_answer(call, err, "has a \"%s\" that is no list", name);
    *out = member->first;
    return AF_OK;
}

enum af_status aws_need_copy(const struct aws_call *call, const struct af_json *object, const char *name, char *out, size_t cap,
                             struct af_error *err)
{
    struct af_slice text;
    AF_TRY(aws_need_text(call, object, name, &text, err));
    if (text.len >= cap || memchr(text.ptr, '\0', text.len) != NULL)
        return aws_bad_answer(call, err, "has a \"%s\" of %zu bytes, more than the %zu it may have, or a NUL in it", name, text.len,
                              cap - 1);
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return AF_OK;
}

struct af_slice aws_keep(struct af_arena *arena, struct af_slice text)
{
    return (struct af_slice){ af_arena_copy(arena, text), text.len };
}

enum af_status aws_take_object(struct aws_call *call, struct af_slice text, const char *what, const struct af_json **out,
                               struct af_error *err)
{
    struct af_json *tree = NULL;
    struct af_error why = { 0 };
    *out = NULL;
    if (text.ptr == NULL)
        return AF_OK;
    const enum af_status status = af_json_parse(text, &call->arena, &tree, &why);
    if (status == AF_ENOMEM)
        return af_fail_nomem(err, what);
    if (status != AF_OK)
        return af_fail(err, AF_EINVAL, "%s is no JSON: %s", what, why.message);
    if (tree->kind != AF_JSON_OBJECT)
        return af_fail(err, AF_EINVAL, "%s must be a JSON object, {...}", what);
    *out = tree;
    return AF_OK;
}
