/*
 * report_json.c - a report as JSON and back.
 *
 *     {"taken":"2026-11-25T15:00:00Z","tag":"project=afluxo","currency":"USD","requests":2,"services":0,
 *      "months":[{"month":"2026-10","total":190.5,"points":1000000,"per_million_points":190.5,"classes":{"storage":3, ...}}, {...}],
 *      "forecast":201.2,"why_no_forecast":null,"why_no_points":null,
 *      "usage":[{"service":"...","usage_type":"...","class":"storage","unit":"GB-Mo","cost":[3.0,2.5],"quantity":[30,25]}, ...]}
 *
 * Read again are taken, tag, currency, requests, services, forecast, why_no_forecast and usage; the rest follows from these.
 */
#include "base/calendar.h"
#include "costs/costs_int.h"
#include "format/json/json.h"
#include <inttypes.h>
#include <math.h>

enum { ROWS_MAX = 200000 };

/* --- printing -------------------------------------------------------------------------------------------------------------- */

static void put_name(struct af_buf *out, const char *name)
{
    const char last = out->len != 0 ? out->ptr[out->len - 1] : '{';
    af_buf_printf(out, "%s\"%s\":", last == '{' || last == '[' ? "" : ",", name);
}

static void put_text(struct af_buf *out, const char *name, struct af_slice text)
{
    put_name(out, name);
    if (text.ptr == NULL)
        af_buf_append_str(out, "null");
    else
        af_json_append_string(out, text);
}

static void put_number(struct af_buf *out, const char *name, double value)
{
    put_name(out, name);
    af_json_append_f64(out, value);
}

static void put_pair(struct af_buf *out, const char *name, const double pair[AF_COST_MONTHS])
{
    put_name(out, name);
    af_buf_append_char(out, '[');
    af_json_append_f64(out, pair[0]);
    af_buf_append_char(out, ',');
    af_json_append_f64(out, pair[1]);
    af_buf_append_char(out, ']');
}

static void put_month(struct af_buf *out, const struct af_cost_report *report, unsigned m)
{
    char date[48];
    (void)af_date_print(date, report->days.first[m]);
    af_buf_append_char(out, '{');
    put_text(out, "month", af_slice_make(date, 7));
    put_number(out, "total", report->total[m]);
    put_number(out, "points", report->points[m]);
    put_number(out, "per_million_points", report->points[m] > 0 ? report->total[m] / report->points[m] * 1e6 : (double)NAN);
    put_name(out, "classes");
    af_buf_append_char(out, '{');
    for (unsigned c = 0; c < AF_COST_CLASSES; c++)
        put_number(out, af_cost_class_name((enum af_cost_class)c), report->of_class[c][m]);
    af_buf_append_str(out, "}}");
}

static void put_rows(struct af_buf *out, const struct af_cost_report *report)
{
    put_name(out, "usage");
    af_buf_append_char(out, '[');
    for (size_t i = 0; i < report->row_count; i++) {
        const struct af_cost_row *row = &report->rows[i];
        af_buf_append_str(out, i != 0 ? ",{" : "{");
        put_text(out, "service", row->service);
        put_text(out, "usage_type", row->usage_type);
        put_text(out, "class", af_slice_of(af_cost_class_name(row->cost_class)));
        put_text(out, "unit", row->unit);
        put_pair(out, "cost", row->cost);
        put_pair(out, "quantity", row->quantity);
        af_buf_append_char(out, '}');
    }
    af_buf_append_char(out, ']');
}

void af_cost_report_print(const struct af_cost_report *report, struct af_buf *out)
{
    char taken[48];
    *af_rfc3339_print(taken, report->taken_ns, 0) = '\0';
    af_buf_append_char(out, '{');
    put_text(out, "taken", af_slice_of(taken));
    put_text(out, "tag", af_slice_of(report->tag));
    put_text(out, "currency", report->currency.len != 0 ? report->currency : AF_SLICE_LIT(""));
    put_number(out, "requests", report->requests);
    put_number(out, "services", report->services);
    put_name(out, "months");
    af_buf_append_char(out, '[');
    put_month(out, report, AF_COST_LAST);
    af_buf_append_char(out, ',');
    put_month(out, report, AF_COST_THIS);
    af_buf_append_char(out, ']');
    put_number(out, "forecast", report->forecast);
    put_text(out, "why_no_forecast", report->why_no_forecast);
    put_text(out, "why_no_points", report->why_no_points);
    put_rows(out, report);
    af_buf_append_char(out, '}');
}

/* --- reading --------------------------------------------------------------------------------------------------------------- */

static enum af_status wrong(struct af_error *err, const char *what)
{
    return af_fail(err, AF_ECORRUPT, "this is no report of costs: %s", what);
}

static bool take_pair(const struct af_json *list, double out[AF_COST_MONTHS])
{
    const struct af_json *a = list != NULL && list->kind == AF_JSON_ARRAY ? list->first : NULL;
    const struct af_json *b = a != NULL ? a->next : NULL;
    return b != NULL && b->next == NULL && af_json_f64(a, &out[0]) && af_json_f64(b, &out[1]);
}

static bool take_count(const struct af_json *root, const char *name, uint32_t *out)
{
    int64_t value;
    if (!af_json_i64(af_json_get(root, name), &value) || value < 0 || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

static enum af_status read_rows(const struct af_json *usage, struct af_arena *arena, struct af_cost_report *report, struct af_error *err)
{
    size_t count = 0;
    if (usage == NULL || usage->kind != AF_JSON_ARRAY)
        return wrong(err, "it has no list \"usage\"");
    for (const struct af_json *item = usage->first; item != NULL; item = item->next)
        count++;
    if (count > ROWS_MAX)
        return wrong(err, "it has too many rows");
    report->rows = af_arena_zero(arena, count + 1, sizeof *report->rows);
    if (report->rows == NULL)
        return af_arena_fail(arena, count * sizeof *report->rows, "costs", err);
    for (const struct af_json *item = usage->first; item != NULL; item = item->next) {
        struct af_cost_row *row = &report->rows[report->row_count++];
        row->service = af_json_string(item, "service");
        row->usage_type = af_json_string(item, "usage_type");
        row->unit = af_json_string(item, "unit");
        if (row->service.ptr == NULL || row->usage_type.ptr == NULL || !take_pair(af_json_get(item, "cost"), row->cost) ||
            !take_pair(af_json_get(item, "quantity"), row->quantity))
            return wrong(err, "a row has no service, usage_type, cost or quantity");
        row->cost_class = af_cost_classify(row->service, row->usage_type); /* the table may know more by now */
    }
    return AF_OK;
}

static enum af_status read_root(const struct af_json *root, struct af_arena *arena, struct af_cost_report *report, struct af_error *err)
{
    const struct af_slice taken = af_json_string(root, "taken"), tag = af_json_string(root, "tag");
    bool has_zone;
    if (taken.len == 0 || !af_time_parse(taken, &report->taken_ns, &has_zone) || !has_zone)
        return wrong(err, "it does not say when it was taken");
    af_cost_days_of(report->taken_ns, &report->days);
    report->currency = af_json_string(root, "currency");
    report->why_no_forecast = af_json_string(root, "why_no_forecast");
    if (!take_count(root, "requests", &report->requests) || !take_count(root, "services", &report->services))
        return wrong(err, "it has no numbers \"requests\" and \"services\"");
    if (!af_json_f64(af_json_get(root, "forecast"), &report->forecast))
        report->forecast = NAN;
    if (tag.ptr != NULL && (report->tag = af_arena_copy(arena, tag)) == NULL)
        return af_fail_nomem(err, "a tag");
    AF_TRY(read_rows(af_json_get(root, "usage"), arena, report, err));
    cost_report_sum(report);
    return AF_OK;
}

enum af_status af_cost_report_read(struct af_slice json, struct af_arena *arena, struct af_cost_report *out, struct af_error *err)
{
    struct af_cost_report report = { .forecast = NAN, .points = { NAN, NAN } };
    struct af_json *root = NULL;
    AF_TRY(af_json_parse(json, arena, &root, err));
    AF_TRY(read_root(root, arena, &report, err));
    *out = report;
    return AF_OK;
}
