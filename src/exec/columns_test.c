/*
 * columns_test.c - columns grown, cut, picked and copied, of every type and with nulls at any place, against an array of values; and tables
 * gathered and taken group by group.
 */
#include "base/alloc.h"
#include "base/prng.h"
#include "exec/exec_fixture.h"

enum { ROWS_MAX = 300 };
static const enum af_type types[] = { AF_TYPE_BOOL, AF_TYPE_I64, AF_TYPE_U64, AF_TYPE_F64, AF_TYPE_TIME, AF_TYPE_STRING };

static struct af_value random_value(struct af_prng *prng, enum af_type type, bool nulls)
{
    static const char *const texts[] = { "", "a", "bc", "def" };
    uint64_t bits = af_prng_next(prng);
    if (nulls && bits % 4 == 0)
        return af_value_none();
    switch (type) {
    case AF_TYPE_BOOL: return af_value_bool((bits & 64) != 0);
    case AF_TYPE_STRING: return af_value_text(af_slice_of(texts[(bits >> 8) % 4]));
    case AF_TYPE_F64: return af_value_f64((double)(bits >> 40));
    default: return (struct af_value){ .type = type, .i64 = (int64_t)(bits >> 20) };
    }
}

static bool is_same(const struct af_value *a, const struct af_value *b)
{
    return a->type == b->type && af_value_compare(a, b) == 0;
}

/* All rows of the column, its count of nulls, and bits past the end: 0. */
static void check(const struct af_column *column, enum af_type type, const struct af_value *want, size_t rows)
{
    size_t nulls = 0;
    AF_CHECK_INT(column->type, type);
    for (size_t i = 0; i < rows; i++) {
        struct af_value got = af_column_value(column, i);
        AF_CHECK(is_same(&got, &want[i]));
        nulls += want[i].type == AF_TYPE_NULL;
    }
    AF_CHECK_INT(column->null_count, nulls);
    AF_CHECK((nulls == 0) == (column->validity == NULL));
    if (rows % 64 != 0 && column->validity != NULL)
        AF_CHECK_INT(column->validity[rows / 64] >> (rows % 64), 0);
    if (rows % 64 != 0 && type == AF_TYPE_BOOL)
        AF_CHECK_INT(column->bits[rows / 64] >> (rows % 64), 0);
}

/* The same text as codes into a dictionary. */
static void as_dict(const struct af_value *values, size_t rows, struct af_arena *arena, struct af_column *out, struct af_error *err)
{
    static const int32_t offsets[] = { 0, 0, 1, 3, 6 };
    uint32_t *codes = af_arena_zero(arena, rows + 1, sizeof *codes);
    uint64_t *validity = af_bits_new(arena, rows, true);
    *out = (struct af_column){ .type = AF_TYPE_STRING, .codes = codes };
    for (size_t i = 0; i < rows; i++) {
        codes[i] = values[i].type != AF_TYPE_NULL ? (uint32_t)values[i].text.len : 0;
        if (values[i].type == AF_TYPE_NULL) {
            af_bit_clear(validity, i);
            out->validity = validity;
            out->null_count++;
        }
    }
    AF_CHECK_OK(af_dict_new(offsets, "abcdef", 4, &out->dict, err), *err);
    AF_CHECK_OK(af_dict_hold(out->dict, arena, err), *err);
    af_dict_unref(out->dict);
}

struct made {
    struct af_arena arena;
    struct af_error err;
    enum af_type type;
    size_t rows;
    struct af_value values[ROWS_MAX];
    struct af_column column;
};

static void make(struct made *made, struct af_prng *prng)
{
    made->type = types[af_prng_below(prng, 6)];
    made->rows = (size_t)af_prng_below(prng, ROWS_MAX);
    bool nulls = af_prng_below(prng, 2) == 0;
    struct grower grower;
    grower_init(&grower, made->type, &made->arena);
    for (size_t i = 0; i < made->rows; i++) {
        made->values[i] = random_value(prng, made->type, nulls);
        AF_CHECK_OK(grower_value(&grower, &made->values[i], &made->err), made->err);
    }
    grower_column(&grower, &made->column);
    check(&made->column, made->type, made->values, made->rows);
    if (made->type == AF_TYPE_STRING && af_prng_below(prng, 2) == 0)
        as_dict(made->values, made->rows, &made->arena, &made->column, &made->err);
}

static void check_slice(struct made *made, struct af_prng *prng)
{
    size_t first = (size_t)af_prng_below(prng, made->rows + 1);
    size_t count = (size_t)af_prng_below(prng, made->rows - first + 1);
    struct af_column slice, copy;
    AF_CHECK_OK(columns_slice(&made->column, first, count, &made->arena, &slice, &made->err), made->err);
    check(&slice, made->type, made->values + first, count);
    AF_CHECK_OK(columns_copy(&slice, count, &made->arena, &copy, &made->err), made->err);
    check(&copy, made->type, made->values + first, count);
}

static void check_gather(struct made *made, struct af_prng *prng)
{
    uint32_t rows[ROWS_MAX];
    struct af_value want[ROWS_MAX];
    struct af_column out;
    size_t count = made->rows != 0 ? (size_t)af_prng_below(prng, ROWS_MAX) : 0;
    bool gaps = af_prng_below(prng, 2) == 0;
    for (size_t i = 0; i < count; i++) {
        rows[i] = gaps && af_prng_below(prng, 3) == 0 ? UINT32_MAX : (uint32_t)af_prng_below(prng, made->rows);
        want[i] = rows[i] != UINT32_MAX ? made->values[rows[i]] : af_value_none();
    }
    AF_CHECK_OK(columns_gather(&made->column, rows, count, &made->arena, &out, &made->err), made->err);
    check(&out, made->type, want, count);
}

/* Runs of the column behind each other, cut anywhere, and rows of no type at all. */
static void check_grown_in_runs(struct made *made, struct af_prng *prng)
{
    struct af_value want[2 * ROWS_MAX];
    struct grower grower;
    struct af_column out;
    const struct af_column nothing = { .type = AF_TYPE_NULL };
    size_t count = 0;
    grower_init(&grower, made->type, &made->arena);
    for (int i = 0; i < 4 && made->rows > 0; i++) {
        size_t first = (size_t)af_prng_below(prng, made->rows);
        size_t n = (size_t)af_prng_below(prng, made->rows - first < 100 ? made->rows - first + 1 : 100);
        AF_CHECK_OK(grower_rows(&grower, &made->column, first, n, &made->err), made->err);
        memcpy(want + count, made->values + first, n * sizeof *want);
        count += n;
        n = (size_t)af_prng_below(prng, 8) / 6;
        AF_CHECK_OK(grower_rows(&grower, &nothing, 0, n, &made->err), made->err);
        for (; n > 0; n--)
            want[count++] = af_value_none();
    }
    grower_column(&grower, &out);
    check(&out, made->type, want, count);
    grower_clear(&grower);
    AF_CHECK_OK(grower_rows(&grower, &made->column, 0, made->rows, &made->err), made->err);
    grower_column(&grower, &out);
    check(&out, made->type, made->values, made->rows);
}

static void check_present(struct made *made)
{
    uint32_t *rows;
    size_t count, want = 0;
    AF_CHECK_OK(rows_present(&made->column, 1, made->rows, &made->arena, &rows, &count, &made->err), made->err);
    for (size_t i = 0; i < made->rows; i++) {
        if (made->values[i].type == AF_TYPE_NULL)
            continue;
        AF_CHECK(rows == NULL || rows[want] == i);
        want++;
    }
    AF_CHECK_INT(count, want);
    AF_CHECK((rows == NULL) == (count == made->rows));
}

AF_TEST(columns_cut_picked_and_grown)
{
    static struct made made;
    struct af_prng prng = { 3 };
    for (int i = 0; i < 2000; i++) {
        af_arena_init(&made.arena, SIZE_MAX);
        make(&made, &prng);
        check_slice(&made, &prng);
        check_gather(&made, &prng);
        check_grown_in_runs(&made, &prng);
        check_present(&made);
        af_arena_done(&made.arena);
    }
}

AF_TEST(columns_of_one_value)
{
    struct af_arena arena;
    struct af_error err;
    struct af_prng prng = { 5 };
    af_arena_init(&arena, SIZE_MAX);
    for (int i = 0; i < 200; i++) {
        struct af_value want[130];
        struct af_column out;
        enum af_type type = types[af_prng_below(&prng, 6)];
        size_t count = (size_t)af_prng_below(&prng, 130);
        struct af_value value = random_value(&prng, type, i % 2 == 0);
        for (size_t k = 0; k < count; k++)
            want[k] = value;
        AF_CHECK_OK(columns_constant(type, &value, count, &arena, &out, &err), err);
        if (count > 0)
            check(&out, type, want, count);
    }
    struct af_value text = af_value_text(AF_SLICE_LIT("x"));
    struct af_column out;
    AF_CHECK_FAILS(columns_constant(AF_TYPE_I64, &text, 3, &arena, &out, &err), AF_EBUG);
    struct grower grower;
    grower_init(&grower, AF_TYPE_F64, &arena);
    AF_CHECK_FAILS(grower_value(&grower, &text, &err), AF_EBUG);
    AF_CHECK_INT(grower.count, 0);
    af_arena_done(&arena);
}

/* --- memory ------------------------------------------------------------------------------------------------------------------- */

AF_TEST(memory_is_charged_and_given_back)
{
    struct exec exec = { .options.limits.bytes_max = 100000 };
    struct af_error err;
    struct mem a, b, never = { .exec = NULL };
    mem_init(&a, &exec);
    mem_init(&b, &exec);
    AF_CHECK(af_arena_alloc(&a.arena, 60000) != NULL);
    AF_CHECK_OK(mem_charge(&a, &err), err);
    AF_CHECK_INT(exec.bytes, 60000);
    AF_CHECK(af_arena_alloc(&b.arena, 50000) != NULL);
    AF_CHECK_FAILS(mem_charge(&b, &err), AF_ELIMIT);
    AF_CHECK(strstr(err.message, "more than 100000 bytes") != NULL);
    AF_CHECK_INT(exec.bytes_peak, 110000);
    mem_reset(&b);
    AF_CHECK_INT(exec.bytes, 60000);
    AF_CHECK(af_arena_alloc(&b.arena, 30000) != NULL);
    AF_CHECK_OK(mem_charge(&b, &err), err);
    AF_CHECK(af_arena_alloc(&b.arena, 80000) == NULL);
    AF_CHECK_INT(mem_fail(&b, 80000, &err), AF_ELIMIT);
    AF_CHECK_INT(mem_fail(&b, 10, &err), AF_ENOMEM);
    mem_done(&a);
    mem_done(&b);
    mem_done(&never);
    AF_CHECK_INT(exec.bytes, 0);
}

/* --- tables ------------------------------------------------------------------------------------------------------------------- */

/* The groups of a scan, gathered; and those behind them if only some rows of each are looked at. */
AF_TEST(groups_are_taken_one_by_one)
{
    struct fix f;
    fix_begin(&f, "m,h=a v=1,s=\"x\" 1\nm,h=a v=2 2\nm,h=b v=3,s=\"y\" 3\nm,h=c v=4 4\nm,h=c s=\"z\" 5\n");
    const struct af_node *node = fix_scan(&f, "m", "v:f s:s", "h", "h");
    fix_prepare(&f, node);
    for (int skips = 0; skips < 2; skips++) {
        struct exec exec = { .options = f.options, .slice_rows = 1000 };
        exec.options.limits.bytes_max = 1 << 24;
        exec.options.stats = NULL;
        af_arena_init(&exec.arena, SIZE_MAX);
        struct op *no_inputs[1], *op = NULL;
        struct groups groups;
        struct gathered gathered;
        const struct af_group_key *key = NULL;
        const struct af_table *table = NULL;
        af_buf_clear(&f.text);
        AF_CHECK_OK(open_scan(&exec, node, no_inputs, &op, &f.err), f.err);
        groups_init(&groups, &exec, op);
        AF_CHECK_OK(gathered_init(&gathered, &exec, &node->schema, &f.err), f.err);
        for (;;) {
            AF_CHECK_OK(groups_begin(&groups, &key, &f.err), f.err);
            if (key == NULL)
                break;
            fix_print_key(&f.text, key);
            while (!skips) {
                AF_CHECK_OK(groups_next(&groups, &table, &f.err), f.err);
                if (table == NULL)
                    break;
                AF_CHECK_OK(gathered_add(&gathered, table, &f.err), f.err);
            }
            if (skips)
                continue;
            struct af_arena arena;
            af_arena_init(&arena, SIZE_MAX);
            AF_CHECK_OK(gathered_table(&gathered, op, gathered.rows - 1, 1, &arena, &table, &f.err), f.err);
            gathered_clear(&gathered);
            fix_print_table(&f.text, table);
            af_arena_done(&arena);
        }
        AF_CHECK_STR(af_buf_cstr(&f.text), skips ? "m h=a |m h=b |m h=c |"
                                                 : "m h=a |m h=a | 2 2 null \"a\"\nm h=b |m h=b | 3 3 \"y\" \"b\"\n"
                                                   "m h=c |m h=c | 5 null \"z\" \"c\"\n");
        groups_done(&groups);
        gathered_done(&gathered);
        op_close(op);
        AF_CHECK_INT(exec.bytes, 0);
        af_arena_done(&exec.arena);
    }
    fix_end(&f);
}
