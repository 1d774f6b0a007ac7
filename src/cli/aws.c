/*
 * aws.c - `afluxo aws ...`: who am I, the control plane of Timestream for InfluxDB, calls of Timestream, metrics, queues.
 *
 *     whoami                              credentials (where from), account, arn, region, endpoint
 *     influxdb OPERATION [JSON|-]         one of the 24 operations; --wait STATUS until it is so
 *     timestream write|query OPERATION [JSON|-]
 *     metrics put|get|list NAMESPACE ...
 *     queue depth|peek QUEUE
 *
 * What a service answers goes to standard output as JSON, words to standard error.
 */
#include "aws/aws.h"
#include "aws/cloudwatch.h"
#include "aws/sqs.h"
#include "aws/sts.h"
#include "aws/timestream.h"
#include "base/calendar.h"
#include "base/numbers.h"
#include "cli/cli.h"
#include "codec/digest.h"
#include "os/clock.h"
#include "os/file.h"
#include <inttypes.h>

enum { BODY_BYTES_MAX = 16 << 20, ARENA_BYTES_MAX = 256 << 20, PERIOD_S = 60, WAIT_MS = 3600000, NS_PER_MS = 1000000, WORD_BYTES = 256 };

struct asking {
    struct af_cli *cli;
    struct af_aws *aws;
    struct af_aws_client *client;
    struct af_arena arena;
    struct af_buf body;      /* of the request */
    struct af_buf out;       /* for standard output */
};

enum af_status af_cli_open_aws(const struct af_cli *cli, struct af_aws **out, struct af_error *err)
{
    const struct af_aws_options options = { .profile = cli->profile, .region = cli->region, .endpoint_url = cli->endpoint_url,
                                            .http = { .skip_verify = cli->insecure, .ca_file = cli->ca_file,
                                                      .stall_timeout_ms = af_cli_ms(cli->timeout_ms),
                                                      .connect_timeout_ms = af_cli_ms(cli->timeout_ms) } };
    return af_aws_open(&options, out, err);
}

static enum af_status connect(struct asking *asking, const char *service, struct af_error *err)
{
    return af_aws_client_new(asking->aws, service, &asking->client, err);
}

static const char *argument(const struct asking *asking, size_t i)
{
    return i < asking->cli->arg_count ? asking->cli->args[i] : NULL;
}

/* The JSON that an operation is given: an argument, or standard input. */
static enum af_status take_body(struct asking *asking, size_t i, struct af_error *err)
{
    const char *text = argument(asking, i);
    if (text != NULL && strcmp(text, "-") == 0)
        return af_file_read_all("-", &asking->body, err);
    af_buf_append_str(&asking->body, text != NULL ? text : "{}");
    return af_buf_check(&asking->body, "a request", err);
}

/* --- JSON to be read ------------------------------------------------------------------------------------------------------------ */

static void line(struct af_buf *out, unsigned depth)
{
    af_buf_append_char(out, '\n');
    for (unsigned i = 0; i < depth; i++)
        af_buf_append_str(out, "  ");
}

static void print_json(struct af_buf *out, const struct af_json *node, unsigned depth)
{
    const bool is_object = node->kind == AF_JSON_OBJECT;
    if ((!is_object && node->kind != AF_JSON_ARRAY) || node->first == NULL) {
        af_json_append(out, node);
        return;
    }
    af_buf_append_char(out, is_object ? '{' : '[');
    for (const struct af_json *child = node->first; child != NULL; child = child->next) {
        line(out, depth + 1);
        if (is_object) {
            af_json_append_string(out, child->key);
            af_buf_append_str(out, ": ");
        }
        print_json(out, child, depth + 1);
        af_buf_append_str(out, child->next != NULL ? "," : "");
    }
    line(out, depth);
    af_buf_append_char(out, is_object ? '}' : ']');
}

static enum af_status print_tree(struct asking *asking, const struct af_json *tree, struct af_error *err)
{
    (void)err;
    print_json(&asking->out, tree, 0);
    af_buf_append_char(&asking->out, '\n');
    return AF_OK;
}

/* --- whoami --------------------------------------------------------------------------------------------------------------------- */

struct who {
    char source[64];
    int64_t expires_ns;
    struct af_sts_identity identity;
    const char *region, *endpoint;
};

static void put_member(struct af_buf *out, bool is_json, const char *name, const char *value)
{
    if (!is_json) {
        af_buf_printf(out, "%-12s %s\n", name, value);
        return;
    }
    af_buf_append_str(out, out->len == 0 ? "{" : ",");
    af_buf_printf(out, "\"%s\":", name);
    af_json_append_string(out, af_slice_of(value));
}

static void print_who(struct asking *asking, const struct who *who)
{
    const bool is_json = asking->cli->json;
    struct af_buf *out = &asking->out;
    char expires[48] = "never";
    if (who->expires_ns != 0)
        *af_rfc3339_print(expires, who->expires_ns, 0) = '\0';
    put_member(out, is_json, "credentials", who->source);
    put_member(out, is_json, "expire", expires);
    put_member(out, is_json, "account", who->identity.account);
    put_member(out, is_json, "arn", who->identity.arn);
    put_member(out, is_json, "user_id", who->identity.user_id);
    put_member(out, is_json, "region", who->region);
    put_member(out, is_json, "endpoint", who->endpoint);
    af_buf_append_str(out, is_json ? "}\n" : "");
}

static enum af_status whoami(struct asking *asking, struct af_error *err)
{
    struct af_aws_credentials credentials;
    struct who who = { .region = "none" };
    AF_TRY(af_aws_credentials_get(asking->aws, &credentials, err));
    memcpy(who.source, credentials.source, sizeof who.source);
    who.expires_ns = credentials.expires_ns;
    af_wipe(&credentials, sizeof credentials);
    AF_TRY(af_aws_region(asking->aws, &who.region, err));
    AF_TRY(connect(asking, "sts", err));
    AF_TRY(af_sts_identity(asking->client, &who.identity, err));
    who.endpoint = af_aws_client_url(asking->client);
    print_who(asking, &who);
    return AF_OK;
}

/* --- Timestream for InfluxDB ------------------------------------------------------------------------------------------------------ */

static void list_operations(struct asking *asking)
{
    for (enum af_tfi_operation i = 0; i < AF_TFI_OPERATIONS; i++)
        af_buf_printf(&asking->out, "%-25s %s\n", af_tfi_name(i), af_tfi_required(i));
}

static bool ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static bool is_listing(enum af_tfi_operation operation)
{
    return strncmp(af_tfi_name(operation), "ListDb", 6) == 0;
}

struct listing {
    struct af_buf *out;
    bool has_items;
};

static enum af_status print_item(void *ctx, const struct af_json *item, struct af_error *err)
{
    struct listing *listing = ctx;
    (void)err;
    af_buf_append_str(listing->out, listing->has_items ? "," : "");
    line(listing->out, 2);
    print_json(listing->out, item, 2);
    listing->has_items = true;
    return AF_OK;
}

static enum af_status list_all(struct asking *asking, enum af_tfi_operation operation, struct af_error *err)
{
    struct listing listing = { .out = &asking->out };
    af_buf_append_str(&asking->out, "{\n  \"items\": [");
    AF_TRY(af_tfi_list(asking->client, operation, af_buf_slice(&asking->body), print_item, &listing, err));
    if (listing.has_items)
        line(&asking->out, 1);
    af_buf_append_str(&asking->out, "]\n}\n");
    return AF_OK;
}

static void say_status(void *ctx, const char *status)
{
    const struct asking *asking = ctx;
    af_cli_say(asking->cli, "%s", status);
}

/* What is to be asked for until its status is the wanted one. */
static enum af_status watched(enum af_tfi_operation operation, const struct af_json *request, const struct af_json *answer,
                              enum af_tfi_operation *out_get, struct af_slice *out_id, struct af_error *err)
{
    const char *name = af_tfi_name(operation);
    const struct af_slice kind = af_json_string(answer, "resourceType");
    const bool is_restored = operation == AF_TFI_RestoreFromDbBackup;
    const bool is_cluster = ends_with(name, "DbCluster") || (is_restored && kind.len >= 7 && ends_with(kind.ptr, "CLUSTER"));
    const char *asked = is_cluster ? "dbClusterId" : "identifier";
    *out_get = is_cluster ? AF_TFI_GetDbCluster : ends_with(name, "DbBackup") && !is_restored ? AF_TFI_GetDbBackup : AF_TFI_GetDbInstance;
    *out_id = af_json_string(request, asked);
    if (out_id->len == 0)
        *out_id = af_json_string(answer, is_restored ? "restoredDbResourceId" : is_cluster ? "dbClusterId" : "id");
    if (out_id->len != 0 && (is_cluster || is_restored || ends_with(name, "DbInstance") || ends_with(name, "DbBackup")))
        return AF_OK;
    return af_fail(err, AF_EINVAL, "--wait is for what changes or shows an instance, a cluster or a backup, not for %s", name);
}

static enum af_status wait_for(struct asking *asking, enum af_tfi_operation operation, const struct af_json **answer, struct af_error *err)
{
    const struct af_cli *cli = asking->cli;
    struct af_json *request = NULL;
    struct af_slice id;
    struct af_tfi_wait wait = { .wanted = cli->wait_status, .cancel = af_interrupt_flag(), .said = say_status, .ctx = asking };
    struct af_buf body;
    wait.deadline_mono_ns = af_clock_mono_ns() + (int64_t)(cli->patience_ms != 0 ? cli->patience_ms : WAIT_MS) * NS_PER_MS;
    AF_TRY(af_json_parse(af_buf_slice(&asking->body), &asking->arena, &request, err));
    AF_TRY(watched(operation, request, *answer, &wait.get, &id, err));
    wait.every_ms = af_cli_ms(cli->every_ms);
    wait.identifier = af_arena_copy(&asking->arena, id);
    if (wait.identifier == NULL)
        return af_fail_nomem(err, "an identifier");
    AF_TRY(af_tfi_wait(asking->client, &wait, err));
    if (strcmp(wait.wanted, "DELETED") == 0)
        return AF_OK;
    af_buf_init(&body, 4096);
    af_buf_append_str(&body, wait.get == AF_TFI_GetDbCluster ? "{\"dbClusterId\":" : "{\"identifier\":");
    af_json_append_string(&body, id);
    af_buf_append_char(&body, '}');
    const enum af_status status = af_tfi_call(asking->client, wait.get, af_buf_slice(&body), &asking->arena, answer, err);
    af_buf_done(&body);
    return status;
}

static enum af_status influxdb(struct asking *asking, struct af_error *err)
{
    enum af_tfi_operation operation;
    const struct af_json *answer = NULL;
    if (argument(asking, 1) == NULL) {
        list_operations(asking);
        return AF_OK;
    }
    AF_TRY(af_tfi_find(argument(asking, 1), &operation, err));
    AF_TRY(take_body(asking, 2, err));
    AF_TRY(connect(asking, "timestream-influxdb", err));
    if (is_listing(operation) && asking->cli->wait_status == NULL)
        return list_all(asking, operation, err);
    AF_TRY(af_tfi_call(asking->client, operation, af_buf_slice(&asking->body), &asking->arena, &answer, err));
    if (asking->cli->wait_status != NULL)
        AF_TRY(wait_for(asking, operation, &answer, err));
    return print_tree(asking, answer, err);
}

/* --- Timestream for LiveAnalytics --------------------------------------------------------------------------------------------------- */

static enum af_status timestream(struct asking *asking, struct af_error *err)
{
    const char *side = argument(asking, 1);
    const struct af_json *answer = NULL;
    const bool is_write = strcmp(side, "write") == 0;
    if (!is_write && strcmp(side, "query") != 0)
        return af_fail(err, AF_EINVAL, "timestream takes write or query, and then an operation like ListDatabases or Query");
    AF_TRY(take_body(asking, 3, err));
    AF_TRY(connect(asking, is_write ? "timestream-write" : "timestream-query", err));
    AF_TRY(af_timestream_call(asking->client, argument(asking, 2), af_buf_slice(&asking->body), &asking->arena, &answer, err));
    return print_tree(asking, answer, err);
}

/* --- metrics ------------------------------------------------------------------------------------------------------------------------ */

struct metric_set {
    struct af_metric_dimension dimensions[AF_METRIC_DIMENSIONS_MAX];
    size_t count;
};

/* A=B,C=D into pairs, in the arena. */
static enum af_status take_dimensions(struct asking *asking, struct metric_set *out, struct af_error *err)
{
    char *at = asking->cli->dimensions != NULL ? af_arena_copy(&asking->arena, af_slice_of(asking->cli->dimensions)) : NULL;
    if (asking->cli->dimensions != NULL && at == NULL)
        return af_fail_nomem(err, "dimensions");
    while (at != NULL && *at != '\0') {
        char *equals = strchr(at, '='), *comma = strchr(at, ',');
        if (equals == NULL || equals == at || (comma != NULL && comma < equals) || out->count == AF_METRIC_DIMENSIONS_MAX)
            return af_fail(err, AF_EINVAL, "--dimensions is NAME=VALUE,NAME=VALUE..., at most %d", AF_METRIC_DIMENSIONS_MAX);
        *equals = '\0';
        if (comma != NULL)
            *comma = '\0';
        out->dimensions[out->count++] = (struct af_metric_dimension){ at, equals + 1 };
        at = comma != NULL ? comma + 1 : NULL;
    }
    return AF_OK;
}

/* NAME=VALUE or NAME=VALUE:UNIT */
static enum af_status take_metric(struct asking *asking, const char *text, struct af_metric *out, struct af_error *err)
{
    const char *equals = strrchr(text, '=');
    const char *colon = equals != NULL ? strchr(equals, ':') : NULL;
    const size_t len = equals != NULL ? (colon != NULL ? (size_t)(colon - equals) - 1 : strlen(equals + 1)) : 0;
    out->unit = colon != NULL ? colon + 1 : NULL;
    if (equals == NULL || equals == text || !af_f64_parse((struct af_slice){ equals + 1, len }, &out->value))
        return af_fail(err, AF_EINVAL, "\"%.100s\" is no metric: those are NAME=NUMBER or NAME=NUMBER:Unit", text);
    out->name = af_arena_copy(&asking->arena, (struct af_slice){ text, (size_t)(equals - text) });
    return out->name != NULL ? AF_OK : af_fail_nomem(err, "a metric");
}

static enum af_status metrics_put(struct asking *asking, const struct metric_set *set, struct af_error *err)
{
    const size_t count = asking->cli->arg_count - 3;
    struct af_metric *metrics = af_arena_zero(&asking->arena, count, sizeof *metrics);
    if (metrics == NULL)
        return af_fail_nomem(err, "metrics");
    for (size_t i = 0; i < count; i++)
        AF_TRY(take_metric(asking, asking->cli->args[3 + i], &metrics[i], err));
    return af_metric_put(asking->client, asking->cli->args[2], set->dimensions, set->count, metrics, count, af_clock_now_ns(), err);
}

static bool take_time(const char *text, int64_t *out)
{
    bool has_zone;
    return text == NULL || af_time_parse(af_slice_of(text), out, &has_zone);
}

static enum af_status metrics_get(struct asking *asking, const struct metric_set *set, struct af_error *err)
{
    const struct af_cli *cli = asking->cli;
    struct af_metric_point *points = NULL;
    struct af_metric_query query = { .name_space = cli->args[2], .name = cli->args[3], .dimensions = set->dimensions,
                                     .dimension_count = set->count, .to_ns = af_clock_now_ns() + AF_NS_PER_S,
                                     .statistic = cli->statistic != NULL ? cli->statistic : "Average",
                                     .period_s = cli->every_ms != 0 ? af_cli_ms(cli->every_ms) / 1000 : PERIOD_S };
    size_t count = 0;
    query.from_ns = query.to_ns - 3 * 3600 * AF_NS_PER_S;
    if (!take_time(cli->start, &query.from_ns) || !take_time(cli->stop, &query.to_ns))
        return af_fail(err, AF_EINVAL, "--start and --stop are times like 2024-01-31 or 2024-01-31T12:00:00Z");
    AF_TRY(af_metric_get(asking->client, &query, &asking->arena, &points, &count, err));
    for (size_t i = 0; i < count; i++) {
        char time[48];
        *af_rfc3339_print(time, points[i].time_ns, 0) = '\0';
        af_buf_printf(&asking->out, cli->json ? "{\"time\":\"%s\",\"value\":" : "%s ", time);
        af_json_append_f64(&asking->out, points[i].value);
        af_buf_append_str(&asking->out, cli->json ? "}\n" : "\n");
    }
    return AF_OK;
}

static void print_metric(struct asking *asking, const struct af_json *metric)
{
    struct af_buf *out = &asking->out;
    const struct af_json *dimensions = af_json_get(metric, "Dimensions");
    if (asking->cli->json) {
        af_json_append(out, metric);
        af_buf_append_char(out, '\n');
        return;
    }
    af_buf_append_slice(out, af_json_string(metric, "MetricName"));
    for (const struct af_json *d = dimensions != NULL ? dimensions->first : NULL; d != NULL; d = d->next) {
        af_buf_append_char(out, ' ');
        af_buf_append_slice(out, af_json_string(d, "Name"));
        af_buf_append_char(out, '=');
        af_buf_append_slice(out, af_json_string(d, "Value"));
    }
    af_buf_append_char(out, '\n');
}

static enum af_status metrics_page(struct asking *asking, struct af_slice *next, struct af_error *err)
{
    const struct af_json *answer = NULL;
    af_buf_clear(&asking->body);
    af_buf_append_str(&asking->body, "{\"Namespace\":");
    af_json_append_string(&asking->body, af_slice_of(asking->cli->args[2]));
    af_buf_append_str(&asking->body, next->len != 0 ? ",\"NextToken\":" : "");
    if (next->len != 0)
        af_json_append_string(&asking->body, *next);
    af_buf_append_char(&asking->body, '}');
    AF_TRY(af_buf_check(&asking->body, "a request", err));
    AF_TRY(af_aws_json(asking->client, "ListMetrics", af_buf_slice(&asking->body), &asking->arena, &answer, err));
    const struct af_json *metrics = af_json_get(answer, "Metrics");
    for (const struct af_json *metric = metrics != NULL ? metrics->first : NULL; metric != NULL; metric = metric->next)
        print_metric(asking, metric);
    const struct af_slice token = af_json_string(answer, "NextToken");
    const bool is_same = af_slice_eq(token, *next) && token.len != 0;
    *next = token;
    return is_same ? af_fail(err, AF_ECORRUPT, "CloudWatch ListMetrics: the answer has the same NextToken again") : AF_OK;
}

static enum af_status metrics_list(struct asking *asking, struct af_error *err)
{
    struct af_slice next = { 0 };
    do
        AF_TRY(metrics_page(asking, &next, err));
    while (next.len != 0);
    return AF_OK;
}

static enum af_status metrics(struct asking *asking, struct af_error *err)
{
    const char *what = argument(asking, 1);
    struct metric_set set = { .count = 0 };
    AF_TRY(take_dimensions(asking, &set, err));
    AF_TRY(connect(asking, "monitoring", err));
    if (strcmp(what, "put") == 0 && asking->cli->arg_count > 3)
        return metrics_put(asking, &set, err);
    if (strcmp(what, "get") == 0 && asking->cli->arg_count == 4)
        return metrics_get(asking, &set, err);
    if (strcmp(what, "list") == 0 && asking->cli->arg_count == 3)
        return metrics_list(asking, err);
    return af_fail(err, AF_EINVAL, "metrics takes put NAMESPACE NAME=NUMBER[:Unit]..., get NAMESPACE NAME, or list NAMESPACE");
}

/* --- queues ------------------------------------------------------------------------------------------------------------------------- */

static void print_depth(struct asking *asking, const struct af_sqs_depth *depth)
{
    struct af_buf *out = &asking->out;
    if (!asking->cli->json) {
        af_buf_printf(out, "visible      %" PRIu64 "\nin flight    %" PRIu64 "\ndelayed      %" PRIu64 "\nvisibility   %" PRIu32 " s\n",
                      depth->visible, depth->in_flight, depth->delayed, depth->visibility_s);
        if (depth->max_receives != 0)
            af_buf_printf(out, "dead letters %s after %" PRIu32 " receives\n", depth->dead_letters, depth->max_receives);
        return;
    }
    af_buf_printf(out, "{\"visible\":%" PRIu64 ",\"in_flight\":%" PRIu64 ",\"delayed\":%" PRIu64 ",\"visibility_s\":%" PRIu32
                  ",\"max_receives\":%" PRIu32 ",\"dead_letters\":", depth->visible, depth->in_flight, depth->delayed, depth->visibility_s,
                  depth->max_receives);
    af_json_append_string(out, af_slice_of(depth->dead_letters));
    af_buf_append_str(out, "}\n");
}

static void print_message(struct asking *asking, const struct af_sqs_message *message)
{
    struct af_buf *out = &asking->out;
    char sent[48];
    *af_rfc3339_print(sent, message->sent_ns, 3) = '\0';
    af_buf_append_str(out, "{\"id\":");
    af_json_append_string(out, message->id);
    af_buf_printf(out, ",\"sent\":\"%s\",\"receives\":%" PRIu32, sent, message->receive_count);
    if (message->reason.ptr != NULL) {
        af_buf_append_str(out, ",\"reason\":");
        af_json_append_string(out, message->reason);
    }
    af_buf_append_str(out, ",\"body\":");
    af_json_append_string(out, message->body);
    af_buf_append_str(out, "}\n");
}

static enum af_status peek(struct asking *asking, const char *url, struct af_error *err)
{
    struct af_sqs_message messages[AF_SQS_BATCH_MAX];
    size_t count = 0;
    AF_TRY(af_sqs_receive(asking->client, url, AF_SQS_BATCH_MAX, 1, 0, af_interrupt_flag(), &asking->arena, messages, &count, err));
    for (size_t i = 0; i < count; i++)
        print_message(asking, &messages[i]);
    if (count == 0)
        af_cli_say(asking->cli, "nothing came");
    return AF_OK;
}

static enum af_status queue(struct asking *asking, struct af_error *err)
{
    const char *url = NULL;
    struct af_sqs_depth depth;
    AF_TRY(connect(asking, "sqs", err));
    AF_TRY(af_sqs_url(asking->client, argument(asking, 2), &asking->arena, &url, err));
    if (strcmp(argument(asking, 1), "peek") == 0)
        return peek(asking, url, err);
    AF_TRY(af_sqs_depth(asking->client, url, &depth, err));
    print_depth(asking, &depth);
    return AF_OK;
}

/* --- the command -------------------------------------------------------------------------------------------------------------------- */

static const struct part {
    const char *name;
    size_t args_min, args_max;
    const char *seconds;   /* what the second word may be; NULL: anything */
    enum af_status (*run)(struct asking *asking, struct af_error *err);
    const char *usage;
} parts[] = {
    { "whoami", 1, 1, NULL, whoami, "whoami" },
    { "influxdb", 1, 3, NULL, influxdb, "influxdb [OPERATION [JSON|-]]" },
    { "timestream", 3, 4, "write query", timestream, "timestream write|query OPERATION [JSON|-]" },
    { "metrics", 3, SIZE_MAX, "put get list", metrics, "metrics put|get|list NAMESPACE ..." },
    { "queue", 3, 3, "depth peek", queue, "queue depth|peek QUEUE" },
};

static bool is_one_of(const char *words, const char *word)
{
    const size_t len = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0') && len != 0)
            return true;
    return false;
}

static enum af_status run(struct asking *asking, const struct part *part, struct af_error *err)
{
    AF_TRY(af_cli_open_aws(asking->cli, &asking->aws, err));
    AF_TRY(part->run(asking, err));
    AF_TRY(af_buf_check(&asking->out, "an answer", err));
    return asking->out.len != 0 ? af_cli_out(af_buf_slice(&asking->out), err) : AF_OK;
}

static int run_part(struct af_cli *cli, const struct part *part)
{
    struct asking asking = { .cli = cli };
    struct af_error err = { 0 };
    af_arena_init(&asking.arena, ARENA_BYTES_MAX);
    af_buf_init(&asking.body, BODY_BYTES_MAX);
    af_buf_init(&asking.out, ARENA_BYTES_MAX);
    const enum af_status status = run(&asking, part, &err);
    af_aws_client_free(asking.client);
    af_aws_close(asking.aws);
    if (asking.body.ptr != NULL)
        af_wipe(asking.body.ptr, asking.body.cap);
    af_buf_done(&asking.body);
    af_buf_done(&asking.out);
    af_arena_done(&asking.arena);
    return status == AF_OK ? AF_EXIT_DONE : af_cli_fail(cli, &err);
}

int af_cli_aws(struct af_cli *cli)
{
    const char *name = cli->arg_count != 0 ? cli->args[0] : "";
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const struct part *part = &parts[i];
        if (strcmp(part->name, name) != 0)
            continue;
        if (cli->arg_count < part->args_min || cli->arg_count > part->args_max ||
            (part->seconds != NULL && !is_one_of(part->seconds, cli->args[1])))
            return af_cli_usage_error(cli, "aws %s", part->usage);
        if (cli->wait_status != NULL && part->run != influxdb)
            return af_cli_usage_error(cli, "--wait is for aws influxdb");
        return run_part(cli, part);
    }
    return af_cli_usage_error(cli, "aws takes whoami, influxdb, timestream, metrics or queue");
}
