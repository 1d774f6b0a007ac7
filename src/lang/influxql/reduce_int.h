/* reduce_int.h - folding constants, for reduce.c and condition.c. */
#ifndef AF_LANG_INFLUXQL_REDUCE_INT_H
#define AF_LANG_INFLUXQL_REDUCE_INT_H
#include "lang/influxql/parse_int.h"

struct af_ql_reducer {
    const int64_t *now_ns;              /* NULL: now() stays */
    const struct af_zone *zone;         /* NULL: UTC */
    struct af_arena *arena;
    bool is_out_of_memory;
    size_t wanted;                      /* bytes, then */
};
/* All of these: NULL is no memory. Parts that are handed in are folded already, but for the tree. */
struct af_ql_expr *af_ql_fold_tree(struct af_ql_reducer *r, const struct af_ql_expr *expr);
struct af_ql_expr *af_ql_fold(struct af_ql_reducer *r, enum af_ql_op op, struct af_ql_expr *left, struct af_ql_expr *right);
struct af_ql_expr *af_ql_fold_paren(struct af_ql_reducer *r, struct af_ql_expr *inner);
struct af_ql_expr *af_ql_make_time(struct af_ql_reducer *r, __int128 ns);
void af_ql_cut_times(struct af_ql_expr *expr);
int64_t af_ql_number_to_integer(double value);
#endif
