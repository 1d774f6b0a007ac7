/*
 * scan_test.c - SCAN against answers written by hand, against a plain sort of the rows that were made, and at its limits.
 */
#include "base/alloc.h"
#include "base/prng.h"
#include "exec/exec_fixture.h"
#include "exec/scan_int.h"
#include <stdlib.h>

static const char LINES[] = "cpu,host=a,region=n v=1.5,w=3i 10\n" "cpu,host=a,region=n v=2 20\n" "cpu,host=b w=7i 15\n"
                            "cpu,region=s v=9 20\n" "mem v=1 1\n";

AF_TEST(scan_groups_and_tags)
{
    struct fix f;
    fix_begin(&f, LINES);
    for (int caps = 0; caps < 2; caps++) {
        f.store->caps = caps == 0 ? AF_STORE_CAN_SERIES : 0;
        AF_CHECK_STR(fix_run(&f, fix_scan(&f, "cpu", "v:f w:i", "", "host")),
                     "cpu host= | 20 9 null\ncpu host=a | 10 1.5 3\ncpu host=a | 20 2 null\ncpu host=b | 15 null 7\n");
        AF_CHECK_INT(f.stats.series, 3);
        AF_CHECK_INT(f.stats.points, 5);
        AF_CHECK_STR(fix_run(&f, fix_scan(&f, "cpu", "v:f w:i", "host region", "")),
                     "cpu | 10 1.5 3 \"a\" \"n\"\ncpu | 15 null 7 \"b\" \"\"\ncpu | 20 2 null \"a\" \"n\"\ncpu | 20 9 null \"\" \"s\"\n");
        AF_CHECK_STR(fix_run(&f, fix_scan(&f, "cpu", "w:i", "host", "host region")),
                     "cpu host=a region=n | 10 3 \"a\"\ncpu host=b region= | 15 7 \"b\"\n");
        f.descending = true;
        AF_CHECK_STR(fix_run(&f, fix_scan(&f, "cpu", "v:f", "", "host")), "cpu host=a | 20 2\ncpu host=a | 10 1.5\ncpu host= | 20 9\n");
        AF_CHECK_STR(fix_run(&f, fix_scan(&f, "cpu", "v:f", "", "")), "cpu | 20 9\ncpu | 20 2\ncpu | 10 1.5\n");
        f.descending = false;
    }
    fix_end(&f);
}

AF_TEST(scan_of_nothing)
{
    struct fix f;
    fix_begin(&f, LINES);
    AF_CHECK_STR(fix_run(&f, fix_scan(&f, "disk", "v:f", "host", "host")), "");
    AF_CHECK_STR(fix_run(&f, fix_scan(&f, "cpu", "nothing:f", "", "host")), "");
    struct af_plan_scan scan = fix_scan_settings(&f, "cpu", "v:f", "", "");
    scan.start_ns = scan.stop_ns = 10;
    AF_CHECK_STR(fix_run(&f, fix_scan_node(&f, &scan)), "");
    fix_end(&f);
}

AF_TEST(scan_tags_may_be_null)
{
    struct fix f;
    fix_begin(&f, LINES);
    struct af_plan_scan scan = fix_scan_settings(&f, "cpu", "v:f", "host region none", "");
    scan.tags_null = true;
    AF_CHECK_STR(fix_run(&f, fix_scan_node(&f, &scan)),
                 "cpu | 10 1.5 \"a\" \"n\" null\ncpu | 20 2 \"a\" \"n\" null\ncpu | 20 9 null \"s\" null\n");
    fix_end(&f);
}

AF_TEST(scan_chooses_series)
{
    static const struct {
        uint64_t offset, count;
        const char *text;
    } cases[] = { /* host|a  host|b  region|s: by names first */
        { 0, 1, "cpu host=a region=n | 10 1.5 3\ncpu host=a region=n | 20 2 null\n" },
        { 1, 1, "cpu host= region=s | 20 9 null\n" },
        { 0, 2, "cpu host= region=s | 20 9 null\ncpu host=a region=n | 10 1.5 3\ncpu host=a region=n | 20 2 null\n" },
        { 1, 0, "cpu host= region=s | 20 9 null\n" },
        { 2, 5, "" },
        { 0, UINT64_MAX, "cpu host= region=s | 20 9 null\ncpu host=a region=n | 10 1.5 3\ncpu host=a region=n | 20 2 null\n" },
    };
    struct fix f;
    fix_begin(&f, LINES);
    struct af_predicate predicate = { .op = AF_PREDICATE_NOT_EQUAL, .tag = AF_SLICE_LIT("host"), .value = AF_SLICE_LIT("b") };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        f.store->caps = i % 2 == 0 ? AF_STORE_CAN_SERIES : 0;
        struct af_plan_scan scan = fix_scan_settings(&f, "cpu", "v:f w:i", "", "host region");
        scan.predicate = &predicate;
        scan.choice = (struct af_plan_choice){ true, scan.group, 2, cases[i / 2].offset, cases[i / 2].count };
        AF_CHECK_STR(fix_run(&f, fix_scan_node(&f, &scan)), cases[i / 2].text);
    }
    fix_end(&f);
}

/* Of series without points in the range, of a tag that is not the only part of the group, without any tags, unordered. */
AF_TEST(scan_chooses_series_by_other_tags)
{
    struct fix f;
    fix_begin(&f, LINES);
    f.store->caps = AF_STORE_CAN_SERIES;
    struct af_plan_scan scan = fix_scan_settings(&f, "cpu", "v:f w:i", "", "host region");
    scan.choice = (struct af_plan_choice){ true, scan.group, 1, 1, 2 }; /* none, a, b */
    scan.start_ns = 16;
    AF_CHECK_STR(fix_run(&f, fix_scan_node(&f, &scan)), "cpu host=a region=n | 20 2 null\n");
    scan.choice = (struct af_plan_choice){ true, scan.group + 1, 1, 1, 2 }; /* none, n, s */
    scan.unordered = true;
    AF_CHECK_STR(fix_run(&f, fix_scan_node(&f, &scan)), "cpu host= region=s | 20 9 null\ncpu host=a region=n | 20 2 null\n");
    scan.group_count = 0;
    scan.choice = (struct af_plan_choice){ true, NULL, 0, 1, 1 };
    AF_CHECK_STR(fix_run(&f, fix_scan_node(&f, &scan)), "");
    fix_end(&f);
}

AF_TEST(scan_unescapes_tags)
{
    struct fix f;
    fix_begin(&f, "c\\ pu,h\\ t=a\\,b\\=c v=1 1\n");
    AF_CHECK_STR(fix_run(&f, fix_scan(&f, "c pu", "v:f", "", "")), "c pu | 1 1\n");
    struct af_plan_scan scan = fix_scan_settings(&f, "c pu", "v:f", "", "");
    struct af_slice tag = AF_SLICE_LIT("h t");
    scan.tags = scan.group = &tag;
    scan.tag_count = scan.group_count = 1;
    AF_CHECK_STR(fix_run(&f, fix_scan_node(&f, &scan)), "c pu h t=a,b=c | 1 1 \"a,b=c\"\n");
    fix_end(&f);
}

AF_TEST(scan_casts_what_the_store_has)
{
    struct fix f;
    fix_begin(&f, "m,h=a i=3i,f=2.75,s=\"x\",b=true,u=7u 1\n" "m,h=b i=-4i 2\n" "m,h=c s=\"only\" 3\n");
    AF_CHECK_STR(fix_run(&f, fix_scan(&f, "m", "i:f f:i s:f b:i u:i", "", "h")),
                 "m h=a | 1 3 2 null null 7\nm h=b | 2 -4 null null null null\n");
    AF_CHECK_STR(fix_run(&f, fix_scan(&f, "m", "s:i", "", "")), "");
    AF_CHECK_STR(fix_run(&f, fix_scan(&f, "m", "s:i gone:s b:b", "", "")), "m | 1 null null true\n");
    fix_end(&f);
}

AF_TEST(scan_predicate_chooses_series)
{
    struct fix f;
    fix_begin(&f, LINES);
    struct af_predicate predicate = { .op = AF_PREDICATE_NOT_EQUAL, .tag = AF_SLICE_LIT("host"), .value = AF_SLICE_LIT("") };
    for (int caps = 0; caps < 2; caps++) {
        f.store->caps = caps == 0 ? AF_STORE_CAN_SERIES : 0;
        struct af_plan_scan scan = fix_scan_settings(&f, "cpu", "v:f w:i", "", "region");
        scan.predicate = &predicate;
        AF_CHECK_STR(fix_run(&f, fix_scan_node(&f, &scan)),
                     "cpu region= | 15 null 7\ncpu region=n | 10 1.5 3\ncpu region=n | 20 2 null\n");
        scan.start_ns = 15, scan.stop_ns = 20;
        scan.unordered = true;
        AF_CHECK_STR(fix_run(&f, fix_scan_node(&f, &scan)), "cpu region= | 15 null 7\n");
        AF_CHECK_INT(f.stats.series, 2);
    }
    fix_end(&f);
}

/* --- random data, against a plain sort ------------------------------------------------------------------------------------------------ */

enum { SERIES_MAX = 12, ROWS_MAX = 250, FIELDS = 3 };
struct point {
    int series;
    int64_t time_ns;
    bool has[FIELDS];
    int64_t v[FIELDS];                   /* v:f in tenths, w:i, b:b */
};
struct made_series {
    char key[64];
    const char *host, *region;
};
struct made {
    struct af_prng prng;
    struct made_series series[SERIES_MAX];
    int series_count;
    struct point points[ROWS_MAX];
    int count;
};
/* How a scan is to be. */
struct shape {
    bool descending, unordered, by_host, by_region, with_tags, with_filter;
    int64_t start_ns, stop_ns;
    uint64_t rows_hint, slice_rows;
    uint32_t caps;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct made_series *)a)->key, ((const struct made_series *)b)->key);
}

static void make_series(struct made *m)
{
    static const char *const hosts[] = { "", "a", "ab", "b" };
    static const char *const regions[] = { "", "n", "s" };
    m->series_count = 1 + (int)af_prng_below(&m->prng, SERIES_MAX);
    for (int i = 0; i < m->series_count; i++) {
        struct made_series *series = &m->series[i];
        series->host = hosts[i % 4];
        series->region = regions[i / 4];
        (void)snprintf(series->key, sizeof series->key, "m%s%s%s%s", *series->host != 0 ? ",host=" : "", series->host,
                       *series->region != 0 ? ",region=" : "", series->region);
    }
    qsort(m->series, (size_t)m->series_count, sizeof m->series[0], by_key);
}

static int by_time(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return x->series - y->series;
}

/* Times of several characters: dense, sparse, in clusters far apart, and the ends of what there is. */
static int64_t random_time(struct made *m, uint64_t kind)
{
    int64_t t = (int64_t)af_prng_below(&m->prng, 60);
    if (kind == 1)
        return t * 3600000000000;
    if (kind == 2)
        return t / 20 * INT64_C(1000000000000000) + t % 20;
    if (kind == 3 && t < 4)
        return t < 2 ? INT64_MIN + 2 + t : INT64_MAX - 5 + t;
    return t - 30;
}

static void print_value(struct af_buf *out, int field, int64_t v, bool as_line)
{
    if (field == 0)
        af_buf_printf(out, "%.12g", (double)v / 10);
    else if (field == 1)
        af_buf_printf(out, "%lld%s", (long long)v, as_line ? "i" : "");
    else
        af_buf_append_str(out, v != 0 ? "true" : "false");
}

static bool is_taken(const struct made *m, const struct point *p)
{
    for (int i = 0; i < m->count; i++)
        if (m->points[i].series == p->series && m->points[i].time_ns == p->time_ns)
            return true;
    return false;
}

static void make_points(struct made *m, struct fix *f)
{
    uint64_t kind = af_prng_below(&m->prng, 4);
    struct af_buf lines;
    af_buf_init(&lines, SIZE_MAX);
    for (uint64_t i = af_prng_below(&m->prng, ROWS_MAX); i > 0; i--) {
        struct point p = { .series = (int)af_prng_below(&m->prng, (uint64_t)m->series_count), .time_ns = random_time(m, kind) };
        uint64_t fields = 1 + af_prng_below(&m->prng, 7);
        if (is_taken(m, &p))
            continue;
        af_buf_append_str(&lines, m->series[p.series].key);
        const char *separator = " ";
        for (int k = 0; k < FIELDS; k++) {
            p.has[k] = (fields >> k & 1) != 0;
            p.v[k] = (int64_t)af_prng_below(&m->prng, k == 2 ? 2 : 100);
            if (!p.has[k])
                continue;
            af_buf_printf(&lines, "%s%c=", separator, "vwb"[k]);
            print_value(&lines, k, p.v[k], true);
            separator = ",";
        }
        af_buf_printf(&lines, " %lld\n", (long long)p.time_ns);
        m->points[m->count++] = p;
    }
    fix_write(f, af_buf_cstr(&lines));
    af_buf_done(&lines);
    qsort(m->points, (size_t)m->count, sizeof m->points[0], by_time);
}

/* One line of the answer, as the fixture prints it. */
static void print_point(struct af_buf *out, const struct made *m, const struct point *p, const struct shape *shape)
{
    const struct made_series *series = &m->series[p->series];
    af_buf_append_str(out, "m ");
    if (shape->by_host)
        af_buf_printf(out, "host=%s ", series->host);
    if (shape->by_region)
        af_buf_printf(out, "region=%s ", series->region);
    af_buf_printf(out, "| %lld", (long long)p->time_ns);
    for (int k = 0; k < FIELDS; k++) {
        af_buf_append_char(out, ' ');
        if (p->has[k])
            print_value(out, k, p->v[k], false);
        else
            af_buf_append_str(out, "null");
    }
    if (shape->with_tags)
        af_buf_printf(out, " \"%s\" \"%s\"", series->region, series->host);
    af_buf_append_char(out, '\n');
}

static int compare_group(const struct made *m, const struct point *a, const struct point *b, const struct shape *shape)
{
    int c = shape->by_host ? strcmp(m->series[a->series].host, m->series[b->series].host) : 0;
    return c != 0 || !shape->by_region ? c : strcmp(m->series[a->series].region, m->series[b->series].region);
}

static bool is_chosen(const struct point *p, const struct shape *shape)
{
    if (p->time_ns < shape->start_ns || (shape->stop_ns != INT64_MAX && p->time_ns >= shape->stop_ns))
        return false;
    return !shape->with_filter || (p->has[1] && p->v[1] >= 40);
}

/* All lines in the order that is due: groups one after the other by selection, in each the sorted points forwards or backwards. */
static void expect(struct af_buf *out, const struct made *m, const struct shape *shape)
{
    const struct point *group = NULL;
    for (;;) {
        const struct point *next = NULL;
        for (int i = 0; i < m->count; i++) {
            const struct point *p = &m->points[i];
            int sign = shape->descending ? -1 : 1;
            if (is_chosen(p, shape) && (group == NULL || compare_group(m, p, group, shape) * sign > 0) &&
                (next == NULL || compare_group(m, p, next, shape) * sign < 0))
                next = p;
        }
        if (next == NULL)
            return;
        group = next;
        uint64_t given = 0;
        for (int i = 0; i < m->count; i++) {
            const struct point *p = &m->points[shape->descending ? m->count - 1 - i : i];
            bool is_wanted = shape->rows_hint == 0 || given < shape->rows_hint;
            if (is_chosen(p, shape) && compare_group(m, p, group, shape) == 0 && is_wanted && ++given > 0)
                print_point(out, m, p, shape);
        }
    }
}

/* Runs a node with small slices; as fix_run. */
static const char *run_small(struct fix *f, const struct af_node *root, uint64_t slice_rows)
{
    fix_prepare(f, root);
    struct exec exec = { .options = f->options, .slice_rows = slice_rows };
    exec.options.limits.bytes_max = exec.options.limits.bytes_max != 0 ? exec.options.limits.bytes_max : SIZE_MAX / 2;
    exec.options.limits.windows_max = 1000000;
    af_arena_init(&exec.arena, SIZE_MAX);
    struct op *no_inputs[1], *op = NULL;
    AF_CHECK_OK(open_scan(&exec, root, no_inputs, &op, &f->err), f->err);
    enum af_status status = fix_pull(f, &op->base, root);
    op_close(op);
    AF_CHECK_INT(exec.bytes, 0);
    af_arena_done(&exec.arena);
    if (status != AF_OK)
        af_buf_printf(&f->text, "! %s: %s\n", af_status_name(status), f->err.message);
    return af_buf_cstr(&f->text);
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Text with its lines sorted; to be freed. */
static char *sorted_lines(const char *text)
{
    char *copy = strdup(text), *out = calloc(1, strlen(text) + 1);
    char **lines = calloc(strlen(text) + 1, sizeof *lines);
    size_t count = 0;
    for (char *line = strtok(copy, "\n"); line != NULL; line = strtok(NULL, "\n"))
        lines[count++] = line;
    qsort(lines, count, sizeof *lines, by_line);
    for (size_t i = 0, at = 0; i < count; i++)
        at += (size_t)sprintf(out + at, "%s\n", lines[i]);
    free(lines);
    free(copy);
    return out;
}

/* With a hint a group may go on behind it: what is due of it must come first. So both are cut group by group. */
static void cut_groups(struct af_buf *text, uint64_t rows_max)
{
    size_t at = 0, kept = 0;
    uint64_t rows = 0;
    struct af_slice last = { 0 };
    while (at < text->len) {
        char *line = text->ptr + at;
        size_t len = (size_t)((char *)memchr(line, '\n', text->len - at) - line) + 1;
        struct af_slice key = { line, (size_t)((char *)memchr(line, '|', len) - line) };
        rows = last.ptr != NULL && af_slice_eq(last, key) ? rows + 1 : 1;
        at += len;
        if (rows <= rows_max) {
            memmove(text->ptr + kept, line, len);
            last = (struct af_slice){ text->ptr + kept, key.len };
            kept += len;
        }
    }
    text->len = kept;
}

static struct shape random_shape(struct made *m)
{
    static const uint64_t sizes[] = { 1, 2, 3, 7, 50, 100000 };
    static const uint32_t caps[] = { 0, AF_STORE_CAN_SERIES, AF_STORE_CAN_SERIES | AF_STORE_CAN_FOLD };
    struct shape shape = { .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    uint64_t bits = af_prng_next(&m->prng);
    shape.descending = (bits & 1) != 0;
    shape.unordered = (bits & 6) == 0;
    shape.by_host = (bits & 8) != 0;
    shape.by_region = (bits & 16) != 0;
    shape.with_tags = (bits & 32) != 0;
    shape.with_filter = (bits & 64) != 0;
    if ((bits & 384) == 0)
        shape.start_ns = (int64_t)af_prng_below(&m->prng, 50) - 25;
    if ((bits & 1536) == 0)
        shape.stop_ns = (shape.start_ns != INT64_MIN ? shape.start_ns : -20) + (int64_t)af_prng_below(&m->prng, 50);
    if ((bits & 6144) == 0 && !shape.unordered)
        shape.rows_hint = 1 + af_prng_below(&m->prng, 6);
    shape.slice_rows = sizes[af_prng_below(&m->prng, 6)];
    shape.caps = caps[af_prng_below(&m->prng, 3)];
    return shape;
}

static const struct af_expr *random_filter(struct fix *f, const struct af_node *node)
{
    const struct af_expr *args[2] = { af_expr_column(&f->arena, &node->schema, 2), af_expr_literal(&f->arena, af_value_i64(40)) };
    const struct af_expr **own = af_arena_zero(&f->arena, 2, sizeof *own);
    memcpy(own, args, sizeof args);
    const struct af_expr *filter = NULL;
    AF_CHECK_OK(af_expr_call(&f->arena, AF_FN_GREATER_EQUAL, own, 2, NULL, &filter, &f->err), f->err);
    return filter;
}

static void check_shape(struct fix *f, const struct made *m, const struct shape *shape)
{
    const char *group = shape->by_host ? shape->by_region ? "host region" : "host" : shape->by_region ? "region" : "";
    struct af_plan_scan scan = fix_scan_settings(f, "m", "v:f w:i b:b", shape->with_tags ? "region host" : "", group);
    scan.descending = f->descending = shape->descending;
    scan.unordered = f->any_time_order = shape->unordered;
    scan.start_ns = shape->start_ns;
    scan.stop_ns = shape->stop_ns;
    scan.rows_hint = shape->rows_hint;
    f->store->caps = shape->caps;
    if (shape->with_filter)
        scan.filter = random_filter(f, fix_scan_node(f, &scan));
    struct af_buf want;
    af_buf_init(&want, SIZE_MAX);
    expect(&want, m, shape);
    const char *got = run_small(f, fix_scan_node(f, &scan), shape->slice_rows);
    if (shape->rows_hint != 0) {
        cut_groups(&f->text, shape->rows_hint);
        got = af_buf_cstr(&f->text);
    }
    if (shape->unordered) {
        char *a = sorted_lines(got), *b = sorted_lines(af_buf_cstr(&want));
        AF_CHECK_STR(a, b);
        free(a);
        free(b);
    } else {
        AF_CHECK_STR(got, af_buf_cstr(&want));
    }
    af_buf_done(&want);
}

AF_TEST(scan_in_slices_equals_a_plain_sort)
{
    static struct made m;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        m = (struct made){ .prng = { seed } };
        struct fix f;
        fix_begin(&f, "");
        make_series(&m);
        make_points(&m, &f);
        for (int i = 0; i < 12; i++) {
            struct shape shape = random_shape(&m);
            af_plan_init(&f.plan, &f.arena);
            check_shape(&f, &m, &shape);
        }
        fix_end(&f);
    }
}

/* --- the order of rows --------------------------------------------------------------------------------------------------------------- */

static const int64_t *sort_times;
static const uint32_t *sort_series;

static int by_time_and_series(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (sort_times[x] != sort_times[y])
        return sort_times[x] < sort_times[y] ? -1 : 1;
    if (sort_series[x] != sort_series[y])
        return sort_series[x] < sort_series[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Series in any order, as a store that does not keep them together has them. */
AF_TEST(rows_are_sorted_by_time_and_series)
{
    enum { MOST = 3000 };
    static int64_t times[MOST];
    static uint32_t series[MOST], want[MOST];
    struct af_prng prng = { 5 };
    struct af_arena arena;
    struct af_error err;
    af_arena_init(&arena, SIZE_MAX);
    for (int round = 0; round < 100; round++) {
        size_t rows = (size_t)af_prng_below(&prng, MOST);
        uint64_t range = round % 3 == 0 ? UINT64_MAX : round % 3 == 1 ? 50 : 1 << 20;
        int64_t unit = round % 2 == 0 ? 1 : 1000000;
        bool descending = round % 5 == 0;
        uint32_t *got;
        for (size_t i = 0; i < rows; i++) {
            times[i] = (int64_t)(af_prng_below(&prng, range) * (uint64_t)unit);
            series[i] = (uint32_t)af_prng_below(&prng, 10);
            want[i] = (uint32_t)i;
        }
        sort_times = times;
        sort_series = series;
        qsort(want, rows, sizeof want[0], by_time_and_series);
        AF_CHECK_OK(sort_rows(times, series, rows, descending, &arena, &got, &err), err);
        for (size_t i = 0; i < rows; i++)
            AF_CHECK_INT(got[descending ? rows - 1 - i : i], want[i]);
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
}
