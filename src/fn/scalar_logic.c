/*
 * scalar_logic.c - logic of three values, by whole words of the bitmaps; and what deals with nulls: is_null, coalesce.
 */
#include "fn/fn_int.h"

/* Values and validity given word by word. */
struct bits_out {
    uint64_t *bits, *validity;
    size_t null_count;
};

static enum af_status bits_begin(struct scalar *scalar, struct bits_out *out)
{
    size_t words = af_bit_words(scalar->rows);
    *out = (struct bits_out){ NULL, NULL, 0 };
    AF_TRY(fn_alloc(scalar->arena, words, sizeof *out->bits, &out->bits, scalar->err));
    return fn_alloc(scalar->arena, words, sizeof *out->validity, &out->validity, scalar->err);
}

static void bits_word(const struct scalar *scalar, struct bits_out *out, size_t word, uint64_t bits, uint64_t valid)
{
    uint64_t mask = scalar_row_mask(scalar->rows, word);
    out->bits[word] = bits & mask;
    out->validity[word] = valid & mask;
    out->null_count += (size_t)__builtin_popcountll(~valid & mask);
}

static enum af_status bits_end(struct scalar *scalar, const struct bits_out *out)
{
    scalar->out->bits = out->bits;
    if (out->null_count != 0) {
        scalar->out->validity = out->validity;
        scalar->out->null_count = out->null_count;
    }
    return AF_OK;
}

enum af_status scalar_and_or(struct scalar *scalar)
{
    struct bits_out out;
    AF_TRY(bits_begin(scalar, &out));
    for (size_t word = 0; word < af_bit_words(scalar->rows); word++) {
        uint64_t valid_a = scalar_valid_word(&scalar->args[0], word), a = scalar_bits_word(&scalar->args[0], word) & valid_a;
        uint64_t valid_b = scalar_valid_word(&scalar->args[1], word), b = scalar_bits_word(&scalar->args[1], word) & valid_b;
        uint64_t false_a = ~a & valid_a, false_b = ~b & valid_b;
        uint64_t is_true = scalar->id == AF_FN_AND ? a & b : a | b;
        uint64_t is_false = scalar->id == AF_FN_AND ? false_a | false_b : false_a & false_b;
        bits_word(scalar, &out, word, is_true, is_true | is_false);
    }
    return bits_end(scalar, &out);
}

enum af_status scalar_not(struct scalar *scalar)
{
    struct bits_out out;
    AF_TRY(bits_begin(scalar, &out));
    for (size_t word = 0; word < af_bit_words(scalar->rows); word++)
        bits_word(scalar, &out, word, ~scalar_bits_word(&scalar->args[0], word), scalar_valid_word(&scalar->args[0], word));
    return bits_end(scalar, &out);
}

enum af_status scalar_is_null(struct scalar *scalar)
{
    struct bits_out out;
    AF_TRY(bits_begin(scalar, &out));
    for (size_t word = 0; word < af_bit_words(scalar->rows); word++)
        bits_word(scalar, &out, word, ~scalar_valid_word(&scalar->args[0], word), ~UINT64_C(0));
    return bits_end(scalar, &out);
}

/* --- coalesce ------------------------------------------------------------------------------------------------------------------- */

enum { NOBODY = 255 };

/* Which argument gives each row. */
static enum af_status choose(struct scalar *scalar, uint8_t **out)
{
    uint8_t *chosen;
    AF_TRY(fn_alloc(scalar->arena, scalar->rows, 1, &chosen, scalar->err));
    size_t nulls = 0;
    for (size_t i = 0; i < scalar->rows; i++) {
        uint8_t arg = 0;
        while (arg < scalar->arg_count && !af_column_has(&scalar->args[arg].column, scalar->args[arg].is_constant ? 0 : i))
            arg++;
        chosen[i] = arg < scalar->arg_count ? arg : NOBODY;
        nulls += chosen[i] == NOBODY;
    }
    *out = chosen;
    if (nulls == 0)
        return AF_OK;
    uint64_t *validity = af_bits_new(scalar->arena, scalar->rows, true);
    if (validity == NULL)
        return af_arena_fail(scalar->arena, scalar->rows / 8, "a bitmap", scalar->err);
    for (size_t i = 0; i < scalar->rows; i++)
        if (chosen[i] == NOBODY)
            af_bit_clear(validity, i);
    scalar->out->validity = validity;
    scalar->out->null_count = nulls;
    return AF_OK;
}

static enum af_status coalesce_fixed(struct scalar *scalar, const uint8_t *chosen)
{
    bool is_bool = scalar->out->type == AF_TYPE_BOOL;
    uint64_t *out = af_arena_zero(scalar->arena, is_bool ? af_bit_words(scalar->rows) + 1 : scalar->rows + 8, sizeof *out);
    if (out == NULL)
        return af_arena_fail(scalar->arena, scalar->rows * sizeof *out, "a column", scalar->err);
    for (size_t i = 0; i < scalar->rows; i++) {
        if (chosen[i] == NOBODY)
            continue;
        const struct af_vector *arg = &scalar->args[chosen[i]];
        uint64_t value = fn_column_cell(&arg->column, arg->is_constant ? 0 : i).u64;
        if (!is_bool)
            out[i] = value;
        else if (value != 0)
            af_bit_set(out, i);
    }
    scalar->out->values = out;
    return AF_OK;
}

/* All from one dictionary: the dictionary stays. NULL otherwise. */
static struct af_dict *common_dict(const struct scalar *scalar)
{
    struct af_dict *dict = NULL;
    for (size_t i = 0; i < scalar->arg_count; i++) {
        const struct af_column *column = &scalar->args[i].column;
        if (column->type == AF_TYPE_NULL)
            continue;
        if (column->dict == NULL || (dict != NULL && dict != column->dict))
            return NULL;
        dict = column->dict;
    }
    return dict;
}

static enum af_status coalesce_codes(struct scalar *scalar, const uint8_t *chosen, struct af_dict *dict)
{
    uint32_t *codes;
    AF_TRY(fn_alloc(scalar->arena, scalar->rows, sizeof *codes, &codes, scalar->err));
    AF_TRY(af_dict_hold(dict, scalar->arena, scalar->err));
    for (size_t i = 0; i < scalar->rows; i++) {
        const struct af_vector *arg = chosen[i] == NOBODY ? NULL : &scalar->args[chosen[i]];
        codes[i] = arg == NULL ? 0 : arg->column.codes[arg->is_constant ? 0 : i];
    }
    scalar->out->codes = codes;
    scalar->out->dict = dict;
    return AF_OK;
}

static enum af_status coalesce_text(struct scalar *scalar, const uint8_t *chosen)
{
    int32_t *offsets;
    AF_TRY(fn_alloc(scalar->arena, scalar->rows + 1, sizeof *offsets, &offsets, scalar->err));
    size_t len = 0;
    for (size_t i = 0; i < scalar->rows; i++) {
        const struct af_vector *arg = chosen[i] == NOBODY ? NULL : &scalar->args[chosen[i]];
        offsets[i] = (int32_t)len;
        len += arg == NULL ? 0 : af_column_text(&arg->column, arg->is_constant ? 0 : i).len;
        if (len > INT32_MAX)
            return af_fail(scalar->err, AF_ELIMIT, "more than 2 GiB of text in %zu rows: ask for fewer at once", scalar->rows);
    }
    offsets[scalar->rows] = (int32_t)len;
    char *bytes;
    AF_TRY(fn_alloc(scalar->arena, len, 1, &bytes, scalar->err));
    for (size_t i = 0; i < scalar->rows; i++) {
        if (chosen[i] == NOBODY)
            continue;
        const struct af_vector *arg = &scalar->args[chosen[i]];
        struct af_slice text = af_column_text(&arg->column, arg->is_constant ? 0 : i);
        if (text.len != 0)
            memcpy(bytes + offsets[i], text.ptr, text.len);
    }
    scalar->out->offsets = offsets;
    scalar->out->bytes = bytes;
    return AF_OK;
}

enum af_status scalar_coalesce(struct scalar *scalar)
{
    if (scalar->out->type == AF_TYPE_NULL)
        return AF_OK;
    uint8_t *chosen;
    AF_TRY(choose(scalar, &chosen));
    if (scalar->out->type != AF_TYPE_STRING)
        return coalesce_fixed(scalar, chosen);
    struct af_dict *dict = common_dict(scalar);
    return dict != NULL ? coalesce_codes(scalar, chosen, dict) : coalesce_text(scalar, chosen);
}
