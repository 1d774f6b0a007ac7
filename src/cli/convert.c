/* convert.c - sources to line protocol text, in source order, without a server. */
#include "base/alloc.h"
#include "cli/cli.h"
#include "os/clock.h"
#include "os/file.h"
#include <inttypes.h>

enum { STDOUT = 1 };

struct conversion {
    struct af_cli *cli;
    struct af_cli_sources sources;
    struct af_file *out;
    struct af_progress *progress;
    enum af_precision precision;
    uint64_t rejects_said;
};

static void *text_new(void *ctx)
{
    (void)ctx;
    /* Its counters change with every line: not in one cache line with another worker's. */
    struct af_lp_text *text = af_alloc_aligned(AF_ARENA_ALIGN, sizeof *text);
    if (text != NULL)
        af_lp_text_init(text);
    return text;
}

static void text_free(void *ctx, void *scratch)
{
    (void)ctx;
    af_lp_text_done(scratch);
    af_free(scratch);
}

static enum af_status encode(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct conversion *c = ctx;
    af_lp_text_clear(scratch);
    return af_lp_encode(block->points, c->precision, scratch, 1, err);
}

static void say_rejects(struct conversion *c, const struct af_ingest_block *block)
{
    enum { SAID_MAX = 20 };
    for (size_t i = 0; i < block->rejects.count && c->rejects_said < SAID_MAX; i++, c->rejects_said++) {
        const struct af_map_reject *r = &block->rejects.items[i];
        uint64_t row = r->row == SIZE_MAX ? r->file_row : block->first_row + r->row;
        af_cli_warn("%s: row %" PRIu64 "%s%s: %s", c->sources.list.items[block->source].path, row,
                    r->column != NULL ? ", column " : "", r->column != NULL ? r->column : "", r->reason);
        if (c->rejects_said + 1 == SAID_MAX)
            af_cli_warn("further rejected rows are only counted");
    }
}

static enum af_status deliver(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct conversion *c = ctx;
    say_rejects(c, block);
    if (block->points == NULL)
        return AF_OK;
    const struct af_lp_text *text = scratch;
    return af_file_write(c->out, af_buf_slice(&text->bytes), err);
}

static void bad_source(void *ctx, const struct af_source *source, uint32_t part, uint64_t first_row, uint64_t rows,
                       const struct af_error *why)
{
    (void)ctx, (void)source, (void)part, (void)first_row, (void)rows;
    af_cli_warn("%s", why->message);
}

static void mapped(void *ctx, const struct af_source *source, const struct af_map *map)
{
    struct conversion *c = ctx;
    if (c->cli->infer) {
        struct af_buf text;
        af_buf_init(&text, 1 << 20);
        af_map_print(map, &text);
        af_cli_say(c->cli, "# mapping of %s\n%s", source->path, af_buf_cstr(&text));
        af_buf_done(&text);
    }
}

static void progress(void *ctx, const struct af_ingest_totals *now)
{
    struct conversion *c = ctx;
    af_progress_show(c->progress, now->bytes_done, af_cli_source_bytes(&c->sources.list), now->rows_read, NULL);
}

static int result(struct conversion *c, const struct af_ingest_totals *t)
{
    char rows[32], points[32];
    af_cli_print_count(rows, sizeof rows, t->rows_read);
    af_cli_print_count(points, sizeof points, t->points);
    af_cli_say(c->cli, "%" PRIu64 " file%s, %s rows read, %s points, %" PRIu64 " rows rejected, %" PRIu64 " empty", t->files,
               af_cli_plural(t->files), rows, points, t->rows_rejected, t->rows_empty);
    if (t->files_bad != 0)
        af_cli_say(c->cli, "%" PRIu64 " file%s could not be read", t->files_bad, af_cli_plural(t->files_bad));
    if (t->parts_lost != 0)
        af_cli_say(c->cli, "%" PRIu64 " row group%s (%" PRIu64 " rows) could not be read", t->parts_lost, af_cli_plural(t->parts_lost),
                   t->rows_lost);
    return af_cli_source_status(t);
}

static int run(struct conversion *c)
{
    struct af_error err = { 0 };
    struct af_ingest_options *o = &c->sources.ingest;
    /* --precision is that of the text written; line-protocol sources are in ns here. */
    c->precision = o->lp_precision;
    o->lp_precision = AF_PRECISION_NS;
    o->ctx = c;
    o->bad_source = bad_source;
    o->mapped = mapped;
    o->progress = progress;
    struct af_ingest_stage stage = { .ctx = c, .scratch_new = text_new, .scratch_free = text_free, .work = encode,
                                     .deliver = deliver };
    struct af_ingest_totals totals = { 0 };
    enum af_status status = af_file_open(c->cli->output != NULL ? c->cli->output : "-", AF_FILE_TRUNCATE, &c->out, &err);
    if (status == AF_OK) {
        c->progress = af_progress_new(c->cli, "converting", "rows");
        status = af_ingest_run(o, &stage, &totals, &err);
        af_progress_free(c->progress);
    }
    af_file_close(c->out);
    if (status == AF_EIO && c->cli->output == NULL && af_reader_is_gone(STDOUT))
        af_end_by_sigpipe();
    return status == AF_OK ? result(c, &totals) : af_cli_fail(c->cli, &err);
}

int af_cli_convert(struct af_cli *cli)
{
    struct conversion c = { .cli = cli };
    struct af_error err = { 0 };
    enum af_status status = af_cli_open_sources(cli, &c.sources, &err);
    if (status != AF_OK)
        return status == AF_EINVAL ? af_cli_usage_error(cli, "%s", err.message) : af_cli_fail(cli, &err);
    int code = run(&c);
    af_cli_close_sources(&c.sources);
    return code;
}
