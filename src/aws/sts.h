/*
 * sts.h - who am I, and roles assumed (query protocol).
 */
#ifndef AF_AWS_STS_H
#define AF_AWS_STS_H
#include "aws/aws.h"

struct af_sts_identity {
    char account[32];
    char arn[2049];
    char user_id[256];
};
AF_MUST_CHECK enum af_status af_sts_identity(struct af_aws_client *client, struct af_sts_identity *out, struct af_error *err);
struct af_sts_role {
    const char *role_arn, *session_name;  /* session_name NULL: made */
    const char *external_id;              /* may be NULL */
    uint32_t duration_s;                  /* 0: the service's hour */
    struct af_slice web_identity;         /* AssumeRoleWithWebIdentity, which needs no credentials; no memory: AssumeRole */
};
AF_MUST_CHECK enum af_status af_sts_assume(struct af_aws_client *client, const struct af_sts_role *role, struct af_aws_credentials *out,
                                           struct af_error *err);
#endif
