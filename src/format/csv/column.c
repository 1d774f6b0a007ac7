/*
 * column.c - rows of the index as one column.
 *
 * Text: pass 1 adds up the lengths and notes the empty cells, pass 2 copies. Copies of up to 32 bytes are two
 * vector moves that may read and write past the cell: behind the source there is more text of the window (else a plain copy
 * is taken), behind the target the slack of af_arena_array.
 *
 * Codes: ONS files are mostly words that repeat (regions, states, plants). A column whose batches bring few new words is
 * coded, and its dictionary is kept from batch to batch, so that once all plants were seen every batch has the very same
 * dictionary and what consumers derived from its entries (escaped tags, series) stays good.
 *
 *     slots[hash] -> entry: the first 32 bytes and the length; longer words are compared in `bytes` too
 *
 * A batch with too many new words ends the attempt: it is written as text, and the next attempts come after 2, 4, 8 ... batches.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "format/csv/csv_int.h"
#include <assert.h>
#include <emmintrin.h>

enum {
    ENTRIES_MAX = 8192,       /* words of one dictionary */
    ENTRIES_KEPT = 1024,      /* a dictionary that still grows is started over from here */
    WORDS_BYTES_MAX = 1 << 20,
    ROWS_MIN = 256,           /* fewer are not worth a first dictionary */
    NEW_FREE = 1024,          /* new words that are always allowed: all plants of one hour come first */
    NEW_SHARE = 8,            /* and one in so many rows */
    WAIT_MAX = 64,            /* batches between attempts */
    HEAD_BYTES = 32,
};

/* --- cells --- */

/* Where the cells of a column are. */
struct cells {
    const struct af_csv_index *index;
    const struct af_csv_row *rows;
    size_t c;
    const char *text;
    const char *safe; /* cells that begin before it have HEAD_BYTES of readable text from there */
};

static struct cells cells_of(const struct af_csv_index *index, const struct af_csv_row *rows, size_t c)
{
    const char *text = index->window->text;
    size_t len = index->window->len;
    return (struct cells){ index, rows, c, text, len >= HEAD_BYTES ? text + len - HEAD_BYTES + 1 : text };
}

static inline __attribute__((always_inline)) struct af_slice cell_at(const struct cells *cells, size_t row)
{
    struct af_csv_row r = cells->rows[row];
    size_t c = cells->c;
    if ((r.at & AF_CSV_ROW_ODD) != 0)
        return af_csv_cell_text(&cells->index->cells, cells->text, (r.at & ~AF_CSV_ROW_ODD) + c);
    const uint32_t *ends = cells->index->marks.ends + r.at;
    size_t start = c == 0 ? r.start : (size_t)ends[c - 1] + 1;
    return (struct af_slice){ cells->text + start, ends[c] - start };
}

/* May HEAD_BYTES be read from there? Decoded cells live elsewhere and may not. */
static inline __attribute__((always_inline)) bool is_safe(const struct cells *cells, const char *ptr)
{
    return ptr >= cells->text && ptr < cells->safe;
}

/* --- text --- */

static inline __attribute__((always_inline)) void copy_cell(const struct cells *cells, char *dst, struct af_slice cell)
{
    if (cell.len <= HEAD_BYTES && is_safe(cells, cell.ptr)) {
        const __m128i *from = (const __m128i *)(const void *)cell.ptr;
        __m128i *to = (__m128i *)(void *)dst;
        _mm_storeu_si128(to, _mm_loadu_si128(from));
        _mm_storeu_si128(to + 1, _mm_loadu_si128(from + 1));
    } else if (cell.len != 0) {
        memcpy(dst, cell.ptr, cell.len);
    }
}

/* A bitmap under construction; kept only if some row is null. */
struct nulls {
    uint64_t *bits;
    size_t count;
};

static enum af_status nulls_new(struct nulls *nulls, size_t rows, struct af_arena *arena, struct af_error *err)
{
    nulls->count = 0;
    nulls->bits = af_arena_zero(arena, (rows + 63) / 64, sizeof *nulls->bits);
    return nulls->bits != NULL ? AF_OK : af_arena_fail(arena, rows / 8, "a CSV batch", err);
}

static inline void nulls_note(struct nulls *nulls, size_t row, bool has_value)
{
    nulls->bits[row / 64] |= (uint64_t)has_value << (row % 64);
    nulls->count += !has_value;
}

static void nulls_set(const struct nulls *nulls, struct af_column *out)
{
    out->null_count = nulls->count;
    out->validity = nulls->count != 0 ? nulls->bits : NULL;
}

static enum af_status build_text(const struct cells *cells, size_t count, struct af_arena *arena, struct af_column *out,
                                 struct af_error *err)
{
    struct nulls nulls;
    AF_TRY(nulls_new(&nulls, count, arena, err));
    int32_t *offsets = af_arena_array(arena, count + 1, sizeof *offsets);
    if (offsets == NULL)
        return af_arena_fail(arena, (count + 1) * sizeof *offsets, "a CSV batch", err);
    size_t total = 0;
    for (size_t row = 0; row < count; row++) {
        offsets[row] = (int32_t)total;
        size_t len = cell_at(cells, row).len;
        total += len;
        nulls_note(&nulls, row, len != 0);
    }
    if (total > AF_BATCH_TEXT_BYTES_MAX) /* AF_CSV_SPAN_BYTES keeps it below */
        return af_fail(err, AF_EBUG, "%zu bytes of text in one column of a CSV batch", total);
    offsets[count] = (int32_t)total;
    char *bytes = af_arena_array(arena, total, 1);
    if (bytes == NULL)
        return af_arena_fail(arena, total, "a CSV batch", err);
    for (size_t row = 0; row < count; row++)
        copy_cell(cells, bytes + offsets[row], cell_at(cells, row));
    *out = (struct af_column){ .type = AF_TYPE_STRING, .offsets = offsets, .bytes = bytes };
    nulls_set(&nulls, out);
    return AF_OK;
}

/* --- dictionaries --- */

struct word {
    __m128i a, b; /* the first 32 bytes, zeros behind the end */
    uint32_t len;
    uint32_t hash;
};

struct af_csv_coder {
    struct word *words;
    int32_t *offsets;    /* word_count + 1, into bytes */
    uint32_t *slots;     /* number of a word + 1; 0: free */
    uint32_t word_count;
    uint32_t word_cap;   /* a power of two; there are 4 slots for each */
    struct af_buf bytes;
    struct af_dict *dict;
    uint32_t dict_count; /* words it has */
    bool grew;           /* in the last batch */
    uint32_t wait;       /* batches until the next attempt */
    uint32_t wait_next;
};

enum af_status af_csv_coder_new(struct af_csv_coder **out, struct af_error *err)
{
    struct af_csv_coder *coder = af_alloc_zero(1, sizeof *coder);
    if (coder == NULL)
        return af_fail_nomem(err, "a CSV dictionary");
    af_buf_init(&coder->bytes, WORDS_BYTES_MAX);
    coder->wait_next = 2;
    *out = coder;
    return AF_OK;
}

static void coder_empty(struct af_csv_coder *coder)
{
    if (coder->slots != NULL)
        memset(coder->slots, 0, (size_t)coder->word_cap * 4 * sizeof *coder->slots);
    coder->word_count = 0;
    af_buf_clear(&coder->bytes);
    af_dict_unref(coder->dict);
    coder->dict = NULL;
    coder->dict_count = 0;
}

/* Give the memory back until the next attempt. */
static void coder_release(struct af_csv_coder *coder)
{
    coder_empty(coder);
    af_free(coder->words);
    af_free(coder->offsets);
    af_free(coder->slots);
    coder->words = NULL;
    coder->offsets = NULL;
    coder->slots = NULL;
    coder->word_cap = 0;
    af_buf_done(&coder->bytes);
    af_buf_init(&coder->bytes, WORDS_BYTES_MAX);
}

void af_csv_coder_free(struct af_csv_coder *coder)
{
    if (coder == NULL)
        return;
    coder_release(coder);
    af_free(coder);
}

static bool coder_grow(struct af_csv_coder *coder)
{
    uint32_t cap = coder->word_cap == 0 ? 64 : coder->word_cap * 2;
    struct word *words = af_alloc_aligned(16, cap * sizeof *words);
    int32_t *offsets = af_alloc((cap + 1) * sizeof *offsets);
    uint32_t *slots = af_alloc_zero((size_t)cap * 4, sizeof *slots);
    if (words == NULL || offsets == NULL || slots == NULL) {
        af_free(words);
        af_free(offsets);
        af_free(slots);
        return false;
    }
    offsets[0] = 0;
    if (coder->word_count != 0) {
        memcpy(words, coder->words, coder->word_count * sizeof *words);
        memcpy(offsets, coder->offsets, (coder->word_count + 1) * sizeof *offsets);
    }
    uint32_t mask = cap * 4 - 1;
    for (uint32_t i = 0; i < coder->word_count; i++) {
        uint32_t slot = words[i].hash & mask;
        while (slots[slot] != 0)
            slot = (slot + 1) & mask;
        slots[slot] = i + 1;
    }
    af_free(coder->words);
    af_free(coder->offsets);
    af_free(coder->slots);
    coder->words = words;
    coder->offsets = offsets;
    coder->slots = slots;
    coder->word_cap = cap;
    return true;
}

/* The first `len` bytes of 16, zeros behind. */
static inline __m128i keep_bytes(__m128i bytes, size_t len)
{
    static const uint8_t table[32] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
    return _mm_and_si128(bytes, _mm_loadu_si128((const __m128i *)(const void *)(table + 16 - len)));
}

static inline __attribute__((always_inline)) struct word word_of(const struct cells *cells, struct af_slice cell)
{
    struct word word = { .len = (uint32_t)cell.len };
    if (is_safe(cells, cell.ptr)) {
        const __m128i *from = (const __m128i *)(const void *)cell.ptr;
        word.a = keep_bytes(_mm_loadu_si128(from), cell.len < 16 ? cell.len : 16);
        word.b = keep_bytes(_mm_loadu_si128(from + 1), cell.len < 16 ? 0 : cell.len < 32 ? cell.len - 16 : 16);
    } else {
        char head[HEAD_BYTES] = { 0 };
        memcpy(head, cell.ptr, cell.len < HEAD_BYTES ? cell.len : HEAD_BYTES);
        word.a = _mm_loadu_si128((const __m128i *)(const void *)head);
        word.b = _mm_loadu_si128((const __m128i *)(const void *)(head + 16));
    }
    __m128i odd = _mm_unpackhi_epi64(word.a, word.b);
    __m128i even = _mm_unpacklo_epi64(word.a, word.b);
    uint64_t h = (uint64_t)_mm_cvtsi128_si64(even) * 0x9e3779b97f4a7c15U;
    h ^= (uint64_t)_mm_cvtsi128_si64(odd) * 0xc4ceb9fe1a85ec53U;
    h ^= (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(even, even)) * 0xff51afd7ed558ccdU;
    h ^= (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(odd, odd)) * 0xd6e8feb86659fd93U;
    word.hash = (uint32_t)((h ^ h >> 32) * 0x9e3779b97f4a7c15U >> 32) + word.len;
    return word;
}

static inline __attribute__((always_inline)) bool is_word(const struct af_csv_coder *coder, uint32_t i, const struct word *word,
                                                           struct af_slice cell)
{
    const struct word *other = &coder->words[i];
    __m128i same = _mm_and_si128(_mm_cmpeq_epi8(other->a, word->a), _mm_cmpeq_epi8(other->b, word->b));
    if (other->len != word->len || _mm_movemask_epi8(same) != 0xFFFF)
        return false;
    return cell.len <= HEAD_BYTES || memcmp(coder->bytes.ptr + coder->offsets[i], cell.ptr, cell.len) == 0;
}

/* A word that is not there yet. False: no room, or no memory. */
static __attribute__((noinline)) bool add_word(struct af_csv_coder *coder, const struct word *word, struct af_slice cell)
{
    if (coder->word_count == ENTRIES_MAX || (coder->word_count == coder->word_cap && !coder_grow(coder)))
        return false;
    af_buf_append_slice(&coder->bytes, cell);
    if (coder->bytes.failed)
        return false;
    uint32_t mask = coder->word_cap * 4 - 1;
    uint32_t slot = word->hash & mask;
    while (coder->slots[slot] != 0)
        slot = (slot + 1) & mask;
    uint32_t i = coder->word_count++;
    coder->words[i] = *word;
    coder->offsets[i + 1] = (int32_t)coder->bytes.len;
    coder->slots[slot] = i + 1;
    return true;
}

static inline __attribute__((always_inline)) bool code_of(struct af_csv_coder *coder, const struct cells *cells,
                                                           struct af_slice cell, uint32_t *out_code)
{
    struct word word = word_of(cells, cell);
    uint32_t mask = coder->word_cap * 4 - 1;
    uint32_t slot = word.hash & mask;
    for (uint32_t found; coder->word_cap != 0 && (found = coder->slots[slot]) != 0; slot = (slot + 1) & mask) {
        if (is_word(coder, found - 1, &word, cell)) {
            *out_code = found - 1;
            return true;
        }
    }
    *out_code = coder->word_count;
    return add_word(coder, &word, cell);
}

/* Codes of all rows. False: too many new words. */
static bool code_rows(struct af_csv_coder *coder, const struct cells *cells, size_t count, uint32_t *codes, struct nulls *nulls)
{
    const uint32_t before = coder->word_count;
    for (size_t row = 0; row < count; row++) {
        struct af_slice cell = cell_at(cells, row);
        codes[row] = 0;
        nulls_note(nulls, row, cell.len != 0);
        if (cell.len == 0)
            continue;
        if (!code_of(coder, cells, cell, &codes[row]))
            return false;
        if (coder->word_count - before > NEW_FREE + row / NEW_SHARE)
            return false;
    }
    coder->grew = coder->word_count != before;
    bool is_worth_it = coder->word_count - before <= count / 2; /* a short batch may have passed the test above */
    return is_worth_it && coder->word_count != 0;               /* a column of nulls needs no dictionary */
}

static enum af_status renew_dict(struct af_csv_coder *coder, struct af_error *err)
{
    if (coder->dict != NULL && coder->dict_count == coder->word_count)
        return AF_OK;
    struct af_dict *dict;
    AF_TRY(af_dict_new(coder->offsets, coder->bytes.ptr, coder->word_count, &dict, err));
    af_dict_unref(coder->dict);
    coder->dict = dict;
    coder->dict_count = coder->word_count;
    return AF_OK;
}

/* Sets *out_is_done if the column could be coded. */
static enum af_status build_coded(struct af_csv_coder *coder, const struct cells *cells, size_t count, struct af_arena *arena,
                                  struct af_column *out, bool *out_is_done, struct af_error *err)
{
    *out_is_done = false;
    if (coder->wait != 0) {
        coder->wait--;
        return AF_OK;
    }
    if (coder->dict == NULL && count < ROWS_MIN)
        return AF_OK;
    if (coder->grew && coder->word_count >= ENTRIES_KEPT)
        coder_empty(coder);
    struct nulls nulls;
    AF_TRY(nulls_new(&nulls, count, arena, err));
    uint32_t *codes = af_arena_array(arena, count, sizeof *codes);
    if (codes == NULL)
        return af_arena_fail(arena, count * sizeof *codes, "a CSV batch", err);
    if (!code_rows(coder, cells, count, codes, &nulls)) {
        coder_release(coder);
        coder->wait = coder->wait_next;
        coder->wait_next = coder->wait_next < WAIT_MAX ? coder->wait_next * 2 : WAIT_MAX;
        return AF_OK;
    }
    AF_TRY(renew_dict(coder, err));
    AF_TRY(af_dict_hold(coder->dict, arena, err));
    *out = (struct af_column){ .type = AF_TYPE_STRING, .codes = codes, .dict = coder->dict };
    nulls_set(&nulls, out);
    *out_is_done = true;
    return AF_OK;
}

enum af_status af_csv_build_column(const struct af_csv_index *index, const struct af_csv_row *rows, size_t count, size_t c,
                                   struct af_csv_coder *coder, struct af_arena *arena, struct af_column *out,
                                   struct af_error *err)
{
    struct cells cells = cells_of(index, rows, c);
    bool is_done = false;
    if (coder != NULL)
        AF_TRY(build_coded(coder, &cells, count, arena, out, &is_done, err));
    return is_done ? AF_OK : build_text(&cells, count, arena, out, err);
}
