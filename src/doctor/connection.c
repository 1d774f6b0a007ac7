/*
 * connection.c - a server, from its name until it says who it is. One request tells the steps apart:
 *
 *     name ----> TCP ----> TLS ----> HTTP ----> version
 *     lookup_us  address   tls_us    status     X-Influxdb-Version, /health
 *
 * The step that left nothing is the one that failed. Where a certificate is refused, a second request that trusts anybody, and says nothing
 * about us, learns what certificate it is.
 */
#include "base/calendar.h"
#include "codec/base64.h"
#include "codec/digest.h"
#include "doctor/doctor_int.h"
#include "format/json/json.h"
#include "os/clock.h"
#include <inttypes.h>
#include <stdio.h>

enum { HEADERS_MAX = 4, WORDS = 300 };

/* --- requests --------------------------------------------------------------------------------------------------------------- */

void doctor_server_done(struct doctor_server *server)
{
    if (server->authorization.ptr != NULL)
        af_wipe(server->authorization.ptr, server->authorization.cap);
    af_buf_done(&server->authorization);
    af_buf_done(&server->text);
    af_http_answer_done(&server->answer);
    af_http_free(server->http);
}

static enum af_status new_client(const struct doctor *d, bool trusts_anybody, struct af_http **out, struct af_error *err)
{
    struct af_http_options options = d->options->http;
    options.connect_timeout_ms = options.stall_timeout_ms = options.total_timeout_ms = d->limit_ms;
    options.skip_verify |= trusts_anybody;
    options.want_certificate = true;
    options.no_redirects = true; /* where the token would go must be seen */
    return af_http_new(&options, out, err);
}

static enum af_status authorize(struct doctor *d, struct af_error *err)
{
    const struct af_doctor_options *o = d->options;
    struct af_buf *out = &d->server.authorization;
    if (out->len != 0 || (d->server.token == NULL && o->user == NULL))
        return AF_OK;
    if (d->server.token != NULL) {
        af_buf_printf(out, "Authorization: Token %s", d->server.token);
        return af_buf_check(out, "a request", err);
    }
    struct af_buf pair;
    af_buf_init(&pair, 16 << 10);
    af_buf_printf(&pair, "%s:%s", o->user, o->password != NULL ? o->password : "");
    af_buf_append_str(out, "Authorization: Basic ");
    af_base64_append(out, af_buf_slice(&pair));
    if (pair.ptr != NULL)
        af_wipe(pair.ptr, pair.cap);
    af_buf_done(&pair);
    return af_buf_check(out, "a request", err);
}

static enum af_status send_by(struct doctor *d, struct af_http *http, bool says_who, const char *method, const char *text,
                              struct af_slice body, struct af_error *err)
{
    struct doctor_server *s = &d->server;
    const char *headers[HEADERS_MAX];
    size_t count = 0;
    struct af_buf url;
    if (says_who && s->authorization.len != 0)
        headers[count++] = af_buf_cstr(&s->authorization);
    if (body.len != 0 && body.ptr[0] == '{')
        headers[count++] = "Content-Type: application/json";
    headers[count] = NULL;
    af_buf_init(&url, 1 << 20);
    af_buf_printf(&url, "%s%s", s->url, text);
    const struct af_http_request request = { .method = method, .url = af_buf_cstr(&url), .headers = headers, .body = body,
                                             .cancel = d->options->cancel };
    enum af_status status = af_buf_check(&url, "a URL", err);
    if (status == AF_OK)
        status = af_http_send(http, &request, &s->answer, err);
    af_buf_done(&url);
    return status;
}

enum af_status doctor_ask(struct doctor *doctor, const char *method, const char *text, struct af_slice body, struct af_error *err)
{
    if (doctor->server.http == NULL)
        AF_TRY(new_client(doctor, false, &doctor->server.http, err));
    AF_TRY(authorize(doctor, err));
    return send_by(doctor, doctor->server.http, true, method, text, body, err);
}

/* --- the first request ------------------------------------------------------------------------------------------------------ */

static void keep_certificate(struct doctor_server *s)
{
    s->certificate_ends_ns = s->answer.certificate_ends_ns;
    memcpy(s->names, s->answer.certificate_names, sizeof s->names);
    memcpy(s->by, s->answer.certificate_by, sizeof s->by);
}

static void look_at_certificate(struct doctor *d)
{
    struct af_http *http;
    if (new_client(d, true, &http, NULL) != AF_OK)
        return;
    if (send_by(d, http, false, "GET", "/ping", (struct af_slice){ NULL, 0 }, NULL) == AF_OK || d->server.answer.certificate_ends_ns != 0)
        keep_certificate(&d->server);
    af_http_free(http);
}

static void knock(struct doctor *d)
{
    struct doctor_server *s = &d->server;
    struct af_http *http;
    s->first = new_client(d, false, &http, &s->why);
    if (s->first != AF_OK)
        return;
    const int64_t begun_ns = af_clock_now_ns();
    s->first = send_by(d, http, false, "GET", "/ping", (struct af_slice){ NULL, 0 }, &s->why);
    s->asked_ns = begun_ns + (af_clock_now_ns() - begun_ns) / 2;
    s->status = s->answer.status;
    s->lookup_us = s->answer.lookup_us;
    s->tls_us = s->answer.tls_us;
    s->connect_us = s->answer.connect_us;
    s->date_ns = s->answer.date_ns;
    memcpy(s->address, s->answer.address, sizeof s->address);
    (void)snprintf(s->version, sizeof s->version, "%s", s->answer.influx_version);
    keep_certificate(s);
    af_http_free(http);
    if (s->first != AF_OK && s->is_https && s->address[0] != '\0' && s->certificate_ends_ns == 0)
        look_at_certificate(d);
}

static bool is_this_machine(struct af_slice host)
{
    return af_slice_is(host, "localhost") || af_slice_is(host, "::1") || af_slice_has_prefix(host, "127.");
}

static void check_name(struct doctor *d, struct af_doctor_finding *f)
{
    struct doctor_server *s = &d->server;
    struct af_error err = { 0 };
    const struct af_slice text = af_slice_of(s->url);
    s->url = af_arena_copy(&d->arena, (struct af_slice){ text.ptr, text.len - (text.len != 0 && text.ptr[text.len - 1] == '/') });
    if (s->url == NULL || af_url_parse(af_slice_of(s->url), &d->arena, &s->parts, &err) != AF_OK) {
        doctor_fail(f, "%s", s->url == NULL ? "no memory" : err.message);
        doctor_advise(f, "a server is written http(s)://host:port");
        s->url = s->url == NULL ? "" : s->url;
        return;
    }
    s->is_https = af_slice_is(s->parts.scheme, "https");
    s->is_local = is_this_machine(s->parts.host);
    knock(d);
    if (s->first != AF_OK && s->lookup_us == 0 && s->address[0] == '\0') {
        doctor_fail(f, "%s", s->why.message);
        doctor_advise(f, "getent hosts %s must answer; names of private instances are known inside their network only", s->parts.host.ptr);
    } else if (d->options->has_proxy && !s->is_local) {
        doctor_ok(f, "%s, by the proxy that the environment names", s->parts.base.ptr);
    } else if (s->address[0] != '\0' && !af_slice_is(s->parts.host, s->address)) {
        doctor_ok(f, "%s is %s", s->parts.host.ptr, s->address);
    } else {
        doctor_ok(f, "%s", s->parts.host.ptr);
    }
}

static void check_connection(struct doctor *d, struct af_doctor_finding *f)
{
    const struct doctor_server *s = &d->server;
    if (s->address[0] == '\0' && s->first != AF_OK) {
        doctor_fail(f, "%s", s->why.message);
        doctor_advise(f, "refused: nothing listens on that port; no answer: a firewall, a security group or a route keeps us out");
        return;
    }
    if (s->connect_us == 0) {
        doctor_ok(f, "port %u is open", s->parts.port);
        return;
    }
    doctor_say(f, doctor_judge_connection(s->connect_us), "port %u answers, after %.1f ms", s->parts.port, (double)s->connect_us / 1e3);
    if (f->state != AF_DOCTOR_OK)
        doctor_advise(f, "the server is far away or its network is busy: run afluxo nearer to it, with more --lanes");
}

/* --- TLS ---------------------------------------------------------------------------------------------------------------------- */

static void describe_certificate(const struct doctor_server *s, char out[WORDS])
{
    char date[48];
    *af_rfc3339_print(date, s->certificate_ends_ns, 0) = '\0';
    (void)snprintf(out, WORDS, " (for %.90s; by %.90s; until %.10s)", s->names[0] != '\0' ? s->names : "nobody",
                   s->by[0] != '\0' ? s->by : "nobody", date);
}

static void tls_failed(const struct doctor_server *s, struct af_doctor_finding *f)
{
    char words[WORDS] = "";
    if (s->certificate_ends_ns != 0)
        describe_certificate(s, words);
    doctor_fail(f, "%.320s%s", s->why.message, words);
    if (strstr(s->why.message, "CA that") != NULL)
        doctor_advise(f, "--ca-file FILE with the certificate of who signed it");
    else if (strstr(s->why.message, "another name") != NULL)
        doctor_advise(f, "use a name that the certificate has");
    else if (strstr(s->why.message, "expired") != NULL)
        doctor_advise(f, "renew it (docs/runbooks/certificate-ends.md), and look at the clock");
}

static void check_tls(struct doctor *d, struct af_doctor_finding *f)
{
    const struct doctor_server *s = &d->server;
    char words[WORDS] = "";
    if (!s->is_https && s->is_local) {
        doctor_ok(f, "none, and none is needed: the server is on this machine");
    } else if (!s->is_https) {
        doctor_warn(f, "none: whoever is on the way reads the token and the data");
        doctor_advise(f, "use https://; afluxo serve takes --tls-cert and --tls-key");
    } else if (s->first != AF_OK && s->tls_us == 0) {
        tls_failed(s, f);
    } else if (s->certificate_ends_ns == 0) {
        doctor_warn(f, "TLS stands, but nothing was learnt about the certificate");
    } else {
        const int64_t days = doctor_days(af_clock_now_ns(), s->certificate_ends_ns);
        describe_certificate(s, words);
        const bool trusts_all = d->options->http.skip_verify;
        doctor_say(f, trusts_all ? AF_DOCTOR_WARNING : doctor_judge_certificate(days), "certificate %s, %" PRId64 " day%s left%s",
                   trusts_all ? "not verified" : "accepted", days, days == 1 ? "" : "s", words);
        if (f->state != AF_DOCTOR_OK)
            doctor_advise(f, "%s", trusts_all ? "leave --insecure out" : "renew it now (docs/runbooks/certificate-ends.md)");
    }
}

/* --- who it is ---------------------------------------------------------------------------------------------------------------- */

/* {"name":"influxdb","version":"v2.7.1","status":"pass","message":...} */
static bool is_well(struct doctor *d, struct af_doctor_finding *f)
{
    struct af_json *json = NULL;
    struct af_error err = { 0 };
    if (doctor_ask(d, "GET", "/health", (struct af_slice){ NULL, 0 }, &err) != AF_OK) {
        doctor_fail(f, "%s", err.message);
        return false;
    }
    if (af_json_parse(af_buf_slice(&d->server.answer.body), &d->arena, &json, NULL) != AF_OK)
        return true;
    const char *version = doctor_text(d, json, "version"), *status = doctor_text(d, json, "status");
    if (d->server.version[0] == '\0')
        (void)snprintf(d->server.version, sizeof d->server.version, "%s", version);
    if (status[0] == '\0' || strcmp(status, "pass") == 0)
        return true;
    doctor_fail(f, "the server says that it is not well: %s", doctor_text(d, json, "message"));
    doctor_advise(f, "look into its log");
    return false;
}

/* {"name":"afluxo","version":"0.1.0","influxdb":"1.8.10"}: it calls itself 1.8 and speaks 2.x, too, which is what a token is for. */
static bool is_ours(struct doctor *d, struct af_doctor_finding *f)
{
    struct doctor_server *s = &d->server;
    struct af_json *json = NULL;
    if (s->kind != DOCTOR_INFLUX_1 || doctor_ask(d, "GET", "/version", (struct af_slice){ NULL, 0 }, NULL) != AF_OK ||
        s->answer.status != 200 || af_json_parse(af_buf_slice(&s->answer.body), &d->arena, &json, NULL) != AF_OK ||
        strcmp(doctor_text(d, json, "name"), "afluxo") != 0)
        return false;
    if (s->token != NULL || d->options->user == NULL)
        s->kind = DOCTOR_INFLUX_2;
    doctor_ok(f, "afluxo %.40s, which speaks 1.x and 2.x", doctor_text(d, json, "version"));
    return true;
}

static void judge_kind(struct doctor *d, struct af_doctor_finding *f)
{
    struct doctor_server *s = &d->server;
    const char *version = s->version[0] == 'v' ? s->version + 1 : s->version;
    s->kind = doctor_kind_of(s->version);
    if (s->kind == DOCTOR_INFLUX_3) {
        doctor_fail(f, "InfluxDB %s: afluxo moves data into 1.x and 2.x, whose answers can be proven; 3.x is no target yet", version);
        doctor_advise(f, "use an instance of InfluxDB 2 (Timestream for InfluxDB has both)");
    } else if (s->kind == DOCTOR_NO_INFLUX && s->status >= 500) {
        doctor_fail(f, "it answers with status %d, and no version: it starts, stops, or what stands before it has lost it", s->status);
        doctor_advise(f, "wait a minute and ask again, then look into the server's log and its balancer's");
    } else if (s->kind == DOCTOR_NO_INFLUX && s->status >= 300 && s->status < 400) {
        doctor_fail(f, "it sends us elsewhere (status %d), which is not followed: a token would go along", s->status);
        doctor_advise(f, "name the server itself, with https:// if that is what it wants");
    } else if (s->kind == DOCTOR_NO_INFLUX && s->status == 401) {
        doctor_fail(f, "it wants to know who asks before it says what it is (status 401)");
        doctor_advise(f, "give a token (--token-file, INFLUX_TOKEN) or --user with --password-file, and check them");
    } else if (s->kind == DOCTOR_NO_INFLUX) {
        doctor_fail(f, "what answers there (status %d) does not say that it is an InfluxDB", s->status);
        doctor_advise(f, "check host, port and path of the URL");
    } else if (!is_ours(d, f)) {
        doctor_ok(f, "InfluxDB %s", version);
    }
}

static void check_server(struct doctor *d, struct af_doctor_finding *f)
{
    struct doctor_server *s = &d->server;
    if (s->first != AF_OK) {
        doctor_fail(f, "%s", s->why.message);
        doctor_advise(f, "it took the connection and said nothing of use: look into its log; --timeout 30s waits longer");
        return;
    }
    if (s->status == 401 && doctor_ask(d, "GET", "/ping", (struct af_slice){ NULL, 0 }, NULL) == AF_OK) { /* ping-auth-enabled */
        s->status = s->answer.status;
        (void)snprintf(s->version, sizeof s->version, "%s", s->answer.influx_version);
    }
    if (doctor_kind_of(s->version) != DOCTOR_INFLUX_1 && !is_well(d, f))
        return;
    judge_kind(d, f);
}

/* A date has whole seconds: half of one more is in the middle of it. */
void doctor_compare_clocks(struct af_doctor_finding *finding, int64_t asked_ns, int64_t date_ns, const char *whose)
{
    char off[32];
    const int64_t skew_ns = asked_ns - (date_ns + AF_NS_PER_S / 2);
    const enum af_doctor_state state = doctor_judge_clock(skew_ns);
    if (state == AF_DOCTOR_OK) {
        doctor_ok(finding, "as %s, within a few seconds", whose);
        return;
    }
    doctor_say(finding, state, "this machine's clock is %s %s %s", doctor_span(off, skew_ns / AF_NS_PER_S),
               skew_ns > 0 ? "ahead of" : "behind", whose);
    doctor_advise(finding, "set it (chrony, systemd-timesyncd): points get wrong times, and past five minutes AWS refuses signatures");
}

static void check_clock(struct doctor *d, struct af_doctor_finding *f)
{
    if (d->server.date_ns == 0)
        doctor_skip(f, "the server does not tell its time");
    else
        doctor_compare_clocks(f, d->server.asked_ns, d->server.date_ns, "the server's");
}

#define GROUP "server"
const struct doctor_row doctor_connection[] = {
    { GROUP, "name", NULL, doctor_has_server, check_name },
    { GROUP, "connection", "name", doctor_has_server, check_connection },
    { GROUP, "TLS", "connection", doctor_has_server, check_tls },
    { GROUP, "InfluxDB", "TLS", doctor_has_server, check_server },
    { GROUP, "clock", "TLS", doctor_has_server, check_clock },
    { NULL, NULL, NULL, NULL, NULL },
};
