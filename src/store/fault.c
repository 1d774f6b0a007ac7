/*
 * fault.c - a store that fails by plan; see decorate.h.
 *
 * A fate is drawn under the lock, the call itself is made outside it: writes stay as parallel as they were.
 */
#include "base/alloc.h"
#include "base/prng.h"
#include "os/clock.h"
#include "os/thread.h"
#include "store/decorate.h"

enum fate { FATE_WELL, FATE_BEFORE, FATE_AFTER, FATE_HALF };

struct verdict {
    enum fate fate;
    enum af_status status;
    uint32_t delay_ms;
};

struct fault_store {
    struct af_store base;
    struct af_store *inner;
    struct af_fault_plan plan;
    struct af_mutex lock; /* of what follows */
    struct af_prng prng;
    bool is_down;
    uint32_t next_count;
    enum af_status next_status;
    bool next_after;
    struct af_fault_stats stats;
};

static struct verdict by_plan(struct fault_store *fault)
{
    const struct af_fault_plan *plan = &fault->plan;
    uint64_t draw = af_prng_below(&fault->prng, 1000);
    uint64_t upto = plan->before_permille;
    if (draw < upto)
        return (struct verdict){ FATE_BEFORE, AF_EIO, 0 };
    if (draw < (upto += plan->after_permille))
        return (struct verdict){ FATE_AFTER, AF_EIO, 0 };
    if (draw < (upto += plan->half_permille))
        return (struct verdict){ FATE_HALF, AF_EIO, 0 };
    if (draw < upto + plan->busy_permille)
        return (struct verdict){ FATE_BEFORE, AF_EBUSY, 0 };
    return (struct verdict){ FATE_WELL, AF_OK, 0 };
}

static struct verdict draw(struct fault_store *fault)
{
    struct verdict verdict;
    af_mutex_lock(&fault->lock);
    fault->stats.writes++;
    if (fault->is_down) {
        verdict = (struct verdict){ FATE_BEFORE, AF_EIO, 0 };
    } else if (fault->next_count > 0) {
        fault->next_count--;
        verdict = (struct verdict){ fault->next_after ? FATE_AFTER : FATE_BEFORE, fault->next_status, 0 };
    } else {
        verdict = by_plan(fault);
    }
    if (af_prng_below(&fault->prng, 1000) < fault->plan.delay_permille)
        verdict.delay_ms = (uint32_t)af_prng_below(&fault->prng, (uint64_t)fault->plan.delay_ms_max + 1);
    fault->stats.failed += verdict.fate != FATE_WELL;
    af_mutex_unlock(&fault->lock);
    return verdict;
}

static enum af_status fail(const struct fault_store *fault, enum af_status status, const char *what, struct af_error *err)
{
    (void)af_fail(err, status, "%s: made to fail by plan: %s", fault->base.name, what);
    if (err != NULL && status == AF_EBUSY)
        err->retry_after_ms = fault->plan.retry_after_ms;
    return status;
}

/* The first half of the lines, cut at a line end. (A newline inside a quoted string would end up as a bad line: plans with halves
 * are for texts without.) */
static struct af_write half_of(const struct af_write *write)
{
    struct af_write half = *write;
    half.lines.len /= 2;
    while (half.lines.len > 0 && half.lines.ptr[half.lines.len - 1] != '\n')
        half.lines.len--;
    half.line_count = 0;
    for (size_t i = 0; i < half.lines.len; i++)
        half.line_count += half.lines.ptr[i] == '\n';
    return half;
}

static enum af_status fault_write(struct af_store *base, const struct af_write *write, struct af_write_answer *out,
                                  struct af_error *err)
{
    struct fault_store *fault = (struct fault_store *)base;
    struct verdict verdict = draw(fault);
    if (verdict.delay_ms > 0)
        af_clock_sleep_ms(verdict.delay_ms);
    struct af_write_answer ignored;
    struct af_write half = half_of(write);
    switch (verdict.fate) {
    case FATE_BEFORE:
        return fail(fault, verdict.status, "before the write", err);
    case FATE_AFTER:
        AF_TRY(af_store_write(fault->inner, write, &ignored, err));
        return fail(fault, verdict.status, "after the write", err);
    case FATE_HALF:
        if (half.lines.len > 0)
            AF_TRY(af_store_write(fault->inner, &half, &ignored, err));
        return fail(fault, verdict.status, "after half of the write", err);
    default:
        return af_store_write(fault->inner, write, out, err);
    }
}

static enum af_status check_up(struct fault_store *fault, struct af_error *err)
{
    af_mutex_lock(&fault->lock);
    bool is_down = fault->is_down;
    af_mutex_unlock(&fault->lock);
    return is_down ? fail(fault, AF_EIO, "the store is down", err) : AF_OK;
}

static enum af_status fault_scan(struct af_store *base, const struct af_scan *scan, struct af_stream **out, struct af_error *err)
{
    struct fault_store *fault = (struct fault_store *)base;
    AF_TRY(check_up(fault, err));
    return af_store_scan(fault->inner, scan, out, err);
}

static enum af_status fault_list(struct af_store *base, enum af_listing what, const struct af_scan *scan, struct af_stream **out,
                                 struct af_error *err)
{
    struct fault_store *fault = (struct fault_store *)base;
    AF_TRY(check_up(fault, err));
    return af_store_list(fault->inner, what, scan, out, err);
}

static enum af_status fault_erase(struct af_store *base, const struct af_scan *scan, struct af_error *err)
{
    struct fault_store *fault = (struct fault_store *)base;
    AF_TRY(check_up(fault, err));
    return af_store_erase(fault->inner, scan, err);
}

static enum af_status fault_create(struct af_store *base, struct af_error *err)
{
    struct fault_store *fault = (struct fault_store *)base;
    AF_TRY(check_up(fault, err));
    return af_store_create(fault->inner, err);
}

static enum af_status fault_ping(struct af_store *base, char *out_version, size_t version_cap, struct af_error *err)
{
    struct fault_store *fault = (struct fault_store *)base;
    AF_TRY(check_up(fault, err));
    return af_store_ping(fault->inner, out_version, version_cap, err);
}

static void fault_close(struct af_store *base)
{
    struct fault_store *fault = (struct fault_store *)base;
    af_store_close(fault->inner);
    af_mutex_done(&fault->lock);
    af_free(fault);
}

static const struct af_store_ops fault_ops = {
    .name = "fault",
    .write = fault_write,
    .scan = fault_scan,
    .list = fault_list,
    .erase = fault_erase,
    .create = fault_create,
    .ping = fault_ping,
    .close = fault_close,
};

enum af_status af_fault_open(struct af_store *inner, const struct af_fault_plan *plan, struct af_store **out, struct af_error *err)
{
    struct fault_store *fault = af_alloc_zero(1, sizeof *fault);
    if (fault == NULL)
        return af_fail_nomem(err, "a store");
    fault->base = (struct af_store){ &fault_ops, inner->name, inner->caps };
    fault->inner = inner;
    fault->plan = *plan;
    fault->prng.state = plan->seed;
    af_mutex_init(&fault->lock);
    *out = &fault->base;
    return AF_OK;
}

void af_fault_set_down(struct af_store *base, bool is_down)
{
    struct fault_store *fault = (struct fault_store *)base;
    af_mutex_lock(&fault->lock);
    fault->is_down = is_down;
    af_mutex_unlock(&fault->lock);
}

void af_fault_next(struct af_store *base, uint32_t count, enum af_status status, bool after)
{
    struct fault_store *fault = (struct fault_store *)base;
    af_mutex_lock(&fault->lock);
    fault->next_count = count;
    fault->next_status = status;
    fault->next_after = after;
    af_mutex_unlock(&fault->lock);
}

void af_fault_stats(struct af_store *base, struct af_fault_stats *out)
{
    struct fault_store *fault = (struct fault_store *)base;
    af_mutex_lock(&fault->lock);
    *out = fault->stats;
    af_mutex_unlock(&fault->lock);
}
