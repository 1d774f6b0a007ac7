/*
 * auth.c - who is asking, and may they: credentials of a request, sessions, refusals in InfluxDB's words.
 *
 *     Authorization: Token T | Bearer T   a token; `Token user:password` too, as 2.x clients of a 1.8 say it
 *     Authorization: Basic                user and password, or a token in the password's place
 *     x-api-key: T                        a token
 *     ?u=&p=                              user and password, not on 2.x paths: InfluxDB 2.x does not know them there
 *     Cookie: influxdb-oss-session=K      a session that /api/v2/signin made
 *
 * The first that is there counts, also when it is wrong. Sessions live in memory only, as hashes-to-be-guessed of 256 random bits.
 */
#include "base/alloc.h"
#include "base/numbers.h"
#include "os/clock.h"
#include "server/core.h"
#include <strings.h>

enum { SESSION_KEY_BYTES = 64, SESSION_IDLE_S = 3600, SESSIONS_MAX = 10000 };
static const char COOKIE[] = "influxdb-oss-session";

/* --- base64 ------------------------------------------------------------------------------------------------------------------ */

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool core_base64_decode(struct af_slice text, struct af_buf *out)
{
    uint32_t bits = 0;
    unsigned count = 0;
    while (text.len > 0 && text.ptr[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64_digit(text.ptr[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            af_buf_append_char(out, (char)(unsigned char)(bits >> count & 0xff));
        }
    }
    return !out->failed && text.len % 4 != 1;
}

void core_base64_encode(struct af_slice s, bool is_for_urls, struct af_buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const char *last = is_for_urls ? "-_" : "+/";
    for (size_t i = 0; i < s.len; i += 3) {
        uint32_t bits = (uint32_t)(unsigned char)s.ptr[i] << 16;
        bits |= i + 1 < s.len ? (uint32_t)(unsigned char)s.ptr[i + 1] << 8 : 0;
        bits |= i + 2 < s.len ? (uint32_t)(unsigned char)s.ptr[i + 2] : 0;
        for (unsigned k = 0; k < 4; k++) {
            uint32_t d = bits >> (18 - 6 * k) & 63;
            bool is_padding = (k == 2 && i + 1 >= s.len) || (k == 3 && i + 2 >= s.len);
            af_buf_append_char(out, is_padding ? '=' : d < 62 ? digits[d] : last[d - 62]);
        }
    }
}

/* --- credentials as they came ------------------------------------------------------------------------------------------------ */

enum creds_kind { CREDS_NONE, CREDS_BROKEN, CREDS_TOKEN, CREDS_PASSWORD, CREDS_SESSION };
struct creds {
    enum creds_kind kind;
    struct af_slice token;          /* or the session's key */
    struct af_slice user, password;
};

static bool cut_scheme(const char *header, const char *scheme, struct af_slice *out)
{
    size_t n = strlen(scheme);
    if (strncasecmp(header, scheme, n) != 0 || header[n] != ' ')
        return false;
    *out = af_slice_trim(af_slice_of(header + n));
    return true;
}

static void read_basic(struct af_request *r, struct af_slice text, struct creds *out)
{
    struct af_buf plain;
    af_buf_init(&plain, 4096);
    bool is_good = core_base64_decode(text, &plain);
    char *copy = is_good ? af_arena_copy(r->arena, af_buf_slice(&plain)) : NULL;
    size_t len = plain.len;
    af_buf_done(&plain);
    const char *colon = copy != NULL ? memchr(copy, ':', len) : NULL;
    out->kind = CREDS_BROKEN;
    if (colon == NULL)
        return;
    out->kind = CREDS_PASSWORD;
    out->user = (struct af_slice){ copy, (size_t)(colon - copy) };
    out->password = (struct af_slice){ colon + 1, len - out->user.len - 1 };
}

static void read_authorization(struct af_request *r, const char *header, struct creds *out)
{
    struct af_slice rest;
    if (cut_scheme(header, "Token", &rest) || cut_scheme(header, "Bearer", &rest))
        *out = (struct creds){ .kind = rest.len != 0 ? CREDS_TOKEN : CREDS_BROKEN, .token = rest };
    else if (cut_scheme(header, "Basic", &rest))
        read_basic(r, rest, out);
    else
        out->kind = CREDS_BROKEN;
}

static struct af_slice find_cookie(const struct af_serve_request *http)
{
    const char *at = af_serve_header(http, "Cookie");
    size_t n = sizeof COOKIE - 1;
    while (at != NULL && *at != '\0') {
        at += strspn(at, " ;");
        size_t len = strcspn(at, ";");
        if (len > n && memcmp(at, COOKIE, n) == 0 && at[n] == '=')
            return (struct af_slice){ at + n + 1, len - n - 1 };
        at += len;
    }
    return (struct af_slice){ 0 };
}

static void read_creds(struct af_request *r, struct creds *out)
{
    *out = (struct creds){ .kind = CREDS_NONE };
    const char *header = af_serve_header(r->http, "Authorization");
    const char *key = af_serve_header(r->http, "x-api-key");
    const char *user = r->api == AF_API_V2 ? NULL : af_serve_arg(r->http, "u");
    struct af_slice cookie = find_cookie(r->http);
    if (header != NULL) {
        read_authorization(r, header, out);
    } else if (key != NULL) {
        *out = (struct creds){ .kind = CREDS_TOKEN, .token = af_slice_trim(af_slice_of(key)) };
    } else if (user != NULL) {
        const char *password = af_serve_arg(r->http, "p");
        *out = (struct creds){ .kind = CREDS_PASSWORD, .user = af_slice_of(user),
                               .password = af_slice_of(password != NULL ? password : "") };
    } else if (cookie.len != 0) {
        *out = (struct creds){ .kind = CREDS_SESSION, .token = cookie };
    }
}

/* --- sessions ---------------------------------------------------------------------------------------------------------------- */

struct session {
    struct session *next;
    char key[SESSION_KEY_BYTES + 1];
    uint64_t user;
    int64_t used_mono_ns;
};

static bool is_stale(const struct session *session, int64_t now_ns)
{
    return now_ns - session->used_mono_ns > SESSION_IDLE_S * INT64_C(1000000000);
}

static void drop_at_locked(struct af_server *server, struct session **at)
{
    struct session *session = *at;
    *at = session->next;
    server->session_count--;
    af_free(session);
}

/* The same time for every wrong key of the right length. */
static bool same_key(const char *a, const char *b)
{
    unsigned char rest = 0;
    for (size_t i = 0; i < SESSION_KEY_BYTES; i++)
        rest = (unsigned char)(rest | (a[i] ^ b[i]));
    return rest == 0;
}

static struct session **find_locked(struct af_server *server, struct af_slice key)
{
    int64_t now_ns = af_clock_mono_ns();
    struct session **found = NULL;
    for (struct session **at = &server->sessions; *at != NULL;) {
        if (is_stale(*at, now_ns)) {
            drop_at_locked(server, at);
            continue;
        }
        if (key.len == SESSION_KEY_BYTES && same_key((*at)->key, key.ptr))
            found = at;
        at = &(*at)->next;
    }
    return found;
}

/* Of too many sessions the one that rested longest goes. */
static void make_room_locked(struct af_server *server)
{
    (void)find_locked(server, (struct af_slice){ 0 });
    if (server->session_count < SESSIONS_MAX)
        return;
    struct session **oldest = &server->sessions;
    for (struct session **at = &server->sessions; *at != NULL; at = &(*at)->next)
        if ((*at)->used_mono_ns < (*oldest)->used_mono_ns)
            oldest = at;
    drop_at_locked(server, oldest);
}

enum af_status af_session_new(struct af_server *server, uint64_t user, struct af_arena *arena, const char **out_key, struct af_error *err)
{
    unsigned char random[SESSION_KEY_BYTES / 2];
    struct session *session = af_alloc_zero(1, sizeof *session);
    if (session == NULL)
        return af_fail_nomem(err, "a session");
    af_random_bytes(random, sizeof random);
    (void)af_hex_print(session->key, random, sizeof random);
    *out_key = af_arena_copy(arena, af_slice_of(session->key));
    if (*out_key == NULL) {
        af_free(session);
        return af_fail_nomem(err, "a session");
    }
    session->user = user;
    session->used_mono_ns = af_clock_mono_ns();
    af_mutex_lock(&server->session_lock);
    make_room_locked(server);
    session->next = server->sessions;
    server->sessions = session;
    server->session_count++;
    af_mutex_unlock(&server->session_lock);
    return AF_OK;
}

void af_session_end(struct af_server *server, const char *key)
{
    af_mutex_lock(&server->session_lock);
    struct session **at = find_locked(server, af_slice_of(key));
    if (at != NULL)
        drop_at_locked(server, at);
    af_mutex_unlock(&server->session_lock);
}

const char *af_request_session(const struct af_request *request)
{
    struct af_slice cookie = find_cookie(request->http);
    return cookie.len != 0 ? af_arena_copy(request->arena, cookie) : NULL;
}

void core_sessions_end_of(struct af_server *server, uint64_t user)
{
    af_mutex_lock(&server->session_lock);
    for (struct session **at = &server->sessions; *at != NULL;) {
        if ((*at)->user == user)
            drop_at_locked(server, at);
        else
            at = &(*at)->next;
    }
    af_mutex_unlock(&server->session_lock);
}

void core_sessions_free(struct af_server *server)
{
    while (server->sessions != NULL)
        drop_at_locked(server, &server->sessions);
}

/* Whose session is it? 0: nobody's. */
static uint64_t session_user(struct af_server *server, struct af_slice key)
{
    af_mutex_lock(&server->session_lock);
    struct session **at = find_locked(server, key);
    uint64_t user = at != NULL ? (*at)->user : 0;
    if (at != NULL)
        (*at)->used_mono_ns = af_clock_mono_ns();
    af_mutex_unlock(&server->session_lock);
    return user;
}

static enum af_status by_session(struct af_request *r, struct af_slice key, struct af_error *err)
{
    struct af_meta_user *users = NULL;
    size_t count = 0;
    struct af_meta_filter filter = { .id = session_user(r->server, key) };
    if (filter.id == 0)
        return af_fail(err, AF_EUNAUTH, "the session has ended");
    AF_TRY(af_meta_users(r->house->meta, &filter, r->arena, &users, &count, err));
    if (count == 0 || !users[0].is_active)
        return af_fail(err, AF_EUNAUTH, "the session's user is gone");
    r->who = (struct af_principal){ .user = users[0].id, .is_admin = users[0].is_admin,
                                    .name = af_arena_printf(r->arena, "user %s", users[0].name) };
    return AF_OK;
}

/* --- who --------------------------------------------------------------------------------------------------------------------- */

static enum af_status by_password(struct af_request *r, struct af_slice user, struct af_slice password, bool early, struct af_error *err)
{
    bool is_open;
    if (!early)
        return af_meta_by_password(r->house->meta, user, password, r->arena, &r->who, err);
    enum af_status status = af_meta_by_password_quickly(r->house->meta, user, password, r->arena, &r->who, &is_open, err);
    r->answer->is_unproven = is_open;
    return is_open ? AF_OK : status;
}

/* 2.x clients of a 1.8 put "user:password" where the token goes. */
static enum af_status by_token(struct af_request *r, struct af_slice token, bool early, struct af_error *err)
{
    const char *colon = memchr(token.ptr, ':', token.len);
    enum af_status status = af_meta_by_token(r->house->meta, token, r->arena, &r->who, err);
    if (status != AF_EUNAUTH || colon == NULL)
        return status;
    struct af_slice user = { token.ptr, (size_t)(colon - token.ptr) };
    return by_password(r, user, (struct af_slice){ colon + 1, token.len - user.len - 1 }, early, err);
}

static enum af_status find_principal(struct af_request *r, const struct creds *creds, bool early, struct af_error *err)
{
    switch (creds->kind) {
    case CREDS_TOKEN: return by_token(r, creds->token, early, err);
    case CREDS_SESSION: return by_session(r, creds->token, err);
    case CREDS_PASSWORD: return by_password(r, creds->user, creds->password, early, err);
    default: return af_fail(err, AF_EUNAUTH, "no credentials");
    }
}

static void refuse(struct af_request *r, const struct creds *creds)
{
    bool has_any = creds->kind != CREDS_NONE && creds->kind != CREDS_BROKEN;
    r->who = (struct af_principal){ .name = creds->kind == CREDS_PASSWORD
                                                ? af_arena_printf(r->arena, "user " AF_SLICE_FMT, AF_SLICE_ARG(creds->user))
                                                : NULL };
    atomic_fetch_add(&r->server->refused_requests, 1);
    af_audit(r, "refused", "%s", has_any ? "wrong credentials" : creds->kind == CREDS_BROKEN ? "unreadable credentials" : "no credentials");
    if (r->api != AF_API_V1) {
        af_answer_fail(r, 401, "unauthorized access");
        return;
    }
    af_serve_add_header(r->answer, "WWW-Authenticate", "Basic realm=\"InfluxDB\"");
    af_answer_fail(r, 401, "%s", has_any ? "authorization failed" : "unable to parse authentication credentials");
}

bool core_authenticate(struct af_request *r, bool early)
{
    if (r->server->options.no_auth) {
        r->who = (struct af_principal){ .is_everybody = true };
        return true;
    }
    struct creds creds;
    struct af_error err = { 0 };
    read_creds(r, &creds);
    enum af_status status = find_principal(r, &creds, early, &err);
    if (status == AF_EUNAUTH)
        refuse(r, &creds);
    else if (status != AF_OK)
        af_answer_error(r, &err);
    return status == AF_OK;
}

/* --- may they ----------------------------------------------------------------------------------------------------------------- */

/* InfluxDB 1.x names the user and the database; a token has no user, so it is called what it is. */
static void deny_v1(struct af_request *r, enum af_action action)
{
    const char *name = r->who.name != NULL ? r->who.name : "";
    const char *database = af_serve_form(r->http, "db");
    if (strncmp(name, "user ", 5) == 0)
        name += 5;
    af_answer_fail(r, 403, "\"%s\" user is not authorized to %s database \"%s\"", name,
                   action == AF_ACTION_WRITE ? "write to" : "read from", database != NULL ? database : "");
}

bool af_request_may(struct af_request *r, enum af_action action, const char *type, uint64_t org, uint64_t id)
{
    if (r->who.is_everybody || af_principal_may(&r->who, action, type, org, id))
        return true;
    const char *verb = action == AF_ACTION_WRITE ? "write" : "read";
    char text[AF_ID_TEXT_BYTES];
    af_id_print(id, text);
    atomic_fetch_add(&r->server->refused_requests, 1);
    af_audit(r, "denied", "%s %s%s%s", verb, type, id != 0 ? " " : "", id != 0 ? text : "");
    if (r->api == AF_API_V1)
        deny_v1(r, action);
    else
        af_answer_fail(r, 403, "insufficient permissions for %s", verb);
    return false;
}
