/* erase_test.c - predicates as query text, and deletes of a remote store; the contract is in remote_test.c. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/regex.h"
#include "remote/remote_int.h"
#include "test/lib/http_peer.h"
#include "test/lib/influxd.h"
#include "test/lib/store_contract.h"
#include "test/lib/store_contract_predicates.h"
#include "test/lib/test.h"

static struct af_error err;

static bool says(const char *part)
{
    return strstr(err.message, part) != NULL;
}

static struct af_store *open_with(struct af_remote_options options)
{
    struct af_store *store;
    AF_CHECK_OK(af_remote_open(&options, &store, &err), err);
    return store;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

static void prints(const struct af_predicate *predicate, const char *influxql, const char *flux)
{
    struct af_buf text;
    af_buf_init(&text, 1 << 16);
    AF_CHECK_INT(remote_reach(predicate), REACH_SOME);
    iql_append_predicate(&text, predicate);
    AF_CHECK_SLICE(af_buf_slice(&text), influxql);
    af_buf_clear(&text);
    flux_append_predicate(&text, predicate);
    AF_CHECK_SLICE(af_buf_slice(&text), flux);
    af_buf_done(&text);
}

AF_TEST(predicates_are_printed)
{
    prints(P_EQ("t", "a"), "\"t\"::tag = 'a'", "(exists r[\"t\"] and r[\"t\"] == \"a\")");
    prints(P_NE("t", "a"), "\"t\"::tag != 'a'", "(not exists r[\"t\"] or r[\"t\"] != \"a\")");
    prints(P_EQ("t", ""), "\"t\"::tag = ''", "(not exists r[\"t\"] or r[\"t\"] == \"\")");
    prints(P_NE("t", ""), "\"t\"::tag != ''", "(exists r[\"t\"] and r[\"t\"] != \"\")");
    prints(P_EQ("a\"\\b", "it's\\\n${"), "\"a\\\"\\\\b\"::tag = 'it\\'s\\\\\\n${'",
           "(exists r[\"a\\\"\\\\b\"] and r[\"a\\\"\\\\b\"] == \"it's\\\\\\n\\${\")");
}

static void prints_pattern(const char *pattern, bool negate, const char *influxql, const char *flux)
{
    struct af_regex *regex;
    AF_CHECK_OK(af_regex_new(af_slice_of(pattern), &regex, &err), err);
    struct af_predicate match = { .op = negate ? AF_PREDICATE_NOT_MATCH : AF_PREDICATE_MATCH, .tag = { "t", 1 }, .regex = regex };
    prints(&match, influxql, flux);
    af_regex_free(regex);
}

AF_TEST(patterns_are_printed)
{
    prints_pattern("^a", false, "\"t\"::tag =~ /^a/", "(exists r[\"t\"] and r[\"t\"] =~ /^a/)");
    prints_pattern("a*", false, "\"t\"::tag =~ /a*/", "(not exists r[\"t\"] or r[\"t\"] =~ /a*/)");
    prints_pattern("^a", true, "\"t\"::tag !~ /^a/", "(not exists r[\"t\"] or r[\"t\"] !~ /^a/)");
    prints_pattern("a/b\\/c\\\\/\n", false, "\"t\"::tag =~ /a\\/b\\/c\\x5c\\/\\n/",
                   "(exists r[\"t\"] and r[\"t\"] =~ /a\\/b\\/c\\x5c\\/\\n/)");
    struct af_regex *any;
    AF_CHECK_OK(af_regex_new(af_slice_of(""), &any, &err), err);
    struct af_predicate match = { .op = AF_PREDICATE_MATCH, .tag = { "t", 1 }, .regex = any };
    AF_CHECK_INT(remote_reach(&match), REACH_ALL);
    match.op = AF_PREDICATE_NOT_MATCH;
    AF_CHECK_INT(remote_reach(&match), REACH_NONE);
    af_regex_free(any);
}

AF_TEST(what_decides_nothing_is_left_out)
{
    AF_CHECK_INT(remote_reach(NULL), REACH_ALL);
    AF_CHECK_INT(remote_reach(P_ALL), REACH_ALL);
    AF_CHECK_INT(remote_reach(P_NONE), REACH_NONE);
    AF_CHECK_INT(remote_reach(P_NOT(P_ALL)), REACH_NONE);
    AF_CHECK_INT(remote_reach(P_AND(P_EQ("t", "a"), P_NONE)), REACH_NONE);
    AF_CHECK_INT(remote_reach(P_NOT(P_AND(P_EQ("t", "a"), P_NONE))), REACH_ALL);
    AF_CHECK_INT(remote_reach(P_OR(P_EQ("t", "a"), P_NOT(P_NONE))), REACH_ALL);
    AF_CHECK_INT(remote_reach(P_EQ("", "")), REACH_ALL);
    AF_CHECK_INT(remote_reach(P_EQ("", "x")), REACH_NONE);
}

AF_TEST(negation_reaches_the_comparisons)
{
    prints(P_NOT(P_AND(P_EQ("t", "a"), P_OR(P_NE("u", "b"), P_NONE))), "(\"t\"::tag != 'a' OR \"u\"::tag = 'b')",
           "((not exists r[\"t\"] or r[\"t\"] != \"a\") or (exists r[\"u\"] and r[\"u\"] == \"b\"))");
    prints(P_AND(P_NOT(P_NOT(P_EQ("t", "a"))), P_ALL, P_EQ("u", "b")), "(\"t\"::tag = 'a' AND \"u\"::tag = 'b')",
           "((exists r[\"t\"] and r[\"t\"] == \"a\") and (exists r[\"u\"] and r[\"u\"] == \"b\"))");
    prints(P_AND(P_OR(P_EQ("t", "a"), P_EQ("t", "b")), P_NE("u", "")),
           "((\"t\"::tag = 'a' OR \"t\"::tag = 'b') AND \"u\"::tag != '')",
           "(((exists r[\"t\"] and r[\"t\"] == \"a\") or (exists r[\"t\"] and r[\"t\"] == \"b\")) and "
           "(exists r[\"u\"] and r[\"u\"] != \"\"))");
}

static void equals(const struct af_predicate *predicate, const char *want)
{
    struct af_buf text;
    af_buf_init(&text, 1 << 16);
    remote_append_equal(&text, AF_SLICE_LIT("_measurement"), AF_SLICE_LIT("m"));
    bool can = remote_append_equals(&text, predicate);
    AF_CHECK_SLICE(af_buf_slice(&text), can ? want : "\"_measurement\"=\"m\"");
    AF_CHECK_INT(can, want != NULL);
    af_buf_done(&text);
}

AF_TEST(deletes_of_2x_understand_equals_only)
{
    equals(NULL, "\"_measurement\"=\"m\"");
    equals(P_ALL, "\"_measurement\"=\"m\"");
    equals(P_EQ("t", "a \"q\"\\"), "\"_measurement\"=\"m\" AND \"t\"=\"a \\\"q\\\"\\\\\"");
    equals(P_AND(P_EQ("t", "a"), P_AND(P_EQ("u", "b"), P_ALL), P_NOT(P_NE("w", "c"))),
           "\"_measurement\"=\"m\" AND \"t\"=\"a\" AND \"u\"=\"b\" AND \"w\"=\"c\"");
    equals(P_NOT(P_OR(P_NE("t", "a"), P_NE("u", "b"))), "\"_measurement\"=\"m\" AND \"t\"=\"a\" AND \"u\"=\"b\"");
    equals(P_OR(P_EQ("t", "a"), P_NONE), "\"_measurement\"=\"m\" AND \"t\"=\"a\"");
    equals(P_EQ("t", ""), NULL);
    equals(P_NE("t", "a"), NULL);
    equals(P_OR(P_EQ("t", "a"), P_EQ("t", "b")), NULL);
    equals(P_AND(P_EQ("t", "a"), P_NE("u", "b")), NULL);
    equals(P_NOT(P_AND(P_NE("t", "a"), P_NE("u", "b"))), NULL);
}

/* --- 1.x: retention policies ----------------------------------------------------------------------------------------- */

static struct af_influxd server;

static enum af_status erase_m(struct af_store *store, int64_t start_ns, const struct af_predicate *predicate)
{
    struct af_scan scan = { .measurement = "m", .start_ns = start_ns, .stop_ns = INT64_MAX, .predicate = predicate };
    return af_store_erase(store, &scan, &err);
}

static void holds(struct af_store *store, const char *want)
{
    struct af_scan scan = { .measurement = "m", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_buf got;
    af_buf_init(&got, 1 << 16);
    af_contract_dump(store, &scan, &got);
    AF_CHECK_SLICE(af_buf_slice(&got), want);
    af_buf_done(&got);
}

AF_TEST(another_policy_keeps_its_points)
{
    if (!af_influxd_start(&server, (struct af_influxd_options){ 0 }))
        return;
    struct af_store *one = open_with((struct af_remote_options){ .url = server.url, .bucket = "d/one" });
    struct af_store *other = open_with((struct af_remote_options){ .url = server.url, .bucket = "d/ot\"her" });
    AF_CHECK_OK(af_store_create(one, &err), err);
    AF_CHECK_OK(af_store_create(other, &err), err);
    af_contract_write(one, AF_SLICE_LIT("m,t=a v=1i 1\nm,t=b v=2i 2\nm,t=b v=3i 9\nn v=1i 9\n"), 1);
    af_contract_write(other, AF_SLICE_LIT("m,t=b v=4i 5\n"), 1);
    AF_CHECK_FAILS(erase_m(one, INT64_MIN, NULL), AF_EUNSUPPORTED);
    AF_CHECK(says("ot\"her") && says("nothing was deleted"));
    AF_CHECK_FAILS(erase_m(one, INT64_MIN, P_NE("t", "")), AF_EUNSUPPORTED);
    AF_CHECK_FAILS(af_store_erase(one, &(struct af_scan){ .start_ns = 0, .stop_ns = 6 }, &err), AF_EUNSUPPORTED);
    holds(one, "m,t=a 1 v=1i\nm,t=b 2 v=2i\nm,t=b 9 v=3i\n");
    AF_CHECK_OK(erase_m(one, INT64_MIN, P_EQ("t", "a")), err);
    AF_CHECK_OK(erase_m(one, 6, NULL), err);
    holds(one, "m,t=b 2 v=2i\n");
    holds(other, "m,t=b 5 v=4i\n");
    AF_CHECK_FAILS(erase_m(other, INT64_MIN, NULL), AF_EUNSUPPORTED);
    AF_CHECK_OK(erase_m(other, 5, NULL), err);
    holds(other, "");
    af_store_close(one);
    af_store_close(other);
    af_influxd_stop(&server);
}

/* --- a scripted peer ---------------------------------------------------------------------------------------------- */

/* The first rule whose text is found in the request, or the last one. */
struct rule {
    const char *in_request;
    int status;
    const char *body;
};
struct script {
    const struct rule *rules;
    size_t count;
};

static bool answer(void *ctx, struct af_slice request, struct af_buf *out)
{
    const struct script *script = ctx;
    const struct rule *rule = script->rules;
    while (rule < script->rules + script->count - 1 && strstr(request.ptr, rule->in_request) == NULL)
        rule++;
    af_buf_printf(out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", rule->status, strlen(rule->body), rule->body);
    return true;
}

#define SCRIPT(rules) ((struct script){ rules, sizeof(rules) / sizeof((rules)[0]) })

static size_t times_sent(struct af_peer *peer, const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < af_peer_requests(peer); i++)
        n += strstr(af_peer_request(peer, i).ptr, part) != NULL;
    return n;
}

static struct af_store *open_v2(struct af_peer *peer)
{
    return open_with((struct af_remote_options){ .url = af_peer_url(peer), .bucket = "b", .org = "o", .token = "t",
                                                 .version = AF_INFLUX_2 });
}

AF_TEST(deletes_of_2x_are_posted)
{
    static const struct rule rules[] = { { "/api/v2/delete?org=o&bucket=b", 204, "" }, { "", 500, "{}" } };
    struct script script = SCRIPT(rules);
    struct af_peer *peer = af_peer_start_with(answer, &script);
    struct af_store *store = open_v2(peer);
    struct af_scan scan = { .measurement = "m", .start_ns = 0, .stop_ns = 5, .predicate = P_EQ("t", "a") };
    AF_CHECK_OK(af_store_erase(store, &scan, &err), err);
    AF_CHECK_INT(times_sent(peer, "\r\n\r\n{\"start\":\"1970-01-01T00:00:00.000000000Z\",\"stop\":\"1970-01-01T00:00:00.000000004Z\","
                                  "\"predicate\":\"\\\"_measurement\\\"=\\\"m\\\" AND \\\"t\\\"=\\\"a\\\"\"}"), 1);
    scan = (struct af_scan){ .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    AF_CHECK_OK(af_store_erase(store, &scan, &err), err);
    AF_CHECK_INT(times_sent(peer, "{\"start\":\"1677-09-21T00:12:43.145224194Z\",\"stop\":\"2262-04-11T23:47:16.854775806Z\","
                                  "\"predicate\":\"\"}"), 1);
    scan.stop_ns = INT64_MIN + 2;
    AF_CHECK_OK(af_store_erase(store, &scan, &err), err);
    scan.stop_ns = INT64_MAX;
    scan.predicate = P_NONE;
    AF_CHECK_OK(af_store_erase(store, &scan, &err), err);
    AF_CHECK_INT(af_peer_requests(peer), 2); /* nothing to ask for */
    af_store_close(store);
    af_peer_stop(peer);
}

AF_TEST(richer_deletes_of_2x_go_through_influxql)
{
    static const struct rule rules[] = {
        { "SHOW%20MEASUREMENTS", 200, "{\"results\":[{\"statement_id\":0}]}" },
        { "q=DELETE%20FROM%20%22m%22%20WHERE%20%28%22t%22%3A%3Atag%20%3D%20%27a%27%20OR%20%22t%22%3A%3Atag%20%3D%20%27%27%29%20AND%20"
          "time%20%3E%3D%205%20AND%20time%20%3C%3D%209223372036854775806", 200, "{}" },
        { "DELETE", 200, "{\"results\":[{\"statement_id\":0,\"error\":\"engine is closed\"}]}" },
        { "", 500, "{}" },
    };
    struct script script = SCRIPT(rules);
    struct af_peer *peer = af_peer_start_with(answer, &script);
    struct af_store *store = open_v2(peer);
    AF_CHECK_OK(erase_m(store, 5, P_OR(P_EQ("t", "a"), P_EQ("t", ""))), err);
    AF_CHECK_FAILS(erase_m(store, 5, P_NE("t", "a")), AF_EIO);
    AF_CHECK(says("engine is closed"));
    af_store_close(store);
    af_peer_stop(peer);
}

static const char two_series[] =
    "#datatype,string,long,string,string,string\r\n#group,false,false,true,true,true\r\n#default,_result,,,,\r\n"
    ",result,table,_measurement,u,t\r\n"
    ",,0,m,x,a\r\n"
    ",,0,m,x,a\r\n"
    ",,1,m,y,\"b,c\"\r\n\r\n";
static const char covered_series[] =
    "#datatype,string,long,string,string,string\r\n#group,false,false,true,true,true\r\n#default,_result,,,,\r\n"
    ",result,table,_measurement,u,t\r\n"
    ",,0,m,x,a\r\n\r\n"
    "#datatype,string,long,string,string\r\n#group,false,false,true,true\r\n#default,_result,,,\r\n"
    ",result,table,_measurement,t\r\n"
    ",,1,m,a\r\n\r\n";

static struct rule flux_rules[] = {
    { "/query?db=", 404, "{\"code\":\"not found\",\"message\":\"no dbrp mapping found\"}" },
    { "|> first() |> drop(columns: [\\\"_start\\\", \\\"_stop\\\", \\\"_time\\\", \\\"_value\\\", \\\"_field\\\"])", 200, "" },
    { "/api/v2/delete", 204, "" },
    { "", 500, "{}" },
};

AF_TEST(without_influxql_series_go_one_by_one)
{
    struct script script = SCRIPT(flux_rules);
    flux_rules[1].body = two_series;
    struct af_peer *peer = af_peer_start_with(answer, &script);
    struct af_store *store = open_v2(peer);
    AF_CHECK_OK(erase_m(store, 5, P_OR(P_EQ("t", "a"), P_EQ("u", "y"))), err);
    AF_CHECK_INT(times_sent(peer, "/api/v2/delete"), 2);
    AF_CHECK_INT(times_sent(peer, "\\\"_measurement\\\"=\\\"m\\\" AND \\\"t\\\"=\\\"a\\\" AND \\\"u\\\"=\\\"x\\\"\""), 1);
    AF_CHECK_INT(times_sent(peer, "\\\"_measurement\\\"=\\\"m\\\" AND \\\"t\\\"=\\\"b,c\\\" AND \\\"u\\\"=\\\"y\\\"\""), 1);
    af_store_close(store);
    af_peer_stop(peer);
}

AF_TEST(series_that_cannot_go_alone_are_refused)
{
    struct script script = SCRIPT(flux_rules);
    flux_rules[1].body = covered_series;
    struct af_peer *peer = af_peer_start_with(answer, &script);
    struct af_store *store = open_v2(peer);
    AF_CHECK_FAILS(erase_m(store, 5, P_EQ("u", "")), AF_EUNSUPPORTED);
    AF_CHECK(says("\"m,t=a\" without \"m,t=a,u=x\"") && says("DBRP"));
    AF_CHECK_INT(times_sent(peer, "/api/v2/delete"), 0);
    AF_CHECK_OK(erase_m(store, 5, P_NE("t", "")), err); /* both go */
    AF_CHECK_INT(times_sent(peer, "/api/v2/delete"), 2);
    AF_CHECK_OK(erase_m(store, 5, P_NE("u", "")), err); /* the longer one alone can */
    AF_CHECK_INT(times_sent(peer, "/api/v2/delete"), 3);
    af_store_close(store);
    af_peer_stop(peer);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

AF_TEST(deletes_survive_every_failed_allocation)
{
    static const enum af_listing listings[] = { AF_LIST_SERIES, AF_LIST_TAG_KEYS, AF_LIST_TAG_VALUES, AF_LIST_MEASUREMENTS };
    struct script script = SCRIPT(flux_rules);
    flux_rules[1].body = two_series;
    struct af_peer *peer = af_peer_start_with(answer, &script);
    struct af_store *store = open_v2(peer);
    const struct af_predicate *predicate = P_OR(P_EQ("t", "a"), P_EQ("u", "y"));
    struct af_scan scan = { .measurement = "m", .stop_ns = 9, .predicate = predicate, .tag = "t" };
    enum af_status status = AF_ENOMEM;
    size_t failures = 0;
    for (size_t n = 1, asked = 1; n <= asked + 1; n++) { /* some are of no consequence: the words of a refusal that is expected */
        af_alloc_fail_nth(n);
        status = af_store_erase(store, &scan, &err);
        for (size_t i = 0; status == AF_OK && i < 4; i++) {
            struct af_stream *stream = NULL;
            status = af_store_list(store, listings[i], &scan, &stream, &err);
            af_stream_close(stream);
        }
        asked = af_alloc_fail_nth(0);
        failures += status != AF_OK;
        if (status != AF_OK && status != AF_ENOMEM && status != AF_ELIMIT)
            af_test_failed(__FILE__, __LINE__, "allocation %zu: %s: %s", n, af_status_name(status), err.message);
    }
    AF_CHECK_INT(status, AF_OK);
    AF_CHECK(failures > 80);
    af_store_close(store);
    af_peer_stop(peer);
}
