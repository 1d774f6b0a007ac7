/*
 * machine.c - this machine: what the program needs of it, and what earlier runs left on it.
 *
 *     STATE/<hash of a target>/   lock   target   journal   spool/NN-N.blk (.corrupt)   dead-letters/dead-letters-RUN.jsonl (.retried)
 */
#include "base/calendar.h"
#include "doctor/doctor_int.h"
#include "os/clock.h"
#include "os/room.h"
#include "os/thread.h"
#include "os/tree.h"
#include <inttypes.h>
#include <stdio.h>

enum { PATH_BYTES = 4096, TARGET_BYTES = 512 };

static void check_version(struct doctor *d, struct af_doctor_finding *f)
{
    doctor_ok(f, "afluxo %s on %u processor%s", d->options->version, af_cpu_count(), af_cpu_count() == 1 ? "" : "s");
}

static void check_memory(struct doctor *d, struct af_doctor_finding *f)
{
    (void)d;
    struct af_memory_room room;
    struct af_error err = { 0 };
    char left[32], all[32];
    if (af_memory_room(&room, &err) != AF_OK) {
        doctor_skip(f, "%s", err.message);
        return;
    }
    doctor_say(f, doctor_judge_memory(room.available), "%s of %s free%s", doctor_bytes(left, room.available), doctor_bytes(all, room.all),
               room.is_grouped ? " (limited by a control group)" : "");
    if (f->state != AF_DOCTOR_OK)
        doctor_advise(f, "end what else runs here, or give less to afluxo: --memory 64M, --workers 1");
}

static void check_files(struct doctor *d, struct af_doctor_finding *f)
{
    (void)d;
    const uint64_t hard = af_descriptors_hard(), now = af_descriptors_max();
    if (hard == UINT64_MAX)
        doctor_ok(f, "no limit");
    else
        doctor_say(f, doctor_judge_files(hard), "%" PRIu64 " at once, %" PRIu64 " until a server asks for more", hard,
                   now < hard ? now : hard);
    if (f->state != AF_DOCTOR_OK)
        doctor_advise(f, "a server needs some for each TSM file and one for each client: raise it (ulimit -Hn; LimitNOFILE= of its unit)");
}

static void check_authorities(struct doctor *d, struct af_doctor_finding *f)
{
    const char *file = d->options->http.ca_file != NULL ? d->options->http.ca_file : af_http_ca_file();
    if (d->options->http.skip_verify) {
        doctor_warn(f, "certificates are not verified: --insecure or INFLUX_SKIP_VERIFY is set");
        doctor_advise(f, "leave it out; --ca-file names the authority of a server that signs for itself");
    } else if (file != NULL && af_path_kind(file) == AF_PATH_FILE) {
        doctor_ok(f, "%s", file);
    } else if (file != NULL) {
        doctor_fail(f, "%s is not there", file);
        doctor_advise(f, "name another with --ca-file, or unset SSL_CERT_FILE");
    } else {
        doctor_fail(f, "no file of trusted certificates was found: no https:// will work");
        doctor_advise(f, "install them (package ca-certificates), or name a file with --ca-file or SSL_CERT_FILE");
    }
}

/* --- disks ------------------------------------------------------------------------------------------------------------------ */

static void check_room(const char *path, const char *holds, struct af_doctor_finding *f)
{
    struct af_room room;
    struct af_error err = { 0 };
    char left[32], all[32];
    if (af_path_room(path, &room, &err) != AF_OK) {
        doctor_fail(f, "%s", err.message);
        return;
    }
    const enum af_doctor_state bytes = doctor_judge_room(room.bytes_free, room.bytes_all);
    const enum af_doctor_state inodes = doctor_judge_inodes(room.inodes_free, room.inodes_all);
    doctor_say(f, doctor_worse(bytes, inodes), "%s of %s free where %s live (%s)%s", doctor_bytes(left, room.bytes_free),
               doctor_bytes(all, room.bytes_all), holds, path, inodes != AF_DOCTOR_OK ? ", and hardly an inode" : "");
    if (f->state != AF_DOCTOR_OK)
        doctor_advise(f, "make room there, or keep them elsewhere (--state, XDG_STATE_HOME, TMPDIR)");
}

static bool has_state(const struct doctor *d)
{
    return d->options->state_dir != NULL;
}

static void check_state_room(struct doctor *d, struct af_doctor_finding *f)
{
    check_room(d->options->state_dir, "journals, spools and dead letters", f);
}

static void check_scratch_room(struct doctor *d, struct af_doctor_finding *f)
{
    check_room(d->options->scratch_dir != NULL ? d->options->scratch_dir : "/tmp", "temporary files", f);
}

/* --- what earlier runs left --------------------------------------------------------------------------------------------------- */

struct leftovers {
    struct doctor *doctor;
    bool want_spools;              /* else dead letters */
    uint64_t files, bytes, corrupt, running, journals;
    int64_t oldest_ns;
    char where[PATH_BYTES + 32];   /* of the first directory that has some */
    char target[TARGET_BYTES];
};

static bool ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static enum af_status count_file(void *ctx, const char *path, struct af_error *err)
{
    struct leftovers *l = ctx;
    uint64_t bytes = 0;
    int64_t mtime_ns = 0;
    (void)err;
    if (doctor_is_late(l->doctor))
        return AF_ECANCELED;
    l->corrupt += l->want_spools && ends_with(path, ".corrupt");
    if (!ends_with(path, l->want_spools ? ".blk" : ".jsonl") || af_path_size(path, &bytes, &mtime_ns, NULL) != AF_OK || bytes == 0)
        return AF_OK;
    l->files++;
    l->bytes += bytes;
    if (l->oldest_ns == 0 || mtime_ns < l->oldest_ns)
        l->oldest_ns = mtime_ns;
    return AF_OK;
}

static void read_target(struct leftovers *l, const char *dir)
{
    char path[PATH_BYTES + 16];
    struct af_buf text;
    af_buf_init(&text, 64 << 10);
    (void)snprintf(path, sizeof path, "%s/target", dir);
    if (af_file_read_all(path, &text, NULL) != AF_OK)
        af_buf_clear(&text);
    const struct af_slice name = af_slice_trim(af_buf_slice(&text));
    (void)snprintf(l->target, sizeof l->target, "%.*s", AF_SLICE_ARG(name.len != 0 ? name : AF_SLICE_LIT("its target")));
    af_buf_done(&text);
}

/* The state of one target. A run that is at work has it in hand. */
static enum af_status look_at_state(void *ctx, const char *dir, struct af_error *err)
{
    struct leftovers *l = ctx;
    char path[PATH_BYTES + 32];
    bool is_held = false;
    int64_t pid;
    const uint64_t before = l->files + l->corrupt;
    (void)err;
    (void)snprintf(path, sizeof path, "%s/lock", dir);
    if (af_file_lock_look(path, &is_held, &pid, NULL) == AF_OK && is_held) {
        l->running++;
        return AF_OK;
    }
    (void)snprintf(path, sizeof path, "%s/journal", dir);
    l->journals += af_path_kind(path) == AF_PATH_FILE;
    (void)snprintf(path, sizeof path, "%s/%s", dir, l->want_spools ? "spool" : "dead-letters");
    if (af_path_kind(path) == AF_PATH_DIR && af_dir_list(path, count_file, l, NULL) != AF_OK)
        return AF_ECANCELED;
    if (before == 0 && l->files + l->corrupt != 0) {
        (void)snprintf(l->where, sizeof l->where, "%s", path);
        read_target(l, dir);
    }
    return AF_OK;
}

static bool collect(struct doctor *d, struct leftovers *l, struct af_doctor_finding *f)
{
    const char *dir = d->options->state_dir;
    if (af_path_kind(dir) != AF_PATH_DIR) {
        doctor_ok(f, "none: %s is not there", dir);
        return false;
    }
    if (look_at_state(l, dir, NULL) == AF_OK && af_dir_dirs(dir, look_at_state, l, NULL) == AF_OK)
        return true;
    doctor_skip(f, "%s cannot be read, or not in time", dir);
    return false;
}

static void age_of(const struct leftovers *l, char out[32])
{
    (void)doctor_span(out, (af_clock_now_ns() - l->oldest_ns) / AF_NS_PER_S);
}

static void check_spools(struct doctor *d, struct af_doctor_finding *f)
{
    struct leftovers l = { .doctor = d, .want_spools = true };
    char bytes[32], age[32];
    if (!collect(d, &l, f))
        return;
    age_of(&l, age);
    if (l.corrupt != 0) {
        doctor_fail(f, "%" PRIu64 " broken block%s in %s: lines for %s that were lost", l.corrupt, l.corrupt == 1 ? "" : "s", l.where,
                    l.target);
        doctor_advise(f, "load the sources of that run again, then remove the *.corrupt file%s", l.corrupt == 1 ? "" : "s");
    } else if (l.files != 0) {
        doctor_warn(f, "%" PRIu64 " block%s (%s, the oldest of %s ago) wait for %s in %s", l.files, l.files == 1 ? "" : "s",
                    doctor_bytes(bytes, l.bytes), age, l.target, l.where);
        doctor_advise(f, "the same migrate or write again with --resume sends them; or: afluxo write --to TARGET --bucket B < /dev/null");
    } else {
        doctor_ok(f, "none%s", l.running != 0 ? " but of runs that are at work" : "");
    }
}

static void check_letters(struct doctor *d, struct af_doctor_finding *f)
{
    struct leftovers l = { .doctor = d };
    char bytes[32], age[32];
    if (!collect(d, &l, f))
        return;
    age_of(&l, age);
    if (l.files == 0) {
        doctor_ok(f, "none (%" PRIu64 " journal%s of earlier runs)", l.journals, l.journals == 1 ? "" : "s");
        return;
    }
    doctor_warn(f, "%" PRIu64 " file%s (%s, the oldest of %s ago) of rows that %s did not take in %s", l.files, l.files == 1 ? "" : "s",
                doctor_bytes(bytes, l.bytes), age, l.target, l.where);
    doctor_advise(f, "each line says why; mend that, then: afluxo migrate --retry-dead-letters --to TARGET --bucket B");
}

#define GROUP "this machine"
const struct doctor_row doctor_machine[] = {
    { GROUP, "version", NULL, NULL, check_version },
    { GROUP, "memory", NULL, NULL, check_memory },
    { GROUP, "open files", NULL, NULL, check_files },
    { GROUP, "certificates", NULL, NULL, check_authorities },
    { GROUP, "temporary space", NULL, NULL, check_scratch_room },
    { GROUP, "state space", NULL, has_state, check_state_room },
    { GROUP, "spools", NULL, has_state, check_spools },
    { GROUP, "dead letters", NULL, has_state, check_letters },
    { NULL, NULL, NULL, NULL, NULL },
};
