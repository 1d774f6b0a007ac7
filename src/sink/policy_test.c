/* policy_test.c - backoff, breaker and rate under a clock that the tests turn by hand. */
#include "sink/sink_int.h"
#include "test/lib/test.h"

AF_TEST(backoff_draws_from_the_whole_range_and_doubles)
{
    struct af_prng prng = { 1 };
    uint64_t limits[] = { 100, 200, 400, 800, 1000, 1000 };
    int64_t largest[6] = { 0 };
    int64_t smallest[6] = { 0 };
    for (int round = 0; round < 2000; round++) {
        struct af_retry retry = { .first_ms = 100, .max_ms = 1000 };
        af_retry_begin(&retry, 5000);
        AF_CHECK_INT(retry.at_ms, 5000);
        for (int i = 0; i < 6; i++) {
            AF_CHECK(af_retry_failed(&retry, 5000, 0, &prng));
            int64_t pause = retry.at_ms - 5000;
            AF_CHECK(pause >= 0 && pause < (int64_t)limits[i]);
            largest[i] = pause > largest[i] ? pause : largest[i];
            smallest[i] = round == 0 || pause < smallest[i] ? pause : smallest[i];
        }
    }
    for (int i = 0; i < 6; i++) {
        AF_CHECK(largest[i] > (int64_t)limits[i] * 95 / 100);
        AF_CHECK(smallest[i] < (int64_t)limits[i] * 5 / 100);
    }
}

AF_TEST(backoff_survives_any_number_of_failures)
{
    struct af_prng prng = { 2 };
    struct af_retry retry = { .first_ms = UINT32_MAX, .max_ms = UINT32_MAX };
    af_retry_begin(&retry, 0);
    for (int i = 0; i < 200; i++) {
        AF_CHECK(af_retry_failed(&retry, i, UINT32_MAX, &prng));
        AF_CHECK(retry.at_ms >= i + (int64_t)UINT32_MAX && retry.at_ms <= i + (int64_t)UINT32_MAX);
    }
}

AF_TEST(retry_after_is_a_floor)
{
    struct af_prng prng = { 3 };
    struct af_retry retry = { .first_ms = 10, .max_ms = 10 };
    af_retry_begin(&retry, 0);
    AF_CHECK(af_retry_failed(&retry, 1000, 700, &prng));
    AF_CHECK_INT(retry.at_ms, 1700);
    AF_CHECK_INT(retry.floor_ms, 1700);
}

AF_TEST(budget_ends_with_a_last_try)
{
    struct af_prng prng = { 4 };
    struct af_retry retry = { .first_ms = 100000, .max_ms = 100000, .budget_ms = 500 };
    af_retry_begin(&retry, 1000);
    for (int i = 0; i < 20; i++) {
        retry.failures = 0;
        AF_CHECK(af_retry_failed(&retry, 1499, 0, &prng));
        AF_CHECK(retry.at_ms <= 1500);
    }
    AF_CHECK(!af_retry_failed(&retry, 1500, 0, &prng));
}

AF_TEST(budget_is_over_when_the_store_wants_a_longer_pause)
{
    struct af_prng prng = { 5 };
    struct af_retry retry = { .first_ms = 1, .max_ms = 1, .budget_ms = 500 };
    af_retry_begin(&retry, 1000);
    AF_CHECK(!af_retry_failed(&retry, 1000, 501, &prng));
    AF_CHECK_INT(retry.at_ms, 1501); /* and it is not asked before */
    af_retry_begin(&retry, 1000);
    AF_CHECK(af_retry_failed(&retry, 1000, 500, &prng));
}

AF_TEST(breaker_opens_probes_and_closes)
{
    struct af_breaker b = { .failures_max = 3, .open_ms = 100 };
    int64_t again = 0;
    for (int i = 0; i < 2; i++) {
        af_breaker_failed(&b, 1000, 0);
        AF_CHECK(af_breaker_ask(&b, 1000, &again));
    }
    af_breaker_failed(&b, 1000, 0);
    AF_CHECK(!af_breaker_ask(&b, 1099, &again));
    AF_CHECK_INT(again, 1100);
    AF_CHECK(af_breaker_ask(&b, 1100, &again));  /* the probe */
    AF_CHECK(!af_breaker_ask(&b, 1100, &again)); /* one at a time */
    AF_CHECK(again > 1100);
    af_breaker_failed(&b, 1150, 0);
    AF_CHECK(!af_breaker_ask(&b, 1249, &again));
    AF_CHECK_INT(again, 1250);
    AF_CHECK(af_breaker_ask(&b, 1250, &again));
    AF_CHECK(af_breaker_succeeded(&b));
    AF_CHECK_INT(b.closings, 1);
    for (int i = 0; i < 5; i++)
        AF_CHECK(af_breaker_ask(&b, 1250, &again));
    AF_CHECK(!af_breaker_succeeded(&b));
}

AF_TEST(breaker_counts_failures_in_a_row_only)
{
    struct af_breaker b = { .failures_max = 3, .open_ms = 100 };
    int64_t again;
    for (int i = 0; i < 10; i++) {
        af_breaker_failed(&b, i, 0);
        af_breaker_failed(&b, i, 0);
        (void)af_breaker_succeeded(&b);
        AF_CHECK(af_breaker_ask(&b, i, &again));
    }
}

AF_TEST(breaker_waits_as_long_as_the_store_asks)
{
    struct af_breaker b = { .failures_max = 1, .open_ms = 100 };
    int64_t again = 0;
    af_breaker_failed(&b, 0, 5000);
    AF_CHECK(!af_breaker_ask(&b, 4999, &again));
    AF_CHECK_INT(again, 5000);
    af_breaker_failed(&b, 10, 0); /* a request that was under way does not shorten it */
    AF_CHECK(!af_breaker_ask(&b, 4999, &again));
    AF_CHECK(af_breaker_ask(&b, 5000, &again));
}

AF_TEST(rate_holds_over_time_whatever_the_batch)
{
    struct af_rate rate = { .per_s = 1000 };
    struct af_prng prng = { 6 };
    int64_t now = INT64_C(1000000000000);
    const int64_t start = now;
    uint64_t taken = 0;
    uint64_t last = 0;
    for (int i = 0; i < 2000; i++) {
        last = 1 + af_prng_below(&prng, 900);
        now += af_rate_take(&rate, last, now); /* the caller waits */
        taken += last;
    }
    double per_s = (double)(taken - last) / ((double)(now - start) / 1e9);
    AF_CHECK(per_s > 990 && per_s < 1010);
}

AF_TEST(rate_keeps_little_of_what_was_not_used)
{
    struct af_rate rate = { .per_s = 1000 };
    AF_CHECK_INT(af_rate_take(&rate, 100, 1000000000), 0);
    AF_CHECK_INT(af_rate_take(&rate, 100, 1000000000), 0); /* 100 ms of allowance were kept */
    AF_CHECK_INT(af_rate_take(&rate, 1, 1000000000), 100000000);
    struct af_rate none = { 0 };
    AF_CHECK_INT(af_rate_take(&none, UINT64_MAX, 5), 0);
    struct af_rate slow = { .per_s = 1 };
    (void)af_rate_take(&slow, UINT64_MAX, 5);
    AF_CHECK(af_rate_take(&slow, UINT64_MAX, 5) > 0); /* no overflow */
    AF_CHECK(af_rate_take(&slow, 1, 5) > 0);
}
