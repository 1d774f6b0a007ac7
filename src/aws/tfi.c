/*
 * tfi.c - the control plane of Timestream for InfluxDB: the lower half of timestream.h.
 *
 * States (timestream.md of the API: Status, ClusterStatus, DbBackupStatus):
 *
 *     CREATING, RESTORING --> AVAILABLE <--> UPDATING*, MODIFYING, REBOOTING, MAINTENANCE, PARTIALLY_AVAILABLE
 *          |                      |             |
 *          v                      v             v
 *     FAILED, RESTORE_FAILED   DELETING      REBOOT_FAILED         backups: IN_PROGRESS --> COMPLETED | FAILED
 *                                 v                                                            v
 *                             (not found)                                                   DELETING
 *
 * A wait ends in failure at a state that leads nowhere without somebody's doing; for DELETED it ends when the thing is not found.
 */
#include "aws/call.h"
#include "aws/timestream.h"
#include "os/clock.h"
#include <stdio.h>

enum { EVERY_MS = 10000, NAP_MS = 100, PAGES_MAX = 10000, MISSES_MAX = 3, FAILURES_MAX = 10, STATUS_BYTES = 64, NAMES_BYTES = 700 };
static const int64_t NS_PER_MS = 1000000;
static const char service[] = "Timestream for InfluxDB";

static const struct {
    const char *name;
    const char *required;
} operations[] = {
#define AF_X(name, required) { #name, required },
#include "aws/tfi.def"
#undef AF_X
};

const char *af_tfi_name(enum af_tfi_operation operation)
{
    return operations[operation].name;
}

const char *af_tfi_required(enum af_tfi_operation operation)
{
    return operations[operation].required;
}

static bool is_same_word(const char *a, const char *b)
{
    for (; *a != '\0' && (*a | 0x20) == (*b | 0x20); a++, b++)
        ;
    return *a == '\0' && *b == '\0';
}

enum af_status af_tfi_find(const char *name, enum af_tfi_operation *out, struct af_error *err)
{
    char names[NAMES_BYTES];
    size_t len = 0;
    for (size_t i = 0; i < AF_TFI_OPERATIONS; i++) {
        if (is_same_word(operations[i].name, name)) {
            *out = (enum af_tfi_operation)i;
            return AF_OK;
        }
        if (len < sizeof names)
            len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i != 0 ? ", " : "", operations[i].name);
    }
    return af_fail(err, AF_ENOTFOUND, "%s has no operation \"%.60s\"; it has %s", service, name, names);
}

/* --- one call ----------------------------------------------------------------------------------------------------------------- */

static bool is_given(const struct af_json *object, const char *name, size_t len)
{
    for (const struct af_json *m = object != NULL ? object->first : NULL; m != NULL; m = m->next)
        if (m->key.len == len && memcmp(m->key.ptr, name, len) == 0)
            return m->kind != AF_JSON_NULL;
    return false;
}

/* All that are missing are told at once. */
static enum af_status check_required(enum af_tfi_operation operation, const struct af_json *object, struct af_error *err)
{
    char missing[200] = "";
    size_t used = 0;
    for (const char *at = operations[operation].required; *at != '\0';) {
        const size_t len = strcspn(at, " ");
        if (!is_given(object, at, len) && used < sizeof missing)
            used += (size_t)snprintf(missing + used, sizeof missing - used, "%s\"%.*s\"", used != 0 ? ", " : "", (int)len, at);
        at += len + (at[len] == ' ');
    }
    if (used == 0)
        return AF_OK;
    return af_fail(err, AF_EINVAL, "%s needs %s, which the request does not have", operations[operation].name, missing);
}

static void begin(struct aws_call *call, struct af_aws_client *client, enum af_tfi_operation operation)
{
    aws_call_begin(call, client, service, operations[operation].name);
}

/* The request as a tree in the call's memory; NULL: an empty one. */
static enum af_status take_request(struct aws_call *call, enum af_tfi_operation operation, struct af_slice body,
                                   const struct af_json **out, struct af_error *err)
{
    char what[80];
    (void)snprintf(what, sizeof what, "the request of %s", operations[operation].name);
    AF_TRY(aws_take_object(call, af_slice_trim(body).len != 0 ? body : (struct af_slice){ 0 }, what, out, err));
    return check_required(operation, *out, err);
}

static enum af_status call_once(struct aws_call *call, enum af_tfi_operation operation, struct af_slice body, struct af_arena *arena,
                                const struct af_json **out, struct af_error *err)
{
    const struct af_json *request;
    struct af_json *kept = NULL;
    AF_TRY(take_request(call, operation, body, &request, err));
    AF_TRY(aws_call_send_body(call, request != NULL ? body : AF_SLICE_LIT("{}"), err));
    const struct af_slice text = af_slice_trim(af_buf_slice(&call->text));
    AF_TRY(af_json_parse(text.len != 0 ? text : AF_SLICE_LIT("{}"), arena, &kept, err));
    *out = kept;
    return AF_OK;
}

enum af_status af_tfi_call(struct af_aws_client *client, enum af_tfi_operation operation, struct af_slice body, struct af_arena *arena,
                           const struct af_json **out, struct af_error *err)
{
    struct aws_call call;
    begin(&call, client, operation);
    const enum af_status status = call_once(&call, operation, body, arena, out, err);
    aws_call_end(&call);
    return status;
}

/* --- pages -------------------------------------------------------------------------------------------------------------------- */

typedef enum af_status (*each_item)(void *ctx, const struct af_json *item, struct af_error *err);

static void put_members(struct aws_call *call, const struct af_json *request)
{
    for (const struct af_json *m = request != NULL ? request->first : NULL; m != NULL; m = m->next) {
        if (af_slice_is(m->key, "nextToken"))
            continue;
        af_buf_append_str(&call->body, call->body.len > 1 ? "," : "");
        af_json_append_string(&call->body, m->key);
        af_buf_append_char(&call->body, ':');
        af_json_append(&call->body, m);
    }
}

/* `token` is the page to ask for, then the one after it; empty: none. */
static enum af_status list_page(struct aws_call *call, enum af_tfi_operation operation, struct af_slice body, struct af_buf *token,
                                each_item each, void *ctx, struct af_error *err)
{
    const struct af_json *request, *item;
    AF_TRY(take_request(call, operation, body, &request, err));
    put_members(call, request);
    if (token->len != 0)
        aws_put_text(call, "nextToken", af_buf_slice(token));
    AF_TRY(aws_call_send(call, err));
    AF_TRY(aws_take_list(call, call->answer, "items", &item, err));
    for (; item != NULL; item = item->next)
        AF_TRY(each(ctx, item, err));
    const struct af_slice next = af_json_string(call->answer, "nextToken");
    if (next.len != 0 && af_slice_eq(next, af_buf_slice(token)))
        return aws_bad_answer(call, err, "has the same \"nextToken\" again");
    af_buf_clear(token);
    af_buf_append_slice(token, next);
    return af_buf_check(token, "a page", err);
}

enum af_status af_tfi_list(struct af_aws_client *client, enum af_tfi_operation operation, struct af_slice body, each_item each, void *ctx,
                           struct af_error *err)
{
    struct af_buf token;
    enum af_status status = AF_OK;
    if (strncmp(operations[operation].name, "ListDb", 6) != 0)
        return af_fail(err, AF_EINVAL, "%s has no pages", operations[operation].name);
    af_buf_init(&token, 64 << 10);
    for (unsigned page = 0; status == AF_OK && (page == 0 || token.len != 0); page++) {
        struct aws_call call;
        if (page == PAGES_MAX) {
            status = af_fail(err, AF_ELIMIT, "%s: more than %d pages", operations[operation].name, PAGES_MAX);
            break;
        }
        begin(&call, client, operation);
        status = list_page(&call, operation, body, &token, each, ctx, err);
        aws_call_end(&call);
    }
    af_buf_done(&token);
    return status;
}

/* --- waiting ------------------------------------------------------------------------------------------------------------------- */

static bool is_dead_end(const char *status, const char *wanted)
{
    static const char *const ends[] = { "FAILED", "RESTORE_FAILED", "REBOOT_FAILED", "DELETING", "DELETED" };
    if (strcmp(wanted, "DELETED") == 0)
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(status, ends[i]) == 0)
            return true;
    return false;
}

/* `status` in at most STATUS_BYTES. */
static enum af_status ask_status(struct af_aws_client *client, const struct af_tfi_wait *wait, char out[STATUS_BYTES], struct af_error *err)
{
    struct aws_call call;
    begin(&call, client, wait->get);
    call.cancel = wait->cancel;
    aws_put_text(&call, wait->get == AF_TFI_GetDbCluster ? "dbClusterId" : "identifier", af_slice_of(wait->identifier));
    enum af_status status = aws_call_send(&call, err);
    if (status == AF_OK)
        status = aws_need_copy(&call, call.answer, "status", out, STATUS_BYTES, err);
    aws_call_end(&call);
    return status;
}

static enum af_status nap(const struct af_tfi_wait *wait, const char *last, struct af_error *err)
{
    const int64_t until = af_clock_mono_ns() + (int64_t)(wait->every_ms != 0 ? wait->every_ms : EVERY_MS) * NS_PER_MS;
    for (int64_t now = af_clock_mono_ns(); now < until; now = af_clock_mono_ns()) {
        if (wait->cancel != NULL && *wait->cancel)
            return af_fail(err, AF_ECANCELED, "stopped waiting for %s to be %s: it is %s", wait->identifier, wait->wanted, last);
        if (wait->deadline_mono_ns != 0 && now >= wait->deadline_mono_ns)
            return af_fail(err, AF_EIO, "%s is not %s in time: it is %s", wait->identifier, wait->wanted, last);
        af_clock_sleep_ms(until - now < NAP_MS * NS_PER_MS ? (uint32_t)((until - now) / NS_PER_MS) + 1 : NAP_MS);
    }
    return AF_OK;
}

struct watching {
    char last[STATUS_BYTES];  /* status */
    unsigned misses;          /* in a row: not found */
    unsigned failures;        /* in a row: the service does not answer */
};

/* What an answer means; AF_OK and *out_done false: ask again. A thing just made may not be seen yet by who answers. */
static enum af_status judge(const struct af_tfi_wait *wait, struct watching *watching, enum af_status status, const char *now,
                            bool *out_done, struct af_error *err)
{
    const bool wants_gone = strcmp(wait->wanted, "DELETED") == 0;
    watching->misses = status == AF_ENOTFOUND ? watching->misses + 1 : 0;
    watching->failures = af_status_is_retryable(status) ? watching->failures + 1 : 0;
    *out_done = status == AF_ENOTFOUND && wants_gone;
    if (status == AF_ENOTFOUND)
        return wants_gone || (watching->misses < MISSES_MAX && watching->last[0] == '\0') ? AF_OK : status;
    if (status != AF_OK)
        return af_status_is_retryable(status) && watching->failures < FAILURES_MAX ? AF_OK : status;
    if (strcmp(now, watching->last) != 0) {
        (void)snprintf(watching->last, sizeof watching->last, "%s", now);
        if (wait->said != NULL)
            wait->said(wait->ctx, watching->last);
    }
    *out_done = strcmp(now, wait->wanted) == 0;
    if (!*out_done && is_dead_end(now, wait->wanted))
        return af_fail(err, AF_EIO, "%s is %s, from where it does not become %s by itself", wait->identifier, now, wait->wanted);
    return AF_OK;
}

enum af_status af_tfi_wait(struct af_aws_client *client, const struct af_tfi_wait *wait, struct af_error *err)
{
    struct watching watching = { 0 };
    if (wait->get != AF_TFI_GetDbInstance && wait->get != AF_TFI_GetDbCluster && wait->get != AF_TFI_GetDbBackup)
        return af_fail(err, AF_EINVAL, "%s says nothing of a status that could be waited for", operations[wait->get].name);
    for (;;) {
        char now[STATUS_BYTES] = "";
        bool is_done = false;
        const enum af_status status = ask_status(client, wait, now, err);
        AF_TRY(judge(wait, &watching, status, now, &is_done, err));
        if (is_done)
            return AF_OK;
        AF_TRY(nap(wait, watching.last[0] != '\0' ? watching.last : "not seen yet", err));
    }
}
