/*
 * lp_int.h - what the files of format/lp share.
 *
 *     text.c      precisions, af_lp_text, where a line ends
 *     encode.c    points to lines
 *     grammar.c   one line, exactly as InfluxDB reads it: the definition, and the only place that words a refusal
 *     columns.c   rows being collected into columns
 *     parse.c     the loop: a fast path for lines that look like the one before, the grammar for all others
 */
#ifndef AF_FORMAT_LP_INT_H
#define AF_FORMAT_LP_INT_H
#include "base/arena.h"
#include "format/lp/lp.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* --- scanning bytes -------------------------------------------------------------------------------------------------------- */

/* The first byte in [p, end) that is one of three, or end. The twin without SIMD is what the tests compare with. */
static inline const char *lp_find3_scalar(const char *p, const char *end, char a, char b, char c)
{
    while (p < end && *p != a && *p != b && *p != c)
        p++;
    return p;
}

static inline const char *lp_find3(const char *p, const char *end, char a, char b, char c)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(a)), _mm_cmpeq_epi8(v, _mm_set1_epi8(b))),
                                   _mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
#endif
    return lp_find3_scalar(p, end, a, b, c);
}

static inline uint64_t lp_load8(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t lp_load4(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* n bytes equal? Reads exactly n of each. */
static inline bool lp_equal(const char *a, const char *b, size_t n)
{
#ifdef __SSE2__
    if (n >= 16) {
        size_t at = 0;
        unsigned same = 0xffff;
        for (; n - at > 16 && same == 0xffff; at += 16)
            same = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(a + at)),
                                                              _mm_loadu_si128((const __m128i *)(const void *)(b + at))));
        if (same != 0xffff)
            return false;
        at = n - 16;
        return _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(a + at)),
                                                _mm_loadu_si128((const __m128i *)(const void *)(b + at)))) == 0xffff;
    }
#endif
    if (n > 16)
        return memcmp(a, b, n) == 0;
    if (n >= 8)
        return lp_load8(a) == lp_load8(b) && lp_load8(a + n - 8) == lp_load8(b + n - 8);
    if (n >= 4)
        return lp_load4(a) == lp_load4(b) && lp_load4(a + n - 4) == lp_load4(b + n - 4);
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

/* Eight ASCII digits? The usual trick: high nibbles all 3, and still 3 after adding 6. */
static inline bool lp_is_digits8(uint64_t v)
{
    return ((v & 0xf0f0f0f0f0f0f0f0) | (((v + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0) >> 4)) == 0x3333333333333333;
}

/* Their value; first digit in the lowest byte. */
static inline uint32_t lp_digits8(uint64_t v)
{
    v = (v & 0x0f0f0f0f0f0f0f0f) * 2561 >> 8;
    v = (v & 0x00ff00ff00ff00ff) * 6553601 >> 16;
    return (uint32_t)((v & 0x0000ffff0000ffff) * 42949672960001 >> 32);
}

/* --- grammar.c ----------------------------------------------------------------------------------------------------------- */

enum { LP_REASON_MAX = sizeof((struct af_lp_bad_line *)0)->reason };

struct lp_rules {
    enum af_precision precision;
    int64_t default_time_ns;
    bool allow_unsigned;
};

struct lp_line {
    struct af_slice key;    /* as written */
    bool key_is_sorted;     /* tags ascend: `key` is the stored form */
    struct af_slice fields; /* the whole section; lp_field_next takes it apart */
    size_t field_count;
    int64_t time_ns;
};

struct lp_value {
    struct af_slice raw_name;
    enum af_type type;      /* BOOL I64 U64 F64 STRING */
    bool b;
    int64_t i64;
    uint64_t u64;
    double f64;
    struct af_slice raw_text; /* STRING: between the quotes, still escaped */
};

/* What a run of bytes from af_lp_line_end (its newline stripped) says. AF_EINVAL: `reason` (LP_REASON_MAX bytes) has InfluxDB's words;
 * AF_ENOMEM. `line` starts with its measurement: the caller has dropped spaces, blank lines and comments. */
AF_MUST_CHECK enum af_status lp_line_scan(struct af_slice line, const struct lp_rules *rules, struct lp_line *out, char *reason);

/* Fields one by one, from *at = 0; false after the last. Only on what lp_line_scan accepted. */
bool lp_field_next(struct af_slice fields, size_t *at, struct lp_value *out);

/* The stored form of a key whose tags do not ascend: appended to `out`. */
AF_MUST_CHECK enum af_status lp_key_sorted(struct af_slice key, struct af_buf *out, struct af_error *err);

/* Escapes undone, at most text.len bytes written; returns the end. */
char *lp_unescape_name(char *dst, struct af_slice text);
char *lp_unescape_string(char *dst, struct af_slice text);

/* --- text.c: where the line at `at` ends; *out_has_newline: a newline ended it, not the text */
size_t lp_line_end(struct af_slice text, size_t at, bool *out_has_newline);
bool lp_is_blank_or_comment(struct af_slice block, size_t *out_start);

/* Ticks of the precision to ns, within InfluxDB's range? */
static inline bool lp_time_in_range(int64_t ns)
{
    return ns > INT64_MIN + 1 && ns < INT64_MAX;
}

/* Down to a whole tick. (Where that would leave int64, the nearest tick inside: far out of InfluxDB's range anyway.) */
static inline int64_t lp_floor_to(int64_t ns, int64_t unit)
{
    int64_t rest = ns % unit;
    int64_t floored;
    if (__builtin_sub_overflow(ns, rest < 0 ? rest + unit : rest, &floored))
        return ns - rest;
    return floored;
}

/* --- columns.c ----------------------------------------------------------------------------------------------------------- */

enum { LP_TYPE_COUNT = 5, LP_NONE = UINT32_MAX, LP_CELLS_MAX = 2 << 20 };

static inline unsigned lp_type_index(enum af_type type)
{
    switch (type) {
    case AF_TYPE_BOOL: return 0;
    case AF_TYPE_I64: return 1;
    case AF_TYPE_U64: return 2;
    case AF_TYPE_F64: return 3;
    default: return 4;
    }
}

/* One (field name, type). Values go to the current row at once and count only when the row is settled, so a line that turns
 * out bad leaves nothing behind. All memory is in the batch's arena. */
struct lp_column {
    enum af_type type;
    uint32_t name_id;
    struct af_slice escaped;  /* name */
    struct af_slice match;    /* `escaped=` with 32 readable bytes behind; empty when the fast path must not take it */
    uint32_t next;            /* rows before this are settled */
    uint32_t valid;           /* of them, those with a value */
    uint32_t row_cap;
    uint64_t *validity;       /* NULL: all of them */
    union {
        void *values;
        uint64_t *bits;
        int64_t *i64;
        uint64_t *u64;
        double *f64;
    };
    int32_t *offsets;         /* STRING */
    char *bytes;
    size_t bytes_len;         /* of settled rows */
    size_t bytes_cap;
    size_t pending;           /* of the current row */
};

struct lp_name {
    struct af_slice name;     /* as a human writes it */
    uint32_t columns[LP_TYPE_COUNT];
};

struct lp_columns {
    struct af_arena *arena;
    struct af_intern names;   /* by unescaped name; ids index `name` */
    struct lp_name *name;
    uint32_t name_cap;
    struct lp_column *column;
    uint32_t count;
    uint32_t cap;
    uint32_t row_cap;         /* rows this batch may hold; shrinks as columns are added */
    bool is_full;             /* a column has much text: end the batch */
};

void lp_columns_init(struct lp_columns *cols);
void lp_columns_done(struct lp_columns *cols);
void lp_columns_begin(struct lp_columns *cols, struct af_arena *arena, uint32_t row_cap);

/* The column of (unescaped name, type), made when it is new. */
AF_MUST_CHECK enum af_status lp_columns_get(struct lp_columns *cols, struct af_slice name, enum af_type type, uint32_t *out,
                                            struct af_error *err);

/* Room for `len` bytes of the current row's text; NULL without memory. */
char *lp_column_text(struct lp_columns *cols, struct lp_column *col, size_t len);

/* `row` has a value although rows before it have none, or had it twice. False without memory. */
bool lp_column_settle_gap(struct lp_columns *cols, struct lp_column *col, uint32_t row);

/* Room for one more row, and for the bitmap that its gaps may need, is sure after this. */
static inline bool lp_column_settle(struct lp_columns *cols, struct lp_column *col, uint32_t row)
{
    if (__builtin_expect(col->next != row || col->validity != NULL, 0))
        return lp_column_settle_gap(cols, col, row);
    if (col->type == AF_TYPE_STRING) {
        col->bytes_len += col->pending;
        col->offsets[row + 1] = (int32_t)col->bytes_len;
    }
    col->next = row + 1;
    col->valid++;
    return true;
}

static inline void lp_column_put_bool(struct lp_column *col, uint32_t row, bool value)
{
    uint64_t bit = UINT64_C(1) << row % 64;
    uint64_t *word = &col->bits[row / 64];
    *word = value ? *word | bit : *word & ~bit;
}

AF_MUST_CHECK enum af_status lp_columns_finish(struct lp_columns *cols, uint32_t row_count, struct af_points *out,
                                               struct af_error *err);
#endif
