/*
 * cq.c - continuous queries at work: one thread that looks once a second which of them are due, and runs those, one after the other.
 *
 *     CREATE CONTINUOUS QUERY q ON d RESAMPLE EVERY e FOR f BEGIN SELECT ... INTO ... GROUP BY time(i, o) END
 *
 * A query is due when EVERY (unless said: i) has passed since the beginning of the stretch of EVERY in which it ran last; one that this
 * process has not run yet is due at once. What it covers are whole windows: those of the last FOR (unless said: i, or EVERY if that is
 * longer) up to now, the window that is not over yet being left out unless EVERY is shorter than it. All of this on the clock of tz().
 *
 * These are InfluxDB 1.8's rules. What ran last is not kept: after a restart everything is due once, and writing the same points again is
 * harmless. A query that fails is not tried again before it is due again; its words are in the log, its number in the metrics.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "os/clock.h"
#include "server/core.h"
#include "server/v1_query.h"
#include <stdio.h>

enum { LOOK_MS = 1000 };

struct last_run {
    uint64_t id;                    /* of the query */
    int64_t time_ns;
    bool is_listed;                 /* at the last look; others are forgotten */
};
struct core_continuous {
    struct af_server *server;
    struct af_thread thread;
    struct af_mutex lock;           /* around `wake` */
    struct af_cond wake;
    bool is_stopping;               /* atomic: running queries poll it */
    struct af_mutex run_lock;       /* around what follows: one round at a time */
    struct last_run *runs;
    size_t run_count, run_cap;
};

/* --- time on a zone's clock --------------------------------------------------------------------------------------------------------- */

static int64_t clamp(__int128 ns)
{
    return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

static int64_t offset_at(const struct af_zone *zone, int64_t ns)
{
    int64_t first, end;
    return af_zone_span(zone, af_floor_div(ns, AF_NS_PER_S), &first, &end) * AF_NS_PER_S;
}

/* A clock that was set in between moves the time by as much, unless by a whole stretch. */
static int64_t mend(int64_t ns, int64_t was_ns, int64_t is_ns, int64_t every_ns)
{
    int64_t by_ns = was_ns - is_ns;
    bool is_less = (by_ns < 0 ? -by_ns : by_ns) < every_ns;
    return is_less ? clamp((__int128)ns + by_ns) : ns;
}

/* Down to a multiple of `every` on the zone's clock, counted from 1970. */
static int64_t truncate_on(const struct af_zone *zone, int64_t ns, int64_t every_ns)
{
    int64_t offset_ns = offset_at(zone, ns);
    __int128 rest = ((__int128)ns + offset_ns) % every_ns;
    int64_t down_ns = clamp((__int128)ns - (rest < 0 ? rest + every_ns : rest));
    return mend(down_ns, offset_ns, offset_at(zone, down_ns), every_ns);
}

/* --- when, and over what ------------------------------------------------------------------------------------------------------------ */

struct timing {
    const struct af_zone *zone;
    int64_t interval_ns, offset_ns;  /* GROUP BY time(interval, offset) */
    int64_t every_ns, for_ns;        /* 0: not said */
};

static enum af_status read_offset(const struct af_ql_expr *offset, int64_t interval_ns, int64_t *out, struct af_error *err)
{
    struct af_buf text;
    if (offset->kind == AF_QL_DURATION) {
        *out = offset->integer % interval_ns;
        return AF_OK;
    }
    if (offset->kind == AF_QL_TIME) {
        int64_t rest = offset->integer % interval_ns;
        *out = rest < 0 ? rest + interval_ns : rest;
        return AF_OK;
    }
    af_buf_init(&text, 4096);
    af_ql_print_expr(&text, offset);
    enum af_status status = af_fail(err, AF_EINVAL, "invalid time dimension offset: %s", af_buf_cstr(&text));
    af_buf_done(&text);
    return status;
}

/* interval_ns 0: there are no windows. */
static enum af_status read_timing(const struct af_ql_statement *st, struct timing *out, struct af_error *err)
{
    const struct af_ql_select *select = st->select;
    *out = (struct timing){ .zone = &select->zone, .every_ns = st->every_ns, .for_ns = st->for_ns };
    for (size_t i = 0; i < select->dimension_count; i++) {
        const struct af_ql_expr *d = select->dimensions[i];
        if (d->kind != AF_QL_CALL || strcmp(d->name, "time") != 0 || d->arg_count == 0 || d->args[0]->kind != AF_QL_DURATION)
            continue;
        out->interval_ns = d->args[0]->integer;
        if (out->interval_ns > 0 && d->arg_count > 1)
            return read_offset(d->args[1], out->interval_ns, &out->offset_ns, err);
        break;
    }
    return AF_OK;
}

/* `last_ns` NULL: it never ran. *out_next: the beginning of the stretch that is due. */
static bool is_due(const struct timing *t, const int64_t *last_ns, int64_t now_ns, int64_t *out_next)
{
    int64_t every_ns = t->every_ns != 0 ? t->every_ns : t->interval_ns;
    *out_next = now_ns;
    if (last_ns == NULL)
        return true;
    int64_t next_ns = clamp((__int128)*last_ns + every_ns);
    int64_t was_ns = offset_at(t->zone, clamp((__int128)*last_ns - 1)), is_ns = offset_at(t->zone, clamp((__int128)next_ns - 1));
    *out_next = mend(next_ns, was_ns, is_ns, every_ns);
    return *out_next <= now_ns;
}

/* The beginning of the stretch of EVERY that `now` is in. */
static int64_t ran_at(const struct timing *t, int64_t now_ns)
{
    int64_t every_ns = t->every_ns != 0 ? t->every_ns : t->interval_ns;
    return clamp((__int128)truncate_on(t->zone, clamp((__int128)now_ns - t->offset_ns), every_ns) + t->offset_ns);
}

/* Whole windows; false: none of them. */
static bool range_of(const struct timing *t, int64_t next_ns, int64_t now_ns, struct af_ql_range *out)
{
    int64_t every_ns = t->every_ns != 0 ? t->every_ns : t->interval_ns;
    int64_t for_ns = t->for_ns != 0 ? t->for_ns : t->interval_ns < every_ns ? every_ns : t->interval_ns;
    if (every_ns > t->interval_ns)
        every_ns = t->interval_ns;
    int64_t start_ns = clamp((__int128)next_ns + t->interval_ns - for_ns - t->offset_ns - 1);
    int64_t stop_ns = clamp((__int128)now_ns + t->interval_ns - every_ns - t->offset_ns);
    out->start_ns = clamp((__int128)truncate_on(t->zone, start_ns, t->interval_ns) + t->offset_ns);
    out->stop_ns = clamp((__int128)truncate_on(t->zone, stop_ns, t->interval_ns) + t->offset_ns);
    return out->start_ns < out->stop_ns;
}

/* --- one query ---------------------------------------------------------------------------------------------------------------------- */

static bool has_call(const struct af_ql_expr *e)
{
    if (e == NULL)
        return false;
    if (e->kind == AF_QL_CALL || e->kind == AF_QL_DISTINCT)
        return true;
    return (e->kind == AF_QL_BINARY && (has_call(e->left) || has_call(e->right))) || (e->kind == AF_QL_PAREN && has_call(e->left));
}

static bool is_aggregate(const struct af_ql_select *select)
{
    bool has = false;
    for (size_t i = 0; i < select->field_count; i++)
        has = has || has_call(select->fields[i].expr);
    return has;
}

/* Its own limits of time give way to the range. */
static enum af_status set_range(struct af_ql_select *select, const struct af_ql_range *range, int64_t now_ns, struct af_arena *arena,
                                struct af_error *err)
{
    struct af_ql_range ignored;
    struct af_ql_expr *rest = NULL;
    struct af_buf text;
    if (select->condition != NULL)
        AF_TRY(af_ql_split_time(select->condition, now_ns, &select->zone, arena, &ignored, &rest, err));
    af_buf_init(&text, 2 * AF_SERVER_TEXT_BYTES_MAX);
    if (rest != NULL) {
        af_buf_append_char(&text, '(');
        af_ql_print_expr(&text, rest);
        af_buf_append_str(&text, ") AND ");
    }
    af_buf_printf(&text, "time >= %lld AND time < %lld", (long long)range->start_ns, (long long)range->stop_ns);
    enum af_status status = af_buf_check(&text, "a continuous query", err);
    char *copy = status == AF_OK ? af_arena_copy(arena, af_buf_slice(&text)) : NULL; /* what is parsed may point into it */
    if (status == AF_OK && copy == NULL)
        status = af_fail_nomem(err, "a continuous query");
    if (status == AF_OK)
        status = af_ql_parse_expr(af_slice_of(copy), arena, &select->condition, err);
    af_buf_done(&text);
    return status;
}

static enum af_status carry_out(struct core_continuous *cq, const struct af_meta_continuous *query, const struct af_ql_select *select,
                                int64_t now_ns, struct af_arena *arena, struct af_error *err)
{
    struct af_server *server = cq->server;
    struct af_meta_org org = { .id = query->org };
    struct v1_own *own = af_arena_zero(arena, 1, sizeof *own);
    uint64_t written = 0;
    if (own == NULL)
        return af_fail_nomem(err, "a continuous query");
    v1_own_init(own, server, &org, arena, "continuous query");
    own->run.database = query->database;
    own->run.query = (struct af_query_request){ .database = query->database, .now_ns = now_ns, .limits = server->options.query_limits,
                                                .timeout_ms = server->options.query_timeout_ms, .cancel = &cq->is_stopping, .workers = 1,
                                                .list = server->queries, .user = "continuous query" };
    return af_query_into(&own->run.host, select, &own->run.query, &written, err);
}

static struct last_run *find_run(struct core_continuous *cq, uint64_t id)
{
    for (size_t i = 0; i < cq->run_count; i++)
        if (cq->runs[i].id == id)
            return &cq->runs[i];
    return NULL;
}

static enum af_status note_run(struct core_continuous *cq, uint64_t id, int64_t time_ns, struct af_error *err)
{
    struct last_run *run = find_run(cq, id);
    if (run == NULL && cq->run_count == cq->run_cap) {
        size_t cap = cq->run_cap == 0 ? 16 : cq->run_cap * 2;
        struct last_run *grown = af_realloc(cq->runs, cap * sizeof *grown);
        if (grown == NULL)
            return af_fail_nomem(err, "a continuous query");
        cq->runs = grown;
        cq->run_cap = cap;
    }
    if (run == NULL)
        run = &cq->runs[cq->run_count++];
    *run = (struct last_run){ id, time_ns, true };
    return AF_OK;
}

enum af_status core_continuous_due(const struct af_ql_statement *st, const int64_t *last_ns, int64_t now_ns, struct core_due *out,
                                   struct af_error *err)
{
    struct timing timing;
    int64_t next_ns;
    *out = (struct core_due){ 0 };
    AF_TRY(read_timing(st, &timing, err));
    if (timing.interval_ns <= 0)
        return AF_OK;
    if (!is_aggregate(st->select))
        return af_fail(err, AF_EINVAL, "continuous queries must be aggregate queries");
    out->is_due = is_due(&timing, last_ns, now_ns, &next_ns);
    if (!out->is_due)
        return AF_OK;
    out->ran_ns = ran_at(&timing, now_ns);
    out->has_windows = range_of(&timing, next_ns, now_ns, &out->range);
    return AF_OK;
}

/* *out_ran: it was due. */
static enum af_status look_at(struct core_continuous *cq, const struct af_meta_continuous *query, int64_t now_ns, struct af_arena *arena,
                              bool *out_ran, struct af_error *err)
{
    struct af_ql_statement *st = NULL;
    struct core_due due;
    const struct last_run *last = find_run(cq, query->id);
    *out_ran = false;
    AF_TRY(af_ql_parse(af_slice_of(query->query), NULL, arena, &st, err));
    if (st == NULL || st->kind != AF_QL_CREATE_CQ)
        return af_fail(err, AF_EINVAL, "query isn't a valid continuous query");
    AF_TRY(core_continuous_due(st, last != NULL ? &last->time_ns : NULL, now_ns, &due, err));
    if (!due.is_due)
        return AF_OK;
    AF_TRY(note_run(cq, query->id, due.ran_ns, err));
    if (!due.has_windows)
        return AF_OK;
    AF_TRY(set_range(st->select, &due.range, now_ns, arena, err));
    *out_ran = true;
    return carry_out(cq, query, st->select, now_ns, arena, err);
}

/* --- all of them -------------------------------------------------------------------------------------------------------------------- */

static void run_one(struct core_continuous *cq, const struct af_meta_continuous *query, int64_t now_ns)
{
    struct af_arena arena;
    struct af_error err = { 0 };
    bool ran;
    char what[256];
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = look_at(cq, query, now_ns, &arena, &ran, &err);
    af_arena_done(&arena);
    struct last_run *last = find_run(cq, query->id);
    if (last != NULL)
        last->is_listed = true;
    if (status == AF_OK) {
        atomic_fetch_add(&cq->server->continuous_done, ran);
        return;
    }
    if (__atomic_load_n(&cq->is_stopping, __ATOMIC_RELAXED))
        return;
    atomic_fetch_add(&cq->server->continuous_failed, 1);
    (void)snprintf(what, sizeof what, "continuous query %s on %s", query->name, query->database);
    core_log_error(cq->server, what, err.message);
}

static void forget_others(struct core_continuous *cq)
{
    size_t kept = 0;
    for (size_t i = 0; i < cq->run_count; i++)
        if (cq->runs[i].is_listed)
            cq->runs[kept++] = cq->runs[i];
    cq->run_count = kept;
}

void core_continuous_run(struct af_server *server, int64_t now_ns)
{
    struct core_continuous *cq = server->continuous;
    struct af_meta_continuous *list = NULL;
    struct af_arena arena;
    struct af_error err = { 0 };
    size_t count = 0;
    af_arena_init(&arena, SIZE_MAX / 2);
    af_mutex_lock(&cq->run_lock);
    for (size_t i = 0; i < cq->run_count; i++)
        cq->runs[i].is_listed = false;
    enum af_status status = af_meta_continuous_list(server->options.house->meta, 0, NULL, &arena, &list, &count, &err);
    if (status != AF_OK)
        core_log_error(server, "continuous queries", err.message);
    for (size_t i = 0; i < count && status == AF_OK && !__atomic_load_n(&cq->is_stopping, __ATOMIC_RELAXED); i++)
        run_one(cq, &list[i], now_ns);
    if (status == AF_OK)
        forget_others(cq);
    af_mutex_unlock(&cq->run_lock);
    af_arena_done(&arena);
}

static void look_for_ever(void *ctx)
{
    struct core_continuous *cq = ctx;
    af_mutex_lock(&cq->lock);
    while (!cq->is_stopping) {
        (void)af_cond_wait_until(&cq->wake, &cq->lock, af_clock_mono_ns() + LOOK_MS * INT64_C(1000000));
        if (cq->is_stopping)
            break;
        af_mutex_unlock(&cq->lock);
        core_continuous_run(cq->server, af_clock_now_ns());
        af_mutex_lock(&cq->lock);
    }
    af_mutex_unlock(&cq->lock);
}

enum af_status core_continuous_start(struct af_server *server, struct af_error *err)
{
    struct core_continuous *cq = af_alloc_zero(1, sizeof *cq);
    if (cq == NULL)
        return af_fail_nomem(err, "a server");
    cq->server = server;
    af_mutex_init(&cq->lock);
    af_mutex_init(&cq->run_lock);
    af_cond_init(&cq->wake);
    server->continuous = cq;
    return server->options.no_continuous ? AF_OK : af_thread_start(&cq->thread, "continuous", look_for_ever, cq, err);
}

void core_continuous_stop(struct af_server *server)
{
    struct core_continuous *cq = server->continuous;
    if (cq == NULL)
        return;
    af_mutex_lock(&cq->lock);
    __atomic_store_n(&cq->is_stopping, true, __ATOMIC_RELAXED);
    af_cond_signal(&cq->wake);
    af_mutex_unlock(&cq->lock);
    af_thread_join(&cq->thread);
    af_cond_done(&cq->wake);
    af_mutex_done(&cq->run_lock);
    af_mutex_done(&cq->lock);
    af_free(cq->runs);
    af_free(cq);
    server->continuous = NULL;
}
