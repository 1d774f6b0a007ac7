/*
 * map.h - which columns become measurement, tags, fields and time: batches in, points out.
 *
 * A mapping comes from the built-in datasets (af_map_builtin), from YAML (af_map_parse; the language: docs/mapping.md) or from a
 * guess at a schema (af_map_infer). It is bound to the schema of one file (af_mapper_new), which says what is missing, and then
 * applied batch by batch. Rows that cannot be a point are handed back as rejects, never dropped silently; rows that say
 * nothing (every field empty) are counted as empty.
 *
 * Work is by column and dictionary entry: a tag value is escaped once per entry, a series key composed once per combination.
 */
#ifndef AF_MAP_MAP_H
#define AF_MAP_MAP_H
#include "base/calendar.h"
#include "data/points.h"

struct af_map; /* immutable, shared by threads */

/* All built-in names, NULL-terminated, with one line each on what it is. */
struct af_map_builtin_name {
    const char *name;
    const char *about;
};
const struct af_map_builtin_name *af_map_builtins(void);

/* AF_ENOTFOUND lists them all. */
AF_MUST_CHECK enum af_status af_map_builtin(const char *name, struct af_map **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_map_parse(const char *file_name, struct af_slice yaml, struct af_map **out, struct af_error *err);

/* The built-in dataset that fits the path (`dataset=generation/`, CURVA_CARGA_2023...) and the schema, else AF_ENOTFOUND. */
AF_MUST_CHECK enum af_status af_map_detect(const char *path, const struct af_schema *schema, struct af_map **out,
                                           struct af_error *err);
/* A proposal for an unknown table: the time column by type or name, text of few values as tags, numbers as fields, measurement
 * from the file name. `sample` may be NULL. */
AF_MUST_CHECK enum af_status af_map_infer(const char *path, const struct af_schema *schema, const struct af_batch *sample,
                                          struct af_map **out, struct af_error *err);
void af_map_free(struct af_map *map);

void af_map_print(const struct af_map *map, struct af_buf *out); /* as YAML that af_map_parse reads back to the same mapping */
const char *af_map_name(const struct af_map *map);
const char *af_map_bucket(const struct af_map *map); /* the bucket it suggests, or NULL */
/* The measurement, or NULL where a column decides it. */
const char *af_map_measurement(const struct af_map *map);

/* Overrides from the command line. */
struct af_map_override {
    const char *measurement;       /* NULL: as mapped */
    const char *time_zone;         /* how local times are read: "UTC", "America/Sao_Paulo", "-03:00"; NULL: as mapped */
};
AF_MUST_CHECK enum af_status af_map_override(struct af_map *map, const struct af_map_override *change, struct af_error *err);

/* --- applied to one file ------------------------------------------------------------------------------------------------- */

struct af_map_reject {
    size_t row;            /* in the batch, or SIZE_MAX: a bad row of the reader (number in file_row) */
    uint64_t file_row;
    const char *column;    /* NULL if no single one is to blame */
    const char *reason;    /* "time is null", "not a number: '12,x'", ... */
    struct af_slice raw;   /* the row as JSON, or the reader's raw bytes */
};
struct af_map_rejects {
    size_t count;
    const struct af_map_reject *items; /* in row order */
};

struct af_mapper; /* one thread's own */

/* Which columns of `schema` the mapping reads, for projection: *out_columns in the arena, ascending. */
AF_MUST_CHECK enum af_status af_map_columns(const struct af_map *map, const struct af_schema *schema, struct af_arena *arena,
                                            size_t **out_columns, size_t *out_count, struct af_error *err);
/* AF_EINVAL names every required column that `schema` lacks. The map and schema outlive the mapper. `path` gives values
 * of partition directories (key=value) that the mapping may use as columns. */
AF_MUST_CHECK enum af_status af_mapper_new(const struct af_map *map, const struct af_schema *schema, const char *path,
                                           struct af_mapper **out, struct af_error *err);
void af_mapper_free(struct af_mapper *mapper);

/* The points of a batch, in `arena`, except the series set, which is the mapper's own: the points are good until the next
 * apply. Columns that need no change are borrowed from `batch`, which must live as long. *out_empty: rows that are neither a
 * point nor a reject: no field value, or left out by a skip rule. points + rejects + empty = rows + bad rows of the batch. */
AF_MUST_CHECK enum af_status af_mapper_apply(struct af_mapper *mapper, const struct af_batch *batch, struct af_arena *arena,
                                             struct af_points *out, struct af_map_rejects *out_rejects, size_t *out_empty,
                                             struct af_error *err);
#endif
