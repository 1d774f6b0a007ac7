/* setup.c - from options to open stores and sources. */
#include "aws/s3.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "load/load.h"
#include "net/url.h"
#include "os/clock.h"
#include "os/file.h"
#include "remote/remote.h"
#include "server/server.h"
#include "format/json/json.h"
#include <stdlib.h>

/* --- the store ----------------------------------------------------------------------------------------------------------- */

/* The first line of a file, kept for the life of the process. */
static enum af_status read_secret(const char *path, const char **out, struct af_error *err)
{
    enum { SECRET_BYTES_MAX = 64 << 10 };
    static struct af_buf kept[2];
    struct af_buf *buf = kept[0].ptr == NULL ? &kept[0] : &kept[1];
    af_buf_init(buf, SECRET_BYTES_MAX);
    AF_TRY(af_file_read_all(path, buf, err));
    struct af_slice line = af_buf_slice(buf);
    const char *end = line.len != 0 ? memchr(line.ptr, '\n', line.len) : NULL;
    if (end != NULL)
        line.len = (size_t)(end - line.ptr);
    line = af_slice_trim(line);
    if (line.len == 0)
        return af_fail(err, AF_EINVAL, "%s: its first line is empty; a secret is expected there", path);
    buf->ptr[(line.ptr - buf->ptr) + (ptrdiff_t)line.len] = '\0';
    *out = line.ptr;
    return AF_OK;
}

static enum af_status influx_version(const char *text, enum af_influx_version *out, struct af_error *err)
{
    struct af_slice s = af_slice_of(text != NULL ? text : "auto");
    if (af_slice_is(s, "auto"))
        *out = AF_INFLUX_AUTO;
    else if (af_slice_is(s, "1"))
        *out = AF_INFLUX_1;
    else if (af_slice_is(s, "2"))
        *out = AF_INFLUX_2;
    else
        return af_fail(err, AF_EINVAL, "--influx-version is 1 or 2, not \"%s\"", text);
    return AF_OK;
}

/* Long enough for a server that restarts, short enough for somebody who gave a wrong port. */
enum { TRIES_MS = 10000, PAUSE_FIRST_MS = 100, LOOK_MS = 50, PATIENCE_MS = 600000 };

bool af_cli_try_again(const struct af_cli *cli, struct af_cli_retry *retry, const struct af_error *err)
{
    if (!af_status_is_retryable(err->status))
        return false;
    int64_t now_ns = af_clock_mono_ns();
    if (retry->end_ns == 0) {
        uint64_t tries_ms = cli->patience_ms != 0 && cli->patience_ms < TRIES_MS ? cli->patience_ms : TRIES_MS;
        *retry = (struct af_cli_retry){ .end_ns = now_ns + (int64_t)tries_ms * 1000000, .pause_ms = PAUSE_FIRST_MS };
        af_cli_say(cli, "%s; trying again", err->message);
    }
    uint32_t pause_ms = err->retry_after_ms > retry->pause_ms ? err->retry_after_ms : retry->pause_ms;
    int64_t until_ns = now_ns + (int64_t)pause_ms * 1000000;
    if (until_ns >= retry->end_ns)
        return false;
    retry->pause_ms *= 2;
    while (!*af_interrupt_flag() && af_clock_mono_ns() < until_ns)
        af_clock_sleep_ms(LOOK_MS);
    return !*af_interrupt_flag();
}

const char *af_cli_target_url(const char *target)
{
    if (target == NULL)
        target = getenv("INFLUX_HOST");
    if (target == NULL)
        target = getenv("INFLUXDB_V2_URL");
    return target;
}

bool af_cli_is_directory(const char *target)
{
    return target != NULL && !af_url_is_http(target) && strstr(target, "://") == NULL;
}

enum af_status af_cli_need_house(const char *dir, struct af_error *err)
{
    static const char *const signs[] = { "afluxo.sqlite", "LOCK" };
    char path[AF_PATH_BYTES_MAX];
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, signs[i]);
        if (af_path_kind(path) == AF_PATH_FILE)
            return AF_OK;
    }
    return af_fail(err, AF_ENOTFOUND, "%s is not a data directory of afluxo", dir);
}

static void say_engine(void *ctx, const char *words)
{
    const struct af_cli *cli = ctx;
    if (!cli->quiet)
        af_cli_warn("%s", words);
}

void af_cli_house_options(const struct af_cli *cli, const char *dir, struct af_house_options *out)
{
    uint64_t memory = cli->memory != 0 ? cli->memory : AF_MEMORY_DEFAULT;
    *out = (struct af_house_options){ .engine = { .dir = dir, .cache_bytes = memory / 2, .no_wal = cli->is_bulk,
                                                  .no_compaction = cli->is_bulk, .say = say_engine, .ctx = (void *)(uintptr_t)cli } };
    if (cli->is_bulk) { /* what is being read and written out takes the rest; a full disk gets as long as a server that does not answer */
        out->engine.cache_bytes = memory / 16 * 7;
        out->engine.cache_wait_ms = af_cli_ms(cli->patience_ms != 0 ? cli->patience_ms : PATIENCE_MS);
        out->engine.compact_bytes_per_s = UINT64_MAX;
    }
}

/* A server has the directory: it says in DIR/server.json where it listens, and DIR/operator-token is ours to read if the directory is. */
enum af_status af_cli_find_server(const char *dir, const char **out_url, const char **out_token, struct af_error *err)
{
    static char url[256];
    static char token_path[AF_PATH_BYTES_MAX];
    char path[AF_PATH_BYTES_MAX];
    struct af_buf text;
    struct af_arena arena;
    af_buf_init(&text, 64 << 10);
    af_arena_init(&arena, 1 << 20);
    (void)snprintf(path, sizeof path, "%s/server.json", dir);
    struct af_json *json = NULL;
    enum af_status status = af_file_read_all(path, &text, err);
    if (status == AF_OK)
        status = af_json_parse(af_buf_slice(&text), &arena, &json, err);
    if (status == AF_OK) {
        struct af_slice found = af_json_string(json, "url");
        (void)snprintf(url, sizeof url, "%.*s", (int)found.len, found.len != 0 ? found.ptr : "");
        *out_url = url;
        (void)snprintf(token_path, sizeof token_path, "%s/operator-token", dir);
        *out_token = af_path_kind(token_path) == AF_PATH_FILE ? token_path : NULL;
    }
    af_arena_done(&arena);
    af_buf_done(&text);
    return status;
}

enum { HISTORY_SHARD_NS_PER_MS = 1000000 };
static const int64_t HISTORY_SHARD_NS = INT64_C(52) * 7 * 86400 * 1000000000; /* what suits hourly history: docs/engine.md */

enum af_status af_cli_take_token(struct af_cli *cli, struct af_error *err)
{
    return cli->token_file != NULL ? read_secret(cli->token_file, &cli->token, err) : AF_OK;
}

enum af_status af_cli_take_password(struct af_cli *cli, const char **out, struct af_error *err)
{
    *out = getenv("INFLUX_PASSWORD");
    return cli->password_file != NULL ? read_secret(cli->password_file, out, err) : AF_OK;
}

static enum af_status open_remote(struct af_cli *cli, const char *target, const char *default_bucket, struct af_store **out,
                                  struct af_error *err)
{
    const char *password;
    AF_TRY(af_cli_take_token(cli, err));
    AF_TRY(af_cli_take_password(cli, &password, err));
    struct af_remote_options options = { .url = target, .bucket = cli->bucket != NULL ? cli->bucket : default_bucket,
                                         .org = cli->org, .token = cli->token, .user = cli->user, .password = password,
                                         .force_flux = cli->force_flux,
                                         .shard_duration_s = cli->shard_duration_ms / 1000,
                                         .http = { .skip_verify = cli->insecure, .ca_file = cli->ca_file,
                                                   .stall_timeout_ms = af_cli_ms(cli->timeout_ms),
                                                   .connect_timeout_ms = af_cli_ms(cli->timeout_ms) } };
    AF_TRY(influx_version(cli->influx_version, &options.version, err));
    if (options.bucket == NULL && !cli->is_question)
        return af_fail(err, AF_EINVAL, "which bucket? Say --bucket NAME, or set INFLUX_BUCKET_NAME");
    struct af_cli_retry retry = { 0 };
    struct af_error why = { 0 };
    while (af_remote_open(&options, out, &why) != AF_OK) {
        if (!af_cli_try_again(cli, &retry, &why)) {
            *err = why;
            return why.status;
        }
    }
    return AF_OK;
}

static enum af_status open_directory(struct af_cli *cli, const char *dir, const char *default_bucket, struct af_store **out,
                                     struct af_error *err)
{
    const char *bucket = cli->bucket != NULL ? cli->bucket : default_bucket;
    if (bucket == NULL)
        return af_fail(err, AF_EINVAL, "which bucket? Say --bucket NAME, or set INFLUX_BUCKET_NAME");
    struct af_house_options options;
    af_cli_house_options(cli, dir, &options);
    int64_t shard_ns = cli->shard_duration_ms != 0 ? (int64_t)cli->shard_duration_ms * HISTORY_SHARD_NS_PER_MS : HISTORY_SHARD_NS;
    struct af_error why = { 0 };
    enum af_status status = af_house_store_open(&options, cli->org, bucket, shard_ns, out, &why);
    const char *url = NULL;
    const char *token_file = NULL;
    if (status != AF_EBUSY || af_cli_find_server(dir, &url, &token_file, NULL) != AF_OK) {
        if (err != NULL)
            *err = why;
        return status;
    }
    af_cli_say(cli, "%s is served at %s: going through that server", dir, url);
    if (cli->token == NULL && cli->token_file == NULL)
        cli->token_file = token_file;
    return open_remote(cli, url, default_bucket, out, err);
}

enum af_status af_cli_open_store(struct af_cli *cli, const char *target, const char *default_bucket, struct af_store **out,
                                 struct af_error *err)
{
    target = af_cli_target_url(target);
    if (target == NULL)
        return af_fail(err, AF_EINVAL, "which target? Say --to DIRECTORY or --to http://host:8086, or set INFLUX_HOST");
    if (af_cli_is_directory(target))
        return open_directory(cli, target, default_bucket, out, err);
    if (!af_url_is_http(target))
        return af_fail(err, AF_EUNSUPPORTED, "%s: a target is a directory or http(s)://host:port", target);
    return open_remote(cli, target, default_bucket, out, err);
}

/* --- the sources --------------------------------------------------------------------------------------------------------- */

uint64_t af_cli_source_bytes(const struct af_source_list *list)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < list->count; i++)
        sum += list->items[i].bytes;
    return sum;
}

uint32_t af_cli_ms(uint64_t ms)
{
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

int af_cli_source_status(const struct af_ingest_totals *t)
{
    if (t->files != 0 && t->files_bad == t->files)
        return AF_EXIT_FAILED;
    return t->rows_rejected + t->files_bad + t->parts_lost != 0 ? AF_EXIT_REJECTED : AF_EXIT_DONE;
}

const char *af_cli_scratch_dir(void)
{
    const char *dir = getenv("TMPDIR");
    return dir != NULL && dir[0] != '\0' ? dir : NULL;
}

/* A wrong word on the command line is wrong usage, whatever its reader calls it. */
static enum af_status wrong_usage(enum af_status status, struct af_error *err)
{
    if (status != AF_OK && status != AF_ENOMEM && err != NULL)
        err->status = AF_EINVAL;
    return status == AF_OK || status == AF_ENOMEM ? status : AF_EINVAL;
}

static enum af_status load_map(struct af_cli *cli, struct af_map **out, struct af_error *err)
{
    if (cli->dataset != NULL)
        return wrong_usage(af_map_builtin(cli->dataset, out, err), err);
    struct af_buf text;
    af_buf_init(&text, AF_YAML_BYTES_MAX);
    enum af_status status = af_file_read_all(cli->mapping, &text, err);
    if (status == AF_OK)
        status = af_map_parse(cli->mapping, af_buf_slice(&text), out, err);
    af_buf_done(&text);
    return status;
}

static enum af_status open_map(struct af_cli *cli, struct af_cli_sources *s, struct af_error *err)
{
    if (cli->dataset != NULL && cli->mapping != NULL)
        return af_fail(err, AF_EINVAL, "--dataset and --mapping exclude each other");
    if (cli->dataset == NULL && cli->mapping == NULL)
        return AF_OK;
    AF_TRY(load_map(cli, &s->map, err));
    return af_map_override(s->map, &s->override, err);
}

enum af_status af_cli_open_mapping(struct af_cli *cli, struct af_cli_sources *out, struct af_error *err)
{
    out->override = (struct af_map_override){ .measurement = cli->measurement, .time_zone = cli->time_zone };
    struct af_zone zone;
    if (cli->time_zone != NULL)
        AF_TRY(wrong_usage(af_zone_parse(af_slice_of(cli->time_zone), &zone, err), err));
    AF_TRY(open_map(cli, out, err));
    out->ingest = (struct af_ingest_options){ .sources = &out->list, .map = out->map, .infer = cli->infer,
                                              .override = &out->override, .lp_unsigned = cli->allow_unsigned,
                                              .now_ns = af_clock_now_ns(), .workers = af_load_workers(cli->workers, cli->memory),
                                              .strict = cli->strict, .cancel = af_interrupt_flag() };
    if (cli->precision != NULL && !af_precision_parse(af_slice_of(cli->precision), &out->ingest.lp_precision))
        return af_fail(err, AF_EINVAL, "--precision is ns, us, ms or s, not \"%s\"", cli->precision);
    return AF_OK;
}

/* The variable of GDAL and others, which has no equal in AWS's own tools. */
static bool pays_for_requests(const struct af_cli *cli)
{
    const char *payer = getenv("AWS_REQUEST_PAYER");
    return cli->requester_pays || (payer != NULL && strcmp(payer, "requester") == 0);
}

/* A quarter of what the run may take is for what comes out of S3: that much of an object is fetched ahead. */
enum { S3_MEMORY_SHARE = 4, S3_PATIENCE_MS = 60000 };

static enum af_status open_s3(void *ctx, struct af_s3 **out, struct af_error *err)
{
    struct af_cli_sources *sources = ctx;
    const struct af_cli *cli = sources->cli;
    struct af_aws_options aws = { .profile = cli->profile, .region = cli->region, .endpoint_url = cli->endpoint_url,
                                  .http = { .connect_timeout_ms = af_cli_ms(cli->timeout_ms),
                                            .stall_timeout_ms = af_cli_ms(cli->timeout_ms) } };
    struct af_s3_options s3 = { .requester_pays = pays_for_requests(cli),
                                .memory_bytes = (cli->memory != 0 ? cli->memory : AF_MEMORY_DEFAULT) / S3_MEMORY_SHARE,
                                .patience_ms = cli->patience_ms != 0 ? af_cli_ms(cli->patience_ms) : S3_PATIENCE_MS,
                                .cancel = af_interrupt_flag() };
    if (sources->aws == NULL)
        AF_TRY(af_aws_open(&aws, &sources->aws, err));
    if (sources->s3 == NULL)
        AF_TRY(af_s3_open(sources->aws, &s3, &sources->s3, err));
    *out = sources->s3;
    return AF_OK;
}

struct af_source_from af_cli_source_from(struct af_cli *cli, struct af_cli_sources *sources)
{
    sources->cli = cli;
    return (struct af_source_from){ open_s3, sources, af_interrupt_flag() };
}

static enum af_status list_sources(struct af_cli *cli, struct af_cli_sources *out, struct af_error *err)
{
    const struct af_source_from from = af_cli_source_from(cli, out);
    return af_source_list_make(cli->args, cli->arg_count, &from, &out->list, err);
}

enum af_status af_cli_open_sources(struct af_cli *cli, struct af_cli_sources *out, struct af_error *err)
{
    *out = (struct af_cli_sources){ 0 };
    if (cli->arg_count == 0)
        return af_fail(err, AF_EINVAL, "which files? Name at least one SOURCE: a file, a directory or a quoted glob");
    struct af_source_keep keep = { .scratch_dir = af_cli_scratch_dir(),
                                   .are_tables = cli->dataset != NULL || cli->mapping != NULL || cli->infer,
                                   .must_repeat = cli->verify || strcmp(cli->program_command, "verify") == 0 };
    enum af_status status = list_sources(cli, out, err);
    if (status == AF_OK)
        status = af_cli_open_mapping(cli, out, err);
    if (status == AF_OK)
        status = af_source_list_keep(&out->list, &keep, err);
    if (status != AF_OK)
        af_cli_close_sources(out);
    return status;
}

void af_cli_close_sources(struct af_cli_sources *sources)
{
    af_map_free(sources->map);
    sources->map = NULL;
    af_source_list_done(&sources->list);
    af_s3_close(sources->s3);
    sources->s3 = NULL;
    af_aws_close(sources->aws);
    sources->aws = NULL;
}

const char *af_cli_default_bucket(const struct af_cli *cli, const struct af_cli_sources *sources)
{
    static char kept[256];
    if (cli->bucket != NULL)
        return cli->bucket;
    struct af_map *detected = NULL;
    const struct af_map *map = sources->map;
    if (map == NULL && sources->list.count != 0 && sources->list.items[0].format != AF_SOURCE_LP &&
        af_ingest_map_for(&sources->ingest, &sources->list.items[0], &detected, NULL) == AF_OK)
        map = detected;
    const char *bucket = map != NULL ? af_map_bucket(map) : NULL;
    if (bucket != NULL)
        (void)snprintf(kept, sizeof kept, "%s", bucket);
    af_map_free(detected);
    return bucket != NULL ? kept : NULL;
}
