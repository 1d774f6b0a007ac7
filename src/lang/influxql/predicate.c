/*
 * predicate.c - a condition without times, as tests of tags.
 *
 *     host = 'a'         EQUAL                       host =~ /a/      MATCH
 *     host != 'a'        NOT_EQUAL                   host = other     both are there (InfluxDB compares no values of two tags)
 *     true, false        AND of nothing, OR of nothing
 *
 * A test that no tag can answer is refused where something would be deleted, and holds where something is shown.
 */
#include "lang/influxql/parse_int.h"

struct builder {
    bool is_loose;
    bool (*is_field)(void *ctx, const char *name);
    void *ctx;
    struct af_arena *arena;
    struct af_error *err;
};

static enum af_status make(const struct builder *b, struct af_predicate predicate, const struct af_predicate **out)
{
    struct af_predicate *made = af_arena_zero(b->arena, 1, sizeof *made);
    if (made == NULL)
        return af_arena_fail(b->arena, sizeof *made, "a query's condition", b->err);
    *made = predicate;
    *out = made;
    return AF_OK;
}

static enum af_status make_pair(const struct builder *b, enum af_predicate_op op, const struct af_predicate *left,
                                const struct af_predicate *right, const struct af_predicate **out)
{
    const struct af_predicate **items = af_arena_zero(b->arena, 2, sizeof *items);
    if (items == NULL)
        return af_arena_fail(b->arena, 2 * sizeof *items, "a query's condition", b->err);
    items[0] = left;
    items[1] = right;
    return make(b, (struct af_predicate){ .op = op, .items = items, .item_count = 2 }, out);
}

static enum af_status make_constant(const struct builder *b, bool holds, const struct af_predicate **out)
{
    return make(b, (struct af_predicate){ .op = holds ? AF_PREDICATE_AND : AF_PREDICATE_OR }, out);
}

static enum af_status not_of_tags(const struct builder *b, const struct af_predicate **out)
{
    if (b->is_loose)
        return make_constant(b, true, out);
    return af_fail(b->err, AF_EINVAL, "fields not supported in WHERE clause during deletion");
}

static bool is_tag(const struct builder *b, const struct af_ql_expr *ref)
{
    if (ref->cast != AF_QL_CAST_NONE)
        return ref->cast == AF_QL_CAST_TAG;
    return b->is_field == NULL || !b->is_field(b->ctx, ref->name);
}

/* Whether the tag is there. */
static enum af_status make_presence(const struct builder *b, const struct af_ql_expr *ref, bool is_there, const struct af_predicate **out)
{
    enum af_predicate_op op = is_there ? AF_PREDICATE_NOT_EQUAL : AF_PREDICATE_EQUAL;
    return make(b, (struct af_predicate){ .op = op, .tag = af_slice_of(ref->name), .value = { "", 0 } }, out);
}

static enum af_status compare_tags(const struct builder *b, enum af_ql_op op, const struct af_ql_expr *left, const struct af_ql_expr *right,
                                   const struct af_predicate **out)
{
    const struct af_predicate *first, *second;
    AF_TRY(make_presence(b, left, true, &first));
    AF_TRY(make_presence(b, right, op == AF_QL_EQ, &second));
    return make_pair(b, AF_PREDICATE_AND, first, second, out);
}

static enum af_status compare(const struct builder *b, const struct af_ql_expr *expr, const struct af_predicate **out)
{
    const struct af_ql_expr *key = expr->left, *value = expr->right;
    if (key->kind != AF_QL_REF) {
        key = expr->right;
        value = expr->left;
    }
    if (key->kind != AF_QL_REF || !is_tag(b, key) || (value->kind == AF_QL_REF && !is_tag(b, value)))
        return not_of_tags(b, out);
    if (strcmp(key->name, "_name") == 0)
        return af_fail(b->err, AF_EINVAL, "_name cannot be compared here; name the measurement behind FROM");
    struct af_predicate test = { .tag = af_slice_of(key->name), .value = value->text };
    switch (value->kind) {
    case AF_QL_REGEX:
        test.op = expr->op == AF_QL_EQREGEX ? AF_PREDICATE_MATCH : AF_PREDICATE_NOT_MATCH;
        test.regex = value->regex;
        return make(b, test, out);
    case AF_QL_STRING:
    case AF_QL_REF:
        /* InfluxDB takes every other operator for != where series are looked up; a DELETE should not. */
        if (expr->op != AF_QL_EQ && expr->op != AF_QL_NEQ)
            return af_fail(b->err, AF_EINVAL, "invalid tag comparison operator");
        test.op = expr->op == AF_QL_EQ ? AF_PREDICATE_EQUAL : AF_PREDICATE_NOT_EQUAL;
        return value->kind == AF_QL_STRING ? make(b, test, out) : compare_tags(b, expr->op, key, value, out);
    default:
        return not_of_tags(b, out);
    }
}

static enum af_status build(const struct builder *b, const struct af_ql_expr *expr, const struct af_predicate **out)
{
    const struct af_predicate *left, *right;
    switch (expr->kind) {
    case AF_QL_PAREN:
        return build(b, expr->left, out);
    case AF_QL_BOOLEAN:
        return make_constant(b, expr->boolean, out);
    case AF_QL_BINARY:
        if (expr->op != AF_QL_AND && expr->op != AF_QL_OR)
            return compare(b, expr, out);
        AF_TRY(build(b, expr->left, &left));
        AF_TRY(build(b, expr->right, &right));
        return make_pair(b, expr->op == AF_QL_AND ? AF_PREDICATE_AND : AF_PREDICATE_OR, left, right, out);
    default:
        return make_constant(b, false, out);
    }
}

static enum af_status run(const struct builder *b, const struct af_ql_expr *condition, const struct af_predicate **out)
{
    const struct af_predicate *made = NULL;
    if (condition != NULL)
        AF_TRY(build(b, condition, &made));
    *out = made;
    return AF_OK;
}

enum af_status af_ql_predicate(const struct af_ql_expr *condition, struct af_arena *arena, const struct af_predicate **out,
                               struct af_error *err)
{
    return run(&(struct builder){ .arena = arena, .err = err }, condition, out);
}

enum af_status af_ql_predicate_of_tags(const struct af_ql_expr *condition, bool (*is_field)(void *ctx, const char *name), void *ctx,
                                       struct af_arena *arena, const struct af_predicate **out, struct af_error *err)
{
    struct builder b = { .is_loose = true, .is_field = is_field, .ctx = ctx, .arena = arena, .err = err };
    return run(&b, condition, out);
}
