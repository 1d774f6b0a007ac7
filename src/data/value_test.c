/* value_test.c - order of values and keys, cells of columns, tables made by hand. */
#include "data/value.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "data/table.h"
#include "test/lib/test.h"
#include <math.h>
#include <stdio.h>

static struct af_error err;

static struct af_value text(const char *s)
{
    return af_value_text(af_slice_of(s));
}

AF_TEST(values_are_ordered)
{
    /* Ascending; what has the same rank is equal. */
    struct {
        int rank;
        struct af_value value;
    } list[] = {
        { 0, af_value_none() },        { 1, af_value_bool(false) },      { 2, af_value_bool(true) },   { 3, af_value_i64(INT64_MIN) },
        { 4, af_value_i64(-1) },       { 5, af_value_i64(INT64_MAX) },   { 6, af_value_u64(1) },       { 7, af_value_u64(UINT64_MAX) },
        { 8, af_value_f64(-INFINITY) }, { 9, af_value_f64(-0.0) },       { 9, af_value_f64(0.0) },     { 10, af_value_f64(5e-324) },
        { 11, af_value_f64(INFINITY) }, { 12, af_value_f64(NAN) },       { 12, af_value_f64(-NAN) },   { 13, af_value_time(-5) },
        { 14, af_value_time(0) },      { 15, text("") },                 { 16, text("a") },            { 17, text("ab") },
        { 18, text("b") },             { 19, text("\xc3\xa9") },
    };
    size_t count = sizeof list / sizeof *list;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++) {
            int want = (list[i].rank > list[k].rank) - (list[i].rank < list[k].rank);
            int got = af_value_compare(&list[i].value, &list[k].value);
            AF_CHECK_INT((got > 0) - (got < 0), want);
            AF_CHECK_INT(af_value_eq(&list[i].value, &list[k].value), want == 0);
        }
}

AF_TEST(cells_of_columns)
{
    const uint64_t has[] = { 5 }, bits[] = { 4 };
    const int64_t i64[] = { 1, 2, -3 };
    const double f64[] = { 0.5, 0, -1 };
    const int32_t offsets[] = { 0, 1, 1, 3 };
    struct af_column col = { .type = AF_TYPE_I64, .validity = has, .null_count = 1, .i64 = i64 };
    AF_CHECK_INT(af_column_value(&col, 2).i64, -3);
    AF_CHECK_INT(af_column_value(&col, 1).type, AF_TYPE_NULL);
    col.type = AF_TYPE_TIME;
    AF_CHECK_INT(af_column_value(&col, 0).type, AF_TYPE_TIME);
    col = (struct af_column){ .type = AF_TYPE_F64, .f64 = f64 };
    AF_CHECK_F64(af_column_value(&col, 0).f64, 0.5);
    col = (struct af_column){ .type = AF_TYPE_BOOL, .bits = bits };
    AF_CHECK(!af_column_value(&col, 1).boolean && af_column_value(&col, 2).boolean);
    col = (struct af_column){ .type = AF_TYPE_STRING, .offsets = offsets, .bytes = "abc" };
    AF_CHECK_SLICE(af_column_value(&col, 2).text, "bc");
    col = (struct af_column){ .type = AF_TYPE_NULL };
    AF_CHECK_INT(af_column_value(&col, 0).type, AF_TYPE_NULL);
}

AF_TEST(keys)
{
    struct af_key_part a[] = { { af_slice_of(AF_KEY_MEASUREMENT), text("m") }, { af_slice_of("host"), text("a") } };
    struct af_key_part b[] = { { af_slice_of(AF_KEY_MEASUREMENT), text("m") }, { af_slice_of("host"), text("b") } };
    struct af_group_key x = { 2, a }, y = { 2, b }, shorter = { 1, a }, empty = { 0, NULL };
    AF_CHECK(af_group_key_compare(&x, &y) < 0 && af_group_key_compare(&y, &x) > 0);
    AF_CHECK(af_group_key_compare(&shorter, &x) < 0 && af_group_key_compare(&empty, &shorter) < 0);
    AF_CHECK_INT(af_group_key_compare(&x, &x), 0);
    AF_CHECK_SLICE(af_group_key_find(&y, af_slice_of("host"))->text, "b");
    AF_CHECK(af_group_key_find(&y, af_slice_of("hos")) == NULL);
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    const struct af_group_key *copy = af_group_key_copy(&x, &arena);
    AF_CHECK(copy != NULL && af_group_key_compare(copy, &x) == 0);
    AF_CHECK(copy->parts[1].value.text.ptr != a[1].value.text.ptr);
    AF_CHECK(af_group_key_copy(&empty, &arena) != NULL);
    af_arena_done(&arena);
}

/* --- tables made by hand ------------------------------------------------------------------------------------------------------------ */

static void print_value(char *out, size_t cap, const struct af_value *value)
{
    switch (value->type) {
    case AF_TYPE_NULL: (void)snprintf(out, cap, "-"); break;
    case AF_TYPE_BOOL: (void)snprintf(out, cap, "%d", value->boolean); break;
    case AF_TYPE_F64: (void)snprintf(out, cap, "%g", value->f64); break;
    case AF_TYPE_STRING: (void)snprintf(out, cap, AF_SLICE_FMT, AF_SLICE_ARG(value->text)); break;
    default: (void)snprintf(out, cap, "%lld", (long long)value->i64); break;
    }
}

/* m,k=v [a b] 1 2|3 4; */
static void print_tables(struct af_tables *tables, char *out, size_t cap)
{
    struct af_arena arena;
    const struct af_table *table;
    af_arena_init(&arena, 1 << 24);
    for (;;) {
        AF_CHECK_OK(af_tables_next(tables, &arena, &table, &err), err);
        if (table == NULL)
            break;
#define SAY(...) (void)snprintf(out + strlen(out), cap - strlen(out), __VA_ARGS__)
        for (size_t i = 0; i < table->key->count; i++)
            SAY(AF_SLICE_FMT "=" AF_SLICE_FMT " ", AF_SLICE_ARG(table->key->parts[i].name), AF_SLICE_ARG(table->key->parts[i].value.text));
        for (size_t i = 0; i < table->rows->schema->field_count; i++)
            SAY("[%s %s]", table->rows->schema->fields[i].name, af_type_name(table->rows->columns[i].type));
        for (size_t row = 0; row < table->rows->row_count; row++)
            for (size_t i = 0; i < table->rows->schema->field_count; i++) {
                char cell[100];
                struct af_value value = af_column_value(&table->rows->columns[i], row);
                print_value(cell, sizeof cell, &value);
                SAY("%s%s", i == 0 ? "|" : " ", cell);
            }
        SAY(";");
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    af_tables_close(tables);
}

AF_TEST(made_tables)
{
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    struct af_made *made = af_made_new(&arena);
    AF_CHECK_INT(af_made_rows(made), 0);
    af_made_begin(made, "databases", 1, (const char *[]){ "name" });
    af_made_begin(made, "stats", 4, (const char *[]){ "a", "b", "c", "d" });
    af_made_tag(made, "z", AF_SLICE_LIT("1"));
    af_made_tag(made, "b", AF_SLICE_LIT("2"));
    for (int i = 0; i < 30; i++) {
        char word[20];
        (void)snprintf(word, sizeof word, "w%d", i);
        af_made_cell(made, i % 2 == 0 ? text(word) : af_value_none());
        af_made_cell(made, af_value_i64(i));
        af_made_cell(made, i % 3 == 0 ? af_value_none() : af_value_bool(i % 3 == 1));
        af_made_cell(made, af_value_none());
    }
    AF_CHECK_INT(af_made_rows(made), 30);
    af_made_begin(made, NULL, 2, (const char *[]){ "f", "t" });
    af_made_cell(made, af_value_f64(0.5));
    af_made_cell(made, af_value_time(7));
    struct af_tables *tables;
    AF_CHECK_OK(af_made_finish(made, &tables, &err), err);
    char got[4000] = "";
    print_tables(tables, got, sizeof got);
    static const char start[] = "_measurement=databases [name null];_measurement=stats b=2 z=1 [a string][b i64][c bool][d null]"
                                "|w0 0 - -|- 1 1 -|w2 2 0 -|- 3 - -|w4 4 1 -|";
    AF_CHECK(strncmp(got, start, sizeof start - 1) == 0);
    static const char end[] = "|w28 28 1 -|- 29 0 -;[f f64][t time]|0.5 7;";
    AF_CHECK_STR(got + strlen(got) - (sizeof end - 1), end);
    af_arena_done(&arena);
}

AF_TEST(long_made_tables_come_in_pieces)
{
    struct af_arena arena, pulls;
    af_arena_init(&arena, 1 << 26);
    af_arena_init(&pulls, 1 << 26);
    struct af_made *made = af_made_new(&arena);
    af_made_begin(made, "m", 1, (const char *[]){ "n" });
    for (int64_t i = 0; i < 2 * AF_BATCH_ROWS + 5; i++)
        af_made_cell(made, af_value_i64(i));
    struct af_tables *tables;
    const struct af_table *table;
    AF_CHECK_OK(af_made_finish(made, &tables, &err), err);
    int64_t next = 0;
    size_t pieces = 0;
    for (;; pieces++) {
        AF_CHECK_OK(af_tables_next(tables, &pulls, &table, &err), err);
        if (table == NULL)
            break;
        AF_CHECK(table->rows->row_count > 0 && table->rows->row_count <= AF_BATCH_ROWS);
        for (size_t i = 0; i < table->rows->row_count; i++)
            AF_CHECK_INT(table->rows->columns[0].i64[i], next++);
    }
    AF_CHECK_INT(pieces, 3);
    AF_CHECK_INT(next, 2 * AF_BATCH_ROWS + 5);
    af_tables_close(tables);
    af_arena_done(&arena);
    af_arena_done(&pulls);
}

AF_TEST(mistakes_in_made_tables_are_remembered)
{
    for (int mistake = 0; mistake < 5; mistake++) {
        struct af_arena arena;
        struct af_tables *tables;
        af_arena_init(&arena, 1 << 20);
        struct af_made *made = af_made_new(&arena);
        if (mistake != 4)
            af_made_begin(made, "m", 2, (const char *[]){ "a", "b" });
        af_made_cell(made, af_value_i64(1));
        if (mistake == 0) {
            af_made_cell(made, af_value_i64(1));
            af_made_cell(made, af_value_f64(1));
        } else if (mistake == 1) {
            af_made_tag(made, "k", AF_SLICE_LIT("v"));
        } else if (mistake == 2) {
            af_made_begin(made, "n", 1, (const char *[]){ "a" });
        }
        af_made_cell(made, af_value_none()); /* changes nothing any more; for 3: */
        if (mistake == 3)
            af_made_cell(made, af_value_none());
        AF_CHECK_FAILS(af_made_finish(made, &tables, &err), AF_EBUG);
        AF_CHECK(err.message[0] != '\0');
        af_arena_done(&arena);
    }
}

AF_TEST(memory_for_made_tables_may_end)
{
    for (size_t bytes = 0;; bytes += 16) {
        struct af_arena arena;
        struct af_tables *tables;
        af_arena_init(&arena, bytes);
        struct af_made *made = af_made_new(&arena);
        if (made != NULL) {
            af_made_begin(made, "m", 2, (const char *[]){ "a", "b" });
            af_made_tag(made, "k", AF_SLICE_LIT("v"));
            for (int i = 0; i < 40; i++)
                af_made_cell(made, text("some text"));
        }
        enum af_status status = made == NULL ? AF_ELIMIT : af_made_finish(made, &tables, &err);
        af_arena_done(&arena);
        if (status == AF_OK)
            break;
        AF_CHECK(status == AF_ELIMIT || status == AF_ENOMEM);
        AF_CHECK(bytes < 1 << 16);
    }
}
