/*
 * exec_fixture.h - for tests of operators: a memory store with a few lines, a plan built by hand, the answer as text.
 *
 *     struct fix f;
 *     fix_begin(&f, "cpu,host=a v=1.5,w=3i 10\n");
 *     const struct af_node *scan = fix_scan(&f, "cpu", "v:f w:i", "host", "host");   fields, tag columns, grouped tags
 *     AF_CHECK_STR(fix_run(&f, scan), "cpu host=a | 10 1.5 3 \"a\"\n");
 *     fix_end(&f);
 *
 * A line a row: measurement and key parts, `|`, the columns. null; numbers; true, false; "text"; unsigned end in u, times other than the
 * first column in t. Every run also looks at what each table must be: rows 1 to AF_BATCH_ROWS, groups contiguous and in order, times in
 * order.
 */
#ifndef AF_EXEC_FIXTURE_H
#define AF_EXEC_FIXTURE_H
#include "base/limits.h"
#include "exec/exec_int.h"
#include "store/memory.h"
#include "test/lib/test.h"
#include <stdio.h>

struct fix {
    struct af_store *store;
    struct af_arena arena;              /* of the plan */
    struct af_plan plan;
    struct af_exec_options options;     /* plan and stores are set by fix_run */
    struct af_exec_stats stats;
    struct af_exec_node_stats nodes[64];
    struct af_error err;
    struct af_buf text;
    bool descending;                    /* what order is due */
    bool any_time_order;                /* times come in any order */
    bool is_empty_fine;                 /* tables without rows too */
    size_t tables;                      /* of the last run */
};

static inline void fix_write(struct fix *f, const char *lines)
{
    struct af_write write = { .lines = af_slice_of(lines), .precision_ns = 1 };
    for (const char *at = lines; (at = strchr(at, '\n')) != NULL; at++)
        write.line_count++;
    struct af_write_answer answer;
    if (write.line_count == 0)
        return;
    AF_CHECK_OK(af_store_write(f->store, &write, &answer, &f->err), f->err);
    if (answer.verdict != AF_WRITE_DONE)
        af_test_failed(__FILE__, __LINE__, "the store refused lines: %s", answer.reason);
}

static inline void fix_begin(struct fix *f, const char *lines)
{
    *f = (struct fix){ .stats.nodes = NULL };
    f->stats.nodes = f->nodes;
    AF_CHECK_OK(af_memory_open(&(struct af_memory_options){ .is_v2 = true }, &f->store, &f->err), f->err);
    af_arena_init(&f->arena, SIZE_MAX);
    af_buf_init(&f->text, SIZE_MAX);
    af_plan_init(&f->plan, &f->arena);
    fix_write(f, lines);
}

static inline void fix_end(struct fix *f)
{
    af_store_close(f->store);
    af_buf_done(&f->text);
    af_arena_done(&f->arena);
}

static inline enum af_type fix_type(char letter)
{
    switch (letter) {
    case 'f': return AF_TYPE_F64;
    case 'i': return AF_TYPE_I64;
    case 'u': return AF_TYPE_U64;
    case 'b': return AF_TYPE_BOOL;
    default: return AF_TYPE_STRING;
    }
}

/* Words of a text, in the arena. */
static inline struct af_slice *fix_words(struct fix *f, const char *text, size_t *out_count)
{
    struct af_slice *words = af_arena_zero(&f->arena, strlen(text) + 1, sizeof *words);
    *out_count = 0;
    for (const char *at = text; *at != '\0';) {
        size_t len = strcspn(at, " ");
        if (len != 0)
            words[(*out_count)++] = (struct af_slice){ at, len };
        at += len + (at[len] == ' ');
    }
    return words;
}

/* All of a measurement. fields: "name:type ..." with types f i u b s; tags, group: names. To be changed before fix_node of it. */
static inline struct af_plan_scan fix_scan_settings(struct fix *f, const char *measurement, const char *fields, const char *tags,
                                                    const char *group)
{
    struct af_plan_scan scan = { .source_name = "db.rp", .measurement = measurement, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_slice *words = fix_words(f, fields, &scan.field_count);
    const char **names = af_arena_zero(&f->arena, scan.field_count + 1, sizeof *names);
    enum af_type *types = af_arena_zero(&f->arena, scan.field_count + 1, sizeof *types);
    for (size_t i = 0; i < scan.field_count; i++) {
        names[i] = af_arena_copy(&f->arena, (struct af_slice){ words[i].ptr, words[i].len - 2 });
        types[i] = fix_type(words[i].ptr[words[i].len - 1]);
    }
    scan.fields = names;
    scan.field_types = types;
    scan.tags = fix_words(f, tags, &scan.tag_count);
    scan.group = fix_words(f, group, &scan.group_count);
    return scan;
}

static inline const struct af_node *fix_scan_node(struct fix *f, const struct af_plan_scan *scan)
{
    const struct af_node *node = NULL;
    AF_CHECK_OK(af_plan_scan(&f->plan, scan, &node, &f->err), f->err);
    return node;
}

static inline const struct af_node *fix_scan(struct fix *f, const char *measurement, const char *fields, const char *tags,
                                             const char *group)
{
    struct af_plan_scan *scan = af_arena_zero(&f->arena, 1, sizeof *scan);
    *scan = fix_scan_settings(f, measurement, fields, tags, group);
    scan->descending = f->descending;
    return fix_scan_node(f, scan);
}

static inline struct af_window fix_every(int64_t ns)
{
    return (struct af_window){ .every_ns = ns };
}

/* --- the answer as text --------------------------------------------------------------------------------------------------------- */

static inline void fix_print_cell(struct af_buf *out, const struct af_column *column, size_t row, bool is_first)
{
    struct af_value value = af_column_value(column, row);
    switch (value.type) {
    case AF_TYPE_BOOL: af_buf_append_str(out, value.boolean ? "true" : "false"); break;
    case AF_TYPE_I64: af_buf_printf(out, "%lld", (long long)value.i64); break;
    case AF_TYPE_U64: af_buf_printf(out, "%lluu", (unsigned long long)value.u64); break;
    case AF_TYPE_F64: af_buf_printf(out, "%.12g", value.f64); break;
    case AF_TYPE_TIME: af_buf_printf(out, "%lld%s", (long long)value.i64, is_first ? "" : "t"); break;
    case AF_TYPE_STRING: af_buf_printf(out, "\"%.*s\"", AF_SLICE_ARG(value.text)); break;
    default: af_buf_append_str(out, "null");
    }
}

static inline void fix_print_key(struct af_buf *out, const struct af_group_key *key)
{
    for (size_t i = 0; i < key->count; i++) {
        struct af_slice name = key->parts[i].name;
        if (!af_slice_is(name, AF_KEY_MEASUREMENT))
            af_buf_printf(out, "%.*s=", AF_SLICE_ARG(name));
        af_buf_append_slice(out, key->parts[i].value.text);
        af_buf_append_char(out, ' ');
    }
    af_buf_append_char(out, '|');
}

static inline void fix_print_table(struct af_buf *out, const struct af_table *table)
{
    for (size_t row = 0; row < table->rows->row_count; row++) {
        fix_print_key(out, table->key);
        for (size_t i = 0; i < table->rows->schema->field_count; i++) {
            af_buf_append_char(out, ' ');
            fix_print_cell(out, &table->rows->columns[i], row, i == 0);
        }
        af_buf_append_char(out, '\n');
    }
}

/* --- what every table must be ----------------------------------------------------------------------------------------------------- */

struct fix_seen {
    struct af_arena arena;
    const struct af_group_key *key; /* NULL: none yet */
    int64_t last_ns;
};

static inline void fix_check_times(struct fix *f, struct fix_seen *seen, const struct af_batch *rows, bool same_group)
{
    if (rows->schema->field_count == 0 || rows->schema->fields[0].type != AF_TYPE_TIME || f->any_time_order)
        return;
    const int64_t *time_ns = rows->columns[0].i64;
    for (size_t i = 0; i < rows->row_count; i++) {
        if (same_group || i > 0)
            AF_CHECK(f->descending ? time_ns[i] <= seen->last_ns : time_ns[i] >= seen->last_ns);
        seen->last_ns = time_ns[i];
    }
}

static inline void fix_check_table(struct fix *f, struct fix_seen *seen, const struct af_table *table, const struct af_node *root)
{
    const struct af_batch *rows = table->rows;
    AF_CHECK(rows->row_count <= AF_BATCH_ROWS);
    AF_CHECK(rows->row_count > 0 || f->is_empty_fine);
    AF_CHECK_INT(rows->schema->field_count, root->schema.field_count);
    for (size_t i = 0; i < rows->schema->field_count; i++) {
        const struct af_column *column = &rows->columns[i];
        AF_CHECK(column->type == root->schema.fields[i].type || column->type == AF_TYPE_NULL);
        if (column->type != AF_TYPE_NULL)
            AF_CHECK_INT(column->validity != NULL ? rows->row_count - af_bits_count(column->validity, rows->row_count) : 0,
                         column->null_count);
    }
    int order = seen->key != NULL ? af_group_key_compare(table->key, seen->key) : 1;
    AF_CHECK(seen->key == NULL || order == 0 || (order > 0) == !f->descending);
    fix_check_times(f, seen, rows, order == 0);
    if (order != 0 || seen->key == NULL)
        seen->key = af_group_key_copy(table->key, &seen->arena);
}

/* Prints all tables; "! ESTATUS: message" at the end where it fails. */
static inline enum af_status fix_pull(struct fix *f, struct af_tables *tables, const struct af_node *root)
{
    struct fix_seen seen = { .key = NULL };
    struct af_arena arena;
    af_arena_init(&seen.arena, SIZE_MAX);
    af_arena_init(&arena, SIZE_MAX);
    const struct af_table *table = NULL;
    enum af_status status;
    while ((status = af_tables_next(tables, &arena, &table, &f->err)) == AF_OK && table != NULL) {
        fix_check_table(f, &seen, table, root);
        fix_print_table(&f->text, table);
        f->tables++;
        af_arena_reset(&arena); /* what a table still needs of another pull is found by ASan */
    }
    af_arena_done(&arena);
    af_arena_done(&seen.arena);
    return status;
}

static inline void fix_prepare(struct fix *f, const struct af_node *root)
{
    f->plan.root = root;
    f->options.plan = &f->plan;
    f->options.stores = &f->store;
    f->options.store_count = 1;
    f->options.stats = &f->stats;
    f->tables = 0;
    af_buf_clear(&f->text);
    memset(f->nodes, 0, sizeof f->nodes);
    AF_CHECK(f->plan.node_count <= sizeof f->nodes / sizeof f->nodes[0]);
}

/* The whole answer; "! ESTATUS: message" at the end where it fails. Lives until the next run. */
static inline const char *fix_run(struct fix *f, const struct af_node *root)
{
    fix_prepare(f, root);
    struct af_tables *tables = NULL;
    enum af_status status = af_exec_open(&f->options, &tables, &f->err);
    if (status == AF_OK)
        status = fix_pull(f, tables, root);
    af_tables_close(tables);
    if (status != AF_OK)
        af_buf_printf(&f->text, "! %s: %s\n", af_status_name(status), f->err.message);
    return af_buf_cstr(&f->text);
}
#endif
