/*
 * aws_peer.c - the ground of src/aws on a pipe, for test_aws_core.py and sigv4_suite.py: one JSON object a line in, one a line out.
 *
 *     sign         method path query headers hash region service access secret token now s3 keep  -> canonical string authorization
 *     presign      the same and base, expires                                                     -> url
 *     chunk        the same and previous, chunk                                                   -> signature
 *     endpoint     service region env                                                             -> url own
 *     credentials  env profile                                                                    -> access secret token source expires
 *     judge        status code                                                                    -> verdict
 *     rate         start events                                                                   -> values
 *
 * query and headers are lists of [name, value]; env is all of the environment that there is. events are [nanoseconds, what] of one client
 * in adaptive mode: "send" gives how long it waits; "fine" and "throttled", what was heard, the rate, the measured rate and the tokens. A
 * failure is {"error": status, "message"}.
 */
#include "aws/aws_int.h"
#include "base/alloc.h"
#include "format/json/json.h"
#include <stdio.h>
#include <stdlib.h>

static struct af_arena arena;
static struct af_buf out;
static struct af_error err;
static const struct af_json *asked;

static struct af_slice text_of(const char *name)
{
    struct af_slice text = af_json_string(asked, name);
    return text.ptr != NULL ? text : AF_SLICE_LIT("");
}

static const char *string_of(const char *name)
{
    return af_arena_copy(&arena, text_of(name));
}

static int64_t number_of(const char *name)
{
    int64_t value = 0;
    (void)af_json_i64(af_json_get(asked, name), &value);
    return value;
}

static bool is_set(const char *name)
{
    const struct af_json *flag = af_json_get(asked, name);
    return flag != NULL && flag->is_true;
}

static size_t pairs_of(const char *name, struct af_aws_pair **pairs)
{
    const struct af_json *list = af_json_get(asked, name);
    size_t count = 0;
    for (const struct af_json *at = list != NULL ? list->first : NULL; at != NULL; at = at->next)
        count++;
    *pairs = af_arena_zero(&arena, count + 1, sizeof **pairs);
    count = 0;
    for (const struct af_json *at = list != NULL ? list->first : NULL; at != NULL; at = at->next)
        (*pairs)[count++] = (struct af_aws_pair){ at->first->text, at->first->next->text };
    return count;
}

static void put(const char *name, struct af_slice value)
{
    af_buf_append_char(&out, out.len == 0 ? '{' : ',');
    af_json_append_string(&out, af_slice_of(name));
    af_buf_append_char(&out, ':');
    af_json_append_string(&out, value);
}

/* --- signatures ----------------------------------------------------------------------------------------------------------------- */

static struct af_aws_to_sign request(struct af_aws_credentials *who)
{
    struct af_aws_pair *query, *headers;
    size_t query_count = pairs_of("query", &query), header_count = pairs_of("headers", &headers);
    (void)snprintf(who->access_key, sizeof who->access_key, "%s", string_of("access"));
    (void)snprintf(who->secret_key, sizeof who->secret_key, "%s", string_of("secret"));
    (void)snprintf(who->session_token, sizeof who->session_token, "%s", string_of("token"));
    return (struct af_aws_to_sign){ .method = text_of("method"), .path = text_of("path"), .query = query, .query_count = query_count,
                                    .headers = headers, .header_count = header_count, .payload_hash = text_of("hash"),
                                    .region = string_of("region"), .service = string_of("service"), .credentials = who,
                                    .now_ns = number_of("now") * INT64_C(1000000000), .is_s3 = is_set("s3"), .keep_path = is_set("keep") };
}

static enum af_status sign(void)
{
    static struct af_aws_credentials who;
    struct af_aws_to_sign r = request(&who);
    struct af_aws_signed made;
    AF_TRY(af_aws_sign(&r, &made, &err));
    put("canonical", af_buf_slice(&made.canonical_request));
    put("string", af_buf_slice(&made.string_to_sign));
    put("authorization", af_buf_slice(&made.authorization));
    put("signature", af_slice_of(made.signature));
    af_aws_signed_done(&made);
    return AF_OK;
}

static enum af_status presign(void)
{
    static struct af_aws_credentials who;
    struct af_aws_to_sign r = request(&who);
    struct af_buf url;
    af_buf_init(&url, 1 << 20);
    enum af_status status = af_aws_presign(&r, text_of("base"), (uint32_t)number_of("expires"), &url, &err);
    if (status == AF_OK)
        put("url", af_buf_slice(&url));
    af_buf_done(&url);
    return status;
}

static enum af_status chunk(void)
{
    static struct af_aws_credentials who;
    struct af_aws_to_sign r = request(&who);
    struct af_aws_signed made;
    char signature[65];
    AF_TRY(af_aws_sign(&r, &made, &err));
    const char *previous = text_of("previous").len != 0 ? string_of("previous") : made.signature;
    enum af_status status = af_aws_sign_chunk(&r, made.key, previous, text_of("chunk"), signature, &err);
    if (status == AF_OK)
        put("signature", af_slice_of(signature));
    af_aws_signed_done(&made);
    return status;
}

/* --- configuration ---------------------------------------------------------------------------------------------------------------- */

static const char *variable(void *ctx, const char *name)
{
    struct af_slice value = af_json_string(ctx, name);
    return value.ptr != NULL ? af_arena_copy(&arena, value) : NULL;
}

static enum af_status open_aws(struct af_aws **aws)
{
    struct af_aws_options options = { .variable = variable, .ctx = (void *)(uintptr_t)af_json_get(asked, "env") };
    if (text_of("profile").len != 0)
        options.profile = string_of("profile");
    if (text_of("region").len != 0)
        options.region = string_of("region");
    return af_aws_open(&options, aws, &err);
}

static enum af_status endpoint(void)
{
    struct af_aws *aws = NULL;
    struct af_aws_client *client = NULL;
    enum af_status status = open_aws(&aws);
    if (status == AF_OK)
        status = af_aws_client_new(aws, string_of("service"), &client, &err);
    if (status == AF_OK) {
        put("url", af_slice_of(af_aws_client_url(client)));
        put("own", af_slice_of(af_aws_client_is_own(client) ? "true" : "false"));
    }
    af_aws_client_free(client);
    af_aws_close(aws);
    return status;
}

static enum af_status credentials(void)
{
    static struct af_aws_credentials found;
    struct af_aws *aws = NULL;
    enum af_status status = open_aws(&aws);
    if (status == AF_OK)
        status = af_aws_credentials_get(aws, &found, &err);
    if (status == AF_OK) {
        put("access", af_slice_of(found.access_key));
        put("secret", af_slice_of(found.secret_key));
        put("token", af_slice_of(found.session_token));
        put("source", af_slice_of(found.source));
        put("expires", af_slice_of(af_arena_printf(&arena, "%lld", (long long)(found.expires_ns / 1000000000))));
    }
    af_aws_close(aws);
    return status;
}

/* --- retries ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status judge(void)
{
    static const char *const names[] = { [AWS_DONE] = "done", [AWS_FAILED] = "failed", [AWS_TRANSIENT] = "transient",
                                         [AWS_THROTTLED] = "throttled", [AWS_EXPIRED] = "expired", [AWS_SKEWED] = "skewed" };
    put("verdict", af_slice_of(names[aws_judge((int)number_of("status"), string_of("code"))]));
    return AF_OK;
}

static enum af_status rate(void)
{
    const struct af_json *list = af_json_get(asked, "events");
    struct aws_retry_state retry;
    struct af_buf values;
    af_buf_init(&values, 1 << 20);
    aws_retry_init(&retry, number_of("start"));
    for (const struct af_json *at = list != NULL ? list->first : NULL; at != NULL; at = at->next) {
        int64_t now_ns = 0;
        (void)af_json_i64(at->first, &now_ns);
        if (af_slice_is(at->first->next->text, "send")) {
            af_buf_printf(&values, "%.17g ", aws_rate_wait_s(&retry, now_ns));
        } else {
            aws_rate_take(&retry, now_ns, af_slice_is(at->first->next->text, "throttled"));
            af_buf_printf(&values, "%.17g %.17g %.17g ", retry.rate, retry.measured, retry.filled);
        }
    }
    put("values", af_buf_slice(&values));
    af_buf_done(&values);
    return AF_OK;
}

static enum af_status answer(struct af_slice line)
{
    static const struct {
        const char *name;
        enum af_status (*run)(void);
    } calls[] = { { "sign", sign }, { "presign", presign }, { "chunk", chunk }, { "endpoint", endpoint }, { "credentials", credentials },
                { "judge", judge }, { "rate", rate } };
    struct af_json *root;
    AF_TRY(af_json_parse(line, &arena, &root, &err));
    asked = root;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (af_slice_is(text_of("do"), calls[i].name))
            return calls[i].run();
    return af_fail(&err, AF_EINVAL, "no such call");
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    af_arena_init(&arena, 64 << 20);
    af_buf_init(&out, 16 << 20);
    while ((len = getline(&line, &cap, stdin)) > 0) {
        af_arena_reset(&arena);
        af_buf_clear(&out);
        enum af_status status = answer(af_slice_make(line, (size_t)len));
        if (status != AF_OK) {
            af_buf_clear(&out);
            put("error", af_slice_of(af_status_name(status)));
            put("message", af_slice_of(err.message));
        }
        (void)printf("%s}\n", af_buf_cstr(&out));
        (void)fflush(stdout);
    }
    free(line);
    af_buf_done(&out);
    af_arena_done(&arena);
    return 0;
}
