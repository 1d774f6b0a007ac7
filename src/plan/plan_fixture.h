/*
 * plan_fixture.h - for tests of plans: short ways to build them and to see them as text.
 */
#ifndef AF_PLAN_FIXTURE_H
#define AF_PLAN_FIXTURE_H
#include "base/regex.h"
#include "plan/plan_int.h"
#include "test/lib/test.h"
#include <stdlib.h>

struct pf {
    struct af_arena arena;
    struct af_plan plan;
    struct af_buf text;
    struct af_error err;
    struct af_regex *regexes[16];
    size_t regex_count;
};

static inline void pf_begin(struct pf *f)
{
    *f = (struct pf){ .regex_count = 0 };
    af_arena_init(&f->arena, SIZE_MAX);
    af_buf_init(&f->text, 1 << 20);
    af_plan_init(&f->plan, &f->arena);
}
static inline void pf_end(struct pf *f)
{
    for (size_t i = 0; i < f->regex_count; i++)
        af_regex_free(f->regexes[i]);
    af_buf_done(&f->text);
    af_arena_done(&f->arena);
}

/* Words of a text, in the arena. */
static inline struct af_slice *pf_words(struct pf *f, const char *text, size_t *out_count)
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

/* fields: "name:type ..." with types f i u b s; tags, group: names. All of the measurement cpu. */
static inline struct af_plan_scan pf_scan_settings(struct pf *f, const char *fields, const char *tags, const char *group)
{
    static const char letters[] = "fiubs";
    static const enum af_type by_letter[] = { AF_TYPE_F64, AF_TYPE_I64, AF_TYPE_U64, AF_TYPE_BOOL, AF_TYPE_STRING };
    struct af_plan_scan scan = { .source_name = "db.rp", .measurement = "cpu", .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    struct af_slice *words = pf_words(f, fields, &scan.field_count);
    const char **names = af_arena_zero(&f->arena, scan.field_count + 1, sizeof *names);
    enum af_type *types = af_arena_zero(&f->arena, scan.field_count + 1, sizeof *types);
    for (size_t i = 0; i < scan.field_count; i++) {
        names[i] = af_arena_copy(&f->arena, (struct af_slice){ words[i].ptr, words[i].len - 2 });
        types[i] = by_letter[strchr(letters, words[i].ptr[words[i].len - 1]) - letters];
    }
    scan.fields = names;
    scan.field_types = types;
    scan.tags = pf_words(f, tags, &scan.tag_count);
    scan.group = pf_words(f, group, &scan.group_count);
    return scan;
}
static inline const struct af_node *pf_scan(struct pf *f, const char *fields, const char *tags, const char *group)
{
    struct af_plan_scan settings = pf_scan_settings(f, fields, tags, group);
    const struct af_node *out = NULL;
    AF_CHECK_OK(af_plan_scan(&f->plan, &settings, &out, &f->err), f->err);
    return out;
}

/* --- expressions ------------------------------------------------------------------------------------------------------------------ */

static inline const struct af_expr *pf_column(struct pf *f, const struct af_node *node, const char *name)
{
    size_t column = af_schema_find(&node->schema, af_slice_of(name));
    if (column == SIZE_MAX)
        af_test_failed(__FILE__, __LINE__, "no column %s", name);
    return af_expr_column(&f->arena, &node->schema, column);
}
static inline const struct af_expr *pf_literal(struct pf *f, struct af_value value)
{
    return af_expr_literal(&f->arena, value);
}
static inline const struct af_expr *pf_f64(struct pf *f, double value)
{
    return pf_literal(f, af_value_f64(value));
}
static inline const struct af_expr *pf_i64(struct pf *f, int64_t value)
{
    return pf_literal(f, af_value_i64(value));
}
static inline const struct af_expr *pf_text(struct pf *f, const char *value)
{
    return pf_literal(f, af_value_text(af_slice_of(value)));
}
static inline const struct af_regex *pf_regex(struct pf *f, const char *pattern)
{
    struct af_regex *regex = NULL;
    AF_CHECK_OK(af_regex_new(af_slice_of(pattern), &regex, &f->err), f->err);
    f->regexes[f->regex_count++] = regex;
    return regex;
}
/* `b` NULL: of one argument. */
static inline const struct af_expr *pf_call(struct pf *f, enum af_fn fn, const struct af_expr *a, const struct af_expr *b)
{
    const struct af_expr *out = NULL;
    AF_CHECK_OK(af_expr_call(&f->arena, fn, (const struct af_expr *const[]){ a, b }, b != NULL ? 2 : 1, NULL, &out, &f->err), f->err);
    return out;
}
static inline const struct af_expr *pf_match(struct pf *f, enum af_fn fn, const struct af_expr *a, const char *pattern)
{
    const struct af_expr *out = NULL;
    AF_CHECK_OK(af_expr_call(&f->arena, fn, &a, 1, pf_regex(f, pattern), &out, &f->err), f->err);
    return out;
}

/* --- predicates ------------------------------------------------------------------------------------------------------------------- */

static inline const struct af_predicate *pf_predicate(struct pf *f, struct af_predicate predicate)
{
    struct af_predicate *out = af_arena_zero(&f->arena, 1, sizeof *out);
    *out = predicate;
    return out;
}
static inline const struct af_predicate *pf_equal(struct pf *f, const char *tag, const char *value)
{
    return pf_predicate(f, (struct af_predicate){ .op = AF_PREDICATE_EQUAL, .tag = af_slice_of(tag), .value = af_slice_of(value) });
}
static inline const struct af_predicate *pf_differs(struct pf *f, const char *tag, const char *value)
{
    return pf_predicate(f, (struct af_predicate){ .op = AF_PREDICATE_NOT_EQUAL, .tag = af_slice_of(tag), .value = af_slice_of(value) });
}
static inline const struct af_predicate *pf_matches(struct pf *f, const char *tag, const char *pattern)
{
    return pf_predicate(f, (struct af_predicate){ .op = AF_PREDICATE_MATCH, .tag = af_slice_of(tag), .regex = pf_regex(f, pattern) });
}
static inline const struct af_predicate *pf_pair(struct pf *f, enum af_predicate_op op, const struct af_predicate *a,
                                                 const struct af_predicate *b)
{
    const struct af_predicate **items = af_arena_zero(&f->arena, 2, sizeof *items);
    items[0] = a;
    items[1] = b;
    return pf_predicate(f, (struct af_predicate){ .op = op, .items = items, .item_count = 2 });
}
static inline const struct af_predicate *pf_and(struct pf *f, const struct af_predicate *a, const struct af_predicate *b)
{
    return pf_pair(f, AF_PREDICATE_AND, a, b);
}
static inline const struct af_predicate *pf_or(struct pf *f, const struct af_predicate *a, const struct af_predicate *b)
{
    return pf_pair(f, AF_PREDICATE_OR, a, b);
}

/* --- nodes -------------------------------------------------------------------------------------------------------------------------- */

/* `param` of type NULL: none. */
static inline struct af_fn_call pf_fn(enum af_fn id, enum af_type type, struct af_value param)
{
    return (struct af_fn_call){ .id = id, .type = type, .params = { param }, .param_count = param.type != AF_TYPE_NULL };
}
static inline enum af_fn pf_fn_find(struct af_slice name)
{
    for (unsigned id = AF_FN_COUNT; id < AF_FN_COUNT_OF; id++)
        if (af_slice_is(name, af_fn_get((enum af_fn)id)->name))
            return (enum af_fn)id;
    af_test_failed(__FILE__, __LINE__, "no function %.*s", AF_SLICE_ARG(name));
}
/* "mean:usage percentile:usage,90": the columns are named after the functions. */
static inline const struct af_plan_call *pf_calls(struct pf *f, const struct af_schema *schema, const char *text, size_t *out_count)
{
    struct af_slice *words = pf_words(f, text, out_count);
    struct af_plan_call *calls = af_arena_zero(&f->arena, *out_count, sizeof *calls);
    for (size_t i = 0; i < *out_count; i++) {
        const char *colon = memchr(words[i].ptr, ':', words[i].len), *end = words[i].ptr + words[i].len;
        const char *comma = memchr(colon, ',', (size_t)(end - colon));
        struct af_slice name = { words[i].ptr, (size_t)(colon - words[i].ptr) };
        struct af_slice column = { colon + 1, (size_t)((comma != NULL ? comma : end) - colon - 1) };
        size_t at = af_schema_find(schema, column);
        if (at == SIZE_MAX)
            af_test_failed(__FILE__, __LINE__, "no column %.*s", AF_SLICE_ARG(column));
        struct af_value param = comma != NULL ? af_value_i64(atoll(comma + 1)) : af_value_none();
        calls[i] = (struct af_plan_call){ .call = pf_fn(pf_fn_find(name), schema->fields[at].type, param), .column = at,
                                          .name = af_arena_copy(&f->arena, name) };
    }
    return calls;
}
static inline const struct af_node *pf_filter(struct pf *f, const struct af_node *in, const struct af_expr *filter)
{
    AF_CHECK_OK(af_plan_filter(&f->plan, in, filter, &in, &f->err), f->err);
    return in;
}
/* Columns `a` and `b` (NULL: only a). */
static inline const struct af_node *pf_map2(struct pf *f, const struct af_node *in, const char *a, const struct af_expr *a_expr,
                                            const char *b, const struct af_expr *b_expr)
{
    const struct af_expr **exprs = af_arena_zero(&f->arena, 2, sizeof *exprs);
    const char **names = af_arena_zero(&f->arena, 2, sizeof *names);
    exprs[0] = a_expr;
    exprs[1] = b_expr;
    names[0] = a;
    names[1] = b;
    struct af_plan_map map = { .exprs = exprs, .names = names, .count = b != NULL ? 2 : 1 };
    AF_CHECK_OK(af_plan_map(&f->plan, in, &map, &in, &f->err), f->err);
    return in;
}
/* Of all times; `every_ns` 0: without windows. */
static inline const struct af_node *pf_aggregate(struct pf *f, const struct af_node *in, const char *calls, int64_t every_ns)
{
    struct af_plan_aggregate settings = { .window = { .every_ns = every_ns }, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    settings.calls = pf_calls(f, &in->schema, calls, &settings.call_count);
    AF_CHECK_OK(af_plan_aggregate(&f->plan, in, &settings, &in, &f->err), f->err);
    return in;
}
/* modes: a word a column: n, p, l, or a number. */
static inline const struct af_node *pf_fill_range(struct pf *f, const struct af_node *in, const char *modes, int64_t every_ns,
                                                  int64_t start_ns, int64_t stop_ns)
{
    size_t count;
    struct af_slice *words = pf_words(f, modes, &count);
    enum af_fill_mode *mode = af_arena_zero(&f->arena, count, sizeof *mode);
    struct af_value *values = af_arena_zero(&f->arena, count, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        char c = words[i].ptr[0];
        mode[i] = c == 'n' ? AF_FILL_NULL : c == 'p' ? AF_FILL_PREVIOUS : c == 'l' ? AF_FILL_LINEAR : AF_FILL_VALUE;
        if (mode[i] == AF_FILL_VALUE)
            values[i] = in->schema.fields[1 + i].type == AF_TYPE_F64 ? af_value_f64(atof(words[i].ptr)) : af_value_i64(atoll(words[i].ptr));
    }
    struct af_plan_fill fill = { .window = { .every_ns = every_ns }, .start_ns = start_ns, .stop_ns = stop_ns, .modes = mode,
                                 .values = values };
    AF_CHECK_OK(af_plan_fill(&f->plan, in, &fill, &in, &f->err), f->err);
    return in;
}
static inline const struct af_node *pf_fill(struct pf *f, const struct af_node *in, const char *modes, int64_t every_ns)
{
    return pf_fill_range(f, in, modes, every_ns, INT64_MIN, INT64_MAX);
}
static inline const struct af_node *pf_transform(struct pf *f, const struct af_node *in, enum af_fn fn, size_t column,
                                                 struct af_value param)
{
    struct af_plan_transform settings = { .call = pf_fn(fn, in->schema.fields[column].type, param), .column = column,
                                          .name = af_fn_get(fn)->name, .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
    AF_CHECK_OK(af_plan_transform(&f->plan, in, &settings, &in, &f->err), f->err);
    return in;
}
static inline const struct af_node *pf_join(struct pf *f, const struct af_node *a, const struct af_node *b,
                                            const struct af_plan_join *settings)
{
    const struct af_node *out = NULL;
    AF_CHECK_OK(af_plan_join(&f->plan, (const struct af_node *const[]){ a, b }, 2, settings, &out, &f->err), f->err);
    return out;
}

/* The plan as text after a rule, or after all of them (`rule` NULL), over one source that folds. Lives until the next call. */
static inline const char *pf_after(struct pf *f, const struct af_node *root, rule_fn rule)
{
    static const uint32_t caps[] = { AF_STORE_CAN_FOLD };
    static const struct af_rules_world world = { caps, 1 };
    struct rules rules = { &f->plan, &world };
    f->plan.root = root;
    AF_CHECK_OK(af_plan_check(&f->plan, &f->err), f->err);
    AF_CHECK_OK(rule != NULL ? rules_apply(&rules, rule, &f->err) : af_plan_improve(&f->plan, &world, &f->err), f->err);
    AF_CHECK_OK(af_plan_check(&f->plan, &f->err), f->err);
    AF_CHECK(schema_eq(&root->schema, &f->plan.root->schema));
    af_buf_clear(&f->text);
    af_plan_print(&f->text, &f->plan, NULL);
    return af_buf_cstr(&f->text);
}
static inline bool pf_begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}
#endif
