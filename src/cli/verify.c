/* verify.c - the command, and the end of `migrate --verify`. */
#include "cli/cli.h"
#include "format/json/json.h"
#include "os/clock.h"
#include "os/file.h"
#include <stdatomic.h>
#include <stdlib.h>

enum { DEAD_LETTERS_BYTES_MAX = 1 << 30 };

struct watcher {
    struct af_progress *progress;
    _Atomic int64_t next_ns;
};

static void show(void *ctx, const char *what, uint64_t values_done, uint64_t values_all)
{
    struct watcher *w = ctx;
    int64_t now = af_clock_mono_ns();
    int64_t next = atomic_load(&w->next_ns);
    /* Called from several workers: whoever moves the time on is the one that prints. */
    if (now < next || !atomic_compare_exchange_strong(&w->next_ns, &next, now + 200000000))
        return;
    af_progress_show(w->progress, values_done, values_all, values_done, what);
}

/* The `line` of every dead letter, one under the other. What follows the last line end was torn by a crash. */
static enum af_status refused_lines(const char *path, struct af_buf *out, struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, DEAD_LETTERS_BYTES_MAX);
    enum af_status status = af_file_read_all(path, &text, err);
    struct af_arena arena;
    af_arena_init(&arena, 64 << 20);
    for (size_t at = 0; at < text.len && status == AF_OK;) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        if (end == NULL)
            break;
        size_t stop = (size_t)(end - text.ptr);
        struct af_json *entry = NULL;
        status = af_json_parse((struct af_slice){ text.ptr + at, stop - at }, &arena, &entry, err);
        if (status == AF_OK) {
            struct af_slice line = af_json_string(entry, "line");
            af_buf_append_slice(out, line);
            if (line.len != 0)
                af_buf_append_char(out, '\n');
        }
        af_arena_reset(&arena);
        at = stop + 1;
    }
    if (status == AF_OK)
        status = af_buf_check(out, "refused lines", err);
    if (status != AF_OK)
        af_error_prefix(err, "%s: ", path);
    af_arena_done(&arena);
    af_buf_done(&text);
    return status;
}

static enum af_status see_dead_letters(void *ctx, const char *path, struct af_error *err)
{
    const char *name = strrchr(path, '/');
    if (!af_slice_has_prefix(af_slice_of(name != NULL ? name + 1 : path), "dead-letters-"))
        return AF_OK;
    return refused_lines(path, ctx, err);
}

static enum af_status all_refused_lines(const char *path, struct af_buf *out, struct af_error *err)
{
    if (path == NULL)
        return AF_OK;
    return af_path_kind(path) == AF_PATH_DIR ? af_dir_list(path, see_dead_letters, out, err) : refused_lines(path, out, err);
}

static enum af_status verify_with_tries(const struct af_cli *cli, const struct af_verify_options *options,
                                        struct af_verify_result *out, struct af_error *err)
{
    struct af_cli_retry retry = { 0 };
    struct af_error why = { 0 };
    while (af_verify_run(options, out, &why) != AF_OK) {
        if (!af_cli_try_again(cli, &retry, &why)) {
            *err = why;
            return why.status;
        }
    }
    return AF_OK;
}

enum af_status af_cli_run_verify(struct af_cli *cli, const struct af_cli_sources *sources, struct af_store *store,
                                 const char *dead_letters, struct af_verify_result *out, struct af_error *err)
{
    struct af_buf refused;
    af_buf_init(&refused, DEAD_LETTERS_BYTES_MAX);
    enum af_status status = all_refused_lines(dead_letters, &refused, err);
    struct watcher watcher = { 0 };
    watcher.progress = af_progress_new(cli, "verifying", "values");
    struct af_ingest_options ingest = sources->ingest;
    ingest.resume_source = 0;
    ingest.resume_part = 0;
    ingest.bad_source = NULL;
    ingest.mapped = NULL;
    ingest.progress = NULL;
    struct af_verify_options options = { .ingest = &ingest, .store = store, .refused_lines = af_buf_slice(&refused),
                                         .scratch_dir = af_cli_scratch_dir(), .progress = show, .ctx = &watcher };
    if (status == AF_OK)
        status = verify_with_tries(cli, &options, out, err);
    af_progress_free(watcher.progress);
    af_buf_done(&refused);
    return status;
}

static void bad_source(void *ctx, const struct af_source *source, uint32_t part, uint64_t first_row, uint64_t rows,
                       const struct af_error *why)
{
    (void)ctx, (void)source, (void)part, (void)first_row, (void)rows;
    af_cli_warn("%s", why->message);
}

static int report(struct af_cli *cli, const struct af_verify_result *result)
{
    struct af_error err = { 0 };
    struct af_buf json;
    af_buf_init(&json, 1 << 20);
    af_cli_json_verify(&json, result);
    af_buf_append_char(&json, '\n');
    enum af_status status = af_cli_write_report(cli, af_buf_slice(&json), &err);
    af_buf_done(&json);
    if (status != AF_OK)
        return af_cli_fail(cli, &err);
    if (!result->is_equal)
        return AF_EXIT_DIFFERENT;
    return result->source.rows_rejected + result->source.files_bad != 0 ? AF_EXIT_REJECTED : AF_EXIT_DONE;
}

int af_cli_verify(struct af_cli *cli)
{
    struct af_cli_sources sources;
    struct af_store *store = NULL;
    struct af_verify_result result;
    struct af_error err = { 0 };
    enum af_status status = af_cli_open_sources(cli, &sources, &err);
    if (status != AF_OK)
        return status == AF_EINVAL ? af_cli_usage_error(cli, "%s", err.message) : af_cli_fail(cli, &err);
    sources.ingest.bad_source = bad_source;
    status = af_cli_open_store(cli, cli->to, af_cli_default_bucket(cli, &sources), &store, &err);
    if (status == AF_OK)
        status = af_cli_run_verify(cli, &sources, store, cli->dead_letters, &result, &err);
    int code;
    if (status != AF_OK) {
        code = af_cli_fail(cli, &err);
    } else {
        af_cli_print_verify(cli, &result);
        code = report(cli, &result);
    }
    af_store_close(store);
    af_cli_close_sources(&sources);
    return code;
}
