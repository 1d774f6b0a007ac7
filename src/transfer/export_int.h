/*
 * export_int.h - between export.c and export_table.c.
 */
#ifndef AF_TRANSFER_EXPORT_INT_H
#define AF_TRANSFER_EXPORT_INT_H
#include "transfer/transfer_int.h"

/* The first column of a listing, in `arena`. */
AF_MUST_CHECK enum af_status export_names(struct af_store *store, enum af_listing what, const char *measurement, struct af_arena *arena,
                                          const char ***out, size_t *out_count, struct af_error *err);
/* All batches of a measurement; `arena` of `take` is reset afterwards. */
AF_MUST_CHECK enum af_status export_scan(const struct af_export_options *options, const char *measurement,
                                         enum af_status (*begin)(void *ctx, const struct af_schema *schema, struct af_error *err),
                                         enum af_status (*take)(void *ctx, const struct af_batch *batch, struct af_arena *arena,
                                                                struct af_error *err),
                                         void *ctx, uint64_t *rows, struct af_error *err);
#endif
