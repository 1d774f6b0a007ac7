/*
 * services.c - the services that afluxo speaks to: names, protocols, hosts.
 *
 * Source: the endpoint and protocol metadata of AWS's public service models; "AWS service endpoints" of the General Reference.
 */
#include "aws/aws_int.h"
#include "net/url.h"
#include <stdio.h>

static const struct aws_service services[] = {
    /* name                  id                      host                    signed as              protocol     target or version */
    { "s3",                  "S3",                   "s3",                   "s3",                  AWS_REST,    NULL, NULL, NULL },
    { "sqs",                 "SQS",                  "sqs",                  "sqs",                 AWS_JSON_10, "AmazonSQS", NULL, NULL },
    { "secretsmanager",      "SECRETS_MANAGER",      "secretsmanager",       "secretsmanager",      AWS_JSON_11, "secretsmanager", NULL,
      NULL },
    { "cloudwatch",          "CLOUDWATCH",           "monitoring",           "monitoring",          AWS_JSON_10,
      "GraniteServiceVersion20100801",
      "2010-08-01", NULL },
    { "monitoring",          "CLOUDWATCH",           "monitoring",           "monitoring",          AWS_JSON_10,
      "GraniteServiceVersion20100801",
      "2010-08-01", NULL },
    { "logs",                "CLOUDWATCH_LOGS",      "logs",                 "logs",                AWS_JSON_11, "Logs_20140328", NULL,
      NULL },
    { "sts",                 "STS",                  "sts",                  "sts",                 AWS_QUERY,   NULL, "2011-06-15", NULL },
    { "sns",                 "SNS",                  "sns",                  "sns",                 AWS_QUERY,   NULL, "2010-03-31", NULL },
    { "kms",                 "KMS",                  "kms",                  "kms",                 AWS_JSON_11, "TrentService", NULL,
      NULL },
    { "timestream-write",    "TIMESTREAM_WRITE",     "ingest.timestream",    "timestream",          AWS_JSON_10, "Timestream_20181101",
      NULL, NULL },
    { "timestream-query",    "TIMESTREAM_QUERY",     "query.timestream",     "timestream",          AWS_JSON_10, "Timestream_20181101",
      NULL, NULL },
    { "timestream-influxdb", "TIMESTREAM_INFLUXDB",  "timestream-influxdb",  "timestream-influxdb", AWS_JSON_10, "AmazonTimestreamInfluxDB",
      NULL, NULL },
    { "bedrock-runtime",     "BEDROCK_RUNTIME",      "bedrock-runtime",      "bedrock",             AWS_REST,    NULL, NULL, NULL },
    { "events",              "EVENTBRIDGE",          "events",               "events",              AWS_JSON_11, "AWSEvents", NULL, NULL },
    { "ce",                  "COST_EXPLORER",        "ce",                   "ce",                  AWS_JSON_11, "AWSInsightsIndexService",
      NULL,
      "us-east-1" },
    { "ssm",                 "SSM",                  "ssm",                  "ssm",                 AWS_JSON_11, "AmazonSSM", NULL, NULL },
};

const struct aws_service *aws_service_find(const char *name)
{
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
        if (strcmp(services[i].name, name) == 0)
            return &services[i];
    return NULL;
}

const char *aws_suffix(const char *region)
{
    return strncmp(region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
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
    const char *fips = aws->use_fips ? "-fips" : "";
    bool is_china = strncmp(region, "cn-", 3) == 0;
    if (!aws->use_dualstack)
        af_buf_printf(out, "https://%s%s.%s.%s", service->host, fips, region, aws_suffix(region));
    else if (strcmp(service->name, "s3") == 0)
        af_buf_printf(out, "https://s3%s.dualstack.%s.%s", fips, region, aws_suffix(region));
    else if (strcmp(service->name, "secretsmanager") == 0) /* the usual host has both */
        af_buf_printf(out, "https://%s%s.%s.%s", service->host, fips, region, aws_suffix(region));
    else if (strncmp(service->name, "timestream-", 11) == 0 && strcmp(service->signing, "timestream") == 0)
        af_buf_printf(out, "https://timestream-%.*s%s.%s.api.aws", (int)strcspn(service->host, "."), service->host, fips, region);
    else
        af_buf_printf(out, "https://%s%s.%s.%s", service->host, fips, region, is_china ? "api.amazonwebservices.com.cn" : "api.aws");
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
