/* subscribe_test.c - what is written here arrives there: two of our servers, one subscribed to the other. */
#include "net/http.h"
#include "os/clock.h"
#include "server/core.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <stdlib.h>

static struct af_error err;

struct side {
    struct af_house house;
    struct af_server *server;
    const char *dir;
};
struct world {
    struct side from, to;
    struct af_arena arena;
    struct af_http *http;
    struct af_http_answer answer;
};

static void start_side(struct world *w, struct side *side)
{
    const char *token;
    struct af_house_options options = { .engine = { .dir = side->dir } };
    AF_CHECK_OK(af_house_open(&options, &side->house, &err), err);
    struct af_server_options server = { .house = &side->house, .no_auth = true, .no_continuous = true };
    AF_CHECK_OK(af_server_start(&server, &w->arena, &token, &side->server, &err), err);
}

static void stop_side(struct side *side)
{
    af_server_stop(side->server, 1000);
    af_house_close(&side->house);
}

static struct world *open_world(void)
{
    struct world *w = calloc(1, sizeof *w);
    AF_CHECK(w != NULL);
    af_arena_init(&w->arena, 1 << 24);
    w->from.dir = af_arena_printf(&w->arena, "%s/from", af_test_dir());
    w->to.dir = af_arena_printf(&w->arena, "%s/to", af_test_dir());
    start_side(w, &w->from);
    start_side(w, &w->to);
    AF_CHECK_OK(af_http_new(&(struct af_http_options){ 0 }, &w->http, &err), err);
    af_http_answer_init(&w->answer);
    return w;
}

static void close_world(struct world *w)
{
    stop_side(&w->from);
    stop_side(&w->to);
    af_http_free(w->http);
    af_http_answer_done(&w->answer);
    af_arena_done(&w->arena);
    free(w);
}

static const char *post(struct world *w, const struct side *side, const char *path, const char *body, bool is_form)
{
    char url[300];
    const char *const form[] = { "Content-Type: application/x-www-form-urlencoded", NULL };
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", (unsigned)af_server_port(side->server), path);
    struct af_http_request request = { .method = "POST", .url = url, .headers = is_form ? form : NULL, .body = af_slice_of(body) };
    af_buf_clear(&w->answer.body);
    AF_CHECK_OK(af_http_send(w->http, &request, &w->answer, &err), err);
    return af_buf_cstr(&w->answer.body);
}

static const char *ask(struct world *w, const struct side *side, const char *text)
{
    char body[1000];
    snprintf(body, sizeof body, "epoch=ns&db=db&q=%s", text); /* texts without % and & */
    return post(w, side, "/query", body, true);
}

static void put(struct world *w, const char *lines)
{
    (void)post(w, &w->from, "/write?db=db&precision=s", lines, false);
    AF_CHECK_INT(w->answer.status, 204);
}

static bool arrives(struct world *w, const char *want)
{
    for (int i = 0; i < 100; i++) {
        if (strstr(ask(w, &w->to, "SELECT * FROM m"), want) != NULL)
            return true;
        af_clock_sleep_ms(50);
    }
    printf("%s\n", af_buf_cstr(&w->answer.body));
    return false;
}

/* A point is there before its answer is here, and is counted after the answer. */
static void counts(struct world *w, uint64_t want)
{
    for (int i = 0; i < 100 && w->from.server->subscription_points < want; i++)
        af_clock_sleep_ms(50);
    AF_CHECK_INT(w->from.server->subscription_points, want);
}

/* The thread has seen the subscription: what is written now is sent. */
static void settle(struct world *w, size_t buckets)
{
    for (int i = 0; i < 100; i++) {
        struct core_subscriptions_seen seen;
        core_subscriptions_see(w->from.server, &seen);
        if (seen.buckets == buckets && seen.queued == 0)
            return;
        af_clock_sleep_ms(50);
    }
    af_test_failed(__FILE__, __LINE__, "no %zu subscriptions", buckets);
}

AF_TEST(subscriptions_send_what_is_written)
{
    struct world *w = open_world();
    char text[300];
    (void)ask(w, &w->from, "CREATE DATABASE db");
    (void)ask(w, &w->to, "CREATE DATABASE db");
    put(w, "m v=1 1\n");
    snprintf(text, sizeof text, "CREATE SUBSCRIPTION s ON db.autogen DESTINATIONS ALL 'http://127.0.0.1:%u'",
             (unsigned)af_server_port(w->to.server));
    AF_CHECK_STR(ask(w, &w->from, text), "{\"results\":[{\"statement_id\":0}]}\n");
    AF_CHECK_STR(ask(w, &w->from, text), "{\"results\":[{\"statement_id\":0,\"error\":\"subscription already exists\"}]}\n");
    settle(w, 1);
    put(w, "m,t=a v=2 2\nm,t=b v=3 3\n");
    AF_CHECK(arrives(w, "[[2000000000,\"a\",2],[3000000000,\"b\",3]]"));
    counts(w, 2);
    (void)ask(w, &w->from, "SELECT sum(v) AS v INTO m FROM m");
    AF_CHECK(arrives(w, "[[0,null,6],[2000000000,"));
    counts(w, 3);
    (void)ask(w, &w->from, "CREATE CONTINUOUS QUERY q ON db BEGIN SELECT max(v) AS v INTO m FROM m WHERE t = 'b' GROUP BY time(1m) END");
    core_continuous_run(w->from.server, 60 * AF_NS_PER_S);
    AF_CHECK(arrives(w, "[[0,null,3],[2000000000,"));
    counts(w, 4);
    stop_side(&w->from);
    start_side(w, &w->from); /* kept, and going on */
    settle(w, 1);
    put(w, "m,t=a v=4 4\n");
    AF_CHECK(arrives(w, "[4000000000,\"a\",4]"));
    AF_CHECK(strstr(ask(w, &w->from, "SHOW SUBSCRIPTIONS"), "{\"name\":\"db\",\"columns\":[\"retention_policy\",\"name\",\"mode\","
                                                            "\"destinations\"],\"values\":[[\"autogen\",\"s\",\"ALL\",[\"http://127.0.0.1:")
             != NULL);
    AF_CHECK_STR(ask(w, &w->from, "DROP SUBSCRIPTION s ON db.autogen"), "{\"results\":[{\"statement_id\":0}]}\n");
    AF_CHECK_STR(ask(w, &w->from, "DROP SUBSCRIPTION s ON db.autogen"),
                 "{\"results\":[{\"statement_id\":0,\"error\":\"subscription not found\"}]}\n");
    settle(w, 0);
    put(w, "m,t=a v=5 5\n");
    counts(w, 1);
    AF_CHECK_INT(w->from.server->subscription_failed, 0);
    close_world(w);
}

/* ANY: one that is gone is passed over. ALL: it is counted, and the others get theirs. Writes never wait. */
AF_TEST(subscriptions_and_dead_destinations)
{
    static const char *const modes[] = { "ANY", "ALL" };
    struct world *w = open_world();
    char text[300];
    (void)ask(w, &w->from, "CREATE DATABASE db");
    (void)ask(w, &w->to, "CREATE DATABASE db");
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, "CREATE SUBSCRIPTION s ON db.autogen DESTINATIONS %s 'http://127.0.0.1:1', 'http://127.0.0.1:%u/'",
                 modes[i], (unsigned)af_server_port(w->to.server));
        AF_CHECK_STR(ask(w, &w->from, text), "{\"results\":[{\"statement_id\":0}]}\n");
        settle(w, 1);
        snprintf(text, sizeof text, "m v=%d 10\n", 7 + i);
        put(w, text);
        snprintf(text, sizeof text, "[[10000000000,%d]]", 7 + i);
        AF_CHECK(arrives(w, text));
        AF_CHECK_INT(w->from.server->subscription_failed, 1 + i);
        AF_CHECK_STR(ask(w, &w->from, "DROP SUBSCRIPTION s ON db.autogen"), "{\"results\":[{\"statement_id\":0}]}\n");
        settle(w, 0);
    }
    close_world(w);
}

AF_TEST(subscriptions_are_checked)
{
    static const char *const bad[] = { "http://a", "ftp://a:1", "a:1", "http://u:p@a:1", "http://a:", "http://:1", "http://a:1x",
                                       "udp://a:1", "http://a b:1", "http://a:1/?x" };
    struct world *w = open_world();
    char text[300], want[300];
    (void)ask(w, &w->from, "CREATE DATABASE db");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(text, sizeof text, "CREATE SUBSCRIPTION s ON db.autogen DESTINATIONS ALL '%s'", bad[i]);
        snprintf(want, sizeof want, "\"error\":\"invalid subscription URL: %s", bad[i]);
        if (strstr(ask(w, &w->from, text), want) == NULL)
            af_test_failed(__FILE__, __LINE__, "%s: %s", bad[i], af_buf_cstr(&w->answer.body));
    }
    const char *got = ask(w, &w->from, "CREATE SUBSCRIPTION s ON no.autogen DESTINATIONS ALL 'http://a:1'");
    AF_CHECK(strstr(got, "database not found: no") != NULL);
    got = ask(w, &w->from, "CREATE SUBSCRIPTION s ON db.rp DESTINATIONS ALL 'http://a:1'");
    AF_CHECK(strstr(got, "retention policy not found: rp\"") != NULL);
    AF_CHECK_STR(ask(w, &w->from, "SHOW SUBSCRIPTIONS"), "{\"results\":[{\"statement_id\":0}]}\n");
    (void)ask(w, &w->from, "CREATE SUBSCRIPTION s ON db.autogen DESTINATIONS ALL 'http://127.0.0.1:1'");
    (void)ask(w, &w->from, "DROP DATABASE db"); /* it goes with it */
    (void)ask(w, &w->from, "CREATE DATABASE db");
    AF_CHECK_STR(ask(w, &w->from, "SHOW SUBSCRIPTIONS"), "{\"results\":[{\"statement_id\":0}]}\n");
    close_world(w);
}
