/*
 * generate_int.h - what ons.c (files, rows) and ons_series.c (who produces and consumes, and when) share.
 */
#ifndef AF_GENERATE_INT_H
#define AF_GENERATE_INT_H
#include "base/arena.h"
#include "data/batch.h"
#include "generate/generate.h"

enum af_gen_dataset { AF_GEN_GENERATION, AF_GEN_CONSUMPTION, AF_GEN_TRANSMISSION };

/* What a value follows through the day and the year. */
enum af_gen_kind {
    AF_GEN_HYDRO,
    AF_GEN_THERMAL,
    AF_GEN_WIND,
    AF_GEN_SOLAR,
    AF_GEN_NUCLEAR,
    AF_GEN_BIOMASS,
    AF_GEN_RESIDENTIAL,
    AF_GEN_COMMERCIAL,
    AF_GEN_INDUSTRIAL,
    AF_GEN_TOTAL,
    AF_GEN_FLOW,
    AF_GEN_LOSSES,
    AF_GEN_KINDS,
};
enum { AF_GEN_REGIONS = 5, AF_GEN_QUALITIES = 3 };

/* The text columns of a row, each with a dictionary. PLANT is there with realistic plants only. */
enum af_gen_text {
    AF_GEN_TYPE,        /* dataset_type */
    AF_GEN_REGION,
    AF_GEN_KEY,         /* energy_source, consumer_type or line_id */
    AF_GEN_MEASUREMENT, /* measurement_type */
    AF_GEN_UNIT,
    AF_GEN_QUALITY,
    AF_GEN_PLANT,
    AF_GEN_TEXTS,
};

/* All series of a dataset, in the order their rows have within an hour. */
struct af_gen_table {
    size_t count;
    bool has_plants;
    const char *type;
    const char *key_name;
    uint32_t *codes[AF_GEN_TEXTS]; /* by series; QUALITY and TYPE stay NULL: they are not a matter of the series */
    struct af_dict *dicts[AF_GEN_TEXTS];
    uint32_t bad_plant;            /* code of a name that is no UTF-8 */
    uint8_t *kinds;
    uint8_t *regions;
    double *peaks;                 /* in the unit */
    double *scales;                /* 10, 100 or 1000: decimals */
    uint64_t *salts;               /* noise of its own */
};

/* Everything in `arena`, dictionaries held by it. */
AF_MUST_CHECK enum af_status af_gen_table_make(enum af_gen_dataset dataset, uint32_t plants, bool has_plants, uint64_t seed,
                                               struct af_arena *arena, struct af_gen_table *out, struct af_error *err);

/* How much of its peak each kind reaches at an instant, by region. The same for every subset of series and time. */
struct af_gen_weather {
    double level[AF_GEN_KINDS][AF_GEN_REGIONS];
};
void af_gen_weather_at(int64_t ns, uint64_t seed, enum af_gen_dataset dataset, struct af_gen_weather *out);

/* Values of `count` series from `first` at one instant, and codes of their quality flags (0 is the usual one). */
void af_gen_values(const struct af_gen_table *table, const struct af_gen_weather *weather, int64_t ns, uint64_t seed,
                   size_t first, size_t count, double *values, uint32_t *qualities);
#endif
