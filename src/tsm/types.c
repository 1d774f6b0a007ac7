/*
 * types.c - the types of fields in a shard: the first write decides, until the measurement is deleted.
 *
 *     "AFTYPES" 1 | u32 crc32 of the rest, little-endian
 *     for each measurement: uvarint length, its name as in keys; uvarint count of fields
 *         for each field: uvarint length, its name; u8 block type of the TSM format
 *
 * The file is small and written whole (temporary, fsync, rename) when something was added. It may be deleted: the keys and block types of
 * the TSM files say the same (but for keys of which all is deleted), except for what only the log has yet.
 *
 * A measurement that is forgotten is not listed and not written to the file; the next claim of one of its fields begins it anew, with
 * other types perhaps. The log may have that claim alone, and a replay must not meet the old types then: so the claim waits until the file
 * is without them. That is seldom left to it: who forgets says af_types_settle.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "codec/bits.h"
#include "codec/compress.h"
#include "tsm/index_int.h"
#include <stdlib.h>

enum { HEADER_BYTES = 12, FILE_BYTES_MAX = 1 << 30 };
static const char magic[] = "AFTYPES\1";

struct measurement {
    struct index_names fields; /* texts are owned */
    enum af_type *types;       /* by field */
    uint32_t type_cap;
    uint64_t forgotten;        /* by which change; 0: it is not */
};

struct af_types {
    struct af_mutex sync_lock; /* one writer of the file; before `lock` */
    struct af_mutex lock;
    char *path;
    struct index_names names;  /* of measurements; texts are owned */
    struct measurement *measurements;
    uint32_t cap;
    uint64_t changes, synced;  /* claims that added something, and forgotten measurements; how many of them the file has */
    uint64_t forgotten;        /* the last change that forgot something */
    bool has_file;
};

/* --- in memory ---------------------------------------------------------------------------------------------------------------- */

static char *copy_text(struct af_slice text)
{
    char *copy = af_alloc(text.len);
    if (copy != NULL && text.len != 0)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

/* A name that is not there, copied. */
static bool add_name(struct index_names *names, struct af_slice name, uint32_t *out)
{
    char *copy = copy_text(name);
    if (copy == NULL)
        return false;
    if (index_names_add(names, af_slice_make(copy, name.len), out))
        return true;
    af_free(copy);
    return false;
}

static void free_names(struct index_names *names)
{
    for (uint32_t i = 0; i < names->count; i++)
        af_free((void *)(uintptr_t)names->list[i].ptr);
    index_names_done(names);
}

static struct measurement *find_or_add_measurement(struct af_types *types, struct af_slice name)
{
    uint32_t number = index_names_find(&types->names, name);
    if (number != AF_INDEX_NONE)
        return &types->measurements[number];
    if (types->names.count == types->cap) {
        uint32_t cap = types->cap == 0 ? 2 : types->cap * 2;
        struct measurement *grown = af_realloc(types->measurements, cap * sizeof *grown);
        if (grown == NULL)
            return NULL;
        types->measurements = grown;
        types->cap = cap;
    }
    types->measurements[types->names.count] = (struct measurement){ .type_cap = 0 };
    return add_name(&types->names, name, &number) ? &types->measurements[number] : NULL;
}

static bool add_field(struct measurement *measurement, struct af_slice field, enum af_type type)
{
    uint32_t number;
    if (measurement->fields.count == measurement->type_cap) {
        uint32_t cap = measurement->type_cap == 0 ? 4 : measurement->type_cap * 2;
        enum af_type *grown = af_realloc(measurement->types, cap * sizeof *grown);
        if (grown == NULL)
            return false;
        measurement->types = grown;
        measurement->type_cap = cap;
    }
    if (!add_name(&measurement->fields, field, &number))
        return false;
    measurement->types[number] = type;
    return true;
}

static void begin_anew(struct measurement *measurement)
{
    free_names(&measurement->fields);
    measurement->forgotten = 0;
}

static struct measurement *find_measurement(const struct af_types *types, struct af_slice name)
{
    uint32_t number = index_names_find(&types->names, name);
    return number != AF_INDEX_NONE ? &types->measurements[number] : NULL;
}

/* Does the file have old types that a claim of the measurement would meet after a crash? */
static bool is_unsettled_locked(const struct af_types *types, struct af_slice measurement_name)
{
    const struct measurement *measurement = find_measurement(types, measurement_name);
    return measurement != NULL && types->has_file && measurement->forgotten > types->synced;
}

static enum af_status claim_locked(struct af_types *types, struct af_slice measurement_name, struct af_slice field, enum af_type type,
                                   enum af_type *out_has, struct af_error *err)
{
    struct measurement *measurement = find_or_add_measurement(types, measurement_name);
    if (measurement == NULL)
        return af_fail_nomem(err, "the types of fields");
    if (measurement->forgotten != 0)
        begin_anew(measurement);
    uint32_t number = index_names_find(&measurement->fields, field);
    if (number != AF_INDEX_NONE) {
        *out_has = measurement->types[number];
        return AF_OK;
    }
    if (!add_field(measurement, field, type))
        return af_fail_nomem(err, "the types of fields");
    types->changes++;
    *out_has = type;
    return AF_OK;
}

enum af_status af_types_claim(struct af_types *types, struct af_slice measurement, struct af_slice field, enum af_type type,
                              enum af_type *out_has, struct af_error *err)
{
    if (af_tsm_type_code(type) < 0)
        return af_fail(err, AF_EBUG, "a field of type %s cannot be stored", af_type_name(type));
    af_mutex_lock(&types->lock);
    while (is_unsettled_locked(types, measurement)) {
        af_mutex_unlock(&types->lock);
        AF_TRY(af_types_sync(types, err));
        af_mutex_lock(&types->lock);
    }
    enum af_status status = claim_locked(types, measurement, field, type, out_has, err);
    af_mutex_unlock(&types->lock);
    return status;
}

void af_types_forget(struct af_types *types, struct af_slice measurement_name)
{
    af_mutex_lock(&types->lock);
    struct measurement *measurement = find_measurement(types, measurement_name);
    if (measurement != NULL && measurement->forgotten == 0 && measurement->fields.count > 0)
        measurement->forgotten = types->forgotten = ++types->changes;
    af_mutex_unlock(&types->lock);
}

enum af_status af_types_settle(struct af_types *types, struct af_error *err)
{
    af_mutex_lock(&types->lock);
    bool is_due = types->has_file && types->forgotten > types->synced;
    af_mutex_unlock(&types->lock);
    return is_due ? af_types_sync(types, err) : AF_OK;
}

static int by_name(const void *a, const void *b)
{
    return af_slice_cmp(((const struct af_types_field *)a)->name, ((const struct af_types_field *)b)->name);
}

/* Texts are copied: a list outlives the types of a shard that is dropped. */
static enum af_status list_locked(const struct af_types *types, struct af_slice name, struct af_arena *arena, struct af_types_field **out,
                                  size_t *out_count, struct af_error *err)
{
    *out_count = 0;
    const struct measurement *measurement = find_measurement(types, name);
    if (measurement == NULL || measurement->forgotten != 0)
        return AF_OK;
    uint32_t count = measurement->fields.count;
    struct af_types_field *list = af_arena_zero(arena, count, sizeof *list);
    if (list == NULL)
        return af_arena_fail(arena, count * sizeof *list, "the fields of a measurement", err);
    for (uint32_t i = 0; i < count; i++) {
        struct af_slice field = index_names_get(&measurement->fields, i);
        list[i] = (struct af_types_field){ { af_arena_copy(arena, field), field.len }, measurement->types[i] };
        if (list[i].name.ptr == NULL)
            return af_arena_fail(arena, field.len, "the fields of a measurement", err);
    }
    if (count > 1)
        qsort(list, count, sizeof *list, by_name);
    *out = list;
    *out_count = count;
    return AF_OK;
}

enum af_status af_types_list(struct af_types *types, struct af_slice measurement, struct af_arena *arena, struct af_types_field **out,
                             size_t *out_count, struct af_error *err)
{
    af_mutex_lock(&types->lock);
    enum af_status status = list_locked(types, measurement, arena, out, out_count, err);
    af_mutex_unlock(&types->lock);
    return status;
}

/* --- the file ------------------------------------------------------------------------------------------------------------------- */

static void append_text(struct af_buf *out, struct af_slice text)
{
    af_uvarint_append(out, text.len);
    af_buf_append_slice(out, text);
}

static void print(const struct af_types *types, struct af_buf *out)
{
    static const char crc_room[4];
    af_buf_append(out, magic, sizeof magic - 1);
    af_buf_append(out, crc_room, sizeof crc_room);
    for (uint32_t i = 0; i < types->names.count; i++) {
        const struct measurement *measurement = &types->measurements[i];
        if (measurement->forgotten != 0)
            continue;
        append_text(out, index_names_get(&types->names, i));
        af_uvarint_append(out, measurement->fields.count);
        for (uint32_t k = 0; k < measurement->fields.count; k++) {
            append_text(out, index_names_get(&measurement->fields, k));
            af_buf_append_char(out, (char)af_tsm_type_code(measurement->types[k]));
        }
    }
    if (out->failed)
        return;
    uint32_t crc = af_crc32(0, out->ptr + HEADER_BYTES, out->len - HEADER_BYTES);
    for (int i = 0; i < 4; i++)
        out->ptr[HEADER_BYTES - 4 + i] = (char)(crc >> 8 * i);
}

static bool read_text(const uint8_t **at, const uint8_t *end, struct af_slice *out)
{
    uint64_t len;
    if (!af_uvarint_read(at, end, &len) || len > (uint64_t)(end - *at))
        return false;
    *out = af_slice_make(*at, (size_t)len);
    *at += len;
    return true;
}

/* Fields of one measurement. False: not as written (*status AF_OK), or no memory. */
static bool parse_fields(struct measurement *measurement, const uint8_t **at, const uint8_t *end, enum af_status *status,
                         struct af_error *err)
{
    uint64_t count;
    if (!af_uvarint_read(at, end, &count))
        return false;
    for (; count > 0; count--) {
        struct af_slice field;
        enum af_type type;
        if (!read_text(at, end, &field) || *at == end || !af_tsm_type_of(*(*at)++, &type))
            return false;
        if (index_names_find(&measurement->fields, field) != AF_INDEX_NONE)
            return false;
        if (!add_field(measurement, field, type)) {
            *status = af_fail_nomem(err, "the types of fields");
            return false;
        }
    }
    return true;
}

static bool is_whole(struct af_slice bytes)
{
    if (bytes.len < HEADER_BYTES || memcmp(bytes.ptr, magic, sizeof magic - 1) != 0)
        return false;
    uint32_t crc = 0;
    for (int i = 0; i < 4; i++)
        crc |= (uint32_t)(unsigned char)bytes.ptr[HEADER_BYTES - 4 + i] << 8 * i;
    return crc == af_crc32(0, bytes.ptr + HEADER_BYTES, bytes.len - HEADER_BYTES);
}

static enum af_status parse(struct af_types *types, struct af_slice bytes, struct af_error *err)
{
    bool is_ok = is_whole(bytes);
    enum af_status status = AF_OK;
    const uint8_t *end = is_ok ? (const uint8_t *)bytes.ptr + bytes.len : NULL;
    const uint8_t *at = is_ok ? (const uint8_t *)bytes.ptr + HEADER_BYTES : NULL;
    while (is_ok && at < end) {
        struct af_slice name;
        is_ok = read_text(&at, end, &name) && index_names_find(&types->names, name) == AF_INDEX_NONE;
        struct measurement *measurement = is_ok ? find_or_add_measurement(types, name) : NULL;
        if (is_ok && measurement == NULL)
            return af_fail_nomem(err, "the types of fields");
        is_ok = is_ok && parse_fields(measurement, &at, end, &status, err);
    }
    if (is_ok || status != AF_OK)
        return status;
    return af_fail(err, AF_ECORRUPT, "%s: the types of fields are damaged; the file may be deleted, it is rebuilt from the TSM files",
                   types->path);
}

enum af_status af_types_new(const char *path, struct af_types **out, struct af_error *err)
{
    struct af_types *types = af_alloc_zero(1, sizeof *types);
    char *own = copy_text((struct af_slice){ path, strlen(path) + 1 });
    if (types == NULL || own == NULL) {
        af_free(types);
        af_free(own);
        return af_fail_nomem(err, "the types of fields");
    }
    types->path = own;
    types->changes = 1; /* an empty file is better than none: it needs no rebuilding */
    af_mutex_init(&types->sync_lock);
    af_mutex_init(&types->lock);
    *out = types;
    return AF_OK;
}

enum af_status af_types_open(const char *path, struct af_types **out, struct af_error *err)
{
    struct af_types *types;
    struct af_buf bytes;
    AF_TRY(af_types_new(path, &types, err));
    af_buf_init(&bytes, FILE_BYTES_MAX);
    enum af_status status = af_file_read_all(path, &bytes, err);
    if (status == AF_OK)
        status = parse(types, af_buf_slice(&bytes), err);
    af_buf_done(&bytes);
    if (status != AF_OK) {
        af_types_close(types);
        return status;
    }
    types->changes = types->synced = 0;
    types->has_file = true;
    *out = types;
    return AF_OK;
}

void af_types_close(struct af_types *types)
{
    if (types == NULL)
        return;
    for (uint32_t i = 0; i < types->names.count; i++) {
        free_names(&types->measurements[i].fields);
        af_free(types->measurements[i].types);
    }
    free_names(&types->names);
    af_free(types->measurements);
    af_free(types->path);
    af_mutex_done(&types->lock);
    af_mutex_done(&types->sync_lock);
    af_free(types);
}

static enum af_status sync_one(struct af_types *types, struct af_buf *bytes, struct af_error *err)
{
    af_mutex_lock(&types->lock);
    uint64_t changes = types->changes;
    bool is_changed = changes != types->synced;
    if (is_changed)
        print(types, bytes);
    af_mutex_unlock(&types->lock);
    if (!is_changed)
        return AF_OK;
    AF_TRY(af_buf_check(bytes, "the types of fields", err));
    AF_TRY(af_file_write_atomic(types->path, af_buf_slice(bytes), false, err));
    af_mutex_lock(&types->lock);
    types->synced = changes;
    types->has_file = true;
    af_mutex_unlock(&types->lock);
    return AF_OK;
}

enum af_status af_types_sync(struct af_types *types, struct af_error *err)
{
    struct af_buf bytes;
    af_buf_init(&bytes, FILE_BYTES_MAX);
    af_mutex_lock(&types->sync_lock);
    enum af_status status = sync_one(types, &bytes, err);
    af_mutex_unlock(&types->sync_lock);
    af_buf_done(&bytes);
    return status;
}
