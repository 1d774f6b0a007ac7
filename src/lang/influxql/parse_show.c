/*
 * parse_show.c - SHOW ...: each statement has some of the clauses, always in the same order.
 *
 *     ON db   WITH MEASUREMENT   FROM   WITH KEY   WHERE   GROUP BY   ORDER BY   LIMIT   OFFSET   SLIMIT   SOFFSET
 */
#include "lang/influxql/parse_int.h"

enum {
    ON = 1, WITH_MEASUREMENT = 2, FROM = 4, WITH_KEY = 8, WHERE = 16, GROUP = 32, ORDER = 64, LIMIT = 128, SLIMIT = 256,
    LISTING = ON | FROM | WHERE | ORDER | LIMIT,
    COUNTING = ON | FROM | WHERE | GROUP | LIMIT,
};

static unsigned clauses_of(enum af_ql_kind kind)
{
    switch (kind) {
    case AF_QL_SHOW_POLICIES:
        return ON;
    case AF_QL_SHOW_MEASUREMENTS:
        return ON | WITH_MEASUREMENT | WHERE | ORDER | LIMIT;
    case AF_QL_SHOW_SERIES:
        return LISTING;
    case AF_QL_SHOW_TAG_KEYS:
        return LISTING | SLIMIT;
    case AF_QL_SHOW_TAG_VALUES:
        return LISTING | WITH_KEY;
    case AF_QL_SHOW_FIELD_KEYS:
        return ON | FROM | ORDER | LIMIT;
    case AF_QL_SHOW_TAG_VALUES_CARDINALITY:
        return COUNTING | WITH_KEY;
    default:
        return COUNTING;
    }
}

static enum af_status parse_with_measurement(struct af_ql_parser *p, struct af_ql_statement *out)
{
    if (!af_ql_accept(p, AF_QL_T_WITH))
        return AF_OK;
    AF_TRY(af_ql_require(p, AF_QL_T_MEASUREMENT));
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    if (found->kind != AF_QL_T_EQ && found->kind != AF_QL_T_EQREGEX)
        return af_ql_unexpected(p, found, "=, =~");
    out->sources = af_ql_zero(p, 1, sizeof *out->sources);
    if (out->sources == NULL)
        return af_ql_nomem(p);
    out->source_count = 1;
    return af_ql_source_parse(p, false, out->sources);
}

static enum af_status parse_key_name(struct af_ql_parser *p, struct af_ql_expr **out)
{
    *out = af_ql_zero(p, 1, sizeof **out);
    if (*out == NULL)
        return af_ql_nomem(p);
    **out = (struct af_ql_expr){ .kind = AF_QL_STRING, .height = 1 };
    AF_TRY(af_ql_parse_name(p, &(*out)->name));
    (*out)->text = af_slice_of((*out)->name);
    return AF_OK;
}

/* (a, b): a LIST. */
static enum af_status parse_key_names(struct af_ql_parser *p, struct af_ql_expr **out)
{
    struct af_ql_expr *list = af_ql_zero(p, 1, sizeof *list);
    if (list == NULL)
        return af_ql_nomem(p);
    AF_TRY(af_ql_require(p, AF_QL_T_LPAREN));
    do {
        list->args = af_ql_grow(p, list->args, list->arg_count, sizeof *list->args);
        if (list->args == NULL)
            return af_ql_nomem(p);
        AF_TRY(parse_key_name(p, &list->args[list->arg_count++]));
    } while (af_ql_accept(p, AF_QL_T_COMMA));
    list->kind = AF_QL_LIST;
    list->height = 2;
    *out = list;
    return af_ql_require(p, AF_QL_T_RPAREN);
}

static enum af_status parse_with_key(struct af_ql_parser *p, struct af_ql_statement *out)
{
    AF_TRY(af_ql_require(p, AF_QL_T_WITH));
    AF_TRY(af_ql_require(p, AF_QL_T_KEY));
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    switch (found->kind) {
    case AF_QL_T_IN:
        out->key_op = AF_QL_EQ;
        return parse_key_names(p, &out->key);
    case AF_QL_T_EQ:
    case AF_QL_T_NEQ:
        out->key_op = found->kind == AF_QL_T_EQ ? AF_QL_EQ : AF_QL_NEQ;
        return parse_key_name(p, &out->key);
    case AF_QL_T_EQREGEX:
    case AF_QL_T_NEQREGEX:
        out->key_op = found->kind == AF_QL_T_EQREGEX ? AF_QL_EQREGEX : AF_QL_NEQREGEX;
        AF_TRY(af_ql_regex_parse(p, &out->key));
        return out->key != NULL ? AF_OK : af_ql_unexpected(p, af_ql_scan_skip(&p->lex), "regex");
    default:
        return af_ql_unexpected(p, found, "IN, =, =~");
    }
}

enum af_status af_ql_parse_show(struct af_ql_parser *p, struct af_ql_statement *out)
{
    unsigned has = clauses_of(out->kind);
    if (has & ON)
        AF_TRY(af_ql_parse_optional_name(p, AF_QL_T_ON, &out->database));
    if (has & WITH_MEASUREMENT)
        AF_TRY(parse_with_measurement(p, out));
    if ((has & FROM) && af_ql_accept(p, AF_QL_T_FROM))
        AF_TRY(af_ql_sources_parse(p, false, &out->sources, &out->source_count));
    if (has & WITH_KEY)
        AF_TRY(parse_with_key(p, out));
    if (has & WHERE)
        AF_TRY(af_ql_where_parse(p, &out->condition));
    if (has & GROUP)
        AF_TRY(af_ql_group_parse(p, &out->dimensions, &out->dimension_count));
    if (has & ORDER)
        AF_TRY(af_ql_order_parse(p, &out->sorts, &out->sort_count));
    if (has & LIMIT) {
        AF_TRY(af_ql_limit_parse(p, AF_QL_T_LIMIT, &out->limit));
        AF_TRY(af_ql_limit_parse(p, AF_QL_T_OFFSET, &out->offset));
    }
    if (has & SLIMIT) {
        AF_TRY(af_ql_limit_parse(p, AF_QL_T_SLIMIT, &out->slimit));
        AF_TRY(af_ql_limit_parse(p, AF_QL_T_SOFFSET, &out->soffset));
    }
    return AF_OK;
}

/* SHOW SERIES [EXACT] [CARDINALITY]; EXACT alone says nothing. */
enum af_status af_ql_parse_show_series(struct af_ql_parser *p, struct af_ql_statement *out)
{
    bool is_exact = af_ql_accept(p, AF_QL_T_EXACT);
    if (af_ql_accept(p, AF_QL_T_CARDINALITY)) {
        out->kind = AF_QL_SHOW_SERIES_CARDINALITY;
        out->is_exact = is_exact;
    }
    return af_ql_parse_show(p, out);
}

/* SHOW TAG KEY, SHOW FIELD KEY: [EXACT] CARDINALITY. */
enum af_status af_ql_parse_show_key(struct af_ql_parser *p, struct af_ql_statement *out)
{
    out->is_exact = af_ql_accept(p, AF_QL_T_EXACT);
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    if (found->kind != AF_QL_T_CARDINALITY)
        return af_ql_unexpected(p, found, out->is_exact ? "CARDINALITY" : "EXACT, CARDINALITY");
    return af_ql_parse_show(p, out);
}

enum af_status af_ql_parse_show_exact(struct af_ql_parser *p, struct af_ql_statement *out)
{
    out->is_exact = true;
    AF_TRY(af_ql_require(p, AF_QL_T_CARDINALITY));
    return af_ql_parse_show(p, out);
}

enum af_status af_ql_parse_show_values(struct af_ql_parser *p, struct af_ql_statement *out)
{
    bool is_exact = af_ql_accept(p, AF_QL_T_EXACT);
    if (!is_exact && !af_ql_accept(p, AF_QL_T_CARDINALITY))
        return af_ql_parse_show(p, out);
    out->kind = AF_QL_SHOW_TAG_VALUES_CARDINALITY;
    return is_exact ? af_ql_parse_show_exact(p, out) : af_ql_parse_show(p, out);
}

enum af_status af_ql_parse_show_for_name(struct af_ql_parser *p, struct af_ql_statement *out)
{
    AF_TRY(af_ql_parse_name(p, &out->name));
    out->user = out->name;
    return AF_OK;
}

enum af_status af_ql_parse_show_for_module(struct af_ql_parser *p, struct af_ql_statement *out)
{
    if (!af_ql_accept(p, AF_QL_T_FOR))
        return AF_OK;
    AF_TRY(af_ql_parse_text(p, &out->name));
    out->name = af_ql_or_null(out->name);
    return AF_OK;
}

enum af_status af_ql_parse_bare(struct af_ql_parser *p, struct af_ql_statement *out)
{
    (void)p;
    (void)out;
    return AF_OK;
}
