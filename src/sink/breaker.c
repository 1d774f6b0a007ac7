/*
 * breaker.c - stop asking a store that does not answer.
 *
 *              failures_max in a row
 *     closed ------------------------> open --- open_ms later: one probe ---> half open
 *        ^                              ^                                        | |
 *        |                              '------------- the probe failed ---------' |
 *        '--------------------------------- any request succeeded -----------------'
 *
 * Over all lanes: a store that refuses one connection refuses the others. Not thread-safe by itself.
 */
#include "sink/sink_int.h"

bool af_breaker_ask(struct af_breaker *breaker, int64_t now_ms, int64_t *out_again_ms)
{
    if (!breaker->is_open)
        return true;
    if (breaker->is_probing || now_ms < breaker->probe_at_ms) {
        *out_again_ms = breaker->is_probing ? now_ms + breaker->open_ms : breaker->probe_at_ms;
        return false;
    }
    breaker->is_probing = true;
    return true;
}

bool af_breaker_succeeded(struct af_breaker *breaker)
{
    bool was_open = breaker->is_open;
    breaker->failures = 0;
    breaker->is_open = false;
    breaker->is_probing = false;
    breaker->closings += was_open;
    return was_open;
}

void af_breaker_failed(struct af_breaker *breaker, int64_t now_ms, uint32_t retry_after_ms)
{
    if (breaker->failures < UINT32_MAX)
        breaker->failures++;
    if (breaker->failures < breaker->failures_max)
        return;
    breaker->is_open = true;
    breaker->is_probing = false;
    int64_t at = now_ms + (retry_after_ms > breaker->open_ms ? retry_after_ms : breaker->open_ms);
    if (at > breaker->probe_at_ms)
        breaker->probe_at_ms = at;
}
