/*
 * apply.c - a batch into points. The order matters: cheap refusals first, and a row that says nothing is never rejected.
 *
 *     skip rules -> fields (cast.c, named fields) -> which rows have a value -> times (when.c) -> gap rows -> words of the key
 *     (words.c) -> pairs in order -> series (series.c) -> rejects as JSON
 *
 * run->live holds the rows that can still become a point. Whatever is neither a point nor rejected is counted as empty.
 */
#include "base/alloc.h"
#include "map/map_int.h"
#include <assert.h>
#include <stdlib.h>

/* --- rejects ------------------------------------------------------------------------------------------------------ */

static enum af_status no_room(struct map_run *run, size_t bytes)
{
    return af_arena_fail(run->arena, bytes, "the points of a batch", run->err);
}

enum af_status af_map_reject(struct map_run *run, size_t row, const char *column, const char *reason)
{
    if (!af_bit_get(run->live, row))
        return AF_OK;
    if (run->notes == NULL) {
        run->notes = af_arena_array(run->arena, run->rows, sizeof *run->notes);
        if (run->notes == NULL)
            return no_room(run, run->rows * sizeof *run->notes);
    }
    af_bit_clear(run->live, row);
    run->notes[run->note_count++] = (struct map_note){ (uint32_t)row, column, reason };
    return AF_OK;
}

enum af_status af_map_reject_text(struct map_run *run, size_t row, const char *column, const char *what, struct af_slice text)
{
    enum { SHOWN_MAX = 60 };
    char shown[SHOWN_MAX + 4];
    size_t len = 0;
    for (; len < text.len && len < SHOWN_MAX; len++)
        shown[len] = (unsigned char)text.ptr[len] < ' ' || text.ptr[len] == 0x7f ? '?' : text.ptr[len];
    while (len < text.len && len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--; /* not inside a character */
    if (!af_bit_get(run->live, row))
        return AF_OK;
    const char *reason = af_arena_printf(run->arena, "%s: '%.*s%s'", what, (int)len, shown, len < text.len ? "..." : "");
    if (reason == NULL)
        return no_room(run, SHOWN_MAX);
    return af_map_reject(run, row, column, reason);
}

enum af_status af_map_reject_invalid(struct map_run *run, const struct af_column *col, const char *name)
{
    if (col->invalid == NULL)
        return AF_OK;
    const char *reason = col->invalid_why != NULL ? col->invalid_why : "the file's value cannot be held";
    for (size_t row = 0; row < run->rows; row++) {
        if (af_bit_get(col->invalid, row))
            AF_TRY(af_map_reject(run, row, name, reason));
    }
    return AF_OK;
}

/* --- skip rules --------------------------------------------------------------------------------------------------- */

static bool is_dropped(const struct map_skip *spec, struct af_slice word)
{
    return spec->is.is_set ? af_map_names_has(&spec->is, word) : !af_map_names_has(&spec->is_not, word);
}

/* What each word means for the row; the entry of "no word" stands for an empty text. */
static enum af_status judge_words(struct map_run *run, struct map_bound_skip *skip)
{
    uint32_t need = skip->set.keys.count + 1;
    if (need > skip->drop_cap) {
        uint8_t *drops = af_realloc(skip->drops, (size_t)need * 2);
        if (drops == NULL)
            return af_fail_nomem(run->err, "the skip rules");
        skip->drops = drops;
        skip->drop_cap = need * 2;
    }
    for (; skip->drop_count < need; skip->drop_count++)
        skip->drops[skip->drop_count] = is_dropped(skip->spec, skip->drop_count == 0
                                                                    ? AF_SLICE_LIT("")
                                                                    : map_word_text(&skip->set, skip->drop_count));
    return AF_OK;
}

static enum af_status apply_skips(struct map_run *run)
{
    struct af_mapper *mapper = run->mapper;
    for (size_t i = 0; i < mapper->skip_count; i++) {
        struct map_bound_skip *skip = &mapper->skips[i];
        AF_TRY(af_map_words_load(run, &skip->word));
        AF_TRY(judge_words(run, skip));
        for (size_t row = 0; row < run->rows; row++) {
            if (skip->drops[map_wordcol_get(&skip->word, row)])
                af_bit_clear(run->live, row);
        }
    }
    return AF_OK;
}

/* --- fields ------------------------------------------------------------------------------------------------------- */

static enum af_status add_field(struct map_run *run, struct af_slice name, struct af_slice escaped,
                                const struct af_column *column)
{
    if (run->field_count == run->field_cap) {
        size_t cap = run->field_cap * 2 + 8;
        struct af_point_field *grown = af_arena_zero(run->arena, cap, sizeof *grown);
        if (grown == NULL)
            return no_room(run, cap * sizeof *grown);
        if (run->field_count != 0)
            memcpy(grown, run->fields, run->field_count * sizeof *grown);
        run->fields = grown;
        run->field_cap = cap;
    }
    run->fields[run->field_count++] = (struct af_point_field){ name, escaped, *column };
    return AF_OK;
}

static enum af_status static_fields(struct map_run *run, uint64_t *has_required)
{
    struct af_mapper *mapper = run->mapper;
    for (size_t i = 0; i < mapper->field_count; i++) {
        struct map_bound_field *field = &mapper->fields[i];
        struct af_column column;
        AF_TRY(af_map_cast(run, &field->value, &column));
        if (field->is_required && column.validity != NULL) {
            for (size_t w = 0; w < af_bit_words(run->rows); w++)
                has_required[w] &= column.validity[w];
        }
        if (column.type != AF_TYPE_NULL && column.null_count != run->rows)
            AF_TRY(add_field(run, field->name, field->escaped, &column));
    }
    return AF_OK;
}

/* --- fields with a name out of the row ---------------------------------------------------------------------------- */

static enum af_status escape_in_arena(struct map_run *run, struct af_slice name, struct af_slice *out)
{
    struct af_buf *scratch = &run->mapper->scratch;
    af_buf_clear(scratch);
    af_key_append_tag(scratch, name);
    AF_TRY(af_buf_check(scratch, "a field name", run->err));
    char *copy = af_arena_copy(run->arena, af_buf_slice(scratch));
    if (copy == NULL)
        return no_room(run, scratch->len);
    *out = (struct af_slice){ copy, scratch->len };
    return AF_OK;
}

static const char *name_fault(const struct map_bound_named *named, uint32_t word)
{
    return word == MAP_NO_WORD ? "the field name is empty" : named->set.faults[word - 1];
}

/* The only name of the batch, or UINT32_MAX. */
static uint32_t common_name(const struct map_run *run, const struct map_wordcol *name)
{
    uint32_t first = map_wordcol_get(name, 0);
    uint32_t differences = 0;
    if (name->words != NULL) {
        for (size_t row = 0; row < run->rows; row++)
            differences |= name->words[row] ^ first;
    } else {
        for (size_t row = 0; row < run->rows; row++)
            differences |= name->lut[name->codes[row]] ^ first;
    }
    return differences == 0 ? first : UINT32_MAX;
}

static enum af_status add_named(struct map_run *run, const struct map_bound_named *named, uint32_t word,
                                const struct af_column *column)
{
    struct af_slice name = map_word_text(&named->set, word);
    struct af_slice escaped;
    AF_TRY(escape_in_arena(run, name, &escaped));
    return add_field(run, name, escaped, column);
}

/* One field per name: the values are shared, each name has a bitmap of its own. */
static enum af_status split_by_name(struct map_run *run, const struct map_bound_named *named, const struct af_column *values)
{
    uint64_t **bitmaps = af_arena_zero(run->arena, (size_t)named->set.keys.count + 1, sizeof *bitmaps);
    if (bitmaps == NULL)
        return no_room(run, named->set.keys.count * sizeof *bitmaps);
    size_t count = 0;
    for (size_t row = 0; row < run->rows; row++) {
        if (!af_bit_get(run->live, row) || !af_column_has(values, row))
            continue;
        uint32_t word = map_wordcol_get(&named->name, row);
        const char *fault = name_fault(named, word);
        if (fault == NULL && bitmaps[word] == NULL) {
            if (count++ >= AF_FIELDS_MAX) {
                fault = "more than 1,024 field names in one batch: is the name column free text?";
            } else {
                bitmaps[word] = af_bits_new(run->arena, run->rows, false);
                if (bitmaps[word] == NULL)
                    return no_room(run, run->rows / 8);
            }
        }
        if (fault != NULL)
            AF_TRY(af_map_reject(run, row, named->name.column_name, fault));
        else
            af_bit_set(bitmaps[word], row);
    }
    for (uint32_t word = 1; word <= named->set.keys.count; word++) {
        struct af_column column = *values;
        column.validity = bitmaps[word];
        if (column.validity == NULL)
            continue;
        column.null_count = run->rows - af_bits_count(column.validity, run->rows);
        AF_TRY(add_named(run, named, word, &column));
    }
    return AF_OK;
}

/* `values` without the rows that an earlier column of the list served; those rows grow by its own. */
static enum af_status take_first(struct map_run *run, struct af_column *values, uint64_t *served)
{
    size_t words = af_bit_words(run->rows);
    uint64_t *validity = af_bits_new(run->arena, run->rows, true);
    if (validity == NULL)
        return no_room(run, words * sizeof *validity);
    for (size_t w = 0; w < words; w++) {
        uint64_t own = validity[w] & (values->validity != NULL ? values->validity[w] : UINT64_MAX);
        validity[w] = own & ~served[w];
        served[w] |= own;
    }
    values->validity = validity;
    values->null_count = run->rows - af_bits_count(validity, run->rows);
    return AF_OK;
}

static enum af_status named_fields(struct map_run *run, struct map_bound_named *named, uint64_t *has_required)
{
    uint64_t *served = af_bits_new(run->arena, run->rows, false);
    if (served == NULL)
        return no_room(run, run->rows / 8);
    AF_TRY(af_map_words_load(run, &named->name));
    uint32_t only = common_name(run, &named->name);
    bool is_required = false;
    for (size_t i = 0; i < named->value_count; i++) {
        struct af_column values;
        AF_TRY(af_map_cast(run, &named->values[i], &values));
        is_required |= named->values[i].spec->is_required;
        if (values.type == AF_TYPE_NULL)
            continue;
        if (named->value_count > 1 || is_required)
            AF_TRY(take_first(run, &values, served));
        if (values.null_count == run->rows)
            continue;
        if (values.null_count == 0)
            values.validity = NULL;
        if (only != UINT32_MAX && name_fault(named, only) == NULL)
            AF_TRY(add_named(run, named, only, &values));
        else
            AF_TRY(split_by_name(run, named, &values));
    }
    for (size_t w = 0; is_required && w < af_bit_words(run->rows); w++)
        has_required[w] &= served[w];
    return AF_OK;
}

/* Two fields of one name: in rows that have both, the later stays. */
static enum af_status settle_names(struct map_run *run, size_t first_static)
{
    for (size_t i = 0; i < first_static; i++) {
        struct af_point_field *early = &run->fields[i];
        for (size_t k = i + 1; k < run->field_count; k++) {
            const struct af_column *late = &run->fields[k].column;
            if (!af_slice_eq(early->name, run->fields[k].name))
                continue;
            uint64_t *validity = af_bits_new(run->arena, run->rows, late->validity != NULL);
            if (validity == NULL)
                return no_room(run, run->rows / 8);
            for (size_t w = 0; late->validity != NULL && w < af_bit_words(run->rows); w++)
                validity[w] &= ~late->validity[w] & (early->column.validity != NULL ? early->column.validity[w] : UINT64_MAX);
            early->column.validity = validity;
            early->column.null_count = run->rows - af_bits_count(validity, run->rows);
        }
    }
    return AF_OK;
}

/* Rows in which some field has a value, and every required one. */
static void keep_rows_with_values(struct map_run *run, const uint64_t *has_required)
{
    for (size_t w = 0; w < af_bit_words(run->rows); w++) {
        uint64_t any = 0;
        for (size_t i = 0; i < run->field_count; i++)
            any |= run->fields[i].column.validity != NULL ? run->fields[i].column.validity[w] : UINT64_MAX;
        run->live[w] &= any & has_required[w];
    }
}

static enum af_status make_fields(struct map_run *run)
{
    struct af_mapper *mapper = run->mapper;
    uint64_t *has_required = af_bits_new(run->arena, run->rows, true);
    if (has_required == NULL)
        return no_room(run, run->rows / 8);
    for (size_t i = 0; i < mapper->named_count; i++)
        AF_TRY(named_fields(run, &mapper->named[i], has_required));
    size_t first_static = run->field_count;
    AF_TRY(static_fields(run, has_required));
    AF_TRY(settle_names(run, first_static));
    keep_rows_with_values(run, has_required);
    return AF_OK;
}

/* --- rows at a local time that does not exist --------------------------------------------------------------------- */

static bool is_zero(const struct af_column *col, size_t row)
{
    switch (col->type) {
    case AF_TYPE_F64: return col->f64[row] == 0;
    case AF_TYPE_I64:
    case AF_TYPE_U64: return col->u64[row] == 0;
    default: return true; /* text and truth values do not make a measured row */
    }
}

static void drop_gap_rows(struct map_run *run)
{
    for (size_t row = 0; run->gap != NULL && row < run->rows; row++) {
        if (!af_bit_get(run->gap, row))
            continue;
        bool says_something = false;
        for (size_t i = 0; i < run->field_count && !says_something; i++)
            says_something = af_column_has(&run->fields[i].column, row) && !is_zero(&run->fields[i].column, row);
        if (!says_something)
            af_bit_clear(run->live, row);
    }
}

/* --- pairs -------------------------------------------------------------------------------------------------------- */

static bool is_out_of_order(const struct map_wordset *set, uint32_t first, uint32_t second)
{
    return first != MAP_NO_WORD && second != MAP_NO_WORD && first != second &&
           af_slice_cmp(map_word_text(set, first), map_word_text(set, second)) > 0;
}

static void negate_column(const struct map_run *run, const uint64_t *swapped, const struct af_column *col, uint64_t *out)
{
    for (size_t row = 0; row < run->rows; row++) {
        if (!af_bit_get(swapped, row))
            out[row] = col->u64[row];
        else if (col->type == AF_TYPE_F64)
            out[row] = col->u64[row] ^ UINT64_C(1) << 63;
        else
            out[row] = 0 - col->u64[row];
    }
}

/* Zero stays zero: a flow of -0 would be a second spelling of nothing. */
static void clean_zeros(const struct map_run *run, const struct af_column *col, uint64_t *out)
{
    for (size_t row = 0; col->type == AF_TYPE_F64 && row < run->rows; row++) {
        if (out[row] == UINT64_C(1) << 63)
            out[row] = 0;
    }
}

static enum af_status negate_fields(struct map_run *run, const struct map_pair *pair, const uint64_t *swapped)
{
    for (size_t i = 0; i < run->field_count; i++) {
        struct af_column *col = &run->fields[i].column;
        if (!af_map_names_has(&pair->negate, run->fields[i].name) || (col->type != AF_TYPE_F64 && col->type != AF_TYPE_I64))
            continue;
        uint64_t *out = af_arena_array(run->arena, run->rows, sizeof *out);
        if (out == NULL)
            return no_room(run, run->rows * sizeof *out);
        negate_column(run, swapped, col, out);
        clean_zeros(run, col, out);
        col->u64 = out;
    }
    return AF_OK;
}

static enum af_status order_pair(struct map_run *run, const struct map_pair *spec, const struct map_bound_pair *pair)
{
    struct map_wordcol *first = &run->mapper->cols[pair->first];
    struct map_wordcol *second = &run->mapper->cols[pair->second];
    uint64_t *swapped = af_bits_new(run->arena, run->rows, false);
    uint32_t *low = af_arena_array(run->arena, run->rows, sizeof *low);
    uint32_t *high = af_arena_array(run->arena, run->rows, sizeof *high);
    if (swapped == NULL || low == NULL || high == NULL)
        return no_room(run, run->rows * sizeof *low);
    bool has_swapped = false;
    for (size_t row = 0; row < run->rows; row++) {
        uint32_t a = map_wordcol_get(first, row);
        uint32_t b = map_wordcol_get(second, row);
        bool is_swapped = is_out_of_order(first->set, a, b);
        low[row] = is_swapped ? b : a;
        high[row] = is_swapped ? a : b;
        if (is_swapped)
            af_bit_set(swapped, row);
        has_swapped |= is_swapped;
    }
    first->words = low;
    second->words = high;
    return has_swapped ? negate_fields(run, spec, swapped) : AF_OK;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static int compare_notes(const void *a, const void *b)
{
    uint32_t x = ((const struct map_note *)a)->row;
    uint32_t y = ((const struct map_note *)b)->row;
    return (x > y) - (x < y);
}

static enum af_status row_as_json(struct map_run *run, size_t row, struct af_slice *out)
{
    struct af_buf *scratch = &run->mapper->scratch;
    af_buf_clear(scratch);
    af_batch_print_row_letter(scratch, run->batch, row);
    AF_TRY(af_buf_check(scratch, "a rejected row", run->err));
    char *copy = af_arena_copy(run->arena, af_buf_slice(scratch));
    if (copy == NULL)
        return no_room(run, scratch->len);
    *out = (struct af_slice){ copy, scratch->len };
    return AF_OK;
}

/* Rejected rows and the reader's bad rows, merged by their number in the file. */
static enum af_status list_rejects(struct map_run *run, struct af_map_rejects *out)
{
    const struct af_batch *batch = run->batch;
    size_t count = run->note_count + batch->bad_row_count;
    *out = (struct af_map_rejects){ 0 };
    if (count == 0)
        return AF_OK;
    struct af_map_reject *items = af_arena_zero(run->arena, count, sizeof *items);
    if (items == NULL)
        return no_room(run, count * sizeof *items);
    if (run->note_count != 0)
        qsort(run->notes, run->note_count, sizeof *run->notes, compare_notes);
    size_t note = 0;
    size_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_bad = note == run->note_count || (bad < batch->bad_row_count &&
                                                  batch->bad_rows[bad].row <= batch->first_row + run->notes[note].row);
        if (is_bad) {
            const struct af_bad_row *from = &batch->bad_rows[bad++];
            items[i] = (struct af_map_reject){ SIZE_MAX, from->row, from->column, from->reason, from->raw };
            continue;
        }
        const struct map_note *from = &run->notes[note++];
        items[i] = (struct af_map_reject){ from->row, batch->first_row + from->row, from->column, from->reason, { NULL, 0 } };
        AF_TRY(row_as_json(run, from->row, &items[i].raw));
    }
    *out = (struct af_map_rejects){ count, items };
    return AF_OK;
}

/* Ids start over when the caches have grown past their ceiling. */
static void bound_memory(struct af_mapper *mapper)
{
    size_t bytes = mapper->set.keys.bytes;
    for (size_t i = 0; i < mapper->col_count; i++)
        bytes += mapper->sets[i].keys.bytes + af_map_wordcol_bytes(&mapper->cols[i]);
    for (size_t i = 0; i < mapper->named_count; i++)
        bytes += mapper->named[i].set.keys.bytes + af_map_wordcol_bytes(&mapper->named[i].name);
    for (size_t i = 0; i < mapper->skip_count; i++)
        bytes += mapper->skips[i].set.keys.bytes + af_map_wordcol_bytes(&mapper->skips[i].word);
    if (bytes <= AF_SERIES_BYTES_MAX)
        return;
    af_map_clear_caches(mapper);
}

static enum af_status key_words(struct map_run *run)
{
    struct af_mapper *mapper = run->mapper;
    for (size_t i = 0; i < mapper->col_count; i++) {
        struct map_wordcol *col = &mapper->cols[i];
        if (col->column != SIZE_MAX)
            AF_TRY(af_map_reject_invalid(run, &run->batch->columns[col->column], col->column_name));
        AF_TRY(af_map_words_load(run, col));
    }
    for (size_t i = 0; i < mapper->pair_count; i++)
        AF_TRY(order_pair(run, mapper->pairs[i].spec, &mapper->pairs[i]));
    return AF_OK;
}

static enum af_status apply_rows(struct map_run *run)
{
    run->live = af_bits_new(run->arena, run->rows, true);
    if (run->live == NULL)
        return no_room(run, run->rows / 8);
    AF_TRY(apply_skips(run));
    AF_TRY(make_fields(run));
    AF_TRY(af_map_times(run));
    drop_gap_rows(run);
    AF_TRY(key_words(run));
    return af_map_series(run);
}

/* Rows that are no point any more have no series; returns how many are points. */
static size_t blank_dead_rows(struct map_run *run)
{
    size_t alive = af_bits_count(run->live, run->rows);
    for (size_t row = 0; alive != run->rows && row < run->rows; row++) {
        if (!af_bit_get(run->live, row))
            run->series[row] = UINT32_MAX;
    }
    return alive;
}

enum af_status af_mapper_apply(struct af_mapper *mapper, const struct af_batch *batch, struct af_arena *arena,
                               struct af_points *out, struct af_map_rejects *out_rejects, size_t *out_empty,
                               struct af_error *err)
{
    assert(batch->schema->field_count == mapper->schema->field_count);
    struct map_run run = { .mapper = mapper, .batch = batch, .arena = arena, .err = err, .rows = batch->row_count };
    bound_memory(mapper);
    struct af_points points = { .row_count = run.rows, .set = &mapper->set, .first_row = batch->first_row,
                                .row_group = batch->row_group };
    size_t alive = 0;
    if (run.rows != 0) {
        AF_TRY(apply_rows(&run));
        alive = blank_dead_rows(&run);
    }
    struct af_map_rejects rejects;
    AF_TRY(list_rejects(&run, &rejects));
    points.series = run.series;
    points.time_ns = run.time_ns;
    points.field_count = run.field_count;
    points.fields = run.fields;
    *out = points;
    *out_rejects = rejects;
    *out_empty = run.rows - alive - run.note_count;
    return AF_OK;
}
