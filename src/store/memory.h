/*
 * memory.h - the reference store: points in memory, InfluxDB's verdicts. What other stores are compared with, and what tests
 * write to.
 */
#ifndef AF_STORE_MEMORY_H
#define AF_STORE_MEMORY_H
#include "store/store.h"

struct af_memory_options {
    bool is_v2;               /* judge as InfluxDB 2.x: one bad line and nothing of the request is kept; unsigned integers exist */
    bool must_create;         /* writes and scans are AF_ENOTFOUND until create was called */
    size_t request_bytes_max; /* more is AF_WRITE_TOO_LARGE; 0: no limit */
};
/* `options` NULL: all zero. */
AF_MUST_CHECK enum af_status af_memory_open(const struct af_memory_options *options, struct af_store **out, struct af_error *err);

/* Values (series, field, time) that a memory store holds. */
uint64_t af_memory_values(struct af_store *store);
#endif
