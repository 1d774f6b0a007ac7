/*
 * parse.c - a mapping out of YAML: the tree, read by the tables of keys.c, then checked as a whole.
 *
 * Every refusal names the file, the line and the key, and says what could stand there.
 */
#include "map/map_int.h"
#include "base/alloc.h"
#include "base/intern.h"
#include "base/numbers.h"
#include <stdarg.h>
#include <stdio.h>

struct parser {
    const char *file;
    struct af_arena *arena; /* the map's */
    struct af_map *map;
    struct af_error *err;
};

AF_PRINTF(3, 4)
static enum af_status refuse(const struct parser *p, const struct af_yaml *at, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return af_fail_at(p->err, AF_EINVAL, at->line, at->column, "%s:%u:%u: %s", p->file, at->line, at->column, text);
}

static enum af_status no_memory(const struct parser *p)
{
    return af_fail_nomem(p->err, "a mapping");
}

/* --- scalars ------------------------------------------------------------------------------------------------------ */

static enum af_status read_text(const struct parser *p, const struct af_yaml *node, const char **out)
{
    if (node->kind == AF_YAML_NULL) { /* `omit: [null]` means the word */
        *out = "null";
        return AF_OK;
    }
    if (node->kind != AF_YAML_SCALAR)
        return refuse(p, node, AF_SLICE_FMT ": a text is wanted here, not a list or map", AF_SLICE_ARG(node->key));
    if (node->text.len != 0 && memchr(node->text.ptr, '\0', node->text.len) != NULL)
        return refuse(p, node, AF_SLICE_FMT ": the text holds a NUL", AF_SLICE_ARG(node->key));
    *out = af_arena_copy(p->arena, node->text);
    return *out != NULL ? AF_OK : no_memory(p);
}

static size_t child_count(const struct af_yaml *node)
{
    size_t count = 0;
    for (const struct af_yaml *child = node->first; child != NULL; child = child->next)
        count++;
    return count;
}

static enum af_status read_names(const struct parser *p, const struct af_yaml *node, struct map_names *out)
{
    bool is_list = node->kind == AF_YAML_LIST;
    size_t count = is_list ? child_count(node) : 1;
    const char **items = af_arena_zero(p->arena, count + 1, sizeof *items);
    if (items == NULL)
        return no_memory(p);
    const struct af_yaml *child = is_list ? node->first : node;
    for (size_t i = 0; i < count; i++, child = child->next)
        AF_TRY(read_text(p, child, &items[i]));
    *out = (struct map_names){ true, count, items };
    return AF_OK;
}

/* A text that is found twice would make the order of the rules matter. */
static enum af_status check_rules(const struct parser *p, const struct af_yaml *node, const struct map_rules *rules)
{
    struct af_intern seen;
    af_intern_init(&seen);
    enum af_status status = AF_OK;
    for (size_t i = 0; i < rules->count && status == AF_OK; i++) {
        uint32_t id;
        status = af_intern_add(&seen, af_slice_of(rules->items[i].from), &id, p->err);
        if (status == AF_OK && id != i)
            status = refuse(p, node, "values: '%s' is listed twice", rules->items[i].from);
    }
    af_intern_done(&seen);
    return status;
}

/* `from: to`, or `to: [from, from]`. */
static enum af_status read_rules(const struct parser *p, const struct af_yaml *node, struct map_rules *out)
{
    if (node->kind != AF_YAML_MAP)
        return refuse(p, node, "values: a map is wanted: `found: wanted`, or `wanted: [found, found]`");
    size_t count = 0;
    for (const struct af_yaml *child = node->first; child != NULL; child = child->next)
        count += child->kind == AF_YAML_LIST ? child_count(child) : 1;
    struct map_rule *items = af_arena_zero(p->arena, count + 1, sizeof *items);
    if (items == NULL)
        return no_memory(p);
    size_t at = 0;
    for (const struct af_yaml *child = node->first; child != NULL; child = child->next) {
        struct af_yaml key = { .kind = AF_YAML_SCALAR, .text = child->key, .key = child->key, .line = child->line,
                               .column = child->column };
        const char *name;
        struct map_names others;
        AF_TRY(read_text(p, &key, &name));
        AF_TRY(read_names(p, child, &others));
        for (size_t i = 0; i < others.count; i++)
            items[at++] = child->kind == AF_YAML_LIST ? (struct map_rule){ others.items[i], name }
                                                      : (struct map_rule){ name, others.items[i] };
    }
    *out = (struct map_rules){ count, items };
    return check_rules(p, node, out);
}

static enum af_status read_choice(const struct parser *p, const struct af_yaml *node, const struct map_key *key, int *out)
{
    const char *text;
    AF_TRY(read_text(p, node, &text));
    /* The default may be written out too. */
    static const char *const defaults[][2] = { { "match", "folded" },   { "numbers", "shortest" }, { "type", "float" },
                                               { "gap", "auto" } };
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        if (strcmp(key->name, defaults[i][0]) == 0 && strcmp(text, defaults[i][1]) == 0) {
            *out = 0;
            return AF_OK;
        }
    }
    for (int i = 1; key->choices[i] != NULL; i++) {
        if (strcmp(text, key->choices[i]) == 0) {
            *out = i;
            return AF_OK;
        }
    }
    char list[160] = "";
    size_t len = 0;
    for (int i = 1; key->choices[i] != NULL && len < sizeof list - 16; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i > 1 ? ", " : "", key->choices[i]);
    return refuse(p, node, "%s: '%s' is not one of %s", key->name, text, list);
}

static enum af_status read_bool(const struct parser *p, const struct af_yaml *node, bool is_inverted, bool *out)
{
    bool value;
    if (!af_yaml_bool(node, &value))
        return refuse(p, node, AF_SLICE_FMT ": true or false is wanted", AF_SLICE_ARG(node->key));
    *out = value != is_inverted;
    return AF_OK;
}

static enum af_status read_f64(const struct parser *p, const struct af_yaml *node, struct map_number *out)
{
    double value;
    if (node->kind != AF_YAML_SCALAR || !af_f64_parse(node->text, &value))
        return refuse(p, node, AF_SLICE_FMT ": a number is wanted", AF_SLICE_ARG(node->key));
    *out = (struct map_number){ true, value };
    return AF_OK;
}

static enum af_status read_duration(const struct parser *p, const struct af_yaml *node, int64_t *out)
{
    if (node->kind != AF_YAML_SCALAR || !af_map_duration_parse(node->text, out))
        return refuse(p, node, AF_SLICE_FMT ": a duration is wanted, such as 30m, -1h, 1d (units d h m s ms us ns)",
                      AF_SLICE_ARG(node->key));
    return AF_OK;
}

/* --- structs ------------------------------------------------------------------------------------------------------ */

static enum af_status read_member(const struct parser *p, const struct af_yaml *node, const struct map_key *key, void *base)
{
    void *at = (char *)base + key->offset;
    switch (key->kind) {
    case MAP_K_TEXT: return read_text(p, node, at);
    case MAP_K_BOOL: return read_bool(p, node, false, at);
    case MAP_K_NOT: return read_bool(p, node, true, at);
    case MAP_K_NAMES: return read_names(p, node, at);
    case MAP_K_RULES: return read_rules(p, node, at);
    case MAP_K_CHOICE: return read_choice(p, node, key, at);
    case MAP_K_F64: return read_f64(p, node, at);
    case MAP_K_NS: return read_duration(p, node, at);
    }
    return af_fail(p->err, AF_EBUG, "a key of unknown kind");
}

/* The key's entry, and in *out_base the struct it is a member of (word keys of a tag live one level down). */
static const struct map_key *find_key(const struct map_key *keys, struct af_slice name, void *base, void **out_base)
{
    for (; keys->name != NULL; keys++) {
        if (strcmp(keys->name, MAP_KEYS_WORD) == 0) {
            const struct map_key *found = find_key(af_map_keys_word, name, (char *)base + keys->offset, out_base);
            if (found != NULL)
                return found;
        } else if (af_slice_is(name, keys->name)) {
            *out_base = base;
            return keys;
        }
    }
    return NULL;
}

static size_t list_keys(const struct map_key *keys, char *text, size_t cap, size_t len)
{
    for (; keys->name != NULL && len + 32 < cap; keys++) {
        if (strcmp(keys->name, MAP_KEYS_WORD) == 0)
            len = list_keys(af_map_keys_word, text, cap, len);
        else
            len += (size_t)snprintf(text + len, cap - len, "%s%s", len != 0 ? ", " : "", keys->name);
    }
    return len;
}

static enum af_status unknown_key(const struct parser *p, const struct af_yaml *node, const struct map_key *keys,
                                  const char *what)
{
    char list[384] = "";
    (void)list_keys(keys, list, sizeof list, 0);
    return refuse(p, node, "%s has no key '" AF_SLICE_FMT "'; it has: %s", what, AF_SLICE_ARG(node->key), list);
}

static enum af_status read_struct(const struct parser *p, const struct af_yaml *node, const struct map_key *keys,
                                  const char *what, void *base)
{
    if (node->kind != AF_YAML_MAP)
        return refuse(p, node, "%s: a map of keys is wanted here", what);
    for (const struct af_yaml *child = node->first; child != NULL; child = child->next) {
        void *home = NULL;
        const struct map_key *key = find_key(keys, child->key, base, &home);
        if (key == NULL)
            return unknown_key(p, child, keys, what);
        AF_TRY(read_member(p, child, key, home));
    }
    return AF_OK;
}

/* A scalar is short for { column: scalar }, a list for { column: list }. */
static enum af_status read_columned(const struct parser *p, const struct af_yaml *node, const struct map_key *keys,
                                    const char *what, struct map_names *columns, void *base)
{
    if (node->kind == AF_YAML_SCALAR || node->kind == AF_YAML_LIST)
        return read_names(p, node, columns);
    return read_struct(p, node, keys, what, base);
}

static enum af_status check_source(const struct parser *p, const struct af_yaml *node, const struct map_word *word,
                                   const char *what)
{
    if ((word->columns.count != 0) == (word->literal != NULL))
        return refuse(p, node, "%s: give either column (where the text is) or value (the text itself)", what);
    return AF_OK;
}

static enum af_status read_measurement(const struct parser *p, const struct af_yaml *node)
{
    struct map_word *word = &p->map->measurement;
    if (node->kind == AF_YAML_SCALAR)
        AF_TRY(read_text(p, node, &word->literal));
    else
        AF_TRY(read_struct(p, node, af_map_keys_word, "measurement", word));
    AF_TRY(check_source(p, node, word, "measurement"));
    const char *fault = word->literal != NULL ? af_map_name_fault(MAP_ROLE_MEASUREMENT, af_slice_of(word->literal)) : NULL;
    return fault == NULL ? AF_OK : refuse(p, node, "%s", fault);
}

static enum af_status read_time(const struct parser *p, const struct af_yaml *node)
{
    struct map_time *time = &p->map->time;
    AF_TRY(read_columned(p, node, af_map_keys_time, "time", &time->columns, time));
    if ((time->columns.count != 0) == time->date_from_path)
        return refuse(p, node, "time: give either column, or date_from_path: true");
    if (time->hour != NULL && time->half_hour != NULL)
        return refuse(p, node, "time: hour and half_hour exclude each other");
    if (time->zone_name != NULL && af_zone_parse(af_slice_of(time->zone_name), &time->zone, p->err) != AF_OK) {
        af_error_prefix(p->err, "%s:%u: time.zone: ", p->file, node->line);
        return AF_EINVAL;
    }
    return AF_OK;
}

static enum af_status read_key_name(const struct parser *p, const struct af_yaml *node, enum map_role role,
                                    const char **out)
{
    struct af_yaml key = { .kind = AF_YAML_SCALAR, .text = node->key, .key = node->key, .line = node->line,
                           .column = node->column };
    AF_TRY(read_text(p, &key, out));
    const char *fault = af_map_name_fault(role, node->key);
    return fault == NULL ? AF_OK : refuse(p, node, "%s", fault);
}

static enum af_status read_tag(const struct parser *p, const struct af_yaml *node, struct map_tag *tag)
{
    AF_TRY(read_key_name(p, node, MAP_ROLE_TAG_KEY, &tag->name));
    AF_TRY(read_columned(p, node, af_map_keys_tag, tag->name, &tag->word.columns, tag));
    if (tag->join.count != 0)
        return tag->word.columns.count == 0 && tag->word.literal == NULL
                   ? AF_OK
                   : refuse(p, node, "%s: join stands alone, without column or value", tag->name);
    return check_source(p, node, &tag->word, tag->name);
}

static enum af_status read_value(const struct parser *p, const struct af_yaml *node, const char *what, struct map_value *value)
{
    AF_TRY(read_columned(p, node, af_map_keys_value, what, &value->columns, value));
    return value->columns.count != 0 ? AF_OK : refuse(p, node, "%s: column is missing", what);
}

static enum af_status read_field(const struct parser *p, const struct af_yaml *node, struct map_field *field)
{
    AF_TRY(read_key_name(p, node, MAP_ROLE_FIELD, &field->name));
    return read_value(p, node, field->name, &field->value);
}

/* Room for the members of a map or list, at most `max`. */
static enum af_status make_room(const struct parser *p, const struct af_yaml *node, enum af_yaml_kind kind, const char *what,
                                size_t max, size_t bytes, size_t *out_count, void **out)
{
    if (node->kind != kind)
        return refuse(p, node, "%s: a %s is wanted here", what, kind == AF_YAML_MAP ? "map" : "list");
    *out_count = child_count(node);
    if (*out_count > max)
        return refuse(p, node, "%s: %zu entries, the limit is %zu", what, *out_count, max);
    *out = af_arena_zero(p->arena, *out_count + 1, bytes);
    return *out != NULL ? AF_OK : no_memory(p);
}

static enum af_status read_tags(const struct parser *p, const struct af_yaml *node)
{
    struct af_map *map = p->map;
    size_t count;
    void *room;
    AF_TRY(make_room(p, node, AF_YAML_MAP, "tags", AF_TAGS_MAX, sizeof *map->tags, &count, &room));
    map->tags = room;
    for (const struct af_yaml *child = node->first; child != NULL; child = child->next)
        AF_TRY(read_tag(p, child, &map->tags[map->tag_count++]));
    return AF_OK;
}

static enum af_status read_fields(const struct parser *p, const struct af_yaml *node)
{
    struct af_map *map = p->map;
    size_t count;
    void *room;
    AF_TRY(make_room(p, node, AF_YAML_MAP, "fields", AF_FIELDS_MAX, sizeof *map->fields, &count, &room));
    map->fields = room;
    for (const struct af_yaml *child = node->first; child != NULL; child = child->next)
        AF_TRY(read_field(p, child, &map->fields[map->field_count++]));
    return AF_OK;
}

/* value: column, [columns], {...}, or a list of {...}: the first that a row has. */
static enum af_status read_named_values(const struct parser *p, const struct af_yaml *node, struct map_named *named)
{
    bool is_list = node->kind == AF_YAML_LIST && node->first != NULL && node->first->kind == AF_YAML_MAP;
    size_t count = is_list ? child_count(node) : 1;
    if (count > AF_FIELDS_MAX)
        return refuse(p, node, "value: %zu columns, the limit is %d", count, AF_FIELDS_MAX);
    named->values = af_arena_zero(p->arena, count, sizeof *named->values);
    if (named->values == NULL)
        return no_memory(p);
    const struct af_yaml *child = is_list ? node->first : node;
    for (; named->value_count < count; child = child->next)
        AF_TRY(read_value(p, child, "value", &named->values[named->value_count++]));
    return AF_OK;
}

static enum af_status read_named_one(const struct parser *p, const struct af_yaml *node, struct map_named *named)
{
    if (node->kind != AF_YAML_MAP)
        return refuse(p, node, "named_fields: a list of maps with name and value is wanted");
    for (const struct af_yaml *child = node->first; child != NULL; child = child->next) {
        if (af_slice_is(child->key, "name"))
            AF_TRY(read_columned(p, child, af_map_keys_word, "name", &named->name.columns, &named->name));
        else if (af_slice_is(child->key, "value"))
            AF_TRY(read_named_values(p, child, named));
        else
            return refuse(p, child, "named_fields has no key '" AF_SLICE_FMT "'; it has: name, value",
                          AF_SLICE_ARG(child->key));
    }
    if (named->value_count == 0)
        return refuse(p, node, "named_fields: value is missing (the column that holds it)");
    return check_source(p, node, &named->name, "named_fields.name");
}

static enum af_status read_named(const struct parser *p, const struct af_yaml *node)
{
    struct af_map *map = p->map;
    size_t count;
    void *room;
    AF_TRY(make_room(p, node, AF_YAML_LIST, "named_fields", 16, sizeof *map->named, &count, &room));
    map->named = room;
    for (const struct af_yaml *child = node->first; child != NULL; child = child->next)
        AF_TRY(read_named_one(p, child, &map->named[map->named_count++]));
    return AF_OK;
}

static enum af_status read_skips(const struct parser *p, const struct af_yaml *node)
{
    struct af_map *map = p->map;
    size_t count;
    void *room;
    AF_TRY(make_room(p, node, AF_YAML_LIST, "skip", 64, sizeof *map->skips, &count, &room));
    map->skips = room;
    for (const struct af_yaml *child = node->first; child != NULL; child = child->next) {
        struct map_skip *skip = &map->skips[map->skip_count++];
        AF_TRY(read_struct(p, child, af_map_keys_skip, "skip", skip));
        AF_TRY(check_source(p, child, &skip->word, "skip"));
        if (skip->is.is_set == skip->is_not.is_set)
            return refuse(p, child, "skip: give either is or is_not, with the values meant");
    }
    return AF_OK;
}

static enum af_status read_pairs(const struct parser *p, const struct af_yaml *node)
{
    struct af_map *map = p->map;
    size_t count;
    void *room;
    AF_TRY(make_room(p, node, AF_YAML_LIST, "pairs", 16, sizeof *map->pairs, &count, &room));
    map->pairs = room;
    for (const struct af_yaml *child = node->first; child != NULL; child = child->next) {
        struct map_pair *pair = &map->pairs[map->pair_count++];
        AF_TRY(read_struct(p, child, af_map_keys_pair, "pairs", pair));
        if (pair->tags.count != 2)
            return refuse(p, child, "pairs: tags names exactly two tags");
    }
    return AF_OK;
}

/* rest: fields | tags | [fields, tags] | {...} */
static enum af_status read_rest(const struct parser *p, const struct af_yaml *node)
{
    struct map_rest *rest = &p->map->rest;
    if (node->kind == AF_YAML_MAP)
        return read_struct(p, node, af_map_keys_rest, "rest", rest);
    struct map_names names;
    AF_TRY(read_names(p, node, &names));
    for (size_t i = 0; i < names.count; i++) {
        if (strcmp(names.items[i], "fields") == 0)
            rest->fields = true;
        else if (strcmp(names.items[i], "tags") == 0)
            rest->tags = true;
        else
            return refuse(p, node, "rest: '%s' is neither fields nor tags", names.items[i]);
    }
    return AF_OK;
}

static enum af_status read_detect(const struct parser *p, const struct af_yaml *node)
{
    return read_struct(p, node, af_map_keys_detect, "detect", &p->map->detect);
}

static const struct {
    const char *name;
    enum af_status (*read)(const struct parser *p, const struct af_yaml *node);
} sections[] = {
    { "measurement", read_measurement }, { "time", read_time },    { "tags", read_tags },   { "fields", read_fields },
    { "named_fields", read_named },      { "pairs", read_pairs },  { "skip", read_skips },  { "rest", read_rest },
    { "detect", read_detect },
};
enum { SECTION_COUNT = sizeof sections / sizeof sections[0] };

static enum af_status read_section(const struct parser *p, const struct af_yaml *node)
{
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (af_slice_is(node->key, sections[i].name))
            return sections[i].read(p, node);
    }
    void *home = NULL;
    const struct map_key *key = find_key(af_map_keys_top, node->key, p->map, &home);
    if (key != NULL)
        return read_member(p, node, key, home);
    return refuse(p, node,
                  "a mapping has no key '" AF_SLICE_FMT "'; it has: name, about, bucket, measurement, time, tags, fields, "
                  "named_fields, rest, pairs, skip, require, decimal, detect",
                  AF_SLICE_ARG(node->key));
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static const struct map_tag *find_tag(const struct af_map *map, const char *name)
{
    for (size_t i = 0; i < map->tag_count; i++) {
        if (strcmp(map->tags[i].name, name) == 0)
            return &map->tags[i];
    }
    return NULL;
}

static bool has_field(const struct af_map *map, const char *name)
{
    for (size_t i = 0; i < map->field_count; i++) {
        if (strcmp(map->fields[i].name, name) == 0)
            return true;
    }
    return false;
}

static enum af_status check_tag_list(const struct parser *p, const struct af_yaml *root, const struct map_names *names,
                                     const char *what)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct map_tag *tag = find_tag(p->map, names->items[i]);
        if (tag == NULL || tag->join.count != 0)
            return refuse(p, root, "%s: '%s' is not a tag with a column of its own", what, names->items[i]);
    }
    return AF_OK;
}

static enum af_status check_whole(const struct parser *p, const struct af_yaml *root)
{
    const struct af_map *map = p->map;
    if (map->measurement.columns.count == 0 && map->measurement.literal == NULL)
        return refuse(p, root, "measurement is missing: a name, or { column: ... }");
    if (map->time.columns.count == 0 && !map->time.date_from_path)
        return refuse(p, root, "time is missing: the column that holds it");
    if (map->field_count == 0 && map->named_count == 0 && !map->rest.fields)
        return refuse(p, root, "fields is missing: at least one field, named_fields, or rest: fields");
    for (size_t i = 0; i < map->tag_count; i++)
        AF_TRY(check_tag_list(p, root, &map->tags[i].join, map->tags[i].name));
    for (size_t i = 0; i < map->pair_count; i++) {
        const struct map_pair *pair = &map->pairs[i];
        AF_TRY(check_tag_list(p, root, &pair->tags, "pairs"));
        if (strcmp(pair->tags.items[0], pair->tags.items[1]) == 0)
            return refuse(p, root, "pairs: a tag cannot be paired with itself");
        for (size_t k = 0; k < pair->negate.count; k++) {
            if (!has_field(map, pair->negate.items[k]))
                return refuse(p, root, "pairs: negate: there is no field '%s'", pair->negate.items[k]);
        }
    }
    return AF_OK;
}

static enum af_status parse_into(struct af_map *map, const char *file_name, struct af_slice yaml, struct af_arena *tree_arena,
                                 struct af_error *err)
{
    struct af_yaml *root;
    struct af_error own;
    AF_TRY(af_yaml_parse(file_name, yaml, tree_arena, &root, err));
    if (root == NULL || root->kind != AF_YAML_MAP)
        return af_fail(err, AF_EINVAL, "%s: a mapping is a YAML map with measurement, time, tags and fields", file_name);
    struct parser p = { file_name, &map->arena, map, err != NULL ? err : &own };
    for (const struct af_yaml *child = root->first; child != NULL; child = child->next)
        AF_TRY(read_section(&p, child));
    return check_whole(&p, root);
}

enum af_status af_map_parse(const char *file_name, struct af_slice yaml, struct af_map **out, struct af_error *err)
{
    struct af_map *map = af_alloc_zero(1, sizeof *map);
    if (map == NULL)
        return af_fail_nomem(err, "a mapping");
    af_arena_init(&map->arena, 16 << 20);
    struct af_arena tree_arena;
    af_arena_init(&tree_arena, 64 << 20);
    enum af_status status = parse_into(map, file_name, yaml, &tree_arena, err);
    af_arena_done(&tree_arena);
    if (status != AF_OK) {
        af_map_free(map);
        return status;
    }
    *out = map;
    return AF_OK;
}

void af_map_free(struct af_map *map)
{
    if (map == NULL)
        return;
    af_arena_done(&map->arena);
    af_free(map);
}

const char *af_map_name(const struct af_map *map)
{
    return map->name != NULL ? map->name : "mapping";
}

const char *af_map_bucket(const struct af_map *map)
{
    return map->bucket;
}

const char *af_map_measurement(const struct af_map *map)
{
    return map->measurement.literal;
}

static enum af_status override_measurement(struct af_map *map, const char *name, struct af_error *err)
{
    const char *fault = af_map_name_fault(MAP_ROLE_MEASUREMENT, af_slice_of(name));
    if (fault != NULL)
        return af_fail(err, AF_EINVAL, "measurement '%s': %s", name, fault);
    char *copy = af_arena_copy(&map->arena, af_slice_of(name));
    if (copy == NULL)
        return af_fail_nomem(err, "a measurement name");
    map->measurement = (struct map_word){ .literal = copy };
    return AF_OK;
}

enum af_status af_map_override(struct af_map *map, const struct af_map_override *change, struct af_error *err)
{
    struct af_zone zone;
    char *zone_name = NULL;
    if (change->time_zone != NULL) {
        AF_TRY(af_zone_parse(af_slice_of(change->time_zone), &zone, err));
        zone_name = af_arena_copy(&map->arena, af_slice_of(change->time_zone));
        if (zone_name == NULL)
            return af_fail_nomem(err, "a time zone");
    }
    if (change->measurement != NULL)
        AF_TRY(override_measurement(map, change->measurement, err));
    if (zone_name != NULL) {
        map->time.zone = zone;
        map->time.zone_name = zone_name;
    }
    return AF_OK;
}
