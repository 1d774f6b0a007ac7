/*
 * plan.h - the table algebra that every query language is lowered to: nodes as data, read-only once built.
 *
 *     text --> lang/x --> plan --> rules (push down) --> exec --> tables --> wire
 *
 * A node takes tables (data/table.h) from its inputs and gives tables: groups ascending by key (descending where SCAN is), in a group rows
 * by time. Each node has a schema that is known before anything runs: `time` first where there is time, then its columns. Column references
 * are indices into the schema of the input. No node knows a language: what languages mean differently is a field of a node.
 *
 * Build with the calls below (they compute schemas), look at it with af_plan_print, and have it verified with af_plan_check. All memory is
 * the arena's.
 *
 * What the three languages need, and how it fits: docs/query.md.
 */
#ifndef AF_PLAN_PLAN_H
#define AF_PLAN_PLAN_H
#include "base/buf.h"
#include "data/table.h"
#include "data/window.h"
#include "fn/fn.h"
#include "store/store.h"

/* --- expressions ------------------------------------------------------------------------------------------------------------- */

enum af_expr_kind { AF_EXPR_COLUMN, AF_EXPR_LITERAL, AF_EXPR_CALL };
struct af_expr {
    enum af_expr_kind kind;
    enum af_type type;
    size_t column;                       /* COLUMN: of the input's schema */
    struct af_value value;               /* LITERAL */
    enum af_fn fn;                       /* CALL: a SCALAR */
    const struct af_expr *const *args;
    size_t arg_count;
    const struct af_regex *regex;        /* MATCH, NOT_MATCH */
};
const struct af_expr *af_expr_column(struct af_arena *arena, const struct af_schema *schema, size_t column); /* NULL: no memory */
const struct af_expr *af_expr_literal(struct af_arena *arena, struct af_value value);
/* AF_EINVAL: the function does not take these types. */
AF_MUST_CHECK enum af_status af_expr_call(struct af_arena *arena, enum af_fn fn, const struct af_expr *const *args, size_t arg_count,
                                          const struct af_regex *regex, const struct af_expr **out, struct af_error *err);
void af_expr_print(struct af_buf *out, const struct af_expr *expr, const struct af_schema *schema); /* add(v, 2) */

/* --- nodes --------------------------------------------------------------------------------------------------------------------- */

enum af_node_kind {
    AF_NODE_SCAN,      /* rows of a measurement */
    AF_NODE_FOLD,      /* windows of a measurement, folded by the store: what rules make of AGGREGATE over SCAN */
    AF_NODE_EMPTY,     /* no tables, but a schema */
    AF_NODE_FILTER,    /* rows for which an expression is true (null is not) */
    AF_NODE_MAP,       /* other columns out of these */
    AF_NODE_REGROUP,   /* other keys; rows of groups that meet are merged by time */
    AF_NODE_AGGREGATE, /* one row a window */
    AF_NODE_SELECT,    /* some rows of each window, whole */
    AF_NODE_TRANSFORM, /* one column through a TRANSFORM function */
    AF_NODE_FILL,      /* windows that have no row, values that are null */
    AF_NODE_JOIN,      /* inputs side by side, by key and time */
    AF_NODE_UNION,     /* inputs with equal schemas into one stream; groups with equal keys merged by time */
    AF_NODE_LIMIT,     /* rows of each group */
    AF_NODE_GROUP_LIMIT, /* groups */
    AF_NODE_DEDUPE,    /* rows that were not there before */
};

/*
 * SCAN: columns time, the fields, the tags. Groups by `group` (with `_measurement` as first part); all series of
 * a group merged by time. A row has at least one of its fields not null. Rows of one time keep the order of their series' keys.
 */
/*
 * Only some of the series: those whose values of `tags` (which are among the names of the group) are one of the combinations `offset` to
 * `offset + count` of all that match the predicate, wherever they have points. Combinations ascend by the names of the tags that are there,
 * then by their values.
 */
struct af_plan_choice {
    bool is_made;                        /* false: all series */
    const struct af_slice *tags;         /* ascending */
    size_t tag_count;
    uint64_t offset, count;              /* count 0: all from there on */
};
struct af_plan_scan {
    uint32_t source;                     /* of the stores that exec is given */
    const char *source_name;             /* for printing: "db"."rp" */
    const char *measurement;
    int64_t start_ns, stop_ns;           /* [start, stop); INT64_MAX includes it */
    const char *const *fields;
    const enum af_type *field_types;     /* as the catalogue says. A store that has another type in the end: values are cast, else null */
    size_t field_count;
    const struct af_slice *tags;         /* as STRING columns behind the fields; a series without it has "" there, or null: tags_null */
    size_t tag_count;
    bool tags_null;
    const struct af_predicate *predicate;
    struct af_plan_choice choice;        /* among the series that match; FOLD has none */
    const struct af_slice *group;        /* ascending */
    size_t group_count;
    bool unordered;                      /* rows of a group may come series by series: who takes them does not care */
    bool descending;                     /* groups and times */
    uint64_t rows_hint;                  /* not more of a group will be asked for; 0: all */
    const struct af_expr *filter;        /* pushed down: before series are merged; over the scan's own schema. NULL: none */
};

enum af_stamp {
    AF_STAMP_START,   /* time of a row: start of its window */
    AF_STAMP_POINT,   /* of the point chosen: exactly one call, a SELECTOR, without windows */
};
/* A call and the column that its result has. */
struct af_plan_call {
    struct af_fn_call call;
    size_t column;                       /* of the input */
    const char *name;                    /* of the output */
};
/* AGGREGATE: columns time, one for each call. A window has a row if any call has a value. Without windows: one row a group, its time
 * `start_ns` (0 if that is INT64_MIN). Input ordered by time only if a call says AF_FN_ORDERED. */
struct af_plan_aggregate {
    struct af_window window;
    int64_t start_ns, stop_ns;           /* of the whole: what is outside is not there; windows are cut to nothing smaller */
    bool uncut;                          /* rows outside of the range count too: it only gives the time (of windows that began before it) */
    enum af_stamp stamp;
    const struct af_plan_call *calls;
    size_t call_count;
    bool descending;
};
/* FOLD: as AGGREGATE over SCAN; `scan.fields` are the folds' fields. */
struct af_plan_fold {
    struct af_plan_scan scan;
    struct af_plan_aggregate aggregate;  /* columns: of scan.fields, 1 + i */
};
/* SELECT: the input's columns, of the rows that the call chooses by its column; `by` columns: first the best row (TOP: largest, BOTTOM:
 * smallest, of equal ones the earlier) of each combination of them, then the choice among these. */
struct af_plan_select {
    struct af_window window;
    int64_t start_ns, stop_ns;
    struct af_fn_call call;
    size_t column;
    const size_t *by;
    size_t by_count;
    bool uncut;                          /* as AGGREGATE's */
    bool stamp_start;                    /* times become the start of their window (without windows: start_ns, or 0) */
    bool descending;
};
struct af_plan_transform {
    struct af_fn_call call;
    size_t column;
    const char *name;                    /* columns out: time, this */
    int64_t start_ns, stop_ns;           /* rows outside are left out of the output */
    bool descending;
};
enum af_fill_mode { AF_FILL_NULL, AF_FILL_VALUE, AF_FILL_PREVIOUS, AF_FILL_LINEAR };
/*
 * FILL: every window of the range has a row, in groups that have one at all. Range without a start (INT64_MIN): from the group's first row
 * (descending: last). Columns one by one: of a window without a row, what the mode says. A null in a row that is there stays, unless
 * `nulls_too`.
 */
struct af_plan_fill {
    struct af_window window;
    int64_t start_ns, stop_ns;
    const enum af_fill_mode *modes;      /* by column after time */
    const struct af_value *values;       /* of VALUE */
    bool nulls_too;
    bool descending;
};
/* JOIN: full outer, by key and time; columns time, then those of each input after its time. Rows of one input with equal times pair up in
 * their order with those of the others. What an input has no row for is, by `absent`: null, a value, or the last one in the group (null
 * before). One input will do. */
enum af_absent { AF_ABSENT_NULL, AF_ABSENT_VALUE, AF_ABSENT_KEEP };
struct af_plan_join {
    enum af_absent absent;
    const struct af_value *values;       /* by output column after time */
    bool nulls_too;                      /* KEEP: a null in a row that is there becomes the last value as well */
    bool descending;
};
struct af_plan_limit {
    uint64_t offset, count;              /* count 0: all */
};
struct af_plan_map {
    const struct af_expr *const *exprs;
    const char *const *names;
    size_t count;
    bool drops_time;                     /* schema without time; otherwise time goes first by itself */
    bool drops_empty;                    /* rows whose columns are all null (time apart) are left out */
    const struct af_slice *keys;         /* parts of the group's key as STRING columns behind the others ("" where it has no such part) */
    size_t key_count;
};

struct af_node {
    enum af_node_kind kind;
    uint32_t id;                         /* within the plan, from 0, for statistics: inputs before those who take them */
    struct af_schema schema;
    const struct af_node *const *inputs;
    size_t input_count;
    union {
        struct af_plan_scan scan;
        struct af_plan_fold fold;
        const struct af_expr *filter;
        struct af_plan_map map;
        struct {
            const struct af_slice *group; /* names of key parts or STRING columns; ascending, AF_KEY_MEASUREMENT first if it stays */
            size_t group_count;
            bool descending;
        } regroup;
        struct af_plan_aggregate aggregate;
        struct af_plan_select select;
        struct af_plan_transform transform;
        struct af_plan_fill fill;
        struct af_plan_join join;
        struct {
            bool descending;
        } merge;                          /* UNION */
        struct af_plan_limit limit;       /* LIMIT, GROUP_LIMIT */
    };
};
struct af_plan {
    struct af_arena *arena;
    const struct af_node *root;
    uint32_t node_count;
};

void af_plan_init(struct af_plan *plan, struct af_arena *arena);
/* Each makes a node: settings and what they point to are kept as they are (not copied), names too. AF_EINVAL: it does not fit its input. */
AF_MUST_CHECK enum af_status af_plan_scan(struct af_plan *plan, const struct af_plan_scan *scan, const struct af_node **out,
                                          struct af_error *err);
AF_MUST_CHECK enum af_status af_plan_empty(struct af_plan *plan, const struct af_schema *schema, const struct af_node **out,
                                           struct af_error *err);
AF_MUST_CHECK enum af_status af_plan_filter(struct af_plan *plan, const struct af_node *in, const struct af_expr *filter,
                                            const struct af_node **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_plan_map(struct af_plan *plan, const struct af_node *in, const struct af_plan_map *map,
                                         const struct af_node **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_plan_regroup(struct af_plan *plan, const struct af_node *in, const struct af_slice *group,
                                             size_t group_count, bool descending, const struct af_node **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_plan_aggregate(struct af_plan *plan, const struct af_node *in, const struct af_plan_aggregate *aggregate,
                                               const struct af_node **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_plan_select(struct af_plan *plan, const struct af_node *in, const struct af_plan_select *select,
                                            const struct af_node **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_plan_transform(struct af_plan *plan, const struct af_node *in, const struct af_plan_transform *transform,
                                               const struct af_node **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_plan_fill(struct af_plan *plan, const struct af_node *in, const struct af_plan_fill *fill,
                                          const struct af_node **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_plan_join(struct af_plan *plan, const struct af_node *const *in, size_t count,
                                          const struct af_plan_join *join, const struct af_node **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_plan_union(struct af_plan *plan, const struct af_node *const *in, size_t count, bool descending,
                                           const struct af_node **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_plan_limit(struct af_plan *plan, const struct af_node *in, uint64_t offset, uint64_t count, bool of_groups,
                                           const struct af_node **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_plan_dedupe(struct af_plan *plan, const struct af_node *in, const struct af_node **out,
                                            struct af_error *err);

/* The root is set by whoever built it. Everything refers to what is there, types fit, ids are dense. AF_EBUG otherwise. */
AF_MUST_CHECK enum af_status af_plan_check(const struct af_plan *plan, struct af_error *err);
/* A line a node, inputs indented below it. `notes`: text to put behind the line of the node with that id (may be NULL), for EXPLAIN
 * ANALYZE. */
void af_plan_print(struct af_buf *out, const struct af_plan *plan, const char *const *notes);

/* --- rules: the same answer for less work -------------------------------------------------------------------------------------- */

struct af_rules_world {
    const uint32_t *caps;                /* of each source (enum af_store_caps) */
    size_t source_count;
};
/* Each rule is a function of its own in rules.c, with its own test:
 *   calls through maps AGGREGATE, TRANSFORM over MAP that only names the columns they take: over MAP's input
 *   share branches     JOIN of AGGREGATEs (each perhaps under a FILL, a LIMIT) over inputs that differ in their columns only: one AGGREGATE
 *   filters into scans tag tests become predicates, the rest scan.filter
 *   folds              AGGREGATE over SCAN whose calls all fold: FOLD
 *   limits into scans  LIMIT (through MAP without drops_empty) over SCAN: rows_hint
 *   order not needed   AGGREGATE without ORDERED calls: scan.unordered
 *   unused columns     fields and tags nobody takes leave the scan (a row's presence must not depend on them) */
AF_MUST_CHECK enum af_status af_plan_improve(struct af_plan *plan, const struct af_rules_world *world, struct af_error *err);

/* --- what a language asks about the data (lowering) ----------------------------------------------------------------------------- */

struct af_catalog_field {
    struct af_slice name;
    enum af_type type;
};
struct af_catalog {
    void *ctx;
    /* The number of the store that keeps this database and policy ("" or NULL: default). AF_ENOTFOUND. */
    enum af_status (*source)(void *ctx, const char *database, const char *policy, uint32_t *out, const char **out_name,
                             struct af_error *err);
    /* Names, ascending; in `arena`. */
    enum af_status (*measurements)(void *ctx, uint32_t source, struct af_arena *arena, struct af_slice **out, size_t *out_count,
                                   struct af_error *err);
    /* Fields and tag keys of a measurement, ascending by name. None: there is no such measurement. */
    enum af_status (*fields)(void *ctx, uint32_t source, const char *measurement, struct af_arena *arena, struct af_catalog_field **out,
                             size_t *out_count, struct af_error *err);
    enum af_status (*tags)(void *ctx, uint32_t source, const char *measurement, struct af_arena *arena, struct af_slice **out,
                           size_t *out_count, struct af_error *err);
};
#endif
