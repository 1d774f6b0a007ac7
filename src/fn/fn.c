/*
 * fn.c - what the functions are called, which types they take and give, and which parameters.
 */
#include "fn/fn_int.h"
#include <math.h>

static const struct af_fn_info infos[AF_FN_COUNT_OF] = {
#define AF_X(id, name, kind, min, max, flags) [AF_FN_##id] = { name, AF_FN_KIND_##kind, min, max, flags },
#include "fn/fn.def"
#undef AF_X
};

const struct af_fn_info *af_fn_get(enum af_fn id)
{
    return &infos[id];
}

const char *fn_type_words(enum af_type type)
{
    switch (type) {
    case AF_TYPE_NULL: return "nothing";
    case AF_TYPE_BOOL: return "boolean";
    case AF_TYPE_I64: return "integer";
    case AF_TYPE_U64: return "unsigned";
    case AF_TYPE_F64: return "float";
    case AF_TYPE_STRING: return "string";
    default: return af_type_name(type);
    }
}

size_t fn_span_next(const uint64_t *validity, size_t *at, size_t end)
{
    size_t i = *at;
    if (i >= end)
        return 0;
    if (validity == NULL)
        return end - i;
    uint64_t word = validity[i / 64] & ~UINT64_C(0) << (i % 64);
    for (i -= i % 64; word == 0; word = validity[i / 64])
        if ((i += 64) >= end)
            return 0;
    i += (size_t)__builtin_ctzll(word);
    if (i >= end)
        return 0;
    *at = i;
    word = ~validity[i / 64] & ~UINT64_C(0) << (i % 64);
    for (i -= i % 64; word == 0; word = ~validity[i / 64])
        if ((i += 64) >= end)
            return end - *at;
    i += (size_t)__builtin_ctzll(word);
    return (i < end ? i : end) - *at;
}

size_t fn_count_valid(const struct af_column *column, size_t first, size_t count)
{
    if (column->type == AF_TYPE_NULL)
        return 0;
    if (column->validity == NULL || count == 0)
        return count;
    size_t last = first + count - 1;
    uint64_t head = ~UINT64_C(0) << (first % 64), tail = ~UINT64_C(0) >> (63 - last % 64);
    if (first / 64 == last / 64)
        return (size_t)__builtin_popcountll(column->validity[first / 64] & head & tail);
    size_t valid = (size_t)__builtin_popcountll(column->validity[first / 64] & head);
    for (size_t word = first / 64 + 1; word < last / 64; word++)
        valid += (size_t)__builtin_popcountll(column->validity[word]);
    return valid + (size_t)__builtin_popcountll(column->validity[last / 64] & tail);
}

int64_t fn_param_i64(const struct af_fn_call *call, size_t i, int64_t otherwise)
{
    if (i >= call->param_count)
        return otherwise;
    const struct af_value *value = &call->params[i];
    return value->type == AF_TYPE_I64 || value->type == AF_TYPE_U64 ? value->i64 : otherwise;
}

double fn_param_f64(const struct af_fn_call *call, size_t i)
{
    if (i >= call->param_count)
        return NAN;
    const struct af_value *value = &call->params[i];
    switch (value->type) {
    case AF_TYPE_F64: return value->f64;
    case AF_TYPE_I64: return (double)value->i64;
    case AF_TYPE_U64: return (double)value->u64;
    default: return NAN;
    }
}

enum af_status fn_alloc(struct af_arena *arena, size_t count, size_t bytes, void *out, struct af_error *err)
{
    void *made = af_arena_array(arena, count, bytes);
    if (made == NULL)
        return af_arena_fail(arena, count > SIZE_MAX / bytes ? SIZE_MAX : count * bytes, "a column of a function", err);
    memcpy(out, &made, sizeof made);
    return AF_OK;
}

/* --- types --------------------------------------------------------------------------------------------------------------------- */

static enum af_status wrong_type(enum af_fn id, const char *takes, enum af_type got, struct af_error *err)
{
    return af_fail(err, AF_EINVAL, "\"%s\" takes %s, not %s", infos[id].name, takes, fn_type_words(got));
}

/* Sets of types. */
enum { ANY = 0, NUMBERS = 1, INTEGERS = 2, BOOLEANS = 4, TEXT = 8, ORDERABLE = 16 };

static bool type_fits(unsigned set, enum af_type type)
{
    if (type == AF_TYPE_NULL)
        return true;
    if (fn_class_of(type) == FN_NO_CLASS)
        return false;
    bool is_integer = type == AF_TYPE_I64 || type == AF_TYPE_U64;
    return set == ANY || ((set & NUMBERS) && fn_is_number(type)) || ((set & INTEGERS) && is_integer)
        || ((set & BOOLEANS) && type == AF_TYPE_BOOL) || ((set & TEXT) && type == AF_TYPE_STRING)
        || ((set & ORDERABLE) && (fn_is_number(type) || type == AF_TYPE_TIME));
}

static const char *set_words(unsigned set)
{
    switch (set) {
    case NUMBERS: return "numbers";
    case INTEGERS: return "integers";
    case INTEGERS | BOOLEANS: return "integers or booleans";
    case BOOLEANS: return "booleans";
    case TEXT: return "strings";
    case ORDERABLE | BOOLEANS: return "numbers, times or booleans";
    default: return "numbers, booleans, strings or times";
    }
}

/* What a function takes, and gives: NULL means what it is given, the wider of two numbers. */
struct signature {
    unsigned set;
    enum af_type gives;
};
static const struct signature scalar_signatures[AF_FN_COUNT_OF] = {
    [AF_FN_ADD] = { NUMBERS, AF_TYPE_NULL }, [AF_FN_SUBTRACT] = { NUMBERS, AF_TYPE_NULL }, [AF_FN_MULTIPLY] = { NUMBERS, AF_TYPE_NULL },
    [AF_FN_DIVIDE] = { NUMBERS, AF_TYPE_F64 }, [AF_FN_DIVIDE_INTEGER] = { INTEGERS, AF_TYPE_NULL }, [AF_FN_MODULO] = { NUMBERS,
        AF_TYPE_NULL },
    [AF_FN_NEGATE] = { NUMBERS, AF_TYPE_NULL }, [AF_FN_BIT_AND] = { INTEGERS | BOOLEANS, AF_TYPE_NULL },
    [AF_FN_BIT_OR] = { INTEGERS | BOOLEANS, AF_TYPE_NULL }, [AF_FN_BIT_XOR] = { INTEGERS | BOOLEANS, AF_TYPE_NULL },
    [AF_FN_EQUAL] = { ANY, AF_TYPE_BOOL }, [AF_FN_NOT_EQUAL] = { ANY, AF_TYPE_BOOL }, [AF_FN_LESS] = { ANY, AF_TYPE_BOOL },
    [AF_FN_LESS_EQUAL] = { ANY, AF_TYPE_BOOL }, [AF_FN_GREATER] = { ANY, AF_TYPE_BOOL }, [AF_FN_GREATER_EQUAL] = { ANY, AF_TYPE_BOOL },
    [AF_FN_MATCH] = { TEXT, AF_TYPE_BOOL }, [AF_FN_NOT_MATCH] = { TEXT, AF_TYPE_BOOL },
    [AF_FN_AND] = { BOOLEANS, AF_TYPE_BOOL }, [AF_FN_OR] = { BOOLEANS, AF_TYPE_BOOL }, [AF_FN_NOT] = { BOOLEANS, AF_TYPE_BOOL },
    [AF_FN_IS_NULL] = { ANY, AF_TYPE_BOOL }, [AF_FN_COALESCE] = { ANY, AF_TYPE_NULL },
    [AF_FN_TO_FLOAT] = { ANY, AF_TYPE_F64 }, [AF_FN_TO_INTEGER] = { ANY, AF_TYPE_I64 }, [AF_FN_TO_UNSIGNED] = { ANY, AF_TYPE_U64 },
    [AF_FN_TO_STRING] = { ANY, AF_TYPE_STRING }, [AF_FN_TO_BOOLEAN] = { ANY, AF_TYPE_BOOL },
    [AF_FN_ABS] = { NUMBERS, AF_TYPE_NULL }, [AF_FN_CEIL] = { NUMBERS, AF_TYPE_NULL }, [AF_FN_FLOOR] = { NUMBERS, AF_TYPE_NULL },
    [AF_FN_ROUND] = { NUMBERS, AF_TYPE_NULL }, [AF_FN_SIN] = { NUMBERS, AF_TYPE_F64 }, [AF_FN_COS] = { NUMBERS, AF_TYPE_F64 },
    [AF_FN_TAN] = { NUMBERS, AF_TYPE_F64 }, [AF_FN_ASIN] = { NUMBERS, AF_TYPE_F64 }, [AF_FN_ACOS] = { NUMBERS, AF_TYPE_F64 },
    [AF_FN_ATAN] = { NUMBERS, AF_TYPE_F64 }, [AF_FN_ATAN2] = { NUMBERS, AF_TYPE_F64 }, [AF_FN_EXP] = { NUMBERS, AF_TYPE_F64 },
    [AF_FN_LN] = { NUMBERS, AF_TYPE_F64 }, [AF_FN_LOG] = { NUMBERS, AF_TYPE_F64 }, [AF_FN_LOG2] = { NUMBERS, AF_TYPE_F64 },
    [AF_FN_LOG10] = { NUMBERS, AF_TYPE_F64 }, [AF_FN_SQRT] = { NUMBERS, AF_TYPE_F64 }, [AF_FN_POW] = { NUMBERS, AF_TYPE_F64 },
};

static struct signature column_signature(enum af_fn id)
{
    switch (id) {
    case AF_FN_COUNT: case AF_FN_COUNT_DISTINCT: case AF_FN_SUM_HLL: case AF_FN_ELAPSED:
        return (struct signature){ ANY, AF_TYPE_I64 };
    case AF_FN_MODE: case AF_FN_FIRST: case AF_FN_LAST: case AF_FN_SAMPLE: case AF_FN_DISTINCT:
        return (struct signature){ ANY, AF_TYPE_NULL };
    case AF_FN_MIN: case AF_FN_MAX:
        return (struct signature){ ORDERABLE | BOOLEANS, AF_TYPE_NULL };
    case AF_FN_SUM: case AF_FN_SPREAD: case AF_FN_PERCENTILE: case AF_FN_TOP: case AF_FN_BOTTOM: case AF_FN_DIFFERENCE:
    case AF_FN_NON_NEGATIVE_DIFFERENCE: case AF_FN_CUMULATIVE_SUM:
        return (struct signature){ NUMBERS, AF_TYPE_NULL };
    default:
        return (struct signature){ NUMBERS, AF_TYPE_F64 };
    }
}

/* Of two numbers the one that holds both as the language of the arithmetic has it; AF_TYPE_DATE: there is none. */
static enum af_type wider(enum af_type a, enum af_type b)
{
    if (a == b || b == AF_TYPE_NULL)
        return a;
    if (a == AF_TYPE_NULL)
        return b;
    if (!fn_is_number(a) || !fn_is_number(b))
        return AF_TYPE_DATE;
    return a == AF_TYPE_F64 || b == AF_TYPE_F64 ? AF_TYPE_F64 : AF_TYPE_U64;
}

static enum af_status scalar_type(enum af_fn id, const enum af_type *args, size_t arg_count, enum af_type *out, struct af_error *err)
{
    const struct signature *signature = &scalar_signatures[id];
    enum af_type common = AF_TYPE_NULL;
    for (size_t i = 0; i < arg_count; i++) {
        if (!type_fits(signature->set, args[i]))
            return wrong_type(id, set_words(signature->set), args[i], err);
        if (signature->gives != AF_TYPE_NULL)
            continue;
        enum af_type both = wider(common, args[i]);
        if (both == AF_TYPE_DATE || (id == AF_FN_COALESCE && common != AF_TYPE_NULL && args[i] != AF_TYPE_NULL && common != args[i]))
            return af_fail(err, AF_EINVAL, "\"%s\" takes values of one type, not %s and %s", infos[id].name, fn_type_words(common),
                           fn_type_words(args[i]));
        common = both;
    }
    *out = signature->gives != AF_TYPE_NULL ? signature->gives : common;
    return AF_OK;
}

enum af_status af_fn_type(enum af_fn id, const enum af_type *args, size_t arg_count, enum af_type *out, struct af_error *err)
{
    const struct af_fn_info *info = &infos[id];
    if (arg_count < info->args_min || arg_count > info->args_max) {
        if (info->kind == AF_FN_KIND_SCALAR || arg_count == 0)
            return af_fail(err, AF_EINVAL, "\"%s\" takes %u argument%s, not %zu", info->name, info->args_min, info->args_min == 1 ? ""
                           : "s", arg_count);
    }
    if (info->kind == AF_FN_KIND_SCALAR)
        return scalar_type(id, args, arg_count, out, err);
    struct signature signature = column_signature(id);
    if (!type_fits(signature.set, args[0]))
        return wrong_type(id, set_words(signature.set), args[0], err);
    *out = signature.gives != AF_TYPE_NULL ? signature.gives : args[0];
    return AF_OK;
}

/* --- parameters ------------------------------------------------------------------------------------------------------------------ */

static enum af_status check_whole(const struct af_fn_call *call, size_t i, const char *what, int64_t min, int64_t max, struct af_error *err)
{
    const char *name = infos[call->id].name;
    if (i >= call->param_count)
        return af_fail(err, AF_EINVAL, "\"%s\" needs %s", name, what);
    const struct af_value *value = &call->params[i];
    bool is_whole = value->type == AF_TYPE_I64 || (value->type == AF_TYPE_U64 && value->u64 <= INT64_MAX);
    if (!is_whole)
        return af_fail(err, AF_EINVAL, "\"%s\": %s is a whole number, not %s", name, what, fn_type_words(value->type));
    if (value->i64 < min || value->i64 > max)
        return af_fail(err, AF_EINVAL, "\"%s\": %s must be %s %lld, not %lld", name, what, value->i64 < min ? "at least" : "at most",
                       (long long)(value->i64 < min ? min : max), (long long)value->i64);
    return AF_OK;
}

static enum af_status check_percentile(const struct af_fn_call *call, struct af_error *err)
{
    if (call->param_count < 1 || !fn_is_number(call->params[0].type))
        return af_fail(err, AF_EINVAL, "\"percentile\" needs a number of percent");
    if (isnan(fn_param_f64(call, 0)))
        return af_fail(err, AF_EINVAL, "\"percentile\": the percent is not a number");
    return AF_OK;
}

/* How an average warms up; "none" only where there is a form without. */
static enum af_status check_warmup(const struct af_fn_call *call, struct af_error *err)
{
    if (call->param_count < 3)
        return AF_OK;
    const struct af_value *value = &call->params[2];
    bool has_none = call->id == AF_FN_CMO;
    if (value->type == AF_TYPE_STRING && (af_slice_is(value->text, "exponential") || af_slice_is(value->text, "simple")))
        return AF_OK;
    if (value->type == AF_TYPE_STRING && has_none && af_slice_is(value->text, "none"))
        return AF_OK;
    return af_fail(err, AF_EINVAL, "\"%s\": the warmup is one of 'exponential', 'simple'%s", infos[call->id].name,
                   has_none ? ", 'none'" : "");
}

static enum af_status check_average(const struct af_fn_call *call, struct af_error *err)
{
    AF_TRY(check_whole(call, 0, "the period", 1, INT64_MAX, err));
    if (call->param_count >= 2)
        AF_TRY(check_whole(call, 1, "the hold period", -1, INT64_MAX, err));
    if (call->id == AF_FN_TRIX && fn_param_i64(call, 1, -1) == 0)
        return af_fail(err, AF_EINVAL, "\"%s\": the hold period must be at least 1", infos[call->id].name);
    if (call->id == AF_FN_KER || call->id == AF_FN_KAMA)
        return AF_OK;
    AF_TRY(check_warmup(call, err));
    bool is_plain = call->param_count < 3 || af_slice_is(call->params[2].text, "none");
    if (call->id == AF_FN_CMO && is_plain && call->params[0].i64 < 2)
        return af_fail(err, AF_EINVAL, "\"%s\": the period must be at least 2 without warmup", infos[call->id].name);
    return AF_OK;
}

static enum af_status check_params(const struct af_fn_call *call, struct af_error *err)
{
    switch (call->id) {
    case AF_FN_PERCENTILE:
        return check_percentile(call, err);
    case AF_FN_TOP: case AF_FN_BOTTOM: case AF_FN_SAMPLE:
        return check_whole(call, 0, "the number of rows", 1, INT64_MAX, err);
    case AF_FN_DERIVATIVE: case AF_FN_NON_NEGATIVE_DERIVATIVE: case AF_FN_ELAPSED:
        return check_whole(call, 0, "the unit", 1, INT64_MAX, err);
    case AF_FN_INTEGRAL: case AF_FN_WINDOW_INTEGRAL:
        if (call->param_count > 1)
            AF_TRY(check_whole(call, 1, "the start", INT64_MIN, INT64_MAX, err));
        return call->param_count == 0 ? AF_OK : check_whole(call, 0, "the unit", 1, INT64_MAX, err);
    case AF_FN_MOVING_AVERAGE:
        return check_whole(call, 0, "the number of values", 2, INT64_MAX, err);
    case AF_FN_EMA: case AF_FN_DOUBLE_EMA: case AF_FN_TRIPLE_EMA: case AF_FN_RSI: case AF_FN_TRIX: case AF_FN_KER: case AF_FN_KAMA:
    case AF_FN_CMO:
        return check_average(call, err);
    case AF_FN_HOLT_WINTERS: case AF_FN_HOLT_WINTERS_FIT:
        AF_TRY(check_whole(call, 0, "the number of values to predict", 1, INT64_MAX, err));
        AF_TRY(check_whole(call, 1, "the season", 0, INT64_MAX, err));
        return check_whole(call, 2, "the interval", 1, INT64_MAX, err);
    default:
        return AF_OK;
    }
}

enum af_status af_fn_check(const struct af_fn_call *call, struct af_error *err)
{
    const struct af_fn_info *info = &infos[call->id];
    if (info->kind == AF_FN_KIND_SCALAR)
        return af_fail(err, AF_EBUG, "\"%s\" is not a function of a column", info->name);
    enum af_type type;
    AF_TRY(af_fn_type(call->id, &call->type, 1, &type, err));
    if (call->param_count + 1 > info->args_max || call->param_count > sizeof call->params / sizeof call->params[0])
        return af_fail(err, AF_EINVAL, "\"%s\" takes at most %u parameter%s, not %zu", info->name, info->args_max - 1U,
                       info->args_max == 2 ? "" : "s", call->param_count);
    if (call->window != NULL && call->id != AF_FN_WINDOW_INTEGRAL)
        return af_fail(err, AF_EBUG, "\"%s\" knows no windows", info->name);
    return check_params(call, err);
}
