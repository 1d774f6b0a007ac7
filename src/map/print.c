/*
 * print.c - a mapping as YAML: the members that differ from their defaults, in the order of the tables in keys.c.
 *
 * Normal form: parsing what is printed and printing again gives the same bytes.
 */
#include "map/map_int.h"
#include "base/numbers.h"

static void indent(struct af_buf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        af_buf_append_str(out, "  ");
}

static void scalar(struct af_buf *out, const char *text)
{
    af_yaml_append_scalar(out, af_slice_of(text));
}

static void print_list(struct af_buf *out, const struct map_names *names)
{
    af_buf_append_char(out, '[');
    for (size_t i = 0; i < names->count; i++) {
        if (i != 0)
            af_buf_append_str(out, ", ");
        scalar(out, names->items[i]);
    }
    af_buf_append_char(out, ']');
}

static void print_names(struct af_buf *out, const struct map_names *names)
{
    if (names->count == 1)
        scalar(out, names->items[0]);
    else
        print_list(out, names);
    af_buf_append_char(out, '\n');
}

/* `wanted: [found, found]`, in the order of first appearance. */
static void print_rules(struct af_buf *out, const struct map_rules *rules, unsigned depth)
{
    af_buf_append_char(out, '\n');
    for (size_t i = 0; i < rules->count; i++) {
        bool is_first = true;
        for (size_t k = 0; k < i && is_first; k++)
            is_first = strcmp(rules->items[k].to, rules->items[i].to) != 0;
        if (!is_first)
            continue;
        indent(out, depth);
        scalar(out, rules->items[i].to);
        af_buf_append_str(out, ": [");
        const char *comma = "";
        for (size_t k = i; k < rules->count; k++) {
            if (strcmp(rules->items[k].to, rules->items[i].to) != 0)
                continue;
            af_buf_append_str(out, comma);
            scalar(out, rules->items[k].from);
            comma = ", ";
        }
        af_buf_append_str(out, "]\n");
    }
}

static bool is_written(const struct map_key *key, const void *at)
{
    switch (key->kind) {
    case MAP_K_TEXT: return *(const char *const *)at != NULL;
    case MAP_K_BOOL:
    case MAP_K_NOT: return *(const bool *)at;
    case MAP_K_NAMES: return ((const struct map_names *)at)->is_set;
    case MAP_K_RULES: return ((const struct map_rules *)at)->count != 0;
    case MAP_K_CHOICE: return *(const int *)at != 0;
    case MAP_K_F64: return ((const struct map_number *)at)->is_set;
    case MAP_K_NS: return *(const int64_t *)at != 0;
    }
    return false;
}

static void print_value(struct af_buf *out, const struct map_key *key, const void *at, unsigned depth)
{
    char text[AF_F64_TEXT_MAX];
    switch (key->kind) {
    case MAP_K_TEXT: scalar(out, *(const char *const *)at); break;
    case MAP_K_BOOL: af_buf_append_str(out, "true"); break;
    case MAP_K_NOT: af_buf_append_str(out, "false"); break;
    case MAP_K_NAMES: print_names(out, at); return;
    case MAP_K_RULES: print_rules(out, at, depth + 1); return;
    case MAP_K_CHOICE: af_buf_append_str(out, key->choices[*(const int *)at]); break;
    case MAP_K_F64:
        af_buf_append(out, text, (size_t)(af_f64_print(text, ((const struct map_number *)at)->value) - text));
        break;
    case MAP_K_NS: af_map_duration_print(out, *(const int64_t *)at); break;
    }
    af_buf_append_char(out, '\n');
}

static void print_members(struct af_buf *out, const struct map_key *keys, const void *base, unsigned depth)
{
    for (; keys->name != NULL; keys++) {
        const void *at = (const char *)base + keys->offset;
        if (strcmp(keys->name, MAP_KEYS_WORD) == 0) {
            print_members(out, af_map_keys_word, at, depth);
        } else if (is_written(keys, at)) {
            indent(out, depth);
            af_buf_printf(out, keys->kind == MAP_K_RULES ? "%s:" : "%s: ", keys->name); /* rules begin on the next line */
            print_value(out, keys, at, depth);
        }
    }
}

static size_t members_written(const struct map_key *keys, const void *base)
{
    size_t count = 0;
    for (; keys->name != NULL; keys++) {
        const void *at = (const char *)base + keys->offset;
        if (strcmp(keys->name, MAP_KEYS_WORD) == 0)
            count += members_written(af_map_keys_word, at);
        else
            count += is_written(keys, at);
    }
    return count;
}

/* After `key:`. Short form where only the columns are given. */
static void print_columned(struct af_buf *out, const struct map_key *keys, const void *base, const struct map_names *columns,
                           unsigned depth)
{
    if (columns->count != 0 && members_written(keys, base) == 1) {
        af_buf_append_char(out, ' ');
        print_names(out, columns);
        return;
    }
    af_buf_append_char(out, '\n');
    print_members(out, keys, base, depth);
}

static void print_tags(struct af_buf *out, const struct af_map *map)
{
    af_buf_append_str(out, map->tag_count != 0 ? "tags:\n" : "");
    for (size_t i = 0; i < map->tag_count; i++) {
        indent(out, 1);
        scalar(out, map->tags[i].name);
        af_buf_append_char(out, ':');
        print_columned(out, af_map_keys_tag, &map->tags[i], &map->tags[i].word.columns, 2);
    }
}

static void print_fields(struct af_buf *out, const struct af_map *map)
{
    af_buf_append_str(out, map->field_count != 0 ? "fields:\n" : "");
    for (size_t i = 0; i < map->field_count; i++) {
        const struct map_value *value = &map->fields[i].value;
        indent(out, 1);
        scalar(out, map->fields[i].name);
        af_buf_append_char(out, ':');
        print_columned(out, af_map_keys_value, value, &value->columns, 2);
    }
}

static void print_named(struct af_buf *out, const struct af_map *map)
{
    af_buf_append_str(out, map->named_count != 0 ? "named_fields:\n" : "");
    for (size_t i = 0; i < map->named_count; i++) {
        const struct map_named *named = &map->named[i];
        af_buf_append_str(out, "  - name:");
        print_columned(out, af_map_keys_word, &named->name, &named->name.columns, 3);
        af_buf_append_str(out, "    value:\n");
        for (size_t k = 0; k < named->value_count; k++) {
            af_buf_append_str(out, "      - column: ");
            print_names(out, &named->values[k].columns);
            struct map_value others = named->values[k];
            others.columns = (struct map_names){ 0 };
            print_members(out, af_map_keys_value, &others, 4);
        }
    }
}

/* A list of structs: the first member goes behind the dash. */
static void print_structs(struct af_buf *out, const char *name, const struct map_key *keys, const void *items, size_t count,
                          size_t bytes)
{
    if (count != 0)
        af_buf_printf(out, "%s:\n", name);
    for (size_t i = 0; i < count; i++) {
        size_t mark = out->len;
        print_members(out, keys, (const char *)items + i * bytes, 2);
        if (!out->failed && out->len > mark + 2)
            out->ptr[mark + 2] = '-';
    }
}

static void print_section(struct af_buf *out, const char *name, const struct map_key *keys, const void *base)
{
    if (members_written(keys, base) == 0)
        return;
    af_buf_printf(out, "%s:\n", name);
    print_members(out, keys, base, 1);
}

void af_map_print(const struct af_map *map, struct af_buf *out)
{
    print_members(out, af_map_keys_top, map, 0);
    if (map->measurement.literal != NULL && members_written(af_map_keys_word, &map->measurement) == 1) {
        af_buf_append_str(out, "measurement: ");
        scalar(out, map->measurement.literal);
        af_buf_append_char(out, '\n');
    } else {
        print_section(out, "measurement", af_map_keys_word, &map->measurement);
    }
    af_buf_append_str(out, "time:");
    print_columned(out, af_map_keys_time, &map->time, &map->time.columns, 1);
    print_tags(out, map);
    print_structs(out, "pairs", af_map_keys_pair, map->pairs, map->pair_count, sizeof *map->pairs);
    print_fields(out, map);
    print_named(out, map);
    print_section(out, "rest", af_map_keys_rest, &map->rest);
    print_structs(out, "skip", af_map_keys_skip, map->skips, map->skip_count, sizeof *map->skips);
    print_section(out, "detect", af_map_keys_detect, &map->detect);
}
