/*
 * series.c - the words of a row (measurement, tags) to a series id.
 *
 *     row's words   3   1   0   12           one per column of the key, 0: none
 *     packed        12 . 00 . 01 . 011       each in as many bits as its largest word needs
 *     series        table[packed]            while the tuple has at most DIRECT_BITS bits
 *                   by_tuple{packed}         else a hash of 64 bits; columns that do not fit in are first folded:
 *                                            packed so far --chain--> a dense id of 32 bits
 *
 * So a key is composed once per distinct combination. The widths grow as words appear (a few times in a run); then the
 * tables start over, and the series set answers with the ids it gave before.
 */
#include "base/alloc.h"
#include "map/map_int.h"

enum { DIRECT_BITS = 20, FOLDED_BITS = 32, KEYS_BYTES_HARD_MAX = 16 * AF_SERIES_BYTES_MAX };

#define SERIES_BAD UINT32_MAX /* in the tables: some word of the tuple cannot be used */
#define SERIES_NONE UINT32_MAX

void af_map_series_clear(struct af_mapper *mapper)
{
    if (mapper->table != NULL)
        memset(mapper->table, 0, sizeof *mapper->table << mapper->total_bits);
    af_map_u64map_clear(&mapper->by_tuple);
    for (size_t i = 0; i < mapper->col_count; i++)
        af_map_u64map_clear(&mapper->chains[i]);
}

/* --- composing a key ---------------------------------------------------------------------------------------------- */

static const char *col_fault(const struct map_wordcol *col, uint32_t word, bool is_measurement)
{
    if (word == MAP_NO_WORD)
        return is_measurement ? "the measurement is empty" : NULL;
    return col->set->faults[word - 1];
}

static const char *find_fault(const struct af_mapper *mapper, size_t row, const char **out_column)
{
    for (size_t i = 0; i < mapper->col_count; i++) {
        const struct map_wordcol *col = &mapper->cols[i];
        const char *fault = col_fault(col, map_wordcol_get(col, row), i == 0);
        if (fault != NULL) {
            *out_column = col->column_name;
            return fault;
        }
    }
    return NULL;
}

static void append_word(struct af_buf *key, const struct map_wordcol *col, size_t row)
{
    af_key_append_tag(key, map_word_text(col->set, map_wordcol_get(col, row)));
}

/* The words of other tags with the separator between; no tag at all unless each has one. */
static void append_join(struct af_mapper *mapper, const struct map_bound_tag *tag, size_t row)
{
    struct af_buf *key = &mapper->key;
    for (size_t i = 0; i < tag->join_count; i++) {
        if (map_wordcol_get(&mapper->cols[tag->joins[i]], row) == MAP_NO_WORD)
            return;
    }
    af_buf_append_slice(key, tag->key);
    for (size_t i = 0; i < tag->join_count; i++) {
        if (i != 0)
            af_key_append_tag(key, af_slice_of(tag->spec->separator != NULL ? tag->spec->separator : "-"));
        append_word(key, &mapper->cols[tag->joins[i]], row);
    }
}

static void append_tags(struct af_mapper *mapper, size_t row)
{
    for (size_t i = 0; i < mapper->tag_count; i++) {
        const struct map_bound_tag *tag = &mapper->tags[i];
        if (tag->col == SIZE_MAX) {
            append_join(mapper, tag, row);
        } else if (map_wordcol_get(&mapper->cols[tag->col], row) != MAP_NO_WORD) {
            af_buf_append_slice(&mapper->key, tag->key);
            append_word(&mapper->key, &mapper->cols[tag->col], row);
        }
    }
}

/* The id of the row's series, or SERIES_BAD. */
static enum af_status compose(struct map_run *run, size_t row, uint32_t *out)
{
    struct af_mapper *mapper = run->mapper;
    const char *column;
    *out = SERIES_BAD;
    if (find_fault(mapper, row, &column) != NULL)
        return AF_OK;
    af_buf_clear(&mapper->key);
    af_key_append_measurement(&mapper->key, map_word_text(mapper->cols[0].set, map_wordcol_get(&mapper->cols[0], row)));
    append_tags(mapper, row);
    AF_TRY(af_buf_check(&mapper->key, "a series key", run->err));
    if (mapper->key.len + 4 >= AF_LP_KEY_BYTES_MAX)
        return AF_OK;
    if (mapper->set.keys.bytes > KEYS_BYTES_HARD_MAX)
        return af_fail(run->err, AF_ELIMIT, "the series keys of one batch pass %d bytes: is a tag free text?",
                       KEYS_BYTES_HARD_MAX);
    AF_TRY(af_intern_add(&mapper->set.keys, af_buf_slice(&mapper->key), out, run->err));
    if (mapper->key.len > mapper->key_bytes_max)
        mapper->key_bytes_max = mapper->key.len;
    return AF_OK;
}

/* --- the layout of the packed tuple ------------------------------------------------------------------------------- */

static unsigned bits_for(uint32_t largest)
{
    return largest == 0 ? 1 : 32 - (unsigned)__builtin_clz(largest);
}

static enum af_status make_table(struct map_run *run)
{
    struct af_mapper *mapper = run->mapper;
    af_free(mapper->table);
    mapper->table = NULL;
    if (mapper->total_bits > DIRECT_BITS)
        return AF_OK;
    mapper->table = af_alloc_zero((size_t)1 << mapper->total_bits, sizeof *mapper->table);
    return mapper->table != NULL ? AF_OK : af_fail_nomem(run->err, "a table of series");
}

static enum af_status fit_layout(struct map_run *run)
{
    struct af_mapper *mapper = run->mapper;
    bool has_grown = mapper->total_bits == 0;
    unsigned total = 0;
    for (size_t i = 0; i < mapper->col_count; i++) {
        unsigned need = bits_for(mapper->cols[i].set->keys.count);
        if (need > mapper->bits[i]) {
            mapper->bits[i] = (uint8_t)need;
            has_grown = true;
        }
        total += mapper->bits[i];
    }
    if (!has_grown)
        return AF_OK;
    mapper->total_bits = total;
    af_map_u64map_clear(&mapper->by_tuple);
    for (size_t i = 0; i < mapper->col_count; i++)
        af_map_u64map_clear(&mapper->chains[i]);
    enum af_status status = make_table(run);
    if (status != AF_OK)
        mapper->total_bits = 0; /* again next time */
    return status;
}

/* --- rows to ids -------------------------------------------------------------------------------------------------- */

static enum af_status reject_series(struct map_run *run, size_t row)
{
    const char *column = NULL;
    const char *fault = find_fault(run->mapper, row, &column);
    return af_map_reject(run, row, column, fault != NULL ? fault : "the series key is longer than 65,535 bytes");
}

static enum af_status pack_direct(struct map_run *run)
{
    struct af_mapper *mapper = run->mapper;
    size_t rows = run->rows;
    uint32_t *packed = run->series; /* replaced in place */
    memset(packed, 0, rows * sizeof *packed);
    unsigned shift = 0;
    for (size_t i = 0; i < mapper->col_count; i++) {
        const struct map_wordcol *col = &mapper->cols[i];
        if (col->words != NULL) {
            for (size_t row = 0; row < rows; row++)
                packed[row] |= col->words[row] << shift;
        } else {
            const uint32_t *lut = col->lut;
            const uint32_t *codes = col->codes;
            for (size_t row = 0; row < rows; row++)
                packed[row] |= lut[codes[row]] << shift;
        }
        shift += mapper->bits[i];
    }
    return AF_OK;
}

static enum af_status look_up_direct(struct map_run *run)
{
    uint32_t *table = run->mapper->table;
    AF_TRY(pack_direct(run));
    for (size_t row = 0; row < run->rows; row++) {
        uint32_t at = run->series[row];
        uint32_t found = table[at];
        if (__builtin_expect(found - 1 >= SERIES_BAD - 1, 0)) { /* 0 or SERIES_BAD */
            if (!af_bit_get(run->live, row)) {
                run->series[row] = SERIES_NONE;
                continue;
            }
            uint32_t id = SERIES_BAD;
            if (found == 0) {
                AF_TRY(compose(run, row, &id));
                found = table[at] = id == SERIES_BAD ? SERIES_BAD : id + 1;
            }
            if (found == SERIES_BAD)
                AF_TRY(reject_series(run, row));
        }
        run->series[row] = found == SERIES_BAD ? SERIES_NONE : found - 1;
    }
    return AF_OK;
}

/* Replace what is packed so far by dense ids, to make room for more columns. */
static enum af_status fold(struct map_run *run, struct map_u64map *chain, uint64_t *packed)
{
    for (size_t row = 0; row < run->rows; row++) {
        uint32_t id = af_map_u64map_get(chain, packed[row]);
        if (id == UINT32_MAX) {
            id = chain->count;
            if (!af_map_u64map_put(chain, packed[row], id))
                return af_fail_nomem(run->err, "a table of series");
        }
        packed[row] = id;
    }
    return AF_OK;
}

static enum af_status pack_wide(struct map_run *run, uint64_t *packed)
{
    struct af_mapper *mapper = run->mapper;
    memset(packed, 0, run->rows * sizeof *packed);
    unsigned shift = 0;
    for (size_t i = 0; i < mapper->col_count; i++) {
        const struct map_wordcol *col = &mapper->cols[i];
        if (shift + mapper->bits[i] > 64) {
            AF_TRY(fold(run, &mapper->chains[i], packed));
            shift = FOLDED_BITS;
        }
        for (size_t row = 0; row < run->rows; row++)
            packed[row] |= (uint64_t)map_wordcol_get(col, row) << shift;
        shift += mapper->bits[i];
    }
    return AF_OK;
}

static enum af_status look_up_wide(struct map_run *run)
{
    struct af_mapper *mapper = run->mapper;
    uint64_t *packed = af_arena_array(run->arena, run->rows, sizeof *packed);
    if (packed == NULL)
        return af_arena_fail(run->arena, run->rows * sizeof *packed, "series of a batch", run->err);
    AF_TRY(pack_wide(run, packed));
    for (size_t row = 0; row < run->rows; row++) {
        run->series[row] = SERIES_NONE;
        if (!af_bit_get(run->live, row))
            continue;
        if (row > 0 && packed[row] == packed[row - 1] && run->series[row - 1] != SERIES_NONE) {
            run->series[row] = run->series[row - 1];
            continue;
        }
        uint32_t id = af_map_u64map_get(&mapper->by_tuple, packed[row]);
        if (id == UINT32_MAX)
            AF_TRY(compose(run, row, &id));
        if (id == SERIES_BAD) { /* not kept: rare, and must be looked at each time anyway */
            AF_TRY(reject_series(run, row));
            continue;
        }
        if (af_map_u64map_get(&mapper->by_tuple, packed[row]) == UINT32_MAX &&
            !af_map_u64map_put(&mapper->by_tuple, packed[row], id))
            return af_fail_nomem(run->err, "a table of series");
        run->series[row] = id;
    }
    return AF_OK;
}

/* --- keys that leave no room for a field name --------------------------------------------------------------------- */

static enum af_status check_field_lengths(struct map_run *run)
{
    const struct af_mapper *mapper = run->mapper;
    for (size_t i = 0; i < run->field_count; i++) {
        const struct af_point_field *field = &run->fields[i];
        if (mapper->key_bytes_max + 4 + field->name.len <= AF_LP_KEY_BYTES_MAX)
            continue;
        for (size_t row = 0; row < run->rows; row++) {
            if (run->series[row] == SERIES_NONE || !af_column_has(&field->column, row) ||
                mapper->set.keys.keys[run->series[row]].len + 4 + field->name.len <= AF_LP_KEY_BYTES_MAX)
                continue;
            AF_TRY(af_map_reject(run, row, NULL, "series key and field name are together longer than 65,535 bytes"));
            run->series[row] = SERIES_NONE;
        }
    }
    return AF_OK;
}

enum af_status af_map_series(struct map_run *run)
{
    struct af_mapper *mapper = run->mapper;
    run->series = af_arena_array(run->arena, run->rows, sizeof *run->series);
    if (run->series == NULL)
        return af_arena_fail(run->arena, run->rows * sizeof *run->series, "series of a batch", run->err);
    AF_TRY(fit_layout(run));
    AF_TRY(mapper->table != NULL ? look_up_direct(run) : look_up_wide(run));
    return check_field_lengths(run);
}
