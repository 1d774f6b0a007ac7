/*
 * write_dict.c - a chunk's dictionary: distinct values in order of first appearance.
 *
 * Words (numbers and times, by their bits: -0 and every NaN are values of their own) hash into slots of an open table at most half
 * full. Text goes through base/intern.h. A batch that brings codes of its own is not hashed again: the first row of each of its
 * entries asks the set, later rows read `remap`.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "format/parquet/write_int.h"

enum { WORDS_FIRST = 1024, WORDS_MAX = AF_PW_DICT_BYTES_MAX / 8, REMAP_MAX = 1 << 20 };

void af_pw_dict_reset(struct af_pw_dict *dict, bool open)
{
    dict->state = open ? AF_PW_DICT_OPEN : AF_PW_DICT_NONE;
    dict->count = 0;
    if (dict->slots != NULL)
        memset(dict->slots, 0, ((size_t)dict->slot_mask + 1) * sizeof *dict->slots);
    af_intern_clear(&dict->set);
    if (dict->remap != NULL)
        memset(dict->remap, 0xff, dict->remap_count * sizeof *dict->remap);
}

void af_pw_dict_done(struct af_pw_dict *dict)
{
    af_free(dict->keys);
    af_free(dict->slots);
    af_free(dict->remap);
    af_intern_done(&dict->set);
}

uint32_t af_pw_dict_count(const struct af_pw_dict *dict)
{
    return dict->count + dict->set.count;
}

size_t af_pw_dict_bytes(const struct af_pw_column *c)
{
    switch (c->physical) {
    case AF_PW_INT32: return (size_t)c->dict.count * 4;
    case AF_PW_INT96: return (size_t)c->dict.count * 12;
    case AF_PW_BYTE_ARRAY: return c->dict.set.bytes + (size_t)c->dict.set.count * 4;
    case AF_PW_FIXED: return c->dict.set.bytes;
    default: return (size_t)c->dict.count * 8;
    }
}

/* Twice the room, every key put in again. */
static bool grow(struct af_pw_dict *dict)
{
    const uint32_t cap = dict->cap == 0 ? WORDS_FIRST : dict->cap * 2;
    uint64_t *keys = af_realloc(dict->keys, cap * sizeof *keys);
    if (keys == NULL)
        return false;
    dict->keys = keys;
    uint32_t *slots = af_alloc_zero((size_t)cap * 2, sizeof *slots);
    if (slots == NULL)
        return false;
    const uint32_t mask = cap * 2 - 1;
    for (uint32_t code = 0; code < dict->count; code++) {
        uint32_t at = (uint32_t)af_hash_mix(keys[code]) & mask;
        while (slots[at] != 0)
            at = (at + 1) & mask;
        slots[at] = code + 1;
    }
    af_free(dict->slots);
    dict->slots = slots;
    dict->slot_mask = mask;
    dict->cap = cap;
    return true;
}

/* The code of a word, UINT32_MAX where there is no room for a new one. */
static uint32_t word_code(struct af_pw_dict *dict, uint64_t key)
{
    uint32_t at = (uint32_t)af_hash_mix(key) & dict->slot_mask;
    for (; dict->slots[at] != 0; at = (at + 1) & dict->slot_mask)
        if (dict->keys[dict->slots[at] - 1] == key)
            return dict->slots[at] - 1;
    if (dict->count == dict->cap) {
        if (dict->count >= WORDS_MAX || !grow(dict))
            return UINT32_MAX;
        return word_code(dict, key);
    }
    dict->keys[dict->count] = key;
    dict->slots[at] = ++dict->count;
    return dict->count - 1;
}

bool af_pw_dict_words(struct af_pw_dict *dict, const int64_t *words, size_t count, uint32_t *codes)
{
    if (count > 0 && dict->slots == NULL && !grow(dict))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && words[i] == words[i - 1]) /* times come in runs */
            codes[i] = codes[i - 1];
        else
            codes[i] = word_code(dict, (uint64_t)words[i]);
        if (codes[i] == UINT32_MAX)
            return false;
    }
    return true;
}

enum af_status af_pw_dict_wides(struct af_pw_dict *dict, const __int128 *wides, size_t count, uint32_t *codes,
                                struct af_error *err)
{
    for (size_t i = 0; i < count; i++) {
        char bytes[AF_PW_DECIMAL_BYTES];
        af_pw_decimal_bytes(wides[i], bytes);
        AF_TRY(af_intern_add(&dict->set, af_slice_make(bytes, sizeof bytes), &codes[i], err));
    }
    return AF_OK;
}

enum af_status af_pw_dict_remap(struct af_pw_dict *dict, const struct af_dict *from, struct af_error *err)
{
    if (dict->remap_id == from->id)
        return AF_OK;
    /* A huge dictionary would cost more to map than its rows do to hash. */
    const uint32_t count = from->count <= REMAP_MAX ? from->count : 0;
    uint32_t *remap = af_realloc(dict->remap, (count + 1) * sizeof *remap);
    if (remap == NULL)
        return af_fail_nomem(err, "dictionary of a Parquet column");
    memset(remap, 0xff, count * sizeof *remap);
    dict->remap = remap;
    dict->remap_count = count;
    dict->remap_id = from->id;
    dict->entry_bytes_max = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        uint32_t len = (uint32_t)(from->offsets[i + 1] - from->offsets[i]);
        dict->entry_bytes_max = len > dict->entry_bytes_max ? len : dict->entry_bytes_max;
    }
    return AF_OK;
}
