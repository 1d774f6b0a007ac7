/* parse_test.c - texts parsed and printed again, errors in their words, limits, parameters, memory that runs out. */
#include "base/alloc.h"
#include "base/limits.h"
#include "lang/influxql/parse_int.h"
#include "test/lib/test.h"

static struct af_arena arena;
static struct af_buf out;
static struct af_error err;

static void setup(void)
{
    af_arena_init(&arena, 64 << 20);
    af_buf_init(&out, 8 << 20);
    err = (struct af_error){ 0 };
}

static void teardown(void)
{
    af_buf_done(&out);
    af_arena_done(&arena);
}

static struct af_ql_statement *parse(const char *text)
{
    struct af_ql_statement *first = NULL;
    AF_CHECK_OK(af_ql_parse(af_slice_of(text), NULL, &arena, &first, &err), err);
    return first;
}

static const char *print(const struct af_ql_statement *statement)
{
    af_buf_clear(&out);
    af_ql_print(&out, statement);
    return af_buf_cstr(&out);
}

/* --- what is accepted ------------------------------------------------------------------------------------------------------------ */

static const struct {
    enum af_ql_kind kind;
    const char *text;
    const char *printed; /* NULL: as it is written */
} accepted[] = {
    { AF_QL_SELECT, "SELECT * FROM cpu", NULL },
    { AF_QL_SELECT, "select f,\"g h\" as i from \"my m\" ", "SELECT f, \"g h\" AS i FROM \"my m\"" },
    { AF_QL_SELECT, "SELECT *::field, *::tag FROM a", NULL },
    { AF_QL_SELECT, "SELECT a::float, b::INTEGER, c::unsigned, d::string, e::boolean, f::field, g::tag FROM m",
      "SELECT a::float, b::integer, c::unsigned, d::string, e::boolean, f::field, g::tag FROM m" },
    { AF_QL_SELECT, "SELECT MEAN(/a\\/b/), count(distinct(x)), DISTINCT y FROM db.rp.m, db..m, rp.m, /re/, db.rp./re/, db../re/, rp./re/",
      "SELECT mean(/a\\/b/), count(distinct(x)), DISTINCT y FROM db.rp.m, db..m, rp.m, /re/, db.rp./re/, db../re/, rp./re/" },
    { AF_QL_SELECT, "SELECT -x, +x, -1, -1.5, -1h, -(a + b), - f(x) FROM m",
      "SELECT -1 * x, 1 * x, -1, -1.500, -1h, -1 * (a + b), -1 * f(x) FROM m" },
    { AF_QL_SELECT, "SELECT a + b * c - d / e % f & g | h ^ i FROM m", NULL },
    { AF_QL_SELECT,
      "SELECT x FROM m WHERE a = 1 AND b != 2 OR c <> 'x\\'y' AND d =~ /x/ AND e !~ /y/ AND f < 1 AND g <= 2 AND h > .5 OR i >= 1.",
      "SELECT x FROM m WHERE a = 1 AND b != 2 OR c != 'x\\'y' AND d =~ /x/ AND e !~ /y/ AND f < 1 AND g <= 2 AND h > 0.500 OR i >= 1.000" },
    { AF_QL_SELECT, "SELECT x FROM m WHERE (a = true OR b = FALSE) AND time > now() - 1h30m AND u = 18446744073709551615",
      "SELECT x FROM m WHERE (a = true OR b = false) AND time > now() - 90m AND u = 18446744073709551615" },
    { AF_QL_SELECT,
      "SELECT mean(x) FROM m GROUP BY time(1d, 6h), host, *, /r/ fill(none) ORDER BY time DESC LIMIT 1 OFFSET 2 SLIMIT 3 SOFFSET 4",
      NULL },
    { AF_QL_SELECT, "SELECT mean(x) FROM m GROUP BY time(1000u) FILL(-1.5) ORDER BY ASC TZ('America/Sao_Paulo')",
      "SELECT mean(x) FROM m GROUP BY time(1ms) fill(-1.5) ORDER BY ASC TZ('America/Sao_Paulo')" },
    { AF_QL_SELECT, "SELECT mean(x) FROM m fill(0.0000001) LIMIT 0 tz('')", "SELECT mean(x) FROM m fill(0.0000001) TZ('UTC')" },
    { AF_QL_SELECT, "SELECT mean(x) FROM m fill(123456789012345678901234567890.0)",
      "SELECT mean(x) FROM m fill(123456789012345680000000000000.0)" },
    { AF_QL_SELECT, "SELECT x INTO db.rp.t FROM m", NULL },
    { AF_QL_SELECT, "SELECT x INTO t FROM m", NULL },
    { AF_QL_SELECT, "SELECT x INTO db.rp.:MEASUREMENT FROM /.*/", NULL },
    { AF_QL_SELECT, "SELECT x INTO \"\" FROM /.*/", NULL },
    { AF_QL_SELECT, "SELECT x FROM (SELECT mean(y) AS x FROM (SELECT * FROM z) WHERE a = 1 GROUP BY b LIMIT 2), other", NULL },
    { AF_QL_SELECT, "SELECT x -- a comment\n/* and\n * another **/ FROM m", "SELECT x FROM m" },
    { AF_QL_SELECT, "SELECT \"a.b\", a.b.c FROM m", "SELECT \"a.b\", \"a.b.c\" FROM m" },
    { AF_QL_SELECT, "SELECT DISTINCT \"a b\", \"odd f\"(x) FROM m", NULL },
    { AF_QL_SELECT, "SELECT \"sel\\\"ect\\n\\\\\" FROM \"select\"", NULL },
    { AF_QL_SELECT, "SELECT 1.0005, 2.0625, 123456789012345678901234567890.5, 0.0004 FROM m",
      "SELECT 1.000, 2.062, 123456789012345677877719597056.000, 0.000 FROM m" },
    { AF_QL_EXPLAIN, "EXPLAIN SELECT x FROM m", NULL },
    { AF_QL_EXPLAIN_ANALYZE, "EXPLAIN ANALYZE SELECT x FROM m", NULL },
    { AF_QL_DELETE, "DELETE FROM cpu", NULL },
    { AF_QL_DELETE, "DELETE WHERE time < '2000-01-01'", NULL },
    { AF_QL_DELETE, "DELETE FROM /x/, cpu WHERE host = 'a'", NULL },
    { AF_QL_DROP_SERIES, "DROP SERIES FROM cpu WHERE host = 'a'", NULL },
    { AF_QL_DROP_MEASUREMENT, "DROP MEASUREMENT \"a b\"", NULL },
    { AF_QL_DROP_SHARD, "DROP SHARD 12", NULL },
    { AF_QL_CREATE_DATABASE, "CREATE DATABASE \"a b\"", NULL },
    { AF_QL_CREATE_DATABASE, "CREATE DATABASE a WITH DURATION 1d REPLICATION 1 SHARD DURATION 90m NAME b",
      "CREATE DATABASE a WITH DURATION 24h0m0s REPLICATION 1 SHARD DURATION 1h30m0s NAME b" },
    { AF_QL_CREATE_DATABASE, "CREATE DATABASE a WITH DURATION INF SHARD DURATION 1500ms",
      "CREATE DATABASE a WITH DURATION 0s SHARD DURATION 1500ms" },
    { AF_QL_DROP_DATABASE, "DROP DATABASE a", NULL },
    { AF_QL_CREATE_POLICY, "CREATE RETENTION POLICY p ON d DURATION 2h REPLICATION 3 SHARD DURATION 1h DEFAULT", NULL },
    { AF_QL_CREATE_POLICY, "CREATE RETENTION POLICY p ON d DURATION INF REPLICATION 1",
      "CREATE RETENTION POLICY p ON d DURATION 0s REPLICATION 1" },
    { AF_QL_ALTER_POLICY, "ALTER RETENTION POLICY p ON d DEFAULT SHARD DURATION 1h REPLICATION 2 DURATION 1w",
      "ALTER RETENTION POLICY p ON d DURATION 1w REPLICATION 2 SHARD DURATION 1h DEFAULT" },
    { AF_QL_ALTER_POLICY, "ALTER RETENTION POLICY DEFAULT ON d REPLICATION 2", "ALTER RETENTION POLICY \"default\" ON d REPLICATION 2" },
    { AF_QL_DROP_POLICY, "DROP RETENTION POLICY p ON d", NULL },
    { AF_QL_CREATE_USER, "CREATE USER u WITH PASSWORD 'secret'", "CREATE USER u WITH PASSWORD [REDACTED]" },
    { AF_QL_CREATE_USER, "CREATE USER u WITH PASSWORD 'secret' WITH ALL PRIVILEGES",
      "CREATE USER u WITH PASSWORD [REDACTED] WITH ALL PRIVILEGES" },
    { AF_QL_DROP_USER, "DROP USER u", NULL },
    { AF_QL_SET_PASSWORD, "SET PASSWORD FOR u = 'secret'", "SET PASSWORD FOR u = [REDACTED]" },
    { AF_QL_GRANT, "GRANT READ ON d TO u", NULL },
    { AF_QL_GRANT, "GRANT ALL ON d TO u", "GRANT ALL PRIVILEGES ON d TO u" },
    { AF_QL_GRANT_ADMIN, "GRANT ALL PRIVILEGES TO u", NULL },
    { AF_QL_REVOKE, "REVOKE WRITE ON d FROM u", NULL },
    { AF_QL_REVOKE_ADMIN, "REVOKE ALL FROM u", "REVOKE ALL PRIVILEGES FROM u" },
    { AF_QL_CREATE_CQ,
      "CREATE CONTINUOUS QUERY q ON d RESAMPLE EVERY 10m FOR 1h BEGIN SELECT mean(x) INTO y FROM z GROUP BY time(5m) END", NULL },
    { AF_QL_CREATE_CQ, "CREATE CONTINUOUS QUERY q ON d BEGIN SELECT x INTO y FROM z END", NULL },
    { AF_QL_DROP_CQ, "DROP CONTINUOUS QUERY q ON d", NULL },
    { AF_QL_CREATE_SUBSCRIPTION, "CREATE SUBSCRIPTION s ON d.p DESTINATIONS ANY 'udp://a:1', 'http://b'", NULL },
    { AF_QL_CREATE_SUBSCRIPTION, "CREATE SUBSCRIPTION s ON d.p DESTINATIONS ALL 'x'", NULL },
    { AF_QL_DROP_SUBSCRIPTION, "DROP SUBSCRIPTION s ON \"d d\".p", NULL },
    { AF_QL_KILL_QUERY, "KILL QUERY 4 ON \"host:8088\"", NULL },
    { AF_QL_KILL_QUERY, "KILL QUERY 18446744073709551615", NULL },
    { AF_QL_SHOW_DATABASES, "show databases", "SHOW DATABASES" },
    { AF_QL_SHOW_POLICIES, "SHOW RETENTION POLICIES ON d", NULL },
    { AF_QL_SHOW_MEASUREMENTS, "SHOW MEASUREMENTS ON d WITH MEASUREMENT =~ /a/ WHERE h = 'x' ORDER BY time ASC LIMIT 1 OFFSET 2", NULL },
    { AF_QL_SHOW_MEASUREMENTS, "SHOW MEASUREMENTS WITH MEASUREMENT = db.rp.m", NULL },
    { AF_QL_SHOW_SERIES, "SHOW SERIES ON d FROM m WHERE h = 'x' LIMIT 1 OFFSET 2", NULL },
    { AF_QL_SHOW_SERIES_CARDINALITY, "SHOW SERIES CARDINALITY", NULL },
    { AF_QL_SHOW_SERIES_CARDINALITY, "SHOW SERIES EXACT CARDINALITY ON d FROM m WHERE h = 'x' GROUP BY h LIMIT 1 OFFSET 2", NULL },
    { AF_QL_SHOW_MEASUREMENT_CARDINALITY, "SHOW MEASUREMENT CARDINALITY ON d", NULL },
    { AF_QL_SHOW_MEASUREMENT_CARDINALITY, "SHOW MEASUREMENT EXACT CARDINALITY", NULL },
    { AF_QL_SHOW_TAG_KEYS, "SHOW TAG KEYS ON d FROM m WHERE h = 'x' LIMIT 1 OFFSET 2 SLIMIT 3 SOFFSET 4", NULL },
    { AF_QL_SHOW_TAG_KEY_CARDINALITY, "SHOW TAG KEY EXACT CARDINALITY FROM m", NULL },
    { AF_QL_SHOW_TAG_VALUES, "SHOW TAG VALUES ON d FROM m WITH KEY = \"a b\" WHERE h = 'x' LIMIT 1", NULL },
    { AF_QL_SHOW_TAG_VALUES, "SHOW TAG VALUES WITH KEY IN (a, \"b c\")", NULL },
    { AF_QL_SHOW_TAG_VALUES, "SHOW TAG VALUES WITH KEY !~ /a/", NULL },
    { AF_QL_SHOW_TAG_VALUES, "SHOW TAG VALUES WITH KEY != a", NULL },
    { AF_QL_SHOW_TAG_VALUES_CARDINALITY, "SHOW TAG VALUES CARDINALITY WITH KEY = a GROUP BY b", NULL },
    { AF_QL_SHOW_TAG_VALUES_CARDINALITY, "SHOW TAG VALUES EXACT CARDINALITY ON d WITH KEY =~ /a/", NULL },
    { AF_QL_SHOW_FIELD_KEYS, "SHOW FIELD KEYS ON d FROM m LIMIT 1 OFFSET 2", NULL },
    { AF_QL_SHOW_FIELD_KEY_CARDINALITY, "SHOW FIELD KEY CARDINALITY ON d", NULL },
    { AF_QL_SHOW_USERS, "SHOW USERS", NULL },
    { AF_QL_SHOW_GRANTS, "SHOW GRANTS FOR u", NULL },
    { AF_QL_SHOW_CQS, "SHOW CONTINUOUS QUERIES", NULL },
    { AF_QL_SHOW_SUBSCRIPTIONS, "SHOW SUBSCRIPTIONS", NULL },
    { AF_QL_SHOW_QUERIES, "SHOW QUERIES", NULL },
    { AF_QL_SHOW_SHARDS, "SHOW SHARDS", NULL },
    { AF_QL_SHOW_SHARD_GROUPS, "SHOW SHARD GROUPS", NULL },
    { AF_QL_SHOW_STATS, "SHOW STATS FOR 'wr\\'ite'", NULL },
    { AF_QL_SHOW_DIAGNOSTICS, "SHOW DIAGNOSTICS", NULL },
};

AF_TEST(statements_print_as_influxdb_prints_them)
{
    setup();
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        struct af_ql_statement *statement = parse(accepted[i].text);
        AF_CHECK(statement->next == NULL);
        AF_CHECK_INT(statement->kind, accepted[i].kind);
        AF_CHECK_STR(print(statement), accepted[i].printed != NULL ? accepted[i].printed : accepted[i].text);
    }
    teardown();
}

AF_TEST(every_kind_of_statement_is_in_the_table)
{
    bool seen[AF_QL_SHOW_FIELD_KEY_CARDINALITY + 1] = { false };
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++)
        seen[accepted[i].kind] = true;
    for (size_t i = 0; i < sizeof seen; i++)
        AF_CHECK(seen[i]);
}

/* --- what is refused ------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *text, *words;
} refused[] = {
    { "FOO", "found FOO, expected SELECT, DELETE, SHOW, CREATE, DROP, EXPLAIN, GRANT, REVOKE, ALTER, SET, KILL at line 1, char 1" },
    { "SELECT", "found EOF, expected identifier, string, number, bool at line 1, char 8" },
    { "SELECT x", "found EOF, expected FROM at line 1, char 10" },
    { "SELECT x FROM m\n WHERE", "found EOF, expected identifier, string, number, bool at line 2, char 8" },
    { "SELECT x FROM 'm'", "found m, expected identifier at line 1, char 14" },
    { "SELECT x FROM m m", "found m, expected ; at line 1, char 17" },
    { "SELECT x FROM a.b.c.d", "too many segments in \"a\".\"b\".\"c\".d at line 1, char 1" },
    { "SELECT x FROM m WHERE a =~ 'x'", "found x, expected regex at line 1, char 27" },
    { "SELECT x FROM m WHERE a =~ /x", "bad regex:  at line 1, char 27" },
    { "SELECT x FROM cpu /abc/", "found  , expected regex at line 1, char 18" },
    { "SELECT x FROM m WHERE a = 'x", "found x, expected identifier, string, number, bool at line 1, char 26" },
    { "SELECT x FROM m WHERE a = 'x\\q'", "found \\q, expected identifier, string, number, bool at line 1, char 30" },
    { "SELECT x = 1 FROM m", "invalid operator = in SELECT clause at line 1, char 8; operator is intended for WHERE clause" },
    { "SELECT f(x AND y) FROM m", "invalid operator AND in SELECT clause at line 1, char 8; operator is intended for WHERE clause" },
    { "SELECT x::foo FROM m", "found foo, expected float, integer, unsigned, string, boolean, field, tag at line 1, char 11" },
    { "SELECT x::1 FROM m", "found 1, expected float, integer, string, boolean, field, tag at line 1, char 11" },
    { "SELECT *::float FROM m", "found float, expected field, tag at line 1, char 11" },
    { "SELECT DISTINCT( FROM m", "found FROM, expected identifier, string, number, bool at line 1, char 18" },
    { "SELECT DISTINCT", "found EOF, expected (, identifier at line 1, char 17" },
    { "SELECT -'a' FROM m", "found a, expected identifier, number, duration, ( at line 1, char 8" },
    { "SELECT -9223372036854775809 FROM m", "constant -9223372036854775809 underflows int64" },
    { "SELECT 18446744073709551616 FROM m", "unable to parse integer at line 1, char 8" },
    { "SELECT 1h2 FROM m", "invalid duration" },
    { "SELECT x FROM m WHERE time > 9223372036854775807w", "overflowed duration 9223372036854775807w: choose a smaller duration or INF" },
    { "SELECT mean(x FROM m", "found FROM, expected ) at line 1, char 15" },
    { "SELECT (x FROM m", "found FROM, expected ) at line 1, char 11" },
    { "SELECT x FROM m LIMIT a", "found a, expected integer at line 1, char 23" },
    { "SELECT x FROM m ORDER BY y", "only ORDER BY time supported at this time" },
    { "SELECT x FROM m ORDER BY time, y", "only ORDER BY time supported at this time" },
    { "SELECT x FROM m ORDER BY 1", "found 1, expected identifier, ASC, DESC at line 1, char 26" },
    { "SELECT x FROM m ORDER x", "found x, expected BY at line 1, char 23" },
    { "SELECT x FROM m GROUP x", "found x, expected BY at line 1, char 23" },
    { "SELECT x FROM m fill", "fill must be a function call" },
    { "SELECT x FROM m fill()", "fill requires an argument, e.g.: 0, null, none, previous, linear" },
    { "SELECT x FROM m fill(NULL)", "expected number argument in fill()" },
    { "SELECT x FROM m tz(1)", "expected string argument in tz()" },
    { "SELECT x FROM m tz", "tz must be a function call" },
    { "SELECT x FROM m tz('Mars/Base')", "unable to find time zone Mars/Base" },
    { "SELECT x FROM (DELETE FROM m)", "found DELETE, expected SELECT at line 1, char 16" },
    { "SELECT x FROM $m", "found $m, expected identifier at line 1, char 15" },
    { "SELECT $x FROM m", "missing parameter: x" },
    { "SELECT $ FROM m", "empty bound parameter" },
    { "SELECT x /* FROM m", "found ILLEGAL, expected FROM at line 1, char 10" },
    { "SELECT \xff FROM m", "found \xef\xbf\xbd, expected identifier, string, number, bool at line 1, char 8" },
    { "DELETE", "found EOF, expected FROM, WHERE at line 1, char 8" },
    { "DELETE FROM a.b", "retention policy not supported at line 1, char 1" },
    { "DROP SERIES FROM a..b", "database not supported at line 1, char 1" },
    { "DROP SHARD 18446744073709551616", "strconv.ParseUint: parsing \"18446744073709551616\": value out of range at line 1, char 12" },
    { "CREATE DATABASE a WITH b", "found b, expected DURATION, NAME, REPLICATION, SHARD at line 1, char 24" },
    { "CREATE DATABASE a WITH REPLICATION 0", "invalid value 0: must be 1 <= n <= 2147483647 at line 1, char 36" },
    { "CREATE DATABASE a WITH DURATION x", "found x, expected duration at line 1, char 33" },
    { "CREATE DATABASE a CREATE DATABASE b", "found CREATE, expected ; at line 1, char 19" },
    { "CREATE RETENTION POLICY p ON d DURATION 1h REPLICATION 99999999999999999999",
      "strconv.Atoi: parsing \"99999999999999999999\": value out of range at line 1, char 56" },
    { "CREATE RETENTION POLICY p ON d DURATION 1h REPLICATION 1 SHARD DURATION INF",
      "invalid duration INF for shard duration at line 1, char 73" },
    { "ALTER RETENTION POLICY p ON d", "found EOF, expected DURATION, REPLICATION, SHARD, DEFAULT at line 1, char 31" },
    { "ALTER RETENTION POLICY p ON d DEFAULT DEFAULT", "found duplicate DEFAULT option at line 1, char 39" },
    { "GRANT x", "found x, expected READ, WRITE, ALL [PRIVILEGES] at line 1, char 7" },
    { "GRANT READ TO u", "found TO, expected ON at line 1, char 12" },
    { "GRANT ALL u", "found u, expected ON, TO at line 1, char 11" },
    { "REVOKE ALL u", "found u, expected ON, FROM at line 1, char 12" },
    { "REVOKE READ FROM u", "found FROM, expected ON at line 1, char 13" },
    { "CREATE USER u WITH PASSWORD x", "found x, expected string at line 1, char 29" },
    { "SET PASSWORD FOR u 'x'", "found x, expected = at line 1, char 19" },
    { "CREATE SUBSCRIPTION s ON d DESTINATIONS", "found  , expected . at line 1, char 27" },
    { "CREATE SUBSCRIPTION s ON d.p DESTINATIONS x", "found x, expected ALL, ANY at line 1, char 43" },
    { "CREATE CONTINUOUS QUERY q ON d RESAMPLE BEGIN", "found BEGIN, expected EVERY, FOR at line 1, char 41" },
    { "CREATE CONTINUOUS QUERY q ON d BEGIN SELECT x FROM m END", "found FROM, expected INTO at line 1, char 47" },
    { "CREATE CONTINUOUS QUERY q ON d BEGIN SELECT mean(x) INTO y FROM m END", "found m, expected GROUP BY time(...) at line 1, char 65" },
    { "CREATE CONTINUOUS QUERY q ON d RESAMPLE FOR 1m BEGIN SELECT mean(x) INTO y FROM m GROUP BY time(5m) END",
      "FOR duration must be >= GROUP BY time duration: must be a minimum of 5m, got 1m" },
    { "SHOW", "found EOF, expected CONTINUOUS, DATABASES, DIAGNOSTICS, FIELD, GRANTS, MEASUREMENT, MEASUREMENTS, QUERIES, RETENTION, "
              "SERIES, SHARD, SHARDS, STATS, SUBSCRIPTIONS, TAG, USERS at line 1, char 6" },
    { "SHOW TAG VALUES", "found EOF, expected WITH at line 1, char 17" },
    { "SHOW TAG VALUES WITH KEY < a", "found <, expected IN, =, =~ at line 1, char 26" },
    { "SHOW TAG KEY", "found EOF, expected EXACT, CARDINALITY at line 1, char 14" },
    { "SHOW FIELD KEY EXACT", "found EOF, expected CARDINALITY at line 1, char 22" },
    { "SHOW MEASUREMENTS WITH MEASUREMENT != a", "found !=, expected =, =~ at line 1, char 36" },
};

AF_TEST(errors_have_influxdbs_words)
{
    setup();
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct af_ql_statement *first = (struct af_ql_statement *)&arena, *kept = first;
        AF_CHECK_FAILS(af_ql_parse(af_slice_of(refused[i].text), NULL, &arena, &first, &err), AF_EINVAL);
        AF_CHECK_STR(err.message, refused[i].words);
        AF_CHECK(first == kept);
    }
    AF_CHECK_FAILS(af_ql_parse(AF_SLICE_LIT("SHOW\n  FOO"), NULL, &arena, &(struct af_ql_statement *){ NULL }, &err), AF_EINVAL);
    AF_CHECK_INT(err.line, 2);
    AF_CHECK_INT(err.column, 3);
    teardown();
}

/* --- trees ----------------------------------------------------------------------------------------------------------------------- */

AF_TEST(operators_bind_as_they_should)
{
    setup();
    struct af_ql_expr *e;
    AF_CHECK_OK(af_ql_parse_expr(AF_SLICE_LIT("a OR b AND c = 1 + 2 * 3 - 4"), &arena, &e, &err), err);
    AF_CHECK_INT(e->op, AF_QL_OR);
    AF_CHECK_INT(e->right->op, AF_QL_AND);
    AF_CHECK_INT(e->right->right->op, AF_QL_EQ);
    AF_CHECK_INT(e->right->right->right->op, AF_QL_SUB);
    AF_CHECK_INT(e->right->right->right->left->op, AF_QL_ADD);
    AF_CHECK_INT(e->right->right->right->left->right->op, AF_QL_MUL);
    AF_CHECK_OK(af_ql_parse_expr(AF_SLICE_LIT("a / -b * c"), &arena, &e, &err), err); /* (a / (-1 * b)) * c */
    AF_CHECK_INT(e->op, AF_QL_MUL);
    AF_CHECK_INT(e->left->op, AF_QL_DIV);
    AF_CHECK_INT(e->left->right->left->integer, -1);
    AF_CHECK_FAILS(af_ql_parse_expr(AF_SLICE_LIT("a b"), &arena, &e, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, "found b, expected EOF at line 1, char 3");
    teardown();
}

AF_TEST(statements_know_their_text)
{
    setup();
    struct af_ql_statement *s = parse(" ;; select x from m ;\n SHOW DATABASES-- end\n;drop user u");
    AF_CHECK_SLICE(s->text, "select x from m");
    AF_CHECK_SLICE(s->next->text, "SHOW DATABASES-- end");
    AF_CHECK_SLICE(s->next->next->text, "drop user u");
    AF_CHECK(s->next->next->next == NULL);
    AF_CHECK_STR(s->next->next->user, "u");
    AF_CHECK(parse("") == NULL);
    AF_CHECK(parse(" -- nothing\n;") == NULL);
    teardown();
}

AF_TEST(what_was_not_said_is_null)
{
    setup();
    struct af_ql_statement *s = parse("SELECT x AS \"\" INTO a.\"\" FROM \"\".\"\".m, db../r/, \"\";"
                                      "SHOW SERIES ON \"\"; SHOW STATS FOR ''");
    AF_CHECK(s->select->fields[0].alias == NULL);
    AF_CHECK(s->select->target->is_target_backref && s->select->target->name == NULL);
    AF_CHECK_STR(s->select->target->policy, "a");
    AF_CHECK(s->select->sources[0].database == NULL && s->select->sources[0].policy == NULL);
    AF_CHECK_STR(s->select->sources[1].database, "db");
    AF_CHECK(s->select->sources[1].policy == NULL && s->select->sources[1].name == NULL);
    AF_CHECK_STR(s->select->sources[2].name, "");
    AF_CHECK(s->next->database == NULL && s->next->next->name == NULL);
    teardown();
}

/* --- limits ---------------------------------------------------------------------------------------------------------------------- */

static void repeat(struct af_buf *text, const char *piece, size_t count)
{
    for (size_t i = 0; i < count; i++)
        af_buf_append_str(text, piece);
}

static enum af_status parse_made(const char *head, const char *piece, size_t count, const char *tail)
{
    struct af_ql_statement *first = NULL;
    struct af_buf text;
    af_buf_init(&text, 8 << 20);
    af_buf_append_str(&text, head);
    repeat(&text, piece, count);
    af_buf_append_str(&text, tail);
    enum af_status status = af_ql_parse(af_buf_slice(&text), NULL, &arena, &first, &err);
    af_buf_done(&text);
    if (status == AF_OK)
        (void)print(first);
    return status;
}

AF_TEST(nesting_is_limited)
{
    setup();
    AF_CHECK_FAILS(parse_made("SELECT ", "(", 10000, "x"), AF_ELIMIT);
    AF_CHECK_FAILS(parse_made("SELECT ", "f(", 10000, "x"), AF_ELIMIT);
    AF_CHECK_FAILS(parse_made("SELECT ", "-(", 10000, "x"), AF_ELIMIT);
    AF_CHECK_FAILS(parse_made("SELECT x FROM ", "(SELECT x FROM ", 10000, "x"), AF_ELIMIT);
    AF_CHECK_FAILS(parse_made("SELECT x", " + x", 100000, " FROM m"), AF_ELIMIT);
    AF_CHECK_OK(parse_made("SELECT x", " + x", AF_QUERY_DEPTH_MAX - 1, " FROM m"), err);
    AF_CHECK_FAILS(parse_made("SELECT x", " + x", AF_QUERY_DEPTH_MAX, " FROM m"), AF_ELIMIT);
    AF_CHECK_FAILS(parse_made("", "SHOW USERS;", AF_SERVER_STATEMENTS_MAX + 1, ""), AF_ELIMIT);
    AF_CHECK_OK(parse_made("", "SHOW USERS;", AF_SERVER_STATEMENTS_MAX, ""), err);
    teardown();
}

AF_TEST(long_chains_of_or_are_shallow)
{
    setup();
    AF_CHECK_OK(parse_made("SELECT x FROM m WHERE h = 'a'", " OR h = 'b' AND g = 'c'", 20000, ""), err);
    AF_CHECK_INT(out.len, 29 + 20000 * 23);
    struct af_ql_expr *e;
    AF_CHECK_OK(af_ql_parse_expr(AF_SLICE_LIT("a OR b OR c OR d OR e OR f OR g OR h"), &arena, &e, &err), err);
    AF_CHECK_INT(e->height, 4);
    AF_CHECK_STR(e->left->left->left->name, "a");
    AF_CHECK_STR(e->right->right->right->name, "h");
    teardown();
}

AF_TEST(long_words_do_not_hide_what_was_expected)
{
    setup();
    AF_CHECK_FAILS(parse_made("SHOW ", "x", 100000, ""), AF_EINVAL);
    AF_CHECK(strstr(err.message, "TAG, USERS at line 1, char 6") != NULL);
    teardown();
}

/* --- parameters ------------------------------------------------------------------------------------------------------------------ */

static enum af_status give(void *ctx, const char *name, struct af_arena *to, struct af_ql_expr **value, struct af_error *why)
{
    (void)to;
    static struct af_ql_expr made;
    made = (struct af_ql_expr){ .name = ctx, .text = af_slice_of(ctx), .integer = -5 };
    *value = &made;
    switch (name[0]) {
    case 'n': made.kind = AF_QL_REF; break;
    case 's': made.kind = AF_QL_STRING; break;
    case 'r': made.kind = AF_QL_REGEX; break;
    case 'i': made.kind = AF_QL_INTEGER; break;
    case 'd': made.kind = AF_QL_DURATION; break;
    case 'f':
        made.kind = AF_QL_NUMBER;
        made.number = 2.5;
        break;
    case 'b':
        made.kind = AF_QL_BOOLEAN;
        made.boolean = true;
        break;
    case 'e': return af_fail(why, AF_EINVAL, "unable to bind parameter with type []");
    case 'm': return af_fail_nomem(why, "a parameter");
    default: *value = NULL;
    }
    return AF_OK;
}

AF_TEST(parameters_stand_for_literals)
{
    static const struct {
        const char *text, *result; /* of a failure: the words */
    } cases[] = {
        { "SELECT $n FROM $n WHERE $n = $s AND x =~ $r", "SELECT \"it's\" FROM \"it's\" WHERE \"it's\" = 'it\\'s' AND x =~ /it's/" },
        { "SELECT $\"n\", $n($i), $f FROM m WHERE a = $b GROUP BY time($d)",
          "SELECT \"it's\", \"it's\"(-5), 2.500 FROM m WHERE a = true GROUP BY time(-5ns)" },
        { "SELECT x FROM $r", "SELECT x FROM /it's/" },
        { "SELECT x FROM m LIMIT $i", "LIMIT must be >= 0 at line 1, char 23" },
        { "SELECT x FROM m LIMIT $s", "found it's, expected integer at line 1, char 23" },
        { "SELECT $x FROM m", "missing parameter: x" },
        { "SELECT $e FROM m", "missing parameter: unable to bind parameter with type []" }, /* so InfluxDB says */
        { "SELECT x FROM $e", "found unable to bind parameter with type [], expected identifier at line 1, char 15" },
        { "DROP SHARD $i", "strconv.ParseUint: parsing \"-5\": invalid syntax at line 1, char 12" },
    };
    char text[] = "it's";
    struct af_ql_params params = { text, give };
    setup();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct af_ql_statement *first = NULL;
        enum af_status status = af_ql_parse(af_slice_of(cases[i].text), &params, &arena, &first, &err);
        AF_CHECK_STR(status == AF_OK ? print(first) : err.message, cases[i].result);
    }
    AF_CHECK_FAILS(af_ql_parse(AF_SLICE_LIT("SELECT $m FROM m"), &params, &arena, &(struct af_ql_statement *){ NULL }, &err), AF_ENOMEM);
    AF_CHECK_FAILS(af_ql_parse(AF_SLICE_LIT("SHOW USERS; $m"), &params, &arena, &(struct af_ql_statement *){ NULL }, &err), AF_ENOMEM);
    teardown();
}

/* --- memory ---------------------------------------------------------------------------------------------------------------------- */

AF_TEST(every_allocation_may_fail)
{
    static const char text[] = "SELECT mean(\"a b\"), -x INTO d.p.t FROM /r/, (SELECT * FROM q.m) WHERE h = 'x' AND "
                               "(g =~ /y/ OR u = 1) GROUP BY time(1h), g "
                               "fill(0) ORDER BY time DESC LIMIT 3 TZ('America/Sao_Paulo'); SHOW TAG VALUES WITH KEY IN (a, b, c)";
    bool has_failed = true;
    for (size_t nth = 1; has_failed; nth++) {
        struct af_ql_statement *first = NULL;
        setup();
        (void)af_alloc_fail_nth(nth);
        enum af_status status = af_ql_parse(af_slice_of(text), NULL, &arena, &first, &err);
        (void)af_alloc_fail_nth(0);
        has_failed = status != AF_OK;
        if (has_failed) {
            AF_CHECK_INT(status, AF_ENOMEM);
            AF_CHECK(first == NULL);
        }
        teardown();
    }
    struct af_ql_statement *first = NULL;
    af_arena_init(&arena, 4096);
    AF_CHECK_FAILS(af_ql_parse(af_slice_of(text), NULL, &arena, &first, &err), AF_ELIMIT);
    af_arena_done(&arena);
}

AF_TEST(durations_are_read_and_printed)
{
    static const struct {
        const char *text, *printed;
    } cases[] = {
        { "0s", "0s" }, { "1h30m", "90m" }, { "7d", "1w" }, { "24h", "1d" }, { "1500ms", "1500ms" }, { "3\xc2\xb5", "3u" },
        { "1000ns", "1u" }, { "-90s", "-90s" }, { "9223372036854775807ns", "9223372036854775807ns" },
    };
    static const char *const wrong[] = { "", "5", "s", "5x", "1h5", "5n", "1.5h", "5\xc2\xb5s", "h5", "99999999999999999999s" };
    int64_t ns;
    setup();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        af_buf_clear(&out);
        AF_CHECK_OK(af_ql_duration_parse(af_slice_of(cases[i].text), &ns, &err), err);
        af_ql_print_duration(&out, ns);
        AF_CHECK_STR(af_buf_cstr(&out), cases[i].printed);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        AF_CHECK_FAILS(af_ql_duration_parse(af_slice_of(wrong[i]), &ns, &err), AF_EINVAL);
    teardown();
}
