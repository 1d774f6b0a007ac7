/*
 * provision.c - what Terraform cannot make, made by a function that Terraform calls (docs/infra/provision.md):
 *
 *     {"do": "parameter-group", ...}   the group of these parameters: found, or made
 *     {"do": "bootstrap", ...}         the first password replaced, buckets and tokens made; what is right is left as it is
 *     {"do": "rotate", ...}            the same with a new password and new tokens, for a schedule
 *     {"do": "revoke", ...}            nothing; all tokens of ours revoked when Terraform deletes it
 *
 * The provider adds {"tf": {"action": "create" | "update" | "delete"}}; a delete takes away, or says what stays. Called twice,
 * or killed anywhere, the next call completes it. The answer stands in Terraform's state: it holds names and ids, never a secret, and
 * neither does the log.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "lambda/provision_int.h"
#include "load/load.h"
#include "os/clock.h"
#include <stdio.h>

enum { MARGIN_MS = 3000, MEMORY_BYTES_MAX = 64 << 20, REVOKED_BYTES_MAX = 1 << 20, WAIT_S_MAX = 900, IDENTIFIER_BYTES = 65,
       STATUS_EVERY_MS = 5000, DENIED_PAUSE_MS = 3000, NAP_MS = 100 };
static const int64_t NS_PER_MS = 1000000;

struct provision {
    struct af_lambda_function function;
    struct af_aws *aws;
    struct af_aws_client *tfi;
    uint32_t patience_ms;
};

/* One call. */
struct turn {
    struct provision *provision;
    const struct af_lambda_invocation *invocation;
    struct af_arena arena;           /* with what is secret, wiped at the end */
    bool flag;                       /* time is up: what all that waits polls; through __atomic builtins */
    const struct af_json *event;
    bool deletes, rotates;
    struct provision_order order;
    struct provision_influx influx;
    struct provision_session session;
    struct af_buf revoked;
    char gone[200];                  /* a delete found nothing to do, and why */
};

static void say(const struct turn *t, enum af_lambda_level level, const char *text)
{
    af_lambda_say(t->invocation->log, level, (struct af_slice){ NULL, 0 }, "%s", text);
}

/* --- the instance ---------------------------------------------------------------------------------------------------------------- */

static void heard(void *ctx, const char *status)
{
    const struct turn *t = ctx;
    af_lambda_say(t->invocation->log, AF_LOG_INFO, (struct af_slice){ NULL, 0 }, "the instance is %s", status);
}

static enum af_status await(struct turn *t, struct af_error *err)
{
    const struct af_tfi_wait wait = { .get = AF_TFI_GetDbInstance, .identifier = t->order.instance, .wanted = "AVAILABLE",
                                      .every_ms = STATUS_EVERY_MS, .cancel = &t->flag, .said = heard, .ctx = t };
    return t->order.instance != NULL ? af_tfi_wait(t->provision->tfi, &wait, err) : AF_OK;
}

/* Before a delete: is there an instance still? */
static enum af_status look(struct turn *t, bool *out_is_there, struct af_error *err)
{
    const struct af_json *json = NULL;
    struct af_buf body;
    *out_is_there = true;
    if (t->order.instance == NULL)
        return AF_OK;
    af_buf_init(&body, 4096);
    af_buf_append_str(&body, "{\"identifier\":");
    af_json_append_string(&body, af_slice_of(t->order.instance));
    af_buf_append_char(&body, '}');
    const enum af_status status = af_tfi_call(t->provision->tfi, AF_TFI_GetDbInstance, af_buf_slice(&body), &t->arena, &json, err);
    af_buf_done(&body);
    const struct af_slice is = status == AF_ENOTFOUND ? AF_SLICE_LIT("gone") : af_json_string(json, "status");
    *out_is_there = !af_slice_is(is, "gone") && !af_slice_is(is, "DELETING") && !af_slice_is(is, "DELETED") && !af_slice_is(is, "FAILED");
    if (!*out_is_there)
        (void)snprintf(t->gone, sizeof t->gone, "the instance is %.*s: its tokens go with it", (int)is.len, is.ptr);
    return *out_is_there ? status : AF_OK;
}

/* --- bootstrap and rotate -------------------------------------------------------------------------------------------------------- */

static enum af_status make(struct turn *t, struct af_error *err)
{
    AF_TRY(await(t, err));
    AF_TRY(provision_password(&t->session, err));
    return provision_tokens(&t->session, &t->order, af_clock_now_ns(), &t->revoked, err);
}

/* An instance that nobody can reach, and that no status was asked of, is taken to be gone: it goes with this very destroy. */
static enum af_status revoke(struct turn *t, struct af_error *err)
{
    bool is_there;
    struct af_error why = { 0 };
    AF_TRY(look(t, &is_there, err));
    if (!is_there)
        return AF_OK;
    t->session.only_opens = true;
    enum af_status status = provision_password(&t->session, &why);
    if (status == AF_EIO && t->order.instance == NULL) {
        (void)snprintf(t->gone, sizeof t->gone, "%s does not answer: its tokens are taken to be gone with it", t->order.url);
        return AF_OK;
    }
    if (status == AF_OK)
        status = provision_tokens_revoke(&t->session, &t->order, &t->revoked, &why);
    if (status != AF_OK && err != NULL)
        *err = why;
    return status;
}

static void print_string(struct af_buf *out, const char *name, const char *text)
{
    af_buf_printf(out, "\"%s\":", name);
    af_json_append_string(out, af_slice_of(text));
}

static void print_made(const struct turn *t, struct af_buf *out)
{
    static const char *const words[] = { "kept", "settled", "finished", "renewed", "lost" };
    const struct provision_order *order = &t->order;
    print_string(out, "organization", order->org);
    af_buf_printf(out, ",\"password\":\"%s\",\"buckets\":[", words[t->session.step]);
    for (size_t i = 0; i < order->bucket_count; i++) {
        af_buf_append_str(out, i != 0 ? ",{" : "{");
        print_string(out, "name", order->buckets[i].name);
        af_buf_printf(out, ",\"id\":\"%s\",\"created\":%s}", order->buckets[i].id, order->buckets[i].is_made ? "true" : "false");
    }
    af_buf_append_str(out, "],\"tokens\":[");
    for (size_t i = 0; i < order->token_count; i++) {
        const struct provision_token *token = &order->tokens[i];
        af_buf_append_str(out, i != 0 ? ",{" : "{");
        print_string(out, "description", token->description);
        af_buf_append_char(out, ',');
        print_string(out, "secret", token->secret);
        af_buf_append_char(out, ',');
        print_string(out, "id", token->id);
        af_buf_append_char(out, ',');
        print_string(out, "expires", token->expires);
        af_buf_printf(out, ",\"created\":%s}", token->is_made ? "true" : "false");
    }
    af_buf_append_str(out, "],");
}

static void print_instance(const struct turn *t, struct af_buf *out)
{
    if (t->gone[0] != '\0') {
        print_string(out, "gone", t->gone);
        af_buf_append_char(out, ',');
    } else if (!t->deletes) {
        print_made(t, out);
    }
    af_buf_append_str(out, "\"revoked\":[");
    af_buf_append_slice(out, af_buf_slice(&t->revoked));
    af_buf_append_char(out, ']');
}

/* With what was opened around it. */
static enum af_status at_instance(struct turn *t, struct af_error *err)
{
    const struct provision *p = t->provision;
    AF_TRY(provision_influx_open(&t->influx, t->order.url, lambda_text(p->aws, LAMBDA_INFLUXDB_CA_FILE), &t->flag, &t->arena, err));
    t->influx.patience_ms = t->deletes ? 0 : p->patience_ms;
    enum af_status status = af_secrets_open(p->aws, 0, &t->session.secrets, err); /* a call's own, since nothing of it may be old */
    if (status == AF_OK) {
        af_secrets_cancel(t->session.secrets, &t->flag);
        status = t->deletes ? revoke(t, err) : make(t, err);
        af_secrets_close(t->session.secrets);
    }
    provision_influx_close(&t->influx);
    return status;
}

static enum af_status instance(struct turn *t, bool only_deletes, struct af_buf *answer, struct af_error *err)
{
    AF_TRY(provision_order_read(t->event, &t->arena, &t->order, err));
    if (only_deletes && !t->deletes) {
        af_buf_append_str(answer, "\"revoked\":[]");
        return AF_OK;
    }
    t->session = (struct provision_session){ .influx = &t->influx, .order = &t->order, .arena = &t->arena, .rotates = t->rotates };
    af_buf_init(&t->revoked, REVOKED_BYTES_MAX);
    const enum af_status status = at_instance(t, err);
    if (status == AF_OK)
        print_instance(t, answer);
    af_buf_done(&t->revoked);
    return status;
}

/* --- the function ---------------------------------------------------------------------------------------------------------------- */

static enum af_status dispatch(struct turn *t, struct af_buf *answer, struct af_error *err)
{
    const struct af_slice what = af_json_string(t->event, "do");
    const struct af_json *terraform = af_json_get(t->event, "tf");
    t->deletes = af_slice_is(af_json_string(terraform, "action"), "delete");
    t->rotates = af_slice_is(what, "rotate");
    if (af_slice_is(what, "parameter-group"))
        return provision_group(t->provision->tfi, t->event, t->deletes, &t->arena, answer, err);
    if (t->rotates || af_slice_is(what, "bootstrap") || af_slice_is(what, "revoke"))
        return instance(t, af_slice_is(what, "revoke"), answer, err);
    return af_fail(err, AF_EINVAL, "\"do\" is parameter-group, bootstrap, rotate or revoke, not \"%.*s\"",
                   (int)(what.len < 60 ? what.len : 60), what.ptr != NULL ? what.ptr : "");
}

static bool is_over(const struct turn *t)
{
    return __atomic_load_n(&t->flag, __ATOMIC_RELAXED);
}

/* Rights that Terraform gave a second ago take a while to be everywhere, and all of this may be done again. */
static enum af_status dispatch_patiently(struct turn *t, struct af_buf *answer, struct af_error *err)
{
    const int64_t until_ns = af_clock_mono_ns() + (int64_t)t->provision->patience_ms * NS_PER_MS;
    const size_t mark = answer->len;
    for (;;) {
        af_buf_append_char(answer, '{');
        const enum af_status status = dispatch(t, answer, err);
        af_buf_append_char(answer, '}');
        if (status != AF_EDENIED || af_clock_mono_ns() >= until_ns || is_over(t))
            return status;
        af_buf_rewind(answer, mark);
        say(t, AF_LOG_WARN, "a right is missing; it may be one that was just given: once more");
        for (int slept = 0; slept < DENIED_PAUSE_MS && !is_over(t); slept += NAP_MS)
            af_clock_sleep_ms(NAP_MS);
    }
}

static enum af_status answer_event(struct turn *t, struct af_buf *answer, struct af_error *err)
{
    struct af_json *event = NULL;
    AF_TRY(af_json_parse(t->invocation->event, &t->arena, &event, err));
    t->event = event;
    AF_TRY(dispatch_patiently(t, answer, err));
    AF_TRY(af_buf_check(answer, "an answer", err));
    say(t, AF_LOG_INFO, af_buf_cstr(answer));
    return AF_OK;
}

/* Shortly before the function's time is up it stops where it is: the next call goes on from there. */
static enum af_status handle(void *function, const struct af_lambda_invocation *invocation, struct af_buf *answer, struct af_error *err)
{
    struct turn t = { .provision = function, .invocation = invocation };
    struct af_load_watch watch;
    const size_t mark = answer->len;
    const int64_t end_ns = invocation->deadline_mono_ns != 0 ? invocation->deadline_mono_ns - MARGIN_MS * NS_PER_MS : 0;
    AF_TRY(af_load_watch_begin(&watch, end_ns, invocation->cancel, &t.flag, err));
    af_arena_init(&t.arena, MEMORY_BYTES_MAX);
    const enum af_status status = answer_event(&t, answer, err);
    af_arena_done(&t.arena);
    if (status != AF_OK)
        af_buf_rewind(answer, mark);
    if (status != AF_OK && af_load_watch_came(&watch))
        af_error_prefix(err, "the function's time is up; call again, it goes on from here: ");
    af_load_watch_end(&watch);
    return status;
}

static void free_provision(struct af_lambda_function *function)
{
    struct provision *p = (struct provision *)function;
    af_aws_client_free(p->tfi);
    af_free(p);
}

static enum af_status open_provision(struct provision *p, struct af_error *err)
{
    uint64_t wait_s = 0;
    AF_TRY(lambda_number(p->aws, LAMBDA_PROVISION_WAIT_SECONDS, &wait_s, err));
    if (wait_s > WAIT_S_MAX)
        return af_fail(err, AF_EINVAL, "PROVISION_WAIT_SECONDS is at most %d, the longest that Lambda lets a function run", WAIT_S_MAX);
    p->patience_ms = (uint32_t)wait_s * 1000;
    return af_aws_client_new(p->aws, "timestream-influxdb", &p->tfi, err);
}

enum af_status af_lambda_provision_new(struct af_aws *aws, struct af_lambda_function **out, struct af_error *err)
{
    struct provision *p = af_alloc_zero(1, sizeof *p);
    if (p == NULL)
        return af_fail_nomem(err, "the provisioning");
    p->function = (struct af_lambda_function){ handle, free_provision };
    p->aws = aws;
    const enum af_status status = open_provision(p, err);
    if (status != AF_OK) {
        free_provision(&p->function);
        return status;
    }
    *out = &p->function;
    return AF_OK;
}
