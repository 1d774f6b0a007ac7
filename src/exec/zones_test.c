/*
 * zones_test.c - windows of hours where a zone's clock changes, summed and filled: what a real InfluxDB 1.8.10 answers, steps that are no
 * window's start included. America/Sao_Paulo, forward at 2018-11-04T03:00Z, back at 2019-02-17T02:00Z. One answer is ours: a start that the
 * wall shows twice is there either of the two, backwards the second (data/window.c).
 */
#include "exec/feed_fixture.h"

enum { HOUR = 3600 };
/* Times in seconds. */
struct known {
    int64_t every, start, stop;
    const char *rows, *forwards, *backwards;
};

static const char back[] = "m | 1550355000 1\nm | 1550365800 2\nm | 1550369400 3\nm | 1550373000 4\nm | 1550383800 5\n";
static const char forth[] = "m | 1541286600 1\nm | 1541301000 2\nm | 1541319000 3\n";
static const struct known known[] = {
    { 2, 1550354400, 1550397600, back, "1550354400 1,1550361600 5,1550368800 0,1550372400 4,1550379600 5,1550394000 0,",
      "1550394000 0,1550386800 0,1550379600 5,1550372400 4,1550361600 5,1550354400 1," },
    { 3, 1550354400, 1550397600, back, "1550347200 1,1550358000 5,1550368800 0,1550372400 4,1550383200 5,",
      "1550394000 0,1550383200 5,1550372400 4,1550358000 5,1550347200 1," },
    { 5, 1550354400, 1550397600, back, "1550347200 1,1550365200 14,1550386800 0,",
      "1550386800 0,1550365200 14,1550347200 1," },
    { 2, 1541282400, 1541325600, forth,
      "1541278800 0,1541286000 1,1541293200 0,1541300400 2,1541304000 0,1541311200 0,1541318400 3,",
      "1541318400 3,1541311200 0,1541304000 0,1541300400 2,1541293200 0,1541286000 1,1541278800 0," },
    { 3, 1541282400, 1541325600, forth, "1541278800 1,1541289600 0,1541300400 2,1541307600 0,1541318400 3,",
      "1541318400 3,1541307600 0,1541300400 2,1541289600 0,1541278800 1," },
    { 5, 1541282400, 1541325600, forth, "1541278800 1,1541296800 2,1541311200 3,", "1541311200 3,1541296800 2,1541278800 1," },
};

/* Lines in seconds with nanoseconds put behind, in this order or the other. */
static char *nanoseconds(const char *rows, bool descending, char *out)
{
    const char *lines[8];
    size_t count = 0;
    for (const char *at = rows; *at != '\0'; at = strchr(at, '\n') + 1)
        lines[count++] = at;
    char *to = out;
    for (size_t i = 0; i < count; i++) {
        long long seconds;
        int value;
        AF_CHECK_INT(sscanf(lines[descending ? count - 1 - i : i], "m | %lld %d", &seconds, &value), 2);
        to += sprintf(to, "m | %lld000000000 %d\n", seconds, value);
    }
    return out;
}

/* The answer as `known` writes it. */
static const char *brief(const char *answer, char *out)
{
    char *to = out;
    *to = '\0';
    for (const char *at = answer; *at != '\0'; at = strchr(at, '\n') + 1) {
        long long ns;
        int value;
        if (sscanf(at, "m | %lld %d", &ns, &value) != 2)
            return answer;
        to += sprintf(to, "%lld %d,", ns / AF_NS_PER_S, value);
    }
    return out;
}

static const char *sums(struct feed *f, const struct known *k, char *out)
{
    static const enum af_fill_mode modes[1] = { AF_FILL_VALUE };
    static const struct af_value zero[1] = { { .type = AF_TYPE_I64, .i64 = 0 } };
    char text[512];
    const struct af_node *in = feed_input(f, "v:i", nanoseconds(k->rows, f->fix.descending, text)), *node = NULL;
    struct af_window window = { .every_ns = k->every * HOUR * AF_NS_PER_S, .zone = { .kind = AF_ZONE_SAO_PAULO } };
    struct af_plan_call call = { .call = { .id = AF_FN_SUM, .type = AF_TYPE_I64 }, .column = 1, .name = "sum" };
    struct af_plan_aggregate aggregate = { .window = window, .start_ns = k->start * AF_NS_PER_S, .stop_ns = k->stop * AF_NS_PER_S,
                                           .calls = &call, .call_count = 1, .descending = f->fix.descending };
    AF_CHECK_OK(af_plan_aggregate(&f->fix.plan, in, &aggregate, &node, &f->fix.err), f->fix.err);
    struct af_plan_fill fill = { .window = window, .start_ns = aggregate.start_ns, .stop_ns = aggregate.stop_ns, .modes = modes,
                                 .values = zero, .descending = f->fix.descending };
    AF_CHECK_OK(af_plan_fill(&f->fix.plan, node, &fill, &node, &f->fix.err), f->fix.err);
    return brief(feed_run(f, node), out);
}

AF_TEST(windows_of_hours_where_a_clock_changes_are_those_of_influxdb)
{
    char out[512];
    struct feed f;
    feed_begin(&f);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        f.fix.descending = false;
        AF_CHECK_STR(sums(&f, &known[i], out), known[i].forwards);
        f.fix.descending = true;
        AF_CHECK_STR(sums(&f, &known[i], out), known[i].backwards);
    }
    feed_end(&f);
}
