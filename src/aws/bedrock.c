/*
 * bedrock.c - see bedrock.h (REST JSON). The model is one segment of the path, and may be an ARN with slashes and colons.
 */
#include "aws/bedrock.h"
#include "aws/call.h"
#include "base/numbers.h"
#include "base/utf8.h"
#include "net/url.h"
#include <inttypes.h>
#include <math.h>

enum { MODEL_BYTES_MAX = 2048, TEXT_BYTES_MAX = 4 << 20, TOKENS = 1024, DIMENSIONS_MAX = 65536 };
static const char service[] = "Bedrock";
static const struct af_aws_pair as_json[] = { { { "Content-Type", 12 }, { "application/json", 16 } }, { { "Accept", 6 },
                                                                                                        { "application/json", 16 } } };

static enum af_status check_text(const char *what, struct af_slice text, struct af_error *err)
{
    if (text.len > TEXT_BYTES_MAX || !af_utf8_is_valid(text))
        return af_fail(err, AF_EINVAL, "Bedrock: %s is UTF-8 of at most %d bytes", what, TEXT_BYTES_MAX);
    return AF_OK;
}

/* /model/MODEL/ACTION */
static enum af_status make_path(const char *model, const char *action, struct af_buf *out, struct af_error *err)
{
    const struct af_slice name = af_slice_of(model);
    if (name.len == 0 || name.len > MODEL_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "Bedrock: a model's id or ARN has 1 to %d bytes", MODEL_BYTES_MAX);
    af_buf_append_str(out, "/model/");
    af_url_append_escaped(out, name);
    af_buf_printf(out, "/%s", action);
    return af_buf_check(out, "the path of a model", err);
}

/* --- a turn of a conversation --------------------------------------------------------------------------------------------------- */

static void put_turn(struct aws_call *call, const struct af_bedrock_turn *turn)
{
    struct af_buf *body = &call->body;
    char number[AF_F64_TEXT_MAX];
    aws_put_name(call, "messages");
    af_buf_append_str(body, "[{\"role\":\"user\",\"content\":[{\"text\":");
    af_json_append_string(body, turn->user);
    af_buf_append_str(body, "}]}]");
    if (turn->system.ptr != NULL) {
        aws_put_name(call, "system");
        af_buf_append_str(body, "[{\"text\":");
        af_json_append_string(body, turn->system);
        af_buf_append_str(body, "}]");
    }
    aws_put_name(call, "inferenceConfig");
    af_buf_printf(body, "{\"maxTokens\":%" PRIu32 ",\"temperature\":", turn->max_tokens != 0 ? turn->max_tokens : TOKENS);
    af_buf_append(body, number, (size_t)(af_f64_print(number, turn->temperature) - number));
    af_buf_append_char(body, '}');
}

static enum af_status take_turn(const struct aws_call *call, struct af_arena *arena, struct af_buf *out, const char **out_stop,
                                struct af_error *err)
{
    const struct af_json *message = af_json_get(af_json_get(call->answer, "output"), "message"), *block;
    const size_t mark = out->len;
    struct af_slice stop;
    AF_TRY(aws_need_text(call, call->answer, "stopReason", &stop, err));
    if (message == NULL || af_json_get(message, "content") == NULL)
        return aws_bad_answer(call, err, "has no \"output\" with a \"message\" with \"content\"");
    AF_TRY(aws_take_list(call, message, "content", &block, err));
    const char *kept = af_arena_copy(arena, stop);
    if (kept == NULL)
        return af_arena_fail(arena, stop.len, "an answer", err);
    for (; block != NULL; block = block->next) /* what is not text: reasoning, calls of tools */
        af_buf_append_slice(out, af_json_string(block, "text"));
    const enum af_status status = af_buf_check(out, "a model's answer", err);
    if (status != AF_OK)
        af_buf_rewind(out, mark);
    else
        *out_stop = kept;
    return status;
}

static enum af_status converse(struct aws_call *call, const struct af_bedrock_turn *turn, struct af_arena *arena, struct af_buf *out,
                               const char **out_stop, struct af_error *err)
{
    put_turn(call, turn);
    AF_TRY(aws_call_send(call, err));
    return take_turn(call, arena, out, out_stop, err);
}

enum af_status af_bedrock_converse(struct af_aws_client *client, const struct af_bedrock_turn *turn, struct af_arena *arena,
                                   struct af_buf *out, const char **out_stop, struct af_error *err)
{
    struct aws_call call;
    struct af_buf path;
    if (turn->user.len == 0)
        return af_fail(err, AF_EINVAL, "Bedrock: a turn without words");
    if (!isfinite(turn->temperature))
        return af_fail(err, AF_EINVAL, "Bedrock: the temperature is no number");
    AF_TRY(check_text("what the user says", turn->user, err));
    AF_TRY(check_text("the system's text", turn->system, err));
    af_buf_init(&path, MODEL_BYTES_MAX * 3 + 64);
    aws_call_begin(&call, client, service, "Converse");
    enum af_status status = make_path(turn->model, "converse", &path, err);
    call.path = af_buf_cstr(&path);
    call.headers = as_json;
    call.header_count = 1;
    if (status == AF_OK)
        status = converse(&call, turn, arena, out, out_stop, err);
    aws_call_end(&call);
    af_buf_done(&path);
    return status;
}

/* --- embeddings ------------------------------------------------------------------------------------------------------------------ */

static enum af_status take_vector(const struct aws_call *call, uint32_t dimensions, struct af_arena *arena, float **out, size_t *out_count,
                                  struct af_error *err)
{
    const struct af_json *number;
    size_t count = 0;
    AF_TRY(aws_take_list(call, call->answer, "embedding", &number, err));
    for (const struct af_json *n = number; n != NULL; n = n->next)
        count++;
    if (count == 0 || count > DIMENSIONS_MAX || (dimensions != 0 && count != dimensions))
        return aws_bad_answer(call, err, "has an \"embedding\" of %zu numbers", count);
    float *vector = af_arena_array(arena, count, sizeof *vector);
    if (vector == NULL)
        return af_arena_fail(arena, count * sizeof *vector, "an embedding", err);
    for (size_t i = 0; i < count; i++, number = number->next) {
        double value;
        if (!af_json_f64(number, &value) || !(fabs(value) <= 3.4e38))
            return aws_bad_answer(call, err, "has an \"embedding\" with something else than numbers in it");
        vector[i] = (float)value;
    }
    *out = vector;
    *out_count = count;
    return AF_OK;
}

static enum af_status embed(struct aws_call *call, struct af_slice text, uint32_t dimensions, struct af_arena *arena, float **out,
                            size_t *out_count, struct af_error *err)
{
    aws_put_text(call, "inputText", text);
    if (dimensions != 0)
        aws_put_u64(call, "dimensions", dimensions);
    AF_TRY(aws_call_send(call, err));
    return take_vector(call, dimensions, arena, out, out_count, err);
}

enum af_status af_bedrock_embed(struct af_aws_client *client, const char *model, struct af_slice text, uint32_t dimensions,
                                struct af_arena *arena, float **out, size_t *out_count, struct af_error *err)
{
    struct aws_call call;
    struct af_buf path;
    if (text.len == 0)
        return af_fail(err, AF_EINVAL, "Bedrock: nothing has no embedding");
    AF_TRY(check_text("what is embedded", text, err));
    af_buf_init(&path, MODEL_BYTES_MAX * 3 + 64);
    aws_call_begin(&call, client, service, "InvokeModel");
    enum af_status status = make_path(model, "invoke", &path, err);
    call.path = af_buf_cstr(&path);
    call.headers = as_json;
    call.header_count = 2;
    if (status == AF_OK)
        status = embed(&call, text, dimensions, arena, out, out_count, err);
    aws_call_end(&call);
    af_buf_done(&path);
    return status;
}
