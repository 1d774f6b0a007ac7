/*
 * fleet.c - `migrate --queue`: one migration, many machines (fleet/fleet.h; what users see: docs/fleet.md).
 *
 *     --queue Q s3://... --run s3://J/R      plan: list, mapping into the journal, messages
 *     --queue Q --work --to T                work: an object a message through load/, refused rows into the journal
 *     --status s3://J/R                      the journal summed up
 */
#include "fleet/fleet.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "cli/migrate.h"
#include "os/clock.h"
#include "os/file.h"
#include <inttypes.h>
#include <stdarg.h>

enum { NAME_BYTES = 1400, JOURNAL_MEMORY = 32 << 20, ARENA_BYTES = 64 << 20, MS_PER_S = 1000 };

struct fleet {
    struct af_cli *cli;
    struct af_cli_sources sources;      /* its S3 polls the interruption */
    struct af_s3 *journal;              /* the same without: what was done is written down */
    struct af_aws_client *sqs;
    struct af_arena arena;
    const char *queue, *dead_letters;   /* URLs */
    /* work */
    struct af_store *store;
    struct af_map *map;                 /* of the tasks, the last one asked for */
    char map_name[NAME_BYTES];          /* its run and its name; "": none */
};

/* --- what all three need ------------------------------------------------------------------------------------------------- */

static enum af_status open_fleet(struct fleet *f, struct af_cli *cli, struct af_error *err)
{
    struct af_s3 *objects;
    *f = (struct fleet){ .cli = cli };
    af_arena_init(&f->arena, ARENA_BYTES);
    const struct af_source_from from = af_cli_source_from(cli, &f->sources);
    AF_TRY(from.s3(from.ctx, &objects, err));
    const struct af_s3_options options = { .memory_bytes = JOURNAL_MEMORY };
    AF_TRY(af_s3_open(f->sources.aws, &options, &f->journal, err));
    if (cli->queue == NULL)
        return AF_OK;
    AF_TRY(af_aws_client_new(f->sources.aws, "sqs", &f->sqs, err));
    AF_TRY(af_sqs_url(f->sqs, cli->queue, &f->arena, &f->queue, err));
    return cli->dead_letter_queue != NULL ? af_sqs_url(f->sqs, cli->dead_letter_queue, &f->arena, &f->dead_letters, err) : AF_OK;
}

static void close_fleet(struct fleet *f)
{
    af_map_free(f->map);
    af_store_close(f->store);
    af_aws_client_free(f->sqs);
    af_s3_close(f->journal);
    af_cli_close_sources(&f->sources);
    af_arena_done(&f->arena);
}

static int end_by(const struct fleet *f, const struct af_error *err)
{
    const int code = af_cli_fail(f->cli, err);
    return err->status == AF_ECANCELED ? AF_EXIT_INTERRUPTED : code;
}

/* Into standard output and --report. */
static int say_json(const struct fleet *f, struct af_buf *json, int code)
{
    struct af_error err = { 0 };
    enum af_status status = af_buf_check(json, "the result", &err);
    if (status == AF_OK)
        status = af_cli_write_report(f->cli, af_buf_slice(json), &err);
    af_buf_done(json);
    return status != AF_OK ? af_cli_fail(f->cli, &err) : code;
}

/* --- plan ---------------------------------------------------------------------------------------------------------------- */

/* A mapping of this machine goes to where all workers can read it. */
static enum af_status share_mapping(struct fleet *f, const char **out, struct af_error *err)
{
    struct af_s3_name name;
    struct af_buf mine, there;
    const char *url = af_arena_printf(&f->arena, "%s%smapping.yaml", f->cli->run,
                                      f->cli->run[strlen(f->cli->run) - 1] == '/' ? "" : "/");
    if (url == NULL)
        return af_fail_nomem(err, "a name");
    AF_TRY(af_s3_name_parse(url, &name, err));
    af_buf_init(&mine, AF_YAML_BYTES_MAX);
    af_buf_init(&there, AF_YAML_BYTES_MAX);
    enum af_status status = af_file_read_all(f->cli->mapping, &mine, err);
    if (status == AF_OK)
        status = af_s3_put(f->journal, name.bucket, name.key, af_buf_slice(&mine), "application/yaml", AF_S3_IF_NEW, NULL, NULL, err);
    if (status == AF_ECONFLICT) {
        status = af_s3_get(f->journal, name.bucket, name.key, &there, NULL, err);
        if (status == AF_OK && !af_slice_eq(af_buf_slice(&mine), af_buf_slice(&there)))
            status = af_fail(err, AF_ECONFLICT, "%s is another mapping than %s: a run has one; give another --run", url, f->cli->mapping);
    }
    af_buf_done(&mine);
    af_buf_done(&there);
    *out = url;
    return status;
}

static enum af_status plan_mapping(struct fleet *f, const char **out, struct af_error *err)
{
    const struct af_cli *cli = f->cli;
    *out = NULL;
    if (cli->mapping == NULL || af_s3_is_name(cli->mapping)) {
        *out = cli->mapping;
        return AF_OK;
    }
    if (cli->run == NULL)
        return af_fail(err, AF_EINVAL, "--mapping is a file of this machine: with --run it is put where the workers find it");
    return share_mapping(f, out, err);
}

/* Only what is in front of the host may hold a secret. */
static const char *plan_target(struct fleet *f)
{
    const char *target = af_cli_target_url(f->cli->to);
    const char *at = target != NULL ? strchr(target, '@') : NULL, *scheme = target != NULL ? strstr(target, "://") : NULL;
    if (at == NULL || scheme == NULL || at < scheme)
        return target;
    return af_arena_printf(&f->arena, "%.*s%s", (int)(scheme + 3 - target), target, at + 1);
}

static enum af_status take_objects(struct fleet *f, struct af_fleet_object **out, struct af_error *err)
{
    const struct af_source_list *list = &f->sources.list;
    struct af_fleet_object *objects = af_alloc_zero(list->count, sizeof *objects);
    if (objects == NULL)
        return af_fail_nomem(err, "the list of objects");
    *out = objects;
    for (size_t i = 0; i < list->count; i++) {
        const char *bucket = list->items[i].path + strlen("s3://"), *slash = strchr(bucket, '/');
        objects[i] = (struct af_fleet_object){ .key = slash + 1, .etag = list->items[i].etag, .bytes = list->items[i].bytes,
                                              .format = af_source_format_name(list->items[i].format) };
        objects[i].bucket = af_arena_copy(&f->sources.list.arena, af_slice_make(bucket, (size_t)(slash - bucket)));
        if (objects[i].bucket == NULL)
            return af_fail_nomem(err, "the list of objects");
    }
    return AF_OK;
}

static void say_sent(void *ctx, uint64_t sent, uint64_t all)
{
    af_progress_show(ctx, sent, all, sent, "");
}

static int print_plan(struct fleet *f, const struct af_fleet_planned *p)
{
    struct af_buf json;
    char all[32], bytes[32], sent[32], done[32];
    af_cli_print_count(all, sizeof all, p->objects);
    af_cli_print_count(sent, sizeof sent, p->sent);
    af_cli_print_count(done, sizeof done, p->done);
    af_cli_print_bytes(bytes, sizeof bytes, p->bytes);
    af_cli_say(f->cli, "%s object%s, %s: %s message%s sent%s%s%s", all, af_cli_plural(p->objects), bytes, sent, af_cli_plural(p->sent),
               p->done != 0 ? ", " : "", p->done != 0 ? done : "", p->done != 0 ? " done before" : "");
    if (f->cli->run == NULL)
        af_cli_say(f->cli, "no --run: nobody keeps a journal of this, so there will be no status, and rows that are refused are not kept");
    af_buf_init(&json, 1 << 16);
    af_buf_printf(&json, "{\"run\":\"%s\",\"is_new\":%s,\"objects\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"done_before\":%" PRIu64
                  ",\"sent\":%" PRIu64 "}\n", f->cli->run != NULL ? p->run : "", p->is_new ? "true" : "false", p->objects, p->bytes,
                  p->done, p->sent);
    return say_json(f, &json, AF_EXIT_DONE);
}

static enum af_status send_plan(struct fleet *f, const struct af_fleet_object *objects, struct af_fleet_planned *out, struct af_error *err)
{
    const char *mapping;
    AF_TRY(plan_mapping(f, &mapping, err));
    struct af_progress *progress = af_progress_new(f->cli, "planning", "messages");
    const struct af_fleet_plan plan = { .s3 = f->journal, .sqs = f->sqs, .queue = f->queue, .journal = f->cli->run,
                                        .dataset = f->cli->dataset, .mapping = mapping, .target = plan_target(f), .objects = objects,
                                        .object_count = f->sources.list.count, .cancel = af_interrupt_flag(),
                                        .progress = progress != NULL ? say_sent : NULL, .ctx = progress };
    const enum af_status status = af_fleet_plan(&plan, out, err);
    af_progress_free(progress);
    return status;
}

static enum af_status list_objects(struct fleet *f, struct af_error *err)
{
    struct af_map *map = NULL;
    const struct af_source_from from = af_cli_source_from(f->cli, &f->sources);
    if (f->cli->dataset != NULL) /* a name that is none is better told here than by every worker */
        AF_TRY(af_map_builtin(f->cli->dataset, &map, err));
    af_map_free(map);
    return af_source_list_make(f->cli->args, f->cli->arg_count, &from, &f->sources.list, err);
}

static int plan(struct fleet *f)
{
    struct af_error err = { 0 };
    struct af_fleet_object *objects = NULL;
    struct af_fleet_planned planned = { .run = "" };
    enum af_status status = list_objects(f, &err);
    if (status == AF_OK)
        status = take_objects(f, &objects, &err);
    if (status == AF_OK && f->cli->dry_run) {
        planned.objects = f->sources.list.count;
        planned.bytes = af_cli_source_bytes(&f->sources.list);
    } else if (status == AF_OK) {
        status = send_plan(f, objects, &planned, &err);
    }
    af_free(objects);
    return status == AF_OK ? print_plan(f, &planned) : end_by(f, &err);
}

/* --- work ---------------------------------------------------------------------------------------------------------------- */

static enum af_status read_mapping(struct fleet *f, const char *url, struct af_map **out, struct af_error *err)
{
    struct af_s3_name name;
    struct af_buf yaml;
    AF_TRY(af_s3_name_parse(url, &name, err));
    af_buf_init(&yaml, AF_YAML_BYTES_MAX);
    enum af_status status = af_s3_get(f->sources.s3, name.bucket, name.key, &yaml, NULL, err);
    if (status == AF_OK)
        status = af_map_parse(url, af_buf_slice(&yaml), out, err);
    af_buf_done(&yaml);
    return status;
}

/* That of the task; the worker's own where it has none; NULL: detected. */
static enum af_status find_map(struct fleet *f, const struct af_fleet_task *task, const struct af_map **out, struct af_error *err)
{
    const bool is_url = task->mapping[0] != '\0';
    const char *name = is_url ? task->mapping : task->dataset;
    struct af_map *map = NULL;
    char full[NAME_BYTES];
    *out = f->sources.map;
    if (name[0] == '\0')
        return AF_OK;
    (void)snprintf(full, sizeof full, "%s %s", task->run, name); /* another run may have another mapping in the same place */
    if (strcmp(full, f->map_name) != 0) {
        enum af_status status = is_url ? read_mapping(f, name, &map, err) : af_map_builtin(name, &map, err);
        if (status == AF_OK)
            status = af_map_override(map, &f->sources.override, err);
        if (status != AF_OK) {
            af_map_free(map);
            return status;
        }
        af_map_free(f->map);
        f->map = map;
        memcpy(f->map_name, full, sizeof full);
    }
    *out = f->map;
    return AF_OK;
}

/* Exactly that object, as it is now: its key, read as a pattern or a prefix, may name others as well. */
static enum af_status find_object(struct fleet *f, const struct af_fleet_task *task, struct af_source_list *list, struct af_error *err)
{
    char name[NAME_BYTES];
    const char *const arg = name;
    const struct af_source_from from = af_cli_source_from(f->cli, &f->sources);
    (void)snprintf(name, sizeof name, "s3://%s/%s", task->bucket, task->key);
    AF_TRY(af_source_list_make(&arg, 1, &from, list, err));
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].path, name) == 0) {
            list->items[0] = list->items[i]; /* objects are no pipes: nothing else is theirs */
            list->count = 1;
            return AF_OK;
        }
    af_source_list_done(list);
    return af_fail(err, AF_ENOTFOUND, "%s: there is no such object (any more)", name);
}

/* What the planner saw is what is read, without asking S3 again. False: the task does not say enough. */
static bool take_object(struct fleet *f, const struct af_fleet_task *task, struct af_source_list *list)
{
    struct af_source source = { .bytes = task->bytes, .s3 = f->sources.s3 };
    while (strcmp(af_source_format_name(source.format), task->format) != 0)
        if (source.format++ == AF_SOURCE_LP)
            return false;
    *list = (struct af_source_list){ .items = af_alloc_zero(1, sizeof *list->items) };
    af_arena_init(&list->arena, 1 << 16);
    source.path = af_arena_printf(&list->arena, "s3://%s/%s", task->bucket, task->key);
    if (task->etag[0] == '\0' || task->bytes == 0 || list->items == NULL || source.path == NULL) {
        af_source_list_done(list);
        return false;
    }
    (void)snprintf(source.etag, sizeof source.etag, "%s", task->etag);
    list->items[0] = source;
    list->count = 1;
    return true;
}

struct letters {
    struct fleet *fleet;
    const struct af_fleet_task *task;
};

static enum af_status take_letters(void *ctx, const char *path, uint64_t count, struct af_error *err)
{
    const struct letters *to = ctx;
    if (to->fleet->cli->strict)
        return af_fail(err, AF_EINVAL, "%" PRIu64 " rows are no points, and --strict was given", count);
    if (to->task->journal[0] != '\0')
        return af_fleet_letters(to->fleet->journal, to->task, path, err);
    af_cli_warn("s3://%s/%s: %" PRIu64 " rows are no points, and its task has no journal to keep them", to->task->bucket, to->task->key,
                count);
    return AF_OK;
}

static void take_result(const struct af_load_result *loaded, const struct af_source *source, struct af_fleet_result *out)
{
    out->outcome = loaded->rows_rejected != 0 ? AF_FLEET_REJECTED : AF_FLEET_DONE;
    out->rows_read = loaded->totals.rows_read;
    out->points_written = loaded->points_written;
    out->rows_rejected = loaded->rows_rejected;
    out->bytes_read = source->bytes;
    out->bytes_sent = loaded->bytes_sent;
    out->is_target = loaded->store_failed;
    memcpy(out->etag, source->etag, sizeof out->etag);
    memcpy(out->reason, loaded->reason, sizeof loaded->reason);
}

static enum af_status load_list(struct fleet *f, const struct af_fleet_task *task, const struct af_map *map,
                                const struct af_source_list *list, struct af_fleet_result *out, struct af_error *err)
{
    const struct af_cli *cli = f->cli;
    struct af_load_result loaded = { .dataset = "" };
    struct letters letters = { f, task };
    const struct af_load_options options = {
        .store = f->store, .sources = list, .map = map, .infer = cli->infer, .override = &f->sources.override,
        .workers = (unsigned)cli->workers, .lanes = (uint32_t)cli->lanes, .memory_bytes = cli->memory, .batch_lines = cli->batch_lines,
        .scratch_dir = af_cli_scratch_dir(), .retry_budget_ms = af_cli_ms(cli->retry_budget_ms), .cancel = af_interrupt_flag(),
        .letters = take_letters, .ctx = &letters,
    };
    const enum af_status status = af_load_run(&options, &loaded, err);
    take_result(&loaded, &list->items[0], out);
    return status;
}

/* An object that was replaced since it was planned, or that its task tells lies about, is loaded as it is now. */
static enum af_status load(void *ctx, const struct af_fleet_task *task, struct af_fleet_result *out, struct af_arena *arena,
                           struct af_error *err)
{
    struct fleet *f = ctx;
    const struct af_map *map;
    struct af_source_list list;
    (void)arena;
    AF_TRY(find_map(f, task, &map, err));
    if (take_object(f, task, &list)) {
        const enum af_status status = load_list(f, task, map, &list, out, err);
        af_source_list_done(&list);
        const bool may_be_another = status == AF_ECONFLICT || status == AF_ENOTFOUND || status == AF_ECORRUPT || status == AF_EINVAL;
        if (!may_be_another || out->is_target)
            return status;
    }
    AF_TRY(find_object(f, task, &list, err));
    const enum af_status status = load_list(f, task, map, &list, out, err);
    af_source_list_done(&list);
    return status;
}

static void say_done(void *ctx, const struct af_fleet_task *task, const struct af_fleet_result *result, const struct af_error *why)
{
    const struct fleet *f = ctx;
    const char *bucket = task != NULL ? task->bucket : "", *key = task != NULL ? task->key : "a message";
    const char *scheme = task != NULL ? "s3://" : "", *slash = task != NULL ? "/" : "";
    if (why != NULL && result != NULL)
        af_cli_warn("failed: %s%s%s%s: %s", scheme, bucket, slash, key, why->message);
    else if (why != NULL)
        af_cli_say(f->cli, "goes back: %s%s%s%s: %s", scheme, bucket, slash, key, why->message);
    else if (f->cli->verbose)
        af_cli_say(f->cli, "%s%s%s%s: %" PRIu64 " points, %" PRIu64 " rows refused, %" PRIu64 " ms", scheme, bucket, slash, key,
                   result->points_written, result->rows_rejected, result->milliseconds);
}

static int print_work(struct fleet *f, const struct af_fleet_totals *t, int64_t begun_ns, const struct af_error *why)
{
    struct af_buf json;
    const char *how = why->status == AF_OK ? "empty" : why->status == AF_ECANCELED ? "stopped" : "failed";
    const int code = why->status == AF_ECANCELED ? AF_EXIT_INTERRUPTED
                     : why->status != AF_OK      ? AF_EXIT_FAILED
                     : t->rejected + t->failed != 0 ? AF_EXIT_REJECTED
                                                    : AF_EXIT_DONE;
    char points[32];
    af_cli_print_count(points, sizeof points, t->points_written);
    af_cli_say(f->cli, "%" PRIu64 " object%s loaded, %s points; %" PRIu64 " with rows refused, %" PRIu64 " failed, %" PRIu64
               " done before, %" PRIu64 " given back", t->done + t->rejected, af_cli_plural(t->done + t->rejected), points, t->rejected,
               t->failed, t->skipped, t->returned);
    af_buf_init(&json, 1 << 16);
    af_buf_printf(&json, "{\"ended\":\"%s\",\"tasks\":%" PRIu64 ",\"done\":%" PRIu64 ",\"rejected\":%" PRIu64 ",\"failed\":%" PRIu64
                  ",\"done_before\":%" PRIu64 ",\"returned\":%" PRIu64 ",\"rows_read\":%" PRIu64 ",\"points_written\":%" PRIu64
                  ",\"rows_rejected\":%" PRIu64 ",\"bytes_in\":%" PRIu64 ",\"seconds\":%.3f}\n", how, t->tasks, t->done, t->rejected,
                  t->failed, t->skipped, t->returned, t->rows_read, t->points_written, t->rows_rejected, t->bytes_read,
                  (double)(af_clock_mono_ns() - begun_ns) / 1e9);
    if (why->status != AF_OK)
        (void)af_cli_fail(f->cli, why);
    return say_json(f, &json, code);
}

static uint32_t seconds(uint64_t ms)
{
    const uint64_t s = (ms + MS_PER_S - 1) / MS_PER_S;
    return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX - 1;
}

static int work(struct fleet *f)
{
    struct af_cli *cli = f->cli;
    struct af_error err = { 0 };
    struct af_fleet_totals totals = { 0 };
    const int64_t begun_ns = af_clock_mono_ns();
    enum af_status status = af_cli_open_mapping(cli, &f->sources, &err);
    if (status == AF_EINVAL)
        return af_cli_usage_error(cli, "%s", err.message);
    const char *bucket = f->sources.map != NULL ? af_map_bucket(f->sources.map) : NULL;
    if (status == AF_OK)
        status = migration_open_store(cli, bucket, &f->store, &err);
    if (status != AF_OK)
        return end_by(f, &err);
    const struct af_fleet_worker worker = {
        .s3 = f->journal, .aws = f->sources.aws, .queue = f->queue, .dead_letters = f->dead_letters, .journal = cli->run,
        .attempts = (uint32_t)(cli->attempts < UINT32_MAX ? cli->attempts : UINT32_MAX), .visibility_s = seconds(cli->visibility_ms),
        .idle_ms = af_cli_ms(cli->idle_ms), .patience_s = seconds(cli->patience_ms), .load = load, .done = say_done, .ctx = f,
        .cancel = af_interrupt_flag(),
    };
    status = af_fleet_work(&worker, &totals, &err);
    err.status = status;
    return print_work(f, &totals, begun_ns, &err);
}

/* --- status -------------------------------------------------------------------------------------------------------------- */

struct progress {
    uint64_t over;                      /* objects with an outcome */
    double part, bytes_per_s, objects_per_s, seconds_left; /* left < 0: not known */
    bool is_over;
};

static struct progress progress_of(const struct af_fleet_status *s)
{
    struct progress p = { .over = s->done + s->rejected + s->failed, .seconds_left = -1 };
    const double all_ms = s->ended_ms > s->begun_ms ? (double)(s->ended_ms - s->begun_ms) : 0;
    p.is_over = p.over >= s->objects && (!s->has_queue || s->visible + s->in_flight == 0);
    p.part = s->bytes != 0 ? (double)s->bytes_done / (double)s->bytes : s->objects != 0 ? (double)p.over / (double)s->objects : 1;
    if (p.part > 1)
        p.part = 1;
    const bool is_late = s->objects_lately != 0 && s->lately_ms != 0 && !p.is_over;
    const double ms = is_late ? (double)s->lately_ms : all_ms;
    if (ms > 0) {
        p.bytes_per_s = (double)(is_late ? s->bytes_lately : s->bytes_done) / ms * 1e3;
        p.objects_per_s = (double)(is_late ? s->objects_lately : p.over) / ms * 1e3;
    }
    if (p.is_over)
        p.seconds_left = 0;
    else if (p.bytes_per_s > 0 && s->bytes > s->bytes_done)
        p.seconds_left = (double)(s->bytes - s->bytes_done) / p.bytes_per_s;
    return p;
}

/* What others wrote (names of objects, reasons, targets) cannot steer the terminal: controls, also those of C1, as \xNN. */
static void put_plain(struct af_buf *out, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        const bool is_c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f;
        if (is_c1)
            af_buf_printf(out, "\\x%02x\\x%02x", at[0], at[1]), at++;
        else if (*at < 0x20 || *at == 0x7f)
            af_buf_printf(out, "\\x%02x", *at);
        else
            af_buf_append_char(out, (char)*at);
    }
}

static void put_line(struct af_buf *out, const char *name, const char *fmt, ...) AF_PRINTF(3, 4);
static void put_line(struct af_buf *out, const char *name, const char *fmt, ...)
{
    char text[1600];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    af_buf_printf(out, "%-10s ", name);
    put_plain(out, text);
    af_buf_append_char(out, '\n');
}

static void put_time_left(struct af_buf *out, const struct progress *p)
{
    if (p->is_over)
        put_line(out, "left", "nothing");
    else if (p->seconds_left < 0)
        put_line(out, "left", "not known yet");
    else if (p->seconds_left < 120)
        put_line(out, "left", "about %.0f s", p->seconds_left + 0.5);
    else if (p->seconds_left < 7200)
        put_line(out, "left", "about %.0f min", p->seconds_left / 60);
    else
        put_line(out, "left", "about %.1f h", p->seconds_left / 3600);
}

static void put_table(struct af_buf *out, const struct af_fleet_status *s, const struct progress *p)
{
    char a[32], b[32], c[32];
    put_line(out, "run", "%s%s%s", s->run, s->target[0] != '\0' ? " to " : "", s->target);
    af_cli_print_count(a, sizeof a, p->over);
    af_cli_print_count(b, sizeof b, s->objects);
    put_line(out, "objects", "%s of %s (%.1f %%): %" PRIu64 " done, %" PRIu64 " with rows refused, %" PRIu64 " failed", a, b, p->part * 100,
             s->done, s->rejected, s->failed);
    af_cli_print_bytes(a, sizeof a, s->bytes_done);
    af_cli_print_bytes(b, sizeof b, s->bytes);
    put_line(out, "bytes", "%s of %s", a, b);
    af_cli_print_count(a, sizeof a, s->rows_read);
    af_cli_print_count(b, sizeof b, s->points_written);
    af_cli_print_count(c, sizeof c, s->rows_rejected);
    put_line(out, "rows", "%s read, %s points written, %s refused", a, b, c);
    put_line(out, "workers", "%" PRIu64 " alive of %" PRIu64, s->workers_alive, s->workers);
    if (s->has_queue)
        put_line(out, "queue", "%" PRIu64 " waiting, %" PRIu64 " in hand", s->visible, s->in_flight);
    af_cli_print_bytes(a, sizeof a, (uint64_t)p->bytes_per_s);
    put_line(out, "rate", "%s/s, %.2f objects/s", a, p->objects_per_s);
    put_time_left(out, p);
    if (s->unreadable != 0)
        put_line(out, "journal", "%" PRIu64 " outcomes cannot be read", s->unreadable);
    for (size_t i = 0; i < s->failure_count; i++)
        put_line(out, "failed", "%.700s: %.700s", s->failures[i].object, s->failures[i].reason);
    if (s->failed > s->failure_count)
        put_line(out, "failed", "and %" PRIu64 " more", s->failed - s->failure_count);
}

static void put_json(struct af_buf *out, const struct af_fleet_status *s, const struct progress *p)
{
    af_buf_printf(out, "{\"run\":");
    af_json_append_string(out, af_slice_of(s->run));
    af_buf_append_str(out, ",\"target\":");
    af_json_append_string(out, af_slice_of(s->target));
    af_buf_printf(out, ",\"complete\":%s,\"objects\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"done\":%" PRIu64 ",\"rejected\":%" PRIu64
                  ",\"failed\":%" PRIu64 ",\"unreadable\":%" PRIu64 ",\"bytes_done\":%" PRIu64 ",\"rows_read\":%" PRIu64
                  ",\"points_written\":%" PRIu64 ",\"rows_rejected\":%" PRIu64 ",\"milliseconds\":%" PRIu64 ",\"workers\":%" PRIu64
                  ",\"workers_alive\":%" PRIu64, p->is_over ? "true" : "false", s->objects, s->bytes, s->done, s->rejected, s->failed,
                  s->unreadable, s->bytes_done, s->rows_read, s->points_written, s->rows_rejected, s->milliseconds, s->workers,
                  s->workers_alive);
    af_buf_printf(out, ",\"part\":%.6f,\"bytes_per_s\":%.1f,\"objects_per_s\":%.3f,\"seconds\":%.3f,\"seconds_left\":", p->part,
                  p->bytes_per_s, p->objects_per_s, s->ended_ms > s->begun_ms ? (double)(s->ended_ms - s->begun_ms) / 1e3 : 0.0);
    if (p->seconds_left >= 0)
        af_buf_printf(out, "%.0f", p->seconds_left);
    else
        af_buf_append_str(out, "null");
    if (s->has_queue)
        af_buf_printf(out, ",\"queue\":{\"waiting\":%" PRIu64 ",\"in_hand\":%" PRIu64 "}", s->visible, s->in_flight);
    af_buf_append_str(out, ",\"failures\":[");
    for (size_t i = 0; i < s->failure_count; i++) {
        af_buf_append_str(out, i == 0 ? "{\"object\":" : ",{\"object\":");
        af_json_append_string(out, af_slice_of(s->failures[i].object));
        af_buf_append_str(out, ",\"reason\":");
        af_json_append_string(out, af_slice_of(s->failures[i].reason));
        af_buf_append_char(out, '}');
    }
    af_buf_append_str(out, "]}\n");
}

static int show_status(struct fleet *f)
{
    struct af_error err = { 0 };
    struct af_fleet_status s;
    struct af_buf out;
    if (af_fleet_status(f->journal, f->sqs, f->queue, f->cli->status_of, af_interrupt_flag(), &f->arena, &s, &err) != AF_OK)
        return end_by(f, &err);
    const struct progress p = progress_of(&s);
    const int code = !p.is_over ? AF_EXIT_INTERRUPTED : s.rejected + s.failed != 0 ? AF_EXIT_REJECTED : AF_EXIT_DONE;
    af_buf_init(&out, 1 << 20);
    if (f->cli->json)
        put_json(&out, &s, &p);
    else
        put_table(&out, &s, &p);
    enum af_status printed = af_buf_check(&out, "the status", &err);
    if (printed == AF_OK)
        printed = af_cli_out(af_buf_slice(&out), &err);
    af_buf_done(&out);
    return printed == AF_OK ? code : af_cli_fail(f->cli, &err);
}

/* --- which of them ------------------------------------------------------------------------------------------------------- */

/* What is wrong with the options together; NULL: nothing. */
static const char *objection(const struct af_cli *cli)
{
    if (cli->status_of != NULL)
        return cli->work || cli->arg_count != 0 ? "--status stands alone (with --queue, the queue's depth is said as well)" : NULL;
    if (cli->queue == NULL)
        return "--work takes messages of a queue: say --queue URL";
    if (cli->verify || cli->resume || cli->retry_dead_letters)
        return "--verify, --resume and --retry-dead-letters are not for --queue: `afluxo verify` proves the whole at the end, and the same "
               "command goes on with a run";
    if (cli->work && cli->arg_count != 0)
        return "--work takes its objects from the queue: no SOURCE";
    if (cli->work && (cli->dry_run || cli->precision != NULL))
        return "--dry-run and --precision are not for --work";
    if (!cli->work && cli->arg_count == 0)
        return "which objects? Name at least one SOURCE in S3 (s3://bucket/prefix), or say --work";
    if (cli->dataset != NULL && cli->mapping != NULL)
        return "--dataset and --mapping exclude each other";
    for (size_t i = 0; i < cli->arg_count; i++)
        if (!af_s3_is_name(cli->args[i]))
            return "with --queue every SOURCE is in S3 (s3://bucket/prefix): other machines cannot read files of this one";
    return NULL;
}

int af_cli_fleet(struct af_cli *cli)
{
    struct fleet f;
    struct af_error err = { 0 };
    struct af_s3_name name;
    const char *wrong = objection(cli);
    const char *journal = cli->status_of != NULL ? cli->status_of : cli->run;
    if (wrong != NULL)
        return af_cli_usage_error(cli, "%s", wrong);
    if (journal != NULL && af_s3_name_parse(journal, &name, &err) != AF_OK)
        return af_cli_usage_error(cli, "%s", err.message);
    const enum af_status opened = open_fleet(&f, cli, &err);
    const int code = opened != AF_OK ? end_by(&f, &err) : cli->status_of != NULL ? show_status(&f) : cli->work ? work(&f) : plan(&f);
    close_fleet(&f);
    return code;
}
