/*
 * print.c - statements and expressions as InfluxDB prints them: what errors, SHOW QUERIES, EXPLAIN and column names repeat.
 *
 * The text parses again, to something that prints the same (influxql_fuzz.c). It is not always the same tree: numbers have three
 * decimals, -x is -1 * x, passwords are [REDACTED]. Names are quoted if they are no bare identifier.
 */
#include "base/calendar.h"
#include "base/numbers.h"
#include "lang/influxql/parse_int.h"
#include <math.h>

/* --- names and texts ------------------------------------------------------------------------------------------------------------- */

static void escape(struct af_buf *out, struct af_slice text, char quote)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n')
            af_buf_append_str(out, "\\n");
        else {
            if (c == '\\' || c == quote)
                af_buf_append_char(out, '\\');
            af_buf_append_char(out, c);
        }
    }
}

static bool is_bare(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        bool is_letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
        if (!is_letter && (c == name || *c < '0' || *c > '9'))
            return false;
    }
    return af_ql_keyword(af_slice_of(name)) == AF_QL_T_IDENT;
}

static void quote_name(struct af_buf *out, const char *name)
{
    af_buf_append_char(out, '"');
    escape(out, af_slice_of(name), '"');
    af_buf_append_char(out, '"');
}

void af_ql_print_name(struct af_buf *out, const char *name)
{
    if (name[0] != '\0' && is_bare(name))
        af_buf_append_str(out, name);
    else
        quote_name(out, name);
}

void af_ql_print_parts(struct af_buf *out, const char *const *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool is_last = i == count - 1, is_empty = parts[i][0] == '\0';
        if (i > 0)
            af_buf_append_char(out, '.');
        if (is_empty ? is_last || i == 0 : !is_last || !is_bare(parts[i]))
            quote_name(out, parts[i]);
        else
            af_buf_append_str(out, parts[i]);
    }
}

void af_ql_print_text(struct af_buf *out, struct af_slice text)
{
    af_buf_append_char(out, '\'');
    escape(out, text, '\'');
    af_buf_append_char(out, '\'');
}

static void print_regex(struct af_buf *out, struct af_slice pattern)
{
    af_buf_append_char(out, '/');
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] == '/')
            af_buf_append_char(out, '\\');
        af_buf_append_char(out, pattern.ptr[i]);
    }
    af_buf_append_char(out, '/');
}

/* --- numbers --------------------------------------------------------------------------------------------------------------------- */

/* mantissa * 2^exponent, exponent >= 0, in decimal: limbs of nine digits. */
static void print_large(struct af_buf *out, uint64_t mantissa, int exponent)
{
    enum { LIMB = 1000000000, LIMBS = 36 };
    uint32_t limbs[LIMBS] = { 0 };
    for (size_t i = 0; mantissa != 0; i++, mantissa /= LIMB)
        limbs[i] = (uint32_t)(mantissa % LIMB);
    for (int done = 0; done < exponent; done += 16) {
        int shift = exponent - done < 16 ? exponent - done : 16;
        uint64_t carry = 0;
        for (size_t i = 0; i < LIMBS; i++) {
            uint64_t value = ((uint64_t)limbs[i] << shift) + carry;
            limbs[i] = (uint32_t)(value % LIMB);
            carry = value / LIMB;
        }
    }
    size_t top = LIMBS - 1;
    while (top > 0 && limbs[top] == 0)
        top--;
    af_buf_printf(out, "%u", limbs[top]);
    while (top > 0)
        af_buf_printf(out, "%09u", limbs[--top]);
}

/* Three decimals, exactly rounded, half to even. */
static void print_number(struct af_buf *out, double value)
{
    if (!isfinite(value)) {
        af_buf_append_str(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    int exponent;
    uint64_t mantissa = (uint64_t)ldexp(frexp(fabs(value), &exponent), 53), thousandths = 0;
    exponent -= 53;
    if (signbit(value))
        af_buf_append_char(out, '-');
    if (exponent >= 0) {
        print_large(out, mantissa, exponent);
        af_buf_append_str(out, ".000");
        return;
    }
    if (exponent > -64) {
        uint64_t scaled = mantissa * 1000, half = UINT64_C(1) << (-exponent - 1);
        uint64_t rest = scaled & (2 * half - 1);
        thousandths = scaled >> -exponent;
        if (rest > half || (rest == half && (thousandths & 1) != 0))
            thousandths++;
    }
    af_buf_printf(out, "%llu.%03u", (unsigned long long)(thousandths / 1000), (unsigned)(thousandths % 1000));
}

/* The shortest that reads back, without an exponent: InfluxQL's numbers have none. What no integer holds keeps a point. */
static void print_plain(struct af_buf *out, double value)
{
    char text[AF_F64_TEXT_MAX];
    size_t len = (size_t)(af_f64_print(text, value) - text), first = text[0] == '-' ? 1 : 0;
    const char *e = memchr(text, 'e', len);
    int exponent = 0, digits = 0;
    for (const char *c = e == NULL ? text + len : e + 2; c < text + len; c++)
        exponent = exponent * 10 + (*c - '0');
    if (e != NULL && e[1] == '-')
        exponent = -exponent;
    af_buf_append(out, text, first);
    if (exponent < 0)
        af_buf_append_str(out, "0.");
    for (int i = -1; i > exponent; i--)
        af_buf_append_char(out, '0');
    for (const char *c = text + first; c < (e == NULL ? text + len : e); c++)
        if (e == NULL || *c != '.') {
            af_buf_append_char(out, *c);
            digits++;
        }
    for (; e != NULL && digits <= exponent; digits++)
        af_buf_append_char(out, '0');
    if (fabs(value) >= 0x1p63)
        af_buf_append_str(out, ".0");
}

static void print_time(struct af_buf *out, int64_t ns)
{
    char text[64];
    int64_t rest = ns % AF_NS_PER_S;
    unsigned digits = rest == 0 ? 0 : 9;
    for (; rest != 0 && rest % 10 == 0; rest /= 10)
        digits--;
    char *end = af_rfc3339_print(text, ns, digits);
    af_ql_print_text(out, (struct af_slice){ text, (size_t)(end - text) });
}

/* --- expressions ----------------------------------------------------------------------------------------------------------------- */

const char *af_ql_op_text(enum af_ql_op op)
{
    return af_ql_token_text((enum af_ql_token_kind)(AF_QL_T_ADD + (int)op));
}

static const char *cast_text(enum af_ql_cast cast)
{
    static const char *const texts[] = {
        [AF_QL_CAST_NONE] = "",
        [AF_QL_CAST_FLOAT] = "::float",
        [AF_QL_CAST_INTEGER] = "::integer",
        [AF_QL_CAST_UNSIGNED] = "::unsigned",
        [AF_QL_CAST_STRING] = "::string",
        [AF_QL_CAST_BOOLEAN] = "::boolean",
        [AF_QL_CAST_FIELD] = "::field",
        [AF_QL_CAST_TAG] = "::tag",
        [AF_QL_CAST_TIME] = "::time",
    };
    return texts[cast];
}

static void print_list(struct af_buf *out, struct af_ql_expr *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            af_buf_append_str(out, ", ");
        af_ql_print_expr(out, items[i]);
    }
}

static void print_call(struct af_buf *out, const struct af_ql_expr *call)
{
    if (strcmp(call->name, "distinct") == 0) /* the keyword reads as the function's name */
        af_buf_append_str(out, call->name);
    else
        af_ql_print_name(out, call->name);
    af_buf_append_char(out, '(');
    print_list(out, call->args, call->arg_count);
    af_buf_append_char(out, ')');
}

static void print_names(struct af_buf *out, const struct af_ql_expr *list)
{
    af_buf_append_char(out, '(');
    for (size_t i = 0; i < list->arg_count; i++) {
        if (i > 0)
            af_buf_append_str(out, ", ");
        af_ql_print_name(out, list->args[i]->name);
    }
    af_buf_append_char(out, ')');
}

static void print_inner(struct af_buf *out, const struct af_ql_expr *expr)
{
    switch (expr->kind) {
    case AF_QL_REF:
        af_ql_print_name(out, expr->name);
        af_buf_append_str(out, cast_text(expr->cast));
        break;
    case AF_QL_DISTINCT:
        af_buf_append_str(out, "DISTINCT ");
        af_ql_print_name(out, expr->name);
        break;
    case AF_QL_WILDCARD:
        af_buf_append_char(out, '*');
        af_buf_append_str(out, cast_text(expr->cast));
        break;
    case AF_QL_CALL:
        print_call(out, expr);
        break;
    case AF_QL_BINARY:
        af_ql_print_expr(out, expr->left);
        af_buf_printf(out, " %s ", af_ql_op_text(expr->op));
        af_ql_print_expr(out, expr->right);
        break;
    case AF_QL_PAREN:
        af_buf_append_char(out, '(');
        af_ql_print_expr(out, expr->left);
        af_buf_append_char(out, ')');
        break;
    default:
        break;
    }
}

void af_ql_print_expr(struct af_buf *out, const struct af_ql_expr *expr)
{
    switch (expr->kind) {
    case AF_QL_NUMBER:
        print_number(out, expr->number);
        break;
    case AF_QL_INTEGER:
        af_buf_printf(out, "%lld", (long long)expr->integer);
        break;
    case AF_QL_UNSIGNED:
        af_buf_printf(out, "%llu", (unsigned long long)expr->unsigned_integer);
        break;
    case AF_QL_STRING:
        af_ql_print_text(out, expr->text);
        break;
    case AF_QL_BOOLEAN:
        af_buf_append_str(out, expr->boolean ? "true" : "false");
        break;
    case AF_QL_DURATION:
        af_ql_print_duration(out, expr->integer);
        break;
    case AF_QL_TIME:
        print_time(out, expr->integer);
        break;
    case AF_QL_REGEX:
        print_regex(out, expr->text);
        break;
    case AF_QL_LIST:
        print_names(out, expr);
        break;
    case AF_QL_NIL:
        af_buf_append_str(out, "nil");
        break;
    default:
        print_inner(out, expr);
        break;
    }
}

/* --- clauses --------------------------------------------------------------------------------------------------------------------- */

static void print_source(struct af_buf *out, const struct af_ql_source *source)
{
    if (source->subquery != NULL) {
        af_buf_append_char(out, '(');
        af_ql_print_select(out, source->subquery);
        af_buf_append_char(out, ')');
        return;
    }
    if (source->database != NULL) {
        af_ql_print_name(out, source->database);
        af_buf_append_char(out, '.');
    }
    if (source->policy != NULL)
        af_ql_print_name(out, source->policy);
    if (source->database != NULL || source->policy != NULL)
        af_buf_append_char(out, '.');
    if (source->regex != NULL)
        print_regex(out, source->regex->text);
    else if (source->name != NULL)
        af_ql_print_name(out, source->name);
    else if (source->database != NULL || source->policy != NULL)
        af_buf_append_str(out, ":MEASUREMENT");
    else
        af_ql_print_name(out, "");
}

static void print_sources(struct af_buf *out, const struct af_ql_source *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        af_buf_append_str(out, i == 0 ? " FROM " : ", ");
        print_source(out, &sources[i]);
    }
}

static void print_where(struct af_buf *out, const struct af_ql_expr *condition)
{
    if (condition == NULL)
        return;
    af_buf_append_str(out, " WHERE ");
    af_ql_print_expr(out, condition);
}

static void print_group(struct af_buf *out, struct af_ql_expr *const *dimensions, size_t count)
{
    if (count == 0)
        return;
    af_buf_append_str(out, " GROUP BY ");
    print_list(out, dimensions, count);
}

static void print_sorts(struct af_buf *out, const struct af_ql_sort *sorts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        af_buf_append_str(out, i == 0 ? " ORDER BY " : ", ");
        if (sorts[i].name != NULL) {
            af_ql_print_name(out, sorts[i].name);
            af_buf_append_char(out, ' ');
        }
        af_buf_append_str(out, sorts[i].descending ? "DESC" : "ASC");
    }
}

static void print_limit(struct af_buf *out, const char *word, int64_t value)
{
    if (value > 0)
        af_buf_printf(out, " %s %lld", word, (long long)value);
}

static void print_fill(struct af_buf *out, const struct af_ql_select *select)
{
    switch (select->fill) {
    case AF_QL_FILL_NULL:
        break;
    case AF_QL_FILL_NONE:
        af_buf_append_str(out, " fill(none)");
        break;
    case AF_QL_FILL_PREVIOUS:
        af_buf_append_str(out, " fill(previous)");
        break;
    case AF_QL_FILL_LINEAR:
        af_buf_append_str(out, " fill(linear)");
        break;
    case AF_QL_FILL_NUMBER:
        af_buf_append_str(out, " fill(");
        if (select->fill_value->kind == AF_QL_NUMBER)
            print_plain(out, select->fill_value->number);
        else
            af_ql_print_expr(out, select->fill_value);
        af_buf_append_char(out, ')');
        break;
    }
}

void af_ql_print_select(struct af_buf *out, const struct af_ql_select *select)
{
    for (size_t i = 0; i < select->field_count; i++) {
        af_buf_append_str(out, i == 0 ? "SELECT " : ", ");
        af_ql_print_expr(out, select->fields[i].expr);
        if (select->fields[i].alias != NULL) {
            af_buf_append_str(out, " AS ");
            af_ql_print_name(out, select->fields[i].alias);
        }
    }
    if (select->target != NULL) {
        af_buf_append_str(out, " INTO ");
        print_source(out, select->target);
    }
    print_sources(out, select->sources, select->source_count);
    print_where(out, select->condition);
    print_group(out, select->dimensions, select->dimension_count);
    print_fill(out, select);
    print_sorts(out, select->sorts, select->sort_count);
    print_limit(out, "LIMIT", select->limit);
    print_limit(out, "OFFSET", select->offset);
    print_limit(out, "SLIMIT", select->slimit);
    print_limit(out, "SOFFSET", select->soffset);
    if (select->zone_name != NULL)
        af_buf_printf(out, " TZ('%s')", select->zone_name);
}
