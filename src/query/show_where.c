/*
 * show_where.c - the conditions of SHOW.
 *
 * One condition speaks of several things at once, and every question takes what concerns it:
 *
 *     WHERE _name = 'cpu' AND host = 'a' AND value =~ /b/
 *           measurement       series         value of a tag, whatever its key (SHOW TAG VALUES, SHOW TAG KEYS)
 *
 * A judge says of each comparison whether it holds, fails, concerns others (it is left out, as if it were not written) or is one of
 * series; AND and OR of what is left are folded. Which statement judges how is InfluxDB's: a comparison with a field holds for every
 * series in a list and for none in a count.
 */
#include "query/show_int.h"

enum verdict { HOLDS, FAILS, LEFT_OUT, OF_SERIES, OF_SERIES_WITH_TAG };
struct judging {
    struct show *show;
    struct af_slice text;                /* the name, key or value at hand */
    const struct query_names *fields;    /* of the measurement */
    enum af_status (*judge)(const struct judging *judging, const struct af_ql_expr *comparison, enum verdict *out, struct af_error *err);
};

/* --- comparisons ---------------------------------------------------------------------------------------------------------------------- */

static bool is_ref(const struct af_ql_expr *expr, const char *name)
{
    return expr->kind == AF_QL_REF && strcmp(expr->name, name) == 0;
}

static bool is_equality(enum af_ql_op op)
{
    return op == AF_QL_EQ || op == AF_QL_NEQ || op == AF_QL_EQREGEX || op == AF_QL_NEQREGEX;
}

static bool is_negative(enum af_ql_op op)
{
    return op == AF_QL_NEQ || op == AF_QL_NEQREGEX;
}

static bool is_regex(enum af_ql_op op)
{
    return op == AF_QL_EQREGEX || op == AF_QL_NEQREGEX;
}

static bool is_system_name(const char *name)
{
    static const char *const names[] = { "_fieldKeys", "_measurements", "_name", "_series", "_tagKey", "_tagKeys", "_tags" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Its right side is what the operator takes. */
static bool is_well_formed(const struct af_ql_expr *comparison)
{
    return comparison->right->kind == (is_regex(comparison->op) ? AF_QL_REGEX : AF_QL_STRING);
}

static enum af_status check_sides(const struct af_ql_expr *comparison, struct af_error *err)
{
    static const char *const signs[] = { [AF_QL_EQ] = "=", [AF_QL_NEQ] = "!=", [AF_QL_EQREGEX] = "=~", [AF_QL_NEQREGEX] = "!~" };
    if (!is_equality(comparison->op))
        return af_fail(err, AF_EINVAL, "invalid tag comparison operator");
    if (comparison->left->kind != AF_QL_REF)
        return af_fail(err, AF_EINVAL, "left side of '%s' must be a tag key", signs[comparison->op]);
    if (is_well_formed(comparison))
        return AF_OK;
    return af_fail(err, AF_EINVAL, "right side of '%s' must be a %s", signs[comparison->op],
                   is_regex(comparison->op) ? "regular expression" : "tag value string");
}

/* The text as the left side of a comparison that is well formed. */
static enum af_status compare(const struct af_ql_expr *comparison, struct af_slice text, enum verdict *out, struct af_error *err)
{
    bool is_equal;
    if (is_regex(comparison->op))
        AF_TRY(af_regex_match(comparison->right->regex, text, &is_equal, err));
    else
        is_equal = af_slice_eq(comparison->right->text, text);
    *out = is_equal != is_negative(comparison->op) ? HOLDS : FAILS;
    return AF_OK;
}

/* --- folding -------------------------------------------------------------------------------------------------------------------------- */

static enum af_status make_node(struct show *show, struct af_ql_expr node, const struct af_ql_expr **out, struct af_error *err)
{
    struct af_ql_expr *made = af_arena_zero(show->query->arena, 1, sizeof *made);
    if (made == NULL)
        return af_arena_fail(show->query->arena, sizeof *made, "a condition", err);
    *made = node;
    *out = made;
    return AF_OK;
}

static enum af_status make_pair(struct show *show, enum af_ql_op op, const struct af_ql_expr *left, const struct af_ql_expr *right,
                                const struct af_ql_expr **out, struct af_error *err)
{
    uint32_t height = 1 + (left->height > right->height ? left->height : right->height);
    struct af_ql_expr node = { .kind = AF_QL_BINARY, .op = op, .left = (struct af_ql_expr *)(uintptr_t)left,
                               .right = (struct af_ql_expr *)(uintptr_t)right, .height = height };
    return make_node(show, node, out, err);
}

static enum af_status fold_leaf(const struct judging *judging, const struct af_ql_expr *expr, const struct af_ql_expr **out,
                                struct af_error *err)
{
    static const struct af_ql_expr constants[] = { [HOLDS] = { .kind = AF_QL_BOOLEAN, .boolean = true, .height = 1 },
                                                   [FAILS] = { .kind = AF_QL_BOOLEAN, .boolean = false, .height = 1 } };
    enum verdict verdict;
    AF_TRY(judging->judge(judging, expr, &verdict, err));
    *out = verdict == LEFT_OUT ? NULL : verdict <= FAILS ? &constants[verdict] : expr;
    if (verdict != OF_SERIES_WITH_TAG)
        return AF_OK;
    const struct af_ql_expr *empty, *presence;
    AF_TRY(make_node(judging->show, (struct af_ql_expr){ .kind = AF_QL_STRING, .name = "", .text = { "", 0 }, .height = 1 }, &empty, err));
    AF_TRY(make_pair(judging->show, AF_QL_NEQ, expr->left->kind == AF_QL_REF ? expr->left : expr->right, empty, &presence, err));
    return make_pair(judging->show, AF_QL_AND, expr, presence, out, err);
}

/* AND and OR of two that are folded; `settles`: the constant that decides it. */
static enum af_status fold_pair(const struct judging *judging, enum af_ql_op op, const struct af_ql_expr *left,
                                const struct af_ql_expr *right,
                                const struct af_ql_expr **out, struct af_error *err)
{
    bool settles = op == AF_QL_OR;
    *out = left == NULL ? right : left;
    if (left == NULL || right == NULL || (left->kind == AF_QL_BOOLEAN && left->boolean == settles))
        return AF_OK;
    *out = right;
    if (left->kind == AF_QL_BOOLEAN || (right->kind == AF_QL_BOOLEAN && right->boolean == settles))
        return AF_OK;
    *out = left;
    return right->kind == AF_QL_BOOLEAN ? AF_OK : make_pair(judging->show, op, left, right, out, err);
}

/* *out NULL: nothing of it is left. The tree is as deep as a query's may be. */
static enum af_status fold(const struct judging *judging, const struct af_ql_expr *expr, const struct af_ql_expr **out,
                           struct af_error *err)
{
    const struct af_ql_expr *left, *right;
    if (expr->kind == AF_QL_PAREN)
        return fold(judging, expr->left, out, err);
    if (expr->kind != AF_QL_BINARY || (expr->op != AF_QL_AND && expr->op != AF_QL_OR))
        return fold_leaf(judging, expr, out, err);
    AF_TRY(fold(judging, expr->left, &left, err));
    AF_TRY(fold(judging, expr->right, &right, err));
    return fold_pair(judging, expr->op, left, right, out, err);
}

/* Of a judge that leaves nothing to the series: does it hold? */
static enum af_status holds(const struct judging *judging, bool *out, struct af_error *err)
{
    const struct af_ql_expr *left = NULL;
    if (judging->show->condition != NULL)
        AF_TRY(fold(judging, judging->show->condition, &left, err));
    *out = left == NULL || left->boolean;
    return AF_OK;
}

/* --- measurements --------------------------------------------------------------------------------------------------------------------- */

/* How InfluxDB numbers the types of `name::type`. */
static unsigned type_number(enum af_ql_cast cast)
{
    static const unsigned numbers[] = { [AF_QL_CAST_FLOAT] = 1, [AF_QL_CAST_INTEGER] = 2, [AF_QL_CAST_STRING] = 3, [AF_QL_CAST_BOOLEAN] = 4,
                                        [AF_QL_CAST_TIME] = 5, [AF_QL_CAST_TAG] = 7, [AF_QL_CAST_FIELD] = 8, [AF_QL_CAST_UNSIGNED] = 9 };
    return numbers[cast];
}

/* What is no comparison, in the words of who prints its tree. */
static enum af_status not_a_comparison(const struct af_ql_expr *expr, struct af_error *err)
{
    switch (expr->kind) {
    case AF_QL_BOOLEAN:
        return af_fail(err, AF_EINVAL, "&influxql.BooleanLiteral{Val:%s}", expr->boolean ? "true" : "false");
    case AF_QL_INTEGER:
        return af_fail(err, AF_EINVAL, "&influxql.IntegerLiteral{Val:%lld}", (long long)expr->integer);
    case AF_QL_UNSIGNED:
        return af_fail(err, AF_EINVAL, "&influxql.UnsignedLiteral{Val:0x%llx}", (unsigned long long)expr->unsigned_integer);
    case AF_QL_DURATION:
        return af_fail(err, AF_EINVAL, "&influxql.DurationLiteral{Val:%lld}", (long long)expr->integer);
    case AF_QL_STRING:
        return af_fail(err, AF_EINVAL, "&influxql.StringLiteral{Val:\"" AF_SLICE_FMT "\"}", AF_SLICE_ARG(expr->text));
    case AF_QL_REF:
        return af_fail(err, AF_EINVAL, "&influxql.VarRef{Val:\"%s\", Type:%u}", expr->name, type_number(expr->cast));
    default: return af_fail(err, AF_EINVAL, "invalid tag comparison operator");
    }
}

/* Whether a value of the tag is equal to it; a measurement without the tag is never meant. */
static enum af_status judge_tag_of_measurement(const struct judging *judging, const struct af_ql_expr *comparison, enum verdict *out,
                                               struct af_error *err)
{
    struct query_names values;
    struct af_ql_expr positive = *comparison;
    positive.op = is_regex(comparison->op) ? AF_QL_EQREGEX : AF_QL_EQ;
    AF_TRY(show_names(judging->show, AF_LIST_TAG_VALUES, judging->text.ptr, comparison->left->name, NULL, &values, err));
    enum verdict any = FAILS;
    for (size_t i = 0; i < values.count && any == FAILS; i++)
        AF_TRY(compare(&positive, values.items[i].name, &any, err));
    *out = values.count != 0 && (any == HOLDS) != is_negative(comparison->op) ? HOLDS : FAILS;
    return AF_OK;
}

static enum af_status judge_measurement(const struct judging *judging, const struct af_ql_expr *expr, enum verdict *out,
                                        struct af_error *err)
{
    if (expr->kind != AF_QL_BINARY)
        return not_a_comparison(expr, err);
    AF_TRY(check_sides(expr, err));
    if (is_ref(expr->left, "_name"))
        return compare(expr, judging->text, out, err);
    *out = FAILS;
    return is_system_name(expr->left->name) ? AF_OK : judge_tag_of_measurement(judging, expr, out, err);
}

enum af_status show_where_measurement(struct show *show, struct af_slice measurement, bool *out, struct af_error *err)
{
    return holds(&(struct judging){ .show = show, .text = measurement, .judge = judge_measurement }, out, err);
}

static enum af_status judge_name(const struct judging *judging, const struct af_ql_expr *expr, enum verdict *out, struct af_error *err)
{
    if (expr->kind != AF_QL_BINARY)
        return not_a_comparison(expr, err);
    *out = LEFT_OUT;
    if (is_equality(expr->op) && !is_ref(expr->left, "_name"))
        return AF_OK;
    AF_TRY(check_sides(expr, err));
    return compare(expr, judging->text, out, err);
}

enum af_status show_where_name(struct show *show, struct af_slice measurement, bool *out, struct af_error *err)
{
    return holds(&(struct judging){ .show = show, .text = measurement, .judge = judge_name }, out, err);
}

/* --- tags ----------------------------------------------------------------------------------------------------------------------------- */

static enum af_status judge_key(const struct judging *judging, const struct af_ql_expr *expr, enum verdict *out, struct af_error *err)
{
    *out = LEFT_OUT;
    if (expr->kind == AF_QL_BINARY && is_equality(expr->op) && expr->left->kind != AF_QL_REF && !show_is_count(judging->show->st))
        return check_sides(expr, err);
    if (expr->kind != AF_QL_BINARY || !is_ref(expr->left, "_tagKey"))
        return AF_OK;
    AF_TRY(check_sides(expr, err));
    return compare(expr, judging->text, out, err);
}

enum af_status show_where_key(struct show *show, struct af_slice key, bool *out, struct af_error *err)
{
    return holds(&(struct judging){ .show = show, .text = key, .judge = judge_key }, out, err);
}

static enum af_status judge_value(const struct judging *judging, const struct af_ql_expr *expr, enum verdict *out, struct af_error *err)
{
    *out = LEFT_OUT;
    if (expr->kind != AF_QL_BINARY || !is_equality(expr->op) || !is_ref(expr->left, "value"))
        return AF_OK;
    *out = FAILS;
    return is_well_formed(expr) ? compare(expr, judging->text, out, err) : AF_OK;
}

enum af_status show_where_value(struct show *show, struct af_slice value, bool *out, struct af_error *err)
{
    return holds(&(struct judging){ .show = show, .text = value, .judge = judge_value }, out, err);
}

/* --- series --------------------------------------------------------------------------------------------------------------------------- */

static bool is_field(void *ctx, const char *name)
{
    const struct query_names *fields = ctx;
    for (size_t i = 0; i < fields->count; i++)
        if (af_slice_is(fields->items[i].name, name))
            return true;
    return false;
}

/* SHOW TAG KEYS, SHOW TAG VALUES. */
static enum af_status judge_for_tags(const struct judging *judging, const struct af_ql_expr *expr, enum verdict *out, struct af_error *err)
{
    (void)judging;
    (void)err;
    *out = OF_SERIES;
    if (expr->kind == AF_QL_BINARY && is_equality(expr->op) && (expr->left->kind != AF_QL_REF || is_system_name(expr->left->name)))
        *out = LEFT_OUT;
    return AF_OK;
}

/* SHOW SERIES. */
static enum af_status judge_for_series(const struct judging *judging, const struct af_ql_expr *expr, enum verdict *out,
                                       struct af_error *err)
{
    *out = OF_SERIES;
    if (expr->kind != AF_QL_BINARY)
        return AF_OK;
    if (!is_equality(expr->op))
        return af_fail(err, AF_EINVAL, "invalid tag comparison operator");
    if (is_ref(expr->left, "_name") && is_well_formed(expr))
        return compare(expr, judging->text, out, err);
    if (is_ref(expr->left, "_tagKey") || is_ref(expr->left, "_tagValue") || is_ref(expr->left, "_seriesKey") || is_ref(expr->left,
                                                                                                                       "_fieldKey"))
        *out = HOLDS;
    return AF_OK;
}

/* Counts: what no tag answers holds for nothing. Counting values of tags, a tag that a series has not fails whatever is asked of it. */
static enum af_status judge_for_counts(const struct judging *judging, const struct af_ql_expr *expr, enum verdict *out,
                                       struct af_error *err)
{
    *out = OF_SERIES;
    if (expr->kind != AF_QL_BINARY)
        return AF_OK;
    const struct af_ql_expr *ref = expr->left->kind == AF_QL_REF ? expr->left : expr->right;
    const struct af_ql_expr *value = ref == expr->left ? expr->right : expr->left;
    *out = FAILS;
    if (ref->kind != AF_QL_REF || !is_equality(expr->op) || (value->kind != AF_QL_STRING && value->kind != AF_QL_REGEX))
        return AF_OK;
    if (is_ref(expr->left, "_name") && is_well_formed(expr))
        return compare(expr, judging->text, out, err);
    if (strcmp(ref->name, "_tagKey") == 0)
        *out = HOLDS;
    else if (ref->cast == AF_QL_CAST_TAG || (ref->cast == AF_QL_CAST_NONE && !is_field((void *)(uintptr_t)judging->fields, ref->name)))
        *out = judging->show->st->kind == AF_QL_SHOW_TAG_VALUES_CARDINALITY ? OF_SERIES_WITH_TAG : OF_SERIES;
    return AF_OK;
}

enum af_status show_where_series(struct show *show, struct af_slice measurement, const struct af_predicate **out, struct af_error *err)
{
    struct query_names fields;
    const struct af_ql_expr *rest;
    struct judging judging = { .show = show, .text = measurement, .fields = &fields };
    bool is_of_tags = show->st->kind == AF_QL_SHOW_TAG_KEYS || show->st->kind == AF_QL_SHOW_TAG_VALUES;
    judging.judge = show_is_count(show->st) ? judge_for_counts : is_of_tags ? judge_for_tags : judge_for_series;
    *out = NULL;
    if (show->condition == NULL)
        return AF_OK;
    AF_TRY(show_names(show, AF_LIST_FIELDS, measurement.ptr, NULL, NULL, &fields, err));
    AF_TRY(fold(&judging, show->condition, &rest, err));
    return af_ql_predicate_of_tags(rest, is_field, &fields, show->query->arena, out, err);
}
