/*
 * lower_expr.c - expressions of fields and conditions as expressions of the plan.
 *
 * Three dialects of one language, as InfluxDB has them:
 *     fields      1 / 2 is 0.5; what is missing beside a boolean is false
 *     conditions  of a measurement: 1 / 2 is 0; what is missing makes every comparison false; tests of tags by = != =~ !~ with a literal
 *                 see a missing tag as the empty text, all others see nothing
 *     conditions  of a subquery: 1 / 2 is 0; what is missing beside a boolean is false
 * Comparisons of what cannot be compared are false, not errors, and there is no order of text or booleans.
 */
#include "lang/influxql/lower_int.h"

/* --- small ones ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status literal(struct lowering *lo, struct af_value value, const struct af_expr **out, struct af_error *err)
{
    *out = af_expr_literal(lo->arena, value);
    return *out != NULL ? AF_OK : lower_nomem(lo, err);
}

static enum af_status falsehood(struct lowering *lo, const struct af_expr **out, struct af_error *err)
{
    return literal(lo, af_value_bool(false), out, err);
}

enum af_status lower_fn(struct lowering *lo, enum af_fn fn, const struct af_expr *a, const struct af_expr *b, const struct af_expr **out,
                        struct af_error *err)
{
    return af_expr_call(lo->arena, fn, (const struct af_expr *const[]){ a, b }, b != NULL ? 2 : 1, NULL, out, err);
}

enum af_status lower_cast(struct lowering *lo, const struct af_expr *value, enum af_type type, bool keep, const struct af_expr **out,
                          struct af_error *err)
{
    enum af_fn fn = type == AF_TYPE_F64 ? AF_FN_TO_FLOAT : type == AF_TYPE_I64 ? AF_FN_TO_INTEGER : type == AF_TYPE_U64 ? AF_FN_TO_UNSIGNED
                    : type == AF_TYPE_STRING ? AF_FN_TO_STRING : AF_FN_TO_BOOLEAN;
    bool is_number = value->type == AF_TYPE_F64 || value->type == AF_TYPE_I64 || value->type == AF_TYPE_U64;
    bool to_number = type == AF_TYPE_F64 || type == AF_TYPE_I64 || type == AF_TYPE_U64;
    *out = value;
    if (value->type == type || type == AF_TYPE_NULL || type == AF_TYPE_TIME)
        return AF_OK;
    if (value->type == AF_TYPE_NULL || (is_number && to_number))
        return lower_fn(lo, fn, value, NULL, out, err);
    if (keep)
        return AF_OK;
    const struct af_expr *nothing;
    AF_TRY(literal(lo, af_value_none(), &nothing, err));
    return lower_fn(lo, fn, nothing, NULL, out, err);
}

static bool is_number_type(enum af_type type)
{
    return type == AF_TYPE_F64 || type == AF_TYPE_I64 || type == AF_TYPE_U64;
}

static const struct af_ql_expr *unwrap(const struct af_ql_expr *expr)
{
    while (expr->kind == AF_QL_PAREN)
        expr = expr->left;
    return expr;
}

static const struct binding *find_binding(const struct bindings *bindings, const struct af_ql_expr *expr)
{
    uint64_t hash = lookup_expr(expr);
    for (size_t i = lookup_first(&bindings->lookup, hash); i != SIZE_MAX; i = lookup_next(&bindings->lookup, i, hash))
        if (lower_expr_eq(bindings->items[i].expr, expr))
            return &bindings->items[i];
    return NULL;
}

static bool is_compare(enum af_ql_op op)
{
    return op == AF_QL_EQ || op == AF_QL_NEQ || op == AF_QL_LT || op == AF_QL_LTE || op == AF_QL_GT || op == AF_QL_GTE;
}

static enum af_fn fn_of(enum af_ql_op op)
{
    static const enum af_fn fns[] = {
        [AF_QL_ADD] = AF_FN_ADD,          [AF_QL_SUB] = AF_FN_SUBTRACT,       [AF_QL_MUL] = AF_FN_MULTIPLY,
        [AF_QL_DIV] = AF_FN_DIVIDE,       [AF_QL_MOD] = AF_FN_MODULO,         [AF_QL_BIT_AND] = AF_FN_BIT_AND,
        [AF_QL_BIT_OR] = AF_FN_BIT_OR,    [AF_QL_BIT_XOR] = AF_FN_BIT_XOR,    [AF_QL_AND] = AF_FN_AND,
        [AF_QL_OR] = AF_FN_OR,            [AF_QL_EQ] = AF_FN_EQUAL,           [AF_QL_NEQ] = AF_FN_NOT_EQUAL,
        [AF_QL_EQREGEX] = AF_FN_MATCH,    [AF_QL_NEQREGEX] = AF_FN_NOT_MATCH, [AF_QL_LT] = AF_FN_LESS,
        [AF_QL_LTE] = AF_FN_LESS_EQUAL,   [AF_QL_GT] = AF_FN_GREATER,         [AF_QL_GTE] = AF_FN_GREATER_EQUAL,
    };
    return fns[op];
}

/* --- tests of tags in a measurement's condition -------------------------------------------------------------------------------------- */

static const struct binding *tag_binding(const struct bindings *bindings, const struct af_ql_expr *expr)
{
    const struct binding *binding = expr->kind == AF_QL_REF ? find_binding(bindings, expr) : NULL;
    return binding != NULL && binding->is_tag ? binding : NULL;
}

/* The text of a tag with "" for none. */
static enum af_status text_of_tag(struct lowering *lo, const struct binding *tag, const struct af_expr **out, struct af_error *err)
{
    const struct af_expr *empty;
    AF_TRY(literal(lo, af_value_text(AF_SLICE_LIT("")), &empty, err));
    *out = empty;
    return tag->value->type == AF_TYPE_NULL ? AF_OK : lower_fn(lo, AF_FN_COALESCE, tag->value, empty, out, err);
}

static enum af_status build_tag_pair(struct lowering *lo, enum af_ql_op op, const struct binding *a, const struct binding *b,
                                     const struct af_expr **out, struct af_error *err)
{
    const struct af_expr *left, *right, *empty, *same, *there;
    if (op != AF_QL_EQ && op != AF_QL_NEQ)
        return falsehood(lo, out, err);
    AF_TRY(text_of_tag(lo, a, &left, err));
    AF_TRY(text_of_tag(lo, b, &right, err));
    AF_TRY(literal(lo, af_value_text(AF_SLICE_LIT("")), &empty, err));
    AF_TRY(lower_fn(lo, op == AF_QL_EQ ? AF_FN_EQUAL : AF_FN_NOT_EQUAL, left, right, &same, err));
    AF_TRY(lower_fn(lo, op == AF_QL_EQ ? AF_FN_NOT_EQUAL : AF_FN_EQUAL, left, empty, &there, err));
    return lower_fn(lo, op == AF_QL_EQ ? AF_FN_AND : AF_FN_OR, same, there, out, err);
}

/* A tag beside a literal, a regex or another tag: the index answers these. *out NULL: it is another kind of test. */
static enum af_status build_tag_test(struct lowering *lo, const struct bindings *bindings, const struct af_ql_expr *expr,
                                     const struct af_expr **out, struct af_error *err)
{
    const struct binding *left = tag_binding(bindings, expr->left), *right = tag_binding(bindings, expr->right);
    const struct binding *tag = left != NULL ? left : right;
    const struct af_ql_expr *other = left != NULL ? expr->right : expr->left;
    const struct af_expr *text, *value;
    *out = NULL;
    if (left != NULL && right != NULL)
        return build_tag_pair(lo, expr->op, left, right, out, err);
    if (tag == NULL || (other->kind != AF_QL_STRING && other->kind != AF_QL_REGEX))
        return AF_OK;
    AF_TRY(text_of_tag(lo, tag, &text, err));
    if (other->kind == AF_QL_REGEX && (expr->op == AF_QL_EQREGEX || expr->op == AF_QL_NEQREGEX))
        return af_expr_call(lo->arena, fn_of(expr->op), &text, 1, other->regex, out, err);
    if (other->kind == AF_QL_REGEX || (expr->op != AF_QL_EQ && expr->op != AF_QL_NEQ))
        return falsehood(lo, out, err);
    AF_TRY(literal(lo, af_value_text(other->text), &value, err));
    return lower_fn(lo, fn_of(expr->op), text, value, out, err);
}

static enum af_status build_name_test(struct lowering *lo, const struct bindings *bindings, const struct af_ql_expr *expr,
                                      const struct af_expr **out, struct af_error *err)
{
    bool is_left = expr->left->kind == AF_QL_REF && strcmp(expr->left->name, "_name") == 0;
    bool is_right = !is_left && expr->right->kind == AF_QL_REF && strcmp(expr->right->name, "_name") == 0;
    const struct af_ql_expr *other = is_left ? expr->right : expr->left;
    bool matches = false;
    *out = NULL;
    if ((!is_left && !is_right) || bindings->measurement == NULL)
        return AF_OK;
    if (other->kind == AF_QL_STRING && (expr->op == AF_QL_EQ || expr->op == AF_QL_NEQ))
        matches = af_slice_is(other->text, bindings->measurement) == (expr->op == AF_QL_EQ);
    if (other->kind == AF_QL_REGEX) {
        AF_TRY(af_regex_match(other->regex, af_slice_of(bindings->measurement), &matches, err));
        matches = matches == (expr->op == AF_QL_EQREGEX);
    }
    return literal(lo, af_value_bool(matches), out, err);
}

/* --- operands and operators ---------------------------------------------------------------------------------------------------------- */

/* A comparison inside of something that would see that it is null. */
static enum af_status build_operand(struct lowering *lo, const struct bindings *bindings, struct af_ql_expr *expr,
                                    const struct af_expr **out, struct af_error *err)
{
    const struct af_ql_expr *inner = unwrap(expr);
    AF_TRY(lower_expr(lo, bindings, expr, out, err));
    bool is_test = inner->kind == AF_QL_BINARY && (is_compare(inner->op) || inner->op == AF_QL_AND || inner->op == AF_QL_OR);
    if (!is_test || (*out)->type != AF_TYPE_BOOL)
        return AF_OK;
    const struct af_expr *no;
    AF_TRY(falsehood(lo, &no, err));
    return lower_fn(lo, AF_FN_COALESCE, *out, no, out, err);
}

/* In place of *value, where `other` is there: false if it is missing. */
static enum af_status false_beside(struct lowering *lo, const struct af_expr **value, const struct af_expr *other, struct af_error *err)
{
    const struct af_expr *no, *instead;
    AF_TRY(falsehood(lo, &no, err));
    if ((*value)->type == AF_TYPE_NULL) {
        *value = no;
        return AF_OK;
    }
    AF_TRY(lower_fn(lo, AF_FN_BIT_AND, other, no, &instead, err));
    return lower_fn(lo, AF_FN_COALESCE, *value, instead, value, err);
}

static enum af_status build_booleans(struct lowering *lo, const struct bindings *bindings, enum af_ql_op op, const struct af_expr *a,
                                     const struct af_expr *b, const struct af_expr **out, struct af_error *err)
{
    const struct af_expr *left = a, *right = b;
    bool is_bitwise = op == AF_QL_BIT_AND || op == AF_QL_BIT_OR || op == AF_QL_BIT_XOR;
    if (!is_bitwise && op != AF_QL_EQ && op != AF_QL_NEQ)
        return is_compare(op) ? falsehood(lo, out, err) : literal(lo, af_value_none(), out, err);
    if (bindings->rules != RULES_CONDITION) {
        AF_TRY(false_beside(lo, &left, b, err));
        AF_TRY(false_beside(lo, &right, a, err));
    }
    return lower_fn(lo, fn_of(op), left, right, out, err);
}

static enum af_status build_numbers(struct lowering *lo, const struct bindings *bindings, enum af_ql_op op, const struct af_expr *a,
                                    const struct af_expr *b, const struct af_expr **out, struct af_error *err)
{
    bool is_float = a->type == AF_TYPE_F64 || b->type == AF_TYPE_F64;
    bool is_bitwise = op == AF_QL_BIT_AND || op == AF_QL_BIT_OR || op == AF_QL_BIT_XOR;
    enum af_fn fn = fn_of(op);
    if (op == AF_QL_AND || op == AF_QL_OR || op == AF_QL_EQREGEX || op == AF_QL_NEQREGEX || (is_bitwise && is_float))
        return literal(lo, af_value_none(), out, err);
    if (op == AF_QL_DIV && !is_float && (bindings->rules != RULES_FIELDS || a->type != AF_TYPE_I64 || b->type != AF_TYPE_I64))
        fn = AF_FN_DIVIDE_INTEGER;
    return lower_fn(lo, fn, a, b, out, err);
}

static enum af_status build_pair(struct lowering *lo, const struct bindings *bindings, enum af_ql_op op, const struct af_expr *a,
                                 const struct af_expr *b, const struct af_expr **out, struct af_error *err)
{
    bool a_bool = a->type == AF_TYPE_BOOL, a_null = a->type == AF_TYPE_NULL;
    bool b_bool = b->type == AF_TYPE_BOOL, b_null = b->type == AF_TYPE_NULL;
    if ((a_bool && (b_bool || b_null)) || (b_bool && a_null))
        return build_booleans(lo, bindings, op, a, b, out, err);
    if (is_number_type(a->type) && is_number_type(b->type))
        return build_numbers(lo, bindings, op, a, b, out, err);
    if (a->type == AF_TYPE_STRING && b->type == AF_TYPE_STRING && (op == AF_QL_EQ || op == AF_QL_NEQ))
        return lower_fn(lo, fn_of(op), a, b, out, err);
    return is_compare(op) || a_bool ? falsehood(lo, out, err) : literal(lo, af_value_none(), out, err);
}

enum af_status lower_join(struct lowering *lo, enum af_fn fn, const struct af_expr **items, size_t count, const struct af_expr **out,
                          struct af_error *err)
{
    while (count > 1) {
        for (size_t i = 0; i < count / 2; i++)
            AF_TRY(lower_fn(lo, fn, items[2 * i], items[2 * i + 1], &items[i], err));
        if (count % 2 != 0)
            items[count / 2] = items[count - 1];
        count = (count + 1) / 2;
    }
    *out = items[0];
    return AF_OK;
}

static enum af_status build_chain(struct lowering *lo, const struct bindings *bindings, struct af_ql_expr *expr, const struct af_expr **out,
                                  struct af_error *err)
{
    struct af_ql_expr **parts;
    size_t count;
    AF_TRY(lower_chain(lo, expr, expr->op, &parts, &count, err));
    const struct af_expr **items = af_arena_zero(lo->arena, count, sizeof *items);
    if (items == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < count; i++)
        AF_TRY(lower_condition(lo, bindings, parts[i], &items[i], err));
    return lower_join(lo, fn_of(expr->op), items, count, out, err);
}

static enum af_status build_binary(struct lowering *lo, const struct bindings *bindings, struct af_ql_expr *expr,
                                   const struct af_expr **out, struct af_error *err)
{
    const struct af_expr *a, *b;
    if (expr->op == AF_QL_AND || expr->op == AF_QL_OR)
        return build_chain(lo, bindings, expr, out, err);
    if (bindings->rules == RULES_CONDITION) {
        AF_TRY(build_name_test(lo, bindings, expr, out, err));
        if (*out == NULL)
            AF_TRY(build_tag_test(lo, bindings, expr, out, err));
        if (*out != NULL)
            return AF_OK;
    }
    AF_TRY(build_operand(lo, bindings, expr->left, &a, err));
    if (expr->right->kind == AF_QL_REGEX) {
        if (a->type != AF_TYPE_STRING)
            return falsehood(lo, out, err);
        return af_expr_call(lo->arena, fn_of(expr->op), &a, 1, expr->right->regex, out, err);
    }
    AF_TRY(build_operand(lo, bindings, expr->right, &b, err));
    return build_pair(lo, bindings, expr->op, a, b, out, err);
}

/* Mathematics of what is no number is nothing. */
static enum af_status build_math(struct lowering *lo, const struct bindings *bindings, const struct af_ql_expr *expr,
                                 const struct af_expr **out, struct af_error *err)
{
    const struct call_name *known = lower_call_name(expr->name);
    const struct af_expr *args[2] = { NULL, NULL };
    if (known == NULL || known->group != CALL_MATH || expr->arg_count == 0 || expr->arg_count > 2)
        return literal(lo, af_value_none(), out, err);
    for (size_t i = 0; i < expr->arg_count; i++) {
        AF_TRY(build_operand(lo, bindings, expr->args[i], &args[i], err));
        if (!is_number_type(args[i]->type))
            return literal(lo, af_value_none(), out, err);
    }
    return lower_fn(lo, known->fn, args[0], args[1], out, err);
}

static enum af_status build_name(struct lowering *lo, const struct binding *binding, const struct af_expr **out, struct af_error *err)
{
    if (binding == NULL)
        return literal(lo, af_value_none(), out, err);
    *out = binding->value;
    return AF_OK;
}

enum af_status lower_expr(struct lowering *lo, const struct bindings *bindings, struct af_ql_expr *expr, const struct af_expr **out,
                          struct af_error *err)
{
    switch (expr->kind) {
    case AF_QL_REF:
        return build_name(lo, find_binding(bindings, expr), out, err);
    case AF_QL_CALL: {
        const struct binding *binding = find_binding(bindings, expr);
        return binding != NULL ? build_name(lo, binding, out, err) : build_math(lo, bindings, expr, out, err);
    }
    case AF_QL_BINARY:
        return build_binary(lo, bindings, expr, out, err);
    case AF_QL_PAREN:
        return lower_expr(lo, bindings, expr->left, out, err);
    case AF_QL_NUMBER:
        return literal(lo, af_value_f64(expr->number), out, err);
    case AF_QL_INTEGER:
        return literal(lo, af_value_i64(expr->integer), out, err);
    case AF_QL_UNSIGNED:
        return literal(lo, af_value_u64(expr->unsigned_integer), out, err);
    case AF_QL_STRING:
        return literal(lo, af_value_text(expr->text), out, err);
    case AF_QL_BOOLEAN:
        return literal(lo, af_value_bool(expr->boolean), out, err);
    case AF_QL_WILDCARD: case AF_QL_DISTINCT: case AF_QL_DURATION: case AF_QL_TIME: case AF_QL_REGEX: case AF_QL_LIST: case AF_QL_NIL:
        break;
    }
    return literal(lo, af_value_none(), out, err);
}

enum af_status lower_condition(struct lowering *lo, const struct bindings *bindings, struct af_ql_expr *expr, const struct af_expr **out,
                               struct af_error *err)
{
    AF_TRY(lower_expr(lo, bindings, expr, out, err));
    return (*out)->type == AF_TYPE_BOOL ? AF_OK : falsehood(lo, out, err);
}

/* --- maps ----------------------------------------------------------------------------------------------------------------------------- */

enum af_status lower_map(struct lowering *lo, const struct af_node *in, const struct af_expr *const *exprs, const char *const *names,
                         size_t count, const struct af_node **out, struct af_error *err)
{
    bool is_same = in->schema.field_count == count + 1;
    for (size_t i = 0; i < count && is_same; i++)
        is_same = exprs[i]->kind == AF_EXPR_COLUMN && exprs[i]->column == i + 1 && strcmp(in->schema.fields[i + 1].name, names[i]) == 0;
    if (is_same) {
        *out = in;
        return AF_OK;
    }
    struct af_plan_map map = { .exprs = exprs, .names = names, .count = count };
    return af_plan_map(lo->plan, in, &map, out, err);
}

enum af_status lower_nothing(struct lowering *lo, const char *const *names, const enum af_type *types, size_t count,
                             const struct af_node **out, struct af_error *err)
{
    struct af_field *fields = af_arena_zero(lo->arena, count + 1, sizeof *fields);
    if (fields == NULL)
        return lower_nomem(lo, err);
    fields[0] = (struct af_field){ .name = "time", .type = AF_TYPE_TIME };
    for (size_t i = 0; i < count; i++)
        fields[1 + i] = (struct af_field){ .name = names[i], .type = types[i], .is_nullable = true };
    struct af_schema schema = { count + 1, fields };
    return af_plan_empty(lo->plan, &schema, out, err);
}
