/*
 * kms.h - data keys: made under a key of KMS, opened again (AWS JSON 1.1).
 */
#ifndef AF_AWS_KMS_H
#define AF_AWS_KMS_H
#include "aws/aws.h"

enum { AF_KMS_DATA_KEY_BYTES = 32, AF_KMS_BLOB_BYTES_MAX = 6144 };
struct af_kms_data_key {
    uint8_t plain[AF_KMS_DATA_KEY_BYTES];    /* wipe it */
    uint8_t sealed[AF_KMS_BLOB_BYTES_MAX];   /* to be kept beside what it encrypts */
    size_t sealed_len;
    char key_id[2049];                       /* ARN */
};
/* `context`: encryption context, the same must be given to open it; JSON object or no memory. */
AF_MUST_CHECK enum af_status af_kms_data_key(struct af_aws_client *client, const char *key_id, struct af_slice context,
                                             struct af_kms_data_key *out, struct af_error *err);
/* Fills `plain` and `key_id` from `sealed`. */
AF_MUST_CHECK enum af_status af_kms_open(struct af_aws_client *client, struct af_slice context, struct af_kms_data_key *key,
                                         struct af_error *err);
/* Enabled, or what else (DescribeKey's KeyState). */
AF_MUST_CHECK enum af_status af_kms_state(struct af_aws_client *client, const char *key_id, char out_state[32], struct af_error *err);
#endif
