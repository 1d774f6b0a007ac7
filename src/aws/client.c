/*
 * client.c - one request to AWS and its attempts.
 *
 *     build --> sign --> send --> judge --+--> done
 *       ^                                 +--> expired credentials: others, once
 *       |                                 +--> skewed clock: the service's time, once
 *       +------------- pause <------------+--> throttled, passing fault, no answer: while attempts, quota and deadline allow
 *                                         '--> refused
 */
#include "aws/aws_int.h"
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "codec/digest.h"
#include "format/json/json.h"
#include "format/xml/xml.h"
#include "net/url.h"
#include "os/clock.h"
#include <stdio.h>

#define SKEW_NS (INT64_C(240) * AF_NS_PER_S) /* services take five minutes */
enum { HEADERS_MAX = 32, LOOK_MS = 20, WORDS_MAX = 400, STALL_DEFAULT = 60000 };

struct af_aws_client {
    struct af_aws *aws;
    const struct aws_service *service;
    struct af_http *http;
    struct af_buf url;                     /* scheme://host[:port][/prefix] */
    char region[64];
    bool is_own, is_configured;            /* the endpoint: AWS's own; or as somebody set it */
    bool has_fixed;
    const struct af_aws_credentials *fixed;
    int64_t until;
    char last_code[96];
};

/* --- life ---------------------------------------------------------------------------------------------------------------- */

enum af_status af_aws_client_point(struct af_aws_client *client, const char *url, const char *region, struct af_error *err)
{
    const char *wanted = region;
    enum af_status status = AF_OK;
    bool is_own = false;
    struct af_buf place;
    af_buf_init(&place, 8192);
    if (wanted == NULL && aws_service_region(client->service, NULL) == NULL) /* the instance's metadata are asked, too */
        status = af_aws_region(client->aws, &wanted, err);
    else if (wanted == NULL)
        wanted = aws_known_region(client->aws);
    if (status == AF_OK)
        wanted = aws_service_region(client->service, wanted);
    if (status == AF_OK && !aws_is_region(wanted)) /* a service's answer may have named it */
        status = af_fail(err, AF_EINVAL, "\"%.100s\" is no region of AWS", wanted);
    if (status == AF_OK && url != NULL) {
        size_t len = strlen(url);
        while (len > 0 && url[len - 1] == '/')
            len--;
        af_buf_append(&place, url, len);
        status = af_buf_check(&place, "an endpoint", err);
    } else if (status == AF_OK) {
        status = aws_endpoint(client->aws, client->service, wanted, &place, &is_own, err);
        client->is_configured = status == AF_OK && !is_own;
    }
    if (status != AF_OK) {
        af_buf_done(&place);
        return status;
    }
    af_buf_done(&client->url);
    client->url = place;
    client->is_own = is_own;
    (void)snprintf(client->region, sizeof client->region, "%s", wanted);
    return AF_OK;
}

enum af_status af_aws_client_new(struct af_aws *aws, const char *service, struct af_aws_client **out, struct af_error *err)
{
    struct af_aws_client *client = af_alloc_zero(1, sizeof *client);
    if (client == NULL)
        return af_fail_nomem(err, "a client of AWS");
    struct af_http_options options = aws->options.http;
    client->aws = aws;
    client->service = aws_service_find(service);
    af_buf_init(&client->url, 8192);
    options.no_redirects = true;
    options.as_is = strcmp(service, "s3") == 0;
    options.ca_file = aws->ca_file;
    if (options.stall_timeout_ms == 0)
        options.stall_timeout_ms = STALL_DEFAULT;
    if (options.user_agent == NULL)
        options.user_agent = aws->user_agent;
    enum af_status status = client->service != NULL ? AF_OK : af_fail(err, AF_EBUG, "no service of AWS is called %s here", service);
    if (status == AF_OK)
        status = af_aws_client_point(client, NULL, NULL, err);
    if (status == AF_OK)
        status = af_http_new(&options, &client->http, err);
    if (status != AF_OK) {
        af_aws_client_free(client);
        return status;
    }
    *out = client;
    return AF_OK;
}

void af_aws_client_free(struct af_aws_client *client)
{
    if (client == NULL)
        return;
    af_http_free(client->http);
    af_buf_done(&client->url);
    af_free(client);
}

const char *af_aws_client_url(const struct af_aws_client *client)
{
    return af_buf_cstr((struct af_buf *)(uintptr_t)&client->url);
}

bool af_aws_client_is_own(const struct af_aws_client *client)
{
    return client->is_own;
}

bool aws_client_is_configured(const struct af_aws_client *client)
{
    return client->is_configured;
}

int64_t *aws_client_until(struct af_aws_client *client)
{
    return &client->until;
}

void aws_client_use(struct af_aws_client *client, const struct af_aws_credentials *credentials)
{
    client->has_fixed = credentials != NULL;
    client->fixed = credentials;
}

const struct aws_service *aws_client_service(const struct af_aws_client *client)
{
    return client->service;
}

const char *af_aws_last_code(const struct af_aws_client *client)
{
    return client->last_code;
}

/* --- answers ----------------------------------------------------------------------------------------------------------------- */

void af_aws_answer_init(struct af_aws_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    af_http_answer_init(&answer->http);
}

void af_aws_answer_done(struct af_aws_answer *answer)
{
    af_http_answer_done(&answer->http);
}

/* "com.amazonaws.x#Code:http://..." to "Code". */
static void take_code(struct af_aws_answer *answer, struct af_slice code)
{
    for (size_t i = 0; i < code.len; i++)
        if (code.ptr[i] == '#') {
            code = af_slice_make(code.ptr + i + 1, code.len - i - 1);
            break;
        }
    for (size_t i = 0; i < code.len; i++)
        if (code.ptr[i] == ':')
            code.len = i;
    size_t at = 0;
    for (size_t i = 0; i < code.len && at + 1 < sizeof answer->code; i++)
        if (code.ptr[i] > ' ' && code.ptr[i] < 127)
            answer->code[at++] = code.ptr[i];
    answer->code[at] = '\0';
}

/* What follows "The Canonical String" of a refused signature holds the session's token. */
static void take_words(struct af_slice words, char out[WORDS_MAX])
{
    const char *canonical = words.len != 0 ? memmem(words.ptr, words.len, "anonical", 8) : NULL;
    if (canonical != NULL)
        words.len = (size_t)(canonical - words.ptr) - (canonical != words.ptr);
    size_t len = words.len < WORDS_MAX - 1 ? words.len : WORDS_MAX - 1;
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)words.ptr[i] < ' ' ? ' ' : words.ptr[i];
    out[len] = '\0';
}

static void read_json_error(struct af_aws_answer *answer, struct af_slice body, struct af_arena *arena, char words[WORDS_MAX])
{
    struct af_json *root = NULL;
    if (af_json_parse(body, arena, &root, NULL) != AF_OK)
        return;
    struct af_slice code = af_json_string(root, "__type");
    if (code.len == 0)
        code = af_json_string(root, "code");
    if (answer->code[0] == '\0')
        take_code(answer, code);
    struct af_slice said = af_json_string(root, "message");
    take_words(said.len != 0 ? said : af_json_string(root, "Message"), words);
}

static void read_xml_error(struct af_aws_answer *answer, struct af_slice body, struct af_arena *arena, char words[WORDS_MAX])
{
    struct af_xml *root = NULL;
    if (af_xml_parse(body, arena, &root, NULL) != AF_OK)
        return;
    const struct af_xml *error = af_slice_is(root->name, "Error") ? root : af_xml_get(root, "Error");
    if (error == NULL && af_xml_get(root, "Errors") != NULL)
        error = af_xml_get(af_xml_get(root, "Errors"), "Error");
    if (error == NULL)
        return;
    if (answer->code[0] == '\0')
        take_code(answer, af_slice_trim(af_xml_text(error, "Code")));
    take_words(af_slice_trim(af_xml_text(error, "Message")), words);
    struct af_slice id = af_xml_text(error, "RequestId");
    if (answer->request_id[0] == '\0' && id.len != 0 && id.len < sizeof answer->request_id) {
        memcpy(answer->request_id, id.ptr, id.len);
        answer->request_id[id.len] = '\0';
    }
}

static void take_request_id(struct af_aws_answer *answer)
{
    static const char *const names[] = { "x-amzn-requestid", "x-amz-request-id", "x-amz-requestid" };
    answer->request_id[0] = '\0';
    for (size_t i = 0; i < 3 && answer->request_id[0] == '\0'; i++) {
        struct af_slice id = af_http_answer_header(&answer->http, names[i]);
        (void)snprintf(answer->request_id, sizeof answer->request_id, "%.*s", id.len < 90 ? (int)id.len : 90, id.ptr != NULL ? id.ptr : "");
    }
}

/* code, request id and the service's words of a failure. */
static void read_error(struct af_aws_answer *answer, char words[WORDS_MAX])
{
    struct af_slice body = af_slice_trim(af_buf_slice(&answer->http.body));
    struct af_arena arena;
    af_arena_init(&arena, 16 << 20);
    answer->code[0] = words[0] = '\0';
    take_request_id(answer);
    /* SQS to clients of its older protocol: the code that they know, behind it who is to blame. */
    take_code(answer, af_http_answer_header(&answer->http, "x-amzn-errortype"));
    if (body.len != 0 && body.ptr[0] == '<')
        read_xml_error(answer, body, &arena, words);
    else if (body.len != 0 && body.ptr[0] == '{')
        read_json_error(answer, body, &arena, words);
    af_arena_done(&arena);
}

/* --- one attempt ------------------------------------------------------------------------------------------------------------- */

struct attempt {
    struct af_aws_client *client;
    const struct af_aws_request *request;
    struct af_aws_answer *answer;
    struct af_arena arena;                  /* of this attempt */
    struct af_aws_credentials credentials;
    uint64_t generation;
    int64_t skew_ns;                        /* of the clock it was signed by */
    bool is_session;                        /* signed with credentials that end */
    struct af_buf url, path;
    struct af_aws_pair headers[HEADERS_MAX];
    size_t header_count;
    char words[WORDS_MAX];
};

static void put_header(struct attempt *a, const char *name, struct af_slice value)
{
    if (a->header_count < HEADERS_MAX)
        a->headers[a->header_count] = (struct af_aws_pair){ af_slice_of(name), value };
    a->header_count++;
}

static bool has_header(const struct attempt *a, const char *name)
{
    for (size_t i = 0; i < a->request->header_count; i++) {
        struct af_slice n = a->request->headers[i].name;
        if (n.len == strlen(name) && strncasecmp(n.ptr, name, n.len) == 0)
            return true;
    }
    return false;
}

/* url and path as on the wire, Host. */
static enum af_status build_url(struct attempt *a, struct af_error *err)
{
    struct af_url url;
    const struct af_aws_request *r = a->request;
    AF_TRY(af_url_parse(af_buf_slice(&a->client->url), &a->arena, &url, err));
    struct af_slice path = r->path.len != 0 ? r->path : AF_SLICE_LIT("/");
    bool is_usual = url.port == (af_slice_is(url.scheme, "https") ? 443 : 80);
    const char *prefix = r->host_prefix != NULL ? r->host_prefix : "";
    bool is_v6 = memchr(url.host.ptr, ':', url.host.len) != NULL;
    char port[16] = "";
    if (!is_usual)
        (void)snprintf(port, sizeof port, ":%u", url.port);
    const char *host = af_arena_printf(&a->arena, "%s%s%.*s%s%s", prefix, is_v6 ? "[" : "", AF_SLICE_ARG(url.host), is_v6 ? "]" : "", port);
    if (host == NULL)
        return af_fail_nomem(err, "a request");
    put_header(a, "Host", af_slice_of(host));
    if (url.path.len > 1)
        af_buf_append_slice(&a->path, url.path);
    if (r->is_encoded)
        af_buf_append_slice(&a->path, path);
    for (size_t i = 0, start = 0; i <= path.len && !r->is_encoded; i++) {
        if (i < path.len && path.ptr[i] != '/')
            continue;
        af_url_append_escaped(&a->path, af_slice_make(path.ptr + start, i - start));
        if (i < path.len)
            af_buf_append_char(&a->path, '/');
        start = i + 1;
    }
    af_buf_printf(&a->url, "%.*s://%s", AF_SLICE_ARG(url.scheme), host);
    af_buf_append_slice(&a->url, af_buf_slice(&a->path));
    if (r->query_count != 0) {
        af_buf_append_char(&a->url, '?');
        AF_TRY(aws_append_query(&a->url, r->query, r->query_count, err));
    }
    AF_TRY(af_buf_check(&a->path, "a request's path", err));
    return af_buf_check(&a->url, "a request's URL", err);
}

static enum af_status hash_body(struct attempt *a, struct af_slice *out, struct af_error *err)
{
    uint8_t digest[AF_SHA256_BYTES];
    char *text = af_arena_alloc(&a->arena, 2 * AF_SHA256_BYTES);
    if (text == NULL || !af_sha256(a->request->body, digest))
        return af_fail_nomem(err, "a request");
    (void)af_hex_print(text, digest, sizeof digest);
    *out = af_slice_make(text, 2 * AF_SHA256_BYTES);
    return AF_OK;
}

static enum af_status build_headers(struct attempt *a, struct af_slice *out_hash, struct af_error *err)
{
    const struct af_aws_request *r = a->request;
    const struct aws_service *service = a->client->service;
    AF_TRY(hash_body(a, out_hash, err));
    for (size_t i = 0; i < r->header_count; i++) {
        if (a->header_count < HEADERS_MAX)
            a->headers[a->header_count] = r->headers[i];
        a->header_count++;
    }
    if (service->protocol == AWS_REST)
        put_header(a, "x-amz-content-sha256", *out_hash);
    if (!has_header(a, "content-type") && service->protocol != AWS_REST)
        put_header(a, "Content-Type", service->protocol == AWS_JSON_10 ? AF_SLICE_LIT("application/x-amz-json-1.0") :
                   service->protocol == AWS_JSON_11 ? AF_SLICE_LIT("application/x-amz-json-1.1") :
                   AF_SLICE_LIT("application/x-www-form-urlencoded; charset=utf-8"));
    else if (!has_header(a, "content-type") && service->protocol == AWS_REST && service->signing[0] == 'b')
        put_header(a, "Content-Type", AF_SLICE_LIT("application/json"));
    if (r->target != NULL && service->target != NULL) {
        const char *target = af_arena_printf(&a->arena, "%s.%s", service->target, r->target);
        if (target == NULL)
            return af_fail_nomem(err, "a request");
        put_header(a, "X-Amz-Target", af_slice_of(target));
    }
    return AF_OK;
}

/* Signed, or (no credentials are wanted) as it is. The Authorization header lives in the arena. */
static enum af_status add_signature(struct attempt *a, struct af_slice hash, struct af_error *err)
{
    const struct af_aws_client *client = a->client;
    const struct af_aws_credentials *who = client->has_fixed ? client->fixed : &a->credentials;
    if (who->access_key[0] == '\0')
        return AF_OK;
    char *date = af_arena_zero(&a->arena, 1, 20);
    if (date == NULL)
        return af_fail_nomem(err, "a request");
    int64_t now_ns = af_clock_now_ns() + a->skew_ns;
    char text[40];
    char *end = af_rfc3339_print(text, now_ns, 0);
    for (char *c = text, *to = date; c < end; c++)
        if (*c != '-' && *c != ':')
            *to++ = *c;
    put_header(a, "X-Amz-Date", af_slice_of(date));
    a->is_session = who->session_token[0] != '\0';
    if (a->is_session)
        put_header(a, "X-Amz-Security-Token", af_slice_of(who->session_token));
    if (a->header_count >= HEADERS_MAX)
        return af_fail(err, AF_EBUG, "a request with more than %d headers", (int)HEADERS_MAX);
    struct af_aws_to_sign sign = { .method = af_slice_of(a->request->method != NULL ? a->request->method : "POST"),
                                   .path = af_buf_slice(&a->path), .query = a->request->query, .query_count = a->request->query_count,
                                   .headers = a->headers, .header_count = a->header_count, .payload_hash = hash,
                                   .region = client->region, .service = client->service->signing, .credentials = who, .now_ns = now_ns,
                                   .is_s3 = client->service->signing[0] == 's' && client->service->signing[1] == '3' };
    struct af_aws_signed made;
    AF_TRY(af_aws_sign(&sign, &made, err));
    const char *authorization = af_arena_copy(&a->arena, af_buf_slice(&made.authorization));
    af_aws_signed_done(&made);
    if (authorization == NULL)
        return af_fail_nomem(err, "a request");
    put_header(a, "Authorization", af_slice_of(authorization));
    return AF_OK;
}

static enum af_status send_lines(struct attempt *a, int64_t deadline_ns, struct af_error *err)
{
    const char *lines[HEADERS_MAX + 4];
    size_t count = 0, own;
    bool has_type = false;
    for (size_t i = 1; i < a->header_count; i++) { /* libcurl writes Host */
        struct af_slice name = a->headers[i].name, value = a->headers[i].value;
        has_type |= name.len == 12 && strncasecmp(name.ptr, "content-type", 12) == 0;
        const size_t room = name.len + value.len + 3;
        char *line = af_arena_alloc(&a->arena, room);
        if (line == NULL)
            return af_fail_nomem(err, "a request");
        memcpy(line, name.ptr, name.len);
        memcpy(line + name.len, ": ", 2);
        if (value.len != 0)
            memcpy(line + name.len + 2, value.ptr, value.len);
        line[room - 1] = '\0';
        if (value.len == 0)
            line[name.len] = ';', line[name.len + 1] = '\0';
        if (strpbrk(line, "\r\n") != NULL || strlen(line) + 1 < (value.len == 0 ? 0 : room))
            return af_fail(err, AF_EINVAL, "the header %.*s of a request has a line end or a byte 0 in it", AF_SLICE_ARG(name));
        lines[count++] = line;
    }
    own = count;
    if (!has_type)
        lines[count++] = "Content-Type:";
    lines[count++] = NULL;
    int64_t left_ms = deadline_ns != 0 ? (deadline_ns - af_clock_mono_ns()) / 1000000 : 0;
    struct af_http_request request = { .method = a->request->method != NULL ? a->request->method : "POST", .url = af_buf_cstr(&a->url),
                                       .headers = lines, .body = a->request->body, .on_body = a->request->on_body, .ctx = a->request->ctx,
                                       .cancel = a->request->cancel,
                                       .timeout_ms = deadline_ns == 0 ? 0 : left_ms < 1 ? 1 : left_ms > INT32_MAX ? 0 : (uint32_t)left_ms };
    enum af_status status = af_http_send(a->client->http, &request, &a->answer->http, err);
    for (size_t i = 0; i < own; i++) /* signature and token */
        af_wipe((char *)(uintptr_t)lines[i], strlen(lines[i]));
    return status;
}

static enum af_status attempt(struct attempt *a, struct af_error *err)
{
    struct af_slice hash;
    const struct af_aws_request *r = a->request;
    af_arena_init(&a->arena, 64 << 20);
    af_buf_init(&a->url, AF_AWS_SIGNED_BYTES_MAX);
    af_buf_init(&a->path, AF_AWS_SIGNED_BYTES_MAX);
    a->header_count = 0;
    af_aws_answer_done(a->answer);
    uint32_t attempts = a->answer->attempts;
    af_aws_answer_init(a->answer);
    a->answer->attempts = attempts + 1;
    a->skew_ns = aws_skew_ns(a->client->aws);
    enum af_status status = AF_OK;
    if (!a->client->has_fixed)
        status = aws_credentials_take(a->client->aws, &a->credentials, &a->generation, err);
    if (status == AF_OK)
        status = build_url(a, err);
    if (status == AF_OK)
        status = build_headers(a, &hash, err);
    if (status == AF_OK)
        status = add_signature(a, hash, err);
    if (status == AF_OK)
        status = send_lines(a, r->deadline_mono_ns, err);
    af_wipe(&a->credentials, sizeof a->credentials);
    af_buf_done(&a->url);
    af_buf_done(&a->path);
    af_arena_done(&a->arena);
    return status;
}

/* --- again? ------------------------------------------------------------------------------------------------------------------ */

/* "Wed, 25 Nov 2026 06:20:59 GMT" */
static bool parse_date(struct af_slice s, int64_t *out_ns)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct af_civil c = { 0 };
    if (s.len < 29 || s.ptr[3] != ',')
        return false;
    for (unsigned i = 0; i < 12; i++)
        if (memcmp(s.ptr + 8, months + (size_t)3 * i, 3) == 0)
            c.month = (uint8_t)(i + 1);
    static const struct {
        size_t at, len;
    } numbers[] = { { 5, 2 }, { 12, 4 }, { 17, 2 }, { 20, 2 }, { 23, 2 } };
    int value[5] = { 0 };
    for (size_t n = 0; n < 5; n++)
        for (size_t i = 0; i < numbers[n].len; i++) {
            char digit = s.ptr[numbers[n].at + i];
            if (digit < '0' || digit > '9')
                return false;
            value[n] = value[n] * 10 + (digit - '0');
        }
    c.day = (uint8_t)value[0];
    c.year = value[1];
    c.hour = (uint8_t)value[2];
    c.minute = (uint8_t)value[3];
    c.second = (uint8_t)value[4];
    return c.month != 0 && af_civil_to_ns(&c, out_ns);
}

struct tries {
    bool was_expired, was_skewed;
    unsigned cost;           /* tokens taken for the attempt at work */
};

/* Was the request signed by a clock that was off? Another thread may have corrected it since. */
static bool learn_clock(struct attempt *a)
{
    int64_t theirs_ns, ours_ns = af_clock_now_ns();
    if (!parse_date(af_http_answer_header(&a->answer->http, "date"), &theirs_ns))
        return false;
    int64_t off_ns = theirs_ns - (ours_ns + a->skew_ns);
    if (off_ns < SKEW_NS && off_ns > -SKEW_NS)
        return false;
    aws_learn_skew(a->client->aws, theirs_ns - ours_ns);
    return true;
}

/* A refusal without a word (of HEAD: there is no body) that a clock or old credentials explain. */
static enum aws_verdict guess(struct attempt *a, enum aws_verdict verdict)
{
    int status = a->answer->http.status;
    int64_t theirs_ns;
    if (verdict != AWS_FAILED || a->answer->code[0] != '\0' || (status != 400 && status != 403))
        return verdict;
    if (parse_date(af_http_answer_header(&a->answer->http, "date"), &theirs_ns)) {
        int64_t off_ns = theirs_ns - (af_clock_now_ns() + a->skew_ns);
        if (off_ns >= SKEW_NS || off_ns <= -SKEW_NS)
            return AWS_SKEWED;
    }
    return status == 400 && a->is_session ? AWS_EXPIRED : verdict;
}

/* The service's own wish, Retry-After or x-amz-retry-after (milliseconds). */
static uint64_t asked_pause_ms(const struct attempt *a)
{
    uint64_t ms = a->answer->http.retry_after_ms;
    struct af_slice text = af_http_answer_header(&a->answer->http, "x-amz-retry-after");
    int64_t said;
    return text.len != 0 && af_i64_parse(text, &said) && said > 0 && (uint64_t)said > ms ? (uint64_t)said : ms;
}

/* Written by another thread, or a signal. */
static bool is_cancelled(const struct af_aws_request *r)
{
    return r->cancel != NULL && __atomic_load_n(r->cancel, __ATOMIC_RELAXED);
}

/* False: cancelled, or the deadline comes before. */
static bool pause_for(const struct af_aws_request *r, uint32_t ms)
{
    int64_t until_ns = af_clock_mono_ns() + (int64_t)ms * 1000000;
    if (r->deadline_mono_ns != 0 && until_ns >= r->deadline_mono_ns)
        return false;
    while (af_clock_mono_ns() < until_ns) {
        if (is_cancelled(r))
            return false;
        af_clock_sleep_ms(LOOK_MS);
    }
    return !is_cancelled(r);
}

/* A passing failure: within attempts and quota. Where the quota is used up, who asks again and again (a queue's reader) waits too. */
static bool pause_and_try(struct attempt *a, bool is_throttled, struct tries *t)
{
    const struct af_aws_request *r = a->request;
    struct af_aws *aws = a->client->aws;
    if (a->answer->attempts >= aws->max_attempts)
        return false;
    const bool may = aws_retry_take(aws, is_throttled, &t->cost);
    if (!may && (r->target == NULL || strcmp(r->target, "ReceiveMessage") != 0))
        return false;
    return pause_for(r, aws_retry_pause_ms(a->answer->attempts, is_throttled, asked_pause_ms(a))) && may;
}

/* After a failure: may the next attempt begin? Waits as long as it must. */
static bool try_again(struct attempt *a, enum aws_verdict verdict, struct tries *t)
{
    const struct af_aws_request *r = a->request;
    struct af_aws *aws = a->client->aws;
    bool half_read = r->on_body != NULL && r->again == NULL && a->answer->http.status >= 200 && a->answer->http.status < 300;
    bool may = false;
    if (half_read || a->answer->http.refused || r->once)
        return false;
    if (verdict == AWS_EXPIRED && !t->was_expired && !a->client->has_fixed) {
        aws_credentials_refused(aws, a->generation);
        may = t->was_expired = true;
    } else if (verdict == AWS_SKEWED && !t->was_skewed && learn_clock(a)) {
        may = t->was_skewed = true;
    } else if (verdict == AWS_TRANSIENT || verdict == AWS_THROTTLED) {
        may = pause_and_try(a, verdict == AWS_THROTTLED, t);
    }
    if (may && r->again != NULL)
        r->again(r->ctx);
    return may;
}

/* For messages: "SendMessage", or the method. */
static const char *operation_of(const struct af_aws_request *r)
{
    return r->target != NULL ? r->target : r->method != NULL ? r->method : "POST";
}

static enum af_status refuse(struct attempt *a, struct af_error *err)
{
    const struct af_aws_answer *answer = a->answer;
    bool is_answered_twice = answer->attempts > 1;
    char times[40] = "";
    if (is_answered_twice)
        (void)snprintf(times, sizeof times, ", %u attempts", answer->attempts);
    enum af_status status = af_fail(err, aws_status_of(answer->http.status, answer->code), "%s %s: %s%s%s (HTTP %d%s%s%s)",
                                    a->client->service->name, operation_of(a->request), answer->code[0] != '\0' ? answer->code : "refused",
                                    a->words[0] != '\0' ? ": " : "", a->words, answer->http.status,
                                    answer->request_id[0] != '\0' ? ", request " : "", answer->request_id, times);
    if (err != NULL)
        err->retry_after_ms = answer->http.retry_after_ms;
    return status;
}

enum af_status af_aws_send(struct af_aws_client *client, const struct af_aws_request *request, struct af_aws_answer *answer,
                           struct af_error *err)
{
    struct attempt a = { .client = client, .request = request, .answer = answer };
    struct tries tries = { .cost = 0 };
    struct af_error why = { 0 };
    client->last_code[0] = '\0';
    for (;;) {
        uint32_t wait_ms = aws_rate_wait_ms(client->aws);
        if (wait_ms != 0 && !pause_for(request, wait_ms))
            return af_fail(err, is_cancelled(request) ? AF_ECANCELED : AF_EBUSY,
                           "%s %s: the service is throttling, and the time is up", client->service->name, operation_of(request));
        enum af_status status = attempt(&a, &why);
        enum aws_verdict verdict = AWS_FAILED;
        if (status == AF_OK)
            verdict = aws_judge(answer->http.status, "");
        if (status == AF_OK && verdict != AWS_DONE) {
            read_error(answer, a.words);
            verdict = guess(&a, aws_judge(answer->http.status, answer->code));
            (void)snprintf(client->last_code, sizeof client->last_code, "%s", answer->code);
        } else if (status == AF_EIO && !answer->http.refused) {
            verdict = AWS_TRANSIENT;
        }
        aws_rate_heard(client->aws, verdict == AWS_THROTTLED);
        if (verdict == AWS_DONE) {
            take_request_id(answer);
            aws_retry_succeeded(client->aws, tries.cost);
            return AF_OK;
        }
        if (try_again(&a, verdict, &tries))
            continue;
        if (is_cancelled(request))
            return af_fail(err, AF_ECANCELED, "%s %s: stopped on request", client->service->name, operation_of(request));
        if (status == AF_OK)
            return refuse(&a, err);
        if (err != NULL)
            *err = why;
        if (!answer->http.refused)
            af_error_prefix(err, "%s %s: ", client->service->name, operation_of(request));
        return status;
    }
}
