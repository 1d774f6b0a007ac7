/* tfi_test.c - the control plane of Timestream for InfluxDB: what is checked before anything is sent, pages, waiting. */
#include "aws/service_fixture.h"
#include "aws/timestream.h"
#include "os/clock.h"

AF_TEST(tfi_operations_by_name)
{
    enum af_tfi_operation operation;
    struct af_error err;
    AF_CHECK_INT(AF_TFI_OPERATIONS, 24);
    for (enum af_tfi_operation i = 0; i < AF_TFI_OPERATIONS; i++) {
        AF_CHECK_OK(af_tfi_find(af_tfi_name(i), &operation, &err), err);
        AF_CHECK_INT(operation, i);
    }
    AF_CHECK_OK(af_tfi_find("getdbinstance", &operation, &err), err);
    AF_CHECK_INT(operation, AF_TFI_GetDbInstance);
    AF_CHECK_FAILS(af_tfi_find("GetDbInstances", &operation, &err), AF_ENOTFOUND);
    AF_CHECK(strstr(err.message, "CreateDbBackup, ") != NULL && strstr(err.message, "UpdateDbInstance") != NULL);
    AF_CHECK_FAILS(af_tfi_find("", &operation, &err), AF_ENOTFOUND);
}

AF_TEST(tfi_members_that_must_be_given)
{
    struct service s;
    const struct service_answer answers[] = { WHEN("AmazonTimestreamInfluxDB.CreateDbInstance", 200,
                                                   "{\"id\":\"i-1\",\"status\":\"CREATING\"}"),
                                              WHEN("AmazonTimestreamInfluxDB.ListDbInstances", 200, "{\"items\":[]}"),
                                              WHEN("AmazonTimestreamInfluxDB.TagResource", 200, ""), { 0 } };
    const struct af_json *out = NULL;
    static const char *const bad[] = { "", "{}", "{\"name\":\"a\",\"password\":null}", "[]", "{", "7" };
    service_begin(&s, "timestream-influxdb", answers);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        AF_CHECK_FAILS(af_tfi_call(s.client, AF_TFI_CreateDbInstance, af_slice_of(bad[i]), &s.arena, &out, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_tfi_call(s.client, AF_TFI_CreateDbInstance,
                               AF_SLICE_LIT("{\"name\":\"a\",\"password\":\"hidden\",\"vpcSubnetIds\":[]}"), &s.arena,
                               &out, &s.err), AF_EINVAL);
    AF_CHECK_STR(s.err.message, "CreateDbInstance needs \"dbInstanceType\", \"vpcSecurityGroupIds\", \"allocatedStorage\", which the "
                                "request does not have");
    AF_CHECK_INT(af_peer_requests(s.peer), 0);
    static const char body[] = "{\"name\":\"a\",\"password\":\"p\",\"dbInstanceType\":\"db.influx.medium\",\"vpcSubnetIds\":[\"subnet-1\"],"
                               "\"vpcSecurityGroupIds\":[\"sg-1\"],\"allocatedStorage\":20}";
    AF_CHECK_OK(af_tfi_call(s.client, AF_TFI_CreateDbInstance, af_slice_of(body), &s.arena, &out, &s.err), s.err);
    AF_CHECK_SLICE(af_json_string(out, "id"), "i-1");
    AF_CHECK_SLICE(service_asked(&s, 0), body);
    AF_CHECK_OK(af_tfi_call(s.client, AF_TFI_ListDbInstances, (struct af_slice){ 0 }, &s.arena, &out, &s.err), s.err);
    AF_CHECK_SLICE(service_asked(&s, 1), "{}");
    AF_CHECK_OK(af_tfi_call(s.client, AF_TFI_TagResource, AF_SLICE_LIT("{\"resourceArn\":\"a\",\"tags\":{}}"), &s.arena, &out, &s.err),
                s.err);
    AF_CHECK(out->kind == AF_JSON_OBJECT && out->first == NULL);
    service_end(&s);
}

struct seen {
    char ids[64];
    size_t stop_at;
};

static enum af_status see(void *ctx, const struct af_json *item, struct af_error *err)
{
    struct seen *seen = ctx;
    const size_t len = strlen(seen->ids);
    (void)snprintf(seen->ids + len, sizeof seen->ids - len, "%.*s", (int)af_json_string(item, "id").len, af_json_string(item, "id").ptr);
    return seen->stop_at != 0 && len + 1 == seen->stop_at ? af_fail(err, AF_ECANCELED, "enough") : AF_OK;
}

AF_TEST(tfi_pages)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(200, "{\"items\":[{\"id\":\"a\"},{\"id\":\"b\"}],\"nextToken\":\"t 1\"}"),
                                              SAYS(200, "{\"items\":[],\"nextToken\":\"t2\"}"), SAYS(200,
                                                                                                     "{\"items\":[{\"id\":\"c\"}],\""
                                                                                                     "nextToken\":null}"),
                                              SAYS(200, "{\"items\":[{\"id\":\"d\"},{\"id\":\"e\"}]}"), SAYS(200,
                                                                                                             "{\"nextToken\":\"same\"}"),
                                                                                                                 { 0 } };
    struct seen seen = { 0 };
    const struct af_slice body = AF_SLICE_LIT("{\"dbResourceId\":\"r\",\"nextToken\":\"old\",\"maxResults\":2}");
    service_begin(&s, "timestream-influxdb", answers);
    AF_CHECK_OK(af_tfi_list(s.client, AF_TFI_ListDbBackups, body, see, &seen, &s.err), s.err);
    AF_CHECK_STR(seen.ids, "abc");
    AF_CHECK_SLICE(service_asked(&s, 0), "{\"dbResourceId\":\"r\",\"maxResults\":2}");
    AF_CHECK_SLICE(service_asked(&s, 1), "{\"dbResourceId\":\"r\",\"maxResults\":2,\"nextToken\":\"t 1\"}");
    AF_CHECK_SLICE(service_asked(&s, 2), "{\"dbResourceId\":\"r\",\"maxResults\":2,\"nextToken\":\"t2\"}");
    seen = (struct seen){ .stop_at = 1 };
    AF_CHECK_FAILS(af_tfi_list(s.client, AF_TFI_ListDbInstances, (struct af_slice){ 0 }, see, &seen, &s.err), AF_ECANCELED);
    AF_CHECK_STR(seen.ids, "d");
    AF_CHECK_FAILS(af_tfi_list(s.client, AF_TFI_ListDbInstances, (struct af_slice){ 0 }, see, &seen, &s.err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_tfi_list(s.client, AF_TFI_ListTagsForResource, AF_SLICE_LIT("{\"resourceArn\":\"a\"}"), see, &seen, &s.err),
                   AF_EINVAL);
    AF_CHECK_FAILS(af_tfi_list(s.client, AF_TFI_ListDbInstancesForCluster, (struct af_slice){ 0 }, see, &seen, &s.err), AF_EINVAL);
    service_end(&s);
}

/* --- waiting ---------------------------------------------------------------------------------------------------------------------- */

static void hear(void *ctx, const char *status)
{
    char *heard = ctx;
    const size_t len = strlen(heard);
    (void)snprintf(heard + len, 128 - len, "%s ", status);
}

#define STATE(status) SAYS(200, "{\"id\":\"i-1\",\"status\":\"" status "\"}")
#define GONE SAYS(404, "{\"__type\":\"ResourceNotFoundException\",\"message\":\"no\"}")
#define BUSY SAYS(429, "{\"__type\":\"ThrottlingException\",\"message\":\"slowly\"}")

static enum af_status wait_with(const struct service_answer *answers, struct af_tfi_wait wait, char heard[128], struct af_error *err)
{
    struct service s;
    heard[0] = '\0';
    service_begin(&s, "timestream-influxdb", answers);
    wait.identifier = "i-1";
    wait.every_ms = 2;
    wait.said = hear;
    wait.ctx = heard;
    const enum af_status status = af_tfi_wait(s.client, &wait, err);
    service_end(&s);
    return status;
}

AF_TEST(tfi_waits)
{
    static const struct service_answer made[] = { GONE, STATE("CREATING"), BUSY, BUSY, STATE("CREATING"), STATE("AVAILABLE"), { 0 } };
    static const struct service_answer failed[] = { STATE("CREATING"), STATE("FAILED"), { 0 } };
    static const struct service_answer deleted[] = { STATE("AVAILABLE"), STATE("DELETING"), GONE, { 0 } };
    static const struct service_answer vanished[] = { STATE("UPDATING"), GONE, { 0 } };
    static const struct service_answer absent[] = { GONE, { 0 } };
    static const struct service_answer away[] = { STATE("CREATING"), STATE("DELETING"), { 0 } };
    static const struct service_answer rebooted[] = { STATE("REBOOTING"), STATE("REBOOT_FAILED"), { 0 } };
    static const struct service_answer odd[] = { SAYS(200, "{\"status\":7}"), { 0 } };
    static const struct service_answer busy[] = { BUSY, { 0 } };
    static const struct {
        const struct service_answer *answers;
        const char *wanted;
        enum af_status want;
        const char *heard;
    } cases[] = {
        { made, "AVAILABLE", AF_OK, "CREATING AVAILABLE " },   { failed, "AVAILABLE", AF_EIO, "CREATING FAILED " },
        { deleted, "DELETED", AF_OK, "AVAILABLE DELETING " },  { vanished, "AVAILABLE", AF_ENOTFOUND, "UPDATING " },
        { absent, "AVAILABLE", AF_ENOTFOUND, "" },             { away, "AVAILABLE", AF_EIO, "CREATING DELETING " },
        { rebooted, "AVAILABLE", AF_EIO, "REBOOTING REBOOT_FAILED " }, { failed, "FAILED", AF_OK, "CREATING FAILED " },
        { odd, "AVAILABLE", AF_ECORRUPT, "" },                 { busy, "AVAILABLE", AF_EBUSY, "" },
        { away, "DELETING", AF_OK, "CREATING DELETING " },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char heard[128];
        struct af_error err = { 0 };
        const struct af_tfi_wait wait = { .get = AF_TFI_GetDbInstance, .wanted = cases[i].wanted };
        AF_CHECK_FAILS(wait_with(cases[i].answers, wait, heard, &err), cases[i].want);
        AF_CHECK_STR(heard, cases[i].heard);
    }
}

AF_TEST(tfi_waits_no_longer_than_told)
{
    static const struct service_answer creating[] = { STATE("CREATING"), { 0 } };
    static const bool is_cancelled = true;
    char heard[128];
    struct af_error err = { 0 };
    struct af_tfi_wait wait = { .get = AF_TFI_GetDbBackup, .wanted = "COMPLETED", .deadline_mono_ns = af_clock_mono_ns() + 50000000 };
    AF_CHECK_FAILS(wait_with(creating, wait, heard, &err), AF_EIO);
    AF_CHECK(strstr(err.message, "i-1 is not COMPLETED in time: it is CREATING") != NULL);
    wait = (struct af_tfi_wait){ .get = AF_TFI_GetDbInstance, .wanted = "AVAILABLE", .cancel = &is_cancelled };
    AF_CHECK_FAILS(wait_with(creating, wait, heard, &err), AF_ECANCELED);
    wait = (struct af_tfi_wait){ .get = AF_TFI_ListDbClusters, .wanted = "AVAILABLE" };
    AF_CHECK_FAILS(wait_with(creating, wait, heard, &err), AF_EINVAL);
}

AF_TEST(tfi_asks_for_what_it_waits_for)
{
    static const struct {
        enum af_tfi_operation get;
        const char *body;
    } cases[] = { { AF_TFI_GetDbInstance, "{\"identifier\":\"i-1\"}" },
                  { AF_TFI_GetDbCluster, "{\"dbClusterId\":\"i-1\"}" },
                  { AF_TFI_GetDbBackup, "{\"identifier\":\"i-1\"}" } };
    for (size_t i = 0; i < 3; i++) {
        struct service s;
        const struct service_answer answers[] = { WHEN(af_tfi_name(cases[i].get), 200, "{\"status\":\"COMPLETED\"}"), { 0 } };
        service_begin(&s, "timestream-influxdb", answers);
        const struct af_tfi_wait wait = { .get = cases[i].get, .identifier = "i-1", .wanted = "COMPLETED" };
        AF_CHECK_OK(af_tfi_wait(s.client, &wait, &s.err), s.err);
        AF_CHECK_SLICE(service_asked(&s, 0), cases[i].body);
        service_end(&s);
    }
}
