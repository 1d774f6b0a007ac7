/* plan_test.c - plans built, printed and judged. Rules: rules_test.c. */
#include "plan/plan_fixture.h"
#include "base/alloc.h"

static const struct af_slice by_measurement_and_host[] = { { "_measurement", 12 }, { "host", 4 } };

/* --- expressions -------------------------------------------------------------------------------------------------------------- */

AF_TEST(expressions_have_types_and_print)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "a:f n:i s:s b:b", "host", "");
    const struct af_schema *schema = &scan->schema;
    const struct af_expr *sum = pf_call(&f, AF_FN_ADD, pf_column(&f, scan, "n"), pf_f64(&f, 2));
    AF_CHECK_INT(sum->type, AF_TYPE_F64);
    AF_CHECK_INT(pf_call(&f, AF_FN_ADD, pf_column(&f, scan, "n"), pf_column(&f, scan, "n"))->type, AF_TYPE_I64);
    const struct af_expr *test = pf_call(&f, AF_FN_OR, pf_call(&f, AF_FN_LESS, sum, pf_column(&f, scan, "a")),
                                         pf_call(&f, AF_FN_EQUAL, pf_column(&f, scan, "host"), pf_text(&f, "x\"y")));
    AF_CHECK_INT(test->type, AF_TYPE_BOOL);
    af_expr_print(&f.text, test, schema);
    AF_CHECK_STR(af_buf_cstr(&f.text), "or(less(add(n, 2.0), a), equal(host, \"x\\\"y\"))");
    af_buf_clear(&f.text);
    af_expr_print(&f.text, pf_match(&f, AF_FN_NOT_MATCH, pf_column(&f, scan, "s"), "^a|b$"), schema);
    AF_CHECK_STR(af_buf_cstr(&f.text), "not_match(s, /^a|b$/)");
    AF_CHECK_OK(expr_check(test, schema, &f.err), f.err);
    pf_end(&f);
}

AF_TEST(expressions_that_do_not_fit)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "a:f s:s", "", "");
    const struct af_expr *a = pf_column(&f, scan, "a"), *s = pf_column(&f, scan, "s"), *out = NULL;
    AF_CHECK_FAILS(af_expr_call(&f.arena, AF_FN_ABS, &s, 1, NULL, &out, &f.err), AF_EINVAL);
    AF_CHECK_FAILS(af_expr_call(&f.arena, AF_FN_ADD, &a, 1, NULL, &out, &f.err), AF_EINVAL);
    AF_CHECK_STR(f.err.message, "\"add\" takes 2 to 2 arguments, not 1");
    AF_CHECK_FAILS(af_expr_call(&f.arena, AF_FN_MEAN, &a, 1, NULL, &out, &f.err), AF_EINVAL);
    AF_CHECK_FAILS(af_expr_call(&f.arena, AF_FN_MATCH, &s, 1, NULL, &out, &f.err), AF_EINVAL);
    AF_CHECK_FAILS(af_expr_call(&f.arena, AF_FN_ABS, &a, 1, pf_regex(&f, "x"), &out, &f.err), AF_EINVAL);
    AF_CHECK(out == NULL);
    struct af_expr wrong = *a;
    wrong.column = 9;
    AF_CHECK_FAILS(expr_check(&wrong, &scan->schema, &f.err), AF_EINVAL);
    wrong.column = 2; /* s */
    AF_CHECK_FAILS(expr_check(&wrong, &scan->schema, &f.err), AF_EINVAL);
    const struct af_expr *deep = pf_column(&f, scan, "a");
    for (int i = 0; i <= PLAN_EXPR_DEPTH_MAX; i++)
        deep = pf_call(&f, AF_FN_ADD, deep, a);
    AF_CHECK_FAILS(expr_check(deep, &scan->schema, &f.err), AF_ELIMIT);
    pf_end(&f);
}

/* --- goldens ------------------------------------------------------------------------------------------------------------------ */

AF_TEST(every_node_prints)
{
    struct pf f;
    pf_begin(&f);
    struct af_plan_scan settings = pf_scan_settings(&f, "a:f n:i", "host", "host region");
    settings.start_ns = 1704067200000000000;
    settings.stop_ns = 1704153600000000000;
    settings.descending = true;
    settings.rows_hint = 7;
    settings.choice = (struct af_plan_choice){ true, settings.group, 2, 1, 3 };
    settings.tags_null = true;
    settings.predicate = pf_or(&f, pf_equal(&f, "host", "a b"), pf_and(&f, pf_differs(&f, "region", ""), pf_matches(&f, "host", "x+")));
    const struct af_node *scan, *node, *other, *empty;
    AF_CHECK_OK(af_plan_scan(&f.plan, &settings, &scan, &f.err), f.err);
    node = pf_filter(&f, scan, pf_call(&f, AF_FN_GREATER, pf_column(&f, scan, "a"), pf_f64(&f, 1.5)));
    const struct af_expr *twice = pf_call(&f, AF_FN_MULTIPLY, pf_column(&f, node, "n"), pf_i64(&f, 2));
    node = pf_map2(&f, node, "a", pf_column(&f, node, "a"), "twice n", twice);
    other = node;
    struct af_plan_select select = { .call = pf_fn(AF_FN_TOP, AF_TYPE_F64, af_value_i64(3)), .column = 1, .by = (const size_t[]){ 2 },
                                     .by_count = 1, .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .descending = true, .stamp_start = true };
    AF_CHECK_OK(af_plan_select(&f.plan, node, &select, &node, &f.err), f.err);
    node = pf_aggregate(&f, node, "mean:a percentile:a,90", 3600000000000);
    node = pf_fill(&f, node, "p 1.5", 3600000000000);
    node = pf_transform(&f, node, AF_FN_DERIVATIVE, 1, af_value_i64(1000000000));
    AF_CHECK_OK(af_plan_empty(&f.plan, &node->schema, &empty, &f.err), f.err);
    AF_CHECK_OK(af_plan_union(&f.plan, (const struct af_node *const[]){ node, empty }, 2, true, &node, &f.err), f.err);
    AF_CHECK_OK(af_plan_dedupe(&f.plan, node, &node, &f.err), f.err);
    struct af_plan_aggregate last = { .calls = pf_calls(&f, &other->schema, "last:a", &(size_t){ 0 }), .call_count = 1,
                                      .start_ns = INT64_MIN,
                                      .stop_ns = INT64_MAX, .stamp = AF_STAMP_POINT, .descending = true };
    AF_CHECK_OK(af_plan_aggregate(&f.plan, other, &last, &other, &f.err), f.err);
    struct af_plan_join join = { .absent = AF_ABSENT_VALUE, .values = (const struct af_value[]){ af_value_none(), af_value_f64(0) } };
    AF_CHECK_OK(af_plan_join(&f.plan, (const struct af_node *const[]){ node, other }, 2, &join, &node, &f.err), f.err);
    AF_CHECK_OK(af_plan_regroup(&f.plan, node, by_measurement_and_host, 2, true, &node,
                                &f.err), f.err);
    AF_CHECK_OK(af_plan_limit(&f.plan, node, 5, 10, false, &node, &f.err), f.err);
    AF_CHECK_OK(af_plan_limit(&f.plan, node, 0, 2, true, &node, &f.err), f.err);
    f.plan.root = node;
    AF_CHECK_OK(af_plan_check(&f.plan, &f.err), f.err);
    static const char *const notes[16] = { [14] = "10 rows" };
    af_plan_print(&f.text, &f.plan, notes);
    AF_CHECK_STR(af_buf_cstr(&f.text),
        "group_limit 2  [10 rows]\n"
        "  limit 10 offset 5\n"
        "    regroup by _measurement, host; descending\n"
        "      join absent: null, 0.0\n"
        "        dedupe\n"
        "          union descending\n"
        "            transform derivative = derivative(mean, 1000000000)\n"
        "              fill mean previous, percentile 1.5; every 1h\n"
        "                aggregate mean = mean(a), percentile = percentile(a, 90); every 1h\n"
        "                  select top(a, 3); best of each \"twice n\"; time of the window; descending\n"
        "                    map a, \"twice n\" = multiply(n, 2)\n"
        "                      filter greater(a, 1.5)\n"
        "                        scan db.rp cpu; fields a f64, n i64; tags or null host; "
        "from 2024-01-01T00:00:00Z to 2024-01-02T00:00:00Z; "
        "where host = \"a b\" or (region != \"\" and host =~ /x+/); by host, region; series 1+3 by host, region; descending; rows 7\n"
        "            empty time time, derivative f64\n"
        "        aggregate last = last(a); time of the point; descending\n"
        "          map a, \"twice n\" = multiply(n, 2)\n"
        "            filter greater(a, 1.5)\n"
        "              scan db.rp cpu; fields a f64, n i64; tags or null host; from 2024-01-01T00:00:00Z to 2024-01-02T00:00:00Z; "
        "where host = \"a b\" or (region != \"\" and host =~ /x+/); by host, region; series 1+3 by host, region; descending; rows 7\n");
    pf_end(&f);
}

AF_TEST(windows_print)
{
    static const struct {
        struct af_window window;
        const char *text;
    } cases[] = {
        { { .every_ns = 1 }, "; every 1ns" },
        { { .every_ns = 90000000000, .offset_ns = -30000000000 }, "; every 90s offset -30s" },
        { { .every_ns = INT64_C(1209600000000000) }, "; every 2w" },
        { { .every_ns = 1500000 }, "; every 1500us" },
        { { .every_months = 3, .offset_ns = 86400000000000 }, "; every 3mo offset 1d" },
        { { .every_ns = 86400000000000, .zone = { .kind = AF_ZONE_SAO_PAULO } }, "; every 1d in America/Sao_Paulo" },
        { { .every_ns = 3600000000000, .zone = { .offset_s = -10800 } }, "; every 1h in UTC-10800 s" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pf f;
        pf_begin(&f);
        const struct af_node *node = pf_scan(&f, "a:f", "", "");
        struct af_plan_aggregate settings = { .window = cases[i].window, .calls = pf_calls(&f, &node->schema, "sum:a", &(size_t){ 0 }),
                                              .call_count = 1, .start_ns = INT64_MIN, .stop_ns = 1 };
        AF_CHECK_OK(af_plan_aggregate(&f.plan, node, &settings, &f.plan.root, &f.err), f.err);
        af_plan_print(&f.text, &f.plan, NULL);
        struct af_buf want;
        af_buf_init(&want, 1 << 12);
        af_buf_printf(&want, "aggregate sum = sum(a)%s; to 1970-01-01T00:00:00.000000001Z\n  scan db.rp cpu; fields a f64\n",
                      cases[i].text);
        AF_CHECK_STR(af_buf_cstr(&f.text), af_buf_cstr(&want));
        af_buf_done(&want);
        pf_end(&f);
    }
}

/* --- schemas -------------------------------------------------------------------------------------------------------------------- */

static void check_schema(const struct af_node *node, const char *want)
{
    struct af_buf text;
    af_buf_init(&text, 1 << 12);
    for (size_t i = 0; i < node->schema.field_count; i++)
        af_buf_printf(&text, "%s %s%s;", node->schema.fields[i].name, af_type_name(node->schema.fields[i].type),
                      node->schema.fields[i].is_nullable ? "" : "!");
    AF_CHECK_STR(af_buf_cstr(&text), want);
    af_buf_done(&text);
}

AF_TEST(schemas_are_computed)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "a:f n:i", "host", "region"), *node, *join;
    check_schema(scan, "time time!;a f64;n i64;host string;");
    check_schema(pf_filter(&f, scan, pf_literal(&f, af_value_bool(true))), "time time!;a f64;n i64;host string;");
    node = pf_aggregate(&f, scan, "mean:n count:host max:n", 60);
    check_schema(node, "time time!;mean f64;count i64;max i64;");
    AF_CHECK_OK(af_plan_join(&f.plan, (const struct af_node *const[]){ node, scan }, 2, &(struct af_plan_join){ 0 }, &join, &f.err), f.err);
    check_schema(join, "time time!;mean f64;count i64;max i64;a f64;n i64;host string;");
    struct af_plan_map map = { .exprs = (const struct af_expr *const[]){ pf_column(&f, scan, "host") },
                               .names = (const char *const[]){ "h" },
                               .count = 1, .drops_time = true };
    AF_CHECK_OK(af_plan_map(&f.plan, scan, &map, &node, &f.err), f.err);
    check_schema(node, "h string;");
    check_schema(pf_transform(&f, scan, AF_FN_CUMULATIVE_SUM, 2, af_value_none()), "time time!;cumulative_sum i64;");
    pf_end(&f);
}

/* --- what does not fit ------------------------------------------------------------------------------------------------------------- */

AF_TEST(nodes_that_do_not_fit)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "a:f s:s", "host", "host"), *out = NULL, *timeless;
    struct af_plan_scan no_fields = pf_scan_settings(&f, "", "host", "");
    AF_CHECK_FAILS(af_plan_scan(&f.plan, &no_fields, &out, &f.err), AF_EINVAL);
    AF_CHECK_STR(f.err.message, "scan: a measurement and at least one field are needed");
    struct af_plan_scan unsorted = pf_scan_settings(&f, "a:f", "", "b a");
    AF_CHECK_FAILS(af_plan_scan(&f.plan, &unsorted, &out, &f.err), AF_EINVAL);
    struct af_plan_scan chosen = pf_scan_settings(&f, "a:f", "host", "host");
    const struct af_slice region = AF_SLICE_LIT("region");
    chosen.choice = (struct af_plan_choice){ true, &region, 1, 0, 1 };
    AF_CHECK_FAILS(af_plan_scan(&f.plan, &chosen, &out, &f.err), AF_EINVAL);
    AF_CHECK_STR(f.err.message, "scan: series are chosen by \"region\", which is no part of the group, or out of order");
    AF_CHECK_FAILS(af_plan_filter(&f.plan, scan, pf_column(&f, scan, "a"), &out, &f.err), AF_EINVAL);
    AF_CHECK_STR(f.err.message, "filter: the expression is f64, not true or false");

    struct af_plan_call call = { .call = pf_fn(AF_FN_MEAN, AF_TYPE_F64, af_value_none()), .column = 1, .name = "m" };
    struct af_plan_aggregate aggregate = { .calls = &call, .call_count = 1, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    AF_CHECK_OK(af_plan_aggregate(&f.plan, scan, &aggregate, &out, &f.err), f.err);
    out = NULL;
    call.column = 2;
    AF_CHECK_FAILS(af_plan_aggregate(&f.plan, scan, &aggregate, &out, &f.err), AF_EINVAL);
    AF_CHECK_STR(f.err.message, "aggregate: \"mean\" takes column \"s\" for f64, it is string");
    call.column = 4;
    AF_CHECK_FAILS(af_plan_aggregate(&f.plan, scan, &aggregate, &out, &f.err), AF_EINVAL);
    call.column = 1;
    aggregate.stamp = AF_STAMP_POINT;
    AF_CHECK_FAILS(af_plan_aggregate(&f.plan, scan, &aggregate, &out, &f.err), AF_EINVAL);
    aggregate.stamp = AF_STAMP_START;
    call.call = pf_fn(AF_FN_TOP, AF_TYPE_F64, af_value_i64(1));
    AF_CHECK_FAILS(af_plan_aggregate(&f.plan, scan, &aggregate, &out, &f.err), AF_EINVAL);
    aggregate.window.every_ns = -1;
    AF_CHECK_FAILS(af_plan_aggregate(&f.plan, scan, &aggregate, &out, &f.err), AF_EINVAL);

    struct af_plan_select select = { .call = pf_fn(AF_FN_MEAN, AF_TYPE_F64, af_value_none()), .column = 1, .stop_ns = 1 };
    AF_CHECK_FAILS(af_plan_select(&f.plan, scan, &select, &out, &f.err), AF_EINVAL);
    struct af_plan_fill fill = { .modes = (const enum af_fill_mode[]){ AF_FILL_VALUE, AF_FILL_NULL, AF_FILL_NULL }, .stop_ns = 1,
                                 .values = (const struct af_value[]){ af_value_i64(1), af_value_none(), af_value_none() } };
    AF_CHECK_FAILS(af_plan_fill(&f.plan, scan, &fill, &out, &f.err), AF_EINVAL);
    fill.window.every_ns = 1;
    AF_CHECK_FAILS(af_plan_fill(&f.plan, scan, &fill, &out, &f.err), AF_EINVAL);
    AF_CHECK_STR(f.err.message, "fill: a value of i64 for column \"a\", which is f64");
    AF_CHECK_FAILS(af_plan_regroup(&f.plan, scan, (const struct af_slice[]){ AF_SLICE_LIT("rack") }, 1, false, &out, &f.err), AF_EINVAL);
    AF_CHECK_FAILS(af_plan_regroup(&f.plan, scan, (const struct af_slice[]){ AF_SLICE_LIT("a") }, 1, false, &out, &f.err), AF_EINVAL);

    struct af_plan_map map = { .exprs = (const struct af_expr *const[]){ pf_column(&f, scan, "a") }, .names = (const char *const[]){ "a" },
                               .count = 1, .drops_time = true };
    AF_CHECK_OK(af_plan_map(&f.plan, scan, &map, &timeless, &f.err), f.err);
    AF_CHECK_FAILS(af_plan_join(&f.plan, (const struct af_node *const[]){ timeless, scan }, 2, &(struct af_plan_join){ 0 }, &out, &f.err),
                   AF_EINVAL);
    AF_CHECK_STR(f.err.message, "join: needs the column time, which its input (map) does not have first");
    AF_CHECK_FAILS(af_plan_union(&f.plan, (const struct af_node *const[]){ timeless, scan }, 2, false, &out, &f.err), AF_EINVAL);
    const struct af_node *ungrouped = pf_scan(&f, "a:f s:s", "host", "");
    AF_CHECK_FAILS(af_plan_union(&f.plan, (const struct af_node *const[]){ scan, ungrouped }, 2, false, &out, &f.err), AF_EINVAL);
    AF_CHECK_STR(f.err.message, "union: input 1 is grouped otherwise than those before");
    AF_CHECK(out == NULL);
    pf_end(&f);
}

AF_TEST(check_finds_what_was_spoilt)
{
    struct pf f;
    pf_begin(&f);
    AF_CHECK_FAILS(af_plan_check(&f.plan, &f.err), AF_EBUG);
    const struct af_node *scan = pf_scan(&f, "a:f", "", "");
    struct af_node *limit = NULL;
    AF_CHECK_OK(af_plan_limit(&f.plan, scan, 0, 1, false, (const struct af_node **)&limit, &f.err), f.err);
    f.plan.root = limit;
    AF_CHECK_OK(af_plan_check(&f.plan, &f.err), f.err);
    limit->id = 0;
    AF_CHECK_FAILS(af_plan_check(&f.plan, &f.err), AF_EBUG);
    limit->id = 2;
    AF_CHECK_FAILS(af_plan_check(&f.plan, &f.err), AF_EBUG);
    limit->id = 1;
    limit->schema.field_count = 1;
    AF_CHECK_FAILS(af_plan_check(&f.plan, &f.err), AF_EBUG);
    AF_CHECK_STR(f.err.message, "plan: node 1 (limit) does not have the columns that it gives");
    limit->schema.field_count = 2;
    ((enum af_type *)scan->scan.field_types)[0] = AF_TYPE_I64;
    AF_CHECK_FAILS(af_plan_check(&f.plan, &f.err), AF_EBUG);
    pf_end(&f);
}

AF_TEST(building_without_memory)
{
    for (size_t nth = 1;; nth++) {
        struct pf f;
        pf_begin(&f);
        af_arena_done(&f.arena);
        af_arena_init(&f.arena, SIZE_MAX);
        const char *const fields[] = { "a" };
        const enum af_type types[] = { AF_TYPE_F64 };
        struct af_plan_scan settings = { .measurement = "m", .fields = fields, .field_types = types, .field_count = 1, .stop_ns = 1 };
        const struct af_node *scan = NULL, *limit = NULL;
        (void)af_alloc_fail_nth(nth);
        enum af_status status = af_plan_scan(&f.plan, &settings, &scan, &f.err);
        if (status == AF_OK)
            status = af_plan_limit(&f.plan, scan, 0, 1, false, &limit, &f.err);
        (void)af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK ? limit != NULL : status == AF_ENOMEM);
        pf_end(&f);
        if (status == AF_OK)
            return;
    }
}
