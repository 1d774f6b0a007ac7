/*
 * plan_int.h - the plan from inside: how a node is made and judged.
 *
 * Whoever makes a node writes a draft on its stack: kind, inputs, settings. plan_add judges it (node_judge), gives it a schema and a number
 * and copies it into the arena. af_plan_check judges the finished nodes again with the same calls.
 */
#ifndef AF_PLAN_INT_H
#define AF_PLAN_INT_H
#include "plan/plan.h"

enum { PLAN_EXPR_DEPTH_MAX = 10000 }; /* chains of OR are deep, and all of this is recursive */

const char *node_name(enum af_node_kind kind);
static inline bool node_is_leaf(const struct af_node *node)
{
    return node->kind == AF_NODE_SCAN || node->kind == AF_NODE_FOLD || node->kind == AF_NODE_EMPTY;
}
static inline bool schema_has_time(const struct af_schema *schema)
{
    return schema->field_count != 0 && schema->fields[0].type == AF_TYPE_TIME;
}

/* `draft` with its schema and number, its input array copied. AF_EINVAL: it does not fit its inputs. */
AF_MUST_CHECK enum af_status plan_add(struct af_plan *plan, const struct af_node *draft, const struct af_node **out, struct af_error *err);
/* Columns of what `node` gives; EMPTY: as it is. */
AF_MUST_CHECK enum af_status node_schema(struct af_arena *arena, const struct af_node *node, struct af_schema *out, struct af_error *err);
/* Do settings and inputs fit? AF_EINVAL. And its schema. */
AF_MUST_CHECK enum af_status node_judge(struct af_arena *arena, const struct af_node *node, struct af_schema *out, struct af_error *err);
/* Does the expression fit the schema? AF_EINVAL, AF_ELIMIT: too deep. */
AF_MUST_CHECK enum af_status expr_check(const struct af_expr *expr, const struct af_schema *schema, struct af_error *err);
/* Type of what a call gives. */
AF_MUST_CHECK enum af_status call_type(const struct af_fn_call *call, enum af_type *out, struct af_error *err);

/* Names of the key parts of what a node gives; `is_known` false: it gives nothing that has a key (EMPTY). */
struct key_names {
    bool is_known;
    bool has_measurement;                /* before the others */
    const struct af_slice *group;
    size_t count;
};
struct key_names node_keys(const struct af_node *node);
bool schema_eq(const struct af_schema *a, const struct af_schema *b);
bool window_eq(const struct af_window *a, const struct af_window *b);

/* --- the same? (same.c) Names count, numbers of nodes do not. ------------------------------------------------------------------------ */

bool value_same(const struct af_value *a, const struct af_value *b);
bool expr_same(const struct af_expr *a, const struct af_expr *b);
bool predicate_same(const struct af_predicate *a, const struct af_predicate *b);
/* `but_columns`: fields and tags may differ, and filter, which is over them. */
bool scan_same(const struct af_plan_scan *a, const struct af_plan_scan *b, bool but_columns);
/* `but_calls`: these may differ. */
bool aggregate_same(const struct af_plan_aggregate *a, const struct af_plan_aggregate *b, bool but_calls);
bool node_same(const struct af_node *a, const struct af_node *b);

/* --- rules (rules*.c) ---------------------------------------------------------------------------------------------------------------- */

/* *out: the node that stands for `node` from now on, `node` itself where there is nothing to gain. Its inputs went through before. */

struct rules {
    struct af_plan *plan;
    const struct af_rules_world *world;
};
typedef enum af_status (*rule_fn)(struct rules *rules, const struct af_node *node, const struct af_node **out, struct af_error *err);
AF_MUST_CHECK enum af_status rule_calls_through_maps(struct rules *, const struct af_node *, const struct af_node **, struct af_error *);
AF_MUST_CHECK enum af_status rule_share_branches(struct rules *, const struct af_node *, const struct af_node **, struct af_error *);
AF_MUST_CHECK enum af_status rule_filters_into_scans(struct rules *, const struct af_node *, const struct af_node **, struct af_error *);
AF_MUST_CHECK enum af_status rule_unused_columns(struct rules *, const struct af_node *, const struct af_node **, struct af_error *);
AF_MUST_CHECK enum af_status rule_limits_into_scans(struct rules *, const struct af_node *, const struct af_node **, struct af_error *);
AF_MUST_CHECK enum af_status rule_folds(struct rules *, const struct af_node *, const struct af_node **, struct af_error *);
AF_MUST_CHECK enum af_status rule_order_not_needed(struct rules *, const struct af_node *, const struct af_node **, struct af_error *);
/* One rule over the whole plan, inputs first; a node that several take is rewritten once. */
AF_MUST_CHECK enum af_status rules_apply(struct rules *rules, rule_fn rule, struct af_error *err);
/* `node` with another input. */
AF_MUST_CHECK enum af_status rules_on_input(struct rules *rules, const struct af_node *node, const struct af_node *input,
                                            const struct af_node **out, struct af_error *err);
/* AGGREGATE or TRANSFORM over another input, in which its column i is map[i]. */
AF_MUST_CHECK enum af_status rules_on_columns(struct rules *rules, const struct af_node *node, const struct af_node *input,
                                              const size_t *map, const struct af_node **out, struct af_error *err);
/* Sets the columns that make the expression null when all of them are. False: there are none, it may have a value nevertheless. */
bool expr_witness(bool *columns, const struct af_expr *expr);
/* The expression over a schema in which column i is map[i]. NULL: no memory. */
const struct af_expr *expr_remap(struct af_arena *arena, const struct af_expr *expr, const size_t *map);

/* --- printing ------------------------------------------------------------------------------------------------------------------------ */

/* A literal as it is printed: "text", 1.5, 3, 7u, true, 2024-01-01T00:00:00Z, null. */
void print_value(struct af_buf *out, const struct af_value *value);
void print_predicate(struct af_buf *out, const struct af_predicate *predicate);
#endif
