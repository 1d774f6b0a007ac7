/*
 * map_int.h - inside map/: the mapping as a tree of plain structs, the bound mapper, and what the files call of each other.
 *
 *     YAML --parse.c--> struct af_map --bind.c--> struct af_mapper --apply.c--> points
 *                           |                        words.c   column text -> word id (tags, measurement, field names)
 *                        print.c                     series.c  word ids of a row -> series id
 *                                                    when.c    columns -> instants
 *                                                    cast.c    column -> field values
 *
 * One table per struct (keys.c) names its YAML keys; parse.c reads by it and print.c writes by it, so what is printed
 * reads back.
 */
#ifndef AF_MAP_MAP_INT_H
#define AF_MAP_MAP_INT_H
#include "base/buf.h"
#include "base/intern.h"
#include "base/limits.h"
#include "format/yaml/yaml.h"
#include "map/map.h"

/* --- the mapping (immutable once parsed; all strings in its arena, NUL-terminated) -------------------------------- */

struct map_names {
    bool is_set; /* an empty list was written */
    size_t count;
    const char **items;
};

struct map_rule {
    const char *from;
    const char *to;
};
struct map_rules {
    size_t count;
    struct map_rule *items;
};

struct map_number {
    bool is_set;
    double value;
};

enum map_match { MAP_FOLDED, MAP_EXACT };
enum map_number_style { MAP_SHORTEST, MAP_PYTHON };

/* How the text of a column becomes a word: a tag value, a measurement, a field name. */
struct map_word {
    struct map_names columns;  /* alternatives: the first that the file has */
    const char *literal;
    bool keep_space;
    bool lower;
    bool is_optional;
    int match;                 /* enum map_match, of `rules` */
    int numbers;               /* enum map_number_style */
    struct map_names omit;
    struct map_rules rules;
    const char *otherwise;     /* where no rule matches; NULL: the word itself */
    const char *absent;        /* where there is no word */
    const char *prefix;
    const char *suffix;
    struct map_names unless;   /* no word in rows where one of these columns has a value */
};

struct map_tag {
    const char *name;
    struct map_word word;
    struct map_names join;     /* instead: other tags of this mapping, put together */
    const char *separator;
};

enum map_type { MAP_FLOAT, MAP_INTEGER, MAP_UNSIGNED, MAP_BOOLEAN, MAP_STRING, MAP_AUTO };
enum map_decimal { MAP_DECIMAL_UNSET, MAP_DECIMAL_POINT, MAP_DECIMAL_COMMA, MAP_DECIMAL_AUTO };

struct map_value {
    struct map_names columns;
    int type;    /* enum map_type */
    int decimal; /* enum map_decimal */
    bool is_optional;
    bool is_required; /* a row without it says nothing */
    bool keep_space;
    struct map_names omit;
    struct map_number min;
    struct map_number max;
};

struct map_field {
    const char *name;
    struct map_value value;
};

/* A field whose name is a word of the row, and whose value is the first of some columns. */
struct map_named {
    struct map_word name;
    size_t value_count;
    struct map_value *values;
};

enum map_unit { MAP_UNIT_UNSET, MAP_UNIT_S, MAP_UNIT_MS, MAP_UNIT_US, MAP_UNIT_NS };
enum map_gap { MAP_GAP_AUTO, MAP_GAP_FORWARD, MAP_GAP_REJECT };

struct map_time {
    struct map_names columns;
    const char *zone_name; /* NULL: UTC */
    struct af_zone zone;
    int unit;              /* enum map_unit */
    const char *hour;      /* column of 0..24 */
    const char *half_hour; /* column of 1..48 */
    bool date_from_path;
    int gap;               /* enum map_gap */
    int64_t shift_ns;
};

struct map_skip {
    struct map_word word;
    struct map_names is;
    struct map_names is_not;
};

struct map_pair {
    struct map_names tags; /* two */
    struct map_names negate;
};

struct map_rest {
    bool tags;
    bool fields;
    const char *divider;            /* columns before it are tags, behind it fields */
    struct map_names starts_with;   /* columns named so are number fields, called by what follows */
    struct map_names except;
};

struct map_detect {
    struct map_names path;
    struct map_names columns;
    struct map_names without_path; /* columns that suffice where the path says nothing; not set: `columns` */
    bool needs_path;
};

struct af_map {
    struct af_arena arena;
    const char *name;
    const char *about;
    const char *bucket;
    struct map_word measurement;
    struct map_time time;
    size_t tag_count;
    struct map_tag *tags;
    size_t pair_count;
    struct map_pair *pairs;
    size_t field_count;
    struct map_field *fields;
    size_t named_count;
    struct map_named *named;
    struct map_rest rest;
    size_t skip_count;
    struct map_skip *skips;
    struct map_names require;
    int decimal;
    struct map_detect detect;
};

/* --- keys.c: the YAML keys of each struct ------------------------------------------------------------------------- */

enum map_kind {
    MAP_K_TEXT,   /* const char * */
    MAP_K_BOOL,   /* bool */
    MAP_K_NOT,    /* bool, written the other way round: trim: false */
    MAP_K_NAMES,  /* struct map_names: a scalar or a list */
    MAP_K_RULES,  /* struct map_rules: from: to, or to: [from, from] */
    MAP_K_CHOICE, /* int, an index of `choices` */
    MAP_K_F64,    /* struct map_number */
    MAP_K_NS,     /* int64_t: 30m, -1h */
};
struct map_key {
    const char *name;
    enum map_kind kind;
    size_t offset;
    const char *const *choices; /* CHOICE: NULL-terminated; an empty first one is the unwritten default */
};
extern const struct map_key af_map_keys_word[], af_map_keys_tag[], af_map_keys_value[], af_map_keys_time[],
    af_map_keys_skip[], af_map_keys_pair[], af_map_keys_rest[], af_map_keys_detect[], af_map_keys_top[];
/* Name NULL ends a table. Tables of structs that begin with a word (tag, skip) hold the word's keys by reference: */
#define MAP_KEYS_WORD "\1word"

extern const int64_t af_map_unit_ns[]; /* by enum map_unit */
bool af_map_duration_parse(struct af_slice text, int64_t *out_ns);
void af_map_duration_print(struct af_buf *out, int64_t ns);

/* Text helpers. */
void af_map_fold(struct af_buf *out, struct af_slice text);  /* lower case, Latin accents off */
void af_map_lower(struct af_buf *out, struct af_slice text); /* lower case, accents kept */
bool af_map_names_has(const struct map_names *names, struct af_slice text);
bool af_map_text_is_missing(const struct map_names *omit, bool use_default, struct af_slice trimmed);

/* NULL if a name can serve; role: what it names. */
enum map_role { MAP_ROLE_MEASUREMENT, MAP_ROLE_TAG_KEY, MAP_ROLE_TAG_VALUE, MAP_ROLE_FIELD };
const char *af_map_name_fault(enum map_role role, struct af_slice name);

/* --- words.c: a column's text as word ids ------------------------------------------------------------------------- */

/* 64-bit keys to 32-bit values; for packed ids and numbers. */
struct map_u64map {
    uint64_t *keys;
    uint32_t *values; /* value + 1; 0: free */
    uint32_t mask;
    uint32_t count;
};
void af_map_u64map_done(struct map_u64map *map);
void af_map_u64map_clear(struct map_u64map *map);
uint32_t af_map_u64map_get(const struct map_u64map *map, uint64_t key); /* UINT32_MAX: not there */
AF_MUST_CHECK bool af_map_u64map_put(struct map_u64map *map, uint64_t key, uint32_t value); /* a new key; false: no memory */

/* The words seen so far. Id 0 is "no word"; word w is keys.keys[w - 1]. */
struct map_wordset {
    enum map_role role;
    struct af_intern keys;
    const char **faults; /* by word - 1: why it cannot be used, or NULL */
    uint32_t fault_cap;
};
enum { MAP_NO_WORD = 0 };

struct map_wordcol {
    const struct map_word *spec;
    size_t column;             /* SIZE_MAX: the constant below in every row */
    const char *column_name;   /* for messages; NULL: none */
    struct af_slice constant;
    bool has_constant;
    size_t unless_count;
    const size_t *unless;
    struct map_wordset *set;
    /* What raw values became: by dictionary code, by interned text, by number. */
    uint64_t dict_id;
    uint32_t *lut;
    uint32_t lut_count;
    uint32_t lut_cap;
    struct af_intern raws;
    uint32_t *raw_words;
    uint32_t raw_cap;
    struct map_u64map numbers;
    uint32_t constant_word;
    /* The batch at hand: words[row], or lut[codes[row]]. */
    const uint32_t *words;
    const uint32_t *codes;
};
void af_map_wordset_init(struct map_wordset *set, enum map_role role);
void af_map_wordset_done(struct map_wordset *set);
void af_map_wordset_clear(struct map_wordset *set);
void af_map_wordcol_done(struct map_wordcol *col);
void af_map_wordcol_clear(struct map_wordcol *col); /* after its set was cleared */
size_t af_map_wordcol_bytes(const struct map_wordcol *col); /* of caches */

static inline uint32_t map_wordcol_get(const struct map_wordcol *col, size_t row)
{
    return col->words != NULL ? col->words[row] : col->lut[col->codes[row]];
}
static inline struct af_slice map_word_text(const struct map_wordset *set, uint32_t word)
{
    return set->keys.keys[word - 1];
}

/* --- bind.c ------------------------------------------------------------------------------------------------------- */

struct map_bound_value {
    const struct map_value *spec;
    size_t column; /* SIZE_MAX: the file has none */
    const char *column_name;
    enum af_type type; /* of the points */
    int decimal;
    /* Numbers of a dictionary's entries, parsed once. */
    uint64_t dict_id;
    uint64_t *lut;     /* the bits of the value */
    uint8_t *lut_state;
    uint32_t lut_count, lut_cap;
    bool dict_is_clean; /* STRING: every entry can be used as it is */
};
struct map_bound_field {
    struct af_slice name;
    struct af_slice escaped;
    bool is_required;
    struct map_bound_value value;
};
struct map_bound_named {
    struct map_wordset set;
    struct map_wordcol name;
    size_t value_count;
    struct map_bound_value *values;
};
struct map_bound_skip {
    const struct map_skip *spec;
    struct map_wordset set;
    struct map_wordcol word;
    uint8_t *drops; /* by word */
    uint32_t drop_cap, drop_count;
};
struct map_bound_tag {
    const char *name;
    struct af_slice key;     /* escaped, "," before and "=" after */
    const struct map_tag *spec; /* NULL: from `rest` */
    size_t col;              /* of cols; SIZE_MAX: joined */
    size_t join_count;
    const size_t *joins;     /* of cols */
};
struct map_bound_pair {
    const struct map_pair *spec;
    size_t first, second; /* of cols; they share a set */
};
struct map_bound_time {
    size_t column, hour, half_hour; /* SIZE_MAX: none */
    const char *column_name;
    bool has_constant;
    int64_t constant_ns;
    bool constant_is_utc;
    uint64_t dict_id;
    struct map_instant *lut;
    uint32_t lut_cap;
};

struct af_mapper {
    const struct af_map *map;
    const struct af_schema *schema;
    struct af_arena arena; /* what bind makes */
    struct map_bound_time time;
    /* cols[0] is the measurement; then the tags that have a column or a constant. */
    size_t col_count;
    struct map_wordcol *cols;
    struct map_wordset *sets; /* one per col; the second of a pair uses the first's */
    size_t tag_count;
    struct map_bound_tag *tags; /* in order of key */
    size_t pair_count;
    struct map_bound_pair *pairs;
    size_t field_count;
    struct map_bound_field *fields;
    size_t named_count;
    struct map_bound_named *named;
    size_t skip_count;
    struct map_bound_skip *skips;
    bool *is_used; /* by schema column */
    /* series.c */
    struct af_series_set set;
    size_t key_bytes_max; /* longest key in `set` */
    uint8_t *bits;        /* by col: width of its words in the packed tuple */
    unsigned total_bits;
    uint32_t *table;      /* packed tuple -> series + 1, or MAP_SERIES_BAD; when total_bits is small */
    struct map_u64map by_tuple;
    struct map_u64map *chains; /* by col: packed prefix -> dense id, where 64 bits do not hold the tuple */
    struct af_buf scratch;
    struct af_buf key;
};

enum af_status af_map_bind(struct af_mapper *mapper, const char *path, bool is_lenient, struct af_error *err);
size_t af_map_find_column(const struct af_schema *schema, const struct map_names *names);

/* --- a batch under work (apply.c) --------------------------------------------------------------------------------- */

struct map_note {
    uint32_t row;
    const char *column;
    const char *reason;
};
struct map_run {
    struct af_mapper *mapper;
    const struct af_batch *batch;
    struct af_arena *arena;
    struct af_error *err;
    size_t rows;
    uint64_t *live; /* rows that can still be a point: not skipped, not rejected, with a value */
    size_t note_count;
    struct map_note *notes; /* room for one a row */
    size_t field_count;
    size_t field_cap;
    struct af_point_field *fields;
    uint64_t *gap;  /* rows at a local time that does not exist, by the zero rule; NULL: none */
    const int64_t *time_ns;
    uint32_t *series;
};

/* Reject a live row (others are left alone): the first reason counts. `reason` is static or in the arena. */
AF_MUST_CHECK enum af_status af_map_reject(struct map_run *run, size_t row, const char *column, const char *reason);
/* The same with the offending text quoted, cut and made printable: "not a number: '12,x'". */
AF_MUST_CHECK enum af_status af_map_reject_text(struct map_run *run, size_t row, const char *column, const char *what,
                                             struct af_slice text);
/* Reject the live rows of a column that the file's value could not be held in. */
AF_MUST_CHECK enum af_status af_map_reject_invalid(struct map_run *run, const struct af_column *col, const char *name);

AF_MUST_CHECK enum af_status af_map_words_load(struct map_run *run, struct map_wordcol *col);
AF_MUST_CHECK enum af_status af_map_cast(struct map_run *run, struct map_bound_value *value, struct af_column *out);
AF_MUST_CHECK enum af_status af_map_times(struct map_run *run);
AF_MUST_CHECK enum af_status af_map_series(struct map_run *run);
void af_map_series_clear(struct af_mapper *mapper);
void af_map_clear_caches(struct af_mapper *mapper); /* bind.c: all words, series and ids start over */

/* number.c: text to numbers in the notation of `decimal`. */
bool af_map_f64_parse(struct af_slice text, int decimal, double *out);
bool af_map_i64_parse(struct af_slice text, int decimal, int64_t *out);
bool af_map_u64_parse(struct af_slice text, int decimal, uint64_t *out);
bool af_map_bool_parse(struct af_slice text, bool *out);
bool af_map_f64_to_i64(double value, int64_t *out);
bool af_map_f64_to_u64(double value, uint64_t *out);
/* One value as text, for tags and string fields. */
void af_map_value_print(struct af_buf *out, const struct af_column *col, size_t row, int style);
/* A whole number out of any numeric or text column. */
bool af_map_column_i64(const struct af_column *col, size_t row, int64_t *out);

/* builtin.c */
extern const char *const af_map_builtin_yaml[]; /* in the order of af_map_builtins() */
#endif
