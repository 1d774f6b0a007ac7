/* alloc.c - malloc with a fault switch; see alloc.h. */
#include "base/alloc.h"
#include <stdbool.h>
#include <stdlib.h>

static _Thread_local size_t countdown;
static _Thread_local size_t counted;

static bool must_fail(void)
{
    counted++;
    return countdown != 0 && --countdown == 0;
}

void *af_alloc(size_t bytes)
{
    return must_fail() ? NULL : malloc(bytes != 0 ? bytes : 1);
}

void *af_alloc_zero(size_t count, size_t bytes)
{
    return must_fail() ? NULL : calloc(count != 0 ? count : 1, bytes != 0 ? bytes : 1);
}

void *af_realloc(void *ptr, size_t bytes)
{
    return must_fail() ? NULL : realloc(ptr, bytes != 0 ? bytes : 1);
}

void *af_alloc_aligned(size_t align, size_t bytes)
{
    size_t rounded = (bytes + align - 1) / align * align;
    if (rounded < bytes)
        return NULL;
    return must_fail() ? NULL : aligned_alloc(align, rounded != 0 ? rounded : align);
}

void af_free(void *ptr)
{
    free(ptr);
}

size_t af_alloc_fail_nth(size_t nth)
{
    size_t before = counted;
    counted = 0;
    countdown = nth;
    return before;
}
