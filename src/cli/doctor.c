/*
 * doctor.c - `afluxo doctor`: checks by src/doctor, printed for a person or as JSON.
 *
 *     this machine
 *       ok       memory           3.1 GiB of 7.7 GiB free
 *       warning  spools           2 blocks ... wait
 *                  -> the same migrate again with --resume sends them
 *
 * Findings are printed as they come; with --quiet only those that ask for something. With --json one object, at the end.
 */
#include "cli/cli.h"
#include "doctor/doctor.h"
#include "format/json/json.h"
#include "os/clock.h"
#include "base/calendar.h"
#include "net/url.h"
#include <inttypes.h>
#include <stdlib.h>

enum { STDOUT_FD = 1, OUT_BYTES_MAX = 4 << 20, PATH_BYTES = 4096 };

struct printing {
    const struct af_cli *cli;
    const char *group;             /* that was printed last */
    bool has_colour;
    struct af_buf out;             /* JSON, or what is printed next */
    enum af_status status;
    struct af_error err;
};

static const char *const words[AF_DOCTOR_STATES] = { "ok", "warning", "failed", "not checked" };
static const char *const names[AF_DOCTOR_STATES] = { "ok", "warning", "failed", "not_checked" };
static const char *const colours[AF_DOCTOR_STATES] = { "\033[32m", "\033[33m", "\033[31m", "\033[2m" };

static void flush(struct printing *p)
{
    if (p->status == AF_OK && p->out.len != 0)
        p->status = af_cli_out(af_buf_slice(&p->out), &p->err);
    af_buf_clear(&p->out);
}

static void print_line(struct printing *p, const struct af_doctor_finding *f)
{
    if (p->group != f->group && (p->group == NULL || strcmp(p->group, f->group) != 0))
        af_buf_printf(&p->out, "%s%s\n", p->group != NULL ? "\n" : "", f->group);
    p->group = f->group;
    af_buf_printf(&p->out, "  %s%-11s%s  %-18s %s\n", p->has_colour ? colours[f->state] : "", words[f->state],
                  p->has_colour ? "\033[0m" : "", f->name, f->seen);
    if (f->advice[0] != '\0')
        af_buf_printf(&p->out, "%33s-> %s\n", "", f->advice);
    flush(p);
}

static void print_json(struct printing *p, const struct af_doctor_finding *f)
{
    af_buf_append_str(&p->out, p->out.len != 0 ? "," : "");
    af_buf_append_str(&p->out, "{\"group\":");
    af_json_append_string(&p->out, af_slice_of(f->group));
    af_buf_append_str(&p->out, ",\"name\":");
    af_json_append_string(&p->out, af_slice_of(f->name));
    af_buf_printf(&p->out, ",\"state\":\"%s\",\"took_ms\":%" PRIu64 ",\"seen\":", names[f->state], f->took_ms);
    af_json_append_string(&p->out, af_slice_of(f->seen));
    af_buf_append_str(&p->out, ",\"advice\":");
    if (f->advice[0] != '\0')
        af_json_append_string(&p->out, af_slice_of(f->advice));
    else
        af_buf_append_str(&p->out, "null");
    af_buf_append_char(&p->out, '}');
}

static void found(void *ctx, const struct af_doctor_finding *finding)
{
    struct printing *p = ctx;
    const bool asks = finding->state == AF_DOCTOR_WARNING || finding->state == AF_DOCTOR_FAILED;
    if (p->cli->json)
        print_json(p, finding);
    else if (asks || !p->cli->quiet)
        print_line(p, finding);
}

/* --- what is given ------------------------------------------------------------------------------------------------------------ */

/* Where migrations keep journals, spools and dead letters: migration.c has each target's in a directory below. */
static const char *state_dir(const struct af_cli *cli, char out[PATH_BYTES])
{
    const char *home = getenv("XDG_STATE_HOME"), *below = "";
    if (cli->state != NULL)
        return cli->state;
    if (home == NULL || home[0] == '\0') {
        home = getenv("HOME");
        below = "/.local/state";
    }
    (void)snprintf(out, PATH_BYTES, home != NULL ? "%s%s/afluxo" : ".afluxo", home, below);
    return out;
}

/* As libcurl chooses it. */
static bool has_proxy(const char *url)
{
    static const char *const secure[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" };
    static const char *const plain[] = { "http_proxy", "all_proxy", "ALL_PROXY" };
    const bool is_secure = url != NULL && strncmp(url, "https:", 6) == 0;
    for (size_t i = 0; i < (is_secure ? 4 : 3); i++) {
        const char *said = getenv(is_secure ? secure[i] : plain[i]);
        if (said != NULL && said[0] != '\0')
            return true;
    }
    return false;
}

static enum af_status take_options(struct af_cli *cli, struct af_doctor_options *o, struct af_error *err)
{
    const char *target = af_cli_target_url(cli->to != NULL ? cli->to : cli->from);
    AF_TRY(af_cli_take_token(cli, err));
    AF_TRY(af_cli_take_password(cli, &o->password, err));
    if (target != NULL && !af_cli_is_directory(target) && !af_url_is_http(target))
        return af_fail(err, AF_EINVAL, "%.200s: a target is a directory or http(s)://host:port", target);
    if (af_cli_is_directory(target))
        o->dir = target;
    else
        o->url = target;
    o->only_reads = cli->from != NULL;
    o->only_writes = cli->to != NULL;
    o->org = cli->org;
    o->bucket = cli->bucket;
    o->token = cli->token;
    o->user = cli->user;
    o->has_proxy = has_proxy(o->url);
    o->http = (struct af_http_options){ .skip_verify = cli->insecure, .ca_file = cli->ca_file };
    o->write_test = cli->write_test;
    o->instance = cli->instance;
    o->queue = cli->queue;
    o->limit_ms = af_cli_ms(cli->timeout_ms);
    o->scratch_dir = af_cli_scratch_dir();
    o->version = AFLUXO_VERSION;
    o->cancel = af_interrupt_flag();
    return AF_OK;
}

/* --- the command ---------------------------------------------------------------------------------------------------------------- */

static void print_sum(struct printing *p, const struct af_doctor_totals *totals)
{
    char now[48];
    *af_rfc3339_print(now, af_clock_now_ns(), 0) = '\0';
    const size_t *of = totals->of;
    if (!p->cli->json) {
        af_buf_printf(&p->out, "%s%zu ok, %zu warning%s, %zu failed, %zu not checked\n", p->group != NULL ? "\n" : "", of[AF_DOCTOR_OK],
                      of[AF_DOCTOR_WARNING], of[AF_DOCTOR_WARNING] == 1 ? "" : "s", of[AF_DOCTOR_FAILED], of[AF_DOCTOR_UNCHECKED]);
        flush(p);
        return;
    }
    struct af_buf all;
    af_buf_init(&all, OUT_BYTES_MAX);
    af_buf_printf(&all, "{\"version\":\"%s\",\"time\":\"%s\",\"healthy\":%s,\"ok\":%zu,\"warning\":%zu,\"failed\":%zu,\"not_checked\":%zu,"
                  "\"checks\":[", AFLUXO_VERSION, now, of[AF_DOCTOR_FAILED] == 0 ? "true" : "false", of[AF_DOCTOR_OK],
                  of[AF_DOCTOR_WARNING], of[AF_DOCTOR_FAILED], of[AF_DOCTOR_UNCHECKED]);
    af_buf_append_slice(&all, af_buf_slice(&p->out));
    af_buf_append_str(&all, "]}\n");
    p->status = af_buf_check(&all, "the findings", &p->err);
    if (p->status == AF_OK)
        p->status = af_cli_out(af_buf_slice(&all), &p->err);
    af_buf_done(&all);
}

int af_cli_doctor(struct af_cli *cli)
{
    char state[PATH_BYTES];
    struct printing p = { .cli = cli, .has_colour = af_tty_is(STDOUT_FD) && getenv("NO_COLOR") == NULL && !cli->json };
    struct af_doctor_options options = { .found = found, .ctx = &p };
    const struct af_aws_options aws = { .profile = cli->profile, .region = cli->region, .endpoint_url = cli->endpoint_url,
                                        .http = { .skip_verify = cli->insecure, .ca_file = cli->ca_file } };
    struct af_doctor_totals totals;
    struct af_error err = { 0 };
    if (cli->arg_count != 0 || (cli->to != NULL && cli->from != NULL))
        return af_cli_usage_error(cli, "doctor takes one target: --from or --to");
    if (!cli->aws && (cli->instance != NULL || cli->queue != NULL))
        return af_cli_usage_error(cli, "--instance and --queue are for --aws");
    if (take_options(cli, &options, &err) != AF_OK)
        return err.status == AF_EINVAL ? af_cli_usage_error(cli, "%s", err.message) : af_cli_fail(cli, &err);
    options.state_dir = state_dir(cli, state);
    options.aws = cli->aws ? &aws : NULL;
    af_buf_init(&p.out, OUT_BYTES_MAX);
    const enum af_status status = af_doctor_run(&options, &totals, &err);
    print_sum(&p, &totals);
    af_buf_done(&p.out);
    if (p.status != AF_OK)
        return af_cli_fail(cli, &p.err);
    if (status != AF_OK)
        return af_cli_fail(cli, &err);
    return totals.of[AF_DOCTOR_FAILED] != 0 ? AF_EXIT_FAILED : AF_EXIT_DONE;
}
