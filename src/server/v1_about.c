/*
 * v1_about.c - 1.x's statements about the server itself: statistics, diagnostics, shards.
 *
 * A shard of ours is a shard and its group at once. One that is dropped loses its points; where it is empty then is the engine's business.
 */
#include "base/calendar.h"
#include "os/clock.h"
#include "server/core.h"
#include "server/v1_query.h"

static void put_text(struct v1_run *run, const char *text)
{
    af_made_cell(run->made, af_value_text(af_slice_of(text != NULL ? text : "")));
}

static void put_count(struct v1_run *run, uint64_t value)
{
    af_made_cell(run->made, af_value_i64(value <= INT64_MAX ? (int64_t)value : INT64_MAX));
}

static bool wants(const struct af_ql_statement *st, const char *module)
{
    return st->name == NULL || st->name[0] == '\0' || strcmp(st->name, module) == 0;
}

/* --- statistics --------------------------------------------------------------------------------------------------------------------- */

static void show_module(struct v1_run *run, const struct core_stat *stats, size_t count)
{
    const char *columns[CORE_STATS_MAX];
    for (size_t i = 0; i < count; i++)
        columns[i] = stats[i].name;
    af_made_begin(run->made, stats[0].module, count, columns);
    for (size_t i = 0; i < count; i++)
        put_count(run, stats[i].value);
}

static void show_index_bytes(struct v1_run *run)
{
    static const char *const columns[] = { "memoryBytes" };
    struct af_tsm_stats_now now;
    af_tsm_stats_get_now(run->request->house->engine, &now);
    af_made_begin(run->made, "indexes", 1, columns);
    put_count(run, now.index_bytes);
}

static void show_stats(struct v1_run *run, const struct af_ql_statement *st)
{
    struct core_stat stats[CORE_STATS_MAX];
    if (st->name != NULL && strcmp(st->name, "indexes") == 0) {
        show_index_bytes(run); /* only when it is asked for, as in InfluxDB */
        return;
    }
    size_t count = core_stats(run->request->server, stats);
    for (size_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && strcmp(stats[i + n].module, stats[i].module) == 0; n++)
            continue;
        if (wants(st, stats[i].module))
            show_module(run, &stats[i], n);
    }
}

/* --- diagnostics -------------------------------------------------------------------------------------------------------------------- */

static const char *time_text(struct v1_run *run, int64_t ns)
{
    char text[AF_TIME_TEXT_BYTES];
    af_time_print(ns, text);
    return af_arena_copy(run->arena, af_slice_of(text));
}

static void show_system(struct v1_run *run)
{
    static const char *const columns[] = { "currentTime", "started", "uptime" };
    int64_t now_ns = af_clock_now_ns(), started_ns = run->request->server->started_ns;
    if (started_ns == 0) /* a directory alone */
        return;
    af_made_begin(run->made, "system", 3, columns);
    put_text(run, time_text(run, now_ns));
    put_text(run, time_text(run, started_ns));
    put_text(run, v1_duration_print(run->arena, now_ns - started_ns));
}

static void show_diagnostics(struct v1_run *run, const struct af_ql_statement *st)
{
    static const char *const columns[] = { "Branch", "Build Time", "Commit", "Version" };
    if (wants(st, "build")) {
        af_made_begin(run->made, "build", 4, columns);
        for (size_t i = 0; i < 3; i++)
            put_text(run, "");
        put_text(run, "1.8.10"); /* what /ping says; see ops.c */
    }
    if (wants(st, "system"))
        show_system(run);
}

/* --- shards ------------------------------------------------------------------------------------------------------------------------- */

static void put_time(struct v1_run *run, int64_t ns)
{
    char text[64];
    *af_rfc3339_print(text, ns, 0) = '\0';
    put_text(run, af_arena_copy(run->arena, af_slice_of(text)));
}

static void put_shard(struct v1_run *run, const struct v1_policy *policy, const struct af_tsm_shard_info *shard, bool is_group)
{
    int64_t expiry_ns;
    if (__builtin_add_overflow(shard->end_ns, policy->bucket.retention_ns, &expiry_ns))
        expiry_ns = INT64_MAX;
    put_count(run, shard->id);
    put_text(run, policy->dbrp.database);
    put_text(run, policy->dbrp.policy);
    if (!is_group)
        put_count(run, shard->id);
    put_time(run, shard->start_ns);
    put_time(run, shard->end_ns);
    put_time(run, expiry_ns);
    if (!is_group)
        put_text(run, ""); /* owners */
}

/* Of a bucket that was dropped just now there are none. */
static enum af_status shards_of(struct v1_run *run, uint64_t bucket, struct af_tsm_shard_info **out, size_t *out_count,
                                struct af_error *err)
{
    *out_count = 0;
    enum af_status status = af_tsm_shards(run->request->house->engine, bucket, run->arena, out, out_count, err);
    return status == AF_ENOTFOUND ? AF_OK : status;
}

static enum af_status put_database(struct v1_run *run, const char *database, bool is_group, struct af_error *err)
{
    struct v1_policy *policies;
    size_t policy_count, shard_count;
    AF_TRY(v1_policies(run, database, &policies, &policy_count, err));
    for (size_t i = 0; i < policy_count; i++) {
        struct af_tsm_shard_info *shards;
        AF_TRY(shards_of(run, policies[i].bucket.id, &shards, &shard_count, err));
        for (size_t k = 0; k < shard_count; k++)
            put_shard(run, &policies[i], &shards[k], is_group);
    }
    return AF_OK;
}

static enum af_status show_shards(struct v1_run *run, bool is_group, struct af_error *err)
{
    static const char *const group[] = { "id", "database", "retention_policy", "start_time", "end_time", "expiry_time" };
    static const char *const one[] = { "id", "database", "retention_policy", "shard_group", "start_time", "end_time", "expiry_time",
                                       "owners" };
    const char *const *databases;
    size_t count;
    AF_TRY(v1_databases(run, &databases, &count, err));
    if (is_group)
        af_made_begin(run->made, "shard groups", 6, group);
    for (size_t i = 0; i < count; i++) {
        if (!is_group)
            af_made_begin(run->made, databases[i], 8, one);
        AF_TRY(put_database(run, databases[i], is_group, err));
    }
    return AF_OK;
}

static enum af_status erase_shard(struct v1_run *run, const struct af_meta_bucket *bucket, const struct af_tsm_shard_info *shard,
                                  struct af_error *err)
{
    struct af_store *store;
    struct af_scan scan = { .start_ns = shard->start_ns, .stop_ns = shard->end_ns };
    AF_TRY(af_tsm_store_open(run->request->house->engine, bucket->id, bucket->name, true, &store, err));
    enum af_status status = af_store_erase(store, &scan, err);
    af_store_close(store);
    if (status == AF_OK)
        status = af_tsm_drop_shard(run->request->house->engine, bucket->id, shard->id, err);
    if (status == AF_OK)
        af_audit(run->request, "shard dropped", "%llu of %s", (unsigned long long)shard->id, bucket->name);
    return status;
}

/* One that is not there is dropped already. */
static enum af_status drop_shard(struct v1_run *run, uint64_t id, struct af_error *err)
{
    struct af_meta_bucket *buckets = NULL;
    size_t bucket_count = 0, shard_count;
    struct af_meta_filter filter = { .org = run->org.id };
    AF_TRY(af_meta_buckets(run->meta, &filter, run->arena, &buckets, &bucket_count, err));
    for (size_t i = 0; i < bucket_count; i++) {
        struct af_tsm_shard_info *shards;
        AF_TRY(shards_of(run, buckets[i].id, &shards, &shard_count, err));
        for (size_t k = 0; k < shard_count; k++)
            if (shards[k].id == id)
                return erase_shard(run, &buckets[i], &shards[k], err);
    }
    return AF_OK;
}

enum af_status v1_run_about(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    switch (st->kind) {
    case AF_QL_SHOW_STATS: show_stats(run, st); return AF_OK;
    case AF_QL_SHOW_DIAGNOSTICS: show_diagnostics(run, st); return AF_OK;
    case AF_QL_SHOW_SHARDS: return show_shards(run, false, err);
    case AF_QL_SHOW_SHARD_GROUPS: return show_shards(run, true, err);
    case AF_QL_DROP_SHARD: return drop_shard(run, st->id, err);
    default: return af_fail(err, AF_EUNSUPPORTED, AF_SLICE_FMT ": this version does not carry out this statement", AF_SLICE_ARG(st->text));
    }
}
