/*
 * batch.h - rows as columns: the one thing that crosses every border in afluxo.
 *
 * A batch is a schema and columns of equal length in Arrow's memory layout: fixed-width values in plain arrays, strings as
 * int32 offsets + bytes or as codes into a dictionary, validity as bitmaps (bit i of word i/64, least significant first).
 * Readers decode into the widest type of a kind: all signed integers are I64, all floats F64.
 *
 * Memory: a batch and all it points to live in the arena it was made in. Dictionaries outlive it by reference count
 * (af_dict_ref), because one serves many batches in several threads.
 */
#ifndef AF_DATA_BATCH_H
#define AF_DATA_BATCH_H
#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

enum af_type {
    AF_TYPE_NULL,    /* no data: every row is null */
    AF_TYPE_BOOL,    /* bitmap */
    AF_TYPE_I64,
    AF_TYPE_U64,
    AF_TYPE_F64,
    AF_TYPE_TIME,    /* int64 ns since the epoch; see af_field.is_local */
    AF_TYPE_DATE,    /* int64 days since 1970-01-01 */
    AF_TYPE_CLOCK,   /* int64 ns since midnight */
    AF_TYPE_DECIMAL, /* __int128 unscaled, scale in the field */
    AF_TYPE_STRING,  /* text; UTF-8 unless the file lied: consumers that need it check */
    AF_TYPE_BYTES,
    AF_TYPE_JSON,    /* as STRING; a nested value printed as JSON, or a JSON column */
};

const char *af_type_name(enum af_type type); /* "i64", "time", ... */
static inline bool af_type_is_text(enum af_type type)
{
    return type == AF_TYPE_STRING || type == AF_TYPE_BYTES || type == AF_TYPE_JSON;
}

struct af_field {
    const char *name;        /* a dotted path for a leaf inside a struct */
    const char *source_type; /* how the file calls it: "INT96", "DECIMAL(18,8) on INT64"; for inspect */
    enum af_type type;
    uint8_t scale;           /* DECIMAL: digits after the point */
    bool is_nullable;
    bool is_local;           /* TIME: wall time of an unnamed zone, not an instant (or: the file does not say) */
};

struct af_schema {
    size_t field_count;
    const struct af_field *fields;
};

/* Index of a field by name, or SIZE_MAX. */
size_t af_schema_find(const struct af_schema *schema, struct af_slice name);

/* Distinct strings that codes point to. Immutable once made; shared between threads by reference count. */
struct af_dict {
    uint64_t id;            /* unique in the process: the same id has the same content */
    uint32_t count;
    const int32_t *offsets; /* count + 1 */
    const char *bytes;
    /* private: */
    void (*free)(struct af_dict *dict);
    _Atomic uint32_t refs;
};

/* Copies `count` strings. Reference count 1. */
AF_MUST_CHECK enum af_status af_dict_new(const int32_t *offsets, const char *bytes, uint32_t count,
                                         struct af_dict **out, struct af_error *err);
struct af_dict *af_dict_ref(struct af_dict *dict);
void af_dict_unref(struct af_dict *dict); /* NULL is fine */

/* Let `arena` hold a reference until it is reset. */
AF_MUST_CHECK enum af_status af_dict_hold(struct af_dict *dict, struct af_arena *arena, struct af_error *err);

static inline struct af_slice af_dict_get(const struct af_dict *dict, uint32_t code)
{
    int32_t start = dict->offsets[code];
    return (struct af_slice){ dict->bytes + start, (size_t)(dict->offsets[code + 1] - start) };
}

struct af_column {
    enum af_type type;
    uint8_t scale;            /* DECIMAL */
    const uint64_t *validity; /* bit 1: there is a value; NULL: all rows have one */
    size_t null_count;        /* 0 if validity is NULL */
    const uint64_t *invalid;  /* bit 1: null here because the file's value cannot be held; NULL: none */
    const char *invalid_why;  /* the reason for all of them: "time out of range"; NULL if invalid is */
    union {                   /* by type; NULL for text and NULL columns. Rows without a value hold anything */
        const void *values;
        const uint64_t *bits; /* BOOL */
        const int64_t *i64;   /* I64 TIME DATE CLOCK */
        const uint64_t *u64;
        const double *f64;
        const __int128 *i128; /* DECIMAL */
    };
    /* Text columns: either codes + dict, or offsets + bytes. Codes of null rows are in range (0) unless the dictionary is empty. */
    const uint32_t *codes;
    struct af_dict *dict;
    const int32_t *offsets;
    const char *bytes;
};

static inline bool af_bit_get(const uint64_t *bits, size_t i)
{
    return (bits[i / 64] >> (i % 64) & 1) != 0;
}
static inline void af_bit_set(uint64_t *bits, size_t i)
{
    bits[i / 64] |= UINT64_C(1) << (i % 64);
}
static inline void af_bit_clear(uint64_t *bits, size_t i)
{
    bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}
static inline size_t af_bit_words(size_t rows)
{
    return (rows + 63) / 64;
}

/* A bitmap of `rows` bits, all `value`, bits past the end 0. NULL without memory. */
uint64_t *af_bits_new(struct af_arena *arena, size_t rows, bool value);
size_t af_bits_count(const uint64_t *bits, size_t rows);

static inline bool af_column_has(const struct af_column *col, size_t row)
{
    return col->type != AF_TYPE_NULL && (col->validity == NULL || af_bit_get(col->validity, row));
}

/* The text of a row that has one. */
static inline struct af_slice af_column_text(const struct af_column *col, size_t row)
{
    if (col->dict != NULL)
        return af_dict_get(col->dict, col->codes[row]);
    int32_t start = col->offsets[row];
    return (struct af_slice){ col->bytes + start, (size_t)(col->offsets[row + 1] - start) };
}

/* A record that could not be made into a row at all (a CSV line with too many cells). Not among the batch's rows. */
struct af_bad_row {
    uint64_t row;        /* the number it would have had in the file */
    const char *column;  /* NULL if no single one is to blame */
    const char *reason;
    struct af_slice raw; /* its bytes, perhaps cut */
};

struct af_batch {
    const struct af_schema *schema;
    size_t row_count;
    const struct af_column *columns; /* schema->field_count */
    /* Where the rows come from, for messages and dead letters. Row i of the batch is row first_row + i of the file. */
    uint64_t first_row;
    uint32_t row_group;              /* 0 where the format has none */
    size_t bad_row_count;
    const struct af_bad_row *bad_rows;
};

/* One value as text, as `afluxo inspect sample` shows it inside JSON: numbers bare, text escaped and quoted, null. */
struct af_buf;
void af_batch_print_json(struct af_buf *out, const struct af_batch *batch, size_t row, size_t column);
/* A whole row as one JSON object. */
void af_batch_print_row_json(struct af_buf *out, const struct af_batch *batch, size_t row);
/* The same for dead letters, so that the row can be read back as what it was: see batch_json.c. */
void af_batch_print_row_letter(struct af_buf *out, const struct af_batch *batch, size_t row);
#endif
