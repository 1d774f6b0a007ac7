/* scaling_test.c - the table of docs/infra/scaling.md, row by row. */
#include "lambda/scaling.h"
#include "base/numbers.h"
#include "test/lib/test.h"
#include <math.h>
#include <stdio.h>

static const struct scaling_policy usual = {
    .class_min = 1, .class_max = 4, .tier_max = 1, .storage_max_gib = 2000, .cpu_up = 80, .cpu_down = 25, .memory_up = 85,
        .memory_down = 40,
    .disk_up = 75, .operations_up = 70, .write_ms_up = 1000, .cooldown_up_s = 1800, .cooldown_down_s = 86400, .price_medium = 0.12,
    .budget_month = 1000,
};

static struct scaling_facts ordinary(void)
{
    return (struct scaling_facts){ .is_available = true, .cpu = 50, .memory = 50, .disk = 40, .write_ms = 20, .operations = 100,
                                   .series = 1000,
                                   .cpu_peak = 70, .memory_peak = 70, .since_change_s = INT64_MAX, .since_storage_s = INT64_MAX };
}

static void know_nothing(struct scaling_facts *f)
{
    f->cpu = f->memory = f->disk = f->write_ms = f->operations = f->disk_a_day = f->series = f->cpu_peak = f->memory_peak = (double)NAN;
}

/* One word of the first column, and the number behind it where there is one. False: no such word. */
static bool see(struct scaling_facts *f, const char *word, double value)
{
    const struct {
        const char *name;
        double *to;
    } numbers[] = { { "cpu", &f->cpu }, { "memory", &f->memory }, { "disk", &f->disk }, { "operations", &f->operations }, { "write",
                                                                                                                            &f->write_ms },
                    { "gains", &f->disk_a_day }, { "series", &f->series }, { "peak-cpu", &f->cpu_peak }, { "peak-memory",
                                                                                                           &f->memory_peak } };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(word, numbers[i].name) == 0) {
            *numbers[i].to = value;
            return true;
        }
    if (strcmp(word, "changed") == 0)
        f->since_change_s = (int64_t)value * 60;
    else if (strcmp(word, "stored") == 0)
        f->since_storage_s = (int64_t)value * 60;
    else if (strcmp(word, "window") == 0)
        f->is_quiet = true;
    else if (strcmp(word, "busy") == 0)
        f->is_available = false;
    else if (strcmp(word, "unknown") == 0)
        know_nothing(f);
    else
        return false;
    return true;
}

static double number_of(const char *text)
{
    double value = NAN;
    AF_CHECK(af_f64_parse(af_slice_of(text), &value));
    return value;
}

static bool read_seen(struct scaling_facts *f, char *cell)
{
    char *rest = NULL;
    for (char *word = strtok_r(cell, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        bool has_number = strcmp(word, "window") != 0 && strcmp(word, "busy") != 0 && strcmp(word, "unknown") != 0;
        char *number = has_number ? strtok_r(NULL, " ", &rest) : NULL;
        if ((has_number && number == NULL) || !see(f, word, has_number ? number_of(number) : 0))
            return false;
    }
    return true;
}

static bool read_size(const char *cell, struct scaling_size *out)
{
    char class_name[32], tier[8], full[48];
    unsigned gib;
    if (sscanf(cell, " %31s %7s %u", class_name, tier, &gib) != 3)
        return false;
    (void)snprintf(full, sizeof full, "db.influx.%s", class_name);
    out->storage_gib = gib;
    return scaling_class_find(af_slice_of(full), &out->class_index) && scaling_tier_find(af_slice_of(tier), &out->tier);
}

static void run_row(char *cells[4], const char *row)
{
    struct scaling_facts facts = ordinary();
    struct scaling_size wanted;
    struct scaling_decision got;
    char said[32];
    AF_CHECK(read_size(cells[1], &facts.size) && read_size(cells[3], &wanted) && read_seen(&facts, cells[0]));
    scaling_decide(&usual, &facts, &got);
    (void)snprintf(said, sizeof said, " %s%s ", scaling_step_name(got.step), got.is_held ? " held" : "");
    if (strcmp(said, cells[2]) != 0 || got.to.class_index != wanted.class_index || got.to.tier != wanted.tier ||
        got.to.storage_gib != wanted.storage_gib)
        af_test_failed(__FILE__, __LINE__, "%s\n  got%s%s %s %u: %s", row, said, scaling_class_name(got.to.class_index),
                       scaling_tier_name(got.to.tier), got.to.storage_gib, got.why);
}

AF_TEST(the_table_of_the_documentation_is_what_is_decided)
{
    FILE *page = fopen("docs/infra/scaling.md", "r");
    char line[512], row[512];
    int rows = 0;
    AF_CHECK(page != NULL);
    while (fgets(line, sizeof line, page) != NULL) {
        char *cells[4], *rest = NULL;
        size_t count = 0;
        line[strcspn(line, "\n")] = '\0';
        memcpy(row, line, sizeof row);
        if (strncmp(line, "| ", 2) != 0 || strncmp(line, "| seen", 6) == 0)
            continue;
        for (char *cell = strtok_r(line + 1, "|", &rest); cell != NULL && count < 4; cell = strtok_r(NULL, "|", &rest))
            cells[count++] = cell;
        AF_CHECK(count == 4);
        run_row(cells, row);
        rows++;
    }
    (void)fclose(page);
    AF_CHECK(rows >= 41);
}

AF_TEST(names_of_classes_and_tiers_are_the_services)
{
    unsigned i;
    AF_CHECK(scaling_class_find(AF_SLICE_LIT("db.influx.24xlarge"), &i) && i == SCALING_CLASSES - 1);
    AF_CHECK(!scaling_class_find(AF_SLICE_LIT("db.influx.32xlarge"), &i) && !scaling_class_find(AF_SLICE_LIT(""), &i));
    AF_CHECK(scaling_tier_find(AF_SLICE_LIT("InfluxIOIncludedT3"), &i) && i == 2 && scaling_tier_find(AF_SLICE_LIT("T2"), &i) && i == 1);
    AF_CHECK(!scaling_tier_find(AF_SLICE_LIT("T4"), &i) && !scaling_tier_find(AF_SLICE_LIT("InfluxIOIncluded"), &i));
}
