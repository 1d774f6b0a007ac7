/*
 * s3.c - the pool: threads that do jobs, in the order in which they came.
 *
 *     submit ---> first ... last ---> a thread ---> job->run(job)
 *        `-- nobody is idle and there may be more threads: one is started
 */
#include "base/alloc.h"
#include "aws/s3_int.h"

static char *copy_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = af_alloc(bytes);
    if (copy != NULL)
        memcpy(copy, text, bytes);
    return copy;
}

/* The options' strings are kept. */
static bool keep_text(const char **text, char **owned)
{
    if (*text == NULL)
        return true;
    *owned = copy_text(*text);
    *text = *owned;
    return *owned != NULL;
}

enum af_status af_s3_open(struct af_aws *aws, const struct af_s3_options *options, struct af_s3 **out, struct af_error *err)
{
    enum { CONNECTIONS = 8, MEMORY_BYTES = 64 << 20, PART_BYTES = 8 << 20, PART_BYTES_MIN = 5 << 20 };
    struct af_s3 *s3 = af_alloc_zero(1, sizeof *s3);
    if (s3 == NULL)
        return af_fail_nomem(err, "S3");
    s3->aws = aws;
    s3->options = *options;
    s3->last = &s3->first;
    af_mutex_init(&s3->lock);
    af_cond_init(&s3->work);
    struct af_s3_options *o = &s3->options;
    if (!keep_text(&o->expected_owner, &s3->owned[0]) || !keep_text(&o->kms_key_id, &s3->owned[1])) {
        af_s3_close(s3);
        return af_fail_nomem(err, "S3");
    }
    o->connections = o->connections == 0 ? CONNECTIONS : o->connections < S3_THREADS_MAX ? o->connections : S3_THREADS_MAX;
    o->memory_bytes = o->memory_bytes == 0 ? MEMORY_BYTES : o->memory_bytes;
    o->part_bytes = o->part_bytes == 0 ? PART_BYTES : o->part_bytes < PART_BYTES_MIN ? PART_BYTES_MIN : o->part_bytes;
    *out = s3;
    return AF_OK;
}

void af_s3_close(struct af_s3 *s3)
{
    if (s3 == NULL)
        return;
    af_mutex_lock(&s3->lock);
    s3->is_closing = true;
    af_cond_broadcast(&s3->work);
    af_mutex_unlock(&s3->lock);
    for (uint32_t i = 0; i < s3->thread_count; i++)
        af_thread_join(&s3->threads[i]);
    s3_connections_free(s3);
    af_cond_done(&s3->work);
    af_mutex_done(&s3->lock);
    af_free(s3->owned[0]);
    af_free(s3->owned[1]);
    af_free(s3);
}

/* --- jobs -------------------------------------------------------------------------------------------------------------------- */

static struct s3_job *take_job_locked(struct af_s3 *s3)
{
    struct s3_job *job = s3->first;
    if (job == NULL)
        return NULL;
    s3->first = job->next;
    if (s3->first == NULL)
        s3->last = &s3->first;
    return job;
}

static void work(void *ctx)
{
    struct af_s3 *s3 = ctx;
    af_mutex_lock(&s3->lock);
    for (;;) {
        struct s3_job *job = take_job_locked(s3);
        if (job == NULL && s3->is_closing)
            break;
        if (job == NULL) {
            s3->threads_idle++;
            af_cond_wait(&s3->work, &s3->lock);
            s3->threads_idle--;
            continue;
        }
        af_mutex_unlock(&s3->lock);
        job->run(job);
        af_mutex_lock(&s3->lock);
    }
    af_mutex_unlock(&s3->lock);
}

bool s3_submit(struct af_s3 *s3, struct s3_job *job)
{
    af_mutex_lock(&s3->lock);
    uint32_t waiting = 1;
    for (const struct s3_job *at = s3->first; at != NULL && waiting <= s3->threads_idle; at = at->next)
        waiting++;
    if (waiting > s3->threads_idle && s3->thread_count < s3->options.connections &&
        af_thread_start(&s3->threads[s3->thread_count], "s3", work, s3, NULL) == AF_OK)
        s3->thread_count++;
    bool taken = s3->thread_count != 0;
    if (taken) {
        job->next = NULL;
        *s3->last = job;
        s3->last = &job->next;
        af_cond_signal(&s3->work);
    }
    af_mutex_unlock(&s3->lock);
    return taken;
}

bool s3_withdraw(struct af_s3 *s3, struct s3_job *job)
{
    bool found = false;
    af_mutex_lock(&s3->lock);
    for (struct s3_job **at = &s3->first; *at != NULL && !found; at = &(*at)->next) {
        if (*at != job)
            continue;
        found = true;
        *at = job->next;
        if (s3->last == &job->next)
            s3->last = at;
        break;
    }
    af_mutex_unlock(&s3->lock);
    return found;
}
