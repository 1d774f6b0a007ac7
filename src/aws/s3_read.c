/*
 * s3_read.c - an object as a reader: blocks that are fetched ahead by the pool's threads, or by whoever needs one that nobody announced.
 *
 *     announced ---> cut from the plan (s3_plan.c) ---> QUEUED ---> RUNNING ---> READY ---> read to its end: freed
 *     not announced ------------------------------------------'         `------> FAILED --> told to who reads it, freed
 *
 * Invariants
 * - held = the bytes of all blocks, and at most memory_bytes where it is up to us: a block past that is only made for somebody who waits
 *   for it, after blocks that nobody reads any more were dropped.
 * - Every byte that is handed out was in an answer for exactly its range, of the one version that If-Match names.
 * - A block that is read or written (users, RUNNING) is not freed; a forgotten one is when that ends.
 * - The core is shared by the reader and its jobs; whoever leaves last frees it.
 */
#include "aws/s3_int.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "os/clock.h"
#include <assert.h>
#include <stdio.h>

enum { LIES_MAX = 3, PAUSE_MS = 125, LOOK_NS = 50000000, OUTSIDE_KEPT = 2 };
enum state { QUEUED, RUNNING, READY, FAILED };

struct core;
struct block {
    struct s3_job job; /* first */
    struct core *core;
    struct block *next;
    uint64_t offset;
    size_t len;
    size_t unread;     /* of what was announced */
    size_t got;        /* bytes that came */
    uint8_t *bytes;
    enum state state;
    unsigned users;
    uint64_t tick;     /* of the last read; 0: none */
    bool is_outside;   /* nobody announced it */
    bool is_forgotten; /* out of the list */
    bool cancel;
    struct af_error err;
};

struct core {
    struct af_s3 *s3;
    struct af_mutex lock; /* of what follows */
    struct af_cond change;
    unsigned refs;        /* the reader and the jobs */
    struct s3_plan plan;
    struct block *blocks; /* in the order of their making */
    size_t block_count;
    uint64_t held;
    uint64_t ticks;
    bool is_lost;         /* changed or gone: nothing of it can be read any more */
    struct af_error loss;
    /* fixed */
    uint64_t size;
    char bucket[256];
    char key[1025];
    char etag[64];
    char name[1300];      /* s3://bucket/key */
};

struct s3_reader {
    struct af_reader base; /* first */
    struct core *core;
};

/* --- a range ----------------------------------------------------------------------------------------------------------------- */

static enum af_status take_bytes(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct block *block = ctx;
    if (s3_flag(&block->cancel))
        return af_fail(err, AF_ECANCELED, "stopped while reading from S3");
    if (bytes.len > block->len - block->got)
        return af_fail(err, AF_ECORRUPT, "more than the %zu bytes at offset %llu that were asked for", block->len,
                       (unsigned long long)block->offset);
    memcpy(block->bytes + block->got, bytes.ptr, bytes.len);
    block->got += bytes.len;
    return AF_OK;
}

static void forget_bytes(void *ctx)
{
    struct block *block = ctx;
    block->got = 0;
}

/* Is it what was asked for? A server that does not know ranges answers 200 with all of it. */
static enum af_status check_answer(const struct core *core, const struct block *block, const struct af_http_answer *http,
                                   struct af_error *err)
{
    uint64_t first = 0;
    uint64_t last = core->size - 1;
    uint64_t size = core->size;
    char etag[64];
    if (http->status == 206 && !s3_content_range(af_http_answer_header(http, "content-range"), &first, &last, &size))
        return af_fail(err, AF_ECORRUPT, "S3 does not say which bytes it sends");
    if (first != block->offset || last - first != block->len - 1 || size != core->size)
        return af_fail(err, AF_ECORRUPT, "S3 sends bytes %llu to %llu of %llu, not the %zu at offset %llu of %llu",
                       (unsigned long long)first, (unsigned long long)last, (unsigned long long)size, block->len,
                       (unsigned long long)block->offset, (unsigned long long)core->size);
    if (block->got != block->len)
        return af_fail(err, AF_ECORRUPT, "S3 sends %zu bytes instead of the %zu at offset %llu", block->got, block->len,
                       (unsigned long long)block->offset);
    struct af_slice text = af_http_answer_header(http, "etag");
    if (text.ptr != NULL && (!s3_etag(text, etag) || strcmp(etag, core->etag) != 0))
        return af_fail(err, AF_ECONFLICT, "changed while it was read: its ETag was %s and now is another; run again to read the new one",
                       core->etag);
    return AF_OK;
}

static enum af_status ask(struct core *core, struct block *block, struct af_aws_answer *answer, struct af_error *err)
{
    char range[64];
    char etag[70];
    (void)snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)block->offset,
                   (unsigned long long)(block->offset + block->len - 1));
    (void)snprintf(etag, sizeof etag, "\"%s\"", core->etag);
    struct af_aws_pair headers[] = { { AF_SLICE_LIT("range"), af_slice_of(range) }, { AF_SLICE_LIT("if-match"), af_slice_of(etag) } };
    struct s3_call call = { .operation = "GetObject", .method = "GET", .bucket = core->bucket, .key = core->key, .headers = headers,
                            .header_count = 2, .on_body = take_bytes, .again = forget_bytes, .ctx = block,
                            .cancel = block->job.run != NULL ? &block->cancel : NULL };
    block->got = 0;
    enum af_status status = s3_send(core->s3, &call, answer, err);
    if (status == AF_OK) {
        status = check_answer(core, block, &answer->http, err);
        if (status != AF_OK)
            af_error_prefix(err, "%s: ", core->name);
        return status;
    }
    int http = answer->http.status;
    if (http == 412 || http == 416)
        return af_fail(err, AF_ECONFLICT, "%s: changed while it was read: the version with ETag %s is there no more; run again to read "
                       "the new one", core->name, core->etag);
    if (http == 404)
        return af_fail(err, AF_ENOTFOUND, "%s: deleted since it was listed", core->name);
    return status;
}

static bool is_stopped(const struct core *core, const struct block *block)
{
    return s3_flag(&block->cancel) || s3_flag(core->s3->options.cancel);
}

/* Is it worth another try? Then after a pause. What lies is asked again at once, and not for ever; what does not answer for as long as the
 * options say, beyond the retries of each call. */
static bool try_again(const struct core *core, const struct block *block, enum af_status status, unsigned failures, int64_t *end_ns)
{
    if (status == AF_ECORRUPT)
        return failures < LIES_MAX;
    if (status != AF_EIO && status != AF_EBUSY)
        return false;
    int64_t now_ns = af_clock_mono_ns();
    int64_t pause_ns = (int64_t)PAUSE_MS << (failures < 5 ? failures : 5);
    pause_ns *= 1000000;
    if (*end_ns == 0)
        *end_ns = now_ns + (int64_t)core->s3->options.patience_ms * 1000000;
    if (now_ns + pause_ns > *end_ns)
        return false;
    for (int64_t until_ns = now_ns + pause_ns; af_clock_mono_ns() < until_ns && !is_stopped(core, block);)
        af_clock_sleep_ms(LOOK_NS / 1000000);
    return !is_stopped(core, block);
}

static enum af_status fetch(struct core *core, struct block *block, struct af_error *err)
{
    enum af_status status;
    unsigned failures = 0;
    int64_t end_ns = 0;
    do {
        struct af_aws_answer answer;
        af_aws_answer_init(&answer);
        status = ask(core, block, &answer, err);
        af_aws_answer_done(&answer);
    } while (status != AF_OK && try_again(core, block, status, ++failures, &end_ns));
    return status;
}

/* --- blocks ------------------------------------------------------------------------------------------------------------------ */

static void block_free(struct block *block)
{
    af_free(block->bytes);
    af_free(block);
}

static struct block *block_new(struct core *core, uint64_t offset, size_t len)
{
    struct block *block = af_alloc_zero(1, sizeof *block);
    uint8_t *bytes = block != NULL ? af_alloc(len) : NULL;
    if (bytes == NULL) {
        af_free(block);
        return NULL;
    }
    block->core = core;
    block->offset = offset;
    block->len = len;
    block->bytes = bytes;
    return block;
}

static void link_locked(struct core *core, struct block *block)
{
    struct block **at = &core->blocks;
    while (*at != NULL)
        at = &(*at)->next;
    *at = block;
    core->block_count++;
    core->held += block->len;
}

/* Out of the list; freed now or by who uses it. */
static void forget_locked(struct core *core, struct block *block)
{
    struct block **at = &core->blocks;
    while (*at != block)
        at = &(*at)->next;
    *at = block->next;
    core->block_count--;
    core->held -= block->len;
    block->is_forgotten = true;
    __atomic_store_n(&block->cancel, true, __ATOMIC_RELAXED);
    if (block->state == QUEUED && s3_withdraw(core->s3, &block->job)) {
        core->refs--; /* the reader holds one */
        block->state = FAILED;
    }
    if (block->users == 0 && block->state >= READY)
        block_free(block);
}

static struct block *find_locked(const struct core *core, uint64_t offset)
{
    for (struct block *block = core->blocks; block != NULL; block = block->next)
        if (offset >= block->offset && offset - block->offset < block->len)
            return block;
    return NULL;
}

/* The block that was not read for the longest time: of those that are there, before the newest. NULL: none. */
static struct block *oldest_locked(const struct core *core)
{
    struct block *oldest = NULL;
    for (struct block *block = core->blocks; block != NULL && block->next != NULL; block = block->next)
        if (block->state == READY && block->users == 0 && !block->is_outside && (oldest == NULL || block->tick < oldest->tick))
            oldest = block;
    return oldest;
}

static void make_room_locked(struct core *core, size_t len)
{
    struct block *oldest;
    while ((core->held + len > core->s3->options.memory_bytes || core->block_count >= AF_S3_BLOCKS_MAX) &&
           (oldest = oldest_locked(core)) != NULL)
        forget_locked(core, oldest);
}

static void unref_core(struct core *core) /* with the lock, which it gives up */
{
    bool is_last = --core->refs == 0;
    af_mutex_unlock(&core->lock);
    if (!is_last)
        return;
    assert(core->blocks == NULL);
    s3_plan_done(&core->plan);
    af_cond_done(&core->change);
    af_mutex_done(&core->lock);
    af_free(core);
}

static void settle_locked(struct core *core, struct block *block, enum af_status status, const struct af_error *err)
{
    block->state = status == AF_OK ? READY : FAILED;
    if (status != AF_OK)
        block->err = *err;
    if ((status == AF_ECONFLICT || status == AF_ENOTFOUND) && !core->is_lost) {
        core->is_lost = true;
        core->loss = *err;
    }
    if (block->is_forgotten && block->users == 0)
        block_free(block);
    af_cond_broadcast(&core->change);
}

static void run_job(struct s3_job *job)
{
    struct block *block = (struct block *)job;
    struct core *core = block->core;
    struct af_error err = { 0 };
    af_mutex_lock(&core->lock);
    block->state = RUNNING;
    bool is_needed = !block->is_forgotten;
    af_mutex_unlock(&core->lock);
    enum af_status status = is_needed ? fetch(core, block, &err) : af_fail(&err, AF_ECANCELED, "not needed any more");
    af_mutex_lock(&core->lock);
    settle_locked(core, block, status, &err);
    unref_core(core);
}

/* On its way. False: no memory. */
static bool start_locked(struct core *core, uint64_t offset, size_t len, size_t unread, bool is_outside)
{
    struct block *block = block_new(core, offset, len);
    if (block == NULL)
        return false;
    block->job.run = run_job;
    block->unread = unread;
    block->is_outside = is_outside;
    link_locked(core, block);
    core->refs++;
    if (s3_submit(core->s3, &block->job))
        return true;
    core->refs--;
    block->state = FAILED;
    forget_locked(core, block);
    return false;
}

static bool start_next_locked(struct core *core, const struct s3_cut *cut)
{
    if (!start_locked(core, cut->offset, cut->len, cut->wanted, false))
        return false;
    s3_plan_take(&core->plan, cut);
    return true;
}

/* What comes next, after what is there already: announced before, or read by somebody who did not announce it. */
static bool next_cut_locked(struct core *core, struct s3_cut *cut)
{
    while (s3_plan_next(&core->plan, cut)) {
        const struct block *there = find_locked(core, cut->offset);
        if (there == NULL)
            return true;
        s3_plan_skip(&core->plan, there->offset + there->len - cut->offset);
    }
    return false;
}

/* As much on its way as there is room for. */
static void pump_locked(struct core *core)
{
    struct s3_cut cut;
    while (!core->is_lost && core->block_count < AF_S3_BLOCKS_MAX && next_cut_locked(core, &cut) &&
           core->held + cut.len <= core->s3->options.memory_bytes && start_next_locked(core, &cut))
        ;
}

/* --- reading ----------------------------------------------------------------------------------------------------------------- */

static bool is_next_locked(struct core *core, uint64_t offset, struct s3_cut *cut)
{
    return next_cut_locked(core, cut) && offset >= cut->offset && offset - cut->offset < cut->len;
}

/* Somebody waits for `offset`, which the memory's limit keeps back: it comes in spite of it. What was announced before it was passed over
 * by the reader (a damaged row group) and is by us. */
static bool start_wanted_locked(struct core *core, uint64_t offset)
{
    struct s3_cut cut;
    if (!is_next_locked(core, offset, &cut) && !(s3_plan_seek(&core->plan, offset) && is_next_locked(core, offset, &cut)))
        return false;
    make_room_locked(core, cut.len);
    return start_next_locked(core, &cut);
}

/* Those of before that nobody needs; the newest are kept: a footer and the index beside it. */
static void drop_outside_locked(struct core *core)
{
    size_t count = 0;
    for (const struct block *block = core->blocks; block != NULL; block = block->next)
        count += block->is_outside;
    for (struct block *block = core->blocks, *next; block != NULL && count >= OUTSIDE_KEPT; block = next) {
        next = block->next;
        if (!block->is_outside || block->users != 0 || block->state < READY)
            continue;
        forget_locked(core, block);
        count--;
    }
}

/* Fetched here and now: at least AF_S3_READ_BYTES_MIN around what is asked for, a small object whole. With the lock, which is given up
 * meanwhile. */
static enum af_status read_outside_locked(struct core *core, uint64_t offset, size_t len, struct af_error *err)
{
    uint64_t want = len < AF_S3_READ_BYTES_MIN ? AF_S3_READ_BYTES_MIN : len < AF_S3_BLOCK_BYTES ? len : AF_S3_BLOCK_BYTES;
    if (core->size <= AF_S3_WHOLE_BYTES) {
        offset = 0;
        want = core->size;
    } else if (want > core->size - offset) {
        offset = core->size - want;
    }
    drop_outside_locked(core);
    struct block *block = block_new(core, offset, (size_t)want);
    if (block == NULL)
        return af_fail_nomem(err, "a part of an object of S3");
    struct af_error why = { 0 };
    block->is_outside = true;
    block->state = RUNNING;
    block->users = 1;
    link_locked(core, block);
    af_mutex_unlock(&core->lock);
    enum af_status status = fetch(core, block, &why);
    af_mutex_lock(&core->lock);
    settle_locked(core, block, status, &why);
    block->users--;
    if (status != AF_OK || block->is_forgotten) {
        if (block->is_forgotten)
            block_free(block);
        else
            forget_locked(core, block);
    }
    if (status != AF_OK && err != NULL)
        *err = why;
    return status;
}

/* What waits looks now and then whether it still should; what is on its way for it then ends too. */
static enum af_status wait_locked(struct core *core, struct af_error *err)
{
    (void)af_cond_wait_until(&core->change, &core->lock, af_clock_mono_ns() + LOOK_NS);
    if (!s3_flag(core->s3->options.cancel))
        return AF_OK;
    for (struct block *block = core->blocks; block != NULL; block = block->next)
        __atomic_store_n(&block->cancel, true, __ATOMIC_RELAXED);
    return af_fail(err, AF_ECANCELED, "stopped while reading %s", core->name);
}

static enum af_status fail_block_locked(struct core *core, struct block *block, struct af_error *err)
{
    enum af_status status = block->err.status;
    if (err != NULL)
        *err = block->err;
    forget_locked(core, block); /* who reads again asks again */
    return status;
}

/* A block with the byte at `offset`, ready. */
static enum af_status get_block_locked(struct core *core, uint64_t offset, size_t len, struct block **out, struct af_error *err)
{
    for (;;) {
        if (core->is_lost) {
            if (err != NULL)
                *err = core->loss;
            return core->loss.status;
        }
        struct block *block = find_locked(core, offset);
        if (block == NULL && !start_wanted_locked(core, offset))
            AF_TRY(read_outside_locked(core, offset, len, err));
        else if (block != NULL && block->state == FAILED)
            return fail_block_locked(core, block, err);
        else if (block != NULL && block->state == READY)
            return *out = block, AF_OK;
        else
            AF_TRY(wait_locked(core, err));
    }
}

static void leave_block_locked(struct core *core, struct block *block, size_t bytes)
{
    block->users--;
    block->unread -= bytes < block->unread ? bytes : block->unread;
    if (block->is_forgotten && block->users == 0) {
        block_free(block);
    } else if (!block->is_forgotten && block->unread == 0 && !block->is_outside && block->users == 0) {
        forget_locked(core, block);
    }
    pump_locked(core);
}

static enum af_status read_at(struct af_reader *base, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    struct core *core = ((struct s3_reader *)base)->core;
    char *to = dst;
    enum af_status status = AF_OK;
    af_mutex_lock(&core->lock);
    while (len != 0) {
        struct block *block = NULL;
        status = get_block_locked(core, offset, len, &block, err);
        if (status != AF_OK)
            break;
        size_t there = block->len - (size_t)(offset - block->offset);
        size_t take = len < there ? len : there;
        block->users++;
        block->tick = ++core->ticks;
        af_mutex_unlock(&core->lock);
        memcpy(to, block->bytes + (offset - block->offset), take);
        af_mutex_lock(&core->lock);
        leave_block_locked(core, block, take);
        to += take;
        offset += take;
        len -= take;
    }
    af_mutex_unlock(&core->lock);
    return status;
}

static size_t overlap(const struct block *block, const struct af_range *ranges, size_t count)
{
    uint64_t sum = 0;
    uint64_t stop = block->offset + block->len;
    for (size_t i = 0; i < count; i++) {
        uint64_t begin = ranges[i].offset > block->offset ? ranges[i].offset : block->offset;
        uint64_t end = ranges[i].len < stop && ranges[i].offset < stop - ranges[i].len ? ranges[i].offset + ranges[i].len : stop;
        sum += end > begin ? end - begin : 0;
    }
    return sum < SIZE_MAX ? (size_t)sum : SIZE_MAX;
}

/* Blocks of an earlier announcement that are not read by now, but for those that this one names again. */
static void forget_announced_locked(struct core *core, const struct af_range *ranges, size_t count)
{
    for (struct block *block = core->blocks, *next; block != NULL; block = next) {
        next = block->next;
        if (block->is_outside)
            continue;
        block->unread = overlap(block, ranges, count);
        if (block->unread == 0)
            forget_locked(core, block);
    }
}

static void will_need(struct af_reader *base, const struct af_range *ranges, size_t count)
{
    struct core *core = ((struct s3_reader *)base)->core;
    af_mutex_lock(&core->lock);
    if (core->size <= AF_S3_WHOLE_BYTES) {
        if (core->blocks == NULL && core->size != 0)
            (void)start_locked(core, 0, (size_t)core->size, 0, true);
    } else {
        forget_announced_locked(core, ranges, count);
        const struct af_s3_options *o = &core->s3->options;
        if (s3_plan_set(&core->plan, ranges, count, core->size, o->connections, o->memory_bytes))
            pump_locked(core);
    }
    af_mutex_unlock(&core->lock);
}

/* --- life -------------------------------------------------------------------------------------------------------------------- */

static void close_reader(struct af_reader *base)
{
    struct core *core = ((struct s3_reader *)base)->core;
    af_mutex_lock(&core->lock);
    while (core->blocks != NULL)
        forget_locked(core, core->blocks);
    unref_core(core);
    af_free(base);
}

static struct core *core_new(struct af_s3 *s3, const char *bucket, const char *key, const struct af_s3_object *known)
{
    struct core *core = af_alloc_zero(1, sizeof *core);
    if (core == NULL)
        return NULL;
    core->s3 = s3;
    core->refs = 1;
    core->size = known->bytes;
    (void)snprintf(core->bucket, sizeof core->bucket, "%s", bucket);
    (void)snprintf(core->key, sizeof core->key, "%s", key);
    (void)snprintf(core->etag, sizeof core->etag, "%s", known->etag);
    (void)snprintf(core->name, sizeof core->name, "s3://%s/%s", core->bucket, core->key);
    af_mutex_init(&core->lock);
    af_cond_init(&core->change);
    return core;
}

enum af_status af_s3_reader_open(struct af_s3 *s3, const char *bucket, const char *key, const struct af_s3_object *known,
                                 struct af_reader **out, struct af_error *err)
{
    static const struct af_reader_ops ops = { .read_at = read_at, .close = close_reader, .will_need = will_need };
    struct af_s3_object object;
    if (known == NULL || known->etag[0] == '\0')
        AF_TRY(af_s3_head(s3, bucket, key, NULL, &object, err));
    else
        object = *known;
    struct s3_reader *reader = af_alloc_zero(1, sizeof *reader);
    struct core *core = reader != NULL ? core_new(s3, bucket, key, &object) : NULL;
    if (core == NULL) {
        af_free(reader);
        return af_fail_nomem(err, "an object of S3");
    }
    *reader = (struct s3_reader){ { .ops = &ops, .name = core->name, .size = core->size }, core };
    *out = &reader->base;
    return AF_OK;
}
