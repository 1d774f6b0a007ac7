/* block_test.c - blocks: vectors of another program, there and back, every way to be damaged, failing memory. */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/prng.h"
#include "codec/compress.h"
#include "codec/simple8b.h"
#include "format/tsm/block_int.h"
#include "test/lib/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 3000, TEXT = 1 << 20 };

/* The values of one test. */
struct data {
    int64_t times[POINTS];
    uint64_t numbers[POINTS]; /* also doubles and the bitmap */
    int32_t offsets[POINTS + 1];
    char text[TEXT];
    size_t count;
    struct af_tsm_values values; /* points to the above */
};

static struct data *new_data(enum af_type type, size_t count)
{
    struct data *d = af_alloc_zero(1, sizeof *d);
    AF_CHECK(d != NULL && count <= POINTS);
    d->count = count;
    d->values = (struct af_tsm_values){ count, d->times, { .type = type } };
    if (type == AF_TYPE_STRING) {
        d->values.values.offsets = d->offsets;
        d->values.values.bytes = d->text;
    } else {
        d->values.values.values = d->numbers;
    }
    return d;
}

static void check_same(const struct af_tsm_values *got, const struct data *want, size_t first, size_t count)
{
    const struct af_column *a = &got->values, *b = &want->values.values;
    AF_CHECK_INT(got->count, count);
    AF_CHECK_INT(a->type, b->type);
    AF_CHECK(a->validity == NULL && a->null_count == 0);
    AF_CHECK(memcmp(got->time_ns, want->times + first, count * 8) == 0);
    if (a->type == AF_TYPE_BOOL) {
        for (size_t i = 0; i < count; i++)
            AF_CHECK_INT(af_bit_get(a->bits, i), af_bit_get(b->bits, first + i));
        AF_CHECK_INT(af_bits_count(a->bits, af_bit_words(count) * 64), af_bits_count(a->bits, count));
    } else if (a->type == AF_TYPE_STRING) {
        for (size_t i = 0; i < count; i++)
            AF_CHECK(af_slice_eq(af_column_text(a, i), af_column_text(b, first + i)));
    } else {
        AF_CHECK(memcmp(a->values, b->u64 + first, count * 8) == 0);
    }
}

/* In memory that ends with the block. */
static enum af_status decode_tight(const void *bytes, size_t len, struct af_arena *arena, struct af_tsm_values *out, struct af_error *err)
{
    char *copy = af_alloc(len);
    AF_CHECK(copy != NULL);
    if (len > 0)
        memcpy(copy, bytes, len);
    enum af_status status = af_tsm_block_decode(af_slice_make(copy, len), arena, out, err);
    af_free(copy);
    return status;
}

static void there_and_back(const struct data *d, size_t first, size_t count)
{
    struct af_error err;
    struct af_buf out;
    struct af_arena arena;
    struct af_tsm_values got;
    af_buf_init(&out, 1 << 26);
    af_arena_init(&arena, 1 << 26);
    af_buf_append_str(&out, "before");
    AF_CHECK_OK(af_tsm_block_encode(&d->values, first, count, &out, &err), err);
    AF_CHECK(memcmp(out.ptr, "before", 6) == 0);
    AF_CHECK_OK(decode_tight(out.ptr + 6, out.len - 6, &arena, &got, &err), err);
    check_same(&got, d, first, count);
    af_arena_done(&arena);
    af_buf_done(&out);
}

/* --- vectors -------------------------------------------------------------------------------------------------------------- */

static enum af_type type_named(const char *name)
{
    enum af_type type = AF_TYPE_NULL;
    for (int code = 0; af_tsm_type_of(code, &type); code++)
        if (strcmp(af_type_name(type), name) == 0)
            return type;
    af_test_failed(__FILE__, __LINE__, "no type %s", name);
}

static size_t from_hex(const char *hex, char *dst)
{
    size_t len = 0;
    for (; *hex != '\0' && *hex != '-'; hex += 2) {
        const char pair[3] = { hex[0], hex[1], '\0' };
        dst[len++] = (char)strtoul(pair, NULL, 16);
    }
    return len;
}

static void set_value(struct data *d, size_t i, const char *word)
{
    const enum af_type type = d->values.values.type;
    if (type == AF_TYPE_STRING)
        d->offsets[i + 1] = d->offsets[i] + (int32_t)from_hex(word, d->text + d->offsets[i]);
    else if (type == AF_TYPE_BOOL && word[0] == '1')
        af_bit_set(d->numbers, i);
    else if (type != AF_TYPE_BOOL)
        d->numbers[i] = strtoull(word, NULL, 16);
}

static void check_vector(const char *name, struct data *d, const char *block, size_t len)
{
    struct af_error err;
    struct af_arena arena;
    struct af_tsm_values got;
    struct af_buf out;
    af_arena_init(&arena, 1 << 20);
    af_buf_init(&out, 1 << 20);
    AF_CHECK_OK(decode_tight(block, len, &arena, &got, &err), err);
    check_same(&got, d, 0, d->count);
    AF_CHECK_OK(af_tsm_block_encode(&d->values, 0, d->count, &out, &err), err);
    if (d->values.values.type != AF_TYPE_STRING && (out.len != len || memcmp(out.ptr, block, len) != 0))
        af_test_failed(__FILE__, __LINE__, "other bytes: %s", name);
    af_buf_done(&out);
    af_arena_done(&arena);
}

/* Words of a line behind its first one, each to `take`. */
static size_t each_word(char *line, struct data *d, void (*take)(struct data *d, size_t i, const char *word))
{
    size_t count = 0;
    char *state = NULL;
    (void)strtok_r(line, " \n", &state);
    for (char *word; (word = strtok_r(NULL, " \n", &state)) != NULL; count++)
        take(d, count, word);
    return count;
}

static void set_time(struct data *d, size_t i, const char *word)
{
    d->times[i] = strtoll(word, NULL, 10);
}

AF_TEST(block_vectors_of_another_program)
{
    static char line[1 << 17], name[200], block[1 << 16];
    struct data *d = NULL;
    int cases = 0;
    FILE *file = fopen("test/golden/tsm/blocks.txt", "r");
    AF_CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "case ", 5) == 0) {
            (void)snprintf(name, sizeof name, "%.*s", (int)sizeof name - 1, line + 5);
        } else if (strncmp(line, "type ", 5) == 0) {
            d = new_data(type_named(line + 5), 0);
        } else if (strncmp(line, "times ", 6) == 0) {
            d->count = d->values.count = each_word(line, d, set_time);
        } else if (strncmp(line, "values ", 7) == 0) {
            AF_CHECK_INT(each_word(line, d, set_value), d->count);
        } else if (strncmp(line, "block ", 6) == 0) {
            check_vector(name, d, block, from_hex(line + 6, block));
            af_free(d);
            cases++;
        }
    }
    (void)fclose(file);
    AF_CHECK(cases >= 40);
}

/* --- there and back ------------------------------------------------------------------------------------------------------- */

static const enum af_type all_types[] = { AF_TYPE_F64, AF_TYPE_I64, AF_TYPE_U64, AF_TYPE_BOOL, AF_TYPE_STRING };
enum { TYPES = sizeof all_types / sizeof *all_types };

static void fill_times(struct data *d, struct af_prng *prng)
{
    const int kind = (int)af_prng_below(prng, 5);
    const unsigned shift = (unsigned)af_prng_below(prng, 40);
    uint64_t scale = 1;
    for (uint64_t k = af_prng_below(prng, 13); k > 0; k--)
        scale *= 10;
    uint64_t t = kind == 4 ? (uint64_t)INT64_MIN : (uint64_t)(int64_t)-1000;
    for (size_t i = 0; i < d->count; i++) {
        d->times[i] = (int64_t)t;
        t += kind == 0   ? scale
             : kind == 1 ? (1 + af_prng_below(prng, 200)) * scale
             : kind == 2 ? 1 + (af_prng_next(prng) >> (20 + shift))
             : kind == 3 ? (af_prng_below(prng, 100) == 0 ? 2 : 1) * scale
                         : UINT64_MAX / (d->count + 1) - af_prng_below(prng, 2);
    }
}

static uint64_t next_number(struct af_prng *prng, uint64_t v, int kind, unsigned shift)
{
    switch (kind) {
    case 0: return v + 3;
    case 1: return v + (af_prng_next(prng) >> shift) - (af_prng_next(prng) >> shift);
    case 2: return af_prng_next(prng);
    case 3: return v + (af_prng_below(prng, 50) == 0);
    default: return v - 1;
    }
}

static void fill_values(struct data *d, struct af_prng *prng)
{
    const int kind = (int)af_prng_below(prng, 5);
    const unsigned shift = (unsigned)af_prng_below(prng, 64);
    double *floats = (double *)(void *)d->numbers;
    uint64_t v = af_prng_next(prng) >> shift;
    size_t used = 0;
    for (size_t i = 0; i < d->count; i++) {
        if (d->values.values.type == AF_TYPE_STRING) {
            d->offsets[i] = (int32_t)used;
            for (uint64_t k = af_prng_below(prng, kind == 0 ? 1 : kind == 1 ? 300 : 20); k > 0; k--)
                d->text[used++] = (char)('a' + af_prng_below(prng, kind == 2 ? 1 : 26));
        } else if (d->values.values.type == AF_TYPE_F64) {
            floats[i] = kind == 0 ? 1.5 : kind < 3 ? af_prng_unit(prng) : round(af_prng_unit(prng) * 500) / 10 - 20;
        } else {
            d->numbers[i] = v = next_number(prng, v, kind, shift);
        }
    }
    d->offsets[d->count] = (int32_t)used;
}

AF_TEST(block_all_types_and_shapes_come_back)
{
    struct af_prng prng = { 1 };
    for (int round = 0; round < 700; round++) {
        const size_t count = 1 + (size_t)af_prng_below(&prng, round % 10 == 0 ? POINTS : round % 3 == 0 ? 1000 : 20);
        struct data *d = new_data(all_types[round % TYPES], count);
        fill_times(d, &prng);
        fill_values(d, &prng);
        there_and_back(d, 0, count);
        const size_t first = (size_t)af_prng_below(&prng, count);
        there_and_back(d, first, 1 + (size_t)af_prng_below(&prng, count - first));
        af_free(d);
    }
}

AF_TEST(block_type_codes)
{
    enum af_type type = AF_TYPE_NULL;
    AF_CHECK_INT(af_tsm_type_code(AF_TYPE_F64), 0);
    AF_CHECK_INT(af_tsm_type_code(AF_TYPE_I64), 1);
    AF_CHECK_INT(af_tsm_type_code(AF_TYPE_BOOL), 2);
    AF_CHECK_INT(af_tsm_type_code(AF_TYPE_STRING), 3);
    AF_CHECK_INT(af_tsm_type_code(AF_TYPE_U64), 4);
    AF_CHECK_INT(af_tsm_type_code(AF_TYPE_DECIMAL), -1);
    for (int code = 0; code < 5; code++)
        AF_CHECK(af_tsm_type_of(code, &type) && af_tsm_type_code(type) == code);
    AF_CHECK(!af_tsm_type_of(5, &type) && !af_tsm_type_of(-1, &type));
}

/* --- which encoding ------------------------------------------------------------------------------------------------------- */

static void check_described(const struct data *d, const char *times, const char *values)
{
    struct af_error err;
    struct af_buf out;
    enum af_type type;
    size_t count;
    const char *time_name, *value_name;
    af_buf_init(&out, 1 << 20);
    AF_CHECK_OK(af_tsm_block_encode(&d->values, 0, d->count, &out, &err), err);
    AF_CHECK_OK(af_tsm_block_describe(af_buf_slice(&out), &type, &count, &time_name, &value_name, &err), err);
    AF_CHECK_INT(type, d->values.values.type);
    AF_CHECK_INT(count, d->count);
    AF_CHECK_STR(time_name, times);
    AF_CHECK_STR(value_name, values);
    af_buf_done(&out);
    there_and_back(d, 0, d->count);
}

AF_TEST(block_names_of_encodings)
{
    const char *names[] = { "gor", "rle", "rle", "bool", "snappy" };
    for (size_t k = 0; k < TYPES; k++) {
        struct data *d = new_data(all_types[k], 10);
        for (size_t i = 0; i < 10; i++)
            d->times[i] = (int64_t)i * 5;
        check_described(d, "rle", names[k]);
        d->times[9]++;
        check_described(d, "s8b", names[k]);
        d->times[9] += INT64_C(1) << 60;
        check_described(d, "raw", names[k]);
        if (k == 1 || k == 2) {
            d->numbers[4] = 1;
            check_described(d, "raw", "s8b");
            d->numbers[4] = UINT64_C(1) << 62;
            check_described(d, "raw", "raw");
        }
        af_free(d);
    }
}

/* Steps at the border of what a word holds, for times and integers. */
AF_TEST(block_steps_of_60_bits)
{
    struct data *d = new_data(AF_TYPE_I64, 3);
    d->times[0] = INT64_MIN, d->times[1] = INT64_MIN + 1, d->times[2] = d->times[1] + (INT64_C(1) << 60) - 1;
    d->numbers[2] = (UINT64_C(1) << 59) - 1; /* zigzag: 2^60 - 2 */
    check_described(d, "s8b", "s8b");
    d->numbers[2] = 0 - (UINT64_C(1) << 59); /* 2^60 - 1 */
    check_described(d, "s8b", "s8b");
    d->numbers[2] = UINT64_C(1) << 59; /* 2^60 */
    check_described(d, "s8b", "raw");
    d->times[2]++;
    check_described(d, "raw", "raw");
    d->numbers[0] = d->numbers[1] = d->numbers[2] = UINT64_MAX / 2; /* the first value may be of any size */
    check_described(d, "raw", "rle");
    d->numbers[2]++;
    check_described(d, "raw", "s8b");
    af_free(d);
}

/* --- refused -------------------------------------------------------------------------------------------------------------- */

AF_TEST(block_encode_refuses)
{
    struct af_error err;
    struct af_buf out;
    struct data *d = new_data(AF_TYPE_F64, 5);
    double *floats = (double *)(void *)d->numbers;
    const double bad[] = { NAN, INFINITY, -INFINITY };
    af_buf_init(&out, 1 << 20);
    af_buf_append_str(&out, "kept");
    for (size_t i = 0; i < 5; i++)
        d->times[i] = (int64_t)i;
    AF_CHECK_FAILS(af_tsm_block_encode(&d->values, 0, 0, &out, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_tsm_block_encode(&d->values, 5, 1, &out, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_tsm_block_encode(&d->values, 2, SIZE_MAX, &out, &err), AF_EINVAL);
    for (size_t k = 0; k < 3; k++) {
        floats[3] = bad[k];
        AF_CHECK_FAILS(af_tsm_block_encode(&d->values, 0, 5, &out, &err), AF_EINVAL);
        AF_CHECK_OK(af_tsm_block_encode(&d->values, 0, 3, &out, &err), err);
        af_buf_rewind(&out, 4);
    }
    d->values.values.type = AF_TYPE_DATE;
    AF_CHECK_FAILS(af_tsm_block_encode(&d->values, 0, 5, &out, &err), AF_EINVAL);
    AF_CHECK_SLICE(af_buf_slice(&out), "kept");
    af_buf_done(&out);
    af_free(d);
}

/* Every shorter block, every longer one, and every other count of values than of times. */
AF_TEST(block_decode_refuses_other_lengths)
{
    struct af_prng prng = { 8 };
    struct af_error err;
    struct af_arena arena;
    struct af_buf out;
    struct af_tsm_values got;
    af_arena_init(&arena, 1 << 26);
    af_buf_init(&out, 1 << 20);
    for (int round = 0; round < 150; round++) {
        struct data *d = new_data(all_types[round % TYPES], 40);
        fill_times(d, &prng);
        fill_values(d, &prng);
        af_buf_clear(&out);
        AF_CHECK_OK(af_tsm_block_encode(&d->values, 0, d->count, &out, &err), err);
        for (size_t len = 0; len < out.len; len++)
            AF_CHECK_FAILS(decode_tight(out.ptr, len, &arena, &got, &err), AF_ECORRUPT);
        af_buf_append_char(&out, 0);
        AF_CHECK_FAILS(decode_tight(out.ptr, out.len, &arena, &got, &err), AF_ECORRUPT);
        af_arena_reset(&arena);
        af_free(d);
    }
    af_buf_done(&out);
    af_arena_done(&arena);
}

static enum af_status decode_hex(const char *hex, struct af_error *err)
{
    char block[200];
    struct af_arena arena;
    struct af_tsm_values got;
    af_arena_init(&arena, 1 << 26);
    enum af_status status = decode_tight(block, from_hex(hex, block), &arena, &got, err);
    af_arena_done(&arena);
    return status;
}

AF_TEST(block_decode_refuses_by_hand)
{
    struct af_error err;
    /* type, length of times, times | booleans */
    AF_CHECK_OK(decode_hex("02091c000000000000000510" "0180", &err), err);
    const char *bad[] = {
        "05091c0000000000000005100180",                   /* no such type */
        "02091d0000000000000005100180",                   /* scale 10^13 */
        "0209010000000000000005100180",                   /* raw times with a scale */
        "02093c0000000000000005100180",                   /* scheme 3 */
        "02091c0000000000000005200180",                   /* scheme of booleans */
        "02091c0000000000000005100280",                   /* two booleans, one time */
        "020b200000000000000005000110" "0280",            /* RLE: one time said, two booleans */
        "020b20000000000000000500" "02" "100280",         /* RLE: a step of 0 */
        "020b20000000000000000501" "00" "1000",           /* RLE: no times */
        "020c2000000000000000050102" "00" "100280",       /* RLE: a byte too many */
        "020b207fffffffffffffff01" "02" "100280",         /* RLE: past the end of int64 */
        "02152c0000000000000000" "ffffffffffffffff7f" "02" "100280", /* step times scale is past 64 bits */
        "02111000000000000000" "05" "f000000000000000" "100280",     /* simple8b: a step of 0 */
        "02111c0000000000000000" "ffffffffffffffff" "100280",        /* simple8b: step times scale is past 64 bits */
        "02111c0000000000000000" "f000000001197999" "100280",        /* and so it is where what wraps around ascends */
        "0211000000000000000005" "ffffffffffffffff" "100280",        /* raw: descending */
        "0211000000000000000005" "0000000000000000" "100280",        /* raw: twice the same */
        "020e200000000000000005" "01" "81808001" "10",    /* RLE: 2^21 + 1 times */
        "03091c0000000000000005" "10" "ffffff7f",         /* snappy: a size nothing can make */
        "03091c0000000000000005" "10" "0104" "0100",      /* snappy: damaged */
        "03091c0000000000000005" "10" "0308" "014142",    /* strings: a byte behind the only one */
        "03091c0000000000000005" "10" "0204" "0241",      /* strings: longer than what there is */
        "01091c0000000000000005" "30" "0000000000000000", /* scheme of integers */
        "00091c0000000000000005" "20" "0000000000000000ffff", /* scheme of floats */
        "00", "", "0209", "02ffffffffffffffffffff01",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (decode_hex(bad[i], &err) != AF_ECORRUPT)
            af_test_failed(__FILE__, __LINE__, "not refused: %s", bad[i]);
}

/* As many points as may be read: one more is refused before any memory is asked for. */
AF_TEST(block_points_max)
{
    struct af_error err;
    struct af_arena arena;
    struct af_tsm_values got;
    char block[64] = { 1, 0, 0x20 };
    uint8_t *at = (uint8_t *)block + 3 + 8;
    af_arena_init(&arena, 1 << 26);
    *at++ = 1;
    at += af_tsm_put_uvarint(at, AF_TSM_BLOCK_POINTS_MAX);
    block[1] = (char)(at - (uint8_t *)block - 2);
    *at++ = 0x20;
    at += 8;
    *at++ = 0;
    uint8_t *end = at + af_tsm_put_uvarint(at, AF_TSM_BLOCK_POINTS_MAX - 1);
    AF_CHECK_OK(decode_tight(block, (size_t)(end - (uint8_t *)block), &arena, &got, &err), err);
    AF_CHECK_INT(got.count, AF_TSM_BLOCK_POINTS_MAX);
    AF_CHECK_INT(got.time_ns[got.count - 1], AF_TSM_BLOCK_POINTS_MAX - 1);
    block[12]++;
    af_arena_reset(&arena);
    AF_CHECK_FAILS(decode_tight(block, (size_t)(end - (uint8_t *)block), &arena, &got, &err), AF_ECORRUPT);
    AF_CHECK_INT(arena.bytes_used, 0);
    AF_CHECK(strstr(err.message, "1048576") != NULL);
    af_arena_done(&arena);
}

/* --- twins, memory -------------------------------------------------------------------------------------------------------- */

AF_TEST(block_sums_and_their_twins)
{
    struct af_prng prng = { 12 };
    uint64_t fast[70], plain[70];
    for (int round = 0; round < 20000; round++) {
        const size_t count = (size_t)af_prng_below(&prng, 70);
        const unsigned shift = 4 + (unsigned)af_prng_below(&prng, 60);
        const uint64_t first = af_prng_next(&prng), scale = round % 2 == 0 ? 1 : af_prng_next(&prng) >> (23 + af_prng_below(&prng, 40)) | 1;
        for (size_t i = 0; i < count; i++)
            fast[i] = plain[i] = (af_prng_next(&prng) >> (scale == 1 && round % 8 == 0 ? 0 : shift)) + (round % 3 != 0);
        const bool ok = af_tsm_sum_times(first, scale, fast, count);
        AF_CHECK_INT(af_tsm_sum_times_scalar(first, scale, plain, count), ok);
        AF_CHECK(memcmp(fast, plain, count * 8) == 0);
        af_tsm_sum_ints(first, fast, count);
        af_tsm_sum_ints_scalar(first, plain, count);
        AF_CHECK(memcmp(fast, plain, count * 8) == 0);
        af_tsm_fill_run(first, scale, fast, count);
        af_tsm_fill_run_scalar(first, scale, plain, count);
        AF_CHECK(memcmp(fast, plain, count * 8) == 0);
    }
}

/* 18446745 * 10^12 is 2^64 and a little: wrapped around it would be a step like any other. */
AF_TEST(block_steps_that_wrap_are_no_times)
{
    const uint64_t scale = 1000000000000;
    for (size_t count = 1; count <= 9; count++)
        for (size_t at = 0; at < count; at++)
            for (uint64_t step = 18446744; step <= 18446745; step++) {
                uint64_t fast[9], plain[9];
                for (size_t i = 0; i < count; i++)
                    fast[i] = plain[i] = i == at ? step : 1;
                const bool want = step == 18446744 && count == 1; /* the others pass the end of int64 */
                AF_CHECK_INT(af_tsm_sum_times((uint64_t)INT64_MIN, scale, fast, count), want);
                AF_CHECK_INT(af_tsm_sum_times_scalar((uint64_t)INT64_MIN, scale, plain, count), want);
            }
}

static enum af_status encode_and_decode(const struct data *d)
{
    struct af_buf out;
    struct af_arena arena;
    struct af_tsm_values got;
    af_buf_init(&out, 1 << 20);
    af_arena_init(&arena, 1 << 20);
    af_buf_append_str(&out, "kept");
    enum af_status status = af_tsm_block_encode(&d->values, 0, d->count, &out, NULL);
    if (status == AF_OK)
        status = af_tsm_block_decode(af_slice_make(out.ptr + 4, out.len - 4), &arena, &got, NULL);
    else
        AF_CHECK(out.len == 4 || out.ptr == NULL);
    af_buf_done(&out);
    af_arena_done(&arena);
    return status;
}

AF_TEST(block_survives_every_failing_allocation)
{
    struct af_prng prng = { 2 };
    for (size_t k = 0; k < 2 * TYPES; k++) {
        struct data *d = new_data(all_types[k % TYPES], k < TYPES ? 900 : 2500);
        fill_times(d, &prng);
        fill_values(d, &prng);
        size_t fails = 0;
        for (size_t nth = 1; fails == nth - 1; nth++) {
            (void)af_alloc_fail_nth(nth);
            enum af_status status = encode_and_decode(d);
            (void)af_alloc_fail_nth(0);
            AF_CHECK(status == AF_OK || status == AF_ENOMEM);
            fails += status == AF_ENOMEM;
        }
        AF_CHECK(fails >= 2);
        af_free(d);
    }
}

AF_TEST(block_arena_without_room_is_a_limit)
{
    struct data *d = new_data(AF_TYPE_U64, 1000);
    struct af_error err;
    struct af_buf out;
    struct af_arena arena;
    struct af_tsm_values got;
    for (size_t i = 0; i < 1000; i++)
        d->times[i] = (int64_t)i;
    af_buf_init(&out, 1 << 20);
    af_arena_init(&arena, 9000);
    AF_CHECK_OK(af_tsm_block_encode(&d->values, 0, 1000, &out, &err), err);
    AF_CHECK_FAILS(af_tsm_block_decode(af_buf_slice(&out), &arena, &got, &err), AF_ELIMIT);
    af_arena_done(&arena);
    af_buf_done(&out);
    af_free(d);
}
