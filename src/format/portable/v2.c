/*
 * v2.c - the manifest of a backup directory of InfluxDB 2.x, and what its restore API takes and answers; see portable.h.
 *
 * Times are RFC3339; durations nanoseconds; one retention policy a bucket, named autogen: 2.x reads and writes by that name.
 */
#include "base/calendar.h"
#include "base/numbers.h"
#include "format/json/json.h"
#include "format/portable/portable_int.h"
#include <stdio.h>

void portable_id_print(uint64_t id, char out[AF_PORTABLE_ID_TEXT])
{
    (void)snprintf(out, AF_PORTABLE_ID_TEXT, "%016llx", (unsigned long long)id);
}

bool portable_id_parse(struct af_slice text, uint64_t *out)
{
    uint64_t id = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        id = id << 4 | (uint64_t)digit;
    }
    *out = id;
    return text.len == 16;
}

/* --- printing --------------------------------------------------------------------------------------------------------------- */

static void put_str(struct af_buf *out, const char *name, const char *value)
{
    af_buf_printf(out, "\"%s\":", name);
    af_json_append_string(out, af_slice_of(value != NULL ? value : ""));
}

static void put_id(struct af_buf *out, const char *name, uint64_t id)
{
    char text[AF_PORTABLE_ID_TEXT];
    portable_id_print(id, text);
    put_str(out, name, text);
}

static void put_time(struct af_buf *out, const char *name, int64_t ns)
{
    char text[64];
    *af_rfc3339_print(text, ns, 9) = '\0';
    put_str(out, name, text);
}

/* One shard group of one shard; `with_file`: as a manifest has it. */
static void put_group(struct af_buf *out, const struct af_portable_shard *s, bool with_file)
{
    af_buf_printf(out, "{\"id\":%llu,", (unsigned long long)s->id);
    put_time(out, "startTime", s->start_ns);
    af_buf_append_char(out, ',');
    put_time(out, "endTime", s->end_ns);
    af_buf_printf(out, ",\"shards\":[{\"id\":%llu,\"shardOwners\":[]", (unsigned long long)s->id);
    if (with_file) {
        af_buf_append_char(out, ',');
        put_str(out, "fileName", s->file_name);
        af_buf_printf(out, ",\"size\":%llu,\"compression\":%d", (unsigned long long)s->file_bytes, s->is_gzip ? 1 : 0);
    }
    af_buf_append_str(out, "}]}");
}

static void put_bucket(struct af_buf *out, const struct af_portable_bucket *b, bool with_files)
{
    af_buf_append_char(out, '{');
    put_id(out, "organizationID", b->org);
    af_buf_append_char(out, ',');
    put_str(out, "organizationName", b->org_name);
    af_buf_append_char(out, ',');
    put_id(out, "bucketID", b->id);
    af_buf_append_char(out, ',');
    put_str(out, "bucketName", b->database);
    af_buf_append_char(out, ',');
    put_str(out, "description", b->description);
    af_buf_append_str(out, ",\"defaultRetentionPolicy\":\"autogen\",\"retentionPolicies\":[{\"name\":\"autogen\",\"replicaN\":1,");
    af_buf_printf(out, "\"duration\":%lld,\"shardGroupDuration\":%lld,\"shardGroups\":[", (long long)b->retention_ns,
                  (long long)b->shard_ns);
    for (size_t i = 0; i < b->shard_count; i++) {
        if (i != 0)
            af_buf_append_char(out, ',');
        put_group(out, &b->shards[i], with_files);
    }
    af_buf_append_str(out, "],\"subscriptions\":[]}]}");
}

enum af_status af_portable_v2_bucket_print(const struct af_portable_bucket *bucket, struct af_buf *out, struct af_error *err)
{
    put_bucket(out, bucket, false);
    return af_buf_check(out, "the metadata of a bucket", err);
}

enum af_status af_portable_v2_print(const struct af_portable *p, struct af_buf *out, struct af_error *err)
{
    af_buf_append_str(out, "{\"manifestVersion\":2,\"kv\":{\"fileName\":\"\",\"size\":0,\"compression\":0},"
                           "\"sql\":{\"fileName\":\"\",\"size\":0,"
                           "\"compression\":0},\"buckets\":[");
    for (size_t i = 0; i < p->bucket_count; i++) {
        if (i != 0)
            af_buf_append_char(out, ',');
        put_bucket(out, &p->buckets[i], true);
    }
    af_buf_append_str(out, "]}");
    return af_buf_check(out, "the manifest of a backup", err);
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

static const char *text_of(const struct af_json *object, const char *name, struct af_arena *arena)
{
    struct af_slice text = af_json_string(object, name);
    return af_arena_copy(arena, text.ptr != NULL ? text : AF_SLICE_LIT(""));
}

/* The groups at the ends of time reach beyond what 64 bits of nanoseconds hold: cut to that. */
static bool time_of(const struct af_json *object, const char *name, int64_t *out)
{
    bool has_zone = false;
    uint64_t year = 0;
    struct af_slice text = af_json_string(object, name);
    if (text.len != 0 && af_time_parse(text, out, &has_zone))
        return has_zone;
    if (text.len < 20 || text.ptr[4] != '-' || text.ptr[text.len - 1] != 'Z' || !af_u64_parse((struct af_slice){ text.ptr, 4 }, &year))
        return false;
    *out = year <= 1677 ? INT64_MIN : INT64_MAX;
    return year <= 1677 || year >= 2262;
}

static size_t count_items(const struct af_json *array)
{
    size_t count = 0;
    for (const struct af_json *item = array != NULL ? array->first : NULL; item != NULL; item = item->next)
        count++;
    return count;
}

static bool read_group(const struct af_json *group, struct af_arena *arena, struct af_portable_shard *out)
{
    const struct af_json *shards = af_json_get(group, "shards");
    const struct af_json *shard = shards != NULL ? shards->first : NULL;
    int64_t id = 0, bytes = 0, compression = 0;
    if (shard == NULL || !af_json_i64(af_json_get(shard, "id"), &id) || !time_of(group, "startTime", &out->start_ns) ||
        !time_of(group, "endTime", &out->end_ns))
        return false;
    (void)af_json_i64(af_json_get(shard, "size"), &bytes);
    (void)af_json_i64(af_json_get(shard, "compression"), &compression);
    out->id = (uint64_t)id;
    out->file_bytes = bytes > 0 ? (uint64_t)bytes : 0;
    out->is_gzip = compression == 1;
    out->file_name = text_of(shard, "fileName", arena);
    return out->file_name != NULL;
}

static bool read_bucket(const struct af_json *json, struct af_arena *arena, struct af_portable_bucket *out)
{
    const struct af_json *policies = af_json_get(json, "retentionPolicies");
    const struct af_json *policy = policies != NULL ? policies->first : NULL;
    const struct af_json *groups = policy != NULL ? af_json_get(policy, "shardGroups") : NULL;
    if (!portable_id_parse(af_json_string(json, "organizationID"), &out->org) || !portable_id_parse(af_json_string(json, "bucketID"),
                                                                                                    &out->id))
        return false;
    out->database = text_of(json, "bucketName", arena);
    out->org_name = text_of(json, "organizationName", arena);
    out->description = text_of(json, "description", arena);
    out->policy = "autogen";
    (void)af_json_i64(policy != NULL ? af_json_get(policy, "duration") : NULL, &out->retention_ns);
    (void)af_json_i64(policy != NULL ? af_json_get(policy, "shardGroupDuration") : NULL, &out->shard_ns);
    out->shards = af_arena_zero(arena, count_items(groups), sizeof *out->shards);
    bool ok = out->shards != NULL && out->database != NULL && out->org_name != NULL && out->description != NULL;
    for (const struct af_json *group = groups != NULL ? groups->first : NULL; ok && group != NULL; group = group->next) {
        const struct af_json *shards = af_json_get(group, "shards");
        if (shards != NULL && shards->first != NULL) /* a group without a shard is none */
            ok = read_group(group, arena, &out->shards[out->shard_count++]);
    }
    return ok;
}

enum af_status af_portable_v2_parse(struct af_slice manifest, struct af_arena *arena, struct af_portable *out, struct af_error *err)
{
    struct af_json *json = NULL;
    *out = (struct af_portable){ 0 };
    AF_TRY(af_json_parse(manifest, arena, &json, err));
    const struct af_json *buckets = json->kind == AF_JSON_ARRAY ? json : af_json_get(json, "buckets");
    out->buckets = af_arena_zero(arena, count_items(buckets), sizeof *out->buckets);
    bool ok = buckets != NULL && out->buckets != NULL;
    for (const struct af_json *bucket = ok ? buckets->first : NULL; ok && bucket != NULL; bucket = bucket->next)
        ok = read_bucket(bucket, arena, &out->buckets[out->bucket_count++]);
    return ok ? AF_OK : af_fail(err, AF_ECORRUPT, "the manifest of the backup is not one of InfluxDB 2.x");
}

enum af_status af_portable_v2_mappings_parse(struct af_slice answer, struct af_arena *arena, uint64_t *out_bucket,
                                             struct af_portable_mapping **out, size_t *out_count, struct af_error *err)
{
    struct af_json *json = NULL;
    AF_TRY(af_json_parse(answer, arena, &json, err));
    const struct af_json *mappings = af_json_get(json, "shardMappings");
    struct af_portable_mapping *list = af_arena_zero(arena, count_items(mappings), sizeof *list);
    size_t count = 0;
    bool ok = list != NULL && portable_id_parse(af_json_string(json, "id"), out_bucket);
    for (const struct af_json *m = ok && mappings != NULL ? mappings->first : NULL; ok && m != NULL; m = m->next) {
        int64_t old_id = 0, new_id = 0;
        ok = af_json_i64(af_json_get(m, "oldId"), &old_id) && af_json_i64(af_json_get(m, "newId"), &new_id);
        list[count++] = (struct af_portable_mapping){ (uint64_t)old_id, (uint64_t)new_id };
    }
    if (!ok)
        return af_fail(err, AF_ECORRUPT, "the server's answer to the bucket's metadata has no shard mappings");
    *out = list;
    *out_count = count;
    return AF_OK;
}
