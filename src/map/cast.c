/*
 * cast.c - a column of a file as the values of a field.
 *
 * Columns that hold the wanted type already are borrowed as they are. Text is parsed, once per dictionary entry where there
 * is a dictionary. Each row ends in one of three ways: a value, nothing, or a rejected row.
 */
#include "base/alloc.h"
#include "base/numbers.h"
#include "base/utf8.h"
#include "map/map_int.h"
#include <math.h>

enum slot_state { SLOT_UNKNOWN, SLOT_OK, SLOT_MISSING, SLOT_BAD };

/* What a text is not, by enum af_type of the field. */
static const char *complaint(enum af_type type)
{
    switch (type) {
    case AF_TYPE_I64: return "not a whole number";
    case AF_TYPE_U64: return "not a whole number from 0 up";
    case AF_TYPE_BOOL: return "not true or false";
    default: return "not a number";
    }
}

static uint64_t f64_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* --- text to numbers ---------------------------------------------------------------------------------------------- */

static enum slot_state parse_text(const struct map_bound_value *value, struct af_slice text, uint64_t *out)
{
    text = af_slice_trim(text);
    if (af_map_text_is_missing(&value->spec->omit, false, text))
        return SLOT_MISSING;
    double real = 0;
    int64_t whole = 0;
    bool truth = false;
    bool is_ok = false;
    switch (value->type) {
    case AF_TYPE_F64:
        is_ok = af_map_f64_parse(text, value->decimal, &real);
        *out = f64_bits(real);
        break;
    case AF_TYPE_I64:
        is_ok = af_map_i64_parse(text, value->decimal, &whole);
        *out = (uint64_t)whole;
        break;
    case AF_TYPE_U64: is_ok = af_map_u64_parse(text, value->decimal, out); break;
    default:
        is_ok = af_map_bool_parse(text, &truth);
        *out = truth;
    }
    return is_ok ? SLOT_OK : SLOT_BAD;
}

static enum af_status enter_dict(struct map_run *run, struct map_bound_value *value, const struct af_dict *dict)
{
    if (value->dict_id == dict->id && value->lut_count == dict->count)
        return AF_OK;
    value->dict_id = 0;
    if (dict->count > value->lut_cap) {
        uint64_t *slots = af_realloc(value->lut, dict->count * sizeof *slots);
        if (slots == NULL)
            return af_fail_nomem(run->err, "a dictionary's numbers");
        value->lut = slots;
        uint8_t *states = af_realloc(value->lut_state, dict->count);
        if (states == NULL)
            return af_fail_nomem(run->err, "a dictionary's numbers");
        value->lut_state = states;
        value->lut_cap = dict->count;
    }
    if (dict->count != 0)
        memset(value->lut_state, SLOT_UNKNOWN, dict->count);
    value->lut_count = dict->count;
    value->dict_id = dict->id;
    return AF_OK;
}

static enum slot_state dict_slot(struct map_bound_value *value, const struct af_column *col, size_t row, uint64_t *out)
{
    uint32_t code = col->codes[row];
    if (value->lut_state[code] == SLOT_UNKNOWN)
        value->lut_state[code] = (uint8_t)parse_text(value, af_dict_get(col->dict, code), &value->lut[code]);
    *out = value->lut[code];
    return (enum slot_state)value->lut_state[code];
}

/* --- numbers to numbers ------------------------------------------------------------------------------------------- */

static double as_f64(const struct af_column *col, size_t row)
{
    switch (col->type) {
    case AF_TYPE_BOOL: return af_bit_get(col->bits, row);
    case AF_TYPE_U64: return (double)col->u64[row];
    case AF_TYPE_F64: return col->f64[row];
    case AF_TYPE_DECIMAL: return af_decimal_to_f64(col->i128[row], col->scale);
    default: return (double)col->i64[row];
    }
}

static enum slot_state number_slot(const struct map_bound_value *value, const struct af_column *col, size_t row, uint64_t *out)
{
    double real = as_f64(col, row);
    int64_t whole;
    if (col->type == AF_TYPE_F64 && isnan(real) && af_map_names_has(&value->spec->omit, AF_SLICE_LIT("nan")))
        return SLOT_MISSING;
    switch (value->type) {
    case AF_TYPE_F64: *out = f64_bits(real); return isfinite(real) ? SLOT_OK : SLOT_BAD;
    case AF_TYPE_I64:
        if (!af_map_column_i64(col, row, &whole))
            return SLOT_BAD;
        *out = (uint64_t)whole;
        return SLOT_OK;
    case AF_TYPE_U64:
        if (col->type == AF_TYPE_F64)
            return af_map_f64_to_u64(real, out) ? SLOT_OK : SLOT_BAD;
        if (!af_map_column_i64(col, row, &whole) || whole < 0)
            return SLOT_BAD;
        *out = (uint64_t)whole;
        return SLOT_OK;
    default: *out = real == 1; return real == 0 || real == 1 ? SLOT_OK : SLOT_BAD;
    }
}

static enum af_status reject_value(struct map_run *run, const struct map_bound_value *value, const struct af_column *col,
                                   size_t row)
{
    if (af_type_is_text(col->type))
        return af_map_reject_text(run, row, value->column_name, complaint(value->type), af_slice_trim(af_column_text(col, row)));
    struct af_buf text;
    af_buf_init(&text, 256);
    af_map_value_print(&text, col, row, MAP_SHORTEST);
    enum af_status status = af_buf_check(&text, "a rejected value", run->err);
    if (status == AF_OK)
        status = af_map_reject_text(run, row, value->column_name, complaint(value->type), af_buf_slice(&text));
    af_buf_done(&text);
    return status;
}

/* --- any column, row by row --------------------------------------------------------------------------------------- */

static uint64_t *copy_validity(struct map_run *run, const struct af_column *col)
{
    uint64_t *bits = af_bits_new(run->arena, run->rows, true);
    if (bits != NULL && col->validity != NULL)
        memcpy(bits, col->validity, af_bit_words(run->rows) * sizeof *bits);
    return bits;
}

static enum af_status no_room(struct map_run *run, size_t bytes)
{
    return af_arena_fail(run->arena, bytes, "a batch of values", run->err);
}

static enum af_status slot_rows(struct map_run *run, struct map_bound_value *value, const struct af_column *col,
                                uint64_t *slots, uint64_t *validity)
{
    bool is_text = af_type_is_text(col->type);
    if (is_text && col->dict != NULL)
        AF_TRY(enter_dict(run, value, col->dict));
    for (size_t row = 0; row < run->rows; row++) {
        slots[row] = 0;
        if (!af_column_has(col, row))
            continue;
        enum slot_state state = !is_text            ? number_slot(value, col, row, &slots[row])
                                : col->dict != NULL ? dict_slot(value, col, row, &slots[row])
                                                    : parse_text(value, af_column_text(col, row), &slots[row]);
        if (state == SLOT_OK)
            continue;
        af_bit_clear(validity, row);
        if (state == SLOT_BAD)
            AF_TRY(reject_value(run, value, col, row));
    }
    return AF_OK;
}

/* One bit a row instead of one word. */
static enum af_status pack_bits(struct map_run *run, const uint64_t *slots, struct af_column *out)
{
    uint64_t *bits = af_bits_new(run->arena, run->rows, false);
    if (bits == NULL)
        return no_room(run, run->rows / 8);
    for (size_t row = 0; row < run->rows; row++) {
        if (slots[row] != 0)
            af_bit_set(bits, row);
    }
    out->bits = bits;
    return AF_OK;
}

static enum af_status cast_slots(struct map_run *run, struct map_bound_value *value, const struct af_column *col,
                                 struct af_column *out)
{
    uint64_t *slots = af_arena_array(run->arena, run->rows, sizeof *slots);
    uint64_t *validity = copy_validity(run, col);
    if (slots == NULL || validity == NULL)
        return no_room(run, run->rows * sizeof *slots);
    AF_TRY(slot_rows(run, value, col, slots, validity));
    *out = (struct af_column){ .type = value->type, .validity = validity, .u64 = slots };
    out->null_count = run->rows - af_bits_count(validity, run->rows);
    return value->type == AF_TYPE_BOOL ? pack_bits(run, slots, out) : AF_OK;
}

/* --- borrowed columns --------------------------------------------------------------------------------------------- */

static bool all_finite(const double *values, size_t count)
{
    const uint64_t exponent = UINT64_C(0x7ff0000000000000);
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = f64_bits(values[i]);
        found |= (bits & exponent) == exponent;
    }
    return found == 0;
}

static bool can_borrow(const struct map_bound_value *value, const struct af_column *col, size_t rows)
{
    switch (col->type) {
    case AF_TYPE_F64: return value->type == AF_TYPE_F64 && all_finite(col->f64, rows);
    case AF_TYPE_I64:
    case AF_TYPE_TIME:
    case AF_TYPE_DATE:
    case AF_TYPE_CLOCK: return value->type == AF_TYPE_I64;
    case AF_TYPE_U64: return value->type == AF_TYPE_U64;
    case AF_TYPE_BOOL: return value->type == AF_TYPE_BOOL;
    default: return false;
    }
}

static void borrow(enum af_type type, const struct af_column *col, struct af_column *out)
{
    *out = *col;
    out->type = type;
    out->invalid = NULL;
    out->invalid_why = NULL;
}

/* --- strings ------------------------------------------------------------------------------------------------------ */

static bool is_clean(const struct map_value *spec, struct af_slice text)
{
    struct af_slice trimmed = af_slice_trim(text);
    return (spec->keep_space ? text.len != 0 : trimmed.len == text.len) && !af_map_text_is_missing(&spec->omit, false, trimmed) &&
           af_utf8_is_valid(text);
}

static bool dict_is_clean(struct map_bound_value *value, const struct af_dict *dict)
{
    if (value->dict_id == dict->id)
        return value->dict_is_clean;
    value->dict_id = dict->id;
    value->dict_is_clean = true;
    for (uint32_t code = 0; code < dict->count && value->dict_is_clean; code++)
        value->dict_is_clean = is_clean(value->spec, af_dict_get(dict, code));
    return value->dict_is_clean;
}

/* Which rows have text, and whether some of it must be cut. */
static enum af_status check_strings(struct map_run *run, const struct map_bound_value *value, const struct af_column *col,
                                    uint64_t *validity, size_t *out_cut, size_t *out_bytes)
{
    for (size_t row = 0; row < run->rows; row++) {
        if (!af_column_has(col, row))
            continue;
        struct af_slice text = af_column_text(col, row);
        struct af_slice trimmed = af_slice_trim(text);
        if (af_map_text_is_missing(&value->spec->omit, false, trimmed)) {
            af_bit_clear(validity, row);
        } else if (!af_utf8_is_valid(text)) {
            af_bit_clear(validity, row);
            AF_TRY(af_map_reject(run, row, value->column_name, "the text is not UTF-8"));
        } else {
            struct af_slice kept = value->spec->keep_space ? text : trimmed;
            *out_cut += text.len - kept.len;
            *out_bytes += kept.len;
        }
    }
    return AF_OK;
}

static enum af_status make_offsets(struct map_run *run, size_t bytes, int32_t **out_offsets, char **out_bytes)
{
    if (bytes > INT32_MAX)
        return af_fail(run->err, AF_ELIMIT, "the texts of one batch pass 2 GiB");
    *out_offsets = af_arena_array(run->arena, run->rows + 1, sizeof **out_offsets);
    *out_bytes = af_arena_array(run->arena, bytes, 1);
    if (*out_offsets == NULL || *out_bytes == NULL)
        return no_room(run, bytes);
    (*out_offsets)[0] = 0;
    return AF_OK;
}

static enum af_status trim_strings(struct map_run *run, const struct af_column *col, size_t bytes, struct af_column *out)
{
    int32_t *offsets = NULL; /* gcc with -fsanitize=thread does not see that success sets them */
    char *text = NULL;
    AF_TRY(make_offsets(run, bytes, &offsets, &text));
    size_t at = 0;
    for (size_t row = 0; row < run->rows; row++) {
        if (af_bit_get(out->validity, row)) {
            struct af_slice kept = af_slice_trim(af_column_text(col, row));
            memcpy(text + at, kept.ptr, kept.len);
            at += kept.len;
        }
        offsets[row + 1] = (int32_t)at;
    }
    out->offsets = offsets;
    out->bytes = text;
    out->dict = NULL;
    out->codes = NULL;
    return AF_OK;
}

static enum af_status cast_text(struct map_run *run, struct map_bound_value *value, const struct af_column *col,
                                struct af_column *out)
{
    borrow(AF_TYPE_STRING, col, out);
    if (col->dict != NULL && dict_is_clean(value, col->dict))
        return AF_OK;
    uint64_t *validity = copy_validity(run, col);
    if (validity == NULL)
        return no_room(run, run->rows / 8);
    size_t cut = 0;
    size_t bytes = 0;
    AF_TRY(check_strings(run, value, col, validity, &cut, &bytes));
    out->validity = validity;
    out->null_count = run->rows - af_bits_count(validity, run->rows);
    return cut != 0 ? trim_strings(run, col, bytes, out) : AF_OK;
}

static enum af_status print_strings(struct map_run *run, const struct af_column *col, struct af_column *out)
{
    struct af_buf *scratch = &run->mapper->scratch;
    int32_t *offsets = af_arena_array(run->arena, run->rows + 1, sizeof *offsets);
    if (offsets == NULL)
        return no_room(run, run->rows * sizeof *offsets);
    af_buf_clear(scratch);
    offsets[0] = 0;
    for (size_t row = 0; row < run->rows; row++) {
        if (af_column_has(col, row))
            af_map_value_print(scratch, col, row, MAP_SHORTEST);
        offsets[row + 1] = (int32_t)scratch->len; /* scratch stays below 2 GiB */
    }
    AF_TRY(af_buf_check(scratch, "numbers as text", run->err));
    char *bytes = af_arena_copy(run->arena, af_buf_slice(scratch));
    if (bytes == NULL)
        return no_room(run, scratch->len);
    *out = (struct af_column){ .type = AF_TYPE_STRING, .validity = col->validity, .null_count = col->null_count,
                               .offsets = offsets, .bytes = bytes };
    return AF_OK;
}

/* --- ranges ------------------------------------------------------------------------------------------------------- */

static enum af_status check_range(struct map_run *run, const struct map_bound_value *value, const struct af_column *col)
{
    const struct map_value *spec = value->spec;
    if ((!spec->min.is_set && !spec->max.is_set) || col->type == AF_TYPE_BOOL || col->type == AF_TYPE_STRING)
        return AF_OK;
    for (size_t row = 0; row < run->rows; row++) {
        if (!af_column_has(col, row))
            continue;
        double real = as_f64(col, row);
        if (spec->min.is_set && real < spec->min.value)
            AF_TRY(af_map_reject(run, row, value->column_name, "below the smallest value the mapping allows (min)"));
        if (spec->max.is_set && real > spec->max.value)
            AF_TRY(af_map_reject(run, row, value->column_name, "above the largest value the mapping allows (max)"));
    }
    return AF_OK;
}

enum af_status af_map_cast(struct map_run *run, struct map_bound_value *value, struct af_column *out)
{
    const struct af_column *col = &run->batch->columns[value->column];
    AF_TRY(af_map_reject_invalid(run, col, value->column_name));
    if (col->type == AF_TYPE_NULL) {
        uint64_t *none = af_bits_new(run->arena, run->rows, false);
        *out = (struct af_column){ .type = AF_TYPE_NULL, .validity = none, .null_count = run->rows };
        return none != NULL ? AF_OK : no_room(run, run->rows / 8);
    }
    if (value->type == AF_TYPE_STRING && af_type_is_text(col->type))
        return cast_text(run, value, col, out);
    if (value->type == AF_TYPE_STRING)
        return print_strings(run, col, out);
    if (can_borrow(value, col, run->rows))
        borrow(value->type, col, out);
    else
        AF_TRY(cast_slots(run, value, col, out));
    return check_range(run, value, out);
}
