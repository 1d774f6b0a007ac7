/*
 * provision_password.c - the administrator's password: replaced by one that no state of Terraform's has seen, and never lost.
 *
 * The secret is {"username", "password"}, or while a change is under way {"username", "password", "previous"}:
 *
 *     settled {p}  --write {new, previous p}-->  pending  --set new in InfluxDB-->  pending  --sign in with new, write {new}-->  settled
 *
 * At each moment one of `password`, `previous` and the service's first password opens the instance, so whoever dies in between leaves
 * enough behind for the next call, which finds out by trying them in this order. What was begun is finished, not begun again.
 */
#include "codec/digest.h"
#include "lambda/provision_int.h"
#include "os/clock.h"
#include <assert.h>
#include <stdio.h>

enum { PASSWORD_CHARS = 40, SECRET_BYTES_MAX = 16 << 10, ID_DIGITS = 16 };

enum provision_step provision_password_step(const struct provision_password_facts *facts)
{
    switch (facts->opens) {
    case PROVISION_NOTHING:
        return PROVISION_LOST;
    case PROVISION_INITIAL:
        return PROVISION_RENEW;
    case PROVISION_PREVIOUS:
        return PROVISION_FINISH;
    case PROVISION_PASSWORD:
        if (facts->is_pending)
            return PROVISION_SETTLE;
        return facts->rotates || facts->is_initial ? PROVISION_RENEW : PROVISION_KEEP;
    }
    return PROVISION_LOST;
}

/* --- what is known --------------------------------------------------------------------------------------------------------------- */

/* Texts of the call's arena; NULL: not known. */
struct door {
    struct provision_session *session;
    const char *username, *password, *previous;  /* of our secret */
    const char *first_username, *first;          /* of the service's */
    char version[65];                            /* of our secret */
    struct af_error first_failure;               /* why the service's could not be read */
    struct provision_password_facts facts;
};

static enum af_status keep(struct af_arena *arena, struct af_slice text, const char **out, struct af_error *err)
{
    *out = NULL;
    if (text.len == 0)
        return AF_OK;
    char *copy = memchr(text.ptr, '\0', text.len) == NULL ? af_arena_copy(arena, text) : NULL;
    if (copy == NULL || !provision_wipe_text(arena, af_slice_make(copy, text.len)))
        return af_fail_nomem(err, "a password");
    *out = copy;
    return AF_OK;
}

static enum af_status read_ours(struct door *d, struct af_error *err)
{
    const struct provision_session *s = d->session;
    const struct af_json *json = NULL;
    AF_TRY(provision_secret_read(s->secrets, s->order->secret, s->arena, &json, d->version, err));
    AF_TRY(keep(s->arena, af_json_string(json, "username"), &d->username, err));
    AF_TRY(keep(s->arena, af_json_string(json, "password"), &d->password, err));
    AF_TRY(keep(s->arena, af_json_string(json, "previous"), &d->previous, err));
    d->facts.is_pending = d->previous != NULL;
    return AF_OK;
}

/* It may be gone, or not ours to read any more: that counts only where nothing else opens the instance. */
static enum af_status read_first(struct door *d, struct af_error *err)
{
    const struct provision_session *s = d->session;
    const struct af_json *json = NULL;
    char version[65];
    if (s->order->initial_secret == NULL)
        return AF_OK;
    const enum af_status status = provision_secret_read(s->secrets, s->order->initial_secret, s->arena, &json, version, &d->first_failure);
    if (status == AF_ENOMEM || status == AF_ECANCELED) {
        if (err != NULL)
            *err = d->first_failure;
        return status;
    }
    AF_TRY(keep(s->arena, af_json_string(json, "username"), &d->first_username, err));
    return keep(s->arena, af_json_string(json, "password"), &d->first, err);
}

/* --- which one opens it ---------------------------------------------------------------------------------------------------------- */

static enum af_status try_one(struct door *d, const char *username, const char *password, enum provision_opens which, struct af_error *err)
{
    if (d->facts.opens != PROVISION_NOTHING || password == NULL || username == NULL)
        return AF_OK;
    const enum af_status status = provision_influx_signin(d->session->influx, username, password, err);
    if (status == AF_OK) {
        d->facts.opens = which;
        d->username = username;
        d->facts.is_initial = d->first != NULL && strcmp(d->first, password) == 0;
    }
    return status == AF_EUNAUTH ? AF_OK : status;
}

static enum af_status find_opener(struct door *d, struct af_error *err)
{
    const char *username = d->username != NULL ? d->username : d->first_username;
    AF_TRY(try_one(d, username, d->password, PROVISION_PASSWORD, err));
    AF_TRY(try_one(d, username, d->previous, PROVISION_PREVIOUS, err));
    return try_one(d, d->first_username, d->first, PROVISION_INITIAL, err);
}

/* Where the first one may not be read (yet), that is what is wrong. */
static enum af_status fail_lost(const struct door *d, struct af_error *err)
{
    const struct provision_order *order = d->session->order;
    const char *first = ", nor the first one";
    if (d->first_failure.status == AF_EDENIED) {
        if (err != NULL)
            *err = d->first_failure;
        af_error_prefix(err, "no password in secret \"%s\" opens %s, and the first one may not be read: ", order->secret, order->url);
        return AF_EDENIED;
    }
    if (d->first == NULL)
        first = order->initial_secret != NULL ? ", and the secret of the first one is gone or holds none" : "";
    return af_fail(err, AF_EUNAUTH, "no password that is known opens %s: not those of secret \"%s\"%s. Somebody changed it: put "
                                    "{\"username\": ..., \"password\": ...} with the right one into that secret, and call again",
                   order->url, order->secret, first);
}

/* --- changing it ----------------------------------------------------------------------------------------------------------------- */

/* Letters and digits, as the service asks of its first one; of each kind at least one. */
static void make_password(char out[PASSWORD_CHARS + 1])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    enum { LETTERS = sizeof alphabet - 1, FAIR = 256 / LETTERS * LETTERS };
    bool has_upper, has_lower, has_digit;
    do {
        has_upper = has_lower = has_digit = false;
        for (size_t i = 0; i < PASSWORD_CHARS;) {
            uint8_t byte;
            af_random_bytes(&byte, sizeof byte);
            if (byte >= FAIR)
                continue;
            out[i] = alphabet[byte % LETTERS];
            has_upper |= out[i] >= 'A' && out[i] <= 'Z';
            has_lower |= out[i] >= 'a' && out[i] <= 'z';
            has_digit |= out[i] >= '0' && out[i] <= '9';
            i++;
        }
    } while (!has_upper || !has_lower || !has_digit);
    out[PASSWORD_CHARS] = '\0';
}

/* previous NULL: settled. */
static enum af_status write_down(struct door *d, const char *password, const char *previous, struct af_error *err)
{
    const struct provision_session *s = d->session;
    struct af_buf json;
    af_buf_init(&json, SECRET_BYTES_MAX);
    af_buf_append_str(&json, "{\"username\":");
    af_json_append_string(&json, af_slice_of(d->username));
    af_buf_append_str(&json, ",\"password\":");
    af_json_append_string(&json, af_slice_of(password));
    if (previous != NULL) {
        af_buf_append_str(&json, ",\"previous\":");
        af_json_append_string(&json, af_slice_of(previous));
    }
    af_buf_append_char(&json, '}');
    enum af_status status = af_buf_check(&json, "a secret", err);
    if (status == AF_OK)
        status = provision_secret_replace(s->secrets, s->order->secret, d->version, af_buf_slice(&json), err);
    lambda_wipe(&json);
    return status;
}

static enum af_status find_user(const struct door *d, char out[ID_DIGITS + 1], struct af_error *err)
{
    const struct af_json *me = NULL;
    AF_TRY(provision_influx_call(d->session->influx, "GET", "/api/v2/me", (struct af_slice){ NULL, 0 }, &me, err));
    const struct af_slice id = af_json_string(me, "id");
    if (id.len != ID_DIGITS || strspn(id.ptr, "0123456789abcdef") != ID_DIGITS)
        return af_fail(err, AF_ECORRUPT, "InfluxDB's answer to GET /api/v2/me has no id of a user");
    memcpy(out, id.ptr, ID_DIGITS);
    out[ID_DIGITS] = '\0';
    return AF_OK;
}

static enum af_status set_in_influx(const struct door *d, const char *password, struct af_error *err)
{
    const struct af_json *nothing = NULL;
    char id[ID_DIGITS + 1], path[64];
    struct af_buf json;
    AF_TRY(find_user(d, id, err));
    (void)snprintf(path, sizeof path, "/api/v2/users/%s/password", id);
    af_buf_init(&json, SECRET_BYTES_MAX);
    af_buf_append_str(&json, "{\"password\":");
    af_json_append_string(&json, af_slice_of(password));
    af_buf_append_char(&json, '}');
    const enum af_status status = provision_influx_call(d->session->influx, "POST", path, af_buf_slice(&json), &nothing, err);
    lambda_wipe(&json);
    return status;
}

/* `password` is written down. Settled is what was signed in with: an old session may have ended, and the proof is needed. */
static enum af_status set_and_settle(struct door *d, const char *password, struct af_error *err)
{
    AF_TRY(set_in_influx(d, password, err));
    AF_TRY(provision_influx_signin(d->session->influx, d->username, password, err));
    return write_down(d, password, NULL, err);
}

static enum af_status renew(struct door *d, struct af_error *err)
{
    char text[PASSWORD_CHARS + 1];
    const char *old = d->facts.opens == PROVISION_INITIAL ? d->first : d->password;
    make_password(text);
    enum af_status status = write_down(d, text, old, err);
    if (status == AF_OK)
        status = set_and_settle(d, text, err);
    af_wipe(text, sizeof text);
    return status;
}

static enum af_status step(struct door *d, struct af_error *err)
{
    struct provision_session *s = d->session;
    s->step = provision_password_step(&d->facts);
    if (s->step == PROVISION_LOST)
        return fail_lost(d, err);
    if (s->only_opens || s->step == PROVISION_KEEP)
        return AF_OK;
    if (s->step == PROVISION_SETTLE)
        return write_down(d, d->password, NULL, err);
    return s->step == PROVISION_FINISH ? set_and_settle(d, d->password, err) : renew(d, err);
}

enum af_status provision_password(struct provision_session *session, struct af_error *err)
{
    struct door d = { .session = session, .facts = { .rotates = session->rotates } };
    assert(session->influx->http != NULL);
    AF_TRY(read_ours(&d, err));
    AF_TRY(read_first(&d, err));
    AF_TRY(find_opener(&d, err));
    return step(&d, err);
}
