/* fault.c - the counters behind fault.h. */
#include "os/fault.h"
#include <stdatomic.h>
#include <stdbool.h>

struct plan {
    atomic_bool is_set;
    atomic_uint_fast64_t calls; /* since it was set */
    uint64_t first;
    uint64_t times;
    int code;
};

static struct plan plans[AF_OS_CALLS];

void af_os_fault(enum af_os_call call, uint64_t nth, uint64_t times, int code)
{
    struct plan *plan = &plans[call];
    atomic_store(&plan->is_set, false);
    plan->first = nth;
    plan->times = times;
    plan->code = code;
    atomic_store(&plan->calls, 0);
    atomic_store(&plan->is_set, nth != 0);
}

int af_os_fault_due(enum af_os_call call)
{
    struct plan *plan = &plans[call];
    if (!atomic_load_explicit(&plan->is_set, memory_order_acquire))
        return 0;
    uint64_t n = atomic_fetch_add(&plan->calls, 1) + 1;
    return n >= plan->first && n - plan->first < plan->times ? plan->code : 0;
}
