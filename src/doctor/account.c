/* account.c - AWS: whose credentials, which region, which account, where requests go. */
#include "aws/sts.h"
#include "base/calendar.h"
#include "codec/digest.h"
#include "doctor/doctor_int.h"
#include "os/clock.h"
#include <inttypes.h>
#include <stdio.h>

void doctor_cloud_done(struct doctor_cloud *cloud)
{
    struct af_aws_client *const clients[] = { cloud->sts, cloud->tfi, cloud->ec2, cloud->iam, cloud->metrics, cloud->sqs, cloud->lambda };
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++)
        af_aws_client_free(clients[i]);
    af_aws_close(cloud->aws);
}

enum af_status doctor_client(struct doctor *doctor, const char *service, struct af_aws_client **client, struct af_error *err)
{
    return *client != NULL ? AF_OK : af_aws_client_new(doctor->cloud.aws, service, client, err);
}

void doctor_call_failed(struct af_doctor_finding *finding, const struct af_error *err, const char *right)
{
    if (err->status == AF_EDENIED) {
        doctor_skip(finding, "it needs the right %s", right);
        doctor_advise(finding, "AWS says: %.500s", err->message);
        return;
    }
    if (err->status == AF_EBUSY) {
        doctor_skip(finding, "AWS had no time for the question: ask again in a minute");
        return;
    }
    doctor_fail(finding, "%s", err->message);
    if (err->status == AF_EIO)
        doctor_advise(finding, "a network without internet reaches AWS through endpoints of its VPC: is there one for this service?");
}

/* A request that stands still is given up; the doctor does not wait for what AWS's own tools would. */
static void check_credentials(struct doctor *d, struct af_doctor_finding *f)
{
    struct af_aws_options options = *d->options->aws;
    struct af_aws_credentials credentials;
    struct af_error err = { 0 };
    options.max_attempts = 2;
    options.http.connect_timeout_ms = options.http.stall_timeout_ms = options.http.total_timeout_ms = d->limit_ms;
    if (af_aws_open(&options, &d->cloud.aws, &err) != AF_OK) {
        doctor_fail(f, "%s", err.message);
        doctor_advise(f, "see docs/aws.md: which files and variables are read");
        return;
    }
    if (af_aws_credentials_get(d->cloud.aws, &credentials, &err) != AF_OK) {
        doctor_fail(f, "%s", err.message);
        doctor_advise(f, "aws configure, aws sso login, AWS_PROFILE; on an instance or in a function: its role");
        return;
    }
    char left[32];
    const int64_t left_ns = credentials.expires_ns - af_clock_now_ns();
    if (credentials.expires_ns == 0)
        doctor_ok(f, "from %s; they do not expire", credentials.source);
    else
        doctor_say(f, doctor_judge_credentials(left_ns), "from %s; they expire %s %s", credentials.source, left_ns > 0 ? "in" : "since",
                   doctor_span(left, left_ns / AF_NS_PER_S));
    if (f->state != AF_DOCTOR_OK)
        doctor_advise(f, "renew them before a long run; those of a role or of single sign-on renew themselves");
    af_wipe(&credentials, sizeof credentials);
}

static void check_region(struct doctor *d, struct af_doctor_finding *f)
{
    struct af_error err = { 0 };
    if (af_aws_region(d->cloud.aws, &d->cloud.region, &err) == AF_OK) {
        doctor_ok(f, "%s", d->cloud.region);
        return;
    }
    doctor_fail(f, "%s", err.message);
    doctor_advise(f, "--region NAME, or AWS_REGION");
}

static void check_identity(struct doctor *d, struct af_doctor_finding *f)
{
    struct af_sts_identity who;
    struct af_error err = { 0 };
    enum af_status status = doctor_client(d, "sts", &d->cloud.sts, &err);
    if (status == AF_OK)
        status = af_sts_identity(d->cloud.sts, &who, &err);
    if (status == AF_OK) {
        (void)snprintf(d->cloud.account, sizeof d->cloud.account, "%s", who.account);
        doctor_ok(f, "account %s, %.400s", who.account, who.arn);
        return;
    }
    doctor_fail(f, "%s", err.message);
    doctor_advise(f, status == AF_EIO ? "STS is not reached: no internet, or no endpoint of the VPC for it"
                                      : "the credentials are wrong, deleted or expired");
}

/* A signature must be no older than five minutes; requests that are refused for it are corrected here, those of others are not. */
static void check_clock(struct doctor *d, struct af_doctor_finding *f)
{
    static const struct af_aws_pair query[] = { { AF_SLICE_LIT("Action"), AF_SLICE_LIT("GetCallerIdentity") },
                                                { AF_SLICE_LIT("Version"), AF_SLICE_LIT("2011-06-15") } };
    const struct af_aws_request request = { .method = "GET", .path = AF_SLICE_LIT("/"), .query = query, .query_count = 2 };
    struct af_aws_answer answer;
    struct af_error err = { 0 };
    af_aws_answer_init(&answer);
    const int64_t begun_ns = af_clock_now_ns();
    const enum af_status status = af_aws_send(d->cloud.sts, &request, &answer, &err);
    const int64_t asked_ns = begun_ns + (af_clock_now_ns() - begun_ns) / 2, date_ns = answer.http.date_ns;
    af_aws_answer_done(&answer);
    if (status != AF_OK || date_ns == 0) {
        doctor_skip(f, "%s", status != AF_OK ? err.message : "AWS's answer has no date");
        return;
    }
    doctor_compare_clocks(f, asked_ns, date_ns, "AWS's");
}

/* Services that are sent elsewhere than to AWS's own hosts. */
static void check_endpoints(struct doctor *d, struct af_doctor_finding *f)
{
    struct doctor_cloud *c = &d->cloud;
    struct { const char *name; struct af_aws_client **client; } const services[] = {
        { "sts", &c->sts }, { "timestream-influxdb", &c->tfi }, { "monitoring", &c->metrics }, { "sqs", &c->sqs }, { "ec2", &c->ec2 },
        { "iam", &c->iam }, { "lambda", &c->lambda },
    };
    enum { COUNT = sizeof services / sizeof services[0] };
    size_t others = 0;
    const char *first = "", *url = "";
    struct af_error err = { 0 };
    for (size_t i = 0; i < COUNT; i++) {
        if (doctor_client(d, services[i].name, services[i].client, &err) != AF_OK) {
            doctor_fail(f, "%s", err.message);
            return;
        }
        if (af_aws_client_is_own(*services[i].client))
            continue;
        if (others++ == 0) {
            first = services[i].name;
            url = af_aws_client_url(*services[i].client);
        }
    }
    if (others == 0) {
        doctor_ok(f, "AWS's own");
        return;
    }
    doctor_warn(f, "%zu of %d services looked at are sent elsewhere: %s to %.300s", others, COUNT, first, url);
    doctor_advise(f, "--endpoint-url, AWS_ENDPOINT_URL... or endpoint_url of the profile say so; take them away unless they are meant");
}

#define GROUP "AWS"
const struct doctor_row doctor_account[] = {
    { GROUP, "credentials", NULL, doctor_has_cloud, check_credentials },
    { GROUP, "region", "credentials", doctor_has_cloud, check_region },
    { GROUP, "identity", "region", doctor_has_cloud, check_identity },
    { GROUP, "AWS's clock", "identity", doctor_has_cloud, check_clock },
    { GROUP, "endpoints", "region", doctor_has_cloud, check_endpoints },
    { NULL, NULL, NULL, NULL, NULL },
};
