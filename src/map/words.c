/*
 * words.c - the text of a column as word ids.
 *
 *     dictionary column   code --lut--> word           the lut is kept from batch to batch by af_dict.id
 *     plain text          the row before? else text --intern--> raw id --raw_words--> word
 *     numbers             64 bits --numbers--> word
 *
 * A word is made once per distinct raw value: trimmed, looked up in the rules, checked as a name. A word that cannot be used
 * (bad UTF-8, a backslash at its end ...) keeps its fault beside it; the rows that have it are rejected later.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "map/map_int.h"

#define UNSET UINT32_MAX
enum { EAGER_ENTRIES_MAX = 4096 }; /* dictionaries up to this size are made into words at once */

/* --- u64 map ------------------------------------------------------------------------------------------------------ */

void af_map_u64map_done(struct map_u64map *map)
{
    af_free(map->keys);
    af_free(map->values);
    *map = (struct map_u64map){ 0 };
}

void af_map_u64map_clear(struct map_u64map *map)
{
    if (map->values != NULL)
        memset(map->values, 0, ((size_t)map->mask + 1) * sizeof *map->values);
    map->count = 0;
}

static uint32_t u64map_slot(const struct map_u64map *map, uint64_t key)
{
    uint32_t at = (uint32_t)af_hash_mix(key) & map->mask;
    while (map->values[at] != 0 && map->keys[at] != key)
        at = (at + 1) & map->mask;
    return at;
}

uint32_t af_map_u64map_get(const struct map_u64map *map, uint64_t key)
{
    if (map->count == 0)
        return UINT32_MAX;
    return map->values[u64map_slot(map, key)] - 1;
}

static bool u64map_grow(struct map_u64map *map)
{
    size_t count = map->values == NULL ? 256 : ((size_t)map->mask + 1) * 2;
    if (count > UINT32_MAX / 2)
        return false;
    struct map_u64map grown = { .mask = (uint32_t)count - 1, .count = map->count };
    grown.keys = af_alloc(count * sizeof *grown.keys);
    grown.values = af_alloc_zero(count, sizeof *grown.values);
    if (grown.keys == NULL || grown.values == NULL) {
        af_map_u64map_done(&grown);
        return false;
    }
    for (size_t i = 0; map->values != NULL && i <= map->mask; i++) {
        if (map->values[i] == 0)
            continue;
        uint32_t at = u64map_slot(&grown, map->keys[i]);
        grown.keys[at] = map->keys[i];
        grown.values[at] = map->values[i];
    }
    af_map_u64map_done(map);
    *map = grown;
    return true;
}

bool af_map_u64map_put(struct map_u64map *map, uint64_t key, uint32_t value)
{
    if ((map->values == NULL || map->count > map->mask / 2) && !u64map_grow(map))
        return false;
    uint32_t at = u64map_slot(map, key);
    map->keys[at] = key;
    map->values[at] = value + 1;
    map->count++;
    return true;
}

/* --- sets and columns --------------------------------------------------------------------------------------------- */

void af_map_wordset_init(struct map_wordset *set, enum map_role role)
{
    *set = (struct map_wordset){ .role = role };
    af_intern_init(&set->keys);
}

void af_map_wordset_done(struct map_wordset *set)
{
    af_intern_done(&set->keys);
    af_free(set->faults);
    *set = (struct map_wordset){ 0 };
}

void af_map_wordset_clear(struct map_wordset *set)
{
    af_intern_clear(&set->keys);
}

void af_map_wordcol_clear(struct map_wordcol *col)
{
    col->dict_id = 0;
    col->lut_count = 0;
    col->constant_word = UNSET;
    af_intern_clear(&col->raws);
    af_map_u64map_clear(&col->numbers);
}

void af_map_wordcol_done(struct map_wordcol *col)
{
    af_free(col->lut);
    af_free(col->raw_words);
    af_intern_done(&col->raws);
    af_map_u64map_done(&col->numbers);
}

size_t af_map_wordcol_bytes(const struct map_wordcol *col)
{
    return col->raws.bytes + (size_t)col->raws.count * 32 + (size_t)col->numbers.count * 24;
}

/* --- making a word ------------------------------------------------------------------------------------------------ */

static const char *find_rule(const struct map_word *spec, struct af_slice text, struct af_buf *folded)
{
    for (size_t i = 0; i < spec->rules.count; i++) {
        if (af_slice_is(text, spec->rules.items[i].from))
            return spec->rules.items[i].to;
    }
    if (spec->match == MAP_EXACT)
        return NULL;
    size_t mark = folded->len;
    af_map_fold(folded, text);
    size_t text_end = folded->len;
    const char *found = NULL;
    for (size_t i = 0; i < spec->rules.count && found == NULL; i++) {
        af_map_fold(folded, af_slice_of(spec->rules.items[i].from));
        if (!folded->failed && af_slice_eq((struct af_slice){ folded->ptr + mark, text_end - mark },
                                           (struct af_slice){ folded->ptr + text_end, folded->len - text_end }))
            found = spec->rules.items[i].to;
        if (!folded->failed)
            af_buf_rewind(folded, text_end);
    }
    if (!folded->failed)
        af_buf_rewind(folded, mark);
    return found;
}

/* The word for `raw` into `out`; false: there is none. */
static bool compose_word(const struct map_word *spec, struct af_slice raw, struct af_buf *out)
{
    struct af_slice text = spec->keep_space ? raw : af_slice_trim(raw);
    if (af_map_text_is_missing(&spec->omit, true, af_slice_trim(text))) {
        if (spec->absent == NULL)
            return false;
        af_buf_append_str(out, spec->absent);
        return out->failed || out->len != 0;
    }
    const char *to = spec->rules.count != 0 ? find_rule(spec, text, out) : NULL;
    if (to == NULL && spec->rules.count != 0)
        to = spec->otherwise;
    if (to != NULL && to[0] == '\0')
        return false;
    if (spec->prefix != NULL)
        af_buf_append_str(out, spec->prefix);
    if (to != NULL)
        af_buf_append_str(out, to);
    else if (spec->lower)
        af_map_lower(out, text);
    else
        af_buf_append_slice(out, text);
    if (spec->suffix != NULL)
        af_buf_append_str(out, spec->suffix);
    return true;
}

static enum af_status add_word(struct map_wordset *set, struct af_slice text, uint32_t *out, struct af_error *err)
{
    if (set->keys.count + 1 > set->fault_cap) {
        uint32_t cap = set->fault_cap == 0 ? 64 : set->fault_cap * 2;
        const char **faults = af_realloc(set->faults, cap * sizeof *faults);
        if (faults == NULL)
            return af_fail_nomem(err, "tag values");
        set->faults = faults;
        set->fault_cap = cap;
    }
    uint32_t before = set->keys.count;
    uint32_t id;
    AF_TRY(af_intern_add(&set->keys, text, &id, err));
    if (id == before)
        set->faults[id] = af_map_name_fault(set->role, text);
    *out = id + 1;
    return AF_OK;
}

static enum af_status make_word(struct map_run *run, struct map_wordcol *col, struct af_slice raw, uint32_t *out)
{
    struct af_buf *scratch = &run->mapper->scratch;
    af_buf_clear(scratch);
    bool has_word = compose_word(col->spec, raw, scratch);
    AF_TRY(af_buf_check(scratch, "a tag value", run->err));
    uint32_t word = MAP_NO_WORD;
    if (has_word)
        AF_TRY(add_word(col->set, af_buf_slice(scratch), &word, run->err));
    *out = word; /* caches hand in their own entry: it must stay unset after a failure */
    return AF_OK;
}

/* --- by kind of column -------------------------------------------------------------------------------------------- */

static bool grow_u32(uint32_t **array, uint32_t *cap, uint32_t need)
{
    if (need <= *cap)
        return true;
    uint32_t grown = *cap < 32 ? 64 : *cap * 2;
    if (grown < need)
        grown = need;
    uint32_t *moved = af_realloc(*array, grown * sizeof *moved);
    if (moved == NULL)
        return false;
    *array = moved;
    *cap = grown;
    return true;
}

static enum af_status enter_dict(struct map_run *run, struct map_wordcol *col, const struct af_dict *dict)
{
    if (col->dict_id == dict->id && col->lut_count == dict->count)
        return AF_OK;
    if (!grow_u32(&col->lut, &col->lut_cap, dict->count))
        return af_fail_nomem(run->err, "a dictionary's words");
    col->dict_id = 0; /* until it is whole */
    if (dict->count != 0)
        memset(col->lut, 0xff, dict->count * sizeof *col->lut);
    col->lut_count = dict->count;
    for (uint32_t code = 0; code < dict->count && dict->count <= EAGER_ENTRIES_MAX; code++)
        AF_TRY(make_word(run, col, af_dict_get(dict, code), &col->lut[code]));
    col->dict_id = dict->id;
    return AF_OK;
}

static enum af_status dict_rows(struct map_run *run, struct map_wordcol *col, const struct af_column *data, uint32_t *words)
{
    for (size_t row = 0; row < run->rows; row++) {
        words[row] = MAP_NO_WORD;
        if (!af_column_has(data, row))
            continue;
        uint32_t code = data->codes[row];
        if (col->lut[code] == UNSET)
            AF_TRY(make_word(run, col, af_dict_get(data->dict, code), &col->lut[code]));
        words[row] = col->lut[code];
    }
    return AF_OK;
}

static enum af_status word_of_raw(struct map_run *run, struct map_wordcol *col, struct af_slice raw, uint32_t *out)
{
    uint32_t before = col->raws.count;
    uint32_t id;
    if (!grow_u32(&col->raw_words, &col->raw_cap, before + 1))
        return af_fail_nomem(run->err, "tag values");
    AF_TRY(af_intern_add(&col->raws, raw, &id, run->err));
    if (id == before)
        col->raw_words[id] = UNSET;
    if (col->raw_words[id] == UNSET)
        AF_TRY(make_word(run, col, raw, &col->raw_words[id]));
    *out = col->raw_words[id];
    return AF_OK;
}

static enum af_status plain_rows(struct map_run *run, struct map_wordcol *col, const struct af_column *data, uint32_t *words)
{
    struct af_slice before = { NULL, SIZE_MAX };
    uint32_t word = MAP_NO_WORD;
    for (size_t row = 0; row < run->rows; row++) {
        words[row] = MAP_NO_WORD;
        if (!af_column_has(data, row))
            continue;
        struct af_slice raw = af_column_text(data, row);
        if (!af_slice_eq(raw, before))
            AF_TRY(word_of_raw(run, col, raw, &word));
        before = raw;
        words[row] = word;
    }
    return AF_OK;
}

static enum af_status print_and_make(struct map_run *run, struct map_wordcol *col, const struct af_column *data, size_t row,
                                     bool by_text, uint32_t *out)
{
    char space[128];
    struct af_buf text;
    af_buf_init(&text, sizeof space);
    af_map_value_print(&text, data, row, col->spec->numbers);
    enum af_status status = af_buf_check(&text, "a number as text", run->err);
    if (status == AF_OK)
        status = by_text ? word_of_raw(run, col, af_buf_slice(&text), out) : make_word(run, col, af_buf_slice(&text), out);
    af_buf_done(&text);
    return status;
}

static enum af_status number_rows(struct map_run *run, struct map_wordcol *col, const struct af_column *data, uint32_t *words)
{
    bool is_wide = data->type == AF_TYPE_DECIMAL; /* no 64 bits to look up by: the text serves */
    for (size_t row = 0; row < run->rows; row++) {
        words[row] = MAP_NO_WORD;
        if (!af_column_has(data, row))
            continue;
        if (is_wide) {
            AF_TRY(print_and_make(run, col, data, row, true, &words[row]));
            continue;
        }
        uint64_t key = data->type == AF_TYPE_BOOL ? af_bit_get(data->bits, row) : data->u64[row];
        words[row] = af_map_u64map_get(&col->numbers, key);
        if (words[row] != UNSET)
            continue;
        AF_TRY(print_and_make(run, col, data, row, false, &words[row]));
        if (!af_map_u64map_put(&col->numbers, key, words[row]))
            return af_fail_nomem(run->err, "tag values");
    }
    return AF_OK;
}

static enum af_status constant_rows(struct map_run *run, struct map_wordcol *col, uint32_t *words)
{
    if (col->constant_word == UNSET) {
        struct af_slice text = col->has_constant ? col->constant : AF_SLICE_LIT("");
        AF_TRY(make_word(run, col, text, &col->constant_word));
    }
    for (size_t row = 0; row < run->rows; row++)
        words[row] = col->constant_word;
    return AF_OK;
}

/* Rows without a value take the default, where there is one. */
static enum af_status fill_absent(struct map_run *run, struct map_wordcol *col, const struct af_column *data, uint32_t *words)
{
    if (col->spec->absent == NULL || (data->null_count == 0 && data->type != AF_TYPE_NULL))
        return AF_OK;
    uint32_t word;
    AF_TRY(make_word(run, col, (struct af_slice){ "", 0 }, &word));
    for (size_t row = 0; row < run->rows; row++) {
        if (!af_column_has(data, row))
            words[row] = word;
    }
    return AF_OK;
}

static void apply_unless(struct map_run *run, const struct map_wordcol *col, uint32_t *words)
{
    for (size_t i = 0; i < col->unless_count; i++) {
        const struct af_column *other = &run->batch->columns[col->unless[i]];
        for (size_t row = 0; row < run->rows; row++) {
            if (af_column_has(other, row))
                words[row] = MAP_NO_WORD;
        }
    }
}

static enum af_status load_rows(struct map_run *run, struct map_wordcol *col, uint32_t *words)
{
    if (col->column == SIZE_MAX) {
        AF_TRY(constant_rows(run, col, words));
        apply_unless(run, col, words);
        return AF_OK;
    }
    const struct af_column *data = &run->batch->columns[col->column];
    if (data->type == AF_TYPE_NULL)
        memset(words, 0, run->rows * sizeof *words);
    else if (!af_type_is_text(data->type))
        AF_TRY(number_rows(run, col, data, words));
    else if (data->dict != NULL)
        AF_TRY(dict_rows(run, col, data, words));
    else
        AF_TRY(plain_rows(run, col, data, words));
    AF_TRY(fill_absent(run, col, data, words));
    apply_unless(run, col, words);
    return AF_OK;
}

enum af_status af_map_words_load(struct map_run *run, struct map_wordcol *col)
{
    const struct af_column *data = col->column != SIZE_MAX ? &run->batch->columns[col->column] : NULL;
    col->words = NULL;
    col->codes = NULL;
    if (data != NULL && af_type_is_text(data->type) && data->dict != NULL) {
        AF_TRY(enter_dict(run, col, data->dict));
        if (data->null_count == 0 && data->dict->count <= EAGER_ENTRIES_MAX && col->unless_count == 0) {
            col->codes = data->codes; /* no row needs a look */
            return AF_OK;
        }
    }
    uint32_t *words = af_arena_array(run->arena, run->rows, sizeof *words);
    if (words == NULL)
        return af_arena_fail(run->arena, run->rows * sizeof *words, "word ids of a batch", run->err);
    AF_TRY(load_rows(run, col, words));
    col->words = words;
    return AF_OK;
}
