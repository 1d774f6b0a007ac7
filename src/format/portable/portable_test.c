/* portable_test.c - manifests and catalogues of both generations: printed and parsed, as real servers write them, and damaged. */
#include "base/alloc.h"
#include "format/portable/portable.h"
#include "test/lib/test.h"

static struct af_portable_shard shards_a[] = {
    { .id = 1, .start_ns = INT64_MIN, .end_ns = -5, .file_name = "n.s1.tar.gz", .file_bytes = 10, .is_gzip = true },
    { .id = 7, .start_ns = 1000, .end_ns = INT64_MAX, .file_name = "n.s7.tar.gz", .file_bytes = 20, .is_gzip = true },
};
static struct af_portable_shard shards_b[] = {
    { .id = 9, .start_ns = 604800000000000, .end_ns = 1209600000000000, .file_name = "n.s9.tar.gz", .file_bytes = 0, .is_gzip = true },
};
static struct af_portable_bucket buckets[] = {
    { .database = "en\"ergy", .policy = "autogen", .id = 0x1122334455667788, .org = 0x99, .org_name = "o", .description = "d\n",
      .retention_ns = 0, .shard_ns = 604800000000000, .shards = shards_a, .shard_count = 2 },
    { .database = "other", .policy = "autogen", .id = 2, .org = 0x99, .org_name = "o", .description = "", .retention_ns = 3600000000000,
      .shard_ns = 3600000000000, .shards = shards_b, .shard_count = 1 },
    { .database = "other", .policy = "year", .id = 3, .org = 0x99, .org_name = "o", .description = "", .retention_ns = 0, .shard_ns = 1 },
};
static const struct af_portable sample = { buckets, 3 };

static void check_shards(const struct af_portable_bucket *got, const struct af_portable_bucket *want)
{
    AF_CHECK_INT(got->shard_count, want->shard_count);
    for (size_t i = 0; i < want->shard_count; i++) {
        AF_CHECK_INT(got->shards[i].id, want->shards[i].id);
        AF_CHECK_INT(got->shards[i].start_ns, want->shards[i].start_ns);
        AF_CHECK_INT(got->shards[i].end_ns, want->shards[i].end_ns);
        AF_CHECK_INT(got->shards[i].file_bytes, want->shards[i].file_bytes);
        AF_CHECK_STR(got->shards[i].file_name, want->shards[i].file_name);
        AF_CHECK(got->shards[i].is_gzip);
    }
}

static void check_buckets(const struct af_portable *got, bool is_v2)
{
    AF_CHECK_INT(got->bucket_count, sample.bucket_count);
    for (size_t i = 0; i < sample.bucket_count; i++) {
        const struct af_portable_bucket *g = &got->buckets[i], *w = &buckets[i];
        AF_CHECK_STR(g->database, w->database);
        AF_CHECK_STR(g->policy, is_v2 ? "autogen" : w->policy);
        AF_CHECK_INT(g->retention_ns, w->retention_ns);
        AF_CHECK_INT(g->shard_ns, w->shard_ns);
        check_shards(g, w);
        if (!is_v2)
            continue;
        AF_CHECK_INT(g->id, w->id);
        AF_CHECK_INT(g->org, w->org);
        AF_CHECK_STR(g->org_name, w->org_name);
        AF_CHECK_STR(g->description, w->description);
    }
}

struct texts {
    struct af_buf manifest, meta;
    struct af_arena arena;
};

static void texts_init(struct texts *t)
{
    af_buf_init(&t->manifest, 1 << 20);
    af_buf_init(&t->meta, 1 << 20);
    af_arena_init(&t->arena, 1 << 24);
}

static void texts_done(struct texts *t)
{
    af_buf_done(&t->manifest);
    af_buf_done(&t->meta);
    af_arena_done(&t->arena);
}

AF_TEST(v1_is_read_as_it_was_printed)
{
    struct texts t;
    struct af_portable got;
    struct af_error err = { 0 };
    const char *meta_name;
    texts_init(&t);
    AF_CHECK_OK(af_portable_v1_print(&sample, "n.meta", &t.manifest, &t.meta, &err), err);
    AF_CHECK_OK(af_portable_v1_parse(af_buf_slice(&t.manifest), af_buf_slice(&t.meta), &t.arena, &got, &err), err);
    check_buckets(&got, false);
    AF_CHECK_OK(af_portable_v1_meta_name(af_buf_slice(&t.manifest), &t.arena, &meta_name, &err), err);
    AF_CHECK_STR(meta_name, "n.meta");
    texts_done(&t);
}

AF_TEST(v2_is_read_as_it_was_printed)
{
    struct texts t;
    struct af_portable got;
    struct af_error err = { 0 };
    texts_init(&t);
    AF_CHECK_OK(af_portable_v2_print(&sample, &t.manifest, &err), err);
    AF_CHECK_OK(af_portable_v2_parse(af_buf_slice(&t.manifest), &t.arena, &got, &err), err);
    check_buckets(&got, true);
    texts_done(&t);
}

/* What meta.db of a server holds besides: users, continuous queries, owners, a group that is deleted, one without a shard. */
AF_TEST(a_catalogue_of_a_server_is_read)
{
    static const uint8_t data[] = {
        0x08, 1, 0x10, 2, 0x18, 3,                                   /* Term, Index, ClusterID */
        0x2a, 61, 0x0a, 1, 'd', 0x12, 1, 'p',                        /* Database: Name, DefaultRetentionPolicy */
        0x1a, 43, 0x0a, 1, 'p', 0x10, 100, 0x18, 50, 0x20, 1,        /* policy: Name, Duration, ShardGroupDuration, ReplicaN */
        0x2a, 12, 0x08, 1, 0x10, 0, 0x18, 50, 0x20, 0, 0x2a, 2, 0x08, 5,            /* group 1, shard 5 */
        0x2a, 12, 0x08, 2, 0x10, 50, 0x18, 100, 0x20, 9, 0x2a, 2, 0x08, 6,          /* deleted */
        0x2a, 4, 0x08, 3, 0x20, 0,                                                  /* no shard */
        0x22, 8, 0x0a, 1, 'c', 0x12, 3, 'q', 'q', 'q',               /* a continuous query */
        0x32, 9, 0x0a, 1, 'u', 0x12, 2, 'h', 'h', 0x18, 1,           /* a user */
        0x38, 1, 0x40, 3, 0x48, 6,
    };
    struct af_arena arena;
    struct af_portable got;
    struct af_error err = { 0 };
    af_arena_init(&arena, 1 << 20);
    AF_CHECK_OK(af_portable_v1_catalogue_parse(af_slice_make(data, sizeof data), true, &arena, &got, &err), err);
    AF_CHECK_INT(got.bucket_count, 1);
    AF_CHECK_STR(got.buckets[0].database, "d");
    AF_CHECK_STR(got.buckets[0].policy, "p");
    AF_CHECK_INT(got.buckets[0].retention_ns, 100);
    AF_CHECK_INT(got.buckets[0].shard_ns, 50);
    AF_CHECK_INT(got.buckets[0].shard_count, 2);
    AF_CHECK_INT(got.buckets[0].shards[0].id, 5);
    AF_CHECK_INT(got.buckets[0].shards[0].end_ns, 50);
    AF_CHECK_INT(got.buckets[0].shards[1].id, 0);
    af_arena_done(&arena);
}

AF_TEST(an_older_manifest_gives_what_the_newest_lacks)
{
    struct texts t;
    struct af_portable got;
    struct af_error err = { 0 };
    texts_init(&t);
    AF_CHECK_OK(af_portable_v1_print(&sample, "n.meta", &t.manifest, &t.meta, &err), err);
    const struct af_slice newest =
        AF_SLICE_LIT("{\"meta\":{\"fileName\":\"n.meta\",\"size\":1},\"files\":[{\"database\":\"other\",\"policy\":\"autogen\","
                     "\"shardID\":9,"
                     "\"fileName\":\"new.tar.gz\",\"size\":5,\"lastModified\":1}]}");
    AF_CHECK_OK(af_portable_v1_parse(newest, af_buf_slice(&t.meta), &t.arena, &got, &err), err);
    AF_CHECK(got.buckets[0].shards[0].file_name == NULL);
    AF_CHECK_OK(af_portable_v1_add_files(af_buf_slice(&t.manifest), &t.arena, &got, &err), err);
    AF_CHECK_STR(got.buckets[0].shards[0].file_name, "n.s1.tar.gz");
    AF_CHECK_STR(got.buckets[1].shards[0].file_name, "new.tar.gz");
    texts_done(&t);
}

AF_TEST(groups_that_begin_before_the_first_nanosecond_are_cut)
{
    static const struct af_slice text =
        AF_SLICE_LIT("[{\"organizationID\":\"0000000000000001\",\"bucketID\":\"0000000000000002\",\"bucketName\":\"b\","
                     "\"retentionPolicies\":[{\"name\":"
                     "\"autogen\",\"duration\":0,\"shardGroupDuration\":1,\"shardGroups\":[{\"id\":1,"
                     "\"startTime\":\"1677-04-12T00:00:00Z\",\"endTime\":"
                     "\"1678-04-11T00:00:00Z\",\"shards\":[{\"id\":1,\"shardOwners\":[]}]},{\"id\":2,"
                     "\"startTime\":\"2261-04-15T00:00:00Z\",\"endTime\":"
                     "\"2262-04-11T23:47:16.854775807Z\",\"shards\":[{\"id\":2}]},{\"id\":3,\"startTime\":\"2261-04-15T00:00:00Z\","
                     "\"endTime\":"
                     "\"2299-04-11T23:47:16Z\",\"shards\":[]}]}]}]");
    struct af_arena arena;
    struct af_portable got;
    struct af_error err = { 0 };
    af_arena_init(&arena, 1 << 20);
    AF_CHECK_OK(af_portable_v2_parse(text, &arena, &got, &err), err);
    AF_CHECK_INT(got.buckets[0].shard_count, 2);
    AF_CHECK_INT(got.buckets[0].shards[0].start_ns, INT64_MIN);
    AF_CHECK_INT(got.buckets[0].shards[1].end_ns, INT64_MAX);
    af_arena_done(&arena);
}

AF_TEST(the_bucket_a_server_is_asked_for_and_its_answer)
{
    struct texts t;
    struct af_error err = { 0 };
    uint64_t id;
    struct af_portable_mapping *mappings;
    size_t count;
    texts_init(&t);
    AF_CHECK_OK(af_portable_v2_bucket_print(&buckets[1], &t.manifest, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&t.manifest),
                   "{\"organizationID\":\"0000000000000099\",\"organizationName\":\"o\",\"bucketID\":\"0000000000000002\","
                   "\"bucketName\":\"other\","
                   "\"description\":\"\",\"defaultRetentionPolicy\":\"autogen\",\"retentionPolicies\":[{\"name\":\"autogen\","
                   "\"replicaN\":1,"
                   "\"duration\":3600000000000,\"shardGroupDuration\":3600000000000,\"shardGroups\":[{\"id\":9,\"startTime\":"
                   "\"1970-01-08T00:00:00.000000000Z\",\"endTime\":\"1970-01-15T00:00:00.000000000Z\",\"shards\":[{\"id\":9,"
                   "\"shardOwners\":[]}]}],"
                   "\"subscriptions\":[]}]}");
    AF_CHECK_OK(af_portable_v2_mappings_parse(AF_SLICE_LIT("{\"id\":\"000000000000000a\",\"name\":\"x\","
                                                           "\"shardMappings\":[{\"oldId\":9,\"newId\":44}]}"),
                                              &t.arena, &id, &mappings, &count, &err), err);
    AF_CHECK_INT(id, 10);
    AF_CHECK_INT(count, 1);
    AF_CHECK_INT(mappings[0].old_id, 9);
    AF_CHECK_INT(mappings[0].new_id, 44);
    AF_CHECK_FAILS(af_portable_v2_mappings_parse(AF_SLICE_LIT("{\"shardMappings\":[]}"), &t.arena, &id, &mappings, &count, &err),
                   AF_ECORRUPT);
    texts_done(&t);
}

AF_TEST(a_damaged_catalogue_is_told_or_harmless)
{
    struct texts t;
    struct af_error err = { 0 };
    size_t told = 0;
    texts_init(&t);
    AF_CHECK_OK(af_portable_v1_print(&sample, "n.meta", &t.manifest, &t.meta, &err), err);
    for (size_t i = 0; i < t.meta.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct af_portable got;
            af_arena_reset(&t.arena);
            t.meta.ptr[i] = (char)(t.meta.ptr[i] ^ 1 << bit);
            enum af_status status = af_portable_v1_parse(af_buf_slice(&t.manifest), af_buf_slice(&t.meta), &t.arena, &got, &err);
            AF_CHECK(status == AF_OK || status == AF_ECORRUPT);
            told += status == AF_ECORRUPT;
            t.meta.ptr[i] = (char)(t.meta.ptr[i] ^ 1 << bit);
        }
    AF_CHECK(told > t.meta.len);
    for (size_t len = 0; len < t.manifest.len; len++) {
        struct af_portable got;
        AF_CHECK(af_portable_v1_parse((struct af_slice){ t.manifest.ptr, len }, af_buf_slice(&t.meta), &t.arena, &got,
                                      &err) == AF_ECORRUPT);
    }
    texts_done(&t);
}

AF_TEST(every_allocation_may_fail)
{
    struct af_error err = { 0 };
    for (size_t n = 1; n < 200; n++) {
        struct texts t;
        struct af_portable got;
        texts_init(&t);
        (void)af_alloc_fail_nth(n);
        enum af_status status = af_portable_v1_print(&sample, "n.meta", &t.manifest, &t.meta, &err);
        if (status == AF_OK)
            status = af_portable_v1_parse(af_buf_slice(&t.manifest), af_buf_slice(&t.meta), &t.arena, &got, &err);
        af_buf_clear(&t.manifest);
        if (status == AF_OK)
            status = af_portable_v2_print(&sample, &t.manifest, &err);
        if (status == AF_OK)
            status = af_portable_v2_parse(af_buf_slice(&t.manifest), &t.arena, &got, &err);
        bool was_used = af_alloc_fail_nth(0) >= n;
        AF_CHECK(!was_used || status == AF_ENOMEM || status == AF_ECORRUPT || status == AF_OK);
        texts_done(&t);
        if (!was_used)
            return;
    }
}
