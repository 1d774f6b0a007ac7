/*
 * afluxo.h - libafluxo for other languages: opaque handles, plain C types, errors as text. The Python package stands on this alone.
 *
 * Batches come in and go out through the Arrow C data and stream interfaces (arrow.apache.org/docs/format/CDataInterface.html), without
 * a copy where the layouts agree: what is imported is held until the converter is done with it and then released. Structs ArrowSchema,
 * ArrowArray and ArrowArrayStream are Arrow's; void * here, so that any binding can pass an address.
 *
 * A function that fails returns a negative number, -status (base/status.def), and the words are af_ffi_message() of this thread. No call
 * uses Python's lock; one handle is used by one thread at a time.
 */
#ifndef AF_FFI_AFLUXO_H
#define AF_FFI_AFLUXO_H
#include <stddef.h>
#include <stdint.h>

#define AFLUXO_API __attribute__((visibility("default")))
#define AFLUXO_ABI 1

AFLUXO_API int af_ffi_abi(void);                /* AFLUXO_ABI of the library */
AFLUXO_API const char *af_ffi_version(void);
AFLUXO_API const char *af_ffi_message(void);    /* of the last failure in this thread */
AFLUXO_API const char *af_ffi_status_name(int status); /* "EINVAL" for -1 */

/* --- mappings ------------------------------------------------------------------------------------------------------------ */
struct afluxo_mapping;
/* One of: a built-in dataset's name, YAML text. Both NULL: detected from `path` and the schema, guessed if `infer`. */
struct afluxo_mapping_options {
    const char *dataset, *yaml, *path;
    const char *measurement, *time_zone;        /* overrides, NULL: none */
    int infer;
    int exact;                                  /* of files: just the one of this name, be there letters of patterns in it */
};
AFLUXO_API int af_ffi_mapping_yaml(const struct afluxo_mapping_options *options, void *arrow_schema /* stays the caller's */,
                                   char **out_yaml); /* what it would be; af_ffi_free it */
AFLUXO_API void af_ffi_free(void *text);

/* --- tables to line protocol --------------------------------------------------------------------------------------------- */
struct afluxo_converter;
struct afluxo_counts {
    uint64_t rows, points, values, rejected, empty;
};
struct afluxo_reject {
    uint64_t row;
    const char *column;                         /* NULL: no single one */
    const char *reason;
    const char *raw;                            /* the row as JSON */
};
/* From an ArrowArrayStream (taken over), or a file (Parquet, CSV, line protocol; s3:// too). `precision`: "ns", "us", "ms", "s". */
AFLUXO_API int af_ffi_convert_stream(void *arrow_stream, const struct afluxo_mapping_options *mapping, const char *precision,
                                     struct afluxo_converter **out);
AFLUXO_API int af_ffi_convert_file(const char *source, const struct afluxo_mapping_options *mapping, const char *precision,
                                   struct afluxo_converter **out);
/* Line protocol of at most `bytes` (whole lines, at least one; 0: 1 MiB) and *lines (0, or `lines` NULL: any number) that lives until the
 * next call; *lines is how many it has. *len 0: the end. */
AFLUXO_API int af_ffi_convert_next(struct afluxo_converter *converter, size_t bytes, const char **out, size_t *len, uint64_t *lines);
/* Rows that became no point in what was read so far, one at a time; 0: no more for now, 1: *out is one, which lives until the next piece.
 * They are kept until asked for; past AF_FFI_REJECTS_MAX (100,000) waiting they are only counted. */
AFLUXO_API int af_ffi_convert_reject(struct afluxo_converter *converter, struct afluxo_reject *out);
AFLUXO_API void af_ffi_convert_counts(const struct afluxo_converter *converter, struct afluxo_counts *out);
AFLUXO_API void af_ffi_convert_free(struct afluxo_converter *converter);

/* One array with its schema (both taken over) as a stream, which is written to `out_arrow_stream`. */
AFLUXO_API int af_ffi_stream_of_array(void *arrow_schema, void *arrow_array, void *out_arrow_stream);

/* --- Parquet as Arrow ---------------------------------------------------------------------------------------------------- */
/* The file's batches as an ArrowArrayStream written to `out`; columns NULL: all. */
AFLUXO_API int af_ffi_read_file(const char *source, const char *const *columns, size_t column_count, void *out_arrow_stream);

/* --- a store ------------------------------------------------------------------------------------------------------------- */
struct afluxo_store;
struct afluxo_target {
    const char *to;                             /* directory or URL */
    const char *bucket, *org, *token;
    int create;
};
AFLUXO_API int af_ffi_store_open(const struct afluxo_target *target, struct afluxo_store **out);
AFLUXO_API void af_ffi_store_close(struct afluxo_store *store);
/* Line protocol, acknowledged when it returns; rejected lines are counted, the first reason is the message. */
AFLUXO_API int af_ffi_store_write(struct afluxo_store *store, const char *lines, size_t len, const char *precision, uint64_t *rejected);
/* A query's tables as JSON text, InfluxDB 1.x's form (lang "influxql") or rows (lang "flux" on a remote). */
AFLUXO_API int af_ffi_store_query(struct afluxo_store *store, const char *lang, const char *text, char **out_json);
#endif
