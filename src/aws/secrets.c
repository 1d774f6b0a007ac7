/*
 * secrets.c - see secrets.h.
 *
 *     get ---> entry by name: fresh? ----------------------------> its value
 *                   | old, or refused by what it opens
 *                   v
 *              somebody asks already? --- an old value is there --> that one
 *                   | no                 none: wait for the answer
 *                   v
 *              GetSecretValue, outside the lock, with the one client
 *
 * One question is under way at a time, since there is one client; those who wait for the same name take the answer, or the failure, of the
 * one who asked. After a failure nobody asks for RETRY_NS, unless there is nothing to go on with.
 *
 * Values lie in buffers that are wiped before they are freed, and nothing of them is in a message.
 */
#include "aws/secrets.h"
#include "aws/call.h"
#include "base/alloc.h"
#include "base/utf8.h"
#include "codec/base64.h"
#include "codec/digest.h"
#include "os/clock.h"
#include "os/thread.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { TTL_MS = 300000, NAME_BYTES_MAX = 2048, SECRET_BYTES_MAX = 65536, ENTRIES_MAX = 256, TOKEN_BYTES_MAX = 4096, NAMES_SHOWN = 10 };
static const int64_t NS_PER_MS = 1000000, RETRY_NS = INT64_C(10) * 1000000000, STALE_NS = INT64_C(86400) * 1000000000;
static const char service[] = "Secrets Manager";

struct entry {
    struct entry *next;
    char *name;
    struct af_buf value;
    bool has_value;
    bool is_refused;         /* what the value opens did not take it */
    bool is_asking;
    char version[65];
    int64_t fetched_ns;      /* monotonic; of the value */
    int64_t tried_ns;        /* of the last question, answered or not */
    uint64_t answers;        /* questions that have ended */
    struct af_error failure; /* of the last one */
};

struct af_secrets {
    struct af_aws_client *client; /* of whoever asks */
    const bool *cancel;           /* of the same */
    int64_t ttl_ns;
    struct af_mutex mutex;        /* of all below */
    struct af_cond cond;          /* a question has ended */
    bool is_asking;
    struct entry *entries;
    size_t count;
};

enum af_status af_secrets_open(struct af_aws *aws, uint32_t ttl_ms, struct af_secrets **out, struct af_error *err)
{
    struct af_secrets *secrets = af_alloc_zero(1, sizeof *secrets);
    if (secrets == NULL)
        return af_fail_nomem(err, "a cache of secrets");
    const enum af_status status = af_aws_client_new(aws, "secretsmanager", &secrets->client, err);
    if (status != AF_OK) {
        af_free(secrets);
        return status;
    }
    secrets->ttl_ns = (int64_t)(ttl_ms != 0 ? ttl_ms : TTL_MS) * NS_PER_MS;
    af_mutex_init(&secrets->mutex);
    af_cond_init(&secrets->cond);
    *out = secrets;
    return AF_OK;
}

static void wipe_buf(struct af_buf *buf)
{
    if (buf->ptr != NULL)
        af_wipe(buf->ptr, buf->cap);
    af_buf_done(buf);
}

void af_secrets_close(struct af_secrets *secrets)
{
    if (secrets == NULL)
        return;
    for (struct entry *entry = secrets->entries, *next; entry != NULL; entry = next) {
        next = entry->next;
        wipe_buf(&entry->value);
        af_free(entry->name);
        af_free(entry);
    }
    af_aws_client_free(secrets->client);
    af_cond_done(&secrets->cond);
    af_mutex_done(&secrets->mutex);
    af_free(secrets);
}

/* --- entries (under the lock) -------------------------------------------------------------------------------------------------- */

static struct entry *find(const struct af_secrets *secrets, const char *name)
{
    struct entry *entry = secrets->entries;
    while (entry != NULL && strcmp(entry->name, name) != 0)
        entry = entry->next;
    return entry;
}

static enum af_status need_entry(struct af_secrets *secrets, const char *name, struct entry **out, struct af_error *err)
{
    const size_t len = strlen(name);
    *out = find(secrets, name);
    if (*out != NULL)
        return AF_OK;
    if (len == 0 || len > NAME_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "a secret's name or ARN has 1 to %d bytes, not %zu", NAME_BYTES_MAX, len);
    if (secrets->count == ENTRIES_MAX)
        return af_fail(err, AF_ELIMIT, "more than %d secrets are kept by one program", ENTRIES_MAX);
    struct entry *entry = af_alloc_zero(1, sizeof *entry);
    char *copy = af_alloc(len + 1);
    if (entry == NULL || copy == NULL) {
        af_free(entry);
        af_free(copy);
        return af_fail_nomem(err, "a secret");
    }
    memcpy(copy, name, len + 1);
    entry->name = copy;
    entry->next = secrets->entries;
    af_buf_init(&entry->value, SECRET_BYTES_MAX);
    secrets->entries = entry;
    secrets->count++;
    *out = entry;
    return AF_OK;
}

static bool is_due(const struct af_secrets *secrets, const struct entry *entry, int64_t now)
{
    if (!entry->has_value || now - entry->fetched_ns >= STALE_NS)
        return true;
    if (entry->tried_ns != 0 && now - entry->tried_ns < RETRY_NS && (entry->is_refused || entry->failure.status != AF_OK))
        return false;
    return entry->is_refused || now - entry->fetched_ns >= secrets->ttl_ns;
}

/* May the old value go on, now that the service failed? Not where it said that there is no secret, or that we may not have it. */
static bool can_go_on(const struct entry *entry, int64_t now)
{
    const enum af_status status = entry->failure.status;
    return entry->has_value && !entry->is_refused && now - entry->fetched_ns < STALE_NS &&
           (af_status_is_retryable(status) || status == AF_EUNAUTH || status == AF_ECORRUPT);
}

/* --- asking (without the lock) --------------------------------------------------------------------------------------------------- */

static enum af_status take_secret(const struct aws_call *call, struct af_buf *value, char version[65], struct af_error *err)
{
    const struct af_json *text = af_json_get(call->answer, "SecretString");
    struct af_slice binary;
    AF_TRY(aws_need_copy(call, call->answer, "VersionId", version, 65, err));
    if (text != NULL && text->kind == AF_JSON_STRING) {
        af_buf_append_slice(value, text->text);
    } else {
        binary = af_json_string(call->answer, "SecretBinary");
        if (binary.ptr == NULL || !af_base64_decode(binary, value))
            return aws_bad_answer(call, err, "has neither a \"SecretString\" nor a \"SecretBinary\"");
    }
    return af_buf_check(value, "a secret", err);
}

static enum af_status ask(const struct af_secrets *secrets, const char *name, struct af_buf *value, char version[65], struct af_error *err)
{
    struct aws_call call;
    aws_call_begin(&call, secrets->client, service, "GetSecretValue");
    call.cancel = secrets->cancel;
    aws_put_text(&call, "SecretId", af_slice_of(name));
    enum af_status status = aws_call_send(&call, err);
    if (status == AF_OK)
        status = take_secret(&call, value, version, err);
    aws_call_end(&call);
    if (status != AF_OK)
        af_error_prefix(err, "secret \"%s\": ", name);
    return status;
}

static void fetch_locked(struct af_secrets *secrets, struct entry *entry)
{
    struct af_buf value;
    char version[65] = "";
    struct af_error err = { 0 };
    secrets->is_asking = entry->is_asking = true;
    af_mutex_unlock(&secrets->mutex);
    af_buf_init(&value, SECRET_BYTES_MAX);
    const enum af_status status = ask(secrets, entry->name, &value, version, &err);
    af_mutex_lock(&secrets->mutex);
    entry->tried_ns = af_clock_mono_ns();
    entry->failure = err;
    entry->failure.status = status;
    entry->answers++;
    if (status == AF_OK) {
        wipe_buf(&entry->value);
        entry->value = value;
        entry->has_value = true;
        entry->is_refused = false;
        entry->fetched_ns = entry->tried_ns;
        memcpy(entry->version, version, sizeof version);
    } else {
        wipe_buf(&value);
    }
    secrets->is_asking = entry->is_asking = false;
    af_cond_broadcast(&secrets->cond);
}

/* Wait until this thread may ask, or somebody else has asked for the same. True: somebody has. */
static bool wait_turn_locked(struct af_secrets *secrets, struct entry *entry)
{
    const uint64_t answers = entry->answers;
    while (secrets->is_asking && entry->answers == answers)
        af_cond_wait(&secrets->cond, &secrets->mutex);
    return entry->answers != answers;
}

static enum af_status last_failure(const struct entry *entry, struct af_error *err)
{
    if (err != NULL)
        *err = entry->failure;
    return entry->failure.status;
}

static enum af_status refresh_locked(struct af_secrets *secrets, struct entry *entry, struct af_error *err)
{
    if (entry->is_asking && entry->has_value && !entry->is_refused)
        return AF_OK;
    if (!wait_turn_locked(secrets, entry))
        fetch_locked(secrets, entry);
    if (entry->failure.status == AF_OK || can_go_on(entry, af_clock_mono_ns()))
        return AF_OK;
    return last_failure(entry, err);
}

enum af_status af_secrets_get(struct af_secrets *secrets, const char *name, struct af_buf *out, char out_version[65],
                              struct af_error *err)
{
    struct entry *entry = NULL;
    af_mutex_lock(&secrets->mutex);
    enum af_status status = need_entry(secrets, name, &entry, err);
    if (status == AF_OK && is_due(secrets, entry, af_clock_mono_ns()))
        status = refresh_locked(secrets, entry, err);
    else if (status == AF_OK && entry->is_refused && entry->failure.status != AF_OK)
        status = last_failure(entry, err); /* what is known to be worth nothing is not given out because nobody could be asked */
    if (status == AF_OK) {
        const size_t mark = out->len;
        af_buf_append_slice(out, af_buf_slice(&entry->value));
        status = af_buf_check(out, "a secret", err);
        if (status != AF_OK)
            af_buf_rewind(out, mark);
        else if (out_version != NULL)
            memcpy(out_version, entry->version, sizeof entry->version);
    }
    af_mutex_unlock(&secrets->mutex);
    return status;
}

void af_secrets_cancel(struct af_secrets *secrets, const bool *cancel)
{
    secrets->cancel = cancel;
}

void af_secrets_refused(struct af_secrets *secrets, const char *name)
{
    af_mutex_lock(&secrets->mutex);
    struct entry *entry = find(secrets, name);
    if (entry != NULL)
        entry->is_refused = true;
    af_mutex_unlock(&secrets->mutex);
}

/* --- putting ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status put(struct af_aws_client *client, const char *name, struct af_slice value, const char *client_token,
                          struct af_error *err)
{
    struct aws_call call;
    struct af_slice version;
    aws_call_begin(&call, client, service, "PutSecretValue");
    aws_put_text(&call, "SecretId", af_slice_of(name));
    aws_put_text(&call, "ClientRequestToken", af_slice_of(client_token));
    aws_put_text(&call, "SecretString", value);
    enum af_status status = aws_call_send(&call, err);
    if (status == AF_OK)
        status = aws_need_text(&call, call.answer, "VersionId", &version, err);
    aws_call_end(&call);
    if (status != AF_OK)
        af_error_prefix(err, "secret \"%s\": ", name);
    return status;
}

enum af_status af_secrets_put(struct af_secrets *secrets, const char *name, struct af_slice value, const char *client_token,
                              struct af_error *err)
{
    const size_t token_len = strlen(client_token);
    if (token_len < 32 || token_len > 64)
        return af_fail(err, AF_EINVAL, "the client token of a secret's version has 32 to 64 characters, not %zu", token_len);
    if (value.len == 0 || value.len > SECRET_BYTES_MAX || !af_utf8_is_valid(value))
        return af_fail(err, AF_EINVAL, "secret \"%s\": a value is 1 to %d bytes of UTF-8", name, SECRET_BYTES_MAX);
    af_mutex_lock(&secrets->mutex);
    while (secrets->is_asking)
        af_cond_wait(&secrets->cond, &secrets->mutex);
    secrets->is_asking = true;
    af_mutex_unlock(&secrets->mutex);
    const enum af_status status = put(secrets->client, name, value, client_token, err);
    af_mutex_lock(&secrets->mutex);
    secrets->is_asking = false;
    struct entry *entry = find(secrets, name);
    if (status == AF_OK && entry != NULL)
        entry->has_value = false; /* whoever gets it next gets the new one */
    af_cond_broadcast(&secrets->cond);
    af_mutex_unlock(&secrets->mutex);
    return status;
}

/* --- tokens ------------------------------------------------------------------------------------------------------------------------ */

static bool is_token(struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
            return false;
    return text.len != 0 && text.len <= TOKEN_BYTES_MAX;
}

static bool is_named_token(struct af_slice name)
{
    static const char word[] = "token";
    for (size_t at = 0; at + sizeof word - 1 <= name.len; at++) {
        size_t i = 0;
        while (i < sizeof word - 1 && (name.ptr[at + i] | 0x20) == word[i])
            i++;
        if (i == sizeof word - 1)
            return true;
    }
    return false;
}

/* Which members there are, for who wrote the secret; their values are not looked at. */
static enum af_status no_token(const struct af_json *object, const char *why, struct af_error *err)
{
    char names[300] = "";
    size_t len = 0, shown = 0;
    for (const struct af_json *m = object->first; m != NULL && len < sizeof names && shown < NAMES_SHOWN; m = m->next, shown++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%.*s", shown != 0 ? ", " : "", (int)(m->key.len < 60 ? m->key.len : 60),
                                m->key.ptr);
    return af_fail(err, AF_EINVAL, "the secret %s; its members: %s", why, names[0] != '\0' ? names : "none");
}

static enum af_status token_of(const struct af_json *object, struct af_slice *out, struct af_error *err)
{
    const struct af_json *found = af_json_get(object, "token");
    if (found == NULL || found->kind != AF_JSON_STRING) {
        found = NULL;
        for (const struct af_json *m = object->first; m != NULL; m = m->next) {
            if (m->kind != AF_JSON_STRING || !is_named_token(m->key))
                continue;
            if (found != NULL)
                return no_token(object, "has several members named like a token, and none is \"token\"", err);
            found = m;
        }
    }
    if (found == NULL)
        return no_token(object, "is a JSON object without a text member \"token\"", err);
    *out = af_slice_trim(found->text);
    return AF_OK;
}

enum af_status af_secrets_token(struct af_slice secret, struct af_buf *out, struct af_error *err)
{
    struct aws_call call; /* for its memory, which is wiped */
    const struct af_json *object = NULL;
    struct af_slice token = af_slice_trim(secret);
    enum af_status status = AF_OK;
    aws_call_begin(&call, NULL, service, "GetSecretValue");
    if (token.len != 0 && token.ptr[0] == '{') {
        status = aws_take_object(&call, token, "the secret", &object, err);
        call.answer = object != NULL ? object : call.answer;
        if (status == AF_OK)
            status = token_of(object, &token, err);
    }
    if (status == AF_OK && !is_token(token))
        status = af_fail(err, AF_EINVAL, "the secret's token is empty, or has spaces, line ends or letters beyond ASCII in it");
    if (status == AF_OK) {
        af_buf_append_slice(out, token);
        status = af_buf_check(out, "a token", err);
    }
    aws_call_end(&call);
    return status;
}
