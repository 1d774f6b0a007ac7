/*
 * store.c - a bucket of the engine behind the seam (store/store.h).
 *
 * Line protocol in, by the rules of InfluxDB 1.x (good lines are kept whatever the others are) or 2.x (one line that does not parse and
 * nothing is written); the words of a verdict are InfluxDB's, since clients and sink/ read them.
 *
 * For 2.x a text of one batch, the usual case, is parsed once and written when all of it has parsed; a longer one is parsed twice.
 * What a call needs (arena, memo of series) is kept for the next: a list of sessions that grows to as many as there are calls at once.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "format/lp/lp.h"
#include "os/clock.h"
#include "tsm/core_int.h"
#include <inttypes.h>
#include <stdio.h>

enum { BAD_WORDS_BYTES_MAX = 4096, BAD_LINE_BYTES_MAX = 1024 };

struct session {
    struct session *next;
    struct af_arena arena;
    struct af_tsm_series_memo *memo;
};
struct tsm_store {
    struct af_store base;
    struct af_tsm *engine;
    uint64_t bucket;
    bool is_v1;
    char *name;
    struct af_mutex lock;     /* of the sessions */
    struct session *sessions; /* that nobody uses */
};

/* --- sessions -------------------------------------------------------------------------------------------------------------- */

static struct session *session_take(struct tsm_store *store)
{
    af_mutex_lock(&store->lock);
    struct session *session = store->sessions;
    if (session != NULL)
        store->sessions = session->next;
    af_mutex_unlock(&store->lock);
    if (session != NULL)
        return session;
    session = af_alloc_zero(1, sizeof *session);
    if (session == NULL)
        return NULL;
    af_arena_init(&session->arena, SIZE_MAX);
    session->memo = af_tsm_series_memo_new(); /* without it each series is looked up: slower, not wrong */
    return session;
}

static void session_give(struct tsm_store *store, struct session *session)
{
    af_arena_reset(&session->arena);
    af_mutex_lock(&store->lock);
    session->next = store->sessions;
    store->sessions = session;
    af_mutex_unlock(&store->lock);
}

static void session_free(struct session *session)
{
    af_tsm_series_memo_free(session->memo);
    af_arena_done(&session->arena);
    af_free(session);
}

/* --- writing --------------------------------------------------------------------------------------------------------------- */

struct request {
    struct tsm_store *store;
    struct session *session;
    const struct af_write *write;
    struct af_lp_parser *parser;
    struct af_buf bad_words; /* "unable to parse '...': ...", joined by newlines */
    uint64_t bad_count;
    uint64_t kept_count;
    uint64_t dropped_count;
    uint64_t conflicts, expired;
    char reason[420];        /* of the first points that were dropped, without the words around it */
    bool is_trial;           /* parse only */
};

static void on_bad_line(void *ctx, const struct af_lp_bad_line *bad)
{
    struct request *request = ctx;
    size_t before = request->bad_words.len;
    size_t len = bad->raw.len < BAD_LINE_BYTES_MAX ? bad->raw.len : BAD_LINE_BYTES_MAX;
    if (request->bad_count++ > 0)
        af_buf_append_char(&request->bad_words, '\n');
    af_buf_append_str(&request->bad_words, "unable to parse '");
    af_buf_append(&request->bad_words, bad->raw.ptr, len);
    af_buf_append_str(&request->bad_words, "': ");
    af_buf_append_str(&request->bad_words, bad->reason);
    if (request->bad_words.failed) /* what does not fit is left out; so is all else that is not known when memory is short */
        af_buf_rewind(&request->bad_words, before);
}

/* A length of time as Go prints it: 1h0m0s, 2m0s, 30s. */
static void print_duration(struct af_buf *out, int64_t ns)
{
    int64_t s = ns / 1000000000;
    if (s >= 3600)
        af_buf_printf(out, "%" PRId64 "h", s / 3600);
    if (s >= 60)
        af_buf_printf(out, "%" PRId64 "m", s / 60 % 60);
    af_buf_printf(out, "%" PRId64 "s", s % 60);
}

static void print_expired_point(struct af_buf *out, const struct af_points *points, uint32_t row, int64_t bound_ns, const char *which)
{
    char text[48];
    struct af_slice key = points->set->keys.keys[points->series[row]];
    *af_rfc3339_print(text, points->time_ns[row], 0) = '\0';
    af_buf_printf(out, "%s point %.*s at %s", which, (int)(key.len < 100 ? key.len : 100), key.ptr, text);
    *af_rfc3339_print(text, bound_ns, 0) = '\0';
    af_buf_printf(out, " dropped because it violates a Retention Policy Lower Bound at %s", text);
}

/* 2.x tells which points were too old. */
static void explain_expired(struct request *request, const struct af_points *points, const struct af_tsm_verdict *verdict)
{
    struct af_tsm_bucket settings = { 0 };
    struct af_buf words;
    (void)af_tsm_bucket_has(request->store->engine, request->store->bucket, &settings);
    af_buf_init(&words, sizeof request->reason - 1);
    af_buf_printf(&words, "dropped %" PRIu64 " points outside retention policy of duration ", verdict->expired);
    print_duration(&words, settings.retention_ns);
    af_buf_append_str(&words, " - ");
    print_expired_point(&words, points, verdict->expired_rows.oldest_row, verdict->expired_rows.bound_ns, "oldest");
    af_buf_append_str(&words, ", ");
    print_expired_point(&words, points, verdict->expired_rows.newest_row, verdict->expired_rows.bound_ns, "newest");
    (void)snprintf(request->reason, sizeof request->reason, "%.*s", (int)words.len, words.ptr != NULL ? words.ptr : "");
    af_buf_done(&words);
}

/* A conflict's words go before those of other drops, as the count does. */
static void note_verdict(struct request *request, const struct af_points *points, const struct af_tsm_verdict *verdict)
{
    request->kept_count += points->row_count - verdict->dropped_row_count;
    request->dropped_count += verdict->dropped_row_count;
    bool is_graver = (verdict->conflicts > 0 && request->conflicts == 0) || (verdict->dropped_row_count > 0 && request->reason[0] == '\0');
    request->conflicts += verdict->conflicts;
    request->expired += verdict->expired;
    if (!is_graver)
        return;
    if (verdict->conflicts == 0 && verdict->expired > 0 && !request->store->is_v1)
        explain_expired(request, points, verdict);
    else
        core_copy_words(request->reason, sizeof request->reason, verdict->reason);
}

static enum af_status put_points(struct request *request, const struct af_points *points, struct af_error *err)
{
    struct af_tsm_verdict verdict;
    if (points->row_count == 0)
        return AF_OK;
    if (request->is_trial) {
        request->kept_count += points->row_count;
        return AF_OK;
    }
    struct af_tsm_write write = { .bucket = request->store->bucket, .points = points, .arena = &request->session->arena,
                                  .memo = request->session->memo };
    AF_TRY(af_tsm_write(request->store->engine, &write, &verdict, err));
    note_verdict(request, points, &verdict);
    return AF_OK;
}

static bool is_cancelled(const struct af_write *write)
{
    return write->cancel != NULL && __atomic_load_n(write->cancel, __ATOMIC_RELAXED);
}

/* From `rest` on to the end. */
static enum af_status run(struct request *request, struct af_slice rest, struct af_error *err)
{
    while (rest.len > 0) {
        struct af_points points;
        size_t used = 0;
        if (is_cancelled(request->write))
            return af_fail(err, AF_ECANCELED, "stopped on request while writing to %s", request->store->name);
        AF_TRY(af_lp_parse(request->parser, rest, true, &request->session->arena, &points, NULL, &used, err));
        AF_TRY(put_points(request, &points, err));
        rest = (struct af_slice){ rest.ptr + used, rest.len - used };
        af_arena_reset(&request->session->arena);
    }
    return AF_OK;
}

/* 2.x: all of it must parse before any of it is written. */
static enum af_status run_whole(struct request *request, struct af_error *err)
{
    struct af_points points;
    struct af_slice text = request->write->lines;
    size_t used = 0;
    if (text.len == 0)
        return AF_OK;
    AF_TRY(af_lp_parse(request->parser, text, true, &request->session->arena, &points, NULL, &used, err));
    if (used == text.len)
        return request->bad_count == 0 ? put_points(request, &points, err) : AF_OK;
    af_arena_reset(&request->session->arena);
    request->is_trial = true;
    AF_TRY(run(request, (struct af_slice){ text.ptr + used, text.len - used }, err));
    request->is_trial = false;
    request->kept_count = 0;
    return request->bad_count == 0 ? run(request, text, err) : AF_OK;
}

static enum af_precision precision_of(int64_t ns)
{
    return ns == 1000000000 ? AF_PRECISION_S : ns == 1000000 ? AF_PRECISION_MS : ns == 1000 ? AF_PRECISION_US : AF_PRECISION_NS;
}

static void judge(const struct request *request, struct af_write_answer *out)
{
    bool is_v2 = !request->store->is_v1;
    *out = (struct af_write_answer){ .verdict = AF_WRITE_DONE, .bytes_sent = request->write->lines.len };
    if (request->dropped_count > 0) {
        *out = (struct af_write_answer){ .verdict = AF_WRITE_BAD_LINES, .others_kept = true, .dropped = request->dropped_count,
                                         .bytes_sent = request->write->lines.len };
        (void)snprintf(out->reason, sizeof out->reason, "%spartial write: %s dropped=%" PRIu64,
                       is_v2 ? "failure writing points to database: " : "", request->reason, request->dropped_count);
    } else if (request->bad_count > 0) {
        bool is_partial = request->kept_count > 0 && !is_v2;
        out->verdict = AF_WRITE_BAD_LINES;
        out->others_kept = !is_v2;
        (void)snprintf(out->reason, sizeof out->reason, "%s%.*s%s", is_partial ? "partial write: " : "",
                       (int)request->bad_words.len, request->bad_words.ptr != NULL ? request->bad_words.ptr : "",
                       is_partial ? " dropped=0" : "");
    }
}

static enum af_status write_parsed(struct request *request, struct af_error *err)
{
    struct af_lp_parse_options options = {
        .precision = precision_of(request->write->precision_ns),
        .default_time_ns = core_now_ns(request->store->engine),
        .allow_unsigned = true, /* 1.x may be built so, and whoever sends one means it */
        .bad_line = on_bad_line,
        .ctx = request,
    };
    AF_TRY(af_lp_parser_new(&options, &request->parser, err));
    enum af_status status = request->store->is_v1 ? run(request, request->write->lines, err) : run_whole(request, err);
    af_lp_parser_free(request->parser);
    return status;
}

static enum af_status store_write(struct af_store *base, const struct af_write *write, struct af_write_answer *out,
                                  struct af_error *err)
{
    struct tsm_store *store = (struct tsm_store *)base;
    struct request request = { .store = store, .write = write, .session = session_take(store) };
    if (request.session == NULL)
        return af_fail_nomem(err, "a write");
    af_buf_init(&request.bad_words, BAD_WORDS_BYTES_MAX);
    enum af_status status = write_parsed(&request, err);
    if (status == AF_OK)
        judge(&request, out);
    af_buf_done(&request.bad_words);
    session_give(store, request.session);
    return status;
}

/* --- reading, and the rest of the seam ------------------------------------------------------------------------------------- */

static enum af_status store_scan(struct af_store *base, const struct af_scan *scan, struct af_stream **out, struct af_error *err)
{
    struct tsm_store *store = (struct tsm_store *)base;
    struct af_view *view;
    AF_TRY(af_view_open(store->engine, store->bucket, scan->start_ns, scan->stop_ns, &view, err));
    return af_tsm_scan(view, scan, out, err);
}

static enum af_status store_list(struct af_store *base, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                                 struct af_error *err)
{
    struct tsm_store *store = (struct tsm_store *)base;
    struct af_view *view;
    AF_TRY(af_view_open(store->engine, store->bucket, INT64_MIN, INT64_MAX, &view, err));
    return af_tsm_list(store->engine, view, what, scan, out, err);
}

/* Which series have nothing left is on disk when it returns, so that no later start lists them. */
static enum af_status store_erase(struct af_store *base, const struct af_scan *scan, struct af_error *err)
{
    struct tsm_store *store = (struct tsm_store *)base;
    struct af_error why = { 0 };
    AF_TRY(af_tsm_erase(store->engine, store->bucket, scan, err));
    struct af_bucket *bucket = af_bucket_find(store->engine, store->bucket);
    if (bucket == NULL) /* deleted meanwhile */
        return AF_OK;
    enum af_status status = af_index_sync(bucket->index, &why);
    af_bucket_unref(bucket);
    return core_settle(store->engine, status, &why, err);
}

static enum af_status store_create(struct af_store *base, struct af_error *err)
{
    struct tsm_store *store = (struct tsm_store *)base;
    struct af_tsm_bucket settings = { .id = store->bucket };
    return af_tsm_bucket_has(store->engine, store->bucket, NULL) ? AF_OK : af_tsm_bucket_set(store->engine, &settings, err);
}

static enum af_status store_ping(struct af_store *base, char *out_version, size_t version_cap, struct af_error *err)
{
    struct tsm_store *store = (struct tsm_store *)base;
    (void)snprintf(out_version, version_cap, "tsm");
    if (!af_tsm_bucket_has(store->engine, store->bucket, NULL))
        return af_fail(err, AF_ENOTFOUND, "%s: there is no such bucket", store->name);
    return AF_OK;
}

static void store_close(struct af_store *base)
{
    struct tsm_store *store = (struct tsm_store *)base;
    while (store->sessions != NULL) {
        struct session *session = store->sessions;
        store->sessions = session->next;
        session_free(session);
    }
    af_mutex_done(&store->lock);
    af_free(store->name);
    af_free(store);
}

static const struct af_store_ops store_ops = {
    .name = "tsm",
    .write = store_write,
    .scan = store_scan,
    .list = store_list,
    .erase = store_erase,
    .create = store_create,
    .ping = store_ping,
    .close = store_close,
};

enum af_status af_tsm_store_open(struct af_tsm *engine, uint64_t bucket, const char *name, bool is_v1_rules, struct af_store **out,
                                 struct af_error *err)
{
    struct tsm_store *store = af_alloc_zero(1, sizeof *store);
    char *copy = core_printf("%s", name);
    if (store == NULL || copy == NULL) {
        af_free(store);
        af_free(copy);
        return af_fail_nomem(err, "a store");
    }
    *store = (struct tsm_store){ .base = { &store_ops, copy, AF_STORE_CAN_FOLD | AF_STORE_CAN_SERIES }, .engine = engine, .bucket = bucket,
                                 .is_v1 = is_v1_rules, .name = copy };
    af_mutex_init(&store->lock);
    *out = &store->base;
    return AF_OK;
}
