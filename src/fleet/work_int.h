/* work_int.h - what a worker's loop (work.c) and what goes on beside it (beat.c) share. */
#ifndef AF_FLEET_WORK_INT_H
#define AF_FLEET_WORK_INT_H
#include "fleet/fleet_int.h"
#include "os/thread.h"

struct fleet_beats {
    const char *queue;
    struct af_s3 *s3;
    struct af_aws_client *sqs;      /* the thread's */
    uint32_t visibility_s;
    struct af_thread thread;
    struct af_mutex lock;
    struct af_cond cond;
    /* under lock */
    bool is_over, is_calling;
    struct af_slice receipt;        /* of the message at hand; no memory: none */
    int64_t next_extension_ns, next_beat_ns; /* monotonic */
    struct fleet_place place;
    struct fleet_beat beat;         /* run "": no journal yet */
    struct af_error trouble;        /* messages may not be extended at all */
};
AF_MUST_CHECK enum af_status fleet_beats_begin(struct fleet_beats *b, const struct af_fleet_worker *worker, const char *name,
                                               uint32_t visibility_s, struct af_error *err);
void fleet_beats_end(struct fleet_beats *b); /* says goodbye; after a failed begin nothing */
/* The message at hand, until release: its receipt lives so long. task NULL: it is none. */
void fleet_beats_hold(struct fleet_beats *b, struct af_slice receipt, const struct af_fleet_task *task,
                      const struct af_fleet_totals *totals);
/* Afterwards no extension of it is on its way. */
void fleet_beats_release(struct fleet_beats *b, const struct af_fleet_totals *totals);
/* Trouble of the thread that ends the worker. */
AF_MUST_CHECK enum af_status fleet_beats_check(struct fleet_beats *b, struct af_error *err);
#endif
