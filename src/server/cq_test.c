/* cq_test.c - continuous queries: when they are due and over what (figures of InfluxDB 1.8's own tests), and what they write. */
#include "base/calendar.h"
#include "os/clock.h"
#include "server/core.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <stdlib.h>

static struct af_error err;

/* --- when, over what ---------------------------------------------------------------------------------------------------------------- */

static int64_t at(const char *text)
{
    int64_t ns = 0;
    bool has_zone;
    if (!af_time_parse(af_slice_of(text), &ns, &has_zone))
        af_test_failed(__FILE__, __LINE__, "%s is no time", text);
    return ns;
}

struct asked {
    struct af_arena arena;
    struct af_ql_statement *st;
    int64_t last_ns;
    bool has_run;
};

static void begin(struct asked *a, const char *options, const char *group)
{
    char text[500];
    *a = (struct asked){ 0 };
    af_arena_init(&a->arena, 1 << 20);
    snprintf(text, sizeof text, "CREATE CONTINUOUS QUERY q ON db %s BEGIN SELECT mean(v) INTO o FROM m GROUP BY %s END", options, group);
    char *copy = af_arena_copy(&a->arena, af_slice_of(text));
    AF_CHECK_OK(af_ql_parse(af_slice_of(copy), NULL, &a->arena, &a->st, &err), err);
}

/* The range as text; "-" not due, "none" due without a window. */
static void check_at(struct asked *a, int64_t now_ns, const char *want)
{
    struct core_due due;
    char got[100] = "-";
    AF_CHECK_OK(core_continuous_due(a->st, a->has_run ? &a->last_ns : NULL, now_ns, &due, &err), err);
    if (due.is_due) {
        a->last_ns = due.ran_ns;
        a->has_run = true;
        if (!due.has_windows) {
            snprintf(got, sizeof got, "none");
        } else {
            char *end = af_rfc3339_print(got, due.range.start_ns, 0);
            *end++ = ' ';
            *af_rfc3339_print(end, due.range.stop_ns, 0) = '\0';
        }
    }
    AF_CHECK_STR(got, want);
}

AF_TEST(cq_covers_the_window_that_is_over)
{
    static const struct {
        const char *group, *now, *want;
    } rows[] = {
        { "time(10s)", "2000-01-01T00:00:10Z", "2000-01-01T00:00:00Z 2000-01-01T00:00:10Z" },
        { "time(1m)", "2000-01-01T00:01:00Z", "2000-01-01T00:00:00Z 2000-01-01T00:01:00Z" },
        { "time(30m)", "2000-01-01T00:30:00Z", "2000-01-01T00:00:00Z 2000-01-01T00:30:00Z" },
        { "time(12h)", "2000-01-01T12:00:00Z", "2000-01-01T00:00:00Z 2000-01-01T12:00:00Z" },
        { "time(1d)", "2000-01-02T00:00:00Z", "2000-01-01T00:00:00Z 2000-01-02T00:00:00Z" },
        { "time(1w)", "2000-01-08T00:00:00Z", "1999-12-30T00:00:00Z 2000-01-06T00:00:00Z" },
    };
    struct asked a;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct core_due first;
        begin(&a, "", rows[i].group);
        AF_CHECK_OK(core_continuous_due(a.st, NULL, at("2000-01-01T00:00:00Z") + 1, &first, &err), err);
        a.last_ns = first.ran_ns;
        a.has_run = true;
        check_at(&a, at(rows[i].now) - 1 - (i == 5) * 2 * AF_NS_PER_DAY, "-");
        check_at(&a, at(rows[i].now), rows[i].want);
        af_arena_done(&a.arena);
    }
}

AF_TEST(cq_every_and_for)
{
    int64_t now_ns = at("2020-01-01T00:10:00Z");
    struct asked a;
    begin(&a, "RESAMPLE EVERY 10s FOR 2m", "time(1m)");
    check_at(&a, now_ns, "2020-01-01T00:08:00Z 2020-01-01T00:10:00Z");
    check_at(&a, now_ns + 9 * AF_NS_PER_S, "-");
    check_at(&a, now_ns + 10 * AF_NS_PER_S, "2020-01-01T00:09:00Z 2020-01-01T00:11:00Z"); /* the one that is not over, too */
    a.has_run = false;
    check_at(&a, now_ns + 5 * AF_NS_PER_S, "2020-01-01T00:09:00Z 2020-01-01T00:10:00Z");
    check_at(&a, now_ns + 600 * AF_NS_PER_S, "2020-01-01T00:09:00Z 2020-01-01T00:20:00Z"); /* what was missed */
    af_arena_done(&a.arena);
    begin(&a, "RESAMPLE EVERY 1m", "time(30s)");
    check_at(&a, now_ns, "2020-01-01T00:09:00Z 2020-01-01T00:10:00Z");
    check_at(&a, now_ns + 30 * AF_NS_PER_S, "-");
    check_at(&a, now_ns + 60 * AF_NS_PER_S, "2020-01-01T00:10:00Z 2020-01-01T00:11:00Z");
    af_arena_done(&a.arena);
    begin(&a, "", "time(1m, 30s)");
    check_at(&a, now_ns + 30 * AF_NS_PER_S, "2020-01-01T00:09:30Z 2020-01-01T00:10:30Z");
    af_arena_done(&a.arena);
}

AF_TEST(cq_on_the_clock_of_a_zone)
{
    struct asked a;
    begin(&a, "", "time(1d) TZ('America/New_York')");
    check_at(&a, at("2000-04-02T00:00:00-05:00") + 1, "none");
    check_at(&a, at("2000-04-03T00:00:00-04:00"), "2000-04-02T05:00:00Z 2000-04-03T04:00:00Z"); /* 23 hours */
    af_arena_done(&a.arena);
    begin(&a, "", "time(2h) TZ('America/New_York')");
    check_at(&a, at("2000-04-02T00:00:00-05:00") + 1, "none");
    check_at(&a, at("2000-04-02T03:00:00-04:00"), "2000-04-02T05:00:00Z 2000-04-02T07:00:00Z");
    check_at(&a, at("2000-04-02T04:00:00-04:00"), "2000-04-02T07:00:00Z 2000-04-02T08:00:00Z");
    af_arena_done(&a.arena);
    begin(&a, "", "time(2h) TZ('America/New_York')");
    check_at(&a, at("2000-10-29T00:00:00-04:00") + 1, "none");
    check_at(&a, at("2000-10-29T02:00:00-05:00"), "2000-10-29T04:00:00Z 2000-10-29T07:00:00Z");
    check_at(&a, at("2000-10-29T04:00:00-05:00"), "2000-10-29T07:00:00Z 2000-10-29T09:00:00Z");
    af_arena_done(&a.arena);
}

AF_TEST(cq_at_the_ends_of_time)
{
    struct asked a;
    struct core_due due;
    begin(&a, "RESAMPLE EVERY 1w FOR 10000w", "time(1d)");
    AF_CHECK_OK(core_continuous_due(a.st, NULL, INT64_MIN, &due, &err), err);
    AF_CHECK_OK(core_continuous_due(a.st, NULL, INT64_MAX, &due, &err), err);
    AF_CHECK_OK(core_continuous_due(a.st, &(int64_t){ INT64_MAX }, INT64_MAX, &due, &err), err);
    AF_CHECK_OK(core_continuous_due(a.st, &(int64_t){ INT64_MIN }, INT64_MAX, &due, &err), err);
    af_arena_done(&a.arena);
    begin(&a, "", "time(1m, now())");
    AF_CHECK_FAILS(core_continuous_due(a.st, NULL, 0, &due, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, "invalid time dimension offset: now()");
    af_arena_done(&a.arena);
}

/* --- at work ------------------------------------------------------------------------------------------------------------------------ */

struct world {
    struct af_house house;
    struct af_server *server;
    struct af_arena arena;
    struct af_buf answer;
    char log[4096];
};

static void on_log(void *ctx, const char *line)
{
    struct world *w = ctx;
    size_t len = strlen(w->log);
    snprintf(w->log + len, sizeof w->log - len, "%s\n", line);
}

static void start_world(struct world *w)
{
    const char *token;
    struct af_house_options options = { .engine = { .dir = af_arena_printf(&w->arena, "%s/data", af_test_dir()) } };
    AF_CHECK_OK(af_house_open(&options, &w->house, &err), err);
    struct af_server_options server = { .house = &w->house, .no_continuous = true, .log = on_log, .ctx = w };
    AF_CHECK_OK(af_server_start(&server, &w->arena, &token, &w->server, &err), err);
}

static struct world *open_world(void)
{
    struct world *w = calloc(1, sizeof *w);
    AF_CHECK(w != NULL);
    af_arena_init(&w->arena, 1 << 24);
    af_buf_init(&w->answer, 1 << 20);
    start_world(w);
    return w;
}

static void stop_world(struct world *w)
{
    af_server_stop(w->server, 0);
    af_house_close(&w->house);
}

static void close_world(struct world *w)
{
    stop_world(w);
    af_buf_done(&w->answer);
    af_arena_done(&w->arena);
    free(w);
}

/* Statements on database db, by somebody who may everything. */
static const char *ask(struct world *w, const char *text)
{
    struct af_query_request request = { .text = af_slice_of(text), .database = "db", .wire = { .epoch_ns = 1 } };
    struct af_query *query;
    struct af_slice piece;
    struct af_arena arena;
    af_arena_init(&arena, 1 << 24);
    af_buf_clear(&w->answer);
    AF_CHECK_OK(af_house_query_open(&w->house, &request, &arena, &query, &err), err);
    do {
        AF_CHECK_OK(af_query_next(query, &piece, &err), err);
        af_buf_append_slice(&w->answer, piece);
    } while (piece.len != 0);
    af_query_close(query);
    af_arena_done(&arena);
    return af_buf_cstr(&w->answer);
}

static void put(struct world *w, const char *lines)
{
    struct af_store *store;
    struct af_write_answer answer;
    uint64_t bucket;
    AF_CHECK_OK(af_house_bucket(&w->house, NULL, "db", true, 0, &bucket, &err), err);
    AF_CHECK_OK(af_tsm_store_open(w->house.engine, bucket, "db", true, &store, &err), err);
    struct af_write write = { .lines = af_slice_of(lines), .line_count = 1, .precision_ns = AF_NS_PER_S };
    AF_CHECK_OK(af_store_write(store, &write, &answer, &err), err);
    AF_CHECK_INT(answer.verdict, AF_WRITE_DONE);
    af_store_close(store);
}

static const int64_t minute_ns = 60 * AF_NS_PER_S;
#define NOTHING "{\"results\":[{\"statement_id\":0}]}\n"
#define SERIES(rest) "{\"results\":[{\"statement_id\":0,\"series\":[" rest "]}]}\n"

AF_TEST(cq_writes_what_is_due)
{
    struct world *w = open_world();
    put(w, "m,h=a v=1 10\nm,h=a v=3 20\nm,h=b v=5 30\nm,h=a v=7 70\n");
    AF_CHECK_STR(ask(w, "CREATE CONTINUOUS QUERY q ON db BEGIN SELECT mean(v) AS v INTO o FROM m WHERE h =~ /./ AND time > 15s "
                        "GROUP BY time(1m), h END"), NOTHING);
    core_continuous_run(w->server, minute_ns);
    AF_CHECK_STR(ask(w, "SELECT * FROM o"),
                 SERIES("{\"name\":\"o\",\"columns\":[\"time\",\"h\",\"v\"],\"values\":[[0,\"a\",2],[0,\"b\",5]]}"));
    put(w, "m,h=a v=100 40\n");
    core_continuous_run(w->server, minute_ns + 30 * AF_NS_PER_S); /* not due */
    AF_CHECK_INT(w->server->continuous_done, 1);
    core_continuous_run(w->server, 2 * minute_ns);
    AF_CHECK_STR(ask(w, "SELECT * FROM o WHERE h = 'a'"),
                 SERIES("{\"name\":\"o\",\"columns\":[\"time\",\"h\",\"v\"],\"values\":[[0,\"a\",2],[60000000000,\"a\",7]]}"));
    AF_CHECK_INT(w->server->continuous_done, 2);
    AF_CHECK_INT(w->server->continuous_failed, 0);
    stop_world(w);
    start_world(w); /* kept, and due at once: the window that is over */
    core_continuous_run(w->server, 2 * minute_ns + 1);
    AF_CHECK_INT(w->server->continuous_done, 0);
    core_continuous_run(w->server, 3 * minute_ns);
    AF_CHECK_INT(w->server->continuous_done, 1);
    close_world(w);
}

AF_TEST(cq_backreferences_and_other_databases)
{
    struct world *w = open_world();
    put(w, "m v=1 10\nn v=2 20\n");
    (void)ask(w, "CREATE DATABASE down; CREATE RETENTION POLICY year ON down DURATION 0s REPLICATION 1");
    AF_CHECK_STR(ask(w, "CREATE CONTINUOUS QUERY q ON db BEGIN SELECT sum(v) INTO down.year.:MEASUREMENT FROM /.*/ GROUP BY time(1m) END"),
                 NOTHING);
    core_continuous_run(w->server, minute_ns);
    AF_CHECK_STR(ask(w, "SELECT * FROM down.year./.*/"),
                 SERIES("{\"name\":\"m\",\"columns\":[\"time\",\"sum\"],\"values\":[[0,1]]},"
                        "{\"name\":\"n\",\"columns\":[\"time\",\"sum\"],\"values\":[[0,2]]}"));
    close_world(w);
}

/* What fails is counted, told, and not tried again before it is due; the others run. */
AF_TEST(cq_failures)
{
    struct world *w = open_world();
    put(w, "m v=1 10\no v=\"text\" 10\n");
    (void)ask(w, "CREATE CONTINUOUS QUERY bad ON db BEGIN SELECT mean(v) AS v INTO o FROM m GROUP BY time(1m) END");
    (void)ask(w, "CREATE CONTINUOUS QUERY good ON db BEGIN SELECT mean(v) INTO p FROM m GROUP BY time(1m) END");
    core_continuous_run(w->server, minute_ns);
    core_continuous_run(w->server, minute_ns + 1);
    AF_CHECK_INT(w->server->continuous_failed, 1);
    AF_CHECK_INT(w->server->continuous_done, 1);
    if (strstr(w->log, "\"what\":\"continuous query bad on db\"") == NULL || strstr(w->log, "field type conflict") == NULL)
        af_test_failed(__FILE__, __LINE__, "%s", w->log);
    close_world(w);
}

AF_TEST(cq_statements)
{
    static const char text[] = "CREATE CONTINUOUS QUERY q ON db RESAMPLE EVERY 10s FOR 2m BEGIN SELECT mean(v) INTO db.autogen.o "
                               "FROM db.autogen.m GROUP BY time(1m) END";
    struct world *w = open_world();
    put(w, "m v=1 10\n");
    AF_CHECK_STR(ask(w, "SHOW CONTINUOUS QUERIES"),
                 SERIES("{\"name\":\"default\",\"columns\":[\"name\",\"query\"]},{\"name\":\"db\",\"columns\":[\"name\",\"query\"]}"));
    const char *make = "CREATE CONTINUOUS QUERY q ON db RESAMPLE EVERY 10s FOR 2m BEGIN SELECT mean(v) INTO o FROM m GROUP BY time(1m) END";
    AF_CHECK_STR(ask(w, make), NOTHING);
    AF_CHECK_STR(ask(w, make), NOTHING);
    AF_CHECK_STR(ask(w, "CREATE CONTINUOUS QUERY q ON db BEGIN SELECT max(v) INTO o FROM m GROUP BY time(1m) END"),
                 "{\"results\":[{\"statement_id\":0,\"error\":\"continuous query already exists\"}]}\n");
    AF_CHECK_STR(ask(w, "CREATE CONTINUOUS QUERY r ON nope BEGIN SELECT max(v) INTO o FROM m GROUP BY time(1m) END"),
                 "{\"results\":[{\"statement_id\":0,\"error\":\"database not found: nope\"}]}\n");
    AF_CHECK_STR(ask(w, "CREATE CONTINUOUS QUERY r ON db BEGIN SELECT max(v) INTO db.rp.o FROM m GROUP BY time(1m) END"),
                 "{\"results\":[{\"statement_id\":0,\"error\":\"retention policy not found: db.rp\"}]}\n");
    AF_CHECK_STR(ask(w, "CREATE CONTINUOUS QUERY r ON db BEGIN SELECT max(v) INTO o FROM (SELECT v FROM x..m) GROUP BY time(1m) END"),
                 "{\"results\":[{\"statement_id\":0,\"error\":\"database not found: x\"}]}\n");
    AF_CHECK(strstr(ask(w, "SHOW CONTINUOUS QUERIES"), text) != NULL);
    AF_CHECK_STR(ask(w, "DROP CONTINUOUS QUERY nope ON db; DROP CONTINUOUS QUERY q ON nope"),
                 "{\"results\":[{\"statement_id\":0},{\"statement_id\":1}]}\n");
    AF_CHECK(strstr(ask(w, "SHOW CONTINUOUS QUERIES"), text) != NULL);
    (void)ask(w, "DROP DATABASE db; CREATE DATABASE db"); /* it goes with its database */
    AF_CHECK(strstr(ask(w, "SHOW CONTINUOUS QUERIES"), text) == NULL);
    AF_CHECK_STR(ask(w, make), NOTHING);
    AF_CHECK_STR(ask(w, "DROP CONTINUOUS QUERY q ON db"), NOTHING);
    AF_CHECK(strstr(ask(w, "SHOW CONTINUOUS QUERIES"), text) == NULL);
    close_world(w);
}

/* The thread: it runs by itself, and stops. */
AF_TEST(cq_runs_by_itself)
{
    struct world *w = open_world();
    const char *token;
    char line[64];
    af_server_stop(w->server, 0);
    snprintf(line, sizeof line, "m v=1 %lld\n", (long long)(af_clock_now_ns() / AF_NS_PER_S));
    put(w, line);
    (void)ask(w, "CREATE CONTINUOUS QUERY q ON db RESAMPLE EVERY 1s FOR 10w BEGIN SELECT mean(v) INTO o FROM m GROUP BY time(1h) END");
    struct af_server_options server = { .house = &w->house, .log = on_log, .ctx = w };
    AF_CHECK_OK(af_server_start(&server, &w->arena, &token, &w->server, &err), err);
    for (int i = 0; i < 100 && w->server->continuous_done == 0; i++)
        af_clock_sleep_ms(100);
    AF_CHECK(w->server->continuous_done > 0);
    AF_CHECK_STR(ask(w, "SELECT count(mean) FROM o"), SERIES("{\"name\":\"o\",\"columns\":[\"time\",\"count\"],\"values\":[[0,1]]}"));
    close_world(w);
}
