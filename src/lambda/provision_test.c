/* provision_test.c - what may stand in a parameter group, the step of the password as a table, and events judged before anything is called.
 * (What it does to a secret, an instance and a control plane: test/infra/test_provision.py.) */
#include "base/alloc.h"
#include "lambda/provision_int.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_arena arena;
static struct af_error err;

static struct af_json *json_of(const char *text)
{
    struct af_json *json = NULL;
    af_arena_done(&arena);
    af_arena_init(&arena, 64 << 20);
    AF_CHECK_OK(af_json_parse(af_slice_of(text), &arena, &json, &err), err);
    return json;
}

/* --- parameters ------------------------------------------------------------------------------------------------------------------ */

static enum af_status print(const char *given, struct af_buf *out)
{
    return provision_parameters_print(json_of(given), out, &err);
}

static void check_prints(const char *given, const char *wanted)
{
    struct af_buf out;
    af_buf_init(&out, 64 << 10);
    AF_CHECK_OK(print(given, &out), err);
    AF_CHECK_SLICE(af_buf_slice(&out), wanted);
    af_buf_done(&out);
}

AF_TEST(provision_parameters_have_one_spelling)
{
    check_prints("{}", "{}");
    check_prints("{\"queryConcurrency\": 10, \"logLevel\": \"info\"}", "{\"logLevel\":\"info\",\"queryConcurrency\":10}");
    check_prints("{\"logLevel\": \"info\", \"uiDisabled\": null, \"queryConcurrency\": 10}",
                 "{\"logLevel\":\"info\",\"queryConcurrency\":10}");
    check_prints("{\"storageRetentionCheckInterval\": {\"value\": 30, \"durationType\": \"minutes\"}, \"noTasks\": true, "
                 "\"fluxLogEnabled\": false}",
                 "{\"fluxLogEnabled\":false,\"noTasks\":true,"
                 "\"storageRetentionCheckInterval\":{\"durationType\":\"minutes\",\"value\":30}}");
    check_prints("{\"queryMemoryBytes\": 1000000000000}", "{\"queryMemoryBytes\":1000000000000}");
    af_arena_done(&arena);
}

AF_TEST(provision_parameters_that_are_none_are_named)
{
    static const struct {
        const char *given, *words;
    } rows[] = {
        { "{\"query-concurrency\": 1}", "parameter query-concurrency: the service has none of that name" },
        { "{\"boltPath\": \"/x\"}", "parameter boltPath" },
        { "{\"queryConcurrency\": 257}", "parameter queryConcurrency is a whole number from 0 to 256, not 257" },
        { "{\"queryConcurrency\": -1}", "from 0 to 256, not -1" },
        { "{\"queryConcurrency\": 1.5}", "a whole number" },
        { "{\"queryConcurrency\": \"10\"}", "a whole number" },
        { "{\"queryConcurrency\": 99999999999999999999}", "a whole number" },
        { "{\"queryQueueSize\": 2048}", "parameter queryQueueSize is a whole number from 0 to 256" },
        { "{\"sessionLength\": 0}", "from 1 to 2880" },
        { "{\"queryMemoryBytes\": 1000000000001}", "from 0 to 1000000000000" },
        { "{\"logLevel\": \"warn\"}", "parameter logLevel is one of: debug info error, not warn" },
        { "{\"logLevel\": \"info error\"}", "one of" },
        { "{\"logLevel\": \"inf\"}", "one of" },
        { "{\"logLevel\": \"\"}", "one of" },
        { "{\"noTasks\": \"true\"}", "parameter noTasks is true or false" },
        { "{\"noTasks\": 1}", "true or false" },
        { "{\"httpIdleTimeout\": 180}", "durationType" },
        { "{\"httpIdleTimeout\": \"3m\"}", "hours minutes seconds milliseconds days" },
        { "{\"httpIdleTimeout\": {\"durationType\": \"minutes\"}}", "durationType" },
        { "{\"httpIdleTimeout\": {\"durationType\": \"weeks\", \"value\": 1}}", "durationType" },
        { "{\"httpIdleTimeout\": {\"durationType\": \"minutes\", \"value\": -1}}", "durationType" },
        { "{\"httpIdleTimeout\": {\"durationType\": \"minutes\", \"value\": 1, \"more\": 1}}", "durationType" },
        { "{\"storageRetentionCheckInterval\": {\"durationType\": \"minutes\", \"value\": 0}}", "a whole number from 1 on" },
        { "{\"noTasks\": true, \"noTasks\": false}", "twice" },
        { "[]", "parameters is an object" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct af_buf out;
        af_buf_init(&out, 64 << 10);
        AF_CHECK_FAILS(print(rows[i].given, &out), AF_EINVAL);
        if (strstr(err.message, rows[i].words) == NULL)
            af_test_failed(__FILE__, __LINE__, "%s: \"%s\" does not say \"%s\"", rows[i].given, err.message, rows[i].words);
        af_buf_done(&out);
    }
    af_arena_done(&arena);
}

AF_TEST(provision_parameters_are_compared_by_value)
{
    const struct af_json *both = json_of("{\"a\": {\"noTasks\": true, \"queryConcurrency\": 7}, \"same\": {\"queryConcurrency\": 7, "
                                         "\"uiDisabled\": false, \"noTasks\": true}, "
                                         "\"other\": {\"noTasks\": true, \"queryConcurrency\": 8},"
                                         "\"less\": {\"queryConcurrency\": 7}, \"odd\": {\"noTasks\": 1, \"queryConcurrency\": 7}}");
    const struct af_json *a = af_json_get(both, "a");
    AF_CHECK(provision_parameters_differ(a, af_json_get(both, "same")) == NULL);
    AF_CHECK_STR(provision_parameters_differ(a, af_json_get(both, "other")), "queryConcurrency");
    AF_CHECK_STR(provision_parameters_differ(a, af_json_get(both, "less")), "noTasks");
    AF_CHECK_STR(provision_parameters_differ(a, af_json_get(both, "odd")), "noTasks");
    AF_CHECK_STR(provision_parameters_differ(a, NULL), "noTasks");
    AF_CHECK(provision_parameters_differ(NULL, NULL) == NULL);
    af_arena_done(&arena);
}

AF_TEST(provision_group_names)
{
    char name[PROVISION_GROUP_BYTES], again[PROVISION_GROUP_BYTES];
    static const char *const bad[] = { "", "1grid", "-grid", "grid-", "gr--id", "gr.id", "gr_id", "dbpg-grid", "gr id",
                                       "a123456789012345678901234567890123456789012345678901" };
    AF_CHECK_OK(provision_group_name(AF_SLICE_LIT("grid"), AF_SLICE_LIT("{\"noTasks\":true}"), name, &err), err);
    AF_CHECK_INT(strlen(name), 4 + 1 + 12);
    AF_CHECK(strncmp(name, "grid-", 5) == 0 && strspn(name + 5, "0123456789abcdef") == 12);
    AF_CHECK_OK(provision_group_name(AF_SLICE_LIT("grid"), AF_SLICE_LIT("{\"noTasks\":true}"), again, &err), err);
    AF_CHECK_STR(again, name);
    AF_CHECK_OK(provision_group_name(AF_SLICE_LIT("grid"), AF_SLICE_LIT("{\"noTasks\":false}"), again, &err), err);
    AF_CHECK(strcmp(again, name) != 0);
    const struct af_slice longest = AF_SLICE_LIT("a12345678901234567890123456789012345678901234567890");
    AF_CHECK_OK(provision_group_name(longest, AF_SLICE_LIT("{}"), name, &err), err);
    AF_CHECK_INT(strlen(name), 64);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        AF_CHECK_FAILS(provision_group_name(af_slice_of(bad[i]), AF_SLICE_LIT("{}"), name, &err), AF_EINVAL);
        AF_CHECK(strstr(err.message, "prefix") != NULL);
    }
}

/* --- the password ---------------------------------------------------------------------------------------------------------------- */

AF_TEST(provision_password_steps)
{
    static const struct {
        enum provision_opens opens;
        bool is_pending, is_initial, rotates;
        enum provision_step wanted;
    } rows[] = {
        /* opens                pending first  rotates                                                                           */
        { PROVISION_PASSWORD,   false,  false, false, PROVISION_KEEP },    /* an ordinary day                                    */
        { PROVISION_PASSWORD,   false,  false, true,  PROVISION_RENEW },   /* the schedule                                       */
        { PROVISION_PASSWORD,   false,  true,  false, PROVISION_RENEW },   /* somebody copied the first password into our secret */
        { PROVISION_PASSWORD,   true,   false, false, PROVISION_SETTLE },  /* killed after the change                            */
        { PROVISION_PASSWORD,   true,   false, true,  PROVISION_SETTLE },  /* the same: that rotation is this one                */
        { PROVISION_PREVIOUS,   true,   false, false, PROVISION_FINISH },  /* killed before the change                           */
        { PROVISION_PREVIOUS,   true,   true,  false, PROVISION_FINISH },  /* the same, the first time                           */
        { PROVISION_PREVIOUS,   true,   false, true,  PROVISION_FINISH },
        { PROVISION_INITIAL,    false,  true,  false, PROVISION_RENEW },   /* the first time                                     */
        { PROVISION_INITIAL,    true,   true,  false, PROVISION_RENEW },   /* another instance: what the secret holds is old     */
        { PROVISION_INITIAL,    false,  true,  true,  PROVISION_RENEW },
        { PROVISION_NOTHING,    false,  false, false, PROVISION_LOST },
        { PROVISION_NOTHING,    true,   false, false, PROVISION_LOST },
        { PROVISION_NOTHING,    false,  false, true,  PROVISION_LOST },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct provision_password_facts facts = { rows[i].opens, rows[i].is_pending, rows[i].is_initial, rows[i].rotates };
        if (provision_password_step(&facts) != rows[i].wanted)
            af_test_failed(__FILE__, __LINE__, "row %zu", i);
    }
}

/* --- events ---------------------------------------------------------------------------------------------------------------------- */

#define ADMIN "\"admin\":{\"initial_secret\":\"arn:first\",\"secret\":\"arn:admin\"}"
#define HEAD "\"url\":\"https://db:8086\",\"org\":\"ons\"," ADMIN
#define TOKEN(more) "{\"secret\":\"arn:a\",\"description\":\"afluxo a\"," more "}"

static enum af_status read_order(const char *text, struct provision_order *out)
{
    return provision_order_read(json_of(text), &arena, out, &err);
}

AF_TEST(provision_events_are_read)
{
    struct provision_order order;
    AF_CHECK_OK(read_order("{\"do\":\"bootstrap\",\"instance\":\"abc123\",\"url\":\"https://db:8086//\",\"org\":\"ons\","
                           "\"prefix\":\"afluxo grid \"," ADMIN ","
                           "\"buckets\":[{\"name\":\"energy_data\"},{\"name\":\"m\",\"retention_s\":86400,\"shard_group_s\":3600}],"
                           "\"tokens\":[{\"secret\":\"arn:a\",\"description\":\"afluxo grid loader\","
                           "\"write\":[\"energy_data\"],\"read\":[],\"valid_days\":30},"
                           "{\"secret\":\"arn:b\",\"description\":\"afluxo grid boss\",\"operator\":true}],"
                           "\"tf\":{\"action\":\"create\"}}", &order), err);
    AF_CHECK_STR(order.instance, "abc123");
    AF_CHECK_STR(order.url, "https://db:8086");
    AF_CHECK_STR(order.initial_secret, "arn:first");
    AF_CHECK_INT(order.bucket_count, 2);
    AF_CHECK_INT(order.buckets[1].retention_s, 86400);
    AF_CHECK_INT(order.token_count, 2);
    AF_CHECK_STR(order.tokens[0].write[0], "energy_data");
    AF_CHECK_INT(order.tokens[0].valid_days, 30);
    AF_CHECK_INT(order.tokens[1].valid_days, 365);
    AF_CHECK(order.tokens[1].is_operator && !order.tokens[0].is_operator);
    AF_CHECK_OK(read_order("{" HEAD "}", &order), err);
    AF_CHECK(order.instance == NULL && order.bucket_count == 0 && order.token_count == 0);
    AF_CHECK_STR(order.prefix, "afluxo ");
    af_arena_done(&arena);
}

AF_TEST(provision_events_that_are_wrong_are_refused_by_name)
{
    static const struct {
        const char *event, *words;
    } rows[] = {
        { "{}", "url must be given" },
        { "{\"url\":\"http://db:8086\"}", "url is https://" },
        { "{\"url\":\"https://\"}", "url is https://" },
        { "{\"url\":\"https://admin:secret@db\"}", "without user or password" },
        { "{\"url\":\"https://db\"}", "org must be given" },
        { "{\"url\":\"https://db\",\"org\":\"o\"}", "admin.secret must be given" },
        { "{\"url\":\"https://db\",\"org\":\"o\",\"admin\":{\"secret\":\"\"}}", "admin.secret" },
        { "{\"url\":\"https://db\",\"org\":\"o\",\"admin\":{\"secret\":\"a\",\"initial_secret\":\"a\"}}", "the service's own" },
        { "{\"instance\":7,\"url\":\"https://db\"}", "instance" },
        { "{" HEAD ",\"prefix\":\"grid \"}", "prefix" },
        { "{" HEAD ",\"prefix\":\"afluxo grid\"}", "prefix" },
        { "{" HEAD ",\"buckets\":{}}", "buckets is a list" },
        { "{" HEAD ",\"buckets\":[{}]}", "buckets[0].name" },
        { "{" HEAD ",\"buckets\":[{\"name\":\"_system\"}]}", "underscore" },
        { "{" HEAD ",\"buckets\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "\"a\" twice" },
        { "{" HEAD ",\"buckets\":[{\"name\":\"a\",\"retention_s\":60}]}", "retention_s" },
        { "{" HEAD ",\"buckets\":[{\"name\":\"a\",\"retention_s\":\"1d\"}]}", "retention_s is a whole number" },
        { "{" HEAD ",\"buckets\":[{\"name\":\"a\",\"retention_s\":7200,\"shard_group_s\":86400}]}", "shard_group_s" },
        { "{" HEAD ",\"tokens\":[{\"description\":\"afluxo a\",\"read\":[\"a\"]}]}", "tokens[0].secret" },
        { "{" HEAD ",\"tokens\":[{\"secret\":\"s\",\"description\":\"mine\",\"read\":[\"a\"]}]}", "must begin with \"afluxo \"" },
        { "{" HEAD ",\"tokens\":[" TOKEN("\"read\":[]") "]}", "name at least one bucket" },
        { "{" HEAD ",\"tokens\":[" TOKEN("\"read\":[\"a\"],\"operator\":true") "]}", "operator" },
        { "{" HEAD ",\"tokens\":[" TOKEN("\"operator\":1") "]}", "operator is true or false" },
        { "{" HEAD ",\"tokens\":[" TOKEN("\"read\":[\"a\",\"a\"]") "]}", "\"a\" twice" },
        { "{" HEAD ",\"tokens\":[" TOKEN("\"read\":\"a\"") "]}", "read is a list" },
        { "{" HEAD ",\"tokens\":[" TOKEN("\"read\":[1]") "]}", "read is a list of names" },
        { "{" HEAD ",\"tokens\":[" TOKEN("\"read\":[\"a\"],\"valid_days\":0") "]}", "valid_days" },
        { "{" HEAD ",\"tokens\":[" TOKEN("\"read\":[\"a\"]") "," TOKEN("\"read\":[\"a\"]") "]}", "the same secret" },
        { "{" HEAD ",\"tokens\":[{\"secret\":\"arn:admin\",\"description\":\"afluxo a\",\"read\":[\"a\"]}]}", "administrator's" },
    };
    struct provision_order order;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AF_CHECK_FAILS(read_order(rows[i].event, &order), AF_EINVAL);
        if (strstr(err.message, rows[i].words) == NULL)
            af_test_failed(__FILE__, __LINE__, "%s: \"%s\" does not say \"%s\"", rows[i].event, err.message, rows[i].words);
        AF_CHECK(strstr(err.message, "secret@") == NULL);
    }
    af_arena_done(&arena);
}

/* Without memory an event is refused for that, and nothing leaks. */
AF_TEST(provision_events_without_memory)
{
    struct provision_order order;
    bool done = false;
    for (uint64_t n = 1; !done && n < 200; n++) {
        struct af_json *json = json_of("{" HEAD ",\"buckets\":[{\"name\":\"a\"}],\"tokens\":[" TOKEN("\"read\":[\"a\"]") "]}");
        struct af_arena small;
        af_arena_init(&small, 64 << 10);
        af_alloc_fail_nth(n);
        const enum af_status status = provision_order_read(json, &small, &order, &err);
        done = status == AF_OK;
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM || status == AF_ELIMIT);
        af_arena_done(&small);
    }
    AF_CHECK(done);
    af_arena_done(&arena);
}
