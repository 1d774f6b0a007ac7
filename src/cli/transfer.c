/* transfer.c - wholes in and out: backup, restore, bulkload, export. */
#include "transfer/transfer.h"
#include "aws/s3.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "cli/backup_s3.h"
#include "cli/cli.h"
#include "codec/compress.h"
#include "format/json/json.h"
#include "net/url.h"
#include "os/clock.h"
#include "os/tree.h"
#include <inttypes.h>

enum { STDOUT = 1 };

/* --- what they share -------------------------------------------------------------------------------------------------------- */

struct watching {
    const struct af_cli *cli;
    struct af_progress *progress;
    const char *what;
};

static void show(void *ctx, const char *what, uint64_t done, uint64_t all)
{
    struct watching *w = ctx;
    if (w->progress == NULL || w->what != what) {
        af_progress_free(w->progress);
        w->progress = af_progress_new(w->cli, what, "B");
        w->what = what;
    }
    af_progress_show(w->progress, done, all, done, NULL);
}

static struct af_transfer_watch watch_with(struct watching *w, const struct af_cli *cli)
{
    *w = (struct watching){ .cli = cli };
    return (struct af_transfer_watch){ .show = show, .ctx = w, .cancel = af_interrupt_flag() };
}

static int fail(const struct af_cli *cli, const struct af_error *err)
{
    int code = af_cli_fail(cli, err);
    return err->status == AF_ECANCELED ? AF_EXIT_FAILED : code;
}

static void print_json(struct af_buf *out, const struct af_transfer_counts *c, double seconds)
{
    af_buf_printf(out, "{\"buckets\":%" PRIu64 ",\"shards\":%" PRIu64 ",\"shards_linked\":%" PRIu64 ",\"files\":%" PRIu64
                    ",\"bytes\":%" PRIu64
                  ",\"bytes_packed\":%" PRIu64 ",\"values_written\":%" PRIu64 ",\"values_dropped\":%" PRIu64 ",\"values_verified\":%" PRIu64
                  ",\"wal_bytes_torn\":%" PRIu64 ",\"seconds\":%.3f,\"name\":", c->buckets, c->shards, c->shards_linked, c->files, c->bytes,
                  c->bytes_packed, c->points_written, c->points_dropped, c->values, c->wal_bytes_torn, seconds);
    af_json_append_string(out, af_slice_of(c->name));
    if (c->sending_ns != 0)
        af_buf_printf(out, ",\"seconds_sending\":%.3f,\"seconds_counting\":%.3f", (double)c->sending_ns / 1e9,
                      (double)c->counting_ns / 1e9);
    af_buf_append_str(out, "}\n");
}

static int tell(const struct af_cli *cli, const char *verb, const struct af_transfer_counts *c, int64_t start_ns)
{
    double seconds = (double)(af_clock_mono_ns() - start_ns) / 1e9;
    char bytes[32], values[32];
    af_cli_print_bytes(bytes, sizeof bytes, c->bytes);
    af_cli_print_count(values, sizeof values, c->points_written);
    af_cli_say(cli, "%s: %" PRIu64 " bucket%s, %" PRIu64 " shard%s, %" PRIu64 " file%s, %s, %.1f s", verb, c->buckets,
               af_cli_plural(c->buckets),
               c->shards, af_cli_plural(c->shards), c->files, af_cli_plural(c->files), bytes, seconds);
    if (c->points_written != 0)
        af_cli_say(cli, "%s values went in one by one", values);
    if (c->wal_bytes_torn != 0)
        af_cli_say(cli, "%" PRIu64 " bytes at the ends of logs were torn and are left out", c->wal_bytes_torn);
    if (c->points_dropped != 0)
        af_cli_warn("%" PRIu64 " value%s could not be kept: %s", c->points_dropped, af_cli_plural(c->points_dropped), c->dropped_why);
    if (cli->json) {
        struct af_buf json;
        struct af_error err = { 0 };
        af_buf_init(&json, 1 << 20);
        print_json(&json, c, seconds);
        enum af_status status = af_cli_out(af_buf_slice(&json), &err);
        af_buf_done(&json);
        if (status != AF_OK)
            return fail(cli, &err);
    }
    return c->points_dropped != 0 ? AF_EXIT_REJECTED : AF_EXIT_DONE;
}

/* The houses that commands open: no log where all ends in a flush. */
static enum af_status open_house(const struct af_cli *cli, const char *dir, struct af_house *out, struct af_error *err)
{
    struct af_house_options options;
    af_cli_house_options(cli, dir, &options);
    return af_house_open(&options, out, err);
}

/* --- backup ----------------------------------------------------------------------------------------------------------------- */

static bool parse_form(const char *text, unsigned *out)
{
    struct af_slice s = af_slice_of(text != NULL ? text : "both");
    const bool is_both = af_slice_is(s, "both");
    *out = (is_both || af_slice_is(s, "1") ? AF_BACKUP_V1 : 0U) | (is_both || af_slice_is(s, "2") ? AF_BACKUP_V2 : 0U);
    return *out != 0;
}

/* Into a directory, or through one into S3. */
static enum af_status back_up(struct af_cli *cli, struct af_backup_options *options, struct af_transfer_counts *counts,
                              struct af_error *err)
{
    struct af_cli_backup_s3 *s3;
    if (!af_s3_is_name(options->dir))
        return af_backup(options, counts, err);
    AF_TRY(af_cli_backup_s3_open(cli, options->dir, options->house->dir, &s3, err));
    options->dir = af_cli_backup_s3_dir(s3);
    options->elsewhere = af_cli_backup_s3_elsewhere(s3);
    enum af_status status = af_backup(options, counts, err);
    af_cli_backup_s3_end(s3, status == AF_OK);
    af_cli_backup_s3_close(s3);
    return status;
}

static int back_up_house(struct af_cli *cli, const char *from, unsigned forms)
{
    struct af_error err = { 0 };
    struct af_house house;
    struct watching watching;
    struct af_transfer_counts counts;
    int64_t start_ns = af_clock_mono_ns();
    if (af_cli_need_house(from, &err) != AF_OK || open_house(cli, from, &house, &err) != AF_OK)
        return fail(cli, &err);
    struct af_backup_options options = { .house = &house, .org = cli->org, .bucket = cli->bucket, .dir = cli->args[0], .forms = forms,
                                         .watch = watch_with(&watching, cli) };
    enum af_status status = back_up(cli, &options, &counts, &err);
    af_progress_free(watching.progress);
    af_house_close(&house);
    return status == AF_OK ? tell(cli, "backed up and read back", &counts, start_ns) : fail(cli, &err);
}

/* --- bulkload --------------------------------------------------------------------------------------------------------------- */

static enum af_status server_options(struct af_cli *cli, const char *dir, const char *url, struct af_bulkload_options *out,
                                     struct af_error *err)
{
    *out = (struct af_bulkload_options){ .dir = dir, .bucket = cli->bucket, .new_bucket = cli->new_bucket, .url = url, .rpc = cli->rpc,
                                         .org = cli->org, .user = cli->user, .scratch_dir = af_cli_scratch_dir(),
                                         .http = { .skip_verify = cli->insecure, .ca_file = cli->ca_file,
                                                   .stall_timeout_ms = af_cli_ms(cli->timeout_ms),
                                                   .connect_timeout_ms = af_cli_ms(cli->timeout_ms) } };
    AF_TRY(af_cli_take_token(cli, err));
    AF_TRY(af_cli_take_password(cli, &out->password, err));
    out->token = cli->token;
    out->version = cli->influx_version == NULL ? 0 : strcmp(cli->influx_version, "1") == 0 ? 1 : 2;
    return AF_OK;
}

static enum af_status load(struct af_cli *cli, const char *dir, const char *url, struct watching *watching,
                           struct af_transfer_counts *counts,
                           struct af_error *err)
{
    struct af_bulkload_options options;
    struct af_house house;
    const bool is_backup = af_backup_is(dir);
    AF_TRY(server_options(cli, dir, url, &options, err));
    options.watch = (struct af_transfer_watch){ show, watching, af_interrupt_flag() };
    if (is_backup)
        return af_bulkload(&options, counts, err);
    if (af_import_is(dir))
        return af_fail(err, AF_EINVAL, "%s is the data directory of an InfluxDB: restore it into a directory of ours first, and "
                                       "load that", dir);
    AF_TRY(af_cli_need_house(dir, err));
    AF_TRY(open_house(cli, dir, &house, err));
    options.house = &house;
    enum af_status status = af_bulkload(&options, counts, err);
    af_house_close(&house);
    return status;
}

static int bulkload(struct af_cli *cli, const char *dir, const char *url)
{
    struct af_error err = { 0 };
    struct watching watching = { .cli = cli };
    struct af_transfer_counts counts = { 0 };
    int64_t start_ns = af_clock_mono_ns();
    enum af_status status = load(cli, dir, url, &watching, &counts, &err);
    af_progress_free(watching.progress);
    if (status != AF_OK)
        return fail(cli, &err);
    char values[32];
    af_cli_print_count(values, sizeof values, counts.values);
    af_cli_say(cli, "%s values counted on the server, as many as were sent (%.1f s sending, %.1f s counting)", values,
               (double)counts.sending_ns / 1e9, (double)counts.counting_ns / 1e9);
    return tell(cli, "loaded", &counts, start_ns);
}

int af_cli_bulkload(struct af_cli *cli)
{
    const char *url = af_cli_target_url(cli->to);
    if (cli->arg_count != 1 || url == NULL || !af_url_is_http(url))
        return af_cli_usage_error(cli, "bulkload takes one directory, and --to http(s)://host:port");
    return bulkload(cli, cli->args[0], url);
}

/* --- backup of a server: into a house of the run's own, and that into the backup ---------------------------------------------- */

struct serving {
    struct af_cli *cli;
    char scratch[AF_PATH_BYTES_MAX], house[AF_PATH_BYTES_MAX + 16], archives[AF_PATH_BYTES_MAX + 16];
    struct af_transfer_watch watch;
    unsigned forms;
};

/* Beside the backup, where there is room for it; of one in S3 where the environment says. */
static enum af_status make_scratch(struct serving *s, struct af_error *err)
{
    const char *to = s->cli->args[0];
    const bool is_s3 = af_s3_is_name(to);
    const char *tmp = af_cli_scratch_dir();
    if (!is_s3)
        AF_TRY(af_dir_make(to, err));
    const int len = snprintf(s->scratch, sizeof s->scratch, "%s/afluxo-backup-%" PRId64 ".tmp", !is_s3 ? to : tmp != NULL ? tmp : "/tmp",
                             af_clock_mono_ns());
    if (len < 0 || (size_t)len >= sizeof s->scratch)
        return af_fail(err, AF_EINVAL, "%s: too long for a path", to);
    (void)snprintf(s->house, sizeof s->house, "%s/data", s->scratch);
    (void)snprintf(s->archives, sizeof s->archives, "%s/archives", s->scratch);
    AF_TRY(af_dir_make_private(s->scratch, err));
    return af_dir_make(s->archives, err);
}

static enum af_status fetch_and_back_up(struct serving *s, struct af_house *house, const char *from, struct af_transfer_counts *counts,
                                        struct af_error *err)
{
    struct af_bulkload_options server;
    struct af_transfer_counts fetched;
    AF_TRY(server_options(s->cli, s->archives, from, &server, err));
    server.watch = s->watch;
    AF_TRY(af_fetch(&server, house, &fetched, err));
    struct af_backup_options options = { .house = house, .dir = s->cli->args[0], .forms = s->forms, .watch = s->watch };
    AF_TRY(back_up(s->cli, &options, counts, err));
    counts->points_dropped = fetched.points_dropped;
    memcpy(counts->dropped_why, fetched.dropped_why, sizeof counts->dropped_why);
    return AF_OK;
}

static enum af_status run_serving(struct serving *s, const char *from, struct af_transfer_counts *counts, struct af_error *err)
{
    struct af_house house;
    AF_TRY(make_scratch(s, err));
    s->cli->is_bulk = true;
    enum af_status status = open_house(s->cli, s->house, &house, err);
    if (status == AF_OK) {
        status = fetch_and_back_up(s, &house, from, counts, err);
        af_house_close(&house);
    }
    (void)!af_dir_remove(s->scratch, NULL);
    return status;
}

static int back_up_server(struct af_cli *cli, const char *from, unsigned forms)
{
    struct af_error err = { 0 };
    struct watching watching;
    struct af_transfer_counts counts = { 0 };
    int64_t start_ns = af_clock_mono_ns();
    struct serving s = { .cli = cli, .watch = watch_with(&watching, cli), .forms = forms };
    enum af_status status = run_serving(&s, from, &counts, &err);
    af_progress_free(watching.progress);
    return status == AF_OK ? tell(cli, "backed up and read back", &counts, start_ns) : fail(cli, &err);
}

int af_cli_backup(struct af_cli *cli)
{
    unsigned forms;
    const char *from = af_cli_target_url(cli->from);
    if (cli->arg_count != 1 || from == NULL)
        return af_cli_usage_error(cli, "backup takes one directory or s3://bucket/prefix to write to, and --from the data directory or "
                                       "server");
    if (!parse_form(cli->form, &forms))
        return af_cli_usage_error(cli, "--form is 1, 2 or both, not \"%s\"", cli->form);
    if (af_cli_is_directory(from))
        return back_up_house(cli, from, forms);
    if (!af_url_is_http(from))
        return af_cli_usage_error(cli, "%s: neither a data directory nor a server", from);
    return back_up_server(cli, from, forms);
}

/* --- restore ---------------------------------------------------------------------------------------------------------------- */

static enum af_status restore_from_s3(struct af_cli *cli, struct af_restore_options *options, struct af_transfer_counts *counts,
                                      struct af_error *err)
{
    struct af_cli_backup_s3 *s3;
    AF_TRY(af_cli_backup_s3_open(cli, options->dir, options->house->dir, &s3, err));
    options->dir = af_cli_backup_s3_dir(s3);
    options->elsewhere = af_cli_backup_s3_elsewhere(s3);
    enum af_status status = af_cli_backup_s3_manifest(s3, err);
    if (status == AF_OK)
        status = af_restore(options, counts, err);
    if (status != AF_OK && strstr(err->message, "s3://") == NULL)
        af_error_prefix(err, "%s: ", cli->args[0]); /* what passed through a file here is not there any more */
    af_cli_backup_s3_close(s3);
    return status;
}

static enum af_status restore(struct af_cli *cli, struct af_house *house, const struct af_transfer_watch *watch,
                              struct af_transfer_counts *counts, struct af_error *err)
{
    const bool is_s3 = af_s3_is_name(cli->args[0]);
    if (is_s3 || af_backup_is(cli->args[0])) {
        struct af_restore_options options = { .house = house, .dir = cli->args[0], .bucket = cli->bucket, .new_bucket = cli->new_bucket,
                                              .org = cli->org, .watch = *watch };
        return is_s3 ? restore_from_s3(cli, &options, counts, err) : af_restore(&options, counts, err);
    }
    struct af_import_options options = { .house = house, .dir = cli->args[0], .bucket = cli->bucket, .new_bucket = cli->new_bucket,
                                         .org = cli->org, .watch = *watch };
    return af_import(&options, counts, err);
}

int af_cli_restore(struct af_cli *cli)
{
    struct af_error err = { 0 };
    struct af_house house;
    struct watching watching;
    struct af_transfer_counts counts = { 0 };
    int64_t start_ns = af_clock_mono_ns();
    const char *to = af_cli_target_url(cli->to);
    if (cli->arg_count != 1 || to == NULL)
        return af_cli_usage_error(cli, "restore takes one directory, or s3://bucket/prefix, with a backup, and --to a data directory or "
                                       "server");
    const bool is_s3 = af_s3_is_name(cli->args[0]);
    if (is_s3 && !af_cli_is_directory(to))
        return af_cli_usage_error(cli, "a backup in S3 is restored into a data directory: to load it into %s, copy it to a "
                                       "directory first (aws s3 sync)",
                                  to);
    if (!is_s3 && !af_backup_is(cli->args[0]) && !af_import_is(cli->args[0])) {
        (void)af_fail(&err, AF_ENOTFOUND, "%s is neither a backup (it has no *.manifest) nor the data directory of an InfluxDB",
                      cli->args[0]);
        return fail(cli, &err);
    }
    if (!af_cli_is_directory(to))
        return bulkload(cli, cli->args[0], to);
    if (open_house(cli, to, &house, &err) != AF_OK)
        return fail(cli, &err);
    struct af_transfer_watch watch = watch_with(&watching, cli);
    enum af_status status = restore(cli, &house, &watch, &counts, &err);
    af_progress_free(watching.progress);
    af_house_close(&house);
    return status == AF_OK ? tell(cli, "restored", &counts, start_ns) : fail(cli, &err);
}

/* --- export ----------------------------------------------------------------------------------------------------------------- */

struct exporting {
    struct af_cli *cli;
    struct af_export_options options;
    struct af_parquet_write_options how;
    bool is_parquet, is_gzip;
    struct af_file *out;         /* NULL: standard output */
    struct af_codec_ctx codec;
    struct af_buf piece, packed;
    struct af_progress *progress;
    uint64_t rows, files, bytes;
};
enum { EXPORT_PIECE = 1 << 20 };

static enum af_status emit_plain(struct exporting *e, struct af_slice bytes, struct af_error *err)
{
    e->bytes += bytes.len;
    return e->out != NULL ? af_file_write(e->out, bytes, err) : af_cli_out(bytes, err);
}

static enum af_status emit_packed(struct exporting *e, struct af_error *err)
{
    af_buf_clear(&e->packed);
    AF_TRY(af_compress(&e->codec, AF_CODEC_GZIP, 0, af_buf_slice(&e->piece), &e->packed, err));
    af_buf_clear(&e->piece);
    return emit_plain(e, af_buf_slice(&e->packed), err);
}

static enum af_status emit(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct exporting *e = ctx;
    if (!e->is_gzip)
        return emit_plain(e, bytes, err);
    af_buf_append_slice(&e->piece, bytes);
    AF_TRY(af_buf_check(&e->piece, "what is exported", err));
    return e->piece.len >= EXPORT_PIECE ? emit_packed(e, err) : AF_OK;
}

static void show_rows(void *ctx, uint64_t rows)
{
    struct exporting *e = ctx;
    af_progress_show(e->progress, 0, 0, e->rows + rows, NULL);
}

static enum af_status export_to(struct exporting *e, const char *path, const char *measurement, struct af_error *err)
{
    uint64_t rows = 0;
    e->options.measurement = measurement;
    if (path != NULL && strcmp(path, "-") != 0)
        AF_TRY(af_file_open(path, AF_FILE_TRUNCATE, &e->out, err));
    enum af_status status = e->is_parquet ? af_export_parquet(&e->options, &e->how, emit, e, &rows, err)
                                          : af_export_lp(&e->options, emit, e, &rows, err);
    if (status == AF_OK && e->is_gzip)
        status = emit_packed(e, err);
    if (status == AF_OK && e->out != NULL)
        status = af_file_sync(e->out, err);
    af_file_close(e->out);
    e->out = NULL;
    e->rows += rows;
    e->files++;
    return status;
}

/* A file name for a measurement: what is not a letter, digit, - or _ becomes %XX. */
static void file_name(const char *dir, const char *measurement, struct af_buf *out)
{
    af_buf_clear(out);
    af_buf_printf(out, "%s/", dir);
    af_url_append_escaped(out, af_slice_of(measurement[0] == '.' ? "%2E" : ""));
    af_url_append_escaped(out, af_slice_of(measurement));
    af_buf_append_str(out, ".parquet");
}

static enum af_status export_each(struct exporting *e, const char *dir, struct af_error *err)
{
    struct af_arena arena;
    struct af_buf path;
    const char **names = NULL;
    size_t count = 0;
    af_arena_init(&arena, SIZE_MAX / 2);
    af_buf_init(&path, AF_PATH_BYTES_MAX);
    enum af_status status = af_dir_make(dir, err);
    if (status == AF_OK)
        status = af_export_measurements(e->options.store, &arena, &names, &count, err);
    for (size_t i = 0; i < count && status == AF_OK; i++) {
        file_name(dir, names[i], &path);
        status = af_buf_check(&path, "a path", err);
        if (status == AF_OK)
            status = export_to(e, af_buf_cstr(&path), names[i], err);
    }
    af_buf_done(&path);
    af_arena_done(&arena);
    return status;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = text != NULL ? strlen(text) : 0;
    return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

static enum af_status run_export(struct exporting *e, struct af_error *err)
{
    const struct af_cli *cli = e->cli;
    if (!e->is_parquet || ends_with(cli->output, ".parquet"))
        return export_to(e, cli->output, cli->measurement, err);
    if (cli->measurement != NULL) {
        struct af_buf path;
        af_buf_init(&path, AF_PATH_BYTES_MAX);
        file_name(cli->output, cli->measurement, &path);
        enum af_status status = af_dir_make(cli->output, err);
        if (status == AF_OK)
            status = export_to(e, af_buf_cstr(&path), cli->measurement, err);
        af_buf_done(&path);
        return status;
    }
    return export_each(e, cli->output, err);
}

static bool parse_time(const char *text, int64_t *out)
{
    bool has_zone;
    return text == NULL || af_time_parse(af_slice_of(text), out, &has_zone);
}

static int codec_of(const char *name)
{
    static const enum af_codec codecs[] = { AF_CODEC_SNAPPY, AF_CODEC_ZSTD, AF_CODEC_GZIP, AF_CODEC_LZ4, AF_CODEC_BROTLI, AF_CODEC_NONE };
    static const char *const names[] = { "snappy", "zstd", "gzip", "lz4", "brotli", "none" };
    if (name == NULL)
        return AF_CODEC_ZSTD;
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++)
        if (strcmp(names[i], name) == 0)
            return (int)codecs[i];
    return -1;
}

/* Negative: all is well. */
static int export_options(struct af_cli *cli, struct exporting *e)
{
    *e = (struct exporting){ .cli = cli, .options = { .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .cancel = af_interrupt_flag(),
                                                      .show = show_rows } };
    e->options.ctx = e;
    if (cli->arg_count != 0)
        return af_cli_usage_error(cli, "export takes no arguments: --from TARGET --bucket NAME, and --output FILE");
    if (!parse_time(cli->start, &e->options.start_ns) || !parse_time(cli->stop, &e->options.stop_ns))
        return af_cli_usage_error(cli, "--start and --stop are times like 2024-01-31 or 2024-01-31T12:00:00Z");
    struct af_slice format = af_slice_of(cli->format);
    e->is_parquet = cli->format != NULL ? af_slice_is(format, "parquet") : ends_with(cli->output, ".parquet");
    if (cli->format != NULL && !e->is_parquet && !af_slice_is(format, "lp"))
        return af_cli_usage_error(cli, "--format is lp or parquet, not \"%s\"", cli->format);
    if (e->is_parquet && (cli->output == NULL || strcmp(cli->output, "-") == 0))
        return af_cli_usage_error(cli, "Parquet goes to a file or directory: say --output");
    if (ends_with(cli->output, ".parquet") && cli->measurement == NULL)
        return af_cli_usage_error(cli, "one Parquet file holds one measurement: say --measurement, or a directory as --output");
    e->how = (struct af_parquet_write_options){ .codec = codec_of(cli->codec), .page_index = true, .page_crc = true };
    if (e->how.codec < 0)
        return af_cli_usage_error(cli, "--codec is snappy, zstd, gzip, lz4, brotli or none, not \"%s\"", cli->codec);
    e->is_gzip = !e->is_parquet && ends_with(cli->output, ".gz");
    return -1;
}

int af_cli_export(struct af_cli *cli)
{
    struct exporting e;
    struct af_error err = { 0 };
    struct af_store *store = NULL;
    int code = export_options(cli, &e);
    if (code >= 0)
        return code;
    const char *from = af_cli_target_url(cli->from);
    enum af_status status = from != NULL && af_cli_is_directory(from) ? af_cli_need_house(from, &err) : AF_OK;
    if (status == AF_OK)
        status = af_cli_open_store(cli, cli->from, NULL, &store, &err);
    if (status != AF_OK)
        return status == AF_EINVAL ? af_cli_usage_error(cli, "%s", err.message) : fail(cli, &err);
    e.options.store = store;
    af_buf_init(&e.piece, SIZE_MAX / 2);
    af_buf_init(&e.packed, SIZE_MAX / 2);
    e.progress = af_progress_new(cli, "exporting", "rows");
    status = run_export(&e, &err);
    af_progress_free(e.progress);
    af_codec_ctx_done(&e.codec);
    af_buf_done(&e.piece);
    af_buf_done(&e.packed);
    af_store_close(store);
    if (status == AF_EIO && (cli->output == NULL || strcmp(cli->output, "-") == 0) && af_reader_is_gone(STDOUT))
        af_end_by_sigpipe();
    if (status != AF_OK)
        return fail(cli, &err);
    char rows[32], bytes[32];
    af_cli_print_count(rows, sizeof rows, e.rows);
    af_cli_print_bytes(bytes, sizeof bytes, e.bytes);
    af_cli_say(cli, "%s rows, %" PRIu64 " file%s, %s", rows, e.files, af_cli_plural(e.files), bytes);
    if (cli->json && cli->output != NULL && strcmp(cli->output, "-") != 0)
        (void)printf("{\"rows\":%" PRIu64 ",\"files\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n", e.rows, e.files, e.bytes);
    return AF_EXIT_DONE;
}
