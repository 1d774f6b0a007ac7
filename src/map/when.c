/*
 * when.c - the time of each row: columns to wall time, wall time to UTC.
 *
 *     TIME, DATE, numbers with a unit, text (parsed once per distinct neighbour or dictionary entry)
 *       [+ hour or half hour of the day]  --zone-->  UTC  [+ shift]
 *
 * Rows at a local time that does not exist (the gap when summer time starts): see docs/mapping.md. Here they are shifted
 * forward and marked in run->gap; apply.c drops the marked ones whose values are all empty or zero.
 */
#include "base/alloc.h"
#include "base/numbers.h"
#include "map/map_int.h"
#include <math.h>

enum { AT_UNKNOWN, AT_WALL, AT_WALL_DATE, AT_UTC, AT_MISSING, AT_BAD, AT_RANGE };

struct map_instant {
    int64_t ns;
    uint8_t kind;
};

static const char range_reason[] = "time out of range: InfluxDB holds 1677-09-21 to 2262-04-11";

/* --- one value ---------------------------------------------------------------------------------------------------- */

static struct map_instant from_count(int64_t count, int64_t unit_ns)
{
    struct map_instant at = { 0, AT_UTC };
    if (__builtin_mul_overflow(count, unit_ns, &at.ns))
        return (struct map_instant){ 0, AT_RANGE };
    return at;
}

static struct map_instant from_f64(double count, int64_t unit_ns)
{
    int64_t whole;
    if (af_map_f64_to_i64(count, &whole))
        return from_count(whole, unit_ns);
    if (!isfinite(count))
        return (struct map_instant){ 0, AT_BAD };
    double floor_part = floor(count);
    if (!af_map_f64_to_i64(floor_part, &whole))
        return (struct map_instant){ 0, AT_RANGE };
    struct map_instant at = from_count(whole, unit_ns);
    int64_t rest = (int64_t)((count - floor_part) * (double)unit_ns + 0.5);
    if (at.kind == AT_UTC && __builtin_add_overflow(at.ns, rest, &at.ns))
        at.kind = AT_RANGE;
    return at;
}

static struct map_instant from_days(int64_t days)
{
    struct map_instant at = from_count(days, AF_NS_PER_DAY);
    if (at.kind == AT_UTC)
        at.kind = AT_WALL_DATE;
    return at;
}

static struct map_instant from_text(const struct map_time *spec, struct af_slice text)
{
    static const struct map_names none = { 0 };
    struct map_instant at = { 0, AT_BAD };
    bool has_zone;
    int64_t count;
    double real;
    text = af_slice_trim(text);
    if (af_map_text_is_missing(&none, true, text))
        return (struct map_instant){ 0, AT_MISSING };
    if (spec->unit != MAP_UNIT_UNSET && af_i64_parse(text, &count))
        return from_count(count, af_map_unit_ns[spec->unit]);
    if (af_time_parse(text, &at.ns, &has_zone))
        at.kind = has_zone ? AT_UTC : text.len <= 10 ? AT_WALL_DATE : AT_WALL;
    else if (spec->unit != MAP_UNIT_UNSET && af_f64_parse(text, &real))
        at = from_f64(real, af_map_unit_ns[spec->unit]);
    return at;
}

static struct map_instant from_decimal(__int128 unscaled, unsigned scale, int64_t unit_ns)
{
    __int128 ns;
    if (__builtin_mul_overflow(unscaled, (__int128)unit_ns, &ns))
        return (struct map_instant){ 0, AT_RANGE };
    for (; scale > 0; scale--)
        ns = ns / 10 - (ns % 10 < 0);
    if (ns < INT64_MIN || ns > INT64_MAX)
        return (struct map_instant){ 0, AT_RANGE };
    return (struct map_instant){ (int64_t)ns, AT_UTC };
}

/* --- a column ----------------------------------------------------------------------------------------------------- */

/* A growing cache of instants by dictionary code. */
static enum af_status enter_dict(struct map_run *run, const struct af_dict *dict)
{
    struct map_bound_time *time = &run->mapper->time;
    if (time->dict_id == dict->id)
        return AF_OK;
    time->dict_id = 0;
    if (dict->count > time->lut_cap) {
        struct map_instant *lut = af_realloc(time->lut, dict->count * sizeof *lut);
        if (lut == NULL)
            return af_fail_nomem(run->err, "a dictionary's times");
        time->lut = lut;
        time->lut_cap = dict->count;
    }
    if (dict->count != 0)
        memset(time->lut, 0, dict->count * sizeof *time->lut);
    time->dict_id = dict->id;
    return AF_OK;
}

static enum af_status text_rows(struct map_run *run, const struct af_column *col, struct map_instant *out)
{
    const struct map_time *spec = &run->mapper->map->time;
    struct map_bound_time *time = &run->mapper->time;
    struct af_slice before = { NULL, SIZE_MAX };
    struct map_instant at = { 0, AT_MISSING };
    if (col->dict != NULL)
        AF_TRY(enter_dict(run, col->dict));
    for (size_t row = 0; row < run->rows; row++) {
        if (!af_column_has(col, row)) {
            out[row] = (struct map_instant){ 0, AT_MISSING };
            continue;
        }
        if (col->dict != NULL) {
            struct map_instant *entry = &time->lut[col->codes[row]];
            if (entry->kind == AT_UNKNOWN)
                *entry = from_text(spec, af_dict_get(col->dict, col->codes[row]));
            out[row] = *entry;
            continue;
        }
        struct af_slice text = af_column_text(col, row);
        if (!af_slice_eq(text, before))
            at = from_text(spec, text);
        before = text;
        out[row] = at;
    }
    return AF_OK;
}

static struct map_instant number_at(const struct map_time *spec, const struct af_column *col, size_t row, bool is_local)
{
    int64_t unit_ns = af_map_unit_ns[spec->unit];
    switch (col->type) {
    case AF_TYPE_TIME: return (struct map_instant){ col->i64[row], is_local ? AT_WALL : AT_UTC };
    case AF_TYPE_DATE: return from_days(col->i64[row]);
    case AF_TYPE_I64: return from_count(col->i64[row], unit_ns);
    case AF_TYPE_U64:
        return col->u64[row] <= INT64_MAX ? from_count((int64_t)col->u64[row], unit_ns) : (struct map_instant){ 0, AT_RANGE };
    case AF_TYPE_F64: return from_f64(col->f64[row], unit_ns);
    case AF_TYPE_DECIMAL: return from_decimal(col->i128[row], col->scale, unit_ns);
    default: return (struct map_instant){ 0, AT_MISSING };
    }
}

static enum af_status base_rows(struct map_run *run, struct map_instant *out)
{
    const struct af_mapper *mapper = run->mapper;
    const struct map_bound_time *time = &mapper->time;
    if (time->column == SIZE_MAX) {
        uint8_t kind = time->constant_is_utc ? AT_UTC : AT_WALL_DATE;
        for (size_t row = 0; row < run->rows; row++)
            out[row] = (struct map_instant){ time->constant_ns, kind };
        return AF_OK;
    }
    const struct af_column *col = &run->batch->columns[time->column];
    if (af_type_is_text(col->type))
        return text_rows(run, col, out);
    bool is_local = mapper->schema->fields[time->column].is_local;
    for (size_t row = 0; row < run->rows; row++)
        out[row] = af_column_has(col, row) ? number_at(&mapper->map->time, col, row, is_local)
                                           : (struct map_instant){ 0, AT_MISSING };
    return AF_OK;
}

/* --- hours and half hours ----------------------------------------------------------------------------------------- */

static enum af_status add_steps(struct map_run *run, size_t column, int64_t first, int64_t last, int64_t step_ns,
                                const char *reason, struct map_instant *out)
{
    if (column == SIZE_MAX)
        return AF_OK;
    const struct af_column *col = &run->batch->columns[column];
    for (size_t row = 0; row < run->rows; row++) {
        int64_t step;
        if (!af_column_has(col, row) || !af_map_column_i64(col, row, &step) || step < first || step > last) {
            AF_TRY(af_map_reject(run, row, run->mapper->schema->fields[column].name, reason));
            continue;
        }
        if (out[row].kind > AT_UTC)
            continue;
        if (__builtin_add_overflow(out[row].ns, (step - (first == 1)) * step_ns, &out[row].ns))
            out[row].kind = AT_RANGE;
        else if (out[row].kind == AT_WALL_DATE)
            out[row].kind = AT_WALL;
    }
    return AF_OK;
}

/* --- to UTC ------------------------------------------------------------------------------------------------------- */

struct odd {
    struct map_run *run;
    const struct map_instant *at;
    uint8_t *kinds;
};
enum { ODD_NONE, ODD_GAP, ODD_RANGE };

static void note_odd(void *ctx, size_t row, enum af_local what)
{
    struct odd *odd = ctx;
    if (what == AF_LOCAL_GAP && odd->at[row].kind == AT_WALL)
        odd->kinds[row] = ODD_GAP;
    if (what == AF_LOCAL_RANGE)
        odd->kinds[row] = ODD_RANGE;
}

static enum af_status settle_gap(struct map_run *run, size_t row)
{
    const struct map_time *spec = &run->mapper->map->time;
    if (spec->gap == MAP_GAP_FORWARD)
        return AF_OK;
    if (spec->gap == MAP_GAP_REJECT)
        return af_map_reject(run, row, run->mapper->time.column_name,
                          "this local time does not exist: summer time began (gap: reject)");
    if (run->gap == NULL) {
        run->gap = af_bits_new(run->arena, run->rows, false);
        if (run->gap == NULL)
            return af_arena_fail(run->arena, run->rows / 8, "rows in a gap", run->err);
    }
    af_bit_set(run->gap, row);
    return AF_OK;
}

static enum af_status reject_time(struct map_run *run, size_t row, uint8_t kind)
{
    const struct map_bound_time *time = &run->mapper->time;
    if (kind == AT_MISSING)
        return af_map_reject(run, row, time->column_name, "time is null");
    if (kind == AT_RANGE)
        return af_map_reject(run, row, time->column_name, range_reason);
    const struct af_column *col = &run->batch->columns[time->column];
    if (!af_type_is_text(col->type))
        return af_map_reject(run, row, time->column_name, "not a time");
    return af_map_reject_text(run, row, time->column_name, "not a time", af_slice_trim(af_column_text(col, row)));
}

/* One instant from its parts; the row is rejected where there is none. */
static enum af_status finish_row(struct map_run *run, size_t row, const struct map_instant *at, uint8_t odd, int64_t *ns)
{
    uint8_t kind = at->kind;
    if (kind == AT_UTC)
        *ns = at->ns;
    else if (kind <= AT_WALL_DATE && odd == ODD_RANGE)
        kind = AT_RANGE;
    if (kind <= AT_UTC && (__builtin_add_overflow(*ns, run->mapper->map->time.shift_ns, ns) || *ns < INT64_MIN + 2 ||
                           *ns == INT64_MAX))
        kind = AT_RANGE;
    if (kind <= AT_UTC)
        return odd == ODD_GAP ? settle_gap(run, row) : AF_OK;
    *ns = 0;
    return reject_time(run, row, kind);
}

static enum af_status convert(struct map_run *run, const struct map_instant *at, int64_t *wall, int64_t *out)
{
    uint8_t *kinds = af_arena_zero(run->arena, run->rows, 1);
    if (kinds == NULL)
        return af_arena_fail(run->arena, run->rows, "times of a batch", run->err);
    for (size_t row = 0; row < run->rows; row++)
        wall[row] = at[row].kind <= AT_WALL_DATE ? at[row].ns : 0;
    struct odd odd = { run, at, kinds };
    memset(out, 0, run->rows * sizeof *out);
    af_zone_to_utc_column(&run->mapper->map->time.zone, wall, run->rows, out, note_odd, &odd);
    for (size_t row = 0; row < run->rows; row++)
        AF_TRY(finish_row(run, row, &at[row], kinds[row], &out[row]));
    return AF_OK;
}

/* Instants already, all there and in range: used as they are. */
static bool can_borrow(const struct map_run *run)
{
    const struct af_mapper *mapper = run->mapper;
    const struct map_bound_time *time = &mapper->time;
    const struct map_time *spec = &mapper->map->time;
    if (time->column == SIZE_MAX || time->hour != SIZE_MAX || time->half_hour != SIZE_MAX || spec->shift_ns != 0)
        return false;
    const struct af_column *col = &run->batch->columns[time->column];
    bool is_utc = !mapper->schema->fields[time->column].is_local ||
                  (spec->zone.kind == AF_ZONE_FIXED && spec->zone.offset_s == 0);
    if (col->type != AF_TYPE_TIME || !is_utc || col->null_count != 0)
        return false;
    int64_t low = 0;
    int64_t high = 0;
    for (size_t row = 0; row < run->rows; row++) {
        low = col->i64[row] < low ? col->i64[row] : low;
        high = col->i64[row] > high ? col->i64[row] : high;
    }
    return low >= INT64_MIN + 2 && high != INT64_MAX;
}

enum af_status af_map_times(struct map_run *run)
{
    const struct map_bound_time *time = &run->mapper->time;
    if (time->column != SIZE_MAX)
        AF_TRY(af_map_reject_invalid(run, &run->batch->columns[time->column], time->column_name));
    if (can_borrow(run)) {
        run->time_ns = run->batch->columns[time->column].i64;
        return AF_OK;
    }
    struct map_instant *at = af_arena_array(run->arena, run->rows, sizeof *at);
    int64_t *wall = af_arena_array(run->arena, run->rows, sizeof *wall);
    int64_t *out = af_arena_array(run->arena, run->rows, sizeof *out);
    if (at == NULL || wall == NULL || out == NULL)
        return af_arena_fail(run->arena, run->rows * sizeof *out, "times of a batch", run->err);
    AF_TRY(base_rows(run, at));
    AF_TRY(add_steps(run, time->hour, 0, 24, 3600 * AF_NS_PER_S, "the hour is not a whole number from 0 to 24", at));
    AF_TRY(add_steps(run, time->half_hour, 1, 48, 1800 * AF_NS_PER_S, "the half hour is not a whole number from 1 to 48", at));
    AF_TRY(convert(run, at, wall, out));
    run->time_ns = out;
    return AF_OK;
}
