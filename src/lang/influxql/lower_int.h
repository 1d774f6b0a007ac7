/*
 * lower_int.h - from SELECT to a plan, from inside.
 *
 *     af_ql_select --check--> struct query --rewrite--> names typed, wildcards spread --build--> nodes
 *                  (words)    one a SELECT              (asks the catalogue)          (lower*.c)
 *
 * A statement is checked from outside in and copied while that happens; the caller's tree is never changed. Rewriting goes from inside out,
 * since a subquery's columns are what the outer one may name. Types of names stand in `cast` of their REF: NONE is unknown.
 */
#ifndef AF_LANG_INFLUXQL_LOWER_INT_H
#define AF_LANG_INFLUXQL_LOWER_INT_H
#include "lang/influxql/influxql.h"

/* The times InfluxDB reckons with; both may be read. What is outside int64 less these cannot be stored. */
#define QL_TIME_MIN (INT64_MIN + 2)
#define QL_TIME_MAX (INT64_MAX - 1)

/* --- where something is in a list (lookup.c) -------------------------------------------------------------------------------------- */

/* Beside a list whose items are added in the same order:
 *     for (size_t i = lookup_first(&lookup, hash); i != SIZE_MAX; i = lookup_next(&lookup, i, hash)) if (items[i] is it) ... */
struct lookup {
    uint32_t *heads, *next;              /* items from 1 */
    uint64_t *hashes;
    size_t count, cap, mask;
};
AF_MUST_CHECK bool lookup_add(struct lookup *lookup, struct af_arena *arena, uint64_t hash); /* false: no memory */
size_t lookup_first(const struct lookup *lookup, uint64_t hash);
size_t lookup_next(const struct lookup *lookup, size_t at, uint64_t hash);
uint64_t lookup_text(const char *text);
uint64_t lookup_expr(const struct af_ql_expr *expr); /* equal if lower_expr_eq */

/* --- the statement, checked ------------------------------------------------------------------------------------------------------- */

/* A measurement of a store, and what it has. */
struct place {
    uint32_t source;
    const char *source_name;
    const char *measurement;
    const struct af_catalog_field *fields;
    size_t field_count;
    const struct af_slice *tags;
    size_t tag_count;
};
/* What one source of a FROM list stands for: measurements (a regex: any number), or a subquery. */
struct origin {
    struct place *const *places;
    size_t place_count;
    struct query *sub;               /* NULL: places */
};
struct query {
    struct af_ql_select *select;     /* a copy of its own; `time` is not among the fields any more */
    struct origin *origins;          /* select->source_count */
    struct af_ql_expr *condition;    /* without times; NULL: none */
    int64_t min_ns, max_ns;          /* both included; QL_TIME_MIN, QL_TIME_MAX: not said */
    int64_t every_ns, offset_ns;     /* GROUP BY time(); 0: none of its own */
    bool inherits_interval;
    bool descending;
    bool has_calls;                  /* any, mathematics too */
    int64_t extra_intervals;         /* that functions look back over */
    const char *time_name;           /* of the column */
};
struct lowering {
    const struct af_ql_lower_options *options;
    struct af_plan *plan;
    struct af_arena *arena;          /* the plan's */
    struct place **places;           /* asked for already */
    size_t places_cap;
    struct lookup places_by_name;
    int64_t read_min_ns, read_max_ns; /* nothing outside is read, whatever subqueries and differences would like to look back to */
};
AF_MUST_CHECK enum af_status lower_nomem(const struct lowering *lo, struct af_error *err);

/* --- trees (tree.c) ----------------------------------------------------------------------------------------------------------------- */

struct af_ql_expr *lower_copy_expr(struct af_arena *arena, const struct af_ql_expr *expr);         /* NULL: no memory, or expr is */
struct af_ql_select *lower_copy_select(struct af_arena *arena, const struct af_ql_select *select); /* subqueries too; NULL: no memory */
bool lower_expr_eq(const struct af_ql_expr *a, const struct af_ql_expr *b);
bool lower_is_literal(const struct af_ql_expr *expr);
bool lower_is_call(const struct af_ql_expr *expr, const char *name);
/* a AND b AND c as a list, from the left; one item if it is no such chain. */
AF_MUST_CHECK enum af_status lower_chain(struct lowering *lo, struct af_ql_expr *expr, enum af_ql_op op, struct af_ql_expr ***out,
                                         size_t *out_count, struct af_error *err);
/* `visit` for this and everything in it, outside first, right before left, until it says false. False: it did. */
typedef bool (*lower_visit_fn)(void *ctx, struct af_ql_expr *expr);
bool lower_walk(struct af_ql_expr *expr, lower_visit_fn visit, void *ctx);
/* af_ql_reduce, and mathematical functions of literals. */
AF_MUST_CHECK enum af_status lower_fold(struct lowering *lo, struct af_ql_expr **expr, struct af_error *err);
void lower_print(const struct af_ql_expr *expr, char *out, size_t cap); /* cut to fit */
const char *lower_go_type(const struct af_ql_expr *expr);               /* "*influxql.IntegerLiteral": messages name these */

/* --- names (names.c) ------------------------------------------------------------------------------------------------------------- */

enum call_group {
    CALL_MATH,       /* a scalar */
    CALL_SELECTOR,   /* max min first last */
    CALL_AGGREGATE,  /* count sum mean median mode stddev spread */
    CALL_PERCENTILE, CALL_SAMPLE, CALL_DISTINCT, CALL_TOP,
    CALL_DERIVATIVE, /* and elapsed: (x, duration) */
    CALL_DIFFERENCE, /* and cumulative_sum: (x) */
    CALL_MOVING_AVERAGE, CALL_EMA, CALL_KAUFMAN, CALL_CMO, CALL_INTEGRAL, CALL_HOLT_WINTERS,
};
/* Types of columns that it takes, as bits. */
enum call_takes {
    TAKES_NUMBERS = 1, TAKES_STRING = 2, TAKES_BOOLEAN = 4,
    TAKES_ALL = TAKES_NUMBERS | TAKES_STRING | TAKES_BOOLEAN,
};
struct call_name {
    const char *name;
    enum call_group group;
    enum af_fn fn;
    uint8_t takes;
    uint8_t spreads;                 /* TAKES_...: over which a wildcard inside spreads */
};
const struct call_name *lower_call_name(const char *name); /* NULL: there is no such function */
static inline bool lower_is_math(const struct af_ql_expr *call)
{
    const struct call_name *known = lower_call_name(call->name);
    return known != NULL && known->group == CALL_MATH;
}
bool lower_is_selector_call(const struct call_name *call); /* its answer may have the time of a point */

/* A column of the answer: a field, or an argument of top and bottom that becomes one (not with INTO). */
struct output {
    struct af_ql_expr *expr;
    const char *alias;               /* NULL: none */
    const char *name;                /* unique */
};
AF_MUST_CHECK enum af_status lower_outputs(struct lowering *lo, const struct query *query, struct output **out, size_t *out_count,
                                           struct af_error *err);
/* How InfluxDB calls a field without looking at others: its alias, the function, names joined by _; NULL: no memory. */
const char *lower_field_name(struct af_arena *arena, const struct af_ql_field *field);

/* --- checks (check.c, check_call.c) ------------------------------------------------------------------------------------------------ */

AF_MUST_CHECK enum af_status lower_check(struct lowering *lo, const struct af_ql_select *select, struct query **out, struct af_error *err);
struct check {
    struct lowering *lo;
    struct query *query;
    bool only_selectors, has_distinct, has_names;
    bool allows_wildcard;            /* in the field at hand */
    const char *top;                 /* "top", "bottom", NULL */
    size_t field_count, call_count;
};
AF_MUST_CHECK enum af_status lower_check_expr(struct check *check, struct af_ql_expr *expr, struct af_error *err);
AF_MUST_CHECK enum af_status lower_check_call(struct check *check, struct af_ql_expr *call, struct af_error *err);

/* --- rewriting (rewrite.c, types.c) ---------------------------------------------------------------------------------------------- */

AF_MUST_CHECK enum af_status lower_rewrite(struct lowering *lo, struct query *query, struct af_error *err);
/* NULL: the catalogue fails. */
AF_MUST_CHECK enum af_status lower_find_places(struct lowering *lo, const struct af_ql_source *source, struct origin *out,
                                               struct af_error *err);
/* Type of a name in these sources; NONE: it is not there. */
AF_MUST_CHECK enum af_status lower_name_type(struct lowering *lo, const struct query *query, const char *name, enum af_ql_cast *out,
                                             struct af_error *err);
/* Type of an expression whose names have theirs. AF_EINVAL: "type error: ...". */
AF_MUST_CHECK enum af_status lower_expr_type(const struct af_ql_expr *expr, enum af_ql_cast *out, struct af_error *err);
bool lower_type_less(enum af_ql_cast a, enum af_ql_cast b); /* b goes before a where both are there */
const char *lower_type_name(enum af_ql_cast type);
enum af_type lower_plan_type(enum af_ql_cast type);         /* NULL: unknown */
enum af_ql_cast lower_type_of_plan(enum af_type type);
enum af_ql_cast lower_field_type(const struct place *place, const char *name); /* NONE: it has no such field */
bool lower_has_tag(const struct place *place, const char *name);
/* The column of a subquery with this name: its number among the outputs, SIZE_MAX: none; what it is made of in *out_expr. */
AF_MUST_CHECK enum af_status lower_sub_column(struct lowering *lo, const struct query *sub, const char *name, size_t *out,
                                              struct af_ql_expr **out_expr, struct af_error *err);
bool lower_sub_groups_by(const struct query *sub, const char *name);

/* --- building (lower.c, lower_source.c, lower_call.c, lower_expr.c) ---------------------------------------------------------------- */

/* Where a query stands: what it has from those around it. */
struct scope {
    const struct query *query;
    int64_t min_ns, max_ns;          /* both included */
    struct af_window window;         /* none: not grouped by time */
    const struct af_slice *group;    /* tags: of this query and of those around it, ascending */
    size_t group_count;
    enum af_ql_fill fill;
    const struct origin *origins;    /* those that are read, of query->origins */
    size_t origin_count;
    uint64_t slimit, soffset;        /* of this query and those around it; 0: all */
    const struct af_slice *limit_tags; /* series are counted by these: the outermost query's group */
    size_t limit_tag_count;
    const struct af_predicate *also; /* series must match this too: what queries around it say about parts of its key. NULL: nothing */
};
/* Names whose columns are wanted, each once, in the order of the columns; the types are theirs. */
struct names {
    struct af_ql_expr *const *refs;
    size_t count;
};
static inline int64_t scope_start(const struct scope *scope)
{
    return scope->min_ns <= QL_TIME_MIN ? INT64_MIN : scope->min_ns;
}
static inline int64_t scope_stop(const struct scope *scope)
{
    return scope->max_ns >= QL_TIME_MAX ? INT64_MAX : scope->max_ns + 1;
}
/* Stops at the ends of time. */
static inline int64_t lower_time_add(int64_t time_ns, int64_t by_ns)
{
    int64_t sum;
    if (__builtin_add_overflow(time_ns, by_ns, &sum))
        return by_ns < 0 ? QL_TIME_MIN : QL_TIME_MAX;
    return sum < QL_TIME_MIN ? QL_TIME_MIN : sum > QL_TIME_MAX ? QL_TIME_MAX : sum;
}
/* Has the window any time at all? */
static inline bool scope_is_empty(const struct scope *scope)
{
    return scope->min_ns > scope->max_ns;
}

/* Rows of the origins under the condition: time, then a column for each name, in groups of scope->group. `driver`: rows need a value of the
 * first name; else of any field. */
AF_MUST_CHECK enum af_status lower_rows(struct lowering *lo, const struct scope *scope, const struct names *names, bool driver,
                                        const struct af_node **out, struct af_error *err);
/* SLIMIT and SOFFSET of the scope; `outer` NULL: it is the outermost. */
void lower_series_limits(struct scope *scope, const struct scope *outer);
/* Parts of lower_rows. */
enum af_status lower_sub_rows(struct lowering *lo, const struct scope *scope, const struct query *sub, const struct names *names,
                              bool driver, const struct af_node **out, struct af_error *err);
AF_MUST_CHECK enum af_status lower_no_rows(struct lowering *lo, const struct names *names, const struct af_node **out,
                                           struct af_error *err);
AF_MUST_CHECK enum af_status lower_names_arrays(struct lowering *lo, const struct names *names, const char ***out_names,
                                                enum af_type **out_types, struct af_error *err);

/* Names of an expression, each once. */
struct ref_list {
    struct af_ql_expr **items;
    size_t count;
    struct lookup lookup;
    struct af_arena *arena;
};
AF_MUST_CHECK enum af_status lower_refs(struct lowering *lo, struct af_ql_expr *condition, struct ref_list *out, struct af_error *err);
/* Which names are tags: NULL: those of a measurement. */
struct tag_space {
    const struct scope *inner;           /* of the subquery */
    struct output *outputs;
    size_t output_count;
};
bool lower_is_tag_name(const struct af_ql_expr *expr);
/* The condition as a predicate of tags and the rest, which rows must be asked. Both may be NULL. */
AF_MUST_CHECK enum af_status lower_split_tags(struct lowering *lo, const struct tag_space *space, struct af_ql_expr *condition,
                                              const struct af_predicate **out, struct af_ql_expr **out_rest, struct af_error *err);
AF_MUST_CHECK enum af_status lower_both(struct lowering *lo, const struct af_predicate *a, const struct af_predicate *b,
                                        const struct af_predicate **out, struct af_error *err);
bool lower_holds_never(const struct af_predicate *predicate);
/* Tags that a query groups by, with those of the queries around it: ascending, each once. */
AF_MUST_CHECK enum af_status lower_groups(struct lowering *lo, const struct query *query, const struct af_slice *outer, size_t outer_count,
                                          const struct af_slice **out, size_t *out_count, struct af_error *err);
/* Are rows of these origins subqueries' (whose times may be outside of the scope's range)? */
bool scope_is_nested(const struct scope *scope);

/* One call: columns time, its value, then the other names (`selector`: it is the only one and chooses points). */
AF_MUST_CHECK enum af_status lower_branch(struct lowering *lo, const struct scope *scope, const struct af_ql_expr *call, bool selector,
                                        const struct names *aux, const struct af_node **out, struct af_error *err);
/* The number of fill(number) as a value of the type; NULL: the type takes none, or there is no number. */
struct af_value lower_fill_value(const struct af_ql_select *select, enum af_type type);
/* All of it: time, then a column for each output. */
AF_MUST_CHECK enum af_status lower_query(struct lowering *lo, const struct scope *scope, const struct af_node **out, struct af_error *err);

/* Expressions: what stands for a column. */
enum expr_rules {
    RULES_FIELDS,     /* of the answer: a division of integers is none of theirs */
    RULES_CONDITION,  /* of a measurement's rows */
    RULES_SUBQUERY,   /* of a subquery's rows: what is missing is false beside a boolean */
};
struct binding {
    const struct af_ql_expr *expr;   /* a REF or CALL */
    const struct af_expr *value;
    bool is_tag;                     /* of a measurement's condition: tests of tags see "" where it is null */
};
struct bindings {
    struct binding *items;
    size_t count;
    struct lookup lookup;
    enum expr_rules rules;
    const char *measurement;         /* what _name is; NULL: nothing */
};
AF_MUST_CHECK enum af_status lower_expr(struct lowering *lo, const struct bindings *bindings, struct af_ql_expr *expr,
                                        const struct af_expr **out, struct af_error *err);
/* Always BOOL, never null where that would be seen. */
AF_MUST_CHECK enum af_status lower_condition(struct lowering *lo, const struct bindings *bindings, struct af_ql_expr *expr,
                                             const struct af_expr **out, struct af_error *err);
/* The same value as another type; what cannot be cast: `keep` as it is, else null. */
AF_MUST_CHECK enum af_status lower_cast(struct lowering *lo, const struct af_expr *value, enum af_type type, bool keep,
                                        const struct af_expr **out, struct af_error *err);
AF_MUST_CHECK enum af_status lower_fn(struct lowering *lo, enum af_fn fn, const struct af_expr *a, const struct af_expr *b,
                                      const struct af_expr **out, struct af_error *err);
/* a AND b AND c AND d as and(and(a, b), and(c, d)): chains are long, and whoever takes the expression goes down its depth. One item at
 * least; they are overwritten. */
AF_MUST_CHECK enum af_status lower_join(struct lowering *lo, enum af_fn fn, const struct af_expr **items, size_t count,
                                        const struct af_expr **out, struct af_error *err);
/* MAP to these columns, or `in` as it is if they are its columns in order. */
AF_MUST_CHECK enum af_status lower_map(struct lowering *lo, const struct af_node *in, const struct af_expr *const *exprs,
                                       const char *const *names, size_t count, const struct af_node **out, struct af_error *err);
/* A node that gives nothing, with columns of these types. */
AF_MUST_CHECK enum af_status lower_nothing(struct lowering *lo, const char *const *names, const enum af_type *types, size_t count,
                                           const struct af_node **out, struct af_error *err);
#endif
