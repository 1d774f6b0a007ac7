/*
 * provision_parameters.c - what may stand in a parameter group of Timestream for InfluxDB (InfluxDB 2), and the one way it is written.
 *
 * Source: the service's API model and "DB parameter groups" of its guide; influxd's own option is the same name in kebab-case.
 */
#include "base/limits.h"
#include "lambda/provision_int.h"
#include <inttypes.h>
#include <stdio.h>

enum kind { IS_FLAG, IS_NUMBER, IS_WORD, IS_DURATION };
static const int64_t LARGE = INT64_C(1000000000000);

struct parameter {
    const char *name;
    enum kind kind;
    int64_t least, most;     /* of NUMBER, and of DURATION's value */
    const char *words;       /* of WORD, separated by spaces */
};
#define FLAG(name) { #name, IS_FLAG, 0, 0, NULL }
#define NUMBER(name, least, most) { #name, IS_NUMBER, least, most, NULL }
#define WORD(name, words) { #name, IS_WORD, 0, 0, words }
#define DURATION(name, least) { #name, IS_DURATION, least, INT64_MAX, NULL }
static const struct parameter parameters[] = {
    FLAG(fluxLogEnabled),
    DURATION(httpIdleTimeout, 0),
    DURATION(httpReadHeaderTimeout, 0),
    DURATION(httpReadTimeout, 0),
    DURATION(httpWriteTimeout, 0),
    NUMBER(influxqlMaxSelectBuckets, 0, LARGE),
    NUMBER(influxqlMaxSelectPoint, 0, LARGE),
    NUMBER(influxqlMaxSelectSeries, 0, LARGE),
    WORD(logLevel, "debug info error"),
    FLAG(metricsDisabled),
    FLAG(noTasks),
    FLAG(pprofDisabled),
    NUMBER(queryConcurrency, 0, 256),
    NUMBER(queryInitialMemoryBytes, 0, LARGE),
    NUMBER(queryMaxMemoryBytes, 0, LARGE),
    NUMBER(queryMemoryBytes, 0, LARGE),
    NUMBER(queryQueueSize, 0, 256),
    NUMBER(sessionLength, 1, 2880),
    FLAG(sessionRenewDisabled),
    NUMBER(storageCacheMaxMemorySize, 0, LARGE),
    NUMBER(storageCacheSnapshotMemorySize, 0, LARGE),
    DURATION(storageCacheSnapshotWriteColdDuration, 0),
    DURATION(storageCompactFullWriteColdDuration, 0),
    NUMBER(storageCompactThroughputBurst, 0, LARGE),
    NUMBER(storageMaxConcurrentCompactions, 0, 64),
    NUMBER(storageMaxIndexLogFileSize, 0, LARGE),
    FLAG(storageNoValidateFieldSize),
    DURATION(storageRetentionCheckInterval, 1),
    NUMBER(storageSeriesFileMaxConcurrentSnapshotCompactions, 0, 64),
    NUMBER(storageSeriesIdSetCacheSize, 0, LARGE),
    NUMBER(storageWalMaxConcurrentWrites, 0, 256),
    DURATION(storageWalMaxWriteDelay, 0),
    WORD(tracingType, "log jaeger disabled"),
    FLAG(uiDisabled),
};
enum { PARAMETERS = sizeof parameters / sizeof parameters[0] };
static const char units[] = "hours minutes seconds milliseconds days";

static bool is_one_of(struct af_slice word, const char *words)
{
    for (const char *at = words; *at != '\0';) {
        const size_t len = strcspn(at, " ");
        if (word.len == len && memcmp(word.ptr, at, len) == 0)
            return true;
        at += len + (at[len] == ' ');
    }
    return false;
}

static bool is_duration(const struct af_json *node, int64_t least)
{
    int64_t value;
    size_t members = 0;
    for (const struct af_json *m = node->kind == AF_JSON_OBJECT ? node->first : NULL; m != NULL; m = m->next)
        members++;
    return members == 2 && is_one_of(af_json_string(node, "durationType"), units) && af_json_i64(af_json_get(node, "value"), &value) &&
           value >= least;
}

static bool is_allowed(const struct parameter *p, const struct af_json *node)
{
    int64_t value;
    switch (p->kind) {
    case IS_FLAG:
        return node->kind == AF_JSON_BOOL;
    case IS_NUMBER:
        return af_json_i64(node, &value) && value >= p->least && value <= p->most;
    case IS_WORD:
        return node->kind == AF_JSON_STRING && is_one_of(node->text, p->words);
    case IS_DURATION:
        return is_duration(node, p->least);
    }
    return false;
}

static enum af_status fail_value(const struct parameter *p, const struct af_json *node, struct af_error *err)
{
    char allowed[160] = "true or false", given[80] = "";
    if (p->kind == IS_NUMBER)
        (void)snprintf(allowed, sizeof allowed, "a whole number from %" PRId64 " to %" PRId64, p->least, p->most);
    else if (p->kind == IS_WORD)
        (void)snprintf(allowed, sizeof allowed, "one of: %s", p->words);
    else if (p->kind == IS_DURATION)
        (void)snprintf(allowed, sizeof allowed, "{\"durationType\", \"value\"}: one of: %s; a whole number from %" PRId64 " on", units,
                       p->least);
    if (node->kind == AF_JSON_STRING || node->kind == AF_JSON_NUMBER)
        (void)snprintf(given, sizeof given, ", not %.*s", (int)(node->text.len < 60 ? node->text.len : 60), node->text.ptr);
    return af_fail(err, AF_EINVAL, "parameter %s is %s%s", p->name, allowed, given);
}

static const struct parameter *find(struct af_slice name)
{
    for (size_t i = 0; i < PARAMETERS; i++)
        if (af_slice_is(name, parameters[i].name))
            return &parameters[i];
    return NULL;
}

static enum af_status check(const struct af_json *given, struct af_error *err)
{
    if (given != NULL && given->kind != AF_JSON_OBJECT)
        return af_fail(err, AF_EINVAL, "parameters is an object, as in {\"logLevel\": \"info\"}");
    for (const struct af_json *m = given != NULL ? given->first : NULL; m != NULL; m = m->next) {
        const struct parameter *p = find(m->key);
        if (p == NULL)
            return af_fail(err, AF_EINVAL, "parameter %.*s: the service has none of that name; names are written as in queryConcurrency "
                                           "(docs/infra/provision.md lists them)", (int)(m->key.len < 80 ? m->key.len : 80), m->key.ptr);
        if (af_json_get(given, p->name) != m)
            return af_fail(err, AF_EINVAL, "parameter %s stands there twice", p->name);
        if (m->kind != AF_JSON_NULL && !is_allowed(p, m))
            return fail_value(p, m, err);
    }
    return AF_OK;
}

static void print_value(const struct parameter *p, const struct af_json *node, struct af_buf *out)
{
    int64_t value = 0;
    if (p->kind == IS_FLAG)
        af_buf_append_str(out, node->is_true ? "true" : "false");
    else if (p->kind == IS_WORD)
        af_json_append_string(out, node->text);
    else if (af_json_i64(p->kind == IS_DURATION ? af_json_get(node, "value") : node, &value) && p->kind == IS_NUMBER)
        af_buf_printf(out, "%" PRId64, value);
    else
        af_buf_printf(out, "{\"durationType\":\"%.*s\",\"value\":%" PRId64 "}", AF_SLICE_ARG(af_json_string(node, "durationType")), value);
}

/* A parameter that is null is one that is not given. */
static const struct af_json *value_of(const struct af_json *given, const char *name)
{
    const struct af_json *node = af_json_get(given, name);
    return node != NULL && node->kind != AF_JSON_NULL ? node : NULL;
}

enum af_status provision_parameters_print(const struct af_json *given, struct af_buf *out, struct af_error *err)
{
    const char *comma = "";
    AF_TRY(check(given, err));
    af_buf_append_char(out, '{');
    for (size_t i = 0; i < PARAMETERS && given != NULL; i++) {
        const struct af_json *node = value_of(given, parameters[i].name);
        if (node == NULL)
            continue;
        af_buf_printf(out, "%s\"%s\":", comma, parameters[i].name);
        print_value(&parameters[i], node, out);
        comma = ",";
    }
    af_buf_append_char(out, '}');
    return af_buf_check(out, "a parameter group", err);
}

static bool is_same(const struct parameter *p, const struct af_json *a, const struct af_json *b)
{
    struct af_buf texts[2];
    for (size_t i = 0; i < 2; i++) {
        af_buf_init(&texts[i], 4096);
        print_value(p, i == 0 ? a : b, &texts[i]);
    }
    const bool same = af_slice_eq(af_buf_slice(&texts[0]), af_buf_slice(&texts[1])) && !texts[0].failed;
    af_buf_done(&texts[0]);
    af_buf_done(&texts[1]);
    return same;
}

const char *provision_parameters_differ(const struct af_json *given, const struct af_json *kept)
{
    for (size_t i = 0; i < PARAMETERS && given != NULL; i++) {
        const struct af_json *a = value_of(given, parameters[i].name), *b = value_of(kept, parameters[i].name);
        if (a != NULL && (b == NULL || !is_allowed(&parameters[i], b) || !is_same(&parameters[i], a, b)))
            return parameters[i].name;
    }
    return NULL;
}
