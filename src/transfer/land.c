/* land.c - TSM files and logs into a bucket of a house: as whole files where that can be, else point by point. */
#include "base/limits.h"
#include "os/file.h"
#include "transfer/transfer_int.h"

/* --- the bucket ------------------------------------------------------------------------------------------------------------- */

static enum af_status settle(struct af_house *house, const struct transfer_bucket *wanted, uint64_t id, struct af_arena *arena,
                             struct af_error *err)
{
    struct af_meta_bucket *found = NULL;
    size_t count = 0;
    struct af_meta_filter filter = { .id = id };
    AF_TRY(af_meta_buckets(house->meta, &filter, arena, &found, &count, err));
    if (count != 1)
        return af_fail(err, AF_EBUG, "the bucket \"%s\" was made and is not there", wanted->name);
    found->retention_ns = wanted->retention_ns;
    if (wanted->description != NULL && wanted->description[0] != '\0')
        found->description = wanted->description;
    AF_TRY(af_meta_bucket_put(house->meta, found, false, err));
    struct af_tsm_bucket settings = { id, found->retention_ns, found->shard_ns };
    return af_tsm_bucket_set(house->engine, &settings, err);
}

enum af_status transfer_bucket(struct af_house *house, const struct transfer_bucket *bucket, uint64_t *out_id, struct af_error *err)
{
    struct af_error why = { 0 };
    enum af_status status = af_house_bucket(house, bucket->org, bucket->name, false, 0, out_id, &why);
    if (status == AF_OK)
        return AF_OK;
    if (status != AF_ENOTFOUND) {
        if (err != NULL)
            *err = why;
        return status;
    }
    int64_t shard_ns = bucket->shard_ns > 0 ? bucket->shard_ns : af_tsm_default_shard_ns(bucket->retention_ns);
    AF_TRY(af_house_bucket(house, bucket->org, bucket->name, true, shard_ns, out_id, err));
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX / 2);
    status = settle(house, bucket, *out_id, &arena, err);
    af_arena_done(&arena);
    return status;
}

/* --- point by point --------------------------------------------------------------------------------------------------------- */

static void count_dropped(struct transfer_land *land, const struct af_tsm_verdict *verdict)
{
    uint64_t dropped = verdict->conflicts + verdict->expired + verdict->too_long;
    struct af_transfer_counts *counts = land->counts;
    if (dropped != 0 && counts->points_dropped == 0) {
        memcpy(counts->dropped_why, verdict->reason, sizeof counts->dropped_why);
        counts->dropped_why[sizeof counts->dropped_why - 1] = '\0';
    }
    counts->points_dropped += dropped;
}

static enum af_status write_points(void *ctx, const struct af_points *points, struct af_error *err)
{
    struct transfer_land *land = ctx;
    struct af_tsm_verdict verdict = { 0 };
    struct af_tsm_write write = { .bucket = land->bucket, .points = points, .arena = &land->arena, .memo = land->memo };
    AF_TRY(transfer_go_on(land->watch, err));
    enum af_status status = af_tsm_write(land->house->engine, &write, &verdict, err);
    if (status == AF_OK) {
        land->counts->points_written += points->row_count;
        count_dropped(land, &verdict);
    }
    af_arena_reset(&land->arena);
    return status;
}

enum af_status transfer_land_begin(struct transfer_land *land, struct af_house *house, uint64_t bucket,
                                   const struct af_transfer_watch *watch,
                                   struct af_transfer_counts *counts, struct af_error *err)
{
    *land = (struct transfer_land){ .house = house, .bucket = bucket, .watch = watch, .counts = counts };
    af_arena_init(&land->arena, SIZE_MAX / 2);
    land->memo = af_tsm_series_memo_new();
    if (land->memo == NULL)
        return af_fail_nomem(err, "a bucket's series");
    return transfer_points_new(write_points, land, &land->points, err);
}

void transfer_land_end(struct transfer_land *land)
{
    transfer_points_free(land->points);
    if (land->memo != NULL)
        af_tsm_series_memo_free(land->memo);
    af_arena_done(&land->arena);
    *land = (struct transfer_land){ 0 };
}

static enum af_status pour_files(struct transfer_land *land, const struct transfer_file *files, size_t count, struct af_error *err)
{
    for (size_t i = 0; i < count; i++)
        AF_TRY(transfer_pour_file(files[i].path, land->watch, land->points, err));
    return transfer_points_flush(land->points, err);
}

/* --- whole files ------------------------------------------------------------------------------------------------------------ */

/* InfluxDB's zero of shard groups: 0001-01-01, in seconds before 1970. */
static const int64_t ZERO_S = INT64_C(62135596800);

static int64_t group_start(int64_t time_ns, int64_t shard_ns)
{
    int64_t zero = (int64_t)((__int128)ZERO_S * 1000000000 % shard_ns);
    int64_t into = time_ns % shard_ns;
    into = (into < 0 ? into + shard_ns : into);
    into = (int64_t)(((__int128)into + zero) % shard_ns);
    __int128 start = (__int128)time_ns - into;
    return start < INT64_MIN ? INT64_MIN : (int64_t)start;
}

/* The one shard group of the bucket that has all of the files; false: there is none. */
static enum af_status find_range(struct transfer_land *land, const struct transfer_file *files, size_t count, int64_t *start_ns,
                                 int64_t *end_ns,
                                 bool *out_found, struct af_error *err)
{
    struct af_tsm_bucket bucket;
    struct af_tsm_check check;
    int64_t min_ns = INT64_MAX, max_ns = INT64_MIN;
    *out_found = false;
    for (size_t i = 0; i < count; i++) {
        AF_TRY(transfer_check(files[i].path, 0, 0, &check, err));
        min_ns = check.min_ns < min_ns ? check.min_ns : min_ns;
        max_ns = check.max_ns > max_ns ? check.max_ns : max_ns;
    }
    if (!af_tsm_bucket_has(land->house->engine, land->bucket, &bucket) || bucket.shard_ns <= 0)
        return AF_OK;
    *start_ns = group_start(min_ns, bucket.shard_ns);
    *end_ns = *start_ns > INT64_MAX - bucket.shard_ns ? INT64_MAX : *start_ns + bucket.shard_ns;
    *out_found = max_ns < *end_ns;
    return AF_OK;
}

static bool any_tombstone(const struct transfer_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (files[i].has_tombstone)
            return true;
    return false;
}

static enum af_status land_files(struct transfer_land *land, const char *dir, const struct transfer_file *files, size_t count,
                                 int64_t start_ns,
                                 int64_t end_ns, struct af_error *err)
{
    bool found = start_ns != end_ns;
    if (any_tombstone(files, count))
        return pour_files(land, files, count, err);
    if (!found)
        AF_TRY(find_range(land, files, count, &start_ns, &end_ns, &found, err));
    if (!found)
        return pour_files(land, files, count, err);
    struct af_error why = { 0 };
    enum af_status status = af_tsm_install(land->house->engine, land->bucket, start_ns, end_ns, dir, &why);
    if (status == AF_EINVAL) /* another division of time, or other types: what does not fit is told point by point */
        return pour_files(land, files, count, err);
    if (status != AF_OK && err != NULL)
        *err = why;
    land->counts->shards_linked += status == AF_OK;
    return status;
}

enum af_status transfer_land_dir(struct transfer_land *land, const char *dir, int64_t start_ns, int64_t end_ns, struct af_error *err)
{
    struct af_arena arena;
    struct transfer_file *files = NULL;
    size_t count = 0;
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = transfer_files(dir, &arena, &files, &count, err);
    if (status == AF_OK && count != 0)
        status = land_files(land, dir, files, count, start_ns, end_ns, err);
    for (size_t i = 0; i < count && status == AF_OK; i++)
        land->counts->bytes += files[i].bytes;
    land->counts->files += status == AF_OK ? count : 0;
    af_arena_done(&arena);
    return status;
}

enum af_status transfer_land_wal(struct transfer_land *land, const char *dir, struct af_error *err)
{
    uint64_t torn = 0;
    AF_TRY(transfer_pour_wal(dir, land->watch, land->points, &torn, err));
    land->counts->wal_bytes_torn += torn;
    return transfer_points_flush(land->points, err);
}
