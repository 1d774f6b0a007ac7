/*
 * sqs.h - queues (AWS JSON 1.0). A queue is named by its URL.
 */
#ifndef AF_AWS_SQS_H
#define AF_AWS_SQS_H
#include "aws/aws.h"

enum { AF_SQS_BATCH_MAX = 10, AF_SQS_BODY_BYTES_MAX = 1 << 20 /* the service takes 1 MiB since 2025 */ };

struct af_sqs_message {
    struct af_slice id;        /* message id, or what a sender calls it within a batch */
    struct af_slice body;
    struct af_slice receipt;   /* of a received one */
    uint32_t receive_count;    /* ApproximateReceiveCount */
    int64_t sent_ns;           /* SentTimestamp */
    struct af_slice reason;    /* sending: string attribute `Reason`, for dead letters; no memory: none */
    /* Sending to a queue whose name ends in .fifo: its group (no memory: one of its own, so that readers need not wait for each other) and
     * what tells that it is sent twice (no memory: made anew by each call and the same through its repetitions). */
    struct af_slice group, duplicate;
};
AF_MUST_CHECK enum af_status af_sqs_url(struct af_aws_client *client, const char *name, struct af_arena *arena, const char **out,
                                        struct af_error *err); /* GetQueueUrl */
AF_MUST_CHECK enum af_status af_sqs_send(struct af_aws_client *client, const char *queue, const struct af_sqs_message *message,
                                         uint32_t delay_s, struct af_error *err);
/* Up to AF_SQS_BATCH_MAX and 1 MiB; entries that the service refuses for its own fault are sent again, others are AF_EINVAL. */
AF_MUST_CHECK enum af_status af_sqs_send_batch(struct af_aws_client *client, const char *queue, const struct af_sqs_message *messages,
                                               size_t count, struct af_error *err);
/* Long poll of `wait_s` (0..20); *out_count 0: nothing came. Messages live in `arena`. Bodies are checked against their MD5. */
AF_MUST_CHECK enum af_status af_sqs_receive(struct af_aws_client *client, const char *queue, uint32_t max, uint32_t wait_s,
                                            uint32_t visibility_s, const bool *cancel, struct af_arena *arena,
                                            struct af_sqs_message *out, size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status af_sqs_delete(struct af_aws_client *client, const char *queue, struct af_slice receipt, struct af_error *err);
/* Visible again in `seconds` from now (0..43200): the heartbeat, and the way to give a message back.
 * AF_ENOTFOUND: it is not ours any more. */
AF_MUST_CHECK enum af_status af_sqs_visibility(struct af_aws_client *client, const char *queue, struct af_slice receipt,
                                               uint32_t seconds, struct af_error *err);
struct af_sqs_depth {
    uint64_t visible, in_flight, delayed;   /* approximate, as the service says */
    uint32_t visibility_s;                  /* the queue's default */
    uint32_t max_receives;                  /* of its redrive policy; 0: none */
    char dead_letters[512];                 /* ARN of its dead-letter queue, "" */
};
AF_MUST_CHECK enum af_status af_sqs_depth(struct af_aws_client *client, const char *queue, struct af_sqs_depth *out, struct af_error *err);
#endif
