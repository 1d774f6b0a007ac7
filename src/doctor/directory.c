/*
 * directory.c - a data directory of ours, without opening it: opening would change it, and a server may have it.
 *
 *     DIR/LOCK   afluxo.sqlite   operator-token   server.json   wal/N.wal   engine/data/<bucket>/autogen/<shard>/N.tsm
 *
 * Whole at a look: each TSM file's header, footer and index are read; blocks are not (`afluxo tsm verify DIR` decodes every one).
 */
#include "doctor/doctor_int.h"
#include "format/tsm/tsm.h"
#include "os/file.h"
#include "os/room.h"
#include "os/tree.h"
#include <inttypes.h>
#include <stdio.h>

enum { PATH_BYTES = 4096 };

static void path_in(char out[PATH_BYTES], const char *dir, const char *name)
{
    (void)snprintf(out, PATH_BYTES, "%s/%s", dir, name);
}

static bool has(const char *dir, const char *name, enum af_path_kind kind)
{
    char path[PATH_BYTES];
    path_in(path, dir, name);
    return af_path_kind(path) == kind;
}

static void check_ours(struct doctor *d, struct af_doctor_finding *f)
{
    const char *dir = d->options->dir;
    if (af_path_kind(dir) == AF_PATH_NONE) {
        doctor_fail(f, "%s is not there", dir);
        doctor_advise(f, "check the path; migrate --to DIRECTORY --create and serve --data DIRECTORY make one");
    } else if (af_path_kind(dir) != AF_PATH_DIR) {
        doctor_fail(f, "%s is no directory", dir);
    } else if (has(dir, "afluxo.sqlite", AF_PATH_FILE) && has(dir, "LOCK", AF_PATH_FILE)) {
        doctor_ok(f, "%s is a data directory of afluxo", dir);
    } else if (has(dir, "engine", AF_PATH_DIR) && has(dir, "influxd.bolt", AF_PATH_FILE)) {
        doctor_fail(f, "%s is the data directory of an InfluxDB 2.x", dir);
        doctor_advise(f, "afluxo restore %s --to OTHER takes its data over", dir);
    } else if (has(dir, "data", AF_PATH_DIR) && has(dir, "meta", AF_PATH_DIR) && has(dir, "wal", AF_PATH_DIR)) {
        doctor_fail(f, "%s is the data directory of an InfluxDB 1.x", dir);
        doctor_advise(f, "afluxo restore %s --to OTHER takes its data over", dir);
    } else {
        doctor_fail(f, "%s is not a data directory of afluxo", dir);
        doctor_advise(f, "check the path: such a directory has files named afluxo.sqlite and LOCK");
    }
}

/* --- who has it ------------------------------------------------------------------------------------------------------------- */

static const char *first_line(struct doctor *d, const char *path)
{
    struct af_buf text;
    const char *out = NULL;
    af_buf_init(&text, 64 << 10);
    if (af_file_read_all(path, &text, NULL) == AF_OK) {
        struct af_slice line = af_buf_slice(&text);
        const char *end = line.len != 0 ? memchr(line.ptr, '\n', line.len) : NULL;
        line.len = end != NULL ? (size_t)(end - line.ptr) : line.len;
        out = af_arena_copy(&d->arena, af_slice_trim(line));
    }
    af_buf_done(&text);
    return out;
}

static const char *url_of_server(struct doctor *d, const char *path)
{
    struct af_buf text;
    struct af_json *json = NULL;
    const char *url = NULL;
    af_buf_init(&text, 64 << 10);
    if (af_file_read_all(path, &text, NULL) == AF_OK && af_json_parse(af_buf_slice(&text), &d->arena, &json, NULL) == AF_OK)
        url = doctor_text(d, json, "url");
    af_buf_done(&text);
    return url != NULL && url[0] != '\0' ? url : NULL;
}

/* From here on there is a server to look at, too; whoever may read the directory may use its operator's token. */
static void go_through(struct doctor *d, const char *url)
{
    char path[PATH_BYTES];
    path_in(path, d->options->dir, "operator-token");
    d->server.url = url;
    d->is_served = true;
    if (d->server.token == NULL && d->options->user == NULL && af_path_kind(path) == AF_PATH_FILE)
        d->server.token = first_line(d, path);
}

static void check_lock(struct doctor *d, struct af_doctor_finding *f)
{
    char path[PATH_BYTES];
    bool is_held;
    int64_t pid;
    struct af_error err = { 0 };
    path_in(path, d->options->dir, "LOCK");
    if (af_file_lock_look(path, &is_held, &pid, &err) != AF_OK) {
        doctor_fail(f, "%s", err.message);
        doctor_advise(f, "run afluxo as the user whom the directory belongs to");
        return;
    }
    path_in(path, d->options->dir, "server.json");
    const char *url = url_of_server(d, path);
    if (is_held && url != NULL) {
        go_through(d, url);
        doctor_ok(f, "a server has it: process %" PRId64 " at %s; other commands go through it", pid, url);
    } else if (is_held) {
        doctor_warn(f, "process %" PRId64 " has it, and is no server: a migration, a backup, a repair", pid);
        doctor_advise(f, "nobody else can use it until that process ends");
    } else if (url != NULL) {
        doctor_warn(f, "nobody has it; its server at %s was killed: what it acknowledged is in the log", url);
        doctor_advise(f, "nothing to mend: the next start reads the log");
    } else {
        doctor_ok(f, "nobody has it");
    }
}

/* --- room, log, catalogue ---------------------------------------------------------------------------------------------------- */

static void check_disk(struct doctor *d, struct af_doctor_finding *f)
{
    struct af_room room;
    struct af_error err = { 0 };
    char left[32], all[32];
    if (af_path_room(d->options->dir, &room, &err) != AF_OK) {
        doctor_fail(f, "%s", err.message);
        return;
    }
    (void)doctor_bytes(left, room.bytes_free);
    (void)doctor_bytes(all, room.bytes_all);
    doctor_say(f, doctor_worse(doctor_judge_room(room.bytes_free, room.bytes_all), doctor_judge_inodes(room.inodes_free, room.inodes_all)),
               "%s of %s and %" PRIu64 " of %" PRIu64 " inodes free", left, all, room.inodes_free, room.inodes_all);
    if (f->state != AF_DOCTOR_OK)
        doctor_advise(f, "make room: when it is full writes are refused until there is some again (docs/runbooks/disk-filling.md)");
}

struct sum {
    const struct doctor *doctor;
    uint64_t files, bytes, stale, opened, broken;
    bool is_late;
    char first[PATH_BYTES];        /* that is stale or broken */
    char why[768];
};

static enum af_status add_size(void *ctx, const char *path, struct af_error *err)
{
    struct sum *sum = ctx;
    uint64_t bytes = 0;
    int64_t mtime_ns;
    (void)err;
    if (af_path_size(path, &bytes, &mtime_ns, NULL) == AF_OK) {
        sum->files++;
        sum->bytes += bytes;
    }
    return AF_OK;
}

static void check_log(struct doctor *d, struct af_doctor_finding *f)
{
    struct sum sum = { .doctor = d };
    char path[PATH_BYTES], bytes[32];
    path_in(path, d->options->dir, "wal");
    if (af_path_kind(path) == AF_PATH_DIR && af_dir_list(path, add_size, &sum, NULL) != AF_OK) {
        doctor_fail(f, "%s cannot be read", path);
        return;
    }
    doctor_say(f, doctor_judge_log(sum.bytes), "%s in %" PRIu64 " segment%s", doctor_bytes(bytes, sum.bytes), sum.files,
               sum.files == 1 ? "" : "s");
    if (f->state != AF_DOCTOR_OK)
        doctor_advise(f, "it is read at the next start, which takes a while; a flush that fails keeps it growing: see the server's log");
}

static void check_catalogue(struct doctor *d, struct af_doctor_finding *f)
{
    static const char magic[] = "SQLite format 3";
    char path[PATH_BYTES], head[sizeof magic] = "";
    struct af_reader *reader;
    struct af_error err = { 0 };
    path_in(path, d->options->dir, "afluxo.sqlite");
    enum af_status status = af_file_reader_open(path, &reader, &err);
    uint64_t bytes = 0;
    if (status == AF_OK) {
        bytes = reader->size;
        if (bytes >= sizeof head)
            status = reader->ops->read_at(reader, 0, head, sizeof head, &err);
        reader->ops->close(reader);
    }
    if (status != AF_OK) {
        doctor_fail(f, "%s", err.message);
    } else if (bytes == 0) {
        doctor_ok(f, "new: it is written at the first start");
    } else if (memcmp(head, magic, sizeof magic) != 0) {
        doctor_fail(f, "%s is no SQLite database: who and what there is cannot be known", path);
        doctor_advise(f, "bring it back from a backup; the points are still there: afluxo tsm verify %s", d->options->dir);
    } else {
        doctor_ok(f, "afluxo.sqlite is there");
    }
}

/* --- TSM files --------------------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void note(struct sum *sum, const char *path, const char *why)
{
    if (sum->first[0] != '\0')
        return;
    (void)snprintf(sum->first, sizeof sum->first, "%s", path);
    (void)snprintf(sum->why, sizeof sum->why, "%s", why);
}

static void look_into(struct sum *sum, const char *path)
{
    struct af_reader *reader;
    struct af_tsm_file *file;
    struct af_error err = { 0 };
    enum af_status status = af_file_reader_open(path, &reader, &err);
    if (status == AF_OK)
        status = af_tsm_file_open(reader, NULL, &file, &err);
    if (status == AF_OK)
        af_tsm_file_close(file);
    sum->opened++;
    if (status == AF_OK || status == AF_ENOTFOUND) /* compacted away meanwhile */
        return;
    sum->broken++;
    note(sum, path, err.message);
}

static enum af_status look_at_file(void *ctx, const char *path, struct af_error *err)
{
    struct sum *sum = ctx;
    (void)add_size(sum, path, err);
    if (doctor_is_late(sum->doctor))
        sum->is_late = true;
    else if (ends_with(path, ".tsm"))
        look_into(sum, path);
    if (ends_with(path, ".bad") || ends_with(path, ".corrupt")) {
        sum->stale++;
        if (sum->broken == 0)
            note(sum, path, "put aside by a repair");
    }
    return AF_OK;
}

static void check_shards(struct doctor *d, struct af_doctor_finding *f)
{
    struct sum sum = { .doctor = d };
    char path[PATH_BYTES], bytes[32];
    struct af_error err = { 0 };
    path_in(path, d->options->dir, "engine/data");
    if (af_path_kind(path) == AF_PATH_DIR && af_dir_walk(path, look_at_file, &sum, &err) != AF_OK) {
        doctor_fail(f, "%s", err.message);
        return;
    }
    (void)doctor_bytes(bytes, sum.bytes);
    if (sum.broken != 0) {
        doctor_fail(f, "%" PRIu64 " TSM file%s cannot be read: %s", sum.broken, sum.broken == 1 ? "" : "s", sum.why);
        doctor_advise(f, "restore them from a backup, or put them aside, while nobody serves it: afluxo tsm verify %s --repair",
                      d->options->dir);
    } else if (sum.stale != 0) {
        doctor_warn(f, "%" PRIu64 " file%s of no use any more: %s, %s", sum.stale, sum.stale == 1 ? "" : "s", sum.first, sum.why);
        doctor_advise(f, "load again what was in them, or restore it, then remove them");
    } else if (sum.is_late) {
        doctor_ok(f, "%" PRIu64 " TSM files looked into, of %" PRIu64 " files (%s); time was up", sum.opened, sum.files, bytes);
    } else {
        doctor_ok(f, "%" PRIu64 " TSM file%s, %s: indexes are whole (blocks: afluxo tsm verify)", sum.opened,
                  sum.opened == 1 ? "" : "s", bytes);
    }
}

/* What processes that were killed left half written: the next start removes it. */
static enum af_status look_for_temporary(void *ctx, const char *path, struct af_error *err)
{
    struct sum *sum = ctx;
    (void)err;
    if (strstr(path, ".tmp-") == NULL)
        return AF_OK;
    sum->stale++;
    note(sum, path, "");
    return AF_OK;
}

static void check_stale(struct doctor *d, struct af_doctor_finding *f)
{
    struct sum sum = { .doctor = d };
    if (af_dir_list(d->options->dir, look_for_temporary, &sum, NULL) != AF_OK) {
        doctor_fail(f, "%s cannot be read", d->options->dir);
    } else if (sum.stale != 0 && !d->is_served) {
        doctor_warn(f, "%" PRIu64 " half-written file%s, as %s", sum.stale, sum.stale == 1 ? "" : "s", sum.first);
        doctor_advise(f, "nothing to do: the next start removes what is its own");
    } else {
        doctor_ok(f, "none");
    }
}

#define GROUP "data directory"
const struct doctor_row doctor_directory[] = {
    { GROUP, "directory", NULL, doctor_has_directory, check_ours },
    { GROUP, "owner", "directory", doctor_has_directory, check_lock },
    { GROUP, "disk", "directory", doctor_has_directory, check_disk },
    { GROUP, "log", "directory", doctor_has_directory, check_log },
    { GROUP, "catalogue", "directory", doctor_has_directory, check_catalogue },
    { GROUP, "TSM files", "directory", doctor_has_directory, check_shards },
    { GROUP, "half-written files", "directory", doctor_has_directory, check_stale },
    { NULL, NULL, NULL, NULL, NULL },
};
