/* credentials_test.c - where credentials come from, in which order, and what is said when there are none. */
#include "aws/aws_int.h"
#include "base/calendar.h"
#include "os/clock.h"
#include "os/file.h"
#include "test/lib/http_peer.h"
#include "test/lib/test.h"
#include <stdio.h>

struct world {
    const char *variables[16][2];
    struct af_aws *aws;
    struct af_error err;
    struct af_aws_credentials found;
};

static const char *variable(void *ctx, const char *name)
{
    struct world *world = ctx;
    for (size_t i = 0; i < 16 && world->variables[i][0] != NULL; i++)
        if (strcmp(world->variables[i][0], name) == 0)
            return world->variables[i][1];
    return strcmp(name, "AWS_EC2_METADATA_DISABLED") == 0 ? "true" : strcmp(name, "HOME") == 0 ? af_test_dir() : NULL;
}

static void put_file(const char *name, const char *text)
{
    char path[512];
    struct af_error err;
    (void)snprintf(path, sizeof path, "%s/.aws", af_test_dir());
    AF_CHECK_OK(af_dir_make(path, &err), err);
    (void)snprintf(path, sizeof path, "%s/.aws/%s", af_test_dir(), name);
    AF_CHECK_OK(af_file_write_atomic(path, af_slice_of(text), false, &err), err);
}

static enum af_status find(struct world *world)
{
    const struct af_aws_options options = { .variable = variable, .ctx = world };
    enum af_status status = af_aws_open(&options, &world->aws, &world->err);
    if (status == AF_OK)
        status = af_aws_credentials_get(world->aws, &world->found, &world->err);
    af_aws_close(world->aws);
    return status;
}

AF_TEST(the_environment_comes_first)
{
    struct world world = { .variables = { { "AWS_ACCESS_KEY_ID", "AKENV" }, { "AWS_SECRET_ACCESS_KEY", "s" }, { "AWS_SESSION_TOKEN",
                                                                                                                "t" } } };
    put_file("credentials", "[default]\naws_access_key_id = AKFILE\naws_secret_access_key = f\n");
    AF_CHECK_OK(find(&world), world.err);
    AF_CHECK_STR(world.found.access_key, "AKENV");
    AF_CHECK_STR(world.found.session_token, "t");
    AF_CHECK_STR(world.found.source, "environment");
}

AF_TEST(half_of_them_is_a_fault_not_a_reason_to_look_elsewhere)
{
    struct world world = { .variables = { { "AWS_ACCESS_KEY_ID", "AKENV" } } };
    put_file("credentials", "[default]\naws_access_key_id = AKFILE\naws_secret_access_key = f\n");
    AF_CHECK_FAILS(find(&world), AF_EUNAUTH);
}

AF_TEST(a_profile_is_found_in_both_files_and_the_credentials_file_counts_more)
{
    struct world world = { .variables = { { "AWS_PROFILE", "ons" } } };
    put_file("config", "# ours\n[profile ons]\nregion = sa-east-1 ; comment\naws_access_key_id = AKCONFIG\naws_secret_access_key = c\n");
    put_file("credentials", "[ons]\naws_access_key_id=AKFILE\naws_secret_access_key=a=b#c\n");
    AF_CHECK_OK(find(&world), world.err);
    AF_CHECK_STR(world.found.access_key, "AKFILE");
    AF_CHECK_STR(world.found.secret_key, "a=b#c");
}

AF_TEST(a_profile_that_is_not_there_is_named)
{
    struct world world = { .variables = { { "AWS_PROFILE", "nobody" } } };
    put_file("config", "[default]\nregion = sa-east-1\n");
    AF_CHECK_FAILS(find(&world), AF_ENOTFOUND);
    AF_CHECK(strstr(world.err.message, "\"nobody\"") != NULL);
}

AF_TEST(garbage_in_a_file_is_named_by_line)
{
    struct world world = { .variables = { { NULL, NULL } } };
    put_file("config", "[default]\nregion = sa-east-1\nwhat is this\n");
    AF_CHECK_FAILS(find(&world), AF_EINVAL);
    AF_CHECK(strstr(world.err.message, "line 3") != NULL);
}

AF_TEST(without_any_the_message_lists_what_was_tried)
{
    struct world world = { .variables = { { NULL, NULL } } };
    AF_CHECK_FAILS(find(&world), AF_EUNAUTH);
    AF_CHECK(strstr(world.err.message, "AWS_ACCESS_KEY_ID") != NULL && strstr(world.err.message, "metadata") != NULL);
}

AF_TEST(a_program_may_print_them)
{
    struct world world = { .variables = { { NULL, NULL } } };
    put_file("config", "[default]\ncredential_process = printf '{\"Version\":1,\"AccessKeyId\":\"AKPROC\",\"SecretAccessKey\":\"s\","
                       "\"SessionToken\":\"t\",\"Expiration\":\"2200-01-01T00:00:00Z\"}'\n");
    AF_CHECK_OK(find(&world), world.err);
    AF_CHECK_STR(world.found.access_key, "AKPROC");
    AF_CHECK(world.found.expires_ns > af_clock_now_ns());
}

AF_TEST(a_program_that_fails_is_named_without_what_it_printed)
{
    struct world world = { .variables = { { NULL, NULL } } };
    put_file("config", "[default]\ncredential_process = false --secret hunter2\n");
    AF_CHECK_FAILS(find(&world), AF_EUNAUTH);
    AF_CHECK(strstr(world.err.message, "credential_process") != NULL && strstr(world.err.message, "hunter2") == NULL);
}

AF_TEST(source_profiles_that_lead_in_a_circle_are_refused)
{
    struct world world = { .variables = { { "AWS_PROFILE", "a" }, { "AWS_REGION", "eu-west-1" } } };
    put_file("config", "[profile a]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = b\n"
                       "[profile b]\nrole_arn = arn:aws:iam::1:role/b\nsource_profile = a\n");
    AF_CHECK_FAILS(find(&world), AF_EUNAUTH);
    AF_CHECK(strstr(world.err.message, "circle") != NULL);
}

/* --- sources that are asked ------------------------------------------------------------------------------------------------ */

static const char *container_answer;
static bool say_container(void *ctx, struct af_slice request, struct af_buf *out)
{
    (void)ctx, (void)request;
    af_buf_printf(out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(container_answer), container_answer);
    return true;
}

AF_TEST(a_container_is_asked_with_its_token)
{
    struct af_peer *peer = af_peer_start_with(say_container, NULL);
    char url[128];
    (void)snprintf(url, sizeof url, "%s/creds", af_peer_url(peer));
    container_answer = "{\"AccessKeyId\":\"AKCONT\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"2200-01-01T00:00:00Z\"}";
    struct world world = { .variables = { { "AWS_CONTAINER_CREDENTIALS_FULL_URI", url }, { "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                                                                           "Bearer x" } } };
    AF_CHECK_OK(find(&world), world.err);
    AF_CHECK_STR(world.found.access_key, "AKCONT");
    AF_CHECK_STR(world.found.session_token, "t");
    struct af_slice request = af_peer_request(peer, 0);
    AF_CHECK(memmem(request.ptr, request.len, "Authorization: Bearer x\r\n", 25) != NULL);
    af_peer_stop(peer);
}

AF_TEST(a_container_that_answers_nonsense_is_refused)
{
    static const char *const answers[] = { "", "[]", "{}", "{\"AccessKeyId\":1}",
                                           "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"a\\nb\"}",
                                           "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Expiration\":\"soon\"}" };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct af_peer *peer = af_peer_start_with(say_container, NULL);
        container_answer = answers[i];
        struct world world = { .variables = { { "AWS_CONTAINER_CREDENTIALS_FULL_URI", af_peer_url(peer) } } };
        AF_CHECK_FAILS(find(&world), AF_EUNAUTH);
        af_peer_stop(peer);
    }
}

AF_TEST(a_host_elsewhere_is_not_asked_in_the_clear)
{
    struct world world = { .variables = { { "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/creds" } } };
    AF_CHECK_FAILS(find(&world), AF_EUNAUTH);
    AF_CHECK(strstr(world.err.message, "https") != NULL);
}

static bool say_metadata(void *ctx, struct af_slice request, struct af_buf *out)
{
    (void)ctx;
    const char *body = memmem(request.ptr, request.len, "PUT /latest/api/token", 21) != NULL ? "TOKEN" :
                       memmem(request.ptr, request.len, "metadata-token: TOKEN", 21) == NULL ? "" :
                       memmem(request.ptr, request.len, "security-credentials/loader", 27) != NULL ?
                       "{\"Code\":\"Success\",\"AccessKeyId\":\"AKIMDS\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\""
                       "2200-01-01T00:00:00Z\"}" :
                       memmem(request.ptr, request.len, "placement/region", 16) != NULL ? "sa-east-1" : "loader\n";
    af_buf_printf(out, "HTTP/1.1 %d OK\r\nContent-Length: %zu\r\n\r\n%s", body[0] != '\0' ? 200 : 401, strlen(body), body);
    return true;
}

AF_TEST(an_instance_is_asked_with_a_session)
{
    struct af_peer *peer = af_peer_start_with(say_metadata, NULL);
    struct world world = { .variables = { { "AWS_EC2_METADATA_SERVICE_ENDPOINT", af_peer_url(peer) }, { "AWS_EC2_METADATA_DISABLED",
                                                                                                        "false" } } };
    const struct af_aws_options options = { .variable = variable, .ctx = &world };
    const char *region;
    AF_CHECK_OK(af_aws_open(&options, &world.aws, &world.err), world.err);
    AF_CHECK_OK(af_aws_credentials_get(world.aws, &world.found, &world.err), world.err);
    AF_CHECK_STR(world.found.access_key, "AKIMDS");
    AF_CHECK_OK(af_aws_region(world.aws, &region, &world.err), world.err);
    AF_CHECK_STR(region, "sa-east-1");
    af_aws_close(world.aws);
    af_peer_stop(peer);
}

static unsigned web_asked;
static bool say_sts(void *ctx, struct af_slice request, struct af_buf *out)
{
    (void)ctx;
    web_asked++;
    AF_CHECK(memmem(request.ptr, request.len, "Action=AssumeRoleWithWebIdentity", 32) != NULL);
    AF_CHECK(memmem(request.ptr, request.len, "Authorization:", 14) == NULL);
    char when[40], body[1024];
    /* good for a minute: near its end from the beginning */
    *af_rfc3339_print(when, af_clock_now_ns() + 60 * AF_NS_PER_S, 0) = '\0';
    (void)snprintf(body, sizeof body, "<R><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKWEB%u</AccessKeyId>"
                                      "<SecretAccessKey>s"
                   "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></"
                   "AssumeRoleWithWebIdentityResult></R>",
                   web_asked, when);
    af_buf_printf(out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    return true;
}

AF_TEST(a_token_of_a_file_becomes_a_role_and_is_refreshed_before_its_end)
{
    char file[512];
    struct af_peer *peer = af_peer_start_with(say_sts, NULL);
    put_file("token", "ey.J.x\n");
    (void)snprintf(file, sizeof file, "%s/.aws/token", af_test_dir());
    struct world world = { .variables = { { "AWS_WEB_IDENTITY_TOKEN_FILE", file }, { "AWS_ROLE_ARN", "arn:aws:iam::1:role/x" },
                                          { "AWS_REGION", "eu-west-1" }, { "AWS_ENDPOINT_URL_STS", af_peer_url(peer) } } };
    const struct af_aws_options options = { .variable = variable, .ctx = &world };
    AF_CHECK_OK(af_aws_open(&options, &world.aws, &world.err), world.err);
    AF_CHECK_OK(af_aws_credentials_get(world.aws, &world.found, &world.err), world.err);
    AF_CHECK_STR(world.found.access_key, "AKWEB1");
    AF_CHECK_OK(af_aws_credentials_get(world.aws, &world.found, &world.err), world.err);
    AF_CHECK_STR(world.found.access_key, "AKWEB2");
    AF_CHECK_STR(world.found.source, "web identity");
    af_aws_close(world.aws);
    af_peer_stop(peer);
}

AF_TEST(blocks_and_services_sections_give_endpoints)
{
    struct world world = { .variables = { { "AWS_REGION", "eu-west-1" }, { "AWS_ACCESS_KEY_ID", "A" }, { "AWS_SECRET_ACCESS_KEY", "s" } } };
    struct af_aws_client *client;
    put_file("config", "[default]\nservices = here\ns3 =\n  addressing_style = path\n[services here]\nkms =\n  endpoint_url = http://"
                       "127.0.0.1:9/\n"
                       "secrets_manager = \n    endpoint_url=http://127.0.0.1:8\n");
    const struct af_aws_options options = { .variable = variable, .ctx = &world };
    AF_CHECK_OK(af_aws_open(&options, &world.aws, &world.err), world.err);
    AF_CHECK_OK(af_aws_client_new(world.aws, "kms", &client, &world.err), world.err);
    AF_CHECK_STR(af_aws_client_url(client), "http://127.0.0.1:9");
    af_aws_client_free(client);
    AF_CHECK_OK(af_aws_client_new(world.aws, "sqs", &client, &world.err), world.err);
    AF_CHECK_STR(af_aws_client_url(client), "https://sqs.eu-west-1.amazonaws.com");
    AF_CHECK(af_aws_client_is_own(client));
    af_aws_client_free(client);
    af_aws_close(world.aws);
}
