/*
 * keys.c - the vocabulary of the mapping language: which YAML key stands for which member of which struct.
 *
 * parse.c reads by these tables and print.c writes by them, in this order.
 */
#include "map/map_int.h"
#include "base/numbers.h"

#define WORD(member) offsetof(struct map_word, member)
#define VALUE(member) offsetof(struct map_value, member)
#define TIME(member) offsetof(struct map_time, member)

static const char *const match_names[] = { "", "exact", NULL };
static const char *const style_names[] = { "", "python", NULL };
static const char *const type_names[] = { "", "integer", "unsigned", "boolean", "string", "auto", NULL };
static const char *const decimal_names[] = { "", "point", "comma", "auto", NULL };
static const char *const unit_names[] = { "", "s", "ms", "us", "ns", NULL };
static const char *const gap_names[] = { "", "forward", "reject", NULL };

const struct map_key af_map_keys_word[] = {
    { "column", MAP_K_NAMES, WORD(columns), NULL },
    { "value", MAP_K_TEXT, WORD(literal), NULL },
    { "trim", MAP_K_NOT, WORD(keep_space), NULL },
    { "lower", MAP_K_BOOL, WORD(lower), NULL },
    { "optional", MAP_K_BOOL, WORD(is_optional), NULL },
    { "match", MAP_K_CHOICE, WORD(match), match_names },
    { "numbers", MAP_K_CHOICE, WORD(numbers), style_names },
    { "omit", MAP_K_NAMES, WORD(omit), NULL },
    { "values", MAP_K_RULES, WORD(rules), NULL },
    { "else", MAP_K_TEXT, WORD(otherwise), NULL },
    { "default", MAP_K_TEXT, WORD(absent), NULL },
    { "prefix", MAP_K_TEXT, WORD(prefix), NULL },
    { "suffix", MAP_K_TEXT, WORD(suffix), NULL },
    { "unless", MAP_K_NAMES, WORD(unless), NULL },
    { NULL, 0, 0, NULL },
};

const struct map_key af_map_keys_tag[] = {
    { MAP_KEYS_WORD, 0, offsetof(struct map_tag, word), NULL },
    { "join", MAP_K_NAMES, offsetof(struct map_tag, join), NULL },
    { "separator", MAP_K_TEXT, offsetof(struct map_tag, separator), NULL },
    { NULL, 0, 0, NULL },
};

const struct map_key af_map_keys_skip[] = {
    { MAP_KEYS_WORD, 0, offsetof(struct map_skip, word), NULL },
    { "is", MAP_K_NAMES, offsetof(struct map_skip, is), NULL },
    { "is_not", MAP_K_NAMES, offsetof(struct map_skip, is_not), NULL },
    { NULL, 0, 0, NULL },
};

const struct map_key af_map_keys_value[] = {
    { "column", MAP_K_NAMES, VALUE(columns), NULL },
    { "type", MAP_K_CHOICE, VALUE(type), type_names },
    { "decimal", MAP_K_CHOICE, VALUE(decimal), decimal_names },
    { "optional", MAP_K_BOOL, VALUE(is_optional), NULL },
    { "required", MAP_K_BOOL, VALUE(is_required), NULL },
    { "trim", MAP_K_NOT, VALUE(keep_space), NULL },
    { "omit", MAP_K_NAMES, VALUE(omit), NULL },
    { "min", MAP_K_F64, VALUE(min), NULL },
    { "max", MAP_K_F64, VALUE(max), NULL },
    { NULL, 0, 0, NULL },
};

const struct map_key af_map_keys_time[] = {
    { "column", MAP_K_NAMES, TIME(columns), NULL },
    { "date_from_path", MAP_K_BOOL, TIME(date_from_path), NULL },
    { "hour", MAP_K_TEXT, TIME(hour), NULL },
    { "half_hour", MAP_K_TEXT, TIME(half_hour), NULL },
    { "zone", MAP_K_TEXT, TIME(zone_name), NULL },
    { "unit", MAP_K_CHOICE, TIME(unit), unit_names },
    { "gap", MAP_K_CHOICE, TIME(gap), gap_names },
    { "shift", MAP_K_NS, TIME(shift_ns), NULL },
    { NULL, 0, 0, NULL },
};

const struct map_key af_map_keys_pair[] = {
    { "tags", MAP_K_NAMES, offsetof(struct map_pair, tags), NULL },
    { "negate", MAP_K_NAMES, offsetof(struct map_pair, negate), NULL },
    { NULL, 0, 0, NULL },
};

const struct map_key af_map_keys_rest[] = {
    { "tags", MAP_K_BOOL, offsetof(struct map_rest, tags), NULL },
    { "fields", MAP_K_BOOL, offsetof(struct map_rest, fields), NULL },
    { "divider", MAP_K_TEXT, offsetof(struct map_rest, divider), NULL },
    { "starts_with", MAP_K_NAMES, offsetof(struct map_rest, starts_with), NULL },
    { "except", MAP_K_NAMES, offsetof(struct map_rest, except), NULL },
    { NULL, 0, 0, NULL },
};

const struct map_key af_map_keys_detect[] = {
    { "path", MAP_K_NAMES, offsetof(struct map_detect, path), NULL },
    { "columns", MAP_K_NAMES, offsetof(struct map_detect, columns), NULL },
    { "without_path", MAP_K_NAMES, offsetof(struct map_detect, without_path), NULL },
    { "needs_path", MAP_K_BOOL, offsetof(struct map_detect, needs_path), NULL },
    { NULL, 0, 0, NULL },
};

const struct map_key af_map_keys_top[] = {
    { "name", MAP_K_TEXT, offsetof(struct af_map, name), NULL },
    { "about", MAP_K_TEXT, offsetof(struct af_map, about), NULL },
    { "bucket", MAP_K_TEXT, offsetof(struct af_map, bucket), NULL },
    { "decimal", MAP_K_CHOICE, offsetof(struct af_map, decimal), decimal_names },
    { "require", MAP_K_NAMES, offsetof(struct af_map, require), NULL },
    { NULL, 0, 0, NULL },
};

/* --- durations ---------------------------------------------------------------------------------------------------- */

const int64_t af_map_unit_ns[] = { 1, AF_NS_PER_S, 1000000, 1000, 1 };

static const struct {
    const char *name;
    int64_t ns;
} duration_units[] = {
    { "d", AF_NS_PER_DAY }, { "h", 3600 * AF_NS_PER_S }, { "m", 60 * AF_NS_PER_S }, { "s", AF_NS_PER_S },
    { "ms", 1000000 },      { "us", 1000 },              { "ns", 1 },
};

bool af_map_duration_parse(struct af_slice text, int64_t *out_ns)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    size_t digits = is_negative ? 1 : 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    int64_t count;
    if (!af_i64_parse((struct af_slice){ text.ptr, digits }, &count))
        return false;
    struct af_slice unit = { text.ptr + digits, text.len - digits };
    for (size_t i = 0; i < sizeof duration_units / sizeof duration_units[0]; i++) {
        if (af_slice_is(unit, duration_units[i].name))
            return !__builtin_mul_overflow(count, duration_units[i].ns, out_ns);
    }
    return unit.len == 0 && count == 0 && (*out_ns = 0, true);
}

void af_map_duration_print(struct af_buf *out, int64_t ns)
{
    size_t i = 0;
    while (ns % duration_units[i].ns != 0)
        i++;
    af_buf_printf(out, "%lld%s", (long long)(ns / duration_units[i].ns), duration_units[i].name);
}
