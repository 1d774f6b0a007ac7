/*
 * feed_fixture.h - for tests of one operator or two: inputs typed as text, with nulls, in tables of a chosen size; no store, no scan.
 *
 *     struct feed f;
 *     feed_begin(&f);
 *     const struct af_node *in = feed_input(&f, "v:f s:s", "m host=a | 10 1.5 x\n"
 *                                                          "m host=a | 20 - y\n");     - is null, text is bare
 *     ... a node over it by the plan's calls ...
 *     AF_CHECK_STR(feed_run(&f, node), "m host=a | 10 1.5 \"x\"\n");                   as exec_fixture.h prints
 *     feed_end(&f);
 *
 * Every run checks what exec_fixture.h checks, and that all memory that was charged goes back.
 */
#ifndef AF_EXEC_FEED_FIXTURE_H
#define AF_EXEC_FEED_FIXTURE_H
#include "base/alloc.h"
#include "base/numbers.h"
#include "exec/exec_fixture.h"
#include <stdlib.h>

enum { FEED_INPUTS_MAX = 64 };
struct feed {
    struct fix fix;                      /* its arena, plan, text and order; no store */
    struct exec exec;
    const char *inputs[FEED_INPUTS_MAX]; /* by node id */
    size_t rows_per_table;
    const bool *cancel;
    size_t bytes_max;                    /* 0: no limit */
    uint64_t windows_max;                /* 0: the default */
    uint64_t seed;
    size_t bytes_peak;                   /* of the last run */
};

static inline void feed_begin(struct feed *f)
{
    *f = (struct feed){ .rows_per_table = 3 };
    af_arena_init(&f->fix.arena, SIZE_MAX);
    af_buf_init(&f->fix.text, SIZE_MAX);
    af_plan_init(&f->fix.plan, &f->fix.arena);
}

static inline void feed_end(struct feed *f)
{
    af_buf_done(&f->fix.text);
    af_arena_done(&f->fix.arena);
}

/* "name:type ..." behind a time. */
static inline const struct af_node *feed_input(struct feed *f, const char *columns, const char *rows)
{
    size_t count;
    const struct af_node *node = NULL;
    struct af_slice *words = fix_words(&f->fix, columns, &count);
    struct af_field *fields = af_arena_zero(&f->fix.arena, count + 1, sizeof *fields);
    struct af_schema *schema = af_arena_zero(&f->fix.arena, 1, sizeof *schema);
    fields[0] = (struct af_field){ .name = "time", .type = AF_TYPE_TIME };
    for (size_t i = 0; i < count; i++) {
        fields[1 + i].name = af_arena_copy(&f->fix.arena, (struct af_slice){ words[i].ptr, words[i].len - 2 });
        fields[1 + i].type = fix_type(words[i].ptr[words[i].len - 1]);
        fields[1 + i].is_nullable = true;
    }
    *schema = (struct af_schema){ count + 1, fields };
    AF_CHECK_OK(af_plan_empty(&f->fix.plan, schema, &node, &f->fix.err), f->fix.err);
    AF_CHECK(node->id < FEED_INPUTS_MAX);
    f->inputs[node->id] = rows;
    return node;
}

/* The same as a SCAN that gives the rows of a group in any order of time. */
static inline const struct af_node *feed_unordered(struct feed *f, const char *columns, const char *rows)
{
    struct af_plan_scan scan = fix_scan_settings(&f->fix, "m", columns, "", "");
    scan.unordered = true;
    const struct af_node *node = fix_scan_node(&f->fix, &scan);
    AF_CHECK(node->id < FEED_INPUTS_MAX);
    f->inputs[node->id] = rows;
    return node;
}

/* --- the operator that feeds ------------------------------------------------------------------------------------------------ */

struct feed_op {
    struct op op;
    struct feed *feed;
    const char *at;
    size_t row;
};

static inline const char *feed_word(const char *at, const char *end, struct af_slice *out)
{
    while (at < end && *at == ' ')
        at++;
    const char *from = at;
    while (at < end && *at != ' ')
        at++;
    *out = (struct af_slice){ from, (size_t)(at - from) };
    return at;
}

static inline struct af_value feed_value(enum af_type type, struct af_slice word)
{
    char text[64];
    if (af_slice_is(word, "-"))
        return af_value_none();
    if (type == AF_TYPE_STRING)
        return af_value_text(word);
    if (type == AF_TYPE_BOOL)
        return af_value_bool(af_slice_is(word, "true"));
    size_t len = word.len < sizeof text ? word.len : sizeof text - 1;
    memcpy(text, word.ptr, len);
    text[len] = '\0';
    if (type == AF_TYPE_F64)
        return af_value_f64(strtod(text, NULL));
    if (type == AF_TYPE_U64)
        return af_value_u64(strtoull(text, NULL, 10));
    return type == AF_TYPE_TIME ? af_value_time(strtoll(text, NULL, 10)) : af_value_i64(strtoll(text, NULL, 10));
}

/* The key of a line up to its bar. */
static inline enum af_status feed_key(const char *at, const char *bar, struct af_arena *arena, struct af_group_key *out,
                                      struct af_error *err)
{
    struct af_key_part *parts = af_arena_zero(arena, 8, sizeof *parts);
    *out = (struct af_group_key){ 0, parts };
    if (parts == NULL)
        return af_arena_fail(arena, 8 * sizeof *parts, "a key", err);
    for (;;) {
        struct af_slice word;
        at = feed_word(at, bar, &word);
        if (word.len == 0)
            return AF_OK;
        const char *equals = memchr(word.ptr, '=', word.len);
        struct af_slice name = equals != NULL ? af_slice_make(word.ptr, (size_t)(equals - word.ptr)) : AF_SLICE_LIT(AF_KEY_MEASUREMENT);
        struct af_slice value = equals != NULL ? af_slice_make(equals + 1, word.len - name.len - 1) : word;
        parts[out->count++] = (struct af_key_part){ name, af_value_text(value) };
    }
}

static inline enum af_status feed_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct feed_op *op = (struct feed_op *)tables;
    const struct af_schema *schema = &op->op.node->schema;
    struct grower columns[8];
    struct af_column made[8];
    struct af_group_key key = { 0, NULL };
    struct af_slice first = { NULL, 0 };
    size_t rows = 0;
    for (size_t i = 0; i < schema->field_count; i++)
        grower_init(&columns[i], schema->fields[i].type, arena);
    while (*op->at != '\0' && rows < op->feed->rows_per_table) {
        const char *end = strchr(op->at, '\n'), *bar = strchr(op->at, '|');
        struct af_slice this = af_slice_make(op->at, (size_t)(bar - op->at));
        if (rows != 0 && !af_slice_eq(first, this))
            break;
        if (rows == 0)
            AF_TRY(feed_key(op->at, bar, arena, &key, err));
        first = this;
        const char *at = bar + 1;
        for (size_t i = 0; i < schema->field_count; i++) {
            struct af_slice word;
            at = feed_word(at, end, &word);
            struct af_value value = feed_value(schema->fields[i].type, word);
            AF_TRY(grower_value(&columns[i], &value, err));
        }
        rows++;
        op->at = end + 1;
    }
    for (size_t i = 0; i < schema->field_count; i++)
        grower_column(&columns[i], &made[i]);
    *out = NULL;
    return rows != 0 ? table_make(&op->op, &key, made, rows, arena, out, err) : AF_OK;
}

static inline void feed_close(struct af_tables *tables)
{
    (void)tables;
}

static inline enum af_status feed_open(struct feed *f, const struct af_node *node, struct op **out, struct af_error *err)
{
    static const struct af_tables_ops ops = { feed_next, feed_close };
    static const op_open_fn openers[] = { [AF_NODE_AGGREGATE] = open_aggregate, [AF_NODE_SELECT] = open_select, [AF_NODE_FILL] = open_fill,
                                          [AF_NODE_TRANSFORM] = open_transform, [AF_NODE_JOIN] = open_join, [AF_NODE_UNION] = open_union,
                                          [AF_NODE_REGROUP] = open_regroup, [AF_NODE_LIMIT] = open_limit,
                                          [AF_NODE_GROUP_LIMIT] = open_group_limit, [AF_NODE_DEDUPE] = open_dedupe };
    struct op **inputs = af_arena_zero(&f->exec.arena, node->input_count + 1, sizeof(struct op *));
    enum af_status status = inputs != NULL ? AF_OK : af_fail_nomem(err, "an operator");
    for (size_t i = 0; status == AF_OK && i < node->input_count; i++)
        status = feed_open(f, node->inputs[i], &inputs[i], err);
    if (status == AF_OK && (node->kind == AF_NODE_EMPTY || node->kind == AF_NODE_SCAN)) {
        status = op_new(&f->exec, node, inputs, sizeof(struct feed_op), &ops, out, err);
        if (status == AF_OK) {
            ((struct feed_op *)*out)->feed = f;
            ((struct feed_op *)*out)->at = f->inputs[node->id];
        }
    } else if (status == AF_OK) {
        status = openers[node->kind](&f->exec, node, inputs, out, err);
    }
    for (size_t i = 0; status != AF_OK && inputs != NULL && i < node->input_count; i++)
        op_close(inputs[i]);
    return status;
}

/* --- running ---------------------------------------------------------------------------------------------------------------- */

static inline void feed_begin_exec(struct feed *f)
{
    f->exec = (struct exec){ .options = { .plan = &f->fix.plan, .cancel = f->cancel, .seed = f->seed } };
    f->exec.options.limits.bytes_max = f->bytes_max != 0 ? f->bytes_max : SIZE_MAX / 4;
    f->exec.options.limits.windows_max = f->windows_max != 0 ? f->windows_max : AF_QUERY_WINDOWS_MAX;
    af_arena_init(&f->exec.arena, SIZE_MAX);
}

/* The status, and the answer in f->fix.text, unless it `is_silent`. */
static inline enum af_status feed_try(struct feed *f, const struct af_node *root, bool is_silent)
{
    struct op *op = NULL;
    const struct af_table *table = NULL;
    struct fix_seen seen = { .key = NULL };
    struct af_arena arena;
    feed_begin_exec(f);
    af_arena_init(&seen.arena, SIZE_MAX);
    af_arena_init(&arena, SIZE_MAX);
    f->fix.tables = 0;
    af_buf_clear(&f->fix.text);
    enum af_status status = feed_open(f, root, &op, &f->fix.err);
    while (status == AF_OK && (status = op_next(op, &arena, &table, &f->fix.err)) == AF_OK && table != NULL) {
        f->fix.tables++;
        if (!is_silent) {
            fix_check_table(&f->fix, &seen, table, root);
            fix_print_table(&f->fix.text, table);
        }
        af_arena_reset(&arena);
    }
    op_close(op);
    AF_CHECK_INT(f->exec.bytes, 0);
    f->bytes_peak = f->exec.bytes_peak;
    af_arena_done(&f->exec.arena);
    af_arena_done(&arena);
    af_arena_done(&seen.arena);
    return status;
}

static inline const char *feed_run(struct feed *f, const struct af_node *root)
{
    enum af_status status = feed_try(f, root, false);
    if (status != AF_OK)
        af_buf_printf(&f->fix.text, "! %s: %s\n", af_status_name(status), f->fix.err.message);
    return af_buf_cstr(&f->fix.text);
}

/* Allocation N fails, for every N until nothing fails any more. */
static inline void feed_sweep(struct feed *f, const struct af_node *root)
{
    enum af_status status = AF_ENOMEM;
    size_t nth = 1;
    AF_CHECK_OK(feed_try(f, root, true), f->fix.err);
    for (; status != AF_OK && nth < 10000; nth++) {
        (void)af_alloc_fail_nth(nth);
        status = feed_try(f, root, true);
        (void)af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
    }
    AF_CHECK(nth > 3 && status == AF_OK);
}
#endif
