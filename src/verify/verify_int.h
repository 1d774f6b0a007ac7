/*
 * verify_int.h - the parts of verify: sort.c (records on disk), digest.c (sums per series and day), exact.c (value by value).
 */
#ifndef AF_VERIFY_INT_H
#define AF_VERIFY_INT_H
#include "base/hash.h"
#include "os/file.h"
#include "os/thread.h"
#include "verify/verify.h"

/* --- sort.c: an external merge sort of fixed-size records ------------------------------------------------------------------------ */

struct af_sorter {
    struct af_mutex lock;      /* runs come from several workers */
    struct af_file *scratch;   /* opened with the first run */
    const char *dir;
    size_t record_bytes;
    int (*compare)(const void *a, const void *b);
    struct af_sort_run {
        uint64_t offset;
        uint64_t count;
    } *runs;
    size_t run_count, run_cap;
};
void af_sorter_init(struct af_sorter *sorter, const char *dir, size_t record_bytes,
                    int (*compare)(const void *a, const void *b));
void af_sorter_done(struct af_sorter *sorter);
/* Sorts `records` in place and writes them as a run. Any thread. */
AF_MUST_CHECK enum af_status af_sorter_add_run(struct af_sorter *sorter, void *records, size_t count, struct af_error *err);

struct af_sort_cursor;
AF_MUST_CHECK enum af_status af_sort_cursor_open(struct af_sorter *sorter, struct af_sort_cursor **out, struct af_error *err);
/* The next record in order, NULL at the end; good until the next call. */
AF_MUST_CHECK enum af_status af_sort_cursor_next(struct af_sort_cursor *cursor, const void **out, struct af_error *err);
void af_sort_cursor_close(struct af_sort_cursor *cursor);

/* --- what a value is ------------------------------------------------------------------------------------------------------------- */

struct af_value_bits {
    uint64_t bits;   /* the value itself, or the hash of a string */
    uint8_t type;    /* enum af_type */
};
struct af_value_bits af_value_bits(const struct af_column *column, size_t row);
static inline uint64_t af_name_hash(struct af_slice name)
{
    return af_hash_bytes(name.ptr, name.len, 0x5eed);
}
static inline int32_t af_day_of(int64_t time_ns)
{
    return (int32_t)af_floor_div(time_ns, AF_NS_PER_DAY);
}

/* --- digest.c -------------------------------------------------------------------------------------------------------------------- */

struct af_day_sum {
    uint64_t series;    /* hash of the key */
    int64_t day;        /* since 1970 */
    uint64_t points;
    uint64_t values;
    uint64_t sum_a, sum_b;
};
int af_day_sum_compare(const void *a, const void *b); /* by series, day */

/* Sums of one worker. Not thread-safe; spills into the sorter. */
struct af_day_table {
    struct af_sorter *sorter;
    struct af_day_sum *entries;  /* AF_VERIFY_TABLE_ENTRIES */
    uint32_t *slots;             /* entry + 1 */
    size_t count;
};
AF_MUST_CHECK enum af_status af_day_table_init(struct af_day_table *table, struct af_sorter *sorter, struct af_error *err);
void af_day_table_done(struct af_day_table *table);
AF_MUST_CHECK enum af_status af_day_table_flush(struct af_day_table *table, struct af_error *err);
/* The entry of (series, day), made if new. */
AF_MUST_CHECK enum af_status af_day_table_get(struct af_day_table *table, uint64_t series, int64_t day, struct af_day_sum **out,
                                              struct af_error *err);
/* Add a value to an entry. */
static inline void af_day_sum_add(struct af_day_sum *sum, int64_t time_ns, uint64_t field_hash, struct af_value_bits value)
{
    uint64_t x = af_hash_mix((uint64_t)time_ns ^ field_hash);
    uint64_t y = af_hash_mix(value.bits + 0x9e3779b97f4a7c15ULL * (value.type + 1u));
    sum->sum_a += af_hash_mix(x + y);
    sum->sum_b += af_hash_mix((x ^ (y << 31 | y >> 33)) + 0xd6e8feb86659fd93ULL);
    sum->values++;
}

/* --- keys that differ -------------------------------------------------------------------------------------------------------------- */

struct af_day_key {
    uint64_t series;
    int64_t day;
};
struct af_day_keys {      /* a set, built once, then read by all workers */
    struct af_day_key *slots;
    bool *taken;
    size_t slot_count;
    size_t count;
};
AF_MUST_CHECK enum af_status af_day_keys_add(struct af_day_keys *keys, uint64_t series, int64_t day, struct af_error *err);
bool af_day_keys_has(const struct af_day_keys *keys, uint64_t series, int64_t day);
void af_day_keys_done(struct af_day_keys *keys);

/* --- exact.c ----------------------------------------------------------------------------------------------------------------------- */

/* Read the values of `keys` again on both sides and judge them; adds to `result`. */
AF_MUST_CHECK enum af_status af_verify_exact(const struct af_verify_options *options, const struct af_day_keys *keys,
                                             const struct af_slice *measurements, size_t measurement_count, int64_t start_ns,
                                             int64_t stop_ns, struct af_verify_result *result, struct af_error *err);

/* The measurement at the start of an escaped series key, unescaped into `out` (cleared first). */
struct af_buf;
void af_key_measurement(struct af_slice key, struct af_buf *out);

/* Call `each` for every batch of every measurement's scan. */
AF_MUST_CHECK enum af_status af_verify_scan(const struct af_verify_options *options, const struct af_slice *measurements,
                                            size_t measurement_count, int64_t start_ns, int64_t stop_ns,
                                            enum af_status (*each)(void *ctx, const struct af_batch *batch, struct af_error *err),
                                            void *ctx, struct af_error *err);

/* Values the store refused: hashes of (series, time, field, value). The value counts too: of a point that the sources hold twice, one may
 * have been refused and the other kept. Empty unless there were any. */
struct af_refused {
    uint64_t *slots;
    size_t slot_count, count;
};
AF_MUST_CHECK enum af_status af_refused_load(struct af_refused *refused, const struct af_verify_options *options, struct af_error *err);
void af_refused_done(struct af_refused *refused);
bool af_refused_has(const struct af_refused *refused, uint64_t series, int64_t time_ns, uint64_t field_hash,
                    struct af_value_bits value);
#endif
