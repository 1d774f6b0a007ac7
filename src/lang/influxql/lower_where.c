/*
 * lower_where.c - what a condition says about tags alone: that goes to an index, as a predicate, and only the rest is asked of rows.
 *
 *     host = 'a' AND usage > 1                                  host = "a"; usage > 1
 *     (host = 'a' AND x > 1) OR (host = 'b' AND x > 2)          host = "a" or host = "b"; all of it, since that is less than it says
 *
 * The tags are those of a measurement's series, or the parts of the key of a subquery's rows: these are the same in a whole group, so that
 * what an outer query asks of them may be asked of the series far inside.
 */
#include "lang/influxql/lower_int.h"

/* --- names ------------------------------------------------------------------------------------------------------------------------ */

static bool count_refs(void *ctx, struct af_ql_expr *expr)
{
    ((struct ref_list *)ctx)->count += expr->kind == AF_QL_REF;
    return true;
}
static bool list_refs(void *ctx, struct af_ql_expr *expr)
{
    struct ref_list *list = ctx;
    if (expr->kind != AF_QL_REF)
        return true;
    uint64_t hash = lookup_expr(expr);
    for (size_t i = lookup_first(&list->lookup, hash); i != SIZE_MAX; i = lookup_next(&list->lookup, i, hash))
        if (lower_expr_eq(list->items[i], expr))
            return true;
    list->items[list->count++] = expr;
    return lookup_add(&list->lookup, list->arena, hash);
}
/* The names of a condition, each once. */
enum af_status lower_refs(struct lowering *lo, struct af_ql_expr *condition, struct ref_list *out, struct af_error *err)
{
    *out = (struct ref_list){ .arena = lo->arena };
    (void)lower_walk(condition, count_refs, out);
    out->items = af_arena_zero(lo->arena, out->count + 1, sizeof *out->items);
    if (out->items == NULL)
        return lower_nomem(lo, err);
    out->count = 0;
    return lower_walk(condition, list_refs, out) ? AF_OK : lower_nomem(lo, err);
}

/* --- tags -------------------------------------------------------------------------------------------------------------------------- */

/* What the truth of a condition says about tags. NULL: nothing. `is_exact`: it is all that the condition says. */
struct tags_say {
    const struct af_predicate *predicate;
    bool is_exact;
};
static enum af_status tags_say(struct lowering *lo, const struct tag_space *space, struct af_ql_expr *expr, struct tags_say *out,
                               struct af_error *err);

static enum af_status say(struct lowering *lo, struct af_predicate predicate, bool is_exact, struct tags_say *out, struct af_error *err)
{
    struct af_predicate *made = af_arena_zero(lo->arena, 1, sizeof *made);
    if (made == NULL)
        return lower_nomem(lo, err);
    *made = predicate;
    *out = (struct tags_say){ made, is_exact };
    return AF_OK;
}

bool lower_is_tag_name(const struct af_ql_expr *expr)
{
    return expr->kind == AF_QL_REF && (expr->cast == AF_QL_CAST_TAG || expr->cast == AF_QL_CAST_NONE) && strcmp(expr->name, "_name") != 0;
}

/* Of a subquery's rows: is it a part of their key, and no column goes by that name? */
static bool is_tag_of(const struct tag_space *space, const struct af_ql_expr *expr)
{
    if (space == NULL || expr->kind != AF_QL_REF)
        return lower_is_tag_name(expr);
    for (size_t i = 0; i < space->output_count; i++)
        if (strcmp(space->outputs[i].name, expr->name) == 0)
            return false;
    for (size_t i = 0; i < space->inner->group_count; i++)
        if (af_slice_is(space->inner->group[i], expr->name))
            return true;
    return false;
}

static enum af_status tags_say_test(struct lowering *lo, const struct tag_space *space, const struct af_ql_expr *expr, struct tags_say *out,
                                    struct af_error *err)
{
    bool is_left = is_tag_of(space, expr->left);
    const struct af_ql_expr *tag = is_left ? expr->left : expr->right, *other = is_left ? expr->right : expr->left;
    struct af_predicate test = { .op = AF_PREDICATE_OR };
    if (!is_tag_of(space, tag) || (other->kind != AF_QL_STRING && other->kind != AF_QL_REGEX))
        return AF_OK;
    if (other->kind == AF_QL_STRING && (expr->op == AF_QL_EQ || expr->op == AF_QL_NEQ))
        test = (struct af_predicate){ .op = expr->op == AF_QL_EQ ? AF_PREDICATE_EQUAL : AF_PREDICATE_NOT_EQUAL, .value = other->text };
    else if (other->kind == AF_QL_REGEX && (expr->op == AF_QL_EQREGEX || expr->op == AF_QL_NEQREGEX))
        test = (struct af_predicate){ .op = expr->op == AF_QL_EQREGEX ? AF_PREDICATE_MATCH : AF_PREDICATE_NOT_MATCH,
                                      .regex = other->regex };
    test.tag = af_slice_of(tag->name);
    return say(lo, test, true, out, err);
}

/* a OR b OR c as one list. Of AND a part of which nothing is known is left out; OR then says nothing. */
static enum af_status tags_say_chain(struct lowering *lo, const struct tag_space *space, struct af_ql_expr *expr, struct tags_say *out,
                                     struct af_error *err)
{
    size_t count = 0, part_count;
    bool is_exact = true;
    struct af_ql_expr **parts;
    AF_TRY(lower_chain(lo, expr, expr->op, &parts, &part_count, err));
    const struct af_predicate **items = af_arena_zero(lo->arena, part_count, sizeof *items);
    if (items == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < part_count; i++) {
        struct tags_say part = { NULL, false };
        AF_TRY(tags_say(lo, space, parts[i], &part, err));
        is_exact = is_exact && part.is_exact;
        if (part.predicate == NULL && expr->op == AF_QL_OR)
            return AF_OK;
        if (part.predicate != NULL)
            items[count++] = part.predicate;
    }
    if (count == 0)
        return AF_OK;
    if (count == 1) {
        *out = (struct tags_say){ items[0], is_exact };
        return AF_OK;
    }
    struct af_predicate list = { .op = expr->op == AF_QL_OR ? AF_PREDICATE_OR : AF_PREDICATE_AND, .items = items, .item_count = count };
    return say(lo, list, is_exact, out, err);
}

static enum af_status tags_say(struct lowering *lo, const struct tag_space *space, struct af_ql_expr *expr, struct tags_say *out,
                               struct af_error *err)
{
    while (expr->kind == AF_QL_PAREN)
        expr = expr->left;
    if (expr->kind == AF_QL_BOOLEAN)
        return say(lo, (struct af_predicate){ .op = expr->boolean ? AF_PREDICATE_AND : AF_PREDICATE_OR }, true, out, err);
    if (expr->kind != AF_QL_BINARY)
        return AF_OK;
    if (expr->op == AF_QL_AND || expr->op == AF_QL_OR)
        return tags_say_chain(lo, space, expr, out, err);
    return tags_say_test(lo, space, expr, out, err);
}

/* Parts of a condition that all must hold, parentheses around some of them or not. */
struct part_list {
    struct af_ql_expr **items;
    size_t count, cap;
};
static enum af_status add_parts(struct lowering *lo, struct af_ql_expr *expr, struct part_list *list, struct af_error *err)
{
    struct af_ql_expr *inner = expr, **chain;
    size_t count;
    while (inner->kind == AF_QL_PAREN)
        inner = inner->left;
    if (inner->kind == AF_QL_BINARY && inner->op == AF_QL_AND) {
        AF_TRY(lower_chain(lo, inner, AF_QL_AND, &chain, &count, err));
        for (size_t i = 0; i < count; i++)
            AF_TRY(add_parts(lo, chain[i], list, err));
        return AF_OK;
    }
    struct af_ql_expr **items = af_arena_more(lo->arena, list->items, list->count, &list->cap, sizeof *items);
    if (items == NULL)
        return lower_nomem(lo, err);
    list->items = items;
    list->items[list->count++] = expr;
    return AF_OK;
}

/* The condition as a predicate of tags and the rest, which rows must be asked. Both may be NULL. */
enum af_status lower_split_tags(struct lowering *lo, const struct tag_space *space, struct af_ql_expr *condition,
                                const struct af_predicate **out, struct af_ql_expr **out_rest, struct af_error *err)
{
    size_t count = 0;
    struct part_list parts = { 0 };
    AF_TRY(add_parts(lo, condition, &parts, err));
    struct af_ql_expr *nodes = af_arena_zero(lo->arena, parts.count, sizeof *nodes);
    const struct af_predicate **items = af_arena_zero(lo->arena, parts.count, sizeof *items);
    if (nodes == NULL || items == NULL)
        return lower_nomem(lo, err);
    *out_rest = NULL;
    for (size_t i = 0; i < parts.count; i++) {
        struct tags_say said = { NULL, false };
        AF_TRY(tags_say(lo, space, parts.items[i], &said, err));
        if (said.predicate != NULL)
            items[count++] = said.predicate;
        if (said.predicate != NULL && said.is_exact)
            continue;
        nodes[i] = (struct af_ql_expr){ .kind = AF_QL_BINARY, .op = AF_QL_AND, .left = *out_rest, .right = parts.items[i] };
        *out_rest = *out_rest == NULL ? parts.items[i] : &nodes[i];
    }
    *out = count != 0 ? items[0] : NULL;
    if (count <= 1)
        return AF_OK;
    struct tags_say all;
    AF_TRY(say(lo, (struct af_predicate){ .op = AF_PREDICATE_AND, .items = items, .item_count = count }, true, &all, err));
    *out = all.predicate;
    return AF_OK;
}

enum af_status lower_both(struct lowering *lo, const struct af_predicate *a, const struct af_predicate *b, const struct af_predicate **out,
                          struct af_error *err)
{
    *out = a == NULL ? b : a;
    if (a == NULL || b == NULL)
        return AF_OK;
    const struct af_predicate **items = af_arena_zero(lo->arena, 2, sizeof *items);
    struct tags_say both;
    if (items == NULL)
        return lower_nomem(lo, err);
    items[0] = a;
    items[1] = b;
    AF_TRY(say(lo, (struct af_predicate){ .op = AF_PREDICATE_AND, .items = items, .item_count = 2 }, true, &both, err));
    *out = both.predicate;
    return AF_OK;
}

/* Of a list of parts that all must hold: does one of them never? */
bool lower_holds_never(const struct af_predicate *predicate)
{
    if (predicate == NULL)
        return false;
    for (size_t i = 0; predicate->op == AF_PREDICATE_AND && i < predicate->item_count; i++)
        if (lower_holds_never(predicate->items[i]))
            return true;
    return predicate->op == AF_PREDICATE_OR && predicate->item_count == 0;
}
