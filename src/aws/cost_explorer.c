/* cost_explorer.c - see cost_explorer.h. Numbers come as texts ("12.3400000000"), which keeps their digits. */
#include "aws/cost_explorer.h"
#include "aws/call.h"
#include "base/numbers.h"

/* Each page costs money: more of them than these are a fault of somebody's. */
enum { PAGES_MAX = 200, TOKEN_BYTES_MAX = 64 << 10 };
static const char service[] = "Cost Explorer";

/* --- asking -------------------------------------------------------------------------------------------------------------- */

static void put_period(struct aws_call *call, const char *start, const char *end)
{
    aws_put_name(call, "TimePeriod");
    af_buf_append_str(&call->body, "{\"Start\":");
    af_json_append_string(&call->body, af_slice_of(start));
    af_buf_append_str(&call->body, ",\"End\":");
    af_json_append_string(&call->body, af_slice_of(end));
    af_buf_append_char(&call->body, '}');
}

static void put_filter(struct aws_call *call, const struct af_ce_query *query)
{
    if (query->tag_key == NULL)
        return;
    aws_put_name(call, "Filter");
    af_buf_append_str(&call->body, "{\"Tags\":{\"Key\":");
    af_json_append_string(&call->body, af_slice_of(query->tag_key));
    af_buf_append_str(&call->body, ",\"Values\":[");
    af_json_append_string(&call->body, af_slice_of(query->tag_value));
    af_buf_append_str(&call->body, "]}}");
}

static void put_groups(struct aws_call *call, const struct af_ce_query *query)
{
    if (query->groups[0] == NULL)
        return;
    aws_put_name(call, "GroupBy");
    af_buf_append_char(&call->body, '[');
    for (size_t i = 0; i < AF_CE_GROUPS_MAX && query->groups[i] != NULL; i++) {
        af_buf_append_str(&call->body, i != 0 ? ",{\"Type\":\"DIMENSION\",\"Key\":" : "{\"Type\":\"DIMENSION\",\"Key\":");
        af_json_append_string(&call->body, af_slice_of(query->groups[i]));
        af_buf_append_char(&call->body, '}');
    }
    af_buf_append_char(&call->body, ']');
}

/* `page`: what the next one is asked for with, empty after the last. */
static enum af_status take_next(const struct aws_call *call, struct af_buf *page, struct af_error *err)
{
    const struct af_slice next = af_json_string(call->answer, "NextPageToken");
    if (next.len != 0 && af_slice_eq(next, af_buf_slice(page)))
        return aws_bad_answer(call, err, "has the same NextPageToken again");
    af_buf_clear(page);
    af_buf_append_slice(page, next);
    return af_buf_check(page, "a page", err);
}

/* Calls `each` for page after page; it puts the request, sends it and takes what came. */
static enum af_status all_pages(struct af_aws_client *client, const char *operation,
                                enum af_status (*each)(void *ctx, struct aws_call *call, struct af_error *err), void *ctx,
                                uint32_t *out_requests, struct af_error *err)
{
    struct af_buf page;
    enum af_status status = AF_OK;
    af_buf_init(&page, TOKEN_BYTES_MAX);
    for (unsigned i = 0; status == AF_OK && (i == 0 || page.len != 0); i++) {
        struct aws_call call;
        if (i == PAGES_MAX) {
            status = af_fail(err, AF_ELIMIT, "%s %s: more than %d pages", service, operation, PAGES_MAX);
            break;
        }
        aws_call_begin(&call, client, service, operation);
        if (page.len != 0)
            aws_put_text(&call, "NextPageToken", af_buf_slice(&page));
        ++*out_requests;
        status = each(ctx, &call, err);
        if (status == AF_OK)
            status = take_next(&call, &page, err);
        aws_call_end(&call);
    }
    af_buf_done(&page);
    return status;
}

/* --- usage --------------------------------------------------------------------------------------------------------------- */

struct usage {
    const struct af_ce_query *query;
    struct af_arena *arena;
    struct af_ce_row *rows;
    size_t count, cap;
};

static enum af_status keep(struct af_arena *arena, struct af_slice text, struct af_slice *out, struct af_error *err)
{
    *out = aws_keep(arena, text);
    return out->ptr != NULL ? AF_OK : af_arena_fail(arena, text.len, "costs", err);
}

/* {"Amount": "1.5", "Unit": "USD"} */
static enum af_status take_amount(const struct aws_call *call, const struct af_json *metrics, const char *name, struct af_arena *arena,
                                  double *out, struct af_slice *out_unit, struct af_error *err)
{
    const struct af_json *metric = af_json_get(metrics, name);
    const struct af_slice amount = af_json_string(metric, "Amount");
    if (metric == NULL)
        return aws_bad_answer(call, err, "has no \"%s\"", name);
    if (!af_f64_parse(amount, out))
        return aws_bad_answer(call, err, "has a \"%s\" whose Amount is no number: \"%.*s\"", name, (int)(amount.len < 40 ? amount.len : 40),
                              amount.len != 0 ? amount.ptr : "");
    return keep(arena, af_json_string(metric, "Unit"), out_unit, err);
}

static enum af_status add_row(struct usage *usage, const struct aws_call *call, struct af_slice start, const struct af_json *keys,
                              const struct af_json *metrics, struct af_error *err)
{
    struct af_ce_row row = { 0 };
    struct af_ce_row *rows = af_arena_more(usage->arena, usage->rows, usage->count, &usage->cap, sizeof *rows);
    if (rows == NULL)
        return af_arena_fail(usage->arena, sizeof *rows, "costs", err);
    usage->rows = rows;
    AF_TRY(keep(usage->arena, start, &row.start, err));
    for (size_t i = 0; i < AF_CE_GROUPS_MAX && usage->query->groups[i] != NULL; i++) {
        if (keys == NULL || keys->kind != AF_JSON_STRING)
            return aws_bad_answer(call, err, "has a group with fewer keys than were asked for");
        AF_TRY(keep(usage->arena, keys->text, &row.keys[i], err));
        keys = keys->next;
    }
    AF_TRY(take_amount(call, metrics, "UnblendedCost", usage->arena, &row.cost, &row.currency, err));
    AF_TRY(take_amount(call, metrics, "UsageQuantity", usage->arena, &row.quantity, &row.unit, err));
    rows[usage->count++] = row;
    return AF_OK;
}

static enum af_status take_time(struct usage *usage, const struct aws_call *call, const struct af_json *result, struct af_error *err)
{
    const struct af_json *group, *keys;
    struct af_slice start;
    AF_TRY(aws_need_text(call, af_json_get(result, "TimePeriod"), "Start", &start, err));
    AF_TRY(aws_take_list(call, result, "Groups", &group, err));
    if (usage->query->groups[0] == NULL)
        return add_row(usage, call, start, NULL, af_json_get(result, "Total"), err);
    for (; group != NULL; group = group->next) {
        AF_TRY(aws_take_list(call, group, "Keys", &keys, err));
        AF_TRY(add_row(usage, call, start, keys, af_json_get(group, "Metrics"), err));
    }
    return AF_OK;
}

static enum af_status usage_page(void *ctx, struct aws_call *call, struct af_error *err)
{
    struct usage *usage = ctx;
    const struct af_json *result;
    put_period(call, usage->query->start, usage->query->end);
    aws_put_text(call, "Granularity", af_slice_of(usage->query->granularity));
    put_filter(call, usage->query);
    aws_put_json(call, "Metrics", AF_SLICE_LIT("[\"UnblendedCost\",\"UsageQuantity\"]"));
    put_groups(call, usage->query);
    AF_TRY(aws_call_send(call, err));
    AF_TRY(aws_take_list(call, call->answer, "ResultsByTime", &result, err));
    for (; result != NULL; result = result->next)
        AF_TRY(take_time(usage, call, result, err));
    return AF_OK;
}

enum af_status af_ce_usage(struct af_aws_client *client, const struct af_ce_query *query, struct af_arena *arena, struct af_ce_row **out,
                           size_t *out_count, uint32_t *out_requests, struct af_error *err)
{
    struct usage usage = { .query = query, .arena = arena };
    AF_TRY(all_pages(client, "GetCostAndUsage", usage_page, &usage, out_requests, err));
    *out = usage.rows;
    *out_count = usage.count;
    return AF_OK;
}

/* --- forecast ------------------------------------------------------------------------------------------------------------ */

static enum af_status ask_forecast(struct aws_call *call, const struct af_ce_query *query, struct af_arena *arena, double *out_cost,
                                   struct af_slice *out_currency, struct af_error *err)
{
    put_period(call, query->start, query->end);
    aws_put_text(call, "Metric", AF_SLICE_LIT("UNBLENDED_COST"));
    aws_put_text(call, "Granularity", af_slice_of(query->granularity));
    put_filter(call, query);
    AF_TRY(aws_call_send(call, err));
    return take_amount(call, call->answer, "Total", arena, out_cost, out_currency, err);
}

enum af_status af_ce_forecast(struct af_aws_client *client, const struct af_ce_query *query, struct af_arena *arena, double *out_cost,
                              struct af_slice *out_currency, struct af_error *err)
{
    struct aws_call call;
    double cost = 0;
    aws_call_begin(&call, client, service, "GetCostForecast");
    const enum af_status status = ask_forecast(&call, query, arena, &cost, out_currency, err);
    aws_call_end(&call);
    if (status == AF_OK)
        *out_cost = cost;
    return status;
}

/* --- values of a dimension -------------------------------------------------------------------------------------------------- */

struct values {
    const char *dimension, *start, *end;
    struct af_arena *arena;
    struct af_slice *names;
    size_t count, cap;
};

static enum af_status values_page(void *ctx, struct aws_call *call, struct af_error *err)
{
    struct values *values = ctx;
    const struct af_json *value;
    put_period(call, values->start, values->end);
    aws_put_text(call, "Dimension", af_slice_of(values->dimension));
    AF_TRY(aws_call_send(call, err));
    AF_TRY(aws_take_list(call, call->answer, "DimensionValues", &value, err));
    for (; value != NULL; value = value->next) {
        struct af_slice *names = af_arena_more(values->arena, values->names, values->count, &values->cap, sizeof *names);
        if (names == NULL)
            return af_arena_fail(values->arena, sizeof *names, "values of a dimension", err);
        values->names = names;
        AF_TRY(keep(values->arena, af_json_string(value, "Value"), &names[values->count], err));
        values->count++;
    }
    return AF_OK;
}

enum af_status af_ce_dimension_values(struct af_aws_client *client, const char *dimension, const char *start, const char *end,
                                      struct af_arena *arena, struct af_slice **out, size_t *out_count, uint32_t *out_requests,
                                      struct af_error *err)
{
    struct values values = { .dimension = dimension, .start = start, .end = end, .arena = arena };
    AF_TRY(all_pages(client, "GetDimensionValues", values_page, &values, out_requests, err));
    *out = values.names;
    *out_count = values.count;
    return AF_OK;
}
