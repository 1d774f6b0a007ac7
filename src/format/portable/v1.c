/*
 * v1.c - the manifest and the catalogue of a portable backup of InfluxDB 1.x; see portable.h.
 *
 * The catalogue is protobuf (proto2): fields as (number << 3 | wire type), varints and length-delimited bytes.
 *
 *     file {1: Data, 2: MaxNodeID}    Data {1 Term, 2 Index, 3 ClusterID, 5 Database*, 7 MaxNodeID, 8 MaxShardGroupID, 9 MaxShardID}
 *     Database {1 Name, 2 DefaultRetentionPolicy, 3 RetentionPolicy*}
 *     RetentionPolicy {1 Name, 2 Duration, 3 ShardGroupDuration, 4 ReplicaN, 5 ShardGroup*}
 *     ShardGroup {1 ID, 2 Start, 3 End, 4 DeletedAt, 5 Shard*}    Shard {1 ID}
 */
#include "codec/bits.h"
#include "format/json/json.h"
#include "format/portable/portable_int.h"
#include <stdio.h>

/* --- protobuf, written ------------------------------------------------------------------------------------------------------ */

static void put_varint(struct af_buf *out, unsigned field, uint64_t value)
{
    af_uvarint_append(out, (uint64_t)field << 3);
    af_uvarint_append(out, value);
}

static void put_bytes(struct af_buf *out, unsigned field, struct af_slice bytes)
{
    af_uvarint_append(out, (uint64_t)field << 3 | 2);
    af_uvarint_append(out, bytes.len);
    af_buf_append_slice(out, bytes);
}

static void put_text(struct af_buf *out, unsigned field, const char *text)
{
    put_bytes(out, field, af_slice_of(text));
}

/* A message inside: printed to a buffer of its own first. */
static void put_message(struct af_buf *out, unsigned field, struct af_buf *message)
{
    put_bytes(out, field, af_buf_slice(message));
    out->failed = out->failed || message->failed;
    af_buf_done(message);
}

static struct af_buf new_message(void)
{
    struct af_buf buf;
    af_buf_init(&buf, SIZE_MAX / 2);
    return buf;
}

static void put_group(struct af_buf *out, const struct af_portable_shard *s)
{
    struct af_buf group = new_message();
    struct af_buf shard = new_message();
    put_varint(&group, 1, s->id);
    put_varint(&group, 2, (uint64_t)s->start_ns);
    put_varint(&group, 3, (uint64_t)s->end_ns);
    put_varint(&group, 4, 0);
    put_varint(&shard, 1, s->id);
    put_message(&group, 5, &shard);
    put_message(out, 5, &group);
}

static void put_policy(struct af_buf *out, const struct af_portable_bucket *b)
{
    struct af_buf policy = new_message();
    put_text(&policy, 1, b->policy);
    put_varint(&policy, 2, (uint64_t)b->retention_ns);
    put_varint(&policy, 3, (uint64_t)b->shard_ns);
    put_varint(&policy, 4, 1);
    for (size_t i = 0; i < b->shard_count; i++)
        put_group(&policy, &b->shards[i]);
    put_message(out, 3, &policy);
}

static bool is_first_of_database(const struct af_portable *p, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(p->buckets[k].database, p->buckets[i].database) == 0)
            return false;
    return true;
}

static void put_database(struct af_buf *out, const struct af_portable *p, size_t i)
{
    struct af_buf database = new_message();
    put_text(&database, 1, p->buckets[i].database);
    put_text(&database, 2, p->buckets[i].policy);
    for (size_t k = i; k < p->bucket_count; k++)
        if (strcmp(p->buckets[k].database, p->buckets[i].database) == 0)
            put_policy(&database, &p->buckets[k]);
    put_message(out, 5, &database);
}

static void put_catalogue(struct af_buf *out, const struct af_portable *p)
{
    struct af_buf data = new_message();
    uint64_t shard_max = 0;
    for (size_t i = 0; i < p->bucket_count; i++)
        for (size_t k = 0; k < p->buckets[i].shard_count; k++)
            shard_max = p->buckets[i].shards[k].id > shard_max ? p->buckets[i].shards[k].id : shard_max;
    put_varint(&data, 1, 1);
    put_varint(&data, 2, 1);
    put_varint(&data, 3, 1);
    for (size_t i = 0; i < p->bucket_count; i++)
        if (is_first_of_database(p, i))
            put_database(&data, p, i);
    put_varint(&data, 7, 1);
    put_varint(&data, 8, shard_max);
    put_varint(&data, 9, shard_max);
    put_message(out, 1, &data);
    put_varint(out, 2, 1);
}

static void put_file(struct af_buf *out, const struct af_portable_bucket *b, const struct af_portable_shard *s, bool is_first)
{
    af_buf_append_str(out, is_first ? "{\"database\":" : ",{\"database\":");
    af_json_append_string(out, af_slice_of(b->database));
    af_buf_append_str(out, ",\"policy\":");
    af_json_append_string(out, af_slice_of(b->policy));
    af_buf_printf(out, ",\"shardID\":%llu,\"fileName\":", (unsigned long long)s->id);
    af_json_append_string(out, af_slice_of(s->file_name));
    af_buf_printf(out, ",\"size\":%llu,\"lastModified\":0}", (unsigned long long)s->file_bytes);
}

enum af_status af_portable_v1_print(const struct af_portable *p, const char *meta_file_name, struct af_buf *out_manifest,
                                    struct af_buf *out_meta, struct af_error *err)
{
    size_t meta_before = out_meta->len;
    put_catalogue(out_meta, p);
    af_buf_append_str(out_manifest, "{\"meta\":{\"fileName\":");
    af_json_append_string(out_manifest, af_slice_of(meta_file_name));
    af_buf_printf(out_manifest, ",\"size\":%zu},\"limited\":false,\"files\":[", out_meta->len - meta_before);
    bool is_first = true;
    for (size_t i = 0; i < p->bucket_count; i++)
        for (size_t k = 0; k < p->buckets[i].shard_count; k++, is_first = false)
            put_file(out_manifest, &p->buckets[i], &p->buckets[i].shards[k], is_first);
    af_buf_append_str(out_manifest, "]}");
    AF_TRY(af_buf_check(out_meta, "the catalogue of a backup", err));
    return af_buf_check(out_manifest, "the manifest of a backup", err);
}

/* --- protobuf, read --------------------------------------------------------------------------------------------------------- */

struct message {
    const uint8_t *at, *end;
};
struct field {
    unsigned number;
    uint64_t value;         /* of a varint */
    struct message inside;  /* of bytes */
    bool is_bytes;
};

/* The next field; false at the end. Damage sets *bad. */
static bool next_field(struct message *m, struct field *out, bool *bad)
{
    uint64_t tag, len;
    if (*bad || m->at >= m->end)
        return false;
    *bad = true;
    if (!af_uvarint_read(&m->at, m->end, &tag) || tag >> 3 == 0 || tag >> 3 > 1000)
        return false;
    *out = (struct field){ .number = (unsigned)(tag >> 3), .is_bytes = (tag & 7) == 2 };
    switch (tag & 7) {
    case 0:
        if (!af_uvarint_read(&m->at, m->end, &out->value))
            return false;
        break;
    case 1: len = 8; goto skip;
    case 5: len = 4; goto skip;
    case 2:
        if (!af_uvarint_read(&m->at, m->end, &len))
            return false;
        out->inside.at = m->at;
    skip:
        if (len > (uint64_t)(m->end - m->at))
            return false;
        m->at += len;
        out->inside.end = m->at;
        break;
    default: return false;
    }
    *bad = false;
    return true;
}

static size_t count_fields(struct message m, unsigned number, bool *bad)
{
    size_t count = 0;
    struct field f;
    while (next_field(&m, &f, bad))
        count += f.number == number && f.is_bytes;
    return count;
}

static const char *text_of(const struct field *f, struct af_arena *arena, bool *bad)
{
    const char *text = af_arena_copy(arena, af_slice_make(f->inside.at, (size_t)(f->inside.end - f->inside.at)));
    *bad = *bad || text == NULL;
    return text;
}

/* False: the group is deleted, the server only remembers it. */
static bool read_group(struct message m, struct af_portable_shard *out, bool *bad)
{
    struct field f, inner;
    bool is_deleted = false;
    *out = (struct af_portable_shard){ 0 };
    while (next_field(&m, &f, bad)) {
        if (f.number == 2)
            out->start_ns = (int64_t)f.value;
        else if (f.number == 3)
            out->end_ns = (int64_t)f.value;
        else if (f.number == 5 && f.is_bytes && out->id == 0)
            while (next_field(&f.inside, &inner, bad))
                out->id = inner.number == 1 ? inner.value : out->id;
        else if (f.number == 4)
            is_deleted = f.value != 0;
    }
    if (out->start_ns > out->end_ns) /* it began before what 64 bits of nanoseconds hold */
        out->start_ns = INT64_MIN;
    return !is_deleted;
}

static void read_policy(struct message m, struct af_arena *arena, struct af_portable_bucket *out, bool *bad)
{
    size_t count = count_fields(m, 5, bad);
    out->shards = af_arena_zero(arena, count, sizeof *out->shards);
    struct field f;
    *bad = *bad || out->shards == NULL;
    while (next_field(&m, &f, bad)) {
        if (f.number == 1 && f.is_bytes)
            out->policy = text_of(&f, arena, bad);
        else if (f.number == 2)
            out->retention_ns = (int64_t)f.value;
        else if (f.number == 3)
            out->shard_ns = (int64_t)f.value;
        else if (f.number == 5 && f.is_bytes)
            out->shard_count += read_group(f.inside, &out->shards[out->shard_count], bad);
    }
    *bad = *bad || out->policy == NULL;
}

static void read_database(struct message m, struct af_arena *arena, struct af_portable *out, bool *bad)
{
    struct message again = m;
    struct field f;
    const char *name = NULL;
    while (next_field(&m, &f, bad))
        if (f.number == 1 && f.is_bytes)
            name = text_of(&f, arena, bad);
    *bad = *bad || name == NULL;
    while (next_field(&again, &f, bad)) {
        if (f.number != 3 || !f.is_bytes)
            continue;
        struct af_portable_bucket *bucket = &out->buckets[out->bucket_count++];
        bucket->database = name;
        read_policy(f.inside, arena, bucket, bad);
    }
}

static size_t count_policies(struct message data, bool *bad)
{
    size_t count = 0;
    struct field f;
    while (next_field(&data, &f, bad))
        if (f.number == 5 && f.is_bytes)
            count += count_fields(f.inside, 3, bad);
    return count;
}

enum af_status af_portable_v1_catalogue_parse(struct af_slice meta, bool is_bare, struct af_arena *arena, struct af_portable *out,
                                              struct af_error *err)
{
    struct message file = { (const uint8_t *)meta.ptr, (const uint8_t *)meta.ptr + meta.len };
    struct message data = { 0 };
    struct field f;
    bool bad = false;
    *out = (struct af_portable){ 0 };
    if (is_bare)
        data = file;
    while (!is_bare && next_field(&file, &f, &bad))
        if (f.number == 1 && f.is_bytes)
            data = f.inside;
    size_t count = data.at != NULL ? count_policies(data, &bad) : 0;
    out->buckets = af_arena_zero(arena, count, sizeof *out->buckets);
    bad = bad || data.at == NULL || out->buckets == NULL;
    while (next_field(&data, &f, &bad))
        if (f.number == 5 && f.is_bytes)
            read_database(f.inside, arena, out, &bad);
    return bad ? af_fail(err, AF_ECORRUPT, "the catalogue of databases (%s) is damaged", is_bare ? "meta.db" : "*.meta") : AF_OK;
}

/* --- the manifest, read ----------------------------------------------------------------------------------------------------- */

static struct af_portable_shard *find_shard(struct af_portable *p, struct af_slice database, struct af_slice policy, uint64_t id)
{
    for (size_t i = 0; i < p->bucket_count; i++) {
        struct af_portable_bucket *b = &p->buckets[i];
        if (!af_slice_is(database, b->database) || !af_slice_is(policy, b->policy))
            continue;
        for (size_t k = 0; k < b->shard_count; k++)
            if (b->shards[k].id == id)
                return &b->shards[k];
    }
    return NULL;
}

/* `is_older`: of a manifest before the one that counts: only what is still missing. */
static enum af_status take_file(const struct af_json *file, struct af_portable *p, bool is_older, struct af_arena *arena,
                                struct af_error *err)
{
    int64_t id = 0, bytes = 0;
    struct af_slice name = af_json_string(file, "fileName");
    (void)af_json_i64(af_json_get(file, "shardID"), &id);
    (void)af_json_i64(af_json_get(file, "size"), &bytes);
    struct af_portable_shard *shard = find_shard(p, af_json_string(file, "database"), af_json_string(file, "policy"), (uint64_t)id);
    if (is_older && (shard == NULL || shard->file_name != NULL))
        return AF_OK;
    if (shard == NULL || name.len == 0)
        return af_fail(err, AF_ECORRUPT, "the manifest names shard %lld, which the catalogue does not have", (long long)id);
    shard->file_name = af_arena_copy(arena, name);
    shard->file_bytes = bytes > 0 ? (uint64_t)bytes : 0;
    shard->is_gzip = true;
    return shard->file_name != NULL ? AF_OK : af_fail_nomem(err, "a manifest");
}

static enum af_status take_files(const struct af_json *json, struct af_portable *p, bool is_older, struct af_arena *arena,
                                 struct af_error *err)
{
    const struct af_json *files = af_json_get(json, "files");
    for (const struct af_json *file = files != NULL ? files->first : NULL; file != NULL; file = file->next)
        AF_TRY(take_file(file, p, is_older, arena, err));
    return AF_OK;
}

enum af_status af_portable_v1_parse(struct af_slice manifest, struct af_slice meta, struct af_arena *arena, struct af_portable *out,
                                    struct af_error *err)
{
    struct af_json *json = NULL;
    AF_TRY(af_portable_v1_catalogue_parse(meta, false, arena, out, err));
    AF_TRY(af_json_parse(manifest, arena, &json, err));
    return take_files(json, out, false, arena, err);
}

enum af_status af_portable_v1_add_files(struct af_slice manifest, struct af_arena *arena, struct af_portable *portable,
                                        struct af_error *err)
{
    struct af_json *json = NULL;
    AF_TRY(af_json_parse(manifest, arena, &json, err));
    return take_files(json, portable, true, arena, err);
}

enum af_status af_portable_v1_meta_name(struct af_slice manifest, struct af_arena *arena, const char **out, struct af_error *err)
{
    struct af_json *json = NULL;
    AF_TRY(af_json_parse(manifest, arena, &json, err));
    const struct af_json *meta = af_json_get(json, "meta");
    struct af_slice name = meta != NULL ? af_json_string(meta, "fileName") : (struct af_slice){ NULL, 0 };
    if (name.len == 0)
        return af_fail(err, AF_ECORRUPT, "the manifest names no catalogue (meta)");
    *out = af_arena_copy(arena, name);
    return *out != NULL ? AF_OK : af_fail_nomem(err, "a manifest");
}
