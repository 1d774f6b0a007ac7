/*
 * rows.h - collects rows one by one and hands them out as the batches that a scan gives (store.h): series, time, fields.
 *
 *     af_rows_begin(rows, key, time, err);  af_rows_f64(rows, 0, 1.5);  af_rows_text(rows, 3, s);   one row
 *     if (af_rows_is_full(rows)) af_rows_take(rows, arena, &batch, err);
 *
 * For the fillings of the seam. Not thread-safe.
 */
#ifndef AF_STORE_ROWS_H
#define AF_STORE_ROWS_H
#include "data/batch.h"

struct af_rows;

/* `fields` are the columns after series and time; of each, name and type (F64 I64 U64 BOOL STRING TIME) are copied. */
AF_MUST_CHECK enum af_status af_rows_new(const struct af_field *fields, size_t field_count, struct af_rows **out,
                                         struct af_error *err);
void af_rows_free(struct af_rows *rows); /* NULL is fine */
const struct af_schema *af_rows_schema(const struct af_rows *rows); /* series, time, fields; lives as long as `rows` */

/* Begin a row without any value. AF_ENOMEM leaves the rows as they were. */
AF_MUST_CHECK enum af_status af_rows_begin(struct af_rows *rows, struct af_slice series, int64_t time_ns, struct af_error *err);
/* Give the last row a value (again: the later wins, but a text's bytes are kept until the batch is taken). `field` counts
 * from 0. */
void af_rows_f64(struct af_rows *rows, size_t field, double value);
void af_rows_i64(struct af_rows *rows, size_t field, int64_t value); /* also of TIME */
void af_rows_u64(struct af_rows *rows, size_t field, uint64_t value);
void af_rows_bool(struct af_rows *rows, size_t field, bool value);
AF_MUST_CHECK enum af_status af_rows_text(struct af_rows *rows, size_t field, struct af_slice value, struct af_error *err);
/* Take the last row back, as when it has no value. */
void af_rows_drop_last(struct af_rows *rows);

bool af_rows_is_full(const struct af_rows *rows); /* AF_BATCH_ROWS, AF_BATCH_TEXT_BYTES_MAX, or much memory for wide rows */

/* All rows as a batch in `arena`; then there are none. *out is NULL if there were none. */
AF_MUST_CHECK enum af_status af_rows_take(struct af_rows *rows, struct af_arena *arena, struct af_batch **out,
                                          struct af_error *err);
#endif
