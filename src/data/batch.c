/* batch.c - schema look-up, dictionaries and bitmaps of batch.h. Printing is in batch_json.c. */
#include "data/batch.h"
#include "base/alloc.h"

const char *af_type_name(enum af_type type)
{
    static const char *const names[] = {
        [AF_TYPE_NULL] = "null",   [AF_TYPE_BOOL] = "bool",       [AF_TYPE_I64] = "i64",       [AF_TYPE_U64] = "u64",
        [AF_TYPE_F64] = "f64",     [AF_TYPE_TIME] = "time",       [AF_TYPE_DATE] = "date",     [AF_TYPE_CLOCK] = "clock",
        [AF_TYPE_DECIMAL] = "decimal", [AF_TYPE_STRING] = "string", [AF_TYPE_BYTES] = "bytes", [AF_TYPE_JSON] = "json",
    };
    return (size_t)type < sizeof names / sizeof names[0] ? names[type] : "unknown";
}

size_t af_schema_find(const struct af_schema *schema, struct af_slice name)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (af_slice_is(name, schema->fields[i].name))
            return i;
    return SIZE_MAX;
}

/* --- dictionaries -------------------------------------------------------------------------------------------------------- */

static void free_dict(struct af_dict *dict)
{
    af_free(dict);
}

/* The bytes the offsets span, or false if they are not ascending from 0 or more. */
static bool check_offsets(const int32_t *offsets, uint32_t count, size_t *out_bytes)
{
    if (offsets[0] < 0)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (offsets[i + 1] < offsets[i])
            return false;
    *out_bytes = (size_t)(offsets[count] - offsets[0]);
    return true;
}

/* One block: the struct, its offsets, its bytes. */
enum af_status af_dict_new(const int32_t *offsets, const char *bytes, uint32_t count, struct af_dict **out,
                           struct af_error *err)
{
    static _Atomic uint64_t last_id;
    size_t text_bytes;
    if (!check_offsets(offsets, count, &text_bytes))
        return af_fail(err, AF_ECORRUPT, "a dictionary of %u strings has offsets that do not ascend", count);
    size_t offset_bytes = ((size_t)count + 1) * sizeof(int32_t);
    struct af_dict *dict = af_alloc(sizeof *dict + offset_bytes + text_bytes);
    if (dict == NULL)
        return af_fail(err, AF_ENOMEM, "no memory for a dictionary of %u strings, %zu bytes", count, text_bytes);
    int32_t *own_offsets = (int32_t *)(void *)(dict + 1);
    char *own_bytes = (char *)(dict + 1) + offset_bytes;
    for (size_t i = 0; i <= count; i++)
        own_offsets[i] = offsets[i] - offsets[0];
    if (text_bytes != 0)
        memcpy(own_bytes, bytes + offsets[0], text_bytes);
    *dict = (struct af_dict){ .id = ++last_id, .count = count, .offsets = own_offsets, .bytes = own_bytes,
                              .free = free_dict, .refs = 1 };
    *out = dict;
    return AF_OK;
}

struct af_dict *af_dict_ref(struct af_dict *dict)
{
    dict->refs++;
    return dict;
}

void af_dict_unref(struct af_dict *dict)
{
    if (dict != NULL && --dict->refs == 0)
        dict->free(dict);
}

static void unref_hook(void *ctx)
{
    af_dict_unref(ctx);
}

enum af_status af_dict_hold(struct af_dict *dict, struct af_arena *arena, struct af_error *err)
{
    if (!af_arena_on_reset(arena, unref_hook, dict))
        return af_arena_fail(arena, sizeof(void *) * 3, "a reference to a dictionary", err);
    af_dict_ref(dict);
    return AF_OK;
}

/* --- bitmaps ------------------------------------------------------------------------------------------------------------- */

uint64_t *af_bits_new(struct af_arena *arena, size_t rows, bool value)
{
    size_t words = rows / 64 + (rows % 64 != 0);
    uint64_t *bits = af_arena_array(arena, words, sizeof *bits);
    if (bits == NULL)
        return NULL;
    memset(bits, value ? 0xff : 0, words * sizeof *bits);
    if (value && rows % 64 != 0)
        bits[words - 1] = (UINT64_C(1) << (rows % 64)) - 1;
    return bits;
}

size_t af_bits_count(const uint64_t *bits, size_t rows)
{
    size_t count = 0;
    for (size_t i = 0; i < rows / 64; i++)
        count += (size_t)__builtin_popcountll(bits[i]);
    if (rows % 64 != 0)
        count += (size_t)__builtin_popcountll(bits[rows / 64] & ((UINT64_C(1) << (rows % 64)) - 1));
    return count;
}
