/* v1_names.h - names gathered from the buckets of a database; see v1_names.c. */
#ifndef AF_SERVER_V1_NAMES_H
#define AF_SERVER_V1_NAMES_H
#include "server/v1_query.h"
#include "store/store.h"

struct v1_name {
    struct af_slice name;
    struct af_slice type;        /* of a field */
};
struct v1_names {
    struct af_arena *arena;
    struct v1_name *items;
    size_t count, cap;
};
/* The buckets of a database that the asker may read, those of `policy` alone if it is not NULL. *out_exists: the database is there. */
AF_MUST_CHECK enum af_status v1_buckets(struct v1_run *run, const char *database, const char *policy, struct v1_policy **out,
                                        size_t *out_count,
                                        bool *out_exists, struct af_error *err);
/* Add the names of one bucket. With a predicate they are read off its series. measurement NULL: all (AF_LIST_MEASUREMENTS,
 * AF_LIST_SERIES). */
AF_MUST_CHECK enum af_status v1_names_add(struct v1_run *run, uint64_t bucket, enum af_listing what, const char *measurement,
                                          const char *tag,
                                          const struct af_predicate *predicate, struct v1_names *names, struct af_error *err);
/* Sorted, each once. */
void v1_names_sort(struct v1_names *names);
AF_MUST_CHECK bool v1_names_has(const struct v1_names *names, struct af_slice name);
#endif
