/*
 * report.c - what Cost Explorer says of last month and this one, a row a service and usage type.
 *
 *     |<- last month ->|<- this month so far ->|today|   forecast   |
 *     first[LAST]      first[THIS]                   end
 *
 * The forecast of the month's end is what was charged so far and what is expected from today on. Today's bill is rarely there yet: what is,
 * counts twice.
 */
#include "aws/cost_explorer.h"
#include "base/calendar.h"
#include "costs/costs_int.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DATE_BYTES = 32, TAG_BYTES_MAX = 300 };

void af_cost_days_of(int64_t now_ns, struct af_cost_days *out)
{
    struct af_civil now;
    af_civil_from_ns(now_ns, &now);
    const bool is_january = now.month == 1, is_december = now.month == 12;
    out->first[AF_COST_LAST] = (int32_t)af_days_from_civil(now.year - is_january, is_january ? 12 : now.month - 1u, 1);
    out->first[AF_COST_THIS] = (int32_t)af_days_from_civil(now.year, now.month, 1);
    out->end = (int32_t)af_days_from_civil(now.year + is_december, is_december ? 1 : now.month + 1u, 1);
    out->today = (int32_t)af_days_from_civil(now.year, now.month, now.day);
}

/* --- rows ------------------------------------------------------------------------------------------------------------------ */

static struct af_cost_row *find_row(struct af_cost_report *report, const struct af_ce_row *from)
{
    for (size_t i = 0; i < report->row_count; i++)
        if (af_slice_eq(report->rows[i].service, from->keys[0]) && af_slice_eq(report->rows[i].usage_type, from->keys[1]))
            return &report->rows[i];
    struct af_cost_row *row = &report->rows[report->row_count++];
    *row = (struct af_cost_row){ .service = from->keys[0], .usage_type = from->keys[1], .unit = from->unit,
                                 .cost_class = af_cost_classify(from->keys[0], from->keys[1]) };
    return row;
}

static double weight(const struct af_cost_row *row)
{
    return fabs(row->cost[AF_COST_THIS]) + fabs(row->cost[AF_COST_LAST]);
}

static int dearest_first(const void *a, const void *b)
{
    const struct af_cost_row *p = a, *q = b;
    const double x = weight(p), y = weight(q);
    if (x != y)
        return x > y ? -1 : 1;
    const int c = af_slice_cmp(p->service, q->service);
    return c != 0 ? c : af_slice_cmp(p->usage_type, q->usage_type);
}

static enum af_status take_currency(struct af_cost_report *report, struct af_slice currency, struct af_error *err)
{
    if (report->currency.len == 0)
        report->currency = currency;
    if (currency.len == 0 || af_slice_eq(report->currency, currency))
        return AF_OK;
    return af_fail(err, AF_EUNSUPPORTED, "Cost Explorer has costs in " AF_SLICE_FMT " and in " AF_SLICE_FMT ", which cannot be added",
                   AF_SLICE_ARG(report->currency), AF_SLICE_ARG(currency));
}

static enum af_status take_rows(struct af_cost_report *report, const struct af_ce_row *from, size_t count, struct af_arena *arena,
                                struct af_error *err)
{
    char month[DATE_BYTES];
    *af_date_print(month, report->days.first[AF_COST_THIS]) = '\0';
    report->rows = af_arena_zero(arena, count + 1, sizeof *report->rows);
    if (report->rows == NULL)
        return af_arena_fail(arena, count * sizeof *report->rows, "costs", err);
    for (size_t i = 0; i < count; i++) {
        const unsigned which = af_slice_is(from[i].start, month) ? AF_COST_THIS : AF_COST_LAST;
        struct af_cost_row *row = find_row(report, &from[i]);
        if (from[i].cost != 0)
            AF_TRY(take_currency(report, from[i].currency, err));
        row->cost[which] += from[i].cost;
        row->quantity[which] += from[i].quantity;
    }
    if (report->row_count != 0)
        qsort(report->rows, report->row_count, sizeof *report->rows, dearest_first);
    return AF_OK;
}

void cost_report_sum(struct af_cost_report *report)
{
    for (size_t i = 0; i < report->row_count; i++)
        for (unsigned m = 0; m < AF_COST_MONTHS; m++) {
            report->of_class[report->rows[i].cost_class][m] += report->rows[i].cost[m];
            report->total[m] += report->rows[i].cost[m];
        }
}

/* --- asking ---------------------------------------------------------------------------------------------------------------- */

struct asking {
    struct af_aws_client *client;
    struct af_arena *arena;
    struct af_cost_report *report;
    char start[DATE_BYTES], today[DATE_BYTES], tomorrow[DATE_BYTES], end[DATE_BYTES];
    struct af_ce_query query;
};

/* Why, and what to do. */
static enum af_status explain(const struct asking *a, const char *action, enum af_status status, struct af_error *err)
{
    const char *code = af_aws_last_code(a->client);
    if (err != NULL && strstr(err->message, "not enabled") != NULL)
        af_error_prefix(err, "Cost Explorer is not switched on in this account (open it once in the Billing console; a day later there are "
                             "data): ");
    else if (status == AF_EDENIED)
        af_error_prefix(err, "these credentials may not ask for costs: their policy needs the action %s on resource \"*\"; in an account "
                             "of an organisation the payer may forbid it too: ", action);
    else if (strcmp(code, "DataUnavailableException") == 0)
        af_error_prefix(err, "Cost Explorer has no data yet: they come within a day of its being switched on: ");
    return status;
}

static enum af_status copy_reason(const struct asking *a, const struct af_error *why, struct af_slice *out, struct af_error *err)
{
    const char *text = af_arena_copy(a->arena, af_slice_of(why->message));
    *out = af_slice_of(text);
    return text != NULL ? AF_OK : af_fail_nomem(err, "a reason");
}

/* A month with too little history has no forecast, which is no failure of the report. */
static enum af_status ask_forecast(struct asking *a, struct af_error *err)
{
    struct af_error why = { 0 };
    struct af_slice currency;
    double rest = 0;
    a->query.start = a->today;
    a->query.end = a->end;
    a->query.granularity = "DAILY";
    a->report->requests++;
    enum af_status status = af_ce_forecast(a->client, &a->query, a->arena, &rest, &currency, &why);
    a->report->forecast = status == AF_OK ? a->report->total[AF_COST_THIS] + rest : (double)NAN;
    if (status == AF_OK)
        return take_currency(a->report, currency, err);
    (void)explain(a, "ce:GetCostForecast", status, &why);
    if (status == AF_ECANCELED || status == AF_ENOMEM) {
        if (err != NULL)
            *err = why;
        return status;
    }
    return copy_reason(a, &why, &a->report->why_no_forecast, err);
}

/* Nothing with that tag: has the account costs at all? Else the tag is not activated. */
static enum af_status ask_services(struct asking *a)
{
    struct af_slice *names = NULL;
    size_t count = 0;
    struct af_error why = { 0 };
    if (af_ce_dimension_values(a->client, "SERVICE", a->start, a->tomorrow, a->arena, &names, &count, &a->report->requests, &why) == AF_OK)
        a->report->services = (uint32_t)count;
    return AF_OK;
}

static enum af_status take_tag(struct asking *a, const char *tag, struct af_error *err)
{
    const char *equals = tag != NULL ? strchr(tag, '=') : NULL;
    if (tag == NULL)
        return AF_OK;
    if (equals == NULL || equals == tag || strlen(tag) > TAG_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "a tag is KEY=VALUE, like project=afluxo, not \"%.60s\"", tag);
    a->query.tag_key = af_arena_copy(a->arena, af_slice_make(tag, (size_t)(equals - tag)));
    a->query.tag_value = af_arena_copy(a->arena, af_slice_of(equals + 1));
    a->report->tag = af_arena_copy(a->arena, af_slice_of(tag));
    if (a->query.tag_key == NULL || a->query.tag_value == NULL || a->report->tag == NULL)
        return af_fail_nomem(err, "a tag");
    return AF_OK;
}

static enum af_status ask(struct asking *a, struct af_error *err)
{
    struct af_ce_row *rows = NULL;
    size_t count = 0;
    a->query.start = a->start;
    a->query.end = a->tomorrow;
    a->query.granularity = "MONTHLY";
    a->query.groups[0] = "SERVICE";
    a->query.groups[1] = "USAGE_TYPE";
    const enum af_status status = af_ce_usage(a->client, &a->query, a->arena, &rows, &count, &a->report->requests, err);
    if (status != AF_OK)
        return explain(a, "ce:GetCostAndUsage", status, err);
    AF_TRY(take_rows(a->report, rows, count, a->arena, err));
    cost_report_sum(a->report);
    if (count == 0 && a->report->tag != NULL)
        return ask_services(a);
    return count != 0 ? ask_forecast(a, err) : AF_OK;
}

enum af_status af_cost_report_make(struct af_aws_client *client, const char *tag, int64_t now_ns, struct af_arena *arena,
                                   struct af_cost_report *out, struct af_error *err)
{
    struct af_cost_report report = { .taken_ns = now_ns, .forecast = NAN, .points = { NAN, NAN } };
    struct asking a = { .client = client, .arena = arena, .report = &report };
    af_cost_days_of(now_ns, &report.days);
    *af_date_print(a.start, report.days.first[AF_COST_LAST]) = '\0';
    *af_date_print(a.today, report.days.today) = '\0';
    *af_date_print(a.tomorrow, report.days.today + 1) = '\0';
    *af_date_print(a.end, report.days.end) = '\0';
    AF_TRY(take_tag(&a, tag, err));
    AF_TRY(ask(&a, err));
    if (isnan(report.forecast) && report.why_no_forecast.len == 0)
        report.why_no_forecast = AF_SLICE_LIT("nothing was charged yet");
    *out = report;
    return AF_OK;
}
