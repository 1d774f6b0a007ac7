/* verify.c - the command, and the end of `migrate --verify`. */
#include "base/alloc.h"
#include "cli/cli.h"
#include "os/clock.h"
#include "os/thread.h"
#include <stdatomic.h>

static const int64_t SHOW_NS = 200000000;

/* Called from several workers: one at a time prints. */
struct watcher {
    struct af_progress *progress;
    _Atomic int64_t next_ns;
    struct af_mutex lock;
};

static void show(void *ctx, const char *what, uint64_t values_done, uint64_t values_all)
{
    struct watcher *w = ctx;
    int64_t now = af_clock_mono_ns();
    if (now < atomic_load(&w->next_ns))
        return;
    af_mutex_lock(&w->lock);
    if (now >= atomic_load(&w->next_ns)) {
        atomic_store(&w->next_ns, now + SHOW_NS);
        af_progress_show(w->progress, values_done, values_all, values_done, what);
    }
    af_mutex_unlock(&w->lock);
}

/* The files of dead letters. */
struct letters {
    struct af_arena arena;
    const char **paths;
    size_t count, cap;
};

static enum af_status add_letters(void *ctx, const char *path, struct af_error *err)
{
    struct letters *l = ctx;
    if (l->count == l->cap) {
        size_t cap = l->cap * 2 + 16;
        const char **paths = af_realloc(l->paths, cap * sizeof *paths);
        if (paths == NULL)
            return af_fail_nomem(err, "dead letters");
        l->paths = paths;
        l->cap = cap;
    }
    l->paths[l->count] = af_arena_copy(&l->arena, af_slice_of(path));
    if (l->paths[l->count] == NULL)
        return af_fail_nomem(err, "dead letters");
    l->count++;
    return AF_OK;
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

static void bad_source(void *ctx, const struct af_source *source, uint32_t part, uint64_t first_row, uint64_t rows,
                       const struct af_error *why)
{
    (void)ctx, (void)source, (void)part, (void)first_row, (void)rows;
    af_cli_warn("%s", why->message);
}

enum af_status af_cli_run_verify(struct af_cli *cli, const struct af_cli_sources *sources, struct af_store *store,
                                 const char *dead_letters, struct af_verify_result *out, struct af_error *err)
{
    struct letters letters = { 0 };
    struct watcher watcher = { 0 };
    af_arena_init(&letters.arena, 64 << 20);
    af_mutex_init(&watcher.lock);
    enum af_status status = dead_letters != NULL ? af_letters_find(dead_letters, add_letters, &letters, err) : AF_OK;
    watcher.progress = af_progress_new(cli, "verifying", "values");
    struct af_ingest_options ingest = sources->ingest;
    ingest.resume_source = 0;
    ingest.resume_part = 0;
    ingest.bad_source = cli->verify ? NULL : bad_source; /* a migration has told of them */
    ingest.mapped = NULL;
    ingest.progress = NULL;
    struct af_verify_options options = { .ingest = &ingest, .store = store, .dead_letters = letters.paths,
                                         .dead_letter_count = letters.count, .scratch_dir = af_cli_scratch_dir(), .progress = show,
                                         .ctx = &watcher };
    if (status == AF_OK)
        status = verify_with_tries(cli, &options, out, err);
    af_progress_free(watcher.progress);
    af_mutex_done(&watcher.lock);
    af_free(letters.paths);
    af_arena_done(&letters.arena);
    return status;
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
    return af_cli_source_status(&result->source);
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
