/* meta_places_test.c - answers that are remembered are those of the file after every change, and names that look alike are told apart. */
#include "base/limits.h"
#include "meta/meta_int.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_error err;
static struct af_arena arena;
static struct af_meta *meta;

static void start(void)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/catalogue", af_test_dir());
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK_OK(af_meta_open(path, &meta, &err), err);
}

static void stop(void)
{
    af_meta_close(meta);
    af_arena_done(&arena);
}

static uint64_t new_org(const char *name)
{
    struct af_meta_org org = { .name = name, .description = "d" };
    AF_CHECK_OK(af_meta_org_put(meta, &org, true, &err), err);
    return org.id;
}

static uint64_t new_bucket(uint64_t org, const char *name)
{
    struct af_meta_bucket bucket = { .org = org, .name = name, .description = "", .shard_ns = 1 };
    AF_CHECK_OK(af_meta_bucket_put(meta, &bucket, true, &err), err);
    return bucket.id;
}

/* Asked twice, so that the second answer is a remembered one. 0: there is none. */
static uint64_t find(uint64_t org, const char *database, const char *policy)
{
    uint64_t ids[2] = { 0, 0 };
    for (int i = 0; i < 2; i++) {
        struct af_meta_bucket bucket;
        enum af_status status = af_meta_dbrp_find(meta, org, database, policy, &arena, &bucket, &err);
        AF_CHECK(status == AF_OK || status == AF_ENOTFOUND);
        ids[i] = status == AF_OK ? bucket.id : 0;
    }
    AF_CHECK(ids[0] == ids[1]);
    return ids[1];
}

static const char *first_org(void)
{
    const char *names[2];
    for (int i = 0; i < 2; i++) {
        struct af_meta_org *all = NULL;
        size_t count = 0;
        struct af_meta_filter filter = { .limit = 1 };
        AF_CHECK_OK(af_meta_orgs(meta, &filter, &arena, &all, &count, &err), err);
        names[i] = count == 1 ? all[0].name : "";
    }
    AF_CHECK_STR(names[1], names[0]);
    return names[1];
}

AF_TEST(meta_places_follow_every_change)
{
    start();
    uint64_t org = new_org("b");
    AF_CHECK(find(org, "db", NULL) == 0);
    uint64_t db = new_bucket(org, "db");
    AF_CHECK(find(org, "db", NULL) == db && find(org, "db", "") == db && find(org, "db", "autogen") == db);
    uint64_t other = new_bucket(org, "other");
    struct af_meta_dbrp dbrp = { .org = org, .bucket = other, .database = "db", .policy = "autogen", .is_default = true };
    AF_CHECK_OK(af_meta_dbrp_put(meta, &dbrp, true, &err), err);
    AF_CHECK(find(org, "db", NULL) == other && find(org, "db", "autogen") == other);
    AF_CHECK_OK(af_meta_dbrp_drop(meta, dbrp.id, &err), err);
    AF_CHECK(find(org, "db", NULL) == db);
    AF_CHECK_OK(af_meta_bucket_drop(meta, db, &err), err);
    AF_CHECK(find(org, "db", NULL) == 0);
    AF_CHECK(find(0, "other", NULL) == other);
    struct af_meta_bucket renamed = { .id = other, .org = org, .name = "db/week", .description = "", .shard_ns = 1 };
    AF_CHECK_OK(af_meta_bucket_put(meta, &renamed, false, &err), err);
    AF_CHECK(find(0, "other", NULL) == 0 && find(org, "db", "week") == other && find(org, "db", NULL) == other);
    AF_CHECK_OK(af_meta_org_drop(meta, org, &err), err);
    AF_CHECK(find(org, "db", "week") == 0);
    stop();
}

AF_TEST(meta_places_know_the_first_organisation)
{
    start();
    AF_CHECK_STR(first_org(), "");
    uint64_t b = new_org("b");
    AF_CHECK_STR(first_org(), "b");
    uint64_t a = new_org("a");
    AF_CHECK_STR(first_org(), "a");
    struct af_meta_org twin = { .id = a, .name = "b" };
    AF_CHECK_FAILS(af_meta_org_put(meta, &twin, false, &err), AF_ECONFLICT);
    AF_CHECK_STR(first_org(), "a");
    struct af_meta_org renamed = { .id = a, .name = "c", .description = "new" };
    AF_CHECK_OK(af_meta_org_put(meta, &renamed, false, &err), err);
    AF_CHECK_STR(first_org(), "b");
    AF_CHECK_OK(af_meta_org_drop(meta, b, &err), err);
    AF_CHECK_STR(first_org(), "c");
    stop();
}

/* Where one name ends and the next begins, and names that are too long to be remembered. */
AF_TEST(meta_places_tell_names_apart)
{
    char a[AF_SERVER_NAME_BYTES_MAX + 1], b[AF_SERVER_NAME_BYTES_MAX + 1];
    start();
    uint64_t org = new_org("o");
    uint64_t x = new_bucket(org, "a/b+c");
    uint64_t y = new_bucket(org, "a+b/c");
    AF_CHECK(find(org, "a", "b+c") == x && find(org, "a+b", "c") == y && find(org, "a", "b+c") == x);
    AF_CHECK(find(org, "a+", "b+c") == 0);
    memset(a, 'n', sizeof a - 1);
    a[sizeof a - 1] = '\0';
    memcpy(b, a, sizeof b);
    b[sizeof b - 2] = 'm';
    uint64_t long_a = new_bucket(org, a);
    uint64_t long_b = new_bucket(org, b);
    AF_CHECK(find(org, a, NULL) == long_a && find(org, b, NULL) == long_b && find(org, a, NULL) == long_a);
    stop();
}
