/* tsm.c - TSM files from the command line: verify, dump, export, build. */
#include "format/tsm/tsm.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "format/json/json.h"
#include "os/clock.h"
#include "os/tree.h"
#include "server/server.h"
#include "transfer/transfer.h"
#include <inttypes.h>

enum { SEGMENT_BYTES_MAX = 1 << 30, TOMBSTONE_BYTES_MAX = 1 << 30, FAULTS_SAID = 1000 };

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

static bool is_ours(const char *dir)
{
    return af_cli_need_house(dir, NULL) == AF_OK;
}

/* --- verify ----------------------------------------------------------------------------------------------------------------- */

struct verifying {
    const struct af_cli *cli;
    struct af_progress *progress;
    const char *path;            /* of the file at work */
    uint64_t files, keys, blocks, points, faults, torn;
    struct af_buf details;       /* JSON strings */
};

static void put_fault(struct verifying *v, const char *where, const char *words)
{
    v->faults++;
    if (v->faults > FAULTS_SAID)
        return;
    if (!v->cli->json) {
        (void)printf("%s%s%s\n", where, where[0] != '\0' ? ": " : "", words);
        return;
    }
    char text[AF_PATH_BYTES_MAX + 1024];
    (void)snprintf(text, sizeof text, "%s%s%s", where, where[0] != '\0' ? ": " : "", words);
    if (v->details.len != 0)
        af_buf_append_char(&v->details, ',');
    af_json_append_string(&v->details, af_slice_of(text));
}

static void on_fault(void *ctx, const char *words)
{
    struct verifying *v = ctx;
    put_fault(v, v->path, words);
}

/* A file that cannot be read at all is a fault of the file, whatever the reason, unless memory ran out or we were told to stop. */
static enum af_status as_fault(struct verifying *v, enum af_status status, const struct af_error *why, struct af_error *err)
{
    if (status == AF_OK)
        return AF_OK;
    if (status == AF_ENOMEM || status == AF_ECANCELED) {
        *err = *why;
        return status;
    }
    put_fault(v, "", why->message);
    return AF_OK;
}

static enum af_status check_tsm(struct verifying *v, const char *path, struct af_error *err)
{
    struct af_reader *reader;
    struct af_tsm_file *file;
    struct af_tsm_check check;
    AF_TRY(af_file_reader_open(path, &reader, err));
    AF_TRY(af_tsm_file_open(reader, NULL, &file, err));
    enum af_status status = af_tsm_check(file, on_fault, v, &check, err);
    af_tsm_file_close(file);
    if (status != AF_OK)
        return status;
    v->keys += check.keys;
    v->blocks += check.blocks;
    v->points += check.points;
    return AF_OK;
}

static enum af_status pass_write(void *ctx, struct af_slice key, const struct af_tsm_values *values, struct af_error *err)
{
    (void)key, (void)err;
    ((struct verifying *)ctx)->points += values->count;
    return AF_OK;
}

static enum af_status pass_erase(void *ctx, struct af_slice key, int64_t min_ns, int64_t max_ns, struct af_error *err)
{
    (void)ctx, (void)key, (void)min_ns, (void)max_ns, (void)err;
    return AF_OK;
}

static enum af_status check_whole(struct verifying *v, const char *path, bool is_wal, struct af_error *err)
{
    const struct af_tsm_wal_visitor visitor = { v, pass_write, pass_erase };
    struct af_buf bytes;
    struct af_arena arena;
    struct af_tsm_tomb *tombs;
    size_t count;
    uint64_t torn = 0;
    af_buf_init(&bytes, is_wal ? SEGMENT_BYTES_MAX : TOMBSTONE_BYTES_MAX);
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = af_file_read_all(path, &bytes, err);
    if (status == AF_OK)
        status = is_wal ? af_tsm_wal_read(af_buf_slice(&bytes), path, &visitor, &torn, err)
                        : af_tsm_tombs_parse(af_buf_slice(&bytes), path, &arena, &tombs, &count, err);
    v->torn += torn;
    if (torn != 0)
        af_cli_say(v->cli, "%s: %" PRIu64 " bytes at its end are torn, as a crash leaves them", path, torn);
    af_arena_done(&arena);
    af_buf_done(&bytes);
    return status;
}

static enum af_status check_file(void *ctx, const char *path, struct af_error *err)
{
    struct verifying *v = ctx;
    struct af_error why = { 0 };
    const char *slash = strrchr(path, '/');
    bool is_wal = ends_with(path, ".wal") && (slash != NULL ? slash[1] : path[0]) == '_';
    if (!ends_with(path, ".tsm") && !ends_with(path, ".tombstone") && !is_wal)
        return AF_OK;
    if (*(const volatile bool *)af_interrupt_flag())
        return af_fail(err, AF_ECANCELED, "interrupted");
    v->path = path;
    v->files++;
    af_progress_show(v->progress, 0, 0, v->blocks, path);
    enum af_status status = ends_with(path, ".tsm") ? check_tsm(v, path, &why) : check_whole(v, path, is_wal, &why);
    return as_fault(v, status, &why, err);
}

static enum af_status check_tree(void *ctx, const char *dir, struct af_error *err)
{
    AF_TRY(af_dir_list(dir, check_file, ctx, err));
    return af_dir_dirs(dir, check_tree, ctx, err);
}

static enum af_status check_ours(struct verifying *v, const char *dir, struct af_error *err)
{
    struct af_tsm_fsck found = { 0 };
    v->path = "";
    AF_TRY(af_tsm_fsck(dir, v->cli->repair, on_fault, v, &found, err));
    v->files += found.files;
    v->blocks += found.blocks;
    v->points += found.points;
    v->torn += found.wal_torn_bytes;
    return AF_OK;
}

static enum af_status check_path(struct verifying *v, const char *path, struct af_error *err)
{
    enum af_path_kind kind = af_path_kind(path);
    if (kind == AF_PATH_NONE)
        return af_fail(err, AF_ENOTFOUND, "%s: there is no such file or directory", path);
    if (kind == AF_PATH_DIR && is_ours(path))
        return check_ours(v, path, err);
    if (kind == AF_PATH_DIR)
        return check_tree(v, path, err);
    if (!ends_with(path, ".tsm") && !ends_with(path, ".tombstone") && !ends_with(path, ".wal"))
        return af_fail(err, AF_EINVAL, "%s: neither a directory nor a .tsm, .tombstone or _*.wal file", path);
    return check_file(v, path, err);
}

static enum af_status print_verified(struct verifying *v, struct af_error *err)
{
    if (!v->cli->json) {
        char points[32];
        af_cli_print_count(points, sizeof points, v->points);
        af_cli_say(v->cli, "%" PRIu64 " file%s, %" PRIu64 " blocks, %s values: %s", v->files, af_cli_plural(v->files), v->blocks, points,
                   v->faults == 0 ? "whole" : "DAMAGED");
        return AF_OK;
    }
    struct af_buf json;
    af_buf_init(&json, SIZE_MAX / 2);
    af_buf_printf(&json, "{\"files\":%" PRIu64 ",\"keys\":%" PRIu64 ",\"blocks\":%" PRIu64 ",\"values\":%" PRIu64
                    ",\"wal_bytes_torn\":%" PRIu64
                  ",\"faults\":%" PRIu64 ",\"details\":[%.*s]}\n", v->files, v->keys, v->blocks, v->points, v->torn, v->faults,
                  (int)v->details.len, v->details.ptr != NULL ? v->details.ptr : "");
    enum af_status status = af_buf_check(&json, "the result", err);
    if (status == AF_OK)
        status = af_cli_out(af_buf_slice(&json), err);
    af_buf_done(&json);
    return status;
}

static int verify(struct af_cli *cli)
{
    struct verifying v = { .cli = cli };
    struct af_error err = { 0 };
    enum af_status status = AF_OK;
    af_buf_init(&v.details, 16 << 20);
    v.progress = af_progress_new(cli, "checking", "blocks");
    for (size_t i = 1; i < cli->arg_count && status == AF_OK; i++)
        status = check_path(&v, cli->args[i], &err);
    af_progress_free(v.progress);
    if (status == AF_OK)
        status = print_verified(&v, &err);
    af_buf_done(&v.details);
    if (status != AF_OK)
        return af_cli_fail(cli, &err);
    return v.faults == 0 || cli->repair ? AF_EXIT_DONE : AF_EXIT_FAILED;
}

/* --- dump ------------------------------------------------------------------------------------------------------------------- */

struct dump {
    const struct af_cli *cli;
    struct af_tsm_file *file;
    struct af_arena arena;
    struct af_buf out;
};

static void put_time(struct af_buf *out, int64_t ns)
{
    char text[64];
    *af_rfc3339_print(text, ns, 9) = '\0';
    af_buf_append_str(out, text);
}

struct block {
    enum af_type type;
    size_t count;
    const char *time, *value;    /* encodings */
};

static enum af_status describe(struct dump *d, const struct af_tsm_block_ref *ref, struct block *out, struct af_error *err)
{
    struct af_slice raw;
    af_arena_reset(&d->arena);
    AF_TRY(af_tsm_read_raw(d->file, ref, &d->arena, &raw, err));
    return af_tsm_block_describe(af_slice_make(raw.ptr + 4, raw.len - 4), &out->type, &out->count, &out->time, &out->value, err);
}

static void put_block(struct dump *d, const struct af_tsm_block_ref *ref, const struct block *b, bool is_first)
{
    if (d->cli->json) {
        af_buf_printf(&d->out, "%s{\"offset\":%" PRIu64 ",\"size\":%u,\"values\":%zu,\"encoding\":\"%s/%s\",\"min\":\"",
                      is_first ? "" : ",",
                      ref->offset, (unsigned)ref->size, b->count, b->time, b->value);
        put_time(&d->out, ref->min_ns);
        af_buf_append_str(&d->out, "\",\"max\":\"");
        put_time(&d->out, ref->max_ns);
        af_buf_append_str(&d->out, "\"}");
    } else if (d->cli->verbose) {
        af_buf_printf(&d->out, "    at %-12" PRIu64 " %8u bytes %6zu values %s/%s ", ref->offset, (unsigned)ref->size, b->count,
                      b->time, b->value);
        put_time(&d->out, ref->min_ns);
        af_buf_append_char(&d->out, ' ');
        put_time(&d->out, ref->max_ns);
        af_buf_append_char(&d->out, '\n');
    }
}

static void begin_entry(struct dump *d, const struct af_tsm_entry *entry)
{
    struct af_slice series = entry->key, field = { "", 0 };
    (void)!af_tsm_key_split(entry->key, &series, &field);
    if (d->cli->json) {
        af_buf_append_str(&d->out, "{\"series\":");
        af_json_append_string(&d->out, series);
        af_buf_append_str(&d->out, ",\"field\":");
        af_json_append_string(&d->out, field);
        af_buf_printf(&d->out, ",\"type\":\"%s\",\"blocks\":[", af_type_name(entry->type));
        return;
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < entry->block_count; i++)
        bytes += entry->blocks[i].size;
    af_buf_printf(&d->out, "%.*s %.*s %s, %zu block%s, %" PRIu64 " bytes, ", (int)series.len, series.ptr, (int)field.len, field.ptr,
                  af_type_name(entry->type), entry->block_count, af_cli_plural(entry->block_count), bytes);
    put_time(&d->out, entry->blocks[0].min_ns);
    af_buf_append_str(&d->out, " to ");
    put_time(&d->out, entry->blocks[entry->block_count - 1].max_ns);
    af_buf_append_char(&d->out, '\n');
}

static enum af_status dump_entry(struct dump *d, const struct af_tsm_entry *entry, struct af_error *err)
{
    af_buf_clear(&d->out);
    begin_entry(d, entry);
    for (size_t i = 0; (d->cli->json || d->cli->verbose) && i < entry->block_count; i++) {
        struct block block;
        AF_TRY(describe(d, &entry->blocks[i], &block, err));
        put_block(d, &entry->blocks[i], &block, i == 0);
    }
    if (d->cli->json)
        af_buf_append_str(&d->out, "]}\n");
    AF_TRY(af_buf_check(&d->out, "a key", err));
    return af_cli_out(af_buf_slice(&d->out), err);
}

static enum af_status dump_head(struct dump *d, struct af_error *err)
{
    struct af_tsm_file_info info;
    af_tsm_file_info(d->file, &info);
    af_buf_clear(&d->out);
    if (d->cli->json) {
        af_buf_append_str(&d->out, "{\"file\":");
        af_json_append_string(&d->out, af_slice_of(info.name));
        af_buf_printf(&d->out, ",\"bytes\":%" PRIu64 ",\"index_bytes\":%" PRIu64 ",\"keys\":%" PRIu64 ",\"blocks\":%" PRIu64 ",\"min\":\"",
                      info.bytes, info.index_bytes, info.key_count, info.block_count);
        put_time(&d->out, info.min_ns);
        af_buf_append_str(&d->out, "\",\"max\":\"");
        put_time(&d->out, info.max_ns);
        af_buf_append_str(&d->out, "\"}\n");
    } else {
        af_buf_printf(&d->out, "%s: %" PRIu64 " bytes, index %" PRIu64 ", %" PRIu64 " key%s, %" PRIu64 " block%s, ", info.name, info.bytes,
                      info.index_bytes, info.key_count, af_cli_plural(info.key_count), info.block_count, af_cli_plural(info.block_count));
        put_time(&d->out, info.min_ns);
        af_buf_append_str(&d->out, " to ");
        put_time(&d->out, info.max_ns);
        af_buf_append_char(&d->out, '\n');
    }
    return af_cli_out(af_buf_slice(&d->out), err);
}

static enum af_status dump_keys(struct dump *d, struct af_error *err)
{
    struct af_tsm_cursor *cursor;
    struct af_tsm_entry entry;
    AF_TRY(af_tsm_cursor_open(d->file, AF_SLICE_LIT(""), &cursor, err));
    enum af_status status;
    do {
        status = *(const volatile bool *)af_interrupt_flag() ? af_fail(err, AF_ECANCELED, "interrupted") : af_tsm_cursor_next(cursor,
                                                                                                                              &entry, err);
        if (status == AF_OK && entry.key.ptr != NULL)
            status = dump_entry(d, &entry, err);
    } while (status == AF_OK && entry.key.ptr != NULL);
    af_tsm_cursor_close(cursor);
    return status;
}

static enum af_status dump_file(void *ctx, const char *path, struct af_error *err)
{
    struct dump *d = ctx;
    struct af_reader *reader;
    if (!ends_with(path, ".tsm"))
        return AF_OK;
    AF_TRY(af_file_reader_open(path, &reader, err));
    AF_TRY(af_tsm_file_open(reader, NULL, &d->file, err));
    enum af_status status = dump_head(d, err);
    if (status == AF_OK)
        status = dump_keys(d, err);
    af_tsm_file_close(d->file);
    return status;
}

static enum af_status dump_tree(void *ctx, const char *dir, struct af_error *err)
{
    AF_TRY(af_dir_list(dir, dump_file, ctx, err));
    return af_dir_dirs(dir, dump_tree, ctx, err);
}

static int dump(struct af_cli *cli)
{
    struct dump d = { .cli = cli };
    struct af_error err = { 0 };
    enum af_status status = AF_OK;
    af_arena_init(&d.arena, SIZE_MAX / 2);
    af_buf_init(&d.out, SIZE_MAX / 2);
    for (size_t i = 1; i < cli->arg_count && status == AF_OK; i++) {
        const char *path = cli->args[i];
        if (af_path_kind(path) == AF_PATH_DIR)
            status = dump_tree(&d, path, &err);
        else if (ends_with(path, ".tsm"))
            status = dump_file(&d, path, &err);
        else
            status = af_fail(&err, AF_EINVAL, "%s: neither a directory nor a .tsm file", path);
    }
    af_buf_done(&d.out);
    af_arena_done(&d.arena);
    return status == AF_OK ? AF_EXIT_DONE : af_cli_fail(cli, &err);
}

/* --- export ----------------------------------------------------------------------------------------------------------------- */

static enum af_status emit(void *ctx, struct af_slice bytes, struct af_error *err)
{
    return ctx != NULL ? af_file_write(ctx, bytes, err) : af_cli_out(bytes, err);
}

static int export(struct af_cli *cli)
{
    struct af_error err = { 0 };
    struct af_file *out = NULL;
    enum af_status status = AF_OK;
    uint64_t all = 0;
    if (cli->output != NULL && strcmp(cli->output, "-") != 0)
        status = af_file_open(cli->output, AF_FILE_TRUNCATE, &out, &err);
    for (size_t i = 1; i < cli->arg_count && status == AF_OK; i++) {
        uint64_t rows = 0;
        status = af_export_tsm(cli->args[i], af_interrupt_flag(), emit, out, &rows, &err);
        all += rows;
    }
    if (status == AF_OK && out != NULL)
        status = af_file_sync(out, &err);
    af_file_close(out);
    if (status != AF_OK)
        return af_cli_fail(cli, &err);
    char rows[32];
    af_cli_print_count(rows, sizeof rows, all);
    af_cli_say(cli, "%s values", rows);
    return AF_EXIT_DONE;
}

/* --- build ------------------------------------------------------------------------------------------------------------------ */

static enum af_status compact(struct af_cli *cli, const char *dir, struct af_error *err)
{
    struct af_house_options options;
    struct af_house house;
    af_cli_house_options(cli, dir, &options);
    options.engine.compact_bytes_per_s = UINT64_MAX;
    AF_TRY(af_house_open(&options, &house, err));
    enum af_status status = af_tsm_flush(house.engine, err);
    bool did = true;
    while (status == AF_OK && did)
        status = *(const volatile bool *)af_interrupt_flag() ? af_fail(err, AF_ECANCELED, "interrupted")
                                                             : af_tsm_compact(house.engine, true, &did, err);
    af_house_close(&house);
    return status;
}

static int build(struct af_cli *cli)
{
    char state[AF_PATH_BYTES_MAX];
    struct af_error err = { 0 };
    const char *dir = cli->output;
    if (dir == NULL || cli->arg_count < 2)
        return af_cli_usage_error(cli, "tsm build takes sources, and -o the directory to make");
    if (af_path_kind(dir) == AF_PATH_DIR && is_ours(dir))
        return af_cli_usage_error(cli, "%s is a data directory already; build into a new one", dir);
    (void)snprintf(state, sizeof state, "%s/build.tmp", dir);
    cli->args++;
    cli->arg_count--;
    cli->to = dir;
    cli->state = state;
    cli->create = true;
    cli->no_spool = true;
    int code = af_cli_migrate(cli);
    cli->args--;
    cli->arg_count++;
    if (code != AF_EXIT_DONE && code != AF_EXIT_REJECTED)
        return code;
    if (compact(cli, dir, &err) != AF_OK)
        return af_cli_fail(cli, &err);
    if (code == AF_EXIT_DONE)
        (void)!af_dir_remove(state, NULL);
    return code;
}

int af_cli_tsm(struct af_cli *cli)
{
    struct af_slice what = af_slice_of(cli->arg_count != 0 ? cli->args[0] : "");
    if (cli->arg_count < 2)
        return af_cli_usage_error(cli, "tsm takes verify, dump, export or build, and then files or directories");
    if (af_slice_is(what, "verify"))
        return verify(cli);
    if (af_slice_is(what, "dump"))
        return dump(cli);
    if (af_slice_is(what, "export"))
        return export(cli);
    if (af_slice_is(what, "build"))
        return build(cli);
    return af_cli_usage_error(cli, "tsm takes verify, dump, export or build, not \"%s\"", cli->args[0]);
}
