/*
 * costs.h - what the platform costs: as AWS says (Cost Explorer), and as a plan, from a table of prices.
 *
 *     usage type --> class          classes.def: patterns, first that matches; unknown ones are "other", by their name
 *     prices.yaml --> plan          hours, GiB and requests of a month, times a price each; what is assumed says so
 *     Cost Explorer --> report      last month, this one so far, the forecast of its end; a row a service and usage type
 *
 * Everything is reckoned in double, in the currency of the table or of the answers; two currencies are never added. No clock, no disk:
 * callers say what time it is and keep reports (as JSON) where they like.
 */
#ifndef AF_COSTS_COSTS_H
#define AF_COSTS_COSTS_H
#include "aws/aws.h"
#include "base/buf.h"

/* --- classes of usage ---------------------------------------------------------------------------------------------------- */

enum af_cost_class {
    AF_COST_INSTANCE_HOURS, AF_COST_STORAGE, AF_COST_BACKUPS, AF_COST_LAMBDA, AF_COST_SQS, AF_COST_S3, AF_COST_TRANSFER,
    AF_COST_LOGS_AND_METRICS, AF_COST_OTHER, AF_COST_CLASSES
};
const char *af_cost_class_name(enum af_cost_class cost_class); /* "logs and metrics" */
/* A pattern is the text itself; `*` stands for any bytes, also none. Lower and upper case are not the same. */
bool af_cost_matches(const char *pattern, struct af_slice text);
enum af_cost_class af_cost_classify(struct af_slice service, struct af_slice usage_type);

/* --- prices and a plan ------------------------------------------------------------------------------------------------------- */

struct af_price {
    const char *name, *unit, *region, *date, *source;
    double price;
    bool is_assumed;
};
struct af_cost_size {
    const char *name;              /* "db.influx.large" */
    double units;                  /* of the smallest */
};
struct af_cost_assumption {
    const char *name, *unit, *source;
    double value;
};
struct af_prices {                 /* in an arena */
    const char *currency, *date;
    double hours_a_month;
    const struct af_cost_size *sizes;
    const struct af_price *prices;
    const struct af_cost_assumption *assumptions;
    size_t size_count, price_count, assumption_count;
};
struct af_slice af_prices_text(void);  /* prices.yaml as it was built in */
/* `base` is what `text` says nothing of; NULL: nothing. AF_EINVAL names file and line. */
AF_MUST_CHECK enum af_status af_prices_parse(const char *name, struct af_slice text, const struct af_prices *base, struct af_arena *arena,
                                             struct af_prices *out, struct af_error *err);
/* The price in `region`; else that of another region, and *out_is_here false. NULL: none of that name. */
const struct af_price *af_price_find(const struct af_prices *prices, const char *name, const char *region, bool *out_is_here);

struct af_cost_wish {
    const char *size;              /* "db.influx.2xlarge" */
    unsigned tier;                 /* 1, 2, 3 */
    uint64_t storage_gib;
    bool is_multi_az;
    const char *region;
    uint64_t points_a_day, objects_a_day, queries_a_day;
};
struct af_cost_line {
    enum af_cost_class cost_class;
    const char *what, *unit;
    double quantity, price, amount;
    bool is_assumed;               /* the price, or the quantity: */
    bool is_price_assumed, is_quantity_assumed;
    bool is_elsewhere;             /* the price is another region's */
    const struct af_price *from;
};
enum { AF_COST_LINES_MAX = 24 };
struct af_cost_plan {
    struct af_cost_line lines[AF_COST_LINES_MAX];
    size_t count;
    double total;
    bool is_assumed;
    const char *size;              /* the class, by its whole name */
    const char *up, *down;         /* the classes beside it; NULL: there is none */
    double up_total, down_total;
};
/* AF_EINVAL: no such class or tier, too little storage for it, or the table has no price that is needed. */
AF_MUST_CHECK enum af_status af_cost_plan_make(const struct af_prices *prices, const struct af_cost_wish *wish, struct af_cost_plan *out,
                                               struct af_error *err);

/* --- the report ---------------------------------------------------------------------------------------------------------------- */

enum { AF_COST_LAST, AF_COST_THIS, AF_COST_MONTHS };
struct af_cost_days {              /* since 1970 */
    int32_t first[AF_COST_MONTHS]; /* of last month, of this one */
    int32_t today, end;            /* end: the first of next month */
};
void af_cost_days_of(int64_t now_ns, struct af_cost_days *out);

struct af_cost_row {
    struct af_slice service, usage_type, unit;
    enum af_cost_class cost_class;
    double cost[AF_COST_MONTHS], quantity[AF_COST_MONTHS];
};
struct af_cost_report {            /* in an arena */
    const char *tag;               /* "project=afluxo"; NULL: the whole account */
    struct af_slice currency;      /* empty: nothing was charged at all */
    int64_t taken_ns;              /* when Cost Explorer was asked */
    struct af_cost_days days;
    struct af_cost_row *rows;      /* the dearest first */
    size_t row_count;
    double of_class[AF_COST_CLASSES][AF_COST_MONTHS], total[AF_COST_MONTHS];
    double forecast;               /* of this month when it ends; NAN: not known, and then: */
    struct af_slice why_no_forecast;
    uint32_t requests;             /* that were paid for */
    uint32_t services;             /* that the account has costs of, when there is no row with the tag; else 0 */
    double points[AF_COST_MONTHS]; /* written; NAN: not known. Not kept in JSON's "usage" */
    struct af_slice why_no_points;
};
/* `client`: "ce". `tag`: KEY=VALUE. */
AF_MUST_CHECK enum af_status af_cost_report_make(struct af_aws_client *client, const char *tag, int64_t now_ns, struct af_arena *arena,
                                                 struct af_cost_report *out, struct af_error *err);
/* PointsWritten of every function in the namespace; `client`: "monitoring". What fails leaves NAN and its reason. */
void af_cost_report_add_points(struct af_aws_client *client, const char *name_space, struct af_arena *arena,
                               struct af_cost_report *report);
/* As one JSON object, and out of it again (all but points). AF_ECORRUPT: it is not one of ours. */
void af_cost_report_print(const struct af_cost_report *report, struct af_buf *out);
AF_MUST_CHECK enum af_status af_cost_report_read(struct af_slice json, struct af_arena *arena, struct af_cost_report *out,
                                                 struct af_error *err);
#endif
