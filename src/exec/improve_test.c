/*
 * improve_test.c - rules never change an answer: random plans over random points, run as they were built and after af_plan_improve.
 *
 * Values are small whole numbers, so that sums do not depend on the order in which they are added.
 */
#include "base/prng.h"
#include "base/regex.h"
#include "exec/exec_fixture.h"

struct dice {
    struct fix f;
    struct af_prng prng;
    struct af_regex *regex;
};

static uint64_t roll(struct dice *d, uint64_t sides)
{
    return af_prng_below(&d->prng, sides);
}
static const char *one_of(struct dice *d, const char *const *words, size_t count)
{
    return words[roll(d, count)];
}

static void write_points(struct dice *d)
{
    static const char *const hosts[] = { "", ",host=a", ",host=b", ",host=c" }, *const regions[] = { "", ",region=x", ",region=y" };
    struct af_buf text;
    af_buf_init(&text, 1 << 20);
    for (size_t count = 20 + roll(d, 120); count > 0; count--) {
        af_buf_printf(&text, "cpu%s%s ", one_of(d, hosts, 4), one_of(d, regions, 3));
        uint64_t which = 1 + roll(d, 7);
        if ((which & 1) != 0)
            af_buf_printf(&text, "a=%d", (int)roll(d, 9) - 4);
        if ((which & 2) != 0)
            af_buf_printf(&text, "%sb=%di", (which & 1) != 0 ? "," : "", (int)roll(d, 9) - 4);
        if ((which & 4) != 0)
            af_buf_printf(&text, "%ss=\"%c\"", (which & 3) != 0 ? "," : "", 'p' + (int)roll(d, 3));
        af_buf_printf(&text, " %d\n", (int)roll(d, 60));
    }
    fix_write(&d->f, af_buf_cstr(&text));
    af_buf_done(&text);
}

/* --- expressions ------------------------------------------------------------------------------------------------------------------ */

static const struct af_expr *call(struct dice *d, enum af_fn fn, const struct af_expr *a, const struct af_expr *b)
{
    const struct af_expr *out = NULL;
    bool is_match = fn == AF_FN_MATCH || fn == AF_FN_NOT_MATCH;
    AF_CHECK_OK(af_expr_call(&d->f.arena, fn, (const struct af_expr *const[]){ a, b }, b != NULL ? 2 : 1, is_match ? d->regex : NULL, &out,
                             &d->f.err), d->f.err);
    return out;
}
static const struct af_expr *column_of_type(struct dice *d, const struct af_node *in, bool is_text)
{
    size_t found = SIZE_MAX, seen = 0;
    for (size_t i = 1; i < in->schema.field_count; i++)
        if ((in->schema.fields[i].type == AF_TYPE_STRING) == is_text && roll(d, ++seen) == 0)
            found = i;
    return found != SIZE_MAX ? af_expr_column(&d->f.arena, &in->schema, found) : NULL;
}

static const struct af_expr *test_of(struct dice *d, const struct af_node *in, unsigned depth)
{
    static const char *const texts[] = { "", "a", "b", "x", "p", "q" };
    if (depth > 0 && roll(d, 3) != 0) {
        enum af_fn fn = roll(d, 2) == 0 ? AF_FN_AND : AF_FN_OR;
        if (roll(d, 4) == 0)
            return call(d, AF_FN_NOT, test_of(d, in, depth - 1), NULL);
        return call(d, fn, test_of(d, in, depth - 1), test_of(d, in, depth - 1));
    }
    const struct af_expr *text = column_of_type(d, in, true), *number = column_of_type(d, in, false);
    if (roll(d, 12) == 0 || (text == NULL && number == NULL))
        return af_expr_literal(&d->f.arena, roll(d, 3) == 0 ? af_value_none() : af_value_bool(roll(d, 2) == 0));
    if (number != NULL && (text == NULL || roll(d, 3) == 0))
        return call(d, roll(d, 2) == 0 ? AF_FN_GREATER : AF_FN_LESS, number, af_expr_literal(&d->f.arena, af_value_i64((int)roll(d,
                                                                                                                                 5) - 2)));
    if (roll(d, 5) == 0)
        return call(d, AF_FN_IS_NULL, text, NULL);
    if (roll(d, 4) == 0)
        return call(d, roll(d, 2) == 0 ? AF_FN_MATCH : AF_FN_NOT_MATCH, text, NULL);
    const struct af_expr *literal = af_expr_literal(&d->f.arena, af_value_text(af_slice_of(one_of(d, texts, 6))));
    enum af_fn fn = roll(d, 2) == 0 ? AF_FN_EQUAL : AF_FN_NOT_EQUAL;
    return roll(d, 2) == 0 ? call(d, fn, text, literal) : call(d, fn, literal, text);
}

static const struct af_expr *value_of(struct dice *d, const struct af_node *in)
{
    const struct af_expr *number = column_of_type(d, in, false), *text = column_of_type(d, in, true);
    if (number == NULL || (text != NULL && roll(d, 4) == 0))
        return text;
    if (roll(d, 3) == 0)
        return call(d, AF_FN_ADD, number, column_of_type(d, in, false));
    if (roll(d, 3) == 0)
        return call(d, AF_FN_COALESCE, number, af_expr_literal(&d->f.arena,
                                                               number->type == AF_TYPE_F64 ? af_value_f64(2) : af_value_i64(2)));
    return number;
}

/* --- rows --------------------------------------------------------------------------------------------------------------------------- */

static const struct af_node *scan_of(struct dice *d, const char *group, int64_t start_ns, int64_t stop_ns)
{
    static const char *const fields[] = { "a:f", "b:i", "s:s", "a:f b:i", "b:i s:s", "s:s a:f b:i" };
    static const char *const tags[] = { "", "host", "region", "host region" };
    struct af_plan_scan *scan = af_arena_zero(&d->f.arena, 1, sizeof *scan);
    *scan = fix_scan_settings(&d->f, "cpu", one_of(d, fields, 6), one_of(d, tags, 4), group);
    scan->tags_null = roll(d, 2) == 0;
    scan->start_ns = start_ns;
    scan->stop_ns = stop_ns;
    scan->descending = d->f.descending;
    return fix_scan_node(&d->f, scan);
}

static const struct af_node *map_of(struct dice *d, const struct af_node *in)
{
    static const char *const names[] = { "x", "y", "z" };
    static const struct af_slice host = { "host", 4 };
    size_t count = 1 + roll(d, 3);
    const struct af_expr **exprs = af_arena_zero(&d->f.arena, count, sizeof *exprs);
    for (size_t i = 0; i < count; i++)
        exprs[i] = value_of(d, in);
    struct af_plan_map map = { .exprs = exprs, .names = names, .count = count, .drops_empty = roll(d, 2) == 0 };
    if (roll(d, 4) == 0) {
        map.keys = &host;
        map.key_count = 1;
    }
    AF_CHECK_OK(af_plan_map(&d->f.plan, in, &map, &in, &d->f.err), d->f.err);
    return in;
}

static const struct af_node *rows_of(struct dice *d, const struct af_node *in)
{
    for (size_t count = roll(d, 3); count > 0; count--) {
        if (roll(d, 3) != 0)
            AF_CHECK_OK(af_plan_filter(&d->f.plan, in, test_of(d, in, 2), &in, &d->f.err), d->f.err);
        else
            in = map_of(d, in);
    }
    return in;
}

static struct af_fn_call a_call(struct dice *d, const struct af_node *in, size_t column, const enum af_fn *of, size_t count)
{
    static const enum af_fn any[] = { AF_FN_COUNT, AF_FN_FIRST, AF_FN_LAST };
    struct af_fn_call made = { .id = of[roll(d, count)], .type = in->schema.fields[column].type };
    if (made.type == AF_TYPE_STRING)
        made.id = any[roll(d, 3)];
    if (made.id == AF_FN_TOP || made.id == AF_FN_BOTTOM || made.id == AF_FN_PERCENTILE) {
        made.params[0] = made.id == AF_FN_PERCENTILE ? af_value_f64(50) : af_value_i64(2);
        made.param_count = 1;
    }
    return made;
}

static const struct af_node *aggregate_of(struct dice *d, const struct af_node *in, struct af_window window, int64_t start_ns,
                                          int64_t stop_ns)
{
    static const enum af_fn ids[] = { AF_FN_COUNT, AF_FN_SUM, AF_FN_MEAN, AF_FN_MIN, AF_FN_MAX, AF_FN_FIRST, AF_FN_LAST, AF_FN_MEDIAN,
                                      AF_FN_SPREAD };
    static const char *const names[] = { "c0", "c1", "c2" };
    size_t count = roll(d, 3) != 0 ? 1 : 1 + roll(d, 3);
    struct af_plan_call *calls = af_arena_zero(&d->f.arena, count, sizeof *calls);
    for (size_t i = 0; i < count; i++) {
        calls[i].column = 1 + roll(d, in->schema.field_count - 1);
        calls[i].call = a_call(d, in, calls[i].column, ids, roll(d, 2) == 0 ? 7 : 9);
        calls[i].name = names[i];
    }
    struct af_plan_aggregate aggregate = { .window = window, .start_ns = start_ns, .stop_ns = stop_ns, .calls = calls, .call_count = count,
                                           .descending = d->f.descending };
    AF_CHECK_OK(af_plan_aggregate(&d->f.plan, in, &aggregate, &in, &d->f.err), d->f.err);
    return in;
}

/* --- plans ------------------------------------------------------------------------------------------------------------------ */

static struct af_value a_value(enum af_type type)
{
    return type == AF_TYPE_F64 ? af_value_f64(9) : type == AF_TYPE_I64 ? af_value_i64(9) : af_value_none();
}

static const struct af_node *fill_of(struct dice *d, const struct af_node *in, const struct af_plan_aggregate *aggregate, uint64_t mode)
{
    size_t count = in->schema.field_count - 1;
    enum af_fill_mode *modes = af_arena_zero(&d->f.arena, count, sizeof *modes);
    struct af_value *values = af_arena_zero(&d->f.arena, count, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        enum af_type type = in->schema.fields[1 + i].type;
        modes[i] = mode == AF_FILL_LINEAR && type == AF_TYPE_STRING ? AF_FILL_NULL : (enum af_fill_mode)mode;
        values[i] = a_value(type);
    }
    struct af_plan_fill fill = { .window = aggregate->window, .start_ns = aggregate->start_ns, .stop_ns = aggregate->stop_ns,
                                 .modes = modes,
                                 .values = values, .descending = d->f.descending };
    AF_CHECK_OK(af_plan_fill(&d->f.plan, in, &fill, &in, &d->f.err), d->f.err);
    return in;
}

/* Branches over the same or nearly the same rows, as a language makes them of several calls. */
static const struct af_node *join_of(struct dice *d, const char *group)
{
    int64_t start_ns = roll(d, 3) == 0 ? INT64_MIN : (int64_t)roll(d, 20), stop_ns = 30 + (int64_t)roll(d, 40);
    struct af_window window = { .every_ns = roll(d, 4) == 0 ? 0 : 5 + (int64_t)roll(d, 20), .offset_ns = (int64_t)roll(d, 3) };
    uint64_t mode = roll(d, 6), count = 2 + roll(d, 2);
    const struct af_node *in[3], *rows = scan_of(d, group, start_ns, stop_ns), *out = NULL;
    const struct af_expr *test = roll(d, 2) == 0 ? test_of(d, rows, 1) : NULL;
    bool has_limit = roll(d, 4) == 0;
    size_t columns = 0;
    for (size_t i = 0; i < count; i++) {
        const struct af_node *branch = roll(d, 2) == 0 ? rows : scan_of(d, group, start_ns, stop_ns);
        if (branch == rows && test != NULL)
            AF_CHECK_OK(af_plan_filter(&d->f.plan, branch, test, &branch, &d->f.err), d->f.err);
        if (roll(d, 2) == 0)
            branch = map_of(d, branch);
        branch = aggregate_of(d, branch, window, start_ns, stop_ns);
        in[i] = mode < 4 && window.every_ns != 0 ? fill_of(d, branch, &branch->aggregate, mode) : branch;
        if (has_limit)
            AF_CHECK_OK(af_plan_limit(&d->f.plan, in[i], 1, 3, false, &in[i], &d->f.err), d->f.err);
        columns += branch->schema.field_count - 1;
    }
    struct af_value *values = af_arena_zero(&d->f.arena, columns, sizeof *values);
    struct af_plan_join join = { .absent = (enum af_absent)roll(d, 3), .values = values, .descending = d->f.descending };
    for (size_t i = 0, at = 0; i < count && mode == AF_FILL_VALUE; i++)
        for (size_t j = 1; j < in[i]->schema.field_count; j++)
            values[at++] = a_value(in[i]->schema.fields[j].type);
    AF_CHECK_OK(af_plan_join(&d->f.plan, in, count, &join, &out, &d->f.err), d->f.err);
    return out;
}

static const struct af_node *select_of(struct dice *d, const struct af_node *in)
{
    static const enum af_fn ids[] = { AF_FN_MIN, AF_FN_MAX, AF_FN_FIRST, AF_FN_LAST, AF_FN_PERCENTILE, AF_FN_TOP, AF_FN_BOTTOM };
    size_t *by = af_arena_zero(&d->f.arena, 1, sizeof *by), column = 1 + roll(d, in->schema.field_count - 1);
    *by = 1 + roll(d, in->schema.field_count - 1);
    struct af_plan_select select = { .window = { .every_ns = roll(d, 2) == 0 ? 0 : 20 }, .start_ns = INT64_MIN, .stop_ns = INT64_MAX,
                                     .call = a_call(d, in, column, ids, 7), .column = column, .by = by, .descending = d->f.descending };
    if (select.call.id == AF_FN_COUNT)
        select.call.id = AF_FN_FIRST;
    select.by_count = (select.call.id == AF_FN_TOP || select.call.id == AF_FN_BOTTOM) && roll(d, 2) == 0;
    AF_CHECK_OK(af_plan_select(&d->f.plan, in, &select, &in, &d->f.err), d->f.err);
    return in;
}

static const struct af_node *regroup_of(struct dice *d, const struct af_node *in)
{
    static const struct af_slice names[] = { { AF_KEY_MEASUREMENT, 12 }, { "host", 4 } };
    bool has_host = af_schema_find(&in->schema, AF_SLICE_LIT("host")) != SIZE_MAX;
    AF_CHECK_OK(af_plan_regroup(&d->f.plan, in, names, has_host ? 2 : 1, d->f.descending, &in, &d->f.err), d->f.err);
    return in;
}

static const struct af_node *plan_of(struct dice *d)
{
    static const char *const groups[] = { "", "host", "region", "host region" };
    const char *group = one_of(d, groups, 4);
    const struct af_node *node = roll(d, 5) < 2 ? join_of(d, group) : rows_of(d, scan_of(d, group, INT64_MIN, INT64_MAX));
    bool has_rows = node->kind != AF_NODE_JOIN;
    if (has_rows && roll(d, 4) == 0)
        node = regroup_of(d, node);
    if (has_rows && roll(d, 3) == 0)
        node = select_of(d, node);
    if (has_rows && roll(d, 2) == 0) {
        struct af_window window = { .every_ns = roll(d, 2) == 0 ? 0 : 10 };
        node = aggregate_of(d, node, window, roll(d, 2) == 0 ? INT64_MIN : 5, roll(d, 2) == 0 ? INT64_MAX : 50);
    }
    if (roll(d, 4) == 0)
        node = map_of(d, node);
    if (roll(d, 3) == 0)
        AF_CHECK_OK(af_plan_limit(&d->f.plan, node, roll(d, 3), 1 + roll(d, 5), false, &node, &d->f.err), d->f.err);
    if (roll(d, 4) == 0)
        AF_CHECK_OK(af_plan_limit(&d->f.plan, node, roll(d, 2), 1 + roll(d, 2), true, &node, &d->f.err), d->f.err);
    return node;
}

static void compare(struct dice *d, uint64_t seed, unsigned *kinds)
{
    const struct af_node *root = plan_of(d);
    struct af_buf before, after;
    af_buf_init(&before, 1 << 20);
    af_buf_init(&after, 1 << 20);
    struct af_buf want;
    af_buf_init(&want, 1 << 22);
    af_buf_append_str(&want, fix_run(&d->f, root));
    af_plan_print(&before, &d->f.plan, NULL);
    AF_CHECK_OK(af_plan_improve(&d->f.plan, &(struct af_rules_world){ &d->f.store->caps, 1 }, &d->f.err), d->f.err);
    af_plan_print(&after, &d->f.plan, NULL);
    const char *got = fix_run(&d->f, d->f.plan.root);
    if (strcmp(got, af_buf_cstr(&want)) != 0)
        af_test_failed(__FILE__, __LINE__, "seed %llu\n%s\n%s\nbefore:\n%s\nafter:\n%s", (unsigned long long)seed, af_buf_cstr(&before),
                       af_buf_cstr(&after), af_buf_cstr(&want), got);
    kinds[0] += strcmp(af_buf_cstr(&before), af_buf_cstr(&after)) != 0;
    kinds[1] += strstr(af_buf_cstr(&after), "fold ") != NULL;
    kinds[2] += strstr(af_buf_cstr(&before), "join") != NULL && strstr(af_buf_cstr(&after), "join") == NULL;
    kinds[3] += strstr(af_buf_cstr(&after), "; where ") != NULL;
    kinds[4] += strstr(af_buf_cstr(&after), "; filter ") != NULL;
    kinds[5] += got[0] != '\0';
    af_buf_done(&before);
    af_buf_done(&after);
    af_buf_done(&want);
}

AF_TEST(rules_never_change_an_answer)
{
    enum { ROUNDS = 1000 };
    unsigned kinds[6] = { 0 };
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct dice d = { .prng = { seed } };
        fix_begin(&d.f, "");
        d.f.descending = roll(&d, 3) == 0;
        AF_CHECK_OK(af_regex_new(AF_SLICE_LIT("^[apx]?$"), &d.regex, &d.f.err), d.f.err);
        write_points(&d);
        compare(&d, seed, kinds);
        af_regex_free(d.regex);
        fix_end(&d.f);
    }
    /* The dice do throw what is to be tested. */
    AF_CHECK(kinds[0] > ROUNDS / 2);
    AF_CHECK(kinds[1] > ROUNDS / 20);
    AF_CHECK(kinds[2] > ROUNDS / 40);
    AF_CHECK(kinds[3] > ROUNDS / 20);
    AF_CHECK(kinds[4] > ROUNDS / 20);
    AF_CHECK(kinds[5] > ROUNDS / 2);
}
