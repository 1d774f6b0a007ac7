/* digest.c - sums per series and day, in a table of fixed size that spills; the sets of keys and of refused values. */
#include "base/alloc.h"
#include "base/limits.h"
#include "verify/verify_int.h"
#include <assert.h>

enum { SLOTS = AF_VERIFY_TABLE_ENTRIES * 2 };
static const size_t LETTER_ARENA_BYTES_MAX = (size_t)2 << 30; /* of one letter: as text, as a tree and as a point */

struct af_value_bits af_value_bits(const struct af_column *column, size_t row)
{
    struct af_value_bits v = { .type = (uint8_t)column->type };
    switch (column->type) {
    case AF_TYPE_F64:
        memcpy(&v.bits, &column->f64[row], sizeof v.bits);
        break;
    case AF_TYPE_I64:
        v.bits = (uint64_t)column->i64[row];
        break;
    case AF_TYPE_U64:
        v.bits = column->u64[row];
        break;
    case AF_TYPE_BOOL:
        v.bits = af_bit_get(column->bits, row);
        break;
    default: {
        assert(af_type_is_text(column->type));
        struct af_slice text = af_column_text(column, row);
        v.bits = af_hash_bytes(text.ptr, text.len, 0);
        v.type = AF_TYPE_STRING;
        break;
    }
    }
    return v;
}

/* --- the table ----------------------------------------------------------------------------------------------------------- */

int af_day_sum_compare(const void *a, const void *b)
{
    const struct af_day_sum *x = a;
    const struct af_day_sum *y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    return (x->day > y->day) - (x->day < y->day);
}

enum af_status af_day_table_init(struct af_day_table *table, struct af_sorter *sorter, struct af_error *err)
{
    *table = (struct af_day_table){ .sorter = sorter };
    table->entries = af_alloc(AF_VERIFY_TABLE_ENTRIES * sizeof *table->entries);
    table->slots = af_alloc_zero(SLOTS, sizeof *table->slots);
    if (table->entries == NULL || table->slots == NULL)
        return af_fail_nomem(err, "the table of series and days");
    return AF_OK;
}

void af_day_table_done(struct af_day_table *table)
{
    af_free(table->entries);
    af_free(table->slots);
    *table = (struct af_day_table){ 0 };
}

enum af_status af_day_table_flush(struct af_day_table *table, struct af_error *err)
{
    AF_TRY(af_sorter_add_run(table->sorter, table->entries, table->count, err));
    table->count = 0;
    memset(table->slots, 0, SLOTS * sizeof *table->slots);
    return AF_OK;
}

static uint64_t key_hash(uint64_t series, int64_t day)
{
    return af_hash_mix(series + (uint64_t)day * 0x9e3779b97f4a7c15ULL);
}

enum af_status af_day_table_get(struct af_day_table *table, uint64_t series, int64_t day, struct af_day_sum **out,
                                struct af_error *err)
{
    if (table->count == AF_VERIFY_TABLE_ENTRIES)
        AF_TRY(af_day_table_flush(table, err));
    size_t at = (size_t)key_hash(series, day) & (SLOTS - 1);
    for (; table->slots[at] != 0; at = (at + 1) & (SLOTS - 1)) {
        struct af_day_sum *entry = &table->entries[table->slots[at] - 1];
        if (entry->series == series && entry->day == day) {
            *out = entry;
            return AF_OK;
        }
    }
    struct af_day_sum *entry = &table->entries[table->count++];
    *entry = (struct af_day_sum){ .series = series, .day = day };
    table->slots[at] = (uint32_t)table->count;
    *out = entry;
    return AF_OK;
}

/* --- keys ---------------------------------------------------------------------------------------------------------------- */

static size_t key_slot(const struct af_day_keys *keys, uint64_t series, int64_t day)
{
    size_t at = (size_t)key_hash(series, day) & (keys->slot_count - 1);
    while (keys->taken[at] && (keys->slots[at].series != series || keys->slots[at].day != day))
        at = (at + 1) & (keys->slot_count - 1);
    return at;
}

static enum af_status grow_keys(struct af_day_keys *keys, struct af_error *err)
{
    struct af_day_keys grown = { .slot_count = keys->slot_count == 0 ? 1024 : keys->slot_count * 2, .count = keys->count };
    grown.slots = af_alloc_zero(grown.slot_count, sizeof *grown.slots);
    grown.taken = af_alloc_zero(grown.slot_count, sizeof *grown.taken);
    if (grown.slots == NULL || grown.taken == NULL) {
        af_free(grown.slots);
        af_free(grown.taken);
        return af_fail_nomem(err, "the series and days that differ");
    }
    for (size_t i = 0; i < keys->slot_count; i++) {
        if (!keys->taken[i])
            continue;
        size_t at = key_slot(&grown, keys->slots[i].series, keys->slots[i].day);
        grown.slots[at] = keys->slots[i];
        grown.taken[at] = true;
    }
    af_free(keys->slots);
    af_free(keys->taken);
    *keys = grown;
    return AF_OK;
}

enum af_status af_day_keys_add(struct af_day_keys *keys, uint64_t series, int64_t day, struct af_error *err)
{
    if (keys->count * 2 >= keys->slot_count)
        AF_TRY(grow_keys(keys, err));
    size_t at = key_slot(keys, series, day);
    keys->count += !keys->taken[at];
    keys->slots[at] = (struct af_day_key){ series, day };
    keys->taken[at] = true;
    return AF_OK;
}

bool af_day_keys_has(const struct af_day_keys *keys, uint64_t series, int64_t day)
{
    return keys->count != 0 && keys->taken[key_slot(keys, series, day)];
}

void af_day_keys_done(struct af_day_keys *keys)
{
    af_free(keys->slots);
    af_free(keys->taken);
    *keys = (struct af_day_keys){ 0 };
}

/* --- refused values ------------------------------------------------------------------------------------------------------ */

static uint64_t refused_key(uint64_t series, int64_t time_ns, uint64_t field_hash, struct af_value_bits value)
{
    uint64_t h = af_hash_mix(series ^ af_hash_mix((uint64_t)time_ns) ^ field_hash * 0x9e3779b97f4a7c15ULL);
    h = af_hash_mix(h + af_hash_mix(value.bits + 0xd6e8feb86659fd93ULL * (value.type + 1u)));
    return h != 0 ? h : 1;
}

static enum af_status refused_add(struct af_refused *r, uint64_t key, struct af_error *err)
{
    if (r->count * 2 >= r->slot_count) {
        size_t slot_count = r->slot_count == 0 ? 256 : r->slot_count * 2;
        uint64_t *slots = af_alloc_zero(slot_count, sizeof *slots);
        if (slots == NULL)
            return af_fail_nomem(err, "refused values");
        for (size_t i = 0; i < r->slot_count; i++) {
            if (r->slots[i] == 0)
                continue;
            size_t at = (size_t)r->slots[i] & (slot_count - 1);
            while (slots[at] != 0)
                at = (at + 1) & (slot_count - 1);
            slots[at] = r->slots[i];
        }
        af_free(r->slots);
        r->slots = slots;
        r->slot_count = slot_count;
    }
    size_t at = (size_t)key & (r->slot_count - 1);
    while (r->slots[at] != 0 && r->slots[at] != key)
        at = (at + 1) & (r->slot_count - 1);
    r->count += r->slots[at] == 0;
    r->slots[at] = key;
    return AF_OK;
}

static enum af_status refused_points(struct af_refused *r, const struct af_points *points, struct af_error *err)
{
    for (size_t f = 0; f < points->field_count; f++) {
        const struct af_point_field *field = &points->fields[f];
        uint64_t field_hash = af_name_hash(field->name);
        for (size_t row = 0; row < points->row_count; row++) {
            if (points->series[row] == UINT32_MAX || !af_column_has(&field->column, row))
                continue;
            uint64_t series = af_name_hash(points->set->keys.keys[points->series[row]]);
            AF_TRY(refused_add(r, refused_key(series, points->time_ns[row], field_hash, af_value_bits(&field->column, row)), err));
        }
    }
    return AF_OK;
}

static enum af_status refused_file(struct af_refused *r, const char *path, struct af_lp_parser *parser, struct af_arena *arena,
                                   struct af_error *err)
{
    struct af_letters *letters;
    AF_TRY(af_letters_open(path, &letters, err));
    enum af_status status;
    struct af_letter *letter = NULL;
    while ((status = af_letters_next(letters, arena, &letter, err)) == AF_OK && letter != NULL) {
        struct af_points points = { 0 };
        size_t used = 0;
        if (letter->line.len != 0)
            status = af_lp_parse(parser, letter->line, true, arena, &points, NULL, &used, err);
        if (status == AF_OK)
            status = refused_points(r, &points, err);
        if (status != AF_OK)
            break;
        af_arena_reset(arena);
    }
    af_letters_close(letters);
    return status;
}

enum af_status af_refused_load(struct af_refused *refused, const struct af_verify_options *options, struct af_error *err)
{
    *refused = (struct af_refused){ 0 };
    if (options->dead_letter_count == 0)
        return AF_OK;
    struct af_lp_parser *parser;
    struct af_lp_parse_options lp = { .precision = AF_PRECISION_NS, .allow_unsigned = true };
    AF_TRY(af_lp_parser_new(&lp, &parser, err));
    struct af_arena arena;
    af_arena_init(&arena, LETTER_ARENA_BYTES_MAX);
    enum af_status status = AF_OK;
    for (size_t i = 0; i < options->dead_letter_count && status == AF_OK; i++)
        status = refused_file(refused, options->dead_letters[i], parser, &arena, err);
    af_arena_done(&arena);
    af_lp_parser_free(parser);
    return status;
}

void af_refused_done(struct af_refused *refused)
{
    af_free(refused->slots);
    *refused = (struct af_refused){ 0 };
}

bool af_refused_has(const struct af_refused *refused, uint64_t series, int64_t time_ns, uint64_t field_hash,
                    struct af_value_bits value)
{
    if (refused->count == 0)
        return false;
    uint64_t key = refused_key(series, time_ns, field_hash, value);
    size_t at = (size_t)key & (refused->slot_count - 1);
    while (refused->slots[at] != 0 && refused->slots[at] != key)
        at = (at + 1) & (refused->slot_count - 1);
    return refused->slots[at] == key;
}
