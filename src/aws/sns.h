/*
 * sns.h - a message to a topic (query protocol).
 */
#ifndef AF_AWS_SNS_H
#define AF_AWS_SNS_H
#include "aws/aws.h"

AF_MUST_CHECK enum af_status af_sns_publish(struct af_aws_client *client, const char *topic_arn, const char *subject /* or NULL */,
                                            struct af_slice message, struct af_error *err);
#endif
