/*
 * subscribe.c - subscriptions: what is written to a retention policy is sent on, after it is durable here, to other servers' /write.
 *
 *     write.c, forward.c --> queue, bounded --> one thread --> POST destination/write?db=..&rp=..  (line protocol, nanoseconds)
 *
 * Nobody waits for it, and nothing is sent twice: what finds the queue full, or a destination that does not take it, is dropped and
 * counted, as in InfluxDB. A destination that failed is left alone for a second, so that one that is gone does not hold up the others.
 * ALL sends to every destination, ANY to the first that takes it, another one being asked first each time.
 *
 * The thread starts with the first subscription. It looks at the catalogue once a second, since buckets and mappings come and go.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "format/lp/lp.h"
#include "net/http.h"
#include "net/url.h"
#include "os/clock.h"
#include "server/core.h"
#include <stdio.h>

enum { QUEUE_BYTES_MAX = 32 << 20, LOOK_MS = 1000, REST_MS = 1000, CONNECT_MS = 5000, SEND_MS = 30000 };

struct message {
    struct message *next;
    uint64_t bucket;
    size_t len, points;
    char lines[];
};
struct destination {
    char *url;                       /* whole, of its /write */
    int64_t rests_until_ns;          /* monotonic */
};
struct target {
    uint64_t id, bucket;
    bool is_all;
    struct destination *destinations;
    size_t count, turn;
};
struct core_subscriptions {
    struct af_server *server;
    struct af_thread thread;
    bool has_thread;
    struct af_mutex lock;            /* around what follows */
    struct af_cond wake;
    bool is_stopping;                /* atomic access too: a request at work polls it */
    bool is_stale;
    struct message *first, *last;
    size_t queued_bytes;
    uint64_t *buckets;               /* that somebody subscribed to */
    size_t bucket_count;
    /* The thread's own. */
    struct af_http *http;
    struct af_http_answer answer;
    struct af_arena arena;           /* of the targets */
    struct target *targets;
    size_t target_count;
    int64_t looked_ns;
};

/* --- the catalogue -> targets ------------------------------------------------------------------------------------------------------- */

static char *url_of(const struct af_meta_subscription *s, const char *destination, struct af_arena *arena)
{
    struct af_buf url;
    size_t len = strlen(destination);
    while (len > 0 && destination[len - 1] == '/')
        len--;
    af_buf_init(&url, 64 << 10);
    af_buf_append(&url, destination, len);
    af_buf_append_str(&url, "/write?consistency=&db=");
    af_url_append_escaped(&url, af_slice_of(s->database));
    af_buf_append_str(&url, "&precision=ns&rp=");
    af_url_append_escaped(&url, af_slice_of(s->policy));
    char *copy = url.failed ? NULL : af_arena_copy(arena, af_buf_slice(&url));
    af_buf_done(&url);
    return copy;
}

static const struct target *find_target(const struct core_subscriptions *subs, uint64_t id)
{
    for (size_t i = 0; i < subs->target_count; i++)
        if (subs->targets[i].id == id)
            return &subs->targets[i];
    return NULL;
}

static enum af_status make_target(const struct core_subscriptions *subs, const struct af_meta_subscription *s, struct af_arena *arena,
                                  struct target *out, struct af_error *err)
{
    const struct target *old = find_target(subs, s->id);
    *out = (struct target){ .id = s->id, .is_all = s->is_all, .count = s->destination_count, .turn = old != NULL ? old->turn : 0 };
    out->destinations = af_arena_zero(arena, s->destination_count, sizeof *out->destinations);
    for (size_t i = 0; i < s->destination_count && out->destinations != NULL; i++) {
        out->destinations[i].url = url_of(s, s->destinations[i], arena);
        out->destinations[i].rests_until_ns = old != NULL && i < old->count ? old->destinations[i].rests_until_ns : 0;
        if (out->destinations[i].url == NULL)
            return af_fail_nomem(err, "a subscription");
    }
    return out->destinations != NULL ? AF_OK : af_fail_nomem(err, "a subscription");
}

/* One that leads to no bucket now has no target. */
static enum af_status make_targets(struct core_subscriptions *subs, struct af_arena *arena, struct target **out, size_t *out_count,
                                   struct af_error *err)
{
    struct af_meta *meta = subs->server->options.house->meta;
    struct af_meta_subscription *list;
    struct af_meta_bucket bucket;
    size_t count;
    *out_count = 0;
    AF_TRY(af_meta_subscriptions(meta, 0, NULL, arena, &list, &count, err));
    *out = af_arena_zero(arena, count + 1, sizeof **out);
    if (*out == NULL)
        return af_fail_nomem(err, "subscriptions");
    for (size_t i = 0; i < count; i++) {
        struct target *target = &(*out)[*out_count];
        if (af_meta_dbrp_find(meta, list[i].org, list[i].database, list[i].policy, arena, &bucket, NULL) != AF_OK)
            continue;
        AF_TRY(make_target(subs, &list[i], arena, target, err));
        target->bucket = bucket.id;
        (*out_count)++;
    }
    return AF_OK;
}

/* Writers look at this list only. Without memory for it the one before stays. */
static enum af_status tell_writers(struct core_subscriptions *subs, const struct target *targets, size_t count, struct af_error *err)
{
    uint64_t *buckets = af_alloc((count + 1) * sizeof *buckets);
    if (buckets == NULL)
        return af_fail_nomem(err, "subscriptions");
    for (size_t i = 0; i < count; i++)
        buckets[i] = targets[i].bucket;
    af_mutex_lock(&subs->lock);
    af_free(subs->buckets);
    subs->buckets = buckets;
    subs->bucket_count = count;
    af_mutex_unlock(&subs->lock);
    return AF_OK;
}

static void look(struct core_subscriptions *subs)
{
    struct af_arena arena;
    struct target *targets = NULL;
    size_t count = 0;
    struct af_error err = { 0 };
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = make_targets(subs, &arena, &targets, &count, &err);
    if (status == AF_OK)
        status = tell_writers(subs, targets, count, &err);
    subs->looked_ns = af_clock_mono_ns();
    if (status != AF_OK) {
        core_log_error(subs->server, "subscriptions", err.message);
        af_arena_done(&arena);
        return;
    }
    af_arena_done(&subs->arena);
    subs->arena = arena;
    subs->targets = targets;
    subs->target_count = count;
}

/* --- sending ------------------------------------------------------------------------------------------------------------------------ */

static bool send_to(struct core_subscriptions *subs, struct destination *to, const struct message *message)
{
    static const char *const headers[] = { "Content-Type: text/plain; charset=utf-8", NULL };
    struct af_http_request request = { .method = "POST", .url = to->url, .headers = headers, .cancel = &subs->is_stopping,
                                       .body = { message->lines, message->len } };
    struct af_error err = { 0 };
    char words[512];
    if (af_clock_mono_ns() < to->rests_until_ns)
        return false;
    enum af_status status = af_http_send(subs->http, &request, &subs->answer, &err);
    if (status == AF_OK && subs->answer.status / 100 == 2)
        return true;
    if (status == AF_OK)
        (void)snprintf(words, sizeof words, "status %d: %.400s", subs->answer.status, af_buf_cstr(&subs->answer.body));
    if (status != AF_ECANCELED)
        core_log_error(subs->server, "a subscription's destination", status == AF_OK ? words : err.message);
    if (status != AF_OK)
        to->rests_until_ns = af_clock_mono_ns() + REST_MS * INT64_C(1000000);
    return false;
}

static void deliver(struct core_subscriptions *subs, struct target *target, const struct message *message)
{
    for (size_t i = 0; i < target->count; i++) {
        struct destination *to = &target->destinations[target->turn];
        target->turn = (target->turn + 1) % target->count;
        if (!send_to(subs, to, message)) {
            atomic_fetch_add(&subs->server->subscription_failed, 1);
            continue;
        }
        atomic_fetch_add(&subs->server->subscription_points, message->points);
        if (!target->is_all)
            break;
    }
}

static struct message *take(struct core_subscriptions *subs)
{
    struct message *message = subs->first;
    if (message == NULL)
        return NULL;
    subs->first = message->next;
    if (subs->first == NULL)
        subs->last = NULL;
    subs->queued_bytes -= message->len;
    return message;
}

static void send_for_ever(void *ctx)
{
    struct core_subscriptions *subs = ctx;
    af_mutex_lock(&subs->lock);
    while (!subs->is_stopping) {
        int64_t next_ns = subs->looked_ns + LOOK_MS * INT64_C(1000000);
        if (subs->first == NULL && !subs->is_stale)
            (void)af_cond_wait_until(&subs->wake, &subs->lock, next_ns);
        bool must_look = subs->is_stale || af_clock_mono_ns() >= next_ns;
        struct message *message = take(subs);
        subs->is_stale = false;
        af_mutex_unlock(&subs->lock);
        if (must_look)
            look(subs);
        for (size_t i = 0; i < subs->target_count && message != NULL; i++)
            if (subs->targets[i].bucket == message->bucket)
                deliver(subs, &subs->targets[i], message);
        af_free(message);
        af_mutex_lock(&subs->lock);
    }
    af_mutex_unlock(&subs->lock);
}

/* --- from the outside --------------------------------------------------------------------------------------------------------------- */

static bool is_wanted(struct core_subscriptions *subs, uint64_t bucket)
{
    bool is = false;
    if (!atomic_load_explicit(&subs->server->has_subscriptions, memory_order_acquire))
        return false;
    af_mutex_lock(&subs->lock);
    for (size_t i = 0; i < subs->bucket_count; i++)
        is = is || subs->buckets[i] == bucket;
    af_mutex_unlock(&subs->lock);
    return is;
}

void core_subscriptions_see(struct af_server *server, struct core_subscriptions_seen *out)
{
    struct core_subscriptions *subs = server->subscriptions;
    af_mutex_lock(&subs->lock);
    *out = (struct core_subscriptions_seen){ subs->bucket_count, subs->queued_bytes };
    af_mutex_unlock(&subs->lock);
}

static bool enqueue(struct core_subscriptions *subs, struct message *message)
{
    af_mutex_lock(&subs->lock);
    bool fits = subs->queued_bytes + message->len <= QUEUE_BYTES_MAX;
    if (fits) {
        if (subs->last != NULL)
            subs->last->next = message;
        else
            subs->first = message;
        subs->last = message;
        subs->queued_bytes += message->len;
        af_cond_signal(&subs->wake);
    }
    af_mutex_unlock(&subs->lock);
    return fits;
}

static bool offer(struct core_subscriptions *subs, uint64_t bucket, struct af_slice lines, size_t count)
{
    struct message *message = lines.len <= QUEUE_BYTES_MAX ? af_alloc(sizeof *message + lines.len) : NULL;
    if (message == NULL)
        return false;
    *message = (struct message){ .bucket = bucket, .len = lines.len, .points = count };
    if (lines.len != 0)
        memcpy(message->lines, lines.ptr, lines.len);
    if (enqueue(subs, message))
        return true;
    af_free(message);
    return false;
}

void core_subscriptions_offer_lines(struct af_server *server, uint64_t bucket, struct af_slice lines, size_t count)
{
    struct core_subscriptions *subs = server->subscriptions;
    if (subs != NULL && is_wanted(subs, bucket) && !offer(subs, bucket, lines, count))
        atomic_fetch_add(&server->subscription_dropped, count);
}

void core_subscriptions_offer(struct af_server *server, uint64_t bucket, const struct af_points *points)
{
    struct core_subscriptions *subs = server->subscriptions;
    struct af_lp_text text;
    if (subs == NULL || !is_wanted(subs, bucket))
        return;
    af_lp_text_init(&text);
    bool is_text = af_lp_encode(points, AF_PRECISION_NS, &text, 1, NULL) == AF_OK;
    if (!is_text || !offer(subs, bucket, af_buf_slice(&text.bytes), text.line_count))
        atomic_fetch_add(&server->subscription_dropped, points->row_count);
    af_lp_text_done(&text);
}

static enum af_status start_thread(struct core_subscriptions *subs, struct af_error *err)
{
    if (subs->has_thread)
        return AF_OK;
    if (subs->http == NULL)
        AF_TRY(af_http_new(&(struct af_http_options){ .connect_timeout_ms = CONNECT_MS, .total_timeout_ms = SEND_MS }, &subs->http, err));
    AF_TRY(af_thread_start(&subs->thread, "subscriptions", send_for_ever, subs, err));
    subs->has_thread = true;
    atomic_store_explicit(&subs->server->has_subscriptions, true, memory_order_release);
    return AF_OK;
}

enum af_status core_subscriptions_changed(struct af_server *server, struct af_error *err)
{
    struct core_subscriptions *subs = server->subscriptions;
    if (subs == NULL) /* a directory alone: who serves it will see */
        return AF_OK;
    af_mutex_lock(&subs->lock);
    subs->is_stale = true;
    enum af_status status = start_thread(subs, err);
    af_cond_signal(&subs->wake);
    af_mutex_unlock(&subs->lock);
    return status;
}

enum af_status core_subscriptions_start(struct af_server *server, struct af_error *err)
{
    struct core_subscriptions *subs = af_alloc_zero(1, sizeof *subs);
    struct af_meta_subscription *list;
    struct af_arena arena;
    size_t count = 0;
    if (subs == NULL)
        return af_fail_nomem(err, "a server");
    subs->server = server;
    af_mutex_init(&subs->lock);
    af_cond_init(&subs->wake);
    af_arena_init(&subs->arena, SIZE_MAX / 2);
    af_http_answer_init(&subs->answer);
    server->subscriptions = subs;
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = af_meta_subscriptions(server->options.house->meta, 0, NULL, &arena, &list, &count, err);
    af_arena_done(&arena);
    return status == AF_OK && count != 0 ? core_subscriptions_changed(server, err) : status;
}

void core_subscriptions_stop(struct af_server *server)
{
    struct core_subscriptions *subs = server->subscriptions;
    struct message *message;
    if (subs == NULL)
        return;
    af_mutex_lock(&subs->lock);
    __atomic_store_n(&subs->is_stopping, true, __ATOMIC_RELAXED);
    af_cond_signal(&subs->wake);
    af_mutex_unlock(&subs->lock);
    af_thread_join(&subs->thread);
    while ((message = take(subs)) != NULL)
        af_free(message);
    af_http_free(subs->http);
    af_http_answer_done(&subs->answer);
    af_arena_done(&subs->arena);
    af_free(subs->buckets);
    af_cond_done(&subs->wake);
    af_mutex_done(&subs->lock);
    af_free(subs);
    server->subscriptions = NULL;
}
