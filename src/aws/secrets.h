/*
 * secrets.h - Secrets Manager: a secret kept for a while, and noticed when it was rotated.
 */
#ifndef AF_AWS_SECRETS_H
#define AF_AWS_SECRETS_H
#include "aws/aws.h"

/* A cache of secrets by name or ARN; any thread. A value is asked for again after `ttl_ms` (0: 5 minutes); while the service fails, the
 * old one goes on for a day. */
struct af_secrets;
AF_MUST_CHECK enum af_status af_secrets_open(struct af_aws *aws, uint32_t ttl_ms, struct af_secrets **out, struct af_error *err);
void af_secrets_close(struct af_secrets *secrets);
/* SecretString (AWSCURRENT) appended to `out`; wipe it. out_version (65 bytes) may be NULL: it differs after a rotation. */
AF_MUST_CHECK enum af_status af_secrets_get(struct af_secrets *secrets, const char *name, struct af_buf *out, char out_version[65],
                                            struct af_error *err);
/* What GetSecretValue polls from now on, NULL: nothing. Where one thread alone uses them. */
void af_secrets_cancel(struct af_secrets *secrets, const bool *cancel);
/* The value was refused by what it opens: ask anew the next time, whatever its age (once in ten seconds at most). */
void af_secrets_refused(struct af_secrets *secrets, const char *name);
/* The token of a secret: the string itself, or of a JSON object the member `token`, else the only text member named like one
 * (influxdb_token, INFLUXDB_TOKEN, api_token). AF_EINVAL says which members there are, never a value. */
AF_MUST_CHECK enum af_status af_secrets_token(struct af_slice secret, struct af_buf *out, struct af_error *err);
/* PutSecretValue with a client token, so that a repeated call makes no second version. */
AF_MUST_CHECK enum af_status af_secrets_put(struct af_secrets *secrets, const char *name, struct af_slice value, const char *client_token,
                                            struct af_error *err);
#endif
