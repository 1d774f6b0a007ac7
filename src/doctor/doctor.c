/*
 * doctor.c - the run: tables in order, row by row; see doctor.h.
 *
 *     row --> applies? --> what it needs is well? --> time left? --> run --> found()
 *               | no: left out    | no: not checked      | no: not checked
 */
#include "doctor/doctor_int.h"
#include "base/calendar.h"
#include "codec/digest.h"
#include "os/clock.h"
#include <stdarg.h>
#include <stdio.h>

enum { LIMIT_MS = 5000, PATIENCE_MS = 120000, ARENA_BYTES_MAX = 64 << 20, NS_PER_MS = 1000000 };

static const struct doctor_row *const tables[] = { doctor_machine, doctor_directory, doctor_connection, doctor_target,
                                                   doctor_account, doctor_instance, doctor_metrics };

/* --- what checks say -------------------------------------------------------------------------------------------------------- */

/* What servers and files said may hold anything: a finding is one line of text. */
static void make_plain(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++)
        if (*at < ' ' || *at == 0x7f)
            *at = ' ';
}

static void put(char *out, size_t cap, const char *fmt, va_list args)
{
    (void)vsnprintf(out, cap, fmt, args);
    make_plain(out);
}

#define SAY(state_)                                                                                          \
    do {                                                                                                     \
        va_list args;                                                                                        \
        finding->state = (state_);                                                                           \
        va_start(args, fmt);                                                                                 \
        put(finding->seen, sizeof finding->seen, fmt, args);                                                 \
        va_end(args);                                                                                        \
    } while (0)

void doctor_ok(struct af_doctor_finding *finding, const char *fmt, ...)
{
    SAY(AF_DOCTOR_OK);
}

void doctor_warn(struct af_doctor_finding *finding, const char *fmt, ...)
{
    SAY(AF_DOCTOR_WARNING);
}

void doctor_fail(struct af_doctor_finding *finding, const char *fmt, ...)
{
    SAY(AF_DOCTOR_FAILED);
}

void doctor_skip(struct af_doctor_finding *finding, const char *fmt, ...)
{
    SAY(AF_DOCTOR_UNCHECKED);
}

void doctor_say(struct af_doctor_finding *finding, enum af_doctor_state state, const char *fmt, ...)
{
    SAY(state);
}

void doctor_advise(struct af_doctor_finding *finding, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    put(finding->advice, sizeof finding->advice, fmt, args);
    va_end(args);
}

const char *doctor_text(struct doctor *doctor, const struct af_json *object, const char *name)
{
    const struct af_slice text = af_json_string(object, name);
    const char *copy = text.len != 0 ? af_arena_copy(&doctor->arena, text) : NULL;
    return copy != NULL ? copy : "";
}

/* --- the run ---------------------------------------------------------------------------------------------------------------- */

static bool is_cancelled(const struct doctor *doctor)
{
    const bool *cancel = doctor->options->cancel;
    return cancel != NULL && __atomic_load_n(cancel, __ATOMIC_RELAXED);
}

bool doctor_is_late(const struct doctor *doctor)
{
    return is_cancelled(doctor) || af_clock_mono_ns() >= doctor->check_end_ns;
}

bool doctor_has_server(const struct doctor *doctor)
{
    return doctor->server.url != NULL;
}

bool doctor_has_directory(const struct doctor *doctor)
{
    return doctor->options->dir != NULL;
}

bool doctor_has_cloud(const struct doctor *doctor)
{
    return doctor->options->aws != NULL;
}

/* NULL: it may run. */
static const char *held_back_by(const struct doctor *doctor, const struct doctor_row *row)
{
    for (size_t i = 0; row->needs != NULL && i < doctor->count; i++)
        if (strcmp(doctor->names[i], row->needs) == 0)
            return doctor->states[i] == AF_DOCTOR_FAILED || doctor->states[i] == AF_DOCTOR_UNCHECKED ? row->needs : NULL;
    return row->needs; /* left out itself: there is nothing to look at */
}

static void run_row(struct doctor *doctor, const struct doctor_row *row, struct af_doctor_finding *finding)
{
    const int64_t begun_ns = af_clock_mono_ns();
    const char *held = held_back_by(doctor, row);
    doctor->check_end_ns = begun_ns + (int64_t)doctor->limit_ms * NS_PER_MS;
    if (is_cancelled(doctor)) {
        doctor_skip(finding, "interrupted");
    } else if (held != NULL) {
        doctor_skip(finding, "it needs \"%s\"", held);
    } else if (begun_ns >= doctor->end_mono_ns) {
        doctor_skip(finding, "time is up: the checks before it took too long");
    } else {
        doctor_skip(finding, "nothing was said about it");
        row->run(doctor, finding);
    }
    finding->took_ms = (uint64_t)((af_clock_mono_ns() - begun_ns) / NS_PER_MS);
}

static void run_table(struct doctor *doctor, const struct doctor_row *row, struct af_doctor_totals *totals)
{
    for (; row->name != NULL && doctor->count < DOCTOR_CHECKS_MAX; row++) {
        if (row->applies != NULL && !row->applies(doctor))
            continue;
        struct af_doctor_finding finding = { .group = row->group, .name = row->name };
        run_row(doctor, row, &finding);
        doctor->names[doctor->count] = row->name;
        doctor->states[doctor->count++] = finding.state;
        totals->of[finding.state]++;
        if (doctor->options->found != NULL)
            doctor->options->found(doctor->options->ctx, &finding);
    }
}

enum af_status af_doctor_run(const struct af_doctor_options *options, struct af_doctor_totals *out, struct af_error *err)
{
    struct doctor doctor = { .options = options };
    *out = (struct af_doctor_totals){ { 0 } };
    af_arena_init(&doctor.arena, ARENA_BYTES_MAX);
    af_http_answer_init(&doctor.server.answer);
    af_buf_init(&doctor.server.authorization, 64 << 10);
    af_buf_init(&doctor.server.text, 1 << 20);
    doctor.limit_ms = options->limit_ms != 0 ? options->limit_ms : LIMIT_MS;
    const uint32_t patience_ms = options->patience_ms != 0 ? options->patience_ms : PATIENCE_MS;
    doctor.end_mono_ns = af_clock_mono_ns() + (int64_t)patience_ms * NS_PER_MS;
    doctor.server.url = options->url;
    doctor.server.token = options->token;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        run_table(&doctor, tables[i], out);
    doctor_server_done(&doctor.server);
    doctor_cloud_done(&doctor.cloud);
    af_arena_done(&doctor.arena);
    return is_cancelled(&doctor) ? af_fail(err, AF_ECANCELED, "interrupted: what came after was not checked") : AF_OK;
}
