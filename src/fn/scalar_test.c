/* scalar_test.c - scalars against values worked out by hand; constants against columns; nulls. */
#include "base/regex.h"
#include "fn/fn_fixture.h"

static struct af_arena arena;
static struct af_error err;

static void begin(void)
{
    af_arena_init(&arena, SIZE_MAX);
    err = (struct af_error){ 0 };
}

static struct af_vector column_of(struct af_column column)
{
    return (struct af_vector){ column, false };
}

static struct af_vector constant_of(struct af_column column)
{
    return (struct af_vector){ column, true };
}

static struct af_column eval(enum af_fn id, struct af_vector a, struct af_vector b, size_t rows)
{
    struct af_vector args[] = { a, b }, out;
    AF_CHECK_OK(af_fn_eval(id, args, af_fn_get(id)->args_min, NULL, rows, &arena, &out, &err), err);
    AF_CHECK(out.is_constant == (a.is_constant && (af_fn_get(id)->args_min == 1 || b.is_constant)));
    return out.column;
}

static double one_f64(enum af_fn id, double a, double b)
{
    struct af_column out = eval(id, constant_of(fix_f64(&a)), constant_of(fix_f64(&b)), 5);
    AF_CHECK_INT(out.type, AF_TYPE_F64);
    return out.f64[0];
}

static int64_t one_i64(enum af_fn id, int64_t a, int64_t b)
{
    struct af_column out = eval(id, constant_of(fix_i64(&a)), constant_of(fix_i64(&b)), 5);
    AF_CHECK_INT(out.type, AF_TYPE_I64);
    return out.i64[0];
}

AF_TEST(fn_arithmetic_of_integers_wraps_and_never_traps)
{
    begin();
    AF_CHECK_INT(one_i64(AF_FN_ADD, 2, 3), 5);
    AF_CHECK_INT(one_i64(AF_FN_ADD, INT64_MAX, 1), INT64_MIN);
    AF_CHECK_INT(one_i64(AF_FN_SUBTRACT, INT64_MIN, 1), INT64_MAX);
    AF_CHECK_INT(one_i64(AF_FN_MULTIPLY, INT64_MAX, 2), -2);
    AF_CHECK_INT(one_i64(AF_FN_DIVIDE_INTEGER, -7, 2), -3);
    AF_CHECK_INT(one_i64(AF_FN_DIVIDE_INTEGER, 7, 0), 0);
    AF_CHECK_INT(one_i64(AF_FN_DIVIDE_INTEGER, INT64_MIN, -1), INT64_MIN);
    AF_CHECK_INT(one_i64(AF_FN_MODULO, -7, 3), -1);
    AF_CHECK_INT(one_i64(AF_FN_MODULO, 7, 0), 0);
    AF_CHECK_INT(one_i64(AF_FN_MODULO, INT64_MIN, -1), 0);
    AF_CHECK_INT(one_i64(AF_FN_BIT_AND, 12, 10), 8);
    AF_CHECK_INT(one_i64(AF_FN_BIT_OR, 12, 10), 14);
    AF_CHECK_INT(one_i64(AF_FN_BIT_XOR, 12, 10), 6);
    AF_CHECK_INT(one_i64(AF_FN_NEGATE, INT64_MIN, 0), INT64_MIN);
    AF_CHECK_INT(one_i64(AF_FN_ABS, -5, 0), 5);
    AF_CHECK_INT(one_i64(AF_FN_ROUND, -5, 0), -5);
    af_arena_done(&arena);
}

AF_TEST(fn_arithmetic_of_floats)
{
    begin();
    AF_CHECK_F64(one_f64(AF_FN_DIVIDE, 1, 4), 0.25);
    AF_CHECK_F64(one_f64(AF_FN_DIVIDE, 1, 0), 0);
    AF_CHECK_F64(one_f64(AF_FN_DIVIDE, 0, -0.0), 0);
    AF_CHECK_F64(one_f64(AF_FN_MODULO, -7.5, 2), -1.5);
    AF_CHECK(isnan(one_f64(AF_FN_MODULO, 1, 0)));
    AF_CHECK_F64(one_f64(AF_FN_NEGATE, 0, 0), -0.0);
    AF_CHECK_F64(one_f64(AF_FN_ROUND, 2.5, 0), 3);
    AF_CHECK_F64(one_f64(AF_FN_ROUND, -2.5, 0), -3);
    AF_CHECK_F64(one_f64(AF_FN_ROUND, 0.49999999999999994, 0), 0);
    AF_CHECK_F64(one_f64(AF_FN_CEIL, -1.5, 0), -1);
    AF_CHECK_F64(one_f64(AF_FN_FLOOR, -1.5, 0), -2);
    AF_CHECK_F64(one_f64(AF_FN_SQRT, 2, 0), sqrt(2));
    AF_CHECK_F64(one_f64(AF_FN_POW, 2, 10), 1024);
    AF_CHECK_F64(one_f64(AF_FN_LOG, 8, 2), 0x1.8p+1);
    AF_CHECK_F64(one_f64(AF_FN_ATAN2, 1, 1), 0x1.921fb54442d18p-1);
    af_arena_done(&arena);
}

AF_TEST(fn_arithmetic_of_mixed_types)
{
    begin();
    const int64_t minus[] = { -1, 7 };
    const uint64_t unsigned_two[] = { 2, 2 };
    const double half[] = { 0.5, 0.5 };
    struct af_column out = eval(AF_FN_ADD, column_of(fix_i64(minus)), column_of(fix_u64(unsigned_two)), 2);
    AF_CHECK_INT(out.type, AF_TYPE_U64);
    AF_CHECK_INT(out.u64[0], 1);
    out = eval(AF_FN_DIVIDE_INTEGER, column_of(fix_i64(minus)), column_of(fix_u64(unsigned_two)), 2);
    AF_CHECK(out.type == AF_TYPE_U64 && out.u64[0] == UINT64_MAX / 2 && out.u64[1] == 3);
    out = eval(AF_FN_MULTIPLY, column_of(fix_u64(unsigned_two)), column_of(fix_f64(half)), 2);
    AF_CHECK(out.type == AF_TYPE_F64 && out.f64[0] == 1);
    out = eval(AF_FN_DIVIDE, column_of(fix_i64(minus)), column_of(fix_i64(minus + 1)), 1);
    AF_CHECK_F64(out.f64[0], -1.0 / 7.0);
    out = eval(AF_FN_DIVIDE_INTEGER, column_of(fix_u64(unsigned_two)), column_of(fix_u64(unsigned_two)), 2);
    AF_CHECK(out.type == AF_TYPE_U64 && out.u64[0] == 1);
    af_arena_done(&arena);
}

static bool compare_mixed(enum af_fn id, int64_t a, uint64_t b)
{
    struct af_column out = eval(id, constant_of(fix_i64(&a)), constant_of(fix_u64(&b)), 1);
    return out.validity == NULL && af_bit_get(out.bits, 0);
}

AF_TEST(fn_comparison_of_signed_with_unsigned)
{
    begin();
    AF_CHECK(compare_mixed(AF_FN_LESS, -1, 0) && compare_mixed(AF_FN_LESS_EQUAL, -1, 0));
    AF_CHECK(!compare_mixed(AF_FN_GREATER, -1, 0) && !compare_mixed(AF_FN_GREATER_EQUAL, -1, 0));
    AF_CHECK(compare_mixed(AF_FN_EQUAL, -1, UINT64_MAX) && !compare_mixed(AF_FN_NOT_EQUAL, -1, UINT64_MAX));
    AF_CHECK(compare_mixed(AF_FN_GREATER, 3, 2) && compare_mixed(AF_FN_GREATER_EQUAL, 2, 2) && !compare_mixed(AF_FN_LESS, 2, 2));
    const uint64_t two = 2;
    const int64_t minus = -1;
    AF_CHECK(af_bit_get(eval(AF_FN_GREATER, constant_of(fix_u64(&two)), constant_of(fix_i64(&minus)), 1).bits, 0));
    AF_CHECK(!af_bit_get(eval(AF_FN_LESS, constant_of(fix_u64(&two)), constant_of(fix_i64(&minus)), 1).bits, 0));
    af_arena_done(&arena);
}

/* What a comparison of two numbers should be, worked out alone. */
static bool relation_holds(enum af_fn id, double a, double b)
{
    switch (id) {
    case AF_FN_EQUAL: return a == b;
    case AF_FN_NOT_EQUAL: return a != b;
    case AF_FN_LESS: return a < b;
    case AF_FN_LESS_EQUAL: return a <= b;
    case AF_FN_GREATER: return a > b;
    default: return a >= b;
    }
}

/* Every pair of forms (column, constant) and lengths around words; with nulls and NaN. */
AF_TEST(fn_comparison_forms_agree)
{
    struct af_prng prng = { 1 };
    for (int round = 0; round < 60; round++) {
        begin();
        size_t rows = 1 + (size_t)af_prng_below(&prng, 200);
        double a[200], b[200];
        uint64_t valid_a[4] = { 0 }, valid_b[4] = { 0 };
        for (size_t i = 0; i < rows; i++) {
            a[i] = af_prng_below(&prng, 20) == 0 ? NAN : (double)af_prng_below(&prng, 4);
            b[i] = (double)af_prng_below(&prng, 4);
            if (af_prng_below(&prng, 5) != 0)
                af_bit_set(valid_a, i);
            if (af_prng_below(&prng, 5) != 0)
                af_bit_set(valid_b, i);
        }
        struct af_column left = fix_nulls(fix_f64(a), valid_a, rows), right = fix_nulls(fix_f64(b), valid_b, rows);
        for (enum af_fn id = AF_FN_EQUAL; id <= AF_FN_GREATER_EQUAL; id++) {
            struct af_column out = eval(id, column_of(left), column_of(right), rows);
            struct af_column with_one = eval(id, column_of(left), constant_of(fix_f64(b)), rows);
            struct af_column one_with = eval(id, constant_of(fix_f64(a)), column_of(right), rows);
            for (size_t i = 0; i < rows; i++) {
                bool both = af_bit_get(valid_a, i) && af_bit_get(valid_b, i);
                AF_CHECK(af_column_has(&out, i) == both);
                AF_CHECK(!both || af_bit_get(out.bits, i) == relation_holds(id, a[i], b[i]));
                AF_CHECK(!af_bit_get(valid_a, i) || af_bit_get(with_one.bits, i) == relation_holds(id, a[i], b[0]));
                AF_CHECK(!af_bit_get(valid_b, i) || af_bit_get(one_with.bits, i) == relation_holds(id, a[0], b[i]));
            }
            AF_CHECK(rows % 64 == 0 || out.bits[rows / 64] >> rows % 64 == 0);
        }
        af_arena_done(&arena);
    }
}

AF_TEST(fn_arithmetic_forms_agree)
{
    struct af_prng prng = { 2 };
    const enum af_fn ids[] = { AF_FN_ADD, AF_FN_SUBTRACT, AF_FN_MULTIPLY, AF_FN_DIVIDE_INTEGER, AF_FN_MODULO, AF_FN_BIT_AND,
        AF_FN_BIT_XOR };
    for (size_t k = 0; k < COUNT_OF(ids); k++) {
        begin();
        int64_t a[100], b[100], same_a[100], same_b[100];
        for (size_t i = 0; i < 100; i++) {
            a[i] = (int64_t)af_prng_below(&prng, 100) - 50;
            b[i] = (int64_t)af_prng_below(&prng, 9) - 4;
            same_a[i] = a[0];
            same_b[i] = b[0];
        }
        struct af_column both = eval(ids[k], column_of(fix_i64(a)), column_of(fix_i64(same_b)), 100);
        struct af_column one = eval(ids[k], column_of(fix_i64(a)), constant_of(fix_i64(b)), 100);
        AF_CHECK(memcmp(both.i64, one.i64, 800) == 0);
        both = eval(ids[k], column_of(fix_i64(same_a)), column_of(fix_i64(b)), 100);
        one = eval(ids[k], constant_of(fix_i64(a)), column_of(fix_i64(b)), 100);
        AF_CHECK(memcmp(both.i64, one.i64, 800) == 0);
        af_arena_done(&arena);
    }
}

AF_TEST(fn_nulls_make_null)
{
    begin();
    const double a[] = { 1, 2, 3 };
    const uint64_t second[] = { 2 }, none[] = { 0 };
    struct af_column out = eval(AF_FN_ADD, column_of(fix_nulls(fix_f64(a), second, 3)), constant_of(fix_f64(a)), 3);
    AF_CHECK_INT(out.null_count, 2);
    AF_CHECK(!af_column_has(&out, 0) && af_column_has(&out, 1) && out.f64[1] == 3);
    out = eval(AF_FN_ADD, column_of(fix_f64(a)), constant_of(fix_nulls(fix_f64(a), none, 1)), 3);
    AF_CHECK_INT(out.null_count, 3);
    out = eval(AF_FN_ADD, column_of(fix_f64(a)), column_of((struct af_column){ .type = AF_TYPE_NULL }), 3);
    AF_CHECK(out.type == AF_TYPE_F64 && out.null_count == 3);
    out = eval(AF_FN_EQUAL, column_of(fix_f64(a)), constant_of(fix_bools(second)), 3);
    AF_CHECK(out.type == AF_TYPE_BOOL && out.null_count == 3);
    const char *texts[] = { "x", NULL, "y" };
    struct af_column names = fix_texts(&arena, 3, texts);
    out = eval(AF_FN_IS_NULL, column_of(names), column_of(names), 3);
    AF_CHECK(out.null_count == 0 && out.bits[0] == 2);
    out = eval(AF_FN_TO_FLOAT, column_of(names), column_of(names), 3);
    AF_CHECK(out.type == AF_TYPE_F64 && out.null_count == 3);
    af_arena_done(&arena);
}

/* False, true, null against each other, by the table. */
AF_TEST(fn_logic_of_three_values)
{
    begin();
    /* rows: FF FT FN TF TT TN NF NT NN */
    const uint64_t a[] = { 0x38 }, valid_a[] = { 0x3f }, b[] = { 0x92 }, valid_b[] = { 0xdb };
    struct af_vector left = column_of(fix_nulls(fix_bools(a), valid_a, 9)), right = column_of(fix_nulls(fix_bools(b), valid_b, 9));
    struct af_column out = eval(AF_FN_AND, left, right, 9);
    AF_CHECK_INT(out.bits[0], 0x10);
    AF_CHECK_INT(out.validity[0], 0x5f); /* all but TN, NT, NN */
    out = eval(AF_FN_OR, left, right, 9);
    AF_CHECK_INT(out.bits[0] & out.validity[0], 0xba);
    AF_CHECK_INT(out.validity[0], 0xbb); /* all but FN, NF, NN */
    out = eval(AF_FN_NOT, left, left, 9);
    AF_CHECK_INT(out.bits[0] & out.validity[0], 0x07);
    AF_CHECK_INT(out.null_count, 3);
    out = eval(AF_FN_OR, left, column_of((struct af_column){ .type = AF_TYPE_NULL }), 9);
    AF_CHECK_INT(out.validity[0], 0x38);
    const uint64_t yes[] = { 1 };
    out = eval(AF_FN_AND, constant_of(fix_bools(yes)), right, 9);
    AF_CHECK_INT(out.bits[0], 0x92);
    af_arena_done(&arena);
}

AF_TEST(fn_coalesce_takes_the_first_value)
{
    begin();
    const char *a[] = { "a", NULL, NULL }, *b[] = { "b", "b", NULL };
    struct af_vector args[] = { column_of(fix_dict(&arena, 3, a)), column_of(fix_texts(&arena, 3, b)) }, out;
    AF_CHECK_OK(af_fn_eval(AF_FN_COALESCE, args, 2, NULL, 3, &arena, &out, &err), err);
    AF_CHECK_SLICE(af_column_text(&out.column, 0), "a");
    AF_CHECK_SLICE(af_column_text(&out.column, 1), "b");
    AF_CHECK(!af_column_has(&out.column, 2) && out.column.null_count == 1);
    args[1] = constant_of((struct af_column){ .type = AF_TYPE_NULL });
    AF_CHECK_OK(af_fn_eval(AF_FN_COALESCE, args, 2, NULL, 3, &arena, &out, &err), err);
    AF_CHECK(out.column.dict == args[0].column.dict && out.column.null_count == 2);
    const int64_t five = 5, rows[] = { 1, 2, 3 };
    const uint64_t valid[] = { 4 };
    struct af_vector numbers[] = { column_of(fix_nulls(fix_i64(rows), valid, 3)), constant_of(fix_i64(&five)) };
    AF_CHECK_OK(af_fn_eval(AF_FN_COALESCE, numbers, 2, NULL, 3, &arena, &out, &err), err);
    AF_CHECK(out.column.i64[0] == 5 && out.column.i64[2] == 3 && out.column.validity == NULL);
    const double half = 0.5;
    numbers[1] = constant_of(fix_f64(&half));
    AF_CHECK_FAILS(af_fn_eval(AF_FN_COALESCE, numbers, 2, NULL, 3, &arena, &out, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, "\"coalesce\" takes values of one type, not integer and float");
    af_arena_done(&arena);
}

AF_TEST(fn_casts)
{
    begin();
    const double floats[] = { -1.9, 1e30, NAN, 9.3e18 };
    struct af_vector in = column_of(fix_f64(floats));
    struct af_column out = eval(AF_FN_TO_INTEGER, in, in, 4);
    AF_CHECK(out.i64[0] == -1 && out.i64[1] == INT64_MIN && out.i64[2] == INT64_MIN);
    out = eval(AF_FN_TO_UNSIGNED, in, in, 4);
    AF_CHECK(out.u64[0] == UINT64_MAX && out.u64[1] == UINT64_C(1) << 63 && out.u64[3] == UINT64_C(9300000000000000000));
    const uint64_t bits[] = { 2 }, large[] = { UINT64_MAX, 0 };
    out = eval(AF_FN_TO_INTEGER, column_of(fix_bools(bits)), in, 2);
    AF_CHECK(out.i64[0] == 0 && out.i64[1] == 1);
    out = eval(AF_FN_TO_FLOAT, column_of(fix_u64(large)), in, 2);
    AF_CHECK_F64(out.f64[0], 0x1p64);
    out = eval(AF_FN_TO_INTEGER, column_of(fix_u64(large)), in, 2);
    AF_CHECK_INT(out.i64[0], -1);
    out = eval(AF_FN_TO_BOOLEAN, column_of(fix_u64(large)), in, 2);
    AF_CHECK_INT(out.bits[0], 1);
    out = eval(AF_FN_TO_STRING, in, in, 4);
    AF_CHECK(out.type == AF_TYPE_STRING && out.null_count == 4);
    const char *texts[] = { "x", NULL, "y" };
    out = eval(AF_FN_TO_STRING, column_of(fix_texts(&arena, 3, texts)), in, 3);
    AF_CHECK_SLICE(af_column_text(&out, 2), "y");
    af_arena_done(&arena);
}

AF_TEST(fn_text_compares_and_matches_the_same_with_and_without_a_dictionary)
{
    begin();
    const char *texts[] = { "north", "south", NULL, "north", "", "northeast", "south" };
    const char *one[] = { "north" };
    struct af_column plain = fix_texts(&arena, 7, texts), dict = fix_dict(&arena, 7, texts), constant = fix_texts(&arena, 1, one);
    const uint64_t want[] = { 0x09, 0x72, 0x10, 0x19, 0x62, 0x6b };
    for (enum af_fn id = AF_FN_EQUAL; id <= AF_FN_GREATER_EQUAL; id++) {
        struct af_column out = eval(id, column_of(plain), constant_of(constant), 7);
        AF_CHECK_INT(out.bits[0] & out.validity[0], want[id - AF_FN_EQUAL]);
        out = eval(id, column_of(dict), constant_of(constant), 7);
        AF_CHECK_INT(out.bits[0] & out.validity[0], want[id - AF_FN_EQUAL]);
        out = eval(id, column_of(dict), column_of(plain), 7);
        AF_CHECK((out.bits[0] & 0x7b) == (id == AF_FN_EQUAL || id == AF_FN_LESS_EQUAL || id == AF_FN_GREATER_EQUAL ? 0x7bu : 0u));
    }
    struct af_regex *regex;
    AF_CHECK_OK(af_regex_new(AF_SLICE_LIT("^no.*h$"), &regex, &err), err);
    struct af_vector forms[] = { column_of(plain), column_of(dict) };
    for (size_t i = 0; i < 2; i++) {
        struct af_vector out;
        AF_CHECK_OK(af_fn_eval(AF_FN_MATCH, &forms[i], 1, regex, 7, &arena, &out, &err), err);
        AF_CHECK_INT(out.column.bits[0], 0x09);
        AF_CHECK_INT(out.column.null_count, 1);
        AF_CHECK_OK(af_fn_eval(AF_FN_NOT_MATCH, &forms[i], 1, regex, 7, &arena, &out, &err), err);
        AF_CHECK_INT(out.column.bits[0] & out.column.validity[0], 0x72);
    }
    af_regex_free(regex);
    af_arena_done(&arena);
}

AF_TEST(fn_types_and_their_words)
{
    enum af_type out, text[] = { AF_TYPE_STRING, AF_TYPE_F64 }, numbers[] = { AF_TYPE_I64, AF_TYPE_U64 }, floats[] = { AF_TYPE_F64,
        AF_TYPE_I64 };
    err = (struct af_error){ 0 };
    AF_CHECK_FAILS(af_fn_type(AF_FN_ABS, text, 1, &out, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, "\"abs\" takes numbers, not string");
    AF_CHECK_FAILS(af_fn_type(AF_FN_ADD, numbers, 1, &out, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, "\"add\" takes 2 arguments, not 1");
    AF_CHECK_FAILS(af_fn_type(AF_FN_BIT_AND, floats, 2, &out, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_fn_type(AF_FN_MAX, text, 1, &out, &err), AF_EINVAL);
    AF_CHECK_STR(err.message, "\"max\" takes numbers, times or booleans, not string");
    AF_CHECK_OK(af_fn_type(AF_FN_ADD, numbers, 2, &out, &err), err);
    AF_CHECK_INT(out, AF_TYPE_U64);
    AF_CHECK_OK(af_fn_type(AF_FN_MODULO, floats, 2, &out, &err), err);
    AF_CHECK_INT(out, AF_TYPE_F64);
    AF_CHECK_OK(af_fn_type(AF_FN_DIFFERENCE, numbers + 1, 1, &out, &err), err);
    AF_CHECK_INT(out, AF_TYPE_U64);
    AF_CHECK_OK(af_fn_type(AF_FN_ELAPSED, text, 1, &out, &err), err);
    AF_CHECK_INT(out, AF_TYPE_I64);
    const enum af_type nothing = AF_TYPE_NULL;
    for (enum af_fn id = AF_FN_COUNT; id < AF_FN_COUNT_OF; id++)
        AF_CHECK_OK(af_fn_type(id, &nothing, 1, &out, &err), err);
}

AF_TEST(fn_scalars_survive_failing_allocations)
{
    const char *texts[] = { "a", NULL, "b" };
    const double floats[] = { 1, 2, 3 };
    const uint64_t valid[] = { 5 }, integers[] = { 5, 6, 7 };
    for (enum af_fn id = AF_FN_ADD; id <= AF_FN_POW; id++) {
        if (id == AF_FN_MATCH || id == AF_FN_NOT_MATCH)
            continue;
        bool is_text = id == AF_FN_EQUAL || id == AF_FN_COALESCE || id == AF_FN_TO_STRING;
        bool is_bool = id == AF_FN_AND || id == AF_FN_OR || id == AF_FN_NOT || id == AF_FN_BIT_OR;
        bool is_integer = id == AF_FN_DIVIDE_INTEGER || id == AF_FN_BIT_AND || id == AF_FN_BIT_XOR;
        bool has_passed = false;
        for (size_t nth = 1; !has_passed && nth < 50; nth++) {
            begin();
            struct af_column column = is_text ? fix_dict(&arena, 3, texts) : is_bool ? fix_bools(valid) : is_integer ? fix_u64(integers)
                                                                                                                      : fix_f64(floats);
            struct af_column other = is_text ? fix_texts(&arena, 3, texts) : column;
            if (!is_text && !is_integer)
                column = fix_nulls(column, valid, 3);
            struct af_vector args[] = { column_of(column), is_integer ? constant_of(other) : column_of(other) }, out = { 0 };
            struct af_arena small;
            af_arena_init(&small, SIZE_MAX);
            af_alloc_fail_nth(nth);
            enum af_status status = af_fn_eval(id, args, id == AF_FN_COALESCE ? 2 : af_fn_get(id)->args_min, NULL, 3, &small, &out, &err);
            af_alloc_fail_nth(0);
            has_passed = status == AF_OK;
            AF_CHECK(has_passed || status == AF_ENOMEM);
            af_arena_done(&small);
            af_arena_done(&arena);
        }
        AF_CHECK(has_passed);
    }
}
