/* thread.c - threads, locks and conditions; see thread.h. */
#include "os/thread.h"
#include "base/alloc.h"
#include "base/calendar.h"
#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What these calls refuse is misuse, a defect of ours; NDEBUG builds go on. */
static void must(int rc)
{
    assert(rc == 0);
    (void)rc;
}

void af_mutex_init(struct af_mutex *mutex)
{
    must(pthread_mutex_init(&mutex->lock, NULL));
}

void af_mutex_done(struct af_mutex *mutex)
{
    must(pthread_mutex_destroy(&mutex->lock));
}

void af_mutex_lock(struct af_mutex *mutex)
{
    must(pthread_mutex_lock(&mutex->lock));
}

void af_mutex_unlock(struct af_mutex *mutex)
{
    must(pthread_mutex_unlock(&mutex->lock));
}

void af_cond_init(struct af_cond *cond)
{
    pthread_condattr_t attr;
    must(pthread_condattr_init(&attr));
    must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    must(pthread_cond_init(&cond->cond, &attr));
    must(pthread_condattr_destroy(&attr));
}

void af_cond_done(struct af_cond *cond)
{
    must(pthread_cond_destroy(&cond->cond));
}

void af_cond_wait(struct af_cond *cond, struct af_mutex *mutex)
{
    must(pthread_cond_wait(&cond->cond, &mutex->lock));
}

bool af_cond_wait_until(struct af_cond *cond, struct af_mutex *mutex, int64_t mono_ns)
{
    if (mono_ns < 0)
        mono_ns = 0;
    struct timespec until = { .tv_sec = mono_ns / AF_NS_PER_S, .tv_nsec = mono_ns % AF_NS_PER_S };
    int rc = pthread_cond_timedwait(&cond->cond, &mutex->lock, &until);
    assert(rc == 0 || rc == ETIMEDOUT);
    return rc != ETIMEDOUT;
}

void af_cond_signal(struct af_cond *cond)
{
    must(pthread_cond_signal(&cond->cond));
}

void af_cond_broadcast(struct af_cond *cond)
{
    must(pthread_cond_broadcast(&cond->cond));
}

struct start {
    void (*run)(void *ctx);
    void *ctx;
    char name[16];
};

static void *run_start(void *arg)
{
    struct start start = *(struct start *)arg;
    af_free(arg);
    (void)pthread_setname_np(pthread_self(), start.name);
    start.run(start.ctx);
    return NULL;
}

enum af_status af_thread_start(struct af_thread *thread, const char *name, void (*run)(void *ctx), void *ctx,
                               struct af_error *err)
{
    struct start *start = af_alloc(sizeof *start);
    if (start == NULL)
        return af_fail_nomem(err, "a thread");
    start->run = run;
    start->ctx = ctx;
    (void)snprintf(start->name, sizeof start->name, "%s", name);

    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before));
    pthread_t id;
    int rc = pthread_create(&id, NULL, run_start, start);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL));
    if (rc != 0) {
        af_free(start);
        return af_fail(err, AF_ENOMEM, "cannot start thread %s: %s; see ulimit -u and the memory limit", name,
                       strerrordesc_np(rc));
    }
    *thread = (struct af_thread){ .id = id, .is_running = true };
    return AF_OK;
}

void af_thread_join(struct af_thread *thread)
{
    if (!thread->is_running)
        return;
    must(pthread_join(thread->id, NULL));
    thread->is_running = false;
}

unsigned af_cpu_count(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than a cpu_set_t holds */
    return n > 0 ? (unsigned)n : 1;
}
