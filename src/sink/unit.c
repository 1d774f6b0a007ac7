/*
 * unit.c - what the caller is told about: a unit settles when its last line is durable.
 *
 *     pending = 1 (until af_sink_unit_end) + lines put and not durable yet
 *
 * Whoever takes it to 0 - a lane, or the caller in af_sink_unit_end - makes the dead letters durable, runs the callback and frees
 * the unit. Lines that are dropped (the sink failed, or closed early) are never subtracted, so such a unit cannot settle;
 * the list is there to free those.
 */
#include "base/alloc.h"
#include "sink/sink_int.h"
#include <assert.h>

static void link_unit(struct af_sink *sink, struct af_sink_unit *unit)
{
    af_mutex_lock(&sink->units_lock);
    unit->next = sink->units;
    if (sink->units != NULL)
        sink->units->prev = unit;
    sink->units = unit;
    af_mutex_unlock(&sink->units_lock);
}

static void unlink_unit(struct af_sink *sink, struct af_sink_unit *unit)
{
    af_mutex_lock(&sink->units_lock);
    if (unit->prev != NULL)
        unit->prev->next = unit->next;
    else
        sink->units = unit->next;
    if (unit->next != NULL)
        unit->next->prev = unit->prev;
    af_mutex_unlock(&sink->units_lock);
}

static void free_unit(struct af_sink_unit *unit)
{
    af_free(unit->file);
    af_free(unit);
}

enum af_status af_sink_unit_begin(struct af_sink *sink, uint64_t unit_id, const char *file, uint32_t row_group,
                                  af_sink_settled settled, void *ctx, struct af_sink_unit **out, struct af_error *err)
{
    struct af_sink_unit *unit = af_alloc_zero(1, sizeof *unit);
    size_t len = strlen(file);
    char *copy = af_alloc(len + 1);
    if (unit == NULL || copy == NULL) {
        af_free(unit);
        af_free(copy);
        return af_fail_nomem(err, "a unit of the sink");
    }
    memcpy(copy, file, len + 1);
    *unit = (struct af_sink_unit){ .id = unit_id, .file = copy, .row_group = row_group, .settled = settled, .ctx = ctx };
    atomic_init(&unit->pending, 1);
    link_unit(sink, unit);
    *out = unit;
    return AF_OK;
}

void af_sink_unit_add(struct af_sink_unit *unit, uint64_t lines)
{
    atomic_fetch_add(&unit->pending, lines);
}

static void settle(struct af_sink *sink, struct af_sink_unit *unit)
{
    struct af_error err;
    if (atomic_load(&unit->has_dead_letters) && af_dead_letters_sync(&sink->dead, &err) != AF_OK)
        (void)af_sink_fail(sink, &err);
    if (!atomic_load(&sink->has_failed) && unit->settled != NULL)
        unit->settled(unit->ctx, unit->id);
    unlink_unit(sink, unit);
    free_unit(unit);
}

void af_sink_unit_resolve(struct af_sink *sink, struct af_sink_unit *unit, uint64_t lines)
{
    uint64_t before = atomic_fetch_sub(&unit->pending, lines);
    assert(before >= lines);
    if (before == lines)
        settle(sink, unit);
}

void af_sink_unit_end(struct af_sink *sink, struct af_sink_unit *unit)
{
    af_sink_unit_resolve(sink, unit, 1);
}

void af_sink_units_free(struct af_sink *sink)
{
    while (sink->units != NULL) {
        struct af_sink_unit *unit = sink->units;
        sink->units = unit->next;
        free_unit(unit);
    }
}
