/*
 * costs_fuzz.c - foreign bytes of this room. As a table of prices: prices, or a refusal with words; over the built-in table everything that
 * is found is finite, and a plan of it is one or says why not. As a kept report: what was read and printed reads again as the same. As a
 * pattern and a text: as the plain definition of a star has it.
 */
#include "costs/costs.h"
#include <assert.h>
#include <math.h>

static void try_table(struct af_slice text, struct af_arena *arena)
{
    static const struct af_cost_wish wish = { .size = "db.influx.large", .tier = 2, .storage_gib = 400, .is_multi_az = true,
                                              .region = "us-east-1", .points_a_day = UINT64_MAX, .objects_a_day = 5, .queries_a_day = 5 };
    struct af_prices base, prices;
    struct af_cost_plan plan;
    struct af_error err = { 0 };
    assert(af_prices_parse("prices.yaml", af_prices_text(), NULL, arena, &base, &err) == AF_OK);
    const enum af_status status = af_prices_parse("own", text, &base, arena, &prices, &err);
    assert(status == AF_OK || (err.status == status && err.message[0] != '\0'));
    if (status != AF_OK)
        return;
    assert(prices.price_count >= base.price_count && prices.size_count != 0);
    for (size_t i = 0; i < prices.price_count; i++)
        assert(prices.prices[i].price >= 0 && prices.prices[i].price <= 1e12 && prices.prices[i].name[0] != '\0');
    if (af_cost_plan_make(&prices, &wish, &plan, &err) == AF_OK)
        assert(plan.total >= 0 && isfinite(plan.total) && plan.is_assumed && plan.count <= AF_COST_LINES_MAX);
    else
        assert(err.message[0] != '\0');
}

static void try_report(struct af_slice text, struct af_arena *arena)
{
    struct af_cost_report report;
    struct af_buf first, second;
    struct af_error err = { 0 };
    if (af_cost_report_read(text, arena, &report, &err) != AF_OK) {
        assert(err.message[0] != '\0');
        return;
    }
    af_buf_init(&first, 16 << 20);
    af_buf_init(&second, 16 << 20);
    af_cost_report_print(&report, &first);
    assert(!first.failed);
    assert(af_cost_report_read(af_buf_slice(&first), arena, &report, &err) == AF_OK);
    af_cost_report_print(&report, &second);
    assert(af_slice_eq(af_buf_slice(&first), af_buf_slice(&second)));
    af_buf_done(&first);
    af_buf_done(&second);
}

/* What a star means, said plainly; its time grows with every star, so texts are short. */
static bool matches(const char *pattern, const char *text, const char *end)
{
    if (*pattern == '*')
        return matches(pattern + 1, text, end) || (text < end && matches(pattern, text + 1, end));
    return *pattern == '\0' ? text == end : text < end && *text == *pattern && matches(pattern + 1, text + 1, end);
}

static void try_pattern(struct af_slice bytes)
{
    char pattern[8] = "";
    const size_t len = bytes.len < 7 ? bytes.len : 7;
    memcpy(pattern, bytes.ptr, len);
    struct af_slice text = { bytes.ptr + len, bytes.len - len < 12 ? bytes.len - len : 12 };
    assert(af_cost_matches(pattern, text) == matches(pattern, text.ptr, text.ptr + text.len));
    assert(af_cost_classify(text, text) < AF_COST_CLASSES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_arena arena;
    if (size == 0 || size > 20000)
        return 0;
    const struct af_slice text = af_slice_make(data + 1, size - 1);
    af_arena_init(&arena, 64 << 20);
    if (data[0] == 't')
        try_table(text, &arena);
    else if (data[0] == 'r')
        try_report(text, &arena);
    else
        try_pattern(text);
    af_arena_done(&arena);
    return 0;
}
