/*
 * cache_put.c - points in memory: putting; see cache_int.h for the layout.
 *
 * A put goes through its rows in blocks, each in steps: hash and prefetch the slots; find the entries and prefetch them; prefetch the
 * cells; write. With many series every step would wait for memory row by row otherwise.
 *
 * Chunks are sized by how long the series has kept its shape: small at first, an eighth of its rows later, so that a million series
 * with one row cost little and thousands of rows waste little. A row of few of the shape's fields gets a chunk of its own shape instead
 * of many missing bits.
 *
 * A put that fails takes back the rows it has put; what it took from the slabs stays unused.
 */
#include "tsm/cache_int.h"

enum {
    BLOCK = 64,          /* rows that go through the steps together */
    CHUNK_ROWS_MAX = 512,
    CHUNK_BYTES_MAX = 64 << 10,
    SPARSE = 4,          /* a row has at least one in so many of its chunk's fields */
    MAPS_MAX = 64,
};
#define NO_SLOT UINT32_MAX
#define WRONG_TYPE (UINT32_MAX - 1)

static const struct af_cache_text *new_text(struct af_cache *cache, struct af_slice text)
{
    struct af_cache_text *kept = af_cache_take(cache, sizeof *kept + text.len);
    if (kept == NULL)
        return NULL;
    kept->len = (uint32_t)text.len;
    if (text.len > 0)
        memcpy(kept->bytes, text.ptr, text.len);
    return kept;
}

/* --- a put --------------------------------------------------------------------------------------------------------------------- */

/* Where the batch's fields lie in a shape. */
struct map {
    const struct af_cache_shape *shape;
    uint32_t shape_id;       /* UINT32_MAX: none */
    uint32_t always_missing; /* fields that every row has and the shape does not */
    bool is_whole;           /* the shape's fields are the batch's */
    bool is_wrong;           /* one of those that every row has is of another type there */
    uint32_t *slots;         /* by field: NO_SLOT, WRONG_TYPE */
    uint32_t *offsets;
};

struct source {
    const uint32_t *ids;
    const uint64_t *shards;
    struct af_cache_shard *shard; /* of the last row */
};

struct put {
    struct af_cache *cache;
    const struct af_points *points;
    struct af_arena scratch;
    struct source source;
    struct af_cache_entry *entries[BLOCK]; /* of the rows at hand; NULL: none */
    uint64_t rows;                   /* put so far */
    bool is_plain;                   /* every row has every field, all with cells, no twins */
    const uint64_t **cells;          /* by field, by row: the eight bytes that are kept; NULL: they are found out row by row */
    struct af_cache_name **names;    /* by field */
    bool has_twins;                  /* two fields of the same name */
    uint32_t *always;                /* fields that every row has */
    uint32_t always_count;
    uint32_t *starts, *some;         /* of the others: those of row i are some[starts[i]] to some[starts[i + 1]]; NULL: there are none */
    struct map maps[MAPS_MAX];       /* by shape number, modulo map_mask + 1 */
    uint32_t map_mask;
    struct af_cache_slot *slots;     /* of a shape that is looked for */
    const struct af_cache_shape *recent;
    struct af_error *err;
};

static bool is_sparse(const struct af_point_field *field)
{
    return field->column.validity != NULL || field->column.type == AF_TYPE_NULL;
}

static uint64_t valid_word(const struct af_column *col, size_t w, size_t rows)
{
    size_t left = rows - w * 64;
    if (col->type == AF_TYPE_NULL)
        return 0;
    return left >= 64 ? col->validity[w] : col->validity[w] & ((UINT64_C(1) << left) - 1);
}

/* The lists of fields that only some rows have, row by row: counted, summed up, filled. */
static bool list_sparse(struct put *put)
{
    const struct af_points *points = put->points;
    const size_t rows = points->row_count;
    size_t total = 0;
    uint32_t *at = af_arena_zero(&put->scratch, rows + 2, sizeof *at);
    if (at == NULL)
        return false;
    for (size_t f = 0; f < points->field_count; f++)
        for (size_t w = 0; is_sparse(&points->fields[f]) && w < af_bit_words(rows); w++)
            for (uint64_t bits = valid_word(&points->fields[f].column, w, rows); bits != 0; bits &= bits - 1, total++)
                at[w * 64 + (size_t)__builtin_ctzll(bits) + 2]++;
    put->some = total < UINT32_MAX ? af_arena_array(&put->scratch, total, sizeof *put->some) : NULL;
    if (put->some == NULL)
        return false;
    for (size_t i = 2; i < rows + 2; i++)
        at[i] += at[i - 1];
    for (size_t f = 0; f < points->field_count; f++)
        for (size_t w = 0; is_sparse(&points->fields[f]) && w < af_bit_words(rows); w++)
            for (uint64_t bits = valid_word(&points->fields[f].column, w, rows); bits != 0; bits &= bits - 1)
                put->some[at[w * 64 + (size_t)__builtin_ctzll(bits) + 1]++] = (uint32_t)f;
    put->starts = at;
    return true;
}

/* What needs no lock. */
static enum af_status prepare(struct put *put)
{
    const struct af_points *points = put->points;
    const size_t fields = points->field_count;
    struct af_arena *scratch = &put->scratch;
    size_t maps = MAPS_MAX;
    while (maps > 4 && maps * fields > 4096)
        maps /= 2;
    put->map_mask = (uint32_t)maps - 1;
    put->names = af_arena_array(scratch, fields, sizeof *put->names);
    put->always = af_arena_array(scratch, fields, sizeof *put->always);
    put->cells = af_arena_zero(scratch, fields + 1, sizeof *put->cells);
    uint32_t *slots = af_arena_array(scratch, maps * fields * 2, sizeof *slots);
    if (put->names == NULL || put->always == NULL || put->cells == NULL || slots == NULL)
        return af_fail_nomem(put->err, "points in memory");
    for (size_t i = 0; i < maps; i++) {
        put->maps[i].slots = slots + 2 * i * fields;
        put->maps[i].offsets = put->maps[i].slots + fields;
        put->maps[i].shape_id = UINT32_MAX;
    }
    for (uint32_t f = 0; f < fields; f++) {
        const struct af_column *col = &points->fields[f].column;
        if (col->type != AF_TYPE_STRING && col->type != AF_TYPE_BOOL)
            put->cells[f] = col->u64;
        if (!is_sparse(&points->fields[f]))
            put->always[put->always_count++] = f;
    }
    if (put->always_count < fields && !list_sparse(put))
        return af_fail_nomem(put->err, "points in memory");
    return AF_OK;
}

static enum af_status name_fields(struct put *put)
{
    uint64_t stamp = ++put->cache->stamp;
    for (size_t f = 0; f < put->points->field_count; f++) {
        struct af_cache_name *name = af_cache_name_of(put->cache, put->points->fields[f].name);
        if (name == NULL)
            return af_fail_nomem(put->err, "points in memory");
        put->has_twins = put->has_twins || name->stamp == stamp;
        name->stamp = stamp;
        put->names[f] = name;
    }
    return AF_OK;
}

/* Texts of a dictionary are kept once a put, whichever series they are of. */
static bool keep_dict(struct put *put, size_t field)
{
    const struct af_column *col = &put->points->fields[field].column;
    const size_t rows = put->points->row_count;
    const struct af_cache_text **texts = af_arena_zero(&put->scratch, col->dict->count, sizeof *texts);
    uint64_t *cells = af_arena_array(&put->scratch, rows, sizeof *cells);
    if (texts == NULL || cells == NULL)
        return false;
    for (size_t row = 0; row < rows; row++) {
        uint32_t code = col->codes[row];
        if (put->source.ids[row] == AF_INDEX_NONE || (col->validity != NULL && !af_bit_get(col->validity, row)))
            continue;
        if (texts[code] == NULL)
            texts[code] = new_text(put->cache, af_dict_get(col->dict, code));
        if (texts[code] == NULL)
            return false;
        cells[row] = (uint64_t)(uintptr_t)texts[code];
    }
    put->cells[field] = cells;
    return true;
}

static enum af_status keep_dicts(struct put *put)
{
    put->is_plain = put->points->field_count > 0 && put->always_count == put->points->field_count && !put->has_twins;
    for (size_t f = 0; f < put->points->field_count; f++) {
        const struct af_column *col = &put->points->fields[f].column;
        bool is_small = col->type == AF_TYPE_STRING && col->dict != NULL && col->dict->count <= put->points->row_count;
        if (is_small && !keep_dict(put, f))
            return af_fail_nomem(put->err, "points in memory");
        put->is_plain = put->is_plain && put->cells[f] != NULL;
    }
    return AF_OK;
}

static void fill_map(struct put *put, struct map *map, const struct af_cache_shape *shape)
{
    uint64_t stamp = ++put->cache->stamp;
    for (uint32_t s = 0; s < shape->count; s++) {
        shape->slots[s].name->stamp = stamp;
        shape->slots[s].name->slot = s;
    }
    for (size_t f = 0; f < put->points->field_count; f++) {
        const struct af_cache_name *name = put->names[f];
        const struct af_cache_slot *slot = &shape->slots[name->stamp == stamp ? name->slot : 0];
        bool is_right = name->stamp == stamp && slot->type == put->points->fields[f].column.type;
        map->slots[f] = name->stamp != stamp ? NO_SLOT : is_right ? name->slot : WRONG_TYPE;
        map->offsets[f] = is_right ? slot->offset : 0;
    }
    map->always_missing = 0;
    map->is_wrong = false;
    for (uint32_t i = 0; i < put->always_count; i++) {
        map->always_missing += map->slots[put->always[i]] == NO_SLOT;
        map->is_wrong = map->is_wrong || map->slots[put->always[i]] == WRONG_TYPE;
    }
    map->is_whole = map->always_missing == 0 && !map->is_wrong && shape->count == put->points->field_count;
    map->shape = shape;
    map->shape_id = shape->id;
}

static const struct map *map_of(struct put *put, const struct af_cache_shape *shape)
{
    struct map *map = &put->maps[shape->id & put->map_mask];
    if (map->shape_id != shape->id)
        fill_map(put, map, shape);
    return map;
}

/* --- chunks -------------------------------------------------------------------------------------------------------------------- */

static const uint32_t *some_of(const struct put *put, size_t row, uint32_t *out_count)
{
    if (put->some == NULL) {
        *out_count = 0;
        return NULL;
    }
    *out_count = put->starts[row + 1] - put->starts[row];
    return put->some + put->starts[row];
}

/* How many of the row's fields the shape lacks; NO_SLOT: one has another type there. */
static uint32_t count_absent(const struct put *put, const struct map *map, size_t row)
{
    uint32_t count;
    uint32_t absent = map->always_missing;
    const uint32_t *some = some_of(put, row, &count);
    if (map->is_wrong)
        return NO_SLOT;
    for (uint32_t i = 0; i < count; i++) {
        if (map->slots[some[i]] == WRONG_TYPE)
            return NO_SLOT;
        absent += map->slots[some[i]] == NO_SLOT;
    }
    return absent;
}

/* put->slots: those of `base` (may be NULL) and what the row has beyond. */
static bool list_slots(struct put *put, const struct af_cache_shape *base, size_t row, uint32_t *out_count)
{
    uint32_t some_count;
    const uint32_t *some = some_of(put, row, &some_count);
    uint32_t count = base != NULL ? base->count : 0;
    uint64_t stamp = ++put->cache->stamp;
    put->slots = af_arena_array(&put->scratch, (size_t)count + put->always_count + some_count, sizeof *put->slots);
    if (put->slots == NULL)
        return false;
    if (count > 0)
        memcpy(put->slots, base->slots, count * sizeof *put->slots);
    for (uint32_t i = 0; i < count; i++)
        put->slots[i].name->stamp = stamp;
    for (uint32_t i = 0; i < put->always_count + some_count; i++) {
        uint32_t f = i < put->always_count ? put->always[i] : some[i - put->always_count];
        if (put->names[f]->stamp != stamp)
            put->slots[count++] = (struct af_cache_slot){ put->names[f], put->points->fields[f].column.type, 0 };
        put->names[f]->stamp = stamp;
    }
    *out_count = count;
    return true;
}

/* The shape for a row that does not go with `now` (NULL: it is the first), of which it lacks `absent` fields. */
static const struct af_cache_shape *choose_shape(struct put *put, const struct af_cache_shape *now, size_t row, uint32_t fields,
                                                 uint32_t absent)
{
    uint32_t count;
    bool is_union = now != NULL && now->count + absent <= SPARSE * fields;
    if (!is_union && put->recent != NULL && put->recent->count == fields && !put->has_twins &&
        count_absent(put, map_of(put, put->recent), row) == 0)
        return put->recent; /* a series like the last new one */
    if (!list_slots(put, is_union ? now : NULL, row, &count))
        return NULL;
    put->recent = af_cache_shape_of(put->cache, put->slots, count);
    return put->recent;
}

static uint32_t chunk_rows(const struct af_cache_entry *entry, uint32_t run, uint32_t row_bytes)
{
    uint32_t rows = run < 2 ? (entry->tail == NULL ? 2 : 1 + run) : run < 8 ? 6 : run < 64 ? 16 : (run / 8 + 7) / 8 * 8;
    uint32_t most = CHUNK_BYTES_MAX / (8 + row_bytes) / 8 * 8;
    rows = rows < CHUNK_ROWS_MAX ? rows : CHUNK_ROWS_MAX;
    return rows < most || rows <= 8 ? rows : most < 8 ? 8 : most;
}

static bool add_chunk(struct put *put, struct af_cache_entry *entry, const struct af_cache_shape *shape)
{
    if (entry->tail == NULL || entry->shape != shape->id)
        entry->run_start = entry->rows;
    uint32_t cap = chunk_rows(entry, entry->rows - entry->run_start, shape->row_bytes);
    size_t missing = shape->count * af_cache_missing_bytes(cap);
    struct af_cache_chunk *chunk = af_cache_take(put->cache, sizeof *chunk + (size_t)cap * (8 + shape->row_bytes) + missing);
    if (chunk == NULL)
        return false;
    atomic_init(&chunk->next, NULL);
    atomic_init(&chunk->has_gaps, false);
    chunk->shape = shape;
    chunk->first = entry->rows;
    chunk->cap = cap;
    memset(af_cache_missing(chunk, 0), 0, missing);
    if (entry->tail != NULL)
        atomic_store_explicit(&entry->tail->next, chunk, memory_order_release);
    else
        entry->first = chunk;
    entry->tail = chunk;
    entry->tail_first = chunk->first;
    entry->tail_cap = (uint16_t)cap;
    entry->shape = shape->id;
    return true;
}

/* --- a row --------------------------------------------------------------------------------------------------------------------- */

static bool bit_get(const unsigned char *bits, uint32_t i)
{
    return (__atomic_load_n(&bits[i / 8], __ATOMIC_RELAXED) >> (i % 8) & 1) != 0;
}

static void bit_put(unsigned char *bits, uint32_t i, bool value)
{
    unsigned char byte = __atomic_load_n(&bits[i / 8], __ATOMIC_RELAXED);
    unsigned mask = 1u << (i % 8);
    __atomic_store_n(&bits[i / 8], (unsigned char)(value ? byte | mask : byte & ~mask), __ATOMIC_RELAXED);
}

/* The row before often has the same text: then they share it. */
static const struct af_cache_text *keep_text(struct put *put, const struct af_cache_chunk *chunk, uint32_t slot,
                                             const unsigned char *cell, uint32_t at, struct af_slice text)
{
    if (at > 0 && !bit_get(af_cache_missing(chunk, slot), at - 1)) {
        const struct af_cache_text *before;
        memcpy(&before, cell - sizeof before, sizeof before);
        if (before->len == text.len && memcmp(before->bytes, text.ptr, text.len) == 0)
            return before;
    }
    return new_text(put->cache, text);
}

static inline bool write_value(struct put *put, const struct map *map, const struct af_cache_chunk *chunk, uint32_t at, size_t row,
                               uint32_t field)
{
    const struct af_column *col = &put->points->fields[field].column;
    unsigned char *column = af_cache_column(chunk, map->offsets[field]);
    if (put->cells[field] != NULL) {
        memcpy(column + (size_t)at * 8, &put->cells[field][row], 8);
    } else if (col->type == AF_TYPE_BOOL) {
        column[at] = af_bit_get(col->bits, row);
    } else {
        unsigned char *cell = column + (size_t)at * 8;
        const struct af_cache_text *text = keep_text(put, chunk, map->slots[field], cell, at, af_column_text(col, row));
        if (text == NULL)
            return false;
        memcpy(cell, &text, sizeof text);
    }
    return true;
}

static bool write_row(struct put *put, struct af_cache_entry *entry, const struct map *map, size_t row, uint32_t fields)
{
    struct af_cache_chunk *chunk = entry->tail;
    uint32_t at = entry->rows - entry->tail_first;
    uint32_t some_count;
    const uint32_t *some = some_of(put, row, &some_count);
    memcpy(chunk->data + (size_t)at * 8, &put->points->time_ns[row], 8);
    for (uint32_t i = 0; i < put->always_count; i++)
        if (!write_value(put, map, chunk, at, row, put->always[i]))
            return false;
    for (uint32_t i = 0; i < some_count; i++)
        if (!write_value(put, map, chunk, at, row, some[i]))
            return false;
    if (fields < map->shape->count || put->has_twins) {
        atomic_store_explicit(&chunk->has_gaps, true, memory_order_relaxed);
        for (uint32_t s = 0; s < map->shape->count; s++)
            bit_put(af_cache_missing(chunk, s), at, true);
        for (uint32_t i = 0; i < put->always_count; i++)
            bit_put(af_cache_missing(chunk, map->slots[put->always[i]]), at, false);
        for (uint32_t i = 0; i < some_count; i++)
            bit_put(af_cache_missing(chunk, map->slots[some[i]]), at, false);
    }
    entry->rows++;
    return true;
}

static enum af_status wrong_type(struct put *put, const struct map *map, size_t row)
{
    uint32_t count;
    uint32_t field = 0;
    const uint32_t *some = some_of(put, row, &count);
    for (uint32_t i = 0; i < put->always_count + count; i++) {
        uint32_t f = i < put->always_count ? put->always[i] : some[i - put->always_count];
        if (map->slots[f] == WRONG_TYPE)
            field = f;
    }
    return af_fail(put->err, AF_EBUG, "field " AF_SLICE_FMT " comes as %s, but this series has it in memory with another type",
                   AF_SLICE_ARG(put->points->fields[field].name), af_type_name(put->points->fields[field].column.type));
}

/* The usual row: the chunk has room for it and exactly its fields, all with cells. */
static inline bool put_plain(const struct put *put, struct af_cache_entry *entry, size_t row)
{
    const uint32_t at = entry->rows - entry->tail_first;
    const size_t cap = entry->tail_cap;
    const struct map *map = &put->maps[entry->shape & put->map_mask];
    if (!put->is_plain || at == cap || map->shape_id != entry->shape || !map->is_whole)
        return false;
    unsigned char *cells = entry->tail->data + (size_t)at * 8;
    memcpy(cells, &put->points->time_ns[row], 8);
    cells += cap * 8;
    for (size_t f = 0; f < put->points->field_count; f++)
        memcpy(cells + cap * map->offsets[f], &put->cells[f][row], 8);
    entry->rows++;
    return true;
}

static uint32_t fields_of(const struct put *put, size_t row)
{
    return put->always_count + (put->some != NULL ? put->starts[row + 1] - put->starts[row] : 0);
}

static enum af_status put_row(struct put *put, struct af_cache_entry *entry, size_t row)
{
    const uint32_t fields = fields_of(put, row);
    if (fields == 0) /* not a point */
        return AF_OK;
    const struct af_cache_shape *shape = entry->tail != NULL ? put->cache->shapes[entry->shape] : NULL;
    const struct map *map = shape != NULL ? map_of(put, shape) : NULL;
    uint32_t absent = map != NULL ? count_absent(put, map, row) : fields;
    if (absent == NO_SLOT)
        return wrong_type(put, map, row);
    bool is_other = absent > 0 || fields * SPARSE < shape->count;
    if (is_other || entry->rows - entry->tail_first == entry->tail_cap) {
        const struct af_cache_shape *next = is_other ? choose_shape(put, shape, row, fields, absent) : shape;
        if (next == NULL || !add_chunk(put, entry, next))
            return af_fail_nomem(put->err, "points in memory");
        map = map_of(put, next);
    }
    if (!write_row(put, entry, map, row, fields))
        return af_fail_nomem(put->err, "points in memory");
    put->rows++;
    return AF_OK;
}

/* --- taking back --------------------------------------------------------------------------------------------------------------- */

static void drop_tail(struct af_cache_entry *entry)
{
    struct af_cache_chunk *before = entry->first;
    if (before == entry->tail) {
        entry->first = entry->tail = NULL;
        entry->tail_first = entry->tail_cap = 0;
        return;
    }
    while (atomic_load_explicit(&before->next, memory_order_relaxed) != entry->tail)
        before = atomic_load_explicit(&before->next, memory_order_relaxed);
    atomic_store_explicit(&before->next, NULL, memory_order_relaxed);
    entry->tail = before;
    entry->tail_first = before->first;
    entry->tail_cap = (uint16_t)before->cap;
    entry->shape = before->shape->id;
    entry->run_start = entry->run_start < before->first ? entry->run_start : before->first;
}

/* Rows before `failed` are found again. The failed one may have left an empty chunk. */
static void take_back(struct put *put, size_t failed)
{
    struct source *source = &put->source;
    for (size_t row = failed + 1; row-- > 0;) {
        size_t at;
        const struct af_cache_shard *shard = source->shards != NULL ? af_cache_find_shard(put->cache, source->shards[row]) : source->shard;
        if (source->ids[row] == AF_INDEX_NONE || shard == NULL)
            continue;
        struct af_cache_entry *entry = af_cache_find_entry(put->cache, af_cache_hash(shard->number, source->ids[row]), shard->number,
                                                  source->ids[row], &at);
        if (entry == NULL)
            continue;
        if (row < failed && fields_of(put, row) > 0) {
            entry->rows--;
            for (uint32_t s = 0; s < entry->tail->shape->count; s++)
                bit_put(af_cache_missing(entry->tail, s), entry->rows - entry->tail_first, false);
        }
        if (entry->tail != NULL && entry->rows == entry->tail_first)
            drop_tail(entry);
    }
}

/* --- all rows ------------------------------------------------------------------------------------------------------------------ */

static void prefetch_cells(const struct put *put, const struct af_cache_entry *entry)
{
    if (entry == NULL || entry->tail == NULL)
        return;
    const struct af_cache_shape *shape = put->cache->shapes[entry->shape];
    size_t at = entry->rows - entry->tail_first;
    const unsigned char *data = entry->tail->data;
    __builtin_prefetch(data + at * 8, 1);
    for (uint32_t s = 0; s < shape->count && s < 4; s++)
        __builtin_prefetch(data + (size_t)entry->tail_cap * (8 + shape->slots[s].offset) + at * af_cache_width(shape->slots[s].type), 1);
}

/* The entries of rows [first, end), or where memory ended. */
static size_t find_entries(struct put *put, size_t first, size_t end)
{
    struct af_cache *cache = put->cache;
    struct source *source = &put->source;
    uint64_t hashes[BLOCK];
    struct af_cache_shard *shards[BLOCK];
    for (size_t i = first; i < end; i++) {
        if (source->shards != NULL && source->ids[i] != AF_INDEX_NONE &&
            (source->shard == NULL || source->shard->id != source->shards[i]))
            source->shard = af_cache_shard_of(cache, source->shards[i]);
        if (source->shard == NULL && source->ids[i] != AF_INDEX_NONE)
            return i;
        shards[i - first] = source->shard;
        hashes[i - first] = source->shard != NULL ? af_cache_hash(source->shard->number, source->ids[i]) : 0;
        __builtin_prefetch(&cache->slots[hashes[i - first] & cache->slot_mask]);
    }
    for (size_t i = first; i < end; i++) {
        put->entries[i - first] = NULL;
        if (source->ids[i] == AF_INDEX_NONE)
            continue;
        struct af_cache_entry *entry = af_cache_entry_of(cache, hashes[i - first], shards[i - first], source->ids[i]);
        if (entry == NULL)
            return i;
        put->entries[i - first] = entry;
        __builtin_prefetch(entry, 1);
    }
    for (size_t i = first; i < end; i++)
        prefetch_cells(put, put->entries[i - first]);
    return end;
}

/* Rows [first, end). On failure *out_failed is the row. */
static enum af_status put_block(struct put *put, size_t first, size_t end, size_t *out_failed)
{
    size_t found = find_entries(put, first, end);
    if (found < end) {
        *out_failed = first; /* none of the block is put */
        return af_fail_nomem(put->err, "points in memory");
    }
    for (size_t row = first; row < end; row++) {
        struct af_cache_entry *entry = put->entries[row - first];
        if (entry == NULL)
            continue;
        if (put_plain(put, entry, row)) {
            put->rows++;
            continue;
        }
        *out_failed = row;
        AF_TRY(put_row(put, entry, row));
    }
    return AF_OK;
}

static enum af_status put_locked(struct put *put, uint64_t shard)
{
    const size_t rows = put->points->row_count;
    enum af_status status = AF_OK;
    size_t failed = 0;
    if (atomic_load_explicit(&put->cache->rows, memory_order_relaxed) + rows > UINT32_MAX)
        return af_fail(put->err, AF_ELIMIT, "more rows in memory than can be counted; flush first");
    AF_TRY(name_fields(put));
    AF_TRY(keep_dicts(put));
    put->source.shard = put->source.shards == NULL ? af_cache_shard_of(put->cache, shard) : NULL;
    for (size_t first = 0; first < rows && status == AF_OK; first += BLOCK)
        status = put_block(put, first, first + BLOCK < rows ? first + BLOCK : rows, &failed);
    if (status != AF_OK) {
        take_back(put, failed);
        return status;
    }
    atomic_fetch_add_explicit(&put->cache->rows, put->rows, memory_order_relaxed);
    return AF_OK;
}

enum af_status af_cache_put(struct af_cache *cache, const struct af_points *points, const uint32_t *ids,
                            const uint64_t *shards, uint64_t shard, struct af_error *err)
{
    struct put put = { .cache = cache, .points = points, .source = { .ids = ids, .shards = shards }, .err = err };
    af_arena_init(&put.scratch, SIZE_MAX);
    enum af_status status = prepare(&put);
    if (status == AF_OK) {
        af_mutex_lock(&cache->lock);
        status = put_locked(&put, shard);
        af_mutex_unlock(&cache->lock);
    }
    af_arena_done(&put.scratch);
    return status;
}
