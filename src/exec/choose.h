/*
 * choose.h - which rows of a window SELECT takes: the function's choice, by other columns if asked, in the order in which answers have
 * them.
 */
#ifndef AF_EXEC_CHOOSE_H
#define AF_EXEC_CHOOSE_H
#include "exec/build.h"

/* Rows [first, first + count) of columns that lie somewhere. */
struct piece {
    const struct af_column *columns;
    size_t first, count;
};
/* May a window be chosen from piece by piece: the choice of what pieces gave is the choice of the whole? */
bool choose_is_gradual(enum af_fn fn);
/* In *out_rows (in `arena`): rows of the columns, ascending; `is_final`: in the order of the answer. */
AF_MUST_CHECK enum af_status choose_rows(const struct af_plan_select *plan, const struct piece *piece, bool is_final, uint64_t seed,
                                         struct af_arena *arena, uint32_t **out_rows, size_t *out_count, struct af_error *err);
#endif
