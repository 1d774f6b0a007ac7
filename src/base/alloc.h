/*
 * alloc.h - the one place that calls malloc, so that tests can make the Nth allocation fail.
 */
#ifndef AF_BASE_ALLOC_H
#define AF_BASE_ALLOC_H
#include <stddef.h>

void *af_alloc(size_t bytes);                /* uninitialised; NULL without memory; 0 bytes give a unique pointer */
void *af_alloc_zero(size_t count, size_t bytes);
void *af_realloc(void *ptr, size_t bytes);   /* on NULL the old block is untouched */
void *af_alloc_aligned(size_t align, size_t bytes); /* free with af_free */
void af_free(void *ptr);

/* Tests: the `nth` allocation of this thread from now on fails (1 = the next one); 0 ends the experiment. Returns how many
 * allocations were counted since the previous call. */
size_t af_alloc_fail_nth(size_t nth);
#endif
