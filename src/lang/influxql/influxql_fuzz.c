/*
 * influxql_fuzz.c - any text: what parses prints to text that parses and prints the same; conditions come apart and constants fold without
 * harm; memory stays in proportion to the text.
 */
#include "lang/influxql/influxql.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_PER_BYTE = 2000, BYTES_LEAST = 1 << 20, TEXT_MAX = 1 << 16 };

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void print_all(struct af_buf *out, const struct af_ql_statement *first)
{
    af_buf_clear(out);
    for (const struct af_ql_statement *s = first; s != NULL; s = s->next) {
        af_ql_print(out, s);
        af_buf_append_str(out, ";\n");
    }
    must(!out->failed);
}

static bool hides_password(const struct af_ql_statement *first)
{
    for (const struct af_ql_statement *s = first; s != NULL; s = s->next)
        if (s->kind == AF_QL_CREATE_USER || s->kind == AF_QL_SET_PASSWORD)
            return true;
    return false;
}

static void check_condition(const struct af_ql_expr *condition, const struct af_zone *zone, struct af_arena *arena, struct af_buf *out)
{
    const int64_t now_ns = INT64_C(1700000000000000000);
    struct af_ql_range range;
    struct af_ql_expr *rest;
    const struct af_predicate *predicate;
    if (condition == NULL || af_ql_split_time(condition, now_ns, zone, arena, &range, &rest, NULL) != AF_OK || rest == NULL)
        return;
    af_ql_print_expr(out, rest);
    /* What is left has no time in it any more. */
    struct af_ql_range again;
    struct af_ql_expr *same;
    if (af_ql_split_time(rest, now_ns, zone, arena, &again, &same, NULL) == AF_OK)
        must(again.start_ns == INT64_MIN && again.stop_ns == INT64_MAX);
    if (af_ql_predicate(rest, arena, &predicate, NULL) == AF_OK)
        must(predicate != NULL);
}

static void check_statements(const struct af_ql_statement *first, struct af_arena *arena, struct af_buf *printed, struct af_buf *again)
{
    struct af_ql_statement *second = NULL;
    print_all(printed, first);
    if (!hides_password(first)) {
        must(af_ql_parse(af_buf_slice(printed), NULL, arena, &second, NULL) == AF_OK);
        print_all(again, second);
        must(af_slice_eq(af_buf_slice(printed), af_buf_slice(again)));
    }
    for (const struct af_ql_statement *s = first; s != NULL; s = s->next) {
        check_condition(s->condition, NULL, arena, printed);
        if (s->select != NULL)
            check_condition(s->select->condition, &s->select->zone, arena, printed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_MAX)
        return 0;
    struct af_slice text = af_slice_make(data, size);
    struct af_ql_statement *first = NULL;
    struct af_ql_expr *expr = NULL;
    struct af_arena arena;
    struct af_buf printed, again;
    struct af_error err;
    af_arena_init(&arena, BYTES_LEAST + size * BYTES_PER_BYTE);
    af_buf_init(&printed, BYTES_LEAST + size * 400);
    af_buf_init(&again, BYTES_LEAST + size * 400);
    enum af_status status = af_ql_parse(text, NULL, &arena, &first, &err);
    must(status == AF_OK || status == AF_EINVAL || (status == AF_ELIMIT && strstr(err.message, "memory") == NULL));
    if (status == AF_OK)
        check_statements(first, &arena, &printed, &again);
    if (af_ql_parse_expr(text, &arena, &expr, NULL) == AF_OK)
        check_condition(expr, NULL, &arena, &printed);
    af_buf_done(&again);
    af_buf_done(&printed);
    af_arena_done(&arena);
    return 0;
}
