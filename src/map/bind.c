/*
 * bind.c - a mapping meets the schema of a file: names become column numbers.
 *
 * A name is looked for among the columns (as written, else without regard to case), then among the partition directories of
 * the path (`dataset=generation/year=2023/`). What is missing and not optional is collected, so that one message names it all.
 */
#include "base/alloc.h"
#include "map/map_int.h"
#include <stdlib.h>
#include <strings.h>

enum { SCRATCH_BYTES_MAX = 64 << 20 };

struct constant {
    const char *key;
    struct af_slice value;
};
struct binder {
    struct af_mapper *mapper;
    struct af_error *err;
    size_t constant_count;
    struct constant *constants; /* of the path */
    struct af_buf missing;      /* "a, b or c" */
};

static enum af_status no_memory(const struct binder *b)
{
    return af_fail_nomem(b->err, "a mapping's columns");
}

/* --- the path ----------------------------------------------------------------------------------------------------- */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %41 is A. */
static struct af_slice unquote(char *text, size_t len)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i++, out++) {
        if (text[i] == '%' && i + 2 < len && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
            text[out] = (char)(hex(text[i + 1]) << 4 | hex(text[i + 2]));
            i += 2;
        } else {
            text[out] = text[i];
        }
    }
    text[out] = '\0';
    return (struct af_slice){ text, out };
}

static enum af_status add_constant(struct binder *b, struct af_slice part)
{
    const char *equals = memchr(part.ptr, '=', part.len);
    if (equals == NULL || equals == part.ptr)
        return AF_OK;
    size_t key_len = (size_t)(equals - part.ptr);
    char *key = af_arena_copy(&b->mapper->arena, (struct af_slice){ part.ptr, key_len });
    char *value = af_arena_copy(&b->mapper->arena, (struct af_slice){ equals + 1, part.len - key_len - 1 });
    if (key == NULL || value == NULL)
        return no_memory(b);
    struct af_slice text = unquote(value, part.len - key_len - 1);
    if (af_slice_is(text, "__HIVE_DEFAULT_PARTITION__"))
        text.len = 0;
    b->constants[b->constant_count++] = (struct constant){ key, text };
    return AF_OK;
}

static enum af_status read_path(struct binder *b, const char *path)
{
    struct af_slice rest = af_slice_of(path);
    size_t parts = 1;
    for (size_t i = 0; i < rest.len; i++)
        parts += rest.ptr[i] == '/';
    b->constants = af_arena_zero(&b->mapper->arena, parts, sizeof *b->constants);
    if (b->constants == NULL)
        return no_memory(b);
    const char *slash;
    while (rest.len != 0 && (slash = memchr(rest.ptr, '/', rest.len)) != NULL) { /* the file name itself is no directory */
        size_t len = (size_t)(slash - rest.ptr);
        AF_TRY(add_constant(b, (struct af_slice){ rest.ptr, len }));
        rest = (struct af_slice){ slash + 1, rest.len - len - 1 };
    }
    return AF_OK;
}

static const struct constant *find_constant(const struct binder *b, const struct map_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        for (size_t k = 0; k < b->constant_count; k++) {
            if (strcmp(names->items[i], b->constants[k].key) == 0)
                return &b->constants[k];
        }
    }
    return NULL;
}

/* The last YYYY-MM-DD, YYYY_MM_DD or YYYYMMDD of a path. */
static bool date_at(const char *at, size_t len, int64_t *out_ns)
{
    char text[10] = { 0 };
    size_t mark = len >= 10 && (at[4] == '-' || at[4] == '_') && at[7] == at[4] ? 1 : 0;
    if (len < 8 + 2 * mark)
        return false;
    memcpy(text, at, 4);
    memcpy(text + 5, at + 4 + mark, 2);
    memcpy(text + 8, at + 6 + 2 * mark, 2);
    text[4] = text[7] = '-';
    bool has_zone;
    return af_time_parse((struct af_slice){ text, sizeof text }, out_ns, &has_zone);
}

static bool date_of_path(const char *path, int64_t *out_ns)
{
    size_t len = path != NULL ? strlen(path) : 0;
    for (size_t i = len; i-- > 0;) {
        bool is_start = path[i] >= '0' && path[i] <= '9' && (i == 0 || path[i - 1] < '0' || path[i - 1] > '9');
        if (is_start && date_at(path + i, len - i, out_ns))
            return true;
    }
    return false;
}

/* --- columns ------------------------------------------------------------------------------------------------------ */

static size_t find_nocase(const struct af_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        if (strcasecmp(schema->fields[i].name, name) == 0)
            return i;
    }
    return SIZE_MAX;
}

size_t af_map_find_column(const struct af_schema *schema, const struct map_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        size_t at = af_schema_find(schema, af_slice_of(names->items[i]));
        if (at == SIZE_MAX)
            at = find_nocase(schema, names->items[i]);
        if (at != SIZE_MAX)
            return at;
    }
    return SIZE_MAX;
}

static void note_missing(struct binder *b, const struct map_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        af_buf_printf(&b->missing, "%s%s", i != 0 ? " or " : b->missing.len != 0 ? ", " : "", names->items[i]);
}

static size_t take_column(struct binder *b, const struct map_names *names, bool is_optional)
{
    size_t at = af_map_find_column(b->mapper->schema, names);
    if (at != SIZE_MAX)
        b->mapper->is_used[at] = true;
    else if (!is_optional)
        note_missing(b, names);
    return at;
}

static size_t take_one(struct binder *b, const char *name)
{
    if (name == NULL)
        return SIZE_MAX;
    struct map_names names = { true, 1, &name };
    return take_column(b, &names, false);
}

static const char *column_name(const struct binder *b, size_t column)
{
    return column != SIZE_MAX ? b->mapper->schema->fields[column].name : NULL;
}

/* --- words -------------------------------------------------------------------------------------------------------- */

static enum af_status bind_unless(struct binder *b, const struct map_word *spec, struct map_wordcol *out)
{
    size_t *columns = af_arena_zero(&b->mapper->arena, spec->unless.count + 1, sizeof *columns);
    if (columns == NULL)
        return no_memory(b);
    for (size_t i = 0; i < spec->unless.count; i++) {
        struct map_names one = { true, 1, &spec->unless.items[i] };
        size_t at = take_column(b, &one, true);
        if (at != SIZE_MAX)
            columns[out->unless_count++] = at;
    }
    out->unless = columns;
    return AF_OK;
}

/* False in *out_has: neither column nor constant; the word is absent in every row. */
static enum af_status bind_word(struct binder *b, const struct map_word *spec, struct map_wordset *set,
                                struct map_wordcol *out, bool *out_has)
{
    *out = (struct map_wordcol){ .spec = spec, .column = SIZE_MAX, .set = set, .constant_word = UINT32_MAX };
    af_intern_init(&out->raws);
    *out_has = true;
    AF_TRY(bind_unless(b, spec, out));
    if (spec->literal != NULL) {
        out->constant = af_slice_of(spec->literal);
        out->has_constant = true;
        return AF_OK;
    }
    const struct constant *constant = NULL;
    out->column = af_map_find_column(b->mapper->schema, &spec->columns);
    if (out->column == SIZE_MAX && (constant = find_constant(b, &spec->columns)) != NULL) {
        out->column_name = constant->key;
        out->constant = constant->value;
        out->has_constant = true;
        return AF_OK;
    }
    out->column = take_column(b, &spec->columns, spec->is_optional || spec->absent != NULL);
    out->column_name = column_name(b, out->column);
    *out_has = out->column != SIZE_MAX || spec->absent != NULL;
    return AF_OK;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static enum af_type field_type(int wanted, enum af_type found)
{
    switch (wanted) {
    case MAP_FLOAT: return AF_TYPE_F64;
    case MAP_INTEGER: return AF_TYPE_I64;
    case MAP_UNSIGNED: return AF_TYPE_U64;
    case MAP_BOOLEAN: return AF_TYPE_BOOL;
    case MAP_STRING: return AF_TYPE_STRING;
    default: break;
    }
    switch (found) {
    case AF_TYPE_BOOL:
    case AF_TYPE_I64:
    case AF_TYPE_U64:
    case AF_TYPE_F64: return found;
    case AF_TYPE_DECIMAL: return AF_TYPE_F64;
    default: return AF_TYPE_STRING;
    }
}

static bool is_moment(enum af_type type)
{
    return type == AF_TYPE_TIME || type == AF_TYPE_DATE || type == AF_TYPE_CLOCK;
}

static enum af_status bind_value(struct binder *b, const struct map_value *spec, struct map_bound_value *out)
{
    const struct af_mapper *mapper = b->mapper;
    *out = (struct map_bound_value){ .spec = spec, .column = take_column(b, &spec->columns, spec->is_optional) };
    if (out->column == SIZE_MAX)
        return AF_OK;
    const struct af_field *field = &mapper->schema->fields[out->column];
    out->column_name = field->name;
    out->type = field_type(spec->type, field->type);
    out->decimal = spec->decimal != MAP_DECIMAL_UNSET ? spec->decimal : mapper->map->decimal;
    if (is_moment(field->type) && out->type != AF_TYPE_I64 && out->type != AF_TYPE_STRING)
        return af_fail(b->err, AF_EINVAL, "column %s is a %s: as a field its type must be integer or string", field->name,
                       af_type_name(field->type));
    return AF_OK;
}

/* An escaped copy in the mapper's arena, between `before` and `after`. */
static enum af_status escape_name(struct binder *b, const char *before, const char *name, const char *after,
                                  struct af_slice *out)
{
    struct af_buf *scratch = &b->mapper->scratch;
    af_buf_clear(scratch);
    af_buf_append_str(scratch, before);
    af_key_append_tag(scratch, af_slice_of(name));
    af_buf_append_str(scratch, after);
    AF_TRY(af_buf_check(scratch, "a name", b->err));
    char *copy = af_arena_copy(&b->mapper->arena, af_buf_slice(scratch));
    if (copy == NULL)
        return no_memory(b);
    *out = (struct af_slice){ copy, scratch->len };
    return AF_OK;
}

static enum af_status add_field(struct binder *b, const char *name, const struct map_value *spec)
{
    struct af_mapper *mapper = b->mapper;
    struct map_bound_field *field = &mapper->fields[mapper->field_count];
    AF_TRY(bind_value(b, spec, &field->value));
    if (field->value.column == SIZE_MAX)
        return AF_OK;
    field->name = af_slice_of(name);
    field->is_required = spec->is_required;
    AF_TRY(escape_name(b, "", name, "", &field->escaped));
    mapper->field_count++;
    return AF_OK;
}

static enum af_status bind_named(struct binder *b, const struct map_named *spec)
{
    struct af_mapper *mapper = b->mapper;
    struct map_bound_named *named = &mapper->named[mapper->named_count++];
    af_map_wordset_init(&named->set, MAP_ROLE_FIELD);
    bool has_word;
    AF_TRY(bind_word(b, &spec->name, &named->set, &named->name, &has_word));
    named->values = af_arena_zero(&mapper->arena, spec->value_count + 1, sizeof *named->values);
    if (named->values == NULL)
        return no_memory(b);
    for (size_t i = 0; i < spec->value_count; i++) {
        struct map_bound_value *value = &named->values[named->value_count];
        AF_TRY(bind_value(b, &spec->values[i], value));
        named->value_count += value->column != SIZE_MAX;
    }
    return AF_OK;
}

/* --- tags --------------------------------------------------------------------------------------------------------- */

static enum af_status add_tag(struct binder *b, const char *name, const struct map_tag *spec, const struct map_word *word)
{
    struct af_mapper *mapper = b->mapper;
    size_t col = mapper->col_count;
    bool has_word = true;
    af_map_wordset_init(&mapper->sets[col], MAP_ROLE_TAG_VALUE);
    if (spec == NULL || spec->join.count == 0) {
        AF_TRY(bind_word(b, word, &mapper->sets[col], &mapper->cols[col], &has_word));
        if (!has_word)
            return AF_OK;
        mapper->col_count++;
    } else {
        col = SIZE_MAX;
    }
    struct map_bound_tag *tag = &mapper->tags[mapper->tag_count++];
    *tag = (struct map_bound_tag){ .name = name, .spec = spec, .col = col };
    return escape_name(b, ",", name, "=", &tag->key);
}

static size_t col_of_tag(const struct af_mapper *mapper, const char *name)
{
    for (size_t i = 0; i < mapper->tag_count; i++) {
        if (strcmp(mapper->tags[i].name, name) == 0)
            return mapper->tags[i].col;
    }
    return SIZE_MAX;
}

/* A joined tag whose parts the file lacks is left out. */
static enum af_status bind_joins(struct binder *b)
{
    struct af_mapper *mapper = b->mapper;
    size_t kept = 0;
    for (size_t i = 0; i < mapper->tag_count; i++) {
        struct map_bound_tag tag = mapper->tags[i];
        size_t want = tag.col == SIZE_MAX ? tag.spec->join.count : 0;
        size_t *joins = af_arena_zero(&mapper->arena, want + 1, sizeof *joins);
        if (joins == NULL)
            return no_memory(b);
        while (tag.join_count < want &&
               (joins[tag.join_count] = col_of_tag(mapper, tag.spec->join.items[tag.join_count])) != SIZE_MAX)
            tag.join_count++;
        tag.joins = joins;
        if (tag.join_count == want)
            mapper->tags[kept++] = tag;
    }
    mapper->tag_count = kept;
    return AF_OK;
}

static enum af_status bind_pairs(struct binder *b)
{
    struct af_mapper *mapper = b->mapper;
    for (size_t i = 0; i < mapper->map->pair_count; i++) {
        const struct map_pair *spec = &mapper->map->pairs[i];
        size_t first = col_of_tag(mapper, spec->tags.items[0]);
        size_t second = col_of_tag(mapper, spec->tags.items[1]);
        if (first == SIZE_MAX || second == SIZE_MAX)
            continue;
        mapper->cols[second].set = mapper->cols[first].set;
        mapper->pairs[mapper->pair_count++] = (struct map_bound_pair){ spec, first, second };
    }
    return AF_OK;
}

static int compare_tags(const void *a, const void *b)
{
    return strcmp(((const struct map_bound_tag *)a)->name, ((const struct map_bound_tag *)b)->name);
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

static bool has_tag(const struct af_mapper *mapper, const char *name)
{
    for (size_t i = 0; i < mapper->tag_count; i++) {
        if (strcmp(mapper->tags[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool has_field(const struct af_mapper *mapper, const char *name)
{
    for (size_t i = 0; i < mapper->field_count; i++) {
        if (af_slice_is(mapper->fields[i].name, name))
            return true;
    }
    return false;
}

/* The column that separates tags from fields, or SIZE_MAX when nothing that counts stands before it. */
static size_t find_divider(const struct af_mapper *mapper)
{
    const struct map_rest *rest = &mapper->map->rest;
    if (rest->divider == NULL)
        return SIZE_MAX;
    struct map_names names = { true, 1, (const char **)(uintptr_t)&rest->divider };
    size_t divider = af_map_find_column(mapper->schema, &names);
    for (size_t i = 0; divider != SIZE_MAX && i < divider; i++) {
        if (!af_map_names_has(&rest->except, af_slice_of(mapper->schema->fields[i].name)))
            return divider;
    }
    return SIZE_MAX;
}

/* The prefix of `rest.starts_with` that a name has; its length, or SIZE_MAX. */
static size_t prefix_of(const struct map_rest *rest, const char *name)
{
    for (size_t i = 0; i < rest->starts_with.count; i++) {
        size_t len = strlen(rest->starts_with.items[i]);
        if (strncmp(name, rest->starts_with.items[i], len) == 0 && name[len] != '\0')
            return len;
    }
    return SIZE_MAX;
}

/* What a column that the mapping does not name becomes. */
enum rest_role { REST_NOTHING, REST_TAG, REST_FIELD };
static enum rest_role role_of_rest(const struct af_mapper *mapper, size_t column, size_t divider)
{
    const struct map_rest *rest = &mapper->map->rest;
    const struct af_field *field = &mapper->schema->fields[column];
    enum af_type type = field->type;
    enum rest_role as_field = rest->fields ? REST_FIELD : REST_NOTHING;
    enum rest_role as_tag = rest->tags ? REST_TAG : REST_NOTHING;
    if (type == AF_TYPE_NULL)
        return REST_NOTHING;
    if (rest->starts_with.count != 0 && prefix_of(rest, field->name) != SIZE_MAX)
        return as_field;
    if (divider != SIZE_MAX)
        return column < divider ? as_tag : as_field;
    switch (type) {
    case AF_TYPE_BOOL:
    case AF_TYPE_I64:
    case AF_TYPE_U64:
    case AF_TYPE_F64:
    case AF_TYPE_DECIMAL: return rest->starts_with.count == 0 ? as_field : REST_NOTHING;
    case AF_TYPE_STRING:
    case AF_TYPE_JSON: return as_tag;
    default: return REST_NOTHING;
    }
}

static const char *rest_name(const struct af_mapper *mapper, size_t column, enum rest_role role)
{
    const char *name = mapper->schema->fields[column].name;
    size_t prefix = role == REST_FIELD ? prefix_of(&mapper->map->rest, name) : SIZE_MAX;
    return prefix != SIZE_MAX ? name + prefix : name;
}

static enum af_status bind_rest_column(struct binder *b, size_t column, enum rest_role role)
{
    struct af_mapper *mapper = b->mapper;
    const char *name = rest_name(mapper, column, role);
    const char *fault = af_map_name_fault(role == REST_TAG ? MAP_ROLE_TAG_KEY : MAP_ROLE_FIELD, af_slice_of(name));
    if (fault != NULL)
        return af_fail(b->err, AF_EINVAL, "column '%s': %s; list it in rest.except", name, fault);
    const char **item = af_arena_zero(&mapper->arena, 1, sizeof *item);
    struct map_word *word = af_arena_zero(&mapper->arena, 1, sizeof *word);
    struct map_value *value = af_arena_zero(&mapper->arena, 1, sizeof *value);
    if (item == NULL || word == NULL || value == NULL)
        return no_memory(b);
    *item = mapper->schema->fields[column].name;
    word->columns = value->columns = (struct map_names){ true, 1, item };
    value->type = name == *item ? MAP_AUTO : MAP_FLOAT;
    return role == REST_TAG ? add_tag(b, name, NULL, word) : add_field(b, name, value);
}

static enum af_status bind_rest(struct binder *b)
{
    struct af_mapper *mapper = b->mapper;
    const struct map_rest *rest = &mapper->map->rest;
    size_t divider = find_divider(mapper);
    if (!rest->tags && !rest->fields)
        return AF_OK;
    for (size_t i = 0; i < mapper->schema->field_count; i++) {
        const char *name = mapper->schema->fields[i].name;
        if (mapper->is_used[i] || af_map_names_has(&rest->except, af_slice_of(name)))
            continue;
        enum rest_role role = role_of_rest(mapper, i, divider);
        name = rest_name(mapper, i, role);
        bool is_new = role == REST_TAG ? !has_tag(mapper, name) : role == REST_FIELD && !has_field(mapper, name);
        if (is_new)
            AF_TRY(bind_rest_column(b, i, role));
    }
    return AF_OK;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

static enum af_status bind_time_constant(struct binder *b, const char *path)
{
    const struct map_time *spec = &b->mapper->map->time;
    struct map_bound_time *time = &b->mapper->time;
    if (spec->date_from_path) {
        time->has_constant = date_of_path(path, &time->constant_ns);
        if (!time->has_constant)
            af_buf_printf(&b->missing, "%sa date YYYY-MM-DD in the path", b->missing.len != 0 ? ", " : "");
        return AF_OK;
    }
    const struct constant *constant = find_constant(b, &spec->columns);
    if (constant == NULL) {
        note_missing(b, &spec->columns);
        return AF_OK;
    }
    time->has_constant = true;
    if (!af_time_parse(af_slice_trim(constant->value), &time->constant_ns, &time->constant_is_utc))
        return af_fail(b->err, AF_EINVAL, "the path's %s=" AF_SLICE_FMT " is not a time", constant->key,
                       AF_SLICE_ARG(constant->value));
    return AF_OK;
}

static enum af_status bind_time(struct binder *b, const char *path)
{
    struct af_mapper *mapper = b->mapper;
    const struct map_time *spec = &mapper->map->time;
    struct map_bound_time *time = &mapper->time;
    time->column = af_map_find_column(mapper->schema, &spec->columns);
    time->column_name = column_name(b, time->column);
    time->hour = take_one(b, spec->hour);
    time->half_hour = take_one(b, spec->half_hour);
    if (time->column == SIZE_MAX)
        return bind_time_constant(b, path);
    mapper->is_used[time->column] = true;
    const struct af_field *field = &mapper->schema->fields[time->column];
    bool is_count = field->type == AF_TYPE_I64 || field->type == AF_TYPE_U64 || field->type == AF_TYPE_F64 ||
                    field->type == AF_TYPE_DECIMAL;
    if (field->type == AF_TYPE_BOOL || field->type == AF_TYPE_CLOCK || field->type == AF_TYPE_BYTES)
        return af_fail(b->err, AF_EINVAL, "column %s is a %s, not a time", field->name, af_type_name(field->type));
    if (is_count && spec->unit == MAP_UNIT_UNSET)
        return af_fail(b->err, AF_EINVAL, "column %s holds numbers: say what they count since 1970 (time.unit: s, ms, us, ns)",
                       field->name);
    return AF_OK;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static enum af_status make_room(struct binder *b)
{
    struct af_mapper *mapper = b->mapper;
    const struct af_map *map = mapper->map;
    struct af_arena *arena = &mapper->arena;
    size_t columns = mapper->schema->field_count;
    size_t tags = map->tag_count + (map->rest.tags ? columns : 0);
    size_t fields = map->field_count + (map->rest.fields ? columns : 0);
    mapper->is_used = af_arena_zero(arena, columns + 1, sizeof *mapper->is_used);
    mapper->cols = af_arena_zero(arena, tags + 2, sizeof *mapper->cols);
    mapper->sets = af_arena_zero(arena, tags + 2, sizeof *mapper->sets);
    mapper->tags = af_arena_zero(arena, tags + 1, sizeof *mapper->tags);
    mapper->bits = af_arena_zero(arena, tags + 2, sizeof *mapper->bits);
    mapper->chains = af_arena_zero(arena, tags + 2, sizeof *mapper->chains);
    mapper->pairs = af_arena_zero(arena, map->pair_count + 1, sizeof *mapper->pairs);
    mapper->fields = af_arena_zero(arena, fields + 1, sizeof *mapper->fields);
    mapper->named = af_arena_zero(arena, map->named_count + 1, sizeof *mapper->named);
    mapper->skips = af_arena_zero(arena, map->skip_count + 1, sizeof *mapper->skips);
    bool is_full = mapper->is_used != NULL && mapper->cols != NULL && mapper->sets != NULL && mapper->tags != NULL &&
                   mapper->bits != NULL && mapper->chains != NULL && mapper->pairs != NULL && mapper->fields != NULL &&
                   mapper->named != NULL && mapper->skips != NULL;
    return is_full ? AF_OK : no_memory(b);
}

static enum af_status bind_skips(struct binder *b)
{
    struct af_mapper *mapper = b->mapper;
    for (size_t i = 0; i < mapper->map->skip_count; i++) {
        struct map_bound_skip *skip = &mapper->skips[mapper->skip_count++];
        skip->spec = &mapper->map->skips[i];
        af_map_wordset_init(&skip->set, MAP_ROLE_TAG_VALUE);
        bool has_word;
        AF_TRY(bind_word(b, &skip->spec->word, &skip->set, &skip->word, &has_word));
        if (!has_word) { /* an optional column that is not there drops nothing */
            af_map_wordcol_done(&skip->word);
            af_map_wordset_done(&skip->set);
            mapper->skip_count--;
        }
    }
    return AF_OK;
}

static enum af_status bind_key(struct binder *b)
{
    struct af_mapper *mapper = b->mapper;
    const struct af_map *map = mapper->map;
    bool has_word;
    mapper->col_count = 1;
    af_map_wordset_init(&mapper->sets[0], MAP_ROLE_MEASUREMENT);
    AF_TRY(bind_word(b, &map->measurement, &mapper->sets[0], &mapper->cols[0], &has_word));
    for (size_t i = 0; i < map->tag_count; i++)
        AF_TRY(add_tag(b, map->tags[i].name, &map->tags[i], &map->tags[i].word));
    return AF_OK;
}

static enum af_status bind_columns(struct binder *b, const char *path)
{
    const struct af_mapper *mapper = b->mapper;
    const struct af_map *map = mapper->map;
    AF_TRY(bind_time(b, path));
    AF_TRY(bind_key(b));
    for (size_t i = 0; i < map->field_count; i++)
        AF_TRY(add_field(b, map->fields[i].name, &map->fields[i].value));
    for (size_t i = 0; i < map->named_count; i++)
        AF_TRY(bind_named(b, &map->named[i]));
    AF_TRY(bind_skips(b));
    for (size_t i = 0; i < map->require.count; i++)
        (void)take_one(b, map->require.items[i]);
    return bind_rest(b);
}

static enum af_status check_bound(struct binder *b)
{
    const struct af_mapper *mapper = b->mapper;
    size_t values = mapper->field_count;
    for (size_t i = 0; i < mapper->named_count; i++)
        values += mapper->named[i].value_count;
    AF_TRY(af_buf_check(&b->missing, "the missing columns", b->err));
    if (b->missing.len != 0)
        return af_fail(b->err, AF_EINVAL, "the mapping '%s' needs what the file does not have: %s", af_map_name(mapper->map),
                       af_buf_cstr(&b->missing));
    if (values == 0)
        return af_fail(b->err, AF_EINVAL, "the file has none of the columns that the mapping '%s' makes fields of",
                       af_map_name(mapper->map));
    if (mapper->tag_count > AF_TAGS_MAX || values > AF_FIELDS_MAX)
        return af_fail(b->err, AF_ELIMIT, "%zu tags and %zu fields; the limits are %d and %d", mapper->tag_count, values,
                       AF_TAGS_MAX, AF_FIELDS_MAX);
    return AF_OK;
}

enum af_status af_map_bind(struct af_mapper *mapper, const char *path, bool is_lenient, struct af_error *err)
{
    struct binder b = { .mapper = mapper, .err = err };
    af_buf_init(&b.missing, 1 << 20);
    enum af_status status = make_room(&b);
    if (status == AF_OK)
        status = read_path(&b, path);
    if (status == AF_OK)
        status = bind_columns(&b, path);
    if (status == AF_OK && !is_lenient)
        status = check_bound(&b);
    if (status == AF_OK)
        status = bind_joins(&b);
    if (status == AF_OK)
        status = bind_pairs(&b);
    af_buf_done(&b.missing);
    if (status == AF_OK && mapper->tag_count != 0)
        qsort(mapper->tags, mapper->tag_count, sizeof *mapper->tags, compare_tags);
    return status;
}

/* --- the mapper --------------------------------------------------------------------------------------------------- */

static enum af_status new_mapper(const struct af_map *map, const struct af_schema *schema, const char *path, bool is_lenient,
                                 struct af_mapper **out, struct af_error *err)
{
    struct af_mapper *mapper = af_alloc_zero(1, sizeof *mapper);
    if (mapper == NULL)
        return af_fail_nomem(err, "a mapper");
    mapper->map = map;
    mapper->schema = schema;
    af_arena_init(&mapper->arena, 64 << 20);
    af_series_set_init(&mapper->set);
    af_buf_init(&mapper->scratch, SCRATCH_BYTES_MAX);
    af_buf_init(&mapper->key, SCRATCH_BYTES_MAX);
    enum af_status status = af_map_bind(mapper, path, is_lenient, err);
    if (status != AF_OK) {
        af_mapper_free(mapper);
        return status;
    }
    *out = mapper;
    return AF_OK;
}

enum af_status af_mapper_new(const struct af_map *map, const struct af_schema *schema, const char *path, struct af_mapper **out,
                             struct af_error *err)
{
    return new_mapper(map, schema, path, false, out, err);
}

static void free_value(struct map_bound_value *value)
{
    af_free(value->lut);
    af_free(value->lut_state);
}

static void free_parts(struct af_mapper *mapper)
{
    for (size_t i = 0; mapper->cols != NULL && i <= mapper->col_count; i++) /* one more: it may have failed half-way */
        af_map_wordcol_done(&mapper->cols[i]);
    for (size_t i = 0; mapper->sets != NULL && i <= mapper->col_count; i++)
        af_map_wordset_done(&mapper->sets[i]);
    for (size_t i = 0; mapper->chains != NULL && i < mapper->col_count; i++)
        af_map_u64map_done(&mapper->chains[i]);
    for (size_t i = 0; i < mapper->field_count; i++)
        free_value(&mapper->fields[i].value);
    for (size_t i = 0; i < mapper->named_count; i++) {
        af_map_wordcol_done(&mapper->named[i].name);
        af_map_wordset_done(&mapper->named[i].set);
        for (size_t k = 0; k < mapper->named[i].value_count; k++)
            free_value(&mapper->named[i].values[k]);
    }
    for (size_t i = 0; i < mapper->skip_count; i++) {
        af_map_wordcol_done(&mapper->skips[i].word);
        af_map_wordset_done(&mapper->skips[i].set);
        af_free(mapper->skips[i].drops);
    }
}

void af_mapper_free(struct af_mapper *mapper)
{
    if (mapper == NULL)
        return;
    free_parts(mapper);
    af_free(mapper->time.lut);
    af_free(mapper->table);
    af_map_u64map_done(&mapper->by_tuple);
    af_series_set_done(&mapper->set);
    af_buf_done(&mapper->scratch);
    af_buf_done(&mapper->key);
    af_arena_done(&mapper->arena);
    af_free(mapper);
}

void af_map_clear_caches(struct af_mapper *mapper)
{
    af_series_set_clear(&mapper->set);
    mapper->key_bytes_max = 0;
    af_map_series_clear(mapper);
    for (size_t i = 0; i < mapper->col_count; i++) {
        af_map_wordset_clear(&mapper->sets[i]);
        af_map_wordcol_clear(&mapper->cols[i]);
    }
    for (size_t i = 0; i < mapper->named_count; i++) {
        af_map_wordset_clear(&mapper->named[i].set);
        af_map_wordcol_clear(&mapper->named[i].name);
    }
    for (size_t i = 0; i < mapper->skip_count; i++) {
        af_map_wordset_clear(&mapper->skips[i].set);
        af_map_wordcol_clear(&mapper->skips[i].word);
        mapper->skips[i].drop_count = 0;
    }
}

enum af_status af_map_columns(const struct af_map *map, const struct af_schema *schema, struct af_arena *arena,
                              size_t **out_columns, size_t *out_count, struct af_error *err)
{
    struct af_mapper *mapper;
    AF_TRY(new_mapper(map, schema, "", true, &mapper, err));
    size_t *columns = af_arena_zero(arena, schema->field_count + 1, sizeof *columns);
    size_t count = 0;
    for (size_t i = 0; columns != NULL && i < schema->field_count; i++) {
        if (mapper->is_used[i])
            columns[count++] = i;
    }
    af_mapper_free(mapper);
    if (columns == NULL)
        return af_arena_fail(arena, schema->field_count * sizeof *columns, "a list of columns", err);
    *out_columns = columns;
    *out_count = count;
    return AF_OK;
}
