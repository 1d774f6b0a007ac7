/*
 * parse.c - the reading half of lp.h.
 *
 *     text --> fast_line: looks like a line before it? ---> values in columns --> settle the row
 *                 | no: nothing was kept                                            ^
 *                 '-> slow_line: grammar.c -----------------------------------------' or a bad line
 *
 * Most lines repeat: the same series in turn, the same fields in the same order. So the fast path guesses and compares:
 *   - the series: the one that followed the last line's series before; its key is compared whole. A wrong guess costs a scan
 *     for the end of the key and a hash lookup. Only keys that grammar.c has accepted once are known, so what matches is valid.
 *   - the fields: the columns of the last line, names compared with `name=`.
 * It takes only what every rule of the grammar reads alike (no pairs of backslashes in names, nothing after a string's quote, one
 * space between parts, 19 digits or fewer) and leaves the rest, every error and the last bytes of the text to the
 * grammar. grammar_test.c compares the two.
 *
 * Invariant: the line that starts at `p` has not touched anything but values of the current row, which count only when settled.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "format/lp/lp_int.h"

enum {
    SLACK = 64,         /* bytes that must be readable behind a part the fast path looks at */
    KEY_BYTES_FAST = AF_LP_KEY_BYTES_MAX / 2, /* longer keys, and names (columns.c), might be too long together: the grammar adds up */
    LINE_BYTES_MIN = 6, /* "m f=1\n" */
};

struct af_lp_parser {
    struct lp_rules rules;
    int64_t unit_ns;
    void (*bad_line)(void *ctx, const struct af_lp_bad_line *bad);
    void *ctx;
    uint64_t lines;            /* ended before the current one */
    uint64_t points;

    struct af_series_set set;
    struct af_intern unsorted; /* keys as written whose tags do not ascend */
    uint32_t *unsorted_ids;    /* their series */
    uint32_t unsorted_cap;
    /* A written key that the fast path knows: its series << 1, or its id in `unsorted` << 1 | 1. */
    uint32_t *follower;        /* by such a reference: the one to expect next */
    uint32_t follower_cap;
    uint32_t last;             /* reference of the last line, or LP_NONE */

    struct lp_columns cols;
    uint32_t *expected;        /* columns of the last line, in its order */
    uint32_t expected_count;
    uint32_t expected_cap;
    struct af_buf scratch;

    /* of the batch being made, in its arena */
    uint32_t row;
    uint32_t *series;
    int64_t *time_ns;
    uint64_t *line_numbers;
};

void af_lp_parser_reset(struct af_lp_parser *ps, const struct af_lp_parse_options *options)
{
    ps->rules.precision = options->precision;
    ps->rules.allow_unsigned = options->allow_unsigned;
    ps->unit_ns = af_precision_ns(options->precision);
    ps->rules.default_time_ns = lp_floor_to(options->default_time_ns, ps->unit_ns);
    ps->bad_line = options->bad_line;
    ps->ctx = options->ctx;
    ps->lines = 0;
    ps->points = 0;
}

enum af_status af_lp_parser_new(const struct af_lp_parse_options *options, struct af_lp_parser **out, struct af_error *err)
{
    struct af_lp_parser *ps = af_alloc_zero(1, sizeof *ps);
    if (ps == NULL)
        return af_fail_nomem(err, "a line protocol parser");
    ps->last = LP_NONE;
    af_lp_parser_reset(ps, options);
    af_series_set_init(&ps->set);
    af_intern_init(&ps->unsorted);
    lp_columns_init(&ps->cols);
    af_buf_init(&ps->scratch, AF_LP_LINE_BYTES_MAX);
    *out = ps;
    return AF_OK;
}

void af_lp_parser_free(struct af_lp_parser *ps)
{
    if (ps == NULL)
        return;
    af_series_set_done(&ps->set);
    af_intern_done(&ps->unsorted);
    lp_columns_done(&ps->cols);
    af_buf_done(&ps->scratch);
    af_free(ps->unsorted_ids);
    af_free(ps->follower);
    af_free(ps->expected);
    af_free(ps);
}

static bool grow_u32(uint32_t **list, uint32_t *cap, uint32_t need)
{
    if (need <= *cap)
        return true;
    uint32_t more = *cap < 64 ? 64 : *cap * 2;
    while (more < need)
        more *= 2;
    uint32_t *grown = af_realloc(*list, more * sizeof *grown);
    if (grown == NULL)
        return false;
    *list = grown;
    *cap = more;
    return true;
}

/* --- series ------------------------------------------------------------------------------------------------------------------ */

static inline struct af_slice reference_key(const struct af_lp_parser *ps, uint32_t ref)
{
    return (ref & 1) != 0 ? ps->unsorted.keys[ref >> 1] : ps->set.keys.keys[ref >> 1];
}

static inline uint32_t reference_series(const struct af_lp_parser *ps, uint32_t ref)
{
    return (ref & 1) != 0 ? ps->unsorted_ids[ref >> 1] : ref >> 1;
}

static inline void follow(struct af_lp_parser *ps, uint32_t ref)
{
    if (ps->last != LP_NONE)
        ps->follower[ps->last] = ref;
    ps->last = ref;
}

/* Where the key at `p` ends, if all rules about backslashes read it alike; else NULL. */
static const char *plain_key_end(const char *p, const char *end)
{
    for (;;) {
        p = lp_find3(p, end, ' ', '\\', '\n');
        if (end - p < SLACK || *p == '\n')
            return NULL;
        if (*p == ' ')
            return p;
        if (p[1] == '\\' || p[1] == '\n')
            return NULL;
        p += 2;
    }
}

static uint32_t find_reference(const struct af_lp_parser *ps, struct af_slice key)
{
    uint32_t id = af_intern_find(&ps->set.keys, key);
    if (id != UINT32_MAX)
        return id << 1;
    id = ps->unsorted.count != 0 ? af_intern_find(&ps->unsorted, key) : UINT32_MAX;
    return id != UINT32_MAX ? id << 1 | 1 : LP_NONE;
}

/* The known key at *p with its space; *p is moved behind it. */
static inline uint32_t match_series(const struct af_lp_parser *ps, const char **p, const char *end)
{
    if (ps->last != LP_NONE) {
        uint32_t ref = ps->follower[ps->last];
        struct af_slice key = reference_key(ps, ref);
        if ((size_t)(end - *p) >= key.len + SLACK && (*p)[key.len] == ' ' && lp_equal(*p, key.ptr, key.len)) {
            *p += key.len + 1;
            return ref;
        }
    }
    const char *stop = plain_key_end(*p, end);
    if (stop == NULL)
        return LP_NONE;
    uint32_t ref = stop - *p < KEY_BYTES_FAST ? find_reference(ps, (struct af_slice){ *p, (size_t)(stop - *p) }) : LP_NONE;
    *p = stop + 1;
    return ref;
}

static void forget_series(struct af_lp_parser *ps)
{
    af_series_set_clear(&ps->set);
    af_intern_clear(&ps->unsorted);
    for (uint32_t i = 0; i < ps->follower_cap; i++)
        ps->follower[i] = i;
    ps->last = LP_NONE;
}

/* Room for one more of either kind, before it becomes known: match_series indexes by any key it finds. */
static bool grow_references(struct af_lp_parser *ps)
{
    uint32_t known = ps->follower_cap;
    uint32_t most = ps->set.keys.count > ps->unsorted.count ? ps->set.keys.count : ps->unsorted.count;
    if (!grow_u32(&ps->unsorted_ids, &ps->unsorted_cap, ps->unsorted.count + 1) ||
        !grow_u32(&ps->follower, &ps->follower_cap, (most + 1) << 1))
        return false;
    for (uint32_t i = known; i < ps->follower_cap; i++)
        ps->follower[i] = i;
    return true;
}

/* The series of a key that grammar.c accepted; the fast path knows it from now on. */
static enum af_status add_series(struct af_lp_parser *ps, const struct lp_line *line, uint32_t *out_id, struct af_error *err)
{
    if (!grow_references(ps))
        return af_fail_nomem(err, "series");
    if (line->key_is_sorted)
        return af_intern_add(&ps->set.keys, line->key, out_id, err);
    af_buf_clear(&ps->scratch);
    AF_TRY(lp_key_sorted(line->key, &ps->scratch, err));
    AF_TRY(af_buf_check(&ps->scratch, "a series key", err));
    AF_TRY(af_intern_add(&ps->set.keys, af_buf_slice(&ps->scratch), out_id, err));
    uint32_t id;
    AF_TRY(af_intern_add(&ps->unsorted, line->key, &id, err));
    ps->unsorted_ids[id] = *out_id;
    return AF_OK;
}

/* Guess from here only if the written key is one that match_series may compare. */
static void follow_written(struct af_lp_parser *ps, struct af_slice key)
{
    for (size_t i = 0; i < key.len; i++) {
        bool is_pair = key.ptr[i] == '\\' && i + 1 < key.len && (key.ptr[i + 1] == '\\' || key.ptr[i + 1] == '\n');
        if (is_pair || key.ptr[i] == '\n') {
            ps->last = LP_NONE;
            return;
        }
    }
    uint32_t ref = key.len < KEY_BYTES_FAST ? find_reference(ps, key) : LP_NONE;
    if (ref != LP_NONE)
        follow(ps, ref);
    else
        ps->last = LP_NONE;
}

/* --- values of the fast path: each returns where the value ends, or NULL to leave the line to the grammar ----------------------------- */

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

static inline bool ends_value(char c)
{
    return c == ',' || c == ' ' || c == '\n';
}

/* At most 19 digits of one number in all (`limit` is where the twentieth would stand). */
static inline const char *digits(const char *p, const char *limit, uint64_t *value)
{
    while (limit - p >= 8) {
        uint64_t word = lp_load8(p);
        if (!lp_is_digits8(word))
            break;
        *value = *value * 100000000 + lp_digits8(word);
        p += 8;
    }
    while (p < limit && is_digit(*p))
        *value = *value * 10 + (uint64_t)(*p++ - '0');
    return p;
}

static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9, 1e10,
                                 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19 };

static const char *fast_integer(const struct af_lp_parser *ps, const char *p, uint64_t digits_value, bool negative, struct lp_value *out)
{
    if (!ends_value(p[1]))
        return NULL;
    if (*p == 'u' && ps->rules.allow_unsigned && !negative) {
        out->type = AF_TYPE_U64;
        out->u64 = digits_value;
        return p + 1;
    }
    if (*p != 'i' || digits_value > INT64_MAX)
        return NULL;
    out->type = AF_TYPE_I64;
    out->i64 = negative ? -(int64_t)digits_value : (int64_t)digits_value;
    return p + 1;
}

static const char *scan_float(const char *p, const char *end, struct lp_value *out)
{
    p = af_f64_scan(p, end, &out->f64);
    return p != NULL && p < end && ends_value(*p) ? p : NULL;
}

static inline const char *fast_number(const struct af_lp_parser *ps, const char *p, const char *end, struct lp_value *out)
{
    const char *start = p;
    bool negative = *p == '-';
    p += negative;
    const char *first = p;
    uint64_t value = 0;
    p = digits(p, first + 19, &value);
    size_t count = (size_t)(p - first);
    size_t decimals = 0;
    if (*p == '.') {
        const char *point = p++;
        p = digits(p, first + 20, &value);
        decimals = (size_t)(p - point - 1);
        count += decimals;
    } else if (*p == 'i' || *p == 'u') {
        return count > 0 ? fast_integer(ps, p, value, negative, out) : NULL;
    }
    out->type = AF_TYPE_F64;
    if (count == 0)
        return NULL;
    /* Both numbers are exact doubles, so one division rounds correctly. */
    if (ends_value(*p) && value < UINT64_C(1) << 53) {
        double magnitude = (double)value / powers[decimals];
        out->f64 = negative ? -magnitude : magnitude;
        return p;
    }
    return scan_float(start, end, out);
}

static const char *fast_bool(const char *p, struct lp_value *out)
{
    static const struct {
        const char *text;
        uint8_t len;
        bool value;
    } words[] = { { "true", 4, true }, { "false", 5, false }, { "t", 1, true }, { "f", 1, false }, { "T", 1, true }, { "F", 1, false } };
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (memcmp(p, words[i].text, words[i].len) == 0 && ends_value(p[words[i].len])) {
            out->type = AF_TYPE_BOOL;
            out->b = words[i].value;
            return p + words[i].len;
        }
    }
    return NULL;
}

/* The string behind its opening quote at `p`. */
static const char *fast_string(const char *p, const char *end, struct lp_value *out)
{
    const char *quote = lp_find3(p, end, '"', '\\', '\n');
    while (end - quote >= SLACK && *quote == '\\' && quote[1] != '\n')
        quote = lp_find3(quote + 2, end, '"', '\\', '\n');
    if (end - quote < SLACK || *quote != '"' || !ends_value(quote[1]))
        return NULL;
    out->type = AF_TYPE_STRING;
    out->raw_text = (struct af_slice){ p, (size_t)(quote - p) };
    return quote + 1;
}

static inline const char *fast_value(const struct af_lp_parser *ps, const char *p, const char *end, struct lp_value *out)
{
    if (is_digit(*p) || *p == '-' || *p == '.')
        return fast_number(ps, p, end, out);
    if (*p == '"')
        return fast_string(p + 1, end, out);
    return fast_bool(p, out);
}

/* --- rows -------------------------------------------------------------------------------------------------------------------- */

static bool put_text(struct lp_columns *cols, struct lp_column *col, struct af_slice raw)
{
    bool is_short = raw.len <= 16;
    char *dst = col->bytes_cap - col->bytes_len >= raw.len + 16 ? col->bytes + col->bytes_len : lp_column_text(cols, col, raw.len + 16);
    if (dst == NULL)
        return false;
    if (is_short ? lp_find3_scalar(raw.ptr, raw.ptr + raw.len, '\\', '\\', '\\') == raw.ptr + raw.len
                 : memchr(raw.ptr, '\\', raw.len) == NULL) {
        memcpy(dst, raw.ptr, raw.len);
        col->pending = raw.len;
    } else {
        col->pending = (size_t)(lp_unescape_string(dst, raw) - dst);
    }
    return true;
}

static inline bool put_value(struct lp_columns *cols, struct lp_column *col, uint32_t row, const struct lp_value *value)
{
    switch (value->type) {
    case AF_TYPE_F64: col->f64[row] = value->f64; return true;
    case AF_TYPE_I64: col->i64[row] = value->i64; return true;
    case AF_TYPE_U64: col->u64[row] = value->u64; return true;
    case AF_TYPE_BOOL: lp_column_put_bool(col, row, value->b); return true;
    default: return put_text(cols, col, value->raw_text);
    }
}

/* The row is whole: count its values. False without memory for a bitmap; the batch is then lost. */
static inline bool settle_row(struct af_lp_parser *ps, uint32_t series, int64_t time_ns)
{
    uint32_t row = ps->row;
    for (uint32_t i = 0; i < ps->expected_count; i++)
        if (!lp_column_settle(&ps->cols, &ps->cols.column[ps->expected[i]], row))
            return false;
    ps->series[row] = series;
    ps->time_ns[row] = time_ns;
    ps->line_numbers[row] = ps->lines + 1;
    ps->row = row + 1;
    return true;
}

/* --- the fast path ------------------------------------------------------------------------------------------------------------ */

static inline bool matches_name(const char *p, struct af_slice match)
{
#ifdef __SSE2__
    if (match.len <= 16 && match.len > 0) {
        unsigned same = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)p),
                                                                   _mm_loadu_si128((const __m128i *)(const void *)match.ptr)));
        return (~same & ((1U << match.len) - 1)) == 0;
    }
#endif
    return match.len > 0 && lp_equal(p, match.ptr, match.len);
}

/* A known name at *p that was not the expected one: any of its columns. */
static uint32_t find_column(struct lp_columns *cols, const char **p, const char *end)
{
    const char *stop = *p;
    while (end - stop > SLACK && *stop != '=' && *stop != '\\' && *stop != ' ' && *stop != ',' && *stop != '"' && *stop != '\n')
        stop++;
    if (*stop != '=')
        return LP_NONE;
    uint32_t id = af_intern_find(&cols->names, (struct af_slice){ *p, (size_t)(stop - *p) });
    if (id == UINT32_MAX)
        return LP_NONE;
    for (unsigned i = 0; i < LP_TYPE_COUNT; i++) {
        uint32_t at = cols->name[id].columns[i];
        if (at != LP_NONE && cols->column[at].match.len != 0) {
            *p = stop + 1;
            return at;
        }
    }
    return LP_NONE;
}

/* The field at `p` into its column as the `nth` of the line. Returns its end, or NULL. */
static inline const char *fast_field(struct af_lp_parser *ps, uint32_t nth, const char *p, const char *end)
{
    struct lp_columns *cols = &ps->cols;
    if (nth >= ps->expected_cap || end - p < SLACK)
        return NULL;
    uint32_t at = nth < ps->expected_count ? ps->expected[nth] : LP_NONE;
    struct af_slice match = at != LP_NONE ? cols->column[at].match : (struct af_slice){ 0 };
    if ((size_t)(end - p) >= match.len + SLACK && matches_name(p, match))
        p += match.len;
    else
        at = find_column(cols, &p, end);
    if (at == LP_NONE || end - p < SLACK)
        return NULL;
    struct lp_value value;
    p = fast_value(ps, p, end, &value);
    if (p == NULL)
        return NULL;
    if (cols->column[at].type != value.type) {
        at = cols->name[cols->column[at].name_id].columns[lp_type_index(value.type)];
        if (at == LP_NONE)
            return NULL;
    }
    ps->expected[nth] = at;
    return put_value(cols, &cols->column[at], ps->row, &value) ? p : NULL;
}

/* The time at `p` and its newline. */
static inline const char *fast_time(const struct af_lp_parser *ps, const char *p, const char *end, int64_t *out_ns)
{
    if (end - p < SLACK)
        return NULL;
    bool negative = *p == '-';
    p += negative;
    uint64_t value = 0;
    const char *stop = digits(p, p + 19, &value);
    int64_t ns;
    if (stop == p || *stop != '\n' || value > INT64_MAX ||
        __builtin_mul_overflow(negative ? -(int64_t)value : (int64_t)value, ps->unit_ns, &ns) || !lp_time_in_range(ns))
        return NULL;
    *out_ns = ns;
    return stop + 1;
}

/* Take the line at *at if it is like those before it. False: nothing happened (or memory ran out: the slow path will say so). */
static inline bool fast_line(struct af_lp_parser *ps, const char **at, const char *end)
{
    const char *p = *at;
    uint32_t ref = match_series(ps, &p, end);
    if (ref == LP_NONE)
        return false;
    uint32_t count = 0;
    for (;; p++) {
        p = fast_field(ps, count, p, end);
        if (p == NULL)
            return false;
        count++;
        if (*p != ',')
            break;
    }
    int64_t time_ns = ps->rules.default_time_ns;
    p = *p == ' ' ? fast_time(ps, p + 1, end, &time_ns) : p + 1;
    if (p == NULL || p - *at > AF_LP_LINE_BYTES_MAX)
        return false;
    ps->expected_count = count;
    if (!settle_row(ps, reference_series(ps, ref), time_ns))
        return false;
    follow(ps, ref);
    ps->lines++;
    *at = p;
    return true;
}

/* --- the slow path ------------------------------------------------------------------------------------------------------------ */

/* Columns and values of the line's fields. *out_full: the batch has no room for their columns; the line must wait. */
static enum af_status take_fields(struct af_lp_parser *ps, const struct lp_line *line, bool *out_full, struct af_error *err)
{
    struct lp_columns *cols = &ps->cols;
    struct lp_value value;
    size_t at = 0;
    uint32_t count = 0;
    if (!grow_u32(&ps->expected, &ps->expected_cap, (uint32_t)line->field_count + 8))
        return af_fail_nomem(err, "fields of a line");
    while (lp_field_next(line->fields, &at, &value)) {
        af_buf_clear(&ps->scratch);
        char *name = af_buf_reserve(&ps->scratch, value.raw_name.len);
        if (name == NULL)
            return af_fail_nomem(err, "a field name");
        size_t len = (size_t)(lp_unescape_name(name, value.raw_name) - name);
        AF_TRY(lp_columns_get(cols, (struct af_slice){ name, len }, value.type, &ps->expected[count], err));
        *out_full = ps->row > 0 && (ps->row >= cols->row_cap || cols->count > AF_COLUMNS_MAX);
        if (*out_full)
            return AF_OK;
        if (!put_value(cols, &cols->column[ps->expected[count]], ps->row, &value))
            return af_arena_fail(cols->arena, value.raw_text.len + 16, "the text of a field", err);
        count++;
    }
    ps->expected_count = count;
    return AF_OK;
}

static enum af_status take_point(struct af_lp_parser *ps, const struct lp_line *line, bool *out_full, struct af_error *err)
{
    uint32_t series;
    AF_TRY(take_fields(ps, line, out_full, err));
    if (*out_full) {
        ps->expected_count = 0;
        return AF_OK;
    }
    AF_TRY(add_series(ps, line, &series, err));
    if (!settle_row(ps, series, line->time_ns))
        return af_arena_fail(ps->cols.arena, ps->cols.row_cap / 8, "parsed fields", err);
    follow_written(ps, line->key);
    return AF_OK;
}

static uint64_t count_newlines(struct af_slice s)
{
    uint64_t count = 0;
    const char *end = s.ptr + s.len;
    for (const char *p = s.ptr; p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        count++;
    return count;
}

/* A line without its newline: a point, a report, or nothing. */
static enum af_status take_block(struct af_lp_parser *ps, struct af_slice raw, bool *out_full, struct af_error *err)
{
    struct af_lp_bad_line bad = { .line = ps->lines + 1, .raw = raw };
    struct af_slice block = raw;
    struct lp_line line;
    size_t start;
    if (block.len > 0 && block.ptr[block.len - 1] == '\n') /* InfluxDB takes one more, if a backslash hid it */
        block.len--;
    if (lp_is_blank_or_comment(block, &start))
        return AF_OK;
    block = (struct af_slice){ block.ptr + start, block.len - start };
    enum af_status status = lp_line_scan(block, &ps->rules, &line, bad.reason);
    if (status == AF_OK)
        return take_point(ps, &line, out_full, err);
    if (status != AF_EINVAL)
        return af_fail(err, status, "line protocol, line %llu: no memory to sort its tags", (unsigned long long)bad.line);
    if (ps->bad_line != NULL)
        ps->bad_line(ps->ctx, &bad);
    return AF_OK;
}

/* The line at the start of `rest`, by the grammar. *out_used 0: leave it (incomplete, or the batch is full). */
static enum af_status slow_line(struct af_lp_parser *ps, struct af_slice rest, bool is_last, size_t *out_used, struct af_error *err)
{
    bool has_newline;
    bool is_full = false;
    size_t used = lp_line_end(rest, 0, &has_newline);
    *out_used = 0;
    if (used > AF_LP_LINE_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "line %llu of the line protocol is longer than %d bytes: is a quote missing?",
                       (unsigned long long)ps->lines + 1, AF_LP_LINE_BYTES_MAX);
    if (!has_newline && !is_last)
        return AF_OK;
    AF_TRY(take_block(ps, (struct af_slice){ rest.ptr, used - has_newline }, &is_full, err));
    if (is_full)
        return AF_OK;
    ps->lines += count_newlines((struct af_slice){ rest.ptr, used }) + !has_newline;
    *out_used = used;
    return AF_OK;
}

/* --- a batch ----------------------------------------------------------------------------------------------------------------- */

static enum af_status begin(struct af_lp_parser *ps, size_t text_len, struct af_arena *arena, struct af_error *err)
{
    size_t rows = text_len / LINE_BYTES_MIN + 1;
    if (rows > AF_BATCH_ROWS)
        rows = AF_BATCH_ROWS;
    if (ps->set.keys.bytes + ps->unsorted.bytes > AF_SERIES_BYTES_MAX)
        forget_series(ps);
    lp_columns_begin(&ps->cols, arena, (uint32_t)rows);
    ps->expected_count = 0;
    ps->row = 0;
    ps->series = af_arena_array(arena, rows, sizeof *ps->series);
    ps->time_ns = af_arena_array(arena, rows, sizeof *ps->time_ns);
    ps->line_numbers = af_arena_array(arena, rows, sizeof *ps->line_numbers);
    if (ps->series == NULL || ps->time_ns == NULL || ps->line_numbers == NULL)
        return af_arena_fail(arena, rows * 8, "parsed points", err);
    return AF_OK;
}

static enum af_status take_lines(struct af_lp_parser *ps, struct af_slice text, bool is_last, size_t *out_used, struct af_error *err)
{
    const char *p = text.ptr;
    const char *end = text.ptr + text.len;
    while (p < end && ps->row < ps->cols.row_cap && !ps->cols.is_full) {
        if (fast_line(ps, &p, end))
            continue;
        size_t used;
        AF_TRY(slow_line(ps, (struct af_slice){ p, (size_t)(end - p) }, is_last, &used, err));
        p += used;
        if (used == 0 || ps->set.keys.bytes + ps->unsorted.bytes > AF_SERIES_BYTES_MAX)
            break;
    }
    *out_used = (size_t)(p - text.ptr);
    return AF_OK;
}

enum af_status af_lp_parse(struct af_lp_parser *ps, struct af_slice text, bool is_last, struct af_arena *arena, struct af_points *out,
                           uint64_t **out_lines, size_t *out_used, struct af_error *err)
{
    uint64_t lines_before = ps->lines;
    struct af_points points = { .set = &ps->set, .first_row = ps->points };
    size_t used = 0;
    enum af_status status = begin(ps, text.len, arena, err);
    if (status == AF_OK)
        status = take_lines(ps, text, is_last, &used, err);
    if (status == AF_OK)
        status = lp_columns_finish(&ps->cols, ps->row, &points, err);
    if (status != AF_OK) {
        ps->lines = lines_before;
        return status;
    }
    points.row_count = ps->row;
    points.series = ps->series;
    points.time_ns = ps->time_ns;
    ps->points += ps->row;
    *out = points;
    *out_used = used;
    if (out_lines != NULL)
        *out_lines = ps->line_numbers;
    return AF_OK;
}
