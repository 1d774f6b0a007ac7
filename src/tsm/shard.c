/*
 * shard.c - buckets and shards as objects: which shard a time belongs to, who holds what.
 *
 *     engine --ref--> bucket --ref--> shards by start      a shard --ref--> its bucket
 *        '-----ref--> shards by id                         writers, views, flushes: --ref--> shard
 *
 * A shard covers [start, end): a multiple of the bucket's shard duration counted from 0001-01-01T00:00Z as InfluxDB counts, cut to
 * int64 and to what its neighbours leave, so shards of a bucket never overlap, also when the duration was changed.
 * A shard that a write needs is made in memory only: nothing on disk depends on it before the first flush, which writes the manifest first;
 * after a crash the log makes it again.
 *
 * Dropped shards leave the tables at once and keep existing for whoever holds a reference.
 */
#include "base/alloc.h"
#include "os/clock.h"
#include "tsm/core_int.h"
#include <inttypes.h>

#define HOUR_NS (INT64_C(3600) * 1000000000)
#define ZERO_TIME_S INT64_C(-62135596800) /* 0001-01-01T00:00Z */

/* --- times ----------------------------------------------------------------------------------------------------------------- */

int64_t af_tsm_default_shard_ns(int64_t retention_ns)
{
    if (retention_ns > 0 && retention_ns < 2 * 24 * HOUR_NS)
        return HOUR_NS;
    if (retention_ns > 0 && retention_ns < 180 * 24 * HOUR_NS)
        return 24 * HOUR_NS;
    return 7 * 24 * HOUR_NS;
}

int64_t core_shard_ns(const struct af_tsm_bucket *settings)
{
    if (settings->shard_ns <= 0)
        return af_tsm_default_shard_ns(settings->retention_ns);
    return settings->shard_ns < HOUR_NS ? HOUR_NS : settings->shard_ns;
}

void core_group_of(int64_t shard_ns, int64_t time_ns, int64_t *out_start, int64_t *out_end)
{
    __int128 since = (__int128)time_ns - (__int128)ZERO_TIME_S * 1000000000; /* never negative: int64 begins in 1677 */
    __int128 start = (__int128)time_ns - since % shard_ns;
    __int128 end = start + shard_ns;
    *out_start = start < INT64_MIN ? INT64_MIN : (int64_t)start;
    *out_end = end > INT64_MAX ? INT64_MAX : (int64_t)end;
}

bool core_shard_holds(const struct af_shard *shard, int64_t time_ns)
{
    return time_ns >= shard->start_ns && (time_ns < shard->end_ns || shard->end_ns == INT64_MAX);
}

/* --- objects --------------------------------------------------------------------------------------------------------------- */

struct af_bucket *af_bucket_ref(struct af_bucket *bucket)
{
    bucket->refs++;
    return bucket;
}

void af_bucket_unref(struct af_bucket *bucket)
{
    if (bucket == NULL || --bucket->refs > 0)
        return;
    af_mutex_done(&bucket->gate.lock);
    af_cond_done(&bucket->gate.changed);
    af_index_close(bucket->index);
    af_free(bucket->shards);
    af_free(bucket->dir);
    af_free(bucket);
}

enum af_status core_bucket_new(const char *data_dir, const struct af_tsm_bucket *settings, struct af_bucket **out,
                               struct af_error *err)
{
    struct af_bucket *bucket = af_alloc_zero(1, sizeof *bucket);
    if (bucket == NULL)
        return af_fail_nomem(err, "a bucket");
    bucket->refs = 1;
    bucket->settings = *settings;
    bucket->dir = core_printf("%s/%016" PRIx64, data_dir, settings->id);
    char *path = bucket->dir != NULL ? core_printf("%s/series", bucket->dir) : NULL;
    enum af_status status = path == NULL ? af_fail_nomem(err, "a bucket") : af_index_open(path, &bucket->index, err);
    af_free(path);
    if (status != AF_OK) {
        af_free(bucket->dir);
        af_free(bucket);
        return status;
    }
    af_mutex_init(&bucket->gate.lock);
    af_cond_init(&bucket->gate.changed);
    *out = bucket;
    return AF_OK;
}

void core_gate_enter(struct af_gate *gate)
{
    af_mutex_lock(&gate->lock);
    while (gate->is_closed)
        af_cond_wait(&gate->changed, &gate->lock);
    gate->inside++;
    af_mutex_unlock(&gate->lock);
}

void core_gate_leave(struct af_gate *gate)
{
    af_mutex_lock(&gate->lock);
    if (--gate->inside == 0 && gate->is_closed)
        af_cond_broadcast(&gate->changed);
    af_mutex_unlock(&gate->lock);
}

void core_gate_close(struct af_gate *gate)
{
    af_mutex_lock(&gate->lock);
    while (gate->is_closed) /* one at a time */
        af_cond_wait(&gate->changed, &gate->lock);
    gate->is_closed = true;
    while (gate->inside > 0)
        af_cond_wait(&gate->changed, &gate->lock);
    af_mutex_unlock(&gate->lock);
}

void core_gate_open(struct af_gate *gate)
{
    af_mutex_lock(&gate->lock);
    gate->is_closed = false;
    af_cond_broadcast(&gate->changed);
    af_mutex_unlock(&gate->lock);
}

struct af_shard *af_shard_ref(struct af_shard *shard)
{
    shard->refs++;
    return shard;
}

void af_shard_unref(struct af_shard *shard)
{
    if (shard == NULL || --shard->refs > 0)
        return;
    if (shard->files != NULL)
        af_files_unref(shard->files);
    if (shard->types != NULL)
        af_types_close(shard->types);
    af_bucket_unref(shard->bucket);
    af_mutex_done(&shard->work);
    af_free(shard->dir);
    af_free(shard);
}

struct af_files *core_files_empty(void)
{
    struct af_files *files = af_alloc_zero(1, sizeof *files);
    if (files != NULL)
        files->refs = 1;
    return files;
}

enum af_status core_shard_new(struct af_bucket *bucket, uint64_t id, int64_t start_ns, int64_t end_ns, struct af_shard **out,
                              struct af_error *err)
{
    struct af_shard *shard = af_alloc_zero(1, sizeof *shard);
    if (shard == NULL)
        return af_fail_nomem(err, "a shard");
    *shard = (struct af_shard){ .id = id, .start_ns = start_ns, .end_ns = end_ns, .next_generation = 1, .refs = 1 };
    shard->bucket = af_bucket_ref(bucket);
    af_mutex_init(&shard->work);
    shard->dir = core_printf("%s/autogen/%" PRIu64, bucket->dir, id);
    shard->files = core_files_empty();
    char *path = shard->dir != NULL ? core_printf("%s/fields", shard->dir) : NULL;
    enum af_status status = path == NULL || shard->files == NULL ? af_fail_nomem(err, "a shard")
                                                                 : af_types_new(path, &shard->types, err);
    af_free(path);
    if (status != AF_OK) {
        af_shard_unref(shard);
        return status;
    }
    *out = shard;
    return AF_OK;
}

/* --- tables ---------------------------------------------------------------------------------------------------------------- */

/* Place of the first bucket whose id is not less. */
static size_t bucket_place(const struct af_tsm *engine, uint64_t id)
{
    size_t low = 0;
    size_t high = engine->at.bucket_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (engine->at.buckets[middle]->settings.id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct af_bucket *af_bucket_find(struct af_tsm *engine, uint64_t id)
{
    struct af_bucket *found = NULL;
    af_mutex_lock(&engine->lock);
    size_t at = bucket_place(engine, id);
    if (at < engine->at.bucket_count && engine->at.buckets[at]->settings.id == id && !engine->at.buckets[at]->is_dropped)
        found = af_bucket_ref(engine->at.buckets[at]);
    af_mutex_unlock(&engine->lock);
    return found;
}

struct af_bucket *core_bucket_from(struct af_tsm *engine, uint64_t id)
{
    af_mutex_lock(&engine->lock);
    size_t at = bucket_place(engine, id);
    struct af_bucket *found = at < engine->at.bucket_count ? af_bucket_ref(engine->at.buckets[at]) : NULL;
    af_mutex_unlock(&engine->lock);
    return found;
}

/* Room for one more, and the tail moved up behind `at`. */
static bool open_gap(void **array, size_t *cap, size_t count, size_t at)
{
    if (!core_grow(array, cap, count + 1, sizeof(void *)))
        return false;
    void **items = *array;
    memmove(items + at + 1, items + at, (count - at) * sizeof *items);
    return true;
}

enum af_status core_bucket_add_locked(struct af_tsm *engine, struct af_bucket *bucket, struct af_error *err)
{
    size_t at = bucket_place(engine, bucket->settings.id);
    if (!open_gap((void **)&engine->at.buckets, &engine->at.bucket_cap, engine->at.bucket_count, at))
        return af_fail_nomem(err, "the table of buckets");
    engine->at.buckets[at] = bucket;
    engine->at.bucket_count++;
    return AF_OK;
}

void core_bucket_remove_locked(struct af_tsm *engine, struct af_bucket *bucket)
{
    size_t at = bucket_place(engine, bucket->settings.id);
    while (bucket->shard_count > 0)
        core_shard_remove_locked(engine, bucket->shards[bucket->shard_count - 1]);
    memmove(engine->at.buckets + at, engine->at.buckets + at + 1, (engine->at.bucket_count - at - 1) * sizeof *engine->at.buckets);
    engine->at.bucket_count--;
    bucket->is_dropped = true;
    af_bucket_unref(bucket);
}

/* Place of the first shard that begins after `time_ns`. */
static size_t shard_place(const struct af_bucket *bucket, int64_t time_ns)
{
    size_t low = 0;
    size_t high = bucket->shard_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bucket->shards[middle]->start_ns <= time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Place of the first shard whose id is not less. */
static size_t id_place(const struct af_tsm *engine, uint64_t id)
{
    size_t low = 0;
    size_t high = engine->at.shard_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (engine->at.shards[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct af_shard *core_shard_by_id_locked(const struct af_tsm *engine, uint64_t id)
{
    size_t at = id_place(engine, id);
    return at < engine->at.shard_count && engine->at.shards[at]->id == id ? engine->at.shards[at] : NULL;
}

struct af_shard *core_shard_at_locked(const struct af_bucket *bucket, int64_t time_ns)
{
    size_t after = shard_place(bucket, time_ns);
    return after > 0 && core_shard_holds(bucket->shards[after - 1], time_ns) ? bucket->shards[after - 1] : NULL;
}

/* Moves the tail of a sorted list, which is quadratic over all shards of a bucket; with AF_TSM_SHARDS_MAX that is at most 40 KB a call. */
enum af_status core_shard_add_locked(struct af_tsm *engine, struct af_shard *shard, struct af_error *err)
{
    struct af_bucket *bucket = shard->bucket;
    size_t place = shard_place(bucket, shard->start_ns);
    size_t id = id_place(engine, shard->id);
    if (!core_grow((void **)&bucket->shards, &bucket->shard_cap, bucket->shard_count + 1, sizeof *bucket->shards) ||
        !open_gap((void **)&engine->at.shards, &engine->at.shard_cap, engine->at.shard_count, id))
        return af_fail_nomem(err, "the table of shards");
    memmove(bucket->shards + place + 1, bucket->shards + place, (bucket->shard_count - place) * sizeof *bucket->shards);
    bucket->shards[place] = af_shard_ref(shard);
    engine->at.shards[id] = af_shard_ref(shard);
    bucket->shard_count++;
    engine->at.shard_count++;
    if (engine->at.next_shard <= shard->id)
        engine->at.next_shard = shard->id + 1;
    return AF_OK;
}

void core_shard_remove_locked(struct af_tsm *engine, struct af_shard *shard)
{
    struct af_bucket *bucket = shard->bucket;
    size_t place = shard_place(bucket, shard->start_ns) - 1;
    size_t id = id_place(engine, shard->id);
    memmove(bucket->shards + place, bucket->shards + place + 1, (bucket->shard_count - place - 1) * sizeof *bucket->shards);
    memmove(engine->at.shards + id, engine->at.shards + id + 1, (engine->at.shard_count - id - 1) * sizeof *engine->at.shards);
    bucket->shard_count--;
    engine->at.shard_count--;
    bucket->is_changed = true;
    shard->is_dropped = true;
    af_shard_unref(shard);
    af_shard_unref(shard);
}

enum af_status core_shard_need_locked(struct af_tsm *engine, struct af_bucket *bucket, int64_t time_ns, struct af_shard **out,
                                      struct af_error *err)
{
    *out = core_shard_at_locked(bucket, time_ns);
    if (*out != NULL)
        return AF_OK;
    int64_t start;
    int64_t end;
    core_group_of(core_shard_ns(&bucket->settings), time_ns, &start, &end);
    size_t after = shard_place(bucket, time_ns);
    if (after > 0 && start < bucket->shards[after - 1]->end_ns)
        start = bucket->shards[after - 1]->end_ns;
    if (after < bucket->shard_count && end > bucket->shards[after]->start_ns)
        end = bucket->shards[after]->start_ns;
    struct af_shard *shard;
    AF_TRY(core_shard_new(bucket, engine->at.next_shard, start, end, &shard, err));
    enum af_status status = core_shard_add_locked(engine, shard, err);
    if (status == AF_OK) {
        bucket->is_changed = true;
        *out = shard;
    }
    af_shard_unref(shard); /* the tables hold it */
    return status;
}

/* --- for the parts that change a shard's files ----------------------------------------------------------------------------- */

enum af_status af_shard_list(struct af_tsm *engine, struct af_bucket *bucket, struct af_arena *arena, struct af_shard ***out,
                             size_t *out_count, struct af_error *err)
{
    enum af_status status = AF_OK;
    af_mutex_lock(&engine->lock);
    size_t count = bucket != NULL ? bucket->shard_count : engine->at.shard_count;
    struct af_shard *const *from = bucket != NULL ? bucket->shards : engine->at.shards;
    struct af_shard **list = af_arena_alloc(arena, (count + 1) * sizeof *list);
    if (list == NULL)
        status = af_arena_fail(arena, count * sizeof *list, "a list of shards", err);
    for (size_t i = 0; i < count && status == AF_OK; i++)
        list[i] = af_shard_ref(from[i]);
    af_mutex_unlock(&engine->lock);
    if (status == AF_OK) {
        *out = list;
        *out_count = count;
    }
    return status;
}

struct af_files *af_shard_files(struct af_tsm *engine, struct af_shard *shard)
{
    af_mutex_lock(&engine->lock);
    struct af_files *files = af_files_ref(shard->files);
    af_mutex_unlock(&engine->lock);
    return files;
}

enum af_status af_shard_replace(struct af_tsm *engine, struct af_shard *shard, struct af_tsm_part *const *remove,
                                size_t remove_count, struct af_tsm_part *const *add, size_t add_count, struct af_error *err)
{
    struct af_files *next = NULL;
    struct af_files *before = NULL;
    af_mutex_lock(&engine->lock);
    enum af_status status = shard->is_dropped
        ? af_fail(err, AF_ENOTFOUND, "shard %" PRIu64 " was dropped meanwhile", shard->id)
        : af_files_replace(shard->files, remove, remove_count, add, add_count, &next, err);
    if (status == AF_OK) {
        before = shard->files;
        shard->files = next;
        shard->changed_mono_ns = af_clock_mono_ns();
    }
    af_mutex_unlock(&engine->lock);
    if (before != NULL)
        af_files_unref(before);
    return status;
}

uint32_t af_shard_next_generation(struct af_tsm *engine, struct af_shard *shard)
{
    af_mutex_lock(&engine->lock);
    uint32_t generation = shard->next_generation++;
    af_mutex_unlock(&engine->lock);
    return generation;
}
