/*
 * rate.c - at most so many lines a second, over all lanes.
 *
 * A bucket with a debt: whoever comes takes all it needs and waits until the earlier takers are paid for, so a batch larger
 * than the bucket passes too, and lanes get their turns in the order they came. One number is enough: the time at
 * which everything taken is paid. Up to BURST_NS of unused allowance is kept.
 */
#include "sink/sink_int.h"

static const int64_t BURST_NS = 100 * 1000 * 1000;

int64_t af_rate_take(struct af_rate *rate, uint64_t count, int64_t now_ns)
{
    if (rate->per_s == 0)
        return 0;
    if (rate->paid_ns < now_ns - BURST_NS)
        rate->paid_ns = now_ns - BURST_NS;
    int64_t wait_ns = rate->paid_ns > now_ns ? rate->paid_ns - now_ns : 0;
    unsigned __int128 cost_ns = (unsigned __int128)count * 1000000000u / rate->per_s;
    int64_t room_ns = INT64_MAX - rate->paid_ns;
    rate->paid_ns += cost_ns < (unsigned __int128)room_ns ? (int64_t)cost_ns : room_ns;
    return wait_ns;
}
