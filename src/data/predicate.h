/*
 * predicate.h - which series: tests of tags under and, or, not. Closed on purpose: the engine matches it to an index, remote stores print
 * it as query text. Anything richer is a filter above the scan.
 *
 * A series without a tag has the empty string there, as in InfluxDB: `region != ''` means "has a region".
 */
#ifndef AF_DATA_PREDICATE_H
#define AF_DATA_PREDICATE_H
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

enum af_predicate_op {
    AF_PREDICATE_AND, AF_PREDICATE_OR, AF_PREDICATE_NOT, AF_PREDICATE_EQUAL, AF_PREDICATE_NOT_EQUAL,
    AF_PREDICATE_MATCH, AF_PREDICATE_NOT_MATCH,
};
struct af_regex;
struct af_predicate {
    enum af_predicate_op op;
    const struct af_predicate *const *items; /* AND, OR: any number; NOT: one */
    size_t item_count;
    struct af_slice tag, value;              /* EQUAL, NOT_EQUAL: unescaped */
    const struct af_regex *regex;            /* MATCH, NOT_MATCH: of the tag's value (base/regex.h) */
};

/* Does the series with this key (line protocol's escaped form) match? NULL matches all, AND of nothing too, OR of nothing none. A regex
 * that runs into its limit is neither MATCH nor NOT_MATCH. */
AF_MUST_CHECK bool af_predicate_match(const struct af_predicate *predicate, struct af_slice series_key);

/* Taking keys apart: the measurement, and tags one after the other, unescaped into `scratch` when they hold escapes. `at` starts as 0. */
struct af_slice af_key_measurement_raw(struct af_slice series_key); /* still escaped */
bool af_key_next_tag(struct af_slice series_key, size_t *at, struct af_slice *out_key_raw, struct af_slice *out_value_raw);
/* The text a human reads: \, \space \= become one character. Points into `raw` if there is nothing to do, else into `scratch`; where that
 * could not grow (scratch->failed) it is `raw`. A measurement knows no \=. */
struct af_slice af_key_unescape(struct af_slice raw, struct af_buf *scratch);
struct af_slice af_key_unescape_measurement(struct af_slice raw, struct af_buf *scratch);
#endif
