/* first_test.c - who goes alone and who goes along, and that nobody waits for ever. */
#include "base/alloc.h"
#include "os/clock.h"
#include "remote/remote_int.h"
#include "test/lib/test.h"
#include <stdatomic.h>
#include <stdio.h>

static struct af_error err;

static struct af_write lines_of(const char *lines, int64_t precision_ns)
{
    return (struct af_write){ .lines = af_slice_of(lines), .line_count = 1, .precision_ns = precision_ns };
}

/* How many weeks the write is the first to reach. */
static size_t enter(struct remote_first *first, struct remote_weeks *weeks, const char *lines, int64_t precision_ns)
{
    struct af_write write = lines_of(lines, precision_ns);
    AF_CHECK_OK(remote_first_enter(first, &write, weeks, &err), err);
    return weeks->count;
}

AF_TEST(a_week_is_reached_once)
{
    struct remote_first first;
    struct remote_weeks weeks = { 0 };
    remote_first_init(&first);
    AF_CHECK_INT(enter(&first, &weeks, "m v=1 1700000000\nm v=2 1700003600\nm v=3 1600000000\nm v=4 1700000000\n", 1000000000), 2);
    AF_CHECK(first.is_taken);
    remote_first_leave(&first, &weeks, false); /* not answered: still unknown */
    AF_CHECK_INT(enter(&first, &weeks, "m v=1 1700000000000\nm v=3 1600000000000", 1000000), 2);
    remote_first_leave(&first, &weeks, true);
    AF_CHECK_INT(enter(&first, &weeks, "m v=1 1600000000000000000\n", 1), 0);
    AF_CHECK(!first.is_taken);
    remote_first_leave(&first, &weeks, true);
    AF_CHECK_INT(enter(&first, &weeks, "m v=1 1650000000000000000\nm v=1 1600000000000000000\n", 1), 1);
    remote_first_leave(&first, &weeks, true);
    AF_CHECK_INT(first.known.count, 3);
    remote_first_done(&first);
}

AF_TEST(weeks_begin_on_monday)
{
    struct remote_first first;
    struct remote_weeks weeks = { 0 };
    remote_first_init(&first);
    /* 1970-01-04 is a Sunday, 1970-01-05 a Monday; 1969-12-29 as well */
    AF_CHECK_INT(enter(&first, &weeks, "m v=1 0\nm v=1 345599999999999\nm v=1 -259200000000000\n", 1), 1);
    remote_first_leave(&first, &weeks, true);
    AF_CHECK_INT(enter(&first, &weeks, "m v=1 345600000000000\n", 1), 1);
    remote_first_leave(&first, &weeks, true);
    AF_CHECK_INT(enter(&first, &weeks, "m v=1 -259200000000001\n", 1), 1);
    remote_first_leave(&first, &weeks, true);
    remote_first_done(&first);
}

AF_TEST(odd_lines_do_no_harm)
{
    static const char *const odd[] = { "", "\n", "m v=1\n", "m v=1 x\n", "m v=\"a\nb\" 5\n", "99999999999999999999 99999999999999999999\n",
                                       "m v=1 9223372036854775807\nm v=1 -9223372036854775808\n", " ", "7" };
    struct remote_first first;
    struct remote_weeks weeks = { 0 };
    remote_first_init(&first);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        AF_CHECK(enter(&first, &weeks, odd[i], 1000) <= 2);
        remote_first_leave(&first, &weeks, true);
    }
    AF_CHECK(!first.is_taken);
    remote_first_done(&first);
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

enum { THREADS = 4, ROUNDS = 200 };

struct race {
    struct remote_first first;
    _Atomic int pioneers;
    _Atomic int most;
    _Atomic int reached;
};

static void racer(void *ctx)
{
    struct race *race = ctx;
    for (int i = 0; i < ROUNDS; i++) {
        char line[64];
        struct remote_weeks weeks = { 0 };
        struct af_error error;
        snprintf(line, sizeof line, "m v=1 %lld\n", (long long)i * 7 * 86400);
        struct af_write write = lines_of(line, 1000000000);
        if (remote_first_enter(&race->first, &write, &weeks, &error) != AF_OK)
            return;
        if (weeks.count > 0) {
            int now = atomic_fetch_add(&race->pioneers, 1) + 1;
            if (now > atomic_load(&race->most))
                atomic_store(&race->most, now);
            atomic_fetch_add(&race->reached, 1);
            atomic_fetch_sub(&race->pioneers, 1);
        }
        remote_first_leave(&race->first, &weeks, true);
    }
}

AF_TEST(one_goes_first_and_each_week_has_one)
{
    struct race race = { 0 };
    struct af_thread threads[THREADS] = { 0 };
    remote_first_init(&race.first);
    for (int i = 0; i < THREADS; i++)
        AF_CHECK_OK(af_thread_start(&threads[i], "racer", racer, &race, &err), err);
    for (int i = 0; i < THREADS; i++)
        af_thread_join(&threads[i]);
    AF_CHECK_INT(race.most, 1);
    AF_CHECK_INT(race.reached, ROUNDS);
    AF_CHECK_INT(race.first.known.count, ROUNDS);
    remote_first_done(&race.first);
}

AF_TEST(who_waits_can_be_cancelled)
{
    static const bool yes = true;
    struct remote_first first;
    struct remote_weeks held = { 0 };
    struct remote_weeks weeks = { 0 };
    remote_first_init(&first);
    AF_CHECK_INT(enter(&first, &held, "m v=1 1\n", 1), 1);
    struct af_write write = lines_of("m v=1 1000000000000000000\n", 1);
    write.cancel = &yes;
    AF_CHECK_FAILS(remote_first_enter(&first, &write, &weeks, &err), AF_ECANCELED);
    remote_first_leave(&first, &weeks, false);
    AF_CHECK(first.is_taken);
    remote_first_leave(&first, &held, true);
    AF_CHECK(!first.is_taken);
    remote_first_done(&first);
}

AF_TEST(first_writes_survive_every_failed_allocation)
{
    static const char lines[] = "m v=1 1\nm v=1 1000000000000000000\n";
    size_t failures = 0;
    enum af_status status = AF_ENOMEM;
    for (size_t n = 1; n < 10; n++) {
        struct remote_first first;
        struct remote_weeks weeks = { 0 };
        struct af_write write = lines_of(lines, 1);
        remote_first_init(&first);
        af_alloc_fail_nth(n);
        status = remote_first_enter(&first, &write, &weeks, &err);
        remote_first_leave(&first, &weeks, true);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK(!first.is_taken);
        failures += status != AF_OK || first.known.count != 2;
        remote_first_done(&first);
    }
    AF_CHECK_INT(status, AF_OK);
    AF_CHECK_INT(failures, 2);
}
