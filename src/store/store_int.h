/*
 * store_int.h - the memory store's insides, shared by memory.c (writing), memory_scan.c (reading), memory_fold.c (folding) and others.
 *
 *     store -> measurement (names and types of its fields) -> series (key) -> strand (one field of one series)
 *                                                                             `- cells, ascending in time, each time once
 *
 * One lock guards all of it. Series and fields are never removed, so indices stay good between two calls of a scan's `next`; erasing takes
 * cells away only.
 */
#ifndef AF_STORE_INT_H
#define AF_STORE_INT_H
#include "base/intern.h"
#include "os/thread.h"
#include "store/memory.h"

struct mem_cell {
    int64_t time_ns;
    uint32_t text_len;
    union {
        double f64;
        int64_t i64;
        uint64_t u64; /* also BOOL */
        char *text;   /* owned */
    };
};

struct mem_strand {
    uint32_t field; /* id in the measurement's names */
    struct mem_cell *cells;
    size_t count;
    size_t cap;
};

struct mem_series {
    uint32_t measurement;
    struct mem_strand *strands;
    size_t strand_count;
};

struct mem_measurement {
    struct af_intern fields; /* names as a human writes them */
    enum af_type *types;     /* by field id */
};

struct mem_store {
    struct af_store base;
    struct af_memory_options options;
    struct af_mutex lock;
    bool is_created;
    struct af_intern measurement_names; /* in the key's escaped form */
    struct mem_measurement *measurements;
    struct af_intern keys;
    struct mem_series *series;          /* by key id */
    uint64_t value_count;
};

const char *mem_type_word(enum af_type type); /* "float", "integer", ... as InfluxDB says */
struct mem_strand *mem_find_strand(const struct mem_series *series, uint32_t field);
size_t mem_lower_bound(const struct mem_strand *strand, int64_t time_ns);
AF_MUST_CHECK enum af_status mem_check_created(const struct mem_store *store, struct af_error *err);

AF_MUST_CHECK enum af_status mem_scan(struct af_store *store, const struct af_scan *scan, struct af_stream **out,
                                      struct af_error *err);
AF_MUST_CHECK enum af_status mem_erase(struct af_store *store, const struct af_scan *scan, struct af_error *err);
AF_MUST_CHECK enum af_status mem_fold(struct mem_store *store, const struct af_scan *scan, struct af_stream **out, struct af_error *err);
/* Ids of the series that a scan reads, in its order; *out is the caller's to free. */
AF_MUST_CHECK enum af_status mem_choose_series(const struct mem_store *store, const struct af_scan *scan, uint32_t measurement,
                                               uint32_t **out, size_t *out_count, struct af_error *err);
int64_t mem_last_ns(const struct af_scan *scan); /* the last time of a scan that is not empty */
bool mem_series_has_cells(const struct mem_series *series);
/* The measurement's id, or UINT32_MAX. */
AF_MUST_CHECK enum af_status mem_find_measurement(const struct mem_store *store, const char *name, uint32_t *out, struct af_error *err);
AF_MUST_CHECK enum af_status mem_list(struct af_store *store, enum af_listing what, const struct af_scan *scan,
                                      struct af_stream **out, struct af_error *err);
#endif
