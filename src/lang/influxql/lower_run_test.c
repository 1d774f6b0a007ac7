/*
 * lower_run_test.c - SELECTs from text to answer, over a memory store: lowered, improved by rules and not, carried out.
 *
 * Each answer here is that of an InfluxDB 1.8.10 and of a 1.6.7, which were given the same lines.
 */
#include "exec/exec.h"
#include "lang/influxql/influxql.h"
#include "store/memory.h"
#include "test/lib/test.h"

static const char lines[] =
    "cpu,host=a,region=x value=1,total=10i,label=\"u\",ok=true 0\n"
    "cpu,host=b,region=y value=2,total=20i 10\n"
    "cpu,host=a,region=x value=3,total=-7i,label=\"v\" 20\n"
    "cpu,host=c value=4.5,ok=false 30\n"
    "cpu,host=b,region=y total=5i,label=\"u\" 40\n"
    "cpu,host=a,region=x value=-2.5,ok=true 60\n"
    "cpu,host=b,region=y value=8,total=4i 70\n"
    "cpu,host=c value=0.5,total=1i,label=\"w\",ok=true 85\n"
    "mem,host=a,rack=r value=5i,free=0.25 15\n"
    "mem,host=b value=6i 25\n"
    "mem,host=a,rack=r free=1.75 55\n";

/* --- what the catalogue says of these ------------------------------------------------------------------------------------------- */

static enum af_status rt_source(void *ctx, const char *database, const char *policy, uint32_t *out, const char **out_name,
                                struct af_error *err)
{
    (void)ctx, (void)database, (void)policy, (void)err;
    *out = 0;
    *out_name = "db";
    return AF_OK;
}

static enum af_status rt_measurements(void *ctx, uint32_t source, struct af_arena *arena, struct af_slice **out, size_t *out_count,
                                      struct af_error *err)
{
    static struct af_slice names[] = { AF_SLICE_LIT("cpu"), AF_SLICE_LIT("mem") };
    (void)ctx, (void)source, (void)arena, (void)err;
    *out = names;
    *out_count = 2;
    return AF_OK;
}

static enum af_status rt_fields(void *ctx, uint32_t source, const char *measurement, struct af_arena *arena, struct af_catalog_field **out,
                                size_t *out_count, struct af_error *err)
{
    static struct af_catalog_field cpu[] = { { AF_SLICE_LIT("label"), AF_TYPE_STRING }, { AF_SLICE_LIT("ok"), AF_TYPE_BOOL },
                                             { AF_SLICE_LIT("total"), AF_TYPE_I64 }, { AF_SLICE_LIT("value"), AF_TYPE_F64 } };
    static struct af_catalog_field mem[] = { { AF_SLICE_LIT("free"), AF_TYPE_F64 }, { AF_SLICE_LIT("value"), AF_TYPE_I64 } };
    (void)ctx, (void)source, (void)arena, (void)err;
    bool is_cpu = strcmp(measurement, "cpu") == 0;
    *out = is_cpu ? cpu : mem;
    *out_count = is_cpu ? 4 : 2;
    return AF_OK;
}

static enum af_status rt_tags(void *ctx, uint32_t source, const char *measurement, struct af_arena *arena, struct af_slice **out,
                              size_t *out_count, struct af_error *err)
{
    static struct af_slice cpu[] = { AF_SLICE_LIT("host"), AF_SLICE_LIT("region") }, mem[] = { AF_SLICE_LIT("host"), AF_SLICE_LIT("rack") };
    (void)ctx, (void)source, (void)arena, (void)err;
    *out = strcmp(measurement, "cpu") == 0 ? cpu : mem;
    *out_count = 2;
    return AF_OK;
}

/* --- a statement carried out ------------------------------------------------------------------------------------------------------ */

struct rt {
    struct af_store *store;
    struct af_buf text;
    struct af_error err;
};

static void print_cell(struct af_buf *out, const struct af_value *value)
{
    switch ((int)value->type) {
    case AF_TYPE_BOOL: af_buf_append_str(out, value->boolean ? "true" : "false"); break;
    case AF_TYPE_I64: case AF_TYPE_TIME: af_buf_printf(out, "%lld", (long long)value->i64); break;
    case AF_TYPE_F64: af_buf_printf(out, "%.12g", value->f64); break;
    case AF_TYPE_STRING: af_buf_printf(out, "'%.*s'", AF_SLICE_ARG(value->text)); break;
    default: af_buf_append_str(out, "null");
    }
}

/* A line a row: measurement, tags, a colon, the columns. */
static void print_table(struct af_buf *out, const struct af_table *table)
{
    for (size_t row = 0; row < table->rows->row_count; row++) {
        for (size_t i = 0; i < table->key->count; i++) {
            const struct af_key_part *part = &table->key->parts[i];
            if (i != 0)
                af_buf_printf(out, " %.*s=", AF_SLICE_ARG(part->name));
            af_buf_append_slice(out, part->value.text);
        }
        af_buf_append_char(out, ':');
        for (size_t i = 0; i < table->rows->schema->field_count; i++) {
            struct af_value value = af_column_value(&table->rows->columns[i], row);
            af_buf_append_char(out, ' ');
            print_cell(out, &value);
        }
        af_buf_append_char(out, '\n');
    }
}

static void run_plan(struct rt *rt, const struct af_plan *plan)
{
    struct af_exec_options options = { .plan = plan, .stores = &rt->store, .store_count = 1, .workers = 1 };
    struct af_tables *tables;
    struct af_arena pull;
    af_arena_init(&pull, SIZE_MAX);
    AF_CHECK_OK(af_exec_open(&options, &tables, &rt->err), rt->err);
    for (const struct af_table *table;; af_arena_reset(&pull)) {
        AF_CHECK_OK(af_tables_next(tables, &pull, &table, &rt->err), rt->err);
        if (table == NULL)
            break;
        print_table(&rt->text, table);
    }
    af_tables_close(tables);
    af_arena_done(&pull);
}

static const char *run(struct rt *rt, const char *query, bool improve)
{
    struct af_catalog catalog = { NULL, rt_source, rt_measurements, rt_fields, rt_tags };
    struct af_ql_lower_options options = { .catalog = &catalog, .database = "db", .now_ns = 1000 };
    struct af_rules_world world = { &rt->store->caps, 1 };
    struct af_ql_statement *statement;
    struct af_ql_lowered lowered;
    struct af_plan plan;
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    af_plan_init(&plan, &arena);
    af_buf_clear(&rt->text);
    AF_CHECK_OK(af_ql_parse(af_slice_of(query), NULL, &arena, &statement, &rt->err), rt->err);
    AF_CHECK_OK(af_ql_lower(statement->select, &options, &plan, &lowered, &rt->err), rt->err);
    if (improve)
        AF_CHECK_OK(af_plan_improve(&plan, &world, &rt->err), rt->err);
    AF_CHECK_OK(af_plan_check(&plan, &rt->err), rt->err);
    AF_CHECK_INT(plan.root->schema.field_count, lowered.column_count);
    run_plan(rt, &plan);
    af_arena_done(&arena);
    return af_buf_cstr(&rt->text);
}

struct answer {
    const char *query, *text;
};
static void check_all(const struct answer *answers, size_t count)
{
    struct rt rt = { .store = NULL };
    struct af_write write = { .lines = af_slice_of(lines), .precision_ns = 1 };
    struct af_write_answer written;
    for (const char *at = lines; *at != '\0'; at++)
        write.line_count += *at == '\n';
    AF_CHECK_OK(af_memory_open(&(struct af_memory_options){ .is_v2 = true }, &rt.store, &rt.err), rt.err);
    AF_CHECK_OK(af_store_write(rt.store, &write, &written, &rt.err), rt.err);
    AF_CHECK_INT(written.verdict, AF_WRITE_DONE);
    af_buf_init(&rt.text, SIZE_MAX);
    for (size_t i = 0; i < count * 2; i++) {
        const char *text = run(&rt, answers[i / 2].query, i % 2 != 0);
        if (strcmp(text, answers[i / 2].text) != 0)
            af_test_failed(__FILE__, __LINE__, "%s%s\n%swant\n%s", answers[i / 2].query, i % 2 != 0 ? " (improved)" : "", text,
                           answers[i / 2].text);
    }
    af_buf_done(&rt.text);
    af_store_close(rt.store);
}
#define CHECK_ANSWERS(table) check_all(table, sizeof table / sizeof *table)

AF_TEST(raw_rows)
{
    static const struct answer answers[] = {
        { "SELECT value FROM cpu",
          "cpu: 0 1\n"
          "cpu: 10 2\n"
          "cpu: 20 3\n"
          "cpu: 30 4.5\n"
          "cpu: 60 -2.5\n"
          "cpu: 70 8\n"
          "cpu: 85 0.5\n" },
        { "SELECT value, total, host FROM cpu WHERE time >= 20ns AND time <= 60ns",
          "cpu: 20 3 -7 'a'\n"
          "cpu: 30 4.5 null 'c'\n"
          "cpu: 40 null 5 'b'\n"
          "cpu: 60 -2.5 null 'a'\n" },
        { "SELECT * FROM cpu WHERE host = 'c'",
          "cpu: 30 'c' null false null null 4.5\n"
          "cpu: 85 'c' 'w' true null 1 0.5\n" },
        { "SELECT value FROM cpu GROUP BY host, region",
          "cpu host=a region=x: 0 1\n"
          "cpu host=a region=x: 20 3\n"
          "cpu host=a region=x: 60 -2.5\n"
          "cpu host=b region=y: 10 2\n"
          "cpu host=b region=y: 70 8\n"
          "cpu host=c region=: 30 4.5\n"
          "cpu host=c region=: 85 0.5\n" },
        { "SELECT value FROM cpu GROUP BY host ORDER BY time DESC LIMIT 1",
          "cpu host=c: 85 0.5\n"
          "cpu host=b: 70 8\n"
          "cpu host=a: 60 -2.5\n" },
        { "SELECT value FROM cpu WHERE label = 'u'",
          "cpu: 0 1\n" },
        { "SELECT value, region FROM cpu WHERE region = '' OR value > 5",
          "cpu: 30 4.5 null\n"
          "cpu: 70 8 'y'\n"
          "cpu: 85 0.5 null\n" },
        { "SELECT total / 2, total % 4, total & 6, -value FROM cpu WHERE host = 'b'",
          "cpu: 10 10 0 4 -2\n"
          "cpu: 40 2.5 1 4 null\n"
          "cpu: 70 2 0 4 -8\n" },
        { "SELECT value FROM cpu WHERE total / 2 = 2",
          "cpu: 70 8\n" },
        { "SELECT value::integer, total::float, label::tag, nosuch FROM cpu WHERE host = 'a'",
          "cpu: 0 1 10 null null\n"
          "cpu: 20 3 -7 null null\n"
          "cpu: 60 -2 null null null\n" },
        { "SELECT value FROM cpu WHERE ok != true",
          "cpu: 30 4.5\n" },
        { "SELECT value FROM cpu WHERE host = region OR ok = true",
          "cpu: 0 1\n"
          "cpu: 60 -2.5\n"
          "cpu: 85 0.5\n" },
    };
    CHECK_ANSWERS(answers);
}

AF_TEST(aggregates_and_windows)
{
    static const struct answer answers[] = {
        { "SELECT mean(value), count(total), max(value) - min(value) FROM cpu",
          "cpu: 0 2.35714285714 6 10.5\n" },
        { "SELECT mean(value) FROM cpu WHERE time >= 15ns GROUP BY host",
          "cpu host=a: 15 0.25\n"
          "cpu host=b: 15 8\n"
          "cpu host=c: 15 2.5\n" },
        { "SELECT sum(total) FROM cpu WHERE time >= 0 AND time < 90ns GROUP BY time(30ns)",
          "cpu: 0 23\n"
          "cpu: 30 5\n"
          "cpu: 60 5\n" },
        { "SELECT count(total), last(label) FROM cpu WHERE time >= 0 AND time < 120ns GROUP BY time(30ns) fill(7)",
          "cpu: 0 3 'v'\n"
          "cpu: 30 1 'u'\n"
          "cpu: 60 2 'w'\n"
          "cpu: 90 7 ''\n" },
        { "SELECT mean(value) FROM cpu WHERE time >= 0 AND time < 120ns GROUP BY time(30ns), host fill(previous)",
          "cpu host=a: 0 2\n"
          "cpu host=a: 30 2\n"
          "cpu host=a: 60 -2.5\n"
          "cpu host=a: 90 -2.5\n"
          "cpu host=b: 0 2\n"
          "cpu host=b: 30 2\n"
          "cpu host=b: 60 8\n"
          "cpu host=b: 90 8\n"
          "cpu host=c: 0 null\n"
          "cpu host=c: 30 4.5\n"
          "cpu host=c: 60 0.5\n"
          "cpu host=c: 90 0.5\n" },
        { "SELECT mean(value) FROM cpu WHERE time >= 0 AND time < 90ns AND host = 'b' GROUP BY time(10ns) fill(linear)",
          "cpu: 0 null\n"
          "cpu: 10 2\n"
          "cpu: 20 3\n"
          "cpu: 30 4\n"
          "cpu: 40 5\n"
          "cpu: 50 6\n"
          "cpu: 60 7\n"
          "cpu: 70 8\n"
          "cpu: 80 null\n" },
        { "SELECT sum(total) FROM cpu WHERE time >= 5ns AND time < 95ns GROUP BY time(30ns, 5ns) fill(none) ORDER BY time DESC",
          "cpu: 65 5\n"
          "cpu: 35 5\n"
          "cpu: 5 13\n" },
        { "SELECT count(distinct(label)) FROM cpu WHERE time >= 0 AND time < 90ns GROUP BY time(30ns)",
          "cpu: 0 2\n"
          "cpu: 30 1\n"
          "cpu: 60 1\n" },
        { "SELECT percentile(total, 50), stddev(value), median(value), spread(total) FROM cpu",
          "cpu: 0 4 3.31303342515 2 27\n" },
        { "SELECT stddev(value) FROM cpu GROUP BY region",
          "cpu region=: 0 2.82842712475\n"
          "cpu region=x: 0 2.78388218142\n"
          "cpu region=y: 0 4.24264068712\n" },
        { "SELECT integral(value, 10ns) FROM cpu WHERE host = 'a'",
          "cpu: 0 5\n" },
        { "SELECT count(value), count(nosuch), sum(free) FROM cpu fill(7)",
          "cpu: 0 7 7 null\n" },
        { "SELECT mean(value) FROM cpu WHERE time >= 0 AND time < 90ns GROUP BY time(30ns), host SLIMIT 1 SOFFSET 1",
          "cpu host=b: 0 2\n"
          "cpu host=b: 30 null\n"
          "cpu host=b: 60 8\n" },
        { "SELECT count(value) FROM cpu WHERE time >= '1969-12-31T12:00:00Z' AND time < '1970-01-01T12:00:00Z' GROUP BY time(12h) "
          "tz('America/New_York')",
          "cpu: -68400000000000 0\n"
          "cpu: -25200000000000 7\n"
          "cpu: 18000000000000 0\n" },
    };
    CHECK_ANSWERS(answers);
}

AF_TEST(selectors)
{
    static const struct answer answers[] = {
        { "SELECT first(value), last(value) FROM cpu GROUP BY host",
          "cpu host=a: 0 1 -2.5\n"
          "cpu host=b: 0 2 8\n"
          "cpu host=c: 0 4.5 0.5\n" },
        { "SELECT max(value), host, total FROM cpu",
          "cpu: 70 8 'b' 4\n" },
        { "SELECT min(value), label FROM cpu WHERE time >= 0 AND time < 90ns GROUP BY time(30ns)",
          "cpu: 0 1 'u'\n"
          "cpu: 30 4.5 null\n"
          "cpu: 60 -2.5 null\n" },
        { "SELECT top(value, host, 2) FROM cpu",
          "cpu: 30 4.5 'c'\n"
          "cpu: 70 8 'b'\n" },
        { "SELECT bottom(value, 2), host FROM cpu",
          "cpu: 60 -2.5 'a'\n"
          "cpu: 85 0.5 'c'\n" },
        { "SELECT distinct(label) FROM cpu",
          "cpu: 0 'u'\n"
          "cpu: 0 'v'\n"
          "cpu: 0 'w'\n" },
    };
    CHECK_ANSWERS(answers);
}

AF_TEST(series_are_limited_as_the_index_has_them)
{
    static const struct answer answers[] = {
        { "SELECT value FROM cpu GROUP BY host, region SLIMIT 1", /* host|c goes before host|region|a|x */
          "cpu host=c region=: 30 4.5\n"
          "cpu host=c region=: 85 0.5\n" },
        { "SELECT value FROM cpu GROUP BY host, region SLIMIT 1 SOFFSET 1",
          "cpu host=a region=x: 0 1\n"
          "cpu host=a region=x: 20 3\n"
          "cpu host=a region=x: 60 -2.5\n" },
        { "SELECT total FROM cpu WHERE time < 20ns GROUP BY host SLIMIT 2 SOFFSET 1", /* c counts, without points there */
          "cpu host=b: 10 20\n" },
        { "SELECT value FROM cpu GROUP BY host ORDER BY time DESC LIMIT 1 SLIMIT 2",
          "cpu host=b: 70 8\n"
          "cpu host=a: 60 -2.5\n" },
        { "SELECT value FROM cpu WHERE host = 'a' OR value > 4 GROUP BY host SLIMIT 1 SOFFSET 1",
          "cpu host=b: 70 8\n" },
        { "SELECT mean(value) FROM /./ GROUP BY host SLIMIT 1",
          "cpu host=a: 0 0.5\n"
          "mem host=a: 0 5\n" },
        { "SELECT x FROM (SELECT max(value) AS x FROM cpu GROUP BY host SLIMIT 1)", /* counted by the groups of the outermost */
          "cpu: 20 3\n"
          "cpu: 30 4.5\n"
          "cpu: 70 8\n" },
        { "SELECT x FROM (SELECT max(value) AS x FROM cpu GROUP BY host SLIMIT 1) GROUP BY region SLIMIT 1",
          "cpu region=: 30 4.5\n"
          "cpu region=x: 20 3\n" },
    };
    CHECK_ANSWERS(answers);
}

AF_TEST(nulls_of_names_are_filled)
{
    static const struct answer answers[] = {
        { "SELECT value, total, label FROM cpu fill(previous)",
          "cpu: 0 1 10 'u'\n"
          "cpu: 10 2 20 'u'\n"
          "cpu: 20 3 -7 'v'\n"
          "cpu: 30 4.5 -7 'v'\n"
          "cpu: 40 4.5 5 'u'\n"
          "cpu: 60 -2.5 5 'u'\n"
          "cpu: 70 8 4 'u'\n"
          "cpu: 85 0.5 1 'w'\n" },
        { "SELECT value, total FROM cpu GROUP BY host fill(previous) LIMIT 2 OFFSET 1",
          "cpu host=a: 20 3 -7\n"
          "cpu host=a: 60 -2.5 -7\n"
          "cpu host=b: 40 null 5\n"
          "cpu host=b: 70 8 4\n"
          "cpu host=c: 85 0.5 1\n" },
        { "SELECT top(value, 2), label, total FROM cpu GROUP BY host fill(previous)",
          "cpu host=a: 0 1 'u' 10\n"
          "cpu host=a: 20 3 'v' -7\n"
          "cpu host=b: 10 2 null 20\n"
          "cpu host=b: 70 8 null 4\n"
          "cpu host=c: 30 4.5 null null\n"
          "cpu host=c: 85 0.5 'w' 1\n" },
        { "SELECT last(total), label FROM cpu WHERE time >= 0 AND time < 90ns GROUP BY time(30ns) fill(previous) LIMIT 2 OFFSET 1",
          "cpu: 30 5 'u'\n"
          "cpu: 60 1 'w'\n" },
    };
    CHECK_ANSWERS(answers);
}

AF_TEST(names_that_are_nowhere)
{
    static const struct answer answers[] = {
        { "SELECT max(value), spread(nosuch) FROM cpu", /* not alone, so the time is no point's */
          "cpu: 0 8 null\n" },
        { "SELECT nosuch FROM (SELECT max(value) FROM cpu)", "" },
        { "SELECT nosuch, max FROM (SELECT max(value) FROM cpu)",
          "cpu: 70 null 8\n" },
    };
    CHECK_ANSWERS(answers);
}

AF_TEST(integrals)
{
    static const struct answer answers[] = {
        { "SELECT integral(total, 10ns) FROM cpu WHERE time >= 85ns", "" }, /* one point, where the range begins */
        { "SELECT integral(total, 10ns) FROM cpu WHERE time >= 10ns AND time < 80ns",
          "cpu: 10 18\n" },
        { "SELECT integral(total, 10ns) FROM cpu WHERE time >= 1ns AND time <= 80ns ORDER BY time DESC",
          "cpu: 81 -18\n" },
    };
    CHECK_ANSWERS(answers);
}

AF_TEST(transformations)
{
    static const struct answer answers[] = {
        { "SELECT derivative(value, 10ns) FROM cpu WHERE host = 'a'",
          "cpu: 20 1\n"
          "cpu: 60 -1.375\n" },
        { "SELECT difference(mean(value)) FROM cpu WHERE time >= 30ns AND time < 90ns GROUP BY time(30ns)",
          "cpu: 30 2.5\n"
          "cpu: 60 -2.5\n" },
        { "SELECT moving_average(sum(total), 2) FROM cpu WHERE time >= 30ns AND time < 90ns GROUP BY time(30ns) fill(0)",
          "cpu: 30 14\n"
          "cpu: 60 5\n" },
        { "SELECT cumulative_sum(total), elapsed(total) FROM cpu",
          "cpu: 0 10 null\n"
          "cpu: 10 30 10\n"
          "cpu: 20 23 10\n"
          "cpu: 40 28 20\n"
          "cpu: 70 32 30\n"
          "cpu: 85 33 15\n" },
    };
    CHECK_ANSWERS(answers);
}

AF_TEST(several_measurements)
{
    static const struct answer answers[] = {
        { "SELECT *::field FROM cpu, mem WHERE time < 20ns",
          "cpu: 0 null 'u' true 10 1\n"
          "cpu: 10 null null null 20 2\n"
          "mem: 15 0.25 null null null 5\n" },
        { "SELECT mean(*) FROM mem",
          "mem: 0 1 5.5\n" },
        { "SELECT mean(value) FROM cpu, mem GROUP BY host",
          "cpu host=a: 0 0.5\n"
          "cpu host=b: 0 5\n"
          "cpu host=c: 0 2.5\n"
          "mem host=a: 0 5\n"
          "mem host=b: 0 6\n" },
        { "SELECT value FROM /./ LIMIT 1",
          "cpu: 0 1\n"
          "mem: 15 5\n" },
    };
    CHECK_ANSWERS(answers);
}

AF_TEST(subqueries)
{
    static const struct answer answers[] = {
        { "SELECT mean(x) FROM (SELECT max(value) AS x FROM cpu GROUP BY host)",
          "cpu: 0 5.16666666667\n" },
        { "SELECT x, host FROM (SELECT max(value) AS x FROM cpu GROUP BY host)",
          "cpu: 20 3 'a'\n"
          "cpu: 30 4.5 'c'\n"
          "cpu: 70 8 'b'\n" },
        { "SELECT x * 2 FROM (SELECT sum(total) AS x FROM cpu GROUP BY host) WHERE host != 'c' GROUP BY host",
          "cpu host=a: 0 6\n"
          "cpu host=b: 0 58\n" },
        { "SELECT mean(x) FROM (SELECT total / 2 AS x FROM cpu)",
          "cpu: 0 2.66666666667\n" },
        { "SELECT max(x) FROM (SELECT sum(value) AS x FROM cpu GROUP BY host, time(30ns)) WHERE time >= 0 AND time < 90ns GROUP BY "
          "time(60ns)",
          "cpu: 0 4.5\n"
          "cpu: 60 8\n" },
        { "SELECT sum(y) FROM (SELECT max(x) AS y FROM (SELECT value AS x FROM cpu WHERE value > 0) GROUP BY host)",
          "cpu: 0 15.5\n" },
        { "SELECT count(host) FROM (SELECT mean(value) FROM cpu GROUP BY host)",
          "cpu: 0 3\n" },
        { "SELECT y FROM (SELECT value AS x, ok AS y FROM cpu) WHERE y = false",
          "cpu: 10 null\n"
          "cpu: 20 null\n"
          "cpu: 30 false\n"
          "cpu: 70 null\n" },
        { "SELECT v FROM (SELECT value AS v FROM cpu WHERE host = 'c'), (SELECT free AS v FROM mem)",
          "cpu: 30 4.5\n"
          "cpu: 85 0.5\n"
          "mem: 15 0.25\n"
          "mem: 55 1.75\n" },
    };
    CHECK_ANSWERS(answers);
}

/* Where InfluxDB loses its way and we do not: docs/influxql.md. */
AF_TEST(mended_answers)
{
    static const struct answer answers[] = {
        { "SELECT mean(x) FROM (SELECT max(value) AS x FROM cpu GROUP BY time(30ns)) WHERE time >= 10ns AND time < 90ns",
          "cpu: 10 5.16666666667\n" },
        { "SELECT top(value, 2) FROM cpu LIMIT 3",
          "cpu: 30 4.5\n"
          "cpu: 70 8\n" },
        { "SELECT value FROM cpu OFFSET 5",
          "cpu: 70 8\n"
          "cpu: 85 0.5\n" },
        { "SELECT difference(sum(total)) FROM cpu WHERE time < 90ns GROUP BY time(30ns)",
          "cpu: 30 -18\n"
          "cpu: 60 0\n" },
        { "SELECT x FROM (SELECT value AS x FROM cpu GROUP BY host LIMIT 1)",
          "cpu: 0 1\n"
          "cpu: 10 2\n"
          "cpu: 30 4.5\n" },
        { "SELECT x FROM (SELECT value AS x FROM cpu) WHERE abs(x) > 3",
          "cpu: 30 4.5\n"
          "cpu: 70 8\n" },
        { "SELECT sum(x) FROM (SELECT sum(total) AS x FROM cpu GROUP BY host, time(30ns) fill(100)) WHERE time >= 0 AND time < 90ns",
          "cpu: 0 433\n" },
    };
    CHECK_ANSWERS(answers);
}
