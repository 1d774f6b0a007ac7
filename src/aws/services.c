/*
 * services.c - the services that afluxo speaks to: names, protocols, hosts.
 *
 * Source: the endpoint and protocol metadata of AWS's public service models; "AWS service endpoints" of the General Reference.
 */
#include "aws/aws_int.h"
#include "net/url.h"
#include <stdio.h>

/* AWS's worlds, told apart by how their regions begin. */
static const struct partition {
    const char *prefix, *suffix, *dual_suffix;
    const char *central;       /* where services stand that are in one region only */
} partitions[] = {
    { "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "cn-northwest-1" },
    { "us-gov-", "amazonaws.com", "api.aws", "us-gov-west-1" },
    { "eusc-", "amazonaws.eu", "api.amazonwebservices.eu", "eusc-de-east-1" },
    { "us-iso-", "c2s.ic.gov", "api.aws.ic.gov", "us-iso-east-1" },
    { "us-isob-", "sc2s.sgov.gov", "api.aws.scloud", "us-isob-east-1" },
    { "us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov", "us-isof-south-1" },
    { "eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", "eu-isoe-west-1" },
    { "", "amazonaws.com", "api.aws", "us-east-1" },
};

/* In GovCloud the usual host is the FIPS one; with dual-stack too. Global: one host for all regions of a partition. */
enum { GOV_IS_FIPS = 1, GOV_IS_FIPS_DUAL = 2, IS_CENTRAL = 4, IS_GLOBAL = 8 };
static const struct aws_service services[] = {
    /* name                  id                      host                    signed as              protocol     target, version, flags */
    { "s3",                  "S3",                   "s3",                   "s3",                  AWS_REST,    NULL, NULL, 0 },
    { "sqs",                 "SQS",                  "sqs",                  "sqs",                 AWS_JSON_10,
      "AmazonSQS", NULL, GOV_IS_FIPS },
    { "secretsmanager",      "SECRETS_MANAGER",      "secretsmanager",       "secretsmanager",      AWS_JSON_11,
      "secretsmanager", NULL, 0 },
    { "cloudwatch",          "CLOUDWATCH",           "monitoring",           "monitoring",          AWS_JSON_10,
      "GraniteServiceVersion20100801", "2010-08-01", GOV_IS_FIPS | GOV_IS_FIPS_DUAL },
    { "monitoring",          "CLOUDWATCH",           "monitoring",           "monitoring",          AWS_JSON_10,
      "GraniteServiceVersion20100801", "2010-08-01", GOV_IS_FIPS | GOV_IS_FIPS_DUAL },
    { "logs",                "CLOUDWATCH_LOGS",      "logs",                 "logs",                AWS_JSON_11,
      "Logs_20140328", NULL, GOV_IS_FIPS },
    { "sts",                 "STS",                  "sts",                  "sts",                 AWS_QUERY,
      NULL, "2011-06-15", GOV_IS_FIPS },
    { "sns",                 "SNS",                  "sns",                  "sns",                 AWS_QUERY,
      NULL, "2010-03-31", GOV_IS_FIPS },
    { "kms",                 "KMS",                  "kms",                  "kms",                 AWS_JSON_11, "TrentService", NULL, 0 },
    { "timestream-write",    "TIMESTREAM_WRITE",     "ingest.timestream",    "timestream",          AWS_JSON_10,
      "Timestream_20181101", NULL, GOV_IS_FIPS | GOV_IS_FIPS_DUAL },
    { "timestream-query",    "TIMESTREAM_QUERY",     "query.timestream",     "timestream",          AWS_JSON_10,
      "Timestream_20181101", NULL, GOV_IS_FIPS | GOV_IS_FIPS_DUAL },
    { "timestream-influxdb", "TIMESTREAM_INFLUXDB",  "timestream-influxdb",  "timestream-influxdb", AWS_JSON_10,
      "AmazonTimestreamInfluxDB", NULL, 0 },
    { "bedrock-runtime",     "BEDROCK_RUNTIME",      "bedrock-runtime",      "bedrock",             AWS_REST,    NULL, NULL, 0 },
    { "events",              "EVENTBRIDGE",          "events",               "events",              AWS_JSON_11,
      "AWSEvents", NULL, GOV_IS_FIPS | GOV_IS_FIPS_DUAL },
    { "ce",                  "COST_EXPLORER",        "ce",                   "ce",                  AWS_JSON_11,
      "AWSInsightsIndexService", NULL, IS_CENTRAL },
    { "ssm",                 "SSM",                  "ssm",                  "ssm",                 AWS_JSON_11,
      "AmazonSSM", NULL, GOV_IS_FIPS },
    { "ec2",                 "EC2",                  "ec2",                  "ec2",                 AWS_QUERY,
      NULL, "2016-11-15", GOV_IS_FIPS },
    { "iam",                 "IAM",                  "iam",                  "iam",                 AWS_QUERY,
      NULL, "2010-05-08", IS_GLOBAL },
    { "lambda",              "LAMBDA",               "lambda",               "lambda",              AWS_REST,    NULL, NULL, 0 },
};

const struct aws_service *aws_service_find(const char *name)
{
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
        if (strcmp(services[i].name, name) == 0)
            return &services[i];
    return NULL;
}

static const struct partition *partition_of(const char *region)
{
    const struct partition *p = partitions;
    while (strncmp(region, p->prefix, strlen(p->prefix)) != 0)
        p++; /* the last one takes any */
    return p;
}

const char *aws_suffix(const char *region)
{
    return partition_of(region)->suffix;
}

/* IAM is one in a partition, and its hosts follow no rule. */
static const struct global {
    const char *prefix, *region;
    const char *hosts[4];          /* usual, dual-stack, FIPS, both */
} globals[] = {
    { "cn-", "cn-north-1", { "iam.cn-north-1.amazonaws.com.cn", "iam.global.api.amazonwebservices.com.cn", "iam-fips.amazonaws.com.cn",
                             "iam-fips.api.amazonwebservices.com.cn" } },
    { "us-gov-", "us-gov-west-1", { "iam.us-gov.amazonaws.com", "iam.us-gov.api.aws", "iam.us-gov.amazonaws.com", "iam.us-gov.api.aws" } },
    { "eusc-", "eusc-de-east-1", { "iam.eusc-de-east-1.amazonaws.eu", "iam.global.api.amazonwebservices.eu", "iam-fips.amazonaws.eu",
                                   "iam-fips.api.amazonwebservices.eu" } },
    { "us-iso-", "us-iso-east-1", { "iam.us-iso-east-1.c2s.ic.gov", "iam.api.aws.ic.gov", "iam-fips.us-iso-east-1.c2s.ic.gov",
                                    "iam-fips.api.aws.ic.gov" } },
    { "us-isob-", "us-isob-east-1", { "iam.us-isob-east-1.sc2s.sgov.gov", "iam.api.aws.scloud", "iam-fips.us-isob-east-1.sc2s.sgov.gov",
                                      "iam-fips.api.aws.scloud" } },
    { "us-isof-", "us-isof-south-1", { "iam.us-isof-south-1.csp.hci.ic.gov", "iam.api.aws.hci.ic.gov", "iam-fips.csp.hci.ic.gov",
                                       "iam-fips.api.aws.hci.ic.gov" } },
    { "eu-isoe-", "eu-isoe-west-1", { "iam.eu-isoe-west-1.cloud.adc-e.uk", "iam.api.cloud-aws.adc-e.uk", "iam-fips.cloud.adc-e.uk",
                                      "iam-fips.api.cloud-aws.adc-e.uk" } },
    { "", "us-east-1", { "iam.amazonaws.com", "iam.global.api.aws", "iam-fips.amazonaws.com", "iam-fips.global.api.aws" } },
};

static const struct global *global_of(const char *region)
{
    const struct global *g = globals;
    while (strncmp(region, g->prefix, strlen(g->prefix)) != 0)
        g++;
    return g;
}

const char *aws_service_region(const struct aws_service *service, const char *region)
{
    if ((service->flags & IS_GLOBAL) != 0)
        return global_of(region != NULL ? region : "")->region;
    if ((service->flags & IS_CENTRAL) != 0)
        return partition_of(region != NULL ? region : "")->central;
    return region == NULL && strcmp(service->name, "sts") == 0 ? "us-east-1" : region; /* roles are the same everywhere */
}

/* The endpoint as somebody set it, most particular first; NULL: nobody did. */
static const char *configured(struct af_aws *aws, const struct aws_service *service)
{
    char name[96], section[512];
    if (aws->options.endpoint_url != NULL)
        return aws->options.endpoint_url;
    if (aws_flag(aws, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls"))
        return NULL;
    (void)snprintf(name, sizeof name, "AWS_ENDPOINT_URL_%s", service->id);
    const char *url = af_aws_variable(aws, name);
    if (url == NULL)
        url = af_aws_variable(aws, "AWS_ENDPOINT_URL");
    const char *list = aws_profile_setting(aws, aws->profile, "services");
    if (url == NULL && list != NULL) {
        size_t len = 0;
        for (const char *c = service->id; *c != '\0' && len + 16 < sizeof name; c++)
            name[len++] = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        (void)snprintf(name + len, sizeof name - len, ".endpoint_url");
        (void)snprintf(section, sizeof section, "services %s", list);
        url = aws_setting(aws, section, name);
    }
    return url != NULL ? url : aws_profile_setting(aws, aws->profile, "endpoint_url");
}

static void own_endpoint(const struct af_aws *aws, const struct aws_service *service, const char *region, struct af_buf *out)
{
    if ((service->flags & IS_GLOBAL) != 0) {
        af_buf_printf(out, "https://%s", global_of(region)->hosts[(aws->use_fips ? 2 : 0) + (aws->use_dualstack ? 1 : 0)]);
        return;
    }
    const struct partition *p = partition_of(region);
    unsigned same = aws->use_dualstack ? GOV_IS_FIPS_DUAL : GOV_IS_FIPS;
    bool has_usual = strcmp(p->prefix, "us-gov-") == 0 && (service->flags & same) != 0;
    const char *fips = aws->use_fips && !has_usual ? "-fips" : "";
    bool is_first = strcmp(p->dual_suffix, "api.aws") == 0 || strncmp(p->prefix, "cn-", 3) == 0;
    bool is_timestream = strcmp(service->signing, "timestream") == 0 && strcmp(p->dual_suffix, "api.aws") == 0;
    if (!aws->use_dualstack || (is_first && strcmp(service->name, "secretsmanager") == 0)) /* whose usual host has both */
        af_buf_printf(out, "https://%s%s.%s.%s", service->host, fips, region, p->suffix);
    else if (strcmp(service->name, "s3") == 0)
        af_buf_printf(out, "https://s3%s.dualstack.%s.%s", fips, region, p->suffix);
    else if (is_timestream) /* "ingest.timestream" is timestream-ingest there */
        af_buf_printf(out, "https://timestream-%.*s%s.%s.api.aws", (int)strcspn(service->host, "."), service->host, fips, region);
    else
        af_buf_printf(out, "https://%s%s.%s.%s", service->host, fips, region, p->dual_suffix);
}

enum af_status aws_endpoint(struct af_aws *aws, const struct aws_service *service, const char *region, struct af_buf *out, bool *out_is_own,
                            struct af_error *err)
{
    const char *url = configured(aws, service);
    *out_is_own = url == NULL;
    if (url == NULL) {
        own_endpoint(aws, service, region, out);
        return af_buf_check(out, "an endpoint", err);
    }
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    if (!af_url_is_http(url))
        return af_fail(err, AF_EINVAL, "the endpoint of %s is no http:// or https:// URL: %.200s", service->name, url);
    af_buf_append(out, url, len);
    return af_buf_check(out, "an endpoint", err);
}
