/* timestream_int.h - timestream.c's own, for its tests, whose endpoint is always a configured one. */
#ifndef AF_AWS_TIMESTREAM_INT_H
#define AF_AWS_TIMESTREAM_INT_H
#include "aws/timestream.h"

/* af_timestream_call; `finds_place`: the endpoint is asked for. */
AF_MUST_CHECK enum af_status timestream_call(struct af_aws_client *client, const char *operation, struct af_slice body, bool finds_place,
                                             struct af_arena *arena, const struct af_json **out, struct af_error *err);
#endif
