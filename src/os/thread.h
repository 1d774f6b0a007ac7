/*
 * thread.h - threads, locks and conditions over pthreads. Failures to make one are AF_ENOMEM; misuse asserts.
 *
 * Order of locks: a thread that holds one lock takes another only if that other stands later in docs/ARCHITECTURE.md, "Locks".
 */
#ifndef AF_OS_THREAD_H
#define AF_OS_THREAD_H
#include "base/error.h"
#include <pthread.h>

struct af_mutex {
    pthread_mutex_t lock;
};
struct af_cond {
    pthread_cond_t cond; /* on the monotonic clock */
};
struct af_thread {
    pthread_t id;
    bool is_running;
};

void af_mutex_init(struct af_mutex *mutex);
void af_mutex_done(struct af_mutex *mutex);
void af_mutex_lock(struct af_mutex *mutex);
void af_mutex_unlock(struct af_mutex *mutex);

void af_cond_init(struct af_cond *cond);
void af_cond_done(struct af_cond *cond);
void af_cond_wait(struct af_cond *cond, struct af_mutex *mutex);
/* Until signalled or the monotonic time has come; false: time is up. */
bool af_cond_wait_until(struct af_cond *cond, struct af_mutex *mutex, int64_t mono_ns);
void af_cond_signal(struct af_cond *cond);
void af_cond_broadcast(struct af_cond *cond);

/* Signals are blocked in the new thread, so that they reach the main one. `name` is what `top -H` shows (15 bytes). */
AF_MUST_CHECK enum af_status af_thread_start(struct af_thread *thread, const char *name, void (*run)(void *ctx), void *ctx,
                                             struct af_error *err);
void af_thread_join(struct af_thread *thread); /* does nothing if it is not running */

unsigned af_cpu_count(void); /* processors this process may use, at least 1 */
#endif
