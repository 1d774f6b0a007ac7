/* digest.h - what is remembered of a TSM file; digest.c says how and how much. */
#ifndef AF_TSM_DIGEST_H
#define AF_TSM_DIGEST_H
#include "tsm/tsm_int.h"
#include <stdatomic.h>

enum { DIGEST_FIELDS_MAX = 1024 }; /* names of fields in one file; one with more has no digest */

struct digest_entry {
    int64_t min_ns, max_ns;
    uint32_t first_block;
    uint32_t key;          /* its number in the file */
    uint16_t block_count;
    uint16_t field;
    uint8_t type;          /* enum af_type */
    bool overlaps;         /* a block begins before the one in front of it ends */
    bool has_stats, has_days;
};
struct digest_slot {
    uint32_t id;
    uint32_t number;       /* of the series in the file, from 1; 0: free */
};
/* Counts and sums of UTC days, entry after entry. */
struct digest_days {
    uint32_t *first;       /* of each entry, and behind the last */
    int32_t *day;          /* since 1970-01-01 */
    uint32_t *count;
    uint64_t *sum;         /* the type's own 64 bits */
    size_t bytes;
};
struct af_digest {
    _Atomic uint32_t refs;
    struct af_slice *fields; /* by number */
    uint32_t field_count, series_count, entry_count, block_count;
    struct digest_slot *slots;
    size_t slot_mask;
    uint32_t *first;       /* entry of each series, and behind the last */
    struct digest_entry *entries;
    struct af_tsm_block_ref *blocks;
    struct af_tsm_stat *stats; /* of each block; count 0: none. NULL: the file has none */
    _Atomic(struct digest_days *) days;
    atomic_bool has_no_days;
    struct af_mutex lock;  /* who makes the days */
    struct af_arena arena; /* the names */
    bool has_overlaps;     /* some entry has */

    size_t bytes;          /* the rest under the lock of all */
    struct af_tsm_part *part; /* that keeps it; NULL: none */
    struct af_digest *prev, *next;
    uint64_t used;
};

/* A query that may ask for digests begins: what the last few used is not given up for it. */
void af_digest_begin_query(void);
/* The part's digest, made if a query for so many series is worth it: a reference, or NULL. */
struct af_digest *af_digest_get(struct af_tsm_part *part, struct af_index *index, size_t series_wanted);
bool af_digest_is_there(const struct af_tsm_part *part);
void af_digest_unref(struct af_digest *digest);      /* NULL is fine */
void af_digest_forget(struct af_tsm_part *part);     /* the part goes */
/* Made when first asked for; NULL: there are none, or no room for them. Live as long as the digest. */
const struct digest_days *af_digest_days(struct af_digest *digest, const struct af_tsm_part *part);
size_t af_digest_bytes(void);                        /* of all that parts keep */
/* Another ceiling than AF_TSM_DIGEST_BYTES_MAX, for tests; what is above it goes at once. 0: there are none. */
void af_digest_limit(size_t bytes_max);

/* Entries of a series: [*out_first, *out_end); false: the file has none. */
static inline bool af_digest_find(const struct af_digest *digest, uint32_t id, uint32_t *out_first, uint32_t *out_end)
{
    for (size_t at = id & digest->slot_mask; digest->slots[at].number != 0; at = (at + 1) & digest->slot_mask)
        if (digest->slots[at].id == id) {
            *out_first = digest->first[digest->slots[at].number - 1];
            *out_end = digest->first[digest->slots[at].number];
            return true;
        }
    return false;
}
#endif
