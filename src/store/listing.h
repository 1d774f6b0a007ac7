/*
 * listing.h - the stream that a listing gives (store.h): names with a type, a retention or a count. For the fillings of the seam.
 */
#ifndef AF_STORE_LISTING_H
#define AF_STORE_LISTING_H
#include "store/store.h"

struct af_listed;
AF_MUST_CHECK enum af_status af_listed_new(enum af_listing what, struct af_listed **out, struct af_error *err);
/* `type` is for AF_LIST_FIELDS, `number` the retention of AF_LIST_BUCKETS and the count of AF_LIST_COUNTS. Names are sorted bytewise at the
 * end, repeated ones stay. */
AF_MUST_CHECK enum af_status af_listed_add(struct af_listed *listed, struct af_slice name, const char *type, int64_t number,
                                           struct af_error *err);
/* The same object as a stream; closing it frees it. Nothing may be added afterwards. */
struct af_stream *af_listed_stream(struct af_listed *listed);
#endif
