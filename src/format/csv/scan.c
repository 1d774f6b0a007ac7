/*
 * scan.c - where the separators and line ends are.
 *
 * 64 bytes at a time become three words of 64 bits: ends (separator or line end), lines (line end) and special (quote, NUL).
 * Bits of `ends` are written out as positions; for each bit of `lines`, how many ends there are up to and with it. That is all the
 * fast path needs: a row is good if the number of ends between two lines is the number of columns.
 *
 *     N;NORTE;2023-01-01 00:00:00;5434.1\nNE;...
 *     .1.....1...................1......1...1       ends    -> 1, 7, 27, 34, 37 ...
 *     ..................................1....       lines   -> 4 ...
 *
 * At the first special byte the scan stops: what quotes mean depends on where the cell began (record.c).
 */
#include "format/csv/csv_int.h"
#include <assert.h>
#include <immintrin.h>

struct masks {
    uint64_t ends, lines, special;
};

static inline __attribute__((always_inline)) void write_positions(struct af_csv_marks *marks, uint32_t base, uint64_t bits)
{
    uint32_t *out = marks->ends + marks->end_count;
    size_t count = (size_t)__builtin_popcountll(bits);
    /* Eight without asking, then eight more: mostly that is one well predicted branch. Garbage behind `count` is in the slack. */
    for (size_t i = 0; i < count; i += 8) {
        for (size_t k = 0; k < 8; k++) {
            out[i + k] = base + (uint32_t)__builtin_ctzll(bits | UINT64_C(1) << 63);
            bits &= bits - 1;
        }
    }
    marks->end_count += count;
}

static inline __attribute__((always_inline)) void write_masks(struct af_csv_marks *marks, uint32_t base, struct masks m)
{
    size_t before = marks->end_count;
    write_positions(marks, base, m.ends);
    for (uint64_t lines = m.lines; lines != 0; lines &= lines - 1) {
        uint64_t up_to = lines ^ (lines - 1); /* the lowest bit and all below */
        marks->records[marks->record_count++] = (uint32_t)(before + (size_t)__builtin_popcountll(m.ends & up_to));
    }
}

static inline bool is_full(const struct af_csv_marks *marks)
{
    return marks->end_cap - marks->end_count < AF_CSV_MARKS_SLACK || marks->record_cap - marks->record_count < AF_CSV_MARKS_SLACK;
}

/* The common loop; `block` makes the masks of 64 bytes and gathers bytes above 0x7F in *high. */
#define SCAN_BLOCKS(block)                                                                                   \
    uint64_t high = 0;                                                                                       \
    *out_stop = AF_CSV_STOP_END;                                                                             \
    for (; to - at >= 64; at += 64) {                                                                        \
        if (is_full(marks)) {                                                                                \
            *out_stop = AF_CSV_STOP_FULL;                                                                    \
            break;                                                                                           \
        }                                                                                                    \
        struct masks m = block(text + at, separator, &high);                                                 \
        if (m.special != 0) {                                                                                \
            uint64_t below = (m.special & (~m.special + 1)) - 1;                                             \
            m.ends &= below;                                                                                 \
            m.lines &= below;                                                                                \
            write_masks(marks, (uint32_t)at, m);                                                             \
            at += (size_t)__builtin_ctzll(m.special);                                                        \
            *out_stop = AF_CSV_STOP_SPECIAL;                                                                 \
            break;                                                                                           \
        }                                                                                                    \
        write_masks(marks, (uint32_t)at, m);                                                                 \
    }                                                                                                        \
    marks->has_high = marks->has_high || high != 0;                                                          \
    return at

static inline struct masks block_sse2(const char *ptr, char separator, uint64_t *high)
{
    const __m128i sep = _mm_set1_epi8(separator);
    const __m128i line = _mm_set1_epi8('\n');
    const __m128i quote = _mm_set1_epi8('"');
    struct masks m = { 0, 0, 0 };
    for (unsigned i = 0; i < 4; i++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(ptr + i * 16));
        __m128i is_line = _mm_cmpeq_epi8(bytes, line);
        __m128i is_end = _mm_or_si128(is_line, _mm_cmpeq_epi8(bytes, sep));
        __m128i is_special = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
        m.lines |= (uint64_t)(uint16_t)_mm_movemask_epi8(is_line) << (i * 16);
        m.ends |= (uint64_t)(uint16_t)_mm_movemask_epi8(is_end) << (i * 16);
        m.special |= (uint64_t)(uint16_t)_mm_movemask_epi8(is_special) << (i * 16);
        *high |= (uint64_t)(uint16_t)_mm_movemask_epi8(bytes);
    }
    return m;
}

static size_t scan_sse2(const char *text, size_t at, size_t to, char separator, struct af_csv_marks *marks,
                        enum af_csv_stop *out_stop)
{
    SCAN_BLOCKS(block_sse2);
}

#define AVX2 __attribute__((target("avx2,bmi,popcnt")))

AVX2 static inline struct masks block_avx2(const char *ptr, char separator, uint64_t *high)
{
    const __m256i sep = _mm256_set1_epi8(separator);
    const __m256i line = _mm256_set1_epi8('\n');
    const __m256i quote = _mm256_set1_epi8('"');
    struct masks m = { 0, 0, 0 };
    for (unsigned i = 0; i < 2; i++) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(ptr + i * 32));
        __m256i is_line = _mm256_cmpeq_epi8(bytes, line);
        __m256i is_end = _mm256_or_si256(is_line, _mm256_cmpeq_epi8(bytes, sep));
        __m256i is_special =
            _mm256_or_si256(_mm256_cmpeq_epi8(bytes, quote), _mm256_cmpeq_epi8(bytes, _mm256_setzero_si256()));
        m.lines |= (uint64_t)(uint32_t)_mm256_movemask_epi8(is_line) << (i * 32);
        m.ends |= (uint64_t)(uint32_t)_mm256_movemask_epi8(is_end) << (i * 32);
        m.special |= (uint64_t)(uint32_t)_mm256_movemask_epi8(is_special) << (i * 32);
        *high |= (uint64_t)(uint32_t)_mm256_movemask_epi8(bytes);
    }
    return m;
}

AVX2 static size_t scan_avx2(const char *text, size_t at, size_t to, char separator, struct af_csv_marks *marks,
                             enum af_csv_stop *out_stop)
{
    SCAN_BLOCKS(block_avx2);
}

/* The twin, and what is left behind the last whole block. */
static size_t scan_scalar(const char *text, size_t at, size_t to, char separator, struct af_csv_marks *marks,
                          enum af_csv_stop *out_stop)
{
    *out_stop = AF_CSV_STOP_END;
    for (; at < to; at++) {
        char c = text[at];
        if (is_full(marks)) {
            *out_stop = AF_CSV_STOP_FULL;
            break;
        }
        if (c == '"' || c == '\0') {
            *out_stop = AF_CSV_STOP_SPECIAL;
            break;
        }
        if (c == separator || c == '\n')
            marks->ends[marks->end_count++] = (uint32_t)at;
        if (c == '\n')
            marks->records[marks->record_count++] = (uint32_t)marks->end_count;
        marks->has_high = marks->has_high || (c & 0x80) != 0;
    }
    return at;
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
}

bool af_csv_scan_with(int which, const char *text, size_t from, size_t to, char separator, struct af_csv_marks *marks,
                      enum af_csv_stop *out_stop, size_t *out_pos)
{
    if (which == 2 && !has_avx2())
        return false;
    size_t at = from;
    *out_stop = AF_CSV_STOP_END;
    if (which == 1)
        at = scan_sse2(text, at, to, separator, marks, out_stop);
    else if (which == 2)
        at = scan_avx2(text, at, to, separator, marks, out_stop);
    if (*out_stop == AF_CSV_STOP_END)
        at = scan_scalar(text, at, to, separator, marks, out_stop);
    *out_pos = at;
    return true;
}

size_t af_csv_scan(const char *text, size_t from, size_t to, char separator, struct af_csv_marks *marks,
                   enum af_csv_stop *out_stop)
{
    assert(from <= to && to <= UINT32_MAX);
    size_t pos = from;
    (void)af_csv_scan_with(has_avx2() ? 2 : 1, text, from, to, separator, marks, out_stop, &pos);
    return pos;
}

const char *af_csv_find_end(const char *ptr, const char *end, char separator)
{
    const __m128i sep = _mm_set1_epi8(separator);
    const __m128i line = _mm_set1_epi8('\n');
    for (; end - ptr >= 16; ptr += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)ptr);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(bytes, sep), _mm_cmpeq_epi8(bytes, line));
        int mask = _mm_movemask_epi8(hit);
        if (mask != 0)
            return ptr + __builtin_ctz((unsigned)mask);
    }
    while (ptr < end && *ptr != separator && *ptr != '\n')
        ptr++;
    return ptr;
}

bool af_csv_has_high(const char *ptr, size_t len)
{
    size_t i = 0;
    for (; len - i >= 16; i += 16)
        if (_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(ptr + i))) != 0)
            return true;
    for (; i < len; i++)
        if ((ptr[i] & 0x80) != 0)
            return true;
    return false;
}
