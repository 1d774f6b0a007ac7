/*
 * scalar_match.c - regular expressions over text. Of a dictionary each text that a row has is matched once; so is a run of equal texts.
 */
#include "base/regex.h"
#include "fn/fn_int.h"

static enum af_status match_dict(const struct scalar *scalar, const struct af_column *column, uint8_t *memo, uint64_t *out)
{
    for (size_t i = 0; i < scalar->rows; i++) {
        if (!af_column_has(column, i))
            continue;
        uint8_t *known = &memo[column->codes[i]];
        if (*known == 0) {
            bool is_hit;
            AF_TRY(af_regex_match(scalar->regex, af_dict_get(column->dict, column->codes[i]), &is_hit, scalar->err));
            *known = is_hit ? 2 : 1;
        }
        if (*known == 2)
            af_bit_set(out, i);
    }
    return AF_OK;
}

static enum af_status match_rows(const struct scalar *scalar, const struct af_column *column, uint64_t *out)
{
    struct af_slice last = { NULL, 0 };
    bool is_hit = false, has_last = false;
    for (size_t i = 0; i < scalar->rows; i++) {
        if (!af_column_has(column, i))
            continue;
        struct af_slice text = af_column_text(column, i);
        if (!has_last || !af_slice_eq(text, last))
            AF_TRY(af_regex_match(scalar->regex, text, &is_hit, scalar->err));
        last = text;
        has_last = true;
        if (is_hit)
            af_bit_set(out, i);
    }
    return AF_OK;
}

enum af_status scalar_match(struct scalar *scalar)
{
    const struct af_column *column = &scalar->args[0].column;
    if (scalar->regex == NULL)
        return af_fail(scalar->err, AF_EBUG, "\"%s\" without a regular expression", af_fn_get(scalar->id)->name);
    uint64_t *out = af_bits_new(scalar->arena, scalar->rows, false);
    if (out == NULL)
        return af_arena_fail(scalar->arena, scalar->rows / 8, "a column of matches", scalar->err);
    AF_TRY(scalar_validity(scalar));
    if (column->dict != NULL && column->dict->count / 4 <= scalar->rows) {
        uint8_t *memo = af_arena_zero(scalar->arena, (size_t)column->dict->count + 1, 1);
        if (memo == NULL)
            return af_arena_fail(scalar->arena, column->dict->count, "matches of a dictionary", scalar->err);
        AF_TRY(match_dict(scalar, column, memo, out));
    } else {
        AF_TRY(match_rows(scalar, column, out));
    }
    if (scalar->id == AF_FN_NOT_MATCH)
        for (size_t word = 0; word < af_bit_words(scalar->rows); word++)
            out[word] = ~out[word] & scalar_row_mask(scalar->rows, word);
    scalar->out->bits = out;
    return AF_OK;
}
