/* scaler_policy.c - what the scaler may do: a JSON object with a default for each member. */
#include "format/json/json.h"
#include "lambda/scaler_int.h"
#include <math.h>
#include <string.h>

enum { ARENA_BYTES_MAX = 1 << 20, WEEK_S = 7 * 86400 };

static const struct {
    const char *name;
    size_t offset;
    double least, most;
} numbers[] = {
#define LIMIT(member, least, most) { #member, offsetof(struct scaling_policy, member), least, most }
    LIMIT(cpu_up, 1, 100),        LIMIT(cpu_down, 0, 100),       LIMIT(memory_up, 1, 100),    LIMIT(memory_down, 0, 100),
    LIMIT(disk_up, 1, 100),       LIMIT(operations_up, 1, 100),  LIMIT(write_ms_up, 1, 1e9),  LIMIT(price_medium, 0, 1e6),
    LIMIT(budget_month, 0, 1e12),
#undef LIMIT
};

static enum af_status read_number(const struct af_json *json, const char *name, double least, double most, double *out,
                                  struct af_error *err)
{
    const struct af_json *node = af_json_get(json, name);
    if (node == NULL)
        return AF_OK;
    if (!af_json_f64(node, out) || !(*out >= least && *out <= most))
        return af_fail(err, AF_EINVAL, "SCALING_POLICY: %s is a number from %g to %g", name, least, most);
    return AF_OK;
}

static enum af_status read_class(const struct af_json *json, const char *name, unsigned *out, struct af_error *err)
{
    struct af_slice text = af_json_string(json, name);
    if (af_json_get(json, name) != NULL && !scaling_class_find(text, out))
        return af_fail(err, AF_EINVAL, "SCALING_POLICY: %s is a class such as db.influx.large, not \"%.*s\"", name, (int)text.len,
                       text.ptr);
    return AF_OK;
}

static enum af_status read_whole(const struct af_json *json, const char *name, int64_t least, int64_t most, int64_t *out,
                                 struct af_error *err)
{
    const struct af_json *node = af_json_get(json, name);
    if (node != NULL && (!af_json_i64(node, out) || *out < least || *out > most))
        return af_fail(err, AF_EINVAL, "SCALING_POLICY: %s is a whole number from %lld to %lld", name, (long long)least, (long long)most);
    return AF_OK;
}

/* --- the window: "Sun:03:00-Sun:05:00" ---------------------------------------------------------------------------------------- */

/* "Sun:03:00" as seconds of the week from Monday on. */
static bool read_moment(struct af_slice text, int64_t *out_s)
{
    static const char days[] = "MonTueWedThuFriSatSun";
    if (text.len != 9 || text.ptr[3] != ':' || text.ptr[6] != ':')
        return false;
    for (int at = 4; at < 9; at++)
        if (at != 6 && (text.ptr[at] < '0' || text.ptr[at] > '9'))
            return false;
    int hour = (text.ptr[4] - '0') * 10 + text.ptr[5] - '0', minute = (text.ptr[7] - '0') * 10 + text.ptr[8] - '0';
    for (int day = 0; day < 7; day++)
        if (memcmp(days + day * 3, text.ptr, 3) == 0) {
            *out_s = day * 86400 + hour * 3600 + minute * 60;
            return hour < 24 && minute < 60;
        }
    return false;
}

static enum af_status read_window(const struct af_json *json, struct scaler_window *out, struct af_error *err)
{
    struct af_slice text = af_json_string(json, "window"), zone = af_json_string(json, "timezone");
    const char *dash = text.len != 0 ? memchr(text.ptr, '-', text.len) : NULL;
    if (af_json_get(json, "timezone") != NULL)
        AF_TRY(af_zone_parse(zone, &out->zone, err));
    if (af_json_get(json, "window") == NULL)
        return AF_OK;
    if (dash == NULL || !read_moment(af_slice_make(text.ptr, (size_t)(dash - text.ptr)), &out->first_s) ||
        !read_moment(af_slice_make(dash + 1, (size_t)(text.ptr + text.len - dash - 1)), &out->last_s))
        return af_fail(err, AF_EINVAL, "SCALING_POLICY: window is written Sun:03:00-Sun:05:00, not \"%.*s\"", (int)text.len, text.ptr);
    if (out->last_s < out->first_s)
        out->last_s += WEEK_S;
    return AF_OK;
}

bool scaler_window_holds(const struct scaler_window *window, int64_t now_ns)
{
    int64_t wall_s = af_zone_to_wall(&window->zone, now_ns) / AF_NS_PER_S;
    int64_t of_week_s = ((wall_s - 4 * 86400) % WEEK_S + WEEK_S) % WEEK_S; /* 1970-01-05 was a Monday */
    return (of_week_s >= window->first_s && of_week_s < window->last_s) ||
           (of_week_s + WEEK_S >= window->first_s && of_week_s + WEEK_S < window->last_s);
}

/* --- all of it ----------------------------------------------------------------------------------------------------------- */

static enum af_status read_all(const struct af_json *json, struct scaler_policy *out, struct af_error *err)
{
    struct scaling_policy *limits = &out->limits;
    int64_t storage_gib = limits->storage_max_gib;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        AF_TRY(read_number(json, numbers[i].name, numbers[i].least, numbers[i].most,
                           (double *)(void *)((char *)limits + numbers[i].offset), err));
    AF_TRY(read_class(json, "class_min", &limits->class_min, err));
    AF_TRY(read_class(json, "class_max", &limits->class_max, err));
    AF_TRY(read_whole(json, "storage_max_gib", 20, SCALING_STORAGE_MAX_GIB, &storage_gib, err));
    AF_TRY(read_whole(json, "cooldown_up_s", 0, 1 << 30, &limits->cooldown_up_s, err));
    AF_TRY(read_whole(json, "cooldown_down_s", 0, 1 << 30, &limits->cooldown_down_s, err));
    limits->storage_max_gib = (uint32_t)storage_gib;
    struct af_slice tier = af_json_string(json, "tier_max");
    if (af_json_get(json, "tier_max") != NULL && !scaling_tier_find(tier, &limits->tier_max))
        return af_fail(err, AF_EINVAL, "SCALING_POLICY: tier_max is T1, T2 or T3, not \"%.*s\"", (int)tier.len, tier.ptr);
    return read_window(json, &out->window, err);
}

static enum af_status check(const struct scaling_policy *p, struct af_error *err)
{
    if (p->class_min > p->class_max)
        return af_fail(err, AF_EINVAL, "SCALING_POLICY: class_min (%s) is above class_max (%s)", scaling_class_name(p->class_min),
                       scaling_class_name(p->class_max));
    if (p->cpu_down >= p->cpu_up || p->memory_down >= p->memory_up)
        return af_fail(err, AF_EINVAL, "SCALING_POLICY: cpu_down and memory_down lie below cpu_up and memory_up, or the size swings");
    if (p->budget_month > 0 && p->price_medium <= 0)
        return af_fail(err, AF_EINVAL, "SCALING_POLICY: budget_month needs price_medium, the price of an hour of db.influx.medium");
    return AF_OK;
}

enum af_status scaler_policy_parse(const char *text, struct scaler_policy *out, struct af_error *err)
{
    struct af_arena arena;
    struct af_json *json = NULL;
    enum af_status status = AF_OK;
    *out = (struct scaler_policy){
        .limits = { .class_min = 0, .class_max = SCALING_CLASSES - 1, .tier_max = SCALING_TIERS - 1,
                    .storage_max_gib = SCALING_STORAGE_MAX_GIB,
                    .cpu_up = 80, .cpu_down = 25, .memory_up = 85, .memory_down = 40, .disk_up = 75, .operations_up = 70,
                        .write_ms_up = 1000,
                    .cooldown_up_s = 1800, .cooldown_down_s = 86400 },
    };
    if (text == NULL)
        return AF_OK;
    af_arena_init(&arena, ARENA_BYTES_MAX);
    status = af_json_parse(af_slice_of(text), &arena, &json, err);
    if (status == AF_OK && json->kind != AF_JSON_OBJECT)
        status = af_fail(err, AF_EINVAL, "SCALING_POLICY is a JSON object");
    if (status == AF_OK)
        status = read_all(json, out, err);
    if (status == AF_OK)
        status = check(&out->limits, err);
    af_arena_done(&arena);
    return status;
}
