/*
 * types.c - types of names and expressions, as InfluxDB reckons them before it reads anything.
 *
 * Where several sources know a name, float goes before integer, unsigned, string, boolean, tag. A division of integers is called an integer
 * here although its values are not: columns of subqueries are cast to what they are called.
 */
#include "lang/influxql/lower_int.h"
#include "lang/influxql/parse_int.h"
#include <stdio.h>

static int rank_of(enum af_ql_cast type)
{
    static const int ranks[] = {
        [AF_QL_CAST_FLOAT] = 8, [AF_QL_CAST_INTEGER] = 7, [AF_QL_CAST_UNSIGNED] = 6, [AF_QL_CAST_STRING] = 5, [AF_QL_CAST_BOOLEAN] = 4,
        [AF_QL_CAST_TIME] = 3,  [AF_QL_CAST_TAG] = 2,     [AF_QL_CAST_FIELD] = 1,    [AF_QL_CAST_NONE] = 0,
    };
    return ranks[type];
}

bool lower_type_less(enum af_ql_cast a, enum af_ql_cast b)
{
    return rank_of(a) < rank_of(b);
}

const char *lower_type_name(enum af_ql_cast type)
{
    static const char *const names[] = {
        [AF_QL_CAST_NONE] = "unknown",     [AF_QL_CAST_FLOAT] = "float",     [AF_QL_CAST_INTEGER] = "integer",
        [AF_QL_CAST_UNSIGNED] = "unsigned", [AF_QL_CAST_STRING] = "string",  [AF_QL_CAST_BOOLEAN] = "boolean",
        [AF_QL_CAST_FIELD] = "field",      [AF_QL_CAST_TAG] = "tag",         [AF_QL_CAST_TIME] = "time",
    };
    return names[type];
}

enum af_type lower_plan_type(enum af_ql_cast type)
{
    static const enum af_type types[] = {
        [AF_QL_CAST_NONE] = AF_TYPE_NULL,     [AF_QL_CAST_FLOAT] = AF_TYPE_F64,    [AF_QL_CAST_INTEGER] = AF_TYPE_I64,
        [AF_QL_CAST_UNSIGNED] = AF_TYPE_U64,  [AF_QL_CAST_STRING] = AF_TYPE_STRING, [AF_QL_CAST_BOOLEAN] = AF_TYPE_BOOL,
        [AF_QL_CAST_FIELD] = AF_TYPE_F64,     [AF_QL_CAST_TAG] = AF_TYPE_STRING,   [AF_QL_CAST_TIME] = AF_TYPE_TIME,
    };
    return types[type];
}

enum af_ql_cast lower_type_of_plan(enum af_type type)
{
    switch ((int)type) {
    case AF_TYPE_F64: return AF_QL_CAST_FLOAT;
    case AF_TYPE_I64: return AF_QL_CAST_INTEGER;
    case AF_TYPE_U64: return AF_QL_CAST_UNSIGNED;
    case AF_TYPE_STRING: return AF_QL_CAST_STRING;
    case AF_TYPE_BOOL: return AF_QL_CAST_BOOLEAN;
    default: return AF_QL_CAST_NONE;
    }
}

/* --- names ------------------------------------------------------------------------------------------------------------------------- */

enum af_ql_cast lower_field_type(const struct place *place, const char *name)
{
    size_t low = 0, high = place->field_count;
    struct af_slice wanted = af_slice_of(name);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = af_slice_cmp(wanted, place->fields[mid].name);
        if (order == 0)
            return lower_type_of_plan(place->fields[mid].type);
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return AF_QL_CAST_NONE;
}

bool lower_has_tag(const struct place *place, const char *name)
{
    size_t low = 0, high = place->tag_count;
    struct af_slice wanted = af_slice_of(name);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = af_slice_cmp(wanted, place->tags[mid]);
        if (order == 0)
            return true;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return false;
}

static enum af_ql_cast type_in_place(const struct place *place, const char *name)
{
    enum af_ql_cast type = lower_field_type(place, name);
    if (strcmp(name, "_name") == 0)
        return AF_QL_CAST_STRING;
    return type == AF_QL_CAST_NONE && lower_has_tag(place, name) ? AF_QL_CAST_TAG : type;
}

bool lower_sub_groups_by(const struct query *sub, const char *name)
{
    for (size_t i = 0; i < sub->select->dimension_count; i++)
        if (sub->select->dimensions[i]->kind == AF_QL_REF && strcmp(sub->select->dimensions[i]->name, name) == 0)
            return true;
    return false;
}

/* Names of fields as they are without looking at others: a second "mean" is found as nothing but the first. */
enum af_status lower_sub_column(struct lowering *lo, const struct query *sub, const char *name, size_t *out, struct af_ql_expr **out_expr,
                                struct af_error *err)
{
    const struct af_ql_select *select = sub->select;
    size_t column = 0;
    *out = SIZE_MAX;
    for (size_t i = 0; i < select->field_count; i++, column++) {
        struct af_ql_expr *expr = select->fields[i].expr;
        const char *own = lower_field_name(lo->arena, &select->fields[i]);
        if (own == NULL)
            return lower_nomem(lo, err);
        bool is_top = lower_is_call(expr, "top") || lower_is_call(expr, "bottom");
        if (strcmp(own, name) == 0) {
            *out = column;
            *out_expr = expr;
            return AF_OK;
        }
        for (size_t j = 1; is_top && j + 1 < expr->arg_count; j++) {
            column++;
            if (strcmp(expr->args[j]->name, name) == 0) {
                *out = column;
                *out_expr = expr->args[j];
                return AF_OK;
            }
        }
    }
    return AF_OK;
}

static enum af_status type_in_sub(struct lowering *lo, const struct query *sub, const char *name, enum af_ql_cast *type,
                                  struct af_error *err)
{
    size_t column;
    struct af_ql_expr *expr = NULL;
    AF_TRY(lower_sub_column(lo, sub, name, &column, &expr, err));
    enum af_ql_cast found = AF_QL_CAST_NONE;
    if (column != SIZE_MAX && lower_expr_type(expr, &found, NULL) == AF_OK && lower_type_less(*type, found))
        *type = found;
    if (*type == AF_QL_CAST_NONE && lower_sub_groups_by(sub, name))
        *type = AF_QL_CAST_TAG;
    return AF_OK;
}

enum af_status lower_name_type(struct lowering *lo, const struct query *query, const char *name, enum af_ql_cast *out, struct af_error *err)
{
    enum af_ql_cast type = AF_QL_CAST_NONE;
    for (size_t i = 0; i < query->select->source_count; i++) {
        const struct origin *origin = &query->origins[i];
        if (origin->sub != NULL)
            AF_TRY(type_in_sub(lo, origin->sub, name, &type, err));
        for (size_t j = 0; j < origin->place_count; j++) {
            enum af_ql_cast found = type_in_place(origin->places[j], name);
            if (lower_type_less(type, found))
                type = found;
        }
    }
    *out = type;
    return AF_OK;
}

/* --- expressions --------------------------------------------------------------------------------------------------------------------- */

static bool is_number_type(enum af_ql_cast type)
{
    return type == AF_QL_CAST_FLOAT || type == AF_QL_CAST_INTEGER || type == AF_QL_CAST_UNSIGNED;
}

static bool is_bitwise(enum af_ql_op op)
{
    return op == AF_QL_BIT_AND || op == AF_QL_BIT_OR || op == AF_QL_BIT_XOR;
}

/* Both are known. NONE: they do not go together. */
static enum af_ql_cast type_of_pair(enum af_ql_op op, enum af_ql_cast a, enum af_ql_cast b)
{
    if (op == AF_QL_EQ || op == AF_QL_NEQ || op == AF_QL_LT || op == AF_QL_LTE || op == AF_QL_GT || op == AF_QL_GTE)
        return AF_QL_CAST_BOOLEAN;
    if (a == AF_QL_CAST_BOOLEAN)
        return is_bitwise(op) || op == AF_QL_AND || op == AF_QL_OR ? AF_QL_CAST_BOOLEAN : AF_QL_CAST_NONE;
    if (op == AF_QL_EQREGEX || op == AF_QL_NEQREGEX)
        return a == AF_QL_CAST_STRING || a == AF_QL_CAST_TAG ? AF_QL_CAST_BOOLEAN : AF_QL_CAST_NONE;
    if (!is_number_type(a) || !is_number_type(b) || op == AF_QL_AND || op == AF_QL_OR)
        return AF_QL_CAST_NONE;
    if (a == AF_QL_CAST_FLOAT || b == AF_QL_CAST_FLOAT)
        return is_bitwise(op) ? AF_QL_CAST_NONE : AF_QL_CAST_FLOAT;
    return a == AF_QL_CAST_UNSIGNED || b == AF_QL_CAST_UNSIGNED ? AF_QL_CAST_UNSIGNED : AF_QL_CAST_INTEGER;
}

static enum af_status type_error(const struct af_ql_expr *expr, struct af_error *err, const char *what)
{
    char text[300];
    lower_print(expr, text, sizeof text);
    return af_fail(err, AF_EINVAL, "type error: %s: %s", text, what);
}

/* Unsigned and integer do not mix, unless the integer is a literal. */
static enum af_status check_signs(const struct af_ql_expr *expr, enum af_ql_cast a, enum af_ql_cast b, struct af_error *err)
{
    const struct af_ql_expr *of_unsigned = a == AF_QL_CAST_UNSIGNED ? expr->left : expr->right;
    const struct af_ql_expr *of_integer = a == AF_QL_CAST_UNSIGNED ? expr->right : expr->left;
    char what[120];
    if (!((a == AF_QL_CAST_UNSIGNED && b == AF_QL_CAST_INTEGER) || (a == AF_QL_CAST_INTEGER && b == AF_QL_CAST_UNSIGNED)))
        return AF_OK;
    if (lower_is_literal(of_unsigned))
        (void)snprintf(what, sizeof what, "cannot use %s with an integer and unsigned literal", af_ql_op_text(expr->op));
    else if (!lower_is_literal(of_integer))
        (void)snprintf(what, sizeof what, "cannot use %s between an integer and unsigned, an explicit cast is required",
                       af_ql_op_text(expr->op));
    else
        return AF_OK;
    return type_error(expr, err, what);
}

static enum af_status type_of_binary(const struct af_ql_expr *expr, enum af_ql_cast *out, struct af_error *err)
{
    enum af_ql_cast a, b;
    AF_TRY(lower_expr_type(expr->left, &a, err));
    AF_TRY(lower_expr_type(expr->right, &b, err));
    AF_TRY(check_signs(expr, a, b, err));
    *out = a == AF_QL_CAST_NONE ? b : b == AF_QL_CAST_NONE ? a : type_of_pair(expr->op, a, b);
    if (*out != AF_QL_CAST_NONE || a == AF_QL_CAST_NONE || b == AF_QL_CAST_NONE)
        return AF_OK;
    char what[80];
    (void)snprintf(what, sizeof what, "incompatible types: %s and %s", lower_type_name(a), lower_type_name(b));
    return type_error(expr, err, what);
}

static enum af_status type_of_call(const struct af_ql_expr *expr, enum af_ql_cast *out, struct af_error *err)
{
    enum af_ql_cast first = AF_QL_CAST_NONE;
    for (size_t i = expr->arg_count; i-- > 0;)
        AF_TRY(lower_expr_type(expr->args[i], &first, err));
    const struct call_name *known = lower_call_name(expr->name);
    *out = first;
    if (known == NULL)
        return AF_OK;
    switch (known->group) {
    case CALL_MATH: /* called what goes in, whatever comes out */
        *out = first != AF_QL_CAST_NONE ? first : AF_QL_CAST_FLOAT;
        break;
    case CALL_AGGREGATE:
        if (known->fn == AF_FN_COUNT)
            *out = AF_QL_CAST_INTEGER;
        else if (known->fn == AF_FN_MEAN || known->fn == AF_FN_MEDIAN || known->fn == AF_FN_STDDEV)
            *out = AF_QL_CAST_FLOAT;
        break;
    case CALL_DERIVATIVE:
        *out = known->fn == AF_FN_ELAPSED ? AF_QL_CAST_INTEGER : AF_QL_CAST_FLOAT;
        break;
    case CALL_MOVING_AVERAGE: case CALL_EMA: case CALL_KAUFMAN: case CALL_CMO: case CALL_INTEGRAL: case CALL_HOLT_WINTERS:
        *out = AF_QL_CAST_FLOAT;
        break;
    case CALL_SELECTOR: case CALL_PERCENTILE: case CALL_SAMPLE: case CALL_DISTINCT: case CALL_TOP: case CALL_DIFFERENCE:
        break;
    }
    return AF_OK;
}

enum af_status lower_expr_type(const struct af_ql_expr *expr, enum af_ql_cast *out, struct af_error *err)
{
    *out = AF_QL_CAST_NONE;
    switch (expr->kind) {
    case AF_QL_REF:
        *out = expr->cast;
        return AF_OK;
    case AF_QL_CALL:
        return type_of_call(expr, out, err);
    case AF_QL_BINARY:
        return type_of_binary(expr, out, err);
    case AF_QL_PAREN:
        return lower_expr_type(expr->left, out, err);
    case AF_QL_NUMBER:
        *out = AF_QL_CAST_FLOAT;
        return AF_OK;
    case AF_QL_INTEGER:
        *out = AF_QL_CAST_INTEGER;
        return AF_OK;
    case AF_QL_UNSIGNED:
        *out = AF_QL_CAST_UNSIGNED;
        return AF_OK;
    case AF_QL_STRING:
        *out = AF_QL_CAST_STRING;
        return AF_OK;
    case AF_QL_BOOLEAN:
        *out = AF_QL_CAST_BOOLEAN;
        return AF_OK;
    case AF_QL_WILDCARD: case AF_QL_DISTINCT: case AF_QL_DURATION: case AF_QL_TIME: case AF_QL_REGEX: case AF_QL_LIST: case AF_QL_NIL:
        break;
    }
    return AF_OK;
}
