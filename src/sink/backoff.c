/*
 * backoff.c - how long to wait between the tries of one batch.
 *
 *     try n failed at t:   at = max(t + Retry-After, t + random [0, 1) * min(max, first * 2^n))      "full jitter"
 *
 * The whole range down to 0 is drawn from, since many senders that wait nearly the same time come back together. The
 * last try is made when the budget ends; a pause that the store asked for and that ends later is not cut short, the
 * budget is over at once.
 */
#include "sink/sink_int.h"

void af_retry_begin(struct af_retry *retry, int64_t now_ms)
{
    retry->failures = 0;
    retry->end_ms = retry->budget_ms != 0 ? now_ms + retry->budget_ms : INT64_MAX;
    retry->floor_ms = now_ms;
    retry->at_ms = now_ms;
}

bool af_retry_failed(struct af_retry *retry, int64_t now_ms, uint32_t retry_after_ms, struct af_prng *prng)
{
    uint64_t pause_max = retry->failures < 32 ? (uint64_t)retry->first_ms << retry->failures : UINT64_MAX;
    if (pause_max > retry->max_ms)
        pause_max = retry->max_ms;
    int64_t at = now_ms + (int64_t)(af_prng_unit(prng) * (double)pause_max);
    retry->floor_ms = now_ms + retry_after_ms;
    retry->at_ms = at > retry->floor_ms ? at : retry->floor_ms;
    if (retry->failures < UINT32_MAX)
        retry->failures++;
    if (now_ms >= retry->end_ms || retry->floor_ms > retry->end_ms)
        return false;
    if (retry->at_ms > retry->end_ms)
        retry->at_ms = retry->end_ms;
    return true;
}
