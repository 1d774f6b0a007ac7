/*
 * json.h - JSON in and out (reading: libyajl).
 *
 * Two ways in: a small tree for answers that are kept whole, and events for answers that are not.
 */
#ifndef AF_FORMAT_JSON_H
#define AF_FORMAT_JSON_H
#include "base/arena.h"
#include "base/buf.h"

/* Append `text` quoted and escaped; invalid UTF-8 becomes U+FFFD. */
void af_json_append_string(struct af_buf *out, struct af_slice text);
void af_json_append_f64(struct af_buf *out, double value); /* null for NaN and infinities */

/* --- tree ---------------------------------------------------------------------------------------------------------------- */
enum af_json_kind { AF_JSON_NULL, AF_JSON_BOOL, AF_JSON_NUMBER, AF_JSON_STRING, AF_JSON_ARRAY, AF_JSON_OBJECT };
struct af_json {
    enum af_json_kind kind;
    bool is_true;
    struct af_slice text;   /* STRING: unescaped; NUMBER: as written */
    struct af_slice key;    /* of an object's member */
    struct af_json *first;  /* child of ARRAY, OBJECT */
    struct af_json *next;   /* sibling */
};
/* AF_ECORRUPT with line and column; AF_ELIMIT past AF_JSON_DEPTH_MAX. The tree lives in `arena` and copies what it needs. */
AF_MUST_CHECK enum af_status af_json_parse(struct af_slice text, struct af_arena *arena, struct af_json **out,
                                           struct af_error *err);
const struct af_json *af_json_get(const struct af_json *object, const char *key); /* NULL if absent or not an object */
struct af_slice af_json_string(const struct af_json *object, const char *key);    /* {NULL, 0} if absent or no string */
bool af_json_i64(const struct af_json *node, int64_t *out);                       /* node may be NULL */
bool af_json_f64(const struct af_json *node, double *out);

void af_json_append(struct af_buf *out, const struct af_json *json); /* the tree as text, numbers as they were written */

/* --- events -------------------------------------------------------------------------------------------------------------- */
/* Called in document order; numbers as written. Returning anything but AF_OK stops the parse with that status. Slices live for
 * the call only. */
struct af_json_handler {
    /* scalars */
    enum af_status (*value)(void *ctx, enum af_json_kind kind, bool is_true, struct af_slice text, struct af_error *err);
    enum af_status (*begin)(void *ctx, enum af_json_kind kind, struct af_error *err);
    enum af_status (*end)(void *ctx, enum af_json_kind kind, struct af_error *err);
    enum af_status (*key)(void *ctx, struct af_slice key, struct af_error *err);
};
struct af_json_reader;
/* Several documents may follow each other (chunked InfluxQL answers): begin/end at depth 0 tell them apart. */
AF_MUST_CHECK enum af_status af_json_reader_new(const struct af_json_handler *handler, void *ctx, struct af_json_reader **out,
                                                struct af_error *err);
AF_MUST_CHECK enum af_status af_json_reader_feed(struct af_json_reader *reader, struct af_slice bytes, struct af_error *err);
/* AF_ECORRUPT: cut short, or nothing at all was fed. */
AF_MUST_CHECK enum af_status af_json_reader_finish(struct af_json_reader *reader, struct af_error *err);
void af_json_reader_free(struct af_json_reader *reader);
#endif
