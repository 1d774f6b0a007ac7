/*
 * ons_series.c - plants, consumers and lines, and the curves their values follow.
 *
 *     value = peak * day curve * year curve * weather of the region (wind, clouds) * (1 + noise of the series)
 *
 * Everything comes from tables, integer hashes and + - * /: no libm, so that a seed gives the same bytes whatever the C library. A value
 * depends on seed, series and instant alone; any subset of plants and days has the values of the whole.
 */
#include "base/calendar.h"
#include "base/hash.h"
#include "base/prng.h"
#include "generate/generate_int.h"
#include <stdio.h>

static const char *const region_names[AF_GEN_REGIONS] = { "southeast", "northeast", "south", "north", "central" };
static const char *const source_names[] = { "hydro", "thermal", "wind", "solar", "nuclear", "biomass" };
static const char *const consumer_names[] = { "residential", "commercial", "industrial", "total" };
static const char *const quality_names[AF_GEN_QUALITIES] = { "valid", "estimated", "poor" };
static const char *const line_ids[] = {
    "SE-NE-001", "SE-NE-002", "SE-S-001",  "SE-S-002", "SE-CO-001", "SE-CO-002", "SE-N-001", "SE-N-002",
    "NE-N-001",  "NE-N-002",  "NE-SE-001", "S-SE-001", "S-SE-002",  "CO-N-001",  "CO-SE-001", "N-NE-001",
};
enum {
    SOURCES = sizeof source_names / sizeof *source_names,
    CONSUMERS = sizeof consumer_names / sizeof *consumer_names,
    LINES = sizeof line_ids / sizeof *line_ids,
    NAME_MAX_BYTES = 64,
};

/* Percent of the peak by hour of the day. */
static const uint8_t day_curve[AF_GEN_KINDS][24] = {
    [AF_GEN_HYDRO] = { 52, 50, 48, 47, 47, 49, 54, 60, 65, 68, 70, 71, 71, 72, 73, 74, 76, 80, 88, 92, 88, 80, 70, 60 },
    [AF_GEN_THERMAL] = { 55, 54, 54, 54, 54, 55, 57, 60, 62, 63, 64, 64, 64, 64, 65, 66, 68, 72, 78, 80, 77, 70, 63, 58 },
    [AF_GEN_WIND] = { 62, 64, 66, 67, 66, 63, 56, 48, 42, 38, 36, 36, 37, 39, 42, 46, 50, 53, 55, 57, 58, 59, 60, 61 },
    [AF_GEN_SOLAR] = { 0, 0, 0, 0, 0, 0, 4, 18, 40, 60, 76, 87, 92, 90, 82, 67, 46, 20, 2, 0, 0, 0, 0, 0 },
    [AF_GEN_NUCLEAR] = { 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97 },
    [AF_GEN_BIOMASS] = { 60, 60, 60, 60, 60, 61, 63, 65, 67, 68, 68, 68, 67, 67, 67, 67, 66, 65, 64, 63, 62, 61, 60, 60 },
    [AF_GEN_RESIDENTIAL] = { 52, 46, 42, 40, 39, 41, 47, 52, 53, 52, 52, 54, 58, 58, 56, 56, 59, 68, 84, 95, 97, 92, 80, 64 },
    [AF_GEN_COMMERCIAL] = { 30, 28, 27, 27, 27, 29, 36, 50, 68, 80, 86, 88, 86, 89, 92, 92, 90, 84, 76, 66, 56, 46, 38, 33 },
    [AF_GEN_INDUSTRIAL] = { 74, 73, 72, 72, 73, 76, 82, 89, 94, 95, 95, 93, 89, 92, 95, 95, 94, 88, 81, 80, 80, 79, 77, 75 },
    [AF_GEN_TOTAL] = { 60, 57, 55, 54, 54, 56, 61, 67, 73, 77, 79, 80, 79, 81, 83, 83, 83, 84, 89, 92, 90, 84, 76, 67 },
    [AF_GEN_FLOW] = { 45, 43, 42, 41, 41, 43, 48, 55, 61, 65, 67, 68, 67, 68, 70, 71, 73, 77, 84, 88, 84, 75, 62, 51 },
    [AF_GEN_LOSSES] = { 40, 38, 37, 36, 36, 38, 43, 50, 56, 60, 62, 63, 62, 63, 66, 67, 69, 74, 82, 87, 82, 71, 57, 46 },
};

/* Percent by month: the rains fill reservoirs from December to April, the wind blows from July to October, cane is burnt then too. */
static const uint8_t year_curve[AF_GEN_KINDS][12] = {
    [AF_GEN_HYDRO] = { 98, 100, 100, 96, 88, 82, 78, 74, 70, 72, 80, 90 },
    [AF_GEN_THERMAL] = { 70, 68, 66, 66, 72, 80, 88, 96, 100, 96, 84, 74 },
    [AF_GEN_WIND] = { 66, 58, 52, 54, 68, 82, 94, 100, 100, 94, 82, 74 },
    [AF_GEN_SOLAR] = { 92, 92, 90, 86, 80, 78, 82, 90, 94, 96, 98, 96 },
    [AF_GEN_NUCLEAR] = { 100, 100, 100, 100, 92, 100, 100, 100, 100, 92, 100, 100 },
    [AF_GEN_BIOMASS] = { 30, 28, 40, 64, 86, 96, 100, 100, 98, 90, 68, 42 },
    [AF_GEN_RESIDENTIAL] = { 100, 98, 96, 90, 84, 82, 82, 84, 90, 94, 96, 98 },
    [AF_GEN_COMMERCIAL] = { 98, 100, 98, 92, 86, 82, 82, 86, 92, 96, 96, 98 },
    [AF_GEN_INDUSTRIAL] = { 92, 94, 98, 98, 98, 98, 98, 100, 100, 100, 98, 92 },
    [AF_GEN_TOTAL] = { 98, 100, 98, 94, 90, 88, 88, 90, 94, 96, 96, 96 },
    [AF_GEN_FLOW] = { 84, 82, 80, 82, 86, 92, 96, 100, 100, 96, 90, 86 },
    [AF_GEN_LOSSES] = { 84, 82, 80, 82, 86, 92, 96, 100, 100, 96, 90, 86 },
};

/* Of ten plants of a source, where: regions by the digits. */
static const uint8_t plant_regions[SOURCES][10] = {
    { 0, 0, 0, 0, 2, 2, 3, 3, 4, 1 }, { 0, 0, 0, 1, 1, 1, 2, 3, 3, 4 }, { 1, 1, 1, 1, 1, 1, 1, 1, 2, 2 },
    { 1, 1, 1, 1, 1, 0, 0, 0, 4, 4 }, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0, 4, 4, 4, 2, 1 },
};

/* A number of its own for each (a, b): the noise everything is made of. */
static uint64_t noise(uint64_t a, uint64_t b)
{
    return af_hash_mix(a ^ af_hash_mix(b + UINT64_C(0x9e3779b97f4a7c15)));
}

static double unit(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1.0p-53;
}

/* --- series -------------------------------------------------------------------------------------------------------------- */

static enum af_status make_dict(struct af_arena *arena, const char *const *texts, size_t count, struct af_dict **out,
                                struct af_error *err)
{
    int32_t *offsets = af_arena_zero(arena, count + 1, sizeof *offsets);
    if (offsets == NULL)
        return af_arena_fail(arena, count * sizeof *offsets, "generated names", err);
    for (size_t i = 0; i < count; i++)
        offsets[i + 1] = offsets[i] + (int32_t)strlen(texts[i]);
    char *bytes = af_arena_alloc(arena, (size_t)offsets[count] + 1);
    if (bytes == NULL)
        return af_arena_fail(arena, (size_t)offsets[count], "generated names", err);
    for (size_t i = 0; i < count; i++)
        memcpy(bytes + offsets[i], texts[i], strlen(texts[i]));
    struct af_dict *dict = NULL;
    AF_TRY(af_dict_new(offsets, bytes, (uint32_t)count, &dict, err));
    enum af_status status = af_dict_hold(dict, arena, err);
    af_dict_unref(dict);
    if (status == AF_OK)
        *out = dict;
    return status;
}

static enum af_status make_arrays(struct af_gen_table *t, struct af_arena *arena, struct af_error *err)
{
    for (int i = 0; i < AF_GEN_TEXTS; i++) {
        if (i == AF_GEN_TYPE || i == AF_GEN_QUALITY || (i == AF_GEN_PLANT && !t->has_plants))
            continue;
        t->codes[i] = af_arena_zero(arena, t->count + 1, sizeof *t->codes[i]);
        if (t->codes[i] == NULL)
            return af_arena_fail(arena, t->count * 4, "generated series", err);
    }
    t->kinds = af_arena_zero(arena, t->count + 1, 1);
    t->regions = af_arena_zero(arena, t->count + 1, 1);
    t->peaks = af_arena_zero(arena, t->count + 1, sizeof *t->peaks);
    t->scales = af_arena_zero(arena, t->count + 1, sizeof *t->scales);
    t->salts = af_arena_zero(arena, t->count + 1, sizeof *t->salts);
    if (t->kinds == NULL || t->regions == NULL || t->peaks == NULL || t->scales == NULL || t->salts == NULL)
        return af_arena_fail(arena, t->count * 8, "generated series", err);
    return AF_OK;
}

static void set_series(struct af_gen_table *t, size_t s, enum af_gen_kind kind, uint32_t region, double peak, uint64_t salt)
{
    static const double scales[] = { 10, 100, 1000 };
    t->kinds[s] = (uint8_t)kind;
    t->regions[s] = (uint8_t)region;
    t->codes[AF_GEN_REGION][s] = region;
    t->peaks[s] = peak;
    t->scales[s] = scales[salt % 3];
    t->salts[s] = salt;
}

/* Shares as in Brazil's park, roughly; peaks in MW between a tenth of the source's largest and the largest. */
static enum af_gen_kind source_of(uint64_t bits)
{
    static const uint8_t sources[20] = { 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 5, 5, 5 };
    return bits % 500 == 0 ? AF_GEN_NUCLEAR : (enum af_gen_kind)sources[bits / 500 % 20];
}

static void make_plants(struct af_gen_table *t, uint64_t seed)
{
    static const double largest[SOURCES] = { 2200, 900, 350, 400, 1350, 120 };
    for (size_t s = 0; s < t->count; s++) {
        const uint64_t salt = noise(seed, s);
        const uint64_t bits = noise(salt, 1);
        const enum af_gen_kind kind = source_of(bits);
        const double size = unit(noise(salt, 2));
        set_series(t, s, kind, plant_regions[kind][bits >> 32 & 7], largest[kind] * (0.1 + 0.9 * size * size), salt);
        t->codes[AF_GEN_KEY][s] = kind;
        if (t->has_plants)
            t->codes[AF_GEN_PLANT][s] = (uint32_t)s;
    }
}

/* "UHE São Simão 12": kind, a river or town, the plant's number; so no two are the same. */
static enum af_status name_plants(struct af_gen_table *t, uint64_t seed, struct af_arena *arena, struct af_error *err)
{
    static const char *const prefixes[SOURCES] = { "UHE", "UTE", "EOL", "UFV", "UTN", "UTB" };
    static const char *const places[] = {
        "Itaipava", "São Simão", "Rio Verde", "Água Boa", "Três Barras", "Serra Azul", "Pedra Branca", "Santo Antônio",
        "Campo Largo", "Ilha Grande", "Lagoa do Sol", "Boa Vista", "Morro Alto", "Porto Real", "Cachoeira Dourada", "Vale Norte",
    };
    const char **names = af_arena_zero(arena, t->count + 1, sizeof *names);
    if (names == NULL)
        return af_arena_fail(arena, t->count * sizeof *names, "generated names", err);
    for (size_t s = 0; s < t->count; s++) {
        const char *place = places[noise(noise(seed, s), 3) % (sizeof places / sizeof *places)];
        names[s] = af_arena_printf(arena, "%s %s %zu", prefixes[t->kinds[s]], place, s + 1);
        if (names[s] == NULL)
            return af_arena_fail(arena, NAME_MAX_BYTES, "generated names", err);
    }
    names[t->count] = "UHE \xff\xfe damaged";
    t->bad_plant = (uint32_t)t->count;
    return make_dict(arena, names, t->count + 1, &t->dicts[AF_GEN_PLANT], err);
}

static enum af_status make_generation(struct af_gen_table *t, uint64_t seed, struct af_arena *arena, struct af_error *err)
{
    static const char *const measurements[] = { "power_output" };
    static const char *const units[] = { "MW" };
    AF_TRY(make_arrays(t, arena, err));
    make_plants(t, seed);
    if (t->has_plants)
        AF_TRY(name_plants(t, seed, arena, err));
    AF_TRY(make_dict(arena, source_names, SOURCES, &t->dicts[AF_GEN_KEY], err));
    AF_TRY(make_dict(arena, measurements, 1, &t->dicts[AF_GEN_MEASUREMENT], err));
    return make_dict(arena, units, 1, &t->dicts[AF_GEN_UNIT], err);
}

static enum af_status make_consumption(struct af_gen_table *t, uint64_t seed, struct af_arena *arena, struct af_error *err)
{
    static const char *const measurements[] = { "consumption" };
    static const char *const units[] = { "MWh" };
    static const double region_peaks[AF_GEN_REGIONS] = { 42000, 13000, 14000, 7000, 5000 };
    static const double shares[CONSUMERS] = { 0.31, 0.18, 0.36, 1 };
    AF_TRY(make_arrays(t, arena, err));
    for (uint32_t s = 0; s < t->count; s++) {
        uint32_t region = s / CONSUMERS, consumer = s % CONSUMERS;
        set_series(t, s, (enum af_gen_kind)(AF_GEN_RESIDENTIAL + consumer), region, region_peaks[region] * shares[consumer],
                   noise(seed ^ 0xc0, s));
        t->codes[AF_GEN_KEY][s] = consumer;
    }
    AF_TRY(make_dict(arena, consumer_names, CONSUMERS, &t->dicts[AF_GEN_KEY], err));
    AF_TRY(make_dict(arena, measurements, 1, &t->dicts[AF_GEN_MEASUREMENT], err));
    return make_dict(arena, units, 1, &t->dicts[AF_GEN_UNIT], err);
}

/* Each line twice: what flows, in MW, and what is lost, in MWh. */
static enum af_status make_transmission(struct af_gen_table *t, uint64_t seed, struct af_arena *arena, struct af_error *err)
{
    static const char *const measurements[] = { "power_flow", "losses" };
    static const char *const units[] = { "MW", "MWh" };
    AF_TRY(make_arrays(t, arena, err));
    for (uint32_t s = 0; s < t->count; s++) {
        uint32_t line = s / 2, is_loss = s % 2;
        uint64_t salt = noise(seed ^ 0x77, s);
        double peak = (1200 + 3800 * unit(noise(seed ^ 0x78, line))) * (is_loss ? 0.035 : 1);
        uint32_t region = line_ids[line][0] == 'S' ? (line_ids[line][1] == 'E' ? 0 : 2)
                        : line_ids[line][0] == 'C' ? 4 : line_ids[line][1] == 'E' ? 1 : 3;
        set_series(t, s, is_loss ? AF_GEN_LOSSES : AF_GEN_FLOW, region, peak, salt);
        t->codes[AF_GEN_KEY][s] = line;
        t->codes[AF_GEN_MEASUREMENT][s] = is_loss;
        t->codes[AF_GEN_UNIT][s] = is_loss;
    }
    AF_TRY(make_dict(arena, line_ids, LINES, &t->dicts[AF_GEN_KEY], err));
    AF_TRY(make_dict(arena, measurements, 2, &t->dicts[AF_GEN_MEASUREMENT], err));
    return make_dict(arena, units, 2, &t->dicts[AF_GEN_UNIT], err);
}

enum af_status af_gen_table_make(enum af_gen_dataset dataset, uint32_t plants, bool has_plants, uint64_t seed,
                                 struct af_arena *arena, struct af_gen_table *out, struct af_error *err)
{
    static const char *const types[] = { "generation", "consumption", "transmission" };
    static const char *const keys[] = { "energy_source", "consumer_type", "line_id" };
    const size_t counts[] = { plants, AF_GEN_REGIONS * CONSUMERS, (size_t)LINES * 2 };
    *out = (struct af_gen_table){ .count = counts[dataset], .type = types[dataset], .key_name = keys[dataset],
                                  .has_plants = dataset == AF_GEN_GENERATION && has_plants };
    AF_TRY(make_dict(arena, &types[dataset], 1, &out->dicts[AF_GEN_TYPE], err));
    AF_TRY(make_dict(arena, region_names, AF_GEN_REGIONS, &out->dicts[AF_GEN_REGION], err));
    AF_TRY(make_dict(arena, quality_names, AF_GEN_QUALITIES, &out->dicts[AF_GEN_QUALITY], err));
    switch (dataset) {
    case AF_GEN_GENERATION: return make_generation(out, seed, arena, err);
    case AF_GEN_CONSUMPTION: return make_consumption(out, seed, arena, err);
    default: return make_transmission(out, seed, arena, err);
    }
}

/* --- values -------------------------------------------------------------------------------------------------------------- */

/* Between the neighbours of a table that closes on itself. */
static double on_curve(const uint8_t *curve, unsigned points, double at)
{
    unsigned i = (unsigned)at;
    double part = at - i;
    return (curve[i % points] * (1 - part) + curve[(i + 1) % points] * part) * 0.01;
}

/* Slow weather: random at knots `hours` apart, straight between them. 0..1. */
static double slow_noise(uint64_t seed, int64_t ns, int64_t hours)
{
    const int64_t step = hours * 3600 * AF_NS_PER_S;
    const int64_t knot = af_floor_div(ns, step);
    const double part = (double)(ns - knot * step) / (double)step;
    return unit(noise(seed, (uint64_t)knot)) * (1 - part) + unit(noise(seed, (uint64_t)knot + 1)) * part;
}

static double weather_of(enum af_gen_kind kind, uint64_t seed, unsigned region, int64_t ns)
{
    switch (kind) {
    case AF_GEN_WIND: return 0.35 + 1.1 * slow_noise(seed ^ (0x100 + region), ns, 9);
    case AF_GEN_SOLAR: return 0.70 + 0.3 * slow_noise(seed ^ (0x200 + region), ns, 5);
    default: return 0.92 + 0.1 * slow_noise(seed ^ (0x300 + region * 16 + kind), ns, 24);
    }
}

void af_gen_weather_at(int64_t ns, uint64_t seed, enum af_gen_dataset dataset, struct af_gen_weather *out)
{
    static const enum af_gen_kind firsts[] = { AF_GEN_HYDRO, AF_GEN_RESIDENTIAL, AF_GEN_FLOW, AF_GEN_KINDS };
    struct af_civil civil;
    af_civil_from_ns(ns, &civil);
    const double hour = (double)(ns - af_floor_div(ns, AF_NS_PER_DAY) * AF_NS_PER_DAY) / (3600.0 * 1e9);
    const double month = (civil.month - 1) + (civil.day - 1) / 31.0;
    const bool is_weekend = (af_floor_div(ns, AF_NS_PER_DAY) + 4) % 7 % 6 == 0; /* 1970-01-01 was a Thursday; 0 is Sunday */
    for (enum af_gen_kind k = firsts[dataset]; k < firsts[dataset + 1]; k++) {
        double level = on_curve(day_curve[k], 24, hour) * on_curve(year_curve[k], 12, month);
        if (is_weekend && k >= AF_GEN_COMMERCIAL)
            level *= k == AF_GEN_COMMERCIAL ? 0.72 : 0.88;
        for (unsigned r = 0; r < AF_GEN_REGIONS; r++)
            out->level[k][r] = level * weather_of(k, seed, r, ns);
    }
}

void af_gen_values(const struct af_gen_table *table, const struct af_gen_weather *weather, int64_t ns, uint64_t seed,
                   size_t first, size_t count, double *values, uint32_t *qualities)
{
    static const double spread[AF_GEN_KINDS] = { 0.12, 0.15, 0.4, 0.25, 0.01, 0.2, 0.04, 0.04, 0.04, 0.02, 0.2, 0.2 };
    const uint64_t instant = af_hash_mix((uint64_t)ns ^ seed);
    for (size_t i = 0; i < count; i++) {
        const size_t s = first + i;
        const uint64_t bits = af_hash_mix(table->salts[s] ^ instant);
        const double level = weather->level[table->kinds[s]][table->regions[s]];
        const double wobble = 1 + spread[table->kinds[s]] * ((double)(int32_t)(bits >> 32) * 0x1.0p-31);
        double v = table->peaks[s] * level * wobble;
        v = v > table->peaks[s] ? table->peaks[s] : v;
        values[i] = (double)(int64_t)(v * table->scales[s] + 0.5) / table->scales[s];
        qualities[i] = (bits & 0xffff) >= 400 ? 0 : (bits & 0xffff) >= 60 ? 1 : 2;
    }
}
