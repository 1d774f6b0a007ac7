/*
 * v2_delete.h - the text of a delete's predicate, taken apart; see v2_delete_text.c.
 */
#ifndef AF_SERVER_V2_DELETE_H
#define AF_SERVER_V2_DELETE_H
#include "base/arena.h"
#include "data/predicate.h"

/* One measurement (NULL: all) and the series in it: what af_store_erase takes. */
struct delete_branch {
    const char *measurement;
    const struct af_predicate *predicate; /* NULL: all */
    struct delete_branch *next;
};
/* AF_EINVAL with a place. An empty text is one branch: everything. All in `arena`. No branch at all: nothing can match. */
AF_MUST_CHECK enum af_status delete_text_parse(struct af_slice text, struct af_arena *arena, struct delete_branch **out,
                                               struct af_error *err);
#endif
