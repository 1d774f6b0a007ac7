/*
 * parse_expr.c - expressions: operands, and the operators between them.
 *
 *     OR                             1     binds least
 *     AND                            2
 *     = != =~ !~ < <= > >=           3
 *     + - | ^                        4
 *     * / % &                        5
 *
 * Operands wait on a stack with the operator behind them until one comes that binds no tighter. Equal ones bind to the left; but a chain of
 * ANDs or of ORs, which a program may make thousands long, becomes a balanced tree: it means and prints the same, and walking it needs no
 * deep stack. Trees that are still too high are refused.
 */
#include "base/limits.h"
#include "base/numbers.h"
#include "lang/influxql/parse_int.h"

int af_ql_precedence(enum af_ql_op op)
{
    switch (op) {
    case AF_QL_OR:
        return 1;
    case AF_QL_AND:
        return 2;
    case AF_QL_ADD:
    case AF_QL_SUB:
    case AF_QL_BIT_OR:
    case AF_QL_BIT_XOR:
        return 4;
    case AF_QL_MUL:
    case AF_QL_DIV:
    case AF_QL_MOD:
    case AF_QL_BIT_AND:
        return 5;
    default:
        return 3;
    }
}

bool af_ql_has_call(const struct af_ql_expr *expr)
{
    if (expr == NULL)
        return false;
    return expr->kind == AF_QL_CALL || af_ql_has_call(expr->left) || af_ql_has_call(expr->right);
}

/* --- nodes ----------------------------------------------------------------------------------------------------------------------- */

struct af_ql_expr *af_ql_expr_new(struct af_arena *arena, enum af_ql_expr_kind kind)
{
    struct af_ql_expr *expr = af_arena_zero(arena, 1, sizeof *expr);
    if (expr != NULL) {
        expr->kind = kind;
        expr->height = 1;
    }
    return expr;
}

static enum af_status make(struct af_ql_parser *p, enum af_ql_expr_kind kind, struct af_ql_expr **out)
{
    p->wanted = sizeof **out;
    *out = af_ql_expr_new(p->arena, kind);
    return *out != NULL ? AF_OK : af_ql_nomem(p);
}

/* `parent` stands on `child`. */
static enum af_status raise_over(struct af_ql_parser *p, struct af_ql_expr *parent, const struct af_ql_expr *child)
{
    if (parent->height <= child->height)
        parent->height = child->height + 1;
    if (parent->height > AF_QUERY_DEPTH_MAX)
        return af_fail(p->err, AF_ELIMIT, "an expression is nested deeper than %d; cut it into parts", AF_QUERY_DEPTH_MAX);
    return AF_OK;
}

static enum af_status make_binary(struct af_ql_parser *p, enum af_ql_op op, struct af_ql_expr *left, struct af_ql_expr *right,
                                  struct af_ql_expr **out)
{
    struct af_ql_expr *expr;
    AF_TRY(make(p, AF_QL_BINARY, &expr));
    AF_TRY(raise_over(p, expr, left));
    AF_TRY(raise_over(p, expr, right));
    expr->op = op;
    expr->left = left;
    expr->right = right;
    *out = expr;
    return AF_OK;
}

static enum af_status make_integer(struct af_ql_parser *p, int64_t value, struct af_ql_expr **out)
{
    AF_TRY(make(p, AF_QL_INTEGER, out));
    (*out)->integer = value;
    return AF_OK;
}

/* --- regexes --------------------------------------------------------------------------------------------------------------------- */

static void free_regex(void *regex)
{
    af_regex_free(regex);
}

static enum af_status make_regex(struct af_ql_parser *p, const struct af_ql_token *found, struct af_ql_expr **out)
{
    struct af_ql_expr *expr;
    struct af_error why = { 0 };
    AF_TRY(make(p, AF_QL_REGEX, &expr));
    expr->text = found->lit;
    enum af_status status = af_regex_new(expr->text, &expr->regex, &why);
    if (status == AF_EINVAL)
        return af_ql_fault(p, found->pos, "%s", why.message);
    if (status != AF_OK) {
        if (p->err != NULL)
            *p->err = why;
        return status;
    }
    if (!af_arena_on_reset(p->arena, free_regex, expr->regex)) {
        af_regex_free(expr->regex);
        return af_ql_nomem(p);
    }
    *out = expr;
    return AF_OK;
}

static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

enum af_status af_ql_regex_parse(struct af_ql_parser *p, struct af_ql_expr **out)
{
    *out = NULL;
    if (is_space(af_ql_peek(&p->lex)) && af_ql_scan(&p->lex)->kind != AF_QL_T_WS)
        af_ql_unscan(&p->lex);
    uint32_t c = af_ql_peek(&p->lex);
    if (c == '$') {                     /* a parameter may be one */
        bool is_regex = af_ql_scan(&p->lex)->kind == AF_QL_T_REGEX;
        af_ql_unscan(&p->lex);
        if (!is_regex)
            return AF_OK;
    } else if (c != '/')
        return AF_OK;
    const struct af_ql_token *found = af_ql_scan_regex(&p->lex);
    if (found->kind == AF_QL_T_BAD_REGEX)
        return af_ql_fault(p, found->pos, "bad regex: ");
    if (found->kind != AF_QL_T_REGEX)
        return af_ql_unexpected(p, found, "regex");
    return make_regex(p, found, out);
}

/* --- names ----------------------------------------------------------------------------------------------------------------------- */

enum { PARTS_MAX = 3 };

enum af_status af_ql_parts_parse(struct af_ql_parser *p, const char *out_parts[3], size_t *out_count)
{
    const char **parts = out_parts, **all = NULL; /* `all` only where there are too many: they are named in the error */
    size_t count = 1;
    AF_TRY(af_ql_parse_name(p, &parts[0]));
    for (;;) {
        if (af_ql_scan(&p->lex)->kind != AF_QL_T_DOT) {
            af_ql_unscan(&p->lex);
            break;
        }
        uint32_t c = af_ql_peek(&p->lex);
        if (c == '/' || c == ':')
            break;
        const char *part = "";
        if (c != '.')
            AF_TRY(af_ql_parse_name(p, &part));
        if (count >= PARTS_MAX) {
            if (all == NULL && (all = af_ql_zero(p, 4, sizeof *all)) == NULL)
                return af_ql_nomem(p);
            if (count == PARTS_MAX)
                memcpy(all, out_parts, PARTS_MAX * sizeof *all);
            all = af_ql_grow(p, all, count, sizeof *all);
            if (all == NULL)
                return af_ql_nomem(p);
            parts = all;
        }
        parts[count++] = part;
    }
    *out_count = count;
    if (count <= PARTS_MAX)
        return AF_OK;
    struct af_buf words;
    af_buf_init(&words, 4096);
    af_ql_print_parts(&words, parts, count);
    enum af_status status = af_ql_fault(p, (struct af_ql_pos){ 0, 0 }, "too many segments in %s", af_buf_cstr(&words));
    af_buf_done(&words);
    return status;
}

bool af_ql_is_word(struct af_slice lit, const char *lower)
{
    size_t n = strlen(lower);
    if (lit.len != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((lit.ptr[i] >= 'A' && lit.ptr[i] <= 'Z' ? lit.ptr[i] - 'A' + 'a' : lit.ptr[i]) != lower[i])
            return false;
    return true;
}

static enum af_status parse_cast(struct af_ql_parser *p, enum af_ql_cast *out)
{
    static const struct {
        const char *name;
        enum af_ql_cast cast;
    } types[] = {
        { "float", AF_QL_CAST_FLOAT }, { "integer", AF_QL_CAST_INTEGER }, { "unsigned", AF_QL_CAST_UNSIGNED },
        { "string", AF_QL_CAST_STRING }, { "boolean", AF_QL_CAST_BOOLEAN },
    };
    const struct af_ql_token *found = af_ql_scan(&p->lex);
    if (found->kind == AF_QL_T_FIELD || found->kind == AF_QL_T_TAG) {
        *out = found->kind == AF_QL_T_FIELD ? AF_QL_CAST_FIELD : AF_QL_CAST_TAG;
        return AF_OK;
    }
    if (found->kind != AF_QL_T_IDENT)
        return af_ql_unexpected(p, found, "float, integer, string, boolean, field, tag");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (af_ql_is_word(found->lit, types[i].name)) {
            *out = types[i].cast;
            return AF_OK;
        }
    return af_ql_unexpected(p, found, "float, integer, unsigned, string, boolean, field, tag");
}

static enum af_status parse_reference(struct af_ql_parser *p, struct af_ql_expr **out)
{
    const char *parts[PARTS_MAX];
    size_t count;
    AF_TRY(make(p, AF_QL_REF, out));
    AF_TRY(af_ql_parts_parse(p, parts, &count));
    if (af_ql_scan(&p->lex)->kind == AF_QL_T_DOUBLE_COLON)
        AF_TRY(parse_cast(p, &(*out)->cast));
    else
        af_ql_unscan(&p->lex);
    (*out)->name = parts[0];
    if (count == 2)
        (*out)->name = af_arena_printf(p->arena, "%s.%s", parts[0], parts[1]);
    if (count == 3)
        (*out)->name = af_arena_printf(p->arena, "%s.%s.%s", parts[0], parts[1], parts[2]);
    return (*out)->name != NULL ? AF_OK : af_ql_nomem(p);
}

/* --- calls ----------------------------------------------------------------------------------------------------------------------- */

/* Function names are compared without case; letters of other alphabets keep theirs. */
static enum af_status lower(struct af_ql_parser *p, const char *name, const char **out)
{
    p->wanted = strlen(name) + 1;
    char *copy = af_arena_copy(p->arena, af_slice_of(name));
    if (copy == NULL)
        return af_ql_nomem(p);
    for (char *c = copy; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    *out = copy;
    return AF_OK;
}

static enum af_status parse_argument(struct af_ql_parser *p, struct af_ql_expr *call)
{
    struct af_ql_expr *arg;
    AF_TRY(af_ql_regex_parse(p, &arg));
    if (arg == NULL) {
        if (call->arg_count == 0) {
            bool is_closed = af_ql_scan(&p->lex)->kind == AF_QL_T_RPAREN;
            af_ql_unscan(&p->lex);
            if (is_closed)
                return AF_OK;
        }
        AF_TRY(af_ql_expr_parse(p, &arg));
    }
    call->args = af_ql_grow(p, call->args, call->arg_count, sizeof *call->args);
    if (call->args == NULL)
        return af_ql_nomem(p);
    call->args[call->arg_count++] = arg;
    return raise_over(p, call, arg);
}

/* Behind name( */
static enum af_status parse_call(struct af_ql_parser *p, const char *name, struct af_ql_expr **out)
{
    AF_TRY(make(p, AF_QL_CALL, out));
    AF_TRY(lower(p, name, &(*out)->name));
    do
        AF_TRY(parse_argument(p, *out));
    while ((*out)->arg_count != 0 && af_ql_accept(p, AF_QL_T_COMMA));
    const struct af_ql_token *found = af_ql_scan(&p->lex);
    return found->kind == AF_QL_T_RPAREN ? AF_OK : af_ql_unexpected(p, found, ")");
}

/* --- operands -------------------------------------------------------------------------------------------------------------------- */

static enum af_status parse_operand(struct af_ql_parser *p, struct af_ql_expr **out);

static enum af_status parse_number(struct af_ql_parser *p, const struct af_ql_token *found, struct af_ql_expr **out)
{
    double value;
    if (!af_f64_parse(found->lit, &value))
        return af_ql_fault(p, found->pos, "unable to parse number");
    AF_TRY(make(p, AF_QL_NUMBER, out));
    (*out)->number = value;
    return AF_OK;
}

/* What is past int64 becomes unsigned. */
static enum af_status parse_integer(struct af_ql_parser *p, const struct af_ql_token *found, struct af_ql_expr **out)
{
    int64_t value;
    uint64_t large;
    if (af_i64_parse(found->lit, &value))
        return make_integer(p, value, out);
    if (!af_u64_parse(found->lit, &large))
        return af_ql_fault(p, found->pos, "unable to parse integer");
    AF_TRY(make(p, AF_QL_UNSIGNED, out));
    (*out)->unsigned_integer = large;
    return AF_OK;
}

static enum af_status parse_distinct(struct af_ql_parser *p, struct af_ql_expr **out)
{
    const struct af_ql_token *found = af_ql_scan(&p->lex);
    if (found->kind == AF_QL_T_LPAREN)
        return parse_call(p, "distinct", out);
    if (found->kind != AF_QL_T_WS)
        return af_ql_unexpected(p, found, "(, identifier");
    AF_TRY(make(p, AF_QL_DISTINCT, out));
    return af_ql_parse_name(p, &(*out)->name);
}

static enum af_status parse_wildcard(struct af_ql_parser *p, struct af_ql_expr **out)
{
    AF_TRY(make(p, AF_QL_WILDCARD, out));
    if (af_ql_scan(&p->lex)->kind != AF_QL_T_DOUBLE_COLON) {
        af_ql_unscan(&p->lex);
        return AF_OK;
    }
    const struct af_ql_token *found = af_ql_scan(&p->lex);
    if (found->kind != AF_QL_T_FIELD && found->kind != AF_QL_T_TAG)
        return af_ql_unexpected(p, found, "field, tag");
    (*out)->cast = found->kind == AF_QL_T_FIELD ? AF_QL_CAST_FIELD : AF_QL_CAST_TAG;
    return AF_OK;
}

/* -1 is one literal; -x is -1 * x. */
static enum af_status parse_signed(struct af_ql_parser *p, bool is_minus, struct af_ql_expr **out)
{
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    switch (found->kind) {
    case AF_QL_T_NUMBER:
    case AF_QL_T_INTEGER:
    case AF_QL_T_DURATION_VALUE:
    case AF_QL_T_LPAREN:
    case AF_QL_T_IDENT:
        break;
    default:
        return af_ql_unexpected(p, found, "identifier, number, duration, (");
    }
    af_ql_unscan(&p->lex);
    struct af_ql_expr *operand, *sign;
    AF_TRY(parse_operand(p, &operand));
    *out = operand;
    switch (operand->kind) {
    case AF_QL_NUMBER:
        operand->number = is_minus ? -operand->number : operand->number;
        return AF_OK;
    case AF_QL_INTEGER:
    case AF_QL_DURATION:
        if (is_minus)
            operand->integer = (int64_t)(0 - (uint64_t)operand->integer);
        return AF_OK;
    case AF_QL_UNSIGNED:
        if (!is_minus)
            return AF_OK;
        if (operand->unsigned_integer != (uint64_t)INT64_MAX + 1)
            return af_fail(p->err, AF_EINVAL, "constant -%llu underflows int64", (unsigned long long)operand->unsigned_integer);
        return make_integer(p, INT64_MIN, out);
    default:
        AF_TRY(make_integer(p, is_minus ? -1 : 1, &sign));
        return make_binary(p, AF_QL_MUL, sign, operand, out);
    }
}

/* What is in parentheses, behind the opening one. */
static enum af_status parse_paren(struct af_ql_parser *p, struct af_ql_expr **out)
{
    struct af_ql_expr *inner;
    AF_TRY(af_ql_expr_parse(p, &inner));
    AF_TRY(af_ql_require(p, AF_QL_T_RPAREN));
    AF_TRY(make(p, AF_QL_PAREN, out));
    (*out)->left = inner;
    return raise_over(p, *out, inner);
}

static enum af_status parse_named(struct af_ql_parser *p, const char *name, struct af_ql_expr **out)
{
    if (af_ql_scan(&p->lex)->kind == AF_QL_T_LPAREN)
        return parse_call(p, name, out);
    af_ql_unscan(&p->lex);
    af_ql_unscan(&p->lex);
    return parse_reference(p, out);
}

static enum af_status parse_literal(struct af_ql_parser *p, const struct af_ql_token *found, struct af_ql_expr **out)
{
    switch (found->kind) {
    case AF_QL_T_STRING:
        AF_TRY(make(p, AF_QL_STRING, out));
        (*out)->text = found->lit;
        (*out)->name = found->lit.ptr;
        return AF_OK;
    case AF_QL_T_TRUE:
    case AF_QL_T_FALSE:
        AF_TRY(make(p, AF_QL_BOOLEAN, out));
        (*out)->boolean = found->kind == AF_QL_T_TRUE;
        return AF_OK;
    case AF_QL_T_DURATION_VALUE:
        AF_TRY(make(p, AF_QL_DURATION, out));
        return af_ql_duration_parse(found->lit, &(*out)->integer, p->err);
    case AF_QL_T_BOUND:
        if (found->lit.len == 1)
            return af_fail(p->err, AF_EINVAL, "empty bound parameter");
        return af_fail(p->err, AF_EINVAL, "missing parameter: %s", found->lit.ptr + (found->lit.ptr[0] == '$' ? 1 : 0));
    default:
        return af_ql_unexpected(p, found, "identifier, string, number, bool");
    }
}

static enum af_status parse_operand(struct af_ql_parser *p, struct af_ql_expr **out)
{
    const struct af_ql_token *found = af_ql_scan_skip(&p->lex);
    switch (found->kind) {
    case AF_QL_T_LPAREN:
        return parse_paren(p, out);
    case AF_QL_T_IDENT:
        return parse_named(p, found->lit.ptr, out);
    case AF_QL_T_DISTINCT:
        return parse_distinct(p, out);
    case AF_QL_T_NUMBER:
        return parse_number(p, found, out);
    case AF_QL_T_INTEGER:
        return parse_integer(p, found, out);
    case AF_QL_T_MUL:
        return parse_wildcard(p, out);
    case AF_QL_T_REGEX:
        return make_regex(p, found, out);
    case AF_QL_T_ADD:
    case AF_QL_T_SUB:
        return parse_signed(p, found->kind == AF_QL_T_SUB, out);
    default:
        return parse_literal(p, found, out);
    }
}

/* --- operators ------------------------------------------------------------------------------------------------------------------- */

/* AND and OR: grouping does not matter. */
static bool is_associative(enum af_ql_op op)
{
    return op == AF_QL_AND || op == AF_QL_OR;
}

static enum af_status push(struct af_ql_parser *p, struct af_ql_expr *operand, enum af_ql_op op)
{
    if (p->pending_count == p->pending_cap) {
        size_t cap = p->pending_cap == 0 ? 64 : p->pending_cap * 2;
        struct af_ql_pending *larger = af_ql_zero(p, cap, sizeof *larger);
        if (larger == NULL)
            return af_ql_nomem(p);
        if (p->pending_count != 0)
            memcpy(larger, p->pending, p->pending_count * sizeof *larger);
        p->pending = larger;
        p->pending_cap = cap;
    }
    p->pending[p->pending_count++] = (struct af_ql_pending){ operand, op };
    return AF_OK;
}

/* operands[0] op operands[1] op ... op last, as a balanced tree. */
static enum af_status build_chain(struct af_ql_parser *p, const struct af_ql_pending *operands, size_t count, struct af_ql_expr *last,
                                  struct af_ql_expr **out)
{
    if (count == 0) {
        *out = last;
        return AF_OK;
    }
    size_t left_count = (count + 2) / 2; /* of count + 1 operands, the larger half */
    struct af_ql_expr *left, *right;
    AF_TRY(build_chain(p, operands, left_count - 1, operands[left_count - 1].operand, &left));
    AF_TRY(build_chain(p, operands + left_count, count - left_count, last, &right));
    return make_binary(p, operands[0].op, left, right, out);
}

/* Join what binds tighter than `level`, or as tight, with *right; stop at `base`. */
static enum af_status join(struct af_ql_parser *p, size_t base, int level, struct af_ql_expr **right)
{
    while (p->pending_count > base) {
        enum af_ql_op op = p->pending[p->pending_count - 1].op;
        int precedence = af_ql_precedence(op);
        if (precedence < level || (precedence == level && is_associative(op)))
            return AF_OK;
        size_t count = 1;
        while (is_associative(op) && p->pending_count - count > base && p->pending[p->pending_count - count - 1].op == op)
            count++;
        p->pending_count -= count;
        AF_TRY(build_chain(p, p->pending + p->pending_count, count, *right, right));
    }
    return AF_OK;
}

static enum af_status parse_right(struct af_ql_parser *p, enum af_ql_op op, struct af_ql_expr **out)
{
    if (op != AF_QL_EQREGEX && op != AF_QL_NEQREGEX)
        return parse_operand(p, out);
    AF_TRY(af_ql_regex_parse(p, out));
    return *out != NULL ? AF_OK : af_ql_unexpected(p, af_ql_scan_skip(&p->lex), "regex");
}

enum af_status af_ql_expr_parse(struct af_ql_parser *p, struct af_ql_expr **out)
{
    size_t base = p->pending_count;
    struct af_ql_expr *right;
    AF_TRY(af_ql_enter(p));
    AF_TRY(parse_operand(p, &right));
    for (;;) {
        enum af_ql_token_kind kind = af_ql_scan_skip(&p->lex)->kind;
        if (kind < AF_QL_T_ADD || kind > AF_QL_T_GTE)
            break;
        enum af_ql_op op = (enum af_ql_op)(kind - AF_QL_T_ADD);
        AF_TRY(join(p, base, af_ql_precedence(op), &right));
        AF_TRY(push(p, right, op));
        AF_TRY(parse_right(p, op, &right));
    }
    af_ql_unscan(&p->lex);
    AF_TRY(join(p, base, 0, &right));
    p->depth--;
    *out = right;
    return AF_OK;
}
