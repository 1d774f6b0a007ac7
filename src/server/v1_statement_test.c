/* v1_statement_test.c - statements of management as InfluxDB reads them, and its words for those that are none. */
#include "base/alloc.h"
#include "base/limits.h"
#include "server/v1_statement.h"
#include "test/lib/test.h"

static struct af_error err;
static struct af_arena arena;
static const int64_t NOW = INT64_C(1700000000000000000);

static struct v1_statement *read_all(const char *text)
{
    struct v1_statement *first = NULL;
    err = (struct af_error){ 0 };
    AF_CHECK_OK(v1_statements_parse(af_slice_of(text), NOW, &arena, &first, &err), err);
    return first;
}

static struct v1_statement *read_one(const char *text)
{
    struct v1_statement *st = read_all(text);
    AF_CHECK(st != NULL && st->next == NULL);
    return st;
}

static void check_refused(const char *text, const char *words)
{
    struct v1_statement *first = NULL;
    AF_CHECK_FAILS(v1_statements_parse(af_slice_of(text), NOW, &arena, &first, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, words);
    AF_CHECK(first == NULL);
}

AF_TEST(v1_databases_and_policies_are_read)
{
    af_arena_init(&arena, SIZE_MAX / 2);
    struct v1_statement *st = read_one("create database \"a \\\"b\\\"\" with duration 1w2d replication 3 shard duration 90m name \"p q\"");
    AF_CHECK(st->kind == V1_CREATE_DATABASE && st->has_options && st->has_duration && st->has_shard);
    AF_CHECK_STR(st->name, "a \"b\"");
    AF_CHECK_STR(st->policy, "p q");
    AF_CHECK_INT(st->duration_ns, INT64_C(9) * 86400 * 1000000000);
    AF_CHECK_INT(st->shard_ns, INT64_C(5400) * 1000000000);
    st = read_one("CREATE RETENTION POLICY p ON d DURATION INF REPLICATION 1 DEFAULT");
    AF_CHECK(st->kind == V1_CREATE_POLICY && st->duration_ns == 0 && st->is_default && !st->has_shard);
    AF_CHECK_STR(st->database, "d");
    st = read_one(" ALTER RETENTION POLICY p ON d DEFAULT SHARD DURATION 1h -- why\n ");
    AF_CHECK(st->kind == V1_ALTER_POLICY && st->is_default && st->has_shard && !st->has_duration);
    AF_CHECK_SLICE(st->text, "ALTER RETENTION POLICY p ON d DEFAULT SHARD DURATION 1h");
    AF_CHECK(read_one("DROP /* all */ DATABASE d")->kind == V1_DROP_DATABASE);
    st = read_all(";;SHOW DATABASES; SHOW USERS;");
    AF_CHECK(st->kind == V1_SHOW_DATABASES && st->next->kind == V1_SHOW_USERS && st->next->next == NULL);
    AF_CHECK(read_all("") == NULL && read_all(" ; ") == NULL);
    af_arena_done(&arena);
}

AF_TEST(v1_users_and_grants_are_read)
{
    af_arena_init(&arena, SIZE_MAX / 2);
    struct v1_statement *st = read_one("CREATE USER u WITH PASSWORD 'it\\'s\\n' WITH ALL PRIVILEGES");
    AF_CHECK(st->kind == V1_CREATE_USER && st->is_admin);
    AF_CHECK_STR(st->password, "it's\n");
    st = read_one("GRANT ALL ON d TO u");
    AF_CHECK(st->kind == V1_GRANT && st->grant == 3);
    AF_CHECK(read_one("GRANT ALL PRIVILEGES TO u")->kind == V1_GRANT_ADMIN);
    AF_CHECK(read_one("REVOKE WRITE ON d FROM u")->grant == 2);
    AF_CHECK(read_one("REVOKE ALL FROM u")->kind == V1_REVOKE_ADMIN);
    AF_CHECK_STR(read_one("SET PASSWORD FOR u = 'x'")->password, "x");
    AF_CHECK(read_one("SHOW GRANTS FOR u")->kind == V1_SHOW_GRANTS && read_one("DROP USER u")->kind == V1_DROP_USER);
    af_arena_done(&arena);
}

AF_TEST(v1_conditions_and_times_are_read)
{
    af_arena_init(&arena, SIZE_MAX / 2);
    struct v1_statement *st = read_one("DELETE FROM \"m\", d.p.n WHERE time >= now() - 1h AND time < '2024-01-02' "
                                       "AND (a = 'x' OR b != 'y')");
    AF_CHECK(st->kind == V1_DELETE && st->has_time && st->predicate->op == AF_PREDICATE_OR);
    AF_CHECK_INT(st->start_ns, NOW - INT64_C(3600000000000));
    AF_CHECK_INT(st->stop_ns, INT64_C(1704153600000000000));
    AF_CHECK_STR(st->sources->measurement, "m");
    AF_CHECK_STR(st->sources->next->measurement, "n");
    AF_CHECK_STR(st->sources->next->database, "d");
    AF_CHECK_STR(st->sources->next->policy, "p");
    AF_CHECK(af_predicate_match(st->predicate, AF_SLICE_LIT("m,a=x,b=y")) && !af_predicate_match(st->predicate, AF_SLICE_LIT("m,a=z,b=y")));
    st = read_one("DELETE WHERE time = 5");
    AF_CHECK(st->start_ns == 5 && st->stop_ns == 6 && st->predicate == NULL && st->sources == NULL);
    st = read_one("DELETE WHERE time > -5s AND time <= 7");
    AF_CHECK(st->start_ns == -INT64_C(5000000000) + 1 && st->stop_ns == 8);
    st = read_one("SHOW TAG VALUES ON d FROM m WITH KEY IN (a, \"b c\") WHERE x = '' LIMIT 3 OFFSET 4");
    AF_CHECK(st->kind == V1_SHOW_TAG_VALUES && st->limit == 3 && st->offset == 4 && !st->is_not);
    AF_CHECK_STR(st->keys->next->name, "b c");
    AF_CHECK_STR(st->tags->name, "x");
    AF_CHECK(read_one("SHOW TAG VALUES WITH KEY != a")->is_not);
    AF_CHECK_STR(read_one("SHOW MEASUREMENTS WITH MEASUREMENT = cpu")->keys->name, "cpu");
    st = read_one("SHOW SERIES FROM d..m");
    AF_CHECK(st->sources->policy == NULL);
    AF_CHECK_STR(st->sources->database, "d");
    af_arena_done(&arena);
}

AF_TEST(v1_what_asks_for_data_is_left_to_others)
{
    af_arena_init(&arena, SIZE_MAX / 2);
    struct v1_statement *st = read_all("SELECT mean(v) FROM /c.*/ WHERE a =~ /x/ GROUP BY time(1h); SHOW DATABASES");
    AF_CHECK(st->kind == V1_OTHER && st->next->kind == V1_SHOW_DATABASES);
    AF_CHECK_STR(st->name, "SELECT");
    AF_CHECK(read_one("SHOW SERIES CARDINALITY")->kind == V1_OTHER && read_one("KILL QUERY 3")->kind == V1_OTHER);
    af_arena_done(&arena);
}

AF_TEST(v1_refusals_have_influxdbs_words_and_places)
{
    static const char *const refused[][2] = {
        { "FOO", "found FOO, expected SELECT, DELETE, SHOW, CREATE, DROP, EXPLAIN, GRANT, REVOKE, ALTER, SET, KILL at line 1, char 1" },
        { "CREATE", "found EOF, expected CONTINUOUS, DATABASE, USER, RETENTION, SUBSCRIPTION at line 1, char 8" },
        { "CREATE DATABASE", "found EOF, expected identifier at line 1, char 17" },
        { "CREATE DATABASE ", "found EOF, expected identifier at line 1, char 17" },
        { "CREATE DATABASE 1x", "found 1x, expected identifier at line 1, char 17" },
        { "CREATE DATABASE select", "found SELECT, expected identifier at line 1, char 17" },
        { "CREATE DATABASE d1 foo", "found foo, expected ; at line 1, char 20" },
        { "CREATE DATABASE foo-bar", "found -, expected ; at line 1, char 20" },
        { "CREATE DATABASE \"unterminated", "found unterminated, expected identifier at line 1, char 16" },
        { "CREATE USER 'x' WITH PASSWORD 'y'", "found x, expected identifier at line 1, char 12" },
        { "CREATE USER u2 WITH PASSWORD \"x\"", "found x, expected string at line 1, char 30" },
        { "CREATE RETENTION POLICY rp7 ON d1 DURATION 1h", "found EOF, expected REPLICATION at line 1, char 46" },
        { "CREATE RETENTION POLICY rp7 ON d1 DURATION 1x REPLICATION 1", "invalid duration at line 1, char 44" },
        { "CREATE RETENTION POLICY rp7 ON d1 DURATION 1h REPLICATION 0",
          "invalid value 0: must be 1 <= n <= 2147483647 at line 1, char 59" },
        { "SHOW\n  FOO; SHOW",
          "found FOO, expected CONTINUOUS, DATABASES, DIAGNOSTICS, FIELD, GRANTS, MEASUREMENT, MEASUREMENTS, QUERIES, RETENTION, "
                               "SERIES, SHARD, SHARDS, STATS, SUBSCRIPTIONS, TAG, USERS at line 2, char 3" },
        { "DELETE", "found EOF, expected FROM, WHERE at line 1, char 8" },
        { "SHOW MEASUREMENTS LIMIT x", "found x, expected integer at line 1, char 25" },
        { "DELETE FROM m WHERE a = 'x' OR time > 5", "time is not supported under OR at line 1, char 40" },
        { "DELETE FROM m WHERE (time > 5) OR a = 'x'", "time is not supported under OR at line 1, char 42" },
        { "CREATE DATABASE \"\xc3\xa9\" x", "found x, expected ; at line 1, char 21" },
    };
    af_arena_init(&arena, SIZE_MAX / 2);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        check_refused(refused[i][0], af_arena_printf(&arena, "error parsing query: %s", refused[i][1]));
    af_arena_done(&arena);
}

AF_TEST(v1_nesting_has_an_end)
{
    static char text[4096] = "DELETE WHERE ";
    struct v1_statement *first = NULL;
    af_arena_init(&arena, SIZE_MAX / 2);
    memset(text + strlen(text), '(', 2000);
    AF_CHECK_FAILS(v1_statements_parse(af_slice_of(text), NOW, &arena, &first, &err), AF_EINVAL);
    af_arena_done(&arena);
}

AF_TEST(v1_statements_are_counted)
{
    static const char one[] = "SHOW DATABASES;";
    static char text[sizeof one * (AF_SERVER_STATEMENTS_MAX + 1)];
    struct v1_statement *first = NULL;
    for (size_t i = 0; i < AF_SERVER_STATEMENTS_MAX; i++)
        memcpy(text + i * (sizeof one - 1), one, sizeof one);
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK_OK(v1_statements_parse(af_slice_of(text), NOW, &arena, &first, &err), err);
    memcpy(text + strlen(text), one, sizeof one);
    AF_CHECK_FAILS(v1_statements_parse(af_slice_of(text), NOW, &arena, &first, &err), AF_ELIMIT);
    af_arena_done(&arena);
}

AF_TEST(v1_statements_without_memory)
{
    static const char text[] = "DELETE FROM \"a\" WHERE (a = 'x' OR b = 'y') AND time > now(); GRANT ALL ON d TO u";
    bool failed = true;
    for (size_t nth = 1; nth < 100 && failed; nth++) {
        struct v1_statement *first = NULL;
        af_arena_init(&arena, SIZE_MAX / 2);
        af_alloc_fail_nth(nth);
        enum af_status status = v1_statements_parse(af_slice_of(text), NOW, &arena, &first, &err);
        failed = af_alloc_fail_nth(0) >= nth;
        AF_CHECK(failed ? status == AF_ENOMEM && first == NULL : status == AF_OK && first != NULL);
        af_arena_done(&arena);
    }
    AF_CHECK(!failed);
}
