/*
 * rules_filter.c - FILTER over SCAN: tests of tags become the predicate that an index answers, the rest becomes scan.filter.
 *
 *     filter and(equal(host, "a"), greater(usage, 1))          scan cpu; where host = "a"; filter greater(usage, 1)
 *       scan cpu                                          -->
 *
 * An expression has three values, a predicate two, so each expression is asked for two predicates: when is it true, when is it false. Where
 * a column of a tag is null for series without the tag, these differ: `host != "a"` is neither there, though the predicate host != "a"
 * holds.
 *
 * A part that is not about tags is unknown. AND with something unknown still says which series cannot matter: such a predicate is not
 * exact, and the expression it came from stays as a filter.
 */
#include "plan/plan_int.h"

struct pushing {
    struct af_arena *arena;
    const struct af_plan_scan *scan;
    struct af_error *err;
};
/* `predicate` NULL: unknown. Otherwise it holds for every series that has a row for which the expression has the wanted value; exact: for
 * no other, and all rows of such a series have it. */
struct pushed {
    const struct af_predicate *predicate;
    bool is_exact;
};

static enum af_status convert(const struct pushing *pushing, const struct af_expr *expr, bool wanted, struct pushed *out);

/* --- predicates ------------------------------------------------------------------------------------------------------------------ */

static enum af_status make(const struct pushing *pushing, struct af_predicate predicate, struct pushed *out)
{
    struct af_predicate *made = af_arena_zero(pushing->arena, 1, sizeof *made);
    if (made == NULL)
        return af_arena_fail(pushing->arena, sizeof *made, "a predicate", pushing->err);
    *made = predicate;
    *out = (struct pushed){ made, true };
    return AF_OK;
}

static enum af_status make_list(const struct pushing *pushing, enum af_predicate_op op, const struct af_predicate *const *items,
                                size_t count, const struct af_predicate **out)
{
    if (count == 1) {
        *out = items[0];
        return AF_OK;
    }
    struct pushed made;
    AF_TRY(make(pushing, (struct af_predicate){ .op = op, .items = items, .item_count = count }, &made));
    *out = made.predicate;
    return AF_OK;
}

/* All series or none. */
static enum af_status make_constant(const struct pushing *pushing, bool all, struct pushed *out)
{
    return make(pushing, (struct af_predicate){ .op = all ? AF_PREDICATE_AND : AF_PREDICATE_OR }, out);
}

static bool is_none(const struct af_predicate *predicate)
{
    return predicate->op == AF_PREDICATE_OR && predicate->item_count == 0;
}

/* --- tests of one tag -------------------------------------------------------------------------------------------------------------- */

static const struct af_slice *tag_of(const struct pushing *pushing, const struct af_expr *expr)
{
    size_t first = 1 + pushing->scan->field_count;
    if (expr->kind != AF_EXPR_COLUMN || expr->column < first || expr->column - first >= pushing->scan->tag_count)
        return NULL;
    return &pushing->scan->tags[expr->column - first];
}

/* The test, and that the tag is there if its column would be null otherwise. */
static enum af_status make_test(const struct pushing *pushing, const struct af_predicate *test, struct pushed *out)
{
    AF_TRY(make(pushing, *test, out));
    if (!pushing->scan->tags_null)
        return AF_OK;
    struct pushed there;
    AF_TRY(make(pushing, (struct af_predicate){ .op = AF_PREDICATE_NOT_EQUAL, .tag = test->tag, .value = AF_SLICE_LIT("") }, &there));
    const struct af_predicate **items = af_arena_zero(pushing->arena, 2, sizeof *items);
    if (items == NULL)
        return af_arena_fail(pushing->arena, 2 * sizeof *items, "a predicate", pushing->err);
    items[0] = out->predicate;
    items[1] = there.predicate;
    return make_list(pushing, AF_PREDICATE_AND, items, 2, &out->predicate);
}

static enum af_status convert_equal(const struct pushing *pushing, const struct af_expr *expr, bool wanted, struct pushed *out)
{
    bool is_tag_first = tag_of(pushing, expr->args[0]) != NULL;
    const struct af_slice *tag = tag_of(pushing, expr->args[is_tag_first ? 0 : 1]);
    const struct af_expr *other = expr->args[is_tag_first ? 1 : 0];
    if (tag == NULL || other->kind != AF_EXPR_LITERAL || other->type != AF_TYPE_STRING)
        return AF_OK;
    bool is_equal = (expr->fn == AF_FN_EQUAL) == wanted;
    struct af_predicate test = { .op = is_equal ? AF_PREDICATE_EQUAL : AF_PREDICATE_NOT_EQUAL, .tag = *tag, .value = other->value.text };
    if (is_equal && test.value.len != 0)
        return make(pushing, test, out); /* who lacks the tag does not pass anyway */
    return make_test(pushing, &test, out);
}

static enum af_status convert_match(const struct pushing *pushing, const struct af_expr *expr, bool wanted, struct pushed *out)
{
    const struct af_slice *tag = tag_of(pushing, expr->args[0]);
    if (tag == NULL)
        return AF_OK;
    bool is_match = (expr->fn == AF_FN_MATCH) == wanted;
    struct af_predicate test = { .op = is_match ? AF_PREDICATE_MATCH : AF_PREDICATE_NOT_MATCH, .tag = *tag, .regex = expr->regex };
    return make_test(pushing, &test, out);
}

static enum af_status convert_is_null(const struct pushing *pushing, const struct af_expr *expr, bool wanted, struct pushed *out)
{
    const struct af_slice *tag = tag_of(pushing, expr->args[0]);
    if (tag == NULL)
        return AF_OK;
    if (!pushing->scan->tags_null)
        return make_constant(pushing, !wanted, out);
    struct af_predicate test = { .op = wanted ? AF_PREDICATE_EQUAL : AF_PREDICATE_NOT_EQUAL, .tag = *tag, .value = AF_SLICE_LIT("") };
    return make(pushing, test, out);
}

/* --- and, or, not ------------------------------------------------------------------------------------------------------------------- */

/* Operands of a chain of one function: a AND b AND c. */
static size_t chain_count(const struct af_expr *expr, enum af_fn fn)
{
    if (expr->kind != AF_EXPR_CALL || expr->fn != fn)
        return 1;
    return chain_count(expr->args[0], fn) + chain_count(expr->args[1], fn);
}
static size_t chain_list(const struct af_expr *expr, enum af_fn fn, const struct af_expr **list, size_t at)
{
    if (expr->kind != AF_EXPR_CALL || expr->fn != fn) {
        list[at] = expr;
        return at + 1;
    }
    return chain_list(expr->args[1], fn, list, chain_list(expr->args[0], fn, list, at));
}
static enum af_status chain_of(struct af_arena *arena, const struct af_expr *expr, enum af_fn fn, const struct af_expr ***out,
                               size_t *out_count, struct af_error *err)
{
    *out_count = chain_count(expr, fn);
    *out = af_arena_zero(arena, *out_count, sizeof **out);
    if (*out == NULL)
        return af_arena_fail(arena, *out_count * sizeof **out, "a filter", err);
    chain_list(expr, fn, *out, 0);
    return AF_OK;
}

/* AND is true where all are, false where one is; OR the other way round. */
static enum af_status convert_chain(const struct pushing *pushing, const struct af_expr *expr, bool wanted, struct pushed *out)
{
    const struct af_expr **parts;
    size_t part_count, count = 0;
    AF_TRY(chain_of(pushing->arena, expr, expr->fn, &parts, &part_count, pushing->err));
    const struct af_predicate **items = af_arena_zero(pushing->arena, part_count, sizeof *items);
    if (items == NULL)
        return af_arena_fail(pushing->arena, part_count * sizeof *items, "a predicate", pushing->err);
    bool needs_all = (expr->fn == AF_FN_AND) == wanted, is_exact = true;
    for (size_t i = 0; i < part_count; i++) {
        struct pushed part = { NULL, false };
        AF_TRY(convert(pushing, parts[i], wanted, &part));
        is_exact = is_exact && part.is_exact;
        if (part.predicate == NULL && !needs_all)
            return AF_OK; /* one of which nothing is known may be the one */
        if (part.predicate != NULL)
            items[count++] = part.predicate;
    }
    if (count == 0)
        return AF_OK;
    AF_TRY(make_list(pushing, needs_all ? AF_PREDICATE_AND : AF_PREDICATE_OR, items, count, &out->predicate));
    out->is_exact = is_exact;
    return AF_OK;
}

static enum af_status convert_literal(const struct pushing *pushing, const struct af_value *value, bool wanted, struct pushed *out)
{
    if (value->type == AF_TYPE_NULL)
        return make_constant(pushing, false, out);
    return value->type == AF_TYPE_BOOL ? make_constant(pushing, value->boolean == wanted, out) : AF_OK;
}

/* *out stays as it is, unknown, where nothing can be said. */
static enum af_status convert(const struct pushing *pushing, const struct af_expr *expr, bool wanted, struct pushed *out)
{
    if (pushing->scan->choice.is_made)
        return AF_OK; /* which series are chosen depends on the predicate */
    if (expr->kind == AF_EXPR_LITERAL)
        return convert_literal(pushing, &expr->value, wanted, out);
    if (expr->kind != AF_EXPR_CALL)
        return AF_OK;
    switch (expr->fn) {
    case AF_FN_AND: case AF_FN_OR:
        return convert_chain(pushing, expr, wanted, out);
    case AF_FN_NOT:
        return convert(pushing, expr->args[0], !wanted, out);
    case AF_FN_EQUAL: case AF_FN_NOT_EQUAL:
        return convert_equal(pushing, expr, wanted, out);
    case AF_FN_MATCH: case AF_FN_NOT_MATCH:
        return convert_match(pushing, expr, wanted, out);
    case AF_FN_IS_NULL:
        return convert_is_null(pushing, expr, wanted, out);
    default:
        return AF_OK;
    }
}

/* --- the rule --------------------------------------------------------------------------------------------------------------- */

/* `predicate` and `more`. */
static enum af_status add_predicate(const struct pushing *pushing, const struct af_predicate *more, const struct af_predicate **predicate)
{
    if (*predicate == NULL) {
        *predicate = more;
        return AF_OK;
    }
    const struct af_predicate **items = af_arena_zero(pushing->arena, 2, sizeof *items);
    if (items == NULL)
        return af_arena_fail(pushing->arena, 2 * sizeof *items, "a predicate", pushing->err);
    items[0] = *predicate;
    items[1] = more;
    return make_list(pushing, AF_PREDICATE_AND, items, 2, predicate);
}

/* All of them, as a balanced tree: they may be tens of thousands, and whoever takes the expression goes down its depth. */
static enum af_status join_parts(const struct pushing *pushing, const struct af_expr *const *parts, size_t count,
                                 const struct af_expr **out)
{
    const struct af_expr *sides[2];
    if (count == 1) {
        *out = parts[0];
        return AF_OK;
    }
    size_t half = (count + 1) / 2;
    AF_TRY(join_parts(pushing, parts, half, &sides[0]));
    AF_TRY(join_parts(pushing, parts + half, count - half, &sides[1]));
    return af_expr_call(pushing->arena, AF_FN_AND, sides, 2, NULL, out, pushing->err);
}

static enum af_status add_filter(const struct pushing *pushing, const struct af_expr *const *parts, size_t count,
                                 const struct af_expr **filter)
{
    const struct af_expr *sides[2] = { *filter, NULL };
    if (count == 0)
        return AF_OK;
    AF_TRY(join_parts(pushing, parts, count, &sides[1]));
    if (*filter != NULL)
        return af_expr_call(pushing->arena, AF_FN_AND, sides, 2, NULL, filter, pushing->err);
    *filter = sides[1];
    return AF_OK;
}

static enum af_status push(const struct pushing *pushing, const struct af_expr *expr, struct af_plan_scan *scan)
{
    const struct af_expr **parts;
    const struct af_predicate **items;
    size_t part_count, count = 0, left = 0;
    AF_TRY(chain_of(pushing->arena, expr, AF_FN_AND, &parts, &part_count, pushing->err));
    items = af_arena_zero(pushing->arena, part_count, sizeof *items);
    if (items == NULL)
        return af_arena_fail(pushing->arena, part_count * sizeof *items, "a predicate", pushing->err);
    for (size_t i = 0; i < part_count; i++) {
        struct pushed part = { NULL, false };
        AF_TRY(convert(pushing, parts[i], true, &part));
        bool says_nothing = part.predicate != NULL && part.predicate->op == AF_PREDICATE_AND && part.predicate->item_count == 0;
        if (part.predicate != NULL && !says_nothing)
            items[count++] = part.predicate;
        if (part.predicate == NULL || !part.is_exact)
            parts[left++] = parts[i];
    }
    AF_TRY(add_filter(pushing, parts, left, &scan->filter));
    if (count == 0)
        return AF_OK;
    const struct af_predicate *all;
    AF_TRY(make_list(pushing, AF_PREDICATE_AND, items, count, &all));
    for (size_t i = 0; i < count; i++)
        if (is_none(items[i])) {
            scan->predicate = items[i];
            return AF_OK;
        }
    return add_predicate(pushing, all, &scan->predicate);
}

enum af_status rule_filters_into_scans(struct rules *rules, const struct af_node *node, const struct af_node **out, struct af_error *err)
{
    *out = node;
    if (node->kind != AF_NODE_FILTER || node->inputs[0]->kind != AF_NODE_SCAN || node->inputs[0]->scan.rows_hint != 0)
        return AF_OK;
    struct af_node draft = *node->inputs[0];
    struct pushing pushing = { rules->plan->arena, &node->inputs[0]->scan, err };
    AF_TRY(push(&pushing, node->filter, &draft.scan));
    if (draft.scan.predicate != NULL && is_none(draft.scan.predicate))
        return af_plan_empty(rules->plan, &node->schema, out, err);
    return plan_add(rules->plan, &draft, out, err);
}
