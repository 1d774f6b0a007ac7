/* scaling.c - see scaling.h. Classes and what they carry: the sizing pages of the service's guide; tiers: its storage page. */
#include "lambda/scaling.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const int64_t STORAGE_REST_S = 6 * 3600;       /* the service's own rule */
static const double FORECAST_DAYS = 3, FORECAST_PERCENT = 90, AFTER_PERCENT = 60, HOURS_A_MONTH = 730;
enum { STORAGE_STEP_GIB = 10 };

static const struct {
    const char *name;
    double units;    /* of price: those of the smallest */
    double series;   /* that it carries well */
} classes[SCALING_CLASSES] = {
    { "db.influx.medium", 1, 10e3 },    { "db.influx.large", 2, 100e3 },    { "db.influx.xlarge", 4, 500e3 },
    { "db.influx.2xlarge", 8, 1e6 },    { "db.influx.4xlarge", 16, 5e6 },   { "db.influx.8xlarge", 32, 7.5e6 },
    { "db.influx.12xlarge", 48, 10e6 }, { "db.influx.16xlarge", 64, 10e6 }, { "db.influx.24xlarge", 96, 10e6 },
};
static const struct {
    const char *name, *short_name;
    double operations;
} tiers[SCALING_TIERS] = {
    { "InfluxIOIncludedT1", "T1", 3000 }, { "InfluxIOIncludedT2", "T2", 12000 }, { "InfluxIOIncludedT3", "T3", 16000 },
};

const char *scaling_class_name(unsigned class_index)
{
    return classes[class_index].name;
}

bool scaling_class_find(struct af_slice name, unsigned *out)
{
    for (unsigned i = 0; i < SCALING_CLASSES; i++)
        if (af_slice_is(name, classes[i].name)) {
            *out = i;
            return true;
        }
    return false;
}

const char *scaling_tier_name(unsigned tier)
{
    return tiers[tier].name;
}

bool scaling_tier_find(struct af_slice name, unsigned *out)
{
    for (unsigned i = 0; i < SCALING_TIERS; i++)
        if (af_slice_is(name, tiers[i].name) || af_slice_is(name, tiers[i].short_name)) {
            *out = i;
            return true;
        }
    return false;
}

const char *scaling_step_name(enum scaling_step step)
{
    static const char *const names[] = { "stay", "storage", "tier", "class-up", "class-down" };
    return names[step];
}

/* --- saying it ----------------------------------------------------------------------------------------------------------- */

static void AF_PRINTF(2, 3) because(struct scaling_decision *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(d->why, sizeof d->why, fmt, args);
    va_end(args);
}

static void AF_PRINTF(2, 3) hold(struct scaling_decision *d, const char *fmt, ...)
{
    size_t len = strlen(d->why);
    va_list args;
    d->is_held = true;
    if (len + 2 >= sizeof d->why)
        return;
    memcpy(d->why + len, "; ", 3);
    va_start(args, fmt);
    (void)vsnprintf(d->why + len + 2, sizeof d->why - len - 2, fmt, args);
    va_end(args);
}

/* --- storage ------------------------------------------------------------------------------------------------------------- */

static void rest_storage(const struct scaling_facts *f, struct scaling_decision *d)
{
    if (f->since_storage_s < STORAGE_REST_S)
        hold(d, "the service wants six hours between two changes of storage, %lld minutes are left",
             (long long)((STORAGE_REST_S - f->since_storage_s + 59) / 60));
}

/* So much that what is there now fills AFTER_PERCENT of it. */
static uint32_t grown(const struct scaling_facts *f)
{
    double now_gib = f->size.storage_gib;
    double wanted = now_gib * fmax(f->disk, f->disk + FORECAST_DAYS * (isnan(f->disk_a_day) ? 0 : f->disk_a_day)) / AFTER_PERCENT;
    double steps = ceil(fmax(wanted, now_gib + STORAGE_STEP_GIB) / STORAGE_STEP_GIB);
    return (uint32_t)fmin(steps * STORAGE_STEP_GIB, SCALING_STORAGE_MAX_GIB);
}

static bool wants_storage(const struct scaling_policy *p, const struct scaling_facts *f, struct scaling_decision *d)
{
    double then = f->disk + FORECAST_DAYS * f->disk_a_day;
    if (!(f->disk >= p->disk_up) && !(then >= FORECAST_PERCENT))
        return false;
    d->step = SCALING_STORAGE;
    if (f->disk >= p->disk_up)
        because(d, "the disk is %.0f %% full (limit %.0f)", f->disk, p->disk_up);
    else
        because(d, "the disk is %.0f %% full and would be %.0f %% in %.0f days", f->disk, then, FORECAST_DAYS);
    uint32_t to = grown(f);
    d->to.storage_gib = to < p->storage_max_gib ? to : p->storage_max_gib;
    if (d->to.storage_gib <= f->size.storage_gib) {
        d->to.storage_gib = f->size.storage_gib;
        hold(d, "%u GiB is the ceiling", p->storage_max_gib);
    }
    rest_storage(f, d);
    return true;
}

static bool wants_tier(const struct scaling_policy *p, const struct scaling_facts *f, struct scaling_decision *d)
{
    double limit = tiers[f->size.tier].operations * p->operations_up / 100;
    if (!(f->operations >= limit))
        return false;
    d->step = SCALING_TIER;
    because(d, "%.0f operations a second (limit %.0f of %.0f)", f->operations, limit, tiers[f->size.tier].operations);
    if (f->size.tier >= p->tier_max) {
        hold(d, "%s is the ceiling", tiers[p->tier_max].name);
        return true;
    }
    d->to.tier++;
    if (d->to.storage_gib < SCALING_FAST_STORAGE_GIB)
        d->to.storage_gib = SCALING_FAST_STORAGE_GIB;
    if (d->to.storage_gib > p->storage_max_gib)
        hold(d, "it begins at %d GiB, and %u is the ceiling", SCALING_FAST_STORAGE_GIB, p->storage_max_gib);
    rest_storage(f, d);
    return true;
}

/* --- class --------------------------------------------------------------------------------------------------------------- */

static double month_of(const struct scaling_policy *p, unsigned class_index)
{
    return p->price_medium * classes[class_index].units * HOURS_A_MONTH * (p->is_multi_az ? 2 : 1);
}

static void rest_class(const struct scaling_facts *f, int64_t cooldown_s, struct scaling_decision *d)
{
    if (f->since_change_s < cooldown_s)
        hold(d, "it was changed %lld minutes ago, %lld are the least", (long long)(f->since_change_s / 60), (long long)(cooldown_s / 60));
}

static bool wants_class_up(const struct scaling_policy *p, const struct scaling_facts *f, struct scaling_decision *d)
{
    if (f->cpu >= p->cpu_up)
        because(d, "the processor is at %.0f %% (limit %.0f)", f->cpu, p->cpu_up);
    else if (f->memory >= p->memory_up)
        because(d, "memory is at %.0f %% (limit %.0f)", f->memory, p->memory_up);
    else if (f->write_ms >= p->write_ms_up)
        because(d, "a write takes %.0f ms (limit %.0f)", f->write_ms, p->write_ms_up);
    else
        return false;
    d->step = SCALING_CLASS_UP;
    if (f->size.class_index >= p->class_max) {
        hold(d, "%s is the ceiling", classes[p->class_max].name);
        return true;
    }
    d->to.class_index++;
    if (p->budget_month > 0 && month_of(p, d->to.class_index) > p->budget_month)
        hold(d, "a month of %s is %.2f, and the budget %.2f", classes[d->to.class_index].name, month_of(p, d->to.class_index),
             p->budget_month);
    rest_class(f, p->cooldown_up_s, d);
    return true;
}

static bool wants_class_down(const struct scaling_policy *p, const struct scaling_facts *f, struct scaling_decision *d)
{
    unsigned now = f->size.class_index;
    if (now <= p->class_min || !(f->cpu_peak < p->cpu_down) || !(f->memory_peak < p->memory_down))
        return false;
    /* Half the machine has twice the load: what is quiet here must not be loud there. */
    double factor = classes[now].units / classes[now - 1].units;
    if (f->cpu_peak * factor >= p->cpu_up || f->memory_peak * factor >= p->memory_up || !(f->series <= classes[now - 1].series))
        return false;
    d->step = SCALING_CLASS_DOWN;
    d->to.class_index--;
    because(d, "for a day the processor was below %.0f %% and memory below %.0f %%", p->cpu_down, p->memory_down);
    if (!f->is_quiet)
        hold(d, "it waits for the maintenance window");
    rest_class(f, p->cooldown_down_s, d);
    return true;
}

void scaling_decide(const struct scaling_policy *policy, const struct scaling_facts *facts, struct scaling_decision *out)
{
    static bool (*const steps[])(const struct scaling_policy *, const struct scaling_facts *, struct scaling_decision *) = {
        wants_storage, wants_tier, wants_class_up, wants_class_down,
    };
    bool is_wanted = false;
    *out = (struct scaling_decision){ .step = SCALING_STAY, .to = facts->size };
    because(out, "nothing is near a limit");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && (!is_wanted || out->is_held); i++) {
        struct scaling_decision step = { .to = facts->size };
        if (!steps[i](policy, facts, &step))
            continue;
        if (!facts->is_available)
            hold(&step, "the service is at work on the instance");
        if (step.is_held)
            step.to = facts->size;
        if (!is_wanted || !step.is_held)
            *out = step;
        is_wanted = true;
    }
}
