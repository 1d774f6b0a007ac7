/*
 * scaling.h - what size an instance of Timestream for InfluxDB should have: a decision made of numbers alone. No calls, no clock.
 *
 *     disk fills           --> more storage        (never less: the service cannot shrink it; six hours between two changes)
 *     its operations end   --> the next tier       (T2 and T3 begin at 400 GiB)
 *     processor, memory,   --> the next class      (ceiling, budget, cooldown)
 *     slow writes
 *     quiet for a day      --> the class below     (floor, window, cooldown, series that it can hold)
 *
 * The first that applies and may be done now is the decision; docs/infra/scaling.md has the table, which is what the tests run. If none may
 * be, the first that is wanted is held, with the reason.
 */
#ifndef AF_LAMBDA_SCALING_H
#define AF_LAMBDA_SCALING_H
#include "base/error.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum { SCALING_CLASSES = 9, SCALING_TIERS = 3, SCALING_STORAGE_MAX_GIB = 15360, SCALING_FAST_STORAGE_GIB = 400 };
struct scaling_size {
    unsigned class_index;          /* 0: db.influx.medium ... 8: db.influx.24xlarge */
    unsigned tier;                 /* 0: T1, 1: T2, 2: T3 */
    uint32_t storage_gib;
};
const char *scaling_class_name(unsigned class_index);                                 /* "db.influx.large" */
bool scaling_class_find(struct af_slice name, unsigned *out);
const char *scaling_tier_name(unsigned tier);                                         /* "InfluxIOIncludedT1" */
bool scaling_tier_find(struct af_slice name, unsigned *out);                          /* that, or "T1" */

struct scaling_policy {
    unsigned class_min, class_max, tier_max;
    uint32_t storage_max_gib;
    double cpu_up, cpu_down;       /* percent */
    double memory_up, memory_down;
    double disk_up;                /* percent */
    double operations_up;          /* percent of the tier's operations a second */
    double write_ms_up;
    int64_t cooldown_up_s, cooldown_down_s;
    double price_medium;           /* of an hour of the smallest class, in the currency of the budget; classes are linear. 0: not known */
    double budget_month;           /* for the instance's hours; 0: none */
    bool is_multi_az;              /* twice the price */
};
/* Measures of the last quarter of an hour; NAN: not known, and then it decides nothing. */
struct scaling_facts {
    struct scaling_size size;
    bool is_available;             /* the service says AVAILABLE */
    bool is_quiet;                 /* inside the maintenance window */
    double cpu, memory, disk, write_ms;
    double operations;             /* a second */
    double disk_a_day;             /* percent that the disk gains a day */
    double series;
    double cpu_peak, memory_peak;  /* highest of the last day */
    int64_t since_change_s, since_storage_s;  /* since the class, and since storage or tier changed; INT64_MAX: never */
};
enum scaling_step { SCALING_STAY, SCALING_STORAGE, SCALING_TIER, SCALING_CLASS_UP, SCALING_CLASS_DOWN };
struct scaling_decision {
    enum scaling_step step;
    bool is_held;                  /* wanted, and not now */
    struct scaling_size to;
    char why[320];
};
void scaling_decide(const struct scaling_policy *policy, const struct scaling_facts *facts, struct scaling_decision *out);
const char *scaling_step_name(enum scaling_step step); /* "stay", "storage", "tier", "class-up", "class-down" */
#endif
