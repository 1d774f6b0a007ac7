/*
 * credentials_http.c - sources that are asked over HTTP: a container's endpoint, the instance's metadata; and web identity, which is a
 * token of a file that STS takes.
 *
 * Sources: "IAM roles for tasks" (ECS guide), "EKS Pod Identity", "Use IMDSv2" (EC2 guide).
 */
#include "aws/aws_int.h"
#include "aws/sts.h"
#include "base/limits.h"
#include "base/calendar.h"
#include "codec/digest.h"
#include "format/json/json.h"
#include "net/url.h"
#include "os/clock.h"
#include "os/file.h"
#include <stdio.h>

#define ABSENT_NS INT64_C(900000000) /* where there are metadata, they answer sooner: one try is enough */
enum { CONNECT_MS = 1000, STALL_MS = 5000, STALL_LOCAL_MS = 2000, TRIES = 3, TOKEN_BYTES = 4096 };

enum af_status aws_small_request(struct af_aws *aws, const char *method, const char *url, const char *const *headers, struct af_slice body,
                                 enum aws_place place, int *out_status, struct af_buf *out, struct af_error *err)
{
    bool is_local = place != AWS_PLACE_NET;
    struct af_http_options options = { .connect_timeout_ms = is_local ? CONNECT_MS : 2 * STALL_MS,
                                       .stall_timeout_ms = is_local ? STALL_LOCAL_MS : 4 * STALL_MS, .total_timeout_ms = 6 * STALL_MS,
                                       .no_proxy = is_local, .no_redirects = true, .ca_file = aws->ca_file };
    struct af_http *http;
    struct af_http_answer answer;
    AF_TRY(af_http_new(&options, &http, err));
    struct af_http_request request = { .method = method, .url = url, .headers = headers, .body = body };
    enum af_status status = AF_EIO;
    *out_status = 0;
    for (int i = 0; i < TRIES; i++) {
        int64_t begun_ns = af_clock_mono_ns();
        af_http_answer_init(&answer);
        status = af_http_send(http, &request, &answer, err);
        *out_status = status == AF_OK ? answer.status : 0;
        if (status == AF_OK && answer.body.len > AF_AWS_ANSWER_BYTES_MAX)
            status = af_fail(err, AF_ELIMIT, "an answer of %zu bytes", answer.body.len);
        af_buf_clear(out);
        if (status == AF_OK)
            af_buf_append_slice(out, af_buf_slice(&answer.body));
        if (answer.body.ptr != NULL)
            af_wipe(answer.body.ptr, answer.body.len);
        af_http_answer_done(&answer);
        bool is_passing = status == AF_EIO || (status == AF_OK && (*out_status >= 500 || *out_status == 429));
        bool is_absent = place == AWS_PLACE_METADATA && af_clock_mono_ns() - begun_ns > ABSENT_NS;
        if (!is_passing || is_absent)
            break;
        if (i + 1 < TRIES)
            af_clock_sleep_ms(50u << i);
    }
    af_http_free(http);
    return status == AF_OK ? af_buf_check(out, "an answer", err) : status;
}

static void answer_init(struct af_buf *buf)
{
    af_buf_init(buf, AF_AWS_ANSWER_BYTES_MAX);
}

static void answer_done(struct af_buf *buf)
{
    if (buf->ptr != NULL)
        af_wipe(buf->ptr, buf->cap);
    af_buf_done(buf);
}

/* The first line of a file of a token. */
static enum af_status read_token(const char *path, char *out, size_t cap, struct af_error *err)
{
    struct af_buf text;
    answer_init(&text);
    enum af_status status = af_file_read_all(path, &text, err);
    struct af_slice token = af_slice_trim(af_buf_slice(&text));
    if (status == AF_OK && (token.len == 0 || token.len >= cap || memchr(token.ptr, '\n', token.len) != NULL))
        status = af_fail(err, AF_EUNAUTH, "%s: it should hold a token in one line", path);
    if (status == AF_OK) {
        memcpy(out, token.ptr, token.len);
        out[token.len] = '\0';
    }
    answer_done(&text);
    return aws_is_configured(status, err);
}

/* --- container ------------------------------------------------------------------------------------------------------------- */

/* Plain HTTP only to this machine and to the two services of ECS and EKS. */
static bool may_be_asked(const struct af_url *url)
{
    static const char *const hosts[] = { "localhost", "127.0.0.1", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23" };
    if (af_slice_is(url->scheme, "https"))
        return true;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (af_slice_is(url->host, hosts[i]))
            return true;
    bool is_number = af_slice_has_prefix(url->host, "127."); /* an address, not a name that begins like one */
    for (size_t i = 0; i < url->host.len; i++)
        is_number &= url->host.ptr[i] == '.' || (url->host.ptr[i] >= '0' && url->host.ptr[i] <= '9');
    return is_number;
}

static enum af_status container_url(struct af_aws *aws, char *out, size_t cap, struct af_error *err)
{
    const char *relative = af_aws_variable(aws, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = af_aws_variable(aws, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (relative == NULL && full == NULL)
        return af_fail(err, AF_ENOTFOUND, "no container gives any (AWS_CONTAINER_CREDENTIALS_FULL_URI is not set)");
    int len = relative != NULL ? snprintf(out, cap, "http://169.254.170.2%s%s", relative[0] == '/' ? "" : "/", relative) :
                                 snprintf(out, cap, "%s", full);
    if (len < 0 || (size_t)len >= cap)
        return af_fail(err, AF_EUNAUTH, "AWS_CONTAINER_CREDENTIALS_FULL_URI is too long");
    struct af_arena arena;
    struct af_url url;
    af_arena_init(&arena, 1 << 16);
    enum af_status status = af_url_parse(af_slice_of(out), &arena, &url, err);
    if (status == AF_OK && !may_be_asked(&url))
        status = af_fail(err, AF_EUNAUTH, "AWS_CONTAINER_CREDENTIALS_FULL_URI: a host other than this machine must be asked over https");
    af_arena_done(&arena);
    return status == AF_EINVAL ? AF_EUNAUTH : status;
}

enum af_status aws_from_container(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err)
{
    char url[2048], token[TOKEN_BYTES] = "", header[TOKEN_BYTES + 32];
    AF_TRY(container_url(aws, url, sizeof url, err));
    const char *file = af_aws_variable(aws, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *said = af_aws_variable(aws, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (file != NULL)
        AF_TRY(read_token(file, token, sizeof token, err));
    else if (said != NULL)
        (void)snprintf(token, sizeof token, "%s", said);
    if (strpbrk(token, "\r\n") != NULL)
        return af_fail(err, AF_EUNAUTH, "AWS_CONTAINER_AUTHORIZATION_TOKEN is not one line");
    (void)snprintf(header, sizeof header, "Authorization: %s", token);
    const char *const headers[] = { "Accept: application/json", token[0] != '\0' ? header : NULL, NULL };
    struct af_buf text;
    const struct af_slice nothing = { NULL, 0 };
    int code;
    answer_init(&text);
    enum af_status status = aws_small_request(aws, "GET", url, headers, nothing, AWS_PLACE_CONTAINER, &code, &text, err);
    if (status == AF_OK && code != 200)
        status = af_fail(err, code >= 500 ? AF_EIO : AF_EUNAUTH, "it answers %d", code);
    if (status == AF_OK)
        status = aws_credentials_of_json(af_buf_slice(&text), "Token", "container", out, err);
    else
        af_error_prefix(err, "credentials of the container: ");
    answer_done(&text);
    af_wipe(token, sizeof token);
    af_wipe(header, sizeof header);
    return status;
}

/* --- instance metadata ------------------------------------------------------------------------------------------------------- */

static const char *metadata_base(const struct af_aws *aws)
{
    const char *said = aws_either(aws, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
    const char *mode = aws_either(aws, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
    if (said != NULL)
        return said;
    return mode != NULL && (mode[0] == 'I' || mode[0] == 'i') && strchr(mode,
                                                                        '6') != NULL ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
}

/* GET base/path with a session token fetched before it. *out_code is the answer's. */
static enum af_status ask_metadata(struct af_aws *aws, const char *token, const char *path, int *out_code, struct af_buf *out,
                                   struct af_error *err)
{
    char url[1024], header[TOKEN_BYTES + 64];
    const char *base = metadata_base(aws);
    size_t len = strlen(base);
    (void)snprintf(url, sizeof url, "%s%s%s", base, len > 0 && base[len - 1] == '/' ? "" : "/", path);
    (void)snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %s", token);
    const char *const headers[] = { header, NULL };
    return aws_small_request(aws, "GET", url, headers, (struct af_slice){ NULL, 0 }, AWS_PLACE_METADATA, out_code, out, err);
}

/* AF_ENOTFOUND: there is no such service here. */
static enum af_status metadata_token(struct af_aws *aws, char out[TOKEN_BYTES], struct af_error *err)
{
    char url[1024];
    const char *base = metadata_base(aws);
    const char *const headers[] = { "X-aws-ec2-metadata-token-ttl-seconds: 21600", NULL };
    struct af_buf text;
    struct af_error why;
    int code;
    if (aws_flag(aws, "AWS_EC2_METADATA_DISABLED", "ec2_metadata_disabled"))
        return af_fail(err, AF_ENOTFOUND, "instance metadata is switched off (AWS_EC2_METADATA_DISABLED)");
    size_t len = strlen(base);
    (void)snprintf(url, sizeof url, "%s%slatest/api/token", base, len > 0 && base[len - 1] == '/' ? "" : "/");
    answer_init(&text);
    const struct af_slice nothing = { NULL, 0 };
    enum af_status status = aws_small_request(aws, "PUT", url, headers, nothing, AWS_PLACE_METADATA, &code, &text, &why);
    struct af_slice token = af_slice_trim(af_buf_slice(&text));
    if (status != AF_OK && strstr(why.message, "no byte moved") != NULL)
        status = af_fail(err, AF_ENOTFOUND, "instance metadata takes the connection and says nothing: in a container, the instance's "
                         "http-put-response-hop-limit must be 2");
    else if (status != AF_OK)
        status = af_fail(err, AF_ENOTFOUND, "no instance metadata answers");
    else if (code == 403)
        status = af_fail(err, AF_ENOTFOUND, "instance metadata is forbidden here");
    else if (code != 200 || token.len == 0 || token.len >= TOKEN_BYTES || memchr(token.ptr, '\n', token.len) != NULL)
        status = af_fail(err, AF_ENOTFOUND, "instance metadata gives no session token (IMDSv2): it answers %d", code);
    if (status == AF_OK) {
        memcpy(out, token.ptr, token.len);
        out[token.len] = '\0';
    }
    answer_done(&text);
    return status;
}

/* It becomes part of a path. */
static bool is_role(struct af_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i], low = c | 0x20;
        if (!((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || strchr("+=,.@_-", c) != NULL) || c == '\0')
            return false;
    }
    return name.len > 0 && name.len <= 128 && name.ptr[0] != '.';
}

static enum af_status metadata_credentials(struct af_aws *aws, const char *token, struct af_buf *text, struct af_aws_credentials *out,
                                           struct af_error *err)
{
    static const char where[] = "latest/meta-data/iam/security-credentials/";
    char path[512];
    int code;
    AF_TRY(ask_metadata(aws, token, where, &code, text, err));
    if (code == 404)
        return af_fail(err, AF_ENOTFOUND, "the instance has no role");
    struct af_slice role = af_slice_trim(af_buf_slice(text));
    const char *end = role.len != 0 ? memchr(role.ptr, '\n', role.len) : NULL;
    role.len = end != NULL ? (size_t)(end - role.ptr) : role.len;
    if (code != 200 || !is_role(role))
        return af_fail(err, AF_EUNAUTH, "instance metadata answers %d for the name of the role, and no name", code);
    (void)snprintf(path, sizeof path, "%s" AF_SLICE_FMT, where, AF_SLICE_ARG(role));
    AF_TRY(ask_metadata(aws, token, path, &code, text, err));
    if (code != 200)
        return af_fail(err, AF_EUNAUTH, "instance metadata answers %d for the role's credentials", code);
    return aws_credentials_of_json(af_buf_slice(text), "Token", "instance metadata", out, err);
}

enum af_status aws_from_metadata(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err)
{
    char token[TOKEN_BYTES];
    struct af_buf text;
    AF_TRY(metadata_token(aws, token, err));
    answer_init(&text);
    enum af_status status = metadata_credentials(aws, token, &text, out, err);
    answer_done(&text);
    af_wipe(token, sizeof token);
    return status;
}

enum af_status aws_metadata_region(struct af_aws *aws, char *out, size_t cap, struct af_error *err)
{
    char token[TOKEN_BYTES];
    struct af_buf text;
    int code = 0;
    AF_TRY(metadata_token(aws, token, err));
    answer_init(&text);
    enum af_status status = ask_metadata(aws, token, "latest/meta-data/placement/region", &code, &text, err);
    struct af_slice region = af_slice_trim(af_buf_slice(&text));
    if (status == AF_OK && (code != 200 || region.len == 0 || region.len >= cap))
        status = af_fail(err, AF_ENOTFOUND, "instance metadata answers %d for the region", code);
    if (status == AF_OK) {
        memcpy(out, region.ptr, region.len);
        out[region.len] = '\0';
    }
    answer_done(&text);
    return status;
}

/* --- web identity -------------------------------------------------------------------------------------------------------------- */

enum af_status aws_assume_web(struct af_aws *aws, const char *role_arn, const char *session, const char *token_file,
                              struct af_aws_credentials *out, struct af_error *err)
{
    char token[AF_AWS_TOKEN_BYTES];
    struct af_aws_client *client = NULL;
    AF_TRY(read_token(token_file, token, sizeof token, err));
    struct af_sts_role role = { .role_arn = role_arn, .session_name = session, .web_identity = af_slice_of(token) };
    enum af_status status = af_aws_client_new(aws, "sts", &client, err);
    if (status == AF_OK)
        status = af_sts_assume(client, &role, out, err);
    af_aws_client_free(client);
    af_wipe(token, sizeof token);
    return aws_is_configured(status, err);
}

enum af_status aws_from_web_identity(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err)
{
    const char *file = af_aws_variable(aws, "AWS_WEB_IDENTITY_TOKEN_FILE"), *role = af_aws_variable(aws, "AWS_ROLE_ARN");
    if (file == NULL)
        return af_fail(err, AF_ENOTFOUND, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
    if (role == NULL)
        return af_fail(err, AF_EUNAUTH, "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not");
    AF_TRY(aws_assume_web(aws, role, af_aws_variable(aws, "AWS_ROLE_SESSION_NAME"), file, out, err));
    (void)snprintf(out->source, sizeof out->source, "web identity");
    return AF_OK;
}
