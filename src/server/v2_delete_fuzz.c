/*
 * v2_delete_fuzz.c - any text as a delete predicate: what is taken means the same in brackets, and with an OR behind it the union.
 */
#include "base/alloc.h"
#include "server/v2_delete.h"
#include <stdlib.h>

static const char *const keys[] = { "m", "m,a=1", "m,a=1,b=2", "m,b=2", "m,a=2,c=3", "n,a=1", "a\\ b,a=x" };
static const char *const measurements[] = { "m", "m", "m", "m", "m", "n", "a b" };
enum { KEYS = sizeof keys / sizeof keys[0] };

/* A bit for each key that is hit; UINT32_MAX: not a predicate. */
static uint32_t hits(struct af_slice text)
{
    struct af_arena arena;
    struct delete_branch *first = NULL;
    uint32_t set = 0;
    af_arena_init(&arena, 16 << 20);
    if (delete_text_parse(text, &arena, &first, NULL) != AF_OK)
        set = UINT32_MAX;
    for (const struct delete_branch *b = first; b != NULL && set != UINT32_MAX; b = b->next)
        for (unsigned i = 0; i < KEYS; i++)
            if ((b->measurement == NULL || strcmp(b->measurement, measurements[i]) == 0) &&
                af_predicate_match(b->predicate, af_slice_of(keys[i])))
                set |= 1u << i;
    af_arena_done(&arena);
    return set;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_slice text = { (const char *)data, size };
    uint32_t plain = hits(text);
    if (plain == UINT32_MAX || size == 0 || size > 4096)
        return 0;
    struct af_buf around;
    af_buf_init(&around, 8192);
    af_buf_append_char(&around, '(');
    af_buf_append_slice(&around, text);
    af_buf_append_char(&around, ')');
    uint32_t again = hits(af_buf_slice(&around));
    if (again != plain && again != UINT32_MAX) /* nested too deep, or nothing but spaces */
        abort();
    af_buf_rewind(&around, 0);
    af_buf_append_slice(&around, text);
    af_buf_append_str(&around, " OR _measurement=m");
    again = hits(af_buf_slice(&around));
    if (again != UINT32_MAX && again != (plain | 0x1f))
        abort();
    af_buf_done(&around);
    return 0;
}
