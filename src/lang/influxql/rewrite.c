/*
 * rewrite.c - what a statement names, found in the catalogue: sources resolved, names typed, "*" and /re/ spread over what there is.
 *
 *     SELECT *            fields, and tags that are not grouped by; ascending by name
 *     SELECT mean(*)      a column mean_x for each field x that mean takes
 *     GROUP BY *, /re/    tags
 */
#include "lang/influxql/lower_int.h"
#include <stdlib.h>

/* --- sources ------------------------------------------------------------------------------------------------------------------- */

static enum af_status keep_place(struct lowering *lo, struct place *place, uint64_t hash, struct af_error *err)
{
    size_t count = lo->places_by_name.count;
    struct place **places = af_arena_more(lo->arena, lo->places, count, &lo->places_cap, sizeof *places);
    if (places == NULL)
        return lower_nomem(lo, err);
    lo->places = places;
    places[count] = place;
    return lookup_add(&lo->places_by_name, lo->arena, hash) ? AF_OK : lower_nomem(lo, err);
}

static enum af_status ask_place(struct lowering *lo, uint32_t source, const char *source_name, const char *measurement, struct place **out,
                                struct af_error *err)
{
    const struct af_catalog *catalog = lo->options->catalog;
    uint64_t hash = lookup_text(measurement);
    for (size_t i = lookup_first(&lo->places_by_name, hash); i != SIZE_MAX; i = lookup_next(&lo->places_by_name, i, hash))
        if (lo->places[i]->source == source && strcmp(lo->places[i]->measurement, measurement) == 0) {
            *out = lo->places[i];
            return AF_OK;
        }
    struct place *place = af_arena_zero(lo->arena, 1, sizeof *place);
    if (place == NULL)
        return lower_nomem(lo, err);
    struct af_catalog_field *fields = NULL;
    struct af_slice *tags = NULL;
    *place = (struct place){ .source = source, .source_name = source_name, .measurement = measurement };
    AF_TRY(catalog->fields(catalog->ctx, source, measurement, lo->arena, &fields, &place->field_count, err));
    AF_TRY(catalog->tags(catalog->ctx, source, measurement, lo->arena, &tags, &place->tag_count, err));
    place->fields = fields;
    place->tags = tags;
    *out = place;
    return keep_place(lo, place, hash, err);
}

static enum af_status places_by_regex(struct lowering *lo, uint32_t source, const char *source_name, const struct af_ql_expr *regex,
                                      struct origin *out, struct af_error *err)
{
    const struct af_catalog *catalog = lo->options->catalog;
    struct af_slice *names = NULL;
    size_t count = 0;
    AF_TRY(catalog->measurements(catalog->ctx, source, lo->arena, &names, &count, err));
    struct place **places = af_arena_zero(lo->arena, count + 1, sizeof *places);
    if (places == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < count; i++) {
        bool matches;
        AF_TRY(af_regex_match(regex->regex, names[i], &matches, err));
        if (!matches)
            continue;
        const char *name = af_arena_copy(lo->arena, names[i]);
        if (name == NULL)
            return lower_nomem(lo, err);
        AF_TRY(ask_place(lo, source, source_name, name, &places[out->place_count++], err));
    }
    out->places = places;
    return AF_OK;
}

enum af_status lower_find_places(struct lowering *lo, const struct af_ql_source *source, struct origin *out, struct af_error *err)
{
    const struct af_ql_lower_options *options = lo->options;
    const char *database = source->database != NULL ? source->database : options->database;
    const char *policy = source->policy != NULL ? source->policy : options->policy;
    uint32_t number = 0;
    const char *name = "";
    if (source->name == NULL && source->regex == NULL)
        return af_fail(err, AF_EINVAL, "invalid measurement");
    if (database == NULL || database[0] == '\0')
        return af_fail(err, AF_EINVAL, "database name required");
    AF_TRY(options->catalog->source(options->catalog->ctx, database, policy, &number, &name, err));
    if (source->regex != NULL)
        return places_by_regex(lo, number, name, source->regex, out, err);
    struct place **places = af_arena_zero(lo->arena, 1, sizeof *places);
    if (places == NULL)
        return lower_nomem(lo, err);
    AF_TRY(ask_place(lo, number, name, source->name, &places[0], err));
    out->places = places;
    out->place_count = 1;
    return AF_OK;
}

/* --- names ------------------------------------------------------------------------------------------------------------------------- */

struct typing {
    struct lowering *lo;
    const struct query *query;
    enum af_status status;
    struct af_error *err;
};
static bool type_ref(void *ctx, struct af_ql_expr *expr)
{
    struct typing *typing = ctx;
    if (expr->kind != AF_QL_REF || (expr->cast != AF_QL_CAST_NONE && expr->cast != AF_QL_CAST_FIELD))
        return true;
    enum af_ql_cast type;
    typing->status = lower_name_type(typing->lo, typing->query, expr->name, &type, typing->err);
    if (typing->status == AF_OK && !(expr->cast == AF_QL_CAST_FIELD && type == AF_QL_CAST_TAG)) /* x::field of a tag stays: there is none */
        expr->cast = type;
    return typing->status == AF_OK;
}

static enum af_status type_names(struct lowering *lo, struct query *query, struct af_error *err)
{
    struct typing typing = { lo, query, AF_OK, err };
    for (size_t i = 0; i < query->select->field_count; i++)
        if (!lower_walk(query->select->fields[i].expr, type_ref, &typing))
            return typing.status;
    (void)lower_walk(query->condition, type_ref, &typing);
    return typing.status;
}

/* --- what there is ------------------------------------------------------------------------------------------------------------------- */

/* A name that "*" stands for; of a tag the type is TAG. */
struct known {
    struct af_slice name;
    enum af_ql_cast type;
};
struct known_list {
    struct known *items;
    size_t count, cap;
};

static enum af_status known_add(struct lowering *lo, struct known_list *list, struct af_slice name, enum af_ql_cast type,
                                struct af_error *err)
{
    struct known *items = af_arena_more(lo->arena, list->items, list->count, &list->cap, sizeof *items);
    if (items == NULL)
        return lower_nomem(lo, err);
    list->items = items;
    list->items[list->count++] = (struct known){ name, type };
    return AF_OK;
}

static int order_of_type(enum af_ql_cast type)
{
    return type == AF_QL_CAST_UNSIGNED ? 9 : type == AF_QL_CAST_TAG ? 7 : (int)type;
}

static int by_name(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    int order = af_slice_cmp(x->name, y->name);
    return order != 0 ? order : order_of_type(x->type) - order_of_type(y->type);
}

/* Sorted; of equal names the type that goes first. */
static void known_unite(struct known_list *list)
{
    size_t kept = 0;
    if (list->count != 0)
        qsort(list->items, list->count, sizeof *list->items, by_name);
    for (size_t i = 0; i < list->count; i++) {
        if (kept == 0 || !af_slice_eq(list->items[kept - 1].name, list->items[i].name))
            list->items[kept++] = list->items[i];
        else if (lower_type_less(list->items[kept - 1].type, list->items[i].type))
            list->items[kept - 1].type = list->items[i].type;
    }
    list->count = kept;
}

static enum af_status known_of_sub(struct lowering *lo, const struct query *sub, struct known_list *fields, struct known_list *tags,
                                   struct af_error *err)
{
    const struct af_ql_select *select = sub->select;
    for (size_t i = 0; i < select->field_count; i++) {
        const char *name = lower_field_name(lo->arena, &select->fields[i]);
        enum af_ql_cast type = AF_QL_CAST_NONE;
        if (name == NULL)
            return lower_nomem(lo, err);
        if (lower_expr_type(select->fields[i].expr, &type, NULL) != AF_OK)
            type = AF_QL_CAST_NONE;
        AF_TRY(known_add(lo, fields, af_slice_of(name), type, err));
    }
    for (size_t i = 0; i < select->dimension_count; i++)
        if (select->dimensions[i]->kind == AF_QL_REF)
            AF_TRY(known_add(lo, tags, af_slice_of(select->dimensions[i]->name), AF_QL_CAST_TAG, err));
    return AF_OK;
}

static enum af_status find_known(struct lowering *lo, const struct query *query, struct known_list *fields, struct known_list *tags,
                                 struct af_error *err)
{
    for (size_t i = 0; i < query->select->source_count; i++) {
        const struct origin *origin = &query->origins[i];
        if (origin->sub != NULL)
            AF_TRY(known_of_sub(lo, origin->sub, fields, tags, err));
        for (size_t j = 0; j < origin->place_count; j++) {
            const struct place *place = origin->places[j];
            for (size_t k = 0; k < place->field_count; k++)
                AF_TRY(known_add(lo, fields, place->fields[k].name, lower_type_of_plan(place->fields[k].type), err));
            for (size_t k = 0; k < place->tag_count; k++)
                AF_TRY(known_add(lo, tags, place->tags[k], AF_QL_CAST_TAG, err));
        }
    }
    known_unite(fields);
    known_unite(tags);
    return AF_OK;
}

/* Fields, and with them the tags that are not grouped by. */
static enum af_status add_tags(struct lowering *lo, const struct query *query, struct known_list *fields, const struct known_list *tags,
                               struct af_error *err)
{
    if (fields->count == 0)
        return AF_OK;
    for (size_t i = 0; i < tags->count; i++) {
        const char *name = af_arena_copy(lo->arena, tags->items[i].name);
        if (name == NULL)
            return lower_nomem(lo, err);
        if (!lower_sub_groups_by(query, name))
            AF_TRY(known_add(lo, fields, tags->items[i].name, AF_QL_CAST_TAG, err));
    }
    qsort(fields->items, fields->count, sizeof *fields->items, by_name);
    return AF_OK;
}

/* --- spreading ------------------------------------------------------------------------------------------------------------------------ */

struct field_list {
    struct af_ql_field *items;
    size_t count, cap;
};
static enum af_status push_field(struct lowering *lo, struct field_list *list, struct af_ql_field field, struct af_error *err)
{
    struct af_ql_field *items = af_arena_more(lo->arena, list->items, list->count, &list->cap, sizeof *items);
    if (items == NULL)
        return lower_nomem(lo, err);
    list->items = items;
    list->items[list->count++] = field;
    return AF_OK;
}

static enum af_status make_ref(struct lowering *lo, const struct known *known, struct af_ql_expr **out, struct af_error *err)
{
    struct af_ql_expr *ref = af_arena_zero(lo->arena, 1, sizeof *ref);
    const char *name = af_arena_copy(lo->arena, known->name);
    if (ref == NULL || name == NULL)
        return lower_nomem(lo, err);
    *ref = (struct af_ql_expr){ .kind = AF_QL_REF, .name = name, .cast = known->type };
    *out = ref;
    return AF_OK;
}

/* Does the wildcard or regex stand for this name? */
static enum af_status stands_for(const struct af_ql_expr *expr, const struct known *known, bool *out, struct af_error *err)
{
    *out = true;
    if (expr->kind == AF_QL_REGEX)
        return af_regex_match(expr->regex, known->name, out, err);
    if (expr->cast == AF_QL_CAST_FIELD)
        *out = known->type != AF_QL_CAST_TAG;
    else if (expr->cast == AF_QL_CAST_TAG)
        *out = known->type == AF_QL_CAST_TAG;
    return AF_OK;
}

static enum af_status spread_names(struct lowering *lo, const struct af_ql_expr *expr, const struct known_list *known,
                                   struct field_list *out, struct af_error *err)
{
    for (size_t i = 0; i < known->count; i++) {
        struct af_ql_field field = { 0 };
        bool stands;
        AF_TRY(stands_for(expr, &known->items[i], &stands, err));
        if (!stands)
            continue;
        AF_TRY(make_ref(lo, &known->items[i], &field.expr, err));
        AF_TRY(push_field(lo, out, field, err));
    }
    return AF_OK;
}

static struct af_ql_expr *innermost_call(struct af_ql_expr *call)
{
    while (call->arg_count != 0 && call->args[0]->kind == AF_QL_CALL)
        call = call->args[0];
    return call;
}

static bool spreads_over(const char *function, enum af_ql_cast type)
{
    const struct call_name *known = lower_call_name(function);
    unsigned spreads = known != NULL ? known->spreads : TAKES_NUMBERS;
    if (type == AF_QL_CAST_FLOAT || type == AF_QL_CAST_INTEGER || type == AF_QL_CAST_UNSIGNED)
        return true;
    return (type == AF_QL_CAST_STRING && (spreads & TAKES_STRING) != 0) || (type == AF_QL_CAST_BOOLEAN && (spreads & TAKES_BOOLEAN) != 0);
}

/* mean(*) AS x: x_a, x_b ... */
static enum af_status spread_call(struct lowering *lo, const struct af_ql_field *field, const struct known_list *known,
                                  struct field_list *out, struct af_error *err)
{
    struct af_ql_expr *inner = innermost_call(field->expr);
    const struct af_ql_expr *arg = inner->arg_count != 0 ? inner->args[0] : NULL;
    if (arg == NULL || (arg->kind != AF_QL_WILDCARD && arg->kind != AF_QL_REGEX))
        return push_field(lo, out, *field, err);
    if (arg->kind == AF_QL_WILDCARD && arg->cast == AF_QL_CAST_TAG)
        return af_fail(err, AF_EINVAL, "unable to use tag wildcard in %s()", inner->name);
    const char *prefix = lower_field_name(lo->arena, field);
    for (size_t i = 0; i < known->count; i++) {
        const struct known *item = &known->items[i];
        bool stands = true;
        if (item->type == AF_QL_CAST_TAG || !spreads_over(inner->name, item->type))
            continue;
        if (arg->kind == AF_QL_REGEX)
            AF_TRY(af_regex_match(arg->regex, item->name, &stands, err));
        if (!stands)
            continue;
        struct af_ql_field one = { .expr = lower_copy_expr(lo->arena, field->expr) };
        one.alias = prefix != NULL ? af_arena_printf(lo->arena, "%s_%.*s", prefix, (int)item->name.len, item->name.ptr) : NULL;
        if (one.expr == NULL || one.alias == NULL)
            return lower_nomem(lo, err);
        AF_TRY(make_ref(lo, item, &innermost_call(one.expr)->args[0], err));
        AF_TRY(push_field(lo, out, one, err));
    }
    return AF_OK;
}

static bool is_no_wildcard(void *ctx, struct af_ql_expr *expr)
{
    *(struct af_ql_expr **)ctx = expr;
    return expr->kind != AF_QL_WILDCARD && expr->kind != AF_QL_REGEX;
}

static enum af_status spread_field(struct lowering *lo, const struct af_ql_field *field, const struct known_list *known,
                                   struct field_list *out, struct af_error *err)
{
    struct af_ql_expr *found;
    if (field->expr->kind == AF_QL_WILDCARD || field->expr->kind == AF_QL_REGEX)
        return spread_names(lo, field->expr, known, out, err);
    if (field->expr->kind == AF_QL_CALL)
        return spread_call(lo, field, known, out, err);
    if (field->expr->kind == AF_QL_BINARY && !lower_walk(field->expr, is_no_wildcard, &found)) {
        char text[300];
        lower_print(field->expr, text, sizeof text);
        return af_fail(err, AF_EINVAL, "unsupported expression with %s: %s", found->kind == AF_QL_WILDCARD ? "wildcard" : "regex field",
                       text);
    }
    return push_field(lo, out, *field, err);
}

static enum af_status spread_dimensions(struct lowering *lo, struct query *query, const struct known_list *tags, struct af_error *err)
{
    struct af_ql_select *select = query->select;
    struct field_list list = { 0 };
    for (size_t i = 0; i < select->dimension_count; i++) {
        struct af_ql_expr *expr = select->dimensions[i];
        if (expr->kind == AF_QL_WILDCARD || expr->kind == AF_QL_REGEX)
            AF_TRY(spread_names(lo, expr, tags, &list, err));
        else
            AF_TRY(push_field(lo, &list, (struct af_ql_field){ .expr = expr }, err));
    }
    select->dimensions = af_arena_zero(lo->arena, list.count + 1, sizeof *select->dimensions);
    if (select->dimensions == NULL)
        return lower_nomem(lo, err);
    for (size_t i = 0; i < list.count; i++)
        select->dimensions[i] = list.items[i].expr;
    select->dimension_count = list.count;
    return AF_OK;
}

static bool has_wildcard(struct af_ql_expr *expr)
{
    struct af_ql_expr *found;
    return !lower_walk(expr, is_no_wildcard, &found);
}

static enum af_status spread(struct lowering *lo, struct query *query, struct af_error *err)
{
    struct af_ql_select *select = query->select;
    bool in_fields = false, in_dimensions = false;
    for (size_t i = 0; i < select->field_count; i++)
        in_fields = in_fields || has_wildcard(select->fields[i].expr);
    for (size_t i = 0; i < select->dimension_count; i++)
        in_dimensions = in_dimensions || select->dimensions[i]->kind == AF_QL_WILDCARD || select->dimensions[i]->kind == AF_QL_REGEX;
    if (!in_fields && !in_dimensions)
        return AF_OK;
    struct known_list fields = { 0 }, tags = { 0 };
    struct field_list list = { 0 };
    AF_TRY(find_known(lo, query, &fields, &tags, err));
    if (!in_dimensions)
        AF_TRY(add_tags(lo, query, &fields, &tags, err));
    for (size_t i = 0; i < select->field_count; i++)
        AF_TRY(spread_field(lo, &select->fields[i], &fields, &list, err));
    select->fields = list.items;
    select->field_count = list.count;
    return in_dimensions ? spread_dimensions(lo, query, &tags, err) : AF_OK;
}

enum af_status lower_rewrite(struct lowering *lo, struct query *query, struct af_error *err)
{
    for (size_t i = 0; i < query->select->source_count; i++) {
        struct origin *origin = &query->origins[i];
        if (origin->sub != NULL)
            AF_TRY(lower_rewrite(lo, origin->sub, err));
        else
            AF_TRY(lower_find_places(lo, &query->select->sources[i], origin, err));
    }
    AF_TRY(type_names(lo, query, err));
    return spread(lo, query, err);
}
