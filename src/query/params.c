/*
 * params.c - bind parameters: a JSON object's members as what stands in the text for $name.
 *
 *     "x", 5, 5.0, true           a string, an integer, a float, a boolean
 *     {"regex": "a|b"}            what the key says: ident(ifier), regex, string, float, number, int(eger), duration ("10m" or nanoseconds)
 *
 * A value that cannot stand for anything is only an error where it is used.
 */
#include "base/numbers.h"
#include "format/json/json.h"
#include "query/query_int.h"

static enum af_status number(const struct af_json *node, struct af_ql_expr *out, struct af_error *err)
{
    if (memchr(node->text.ptr, '.', node->text.len) != NULL) {
        out->kind = AF_QL_NUMBER;
        if (af_f64_parse(node->text, &out->number))
            return AF_OK;
    } else {
        out->kind = AF_QL_INTEGER;
        if (af_i64_parse(node->text, &out->integer))
            return AF_OK;
    }
    return af_fail(err, AF_EINVAL, "error parsing json value: strconv.ParseInt: parsing \"" AF_SLICE_FMT "\": invalid syntax",
                   AF_SLICE_ARG(node->text));
}

static enum af_status text_of(const struct af_json *node, struct af_arena *arena, enum af_ql_expr_kind kind, struct af_ql_expr *out,
                              struct af_error *err)
{
    char *copy = af_arena_copy(arena, node->text);
    if (copy == NULL)
        return af_fail_nomem(err, "a bind parameter");
    out->kind = kind;
    out->name = copy;
    out->text = (struct af_slice){ copy, node->text.len };
    return AF_OK;
}

static enum af_status duration(const struct af_json *node, struct af_arena *arena, struct af_ql_expr *out, struct af_error *err)
{
    struct af_ql_expr *parsed;
    if (node->kind == AF_JSON_NUMBER) {
        AF_TRY(number(node, out, err));
        out->kind = AF_QL_DURATION;
        return AF_OK;
    }
    enum af_status status = af_ql_parse_expr(node->text, arena, &parsed, NULL);
    if (status == AF_ENOMEM)
        return af_fail_nomem(err, "a bind parameter");
    if (status != AF_OK || parsed->kind != AF_QL_DURATION)
        return af_fail(err, AF_EINVAL, "invalid duration");
    *out = *parsed;
    return AF_OK;
}

/* --- {"kind": value} ----------------------------------------------------------------------------------------------------------------- */

enum bound { BOUND_NAME, BOUND_REGEX, BOUND_STRING, BOUND_FLOAT, BOUND_INTEGER, BOUND_DURATION, BOUND_NOTHING };

static enum bound bound_of(struct af_slice key)
{
    static const struct {
        const char *key;
        enum bound bound;
    } kinds[] = { { "ident", BOUND_NAME }, { "identifier", BOUND_NAME }, { "regex", BOUND_REGEX }, { "string", BOUND_STRING },
                  { "float", BOUND_FLOAT }, { "number", BOUND_FLOAT }, { "int", BOUND_INTEGER }, { "integer", BOUND_INTEGER },
                  { "duration", BOUND_DURATION } };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (af_slice_is(key, kinds[i].key))
            return kinds[i].bound;
    return BOUND_NOTHING;
}

static enum af_status bound_number(const struct af_json *node, enum bound bound, struct af_ql_expr *out, struct af_error *err)
{
    bool is_whole = node->kind == AF_JSON_NUMBER && memchr(node->text.ptr, '.', node->text.len) == NULL;
    if (node->kind != AF_JSON_NUMBER || (bound == BOUND_INTEGER && !is_whole))
        return af_fail(err, AF_EINVAL, bound == BOUND_INTEGER ? "integer literal must be an integer value"
                       : "number literal must be a float value");
    AF_TRY(number(node, out, err));
    if (bound == BOUND_FLOAT && out->kind == AF_QL_INTEGER)
        *out = (struct af_ql_expr){ .kind = AF_QL_NUMBER, .number = (double)out->integer };
    return AF_OK;
}

static enum af_status bound_object(const struct af_json *node, struct af_arena *arena, struct af_ql_expr *out, struct af_error *err)
{
    static const enum af_ql_expr_kind kinds[] = { [BOUND_NAME] = AF_QL_REF, [BOUND_REGEX] = AF_QL_REGEX, [BOUND_STRING] = AF_QL_STRING };
    static const char *const words[] = { [BOUND_NAME] = "identifier", [BOUND_REGEX] = "regex literal", [BOUND_STRING] = "string literal" };
    const struct af_json *value = node->first;
    if (value == NULL || value->next != NULL)
        return af_fail(err, AF_EINVAL, "bound object parameter value must have exactly one entry");
    enum bound bound = bound_of(value->key);
    switch (bound) {
    case BOUND_FLOAT:
    case BOUND_INTEGER: return bound_number(value, bound, out, err);
    case BOUND_DURATION:
        if (value->kind != AF_JSON_STRING && (value->kind != AF_JSON_NUMBER || memchr(value->text.ptr, '.', value->text.len) != NULL))
            return af_fail(err, AF_EINVAL, "duration literal must be a string or integer value");
        return duration(value, arena, out, err);
    case BOUND_NOTHING: return af_fail(err, AF_EINVAL, "unknown bind object type: " AF_SLICE_FMT, AF_SLICE_ARG(value->key));
    default:
        if (value->kind != AF_JSON_STRING)
            return af_fail(err, AF_EINVAL, "%s must be a string value", words[bound]);
        return text_of(value, arena, kinds[bound], out, err);
    }
}

/* --- asked by the parser -------------------------------------------------------------------------------------------------------------- */

static enum af_status bind(const struct af_json *node, struct af_arena *arena, struct af_ql_expr *out, struct af_error *err)
{
    switch (node->kind) {
    case AF_JSON_NUMBER: return number(node, out, err);
    case AF_JSON_STRING: return text_of(node, arena, AF_QL_STRING, out, err);
    case AF_JSON_OBJECT: return bound_object(node, arena, out, err);
    case AF_JSON_BOOL: *out = (struct af_ql_expr){ .kind = AF_QL_BOOLEAN, .boolean = node->is_true }; return AF_OK;
    case AF_JSON_ARRAY: return af_fail(err, AF_EINVAL, "unable to bind parameter with type []interface {}");
    default: return af_fail(err, AF_EINVAL, "unable to bind parameter with type <nil>");
    }
}

static enum af_status literal_of(void *ctx, const char *name, struct af_arena *arena, struct af_ql_expr **out, struct af_error *err)
{
    const struct query_params *params = ctx;
    const struct af_json *node = params->json != NULL ? af_json_get(params->json, name) : NULL;
    *out = NULL;
    if (node == NULL)
        return AF_OK;
    struct af_ql_expr *expr = af_arena_zero(arena, 1, sizeof *expr);
    if (expr == NULL)
        return af_fail_nomem(err, "a bind parameter");
    AF_TRY(bind(node, arena, expr, err));
    *out = expr;
    return AF_OK;
}

enum af_status query_params_read(const char *json, struct af_arena *arena, struct query_params *out, struct af_error *err)
{
    struct af_json *tree = NULL;
    *out = (struct query_params){ .params = { .ctx = out, .get = literal_of } };
    if (json == NULL || json[0] == '\0')
        return AF_OK;
    enum af_status status = af_json_parse(af_slice_of(json), arena, &tree, err);
    if (status == AF_OK && tree->kind != AF_JSON_OBJECT)
        status = af_fail(err, AF_EINVAL, "they must be a JSON object");
    if (status != AF_OK) {
        af_error_prefix(err, "error parsing query parameters: ");
        return status == AF_ECORRUPT ? AF_EINVAL : status;
    }
    out->json = tree;
    return AF_OK;
}
