/*
 * ons_test.c - genuine ONS files through the built-in mappings, judged by what the data itself must obey. Runs where
 * AFLUXO_TEST_ONS_DIR names the directory of data/ons; passes without it.
 */
#include "format/csv/csv.h"
#include "map/map_fixture.h"
#include "test/lib/test.h"
#include <math.h>

enum { FIELDS_MAX = 24, FIELD_NAME_MAX = 32 };

struct sample {
    uint32_t series;
    int64_t time_ns;
    double values[FIELDS_MAX]; /* NAN: none */
};

/* A whole file in memory: its points in file order. */
struct table {
    struct af_intern keys;
    struct af_intern names;
    struct sample *samples;
    size_t count, cap;
    size_t rows, empty, rejects;
    char name[64];
};

static void keep_row(struct table *t, const struct af_points *points, size_t row)
{
    if (t->count == t->cap) {
        t->cap = t->cap * 2 + 4096;
        t->samples = realloc(t->samples, t->cap * sizeof *t->samples);
    }
    struct sample *s = &t->samples[t->count++];
    AF_CHECK(af_intern_add(&t->keys, points->set->keys.keys[points->series[row]], &s->series, NULL) == AF_OK);
    s->time_ns = points->time_ns[row];
    for (size_t i = 0; i < FIELDS_MAX; i++)
        s->values[i] = NAN;
    for (size_t i = 0; i < points->field_count; i++) {
        uint32_t id;
        AF_CHECK(af_intern_add(&t->names, points->fields[i].name, &id, NULL) == AF_OK);
        AF_CHECK(id < FIELDS_MAX);
        if (points->fields[i].column.type == AF_TYPE_F64 && af_column_has(&points->fields[i].column, row))
            s->values[id] = points->fields[i].column.f64[row];
    }
}

static void load_batches(struct table *t, struct af_stream *stream, struct af_mapper *mapper)
{
    struct af_error err;
    struct af_arena arena;
    af_arena_init(&arena, (size_t)256 << 20);
    for (;;) {
        struct af_batch *batch;
        struct af_points points;
        struct af_map_rejects rejects;
        size_t empty;
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch == NULL)
            break;
        AF_CHECK_OK(af_mapper_apply(mapper, batch, &arena, &points, &rejects, &empty, &err), err);
        size_t before = t->count;
        for (size_t row = 0; row < points.row_count; row++) {
            if (points.series[row] != UINT32_MAX)
                keep_row(t, &points, row);
        }
        AF_CHECK_INT(t->count - before + empty + rejects.count, batch->row_count + batch->bad_row_count);
        t->rows += batch->row_count + batch->bad_row_count;
        t->empty += empty;
        t->rejects += rejects.count;
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
}

/* False where the directory is not given. */
static bool load(struct table *t, const char *file)
{
    const char *dir = getenv("AFLUXO_TEST_ONS_DIR");
    if (dir == NULL)
        return false;
    struct af_error err;
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *in = fopen(path, "rb");
    AF_CHECK(in != NULL);
    fseek(in, 0, SEEK_END);
    size_t size = (size_t)ftell(in);
    rewind(in);
    char *bytes = malloc(size);
    AF_CHECK(fread(bytes, 1, size, in) == size);
    fclose(in);
    struct af_reader reader;
    af_reader_from_memory(&reader, path, bytes, size);
    struct af_csv_options options = { 0 };
    struct af_csv_info info;
    struct af_stream *stream;
    struct af_map *map;
    struct af_mapper *mapper;
    memset(t, 0, sizeof *t);
    AF_CHECK_OK(af_csv_open(&reader, &options, &stream, &info, &err), err);
    AF_CHECK_OK(af_map_detect(path, stream->schema, &map, &err), err);
    AF_CHECK_OK(af_mapper_new(map, stream->schema, path, &mapper, &err), err);
    snprintf(t->name, sizeof t->name, "%s", af_map_name(map));
    load_batches(t, stream, mapper);
    af_mapper_free(mapper);
    af_map_free(map);
    af_stream_close(stream);
    free(bytes);
    return true;
}

static void drop(struct table *t)
{
    af_intern_done(&t->keys);
    af_intern_done(&t->names);
    free(t->samples);
}

static size_t field(const struct table *t, const char *name)
{
    uint32_t id = af_intern_find(&t->names, af_slice_of(name));
    AF_CHECK(id != UINT32_MAX);
    return id;
}

static double sum(const struct table *t, const char *name)
{
    size_t at = field(t, name);
    double total = 0;
    for (size_t i = 0; i < t->count; i++)
        total += isnan(t->samples[i].values[at]) ? 0 : t->samples[i].values[at];
    return total;
}

static void check_counts(const char *file, const char *name, size_t rows, size_t points, size_t series)
{
    struct table t;
    if (!load(&t, file))
        return;
    AF_CHECK_STR(t.name, name);
    AF_CHECK_INT(t.rows, rows);
    AF_CHECK_INT(t.rejects, 0);
    AF_CHECK_INT(t.count, points);
    AF_CHECK_INT(t.empty, rows - points);
    AF_CHECK_INT(t.keys.count, series);
    drop(&t);
}

AF_TEST(row_counts_of_genuine_files)
{
    check_counts("curva_carga_ho/CURVA_CARGA_2000.csv", "ons-curva-carga", 35132, 35132, 4);
    check_counts("curva_carga_ho/CURVA_CARGA_2013.csv", "ons-curva-carga", 35036, 35036 - 96, 4);
    check_counts("curva_carga_ho/CURVA_CARGA_2014.csv", "ons-curva-carga", 35016, 35016 - 76, 4);
    check_counts("curva_carga_ho/CURVA_CARGA_2016.csv", "ons-curva-carga", 35136, 35136 - 4, 4);
    check_counts("curva_carga_ho/CURVA_CARGA_2018.csv", "ons-curva-carga", 35040, 35040 - 4, 4); /* the false zero too */
    check_counts("curva_carga_ho/CURVA_CARGA_2024.csv", "ons-curva-carga", 31584, 31584, 4);
    check_counts("curva_carga_ho/vintage-2023-10/CURVA_CARGA_2016.csv", "ons-curva-carga", 34920, 34920 - 652, 4);
    check_counts("carga_energia_di/CARGA_ENERGIA_2013.csv", "ons-carga-diaria", 1461, 1456, 4);
    check_counts("carga_energia_di/CARGA_ENERGIA_2014.csv", "ons-carga-diaria", 1460, 1456, 4);
    check_counts("carga_energia_di/CARGA_ENERGIA_2018.csv", "ons-carga-diaria", 1460, 1460, 4);
    check_counts("cmo_tm/CMO_SEMIHORARIO_2020.csv", "ons-cmo", 70080, 70080, 4);
    check_counts("hidrologicos/DADOS_HIDROLOGICOS_RES_2025.csv", "ons-hidrologicos", 11552, 11552,
                 178); /* 175 reservoirs, 3 of which change an attribute */
    check_counts("restricao_coff/RESTRICAO_COFF_FOTOVOLTAICA_2026_01.csv", "ons-coff-solar", 13632, 13632, 71);
    check_counts("balanco_energia_subsistema_ho/BALANCO_ENERGIA_SUBSISTEMA_2023.csv", "ons-balanco", 31440, 31440, 5);
    check_counts("capacidade/CAPACIDADE_GERACAO.csv", "ons-capacidade", 5294, 5294, 5294);
    check_counts("excerpts/INTERCAMBIO_NACIONAL_2018.dst-gap.csv", "ons-intercambio", 12, 12, 4);
    check_counts("excerpts/INTERCAMBIO_NACIONAL_2026.head.csv", "ons-intercambio", 36, 36, 4);
    check_counts("excerpts/BALANCO_ENERGIA_SUBSISTEMA_2018.dst-gap.csv", "ons-balanco", 14, 10, 5);
    check_counts("excerpts/BALANCO_ENERGIA_SUBSISTEMA_2026.head.csv", "ons-balanco", 25, 25, 5);
    check_counts("excerpts/EAR_DIARIO_SUBSISTEMA_2023.head.csv", "ons-ear", 28, 28, 4);
    check_counts("excerpts/ENA_DIARIO_SUBSISTEMA_2023.head.csv", "ons-ena", 20, 20, 4);
    check_counts("excerpts/RESTRICAO_COFF_EOLICA_2024_12.head.csv", "ons-coff-eolica", 5, 5, 1);
}

AF_TEST(no_two_points_of_a_genuine_file_share_series_and_time)
{
    struct table t;
    if (!load(&t, "curva_carga_ho/CURVA_CARGA_2018.csv"))
        return;
    int64_t last[8] = { 0 };
    for (size_t i = 0; i < t.count; i++) {
        AF_CHECK(t.samples[i].series < 8);
        AF_CHECK(t.samples[i].time_ns > last[t.samples[i].series]);
        last[t.samples[i].series] = t.samples[i].time_ns;
    }
    drop(&t);
}

AF_TEST(balance_identity)
{
    struct table t;
    if (!load(&t, "balanco_energia_subsistema_ho/BALANCO_ENERGIA_SUBSISTEMA_2023.csv"))
        return;
    static const char *const names[] = { "hydro_mw", "thermal_mw", "wind_mw", "solar_mw", "demand_mw", "interchange_mw" };
    uint32_t sin = af_intern_find(&t.keys, AF_SLICE_LIT("energy_balance_data,region=SIN"));
    AF_CHECK(sin != UINT32_MAX);
    size_t wrong_balance = 0;
    size_t wrong_sum = 0;
    for (size_t i = 0; i < t.count;) {
        double parts[6] = { 0 };
        double whole[6] = { 0 };
        int64_t time_ns = t.samples[i].time_ns;
        for (; i < t.count && t.samples[i].time_ns == time_ns; i++) {
            double v[6];
            for (size_t k = 0; k < 6; k++) {
                v[k] = t.samples[i].values[field(&t, names[k])];
                AF_CHECK(!isnan(v[k]));
                if (t.samples[i].series == sin)
                    whole[k] = v[k];
                else
                    parts[k] += v[k];
            }
            wrong_balance += fabs(v[0] + v[1] + v[2] + v[3] - v[4] - v[5]) > 0.02;
        }
        for (size_t k = 0; k < 5; k++)
            wrong_sum += fabs(parts[k] - whole[k]) > 0.05;
    }
    /* 2023-09-13: ONS doubled load and interchange of the four subsystems. */
    AF_CHECK_INT(wrong_balance, 96);
    AF_CHECK_INT(wrong_sum, 24);
    drop(&t);
}

AF_TEST(daily_load_is_the_mean_of_the_hours)
{
    struct table hours;
    struct table days;
    if (!load(&hours, "curva_carga_ho/CURVA_CARGA_2020.csv") || !load(&days, "carga_energia_di/CARGA_ENERGIA_2020.csv"))
        return;
    size_t of_hour = field(&hours, "demand_mw");
    size_t of_day = field(&days, "demand_mw");
    size_t compared = 0;
    for (size_t d = 0; d < days.count; d++) {
        struct af_slice key = days.keys.keys[days.samples[d].series];
        const char *region = (const char *)memmem(key.ptr, key.len, "region=", 7);
        char hourly[100];
        snprintf(hourly, sizeof hourly, "consumption_data,consumer_type=total,%.*s", (int)(key.ptr + key.len - region), region);
        uint32_t series = af_intern_find(&hours.keys, af_slice_of(hourly));
        AF_CHECK(series != UINT32_MAX);
        double total = 0;
        size_t count = 0;
        for (size_t i = d / 4 * 96; i < hours.count && i < d / 4 * 96 + 96; i++) { /* the file is in order of time */
            int64_t offset = hours.samples[i].time_ns - days.samples[d].time_ns;
            if (hours.samples[i].series == series && offset >= 0 && offset < AF_NS_PER_DAY) {
                total += hours.samples[i].values[of_hour];
                count++;
            }
        }
        AF_CHECK_INT(count, 24);
        compared += fabs(total / 24 - days.samples[d].values[of_day]) < 1e-6;
    }
    AF_CHECK_INT(days.count, 366 * 4);
    AF_CHECK(compared >= 366 * 4 - 8); /* the two files are not of one vintage */
    drop(&hours);
    drop(&days);
}

AF_TEST(load_and_balance_agree)
{
    struct table load_table;
    struct table balance;
    if (!load(&load_table, "curva_carga_ho/vintage-2023-10/CURVA_CARGA_2023.csv") ||
        !load(&balance, "balanco_energia_subsistema_ho/BALANCO_ENERGIA_SUBSISTEMA_2023.csv"))
        return;
    size_t a = field(&load_table, "demand_mw");
    size_t b = field(&balance, "demand_mw");
    size_t at = 0;
    size_t equal = 0;
    uint32_t north = af_intern_find(&load_table.keys, AF_SLICE_LIT("consumption_data,consumer_type=total,region=N"));
    uint32_t other = af_intern_find(&balance.keys, AF_SLICE_LIT("energy_balance_data,region=N"));
    for (size_t i = 0; i < load_table.count; i++) {
        if (load_table.samples[i].series != north)
            continue;
        while (at < balance.count &&
               (balance.samples[at].series != other || balance.samples[at].time_ns < load_table.samples[i].time_ns))
            at++;
        AF_CHECK(at < balance.count);
        AF_CHECK(balance.samples[at].time_ns == load_table.samples[i].time_ns);
        equal += balance.samples[at].values[b] == load_table.samples[i].values[a];
    }
    AF_CHECK(equal * 100 > load_table.count / 4 * 95);
    drop(&load_table);
    drop(&balance);
}

AF_TEST(genuine_totals)
{
    struct table t;
    if (!load(&t, "cmo_tm/CMO_SEMIHORARIO_2020.csv"))
        return;
    size_t zeros = 0;
    size_t negatives = 0;
    size_t at = field(&t, "cmo");
    for (size_t i = 0; i < t.count; i++) {
        zeros += t.samples[i].values[at] == 0;
        negatives += t.samples[i].values[at] < 0;
    }
    AF_CHECK_INT(zeros, 6454);
    AF_CHECK_INT(negatives, 2);
    drop(&t);
    AF_CHECK(load(&t, "capacidade/CAPACIDADE_GERACAO.csv"));
    AF_CHECK(sum(&t, "capacity_mw") > 150000);
    drop(&t);
    AF_CHECK(load(&t, "restricao_coff/RESTRICAO_COFF_FOTOVOLTAICA_2026_01.csv"));
    size_t limited = field(&t, "limited_mw");
    size_t with_limit = 0;
    for (size_t i = 0; i < t.count; i++)
        with_limit += isnan(t.samples[i].values[limited]) ? 0 : 1;
    AF_CHECK_INT(with_limit, 13632 - 9153);
    drop(&t);
}
