/* watch.c - a thread that raises a flag when a time comes or another flag is up, because who waits is not sure to look at the clock. */
#include "load/load.h"
#include "os/clock.h"

enum { LOOK_NS = 20000000 };

static bool is_up(const bool *flag)
{
    return flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED);
}

static int64_t next_look(const struct af_load_watch *w, int64_t now_ns)
{
    int64_t look_ns = w->cancel != NULL ? now_ns + LOOK_NS : INT64_MAX;
    return w->end_mono_ns != 0 && w->end_mono_ns < look_ns ? w->end_mono_ns : look_ns;
}

static void watch(void *ctx)
{
    struct af_load_watch *w = ctx;
    af_mutex_lock(&w->lock);
    while (!w->is_over) {
        int64_t now_ns = af_clock_mono_ns();
        bool came = w->end_mono_ns != 0 && now_ns >= w->end_mono_ns;
        if (came)
            __atomic_store_n(&w->came, true, __ATOMIC_RELAXED);
        if (came || is_up(w->cancel)) {
            __atomic_store_n(w->flag, true, __ATOMIC_RELAXED);
            break;
        }
        (void)af_cond_wait_until(&w->cond, &w->lock, next_look(w, now_ns));
    }
    af_mutex_unlock(&w->lock);
}

enum af_status af_load_watch_begin(struct af_load_watch *w, int64_t end_mono_ns, const bool *cancel, bool *flag, struct af_error *err)
{
    *w = (struct af_load_watch){ .end_mono_ns = end_mono_ns, .cancel = cancel, .flag = flag };
    af_mutex_init(&w->lock);
    af_cond_init(&w->cond);
    if (end_mono_ns == 0 && cancel == NULL)
        return AF_OK;
    enum af_status status = af_thread_start(&w->thread, "af-watch", watch, w, err);
    if (status != AF_OK)
        af_load_watch_end(w);
    return status;
}

void af_load_watch_end(struct af_load_watch *w)
{
    af_mutex_lock(&w->lock);
    w->is_over = true;
    af_cond_signal(&w->cond);
    af_mutex_unlock(&w->lock);
    af_thread_join(&w->thread);
    af_cond_done(&w->cond);
    af_mutex_done(&w->lock);
}

bool af_load_watch_came(const struct af_load_watch *w)
{
    return __atomic_load_n(&w->came, __ATOMIC_RELAXED);
}
