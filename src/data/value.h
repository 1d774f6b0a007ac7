/*
 * value.h - one value, and the key of a group: what is neither row nor column.
 */
#ifndef AF_DATA_VALUE_H
#define AF_DATA_VALUE_H
#include "data/batch.h"

/* Type NULL: none. Only NULL BOOL I64 U64 F64 TIME STRING occur, and JSON (as text) in tables that are made by hand. */
struct af_value {
    enum af_type type;
    union {
        bool boolean;
        int64_t i64;            /* I64, TIME (ns) */
        uint64_t u64;
        double f64;
        struct af_slice text;   /* borrowed, or in the arena of whoever made it */
    };
};
static inline struct af_value af_value_none(void)
{
    return (struct af_value){ .type = AF_TYPE_NULL };
}
static inline struct af_value af_value_f64(double value)
{
    return (struct af_value){ .type = AF_TYPE_F64, .f64 = value };
}
static inline struct af_value af_value_i64(int64_t value)
{
    return (struct af_value){ .type = AF_TYPE_I64, .i64 = value };
}
static inline struct af_value af_value_u64(uint64_t value)
{
    return (struct af_value){ .type = AF_TYPE_U64, .u64 = value };
}
static inline struct af_value af_value_bool(bool value)
{
    return (struct af_value){ .type = AF_TYPE_BOOL, .boolean = value };
}
static inline struct af_value af_value_time(int64_t ns)
{
    return (struct af_value){ .type = AF_TYPE_TIME, .i64 = ns };
}
static inline struct af_value af_value_text(struct af_slice text)
{
    return (struct af_value){ .type = AF_TYPE_STRING, .text = text };
}
static inline struct af_value af_value_json(struct af_slice text)
{
    return (struct af_value){ .type = AF_TYPE_JSON, .text = text };
}
/* Order: by type, NULL first; numbers of one type by value (-0 and 0 are equal, NaN is last), text bytewise. */
int af_value_compare(const struct af_value *a, const struct af_value *b);
bool af_value_eq(const struct af_value *a, const struct af_value *b);
/* The value of a cell; text points into the column. */
struct af_value af_column_value(const struct af_column *col, size_t row);
/* With its text copied. */
AF_MUST_CHECK bool af_value_copy(const struct af_value *value, struct af_arena *arena, struct af_value *out);

/*
 * What all rows of a group have in common. Tables from a store have the part `_measurement` first, then one part for each tag that was
 * grouped by, ascending by name; a series without the tag has the empty string there.
 */
struct af_key_part {
    struct af_slice name;
    struct af_value value;
};
struct af_group_key {
    size_t count;
    const struct af_key_part *parts;
};
#define AF_KEY_MEASUREMENT "_measurement"
/* Part by part: name, then value. Keys of one stream have the same names, so this orders by values. */
int af_group_key_compare(const struct af_group_key *a, const struct af_group_key *b);
const struct af_value *af_group_key_find(const struct af_group_key *key, struct af_slice name); /* NULL: it has no such part */
AF_MUST_CHECK const struct af_group_key *af_group_key_copy(const struct af_group_key *key, struct af_arena *arena); /* NULL: no memory */
#endif
