/*
 * points.h - rows that know their series: what a mapping makes, what line protocol and TSM encode.
 *
 * A series is named by its key, `measurement,tag=value,...` in line protocol's own escaped form with tags in ascending
 * order of key bytes: the form InfluxDB stores, so it is composed once a series and copied afterwards.
 */
#ifndef AF_DATA_POINTS_H
#define AF_DATA_POINTS_H
#include "base/intern.h"
#include "data/batch.h"

/*
 * Keys seen so far, id = order of appearance. One thread's own. Cleared (ids start over) between batches when its keys pass
 * AF_SERIES_BYTES_MAX, so memory stays bounded whatever the cardinality. `generation` tells users of cached ids: it is unique in the
 * process, so the same generation means the same set with the same ids, also when another file brought another set.
 */
struct af_series_set {
    struct af_intern keys;
    uint64_t generation;
};
void af_series_set_init(struct af_series_set *set);
void af_series_set_clear(struct af_series_set *set); /* ids start at 0 again, under a new generation */
void af_series_set_done(struct af_series_set *set);

/* One field of the points. column->validity says which rows have it. Types BOOL I64 U64 F64 STRING only; text is valid UTF-8;
 * floats are finite. */
struct af_point_field {
    struct af_slice name;    /* as a human writes it */
    struct af_slice escaped; /* as line protocol writes it */
    struct af_column column;
};

struct af_points {
    size_t row_count;
    const struct af_series_set *set;
    const uint32_t *series;  /* per row, an id of `set`; UINT32_MAX: the row is no point (it was rejected), skip it */
    const int64_t *time_ns;  /* per row */
    size_t field_count;
    const struct af_point_field *fields;
    /* Where the rows come from; as in batch.h. */
    uint64_t first_row;
    uint32_t row_group;
};

/* Escaping of the parts of a key (line protocol: a backslash in front of these characters). */
struct af_buf;
void af_key_append_measurement(struct af_buf *out, struct af_slice name); /* comma, space */
void af_key_append_tag(struct af_buf *out, struct af_slice text);         /* comma, space, equals: tag keys and values, field names */

/* Which of `lanes` a series belongs to: the same key always goes the same way, so its points keep their order. */
uint32_t af_series_lane(const struct af_series_set *set, uint32_t id, uint32_t lanes);
#endif
