/*
 * credentials_sso.c - IAM Identity Center: the token that `aws sso login` left in ~/.aws/sso/cache, renewed while it can be, becomes
 * credentials at the portal.
 *
 *     [profile x] sso_session, sso_account_id, sso_role_name     sso/cache/SHA1(session's name).json   renewed by its refreshToken
 *     [profile x] sso_start_url, sso_region, ...  (older)        sso/cache/SHA1(start URL).json        good as long as it is
 *
 * Sources: "IAM Identity Center credential provider" of the SDK reference, "GetRoleCredentials" (portal), "CreateToken" (OIDC).
 */
#include "aws/aws_int.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "codec/digest.h"
#include "format/json/json.h"
#include "net/url.h"
#include "os/clock.h"
#include "os/file.h"
#include <stdio.h>

#define RENEW_AHEAD_NS (INT64_C(900) * AF_NS_PER_S)
enum { TOKEN_BYTES = 8192 };

struct sso {
    const char *profile, *session;          /* session NULL: the older way */
    const char *start_url, *region, *account, *role;
    char path[1024];                        /* of the token */
    struct af_buf text;                     /* what is there */
    struct af_arena arena;
    const struct af_json *cached;
    char token[TOKEN_BYTES];
    int64_t expires_ns;
};

static void wipe_buf(struct af_buf *buf)
{
    if (buf->ptr != NULL)
        af_wipe(buf->ptr, buf->cap);
    af_buf_done(buf);
}

/* --- the token ------------------------------------------------------------------------------------------------------------- */

static bool keep_token(struct sso *sso, struct af_slice token)
{
    if (token.len == 0 || token.len >= sizeof sso->token)
        return false;
    for (size_t i = 0; i < token.len; i++)
        if ((unsigned char)token.ptr[i] <= ' ' || token.ptr[i] == 0x7f)
            return false;
    memcpy(sso->token, token.ptr, token.len);
    sso->token[token.len] = '\0';
    return true;
}

static int64_t time_of(const struct af_json *object, const char *name)
{
    int64_t ns = 0;
    bool has_zone;
    return af_time_parse(af_json_string(object, name), &ns, &has_zone) ? ns : 0;
}

static bool read_cached(struct sso *sso)
{
    struct af_json *root = NULL;
    if (af_file_read_all(sso->path, &sso->text, NULL) != AF_OK ||
        af_json_parse(af_buf_slice(&sso->text), &sso->arena, &root, NULL) != AF_OK || root->kind != AF_JSON_OBJECT)
        return false;
    sso->cached = root;
    sso->expires_ns = time_of(root, "expiresAt");
    return keep_token(sso, af_json_string(root, "accessToken"));
}

/* The file as it was, with what is new. Not being able to write it is no reason to fail: the token is good for this process. */
static void write_cached(struct sso *sso, struct af_slice refresh)
{
    struct af_buf out;
    char when[40];
    *af_rfc3339_print(when, sso->expires_ns, 0) = '\0';
    af_buf_init(&out, 4 * AF_AWS_ANSWER_BYTES_MAX);
    af_buf_append_str(&out, "{");
    for (const struct af_json *m = sso->cached->first; m != NULL; m = m->next) {
        if (af_slice_is(m->key, "accessToken") || af_slice_is(m->key, "expiresAt") || af_slice_is(m->key, "refreshToken"))
            continue;
        af_json_append_string(&out, m->key);
        af_buf_append_char(&out, ':');
        af_json_append(&out, m);
        af_buf_append_char(&out, ',');
    }
    af_buf_append_str(&out, "\"accessToken\":");
    af_json_append_string(&out, af_slice_of(sso->token));
    af_buf_append_str(&out, ",\"refreshToken\":");
    af_json_append_string(&out, refresh);
    af_buf_printf(&out, ",\"expiresAt\":\"%s\"}", when);
    struct af_error why;
    if (af_buf_check(&out, "a token", &why) == AF_OK)
        (void)!af_file_write_atomic(sso->path, af_buf_slice(&out), true, &why);
    wipe_buf(&out);
}

static bool take_renewed(struct sso *sso, struct af_aws *aws, struct af_slice answer, struct af_slice refresh)
{
    struct af_json *root = NULL;
    int64_t expires_s = 0;
    if (af_json_parse(answer, &sso->arena, &root, NULL) != AF_OK || !keep_token(sso, af_json_string(root, "accessToken")) ||
        !af_json_i64(af_json_get(root, "expiresIn"), &expires_s) || expires_s <= 0 || expires_s > INT32_MAX)
        return false;
    struct af_slice fresh = af_json_string(root, "refreshToken");
    sso->expires_ns = aws_now_ns(aws) + expires_s * AF_NS_PER_S;
    write_cached(sso, fresh.len != 0 ? fresh : refresh);
    aws_wipe_json(root);
    return true;
}

static void append_member(struct af_buf *out, const char *name, struct af_slice value)
{
    af_json_append_string(out, af_slice_of(name));
    af_buf_append_char(out, ':');
    af_json_append_string(out, value);
}

/* CreateToken with the refresh token; false leaves the old one as it is. */
static bool renew(struct sso *sso, struct af_aws *aws)
{
    static const char *const headers[] = { "Content-Type: application/json", "Accept: application/json", NULL };
    struct af_slice refresh = af_json_string(sso->cached, "refreshToken"), id = af_json_string(sso->cached, "clientId");
    struct af_slice secret = af_json_string(sso->cached, "clientSecret");
    const char *base = af_aws_variable(aws, "AWS_ENDPOINT_URL_SSO_OIDC");
    if (sso->session == NULL || refresh.len == 0 || id.len == 0 || secret.len == 0 ||
        time_of(sso->cached, "registrationExpiresAt") <= aws_now_ns(aws))
        return false;
    struct af_buf url, body, answer;
    int code = 0;
    af_buf_init(&url, 8192);
    af_buf_init(&body, AF_AWS_ANSWER_BYTES_MAX);
    af_buf_init(&answer, AF_AWS_ANSWER_BYTES_MAX);
    if (base != NULL)
        af_buf_printf(&url, "%s/token", base);
    else
        af_buf_printf(&url, "https://oidc.%s.%s/token", sso->region, aws_suffix(sso->region));
    af_buf_append_str(&body, "{\"grantType\":\"refresh_token\",");
    append_member(&body, "clientId", id);
    af_buf_append_char(&body, ',');
    append_member(&body, "clientSecret", secret);
    af_buf_append_char(&body, ',');
    append_member(&body, "refreshToken", refresh);
    af_buf_append_char(&body, '}');
    bool is_done = !url.failed && !body.failed &&
                   aws_small_request(aws, "POST", af_buf_cstr(&url), headers, af_buf_slice(&body), AWS_PLACE_NET, &code, &answer, NULL) ==
                   AF_OK && code == 200 && take_renewed(sso, aws, af_buf_slice(&answer), refresh);
    af_buf_done(&url);
    wipe_buf(&body);
    wipe_buf(&answer);
    return is_done;
}

static enum af_status take_token(struct sso *sso, struct af_aws *aws, struct af_error *err)
{
    bool is_there = read_cached(sso);
    bool is_good = is_there && sso->expires_ns > aws_now_ns(aws);
    if (is_there && sso->expires_ns < aws_now_ns(aws) + RENEW_AHEAD_NS && renew(sso, aws))
        is_good = true;
    return is_good ? AF_OK : af_fail(err, AF_EUNAUTH, "profile %s: %s: run `aws sso login --profile %s`", sso->profile,
                                     is_there ? "its SSO token has expired" : "there is no SSO token", sso->profile);
}

/* --- settings -------------------------------------------------------------------------------------------------------------- */

static enum af_status take_settings(struct sso *sso, struct af_aws *aws, struct af_error *err)
{
    char section[512], name[2 * AF_SHA1_BYTES + 1];
    const char *home = af_aws_variable(aws, "HOME");
    uint8_t digest[AF_SHA1_BYTES];
    sso->session = aws_profile_setting(aws, sso->profile, "sso_session");
    sso->account = aws_profile_setting(aws, sso->profile, "sso_account_id");
    sso->role = aws_profile_setting(aws, sso->profile, "sso_role_name");
    (void)snprintf(section, sizeof section, "sso-session %s", sso->session != NULL ? sso->session : "");
    bool is_new = sso->session != NULL;
    sso->start_url = is_new ? aws_setting(aws, section, "sso_start_url") : aws_profile_setting(aws, sso->profile, "sso_start_url");
    sso->region = is_new ? aws_setting(aws, section, "sso_region") : aws_profile_setting(aws, sso->profile, "sso_region");
    if (sso->account == NULL || sso->role == NULL)
        return af_fail(err, AF_EUNAUTH, "profile %s: %s is missing", sso->profile,
                       sso->account == NULL ? "sso_account_id" : "sso_role_name");
    if (sso->start_url == NULL || sso->region == NULL || !aws_is_region(sso->region))
        return af_fail(err, AF_EUNAUTH, "profile %s: sso_start_url or sso_region is missing%s%s", sso->profile,
                       is_new ? " in sso-session " : "", is_new ? sso->session : "");
    if (home == NULL || !af_sha1(af_slice_of(is_new ? sso->session : sso->start_url), digest))
        return af_fail(err, AF_EUNAUTH, "profile %s: no home directory to look for its token in", sso->profile);
    *af_hex_print(name, digest, sizeof digest) = '\0';
    (void)snprintf(sso->path, sizeof sso->path, "%s/.aws/sso/cache/%s.json", home, name);
    return AF_OK;
}

/* --- the portal ------------------------------------------------------------------------------------------------------------ */

static enum af_status take_role(const struct af_json *role, struct af_aws_credentials *out, struct af_error *err)
{
    int64_t expires_ms = 0;
    if (role == NULL)
        return af_fail(err, AF_EUNAUTH, "SSO: the answer has no roleCredentials");
    AF_TRY(aws_credentials_put(out, af_json_string(role, "accessKeyId"), af_json_string(role, "secretAccessKey"),
                               af_json_string(role, "sessionToken"), "SSO", err));
    if (!af_json_i64(af_json_get(role, "expiration"), &expires_ms) || expires_ms <= 0 || expires_ms > INT64_MAX / 1000000)
        return af_fail(err, AF_EUNAUTH, "SSO: the answer does not say how long its credentials are good");
    out->expires_ns = expires_ms * 1000000;
    return AF_OK;
}

static enum af_status take_answer(struct sso *sso, struct af_slice text, struct af_aws_credentials *out, struct af_error *err)
{
    struct af_json *root = NULL;
    enum af_status status = af_json_parse(text, &sso->arena, &root, NULL);
    status = take_role(status == AF_OK ? af_json_get(root, "roleCredentials") : NULL, out, err);
    aws_wipe_json(root);
    return status;
}

static enum af_status ask_portal(struct sso *sso, struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err)
{
    const char *base = af_aws_variable(aws, "AWS_ENDPOINT_URL_SSO");
    char header[TOKEN_BYTES + 64];
    struct af_buf url, text;
    int code = 0;
    af_buf_init(&url, 8192);
    af_buf_init(&text, AF_AWS_ANSWER_BYTES_MAX);
    if (base != NULL)
        af_buf_append_str(&url, base);
    else
        af_buf_printf(&url, "https://portal.sso.%s.%s", sso->region, aws_suffix(sso->region));
    af_buf_append_str(&url, "/federation/credentials?role_name=");
    af_url_append_escaped(&url, af_slice_of(sso->role));
    af_buf_append_str(&url, "&account_id=");
    af_url_append_escaped(&url, af_slice_of(sso->account));
    (void)snprintf(header, sizeof header, "x-amz-sso_bearer_token: %s", sso->token);
    const char *const headers[] = { header, "Accept: application/json", NULL };
    enum af_status status = af_buf_check(&url, "SSO's address", err);
    if (status == AF_OK)
        status = aws_small_request(aws, "GET", af_buf_cstr(&url), headers, (struct af_slice){ NULL, 0 }, AWS_PLACE_NET, &code, &text,
                                   err);
    if (status == AF_OK && code == 401)
        status = af_fail(err, AF_EUNAUTH, "profile %s: SSO refuses the token: run `aws sso login --profile %s`", sso->profile,
                         sso->profile);
    else if (status == AF_OK && code != 200)
        status = af_fail(err, code >= 500 ? AF_EIO : AF_EUNAUTH, "profile %s: SSO answers %d: may this user have that role?",
                         sso->profile, code);
    if (status == AF_OK)
        status = take_answer(sso, af_buf_slice(&text), out, err);
    af_buf_done(&url);
    wipe_buf(&text);
    af_wipe(header, sizeof header);
    return status;
}

enum af_status aws_from_sso(struct af_aws *aws, const char *profile, struct af_aws_credentials *out, struct af_error *err)
{
    struct sso sso = { .profile = profile };
    AF_TRY(take_settings(&sso, aws, err));
    af_buf_init(&sso.text, AF_AWS_ANSWER_BYTES_MAX);
    af_arena_init(&sso.arena, 1 << 20);
    enum af_status status = take_token(&sso, aws, err);
    if (status == AF_OK)
        status = ask_portal(&sso, aws, out, err);
    wipe_buf(&sso.text);
    aws_wipe_json(sso.cached);
    af_arena_done(&sso.arena);
    af_wipe(&sso.token, sizeof sso.token);
    return status;
}
