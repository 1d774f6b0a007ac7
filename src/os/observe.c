/* observe.c - who is told of changes; see observe.h. */
#include "os/observe.h"
#include <stdatomic.h>

static _Atomic(af_os_observer) current;
static void *current_ctx;

void af_os_observe(af_os_observer observer, void *ctx)
{
    current_ctx = ctx;
    atomic_store(&current, observer);
}

void af_os_tell(const struct af_os_event *event)
{
    af_os_observer observer = atomic_load_explicit(&current, memory_order_acquire);
    if (observer != NULL)
        observer(current_ctx, event);
}
