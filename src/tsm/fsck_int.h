/*
 * fsck_int.h - what the checker's files share: fsck.c (directory, log, buckets), fsck_shard.c (the files of a shard).
 */
#ifndef AF_TSM_FSCK_INT_H
#define AF_TSM_FSCK_INT_H
#include "tsm/tsm_int.h"

struct fsck {
    bool repair;
    void (*fault)(void *ctx, const char *words);
    void *ctx;
    struct af_tsm_fsck *out;
};
/* A fault, counted; words about one that was counted, or about its repair. */
void fsck_fault(struct fsck *fsck, const char *fmt, ...) AF_PRINTF(2, 3);
void fsck_say(struct fsck *fsck, const char *fmt, ...) AF_PRINTF(2, 3);
/* A fault that is repaired by removing the file: it is made again, or nobody needs it. */
AF_MUST_CHECK enum af_status fsck_remove(struct fsck *fsck, const char *path, const char *why, struct af_error *err);
char *fsck_join(const char *dir, const char *name); /* NULL without memory */
const char *fsck_base_name(const char *path);
bool fsck_is_temporary(const char *path);

struct fsck_range {
    uint64_t id;
    int64_t start_ns, end_ns;
};
struct fsck_bucket {
    const char *dir;
    struct af_index *index;    /* NULL: none that can be used */
    uint64_t unknown_series;   /* in files but not in the index */
    bool has_manifest;
    struct fsck_range *ranges;
    size_t count, cap;
};
AF_MUST_CHECK enum af_status fsck_shard(struct fsck *fsck, struct fsck_bucket *bucket, const char *dir, struct af_error *err);
#endif
