/* meta_test.c - the catalogue: what is in it, what it refuses, who may what, and that no secret stands in its file. */
#include "base/alloc.h"
#include "meta/meta_int.h"
#include "os/clock.h"
#include "os/file.h"
#include "test/lib/test.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static struct af_error err;
static struct af_arena arena;
static struct af_meta *meta;

static const char *file_of(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", af_test_dir(), name);
    return path;
}

static void start(void)
{
    af_arena_init(&arena, SIZE_MAX / 2);
    AF_CHECK_OK(af_meta_open(file_of("catalogue"), &meta, &err), err);
}

static void stop(void)
{
    af_meta_close(meta);
    af_arena_done(&arena);
}

static void again(void)
{
    af_meta_close(meta);
    AF_CHECK_OK(af_meta_open(file_of("catalogue"), &meta, &err), err);
}

static uint64_t new_org(const char *name)
{
    struct af_meta_org org = { .name = name, .description = "of a test" };
    AF_CHECK_OK(af_meta_org_put(meta, &org, true, &err), err);
    AF_CHECK(org.id != 0);
    return org.id;
}

static uint64_t new_bucket(uint64_t org, const char *name)
{
    struct af_meta_bucket bucket = { .org = org, .name = name, .description = "", .shard_ns = 3600000000000 };
    AF_CHECK_OK(af_meta_bucket_put(meta, &bucket, true, &err), err);
    return bucket.id;
}

static uint64_t new_user(const char *name, const char *password, bool is_admin)
{
    struct af_meta_user user = { .name = name, .is_active = true, .is_admin = is_admin };
    AF_CHECK_OK(af_meta_user_put(meta, &user, true, &err), err);
    if (password != NULL)
        AF_CHECK_OK(af_meta_user_password(meta, user.id, af_slice_of(password), &err), err);
    return user.id;
}

/* --- ids -------------------------------------------------------------------------------------------------------------------- */

AF_TEST(meta_ids_are_16_hex_digits)
{
    char text[AF_ID_TEXT_BYTES];
    uint64_t id = 0;
    af_id_print(0x0123456789abcdefu, text);
    AF_CHECK_STR(text, "0123456789abcdef");
    AF_CHECK(af_id_parse(text, &id) && id == 0x0123456789abcdefu);
    AF_CHECK(af_id_parse("ffffffffffffffff", &id) && id == UINT64_MAX);
    const char *const wrong[] = { "", "0", "0000000000000000", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF",
                                  "0123456789abcdeg",
                                  " 123456789abcdef" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        AF_CHECK(!af_id_parse(wrong[i], &id));
}

/* --- organisations and buckets -------------------------------------------------------------------------------------------------- */

AF_TEST(meta_orgs_are_made_found_changed_and_dropped)
{
    start();
    uint64_t a = new_org("a");
    uint64_t b = new_org("b");
    struct af_meta_org twin = { .name = "a" }, org;
    AF_CHECK_FAILS(af_meta_org_put(meta, &twin, true, &err), AF_ECONFLICT);
    AF_CHECK_STR(err.message, "organization with name a already exists");
    AF_CHECK_OK(af_meta_org_find(meta, "a", &arena, &org, &err), err);
    AF_CHECK(org.id == a && org.created_ns != 0 && org.created_ns == org.updated_ns);
    AF_CHECK_STR(org.description, "of a test");
    char id[AF_ID_TEXT_BYTES];
    af_id_print(b, id);
    AF_CHECK_OK(af_meta_org_find(meta, id, &arena, &org, &err), err);
    AF_CHECK_STR(org.name, "b");
    org.name = "renamed";
    AF_CHECK_OK(af_meta_org_put(meta, &org, false, &err), err);
    again();
    AF_CHECK_OK(af_meta_org_find(meta, "renamed", &arena, &org, &err), err);
    AF_CHECK(org.id == b);
    (void)new_bucket(b, "in it");
    AF_CHECK_OK(af_meta_org_drop(meta, b, &err), err);
    AF_CHECK_FAILS(af_meta_org_find(meta, "renamed", &arena, &org, &err), AF_ENOTFOUND);
    AF_CHECK_FAILS(af_meta_org_put(meta, &org, false, &err), AF_ENOTFOUND);
    struct af_meta_bucket *buckets = NULL;
    size_t count = 9;
    struct af_meta_filter all = { 0 };
    AF_CHECK_OK(af_meta_buckets(meta, &all, &arena, &buckets, &count, &err), err);
    AF_CHECK_INT(count, 0);
    stop();
}

AF_TEST(meta_buckets_keep_all_they_are_given)
{
    start();
    uint64_t org = new_org("o");
    struct af_meta_bucket bucket = { .org = org, .name = "energy \xc3\xa7", .description = "d", .retention_ns = 7200000000000,
                                     .shard_ns = 3600000000000, .is_system = true };
    AF_CHECK_OK(af_meta_bucket_put(meta, &bucket, true, &err), err);
    again();
    struct af_meta_bucket got;
    AF_CHECK_OK(af_meta_bucket_find(meta, org, "energy \xc3\xa7", &arena, &got, &err), err);
    AF_CHECK(got.id == bucket.id && got.org == org && got.is_system && got.created_ns == bucket.created_ns);
    AF_CHECK_INT(got.retention_ns, 7200000000000);
    AF_CHECK_INT(got.shard_ns, 3600000000000);
    AF_CHECK_STR(got.description, "d");
    AF_CHECK_FAILS(af_meta_bucket_put(meta, &bucket, true, &err), AF_ECONFLICT);
    AF_CHECK_STR(err.message, "bucket with name energy \xc3\xa7 already exists");
    struct af_meta_bucket lost = { .org = 77, .name = "x", .shard_ns = 1 };
    AF_CHECK_FAILS(af_meta_bucket_put(meta, &lost, true, &err), AF_ENOTFOUND);
    AF_CHECK_OK(af_meta_bucket_drop(meta, bucket.id, &err), err);
    AF_CHECK_OK(af_meta_bucket_drop(meta, bucket.id, &err), err); /* absent is fine */
    AF_CHECK_FAILS(af_meta_bucket_find(meta, org, "energy \xc3\xa7", &arena, &got, &err), AF_ENOTFOUND);
    stop();
}

AF_TEST(meta_names_are_checked)
{
    start();
    uint64_t org = new_org("o");
    char longest[1026];
    memset(longest, 'x', sizeof longest);
    longest[1025] = '\0';
    const char *const wrong[] = { "", "\xff", longest };
    for (size_t i = 0; i < 3; i++) {
        struct af_meta_bucket bucket = { .org = org, .name = wrong[i], .shard_ns = 1 };
        struct af_meta_user user = { .name = wrong[i] };
        struct af_meta_org other = { .name = wrong[i] };
        struct af_meta_dbrp dbrp = { .org = org, .database = wrong[i], .policy = "p" };
        AF_CHECK_FAILS(af_meta_bucket_put(meta, &bucket, true, &err), AF_EINVAL);
        AF_CHECK_FAILS(af_meta_user_put(meta, &user, true, &err), AF_EINVAL);
        AF_CHECK_FAILS(af_meta_org_put(meta, &other, true, &err), AF_EINVAL);
        AF_CHECK_FAILS(af_meta_dbrp_put(meta, &dbrp, true, &err), AF_EINVAL);
    }
    longest[1024] = '\0';
    (void)new_bucket(org, longest);
    (void)new_bucket(org, "'; DROP TABLE bucket; --");
    struct af_meta_bucket got;
    AF_CHECK_OK(af_meta_bucket_find(meta, org, "'; DROP TABLE bucket; --", &arena, &got, &err), err);
    stop();
}

static size_t page(struct af_meta_filter filter, struct af_meta_bucket **out)
{
    size_t count = 0;
    AF_CHECK_OK(af_meta_buckets(meta, &filter, &arena, out, &count, &err), err);
    return count;
}

AF_TEST(meta_lists_are_paged_by_offset_and_after_without_losing_any)
{
    start();
    uint64_t org = new_org("o");
    uint64_t other = new_org("p");
    struct af_meta_bucket *got = NULL;
    char name[16];
    for (unsigned i = 0; i < 50; i++) { /* the order of names is not that of ids */
        (void)snprintf(name, sizeof name, "b%02u", i * 7 % 50);
        (void)new_bucket(org, name);
        (void)new_bucket(other, name);
    }
    AF_CHECK_INT(page((struct af_meta_filter){ 0 }, &got), 100);
    AF_CHECK_INT(page((struct af_meta_filter){ .name = "b07" }, &got), 2);
    uint64_t id = got[0].id;
    AF_CHECK_INT(page((struct af_meta_filter){ .org = got[0].org, .name = "b07", .id = id }, &got), 1);
    AF_CHECK_INT(page((struct af_meta_filter){ .org = got[0].org == org ? other : org, .name = "b07", .id = id }, &got), 0);
    for (int is_descending = 0; is_descending < 2; is_descending++) {
        struct af_meta_filter filter = { .org = org, .limit = 7, .is_descending = is_descending != 0 };
        for (unsigned seen = 0; seen < 50;) { /* by the last one of the page before */
            size_t count = page(filter, &got);
            AF_CHECK_INT(count, seen + 7 <= 50 ? 7 : 50 - seen);
            for (size_t i = 0; i < count; i++, seen++) {
                (void)snprintf(name, sizeof name, "b%02u", is_descending != 0 ? 49 - seen : seen);
                AF_CHECK_STR(got[i].name, name);
            }
            filter.after = got[count - 1].id;
        }
        AF_CHECK_INT(page(filter, &got), 0);
        filter = (struct af_meta_filter){ .org = org, .limit = 10, .offset = 45, .is_descending = is_descending != 0 };
        AF_CHECK_INT(page(filter, &got), 5);
        AF_CHECK_STR(got[0].name, is_descending != 0 ? "b04" : "b45");
    }
    AF_CHECK_INT(page((struct af_meta_filter){ .after = 1 }, &got), 100); /* gone or never there: by id */
    stop();
}

/* --- databases and policies --------------------------------------------------------------------------------------------------------- */

static const char *leads_to(uint64_t org, const char *database, const char *policy)
{
    struct af_meta_bucket bucket;
    enum af_status status = af_meta_dbrp_find(meta, org, database, policy, &arena, &bucket, &err);
    if (status == AF_ENOTFOUND)
        return "nowhere";
    AF_CHECK_OK(status, err);
    return bucket.name;
}

static uint64_t map(uint64_t org, const char *database, const char *policy, uint64_t bucket, bool is_default)
{
    struct af_meta_dbrp dbrp = { .org = org, .bucket = bucket, .database = database, .policy = policy, .is_default = is_default };
    AF_CHECK_OK(af_meta_dbrp_put(meta, &dbrp, true, &err), err);
    return dbrp.id;
}

/* "policy* policy>" : default, virtual */
static const char *listed(uint64_t org, const char *database)
{
    static char text[512];
    struct af_meta_dbrp *items = NULL;
    size_t count = 0;
    text[0] = '\0';
    AF_CHECK_OK(af_meta_dbrps(meta, org, database, &arena, &items, &count, &err), err);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, "%s%s/%s%s%s", i != 0 ? " " : "", items[i].database, items[i].policy,
                       items[i].is_default ? "*" : "", items[i].is_virtual ? "~" : "");
    }
    return text;
}

AF_TEST(meta_buckets_stand_for_databases_by_their_names)
{
    start();
    uint64_t org = new_org("o");
    (void)new_bucket(org, "d");
    (void)new_bucket(org, "d/week");
    (void)new_bucket(org, "d!");
    (void)new_bucket(org, "d/autogen"); /* the place is taken */
    (void)new_bucket(org, "only/z");
    (void)new_bucket(org, "only/a");
    AF_CHECK_STR(leads_to(org, "d", NULL), "d");
    AF_CHECK_STR(leads_to(org, "d", ""), "d");
    AF_CHECK_STR(leads_to(org, "d", "autogen"), "d");
    AF_CHECK_STR(leads_to(org, "d", "week"), "d/week");
    AF_CHECK_STR(leads_to(org, "d", "month"), "nowhere");
    AF_CHECK_STR(leads_to(org, "only", NULL), "only/a");
    AF_CHECK_STR(leads_to(org, "nope", NULL), "nowhere");
    AF_CHECK_STR(listed(org, NULL), "d/autogen*~ d/week~ d!/autogen*~ only/a*~ only/z~");
    AF_CHECK_STR(listed(org, "only"), "only/a*~ only/z~");
    AF_CHECK_STR(listed(org, "x"), "");
    stop();
}

AF_TEST(meta_stored_mappings_win_and_one_is_always_the_default)
{
    start();
    uint64_t org = new_org("o");
    uint64_t bucket = new_bucket(org, "energy");
    uint64_t other = new_bucket(org, "other");
    (void)new_bucket(org, "d");
    uint64_t first = map(org, "d", "b", bucket, false);
    AF_CHECK_STR(listed(org, "d"), "d/b* d/autogen~");
    AF_CHECK_STR(leads_to(org, "d", NULL), "energy");
    AF_CHECK_STR(leads_to(org, "d", "autogen"), "d");
    uint64_t second = map(org, "d", "a", other, false);
    AF_CHECK_STR(listed(org, "d"), "d/a d/b* d/autogen~");
    struct af_meta_dbrp change = { .id = second, .org = org, .database = "d", .policy = "c", .is_default = true };
    AF_CHECK_OK(af_meta_dbrp_put(meta, &change, false, &err), err);
    AF_CHECK_STR(listed(org, "d"), "d/b d/c* d/autogen~");
    change.is_default = false;
    AF_CHECK_OK(af_meta_dbrp_put(meta, &change, false, &err), err);
    AF_CHECK_STR(listed(org, "d"), "d/b* d/c d/autogen~");
    struct af_meta_dbrp twin = { .org = org, .bucket = bucket, .database = "d", .policy = "c" };
    AF_CHECK_FAILS(af_meta_dbrp_put(meta, &twin, true, &err), AF_ECONFLICT);
    AF_CHECK_STR(err.message, "another DBRP mapping with same orgID, db, and rp exists");
    AF_CHECK_OK(af_meta_dbrp_drop(meta, first, &err), err);
    AF_CHECK_STR(listed(org, "d"), "d/c* d/autogen~");
    (void)map(org, "d", "z", bucket, true);
    AF_CHECK_OK(af_meta_bucket_drop(meta, bucket, &err), err); /* with its mapping, the default */
    AF_CHECK_STR(listed(org, "d"), "d/c* d/autogen~");
    AF_CHECK_OK(af_meta_bucket_drop(meta, other, &err), err);
    AF_CHECK_STR(listed(org, "d"), "d/autogen*~");
    stop();
}

AF_TEST(meta_many_buckets_are_quick)
{
    enum { MANY = 3000 };
    start();
    uint64_t org = new_org("o");
    char name[32];
    AF_CHECK_OK(meta_begin(meta, &err), err);
    for (unsigned i = 0; i < MANY; i++) {
        struct af_meta_bucket b = { .org = org, .name = name, .shard_ns = 1 };
        (void)snprintf(name, sizeof name, "db%u/p%u", i % 1000, i);
        AF_CHECK_OK(meta_bucket_put_locked(meta, &b, true, &err), err);
    }
    AF_CHECK_OK(meta_end(meta, AF_OK, &err), err);
    struct af_meta_dbrp *items = NULL;
    size_t count = 0, defaults = 0;
    AF_CHECK_OK(af_meta_dbrps(meta, org, NULL, &arena, &items, &count, &err), err);
    for (size_t i = 0; i < count; i++)
        defaults += items[i].is_default;
    AF_CHECK_INT(count, MANY);
    AF_CHECK_INT(defaults, 1000);
    AF_CHECK_STR(leads_to(org, "db7", "p7"), "db7/p7");
    stop();
}

/* --- users, grants --------------------------------------------------------------------------------------------------------- */

static enum af_status ask_password(const char *user, const char *password, struct af_principal *out)
{
    return af_meta_by_password(meta, af_slice_of(user), af_slice_of(password), &arena, out, &err);
}

AF_TEST(meta_users_and_their_passwords)
{
    start();
    struct af_principal who;
    uint64_t u = new_user("u", "a good password", false);
    uint64_t admin = new_user("admin", "other", true);
    (void)new_user("without", NULL, true);
    AF_CHECK_OK(ask_password("u", "a good password", &who), err);
    AF_CHECK(who.user == u && who.token == 0 && !who.is_admin && who.permission_count == 0);
    AF_CHECK_STR(who.name, "user u");
    AF_CHECK_OK(ask_password("admin", "other", &who), err);
    AF_CHECK(who.user == admin && who.is_admin);
    AF_CHECK_FAILS(ask_password("u", "other", &who), AF_EUNAUTH);
    AF_CHECK_FAILS(ask_password("without", "", &who), AF_EUNAUTH);
    AF_CHECK_FAILS(ask_password("nobody", "other", &who), AF_EUNAUTH);
    AF_CHECK_FAILS(af_meta_user_password(meta, u, af_slice_of(""), &err), AF_EINVAL);
    AF_CHECK_FAILS(af_meta_user_password(meta, 77, af_slice_of("x"), &err), AF_ENOTFOUND);
    AF_CHECK_FAILS(af_meta_user_password(meta, u, af_slice_make("a\0b", 3), &err), AF_EINVAL);
    AF_CHECK_OK(af_meta_user_password(meta, u, af_slice_of("new one"), &err), err);
    AF_CHECK_FAILS(ask_password("u", "a good password", &who), AF_EUNAUTH); /* remembered no more */
    AF_CHECK_OK(ask_password("u", "new one", &who), err);
    again();
    AF_CHECK_OK(ask_password("u", "new one", &who), err);
    struct af_meta_user *users = NULL;
    size_t count = 0;
    struct af_meta_filter filter = { .name = "without" };
    AF_CHECK_OK(af_meta_users(meta, &filter, &arena, &users, &count, &err), err);
    AF_CHECK(count == 1 && !users[0].has_password && users[0].is_admin && users[0].is_active);
    stop();
}

AF_TEST(meta_who_is_inactive_or_gone_is_refused_at_once)
{
    start();
    struct af_principal who;
    struct af_meta_user user = { .name = "u", .is_active = true };
    AF_CHECK_OK(af_meta_user_put(meta, &user, true, &err), err);
    AF_CHECK_OK(af_meta_user_password(meta, user.id, af_slice_of("pw"), &err), err);
    AF_CHECK_OK(ask_password("u", "pw", &who), err);
    user.is_active = false;
    AF_CHECK_OK(af_meta_user_put(meta, &user, false, &err), err);
    AF_CHECK_FAILS(ask_password("u", "pw", &who), AF_EUNAUTH);
    user.is_active = true;
    AF_CHECK_OK(af_meta_user_put(meta, &user, false, &err), err);
    AF_CHECK_OK(ask_password("u", "pw", &who), err);
    AF_CHECK_OK(af_meta_user_drop(meta, user.id, &err), err);
    AF_CHECK_FAILS(ask_password("u", "pw", &who), AF_EUNAUTH);
    AF_CHECK_FAILS(af_meta_user_put(meta, &user, false, &err), AF_ENOTFOUND);
    stop();
}

AF_TEST(meta_grants_are_permissions_on_the_buckets_of_a_database)
{
    start();
    struct af_principal who;
    uint64_t org = new_org("o");
    uint64_t d = new_bucket(org, "d");
    uint64_t dp = new_bucket(org, "d/p");
    uint64_t dx = new_bucket(org, "dx");
    uint64_t mapped = new_bucket(org, "mapped");
    (void)map(org, "d", "m", mapped, false);
    uint64_t u = new_user("u", "pw", false);
    AF_CHECK_OK(af_meta_grant(meta, u, org, "d", AF_GRANT_READ, &err), err);
    AF_CHECK_OK(ask_password("u", "pw", &who), err);
    AF_CHECK(af_principal_may(&who, AF_ACTION_READ, "buckets", org, d) && af_principal_may(&who, AF_ACTION_READ, "buckets", org, dp));
    AF_CHECK(af_principal_may(&who, AF_ACTION_READ, "buckets", org, mapped) && !af_principal_may(&who, AF_ACTION_READ, "buckets", org, dx));
    AF_CHECK(!af_principal_may(&who, AF_ACTION_WRITE, "buckets", org, d) && !af_principal_may(&who, AF_ACTION_READ, "buckets", org, 0));
    AF_CHECK_OK(af_meta_grant(meta, u, org, "d", AF_GRANT_ALL, &err), err); /* who was remembered is asked anew */
    AF_CHECK_OK(ask_password("u", "pw", &who), err);
    AF_CHECK(af_principal_may(&who, AF_ACTION_WRITE, "buckets", org, dp) && !af_principal_may(&who, AF_ACTION_WRITE, "users", 0, 0));
    uint64_t later = new_bucket(org, "d/later");
    AF_CHECK_OK(ask_password("u", "pw", &who), err);
    AF_CHECK(af_principal_may(&who, AF_ACTION_WRITE, "buckets", org, later));
    AF_CHECK_OK(af_meta_grant(meta, u, org, "e", AF_GRANT_WRITE, &err), err);
    struct af_meta_granted *granted = NULL;
    size_t count = 0;
    AF_CHECK_OK(af_meta_grants(meta, u, &arena, &granted, &count, &err), err);
    AF_CHECK(count == 2 && granted[0].grant == AF_GRANT_ALL && granted[1].grant == AF_GRANT_WRITE);
    AF_CHECK_OK(af_meta_grant(meta, u, org, "e", AF_GRANT_NONE, &err), err);
    AF_CHECK_OK(af_meta_grants_drop(meta, org, "d", &err), err);
    AF_CHECK_OK(af_meta_grants(meta, u, &arena, &granted, &count, &err), err);
    AF_CHECK(count == 1 && granted[0].grant == AF_GRANT_NONE); /* revoked is not forgotten */
    AF_CHECK_OK(af_meta_grants_drop(meta, org, "e", &err), err);
    AF_CHECK_OK(af_meta_grants(meta, u, &arena, &granted, &count, &err), err);
    AF_CHECK_INT(count, 0);
    AF_CHECK_OK(ask_password("u", "pw", &who), err);
    AF_CHECK(!af_principal_may(&who, AF_ACTION_READ, "buckets", org, d));
    stop();
}

AF_TEST(meta_grants_end_at_the_organisation)
{
    start();
    struct af_principal who;
    struct af_meta_granted *granted = NULL;
    size_t count = 0;
    uint64_t a = new_org("a"), b = new_org("b");
    uint64_t a_d = new_bucket(a, "d"), b_d = new_bucket(b, "d"), b_dp = new_bucket(b, "d/p"), b_x = new_bucket(b, "x");
    (void)map(b, "d", "m", b_x, false);
    uint64_t u = new_user("u", "pw", false);
    AF_CHECK_OK(af_meta_grant(meta, u, a, "d", AF_GRANT_ALL, &err), err);
    AF_CHECK_OK(ask_password("u", "pw", &who), err);
    AF_CHECK(af_principal_may(&who, AF_ACTION_WRITE, "buckets", a, a_d) && !af_principal_may(&who, AF_ACTION_READ, "buckets", b, b_d));
    AF_CHECK(!af_principal_may(&who, AF_ACTION_READ, "buckets", b, b_dp) && !af_principal_may(&who, AF_ACTION_READ, "buckets", b, b_x));
    AF_CHECK_OK(af_meta_grant(meta, u, b, "d", AF_GRANT_READ, &err), err);
    AF_CHECK_OK(af_meta_grants_drop(meta, a, "d", &err), err); /* b's stays */
    AF_CHECK_OK(ask_password("u", "pw", &who), err);
    AF_CHECK(!af_principal_may(&who, AF_ACTION_READ, "buckets", a, a_d) && af_principal_may(&who, AF_ACTION_READ, "buckets", b, b_d));
    AF_CHECK(af_principal_may(&who, AF_ACTION_READ, "buckets", b, b_dp) && af_principal_may(&who, AF_ACTION_READ, "buckets", b, b_x));
    AF_CHECK_OK(af_meta_grants(meta, u, &arena, &granted, &count, &err), err);
    AF_CHECK(count == 1 && granted[0].org == b && granted[0].grant == AF_GRANT_READ);
    stop();
}

struct guesser {
    struct af_thread thread;
    unsigned nth;
    _Atomic int *waiting;
    bool was_busy;
};

static void guess(void *ctx)
{
    struct guesser *g = ctx;
    struct af_arena own;
    struct af_principal who;
    struct af_error why = { 0 };
    char name[24];
    af_arena_init(&own, 1 << 20);
    (void)snprintf(name, sizeof name, "nobody%u", g->nth);
    enum af_status status = af_meta_by_password(meta, af_slice_of(name), AF_SLICE_LIT("x"), &own, &who, &why);
    g->was_busy = status == AF_EBUSY && why.retry_after_ms == 1000;
    AF_CHECK(g->was_busy || status == AF_EUNAUTH);
    atomic_fetch_sub(g->waiting, 1);
    af_arena_done(&own);
}

/* Somebody holds the hash; of many that come only a few wait, the others are sent away at once, and nobody else is held up. */
AF_TEST(meta_few_wait_for_a_hash)
{
    enum { GUESSERS = 12 };
    start();
    struct guesser guessers[GUESSERS];
    struct af_principal who;
    _Atomic int waiting = GUESSERS;
    size_t busy = 0;
    (void)new_user("u", "pw", false);
    AF_CHECK_OK(ask_password("u", "pw", &who), err);
    af_mutex_lock(&meta->hash_lock);
    for (unsigned i = 0; i < GUESSERS; i++) {
        guessers[i] = (struct guesser){ .nth = i, .waiting = &waiting };
        AF_CHECK_OK(af_thread_start(&guessers[i].thread, "guess", guess, &guessers[i], &err), err);
    }
    for (int i = 0; i < 1000 && atomic_load(&waiting) > META_HASHERS_MAX; i++)
        af_clock_sleep_ms(10);
    AF_CHECK_INT(atomic_load(&waiting), META_HASHERS_MAX);
    AF_CHECK_OK(ask_password("u", "pw", &who), err); /* remembered: needs no hash */
    (void)new_org("o");
    AF_CHECK_OK(ask_password("u", "pw", &who), err); /* forgotten, but known to be right */
    af_mutex_unlock(&meta->hash_lock);
    for (unsigned i = 0; i < GUESSERS; i++) {
        af_thread_join(&guessers[i].thread);
        busy += guessers[i].was_busy;
    }
    AF_CHECK_INT(busy, GUESSERS - META_HASHERS_MAX);
    AF_CHECK_INT(meta->hashers, 0);
    stop();
}

AF_TEST(meta_remembers_what_was_dropped)
{
    start();
    uint64_t *gone = NULL;
    size_t count = 0;
    uint64_t org = new_org("o"), other = new_org("p");
    uint64_t alone = new_bucket(org, "a");
    (void)new_bucket(org, "stays");
    uint64_t with_org = new_bucket(other, "b");
    AF_CHECK_OK(af_meta_dropped(meta, &arena, &gone, &count, &err), err);
    AF_CHECK_INT(count, 0);
    AF_CHECK_OK(af_meta_bucket_drop(meta, alone, &err), err);
    AF_CHECK_OK(af_meta_org_drop(meta, other, &err), err);
    again();
    AF_CHECK_OK(af_meta_dropped(meta, &arena, &gone, &count, &err), err);
    AF_CHECK(count == 2 && gone[0] + gone[1] == alone + with_org);
    AF_CHECK_OK(af_meta_dropped_done(meta, with_org, &err), err);
    struct af_meta_bucket back = { .id = alone, .org = org, .name = "a", .description = "", .shard_ns = 3600000000000 };
    AF_CHECK_OK(af_meta_bucket_put(meta, &back, true, &err), err); /* as a restore does */
    AF_CHECK_OK(af_meta_dropped(meta, &arena, &gone, &count, &err), err);
    AF_CHECK_INT(count, 0);
    stop();
}

AF_TEST(meta_wrong_passwords_are_slowed_down_and_right_ones_that_are_known_are_not)
{
    start();
    struct af_principal who;
    (void)new_user("u", "pw", false);
    (void)new_user("other", "pw2", false);
    AF_CHECK_OK(ask_password("u", "pw", &who), err);
    for (int i = 0; i < 5; i++) {
        AF_CHECK_FAILS(ask_password("u", "guess", &who), AF_EUNAUTH);
        AF_CHECK_INT(err.retry_after_ms, 0);
    }
    err = (struct af_error){ 0 };
    AF_CHECK_FAILS(ask_password("u", "guess", &who), AF_EUNAUTH);
    AF_CHECK(err.retry_after_ms > 0 && err.retry_after_ms <= 1001);
    AF_CHECK_OK(ask_password("u", "pw", &who), err);     /* remembered */
    AF_CHECK_OK(ask_password("other", "pw2", &who), err); /* somebody else */
    meta_forget(meta);
    AF_CHECK_OK(ask_password("u", "pw", &who), err); /* known to be right */
    meta_forget(meta);
    memset(meta->proven, 0, sizeof meta->proven);
    AF_CHECK_FAILS(ask_password("u", "pw", &who), AF_EUNAUTH); /* not even tried */
    af_clock_sleep_ms(1050);
    AF_CHECK_OK(ask_password("u", "pw", &who), err);
    AF_CHECK_FAILS(ask_password("u", "guess", &who), AF_EUNAUTH); /* counted from the beginning */
    AF_CHECK_INT(err.retry_after_ms, 0);
    stop();
}

AF_TEST(meta_a_name_that_nobody_has_costs_a_hash_too)
{
    start();
    struct af_principal who;
    (void)new_user("u", "pw", false);
    int64_t took_ns[2] = { INT64_MAX, INT64_MAX };
    for (int round = 0; round < 4; round++) {
        for (int is_known = 0; is_known < 2; is_known++) {
            int64_t start_ns = af_clock_mono_ns();
            AF_CHECK_FAILS(ask_password(is_known != 0 ? "u" : "nobody", "guess", &who), AF_EUNAUTH);
            int64_t took = af_clock_mono_ns() - start_ns;
            took_ns[is_known] = took < took_ns[is_known] ? took : took_ns[is_known];
        }
    }
    AF_CHECK(took_ns[0] * 3 > took_ns[1] && took_ns[1] * 3 > took_ns[0]);
    stop();
}

/* --- tokens ---------------------------------------------------------------------------------------------------------------- */

static const char *new_token(uint64_t org, uint64_t user, const char *type, uint64_t id, uint64_t *out_id)
{
    struct af_permission permissions[] = { { AF_ACTION_READ, type, org, id }, { AF_ACTION_WRITE, type, org, id } };
    struct af_meta_token token = { .org = org, .user = user, .description = "t", .is_active = true, .permissions = permissions,
                                   .permission_count = 2 };
    const char *secret = NULL;
    AF_CHECK_OK(af_meta_token_new(meta, &token, NULL, &arena, &secret, &err), err);
    *out_id = token.id;
    return secret;
}

static enum af_status ask_token(const char *secret, struct af_principal *out)
{
    return af_meta_by_token(meta, af_slice_of(secret), &arena, out, &err);
}

AF_TEST(meta_tokens_live_until_they_are_switched_off_or_dropped)
{
    start();
    struct af_principal who;
    uint64_t org = new_org("o");
    uint64_t user = new_user("u", NULL, false);
    uint64_t id;
    const char *secret = new_token(org, user, "buckets", 5, &id);
    AF_CHECK_INT(strlen(secret), 88);
    for (int i = 0; i < 2; i++) { /* asked, then remembered */
        AF_CHECK_OK(ask_token(secret, &who), err);
        AF_CHECK(who.token == id && who.user == user && who.org == org && !who.is_admin && who.permission_count == 2);
        AF_CHECK(af_principal_may(&who, AF_ACTION_WRITE, "buckets", org, 5) && !af_principal_may(&who, AF_ACTION_WRITE, "buckets", org, 6));
        AF_CHECK(!af_principal_may(&who, AF_ACTION_WRITE, "buckets", org + 1, 5));
        AF_CHECK(!af_principal_may(&who, AF_ACTION_READ, "users", org, 5));
    }
    AF_CHECK_FAILS(ask_token("", &who), AF_EUNAUTH);
    AF_CHECK_FAILS(ask_token("guess", &who), AF_EUNAUTH);
    AF_CHECK_OK(ask_password("whoever", secret, &who), err); /* in a password's place */
    AF_CHECK(who.token == id);
    struct af_meta_token off = { .id = id, .description = "switched off", .is_active = false };
    AF_CHECK_OK(af_meta_token_set(meta, &off, &err), err);
    AF_CHECK_FAILS(ask_token(secret, &who), AF_EUNAUTH);
    AF_CHECK_FAILS(ask_password("whoever", secret, &who), AF_EUNAUTH);
    off.is_active = true;
    AF_CHECK_OK(af_meta_token_set(meta, &off, &err), err);
    again();
    AF_CHECK_OK(ask_token(secret, &who), err);
    struct af_meta_token *tokens = NULL;
    size_t count = 0;
    struct af_meta_filter filter = { .user = user };
    AF_CHECK_OK(af_meta_tokens(meta, &filter, &arena, &tokens, &count, &err), err);
    AF_CHECK(count == 1 && tokens[0].permission_count == 2 && tokens[0].permissions[1].action == AF_ACTION_WRITE);
    AF_CHECK_STR(tokens[0].description, "switched off");
    AF_CHECK_OK(af_meta_token_drop(meta, id, &err), err);
    AF_CHECK_FAILS(ask_token(secret, &who), AF_EUNAUTH);
    AF_CHECK_FAILS(af_meta_token_set(meta, &off, &err), AF_ENOTFOUND);
    secret = new_token(org, user, "buckets", 0, &id);
    AF_CHECK_OK(ask_token(secret, &who), err);
    AF_CHECK_OK(af_meta_user_drop(meta, user, &err), err); /* a user's tokens go with him */
    AF_CHECK_FAILS(ask_token(secret, &who), AF_EUNAUTH);
    stop();
}

AF_TEST(meta_tokens_with_given_secrets_and_bad_permissions)
{
    start();
    uint64_t org = new_org("o");
    struct af_permission bad = { AF_ACTION_READ, "two words", org, 0 };
    struct af_meta_token token = { .org = org, .is_active = true, .permissions = &bad, .permission_count = 1 };
    struct af_principal who;
    const char *secret = NULL;
    AF_CHECK_FAILS(af_meta_token_new(meta, &token, NULL, &arena, &secret, &err), AF_EINVAL);
    token.permission_count = 0;
    AF_CHECK_OK(af_meta_token_new(meta, &token, "my own", &arena, &secret, &err), err);
    AF_CHECK_STR(secret, "my own");
    AF_CHECK_OK(ask_token("my own", &who), err);
    AF_CHECK(!af_principal_may(&who, AF_ACTION_READ, "buckets", org, 1));
    token.id = 0;
    AF_CHECK_FAILS(af_meta_token_new(meta, &token, "my own", &arena, &secret, &err), AF_ECONFLICT);
    token.permission_count = 10001;
    AF_CHECK_FAILS(af_meta_token_new(meta, &token, NULL, &arena, &secret, &err), AF_ELIMIT);
    stop();
}

AF_TEST(meta_permissions)
{
    struct af_permission all_of_one[] = { { AF_ACTION_READ, "buckets", 1, 0 } }, one[] = { { AF_ACTION_READ, "buckets", 1, 2 } };
    struct af_permission everywhere[] = { { AF_ACTION_WRITE, "buckets", 0, 0 } };
    struct af_principal who = { .permissions = all_of_one, .permission_count = 1 };
    AF_CHECK(af_principal_may(&who, AF_ACTION_READ, "buckets", 1, 2) && af_principal_may(&who, AF_ACTION_READ, "buckets", 1, 0));
    AF_CHECK(!af_principal_may(&who, AF_ACTION_READ, "buckets", 2, 2) && !af_principal_may(&who, AF_ACTION_READ, "buckets", 0, 0));
    AF_CHECK(!af_principal_may(&who, AF_ACTION_WRITE, "buckets", 1, 2) && !af_principal_may(&who, AF_ACTION_READ, "bucket", 1, 2));
    who.permissions = one;
    AF_CHECK(af_principal_may(&who, AF_ACTION_READ, "buckets", 1, 2) && !af_principal_may(&who, AF_ACTION_READ, "buckets", 1, 0));
    who.permissions = everywhere;
    AF_CHECK(af_principal_may(&who, AF_ACTION_WRITE, "buckets", 0, 0) && af_principal_may(&who, AF_ACTION_WRITE, "buckets", 9, 9));
    who = (struct af_principal){ .is_admin = true };
    AF_CHECK(af_principal_may(&who, AF_ACTION_WRITE, "anything", 1, 1));
    who = (struct af_principal){ .is_everybody = true };
    AF_CHECK(af_principal_may(&who, AF_ACTION_WRITE, "anything", 1, 1));
    who = (struct af_principal){ 0 };
    AF_CHECK(!af_principal_may(&who, AF_ACTION_READ, "buckets", 1, 1));
}

AF_TEST(meta_an_operator_outlives_the_organisation)
{
    start();
    struct af_principal who;
    uint64_t org = new_org("o");
    uint64_t id;
    const char *bound = new_token(org, 0, "buckets", 0, &id);
    struct af_meta_token token = { .org = org, .is_active = true };
    const char *operator_secret = NULL;
    AF_CHECK_OK(af_meta_all_permissions(0, &arena, &token.permissions, &token.permission_count, &err), err);
    AF_CHECK_OK(af_meta_token_new(meta, &token, NULL, &arena, &operator_secret, &err), err);
    AF_CHECK_OK(af_meta_org_drop(meta, org, &err), err);
    AF_CHECK_FAILS(ask_token(bound, &who), AF_EUNAUTH);
    AF_CHECK_OK(ask_token(operator_secret, &who), err);
    AF_CHECK(af_principal_may(&who, AF_ACTION_WRITE, "orgs", 0, 0));
    stop();
}

/* --- set-up ---------------------------------------------------------------------------------------------------------------- */

static enum af_status set_up(const char *user, const char *password, const char *token, const char **out_secret)
{
    struct af_meta_setup setup = { .user = user, .password = password, .org = "o", .bucket = "b", .token = token };
    struct af_meta_user made_user;
    struct af_meta_org made_org;
    struct af_meta_bucket made_bucket;
    struct af_meta_token made_token;
    return af_meta_setup(meta, &setup, &arena, &made_user, &made_org, &made_bucket, &made_token, out_secret, &err);
}

AF_TEST(meta_setup_is_done_once)
{
    start();
    const char *secret = NULL;
    struct af_principal who;
    AF_CHECK(!af_meta_is_set_up(meta));
    AF_CHECK_FAILS(set_up("admin", "short", NULL, &secret), AF_EINVAL);
    AF_CHECK_STR(err.message, "passwords must be between 8 and 72 characters long");
    AF_CHECK_FAILS(set_up("", "long enough", NULL, &secret), AF_EINVAL);
    AF_CHECK(!af_meta_is_set_up(meta));
    AF_CHECK_OK(set_up("admin", "long enough", "my-token", &secret), err);
    AF_CHECK_STR(secret, "my-token");
    AF_CHECK(af_meta_is_set_up(meta));
    AF_CHECK_FAILS(set_up("admin", "long enough", "my-token", &secret), AF_ECONFLICT);
    AF_CHECK_OK(ask_token("my-token", &who), err);
    AF_CHECK(af_principal_may(&who, AF_ACTION_WRITE, "users", 0, 0));
    AF_CHECK_OK(ask_password("admin", "long enough", &who), err);
    AF_CHECK(who.is_admin);
    AF_CHECK_OK(af_meta_user_drop(meta, who.user, &err), err); /* the last one, with the last token */
    again();
    AF_CHECK(af_meta_is_set_up(meta));
    AF_CHECK_FAILS(set_up("admin", "long enough", NULL, &secret), AF_ECONFLICT);
    stop();
}

AF_TEST(meta_setup_takes_what_is_there)
{
    start();
    const char *secret = NULL;
    uint64_t org = new_org("o");
    uint64_t bucket = new_bucket(org, "b");
    uint64_t user = new_user("admin", "the first", false);
    AF_CHECK_FAILS(set_up("admin", "another one", NULL, &secret), AF_ECONFLICT); /* he is not taken over */
    AF_CHECK(!af_meta_is_set_up(meta));
    AF_CHECK_OK(set_up("admin", NULL, NULL, &secret), err);
    struct af_principal who;
    AF_CHECK_OK(ask_token(secret, &who), err);
    AF_CHECK(who.user == user && who.org == org);
    struct af_meta_bucket got;
    AF_CHECK_OK(af_meta_bucket_find(meta, org, "b", &arena, &got, &err), err);
    AF_CHECK(got.id == bucket);
    AF_CHECK_OK(ask_password("admin", "the first", &who), err);
    stop();
}

/* --- the file -------------------------------------------------------------------------------------------------------------- */

static bool file_has(const char *path, const char *needle)
{
    struct af_buf bytes;
    af_buf_init(&bytes, 64 << 20);
    if (af_path_kind(path) == AF_PATH_NONE)
        return false;
    AF_CHECK_OK(af_file_read_all(path, &bytes, &err), err);
    bool has = memmem(bytes.ptr, bytes.len, needle, strlen(needle)) != NULL;
    af_buf_done(&bytes);
    return has;
}

AF_TEST(meta_no_secret_stands_in_the_file)
{
    start();
    struct af_principal who;
    const char *operator_secret = NULL;
    uint64_t id;
    AF_CHECK_OK(set_up("admin", "correct horse battery", NULL, &operator_secret), err);
    const char *secret = new_token(new_org("p"), 0, "buckets", 0, &id);
    (void)new_user("u", "tr0ub4dor&3", false);
    AF_CHECK_OK(ask_password("u", "tr0ub4dor&3", &who), err);
    const char *const secrets[] = { operator_secret, secret, "correct horse battery", "tr0ub4dor&3" };
    char path[600];
    for (int is_closed = 0; is_closed < 2; is_closed++) {
        for (size_t i = 0; i < 4; i++) {
            AF_CHECK(!file_has(file_of("catalogue"), secrets[i]));
            (void)snprintf(path, sizeof path, "%s-wal", file_of("catalogue"));
            AF_CHECK(!file_has(path, secrets[i]));
        }
        AF_CHECK(is_closed == 0 || file_has(file_of("catalogue"), "admin's Token")); /* what stands there is found */
        if (is_closed == 0)
            af_meta_close(meta);
    }
    af_arena_done(&arena);
}

AF_TEST(meta_files_that_are_damaged_newer_or_something_else_are_refused)
{
    start();
    (void)new_org("o");
    stop();
    struct af_meta *other = NULL;
    struct af_buf bytes;
    af_buf_init(&bytes, 64 << 20);
    AF_CHECK_OK(af_file_read_all(file_of("catalogue"), &bytes, &err), err);
    memcpy(bytes.ptr + 60, "\0\0\0\x63", 4); /* user_version 99 */
    AF_CHECK_OK(af_file_write_atomic(file_of("newer"), af_buf_slice(&bytes), true, &err), err);
    AF_CHECK_FAILS(af_meta_open(file_of("newer"), &other, &err), AF_EUNSUPPORTED);
    AF_CHECK(strstr(err.message, "version 99") != NULL);
    memset(bytes.ptr + 100, 0xee, bytes.len - 100);
    memcpy(bytes.ptr + 60, "\0\0\0\0", 4);
    AF_CHECK_OK(af_file_write_atomic(file_of("damaged"), af_buf_slice(&bytes), true, &err), err);
    AF_CHECK_FAILS(af_meta_open(file_of("damaged"), &other, &err), AF_ECORRUPT);
    AF_CHECK_OK(af_file_write_atomic(file_of("text"),
                                     AF_SLICE_LIT("this is a text, and it is longer than a header of one hundred bytes, for sure it is, "
                                                  "truly so"),
                                     true, &err), err);
    AF_CHECK_FAILS(af_meta_open(file_of("text"), &other, &err), AF_ECORRUPT);
    AF_CHECK(strstr(err.message, "backup") != NULL);
    AF_CHECK_FAILS(af_meta_open(file_of("no/such/dir"), &other, &err), AF_ENOTFOUND);
    AF_CHECK(other == NULL);
    af_buf_done(&bytes);
}

/* Every page of the file in turn is overwritten: what is asked answers or fails, and is never made up. */
AF_TEST(meta_a_damaged_page_is_an_error_or_nothing)
{
    enum { PAGE = 4096 };
    start();
    const char *secret = NULL;
    struct af_principal who;
    AF_CHECK_OK(set_up("admin", NULL, "a-token", &secret), err);
    stop();
    struct af_buf bytes;
    af_buf_init(&bytes, 64 << 20);
    AF_CHECK_OK(af_file_read_all(file_of("catalogue"), &bytes, &err), err);
    for (size_t at = 0; at + PAGE <= bytes.len; at += PAGE) {
        char kept[PAGE];
        memcpy(kept, bytes.ptr + at, PAGE);
        memset(bytes.ptr + at, 0x5a, PAGE);
        AF_CHECK_OK(af_file_write_atomic(file_of("broken"), af_buf_slice(&bytes), true, &err), err);
        memcpy(bytes.ptr + at, kept, PAGE);
        af_arena_init(&arena, SIZE_MAX / 2);
        if (af_meta_open(file_of("broken"), &meta, &err) == AF_OK) {
            enum af_status status = ask_token("a-token", &who);
            AF_CHECK(status == AF_OK || status == AF_ECORRUPT || status == AF_EUNAUTH);
            AF_CHECK(status != AF_OK || af_principal_may(&who, AF_ACTION_READ, "orgs", 0, 0));
            AF_CHECK(ask_token("another", &who) != AF_OK);
            af_meta_close(meta);
        }
        af_arena_done(&arena);
    }
    af_buf_done(&bytes);
}

/* --- threads and memory ---------------------------------------------------------------------------------------------------- */

enum { WORKERS = 6, ROUNDS = 30 };
struct worker {
    struct af_thread thread;
    unsigned number;
    uint64_t org;
    const char *secret;
    bool is_ok;
};

static void work(void *ctx)
{
    struct worker *w = ctx;
    struct af_arena own;
    struct af_error why = { 0 };
    bool ok = true;
    af_arena_init(&own, SIZE_MAX / 2);
    for (unsigned i = 0; i < ROUNDS && ok; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "w%u-%u", w->number, i);
        struct af_meta_bucket bucket = { .org = w->org, .name = name, .shard_ns = 1 }, found;
        struct af_principal who;
        ok = af_meta_bucket_put(meta, &bucket, true, &why) == AF_OK &&
             af_meta_bucket_find(meta, w->org, name, &own, &found, &why) == AF_OK && found.id == bucket.id &&
             af_meta_by_token(meta, af_slice_of(w->secret), &own, &who, &why) == AF_OK && who.permission_count == 2 &&
             af_meta_by_password(meta, AF_SLICE_LIT("u"), AF_SLICE_LIT("pw"), &own, &who, &why) == AF_OK;
        if (ok && i % 2 == 0)
            ok = af_meta_bucket_drop(meta, bucket.id, &why) == AF_OK;
        af_arena_reset(&own);
    }
    af_arena_done(&own);
    w->is_ok = ok;
}

AF_TEST(meta_threads_do_not_disturb_each_other)
{
    start();
    uint64_t org = new_org("o");
    uint64_t id;
    const char *secret = new_token(org, 0, "buckets", 0, &id);
    (void)new_user("u", "pw", true);
    struct af_principal who;
    AF_CHECK_OK(ask_password("u", "pw", &who), err); /* of many that come at once with a new password only a few wait */
    struct worker workers[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){ .number = i, .org = org, .secret = secret };
        AF_CHECK_OK(af_thread_start(&workers[i].thread, "meta", work, &workers[i], &err), err);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        af_thread_join(&workers[i].thread);
    for (unsigned i = 0; i < WORKERS; i++)
        AF_CHECK(workers[i].is_ok);
    struct af_meta_bucket *got = NULL;
    AF_CHECK_INT(page((struct af_meta_filter){ .org = org }, &got), WORKERS * ROUNDS / 2);
    stop();
}

AF_TEST(meta_no_memory_is_an_error_and_nothing_is_half_done)
{
    start();
    uint64_t org = new_org("o");
    uint64_t user = new_user("u", "pw", false);
    (void)new_bucket(org, "d");
    AF_CHECK_OK(af_meta_grant(meta, user, org, "d", AF_GRANT_ALL, &err), err);
    bool failed = true;
    for (unsigned nth = 1; nth < 200 && failed; nth++) {
        struct af_arena own;
        struct af_meta_dbrp *dbrps = NULL;
        struct af_meta_token token = { .org = org, .is_active = true };
        struct af_principal who;
        const char *secret = NULL;
        char name[24];
        size_t count = 0;
        (void)snprintf(name, sizeof name, "given %u", nth);
        meta_forget(meta);
        if (nth % 2 == 0)
            memset(meta->proven, 0, sizeof meta->proven);
        af_arena_init(&own, SIZE_MAX / 2);
        af_alloc_fail_nth(nth);
        enum af_status status = af_meta_all_permissions(org, &own, &token.permissions, &token.permission_count, &err);
        status = status == AF_OK ? af_meta_token_new(meta, &token, name, &own, &secret, &err) : status;
        status = status == AF_OK ? af_meta_by_token(meta, af_slice_of(name), &own, &who, &err) : status;
        status = status == AF_OK ? af_meta_by_password(meta, AF_SLICE_LIT("u"), AF_SLICE_LIT("pw"), &own, &who, &err) : status;
        status = status == AF_OK ? af_meta_dbrps(meta, org, NULL, &own, &dbrps, &count, &err) : status;
        failed = af_alloc_fail_nth(0) >= nth;
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK(failed || status == AF_OK);
        af_arena_done(&own);
    }
    AF_CHECK(!failed);
    stop();
}

/* --- what goes on by itself --------------------------------------------------------------------------------------------------------- */

static enum af_status add_query(uint64_t org, const char *database, const char *name, const char *text)
{
    struct af_meta_continuous query = { .org = org, .database = database, .name = name, .query = text };
    return af_meta_continuous_add(meta, &query, &err);
}

static size_t count_queries(uint64_t org, const char *database)
{
    struct af_meta_continuous *list;
    size_t count;
    AF_CHECK_OK(af_meta_continuous_list(meta, org, database, &arena, &list, &count, &err), err);
    for (size_t i = 1; i < count; i++)
        AF_CHECK(list[i - 1].created_ns <= list[i].created_ns);
    return count;
}

AF_TEST(meta_continuous_queries)
{
    start();
    uint64_t org = new_org("o"), other = new_org("p");
    uint64_t d = new_bucket(org, "d"), week = new_bucket(org, "d/week"), mapped = new_bucket(org, "x");
    (void)new_bucket(other, "d");
    AF_CHECK_OK(add_query(org, "d", "q", "SELECT 1"), err);
    AF_CHECK_OK(add_query(org, "d", "q", "select 1"), err); /* the same */
    AF_CHECK_FAILS(add_query(org, "d", "q", "SELECT 2"), AF_ECONFLICT);
    AF_CHECK_STR(err.message, "continuous query already exists");
    AF_CHECK_OK(add_query(org, "d", "r", "SELECT 2"), err);
    AF_CHECK_OK(add_query(other, "d", "q", "SELECT 3"), err);
    AF_CHECK_FAILS(add_query(12345, "d", "q", "SELECT 3"), AF_ENOTFOUND); /* no such organisation */
    again();
    AF_CHECK_INT(count_queries(org, "d"), 2);
    AF_CHECK_INT(count_queries(0, NULL), 3);
    AF_CHECK_OK(af_meta_continuous_drop(meta, org, "d", "r", &err), err);
    AF_CHECK_OK(af_meta_continuous_drop(meta, org, "d", "none", &err), err);
    struct af_meta_dbrp dbrp = { .org = org, .bucket = mapped, .database = "e", .policy = "p" };
    AF_CHECK_OK(af_meta_dbrp_put(meta, &dbrp, true, &err), err);
    AF_CHECK_OK(add_query(org, "e", "q", "SELECT 4"), err);
    AF_CHECK_OK(af_meta_bucket_drop(meta, d, &err), err); /* d/week is still there */
    AF_CHECK_INT(count_queries(org, "d"), 1);
    AF_CHECK_OK(af_meta_bucket_drop(meta, week, &err), err);
    AF_CHECK_INT(count_queries(org, "d"), 0);
    AF_CHECK_INT(count_queries(org, "e"), 1);
    AF_CHECK_OK(af_meta_dbrp_drop(meta, dbrp.id, &err), err);
    AF_CHECK_INT(count_queries(org, "e"), 0);
    AF_CHECK_INT(count_queries(0, NULL), 1);
    AF_CHECK_OK(af_meta_org_drop(meta, other, &err), err);
    AF_CHECK_INT(count_queries(0, NULL), 0);
    stop();
}

AF_TEST(meta_subscriptions)
{
    static const char *const urls[] = { "http://a:1", "http://b:2" };
    start();
    uint64_t org = new_org("o");
    uint64_t d = new_bucket(org, "d");
    (void)new_bucket(org, "d/week");
    struct af_meta_subscription s = { .org = org, .database = "d", .policy = "week", .name = "s", .is_all = true, .destinations = urls,
                                      .destination_count = 2 }, *list;
    size_t count;
    AF_CHECK_OK(af_meta_subscription_add(meta, &s, &err), err);
    AF_CHECK_FAILS(af_meta_subscription_add(meta, &s, &err), AF_ECONFLICT);
    s.policy = "autogen";
    s.is_all = false;
    s.destination_count = 1;
    AF_CHECK_OK(af_meta_subscription_add(meta, &s, &err), err);
    again();
    AF_CHECK_OK(af_meta_subscriptions(meta, org, "d", &arena, &list, &count, &err), err);
    AF_CHECK(count == 2 && list[0].is_all && !list[1].is_all && list[0].destination_count == 2 && list[1].destination_count == 1);
    AF_CHECK_STR(list[0].destinations[1], "http://b:2");
    AF_CHECK_STR(list[1].policy, "autogen");
    AF_CHECK_OK(af_meta_bucket_drop(meta, d, &err), err); /* the policy, and the database is still there */
    AF_CHECK_OK(af_meta_subscriptions(meta, 0, NULL, &arena, &list, &count, &err), err);
    AF_CHECK(count == 1 && strcmp(list[0].policy, "week") == 0);
    AF_CHECK_FAILS(af_meta_subscription_drop(meta, org, "d", "autogen", "s", &err), AF_ENOTFOUND);
    AF_CHECK_STR(err.message, "subscription not found");
    AF_CHECK_OK(af_meta_subscription_drop(meta, org, "d", "week", "s", &err), err);
    stop();
}

AF_TEST(meta_files_of_the_first_version_are_brought_forward)
{
    start();
    uint64_t org = new_org("o");
    (void)new_bucket(org, "d");
    AF_CHECK_OK(meta_run(meta, "DROP TRIGGER bucket_gone_standing; DROP TRIGGER dbrp_gone_standing; DROP TABLE continuous;"
                               "DROP TABLE subscription; PRAGMA user_version = 1;", &err), err);
    again();
    AF_CHECK_OK(add_query(org, "d", "q", "SELECT 1"), err);
    again();
    AF_CHECK_INT(count_queries(org, "d"), 1);
    stop();
}
