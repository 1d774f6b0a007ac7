/*
 * encode.c - the writing half of lp.h.
 *
 *     key,tags field=1500.5,unit="MW" 1704110400000000000\n
 *     `-copy-'`--- plan, one step a field ---'`- clock -----'
 *
 * What is the same for all rows is made once: `,name=` of every field, a dictionary's entries quoted and escaped as they are first met,
 * the digits of a time as long as rows share it. A row then is copies and the numbers' digits. The buffer is asked once a row for
 * the worst case of the whole line, so nothing in between tests for room, and copies may run up to 32 bytes past what they mean.
 *
 * encode_bench.c shows what this buys against copying the same bytes.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "format/lp/lp_int.h"
#include <assert.h>

enum {
    OVERRUN = 32,       /* bytes a copy may write past its end */
    TIME_TEXT_MAX = 32, /* ' ', sign, 19 digits, newline */
};

enum step_kind { STEP_F64, STEP_I64, STEP_U64, STEP_BOOL, STEP_TEXT, STEP_DICT };

/* An entry of a dictionary as it is written. `len` 0: not made yet (a written one has its quotes). */
struct quoted {
    uint32_t at;
    uint32_t len;
};

struct step {
    enum step_kind kind;
    const char *prefix;       /* `,name=` with OVERRUN readable bytes behind */
    size_t prefix_len;
    const uint64_t *validity; /* NULL: every row has a value */
    const struct af_column *column;
    struct quoted *quoted;    /* DICT, by code */
    size_t value_bytes_max;   /* TEXT: 0, each row's own */
};

struct clock {
    int64_t ns;
    enum af_precision precision;
    size_t len; /* of text; 0: none yet */
    char text[TIME_TEXT_MAX];
};

struct plan {
    struct step *steps;
    size_t step_count;
    size_t fixed_bytes_max;   /* of a line without its key and its TEXT values */
    bool has_text;
    struct af_buf prefixes;
    struct af_buf quoted;     /* what `struct quoted` points into */
    struct quoted *entries;   /* of all dictionaries */
    struct clock clock;
};

/* --- copies that run over ---------------------------------------------------------------------------------------------------------- */

/* Copy exactly n readable bytes; may write up to 15 more. */
static inline char *put_bytes(char *dst, const char *src, size_t n)
{
#ifdef __SSE2__
    if (n >= 16) {
        size_t at = 0;
        for (; n - at > 16; at += 16)
            _mm_storeu_si128((__m128i *)(void *)(dst + at), _mm_loadu_si128((const __m128i *)(const void *)(src + at)));
        _mm_storeu_si128((__m128i *)(void *)(dst + n - 16), _mm_loadu_si128((const __m128i *)(const void *)(src + n - 16)));
        return dst + n;
    }
#endif
    if (n > 16) {
        memcpy(dst, src, n);
    } else if (n >= 8) {
        memcpy(dst, src, 8);
        memcpy(dst + n - 8, src + n - 8, 8);
    } else if (n >= 4) {
        memcpy(dst, src, 4);
        memcpy(dst + n - 4, src + n - 4, 4);
    } else {
        for (size_t i = 0; i < n; i++)
            dst[i] = src[i];
    }
    return dst + n;
}

/* Copy n bytes from a place with OVERRUN readable bytes behind them. */
static inline char *put_padded(char *dst, const char *src, size_t n)
{
    memcpy(dst, src, 16);
    for (size_t at = 16; at < n; at += 16)
        memcpy(dst + at, src + at, 16);
    return dst + n;
}

/* --- time ------------------------------------------------------------------------------------------------------------------- */

static int64_t to_ticks(int64_t ns, enum af_precision precision)
{
    switch (precision) { /* constants, so that the compiler multiplies */
    case AF_PRECISION_US: return ns / 1000 - (ns % 1000 < 0);
    case AF_PRECISION_MS: return ns / 1000000 - (ns % 1000000 < 0);
    case AF_PRECISION_S: return ns / 1000000000 - (ns % 1000000000 < 0);
    case AF_PRECISION_NS: return ns;
    default: return lp_floor_to(ns, af_precision_ns(precision)) / af_precision_ns(precision);
    }
}

/* Eight digits of x < 10^8: split into 4 + 4, 2 + 2 + 2 + 2, then single digits, all lanes at once. */
static inline void put_digits8(char *dst, uint32_t x)
{
    uint64_t v = x / 10000 | (uint64_t)(x % 10000) << 32;
    uint64_t hundreds = (v * 10486 >> 20) & 0x0000007f0000007f;
    v = hundreds | (v - 100 * hundreds) << 16;
    uint64_t tens = (v * 103 >> 10) & 0x000f000f000f000f;
    v = (tens | (v - 10 * tens) << 8) | 0x3030303030303030;
    memcpy(dst, &v, 8);
}

static void set_clock(struct clock *clock, int64_t ns)
{
    enum { E8 = 100000000 };
    int64_t ticks = to_ticks(ns, clock->precision);
    char *p = clock->text;
    *p++ = ' ';
    if (ticks >= INT64_C(1000000000000000000)) { /* 19 digits: ns after 2001 */
        uint64_t high = (uint64_t)ticks / E8;
        uint32_t top = (uint32_t)(high / E8);
        p[0] = (char)('0' + top / 100);
        p[1] = (char)('0' + top / 10 % 10);
        p[2] = (char)('0' + top % 10);
        put_digits8(p + 3, (uint32_t)(high % E8));
        put_digits8(p + 11, (uint32_t)((uint64_t)ticks % E8));
        p += 19;
    } else {
        p = af_i64_print(p, ticks);
    }
    *p++ = '\n';
    clock->ns = ns;
    clock->len = (size_t)(p - clock->text);
}

static inline char *put_time(struct clock *clock, char *dst, int64_t ns)
{
    if (clock->ns != ns || clock->len == 0)
        set_clock(clock, ns);
    memcpy(dst, clock->text, TIME_TEXT_MAX);
    return dst + clock->len;
}

/* --- strings ----------------------------------------------------------------------------------------------------------------- */

/* Quoted and escaped; at most 2 * text.len + 2 bytes, plus OVERRUN. */
static char *put_quoted(char *dst, struct af_slice text)
{
    const char *end = text.ptr + text.len;
    *dst++ = '"';
    for (const char *p = text.ptr; p < end;) {
        const char *stop = lp_find3(p, end, '"', '\\', '"');
        dst = put_bytes(dst, p, (size_t)(stop - p));
        if (stop < end) {
            *dst++ = '\\';
            *dst++ = *stop++;
        }
        p = stop;
    }
    *dst++ = '"';
    return dst;
}

static bool make_quoted(struct plan *plan, struct quoted *entry, struct af_slice text)
{
    char *dst = af_buf_reserve(&plan->quoted, 2 * text.len + 2 + OVERRUN);
    if (dst == NULL)
        return false;
    entry->at = (uint32_t)plan->quoted.len;
    entry->len = (uint32_t)(put_quoted(dst, text) - dst);
    plan->quoted.len += entry->len;
    return true;
}

/* --- the plan ---------------------------------------------------------------------------------------------------------------- */

static size_t longest_entry(const struct af_dict *dict)
{
    int32_t longest = 0;
    for (uint32_t i = 0; i < dict->count; i++) {
        int32_t len = dict->offsets[i + 1] - dict->offsets[i];
        longest = len > longest ? len : longest;
    }
    return (size_t)longest;
}

/* Quoting entries once pays only if rows share them; a dictionary larger than the batch is read like plain text. */
static bool is_shared_dict(const struct af_column *column, size_t row_count)
{
    return column->dict != NULL && column->dict->count <= row_count;
}

static void plan_value(struct step *step, size_t row_count)
{
    switch (step->column->type) {
    case AF_TYPE_F64:
        step->kind = STEP_F64;
        step->value_bytes_max = AF_F64_TEXT_MAX;
        break;
    case AF_TYPE_I64:
        step->kind = STEP_I64;
        step->value_bytes_max = AF_I64_TEXT_MAX + 1;
        break;
    case AF_TYPE_U64:
        step->kind = STEP_U64;
        step->value_bytes_max = AF_I64_TEXT_MAX + 1;
        break;
    case AF_TYPE_BOOL:
        step->kind = STEP_BOOL;
        step->value_bytes_max = 8;
        break;
    default:
        assert(af_type_is_text(step->column->type));
        step->kind = STEP_TEXT;
        step->value_bytes_max = 0;
        if (is_shared_dict(step->column, row_count)) {
            step->kind = STEP_DICT;
            step->value_bytes_max = 2 * longest_entry(step->column->dict) + 2;
        }
        break;
    }
}

static size_t entries_needed(const struct af_points *points)
{
    size_t count = 0;
    for (size_t i = 0; i < points->field_count; i++)
        if (is_shared_dict(&points->fields[i].column, points->row_count))
            count += points->fields[i].column.dict->count;
    return count;
}

static bool plan_prefix(struct plan *plan, struct step *step, struct af_slice escaped)
{
    char *dst = af_buf_reserve(&plan->prefixes, escaped.len + 2 + OVERRUN);
    if (dst == NULL)
        return false;
    dst[0] = ',';
    if (escaped.len != 0)
        memcpy(dst + 1, escaped.ptr, escaped.len);
    dst[1 + escaped.len] = '=';
    memset(dst + 2 + escaped.len, 0, OVERRUN);
    step->prefix_len = escaped.len + 2;
    plan->prefixes.len += step->prefix_len + OVERRUN;
    return true;
}

static void plan_done(struct plan *plan)
{
    af_free(plan->steps);
    af_free(plan->entries);
    af_buf_done(&plan->prefixes);
    af_buf_done(&plan->quoted);
}

/* On failure the caller still calls plan_done. */
static bool plan_init(struct plan *plan, const struct af_points *points, enum af_precision precision)
{
    *plan = (struct plan){ .clock = { .precision = precision } };
    af_buf_init(&plan->prefixes, SIZE_MAX / 4);
    af_buf_init(&plan->quoted, UINT32_MAX);
    plan->steps = af_alloc_zero(points->field_count + 1, sizeof *plan->steps);
    plan->entries = af_alloc_zero(entries_needed(points) + 1, sizeof *plan->entries);
    if (plan->steps == NULL || plan->entries == NULL)
        return false;
    struct quoted *entries = plan->entries;
    plan->fixed_bytes_max = 1 + TIME_TEXT_MAX + OVERRUN;
    for (size_t i = 0; i < points->field_count; i++) {
        const struct af_column *column = &points->fields[i].column;
        if (column->type == AF_TYPE_NULL || (points->row_count != 0 && column->null_count == points->row_count))
            continue;
        struct step *step = &plan->steps[plan->step_count++];
        *step = (struct step){ .column = column, .validity = column->null_count != 0 ? column->validity : NULL };
        plan_value(step, points->row_count);
        if (!plan_prefix(plan, step, points->fields[i].escaped))
            return false;
        if (step->kind == STEP_DICT) {
            step->quoted = entries;
            entries += column->dict->count;
        }
        plan->has_text |= step->kind == STEP_TEXT;
        plan->fixed_bytes_max += step->prefix_len + step->value_bytes_max;
    }
    const char *prefix = plan->prefixes.ptr; /* only now: the buffer has moved while it grew */
    for (size_t i = 0; i < plan->step_count; i++) {
        plan->steps[i].prefix = prefix;
        prefix += plan->steps[i].prefix_len + OVERRUN;
    }
    return true;
}

/* --- rows -------------------------------------------------------------------------------------------------------------------- */

static size_t text_bytes_max(const struct plan *plan, size_t row)
{
    size_t bytes = 0;
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        if (step->kind == STEP_TEXT && (step->validity == NULL || af_bit_get(step->validity, row)))
            bytes += 2 * af_column_text(step->column, row).len + 2;
    }
    return bytes;
}

static inline char *put_entry(struct plan *plan, const struct step *step, char *dst, uint32_t code)
{
    struct quoted *entry = &step->quoted[code];
    if (entry->len == 0 && !make_quoted(plan, entry, af_dict_get(step->column->dict, code)))
        return NULL;
    return put_bytes(dst, plan->quoted.ptr + entry->at, entry->len);
}

/* NULL: no memory for a dictionary entry. */
static inline char *put_value(struct plan *plan, const struct step *step, char *dst, size_t row)
{
    const struct af_column *column = step->column;
    switch (step->kind) {
    case STEP_F64: return af_f64_print(dst, column->f64[row]);
    case STEP_I64:
        dst = af_i64_print(dst, column->i64[row]);
        *dst++ = 'i';
        return dst;
    case STEP_U64:
        dst = af_u64_print(dst, column->u64[row]);
        *dst++ = 'u';
        return dst;
    case STEP_BOOL: {
        bool is_true = af_bit_get(column->bits, row);
        memcpy(dst, is_true ? "true\0\0\0" : "false\0\0", 8);
        return dst + (is_true ? 4 : 5);
    }
    case STEP_DICT: return put_entry(plan, step, dst, column->codes[row]);
    case STEP_TEXT: return put_quoted(dst, af_column_text(column, row));
    }
    return dst;
}

static bool grow_lines(struct af_lp_text *text)
{
    size_t cap = text->line_cap < 256 ? 256 : text->line_cap * 2;
    uint32_t *ends = af_realloc(text->ends, cap * sizeof *ends);
    if (ends == NULL)
        return false;
    text->ends = ends;
    uint32_t *rows = af_realloc(text->rows, cap * sizeof *rows);
    if (rows == NULL)
        return false;
    text->rows = rows;
    text->line_cap = cap;
    return true;
}

static enum af_status fail_room(const struct af_lp_text *text, size_t need, struct af_error *err)
{
    if (need > text->bytes.bytes_max - text->bytes.len)
        return af_fail(err, AF_ELIMIT, "line protocol: the text of one batch would pass 4 GiB");
    return af_fail_nomem(err, "line protocol");
}

/* One line at the end of `text`, or nothing if the row has no field. Room for `need` bytes is there. */
static inline bool put_line(struct plan *plan, struct af_lp_text *text, const struct af_points *points, size_t row, struct af_slice key)
{
    char *const start = text->bytes.ptr + text->bytes.len;
    char *dst = put_bytes(start, key.ptr, key.len);
    char *const fields = dst;
    size_t values = 0;
    for (const struct step *step = plan->steps, *end = step + plan->step_count; step < end; step++) {
        if (step->validity != NULL && !af_bit_get(step->validity, row))
            continue;
        dst = put_padded(dst, step->prefix, step->prefix_len);
        dst = put_value(plan, step, dst, row);
        if (dst == NULL)
            return false;
        values++;
    }
    if (values == 0)
        return true;
    *fields = ' ';
    dst = put_time(&plan->clock, dst, points->time_ns[row]);
    text->bytes.len += (size_t)(dst - start);
    text->ends[text->line_count] = (uint32_t)text->bytes.len;
    text->rows[text->line_count] = (uint32_t)row;
    text->line_count++;
    text->value_count += values;
    return true;
}

static enum af_status encode_row(struct plan *plan, struct af_lp_text *text, const struct af_points *points, size_t row,
                                 struct af_slice key, struct af_error *err)
{
    size_t need = key.len + plan->fixed_bytes_max + (plan->has_text ? text_bytes_max(plan, row) : 0);
    if (text->bytes.cap - text->bytes.len < need && af_buf_reserve(&text->bytes, need) == NULL)
        return fail_room(text, need, err);
    if (text->line_count == text->line_cap && !grow_lines(text))
        return af_fail_nomem(err, "line protocol");
    size_t before = text->bytes.len;
    if (!put_line(plan, text, points, row, key))
        return af_fail_nomem(err, "the entries of a dictionary");
    if (text->bytes.len - before > AF_LP_LINE_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "the line of row %llu has %zu bytes; a line may have %d",
                       (unsigned long long)(points->first_row + row), text->bytes.len - before, AF_LP_LINE_BYTES_MAX);
    return AF_OK;
}

static enum af_status encode_rows(struct plan *plan, const struct af_points *points, struct af_lp_text *lanes, uint32_t lane_count,
                                  struct af_error *err)
{
    const struct af_slice *keys = points->set->keys.keys;
    uint32_t last = UINT32_MAX;
    struct af_lp_text *text = lanes;
    for (size_t row = 0; row < points->row_count; row++) {
        uint32_t series = points->series[row];
        if (series == UINT32_MAX)
            continue;
        if (series != last && lane_count > 1)
            text = &lanes[af_series_lane(points->set, series, lane_count)];
        last = series;
        AF_TRY(encode_row(plan, text, points, row, keys[series], err));
    }
    return AF_OK;
}

/* --- all or nothing -------------------------------------------------------------------------------------------------------------- */

struct mark {
    size_t bytes;
    size_t lines;
    size_t values;
};

static void rewind_lane(struct af_lp_text *text, struct mark mark)
{
    af_buf_rewind(&text->bytes, mark.bytes);
    text->line_count = mark.lines;
    text->value_count = mark.values;
}

enum af_status af_lp_encode(const struct af_points *points, enum af_precision precision, struct af_lp_text *lanes, uint32_t lane_count,
                            struct af_error *err)
{
    assert(lane_count > 0);
    struct mark *marks = af_alloc(lane_count * sizeof *marks);
    if (marks == NULL)
        return af_fail_nomem(err, "line protocol");
    for (uint32_t i = 0; i < lane_count; i++)
        marks[i] = (struct mark){ lanes[i].bytes.len, lanes[i].line_count, lanes[i].value_count };
    struct plan plan;
    enum af_status status = plan_init(&plan, points, precision) ? AF_OK : af_fail_nomem(err, "line protocol");
    if (status == AF_OK)
        status = encode_rows(&plan, points, lanes, lane_count, err);
    for (uint32_t i = 0; i < lane_count && status != AF_OK; i++)
        rewind_lane(&lanes[i], marks[i]);
    plan_done(&plan);
    af_free(marks);
    return status;
}
