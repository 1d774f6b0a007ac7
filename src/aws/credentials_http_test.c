/* credentials_http_test.c - sources that lie, are slow or fail; who waits for whom; the files of SSO. */
#include "aws/aws_int.h"
#include "base/calendar.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "test/lib/http_peer.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_error err;

struct world {
    const char *variables[16][2];
    struct af_peer *peer;
    struct af_aws *aws;
};

static const char *variable(void *ctx, const char *name)
{
    struct world *world = ctx;
    for (size_t i = 0; i < 16 && world->variables[i][0] != NULL; i++)
        if (strcmp(world->variables[i][0], name) == 0)
            return strcmp(world->variables[i][1], "PEER") == 0 ? af_peer_url(world->peer) : world->variables[i][1];
    return strcmp(name, "HOME") == 0 ? af_test_dir() : strcmp(name, "AWS_REGION") == 0 ? "eu-west-1" : NULL;
}

static void open_world(struct world *world)
{
    const struct af_aws_options options = { .variable = variable, .ctx = world };
    AF_CHECK_OK(af_aws_open(&options, &world->aws, &err), err);
}

static void close_world(struct world *world)
{
    af_aws_close(world->aws);
    af_peer_stop(world->peer);
}

static bool has(struct af_slice text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static void say(struct af_buf *out, int status, const char *body)
{
    af_buf_printf(out, "HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
}

/* --- instance metadata that lie ---------------------------------------------------------------------------------------------- */

struct lie {
    int token_status;
    const char *token, *role, *credentials;
    enum af_status want;
    const char *words;
};

static bool tell(void *ctx, struct af_slice request, struct af_buf *out)
{
    const struct lie *lie = *(const struct lie **)ctx;
    if (has(request, "PUT /latest/api/token "))
        say(out, lie->token_status, lie->token);
    else if (has(request, "GET /latest/meta-data/iam/security-credentials/ "))
        say(out, lie->role[0] != '\0' ? 200 : 404, lie->role);
    else
        say(out, lie->credentials[0] != '\0' ? 200 : 404, lie->credentials);
    return true;
}

#define GOOD "{\"Code\":\"Success\",\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"," \
             "\"Expiration\":\"2200-01-01T00:00:00Z\"}"

AF_TEST(metadata_that_lie_are_told)
{
    static char huge[100000];
    memset(huge, 'x', sizeof huge - 1);
    const struct lie lies[] = {
        { 200, "T", "role", GOOD, AF_OK, "" },
        { 200, "T\n", "role\nother\n", GOOD, AF_OK, "" },
        { 403, "", "role", GOOD, AF_EUNAUTH, "forbidden" },
        { 404, "", "role", GOOD, AF_EUNAUTH, "answers 404" },
        { 200, "", "role", GOOD, AF_EUNAUTH, "session token" },
        { 200, "a\nb", "role", GOOD, AF_EUNAUTH, "session token" },
        { 200, huge, "role", GOOD, AF_EUNAUTH, "no instance metadata" },
        { 200, "T", "", GOOD, AF_EUNAUTH, "no role" },
        { 200, "T", "../../../latest/user-data", GOOD, AF_EUNAUTH, "name of the role" },
        { 200, "T", "a b", GOOD, AF_EUNAUTH, "name of the role" },
        { 200, "T", "r?x=1", GOOD, AF_EUNAUTH, "name of the role" },
        { 200, "T", "<html>", GOOD, AF_EUNAUTH, "name of the role" },
        { 200, "T", huge, GOOD, AF_ELIMIT, "" },
        { 200, "T", "role", "", AF_EUNAUTH, "404" },
        { 200, "T", "role", "<html/>", AF_EUNAUTH, "JSON" },
        { 200, "T", "role", "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"no\"}", AF_EUNAUTH, "AssumeRoleUnauthorizedAccess" },
        { 200, "T", "role", "{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":[]}", AF_EUNAUTH, "without its secret" },
        { 200, "T", "role", "{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"s\",\"Expiration\":\"whenever\"}", AF_EUNAUTH, "expiration" },
        { 200, "T", "role", "{\"AccessKeyId\":\"A\\nK\",\"SecretAccessKey\":\"s\"}", AF_EUNAUTH, "more than one line" },
        { 200, "T", "role", huge, AF_ELIMIT, "" },
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        const struct lie *lie = &lies[i];
        struct world world = { .variables = { { "AWS_EC2_METADATA_SERVICE_ENDPOINT", "PEER" } }, .peer = af_peer_start_with(tell, &lie) };
        struct af_aws_credentials found;
        open_world(&world);
        err.message[0] = '\0';
        enum af_status status = af_aws_credentials_get(world.aws, &found, &err);
        if (status != lie->want || strstr(err.message, lie->words) == NULL)
            af_test_failed(__FILE__, __LINE__, "lie %zu: %s: %s", i, af_status_name(status), err.message);
        close_world(&world);
    }
}

AF_TEST(metadata_behind_one_hop_too_many_are_given_up_soon_and_explained)
{
    static const struct af_peer_step silent[] = { { .then = AF_PEER_HANG } };
    struct world world = { .variables = { { "AWS_EC2_METADATA_SERVICE_ENDPOINT", "PEER" } }, .peer = af_peer_start(silent, 1) };
    struct af_aws_credentials found;
    open_world(&world);
    int64_t begun_ns = af_clock_mono_ns();
    AF_CHECK_FAILS(af_aws_credentials_get(world.aws, &found, &err), AF_EUNAUTH);
    AF_CHECK(strstr(err.message, "hop-limit") != NULL);
    AF_CHECK(af_clock_mono_ns() - begun_ns < INT64_C(6000000000));
    close_world(&world);
}

AF_TEST(the_region_of_metadata_is_asked_for_once)
{
    const struct lie lie = { 200, "T", "role", "eu west 1/", AF_OK, "" };
    const struct lie *told = &lie;
    struct world world = { .variables = { { "AWS_EC2_METADATA_SERVICE_ENDPOINT", "PEER" }, { "AWS_REGION", "" } },
                           .peer = af_peer_start_with(tell, &told) };
    const char *region;
    open_world(&world);
    for (int i = 0; i < 3; i++)
        AF_CHECK_FAILS(af_aws_region(world.aws, &region, &err), AF_EINVAL);
    AF_CHECK_INT(af_peer_requests(world.peer), 2); /* the session's token, the region */
    close_world(&world);
}

/* --- those that fail, and those who wait ---------------------------------------------------------------------------------------- */

static bool fail_slowly(void *ctx, struct af_slice request, struct af_buf *out)
{
    (void)ctx, (void)request;
    af_clock_sleep_ms(150);
    say(out, 500, "{}");
    return true;
}

struct asker {
    struct world *world;
    enum af_status status;
    struct af_error err;
};

static void ask(void *ctx)
{
    struct asker *asker = ctx;
    struct af_aws_credentials found;
    asker->status = af_aws_credentials_get(asker->world->aws, &found, &asker->err);
}

AF_TEST(those_who_waited_for_a_failure_share_it)
{
    enum { ASKERS = 8 };
    struct world world = { .variables = { { "AWS_CONTAINER_CREDENTIALS_FULL_URI", "PEER" } },
                           .peer = af_peer_start_with(fail_slowly, NULL) };
    struct asker askers[ASKERS];
    struct af_thread threads[ASKERS];
    open_world(&world);
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){ .world = &world };
        AF_CHECK_OK(af_thread_start(&threads[i], "asker", ask, &askers[i], &err), err);
    }
    for (int i = 0; i < ASKERS; i++) {
        af_thread_join(&threads[i]);
        AF_CHECK_INT(askers[i].status, AF_EIO);
        AF_CHECK(strstr(askers[i].err.message, "container") != NULL);
    }
    AF_CHECK(af_peer_requests(world.peer) <= 6); /* one thread's three; six if somebody came late */
    close_world(&world);
}

static unsigned given;
static bool give_then_fail(void *ctx, struct af_slice request, struct af_buf *out)
{
    (void)ctx, (void)request;
    char when[40], body[256];
    *af_rfc3339_print(when, af_clock_now_ns() + 60 * AF_NS_PER_S, 0) = '\0'; /* near its end from the beginning */
    (void)snprintf(body, sizeof body, "{\"AccessKeyId\":\"AK%u\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"%s\"}", given,
                   when);
    say(out, given == 0 ? 200 : 400, given == 0 ? body : "{}");
    given++;
    return true;
}

AF_TEST(old_ones_last_while_no_new_ones_come)
{
    struct world world = { .variables = { { "AWS_CONTAINER_CREDENTIALS_FULL_URI", "PEER" } },
                           .peer = af_peer_start_with(give_then_fail, NULL) };
    struct af_aws_credentials found;
    open_world(&world);
    for (int i = 0; i < 20; i++) {
        AF_CHECK_OK(af_aws_credentials_get(world.aws, &found, &err), err);
        AF_CHECK_STR(found.access_key, "AK0");
    }
    AF_CHECK_INT(given, 2); /* the second failed, and is not repeated for a while */
    close_world(&world);
}

AF_TEST(a_token_file_is_read_anew_each_time)
{
    static const struct af_peer_step steps[] = { { .bytes = "HTTP/1.1 500 E\r\nContent-Length: 0\r\n\r\n" } };
    char path[512];
    (void)snprintf(path, sizeof path, "%s/token", af_test_dir());
    struct world world = { .variables = { { "AWS_CONTAINER_CREDENTIALS_FULL_URI", "PEER" },
                                          { "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path } },
                           .peer = af_peer_start(steps, 1) };
    static const char *const bad[] = { "", "\n", "two\nlines\n", "a\rb" };
    struct af_aws_credentials found;
    open_world(&world);
    AF_CHECK_FAILS(af_aws_credentials_get(world.aws, &found, &err), AF_EUNAUTH);
    AF_CHECK(strstr(err.message, path) != NULL); /* that, and not what comes behind it in the chain */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AF_CHECK_OK(af_file_write_atomic(path, af_slice_of(bad[i]), true, &err), err);
        AF_CHECK_FAILS(af_aws_credentials_get(world.aws, &found, &err), AF_EUNAUTH);
    }
    AF_CHECK_INT(af_peer_requests(world.peer), 0);
    close_world(&world);
}

/* --- files of garbage ------------------------------------------------------------------------------------------------------------ */

AF_TEST(credentials_files_of_garbage_are_refused_by_line_or_read)
{
    char path[512], text[2048];
    uint32_t seed = 1;
    (void)snprintf(path, sizeof path, "%s/credentials", af_test_dir());
    for (int i = 0; i < 300; i++) {
        size_t len = 0;
        for (; len < sizeof text - 1 && (len < 20 || seed >> 24 != 7); len++) {
            seed = seed * 1664525 + 1013904223;
            text[len] = i % 2 != 0 ? (char)(seed >> 23) : "[]=\n #;aws_key profile\t\r\"'"[(seed >> 24) % 27];
        }
        AF_CHECK_OK(af_file_write_atomic(path, af_slice_make(text, len), true, &err), err);
        struct world world = { .variables = { { "AWS_SHARED_CREDENTIALS_FILE", path }, { "AWS_CONFIG_FILE", path },
                                              { "AWS_EC2_METADATA_DISABLED", "true" } } };
        const struct af_aws_options options = { .variable = variable, .ctx = &world };
        enum af_status status = af_aws_open(&options, &world.aws, &err);
        AF_CHECK(status == AF_OK || (status == AF_EINVAL && strstr(err.message, "line ") != NULL));
        if (status == AF_OK)
            af_aws_close(world.aws);
    }
}
