/*
 * map_bench.c - rows a second through a mapping, against a plain reference: reading the same columns row by row and comparing
 * each tag's bytes with the row before (no keys, no points), which any mapper must at least do.
 *
 *     generation   the platform's schema: five dictionary tags, a double, a dictionary unit
 *     load         ONS hourly load as text: code, local time and number parsed per row
 */
#include "map/map_fixture.h"
#include <time.h>

enum { ROWS = AF_BATCH_ROWS, BATCHES = 400 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void generation_rows(struct af_buf *out)
{
    static const char *const regions[] = { "southeast", "northeast", "south", "north" };
    static const char *const sources[] = { "hydro", "thermal", "wind", "solar", "nuclear" };
    af_buf_append_str(out, "timestamp:wall;region:dict;energy_source:dict;measurement_type:dict;value:f64;unit:dict;"
                           "quality_flag:dict;plant_name:dict\n");
    for (int i = 0; i < ROWS; i++)
        af_buf_printf(out, "2024-01-01 %02d:%02d:00;%s;%s;power;%d.25;MW;%s;Plant %d\n", i / 2000 % 24, i / 100 % 60,
                      regions[i % 4], sources[i % 5], i % 9000, i % 100 ? "good" : "estimated", i % 60);
}

static void load_rows(struct af_buf *out)
{
    static const char *const regions[] = { "N", "NE", "S", "SE" };
    af_buf_append_str(out, "id_subsistema;nom_subsistema;din_instante;val_cargaenergiahomwmed\n");
    for (int i = 0; i < ROWS; i++)
        af_buf_printf(out, "%s;X;2018-%02d-%02d %02d:00:00;%d.%06d00\n", regions[i % 4], i / 2700 % 12 + 1, i / 96 % 28 + 1,
                      i / 4 % 24, 4000 + i % 5000, i * 7 % 1000000);
}

/* What is compared: for each row, is each text the one of the row before? */
static size_t reference(const struct af_batch *batch)
{
    size_t changes = 0;
    for (size_t row = 1; row < batch->row_count; row++) {
        for (size_t i = 0; i < batch->schema->field_count; i++) {
            const struct af_column *col = &batch->columns[i];
            if (af_type_is_text(col->type))
                changes += !af_slice_eq(af_column_text(col, row), af_column_text(col, row - 1));
            else
                changes += col->u64[row] != col->u64[row - 1];
        }
    }
    return changes;
}

static void bench(const char *name, const char *builtin, void (*make)(struct af_buf *out))
{
    struct fixture f;
    struct af_error err;
    struct af_buf rows;
    struct af_arena out;
    fixture_init(&f);
    af_buf_init(&rows, 64 << 20);
    af_arena_init(&out, 256 << 20);
    make(&rows);
    fixture_batch(&f.arena, af_buf_cstr(&rows), "text", &f.batch);
    if (af_map_builtin(builtin, &f.map, &err) != AF_OK || af_mapper_new(f.map, f.batch.schema, "", &f.mapper, &err) != AF_OK) {
        printf("%s: %s\n", name, err.message);
        return;
    }
    double best = 1e9;
    double best_reference = 1e9;
    size_t changes = 0;
    for (int round = 0; round < 5; round++) {
        double start = now();
        for (int i = 0; i < BATCHES / 5; i++) {
            if (af_mapper_apply(f.mapper, &f.batch, &out, &f.points, &f.rejects, &f.empty, &err) != AF_OK)
                printf("%s: %s\n", name, err.message);
            af_arena_reset(&out);
        }
        double middle = now();
        for (int i = 0; i < BATCHES / 5; i++)
            changes += reference(&f.batch);
        double end = now();
        best = middle - start < best ? middle - start : best;
        best_reference = end - middle < best_reference ? end - middle : best_reference;
    }
    double count = (double)ROWS * (BATCHES / 5);
    printf("%-12s %7.1f M rows/s   reference %7.1f   ratio %.2f   (%u series, %zu empty, %zu rejects, %zu)\n", name,
           count / best / 1e6, count / best_reference / 1e6, best_reference / best,
           f.mapper->set.keys.count, f.empty, f.rejects.count, changes % 10);
    af_arena_done(&out);
    af_buf_done(&rows);
    fixture_done(&f);
}

int main(void)
{
    bench("generation", "generation", generation_rows);
    bench("load", "ons-curva-carga", load_rows);
    return 0;
}
