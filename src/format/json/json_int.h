/*
 * json_int.h - what the files of format/json share with each other and with their tests.
 */
#ifndef AF_FORMAT_JSON_INT_H
#define AF_FORMAT_JSON_INT_H
#include "format/json/json.h"

/* As af_json_reader_new; with `is_single`, anything but white space after the first document is refused. */
AF_MUST_CHECK enum af_status af_json_reader_make(const struct af_json_handler *handler, void *ctx, bool is_single,
                                                 struct af_json_reader **out, struct af_error *err);
#endif
