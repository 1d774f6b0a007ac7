/* secrets_test.c - the cache: age, rotation, refusal, failures, several threads; tokens out of what people store. */
#include "aws/secrets.h"
#include "aws/service_fixture.h"
#include "os/clock.h"
#include "os/thread.h"

static const char first[] = "{\"Name\":\"db\",\"VersionId\":\"v-1\",\"SecretString\":\"one\"}";
static const char second[] = "{\"Name\":\"db\",\"VersionId\":\"v-2\",\"SecretString\":\"two\"}";

static enum af_status get(struct af_secrets *secrets, char out[64], char version[65], struct af_error *err)
{
    struct af_buf value;
    af_buf_init(&value, 1 << 20);
    const enum af_status status = af_secrets_get(secrets, "db", &value, version, err);
    if (status == AF_OK)
        (void)snprintf(out, 64, "%.*s", (int)value.len, value.ptr);
    af_buf_done(&value);
    return status;
}

#define CHECK_GET(want_value, want_version)                                                                  \
    do {                                                                                                     \
        char got_value[64], got_version[65];                                                                 \
        AF_CHECK_OK(get(secrets, got_value, got_version, &s.err), s.err);                                    \
        AF_CHECK_STR(got_value, want_value);                                                                 \
        AF_CHECK_STR(got_version, want_version);                                                             \
    } while (0)

static struct af_secrets *begin(struct service *s, const struct service_answer *answers, uint32_t ttl_ms)
{
    struct af_secrets *secrets = NULL;
    service_open(s, answers, 1);
    AF_CHECK_OK(af_secrets_open(s->aws, ttl_ms, &secrets, &s->err), s->err);
    return secrets;
}

static void end(struct service *s, struct af_secrets *secrets)
{
    af_secrets_close(secrets);
    service_end(s);
}

AF_TEST(secrets_are_kept_for_their_time)
{
    struct service s;
    const struct service_answer answers[] = { WHEN("secretsmanager.GetSecretValue", 200, first), SAYS(200, second), { 0 } };
    struct af_secrets *secrets = begin(&s, answers, 150);
    CHECK_GET("one", "v-1");
    CHECK_GET("one", "v-1");
    AF_CHECK_INT(af_peer_requests(s.peer), 1);
    AF_CHECK_SLICE(service_asked(&s, 0), "{\"SecretId\":\"db\"}");
    af_clock_sleep_ms(200);
    CHECK_GET("two", "v-2");
    end(&s, secrets);
}

AF_TEST(secrets_that_were_refused_are_asked_for_anew)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(200, first), SAYS(200, second), SAYS(500, ""), { 0 } };
    struct af_secrets *secrets = begin(&s, answers, 0);
    af_secrets_refused(secrets, "db"); /* of one that nobody has asked for: nothing */
    CHECK_GET("one", "v-1");
    af_secrets_refused(secrets, "db");
    CHECK_GET("one", "v-1"); /* fetched less than ten seconds ago */
    AF_CHECK_INT(af_peer_requests(s.peer), 1);
    end(&s, secrets);
}

AF_TEST(secrets_go_on_while_the_service_fails)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(200, first), SAYS(500, "{\"__type\":\"InternalServiceError\"}"), { 0 } };
    struct af_secrets *secrets = begin(&s, answers, 50);
    CHECK_GET("one", "v-1");
    af_clock_sleep_ms(80);
    CHECK_GET("one", "v-1");
    AF_CHECK_INT(af_peer_requests(s.peer), 2);
    CHECK_GET("one", "v-1"); /* and is not asked for every time meanwhile */
    AF_CHECK_INT(af_peer_requests(s.peer), 2);
    end(&s, secrets);
}

AF_TEST(secrets_that_were_taken_away_do_not_go_on)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(200, first), SAYS(400,
                                                                     "{\"__type\":\"ResourceNotFoundException\",\"Message\":\"away\"}"),
                                                                         { 0 } };
    struct af_secrets *secrets = begin(&s, answers, 50);
    char value[64];
    CHECK_GET("one", "v-1");
    af_clock_sleep_ms(80);
    AF_CHECK_FAILS(get(secrets, value, NULL, &s.err), AF_ENOTFOUND);
    AF_CHECK(strstr(s.err.message, "\"db\"") != NULL && strstr(s.err.message, "one") == NULL);
    end(&s, secrets);
}

AF_TEST(secrets_that_are_not_there)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(500, ""), SAYS(200, "{\"VersionId\":\"v\"}"), SAYS(200, "{\"SecretString\":\"x\"}"),
                                              SAYS(200, "{\"VersionId\":\"v\",\"SecretString\":7}"),
                                              SAYS(200, "{\"VersionId\":\"v\",\"SecretBinary\":\"?\"}"),
                                              SAYS(200, "{\"VersionId\":\"v\",\"SecretBinary\":\"AAFi\"}"), { 0 } };
    static const enum af_status want[] = { AF_EIO, AF_ECORRUPT, AF_ECORRUPT, AF_ECORRUPT, AF_ECORRUPT };
    struct af_secrets *secrets = begin(&s, answers, 0);
    struct af_buf value;
    char text[64];
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        AF_CHECK_FAILS(get(secrets, text, NULL, &s.err), want[i]);
    af_buf_init(&value, 64);
    AF_CHECK_OK(af_secrets_get(secrets, "db", &value, NULL, &s.err), s.err);
    AF_CHECK(af_slice_eq(af_buf_slice(&value), (struct af_slice){ "\0\1b", 3 }));
    af_buf_done(&value);
    af_buf_init(&value, 2); /* too small for the value: an error, and nothing half done */
    AF_CHECK_FAILS(af_secrets_get(secrets, "db", &value, NULL, &s.err), AF_ELIMIT);
    AF_CHECK_INT(value.len, 0);
    af_buf_done(&value);
    AF_CHECK_FAILS(af_secrets_get(secrets, "", &value, NULL, &s.err), AF_EINVAL);
    end(&s, secrets);
}

struct reader {
    struct af_thread thread;
    struct af_secrets *secrets;
    enum af_status status;
    char value[64];
};

static void read_it(void *ctx)
{
    struct reader *reader = ctx;
    reader->status = get(reader->secrets, reader->value, NULL, NULL);
}

static bool says_slowly(void *ctx, struct af_slice request, struct af_buf *out)
{
    af_clock_sleep_ms(200);
    return service_says(ctx, request, out);
}

/* Eight at once: one question, and all have its answer, be it good or bad. */
static void crowd(const char *body, int status, enum af_status want)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(status, body), { 0 } };
    struct reader readers[8] = { 0 };
    struct af_secrets *secrets = NULL;
    s = (struct service){ .answers = answers };
    s.peer = af_peer_start_with(says_slowly, &s);
    const struct af_aws_options options = { .max_attempts = 1, .variable = service_variable, .ctx = &s };
    AF_CHECK_OK(af_aws_open(&options, &s.aws, &s.err), s.err);
    af_arena_init(&s.arena, 1 << 20);
    AF_CHECK_OK(af_secrets_open(s.aws, 0, &secrets, &s.err), s.err);
    for (size_t i = 0; i < 8; i++) {
        readers[i].secrets = secrets;
        AF_CHECK_OK(af_thread_start(&readers[i].thread, "reader", read_it, &readers[i], &s.err), s.err);
    }
    for (size_t i = 0; i < 8; i++) {
        af_thread_join(&readers[i].thread);
        AF_CHECK_INT(readers[i].status, want);
        AF_CHECK_STR(readers[i].value, want == AF_OK ? "one" : "");
    }
    AF_CHECK_INT(af_peer_requests(s.peer), 1);
    end(&s, secrets);
}

AF_TEST(secrets_are_asked_for_once_by_many)
{
    crowd(first, 200, AF_OK);
    crowd("{\"__type\":\"AccessDeniedException\"}", 400, AF_EDENIED);
}

AF_TEST(secrets_are_put)
{
    struct service s;
    const struct service_answer answers[] = { SAYS(200, first), WHEN("secretsmanager.PutSecretValue", 200, "{\"VersionId\":\"v-2\"}"),
                                              SAYS(200, second), { 0 } };
    static const char token[] = "0123456789abcdef0123456789abcdef";
    struct af_secrets *secrets = begin(&s, answers, 0);
    CHECK_GET("one", "v-1");
    AF_CHECK_OK(af_secrets_put(secrets, "db", AF_SLICE_LIT("two"), token, &s.err), s.err);
    AF_CHECK_SLICE(service_asked(&s, 1),
                   "{\"SecretId\":\"db\",\"ClientRequestToken\":\"0123456789abcdef0123456789abcdef\",\"SecretString\":\"two\"}");
    CHECK_GET("two", "v-2");
    AF_CHECK_FAILS(af_secrets_put(secrets, "db", AF_SLICE_LIT("two"), "short", &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_secrets_put(secrets, "db", AF_SLICE_LIT("\xff"), token, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_secrets_put(secrets, "db", AF_SLICE_LIT(""), token, &s.err), AF_EINVAL);
    end(&s, secrets);
}

AF_TEST(secrets_hold_tokens)
{
    static const struct {
        const char *secret, *token;
    } good[] = { { "abc==", "abc==" },
                 { "  abc\r\n", "abc" },
                 { "{\"token\":\"t\",\"influxdb_token\":\"u\"}", "t" },
                 { "{\"INFLUXDB_TOKEN\":\"u\",\"url\":\"http://x\"}", "u" },
                 { "{\"apiToken\":\" u \"}", "u" },
                 { "{\"token_days\":7,\"api_token\":\"u\"}", "u" } };
    static const char *const bad[] = { "", " \n", "a b", "a\nb", "{", "{}", "{\"password\":\"hidden-value\"}",
                                       "{\"a_token\":\"hidden-value\",\"b_token\":\"y\"}",
                                       "{\"token\":7}", "{\"token\":\"\"}", "{\"token\":\"hidden value\"}", "t\xc3\xb6ken" };
    struct af_buf token;
    struct af_error err = { 0 };
    af_buf_init(&token, 8192);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        af_buf_clear(&token);
        AF_CHECK_OK(af_secrets_token(af_slice_of(good[i].secret), &token, &err), err);
        AF_CHECK_SLICE(af_buf_slice(&token), good[i].token);
    }
    af_buf_clear(&token);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AF_CHECK_FAILS(af_secrets_token(af_slice_of(bad[i]), &token, &err), AF_EINVAL);
        AF_CHECK(strstr(err.message, "hidden") == NULL);
        AF_CHECK_INT(token.len, 0);
    }
    AF_CHECK_FAILS(af_secrets_token(AF_SLICE_LIT("{\"user\":\"x\",\"password\":\"y\"}"), &token, &err), AF_EINVAL);
    AF_CHECK(strstr(err.message, "user, password") != NULL);
    af_buf_done(&token);
}
