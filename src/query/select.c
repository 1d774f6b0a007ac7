/*
 * select.c - a SELECT from its tree to tables: stores, lowering, rules, operators; all of it owned by one object that is closed with its
 * tables.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "os/clock.h"
#include "query/query_int.h"

struct query_select {
    struct af_tables base;
    struct af_arena arena;
    struct query_stores stores;
    struct af_plan plan;
    struct af_ql_lowered lowered;
    struct af_exec_stats stats;
    struct af_tables *tables;            /* NULL: only explained */
};

static enum af_status select_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct query_select *select = (struct query_select *)tables;
    return af_tables_next(select->tables, arena, out, err);
}

static void select_close(struct af_tables *tables)
{
    struct query_select *select = (struct query_select *)tables;
    af_tables_close(select->tables);
    query_stores_close(&select->stores);
    af_arena_done(&select->arena);
    af_free(select);
}
static const struct af_tables_ops select_ops = { .next = select_next, .close = select_close };

int64_t query_deadline(const struct af_query_request *request)
{
    return request->timeout_ms != 0 ? af_clock_mono_ns() + (int64_t)request->timeout_ms * 1000000 : 0;
}

/* --- the plan ------------------------------------------------------------------------------------------------------------------------- */

static enum af_status improve(struct query_select *select, struct af_error *err)
{
    size_t count = select->stores.count;
    uint32_t *caps = af_arena_zero(&select->arena, count + 1, sizeof *caps);
    if (caps == NULL)
        return af_fail_nomem(err, "a query");
    for (size_t i = 0; i < count; i++)
        caps[i] = select->stores.items[i].store->caps;
    AF_TRY(af_plan_improve(&select->plan, &(struct af_rules_world){ caps, count }, err));
    return af_plan_check(&select->plan, err);
}

static enum af_status lower(struct query_select *select, const struct query *query, const struct af_ql_select *tree, struct af_error *err)
{
    struct af_catalog catalog;
    struct af_ql_lower_options options = {
        .catalog = &catalog,
        .database = query->request->database,
        .policy = query->request->policy,
        .now_ns = query->request->now_ns,
        .series_max = query->request->limits.series_max,
        .windows_max = query->request->limits.windows_max,
    };
    query_catalog_init(&catalog, &select->stores);
    af_plan_init(&select->plan, &select->arena);
    AF_TRY(af_ql_lower(tree, &options, &select->plan, &select->lowered, err));
    return improve(select, err);
}

static enum af_status start(struct query_select *select, const struct query *query, bool analyze, struct af_error *err)
{
    struct af_store **stores = af_arena_zero(&select->arena, select->stores.count + 1, sizeof *stores);
    select->stats.nodes = af_arena_zero(&select->arena, (size_t)select->plan.node_count + 1, sizeof *select->stats.nodes);
    if (stores == NULL || select->stats.nodes == NULL)
        return af_fail_nomem(err, "a query");
    for (size_t i = 0; i < select->stores.count; i++)
        stores[i] = select->stores.items[i].store;
    struct af_exec_options options = {
        .plan = &select->plan,
        .stores = stores,
        .store_count = select->stores.count,
        .limits = query->request->limits,
        .cancel = query->cancel,
        .gone = query->request->cancel,
        .analyze = analyze,
        .stats = &select->stats,
        .seed = (uint64_t)query->request->now_ns,
        .workers = query->request->workers,
    };
    options.limits.deadline_mono_ns = query->deadline_mono_ns;
    return af_exec_open(&options, &select->tables, err);
}

static enum af_status query_select_new(const struct query *query, struct query_select **out, struct af_error *err)
{
    struct query_select *select = af_alloc_zero(1, sizeof *select);
    if (select == NULL)
        return af_fail_nomem(err, "a query");
    select->base.ops = &select_ops;
    af_arena_init(&select->arena, SIZE_MAX / 2);
    select->stores = (struct query_stores){ .host = query->host, .arena = &select->arena };
    *out = select;
    return AF_OK;
}

enum af_status query_select_open(struct query *query, const struct af_ql_select *tree, bool analyze, struct query_select **out,
                                 struct af_error *err)
{
    struct query_select *select;
    AF_TRY(query_select_new(query, &select, err));
    enum af_status status = lower(select, query, tree, err);
    if (status == AF_OK)
        status = start(select, query, analyze, err);
    if (status != AF_OK) {
        select_close(&select->base);
        return status;
    }
    *out = select;
    return AF_OK;
}

struct af_tables *query_select_tables(struct query_select *select)
{
    return &select->base;
}

const struct af_ql_lowered *query_select_lowered(const struct query_select *select)
{
    return &select->lowered;
}

/* --- EXPLAIN -------------------------------------------------------------------------------------------------------------------------- */

static enum af_status drain(struct query_select *select, struct af_error *err)
{
    const struct af_table *table;
    struct af_arena arena;
    enum af_status status;
    af_arena_init(&arena, SIZE_MAX / 2);
    do {
        af_arena_reset(&arena);
        status = af_tables_next(select->tables, &arena, &table, err);
    } while (status == AF_OK && table != NULL);
    af_arena_done(&arena);
    return status;
}

/* What each node did, to stand behind its line. */
static const char *const *notes_of(struct query_select *select)
{
    const char **notes = af_arena_zero(&select->arena, (size_t)select->plan.node_count + 1, sizeof *notes);
    for (uint32_t i = 0; notes != NULL && i < select->plan.node_count; i++) {
        const struct af_exec_node_stats *s = &select->stats.nodes[i];
        notes[i] = af_arena_printf(&select->arena, "tables=%llu rows=%llu points=%llu series=%llu time=%.3fms",
                                   (unsigned long long)s->tables,
                                   (unsigned long long)s->rows, (unsigned long long)s->points, (unsigned long long)s->series,
                                   (double)s->took_ns / 1e6);
    }
    return notes;
}

/* A row a line. */
static enum af_status lines(struct query *query, const char *column, struct af_slice text, struct af_tables **out, struct af_error *err)
{
    struct af_made *made = af_made_new(query->arena);
    char *copy = af_arena_copy(query->arena, text);
    if (made == NULL || copy == NULL)
        return af_fail_nomem(err, "a plan as text");
    af_made_begin(made, NULL, 1, &column);
    for (char *at = copy, *end; *at != '\0'; at = end) {
        end = strchr(at, '\n');
        size_t len = end != NULL ? (size_t)(end - at) : strlen(at);
        af_made_cell(made, af_value_text(af_slice_make(at, len)));
        end = at + len + (end != NULL);
    }
    return af_made_finish(made, out, err);
}

static enum af_status print_plan(struct query *query, struct query_select *select, bool analyze, struct af_tables **out,
                                 struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, AF_SERVER_TEXT_BYTES_MAX);
    af_plan_print(&text, &select->plan, analyze ? notes_of(select) : NULL);
    if (analyze)
        af_buf_printf(&text, "points read: %llu, series: %llu, memory at most: %zu bytes\n", (unsigned long long)select->stats.points,
                      (unsigned long long)select->stats.series, select->stats.bytes_peak);
    enum af_status status = af_buf_check(&text, "a plan as text", err);
    if (status == AF_OK)
        status = lines(query, analyze ? "EXPLAIN ANALYZE" : "QUERY PLAN", af_buf_slice(&text), out, err);
    af_buf_done(&text);
    return status;
}

enum af_status query_explain(struct query *query, const struct af_ql_statement *statement, struct af_tables **out, struct af_error *err)
{
    bool analyze = statement->kind == AF_QL_EXPLAIN_ANALYZE;
    struct query_select *select;
    AF_TRY(query_select_new(query, &select, err));
    enum af_status status = lower(select, query, statement->select, err);
    if (status == AF_OK && analyze) {
        status = start(select, query, true, err);
        if (status == AF_OK)
            status = drain(select, err);
    }
    if (status == AF_OK)
        status = print_plan(query, select, analyze, out, err);
    select_close(&select->base);
    return status;
}
