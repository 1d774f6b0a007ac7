/*
 * write.c - line protocol of a request into the engine, and the workers that do it.
 *
 *     body, where it lies --> parser: up to AF_BATCH_ROWS points --> engine (durable) --> the next batch --> ... --> result
 *
 * A worker is a parser that remembers series, the engine's memo of their ids, and memory for a batch. There are as many as writes at once,
 * and the one used last is taken first, so its tables are warm and the others stay small.
 *
 * All or nothing: a body of one batch, the usual case, is parsed once and written when all of it has parsed; a longer one is parsed to
 * its end first and then a second time. The time for lines without one is the server's, the same for the whole request.
 */
#include "server/write.h"
#include "base/alloc.h"
#include "base/calendar.h"
#include "os/clock.h"
#include "server/core.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    BAD_WORDS_BYTES_MAX = 256 << 10, /* of an answer; what does not fit is counted */
    BAD_LINE_BYTES_MAX = 16 << 10,   /* of one line in it */
    ARENA_BYTES_KEPT = 16 << 20,     /* a worker does not hold on to more between requests */
    KEY_BYTES_SHOWN = 100,
};

/* --- workers ----------------------------------------------------------------------------------------------------------------- */

static void worker_free(struct af_worker *worker)
{
    af_lp_parser_free(worker->parser);
    af_tsm_series_memo_free(worker->memo);
    af_arena_done(&worker->arena);
    af_free(worker);
}

struct af_worker *core_worker_take(struct af_server *server)
{
    af_mutex_lock(&server->worker_lock);
    struct af_worker *worker = server->workers;
    if (worker != NULL)
        server->workers = worker->next;
    af_mutex_unlock(&server->worker_lock);
    if (worker != NULL)
        return worker;
    worker = af_alloc_zero(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    af_arena_init(&worker->arena, SIZE_MAX / 2);
    worker->memo = af_tsm_series_memo_new(); /* without it each series is looked up: slower, not wrong */
    return worker;
}

void core_worker_give(struct af_server *server, struct af_worker *worker)
{
    if (worker->arena.bytes_used > ARENA_BYTES_KEPT) {
        af_arena_done(&worker->arena);
        af_arena_init(&worker->arena, SIZE_MAX / 2);
    } else {
        af_arena_reset(&worker->arena);
    }
    af_mutex_lock(&server->worker_lock);
    worker->next = server->workers;
    server->workers = worker;
    af_mutex_unlock(&server->worker_lock);
}

void core_workers_free(struct af_server *server)
{
    while (server->workers != NULL) {
        struct af_worker *worker = server->workers;
        server->workers = worker->next;
        worker_free(worker);
    }
}

/* --- a request's lines ------------------------------------------------------------------------------------------------------- */

struct extreme {
    int64_t time_ns;
    char key[KEY_BYTES_SHOWN + 1];
};
struct writing {
    struct af_request *request;
    const struct write_target *target;
    struct af_worker *worker;
    struct write_result *result;
    struct af_buf bad_words;
    uint64_t unnamed;            /* bad lines that did not fit there */
    char reason[512];
    bool has_conflict;           /* reason is of one */
    struct extreme oldest, newest; /* that expired */
    int64_t bound_ns;
    bool is_trial;               /* parse only */
};

/* As InfluxDB tells it: from where the point begins. */
static struct af_slice without_blanks(struct af_slice line)
{
    size_t blanks = 0;
    while (blanks < line.len && (line.ptr[blanks] == ' ' || line.ptr[blanks] == '\t' || line.ptr[blanks] == '\0'))
        blanks++;
    return (struct af_slice){ line.ptr + blanks, line.len - blanks };
}

static void on_bad_line(void *ctx, const struct af_lp_bad_line *bad)
{
    struct writing *w = ctx;
    size_t before = w->bad_words.len;
    struct af_slice line = without_blanks(bad->raw);
    size_t len = line.len < BAD_LINE_BYTES_MAX ? line.len : BAD_LINE_BYTES_MAX;
    if (w->result->bad_lines++ > 0)
        af_buf_append_char(&w->bad_words, '\n');
    af_buf_append_str(&w->bad_words, "unable to parse '");
    af_buf_append(&w->bad_words, line.ptr, len);
    af_buf_append_str(&w->bad_words, len < line.len ? "...': " : "': ");
    af_buf_append_str(&w->bad_words, bad->reason);
    if (w->bad_words.failed) {
        af_buf_rewind(&w->bad_words, before);
        w->unnamed++;
    }
}

static void note_extreme(struct extreme *at, const struct af_points *points, uint32_t row)
{
    struct af_slice key = points->set->keys.keys[points->series[row]];
    at->time_ns = points->time_ns[row];
    (void)snprintf(at->key, sizeof at->key, "%.*s", (int)(key.len < KEY_BYTES_SHOWN ? key.len : KEY_BYTES_SHOWN), key.ptr);
}

static void note_expired(struct writing *w, const struct af_points *points, const struct af_tsm_verdict *verdict)
{
    const struct af_tsm_expired *rows = &verdict->expired_rows;
    bool is_first = w->result->expired == 0;
    if (is_first || points->time_ns[rows->oldest_row] < w->oldest.time_ns)
        note_extreme(&w->oldest, points, rows->oldest_row);
    if (is_first || points->time_ns[rows->newest_row] > w->newest.time_ns)
        note_extreme(&w->newest, points, rows->newest_row);
    w->bound_ns = rows->bound_ns;
}

static void note_verdict(struct writing *w, const struct af_points *points, const struct af_tsm_verdict *verdict)
{
    w->result->kept += points->row_count - verdict->dropped_row_count;
    w->result->dropped += verdict->dropped_row_count;
    if (verdict->dropped_row_count == 0)
        return;
    if (verdict->expired > 0)
        note_expired(w, points, verdict);
    bool is_graver = w->reason[0] == '\0' || (verdict->conflicts > 0 && !w->has_conflict);
    if (is_graver)
        (void)snprintf(w->reason, sizeof w->reason, "%s", verdict->reason);
    w->has_conflict = w->has_conflict || verdict->conflicts > 0;
    w->result->conflicts += verdict->conflicts;
    w->result->expired += verdict->expired;
}

static enum af_status put_points(struct writing *w, const struct af_points *points, struct af_error *err)
{
    if (points->row_count == 0)
        return AF_OK;
    if (w->is_trial) {
        w->result->kept += points->row_count;
        return AF_OK;
    }
    struct af_tsm_verdict verdict = { 0 };
    struct af_tsm_write write = { .bucket = w->target->bucket, .points = points, .arena = &w->worker->arena, .memo = w->worker->memo };
    AF_TRY(af_tsm_write(w->request->house->engine, &write, &verdict, err));
    note_verdict(w, points, &verdict);
    core_subscriptions_offer(w->request->server, w->target->bucket, points);
    return AF_OK;
}

static enum af_status each_batch(struct writing *w, struct af_slice rest, struct af_error *err)
{
    while (rest.len > 0) {
        struct af_points points;
        size_t used = 0;
        AF_TRY(af_lp_parse(w->worker->parser, rest, true, &w->worker->arena, &points, NULL, &used, err));
        AF_TRY(put_points(w, &points, err));
        rest = (struct af_slice){ rest.ptr + used, rest.len - used };
        if (rest.len > 0)
            af_arena_reset(&w->worker->arena);
    }
    return AF_OK;
}

static enum af_status all_or_nothing(struct writing *w, struct af_slice text, struct af_error *err)
{
    struct af_points points;
    size_t used = 0;
    AF_TRY(af_lp_parse(w->worker->parser, text, true, &w->worker->arena, &points, NULL, &used, err));
    if (used == text.len)
        return w->result->bad_lines == 0 ? put_points(w, &points, err) : AF_OK;
    af_arena_reset(&w->worker->arena);
    w->is_trial = true;
    AF_TRY(each_batch(w, (struct af_slice){ text.ptr + used, text.len - used }, err));
    w->is_trial = false;
    w->result->kept = 0;
    af_arena_reset(&w->worker->arena);
    return w->result->bad_lines == 0 ? each_batch(w, text, err) : AF_OK;
}

static enum af_status ready_parser(struct writing *w, struct af_error *err)
{
    struct af_lp_parse_options options = {
        .precision = w->target->precision,
        .default_time_ns = af_clock_now_ns(),
        .allow_unsigned = true, /* 1.x may be built so, and whoever sends one means it */
        .bad_line = on_bad_line,
        .ctx = w,
    };
    if (w->worker->parser == NULL)
        return af_lp_parser_new(&options, &w->worker->parser, err);
    af_lp_parser_reset(w->worker->parser, &options);
    return AF_OK;
}

/* --- words ------------------------------------------------------------------------------------------------------------------- */

/* A length of time as Go prints it: 1h0m0s, 2m0s, 30s. */
static void print_duration(struct af_buf *out, int64_t ns)
{
    int64_t s = ns / AF_NS_PER_S;
    if (s >= 3600)
        af_buf_printf(out, "%" PRId64 "h", s / 3600);
    if (s >= 60)
        af_buf_printf(out, "%" PRId64 "m", s / 60 % 60);
    af_buf_printf(out, "%" PRId64 "s", s % 60);
}

static void print_extreme(struct af_buf *out, const struct writing *w, const char *which, const struct extreme *point)
{
    char time[AF_TIME_TEXT_BYTES];
    af_time_print(point->time_ns, time);
    af_buf_printf(out, "%s point %s at %s", which, point->key, time);
    af_time_print(w->bound_ns, time);
    af_buf_printf(out, " dropped because it violates a Retention Policy Lower Bound at %s", time);
}

static const char *expired_words(struct writing *w)
{
    struct af_tsm_bucket settings = { 0 };
    struct af_buf words;
    (void)af_tsm_bucket_has(w->request->house->engine, w->target->bucket, &settings);
    af_buf_init(&words, 4096);
    af_buf_printf(&words, "dropped %" PRIu64 " points outside retention policy of duration ", w->result->expired);
    print_duration(&words, settings.retention_ns);
    af_buf_append_str(&words, " - ");
    print_extreme(&words, w, "oldest", &w->oldest);
    af_buf_append_str(&words, ", ");
    print_extreme(&words, w, "newest", &w->newest);
    const char *copy = af_arena_copy(w->request->arena, af_buf_slice(&words));
    af_buf_done(&words);
    return copy;
}

static void finish_words(struct writing *w)
{
    struct write_result *out = w->result;
    if (w->unnamed > 0) {
        w->bad_words.bytes_max += 64;
        af_buf_printf(&w->bad_words, "\nand %" PRIu64 " more lines", w->unnamed);
    }
    const char *bad = out->bad_lines > 0 ? af_arena_copy(w->request->arena, af_buf_slice(&w->bad_words)) : "";
    const char *drop = out->dropped > 0 ? af_arena_copy(w->request->arena, af_slice_of(w->reason)) : "";
    const char *expired = out->expired > 0 ? expired_words(w) : "";
    out->bad_words = bad != NULL ? bad : "unable to parse";
    out->drop_words = drop != NULL ? drop : "";
    out->expired_words = expired != NULL ? expired : "";
}

enum af_status write_lines(struct af_request *request, const struct write_target *target, struct af_slice body,
                           struct write_result *out, struct af_error *err)
{
    struct writing w = { .request = request, .target = target, .worker = core_worker_take(request->server), .result = out };
    *out = (struct write_result){ .bad_words = "", .drop_words = "", .expired_words = "" };
    if (w.worker == NULL)
        return af_fail_nomem(err, "a write");
    af_buf_init(&w.bad_words, BAD_WORDS_BYTES_MAX);
    enum af_status status = ready_parser(&w, err);
    if (status == AF_OK && body.len > 0)
        status = target->all_or_nothing ? all_or_nothing(&w, body, err) : each_batch(&w, body, err);
    if (status == AF_OK) {
        finish_words(&w);
    } else { /* what it remembers is not worth a doubt */
        af_lp_parser_free(w.worker->parser);
        w.worker->parser = NULL;
    }
    atomic_fetch_add(&request->server->bad_lines, out->bad_lines);
    af_buf_done(&w.bad_words);
    core_worker_give(request->server, w.worker);
    return status;
}

/* --- the body, and failures -------------------------------------------------------------------------------------------------- */

bool write_body(struct af_request *r, struct af_slice *out)
{
    struct af_error err = { 0 };
    enum af_status status = af_serve_body(r->http, out, &err);
    if (status == AF_OK)
        return true;
    if (status == AF_ELIMIT)
        af_answer_fail(r, 413, "%s", r->api == AF_API_V1 ? "Request Entity Too Large" : "unable to read data: points batch is too large");
    else if (status != AF_ECORRUPT)
        write_failed(r, &err);
    else if (r->api == AF_API_V1)
        af_answer_fail(r, 400, "%s", err.message);
    else if (strcmp(err.message, "gzip: invalid header") != 0)
        af_answer_fail(r, 400, "unable to read data: %s", err.message);
    else /* InfluxDB 2.x's own, although it is the client's fault */
        af_answer_fail(r, 500, "An internal error has occurred - check server logs");
    return false;
}

void write_failed(struct af_request *r, const struct af_error *err)
{
    core_log_error(r->server, "write", err->message);
    af_answer_error(r, err);
}
