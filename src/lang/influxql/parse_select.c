/*
 * parse_select.c - SELECT, and the clauses that other statements share with it.
 *
 *     SELECT fields [INTO m] FROM sources [WHERE c] [GROUP BY d] [fill()] [ORDER BY time]
 *         [LIMIT n] [OFFSET n] [SLIMIT n] [SOFFSET n] [tz()]
 *
 * in this order. What a SELECT may ask for is for the most part checked when it is lowered; here only what the grammar itself forbids.
 */
#include "base/numbers.h"
#include "lang/influxql/parse_int.h"
#include "os/zone.h"

/* --- fields ---------------------------------------------------------------------------------------------------------------------- */

/* The last operator in it that makes a condition; false: there is none. */
static bool find_condition(const struct af_ql_expr *expr, enum af_ql_op *out)
{
    if (expr == NULL)
        return false;
    if (expr->kind == AF_QL_BINARY && af_ql_precedence(expr->op) <= 3) {
        *out = expr->op;
        return true;
    }
    bool has = find_condition(expr->left, out);
    has = find_condition(expr->right, out) || has;
    for (size_t i = 0; expr->kind == AF_QL_CALL && i < expr->arg_count; i++)
        has = find_condition(expr->args[i], out) || has;
    return has;
}

static enum af_status parse_field_expr(struct af_ql_parser *p, struct af_ql_expr **out)
{
    AF_TRY(af_ql_regex_parse(p, out));
    if (*out != NULL)
        return AF_OK;
    struct af_ql_pos pos = af_ql_scan_skip(&p->lex)->pos;
    af_ql_unscan(&p->lex);
    AF_TRY(af_ql_expr_parse(p, out));
    enum af_ql_op op;
    if (!find_condition(*out, &op))
        return AF_OK;
    return af_fail_at(p->err, AF_EINVAL, pos.line + 1, pos.column + 1,
                      "invalid operator %s in SELECT clause at line %u, char %u; operator is intended for WHERE clause", af_ql_op_text(op),
                      pos.line + 1, pos.column + 1);
}

static void skip_space(struct af_ql_parser *p)
{
    if (af_ql_scan(&p->lex)->kind != AF_QL_T_WS)
        af_ql_unscan(&p->lex);
}

/* A comma that comes at once. */
static bool accept_comma(struct af_ql_parser *p)
{
    if (af_ql_scan(&p->lex)->kind == AF_QL_T_COMMA)
        return true;
    af_ql_unscan(&p->lex);
    return false;
}

static enum af_status parse_fields(struct af_ql_parser *p, struct af_ql_select *out)
{
    do {
        out->fields = af_ql_grow(p, out->fields, out->field_count, sizeof *out->fields);
        if (out->fields == NULL)
            return af_ql_nomem(p);
        struct af_ql_field *field = &out->fields[out->field_count++];
        AF_TRY(parse_field_expr(p, &field->expr));
        AF_TRY(af_ql_parse_optional_name(p, AF_QL_T_AS, &field->alias));
        skip_space(p);
    } while (accept_comma(p));
    return AF_OK;
}

/* --- INTO and FROM --------------------------------------------------------------------------------------------------------------- */

/* The last part is the name where there is one; in front of it the policy, then the database. */
static void place_parts(struct af_ql_source *out, const char *const *parts, size_t count)
{
    if (count == 0)
        return;
    out->policy = af_ql_or_null(parts[count - 1]);
    if (count > 1)
        out->database = af_ql_or_null(parts[count - 2]);
}

static enum af_status parse_target(struct af_ql_parser *p, enum af_ql_into into, struct af_ql_source **out)
{
    if (into == AF_QL_INTO_REQUIRED)
        AF_TRY(af_ql_require(p, AF_QL_T_INTO));
    else if (!af_ql_accept(p, AF_QL_T_INTO))
        return AF_OK;
    const char *parts[3];
    size_t count;
    AF_TRY(af_ql_parts_parse(p, parts, &count));
    if (count < 3 && af_ql_peek(&p->lex) == ':') {
        AF_TRY(af_ql_require(p, AF_QL_T_COLON));
        AF_TRY(af_ql_require(p, AF_QL_T_MEASUREMENT));
        parts[count++] = "";
    }
    struct af_ql_source *target = af_ql_zero(p, 1, sizeof *target);
    if (target == NULL)
        return af_ql_nomem(p);
    place_parts(target, parts, count - 1);
    target->name = af_ql_or_null(parts[count - 1]);
    target->is_target_backref = target->name == NULL;
    *out = target;
    return AF_OK;
}

static enum af_status parse_subquery(struct af_ql_parser *p, struct af_ql_source *out)
{
    AF_TRY(af_ql_require(p, AF_QL_T_SELECT));
    AF_TRY(af_ql_select_parse(p, AF_QL_INTO_OPTIONAL, &out->subquery));
    return af_ql_require(p, AF_QL_T_RPAREN);
}

enum af_status af_ql_source_parse(struct af_ql_parser *p, bool can_be_subquery, struct af_ql_source *out)
{
    *out = (struct af_ql_source){ 0 };
    AF_TRY(af_ql_regex_parse(p, &out->regex));
    if (out->regex != NULL)
        return AF_OK;
    if (can_be_subquery && af_ql_accept(p, AF_QL_T_LPAREN))
        return parse_subquery(p, out);
    const char *parts[3];
    size_t count;
    AF_TRY(af_ql_parts_parse(p, parts, &count));
    if (count < 3)
        AF_TRY(af_ql_regex_parse(p, &out->regex));
    if (out->regex != NULL) {
        place_parts(out, parts, count);
        return AF_OK;
    }
    place_parts(out, parts, count - 1);
    out->name = parts[count - 1];
    return AF_OK;
}

enum af_status af_ql_sources_parse(struct af_ql_parser *p, bool can_be_subquery, struct af_ql_source **out, size_t *out_count)
{
    do {
        *out = af_ql_grow(p, *out, *out_count, sizeof **out);
        if (*out == NULL)
            return af_ql_nomem(p);
        AF_TRY(af_ql_source_parse(p, can_be_subquery, &(*out)[*out_count]));
        (*out_count)++;
    } while (af_ql_accept(p, AF_QL_T_COMMA));
    return AF_OK;
}

/* --- WHERE, GROUP BY, fill ------------------------------------------------------------------------------------------------------- */

enum af_status af_ql_where_parse(struct af_ql_parser *p, struct af_ql_expr **out)
{
    return af_ql_accept(p, AF_QL_T_WHERE) ? af_ql_expr_parse(p, out) : AF_OK;
}

static enum af_status parse_dimension(struct af_ql_parser *p, struct af_ql_expr **out)
{
    AF_TRY(af_ql_regex_parse(p, out));
    if (*out != NULL)
        return AF_OK;
    AF_TRY(af_ql_expr_parse(p, out));
    skip_space(p);
    return AF_OK;
}

enum af_status af_ql_group_parse(struct af_ql_parser *p, struct af_ql_expr ***out, size_t *out_count)
{
    if (!af_ql_accept(p, AF_QL_T_GROUP))
        return AF_OK;
    AF_TRY(af_ql_require(p, AF_QL_T_BY));
    do {
        *out = af_ql_grow(p, *out, *out_count, sizeof **out);
        if (*out == NULL)
            return af_ql_nomem(p);
        AF_TRY(parse_dimension(p, &(*out)[*out_count]));
        (*out_count)++;
    } while (accept_comma(p));
    return AF_OK;
}

enum af_status af_ql_group_interval(const struct af_ql_select *select, int64_t *out, struct af_error *err)
{
    *out = 0;
    for (size_t i = 0; i < select->dimension_count; i++) {
        const struct af_ql_expr *call = select->dimensions[i];
        if (call->kind != AF_QL_CALL || strcmp(call->name, "time") != 0)
            continue;
        if (call->arg_count < 1 || call->arg_count > 2)
            return af_fail(err, AF_EINVAL, "time dimension expected 1 or 2 arguments");
        if (call->args[0]->kind != AF_QL_DURATION)
            return af_fail(err, AF_EINVAL, "time dimension must have duration argument");
        *out = call->args[0]->integer;
        return AF_OK;
    }
    return AF_OK;
}

/* The one argument of name(), which may come here; NULL: it does not. */
static enum af_status parse_option(struct af_ql_parser *p, const char *name, const char *not_call, const char *not_one,
                                   struct af_ql_expr **out)
{
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    bool is_it = found->kind == AF_QL_T_IDENT && af_ql_is_word(found->lit, name);
    af_ql_unscan(&p->lex);
    *out = NULL;
    if (!is_it)
        return AF_OK;
    struct af_ql_expr *call;
    AF_TRY(af_ql_expr_parse(p, &call));
    if (call->kind != AF_QL_CALL)
        return af_fail(p->err, AF_EINVAL, "%s", not_call);
    if (call->arg_count != 1)
        return af_fail(p->err, AF_EINVAL, "%s", not_one);
    *out = call->args[0];
    return AF_OK;
}

static enum af_status parse_fill(struct af_ql_parser *p, struct af_ql_select *out)
{
    static const struct {
        const char *name;
        enum af_ql_fill fill;
    } fills[] = {
        { "null", AF_QL_FILL_NULL }, { "none", AF_QL_FILL_NONE }, { "previous", AF_QL_FILL_PREVIOUS }, { "linear", AF_QL_FILL_LINEAR },
    };
    struct af_ql_expr *value;
    AF_TRY(parse_option(p, "fill", "fill must be a function call", "fill requires an argument, e.g.: 0, null, none, previous, linear",
                        &value));
    if (value == NULL)
        return AF_OK;
    out->has_fill = true;
    if (value->kind == AF_QL_INTEGER || value->kind == AF_QL_NUMBER) {
        out->fill = AF_QL_FILL_NUMBER;
        out->fill_value = value;
        return AF_OK;
    }
    for (size_t i = 0; i < sizeof fills / sizeof fills[0]; i++)
        if (value->kind == AF_QL_REF && value->cast == AF_QL_CAST_NONE && strcmp(value->name, fills[i].name) == 0) {
            out->fill = fills[i].fill;
            return AF_OK;
        }
    return af_fail(p->err, AF_EINVAL, "expected number argument in fill()");
}

/* --- ORDER BY, LIMIT, tz --------------------------------------------------------------------------------------------------------- */

static enum af_status parse_sort(struct af_ql_parser *p, struct af_ql_sort *out)
{
    AF_TRY(af_ql_parse_name(p, &out->name));
    if (af_ql_accept(p, AF_QL_T_DESC))
        out->descending = true;
    else
        (void)af_ql_accept(p, AF_QL_T_ASC);
    return AF_OK;
}

enum af_status af_ql_order_parse(struct af_ql_parser *p, struct af_ql_sort **out, size_t *out_count)
{
    static const char only_time[] = "only ORDER BY time supported at this time";
    if (!af_ql_accept(p, AF_QL_T_ORDER))
        return AF_OK;
    AF_TRY(af_ql_require(p, AF_QL_T_BY));
    struct af_ql_sort *sort = af_ql_zero(p, 1, sizeof *sort), other;
    if (sort == NULL)
        return af_ql_nomem(p);
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    if (found->kind == AF_QL_T_ASC || found->kind == AF_QL_T_DESC)
        sort->descending = found->kind == AF_QL_T_DESC;
    else if (found->kind == AF_QL_T_IDENT) {
        af_ql_unscan(&p->lex);
        AF_TRY(parse_sort(p, sort));
        if (strcmp(sort->name, "time") != 0)
            return af_fail(p->err, AF_EINVAL, "%s", only_time);
    } else
        return af_ql_unexpected(p, found, "identifier, ASC, DESC");
    size_t count = 1;
    for (; af_ql_accept(p, AF_QL_T_COMMA); count++)
        AF_TRY(parse_sort(p, &other));
    if (count > 1)
        return af_fail(p->err, AF_EINVAL, "%s", only_time);
    *out = sort;
    *out_count = 1;
    return AF_OK;
}

enum af_status af_ql_limit_parse(struct af_ql_parser *p, enum af_ql_token_kind word, int64_t *out)
{
    if (!af_ql_accept(p, word))
        return AF_OK;
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    if (found->kind != AF_QL_T_INTEGER)
        return af_ql_unexpected(p, found, "integer");
    if (!af_i64_parse(found->lit, out))
        *out = INT64_MAX;
    if (*out < 0)
        return af_ql_fault(p, found->pos, "%s must be >= 0", af_ql_token_text(word));
    return AF_OK;
}

static enum af_status parse_zone(struct af_ql_parser *p, struct af_ql_select *out)
{
    struct af_ql_expr *name;
    AF_TRY(parse_option(p, "tz", "tz must be a function call", "tz requires exactly one argument", &name));
    if (name == NULL)
        return AF_OK;
    if (name->kind != AF_QL_STRING)
        return af_fail(p->err, AF_EINVAL, "expected string argument in tz()");
    struct af_error why = { 0 };
    bool is_local = af_slice_is(name->text, "Local"); /* Go's name for the machine's own zone: a server has UTC */
    enum af_status status = af_zone_find(is_local ? AF_SLICE_LIT("UTC") : name->text, &out->zone, &why);
    if (status == AF_EINVAL || status == AF_EUNSUPPORTED)
        return af_fail(p->err, AF_EINVAL, "unable to find time zone %s", name->name);
    if (status != AF_OK && p->err != NULL)
        *p->err = why;
    out->zone_name = name->name[0] != '\0' ? name->name : "UTC";
    return status;
}

/* --- SELECT ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status parse_clauses(struct af_ql_parser *p, enum af_ql_into into, struct af_ql_select *out)
{
    AF_TRY(parse_fields(p, out));
    AF_TRY(parse_target(p, into, &out->target));
    AF_TRY(af_ql_require(p, AF_QL_T_FROM));
    AF_TRY(af_ql_sources_parse(p, true, &out->sources, &out->source_count));
    AF_TRY(af_ql_where_parse(p, &out->condition));
    AF_TRY(af_ql_group_parse(p, &out->dimensions, &out->dimension_count));
    AF_TRY(parse_fill(p, out));
    AF_TRY(af_ql_order_parse(p, &out->sorts, &out->sort_count));
    AF_TRY(af_ql_limit_parse(p, AF_QL_T_LIMIT, &out->limit));
    AF_TRY(af_ql_limit_parse(p, AF_QL_T_OFFSET, &out->offset));
    AF_TRY(af_ql_limit_parse(p, AF_QL_T_SLIMIT, &out->slimit));
    AF_TRY(af_ql_limit_parse(p, AF_QL_T_SOFFSET, &out->soffset));
    return parse_zone(p, out);
}

enum af_status af_ql_select_parse(struct af_ql_parser *p, enum af_ql_into into, struct af_ql_select **out)
{
    struct af_ql_select *select = af_ql_zero(p, 1, sizeof *select);
    if (select == NULL)
        return af_ql_nomem(p);
    AF_TRY(af_ql_enter(p));
    AF_TRY(parse_clauses(p, into, select));
    p->depth--;
    *out = select;
    return AF_OK;
}

enum af_status af_ql_parse_select(struct af_ql_parser *p, struct af_ql_statement *out)
{
    return af_ql_select_parse(p, AF_QL_INTO_OPTIONAL, &out->select);
}

enum af_status af_ql_parse_explain(struct af_ql_parser *p, struct af_ql_statement *out)
{
    if (af_ql_accept(p, AF_QL_T_ANALYZE))
        out->kind = AF_QL_EXPLAIN_ANALYZE;
    AF_TRY(af_ql_require(p, AF_QL_T_SELECT));
    return af_ql_select_parse(p, AF_QL_INTO_OPTIONAL, &out->select);
}
