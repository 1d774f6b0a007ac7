/* sqs_int.h - sqs.c's own, for its tests: where a queue's URL points, and what is taken from answers. */
#ifndef AF_AWS_SQS_INT_H
#define AF_AWS_SQS_INT_H
#include "aws/call.h"
#include "aws/sqs.h"

struct sqs_place {
    char base[256];    /* https://host:port */
    char region[32];   /* "": the host does not say */
};
/* AF_EINVAL: no URL of a queue. */
AF_MUST_CHECK enum af_status sqs_place(const char *queue, struct sqs_place *out, struct af_error *err);
AF_MUST_CHECK enum af_status sqs_take_messages(const struct aws_call *call, uint32_t max, struct af_arena *arena,
                                               struct af_sqs_message *out,
                                               size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status sqs_take_depth(struct aws_call *call, struct af_sqs_depth *out, struct af_error *err);
#endif
