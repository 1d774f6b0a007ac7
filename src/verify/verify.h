/*
 * verify.h - proof that a store holds what the sources say: counts and order-independent digests per series and UTC day.
 *
 *   1. Sources and store are read once each; every value becomes two 64-bit hashes of (time, field, type, bits), summed into its
 *      series-day. Sums don't depend on order. Tables spill as sorted runs to a scratch file, so memory is bounded.
 *   2. The two sorted sides are merged. Series-days that agree are proven equal (a false "equal" needs a collision of 128 bits).
 *   3. Those that differ are read again, value by value, sorted by (series, time, field, order of the source): a point that the
 *      sources hold twice counts once, the later one, as the store keeps it. What still differs is a difference, with examples.
 *
 * The store is read in the time range of the sources. Series and days that no source mentions are another's business: they are counted
 * (`other_points`) and not judged. Lines the store refused during the migration (dead letters) are left out of the sources' side.
 */
#ifndef AF_VERIFY_VERIFY_H
#define AF_VERIFY_VERIFY_H
#include "ingest/ingest.h"
#include "store/store.h"

struct af_verify_options {
    const struct af_ingest_options *ingest;  /* sources, mapping, workers, cancel */
    struct af_store *store;
    int64_t precision_ns;                    /* source times are floored to it, as the migration wrote them; 0: 1 */
    const char *const *dead_letters;         /* files of a migration: the lines in them that the store refused are not expected there */
    size_t dead_letter_count;
    const char *scratch_dir;                 /* NULL: /tmp, or TMPDIR given by the caller */
    /* From several threads. values_all 0: not known yet. */
    void (*progress)(void *ctx, const char *what, uint64_t values_done, uint64_t values_all);
    void *ctx;
};

enum af_difference_kind { AF_DIFF_MISSING /* in the store */, AF_DIFF_EXTRA, AF_DIFF_VALUE };
struct af_difference {
    enum af_difference_kind kind;
    char series[256];      /* cut */
    char field[128];
    int64_t time_ns;
    char source[64];       /* values as text; "" where there is none */
    char store[64];
};

struct af_verify_result {
    bool is_equal;
    uint64_t series, points, values;      /* of the store, where the sources have series-days */
    uint64_t source_values;               /* as read: doubles included */
    uint64_t source_doubles;              /* values that a later row of the sources overwrote or repeated */
    uint64_t other_points;                /* in the store, in series-days that no source mentions */
    uint64_t differing_days;              /* series-days that differ */
    uint64_t missing, extra, differing;   /* values */
    char digest[33];                      /* of the sources' side of all series-days that are equal by digest, 128 bits in hex */
    size_t difference_count;
    struct af_difference differences[20]; /* AF_VERIFY_EXAMPLES */
    struct af_ingest_totals source;
};

/* AF_OK also when they differ: read result->is_equal. */
AF_MUST_CHECK enum af_status af_verify_run(const struct af_verify_options *options, struct af_verify_result *out,
                                           struct af_error *err);
const char *af_difference_name(enum af_difference_kind kind);
#endif
