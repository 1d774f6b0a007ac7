/* generate.c - ONS-shaped sample files. */
#include "base/calendar.h"
#include "cli/cli.h"
#include "codec/compress.h"
#include "generate/generate.h"
#include <inttypes.h>

static const uint64_t STEP_MS_MAX = UINT64_C(3653) * 86400 * 1000;

static enum af_status parse_day(const char *text, const char *option, int64_t *out, struct af_error *err)
{
    bool has_zone;
    if (!af_time_parse(af_slice_of(text), out, &has_zone) || *out % AF_NS_PER_DAY != 0)
        return af_fail(err, AF_EINVAL, "--%s wants a day like 2023-01-01, not \"%s\"", option, text);
    return AF_OK;
}

static enum af_status parse_codec(const char *text, int *out, struct af_error *err)
{
    static const struct {
        const char *name;
        enum af_codec codec;
    } table[] = { { "snappy", AF_CODEC_SNAPPY }, { "zstd", AF_CODEC_ZSTD },     { "gzip", AF_CODEC_GZIP },
                  { "lz4", AF_CODEC_LZ4 },       { "brotli", AF_CODEC_BROTLI }, { "none", AF_CODEC_NONE } };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].name, text) == 0) {
            *out = (int)table[i].codec;
            return AF_OK;
        }
    }
    return af_fail(err, AF_EINVAL, "--codec is snappy, zstd, gzip, lz4, brotli or none, not \"%s\"", text);
}

struct watcher {
    struct af_progress *progress;
};

static void show(void *ctx, uint64_t rows_done, uint64_t rows_all)
{
    struct watcher *w = ctx;
    af_progress_show(w->progress, rows_done, rows_all, rows_done, NULL);
}

static enum af_status fill(struct af_cli *cli, struct af_generate_options *o, struct af_error *err)
{
    if (cli->out == NULL)
        return af_fail(err, AF_EINVAL, "where to? Say --out DIR");
    if (cli->step_ms > STEP_MS_MAX || cli->plants > UINT32_MAX)
        return af_fail(err, AF_EINVAL, "--step is at most ten years, --plants at most %" PRIu32, UINT32_MAX);
    *o = (struct af_generate_options){ .out_dir = cli->out, .plants = (uint32_t)cli->plants,
                                       .step_ns = (int64_t)cli->step_ms * 1000000, .seed = cli->seed,
                                       .generation = true, .consumption = true, .transmission = true,
                                       .bad_rows_every = cli->bad_rows_every, .realistic_plants = true };
    o->parquet.time_form = AF_PARQUET_TIME_INT96;
    o->parquet.legacy_dictionary = true;
    o->parquet.page_crc = true;
    AF_TRY(parse_day(cli->from != NULL ? cli->from : "2023-01-01", "from", &o->from_ns, err));
    AF_TRY(parse_day(cli->to != NULL ? cli->to : "2025-01-01", "to", &o->to_ns, err));
    if (o->from_ns >= o->to_ns)
        return af_fail(err, AF_EINVAL, "--from must be before --to");
    return parse_codec(cli->codec != NULL ? cli->codec : "snappy", &o->parquet.codec, err);
}

int af_cli_generate(struct af_cli *cli)
{
    struct af_error err = { 0 };
    struct af_generate_options options;
    if (cli->arg_count != 1 || strcmp(cli->args[0], "ons") != 0)
        return af_cli_usage_error(cli, "generate makes one kind of data: afluxo generate ons --out DIR");
    if (fill(cli, &options, &err) != AF_OK)
        return af_cli_usage_error(cli, "%s", err.message);
    struct watcher watcher = { af_progress_new(cli, "generating", "rows") };
    options.progress = show;
    options.ctx = &watcher;
    struct af_generate_result result = { 0 };
    enum af_status status = af_generate_ons(&options, &result, &err);
    af_progress_free(watcher.progress);
    if (status != AF_OK)
        return af_cli_fail(cli, &err);
    char rows[32], bytes[32];
    af_cli_print_count(rows, sizeof rows, result.rows);
    af_cli_print_bytes(bytes, sizeof bytes, result.bytes);
    af_cli_say(cli, "%s: %" PRIu64 " files, %s rows (%" PRIu64 " of them bad on purpose), %s", cli->out, result.files, rows,
               result.bad_rows, bytes);
    if (cli->json)
        (void)printf("{\"files\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"bad_rows\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n", result.files,
                     result.rows, result.bad_rows, result.bytes);
    return AF_EXIT_DONE;
}
