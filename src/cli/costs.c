/*
 * costs.c - `afluxo costs`: what AWS charged for the platform, and with --plan what it would charge.
 *
 * Asking Cost Explorer costs money: what it said is kept in the user's cache directory, a file an account and tag, and is asked for once a
 * day. Every figure that rests on an assumption is marked with a star.
 */
#include "costs/costs.h"
#include "aws/sts.h"
#include "base/calendar.h"
#include "base/hash.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "format/json/json.h"
#include "os/clock.h"
#include "os/file.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { OUT_BYTES_MAX = 64 << 20, ARENA_BYTES_MAX = 256 << 20, NUMBER_BYTES = 48, CELL_BYTES = 48, FILE_BYTES_MAX = 1 << 20 };
static const double PRICE_OF_A_REQUEST = 0.01;
static const char usual_region[] = "us-east-1", usual_name_space[] = "Afluxo";

struct costs {
    struct af_cli *cli;
    struct af_aws *aws;
    struct af_aws_client *ce, *cloudwatch;
    struct af_arena arena;
    struct af_buf out;
    char account[32];            /* "": not known */
    char cache[AF_PATH_BYTES_MAX]; /* file; "": none */
    bool is_cached;
    int64_t now_ns;
    struct af_cost_report report;
};

/* --- numbers as people read them -------------------------------------------------------------------------------------------- */

/* 1234567.5, 2 -> 1,234,567.50 */
static void put_grouped(char out[NUMBER_BYTES], double value, int digits)
{
    char plain[NUMBER_BYTES];
    size_t at = 0, from = 0;
    (void)snprintf(plain, sizeof plain, "%.*f", digits, fabs(value) < 1e15 ? value : 0);
    const size_t whole = strcspn(plain, ".");
    if (plain[0] == '-')
        out[at++] = plain[from++];
    for (size_t i = from; plain[i] != '\0' && at + 3 < NUMBER_BYTES; i++) {
        if (i > from && i < whole && (whole - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = plain[i];
    }
    out[at] = '\0';
}

static void put_money(char out[NUMBER_BYTES], double value)
{
    if (value != 0 && fabs(value) < 0.005)
        (void)snprintf(out, NUMBER_BYTES, "%s", value > 0 ? "<0.01" : ">-0.01");
    else
        put_grouped(out, value, 2);
}

static void put_quantity(char out[NUMBER_BYTES], double value)
{
    put_grouped(out, value, fabs(value) >= 100 || value == floor(value) ? 0 : 3);
}

/* All digits that a small price has: 0.0000133334. */
static void put_price(char out[NUMBER_BYTES], double value)
{
    put_grouped(out, value, 10);
    for (size_t len = strlen(out); len > 2 && out[len - 1] == '0' && out[len - 2] != '.' && out[len - 3] != '.'; len--)
        out[len - 1] = '\0';
}

/* A name or words of AWS's: control characters cannot steer a terminal. */
static void put_words(struct af_buf *out, struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        af_buf_append_char(out, (unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? '?' : text.ptr[i]);
}

static void put_cell(struct af_buf *out, struct af_slice text, size_t width)
{
    put_words(out, text);
    for (size_t i = text.len; i < width; i++)
        af_buf_append_char(out, ' ');
    af_buf_append_str(out, "  ");
}

/* --- the plan ----------------------------------------------------------------------------------------------------------------- */

static const char *star(bool is_assumed)
{
    return is_assumed ? " *" : "  ";
}

static void print_plan_line(struct af_buf *out, const struct af_cost_line *line)
{
    char quantity[NUMBER_BYTES], price[NUMBER_BYTES], amount[NUMBER_BYTES];
    put_quantity(quantity, line->quantity);
    put_price(price, line->price);
    put_money(amount, line->amount);
    af_buf_printf(out, "%-16s  %-26s %12s%s %-12s x %14s%s = %12s%s%s%s\n", af_cost_class_name(line->cost_class), line->what, quantity,
                  star(line->is_quantity_assumed), line->unit, price, star(line->is_price_assumed), amount, star(line->is_assumed),
                  line->is_elsewhere ? "  price of " : "", line->is_elsewhere ? line->from->region : "");
}

static void print_beside(struct af_buf *out, const char *word, const char *size, double total, double now, bool is_assumed)
{
    char money[NUMBER_BYTES], difference[NUMBER_BYTES];
    if (size == NULL)
        return;
    put_money(money, total);
    put_money(difference, total - now);
    af_buf_printf(out, "a class %-5s %-48s %33s%s  (%s%s%s)\n", word, size, money, star(is_assumed), total >= now ? "+" : "", difference,
                  is_assumed ? " *" : "");
}

static void print_plan(struct af_buf *out, const struct af_prices *prices, const struct af_cost_wish *wish, const struct af_cost_plan *plan)
{
    char total[NUMBER_BYTES];
    af_buf_printf(out, "A month (%.0f hours) of %s, T%u, %" PRIu64 " GiB, %s, in %s; %s, prices of %s\n", prices->hours_a_month,
                  plan->size, wish->tier, wish->storage_gib, wish->is_multi_az ? "two zones" : "one zone", wish->region,
                  prices->currency, prices->date);
    af_buf_append_str(out, "* assumed: its price or its quantity is not confirmed by anything (docs/costs.md; --prices FILE for better "
                           "ones)\n\n");
    for (size_t i = 0; i < plan->count; i++)
        print_plan_line(out, &plan->lines[i]);
    put_money(total, plan->total);
    af_buf_printf(out, "\n%-61s %33s%s\n", "all", total, star(plan->is_assumed));
    print_beside(out, "up", plan->up, plan->up_total, plan->total, plan->is_assumed);
    print_beside(out, "down", plan->down, plan->down_total, plan->total, plan->is_assumed);
    af_buf_append_str(out, "\nNot in it: data to the internet and between regions, the sources in S3, taxes, discounts, free tiers.\n");
}

static void json_member(struct af_buf *out, const char *name, struct af_slice text)
{
    af_buf_printf(out, ",\"%s\":", name);
    af_json_append_string(out, text);
}

static void json_number(struct af_buf *out, const char *name, double value)
{
    af_buf_printf(out, ",\"%s\":", name);
    af_json_append_f64(out, value);
}

static void json_beside(struct af_buf *out, const char *word, const char *size, double total, bool is_assumed)
{
    if (size == NULL) {
        af_buf_printf(out, ",\"%s\":null", word);
        return;
    }
    af_buf_printf(out, ",\"%s\":{\"class\":", word);
    af_json_append_string(out, af_slice_of(size));
    json_number(out, "total", total);
    af_buf_printf(out, ",\"assumed\":%s}", is_assumed ? "true" : "false");
}

static void json_line(struct af_buf *out, const struct af_cost_line *line)
{
    af_buf_append_str(out, "{\"class\":");
    af_json_append_string(out, af_slice_of(af_cost_class_name(line->cost_class)));
    json_member(out, "what", af_slice_of(line->what));
    json_number(out, "quantity", line->quantity);
    json_member(out, "unit", af_slice_of(line->unit));
    json_number(out, "price", line->price);
    json_number(out, "amount", line->amount);
    af_buf_printf(out, ",\"assumed\":%s,\"price_assumed\":%s,\"quantity_assumed\":%s", line->is_assumed ? "true" : "false",
                  line->is_price_assumed ? "true" : "false", line->is_quantity_assumed ? "true" : "false");
    json_member(out, "price_name", af_slice_of(line->from->name));
    json_member(out, "price_region", af_slice_of(line->from->region));
    json_member(out, "price_date", af_slice_of(line->from->date));
    json_member(out, "price_source", af_slice_of(line->from->source));
    af_buf_append_char(out, '}');
}

static void json_plan(struct af_buf *out, const struct af_prices *prices, const struct af_cost_wish *wish, const struct af_cost_plan *plan)
{
    af_buf_append_str(out, "{\"currency\":");
    af_json_append_string(out, af_slice_of(prices->currency));
    json_member(out, "prices_of", af_slice_of(prices->date));
    json_number(out, "hours", prices->hours_a_month);
    json_member(out, "class", af_slice_of(plan->size));
    af_buf_printf(out, ",\"tier\":\"T%u\",\"storage_gib\":%" PRIu64 ",\"multi_az\":%s", wish->tier, wish->storage_gib,
                  wish->is_multi_az ? "true" : "false");
    json_member(out, "region", af_slice_of(wish->region));
    af_buf_append_str(out, ",\"lines\":[");
    for (size_t i = 0; i < plan->count; i++) {
        af_buf_append_str(out, i != 0 ? "," : "");
        json_line(out, &plan->lines[i]);
    }
    af_buf_append_char(out, ']');
    json_number(out, "total", plan->total);
    af_buf_printf(out, ",\"assumed\":%s", plan->is_assumed ? "true" : "false");
    json_beside(out, "up", plan->up, plan->up_total, plan->is_assumed);
    json_beside(out, "down", plan->down, plan->down_total, plan->is_assumed);
    af_buf_append_str(out, "}\n");
}

static enum af_status take_prices(struct costs *c, struct af_prices *out, struct af_error *err)
{
    struct af_prices base;
    struct af_buf text;
    AF_TRY(af_prices_parse("prices.yaml", af_prices_text(), NULL, &c->arena, &base, err));
    *out = base;
    if (c->cli->prices == NULL)
        return AF_OK;
    af_buf_init(&text, FILE_BYTES_MAX);
    enum af_status status = af_file_read_all(c->cli->prices, &text, err);
    if (status == AF_OK)
        status = af_prices_parse(c->cli->prices, af_buf_slice(&text), &base, &c->arena, out, err);
    af_buf_done(&text);
    return status;
}

static enum af_status take_tier(const char *text, unsigned *out, struct af_error *err)
{
    const char *digit = text == NULL ? "1" : text[0] == 'T' || text[0] == 't' ? text + 1 : text;
    if (strncmp(digit, "InfluxIOIncludedT", 17) == 0)
        digit += 17;
    if (digit[0] < '1' || digit[0] > '3' || digit[1] != '\0')
        return af_fail(err, AF_EINVAL, "--tier is T1 (3,000 operations a second), T2 (12,000) or T3 (16,000), not \"%.30s\"", text);
    *out = (unsigned)(digit[0] - '0');
    return AF_OK;
}

static enum af_status plan(struct costs *c, struct af_error *err)
{
    const struct af_cli *cli = c->cli;
    struct af_prices prices;
    struct af_cost_plan made;
    struct af_cost_wish wish = { .size = cli->db_class, .storage_gib = cli->storage_gib, .is_multi_az = cli->multi_az,
                                 .region = cli->region != NULL ? cli->region : usual_region, .points_a_day = cli->points_a_day,
                                 .objects_a_day = cli->objects_a_day, .queries_a_day = cli->queries_a_day };
    AF_TRY(take_tier(cli->tier, &wish.tier, err));
    AF_TRY(take_prices(c, &prices, err));
    AF_TRY(af_cost_plan_make(&prices, &wish, &made, err));
    if (cli->json)
        json_plan(&c->out, &prices, &wish, &made);
    else
        print_plan(&c->out, &prices, &wish, &made);
    return AF_OK;
}

/* --- the report: where it is kept ------------------------------------------------------------------------------------------------ */

/* Whose costs, asked of whom: another account's, or a test's, are another file. */
static void find_cache(struct costs *c)
{
    const char *home = getenv("XDG_CACHE_HOME"), *below = "";
    const char *tag = c->cli->tag != NULL ? c->cli->tag : "", *url = af_aws_client_url(c->ce);
    if (home == NULL || home[0] == '\0') {
        home = getenv("HOME");
        below = "/.cache";
    }
    if (home == NULL || home[0] == '\0' || c->account[0] == '\0')
        return;
    uint64_t hash = af_hash_bytes(c->account, strlen(c->account), 1);
    hash = af_hash_bytes(tag, strlen(tag), hash);
    hash = af_hash_bytes(url, strlen(url), hash);
    int n = snprintf(c->cache, sizeof c->cache, "%s%s/afluxo/costs/%016" PRIx64 ".json", home, below, hash);
    if (n < 0 || (size_t)n >= sizeof c->cache)
        c->cache[0] = '\0';
}

/* What was said today (UTC) holds: months and forecast are by day. */
static bool read_cache(struct costs *c)
{
    struct af_buf text;
    struct af_cost_days today;
    if (c->cache[0] == '\0' || c->cli->refresh || af_path_kind(c->cache) != AF_PATH_FILE)
        return false;
    af_buf_init(&text, OUT_BYTES_MAX);
    bool is_good = af_file_read_all(c->cache, &text, NULL) == AF_OK &&
                   af_cost_report_read(af_buf_slice(&text), &c->arena, &c->report, NULL) == AF_OK;
    af_buf_done(&text);
    af_cost_days_of(c->now_ns, &today);
    const char *tag = c->cli->tag != NULL ? c->cli->tag : "";
    return is_good && c->report.days.today == today.today && strcmp(c->report.tag != NULL ? c->report.tag : "", tag) == 0;
}

/* A cache that cannot be written costs a cent, not the report. */
static void write_cache(struct costs *c)
{
    struct af_buf text;
    struct af_error err = { 0 };
    char directory[AF_PATH_BYTES_MAX];
    const char *slash = strrchr(c->cache, '/');
    if (slash == NULL)
        return;
    (void)snprintf(directory, sizeof directory, "%.*s", (int)(slash - c->cache), c->cache);
    af_buf_init(&text, OUT_BYTES_MAX);
    af_cost_report_print(&c->report, &text);
    enum af_status status = af_buf_check(&text, "a report", &err);
    if (status == AF_OK)
        status = af_dir_make(directory, &err);
    if (status == AF_OK)
        status = af_file_write_atomic(c->cache, af_buf_slice(&text), true, &err);
    if (status != AF_OK)
        af_cli_say(c->cli, "not kept for today, so the next call asks (and pays) again: %s", err.message);
    af_buf_done(&text);
}

/* --- the report: as a table --------------------------------------------------------------------------------------------------------- */

static void month_of(char out[CELL_BYTES], int32_t day)
{
    (void)af_date_print(out, day);
    out[7] = '\0';
}

static void print_pair(struct af_buf *out, const char *name, const double pair[AF_COST_MONTHS])
{
    char last[NUMBER_BYTES], this[NUMBER_BYTES];
    put_money(last, pair[AF_COST_LAST]);
    put_money(this, pair[AF_COST_THIS]);
    af_buf_printf(out, "%-28s %14s %14s\n", name, last, this);
}

static void print_points(struct af_buf *out, const struct af_cost_report *r)
{
    char cells[2][NUMBER_BYTES], costs[2][NUMBER_BYTES];
    if (isnan(r->points[AF_COST_THIS])) {
        af_buf_printf(out, "%-28s %14s %14s  (", "per million points", "unknown", "unknown");
        put_words(out, r->why_no_points);
        af_buf_append_str(out, ")\n");
        return;
    }
    for (unsigned m = 0; m < AF_COST_MONTHS; m++) {
        put_grouped(cells[m], r->points[m], 0);
        if (r->points[m] > 0)
            put_grouped(costs[m], r->total[m] / r->points[m] * 1e6, 4);
        else
            (void)snprintf(costs[m], NUMBER_BYTES, "unknown");
    }
    af_buf_printf(out, "%-28s %14s %14s\n", "points written", cells[0], cells[1]);
    af_buf_printf(out, "%-28s %14s %14s\n", "per million points", costs[0], costs[1]);
}

static void print_forecast(struct af_buf *out, const struct af_cost_report *r)
{
    char money[NUMBER_BYTES];
    if (isnan(r->forecast)) {
        af_buf_printf(out, "%-28s %14s %14s  (", "forecast of the month's end", "", "unknown");
        put_words(out, r->why_no_forecast);
        af_buf_append_str(out, ")\n");
        return;
    }
    put_money(money, r->forecast);
    af_buf_printf(out, "%-28s %14s %14s\n", "forecast of the month's end", "", money);
}

static void print_classes(struct af_buf *out, const struct af_cost_report *r)
{
    char last[CELL_BYTES], this[CELL_BYTES];
    month_of(last, r->days.first[AF_COST_LAST]);
    month_of(this, r->days.first[AF_COST_THIS]);
    af_buf_printf(out, "%-28s %14s %14s\n", "", last, this);
    for (unsigned c = 0; c < AF_COST_CLASSES; c++)
        if (r->of_class[c][0] != 0 || r->of_class[c][1] != 0)
            print_pair(out, af_cost_class_name((enum af_cost_class)c), r->of_class[c]);
    print_pair(out, "all", r->total);
    print_forecast(out, r);
    print_points(out, r);
}

static void print_rows(struct af_buf *out, const struct af_cost_report *r)
{
    size_t service = 7, usage = 10;
    char last[NUMBER_BYTES], this[NUMBER_BYTES], quantity[NUMBER_BYTES];
    for (size_t i = 0; i < r->row_count; i++) {
        service = r->rows[i].service.len > service ? r->rows[i].service.len : service;
        usage = r->rows[i].usage_type.len > usage ? r->rows[i].usage_type.len : usage;
    }
    af_buf_append_char(out, '\n');
    put_cell(out, AF_SLICE_LIT("service"), service);
    put_cell(out, AF_SLICE_LIT("usage type"), usage);
    af_buf_printf(out, "%-16s %14s %14s %18s  unit\n", "class", "last month", "this month", "used this month");
    for (size_t i = 0; i < r->row_count; i++) {
        const struct af_cost_row *row = &r->rows[i];
        put_money(last, row->cost[AF_COST_LAST]);
        put_money(this, row->cost[AF_COST_THIS]);
        put_quantity(quantity, row->quantity[AF_COST_THIS]);
        put_cell(out, row->service, service);
        put_cell(out, row->usage_type, usage);
        af_buf_printf(out, "%-16s %14s %14s %18s  ", af_cost_class_name(row->cost_class), last, this, quantity);
        put_words(out, row->unit);
        af_buf_append_char(out, '\n');
    }
}

static void print_head(struct af_buf *out, const struct costs *c)
{
    const struct af_cost_report *r = &c->report;
    char taken[CELL_BYTES], age[NUMBER_BYTES];
    *af_rfc3339_print(taken, r->taken_ns, 0) = '\0';
    put_grouped(age, (double)(c->now_ns - r->taken_ns) / 3.6e12, 1);
    af_buf_printf(out, "Account %s, ", c->account[0] != '\0' ? c->account : "not known");
    put_words(out, r->tag != NULL ? af_slice_of(r->tag) : AF_SLICE_LIT("everything in it (--tag KEY=VALUE for a part)"));
    af_buf_append_str(out, r->currency.len != 0 ? ", in " : "");
    put_words(out, r->currency);
    af_buf_printf(out, "\nAsked of Cost Explorer at %s (%s hours ago%s); AWS renews it up to three times a day, so the last day is not "
                       "whole\n\n",
                  taken, age, c->is_cached ? ", kept since" : "");
}

static void print_nothing(struct af_buf *out, const struct af_cost_report *r)
{
    if (r->tag != NULL && r->services != 0)
        af_buf_printf(out, "The account has costs of %" PRIu32 " services, and none with this tag. A tag counts once it is activated for "
                           "cost allocation (in the payer's account: Billing, Cost allocation tags; or module cost with activate_tag = "
                           "true), from a day after that on, and not for what was before.\n", r->services);
    else
        af_buf_append_str(out, "No costs at all in these two months.\n");
}

static void print_report(struct costs *c)
{
    struct af_buf *out = &c->out;
    const struct af_cost_report *r = &c->report;
    print_head(out, c);
    if (r->row_count == 0) {
        print_nothing(out, r);
    } else {
        print_classes(out, r);
        print_rows(out, r);
    }
    if (c->is_cached)
        af_buf_append_str(out, "\nThis cost nothing: it was kept from today's first call; --refresh asks anew.\n");
    else
        af_buf_printf(out, "\nAsking cost %.2f USD: %" PRIu32 " requests of Cost Explorer, %.2f each. Kept until midnight UTC.\n",
                      r->requests * PRICE_OF_A_REQUEST, r->requests, PRICE_OF_A_REQUEST);
}

/* The report's own object, and what only this call knows. */
static void json_report(struct costs *c)
{
    struct af_buf *out = &c->out;
    af_cost_report_print(&c->report, out);
    if (out->failed || out->len == 0)
        return;
    af_buf_rewind(out, out->len - 1);
    json_member(out, "account", af_slice_of(c->account));
    af_buf_printf(out, ",\"cached\":%s", c->is_cached ? "true" : "false");
    json_number(out, "asking_cost_usd", c->is_cached ? 0 : c->report.requests * PRICE_OF_A_REQUEST);
    af_buf_append_str(out, "}\n");
}

/* --- the report: made ---------------------------------------------------------------------------------------------------------------- */

static void take_account(struct costs *c)
{
    struct af_sts_identity identity = { 0 };
    struct af_aws_client *sts = NULL;
    struct af_error err = { 0 };
    if (af_aws_client_new(c->aws, "sts", &sts, &err) == AF_OK && af_sts_identity(sts, &identity, &err) == AF_OK)
        (void)snprintf(c->account, sizeof c->account, "%s", identity.account);
    else
        af_cli_say(c->cli, "whose account it is cannot be said, so nothing is kept for today: %s", err.message);
    af_aws_client_free(sts);
}

static void add_points(struct costs *c)
{
    const char *name_space = c->cli->name_space != NULL ? c->cli->name_space : usual_name_space;
    struct af_error err = { 0 };
    if (af_aws_client_new(c->aws, "monitoring", &c->cloudwatch, &err) == AF_OK)
        af_cost_report_add_points(c->cloudwatch, name_space, &c->arena, &c->report);
    else
        c->report.why_no_points = af_slice_of(af_arena_copy(&c->arena, af_slice_of(err.message)));
}

static enum af_status report(struct costs *c, struct af_error *err)
{
    AF_TRY(af_cli_open_aws(c->cli, &c->aws, err));
    AF_TRY(af_aws_client_new(c->aws, "ce", &c->ce, err));
    take_account(c);
    find_cache(c);
    c->is_cached = read_cache(c);
    if (!c->is_cached) {
        AF_TRY(af_cost_report_make(c->ce, c->cli->tag, c->now_ns, &c->arena, &c->report, err));
        write_cache(c);
    }
    add_points(c);
    if (c->cli->json)
        json_report(c);
    else
        print_report(c);
    return AF_OK;
}

static int usage(const struct af_cli *cli)
{
    if (cli->arg_count != 0)
        return af_cli_usage_error(cli, "costs takes no arguments");
    if (cli->plan && (cli->db_class == NULL || cli->storage_gib == 0))
        return af_cli_usage_error(cli, "--plan wants --class (db.influx.2xlarge) and --storage (GiB)");
    if (cli->plan && (cli->tag != NULL || cli->refresh))
        return af_cli_usage_error(cli, "--plan asks nobody: --tag and --refresh are for what was charged");
    if (!cli->plan && (cli->db_class != NULL || cli->prices != NULL || cli->storage_gib != 0 || cli->tier != NULL || cli->multi_az))
        return af_cli_usage_error(cli, "--class, --tier, --storage, --multi-az and --prices are for --plan");
    return -1;
}

int af_cli_costs(struct af_cli *cli)
{
    struct costs c = { .cli = cli, .now_ns = af_clock_now_ns() };
    struct af_error err = { 0 };
    const int wrong = usage(cli);
    if (wrong >= 0)
        return wrong;
    af_arena_init(&c.arena, ARENA_BYTES_MAX);
    af_buf_init(&c.out, OUT_BYTES_MAX);
    enum af_status status = cli->plan ? plan(&c, &err) : report(&c, &err);
    if (status == AF_OK)
        status = af_buf_check(&c.out, "the answer", &err);
    if (status == AF_OK)
        status = af_cli_out(af_buf_slice(&c.out), &err);
    af_aws_client_free(c.cloudwatch);
    af_aws_client_free(c.ce);
    af_aws_close(c.aws);
    af_buf_done(&c.out);
    af_arena_done(&c.arena);
    return status == AF_OK ? AF_EXIT_DONE : af_cli_fail(cli, &err);
}
