/*
 * v1_statement_fuzz.c - what is read of a query lies in it, and one statement's own text reads as that statement again.
 */
#include "server/v1_statement.h"
#include <stdlib.h>

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void check_again(const struct v1_statement *st, struct af_arena *arena)
{
    struct v1_statement *again = NULL;
    check(v1_statements_parse(st->text, 0, arena, &again, NULL) == AF_OK);
    check(again != NULL && again->next == NULL && again->kind == st->kind);
    check(is_same_text(again->name, st->name) && is_same_text(again->database, st->database) && is_same_text(again->user, st->user));
    check(is_same_text(again->password, st->password) && again->duration_ns == st->duration_ns && again->shard_ns == st->shard_ns);
    check(again->start_ns == st->start_ns && again->stop_ns == st->stop_ns && again->limit == st->limit && again->offset == st->offset);
    check((again->predicate == NULL) == (st->predicate == NULL) && (again->sources == NULL) == (st->sources == NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_arena arena;
    struct v1_statement *first = NULL;
    struct af_error err = { 0 };
    struct af_slice text = af_slice_make(data, size);
    af_arena_init(&arena, (size_t)64 << 20);
    enum af_status status = v1_statements_parse(text, 0, &arena, &first, &err);
    check(status == AF_OK || status == AF_EINVAL || status == AF_ENOMEM);
    check(status == AF_OK || (first == NULL && err.message[0] != '\0'));
    for (const struct v1_statement *st = first; st != NULL; st = st->next) {
        check(st->text.ptr >= text.ptr && st->text.ptr + st->text.len <= text.ptr + text.len && st->text.len > 0);
        check_again(st, &arena);
    }
    af_arena_done(&arena);
    return 0;
}
