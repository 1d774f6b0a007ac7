/*
 * reduce.c - constants computed before a query runs: now() - 1h, '2024-01-01' + 5m, 2 * 3, 1 = 1.
 *
 * What two literals give depends on both kinds, not evenly: an integer and a duration make a time, two integers divided make a number, a
 * text beside a duration is read as a time, and what no rule covers stays as it was written. Integers and durations wrap around; times do
 * not (they are 2^64 wide, `era`), so that only where one ends up decides.
 */
#include "base/calendar.h"
#include "lang/influxql/reduce_int.h"
#include <math.h>

/* --- literals that come out ------------------------------------------------------------------------------------------------------ */

static struct af_ql_expr *out_of_memory(struct af_ql_reducer *r, size_t wanted)
{
    r->is_out_of_memory = true;
    r->wanted = wanted;
    return NULL;
}

static struct af_ql_expr *make(struct af_ql_reducer *r, enum af_ql_expr_kind kind)
{
    struct af_ql_expr *expr = af_ql_expr_new(r->arena, kind);
    return expr != NULL ? expr : out_of_memory(r, sizeof *expr);
}

static struct af_ql_expr *make_bool(struct af_ql_reducer *r, bool value)
{
    struct af_ql_expr *expr = make(r, AF_QL_BOOLEAN);
    if (expr != NULL)
        expr->boolean = value;
    return expr;
}

static struct af_ql_expr *make_integer(struct af_ql_reducer *r, enum af_ql_expr_kind kind, uint64_t value)
{
    struct af_ql_expr *expr = make(r, kind);
    if (expr != NULL)
        expr->unsigned_integer = value;
    return expr;
}

static struct af_ql_expr *make_number(struct af_ql_reducer *r, double value)
{
    struct af_ql_expr *expr = make(r, AF_QL_NUMBER);
    if (expr != NULL)
        expr->number = value;
    return expr;
}

struct af_ql_expr *af_ql_make_time(struct af_ql_reducer *r, __int128 ns)
{
    struct af_ql_expr *expr = make(r, AF_QL_TIME);
    if (expr != NULL) {
        expr->integer = (int64_t)(uint64_t)(unsigned __int128)ns;
        expr->era = (int32_t)((ns - expr->integer) >> 64);
    }
    return expr;
}

/* --- rules for two literals; NULL: there is none --------------------------------------------------------------------------------- */

/* `order` is below, at or above zero as the left one is. */
static struct af_ql_expr *compare(struct af_ql_reducer *r, enum af_ql_op op, int order)
{
    switch (op) {
    case AF_QL_EQ:
        return make_bool(r, order == 0);
    case AF_QL_NEQ:
        return make_bool(r, order != 0);
    case AF_QL_LT:
        return make_bool(r, order < 0);
    case AF_QL_LTE:
        return make_bool(r, order <= 0);
    case AF_QL_GT:
        return make_bool(r, order > 0);
    case AF_QL_GTE:
        return make_bool(r, order >= 0);
    default:
        return NULL;
    }
}

static struct af_ql_expr *two_bools(struct af_ql_reducer *r, enum af_ql_op op, bool a, bool b)
{
    switch (op) {
    case AF_QL_EQ:
        return make_bool(r, a == b);
    case AF_QL_NEQ:
    case AF_QL_BIT_XOR:
        return make_bool(r, a != b);
    case AF_QL_BIT_AND:
        return make_bool(r, a && b);
    case AF_QL_BIT_OR:
        return make_bool(r, a || b);
    default:
        return NULL;
    }
}

static struct af_ql_expr *two_numbers(struct af_ql_reducer *r, enum af_ql_op op, double a, double b)
{
    switch (op) {
    case AF_QL_ADD:
        return make_number(r, a + b);
    case AF_QL_SUB:
        return make_number(r, a - b);
    case AF_QL_MUL:
        return make_number(r, a * b);
    case AF_QL_DIV:
        return make_number(r, b == 0 ? 0 : a / b);
    case AF_QL_MOD:
        return make_number(r, fmod(a, b));
    default:
        if (isnan(a) || isnan(b))
            return compare(r, op, 0) == NULL ? NULL : make_bool(r, op == AF_QL_NEQ);
        return compare(r, op, (a > b) - (a < b));
    }
}

static struct af_ql_expr *two_integers(struct af_ql_reducer *r, enum af_ql_op op, int64_t a, int64_t b)
{
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    switch (op) {
    case AF_QL_ADD:
        return make_integer(r, AF_QL_INTEGER, x + y);
    case AF_QL_SUB:
        return make_integer(r, AF_QL_INTEGER, x - y);
    case AF_QL_MUL:
        return make_integer(r, AF_QL_INTEGER, x * y);
    case AF_QL_DIV:
        return make_number(r, b == 0 ? 0 : (double)a / (double)b);
    case AF_QL_MOD:
        return make_integer(r, AF_QL_INTEGER, b == 0 || b == -1 ? 0 : (uint64_t)(a % b));
    case AF_QL_BIT_AND:
        return make_integer(r, AF_QL_INTEGER, x & y);
    case AF_QL_BIT_OR:
        return make_integer(r, AF_QL_INTEGER, x | y);
    case AF_QL_BIT_XOR:
        return make_integer(r, AF_QL_INTEGER, x ^ y);
    default:
        return compare(r, op, (a > b) - (a < b));
    }
}

static struct af_ql_expr *two_unsigneds(struct af_ql_reducer *r, enum af_ql_op op, uint64_t a, uint64_t b)
{
    switch (op) {
    case AF_QL_ADD:
        return make_integer(r, AF_QL_UNSIGNED, a + b);
    case AF_QL_SUB:
        return make_integer(r, AF_QL_UNSIGNED, a - b);
    case AF_QL_MUL:
        return make_integer(r, AF_QL_UNSIGNED, a * b);
    case AF_QL_DIV:
        return make_integer(r, AF_QL_UNSIGNED, b == 0 ? 0 : a / b);
    case AF_QL_MOD:
        return make_integer(r, AF_QL_UNSIGNED, b == 0 ? 0 : a % b);
    default:
        return compare(r, op, (a > b) - (a < b));
    }
}

/* A negative integer is below every unsigned one; for = and the rest its bits count. `order`: which side it is on. */
static struct af_ql_expr *unsigned_and_integer(struct af_ql_reducer *r, enum af_ql_op op, uint64_t a, uint64_t b, int order)
{
    bool is_order = op == AF_QL_LT || op == AF_QL_LTE || op == AF_QL_GT || op == AF_QL_GTE;
    return order != 0 && is_order ? compare(r, op, order) : two_unsigneds(r, op, a, b);
}

static struct af_ql_expr *two_durations(struct af_ql_reducer *r, enum af_ql_op op, int64_t a, int64_t b)
{
    if (op == AF_QL_ADD)
        return make_integer(r, AF_QL_DURATION, (uint64_t)a + (uint64_t)b);
    if (op == AF_QL_SUB)
        return make_integer(r, AF_QL_DURATION, (uint64_t)a - (uint64_t)b);
    return compare(r, op, (a > b) - (a < b));
}

static struct af_ql_expr *scale_duration(struct af_ql_reducer *r, enum af_ql_op op, int64_t a, int64_t factor)
{
    if (op == AF_QL_MUL)
        return make_integer(r, AF_QL_DURATION, (uint64_t)a * (uint64_t)factor);
    if (op != AF_QL_DIV)
        return NULL;
    if (factor == 0 || factor == -1)
        return make_integer(r, AF_QL_DURATION, factor == 0 ? 0 : 0 - (uint64_t)a);
    return make_integer(r, AF_QL_DURATION, (uint64_t)(a / factor));
}

static struct af_ql_expr *two_times(struct af_ql_reducer *r, enum af_ql_op op, __int128 a, __int128 b)
{
    if (op != AF_QL_SUB)
        return compare(r, op, (a > b) - (a < b));
    __int128 between = a - b;
    between = between > INT64_MAX ? INT64_MAX : between < INT64_MIN ? INT64_MIN : between;
    return make_integer(r, AF_QL_DURATION, (uint64_t)(int64_t)between);
}

static struct af_ql_expr *time_and_duration(struct af_ql_reducer *r, enum af_ql_op op, __int128 time, int64_t ns)
{
    if (op != AF_QL_ADD && op != AF_QL_SUB)
        return NULL;
    return af_ql_make_time(r, time + (op == AF_QL_ADD ? ns : (int64_t)(0 - (uint64_t)ns))); /* the lowest duration is its own opposite */
}

/* As Go on the machines InfluxDB runs on: what does not fit is the lowest integer. */
int64_t af_ql_number_to_integer(double value)
{
    return value >= -0x1p63 && value < 0x1p63 ? (int64_t)value : INT64_MIN;
}

/* --- which rule ------------------------------------------------------------------------------------------------------------------ */

static struct af_ql_expr *time_with(struct af_ql_reducer *r, enum af_ql_op op, __int128 time, const struct af_ql_expr *right)
{
    __int128 other;
    switch (right->kind) {
    case AF_QL_DURATION:
    case AF_QL_INTEGER:
        return time_and_duration(r, op, time, right->integer);
    case AF_QL_TIME:
        return two_times(r, op, time, af_ql_time_of(right));
    case AF_QL_STRING:
        return af_ql_time_parse(right->text, r->zone, &other) ? two_times(r, op, time, other) : NULL;
    case AF_QL_NIL:
        return make_bool(r, false);
    default:
        return NULL;
    }
}

static struct af_ql_expr *duration_with(struct af_ql_reducer *r, enum af_ql_op op, int64_t ns, const struct af_ql_expr *right)
{
    __int128 time;
    switch (right->kind) {
    case AF_QL_DURATION:
        return two_durations(r, op, ns, right->integer);
    case AF_QL_NUMBER:
        return scale_duration(r, op, ns, af_ql_number_to_integer(right->number));
    case AF_QL_INTEGER:
        return scale_duration(r, op, ns, right->integer);
    case AF_QL_TIME:
        return op == AF_QL_ADD ? af_ql_make_time(r, af_ql_time_of(right) + ns) : NULL;
    case AF_QL_STRING:
        return op == AF_QL_ADD && af_ql_time_parse(right->text, r->zone, &time) ? af_ql_make_time(r, time + ns) : NULL;
    case AF_QL_NIL:
        return make_bool(r, false);
    default:
        return NULL;
    }
}

static struct af_ql_expr *integer_with(struct af_ql_reducer *r, enum af_ql_op op, int64_t value, const struct af_ql_expr *right)
{
    switch (right->kind) {
    case AF_QL_NUMBER:
        return two_numbers(r, op, (double)value, right->number);
    case AF_QL_INTEGER:
        return two_integers(r, op, value, right->integer);
    case AF_QL_UNSIGNED:
        return unsigned_and_integer(r, op, (uint64_t)value, right->unsigned_integer, value < 0 ? -1 : 0);
    case AF_QL_DURATION:
        return time_and_duration(r, op, value, right->integer);
    case AF_QL_TIME:
    case AF_QL_STRING:
    case AF_QL_NIL:
        return duration_with(r, op, value, right);
    default:
        return NULL;
    }
}

static struct af_ql_expr *unsigned_with(struct af_ql_reducer *r, enum af_ql_op op, uint64_t value, const struct af_ql_expr *right)
{
    switch (right->kind) {
    case AF_QL_NUMBER:
        return two_numbers(r, op, (double)value, right->number);
    case AF_QL_INTEGER:
        return unsigned_and_integer(r, op, value, (uint64_t)right->integer, right->integer < 0 ? 1 : 0);
    case AF_QL_UNSIGNED:
        return two_unsigneds(r, op, value, right->unsigned_integer);
    default:
        return NULL;
    }
}

static struct af_ql_expr *number_with(struct af_ql_reducer *r, enum af_ql_op op, double value, const struct af_ql_expr *right)
{
    switch (right->kind) {
    case AF_QL_NUMBER:
        return two_numbers(r, op, value, right->number);
    case AF_QL_INTEGER:
        return two_numbers(r, op, value, (double)right->integer);
    case AF_QL_UNSIGNED:
        return two_numbers(r, op, value, (double)right->unsigned_integer);
    case AF_QL_NIL:
        return make_bool(r, false);
    default:
        return NULL;
    }
}

static struct af_ql_expr *join_texts(struct af_ql_reducer *r, struct af_slice a, struct af_slice b)
{
    struct af_ql_expr *expr = make(r, AF_QL_STRING);
    char *text = af_arena_zero(r->arena, 1, a.len + b.len + 1);
    if (expr == NULL || text == NULL)
        return out_of_memory(r, sizeof *expr + a.len + b.len + 1);
    if (a.len != 0)
        memcpy(text, a.ptr, a.len);
    if (b.len != 0)
        memcpy(text + a.len, b.ptr, b.len);
    expr->name = text;
    expr->text = (struct af_slice){ text, a.len + b.len };
    return expr;
}

static struct af_ql_expr *text_with(struct af_ql_reducer *r, enum af_ql_op op, struct af_slice text, const struct af_ql_expr *right)
{
    bool is_equality = op == AF_QL_EQ || op == AF_QL_NEQ;
    __int128 time, other;
    bool is_time = af_ql_time_parse(text, r->zone, &time);
    switch (right->kind) {
    case AF_QL_STRING:
        if (op == AF_QL_ADD)
            return join_texts(r, text, right->text);
        if (is_equality && (!is_time || !af_ql_time_parse(right->text, r->zone, &other)))
            return make_bool(r, af_slice_eq(text, right->text) == (op == AF_QL_EQ));
        return is_time ? time_with(r, op, time, right) : NULL;
    case AF_QL_DURATION:
    case AF_QL_TIME:
    case AF_QL_INTEGER:
        return is_time ? time_with(r, op, time, right) : NULL;
    case AF_QL_NIL:
        return is_equality ? make_bool(r, false) : NULL;
    default:
        return NULL;
    }
}

static struct af_ql_expr *fold_literals(struct af_ql_reducer *r, enum af_ql_op op, const struct af_ql_expr *left,
                                        const struct af_ql_expr *right)
{
    switch (left->kind) {
    case AF_QL_BOOLEAN:
        if (right->kind == AF_QL_NIL)
            return make_bool(r, false);
        return right->kind == AF_QL_BOOLEAN ? two_bools(r, op, left->boolean, right->boolean) : NULL;
    case AF_QL_DURATION:
        return duration_with(r, op, left->integer, right);
    case AF_QL_INTEGER:
        return integer_with(r, op, left->integer, right);
    case AF_QL_UNSIGNED:
        return unsigned_with(r, op, left->unsigned_integer, right);
    case AF_QL_NUMBER:
        return number_with(r, op, left->number, right);
    case AF_QL_STRING:
        return text_with(r, op, left->text, right);
    case AF_QL_TIME:
        return time_with(r, op, af_ql_time_of(left), right);
    case AF_QL_NIL:
        return op == AF_QL_EQ || op == AF_QL_NEQ ? make_bool(r, false) : NULL;
    default:
        return NULL;
    }
}

/* --- trees ----------------------------------------------------------------------------------------------------------------------- */

static bool is_bool(const struct af_ql_expr *expr, bool value)
{
    return expr->kind == AF_QL_BOOLEAN && expr->boolean == value;
}

static bool is_whole(const struct af_ql_expr *expr)
{
    return expr->kind == AF_QL_INTEGER || expr->kind == AF_QL_UNSIGNED;
}

static struct af_ql_expr *convert(struct af_ql_reducer *r, const struct af_ql_expr *whole, enum af_ql_expr_kind kind)
{
    if (kind == AF_QL_UNSIGNED)
        return make_integer(r, kind, whole->unsigned_integer);
    return make_number(r, whole->kind == AF_QL_INTEGER ? (double)whole->integer : (double)whole->unsigned_integer);
}

/* Two numbers of different kinds for which there was no rule (8 & 0.5) stay, but as one kind. */
static void make_alike(struct af_ql_reducer *r, struct af_ql_expr **left, struct af_ql_expr **right)
{
    enum af_ql_expr_kind a = (*left)->kind, b = (*right)->kind;
    if (is_whole(*left) && b == AF_QL_NUMBER)
        *left = convert(r, *left, AF_QL_NUMBER);
    else if (a == AF_QL_NUMBER && b == AF_QL_UNSIGNED)
        *right = convert(r, *right, AF_QL_NUMBER);
    else if (a == AF_QL_INTEGER && b == AF_QL_UNSIGNED)
        *left = convert(r, *left, AF_QL_UNSIGNED);
    else if (a == AF_QL_UNSIGNED && b == AF_QL_INTEGER)
        *right = convert(r, *right, AF_QL_UNSIGNED);
}

static struct af_ql_expr *make_binary(struct af_ql_reducer *r, enum af_ql_op op, struct af_ql_expr *left, struct af_ql_expr *right)
{
    make_alike(r, &left, &right);
    struct af_ql_expr *expr = make(r, AF_QL_BINARY);
    if (r->is_out_of_memory)
        return NULL;
    expr->op = op;
    expr->left = left;
    expr->right = right;
    expr->height = 1 + (left->height > right->height ? left->height : right->height);
    return expr;
}

struct af_ql_expr *af_ql_fold(struct af_ql_reducer *r, enum af_ql_op op, struct af_ql_expr *left, struct af_ql_expr *right)
{
    if (op == AF_QL_AND || op == AF_QL_OR) {
        bool decides = op == AF_QL_OR;
        if (is_bool(left, decides) || is_bool(right, decides))
            return make_bool(r, decides);
        if (is_bool(left, !decides))
            return right;
        if (is_bool(right, !decides))
            return left;
    }
    struct af_ql_expr *expr = fold_literals(r, op, left, right);
    return expr != NULL || r->is_out_of_memory ? expr : make_binary(r, op, left, right);
}

struct af_ql_expr *af_ql_fold_paren(struct af_ql_reducer *r, struct af_ql_expr *inner)
{
    if (inner->kind != AF_QL_BINARY)
        return inner;
    struct af_ql_expr *expr = make(r, AF_QL_PAREN);
    if (expr != NULL) {
        expr->left = inner;
        expr->height = inner->height + 1;
    }
    return expr;
}

static struct af_ql_expr *fold_call(struct af_ql_reducer *r, const struct af_ql_expr *call)
{
    if (r->now_ns != NULL && call->arg_count == 0 && strcmp(call->name, "now") == 0)
        return af_ql_make_time(r, *r->now_ns);
    struct af_ql_expr *expr = make(r, AF_QL_CALL);
    struct af_ql_expr **args = af_arena_zero(r->arena, call->arg_count + 1, sizeof *args);
    if (expr == NULL || args == NULL)
        return out_of_memory(r, sizeof *expr + (call->arg_count + 1) * sizeof *args);
    for (size_t i = 0; i < call->arg_count; i++) {
        args[i] = af_ql_fold_tree(r, call->args[i]);
        if (args[i] == NULL)
            return NULL;
    }
    *expr = *call;
    expr->args = args;
    return expr;
}

/* Everything in the tree folded; NULL: no memory. */
struct af_ql_expr *af_ql_fold_tree(struct af_ql_reducer *r, const struct af_ql_expr *expr)
{
    struct af_ql_expr *left, *right;
    switch (expr->kind) {
    case AF_QL_BINARY:
        left = af_ql_fold_tree(r, expr->left);
        right = left == NULL ? NULL : af_ql_fold_tree(r, expr->right);
        return right == NULL ? NULL : af_ql_fold(r, expr->op, left, right);
    case AF_QL_PAREN:
        left = af_ql_fold_tree(r, expr->left);
        return left == NULL ? NULL : af_ql_fold_paren(r, left);
    case AF_QL_CALL:
        return fold_call(r, expr);
    case AF_QL_REF:
        if (r->now_ns != NULL && strcmp(expr->name, "now()") == 0) /* InfluxDB's own back door */
            return af_ql_make_time(r, *r->now_ns);
        return (struct af_ql_expr *)expr;
    default:
        return (struct af_ql_expr *)expr;
    }
}

/* Times past int64 are cut, for those who read the tree. */
void af_ql_cut_times(struct af_ql_expr *expr)
{
    if (expr == NULL)
        return;
    if (expr->kind == AF_QL_TIME && expr->era != 0) {
        expr->integer = expr->era < 0 ? INT64_MIN : INT64_MAX;
        expr->era = 0;
    }
    if (expr->kind == AF_QL_BINARY || expr->kind == AF_QL_PAREN) {
        af_ql_cut_times(expr->left);
        af_ql_cut_times(expr->right);
    }
    for (size_t i = 0; expr->kind == AF_QL_CALL && i < expr->arg_count; i++)
        af_ql_cut_times(expr->args[i]);
}

enum af_status af_ql_reduce(const struct af_ql_expr *expr, const int64_t *now_ns, const struct af_zone *zone, struct af_arena *arena,
                            struct af_ql_expr **out, struct af_error *err)
{
    struct af_ql_reducer r = { .now_ns = now_ns, .zone = zone, .arena = arena };
    struct af_ql_expr *folded = af_ql_fold_tree(&r, expr);
    if (folded == NULL)
        return af_arena_fail(arena, r.wanted, "a query's constants", err);
    af_ql_cut_times(folded);
    *out = folded->kind == AF_QL_PAREN ? folded->left : folded;
    return AF_OK;
}
