/* value.c - values and group keys compared and copied; see value.h. */
#include "data/value.h"

static int compare_f64(double a, double b)
{
    bool a_is_nan = a != a;
    bool b_is_nan = b != b;
    if (a_is_nan || b_is_nan)
        return (int)a_is_nan - (int)b_is_nan;
    return (a > b) - (a < b);
}

int af_value_compare(const struct af_value *a, const struct af_value *b)
{
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    switch (a->type) {
    case AF_TYPE_BOOL: return (int)a->boolean - (int)b->boolean;
    case AF_TYPE_I64:
    case AF_TYPE_TIME: return (a->i64 > b->i64) - (a->i64 < b->i64);
    case AF_TYPE_U64: return (a->u64 > b->u64) - (a->u64 < b->u64);
    case AF_TYPE_F64: return compare_f64(a->f64, b->f64);
    case AF_TYPE_JSON:
    case AF_TYPE_STRING: return af_slice_cmp(a->text, b->text);
    default: return 0;
    }
}

bool af_value_eq(const struct af_value *a, const struct af_value *b)
{
    return af_value_compare(a, b) == 0;
}

struct af_value af_column_value(const struct af_column *col, size_t row)
{
    if (!af_column_has(col, row))
        return af_value_none();
    switch (col->type) {
    case AF_TYPE_BOOL: return af_value_bool(af_bit_get(col->bits, row));
    case AF_TYPE_I64: return af_value_i64(col->i64[row]);
    case AF_TYPE_U64: return af_value_u64(col->u64[row]);
    case AF_TYPE_F64: return af_value_f64(col->f64[row]);
    case AF_TYPE_TIME: return af_value_time(col->i64[row]);
    case AF_TYPE_STRING: return af_value_text(af_column_text(col, row));
    case AF_TYPE_JSON: return af_value_json(af_column_text(col, row));
    default: return af_value_none();
    }
}

static bool copy_text(struct af_slice text, struct af_arena *arena, struct af_slice *out)
{
    char *copy = af_arena_copy(arena, text);
    if (copy != NULL)
        *out = af_slice_make(copy, text.len);
    return copy != NULL;
}

bool af_value_copy(const struct af_value *value, struct af_arena *arena, struct af_value *out)
{
    struct af_value copy = *value;
    if (af_type_is_text(value->type) && !copy_text(value->text, arena, &copy.text))
        return false;
    *out = copy;
    return true;
}

/* --- keys of groups ------------------------------------------------------------------------------------------------------------- */

int af_group_key_compare(const struct af_group_key *a, const struct af_group_key *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        int order = af_slice_cmp(a->parts[i].name, b->parts[i].name);
        if (order == 0)
            order = af_value_compare(&a->parts[i].value, &b->parts[i].value);
        if (order != 0)
            return order;
    }
    return (a->count > b->count) - (a->count < b->count);
}

const struct af_value *af_group_key_find(const struct af_group_key *key, struct af_slice name)
{
    for (size_t i = 0; i < key->count; i++)
        if (af_slice_eq(key->parts[i].name, name))
            return &key->parts[i].value;
    return NULL;
}

const struct af_group_key *af_group_key_copy(const struct af_group_key *key, struct af_arena *arena)
{
    struct af_group_key *copy = af_arena_zero(arena, 1, sizeof *copy);
    struct af_key_part *parts = af_arena_zero(arena, key->count + 1, sizeof *parts);
    if (copy == NULL || parts == NULL)
        return NULL;
    for (size_t i = 0; i < key->count; i++)
        if (!copy_text(key->parts[i].name, arena, &parts[i].name) ||
            !af_value_copy(&key->parts[i].value, arena, &parts[i].value))
            return NULL;
    *copy = (struct af_group_key){ key->count, parts };
    return copy;
}
