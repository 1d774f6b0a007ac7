/*
 * timestream.h - Amazon Timestream: LiveAnalytics (the source that is left) and for InfluxDB (the control plane of the target).
 *
 * LiveAnalytics wants its endpoint discovered: af_timestream_discover asks, and again when the answer is old or refused.
 */
#ifndef AF_AWS_TIMESTREAM_H
#define AF_AWS_TIMESTREAM_H
#include "aws/aws.h"
#include "format/json/json.h"

/* --- LiveAnalytics: service "timestream-write" or "timestream-query" ------------------------------------------------------------- */

/* DescribeEndpoints, and the client pointed there. Nothing is asked where an endpoint is configured. */
AF_MUST_CHECK enum af_status af_timestream_discover(struct af_aws_client *client, struct af_error *err);
/* Any operation of either ("Query", "WriteRecords", ...) with a body in the service's own JSON. */
AF_MUST_CHECK enum af_status af_timestream_call(struct af_aws_client *client, const char *operation, struct af_slice body,
                                                struct af_arena *arena, const struct af_json **out, struct af_error *err);

/* --- for InfluxDB: the control plane, service "timestream-influxdb" -------------------------------------------------------------- */

/* All 24 operations: X(CreateDbInstance, "name password dbInstanceType ...") lists the members the service requires. */
enum af_tfi_operation {
#define AF_X(name, required) AF_TFI_##name,
#include "aws/tfi.def"
#undef AF_X
    AF_TFI_OPERATIONS
};
const char *af_tfi_name(enum af_tfi_operation operation);
const char *af_tfi_required(enum af_tfi_operation operation); /* names of the members that must be given, space-separated */
/* In any case of letters. AF_ENOTFOUND lists them. */
AF_MUST_CHECK enum af_status af_tfi_find(const char *name, enum af_tfi_operation *out, struct af_error *err);
/* `body`: a JSON object in the service's own members; those required are checked before anything is sent. */
AF_MUST_CHECK enum af_status af_tfi_call(struct af_aws_client *client, enum af_tfi_operation operation, struct af_slice body,
                                         struct af_arena *arena, const struct af_json **out, struct af_error *err);
/* Every page of a List operation: `each` is given each member of its list. */
AF_MUST_CHECK enum af_status af_tfi_list(struct af_aws_client *client, enum af_tfi_operation operation, struct af_slice body,
                                         enum af_status (*each)(void *ctx, const struct af_json *item, struct af_error *err), void *ctx,
                                         struct af_error *err);
/* Ask GetDbInstance (or GetDbCluster, GetDbBackup) until its status is `wanted`; a status that cannot lead there any more is AF_EIO with
 * its name. Asks every `every_ms`; `said` (may be NULL) hears each new status. */
struct af_tfi_wait {
    enum af_tfi_operation get;
    const char *identifier, *wanted;
    uint32_t every_ms;         /* 0: 10,000 */
    int64_t deadline_mono_ns;
    const bool *cancel;
    void (*said)(void *ctx, const char *status);
    void *ctx;
};
AF_MUST_CHECK enum af_status af_tfi_wait(struct af_aws_client *client, const struct af_tfi_wait *wait, struct af_error *err);
#endif
