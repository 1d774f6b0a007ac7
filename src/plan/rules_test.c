/* rules_test.c - each rule of rules*.c: what it makes of a plan, and the plans that it must leave alone. Answers: exec/improve_test.c. */
#include "plan/plan_fixture.h"
#include "base/alloc.h"

static const struct af_slice by_measurement_and_host[] = { { "_measurement", 12 }, { "host", 4 } };

/* --- calls through maps ---------------------------------------------------------------------------------------------------------- */

AF_TEST(calls_take_columns_below_maps_that_only_name_them)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "a:f b:i", "host", "");
    const struct af_node *map = pf_map2(&f, scan, "x", pf_column(&f, scan, "b"), "y", pf_call(&f, AF_FN_ABS, pf_column(&f, scan, "a"),
                                                                                              NULL));
    const struct af_node *twice = pf_map2(&f, map, "z", pf_column(&f, map, "x"), NULL, NULL);
    AF_CHECK_STR(pf_after(&f, pf_aggregate(&f, twice, "mean:z sum:z", 60), rule_calls_through_maps),
                 "aggregate mean = mean(b), sum = sum(b); every 60ns\n  scan db.rp cpu; fields a f64, b i64; tags host\n");
    AF_CHECK_STR(pf_after(&f, pf_transform(&f, map, AF_FN_DIFFERENCE, 1, af_value_none()), rule_calls_through_maps),
                 "transform difference = difference(b)\n  scan db.rp cpu; fields a f64, b i64; tags host\n");
    AF_CHECK_STR(pf_after(&f, pf_aggregate(&f, map, "mean:x max:y", 60), rule_calls_through_maps),
                 "aggregate mean = mean(x), max = max(y); every 60ns\n  map x = b, y = abs(a)\n"
                 "    scan db.rp cpu; fields a f64, b i64; tags host\n");
    struct af_plan_map keys = twice->map;
    keys.keys = by_measurement_and_host + 1;
    keys.key_count = 1;
    AF_CHECK_OK(af_plan_map(&f.plan, map, &keys, &twice, &f.err), f.err);
    AF_CHECK_STR(pf_after(&f, pf_aggregate(&f, twice, "count:host", 60), rule_calls_through_maps),
                 "aggregate count = count(host); every 60ns\n  map z = x; parts of the key host\n    map x = b, y = abs(a)\n"
                 "      scan db.rp cpu; fields a f64, b i64; tags host\n");
    pf_end(&f);
}

/* --- share branches ------------------------------------------------------------------------------------------------------------- */

static const struct af_plan_join absent_null;

AF_TEST(branches_over_one_scan_become_one)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "a:f b:f", "", "host");
    const struct af_node *join = pf_join(&f, pf_aggregate(&f, scan, "mean:a", 60), pf_aggregate(&f, scan, "max:b min:a", 60), &absent_null);
    AF_CHECK_STR(pf_after(&f, join, rule_share_branches), "aggregate mean = mean(a), max = max(b), min = min(a); every 60ns\n"
                                                          "  scan db.rp cpu; fields a f64, b f64; by host\n");
    pf_end(&f);
}

AF_TEST(branches_over_scans_of_other_fields_become_one)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *a = pf_scan(&f, "a:f c:i", "host", ""), *b = pf_scan(&f, "b:f c:i", "region", "");
    a = pf_filter(&f, a, pf_call(&f, AF_FN_GREATER, pf_column(&f, a, "c"), pf_i64(&f, 1)));
    b = pf_filter(&f, b, pf_call(&f, AF_FN_GREATER, pf_column(&f, b, "c"), pf_i64(&f, 1)));
    a = pf_map2(&f, a, "x", pf_call(&f, AF_FN_MULTIPLY, pf_column(&f, a, "a"), pf_f64(&f, 2)), NULL, NULL);
    b = pf_map2(&f, b, "c", pf_column(&f, b, "c"), "y", pf_call(&f, AF_FN_ABS, pf_column(&f, b, "b"), NULL));
    const struct af_node *join = pf_join(&f, pf_aggregate(&f, a, "mean:x", 60), pf_aggregate(&f, b, "max:y", 60), &absent_null);
    AF_CHECK_STR(pf_after(&f, join, rule_share_branches),
                 "aggregate mean = mean(x), max = max(y); every 60ns\n"
                 "  map x = multiply(a, 2.0), c, y = abs(b)\n"
                 "    filter greater(c, 1)\n"
                 "      scan db.rp cpu; fields a f64, c i64, b f64; tags host, region\n");
    pf_end(&f);
}

/* In a row that has only the other branch's field, a tag and a constant have values all the same. */
AF_TEST(branches_that_count_other_rows_stay)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *a = pf_scan(&f, "a:f", "host", ""), *b = pf_scan(&f, "b:f", "host", "");
    const struct af_node *join = pf_join(&f, pf_aggregate(&f, a, "mean:a", 60), pf_aggregate(&f, b, "count:host", 60), &absent_null);
    AF_CHECK(pf_begins(pf_after(&f, join, rule_share_branches), "join"));
    const struct af_node *one = pf_map2(&f, b, "one", pf_call(&f, AF_FN_COALESCE, pf_column(&f, b, "b"), pf_f64(&f, 1)), NULL, NULL);
    const struct af_node *same = pf_map2(&f, a, "a", pf_column(&f, a, "a"), NULL, NULL);
    join = pf_join(&f, pf_aggregate(&f, same, "mean:a", 60), pf_aggregate(&f, one, "count:one", 60), &absent_null);
    AF_CHECK(pf_begins(pf_after(&f, join, rule_share_branches), "join"));
    /* A third over the same scan as the second may share with it, and with it only. */
    const struct af_node *three = NULL;
    const struct af_node *const in[] = { pf_aggregate(&f, b, "count:host", 60), pf_aggregate(&f, b, "max:b", 60),
                                         pf_aggregate(&f, a, "mean:a", 60) };
    AF_CHECK_OK(af_plan_join(&f.plan, in, 3, &absent_null, &three, &f.err), f.err);
    AF_CHECK_STR(pf_after(&f, three, rule_share_branches), "join\n"
                                                           "  aggregate count = count(host), max = max(b); every 60ns\n"
                                                           "    scan db.rp cpu; fields b f64; tags host\n"
                                                           "  aggregate mean = mean(a); every 60ns\n"
                                                           "    scan db.rp cpu; fields a f64; tags host\n");
    pf_end(&f);
}

AF_TEST(branches_apart_come_together_and_columns_keep_their_places)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "a:f b:f", "", ""), *join = NULL;
    const struct af_node *other = pf_transform(&f, pf_aggregate(&f, scan, "max:a", 60), AF_FN_DIFFERENCE, 1, af_value_none());
    struct af_plan_join settings = { .absent = AF_ABSENT_VALUE,
                                     .values = (const struct af_value[]){ af_value_none(), af_value_f64(7), af_value_none() } };
    const struct af_node *const in[] = { pf_aggregate(&f, scan, "mean:a", 60), other, pf_aggregate(&f, scan, "min:b", 60) };
    AF_CHECK_OK(af_plan_join(&f.plan, in, 3, &settings, &join, &f.err), f.err);
    AF_CHECK_STR(pf_after(&f, join, rule_share_branches), "map mean, difference, min\n"
                                                          "  join absent: null, null, 7.0\n"
                                                          "    aggregate mean = mean(a), min = min(b); every 60ns\n"
                                                          "      scan db.rp cpu; fields a f64, b f64\n"
                                                          "    transform difference = difference(max)\n"
                                                          "      aggregate max = max(a); every 60ns\n"
                                                          "        scan db.rp cpu; fields a f64, b f64\n");
    pf_end(&f);
}

static const char *after_fills(struct pf *f, const char *modes, int64_t start_ns, int64_t stop_ns, const struct af_plan_join *settings)
{
    const struct af_node *scan = pf_scan(f, "a:f b:f", "", "");
    const struct af_node *a = pf_fill_range(f, pf_aggregate(f, scan, "mean:a", 60), modes, 60, start_ns, stop_ns);
    const struct af_node *b = pf_fill_range(f, pf_aggregate(f, scan, "max:b", 60), modes, 60, start_ns, stop_ns);
    const char *text = pf_after(f, pf_join(f, a, b, settings), rule_share_branches);
    return pf_begins(text, "join") ? "stays" : text;
}

AF_TEST(fills_are_shared_where_the_join_gives_what_they_give)
{
    struct pf f;
    pf_begin(&f);
    struct af_plan_join zeros = { .absent = AF_ABSENT_VALUE, .values = (const struct af_value[]){ af_value_f64(0), af_value_f64(0) } };
    struct af_plan_join keep = { .absent = AF_ABSENT_KEEP };
    const char *head = "fill mean previous, max previous; every 60ns; from 1970-01-01T00:00:00Z to 1970-01-01T00:00:01Z; nulls too\n"
                       "  aggregate mean = mean(a), max = max(b); every 60ns\n"
                       "    scan db.rp cpu; fields a f64, b f64\n";
    AF_CHECK_STR(after_fills(&f, "p", 0, 1000000000, &absent_null), head);
    AF_CHECK_STR(after_fills(&f, "p", 0, 1000000000, &keep), head);
    AF_CHECK_STR(after_fills(&f, "p", 0, 1000000000, &zeros), "stays"); /* a group that has only one of them */
    AF_CHECK_STR(after_fills(&f, "0", 0, 1000000000, &absent_null), "stays");
    AF_CHECK_STR(after_fills(&f, "1", 0, 1000000000, &zeros), "stays");
    AF_CHECK_STR(after_fills(&f, "0", 0, 1000000000, &keep), "stays");
    AF_CHECK(pf_begins(after_fills(&f, "0", INT64_MIN, INT64_MAX, &zeros), "fill mean 0.0, max 0.0"));
    /* Without an end one branch may go on from its last value longer than the other. */
    AF_CHECK_STR(after_fills(&f, "p", 0, INT64_MAX, &absent_null), "stays");
    AF_CHECK_STR(after_fills(&f, "l", INT64_MIN, INT64_MAX, &absent_null), "stays");
    AF_CHECK_STR(after_fills(&f, "p", INT64_MIN, 60, &keep), "stays");
    AF_CHECK(pf_begins(after_fills(&f, "p", INT64_MIN, 60, &absent_null), "fill mean previous, max previous"));
    AF_CHECK(pf_begins(after_fills(&f, "n", INT64_MIN, INT64_MAX, &absent_null), "fill mean null, max null"));
    pf_end(&f);
}

static const char *after_limits(struct pf *f, int64_t every_ns, int64_t start_ns, uint64_t a_count, uint64_t b_count)
{
    const struct af_node *scan = pf_scan(f, "a:f b:f", "", ""), *a = pf_aggregate(f, scan, "mean:a", every_ns), *b;
    b = pf_aggregate(f, scan, "max:b", every_ns);
    if (every_ns != 0) {
        a = pf_fill_range(f, a, "n", every_ns, start_ns, 1000);
        b = pf_fill_range(f, b, "n", every_ns, start_ns, 1000);
    }
    AF_CHECK_OK(af_plan_limit(&f->plan, a, 1, a_count, false, &a, &f->err), f->err);
    AF_CHECK_OK(af_plan_limit(&f->plan, b, 1, b_count, false, &b, &f->err), f->err);
    const char *text = pf_after(f, pf_join(f, a, b, &absent_null), rule_share_branches);
    return pf_begins(text, "join") ? "stays" : text;
}

AF_TEST(limits_of_branches_are_shared_where_all_rows_are_there)
{
    struct pf f;
    pf_begin(&f);
    AF_CHECK_STR(after_limits(&f, 10, 0, 3, 3),
                 "limit 3 offset 1\n"
                 "  fill mean null, max null; every 10ns; from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00.000001000Z; nulls too\n"
                 "    aggregate mean = mean(a), max = max(b); every 10ns\n"
                 "      scan db.rp cpu; fields a f64, b f64\n");
    AF_CHECK(pf_begins(after_limits(&f, 0, 0, 3, 3), "limit 3 offset 1\n  aggregate mean"));
    AF_CHECK_STR(after_limits(&f, 10, INT64_MIN, 3, 3), "stays"); /* the third row of one need not be that of the other */
    AF_CHECK_STR(after_limits(&f, 10, 0, 3, 4), "stays");
    pf_end(&f);
}

/* What the offset leaves out is not what a null becomes. */
AF_TEST(nulls_are_kept_from_behind_the_offset)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "a:f b:f", "", ""), *in[2];
    for (uint64_t offset = 0; offset < 2; offset++) {
        for (size_t i = 0; i < 2; i++) {
            in[i] = pf_fill_range(&f, pf_aggregate(&f, scan, i == 0 ? "mean:a" : "max:b", 10), "p", 10, 0, 1000);
            AF_CHECK_OK(af_plan_limit(&f.plan, in[i], offset, 3, false, &in[i], &f.err), f.err);
        }
        struct af_plan_join keep = { .absent = AF_ABSENT_KEEP, .nulls_too = true };
        AF_CHECK(pf_begins(pf_after(&f, pf_join(&f, in[0], in[1], &keep), rule_share_branches),
                           offset == 0 ? "limit 3\n  fill mean previous, max previous" : "join absent or null: the last\n"));
    }
    pf_end(&f);
}

AF_TEST(branches_that_differ_stay)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "a:f", "", ""), *by_host = pf_scan(&f, "a:f", "", "host");
    struct af_plan_join keep = { .absent = AF_ABSENT_KEEP };
    const struct af_node *mean = pf_aggregate(&f, scan, "mean:a", 60);
    AF_CHECK(pf_begins(pf_after(&f, pf_join(&f, mean, pf_aggregate(&f, scan, "max:a", 61), &absent_null), rule_share_branches), "join"));
    AF_CHECK(pf_begins(pf_after(&f, pf_join(&f, mean, pf_aggregate(&f, scan, "max:a", 60), &keep), rule_share_branches), "join"));
    AF_CHECK(pf_begins(pf_after(&f, pf_join(&f, mean, pf_fill(&f, pf_aggregate(&f, scan, "max:a", 60), "n", 60), &absent_null),
                                  rule_share_branches), "join"));
    struct af_plan_scan settings = by_host->scan;
    settings.predicate = pf_equal(&f, "host", "x");
    const struct af_node *other = NULL;
    AF_CHECK_OK(af_plan_scan(&f.plan, &settings, &other, &f.err), f.err);
    AF_CHECK(pf_begins(pf_after(&f, pf_join(&f, pf_aggregate(&f, by_host, "mean:a", 0), pf_aggregate(&f, other, "max:a", 0),
                                              &absent_null),
                                  rule_share_branches), "join"));
    /* Without windows there is one row a group: nothing to keep from. */
    AF_CHECK(pf_begins(pf_after(&f, pf_join(&f, pf_aggregate(&f, scan, "mean:a", 0), pf_aggregate(&f, scan, "max:a", 0), &keep),
                                  rule_share_branches), "aggregate"));
    pf_end(&f);
}

/* --- filters into scans ------------------------------------------------------------------------------------------------------------ */

/* What follows "scan db.rp cpu; fields v f64; tags host, region" when this is the filter. */
static const char *after_filter(struct pf *f, bool tags_null, const struct af_expr *(*filter)(struct pf *, const struct af_node *))
{
    struct af_plan_scan settings = pf_scan_settings(f, "v:f", "host region", "");
    settings.tags_null = tags_null;
    const struct af_node *scan = NULL;
    AF_CHECK_OK(af_plan_scan(&f->plan, &settings, &scan, &f->err), f->err);
    const char *text = pf_after(f, pf_filter(f, scan, filter(f, scan)), rule_filters_into_scans);
    const char *tags = strstr(text, "host, region");
    return tags != NULL && pf_begins(text, "scan") ? tags + strlen("host, region") : text;
}

static const struct af_expr *host_is(struct pf *f, const struct af_node *n, enum af_fn fn, const char *value)
{
    return pf_call(f, fn, pf_column(f, n, "host"), pf_text(f, value));
}
static const struct af_expr *v_above(struct pf *f, const struct af_node *n, double value)
{
    return pf_call(f, AF_FN_GREATER, pf_column(f, n, "v"), pf_f64(f, value));
}
static const struct af_expr *filter_equal(struct pf *f, const struct af_node *n)
{
    return pf_call(f, AF_FN_EQUAL, pf_text(f, "a"), pf_column(f, n, "host"));
}
static const struct af_expr *filter_differs(struct pf *f, const struct af_node *n)
{
    return host_is(f, n, AF_FN_NOT_EQUAL, "a");
}
static const struct af_expr *filter_empty(struct pf *f, const struct af_node *n)
{
    return host_is(f, n, AF_FN_EQUAL, "");
}
static const struct af_expr *filter_matches(struct pf *f, const struct af_node *n)
{
    return pf_match(f, AF_FN_MATCH, pf_column(f, n, "host"), "a*");
}
static const struct af_expr *filter_not(struct pf *f, const struct af_node *n)
{
    const struct af_expr *no_region = pf_call(f, AF_FN_IS_NULL, pf_column(f, n, "region"), NULL);
    const struct af_expr *both = pf_call(f, AF_FN_AND, host_is(f, n, AF_FN_EQUAL, "x"), no_region);
    return pf_call(f, AF_FN_NOT, pf_call(f, AF_FN_OR, filter_matches(f, n), both), NULL);
}
static const struct af_expr *filter_and_field(struct pf *f, const struct af_node *n)
{
    return pf_call(f, AF_FN_AND, pf_call(f, AF_FN_AND, v_above(f, n, 1), host_is(f, n, AF_FN_EQUAL, "a")), v_above(f, n, 2));
}
static const struct af_expr *filter_or_field(struct pf *f, const struct af_node *n)
{
    return pf_call(f, AF_FN_OR, v_above(f, n, 1), host_is(f, n, AF_FN_EQUAL, "a"));
}
static const struct af_expr *filter_pairs(struct pf *f, const struct af_node *n)
{
    return pf_call(f, AF_FN_OR, pf_call(f, AF_FN_AND, host_is(f, n, AF_FN_EQUAL, "a"), v_above(f, n, 1)),
                   pf_call(f, AF_FN_AND, host_is(f, n, AF_FN_EQUAL, "b"), v_above(f, n, 2)));
}
static const struct af_expr *filter_number(struct pf *f, const struct af_node *n)
{
    return pf_call(f, AF_FN_EQUAL, pf_column(f, n, "host"), pf_f64(f, 1));
}
static const struct af_expr *filter_false(struct pf *f, const struct af_node *n)
{
    return pf_call(f, AF_FN_AND, filter_equal(f, n), pf_literal(f, af_value_bool(false)));
}
static const struct af_expr *filter_true(struct pf *f, const struct af_node *n)
{
    return pf_call(f, AF_FN_AND, v_above(f, n, 1), pf_literal(f, af_value_bool(true)));
}

AF_TEST(tests_of_tags_become_the_predicate)
{
    static const struct {
        const struct af_expr *(*filter)(struct pf *, const struct af_node *);
        const char *text, *text_null; /* series without the tag: "", null */
    } cases[] = {
        { filter_equal, "; where host = \"a\"\n", "; where host = \"a\"\n" },
        { filter_differs, "; where host != \"a\"\n", "; where host != \"a\" and host != \"\"\n" },
        { filter_empty, "; where host = \"\"\n", "; where host = \"\" and host != \"\"\n" },
        { filter_matches, "; where host =~ /a*/\n", "; where host =~ /a*/ and host != \"\"\n" },
        { filter_not, "; where host !~ /a*/ and (host != \"x\" or all)\n",
          "; where (host !~ /a*/ and host != \"\") and ((host != \"x\" and host != \"\") or region != \"\")\n" },
        { filter_and_field, "; where host = \"a\"; filter and(greater(v, 1.0), greater(v, 2.0))\n", NULL },
        { filter_or_field, "; filter or(greater(v, 1.0), equal(host, \"a\"))\n", NULL },
        { filter_pairs, "; where host = \"a\" or host = \"b\"; "
                        "filter or(and(equal(host, \"a\"), greater(v, 1.0)), and(equal(host, \"b\"), greater(v, 2.0)))\n", NULL },
        { filter_number, "; filter equal(host, 1.0)\n", NULL },
        { filter_false, "empty time time, v f64, host string, region string\n", NULL },
        { filter_true, "; filter greater(v, 1.0)\n", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pf f;
        pf_begin(&f);
        AF_CHECK_STR(after_filter(&f, false, cases[i].filter), cases[i].text);
        AF_CHECK_STR(after_filter(&f, true, cases[i].filter), cases[i].text_null != NULL ? cases[i].text_null : cases[i].text);
        pf_end(&f);
    }
}

AF_TEST(filters_join_what_the_scan_has)
{
    struct pf f;
    pf_begin(&f);
    struct af_plan_scan settings = pf_scan_settings(&f, "v:f", "host", "");
    settings.predicate = pf_differs(&f, "region", "");
    const struct af_node *scan = NULL;
    AF_CHECK_OK(af_plan_scan(&f.plan, &settings, &scan, &f.err), f.err);
    const struct af_node *node = pf_filter(&f, pf_filter(&f, scan, filter_and_field(&f, scan)), filter_matches(&f, scan));
    AF_CHECK_STR(pf_after(&f, node, rule_filters_into_scans),
                 "scan db.rp cpu; fields v f64; tags host; where (region != \"\" and host = \"a\") and host =~ /a*/; "
                 "filter and(greater(v, 1.0), greater(v, 2.0))\n");
    settings.rows_hint = 5; /* the first five, of which some pass */
    AF_CHECK_OK(af_plan_scan(&f.plan, &settings, &scan, &f.err), f.err);
    AF_CHECK(pf_begins(pf_after(&f, pf_filter(&f, scan, filter_equal(&f, scan)), rule_filters_into_scans), "filter"));
    pf_end(&f);
}

AF_TEST(chosen_series_are_left_alone)
{
    struct pf f;
    pf_begin(&f);
    struct af_plan_scan settings = pf_scan_settings(&f, "v:f", "host", "host");
    settings.choice = (struct af_plan_choice){ true, settings.group, 1, 0, 1 };
    const struct af_node *scan = NULL;
    AF_CHECK_OK(af_plan_scan(&f.plan, &settings, &scan, &f.err), f.err);
    AF_CHECK_STR(pf_after(&f, pf_filter(&f, scan, filter_and_field(&f, scan)), rule_filters_into_scans),
                 "scan db.rp cpu; fields v f64; tags host; "
                 "filter and(and(greater(v, 1.0), equal(host, \"a\")), greater(v, 2.0)); by host; series 0+1 by host\n");
    AF_CHECK(pf_begins(pf_after(&f, pf_aggregate(&f, scan, "mean:v", 0), rule_folds), "aggregate"));
    pf_end(&f);
}

/* --- folds ------------------------------------------------------------------------------------------------------------------ */

AF_TEST(aggregates_over_scans_become_folds)
{
    struct pf f;
    pf_begin(&f);
    struct af_plan_scan settings = pf_scan_settings(&f, "a:f b:i c:s", "host", "host");
    settings.start_ns = 0;
    settings.predicate = pf_equal(&f, "host", "x");
    const struct af_node *scan = NULL;
    AF_CHECK_OK(af_plan_scan(&f.plan, &settings, &scan, &f.err), f.err);
    AF_CHECK_STR(pf_after(&f, pf_aggregate(&f, scan, "mean:b first:c max:b", 3600000000000), rule_folds),
                 "fold mean = mean(b), first = first(c), max = max(b); every 1h; of db.rp cpu; fields b i64, c string; "
                 "from 1970-01-01T00:00:00Z; where host = \"x\"; by host\n");
    /* The range of both counts. */
    struct af_plan_aggregate narrow = { .start_ns = -5, .stop_ns = 1000000000, .call_count = 1 };
    narrow.calls = pf_calls(&f, &scan->schema, "sum:a", &narrow.call_count);
    const struct af_node *node = NULL;
    AF_CHECK_OK(af_plan_aggregate(&f.plan, scan, &narrow, &node, &f.err), f.err);
    AF_CHECK_STR(pf_after(&f, node, rule_folds),
                 "fold sum = sum(a); from 1969-12-31T23:59:59.999999995Z to 1970-01-01T00:00:01Z; of db.rp cpu; fields a f64; "
                 "from 1970-01-01T00:00:00Z to 1970-01-01T00:00:01Z; where host = \"x\"; by host\n");
    pf_end(&f);
}

AF_TEST(windows_of_a_clock_fold_where_their_edges_can_be_listed)
{
    struct pf f;
    pf_begin(&f);
    struct af_plan_aggregate aggregate = { .window = { .every_ns = 70 * AF_NS_PER_S, .zone = { .kind = AF_ZONE_SAO_PAULO } },
                                           .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .call_count = 1 };
    const struct af_node *scan = pf_scan(&f, "a:f", "", ""), *node = NULL;
    aggregate.calls = pf_calls(&f, &scan->schema, "last:a", &aggregate.call_count);
    AF_CHECK_OK(af_plan_aggregate(&f.plan, scan, &aggregate, &node, &f.err), f.err);
    AF_CHECK(pf_begins(pf_after(&f, node, rule_folds), "aggregate"));
    aggregate.start_ns = 0;
    aggregate.stop_ns = 86400 * AF_NS_PER_S;
    AF_CHECK_OK(af_plan_aggregate(&f.plan, scan, &aggregate, &node, &f.err), f.err);
    AF_CHECK(pf_begins(pf_after(&f, node, rule_folds), "fold"));
    aggregate.start_ns = INT64_MIN;
    aggregate.stop_ns = INT64_MAX;
    aggregate.window.every_ns = AF_NS_PER_DAY;
    AF_CHECK_OK(af_plan_aggregate(&f.plan, scan, &aggregate, &node, &f.err), f.err);
    AF_CHECK(pf_begins(pf_after(&f, node, rule_folds), "fold"));
    pf_end(&f);
}

AF_TEST(what_no_store_folds_stays)
{
    struct pf f;
    pf_begin(&f);
    struct af_plan_scan settings = pf_scan_settings(&f, "a:f", "host", "");
    const struct af_node *scan = pf_scan(&f, "a:f", "host", ""), *other = NULL;
    AF_CHECK(pf_begins(pf_after(&f, pf_aggregate(&f, scan, "mean:a median:a", 60), rule_folds), "aggregate"));
    AF_CHECK(pf_begins(pf_after(&f, pf_aggregate(&f, scan, "mean:a count:host", 60), rule_folds), "aggregate"));
    const struct af_node *above = pf_filter(&f, scan, pf_call(&f, AF_FN_GREATER, pf_column(&f, scan, "a"), pf_f64(&f, 1)));
    AF_CHECK(pf_begins(pf_after(&f, pf_aggregate(&f, above, "mean:a", 60), rule_folds), "aggregate"));
    settings.source = 1; /* not in the world */
    AF_CHECK_OK(af_plan_scan(&f.plan, &settings, &other, &f.err), f.err);
    AF_CHECK(pf_begins(pf_after(&f, pf_aggregate(&f, other, "mean:a", 60), rule_folds), "aggregate"));
    settings.source = 0;
    settings.rows_hint = 9;
    AF_CHECK_OK(af_plan_scan(&f.plan, &settings, &other, &f.err), f.err);
    AF_CHECK(pf_begins(pf_after(&f, pf_aggregate(&f, other, "mean:a", 60), rule_folds), "aggregate"));
    settings.rows_hint = 0;
    settings.filter = pf_call(&f, AF_FN_GREATER, pf_column(&f, scan, "a"), pf_f64(&f, 1));
    AF_CHECK_OK(af_plan_scan(&f.plan, &settings, &other, &f.err), f.err);
    AF_CHECK(pf_begins(pf_after(&f, pf_aggregate(&f, other, "mean:a", 60), rule_folds), "aggregate"));
    pf_end(&f);
}

/* --- limits into scans ------------------------------------------------------------------------------------------------------ */

static const struct af_node *limit(struct pf *f, const struct af_node *in, uint64_t offset, uint64_t count, bool of_groups)
{
    AF_CHECK_OK(af_plan_limit(&f->plan, in, offset, count, of_groups, &in, &f->err), f->err);
    return in;
}

AF_TEST(limits_tell_scans)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "v:f", "host", "");
    const struct af_node *map = pf_map2(&f, scan, "v", pf_column(&f, scan, "v"), NULL, NULL), *both = NULL;
    AF_CHECK_STR(pf_after(&f, limit(&f, limit(&f, map, 0, 3, true), 2, 5, false), rule_limits_into_scans),
                 "limit 5 offset 2\n  group_limit 3\n    map v\n      scan db.rp cpu; fields v f64; tags host; rows 7\n");
    AF_CHECK_OK(af_plan_union(&f.plan, (const struct af_node *const[]){ scan, scan }, 2, false, &both, &f.err), f.err);
    AF_CHECK_STR(pf_after(&f, limit(&f, both, 0, 1, false), rule_limits_into_scans),
                 "limit 1\n  union\n    scan db.rp cpu; fields v f64; tags host; rows 1\n"
                 "    scan db.rp cpu; fields v f64; tags host; rows 1\n");
    AF_CHECK(strstr(pf_after(&f, limit(&f, scan, 3, 0, false), rule_limits_into_scans), "; rows") == NULL);
    AF_CHECK(strstr(pf_after(&f, limit(&f, scan, UINT64_MAX, 2, false), rule_limits_into_scans), "; rows") == NULL);
    AF_CHECK(strstr(pf_after(&f, limit(&f, pf_filter(&f, scan, filter_equal(&f, scan)), 0, 2, false), rule_limits_into_scans),
                    "; rows") == NULL);
    AF_CHECK(strstr(pf_after(&f, limit(&f, pf_aggregate(&f, scan, "sum:v", 0), 0, 2, false), rule_limits_into_scans), "; rows") == NULL);
    struct af_plan_map drops = map->map;
    drops.drops_empty = true;
    AF_CHECK_OK(af_plan_map(&f.plan, scan, &drops, &map, &f.err), f.err);
    AF_CHECK(strstr(pf_after(&f, limit(&f, map, 0, 2, false), rule_limits_into_scans), "; rows") == NULL);
    pf_end(&f);
}

/* The scan has two takers, of which one wants all of it. */
AF_TEST(a_node_with_two_takers_is_not_changed_for_both)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "v:f", "", "");
    const struct af_node *join = pf_join(&f, limit(&f, scan, 0, 1, false), pf_transform(&f, scan, AF_FN_DIFFERENCE, 1, af_value_none()),
                                         &absent_null);
    AF_CHECK_STR(pf_after(&f, join, NULL), "join\n  limit 1\n    scan db.rp cpu; fields v f64; rows 1\n"
                                           "  transform difference = difference(v)\n    scan db.rp cpu; fields v f64\n");
    AF_CHECK_INT(f.plan.node_count, 5);
    join = pf_join(&f, pf_transform(&f, scan, AF_FN_DIFFERENCE, 1, af_value_none()),
                   pf_transform(&f, scan, AF_FN_CUMULATIVE_SUM, 1, af_value_none()), &absent_null);
    (void)pf_after(&f, join, NULL);
    AF_CHECK_INT(f.plan.node_count, 4); /* the scan is one node still */
    pf_end(&f);
}

/* --- order not needed ------------------------------------------------------------------------------------------------------- */

AF_TEST(order_is_asked_for_where_it_counts)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "v:f", "host", "");
    const struct af_node *map = pf_map2(&f, pf_filter(&f, scan, v_above(&f, scan, 1)), "v", pf_column(&f, scan, "v"), NULL, NULL);
    AF_CHECK_STR(pf_after(&f, pf_aggregate(&f, map, "mean:v first:v", 60), rule_order_not_needed),
                 "aggregate mean = mean(v), first = first(v); every 60ns\n  map v\n    filter greater(v, 1.0)\n"
                 "      scan db.rp cpu; fields v f64; tags host; unordered\n");
    AF_CHECK(strstr(pf_after(&f, pf_aggregate(&f, map, "mean:v integral:v", 60), rule_order_not_needed), "unordered") == NULL);
    AF_CHECK(strstr(pf_after(&f, pf_aggregate(&f, limit(&f, scan, 0, 1, false), "mean:v", 60), rule_order_not_needed),
                    "unordered") == NULL);
    AF_CHECK(strstr(pf_after(&f, pf_transform(&f, scan, AF_FN_DIFFERENCE, 1, af_value_none()), rule_order_not_needed),
                    "unordered") == NULL);
    pf_end(&f);
}

/* --- unused columns --------------------------------------------------------------------------------------------------------- */

AF_TEST(columns_nobody_takes_are_not_read)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "a:f b:f c:i", "host region", "");
    const struct af_node *filter = pf_filter(&f, scan, pf_call(&f, AF_FN_AND, pf_call(&f, AF_FN_GREATER, pf_column(&f, scan, "c"),
                                                                                      pf_i64(&f, 1)),
                                                               pf_call(&f, AF_FN_LESS, pf_column(&f, scan, "region"), pf_text(&f, "x"))));
    AF_CHECK_STR(pf_after(&f, pf_aggregate(&f, filter, "sum:b", 0), rule_unused_columns),
                 "aggregate sum = sum(b)\n  filter and(greater(c, 1), less(region, \"x\"))\n"
                 "    scan db.rp cpu; fields b f64, c i64; tags region\n");
    /* A row with nothing but an a is a row of the map. */
    AF_CHECK_STR(pf_after(&f, pf_map2(&f, scan, "b", pf_column(&f, scan, "b"), NULL, NULL), rule_unused_columns),
                 "map b\n  scan db.rp cpu; fields a f64, b f64, c i64\n");
    struct af_plan_map drops = pf_map2(&f, scan, "b", pf_column(&f, scan, "b"), "h", pf_column(&f, scan, "host"))->map;
    drops.drops_empty = true;
    const struct af_node *node = NULL;
    AF_CHECK_OK(af_plan_map(&f.plan, scan, &drops, &node, &f.err), f.err);
    AF_CHECK_STR(pf_after(&f, node, rule_unused_columns), /* host is never null: no row is empty */
                 "map b, h = host; without empty rows\n  scan db.rp cpu; fields a f64, b f64, c i64; tags host\n");
    drops.count = 1;
    AF_CHECK_OK(af_plan_map(&f.plan, scan, &drops, &node, &f.err), f.err);
    AF_CHECK_STR(pf_after(&f, node, rule_unused_columns), "map b; without empty rows\n  scan db.rp cpu; fields b f64\n");
    drops.keys = by_measurement_and_host;
    drops.key_count = 1;
    AF_CHECK_OK(af_plan_map(&f.plan, scan, &drops, &node, &f.err), f.err);
    AF_CHECK(strstr(pf_after(&f, node, rule_unused_columns), "fields a f64, b f64, c i64\n") != NULL);
    AF_CHECK(strstr(pf_after(&f, pf_aggregate(&f, node, "count:_measurement", 0), rule_unused_columns),
                    "fields a f64, b f64, c i64\n") != NULL);
    AF_CHECK(strstr(pf_after(&f, pf_aggregate(&f, node, "count:b", 0), rule_unused_columns), "fields b f64\n") != NULL);
    AF_CHECK_STR(pf_after(&f, pf_aggregate(&f, scan, "count:host sum:a", 0), rule_unused_columns),
                 "aggregate count = count(host), sum = sum(a)\n  scan db.rp cpu; fields a f64, b f64, c i64; tags host\n");
    pf_end(&f);
}

AF_TEST(columns_are_followed_through_the_nodes_between)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "a:f b:f c:i", "host rack", ""), *node = NULL;
    struct af_plan_select select = { .call = pf_fn(AF_FN_TOP, AF_TYPE_F64, af_value_i64(2)), .column = 2, .by = (const size_t[]){ 5 },
                                     .by_count = 1, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    AF_CHECK_OK(af_plan_select(&f.plan, scan, &select, &node, &f.err), f.err);
    AF_CHECK_STR(pf_after(&f, pf_map2(&f, node, "x", pf_column(&f, node, "c"), NULL, NULL), rule_unused_columns),
                 "map x = c\n  select top(b, 2); best of each rack\n    scan db.rp cpu; fields b f64, c i64; tags rack\n");
    AF_CHECK_OK(af_plan_regroup(&f.plan, scan, by_measurement_and_host, 2, false, &node,
                                &f.err), f.err);
    node = pf_map2(&f, node, "x", pf_call(&f, AF_FN_ADD, pf_column(&f, node, "b"), pf_f64(&f, 1)), "y",
                   pf_call(&f, AF_FN_COALESCE, pf_column(&f, node, "a"), pf_f64(&f, 0)));
    AF_CHECK_STR(pf_after(&f, pf_aggregate(&f, node, "mean:x", 60), rule_unused_columns),
                 "aggregate mean = mean(x); every 60ns\n  map x = add(b, 1.0), y = coalesce(a, 0.0)\n"
                 "    regroup by _measurement, host\n      scan db.rp cpu; fields a f64, b f64; tags host\n");
    AF_CHECK_STR(pf_after(&f, pf_aggregate(&f, node, "mean:y", 60), rule_unused_columns), /* y is there in every row */
                 "aggregate mean = mean(y); every 60ns\n  map x = add(b, 1.0), y = coalesce(a, 0.0)\n"
                 "    regroup by _measurement, host\n      scan db.rp cpu; fields a f64, b f64, c i64; tags host\n");
    AF_CHECK_STR(pf_after(&f, pf_aggregate(&f, limit(&f, scan, 0, 9, false), "mean:a", 60), rule_unused_columns),
                 "aggregate mean = mean(a); every 60ns\n  limit 9\n    scan db.rp cpu; fields a f64, b f64, c i64\n");
    pf_end(&f);
}

AF_TEST(a_filter_in_the_scan_keeps_its_columns)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *scan = pf_scan(&f, "a:f b:f c:f", "host rack", "");
    const struct af_expr *test = pf_call(&f, AF_FN_LESS, pf_column(&f, scan, "c"), pf_f64(&f, 3));
    test = pf_call(&f, AF_FN_OR, test, pf_call(&f, AF_FN_LESS, pf_column(&f, scan, "rack"), pf_text(&f, "r")));
    AF_CHECK_STR(pf_after(&f, pf_aggregate(&f, pf_filter(&f, scan, test), "median:b", 60), NULL),
                 "aggregate median = median(b); every 60ns\n"
                 "  scan db.rp cpu; fields b f64, c f64; tags rack; filter or(less(c, 3.0), less(rack, \"r\")); unordered\n");
    pf_end(&f);
}

/* --- all together ----------------------------------------------------------------------------------------------------------- */

static const struct af_node *dashboard(struct pf *f)
{
    const struct af_node *branch[2];
    for (int i = 0; i < 2; i++) {
        const struct af_node *scan = pf_scan(f, i == 0 ? "usage:f" : "idle:f", "host", "region");
        scan = pf_filter(f, scan, pf_call(f, AF_FN_EQUAL, pf_column(f, scan, "host"), pf_text(f, "a")));
        scan = pf_map2(f, scan, "v", pf_column(f, scan, i == 0 ? "usage" : "idle"), NULL, NULL);
        branch[i] = pf_fill_range(f, pf_aggregate(f, scan, i == 0 ? "mean:v" : "max:v", 60000000000), "n", 60000000000, 0,
                                  INT64_C(3600000000000));
    }
    const struct af_node *join = pf_join(f, branch[0], branch[1], &absent_null);
    const struct af_node *map = pf_map2(f, join, "mean", pf_column(f, join, "mean"), "sum",
                                        pf_call(f, AF_FN_ADD, pf_column(f, join, "mean"), pf_column(f, join, "max")));
    return limit(f, map, 0, 100, false);
}

AF_TEST(a_dashboard_becomes_one_fold)
{
    struct pf f;
    pf_begin(&f);
    AF_CHECK_STR(pf_after(&f, dashboard(&f), NULL),
                 "limit 100\n"
                 "  map mean, sum = add(mean, max)\n"
                 "    fill mean null, max null; every 1m; from 1970-01-01T00:00:00Z to 1970-01-01T01:00:00Z; nulls too\n"
                 "      fold mean = mean(usage), max = max(idle); every 1m; of db.rp cpu; fields usage f64, idle f64; where host = \"a\"; "
                 "by region\n");
    AF_CHECK_INT(f.plan.node_count, 4);
    AF_CHECK_INT(f.plan.root->id, 3);
    pf_end(&f);
}

AF_TEST(a_plan_whose_nodes_have_two_takers_each_stays_small)
{
    struct pf f;
    pf_begin(&f);
    const struct af_node *node = pf_scan(&f, "v:f", "", "");
    node = pf_map2(&f, node, "x", pf_column(&f, node, "v"), "y", pf_column(&f, node, "v"));
    for (int i = 0; i < 60; i++) { /* 2^60 paths */
        const struct af_node *join = pf_join(&f, pf_aggregate(&f, node, "median:x", 60), pf_aggregate(&f, node, "mode:y", 60),
                                             &absent_null);
        node = pf_map2(&f, join, "x", pf_column(&f, join, "median"), "y", pf_column(&f, join, "mode"));
    }
    f.plan.root = node;
    AF_CHECK_OK(af_plan_improve(&f.plan, &(struct af_rules_world){ 0 }, &f.err), f.err);
    AF_CHECK_INT(f.plan.node_count, 1 + 60 + 1);
    pf_end(&f);
}

AF_TEST(improving_without_memory)
{
    for (size_t nth = 1;; nth++) {
        struct pf f;
        static const uint32_t caps[] = { AF_STORE_CAN_FOLD };
        pf_begin(&f);
        f.plan.root = dashboard(&f);
        struct af_arena arena; /* of one chunk more for each allocation: the first arena is full */
        af_arena_init(&arena, SIZE_MAX);
        f.plan.arena = &arena;
        (void)af_alloc_fail_nth(nth);
        enum af_status status = af_plan_improve(&f.plan, &(struct af_rules_world){ caps, 1 }, &f.err);
        (void)af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        af_arena_done(&arena);
        pf_end(&f);
        if (status == AF_OK)
            return;
    }
}
