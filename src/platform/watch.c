/*
 * watch.c - one flag for two reasons to stop: the time is up, or the caller does not want it any more. What is asked of another server
 * polls the flag; a thread sets it.
 */
#include "os/clock.h"
#include "platform/platform_int.h"

enum { LOOK_NS = 50000000 }; /* how often the caller's flag is looked at */

static bool is_set(const bool *flag)
{
    return flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED);
}

static void run(void *ctx)
{
    struct platform_watch *watch = ctx;
    af_mutex_lock(&watch->lock);
    while (!watch->is_over && !watch->flag) {
        int64_t now_ns = af_clock_mono_ns();
        int64_t until_ns = watch->cancel != NULL && watch->end_mono_ns - now_ns > LOOK_NS ? now_ns + LOOK_NS : watch->end_mono_ns;
        if (now_ns >= watch->end_mono_ns || is_set(watch->cancel))
            __atomic_store_n(&watch->flag, true, __ATOMIC_RELAXED);
        else
            (void)af_cond_wait_until(&watch->over, &watch->lock, until_ns);
    }
    af_mutex_unlock(&watch->lock);
}

enum af_status platform_watch_start(struct platform_watch *watch, int64_t end_mono_ns, const bool *cancel, struct af_error *err)
{
    *watch = (struct platform_watch){ .cancel = cancel, .end_mono_ns = end_mono_ns };
    af_mutex_init(&watch->lock);
    af_cond_init(&watch->over);
    enum af_status status = af_thread_start(&watch->thread, "af-watch", run, watch, err);
    if (status != AF_OK) {
        af_cond_done(&watch->over);
        af_mutex_done(&watch->lock);
    }
    return status;
}

void platform_watch_stop(struct platform_watch *watch)
{
    af_mutex_lock(&watch->lock);
    watch->is_over = true;
    af_cond_signal(&watch->over);
    af_mutex_unlock(&watch->lock);
    af_thread_join(&watch->thread);
    af_cond_done(&watch->over);
    af_mutex_done(&watch->lock);
}
